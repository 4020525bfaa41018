"""What each lesson takes and holds, counted: `python benchmarks/lessons.py`, or `... COMMIT` for an earlier course.

With --write, the table goes into docs/measurements.md, between its two marks.
"""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import nbformat

from vqtutor import authoring
from vqtutor.checking.exercise import Kind
from vqtutor.lessons import EXERCISES

ROOT = Path(__file__).parents[1]
PAGE, MARKS = ROOT / "docs" / "measurements.md", ("<!-- course -->\n", "<!-- /course -->")
WORDS_A_MINUTE = 180  # of text with formulas in it
# What these blanks asked for until the layers were no longer given; all others have kept their kind.
EARLIER = {"vqvae.Encoder": Kind.TRANSCRIPTION, "vqvae.Decoder": Kind.TRANSCRIPTION}
HEAD = ("lesson", "reading", "work", *(f"{kind}" for kind in Kind), "figures", "predictions", "questions")


def notebooks(commit: str = "") -> Iterator[tuple[str, nbformat.NotebookNode]]:
    """Yield (name, solution) of the lessons in the working tree, or of a commit."""
    if not commit:
        yield from ((path.stem, authoring.read(path)) for path in authoring.lessons(ROOT))
        return
    git = lambda *words: subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: E731
    for name in git("ls-tree", "--name-only", commit, "solutions/").split():
        if name.endswith(".ipynb"):
            yield Path(name).stem, nbformat.reads(git("show", f"{commit}:{name}"), as_version=4)


def row(name: str, notebook: nbformat.NotebookNode, earlier: bool) -> tuple[str | int, ...]:
    """Return a lesson's line of the table."""
    kinds, words, figures, predictions, questions, minutes = Counter(), 0, 0, 0, 0, 0
    for cell in notebook.cells:
        about = authoring.about(cell)
        id, role = about.get("exercise"), about.get("role")
        words += len(re.sub(r"\(data:[^)]*\)", "", cell.source).split()) if cell.cell_type == "markdown" else 0
        figures += any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
        predictions += cell.cell_type == "code" and "prediction = ..." in cell.source
        questions += role in ("question", "free_text")
        if role == "header" and id in EXERCISES:
            kind = EARLIER.get(id, EXERCISES[id].work.kind) if earlier else EXERCISES[id].work.kind
            kinds[kind] += 1
            minutes += int(re.search(r"about (\d+) minutes", cell.source)[1]) * (kind != Kind.PUZZLE)
    return name, round(words / WORDS_A_MINUTE), minutes, *(kinds[k] for k in Kind), figures, predictions, questions


def table(commit: str = "") -> list[tuple[str | int, ...]]:
    """Return the table's lines, and a last one with the sums."""
    rows = [row(name, notebook, bool(commit)) for name, notebook in notebooks(commit)]
    return [*rows, ("all", *(sum(column) for column in list(zip(*rows, strict=True))[1:]))]


def text(rows: list[tuple[str | int, ...]]) -> str:
    lines = [HEAD, ("---",) * len(HEAD), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


if __name__ == "__main__":
    commits = [word for word in sys.argv[1:] if not word.startswith("--")]
    print(shown := text(table(*commits)), end="")
    if "--write" in sys.argv:
        before, rest = PAGE.read_text(encoding="utf-8").split(MARKS[0])
        PAGE.write_text(before + MARKS[0] + shown + MARKS[1] + rest.split(MARKS[1])[1], encoding="utf-8")
