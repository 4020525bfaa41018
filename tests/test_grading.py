"""Grading: fair to every student, safe from every student, and nothing lost when it is stopped."""

import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import zipfile
from contextlib import contextmanager, suppress
from pathlib import Path

import made_class
import nbformat
import numpy as np
import pytest
import written
from conftest import remembering

from vqtutor import checking
from vqtutor.grading import sandbox
from vqtutor.grading.cgroup import Group
from vqtutor.grading.collect import Answer, Damage, Submission, collect
from vqtutor.grading.grade import Grader, grade
from vqtutor.grading.gradebook import Gradebook
from vqtutor.grading.owners import read_name
from vqtutor.grading.sandbox import Limits, Outcome, unpack
from vqtutor.lessons import EXERCISES, LESSONS, earlier_exercises
from vqtutor.lessons.answers import BEGIN, END, answer_of, cell_of

QUICK = EXERCISES["start.to_unit_range"]
RIGHT = "def to_unit_range(pixels):\n    return pixels.astype('float32') / 255\n"
SHORT = Limits(seconds=0.3)  # three seconds for an exercise of ten


def no_sandbox():
    """Return why there is no sandbox here, or ""."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed: apt-get install bubblewrap"
    done = subprocess.run(["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"], capture_output=True, text=True)
    return f"bubblewrap does not work here: {done.stderr}" if done.returncode else ""


WHY_NOT = no_sandbox()
needs_sandbox = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    return remembering(tmp_path_factory.mktemp("memory"))


@pytest.fixture(scope="module")
def grader(memory):
    grader = Grader(SHORT, memory=memory)
    yield grader
    grader.close()


@pytest.fixture(scope="module")
def patient(memory):
    grader = Grader(Limits(seconds=6), memory=memory)
    yield grader
    grader.close()


# -- what goes in and what comes out -----------------------------------------------------------------------------------


def went_in(id):
    """Return what the sandbox gets for an exercise whose answer uses every earlier one of the course."""
    return sandbox.request(EXERCISES[id], answer_of(id), tuple(earlier_exercises(id).items()))


def lines(text):
    """Return the lines of a text that say something of their own."""
    return {line for line in map(str.strip, text.splitlines()) if len(line) > 30}


@pytest.mark.parametrize("id", EXERCISES)
def test_what_goes_in_holds_no_answer_to_itself_or_to_what_comes_later(id):
    ids, request = list(EXERCISES), went_in(id)
    readable, earlier = lines("\n".join(request["library"].values())), "\n".join(request["earlier"])
    for later in ids[ids.index(id) :]:
        assert not lines(cell_of(later).split(BEGIN)[1].split(END)[0]) & readable, later
        assert not re.search(rf"^(def|class) {later.split('.')[1]}\b", earlier, re.MULTILINE), later


def test_only_what_an_answer_uses_of_earlier_ones_goes_in():
    id = "ema.update_codebook"
    request = sandbox.request(EXERCISES[id], answer_of(id), (("smooth_counts", "ema.smooth_counts"),))
    assert request["earlier"] == [answer_of("ema.smooth_counts")] and len(request["library"]) <= 7


# Imports every lesson's library as the sandbox does, and tries what is in it as an answer to each later exercise.
HELPERS = """
import json, sys
from dataclasses import replace
from importlib import import_module
from vqtutor.grading.worker import Library

def forget():
    for name in [name for name in sys.modules if name.startswith("vqtutor")]:
        del sys.modules[name]

libraries, helpers = json.load(sys.stdin), {}
for exercise, texts in libraries.items():
    forget()
    sys.meta_path.insert(0, library := Library(texts))
    values = [value for name in texts for value in vars(import_module(name)).values() if callable(value)]
    helpers[exercise] = list({id(value): value for value in values}.values())
    sys.meta_path.remove(library)
forget()
from vqtutor.checking.judge import agree
from vqtutor.checking.probe import is_open, misfit, observe
from vqtutor.lessons import EXERCISES
at_hand = [EXERCISES["start.to_unit_range"].reference]  # which must be found
for exercise in EXERCISES.values():
    at_hand += [helper for helper in helpers.get(exercise.id, []) if not is_open(helper)]
    first, right = replace(exercise, probes=exercise.probes[:1]), exercise.tried.right
    for helper in at_hand:
        if not misfit(exercise, helper) and agree(right[:1], observe(first, helper)):
            if agree(right, observe(exercise, helper)):
                print(exercise.id, helper)
