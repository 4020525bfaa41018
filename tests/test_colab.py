"""What `make colab` takes for Colab is Colab: its versions, its form of a notebook. colab.py runs the lessons there."""

import re
import subprocess
import tomllib

import colab
import nbformat
import pytest
from packaging.requirements import Requirement

from vqtutor import authoring

FREEZE = colab.ROOT.parent / "shared" / "colab-pip-freeze.txt"


@pytest.mark.skipif(not FREEZE.is_file(), reason=f"no {FREEZE}")
def test_the_pins_are_lines_of_colabs_own_freeze():
    pinned = {line for line in colab.PINS.read_text().splitlines() if not line.startswith("#")}
    assert len(pinned) > 100 and pinned - set(FREEZE.read_text().splitlines()) == set()
    assert not {name for name in colab.pins() if re.fullmatch("tensorflow|tensorflow-cpu|tf-keras|keras", name)}


def test_what_colab_has_is_new_enough_for_all_that_the_course_asks_for():
    project = tomllib.loads((colab.ROOT / "pyproject.toml").read_text())["project"]
    asked = {re.sub("_", "-", one.name): one.specifier for one in map(Requirement, project["dependencies"])}
    pins = colab.pins()
    assert set(asked) - set(pins) == {"constriction", "dm-haiku", "importlib-resources"}  # which the first cell adds
    assert {name for name in asked if name in pins and not asked[name].contains(pins[name])} == set()


def test_a_python_that_runs_is_found():
    code = "import sys; print(sys.version_info >= (3, 11))"
    assert subprocess.run([colab.find_python(), "-c", code], capture_output=True, text=True).stdout == "True\n"


def test_colabs_form_has_neither_ids_nor_attachments_and_is_a_notebook():
    notebook = authoring.read(colab.ROOT / "solutions" / "00_start_here.ipynb")
    notebook.cells[0].attachments = {"a.png": {"image/png": "aGE="}}
    saved = colab.as_colab_saves(notebook, "00_start_here")
    assert (saved.nbformat, saved.nbformat_minor) == (4, 0) and "colab" in saved.metadata
    assert not any("id" in cell or "attachments" in cell for cell in saved.cells)
    assert all(cell.metadata["id"] for cell in saved.cells) and "id" in notebook.cells[0]
    assert any("outputId" in cell.metadata for cell in saved.cells)
    nbformat.validate(saved)
