"""Small mistakes that were tried beforehand: what the probes observe of them, in a few numbers each.

`vqtutor doctor --mutants --write` changes every answer in every small way, and keeps what came of it. An answer that no
misconception of the catalogue behaves like, but one of these does, is told which.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vqtutor.checking.probe import Observation

Print = list[Any]  # what JSON keeps of an array: shape, kind of number, numbers that are not finite, and three sums
_TOLERANCE = 2e-5


@dataclass(frozen=True)
class Slip:
    """A small mistake.

    Attributes:
      name, says, look: as of a misconception.
      prints: {"probe: observation": fingerprint} of what the probes observe of it.
    """

    name: str
    says: str
    look: str
    prints: Mapping[str, Print]


def fingerprint(array: np.ndarray) -> Print:
    """Return a few numbers that two arrays share only where they are equal, to rounding."""
    values = np.asarray(array, np.float64).ravel()
    finite = np.where(np.isfinite(values), values, 0)
    angles = np.arange(values.size)
    weighted = finite * np.cos(0.7 * angles), finite * np.sin(1.3 * angles + 1)
    numbers = np.abs(finite).max(initial=0), *(part.sum() / max(values.size, 1) for part in weighted)
    odd = int(values.size - np.isfinite(values).sum())
    return [list(array.shape), array.dtype.kind, odd, *(float(f"{number:.8g}") for number in numbers)]


def fingerprints(observations: Sequence[Observation]) -> dict[str, Print]:
    """Return the fingerprint of every array that the probes observed."""
    return {f"{one.probe}: {name}": fingerprint(array) for one in observations for name, array in one.arrays.items()}


def alike(one: Mapping[str, Print], other: Mapping[str, Print]) -> bool:
    """Whether two sets of fingerprints are of the same behaviour."""
    return one.keys() == other.keys() and all(_match(one[name], other[name]) for name in one)


def _match(one: Print, other: Print) -> bool:
    if one[:3] != other[:3]:
        return False
    scale = max(one[3], other[3], 1e-6)
    return all(abs(a - b) <= _TOLERANCE * scale for a, b in zip(one[3:], other[3:], strict=True))
