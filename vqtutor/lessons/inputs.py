"""Inputs and helpers for the probes of several lessons: vectors, codes and gradients."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_rng = np.random.default_rng(1)

# Codes of unequal norm in no order, K != D, and no vector near the border of two cells, so that no slip passes by luck.
# Computed with NumPy, because JAX would have to compile before the first check.
_CODES = np.array([[2.0, -1.0, 0.5], [-0.4, 0.3, 0.2], [0.6, 2.2, -1.4], [-1.8, -0.9, 1.1], [0.9, 0.4, 2.6]])
_Z = _CODES[[3, 1, 4, 0, 2, 1, 3]] + 0.25 * _rng.normal(size=(7, 3))
_CHOSEN = np.array([4, 0, 1, 1, 2, 3, 0, 2, 4, 3, 1, 2, 0, 4, 3, 1]).reshape(2, 4, 2)
CODEBOOK = jnp.asarray(_CODES.astype(np.float32))
Z = jnp.asarray(_Z.astype(np.float32))
# The last vector's nearest code by absolute differences differs from the one by squares.
LIST = jnp.asarray(np.concatenate([_Z, [[-3.9, 2.2, -1.4]]]).astype(np.float32))
MAP = jnp.asarray((_CODES[_CHOSEN] + 0.25 * _rng.normal(size=(2, 4, 2, 3))).astype(np.float32))


def normal(rng: np.random.Generator, *shape: int) -> jax.Array:
    """Return normal random numbers, float32."""
    return jnp.asarray(rng.normal(size=shape).astype(np.float32))


def as_floats(array: Any) -> Any:
    """Return an array of numbers or bools as float32, for results whose dtype is free; other values are unchanged."""
    numeric = isinstance(array, (jax.Array, np.ndarray)) and array.dtype.kind in "biuf"
    return array.astype(jnp.float32) if numeric else array


def pull_back(function, *inputs):
    """Return the gradient to each input of a random weighted sum of function's output; a plain sum can hide slips."""
    out, backward = jax.vjp(function, *inputs)
    weights = jnp.asarray(np.random.default_rng(2).normal(size=out.shape), out.dtype)
    return backward(weights)
