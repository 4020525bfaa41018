"""Collect answers from a folder or a zip of notebooks: their students, exercises and sources.

Nothing is run, no zip is unpacked to disk and no link is followed. An answer is cut out with the helpers and imports
that it uses, so that it runs by itself.
"""

import hashlib
import io
import logging
import re
import stat
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vqtutor.checking import Exercise
from vqtutor.lessons import EXERCISES, LESSONS, earlier_blanks, earlier_exercises
from vqtutor.source import Cell, cut

MAX_NOTEBOOK = 64 << 20  # bytes; a lesson with all its pictures is under 2 MB
MAX_FILES = 20_000
MAX_CELL = 500_000  # characters; longer cells are ignored
# Added to names by learning-management systems: Canvas's ids and LATE, Moodle's number and folder, resubmissions.
_AROUND = re.compile(r"_(LATE|\d{3,}|assignsubmission_file)(?=_|$)")
_LESSONS = {f"{lesson.number:02d}": lesson.slug for lesson in LESSONS}


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
    """

    exercise: str
    source: str = ""
    cell: str = ""
    given: tuple[tuple[str, str], ...] = ()
    problem: str = ""
    note: str = ""


@dataclass(frozen=True)
class Submission:
    """One notebook of one student."""

    student: str
    file: str
    lesson: str
    answers: dict[str, Answer]
    free_text: dict[str, str]
    digest: str


@dataclass(frozen=True)
class Unchanged:
    """A file that has not changed since it was read."""

    file: str


@dataclass(frozen=True)
class Damage:
    """A file that cannot be graded: the reason, in a sentence, and its student, if it is a notebook."""

    file: str
    sentence: str
    student: str = ""


def collect(place: Path, digests: Mapping[str, str] | None = None) -> Iterator[Submission | Damage | Unchanged]:
    """Yield the submissions below a folder or in a zip, in the order of their names, and files that cannot be read.

    Args:
      place: holds `student/01_quantizer.ipynb`, `student_01_quantizer.ipynb`, or zips of either.
      digests: {file: digest} of files that were read before.
    """
    for number, (name, data) in enumerate(_files(place)):
        if number >= MAX_FILES:
            yield Damage(name, f"There are over {MAX_FILES:,} files; the rest was left out.")
            return
        if isinstance(data, Damage):
            yield data
        elif name.lower().endswith(".ipynb"):
            digest = hashlib.sha256(data).hexdigest()
            yield Unchanged(name) if (digests or {}).get(name) == digest else _submission(name, data, digest)
        elif PurePosixPath(name).name[0] != "." and "__MACOSX" not in name:
            yield Damage(name, "It is not a notebook (.ipynb).")


def _files(place: Path) -> Iterator[tuple[str, bytes | Damage]]:
    if not place.exists():
        raise FileNotFoundError(f"There is nothing at {place}: name a folder of notebooks, or a zip.")
    if place.is_file():
        yield from _zipped("", place) if zipfile.is_zipfile(place) else [(place.name, place.read_bytes())]
        return
    for path in sorted(place.rglob("*")):
        name = path.relative_to(place).as_posix()
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode) or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            yield name, Damage(name, "It is a link or a device, not a file, and was not opened.")
        elif stat.S_ISREG(mode) and ".ipynb_checkpoints" not in path.parts:
            if path.suffix.lower() == ".zip":
                yield from _zipped(name, path)
            elif path.stat().st_size > MAX_NOTEBOOK:
                yield name, Damage(name, f"It is over {MAX_NOTEBOOK >> 20} MB and was not read.")
            else:
                yield name, path.read_bytes()


def _zipped(name: str, file: Path | io.BytesIO) -> Iterator[tuple[str, bytes | Damage]]:
    """Yield (name, contents) of a zip's members, which are read into memory; no path in it is used on disk.

    Args:
      name: of the zip, which counts as a folder with that name, because it may be the student's; "" for the zip that
        holds everything.
      file: the zip.
    """
    prefix = PurePosixPath(name).with_suffix("").as_posix() + "/" if name else ""
    try:
        with zipfile.ZipFile(file) as archive:
            for info in sorted(archive.infolist(), key=lambda info: info.filename):
                inner = prefix + info.filename
                if info.is_dir() or ".ipynb_checkpoints" in inner:
                    continue
                if stat.S_ISLNK(info.external_attr >> 16):
                    yield inner, Damage(inner, "It is a link, not a file, and was not opened.")
                elif ".." in PurePosixPath(inner).parts or inner.startswith(("/", "\\")) or "\\.." in inner:
                    yield inner, Damage(inner, "Its name leads out of the zip; it was not opened.")
                elif inner.lower().endswith(".zip") and isinstance(file, Path) and info.file_size <= 4 * MAX_NOTEBOOK:
                    yield from _zipped(inner, io.BytesIO(archive.read(info)))
                else:
                    with archive.open(info) as member:
                        data = member.read(MAX_NOTEBOOK + 1)  # the sizes in a zip's headers are not trusted
                    late = Damage(inner, f"It is over {MAX_NOTEBOOK >> 20} MB and was not read.")
                    yield inner, data if len(data) <= MAX_NOTEBOOK else late
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        name = name or file.name
        yield name, Damage(name, f"The zip cannot be read ({error}).")


def _submission(name: str, data: bytes, digest: str) -> Submission | Damage:
    import nbformat

    student, lesson = _whose(name)
    logging.getLogger("traitlets").setLevel(logging.CRITICAL)  # it warns about old notebooks
    try:
        cells = nbformat.reads(data.decode("utf-8-sig"), as_version=4).cells
        cells = [
            (cell.cell_type, str(cell.source), dict(cell.metadata.get("vqtutor", {})), str(cell.get("id", i)))
            for i, cell in enumerate(cells)
        ]
    except Exception as error:  # nbformat raises many types
        return Damage(name, f"It cannot be read as a notebook ({type(error).__name__}).", student)
    code = [Cell(source, metadata) for kind, source, metadata, _ in cells if kind == "code" and len(source) <= MAX_CELL]
    lesson = lesson or _lesson(code)
    if lesson is None:
        return Damage(name, "It has no answer to any exercise of the course.", student)
    answers = {id: _find(code, exercise) for id, exercise in EXERCISES.items() if exercise.lesson == lesson}
    texts = {
        metadata.get("question", id): source for _, source, metadata, id in cells if metadata.get("role") == "free_text"
    }
    return Submission(student, name, lesson, answers, texts, digest)


def _whose(name: str) -> tuple[str, str | None]:
    """Return (student, lesson or None) from a file's path."""
    path = PurePosixPath(unicodedata.normalize("NFC", name))
    stem = path.stem
    match = re.search(r"(?:^|[_\- ])(0\d)_[a-z_]+(?:[-_ ]?\(?\d+\)?)?$", stem)
    lesson = _LESSONS.get(match[1]) if match else None
    before = stem[: match.start()] if match else ""
    label = before or path.parent.name or stem
    return (_AROUND.sub("", label).strip(" _-") or "unnamed"), lesson


