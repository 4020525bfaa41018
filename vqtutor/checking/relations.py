"""How an answer differs, in a sentence, where no misconception behaves as it does.

A ladder of relations between what a probe should observe and what it observed: the first one that holds wherever the
answer is off is told, else the first one that holds for one of the arrays. All of them are about arrays; nothing here
knows what an exercise is about. One that fits by chance misleads, so each asks for more numbers than it has free ones.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

Pair = tuple[np.ndarray, np.ndarray]  # expected, observed

_TOLERANCE = 1e-4


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays agree in shape and, to rounding, in value."""
    if a.shape != b.shape or a.size == 0:
        return False
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if not np.isfinite(a).all() or not np.isfinite(b).all():
        return bool(np.array_equal(a, b, equal_nan=True))
    return bool(np.all(np.abs(a - b) <= _TOLERANCE * max(np.abs(a).max(), 1e-6)))


def _on_all(pairs: Sequence[Pair], holds: Callable[[np.ndarray, np.ndarray], bool]) -> bool:
    return all(holds(expected, observed) for expected, observed in pairs)


# -- values that are no numbers, or say nothing ------------------------------------------------------------------------


def _when(sentence: str, holds: Callable[[np.ndarray, np.ndarray], bool]) -> Callable[[Sequence[Pair]], str | None]:
    """Return a rung that tells a sentence where something holds of every pair."""
    return lambda pairs: sentence if _on_all(pairs, holds) else None


def _not_finite(pairs: Sequence[Pair]) -> str | None:
    for expected, observed in pairs:
        if expected.shape == observed.shape and observed.dtype.kind == "f":
            bad = ~np.isfinite(observed) & np.isfinite(expected)
            if not bad.any():
                continue
            nan, inf = np.isnan(observed[bad]).all(), np.isinf(observed[bad]).all()
            kind = "NaN" if nan else "infinite" if inf else "not finite"
            where = "where it should be 0" if not expected[bad].any() else f"at {_places(bad)}"
            where = "everywhere" if bad.all() else where
            return f"Your result is {kind} {where}: look for a division by 0, or a logarithm or root of 0 or less."
    return None


def _places(bad: np.ndarray) -> str:
    count, first = int(bad.sum()), [int(i) for i in np.argwhere(bad)[0]]
    return f"{count} of {bad.size} places, the first {first}" if bad.ndim else "its one place"


_zeros = _when("Your result is 0 everywhere.", lambda e, o: o.dtype.kind != "b" and not np.any(o) and bool(np.any(e)))


def _constant(pairs: Sequence[Pair]) -> str | None:
    right, own = (np.unique([np.ravel(pair[i])[:1] for pair in pairs if pair[i].size == 1]) for i in (0, 1))
    if len(pairs) > 1 and all(e.size == o.size == 1 for e, o in pairs) and len(right) > 1 == len(own):
        return f"Your result is {own[0]:.4g} each time, whatever the input is." if np.isfinite(own[0]) else None
    return None


def _dtype(pairs: Sequence[Pair]) -> str | None:
    if _on_all(pairs, lambda e, o: e.dtype != o.dtype and _same(e, o)):
        expected, observed = pairs[0]
        return f"The values are right, but as {observed.dtype}; they should be {expected.dtype}."
    return None


# -- another shape -----------------------------------------------------------------------------------------------------


def _axis_of_one(pairs: Sequence[Pair]) -> str | None:
    if not _on_all(pairs, lambda e, o: e.shape != o.shape and e.size == o.size and _same(e.squeeze(), o.squeeze())):
        return None
    more = pairs[0][1].ndim - pairs[0][0].ndim
    word = "too many" if more > 0 else "missing" if more < 0 else "in another place"
    return f"The values are right, but an axis of length 1 is {word}: {_shapes(pairs)}."


def _permuted(pairs: Sequence[Pair]) -> str | None:
    expected, observed = pairs[0]
    if expected.ndim < 2 or expected.ndim > 5:
        return None
    for order in itertools.permutations(range(expected.ndim)):
        if order == tuple(range(expected.ndim)):
            continue
        fits = lambda e, o, order=order: e.ndim == len(order) and _same(e.transpose(order), o)  # noqa: E731
        if _on_all(pairs, fits):
            if expected.ndim == 2:
                return "The values are right, but rows and columns have changed places: your result is transposed."
            return f"The values are right, but the axes have changed places: yours are the right ones' {list(order)}."
    return None


