"""Cut an answer's source out of its notebook, with everything that it uses, so that it runs by itself.

Nothing is run here: the names in the cells' text are resolved statically, as if the cells ran from top to bottom.
"""

import ast
import re
import symtable
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import Any

# Imports of every lesson, which an answer may use without importing them.
PREAMBLE = "import haiku as hk, jax, jax.numpy as jnp, numpy as np, optax, math, struct, zlib"
PREAMBLED = {"hk", "jax", "jnp", "np", "optax", "math", "struct", "zlib"}

# Below such lines, the cell is Python; IPython wants them on top, but takes blank lines above.
_TIMED = re.compile(r"\A(\s*(#.*)?\n)*\s*%%(time|timeit|capture|prun|debug|memit)\b.*\n")
_TIMED_LINE = re.compile(r"^([ \t]*)%time[ \t]+(?=[^\s-])", re.MULTILINE)  # which runs the rest of its line
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SURE = (*_DEFINITIONS, ast.Assign, ast.AnnAssign, ast.Import, ast.ImportFrom)  # what they bind, they always bind
_AT_ONCE = ("listcomp", "setcomp", "dictcomp", "genexpr")
# What changes its first argument, and methods that change what they belong to and return something.
_CHANGERS = {
    *("setattr", "delattr", "shuffle", "copyto", "put", "place", "putmask", "fill_diagonal"),
    *("heapify", "heappush", "heappop", "insort"),
}
# What makes names that no text shows, and magics that make none.
_MAKERS = {
    "exec",
    "eval",
    "globals",
    "locals",
    "vars",
    "setattr",
    "builtins",
    "__builtins__",
    "__import__",
    "importlib",
}
_HARMLESS = {
    *("matplotlib", "config", "load_ext", "reload_ext", "autoreload", "time", "timeit", "prun", "memit", "capture"),
    *("pip", "conda", "cd", "pwd", "ls", "env", "set_env", "who", "whos", "html", "HTML", "javascript", "markdown"),
    *("latex", "svg", "bash", "sh", "system", "writefile", "file", "debug", "pdb", "xmode", "precision", "history"),
}
_CHANGING = {"append", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "remove", "fill", "sort"}


class Statement:
    """A top-level statement of a cell: the names that it binds, and those that it needs from other statements."""

    def __init__(self, node: ast.stmt, text: str = ""):
        self.source = ast.unparse(node)  # no comments and layout: answers that differ only in these are graded once
        self.text = text or self.source  # as it was written, with the comments above it
        self.node = node
        self.star = isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
        self.future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        table = symtable.symtable(self.source, "<cell>", "exec")
        self.binds = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
        if isinstance(node, ast.Delete) or (isinstance(node, ast.AnnAssign) and not node.value):
            self.binds = set()
        self.imports = {s.get_name() for s in table.get_symbols() if s.is_imported()}
        own = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
        at_once, later = _globals(table)
        self.at_once = own | at_once  # needed when the statement runs, and `later`, when what it defines is called
        self.later = later - self.at_once
        # The bound names whose earlier value is used, as in `x += 1`; a function that calls itself uses none.
        defines = isinstance(node, _DEFINITIONS)
        self.updates = set() if defines else (self.binds & own) | _augmented(node)
        self.sure = set() if not isinstance(node, _SURE) else self.binds - self.updates
        self.effects = _Effects(running(node))
        self.makes = _Effects(ast.walk(node)) if defines else None  # the effects of calling it
        self.locals = _locals(table) if defines else set()

    @property
    def needs(self) -> set[str]:
        return self.at_once | self.later

    def _call(self, *names: str) -> ast.Call | None:
        call = getattr(self.node, "value", None)
        if isinstance(self.node, (ast.Assign, ast.Expr)) and isinstance(call, ast.Call) and call.args:
            if isinstance(call.func, ast.Attribute) and call.func.attr in names:
                return call if isinstance(call.args[0], ast.Constant) else None
        return None

    @cached_property
    def recalls(self) -> str | None:
        """The exercise's id, where this is `name = vqtutor.check("id", name)` or `vqtutor.recall("id")`."""
        call = self._call("check", "recall") if isinstance(self.node, ast.Assign) else None
        return str(call.args[0].value) if call else None

    @cached_property
    def checks(self) -> tuple[str, str] | None:
        """(the exercise's id, the checked expression), where this is a check."""
        call = self._call("check")
        if call is None or len(call.args) + len(call.keywords) < 2:
            return None
        return str(call.args[0].value), ast.unparse((*call.args[1:], *(one.value for one in call.keywords))[0])

    @cached_property
    def is_open(self) -> bool:
        """Whether it has a blank that is unchanged."""
        return any(
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is ...
            for node in ast.walk(self.node)
        )