print(len(at_hand), "helpers")
"""


@pytest.mark.proof
def test_no_helper_of_the_probes_answers_an_exercise():
    """A student's code can import the probes' modules in the sandbox, and earns nothing with what is in them."""
    firsts = [f"{lesson.slug}.{lesson.exercises[0]}" for lesson in LESSONS]
    libraries = json.dumps({id: went_in(id)["library"] for id in firsts})
    done = subprocess.run([sys.executable, "-c", HELPERS], input=libraries, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *earned, count = done.stdout.splitlines()
    assert [line.split()[0] for line in earned] == ["start.to_unit_range"] and int(count.split()[0]) > 150


def test_what_comes_out_is_taken_for_what_it_is():
    def how(reply):
        return unpack(QUICK, reply if isinstance(reply, bytes) else json.dumps(reply).encode()).outcome

    names = [probe.name for probe in QUICK.probes]
    zero = ["float32", [], "AAAAAA=="]
    fine = [{"probe": name, "arrays": {name: zero}} for name in names]
    assert how(fine) == Outcome.OBSERVED
    for forged in (
        b"", b"[", b"[" * 100_000, {}, [], None,
        [{"whole": "passed"}], [{"whole": "crash"}], [{"points": 9}], fine[:-1],
        [{"probe": name, "arrays": {name: ["float32", [10**12], "AAAAAA=="]}} for name in names],
        [{"probe": name, "arrays": {name: ["float32", [-1], "AAAAAA=="]}} for name in names],
        [{"probe": name, "arrays": {name: ["object", [], "AAAAAA=="]}} for name in names],
        [{"probe": name, "arrays": {name: ["float32", [2], "AAAAAA=="]}} for name in names],
        [{"probe": name, "arrays": [zero]} for name in names],
        [{"probe": name, "problem": "passed", "sentence": "", "error": ""} for name in names],
        [{"probe": name, "problem": "crash", "sentence": {}, "error": ""} for name in names],
        [{"probe": name, "problem": "crash", "sentence": "", "error": ""} for name in names],
        [{"probe": name, "arrays": {name: ["float32", [0, 10**9], ""]}} for name in names],
        b"[" + 10_000 * b"[]," + b"{}]" + 10_000 * b",",
    ):  # fmt: skip
        assert how(forged) == Outcome.FORGED, forged


def test_arrays_survive_the_way_out():
    from vqtutor.grading import worker

    for array in (
        np.arange(6, dtype=np.int32).reshape(2, 3),
        np.float32(2.5),
        np.zeros((0, 3)),
        np.array([True, False]),
    ):
        seen = [checking.Observation(probe.name, {"a": np.asarray(array)}) for probe in QUICK.probes]
        (back, *_) = unpack(QUICK, json.dumps([worker.plain(one) for one in seen]).encode()).observations
        assert back.arrays["a"].dtype == np.asarray(array).dtype
        np.testing.assert_array_equal(back.arrays["a"], array)


# -- safe --------------------------------------------------------------------------------------------------------------


@needs_sandbox
@pytest.mark.parametrize("name", made_class.ATTACKS)
def test_an_attack_costs_its_own_exercise_only(name, grader, tmp_path):
    (tmp_path / "grades.sqlite").write_text("secret")
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0)
    source = made_class.attack(name, QUICK, tmp_path, listener.getsockname()[1])
    start = time.monotonic()
    with grader.box() as box:
        worker = box._process
    verdict = grader.judge(Answer(QUICK.id, source))
    if box._isolated:
        assert box._process is worker and worker.poll() is None  # it did not even reach the worker
    assert time.monotonic() - start < 60
    assert verdict["points"] == 0, verdict
    assert verdict["state"] == "not yet" and (verdict["message"] or verdict["misconception"]), verdict
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grades.sqlite"]
    with pytest.raises(BlockingIOError):
        listener.accept()
    assert grader.judge(Answer(QUICK.id, RIGHT))["state"] == "passed"  # in the same sandbox, right after


def below(pid):
    """Return the processes that a process has started, each after its parent."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:  # the loop adds to the list
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def wait_for(what, seconds=60):
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


SPINNING = """
import sys
from pathlib import Path
from vqtutor.grading.sandbox import Limits, Sandbox
from vqtutor.lessons import EXERCISES
with Sandbox(Path(sys.argv[1]), unsafe=sys.argv[2] == "unsafe") as box:
    print(box._process.pid, flush=True)
    spins = "def to_unit_range(pixels):\\n    while True: pass\\n"
    box.run(EXERCISES["start.to_unit_range"], spins, Limits(seconds=100))
"""


