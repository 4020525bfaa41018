"""solutions/ -> notebooks/: what a student gets, and what keeps a lesson from being released."""

import base64
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from PIL import Image

from vqtutor import authoring
from vqtutor.lessons import EXERCISES, FREE_TEXTS, QUESTIONS

ROOT = Path(__file__).parents[1]
LESSONS = authoring.lessons(ROOT)
SOLUTIONS = {path.stem: authoring.read(path) for path in LESSONS}
STUDENTS = {path.stem: authoring.read(ROOT / "notebooks" / path.name) for path in LESSONS}
each_lesson = pytest.mark.parametrize("name", list(SOLUTIONS))


@pytest.fixture
def copy(tmp_path):
    """A copy of the course's folder to spoil."""
    for part in ("solutions", "notebooks"):
        shutil.copytree(ROOT / part, tmp_path / part)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def spoil(copy, name, change):
    path = copy / "solutions" / f"{name}.ipynb"
    notebook = authoring.read(path)
    change({cell.id: cell for cell in notebook.cells})
    nbformat.write(notebook, path)


def test_there_are_lessons():
    assert len(LESSONS) >= 2


def test_notebooks_are_what_solutions_give():
    assert authoring.drift(ROOT) == []


def test_releasing_twice_changes_no_byte(copy):
    before = {path: path.read_bytes() for path in copy.rglob("*.ipynb")}
    authoring.release_all(copy)
    assert {path: path.read_bytes() for path in copy.rglob("*.ipynb")} == before


@pytest.mark.parametrize(
    "change",
    [
        lambda cells: cells["opening"].update(source="# Another title"),
        lambda cells: cells["answer-to-unit-range"].update(source="def f():\n    ..."),
        lambda cells: cells["check-to-unit-range"].metadata["nbgrader"].update(points=3),
        lambda cells: cells["setup"].update(source="pass"),
    ],
)
def test_drift_is_noticed(copy, change):
    spoil(copy, "00_start_here", change)
    assert any("make release" in sentence for sentence in authoring.drift(copy))


def test_a_missing_and_a_stray_notebook_are_noticed(copy):
    (copy / "notebooks" / "00_start_here.ipynb").rename(copy / "notebooks" / "09_old.ipynb")
    drift = " ".join(authoring.drift(copy))
    assert "00_start_here.ipynb is missing" in drift and "09_old.ipynb has no solution" in drift


@each_lesson
def test_a_student_gets_nothing_that_was_computed(name):
    for cell in STUDENTS[name].cells:
        assert set(cell.metadata) <= {"vqtutor", "nbgrader"}
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
            assert "SOLUTION" not in cell.source
    assert set(STUDENTS[name].metadata) == {"kernelspec", "language_info"}


@each_lesson
def test_no_answer_leaks(name):
    assert list(authoring.leaks(SOLUTIONS[name], STUDENTS[name])) == []


def test_a_leak_is_noticed(copy):
    answer = "jnp.asarray(pixels, jnp.float32) / 255"
    spoil(copy, "00_start_here", lambda cells: cells["stand-in"].update(source=f"Try `return {answer}`."))
    with pytest.raises(ValueError, match="gives an answer away: start.to_unit_range"):
        authoring.release_all(copy)
    assert authoring.read(copy / "notebooks" / "00_start_here.ipynb") == STUDENTS["00_start_here"]  # nothing written


@each_lesson
def test_a_lesson_has_no_faults(name):
    assert list(authoring.faults(SOLUTIONS[name])) == []


FAULTS = {
    "no blank": (lambda c: c["answer-to-unit-range"].update(source="def f(): pass"), "0 blanks"),
    "two blanks": (
        lambda c: c["answer-to-unit-range"].update(source=f"{c['answer-to-unit-range'].source}\n" * 2),
        "2 blanks",
    ),
    "marks": (lambda c: c["load"].update(source="### END SOLUTION"), "do not pair up"),
    "no check": (lambda c: c["check-to-unit-range"].metadata.update(vqtutor={"role": "code"}), "its check right below"),
    "no header": (lambda c: c["header-to-unit-range"].metadata.update(vqtutor={"role": "text"}), "its header right"),
    "no difficulty": (lambda c: c["header-to-unit-range"].update(source="### Exercise"), "what it takes"),
    "other check": (lambda c: c["check-to-unit-range"].update(source="pass"), "does not call vqtutor.check"),
    "unknown": (lambda c: c["check-to-unit-range"].metadata["vqtutor"].update(exercise="a.b"), "does not exist"),
    "role": (lambda c: c["load"].metadata.update(vqtutor={"role": "magic"}), "none of"),
    "syntax": (lambda c: c["load"].update(source="1 +"), "not Python"),
    "long helper": (lambda c: c["load"].update(source="def f():\n" + "    pass\n" * 11), "over ten lines"),
    "question": (lambda c: c["ask-q-fewer"].update(source="?"), "must show"),
    "picture": (lambda c: c["opening"].metadata["vqtutor"].update(shows="nothing"), "does not exist"),
}


