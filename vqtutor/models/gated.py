"""The gated PixelCNN (lesson 06), after van den Oord et al. (2016), "Conditional Image Generation with PixelCNN
Decoders": two stacks that leave no blind spot, gates, and a condition. R2's prior."""

from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vqtutor.models.pixelcnn import TapConv


def stack_masks(kernel_size: int, mask_type: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the masks of the half kernels, (vertical [k // 2 + 1, k], horizontal [1, k // 2 + 1]), float32 of 0 and 1.

    The last row of the vertical kernel is the current row, and the last column of the horizontal kernel the current
    place. They are 0 for "A" and 1 for "B".

    Args:
      kernel_size: k, odd.
      mask_type: "A" for the first block, "B" for the others.
    Raises:
      ValueError: another mask type.
    """
    if mask_type not in ("A", "B"):
        raise ValueError(f"mask_type is 'A', without the current row and place, or 'B', with them; not {mask_type!r}.")
    half = kernel_size // 2
    vertical, horizontal = np.ones((half + 1, kernel_size), np.float32), np.ones((1, half + 1), np.float32)
    vertical[-1] = horizontal[:, -1] = mask_type == "B"
    return vertical, horizontal


def gate(features: Array) -> Array:
    """Return tanh of the first half of the channels times sigmoid of the second: [..., 2C] -> [..., C]."""
    signal, open_ = jnp.split(features, 2, axis=-1)
    return jnp.tanh(signal) * jax.nn.sigmoid(open_)


class GatedBlock(hk.Module):
    """One block of both stacks: (vertical, horizontal), each [B, H, W, C'] -> the same with `channels`.

    The vertical stack sees the rows above, the horizontal stack the places to the left in its row. A 1x1 layer adds the
    vertical features to the horizontal ones before the gate, never the other way round.

    Args:
      channels: C.
      kernel_size: k, odd.
      mask_type: "A" in the first block, "B" in the others.
      residual: whether the horizontal input is added to the horizontal output; use False for type "A".
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
        """Apply all that follows the two convolutions, to maps [B, H, W, C], rows [B, W, C] or places [B, C]."""
        return self.gate_above(above, condition), self.gate_left(above, left, horizontal, condition)

    def gate_above(self, above: Array, condition: Array | None) -> Array:
        return gate(above + self._projection(above, condition, "tell_vertical"))

    def gate_left(self, above: Array, left: Array, horizontal: Array, condition: Array | None) -> Array:
        out = self.out(gate(left + self.across(above) + self._projection(left, condition, "tell_horizontal")))
        return out + horizontal if self.residual else out

    def _projection(self, features: Array, condition: Array | None, name: str) -> Array:
        if condition is None:
            return jnp.zeros(())
        projection = hk.Linear(2 * self.channels, with_bias=False, name=name)(condition)
        return projection.reshape(len(projection), *(1,) * (features.ndim - 2), -1)


class GatedPixelCNN(hk.Module):
    """R2's prior: (indices [B, H, W], condition [B, E] or None) -> logits [B, H, W, K].

    A block of type A with a wide kernel on one-hot codes, then blocks of type B, then two 1x1 layers. `begin` and `at`
    compute the same logits place by place, for `sampling.draw`: the vertical stack a row at a time, the horizontal
    stack a place at a time, so that a whole map costs one pass of the network.

    Args:
      num_codes: K.
      channels: of every block.
      blocks: number of blocks, with the first.
      first_kernel, kernel: k of the first block and of the others.
    """

    def __init__(
        self,
        num_codes: int = 10,
        channels: int = 32,
        blocks: int = 12,
        first_kernel: int = 7,
        kernel: int = 3,
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.num_codes = num_codes
        self.channels = channels
        self.first = GatedBlock(channels, first_kernel, "A", residual=False, name="first")
        self.blocks = [GatedBlock(channels, kernel, "B", residual=True, name=f"block_{i}") for i in range(1, blocks)]
        self.hidden = hk.Linear(channels, name="hidden")
        self.logits = hk.Linear(num_codes, name="logits")

    def _read_out(self, horizontal: Array) -> Array:
        return self.logits(jax.nn.relu(self.hidden(jax.nn.relu(horizontal))))

    def __call__(self, indices: Array, condition: Array | None = None) -> Array:
        first = self.first
        above = first.vertical.of_indices(indices, self.num_codes)
        left = first.horizontal.of_indices(indices, self.num_codes)
        vertical, horizontal = first.join(above, left, jnp.zeros(()), condition)
        for block in self.blocks:
            vertical, horizontal = block(vertical, horizontal, condition)
        return self._read_out(horizontal)

    def begin(self, shape: tuple[int, int, int]) -> dict[str, Any]:
        """Return the maps for `at`: the padded inputs of both stacks, and the vertical features of the current row."""
        batch, _, width = shape
        empty = jnp.zeros((*shape, self.channels))
        return {
            "above": [block.vertical.pad(empty) for block in self.blocks],
            "left": [block.horizontal.pad(empty[:, :1]) for block in self.blocks],
            "row": [jnp.zeros((batch, width, 2 * self.channels)) for _ in (self.first, *self.blocks)],
        }

    def at(
        self, indices: Array, maps: dict[str, Any], row: Array, column: Array, condition: Array | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Return (logits [B, K] of one place, the maps for the next place). Call it in raster order."""
        maps = jax.lax.cond(column == 0, lambda maps: self._begin_row(indices, maps, row, condition), lambda m: m, maps)
        left_maps = list(maps["left"])
        above = [jax.lax.dynamic_index_in_dim(features, column, axis=1, keepdims=False) for features in maps["row"]]
        left = self.first.horizontal.of_indices_at(indices, self.num_codes, row, column)
        horizontal = self.first.gate_left(above[0], left, jnp.zeros(()), condition)
        for i, block in enumerate(self.blocks):
            left_maps[i] = block.horizontal.write(left_maps[i], horizontal, 0, column)
            left = block.horizontal.at(left_maps[i], 0, column)
            horizontal = block.gate_left(above[i + 1], left, horizontal, condition)
        return self._read_out(horizontal), maps | {"left": left_maps}

    def _begin_row(self, indices: Array, maps: dict[str, Any], row: Array, condition: Array | None) -> dict[str, Any]:
        """Compute the vertical stack for a whole row, at its start: it depends only on the rows above."""
        rows, above_maps = [self.first.vertical.of_indices_in_row(indices, self.num_codes, row)], []
        vertical = self.first.gate_above(rows[0], condition)
        for block, padded in zip(self.blocks, maps["above"], strict=True):
            above_maps.append(block.vertical.write_row(padded, vertical, row))
            rows.append(block.vertical.in_row(above_maps[-1], row))
            vertical = block.gate_above(rows[-1], condition)
        return {"above": above_maps, "left": [jnp.zeros_like(left) for left in maps["left"]], "row": rows}
