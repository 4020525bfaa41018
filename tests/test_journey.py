"""One student, all lessons in order, each in a kernel of its own: what was written in one is at work in the next."""

import json
import re
from pathlib import Path

import nbformat
import pytest
from conftest import HURRY
from test_answers import prepares

from vqtutor import authoring
from vqtutor.lessons import EXERCISES
from vqtutor.lessons.answers import BEGIN

ROOT = Path(__file__).parents[1]
# How this student works: a helper in a cell of its own, and every answer leans on it.
HELPER = """\
import pathlib

LOG = pathlib.Path("at_work.txt")

def at_work(name):
    with LOG.open("a") as log:
        log.write(name + "\\n")
"""
# Notes which answers come from earlier lessons, then calls each of them as its check would.
BEFORE = """\
import vqtutor

recalled, recall = {}, vqtutor.recall

def keep(id):
    recalled[id] = recall(id)
    return recalled[id]

vqtutor.recall = keep
"""
AFTER = """\
import json

found = {}
for id, answer in recalled.items():
    LOG.write_text("")
    verdict = vqtutor.judge(id, answer)
    found[id] = verdict.passed, sorted(set(LOG.read_text().split()))
print("FOUND", json.dumps(found))
"""
# What runs when an earlier lesson's answer is called: its own body and, below it, answers of lessons before.
BUILT_ON = {
    "quantizer.nearest_code": {"quantizer.squared_distances"},
    "quantizer.VectorQuantizer": {
        "quantizer.nearest_code",
        "quantizer.squared_distances",
        "quantizer.look_up",
        "quantizer.straight_through",
    },
    "losses.vq_loss": {"losses.codebook_loss", "losses.commitment_loss"},
    "ema.EMAVectorQuantizer": {
        "quantizer.nearest_code",
        "quantizer.squared_distances",
        "quantizer.look_up",
        "quantizer.straight_through",
        "ema.batch_statistics",
        "ema.smooth_counts",
        "ema.update_codebook",
        "ema.repair_start",
    },
}


def mine(source: str, id: str) -> str:
    """Return an answer that says so whenever it runs."""
    return re.sub(rf"^( *){BEGIN}$", rf'\1at_work("{id}")', source, flags=re.MULTILINE)


def code(source: str):
    return nbformat.v4.new_code_cell(source)


@pytest.mark.proof
def test_each_lesson_goes_on_with_what_the_student_wrote_in_the_ones_before(tmp_path):
    environment = authoring.quiet(ROOT) | HURRY | {"VQTUTOR_PROGRESS": str(tmp_path / "progress.json")}
    seen, written = {}, []
    for path in authoring.lessons(ROOT):
        notebook = authoring.read(path)
        cells = [code(HELPER), code(BEFORE)]
        for cell in notebook.cells:
            about = authoring.about(cell)
            if about.get("role") == "answer":
                written.append(about["exercise"])
                cells.append(code(mine(cell.source, about["exercise"])))
            elif about.get("role") == "check" or prepares(cell):
                cells.append(code(cell.source))
        notebook.cells = [*cells, code(AFTER)]
        done = authoring.execute(notebook, environment, tmp_path)  # raises where a check does
        shown = [o.data["text/plain"] for cell in done.cells for o in cell.outputs if "data" in o]
        assert not [text for text in shown if "the course's own" in text], path.stem
        said = done.cells[-1].outputs[0].text
        found = json.loads(said.removeprefix("FOUND "))
        for id, (passed, worked) in found.items():
            assert passed and {id, *BUILT_ON.get(id, ())} <= set(worked), (path.stem, id, worked)
        seen |= found
    kept = json.loads((tmp_path / "progress.json").read_text())
    assert {id for id in kept if kept[id].get("source")} == set(written) == set(EXERCISES)
    assert set(BUILT_ON) <= set(seen) and len(seen) >= 18
