"""Collect answers from a folder or a zip of notebooks: their students, exercises and sources.

Nothing is run, no zip is unpacked to disk and no link is followed. An answer is cut out with the helpers and imports
that it uses, so that it runs by itself. Whatever is odd about a file costs that file, is named, and the rest goes on.
"""

import ast
import builtins
import hashlib
import io
import json
import re
import signal
import stat
import threading
import time
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from vqtutor.authoring import FREE_TEXT_HEADING, NO_TEXT
from vqtutor.checking import Exercise
from vqtutor.grading.owners import Name, Roster, displayed, likeness, read_name
from vqtutor.lessons import EXERCISES, FREE_TEXTS, LESSONS, earlier_blanks, earlier_exercises
from vqtutor.source import PREAMBLED, Cell, Statement, cut, makes_names
from vqtutor.storage import whole

MAX_NOTEBOOK = 32 << 20  # bytes; a lesson with all its pictures is under 2 MB
MAX_MARKS = 3_000_000  # brackets and commas of a notebook, which take up to 60 bytes each when it is read
MAX_CELL = 100_000  # characters of code; longer cells are ignored
MAX_CODE = 400_000  # characters of code in all; a lesson has 20,000
MAX_TEXT = 20_000  # characters of a free-text answer; spreadsheets take 32,767
STUBS = (NO_TEXT, "YOUR ANSWER HERE")  # ours and nbgrader's, where nothing was written
MAX_SECONDS = 20  # of processor time for a notebook; a whole lesson takes a tenth
# What is read of one student: files, bytes, seconds of processor time, files of one zip, and zips in zips.
MAX_FILES, MAX_BYTES, MAX_READING, MAX_ZIPPED, MAX_DEPTH = 300, 256 << 20, 60, 50_000, 3


@dataclass(frozen=True)
class Answer:
    """One answer, with all that it needs to run.

    Attributes:
      exercise: the id.
      source: Python that defines it; "" where there is none.
      cell: the text of the student's cell.
      given: (name, id) of earlier exercises whose references are used under these names.
      problem: why it cannot be run, in a sentence; else "".
      note: a remark for instructors on the cell that was chosen.
      unbound: names that it uses, and nothing in its notebook can define.
      others: (source, given, whether only an error is a reason) to run when it does not pass, on other earlier answers.
    """

    exercise: str
    source: str = ""
    cell: str = ""
    given: tuple[tuple[str, str], ...] = ()
    problem: str = ""
    note: str = ""
    unbound: tuple[str, ...] = ()
    others: tuple[tuple[str, tuple[tuple[str, str], ...], bool], ...] = ()


@dataclass(frozen=True)
class File:
    """A file that was handed in.

    Attributes:
      file: its name, below the folder or zip that holds the class.
      student: the name of whoever handed it in; "" where nobody can be told.
      mark: what tells apart students of one name.
      order: of two files of one student and lesson, the one with the later text stands.
      note: what an instructor should know about whose it is, in sentences.
    """

    file: str
    student: str = ""
    mark: str = ""
    order: str = ""
    note: str = ""


@dataclass(frozen=True)
class Submission(File):
    """One notebook of one student."""

    lesson: str = ""
    answers: Mapping[str, Answer] = field(default_factory=dict)
    free_text: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""
    sentence: str = ""  # on what is in it


@dataclass(frozen=True)
class Unchanged(File):
    """A file that has not changed since it was read."""


@dataclass(frozen=True)
class Damage(File):
    """A file that cannot be graded; `sentence` says why."""

    sentence: str = ""


class _Late(BaseException):
    """Reading took too long. No `except Exception` on the way stops it."""


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise _Late when the block has used so much processor time; there is no clock except in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    rung = []

    def ring(*_):
        rung.append(True)
        raise _Late

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds, 1)  # again and again: what a finalizer raises is lost
    try:
        yield
    except Exception as error:  # code in C can make another error of it
        if rung:
            raise _Late from error
        raise
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


