"""Lesson 07 in the library: guards, borders and vectors for which formulas divide by zero."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vqtutor.models import beyond

RNG = np.random.default_rng(3)


def normal(*shape):
    return jnp.asarray(RNG.normal(size=shape), jnp.float32)


def test_k_means_leaves_unused_codes_alone_and_loses_less_with_every_round():
    z = normal(200, 3)
    start = jnp.concatenate([z[:6], jnp.full((1, 3), 50.0)])
    lost = []
    for steps in range(5):
        codes = jax.jit(beyond.k_means, static_argnums=2)(z, start, steps)
        lost.append(float(jnp.mean(jnp.min(jnp.sum((z[:, None] - codes) ** 2, -1), axis=1))))
        assert np.array_equal(codes[6], start[6])
    assert lost == sorted(lost, reverse=True) and lost[0] > 1.1 * lost[-1]


def test_zeros_have_no_direction_and_break_nothing():
    z, codebook = jnp.zeros((2, 3)), jnp.concatenate([normal(4, 3), jnp.zeros((1, 3))])
    codes, indices = beyond.cosine_look_up(z, codebook)
    slope = jax.grad(lambda c: jnp.sum(beyond.cosine_look_up(normal(5, 3), c)[0] ** 3))(codebook)
    assert np.array_equal(indices, [0, 0]) and np.allclose(jnp.linalg.norm(codes, axis=-1), 1)
    assert np.all(np.isfinite(slope)) and np.any(slope != 0) and np.all(slope[4] == 0)


def turned(z_e, codes, g):
    value, back = jax.vjp(lambda z: beyond.rotate_to(z, codes), z_e)
    assert np.array_equal(value, codes)
    return back(g)[0]


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_turned_gradient_keeps_its_angles_and_is_stretched(size):
    z_e, codes, g = normal(50, size), normal(50, size), normal(50, size)
    got = turned(z_e, codes, g)
    stretch = jnp.linalg.norm(codes, axis=-1) / jnp.linalg.norm(z_e, axis=-1)
    assert np.allclose(jnp.linalg.norm(got, axis=-1), stretch * jnp.linalg.norm(g, axis=-1), rtol=1e-4)
    # the gradient's part along the code becomes that along z_e
    unit = lambda v: v / jnp.linalg.norm(v, axis=-1, keepdims=True)  # noqa: E731
    along = jnp.sum(got * unit(z_e), axis=-1), stretch * jnp.sum(g * unit(codes), axis=-1)
    assert np.allclose(*along, atol=1e-4 * float(jnp.abs(along[1]).max()))


def test_opposite_vectors_and_vectors_of_zeros_get_a_finite_gradient():
    z_e, g = normal(6, 4), normal(6, 4)
    opposite = turned(z_e, -2 * z_e, g)
    assert np.allclose(jnp.linalg.norm(opposite, axis=-1), 2 * jnp.linalg.norm(g, axis=-1), rtol=1e-4)
    assert np.array_equal(turned(jnp.zeros((6, 4)), z_e, g), g)
    assert np.all(np.isfinite(turned(z_e, jnp.zeros((6, 4)), g)))
    assert np.all(jax.grad(lambda c: jnp.sum(beyond.rotate_to(z_e, c) * g))(z_e[::-1]) == 0)


@pytest.mark.parametrize("levels", [(2,), (3,), (2, 2), (8, 5, 5, 5), (7, 6), np.array([4, 3]), [5, 2, 3]])
def test_every_code_of_a_grid_comes_up_and_has_its_own_index(levels):
    levels = [int(level) for level in levels]
    grid = jnp.stack(jnp.meshgrid(*(jnp.linspace(-6, 6, 61) for _ in levels[:3]), indexing="ij"), axis=-1)
    z = jnp.concatenate(
        [grid.reshape(-1, min(3, len(levels))), normal(61 ** len(levels[:3]), len(levels))[:, 3:]], axis=-1
    )
    z_q, indices = jax.jit(lambda z: beyond.finite_scalar_quantize(z, levels))(z)
    assert indices.dtype == jnp.int32 and int(indices.min()) >= 0 and int(indices.max()) < np.prod(levels)
    if len(levels) <= 3:
        assert len(np.unique(indices)) == np.prod(levels)
    digits = np.stack(np.unravel_index(np.asarray(indices), levels, order="F"), axis=-1)
    widths = np.array(levels) // 2
    assert np.array_equal(np.round(np.asarray(z_q) * widths), digits - widths) and np.abs(z_q).max() <= 1


def test_the_gradient_of_scalars_is_that_of_the_bound():
    z = normal(40, 3)
    slope = jax.grad(lambda z: jnp.sum(beyond.finite_scalar_quantize(z, (5, 3, 9))[0]))(z)
    assert np.allclose(slope, 0.999 * (1 - jnp.tanh(z) ** 2), atol=1e-5)


def test_residual_codes_are_greedy_and_pass_the_gradient():
    z, codebooks = normal(2, 5, 3), normal(3, 8, 3) * jnp.array([1, 0.5, 0.25]).reshape(3, 1, 1)
    z_q, indices = beyond.residual_quantize(z, codebooks)
    left = z
    for stage in range(3):
        nearest = jnp.argmin(jnp.linalg.norm(left[..., None, :] - codebooks[stage], axis=-1), axis=-1)
        assert np.array_equal(indices[..., stage], nearest)
        left = left - codebooks[stage][nearest]
    assert np.allclose(z_q, z - left, atol=1e-6)
    to_z, to_codebooks = jax.grad(lambda z, c: jnp.sum(beyond.residual_quantize(z, c)[0] * 3), (0, 1))(z, codebooks)
    assert np.all(to_z == 3) and np.all(to_codebooks == 0)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: beyond.k_means(normal(4, 3), normal(2, 2), 1), "make D equal"),
        (lambda: beyond.k_means(normal(4, 3, 2), normal(2, 2), 1), "a list of vectors"),
        (lambda: beyond.k_means(normal(4, 3), normal(2, 3), -1), "0 or more"),
        (lambda: beyond.cosine_look_up(normal(4, 3), normal(2, 2)), "make D equal"),
        (lambda: beyond.rotate_to(normal(4, 3), normal(3)), "each vector has one code"),
        (lambda: beyond.finite_scalar_quantize(normal(4, 3), (5, 5)), "one for each level"),
        (lambda: beyond.finite_scalar_quantize(normal(4, 2), (5, 1)), "2 or more"),
        (lambda: beyond.finite_scalar_quantize(normal(4, 40), (5,) * 40), "2.31 codes"),
        (lambda: beyond.residual_quantize(normal(4, 3), normal(5, 3)), r"\[S, K, D\]"),
        (lambda: beyond.residual_quantize(normal(4, 3), normal(2, 5, 4)), "make D equal"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(call, says):
    with pytest.raises(ValueError, match=says):
        call()
