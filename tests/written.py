"""The catalogue's answers as cells that a student could have written: text that runs by itself."""

import ast
from functools import cache
from importlib import import_module
from typing import Any

from vqtutor.checking import Exercise
from vqtutor.lessons import EXERCISES, earlier_blanks
from vqtutor.lessons.entries import Edit
from vqtutor.source import Cell, cut


@cache
def _entries(slug: str) -> tuple[dict[str, dict[str, dict[str, ast.expr]]], str, list[Cell], Any]:
    """Return ({exercise: {"wrong" or "right": {name: expression}}}, the module's text, its helpers, itself)."""
    module = import_module(f"vqtutor.lessons.{slug}.exercises")
    text = open(module.__file__, encoding="utf-8").read()
    entries, helpers, constants = {}, [], {}
    for one in ast.parse(text).body:
        call = getattr(one, "value", None)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "exercise":
            parts = {part.arg: part.value for part in call.keywords}
            entries[call.args[0].value] = {kind: _items(parts[kind], constants) for kind in ("wrong", "right")}
        elif not (isinstance(one, ast.ImportFrom) and one.module.startswith("vqtutor")):
            helpers.append(Cell(ast.unparse(one)))  # with its decorators
            if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name):
                constants[one.targets[0].id] = one.value
    return entries, text, helpers, module


def _items(table: ast.Dict, constants: dict[str, ast.expr]) -> dict[str, ast.expr]:
    items = {}
    for key, value in zip(table.keys, table.values, strict=True):
        items |= {key.value: value} if key else _items(constants[value.id], constants)  # or **_A_TABLE
    return items


def _cell(exercise: Exercise, node: ast.expr) -> str | None:
    """Return a cell that defines what an expression of the catalogue is; None where it cannot stand alone."""
    _, text, helpers, module = _entries(exercise.lesson)
    source = ast.get_source_segment(text, node)
    if isinstance(node, ast.Call) and isinstance(made := eval(source, vars(module)), Edit):
        return made.text(exercise.id) + "\n"
    if "reference(" in source or ".reference" in source or isinstance(node, ast.Starred):
        return None
    answer = Cell(f"{exercise.name} = (\n{source}\n)")  # over several lines, maybe
    body, given = cut([*helpers, answer], answer, exercise.name, earlier_blanks(exercise.id))
    known = {other.split(".")[1] for other in EXERCISES}
    return None if "reference(" in body or set(given) & (set(vars(module)) - known) - {"__builtins__"} else body


def wrong(exercise: Exercise) -> list[tuple[str, str]]:
    """Return [(misconception, cell)]."""
    entries = _entries(exercise.lesson)[0][exercise.id]["wrong"].items()
    cells = [(name, _cell(exercise, node)) for name, value in entries for node in value.elts[:-2]]
    return [(name, cell) for name, cell in cells if cell]


def right(exercise: Exercise) -> list[tuple[str, str]]:
    """Return [(what differs from the reference, cell)]."""
    entries = _entries(exercise.lesson)[0][exercise.id]["right"].items()
    return [(name, cell) for name, node in entries if (cell := _cell(exercise, node))]