def _reshaped(pairs: Sequence[Pair]) -> str | None:
    if _on_all(pairs, lambda e, o: e.shape != o.shape and e.size == o.size and _same(e.reshape(-1), o.reshape(-1))):
        return f"The values are right and in order, but not their shape: {_shapes(pairs)}."
    return None


_REDUCTIONS = {
    "summed": np.sum,
    "averaged": np.mean,
    "reduced to the largest": np.max,
    "reduced to the smallest": np.min,
}


def _reductions(ndim: int) -> Iterator[tuple[str, Callable[..., np.ndarray]]]:
    """Yield (what is done over which axes, the function that does so)."""
    for n in range(1, ndim + 1) if ndim <= 4 else ():
        for axes in itertools.combinations(range(ndim), n):
            for word, reduce in _REDUCTIONS.items():
                yield f"{word} over {_say_axes(axes, ndim)}", partial(reduce, axis=axes)


def _say_axes(axes: tuple[int, ...], ndim: int) -> str:
    if len(axes) == ndim:
        return "everything"
    return f"axis {axes[0]}" if len(axes) == 1 else f"the axes {', '.join(map(str, axes))}"


def _reduced_too_far(pairs: Sequence[Pair]) -> str | None:
    """The answer is the right one, reduced over axes that should have stayed; with or without keepdims."""
    ndim = pairs[0][0].ndim
    if not _on_all(pairs, lambda e, o: e.ndim == ndim and e.dtype.kind != "b" and e.size != o.size and e.size > 0):
        return None
    for done, reduce in _reductions(ndim):
        if _on_all(pairs, lambda e, o, f=reduce: _same(f(e * 1.0), o) or _same(f(e * 1.0, keepdims=True), o)):
            return f"Your result is the right one, {done}, which should stay."
    return None


def _not_reduced(pairs: Sequence[Pair]) -> str | None:
    """The right answer is what the student's becomes when it is summed or averaged over some axes."""
    ndim = pairs[0][1].ndim
    if not _on_all(pairs, lambda e, o: o.ndim == ndim and o.dtype.kind != "b" and o.size > e.size > 0):
        return None
    for done, reduce in _reductions(ndim):
        if _on_all(pairs, lambda e, o, f=reduce: _same(e, f(o * 1.0))):
            return f"One step is missing: {done}, your result is the right one."
    return None


_only_the_first = _when(
    "Only the result for the first example comes back; there should be one for each.",
    lambda e, o: e.ndim > 0 and len(e) > 1 and (_same(e[:1], o) or _same(e[0], o)),
)


def _repeated(pairs: Sequence[Pair]) -> str | None:
    def fits(e, o):
        copies = (np.expand_dims(e, axis).repeat(o.shape[axis], axis) for axis in range(o.ndim))
        return o.ndim == e.ndim + 1 and o.size > e.size and any(_same(copy, o) for copy in copies)

    if _on_all(pairs, fits):
        return f"The right values are there, repeated along an axis too many: {_shapes(pairs)}."
    return None


def _shapes(pairs: Sequence[Pair]) -> str:
    expected, observed = pairs[0]
    return f"it is {list(observed.shape)}, and should be {list(expected.shape)}"


def _shape(pairs: Sequence[Pair]) -> str | None:
    if not _on_all(pairs, lambda e, o: e.shape != o.shape):
        return None
    expected, observed = pairs[0]
    hint, ndim = "", expected.ndim
    if _on_all(pairs, lambda e, o: e.ndim == o.ndim == ndim):
        more = np.array([np.subtract(o.shape, e.shape) for e, o in pairs])
        off = more[:, more[0] != 0]
        if np.ptp(off) == 0 and abs(off[0, 0]) == 1:
            axes = _say_axes(tuple(np.flatnonzero(more[0]).tolist()), 9)
            hint = f" One {'more' if off[0, 0] > 0 else 'less'} along {axes} than there should be."
    return f"The shape is {list(observed.shape)}; it should be {list(expected.shape)}.{hint}"


# -- the right shape, other values -------------------------------------------------------------------------------------

