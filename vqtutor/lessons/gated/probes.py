"""Probes of lesson 06."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from vqtutor.checking.exercise import Probe
from vqtutor.lessons.inputs import array, as_floats, compiled, network, normal, plain, pull_back

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
V, H = (np.asarray(normal(_rng, PLACES, *SIZE, CHANNELS)) for _ in STACKS)
CONDITION = np.asarray(normal(_rng, PLACES, 3))
NO_CONDITION = np.zeros_like(CONDITION)


_blocks: dict = {}  # of the answer that is checked now: each is compiled once for all probes


def _block(answer, mask_type="B", residual=False, kernel_size=3, with_condition=True):
    """Return (parameters, apply, apply compiled) of a block; apply takes (parameters, vertical, horizontal, condition).

    All probes but the first give it a condition, where 0 stands for none: a block compiles for seconds.
    """
    case = mask_type, residual, kernel_size, with_condition
    if case not in _blocks:

        def build():
            block = answer(CHANNELS, kernel_size, mask_type, residual)
            return lambda v, h, c: block(v, h, c) if with_condition else block(v, h)

        params, apply = network(build, V, H, CONDITION)
        # With biases at 0, nothing but the inputs can reach the outputs.
        params = jax.tree.map(lambda leaf: leaf * np.float32(leaf.ndim > 1), params)
        _blocks[case] = params, apply, compiled(apply)
    return _blocks[case]


def _sight(answer):
    """Which places see which: bool [places of the output, places of the input], for both outputs and both inputs.

    In each image of the batch another place of the input is changed: one pass, where a Jacobian takes many.
    """
    _blocks.clear()  # another answer, or other functions that it calls
    arrays = {}
    nudge = np.eye(PLACES).reshape(PLACES, *SIZE, 1) * np.float32([1.0, -0.7, 0.5, 1.3])
    vertical, horizontal = (np.tile(x[:1], (PLACES, 1, 1, 1)) for x in (V, H))
    for mask_type, kernel_size in (("A", 5), ("B", 3)):
        params, _, apply = _block(answer, mask_type, kernel_size=kernel_size, with_condition=False)
        before = apply(params, vertical, horizontal, None)
        for name, out in zip(STACKS, before, strict=True):
            arrays[f"{mask_type}: shape of {name} output"] = np.array(out.shape)
        for of, after in (
            ("vertical", apply(params, vertical + nudge, horizontal, None)),
            ("horizontal", apply(params, vertical, horizontal + nudge, None)),
        ):
            for out, a, b in zip(STACKS, before, after, strict=True):
                sight = np.any(np.abs(a - b) > 1e-6, axis=-1).reshape(PLACES, -1).T
                arrays[f"{mask_type}: {out} output sees {of} input"] = sight
    return arrays


def _links(answer):
    """Outputs with all weights at zero: the gates are closed, and only residual links have an effect."""
    arrays = {}
    for word, residual in (("with", True), ("without", False)):
        params, _, apply = _block(answer, residual=residual)
        vertical, horizontal = apply(jax.tree.map(np.zeros_like, params), V, H, NO_CONDITION)
        arrays[f"horizontal output {word} residual, weights at zero"] = horizontal
        arrays[f"vertical output {word} residual, weights at zero"] = vertical
    return arrays


def _gates(answer):
    """The output of a gate is between -1 and 1, for any input."""
    params, _, apply = _block(answer)
    (vertical, near), (_, far), (small, _), (_, small_h) = (
        apply(params, np.float32(scale) * V, np.float32(scale) * H, NO_CONDITION) for scale in (1e4, 2e4, 0.5, 1.0)
    )
    return {
        "vertical output lies between -1 and 1": bool(np.all(np.abs(vertical) <= 1.0)),
        "vertical output can be negative": bool(np.any(small < 0)),
        "a gate can close": bool(np.min(np.abs(vertical)) < 1e-3) and bool(np.max(np.abs(vertical)) > 0.9),
        "horizontal output saturates": bool(np.mean(np.abs(near - far) < 1e-2) > 0.9),
        "horizontal output is alive": bool(np.any(small_h != 0)),
    }


def _conditions(answer):
    params, _, apply = _block(answer)
    one, other = apply(params, V, H, CONDITION), apply(params, V, H, CONDITION[::-1])
    return {
        f"{name} output listens to the condition": np.any(a != b, axis=(1, 2, 3))
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
_SEEDS = tuple(normal(np.random.default_rng(7), *V.shape) for _ in STACKS)


def _weights(answer):
    """Which parts have weights of their own, number by number, whatever array a number is kept in."""
    arrays = {}
    for word, residual in (("with", True), ("without", False)):
        params, plain, apply = _block(answer, residual=residual)
        slopes = compiled(lambda params, *inputs, plain=plain: [_slopes(plain, of, params, *inputs) for of in (0, 1)])

        def effects(*inputs, params=params, slopes=slopes):
            # Biases have an effect wherever their layer has: they would pass for a layer that is missing.
            leaves = [[leaf for leaf in jax.tree.leaves(one) if leaf.ndim > 1] for one in slopes(params, *inputs)]
            return [
                np.concatenate([np.zeros(0, bool), *(np.ravel(np.abs(leaf) > 1e-7) for leaf in one)]) for one in leaves
            ]

        v, h, c, nothing = V, H, CONDITION, np.zeros_like(V)
        (of_v, of_h), (_, without_h), (_, of_h_only), without_c = (
            effects(*inputs)
            for inputs in ((v, h, c), (v, nothing, c), (nothing, h, NO_CONDITION), (v, h, NO_CONDITION))
        )
        effect = np.stack([of_v, of_h, without_h, of_h_only, without_c[0] | without_c[1]], axis=1)
        for part, pattern in PARTS.items():
            fits = [effect[:, i] == wanted for i, wanted in enumerate(pattern) if wanted is not None]
            arrays[f"{word} residual: the {part} has weights of its own"] = bool(np.any(np.all(fits, axis=0)))
        before, after = (apply(params, x, y, NO_CONDITION) for x, y in ((v, h), (v + 1, h + 1)))
        for name, a, b in zip(STACKS, before, after, strict=True):
            arrays[f"{word} residual: the {name} output is alive where the condition is 0"] = bool(np.any(a != b))
        if residual:  # which has every part in it
            arrays["gradients to the inputs and the condition are those of the values"] = _is_derivative(
                plain, apply, params, v, h, c
            )
    return arrays | _taps(*_block(answer)[::2])


def _slopes(apply, of, params, *inputs):
    """Return the derivatives of one of a block's outputs to all parameters."""
    return jax.vjp(lambda params: apply(params, *inputs)[of], params)[1](_SEEDS[of])[0]


