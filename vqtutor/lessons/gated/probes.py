"""Probes of lesson 06."""

import math

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from vqtutor.checking.exercise import Probe
from vqtutor.lessons.inputs import as_floats, normal, pull_back

FEATURES = normal(np.random.default_rng(8), 2, 3, 5, 6)


def _masks(answer, mask_type):
    arrays = {}
    for size in (3, 7):
        vertical, horizontal = answer(size, mask_type)
        arrays |= {f"vertical, k = {size}": as_floats(vertical), f"horizontal, k = {size}": as_floats(horizontal)}
    return arrays


# -- GatedBlock -------------------------------------------------------------------------------------------------------
# Answers may arrange their weights in any way. The probes test which places see which, the output when all weights are
# zero, and saturation.

CHANNELS, SIZE = 4, (3, 5)
PLACES = SIZE[0] * SIZE[1]
STACKS = ("vertical", "horizontal")
_rng = np.random.default_rng(9)
# As many images as places, the same for all probes, so that they share compiled programs.
V, H = (normal(_rng, PLACES, *SIZE, CHANNELS) for _ in STACKS)
CONDITION = normal(_rng, PLACES, 3)


def _block(answer, mask_type, residual=False, kernel_size=3, with_condition=False):
    """Return (apply, parameters, and the same parameters all zero) of one block."""

    def forward(vertical, horizontal, condition):
        block = answer(CHANNELS, kernel_size, mask_type, residual)
        return block(vertical, horizontal, condition) if with_condition else block(vertical, horizontal)

    block = hk.without_apply_rng(hk.transform(forward))
    params = block.init(jax.random.key(0), V, H, CONDITION)
    return block.apply, params, jax.tree.map(jnp.zeros_like, params)


def _sight(answer):
    """Which places see which: bool [places of the output, places of the input], for both outputs and both inputs.

    In each image of the batch another place of the input is changed: one pass, where a Jacobian takes many.
    """
    arrays = {}
    nudge = jnp.eye(PLACES).reshape(PLACES, *SIZE, 1) * jnp.asarray([1.0, -0.7, 0.5, 1.3])
    for mask_type, kernel_size in (("A", 5), ("B", 3)):
        apply, params, _ = _block(answer, mask_type, kernel_size=kernel_size)
        vertical, horizontal = (jnp.tile(x[:1], (PLACES, 1, 1, 1)) for x in (V, H))
        before = apply(params, vertical, horizontal, None)
        for name, out in zip(STACKS, before, strict=True):
            arrays[f"{mask_type}: shape of {name} output"] = jnp.array(out.shape)
        for of, after in (
            ("vertical", apply(params, vertical + nudge, horizontal, None)),
            ("horizontal", apply(params, vertical, horizontal + nudge, None)),
        ):
            for out, a, b in zip(STACKS, before, after, strict=True):
                sight = jnp.any(jnp.abs(a - b) > 1e-6, axis=-1).reshape(PLACES, -1).T
                arrays[f"{mask_type}: {out} output sees {of} input"] = sight
    return arrays


def _links(answer):
    """Outputs with all weights at zero: the gates are closed, and only residual links have an effect."""
    arrays = {}
    for word, residual in (("with", True), ("without", False)):
        apply, _, zero = _block(answer, "B", residual)
        vertical, horizontal = apply(zero, V, H, CONDITION)
        arrays[f"horizontal output {word} residual, weights at zero"] = horizontal
        arrays[f"vertical output {word} residual, weights at zero"] = vertical
    return arrays


def _gates(answer):
    """The output of a gate is between -1 and 1, for any input."""
    apply, params, _ = _block(answer, "B")
    (vertical, near), (_, far), (small, _), (_, small_h) = (
        apply(params, scale * V, scale * H, CONDITION) for scale in (1e4, 2e4, 0.5, 1.0)
    )
    return {
        "vertical output lies between -1 and 1": bool(jnp.all(jnp.abs(vertical) <= 1.0)),
        "vertical output can be negative": bool(jnp.any(small < 0)),
        "a gate can close": bool(jnp.min(jnp.abs(vertical)) < 1e-3) and bool(jnp.max(jnp.abs(vertical)) > 0.9),
        "horizontal output saturates": bool(jnp.mean(jnp.abs(near - far) < 1e-2) > 0.9),
        "horizontal output is alive": bool(jnp.any(small_h != 0)),
    }