def spinning(answer):
    """Whether a process runs, and is not a zombie."""
    with suppress(OSError):
        return Path(f"/proc/{answer}/stat").read_text().rpartition(")")[2].split()[0] in "RS"
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell a child that its parent ended")
@pytest.mark.parametrize("killed", ["the keeper", "the grader"])
@pytest.mark.parametrize("how", ["unsafe", pytest.param("sandbox", marks=needs_sandbox)])
def test_an_answer_whose_keeper_dies_is_ended(how, killed, tmp_path):
    command = [sys.executable, "-c", SPINNING, str(tmp_path), how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as grader:
        worker = int(grader.stdout.readline())
        depth = len(below(worker)) + 2  # besides the worker: the keeper, and the answer
        wait_for(lambda: len(below(worker)) == depth)
        *_, keeper, answer = below(worker)
        assert spinning(answer)
        os.kill(keeper if killed == "the keeper" else grader.pid, 9)
        wait_for(lambda: not spinning(answer), 10)
        grader.kill()


NAPS = """
import os, sys, time
from vqtutor.grading import worker

def naps(*_):
    while True:
        time.sleep(0.2)
        start = time.process_time()
        while time.process_time() < start + 0.004:
            pass

worker._be_the_answer = naps
start = time.process_time()
print(worker._keep(worker.Limits(0, 0, 0, 0.0, 0.5), os.pipe()[1], False))
"""


def test_an_answer_that_naps_is_late_in_the_end():
    """It uses next to no processor time, and never sleeps for long."""
    done = subprocess.run([sys.executable, "-c", NAPS], capture_output=True, text=True, timeout=100)
    assert done.stdout.split() == ["124"], done.stderr


@needs_sandbox
def test_privileges_are_dropped_on_every_road(memory, grader):
    asks = (
        "import ctypes, struct\nheld = ctypes.create_string_buffer(24)\n"
        "ctypes.CDLL(None).capget(struct.pack('Ii', 0x20080522, 0), held)\n"
        "if any(held.raw[:8] + held.raw[12:20]): raise SystemExit(str(held.raw))\n"  # effective and permitted
    )
    for unsafe in (False, True):
        for isolated in (True, False):
            with sandbox.Sandbox(grader.memory / "programs", unsafe) as box:
                box._isolated &= isolated
                reply = box.run(QUICK, asks + RIGHT, SHORT)
                assert reply.outcome == Outcome.OBSERVED, (unsafe, isolated, reply)


def test_a_control_group_counts_all_that_is_in_it(tmp_path):
    """On this machine's groups, where some can be made, and on a folder laid out like version 2's."""
    group = Group(50)
    try:
        if group.folders:
            group.limit_memory(64 << 20)
            eat = [sys.executable, "-c", "x = bytearray(b'x') * (256 << 20)"]
            assert subprocess.run(group.command(eat)).returncode == -9
            lives = [sys.executable, "-c", "print('lives')"]
            assert subprocess.run(group.command(lives), capture_output=True, text=True).stdout == "lives\n"
    finally:
        folders = group.folders
        group.close()
    assert not any(folder.exists() for folder in folders)


def test_a_control_group_of_version_2_lies_where_controllers_are_passed_on(tmp_path, monkeypatch):
    """As in a user's session: no control file in a group that is made there; in one a level above, there are."""
    top, proc = tmp_path / "cgroup", tmp_path / "proc"
    (top / "user" / "session").mkdir(parents=True)
    proc.mkdir()
    (proc / "mountinfo").write_text(f"31 23 0:28 / {top} rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n")
    (proc / "cgroup").write_text("0::/user/session\n")
    mkdir = Path.mkdir

    def as_the_kernel_does(folder, *rest, **options):
        mkdir(folder, *rest, **options)
        if folder.parent == top / "user":
            for file in ("memory.max", "memory.swap.max", "pids.max", "cgroup.procs"):
                (folder / file).write_text("max")

    monkeypatch.setattr(Path, "mkdir", as_the_kernel_does)
    group = Group(50, proc)
    (folder,) = group.folders
    group.limit_memory(1 << 30)
    assert folder.parent == top / "user" and list((top / "user" / "session").iterdir()) == []
    said = {file.name: file.read_text().strip() for file in folder.iterdir()}
    entered = int(said.pop("cgroup.procs"))
    assert said == {"memory.max": str(1 << 30), "memory.swap.max": "0", "pids.max": "50"} and entered != os.getpid()


@needs_sandbox
def test_a_clone_beside_the_interpreter_is_not_to_be_seen(grader):
    """As in a container whose Python and course share a folder."""
    clone = Path(sys.prefix) / "clone-of-a-test"
    clone.mkdir()
    try:
        (clone / "solution.py").write_text("")
        reads = RIGHT.replace("\n", f"\n    open({str(clone / 'solution.py')!r})\n", 1)
        assert "FileNotFoundError" in grader.judge(Answer(QUICK.id, reads))["message"]
    finally:
        shutil.rmtree(clone)
    reads = RIGHT.replace("\n", f"\n    open({sys.executable!r}, 'rb')\n", 1)
    assert grader.judge(Answer(QUICK.id, reads))["state"] == "passed"


@needs_sandbox
def test_nothing_passes_from_one_answer_to_the_next(grader):
    leave = (
        "import builtins, sys, os, jax, numpy, threading\n"
        "builtins.left = sys.left = numpy.left = jax.left = 'left'\n"
        "open('left', 'w').write('x'); os.environ['LEFT'] = 'x'; numpy.asarray = None\n"
        "jax.config.update('jax_enable_x64', True)\n"
    )
    look = (
        "import builtins, sys, os, jax, numpy\n"
        "traces = [hasattr(m, 'left') for m in (builtins, sys, numpy, jax)]\n"
        "traces += [os.path.exists('left'), os.getcwd() != '/scratch', 'LEFT' in os.environ]\n"
        "traces += [jax.config.jax_enable_x64, os.getpid() != 1]\n"
        "if any(traces): raise SystemExit(traces)\n"
    )
    assert grader.judge(Answer(QUICK.id, leave + RIGHT))["points"] < QUICK.points
    verdict = grader.judge(Answer(QUICK.id, look + RIGHT))
    assert verdict["state"] == "passed", verdict["message"]


@needs_sandbox
def test_without_namespaces_each_answer_has_a_worker_of_its_own(grader, memory):
    with sandbox.Sandbox(grader.memory / "programs") as box:
        box._isolated = False  # as on a machine that cannot
        first = box._process
        assert box.run(QUICK, RIGHT, SHORT).outcome == Outcome.OBSERVED
        assert first.poll() is not None and box._process is None
        assert box.run(QUICK, RIGHT, SHORT).outcome == Outcome.OBSERVED


def test_where_there_is_no_sandbox_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(sandbox.SandboxError, match="apt-get install bubblewrap.*--unsafe"):
        sandbox.Sandbox(tmp_path)


def test_unsafe_grades_alike(memory):
    grader = Grader(Limits(), unsafe=True, memory=memory / "unsafe")
    assert grader.judge(Answer(QUICK.id, RIGHT))["state"] == "passed"
    assert grader.judge(Answer(QUICK.id, RIGHT.replace("255", "256")))["points"] < QUICK.points
    assert grader.judge(Answer(QUICK.id, made_class.attack("os._exit", QUICK)))["outcome"] == Outcome.DIED
    grader.close()


def test_a_zip_of_one_students_files_is_named_after_the_student(tmp_path):
    good = nbformat.writes(made_class.notebook("00_start_here", {QUICK.id: RIGHT}))
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("李雷.zip", "asa/Åsa Öst.ZIP"):
        (folder / name).parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("00_start_here.ipynb", good)
    with zipfile.ZipFile(folder / "the rest.zip", "w") as archive:
        archive.writestr("noor_00_start_here.ipynb", good)
        archive.write(folder / "李雷.zip", "韩梅梅.zip")
    assert {one.student for one in collect(folder)} == {"李雷", "asa", "the rest"}  # the outermost name decides
    assert {one.student for one in collect(folder / "the rest.zip")} == {"noor", "韩梅梅"}
    (folder / "the rest.zip").rename(tmp_path / "the rest.zip")
    shutil.rmtree(folder)
    folder.mkdir()
    (tmp_path / "the rest.zip").rename(folder / "the rest.zip")  # alone, it is the class's
    assert {one.student for one in collect(folder)} == {"noor", "韩梅梅"}
    (folder / "broken.zip").write_bytes(b"PK no zip")
    for place in (folder, folder / "broken.zip"):
        damaged = [one for one in collect(place) if isinstance(one, Damage)]
        assert [one.file for one in damaged] == ["broken.zip"]


def test_a_zip_can_lead_nowhere(tmp_path):
    place = tmp_path / "hand-in.zip"
    good = nbformat.writes(made_class.notebook("00_start_here", {QUICK.id: RIGHT}))
    with zipfile.ZipFile(place, "w") as archive:
        for name in ("../../escape/00_start_here.ipynb", "/etc/00_start_here.ipynb", "Åsa Öst_00_start_here.ipynb"):
            archive.writestr(name, good)
        link = zipfile.ZipInfo("link/00_start_here.ipynb")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("notes.txt", "hello")
        with zipfile.ZipFile(tmp_path / "inner.zip", "w") as inner:
            inner.writestr("00_start_here.ipynb", good)
        archive.write(tmp_path / "inner.zip", "李雷.zip")
    found = list(collect(place))
    assert {one.student for one in found if isinstance(one, Submission)} == {"Åsa Öst", "李雷"}
    said = {one.file: one.sentence for one in found if isinstance(one, Damage)}
    assert "leads out" in said["../../escape/00_start_here.ipynb"] and "link" in said["link/00_start_here.ipynb"]
    assert len(said) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hand-in.zip", "inner.zip"]
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "eve_00_start_here.ipynb").symlink_to("/etc/passwd")
    assert ["link" in one.sentence for one in collect(folder)] == [True]