def _globals(table: symtable.SymbolTable) -> tuple[set[str], set[str]]:
    """Return the global names that inner scopes use at once, as a class's body does, and when they are called."""
    at_once, later = set(), set()
    for inner in table.get_children():
        needs = {s.get_name() for s in inner.get_symbols() if s.is_global() and s.is_referenced()}
        own, others = _globals(inner)
        if inner.get_type() == "function" and inner.get_name() not in _AT_ONCE:
            later |= needs | own | others
        else:
            at_once |= needs | own
            later |= others
    return at_once, later


def _locals(table: symtable.SymbolTable) -> set[str]:
    """Return the names that mean something of their own in inner scopes."""
    names = set()
    for inner in table.get_children():
        names |= {s.get_name() for s in inner.get_symbols() if s.is_local() or s.is_parameter()} | _locals(inner)
    return names


def _augmented(node: ast.stmt) -> set[str]:
    return {n.target.id for n in ast.walk(node) if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)}


def running(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run with a statement: not the bodies of functions, but their decorators."""
    stack = [node]
    while stack:
        one = stack.pop()
        yield one
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)):
            stack += [*one.decorator_list, one.args]
        elif not isinstance(one, ast.Lambda):
            stack += ast.iter_child_nodes(one)


def _base(node: ast.AST) -> str | None:
    """Return the name that `name.x[i].y` begins with."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


# Methods and functions that give another view of the same memory, or a part of it.
_VIEWS = {
    *("reshape", "ravel", "view", "transpose", "swapaxes", "squeeze", "items", "values", "get", "setdefault"),
    *("asarray", "enumerate", "zip", "reversed", "iter"),
}


def _same(value: ast.AST) -> set[str]:
    """Return the names whose memory the value of an expression can share: `x`, `x[0]`, `x.T`, `x.reshape(-1)`."""
    if isinstance(value, ast.Name):
        return {value.id} - PREAMBLED
    if isinstance(value, (ast.Attribute, ast.Subscript, ast.Starred)):
        return _same(value.value)
    if isinstance(value, (ast.Tuple, ast.List)):
        return set().union(*map(_same, value.elts))
    if isinstance(value, ast.IfExp):
        return _same(value.body) | _same(value.orelse)
    if isinstance(value, ast.NamedExpr):
        return {value.target.id} | _same(value.value)
    if isinstance(value, ast.Call) and getattr(value.func, "attr", getattr(value.func, "id", "")) in _VIEWS:
        of = [value.func.value] if isinstance(value.func, ast.Attribute) else []
        return set().union(*map(_same, [*of, *value.args]))
    return set()


def _targets(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}


class _Effects:
    """What running some nodes changes.

    Attributes:
      same: [names that can share their memory from here on], as after `x = y`.
      changes: names whose value is changed in place: `x[i] = ...`, `x.a = ...`, `x.update(...)`, `global x`.
      declares: those of them that are said to be global.
      calls: [(the name of what is called, its arguments that are names)].
    """

    def __init__(self, nodes: Iterator[ast.AST]):
        self.changes: set[str | None] = set()
        self.declares: set[str] = set()
        self.calls: list[tuple[str, set[str]]] = []
        self.same: list[set[str]] = []
        for node in nodes:
            self._alias(node)
            if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, (ast.Store, ast.Del)):
                self.changes.add(_base(node))
            elif isinstance(node, ast.Global):
                self.declares |= set(node.names)
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                self._method(node.value.func)
            elif isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in _CHANGERS and node.args:
                    self.changes.add(_base(node.args[0]))
                if name in _CHANGING:
                    self._method(node.func)
                if isinstance(node.func, ast.Name):
                    given = [*node.args, *(one.value for one in node.keywords)]
                    self.calls.append((node.func.id, {_base(one) for one in given} - {None}))
            for one in getattr(node, "decorator_list", ()):
                self._method(one.func if isinstance(one, ast.Call) else one)  # @f.defjvp, @f.register
                if isinstance(one, ast.Name):
                    self.calls.append((one.id, set()))
        self.changes = (self.changes | self.declares) - {None}

    def _alias(self, node: ast.AST) -> None:
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) and node.value:
            to = node.targets if isinstance(node, ast.Assign) else [node.target]
            value = node.value
        elif isinstance(node, (ast.For, ast.comprehension)):
            to, value = [node.target], node.iter
        elif isinstance(node, ast.withitem) and node.optional_vars:
            to, value = [node.optional_vars], node.context_expr
        else:
            return
        shared = _same(value) | (set().union(*map(_targets, to)) if len(to) > 1 else set())
        for target in set().union(*map(_targets, to)) if shared else ():
            self.same.append({target} | shared)

    def sharing(self, names: set[str]) -> set[str]:
        """Return these names and those that can share their memory, as far as these nodes show."""
        size = 0
        while size < (size := len(names)):
            names = names.union(*(group for group in self.same if group & names))
        return names

    def _method(self, called: ast.expr) -> None:
        if isinstance(called, ast.Attribute):
            self.changes.add(_base(called))


