"""The convolutional VQ-VAE (lesson 03): system R1, after van den Oord et al. (2017), in a few small layers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import optax
from jax import Array

from vqtutor.models import losses
from vqtutor.models.convolutions import Conv2D, Conv2DTranspose, prefers_batch_last, to_batch_first, to_batch_last
from vqtutor.models.quantizer import VectorQuantizer

LossFn = Callable[[hk.Params, Array], tuple[Array, dict[str, Array]]]

# Glorot and Bengio (2010), uniform: with it, five epochs reach the published figures; Haiku's default lags behind.
_INIT = hk.initializers.VarianceScaling(1.0, "fan_avg", "uniform")


@dataclass(frozen=True)
class R1:
    """The published settings of system R1."""

    num_codes: int = 128
    code_dim: int = 16
    beta: float = 0.25
    learning_rate: float = 1e-3
    batch_size: int = 128
    epochs: int = 30


def prepare(pixels: Array) -> Array:
    """Turn uint8 [..., 28, 28, 1] into R1's input, float32 from -0.5 to 0.5."""
    return pixels.astype(jnp.float32) / 255 - 0.5


class Encoder(hk.Module):
    """R1's encoder, 19,856 parameters at code_dim 16: [B, 28, 28, 1] -> [B, 7, 7, code_dim]."""

    def __init__(self, code_dim: int, name: str | None = None):
        super().__init__(name=name)
        self.code_dim = code_dim

    def __call__(self, x: Array) -> Array:
        fast = prefers_batch_last()
        x = to_batch_last(x) if fast else x
        x = jax.nn.relu(Conv2D(32, 3, 2, fast, _INIT)(x))
        x = jax.nn.relu(Conv2D(64, 3, 2, fast, _INIT)(x))
        x = Conv2D(self.code_dim, 1, 1, fast, _INIT)(x)
        return to_batch_first(x) if fast else x


class Decoder(hk.Module):
    """R1's decoder, 28,033 parameters at code_dim 16: [B, 7, 7, code_dim] -> [B, 28, 28, 1]."""

    def __call__(self, z_q: Array) -> Array:
        fast = prefers_batch_last()
        x = to_batch_last(z_q) if fast else z_q
        x = jax.nn.relu(Conv2DTranspose(64, 3, 2, fast, _INIT)(x))
        x = jax.nn.relu(Conv2DTranspose(32, 3, 2, fast, _INIT)(x))
        x = Conv2DTranspose(1, 3, 1, fast, _INIT)(x)
        return to_batch_first(x) if fast else x


def vqvae(num_codes: int = R1.num_codes, code_dim: int = R1.code_dim) -> hk.Transformed:
    """Return R1's whole network.

    `apply(params, x)` takes x, [B, 28, 28, 1], and returns {"x_hat": [B, 28, 28, 1], "z_e", "z_q", "codes":
    [B, 7, 7, D], "indices": int32 [B, 7, 7]}.
    """

    def forward(x):
        z_e = Encoder(code_dim)(x)
        out = VectorQuantizer(num_codes, code_dim)(z_e)
        return out | {"z_e": z_e, "x_hat": Decoder()(out["z_q"])}

    return hk.without_apply_rng(hk.transform(forward))


def decode(params: hk.Params, codes: Array) -> Array:
    """Return the images that looked-up codes stand for: [B, 7, 7, D] -> [B, 28, 28, 1]."""
    return hk.without_apply_rng(hk.transform(lambda z_q: Decoder()(z_q))).apply(params, codes)


def make_loss(network: hk.Transformed, variance: float, num_codes: int = R1.num_codes, beta: float = R1.beta) -> LossFn:
    """Return `loss_fn(params, x) -> (loss, metrics)` for a network that returns what `vqvae`'s does.

    Args:
      variance: of the training data after `prepare`, over all its pixels.
    """

    def loss_fn(params, x):
        out = network.apply(params, x)
        reconstruction = losses.reconstruction_loss(x, out["x_hat"], variance)
        vq = losses.vq_loss(out["z_e"], out["codes"], beta)
        usage = losses.perplexity(out["indices"], num_codes)
        return reconstruction + vq, {"reconstruction": reconstruction, "vq": vq, "perplexity": usage}

    return loss_fn


def make_train_step(loss_fn: LossFn, optimizer: optax.GradientTransformation) -> Callable[..., Any]:
    """Return `step(params, opt_state, x) -> (params, opt_state, metrics)`; metrics are loss_fn's and "loss"."""

    def step(params, opt_state, x):
        (loss, metrics), gradients = jax.value_and_grad(loss_fn, has_aux=True)(params, x)
        updates, opt_state = optimizer.update(gradients, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, {"loss": loss} | metrics

    return step