@pytest.mark.parametrize("fault", list(FAULTS))
def test_faults_are_named(fault, copy):
    change, sentence = FAULTS[fault]
    spoil(copy, "00_start_here", change)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        authoring.release_all(copy)


def test_two_cells_with_one_id_are_a_fault():
    cell = nbformat.v4.new_code_cell("pass", id="twin", metadata={"vqtutor": {"role": "code"}})
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [cell, cell]
    assert list(authoring.faults(notebook)) == ["two cells have the id 'twin'."]


def test_every_exercise_and_question_is_asked_once():
    asked = [
        authoring.about(cell).get("exercise") or authoring.about(cell).get("question")
        for notebook in SOLUTIONS.values()
        for cell in notebook.cells
        if authoring.about(cell).get("role") in ("answer", "question", "free_text")
    ]
    assert sorted(asked) == sorted([*EXERCISES, *QUESTIONS, *FREE_TEXTS])


@pytest.mark.parametrize(
    ("source", "blanked"),
    [
        ("def f(x):\n    # here\n    ### BEGIN SOLUTION\n    y = x\n    return y\n    ### END SOLUTION\n",
         "def f(x):\n    # here\n    ...\n"),
        ('### BEGIN SOLUTION\nchoice = "b"\n### END SOLUTION\ncommit(choice)', "choice = ...\ncommit(choice)"),
        ("x = 1", "x = 1"),
    ],
)  # fmt: skip
def test_blanks_are_valid_python(source, blanked):
    assert authoring.blank(source) == blanked
    compile(blanked, "blank", "exec")


@each_lesson
def test_nbgrader_metadata_keep_its_schema(name):
    """nbgrader's own schema, version 3, written out: the package itself is an instructor's extra."""
    ids = set()
    for cell in STUDENTS[name].cells:
        graded, role = cell.metadata.get("nbgrader"), authoring.about(cell).get("role")
        puzzle = role == "check" and EXERCISES[authoring.about(cell)["exercise"]].bonus  # in no total
        assert (graded is not None) == (role in ("answer", "question", "check", "free_text") and not puzzle), cell.id
        if graded is None:
            continue
        wanted = {"schema_version", "grade", "solution", "locked", "task", "grade_id"}
        assert set(graded) == wanted | ({"points"} if graded["grade"] else set())
        assert re.fullmatch(r"[a-zA-Z0-9_\-]+", graded["grade_id"]) and graded["grade_id"] not in ids
        assert graded["schema_version"] == 3 and graded["task"] is False
        if role == "check":
            assert graded["points"] == EXERCISES[authoring.about(cell)["exercise"]].points and graded["locked"]
        ids.add(graded["grade_id"])


@each_lesson
def test_pictures_have_alternative_text(name):
    for cell in SOLUTIONS[name].cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                assert len(output.metadata["image/png"]["alt"]) > 20, cell.id
        assert "![](" not in cell.source


@each_lesson
def test_the_opening_picture_is_a_result_and_travels_in_the_text(name):
    """Colab shows no attachments. The picture has as many pixels as the output, nearly its colours, and its text."""
    opening, picture = STUDENTS[name].cells[:2]
    assert not any("attachment" in cell.source or "attachments" in cell for cell in STUDENTS[name].cells)
    alt, data = re.fullmatch(r"!\[([^]]+)\]\(data:image/png;base64,([A-Za-z0-9+/=]+)\)", picture.source).groups()
    assert len(data) < 80_000
    lesson, _, id = authoring.about(opening)["shows"].rpartition("/")
    (shown,) = [cell for cell in SOLUTIONS[lesson or name].cells if cell.id == id]
    (output,) = [output for output in shown.outputs if "image/png" in output.get("data", {})]
    assert alt == output.metadata["image/png"]["alt"]
    small, drawn = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB"), float)
        for png in (data, output.data["image/png"])
    )
    assert small.shape == drawn.shape and np.sqrt(np.mean((small - drawn) ** 2)) < 8  # of 255