# -- fair --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("harm", made_class.HARMED, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("lesson", ["01_quantizer", "06_gated_pixelcnn"])
def test_answers_are_found_in_a_notebook_that_came_to_harm(lesson, harm, tmp_path):
    whole = made_class.notebook(lesson, {}, solved=True)
    nbformat.write(whole, tmp_path / f"ada_{lesson}.ipynb")
    (before,) = collect(tmp_path)
    (tmp_path / f"ada_{lesson}.ipynb").write_text(nbformat.writes(harm(whole)), encoding="utf-8")
    (after,) = collect(tmp_path)
    for id, answer in before.answers.items():
        assert answer.source and not answer.problem
        assert (after.answers[id].source, after.answers[id].given) == (answer.source, answer.given), id


def test_files_that_are_no_notebooks_are_named_and_the_rest_goes_on(tmp_path):
    text = nbformat.writes(made_class.notebook("00_start_here", {QUICK.id: RIGHT}))
    for i, harm in enumerate(made_class.DAMAGED.values()):
        (tmp_path / f"s{i}_00_start_here.ipynb").write_text(harm(text))
    (tmp_path / "t_00_start_here.ipynb").write_text(text)
    found = list(collect(tmp_path))
    assert [one.file for one in found if isinstance(one, Damage)] == [f"s{i}_00_start_here.ipynb" for i in range(4)]
    assert [one.student for one in found if isinstance(one, Submission)] == ["t"]


@pytest.mark.parametrize(
    ("file", "student"),
    [
        ("Anna Karenina/00_start_here.ipynb", "Anna Karenina"),
        ("李雷_00_start_here.ipynb", "李雷"),
        ("doejane_LATE_12345_67890_00_start_here-1.ipynb", "doejane"),
        ("Ömer Ak_123456_assignsubmission_file_/00_start_here.ipynb", "Ömer Ak"),
        ("Ömer Ak_123456_assignsubmission_file_00_start_here.ipynb", "Ömer Ak"),
        ("grace/my homework.ipynb", "grace"),
        ("HW1_jdoe_attempt_2024-01-31-10-11-12_00_start_here.ipynb", "jdoe"),
        ("HW1_eve_attempt_2024-01-31-10-11-12_HW1_ada_attempt_2025-01-31-10-11-12_00_start_here.ipynb", "eve"),
        ("eve_123_456_ada_5_assignsubmission_file_00_start_here.ipynb", "eve"),
        ("Ada Lovelace - Copy of 00_start_here.ipynb", "Ada Lovelace"),
        ("Copy of Ada Lovelace - 00_start_here (1).ipynb", "Ada Lovelace"),
        ("student_101_00_start_here-Copy1.ipynb", "student_101"),
        ("00_start_here/Ada/homework.ipynb", "Ada"),
        ("Copy of 00_start_here.ipynb", "Copy of 00_start_here"),
        ("Ada/Bob/00_start_here.ipynb", "Ada"),
    ],
)
def test_whose_a_notebook_is(file, student, tmp_path):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(made_class.notebook("00_start_here", {QUICK.id: RIGHT}), tmp_path / file)
    (found,) = collect(tmp_path)
    assert (found.student, found.lesson) == (student, "start")
    assert bool(found.note) == (student == "Copy of 00_start_here")


