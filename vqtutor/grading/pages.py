"""What an instructor and a student read: grades.csv, grades.json, a class page, and a page for each student."""

import csv
import json
import re
import statistics
from collections import Counter, defaultdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment

from vqtutor.checking import ProbeVerdict, Verdict
from vqtutor.exercises import EXERCISES
from vqtutor.grading.gradebook import Gradebook

HOW = {
    "late": "stopped: it did not return in time",
    "died": "ended its own process",
    "flood": "sent back too much",
    "forged": "meddled with its own checking",
    "MemoryError": "asked for more memory than there is",
    "endless": "never returned",
    "PermissionError": "was refused by the sandbox",
}

_HEAD = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{ title }}</title>
<style>
body{font:1rem/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
table{border-collapse:collapse;margin:.6rem 0} caption{text-align:left;font-style:italic}
th,td{text-align:left;vertical-align:top;padding:.2rem 1rem .2rem 0;border-bottom:1px solid #ccc}
td.n{text-align:right;font-variant-numeric:tabular-nums} pre{overflow-x:auto;background:#f4f4f4;padding:.6rem}
.bar{display:inline-block;height:.8em;background:#0072b2}
</style></head>
<body>
<h1>{{ title }}</h1>
"""

_STUDENT = (
    _HEAD
    + """<p>{{ points }} of {{ most }} points.</p>
<table><caption>Points by exercise</caption>
<thead><tr><th scope="col">exercise</th><th scope="col">state</th><th scope="col">points</th></tr></thead><tbody>
{% for id, verdict in exercises %}<tr><th scope="row"><a href="#{{ id }}">{{ id }}</a></th><td>{{ verdict.state }}</td>
<td class="n">{{ verdict.points }} of {{ verdict.max_points }}</td></tr>
{% endfor %}</tbody></table>
{% for id, verdict in exercises %}<h2 id="{{ id }}">{{ id }}</h2>
{{ verdict.card | safe }}
{% if verdict.note %}<p>Note: {{ verdict.note }}.</p>{% endif %}
{% if verdict.cell %}<pre tabindex="0" aria-label="Your answer to {{ id }}">{{ verdict.cell }}</pre>{% endif %}
{% endfor %}</body></html>
"""
)

_CLASS = (
    _HEAD
    + """<p>{{ totals | length }} students, {{ hurts | length }} exercises, {{ most }} points to be had.
{% if totals %}Median {{ median }}, from {{ low }} to {{ high }}.{% endif %}</p>

<h2>Scores</h2>
<table><caption>How many students earned so much of all points</caption>
<thead><tr><th scope="col">share of the points</th><th scope="col">students</th>
<th scope="col"></th></tr></thead><tbody>
{% for label, count in histogram %}<tr><th scope="row">{{ label }}</th><td class="n">{{ count }}</td>
<td aria-hidden="true"><span class="bar" style="width:{{ (20 * count / widest) | round(2) }}rem"></span></td></tr>
{% endfor %}</tbody></table>

<h2>What to teach again</h2>
{% if held %}<table><caption>Misconceptions, and how many students hold each</caption>
<thead><tr><th scope="col">students</th><th scope="col">misconception</th><th scope="col">exercise</th>
<th scope="col">what is off</th></tr></thead><tbody>
{% for row in held %}<tr><td class="n">{{ row.count }}</td><th scope="row">{{ row.name }}</th>
<td>{{ row.exercise }}</td><td>{{ row.says }}</td></tr>
{% endfor %}</tbody></table>{% else %}<p>No answer behaves as a known misconception does.</p>{% endif %}

<h2>The exercises that hurt</h2>
<table><caption>Worst first; points are means over everybody who handed the lesson in</caption>
<thead><tr><th scope="col">exercise</th><th scope="col">mean points</th><th scope="col">passed</th>
<th scope="col">not yet</th><th scope="col">not written</th><th scope="col">wrong without a name</th></tr></thead>
<tbody>
{% for row in hurts %}<tr><th scope="row">{{ row.id }}</th>
<td class="n">{{ "%.1f" | format(row.mean) }} of {{ row.most }}</td>
<td class="n">{{ row.passed }}</td><td class="n">{{ row.wrong }}</td><td class="n">{{ row.open }}</td>
<td class="n">{{ row.unnamed }}</td></tr>
{% endfor %}</tbody></table>

<h2>Students</h2>
<table><caption>Points of everybody</caption>
<thead><tr><th scope="col">student</th><th scope="col">points</th></tr></thead><tbody>
{% for name, points, page in totals %}<tr><th scope="row"><a href="{{ page }}">{{ name }}</a></th>
<td class="n">{{ points }} of {{ most }}</td></tr>
{% endfor %}</tbody></table>

<h2>Places to look</h2>
<p>These are places to look at, not verdicts.</p>
<h3>Answers that were stopped</h3>
{% if stopped %}<ul>{% for student, id, how in stopped %}<li>{{ student }}, {{ id }}: {{ how }}</li>
{% endfor %}</ul>{% else %}<p>None.</p>{% endif %}
<h3>Answers that use what no answer needs</h3>
{% if reaching %}<ul>{% for student, id, names in reaching %}<li>{{ student }}, {{ id }}: {{ names | join(", ") }}</li>
{% endfor %}</ul>{% else %}<p>None.</p>{% endif %}
<h3>Answers that few share, and that differ in names, comments and layout at most</h3>
{% if alike %}<ul>{% for students, ids in alike %}<li>{{ students | join(", ") }}: {{ ids | join(", ") }}</li>
{% endfor %}</ul>{% else %}<p>None.</p>{% endif %}
<h3>Files that were not graded</h3>
{% if damaged %}<ul>{% for file, said in damaged %}<li>{{ file }}: {{ said }}</li>
{% endfor %}</ul>{% else %}<p>None.</p>{% endif %}
</body></html>
"""
)


def write(book: Gradebook, out: Path) -> None:
    """Write everything that is read of a gradebook into `out`."""
    templates = Environment(autoescape=True, trim_blocks=True)  # what students wrote is text, whatever it looks like
    student_page, class_page = templates.from_string(_STUDENT), templates.from_string(_CLASS)
    asked = book.exercises()
    most = sum(EXERCISES[id].points for id in asked)
    totals, stopped, holders = [], [], defaultdict(int)
    seen = {id: Counter() for id in asked}
    (out / "feedback").mkdir(exist_ok=True)
    with (
        open(out / "grades.csv", "w", newline="", encoding="utf-8-sig") as table,  # what spreadsheets read as UTF-8
        open(out / "grades.json", "w", encoding="utf-8") as data,
    ):
        rows = csv.writer(table)
        rows.writerow(["student", *asked, "points", "max_points"])
        data.write(f'{{"max_points": {most}, "students": {{')
        for number, student in enumerate(book.students()):
            found = book.of_student(student)
            points = sum(verdict["points"] for verdict in found.values())
            page = f"feedback/{_file_name(student)}.html"
            totals.append((student, points, page))
            rows.writerow([_cell(student), *(found[id]["points"] if id in found else "" for id in asked), points, most])
            kept = {
                id: {k: v for k, v in found[id].items() if k not in ("cell", "exercise")} for id in asked if id in found
            }
            entry = json.dumps({"points": points, "exercises": kept}, ensure_ascii=False)
            data.write(f"{',' if number else ''}\n{json.dumps(student, ensure_ascii=False)}: {entry}")
            for id, verdict in found.items():
                seen[id].update(["handed in", verdict["state"]], points=verdict["points"])
                if verdict["misconception"]:
                    holders[id, verdict["misconception"]] += 1
                elif verdict["state"] == "not yet":
                    seen[id]["unnamed"] += 1
                if how := HOW.get(verdict["how"]) or HOW.get(verdict["problem"]):
                    stopped.append((student, id, how))
            shown = [(id, verdict | {"card": _card(verdict)}) for id, verdict in sorted(found.items(), key=_in_course)]
            text = student_page.render(title=f"Feedback for {student}", points=points, most=most, exercises=shown)
            (out / page).write_text(text, encoding="utf-8")
        data.write("\n}}\n")
    with open(out / "free_text.csv", "w", newline="", encoding="utf-8-sig") as table:
        rows = csv.writer(table)
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
        hurts=_hurts(seen),
        held=_held(holders),
        stopped=stopped,
        reaching=list(book.reaching()),
        alike=_alike(book),
        damaged=book.damaged(),
    )
    (out / "index.html").write_text(text, encoding="utf-8")


def _in_course(item: tuple[str, Any]) -> int:
    return list(EXERCISES).index(item[0])


def _card(verdict: dict[str, Any]) -> str:
    names = ("exercise", "state", "points", "max_points", "misconception", "message")
    probes = tuple(ProbeVerdict(**probe) for probe in verdict["probes"])
    return Verdict(**{name: verdict[name] for name in names}, probes=probes)._repr_html_()


def _file_name(student: str) -> str:
    """Return a name that any file system takes, and that no other student has."""
    safe = re.sub(r"[^\w. -]", "_", student).strip(". ")[:80]
    return safe if safe == student else f"{safe}-{sha256(student.encode()).hexdigest()[:8]}"


def _cell(text: str) -> str:
    """Return a cell that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _histogram(scores: list[int], most: int) -> dict[str, Any]:
    bins = Counter(min(9, 10 * score // most) for score in scores) if most else Counter()
    labels = [f"{10 * i} to {10 * i + 9} %" for i in range(9)] + ["90 to 100 %"]
    return {"histogram": [(label, bins[i]) for i, label in enumerate(labels)], "widest": max(bins.values(), default=1)}


def _hurts(seen: dict[str, Counter]) -> list[dict[str, Any]]:
    rows = [
        {
            "id": id,
            "mean": count["points"] / max(1, count["handed in"]),
            "most": EXERCISES[id].points,
            "passed": count["passed"],
            "wrong": count["not yet"],
            "open": count["not written yet"],
            "unnamed": count["unnamed"],
        }
        for id, count in seen.items()
    ]
    return sorted(rows, key=lambda row: row["mean"] / row["most"])


def _held(holders: dict[tuple[str, str], int]) -> list[dict[str, Any]]:
    says = {(id, one.name): one.says for id, exercise in EXERCISES.items() for one in exercise.misconceptions}
    ordered = sorted(holders.items(), key=lambda item: -item[1])
    return [{"count": n, "name": name, "exercise": id, "says": says[id, name]} for (id, name), n in ordered]


def _alike(book: Gradebook) -> list[tuple[list[str], list[str]]]:
    shared = defaultdict(list)
    for exercise, students in book.alike():
        shared[tuple(students)].append(exercise)
    return sorted(((list(who), ids) for who, ids in shared.items()), key=lambda pair: -len(pair[1]))
