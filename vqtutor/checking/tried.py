"""What was tried beforehand: what the probes observe of the catalogue and of small mistakes, in a few numbers each.

`vqtutor doctor --mutants --write` runs every wrong answer of the catalogue, and every small change of the right one,
and keeps what came of it in the lesson's tried.json. A check then runs the student's answer and the right one only.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vqtutor.checking.exercise import Print, Prints
from vqtutor.checking.probe import Observation, Problem

_TOLERANCE = 2e-5
_SMALLEST_SCALE = 0.1  # as in judge.py: where all is 0, rounding leaves less than this allows


def fingerprint(array: np.ndarray) -> Print:
    """Return a few numbers that two arrays share only where they are equal, to rounding."""
    values = np.asarray(array, np.float64).ravel()
    finite = np.where(np.isfinite(values), values, 0)
    angles = np.arange(values.size)
    weighted = finite * np.cos(0.7 * angles), finite * np.sin(1.3 * angles + 1)
    # Divided by the root of their number, sums of rounding errors stay small, and one element that is off shows.
    numbers = np.abs(finite).max(initial=0), *(part.sum() / max(values.size, 1) ** 0.5 for part in weighted)
    odd = int(values.size - np.isfinite(values).sum())
    kind = array.dtype.kind.replace("u", "i")
    if kind == "f" and array.ndim:  # a Python number is as good as a scalar of float32
        kind = str(array.dtype)
    return [list(array.shape), kind, odd, *(float(f"{number:.7g}") for number in numbers)]


def fingerprints(observations: Sequence[Observation]) -> Prints:
    """Return the fingerprint of every array that the probes observed."""
    return {
        one.probe: str(one.problem) if one.problem else {name: fingerprint(a) for name, a in one.arrays.items()}
        for one in observations
    }


def plain(observations: Sequence[Observation]) -> dict[str, dict[str, list[Any]]]:
    """Return observations as plain data, for JSON."""
    return {one.probe: {name: _plain(array) for name, array in one.arrays.items()} for one in observations}


def _plain(array: np.ndarray) -> list[Any]:
    numbers = array.ravel().tolist() if array.dtype.kind != "f" else [float(f"{x:.9g}") for x in array.ravel()]
    return [str(array.dtype), list(array.shape), numbers]


def observations(plain: Mapping[str, Mapping[str, list[Any]]]) -> tuple[Observation, ...]:
    """Return the observations that `plain` made plain."""
    return tuple(
        Observation(
            probe, {name: np.array(numbers, dtype).reshape(shape) for name, (dtype, shape, numbers) in it.items()}
        )
        for probe, it in plain.items()
    )


def behaves_as(one: Prints, other: Prints) -> bool:
    """Whether one answer behaves as another does, on every probe in which it did not crash."""
    return one.keys() == other.keys() and all(_alike(one[probe], other[probe]) for probe in _ran(one))


def shows(one: Prints, right: Prints) -> bool:
    """Whether an answer differs from the right one in a probe that ran: a crash can have many causes."""
    return any(not _alike(one[probe], right[probe]) for probe in _ran(one))


def _ran(one: Prints) -> list[str]:
    return [probe for probe in one if one[probe] != Problem.CRASH]


def _alike(one: Mapping[str, Print] | str, other: Mapping[str, Print] | str) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return one.keys() == other.keys() and all(_match(one[name], other[name]) for name in one)


def _match(one: Print, other: Print) -> bool:
    kinds = {one[1], other[1]} - {"f"}  # which is float32, or a number of Python's
    if one[0] != other[0] or one[2] != other[2] or len(kinds) > 1 or kinds and not (one[1][:1] == other[1][:1]):
        return False
    scale = max(one[3], other[3], _SMALLEST_SCALE)
    return all(abs(a - b) <= _TOLERANCE * scale for a, b in zip(one[3:], other[3:], strict=True))
