"""Probes of lesson 05."""

import math

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from vqtutor.checking.exercise import Probe
from vqtutor.lessons.inputs import as_floats, normal, pull_back
from vqtutor.models.convolutions import convolve

_rng = np.random.default_rng(5)


def _masks(answer, mask_type):
    return {f"kernel {shape}, {mask_type}": as_floats(answer(shape, mask_type)) for shape in ((3, 3), (3, 7), (5, 3))}


# -- MaskedConv2D -----------------------------------------------------------------------------------------------------

CHANNELS, OUT = 3, 4
_X = normal(_rng, 2, 5, 4, CHANNELS)
_KERNELS = {"A": (3, 5), "B": (5, 3)}
_W = {kind: normal(_rng, *shape, CHANNELS, OUT) for kind, shape in _KERNELS.items()}
_B = normal(_rng, OUT)


def _conv(answer, kind):
    """Return (initial parameters, apply, parameters with the probes' weights in place of leaves of the same shape)."""
    layer = hk.without_apply_rng(hk.transform(lambda x: answer(OUT, _KERNELS[kind], kind)(x)))
    params = layer.init(jax.random.key(0), _X)
    numbers = {leaf.shape: leaf for leaf in (_W[kind], _B)}
    return params, layer.apply, jax.tree.map(lambda leaf: numbers.get(leaf.shape, leaf), params)


def _conv_values(answer):
    arrays = {}
    for kind in _KERNELS:
        _, apply, planted = _conv(answer, kind)
        arrays[f"output, mask {kind}"] = apply(planted, _X)
    return arrays


def _conv_sight(answer):
    """Which places see which: bool [places, places], a row for each place of the output."""
    arrays = {}
    for kind in _KERNELS:
        _, apply, planted = _conv(answer, kind)
        jacobian = jax.jacobian(lambda x, apply=apply, planted=planted: apply(planted, x)[0])(_X[:1])
        places = jnp.any(jacobian != 0, axis=(2, 3, 6))
        height, width = _X.shape[1:3]
        if jacobian.shape[:2] != (height, width):
            places = jnp.zeros((0, 0), bool)
        arrays[f"who sees whom, mask {kind}"] = places.reshape(-1, height * width)
    return arrays


def _conv_parameters(answer):
    params, apply, planted = _conv(answer, "A")
    leaves = jax.tree.leaves(params)
    kernels = [leaf for leaf in leaves if leaf.shape == _W["A"].shape]
    to_weights = jax.tree.leaves(pull_back(lambda p: apply(p, _X), planted)[0])
    masked = [gradient for gradient in to_weights if gradient.shape == _W["A"].shape]
    first, nudged = (apply(params, x)[:, 0, 0] for x in (_X, _X.at[:, 1:].add(1)))
    return {
        "number of parameters": sum(leaf.size for leaf in leaves),
        "the first place sees the others at the start": bool(jnp.any(nudged != first)),
        "weights start unequal": bool(kernels) and bool(jnp.any(kernels[0] != kernels[0].mean())),
        "gradient to the weights": masked[0] if masked else jnp.zeros(0),
    }


# -- receptive_field --------------------------------------------------------------------------------------------------

_MASK_A, _MASK_B = np.reshape([1.0] * 4 + [0.0] * 5, (3, 3, 1, 1)), np.reshape([1.0] * 8 + [0.0] * 7, (3, 5, 1, 1))
_FIRST = (_rng.normal(size=(3, 3, 2, 3)) / math.sqrt(18) * _MASK_A).astype(np.float32)
_SECOND = (_rng.normal(size=(3, 5, 3, 2)) / math.sqrt(45) * _MASK_B).astype(np.float32)


def _stack(x):
    """Two masked layers with tanh, so that no gradient is zero by chance."""
    return jnp.tanh(convolve(jnp.tanh(convolve(x, jnp.asarray(_FIRST))), jnp.asarray(_SECOND)))


