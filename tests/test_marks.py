"""What an instructor types into free_text.csv comes back in points and pages, and nothing typed is ever lost."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager

import made_class
import nbformat
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from vqtutor import authoring
from vqtutor.grading import marks
from vqtutor.grading.collect import Answer
from vqtutor.grading.grade import Grader, grade
from vqtutor.grading.gradebook import Gradebook, Mark
from vqtutor.lessons import FREE_TEXTS

ID, OTHER = "quantizer.borders", "losses.two_measures"
BOUNDED = settings(
    max_examples=40,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # shrinking a table takes minutes
    suppress_health_check=list(HealthCheck),
)


def hand_in(place, student, text, lesson="01_quantizer"):
    made = made_class.notebook(lesson, {})
    for cell in made.cells:
        if authoring.about(cell).get("role") == "free_text" and text is not None:
            cell.source = text
    (place / student).mkdir(parents=True, exist_ok=True)
    nbformat.write(made, place / student / f"{lesson}.ipynb")


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A class of three on one question, graded; nothing is run."""
    place = tmp_path_factory.mktemp("graded")
    hand_in(place / "class", "Ada", 'Those at the borders,\nsince they are far; "I think".')
    hand_in(place / "class", "Bo, the 2nd", "=SUM(A1) <b>both</b>")
    hand_in(place / "class", "0012", None)
    with pytest.MonkeyPatch.context() as patch:
        run_nothing(patch)
        again(place)
    return place


@pytest.fixture
def report(graded, tmp_path, monkeypatch):
    run_nothing(monkeypatch)
    shutil.copytree(graded, tmp_path, dirs_exist_ok=True)
    return tmp_path


def run_nothing(monkeypatch):
    monkeypatch.setattr(Grader, "prepare", lambda self, exercise: None)
    monkeypatch.setattr(Grader, "box", contextmanager(lambda self, own=False: (yield None)))
    monkeypatch.setattr(Grader, "judge", lambda self, answer: self._judge(Answer(answer.exercise)))


def again(place, **more):
    return grade(place / "class", place / "report", workers=1, progress=False, **more)


