"""Put answers, each with all that it uses, together into one module: what they share once, what differs apart."""

import ast
import builtins
import importlib
import re
import sys
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from vqtutor.mine.rename import renamed
from vqtutor.source import PREAMBLE, PREAMBLED, Cell, Statement, changes

WIDTH = 120


@dataclass(frozen=True)
class Import:
    """One imported name: `import module as name`, or `from module import attribute as name`."""

    name: str
    module: str
    attribute: str = ""

    @property
    def target(self) -> str:
        """What it stands for; `import a.b` gives `a`."""
        if self.attribute:
            return f"{self.module}.{self.attribute}"
        return self.module.split(".")[0] if self.is_plain else self.module

    @property
    def is_plain(self) -> bool:
        return not self.attribute and self.name == self.module.split(".")[0]


def imports_in(node: ast.AST) -> list[Import] | None:
    """Return what an import statement imports; None for other statements, and for stars and relative imports."""
    if isinstance(node, ast.Import):
        return [Import(one.asname or one.name.split(".")[0], one.name) for one in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level and node.names[0].name != "*":
        return [Import(one.asname or one.name, node.module, one.name) for one in node.names]
    return None


_COURSE = {one.name: one for one in imports_in(ast.parse(PREAMBLE).body[0])} | {"vqtutor": Import("vqtutor", "vqtutor")}


class Module:
    """A module that grows by an answer at a time.

    Args:
      reserved: names that no helper may take: those of the exercises.

    Attributes:
      imports: what it imports.
      future: names of `from __future__ import`.
    """

    def __init__(self, reserved: Container[str]):
        self.reserved = reserved
        self.imports: set[Import] = set()
        self.future: set[str] = set()
        self._meanings: dict[str, tuple | str] = {}  # {name: what it stands for in this module}
        self._given: dict[tuple[str, tuple | str], str] = {}  # {(a name, what it stands for): its name here}

    def need(self, *imports: Import) -> None:
        for one in imports:
            self.imports.add(one)
            self._meanings.setdefault(one.name, one.target)

    def add(self, own: str, lesson: str, source: str) -> str:
        """Add an answer; return the text that goes into the module, without what is there already.

        Args:
          own: the name of the answer, which it keeps.
          lesson: the slug; helpers that differ from others of the same name get it in front of their names.
          source: of the answer with all that it uses, see `vqtutor.source.cut`.
        Raises:
          SyntaxError: Python cannot read it.
        """
        cell = Cell(source)
        if cell.error:
            raise SyntaxError(cell.error)
        statements = _without_stars(cell.statements)
        self.future |= {alias.name for one in statements if one.future for alias in one.node.names}
        statements = [one for one in statements if not one.future]
        part = _Part(statements)
        names, shared = {}, set()
        for name in part.places:
            target = part.meaning(name)
            if (name, target) in self._given:
                names[name] = self._given[name, target]
                shared.add(name)
                continue
            taken = name in self._meanings or name in self.reserved or name in _COURSE or hasattr(builtins, name)
            names[name] = self._fresh(f"{lesson}_{name}") if taken and name != own else name
            if isinstance(target, str):  # an import: under the name that it has here already
                meanings = {other: one.target for other, one in _COURSE.items()} | self._meanings
                names[name] = next((other for other, one in meanings.items() if one == target), names[name])
            self._given[name, target] = names[name]
            self._meanings[names[name]] = target
        used = set().union(*(one.needs for one in statements))
        for name, one in part.imports.items():
            if name not in used:
                continue
            plain = Import(names[name], one.module, one.attribute)
            known = {other.name: other for other in self.imports if other.target == one.target} | _COURSE
            self.need(plain if plain.is_plain else known.get(plain.name, plain))
        for name in part.free & set(_COURSE):
            self.need(_COURSE[name])
        texts = []
        for place, one in enumerate(statements):
            owners = part.owners[place]
            if place not in part.hoisted and not (owners and owners <= shared):
                texts.append((one, renamed(one.text, names)))
        return joined(texts)

    def _fresh(self, name: str) -> str:
        names = [name, *(f"{name}_{n}" for n in range(2, 100))]
        return next(one for one in names if one not in self._meanings and one not in self.reserved)

    def head(self) -> str:
        """Return the imports, sorted as ruff sorts them."""
        return import_lines(self.imports, self.future)


class _Part:
    """The statements of one answer: which names they bind or change, and what these stand for.

    Attributes:
      places: {name: places of the statements that bind or change it}.
      owners: of each statement, the names that it binds or changes.
      imports: {name: Import} of names that are imported and nothing else.
      hoisted: places of statements that only do that.
      free: names that come from elsewhere.
    """

    def __init__(self, statements: Sequence[Statement]):
        self.statements = statements
        self.places: dict[str, list[int]] = defaultdict(list)
        self.imports: dict[str, Import] = {}
        for place, one in enumerate(statements):
            for name in sorted(one.binds):
                self.places[name].append(place)
        changed = changes(statements)
        for name, places in self.places.items():
            every = [imports_in(statements[place].node) for place in places]
            mine = {one for imports in every for one in imports or () if one.name == name}
            if all(every) and len({one.target for one in mine}) == 1:
                self.imports[name] = sorted(mine, key=lambda one: one.module)[-1]
        for name in (set(self.places) & set(changed)) - set(self.imports):
            self.places[name] = sorted({*self.places[name], *changed[name]})
        self.owners = [{name for name, places in self.places.items() if n in places} for n in range(len(statements))]
        self.hoisted = {n for n, names in enumerate(self.owners) if names and names <= set(self.imports)}
        needed = set().union(*(one.needs | one.updates for one in statements))
        self.free = needed - set(self.places)

    def meaning(self, name: str) -> tuple | str:
        """Return what tells two values of one name apart: an import's target, or all the source that makes it."""
        if name in self.imports:
            return self.imports[name].target
        seen, todo, others = set(), [name], set()
        while todo:
            one = todo.pop()
            if one in self.imports or one not in self.places:
                course = _COURSE.get(one)
                others.add((one, self.imports[one].target if one in self.imports else course.target if course else ""))
                continue
            for place in set(self.places[one]) - seen:
                seen.add(place)
                todo += self.statements[place].needs | self.statements[place].updates | self.owners[place]
        return tuple(self.statements[place].source for place in sorted(seen)), tuple(sorted(others))


def _without_stars(statements: Sequence[Statement]) -> list[Statement]:
    """Replace `from numpy import *` by the names that are used, where that module can be imported here."""
    needed = set().union(set(), *(one.needs | one.updates for one in statements)) - PREAMBLED
    bound = set().union(set(), *(one.binds for one in statements if not one.star))
    found = []
    for one in statements:
        if one.star and not one.node.level:
            try:
                module = importlib.import_module(one.node.module)
                names = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
            except Exception:  # the trial says so
                found.append(one)
                continue
            if used := sorted((needed - bound) & set(names)):
                found.append(Statement(ast.parse(f"from {one.node.module} import {', '.join(used)}").body[0]))
        else:
            found.append(one)
    return found


def style(text: str) -> str:
    """Return a line that has ruff pass over what is a matter of taste in a student's code; "" where nothing is."""
    found = {"E501"} if any(len(line) > WIDTH for line in text.splitlines()) else set()
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Lambda)
            and isinstance(node.targets[0], ast.Name)
        ):
            found.add("E731")
        elif getattr(node, "arg", None) in _UNCLEAR or (isinstance(node, ast.Name) and node.id in _UNCLEAR):
            found.add("E741")
        for body in (getattr(node, field, None) for field in ("body", "orelse", "finalbody")):
            if isinstance(body, list) and body:
                lines = [one.lineno for one in body]
                if not isinstance(node, (ast.Module, ast.FunctionDef)) and node.lineno == lines[0]:
                    found.add("E701")
                if len(set(lines)) < len(lines):
                    found.add("E702")
    return f"# ruff: noqa: {', '.join(sorted(found))}\n" if found else ""


