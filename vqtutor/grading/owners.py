"""Whose file is this? From the names that learning-management systems, browsers and students give to files.

The outermost name decides: that of the folder or zip which the system made for a student, or of the file itself where
all lie side by side. Names further in are the student's own, and never make a file somebody else's.
"""

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vqtutor.lessons import LESSONS
from vqtutor.storage import whole

_SYSTEMS = [
    re.compile(r"(?P<who>.+?)_(?P<number>\d+)_assignsubmission_[a-z]+(_(?P<rest>.*))?"),  # Moodle
    re.compile(r"((?P<number>.+?))_attempt_(?P<order>\d{4}(-\d\d){5})(_(?P<rest>.*))?"),  # Blackboard
    re.compile(r"(?P<who>.+?)_(LATE_)?(?P<number>\d{3,})_(?P<order>\d{3,})_(?P<rest>.*)"),  # Canvas
]
_LESSON = re.compile(
    "(?<![^_ -])("
    + "|".join(lesson.notebook.replace("_", "[_ -]") for lesson in LESSONS)
    + r"|0\db?_[a-z_]+?(?=[- (\d.]|$))",
    re.IGNORECASE,
)
# What Colab and Google Drive add to the name of a copy, in some of their languages.
_COPY = re.compile(
    r"(?<![^_ -])(copy of|kopie van|kopie von|copie de|copia de|cópia de|kopia av|kopi a[fv])[ _]+"
    r"|\s*(のコピー|的副本|의 사본)",
    re.IGNORECASE,
)
_VERSION = re.compile(r"[-_ ]*(\((\d+)\)|[-_ ]copy *(\d*)|[-_ ]v?(\d{1,3}))$", re.IGNORECASE)


@dataclass(frozen=True)
class Name:
    """What the name of a file or folder says.

    Attributes:
      who: the student's name, as it is written there; "" where it has none.
      number: by which the system tells students of one name apart.
      lesson: its slug.
      order: a text by which later versions come after earlier ones.
      rest: what the student called the file, where a system put its own names in front.
    """

    who: str = ""
    number: str = ""
    lesson: str | None = None
    order: str = ""
    rest: str = ""


def read_name(text: str) -> Name:
    """Return what a name says, without its ending."""
    text = text[:300]  # names in a zip can have thousands of characters
    found = [match for system in _SYSTEMS if (match := system.fullmatch(text))]
    if found:  # the first mark is the system's: what follows it is the student's
        parts = min(found, key=lambda match: match.end("number")).groupdict()
        who = parts.get("who") or parts["number"].rpartition("_")[2]  # Blackboard's begins with the assignment
        inner = read_name(parts["rest"] or "")
        return Name(
            who, parts["number"], inner.lesson, f"{parts.get('order') or '':0>20} {inner.order}", parts["rest"] or ""
        )
    text, later = _COPY.subn("", re.sub(r'[“”"]|\.ipynb', "", text))
    if not (lesson := _LESSON.search(text)):
        return Name(order=f"{later:04d}")
    before, after = text[: lesson.start()].strip(" _-"), text[lesson.end() :]
    while version := _VERSION.search(after):
        later, after = later + int(next(filter(None, version.groups()[1:]), 1)), after[: version.start()]
    number = re.search(r"0\db?", lesson[0].casefold())[0]
    slug = next((lesson.slug for lesson in LESSONS if lesson.number == number), None)
    return Name(before or after.strip(" _-"), lesson=slug, order=f"{min(later, 9999):04d}")


def displayed(who: str) -> str:
    """Return a name as reports show it: one line, without what cannot be seen or turns the text around it."""
    text = unicodedata.normalize("NFC", whole(who))
    text = "".join(" " if unicodedata.category(c) == "Cc" else c for c in text)
    text = re.sub("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]", "", text)
    return " ".join(text.split())[:100] or "unnamed"


def likeness(name: str) -> str:
    """Return what two spellings of one name share: its letters and digits, without case."""
    text = unicodedata.normalize("NFKC", name).casefold()
    return "".join(c for c in text if unicodedata.category(c)[0] in "LNM") or text


@dataclass(frozen=True)
class Roster:
    """The students of a class: {name: every other name that a system may call them by}."""

    students: Mapping[str, tuple[str, ...]]
    _found: dict[str, set[str]] = field(default_factory=dict, init=False)

    def __post_init__(self):
        for student, others in self.students.items():
            words = student.replace(",", " ").split()
            turned = ("".join(words[i:] + words[:i]) for i in range(len(words)))  # Canvas writes doejane
            for name in (student, *turned, *others, *(other.partition("@")[0] for other in others)):
                self._found.setdefault(likeness(name), set()).add(student)

    def find(self, *names: str) -> str | None:
        """Return the one student whom the first of these names that anybody has belongs to; None where two share it."""
        for name in names:
            if len(students := self._found.get(likeness(name), ())) == 1:
                return next(iter(students))
        return None

    @classmethod
    def read(cls, file: Path) -> "Roster":
        """Read a CSV with a column `student`; all other columns hold other names: user names, numbers, addresses.

        Raises:
          ValueError: it cannot be used; the message says why.
        """
        try:
            text = file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"The roster {file} is not UTF-8: save it as CSV UTF-8.") from error
        except OSError as error:
            raise ValueError(f"The roster {file} cannot be read ({error.strerror}).") from error
        head = text.partition("\n")[0]
        separator = max(",;\t", key=head.count)
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
        except csv.Error as error:
            raise ValueError(f"The roster {file} is not a table of commas and quotes ({error}).") from error
        names = [name.strip().lower() for name in rows[0]] if rows else []
        if "student" not in names:
            raise ValueError(f"The roster {file} has no column `student`: name one so in its first line.")
        students, at = {}, names.index("student")
        for row in rows[1:]:
            row = [displayed(cell) if cell.strip() else "" for cell in row]
            if any(row) and not (row[at:] and row[at]):
                raise ValueError(f"The roster {file} has a line without a student: {', '.join(filter(None, row))}.")
            if any(row):
                others = tuple(cell for i, cell in enumerate(row) if cell and i != at)
                if row[at] in students:
                    raise ValueError(f"The roster {file} has two students called {row[at]}: add what tells them apart.")
                students[row[at]] = others
        if not students:
            raise ValueError(f"The roster {file} has no students below its first line.")
        return cls(students)


def settle(found: Iterable[tuple[str, str, str]]) -> dict[tuple[str, str], str]:
    """Return {(name, mark): the student's name in the report}, different for everybody whom a system tells apart.

    Students of one name keep it only where they cannot be two, because no lesson is there twice.

    Args:
      found: (name, mark, lesson) of every file; the mark is the system's number, or the name as it was written; the
        lesson is "" where the file cannot be read.
    """
    lessons: dict[str, dict[str, set[str]]] = {}
    for name, mark, lesson in sorted(found):
        lessons.setdefault(name, {}).setdefault(mark, set()).update({lesson} - {""})
    students, taken = {}, set(lessons)
    for name, marks in lessons.items():
        count = Counter(lesson for handed_in in marks.values() for lesson in handed_in)
        apart = len(marks) > 1 and (not all(marks.values()) or max(count.values()) > 1)
        for number, mark in enumerate(marks, start=1):
            student = name
            if apart:
                student = f"{name} ({mark if mark.isdigit() else number})"
                while student in taken:
                    student += "'"
                taken.add(student)
            students[name, mark] = student
    return students
