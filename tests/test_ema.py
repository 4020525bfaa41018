"""The EMA codebook: held to Haiku's where that one is right, consistent where it is not, and R4 is R4."""

from functools import partial

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vqtutor import fit
from vqtutor.models import ema

K, D, DECAY = 5, 3, 0.9
RNG = np.random.default_rng(0)
CODEBOOK = jnp.asarray(RNG.normal(size=(K, D)), jnp.float32)


def batches(number, seed=0):
    """Vectors around the codes, but none around the last one."""
    rng = np.random.default_rng(seed)
    near = np.asarray(CODEBOOK)[rng.integers(0, K - 1, (number, 4, 6))]
    return jnp.asarray(near + 0.1 * rng.normal(size=(number, 4, 6, D)), jnp.float32)


OURS = hk.without_apply_rng(
    hk.transform_with_state(lambda z, training: ema.EMAVectorQuantizer(K, D, DECAY)(z, training))
)
HAIKUS = hk.without_apply_rng(
    hk.transform_with_state(lambda z, training: hk.nets.VectorQuantizerEMA(D, K, 0.25, DECAY)(z, training))
)


def our_state():
    return {"ema_vector_quantizer": dict(zip(("counts", "sums"), ema.repair_start(CODEBOOK), strict=True)) | {
        "codebook": CODEBOOK
    }}  # fmt: skip


def haikus_state(counts, sums, steps):
    """Haiku keeps codes in columns, and debiases by how many steps it believes to have made."""
    _, state = HAIKUS.init(jax.random.key(0), batches(1)[0], True)
    state = jax.tree.map(jnp.asarray, state)
    state["vector_quantizer_ema"] = {"embeddings": CODEBOOK.T}
    for name, value in (("ema_cluster_size", counts), ("ema_dw", sums.T)):
        state[f"vector_quantizer_ema/~/{name}"] = {"hidden": value, "average": value, "counter": jnp.int32(steps)}
    return state


def test_from_one_start_both_make_the_same_steps():
    """With Haiku's averages begun consistently, and so many steps ago that debiasing is over, nothing differs."""
    ours, haikus = our_state(), haikus_state(*ema.repair_start(CODEBOOK), steps=10**6)
    for z in batches(30):
        out, ours = OURS.apply({}, ours, z, True)
        other, haikus = HAIKUS.apply({}, haikus, z, True)
        np.testing.assert_array_equal(out["indices"], other["encoding_indices"])
        np.testing.assert_allclose(out["z_q"], other["quantize"], atol=1e-5)
        theirs = haikus["vector_quantizer_ema"]["embeddings"].T
        np.testing.assert_allclose(ours["ema_vector_quantizer"]["codebook"], theirs, atol=1e-5)


def test_from_haikus_own_start_chosen_codes_meet_in_the_end_and_unchosen_ones_snap_to_zero():
    ours, haikus = our_state(), haikus_state(jnp.zeros(K), jnp.zeros((K, D)), steps=0)
    for step, z in enumerate(batches(120)):
        _, ours = OURS.apply({}, ours, z, True)
        _, haikus = HAIKUS.apply({}, haikus, z, True)
        if step == 0:
            assert not np.any(haikus["vector_quantizer_ema"]["embeddings"][:, -1])
            np.testing.assert_allclose(ours["ema_vector_quantizer"]["codebook"][-1], CODEBOOK[-1], rtol=1e-3)
    theirs = haikus["vector_quantizer_ema"]["embeddings"].T
    np.testing.assert_allclose(ours["ema_vector_quantizer"]["codebook"][:-1], theirs[:-1], atol=1e-3)


def test_the_state_has_one_tree_in_either_mode_at_init_and_after_training():
    z = batches(1)[0]
    _, for_training = OURS.init(jax.random.key(0), z, True)
    _, for_evaluation = OURS.init(jax.random.key(0), z, False)
    _, after = OURS.apply({}, for_evaluation, z, True)
    shapes = [jax.tree.map(lambda x: (x.shape, x.dtype), s) for s in (for_training, for_evaluation, after)]
    assert shapes[0] == shapes[1] == shapes[2]
    jax.tree.map(np.testing.assert_array_equal, for_training, for_evaluation)
    # Haiku's lacks its averages when it is initialised for evaluation: why the course has a layer of its own.
    _, haikus = HAIKUS.init(jax.random.key(0), z, False)
    assert set(haikus) == {"vector_quantizer_ema"}


def test_it_works_in_a_compiled_loop_and_rests_at_evaluation():
    z = batches(20)

    @jax.jit
    def many(state):
        return jax.lax.scan(lambda state, z: (OURS.apply({}, state, z, True)[1], None), state, z)[0]

    state = our_state()
    for one in z:
        _, state = OURS.apply({}, state, one, True)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), many(our_state()), state)
    _, rested = OURS.apply({}, state, z[0], False)
    jax.tree.map(np.testing.assert_array_equal, rested, state)


def test_no_gradient_passes_through_the_state():
    def sum_of_next_codes(z):
        _, state = OURS.apply({}, our_state(), z, True)
        return jnp.sum(state["ema_vector_quantizer"]["codebook"])

    assert not np.any(jax.grad(sum_of_next_codes)(batches(1)[0]))


