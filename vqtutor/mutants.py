"""Small changes of the right answers, which the checks must notice: vqtutor doctor --mutants.

A mutant is an answer's text with one slip in it. One that passes its check either does what the right answer does, and
is listed in the lesson's equal.py with the reason, or shows that a probe is missing.
"""

import ast
import copy
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

from vqtutor.checking.exercise import Tried
from vqtutor.checking.judge import Verdict, judge_observations
from vqtutor.checking.probe import misfit, observe
from vqtutor.checking.tried import behaves_as, fingerprints, plain
from vqtutor.lessons import EXERCISES, lesson_of
from vqtutor.lessons.answers import answer_of, define
from vqtutor.lessons.entries import tried_file
from vqtutor.storage import whole_file

SECONDS = 10.0  # of processor time for a mutant: many loop for ever


class Fate(StrEnum):
    """What became of a mutant."""

    NAMED = "rejected by a misconception's name"
    SLIP = "rejected as the small mistake that it is"
    RELATED = "rejected, and told how it differs"
    CRASHED = "stopped with an error"
    UNNAMED = "rejected, and told no more than where"
    EQUAL = "listed as equal to the right answer"
    SURVIVED = "accepted"


class Told(NamedTuple):
    """What a student is told of a small mistake."""

    name: str
    says: str
    look: str


@dataclass(frozen=True)
class Mutant:
    """A changed answer.

    Attributes:
      exercise: the id.
      change: in a line, such as "line 2: `a + b` -> `a - b`".
      text: the whole answer, changed.
      slip: what a student is told whose answer behaves alike.
    """

    exercise: str
    change: str
    text: str
    slip: Told


_DONE_BY = {
    ast.Add: "added",
    ast.Sub: "subtracted",
    ast.Mult: "multiplied",
    ast.Div: "divided",
    ast.FloorDiv: "divided and rounded down",
    ast.Mod: "divided for its remainder",
    ast.Pow: "raised to a power",
    ast.MatMult: "multiplied as matrices",
    ast.BitAnd: 'joined by "and"',
    ast.BitOr: 'joined by "or"',
}
_OPERATORS = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Div, ast.Mod),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
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
_WITH_EQUALITY = {(ast.Lt, ast.LtE), (ast.LtE, ast.Lt), (ast.Gt, ast.GtE), (ast.GtE, ast.Gt)}
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
    for change, changed, slip in _changes(tree):
        text = ast.unparse(ast.fix_missing_locations(changed))
        if text in texts:
            continue
        texts.add(text)
        try:
            with warnings.catch_warnings(action="ignore"):
                compile(text, id, "exec")
        except SyntaxError:
            continue
        yield Mutant(id, change, text, slip)


@dataclass(frozen=True)
class Trial:
    """A mutant, what became of it, the message to the student or the reason why it is equal, and its fingerprints.

    There are none where it cannot be called, or an error or a time-out came between. `unseen` is what would have become
    of it if no small mistakes were known: those are made of the mutants, and prove nothing for answers not seen yet.
    """

    mutant: Mutant
    fate: Fate
    message: str
    prints: Mapping[str, Any]
    unseen: Fate


def trial(mutant: Mutant, afresh: bool = False) -> Trial:
    """Return what the check says of a mutant; `afresh`, as if nothing had been tried beforehand."""
    exercise = EXERCISES[mutant.exercise]
    exercise = replace(exercise, tried=Tried()) if afresh else exercise
    with warnings.catch_warnings(action="ignore"):
        try:
            answer = define(mutant.exercise, mutant.text)
        except Exception as error:
            return Trial(mutant, Fate.CRASHED, repr(error), {}, Fate.CRASHED)
        if sentence := misfit(exercise, answer):
            return Trial(mutant, Fate.CRASHED, sentence, {}, Fate.CRASHED)
        observations = observe(exercise, answer, SECONDS)
        verdict = judge_observations(exercise, observations)
        became = unseen = _fate(mutant, verdict)
        if became == Fate.SLIP:
            bare = replace(exercise, tried=replace(exercise.tried, slips=()))
            unseen = _fate(mutant, judge_observations(bare, observations))
    prints = {} if any(one.problem for one in observations) else fingerprints(observations)
    message = equal(mutant) if verdict.passed else verdict.misconception or verdict.message
    return Trial(mutant, became, message, prints, unseen)