def _is_derivative(plain, apply, params, *inputs):
    """Whether derivatives to each input agree with differences: nothing is held still."""
    along = compiled(lambda inputs, steps: jax.jvp(lambda *inputs: plain(params, *inputs), inputs, steps)[1])
    for i, one in enumerate(inputs):
        steps = [np.zeros_like(other) for other in inputs]
        steps[i] = np.random.default_rng(i).normal(size=one.shape).astype(one.dtype)
        moved = [apply(params, *(x + t * step for x, step in zip(inputs, steps, strict=True))) for t in (1e-2, -1e-2)]
        for slope, above, below in zip(along(inputs, tuple(steps)), *moved, strict=True):
            if np.max(np.abs(slope - (above - below) / 2e-2)) > 0.05 * np.max(np.abs(slope)) + 1e-3:
                return False
    return True


def _taps(params, apply):
    """Whether two taps of a kernel have different weights."""
    nothing, nudge = np.zeros_like(V), np.zeros_like(V)
    nudge[0, 1, 2, 0] = nudge[1, 2, 2, 0] = nudge[2, 2, 1, 0] = 1.0
    (to_v, _), (_, to_h) = (apply(params, *inputs, NO_CONDITION) for inputs in ((nudge, nothing), (nothing, nudge)))
    return {
        "taps of the vertical kernel have weights of their own": bool(
            np.any(abs(to_v[0, 2, 2] - to_v[1, 2, 2]) > 1e-6)
        ),
        "taps of the horizontal kernel have weights of their own": bool(
            np.any(abs(to_h[2, 2, 2] - to_h[1, 2, 2]) > 1e-6)
        ),
    }


# -- complete ---------------------------------------------------------------------------------------------------------

_MANY = 3_000
_SHAPE = (_MANY, 2, 3)
_KNOWN = np.broadcast_to([[False, True, False], [False, False, True]], _SHAPE)
# Each map knows another half of its codes.
_MIXED = np.random.default_rng(4).integers(0, 2, _SHAPE).astype(bool)


@jax.jit
def _plus_one(indices):
    """The first code is any of four; every other is the one before it, in raster order, plus one."""
    flat = indices.reshape(len(indices), -1)
    sure = 50.0 * jax.nn.one_hot((jnp.roll(flat, 1, axis=1) + 1) % 4, 4)
    return sure.at[:, 0].set(0.0).reshape(*indices.shape, 4)


@jax.jit
def _uneven(indices):
    return jnp.broadcast_to(jnp.array([math.log(3.0), 0.0]), (*indices.shape, 2))


def _drawn(answer, logits_fn):
    """Return the answer as a function of a seed, codes and what is known of them."""
    return compiled(lambda seed, codes, known: answer(jax.random.key(seed), logits_fn, codes, known))


