"""Every misconception is rejected by its own name, every right answer written differently passes."""

import jax.numpy as jnp
import numpy as np
import pytest

from vqtutor.checking import judge
from vqtutor.checking.judge import _look as catalogue
from vqtutor.checking.judge import judge_observations
from vqtutor.checking.probe import is_open, misfit
from vqtutor.exercises import EXERCISES, QUESTIONS, quantizer, straight_through

WRONG = [
    pytest.param(exercise, misconception.name, wrong, id=f"{exercise.id}: {misconception.name} ({i})")
    for exercise in EXERCISES.values()
    for misconception in exercise.misconceptions
    for i, wrong in enumerate((misconception.answer, *misconception.also))
]
RIGHT = [
    pytest.param(exercise, answer, id=f"{exercise.id}: {name}")
    for exercise in EXERCISES.values()
    for name, answer in exercise.alternatives.items()
]


@pytest.mark.parametrize(("exercise", "name", "wrong"), WRONG)
def test_misconception_is_rejected_by_name(exercise, name, wrong):
    # What the probes see of it is what the catalogue has of it: one look serves both.
    assert misfit(exercise, wrong) is None and not is_open(wrong)
    verdict = judge_observations(exercise, catalogue(exercise, wrong))
    assert not verdict.passed
    assert verdict.points < verdict.max_points
    assert verdict.misconception == name, str(verdict)


@pytest.mark.parametrize(("exercise", "answer"), RIGHT)
def test_right_answer_written_differently_passes(exercise, answer):
    verdict = judge(exercise, answer)
    assert verdict.passed, str(verdict)


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_catalogue_is_rich_and_clear(exercise):
    assert len(exercise.misconceptions) >= 6 and len(exercise.alternatives) >= 4 and len(exercise.hints) >= 1
    names = [misconception.name for misconception in exercise.misconceptions]
    assert len(set(names)) == len(names)
    for misconception in exercise.misconceptions:
        assert misconception.says.endswith((".", "?")) and misconception.look.endswith((".", "?"))


def test_probe_inputs_have_no_near_ties():
    """A vector half way between two codes would make rounding decide, and rounding is nobody's fault."""
    for z in (quantizer.LIST, quantizer.MAP):
        difference = z.reshape(-1, 1, 3) - quantizer.CODEBOOK
        first, second = np.sort(np.sum(np.asarray(difference, np.float64) ** 2, -1), axis=-1).T[:2]
        assert np.all(second - first > 0.05 * second)


def test_largest_array_looks_into_jitted_and_mapped_code():
    import jax

    def cube(z, c):
        return jnp.sum((z[:, None] - c[None]) ** 2, -1)

    size = quantizer.Z.size * len(quantizer.CODEBOOK)
    for function in (cube, jax.jit(cube), jax.jit(lambda z, c: jax.lax.cond(True, cube, cube, z, c))):
        assert quantizer.largest_array(function, quantizer.Z, quantizer.CODEBOOK) >= size


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_questions_explain_every_choice(question):
    assert question.best in question.choices and len(question.choices) >= 3
    assert all(said and why for said, why in question.choices.values())


def test_the_suspects_of_the_bug_hunt_differ_only_in_gradients():
    z_e, z_q = straight_through._Z_E, straight_through._Z_Q
    for name in ("straight-through", "leaky", "plain", "cut"):
        assert jnp.allclose(straight_through.LAYERS[name](z_e, z_q), z_q, atol=1e-6)