def _fate(mutant: Mutant, verdict: Verdict) -> Fate:
    if verdict.passed:
        return Fate.EQUAL if equal(mutant) else Fate.SURVIVED
    if verdict.misconception:
        names = [misconception.name for misconception in EXERCISES[mutant.exercise].misconceptions]
        return Fate.NAMED if verdict.misconception in names else Fate.SLIP
    if verdict.is_relation:
        return Fate.RELATED
    return Fate.CRASHED if verdict.message.startswith("Your code") else Fate.UNNAMED


def equal(mutant: Mutant) -> str:
    """Return why a mutant does the same as the right answer, as equal.py of its lesson says; else ""."""
    reasons = lesson_of(mutant.exercise).module("equal").EQUAL.get(mutant.exercise.split(".")[1], {})
    return next((reason for part, reason in reasons.items() if part in mutant.change), "")


def tried(id: str, trials: Sequence[Trial]) -> dict[str, Any]:
    """Return what tried.json keeps of an exercise: fingerprints of the catalogue, and of every slip."""
    right, *wrong = (observe(EXERCISES[id], answer, 120) for answer in EXERCISES[id].catalogue)
    table: list[dict[str, Any]] = []
    for one in trials:
        is_new = one.prints and not any(behaves_as(one.prints, other["prints"]) for other in table)
        if one.fate in (Fate.RELATED, Fate.UNNAMED) and is_new:
            table.append(one.mutant.slip._asdict() | {"prints": one.prints})
    return {"right": plain(right), "wrong": [fingerprints(one) for one in wrong], "slips": table}


def write(id: str, trials: Sequence[Trial]) -> None:
    """Keep what was tried of an exercise in its lesson's tried.json."""
    file = tried_file(id)
    kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    kept[id] = tried(id, trials)
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(kept.items()))
    with whole_file(file) as part:
        part.write(f"{{\n{lines}\n}}\n".encode())


def _changes(tree: ast.Module) -> Iterator[tuple[str, ast.Module, Told]]:
    parameters = _parameters(tree)
    for number, node in enumerate(ast.walk(tree)):
        for new, slip in _replacements(node, tree, parameters):
            changed = copy.deepcopy(tree)
            target = list(ast.walk(changed))[number]
            _Put(target, copy.deepcopy(new)).visit(changed)
            after = f"-> `{_short(new)}`" if new else "dropped"
            yield f"line {node.lineno}: `{_short(node)}` {after}", changed, slip
    for number, node in enumerate(ast.walk(tree)):
        if isinstance(node, ast.FunctionDef):
            for argument in node.args.args:
                for line, slip in _of_argument(argument.arg):
                    changed = copy.deepcopy(tree)
                    function = list(ast.walk(changed))[number]
                    first = int(ast.get_docstring(function) is not None)
                    function.body[first:first] = ast.parse(line).body
                    yield f"line {node.lineno}: `{line}` at first", changed, slip


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


def _of_argument(name: str) -> Iterator[tuple[str, Told]]:
    if name != "self":
        yield (
            f"{name} = 0 * {name}",
            Told(
                f"{name} is ignored",
                f"Your answer behaves as if {name} were 0: its values are not used.",
                f"Follow {name} through your lines: where is it used?",
            ),
        )
        yield (
            f"{name} = jnp.broadcast_to({name}[:1], {name}.shape)",
            Told(
                f"the first of {name} for all",
                f"You use what belongs to the first of {name} for all of them.",
                "Is there an index 0, or a broadcast, where each should use its own?",
            ),
        )


def _copy(node: ast.AST, **fields) -> ast.AST:
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _without(items: list, index: int) -> list:
    return [*items[:index], *items[index + 1 :]]


def _swapped(items: list, index: int) -> list:
    return [*items[:index], items[index + 1], items[index], *items[index + 2 :]]


def _held_still(node: ast.expr) -> ast.expr:
    return ast.Call(ast.parse("jax.lax.stop_gradient", mode="eval").body, [node], [])


def _made_of(node: ast.AST, parameters: set[str]) -> str:
    """Return what a part is made of, as far as the student knows its name: " made of z and codebook"."""
    names = [one.id for one in ast.walk(node) if isinstance(one, ast.Name) and one.id in parameters]
    return f" made of {' and '.join(dict.fromkeys(names))}" if names else ""


