"""From the probes' observations to a verdict: points, the misconception's name, and a message to the student."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from vqtutor.checking import card
from vqtutor.checking.exercise import Exercise, Misconception, Probe, Slip, State, Tried
from vqtutor.checking.made_of import array_of, calls, numbers_of, says_much
from vqtutor.checking.probe import Observation, Problem, is_open, misfit, observe
from vqtutor.checking.relations import Relation, relation, whereabouts
from vqtutor.checking.tried import behaves_as, fingerprints, shows

# float32 has about 7 digits and the probes add up tens of products of order one, so right answers written
# differently agree to about 1e-6 of the largest element; the mildest misconception is off by more than 1e-3.
RELATIVE_TOLERANCE = 1e-4
SMALLEST_SCALE = 0.1  # the tolerance is relative to this where the right answer is zero everywhere

_OPEN = "Write your answer in the cell above and run it; until then the cells below use the course's own answer."


@dataclass(frozen=True)
class ProbeVerdict:
    """The result of one probe. `message` says what differs; `remark` comments on a value that passes."""

    name: str
    points: int
    max_points: int
    message: str = ""
    remark: str = ""

    @property
    def passed(self) -> bool:
        return self.points == self.max_points


@dataclass(frozen=True)
class Verdict:
    """The verdict on an answer, as data; a notebook shows it as a card.

    Attributes:
      exercise: the exercise's id.
      state: see `State`.
      points, max_points: points earned, and the most that can be earned.
      misconception: the name of the misconception that the answer behaves as, if any.
      message: what is wrong and where to look; of a right answer, what it can do.
      probes: one verdict per probe.
      is_relation: no misconception matches, but the message says how the answer differs from the right one.
      standing: how far the student is in the lesson; "" except on the card of a check.
    """

    exercise: str
    state: State
    points: int
    max_points: int
    misconception: str | None = None
    message: str = ""
    probes: tuple[ProbeVerdict, ...] = field(default=())
    is_relation: bool = False
    standing: str = ""

    @property
    def passed(self) -> bool:
        return self.state == State.PASSED

    def __str__(self) -> str:
        return card.text(self)

    def _repr_html_(self) -> str:
        return card.html(self)

    def _repr_pretty_(self, printer, cycle) -> None:
        printer.text(card.text(self))


class CheckFailed(AssertionError):  # noqa: N818 - the name that notebooks and instructors see
    """A check did not pass. In a notebook the card has been shown, and takes the place of the traceback."""

    def __init__(self, verdict: Verdict):
        super().__init__(card.text(verdict))
        self.verdict = verdict

    def _render_traceback_(self) -> list[str]:
        return [
            f"{card.headline(self.verdict)}: the card above says why.\n"
            "If you ran all cells, the run stopped here: those below have not run."
        ]


def _is_close(expected: np.ndarray, actual: np.ndarray) -> np.ndarray:
    expected, actual = expected.astype(np.float64), actual.astype(np.float64)
    finite = np.abs(expected[np.isfinite(expected)])
    tolerance = RELATIVE_TOLERANCE * max(float(finite.max(initial=0.0)), SMALLEST_SCALE)
    with np.errstate(invalid="ignore"):  # inf - inf, where both are the same infinity
        return (np.abs(actual - expected) <= tolerance) | (expected == actual) | (np.isnan(expected) & np.isnan(actual))


def compare(expected: np.ndarray, actual: np.ndarray) -> str | None:
    """Return None when the arrays agree in shape, kind of number and value, else the first difference, in words."""
    if expected.shape != actual.shape:
        return f"expected shape {list(expected.shape)}, found {list(actual.shape)}"
    kinds = "iu" if expected.dtype.kind in "iu" else expected.dtype.kind
    single = expected.shape == ()  # a Python or NumPy float is as good as a JAX scalar
    if actual.dtype.kind not in kinds or (expected.dtype == np.float32 != actual.dtype and not single):
        return f"expected dtype {expected.dtype}, found {actual.dtype}"
    agree = _is_close(expected, actual)
    if agree.all():
        return None
    bad = int(np.sum(~np.isfinite(actual) & np.isfinite(expected))) if actual.dtype.kind == "f" else 0
    if bad:
        return f"{bad} of {actual.size} elements are NaN or infinite"
    first = tuple(int(i) for i in np.argwhere(~agree)[0])
    where = f" at {list(first)}" if first else ""
    return f"expected {_number(expected[first])}{where}, found {_number(actual[first])}"


def _number(value: np.generic) -> str:
    return f"{float(value):.4g}" if value.dtype.kind == "f" else str(value)


def _difference(expected: Observation, actual: Observation) -> str | None:
    """Return None when two observations of a probe agree, else the first difference, in words."""
    if actual.problem:
        return actual.sentence
    missing = [name for name in expected.arrays if name not in actual.arrays]
    if missing:
        return f"{missing[0]} is missing"
    for name, array in expected.arrays.items():
        difference = compare(array, actual.arrays[name])
        if difference:
            return difference if name == expected.probe else f"{name}: {difference}"
    return None


def agree(expected: Sequence[Observation], actual: Sequence[Observation]) -> bool:
    """Whether two answers' observations are the same, to rounding."""
    return not any(map(_difference, expected, actual))


