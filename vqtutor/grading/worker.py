"""The program inside the sandbox: imports JAX once, then forks for every answer. It imports nothing of vqtutor itself.

It computes nothing before it forks: JAX would start threads, which a fork loses, and the first program that the fork
compiles would wait for them forever.

First comes, on stdin, the course's code that all answers need, as JSON. Then come requests: a head with a request's
length and the answer's limits, then JSON, see sandbox.request. Only the process that runs the answer reads it, so that
the process that forks never holds it. A reply goes to stdout: its length, the exit status of the answer's process, and
JSON, which is not trusted.

Each answer runs as the only process of its own namespace, with its own scratch folder, without privileges, and without
permission to start processes. When it ends, its namespace and scratch folder are removed.
"""

import ast
import base64
import ctypes
import gc
import importlib.abc
import importlib.machinery
import importlib.metadata
import json
import linecache
import os
import platform
import resource
import signal
import struct
import sys
import tempfile
import time
from contextlib import suppress
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import NamedTuple

HEAD = ">qqqdd"
COURSE = "/course"
SCRATCH = "/scratch"  # not /tmp, which may contain the Python that runs here
MAX_REPLY = 8 << 20  # bytes of JSON; the largest right answer sends 30 KB, and the largest wrong one half a MB
NEWNS, NEWIPC, NEWPID = 0x20000, 0x08000000, 0x20000000


class Limits(NamedTuple):
    """The fields of HEAD: bytes of the request, of memory and of files; seconds for the probes and for the rest."""

    size: int
    memory: int
    scratch: int
    seconds: float
    grace: float


_libc = ctypes.CDLL(None, use_errno=True)

# System calls that no answer needs. Threads are allowed, processes are not: a fork bomb gets EPERM.
_DENIED = {
    "x86_64": [
        *(57, 58),  # fork, vfork
        *(272, 308, 165, 166, 155, 161),  # unshare, setns, mount, umount2, pivot_root, chroot
        *(101, 310, 311, 321, 298, 323, 425, 250),  # ptrace, process_vm_*, bpf, perf, userfaultfd, io_uring, keyctl
        *(29, 30, 31, 319, 447),  # shmget, shmat, shmctl, memfd_*: memory that no limit counts
        *(64, 68, 240, 248, 249),  # semget, msgget, mq_open, add_key, request_key: the same
    ],
    "aarch64": [
        *(97, 268, 40, 39, 41, 51, 117, 270, 271, 280, 241, 282, 425, 219, 194, 195, 196, 279, 447),
        *(190, 186, 180, 217, 218),
    ],
}
# The numbers of clone and prctl, and the architecture's.
_CALLS = {"x86_64": (56, 157, 0xC000003E), "aarch64": (220, 167, 0xC00000B7)}
_CLONE3, _CLONE_THREAD, _PDEATHSIG = 435, 0x10000, 1  # the last one of prctl
TASKS = 256 + 8 * (os.cpu_count() or 1)  # processes and threads of a sandbox: JAX starts a few for each core
HASTY = "--xla_cpu_parallel_codegen_split_count=1 --xla_cpu_use_fusion_emitters=false"  # two thirds of the compiling
INODES = 4096  # files and folders of an answer


def _check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def forbid_processes() -> None:
    """Install a seccomp filter, on Linux and the architectures listed above."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _CALLS:
        return
    clone, prctl, architecture = _CALLS[machine]
    # Classic BPF: (code, jump if true, jump if false, k). 0x20 loads a word, 0x15, 0x35 and 0x45 compare, 6 ends.
    allow, eperm, enosys, kill = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
    program = [(0x20, 0, 0, 4), (0x15, 1, 0, architecture), (6, 0, 0, kill), (0x20, 0, 0, 0)]
    program += [(0x35, 0, 1, 0x40000000), (6, 0, 0, eperm)]  # x86-64 has all calls a second time, from this number on
    for number in _DENIED[machine]:
        program += [(0x15, 0, 1, number), (6, 0, 0, eperm)]
    program += [(0x15, 0, 1, _CLONE3), (6, 0, 0, enosys)]  # its flags cannot be read here; the C library falls back
    program += [(0x15, 0, 3, clone), (0x20, 0, 0, 16), (0x45, 1, 0, _CLONE_THREAD), (6, 0, 0, eperm)]
    program += [(0x20, 0, 0, 0), (0x15, 0, 3, prctl), (0x20, 0, 0, 16), (0x15, 0, 1, _PDEATHSIG), (6, 0, 0, eperm)]
    program += [(6, 0, 0, allow)]
    code = b"".join(struct.pack("HBBI", *line) for line in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer)))
    _check(_libc.prctl(38, 1, 0, 0, 0), "no_new_privs")
    _check(_libc.prctl(22, 2, header, 0, 0), "seccomp")


def end_with_parent() -> None:
    if sys.platform == "linux":
        _libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def drop_privileges() -> None:
    header = struct.pack("Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    _check(_libc.capset(header, bytes(24)), "capset")


def _limit(limits: Limits, isolated: bool) -> None:
    for what, most in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CPU, int(4 * (limits.seconds + limits.grace))),
        (resource.RLIMIT_FSIZE, limits.scratch),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
        # Counted in this namespace alone; elsewhere it would count all that the user runs.
        *([(resource.RLIMIT_NPROC, TASKS)] if isolated else []),
    ):
        resource.setrlimit(what, (most, most))


class Library(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports modules from {name: text}. Packages without a text of their own are empty."""

    def __init__(self, texts: dict[str, str]):
        self.texts = texts

    def find_spec(self, name, path=None, target=None):
        package = any(other.startswith(f"{name}.") for other in self.texts)
        if package or name in self.texts:
            return importlib.machinery.ModuleSpec(name, self, is_package=package)
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = f"{COURSE}/{module.__name__.replace('.', '/')}.py"
        exec(compile(self.texts.get(module.__name__, ""), module.__file__, "exec"), vars(module))