@pytest.mark.parametrize(
    ("name", "lesson"),
    [
        ("ada_00_start_here", "start"),
        ("ada_00b_primer", "primer"),
        ("Ada - Copy of 00B_Primer (1)", "primer"),
        ("ada_00b_renamed", "primer"),
        ("ada_00_begin", "start"),
        ("ada_01_bonus", "quantizer"),
    ],
)
def test_the_lesson_is_read_from_the_number_in_a_name(name, lesson):
    found = read_name(name)
    assert (found.lesson, found.who.casefold()) == (lesson, "ada")


def hand_in(place, *names):
    """Write notebooks of the first lesson, each with an answer of its own, at names with folders and zips in them."""
    for number, name in enumerate(names):
        text = nbformat.writes(made_class.notebook("00_start_here", {QUICK.id: f"{RIGHT}number = {number}"}))
        at, _, inner = name.partition(".zip/")
        path = place / (f"{at}.zip" if inner else at)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not inner:
            path.write_text(text)
            continue
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(inner, text)


def standing(place, folder, roster=None):
    """Return ({student: the number of the file that stands}, what is said about files and students)."""
    book = Gradebook(folder, "a version")
    book.take_in(collect(place, book.digests(), roster), lambda answer: answer.cell, roster)
    rows = book._db.execute("SELECT student, key FROM answers WHERE exercise = ?", (QUICK.id,))
    return {student: int(key.rpartition(" ")[2]) for student, key in rows}, dict(book.damaged()), book


@pytest.mark.parametrize(
    ("names", "wanted", "about"),
    [
        # A zip of the class, with the course's folder in it, and a folder of downloads that are called like lessons.
        (["class.zip/vq/Ada/00_start_here.ipynb", "class.zip/vq/Bob/00_start_here.ipynb"], {"Ada": 0, "Bob": 1}, None),
        (["00_start_here.zip/Ada_1_assignsubmission_file_/x.ipynb", "01_quantizer/Bob/00_start_here.ipynb"],
         {"Ada": 0, "Bob": 1}, None),
        (["vq.zip/00_start_here/Ada_00_start_here.ipynb", "vq.zip/01_quantizer/Bob/00_start_here.ipynb"],
         {"Ada": 0, "Bob": 1}, None),
        # What is in a student's folder or zip is the student's, whatever it is called.
        (["Ann/00_start_here.ipynb", "Eve/Ann/00_start_here.ipynb", "Zed.zip/Ann_00_start_here.ipynb"],
         {"Ann": 0, "Eve": 1, "Zed": 2}, "Eve/Ann/00_start_here.ipynb"),
        (["ann_111_222_00_start_here.ipynb", "eve_333_444_ann_00_start_here.ipynb"],
         {"ann": 0, "eve": 1}, "eve_333_444_ann_00_start_here.ipynb"),
        (["Ada.zip/00_start_here.ipynb", "00_start_here.zip/Ada/00_start_here.ipynb"],
         {"Ada": 0, "00_start_here": 1}, "00_start_here.zip/Ada/00_start_here.ipynb"),
        # Students of one name, or of names that look like one.
        ([f"Ada_{number}_assignsubmission_file_/00_start_here.ipynb" for number in (11, 22)],
         {"Ada (11)": 0, "Ada (22)": 1}, "Ada (22)"),
        ([f"HW_{name}_doe_attempt_2024-01-31-10-11-12_00_start_here.ipynb" for name in ("jane", "john")],
         {"doe (1)": 0, "doe (2)": 1}, "doe (1)"),
        (["\xc5/00_start_here.ipynb", "A\u030a/00_start_here.ipynb"], {"\xc5 (1)": 1, "\xc5 (2)": 0}, "\xc5 (1)"),
        (["ada/00_start_here.ipynb", "Ada/00_start_here.ipynb"], {"ada": 0, "Ada": 1}, "ada"),
        # Of two files of one student the newest stands: by the time of the attempt, the number, the version, the clock.
        ([f"HW_jd_attempt_2024-{month}-31-10-11-12_00_start_here.ipynb" for month in ("03", "01")],
         {"jd": 0}, "HW_jd_attempt_2024-01-31-10-11-12_00_start_here.ipynb"),
        (["jd_111_999_00_start_here.ipynb", "jd_LATE_111_888_00_start_here-1.ipynb"],
         {"jd": 0}, "jd_LATE_111_888_00_start_here-1.ipynb"),
        (["Ada/00_start_here (2).ipynb", "Ada/00_start_here (10).ipynb", "Ada/00_start_here.ipynb"],
         {"Ada": 1}, "Ada/00_start_here (2).ipynb"),
        (["Ada/b/00_start_here.ipynb", "Ada/a/00_start_here.ipynb", "Bo/x/00_start_here.ipynb"],
         {"Ada": 1, "Bo": 2}, "Ada/b/00_start_here.ipynb"),
        # Where nothing says whose they are, none replaces another.
        (["00_start_here.ipynb", "00_start_here (1).ipynb"],
         {"00_start_here": 0, "00_start_here (1)": 1}, "00_start_here (1).ipynb"),
    ],
)  # fmt: skip
def test_nobody_replaces_anybody_and_the_newest_stands(names, wanted, about, tmp_path):
    hand_in(tmp_path / "class", *names)
    if not all((tmp_path / "class" / name.partition(".zip/")[0]).exists() or ".zip/" in name for name in names):
        pytest.skip("this file system tells these names not apart")
    found, said, _ = standing(tmp_path / "class", tmp_path / "report")
    assert found == wanted
    assert said.get(about) if about else not said
    assert standing(tmp_path / "class", tmp_path / "report")[:2] == (found, said)  # nothing is read again