_MEANINGS = {
    2.0: "is something counted twice, or a 2 too many?",
    0.5: "is a 2 missing, or a half too many?",
    4.0: "is something doubled before it is squared?",
    np.log(2): "are these nats, where bits are asked for, or the other way round?",
    1 / np.log(2): "are these bits, where nats are asked for?",
    1 / 255: "is something divided by 255 twice?",
    255.0: "is a division by 255 missing?",
}


def _factors(pairs: Sequence[Pair]) -> list[float] | None:
    """Return by what factor each observed array is off, where it is one number for the whole array."""
    pairs = [(e, o) for e, o in pairs if e.shape != o.shape or e.any() or o.any()]
    if not pairs or not _numbers(pairs, 1):
        return None
    factors = [weights([e], o) or [0.0] for e, o in pairs]
    return [factor for (factor,) in factors] if all(factor for (factor,) in factors) else None


def _factor(pairs: Sequence[Pair]) -> str | None:
    factors = _factors(pairs)
    if factors is None:
        return None
    first, steady = factors[0], max(factors) - min(factors) <= _TOLERANCE * abs(factors[0])
    if not steady:
        if not _on_all(pairs, lambda e, o: len(np.unique(np.abs(e))) > 1):
            return None  # two numbers always differ by a factor
        whole = {_whole(abs(factor)) for factor in factors}
        many = ", ".join(f"{factor:.4g}" for factor in factors[:3])
        meaning = len(whole) == 1 and whole.pop() or "what do you divide by?"
        return f"Your values are off by a factor that changes with the inputs ({many}): {meaning}"
    if np.isclose(first, -1, rtol=1e-4):
        return "The sign is the other way round: your values are the right ones times -1."
    meanings = [meaning for value, meaning in _MEANINGS.items() if np.isclose(abs(first), value, rtol=1e-5)]
    meaning = next(iter(meanings), _whole(abs(first)))
    if not meaning and sum(e.size for e, _ in pairs) == 1:
        return None
    sign = "" if first > 0 else ", and the sign is the other way round"
    return f"Your values are the right ones times {abs(first):.4g}{sign}{': ' if meaning else '.'}{meaning}"


def _whole(factor: float) -> str:
    for number, question in (
        (factor, "is something added up that should be averaged, or a division missing?"),
        (1 / factor, "is something averaged that should be added up, or divided once too often?"),
    ):
        if 1.5 <= number < 1000 and np.isclose(number, round(number), rtol=3e-6):  # larger ones are whole by chance
            return question
    return ""


def _offset(pairs: Sequence[Pair]) -> str | None:
    if not _numbers(pairs, 1) or sum(e.size for e, _ in pairs) < 2:
        return None
    e, o = _all(pairs)
    amount = float(np.mean(o - e))
    if not _on_all(pairs, lambda e, o: _same(e + amount, o * 1.0)):
        return None
    if all(e.dtype.kind in "iu" for e, _ in pairs) and abs(amount) == 1:
        return "Every value is one too large: do you count from 1?" if amount > 0 else "Every value is one too small."
    return f"Every value is off by the same amount: {abs(amount):.4g} too {'large' if amount > 0 else 'small'}."


_FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "squared": np.square,
    "under a square root": np.sqrt,
    "put into exp": np.exp,
    "put into a logarithm": np.log,
    "without their signs": np.abs,
    "subtracted from 1": lambda x: 1 - x,
    "rounded": np.round,
    "turned upside down (1 over them)": lambda x: 1 / x,
    "cut off below 0, as by a relu": lambda x: np.maximum(x, 0),
}


_ONE_WAY = list(_FUNCTIONS)[-5:]  # what is lost cannot be done afterwards, and what undoes itself was tried


def _of_each_value(pairs: Sequence[Pair]) -> str | None:
    """Numbers are to be right, and are a function of what is right; or the other way round."""
    if not _on_all(pairs, lambda e, o: e.shape == o.shape and e.dtype.kind in "fiu" and o.dtype.kind in "fiu"):
        return None
    for word, function in _FUNCTIONS.items() if sum(e.size for e, _ in pairs) > 2 else ():
        if _on_all(pairs, lambda e, o, f=function: _same(f(e * 1.0), o)):
            return f"Your values are the right ones {word}."
        if word not in _ONE_WAY and _on_all(pairs, lambda e, o, f=function: _same(f(o * 1.0), e)):
            return f"{word.capitalize()}, your values would be the right ones."
    return None


