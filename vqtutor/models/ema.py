"""The codebook as a running mean (lesson 04), after van den Oord et al. (2017), appendix A.1: every code is the mean of
the vectors that chose it, over a fading past. Systems: R1 with such a codebook, and R4."""

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
DEAD_BELOW = 0.1  # a count: one vector in ten batches, over a fading past

LossFn = Callable[[hk.Params, State, Array], tuple[Array, tuple[State, dict[str, Array], Array]]]


def batch_statistics(z_e: Array, indices: Array, num_codes: int) -> tuple[Array, Array]:
    """Return (counts [K], sums [K, D]): how many vectors chose each code, and the sum of those vectors.

    Both are float32, or float64 where z_e is. A vector that is not finite is left out of both, and so is one whose
    index names no code.

    Args:
      z_e: encoder output, [..., D].
      indices: the code that each vector chose, int [...].
      num_codes: K.
    """
    vectors = z_e.reshape(-1, z_e.shape[-1]).astype(jnp.promote_types(z_e.dtype, jnp.float32))
    finite = jnp.all(jnp.isfinite(vectors), axis=1)
    counts = jax.ops.segment_sum(finite.astype(vectors.dtype), indices.reshape(-1), num_codes)
    return counts, jax.ops.segment_sum(jnp.where(finite[:, None], vectors, 0), indices.reshape(-1), num_codes)


def smooth_counts(counts: Array, epsilon: float) -> Array:
    """Return counts [K] of which none is zero and whose total is unchanged: Laplace smoothing.

    Args:
      counts: [K].
      epsilon: what every code is given, before all are scaled back to the total there was.
    """
    total = jnp.sum(counts)
    return (counts + epsilon) * total / (total + counts.size * epsilon)


def update_codebook(
    counts: Array, sums: Array, z_e: Array, indices: Array, decay: float, epsilon: float
) -> tuple[Array, Array, Array]:
    """Return (counts [K], sums [K, D], codebook [K, D]) after one batch; counts and sums are running means, unsmoothed.

    An empty batch adds nothing: counts and sums fade alike, and while counts are far above epsilon no code moves.

    Args:
      counts, sums: running means so far, [K] and [K, D].
      z_e: encoder output, [..., D].
      indices: the code that each vector chose, int [...].
      decay: the share of the past that is kept, 0 to 1.
      epsilon: of `smooth_counts`, by whose counts the sums are divided.
    """
    batch_counts, batch_sums = batch_statistics(z_e, indices, counts.size)
    counts = decay * counts + (1 - decay) * batch_counts
    sums = decay * sums + (1 - decay) * batch_sums
    return counts, sums, sums / smooth_counts(counts, epsilon)[:, None]


def repair_start(codebook: Array) -> tuple[Array, Array]:
    """Return (counts [K], sums [K, D]) to begin with: as if each code stood for one vector that lies right on it.

    Sums over counts are then the codebook. Of a code that no vector has chosen both fade alike, but epsilon does not:
    after t steps the code is decay^t / (decay^t + epsilon) times what it was. At 0.99 and 1e-5 it keeps its place for
    a while, is 1 % shorter after 688 steps, half as long after 1,146, and ends at the origin.
    """
    counts = jnp.ones(len(codebook), jnp.promote_types(codebook.dtype, jnp.float32))
    return counts, counts[:, None] * codebook


class EMAVectorQuantizer(hk.Module):
    """A codebook that is a running mean of encoder outputs; nothing in it is trained by gradient.

    Unlike `hk.nets.VectorQuantizerEMA`, whose averages start at zero: there a code that the first batch leaves out
    becomes exactly 0, and the averages are missing from the state when it is initialised for evaluation.

    Args:
      num_codes: K, rows in the codebook.
      code_dim: D, numbers in a code.
      decay: the share of the past that is kept at each step.
      epsilon: of `smooth_counts`.
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
        z_e's dtype. State: "counts" [K], "sums" [K, D] and "codebook" [K, D], float32 also for a z_e of lower
        precision, in which a running mean would stand still; float64 where z_e is.
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
            past = jax.lax.stop_gradient(z_e)  # the state carries numbers from step to step, never a gradient
            after = update_codebook(counts, sums, past, indices, self.decay, self.epsilon)
            for name, value in zip(("counts", "sums", "codebook"), after, strict=True):
                hk.set_state(name, value)
        return {"z_q": straight_through(z_e, codes), "codes": codes, "indices": indices}


def restart_dead_codes(
    key: Array, counts: Array, sums: Array, codebook: Array, z_e: Array, threshold: float
) -> tuple[Array, Array, Array]:
    """Return (counts, sums, codebook) with every dead code put on an encoder output of its own, as if just begun.

    Random restarts as in Jukebox (Dhariwal et al., 2020). Where there are more dead codes than vectors, some share one.
    Only finite vectors are taken; where there is none, as in an empty batch, nothing changes.

    Args:
      key: a JAX random key; it chooses the vectors.
      counts, sums, codebook: [K], [K, D] and [K, D].
      z_e: encoder output, [..., D].
      threshold: a code is dead when its count is below.
    """
    vectors = z_e.reshape(-1, z_e.shape[-1])
    if len(vectors) == 0:
        return counts, sums, codebook
    finite = jnp.all(jnp.isfinite(vectors), axis=1)
    dead = (counts < threshold) & jnp.any(finite)
    order = jax.random.permutation(key, len(vectors))
    order = order[jnp.argsort(~finite[order])]  # finite ones first, in the order drawn
    ranks = (jnp.cumsum(dead) - 1) % jnp.maximum(jnp.sum(finite), 1)
    fresh = vectors[order[ranks]]  # the i-th dead code gets the i-th of them
    codebook = jnp.where(dead[:, None], fresh, codebook)
    return jnp.where(dead, 1.0, counts), jnp.where(dead[:, None], fresh, sums), codebook


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
      width: channels next to the image; the published system has 32, and a quarter of them trains ten times faster.
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
      variance: of the training data; None for a Bernoulli decoder, whose loss is in nats an image, the codes' price
        under a uniform prior included.
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
      threshold: of `restart`, which is called after every step; None leaves dead codes dead.
      restart: `restart_dead_codes`, or another with its arguments.
    """

    def step(params, state, opt_state, key, x):
        (loss, (state, metrics, z_e)), gradients = jax.value_and_grad(loss_fn, has_aux=True)(params, state, x)
        updates, opt_state = optimizer.update(gradients, opt_state, params)
        key, chooser = jax.random.split(key)
        if threshold is not None:
            (module,) = state
            names = ("counts", "sums", "codebook")
            after = restart(chooser, *(state[module][name] for name in names), z_e, threshold)
            state = {module: state[module] | dict(zip(names, after, strict=True))}
        return optax.apply_updates(params, updates), state, opt_state, key, {"loss": loss} | metrics

    return step
