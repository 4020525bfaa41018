"""A trained autoencoder as two functions, encode and decode, for the lessons on priors."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from vqtutor.compiling import quick_jit, steady_jit
from vqtutor.models import autoencoder, ema
from vqtutor.training import Run, fit


@dataclass(frozen=True)
class Codec:
    """Images to code maps and back.

    Attributes:
      num_codes: K.
      codebook: [K, D].
      run: its training; None where its weights came with the package.
    """

    num_codes: int
    codebook: Array
    run: Run | None
    _indices: Callable[[Array], Array]
    _images: Callable[[Array], Array]

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Return the code maps of images: uint8 [N, 28, 28, 1] -> int32 [N, 7, 7]."""
        parts = np.array_split(images, max(1, len(images) // 500))
        return np.concatenate([self._indices(jnp.asarray(part)) for part in parts])

    def decode(self, indices: Array) -> np.ndarray:
        """Decode code maps: int [N, 7, 7] -> float32 [N, 28, 28, 1], about 0 to 1."""
        return np.asarray(self._images(jnp.asarray(indices)))


def train_codec(
    images: np.ndarray,
    *,
    num_codes: int = 64,
    code_dim: int = autoencoder.R1.code_dim,
    encoder: Callable[[int], Any] = autoencoder.Encoder,
    decoder: Callable[[], Any] = autoencoder.Decoder,
    quantizer: Callable[[int, int], Any] = ema.EMAVectorQuantizer,
    restart: Callable[..., tuple[Array, Array, Array]] = ema.restart_dead_codes,
    steps: int = 900,
    batch_size: int = 16,
    seed: int = 0,
) -> Codec:
    """Train the Keras VQ-VAE with an EMA codebook and restarts of dead codes; you can give your own parts.

    A recipe for a quarter of a minute: the codebook begins on encodings of the first images, the rate falls from 5e-3
    to 0 along a cosine, the decay is 0.9, and batches are small: many small steps do more here than few large ones.

    Args:
      images: uint8 [N, 28, 28, 1].
      num_codes, code_dim: K and D.
      encoder, decoder, quantizer, restart: your Encoder, Decoder, EMAVectorQuantizer and restart_dead_codes.
      steps, batch_size, seed: of the training.
    """
    quick = partial(quantizer, decay=0.9)  # a mean over ten batches follows an encoder that learns this fast
    network = ema.ema_vqvae(num_codes, code_dim, encoder, decoder, quick)
    optimizer = optax.adam(optax.cosine_decay_schedule(5e-3, steps))
    variance = float(np.var(images[:5000] / 255.0))
    first = autoencoder.prepare(jnp.asarray(images[:64]))

    @quick_jit
    def begin(key):
        params, state = network.init(key, first, True)
        z_e = network.apply(params, state, first, False)[0]["z_e"]
        return params, ema.restart_in_state(key, state, z_e, 2.0, restart)  # counts begin at 1, so all codes are dead

    params, state = begin(jax.random.key(seed))
    loss_fn = ema.make_loss(network, num_codes, variance=variance)
    step = ema.make_train_step(loss_fn, optimizer, threshold=0.5, restart=restart)
    start = params, state, optimizer.init(params), jax.random.key(seed + 1)
    run = fit(step, start, images, steps=steps, batch_size=batch_size, seed=seed, prepare=autoencoder.prepare)
    params, state = run.state[:2]
    (codebook,) = (own["codebook"] for own in state.values())

    # The parameters are arguments: as constants they would make each codec's programs programs of their own.
    @steady_jit
    def indices(params, state, pixels):
        return network.apply(params, state, autoencoder.prepare(pixels), False)[0]["indices"]

    @steady_jit
    def decoded(params, codes):
        return autoencoder.decode(params, codes, decoder) + 0.5

    return Codec(
        num_codes,
        codebook,
        run,
        lambda pixels: indices(params, state, pixels),
        lambda indices: decoded(params, codebook[indices]),
    )
