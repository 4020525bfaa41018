"""Run an answer that is not trusted with an exercise's probes: the results are plain arrays, or a problem in words."""

import ctypes
import dis
import inspect
import linecache
import sysconfig
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, partial
from pathlib import Path
from types import FunctionType
from typing import Any

import jax
import numpy as np

from vqtutor.checking.exercise import Exercise

MAX_ELEMENTS = 1_000_000  # right answers to the probes have thousands of elements at most

_STUDENT_NEVER_WROTE = (sysconfig.get_paths()["stdlib"], str(Path(__file__).parents[1]), "site-packages", "<frozen")
# Bytecode of `raise NotImplementedError()`, nbgrader's stub.
_NOT_IMPLEMENTED = {"LOAD_GLOBAL", "PUSH_NULL", "PRECALL", "CALL", "RAISE_VARARGS"}
# Bytecode of a function whose body is only `...`, `pass` or a docstring.
_NOTHING = {"RESUME", "RETURN_CONST", "LOAD_CONST", "RETURN_VALUE", "NOP", "POP_TOP", "COPY_FREE_VARS", "MAKE_CELL"}


class Problem(StrEnum):
    """Why a probe has no arrays."""

    CRASH = "crash"  # `error` is the exception's type
    ODD = "odd"  # a result is not an array
    ENDLESS = "endless"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Observation:
    """The result of one probe, as plain data: arrays by name, or a problem and a sentence."""

    probe: str
    arrays: Mapping[str, np.ndarray]
    problem: Problem | None = None
    sentence: str = ""
    error: str = ""


class OddAnswerError(Exception):
    """An answer returned something that is not an array; the message is the sentence for the card."""


@cache
def _literals() -> set[type]:
    """Return the types that JAX gives numbers and NumPy arrays which it only passes on; older versions make arrays."""
    return {type(jax.lax.stop_gradient(one)) for one in (np.ones(1, np.float32), 1, 1.0)}


def plain(value: Any, name: str = "the answer") -> np.ndarray:
    """Return `value` as a NumPy array. Only its type is inspected, because its methods are not trusted."""
    kind = type(value)
    if value is None:
        raise OddAnswerError(f"{name} is None: did you forget to return it?")
    if issubclass(kind, jax.core.Tracer):
        raise OddAnswerError(f"{name} is a leftover of a JAX transformation: return what you computed in this call.")
    known = {bool, int, float, np.ndarray} | _literals()
    if not (kind in known or issubclass(kind, (jax.Array, np.number, np.bool_))):
        raise OddAnswerError(f"{name} is a {kind.__name__}, not an array: return a jax or numpy array.")
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or array.size > MAX_ELEMENTS:
        raise OddAnswerError(
            f"{name} is an array of {array.size:,} {array.dtype} elements, which no right answer here needs."
        )
    return array


def unwrapped(answer: Any) -> Any:
    """Return what an answer wraps, as jit, Haiku and `functools.wraps` do; errors from its attributes are ignored."""
    for _ in range(100):
        try:
            answer = answer.__wrapped__
        except Exception:
            break
    return answer


def is_open(answer: Any) -> bool:
    """Whether a blank is unchanged: its body does nothing."""
    if inspect.isclass(answer):
        own = vars(answer)
        answer = own.get("__call__", own.get("__init__"))
    answer = unwrapped(answer)
    if type(answer) is not FunctionType:
        return False
    code = answer.__code__
    read = list(dis.get_instructions(code))
    instructions = [i for i in read if i.opname not in _NOTHING]
    constants = [i.argval for i in read if i.opname in ("LOAD_CONST", "RETURN_CONST")]
    if not instructions:
        return all(constant in (None, ...) for constant in constants)
    return {i.opname for i in instructions} <= _NOT_IMPLEMENTED and code.co_names == ("NotImplementedError",)


def misfit(exercise: Exercise, answer: Any) -> str | None:
    """Return a sentence when the answer cannot be called as the exercise calls it, else None."""
    name, call = exercise.name, ", ".join(exercise.arguments)
    if exercise.base is not None:
        made = answer
        while isinstance(made, partial):  # a class with some of its options chosen
            made = made.func
        if not (inspect.isclass(made) and issubclass(made, exercise.base)):
            return f"{name} must be a class that extends {exercise.base.__name__}, not a {type(answer).__name__}."
    elif inspect.isclass(answer) or not callable(answer):
        return f"{name} must be a function, called as {name}({call}); this is a {type(answer).__name__}."
    try:
        signature = inspect.signature(answer)
    except Exception:  # no signature, or a forged one: let the probes call the answer
        return None
    try:
        signature.bind(*exercise.arguments)
    except TypeError:
        return f"{name} is called as {name}({call}), but yours is {name}{signature}."
    return None


def students_line(error: BaseException) -> str:
    """Return 'line 3: the code' for the deepest line that the student wrote, or ''."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not any(part in frame.filename for part in _STUDENT_NEVER_WROTE):
            source = linecache.getline(frame.filename, frame.lineno or 0).strip() or frame.line or ""
            return f"line {frame.lineno}: {source}" if source else f"line {frame.lineno}"
    return ""


def crash(probe: str, error: BaseException) -> Observation:
    """Return the observation of an answer that raised: a sentence that quotes the student's line."""
    first_line = next(iter(str(error).strip().splitlines()), "")[:200]
    reason = f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
    if isinstance(error, (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError)):
        reason = "JAX could not trace through it: use jax.numpy, not numpy, and no Python `if` or `int()` on values."
    line = students_line(error)
    sentence = f"Your code stopped with {reason}" + (f"\nat {line}" if line else "")
    return Observation(probe, {}, Problem.CRASH, sentence, type(error).__name__)


