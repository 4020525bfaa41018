"""Probes of lesson 05."""

import math

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from vqtutor.checking.exercise import Probe
from vqtutor.lessons.inputs import array, as_floats, compiled, network, normal, pull_back
from vqtutor.models.convolutions import convolve

_rng = np.random.default_rng(5)


def _masks(answer, mask_type):
    return {
        f"kernel {shape}, {mask_type}": as_floats(answer(shape, mask_type))
        for shape in ((3, 3), (3, 7), (5, 3), (1, 5))
    }


# -- MaskedConv2D -----------------------------------------------------------------------------------------------------

# An answer may arrange its weights as it likes: what counts is the convolution that it computes, whose kernel is read
# off its own derivatives.

CHANNELS, OUT = 3, 4
_X = np.asarray(normal(_rng, 2, 5, 4, CHANNELS))
_WIDE = np.asarray(normal(_rng, 1, 9, 9, CHANNELS))
_KERNELS = {"A": (3, 5), "B": (5, 3)}
_FREE = {"A": 7 * CHANNELS * OUT, "B": 8 * CHANNELS * OUT}  # taps that see, times channels


def _conv(answer, kind):
    """Return (parameters in general position, apply) of a layer."""
    return network(lambda: answer(OUT, _KERNELS[kind], kind), _X)


