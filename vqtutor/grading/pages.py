"""The report for instructors and students: grades.csv, grades.json, a class page, and a page for each student."""

import csv
import json
import re
import statistics
import unicodedata
from collections import Counter, defaultdict
from hashlib import sha256
from pathlib import Path
from typing import Any, TextIO

from jinja2 import Environment, FileSystemLoader

from vqtutor.checking import ProbeVerdict, Problem, State, Verdict
from vqtutor.grading.gradebook import Gradebook
from vqtutor.grading.sandbox import Outcome
from vqtutor.lessons import EXERCISES

STOPPED = {
    Outcome.LATE: "stopped: it did not return in time",
    Outcome.DIED: "ended its own process",
    Outcome.FLOOD: "sent back too much",
    Outcome.FORGED: "meddled with its own checking",
    Outcome.APART: "does not run apart from its notebook: look at it by hand",
    Outcome.BY_HAND: "could not be judged: look at it by hand",
    "MemoryError": "asked for more memory than there is",
    Problem.ENDLESS: "never returned",
    "PermissionError": "was refused by the sandbox",
    "FileNotFoundError": "needs a file of its own: look at it by hand",
    "ModuleNotFoundError": "needs a package that is not there: look at it by hand",
    "NameError": "uses a name that nothing in its notebook defines in so many words: look at it by hand",
}


def write(book: Gradebook, out: Path) -> None:
    """Write the report of a gradebook into `out`."""
    # Escaped, because students' texts can contain HTML.
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)
    student_page, class_page = templates.get_template("student.html"), templates.get_template("class.html")
    ids = book.exercises()
    most = sum(EXERCISES[id].points for id in ids)
    totals, stopped, holders, damaged, taken = [], [], defaultdict(int), book.damaged_by_student(), set()
    counts = {id: Counter() for id in ids}
    (out / "feedback").mkdir(exist_ok=True)
    with (
        open(
            out / "grades.csv", "w", newline="", encoding="utf-8-sig"
        ) as table,  # with the mark by which spreadsheets recognise UTF-8
        open(out / "grades.json", "w", encoding="utf-8") as data,
    ):
        rows = _writer(table)
        rows.writerow(["student", *ids, "points", "max_points"])
        data.write(f'{{"max_points": {most}, "students": {{')
        for number, student in enumerate(book.students()):
            verdicts = book.of_student(student)
            points = sum(verdict["points"] for verdict in verdicts.values())
            page = f"feedback/{_file_name(student, taken)}.html"
            totals.append((student, points, page))
            cells = [verdicts[id]["points"] if id in verdicts else "" for id in ids]
            rows.writerow([_cell(student), *cells, points, most])
            verdicts = {id: verdicts[id] for id in ids if id in verdicts}  # in the order of the course
            records = {
                id: {name: value for name, value in verdict.items() if name not in ("cell", "exercise")}
                for id, verdict in verdicts.items()
            }
            entry = json.dumps({"points": points, "exercises": records}, ensure_ascii=False)
            data.write(f"{',' if number else ''}\n{json.dumps(student, ensure_ascii=False)}: {entry}")
            for id, verdict in verdicts.items():
                counts[id].update(["handed in", verdict["state"]], points=verdict["points"])
                if verdict["misconception"]:
                    holders[id, verdict["misconception"]] += 1
                elif verdict["state"] == State.NOT_YET:
                    counts[id]["unnamed"] += 1
                if why := STOPPED.get(verdict["outcome"]) or STOPPED.get(verdict["problem"]):
                    stopped.append((student, id, why))
            cards = [(id, verdict | {"card": _card(verdict)}) for id, verdict in verdicts.items()]
            values = dict(points=points, most=most, exercises=cards, damaged=damaged[student])
            text = student_page.render(title=f"Feedback for {student}", **values)
            (out / page).write_text(text, encoding="utf-8")
        data.write("\n}}\n")
    for page in {*(out / "feedback").glob("*.html")} - {out / page for _, _, page in totals}:
        page.unlink()  # of a student who was called otherwise in an earlier run
    with open(out / "free_text.csv", "w", newline="", encoding="utf-8-sig") as table:
        rows = _writer(table)
        rows.writerow(["student", "lesson", "question", "text", "points"])
        rows.writerows([*map(_cell, row), ""] for row in book.texts())
    scores = [points for _, points, _ in totals]
    text = class_page.render(
        title="The class",
        most=most,
        totals=totals,
        median=statistics.median(scores) if scores else 0,
        low=min(scores, default=0),
        high=max(scores, default=0),
        **_histogram(scores, most),
        hardest=_hardest(counts),
        misconceptions=_misconceptions(holders),
        stopped=stopped,
        reaching=list(book.reaching()),
        alike=_alike(book),
        damaged=book.damaged(),
    )
    (out / "index.html").write_text(text, encoding="utf-8")