def test_restarted_codes_are_distinct_rows_and_living_ones_do_not_move():
    z = batches(1)[0]
    counts = jnp.array([0.0, 2.0, 0.05, 0.1, 0.0])
    new_counts, sums, codebook = jax.jit(ema.restart_dead_codes)(
        jax.random.key(0), counts, 2 * CODEBOOK, CODEBOOK, z, ema.DEAD_BELOW
    )
    dead = np.array([True, False, True, False, True])  # 0.1 is not below 0.1
    np.testing.assert_array_equal(new_counts, np.where(dead, 1, counts))
    np.testing.assert_array_equal(codebook[~dead], CODEBOOK[~dead])
    np.testing.assert_array_equal(sums[~dead], 2 * CODEBOOK[~dead])
    np.testing.assert_array_equal(sums[dead], codebook[dead])
    rows = {tuple(row) for row in np.asarray(z).reshape(-1, D).tolist()}
    assert {tuple(code) for code in np.asarray(codebook)[dead].tolist()} <= rows
    assert len(np.unique(codebook[dead], axis=0)) == 3


def test_more_dead_codes_than_vectors():
    z = batches(1)[0, 0, :2]
    counts, _, codebook = ema.restart_dead_codes(jax.random.key(0), jnp.zeros(K), CODEBOOK, CODEBOOK, z, 0.1)
    assert counts.tolist() == [1.0] * K and len(np.unique(codebook, axis=0)) == 2


def test_r4_has_the_published_counts_and_shapes():
    network, x = ema.letter_vqvae(), jnp.zeros((2, 28, 28, 1))
    params, state = network.init(jax.random.key(0), x, True)

    def count(part):
        return hk.data_structures.tree_size({k: v for k, v in params.items() if k.startswith(part)})

    assert (count("letter_encoder"), count("letter_decoder")) == (192_820, 358_465)
    assert hk.data_structures.tree_size(params) == 192_820 + 358_465  # nothing trainable in the quantizer
    out, _ = network.apply(params, state, x, False)
    assert out["x_hat"].shape == x.shape and out["z_e"].shape == (2, 1, 16) and out["indices"].shape == (2, 1)


def test_r4s_loss_is_nats_with_the_priors_constant():
    network, x = ema.letter_vqvae(width=4), jnp.asarray(RNG.uniform(size=(4, 28, 28, 1)), jnp.float32)
    params, state = network.init(jax.random.key(0), x, True)
    loss, (_, metrics, z_e) = ema.make_loss(network, 64, 0.25)(params, state, x)
    out, _ = network.apply(params, state, x, True)
    nats = -jnp.sum(x * jax.nn.log_sigmoid(out["x_hat"]) + (1 - x) * jax.nn.log_sigmoid(-out["x_hat"])) / 4
    np.testing.assert_allclose(metrics["nats"], nats + np.log(64), rtol=1e-5)
    commitment = np.mean((z_e - out["codes"]) ** 2)
    np.testing.assert_allclose(loss, nats + 0.25 * commitment + 4.159, rtol=1e-4)


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_it_trains_with_fit_and_resumes_bit_equal(threshold, tmp_path):
    small = partial(ema.ema_vqvae, 8, 4, lambda d: hk.nets.MLP([16, d]), lambda: hk.nets.MLP([16, 6]))
    data = RNG.normal(size=(64, 6)).astype(np.float32)
    network, optimizer = small(), optax.adam(1e-2)
    params, state = network.init(jax.random.key(0), data[:2], True)
    step = ema.make_train_step(ema.make_loss(network, 8, 0.25, 1.0), optimizer, threshold)
    start = params, state, optimizer.init(params), jax.random.key(1)
    options = dict(batch_size=16, progress=False)
    whole = fit(step, start, data, steps=90, **options)
    fit(step, start, data, steps=31, checkpoint=tmp_path / "run.npz", **options)
    resumed = fit(step, start, data, steps=90, checkpoint=tmp_path / "run.npz", **options)
    for a, b in zip(jax.tree.leaves(whole.state[:3]), jax.tree.leaves(resumed.state[:3]), strict=True):
        np.testing.assert_array_equal(a, b)
    history = whole.history["reconstruction"]
    assert history[-10:].mean() < 0.8 * history[:10].mean()


def test_revival_brings_more_codes_into_use():
    data = RNG.normal(size=(512, 6)).astype(np.float32)
    network, optimizer = ema.ema_vqvae(32, 4, lambda d: hk.Linear(d), lambda: hk.Linear(6)), optax.adam(1e-2)
    params, state = network.init(jax.random.key(0), data[:2], True)
    state = jax.tree.map(lambda leaf: leaf + 3.0 if leaf.ndim == 2 else leaf, state)  # all codes far from the vectors
    used = {}
    for threshold in (None, 0.2):
        step = ema.make_train_step(ema.make_loss(network, 32, 0.25, 1.0), optimizer, threshold)
        run = fit(step, (params, state, optimizer.init(params), jax.random.key(1)), data, steps=400, progress=False)
        out, _ = network.apply(run.state[0], run.state[1], data, False)
        used[threshold] = len(np.unique(out["indices"]))
    assert used[0.2] >= 30 and used[None] < 20