def test_another_picture_drawn_is_another_picture_shown(copy):
    def redraw(cells):
        (output,) = [output for output in cells["reader"].outputs if "image/png" in output.get("data", {})]
        file = io.BytesIO()
        Image.new("RGB", (40, 20), "#d55e00").save(file, "PNG")
        output.data["image/png"] = base64.b64encode(file.getvalue()).decode()

    spoil(copy, "06_gated_pixelcnn", redraw)  # whose picture opens the course as well
    assert any("lacks derived cells" in sentence for sentence in authoring.drift(copy))
    authoring.release_all(copy)
    data = authoring.read(copy / "notebooks" / "00_start_here.ipynb").cells[1].source.split("base64,")[1][:-1]
    picture = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
    assert picture.size == (40, 20) and picture.getpixel((3, 3)) == (0xD5, 0x5E, 0)


@each_lesson
def test_headings_nest(name):
    levels = [
        len(mark)
        for cell in STUDENTS[name].cells
        if cell.cell_type == "markdown"
        for mark in re.findall(r"^(#+) ", cell.source, re.MULTILINE)
    ]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))


@pytest.fixture
def first_cell(monkeypatch, tmp_path):
    """Run the cell that every notebook begins with; return what it ran, after a sentence where it stopped."""
    cells = {cell.source for student in STUDENTS.values() for cell in student.cells if cell.id == "setup"}
    (source,) = cells
    assert len(source.splitlines()) <= 22
    monkeypatch.chdir(tmp_path)

    def run(installed=False, colab=True, status=0):
        ran, spec = [], SimpleNamespace(origin="vqtutor/__init__.py" if installed else None)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
        monkeypatch.setattr(
            subprocess,
            "run",
            lambda command, **_: ran.append(command) or SimpleNamespace(returncode=status, stderr="ERROR: no network"),
        )
        monkeypatch.setitem(sys.modules, "google.colab", sys) if colab else sys.modules.pop("google.colab", None)
        exec(source, {"__name__": "__main__"})
        return [command[-1] for command in ran]

    return run


@pytest.mark.parametrize("colab", [True, False])
def test_the_first_cell_does_nothing_where_vqtutor_is_installed(colab, first_cell):
    assert first_cell(installed=True, colab=colab) == []


def test_the_first_cell_installs_from_the_one_address(first_cell):
    assert first_cell() == [f"{authoring.repository(ROOT)}/archive/HEAD.zip"]


def test_the_first_cell_installs_the_newest_uploaded_wheel(first_cell, tmp_path):
    for name in ("0.9.0-py3-none-any", "0.10.0-py3-none-any", "0.10.0rc1-py3-none-any", "0.11.0-py3-none-any (1)"):
        (tmp_path / f"vqtutor-{name}.whl").touch()
    assert first_cell() == ["vqtutor-0.10.0-py3-none-any.whl"]


def test_the_first_cell_stops_with_a_sentence_where_pip_fails(first_cell):
    with pytest.raises(SystemExit, match=r"(?s)could not be installed. Upload its file, .*ERROR: no network"):
        first_cell(status=1)


def test_outside_colab_the_first_cell_installs_nothing_and_says_how(first_cell):
    with pytest.raises(SystemExit, match="in a terminal: pip install"):
        first_cell(colab=False)


def test_outside_a_clone_there_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(authoring, "__file__", str(tmp_path / "vqtutor" / "authoring.py"))
    with pytest.raises(FileNotFoundError, match="run this in a clone"):
        authoring.course_folder()


@pytest.mark.filterwarnings("ignore")
def test_written_notebooks_are_whole_or_not_there(tmp_path):
    with pytest.raises(nbformat.ValidationError):
        authoring.write(nbformat.from_dict({"cells": [{}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}),
                        tmp_path / "broken.ipynb")  # fmt: skip
    assert list(tmp_path.iterdir()) == []
    path = tmp_path / "good.ipynb"
    authoring.write(STUDENTS["00_start_here"], path)
    assert json.loads(path.read_text())["nbformat"] == 4 and os.stat(path).st_mode & 0o777 == 0o644


def test_the_command_says_when_nothing_drifted():
    done = subprocess.run(
        [sys.executable, "-m", "vqtutor.cli", "release", "--check"], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stdout) == (0, "notebooks/ is what solutions/ gives.\n")
