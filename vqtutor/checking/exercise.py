"""Exercises as data: a reference answer, probes that run an answer, and a catalogue of misconceptions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

Print = list[Any]  # what JSON keeps of an array: shape, kind of number, numbers that are not finite, and three sums
Prints = Mapping[str, Mapping[str, Print] | str]  # of every probe: {name: fingerprint}, or its problem


class State(StrEnum):
    """The state of an answer after a check."""

    PASSED = "passed"
    NOT_YET = "not yet"
    OPEN = "not written yet"


class Kind(StrEnum):
    """What a blank asks for."""

    TRANSCRIPTION = "transcription"  # what the text says, as code
    DECISION = "decision"  # several answers do, and the student chooses
    DEBUGGING = "debugging"  # find what is wrong, or build what finds it
    PROOF = "proof"  # work out what has to hold
    PUZZLE = "puzzle"  # a bonus: its points are counted apart


@dataclass(frozen=True)
class Work:
    """What an exercise takes.

    Args:
      kind: see `Kind`.
      importance, difficulty: from 1 to 3.
      minutes: that most students need.
      stuck: what to do after ten minutes without an idea, in a sentence.
    """

    kind: Kind = Kind.TRANSCRIPTION
    importance: int = 2
    difficulty: int = 1
    minutes: int = 5
    stuck: str = ""

    def __str__(self) -> str:
        levels = f"importance {self.importance} of 3, difficulty {self.difficulty} of 3, about {self.minutes} minutes"
        bonus = "bonus puzzle, in no total; " if self.kind == Kind.PUZZLE else ""
        return f"*{bonus}{levels}.* {self.when_stuck}"

    @property
    def when_stuck(self) -> str:
        return self.stuck and f"Stuck for ten minutes? {self.stuck}"


@dataclass(frozen=True)
class Probe:
    """Runs an answer with inputs of its own and returns named arrays.

    Args:
      name: the property that is tested, in words that a card can quote: "values", "gradient to z_e".
      run: answer -> {name: array}; called in the same way on the student's answer, the reference and misconceptions.
      points: earned by passing it.
    """

    name: str
    run: Callable[[Any], Mapping[str, Any]]
    points: int = 1


@dataclass(frozen=True, eq=False)
class Misconception:
    """A wrong answer with a name, and the message to a student whose answer behaves as it does.

    Args:
      name: the wrong idea, in a few words.
      says: one sentence on what is wrong.
      look: one sentence on where to look, never the answer.
      answer: the wrong answer; `also` holds others with the same idea.
    """

    name: str
    says: str
    look: str
    answer: Any
    also: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Slip:
    """A small mistake.

    Attributes:
      name, says, look: as of a misconception.
      prints: of what the probes observe of it.
    """

    name: str
    says: str
    look: str
    prints: Prints


@dataclass(frozen=True)
class Tried:
    """What the probes observed of an exercise's right answer, of its misconceptions' answers and of small mistakes."""

    right: tuple[Any, ...] = ()  # observations, whole
    wrong: tuple[Prints, ...] = ()
    slips: tuple[Slip, ...] = ()


@dataclass(frozen=True, eq=False)
class Exercise:
    """One blank of the course.

    Args:
      id: "lesson.name"; the student's cell defines the name.
      reference: the right answer; its source is the last hint.
      arguments: names of the answer's positional arguments; for a class, of its constructor's.
      probes: in the order in which a card should list them: values first.
      misconceptions: in the order in which they are tried.
      alternatives: {what differs from the reference: a right answer written differently}.
      hints: from vague to precise; the reference is added as the last one.
      can: what an answer that passes can do, in a sentence.
      base: the class that the answer must extend, when the answer is a class.
      seconds: of the answer's own processor time for all probes together. The first call compiles; an exercise whose
        reference needs over two seconds gets more than the default.
      tried: what the probes observed beforehand of the catalogue and of small mistakes, see tried.py.
      work: what it takes.
    """

    id: str
    reference: Any
    arguments: tuple[str, ...]
    probes: tuple[Probe, ...]
    misconceptions: tuple[Misconception, ...]
    alternatives: Mapping[str, Any]
    hints: tuple[str, ...]
    can: str = ""
    base: type | None = None
    seconds: float = 10.0
    tried: Tried = Tried()
    work: Work = Work()
    lesson: str = field(init=False)
    name: str = field(init=False)

    def __post_init__(self):
        lesson, name = self.id.split(".")
        object.__setattr__(self, "lesson", lesson)
        object.__setattr__(self, "name", name)

    @property
    def points(self) -> int:
        return sum(probe.points for probe in self.probes)

    @property
    def bonus(self) -> bool:
        """Whether it is a puzzle, whose points are in no total."""
        return self.work.kind == Kind.PUZZLE

    @cached_property
    def catalogue(self) -> tuple[Any, ...]:
        """The reference, then the answers of every misconception."""
        wrong = (answer for one in self.misconceptions for answer in (one.answer, *one.also))
        return self.reference, *wrong


@dataclass(frozen=True)
class Question:
    """A multiple-choice question that is answered before it is explained; it earns no points.

    Args:
      id: "lesson.q_name".
      asks: the question.
      choices: letter -> (the choice, the comment on it).
      best: the letter of the right choice.
    """

    id: str
    asks: str
    choices: Mapping[str, tuple[str, str]]
    best: str


@dataclass(frozen=True)
class FreeText:
    """A question that students answer in their own words, and that an instructor marks.

    What earns which points is said in the solution notebook only, see authoring.rubrics.

    Args:
      id: "lesson.name".
      asks: the question.
      points: the most that an answer earns.
    """

    id: str
    asks: str
    points: int
