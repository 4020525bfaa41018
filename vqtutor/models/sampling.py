"""Drawing code maps from a prior: ancestral sampling, code by code in raster order."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array


def sample(
    key: Array, logits_fn: Callable[[Array], Array], shape: tuple[int, int, int], temperature: float = 1.0
) -> Array:
    """Draw code maps by ancestral sampling: each code given those before it. `draw` does the same faster.

    Args:
      key: a JAX random key.
      logits_fn: a causal network, int [B, H, W] -> [B, H, W, K].
      shape: (B, H, W).
      temperature: the divisor of the logits; below 1, likely codes become likelier.
    Returns: int32 [B, H, W].
    """
    columns = shape[2]

    def fill_in(n, indices):
        row, column = n // columns, n % columns
        logits = logits_fn(indices)[:, row, column] / temperature
        drawn = jax.random.categorical(jax.random.fold_in(key, n), logits)
        return indices.at[:, row, column].set(drawn)

    return jax.lax.fori_loop(0, shape[1] * columns, fill_in, jnp.zeros(shape, jnp.int32))


def complete(key: Array, logits_fn: Callable[[Array], Array], indices: Array, known: Array) -> Array:
    """Draw the unknown codes of maps, each given all codes before it in raster order; known ones stay.

    Args:
      key: a JAX random key.
      logits_fn: a causal network, int [B, H, W] -> [B, H, W, K].
      indices: int [B, H, W]; not used where `known` is False.
      known: bool [B, H, W].
    Returns: int32 [B, H, W].
    """
    columns = indices.shape[2]

    def fill_in(n, indices):
        row, column = n // columns, n % columns
        drawn = jax.random.categorical(jax.random.fold_in(key, n), logits_fn(indices)[:, row, column])
        return indices.at[:, row, column].set(jnp.where(known[:, row, column], indices[:, row, column], drawn))

    start = jnp.where(known, indices, 0).astype(jnp.int32)
    return jax.lax.fori_loop(0, indices[0].size, fill_in, start)


def draw(
    key: Array,
    at: Callable[[Array, Any, Array, Array], tuple[Array, Any]],
    maps: Any,
    shape: tuple[int, int, int],
    temperature: float = 1.0,
    known: tuple[Array, Array] | None = None,
) -> Array:
    """Draw the same as `sample`, or `complete`, from the same key, with a network that computes one place at a time.

    Args:
      key: a JAX random key.
      at: `(indices, maps, row, column) -> (logits [B, K], maps)`.
      maps: the initial maps for `at`.
      shape: (B, H, W).
      temperature: as in `sample`.
      known: (indices, bool mask), both [B, H, W]: the codes that stay, and where they are.
    Returns: int32 [B, H, W].
    """
    columns = shape[2]
    indices, fixed = known if known is not None else (jnp.zeros(shape, jnp.int32), jnp.zeros(shape, bool))

    def fill_in(n, carry):
        indices, maps = carry
        row, column = n // columns, n % columns
        logits, maps = at(indices, maps, row, column)
        drawn = jax.random.categorical(jax.random.fold_in(key, n), logits / temperature)
        drawn = jnp.where(fixed[:, row, column], indices[:, row, column], drawn)
        return indices.at[:, row, column].set(drawn), maps

    start = jnp.where(fixed, indices, 0).astype(jnp.int32)
    return jax.lax.fori_loop(0, shape[1] * columns, fill_in, (start, maps))[0]