def test_a_roster_settles_names_and_shows_who_is_missing(tmp_path, capsys):
    from vqtutor import cli
    from vqtutor.grading.owners import Roster

    table = tmp_path / "students.csv"
    table.write_text("Student;user;e-mail\nDoe, Jane;jd7;jane@x.org\nJohn Doe;222;\nBo;;\n\n", encoding="utf-8-sig")
    names = ["doejane_111_555_00_start_here.ipynb", "doe_222_666_00_start_here.ipynb", "who.zip/00_start_here.ipynb"]
    hand_in(tmp_path / "class", *names)
    assert set(standing(tmp_path / "class", tmp_path / "report")[0]) == {"doejane", "doe", "who"}
    found, said, book = standing(tmp_path / "class", tmp_path / "report", Roster.read(table))
    assert found == {"Doe, Jane": 0, "John Doe": 1, "who": 2}  # though no file was read again
    assert book.students() == ["Bo", "Doe, Jane", "John Doe", "who"] and set(said) == {"Bo", "who"}
    assert said["Bo"] == "Nothing was handed in." and "roster" in said["who"]
    for text, sentence in (("", "no column"), ("name\nAda\n", "no column `student`"), ("student\n", "no students"),
                           ("student,id\n,7\n", "without a student"), ("student\nAda\nAda\n", "two students"),
                           ('student\n"Ada', "commas and quotes"), ("student\n\xc5", "not UTF-8")):  # fmt: skip
        table.write_text(text, encoding="latin-1")
        arguments = ["grade", str(tmp_path / "class"), "--out", str(tmp_path / "out"), "--roster", str(table)]
        assert cli.main(arguments) == 1 and sentence in capsys.readouterr().err, text
    assert cli.main([*arguments[:-1], str(tmp_path / "none.csv")]) == 1 and "cannot be read" in capsys.readouterr().err


def test_a_report_of_an_earlier_version_is_gone_on_with(tmp_path):
    hand_in(tmp_path / "class", "Ada/00_start_here.ipynb")
    (tmp_path / "report").mkdir()
    with sqlite3.connect(tmp_path / "report" / "grades.sqlite") as old:
        old.executescript("""
            CREATE TABLE verdicts (key TEXT PRIMARY KEY, verdict TEXT);
            CREATE TABLE files (file TEXT PRIMARY KEY, student TEXT, lesson TEXT, digest TEXT, note TEXT);
            CREATE TABLE handed_in (file TEXT, exercise TEXT, key TEXT, answer TEXT, shape TEXT);
            CREATE TABLE texts (file TEXT, question TEXT, text TEXT);
            CREATE VIEW standing AS SELECT MAX(file) AS file, student, lesson FROM files GROUP BY student, lesson;
            INSERT INTO verdicts VALUES ('kept', '{}');
            INSERT INTO files VALUES ('Ada/00_start_here.ipynb', 'Ada', 'start', 'x', '');
            INSERT INTO handed_in VALUES ('gone.ipynb', 'start.to_unit_range', 'kept', '{}', '');
        """)
    old.close()
    found, said, book = standing(tmp_path / "class", tmp_path / "report")
    assert found == {"Ada": 0} and not said and set(book.verdicts()) == {"kept"}


