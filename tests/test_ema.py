"""The EMA codebook: held to Haiku's where that one is right, consistent where it is not, and unharmed by odd batches;
R4 is R4."""

from functools import partial

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vqtutor import fit
from vqtutor.models import ema, losses
from vqtutor.models.quantizer import nearest_code

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


# -- in use ------------------------------------------------------------------------------------------------------------


def own(state):
    return state["ema_vector_quantizer"]


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16], ids=["bfloat16", "float16"])
def test_the_state_is_float32_and_exact_for_vectors_of_half_precision(dtype):
    """In bfloat16 a running mean stops where a step is less than half a unit of the last place."""
    z = batches(10).astype(dtype)
    _, state = OURS.init(jax.random.key(0), z[0], True)
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(state)} == {"float32"}

    @jax.jit
    def many(state, z):
        def step(i, carry):
            return OURS.apply({}, carry, z[i % 10], True)[1]

        return jax.lax.fori_loop(0, 500, step, state)

    for name, value in own(many(our_state(), z)).items():
        assert value.dtype == jnp.float32
        np.testing.assert_allclose(value, own(many(our_state(), z.astype(jnp.float32)))[name], rtol=1e-6, atol=1e-6)
    out, _ = OURS.apply({}, our_state(), z[0], True)
    assert out["z_q"].dtype == out["codes"].dtype == dtype and out["indices"].dtype == jnp.int32
    counts, sums = ema.batch_statistics(jnp.ones((1000, 1), dtype), jnp.zeros(1000, jnp.int32), 1)
    assert counts.tolist() == [1000] and sums.tolist() == [[1000]]


def test_the_state_is_float64_where_the_vectors_are():
    from jax import experimental

    with jax.enable_x64(True) if hasattr(jax, "enable_x64") else experimental.enable_x64():
        z = np.asarray(batches(1)[0], np.float64)
        _, state = OURS.init(jax.random.key(0), jnp.asarray(z), True)
        _, after = OURS.apply({}, state, jnp.asarray(z), True)
        assert {str(leaf.dtype) for leaf in jax.tree.leaves((state, after))} == {"float64"}


@pytest.mark.parametrize("init", [OURS.init, jax.jit(OURS.init, static_argnums=2)], ids=["eager init", "jitted init"])
def test_a_fresh_state_can_be_donated(init):
    z = batches(1)[0]
    _, state = init(jax.random.key(0), z, True)
    _, kept = init(jax.random.key(0), z, True)
    step = jax.jit(lambda state, z: OURS.apply({}, state, z, True)[1], donate_argnums=0)
    after = step(step(state, z), z)
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=1e-6),
        after,
        OURS.apply({}, OURS.apply({}, kept, z, True)[1], z, True)[1],
    )


@pytest.mark.parametrize("start", [ema.repair_start, jax.jit(ema.repair_start)], ids=["eager", "jitted"])
def test_the_first_sums_are_not_the_codebook_itself(start):
    codebook = CODEBOOK + 0
    counts, sums = start(codebook)
    np.testing.assert_array_equal(sums, CODEBOOK)
    jax.block_until_ready(jax.jit(lambda *state: state, donate_argnums=(0, 1, 2))(counts, sums, codebook))
    assert sums.is_deleted() and codebook.is_deleted()  # both were given away, and neither twice