def _numbers(pairs: Sequence[Pair], at_least: int) -> bool:
    """Whether all are finite numbers in the right shape, of which at least so many different ones are to be right."""
    return _on_all(
        pairs,
        lambda e, o: (
            e.shape == o.shape
            and e.dtype.kind in "fiu"
            and o.dtype.kind in "fiu"
            and bool(np.isfinite(e).all() and np.isfinite(o).all())
            and len(np.unique(e)) >= at_least
        ),
    )


def _all(pairs: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray]:
    """Return all numbers that are to be right, and all that came."""
    e, o = (np.concatenate([np.asarray(pair[i], float).ravel() for pair in pairs]) for i in (0, 1))
    return e, o


def weights(parts: Sequence[np.ndarray], whole: np.ndarray) -> list[float] | None:
    """Return how often each part has to be taken for their sum to be the whole, or None where it cannot be."""
    columns = np.stack([np.ravel(part).astype(float) for part in parts], axis=1)
    scale = np.abs(columns).max(axis=0)
    if not np.isfinite(scale).all() or not scale.all() or not np.isfinite(whole).all():
        return None
    times, _, rank, _ = np.linalg.lstsq(columns / scale, np.ravel(whole).astype(float), rcond=1e-5)
    if rank < len(parts) or not _same(np.ravel(whole), columns / scale @ times):
        return None
    return (times / scale).tolist()


def _straight_line(pairs: Sequence[Pair]) -> str | None:
    if not _numbers(pairs, 5):
        return None
    e, o = _all(pairs)
    if np.ptp(o) > 0 and (found := weights([e, np.ones_like(e)], o)):
        return f"Your values are the right ones times {found[0]:.4g}, and then {found[1]:+.4g}."
    return None


def _cut_off(pairs: Sequence[Pair]) -> str | None:
    if not _numbers(pairs, 3):
        return None
    e, o = _all(pairs)
    for word, limit, limited in (
        ("above", o.max(), np.minimum(e, o.max())),
        ("below", o.min(), np.maximum(e, o.min())),
    ):
        if np.ptp(o) > 0 and 1 < (limited != e).sum() < e.size - 1 and _same(limited, o):
            return f"Your values are the right ones, cut off {word} {limit:.4g}."
    return None


def _by_part(pairs: Sequence[Pair]) -> str | None:
    """Off by an amount, or by a factor, that is the same all along some axes."""
    ndim = pairs[0][0].ndim
    if not 2 <= ndim <= 4 or not _numbers(pairs, 2) or any(e.ndim != ndim for e, _ in pairs):
        return None
    if np.mean(np.concatenate([_close(e, o).ravel() for e, o in pairs])) > 0.25:  # then where says more
        return None

    def by_amount(e, o, along):
        return e + (o - e).mean(axis=along, keepdims=True)

    def by_factor(e, o, along):
        return e * (e * o).sum(axis=along, keepdims=True) / np.maximum((e * e).sum(axis=along, keepdims=True), 1e-30)

    def says_much(e, along):
        varied = np.ptp(e, axis=along) > 0  # in a part of one value, any amount and any factor fits
        return e.size - varied.size >= 4 and varied.sum() > 1 and varied.mean() > 0.5

    for n in range(1, ndim):
        for kept in itertools.combinations(range(ndim), n):
            along = tuple(axis for axis in range(ndim) if axis not in kept)
            if not any(says_much(e, along) for e, _ in pairs):
                continue
            where = f"that changes along {_say_axes(kept, 9)} and is the same along {_say_axes(along, 9)}"
            for off, sentence in (
                (by_amount, f"Your values are off by an amount {where}: which term depends on only one of them?"),
                (by_factor, f"Your values are off by a factor {where}: what do you divide by, or multiply with?"),
            ):
                if _on_all(pairs, lambda e, o, off=off, along=along: _same(o, off(e * 1.0, o * 1.0, along))):
                    return sentence
    return None


def _order_kept(pairs: Sequence[Pair]) -> str | None:
    if not _numbers(pairs, 8) or not _on_all(pairs, lambda e, o: len(np.unique(o)) > 7):
        return None
    if _on_all(pairs, lambda e, o: np.array_equal(e.argsort(None, kind="stable"), o.argsort(None, kind="stable"))):
        return (
            "The largest of your values stands where it should, and so on down to the smallest: their order is right."
        )
    return None