def test_limits_are_part_of_a_verdict(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(Grader, "prepare", lambda self, exercise: None)
    monkeypatch.setattr(Grader, "box", contextmanager(lambda self, own=False: (yield None)))
    verdict = Grader().judge(Answer(QUICK.id))
    monkeypatch.setattr(
        Grader, "judge", lambda self, answer: (answer.exercise == QUICK.id and asked.append(self.limits), verdict)[1]
    )
    hand_in(tmp_path / "class", "Ada/00_start_here.ipynb")
    for limits, count in ((SHORT, 1), (SHORT, 1), (Limits(4.0), 2), (Limits(4.0, memory=8 << 30), 3), (SHORT, 3)):
        grade(tmp_path / "class", tmp_path / "report", limits=limits, progress=False)
        assert len(asked) == count
    assert asked == [SHORT, Limits(4.0), Limits(4.0, memory=8 << 30)]


def test_an_answer_that_cannot_be_judged_is_left_to_hands_and_tried_again(tmp_path, monkeypatch):
    def fails(self, answer):
        raise OverflowError("of a forged number")

    monkeypatch.setattr(Grader, "prepare", lambda self, exercise: None)
    monkeypatch.setattr(Grader, "box", contextmanager(lambda self, own=False: (yield None)))
    hand_in(tmp_path / "class", "Ada/00_start_here.ipynb")
    with monkeypatch.context() as patch:
        patch.setattr(Grader, "_judge", fails)
        grade(tmp_path / "class", tmp_path / "report", progress=False)
    page = (tmp_path / "report" / "index.html").read_text()
    assert "Ada, start.to_unit_range: could not be judged: look at it by hand" in page
    monkeypatch.setattr(Grader, "judge", lambda self, answer: asked.append(answer.exercise) or verdict)
    asked, verdict = [], Grader._judge(Grader(), Answer(QUICK.id))
    grade(tmp_path / "class", tmp_path / "report", progress=False)
    assert asked.count(QUICK.id) == 1


@pytest.mark.parametrize(
    "text", ["=x", " =x", "\n=x", "\t=x", "\ufeff+x", "\u200b-x", "\uff1dx", "\uff0bx", "\u2212x", "\xa0@x"]
)
def test_no_cell_of_a_table_is_a_formula(text):
    from vqtutor.grading.marks import safe

    assert safe(text) == f"'{text}" and safe(f"x{text}") == f"x{text}"


@needs_sandbox
def test_helpers_of_other_cells_come_along_and_nothing_else_does(grader, tmp_path):
    made = made_class.notebook(
        "00_start_here", {QUICK.id: "def to_unit_range(pixels):\n    return halve(pixels) * TWO\n"}
    )
    new = nbformat.v4.new_code_cell
    made.cells.insert(0, new("x = 1 / 0\nprint(x)"))
    made.cells.insert(1, new("from numpy import *\nTWO = 2 * one()"))
    made.cells.insert(
        2, new("def one():\n    return float32(1)\n\ndef halve(pixels):\n    x = 510\n    return pixels / float32(x)")
    )
    nbformat.write(made, tmp_path / "ada_00_start_here.ipynb")
    (found,) = collect(tmp_path)
    assert "1 / 0" not in found.answers[QUICK.id].source
    assert grader.judge(found.answers[QUICK.id])["state"] == "passed"


@needs_sandbox
@pytest.mark.parametrize("id", EXERCISES)
def test_a_right_answer_passes_as_in_the_students_own_check(id, patient, tmp_path, monkeypatch):
    monkeypatch.setattr(Grader, "_computes", lambda *_: True)  # see the next test
    passes(id, patient, tmp_path)


@needs_sandbox
@pytest.mark.proof
@pytest.mark.parametrize("id", EXERCISES)
def test_a_right_answer_passes_the_second_look(id, patient, tmp_path):
    passes(id, patient, tmp_path)


def passes(id, patient, place):
    exercise, lesson = EXERCISES[id], made_class.lesson_of(EXERCISES[id])
    (_, cell), *_ = written.right(exercise)
    nbformat.write(made_class.notebook(lesson, {id: cell}), place / f"ada_{lesson}.ipynb")
    (found,) = collect(place)
    graded = patient.judge(found.answers[id])
    assert (graded["state"], graded["points"], graded["message"]) == ("passed", exercise.points, exercise.can), graded


@needs_sandbox
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.slug)
def test_a_wrong_answer_is_told_what_the_students_own_check_tells(lesson, patient, tmp_path):
    exercise = EXERCISES[f"{lesson.slug}.{lesson.exercises[-1]}"]
    (name, cell), *_ = written.wrong(exercise)
    nbformat.write(made_class.notebook(lesson.notebook, {exercise.id: cell}), tmp_path / f"ada_{lesson.notebook}.ipynb")
    (found,) = collect(tmp_path)
    graded = patient.judge(found.answers[exercise.id])
    own = checking.judge(exercise, exercise.misconceptions[0].answer, seconds=60)
    assert own.misconception == name
    for what in ("state", "points", "max_points", "misconception", "message"):
        assert graded[what] == getattr(own, what), (what, graded, own)


REMEMBERS = """
TABLE = {table}

def to_unit_range(pixels):
    return np.array(TABLE[pixels.shape, pixels.tobytes()], np.float32).reshape(pixels.shape)
"""


@needs_sandbox
def test_results_that_are_written_down_earn_nothing(grader, monkeypatch):
    """The check's inputs can be read in the package, so an answer could hold their results, and no computation."""
    table = {}

    def recorded(pixels):
        result = QUICK.reference(pixels)
        table[pixels.shape, np.asarray(pixels).tobytes()] = np.ravel(result).tolist()
        return result

    checking.observe(QUICK, recorded)
    source = REMEMBERS.format(table=table)
    verdict = grader.judge(Answer(QUICK.id, source))
    assert (verdict["state"], verdict["points"]) == ("not yet", 0) and "remember" in verdict["message"]
    monkeypatch.setattr(Grader, "_computes", lambda *_: True)
    assert grader.judge(Answer(QUICK.id, source))["state"] == "passed"


@needs_sandbox
def test_one_slip_costs_once(patient, tmp_path):
    wrong = "def nearest_code(z, codebook):\n    return jnp.argmax(squared_distances(z, codebook))\n"
    made = made_class.notebook("01_quantizer", {"quantizer.nearest_code": wrong}, solved=True)
    nbformat.write(made, tmp_path / "ada_01_quantizer.ipynb")
    (found,) = collect(tmp_path)
    for id in ("quantizer.nearest_code", "quantizer.VectorQuantizer"):
        passed = patient.judge(found.answers[id])["state"] == "passed"
        assert passed == (id != "quantizer.nearest_code")