def run_answer(frame: bytes, seconds: float) -> list[dict]:
    """Define the answer, run it with the probes, and return plain observations, or one entry with the reason for none.

    Args:
      frame: see sandbox.request and Sandbox.run_own.
      seconds: of processor time for the probes.
    """
    request = json.loads(frame)
    if "number" in request:
        return run_own(request["exercise"], request["number"], request["at"], request["seed"], seconds)
    sys.meta_path.insert(0, Library(request["library"]))
    probe, name = import_module("vqtutor.checking.probe"), request["exercise"].split(".")[1]
    exercise = SimpleNamespace(
        id=request["exercise"],
        name=name,
        arguments=request["arguments"],
        base=import_module("haiku").Module if request["is_module"] else None,
        probes=import_module(request["probes"]).PROBES[name],
    )
    space: dict = {"__name__": "__main__", "vqtutor": import_module("vqtutor")}
    exec(request["preamble"], space)
    earlier = dict(space)
    for text in request["earlier"]:
        exec(compile(text, f"{COURSE}/vqtutor/lessons/answers.py", "exec"), earlier)
    space |= {alias: earlier[own] for alias, own in request["given"].items()}
    source = request["source"]
    linecache.cache["<answer>"] = (len(source), None, source.splitlines(keepends=True), "<answer>")
    failed = ""
    try:
        body = ast.parse(source).body
        future = [node for node in body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
        for node in body:
            try:
                exec(compile(ast.Module([*future, node], []), "<answer>", "exec"), space)
            except Exception as error:  # as in a notebook, where what comes after a cell that failed can run
                failed = failed or probe.crash("", error).sentence
        answer = space[name]
    except BaseException as error:
        return [{"whole": "crash", "sentence": failed or probe.crash("", error).sentence}]
    if probe.is_open(answer):
        return [{"whole": "open", "sentence": ""}]
    if sentence := probe.misfit(exercise, answer):
        return [{"whole": "misfit", "sentence": sentence}]
    observations = looks(exercise, answer, seconds, request["seed"])
    return [observations[0] | {"failed": failed}, *observations[1:]]


def looks(exercise, answer, seconds: float, seed: int) -> list[dict]:
    """Return the observations of an answer, and, where they show no problem, of the answer shaken by the seed."""
    probe = import_module("vqtutor.checking.probe")
    observations = probe.observe(exercise, answer, seconds)
    if not any(one.problem for one in observations):  # for the second look nearly all is compiled
        observations += probe.observe(exercise, probe.shaken(answer, seed), seconds)
    return [plain(observation) for observation in observations]


def run_own(id: str, number: int, at: str, seed: int, seconds: float) -> list[dict]:
    """Run an answer of the course's own catalogue; the course is in the sandbox or in the folder `at`."""
    sys.path.insert(0, COURSE if os.path.isdir(COURSE) else at)
    exercise = import_module("vqtutor.lessons").EXERCISES[id]
    return looks(exercise, exercise.catalogue[number], seconds, seed)


def plain(observation) -> dict:
    arrays = {
        name: [str(array.dtype), list(array.shape), base64.b64encode(array.tobytes()).decode()]
        for name, array in observation.arrays.items()
    }
    return {"probe": observation.probe, "arrays": arrays} | (
        {"problem": observation.problem, "sentence": observation.sentence, "error": observation.error}
        if observation.problem
        else {}
    )


def _read(size: int) -> bytes:
    text = b""
    while len(text) < size:
        text += os.read(0, size - len(text))
    return text


def _be_the_answer(limits: Limits, out: int, isolated: bool) -> None:
    frame = _read(limits.size)
    end_with_parent()
    os.setsid()  # its signals to its process group reach no other process
    if isolated:
        options = f"size={limits.scratch},nr_inodes={INODES},mode=1777".encode()
        _check(_libc.mount(b"scratch", SCRATCH.encode(), b"tmpfs", 6, options), "mount")  # nosuid, nodev
    null = os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.dup2(out, 3)
    os.closerange(4, 1024)
    if sys.platform == "linux":
        drop_privileges()
    _limit(limits, isolated)
    forbid_processes()
    os.chdir(SCRATCH if os.path.isdir(SCRATCH) else tempfile.gettempdir())
    text = json.dumps(run_answer(frame, limits.seconds)).encode()
    while text:
        text = text[os.write(3, text) :]
    os._exit(0)


def _processor_time(pid: int, start: float) -> float:
    """Return the processor time that a child has used, in seconds; except on Linux, the time since `start`."""
    if sys.platform == "linux":
        return time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3), which Python has for threads only
    return time.monotonic() - start


