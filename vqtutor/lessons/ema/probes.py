"""Probes of lesson 04."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from vqtutor.checking.exercise import Probe
from vqtutor.lessons.inputs import CODEBOOK, MAP, Z, array, as_floats, plain, pull_back

NAMES = ("counts", "sums", "codebook")
# A state in the middle of training: unequal counts, and sums that are not counts times codes. No vector of Z or MAP
# chooses code 5, so that only the running mean determines it.
CODES = array(np.concatenate([CODEBOOK, [[9.0, -7.0, 8.0]]]))
K, D = CODES.shape
COUNTS = array([3.0, 0.6, 5.5, 1.2, 2.4, 0.8])
SUMS = array(np.asarray(COUNTS)[:, None] * np.asarray(CODES) + np.float32([0.3, -0.2, 0.5]))
Z_INDICES, MAP_INDICES = (
    array(np.linalg.norm(np.asarray(z)[..., None, :] - np.asarray(CODES), axis=-1).argmin(-1)) for z in (Z, MAP)
)


def _statistics(answer, z, indices, num_codes):
    counts, sums = answer(z, indices, num_codes)
    return {"counts": as_floats(counts), "sums": as_floats(sums)}


def _smooth(answer, counts, epsilon):
    return {"smoothed counts": as_floats(answer(array(counts), epsilon))}


# -- update_codebook --------------------------------------------------------------------------------------------------


def _update(answer, steps=1, epsilon=0.3, decay=0.8):
    state = COUNTS, SUMS, CODES
    for z, indices in ((Z, Z_INDICES), (MAP, MAP_INDICES))[:steps]:
        state = answer(state[0], state[1], z, indices, decay, epsilon)
    return dict(zip(NAMES, state, strict=True))


def _counts_and_sums(answer):
    return {name: value for name, value in _update(answer).items() if name != "codebook"}


def _codebook(answer):
    # With a tiny epsilon and a decay of 0.95, the code that no vector chose stays at sums / counts.
    plain = _update(answer, epsilon=1e-5, decay=0.95)
    return {"codebook": _update(answer)["codebook"], "codebook with epsilon 0.00001": plain["codebook"]}


# -- repair_start -----------------------------------------------------------------------------------------------------


def _start_values(answer):
    counts, sums = answer(CODES)
    return {"counts": counts, "sums": sums}


def _first_steps(answer):
    counts, sums = answer(CODES)
    rows = array(np.eye(K, dtype=np.float32)[np.asarray(Z_INDICES)])
    arrays = {}
    for step in (1, 2):
        counts, sums = 0.99 * counts + 0.01 * rows.sum(0), 0.99 * sums + 0.01 * rows.T @ Z
        codebook = sums / ((counts + 1e-5) * (counts.sum() / (counts.sum() + K * 1e-5)))[:, None]
        # arcsinh, so that the tolerance tells a code 100,000 times too far from one that is 0 or in place.
        arrays[f"where the unchosen code is after step {step}"] = jnp.arcsinh(codebook[5])
        arrays[f"the chosen codes after step {step}"] = jnp.arcsinh(codebook[:5])
    return arrays


# -- EMAVectorQuantizer -----------------------------------------------------------------------------------------------

OPTIONS = {"decay": 0.8, "epsilon": 0.3}  # far from the defaults, to detect constants in their place


def _layer(answer, **options):
    """Return (apply, its state with the probes' values under the specified names); apply takes (state, z, training)."""
    layer = hk.transform_with_state(lambda z, training: answer(K, D, **options)(z, training))
    params, state = jax.eval_shape(lambda: layer.init(jax.random.key(0), MAP, True))
    params, state = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), (params, state))
    planted = dict(zip(NAMES, (COUNTS, SUMS, CODES), strict=True))
    apply = lambda state, z, training: layer.apply(params, state, jax.random.key(1), z, training)  # noqa: E731
    return apply, {module: own | planted for module, own in state.items()}


