"""Grading a whole class: interruptible, repeatable, and beyond one machine. One worker runs all of this file."""

import csv
import json
import os
import subprocess
import sys
import threading
import time

import made_class
import pytest
from conftest import remembering
from test_grading import SHORT, needs_sandbox

from vqtutor.grading.grade import Grader, grade
from vqtutor.grading.gradebook import Gradebook
from vqtutor.lessons import EXERCISES

pytestmark = [pytest.mark.long, needs_sandbox]


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    """What right looks like, and the programs: remembered from test to test."""
    return remembering(tmp_path_factory.mktemp("memory") / "grading").parent


@pytest.fixture(autouse=True)
def same_memory(memory, monkeypatch):
    monkeypatch.setenv("VQTUTOR_CACHE", str(memory))


@pytest.fixture(scope="module")
def graded(memory, tmp_path_factory):
    """A class of twenty on the first lesson: (its folder, what was planted in it, its report, the report's book)."""
    place = tmp_path_factory.mktemp("class")
    planted = made_class.write(place / "class", 20, ["00_start_here"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VQTUTOR_CACHE", str(memory))
        book = grade(place / "class", place / "report", workers=2, limits=SHORT, progress=False)
    return place / "class", planted, place / "report", book


def judged(book):
    return {key: (verdict["points"], verdict["misconception"]) for key, verdict in book.verdicts().items()}


def test_a_class_is_graded_once_and_what_was_planted_is_found(graded, monkeypatch):
    place, planted, out, book = graded
    said = json.loads((out / "grades.json").read_text())["students"]
    for (student, id), what in planted.items():
        if what.kind == "damaged":
            assert said[student] == {"points": 0, "exercises": {}}
            assert "00_start_here.ipynb: It cannot be read" in (out / "feedback" / f"{student}.html").read_text()
            continue
        verdict = (said[student]["exercises"] | said[student]["bonus"])[id]
        assert (verdict["state"] == "passed") == (what.kind in ("right", "harmed")), (student, what, verdict)
        if what.kind == "wrong":
            assert verdict["misconception"] == what.name
    with open(out / "grades.csv", encoding="utf-8-sig") as table:
        rows = {row["student"]: row for row in csv.DictReader(table)}
    assert {name: int(row["points"]) for name, row in rows.items()} == {n: v["points"] for n, v in said.items()}
    page = (out / "index.html").read_text()
    exercises = {key: what for key, what in planted.items() if not EXERCISES[key[1]].bonus}
    assert all(what.name in page for what in exercises.values() if what.kind == "wrong")
    assert len(list((out / "feedback").iterdir())) == len(said) == len(book.students())

    monkeypatch.setattr(Grader, "judge", None)  # a second run has nothing to judge
    again = grade(place, out, workers=2, limits=SHORT, progress=False)
    assert again.count_open() == 0 and json.loads((out / "grades.json").read_text())["students"] == said


# Runs the command line, and kills itself while it reads the fifth notebook, stores the fifth verdict, or writes the
# third student's page.
KILLED = """
import os, sys
from itertools import count
from vqtutor import cli
from vqtutor.grading.gradebook import Gradebook

place, out, where = sys.argv[1:]
numbers = {"collecting": count(1), "judging": count(1), "writing": count(1)}

def step(what, when):
    if what == where and next(numbers[what]) == when:
        os.kill(os.getpid(), 9)

def opened(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, os.PathLike)):
        name = os.fspath(arguments[0])
        if str(name).endswith(".ipynb"):
            step("collecting", 5)
        if "feedback" in str(name) and arguments[2] & os.O_CREAT:
            step("writing", 3)

add = Gradebook.add
Gradebook.add = lambda *arguments: (step("judging", 5), add(*arguments))
sys.addaudithook(opened)
sys.exit(cli.main(["grade", place, "--out", out, "--seconds", "0.3"]))
"""


@pytest.mark.proof
def test_a_run_killed_at_any_stage_ends_with_the_same_report_and_repeats_nothing(graded, tmp_path, monkeypatch):
    def report(out):
        files = {str(path.relative_to(out)): path for path in out.rglob("*") if path.is_file()}
        return {name: path.read_bytes() for name, path in files.items() if path.suffix in (".html", ".csv", ".json")}

    place, _, whole, book = graded
    asked, judge, verdicts = [], Grader.judge, 0
    monkeypatch.setattr(
        Grader, "judge", lambda self, answer: (asked.append(self.key_of(answer)), judge(self, answer))[1]
    )
    for where in ("collecting", "judging", "writing"):
        out = tmp_path / where
        command = [sys.executable, "-c", KILLED, str(place), str(out), where]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == -9, (where, done.stderr[-1000:])
        before = Gradebook(out, "").verdicts()
        assert len(before) >= verdicts and report(out) != report(whole)
        verdicts = len(before)
        asked.clear()
        again = grade(place, out, workers=1, limits=SHORT, progress=False)
        assert report(out) == report(whole) and judged(again) == judged(book), where
        assert len(asked) == len(set(asked)) == len(judged(book)) - len(before) and not set(asked) & set(before)
    assert verdicts == len(judged(book))  # of the last stage


@pytest.mark.proof
def test_a_cluster_loses_nothing_when_a_worker_dies(graded, tmp_path):
    pytest.importorskip("distributed")
    from distributed import Client, LocalCluster

    place, _, _, wanted = graded
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            pids = list(client.run(os.getpid).values())
        killed = []

        def kill_one():
            while not (tmp_path / "there").exists() or not Gradebook(tmp_path / "there", "").verdicts():
                time.sleep(0.02)
            os.kill(pids[0], 9)
            killed.append(True)

        threading.Thread(target=kill_one, daemon=True).start()
        book = grade(place, tmp_path / "there", limits=SHORT, scheduler=cluster.scheduler_address, progress=False)
    assert killed
    assert judged(book) == judged(wanted)
