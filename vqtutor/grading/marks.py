"""Marks that an instructor types into free_text.csv: read, kept, and written back beside the answers.

The table is written anew in each run, and may be typed into, sorted, and saved by any spreadsheet in between. Its
column `version` says which answer and which mark a line showed, so that only what was typed counts, also where two
people mark copies. What cannot be counted stays in the table as it was typed, and is named.
"""

import codecs
import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import Any, TextIO

from vqtutor.grading.gradebook import Gradebook, Mark
from vqtutor.grading.owners import likeness
from vqtutor.lessons import FREE_TEXTS
from vqtutor.storage import whole_file

NAME = "free_text.csv"
COLUMNS = ["student", "lesson", "question", "text", "rubric", "points", "max_points", "remark", "attention", "version"]
_NEEDED = ("student", "question", "points")
_CHANGED = "This answer has changed since it was marked: look again, then change the mark, or empty this cell."
csv.field_size_limit(1 << 24)  # a remark can be as long as an answer

Key = tuple[str, str]  # student, question


def number(value: float | None) -> float | int | None:
    """Return points as they are shown: 2 rather than 2.0, and two decimals at most."""
    value = value and round(value, 2)
    return int(value) if value is not None and value == int(value) else value


def version_of(text: str) -> str:
    """Return six letters that tell texts apart; spreadsheets change digits, and leave letters as they are."""
    return "".join("abcdefghijklmnop"[int(digit, 16)] for digit in sha256(text.encode()).hexdigest()[:6])


def _base(mark: Mark | None) -> str:
    return version_of(f"{number(mark.points)} {mark.remark}" if mark else "None ")


def safe(text: str) -> str:
    """Return a text with a mark in front if a spreadsheet could read it as a formula."""
    # Some drop what comes first and cannot be seen, and some read signs of other widths.
    seen = unicodedata.normalize("NFKC", text).lstrip(
        " " + "".join(c for c in text if not c.isprintable() or c.isspace())
    )
    return f"'{text}" if seen[:1] in tuple("=+-@\u2212") or text[:1] in tuple("\t\r\n") else text


def _plain(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and safe(cell[1:]) == cell else cell


def writer(table: TextIO, separator: str = ",") -> Any:
    """Return a writer of a table, with texts in quotes: a `;` would end a cell where lists have it for a comma."""
    return csv.writer(table, quoting=csv.QUOTE_NONNUMERIC, delimiter=separator)


# -- reading -----------------------------------------------------------------------------------------------------------


@dataclass
class Sheet:
    """A table as somebody saved it.

    Attributes:
      columns: names in lower case; others than ours are kept.
      rows: with their numbers in a spreadsheet, none of them empty, and as long as `columns` or longer.
      separator: of cells.
      as_saved: what saving did to texts.
    """

    columns: list[str] = field(default_factory=COLUMNS.copy)
    rows: list[tuple[int, list[str]]] = field(default_factory=list)
    separator: str = ","
    as_saved: Callable[[str], str] = str

    def get(self, row: list[str], column: str) -> str:
        return _plain(row[self.columns.index(column)]).strip() if column in self.columns else ""

    def others(self, row: list[str]) -> tuple[str, ...]:
        return tuple(cell for name, cell in zip(self.columns, row, strict=False) if name not in COLUMNS)


def read(data: bytes) -> Sheet:
    """Return the table that a spreadsheet or an editor saved, with any of the usual separators and codes.

    Raises:
      ValueError: it is no such table; the message says why.
    """
    if data[:2] == b"PK":
        raise ValueError("It is a spreadsheet's own format: save it as CSV UTF-8.")
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    sheet = Sheet()
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:  # Windows' own code, which has no letters but those of western Europe
        text = data.decode("cp1252", "replace")
        sheet.as_saved = lambda text: text.encode("cp1252", "replace").decode("cp1252")
    skipped = re.match(r'"?sep=[^\r\n]*[\r\n]+', text, re.IGNORECASE)
    text = text[skipped.end() :] if skipped else text
    head = re.split(r"[\r\n]", text.lstrip(), maxsplit=1)[0]
    sheet.separator = max(",;\t", key=head.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=sheet.separator, strict=True))
    except csv.Error as error:
        raise ValueError(f"Its quotes or separators do not pair up ({error}).") from error
    numbered = [(n, row) for n, row in enumerate(rows, start=2 if skipped else 1) if any(cell.strip() for cell in row)]
    if not numbered:
        return sheet
    sheet.columns = [name.strip().lower() for name in numbered.pop(0)[1]]
    for name in COLUMNS:
        if sheet.columns.count(name) != 1 and (name in _NEEDED or name in sheet.columns):
            found = "two columns" if name in sheet.columns else "no column"
            raise ValueError(f"It has {found} called `{name}`.")
    for n, row in numbered:
        while len(row) > len(sheet.columns) and not row[-1].strip():
            row.pop()
        sheet.rows.append((n, row + [""] * (len(sheet.columns) - len(row))))
    return sheet


