"""Probes of lesson 03."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vqtutor.checking.exercise import Probe
from vqtutor.lessons.inputs import array, compiled, network, normal

_rng = np.random.default_rng(5)
IMAGES = _rng.uniform(-0.5, 0.5, (2, 28, 28, 1)).astype(np.float32)
MAPS = np.asarray(normal(_rng, 2, 7, 7, 5))


def _rows_and_columns(answer, *cases):
    arrays = {}
    for size, layers in cases:
        value = answer(size, layers)
        rows, columns = value if np.shape(value) == (2,) else (value, value)
        arrays |= {f"rows of {size}, {layers} layers": rows, f"columns of {size}, {layers} layers": columns}
    return arrays


# -- Encoder, Decoder -------------------------------------------------------------------------------------------------


# A budget and a task are given, and no layers: what is looked at is what every network that does the job has in common.
IN_BUDGET = {"Encoder": 20_000, "Decoder": 30_000}


def _shape(build, x):
    params, apply = network(build, x)
    return np.array(jax.eval_shape(apply, params, x).shape)


def _size(build, x):
    return sum(leaf.size for leaf in jax.tree.leaves(network(build, x)[0]))


def _encoder_size(answer):
    return {
        "shape at code_dim 5": _shape(lambda: answer(5), IMAGES),
        "shape of one image at code_dim 1": _shape(lambda: answer(1), IMAGES[:1]),
        "at most 20,000 parameters at code_dim 16": _size(lambda: answer(16), IMAGES) <= IN_BUDGET["Encoder"],
    }


def _decoder_size(answer):
    return {
        "shape": _shape(answer, MAPS),
        "shape of one map of 16 numbers a place": _shape(answer, np.zeros((1, 7, 7, 16), np.float32)),
        "at most 30,000 parameters at code_dim 16": _size(answer, np.zeros((1, 7, 7, 16), np.float32))
        <= IN_BUDGET["Decoder"],
    }


def _range(build, x):
    """What a network's numbers can be: of either sign, of any size, and no weighted sum of the input's."""
    params, apply = network(build, x)
    params = jax.tree.map(lambda leaf: (3 * leaf).astype(leaf.dtype), params)  # what is squashed stays small even so
    first, second = x[:1], x[1:2]
    out = np.asarray(compiled(apply)(params, np.concatenate([first, second, (first + second) / 2])), np.float64)
    bend = np.abs(out[0] + out[1] - 2 * out[2]).max()
    return out, {
        "what is half way between two inputs is not always half way between their outputs": bool(
            bend > 1e-3 * np.abs(out).max()
        ),
        "some outputs are far below zero": bool(out.min() < -1.5),
        "some outputs are far above zero": bool(out.max() > 1.5),
    }


def _encoder_range(answer):
    out, facts = _range(lambda: answer(16), IMAGES)
    rows = out.reshape(-1, out.shape[-1])
    sizes = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
    return facts | {"of 16 numbers, none is a fixed mix of the others": bool(np.sum(sizes > 1e-4 * sizes[0]) >= 16)}


def _decoder_range(answer):
    out, facts = _range(answer, MAPS)
    blocks = out[:, : out.shape[1] // 2 * 2, : out.shape[2] // 2 * 2]
    neighbours = np.abs(blocks[:, ::2, ::2] - blocks[:, 1::2, 1::2])
    return facts | {"pixels side by side can differ": bool(neighbours.max(initial=0) > 1e-6)}


def _slopes(build, x, part):
    """Return (outputs, gradients to the parameters, to x, to x of the output's part alone, outputs beside nothing)."""
    params, apply = network(build, x)

    def slopes(params, x, other):
        out, backward = jax.vjp(apply, params, x)
        weights = np.random.default_rng(2).normal(size=out.shape).astype(np.float32)
        only = np.zeros_like(weights)
        only[part] = weights[part]
        return out, *backward(array(weights, out.dtype)), backward(array(only, out.dtype))[1], apply(params, other)

    other = np.array(x)
    other[1] = 0
    return compiled(slopes)(params, x, other)


def _learning(out, gradients, beside_nothing):
    return {
        "an output is its own, whatever else is in the batch": bool(
            np.all(np.abs(beside_nothing[:1] - out[:1]) < 1e-3)
        ),
        "every layer has a gradient": all(bool(np.any(leaf != 0)) for leaf in jax.tree.leaves(gradients)),
    }


def _encoder_learning(answer):
    out, gradients, to_x, to_x_of_one, beside_nothing = _slopes(lambda: answer(5), IMAGES, np.s_[:, 2:3, 4:5])
    seen = np.abs(to_x).sum(axis=(0, 3)) > 0
    return _learning(out, gradients, beside_nothing) | {
        "every pixel is seen by some vector": bool(seen.all()),
        "a vector sees its own 4 x 4 pixels": bool(np.any(to_x_of_one[:, 8:12, 16:20] != 0)),
    }


def _decoder_learning(answer):
    out, gradients, to_z, to_z_of_one, beside_nothing = _slopes(answer, MAPS, np.s_[:, 8:12, 16:20])
    heard = np.abs(to_z_of_one).sum(axis=(0, 3)) > 0
    return _learning(out, gradients, beside_nothing) | {
        "every code is heard": bool(np.all(np.abs(to_z).sum(axis=(0, 3)) > 0)),
        "4 x 4 pixels hear their own code": bool(heard[2, 4]),
        "and its neighbours' on all four sides": bool(heard[1, 4] and heard[3, 4] and heard[2, 3] and heard[2, 5]),
    }


# -- make_train_step --------------------------------------------------------------------------------------------------

_START = {"line": {"w": np.array([[0.5], [-1.0]], np.float32), "b": np.array([0.2], np.float32)}}
_BATCHES = [normal(_rng, 4, 2) for _ in range(3)]
_OPTIMIZER = optax.adam(0.1)


def _toy_loss(params, x):
    out = x @ params["line"]["w"] + params["line"]["b"]
    return jnp.mean((out - 1) ** 2), {"error": jnp.mean(jnp.abs(out - 1))}


def _begin(answer):
    """Return (step, params, opt_state); the buffers are new, because a step may donate them."""
    params = jax.tree.map(array, _START)
    return answer(_toy_loss, _OPTIMIZER), params, _OPTIMIZER.init(params)


def _steps(answer, number):
    """Return (params, opt_state, error of each step) after some steps."""
    step, *state = _begin(answer)
    errors = []
    for x in _BATCHES[:number]:
        *state, metrics = step(*state, array(x))
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


def _with_decay(gradients, state, params=None):
    """Weight decay: updates depend on the parameters. Where these are not given, they are as if there were no decay."""
    decay = jax.tree.map(lambda g: 0 * g, gradients) if params is None else params
    return jax.tree.map(lambda g, p: -0.1 * (g + 0.5 * p), gradients, decay), state


def _anything(answer):
    """A step from parameters that it never met, with an optimizer that looks at them, and a batch of one."""
    optimizer = optax.GradientTransformation(lambda params: (), _with_decay)
    params = jax.tree.map(array, _START)
    step, opt_state = answer(_toy_loss, optimizer), optimizer.init(params)
    w = params["line"]["w"]
    first = step(params, opt_state, array(_BATCHES[0]))[0]
    untouched = params["line"]["w"] is w
    others = {"line": {"w": array([[3.0], [1.0]]), "b": array([-2.0])}}
    later = step(others, optimizer.init(others), array(_BATCHES[1][:1]))[0]
    return {
        "w, with weight decay": first["line"]["w"],
        "w, from other parameters and a batch of one": later["line"]["w"],
        "b, from other parameters and a batch of one": later["line"]["b"],
        "the parameters that went in are as they were": untouched,
    }


# -- patch_of ---------------------------------------------------------------------------------------------------------

_STACKS = {
    "3 and 3, stride 2": ((3, 2), (3, 2), (1, 1)),
    "4, 4 and 4, stride 2, then 3 and 3": ((4, 2), (4, 2), (4, 2), (3, 1), (3, 1)),
    "5 without a stride, 7 with 3, 2 with 2": ((5, 1), (7, 3), (2, 2)),
    "no layer": (),
}


def _patches(answer, *names):
    arrays = {}
    for name in names:
        size, step = answer(_STACKS[name])
        arrays |= {f"size, {name}": size, f"step, {name}": step}
    return arrays


# -- touches ----------------------------------------------------------------------------------------------------------


def _touched(answer, *cases):
    return {f"{places} places, kernel {k}, stride {s}": answer(places, k, s) for places, k, s in cases}


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
        Probe("what comes out", _encoder_range),
        Probe("what it sees", _encoder_learning),
    ),
    "Decoder": (
        Probe("shape and parameters", _decoder_size),
        Probe("what comes out", _decoder_range),
        Probe("what it hears", _decoder_learning),
    ),
    "make_train_step": (
        Probe("results", _results),
        Probe("one step", lambda answer: _after(answer, 1) | _anything(answer)),
        Probe("three steps", lambda answer: _after(answer, 3)),
        Probe("metrics", lambda answer: {"metric of three steps": _steps(answer, 3)[2]}),
    ),
    "patch_of": (
        Probe("two strides", lambda answer: _patches(answer, "3 and 3, stride 2", "no layer")),
        Probe("more layers", lambda answer: _patches(answer, *list(_STACKS)[1:3])),
    ),
    "touches": (
        Probe("a stride of two", lambda answer: _touched(answer, (5, 3, 2), (4, 4, 2))),
        Probe("other strides", lambda answer: _touched(answer, (4, 5, 3), (6, 3, 1), (3, 2, 4), (1, 1, 2))),
    ),
}
