"""The convolutional VQ-VAE (lesson 03), after van den Oord et al. (2017): the networks of systems R1 to R4,
their losses and training steps."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import optax
from jax import Array

from vqtutor.models import losses
from vqtutor.models.convolutions import Conv2D, Conv2DTranspose
from vqtutor.models.quantizer import VectorQuantizer

LossFn = Callable[[hk.Params, Array], tuple[Array, dict[str, Array]]]

# Glorot and Bengio (2010), uniform: it reaches the published figures in five epochs; Haiku's default takes longer.
_INIT = hk.initializers.VarianceScaling(1.0, "fan_avg", "uniform")


@dataclass(frozen=True)
class Settings:
    """Sizes and training settings of a published system; its training has a number of epochs or of steps."""

    num_codes: int
    code_dim: int
    beta: float
    learning_rate: float
    batch_size: int
    epochs: int | None = None
    steps: int | None = None


R1 = Settings(num_codes=128, code_dim=16, beta=0.25, learning_rate=1e-3, batch_size=128, epochs=30)
R2 = Settings(num_codes=10, code_dim=64, beta=1.0, learning_rate=3e-4, batch_size=128, epochs=20)
R3 = Settings(num_codes=16, code_dim=32, beta=0.25, learning_rate=1e-4, batch_size=64, steps=20_000)
R4 = Settings(num_codes=64, code_dim=16, beta=0.25, learning_rate=1e-3, batch_size=64, epochs=20)


def prepare(pixels: Array) -> Array:
    """Turn uint8 [..., 28, 28, 1] into R1's input, float32 from -0.5 to 0.5."""
    return pixels.astype(jnp.float32) / 255 - 0.5


def prepare_r3(pixels: Array) -> Array:
    """Turn uint8 [B, 28, 28, 1] into R3's input, float32 [B, 32, 32, 1] from -1 to 1, with a black border."""
    return jnp.pad(pixels.astype(jnp.float32) / 127.5 - 1, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=-1.0)


def prepare_ink(pixels: Array) -> Array:
    """Turn uint8 [..., 28, 28, 1] into the input of R2 and R4, float32 from 0 to 1: the ink of a pixel."""
    return pixels.astype(jnp.float32) / 255