def table(place):
    with open(place / "report" / "free_text.csv", encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def rows(place):
    """Return {(student, question): (points, remark, attention)} of the table."""
    return {(r["student"], r["question"]): (r["points"], r["remark"], r["attention"]) for r in table(place)}


def save(place, lines, encoding="utf-8", separator=",", end="\n", **options):
    """Save lines, {column: text} each, as a spreadsheet may."""
    text = io.StringIO(newline="")
    options = {"delimiter": separator, "lineterminator": end, "restval": ""} | options
    columns = list(dict.fromkeys(name for line in lines for name in line))
    rows = csv.DictWriter(text, columns, **options)
    rows.writeheader()
    rows.writerows(lines)
    (place / "report" / "free_text.csv").write_bytes(text.getvalue().encode(encoding, "replace"))


def type_in(place, student, question=ID, **cells):
    lines = table(place)
    for line in lines:
        if (line["student"], line["question"]) == (student, question):
            line.update(cells)
    save(place, lines)


def said(place):
    book = again(place)
    return [f"{where}: {sentence}" for where, sentence in book.odd]


def points(place):
    with open(place / "report" / "grades.csv", encoding="utf-8-sig", newline="") as file:
        return {row["student"]: (row.get(ID), row["points"], row["max_points"]) for row in csv.DictReader(file)}


def test_the_table_has_what_is_needed_to_mark_and_no_mark_counts_before_one_is_given(report):
    lines = {line["student"]: line for line in table(report)}
    assert list(lines) == ["0012", "Ada", "Bo, the 2nd"]
    assert lines["Ada"]["text"].startswith("Those at the borders,\nsince") and lines["0012"]["text"] == ""
    assert lines["Bo, the 2nd"]["text"] == "'=SUM(A1) <b>both</b>"
    model, rubric = authoring.rubrics(made_class.ROOT)[ID]
    assert lines["Ada"]["rubric"] == rubric.replace("**", "") and lines["Ada"]["max_points"] == "2"
    assert set(points(report).values()) == {(None, "0", "18")}
    page = (report / "report" / "marking" / f"{ID}.html").read_text()
    assert FREE_TEXTS[ID].asks in page and "Straight-through takes the gradient" in page and "<li>1 point: " in page
    assert "&lt;b&gt;both" in page and "<b>both" not in page
    shown = [path.read_text() for path in (report / "report" / "feedback").iterdir()]
    assert len(shown) == 3 and not any("Straight-through takes" in text or "1 point: " in text for text in shown)


def test_marks_come_back_in_points_and_pages(report):
    type_in(report, "Ada", points="1.5", remark="Why <i>far</i>?\nSay where.")
    assert said(report) == []
    assert points(report) == {"0012": ("0", "0", "20"), "Ada": ("1.5", "1.5", "20"), "Bo, the 2nd": ("", "0", "20")}
    entry = json.loads((report / "report" / "grades.json").read_text())["students"]["Ada"]
    assert entry["points"] == 1.5 and entry["free_text"][ID]["points"] == 1.5
    page = (report / "report" / "feedback" / "Ada.html").read_text()
    assert (
        "1.5 of 2 points" in page and "Why &lt;i&gt;far&lt;/i&gt;?\nSay where." in page and "1.5 of 20 points" in page
    )
    assert "Not marked yet" in (report / "report" / "feedback" / "Bo, the 2nd.html").read_text()
    index = (report / "report" / "index.html").read_text()
    assert "not marked yet and add nothing: 1." in index and "0.8 of 2" in index  # of two that have points
    before = {path: path.read_bytes() for path in (report / "report").rglob("*.*") if path.suffix != ".sqlite"}
    assert said(report) == []
    assert {path: path.read_bytes() for path in before} == before


def test_a_mark_can_be_changed_and_taken_out(report):
    type_in(report, "Ada", points="2", remark="good")
    again(report)
    type_in(report, "Ada", points="1")
    assert said(report) == [] and rows(report)["Ada", ID] == ("1", "good", "")
    type_in(report, "Ada", points="", remark="")
    assert said(report) == [
        "free_text.csv, row 3 (Ada, quantizer.borders): The mark was 1 points, \u201cgood\u201d, and was taken out."
    ]  # noqa: E501
    assert rows(report)["Ada", ID] == ("", "", "") and points(report)["Ada"] == (None, "0", "18")


BAD = {
    "a word": ("good", "\u201cgood\u201d is not a number"),
    "a date": ("01. Mai", "not a number"),
    "a fraction": ("1/2", "not a number"),
    "not a number": ("nan", "not a number"),
    "infinite": ("inf", "not a number"),
    "a thousand": ("1_0", "not a number"),
    "above": ("3", "more than the 2 points"),
    "just above": ("2.01", "more than the 2 points"),
    "negative": ("-1", "less than 0"),
    "negative in type": ("\u22121", "less than 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_mark_gets_a_sentence_and_stays_as_it_was_typed(name, report):
    typed, sentence = BAD[name]
    type_in(report, "Ada", points="1", remark="")
    again(report)
    type_in(report, "Ada", points=typed, remark="mine")
    for _ in range(2):
        (one,) = said(report)
        assert one.startswith("free_text.csv, row 3 (Ada, quantizer.borders): ") and sentence in one
        assert "The 1 from before stands" in one and points(report)["Ada"][0] == "1"
        kept = rows(report)["Ada", ID]
        assert kept[0].removeprefix("'") == typed and kept[1] == "mine" and sentence in kept[2]
    assert sentence in (report / "report" / "index.html").read_text()
    type_in(report, "Ada", points="2")
    assert said(report) == [] and rows(report)["Ada", ID] == ("2", "mine", "")


@pytest.mark.parametrize(
    "line, sentence",
    [
        ({"student": "Adda", "question": ID, "points": "2"}, "nobody called Adda in this class. Is it Ada?"),
        ({"student": "Ada", "question": "quantizer.border", "points": "2"}, "Is it quantizer.borders?"),
        ({"student": "", "question": ID, "points": "2"}, "names no student"),
    ],
)
def test_rows_of_nobody_stay_and_are_named(line, sentence, report):
    save(report, [*table(report), line | {"remark": "typed"}])
    for _ in range(3):
        (one,) = said(report)
        assert sentence in one and ", row 5" in one
        last = table(report)[-1]
        assert {name: last[name] for name in line} == line and last["remark"] == "typed"
        assert sentence in last["attention"]
    lines = table(report)
    lines[-1].update(student="Ada", question=ID)  # mended by hand: its own empty row yields
    save(report, lines)
    assert said(report) == [] and rows(report)["Ada", ID] == ("2", "typed", "") and len(table(report)) == 3
    save(report, [*table(report), line])
    again(report)
    save(report, table(report)[:-1])  # or taken out
    assert said(report) == [] and len(table(report)) == 3


def test_two_rows_of_one_answer(report):
    line = next(line for line in table(report) if line["student"] == "Ada")
    save(report, [*table(report), line | {"points": "1"}, line | {"points": "2"}])
    for _ in range(2):
        (one,) = said(report)
        assert "There are 2 rows with different marks" in one and points(report)["Ada"][0] is None
        assert sorted(r["points"] for r in table(report) if r["student"] == "Ada") == ["1", "2"]
    save(report, [line for line in table(report) if line["points"] != "1"])
    assert said(report) == [] and points(report)["Ada"][0] == "2" and len(table(report)) == 3
    save(report, [*table(report), *(line for line in table(report) if line["student"] == "Ada")])
    (one,) = said(report)
    assert "2 times; it counts once" in one and len(table(report)) == 3 and points(report)["Ada"][0] == "2"


SAVED = {
    "as it was": {},
    "with a mark for UTF-8": {"encoding": "utf-8-sig"},
    "semicolons": {"separator": ";"},
    "semicolons and decimal commas": {"separator": ";", "comma": True},
    "commas, and decimal commas in quotes": {"comma": True},
    "tabs in UTF-16": {"encoding": "utf-16", "separator": "\t", "end": "\r\n"},
    "Windows": {"encoding": "cp1252", "end": "\r\n"},
    "old Mac": {"end": "\r"},
    "every cell in quotes": {"quoting": csv.QUOTE_ALL},
    "backwards": {"backwards": True},
    "capital names": {"capital": True},
    "only what is needed": {"only": ("question", "points", "student", "remark")},
    "a line that names the separator": {"separator": ";", "sep": True},
    "columns and lines without anything": {"padded": True},
    "numbers without zeros": {"bare": True},
}


@pytest.mark.parametrize("how", SAVED)
def test_any_spreadsheet_will_do(how, report):
    options = dict(SAVED[how])
    comma, backwards, capital, only, sep, padded, bare = (
        options.pop(name, None) for name in ("comma", "backwards", "capital", "only", "sep", "padded", "bare")
    )
    hand_in(report / "class", "李雷", "写在边界上")
    again(report)
    lines = table(report)
    for line, value in zip(lines, ("0.5", "2", "1.5", "1"), strict=True):
        line.update(points=value.replace(".", ",") if comma else value, remark='schön; "fein", ja')
        line["mine"] = f"a note of my own {value}"
        line["student"] = line["student"].lstrip("0") if bare else line["student"]
    lines = [{name: line[name] for name in only} for line in lines] if only else lines
    lines = [dict(reversed(line.items())) for line in reversed(lines)] if backwards else lines
    lines = [{name.upper(): cell for name, cell in line.items()} for line in lines] if capital else lines
    lines = [line | {"": "", " ": ""} for line in lines] + [{}] * 3 if padded else lines
    save(report, lines, **options)
    path = report / "report" / "free_text.csv"
    if sep:
        path.write_bytes(b"sep=;\r\n" + path.read_bytes())
    saved = path.read_bytes()
    complaints = said(report)
    assert complaints == []  # though Windows' code has no Chinese letters: `??` is found where one name fits
    assert {name: row[0] for name, row in points(report).items()} == {
        "0012": "0.5", "Ada": "2", "Bo, the 2nd": "1.5", "李雷": "1"}  # fmt: skip
    assert any(kept.read_bytes() == saved for kept in (report / "report" / "typed").iterdir())
    sheet = marks.read(path.read_bytes())
    assert sheet.separator == options.get("separator", ",")
    assert {sheet.get(row, "remark") for _, row in sheet.rows} == {'schön; "fein", ja'}
    if not only:
        assert len({row[sheet.columns.index("mine")] for _, row in sheet.rows}) == 4
    again(report)
    assert points(report)["0012"][0] == "0.5"  # what was written is read again as it is


BROKEN = {
    "a spreadsheet's own format": (b"PK\x03\x04 rest", "save it as CSV"),
    "an open quote": (b'student,question,points\nAda,quantizer.borders,"2\n', "quotes"),
    "no points": (b"student,question\nAda,quantizer.borders\n", "no column called `points`"),
    "points twice": (b"student,question,points,Points\nAda,quantizer.borders,2,1\n", "two columns called `points`"),
    "anything": (bytes(range(256)) * 3, ""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_table_that_cannot_be_read_is_left_alone_and_earlier_marks_stay(name, report):
    data, sentence = BROKEN[name]
    type_in(report, "Ada", points="2")
    again(report)
    path = report / "report" / "free_text.csv"
    path.write_bytes(data)
    for _ in range(2):
        (one,) = said(report)
        assert one.startswith("free_text.csv: ") and sentence in one and "left as it is" in one
        assert path.read_bytes() == data and points(report)["Ada"][0] == "2"
    path.unlink()
    assert said(report) == [] and rows(report)["Ada", ID][0] == "2"


def test_a_row_with_commas_and_no_quotes_is_named_and_kept(report):
    path = report / "report" / "free_text.csv"
    path.write_text(f"student,question,points,remark\nAda,{ID},2,good, but short\nBo; the 2nd,{ID},1,\n")
    sentences = said(report)
    assert "more cells than there are columns" in sentences[0] and points(report)["Bo, the 2nd"][0] == "1"
    assert b"good" in path.read_bytes() and b" but short" in path.read_bytes()


def test_an_answer_that_changed_since_it_was_marked_says_so(report):
    type_in(report, "Ada", points="1", remark="short")
    again(report)
    hand_in(report / "class", "Ada", "A longer answer.")
    for _ in range(2):  # also when nobody looks
        (one,) = said(report)
        assert one.startswith("free_text.csv (Ada, quantizer.borders): This answer has changed since it was marked")
        assert rows(report)["Ada", ID][:2] == ("1", "short") and points(report)["Ada"][0] == "1"
        assert "earlier version of your answer" in (report / "report" / "feedback" / "Ada.html").read_text()
        assert "has changed since" in (report / "report" / "marking" / f"{ID}.html").read_text()
    type_in(report, "Ada", attention="")
    assert said(report) == [] and rows(report)["Ada", ID] == ("1", "short", "")
    hand_in(report / "class", "Ada", "A longer answer still.")
    again(report)
    type_in(report, "Ada", points="2")
    assert said(report) == [] and points(report)["Ada"][0] == "2"


def test_a_mark_for_what_was_shown_is_no_mark_for_what_came_since(report):
    type_in(report, "Ada", points="2")
    hand_in(report / "class", "Ada", "Something else.")
    (one,) = said(report)
    assert "has changed since it was marked" in one and points(report)["Ada"][0] == "2"


def test_two_people_mark_copies_and_neither_undoes_the_others_work(report):
    first = table(report)
    type_in(report, "Ada", points="2", remark="yes")
    again(report)
    save(report, [line | ({"points": "1"} if line["student"].startswith("Bo") else {}) for line in first])
    assert said(report) == []
    assert rows(report)["Ada", ID] == ("2", "yes", "") and rows(report)["Bo, the 2nd", ID][0] == "1"
    save(report, [line | ({"points": "0"} if line["student"] == "Ada" else {}) for line in first])
    (one,) = said(report)
    assert "takes the place of another mark, 2 points, \u201cyes\u201d" in one and points(report)["Ada"][0] == "0"
    kept = [path.read_text() for path in (report / "report" / "typed").iterdir()]
    assert any("yes" in text for text in kept)


def test_marks_outlive_the_runs_memory_the_table_and_a_student_who_goes(report):
    type_in(report, "Ada", points="2", remark="yes")
    again(report)
    (report / "report" / "grades.sqlite").unlink()
    assert said(report) == [] and rows(report)["Ada", ID] == ("2", "yes", "")
    (report / "report" / "free_text.csv").unlink()
    assert said(report) == [] and rows(report)["Ada", ID] == ("2", "yes", "")
    (report / "class" / "Ada").rename(report / "Ada")
    (one,) = said(report)
    assert "nobody called Ada" in one and rows(report)["Ada", ID][:2] == ("2", "yes")
    (report / "report" / "free_text.csv").unlink()
    (one,) = said(report)
    assert rows(report)["Ada", ID][:2] == ("2", "yes") and "nobody of this name" in one
    (report / "Ada").rename(report / "class" / "Ada")
    assert said(report) == [] and rows(report)["Ada", ID] == ("2", "yes", "") and points(report)["Ada"][0] == "2"


def test_a_mark_without_an_answer_counts(report):
    type_in(report, "0012", points="2", remark="said it to me")
    assert said(report) == [] and points(report)["0012"] == ("2", "2", "20")
    save(report, [*table(report), {"student": "Ada", "question": OTHER, "points": "1"}])
    assert said(report) == [] and points(report)["Ada"] == ("", "1", "22")  # of a lesson that was not handed in
    assert len(table(report)) == 4


def test_what_is_typed_while_the_report_is_written_is_kept(report, monkeypatch):
    before = marks._write

    def slow(*arguments):
        monkeypatch.setattr(marks, "_write", before)
        type_in(report, "Ada", points="2", remark="just now")
        before(*arguments)

    monkeypatch.setattr(marks, "_write", slow)
    assert said(report) == [] and rows(report)["Ada", ID] == ("2", "just now", "")


def test_a_table_that_is_open_elsewhere_stops_nothing(report, monkeypatch):
    type_in(report, "Ada", points="2")
    whole_file = marks.whole_file

    @contextmanager
    def refuse(path):
        if path.name == "free_text.csv":
            raise PermissionError(13, "it is open")
        with whole_file(path) as file:
            yield file

    monkeypatch.setattr(marks, "whole_file", refuse)
    (one,) = said(report)
    assert "it is open" in one and points(report)["Ada"][0] == "2"


def test_without_the_repository_the_pages_say_where_rubrics_are(report, monkeypatch):
    def nowhere():
        raise FileNotFoundError

    monkeypatch.setattr(authoring, "course_folder", nowhere)
    assert said(report) == [] and table(report)[0]["rubric"] == ""
    assert "run <code>vqtutor grade</code> in a clone" in (report / "report" / "marking" / f"{ID}.html").read_text()


def test_the_absent_count_in_no_figure(report, tmp_path):
    from vqtutor.grading.owners import Roster

    hand_in(report / "class", "Cy", "Borders.")
    (report / "class" / "Dee").mkdir()
    (report / "class" / "Dee" / "01_quantizer.ipynb").write_text("not a notebook")
    names = ("0012", "Ada", "Bo, the 2nd", "Cy", "Dee", "Eve", "Finn")
    save(report, [line | {"points": "2"} for line in table(report)])
    again(report, roster=Roster({name: () for name in names}))
    index = (report / "report" / "index.html").read_text()
    assert "4 students" in index and "Median 2, from 0 to 2" in index  # of 2, 2, 2 and 0
    assert "because nothing of theirs could be graded: 3." in index
    apart = index[index.index("Students of whom nothing could be graded") :]
    assert all(f">{name}</a>" in apart for name in ("Dee", "Eve", "Finn")) and ">Ada</a>" not in apart
    found = points(report)
    assert found["Eve"][1] == found["Finn"][1] == "" and found["Dee"][1] == "0"
    assert json.loads((report / "report" / "grades.json").read_text())["students"]["Eve"]["points"] is None
    assert "Nothing was handed in." in (report / "report" / "feedback" / "Eve.html").read_text()


# -- where the answer is -----------------------------------------------------------------------------------------------


def text_cell(text, **about):
    return nbformat.v4.new_markdown_cell(text, metadata={"vqtutor": about} if about else {})


QUESTION = f"### In your own words\n\n{FREE_TEXTS[ID].asks}"
PLACES = {
    "in its cell": [text_cell("Mine.", role="free_text", question=ID)],
    "of an older release": [text_cell("Mine.", role="free_text")],
    "of another release": [text_cell("Mine.", role="free_text", question="quantizer.q9")],
    "below its words": [text_cell(f"{authoring.NO_TEXT}\n\nMine.", role="free_text", question=ID)],
    "in a cell below": [text_cell(authoring.NO_TEXT, role="free_text", question=ID), text_cell("Mine.")],
    "a cell that was doubled": [text_cell("Mine.", role="free_text", question=ID),
        text_cell(authoring.NO_TEXT, role="free_text", question=ID)],
    "a cell that was doubled with its text": 2 * [text_cell("Mine.", role="free_text", question=ID)],
    "metadata lost": [text_cell(QUESTION), text_cell("Mine.")],
    "metadata lost, over lines": [text_cell(QUESTION.replace(" ", "\n").replace("\n", " ", 4)), text_cell("Mine.")],
    "below the question": [text_cell(f"{QUESTION}\n\nMine.", role="free_text_header", question=ID),
        text_cell(authoring.NO_TEXT, role="free_text", question=ID)],
    "of nbgrader's": [text_cell("YOUR ANSWER HERE Mine.", role="free_text", question=ID)],
    "in a code cell": [nbformat.v4.new_code_cell("Mine.", metadata={"vqtutor": {"role": "free_text", "question": ID}})],
    "before what comes next": [text_cell("Mine.", role="free_text", question=ID),
        text_cell("## What to read", role="text"), text_cell("Not mine.")],
    "before what comes next, metadata lost": [text_cell(QUESTION), text_cell("Mine."), text_cell("## What to read"),
        text_cell("Not mine.")],
    "before code": [text_cell("Mine.", role="free_text", question=ID), nbformat.v4.new_code_cell("x = 1")],
}  # fmt: skip


@pytest.mark.parametrize("form", PLACES)
def test_a_free_text_answer_is_found(form, tmp_path):
    from vqtutor.grading.collect import collect

    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("def look_up(i, c): return c[i]"), *PLACES[form]])
    nbformat.write(made, tmp_path / "ada_01_quantizer.ipynb")
    (found,) = collect(tmp_path)
    assert found.free_text == {ID: "Mine."}


# -- any table ---------------------------------------------------------------------------------------------------------

STUDENTS = ["Ada", "ada", "0012", "=x", "李雷", "Bo, the 2nd", "\n-y", "a\u0308"]
cell = st.sampled_from(
    ["", "1", "2", "1,5", "0.5", "-1", "9", "two", "=1", "'", '"', "a\nb", "nan", "\u0662"]
) | st.text(max_size=8)


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A gradebook whose students and answers are these."""
    made = Gradebook(tmp_path_factory.mktemp("book"), "a version")
    texts = [(student, ID.split(".")[0], ID, f"answer of {student}") for student in STUDENTS]
    made.students, made.texts = lambda: STUDENTS, lambda: texts
    return made


@BOUNDED
@given(st.data())
def test_nothing_typed_is_lost_in_any_table(book, tmp_path_factory, data):
    """Whatever cells hold, however a table is saved: each typed text is in the table or in a mark afterwards."""
    out = tmp_path_factory.mktemp("out")
    for key in book.marks():
        book.mark(*key, None)
    marks.update(book, out, {})
    path = out / "free_text.csv"
    for _ in range(2):
        sheet = marks.read(path.read_bytes())
        lines = [dict(zip(sheet.columns, row, strict=False)) for _, row in sheet.rows]
        for line in lines:
            for name in ("points", "remark", "mine"):
                line[name] = data.draw(cell | st.just(line.get(name, "")))
        lines += data.draw(st.lists(st.fixed_dictionaries(
            {"student": st.sampled_from(STUDENTS) | cell, "question": st.sampled_from([ID, OTHER, "x"]), "points": cell,
             "remark": cell}), max_size=3))  # fmt: skip
        lines = data.draw(st.permutations(lines))
        columns = data.draw(st.permutations(list(dict.fromkeys([*marks.COLUMNS, "mine"]))))
        separator = data.draw(st.sampled_from(",;\t"))
        text = io.StringIO(newline="")
        end = data.draw(st.sampled_from(["\n", "\r\n"]))
        options = {"delimiter": separator, "lineterminator": end, "quoting": csv.QUOTE_ALL}
        rows = csv.DictWriter(text, columns, restval="", **options)
        rows.writeheader()
        rows.writerows(lines)
        saved = text.getvalue().encode(data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])), "replace")
        path.write_bytes(saved)
        said = marks.update(book, out, {})
        assert all(
            where.startswith("free_text.csv") and re.fullmatch(r"[^\n]*[.?]", sentence.replace("\n", " "))
            for where, sentence in said
        )
        known = book.marks()
        for (_, question), mark in known.items():
            assert mark.points is None or 0 <= mark.points <= FREE_TEXTS[question].points
        after = marks.read(path.read_bytes())
        held = " ".join(c for _, row in after.rows for c in row)
        for line in lines:
            for name in ("points", "remark", "mine"):
                typed = " ".join(line.get(name, "").split())
                if typed and name == "points" and re.fullmatch(r"\d+([.,]\d+)?", typed.lstrip("'")):
                    typed = f"{float(typed.lstrip(chr(39)).replace(',', '.')):g}"
                    typed = typed if typed in held else typed.replace(".", ",")
                if typed:
                    assert typed.lstrip("'") in " ".join(held.split()), (name, typed)
        assert any(kept.read_bytes() == saved for kept in (out / "typed").iterdir()) or saved == path.read_bytes()
        assert {
            row["student"]
            for row in csv.DictReader(
                io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""), delimiter=after.separator
            )
        } >= {marks.safe(s) for s in STUDENTS}
        table, marked = path.read_bytes(), book.marks()
        marks.update(book, out, {})
        assert book.marks() == marked and path.read_bytes() == table  # reading what was written changes nothing


@BOUNDED
@given(
    st.binary(max_size=400)
    | st.text(max_size=200).map(lambda text: f"student,question,points\n{text}".encode("utf-8", "replace"))
)
def test_no_bytes_stop_the_report(book, tmp_path_factory, data):
    out = tmp_path_factory.mktemp("out")
    book.mark("Ada", ID, Mark(2, "kept", ""))
    (out / "free_text.csv").write_bytes(data)
    marks.update(book, out, {})
    kept = [path.read_bytes() for path in out.rglob("*.csv")]
    assert data in kept or not data
    assert book.marks()["Ada", ID].remark == "kept" or b"Ada" in data


# -- kill -9 -----------------------------------------------------------------------------------------------------------

SCRIPT = """
import os, shutil, sys, tempfile
from pathlib import Path
import pytest
import test_marks
place, moment, left = Path(sys.argv[1]), 0, 0
test_marks.run_nothing(pytest.MonkeyPatch())
with tempfile.TemporaryDirectory() as copy:  # what is read and imported now is there in every fork
    test_marks.again(Path(shutil.copytree(place, copy, dirs_exist_ok=True)))

def count(event, arguments):
    global left
    moments = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "sqlite3.connect")
    if event in moments and "report" in str(arguments[0]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), 9)

while True:
    moment += 1
    if not (child := os.fork()):
        left = moment
        sys.addaudithook(count)
        test_marks.again(place)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, 9), status
    test_marks.assert_old_or_new(place)
    if status == 0:
        print(moment)
        break
