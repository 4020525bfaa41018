"""Whatever a class hands in, and whatever comes back from the sandbox, the report is whole and names everybody."""

import base64
import csv
import io
import json
import os
import re
import tempfile
import warnings
import zipfile
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote, unquote

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_grading import needs_sandbox

from vqtutor.grading import pages
from vqtutor.grading.collect import MAX_FILES, Answer, collect
from vqtutor.grading.grade import Grader, grade
from vqtutor.grading.marks import COLUMNS
from vqtutor.grading.owners import displayed
from vqtutor.grading.sandbox import Outcome, unpack
from vqtutor.lessons import EXERCISES

ID, NAME = "start.to_unit_range", "00_start_here.ipynb"
RIGHT = "def to_unit_range(pixels):\n    return pixels.astype('float32') / 255\n"
# The same examples each time, so that a run of the suite says something about the code and not about luck.
BOUNDED = settings(
    max_examples=25, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


def code(source, metadata=None):
    return {"cell_type": "code", "source": source, "metadata": metadata or {}, "outputs": [], "execution_count": None}


def notebook(*cells):
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": list(cells)})


def zipped(*files):
    """Return a zip of (name, contents)."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two files of one name
        for name, contents in files:
            archive.writestr(name, contents)
    return data.getvalue()


def put(place, name, contents):
    """Write a file; names are bytes on disk, of any encoding."""
    path = Path(os.fsdecode(os.fsencode(place) + b"/" + (name if isinstance(name, bytes) else os.fsencode(name))))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(contents if isinstance(contents, bytes) else contents.encode("utf-8", "surrogatepass"))


class Page(HTMLParser):
    """Collects a page's links."""

    def __init__(self, text):
        super().__init__()
        self.links = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name == "href" and not value.startswith("#")]


def assert_whole(out):
    """Every student has a row, an entry, a page, and a link that leads there; return {student: row}."""
    with open(out / "grades.csv", encoding="utf-8-sig", newline="") as table:
        rows = list(csv.DictReader(table))
    entries = json.loads((out / "grades.json").read_text(encoding="utf-8"))["students"]
    assert [row["student"].removeprefix("'") for row in rows] == [name.removeprefix("'") for name in entries]
    files = sorted(path.name for path in (out / "feedback").iterdir())
    links = Page((out / "index.html").read_text(encoding="utf-8")).links
    assert all(link == quote(unquote(link)) for link in links)
    pages = [unquote(link) for link in links if not link.startswith(("marking/", "free_text"))]
    assert sorted(page.removeprefix("feedback/") for page in pages) == files and len(files) == len(rows)
    assert all((out / unquote(link)).exists() for link in links)
    for file in files:
        assert "</html>" in (out / "feedback" / file).read_text(encoding="utf-8")
    with open(out / "free_text.csv", encoding="utf-8-sig", newline="") as table:
        assert all(len(row) == len(COLUMNS) for row in csv.reader(table))
    return dict(zip(entries, rows, strict=True))


# -- what a class hands in ---------------------------------------------------------------------------------------------

# Names that look alike, that are one in some file systems, or that mean something in links, tables and terminals.
CONFUSED = [
    "ada",
    "Ada",
    "ada ",
    "a\u200bda",
    "A\u030a",
    "\xc5",
    "50% #1?",
    "=x",
    "\n=x",
    "CON",
    "\x1b[31m",
    "\u202eadA",
]
odd_text = st.text(st.characters(codec=None), max_size=30) | st.sampled_from(
    ["", "\ud800", "＝x", "..", NAME, *CONFUSED]
)
odd_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | odd_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_text, inner, max_size=3),
    max_leaves=8,
)
sources = st.sampled_from(
    [RIGHT, "%%time\n" + RIGHT, "x = 1 / 0", "\ud800", "\0", "'" * 3, "(" * 300, "x = " + "-" * 5000 + "1"]
)
roles = st.sampled_from(["free_text", "answer"])
abouts = odd_json | st.fixed_dictionaries(
    {
        "vqtutor": odd_json
        | st.fixed_dictionaries({"role": roles | odd_json, "exercise": odd_json, "question": odd_json})
    }
)
cells = odd_json | st.fixed_dictionaries(
    {
        "cell_type": st.sampled_from(["code", "markdown"]) | odd_json,
        "source": sources | st.lists(sources | odd_json, max_size=3) | odd_json,
        "metadata": st.just({"vqtutor": {"role": "free_text", "question": "q"}}) | abouts,
    }
)
notebooks = st.one_of(
    st.just(notebook(code(RIGHT))),
    st.lists(cells, max_size=4).map(lambda cells: notebook(*cells)),
    st.dictionaries(st.sampled_from(["cells", "worksheets", "metadata", "nbformat"]), odd_json).map(json.dumps),
    odd_json.map(json.dumps),
    st.binary(max_size=40),
)
# Names on disk: any bytes; `.` and `..` are no names, and a name is at most 255 bytes long.
names = st.binary(min_size=1, max_size=80) | odd_text.map(lambda text: text.encode("utf-8", "surrogatepass") or b"x")
names = st.sampled_from(CONFUSED).map(str.encode) | names.map(
    lambda name: name.replace(b"/", b"_").replace(b"\0", b"_")[:150].rstrip(b".") or b"x"
)
inner = st.sampled_from([NAME, f"Bob/{NAME}", f"../{NAME}", f"Bob_{NAME}", "x.txt", "a\\" + NAME, "01_quantizer.zip"])