def _replacements(node: ast.AST, tree: ast.Module, parameters: set[str]) -> Iterator[tuple[ast.AST | None, Told]]:
    """Yield (what may stand in a node's place by mistake, or None where it may be missing; what to tell)."""
    match node:
        case ast.BinOp():
            yield from _of_operation(node, parameters)
        case ast.UnaryOp():
            what = "a minus" if isinstance(node.op, ast.USub) else "a `not`"
            yield node.operand, Told(f"{what} is missing", f"Somewhere {what} is missing.", "Look at your signs.")
        case ast.Compare(ops=[operator]):
            for other in _OPERATORS.get(type(operator), ()):
                border = (type(operator), other) in _WITH_EQUALITY
                yield (
                    _copy(node, ops=[other()]),
                    Told(
                        "a comparison at its border" if border else "a comparison turned round",
                        "A comparison is right, but for values that are exactly equal."
                        if border
                        else "A comparison is the other way round.",
                        "Try it on two equal numbers." if border else "Which of the two should be the larger one?",
                    ),
                )
        case ast.BoolOp():
            slip = Told("a condition", "A condition that is made of two is off.", 'Is it "and", or "or"?')
            yield from ((_copy(node, op=other()), slip) for other in _OPERATORS[type(node.op)])
            yield from ((value, slip) for value in node.values)
        case ast.IfExp():
            slip = Told(
                "a choice that is always made alike",
                "Only one of two cases is treated.",
                "What decides between the two?",
            )
            yield from ((part, slip) for part in (node.body, node.orelse))
        case ast.Constant(value=bool()):
            slip = Told("a yes for a no", f"Somewhere it says {not node.value} and should say {node.value}.", "Which?")
            yield _copy(node, value=not node.value), slip
        case ast.Constant(value=int() | float()):
            for value in dict.fromkeys((node.value + 1, node.value - 1, 0 * node.value, node.value / 2)):
                if isinstance(node.value, float) or value == int(value):
                    yield (
                        _copy(node, value=type(node.value)(value)),
                        Told(
                            "a number that is off",
                            f"Your answer behaves as if somewhere you had written {value:g} instead of {node.value:g}.",
                            "Go through your numbers: exponents, axes, factors, indices.",
                        ),
                    )
        case ast.Constant(value=str()) if not _is_docstring(node, tree):
            texts = [one.value for one in ast.walk(tree) if isinstance(one, ast.Constant)]
            others = {text for text in texts if isinstance(text, str) and text.isidentifier()}
            slip = Told(
                "a name that is off", f'Somewhere you use another name instead of "{node.value}".', "Read your strings."
            )
            yield from ((_copy(node, value=other), slip) for other in sorted(others))
        case ast.Call():
            yield from _of_call(node)
        case ast.Attribute(ctx=ast.Load()):
            for other in _others(node.attr):
                yield (
                    _copy(node, attr=other),
                    Told(
                        f"{other} for {node.attr}",
                        f"Your answer behaves as if somewhere you had written {other} instead of {node.attr}.",
                        f"What is the difference between {other} and {node.attr}, and which do you need here?",
                    ),
                )
        case ast.Subscript(ctx=ast.Load()):
            slip = Told(
                "an index is missing", "A whole array is used where a part of it is meant.", "Look at your [...]."
            )
            yield node.value, slip
        case ast.Slice():
            slip = Told("a slice too long", "A slice takes more than it should.", "Where does it begin, and end?")
            yield from ((_copy(node, **{part: None}), slip) for part in ("lower", "upper") if getattr(node, part))
        case ast.Tuple(ctx=ast.Load()) | ast.List(ctx=ast.Load()):
            for i in range(len(node.elts)):
                yield (
                    _copy(node, elts=_without(node.elts, i)),
                    Told(
                        "a part is missing",
                        "One of several things is missing.",
                        "Count what you return, and what you pass on.",
                    ),
                )
                if i + 1 < len(node.elts):
                    yield _copy(node, elts=_swapped(node.elts, i)), _TWO_SWAPPED
        case ast.Dict():
            for i in range(len(node.keys)):
                key = ast.unparse(node.keys[i]).strip("'")
                slip = Told(f"{key} is missing", f'"{key}" is missing from what you return.', "Count what you return.")
                yield _copy(node, keys=_without(node.keys, i), values=_without(node.values, i)), slip
                if i + 1 < len(node.keys):
                    yield _copy(node, values=_swapped(node.values, i)), _TWO_SWAPPED
        case ast.If():
            for value, when in ((True, "always"), (False, "never")):
                yield (
                    _copy(node, test=ast.Constant(value)),
                    Told(
                        f"a step that {when} happens",
                        f"Something that should happen only sometimes {when} happens.",
                        f"What is the meaning of {_short(node.test)}?"
                        if isinstance(node.test, ast.Name)
                        else "When is it meant to?",
                    ),
                )
        case ast.Assign() | ast.AugAssign() | ast.Expr() if not _is_docstring(getattr(node, "value", None), tree):
            yield (
                None,
                Told(
                    "a step left out",
                    f"A step is missing{_made_of(node, parameters).replace('made of', 'that has to do with')}.",
                    "Go through the steps that the header and the hints name.",
                ),
            )
        case ast.Return() if node.value:
            squeezed = ast.Call(ast.parse("jnp.squeeze", mode="eval").body, [node.value], [])
            yield (
                _copy(node, value=squeezed),
                Told(
                    "an axis squeezed away",
                    "An axis of length 1 is lost.",
                    "squeeze drops every axis of length 1, including yours.",
                ),
            )
            yield (
                _copy(node, value=_held_still(node.value)),
                Told("no gradient at all", "The values are right, but no gradient comes through.", "What stops it?"),
            )
        case ast.Name(ctx=ast.Load()) if node.id in parameters:
            yield (
                _held_still(node),
                Told(
                    f"{node.id} held still",
                    f"The values are right, but in one place no gradient reaches {node.id}.",
                    "Is something inside stop_gradient that should be outside?",
                ),
            )


