"""Where a student's answers come from: the progress, which keeps each as it passed its check, or notebooks."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vqtutor.checking import State, progress
from vqtutor.lessons import EXERCISES, LESSONS, earlier_blanks, lesson_of
from vqtutor.lessons.answers import blank, cell_of
from vqtutor.source import Cell, aliases, cut, running

_LAYERS = ("Conv2D", "Conv2DTranspose", "convolve", "quick_jit")  # what a module may call when it is imported


@dataclass(frozen=True)
class Part:
    """One exercise: the student's answer with all that it uses, as it was written; or why there is none.

    Attributes:
      id: of the exercise.
      source: of the answer; "" where the course's own takes its place.
      why: it does, in words that follow "yours".
    """

    id: str
    source: str = ""
    why: str = ""

    @property
    def idle(self) -> bool:
        """Whether nobody tried."""
        return self.why.startswith(("is still open", "is in no notebook"))

    def without(self, why: str) -> "Part":
        return replace(self, source="", why=why)


def from_progress() -> list[Part]:
    """Return all exercises, with the answers that passed their checks on this machine."""
    entries, parts = progress.load(), []
    for id in EXERCISES:
        entry = entries.get(id, {})
        tried = "has not passed its check yet" if entry.get("state") == State.NOT_YET else "is still open"
        lost = "passed where its text was not kept" if entry.get("state") == State.PASSED else tried
        parts.append(_part(id, entry.get("source", "") if entry.get("state") == State.PASSED else "", lost))
    return parts


def from_notebooks(place: Path) -> tuple[list[Part], list[str]]:
    """Return (all exercises, with the answers in a folder's notebooks or in one notebook; what is to be said of them).

    Of two notebooks of a lesson, the one that was saved last counts. Nothing is run, and no file is changed.

    Raises:
      FileNotFoundError, ValueError: there are no notebooks of the course; the message is a sentence.
    """
    try:
        from vqtutor.grading import collect
    except ModuleNotFoundError as error:
        raise ValueError(f"Reading notebooks needs {error.name}: install vqtutor[lab].") from error
    files = _notebooks(place)
    found: dict[str, tuple[Path, list[Cell], Mapping[str, collect.Answer]]] = {}
    said = []
    for file in sorted(files, key=lambda file: file.stat().st_mtime):
        try:
            lesson, code, answers = collect.answers_in(file.read_bytes())
        except Exception as error:  # whatever is in a file
            said.append(f"{file.name} cannot be read as a notebook ({type(error).__name__}), and was left out.")
            continue
        if lesson is None:
            said.append(f"{file.name} has no answer to any exercise of the course, and was left out.")
            continue
        if lesson in found:
            said.append(
                f"{found[lesson][0].name} was left out: {file.name} is of the same lesson, and was saved later."
            )
        found[lesson] = file, code, answers
    if not found:
        raise ValueError(f"No notebook in {place} has an answer to an exercise of the course: name their folder.")
    parts = []
    for id in EXERCISES:
        _, code, answers = found.get(lesson_of(id).slug, (None, [], {}))
        answer = answers.get(id)
        if answer is None:
            parts.append(Part(id, why="is in no notebook there"))
        elif answer.problem:
            parts.append(Part(id, why=f"cannot be read ({answer.problem.rstrip('.')})"))
        else:
            parts.append(_part(id, _as_written(code, answer), "is still open"))
    return parts, said


def _notebooks(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise FileNotFoundError(f"There is no folder {str(place)!r}: name the one that holds your notebooks.")
    for folder in (place, place / "notebooks"):  # a clone of the course has its solutions beside them
        if files := [file for file in folder.glob("*.ipynb") if file.is_file() and not file.name.startswith(".")]:
            return files
    names = f"{LESSONS[0].notebook}.ipynb and the others"
    raise FileNotFoundError(f"There are no notebooks in {str(place)!r}: name the folder that holds {names}.")


def _as_written(code: list[Cell], answer) -> str:
    """Return an answer's source with its comments, from the cell that counts."""
    name = EXERCISES[answer.exercise].name
    cell = next((cell for cell in reversed(code) if cell.text == answer.cell and cell.defining(name)), None)
    if cell is None or cell.is_open(name):
        return ""
    source, others = cut(code, cell, name, earlier_blanks(answer.exercise), as_written=True)
    return aliases(others) + source


def _part(id: str, source: str, why: str) -> Part:
    """Return an exercise with an answer, if there is one, and if to define it does nothing else."""
    cell = Cell(source)
    if cell.error:
        return Part(id, why=f"cannot be read ({cell.error})")
    if not any(EXERCISES[id].name in one.binds for one in cell.statements):
        return Part(id, why=why)
    if done := _does(cell):
        return Part(id, why=f"needs a cell that calls vqtutor.{done}, which a module should not when it is imported")
    return Part(id, _cleaned(id, source))


def _does(cell: Cell) -> str:
    """Return what of vqtutor is called when a cell runs, besides layers: data, trainings, pictures."""
    for one in cell.statements:
        for node in running(one.node):
            called = node.func if isinstance(node, ast.Call) else None
            if (
                isinstance(called, ast.Attribute)
                and isinstance(called.value, ast.Name)
                and called.value.id == "vqtutor"
            ):
                if called.attr not in _LAYERS:
                    return called.attr
    return ""


def _cleaned(id: str, source: str) -> str:
    """Return an answer without the comments that the lesson put into its blank."""
    given = {line.strip() for line in blank(cell_of(id)).splitlines() if line.strip().startswith("#")}
    lines = [line for line in source.splitlines() if line.strip() not in given]
    lines = [line for line in lines if not re.fullmatch(r"\s*### (BEGIN|END) SOLUTION", line)]
    return "\n".join(line.rstrip() for line in lines) + "\n"