@st.composite
def zips(draw, depth=2):
    contents = notebooks if depth == 0 else notebooks | zips(depth - 1)
    data = bytearray(zipped(*draw(st.lists(st.tuples(inner, contents), max_size=3))))
    for at in draw(st.lists(st.integers(0, len(data) - 1), max_size=3)):
        data[at] ^= draw(st.integers(0, 255))
    return bytes(data)


@st.composite
def handed_in(draw):
    """Return (name, contents) of what a student hands in."""
    name = draw(names)
    return draw(
        st.sampled_from(["folder", "flat", "zip", "Moodle", "Canvas", "Blackboard"]).flatmap(
            lambda kind: st.tuples(
                {
                    "folder": st.just(name + b"/" + NAME.encode()),
                    "flat": st.just(name + b"_" + NAME.encode()),
                    "zip": st.just(name + b".zip"),
                    "Moodle": st.just(name + b"_12_assignsubmission_file_/" + NAME.encode()),
                    "Canvas": st.just(name + b"_12345_67890_" + NAME.encode()),
                    "Blackboard": st.just(b"HW_" + name + b"_attempt_2024-01-31-10-11-12_" + NAME.encode()),
                }[kind],
                zips() if kind == "zip" else notebooks | zips(),
            )
        )
    )


names_of_others = st.sampled_from(["zz", *CONFUSED])


# -- what comes back ---------------------------------------------------------------------------------------------------

EDGES = [0.0, -0.0, 1.0, -1.5, 1e-320, 3e38, 1e308, -1e308, float("inf"), float("-inf"), float("nan")]
DTYPES = ["float32", "float64", "float16", "int8", "int64", "uint64", "bool", "bfloat16"]


@st.composite
def arrays(draw, expected):
    """Return an array as a reply has it: like the expected one, or of an odd shape, type, size or value."""
    dtype, shape = draw(st.sampled_from(DTYPES)), list(expected.shape)
    change = draw(st.sampled_from(["none", "turn", "axis", "drop", "other"]))
    if change == "turn":
        shape = shape[::-1]
    elif change == "axis":
        shape.insert(draw(st.integers(0, len(shape))), draw(st.integers(0, 3)))
    elif change == "drop":
        shape = shape[1:]
    elif change == "other":
        shape = draw(st.lists(st.integers(-1, 4) | st.sampled_from([10**6, 10**30]), max_size=6))
    if change == "none" and draw(st.booleans()):
        data = np.asarray(expected, "float32").tobytes()
    else:
        size = int(np.prod(shape, dtype=object))
        edges = draw(st.lists(st.sampled_from(EDGES), min_size=1, max_size=4))
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind = "float16" if dtype == "bfloat16" else dtype
            data = np.resize(np.array(edges), size if 0 <= size < 10**5 else 1).astype(kind).tobytes()
    return [dtype, shape, base64.b64encode(data).decode()]


@st.composite
def replies(draw, exercise):
    """Return what an answer may send: the probes' names with odd arrays, or anything at all."""
    if draw(st.integers(0, 3)) == 0:
        return draw(st.binary(max_size=30) | odd_json.map(lambda value: json.dumps(value).encode()))
    entries = []
    for right in exercise.tried.right:
        if draw(st.integers(0, 5)) == 0:
            entries.append({"probe": right.probe, "problem": "crash", "sentence": draw(odd_text), "error": "E\ud800"})
        else:
            drawn = {name: draw(arrays(array)) for name, array in right.arrays.items()}
            entries.append({"probe": right.probe, "arrays": drawn | draw(st.just({}) | st.just({"\ud800": []}))})
    return json.dumps(entries).encode()


def answered(reply):
    """Return a sandbox that gives this reply to every answer."""

    @contextmanager
    def box(self, own=False):
        yield SimpleNamespace(run=lambda exercise, source, limits, given=(), seed=None: unpack(exercise, reply))

    return box


