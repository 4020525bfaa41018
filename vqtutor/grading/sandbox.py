"""Run answers in a sandbox that returns only arrays.

On Linux the sandbox is bubblewrap: no network, a read-only file system without vqtutor, submissions and report, a
process namespace and a scratch folder for each answer, limits on processor time, memory and files. Inside runs
worker.py. It gets text: one answer, the module of its probes, and the earlier answers that it uses, but neither
expected values nor the answer to that exercise. It returns JSON, which is checked here.
"""

import ast
import base64
import json
import math
import os
import shutil
import struct
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import haiku as hk
import ml_dtypes  # comes with jax; gives numpy its bfloat16
import numpy as np

from vqtutor.checking import Exercise, Observation, Problem
from vqtutor.checking.probe import MAX_ELEMENTS
from vqtutor.grading import worker
from vqtutor.grading.cgroup import Group
from vqtutor.lessons import EXERCISES
from vqtutor.lessons.answers import answer_of, uses
from vqtutor.lessons.answers import given as given_by_lesson
from vqtutor.source import PREAMBLE
from vqtutor.storage import whole

PACKAGE = Path(__file__).parents[1]
# The part of vqtutor that answers may use.
FACE = "from vqtutor.models.convolutions import Conv2D, Conv2DTranspose, convolve\n"
_DTYPES = {"bool", "bfloat16", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))} | {
    f"float{bits}" for bits in (16, 32, 64)
}
MAX_MARKS = 20_000  # brackets and commas of a reply; numbers are in base64, and a right answer's reply has hundreds
OWN_MEMORY = 512 << 20  # bytes that the worker itself takes, with all that it has imported
GRACE = 10.0  # seconds, besides those of the probes, for starting, importing and defining the answer


# bubblewrap ends when the *thread* that started it ends; this one lives as long as the process.
_starter = ThreadPoolExecutor(1, "sandboxes")


@dataclass(frozen=True)
class Limits:
    """Limits on one answer.

    Attributes:
      seconds: of processor time for all probes, as a multiple of the exercise's own `seconds`.
      memory: bytes of address space.
      scratch: bytes of files in the scratch folder.
    """

    seconds: float = 2.0
    memory: int = 6 << 30
    scratch: int = 64 << 20


class SandboxError(Exception):
    """The sandbox does not work here; the message says why, and what to do."""


def bubblewrap() -> str:
    """Return bubblewrap's path, or raise SandboxError."""
    path = shutil.which("bwrap")
    if path is None:
        raise SandboxError(
            "Grading runs students' code, so it needs a sandbox: install bubblewrap (apt-get install bubblewrap). "
            "With --unsafe it goes on without one: an answer could then read and change your files and use the network."
        )
    return path


_PARTS = ("bin", "lib", "lib64", "pyvenv.cfg")