def test_where_a_code_that_nobody_chooses_goes():
    """At the course's decay and epsilon: what the docstring of repair_start says, step by step."""
    z, (counts, sums) = batches(1)[0].reshape(-1, D), ema.repair_start(CODEBOOK)
    indices = jnp.arange(len(z)) % (K - 1)

    def step(state, _):
        *state, codebook = ema.update_codebook(*state, z, indices, 0.99, 1e-5)
        return tuple(state), codebook[-1]

    _, path = jax.lax.scan(step, (counts, sums), length=2500)
    left = np.linalg.norm(path, axis=1) / np.linalg.norm(CODEBOOK[-1])
    share = 0.99 ** np.arange(1, 2501)
    np.testing.assert_allclose(left, share / (share + 1e-5), rtol=1e-3)
    assert (1 + np.argmax(left < 0.99), 1 + np.argmax(left < 0.5)) == pytest.approx((688, 1146), abs=2)
    assert left[228] > 0.999 and left[-1] < 1e-4  # at step 229 its count is DEAD_BELOW


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jitted"])
@pytest.mark.parametrize("shape", [(0,), (0, 7, 7), (3, 0)], ids=str)
def test_an_empty_batch_only_fades_the_past(shape, wrap):
    z, indices, (counts, sums) = jnp.zeros((*shape, D)), jnp.zeros(shape, jnp.int32), ema.repair_start(CODEBOOK)
    assert wrap(nearest_code)(z, CODEBOOK).shape == shape
    none, nothing = wrap(partial(ema.batch_statistics, num_codes=K))(z, indices)
    assert none.tolist() == [0] * K and nothing.tolist() == [[0] * D] * K
    assert wrap(partial(losses.perplexity, num_codes=K))(indices) == 1
    update = wrap(partial(ema.update_codebook, decay=0.9, epsilon=1e-5))
    for old, new, fades in zip((counts, sums, CODEBOOK), update(counts, sums, z, indices), (0.9, 0.9, 1), strict=True):
        np.testing.assert_allclose(new, fades * old, rtol=1e-5)
    dead = jnp.zeros(K)
    after = wrap(partial(ema.restart_dead_codes, threshold=0.1))(jax.random.key(0), dead, sums, CODEBOOK, z)
    jax.tree.map(np.testing.assert_array_equal, after, (dead, sums, CODEBOOK))
    out, state = wrap(lambda state, z: OURS.apply({}, state, z, True))(our_state(), z)
    assert out["z_q"].shape == z.shape
    np.testing.assert_allclose(own(state)["codebook"], CODEBOOK, rtol=1e-5)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_hurts_only_itself(odd):
    z = batches(1)[0].reshape(-1, D)
    spoilt = z.at[2, 1].set(odd)
    without = jnp.delete(z, 2, axis=0)
    indices, own_indices = nearest_code(spoilt, CODEBOOK), nearest_code(without, CODEBOOK)
    np.testing.assert_array_equal(jnp.delete(indices, 2), own_indices)
    for chosen in range(K):  # whichever code it is said to have chosen
        for a, b in zip(
            ema.batch_statistics(spoilt, indices.at[2].set(chosen), K),
            ema.batch_statistics(without, own_indices, K),
            strict=True,
        ):
            np.testing.assert_allclose(a, b, rtol=1e-6)
    out, state = jax.jit(lambda z: OURS.apply({}, our_state(), z, True))(spoilt)
    _, clean = OURS.apply({}, our_state(), without, True)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), state, clean)
    assert np.isfinite(jnp.delete(out["z_q"], 2, axis=0)).all() and np.isfinite(out["codes"]).all()


def test_no_code_is_restarted_on_a_vector_that_is_not_finite():
    z = batches(1)[0].reshape(-1, D)
    few = jnp.where((jnp.arange(len(z)) % 8 == 3)[:, None], z, jnp.nan)  # three finite ones
    restart = jax.jit(ema.restart_dead_codes)
    for seed in range(5):
        _, _, codebook = restart(jax.random.key(seed), jnp.zeros(K), CODEBOOK, CODEBOOK, few, 0.1)
        assert len(np.unique(codebook, axis=0)) == 3 and np.isfinite(codebook).all()
        # Of finite vectors the ones chosen are those that the key draws.
        _, _, codebook = restart(jax.random.key(seed), jnp.zeros(K), CODEBOOK, CODEBOOK, z, 0.1)
        np.testing.assert_array_equal(codebook, z[jax.random.permutation(jax.random.key(seed), len(z))[:K]])
    state = jnp.zeros(K), CODEBOOK, CODEBOOK
    after = restart(jax.random.key(0), *state, jnp.full_like(z, jnp.nan), 0.1)
    jax.tree.map(np.testing.assert_array_equal, after, state)


def sizes(jaxpr):
    """Return the sizes of all arrays that a program makes, in its inner programs too."""
    for equation in jaxpr.eqns:
        yield from (var.aval.size for var in equation.outvars)
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda p: hasattr(p, "jaxpr")):
            if hasattr(inner, "jaxpr"):
                yield from sizes(inner.jaxpr)


