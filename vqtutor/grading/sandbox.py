"""Running an answer where it can do no harm, and taking nothing from it but arrays.

On Linux the sandbox is bubblewrap: no network, a file system that can only be read and holds no vqtutor, no
submissions and no report, a process namespace and a scratch folder for each answer, limits on everything else. What is
inside, worker.py, gets one answer and its probes, with neither expected values nor the reference of that exercise; what
comes back is JSON with sizes that are checked here.
"""

import base64
import copyreg
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import sysconfig
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import cloudpickle
import jax
import ml_dtypes  # comes with jax; gives numpy its bfloat16
import numpy as np

import vqtutor
from vqtutor.checking import Exercise, Observation, probe
from vqtutor.checking.probe import MAX_ELEMENTS
from vqtutor.exercises import EXERCISES
from vqtutor.grading import worker
from vqtutor.models import convolutions
from vqtutor.source import PREAMBLE

FACE = ("Conv2D", "Conv2DTranspose", "convolve")  # of vqtutor, what answers are told to use
_DTYPES = {"bool", "bfloat16", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))} | {
    f"float{bits}" for bits in (16, 32, 64)
}
GRACE = 10.0  # seconds for what is not the probes: to start, to import, to define the answer
_PROBLEMS = ("crash", "odd", "endless", "not run")


# bubblewrap ends with the *thread* that started it; this one lives as long as the process does.
_starter = ThreadPoolExecutor(1, "sandboxes")


@dataclass(frozen=True)
class Limits:
    """What one answer may use.

    Attributes:
      seconds: of processor time that all probes may take, as a multiple of the exercise's own `seconds`.
      memory: bytes of address space.
      scratch: bytes of files in the scratch folder.
    """

    seconds: float = 2.0
    memory: int = 6 << 30
    scratch: int = 64 << 20


class SandboxError(Exception):
    """The sandbox cannot be had here; the message says why, and what to do."""


def bubblewrap() -> str:
    """Return bubblewrap's path, or raise SandboxError."""
    found = shutil.which("bwrap")
    if found is None:
        raise SandboxError(
            "Grading runs students' code, so it needs a sandbox: install bubblewrap (apt-get install bubblewrap). "
            "With --unsafe it goes on without one: an answer could then read and change your files and use the network."
        )
    return found


def _command(bwrap: str, programs: Path, may_write: bool) -> list[str]:
    """Return the command that starts worker.py inside bubblewrap."""
    folders = {sys.prefix, sys.base_prefix, *map(str, map(sysconfig.get_path, ("purelib", "platlib", "stdlib")))}
    folders = sorted(folder for folder in folders if not folder.startswith("/usr/"))
    command = [bwrap, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--cap-add", "CAP_SYS_ADMIN"]
    command += ["--uid", "65534", "--gid", "65534", "--dev", "/dev", "--tmpfs", worker.SCRATCH]
    # No /proc: it would show the worker. Of /proc and /sys, just what XLA's kernels ask about the processor.
    system = ["/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/proc/cpuinfo", "/sys/devices/system/cpu"]
    for folder in system:
        command += ["--ro-bind-try", folder, folder]
    for folder in folders:
        command += ["--ro-bind", folder, folder]
    for site in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        if (Path(site) / "vqtutor").is_dir():  # an installed course: nobody looks its answers up
            command += ["--tmpfs", str(Path(site) / "vqtutor"), "--remount-ro", str(Path(site) / "vqtutor")]
    command += ["--bind" if may_write else "--ro-bind", str(programs), "/programs"]
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
        "JAX_COMPILATION_CACHE_DIR": programs,  # programs of wrong answers, compiled once: most of a probe is the same
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # as in probe.observe, and for what an answer's cell does by itself
        "MALLOC_ARENA_MAX": "2",
        "OMP_NUM_THREADS": "1",
    }