def _apply(answer, training, **options):
    apply, state = _layer(answer, **options)
    return apply(state, MAP, training)


def _forward(answer):
    arrays = {}
    for when, training in (("when training", True), ("at evaluation", False)):
        out, _ = _apply(answer, training, **OPTIONS)
        arrays |= {f"{name} {when}": out[name] for name in ("z_q", "codes", "indices") if name in out}
    return arrays


def _start(answer):
    arrays = {}
    for use, training in (("for training", True), ("for evaluation", False)):
        layer = hk.transform_with_state(lambda z, training: answer(K, D)(z, training))
        params, state = jax.tree.map(np.asarray, layer.init(jax.random.key(0), MAP, training))
        own = {name: value for module in state.values() for name, value in module.items()}
        nothing = np.zeros((0, D), np.float32)
        codebook, sums, counts = (own.get(name, nothing) for name in ("codebook", "sums", "counts"))
        rows = np.round(codebook * 1e6) if codebook.ndim == 2 else nothing
        same = sums.shape == codebook.shape and bool(np.all(sums == codebook))
        arrays |= {
            f"trainable numbers, started {use}": sum(leaf.size for leaf in jax.tree.leaves(params)),
            f'shape of "codebook", started {use}': np.array(codebook.shape),
            f"distinct codes, started {use}": len(np.unique(rows, axis=0)),
            f'"counts", started {use}': counts,
            f'"sums" are the codebook, started {use}': same,
        }
    return arrays


def _steps(answer):
    """Return the state after one step and after two, and the codebook with the default decay and epsilon."""
    arrays = {}
    apply, state = _layer(answer, **OPTIONS)
    for step, z in ((1, MAP), (2, MAP[::-1] * 0.7)):
        _, state = apply(state, z, True)
        own = next(iter(state.values()))
        arrays |= {f"{name} after step {step}": own[name] for name in NAMES}
    _, state = _apply(answer, True)
    return arrays | {"codebook with the default decay and epsilon": next(iter(state.values()))["codebook"]}


def _rest(answer):
    _, state = _apply(answer, False)
    own = next(iter(state.values()))
    return {f"{name} after evaluation": own[name] for name in NAMES}


def _gradients(answer):
    apply, state = _layer(answer)
    return {
        f"gradient of {name} to z_e": pull_back(lambda z, name=name: apply(state, z, True)[0][name], MAP)[0]
        for name in ("z_q", "codes")
    }


# -- restart_dead_codes -----------------------------------------------------------------------------------------------

# Code 2 is at the threshold and alive; codes 0 and 3 are dead. Sums are not counts times codes.
_COUNTS = array([0.2, 4.0, 0.5, 0.0, 2.5, 0.9])
_NONE = array(np.zeros(K))
_ALIVE, _DEAD = np.array([1, 2, 4, 5]), np.array([0, 3])
_FEW = MAP[0, 0]  # two vectors


def _restart(answer, threshold=0.5):
    """Return the answer as a function of a seed, counts and vectors."""
    return lambda seed, counts, z_e: map(plain, answer(jax.random.key(seed), counts, SUMS, CODES, z_e, threshold))


def _living(answer):
    values = _restart(answer)(0, _COUNTS, MAP)
    of = ("counts of the living", "sums of the living", "codes of the living")
    return {name: value[_ALIVE] for name, value in zip(of, values, strict=True)}


def _is_row(codes, z_e, within=0.0):
    """Return, for each code, whether it is one of the vectors, up to `within`."""
    return np.any(np.all(np.abs(codes[:, None] - np.reshape(z_e, (-1, D))) <= within, axis=-1), axis=1)


def _dead(answer):
    counts, sums, codebook = _restart(answer)(0, _COUNTS, MAP)
    return {
        "counts of restarted codes": counts[_DEAD],
        "restarted codes are near vectors of z_e": _is_row(codebook[_DEAD], MAP, within=0.1),
        "restarted codes are vectors of z_e": _is_row(codebook[_DEAD], MAP),
        "sums of restarted codes are their codes": np.all(sums[_DEAD] == codebook[_DEAD], axis=-1),
    }