def _run(probe, answer) -> Observation:
    try:
        arrays = {name: plain(value, name) for name, value in probe.run(answer).items()}
    except OddAnswerError as odd:
        return Observation(probe.name, {}, Problem.ODD, str(odd)[:1].upper() + str(odd)[1:])
    except BaseException as error:  # also SystemExit and KeyboardInterrupt, when an answer raises them
        return crash(probe.name, error)
    return Observation(probe.name, arrays)


def shaken(answer: Any, seed: int) -> Any:
    """Return an answer that gets other arrays: examples in another order, each number up to two percent larger.

    Whole numbers are drawn from those that an array holds. All is drawn from the seed, and the same in every call. What
    comes back can be held against what the right answer gives when it is shaken alike; what was written down
    beforehand, for the probes' own numbers, does not agree. Keys, masks, functions and single numbers stay, and
    probabilities, along the last axis, go on adding up to 1.
    """

    def shake(leaf):
        if not isinstance(leaf, (jax.Array, np.ndarray)) or not leaf.shape or not leaf.size:
            return leaf
        whole = jax.numpy.issubdtype(leaf.dtype, np.integer)
        if not whole and not jax.numpy.issubdtype(leaf.dtype, np.floating):
            return leaf  # a mask, or keys
        rng = np.random.default_rng([seed, *leaf.shape])
        ready = not isinstance(leaf, jax.core.Tracer)
        values = np.asarray(leaf) if ready else leaf  # with NumPy, for which nothing is compiled
        if whole:
            values = values.reshape(-1)[rng.integers(0, leaf.size, leaf.shape)]
        else:
            rows = rng.permutation(len(leaf)) if len(leaf.shape) > 1 else slice(None)
            are = (values >= 0).all() & (abs(values.sum(axis=-1) - 1) < 1e-4).all()  # probabilities, and stay so
            values = values[rows] * rng.uniform(1, 1.02, leaf.shape).astype(leaf.dtype)
            total = values.sum(axis=-1, keepdims=True, dtype=leaf.dtype)
            values = values / (np if ready else jax.numpy).where(are, total, total.dtype.type(1))
        return jax.device_put(values) if ready and isinstance(leaf, jax.Array) else values

    shake_all = partial(jax.tree.map, shake)
    if isinstance(answer, partial):
        return partial(shaken(answer.func, seed), *answer.args, **answer.keywords)
    call = answer.__call__ if inspect.isclass(answer) else answer

    def called(*arguments, **options):
        result = call(*shake_all(arguments), **shake_all(options))
        return shaken(result, seed) if callable(result) else result  # an answer may make a function

    return type(answer)(answer.__name__, (answer,), {"__call__": called}) if inspect.isclass(answer) else called


class Patience:
    """Decides whether an answer never returns, or is only slow or on a busy machine.

    The limit is on the answer's own processor time, which does not depend on other programs. An answer that sleeps or
    waits for input uses none, so an answer that hardly ran for as long as the limit is late as well. Time in which the
    one who asks was not woken does not count: then the machine is busy, or was shut.

    Args:
      seconds: of processor time.
      used: returns the processor time used so far, in seconds.
    """

    AWAKE = 0.1  # seconds between two questions, at most; `observe` asks every 0.05
    ASLEEP = 0.01  # share of a core; a program that competes with forty others still gets twice that

    def __init__(self, seconds: float, used: Callable[[], float] = time.process_time):
        self.seconds, self.used = seconds, used
        self.start = self.before = used()
        self.window = self.idle = 0.0

    def is_over(self, waited: float) -> bool:
        """Whether the answer is late, after `waited` more seconds on the clock."""
        self.window += min(waited, self.AWAKE)
        now = self.used()
        if self.window >= 1.0:
            self.idle = self.idle + self.window if now - self.before < self.ASLEEP * self.window else 0.0
            self.before, self.window = now, 0.0
        return now - self.start > self.seconds or self.idle > self.seconds


def observe(exercise: Exercise, answer: Any, seconds: float | None = None) -> list[Observation]:
    """Run the answer with every probe and return one observation per probe.

    The probes run in a thread of their own. When they are late, see `Patience`, the answer counts as endless and the
    function returns. `seconds` is by default the exercise's own.
    """
    seconds = seconds or exercise.seconds
    observations: list[Observation] = []
    stop = threading.Event()

    def work():
        # By default accelerators round the factors of a product, which would make right answers differ.
        with jax.default_matmul_precision("highest"):
            for probe in exercise.probes:
                if not stop.is_set():
                    observations.append(_run(probe, answer))

    worker = threading.Thread(target=work, daemon=True, name=f"check {exercise.id}")
    # A probe runs each of its many small programs once or twice: optimising them takes longer than it saves.
    hasty = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        patience, before = Patience(seconds), time.monotonic()
        worker.start()
        while True:
            worker.join(0.05)
            before, waited = time.monotonic(), time.monotonic() - before
            if not worker.is_alive() or patience.is_over(waited):
                break
    finally:  # also when the student presses stop
        jax.config.update("jax_disable_most_optimizations", hasty)
        stop.set()
        if worker.is_alive() and worker.ident is not None:  # ends a loop in Python; a compiled loop goes on running
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(worker.ident), ctypes.py_object(SystemExit))
    results = tuple(observations)
    late = [
        Observation(probe.name, {}, Problem.NOT_RUN, "Not run, because an earlier probe never came back.")
        for probe in exercise.probes[len(results) :]
    ]
    if late:
        sentence = (
            f"Your code had not returned after {seconds:g} seconds of computing: is there a loop that never ends?\n"
            "If the kernel stays busy, restart it."
        )
        late[0] = Observation(late[0].probe, {}, Problem.ENDLESS, sentence)
    return [*results, *late]
