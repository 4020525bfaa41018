"""The report for instructors and students: grades.csv, grades.json, a class page, and a page for each student.

For each free-text question there is a page to mark by.
"""

import json
import re
import statistics
import unicodedata
from collections import Counter, defaultdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from vqtutor import authoring
from vqtutor.checking import ProbeVerdict, Problem, State, Verdict
from vqtutor.grading import marks
from vqtutor.grading.gradebook import Gradebook
from vqtutor.grading.marks import number
from vqtutor.grading.sandbox import Outcome
from vqtutor.lessons import EXERCISES, FREE_TEXTS
from vqtutor.storage import whole_files

STOPPED = {
    Outcome.LATE: "stopped: it did not return in time",
    Outcome.DIED: "ended its own process",
    Outcome.FLOOD: "sent back too much",
    Outcome.FORGED: "interfered with its own check",
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
    """Write the report of a gradebook into `out`, with the marks that were typed into its free_text.csv.

    Every file is whole at any time. They take the places of the old ones together, when all are complete.
    """
    try:
        rubrics = authoring.rubrics(authoring.course_folder())
    except FileNotFoundError:  # the package alone, which has none
        rubrics = {}
    book.odd = marks.update(book, out, rubrics)
    for page in {*(out / "feedback").glob("*.html"), *(out / "marking").glob("*.html")} - _Report(book).write(
        out, rubrics
    ):
        page.unlink()  # of a student who was called otherwise in an earlier run


class _Report:
    def __init__(self, book: Gradebook):
        # Escaped, because students' texts can contain HTML.
        templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)
        templates.filters["number"] = number
        self.page = {name: templates.get_template(f"{name}.html") for name in ("student", "class", "marking")}
        self.book, self.marks, self.texts = book, book.marks(), defaultdict(dict)
        for student, _, question, text in book.texts():
            self.texts[student][question] = text
        given = {question for (_, question), mark in self.marks.items() if mark.points is not None}
        self.ids, self.puzzles = book.exercises(), book.exercises(bonus=True)
        self.marked = [id for id in FREE_TEXTS if id in given]  # they count from their first mark on
        asked = {question for texts in self.texts.values() for question in texts}
        self.asked = [id for id in FREE_TEXTS if id in asked | given]
        self.most = sum(EXERCISES[id].points for id in self.ids) + sum(FREE_TEXTS[id].points for id in self.marked)

    def free_text(self, student: str) -> dict[str, dict[str, Any]]:
        """Return {question: what was written and what it earned} of a student."""
        found = {}
        for id in self.asked:
            text, mark = self.texts[student].get(id), self.marks.get((student, id))
            if text is None and mark is None:
                continue
            points = mark and mark.points
            if points is None and not text and id in self.marked:
                points = 0
            found[id] = {
                "points": number(points),
                "max_points": FREE_TEXTS[id].points,
                "remark": mark.remark if mark else "",
                "text": text or "",
                "changed": bool(mark and points is not None and text and mark.version != marks.version_of(text)),
            }
        return found

    def write(self, out: Path, rubrics: dict[str, tuple[str, str]]) -> set[Path]:
        """Write everything but the table of free text; return the pages of students and questions."""
        book, ids, most = self.book, self.ids, self.most
        totals, missing, stopped, holders, taken = [], [], [], defaultdict(int), set()
        damaged, absent, graded = book.damaged_by_student(), book.absent(), book.graded()
        counts = {id: Counter() for id in ids}
        written = defaultdict(list)
        with whole_files(out) as part:
            (part / "feedback").mkdir()
            (part / "marking").mkdir()
            with (
                open(part / "grades.csv", "w", newline="", encoding="utf-8-sig") as table,  # see marks.update
                open(part / "grades.json", "w", encoding="utf-8") as data,
            ):
                rows = marks.writer(table)
                rows.writerow(["student", *ids, *self.marked, "points", "max_points", "bonus_points"])
                data.write(f'{{"max_points": {most}, "students": {{')
                for at, student in enumerate(book.students()):
                    verdicts, texts = book.of_student(student), self.free_text(student)
                    bonus = {id: verdicts[id] for id in self.puzzles if id in verdicts}
                    verdicts = {id: verdicts[id] for id in ids if id in verdicts}  # in the order of the course
                    extra = sum(verdict["points"] for verdict in bonus.values()) if bonus else ""
                    points = [verdict["points"] for verdict in verdicts.values()]
                    points = number(sum(points + [text["points"] or 0 for text in texts.values()]))
                    if student in absent and not texts:
                        points = None
                    page = f"feedback/{_file_name(student, taken)}.html"
                    (totals if student in graded or texts else missing).append((student, points, page))
                    cells = [verdicts[id]["points"] if id in verdicts else "" for id in ids]
                    cells += [texts[id]["points"] if id in texts else "" for id in self.marked]
                    cells = ["" if cell is None else cell for cell in [*cells, points]]
                    rows.writerow([marks.safe(student), *cells, most, extra])
                    entry = {"points": points, "exercises": _records(verdicts)}
                    entry |= {"bonus": _records(bonus)} if bonus else {}
                    entry |= {"free_text": texts} if texts else {}
                    entry = json.dumps(entry, ensure_ascii=False)
                    data.write(f"{',' if at else ''}\n{json.dumps(student, ensure_ascii=False)}: {entry}")
                    for id, verdict in verdicts.items():
                        counts[id].update(["handed in", verdict["state"]], points=verdict["points"])
                        if verdict["misconception"]:
                            holders[id, verdict["misconception"]] += 1
                        elif verdict["state"] == State.NOT_YET:
                            counts[id]["unnamed"] += 1
                        if why := STOPPED.get(verdict["outcome"]) or STOPPED.get(verdict["problem"]):
                            stopped.append((student, id, why))
                    for id, text in texts.items():
                        written[id].append((student, text))
                    cards = [(id, one | {"card": _card(one)}) for id, one in (verdicts | bonus).items()]
                    values = dict(points=points, most=most, exercises=cards, damaged=damaged[student], texts=texts)
                    values["bonus"] = list(bonus)
                    text = self.page["student"].render(title=f"Feedback for {student}", asks=FREE_TEXTS, **values)
                    (part / page).write_text(text, encoding="utf-8")
                data.write("\n}}\n")
            questions = [self._marking(id, written[id], rubrics.get(id), part) for id in self.asked]
            scores = [points for _, points, _ in totals]
            text = self.page["class"].render(
                title="The class",
                most=most,
                totals=totals,
                missing=missing,
                median=statistics.median(scores) if scores else 0,
                low=min(scores, default=0),
                high=max(scores, default=0),
                **_histogram(scores, most),
                hardest=_hardest(counts),
                misconceptions=_misconceptions(holders),
                questions=questions,
                to_mark=sum(question["open"] for question in questions if question["id"] in self.marked),
                stopped=stopped,
                reaching=list(book.reaching()),
                alike=_alike(book),
                damaged=book.damaged(),
            )
            (part / "index.html").write_text(text, encoding="utf-8")
        pages = {out / page for _, _, page in totals + missing}
        return pages | {out / "marking" / f"{id}.html" for id in self.asked}

    def _marking(
        self, id: str, answers: list[tuple[str, dict]], rubric: tuple[str, str] | None, part: Path
    ) -> dict[str, Any]:
        """Write the page to mark a question by, and return what the class page says of it."""
        points = [answer["points"] for _, answer in answers if answer["points"] is not None]
        silent = [who for who, answer in answers if not (answer["text"] or answer["remark"] or answer["points"])]
        count = {
            "id": id,
            "asks": FREE_TEXTS[id].asks,
            "most": FREE_TEXTS[id].points,
            "written": sum(bool(answer["text"]) for _, answer in answers),
            "open": sum(bool(answer["text"]) and answer["points"] is None for _, answer in answers),
            "mean": sum(points) / len(points) if points else None,
        }
        model, rubric = map(_html, rubric) if rubric else ("", "")
        values = dict(answers=answers, silent=silent, model=model, rubric=rubric, **count)
        text = self.page["marking"].render(title=f"Marking {id}", **values)
        (part / "marking" / f"{id}.html").write_text(text, encoding="utf-8")
        return count


def _records(verdicts: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what grades.json says of verdicts."""
    return {
        id: {name: value for name, value in verdict.items() if name not in ("cell", "exercise")}
        for id, verdict in verdicts.items()
    }


def _html(markdown: str) -> str:
    from nbconvert.filters.markdown_mistune import markdown2html_mistune  # only where there is something to show

    return markdown2html_mistune(markdown)


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


def _histogram(scores: list[float], most: int) -> dict[str, Any]:
    bins = Counter(min(9, int(10 * score // most)) for score in scores) if most else Counter()
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