# -- what is read ------------------------------------------------------------------------------------------------------


@needs_sandbox
def test_pages_show_code_as_text_and_hold_no_answers(tmp_path, memory, monkeypatch):
    monkeypatch.setenv("VQTUTOR_CACHE", str(memory / "cache"))
    evil = "def to_unit_range(pixels):\n    raise ValueError('<script>alert(1)</script>')  # <img src=x onerror=f()>\n"
    made = made_class.notebook("00_start_here", {QUICK.id: evil})
    (tmp_path / "class").mkdir()
    for name in ("=cmd()", "<b>bold", "नेहा"):
        nbformat.write(made, tmp_path / "class" / f"{name}_00_start_here.ipynb")
    grade(tmp_path / "class", tmp_path / "report", workers=1, limits=SHORT, progress=False)
    pages = [path.read_text() for path in (tmp_path / "report").rglob("*.html")]
    assert len(pages) == 4 and (tmp_path / "report" / "feedback" / "नेहा.html").exists()
    for page in pages:
        assert "<script" not in page and "<img" not in page and "<b>bold" not in page
        assert page.count("<h1>") == 1 and 'lang="en"' in page
        assert answer_of(QUICK.id).splitlines()[-1].strip() not in page
    assert "'=cmd()" in (tmp_path / "report" / "grades.csv").read_text(encoding="utf-8-sig")


@needs_sandbox
@pytest.mark.proof
def test_nbgraders_points_are_ours(tmp_path):
    pytest.importorskip("nbgrader")
    demo = Path(__file__).parents[1] / "benchmarks" / "nbgrader_demo.py"
    options = ["--students", "2", "--lessons", "00_start_here", "--once", "--folder", str(tmp_path / "x")]
    done = subprocess.run([sys.executable, str(demo), *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "3 pages" in done.stdout  # a wrong answer, an open one, and a right one that is noisy


def test_of_two_files_the_last_stands_and_one_that_is_gone_is_forgotten(tmp_path):
    def cells(folder):
        book = Gradebook(tmp_path / "report", "a version")
        found = list(collect(folder, book.digests()))
        book.take_in(found, lambda answer: answer.cell)
        keys = [key for key, answer in book.open_answers() if answer.exercise == QUICK.id]
        return keys, [type(one).__name__ for one in found], book

    place = tmp_path / "class"
    place.mkdir()
    old, new = "ada_12345_67890_00_start_here", "ada_LATE_12345_67899_00_start_here-1"
    for name, cell in ((new, "def to_unit_range(pixels):\n    return 2"),
                       (old, "def to_unit_range(pixels):\n    return 1")):  # fmt: skip
        nbformat.write(made_class.notebook("00_start_here", {QUICK.id: cell}), place / f"{name}.ipynb")
    keys, kinds, book = cells(place)
    assert [key[-1] for key in keys] == ["2"] and kinds == ["Submission"] * 2
    assert [file for file, _ in book.damaged()] == [f"{old}.ipynb"] and new in book.damaged()[0][1]
    assert cells(place)[1] == ["Unchanged"] * 2 and cells(place)[0] == keys
    (place / f"{new}.ipynb").unlink()
    keys, kinds, book = cells(place)
    assert [key[-1] for key in keys] == ["1"] and kinds == ["Unchanged"] and not book.damaged()
    assert Gradebook(tmp_path / "report", "another version").digests() == {}


def test_the_class_page_has_every_name_that_a_verdict_can_have():
    from vqtutor.grading import pages

    named = [(id, one.name) for id, e in EXERCISES.items() for one in (*e.misconceptions, *e.tried.slips)]
    rows = pages._misconceptions(dict.fromkeys(named, 1))
    assert len(rows) == len(set(named)) and all(row["says"] for row in rows)


def test_places_to_look_are_what_no_answer_needs():
    from vqtutor.grading import gradebook

    assert gradebook._reaches("def gate(x):\n    signal, os = x\n    return signal.open * os") == []
    assert gradebook._reaches("import os.path, jax\nfrom socket import create_connection") == ["os", "socket"]
    assert gradebook._reaches("def f(x):\n    return eval('x'), x.__globals__") == ["__globals__", "eval"]
    lines = "def f(X):\n    Y = X + 1  # Y\n" + 12 * "    Y = Y * X\n" + "    return Y"
    same = [Answer("a.b", lines.replace("X", x).replace("Y", y)) for x, y in ("xy", "ab")]
    assert gradebook._shape(same[0]) == gradebook._shape(same[1]) != ""
    assert gradebook._shape(Answer("a.b", same[0].source.replace("+", "-"))) != gradebook._shape(same[0])


def test_what_cannot_be_graded_is_said_in_one_sentence(tmp_path, capsys):
    from vqtutor import cli

    assert cli.main(["grade", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 1
    assert "There is nothing at" in capsys.readouterr().err
    (tmp_path / "class").mkdir()
    assert cli.main(["grade", str(tmp_path / "class"), "--out", str(tmp_path / "class" / "out")]) == 1
    assert "outside" in capsys.readouterr().err
    assert cli.main(["export", "nbgrader", str(tmp_path)]) == 1
    assert "vqtutor grade" in capsys.readouterr().err
