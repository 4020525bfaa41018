"""Give a global name of a statement another name, and leave its comments and layout as they are."""

import ast
import re
from collections.abc import Iterator, Mapping

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
Place = tuple[int, int, str]  # line from 1, byte in it, the name that stands there


def renamed(text: str, names: Mapping[str, str]) -> str:
    """Return Python with other names for some of its global names: what else is called the same stays as it is.

    Args:
      text: of top-level statements.
      names: {old: new}.
    """
    names = {old: new for old, new in names.items() if old != new and re.search(rf"\b{old}\b", text)}
    if not names:
        return text
    lines = [line.encode() for line in re.split(r"\r\n|\r|\n", text)]
    for line, column, old in sorted(set(_places(ast.parse(text), frozenset(names), lines)), reverse=True):
        before, after = lines[line - 1][:column], lines[line - 1][column:]
        lines[line - 1] = before + after.replace(old.encode(), names[old].encode(), 1)
    return b"\n".join(lines).decode()


def _places(node: ast.AST, names: frozenset[str], lines: list[bytes], top: bool = True) -> Iterator[Place]:
    """Yield where one of the names stands for the global of this name."""
    inside, outside = list(ast.iter_child_nodes(node)), []
    inner = names
    if isinstance(node, ast.Name):
        if node.id in names:
            yield node.lineno, node.col_offset, node.id
    elif isinstance(node, ast.JoinedStr):  # before 3.12, Python does not say where in it names are
        inside = []
        for one in ast.walk(node):
            if isinstance(one, ast.Name) and one.id in names:
                yield from _in_braces(node, one.id, lines)
    elif isinstance(node, (ast.Global, *_IMPORTS)):
        bound = {alias.asname or alias.name for alias in getattr(node, "names", ()) if isinstance(alias, ast.alias)}
        for old in names & (set(node.names) if isinstance(node, ast.Global) else bound if top else set()):
            yield from _words(node, old, lines)
    elif isinstance(node, _FUNCTIONS):
        given = node.args
        outside = [*given.defaults, *filter(None, given.kw_defaults), *getattr(node, "decorator_list", ())]
        every = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
        outside += [
            *(one.annotation for one in every if one.annotation),
            *filter(None, [getattr(node, "returns", None)]),
        ]
        inside = node.body if isinstance(node.body, list) else [node.body]
        inner = names - {one.arg for one in every} - _bound(inside)
        if top and getattr(node, "name", "") in names:
            yield from _words(node, node.name, lines, after=rb"\bdef\s+", first=True)
        top = False
    elif isinstance(node, ast.ClassDef):
        outside, inside = [*node.decorator_list, *node.bases, *(word.value for word in node.keywords)], node.body
        own = _bound(inside)
        if top and node.name in names:
            yield from _words(node, node.name, lines, after=rb"\bclass\s+", first=True)
        for one in inside:  # what the body binds is an attribute; its methods do not see it
            yield from _places(one, names if isinstance(one, _FUNCTIONS) else names - own, lines, False)
        inside, top = [], False
    elif isinstance(node, _COMPREHENSIONS):
        inner = names - set().union(*(_stored(one.target) for one in node.generators))
        outside, inside = [node.generators[0].iter], [one for one in inside if one is not node.generators[0]]
        inside += [node.generators[0].target, *node.generators[0].ifs]
    for one in outside:
        yield from _places(one, names, lines, top)
    for one in inside if inner else ():
        yield from _places(one, inner, lines, top)


_IMPORTS = (ast.Import, ast.ImportFrom)


def _words(node: ast.AST, old: str, lines: list[bytes], after: bytes = b"", first: bool = False) -> Iterator[Place]:
    """Yield where a word stands on a node's lines: Python does not say where in them its names are."""
    for line in range(node.lineno, node.end_lineno + 1):
        for found in re.finditer(after + rb"\b" + old.encode() + rb"\b", lines[line - 1]):
            yield line, found.end() - len(old.encode()), old
            if first:
                return


def _in_braces(node: ast.JoinedStr, old: str, lines: list[bytes]) -> Iterator[Place]:
    """Yield where a word stands in the expressions of an f-string, and not in its text or formats."""
    modes = [""]  # "" in text, "e" in an expression, "f" in a format
    for line in range(node.lineno, node.end_lineno + 1):
        first = node.col_offset if line == node.lineno else 0
        last = node.end_col_offset if line == node.end_lineno else None
        for found in re.finditer(rb"\{\{|\}\}|[{}:]|[!.]?\w+|[\x80-\xff]", lines[line - 1][:last]):
            word, mode = found[0].decode(errors="replace"), modes[-1]
            if found.start() < first or (word in ("{{", "}}") and mode == ""):
                continue
            if word[0] == "{":
                modes += ["e"] * len(word)
            elif word[0] == "}":
                del modes[max(1, len(modes) - len(word)) :]
            elif word == ":" and mode == "e":
                modes[-1] = "f"
            elif word == old and mode == "e":
                yield line, found.start(), old


def _stored(*nodes: ast.AST) -> set[str]:
    found = [one for node in nodes for one in ast.walk(node)]
    return {one.id for one in found if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load)}


def _bound(body: list[ast.AST]) -> set[str]:
    """Return the names that a function's or a class's body binds for itself, without those of functions in it."""
    found, declared, stack = set(), set(), list(body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, _IMPORTS):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Global):
            declared |= set(node.names)
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            found.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            found.add(node.rest)
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            found.add(getattr(node, "name", ""))
            stack += getattr(node, "decorator_list", ())
        elif isinstance(node, _COMPREHENSIONS):
            stack += [one for one in ast.walk(node) if isinstance(one, ast.NamedExpr)]
        else:
            stack += ast.iter_child_nodes(node)
    return found - declared
