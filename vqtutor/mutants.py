"""Small changes of the right answers, which the checks must notice: vqtutor doctor --mutants.

A mutant is an answer's text with one slip in it. One that passes its check either does what the right answer does, and
is listed in the lesson's equal.py with the reason, or shows that a probe is missing.
"""

import ast
import copy
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from vqtutor.checking import judge
from vqtutor.lessons import EXERCISES, lesson_of
from vqtutor.lessons.answers import answer_of, define

SECONDS = 10.0  # of processor time for a mutant: many loop for ever


class Fate(StrEnum):
    """What became of a mutant."""

    NAMED = "rejected by a misconception's name"
    RELATED = "rejected, and told how it differs"
    CRASHED = "stopped with an error"
    UNNAMED = "rejected, and told no more than where"
    EQUAL = "listed as equal to the right answer"
    SURVIVED = "accepted"


@dataclass(frozen=True)
class Mutant:
    """A changed answer.

    Attributes:
      exercise: the id.
      change: in a line, such as "line 2: `a + b` -> `a - b`".
      text: the whole answer, changed.
    """

    exercise: str
    change: str
    text: str


_OPERATORS = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Div, ast.Mod),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
}
_TAKEN_FOR_EACH_OTHER = (
    ("sum", "mean", "max"),
    ("argmin", "argmax"),
    ("min", "max"),
    ("any", "all"),
    ("ones", "zeros"),
    ("ones_like", "zeros_like"),
    ("minimum", "maximum"),
    ("tanh", "sigmoid", "relu"),
    ("log", "log2", "exp"),
    ("softmax", "log_softmax"),
    ("get_parameter", "get_state"),
)


def mutants(id: str) -> Iterator[Mutant]:
    """Yield every small change of an exercise's answer that is Python, each text once."""
    tree = ast.parse(answer_of(id))
    texts = {ast.unparse(tree)}
    for change, changed in _changes(tree):
        text = ast.unparse(ast.fix_missing_locations(changed))
        if text in texts:
            continue
        texts.add(text)
        try:
            with warnings.catch_warnings(action="ignore"):
                compile(text, id, "exec")
        except SyntaxError:
            continue
        yield Mutant(id, change, text)


def fate(mutant: Mutant) -> tuple[Fate, str]:
    """Return what its check says of a mutant, and the message to the student; for an equal one, why it is equal."""
    exercise = EXERCISES[mutant.exercise]
    reasons = lesson_of(mutant.exercise).module("equal").EQUAL.get(exercise.name, {})
    for part, reason in reasons.items():
        if part in mutant.change:
            return Fate.EQUAL, reason
    try:
        with warnings.catch_warnings(action="ignore"):
            answer = define(mutant.exercise, mutant.text)
    except Exception as error:
        return Fate.CRASHED, repr(error)
    verdict = judge(exercise, answer, seconds=SECONDS)
    if verdict.passed:
        return Fate.SURVIVED, ""
    if verdict.misconception:
        return Fate.NAMED, verdict.misconception
    if verdict.is_relation:
        return Fate.RELATED, verdict.message
    crashed = verdict.message.startswith("Your code") or not verdict.probes
    return (Fate.CRASHED if crashed else Fate.UNNAMED), verdict.message


def _changes(tree: ast.Module) -> Iterator[tuple[str, ast.Module]]:
    parameters = _parameters(tree)
    for number, node in enumerate(ast.walk(tree)):
        for new in _replacements(node, tree, parameters):
            changed = copy.deepcopy(tree)
            target = list(ast.walk(changed))[number]
            _Put(target, copy.deepcopy(new)).visit(changed)
            after = f"-> `{_short(new)}`" if new else "dropped"
            yield f"line {node.lineno}: `{_short(node)}` {after}", changed
    for number, node in enumerate(ast.walk(tree)):
        if isinstance(node, ast.FunctionDef):
            for argument in node.args.args:
                for what, line in _of_argument(argument.arg):
                    changed = copy.deepcopy(tree)
                    function = list(ast.walk(changed))[number]
                    first = int(ast.get_docstring(function) is not None)
                    function.body[first:first] = ast.parse(line).body
                    yield f"line {node.lineno}: {argument.arg} {what}", changed