def kept(self, exercise, answer):
    """Stands for Grader.look: nothing runs."""
    if answer is not exercise.reference:
        raise RuntimeError("nothing runs here")
    return exercise.tried.right


@pytest.fixture
def stub(monkeypatch):
    monkeypatch.setattr(Grader, "prepare", lambda self, exercise: None)
    monkeypatch.setattr(Grader, "look", kept)
    return lambda reply: monkeypatch.setattr(Grader, "box", answered(reply))


@BOUNDED
@given(st.lists(handed_in(), max_size=4), replies(EXERCISES[ID]))
def test_the_report_is_whole_whatever_is_handed_in(stub, handed, reply):
    stub(reply)
    with tempfile.TemporaryDirectory() as folder:
        place, out = Path(folder) / "class", Path(folder) / "report"
        for honest in ("Honest Hanna", "zz honest"):
            put(place, f"{honest}/{NAME}", notebook(code(RIGHT)))
        for name, contents in handed:
            try:
                put(place, name, contents)
            except OSError:  # a folder has the name of an earlier file
                continue
        tops = [path for path in place.iterdir() if path.is_dir() and not path.name.startswith((".", "._"))]
        book = grade(place, out, workers=1, progress=False)
        said = assert_whole(out)
        assert all(said[honest]["points"] == said["Honest Hanna"]["points"] for honest in ("Honest Hanna", "zz honest"))
        assert len(said) >= len({displayed(path.name) for path in tops if "_" not in path.name})
        files = [one.file for one in collect(place)]
        assert len(files) == len(set(files)) == book._db.execute("SELECT COUNT(*) FROM files").fetchone()[0]
        again = grade(place, out, workers=1, progress=False)
        assert assert_whole(out) == said and again.damaged() == book.damaged()


@BOUNDED
@given(st.data())
def test_whatever_comes_back_gives_a_verdict_that_can_be_shown(stub, data):
    exercise = EXERCISES[data.draw(st.sampled_from(list(EXERCISES)))]
    stub(data.draw(replies(exercise)))
    verdict = Grader().judge(Answer(exercise.id, RIGHT))
    assert 0 <= verdict["points"] <= exercise.points and verdict["outcome"] in list(Outcome)
    assert verdict["outcome"] != Outcome.BY_HAND and (verdict["message"] or verdict["probes"])
    assert json.dumps(verdict, ensure_ascii=False).encode() and pages._card(verdict).encode()


FOLDERS = {"plain": "{}", "Moodle": "{}_111_assignsubmission_file_", "its other": "{}_222_assignsubmission_file_"}


@BOUNDED
@given(
    st.lists(
        st.tuples(st.sampled_from(CONFUSED), st.sampled_from(list(FOLDERS))),
        min_size=1,
        max_size=8,
        # A number of Moodle's belongs to one name: with it, "ada" and "ada " are the same person.
        unique_by=lambda one: (one[0] if one[1] == "plain" else displayed(one[0]), one[1]),
    ),
    st.data(),
)
def test_nobody_replaces_anybody(stub, students, data):
    """Whatever students are called, and whatever names they give to their files, each has what they handed in."""
    stub(b"")
    with tempfile.TemporaryDirectory() as folder:
        place, out = Path(folder) / "class", Path(folder) / "report"
        put(place, f"zz/{NAME}", notebook(code(RIGHT)))
        for number, (name, kind) in enumerate(sorted(students)):
            top, other = FOLDERS[kind].format(name.replace("/", "_")), FOLDERS[kind].format(data.draw(names_of_others))
            file = data.draw(st.sampled_from([NAME, f"{other}/{NAME}", f"{other}_{NAME}"]))
            put(place, f"{top}/{file}", notebook(code(f"{RIGHT}\nnumber = {number}")))
        book = grade(place, out, workers=1, progress=False)
        said = assert_whole(out)
        cells = [re.findall(r"number = (\d+)", book.of_student(student)[ID]["cell"]) for student in said]
        assert sorted(cells) == sorted([[], *([str(number)] for number in range(len(students)))])


# -- one of each, in the sandbox ---------------------------------------------------------------------------------------

SENDS = "import os; os.write(3, {}); os._exit(0)"
NAN = base64.b64encode(np.float32("nan").tobytes()).decode()
FORGED = [{"probe": probe.name, "arrays": {probe.name: ["float32", [], NAN]}} for probe in EXERCISES[ID].probes]
ODD_ANSWERS = {
    "a lone surrogate in an error": "raise ValueError('\\ud800 \\x1b[31m')",
    "NaN for numbers": SENDS.format(repr(json.dumps(FORGED).encode())),
    "6 MB of brackets": SENDS.format("b'[' + b'[],' * (2 << 20) + b'[]]'"),
    "a million pairs": SENDS.format("b'[' + b'{},' * 1000000 + b'{}]'"),
}
CHAIN = (
    "\n".join(f"def f{i}(x): return f{i + 1}(x)" for i in range(900)) + "\ndef f900(x): return x / np.float32(255)\n"
)


