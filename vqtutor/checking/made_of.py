"""What a wrong answer makes of its inputs: what came back, as an expression in the arguments that the answer was given.

Tried where no relation to the right result holds. Every expression told gives what the answer gave, number by number.
"""

import inspect
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import numpy as np

from vqtutor.checking.exercise import Exercise, Probe
from vqtutor.checking.probe import observe
from vqtutor.checking.relations import weights

Call = Mapping[str, np.ndarray]  # what an answer was called with, by argument
_LARGEST = 20_000  # elements; what is larger is no argument to look through
_TOLERANCE = 3e-6  # sums of float32 are as exact as that, and few numbers meet by chance


@cache
def calls(exercise: Exercise, probe: Probe) -> list[Call]:
    """Return what a probe calls an answer with, as far as it is numbers."""
    made: list[Call] = []

    def record(names, arguments):
        made.append(dict(_numbers(dict(zip(names, arguments, strict=False)))))

    reference: Any = exercise.reference

    def answer(*arguments):
        record(exercise.arguments, arguments)
        return reference(*arguments)

    def call(self, *arguments):  # of a Haiku module
        record(list(inspect.signature(reference.__call__).parameters)[1:], arguments)
        return reference.__call__(self, *arguments)

    if exercise.base is not None:
        answer = type(reference)(reference.__name__, (reference,), {"__call__": call})
    observe(replace(exercise, probes=(probe,)), answer, seconds=120)
    return made


