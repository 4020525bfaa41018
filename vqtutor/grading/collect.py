"""From a folder or a zip of notebooks to answers: whose they are, where they stand, and what they lean on.

Nothing is run, unpacked or followed here. An answer is cut out with just the helpers and imports that it uses, so that
it runs by itself, whatever else its notebook does.
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
MAX_CELL = 500_000  # characters; a longer cell is no answer
# What learning-management systems put around a name: Canvas's ids and LATE, Moodle's number and folder, resubmissions.
_AROUND = re.compile(r"_(LATE|\d{3,}|assignsubmission_file)(?=_|$)")
_LESSONS = {f"{lesson.number:02d}": lesson.slug for lesson in LESSONS}


@dataclass(frozen=True)
class Answer:
    """One answer, ready to be run by itself.

    Attributes:
      exercise: the id.
      source: Python that defines it; "" where there is none.
      cell: what the student wrote, as it stands in the notebook.
      given: (name, id) of earlier exercises whose references stand in.
      problem: why it cannot be run, in a sentence; else "".
      note: what an instructor may want to know of where it was found.
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
    """A file that was read before, and holds what it held then."""

    file: str


@dataclass(frozen=True)
class Damage:
    """A file that is no notebook of the course, why, in a sentence, and whose it is, if it was to be one."""

    file: str
    sentence: str
    student: str = ""


def collect(place: Path, known: Mapping[str, str] | None = None) -> Iterator[Submission | Damage | Unchanged]:
    """Yield every submission below a folder or in a zip, in the order of their names, and what could not be read.

    Args:
      place: holds `student/01_quantizer.ipynb`, `student_01_quantizer.ipynb`, or zips of either.
      known: {file: digest} of what was read before.
    """
    for number, (name, data) in enumerate(_files(place)):
        if number >= MAX_FILES:
            yield Damage(name, f"There are over {MAX_FILES:,} files; the rest was left out.")
            return
        if isinstance(data, Damage):
            yield data
        elif name.lower().endswith(".ipynb"):
            digest = hashlib.sha256(data).hexdigest()
            yield Unchanged(name) if (known or {}).get(name) == digest else _submission(name, data, digest)
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
    """Yield what a zip holds. It is read in memory, member by member: no path in it is ever used as one.

    Its name may be the student's, so it stands for a folder; "" is the zip that holds everything.
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
                        data = member.read(MAX_NOTEBOOK + 1)  # what a zip says of its sizes is not to be trusted
                    late = Damage(inner, f"It is over {MAX_NOTEBOOK >> 20} MB and was not read.")
                    yield inner, data if len(data) <= MAX_NOTEBOOK else late
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        name = name or file.name
        yield name, Damage(name, f"The zip cannot be read ({error}).")


def _submission(name: str, data: bytes, digest: str) -> Submission | Damage:
    import nbformat

    student, lesson = _whose(name)
    logging.getLogger("traitlets").setLevel(logging.CRITICAL)  # says of old notebooks what does not matter here
    try:
        cells = nbformat.reads(data.decode("utf-8-sig"), as_version=4).cells
        cells = [
            (cell.cell_type, str(cell.source), dict(cell.metadata.get("vqtutor", {})), str(cell.get("id", i)))
            for i, cell in enumerate(cells)
        ]
    except Exception as error:  # nbformat has many ways to say that something is no notebook
        return Damage(name, f"It cannot be read as a notebook ({type(error).__name__}).", student)
    code = [Cell(source, said) for kind, source, said, _ in cells if kind == "code" and len(source) <= MAX_CELL]
    lesson = lesson or _lesson(code)
    if lesson is None:
        return Damage(name, "It has no answer to any exercise of the course.", student)
    answers = {id: _find(code, exercise) for id, exercise in EXERCISES.items() if exercise.lesson == lesson}
    texts = {said.get("question", id): source for _, source, said, id in cells if said.get("role") == "free_text"}
    return Submission(student, name, lesson, answers, texts, digest)


def _whose(name: str) -> tuple[str, str | None]:
    """Return (student, lesson or None), as the path of a file tells them."""
    path = PurePosixPath(unicodedata.normalize("NFC", name))
    stem = path.stem
    found = re.search(r"(?:^|[_\- ])(0\d)_[a-z_]+(?:[-_ ]?\(?\d+\)?)?$", stem)
    lesson = _LESSONS.get(found[1]) if found else None
    before = stem[: found.start()] if found else ""
    label = before or path.parent.name or stem
    return (_AROUND.sub("", label).strip(" _-") or "unnamed"), lesson


def _lesson(code: list[Cell]) -> str | None:
    """Return the lesson that most of a notebook's answers belong to, for a file whose name does not tell."""
    count = dict.fromkeys(_LESSONS.values(), 0)
    for exercise in EXERCISES.values():
        count[exercise.lesson] += any(
            cell.said.get("exercise") == exercise.id or cell.defines(exercise.name) for cell in code
        )
    best = max(count, key=count.get)
    return best if count[best] else None


def _find(code: list[Cell], exercise: Exercise) -> Answer:
    """Return an exercise's answer: by the cell's metadata, or by the name it defines where that was lost."""
    marked = [c for c in code if c.said.get("exercise") == exercise.id and c.said.get("role") == "answer"]
    found = [cell for cell in marked if cell.defines(exercise.name)]
    found = found or [cell for cell in code if cell.defines(exercise.name)]
    if not found:
        if marked and marked[-1].text.strip():
            problem = f"The cell is there, but it does not define {exercise.name}."
            if marked[-1].error:
                problem = f"Python cannot read the cell: {marked[-1].error}"
            return Answer(exercise.id, cell=marked[-1].text, problem=problem)
        return Answer(exercise.id)
    written = [cell for cell in found if not cell.is_open(exercise.name)]
    cell = (written or found)[-1]
    note = "" if marked else "found by its name: the cell's metadata is lost"
    if len(written) > 1:
        note = f"{len(written)} cells define {exercise.name}; the last one was graded"
    if cell.error:
        return Answer(exercise.id, cell=cell.text, problem=f"Python cannot read the cell: {cell.error}", note=note)
    source, given = _cut(code, cell, exercise)
    return Answer(exercise.id, source, cell.text, given, note=note)


def _cut(code: list[Cell], cell: Cell, exercise: Exercise) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return (an answer's source with the helpers that it uses, which earlier exercises it builds on)."""
    earlier = earlier_exercises(exercise.id)
    source, needed = cut(code, cell, exercise.name, earlier_blanks(exercise.id))
    given = {name: id or earlier.get(name) for name, id in needed.items()}
    return source, tuple(sorted((name, id) for name, id in given.items() if id in earlier.values()))
