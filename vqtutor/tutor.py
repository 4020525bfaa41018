"""What a student calls: check, judge, hint, progress, recall, answer."""

import io
import json
import linecache
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr
from dataclasses import replace
from functools import partial
from importlib import import_module
from types import CodeType, FunctionType, MethodType
from typing import Any

import jax

from vqtutor import checking
from vqtutor.checking import CheckFailed, Exercise, Question, State, Verdict, card
from vqtutor.checking import progress as progress_file
from vqtutor.checking.probe import unwrapped
from vqtutor.lessons import EXERCISES, LESSONS, QUESTIONS, Lesson, earlier_blanks, earlier_exercises, find, lesson_of
from vqtutor.lessons.answers import answer_of
from vqtutor.source import PREAMBLE, Cell, aliases, cut

_right_answers: list[Any] = []  # answers that passed a check in this session


def judge(id: str, answer: Any) -> Verdict:
    """Return the verdict on an answer, as data; a notebook shows it as a card.

    Args:
      id: an exercise, such as "quantizer.nearest_code".
      answer: the function or class to judge.
    Raises:
      KeyError: when there is no such exercise. A wrong answer raises nothing.
    """
    exercise = find(id)
    # The lesson's earlier answers are replaced at once, so that their mistakes do not count here. A name from an
    # earlier lesson may be a helper of the student's: it is replaced only if the answer fails otherwise.
    with _stand_ins(earlier_blanks(exercise.id), answer) as substitutes:
        verdict = checking.judge(exercise, answer)
    if verdict.state == State.NOT_YET:
        with _stand_ins(earlier_exercises(exercise.id), answer) as more_substitutes:
            again = checking.judge(exercise, answer) if len(more_substitutes) > len(substitutes) else verdict
        if again.passed:
            verdict, substitutes = again, more_substitutes
    if verdict.passed:
        _right_answers.append(answer)
    names = sorted({substitutes[name] for name in _names(answer) if name in substitutes})
    if names and verdict.state != State.OPEN:
        sentence = f"Checked with the course's own {' and '.join(names)}, because yours has not passed its check yet."
        verdict = replace(verdict, message="\n".join(filter(None, (verdict.message, sentence))))
    return verdict


def check(id: str, answer: Any) -> Any:
    """Judge an answer, show the card, store the progress, and return the answer that the cells below use.

    Args:
      id: an exercise, such as "quantizer.nearest_code".
      answer: the function or class to judge.
    Returns: `answer` itself when it is right; the course's own while the blank is still open.
    Raises:
      CheckFailed: the answer is wrong; the card is shown in place of the traceback. Under nbgrader's Validate also when
        the blank is still open.
    """
    start, nbgrader = time.perf_counter(), os.environ.get("NBGRADER_EXECUTION")
    with _silence() if nbgrader == "autograde" else nullcontext():
        verdict = judge(id, answer)
    _log(verdict, time.perf_counter() - start)
    entries = progress_file.record(verdict, _source(find(id), answer))
    verdict = replace(verdict, standing=_standing(lesson_of(find(id).id), entries))
    if nbgrader == "autograde":
        # nbgrader reads partial credit from a cell's result, and gives 0 points to a cell that raises.
        from IPython import get_ipython

        card.show(verdict)
        get_ipython().displayhook(verdict.points)
    elif verdict.state == State.NOT_YET or (nbgrader == "validate" and not verdict.passed):
        if card.in_a_notebook():
            card.show(verdict)
        raise CheckFailed(verdict)
    else:
        card.show(verdict)
    return answer if verdict.passed else find(id).reference


@contextmanager
def _stand_ins(earlier: dict[str, str], answer: Any) -> Iterator[dict[str, str]]:
    """Replace earlier answers that have not passed by the references, so that a mistake counts only once.

    Args:
      earlier: {name: id} of exercises.
      answer: the answer in whose namespaces they are replaced.
    Yields: {replaced name: name of its exercise}.
    """
    originals, substitutes = [], {}
    for space in _spaces(answer):
        for name, id in earlier.items():
            right, value = find(id).reference, space.get(name)
            if value is None or any(value is fine for fine in (right, *_right_answers)):
                continue
            own = [alias for alias, other in space.items() if other is value or _is_jit_of(other, value)]
            originals += [(space, alias, space[alias]) for alias in own]
            substitutes |= dict.fromkeys(own, name)
            space.update(dict.fromkeys(own, right))
    try:
        yield substitutes
    finally:
        for space, name, value in originals:
            space[name] = value


def _is_jit_of(value: Any, function: Any) -> bool:
    return type(value) is type(jax.jit(len)) and value.__wrapped__ is function


def _functions(answer: Any) -> list[FunctionType]:
    """Return the functions that an answer consists of, without the wrappers of Haiku, jit and partial."""
    while isinstance(answer := unwrapped(answer), partial):
        answer = answer.func
    if isinstance(answer, MethodType):
        answer = answer.__func__
    if not isinstance(answer, (type, FunctionType)):
        answer = type(answer)
    parts = vars(answer).values() if isinstance(answer, type) else [answer]
    return [part for part in map(unwrapped, parts) if isinstance(part, FunctionType)]


