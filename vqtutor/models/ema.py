"""The codebook as a running mean (lesson 04), after van den Oord et al. (2017), appendix A.1: every code is an
exponential moving average of the vectors that chose it. Systems: R1 with such a codebook, and R4."""

from collections.abc import Callable
from functools import partial
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import optax
from jax import Array

from vqtutor.models import losses
from vqtutor.models.autoencoder import R1, R4, Decoder, Encoder, LetterDecoder, LetterEncoder
from vqtutor.models.quantizer import look_up, nearest_code, straight_through

State = dict[str, dict[str, Array]]
DEAD_BELOW = 0.1  # a running mean of counts: one vector in ten batches

LossFn = Callable[[hk.Params, State, Array], tuple[Array, tuple[State, dict[str, Array], Array]]]


def batch_statistics(z_e: Array, indices: Array, num_codes: int) -> tuple[Array, Array]:
    """Return (counts [K], sums [K, D]): how many vectors chose each code, and the sum of those vectors.

    Both are float32, or float64 if z_e is. Vectors that are not finite, or whose index is out of range, are left out.

    Args:
      z_e: encoder output, [..., D].
      indices: the code of each vector, int [...].
      num_codes: K.
    """
    vectors = z_e.reshape(-1, z_e.shape[-1]).astype(jnp.promote_types(z_e.dtype, jnp.float32))
    finite = jnp.all(jnp.isfinite(vectors), axis=1)
    counts = jax.ops.segment_sum(finite.astype(vectors.dtype), indices.reshape(-1), num_codes)
    return counts, jax.ops.segment_sum(jnp.where(finite[:, None], vectors, 0), indices.reshape(-1), num_codes)


def smooth_counts(counts: Array, epsilon: float) -> Array:
    """Return counts [K] with the same total, none of them zero: Laplace smoothing.

    Args:
      counts: [K].
      epsilon: added to every count; then the counts are scaled back to their total.
    """
    total = jnp.sum(counts)
    return (counts + epsilon) * total / (total + counts.size * epsilon)


def update_codebook(
    counts: Array, sums: Array, z_e: Array, indices: Array, decay: float, epsilon: float
) -> tuple[Array, Array, Array]:
    """Return (counts [K], sums [K, D], codebook [K, D]) after one batch; counts and sums are running means, unsmoothed.

    With an empty batch, counts and sums decay alike, and codes whose counts are far above epsilon do not move.

    Args:
      counts, sums: running means so far, [K] and [K, D].
      z_e: encoder output, [..., D].
      indices: the code of each vector, int [...].
      decay: weight of the past, 0 to 1.
      epsilon: for `smooth_counts`; the sums are divided by the smoothed counts.
    """
    batch_counts, batch_sums = batch_statistics(z_e, indices, counts.size)
    counts = decay * counts + (1 - decay) * batch_counts
    sums = decay * sums + (1 - decay) * batch_sums
    return counts, sums, sums / smooth_counts(counts, epsilon)[:, None]


def repair_start(codebook: Array) -> tuple[Array, Array]:
    """Return the initial (counts [K], sums [K, D]): those of one vector per code, equal to the code.

    Sums divided by counts are then the codebook. For a code that no vector chooses, both decay alike, but epsilon does
    not: after t steps the code is decay^t / (decay^t + epsilon) times its start. At 0.99 and 1e-5 it is 1 % shorter
    after 688 steps, half as long after 1,146, and approaches the origin.
    """
    counts = jnp.ones(len(codebook), jnp.promote_types(codebook.dtype, jnp.float32))
    return counts, counts[:, None] * codebook


class EMAVectorQuantizer(hk.Module):
    """A codebook that is a running mean of encoder outputs, without gradients.

    In `hk.nets.VectorQuantizerEMA` the averages start at zero: a code that the first batch does not use becomes exactly
    0, and the averages are missing from the state when it is initialised for evaluation. Here neither happens.

    Args:
      num_codes: K, rows in the codebook.
      code_dim: D, numbers in a code.
      decay: weight of the past at each step.
      epsilon: for `smooth_counts`.
    """

    def __init__(
        self, num_codes: int, code_dim: int, decay: float = 0.99, epsilon: float = 1e-5, name: str | None = None
    ):
        super().__init__(name=name)
        self.num_codes = num_codes
        self.code_dim = code_dim
        self.decay = decay
        self.epsilon = epsilon

    def __call__(self, z_e: Array, is_training: bool) -> dict[str, Array]:
        """Quantize z_e [..., D] with the codebook as it is; when training, update the codebook after that.

        Returns: {"z_q": [..., D] straight-through, "codes": [..., D] rows, "indices": int32 [...]}, z_q and codes in
        z_e's dtype. State: "counts" [K], "sums" [K, D] and "codebook" [K, D], float64 if z_e is, else float32: in a
        lower precision the updates of a running mean would be rounded away.
        """
        dtype = jnp.promote_types(z_e.dtype, jnp.float32)
        uniform = hk.initializers.RandomUniform(-0.05, 0.05)
        codebook = hk.get_state("codebook", [self.num_codes, self.code_dim], dtype, init=uniform)
        start = repair_start(codebook)
        counts = hk.get_state("counts", start[0].shape, dtype, init=lambda *_: start[0])
        sums = hk.get_state("sums", start[1].shape, dtype, init=lambda *_: start[1])
        indices = nearest_code(z_e, codebook)
        codes = look_up(indices, codebook).astype(z_e.dtype)
        if is_training:
            past = jax.lax.stop_gradient(z_e)  # no gradient passes through the state
            after = update_codebook(counts, sums, past, indices, self.decay, self.epsilon)
            for name, value in zip(("counts", "sums", "codebook"), after, strict=True):
                hk.set_state(name, value)
        return {"z_q": straight_through(z_e, codes), "codes": codes, "indices": indices}