def _points(text: str, most: int) -> float | None:
    if not text:
        return None
    if not re.fullmatch(r"[-\u2212+]?\d+([.,]\d+)?", text):
        raise ValueError(f"\u201c{text[:60]}\u201d is not a number of points, such as 1 or 1.5.")
    points = float(text.replace(",", ".").replace("\u2212", "-"))
    if points < 0:
        raise ValueError(f"{text} is less than 0 points.")
    if points > most:
        raise ValueError(f"{text[:20]} is more than the {most} points of this question.")
    return points


def _finder(names: Iterable[str], as_saved: Callable[[str], str]) -> Callable[[str], str]:
    """Return a function that finds the one of these names that a cell means; a spreadsheet may have changed it."""
    spellings = (str, as_saved, likeness, lambda name: likeness(name).lstrip("0"))  # 0012 becomes 12
    tables = [defaultdict(set) for _ in spellings]
    for name in names:
        for table, spelling in zip(tables, spellings, strict=True):
            table[spelling(name)].add(name)

    def find(text: str) -> str:
        for table, spelling in zip(tables, spellings, strict=True):
            if len(found := table.get(spelling(text), ())) == 1:
                return next(iter(found))
        close = get_close_matches(text, list(names), 1, cutoff=0.6)
        raise KeyError(f" Is it {close[0]}?" if close else "")

    return find


# -- what counts -------------------------------------------------------------------------------------------------------


@dataclass
class _Merge:
    """What a table says, beside what was known.

    Attributes:
      typed: {key: the row that speaks for it}.
      left: rows that cannot be counted, as they were typed.
      attention: {key, or the row's number: what somebody should look at}.
      said: (place, sentence) of all that should be looked at.
    """

    sheet: Sheet
    typed: dict[Key, list[str]] = field(default_factory=dict)
    wrong: set[Key] = field(default_factory=set)
    left: list[tuple[int, list[str]]] = field(default_factory=list)
    attention: dict[Key | int, str] = field(default_factory=dict)
    said: list[tuple[str, str]] = field(default_factory=list)

    def say(self, where: Key | int | str, sentence: str, n: int | None = None, attention: bool = True) -> None:
        row = n if n is not None else where
        place = f"{NAME}, row {row}" if isinstance(row, int) else NAME
        place += f" ({', '.join(where)})" if isinstance(where, tuple) else ""
        self.said.append((place, sentence))
        if attention:
            self.attention[where] = " ".join(filter(None, (self.attention.get(where), sentence)))