def _remark(expected: Observation, actual: Observation) -> str:
    for name, array in expected.arrays.items():
        kind = actual.arrays[name].dtype
        if array.dtype.kind in "iu" and kind != array.dtype:
            return f"{name} is {kind}; that passes, though {array.dtype} is what the course promises."
    return ""


Look = Callable[[Exercise, Any], Sequence[Observation]]


# A process judges the same few dozen exercises again and again: each right and wrong answer is observed once.
@cache
def _look(exercise: Exercise, answer: Any) -> Sequence[Observation]:
    return observe(exercise, answer, seconds=120)


def _diagnose(exercise: Exercise, observations: Sequence[Observation], look: Look) -> Misconception | Slip | None:
    """Return the misconception, or small mistake, that an answer behaves as."""
    own, right = fingerprints(observations), fingerprints(look(exercise, exercise.reference))
    # On an accelerator, or with another JAX, the right answer may look different from when the others were tried.
    tried = exercise.tried if behaves_as(right, fingerprints(exercise.tried.right)) else Tried()
    if not shows(own, right):
        return None
    number = 0
    for misconception in exercise.misconceptions:
        for wrong in (misconception.answer, *misconception.also):
            prints = tried.wrong[number] if tried.wrong else fingerprints(look(exercise, wrong))
            if behaves_as(own, prints):
                return misconception
            number += 1
    if any(one.problem for one in observations):  # which says more
        return None
    return next((slip for slip in tried.slips if behaves_as(own, slip.prints)), None)


def judge_observations(exercise: Exercise, observations: Sequence[Observation], look: Look = _look) -> Verdict:
    """Return the verdict on the probes' observations of an answer.

    Args:
      exercise: the exercise that was answered.
      observations: one per probe.
      look: (exercise, answer) -> observations of the reference, or of a misconception's answer.
    """
    results: list[ProbeVerdict] = []
    kept = {one.probe: one for one in exercise.tried.right}
    references = [kept[probe.name] for probe in exercise.probes if probe.name in kept]
    if len(references) != len(observations) or not agree(references, observations):
        references = look(exercise, exercise.reference)
    for probe, expected, observation in zip(exercise.probes, references, observations, strict=True):
        difference = _difference(expected, observation)
        if difference:
            results.append(ProbeVerdict(probe.name, 0, probe.points, message=difference))
        else:
            results.append(ProbeVerdict(probe.name, probe.points, probe.points, remark=_remark(expected, observation)))
    points = sum(result.points for result in results)
    if points == exercise.points:
        return Verdict(exercise.id, State.PASSED, points, points, message=exercise.can, probes=tuple(results))
    if idea := _diagnose(exercise, observations, look):
        message = f"{idea.says}\n{idea.look}"
        return Verdict(exercise.id, State.NOT_YET, points, exercise.points, idea.name, message, tuple(results))
    message, is_relation = _unnamed(exercise, references, observations, results)
    return Verdict(exercise.id, State.NOT_YET, points, exercise.points, None, message, tuple(results), is_relation)


_Difference = tuple[Probe, str, np.ndarray, np.ndarray]  # name, expected, observed


