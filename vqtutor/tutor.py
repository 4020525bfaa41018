"""What a student calls: check, judge, hint, progress, recall, answer."""

import io
import json
import linecache
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from dataclasses import replace
from functools import partial
from importlib import import_module
from types import CodeType, FunctionType, MethodType
from typing import Any

import jax

from vqtutor import checking
from vqtutor.checking import CheckFailed, Exercise, State, Verdict, card
from vqtutor.checking import progress as kept
from vqtutor.checking.probe import unwrapped
from vqtutor.lessons import EXERCISES, QUESTIONS, earlier_blanks, earlier_exercises, find
from vqtutor.lessons.answers import answer_of
from vqtutor.source import PREAMBLE, Cell, cut

_passed: list[Any] = []  # every answer that is known to be right, in this session


def judge(id: str, answer: Any) -> Verdict:
    """Return the verdict on an answer, as data; a notebook shows it as a card.

    Args:
      id: an exercise, such as "quantizer.nearest_code".
      answer: the function or class to judge.
    Raises:
      KeyError: when there is no such exercise. A wrong answer raises nothing.
    """
    exercise = find(id)
    # A blank is never blamed for the lesson's blanks above it. A name from an earlier lesson may be a helper of one's
    # own: there the reference is tried where the answer fails as it is.
    with _references_for_what_has_not_passed(earlier_blanks(exercise.id), answer) as replaced:
        verdict = checking.judge(exercise, answer)
    if verdict.state == State.NOT_YET:
        with _references_for_what_has_not_passed(earlier_exercises(exercise.id), answer) as all_replaced:
            again = checking.judge(exercise, answer) if len(all_replaced) > len(replaced) else verdict
        if again.passed:
            verdict, replaced = again, all_replaced
    if verdict.passed:
        _passed.append(answer)
    used = sorted({replaced[name] for name in _names(answer) if name in replaced})
    if used and verdict.state != State.OPEN:
        said = f"Checked with the course's own {' and '.join(used)}, because yours has not passed its check yet."
        verdict = replace(verdict, message="\n".join(filter(None, (verdict.message, said))))
    return verdict


def check(id: str, answer: Any) -> Any:
    """Judge an answer, show the card, keep the progress, and return what the cells below go on with.

    Args:
      id: an exercise, such as "quantizer.nearest_code".
      answer: the function or class to judge.
    Returns: `answer` itself when it is right; the course's own while the blank is still open.
    Raises:
      CheckFailed: when the answer is wrong; its traceback is the card. Under nbgrader's Validate also when the blank
        is still open.
    """
    start, nbgrader = time.perf_counter(), os.environ.get("NBGRADER_EXECUTION")
    with _silence() if nbgrader == "autograde" else nullcontext():
        verdict = judge(id, answer)
    _log(verdict, time.perf_counter() - start)
    kept.record(verdict, _source(find(id), answer))
    if nbgrader == "autograde":
        # nbgrader reads partial credit from a cell's result, and scores any cell that raises 0.
        from IPython import get_ipython

        card.show(verdict)
        get_ipython().displayhook(verdict.points)
    elif verdict.state == State.NOT_YET or (nbgrader == "validate" and not verdict.passed):
        raise CheckFailed(verdict)
    else:
        card.show(verdict)
    return answer if verdict.passed else find(id).reference


@contextmanager
def _references_for_what_has_not_passed(earlier: dict[str, str], answer: Any) -> Iterator[dict[str, str]]:
    """Put the references in place of earlier answers, {name: id}, that have not passed, so that none is blamed twice.

    Yields: {name that was replaced: name of its exercise}.
    """
    saved, replaced = [], {}
    for space in _spaces(answer):
        for name, id in earlier.items():
            right, found = find(id).reference, space.get(name)
            if found is None or any(found is fine for fine in (right, *_passed)):
                continue
            own = [alias for alias, value in space.items() if value is found or _is_jit_of(value, found)]
            saved += [(space, alias, space[alias]) for alias in own]
            replaced |= dict.fromkeys(own, name)
            space.update(dict.fromkeys(own, right))
    try:
        yield replaced
    finally:
        for space, name, found in saved:
            space[name] = found