"""


def assert_old_or_new(place):
    """Every file of the report is whole, and the mark that was typed is there."""
    report = place / "report"
    assert [(line["points"], line["remark"]) for line in table(place) if line["student"] == "Ada"] == [("2", "kept")]
    assert len(json.loads((report / "grades.json").read_text())["students"]) == len(points(place)) == 3
    for page in [report / "index.html", *(report / "feedback").iterdir(), *(report / "marking").iterdir()]:
        assert page.read_text().rstrip().endswith("</html>"), page


@pytest.mark.proof
def test_kill_9_leaves_every_file_old_or_new_and_every_mark(report):
    """Killed at each of the moments at which it opens, moves or removes a file of the report."""
    type_in(report, "Ada", points="2", remark="kept")
    assert_old_or_new(report)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(report)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20 and points(report)["Ada"][0] == "2"
    assert not list((report / "report").rglob("*.part"))


def test_puzzles_are_graded_and_their_points_are_in_no_total(tmp_path, monkeypatch):
    run_nothing(monkeypatch)
    solved = {"quantizer.two_faced": {"points": 2, "state": "passed"}}
    judge = lambda self, answer: self._judge(Answer(answer.exercise)) | solved.get(answer.exercise, {})  # noqa: E731
    monkeypatch.setattr(Grader, "judge", judge)
    hand_in(tmp_path / "class", "Ada", None)
    again(tmp_path)
    with open(tmp_path / "report" / "grades.csv", encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["points"], row["max_points"], row["bonus_points"]) == ("0", "18", "2")
    assert "quantizer.two_faced" not in row
    entry = json.loads((tmp_path / "report" / "grades.json").read_text())["students"]["Ada"]
    assert entry["points"] == 0 and entry["bonus"]["quantizer.two_faced"]["points"] == 2
    assert not set(entry["bonus"]) & set(entry["exercises"]) and len(entry["exercises"]) == 6
    page = (tmp_path / "report" / "feedback" / "Ada.html").read_text()
    assert "0 of 18 points" in page and "quantizer.two_faced</a> (bonus, in no total)" in page
    assert "two_faced" not in (tmp_path / "report" / "index.html").read_text()