def _command(bwrap: str, programs: Path, own: bool) -> list[str]:
    """Return the command that starts worker.py inside bubblewrap."""
    # Of the interpreter's folder only its programs and libraries: a clone of the course may lie in it.
    places = [Path(prefix, part) for prefix in (sys.prefix, sys.base_prefix) for part in _PARTS]
    places += map(Path, map(sysconfig.get_path, ("purelib", "platlib", "stdlib")))
    places += [Path("/", part) for part in ("etc/ld.so.cache", "proc/cpuinfo", "sys/devices/system/cpu")]
    places += [Path(root, part) for root in ("/", "/usr", "/usr/local") for part in _PARTS[:3]]
    command = [bwrap, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--cap-add", "CAP_SYS_ADMIN"]
    command += ["--uid", "65534", "--gid", "65534", "--dev", "/dev", "--tmpfs", worker.SCRATCH]
    # No /proc, which would show the worker; only the files of /proc and /sys that XLA's kernels read.
    for place in sorted(set(places)):
        command += ["--ro-bind-try", str(place), str(place)]
    for site in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        if (Path(site) / "vqtutor").is_dir():  # hide the answers of an installed course
            command += ["--tmpfs", str(Path(site) / "vqtutor"), "--remount-ro", str(Path(site) / "vqtutor")]
    if own:
        command += ["--ro-bind", str(PACKAGE), f"{worker.COURSE}/vqtutor"]
    command += ["--bind" if own else "--ro-bind", str(programs), "/programs"]
    command += ["--ro-bind", worker.__file__, "/worker.py"]
    command += ["--remount-ro", "/dev", "--remount-ro", "/"]
    for name, value in _environment("/programs").items():
        command += ["--setenv", name, value]
    return [*command, sys.executable, "-I", "/worker.py", "isolate"]


def _environment(programs: str) -> dict[str, str]:
    return {
        "HOME": worker.SCRATCH,
        "TMPDIR": worker.SCRATCH,
        "PATH": "/usr/bin:/bin",
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": programs,  # programs that wrong answers compiled; others need most of them
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES": "none",  # theirs are a GPU's, and put the folder into programs' keys
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # as in probe.observe, but also while the answer is defined
        "MALLOC_ARENA_MAX": "2",
        "OMP_NUM_THREADS": "1",
    }


class Sandbox:
    """A worker that has JAX imported, and handles one request after another, each in a process of its own.

    Args:
      programs: a folder with compiled programs, for the worker to read.
      unsafe: run without bubblewrap.
      own: for the course's own answers: the course is visible, and compiled programs are added to `programs`.
    Raises:
      SandboxError: it does not start.
    """

    def __init__(self, programs: Path, unsafe: bool = False, own: bool = False):
        programs.mkdir(parents=True, exist_ok=True)
        programs.chmod(0o311)  # to be opened by name, which tells a program already, and not to be listed
        if unsafe:
            self._command = [sys.executable, "-I", worker.__file__]
            self._environment = os.environ | _environment(str(programs))
        else:
            self._command, self._environment = _command(bubblewrap(), programs, own), None
        self._ready_with = {} if own else common()
        self._group = Group(worker.TASKS)
        self._command = self._group.command(self._command)
        self._process = None
        self._isolated = False
        self._start()

    def _start(self) -> None:
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self._environment)
        self._process = _starter.submit(subprocess.Popen, self._command, **pipes).result()
        texts = json.dumps(self._ready_with).encode()
        with suppress(OSError):  # where it has ended already, it says why
            self._process.stdin.write(struct.pack(">q", len(texts)) + texts)
            self._process.stdin.flush()
        hello = self._process.stdout.read(6)
        if hello[:5] != b"ready":
            lines = self._process.stderr.read().decode(errors="replace").strip().splitlines()
            raise SandboxError(
                f"The sandbox does not start here ({lines[-1] if lines else 'it does not say why'}). Containers often "
                "forbid it: grade on a machine of your own, or, where there is nothing to lose, with --unsafe."
            )
        self._isolated = hello[5:] == b"1"

    def run(
        self,
        exercise: Exercise,
        source: str,
        limits: Limits,
        given: tuple[tuple[str, str], ...] = (),
        seed: int = 0,
    ) -> "Reply":
        """Run an answer with its exercise's probes.

        Args:
          exercise: the exercise that was answered.
          source: Python that defines the answer under the exercise's name.
          limits: on the answer.
          given: (name, id) of earlier exercises whose references are defined under these names.
          seed: of the second look, see `checking.probe.shaken`.
        """
        what = request(exercise, source, given) | {"seed": seed}
        return self._ask(exercise, what, limits, limits.seconds * exercise.seconds)[0]

    def run_own(self, exercise: Exercise, number: int, limits: Limits, seed: int = 0) -> tuple["Reply", bytes]:
        """Run an answer of the course itself, see `Exercise.catalogue`; return also the text that `unpack` reads."""
        what = {"exercise": exercise.id, "number": number, "at": str(PACKAGE.parent), "seed": seed}
        return self._ask(exercise, what, limits, 120.0)

    def _ask(self, exercise: Exercise, what: dict[str, Any], limits: Limits, seconds: float) -> tuple["Reply", bytes]:
        if self._process is None:
            self._start()
        self._group.limit_memory(limits.memory + OWN_MEMORY)
        frame = json.dumps(what).encode()
        head = struct.pack(worker.HEAD, len(frame), limits.memory, limits.scratch, seconds, GRACE)
        try:
            self._process.stdin.write(head + frame)
            self._process.stdin.flush()
            reply = self._process.stdout.read(struct.unpack(">q", self._process.stdout.read(8))[0])
            status, size = struct.unpack(">iq", reply[:12])
        except (OSError, struct.error):  # the worker has died: only this answer fails
            self.stop()
            return Reply(Outcome.DIED, "Your code took the process down that it ran in."), b""
        if not self._isolated:  # no namespaces: start a new worker for each answer
            self.stop()
        return _read(exercise, status, size, reply[12:]), reply[12:]

    def stop(self) -> None:
        """End the worker; another one starts with the next answer."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def close(self) -> None:
        self.stop()
        self._group.close()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_) -> None:
        self.close()


class Outcome(StrEnum):
    """The outcome of an answer in the sandbox."""

    OBSERVED = "observed"
    OPEN = "open"
    MISSING = "missing"
    MISFIT = "misfit"
    CRASH = "crash"
    LATE = "late"
    DIED = "died"
    FLOOD = "flood"
    FORGED = "forged"
    APART = "apart"  # it does not run without its notebook, so that somebody has to look
    BY_HAND = "by hand"  # judging it failed, so that somebody has to look


_BEFORE_ANY_PROBE = (Outcome.OPEN, Outcome.MISFIT, Outcome.CRASH)


@dataclass(frozen=True)
class Reply:
    """The reply of a sandbox.

    Attributes:
      outcome: see `Outcome`.
      sentence: for the student; when the answer was observed, on a statement above it that failed, or "".
      observations: one per probe when the answer was observed, else none.
      shaken: those of the second look, when the first one showed no problem.
    """

    outcome: Outcome
    sentence: str = ""
    observations: tuple[Observation, ...] = ()
    shaken: tuple[Observation, ...] = ()


def _read(exercise: Exercise, status: int, size: int, text: bytes) -> Reply:
    """Return a reply, also for an answer that did not finish. The text is not trusted."""
    if size > len(text):
        return Reply(Outcome.FLOOD, "Your code sent back more than any right answer needs.")
    if status == 124:
        return Reply(Outcome.LATE, "Your code had not returned in time: is there a loop that never ends?")
    if status != 0:
        reason = f"signal {status - 128}" if status > 128 else f"exit status {status}"
        reason += ": did it run out of memory?" if status == 137 else ""
        return Reply(Outcome.DIED, f"Your code ended the process that it ran in ({reason}).")
    if not text:
        return Reply(Outcome.DIED, "Your code ended the process that it ran in, before it was looked at.")
    return unpack(exercise, text)


def unpack(exercise: Exercise, text: bytes) -> Reply:
    """Return the reply in a text. It is not trusted: a text of another form counts as forged."""
    try:
        if sum(map(text.count, (b"[", b"{", b","))) > MAX_MARKS:  # they take up to 60 bytes each when they are read
            raise ValueError("too many parts")
        entries = json.loads(text)
        if len(entries) == 1 and "whole" in entries[0]:
            outcome = Outcome(entries[0]["whole"])
            if outcome not in _BEFORE_ANY_PROBE:
                raise ValueError(outcome)
            return Reply(outcome, _words(entries[0]["sentence"]))
        names = [one.name for one in exercise.probes]
        if [entry["probe"] for entry in entries] not in (names, names * 2):
            raise ValueError("other probes")
        failed = _words(entries[0].get("failed", ""))
        seen = tuple(map(_observation, entries))
        return Reply(Outcome.OBSERVED, failed, seen[: len(names)], seen[len(names) :])
    except Exception:  # of any type: every value in it can be chosen to raise one
        return Reply(
            Outcome.FORGED, "What came back is not what the probes send: your code interfered with its own check."
        )


def _words(text: Any) -> str:
    if not isinstance(text, str):
        raise ValueError("not a text")
    return whole(text[:500])


def _observation(entry: dict) -> Observation:
    if "problem" in entry:
        words = _words(entry["sentence"]), _words(entry["error"])
        if not words[0]:  # by which the judge knows that something is off
            raise ValueError("a problem without a sentence")
        return Observation(_words(entry["probe"]), {}, Problem(entry["problem"]), *words)
    return Observation(_words(entry["probe"]), {_words(n): _array(*array) for n, array in entry["arrays"].items()})


def _array(dtype: str, shape: list[int], data: str) -> np.ndarray:
    if dtype not in _DTYPES or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 32:
        raise ValueError("no array")
    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    # An axis of length 0 counts as well: a sum over it would have the others' size.
    if math.prod(max(n, 1) for n in shape) > MAX_ELEMENTS:
        raise ValueError("too large")
    return np.frombuffer(base64.b64decode(data, validate=True), kind).reshape(shape)  # checks the size as well


# -- requests ----------------------------------------------------------------------------------------------------------


def request(exercise: Exercise, source: str, given: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Return a request for worker.py, as plain data: the answer, and the texts of all modules that it needs."""
    probes = f"vqtutor.lessons.{exercise.lesson}.probes"
    return {
        "exercise": exercise.id,
        "arguments": exercise.arguments,
        "is_module": exercise.base is hk.Module,
        "probes": probes,
        "library": _library(probes) | common(),
        "preamble": PREAMBLE,
        "earlier": _earlier(given),
        "given": {name: id.split(".")[1] for name, id in given},
        "source": source,
    }


def common() -> dict[str, str]:
    """Return {name: text} of the course's modules that every request has, and that compute nothing at import."""
    return _library("vqtutor.checking.probe") | {"vqtutor": FACE} | _library_of(FACE)


@cache
def _library(module: str) -> dict[str, str]:
    """Return {name: text} of a module of the course and of the course's modules that it imports."""
    text = (PACKAGE.parent / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    return {module: text} | _library_of(text)


def _library_of(text: str) -> dict[str, str]:
    imported = [node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    library: dict[str, str] = {}
    for module in imported:
        if module and module.startswith("vqtutor."):
            library |= _library(module)
    return library


def _earlier(given: tuple[tuple[str, str], ...]) -> list[str]:
    """Return the sources of earlier answers and of the answers that these use, in the course's order."""
    ids = [id for _, id in given]
    for id in ids:  # the loop adds to the list
        ids += [other for other in uses(id, answer_of(id)).values() if other not in ids]
    return [given_by_lesson(id, answer_of(id)) + answer_of(id) for id in EXERCISES if id in ids]