class Cell:
    """A code cell: its statements, or why Python cannot read it, and its metadata under "vqtutor"."""

    def __init__(self, source: str, metadata: dict[str, Any] | None = None):
        self.text, self.metadata, self.error, self.statements = source, metadata or {}, "", []
        while timed := _TIMED.match(source):
            source = source[timed.end() :]
        try:
            self.statements = _statements(source)
        except SyntaxError as error:
            try:
                from IPython.core.inputtransformer2 import TransformerManager

                source = _TIMED_LINE.sub(r"\1", source)
                self.statements = _statements(TransformerManager().transform_cell(source))  # magics: %timeit, !ls
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
        return not self.error and any(one.is_open for one in self.defining(name))


def _statements(source: str) -> list[Statement]:
    body, lines = ast.parse(source).body, re.split(r"\r\n|\r|\n", source)  # as Python counts them, unlike splitlines
    return [Statement(node, _written(node, body[i - 1] if i else None, lines)) for i, node in enumerate(body)]


def _written(node: ast.stmt, before: ast.stmt | None, lines: list[str]) -> str:
    """Return a statement's lines with its decorators and the comments above it; "" where it shares a line."""
    first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))]) - 1
    free = before.end_lineno if before else 0  # the first line that is not the statement's before
    last = lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode().strip()
    if first < free or not re.fullmatch(r"(#.*)?", last):
        return ""
    while first > free and lines[first - 1].startswith("#"):
        first -= 1
    return "\n".join(lines[first : node.end_lineno])


def changes(statements: Sequence[Statement]) -> dict[str, list[int]]:
    """Return {name: the places of statements that change its value}, also by calling a function that does."""
    made, calls, alters = defaultdict(set), defaultdict(list), set()  # of each function; `alters` an argument of it
    for one in statements:
        if one.makes:
            name = one.node.name
            calls[name] += [(called, given, one.locals) for called, given in one.makes.calls]
            changed = one.makes.sharing(one.makes.changes)
            made[name] |= changed - one.locals - {name}
            if changed & one.locals:
                alters.add(name)
    size = -1
    while size != (size := sum(map(len, made.values())) + len(alters)):  # until calls of calls are known
        for name in calls:
            for called, given, own in calls[name]:
                found = made.get(called, set()) | (given if called in alters else set())
                made[name] |= found - own
                if found & own:
                    alters.add(name)
    places = defaultdict(list)
    shares: dict[str, set[str]] = defaultdict(
        set
    )  # names that can share their memory, while this goes from top to bottom
    for place, one in enumerate(statements):
        for name in one.sure:
            for other in shares.pop(name, ()):
                shares[other].discard(name)
        for group in one.effects.same:
            group = group.union(*(shares[name] for name in group))
            for name in group:
                shares[name] |= group - {name}
        names = set(one.effects.changes)
        for called, given in one.effects.calls:
            names |= made.get(called, set()) | (given if called in alters else set())
        names = names.union(*(shares[name] for name in names | _augmented(one.node)))  # arrays change in place by +=
        for name in names - one.sure:
            places[name].append(place)
    return places


def makes_names(code: Sequence[Cell]) -> bool:
    """Whether a notebook can make names in ways that its text does not show: a star, exec, globals(), %run."""
    return any(one.star or one.needs & _MAKERS or _magics(one.node) - _HARMLESS for c in code for one in c.statements)


def _magics(node: ast.AST) -> set[str]:
    calls = [one for one in ast.walk(node) if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute)]
    calls = [call for call in calls if call.func.attr in ("run_line_magic", "run_cell_magic") and call.args]
    return {str(getattr(call.args[0], "value", "")) for call in calls}


