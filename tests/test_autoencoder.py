"""R1 is R1: shapes, parameter counts, gradients that reach every part, and a loss that falls."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vqtutor import quick_jit
from vqtutor.models import autoencoder, convolutions, losses

# Four blobs: something to learn.
_AT = np.random.default_rng(0).uniform(8, 20, (2, 4, 1, 1))
_ROWS, _COLUMNS = np.mgrid[:28, :28]
X = jnp.asarray(np.exp(-((_ROWS - _AT[0]) ** 2 + (_COLUMNS - _AT[1]) ** 2) / 30) - 0.5, jnp.float32)[..., None]


def _count(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def test_parameter_counts_are_the_published_ones():
    def count(network, x):
        return _count(jax.eval_shape(network.init, jax.random.key(0), x))

    assert count(hk.transform(lambda x: autoencoder.Encoder(16)(x)), X) == 19_856
    assert count(hk.transform(lambda z: autoencoder.Decoder()(z)), jnp.zeros((4, 7, 7, 16))) == 28_033
    assert count(autoencoder.vqvae(num_codes=64), X) == 48_913
    assert count(autoencoder.vqvae(), X) == 49_937


def test_r3_has_the_published_count_and_shapes():
    x = autoencoder.prepare_r3(jnp.zeros((2, 28, 28, 1), jnp.uint8))
    network = autoencoder.residual_vqvae()
    params = quick_jit(network.init)(jax.random.key(0), x)
    assert _count(params) == 250_017
    out = quick_jit(network.apply)(params, x)
    assert x.shape == out["x_hat"].shape == (2, 32, 32, 1) and float(x.max()) == -1.0
    assert out["indices"].shape == (2, 4, 4)
    decoded = quick_jit(lambda p, z: autoencoder.decode(p, z, autoencoder.ResidualDecoder))(params, out["codes"])
    np.testing.assert_allclose(decoded, out["x_hat"], atol=1e-4)


def test_shapes_and_reach():
    network = autoencoder.vqvae()
    params = quick_jit(network.init)(jax.random.key(0), X)
    out = quick_jit(network.apply)(params, X)
    assert out["x_hat"].shape == X.shape and out["indices"].shape == (4, 7, 7) and out["indices"].dtype == jnp.int32
    gradients = quick_jit(jax.grad(lambda p: autoencoder.make_loss(network, variance=0.08)(p, X)[0]))(params)
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(gradients))
    np.testing.assert_allclose(autoencoder.decode(params, out["codes"]), out["x_hat"], atol=1e-5)


def test_both_forms_give_the_same_numbers(monkeypatch):
    network = autoencoder.vqvae()
    params = quick_jit(network.init)(jax.random.key(0), X)

    def traced():
        return jax.value_and_grad(lambda p: autoencoder.make_loss(network, variance=0.08)(p, X)[0])

    fast = quick_jit(traced())(params)
    monkeypatch.setattr(convolutions, "prefers_products", lambda: False)
    assert "conv_general_dilated" in str(jax.make_jaxpr(traced())(params))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4), fast, quick_jit(traced())(params))


def test_training_lowers_the_loss():
    network = autoencoder.vqvae()
    params = quick_jit(network.init)(jax.random.key(0), X)
    optimizer = optax.adam(1e-3)
    step = jax.jit(autoencoder.make_train_step(autoencoder.make_loss(network, variance=X.var()), optimizer))
    state, seen = (params, optimizer.init(params)), []
    for _ in range(60):
        *state, metrics = step(*state, X)
        seen.append(float(metrics["loss"]))
    assert seen[-1] < 0.9 * seen[0] and set(metrics) == {"loss", "reconstruction", "vq", "perplexity"}


def test_perplexity_counts_codes_in_use():
    assert float(losses.perplexity(jnp.zeros(10, jnp.int32), 4)) == pytest.approx(1)
    assert float(losses.perplexity(jnp.arange(8).reshape(2, 4) % 4, 4)) == pytest.approx(4)
