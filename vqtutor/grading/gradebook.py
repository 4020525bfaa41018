"""Submissions and verdicts in one SQLite file, written one by one, so that a run that was killed can be continued."""

import ast
import hashlib
import json
import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vqtutor.grading.collect import Answer, Damage, Submission, Unchanged
from vqtutor.grading.owners import Roster, likeness, settle
from vqtutor.lessons import EXERCISES

_TABLES = """
CREATE TABLE IF NOT EXISTS verdicts (key TEXT PRIMARY KEY, verdict TEXT);
CREATE TABLE IF NOT EXISTS files (file TEXT PRIMARY KEY, name TEXT, mark TEXT, rank TEXT, lesson TEXT, digest TEXT,
  note TEXT, sentence TEXT, student TEXT);
CREATE TABLE IF NOT EXISTS students (student TEXT PRIMARY KEY, note TEXT);
CREATE TABLE IF NOT EXISTS handed_in (file TEXT, exercise TEXT, key TEXT, answer TEXT, shape TEXT,
  PRIMARY KEY (file, exercise));
CREATE TABLE IF NOT EXISTS texts (file TEXT, question TEXT, text TEXT, PRIMARY KEY (file, question));
CREATE TABLE IF NOT EXISTS marks (student TEXT, question TEXT, points REAL, remark TEXT, version TEXT,
  PRIMARY KEY (student, question));
CREATE TABLE IF NOT EXISTS memory (name TEXT PRIMARY KEY, value TEXT);
CREATE INDEX IF NOT EXISTS by_key ON handed_in (key);
CREATE INDEX IF NOT EXISTS by_name ON files (name, mark);
CREATE INDEX IF NOT EXISTS by_student ON files (student, lesson);
-- Of two files of one student and lesson, the newest stands: see owners.py for what tells.
CREATE VIEW IF NOT EXISTS standing AS SELECT file, student, lesson FROM (SELECT *, ROW_NUMBER() OVER
  (PARTITION BY student, lesson ORDER BY rank DESC, file DESC) AS place FROM files WHERE digest != '') WHERE place = 1;
CREATE VIEW IF NOT EXISTS answers AS SELECT * FROM standing JOIN handed_in USING (file);
"""
_DROP = """
DROP VIEW IF EXISTS answers; DROP VIEW IF EXISTS standing; DROP TABLE IF EXISTS files;
DELETE FROM handed_in; DELETE FROM texts;
"""
# No answer of the course needs these modules, built-in names and attributes.
_MODULES = {
    *("os", "sys", "subprocess", "socket", "ctypes", "gc", "inspect", "importlib", "builtins", "pathlib", "shutil"),
    *("signal", "threading", "multiprocessing", "pickle", "urllib", "requests", "http", "asyncio", "mmap", "resource"),
}
_NAMES = {"open", "eval", "exec", "compile", "__import__", "globals", "__builtins__"}
_ATTRIBUTES = {"__builtins__", "__globals__", "__subclasses__", "__code__", "_getframe", "f_back", "f_globals"}


@dataclass(frozen=True)
class Mark:
    """What an instructor gave for a free-text answer: points, or None; a remark; which version of the answer it was."""

    points: float | None
    remark: str
    version: str


