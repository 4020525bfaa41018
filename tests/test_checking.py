"""The check engine on a tiny exercise of its own: every way in which an answer can be off is told apart."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vqtutor.checking import CheckFailed, Exercise, Misconception, Probe, judge, observe
from vqtutor.checking.judge import compare
from vqtutor.checking.probe import Patience, plain
from vqtutor.lessons import EXERCISES, LESSONS

COUNTED = sum(len(lesson.exercises) for lesson in LESSONS)  # puzzles are in no total
X = jnp.array([[1.0, -2.0], [3.0, 0.5]])

double = Exercise(
    id="toy.double",
    reference=lambda x: 2 * x,
    arguments=("x",),
    probes=(
        Probe("values", lambda answer: {"values": answer(X)}, points=2),
        Probe("gradient", lambda answer: {"gradient": jax.grad(lambda x: answer(x).sum())(X)}),
    ),
    misconceptions=(
        Misconception("squares", "You square.", "Twice is not squared.", lambda x: x**2),
        Misconception("blocks", "No gradient.", "Let it through.", lambda x: jax.lax.stop_gradient(2 * x)),
    ),
    alternatives={"sum": lambda x: x + x},
    hints=("Add x to something.",),
)


class AlwaysEqual:
    def __eq__(self, other):
        return True

    def __array__(self, dtype=None, copy=None):
        return np.asarray(2 * X)


class Forged(np.ndarray):
    """An array that claims to be equal to anything."""

    def __eq__(self, other):
        return np.ones(self.shape, bool)


def test_the_right_answer_written_differently_passes_with_all_points():
    verdict = judge(double, lambda x: x + x)
    assert (verdict.passed, verdict.points, verdict.max_points) == (True, 3, 3)


def test_partial_credit_says_which_part_is_right():
    verdict = judge(double, lambda x: jax.lax.stop_gradient(x + x))
    assert (verdict.points, verdict.misconception) == (2, "blocks")
    assert 'already right: "values"' in str(verdict)


def test_a_slip_on_top_of_a_misconception_still_names_it():
    def squares_in_numpy(x):
        return np.asarray(x) ** 2

    verdict = judge(double, squares_in_numpy)
    assert verdict.misconception == "squares"
    assert "use jax.numpy" in str(verdict)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda x: 2 * x[0], "expected shape [2, 2], found [2]"),
        (lambda x: np.asarray(2 * x, np.float64), "expected dtype float32, found float64"),
        (lambda x: jnp.where(x > 1, jnp.nan, 2 * x), "1 of 4 elements are NaN or infinite"),
        (lambda x: 2 * x + jnp.eye(2) * 0.5, "expected 2 at [0, 0], found 2.5"),
        (lambda x: [print, x][0] and None or None, "None: did you forget to return it?"),
        (lambda x: (2 * x,), "is a tuple, not an array"),
        (lambda x: (y for y in x), "is a generator, not an array"),
        (lambda x: AlwaysEqual(), "is a AlwaysEqual, not an array"),
        (lambda x: np.zeros((2, 2)).view(Forged), "is a Forged, not an array"),
        (lambda x: np.zeros((2000, 2000), np.float32), "4,000,000 float32 elements"),
        (lambda x: np.array([[print, 1], [2, 3]]), "object elements"),
        (lambda: 2, "toy.double"),
        (3, "must be a function, called as double(x); this is a int"),
        (int, "must be a function"),
    ],
)
def test_what_is_off_is_said_in_words(answer, says):
    verdict = judge(double, answer)
    assert not verdict.passed and verdict.misconception is None
    assert says in str(verdict)


def test_a_wrong_signature_shows_both_signatures():
    verdict = judge(double, lambda x, y: x + y)
    assert "double is called as double(x), but yours is double(x, y)" in verdict.message


def test_a_crash_is_reported_with_the_students_own_line():
    def crashes(x):
        return x @ jnp.ones((3, 3))

    verdict = judge(double, crashes)
    assert "TypeError" in verdict.message and "return x @ jnp.ones((3, 3))" in verdict.message


def test_exiting_is_a_crash_and_not_an_exit():
    def leaves(x):
        sys.exit(0)

    assert "SystemExit" in judge(double, leaves).message


def test_an_answer_that_never_returns_is_told_so_and_stopped():
    ticks = []

    def loops(x):
        while True:
            ticks.append(1)

    verdict = judge(double, loops, seconds=0.3)
    assert "had not returned after 0.3 seconds of computing" in verdict.message
    assert [probe.message for probe in verdict.probes][1].startswith("Not run")


def test_an_answer_that_only_waits_is_told_so_as_well():
    verdict = judge(double, lambda x: time.sleep(600), seconds=0.5)
    assert "had not returned" in verdict.message


def test_a_loop_that_never_ends_is_noticed_in_compiled_code_too():
    code = (
        "import os, sys; sys.path.insert(0, 'tests')\n"
        "import jax; from test_checking import double; from vqtutor.checking import judge\n"
        "endless = lambda x: jax.lax.while_loop(lambda v: True, lambda v: v + 1, x)\n"
        "print(judge(double, endless, seconds=1).message, flush=True); os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert "had not returned" in done.stdout, done.stderr


def test_time_is_the_answers_own():
    """The clock runs ahead of the work: a machine so busy that a second of it takes twenty."""
    now = [0.0, 0.0]
    busy = Patience(1.0, lambda: now[0])
    for _ in range(19):
        now[0] += 0.05
        assert not busy.is_over(1.0)
    now[0] += 0.06
    assert busy.is_over(1.0)

    asleep = Patience(3.5, lambda: 0.0)
    assert [asleep.is_over(0.05) for _ in range(90)].index(True) in (79, 80)  # after four seconds
    starved = Patience(3.0, lambda: 0.0)
    assert not any(starved.is_over(1.0) for _ in range(30))  # it asks, and is itself woken once a second
    shut = Patience(3.0, lambda: 0.0)
    assert not shut.is_over(3600.0)  # the lid of a laptop, closed and opened


def test_a_right_answer_is_not_late_because_others_compute():
    """Its processor time is given, not the clock's: on one core, together with six that want all of it."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system cannot bind a process to one core")
    code = (
        "import os, subprocess, sys, time; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "sys.path.insert(0, 'tests')\n"
        "from test_checking import double; from vqtutor.checking import judge\n"
        "busy = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(6)]\n"
        "def slow(x):\n"
        "    used = time.thread_time()\n"
        "    while time.thread_time() < used + 0.6: pass\n"
        "    return x + x\n"
        "try:\n"
        "    start = time.monotonic(); verdict = judge(double, slow, seconds=3)\n"
        "    print(verdict.state, time.monotonic() - start > 3)\n"
        "finally:\n"
        "    [one.kill() for one in busy]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.stdout == "passed True\n", done.stdout + done.stderr


def test_a_crash_is_never_a_misconception():
    """Two answers that stop with the same error need not share an idea: the error may be JAX's, or the course's."""

    def stops(x):
        raise TypeError("can't apply forward-mode autodiff (jvp) to a custom_vjp function.")

    crashing = replace(double, misconceptions=(Misconception("stops", "You stop.", "Go on.", stops),))

    def another(x):
        raise TypeError("can't apply forward-mode autodiff (jvp) to a custom_vjp function.")

    verdict = judge(crashing, another)
    assert not verdict.passed and verdict.misconception is None and "Your code stopped with" in verdict.message


def test_products_are_exact_where_accelerators_round_them():
    seen = []
    observe(double, lambda x: seen.append(jax.config.jax_default_matmul_precision))
    assert seen == ["highest"] * 2 and jax.config.jax_default_matmul_precision is None


def test_open_blanks_are_not_wrong():
    def blank(x):
        """Double x."""
        ...

    def nbgraders_stub(x):
        # YOUR CODE HERE
        raise NotImplementedError()

    for still_open in (blank, nbgraders_stub, jax.jit(blank), double.reference):
        verdict = judge(double, still_open)
        assert (verdict.state, verdict.points) == ("not written yet", 0)
    assert judge(double, lambda x: 2).state == "not yet"

    def refuses(x):
        raise ValueError()

    assert judge(double, refuses).state == "not yet"


def test_integer_indices_of_any_width_pass_with_a_remark_but_floats_do_not():
    assert compare(np.int32([1, 2]), np.int64([1, 2])) is None
    assert "dtype" in compare(np.int32([1, 2]), np.float32([1, 2]))
    count = Exercise("toy.count", lambda x: jnp.int32(2), ("x",), (Probe("n", lambda a: {"n": a(X)}),), (), {}, ())
    verdict = judge(count, lambda x: np.int64(2))
    assert verdict.passed and "int64" in verdict.probes[0].remark


def test_comparison_forgives_rounding_and_nothing_more():
    right = np.float32([1.0, 100.0])
    assert compare(right, right * np.float32(1 + 2e-6)) is None
    assert compare(right, right * np.float32(1.001)) is not None
    assert compare(np.zeros(3, np.float32), np.full(3, 1e-7, np.float32)) is None
    assert compare(np.zeros(3, np.float32), np.full(3, 1e-3, np.float32)) is not None


def test_observations_are_plain_data():
    for seen in observe(double, lambda x: 2 * x):
        assert all(type(array) is np.ndarray for array in seen.arrays.values())


def test_cards_carry_their_state_in_words_and_escape_what_they_quote():
    def unsafe(x):
        raise ValueError("<script>alert(1)</script>")

    html = judge(double, unsafe)._repr_html_()
    assert "not yet" in html and "<script>" not in html and "&lt;script&gt;" in html


def test_check_failed_points_to_the_card_and_says_it_all_without_a_notebook():
    verdict = judge(double, lambda x: x**2)
    error = CheckFailed(verdict)
    (line,) = error._render_traceback_()
    assert line.startswith("x  toy.double - not yet (0 of 3 points): the card above says why.\n")
    assert "the run stopped here" in line
    assert "squares" == verdict.misconception and "You square." in str(error)


@pytest.fixture
def tutor(tmp_path, monkeypatch):
    monkeypatch.setenv("VQTUTOR_PROGRESS", str(tmp_path / "progress.json"))
    import vqtutor

    return vqtutor


def test_check_returns_the_answer_or_the_stand_in_and_keeps_the_best(tutor, tmp_path, capsys):
    id = "quantizer.look_up"

    def blank(indices, codebook): ...

    def right(indices, codebook):
        return codebook[indices]

    assert tutor.check(id, blank) is EXERCISES[id].reference
    assert "not written yet" in capsys.readouterr().out
    assert tutor.check(id, right) is right
    card = capsys.readouterr().out
    assert EXERCISES[id].can in card and "01_quantizer: 1 of 6 exercises passed, 3 of 18 points" in card
    with pytest.raises(CheckFailed, match="columns in place of rows|You pick columns"):
        tutor.check(id, lambda i, c: c[:, i])
    kept = json.loads((tmp_path / "progress.json").read_text())[id]
    assert (kept["state"], kept["points"], kept["attempts"]) == ("passed", 3, 2)
    tutor.progress()
    shown = capsys.readouterr().out
    assert f"1 of {COUNTED} exercises passed, 3 of " in shown and "\n     look_up" in shown  # the lesson that was begun
    assert "02_losses: 0 of 8 exercises passed" in shown and "codebook_loss" not in shown  # the others, in a line


def test_progress_folds_away_what_is_not_begun(tutor, monkeypatch):
    from vqtutor.checking import card

    notes = []
    monkeypatch.setattr(card, "show", notes.append)
    tutor.check("quantizer.look_up", EXERCISES["quantizer.look_up"].alternatives["take"])
    tutor.progress()
    html = notes[-1]._repr_html_()
    assert html.count("<details>") == len(LESSONS) - 1 and html.count("<details open>") == 1
    assert html.count("<summary>") == len(LESSONS) and html.count("<th scope='row'>") == len(EXERCISES)


def test_hints_climb_a_ladder_whose_last_step_is_the_reference(tutor, capsys):
    for step in (1, 2, 3, 3):
        tutor.hint("quantizer.look_up")
        assert f"hint {step} of 3" in capsys.readouterr().out
    tutor.hint("quantizer.look_up", step=3)
    assert "def look_up(" in capsys.readouterr().out
    with pytest.raises(ValueError, match="from 1 to 3"):
        tutor.hint("quantizer.look_up", step=4)


def test_a_damaged_progress_file_is_set_aside(tutor, tmp_path, capsys):
    (tmp_path / "progress.json").write_text("{half")
    tutor.progress()
    assert "set aside" in capsys.readouterr().out
    assert (tmp_path / "progress.damaged.json").read_text() == "{half"


def test_a_misspelt_exercise_is_answered_with_the_nearest(tutor):
    with pytest.raises(KeyError, match="quantizer.look_up"):
        tutor.judge("quantizer.lookup", None)


def test_questions_explain_only_after_a_choice(tutor, capsys):
    question = "quantizer.q_flat"
    tutor.answer(question, ...)
    assert "Not chosen yet" in (out := capsys.readouterr().out) and "Yes." not in out
    tutor.answer(question, "a")
    assert "the right one is b" in (out := capsys.readouterr().out) and "Yes." in out
    with pytest.raises(ValueError, match="a, b, c, d"):
        tutor.answer(question, "e")


@pytest.mark.parametrize(
    "said",
    ["b", "B", 3, "3", "line 3", "Line 3", "z_q = z_e + jax.lax.stop_gradient(z_q - z_e)"]
    + ["line 3: `z_q = z_e + jax.lax.stop_gradient(z_q-z_e)`"],
)
def test_a_guilty_line_is_named_by_its_letter_its_number_or_itself(said, tutor, capsys):
    tutor.answer("losses.q_line", said)
    assert "You chose b; that is right." in capsys.readouterr().out


@pytest.mark.parametrize("said", [4, "line 4", "d", 7, "z_q", ""])
def test_another_line_is_not_taken_for_it(said, tutor, capsys):
    if said in (7, "z_q", ""):
        with pytest.raises(ValueError, match="a, b, c, d"):
            tutor.answer("losses.q_line", said)
    else:
        tutor.answer("losses.q_line", said)
        assert "the right one is b" in capsys.readouterr().out


def test_a_puzzle_is_a_bonus_and_what_to_do_when_stuck_comes_first(tutor, capsys):
    face = EXERCISES["quantizer.two_faced"].alternatives["a zero with a gradient"]
    tutor.check("quantizer.two_faced", face)
    shown = capsys.readouterr().out
    assert "0 of 6 exercises passed, 0 of 18 points; 1 of 2 bonus puzzles solved" in shown
    tutor.progress()
    shown = capsys.readouterr().out
    assert f"0 of {COUNTED} exercises passed, 0 of " in shown and "two_faced (bonus)" in shown
    tutor.hint("quantizer.two_faced")
    assert EXERCISES["quantizer.two_faced"].work.stuck in capsys.readouterr().out


def test_a_terminal_gets_the_card_as_text():
    code = "import vqtutor; vqtutor.check('quantizer.look_up', lambda i, c: c[i - 1])"
    environment = os.environ | {"VQTUTOR_PROGRESS": os.devnull + "/none"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and "You take the row before the right one." in done.stderr


@pytest.mark.unhurried
def test_probes_compile_in_a_hurry_and_what_comes_after_does_not():
    def hurried():
        return jax.config.read("jax_disable_most_optimizations")

    seen = []
    observe(double, lambda x: seen.append(hurried()))
    assert seen and all(seen) and not hurried()
    jax.config.update("jax_disable_most_optimizations", True)  # somebody's own wish is kept
    try:
        observe(double, double.reference)
        assert hurried()
    finally:
        jax.config.update("jax_disable_most_optimizations", False)


@pytest.mark.parametrize("value", [np.ones(3, np.float32), 1.5, 2], ids=str)
def test_what_jax_only_passes_on_is_an_array(value):
    """JAX wraps NumPy arrays and Python's numbers in types of its own when it does nothing with them."""
    array = plain(jax.lax.stop_gradient(value))
    assert type(array) is np.ndarray and np.array_equal(array, value)
