"""Cards: a verdict in words, as plain text and as HTML. Colour is never the only sign of the state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from vqtutor.checking.exercise import State

if TYPE_CHECKING:
    from vqtutor.checking.judge import Verdict

_MARKS = {State.PASSED: "ok", State.NOT_YET: "x", State.OPEN: "-"}
_COLOURS = {State.PASSED: "#0072b2", State.NOT_YET: "#d55e00", State.OPEN: "#767676"}


def _title(verdict: Verdict) -> str:
    noun = "point" if verdict.max_points == 1 else "points"
    return f"{verdict.exercise} - {verdict.state} ({verdict.points} of {verdict.max_points} {noun})"


def _details(verdict: Verdict) -> list[str]:
    lines = []
    for probe in verdict.probes:
        if not probe.passed and probe.message not in verdict.message:
            lines.append(f'probe "{probe.name}": {probe.message}')
        elif not probe.passed and verdict.misconception is None:
            lines.append(f'probe "{probe.name}" (worth {probe.max_points})')
        if probe.remark:
            lines.append(f"remark: {probe.remark}")
    if verdict.state == State.NOT_YET:
        right = [f'"{probe.name}"' for probe in verdict.probes if probe.passed]
        lines += [f"already right: {', '.join(right)}"] if right else []
        lines.append(f'stuck? vqtutor.hint("{verdict.exercise}")')
    return lines


def headline(verdict: Verdict) -> str:
    """Return the card's first line: a mark, the exercise, its state in words, and points."""
    return f"{_MARKS[verdict.state]:2} {_title(verdict)}"


def text(verdict: Verdict) -> str:
    """Return the card as plain text, for terminals and screen readers."""
    parts = [verdict.message, *_details(verdict), verdict.standing]
    return "\n   ".join([headline(verdict), *(line for part in parts for line in part.splitlines())])


def html(verdict: Verdict) -> str:
    """Return the card for a notebook; its text is complete without styles."""
    details = "".join(f"<li><code>{escape(line)}</code></li>" for line in _details(verdict))
    details = f"<ul style='margin:.3em 0'>{details}</ul>" if details else ""
    return box(
        _title(verdict),
        _lines(verdict.message.splitlines()) + details + _lines(verdict.standing.splitlines()),
        verdict.state,
    )


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"<p style='margin:.3em 0'>{escape(line)}</p>" for line in lines)


def box(title: str, body_html: str, state: str = "") -> str:
    """Return a titled box; `body_html` must be escaped already."""
    colour = _COLOURS.get(state, "#767676")
    mark = f"{escape(_MARKS[state])}&ensp;" if state else ""
    return (
        f"<div role='group' aria-label='{escape(title, quote=True)}' "
        f"style='border-left:6px solid {colour};padding:.4em 1em;margin:.4em 0'>"
        f"<p style='margin:.2em 0'>{mark}<strong>{escape(title)}</strong></p>{body_html}</div>"
    )


@dataclass(frozen=True)
class Table:
    """A table under a line that sums it up. Where it is not `open`, a click opens it, and text has the line only.

    The first row is the head, the first column the rows' names.
    """

    summary: str
    rows: tuple[tuple[str, ...], ...]
    open: bool = True

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        rows = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in self.rows]
        return "\n  ".join([self.summary, *rows] if self.open else [self.summary])

    def _repr_html_(self) -> str:
        head, *rows = self.rows
        body = "".join(f"<th scope='col'>{escape(cell)}</th>" for cell in head)
        body = f"<table><thead><tr>{body}</tr></thead><tbody>"
        for first, *rest in rows:
            cells = "".join(f"<td>{escape(cell)}</td>" for cell in rest)
            body += f"<tr><th scope='row'>{escape(first)}</th>{cells}</tr>"
        state = " open" if self.open else ""
        return f"<details{state}><summary>{escape(self.summary)}</summary>{body}</tbody></table></details>"


@dataclass(frozen=True)
class Note:
    """A titled box for a hint, an explanation or tables; `code` keeps its line breaks, `tables` can be folded."""

    title: str
    lines: tuple[str, ...] = ()
    code: str = ""
    tables: tuple[Table, ...] = ()

    def __str__(self) -> str:
        tables = [line for table in self.tables for line in str(table).splitlines()]
        return "\n   ".join([self.title, *self.lines, *tables, *self.code.splitlines()])

    def _repr_html_(self) -> str:
        body = _lines(self.lines) + "".join(table._repr_html_() for table in self.tables)
        return box(self.title, body + (f"<pre>{escape(self.code)}</pre>" if self.code else ""))

    def _repr_pretty_(self, printer, cycle) -> None:
        printer.text(str(self))


def in_a_notebook() -> bool:
    """Whether there is a place to show cards: a notebook, or IPython in a terminal."""
    from IPython import get_ipython

    return get_ipython() is not None


def show(item: object) -> None:
    """Show a card: as HTML in a notebook, as text in a terminal."""
    from IPython import display

    if in_a_notebook():
        display.display(item)
    else:
        print(item)
