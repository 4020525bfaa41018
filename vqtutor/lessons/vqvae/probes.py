"""Probes of lesson 03."""

import math

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax

from vqtutor.checking.exercise import Probe
from vqtutor.lessons.inputs import normal

_rng = np.random.default_rng(5)
IMAGES = jnp.asarray(_rng.uniform(-0.5, 0.5, (2, 28, 28, 1)).astype(np.float32))
MAPS = normal(_rng, 2, 7, 7, 5)


def _rows_and_columns(answer, *cases):
    arrays = {}
    for size, layers in cases:
        value = answer(size, layers)
        rows, columns = value if np.shape(value) == (2,) else (value, value)
        arrays |= {f"rows of {size}, {layers} layers": rows, f"columns of {size}, {layers} layers": columns}
    return arrays


# -- Encoder, Decoder -------------------------------------------------------------------------------------------------


def _plant(leaf):
    """Return weights that depend only on the leaf's shape: networks with the same layers then have the same output."""
    size = [side for side in leaf.shape if side != 1]
    values = np.random.default_rng(size).normal(size=size).reshape(leaf.shape)
    scale = 0.1 if leaf.ndim == 1 else math.sqrt(leaf.shape[-1] / leaf.size)
    return jnp.asarray(scale * values, leaf.dtype)


def _output(build, x):
    """Return the output for x of a network with fixed weights."""
    network = hk.without_apply_rng(hk.transform(lambda x: build()(x)))
    return network.apply(jax.tree.map(_plant, network.init(jax.random.key(0), x)), x)


def _shape(build, x):
    return jnp.array(jax.eval_shape(lambda: _output(build, x)).shape)


def _size(build, x):
    shapes = jax.eval_shape(hk.transform(lambda x: build()(x)).init, jax.random.key(0), x)
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))


def _encoder_size(answer):
    return {
        "parameters at code_dim 16": _size(lambda: answer(16), IMAGES),
        "shape at code_dim 5": _shape(lambda: answer(5), IMAGES),
    }


def _decoder_size(answer):
    return {"parameters at code_dim 16": _size(answer, jnp.zeros((2, 7, 7, 16))), "shape": _shape(answer, MAPS)}


# -- make_train_step --------------------------------------------------------------------------------------------------

_START = {"line": {"w": np.array([[0.5], [-1.0]], np.float32), "b": np.array([0.2], np.float32)}}
_BATCHES = [normal(_rng, 4, 2) for _ in range(3)]
_OPTIMIZER = optax.adam(0.1)


def _toy_loss(params, x):
    out = x @ params["line"]["w"] + params["line"]["b"]
    return jnp.mean((out - 1) ** 2), {"error": jnp.mean(jnp.abs(out - 1))}


def _begin(answer):
    """Return (step, params, opt_state); the buffers are new, because a step may donate them."""
    params = jax.tree.map(jnp.array, _START)
    return answer(_toy_loss, _OPTIMIZER), params, _OPTIMIZER.init(params)


def _steps(answer, number):
    """Return (params, opt_state, error of each step) after some steps."""
    step, *state = _begin(answer)
    errors = []
    for x in _BATCHES[:number]:
        *state, metrics = step(*state, jnp.array(x))
        errors.append(metrics["error"])
    return *state, jnp.stack(errors)


def _results(answer):
    """Return whether a step returns the right results, in the right order."""
    step, *state = _begin(answer)
    trees = [jax.tree.structure(part) for part in state]
    out, split = (), True
    try:
        out = step(*state, _BATCHES[0]) if callable(step) else ()
    except TypeError as error:  # JAX got loss_fn's pair as the loss
        if "scalar-output functions. Output was (" not in str(error):
            raise
        split = False
    out = out if isinstance(out, tuple) and len(out) == 3 else (None, None, None)
    return {
        "a function comes back": callable(step),
        "the loss is told from the metrics": split,
        "its first result is the parameters": jax.tree.structure(out[0]) == trees[0],
        "its second result is the optimizer's state": jax.tree.structure(out[1]) == trees[1],
        "its third result has loss_fn's metrics": isinstance(out[2], dict) and "error" in out[2],
    }


def _after(answer, number):
    params, opt_state, _ = _steps(answer, number)
    moment = optax.tree_utils.tree_get(opt_state, "mu")
    return {"w": params["line"]["w"], "b": params["line"]["b"], "the optimizer's running mean": moment["line"]["w"]}


PROBES = {
    "code_map_shape": (
        Probe("sizes that divide", lambda answer: _rows_and_columns(answer, (28, 2), (32, 3), (64, 0))),
        Probe("sizes that do not", lambda answer: _rows_and_columns(answer, (28, 3), (33, 1))),
        Probe("rows and columns", lambda answer: _rows_and_columns(answer, ((30, 50), 2), ((9, 64), 3))),
    ),
    "bits_per_image": (
        Probe("powers of two", lambda answer: {"7 x 7 of 128": answer((7, 7), 128), "4 x 4 of 16": answer((4, 4), 16)}),
        Probe("other numbers", lambda answer: {"3 x 5 of 10": answer((3, 5), 10), "1 x 1 of 64": answer((1, 1), 64)}),
    ),
    "Encoder": (
        Probe("shape and parameters", _encoder_size),
        Probe("values", lambda answer: {"values": _output(lambda: answer(5), IMAGES)}, points=2),
    ),
    "Decoder": (
        Probe("shape and parameters", _decoder_size),
        Probe("values", lambda answer: {"values": _output(answer, MAPS)}, points=2),
    ),
    "make_train_step": (
        Probe("results", _results),
        Probe("one step", lambda answer: _after(answer, 1)),
        Probe("three steps", lambda answer: _after(answer, 3)),
        Probe("metrics", lambda answer: {"metric of three steps": _steps(answer, 3)[2]}),
    ),
}