def odd_files():
    """Return {name: contents} of one file of each oddity that was seen to stop a report."""
    corrupt = bytearray(zipped((NAME, notebook(code(RIGHT + "#" + os.urandom(4000).hex())))))
    corrupt[200:1200] = bytes(1000)
    free = {"vqtutor": {"role": "free_text", "question": {"a": 1}}}
    return {
        f"corrupt zip {os.getpid()}.zip": bytes(corrupt),
        b"\xff\xfe_" + NAME.encode(): notebook(code(RIGHT)),
        "李" * 80 + f"/{NAME}": notebook(code(RIGHT)),
        f"chain/{NAME}": notebook(
            code("import numpy as np\n" + CHAIN + "def to_unit_range(pixels): return f0(pixels)")
        ),
        f"magics/{NAME}": notebook(code("\n".join(["%time"] * 520)), code(RIGHT)),
        f"types/{NAME}": notebook(code(RIGHT), code("x", [1]), code("x", free), {"cell_type": "code", "source": 3}),
        "empties.zip": zipped(*((f"{i}.ipynb", "") for i in range(2_000))),
        f"brackets/{NAME}": '{"cells":[' + "[]," * 2_000_000 + "[]]}",
        "nobody/": "",
        f"\x1b[31mred\n/{NAME}": notebook(code(RIGHT)),
        f"50% #1?/{NAME}": notebook(code(RIGHT)),
        f"\n=cmd()/{NAME}": notebook(code(RIGHT)),
        f"long/{NAME}": notebook(code("x = '" + "x" * 100_000 + "'"), code(RIGHT)),
        f"zz last/{NAME}": notebook(code(RIGHT)),
    }


@needs_sandbox
def test_one_of_each_oddity_costs_itself(tmp_path, monkeypatch, capsys):
    from vqtutor import cli

    monkeypatch.setenv("VQTUTOR_CACHE", str(tmp_path / "cache"))
    place, out = tmp_path / "class", tmp_path / "report"
    for name, body in ODD_ANSWERS.items():
        put(place, f"{name}/{NAME}", notebook(code(f"def to_unit_range(pixels):\n    {body}\n")))
    for name, contents in odd_files().items():
        if name == "nobody/":
            (place / name).mkdir()
        else:
            put(place, name, contents)
    for _ in range(2):  # what was stored is read again
        assert cli.main(["grade", str(place), "--out", str(out), "--workers", "2"]) == 0
        printed = capsys.readouterr().out
        assert "\x1b" not in printed
        said = assert_whole(out)
        points = {name: row["points"] for name, row in said.items()}
        assert len(said) == len(ODD_ANSWERS) + len(odd_files())
        full = str(EXERCISES[ID].points)
        for name in (
            "zz last",
            "chain",
            "magics",
            "types",
            "\\udcff\\udcfe",
            "50% #1?",
            "=cmd()",
            "[31mred",
            "李" * 80,
        ):
            assert points[name] == full, (name, points)
        for name in (*ODD_ANSWERS, "brackets", "empties", "nobody"):
            assert points[name] == "0", (name, points)
        assert said["=cmd()"]["student"] == "'=cmd()"
        assert f"long/{NAME}: Cells of over 100,000 characters were left out." in printed
        for named in ("nobody", "empties", "brackets", "corrupt zip"):
            assert re.search(f"^{named}.*: .*Nothing that was handed in could be read", printed, re.MULTILINE), named
        assert printed.count("\nempties.zip/") == MAX_FILES  # the zip itself is one, and the last says so


@pytest.mark.filterwarnings("ignore")  # the clock can ring where an error is lost; then it rings again
def test_reading_ends_in_time(tmp_path, monkeypatch):
    from vqtutor.grading import collect as module

    monkeypatch.setattr(module, "MAX_SECONDS", 0.2)
    slow = [code("\n".join(f"v{i} = v{i + 1}" for i in range(at, at + 6000))) for at in range(0, 24_000, 6000)]
    put(tmp_path, f"ada/{NAME}", notebook(*slow, code("def to_unit_range(x): return v0")))
    put(tmp_path, f"bob/{NAME}", notebook(code(RIGHT)))
    late, fine = collect(tmp_path)
    assert "took over 0.2 seconds" in late.sentence and fine.answers[ID].source