def _column(x):
    """Sees only its column above, and subtracts one channel from the other, so that the sum of gradients is zero."""
    return jnp.tanh(jnp.cumsum(x[..., :1] - x[..., 1:], axis=1))


FIELDS = {
    "two masked layers, row 2, column 3": (_stack, (2, 3)),
    "two masked layers, row 3, column 0": (_stack, (3, 0)),
    "a network that looks straight up, row 3, column 4": (_column, (3, 4)),
}


def _fields(answer):
    return {name: answer(network, (4, 6, 2), position) for name, (network, position) in FIELDS.items()}


# -- prior_loss -------------------------------------------------------------------------------------------------------

# Not square, K different from both sides, and some codes never occur.
_rng = np.random.default_rng(6)
_LOGITS = jnp.asarray((2 * _rng.normal(size=(2, 3, 5, 4))).astype(np.float32))
_INDICES = jnp.asarray(_rng.integers(0, 3, (2, 3, 5)), jnp.int32)

# -- sample -----------------------------------------------------------------------------------------------------------

_SHAPE = (4_000, 2, 3)  # a share of 4,000 draws is within 0.03 of its probability, four standard deviations


def _counting_up(indices):
    """The first code is any of three; every other is the one before it, in raster order, plus one."""
    flat = indices.reshape(len(indices), -1)
    before = jnp.roll(flat, 1, axis=1)
    sure = 50.0 * jax.nn.one_hot((before + 1) % 3, 3)
    logits = sure.at[:, 0].set(jnp.zeros(3))
    return logits.reshape(*indices.shape, 3)


def _independent(indices):
    """Every code is 0 with probability 3/4 and 1 with 1/4, independent of the others."""
    return jnp.broadcast_to(jnp.array([math.log(3.0), 0.0]), (*indices.shape, 2))


def _obeys(answer):
    indices = answer(jax.random.key(0), _counting_up, _SHAPE)
    flat = indices.reshape(len(indices), -1)
    shares = jnp.bincount(flat[:, 0], length=3) / len(flat)
    return {
        "shape": jnp.array(indices.shape),
        "dtype is of integers": bool(jnp.issubdtype(indices.dtype, jnp.integer)),
        "codes lie between 0 and K - 1": bool(jnp.all((indices >= 0) & (indices < 3))),
        "each code follows from the one before it": jnp.all(jnp.diff(flat, axis=1) % 3 == 1, axis=0),
        "the first code is drawn, not chosen": bool(jnp.all(jnp.abs(shares - 1 / 3) < 0.04)),
    }


def _frequencies(answer):
    indices, repeated, other = (answer(jax.random.key(seed), _independent, _SHAPE) for seed in (1, 1, 2))
    flat = indices.reshape(len(indices), -1)
    same_neighbour = jnp.mean(flat[:, 1:] == flat[:, :1], axis=0)  # 10 in 16, when they are independent
    return {
        "each place has its share of code 1": jnp.abs(jnp.mean(flat, axis=0) - 0.25) < 0.04,
        "codes are as unequal as they should be": bool(jnp.abs(jnp.mean(flat) - 0.5) > 0.05),
        "places are drawn apart from each other": jnp.abs(same_neighbour - 0.625) < 0.05,
        "maps are drawn apart from each other": len(jnp.unique(flat[:200], axis=0)) > 10,
        "the same key gives the same maps": bool(jnp.all(indices == repeated)),
        "another key gives other maps": bool(jnp.any(indices != other)),
    }


def _temperatures(answer):
    low, high = (float(jnp.mean(answer(jax.random.key(3), _independent, _SHAPE, t))) for t in (0.5, 2.0))
    return {
        "share of code 1 at temperature 0.5": abs(low - 1 / (1 + 3**2)) < 0.02,
        "share of code 1 at temperature 2.0": abs(high - 1 / (1 + 3**0.5)) < 0.02,
        "code 1 is drawn at all": low > 0,
        "the temperature matters": abs(low - high) > 0.02,
        "a low temperature makes the likelier code likelier": low < high - 0.02,
    }


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
}