def _conditions(answer):
    apply, params, _ = _block(answer, "B", with_condition=True)
    one, other = apply(params, V, H, CONDITION), apply(params, V, H, CONDITION[::-1])
    return {
        f"{name} output listens to the condition": jnp.any(a != b, axis=(1, 2, 3))
        for name, a, b in zip(STACKS, one, other, strict=True)
    }


# What a weight of each part has an effect on: the vertical output; the horizontal output; the same with the horizontal
# input at 0; with the vertical input and the condition at 0; and either output with the condition at 0.
PARTS = {
    "kernel of the vertical stack": (True, True, True, False, True),
    "kernel of the horizontal stack": (False, True, False, True, True),
    "link from the vertical to the horizontal stack": (False, True, True, False, True),
    "last layer of the horizontal stack": (False, True, True, True, True),
    "condition of the vertical stack": (True, None, None, False, False),
    "condition of the horizontal stack": (False, True, True, False, False),
}


def _weights(answer):
    """Which parts have weights of their own, number by number, whatever array a number is kept in."""
    arrays = {}
    for residual in (True, False):
        apply, start, _ = _block(answer, "B", residual, with_condition=True)
        leaves, tree = jax.tree.flatten(start)
        rng = np.random.default_rng(6)
        shaken = [
            leaf + (leaf.ndim > 1) * jnp.asarray(0.3 * rng.normal(size=leaf.shape), leaf.dtype) for leaf in leaves
        ]
        params = tree.unflatten(shaken)
        v, h, c = V, H, CONDITION

        def effect(of, v, h, c, params=params, apply=apply):
            out, backward = jax.vjp(lambda params: apply(params, v, h, c)[of], params)
            weights = jnp.asarray(np.random.default_rng(7).normal(size=out.shape), out.dtype)
            return np.concatenate([np.ravel(np.abs(leaf) > 1e-7) for leaf in jax.tree.leaves(backward(weights)[0])])

        nothing = jnp.zeros_like(v)
        effects = np.stack([
            effect(0, v, h, c), effect(1, v, h, c), effect(1, v, nothing, c), effect(1, nothing, h, 0 * c),
            effect(1, v, h, 0 * c) | effect(0, v, h, 0 * c),
        ], axis=1)  # fmt: skip
        word = "with" if residual else "without"
        for part, pattern in PARTS.items():
            fits = [effects[:, i] == wanted for i, wanted in enumerate(pattern) if wanted is not None]
            arrays[f"{word} residual: the {part} has weights of its own"] = bool(np.any(np.all(fits, axis=0)))
        before, after = (apply(params, x, y, 0 * c) for x, y in ((v, h), (v + 1, h + 1)))
        for name, a, b in zip(STACKS, before, after, strict=True):
            arrays[f"{word} residual: the {name} output is alive where the condition is 0"] = bool(jnp.any(a != b))
        arrays[f"{word} residual: gradients to the inputs and the condition are those of the values"] = _is_derivative(
            lambda *inputs, apply=apply, params=params: apply(params, *inputs), v, h, c
        )
    return arrays | _taps(answer)


def _is_derivative(function, *inputs):
    """Whether derivatives to each input agree with differences: nothing is held still."""
    for i, one in enumerate(inputs):
        step = jnp.asarray(np.random.default_rng(i).normal(size=one.shape), one.dtype)
        along = lambda t, i=i, one=one, step=step: function(*inputs[:i], one + t * step, *inputs[i + 1 :])  # noqa: E731
        _, slopes = jax.jvp(along, (0.0,), (1.0,))
        for slope, above, below in zip(slopes, along(1e-2), along(-1e-2), strict=True):
            if jnp.max(jnp.abs(slope - (above - below) / 2e-2)) > 0.05 * jnp.max(jnp.abs(slope)) + 1e-3:
                return False
    return True


def _taps(answer):
    """Whether two taps of a kernel have different weights."""
    apply, params, _ = _block(answer, "B")
    v, h = 0 * V, 0 * H
    to_v = jax.grad(lambda v: apply(params, v, h, None)[0][0, 2, 2, 0])(v)[0]
    to_h = jax.grad(lambda h: apply(params, v, h, None)[1][0, 2, 2, 0])(h)[0]
    return {
        "taps of the vertical kernel have weights of their own": bool(jnp.any(jnp.abs(to_v[1, 2] - to_v[2, 2]) > 1e-7)),
        "taps of the horizontal kernel have weights of their own": bool(
            jnp.any(jnp.abs(to_h[2, 1] - to_h[2, 2]) > 1e-7)
        ),
    }