class _Put(ast.NodeTransformer):
    """Puts a node, or nothing, in place of another."""

    def __init__(self, old: ast.AST, new: ast.AST | None):
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST | None:
        return self.new if node is self.old else self.generic_visit(node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        node = super().generic_visit(node)
        if isinstance(getattr(node, "body", None), list) and not node.body:
            node.body = [ast.Pass()]
        return node


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _parameters(tree: ast.Module) -> set[str]:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {argument.arg for function in functions for argument in function.args.args} - {"self"}


def _of_argument(name: str) -> Iterator[tuple[str, str]]:
    if name != "self":
        yield "is ignored", f"{name} = 0 * {name}"
        yield "has the first example's value for all", f"{name} = jnp.broadcast_to({name}[:1], {name}.shape)"


def _copy(node: ast.AST, **fields) -> ast.AST:
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _without(items: list, index: int) -> list:
    return [*items[:index], *items[index + 1 :]]


def _swapped(items: list, index: int) -> list:
    return [*items[:index], items[index + 1], items[index], *items[index + 2 :]]


def _call(function: str, node: ast.expr) -> ast.expr:
    return ast.Call(ast.parse(function, mode="eval").body, [node], [])


def _replacements(node: ast.AST, tree: ast.Module, parameters: set[str]) -> Iterator[ast.AST | None]:
    """Yield what may stand in a node's place by mistake; None where it may be missing."""
    match node:
        case ast.BinOp():
            yield from (_copy(node, op=other()) for other in _OPERATORS.get(type(node.op), ()))
            yield node.left
            yield node.right
            if not isinstance(node.op, (ast.Add, ast.Mult)):
                yield _copy(node, left=node.right, right=node.left)
        case ast.UnaryOp():
            yield node.operand
        case ast.Compare(ops=[operator]):
            yield from (_copy(node, ops=[other()]) for other in _OPERATORS.get(type(operator), ()))
        case ast.BoolOp():
            yield from (_copy(node, op=other()) for other in _OPERATORS[type(node.op)])
            yield from node.values
        case ast.IfExp():
            yield node.body
            yield node.orelse
        case ast.Constant(value=bool()):
            yield _copy(node, value=not node.value)
        case ast.Constant(value=int() | float()):
            yield from (_copy(node, value=value) for value in {node.value + 1, node.value - 1, 0 * node.value})
            if isinstance(node.value, float):
                yield _copy(node, value=node.value / 2)
        case ast.Constant(value=str()) if not _is_docstring(node, tree):
            others = {
                one.value for one in ast.walk(tree) if isinstance(one, ast.Constant) and isinstance(one.value, str)
            }
            yield from (_copy(node, value=other) for other in sorted(others) if other.isidentifier())
        case ast.Call():
            yield from _of_call(node)
        case ast.Attribute(ctx=ast.Load()):
            yield from (_copy(node, attr=other) for other in _others(node.attr))
        case ast.Subscript(ctx=ast.Load()):
            yield node.value
        case ast.Slice():
            yield from (_copy(node, **{part: None}) for part in ("lower", "upper") if getattr(node, part))
        case ast.Tuple(ctx=ast.Load()) | ast.List(ctx=ast.Load()):
            for i in range(len(node.elts)):
                yield _copy(node, elts=_without(node.elts, i))
                if i + 1 < len(node.elts):
                    yield _copy(node, elts=_swapped(node.elts, i))
        case ast.Dict():
            for i in range(len(node.keys)):
                yield _copy(node, keys=_without(node.keys, i), values=_without(node.values, i))
                if i + 1 < len(node.keys):
                    yield _copy(node, values=_swapped(node.values, i))
        case ast.If():
            yield from (_copy(node, test=ast.Constant(value)) for value in (True, False))
        case ast.Assign() | ast.AugAssign() | ast.Expr() if not _is_docstring(getattr(node, "value", None), tree):
            yield None
        case ast.Return() if node.value:
            yield _copy(node, value=_call("jnp.squeeze", node.value))
            yield _copy(node, value=_call("jax.lax.stop_gradient", node.value))
        case ast.Name(ctx=ast.Load()) if node.id in parameters:
            yield _call("jax.lax.stop_gradient", node)


def _of_call(node: ast.Call) -> Iterator[ast.AST]:
    for i in range(len(node.keywords)):
        yield _copy(node, keywords=_without(node.keywords, i))
    for i in range(len(node.args) - 1):
        yield _copy(node, args=_swapped(node.args, i))
    if node.args:  # relu(x) -> x, stop_gradient(x) -> x
        yield node.args[0]
    if isinstance(node.func, ast.Attribute) and not _is_module(node.func.value):  # x.mean() -> x
        yield node.func.value


def _is_module(node: ast.expr) -> bool:
    return ast.unparse(node).split(".")[0] in ("jax", "jnp", "hk", "np", "optax", "math", "vqtutor")


def _others(name: str) -> list[str]:
    return [other for group in _TAKEN_FOR_EACH_OTHER if name in group for other in group if other != name]


def _is_docstring(node: ast.AST | None, tree: ast.Module) -> bool:
    if not isinstance(node, ast.Constant):
        return False
    blocks = [one.body for one in ast.walk(tree) if isinstance(one, (ast.FunctionDef, ast.ClassDef))]
    return any(isinstance(body[0], ast.Expr) and body[0].value is node for body in blocks)
