"""Inputs and helpers for the probes of several lessons: vectors, codes, gradients, and programs that compile fast."""

from collections.abc import Callable
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from vqtutor.checking.probe import plain
from vqtutor.compiling import quick_jit

_rng = np.random.default_rng(1)


def array(values: Any, dtype: Any = None) -> jax.Array:
    """Return `jnp.array(values, dtype)`, for which recent versions of JAX compile a program."""
    return jax.device_put(np.array(values, dtype))  # a copy, which nobody else has: an answer may donate it


# Codes of unequal norm in no order, K != D, and no vector near the border of two cells, so that no slip passes by luck.
# Computed with NumPy, because JAX would have to compile before the first check.
_CODES = np.array([[2.0, -1.0, 0.5], [-0.4, 0.3, 0.2], [0.6, 2.2, -1.4], [-1.8, -0.9, 1.1], [0.9, 0.4, 2.6]])
_Z = _CODES[[3, 1, 4, 0, 2, 1, 3]] + 0.25 * _rng.normal(size=(7, 3))
_CHOSEN = np.array([4, 0, 1, 1, 2, 3, 0, 2, 4, 3, 1, 2, 0, 4, 3, 1]).reshape(2, 4, 2)
CODEBOOK = array(_CODES.astype(np.float32))
Z = array(_Z.astype(np.float32))
# The last vector's nearest code by absolute differences differs from the one by squares.
LIST = array(np.concatenate([_Z, [[-3.9, 2.2, -1.4]]]).astype(np.float32))
MAP = array((_CODES[_CHOSEN] + 0.25 * _rng.normal(size=(2, 4, 2, 3))).astype(np.float32))


def normal(rng: np.random.Generator, *shape: int) -> jax.Array:
    """Return normal random numbers, float32."""
    return array(rng.normal(size=shape).astype(np.float32))


def as_floats(array: Any) -> Any:
    """Return an array of numbers or bools as float32, for results whose dtype is free; other values are unchanged."""
    numeric = isinstance(array, (jax.Array, np.ndarray)) and array.dtype.kind in "biuf"
    return array.astype(jnp.float32) if numeric else array


def pull_back(function, *inputs):
    """Return the gradient to each input of a random weighted sum of function's output; a plain sum can hide slips."""
    out, backward = jax.vjp(function, *inputs)
    weights = array(np.random.default_rng(2).normal(size=out.shape), out.dtype)
    return backward(weights)


def compiled(function: Callable) -> Callable:
    """Return `function` as one program where JAX can trace it, with NumPy arrays as results.

    One program compiles sooner than its fifty operations one by one. What is made of its results is better done with
    NumPy, for which nothing is compiled.
    """
    program = quick_jit(function)

    def call(*inputs):
        try:
            out = program(*inputs)
        except Exception:  # an answer may use NumPy, or Python's `if`
            out = function(*inputs)
        return jax.tree.map(plain, out, is_leaf=lambda leaf: leaf is None)

    return call


def network(build: Callable, *inputs: Any) -> tuple[dict, Callable]:
    """Return (parameters in general position, apply) of what `build` makes; apply takes (parameters, *inputs).

    The parameters are drawn by NumPy: JAX would compile a program for every shape. A mask, or a zero, that an answer
    puts into its initial parameters only is gone.
    """
    made = hk.without_apply_rng(hk.transform(lambda *inputs: build()(*inputs)))
    init = lambda *inputs: made.init(jax.random.key(0), *inputs)  # noqa: E731
    try:
        shapes = jax.eval_shape(init, *inputs)
    except Exception:  # as in `compiled`
        shapes = init(*inputs)
    rng = np.random.default_rng(0)
    draw = lambda leaf: (0.3 * rng.normal(size=leaf.shape)).astype(leaf.dtype)  # noqa: E731
    return jax.tree.map(draw, shapes), made.apply
