"""Every free-text question has a model answer and a rubric, which instructors see, and students do not."""

import re
from copy import deepcopy

import pytest
from test_authoring import ROOT, SOLUTIONS, STUDENTS, copy, each_lesson, spoil  # noqa: F401 - `copy` is a fixture

from vqtutor import authoring, site
from vqtutor.lessons import FREE_TEXTS, LESSONS

RUBRICS = authoring.rubrics(ROOT)


def lines(id):
    """Return what gives a rubric away: its lines, but for the headings that all have."""
    return [line for line in "\n".join(RUBRICS[id]).splitlines() if len(line) > 40]


def test_every_free_text_question_has_one():
    assert list(RUBRICS) == list(FREE_TEXTS)
    assert {id.split(".")[0] for id in FREE_TEXTS} == {lesson.slug for lesson in LESSONS} - {"start", "primer"}
    for id, (model, rubric) in RUBRICS.items():
        assert len(model) > 100 and len(lines(id)) >= 8
        assert all(
            f"**{part}.**" in rubric for part in ("What earns points", "What earns a part", "What earns nothing")
        )


def test_no_part_of_one_is_in_what_students_get():
    """Students install the package, and get the notebooks."""
    texts = [path.read_text() for kind in ("*.py", "*.json", "*.html") for path in (ROOT / "vqtutor").rglob(kind)]
    texts += [path.read_text() for path in (ROOT / "notebooks").glob("*.ipynb")]
    everything = "\n".join(texts)
    found = [line for id in RUBRICS for line in lines(id) if line in everything]
    assert found == [] and "Write your answer here" in everything
    assert re.search(r'packages = \["vqtutor"\]', (ROOT / "pyproject.toml").read_text())


@each_lesson
def test_nbgrader_takes_them_out_as_well(name):
    clearsolutions = pytest.importorskip("nbgrader.preprocessors.clearsolutions")
    made, _ = clearsolutions.ClearSolutions(code_stub={"python": "..."}).preprocess(deepcopy(SOLUTIONS[name]), {})
    text = "\n".join(cell.source for cell in made.cells)
    assert not [line for id in RUBRICS for line in lines(id) if line in text]


@each_lesson
def test_the_answers_cell_is_open(name):
    cells = [cell for cell in STUDENTS[name].cells if authoring.about(cell).get("role") == "free_text"]
    assert all(cell.source == authoring.NO_TEXT for cell in cells)


def change(old, new):
    return lambda cells: cells["free-text"].update(source=cells["free-text"].source.replace(old, new, 1))


@pytest.mark.parametrize(
    "spoiled, sentence",
    {
        "points": (change("- 1 point: ", "- 2 points: "), "must give away 2 points"),
        "no part": (change("**What earns a part.**", "Parts:"), "a part and nothing"),
        "empty": (lambda cells: cells["free-text"].update(source=authoring.NO_TEXT), "must hold a model answer"),
        "worth": (lambda cells: cells["free-text"].metadata["vqtutor"].update(points=3), "must have 2 points"),
        "unknown": (lambda cells: cells["free-text"].metadata["vqtutor"].update(question="a.b"), "does not exist"),
        "asks": (lambda cells: cells["free-text-header"].update(source="### In your own words"), "must show: Two enc"),
        "leak": (lambda cells: cells["next"].update(source=cells["free-text"].source), "gives an answer away: quant"),
    }.values(),
)
def test_faults_are_named_and_leaks_noticed(spoiled, sentence, copy):  # noqa: F811
    spoil(copy, "01_quantizer", spoiled)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        authoring.release_all(copy)


@pytest.mark.parametrize("name", [lesson.notebook for lesson in LESSONS if lesson.free_texts])
def test_the_pages_to_read_leave_them_out(name):
    text = "\n".join(cell.source for cell in site.page(SOLUTIONS[name], name, ROOT, SOLUTIONS).cells)
    assert not [line for id in RUBRICS for line in lines(id) if line in text]
