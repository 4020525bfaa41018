"""The answers as text: short, and as a student would write them in the lesson's notebook.

From these texts come the solution notebooks' cells, their blanks, the last hints, the references, most misconceptions,
and the earlier answers in the sandbox. A lesson's answers.py is never imported. The lines between its marks are left
out in blanks. Its other definitions are also in cells of the lesson's notebook, for students to use.
"""

import linecache
import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from vqtutor.lessons import earlier_exercises, lesson_of
from vqtutor.source import PREAMBLE

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
REGION = re.compile(rf"^( *){BEGIN}\n(.*?)^ *{END}$", re.DOTALL | re.MULTILINE)
_MARKS = re.compile(rf"^ *({BEGIN}|{END}|# Write your answer below.*)\n?", re.MULTILINE)


@cache
def _cells(slug: str) -> dict[str, str]:
    text = (Path(__file__).parent / slug / "answers.py").read_text(encoding="utf-8").rstrip()
    cells = re.split(r"\n\n\n(?=def |class )", text)[1:]
    return {re.match(r"\w+ (\w+)", cell)[1]: cell for cell in cells}


def cell_of(id: str) -> str:
    """Return the solution notebook's cell for an exercise, with the solution marks."""
    return _cells(lesson_of(id).slug)[id.split(".")[1]]


def answer_of(id: str) -> str:
    """Return an exercise's answer without marks; it passes when it is pasted into the lesson's notebook."""
    return _MARKS.sub("", cell_of(id)).rstrip()


def blank(source: str) -> str:
    """Replace the lines between the solution marks by `...`, so that the cell stays valid Python."""

    def dots(region: re.Match) -> str:
        assignment = re.fullmatch(r" *(\w+) = .*\n", region[2])
        return f"{region[1]}{assignment[1]} = ..." if assignment else f"{region[1]}..."

    return REGION.sub(dots, source)


def uses(id: str, text: str) -> dict[str, str]:
    """Return {name: id} of the exercises before `id` whose names occur in a text, which is an answer to `id`."""
    return {name: other for name, other in earlier_exercises(id).items() if re.search(rf"\b{name}\b", text)}


def given(id: str, text: str) -> str:
    """Return the source of the lesson's given definitions that a text uses, or ""."""
    lesson = lesson_of(id)
    cells = {name: cell for name, cell in _cells(lesson.slug).items() if name not in lesson.blanks}
    return "".join(f"{cell}\n\n" for name, cell in cells.items() if re.search(rf"\b{name}\b", text))


def define(id: str, text: str) -> Any:
    """Run a text that answers an exercise, with the references of earlier exercises that it uses; return the answer."""
    space = {"__name__": f"vqtutor.lessons.{lesson_of(id).slug}.answers", "vqtutor": import_module("vqtutor")}
    exec(PREAMBLE, space)
    space |= {name: reference(other) for name, other in uses(id, text).items()}
    exec(given(id, text), space)
    exec(compile(text, f"<{id}>", "exec"), space)
    return space[id.split(".")[1]]


@cache
def reference(id: str) -> Any:
    """Return an exercise's answer: the function or class that its text defines."""
    text, file = answer_of(id), f"<{id}>"
    linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file  # so that a traceback can quote it
    return define(id, text)
