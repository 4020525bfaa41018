"""Every answer once, as text: short, and as a student would write it in the lesson's notebook.

The solution notebooks' cells, their blanks and the last hints come from here. A module is a lesson; a blank leaves out
what stands between the marks.
"""

import re
from functools import cache
from pathlib import Path

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
_MARKS = re.compile(rf"^ *({BEGIN}|{END}|# Write your answer below.*)\n?", re.MULTILINE)


@cache
def _cells(lesson: str) -> dict[str, str]:
    text = (Path(__file__).parent / f"{lesson}.py").read_text(encoding="utf-8").rstrip()
    cells = re.split(r"\n\n\n(?=def |class )", text)[1:]
    return {re.match(r"\w+ (\w+)", cell)[1]: cell for cell in cells}


def cell_of(id: str) -> str:
    """Return the solution notebook's cell for an exercise, with the marks around what its blank leaves out."""
    lesson, name = id.split(".")
    return _cells(lesson)[name]


def answer_of(id: str) -> str:
    """Return an exercise's answer without marks: it runs and passes where it is pasted into the lesson's notebook."""
    return _MARKS.sub("", cell_of(id)).rstrip()