def _keep(limits: Limits, out: int, isolated: bool) -> int:
    """Start the answer, kill it when it is late, and return its exit status: 124 when late, 128 + n for signal n.

    It is late when it has used up its processor time, or has slept for as long, see checking.probe.Patience; or after
    ten times as long, if it wakes up now and then.
    """
    if isolated:
        _check(_libc.unshare(NEWNS | NEWPID | NEWIPC), "unshare")
    child = os.fork()
    if child == 0:
        try:
            _be_the_answer(limits, out, isolated)
        finally:
            os._exit(70)
    os.close(out)
    most, late = 2 * limits.seconds + limits.grace, False  # two looks
    start = looked = time.monotonic()
    before = window = waited = asleep = 0.0
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        used = _processor_time(child, start)
        # Where this process wakes late itself, the machine is busy or was shut: that is not the answer's sleep.
        looked, window = (now := time.monotonic()), window + min(now - looked, 0.05)
        if window >= 1:
            asleep = asleep + window if used < before + 0.01 else 0.0
            waited, window, before = waited + window, 0.0, used
        if not late and max(used, asleep, waited / 10) > most:
            late = True
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)
    status = os.waitstatus_to_exitcode(ended[1])
    return 124 if late else 128 - status if status < 0 else status


def serve(limits: Limits, isolated: bool) -> bytes:
    read, out = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        code = 71
        try:
            end_with_parent()
            os.close(read)
            code = _keep(limits, out, isolated)
        finally:
            os._exit(code)
    os.close(out)
    parts, size = [], 0
    while size <= MAX_REPLY and (part := os.read(read, 1 << 20)):
        parts.append(part)
        size += len(part)
    os.close(read)  # a process that still writes gets a signal
    status = os.waitstatus_to_exitcode(os.waitpid(keeper, 0)[1])
    return struct.pack(">iq", status, size) + (b"".join(parts) if size <= MAX_REPLY else b"")


def can_isolate() -> bool:
    child = os.fork()
    if child == 0:
        os._exit(_libc.unshare(NEWNS | NEWPID | NEWIPC) != 0)
    return os.waitpid(child, 0)[1] == 0


def _loaded_by_a_program() -> list[str]:
    """Return what is imported after JAX has compiled in another process; nothing, if it cannot."""
    read, out = os.pipe()
    if os.fork() == 0:
        with suppress(Exception):
            import jax

            signal.alarm(100)
            norms = jax.jit(jax.grad(lambda x: jax.numpy.linalg.norm(x)))(jax.random.normal(jax.random.key(0), (2, 2)))
            os.write(out, " ".join(sys.modules).encode() if norms.shape else b"")
        os._exit(0)
    os.close(out)
    with open(read) as names:
        os.wait()
        return names.read().split()


def get_ready(texts: dict[str, str]) -> None:
    """Import, before the first fork, what nearly every answer needs: libraries, and these modules of the course."""
    import_module("haiku")
    import_module("optax")
    importlib.metadata.entry_points = lambda **_: ()  # JAX would look for plugins in every package that is installed
    mlir, flags = import_module("jax._src.interpreters.mlir"), os.environ.get("XLA_FLAGS", "")
    makes = getattr(mlir, "make_ir_context", None)
    with suppress(Exception):
        # One for all programs: to make it takes a third of the time of a program that was compiled before.
        context = mlir.make_ir_context()
        mlir.make_ir_context = lambda: context
    os.environ["XLA_FLAGS"] = f"{flags} {HASTY}"
    if not (names := _loaded_by_a_program()):  # another JAX: it may do otherwise, and stops at a flag that it lacks
        mlir.make_ir_context, os.environ["XLA_FLAGS"] = makes, flags
        names = _loaded_by_a_program()
    for name in names:
        with suppress(Exception):
            import_module(name)
    sys.meta_path.insert(0, Library(texts))
    for name in texts:
        import_module(name)
    gc.collect()
    gc.freeze()  # no answer's collection looks through all of this again


def main() -> None:
    end_with_parent()
    size = struct.unpack(">q", os.read(0, 8))[0]
    get_ready(json.loads(_read(size)))
    if sys.platform == "linux":
        _libc.prctl(4, 0, 0, 0, 0)  # not dumpable: no other process can read this one's memory
    isolated = "isolate" in sys.argv and can_isolate()
    os.write(1, b"ready" + (b"1" if isolated else b"0"))
    while head := os.read(0, struct.calcsize(HEAD)):
        reply = serve(Limits(*struct.unpack(HEAD, head)), isolated)
        reply = memoryview(struct.pack(">q", len(reply)) + reply)
        while reply:
            reply = reply[os.write(1, reply) :]


if __name__ == "__main__":
    main()