def _is_jit_of(value: Any, function: Any) -> bool:
    return type(value) is type(jax.jit(len)) and value.__wrapped__ is function


def _functions(answer: Any) -> list[FunctionType]:
    """Return the functions that an answer consists of, as they were written: unwrapped of Haiku, jit and partial."""
    while isinstance(answer := unwrapped(answer), partial):
        answer = answer.func
    if isinstance(answer, MethodType):
        answer = answer.__func__
    if not isinstance(answer, (type, FunctionType)):
        answer = type(answer)
    parts = vars(answer).values() if isinstance(answer, type) else [answer]
    return [part for part in map(unwrapped, parts) if isinstance(part, FunctionType)]


def _spaces(answer: Any) -> list[dict[str, Any]]:
    """Return the namespaces that an answer takes its names from: its own notebook's or file's."""
    spaces = {id(function.__globals__): function.__globals__ for function in _functions(answer)}
    return [space for space in spaces.values() if not space.get("__name__", "").startswith("vqtutor.")]


def _names(answer: Any) -> set[str]:
    """Return the global names that an answer's own code speaks of."""
    codes, names = [function.__code__ for function in _functions(answer)], set()
    for code in codes:
        names |= set(code.co_names)
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return names


@contextmanager
def _silence():
    """Keep warnings off stderr, from Python and from XLA: nbgrader scores a cell that says anything there 0."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def recall(id: str) -> Any:
    """Return your own answer from an earlier lesson, as it passed its check; the course's own where there is none.

    Args:
      id: an exercise, such as "quantizer.VectorQuantizer".
    """
    exercise = find(id)
    try:
        answer = _run_again(exercise, kept.load(), {})
    except Exception as error:  # it may use what only its own notebook had
        said = f"Your answer is kept, but it does not run outside its notebook ({type(error).__name__}: {error})"
    else:
        # It passed when it was kept. One probe tells whether it runs here, without its notebook.
        if answer is not None and checking.judge(replace(exercise, probes=exercise.probes[:1]), answer).passed:
            _passed.append(answer)
            card.show(card.Note(f"{exercise.id} - yours, from its lesson"))
            return answer
        said = (
            "No answer of yours that passed is kept here" if answer is None else "Your answer is kept, but fails here"
        )
    card.show(card.Note(f"{exercise.id} - the course's own", (f"{said}, so the course's own stands in.",)))
    return exercise.reference


def _source(exercise: Exercise, answer: Any) -> str:
    """Return an answer's source with all it uses, cut out of the notebook's cells; "" where there is no notebook."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:
        return ""
    names = [name for name, value in shell.user_ns.items() if value is answer and not name.startswith("_")]
    name = exercise.name if exercise.name in names else next(iter(names), exercise.name)
    code = [Cell(text) for text in shell.history_manager.input_hist_raw]
    cell = next((cell for cell in reversed(code) if cell.defining(name)), None)
    if cell is None:
        return ""
    try:
        text, _ = cut(code, cell, name, earlier_blanks(exercise.id))
    except RecursionError:  # hundreds of names, each leaning on the next: the check counts all the same
        return ""
    return text if name == exercise.name else f"{text}\n{exercise.name} = {name}\n"


def _run_again(exercise: Exercise, done: dict[str, dict[str, Any]], made: dict[str, Any]) -> Any:
    """Return what a kept answer's source defines, built on your own earlier answers; None when it is not kept.

    Args:
      done: what progress keeps.
      made: {id: answer} of those that were run already; added to.
    """
    source = done.get(exercise.id, {}).get("source")
    if not source:
        return None
    earlier, whole = earlier_exercises(exercise.id), Cell(source)
    space: dict[str, Any] = {"__name__": "__main__", "vqtutor": import_module("vqtutor")}
    exec(PREAMBLE, space)
    for name in set.union(set(), *(one.needs for one in whole.statements)) & set(earlier):
        other = find(earlier[name])
        if other.id not in made:
            made[other.id] = _run_again(other, done, made) or other.reference
            _passed.append(made[other.id])
        space[name] = made[other.id]
    file = f"<your {exercise.id}>"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file  # so that a card can quote it
    exec(compile(source, file, "exec"), space)
    return space[exercise.name]