class Sandbox:
    """A warm worker: imports JAX once, and answers one request after another, each in a process of its own.

    Args:
      programs: a folder with compiled programs, for the worker to read.
      unsafe: run without bubblewrap.
      may_write: let what runs add to `programs`; only for the course's own code.
    Raises:
      SandboxError: when it does not start.
    """

    def __init__(self, programs: Path, unsafe: bool = False, may_write: bool = False):
        programs.mkdir(parents=True, exist_ok=True)
        if unsafe:
            self._command = [sys.executable, "-I", worker.__file__]
            self._environment = os.environ | _environment(str(programs))
        else:
            self._command, self._environment = _command(bubblewrap(), programs, may_write), None
        self._process = None
        self._isolated = False
        self._start()

    def _start(self) -> None:
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self._environment)
        self._process = _starter.submit(subprocess.Popen, self._command, **pipes).result()
        hello = self._process.stdout.read(6)
        if hello[:5] != b"ready":
            said = self._process.stderr.read().decode(errors="replace").strip().splitlines()
            raise SandboxError(
                f"The sandbox does not start here ({said[-1] if said else 'it does not say why'}). Containers often "
                "forbid it: grade on a machine of your own, or, where there is nothing to lose, with --unsafe."
            )
        self._isolated = hello[5:] == b"1"

    def run(
        self,
        exercise: Exercise,
        source: str,
        limits: Limits,
        given: tuple[tuple[str, str], ...] = (),
    ) -> "Seen":
        """Drive an answer with its exercise's probes.

        Args:
          exercise: what was asked.
          source: Python that defines the answer under the exercise's name.
          limits: what it may use.
          given: (name, id) of earlier exercises whose references stand in under these names.
        """
        return self._ask(exercise, _tools(exercise, given), source, limits, limits.seconds * exercise.seconds)[0]

    def run_own(self, exercise: Exercise, answer: Any, limits: Limits) -> tuple["Seen", bytes]:
        """Drive an answer of the course itself; return also the text that `unpack` reads."""
        return self._ask(exercise, _bundle(exercise, {exercise.name: answer}), "", limits, 120.0)

    def _ask(
        self, exercise: Exercise, tools: bytes, source: str, limits: Limits, seconds: float
    ) -> tuple["Seen", bytes]:
        if self._process is None:
            self._start()
        library = {"vqtutor": "", convolutions.__name__: Path(convolutions.__file__).read_text(encoding="utf-8")}
        frame = pickle.dumps((tools, library, source, PREAMBLE))
        head = struct.pack(worker.HEAD, len(frame), limits.memory, limits.scratch, seconds, GRACE)
        try:
            self._process.stdin.write(head + frame)
            self._process.stdin.flush()
            reply = self._process.stdout.read(struct.unpack(">q", self._process.stdout.read(8))[0])
            status, size = struct.unpack(">iq", reply[:12])
        except (OSError, struct.error):  # something took the whole worker down: it costs this answer, nobody else's
            self.close()
            return Seen("died", "Your code took the process down that it ran in."), b""
        if not self._isolated:  # without a namespace for each answer, each gets a worker of its own
            self.close()
        return _read(exercise, status, size, reply[12:]), reply[12:]

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_) -> None:
        self.close()


@dataclass(frozen=True)
class Seen:
    """What came out of the sandbox.

    Attributes:
      how: "seen"; "open" for a blank that is still open; "misfit" or "crash" for an answer that cannot be probed;
        "late", "died", "flood" or "forged" for one that was stopped.
      sentence: what to tell the student, unless all went well.
      observations: one a probe, when `how` is "seen".
    """

    how: str
    sentence: str = ""
    observations: tuple[Observation, ...] = ()


def _read(exercise: Exercise, status: int, size: int, text: bytes) -> Seen:
    """Return what a reply says, or what is wrong with it. Nothing in it is trusted."""
    if size > len(text):
        return Seen("flood", "Your code sent back more than any right answer needs.")
    if status == 124:
        return Seen("late", "Your code had not returned in time: is there a loop that never ends?")
    if status != 0:
        said = f"signal {status - 128}" if status > 128 else f"exit status {status}"
        return Seen("died", f"Your code ended the process that it ran in ({said}).")
    if not text:
        return Seen("died", "Your code ended the process that it ran in, before it was looked at.")
    return unpack(exercise, text)