def cut(
    code: Sequence[Cell], cell: Cell, name: str, blanks: Container[str], as_written: bool = False
) -> tuple[str, dict[str, str | None]]:
    """Return (the source of a name's definition with all that it uses, the names that are defined elsewhere).

    The statements are those that count when the cells run from top to bottom up to the answer's check, or up to the
    answer where there is none. What is defined only below counts as well: cells may have run in another order.

    Args:
      code: the notebook's code cells, in order.
      cell: the one that holds the answer.
      name: of the answer.
      blanks: names of the lesson's earlier exercises; their answers are never included.
      as_written: whether to keep comments and layout.
    Returns: the source, and {name: the exercise's id where a cell recalls it, else None}.
    """
    code = code if cell in code else [*code, cell]
    places = [(other, one) for other in code for one in other.statements]
    statements = [one for _, one in places]
    own = max(i for i, (other, one) in enumerate(places) if other is cell and name in one.binds and not one.recalls)
    checks = [i for i, one in enumerate(statements) if i > own and one.checks and name in one.needs | one.binds]
    end = checks[-1] if checks else 1 + max(i for i, (other, _) in enumerate(places) if other is cell)
    changed, bound = changes(statements), defaultdict(list)
    declared = set.union(set(), *(one.makes.declares for one in statements if one.makes))
    for place, one in enumerate(statements):
        later = place > own and (one.is_open or not (checks or name in one.updates))
        for target in () if one.checks else one.binds - {name} if later or one.recalls else one.binds:
            bound[target].append(place)
    externals: dict[str, str | None] = {}
    chosen: dict[int, list[int]] = {}  # place: the places below it of what it needs
    seen: set[tuple[str | int, int]] = set()

    @cache
    def defined(target: str, when: int) -> tuple[list[int], list[int]]:
        """Return the places of what gives a name its value at a time, and those of them that come only later."""
        found, below = [], []
        for place in reversed([place for place in bound[target] if place < when]):
            if statements[place].recalls:
                externals[target] = statements[place].recalls
                break
            found.append(place)
            if target in statements[place].sure:
                break
        for place in bound[target] if not found and target not in externals else ():
            if statements[place].recalls:
                externals[target] = statements[place].recalls
            elif not below or target in statements[place].updates:
                below.append(place)
        found += below
        if not found and target in declared and target not in externals:
            found = [place for place in changed[target] if place < when]  # `global x` in a function that is called
        if not found:
            externals.setdefault(target, None)
        elif not statements[found[0]].imports & {target}:
            last = when if when < end and not below else end if checks and not below else len(statements)
            found += [place for place in changed[target] if min(found) < place < last]
        return found, below

    todo = [(name, end if checks else len(statements), None)]
    for target, when, user in todo:  # the loop adds to the list
        if target in blanks and target != name:
            externals.setdefault(target, None)
            continue
        found, below = defined(target, when)
        if user is not None:
            chosen[user] += below
        for place in found:
            chosen.setdefault(place, [])
            if (place, when) not in seen:
                seen.add((place, when))
                one = statements[place]
                todo += [(other, place, place) for other in sorted(one.at_once | one.updates)]
                todo += [(other, max(when, place + 1) if when < end else end, place) for other in sorted(one.later)]
    extra = [place for place, one in enumerate(statements) if one.future and place < end]
    missing = any(id is None and target not in blanks for target, id in externals.items())
    for place, one in enumerate(statements):
        if one.star and place < end and (missing or place > min(chosen)):  # it may bind any name
            chosen[place] = []
        elif one.star and missing:
            extra.append(place)
    return _joined(statements, chosen, [*extra, *sorted(chosen)], as_written), externals


def aliases(externals: Mapping[str, str | None]) -> str:
    """Return lines that give recalled answers the names they were recalled under, where these are others."""
    names = {name: id.split(".")[-1] for name, id in sorted(externals.items()) if id}
    return "".join(f"{name} = {own}\n" for name, own in names.items() if name != own and own.isidentifier())


def _joined(statements: Sequence[Statement], chosen: dict[int, list[int]], order: list[int], as_written: bool) -> str:
    """Return the chosen statements' source in this order, except that what lies below its first use comes before it."""
    done: set[int] = set()
    lines = []
    stack = [iter(order)]  # of its own: names that lean on one another in hundreds would fill Python's
    open_ones: list[int] = []
    while stack:
        place = next(stack[-1], None)
        if place is None:
            stack.pop()
            if open_ones:
                one = statements[open_ones.pop()]
                lines.append(one.text if as_written else one.source)
        elif place not in done:
            done.add(place)
            open_ones.append(place)
            stack.append(iter(chosen.get(place, ())))
    return "\n\n".join(lines) + "\n"
