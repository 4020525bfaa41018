"""Functions with which lessons define exercises and questions, and edits of an answer's text."""

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import haiku as hk

from vqtutor.checking.exercise import Exercise, Kind, Misconception, Question, Slip, Tried, Work
from vqtutor.checking.tried import observations
from vqtutor.lessons import lesson_of
from vqtutor.lessons.answers import answer_of, define, reference


@dataclass(frozen=True)
class Edit:
    """Changes of an answer's text; see `edit`."""

    pairs: tuple[tuple[str, str], ...]
    times: int

    def text(self, id: str) -> str:
        """Return the text of an exercise's answer with the changes."""
        text = answer_of(id)
        for old, new in self.pairs:
            if text.count(old) != self.times:
                raise ValueError(
                    f"{id}: an edit wants {old!r} {self.times} times, and finds it {text.count(old)} times."
                )
            text = text.replace(old, new)
        return text


def edit(*texts: str, times: int = 1) -> Edit:
    """Return a change of the exercise's answer: the first text of each pair, found `times` times, becomes the second.

    Example: edit("counts < threshold", "counts <= threshold")
    """
    return Edit(tuple(zip(texts[::2], texts[1::2], strict=True)), times)


def decorated(with_: str) -> Edit:
    """Return the change that adds a decorator, such as "jax.jit", to the exercise's answer."""
    return Edit((("def ", f"@{with_}\ndef "),), 1)


def exercise(
    id: str,
    can: str,
    wrong: Mapping[str, tuple],
    right: Mapping[str, Any],
    hints: tuple[str, ...],
    seconds: float = 10.0,
    *,
    kind: str,
    importance: int,
    difficulty: int,
    minutes: int,
    stuck: str,
) -> Exercise:
    """Return an exercise of a lesson. Its answer is a text in answers.py, its probes are in probes.py.

    Args:
      id: "lesson.name".
      can: what an answer that passes can do, in a sentence that begins with "It".
      wrong: {name of a misconception: (*answers with that idea, what is wrong, where to look)}, in the order in which
        they are tried. An answer is an `edit`, a function or a class.
      right: {what differs: another right answer}.
      hints: from vague to precise; the answer is added as the last one.
      seconds: see `Exercise`.
      kind, importance, difficulty, minutes, stuck: see `Work`.
    Raises:
      ValueError: an edit finds nothing to change.
    """
    answer = reference(id)
    resolve: Callable[[Any], Any] = lambda one: define(id, one.text(id)) if isinstance(one, Edit) else one  # noqa: E731
    return Exercise(
        id=id,
        reference=answer,
        arguments=tuple(p.name for p in inspect.signature(answer).parameters.values() if p.default is p.empty),
        base=hk.Module if inspect.isclass(answer) else None,
        probes=lesson_of(id).module("probes").PROBES[id.split(".")[1]],
        misconceptions=tuple(
            Misconception(name, says, look, resolve(first), tuple(map(resolve, others)))
            for name, (first, *others, says, look) in wrong.items()
        ),
        alternatives={name: resolve(one) for name, one in right.items()},
        hints=hints,
        can=can,
        seconds=seconds,
        tried=_tried(id),
        work=Work(Kind(kind), importance, difficulty, minutes, stuck),
    )


def tried_file(id: str) -> Path:
    """Return the file that keeps what was tried beforehand of the exercises of an exercise's lesson."""
    return Path(__file__).parent / lesson_of(id).slug / "tried.json"


def _tried(id: str) -> Tried:
    tried = _table(tried_file(id)).get(id)
    if not tried:
        return Tried()
    return Tried(observations(tried["right"]), tuple(tried["wrong"]), tuple(Slip(**slip) for slip in tried["slips"]))


@cache  # one file serves all exercises of a lesson
def _table(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def question(id: str, asks: str, best: str, choices: Mapping[str, str]) -> Question:
    """Return a question; its choices, {choice: comment on it}, get the letters a, b, c, ..."""
    return Question(id, asks, dict(zip("abcdef", choices.items(), strict=False)), best)
