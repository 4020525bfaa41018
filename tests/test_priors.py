"""Priors are proved, not eyed: exact sight, exact chains, and fast sampling that draws what plain sampling draws."""

from functools import partial

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vqtutor import fit, quick_jit
from vqtutor.models import convolutions, gated, pixelcnn, sampling

R1_PRIOR = partial(pixelcnn.PixelCNN, 128)
SMALL = {
    "plain": partial(pixelcnn.PixelCNN, 6, filters=8, blocks=2, layers=1),
    "gated": partial(gated.GatedPixelCNN, 6, channels=8, blocks=4, first_kernel=5),
}
small = pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)


def transformed(make):
    network = hk.without_apply_rng(hk.transform(lambda indices, *condition: make()(indices, *condition)))
    return hk.Transformed(jax.jit(network.init), jax.jit(network.apply))


def started(make, shape=(2, 5, 4), scale=2.0):
    """Return (network, parameters): large ones, and biases as well, so that every dependence shows."""
    network = transformed(make)
    params = network.init(jax.random.key(0), jnp.zeros(shape, jnp.int32))
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    return network, jax.tree.unflatten(tree, [
        scale * leaf + 0.1 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)
    ])  # fmt: skip


def sight(network, params, num_codes, shape):
    """Return bool [places, places]: whose code changes whose logits, a row for each place of the output."""
    places = np.prod(shape)
    seen = np.zeros((places, places), bool)
    apply = jax.jit(network.apply)
    for seed in range(4):
        indices = np.random.default_rng(seed).integers(0, num_codes, places)
        # A batch: the map as it is, and after it one map for each place with another code there.
        changed = (indices + np.eye(places + 1, places, k=-1, dtype=int)) % num_codes
        logits, *others = np.asarray(apply(params, changed.reshape(-1, *shape)))
        seen |= np.any(np.stack(others) != logits, axis=-1).reshape(places, places).T
    return seen


def test_r1s_prior_has_the_published_parameters():
    params = jax.eval_shape(transformed(R1_PRIOR).init, jax.random.key(0), jnp.zeros((1, 7, 7), jnp.int32))
    assert hk.data_structures.tree_size(params) == 1_049_728
    masked = sum(
        int((1 - pixelcnn.causal_mask(leaves["w"].shape[:2], "A" if "first" in name else "B")).sum())
        * leaves["w"].shape[2] * leaves["w"].shape[3]
        for name, leaves in params.items() if leaves["w"].ndim == 4
    )  # fmt: skip
    assert 1_049_728 - masked == 574_592


@small
def test_nothing_is_seen_that_comes_later(make):
    seen = sight(*started(make), 6, (5, 4))
    assert not np.triu(seen).any()


def test_the_blind_spot_of_plain_stacks_and_that_two_stacks_have_none():
    """On 7 x 7: R1's own net sees 1040 of 1176 pairs, its last place 35 of 48; a deep plain stack never more than 1001
    of those within its 3x3 reach; two stacks see all."""
    shape, pairs = (7, 7), 49 * 48 // 2
    seen = sight(*started(partial(pixelcnn.PixelCNN, 4, filters=16)), 4, shape)
    assert (seen.sum(), seen[-1].sum()) == (1040, 35)

    def deep(indices):
        x = jax.nn.one_hot(indices, 4)
        for i in range(12):
            x = jnp.tanh(pixelcnn.MaskedConv2D(8, (3, 3), "B" if i else "A")(x))
        return x

    network = hk.without_apply_rng(hk.transform(deep))
    assert (
        sight(network, quick_jit(network.init)(jax.random.key(0), jnp.zeros((1, 7, 7), jnp.int32)), 4, shape).sum()
        == 1001
    )
    everything = sight(*started(partial(gated.GatedPixelCNN, 4, channels=8, blocks=6)), 4, shape)
    assert everything.sum() == pairs


@pytest.mark.parametrize(
    ("kernel", "kind"),  # but (1, 1) and "A": a layer that sees nothing
    [((3, 3), "A"), ((3, 5), "A"), ((7, 3), "A"), ((3, 3), "B"), ((3, 5), "B"), ((7, 3), "B"), ((1, 1), "B")],
    ids=str,
)
def test_taps_give_the_numbers_of_a_masked_convolution(kernel, kind, monkeypatch):
    x = jax.random.normal(jax.random.key(0), (2, 5, 6, 3))
    layer = hk.without_apply_rng(hk.transform(lambda x: pixelcnn.MaskedConv2D(4, kernel, kind)(x)))
    params = layer.init(jax.random.key(1), x)

    def both(params, x):
        y, back = jax.vjp(layer.apply, params, x)
        return y, back(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))

    fast = both(params, x)
    monkeypatch.setattr(pixelcnn, "prefers_products", lambda: False)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), fast, both(params, x))
    (own,) = params.values()
    by_hand = convolutions.convolve(x, own["w"] * pixelcnn.causal_mask(kernel, kind)[..., None, None]) + own["b"]
    np.testing.assert_allclose(fast[0], by_hand, atol=1e-4)


def test_codes_looked_up_are_one_hot_codes_convolved():
    indices = jax.random.randint(jax.random.key(0), (3, 5, 4), 0, 6)
    layer = hk.multi_transform(
        lambda: (lambda m: (m, (m, lambda c: m.of_indices(c, 6))))(pixelcnn.MaskedConv2D(7, (7, 5), "A"))
    )
    params = layer.init(jax.random.key(1), jax.nn.one_hot(indices, 6))
    dense, looked_up = (
        jax.value_and_grad(lambda p, apply=apply, x=x: jnp.sum(jnp.sin(apply(p, None, x))))(params)
        for apply, x in zip(layer.apply, (jax.nn.one_hot(indices, 6), indices), strict=True)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), dense, looked_up)