def _unnamed(
    exercise: Exercise,
    expected: Sequence[Observation],
    observed: Sequence[Observation],
    results: Sequence[ProbeVerdict],
) -> tuple[str, bool]:
    """Return (what to say of an answer that no misconception behaves like, whether that is a relation)."""
    differences: list[_Difference] = []
    for probe, right, own in zip(exercise.probes, expected, observed, strict=True):
        if own.problem and not differences:
            return own.sentence, own.problem == Problem.ODD
        for name, array in right.arrays.items():
            if name in own.arrays and compare(array, own.arrays[name]):
                differences.append((probe, name, array, own.arrays[name]))
    if not differences:  # what is missing, or what a probe that follows a crash did not see
        return next(result.message for result in results if not result.passed), False
    probe, name, right, own = differences[0]
    if "shape" in name and right.ndim == 1:  # of sizes, no relation says more than the sizes themselves
        return f'With "{probe.name}", {name}: expected {right.tolist()}, found {own.tolist()}.', True
    plain = [difference[1:] for difference in differences]
    found = relation(plain) or _made(exercise, expected, differences) or whereabouts(plain)
    found = found or _others_right(expected, differences)
    probe, name, right, own = differences[found.number if found else 0]
    where = f'With "{probe.name}"' + (f", {name}" if name != probe.name else "")
    return f"{where}: {found.says if found else f'{compare(right, own)}.'}", found is not None


def _made(exercise: Exercise, expected: Sequence[Observation], differences: Sequence[_Difference]) -> Relation | None:
    """Return what an answer makes of its arguments, or which other result of the right answer it gives."""
    others = [(name, array) for one in expected for name, array in one.arrays.items() if len(np.unique(array)) > 2]
    for number, (_, name, _, own) in enumerate(differences):
        for other, array in others:
            if other != name and not compare(array, own):
                return Relation(number, f"Your result is what {other} should be.")
    for number, (probe, _, right, own) in enumerate(differences):
        if says_much(right, own) and (sentence := array_of(right, own, calls(exercise, probe))):
            return Relation(number, sentence)
    numbers = [
        i
        for i, (_, _, right, own) in enumerate(differences)
        if right.shape == own.shape == () and right.dtype.kind != "b"
    ]
    given = [call for probe in dict.fromkeys(differences[i][0] for i in numbers) for call in calls(exercise, probe)]
    sentence = numbers_of([differences[i][3] for i in numbers], given)
    return Relation(numbers[0], sentence) if sentence else None


def _others_right(expected: Sequence[Observation], differences: Sequence[_Difference]) -> Relation | None:
    """Return which of several results come out right: those of the same probe, else of the others."""
    off, probe = [name for _, name, _, _ in differences], differences[0][0].name
    right = {
        one.probe: [name for name, array in one.arrays.items() if name not in off and _says_something(array)]
        for one in expected
    }
    known = right[probe] or [name for names in right.values() for name in names]
    come = "comes" if len(known) == 1 else "come"
    return Relation(0, f"{_listed(known)} {come} out right, but not {_listed(off)}.") if known else None


def _says_something(right: np.ndarray) -> bool:
    """Whether not every answer gets this right, as a shape, a yes or zeros."""
    return right.dtype.kind == "f" and bool(right.any()) and (right.ndim == 0 or len(np.unique(right)) > 2)


def _listed(names: Sequence[str]) -> str:
    shown = [*names[:3], f"{len(names) - 3} more"] if len(names) > 4 else list(names)
    return " and ".join(part for part in (", ".join(shown[:-1]), shown[-1]) if part)


def judge(exercise: Exercise, answer: Any, seconds: float | None = None) -> Verdict:
    """Run an answer with the probes and judge it; a wrong answer raises nothing.

    Args:
      exercise: the exercise that was answered.
      answer: the student's function or class.
      seconds: of processor time for all probes together; by default the exercise's own `seconds`.
    """
    if answer is exercise.reference or is_open(answer):
        return Verdict(exercise.id, State.OPEN, 0, exercise.points, message=_OPEN)
    sentence = misfit(exercise, answer)
    if sentence:
        return Verdict(exercise.id, State.NOT_YET, 0, exercise.points, message=sentence)
    return judge_observations(exercise, observe(exercise, answer, seconds))