def _spaces(answer: Any) -> list[dict[str, Any]]:
    """Return the namespaces in which an answer looks names up: its notebook's or its file's."""
    spaces = {id(function.__globals__): function.__globals__ for function in _functions(answer)}
    return [space for space in spaces.values() if not space.get("__name__", "").startswith("vqtutor.")]


def _names(answer: Any) -> set[str]:
    """Return the global names that an answer's own code mentions."""
    codes, names = [function.__code__ for function in _functions(answer)], set()
    for code in codes:
        names |= set(code.co_names)
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return names


@contextmanager
def _silence():
    """Suppress stderr, of Python and of XLA: nbgrader gives 0 points to a cell that writes to it."""
    stderr, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null)


def recall(id: str) -> Any:
    """Return your own answer from an earlier lesson, as it passed its check; the course's own where there is none.

    Args:
      id: an exercise, such as "quantizer.VectorQuantizer".
    """
    exercise = find(id)
    try:
        answer = _run_again(exercise, progress_file.load(), {})
    except Exception as error:  # it may use names that only its notebook defines
        reason = f"Your answer is kept, but it does not run outside its notebook ({type(error).__name__}: {error})"
    else:
        # It passed when it was stored. One probe shows whether it runs without its notebook.
        if answer is not None and checking.judge(replace(exercise, probes=exercise.probes[:1]), answer).passed:
            _right_answers.append(answer)
            card.show(card.Note(f"{exercise.id} - yours, from its lesson"))
            return answer
        reason = "There is no answer here that passed" if answer is None else "Your answer is saved, but fails here"
    card.show(card.Note(f"{exercise.id} - the course's own", (f"{reason}, so the course's own is used.",)))
    return exercise.reference


def _source(exercise: Exercise, answer: Any) -> str:
    """Return an answer's source with all that it uses, cut out of the notebook; "" if there is no notebook."""
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
        text, others = cut(code, cell, name, earlier_blanks(exercise.id), as_written=True)
    except RecursionError:  # a chain of hundreds of names: go on without the source
        return ""
    return aliases(others) + (text if name == exercise.name else f"{text}\n{exercise.name} = {name}\n")


def _run_again(exercise: Exercise, entries: dict[str, dict[str, Any]], answers: dict[str, Any]) -> Any:
    """Return what a stored answer's source defines, given the student's earlier answers; None if nothing is stored.

    Args:
      exercise: the exercise of the answer.
      entries: the stored progress.
      answers: {id: answer} of the earlier answers that were run; this function adds to it.
    """
    source = entries.get(exercise.id, {}).get("source")
    if not source:
        return None
    earlier, whole = earlier_exercises(exercise.id), Cell(source)
    space: dict[str, Any] = {"__name__": "__main__", "vqtutor": import_module("vqtutor")}
    exec(PREAMBLE, space)
    for name in set.union(set(), *(one.needs for one in whole.statements)) & set(earlier):
        other = find(earlier[name])
        if other.id not in answers:
            answers[other.id] = _run_again(other, entries, answers) or other.reference
            _right_answers.append(answers[other.id])
        space[name] = answers[other.id]
    file = f"<your {exercise.id}>"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file  # so that a card can quote it
    exec(compile(source, file, "exec"), space)
    return space[exercise.name]


def _log(verdict: Verdict, seconds: float) -> None:
    """Append the verdict to $VQTUTOR_LOG, which `make run` reads."""
    if os.environ.get("VQTUTOR_LOG"):
        names = ("exercise", "state", "passed", "points", "max_points", "misconception")
        entry = {name: getattr(verdict, name) for name in names} | {"seconds": round(seconds, 4)}
        with open(os.environ["VQTUTOR_LOG"], "a") as log:
            log.write(json.dumps(entry) + "\n")


def hint(id: str, step: int | None = None) -> None:
    """Show one of an exercise's hints; the last one is an answer that passes when it is pasted.

    The next hint is shown when you ask twice in a row, or again after another try. When the whole notebook runs again,
    the same hint is shown again.

    Args:
      id: an exercise, such as "quantizer.nearest_code".
      step: the number of the hint to show, from 1; it does not count as used.
    """
    exercise = find(id)
    ladder = len(exercise.hints) + 1
    if step is None:
        step = progress_file.next_hint(exercise.id, ladder, _asked_again(exercise.id))
    if not 1 <= step <= ladder:
        raise ValueError(f"{exercise.id} has {ladder} hints: ask for a step from 1 to {ladder}.")
    title = f"{exercise.id} - hint {step} of {ladder}"
    if step < ladder:
        lines = exercise.hints[step - 1], "Ask again for the next one."
        stuck = (exercise.work.when_stuck,) if step == 1 and exercise.work.stuck else ()
        card.show(card.Note(title, stuck + lines))
    else:
        card.show(card.Note(title, ("One way to write it:",), code=answer_of(exercise.id)))


