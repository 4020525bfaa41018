"""A prior over code maps (lesson 05): masked convolutions after van den Oord et al. (2016), "Pixel Recurrent Neural
Networks", and R1's prior."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from vqtutor.models import autoencoder
from vqtutor.models.convolutions import kept_apart, look_around, prefers_products


@dataclass(frozen=True)
class Settings:
    """Training settings of a published prior, on the code maps of a trained autoencoder.

    Attributes:
      held_out: the share of the training maps that is not used for training.
    """

    learning_rate: float
    batch_size: int
    epochs: int
    held_out: float


R1_PRIOR = Settings(learning_rate=3e-4, batch_size=128, epochs=30, held_out=0.1)
R2_PRIOR = Settings(learning_rate=3e-4, batch_size=128, epochs=10, held_out=0.1)

_INIT = hk.initializers.VarianceScaling(1.0, "fan_avg", "uniform")


def causal_mask(kernel_shape: Sequence[int], mask_type: str) -> np.ndarray:
    """Return which taps of a kernel come before its centre in raster order: float32 [kh, kw] of 0 and 1.

    Args:
      kernel_shape: (kh, kw); the centre is (kh // 2, kw // 2).
      mask_type: "A" leaves the centre out, for a first layer, which must not see the code it predicts; "B" has it.
    Raises:
      ValueError: another mask type.
    """
    if mask_type not in ("A", "B"):
        raise ValueError(f"mask_type is 'A', without the centre, or 'B', with it; not {mask_type!r}.")
    rows, columns = kernel_shape
    order = np.arange(rows * columns)  # NumPy, so that the mask is a constant under jit
    centre = rows // 2 * columns + columns // 2
    return (order < centre + (mask_type == "B")).reshape(rows, columns).astype(np.float32)


class TapConv(hk.Module):
    """A convolution that computes only with the first taps of its kernel; maps keep their size.

    Its parameters are those of an ordinary convolution, `w` [kh, kw, C, output_channels] and `b`.

    Args:
      output_channels: C'.
      mask: [kh, kw], in raster order first 1 and then 0; taps with 0 are not used.
      centre: the tap that lies on the output's place.
    """

    def __init__(self, output_channels: int, mask: np.ndarray, centre: tuple[int, int], name: str | None = None):
        super().__init__(name=name)
        self.output_channels = output_channels
        self.mask = mask
        self.taps = [tuple(tap) for tap in np.argwhere(self.mask).tolist()]
        self.padding = [(c, k - 1 - c) for k, c in zip(self.mask.shape, centre, strict=True)]

    def _weights(self, channels: int) -> tuple[Array, Array]:
        w = hk.get_parameter("w", [*self.mask.shape, channels, self.output_channels], init=_INIT)
        return w, hk.get_parameter("b", [self.output_channels], init=jnp.zeros)

    def pad(self, x: Array, value: float = 0) -> Array:
        """Pad a map with zeros, or another value, so that every tap of every place lies inside."""
        return jnp.pad(x, [(0, 0), *self.padding, *[(0, 0)] * (x.ndim - 3)], constant_values=value)

    def __call__(self, x: Array) -> Array:
        """[B, H, W, C] -> [B, H, W, output_channels]."""
        w, b = self._weights(x.shape[-1])
        if not prefers_products():
            numbers = ("NHWC", "HWIO", "NHWC")
            weights = w * self.mask[..., None, None]
            return jax.lax.conv_general_dilated(x, weights, (1, 1), self.padding, dimension_numbers=numbers) + b
        (above, _), (left, _) = self.padding
        offsets = [(i - above, j - left) for i, j in self.taps]
        return look_around(x, offsets) @ self._matrix(w) + b

    # A slice of a padded map for each tap: for all places, for the places of a row, for one place.

    def _slices(self, padded: Array) -> list[Array]:
        height, width = (n - k + 1 for n, k in zip(padded.shape[1:3], self.mask.shape, strict=True))
        return [padded[:, i : i + height, j : j + width] for i, j in self.taps]

    def _slices_in_row(self, padded: Array, row: Array) -> list[Array]:
        rows = jax.lax.dynamic_slice_in_dim(padded, row, self.mask.shape[0], axis=1)
        width = padded.shape[2] - self.mask.shape[1] + 1
        return [rows[:, i, j : j + width] for i, j in self.taps]

    def _slices_at(self, padded: Array, row: Array, column: Array) -> list[Array]:
        rows = jax.lax.dynamic_slice_in_dim(padded, row, self.mask.shape[0], axis=1)
        window = jax.lax.dynamic_slice_in_dim(rows, column, self.mask.shape[1], axis=2)
        return [window[:, i, j] for i, j in self.taps]

    def _product(self, slices: list[Array], w: Array) -> Array:
        """Multiply each tap's slice [..., C] by its weights, and add the products: [..., C']."""
        return jnp.concatenate(slices, axis=-1) @ self._matrix(w)

    def _matrix(self, w: Array) -> Array:
        """The weights of the taps that are used, one below the other: [T * C, C']."""
        return self._used(w).reshape(-1, w.shape[3])

    def _used(self, w: Array) -> Array:
        """The weights of the taps that are used: [T, C, C']."""
        return w.reshape(-1, *w.shape[2:])[: len(self.taps)]

    def _rows_of(self, slices: list[Array], num_codes: int) -> Array:
        """Add the rows of w that the indices in each tap's slice, int [...], select: [..., C']."""
        w, b = self._weights(num_codes)
        # Split, whose gradient is one concatenation. Outside the map: a row of zeros.
        tables = jax.lax.split(jnp.pad(self._used(w), ((0, 0), (0, 1), (0, 0))), [1] * len(self.taps))

        def add(tables, slices):
            return sum(t[0].at[i].get(mode="fill") for t, i in zip(tables, slices, strict=True))

        whole = slices[0].ndim == 3  # of one place or row, a call of its own takes longer than it saves
        return (kept_apart(add) if whole else add)(tables, slices) + b

    def of_indices(self, indices: Array, num_codes: int) -> Array:
        """`self(one_hot(indices))` without a product: a sum of rows of w. int [B, H, W] -> [B, H, W, C']."""
        return self._rows_of(self._slices(self.pad(indices, num_codes)), num_codes)  # outside the map: index K

    def write(self, padded: Array, value: Array, row: Array, column: Array) -> Array:
        """Put value [B, C] at a place of a padded map."""
        (above, _), (left, _) = self.padding
        return padded.at[:, above + row, left + column].set(value)

    def write_row(self, padded: Array, values: Array, row: Array) -> Array:
        """Put values [B, W, C] into a row of a padded map."""
        (above, _), (left, _) = self.padding
        return jax.lax.dynamic_update_slice(padded, values[:, None], (0, above + row, left, 0))

    def at(self, padded: Array, row: Array, column: Array) -> Array:
        """One place of `self(x)`, from a padded map: [B, H + kh - 1, W + kw - 1, C] -> [B, output_channels]."""
        w, b = self._weights(padded.shape[-1])
        return self._product(self._slices_at(padded, row, column), w) + b

    def in_row(self, padded: Array, row: Array) -> Array:
        """One row of `self(x)`, from a padded map: [B, H + kh - 1, W + kw - 1, C] -> [B, W, output_channels]."""
        w, b = self._weights(padded.shape[-1])
        return self._product(self._slices_in_row(padded, row), w) + b

    def of_indices_at(self, indices: Array, num_codes: int, row: Array, column: Array) -> Array:
        """One place of `of_indices`: int [B, H, W] -> [B, output_channels]."""
        return self._rows_of(self._slices_at(self.pad(indices, num_codes), row, column), num_codes)

    def of_indices_in_row(self, indices: Array, num_codes: int, row: Array) -> Array:
        """One row of `of_indices`: int [B, H, W] -> [B, W, output_channels]."""
        return self._rows_of(self._slices_in_row(self.pad(indices, num_codes), row), num_codes)


class MaskedConv2D(TapConv):
    """A convolution without the taps after the centre: [B, H, W, C] -> [B, H, W, output_channels].

    Args:
      output_channels: C'.
      kernel_shape: (kh, kw).
      mask_type: "A" or "B", see `causal_mask`.
    """

    def __init__(self, output_channels: int, kernel_shape: Sequence[int], mask_type: str, name: str | None = None):
        rows, columns = kernel_shape
        super().__init__(output_channels, causal_mask(kernel_shape, mask_type), (rows // 2, columns // 2), name)


class PixelCNN(hk.Module):
    """R1's prior, 1,049,728 parameters at K = 128, 574,592 of them unmasked: indices [B, H, W] -> logits [B, H, W, K].

    A mask-A 7x7 layer on one-hot codes; blocks of [1x1, mask-B 3x3 to half the channels, 1x1, skip]; 1x1 layers; a relu
    after each. `begin` and `at` compute the same logits place by place, for `sampling.draw`.

    Args:
      num_codes: K.
      filters: channels.
      blocks: residual blocks.
      layers: 1x1 layers before the logits.
    """

    def __init__(
        self, num_codes: int = 128, filters: int = 128, blocks: int = 2, layers: int = 2, name: str | None = None
    ):
        super().__init__(name=name)
        self.num_codes = num_codes
        self.first = MaskedConv2D(filters, (7, 7), "A", name="first")
        self.narrow = [hk.Linear(filters, w_init=_INIT, name=f"narrow_{i}") for i in range(blocks)]
        self.masked = [MaskedConv2D(filters // 2, (3, 3), "B", name=f"masked_{i}") for i in range(blocks)]
        self.widen = [hk.Linear(filters, w_init=_INIT, name=f"widen_{i}") for i in range(blocks)]
        self.layers = [hk.Linear(filters, w_init=_INIT, name=f"layer_{i}") for i in range(layers)]
        self.logits = hk.Linear(num_codes, w_init=_INIT, name="logits")
        self.filters = filters

    def _trunk(self, x: Array, look: Callable[[int, Array], Array]) -> Array:
        """Apply the layers after the first to a map or a place; `look(i, hidden)` applies block i's 3x3 layer."""
        x = jax.nn.relu(x)
        for i, (narrow, widen) in enumerate(zip(self.narrow, self.widen, strict=True)):
            hidden = jax.nn.relu(narrow(x))
            x = x + jax.nn.relu(widen(jax.nn.relu(look(i, hidden))))
        for layer in self.layers:
            x = jax.nn.relu(layer(x))
        return self.logits(x)

    def __call__(self, indices: Array) -> Array:
        return self._trunk(self.first.of_indices(indices, self.num_codes), lambda i, hidden: self.masked[i](hidden))

    def begin(self, shape: tuple[int, int, int]) -> list[Array]:
        """Return the maps for `at`, for indices of this shape: each block's padded hidden map."""
        return [layer.pad(jnp.zeros((*shape, self.filters))) for layer in self.masked]

    def at(self, indices: Array, maps: list[Array], row: Array, column: Array) -> tuple[Array, list[Array]]:
        """Return (logits [B, K] of one place, the maps with that place written). Call it in raster order."""
        maps = list(maps)

        def look(i, hidden):
            maps[i] = self.masked[i].write(maps[i], hidden, row, column)
            return self.masked[i].at(maps[i], row, column)

        return self._trunk(self.first.of_indices_at(indices, self.num_codes, row, column), look), maps


def prior_loss(logits: Array, indices: Array) -> Array:
    """Return the mean negative log-likelihood of code maps, in nats a code.

    Args:
      logits: [B, H, W, K].
      indices: int [B, H, W].
    """
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, indices))


def nats_to_bits_per_image(nats_per_code: float, code_map_shape: tuple[int, int]) -> float:
    """Return the bits of a code map of (rows, columns), from the nats of a code."""
    rows, columns = code_map_shape
    return nats_per_code * rows * columns / math.log(2)


def receptive_field(
    network: Callable[[Array], Array], shape: tuple[int, int, int], position: tuple[int, int]
) -> np.ndarray:
    """Return the places of the input that one place of the output depends on: bool [H, W], by differentiation.

    Args:
      network: [1, H, W, C] -> [1, H, W, K].
      shape: (H, W, C) of its input.
      position: (row, column) in the output.
    """
    row, column = position

    @jax.jit
    def field(key):
        near, far = jax.random.split(key)
        x = jax.random.normal(near, (1, *shape))
        y, back = jax.vjp(network, x)
        # Random weights, because the gradient of a plain sum can be zero where those of its terms are not.
        pull = jnp.zeros_like(y).at[0, row, column].set(jax.random.normal(far, y.shape[-1:]))
        return jnp.any(back(pull)[0][0] != 0, axis=-1)

    # At some inputs the gradient of a relu is zero: combine several.
    return np.any([field(jax.random.key(seed)) for seed in range(16)], axis=0)


def make_train_step(
    network: hk.Transformed, optimizer: optax.GradientTransformation
) -> Callable[..., tuple[hk.Params, Any, dict[str, Array]]]:
    """Return `step(params, opt_state, batch)`; a batch is indices [B, H, W], or {"indices", "condition"}."""

    def loss_fn(params, batch):
        inputs = (batch["indices"], batch["condition"]) if isinstance(batch, dict) else (batch,)
        logits = network.apply(params, *inputs)
        accuracy = jnp.mean(jnp.argmax(logits, axis=-1) == inputs[0])
        return prior_loss(logits, inputs[0]), {"accuracy": accuracy}

    return autoencoder.make_train_step(loss_fn, optimizer)
