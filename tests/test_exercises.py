"""Every misconception is rejected by its own name; what is right in another way passes, and so does the library."""

import os
import subprocess
import sys
from collections import Counter
from functools import partial, wraps
from importlib import import_module

import jax.numpy as jnp
import numpy as np
import pytest

from vqtutor.checking import judge
from vqtutor.checking.exercise import Kind
from vqtutor.checking.judge import _look as catalogue
from vqtutor.checking.judge import agree, judge_observations
from vqtutor.checking.probe import is_open, misfit, observe, shaken
from vqtutor.checking.tried import behaves_as, fingerprints
from vqtutor.lessons import EXERCISES, LESSONS, QUESTIONS, inputs, lesson_of
from vqtutor.lessons.entries import edit
from vqtutor.lessons.quantizer import probes as quantizer

WRONG = [
    pytest.param(exercise, misconception.name, wrong, id=f"{exercise.id}: {misconception.name} ({i})")
    for exercise in EXERCISES.values()
    for misconception in exercise.misconceptions
    for i, wrong in enumerate((misconception.answer, *misconception.also))
]
STALE = "the probes or an answer changed: run `make mutants`"
RIGHT = [
    pytest.param(exercise, answer, id=f"{exercise.id}: {name}")
    for exercise in EXERCISES.values()
    for name, answer in exercise.alternatives.items()
]


@pytest.mark.parametrize(("exercise", "name", "wrong"), WRONG)
def test_misconception_is_rejected_by_name(exercise, name, wrong):
    assert misfit(exercise, wrong) is None and not is_open(wrong)
    observations = observe(exercise, wrong, 120)
    if exercise.tried.wrong:  # an exercise that is being written has none yet
        number = exercise.catalogue.index(wrong)
        assert behaves_as(fingerprints(observations), exercise.tried.wrong[number - 1]), STALE
    verdict = judge_observations(exercise, observations)
    assert not verdict.passed
    assert verdict.points < verdict.max_points
    assert verdict.misconception == name, str(verdict)


@pytest.mark.parametrize(("exercise", "answer"), RIGHT)
def test_right_answer_written_differently_passes(exercise, answer):
    verdict = judge(exercise, answer)
    assert verdict.passed, str(verdict)


@pytest.mark.parametrize(
    "id",
    ["ema.restart_dead_codes", "gated.complete", "primer.drop_some", "primer.mean_nats", "vqvae.make_train_step"],
)
def test_right_answers_agree_when_shaken_alike(id):
    """Grading compares them on such inputs. Of each exercise one is graded; here are all of those that could differ:
    where something is drawn at random, where a function is made, and where numbers have to remain probabilities."""
    exercise = EXERCISES[id]
    for seed in (1, 2):
        right = observe(exercise, shaken(exercise.reference, seed), 120)
        assert not agree(right, exercise.tried.right)
        for name, answer in exercise.alternatives.items():
            assert agree(right, observe(exercise, shaken(answer, seed), 120)), (name, seed)


def _with_more_options(right):
    def answer(*arguments, verbose=False, **options):
        return right(*arguments, **options)

    return answer


class _Called:
    def __init__(self, right):
        self.right = right

    def __call__(self, *arguments, **options):
        return self.right(*arguments, **options)

    def method(self, *arguments, **options):
        return self.right(*arguments, **options)


# What students make of a function, or of a class, without changing what it does.
FORMS = {
    "an object with __call__": _Called,
    "a bound method": lambda right: _Called(right).method,
    "a partial": partial,
    "with more options": _with_more_options,
    "wrapped": lambda right: wraps(right)(lambda *arguments, **options: right(*arguments, **options)),
}
CLASSES = {
    "a partial": partial,
    "a subclass of its own class": lambda right: type("Mine", (right,), {}),
    "with a name for Haiku": lambda right: type(
        "Named", (right,), {"__init__": lambda self, *a, name="mine", **o: right.__init__(self, *a, **o)}
    ),
}


@pytest.mark.parametrize(
    ("exercise", "form"),
    [
        pytest.param(exercise, form, id=f"{exercise.id}: {name}")
        for exercise in EXERCISES.values()
        for name, form in (CLASSES if exercise.base else FORMS).items()
    ],
)
def test_a_right_answer_passes_in_any_form(exercise, form):
    verdict = judge(exercise, form(next(iter(exercise.alternatives.values()))))
    assert verdict.passed, str(verdict)


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_what_was_tried_beforehand_is_what_the_probes_observe_today(exercise):
    assert len(exercise.tried.wrong) == len(exercise.catalogue) - 1, STALE
    right = fingerprints(catalogue(exercise, exercise.reference))
    assert behaves_as(right, fingerprints(exercise.tried.right)), STALE
    for slip in exercise.tried.slips:
        assert slip.says.endswith((".", "?")) and slip.look.endswith((".", "?")) and not behaves_as(right, slip.prints)


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_catalogue_is_rich_and_clear(exercise):
    assert len(exercise.misconceptions) >= 6 and len(exercise.alternatives) >= 4 and len(exercise.hints) >= 1
    assert exercise.can.startswith("It ") and exercise.can.endswith(".")
    names = [misconception.name for misconception in exercise.misconceptions]
    assert len(set(names)) == len(names)
    for misconception in exercise.misconceptions:
        assert misconception.says.endswith((".", "?")) and misconception.look.endswith((".", "?"))


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_a_student_is_told_what_an_exercise_takes_and_what_to_do_when_stuck(exercise):
    work, name = exercise.work, exercise.name
    assert {work.importance, work.difficulty} <= {1, 2, 3} and 2 <= work.minutes <= 30
    assert work.stuck.endswith((".", "?")) and 8 <= len(work.stuck.split()) <= 30
    assert work.stuck not in exercise.hints and name not in work.stuck  # something to do, not a hint more
    assert exercise.bonus == (name in lesson_of(exercise.id).puzzles)


