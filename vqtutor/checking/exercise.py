"""An exercise is data: a reference answer, probes that drive an answer, and a catalogue of misconceptions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np


class State(StrEnum):
    """What a check says of an answer."""

    PASSED = "passed"
    NOT_YET = "not yet"
    OPEN = "not written yet"


@dataclass(frozen=True)
class Probe:
    """Drives an answer with inputs of its own and returns what it saw, as named arrays.

    Args:
      name: what is looked at, in words a card can quote: "values", "gradient to z_e".
      run: answer -> {name: array}; called alike on the student's answer, the reference and every misconception.
      points: what passing it earns.
      accept: (expected, found) -> None when found is as good as expected, else a sentence. Default: equal
        shape, dtype kind and values, see `compare` in judge.py.
    """

    name: str
    run: Callable[[Any], Mapping[str, Any]]
    points: int = 1
    accept: Callable[[np.ndarray, np.ndarray], str | None] | None = None


@dataclass(frozen=True, eq=False)
class Misconception:
    """A small wrong answer, with a name and what to tell the student who behaves as it does.

    Args:
      name: the idea that is off, in a few words.
      says: one sentence on what is off.
      look: one sentence on where to look, never the answer.
      answer: the wrong answer itself; `also` holds others with the same idea.
    """

    name: str
    says: str
    look: str
    answer: Any
    also: tuple[Any, ...] = ()


@dataclass(frozen=True, eq=False)
class Exercise:
    """One blank of the course.

    Args:
      id: "lesson.name"; the name is also what the student's cell defines.
      reference: the right answer; its source is the last hint.
      arguments: how the answer is called, by position; for a class, how it is constructed.
      probes: in the order in which a card should speak of them: values first.
      misconceptions: in the order in which they are tried.
      alternatives: right answers written differently, by what differs.
      hints: a ladder of nudges, each saying more than the last; the reference is added as the last step.
      base: what the answer must be a subclass of, when the answer is a class.
      seconds: of processor time that all probes together may take, the answer's own, however busy the machine is. The
        first call compiles; whoever needs over two seconds here gets more than the ten that serve most.
      slips: small mistakes that were tried beforehand, see slips.py.
    """

    id: str
    reference: Any
    arguments: tuple[str, ...]
    probes: tuple[Probe, ...]
    misconceptions: tuple[Misconception, ...]
    alternatives: Mapping[str, Any]
    hints: tuple[str, ...]
    base: type | None = None
    seconds: float = 10.0
    slips: tuple[Any, ...] = ()
    lesson: str = field(init=False)
    name: str = field(init=False)

    def __post_init__(self):
        lesson, name = self.id.split(".")
        object.__setattr__(self, "lesson", lesson)
        object.__setattr__(self, "name", name)

    @property
    def points(self) -> int:
        return sum(probe.points for probe in self.probes)

    @cached_property
    def catalogue(self) -> tuple[Any, ...]:
        """The reference, then every misconception's answers."""
        wrong = (answer for one in self.misconceptions for answer in (one.answer, *one.also))
        return self.reference, *wrong


@dataclass(frozen=True)
class Question:
    """A multiple-choice question that is answered before it is explained; it earns no points.

    Args:
      id: "lesson.q_name".
      asks: the question.
      choices: letter -> (the choice, what to say to those who took it).
      best: the letter of the choice that holds.
    """

    id: str
    asks: str
    choices: Mapping[str, tuple[str, str]]
    best: str