# -- what lies there ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Entry:
    """A file or a folder as it lies there.

    Attributes:
      file: its whole name.
      parts: of its name; without those that hold everybody's files.
      time: when it was written, as a text.
      read: returns its first so many bytes; None for a folder.
      problem: why it is not opened.
      path: of a file on disk.
    """

    file: str
    parts: tuple[str, ...]
    time: str = ""
    read: Callable[[int], bytes] | None = None
    problem: str = ""
    path: Path | None = None

    @property
    def kind(self) -> str:
        return "" if self.read is None or self.problem else PurePosixPath(self.parts[-1]).suffix.lower()

    @property
    def is_junk(self) -> bool:
        """Whether a system or an editor left it. What ends like a notebook or a zip is none, hidden or not."""
        name = self.parts[-1]
        hidden = any(part[:1] == "." for part in self.parts) and self.kind not in (".ipynb", ".zip")
        left = name.startswith("._") or {"__MACOSX", ".ipynb_checkpoints"} & set(self.parts)
        return not self.problem and bool(hidden or left)


def _bytes(file: BinaryIO, most: int) -> bytes:
    with file:
        return file.read(most)


def _on_disk(place: Path) -> Iterator[_Entry]:
    for path in sorted(place.rglob("*")):
        name, about = str(path.relative_to(place)), path.lstat()
        # With fractions of a second: files that were written one after another are told apart.
        when = time.strftime("%Y%m%d%H%M%S", time.localtime(about.st_mtime)) + f"{about.st_mtime_ns % 10**9:09d}"
        read, problem = (lambda most, path=path: _bytes(path.open("rb"), most)), ""
        if stat.S_ISDIR(about.st_mode):
            read = None
        elif not stat.S_ISREG(about.st_mode):
            problem = "It is a link or a device, not a file, and was not opened."
        yield _Entry(name, PurePosixPath(name).parts, when, read, problem, path)


def _in_zip(file: Path | BinaryIO, zip: _Entry | None = None) -> list[_Entry]:
    """Return what is in a zip, which itself lies in `zip`; no path in it is used on disk."""
    archive, entries = zipfile.ZipFile(file), []
    for info in archive.infolist():
        name = info.filename.replace("\\", "/")  # as some zips from Windows have it
        parts, problem = tuple(part for part in name.split("/") if part not in ("", ".")), ""
        if stat.S_ISLNK(info.external_attr >> 16):
            problem = "It is a link, not a file, and was not opened."
        elif ".." in parts or name.startswith("/"):
            problem = "Its name leads out of the zip; it was not opened."
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others can take gigabytes
            problem = "It is packed in a way that is not read here."
        read = None if info.is_dir() else lambda most, info=info: _bytes(archive.open(info), most)
        when = "".join(f"{part:02d}" for part in info.date_time)
        parts, name = parts or ("unnamed",), info.filename
        if zip:
            parts, name = zip.parts + parts, f"{zip.file}/{name}"
        entries.append(_Entry(name, parts, when, read, problem))
    return sorted((one for one in entries if not one.is_junk), key=lambda one: one.file)


def _entries(place: Path) -> list[_Entry]:
    """Return all files and folders of a class; what holds everybody's is opened and left out of their `parts`."""
    if not place.exists():
        raise FileNotFoundError(f"There is nothing at {place}: name a folder of notebooks, or a zip.")
    if place.is_dir():
        entries = [one for one in _on_disk(place) if not one.is_junk]
    else:
        entries = [_Entry(place.name, (place.name,), read=lambda most: _bytes(place.open("rb"), most))]
        with suppress(Exception):  # then it is named like any file that cannot be read
            entries = _in_zip(place)
    for _ in range(MAX_DEPTH):
        holders, inner = _holders(entries), []
        for one in entries:
            if one.parts[0] not in holders:
                inner.append(one)
            elif len(one.parts) > 1:
                inner.append(replace(one, parts=one.parts[1:]))
            elif one.kind == ".zip":
                inner += [replace(other, parts=other.parts[1:]) for other in _opened(one)]
        entries = inner
    return sorted(entries, key=lambda one: one.file)


def _opened(entry: _Entry) -> list[_Entry]:
    """Return what is in a zip, or nothing where it cannot be read."""
    with suppress(Exception):
        return _in_zip(entry.path or io.BytesIO(entry.read(MAX_BYTES)), entry)
    return []


