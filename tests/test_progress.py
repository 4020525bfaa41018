"""Where progress is kept: one file at home; in Colab, whose machines are gone tomorrow, in a mounted Drive as well."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vqtutor.checking import Verdict, progress


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A new session on a new machine, with no Drive mounted."""
    monkeypatch.delenv("VQTUTOR_PROGRESS", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    monkeypatch.setattr(progress, "DRIVE", tmp_path / "drive" / "MyDrive")
    new_session(monkeypatch)
    return tmp_path / "home" / ".vqtutor" / "progress.json"


def new_session(monkeypatch):
    monkeypatch.setattr(progress.TABLE, "memory", {})
    monkeypatch.setattr(progress, "_notices", set())


@pytest.fixture
def colab(home, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", sys)
    return home


@pytest.fixture
def drive(colab):
    return progress.DRIVE / "vqtutor" / "progress.json"


def record(id, state="passed", points=2, source=""):
    progress.record(Verdict(id, state, points, 2), source)


def kept(file):
    return json.loads(file.read_text())


def test_on_a_machine_of_ones_own_nothing_is_said_of_drives(home, capsys):
    progress.DRIVE.mkdir(parents=True)  # a folder of that name is no reason
    record("a.one")
    assert list(kept(home)) == ["a.one"] and capsys.readouterr().out == "" and not list(progress.DRIVE.iterdir())


def test_in_colab_one_line_a_session_says_how_to_keep_it(colab, capsys, monkeypatch):
    for id in ("a.one", "a.two", "a.three"):
        record(id)
    (line,) = capsys.readouterr().out.splitlines()
    mount = line.split("run: ")[1]
    assert mount == f'from google.colab import drive; drive.mount("{progress.DRIVE.parent}")'
    compile(mount, "the line, as it is pasted", "exec")
    assert not progress.DRIVE.exists()  # nothing is mounted unasked
    new_session(monkeypatch)
    record("a.one")
    assert capsys.readouterr().out.count("\n") == 1


def test_what_was_done_before_drive_was_mounted_goes_along(colab, drive, capsys):
    record("a.one", source="before")
    capsys.readouterr()
    progress.DRIVE.mkdir(parents=True)
    record("a.two")
    assert set(kept(drive)) == {"a.one", "a.two"} and kept(drive)["a.one"]["source"] == "before"
    assert capsys.readouterr().out == ""


def test_tomorrow_on_another_machine_everything_is_there(colab, drive, monkeypatch):
    progress.DRIVE.mkdir(parents=True)
    record("a.one", "not yet", 1)
    record("a.one", source="def one(): pass")
    progress.next_hint("a.one", 3, True)
    colab.unlink()
    new_session(monkeypatch)
    entry = progress.load()["a.one"]
    assert (entry["state"], entry["points"], entry["attempts"], entry["hints"]) == ("passed", 2, 2, 1)
    assert entry["source"] == "def one(): pass"


@pytest.mark.parametrize("better_on_drive", [True, False])
def test_of_two_results_the_better_one_stays(better_on_drive, colab, drive):
    good = {"state": "passed", "points": 2, "attempts": 1, "hints": 0, "source": "good"}
    poor = {"state": "not yet", "points": 1, "attempts": 7, "hints": 3}
    for file, entry in ((drive, good if better_on_drive else poor), (colab, poor if better_on_drive else good)):
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"a.one": entry}))
    record("a.two")
    assert kept(drive)["a.one"] == kept(colab)["a.one"] == good | {"attempts": 7, "hints": 3}


def test_a_drive_that_fails_costs_a_line_and_no_progress(colab, drive, capsys, monkeypatch):
    progress.DRIVE.mkdir(parents=True)
    record("a.one")
    read, replace = Path.read_text, os.replace

    def lost(path, *rest):
        if str(path).startswith(str(progress.DRIVE)) or any(str(p).startswith(str(progress.DRIVE)) for p in rest):
            raise OSError(107, "Transport endpoint is not connected")

    monkeypatch.setattr(Path, "read_text", lambda path: lost(path) or read(path))
    monkeypatch.setattr(os, "replace", lambda *paths: lost(*paths) or replace(*paths))
    for id in ("a.two", "a.three"):
        record(id)
    assert set(progress.load()) == set(kept(colab)) == {"a.one", "a.two", "a.three"}
    (line,) = capsys.readouterr().out.splitlines()
    assert "on this machine only" in line and "not connected" in line


def test_what_cannot_be_read_just_now_is_not_written_over(colab, drive, monkeypatch):
    drive.parent.mkdir(parents=True)
    drive.write_text(json.dumps({"a.one": {"state": "passed", "points": 2}}))
    with monkeypatch.context() as fails:
        fails.setattr(Path, "read_text", lambda path: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        record("a.two")
    assert "a.one" in kept(drive)
    record("a.three")
    assert set(progress.load()) == set(kept(drive)) == {"a.one", "a.two", "a.three"}


def test_the_environments_own_word_comes_first(colab, drive, tmp_path, capsys, monkeypatch):
    progress.DRIVE.mkdir(parents=True)
    monkeypatch.setenv("VQTUTOR_PROGRESS", str(tmp_path / "mine.json"))
    record("a.one")
    assert list(kept(tmp_path / "mine.json")) == ["a.one"] and not drive.exists() and not colab.exists()
    assert capsys.readouterr().out == ""


def test_two_notebooks_at_a_time_lose_nothing(tmp_path):
    """Each process reads, merges and writes in turn: every entry of both is there in the end."""
    program = (
        "import sys; from vqtutor.checking import Verdict, progress\n"
        "for i in range(40): progress.record(Verdict(f'{sys.argv[1]}.e{i}', 'passed', 2, 2))"
    )
    environment = os.environ | {"VQTUTOR_PROGRESS": str(tmp_path / "progress.json")}
    both = [subprocess.Popen([sys.executable, "-c", program, name], env=environment) for name in "ab"]
    assert [one.wait() for one in both] == [0, 0]
    assert len(kept(tmp_path / "progress.json")) == 80