_TWO_SWAPPED = Told(
    "two things swapped", "Two things are swapped.", "Look at the order in which the header asks for them."
)


def _of_operation(node: ast.BinOp, parameters: set[str]) -> Iterator[tuple[ast.AST, Told]]:
    word = _DONE_BY.get(type(node.op), "combined")
    for other in _OPERATORS.get(type(node.op), ()):
        yield (
            _copy(node, op=other()),
            Told(
                f"{_DONE_BY[other]}, not {word}",
                f"Your answer behaves as if something were {_DONE_BY[other]} that should be {word}.",
                f"It is about a part{_made_of(node.right, parameters) or ' of your formula'}.",
            ),
        )
    for rest, lost in ((node.left, node.right), (node.right, node.left)):
        kind = {ast.Add: "a term", ast.Sub: "a term", ast.Mult: "a factor", ast.Div: "a division"}.get(
            type(node.op), "a part"
        )
        made_of = _made_of(lost, parameters)
        yield (
            rest,
            Told(
                f"{kind}{made_of} is missing",
                f"Your answer behaves as if {kind}{made_of} were missing.",
                "Write the formula down on paper and count its parts.",
            ),
        )
    if not isinstance(node.op, (ast.Add, ast.Mult)):
        yield (
            _copy(node, left=node.right, right=node.left),
            Told(
                "the wrong way round",
                f"Two things are {word} the wrong way round.",
                "Which of the two comes first?",
            ),
        )


def _of_call(node: ast.Call) -> Iterator[tuple[ast.AST, Told]]:
    name = _short(node.func).split(".")[-1].strip("()")
    for i, one in enumerate(node.keywords):
        yield (
            _copy(node, keywords=_without(node.keywords, i)),
            Told(
                f"{name} without {one.arg}",
                f"Your answer behaves as if {one.arg} were not given to {name}.",
                f"What does {name} do without {one.arg}?",
            ),
        )
    for i in range(len(node.args) - 1):
        yield (
            _copy(node, args=_swapped(node.args, i)),
            Told(f"arguments of {name} swapped", f"Two arguments of {name} are swapped.", "Look their order up."),
        )
    slip = Told(f"{name} is missing", f"Your answer behaves as if {name} were missing.", "Which step does that?")
    if node.args:  # relu(x) -> x, stop_gradient(x) -> x
        yield node.args[0], slip
    if isinstance(node.func, ast.Attribute) and not _is_module(node.func.value):  # x.mean() -> x
        yield node.func.value, slip


def _is_module(node: ast.expr) -> bool:
    return ast.unparse(node).split(".")[0] in ("jax", "jnp", "hk", "np", "optax", "math", "vqtutor")


def _others(name: str) -> list[str]:
    return [other for group in _TAKEN_FOR_EACH_OTHER if name in group for other in group if other != name]


def _is_docstring(node: ast.AST | None, tree: ast.Module) -> bool:
    if not isinstance(node, ast.Constant):
        return False
    blocks = [one.body for one in ast.walk(tree) if isinstance(one, (ast.FunctionDef, ast.ClassDef))]
    return any(isinstance(body[0], ast.Expr) and body[0].value is node for body in blocks)
