"""What a student calls: check, judge, hint, progress, recall, commit."""

import inspect
import io
import json
import linecache
import os
import textwrap
import time
from contextlib import contextmanager, nullcontext, redirect_stderr
from dataclasses import replace
from types import CodeType
from typing import Any

from vqtutor import checking
from vqtutor.checking import CheckFailed, Exercise, Verdict, card
from vqtutor.checking import progress as kept
from vqtutor.exercises import EXERCISES, QUESTIONS, find


def judge(id: str, answer: Any) -> Verdict:
    """Return the verdict on an answer, as data; a notebook shows it as a card.

    Args:
      id: an exercise, such as "quantizer.nearest_code".
      answer: the function or class to judge.
    Raises:
      KeyError: when there is no such exercise. A wrong answer raises nothing.
    """
    return checking.judge(find(id), answer)


def check(id: str, answer: Any) -> Any:
    """Judge an answer, show the card, keep the progress, and return what the cells below go on with.

    Args:
      id: an exercise, such as "quantizer.nearest_code".
      answer: the function or class to judge.
    Returns: `answer` itself when it is right; the course's own while the blank is still open.
    Raises:
      CheckFailed: when the answer is wrong; its traceback is the card.
    """
    start, by_nbgrader = time.perf_counter(), os.environ.get("NBGRADER_EXECUTION") == "autograde"
    with _silence() if by_nbgrader else nullcontext():
        verdict = judge(id, answer)
    _log(verdict, time.perf_counter() - start)
    kept.record(verdict, _cell(answer))
    if by_nbgrader:
        # nbgrader reads partial credit from a cell's result, and scores any cell that raises 0.
        from IPython import get_ipython

        card.show(verdict)
        get_ipython().displayhook(verdict.points)
    elif verdict.state == "not yet":
        raise CheckFailed(verdict)
    else:
        card.show(verdict)
    return answer if verdict.passed else find(id).reference


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
    exercise, done = find(id), kept.load()
    try:
        answer = _run_again(exercise, {key: entry.get("source", "") for key, entry in done.items()})
    except Exception as error:  # a cell may have used what only its own notebook had
        said = f"Your answer is kept, but does not run by itself here ({type(error).__name__}: {error})"
    else:
        # It passed when it was kept. Whether it runs here, without its notebook, one probe tells.
        if answer is not None and checking.judge(replace(exercise, probes=exercise.probes[:1]), answer).passed:
            card.show(card.Note(f"{id} - yours, from its lesson"))
            return answer
        said = "No answer of yours that passed is kept here"
    card.show(card.Note(f"{id} - the course's own", (f"{said}, so the course's own stands in.",)))
    return exercise.reference


def _cell(answer: Any) -> str:
    """Return the notebook cell in which an answer was written, or "" where it was not written in one."""
    written = answer.__dict__.get("__call__") if inspect.isclass(answer) else answer
    code = getattr(inspect.unwrap(written), "__code__", None)  # Haiku and jit wrap what was written
    if not isinstance(code, CodeType) or os.path.exists(code.co_filename):
        return ""
    return "".join(linecache.getlines(code.co_filename))


def _run_again(exercise: Exercise, sources: dict[str, str]) -> Any:
    """Run a lesson's kept cells up to an exercise's own, and return what that one defines; None when it is not kept."""
    if not sources.get(exercise.id):
        return None
    space: dict[str, Any] = {"__name__": "__main__"}
    exec("import haiku as hk, jax, jax.numpy as jnp, numpy as np, optax, vqtutor", space)
    for id, earlier in EXERCISES.items():
        if earlier.lesson == exercise.lesson:
            space[earlier.name] = earlier.reference
            exec(sources.get(id, ""), space)
        if id == exercise.id:
            return space[exercise.name]


def _log(verdict: Verdict, seconds: float) -> None:
    """Append the verdict to $VQTUTOR_LOG, from which `make run` makes its table."""
    if os.environ.get("VQTUTOR_LOG"):
        names = ("exercise", "state", "passed", "points", "max_points", "misconception")
        entry = {name: getattr(verdict, name) for name in names} | {"seconds": round(seconds, 4)}
        with open(os.environ["VQTUTOR_LOG"], "a") as log:
            log.write(json.dumps(entry) + "\n")


def hint(id: str, step: int | None = None) -> None:
    """Show the next step of an exercise's ladder of hints; the last is the reference answer.

    Args:
      id: an exercise, such as "quantizer.nearest_code".
      step: which step to show again, from 1.
    """
    exercise = find(id)
    ladder = len(exercise.hints) + 1
    if step is None:
        step = kept.next_hint(id, ladder)
    if not 1 <= step <= ladder:
        raise ValueError(f"{id} has {ladder} hints: ask for a step from 1 to {ladder}.")
    title = f"{id} - hint {step} of {ladder}"
    if step < ladder:
        card.show(card.Note(title, (exercise.hints[step - 1],)))
    else:
        source = textwrap.dedent(inspect.getsource(exercise.reference))
        card.show(card.Note(title, ("One way to write it:",), code=source))


def progress() -> None:
    """Show what is done so far: state, points, attempts and hints of every exercise."""
    done = kept.load()
    rows = [("exercise", "state", "points", "attempts", "hints used")]
    points = 0
    for id, exercise in EXERCISES.items():
        entry = done.get(id, {})
        points += entry.get("points", 0)
        numbers = f"{entry.get('points', 0)} of {exercise.points}", entry.get("attempts", 0), entry.get("hints", 0)
        rows.append((id, entry.get("state", "not written yet"), *map(str, numbers)))
    passed = sum(done.get(id, {}).get("state") == "passed" for id in EXERCISES)
    most = sum(exercise.points for exercise in EXERCISES.values())
    title = f"{passed} of {len(EXERCISES)} exercises passed, {points} of {most} points"
    card.show(card.Note(title, table=tuple(rows)))


def commit(id: str, choice: Any) -> None:
    """Commit to a choice in a question, and only then read what is to be said of it, and of the others.

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