def _holders(entries: list[_Entry]) -> set[str]:
    """Return the outermost folders and zips that are nobody's: all, if all are called like lessons, or the only one.

    The only one is nobody's if names of two students or more, and nothing without a name, are in it.
    """
    tops = {one.parts[0] for one in entries if len(one.parts) > 1 or one.kind in (".ipynb", ".zip")}
    inside = defaultdict(list)
    lessons = bool(tops) and all(map(_is_lesson, tops))
    if not lessons and len(tops) != 1:
        return set()
    for one in entries:
        top = one.parts[0]
        if len(one.parts) > 1:
            inside[top].append(replace(one, parts=one.parts[1:]))
        elif one.kind == ".zip":
            inside[top] += [replace(other, parts=other.parts[1:]) for other in _opened(one)]
    if lessons:
        return {top for top in inside if inside[top]}
    below = [one for ones in inside.values() for one in ones if one.kind in (".ipynb", ".zip")]
    alone = {one.parts[0] for one in below}
    while all(len(one.parts) > 1 for one in below) and (len(alone) == 1 or all(map(_is_lesson, alone))) and alone:
        below = [replace(one, parts=one.parts[1:]) for one in below]  # such as a zip with the course's folder in it
        alone = {one.parts[0] for one in below}
    names = {_owner(one).who for one in below}
    is_class = len(names) > 1 and "" not in names and not read_name(_stem(*tops)).who
    return tops if is_class else set()


def _is_lesson(part: str) -> bool:
    name = read_name(_stem(part))
    return name.lesson is not None and not name.who and not part.lower().endswith(".ipynb")


def _stem(part: str) -> str:
    return re.sub(r"\.(ipynb|zip)$", "", part, flags=re.IGNORECASE)


def _owner(entry: _Entry) -> Name:
    """Return whose a file is, by the outermost part of its name; `who` is "" where it does not say."""
    name = read_name(_stem(entry.parts[0]))
    alone = len(entry.parts) == 1 and entry.kind != ".zip" and entry.read is not None
    return name if name.who or alone else replace(name, who=_stem(entry.parts[0]))


# -- whose it is, and what is in it ------------------------------------------------------------------------------------


@dataclass
class _Share:
    """What may still be read of one student's files."""

    files: int = MAX_FILES
    bytes: int = MAX_BYTES
    seconds: float = MAX_READING


def _contents(entry: _Entry, share: _Share, depth: int = 0) -> Iterator[tuple[_Entry, bytes | str]]:
    """Yield (file, its bytes or why it was not read), also of files in a zip, until the student's share is used up."""
    if (entry.read is None and not entry.problem) or share.files < 0:
        return
    share.files -= 1
    if min(share.files, share.bytes, share.seconds) < 0:
        share.files = -1
        most = f"{MAX_FILES} files, {MAX_BYTES >> 20} MB or {MAX_READING} seconds of reading"
        yield entry, f"This file and what follows it were left out: there are more than {most} of one student."
        return
    try:
        if entry.problem:
            yield entry, entry.problem
        elif entry.kind == ".ipynb":
            data = entry.read(MAX_NOTEBOOK + 1)  # the sizes in a zip's headers are not trusted
            share.bytes -= len(data)
            yield entry, data if len(data) <= MAX_NOTEBOOK else f"It is over {MAX_NOTEBOOK >> 20} MB and was not read."
        elif entry.kind == ".zip" and depth < MAX_DEPTH:
            data = entry.read(MAX_BYTES + 1)
            share.bytes -= len(data)
            if len(data) > MAX_BYTES or data.count(b"PK\1\2") > MAX_ZIPPED:  # with which every file in it begins
                yield (
                    entry,
                    f"It is over {MAX_BYTES >> 20} MB or has over {MAX_ZIPPED:,} files, and was not opened.",
                )
                return
            inner = _in_zip(io.BytesIO(data), entry)
            if not any(one.read or one.problem for one in inner):
                yield entry, "There is nothing in it."
            for one in inner:
                yield from _contents(one, share, depth + 1)
        else:
            yield entry, "It is not a notebook (.ipynb)."
    except Exception as error:
        what = "The zip" if entry.kind == ".zip" else "It"
        yield entry, f"{what} cannot be read ({type(error).__name__}: {str(error)[:200]})."