def _card(verdict: dict[str, Any]) -> str:
    names = ("exercise", "state", "points", "max_points", "misconception", "message")
    probes = tuple(ProbeVerdict(**probe) for probe in verdict["probes"])
    return Verdict(**{name: verdict[name] for name in names}, probes=probes)._repr_html_()


def _file_name(student: str, taken: set[str]) -> str:
    """Return a file name for a student's page, valid in any file system and different from those that are taken."""
    safe = re.sub(r'[\x00-\x1f/\\:*?"<>|]', "_", student).strip(". ").encode()[:150].decode(errors="ignore")
    reserved = re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", safe, re.IGNORECASE)  # on Windows
    if safe != student or reserved or _folded(safe) in taken:
        safe = f"{safe}-{sha256(student.encode()).hexdigest()[:8]}"
    taken.add(_folded(safe))
    return safe


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()  # some file systems tell no more apart


def _writer(table: TextIO) -> Any:
    return csv.writer(table, quoting=csv.QUOTE_NONNUMERIC)  # a `;` would end a cell where lists have it for a comma


def _cell(text: str) -> str:
    """Return a text with a mark in front if a spreadsheet could read it as a formula."""
    # Some drop what comes first and cannot be seen, and some read signs of other widths.
    seen = unicodedata.normalize("NFKC", text).lstrip(
        " " + "".join(c for c in text if not c.isprintable() or c.isspace())
    )
    return f"'{text}" if seen[:1] in tuple("=+-@\u2212") or text[:1] in tuple("\t\r\n") else text


def _histogram(scores: list[int], most: int) -> dict[str, Any]:
    bins = Counter(min(9, 10 * score // most) for score in scores) if most else Counter()
    labels = [f"{10 * i} to {10 * i + 9} %" for i in range(9)] + ["90 to 100 %"]
    return {"histogram": [(label, bins[i]) for i, label in enumerate(labels)], "widest": max(bins.values(), default=1)}


def _hardest(counts: dict[str, Counter]) -> list[dict[str, Any]]:
    rows = [
        {
            "id": id,
            "mean": count["points"] / max(1, count["handed in"]),
            "most": EXERCISES[id].points,
            "passed": count[State.PASSED],
            "wrong": count[State.NOT_YET],
            "open": count[State.OPEN],
            "unnamed": count["unnamed"],
        }
        for id, count in counts.items()
    ]
    return sorted(rows, key=lambda row: row["mean"] / row["most"])


def _misconceptions(holders: dict[tuple[str, str], int]) -> list[dict[str, Any]]:
    says = {
        (id, one.name): one.says
        for id in {id for id, _ in holders}
        for one in (*EXERCISES[id].tried.slips, *EXERCISES[id].misconceptions)
    }
    ordered = sorted(holders.items(), key=lambda item: -item[1])
    return [{"count": n, "name": name, "exercise": id, "says": says[id, name]} for (id, name), n in ordered]


def _alike(book: Gradebook) -> list[tuple[list[str], list[str]]]:
    shared = defaultdict(list)
    for exercise, students in book.alike():
        shared[tuple(students)].append(exercise)
    return sorted(((list(who), ids) for who, ids in shared.items()), key=lambda pair: -len(pair[1]))
