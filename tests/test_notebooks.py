"""The notebooks in real kernels: blank ones run, and what a student writes is what trains."""

import base64
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vqtutor import authoring, course

ROOT = Path(__file__).parents[1]
LESSONS = [path.stem for path in authoring.lessons(ROOT)]
each_lesson = pytest.mark.parametrize("name", LESSONS)


def run(notebook, tmp_path, **options):
    log = tmp_path / "log.jsonl"
    progress = str(tmp_path / "progress.json")
    environment = authoring.quiet(ROOT) | {"VQTUTOR_LOG": str(log), "VQTUTOR_PROGRESS": progress}
    done = authoring.execute(notebook, environment, tmp_path, **options)
    return done, [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def texts(notebook):
    def text(cell):
        printed = "".join(output.text for output in cell.outputs if output.output_type == "stream")
        shown = [output.data.get("text/plain", "") for output in cell.outputs if "data" in output]
        return "\n".join([printed, *shown])

    return {cell.id: text(cell) for cell in notebook.cells if cell.cell_type == "code"}


@each_lesson
def test_a_notebook_runs_from_top_to_bottom_with_every_blank_open(name, tmp_path):
    blank = authoring.read(ROOT / "notebooks" / f"{name}.ipynb")
    done, verdicts = run(blank, tmp_path)  # raises where a cell does
    asked = [authoring.about(cell)["exercise"] for cell in blank.cells if authoring.about(cell).get("role") == "check"]
    assert [verdict["exercise"] for verdict in verdicts] == asked
    assert all(verdict["state"] == "not written yet" and verdict["points"] == 0 for verdict in verdicts)
    solution = texts(authoring.read(ROOT / "solutions" / f"{name}.ipynb"))
    said = texts(done)
    for cell in done.cells:
        role = authoring.about(cell).get("role")
        if role == "check":
            assert "not written yet" in said[cell.id] and "stands in" in said[cell.id]
        elif role == "code" and cell.id not in ("first-hint", "progress"):
            assert said[cell.id] == solution[cell.id], cell.id  # what was skipped is stood in for, by the right thing


PLANTED = {
    "quantizer.nearest_code": "def nearest_code(z, codebook):\n    return jnp.zeros(z.shape[:-1], jnp.int32)",
    "quantizer.look_up": "def look_up(indices, codebook):\n    return codebook[indices] + 1.0",
    "quantizer.straight_through": "def straight_through(z_e, z_q):\n    return jax.lax.stop_gradient(z_q)",
    "quantizer.squared_distances": (
        "def squared_distances(z, codebook):\n    return -jnp.sum((z[:, None] - codebook) ** 2, axis=-1)"
    ),
    "quantizer.VectorQuantizer": (
        "class VectorQuantizer(hk.Module):\n"
        "    def __init__(self, num_codes, code_dim):\n"
        "        super().__init__()\n        self.shape = num_codes, code_dim\n"
        "    def __call__(self, z_e):\n"
        "        codebook = hk.get_parameter('codebook', self.shape, init=hk.initializers.Constant(0.5))\n"
        "        indices = nearest_code(z_e, codebook)\n        codes = look_up(indices, codebook)\n"
        "        return {'z_q': straight_through(z_e, codes), 'codes': codes, 'indices': indices}"
    ),
}


def toy_data(exercise, source, tmp_path):
    """Run what the toy needs of lesson 01 and return the data of its picture."""
    notebook = authoring.read(ROOT / "solutions" / "01_quantizer.ipynb")
    wanted = ("imports", "ring", "answer-", "toy-network", "toy-training", "stages")  # checks would stop a wrong one
    notebook.cells = [cell for cell in notebook.cells if cell.id.startswith(wanted)]
    for cell in notebook.cells:
        if authoring.about(cell).get("exercise") == exercise:
            cell.source = source
    notebook.cells[-1].source += f"\nnp.savez({str(tmp_path / 'toy.npz')!r}, **toy_picture.data)"
    run(notebook, tmp_path)
    with np.load(tmp_path / "toy.npz") as data:
        return dict(data)


@pytest.fixture(scope="module")
def right_toy(tmp_path_factory):
    return toy_data("", "", tmp_path_factory.mktemp("right"))


@pytest.mark.parametrize("exercise", list(PLANTED))
def test_the_toy_is_made_of_the_students_own_functions(exercise, tmp_path, right_toy):
    planted = toy_data(exercise, PLANTED[exercise], tmp_path)
    last = [name for name in right_toy if name.startswith("step 600")]
    assert len(last) == 4 and set(planted) == set(right_toy)
    assert any(not np.allclose(planted[name], right_toy[name], atol=1e-3) for name in last)


@each_lesson
def test_pictures_are_neither_empty_nor_blank(name):
    from matplotlib import image

    for cell in authoring.read(ROOT / "solutions" / f"{name}.ipynb").cells:
        for output in cell.get("outputs", []):
            if png := output.get("data", {}).get("image/png"):
                assert np.std(image.imread(io.BytesIO(base64.b64decode(png)))) > 0.02, cell.id


@pytest.fixture
def small_course(tmp_path, monkeypatch):
    """The course's first lesson only, without R1's training."""
    (tmp_path / "solutions").mkdir()
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    monkeypatch.setattr(course, "_train", lambda out: "not trained here")
    return tmp_path


def test_make_run_writes_pages_and_a_table(small_course, capsys):
    source = authoring.read(ROOT / "solutions" / "00_start_here.ipynb")
    authoring.write(source, small_course / "solutions" / "00_start_here.ipynb")
    assert course.run(small_course) == 0
    out = capsys.readouterr().out
    assert re.search(r"start.to_unit_range +2 of 2", out) and "Failed" not in out
    page = (small_course / "build" / "course" / "00_start_here.html").read_text()
    assert 'alt="Ten test images and, below them' in page and 'alt=""' not in page
    assert 'href="00_start_here.html"' in (small_course / "build" / "course" / "index.html").read_text()


def test_make_run_fails_with_a_sentence_for_every_kind_of_failure(small_course, capsys):
    wrong = "def to_unit_range(pixels):\n    return jnp.asarray(pixels, jnp.float32) / 256"
    notebook = authoring.read(ROOT / "solutions" / "00_start_here.ipynb")
    for cell in notebook.cells:
        if cell.id == "answer-to-unit-range":
            cell.source = wrong
        if cell.id == "squeeze-errors":
            cell.source = "undefined_name"
    authoring.write(notebook, small_course / "solutions" / "00_start_here.ipynb")
    assert course.run(small_course) == 1
    out = capsys.readouterr().out
    assert "00_start_here.ipynb: start.to_unit_range is not yet." in out
    assert "cell 'squeeze-errors': NameError" in out
    assert (small_course / "build" / "course" / "00_start_here.html").exists()  # what went well is there to look at


def test_the_reference_run_touches_no_ones_progress(tmp_path):
    assert Path(authoring.quiet(ROOT)["VQTUTOR_PROGRESS"]).is_relative_to(ROOT / "build")


def test_a_wrong_answer_shows_the_card_as_its_traceback(tmp_path):
    wrong = "def to_unit_range(pixels):\n    return jnp.asarray(pixels, jnp.float32) / 256"
    notebook = authoring.read(ROOT / "notebooks" / "00_start_here.ipynb")
    notebook.cells = [
        cell for cell in notebook.cells if cell.id in ("imports", "answer-to-unit-range", "check-to-unit-range")
    ]
    notebook.cells[1].source = wrong
    done, _ = run(notebook, tmp_path, allow_errors=True)
    (output,) = done.cells[2].outputs
    card = "\n".join(output.traceback)
    assert output.ename == "CheckFailed"
    assert card.startswith("x  start.to_unit_range - not yet") and "Traceback" not in card and "vqtutor/" not in card


def test_the_command_line_explains_itself():
    done = subprocess.run([sys.executable, "-m", "vqtutor.cli", "--help"], capture_output=True, text=True)
    for command in ("run", "test", "lab", "release", "doctor"):
        assert command in done.stdout
    done = subprocess.run([sys.executable, "-m", "vqtutor.cli", "dance"], capture_output=True, text=True)
    assert done.returncode == 2 and "invalid choice" in done.stderr


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="cutting the network off needs root on Linux")
def test_with_the_network_cut_off_the_first_lesson_runs_on_the_built_in_digits(tmp_path):
    code = (
        "import time, vqtutor; start = time.time(); data = vqtutor.load_dataset();"
        "print(data.name, time.time() - start < 5)"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("VQTUTOR_DATA", "VQTUTOR_DATASET")}
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment | {"VQTUTOR_CACHE": str(tmp_path)},
    )
    if "unshare" in done.stderr:
        pytest.skip(f"the network cannot be cut off here: {done.stderr.strip()}")
    notice, answer = done.stdout.strip().splitlines()
    assert "cannot be reached" in notice and answer == "strokes True"
