"""vqtutor new-exercise: write the stubs of an exercise, for its author to fill in."""

import keyword
import re
from pathlib import Path

import nbformat

from vqtutor import authoring
from vqtutor.lessons import LESSONS, Lesson
from vqtutor.lessons.answers import BEGIN, END
from vqtutor.storage import whole_file

_ANSWER = f'''


def NAME(x):
    """Return the same numbers, [...]."""
    # Write your answer below (one line).
    {BEGIN}
    return x
    {END}
'''

_PROBES = """\
    "NAME": (
        Probe("values", lambda answer: {"values": answer(np.arange(3.0))}),
    ),
"""

_EXERCISE = """
NAME = exercise(
    "SLUG.NAME",
    can="It does what one sentence says.",
    kind="transcription", importance=2, difficulty=1, minutes=5,
    stuck="What to do after ten minutes without an idea.",
    wrong={
        "the idea that is off": (edit("return x", "return 2 * x"),
            "One sentence on what is off.",
            "One sentence on where to look."),
    },
    right={
        "what differs": lambda x: x + 0,
    },
    hints=(
        "A nudge; the answer is added as the last hint.",
    ),
)  # fmt: skip
"""

_HEADER = """\
### Exercise: `NAME`

*difficulty*

- takes `x`: float `[...]`
- returns: float `[...]`"""


def new_exercise(folder: Path, slug: str, name: str, bonus: bool = False) -> list[Path]:
    """Write a stub of an exercise at the end of a lesson; return the files to fill in.

    Args:
      folder: the course's, with `solutions/` and `vqtutor/`.
      slug: of the lesson, such as "losses".
      name: of the function that students write.
      bonus: whether it is a puzzle, behind all exercises of the lesson.
    Raises:
      ValueError: there is no such lesson, or the name is not an identifier or already in use; nothing is written then.
    """
    lesson = next((one for one in LESSONS if one.slug == slug), None)
    if lesson is None:
        raise ValueError(f"There is no lesson {slug!r}: take one of {', '.join(one.slug for one in LESSONS)}.")
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"{name!r} cannot be the name of a function.")
    owner = next((one for one in LESSONS if name in one.blanks), None)
    if owner:  # a notebook shares its namespace with the answers of earlier lessons
        raise ValueError(f"{name} is an exercise of {owner.notebook} already: take another name.")
    place = folder / "vqtutor" / "lessons"
    answers, probes, exercises = (place / slug / f"{part}.py" for part in ("answers", "probes", "exercises"))
    texts = {
        place / "__init__.py": _declare((place / "__init__.py").read_text(encoding="utf-8"), lesson, name, bonus),
        answers: answers.read_text(encoding="utf-8").rstrip() + _ANSWER,
        probes: re.sub(r"(?s)(\nPROBES = \{\n.*?),?(\n\}\n)", rf"\1,\n{_PROBES.rstrip()}\2", probes.read_text("utf-8")),
        exercises: exercises.read_text(encoding="utf-8").rstrip() + "\n" + _EXERCISE,
    }
    if bonus:
        texts[exercises] = texts[exercises].replace(_EXERCISE, _EXERCISE.replace("transcription", "puzzle"))
    for path, text in texts.items():
        with whole_file(path) as file:
            file.write(text.replace("NAME", name).replace("SLUG", slug).encode())
    solution = folder / "solutions" / f"{lesson.notebook}.ipynb"
    _add_cells(solution, f"{slug}.{name}", name, lesson.blanks[-1] if bonus else lesson.exercises[-1])
    return [answers, probes, exercises, solution]


def _declare(text: str, lesson: Lesson, name: str, bonus: bool) -> str:
    """Return the text of the table of lessons with the name added."""
    last = f'"{(lesson.puzzles if bonus else lesson.exercises)[-1]}"'
    if not text[text.index(last, text.index(f'"{lesson.slug}"')) + len(last) :].startswith(","):
        text = text.replace(f"{last})", f"{last},)")
    last += ","
    end = text.index(last, text.index(f'"{lesson.slug}"')) + len(last)
    added = f'\n            "{name}",' if text[end] == "\n" else f' "{name}"'
    return text[:end] + added + text[end:]


def _add_cells(path: Path, id: str, name: str, after: str) -> None:
    """Add an exercise's header, answer and check after the check of another one of its lesson."""
    notebook, other = authoring.read(path), {"role": "check", "exercise": f"{id.split('.')[0]}.{after}"}
    tail = next(i for i, cell in enumerate(notebook.cells) if dict(authoring.about(cell)) == other) + 1
    dashed = re.sub(r"[_\W]+", "-", name)
    notebook.cells[tail:tail] = [
        nbformat.v4.new_markdown_cell(_HEADER.replace("NAME", name), id=f"header-{dashed}"),
        nbformat.v4.new_code_cell(_ANSWER.replace("NAME", name).strip(), id=f"answer-{dashed}"),
        nbformat.v4.new_code_cell(f'{name} = vqtutor.check("{id}", {name})', id=f"check-{dashed}"),
    ]
    for cell, role in zip(notebook.cells[tail:], ("header", "answer", "check"), strict=False):
        cell.metadata["vqtutor"] = {"role": role, "exercise": id}
    authoring.write(notebook, path)