def place_by_place(make, params, shape, *condition):
    step = hk.without_apply_rng(
        hk.transform(lambda indices, maps, row, column: make().at(indices, maps, row, column, *condition))
    )
    maps = jax.jit(hk.without_apply_rng(hk.transform(lambda: make().begin(shape))).apply)(params)
    return partial(step.apply, params), maps


@small
@pytest.mark.parametrize("shape", [(3, 5, 4), (2, 4, 7)], ids=str)
def test_fast_sampling_draws_the_very_codes_of_the_plain_loop(make, shape):
    network, params = started(make, shape, scale=3.0)
    at, maps = place_by_place(make, params, shape)
    plain = jax.jit(lambda key, heat: sampling.sample(key, partial(network.apply, params), shape, heat))
    fast = jax.jit(lambda key, heat: sampling.draw(key, at, maps, shape, temperature=heat))
    for seed in range(6):
        key, heat = jax.random.key(seed), (1.0, 0.7)[seed % 2]
        np.testing.assert_array_equal(plain(key, heat), fast(key, heat))


@small
def test_completing_keeps_what_is_known_and_draws_the_rest_alike(make):
    shape = (3, 5, 4)
    network, params = started(make, shape, scale=3.0)
    indices = jax.random.randint(jax.random.key(9), shape, 0, 6)
    known = jnp.zeros(shape, bool).at[:, :2].set(True).at[:, 4, 3].set(True)
    plain = sampling.complete(jax.random.key(0), partial(network.apply, params), indices, known)
    at, maps = place_by_place(make, params, shape)
    fast = sampling.draw(jax.random.key(0), at, maps, shape, known=(indices, known))
    np.testing.assert_array_equal(plain, fast)
    np.testing.assert_array_equal(plain[known], indices[known])


def test_a_condition_changes_logits_and_is_drawn_from_alike():
    make, shape = partial(gated.GatedPixelCNN, 6, channels=8, blocks=3), (2, 4, 5)
    network, condition = transformed(make), jnp.eye(2)
    indices = jax.random.randint(jax.random.key(0), shape, 0, 6)
    params = jax.tree.map(lambda x: 2 * x, network.init(jax.random.key(1), indices, condition))
    logits = network.apply(params, indices, condition)
    assert jnp.all(jnp.any(logits != network.apply(params, indices, condition[::-1]), axis=-1))
    plain = sampling.sample(jax.random.key(2), lambda c: network.apply(params, c, condition), shape)
    at, maps = place_by_place(make, params, shape, condition)
    fast = jax.jit(partial(sampling.draw, at=at, maps=maps, shape=shape))
    np.testing.assert_array_equal(plain, fast(jax.random.key(2)))


def test_joint_frequencies_of_a_small_chain_are_its_exact_distribution():
    """Two codes of three on a 1 x 3 map, from a real causal network: all 27 maps, counted and computed."""
    make, shape = partial(pixelcnn.PixelCNN, 3, filters=8, blocks=1, layers=1), (1, 1, 3)
    network, params = started(make, shape, scale=2.0)
    maps = jnp.stack(jnp.meshgrid(*[jnp.arange(3)] * 3, indexing="ij"), -1).reshape(27, 1, 3)
    log_p = jax.nn.log_softmax(network.apply(params, maps))
    exact = np.exp(np.take_along_axis(np.asarray(log_p), np.asarray(maps)[..., None], -1).sum((1, 2, 3)))
    assert exact.sum() == pytest.approx(1, abs=1e-4)  # a causal network is a distribution
    drawn = sampling.sample(jax.random.key(0), partial(network.apply, params), (40_000, 1, 3))
    counted = np.bincount(np.asarray(drawn).reshape(-1, 3) @ [9, 3, 1], minlength=27) / 40_000
    np.testing.assert_allclose(counted, exact, atol=4 * np.sqrt(0.25 / 40_000))


@small
def test_priors_learn_a_pattern(make):
    """Stripes: every code is the one above plus one. A prior should come to know all but the first row."""
    first = np.random.default_rng(0).integers(0, 6, (256, 1, 4))
    maps = (first + np.arange(5)[:, None]) % 6
    network = transformed(make)
    params, optimizer = network.init(jax.random.key(0), maps[:1]), optax.adam(1e-2)
    step = pixelcnn.make_train_step(network, optimizer)
    run = fit(step, (params, optimizer.init(params)), maps, steps=150, batch_size=32, progress=False)
    floor = np.log(6) / 5  # the first of five rows cannot be known
    assert run.history["loss"][-10:].mean() < floor + 0.1 and run.history["accuracy"][-10:].mean() > 0.8


def test_bits_and_nats():
    assert pixelcnn.nats_to_bits_per_image(1.0174, (7, 7)) == pytest.approx(71.9, abs=0.05)
    logits = jnp.zeros((2, 7, 7, 128))
    assert float(pixelcnn.prior_loss(logits, jnp.zeros((2, 7, 7), int))) == pytest.approx(np.log(128))
    assert pixelcnn.nats_to_bits_per_image(np.log(128), (7, 7)) == pytest.approx(343)


def test_other_mask_types_are_refused_in_a_sentence():
    for mask in (lambda: pixelcnn.causal_mask((3, 3), "C"), lambda: gated.stack_masks(3, "C")):
        with pytest.raises(ValueError, match="not 'C'"):
            mask()
