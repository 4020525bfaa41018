"""Submissions and verdicts in one SQLite file, written one by one, so that a run that was killed can be continued."""

import ast
import hashlib
import json
import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from vqtutor.grading.collect import Answer, Damage, Submission, Unchanged
from vqtutor.lessons import EXERCISES

_TABLES = """
CREATE TABLE IF NOT EXISTS verdicts (key TEXT PRIMARY KEY, verdict TEXT);
CREATE TABLE IF NOT EXISTS files (file TEXT PRIMARY KEY, student TEXT, lesson TEXT, digest TEXT, note TEXT);
CREATE TABLE IF NOT EXISTS handed_in (file TEXT, exercise TEXT, key TEXT, answer TEXT, shape TEXT,
  PRIMARY KEY (file, exercise));
CREATE TABLE IF NOT EXISTS texts (file TEXT, question TEXT, text TEXT, PRIMARY KEY (file, question));
CREATE INDEX IF NOT EXISTS by_key ON handed_in (key);
CREATE INDEX IF NOT EXISTS by_student ON files (student, lesson);
-- Of two files of one student and lesson, the last by its name stands.
CREATE VIEW IF NOT EXISTS standing AS SELECT MAX(file) AS file, student, lesson FROM files
  WHERE digest != '' GROUP BY student, lesson;
CREATE VIEW IF NOT EXISTS answers AS SELECT * FROM standing JOIN handed_in USING (file);
"""
# No answer of the course needs these modules, built-in names and attributes.
_MODULES = {
    *("os", "sys", "subprocess", "socket", "ctypes", "gc", "inspect", "importlib", "builtins", "pathlib", "shutil"),
    *("signal", "threading", "multiprocessing", "pickle", "urllib", "requests", "http", "asyncio", "mmap", "resource"),
}
_NAMES = {"open", "eval", "exec", "compile", "__import__", "globals", "__builtins__"}
_ATTRIBUTES = {"__builtins__", "__globals__", "__subclasses__", "__code__", "_getframe", "f_back", "f_globals"}