def _merge(book: Gradebook, sheet: Sheet, texts: Mapping[Key, str]) -> _Merge:
    """Store what was typed since the table was written, and return what is to be said about it."""
    merge, stored = _Merge(sheet), book.marks()
    student_of, question_of = _finder(book.students(), sheet.as_saved), _finder(FREE_TEXTS, sheet.as_saved)
    found: dict[Key, list[tuple[int, list[str]]]] = defaultdict(list)
    for n, row in sheet.rows:
        names = sheet.get(row, "student"), sheet.get(row, "question")
        try:
            if len(row) > len(sheet.columns):
                raise ValueError("It has more cells than there are columns: put texts with commas into quotes.")
            if not all(names):
                raise ValueError("It names no student, or no question.")
            try:
                student = student_of(names[0])
            except KeyError as close:
                raise ValueError(f"There is nobody called {names[0]} in this class.{close.args[0]}") from None
            try:
                found[student, question_of(names[1])].append((n, row))
            except KeyError as close:
                raise ValueError(f"There is no question {names[1]}.{close.args[0]}") from None
        except ValueError as error:
            merge.left.append((n, row))
            merge.say(n, str(error))
    for key, rows in found.items():
        _take(book, merge, key, rows, stored.get(key), version_of(texts.get(key, "")))
    students, left = set(book.students()), {(sheet.get(r, "student"), sheet.get(r, "question")) for _, r in merge.left}
    for key in sorted(key for key in stored if key[0] not in students or key[1] not in FREE_TEXTS):
        if not sheet.rows:
            merge.say(key, "There is nobody of this name in this class, or no such question.")
        elif key not in left:
            book.mark(*key, None)  # its row was taken out by hand
    for key, mark in book.marks().items():
        if key in texts and mark.points is not None and mark.version != version_of(texts[key]):
            merge.say(key, _CHANGED)
    return merge


def _take(
    book: Gradebook, merge: _Merge, key: Key, rows: list[tuple[int, list[str]]], old: Mark | None, current: str
) -> None:
    """Store what the rows of one student and question say, if that is one thing."""
    sheet = merge.sheet

    def said(row: list[str]) -> tuple:
        return sheet.get(row, "points"), _remark(sheet, row), *sheet.others(row)

    filled = [(n, row) for n, row in rows if any(said(row))] or rows[:1]
    if len({said(row) for _, row in filled}) > 1:
        merge.say(key, f"There are {len(filled)} rows with different marks: take all but one out.", filled[0][0])
        merge.typed[key] = filled[0][1]
        merge.wrong.add(key)
        merge.left += filled[1:]
        merge.attention |= {n: merge.attention[key] for n, _ in filled[1:]}
        return
    (n, row), text = filled[0], sheet.get(filled[0][1], "points")
    merge.typed[key] = row
    if len(filled) > 1:
        merge.say(key, f"This mark is there {len(filled)} times; it counts once.", n, attention=False)
    try:
        points = _points(text, FREE_TEXTS[key[1]].points)
    except ValueError as error:
        stays = f" The {number(old.points)} from before stands." if old and old.points is not None else ""
        merge.say(key, f"{error}{stays or ' Nothing is counted.'}", n)
        merge.wrong.add(key)
        return
    version = sheet.get(row, "version").lower()
    shown, base = (version[:6], version[6:]) if re.fullmatch("[a-p]{12}", version) else (current, "")
    new = Mark(points, _remark(sheet, row), shown)
    as_saved = old and replace(old, remark=sheet.as_saved(old.remark))
    if old is None:
        if new.points is not None or new.remark:
            seen = "" if _CHANGED in sheet.get(row, "attention") else shown  # the table outlived the run's memory
            book.mark(*key, replace(new, version=seen))
    elif base == _base(new) or _base(as_saved) == _base(new):
        emptied = "attention" in sheet.columns and not sheet.get(row, "attention")
        if emptied and base and shown == current != old.version:
            book.mark(*key, replace(old, version=current))
    elif not base and new.points is None:
        if new.remark:
            book.mark(*key, replace(old, remark=new.remark))
    else:
        if not base:
            new = replace(new, remark=new.remark or old.remark)
        book.mark(*key, new)
        if base and base != _base(old):
            merge.say(key, f"This takes the place of another mark, {_shown(old)}.", n, attention=False)
        elif new.points is None and old.points is not None:
            merge.say(key, f"The mark was {_shown(old)}, and was taken out.", n, attention=False)


def _remark(sheet: Sheet, row: list[str]) -> str:
    return "\n".join(line.rstrip() for line in sheet.get(row, "remark").splitlines())