def unpack(exercise: Exercise, text: bytes) -> Seen:
    """Return what a reply says. Nothing in it is trusted: what does not fit is forged."""
    try:
        entries = json.loads(text)
        if len(entries) == 1 and "whole" in entries[0]:
            how = entries[0]["whole"]
            if how not in ("open", "misfit", "crash"):
                raise ValueError(how)
            return Seen(how, _words(entries[0]["sentence"]))
        if [entry["probe"] for entry in entries] != [one.name for one in exercise.probes]:
            raise ValueError("other probes")
        return Seen("seen", "", tuple(map(_observation, entries)))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return Seen("forged", "What came back is not what the probes send: your code meddled with its own checking.")


def _words(text: Any) -> str:
    if not isinstance(text, str):
        raise ValueError("not a text")
    return text[:500]


def _observation(entry: dict) -> Observation:
    if "problem" in entry:
        if entry["problem"] not in _PROBLEMS:
            raise ValueError(entry["problem"])
        words = _words(entry["sentence"]), _words(entry["error"])
        return Observation(_words(entry["probe"]), {}, entry["problem"], *words)
    return Observation(_words(entry["probe"]), {_words(n): _array(*said) for n, said in entry["arrays"].items()})


def _array(dtype: str, shape: list[int], data: str) -> np.ndarray:
    if dtype not in _DTYPES or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 32:
        raise ValueError("no array")
    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    if int(np.prod(shape, dtype=object)) > MAX_ELEMENTS:
        raise ValueError("too large")
    return np.frombuffer(base64.b64decode(data, validate=True), kind).reshape(shape)  # checks the size as well


# -- what goes in ------------------------------------------------------------------------------------------------------


_pickling = threading.Lock()


def _custom_vjp(function, nondiff_argnums, forward, backward):
    made = jax.custom_vjp(function, nondiff_argnums=nondiff_argnums)
    made.defvjp(forward, backward)
    return made


def by_value(thing: Any) -> bytes:
    """Pickle with everything of vqtutor that it uses inside, and nothing that it does not.

    The convolutions are named, not copied: JAX knows their primitives by identity. Their module goes in as text, since
    no exercise asks for what is in it.
    """
    modules = [name for name in sys.modules if name.startswith("vqtutor.") and name != convolutions.__name__]
    leaves = [sys.modules[name] for name in modules if not any(other.startswith(f"{name}.") for other in modules)]
    parts = lambda f: (_custom_vjp, (f.fun, f.nondiff_argnums, f.fwd, f.bwd))  # noqa: E731
    with _pickling:
        copyreg.pickle(jax.custom_vjp, parts)
        for module in leaves:
            cloudpickle.register_pickle_by_value(module)
        try:
            return cloudpickle.dumps(thing)
        finally:
            for module in leaves:
                cloudpickle.unregister_pickle_by_value(module)


@cache
def _tools(exercise: Exercise, given: tuple[tuple[str, str], ...]) -> bytes:
    return _bundle(exercise, {name: EXERCISES[id].reference for name, id in given})


def _bundle(exercise: Exercise, given: dict[str, Any]) -> bytes:
    """Return an exercise's probes and what is given by name, without its own reference, catalogue and hints."""
    bare = replace(
        exercise,
        reference=None,
        misconceptions=(),
        alternatives={},
        hints=(),
        probes=tuple(replace(one, accept=None) for one in exercise.probes),
    )
    drivers = {name: getattr(probe, name) for name in ("observe", "misfit", "is_open", "crash")}
    face = {name: getattr(vqtutor, name) for name in FACE}
    return by_value((types.SimpleNamespace(**drivers), bare, given, types.SimpleNamespace(**face)))