_UNCLEAR = ("l", "O", "I")


def joined(texts: Iterable[tuple[Statement, str]]) -> str:
    """Return statements below one another: two blank lines around definitions, none between simple lines."""
    parts, before = [], None
    for one, text in texts:
        block = isinstance(one.node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        if before is not None:
            parts.append("\n\n\n" if block or before else "\n")
        parts.append(text)
        before = block
    return "".join(parts)


def import_lines(imports: Iterable[Import], future: Iterable[str] = ()) -> str:
    """Return import statements in four blocks: of the future, of Python, of others, of vqtutor."""
    blocks: list[list[str]] = [[f"from __future__ import {', '.join(sorted(future))}"] if future else [], [], [], []]
    whole, parts = set(), defaultdict(set)
    for one in imports:
        if one.attribute:
            parts[one.module].add((one.attribute, "" if one.name == one.attribute else one.name))
        else:
            whole.add((one.module, "" if one.is_plain else one.name))

    def block(module: str) -> list[str]:
        top = module.split(".")[0]
        return blocks[1 if top in sys.stdlib_module_names else 3 if top == "vqtutor" else 2]

    for module, name in sorted(whole, key=lambda one: (one[0].lower(), one)):
        block(module).append(f"import {module}" + (f" as {name}" if name else ""))
    for module, names in sorted(parts.items(), key=lambda one: one[0].lower()):
        plain = sorted((name for name, other in names if not other), key=_member)
        if plain:
            line = f"from {module} import {', '.join(plain)}"
            if len(line) > WIDTH:
                line = "".join((f"from {module} import (\n", *(f"    {name},\n" for name in plain), ")"))
            block(module).append(line)
        for name, other in sorted((one for one in names if one[1]), key=lambda one: _member(one[0])):
            block(module).append(f"from {module} import {name} as {other}")
    return "\n\n".join("\n".join(lines) for lines in blocks if lines)


def _member(name: str) -> tuple[int, str]:
    """Return where ruff sorts a name: constants, then classes, then the rest."""
    kind = 0 if re.fullmatch(r"[A-Z0-9_]{2,}", name) else 1 if name[:1].isupper() else 2
    return kind, name
