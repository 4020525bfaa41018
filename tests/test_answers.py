"""The answers as text: the last hint of every exercise runs and passes where a student pastes it."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vqtutor import authoring, checking
from vqtutor.lessons import EXERCISES
from vqtutor.lessons.answers import answer_of, cell_of

ROOT = Path(__file__).parents[1]
each_lesson = pytest.mark.parametrize("name", [path.stem for path in authoring.lessons(ROOT)])
DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)


def prepares(cell) -> bool:
    """Whether a cell of a lesson only imports, recalls or defines: what a student has run before pasting a hint."""
    if cell.cell_type != "code" or authoring.about(cell)["role"] != "code":
        return False
    return "vqtutor.recall(" in cell.source or all(
        isinstance(node, DEFINITIONS) for node in ast.parse(cell.source).body
    )


@each_lesson
def test_the_last_hint_passes_where_it_is_pasted(name, tmp_path, monkeypatch, capsys):
    import vqtutor

    monkeypatch.setenv("VQTUTOR_PROGRESS", str(tmp_path / "progress.json"))
    space = {"__name__": "__main__"}
    for cell in authoring.read(ROOT / "notebooks" / f"{name}.ipynb").cells:
        exercise = EXERCISES.get(authoring.about(cell).get("exercise", ""))
        if prepares(cell):
            exec(cell.source, space)
        elif authoring.about(cell).get("role") == "answer":
            capsys.readouterr()
            vqtutor.hint(exercise.id, step=len(exercise.hints) + 1)
            title, _, *shown = capsys.readouterr().out.rstrip("\n").split("\n")
            hint = "\n".join(line.removeprefix("   ") for line in shown)
            assert "hint" in title and hint == answer_of(exercise.id) and len(shown) <= 25
            exec(hint, space)
            verdict = checking.judge(exercise, space[exercise.name])
            assert verdict.passed, str(verdict)


@each_lesson
def test_the_solutions_cells_are_the_answers(name):
    for cell in authoring.read(ROOT / "solutions" / f"{name}.ipynb").cells:
        if authoring.about(cell).get("role") == "answer":
            assert cell.source == cell_of(authoring.about(cell)["exercise"])


@pytest.mark.proof
def test_right_answers_pass_where_products_are_rounded():
    """On a GPU or TPU a product's factors lose half their digits by default, and no answer is wrong for that."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "rounded.py")],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    first, *rejected = done.stdout.strip().splitlines()
    assert 1e-5 < float(first.removeprefix("a product is off by ")) < 1e-3  # the machine does round
    assert done.returncode == 0 and rejected == [], done.stdout + done.stderr