_last_cells: dict[str, int] = {}  # exercise's id -> execution count of the cell that asked for its last hint


def _asked_again(id: str) -> bool:
    """Whether a hint was asked for twice in a row, with no other cell in between; True without a notebook."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:
        return True
    last, _last_cells[id] = _last_cells.get(id), shell.execution_count
    return last is not None and shell.execution_count - last <= 1


def progress() -> None:
    """Show your progress: state, points, attempts and hints of every exercise."""
    entries, tables = progress_file.load(), []
    for lesson in LESSONS:
        rows = [("exercise", "state", "points", "attempts", "hints used")]
        for name in lesson.blanks:
            entry, most = entries.get(f"{lesson.slug}.{name}", {}), find(f"{lesson.slug}.{name}").points
            numbers = f"{entry.get('points', 0)} of {most}", entry.get("attempts", 0), entry.get("hints", 0)
            shown = f"{name} (bonus)" if name in lesson.puzzles else name
            rows.append((shown, entry.get("state", State.OPEN), *map(str, numbers)))
        begun = any(row[1] != State.OPEN for row in rows[1:])
        done = all(row[1] == State.PASSED for row in rows[1 : len(lesson.exercises) + 1])
        tables.append(card.Table(_standing(lesson, entries), tuple(rows), open=begun and not done))
    card.show(card.Note(_count(LESSONS, entries), tables=tuple(tables)))


def _standing(lesson: Lesson, entries: dict[str, dict[str, Any]]) -> str:
    """Return how far a student is in a lesson, in a line."""
    return f"{lesson.notebook}: {_count([lesson], entries)}"


def _count(lessons: Sequence[Lesson], entries: dict[str, dict[str, Any]]) -> str:
    """Return how many exercises are passed, with points; puzzles are mentioned once one is solved."""
    ids = [f"{lesson.slug}.{name}" for lesson in lessons for name in lesson.exercises]
    puzzles = [f"{lesson.slug}.{name}" for lesson in lessons for name in lesson.puzzles]
    passed, solved = (sum(entries.get(id, {}).get("state") == State.PASSED for id in one) for one in (ids, puzzles))
    points, most = sum(entries.get(id, {}).get("points", 0) for id in ids), sum(EXERCISES[id].points for id in ids)
    bonus = f"; {solved} of {len(puzzles)} bonus puzzles solved" if solved else ""
    return f"{passed} of {len(ids)} exercises passed, {points} of {most} points{bonus}"


def answer(id: str, choice: Any) -> None:
    """Choose an answer to a question; then comments on it and on the other choices are shown.

    Args:
      id: a question, such as "quantizer.q_flat".
      choice: the letter of a choice, or the choice itself; of a line of code also its number, as 3 or "line 3"; `...`
        while it is still open.
    """
    question = QUESTIONS[id]
    letters = ", ".join(question.choices)
    if choice is ...:
        lines = tuple(f"{letter}) {text}" for letter, (text, _) in question.choices.items())
        card.show(card.Note(question.asks, (*lines, f"Not chosen yet: write one of {letters} and run the cell again.")))
        return
    said, choice = choice, _letter(question, choice)
    if not choice:
        raise ValueError(f"{said!r} is not one of the choices: write one of {letters}, in quotes.")
    verdict = "that is right" if choice == question.best else f"the right one is {question.best}"
    lines = [f"You chose {choice}; {verdict}."]
    for letter in sorted(question.choices, key=lambda letter: letter != choice):
        text, why = question.choices[letter]
        lines.append(f"{letter}) {text} - {why}")
    card.show(card.Note(question.asks, tuple(lines)))


def _letter(question: Question, said: Any) -> str:
    """Return the letter of the choice with this letter, this line number or these words; "" if there is none."""
    plain = lambda text: "".join(str(text).lower().replace("`", "").split())  # noqa: E731
    for letter, (text, _) in question.choices.items():
        line, _, words = text.partition(": ") if text.startswith("line ") else (text, "", text)
        names = {letter, plain(text), plain(line), plain(line).removeprefix("line"), plain(words)}
        if plain(said) in names:
            return letter
    return ""


def compare(what: str, guess: Any, found: float) -> None:
    """Show a guess beside what was then found.

    Args:
      what: what was guessed, such as "distortion after twelve steps".
      guess: a number; `...` where no guess was made.
      found: the result.
    """
    found = float(found)
    if guess is ...:
        lines = (f"It is {found:.4g}.", "You made no guess. Make one next time: a wrong guess teaches more than none.")
    else:
        off = abs(float(guess) - found) / max(abs(found), 1e-12)
        miss = f"That is too {'high' if float(guess) > found else 'low'}. What surprised you?"
        near = "That is close." if off < 0.15 else miss
        lines = (f"You said {float(guess):.4g}; it is {found:.4g}.", near)
    card.show(card.Note(what, lines))