def _lesson(code: list[Cell]) -> str | None:
    """Return the lesson that most of a notebook's answers belong to; used when the file's name has none."""
    count = dict.fromkeys(_LESSONS.values(), 0)
    for exercise in EXERCISES.values():
        count[exercise.lesson] += any(
            cell.metadata.get("exercise") == exercise.id or cell.defines(exercise.name) for cell in code
        )
    best = max(count, key=count.get)
    return best if count[best] else None


def _find(code: list[Cell], exercise: Exercise) -> Answer:
    """Return an exercise's answer: from the cell with its metadata, else from a cell that defines its name."""
    cells = [c for c in code if c.metadata.get("exercise") == exercise.id and c.metadata.get("role") == "answer"]
    definitions = [cell for cell in cells if cell.defines(exercise.name)]
    definitions = definitions or [cell for cell in code if cell.defines(exercise.name)]
    if not definitions:
        if cells and cells[-1].text.strip():
            problem = f"The cell is there, but it does not define {exercise.name}."
            if cells[-1].error:
                problem = f"Python cannot read the cell: {cells[-1].error}"
            return Answer(exercise.id, cell=cells[-1].text, problem=problem)
        return Answer(exercise.id)
    answers = [cell for cell in definitions if not cell.is_open(exercise.name)]
    cell = (answers or definitions)[-1]
    note = "" if cells else "found by its name: the cell's metadata is lost"
    if len(answers) > 1:
        note = f"{len(answers)} cells define {exercise.name}; the last one was graded"
    if cell.error:
        return Answer(exercise.id, cell=cell.text, problem=f"Python cannot read the cell: {cell.error}", note=note)
    source, given = _cut(code, cell, exercise)
    return Answer(exercise.id, source, cell.text, given, note=note)


def _cut(code: list[Cell], cell: Cell, exercise: Exercise) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return (an answer's source with the helpers that it uses, the earlier exercises that it uses)."""
    earlier = earlier_exercises(exercise.id)
    source, externals = cut(code, cell, exercise.name, earlier_blanks(exercise.id))
    given = {name: id or earlier.get(name) for name, id in externals.items()}
    return source, tuple(sorted((name, id) for name, id in given.items() if id in earlier.values()))