def test_counting_100_000_vectors_of_65_536_codes_needs_no_array_of_both():
    n, k, d = 100_000, 65_536, 16
    rng = np.random.default_rng(0)
    z, indices = rng.integers(-9, 9, (n, d)).astype(np.float32), rng.integers(0, k, n).astype(np.int32)
    statistics, perplexity = partial(ema.batch_statistics, num_codes=k), partial(losses.perplexity, num_codes=k)
    for f, arguments in ((statistics, (z, indices)), (perplexity, (indices,))):
        assert max(sizes(jax.make_jaxpr(f)(*arguments).jaxpr)) <= n * d
    counts, sums = jax.jit(statistics)(z, indices)
    np.testing.assert_array_equal(counts, np.bincount(indices, minlength=k))
    expected = np.zeros((k, d))
    np.add.at(expected, indices, z)
    np.testing.assert_array_equal(sums, expected)
    shares = np.bincount(indices) / n
    entropy = -np.sum(shares * np.log(shares, where=shares > 0, out=np.zeros_like(shares)))
    np.testing.assert_allclose(jax.jit(perplexity)(indices), np.exp(entropy), rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint32, np.int32])
def test_indices_of_any_integer_dtype_and_those_of_no_code(dtype):
    k = 200  # more than int8 can name
    indices = np.array([3, 100, 3, 127, 0])
    z = jnp.asarray(RNG.normal(size=(5, D)), jnp.float32)
    counts, sums = ema.batch_statistics(z, jnp.asarray(indices.astype(dtype)), k)
    np.testing.assert_array_equal(counts, np.bincount(indices, minlength=k))
    np.testing.assert_allclose(sums[3], z[0] + z[2], rtol=1e-6)
    expected = np.exp(-0.4 * np.log(0.4) - 0.6 * np.log(0.2))
    np.testing.assert_allclose(losses.perplexity(jnp.asarray(indices.astype(dtype)), k), expected, rtol=1e-6)
    of_no_code = np.array([3, 100, 3, 4, -1 if np.issubdtype(dtype, np.signedinteger) else 120]).astype(dtype)
    counts, sums = ema.batch_statistics(z, jnp.asarray(of_no_code), 4)
    np.testing.assert_array_equal(counts, [0, 0, 0, 2])
    np.testing.assert_allclose(sums, [[0] * D] * 3 + [z[0] + z[2]], rtol=1e-6)
    np.testing.assert_allclose(losses.perplexity(jnp.asarray(of_no_code), 4), np.exp(-0.4 * np.log(0.4)), rtol=1e-6)


def test_counting_is_differentiable_and_can_be_mapped_over():
    z = batches(3)
    indices = nearest_code(z, CODEBOOK)
    pull = jnp.asarray(RNG.normal(size=(K, D)), jnp.float32)
    gradient = jax.grad(lambda z: jnp.vdot(ema.batch_statistics(z, indices, K)[1], pull))(z)
    np.testing.assert_array_equal(gradient, pull[indices])
    many = jax.jit(jax.vmap(partial(ema.batch_statistics, num_codes=K)))(z, indices)
    one_by_one = [ema.batch_statistics(*pair, K) for pair in zip(z, indices, strict=True)]
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=1e-6), many, tuple(map(jnp.stack, zip(*one_by_one, strict=True)))
    )
    usage = jax.vmap(partial(losses.perplexity, num_codes=K))(indices)
    np.testing.assert_allclose(usage, [losses.perplexity(each, K) for each in indices], rtol=1e-6)

    def loss(z):
        return jnp.sum(z**2), losses.perplexity(nearest_code(z, CODEBOOK), K)

    gradient, usage = jax.grad(loss, has_aux=True)(z)
    np.testing.assert_allclose(gradient, 2 * z)
    assert 1 < usage <= K


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
    step = ema.make_train_step(ema.make_loss(network, 8, 0.25, variance=1.0), optimizer, threshold)
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
        step = ema.make_train_step(ema.make_loss(network, 32, 0.25, variance=1.0), optimizer, threshold)
        run = fit(step, (params, state, optimizer.init(params), jax.random.key(1)), data, steps=400, progress=False)
        out, _ = network.apply(run.state[0], run.state[1], data, False)
        used[threshold] = len(np.unique(out["indices"]))
    assert used[0.2] >= 30 and used[None] < 20
