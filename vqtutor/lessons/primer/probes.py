"""Probes of lesson 00b."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from vqtutor.checking.exercise import Probe
from vqtutor.lessons.inputs import as_floats, normal, pull_back

_rng = np.random.default_rng(11)

# -- all_differences --------------------------------------------------------------------------------------------------

POINTS, CENTRES, SQUARE = normal(_rng, 4, 3), normal(_rng, 5, 3), normal(_rng, 4, 3)  # N != K, and N == K


def _differences(answer):
    return {
        "4 points, 5 centres": answer(POINTS, CENTRES),
        "1 point, 5 centres": answer(POINTS[:1], CENTRES),
        "4 points, 1 centre": answer(POINTS, CENTRES[:1]),
    }


# -- weighted_mean ----------------------------------------------------------------------------------------------------

VALUES, WEIGHTS = normal(_rng, 6), jnp.array([0.5, 2.0, 1.0, 0.25, 3.0, 1.5])


def _slopes(answer):
    to_values, to_weights = pull_back(answer, VALUES, WEIGHTS)
    return {"gradient to the values": to_values, "gradient to the weights": to_weights}


# -- drop_some --------------------------------------------------------------------------------------------------------

_MANY = jnp.asarray(_rng.uniform(1, 2, (40, 50)).astype(np.float32))  # none is 0


def _kept(answer, share):
    x = np.asarray(_MANY)
    found = np.asarray(answer(jax.random.key(1), _MANY, share))
    alike = np.asarray(answer(jax.random.key(2), jnp.full((40, 50), 2.0), share))
    fits = found.shape == x.shape and found.any()
    # Which numbers are dropped is up to the answer, so what is compared must not depend on it.
    factors = found[found != 0] / x[found != 0] if fits else np.zeros(1)
    return {
        f"shape, share {share}": np.array(found.shape),
        f"as many zeros as share {share} says": abs(float(np.mean(found == 0)) - share) < 0.05,
        f"factor of the others, share {share}": np.float64(
            round(float(np.median(alike[alike != 0])) / 2, 1) if alike.any() else 0.0
        ),
        f"one factor for all others, share {share}": bool(np.ptp(factors) < 1e-3),
    }


def _by_chance(answer):
    first, again, other = (np.asarray(answer(jax.random.key(seed), _MANY, 0.5)) == 0 for seed in (1, 1, 2))
    return {
        "the same key drops the same numbers": np.array_equal(first, again),
        "another key drops others": not np.array_equal(first, other),
        "rows differ": len(np.unique(first, axis=0)) > 20,
        "columns differ": len(np.unique(first, axis=1).T) > 20,
    }


def _under_jit(answer):
    run = jax.jit(answer)
    found = np.asarray(run(jax.random.key(3), _MANY, 0.25))
    other = np.asarray(run(jax.random.key(4), _MANY, 0.75))
    return {
        "compiled, the share is kept to": abs(float(np.mean(found == 0)) - 0.25) < 0.05,
        "compiled, another share is kept to": abs(float(np.mean(other == 0)) - 0.75) < 0.05,
        "a gradient reaches x": bool(np.any(jax.grad(lambda x: run(jax.random.key(3), x, 0.25).sum())(_MANY))),
        "shape of a single row": np.array(run(jax.random.key(3), _MANY[:1], 0.25).shape),
    }


# -- Counted ----------------------------------------------------------------------------------------------------------

_X = normal(_rng, 2, 3, 4)


def _layer(answer):
    network = hk.without_apply_rng(hk.transform_with_state(lambda x: answer()(x)))
    return network, *network.init(jax.random.key(0), _X)


def _named(tree, name):
    """Return the leaves with this name in all modules: an answer may call a module of its own."""
    return [module[name] for module in tree.values() if name in module]


def _outputs(answer):
    network, params, state = _layer(answer)
    ramp = jax.tree.map(lambda leaf: 1.0 + jnp.arange(float(leaf.size)).reshape(leaf.shape), params)
    later = jax.tree.map(lambda leaf: leaf + 3, state)
    to_scale, to_x = pull_back(lambda params, x: network.apply(params, state, x)[0], ramp, _X)
    return {
        "at the start": network.apply(params, state, _X)[0],
        "trained": network.apply(ramp, later, _X)[0],
        "a batch of one": network.apply(ramp, state, _X[:1])[0],
        "gradient to the scale": next(iter(_named(to_scale, "scale")), np.zeros(0)),
        "gradient to x": to_x,
    }


def _kinds(answer):
    _, params, state = _layer(answer)
    scales, counts = _named(params, "scale"), _named(state, "calls")
    return {
        'shape of the parameter "scale"': np.array(scales[0].shape if scales else (-1,)),
        "number of parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        'shape of the state "calls"': np.array(counts[0].shape if counts else (-1,)),
        "number of states": sum(leaf.size for leaf in jax.tree.leaves(state)),
    }


def _counts(answer):
    network, params, state = _layer(answer)
    counts = []
    for _ in range(3):
        _, state = network.apply(params, state, _X)
        counts.append(float(next(iter(_named(state, "calls")), -1.0)))
    return {"calls after one, two and three": np.array(counts)}


# -- descend ----------------------------------------------------------------------------------------------------------

_PARAMS = {"layer": {"w": normal(_rng, 3, 2), "b": normal(_rng, 2)}, "scale": jnp.float32(1.5)}
_BATCH = normal(_rng, 4, 3)


def _loss(params, x):
    y = params["scale"] * jnp.tanh(x @ params["layer"]["w"] + params["layer"]["b"])
    return jnp.sum(y**2) + jnp.sum(params["layer"]["w"])


def _step(answer, rate=0.1, steps=1):
    params = _PARAMS
    for _ in range(steps):
        params = answer(_loss, params, _BATCH, rate)
    return {
        f"{name}, rate {rate}, step {steps}": leaf for name, leaf in zip("bws", jax.tree.leaves(params), strict=True)
    }


# -- slide ------------------------------------------------------------------------------------------------------------

_SIGNAL, _KERNEL = normal(_rng, 9), jnp.array([2.0, -1.0, 0.5])
_WIDE = jnp.array([0.5, 3.0, -1.0, 0.0, 2.0])


def _slid(answer):
    return {
        "9 numbers, 3 taps": answer(_SIGNAL, _KERNEL),
        "9 numbers, 5 taps": answer(_SIGNAL, _WIDE),
        "4 numbers, 3 taps": answer(_SIGNAL[:4], _KERNEL),
        "1 tap": answer(_SIGNAL, _KERNEL[:1]),
    }


# -- mean_nats --------------------------------------------------------------------------------------------------------

_LOGITS = normal(_rng, 5, 4)
_P = jax.nn.softmax(_LOGITS)
_OUTCOMES = jnp.array([2, 0, 3, 3, 1])


# -- reveal_kernel ----------------------------------------------------------------------------------------------------


def _looking(kernel, constant):
    """Return a function that slides a kernel over a picture, without turning it, and adds a constant."""
    rows, columns = kernel.shape

    def look(picture):
        height, width = picture.shape[0] - rows + 1, picture.shape[1] - columns + 1
        taps = ((i, j) for i in range(rows) for j in range(columns))
        return sum(kernel[i, j] * picture[i : i + height, j : j + width] for i, j in taps) + constant

    return look


def _revealed(answer, *shape, constant):
    kernel = np.round(np.random.default_rng(3).normal(size=shape), 2).astype(np.float32)
    return {f"a kernel of {shape[0]} x {shape[1]}": as_floats(answer(_looking(kernel, constant), shape))}


PROBES = {
    "all_differences": (
        Probe("values", _differences, points=2),
        Probe("as many points as centres", lambda answer: {"4 points, 4 centres": answer(POINTS, SQUARE)}),
    ),
    "weighted_mean": (
        Probe("values", lambda answer: {"values": answer(VALUES, WEIGHTS), "two": answer(VALUES[:2], WEIGHTS[:2])}),
        Probe("gradients", _slopes, points=2),
    ),
    "drop_some": (
        Probe("what is dropped", lambda answer: _kept(answer, 0.25) | _kept(answer, 0.6)),
        Probe("chance", _by_chance),
        Probe("under jit", _under_jit),
    ),
    "Counted": (
        Probe("outputs", _outputs),
        Probe("parameter and state", _kinds),
        Probe("counting", _counts),
    ),
    "descend": (
        Probe("one step", lambda answer: _step(answer) | _step(answer, rate=0.5)),
        Probe("two steps", lambda answer: _step(answer, steps=2)),
    ),
    "slide": (
        Probe("values", _slid, points=2),
        Probe(
            "an impulse",
            lambda answer: {
                "an impulse": answer(jnp.zeros(7).at[2].set(1.0), _KERNEL),
                "a single number": answer(_SIGNAL[:1], _KERNEL),
            },
        ),
        Probe(
            "gradients",
            lambda answer: dict(
                zip(("to the signal", "to the kernel"), pull_back(answer, _SIGNAL, _KERNEL), strict=True)
            ),
        ),
    ),
    "mean_nats": (
        Probe(
            "values", lambda answer: {"5 outcomes": answer(_P, _OUTCOMES), "1 outcome": answer(_P[:1], _OUTCOMES[:1])}
        ),
        Probe(
            "sure of it",
            lambda answer: {"certain and right": answer(jnp.array([[0.0, 1.0, 0.0]]), jnp.array([1]))},
        ),
        Probe(
            "gradient",
            lambda answer: {"to logits": pull_back(lambda x: answer(jax.nn.softmax(x), _OUTCOMES), _LOGITS)[0]},
        ),
    ),
    "reveal_kernel": (
        Probe(
            "no constant",
            lambda answer: _revealed(answer, 3, 3, constant=0.0) | _revealed(answer, 1, 4, constant=0.0),
        ),
        Probe("a constant", lambda answer: _revealed(answer, 2, 3, constant=0.7)),
    ),
}