class Gradebook:
    """The answers, verdicts and marks of one class.

    Args:
      folder: of the report, which holds the file.
      version: of the course; files that another version read are read again.
    Attributes:
      odd: (place, sentence) of what is odd about marks, see marks.py.
    """

    def __init__(self, folder: Path, version: str):
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "grades.sqlite")
        columns = [column for _, column, *_ in self._db.execute("PRAGMA table_info(files)")]
        if columns and "mark" not in columns:  # of an earlier version, whose verdicts stay
            self._db.executescript(_DROP)
        self._db.executescript(_TABLES)
        self._number = zlib.crc32(version.encode()) >> 1
        self.odd: list[tuple[str, str]] = []

    def digests(self) -> dict[str, str]:
        """Return {file: digest} of the files that this version of the course has read."""
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version != self._number:
            return {}
        return dict(self._db.execute("SELECT file, digest FROM files WHERE digest != ''"))

    def take_in(
        self,
        submissions: Iterable[Submission | Damage | Unchanged],
        key_of: Callable[[Answer], str],
        roster: Roster | None = None,
    ) -> None:
        """Store submissions in place of earlier ones; existing verdicts stay, except those that were left to hands."""
        files = set()
        with self._db as db:
            for item in submissions:
                file, about = item.file, (item.student, item.mark, item.order, item.note)
                files.add(file)
                if isinstance(item, Unchanged):
                    db.execute("UPDATE files SET name = ?, mark = ?, rank = ?, note = ? WHERE file = ?", (*about, file))
                    continue
                self._forget(file)
                lesson, digest = (item.lesson, item.digest) if isinstance(item, Submission) else ("", "")
                row = (file, *about[:3], lesson, digest, item.note, item.sentence)
                db.execute("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, '')", row)
                if isinstance(item, Damage):
                    continue
                for question, text in item.free_text.items():
                    db.execute("INSERT INTO texts VALUES (?, ?, ?)", (file, question, text))
                for id, answer in item.answers.items():
                    record = _dump({"cell": answer.cell, "note": answer.note, "answer": _plain(answer)})
                    row = (file, id, key_of(answer), record, _shape(answer))
                    db.execute("INSERT INTO handed_in VALUES (?, ?, ?, ?, ?)", row)
            for (file,) in db.execute("SELECT file FROM files").fetchall():
                if file not in files:
                    self._forget(file)
            self._settle(roster)
            db.execute("DELETE FROM verdicts WHERE json_extract(verdict, '$.outcome') = 'by hand'")
            db.execute(f"PRAGMA user_version = {self._number}")

    def _settle(self, roster: Roster | None) -> None:
        """Give every file its student, and note about students what an instructor should know."""
        rows = self._db.execute("SELECT DISTINCT name, mark, lesson FROM files WHERE name != ''").fetchall()
        students, notes = settle(rows), defaultdict(list)
        for (name, mark), student in students.items():
            self._db.execute("UPDATE files SET student = ? WHERE name = ? AND mark = ?", (student, name, mark))
            if student != name:
                notes[student].append(f"Several students are called {name}; each is counted alone.")
        self._db.execute("UPDATE files SET student = '' WHERE name = ''")
        alike = defaultdict(set)
        for name, _ in students:
            alike[likeness(name)].add(name)
        for (name, _), student in students.items():
            if others := sorted(alike[likeness(name)] - {name}):
                notes[student].append(f"This name looks like {', '.join(others)}; each is counted alone.")
            readable = self._db.execute("SELECT 1 FROM files WHERE student = ? AND digest != ''", (student,)).fetchone()
            if not readable:
                notes[student].append("Nothing that was handed in could be read.")
            if roster and name not in roster.students:
                notes[student].append("There is nobody of this name on the roster, or more than one.")
        for student in set(roster.students if roster else ()) - set(students.values()):
            notes[student].append("Nothing was handed in.")
        self._db.execute("DELETE FROM students")
        everybody = {student: " ".join(notes[student]) for student in {*students.values(), *notes}}
        self._db.executemany("INSERT INTO students VALUES (?, ?)", everybody.items())

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
            tuples = {name: tuple(map(tuple, answer[name])) for name in ("given", "others") if name in answer}
            yield key, Answer(**answer | tuples | {"unbound": tuple(answer.get("unbound", ()))})

    def add(self, key: str, verdict: dict[str, Any]) -> None:
        """Store a verdict at once; an existing one stays."""
        with self._db as db:
            db.execute("INSERT OR IGNORE INTO verdicts VALUES (?, ?)", (key, _dump(verdict)))

    def mark(self, student: str, question: str, mark: Mark | None) -> None:
        """Store a mark in place of an earlier one; None removes it."""
        with self._db as db:
            db.execute("DELETE FROM marks WHERE (student, question) = (?, ?)", (student, question))
            if mark:
                row = (student, question, mark.points, mark.remark, mark.version)
                db.execute("INSERT INTO marks VALUES (?, ?, ?, ?, ?)", row)

    def remember(self, name: str, value: str) -> None:
        with self._db as db:
            db.execute("INSERT OR REPLACE INTO memory VALUES (?, ?)", (name, value))

    def recall(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM memory WHERE name = ?", (name,)).fetchone()
        return row and row[0]

    # -- reading -------------------------------------------------------------------------------------------------------

    def students(self) -> list[str]:
        """Return all students who handed in a file, readable or not, and all others of the roster."""
        return [row[0] for row in self._db.execute("SELECT student FROM students ORDER BY student")]

    def absent(self) -> set[str]:
        """Return the students who handed in nothing at all."""
        there = {row[0] for row in self._db.execute("SELECT DISTINCT student FROM files")}
        return set(self.students()) - there

    def graded(self) -> set[str]:
        """Return the students who handed in a lesson that could be read."""
        return {row[0] for row in self._db.execute("SELECT DISTINCT student FROM standing")}

    def marks(self) -> dict[tuple[str, str], Mark]:
        """Return {(student, question): mark}."""
        rows = self._db.execute("SELECT student, question, points, remark, version FROM marks")
        return {(student, question): Mark(*mark) for student, question, *mark in rows}

    def exercises(self, bonus: bool = False) -> list[str]:
        """Return the exercises of every lesson that anybody handed in, or with `bonus` its puzzles."""
        lessons = {row[0] for row in self._db.execute("SELECT DISTINCT lesson FROM answers")}
        return [id for id, one in EXERCISES.items() if one.lesson in lessons and one.bonus == bonus]

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
        """Return {student, or "": (file, sentence)} of files that were not graded, or that somebody should look at."""
        rows = self._db.execute(
            "SELECT student, file, trim(sentence || ' ' || note) FROM files WHERE sentence || note != '' UNION"
            " SELECT student, files.file, 'Not graded: ' || standing.file || ' is a newer one, of the same lesson.'"
            " FROM files JOIN standing USING (student, lesson) WHERE digest != '' AND files.file != standing.file"
        )
        files = defaultdict(list)
        for student, file, note in sorted(rows):
            files[student].append((file, note))
        return files

    def damaged(self) -> list[tuple[str, str]]:
        """Return (where, sentence) of such files, and of students and marks of which there is something to say."""
        notes = self._db.execute("SELECT student, note FROM students WHERE note != '' ORDER BY student").fetchall()
        return [*notes, *self.odd, *sorted(sum(self.damaged_by_student().values(), []))]

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


def _dump(data: dict[str, Any]) -> str:
    """Return JSON that can be written as UTF-8 again after it was read."""
    return json.dumps(data, ensure_ascii=False).encode("utf-8", "replace").decode()


def _plain(answer: Answer) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in ("exercise", "given", "others", "problem", "source", "unbound")}


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
