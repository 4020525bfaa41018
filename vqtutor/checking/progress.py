"""What is done so far, kept in one local file and sent nowhere."""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from vqtutor.checking.judge import Verdict

_memory: dict[str, dict[str, Any]] = {}  # serves where the disk cannot be written


def path() -> Path:
    """Return where progress is kept: $VQTUTOR_PROGRESS, else ~/.vqtutor/progress.json."""
    return Path(os.environ.get("VQTUTOR_PROGRESS") or Path.home() / ".vqtutor" / "progress.json")


def load() -> dict[str, dict[str, Any]]:
    """Return {exercise id: {"state", "points", "max_points", "attempts", "hints", "source"}}.

    A file that cannot be read as such is set aside under another name, with a notice; nothing is thrown away.
    """
    file = path()
    try:
        kept = json.loads(file.read_text())
        if not (isinstance(kept, dict) and all(isinstance(entry, dict) for entry in kept.values())):
            raise ValueError("not a table of exercises")
        return kept
    except FileNotFoundError:
        return {}
    except OSError:
        return dict(_memory)
    except ValueError:
        aside = file.with_suffix(".damaged.json")
        os.replace(file, aside)
        print(f"The progress file could not be read; it was set aside as {aside} and a new one begun.")
        return {}


def _save(kept: dict[str, dict[str, Any]]) -> None:
    _memory.update(kept)
    file = path()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, suffix=".part", delete=False) as part:
            json.dump(kept, part, indent=1)
        os.replace(part.name, file)  # whoever reads meanwhile sees the old file or the new one, never half of one
    except OSError as error:
        print(f"Progress is kept for this session only: {file} cannot be written ({error.strerror}).")


def record(verdict: Verdict, source: str = "") -> None:
    """Keep the best that was reached in an exercise, and count the attempt unless the blank is still open.

    Args:
      verdict: of this attempt.
      source: of the answer, with all it uses; kept when it passed, so that later lessons can go on with it.
    """
    kept = load()
    entry = kept.setdefault(verdict.exercise, {"state": "not written yet", "points": 0, "attempts": 0, "hints": 0})
    entry["max_points"] = verdict.max_points
    entry["attempts"] = entry.get("attempts", 0) + (verdict.state != "not written yet")
    if (verdict.passed, verdict.points) >= (entry.get("state") == "passed", entry.get("points", 0)):
        if verdict.state != "not written yet" or entry.get("attempts", 0) == 0:
            entry |= {"state": verdict.state, "points": verdict.points}
    if verdict.passed and source:
        entry["source"] = source
    elif verdict.state == "not yet":
        entry["tried"] = hashlib.sha256(source.encode()).hexdigest()[:16]
    _save(kept)


def next_hint(exercise: str, steps: int, asked_again: bool) -> int:
    """Return the number, from 1, of the hint to show: the last one again, unless there is a reason for the next.

    Args:
      exercise: the id.
      steps: of its ladder.
      asked_again: the same was asked for just before. Another wrong answer since then is a reason as well.
    """
    kept = load()
    entry = kept.setdefault(exercise, {"state": "not written yet", "points": 0, "attempts": 0, "hints": 0})
    if asked_again or not entry.get("hints") or entry.get("tried") != entry.get("tried_before_hint"):
        entry["hints"] = min(entry.get("hints", 0) + 1, steps)
    entry["tried_before_hint"] = entry.get("tried")
    _save(kept)
    return entry["hints"]