def _choices(answer):
    restart = _restart(answer)
    places = [tuple(restart(seed, _NONE, Z))[2] for seed in range(4)]
    return {
        "restarted codes are in several places": all(len(np.unique(place, axis=0)) > 1 for place in places),
        "with another key, other vectors": bool(np.any(places[0] != places[1]) | np.any(places[0] != places[2])),
        "every restarted code has a vector of its own": min(len(np.unique(place, axis=0)) for place in places) == K,
    }


def _compiled(answer):
    """A compiled call, with more dead codes than vectors, and with no dead code."""
    restart = jax.jit(answer)
    counts, sums, codebook = map(np.asarray, restart(jax.random.key(0), _NONE, SUMS, CODES, _FEW, 0.5))
    unchanged = restart(jax.random.key(0), COUNTS, SUMS, CODES, MAP, 0.01)
    return {
        "more dead codes than vectors: counts": counts,
        "more dead codes than vectors: all are vectors of z_e": _is_row(codebook, _FEW),
        "more dead codes than vectors: sums are the codes": bool(np.all(sums == codebook)),
        "nobody dead": unchanged[2],
    }


# -- cheapest_merge ---------------------------------------------------------------------------------------------------

# Here the nearest two codes, the two rarest, and others that a wrong weight would choose are seven different answers.
_MEMBERS = array([35, 20, 43, 1, 29, 22, 36], np.float32)
_PLACES = array([[2, 1], [4, 1.5], [-4, 4], [-4, -3], [0.5, -2.5], [2.5, -1], [2, 0]], np.float32)


def _merged(answer, counts, codebook):
    i, j, rise = answer(counts, codebook)
    return {"the two codes": np.array([as_floats(i), as_floats(j)], np.float32), "rise": as_floats(rise)}


PROBES = {
    "batch_statistics": (
        Probe("a list of vectors", lambda answer: _statistics(answer, Z, Z_INDICES, 6)),
        Probe("a map of vectors", lambda answer: _statistics(answer, MAP, MAP_INDICES, 7)),
    ),
    "smooth_counts": (
        Probe("five codes, epsilon 0.5", lambda answer: _smooth(answer, [0.0, 3.0, 1.5, 0.0, 8.0], 0.5)),
        Probe(
            "three codes, epsilon 0.1",
            lambda answer: (
                _smooth(answer, [0.05, 7.0, 0.0], 0.1)
                | {"smoothed count of one code": as_floats(answer(array([5.0]), 0.1))}
            ),
        ),
    ),
    "update_codebook": (
        Probe("counts and sums", _counts_and_sums),
        Probe("codebook", _codebook),
        Probe("a second step", lambda answer: {f"{k} after two": v for k, v in _update(answer, steps=2).items()}),
    ),
    "repair_start": (Probe("the start", _start_values), Probe("the first steps", _first_steps)),
    "EMAVectorQuantizer": (
        Probe("outputs", _forward),
        Probe("state at the start", _start),
        Probe("state after steps", _steps, points=2),
        Probe("nothing moves at evaluation", _rest),
        Probe("gradients", _gradients),
    ),
    "restart_dead_codes": (
        Probe("the living", _living),
        Probe("the dead", _dead),
        Probe("who goes where", _choices),
        Probe("compiled", _compiled),
    ),
    "cheapest_merge": (
        Probe("seven codes", lambda answer: _merged(answer, _MEMBERS, _PLACES)),
        Probe("three numbers a code", lambda answer: _merged(answer, array([9.0, 4.0, 3.0, 8.0]), CODEBOOK[:4])),
        Probe(
            "dead codes", lambda answer: {"rise": as_floats(answer(array([0, 0, 9, 3], np.float32), _PLACES[:4])[2])}
        ),
    ),
}
