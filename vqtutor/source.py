"""Cut an answer's source out of its notebook, with everything that it uses, so that it runs by itself.

Nothing is run here: the names in the cells' text are resolved statically.
"""

import ast
import re
import symtable
from collections.abc import Container, Iterator, Sequence
from typing import Any

# Imports of every lesson, which an answer may use without importing them.
PREAMBLE = "import haiku as hk, jax, jax.numpy as jnp, numpy as np, optax, math"

_TIMED = re.compile(r"\A\s*%%(time|timeit|capture|prun)\b.*\n")  # below such a line, the cell is Python


class Statement:
    """A top-level statement of a cell: the names that it binds, and those that it needs from other statements."""

    def __init__(self, node: ast.stmt):
        self.source = ast.unparse(node)  # no comments and layout: answers that differ only in these are graded once
        self.node = node
        self.star = isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
        table = symtable.symtable(self.source, "<cell>", "exec")
        self.binds = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
        self.imports = {s.get_name() for s in table.get_symbols() if s.is_imported()}
        own = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
        self.needs = own | _globals(table)
        # The bound names whose earlier value is used, as in `x += 1`; a function that calls itself uses none.
        defines = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        self.updates = set() if defines else (self.binds & own) | _augmented(node)
        self.changes = _changed(node) - self.binds

    @property
    def recalls(self) -> str | None:
        """The exercise's id, where this is `name = vqtutor.check("id", name)` or `vqtutor.recall("id")`."""
        call = getattr(self.node, "value", None)
        if isinstance(self.node, ast.Assign) and isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            if call.func.attr in ("check", "recall") and call.args and isinstance(call.args[0], ast.Constant):
                return str(call.args[0].value)
        return None


def _globals(table: symtable.SymbolTable) -> set[str]:
    needs = set()
    for inner in table.get_children():
        needs |= {s.get_name() for s in inner.get_symbols() if s.is_global() and s.is_referenced()} | _globals(inner)
    return needs


def _augmented(node: ast.stmt) -> set[str]:
    return {n.target.id for n in ast.walk(node) if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)}


def _changed(node: ast.stmt) -> set[str]:
    """Return the names whose value a statement changes in place: `x[i] = ...`, `x.a = ...`, `x.update(...)`."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return set()
    parts = [n for n in ast.walk(node) if isinstance(getattr(n, "ctx", None), (ast.Store, ast.Del))]
    parts += [n.value.func for n in ast.walk(node) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Call)]
    names = set()
    for part in parts:
        base = part
        while isinstance(base, (ast.Attribute, ast.Subscript)):
            base = base.value
        if isinstance(base, ast.Name) and base is not part:
            names.add(base.id)
    return names


class Cell:
    """A code cell: its statements, or why Python cannot read it, and its metadata under "vqtutor"."""

    def __init__(self, source: str, metadata: dict[str, Any] | None = None):
        self.text, self.metadata, self.error, self.statements = source, metadata or {}, "", []
        source = _TIMED.sub("", source)
        try:
            self.statements = _statements(source)
        except SyntaxError as error:
            try:
                from IPython.core.inputtransformer2 import TransformerManager

                self.statements = _statements(TransformerManager().transform_cell(source))  # magics: %time, !ls
            except Exception:  # also RuntimeError, of hundreds of magics
                self.error = f"{error.msg} in line {error.lineno}: {(error.text or '').strip()[:80]}"
        except (ValueError, RecursionError, MemoryError) as error:
            self.error = f"Python cannot read it ({type(error).__name__})"

    def defining(self, name: str) -> list[Statement]:
        return [one for one in self.statements if name in one.binds and one.recalls is None]

    def defines(self, name: str) -> bool:
        if self.error:
            return bool(re.search(rf"^(def|class) +{name}\b|^{name} *=", self.text, re.MULTILINE))
        return bool(self.defining(name))

    def is_open(self, name: str) -> bool:
        """Whether the blank is unchanged, as far as its text shows."""
        nodes = [node for one in self.defining(name) for node in ast.walk(one.node)]
        return not self.error and any(
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is ...
            for node in nodes
        )


def _statements(source: str) -> list[Statement]:
    return [Statement(node) for node in ast.parse(source).body]


def cut(code: Sequence[Cell], cell: Cell, name: str, blanks: Container[str]) -> tuple[str, dict[str, str | None]]:
    """Return (the source of a name's definition with all that it uses, the names that are defined elsewhere).

    Args:
      code: the notebook's code cells, in order; where several define a name, the nearest one before the answer counts.
      cell: the one that holds the answer.
      name: of the answer.
      blanks: names of the lesson's earlier exercises; their answers are never included.
    Returns: the source, and {name: the exercise's id where a cell recalls it, else None}.
    """
    externals, source, names = {}, [], {name}
    at = code.index(cell) if cell in code else len(code)
    order = [cell, *reversed(code[:at]), *code[at + 1 :]]  # definitions above the answer take precedence

    def add(statements: list[Statement]) -> Iterator[Iterator]:
        for one in statements:
            for target in sorted(one.needs - names):
                if target not in names:
                    names.add(target)
                    yield define(target)
        source.extend(one.source for one in statements)

    def define(target: str) -> Iterator[Iterator]:
        statements: list[Statement] = []
        if target in blanks and target != name:
            externals.setdefault(target, None)
            return
        for other in order:
            ids = [one.recalls for one in other.statements if target in one.binds and one.recalls]
            if ids and target != name:
                externals[target] = ids[-1]
                return
            if here := other.defining(target):
                statements = here + statements
                if target not in here[0].updates:
                    break
        if not statements:
            externals.setdefault(target, None)
            return
        yield add(statements)
        if target not in statements[0].imports:
            yield add([one for other in code for one in other.statements if target in one.changes])

    stars = [one.source for c in code for one in c.statements if one.star]
    steps = [define(name)]  # a stack of its own: names that lean on one another in hundreds would fill Python's
    while steps:
        if (step := next(steps[-1], None)) is None:
            steps.pop()
        else:
            steps.append(step)
    return "\n\n".join(dict.fromkeys([*stars, *source])) + "\n", externals