# -- complete ---------------------------------------------------------------------------------------------------------

_MANY = 3_000
_SHAPE = (_MANY, 2, 3)
_KNOWN = jnp.asarray(np.broadcast_to([[False, True, False], [False, False, True]], _SHAPE))
# Each map knows another half of its codes.
_MIXED = jnp.asarray(np.random.default_rng(4).integers(0, 2, _SHAPE), bool)


def _plus_one(indices):
    """The first code is any of four; every other is the one before it, in raster order, plus one."""
    flat = indices.reshape(len(indices), -1)
    sure = 50.0 * jax.nn.one_hot((jnp.roll(flat, 1, axis=1) + 1) % 4, 4)
    return sure.at[:, 0].set(0.0).reshape(*indices.shape, 4)


def _uneven(indices):
    return jnp.broadcast_to(jnp.array([math.log(3.0), 0.0]), (*indices.shape, 2))


def _known_codes(answer):
    codes = jnp.asarray(np.random.default_rng(3).integers(0, 4, _SHAPE), jnp.int32)
    maps = answer(jax.random.key(0), _plus_one, codes, _KNOWN)
    flat, start = maps.reshape(_MANY, -1), codes.reshape(_MANY, -1)
    mixed = answer(jax.random.key(5), _plus_one, codes, _MIXED)
    one = answer(jax.random.key(6), _plus_one, codes[:1, :, :2], _KNOWN[:1, :, :2])
    return {
        "shape": jnp.array(maps.shape),
        "known codes stay": jnp.all((maps == codes) | ~_KNOWN, axis=0),
        "known codes stay, other places in every map": bool(jnp.all((mixed == codes) | ~_MIXED)),
        "unknown codes follow, other places in every map": bool(
            jnp.all((jnp.diff(mixed.reshape(_MANY, -1), axis=1) % 4 == 1) | _MIXED.reshape(_MANY, -1)[:, 1:])
        ),
        "shape of one map": jnp.array(one.shape),
        "code 2 follows from a known one": bool(jnp.all(flat[:, 2] == (start[:, 1] + 1) % 4)),
        "code 3 follows from code 2": bool(jnp.all(flat[:, 3] == (flat[:, 2] + 1) % 4)),
        "code 4 follows from code 3": bool(jnp.all(flat[:, 4] == (flat[:, 3] + 1) % 4)),
        "the first code is drawn": bool(jnp.all(jnp.abs(jnp.bincount(flat[:, 0], length=4) / _MANY - 0.25) < 0.04)),
    }


def _unknown_codes(answer):
    codes = jnp.ones(_SHAPE, jnp.int32)
    nothing, everything = jnp.zeros(_SHAPE, bool), jnp.ones(_SHAPE, bool)
    draw = lambda seed, known: answer(jax.random.key(seed), _uneven, codes, known)  # noqa: E731
    maps = draw(1, _KNOWN).reshape(_MANY, -1)
    unknown = maps[:, jnp.array([0, 2, 3, 4])]
    alike = jnp.mean(unknown[:, 1:] == unknown[:, :1], axis=0)
    return {
        "unknown codes have their shares": jnp.abs(jnp.mean(unknown, axis=0) - 0.25) < 0.04,
        "places are drawn apart from each other": jnp.abs(alike - 0.625) < 0.05,
        "all unknown is plain sampling": bool(jnp.abs(jnp.mean(draw(2, nothing)) - 0.25) < 0.04),
        "all known stays": bool(jnp.all(draw(2, everything) == codes)),
        "another key, another map": bool(jnp.any(draw(4, _KNOWN).reshape(_MANY, -1) != maps)),
    }


PROBES = {
    "stack_masks": (
        Probe("mask A", lambda answer: _masks(answer, "A")),
        Probe("mask B", lambda answer: _masks(answer, "B")),
    ),
    "gate": (
        Probe(
            "values",
            lambda answer: {
                "a map": answer(FEATURES),
                "a list": answer(FEATURES[0, 0]),
                "a batch of one": answer(FEATURES[:1, :1]),
            },
        ),
        Probe("gradient", lambda answer: {"gradient": pull_back(answer, FEATURES)[0]}),
    ),
    "GatedBlock": (
        Probe("who sees whom", _sight, points=2),
        Probe("residual links", _links),
        Probe("gates", _gates),
        Probe("condition", _conditions),
        Probe("weights", _weights),
    ),
    "complete": (Probe("what is known", _known_codes), Probe("what is drawn", _unknown_codes)),
}