def restart_dead_codes(
    key: Array, counts: Array, sums: Array, codebook: Array, z_e: Array, threshold: float
) -> tuple[Array, Array, Array]:
    """Return (counts, sums, codebook) with every dead code moved to an encoder output of its own, with count 1.

    Random restarts as in Jukebox (Dhariwal et al., 2020). If there are more dead codes than vectors, some share one.
    Only finite vectors are used; if there is none, as in an empty batch, nothing changes.

    Args:
      key: a JAX random key, for the choice of vectors.
      counts, sums, codebook: [K], [K, D] and [K, D].
      z_e: encoder output, [..., D].
      threshold: a code is dead when its count is below this.
    """
    vectors = z_e.reshape(-1, z_e.shape[-1])
    if len(vectors) == 0:
        return counts, sums, codebook
    finite = jnp.all(jnp.isfinite(vectors), axis=1)
    dead = (counts < threshold) & jnp.any(finite)
    order = jax.random.permutation(key, len(vectors))
    order = order[jnp.argsort(~finite[order])]  # the finite ones first, in random order
    ranks = (jnp.cumsum(dead) - 1) % jnp.maximum(jnp.sum(finite), 1)
    fresh = vectors[order[ranks]]  # the i-th dead code gets the i-th of these
    codebook = jnp.where(dead[:, None], fresh, codebook)
    return jnp.where(dead, 1.0, counts), jnp.where(dead[:, None], fresh, sums), codebook


def restart_in_state(
    key: Array,
    state: State,
    z_e: Array,
    threshold: float,
    restart: Callable[..., tuple[Array, Array, Array]] = restart_dead_codes,
) -> State:
    """Return a network's state after `restart(key, counts, sums, codebook, z_e, threshold)` of its one codebook."""
    (module,) = state
    names = ("counts", "sums", "codebook")
    after = restart(key, *(state[module][name] for name in names), z_e, threshold)
    return {module: state[module] | dict(zip(names, after, strict=True))}


def ema_vqvae(
    num_codes: int = R1.num_codes,
    code_dim: int = R1.code_dim,
    encoder: Callable[[int], Callable[[Array], Array]] = Encoder,
    decoder: Callable[[], Callable[[Array], Array]] = Decoder,
    quantizer: Callable[[int, int], Callable[[Array, bool], dict[str, Array]]] = EMAVectorQuantizer,
) -> hk.TransformedWithState:
    """Return `autoencoder.vqvae` with an EMA codebook: `apply(params, state, x, is_training) -> (out, state)`."""

    def forward(x, is_training):
        z_e = encoder(code_dim)(x)
        out = quantizer(num_codes, code_dim)(z_e, is_training)
        return out | {"z_e": z_e, "x_hat": decoder()(out["z_q"])}

    return hk.without_apply_rng(hk.transform_with_state(forward))


def letter_vqvae(
    num_codes: int = R4.num_codes, code_dim: int = R4.code_dim, width: int = 32
) -> hk.TransformedWithState:
    """Return R4's whole network: images [B, 28, 28, 1], code maps [B, 1], "x_hat" the logits of ink.

    Args:
      width: channels of the layers next to the image; the published system has 32; 8 train ten times faster.
    """
    return ema_vqvae(num_codes, code_dim, partial(LetterEncoder, width=width), partial(LetterDecoder, width=width))


def make_loss(
    network: hk.TransformedWithState,
    num_codes: int = R1.num_codes,
    beta: float = R1.beta,
    *,
    variance: float | None = None,
) -> LossFn:
    """Return `loss_fn(params, state, x) -> (loss, (state, metrics, z_e))`; the codebook needs no loss.

    Args:
      variance: of the training data; None for a Bernoulli decoder, whose loss is in nats per image, with the nats of
        the codes under a uniform prior.
    """

    def loss_fn(params, state, x):
        out, state = network.apply(params, state, x, True)
        commitment = losses.commitment_loss(out["z_e"], out["codes"])
        usage = {"commitment": commitment, "perplexity": losses.perplexity(out["indices"], num_codes)}
        if variance is not None:
            reconstruction = losses.reconstruction_loss(x, out["x_hat"], variance)
            return reconstruction + beta * commitment, (state, {"reconstruction": reconstruction} | usage, out["z_e"])
        prior = losses.uniform_prior_nats(out["indices"][0].size, num_codes)
        nats = losses.bernoulli_nll(x, out["x_hat"]) + prior
        return nats + beta * commitment, (state, {"nats": nats} | usage, out["z_e"])

    return loss_fn


def make_train_step(
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    threshold: float | None = None,
    restart: Callable[..., tuple[Array, Array, Array]] = restart_dead_codes,
) -> Callable[..., Any]:
    """Return `step(params, state, opt_state, key, x) -> (params, state, opt_state, key, metrics)`.

    Args:
      loss_fn: `(params, state, x) -> (loss, (state, metrics, z_e))`.
      threshold: for `restart`, which is called after every step; None for no restarts.
      restart: `restart_dead_codes`, or another with its arguments.
    """

    def step(params, state, opt_state, key, x):
        (loss, (state, metrics, z_e)), gradients = jax.value_and_grad(loss_fn, has_aux=True)(params, state, x)
        updates, opt_state = optimizer.update(gradients, opt_state, params)
        key, chooser = jax.random.split(key)
        if threshold is not None:
            state = restart_in_state(chooser, state, z_e, threshold, restart)
        return optax.apply_updates(params, updates), state, opt_state, key, {"loss": loss} | metrics

    return step