class Gradebook:
    """The answers and verdicts of one class.

    Args:
      folder: of the report, which holds the file.
      version: of the course; files that another version read are read again.
    """

    def __init__(self, folder: Path, version: str):
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "grades.sqlite")
        self._db.executescript(_TABLES)
        self._number = zlib.crc32(version.encode()) >> 1

    def digests(self) -> dict[str, str]:
        """Return {file: digest} of the files that this version of the course has read."""
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version != self._number:
            return {}
        return dict(self._db.execute("SELECT file, digest FROM files WHERE digest != ''"))

    def take_in(self, submissions: Iterable[Submission | Damage | Unchanged], key_of: Callable[[Answer], str]) -> None:
        """Store submissions in place of earlier ones; existing verdicts stay."""
        files = set()
        with self._db as db:
            for item in submissions:
                file = _text(item.file)
                files.add(file)
                if isinstance(item, Unchanged):
                    continue
                self._forget(file)
                if isinstance(item, Damage):
                    db.execute("INSERT INTO files VALUES (?, ?, '', '', ?)", (file, item.student, item.sentence))
                    continue
                db.execute("INSERT INTO files VALUES (?, ?, ?, ?, '')", (file, item.student, item.lesson, item.digest))
                for question, text in item.free_text.items():
                    db.execute("INSERT OR REPLACE INTO texts VALUES (?, ?, ?)", (file, question, _text(text)))
                for id, answer in item.answers.items():
                    record = json.dumps({"cell": _text(answer.cell), "note": answer.note, "answer": _plain(answer)})
                    row = (file, id, key_of(answer), record, _shape(answer))
                    db.execute("INSERT INTO handed_in VALUES (?, ?, ?, ?, ?)", row)
            for (file,) in db.execute("SELECT file FROM files").fetchall():
                if file not in files:
                    self._forget(file)
            db.execute(f"PRAGMA user_version = {self._number}")

    def _forget(self, file: str) -> None:
        for table in ("files", "handed_in", "texts"):
            self._db.execute(f"DELETE FROM {table} WHERE file = ?", (file,))

    _OPEN = "FROM answers WHERE key NOT IN (SELECT key FROM verdicts)"

    def count_open(self) -> int:
        return self._db.execute(f"SELECT COUNT(DISTINCT key) {self._OPEN}").fetchone()[0]

    def open_exercises(self) -> list[str]:
        ids = {row[0] for row in self._db.execute(f"SELECT DISTINCT exercise {self._OPEN}")}
        return [id for id in EXERCISES if id in ids]

    def open_answers(self) -> Iterator[tuple[str, Answer]]:
        """Yield (key, answer) of answers without a verdict, each key once."""
        keys = [row[0] for row in self._db.execute(f"SELECT DISTINCT key {self._OPEN}")]
        for key in keys:
            (record,) = self._db.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
            answer = json.loads(record)["answer"]
            yield key, Answer(**answer | {"given": tuple(map(tuple, answer["given"]))})

    def add(self, key: str, verdict: dict[str, Any]) -> None:
        """Store a verdict at once; an existing one stays."""
        with self._db as db:
            db.execute("INSERT OR IGNORE INTO verdicts VALUES (?, ?)", (key, json.dumps(verdict)))

    # -- reading -------------------------------------------------------------------------------------------------------

    def students(self) -> list[str]:
        """Return all students who handed in a file, readable or not."""
        rows = self._db.execute("SELECT DISTINCT student FROM files WHERE student != '' ORDER BY student")
        return [row[0] for row in rows]

    def exercises(self) -> list[str]:
        """Return the exercises of every lesson that anybody handed in."""
        lessons = {row[0] for row in self._db.execute("SELECT DISTINCT lesson FROM answers")}
        return [id for id, exercise in EXERCISES.items() if exercise.lesson in lessons]

    def of_student(self, student: str) -> dict[str, dict[str, Any]]:
        """Return {exercise: verdict, with "cell" and "note"} of a student."""
        rows = self._db.execute(
            "SELECT exercise, answer, verdict FROM answers JOIN verdicts USING (key) WHERE student = ?", (student,)
        )
        verdicts = {}
        for id, record, verdict in rows:
            record = json.loads(record)
            verdicts[id] = json.loads(verdict) | {"cell": record["cell"], "note": record["note"]}
        return verdicts

    def verdicts(self) -> dict[str, dict[str, Any]]:
        """Return every verdict by its key."""
        return {key: json.loads(text) for key, text in self._db.execute("SELECT key, verdict FROM verdicts")}

    def damaged_by_student(self) -> dict[str, list[tuple[str, str]]]:
        """Return {student, or "": (file, sentence)} of files that cannot be read, or that another file replaces."""
        rows = self._db.execute(
            "SELECT student, file, note FROM files WHERE note != '' UNION"
            " SELECT student, files.file, standing.file || ' stands, of the same student and lesson.'"
            " FROM files JOIN standing USING (student, lesson) WHERE digest != '' AND files.file != standing.file"
        )
        files = defaultdict(list)
        for student, file, note in sorted(rows):
            files[student].append((file, note))
        return files

    def damaged(self) -> list[tuple[str, str]]:
        """Return (file, sentence) of all such files, sorted."""
        return sorted(sum(self.damaged_by_student().values(), []))

    def texts(self) -> list[tuple[str, str, str, str]]:
        """Return (student, lesson, question, text) of the free-text answers."""
        return self._db.execute(
            "SELECT student, lesson, question, text FROM texts JOIN standing USING (file)"
            " ORDER BY lesson, question, student"
        ).fetchall()

    def alike(self) -> Iterator[tuple[str, list[str]]]:
        """Yield (exercise, students) of answers that are equal up to names, comments and layout.

        Only if two to four students share one: many students write the same right answer of three lines.
        """
        rows = self._db.execute(
            "SELECT exercise, json_group_array(student) FROM answers WHERE shape != '' GROUP BY exercise, shape"
            " HAVING COUNT(*) BETWEEN 2 AND 4"
        )
        for exercise, students in rows:
            yield exercise, sorted(json.loads(students))

    def reaching(self) -> Iterator[tuple[str, str, list[str]]]:
        """Yield (student, exercise, names) of answers that use names that no answer needs."""
        for student, exercise, record in self._db.execute("SELECT student, exercise, answer FROM answers"):
            if odd := _reaches(json.loads(record)["answer"]["source"]):
                yield student, exercise, odd


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # lone surrogates cannot be written to a file


def _plain(answer: Answer) -> dict[str, Any]:
    fields = {name: getattr(answer, name) for name in ("exercise", "given", "problem")}
    return fields | {"source": _text(answer.source)}


def _reaches(source: str) -> list[str]:
    names = set()
    for node in _nodes(source):
        if isinstance(node, ast.Name):
            names |= {node.id} & _NAMES
        elif isinstance(node, ast.Attribute):
            names |= {node.attr} & _ATTRIBUTES
        elif isinstance(node, ast.Import | ast.ImportFrom):
            modules = [getattr(node, "module", "") or "", *(alias.name for alias in node.names)]
            names |= {module.split(".")[0] for module in modules} & _MODULES
    return sorted(names)


def _nodes(source: str) -> list[ast.AST]:
    try:
        return list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _shape(answer: Answer) -> str:
    """Return a digest of an answer without its names, comments and layout; "" if it is too short for a comparison."""
    nodes = _nodes(answer.source)
    if len(nodes) < 60:
        return ""
    kinds = [type(node).__name__ for node in nodes]
    values = [repr(node.value) for node in nodes if isinstance(node, ast.Constant) and not isinstance(node.value, str)]
    called = [node.attr for node in nodes if isinstance(node, ast.Attribute)]
    return hashlib.sha256(repr((kinds, values, called)).encode()).hexdigest()