def code_map_shape(image_size: int | tuple[int, int], num_strided_layers: int) -> tuple[int, int]:
    """Return (rows, columns) of the code map after stride-2 layers with SAME padding, each of which rounds up.

    Args:
      image_size: in pixels, a side or (rows, columns).
      num_strided_layers: number of layers with stride 2.
    """
    rows, columns = (image_size, image_size) if isinstance(image_size, int) else image_size
    return -(-rows // 2**num_strided_layers), -(-columns // 2**num_strided_layers)


def bits_per_image(code_map_shape: tuple[int, int], num_codes: int) -> float:
    """Return the bits of one image's codes when all codes are equally likely."""
    rows, columns = code_map_shape
    return rows * columns * math.log2(num_codes)


class Encoder(hk.Module):
    """R1's encoder, 19,856 parameters at code_dim 16: [B, 28, 28, 1] -> [B, 7, 7, code_dim]."""

    def __init__(self, code_dim: int, name: str | None = None):
        super().__init__(name=name)
        self.code_dim = code_dim

    def __call__(self, x: Array) -> Array:
        x = jax.nn.relu(Conv2D(32, 3, 2, _INIT)(x))
        x = jax.nn.relu(Conv2D(64, 3, 2, _INIT)(x))
        return Conv2D(self.code_dim, 1, 1, _INIT)(x)


class Decoder(hk.Module):
    """R1's decoder, 28,033 parameters at code_dim 16: [B, 7, 7, code_dim] -> [B, 28, 28, 1]."""

    def __call__(self, z_q: Array) -> Array:
        x = jax.nn.relu(Conv2DTranspose(64, 3, 2, _INIT)(z_q))
        x = jax.nn.relu(Conv2DTranspose(32, 3, 2, _INIT)(x))
        return Conv2DTranspose(1, 3, 1, _INIT)(x)


class SmallEncoder(hk.Module):
    """R2's encoder: [B, 28, 28, 1] -> [B, 7, 7, code_dim]."""

    def __init__(self, code_dim: int, name: str | None = None):
        super().__init__(name=name)
        self.code_dim = code_dim

    def __call__(self, x: Array) -> Array:
        x = jax.nn.relu(Conv2D(16, 3, 2, _INIT)(x))
        x = jax.nn.relu(Conv2D(32, 3, 2, _INIT)(x))
        return Conv2D(self.code_dim, 3, 1, _INIT)(x)


class SmallDecoder(hk.Module):
    """R2's decoder: [B, 7, 7, code_dim] -> [B, 28, 28, 1], from 0 to 1."""

    def __call__(self, z_q: Array) -> Array:
        x = jax.nn.relu(Conv2DTranspose(32, 4, 2, _INIT)(z_q))
        x = jax.nn.relu(Conv2DTranspose(16, 4, 2, _INIT)(x))
        return jax.nn.sigmoid(Conv2D(1, 3, 1, _INIT)(x))


def _residual_stack(x: Array) -> Array:
    """Two layers of [relu, 3x3 to 32, relu, 1x1 to 64, skip], then relu: [B, H, W, 64] -> [B, H, W, 64]."""
    for _ in range(2):
        x = x + Conv2D(64, 1)(jax.nn.relu(Conv2D(32, 3)(jax.nn.relu(x))))
    return jax.nn.relu(x)


class ResidualEncoder(hk.Module):
    """R3's encoder, 142,208 parameters at code_dim 32: [B, 32, 32, 1] -> [B, 4, 4, code_dim]."""

    def __init__(self, code_dim: int, name: str | None = None):
        super().__init__(name=name)
        self.code_dim = code_dim

    def __call__(self, x: Array) -> Array:
        for channels in (32, 64, 64):
            x = jax.nn.relu(Conv2D(channels, 4, 2)(x))
        return Conv2D(self.code_dim, 1)(_residual_stack(x))


class ResidualDecoder(hk.Module):
    """R3's decoder, 107,297 parameters at code_dim 32: [B, 4, 4, code_dim] -> [B, 32, 32, 1]."""

    def __call__(self, z_q: Array) -> Array:
        x = _residual_stack(Conv2DTranspose(64, 4, 2)(z_q))
        x = jax.nn.relu(Conv2DTranspose(32, 4, 2)(x))
        return Conv2DTranspose(1, 4, 2)(x)


class LetterEncoder(hk.Module):
    """R4's encoder, 192,820 parameters at code_dim 16: [B, 28, 28, 1] -> [B, 1, code_dim], one vector an image."""

    def __init__(self, code_dim: int, width: int = 32, name: str | None = None):
        """Args: width: channels of the first layers; the published system has 32."""
        super().__init__(name=name)
        self.code_dim = code_dim
        self.width = width

    def __call__(self, x: Array) -> Array:
        for channels, stride in ((self.width, 1), (self.width, 2), (2 * self.width, 1), (2 * self.width, 2)):
            x = Conv2D(channels, 5, stride, _INIT, activation=jax.nn.elu)(x)
        # A 7x7 convolution without padding on a 7x7 map is a linear layer.
        x = jax.nn.elu(hk.Linear(4, w_init=_INIT)(hk.Flatten()(x)))
        return hk.Linear(self.code_dim, w_init=_INIT)(x)[:, None]


class LetterDecoder(hk.Module):
    """R4's decoder, 358,465 parameters at code_dim 16: [B, 1, code_dim] -> logits of ink [B, 28, 28, 1]."""

    def __init__(self, width: int = 32, name: str | None = None):
        """Args: width: channels of the last layers; the published system has 32."""
        super().__init__(name=name)
        self.width = width

    def __call__(self, z_q: Array) -> Array:
        wide = 2 * self.width
        x = hk.Linear(49 * wide, with_bias=False, w_init=_INIT)(z_q[:, 0])  # a transposed 7x7 convolution of one place
        x = jax.nn.elu(hk.Bias(bias_dims=[-1])(x.reshape(-1, 7, 7, wide)))
        for channels, stride in ((wide, 1), (wide, 2), (self.width, 1), (self.width, 2), (self.width, 1)):
            x = Conv2DTranspose(channels, 5, stride, _INIT, activation=jax.nn.elu)(x)
        return Conv2D(1, 5, 1, _INIT)(x)


def vqvae(
    num_codes: int = R1.num_codes,
    code_dim: int = R1.code_dim,
    encoder: Callable[[int], Callable[[Array], Array]] = Encoder,
    decoder: Callable[[], Callable[[Array], Array]] = Decoder,
    quantizer: Callable[[int, int], Callable[[Array], dict[str, Array]]] = VectorQuantizer,
) -> hk.Transformed:
    """Return a whole network, by default R1's.

    `apply(params, x)` takes x, [B, 28, 28, 1], and returns {"x_hat": [B, 28, 28, 1], "z_e", "z_q", "codes":
    [B, 7, 7, D], "indices": int32 [B, 7, 7]}.

    Args:
      num_codes, code_dim: K and D.
      encoder: `encoder(code_dim)` maps images to [B, H, W, D].
      decoder: `decoder()` maps [B, H, W, D] to images.
      quantizer: `quantizer(num_codes, code_dim)` is a layer such as `VectorQuantizer`.
    """

    def forward(x):
        z_e = encoder(code_dim)(x)
        out = quantizer(num_codes, code_dim)(z_e)
        return out | {"z_e": z_e, "x_hat": decoder()(out["z_q"])}

    return hk.without_apply_rng(hk.transform(forward))


def residual_vqvae(num_codes: int = R3.num_codes, code_dim: int = R3.code_dim) -> hk.Transformed:
    """Return R3's whole network, 250,017 parameters: images [B, 32, 32, 1], code maps [B, 4, 4]."""
    return vqvae(num_codes, code_dim, ResidualEncoder, ResidualDecoder)


def small_vqvae(num_codes: int = R2.num_codes, code_dim: int = R2.code_dim) -> hk.Transformed:
    """Return R2's whole network: images [B, 28, 28, 1], code maps [B, 7, 7] of ten codes."""
    return vqvae(num_codes, code_dim, SmallEncoder, SmallDecoder)


def decode(params: hk.Params, codes: Array, decoder: Callable[[], Callable[[Array], Array]] = Decoder) -> Array:
    """Decode looked-up codes: [B, H, W, D] -> images."""
    return hk.without_apply_rng(hk.transform(lambda z_q: decoder()(z_q))).apply(params, codes)


def make_loss(
    network: hk.Transformed, num_codes: int = R1.num_codes, beta: float = R1.beta, *, variance: float
) -> LossFn:
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
