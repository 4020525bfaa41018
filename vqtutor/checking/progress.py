"""A student's progress, stored in one local file and sent nowhere.

Colab's machines are deleted after a session. There it is stored in your Drive as well, once you have mounted it.
"""

import ast
import hashlib
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from vqtutor.checking.exercise import State
from vqtutor.checking.judge import Verdict
from vqtutor.storage import alone, whole_file

Entry = dict[str, Any]
DRIVE = Path("/content/drive/MyDrive")  # where Colab mounts your Drive
_notices: set[str] = set()  # lines that were printed in this session


def in_colab() -> bool:
    """Whether this is a Colab notebook, or a command that one started with `!`."""
    return "google.colab" in sys.modules or "COLAB_RELEASE_TAG" in os.environ


def paths() -> list[Path]:
    """Return the files that hold the progress: $VQTUTOR_PROGRESS, else ~/.vqtutor and, in Colab, a mounted Drive."""
    if path := os.environ.get("VQTUTOR_PROGRESS"):
        return [Path(path)]
    drive = [DRIVE / "vqtutor"] if in_colab() and os.path.isdir(DRIVE) else []
    return [folder / "progress.json" for folder in (Path.home() / ".vqtutor", *drive)]


class Table:
    """Entries by name, in a JSON file in each of the places of the progress, and in memory where none can be written.

    Args:
      ending: of its files' names; "" for the progress itself.
      better: of two entries of one name, the one to keep; the first is from this session.
    """

    def __init__(self, ending: str, better: Callable[[Entry, Entry], Entry]):
        self.ending = ending
        self.better = better
        self.memory: dict[str, Entry] = {}  # entries that could not be written to a disk

    def paths(self) -> list[Path]:
        return [file.with_name(file.stem + self.ending) if self.ending else file for file in paths()]

    def load(self) -> dict[str, Entry]:
        entries = self.merge({}, self.memory)
        for file in self.paths():
            with suppress(OSError):
                entries = self.merge(entries, _read(file))
        return entries

    def merge(self, one: dict[str, Entry], other: dict[str, Entry]) -> dict[str, Entry]:
        return one | {id: self.better(one[id], entry) if id in one else dict(entry) for id, entry in other.items()}

    def save(self, entries: dict[str, Entry]) -> None:
        self.memory.clear()
        files = self.paths()
        for file in files:
            try:
                with alone(file):
                    merged = self.merge(entries, _read(file))  # an OSError comes before anything is lost
                    with whole_file(file) as part:
                        part.write(json.dumps(merged, indent=1).encode())
            except OSError as error:
                self.memory.update(entries)
                where = "on this machine" if file != files[0] else "for this session"
                _say_once(f"Progress is kept {where} only: {file} cannot be written ({error.strerror}).")
        if "google.colab" in sys.modules and len(files) == 1 and not os.environ.get("VQTUTOR_PROGRESS"):
            mount = f'from google.colab import drive; drive.mount("{DRIVE.parent}")'
            _say_once(
                f"Your progress is lost when Colab takes this machine away. To keep it in your Drive, run: {mount}"
            )


def load() -> dict[str, Entry]:
    """Return {exercise id: {"state", "points", "max_points", "attempts", "hints", "source"}}.

    A damaged file is renamed, with a notice, and never deleted.
    """
    return TABLE.load()


def _better(one: Entry, other: Entry) -> Entry:
    """Return one entry for two of an exercise: the better result, and the larger numbers of attempts and hints."""
    worse, better = sorted((other, one), key=_rank)  # of equal results, the first is the newer one
    return worse | better | {name: max(one.get(name, 0), other.get(name, 0)) for name in ("attempts", "hints")}


def _rank(entry: Entry) -> tuple[bool, int, int]:
    return entry.get("state") == State.PASSED, entry.get("points", 0), entry.get("attempts", 0)


TABLE = Table("", _better)


def _read(file: Path) -> dict[str, Entry]:
    try:
        entries = json.loads(file.read_text())
        if not (isinstance(entries, dict) and all(isinstance(entry, dict) for entry in entries.values())):
            raise ValueError("not a table of entries")
        return entries
    except FileNotFoundError:
        return {}
    except ValueError:
        aside = file.with_suffix(".damaged.json")
        with suppress(OSError):
            os.replace(file, aside)
            print(f"The progress file could not be read; it was set aside as {aside} and a new one begun.")
        return {}


def _say_once(line: str) -> None:
    if line not in _notices:
        _notices.add(line)
        print(line)


def record(verdict: Verdict, source: str = "") -> dict[str, Entry]:
    """Store the best result of an exercise so far, and count the attempt unless the blank is still open.

    Args:
      verdict: of this attempt.
      source: of the answer, with all it uses; stored when the answer passed, for use in later lessons.
    Returns: all entries, see `load`.
    """
    entries = load()
    entry = entries.setdefault(verdict.exercise, {"state": State.OPEN, "points": 0, "attempts": 0, "hints": 0})
    entry["max_points"] = verdict.max_points
    entry["attempts"] = entry.get("attempts", 0) + (verdict.state != State.OPEN)
    if (verdict.passed, verdict.points) >= (entry.get("state") == State.PASSED, entry.get("points", 0)):
        if verdict.state != State.OPEN or entry.get("attempts", 0) == 0:
            entry |= {"state": verdict.state, "points": verdict.points}
    if verdict.passed and source:
        entry["source"] = source
    elif verdict.state == State.NOT_YET:
        code = ast.unparse(ast.parse(source))  # another comment is not another try
        entry["tried"] = hashlib.sha256(code.encode()).hexdigest()[:16]
    TABLE.save(entries)
    return entries


def next_hint(exercise: str, steps: int, asked_again: bool) -> int:
    """Return the number, from 1, of the hint to show: the last one again, unless there is a reason for the next.

    Args:
      exercise: the id.
      steps: number of its hints.
      asked_again: whether a hint for this exercise was asked for just before. Another wrong answer since the last hint
        is a reason as well.
    """
    entries = load()
    entry = entries.setdefault(exercise, {"state": State.OPEN, "points": 0, "attempts": 0, "hints": 0})
    if asked_again or not entry.get("hints") or entry.get("tried") != entry.get("tried_before_hint"):
        entry["hints"] = min(entry.get("hints", 0) + 1, steps)
    entry["tried_before_hint"] = entry.get("tried")
    TABLE.save(entries)
    return entry["hints"]