def test_what_exercises_take_is_no_single_default():
    kinds = Counter(exercise.work.kind for exercise in EXERCISES.values())
    assert set(kinds) == set(Kind) and max(kinds.values()) <= 0.6 * len(EXERCISES)
    assert len({exercise.work.stuck for exercise in EXERCISES.values()}) == len(EXERCISES)


def test_probe_inputs_have_no_near_ties():
    """A vector half way between two codes would make rounding decide, and rounding is nobody's fault."""
    for z in (inputs.LIST, inputs.MAP):
        difference = z.reshape(-1, 1, 3) - inputs.CODEBOOK
        first, second = np.sort(np.sum(np.asarray(difference, np.float64) ** 2, -1), axis=-1).T[:2]
        assert np.all(second - first > 0.05 * second)


def test_largest_array_looks_into_jitted_and_mapped_code():
    import jax

    def cube(z, c):
        return jnp.sum((z[:, None] - c[None]) ** 2, -1)

    size = inputs.Z.size * len(inputs.CODEBOOK)
    for function in (cube, jax.jit(cube), jax.jit(lambda z, c: jax.lax.cond(True, cube, cube, z, c))):
        assert quantizer.largest_array(function, inputs.Z, inputs.CODEBOOK) >= size


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_questions_explain_every_choice(question):
    assert question.best in question.choices and len(question.choices) == 4
    assert all(said and len(why.split()) >= 4 for said, why in question.choices.values())
    # Only the right choice is agreed with.
    assert [letter for letter, (_, why) in question.choices.items() if why.startswith("Yes")] == [question.best]


def test_the_right_choice_has_no_place_and_no_length_of_its_own():
    letters = Counter(question.best for question in QUESTIONS.values())
    assert set(letters) == set("abcd") and max(letters.values()) - min(letters.values()) <= 2
    longest = sum(
        max(question.choices, key=lambda letter: len(question.choices[letter][0])) == question.best  # noqa: B023
        for question in QUESTIONS.values()
    )
    assert longest <= 0.4 * len(QUESTIONS)


def test_the_suspects_of_the_bug_hunt_differ_only_in_gradients():
    z_e, z_q = quantizer.Z_E, quantizer.Z_Q
    for name in ("straight-through", "leaky", "plain", "cut"):
        assert jnp.allclose(quantizer.LAYERS[name](z_e, z_q), z_q, atol=1e-6)


# Each may import later ones.
_PARTS = ("coding", "beyond", "gated", "sampling", "pixelcnn", "ema", "autoencoder", "losses", "quantizer")
IN_LIBRARY = {
    id: getattr(module, id.split(".")[1])
    for module in (import_module(f"vqtutor.models.{part}") for part in _PARTS)
    for id in EXERCISES
    if hasattr(module, id.split(".")[1])
}


@pytest.mark.parametrize("id", IN_LIBRARY)
def test_the_librarys_version_is_a_right_answer(id):
    """The short answer that students see and the guarded one of vqtutor.models come to the same numbers."""
    verdict = judge(EXERCISES[id], IN_LIBRARY[id])
    assert verdict.passed, str(verdict)


def test_lessons_are_declared_as_they_are_written():
    numbers = [lesson.number for lesson in LESSONS]
    assert numbers == sorted(set(numbers)) and numbers[:3] == ["00", "00b", "01"]
    for lesson in LESSONS:
        for kind, names, module in (
            ("Exercise", lesson.blanks, "exercises"),
            ("Question", lesson.questions, "questions"),
            ("FreeText", lesson.free_texts, "questions"),
        ):
            written = [one for one in vars(lesson.module(module)).values() if type(one).__name__ == kind]
            written = [one.id for one in sorted(written, key=lambda one: getattr(one, "bonus", False))]
            assert written == [f"{lesson.slug}.{name}" for name in names]
            assert all(lesson_of(id) is lesson for id in written)


# Reads each lesson in a process of its own, in which no lesson was read before.
READ = """
import os
import sys
import haiku, optax
from vqtutor.lessons import EXERCISES, LESSONS, QUESTIONS

for lesson in LESSONS:
    if os.fork() == 0:
        EXERCISES[f"{lesson.slug}.{lesson.exercises[0]}"], QUESTIONS[f"{lesson.slug}.{lesson.questions[0]}"]
        read = {name.split(".")[2] for name in sys.modules if name.startswith("vqtutor.lessons.")}
        print(lesson.slug, *read & {other.slug for other in LESSONS}, flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_reading_one_lesson_does_not_import_the_others():
    done = subprocess.run([sys.executable, "-c", READ], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{lesson.slug} {lesson.slug}" for lesson in LESSONS]


def test_an_edit_that_finds_nothing_to_change_is_an_error():
    assert "counts <= threshold" in edit("counts < threshold", "counts <= threshold").text("ema.restart_dead_codes")
    with pytest.raises(ValueError, match="'counts > threshold' 1 times, and finds it 0 times"):
        edit("counts > threshold", "").text("ema.restart_dead_codes")
    with pytest.raises(ValueError, match="finds it 7 times"):
        edit("dead", "").text("ema.restart_dead_codes")