def _kernel(apply, kind):
    """Return a function of the parameters: the derivatives of one place of a map, [H, W, C, C'], and its kernel."""
    rows, columns = _KERNELS[kind]
    window = slice(4 - rows // 2, 5 + rows // 2), slice(4 - columns // 2, 5 + columns // 2)

    def kernel(params):
        out, backward = jax.vjp(lambda x: apply(params, x)[0, 4, 4], _WIDE)
        whole = jnp.moveaxis(jax.vmap(lambda one: backward(one)[0][0])(jnp.eye(out.size)), 0, -1)
        return whole, whole[window]

    return kernel


def _conv_values(answer):
    arrays = {}
    for kind, (rows, columns) in _KERNELS.items():
        params, plain = _conv(answer, kind)
        apply = compiled(plain)
        out, nothing = apply(params, _X), apply(params, np.zeros_like(_X))
        arrays[f"output shape, mask {kind}"] = np.array(out.shape)
        if out.shape != (*_X.shape[:3], OUT):
            continue
        whole, kernel = compiled(_kernel(plain, kind))(params)
        beyond = whole.copy()
        beyond[4 - rows // 2 : 5 + rows // 2, 4 - columns // 2 : 5 + columns // 2] = 0
        off = np.abs(compiled(convolve)(_X, kernel) + nothing[0, 0, 0] - out) > 1e-3
        arrays |= {
            f"mask {kind}: it sees no more than its kernel": not np.any(beyond),
            f"mask {kind}: it is one linear convolution": not np.any(off[:, 2:-2, 2:-2]),
            f"mask {kind}: also at the border, padded with zeros": not np.any(off),
            f"mask {kind}: there is a bias, the same everywhere": bool(
                np.all(nothing == nothing[:1, :1, :1]) and np.all(np.abs(nothing[0, 0, 0]) > 0)
            ),
        }
    return arrays


def _conv_sight(answer):
    """Which places see which: bool [places, places], a row for each place of the output."""
    arrays = {}
    for kind in _KERNELS:
        params, apply = _conv(answer, kind)
        jacobian = compiled(jax.jacobian(lambda x, apply=apply, params=params: apply(params, x)[0]))(_X[:1])
        places = np.any(jacobian != 0, axis=(2, 3, 6))
        height, width = _X.shape[1:3]
        if jacobian.shape[:2] != (height, width):
            places = np.zeros((0, 0), bool)
        arrays[f"who sees whom, mask {kind}"] = places.reshape(-1, height * width)
    return arrays


def _conv_parameters(answer):
    arrays = {}
    for kind in _KERNELS:
        params, apply = _conv(answer, kind)
        # As many layers as its kernel has numbers: do their kernels span all that a kernel can be?
        rng = np.random.default_rng(1)
        many = jax.tree.map(lambda p, n=_FREE[kind], rng=rng: rng.normal(size=(n, *p.shape)).astype(p.dtype), params)
        kernels = compiled(jax.vmap(_kernel(apply, kind)))(many)[1]
        arrays[f"numbers of its kernel that can be learned, mask {kind}"] = int(
            np.linalg.matrix_rank(kernels.reshape(_FREE[kind], -1), tol=1e-3)
        )
        # One output's gradient to a weight is the input that it multiplies, wherever the weight is kept.
        to_weights = compiled(jax.grad(lambda params, apply=apply: apply(params, _X)[0, 2, 2, 0]))(params)
        sizes = np.sort(np.concatenate([np.ravel(np.abs(leaf)) for leaf in jax.tree.leaves(to_weights)]))
        arrays[f"one output's gradient to the weights, by size, mask {kind}"] = sizes[sizes > 1e-9]

    def first(x):
        """The gradient of one row of the output, with the parameters that it starts with."""
        layer = hk.without_apply_rng(hk.transform(lambda x: answer(OUT, _KERNELS["B"], "B")(x)))
        params = layer.init(jax.random.key(0), x)
        return jax.grad(lambda x: jnp.sum(layer.apply(params, x)[:, 2, 2] * jnp.arange(1.0, 1 + OUT)))(x)[0]

    to_x = compiled(first)(_X)
    before = to_x[0, 1:4]
    return arrays | {
        "the start is alive": bool(np.any(to_x != 0)),
        "the start sees the future": bool(np.any(to_x[3:] != 0)),
        "weights start unequal": bool(np.any(np.abs(before - before.mean()) > 1e-6)),
    }


# -- receptive_field --------------------------------------------------------------------------------------------------

_MASK_A, _MASK_B = np.reshape([1.0] * 4 + [0.0] * 5, (3, 3, 1, 1)), np.reshape([1.0] * 8 + [0.0] * 7, (3, 5, 1, 1))
_FIRST = (_rng.normal(size=(3, 3, 2, 3)) / math.sqrt(18) * _MASK_A).astype(np.float32)
_SECOND = (_rng.normal(size=(3, 5, 3, 2)) / math.sqrt(45) * _MASK_B).astype(np.float32)


@jax.jit
def _stack(x):
    """Two masked layers with tanh, so that no gradient is zero by chance."""
    return jnp.tanh(convolve(jnp.tanh(convolve(x, jnp.asarray(_FIRST))), jnp.asarray(_SECOND)))


@jax.jit
def _column(x):
    """Sees only its column above, and subtracts one channel from the other, so that the sum of gradients is zero."""
    return jnp.tanh(jnp.cumsum(x[..., :1] - x[..., 1:], axis=1))


@jax.jit
def _apart(x):
    """Its first output channel sees what is above, its second what is on the left; each looks at one input channel."""
    above, left = jnp.cumsum(x[..., 0], axis=1), jnp.cumsum(x[..., 1], axis=2)
    return jnp.tanh(jnp.stack([above, left], axis=-1))


@jax.jit
def _faintly(x):
    return 1e-4 * jnp.cumsum(x**2, axis=2)


FIELDS = {
    "two masked layers, row 2, column 3": (_stack, (2, 3)),
    "two masked layers, row 3, column 0": (_stack, (3, 0)),
    "a network that looks straight up, row 3, column 4": (_column, (3, 4)),
    "a network whose channels look at different places, row 2, column 2": (_apart, (2, 2)),
    "a network with small gradients, row 1, column 3": (_faintly, (1, 3)),
}


def _fields(answer):
    one_row = {"two masked layers on a map of one row": answer(_stack, (1, 5, 2), (0, 3))}
    return {name: answer(network, (4, 6, 2), position) for name, (network, position) in FIELDS.items()} | one_row


# -- prior_loss -------------------------------------------------------------------------------------------------------

# Not square, K different from both sides, and some codes never occur.
_rng = np.random.default_rng(6)
_LOGITS = array((2 * _rng.normal(size=(2, 3, 5, 4))).astype(np.float32))
_INDICES = array(_rng.integers(0, 3, (2, 3, 5)))

# -- sample -----------------------------------------------------------------------------------------------------------

_SHAPE = (4_000, 2, 3)  # a share of 4,000 draws is within 0.03 of its probability, four standard deviations


@jax.jit
def _counting_up(indices):
    """The first code is any of three; every other is the one before it, in raster order, plus one."""
    flat = indices.reshape(len(indices), -1)
    before = jnp.roll(flat, 1, axis=1)
    sure = 50.0 * jax.nn.one_hot((before + 1) % 3, 3)
    logits = sure.at[:, 0].set(jnp.zeros(3))
    return logits.reshape(*indices.shape, 3)


@jax.jit
def _independent(indices):
    """Every code is 0 with probability 3/4 and 1 with 1/4, independent of the others."""
    return jnp.broadcast_to(jnp.array([math.log(3.0), 0.0]), (*indices.shape, 2))


def _obeys(answer):
    draw = lambda seed, shape: answer(jax.random.key(seed), _counting_up, shape)  # noqa: E731
    indices = compiled(lambda seed: draw(seed, _SHAPE))(0)
    flat = indices.reshape(len(indices), -1)
    shares = np.bincount(flat[:, 0], minlength=3) / len(flat)
    one = compiled(lambda seed: draw(seed, (1, 5, 2)))(4)
    return {
        "shape": np.array(indices.shape),
        "shape of one tall map": np.array(one.shape),
        "one tall map, in raster order": np.diff(one.reshape(-1)) % 3 == 1,
        "dtype is of integers": bool(indices.dtype.kind in "iu"),
        "codes lie between 0 and K - 1": bool(np.all((indices >= 0) & (indices < 3))),
        "each code follows from the one before it": np.all(np.diff(flat, axis=1) % 3 == 1, axis=0),
        "the first code is drawn, not chosen": bool(np.all(np.abs(shares - 1 / 3) < 0.04)),
    }


def _frequencies(answer):
    draw = compiled(lambda seed: answer(jax.random.key(seed), _independent, _SHAPE))
    indices, repeated, other = (draw(seed) for seed in (1, 1, 2))
    flat = indices.reshape(len(indices), -1)
    same_neighbour = np.mean(flat[:, 1:] == flat[:, :1], axis=0)  # 10 in 16, when they are independent
    return {
        "each place has its share of code 1": np.abs(np.mean(flat, axis=0) - 0.25) < 0.04,
        "codes are as unequal as they should be": bool(np.abs(np.mean(flat) - 0.5) > 0.05),
        "places are drawn apart from each other": np.abs(same_neighbour - 0.625) < 0.05,
        "maps are drawn apart from each other": len(np.unique(flat[:200], axis=0)) > 10,
        "the same key gives the same maps": bool(np.all(indices == repeated)),
        "another key gives other maps": bool(np.any(indices != other)),
    }


def _temperatures(answer):
    draw = compiled(lambda temperature: answer(jax.random.key(3), _independent, _SHAPE, temperature))
    low, high = (float(np.mean(draw(temperature))) for temperature in (0.5, 2.0))
    return {
        "share of code 1 at temperature 0.5": abs(low - 1 / (1 + 3**2)) < 0.02,
        "share of code 1 at temperature 2.0": abs(high - 1 / (1 + 3**0.5)) < 0.02,
        "code 1 is drawn at all": low > 0,
        "the temperature matters": abs(low - high) > 0.02,
        "a low temperature makes the likelier code likelier": low < high - 0.02,
    }


# -- waves ------------------------------------------------------------------------------------------------------------


def _waves(answer, *cases):
    return {f"{rows} x {columns}, reach {reach}": answer((rows, columns), reach) for rows, columns, reach in cases}


# -- temperature_for --------------------------------------------------------------------------------------------------

_SOME_LOGITS = {
    "six codes": [2.0, 1.1, 0.3, -0.4, -1.5, 0.9],
    "nine": [5.0, 4.6, 1.0, 0.2, 3.1, -2.0, 2.2, -6.0, 1.7],
    "four, in the thousands": [1500.0, 1490.0, 1470.0, 0.0],  # too large for exp, and too far apart for 0 log 0
}


def _temperatures_for(answer, *cases):
    logits = {name: array(values, np.float32) for name, values in _SOME_LOGITS.items()}
    return {f"{name}, perplexity {p:g}": as_floats(answer(logits[name], p)) for name, p in cases}


PROBES = {
    "causal_mask": (
        Probe("mask A", lambda answer: _masks(answer, "A")),
        Probe("mask B", lambda answer: _masks(answer, "B")),
    ),
    "MaskedConv2D": (
        Probe("values", _conv_values),
        Probe("who sees whom", _conv_sight),
        Probe("parameters", _conv_parameters),
    ),
    "receptive_field": (Probe("fields", _fields, points=2),),
    "prior_loss": (
        Probe("value", lambda answer: {"value": answer(_LOGITS, _INDICES)}),
        Probe("large logits", lambda answer: {"large logits": answer(100 * _LOGITS, _INDICES)}),
        Probe("gradient", lambda answer: {"gradient": pull_back(lambda x: answer(x, _INDICES), _LOGITS)[0]}),
    ),
    "nats_to_bits_per_image": (
        Probe("a 7 x 7 map", lambda answer: {"a 7 x 7 map": answer(1.0174, (7, 7))}),
        Probe("a 4 x 6 map", lambda answer: {"a 4 x 6 map": answer(0.5, (4, 6))}),
    ),
    "sample": (
        Probe("order", _obeys),
        Probe("frequencies", _frequencies),
        Probe("temperature", _temperatures),
    ),
    "waves": (
        Probe("a reach of one", lambda answer: _waves(answer, (4, 5, 1), (7, 7, 1))),
        Probe("farther, or nothing", lambda answer: _waves(answer, (4, 9, 3), (3, 4, 0))),
        Probe("narrow maps", lambda answer: _waves(answer, (4, 2, 3), (3, 1, 2), (1, 6, 2))),
    ),
    "temperature_for": (
        Probe("temperatures", lambda answer: _temperatures_for(answer, ("six codes", 3.0), ("nine", 2.5))),
        Probe("large logits", lambda answer: _temperatures_for(answer, ("four, in the thousands", 2.0))),
        Probe(
            "cold and hot",
            lambda answer: _temperatures_for(
                answer, ("nine", 1.2), ("six codes", 1.5), ("six codes", 5.7), ("nine", 8.0)
            ),
        ),
    ),
}