def collect(
    place: Path, digests: Mapping[str, str] | None = None, roster: Roster | None = None
) -> Iterator[Submission | Damage | Unchanged]:
    """Yield the submissions below a folder or in a zip, in the order of their names, and files that cannot be read.

    Args:
      place: holds folders, zips or notebooks that are named after students, see owners.py.
      digests: {file: digest} of files that were read before.
      roster: of the class, which settles names.
    """
    entries = _entries(place)
    known = {likeness(displayed(name.who)): displayed(name.who) for one in entries if (name := _owner(one)).who}
    shares, taken, seen = defaultdict(_Share), set(), set()
    for entry in sorted(entries, key=lambda one: one.read is None):  # folders last: some have nothing in them
        about = _about(entry, known, roster)
        who = about.student, about.mark
        if entry.read is None and len(entry.parts) == 1 and who not in seen:
            yield Damage(**asdict(about), sentence="There is nothing in it.")
        for one, data in _contents(entry, shares[who]):
            seen.add(who)
            about = _about(one, known, roster)
            while about.file in taken:  # a zip can have two files of one name
                about = replace(about, file=about.file + " (again)")
            taken.add(about.file)
            start = time.process_time()
            yield _read(about, one, data, (digests or {}).get(about.file))
            shares[who].seconds -= time.process_time() - start


def _about(entry: _Entry, known: Mapping[str, str], roster: Roster | None) -> File:
    """Return whose a file is, and what is to be said about that."""
    owner, last = _owner(entry), read_name(_stem(entry.parts[-1]))
    who, words = owner.who, owner.number.split("_")
    if entry.kind == ".ipynb" and not who:
        who = _stem(entry.parts[0])
    elif not owner.number and len(entry.parts) == 1 and entry.kind not in (".ipynb", ".zip") and entry.read:
        who = ""  # something that lies about
    found = roster and who and roster.find(*("_".join(words[i:]) for i in range(len(words))), who)
    student, mark = found or (who and displayed(who)), found or whole(owner.number or who)
    note = "Its name does not say whose it is. " if who and not owner.who else ""
    names = [name for part in entry.parts[1:] for name in (read_name(_stem(part)).who, _stem(part))]
    for name in [read_name(_stem(owner.rest)).who, *names]:
        other = (roster and roster.find(name)) or known.get(likeness(displayed(name)))
        if name and other and likeness(other) != likeness(student):
            note += f"It is named for {other}, and counts for {student}, who handed it in. "
            break
    return File(whole(entry.file), student, mark, f"{owner.order} {last.order} {entry.time}", note.strip())