def _same_along(pairs: Sequence[Pair]) -> str | None:
    ndim = pairs[0][0].ndim

    def fits(e, o, axis):
        return e.ndim == ndim and not np.ptp(o, axis=axis).any() and bool(np.ptp(e, axis=axis).any())

    if not 0 < ndim <= 5 or not _numbers(pairs, 2):
        return None
    axes = tuple(axis for axis in range(ndim) if _on_all(pairs, lambda e, o, axis=axis: fits(e, o, axis)))
    if len(axes) == ndim:
        return "Your result has the same value everywhere, whatever the input says."
    return f"Your result is the same all along {_say_axes(axes, 9)}; the right one changes there." if axes else None


def _some_slices(pairs: Sequence[Pair]) -> str | None:
    """All along an axis it is either all right or off, and both occurs."""
    expected, observed = pairs[0]
    if expected.shape != observed.shape or not 1 <= expected.ndim <= 4:
        return None
    off = ~_close(expected, observed)
    for axis in range(expected.ndim):
        others = tuple(i for i in range(expected.ndim) if i != axis)
        wrong = off.any(axis=others)
        right = ~wrong & np.any(expected, axis=others)  # 0 comes out right too easily
        if 2 < len(wrong) <= 12 and right.any() and 1 < wrong.sum() == off.sum() / off.size * len(wrong):
            places = [", ".join(map(str, np.flatnonzero(which))) for which in (~wrong, wrong)]
            return f"Along axis {axis}, only these places come out right: {places[0]}. These do not: {places[1]}."
    return None


_complement = _when(
    "Every yes is a no, and every no a yes: the condition is the other way round.",
    lambda e, o: e.dtype.kind == o.dtype.kind == "b" and e.shape == o.shape != () and bool(np.all(e != o)),
)


def _reversed(pairs: Sequence[Pair]) -> str | None:
    return _moved(pairs, lambda e, axis: np.flip(e, axis), "The values are right, but in reverse order along axis {}.")


def _shifted(pairs: Sequence[Pair]) -> str | None:
    ndim = pairs[0][0].ndim

    def fits(e, o, axis, step):
        if e.ndim != ndim or e.shape != o.shape or e.shape[axis] < 3:
            return False
        inner = (slice(None),) * axis + (slice(1, None) if step > 0 else slice(None, -1),)
        moved = np.roll(e, step, axis)
        return not np.array_equal(e, moved) and _same(moved[inner], o[inner])

    for step, way in ((1, "later"), (-1, "earlier")):
        for axis in range(min(ndim, 5)):
            if _on_all(pairs, lambda e, o, axis=axis, step=step: fits(e, o, axis, step)):
                return f"The values are right, but each stands one place {way} along axis {axis} than it should."
    return None


def _one_slice(pairs: Sequence[Pair]) -> str | None:
    """Whatever is off lies at one index of an axis."""
    if not _on_all(pairs, lambda e, o: e.shape == o.shape and e.ndim > 0 and e.size > 2):
        return None
    off = [np.argwhere(~_close(e, o)) for e, o in pairs]
    for axis in range(min(e.ndim for e, _ in pairs)):
        ends = {(int(i), e.shape[axis]) for (e, _), where in zip(pairs, off, strict=True) for i in where[:, axis]}
        places = {i for i, _ in ends}
        last = all(i == size - 1 for i, size in ends)
        if all(size > 1 for _, size in ends) and (last or len(places) == 1):
            which = "the first" if places == {0} else "the last" if last else f"index {min(places)}"
            return f"Only {which} along axis {axis} is off; the rest is right."
    return None