def _known_codes(answer):
    codes = np.random.default_rng(3).integers(0, 4, _SHAPE).astype(np.int32)
    draw = _drawn(answer, _plus_one)
    maps, mixed = draw(0, codes, _KNOWN), draw(5, codes, _MIXED)
    flat, start = maps.reshape(_MANY, -1), codes.reshape(_MANY, -1)
    tall = (1, 5, 2)  # the first code is known, and the rest follows
    one = draw(6, codes.reshape(-1)[:10].reshape(tall), np.arange(10).reshape(tall) == 0)
    return {
        "shape": np.array(maps.shape),
        "known codes stay": np.all((maps == codes) | ~_KNOWN, axis=0),
        "known codes stay, other places in every map": bool(np.all((mixed == codes) | ~_MIXED)),
        "unknown codes follow, other places in every map": bool(
            np.all((np.diff(mixed.reshape(_MANY, -1), axis=1) % 4 == 1) | _MIXED.reshape(_MANY, -1)[:, 1:])
        ),
        "shape of one tall map": np.array(one.shape),
        "one tall map, in raster order": np.diff(one.reshape(-1)) % 4 == 1,
        "code 2 follows from a known one": bool(np.all(flat[:, 2] == (start[:, 1] + 1) % 4)),
        "code 3 follows from code 2": bool(np.all(flat[:, 3] == (flat[:, 2] + 1) % 4)),
        "code 4 follows from code 3": bool(np.all(flat[:, 4] == (flat[:, 3] + 1) % 4)),
        "the first code is drawn": bool(np.all(np.abs(np.bincount(flat[:, 0], minlength=4) / _MANY - 0.25) < 0.04)),
    }


def _unknown_codes(answer):
    codes = np.ones(_SHAPE, np.int32)
    nothing, everything = np.zeros(_SHAPE, bool), np.ones(_SHAPE, bool)
    drawn = _drawn(answer, _uneven)
    draw = lambda seed, known: drawn(seed, codes, known)  # noqa: E731
    maps = draw(1, _KNOWN).reshape(_MANY, -1)
    unknown = maps[:, [0, 2, 3, 4]]
    alike = np.mean(unknown[:, 1:] == unknown[:, :1], axis=0)
    return {
        "unknown codes have their shares": np.abs(np.mean(unknown, axis=0) - 0.25) < 0.04,
        "places are drawn apart from each other": np.abs(alike - 0.625) < 0.05,
        "all unknown is plain sampling": bool(np.abs(np.mean(draw(2, nothing)) - 0.25) < 0.04),
        "all known stays": bool(np.all(draw(2, everything) == codes)),
        "another key, another map": bool(np.any(draw(4, _KNOWN).reshape(_MANY, -1) != maps)),
    }


# -- which_class ------------------------------------------------------------------------------------------------------

_rng_of_labels = np.random.default_rng(21)
_OF_LABELS = _rng_of_labels.normal(size=(1, 7, 7, 6)) + 0.25 * _rng_of_labels.normal(size=(4, 7, 7, 6))
_OF_LABELS += np.arange(4).reshape(4, 1, 1, 1)  # which changes all logits of a place alike
_TO_CLASSIFY = array(_rng_of_labels.integers(0, 6, (5, 7, 7)), np.int32)


def _by_table(scale):
    table = array((scale * _OF_LABELS).astype(np.float32))
    return lambda indices, labels: table[labels] + 0.1 * scale * indices[..., None]


def _classes(answer, scale, number, maps=_TO_CLASSIFY):
    shares = compiled(lambda maps: answer(_by_table(scale), maps, number))(maps)
    return {"probabilities": as_floats(shares)}


# -- guide ------------------------------------------------------------------------------------------------------------

_WITH, _WITHOUT = (array(np.random.default_rng(seed).normal(size=(2, 1, 5)).astype(np.float32)) for seed in (31, 32))


def _guided(answer, *strengths):
    """As probabilities: logits are free to be larger or smaller by a number for each place."""
    arrays = {}
    for strength in strengths:
        logits = np.asarray(plain(answer(_WITH, _WITHOUT, strength), "the result"), np.float64)
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
        arrays[f"probabilities, strength {strength:g}"] = np.float32(weights / weights.sum(axis=-1, keepdims=True))
    return arrays


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
    "which_class": (
        Probe("four labels", lambda answer: _classes(answer, 1.0, 4)),
        Probe("three of the labels, one map", lambda answer: _classes(answer, 1.0, 3, _TO_CLASSIFY[:1])),
        Probe("improbable maps", lambda answer: _classes(answer, 3.0, 4)),
    ),
    "guide": (
        Probe("up to the label", lambda answer: _guided(answer, 0.0, 0.4, 1.0)),
        Probe("beyond", lambda answer: _guided(answer, 2.5, -1.0)),
    ),
}