def _shown(mark: Mark) -> str:
    points = "no points" if mark.points is None else f"{number(mark.points)} points"
    return f"{points}, \u201c{mark.remark[:100]}\u201d" if mark.remark else points


# -- writing -----------------------------------------------------------------------------------------------------------


def update(book: Gradebook, out: Path, rubrics: Mapping[str, tuple[str, str]]) -> list[tuple[str, str]]:
    """Take in what was typed into the table of a report, write it anew, and return (place, sentence) of what is odd.

    A table that cannot be read is left alone. One that somebody has changed is kept in the folder `typed` as well.
    """
    path, texts = out / NAME, {(student, question): text for student, _, question, text in book.texts()}
    while True:
        data = path.read_bytes() if path.exists() else b""
        try:
            sheet = read(data)
        except ValueError as error:
            sentence = f"{error} It was left as it is, and the marks in it are not counted yet."
            return [(NAME, sentence), *_merge(book, Sheet(), texts).said]
        merge = _merge(book, sheet, texts)
        table = io.StringIO(newline="")
        _write(book, merge, texts, rubrics, table)
        new = table.getvalue().encode("utf-8-sig")  # with the mark by which spreadsheets recognise UTF-8
        if data and sha256(data).hexdigest() != book.recall(NAME):
            with whole_file(out / "typed" / f"free_text-{sha256(data).hexdigest()[:8]}.csv") as file:
                file.write(data)
        if (path.read_bytes() if path.exists() else b"") != data:
            continue  # somebody has just saved it
        book.remember(NAME, sha256(new).hexdigest())
        try:
            with whole_file(path) as file:
                file.write(new)
        except PermissionError as error:  # as of a spreadsheet that has it open
            merge.say(NAME, f"It cannot be written ({error.strerror}): close it elsewhere. All marks in it count.")
        return merge.said


def _write(
    book: Gradebook, merge: _Merge, texts: Mapping[Key, str], rubrics: Mapping[str, tuple[str, str]], table: TextIO
) -> None:
    sheet, stored, students = merge.sheet, book.marks(), set(book.students())
    columns = sheet.columns + [name for name in COLUMNS if name not in sheet.columns]
    commas = sheet.separator == ";" or any("," in sheet.get(row, "points") for _, row in sheet.rows)
    rows = writer(table, sheet.separator)
    rows.writerow(columns)
    order = {question: place for place, question in enumerate(FREE_TEXTS)}
    keys = {*texts, *merge.typed, *(stored if not sheet.rows else ())}
    keys |= {key for key in stored if key[0] in students and key[1] in FREE_TEXTS}
    for key in sorted(keys, key=lambda key: (order.get(key[1], len(order)), key[0])):
        student, question = key
        row, mark = merge.typed.get(key), stored.get(key)
        points = number(mark.points) if mark else None
        if row and key in merge.wrong:
            points, remark = sheet.get(row, "points"), _remark(sheet, row)
        else:
            points = str(points).replace(".", ",") if commas and isinstance(points, float) else points
            remark = mark.remark if mark else ""
        values = {
            "student": student,
            "lesson": question.partition(".")[0],
            "question": question,
            "text": texts.get(key, ""),
            "rubric": rubrics[question][1].replace("**", "") if question in rubrics else "",
            "points": "" if points is None else points,
            "max_points": FREE_TEXTS[question].points if question in FREE_TEXTS else "",
            "remark": remark,
            "attention": merge.attention.get(key, ""),
            "version": version_of(texts.get(key, "")) + _base(mark),
        }
        old = row or [""] * len(sheet.columns)
        cells = [values.get(name, old[at] if at < len(old) else "") for at, name in enumerate(columns)]
        rows.writerow([safe(cell) if isinstance(cell, str) else cell for cell in cells])
    for n, row in sorted(merge.left):
        row = row + [""] * (len(columns) - len(row))
        if len(row) == len(columns):
            row[columns.index("attention")] = merge.attention[n]
        rows.writerow([safe(_plain(cell)) for cell in row])
