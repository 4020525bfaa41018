"""The fast forms give the numbers of lax and Haiku, values and gradients, and are what a CPU uses."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vqtutor.models import convolutions


def _normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def _batch_last(form, stride):
    return lambda x, w: convolutions.to_batch_first(form(convolutions.to_batch_last(x), w, stride))


def _assert_same(one, other, x, w):
    (y, back), (y2, back2) = jax.vjp(one, x, w), jax.vjp(other, x, w)
    pull = _normal(*y.shape, seed=3)
    for a, b in zip((y, *back(pull)), (y2, *back2(pull)), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4)


@pytest.mark.parametrize("size", [(7, 5), (8, 6)], ids=str)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (4, 4), (5, 5), (7, 3)], ids=str)
class TestAgainstLax:
    @pytest.mark.parametrize("channels", [4, 2], ids=["more channels", "fewer channels"])
    def test_conv2d(self, kernel, stride, size, channels):
        def lax(x, w):
            return jax.lax.conv_general_dilated(
                x, w, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )

        _assert_same(_batch_last(convolutions.conv2d, stride), lax, _normal(2, *size, 3), _normal(*kernel, 3, channels))

    def test_conv2d_transpose(self, kernel, stride, size):
        def lax(x, w):
            return jax.lax.conv_transpose(x, w, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWOI", "NHWC"))

        form = _batch_last(convolutions.conv2d_transpose, stride)
        _assert_same(form, lax, _normal(2, *size, 3), _normal(*kernel, 4, 3))


def test_fold_is_the_adjoint_of_unfold():
    windows, out, size = ((3, 2, 1), (4, 2, 1)), (4, 3), (7, 6)
    x, seen = _normal(2, *size, 5), _normal(2 * 12, 4, 3, 5)
    one = jnp.vdot(convolutions.unfold(x, windows, out), seen)
    other = jnp.vdot(x, convolutions.fold(seen, windows, size))
    np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize("name", ["Conv2D", "Conv2DTranspose"])
@pytest.mark.parametrize("cpu", [False, True], ids=["lax form", "matmul form"])
def test_parameters_and_numbers_are_haikus(name, cpu, monkeypatch):
    monkeypatch.setattr(convolutions, "prefers_products", lambda: cpu)
    x = _normal(2, 7, 5, 3)
    theirs = hk.without_apply_rng(hk.transform(lambda x: getattr(hk, name)(4, 3, 2, name="same")(x)))
    ours = hk.without_apply_rng(hk.transform(lambda x: getattr(convolutions, name)(4, 3, 2, name="same")(x)))
    params = theirs.init(jax.random.key(0), x)
    assert jax.tree.map(jnp.shape, ours.init(jax.random.key(0), x)) == jax.tree.map(jnp.shape, params)
    np.testing.assert_allclose(ours.apply(params, x), theirs.apply(params, x), atol=1e-4)


def test_a_cpu_gets_matrix_products_and_no_convolution():
    if jax.default_backend() != "cpu":
        pytest.skip("the CPU's forms are not in use here")
    network = hk.without_apply_rng(hk.transform(lambda x: convolutions.Conv2DTranspose(4, 3, 2)(x)))
    x = _normal(2, 7, 7, 3)
    program = str(jax.make_jaxpr(jax.grad(lambda p: network.apply(p, x).sum()))(network.init(jax.random.key(0), x)))
    assert "dot_general" in program and "conv_general_dilated" not in program


def test_a_map_without_batch_is_refused_in_words():
    network = hk.transform(lambda x: convolutions.Conv2D(4, 3)(x))
    with pytest.raises(ValueError, match="four axes"):
        network.init(jax.random.key(0), _normal(7, 7, 3))