def _close(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    scale = np.abs(a[np.isfinite(a)]).max(initial=1e-6)
    return (np.abs(a - b) <= _TOLERANCE * scale) | (a == b)


def _few(pairs: Sequence[Pair]) -> str | None:
    """Most is right, and what is off has something in common."""
    if not _on_all(pairs, lambda e, o: e.shape == o.shape and e.size > 3):
        return None
    e, o = (np.concatenate([np.asarray(pair[i], float).ravel() for pair in pairs]) for i in (0, 1))
    off = np.concatenate([~_close(expected, observed).ravel() for expected, observed in pairs])
    if off.all():
        return None
    for sentence, where in (
        ("where they should be 0", e == 0),
        ("where they should not be 0", e != 0),
        ("where they should be negative", e < 0),
        ("where they should be positive", e > 0),
    ):
        if np.array_equal(off, where):
            return f"Your values are off {sentence}, and right everywhere else."
    if off.mean() <= 0.5:
        many = int((o[off] > e[off]).sum())
        way = "too large" if many == off.sum() else "too small" if many == 0 else "off"
        return f"Most values are right; {int(off.sum())} of {off.size} are {way}. What do those places have in common?"
    return None


def _statement(name: str, expected: np.ndarray, observed: np.ndarray) -> str | None:
    """What the probe looked for is a yes or a no, or a number of its own: its name says it."""
    if expected.shape == observed.shape == () and expected.dtype.kind == "b":
        return f"It should {'' if expected else 'not '}be so that {name}."
    if expected.shape == observed.shape == () and expected.dtype.kind in "iu":
        return f"{name[:1].upper()}{name[1:]}: there should be {expected}, and there are {observed}."
    return None


def _moved(pairs: Sequence[Pair], move: Callable[[np.ndarray, int], np.ndarray], sentence: str) -> str | None:
    ndim = pairs[0][0].ndim
    for axis in range(min(ndim, 5)):
        if _on_all(pairs, lambda e, o, a=axis: e.ndim == ndim and e.shape == o.shape and _same(move(e, a), o)):
            return sentence.format(axis)
    return None


_first_for_all = _when(
    "What is right for the first example comes back for all of them.",
    lambda e, o: e.ndim > 0 and len(e) > 1 and e.shape == o.shape and _same(np.broadcast_to(e[:1], e.shape), o),
)
_first_right = _when(
    "Along axis 0 the first comes out right, and none of the others.",
    lambda e, o: (
        e.ndim > 0 and len(e) > 1 and e.shape == o.shape and _same(e[0], o[0]) and not any(map(_same, e[1:], o[1:]))
    ),
)
_inside_right = _when(
    "The inside of each map comes out right, but not its border: how is it padded?",
    lambda e, o: (
        e.shape == o.shape and e.ndim > 2 and min(e.shape[1:3]) > 2 and _same(e[:, 1:-1, 1:-1], o[:, 1:-1, 1:-1])
    ),
)
_another_order = _when(
    "The values are right, but in another order.",
    lambda e, o: e.shape == o.shape and len(np.unique(e)) > 2 and _same(np.sort(e, axis=None), np.sort(o, axis=None)),
)


# What an answer did, the most telling first; then where it is right, and where not.
_DONE = (
    _not_finite, _dtype, _zeros, _axis_of_one, _permuted, _reshaped, _only_the_first, _reduced_too_far, _not_reduced,
    _repeated, _complement, _factor, _offset, _of_each_value, _reversed, _first_for_all, _shifted, _constant,
    _another_order, _cut_off, _straight_line, _by_part, _same_along,
)  # fmt: skip
_WHERE = (_first_right, _inside_right, _one_slice, _few, _some_slices, _order_kept, _shape)


class Relation(NamedTuple):
    """A sentence on how what was observed differs, and of which difference it was found first."""

    number: int
    says: str


Differences = Sequence[tuple[str, np.ndarray, np.ndarray]]  # name, expected, observed of all that is off


def relation(differences: Differences) -> Relation | None:
    """Return how what was observed differs from what should be, or None where no relation holds."""
    if differences and (statement := _statement(*differences[0])):
        return Relation(0, statement)
    return _first(_DONE, differences)


def whereabouts(differences: Differences) -> Relation | None:
    """Return where what was observed is right, and where not, if that can be said in a sentence."""
    return _first(_WHERE, differences)


def _first(rungs: Sequence[Callable[[Sequence[Pair]], str | None]], differences: Differences) -> Relation | None:
    pairs = [(expected, observed) for _, expected, observed in differences]
    alone = [(number, [pair]) for number, pair in enumerate(pairs)] if len(pairs) > 1 else []
    with np.errstate(all="ignore"):
        for number, some in ((0, pairs), *alone) if pairs else ():
            if sentence := next((sentence for rung in rungs if (sentence := rung(some))), None):
                return Relation(number, sentence)
    return None