def _numbers(arguments: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    for name, value in arguments.items():
        while hasattr(value, "primal"):  # where a gradient is asked for
            value = value.primal
        if isinstance(value, tuple):
            yield from _numbers({f"{name}[{i}]": part for i, part in enumerate(value)})
            continue
        if isinstance(value, jax.core.Tracer) or callable(value):
            continue
        try:
            array = np.asarray(value)
        except Exception:  # a key, or anything else that is no array
            continue
        if array.dtype.kind in "fiu" and 0 < array.size <= _LARGEST and np.isfinite(array).all():
            yield name, array.astype(np.float64)


def says_much(expected: np.ndarray, observed: np.ndarray) -> bool:
    """Whether an array has numbers enough that no expression gives them by chance."""
    are_numbers = expected.shape == observed.shape and not {expected.dtype.kind, observed.dtype.kind} - set("fiu")
    return are_numbers and len(np.unique(observed)) > 3 and bool(np.isfinite(observed).all())


def array_of(expected: np.ndarray, observed: np.ndarray, calls: Sequence[Call]) -> str | None:
    """Return what an answer made of its arguments, in a sentence, or None where nothing simple gives that."""
    with np.errstate(all="ignore"):
        return next((sentence for call in calls if (sentence := _array(expected, observed, call))), None)


def numbers_of(observed: Sequence[np.ndarray], calls: Sequence[Call]) -> str | None:
    """Return the same of results that are numbers: of one expression, which gives them from the calls, in order."""
    values = [float(one) for one in observed]
    if not values or len(set(values)) < len(values) or not np.isfinite(values).all() or len(calls) < len(values):
        return None
    if len(values) == 1 and values[0] == round(values[0]):  # a whole number is many things by chance
        return None
    with np.errstate(all="ignore"):
        first, *others = (_expressions(call, len(values) > 1) for call in calls)
        rest = [dict(other) for other in others]
        for text, value in first:
            results = iter([value, *(other.get(text, np.nan) for other in rest)])
            if all(any(abs(own - result) <= _TOLERANCE * abs(own) for result in results) for own in values):
                return f"What you return is {text}."
    return None


# -- arrays ------------------------------------------------------------------------------------------------------------


def _array(expected: np.ndarray, observed: np.ndarray, call: Call) -> str | None:
    # Four different values, so that none fits by chance.
    parts = [(text, x) for text, x in _parts(call) if x.shape == observed.shape and len(np.unique(x)) > 3]
    for text, part in parts:
        if found := weights([part], observed):
            return f"Your result is {_times(found[0], text)}{', as it came in' * (text in call)}."
    for text, part in parts if len(np.unique(observed)) > 5 else ():
        found = weights([part], observed.astype(float) - expected)
        if found := [1.0, *found] if found else weights([expected, part], observed):
            sign = "plus" if found[1] > 0 else "minus"
            return f"Your result is {_times(found[0], 'the right one')} {sign} {_times(abs(found[1]), text)}."
    return None


def _times(factor: float, text: str) -> str:
    return text if np.isclose(factor, 1, rtol=1e-4) else f"{factor:.4g} times {text}"


_FUNCTIONS = {
    "{} ** 2": np.square,
    "abs({})": np.abs,
    "1 / {}": lambda x: 1 / x,
    "exp({})": np.exp,
    "tanh({})": np.tanh,
    "sigmoid({})": lambda x: 1 / (1 + np.exp(-x)),
    "softplus({})": lambda x: np.logaddexp(0, x),
}


def _both(a: str, x: Any, b: str, y: Any) -> tuple[tuple[str, Any, int], ...]:
    """Return (expression, value, how many functions of it are tried) of two arguments together."""
    return (f"{a} - {b}", x - y, 4), (f"{a} + {b}", x + y, 2), (f"{a} * {b}", x * y, 2), (f"{a} / {b}", x / y, 2)


def _parts(call: Call) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (expression, value) of the simple arrays that can be made of the arguments."""
    arrays = {name: value for name, value in call.items() if value.ndim}
    yield from arrays.items()
    for name, value in arrays.items():
        yield from ((text.format(name), function(value)) for text, function in _FUNCTIONS.items())
        if value.ndim > 1:
            yield f"{name}[:1] for all", np.broadcast_to(value[:1], value.shape)
    for (a, x), (b, y) in itertools.combinations(arrays.items(), 2):
        if x.shape == y.shape:
            yield from ((text, value) for text, value, _ in _both(a, x, b, y))
        if x.ndim == y.ndim == 2 and x.shape[1] == y.shape[1]:
            yield f"{a} @ {b}.T", x @ y.T


# -- numbers -----------------------------------------------------------------------------------------------------------

_OF_EACH = {
    "{}": lambda x: x,
    "{} ** 2": np.square,
    "abs({})": np.abs,
    "{} ** 3": lambda x: x**3,
    "sqrt({})": np.sqrt,
    "log({})": np.log,
    "exp({})": np.exp,
}
_TOGETHER = {
    "mean({})": np.mean,
    "sum({})": np.sum,
    "max({})": np.max,
    "min({})": np.min,
    "sum({}), divided by the number of examples": lambda x: np.sum(x) / len(x),
    "max({}) of each example, averaged": lambda x: np.mean(np.max(x.reshape(len(x), -1), axis=1)),
}


def _expressions(call: Call, far: bool) -> Iterator[tuple[str, float]]:
    """Yield (expression, number), simple ones first; `far`, also such as one result alone would meet by chance."""
    numbers = {name: value[()] for name, value in call.items() if not value.ndim}
    factors = {"": 1.0, ", times 2": 2.0, ", times 0.5": 0.5}
    for name, value in numbers.items() if far else ():
        factors |= {f", divided by {name}": 1 / value, f", times {name}": value}
        factors |= {f", times 1 + {name}": 1 + value}
    for text, part, kinds in _terms(call, far):
        for each in itertools.islice(_OF_EACH, kinds):
            of_each = _OF_EACH[each](part)
            for together, reduce in _TOGETHER.items():
                result, shown = float(reduce(of_each)), together.format(_applied(each, text))
                yield from ((shown + factor, result * times) for factor, times in factors.items())
    if far:
        ones = {_applied(each, name): f(value) for name, value in numbers.items() for each, f in _OF_EACH.items()}
        yield from ones.items()
        for (a, x), (b, y) in itertools.permutations(ones.items(), 2):
            yield from ((text, value) for text, value, _ in _both(a, x, b, y))


def _applied(function: str, text: str) -> str:
    return function.format(f"({text})" if "**" in function and " " in text else text)


def _terms(call: Call, far: bool) -> Iterator[tuple[str, np.ndarray, int]]:
    """Yield (expression, value, how many functions of it are tried)."""
    arrays = {name: value for name, value in call.items() if value.ndim}
    firsts = {f"{name}[:1]": value[:1] for name, value in arrays.items() if value.ndim > 1}
    yield from ((name, value, len(_OF_EACH)) for name, value in arrays.items())
    pairs = itertools.combinations(arrays.items(), 2), itertools.product(firsts.items(), arrays.items())
    for (a, x), (b, y) in itertools.chain(*pairs):
        if x.shape[1:] == y.shape[1:] and a != f"{b}[:1]":
            yield from _both(a, x, b, y)
    if far:
        for (a, x), (b, y) in itertools.combinations(_parts(call), 2):
            if x.shape == y.shape:
                a, b = (f"({text})" if " - " in text or " + " in text else text for text in (a, b))
                yield from ((f"{a} - {b}", x - y, 1), (f"{b} - {a}", y - x, 1), (f"{a} + {b}", x + y, 1))
