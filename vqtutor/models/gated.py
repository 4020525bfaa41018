"""The gated PixelCNN (lesson 06), after van den Oord et al. (2016), "Conditional Image Generation with PixelCNN
Decoders": two stacks that leave no blind spot, gates, and a condition. R2's prior."""

from collections.abc import Callable
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
from jax import Array

from vqtutor.models.pixelcnn import TapConv


def stack_masks(kernel_size: int, mask_type: str) -> tuple[Array, Array]:
    """Return the masks of the half kernels, (vertical [k // 2 + 1, k], horizontal [1, k // 2 + 1]), float32 of 0 and 1.

    The current row of the vertical kernel is its last one, and the current place of the horizontal kernel its last
    column: "A" blanks them, "B" keeps them.

    Args:
      kernel_size: k, odd.
      mask_type: "A" for the first block, "B" behind it.
    Raises:
      ValueError: another mask type.
    """
    if mask_type not in ("A", "B"):
        raise ValueError(f"mask_type is 'A', without the current row and place, or 'B', with them; not {mask_type!r}.")
    half, keep = kernel_size // 2, float(mask_type == "B")
    return jnp.ones((half + 1, kernel_size)).at[-1].set(keep), jnp.ones((1, half + 1)).at[:, -1].set(keep)


def gate(features: Array) -> Array:
    """Return tanh of the first half of the channels times sigmoid of the second: [..., 2C] -> [..., C]."""
    signal, open_ = jnp.split(features, 2, axis=-1)
    return jnp.tanh(signal) * jax.nn.sigmoid(open_)


class GatedBlock(hk.Module):
    """One block of both stacks: (vertical, horizontal), each [B, H, W, C'] -> the same with `channels`.

    The vertical stack sees rows above, the horizontal one what is left in its row; the vertical features pass through a
    1x1 layer into the horizontal ones before the gate, and never the other way round.

    Args:
      channels: C.
      kernel_size: k, odd.
      mask_type: "A" in the first block, "B" behind it.
      residual: whether the horizontal input is added to the horizontal output: never in a block of type "A".
    """

    def __init__(self, channels: int, kernel_size: int, mask_type: str, residual: bool, name: str | None = None):
        super().__init__(name=name)
        half = kernel_size // 2
        above, left = stack_masks(kernel_size, mask_type)
        self.channels = channels
        self.residual = residual
        self.vertical = TapConv(2 * channels, above, (half, half), name="vertical")
        self.horizontal = TapConv(2 * channels, left, (0, half), name="horizontal")
        self.across = hk.Linear(2 * channels, name="across")
        self.out = hk.Linear(channels, name="out")

    def __call__(self, vertical: Array, horizontal: Array, condition: Array | None = None) -> tuple[Array, Array]:
        """condition: [B, E], or None."""
        return self.join(self.vertical(vertical), self.horizontal(horizontal), horizontal, condition)

    def join(self, above: Array, left: Array, horizontal: Array, condition: Array | None) -> tuple[Array, Array]:
        """What follows the two convolutions, of maps [B, H, W, C], rows [B, W, C] or places [B, C]."""
        return self.gate_above(above, condition), self.gate_left(above, left, horizontal, condition)

    def gate_above(self, above: Array, condition: Array | None) -> Array:
        return gate(above + self._told(above, condition, "tell_vertical"))

    def gate_left(self, above: Array, left: Array, horizontal: Array, condition: Array | None) -> Array:
        out = self.out(gate(left + self.across(above) + self._told(left, condition, "tell_horizontal")))
        return out + horizontal if self.residual else out

    def _told(self, features: Array, condition: Array | None, name: str) -> Array:
        if condition is None:
            return jnp.zeros(())
        told = hk.Linear(2 * self.channels, with_bias=False, name=name)(condition)
        return told.reshape(len(told), *(1,) * (features.ndim - 2), -1)