def _read(about: File, entry: _Entry, data: bytes | str, before: str | None) -> Submission | Damage | Unchanged:
    fields = asdict(about)
    if isinstance(data, str):
        return Damage(**fields, sentence=whole(data))
    digest = hashlib.sha256(data).hexdigest()
    if digest == before:
        return Unchanged(**fields)
    lesson = read_name(_stem(entry.parts[-1])).lesson or read_name(_stem(entry.parts[0])).lesson
    try:
        with _at_most(MAX_SECONDS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python's, on what is in the cells
            return _submission(fields, data, lesson, digest)
    except _Late:
        return Damage(**fields, sentence=f"Reading it took over {MAX_SECONDS} seconds; look at it by hand.")
    except Exception as error:
        return Damage(**fields, sentence=f"It cannot be read as a notebook ({type(error).__name__}).")


def _submission(fields: dict[str, str], data: bytes, lesson: str | None, digest: str) -> Submission | Damage:
    if sum(map(data.count, (b"[", b"{", b","))) > MAX_MARKS:
        return Damage(**fields, sentence=f"It has over {MAX_MARKS:,} brackets and commas, and was not read.")
    cells = list(_cells(json.loads(data)))
    short = [(is_code, text, about) for is_code, text, about in cells if len(text) <= MAX_CELL or not is_code]
    sentence = f"Cells of over {MAX_CELL:,} characters were left out." if len(short) < len(cells) else ""
    if sum(len(text) for is_code, text, _ in short if is_code) > MAX_CODE:
        return Damage(**fields, sentence=f"Its cells have over {MAX_CODE:,} characters of code; look at it by hand.")
    lesson, code, answers = _answers(short, lesson)
    if lesson is None:
        return Damage(**fields, sentence="It has no answer to any exercise of the course.")
    if unknown := sorted({_exercise(c.metadata) for c in code} - {"", *EXERCISES}):
        named = ", ".join(unknown[:20])[:500]
        sentence += f" It has answers to what this release does not have; those with a name of its are graded: {named}."
    free = _free_text(cells, lesson)
    return Submission(
        **fields, lesson=lesson, answers=answers, free_text=free, digest=digest, sentence=sentence.strip()
    )


def _answers(
    cells: list[tuple[bool, str, dict[str, str]]], lesson: str | None
) -> tuple[str | None, list[Cell], dict[str, Answer]]:
    """Return (the lesson's slug, a notebook's code cells, {exercise: its answer}) from its cells, see `_cells`."""
    code = [Cell(text, metadata) for is_code, text, metadata in cells if is_code]
    texts = [(text, metadata) for is_code, text, metadata in cells if not is_code and len(text) <= MAX_CELL]
    _name_what_is_checked(code)
    lesson = lesson or _lesson(code)
    return lesson, code, {id: _find(code, texts, one) for id, one in EXERCISES.items() if one.lesson == lesson}


def answers_in(data: bytes) -> tuple[str | None, list[Cell], dict[str, Answer]]:
    """Return (its lesson's slug or None, its code cells, {exercise: its answer}) of one notebook, which is trusted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Python's, on what is in the cells
        return _answers(list(_cells(json.loads(data))), None)


def _free_text(cells: list[tuple[bool, str, dict[str, str]]], lesson: str) -> dict[str, str]:
    """Return {question: answer} of a lesson's free-text questions, "" where nothing was written.

    An answer is in its cell, or in cells that were added below it. Where metadata are lost, or those of an older
    release, it is what stands below the heading.
    """
    ids = [id for id in FREE_TEXTS if id.startswith(f"{lesson}.")]
    answers: dict[str, list[str]] = {id: [] for id in ids}
    writing = None
    for is_code, text, about in cells:
        role, text = about.get("role", ""), text.strip()
        if role in ("free_text_header", "free_text") or text.startswith(FREE_TEXT_HEADING):
            one_line = " ".join(text.split())
            asked = [id for id in ids if FREE_TEXTS[id].asks in one_line]
            known = [id for id in (about.get("question"), *asked, writing) if id in answers]
            writing = next(iter(known), ids[0] if len(ids) == 1 else None)
            if role != "free_text":  # some write below the question, in its cell
                text = one_line.partition(FREE_TEXTS[asked[0]].asks)[2] if asked else ""
        elif role or re.match("##+ ", text):
            writing = None
        elif is_code:
            continue
        for stub in STUBS:
            text = text.replace(stub, "").strip()
        if writing and text and text not in answers[writing]:
            answers[writing].append(text)
    return {id: "\n\n".join(texts)[:MAX_TEXT] for id, texts in answers.items()}


def _cells(book: dict[str, Any]) -> Iterator[tuple[bool, str, dict[str, str]]]:
    """Yield (whether it is code, source, metadata under "vqtutor") of each cell, in any version of the format.

    Whatever is of another type than it should be counts as absent.
    """
    sheets = [book] if "cells" in book else book["worksheets"]
    for number, cell in enumerate(cell for sheet in sheets for cell in sheet["cells"] if isinstance(cell, dict)):
        source = cell.get("source", cell.get("input", ""))
        lines = source if isinstance(source, list) else [source]
        metadata = cell.get("metadata")
        metadata = metadata.get("vqtutor") if isinstance(metadata, dict) else None
        metadata = metadata if isinstance(metadata, dict) else {}
        yield (
            cell.get("cell_type") == "code",
            whole("".join(line for line in lines if isinstance(line, str))),
            {"id": str(number)} | {name: whole(value) for name, value in metadata.items() if isinstance(value, str)},
        )


def _lesson(code: list[Cell]) -> str | None:
    """Return the lesson that most of a notebook's answers belong to; used when the file's name has none."""
    count = dict.fromkeys((lesson.slug for lesson in LESSONS), 0)
    for exercise in EXERCISES.values():
        count[exercise.lesson] += any(
            cell.metadata.get("exercise") == exercise.id or cell.defines(exercise.name) for cell in code
        )
    best = max(count, key=count.get)
    return best if count[best] else None


def _exercise(metadata: Mapping[str, str]) -> str:
    return metadata.get("exercise", "") if metadata.get("role") == "answer" else ""


def _name_what_is_checked(code: list[Cell]) -> None:
    """Where a cell checks an answer under another name, as in `check("a.b", mine)`, add `b = mine` before it."""
    for cell in code:
        for at, (id, checked) in [(i, one.checks) for i, one in enumerate(cell.statements) if one.checks][::-1]:
            name = id.split(".")[-1]
            if id in EXERCISES and checked != name:
                cell.statements.insert(at, Statement(ast.parse(f"{name} = {checked}").body[0]))


def _find(code: list[Cell], texts: list[tuple[str, dict[str, str]]], exercise: Exercise) -> Answer:
    """Return an exercise's answer, from the last cell that counts when the notebook runs from top to bottom.

    That is the last one above its check that defines it. Where there is none: the last one with its metadata, then any,
    then a text cell, then one that Python cannot read. Blanks come last.
    """
    id, name = exercise.id, exercise.name
    mine = [cell for cell in code if _exercise(cell.metadata) == id]
    found = [cell for cell in code if cell.defines(name)]
    written = [cell for cell in found if not cell.error and not cell.is_open(name)]
    checks = [i for i, cell in enumerate(code) if any(one.checks and one.checks[0] == id for one in cell.statements)]
    checked = [cell for cell in code[: checks[-1] + 1] if cell in written] if checks else []
    damaged = [cell for cell in found if cell.error]
    ones = checked or [cell for cell in written if cell in mine] or written
    in_text = [] if ones else _in_text(texts, exercise)
    ones = ones or in_text or [cell for cell in damaged if cell in mine] or damaged
    ones = ones or [cell for cell in found if cell in mine] or found
    if not ones:
        if mine and mine[-1].text.strip():
            problem = f"The cell is there, but it does not define {name}."
            if mine[-1].error:
                problem = f"Python cannot read the cell: {mine[-1].error}"
            return Answer(id, cell=mine[-1].text, problem=problem)
        if lost := [text for text, metadata in texts if _exercise(metadata) == id and text.strip()]:
            problem = f"The answer's cell is a text cell, and no Python in it defines {name}: make it a code cell."
            return Answer(id, cell=lost[-1], problem=problem)
        return Answer(id)
    cell, note = ones[-1], "" if mine else "found by its name: the cell's metadata is lost"
    versions = [cell for cell in written if any(name not in one.updates for one in cell.defining(name))]
    if len(versions) > 1:
        note = f"{len(versions)} cells define {name}; the last one that counts was graded"
    if in_text:
        note = "found in a text cell, which does not run: make it a code cell"
    if cell.error:
        return Answer(id, cell=cell.text, problem=f"Python cannot read the cell: {cell.error}", note=note)
    # As in the student's own check, a name of an earlier lesson is replaced only if the answer fails otherwise; and the
    # student's own earlier answers can do more than they have to.
    (source, given, unbound), (*replaced, _), (*own, _) = (
        _cut(code, cell, exercise, blanks) for blanks in (earlier_blanks(id), earlier_exercises(id), ())
    )
    others = {tuple(replaced): False, tuple(own): True} if own != replaced else {tuple(own): False}
    others = tuple((*one, after) for one, after in others.items() if one != (source, given))
    unbound = () if makes_names(code) else unbound
    return Answer(id, source, cell.text, given, note=note, unbound=unbound, others=others)


def _in_text(texts: list[tuple[str, dict[str, str]]], exercise: Exercise) -> list[Cell]:
    """Return the text cells that are Python and define an answer."""
    mine = [text for text, metadata in texts if _exercise(metadata) == exercise.id]
    mine = mine or [text for text, _ in texts if re.search(rf"^(def|class) {exercise.name}\b", text, re.MULTILINE)]
    cells = [Cell(re.sub(r"^```.*$", "", text, flags=re.MULTILINE)) for text in mine]
    return [cell for cell in cells if cell.defining(exercise.name) and not cell.is_open(exercise.name)]


def _cut(
    code: list[Cell], cell: Cell, exercise: Exercise, blanks: Container[str]
) -> tuple[str, tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Return (an answer's source with the helpers that it uses, the earlier exercises that it uses, unbound names)."""
    earlier = earlier_exercises(exercise.id)
    source, externals = cut(code, cell, exercise.name, blanks)
    given = {name: id or earlier.get(name) for name, id in externals.items()}
    unbound = {name for name, id in given.items() if id is None} - {*dir(builtins), *PREAMBLED, "vqtutor"}
    found = sorted((name, id) for name, id in given.items() if id in earlier.values())
    return source, tuple(found), tuple(sorted(unbound))