def _log(verdict: Verdict, seconds: float) -> None:
    """Append the verdict to $VQTUTOR_LOG, from which `make run` makes its table."""
    if os.environ.get("VQTUTOR_LOG"):
        names = ("exercise", "state", "passed", "points", "max_points", "misconception")
        entry = {name: getattr(verdict, name) for name in names} | {"seconds": round(seconds, 4)}
        with open(os.environ["VQTUTOR_LOG"], "a") as log:
            log.write(json.dumps(entry) + "\n")


def hint(id: str, step: int | None = None) -> None:
    """Show a step of an exercise's ladder of hints; the last is an answer that passes when it is pasted.

    The ladder is climbed by asking twice in a row, or again after another try. Running the whole notebook once more
    shows the same step once more.

    Args:
      id: an exercise, such as "quantizer.nearest_code".
      step: which step to show, from 1; it does not count as used.
    """
    exercise = find(id)
    ladder = len(exercise.hints) + 1
    if step is None:
        step = kept.next_hint(exercise.id, ladder, _asked_again(exercise.id))
    if not 1 <= step <= ladder:
        raise ValueError(f"{exercise.id} has {ladder} hints: ask for a step from 1 to {ladder}.")
    title = f"{exercise.id} - hint {step} of {ladder}"
    if step < ladder:
        card.show(card.Note(title, (exercise.hints[step - 1], "Ask again for the next one.")))
    else:
        card.show(card.Note(title, ("One way to write it:",), code=answer_of(exercise.id)))


_asked: dict[str, int] = {}  # exercise's id -> number of the cell that asked for its last hint


def _asked_again(id: str) -> bool:
    """Whether a hint was asked for twice in a row: no other cell ran in between. Without a notebook, always."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:
        return True
    last, _asked[id] = _asked.get(id), shell.execution_count
    return last is not None and shell.execution_count - last <= 1


def progress() -> None:
    """Show what is done so far: state, points, attempts and hints of every exercise."""
    done = kept.load()
    rows = [("exercise", "state", "points", "attempts", "hints used")]
    points = 0
    for id, exercise in EXERCISES.items():
        entry = done.get(id, {})
        points += entry.get("points", 0)
        numbers = f"{entry.get('points', 0)} of {exercise.points}", entry.get("attempts", 0), entry.get("hints", 0)
        rows.append((id, entry.get("state", State.OPEN), *map(str, numbers)))
    passed = sum(done.get(id, {}).get("state") == State.PASSED for id in EXERCISES)
    most = sum(exercise.points for exercise in EXERCISES.values())
    title = f"{passed} of {len(EXERCISES)} exercises passed, {points} of {most} points"
    card.show(card.Note(title, table=tuple(rows)))


def answer(id: str, choice: Any) -> None:
    """Choose an answer to a question, and only then read what is to be said of it, and of the others.

    Args:
      id: a question, such as "quantizer.q_flat".
      choice: the letter of a choice; `...` while it is still open.
    """
    question = QUESTIONS[id]
    letters = ", ".join(question.choices)
    if choice is ...:
        lines = tuple(f"{letter}) {said}" for letter, (said, _) in question.choices.items())
        card.show(card.Note(question.asks, (*lines, f"Not chosen yet: write one of {letters} and run the cell again.")))
        return
    if choice not in question.choices:
        raise ValueError(f"{choice!r} is not one of the choices: write one of {letters}, in quotes.")
    verdict = "that is the one" if choice == question.best else f"the one that holds is {question.best}"
    lines = [f"You chose {choice}; {verdict}."]
    for letter in sorted(question.choices, key=lambda letter: letter != choice):
        said, why = question.choices[letter]
        lines.append(f"{letter}) {said} - {why}")
    card.show(card.Note(question.asks, tuple(lines)))
