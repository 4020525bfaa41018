"""Probes of lesson 07."""

import jax
import numpy as np

from vqtutor.checking.exercise import Probe
from vqtutor.lessons.inputs import CODEBOOK, LIST, MAP, Z, array, as_floats, compiled, pull_back

_rng = np.random.default_rng(7)

# -- k_means ----------------------------------------------------------------------------------------------------------

# Groups of 3, 5, 2 and 6 vectors. The codes begin so that vectors go on changing sides for four rounds, and that no
# vector ever chooses the last one.
_PLACES = np.repeat([[0.0, 0.0], [3.0, 1.0], [0.5, 3.5], [4.0, 4.5]], (3, 5, 2, 6), axis=0)
POINTS = array(_rng.permutation(_PLACES + 0.6 * _rng.normal(size=_PLACES.shape)).astype(np.float32))
BEGINNING = array([[3.2, 4.6], [4.5, 5.2], [5.1, 3.9], [-9.0, 7.5]], np.float32)


def _moved(answer, *steps):
    return {f"codes after {n} round{'s' * (n > 1)}": answer(POINTS, BEGINNING, n) for n in steps}


def _more_numbers(answer):
    return {"codes of three numbers": answer(LIST, CODEBOOK, 1), "one code": answer(Z, CODEBOOK[:1], 2)}


# -- cosine_look_up ---------------------------------------------------------------------------------------------------

# Rows of very unequal length: the nearest one, the one with the largest product and the one at the smallest angle
# are three different ones for most vectors.
ROWS = array(np.float32([[0.3, 3.0, 1.0, 0.15, 6.0]]).T * np.asarray(CODEBOOK))


def _by_angle(answer, *inputs):
    arrays = {}
    for name, z in inputs:
        codes, indices = answer(z, ROWS)
        arrays |= {f"codes of {name}": codes, f"indices of {name}": indices}
    return arrays


def _to_rows(answer):
    return {"gradient to the codebook": pull_back(lambda rows: answer(MAP, rows)[0], ROWS)[0]}


# -- rotate_to --------------------------------------------------------------------------------------------------------

# Codes at 20 to 150 degrees from their vectors, and 0.3 to 3 times as long.
TARGETS = array(
    (np.asarray(MAP) + 1.1 * _rng.normal(size=MAP.shape) * [1, 0.7, 1.2]).astype(np.float32)[..., [0, 1, 2]]
)
WIDE, WIDE_TARGETS = (array(_rng.normal(size=(5, 1, 6)).astype(np.float32)) for _ in range(2))


def _arrives(answer):
    go = compiled(answer)
    return {
        "values": go(MAP, TARGETS),
        "values, six numbers": go(WIDE, WIDE_TARGETS),
        "values, a single vector": go(MAP[0, 0, 0], TARGETS[0, 0, 0]),
    }


def _turned(answer):
    to_z_e = lambda z_e, codes: pull_back(lambda z: answer(z, codes), z_e)[0]  # noqa: E731
    return {"gradient to z_e": to_z_e(MAP, TARGETS), "gradient to z_e, six numbers": to_z_e(WIDE, WIDE_TARGETS)}


def _to_codes(answer):
    return {"gradient to codes": pull_back(lambda codes: answer(MAP, codes), TARGETS)[0]}


# -- finite_scalar_quantize -------------------------------------------------------------------------------------------


def numbers_for(levels, *shape):
    """Return z [*shape, L] that is within 0.3 of the middle of a level, so that rounding is nobody's choice."""
    levels = np.array(levels)
    half, offset = (levels - 1) / 2, np.where(levels % 2 == 0, 0.5, 0.0)
    digits = _rng.integers(0, levels, (*shape, len(levels))) - levels // 2
    within = np.clip((digits + _rng.uniform(-0.3, 0.3, digits.shape) + offset) / half, -0.97, 0.97)
    return array((np.arctanh(within) - np.tan(offset / half)).astype(np.float32))


LEVELS = (5, 4, 3, 8)
_SCALARS, MANY, ONE = numbers_for(LEVELS, 2, 3, 2), numbers_for((8, 6, 5), 9), numbers_for((7,))
# One number of four levels just above a border, 0.4591, or 0.4573 with another epsilon; without tan it is at 0.4721.
SCALARS = array(np.where(np.arange(_SCALARS.size).reshape(_SCALARS.shape) == 1, np.float32(0.461), _SCALARS))


def _levels(answer):
    return {
        "z_q": answer(SCALARS, LEVELS)[0],
        "z_q, a list": answer(MANY, (8, 6, 5))[0],
        "z_q of one number": answer(ONE, (7,))[0],
    }


def _counted(answer):
    return {
        "indices": answer(SCALARS, LEVELS)[1],
        "indices, a list": answer(MANY, (8, 6, 5))[1],
        "index of one number": answer(ONE, (7,))[1],
    }


def _through_tanh(answer):
    """Return the gradient, and in a last row what widens the tolerance to 0.2 %: some published codes make the bound
    wider by the epsilon, others narrower, or take arctanh for tan, and all are as good."""
    to_z = np.asarray(pull_back(lambda z: answer(z, LEVELS)[0], SCALARS)[0]).reshape(-1, len(LEVELS))
    return {"gradient to z": np.concatenate([to_z, np.full((1, len(LEVELS)), 100, to_z.dtype)])}


# -- residual_quantize ------------------------------------------------------------------------------------------------

# Each stage has shorter codes than the one before, in no order. For some vectors another combination is nearer.
STAGES = array(
    np.stack([np.asarray(CODEBOOK), *(scale * _rng.normal(size=CODEBOOK.shape) for scale in (0.7, 0.3))]).astype(
        np.float32
    )
)


def _added(answer, *inputs):
    arrays = {}
    for name, z, codebooks in inputs:
        z_q, indices = answer(z, codebooks)
        arrays |= {f"z_q of {name}": z_q, f"indices of {name}": indices}
    return arrays


# -- repair_stages ----------------------------------------------------------------------------------------------------


def _staged(answer):
    z_q, loss = answer(MAP, STAGES, 0.4)
    return {"z_q": z_q, "loss": loss, "loss with beta 2": answer(Z, STAGES, 2.0)[1]}


def _through_stages(answer):
    to_z, to_codebooks = pull_back(lambda z, c: answer(z, c, 0.4)[0], MAP, STAGES)
    return {"gradient of z_q to z": to_z, "gradient of z_q to the codebooks": to_codebooks}


def _pulls(answer):
    to_z, to_codebooks = jax.grad(lambda z, c: 20 * answer(z, c, 0.4)[1], (0, 1))(MAP, STAGES)
    return {"gradient of 20 times the loss to z": to_z, "gradient of 20 times the loss to the codebooks": to_codebooks}


# -- from_index -------------------------------------------------------------------------------------------------------


def _back(answer, *inputs):
    return {name: as_floats(answer(array(indices), levels)) for name, indices, levels in inputs}


PROBES = {
    "k_means": (
        Probe("one round", lambda answer: _moved(answer, 1)),
        Probe("several rounds", lambda answer: _moved(answer, 2, 4)),
        Probe("other sizes", _more_numbers),
    ),
    "cosine_look_up": (
        Probe("a list of vectors", lambda answer: _by_angle(answer, ("a list", LIST))),
        Probe("any leading shape", lambda answer: _by_angle(answer, ("a map", MAP), ("a single vector", Z[0]))),
        Probe("gradient to the codebook", _to_rows),
    ),
    "rotate_to": (
        Probe("values", _arrives),
        Probe("gradient to z_e", _turned, points=2),
        Probe("gradient to codes", _to_codes),
    ),
    "finite_scalar_quantize": (
        Probe("z_q", _levels),
        Probe("indices", _counted),
        Probe("gradient to z", _through_tanh),
    ),
    "residual_quantize": (
        Probe("three stages", lambda answer: _added(answer, ("a list", LIST, STAGES))),
        Probe(
            "any leading shape",
            lambda answer: _added(answer, ("a map", MAP, STAGES), ("a single vector", Z[0], STAGES[:2])),
        ),
        Probe("one stage", lambda answer: _added(answer, ("a list", Z, STAGES[:1]))),
    ),
    "repair_stages": (
        Probe("values", _staged),
        Probe("gradients of z_q", _through_stages),
        Probe("gradients of the loss", _pulls, points=2),
    ),
    "from_index": (
        Probe(
            "values",
            lambda answer: _back(
                answer, ("a map", [[7, 203, 479], [0, 61, 118]], LEVELS), ("a list", [200, 17, 64, 111], (8, 6, 5))
            ),
        ),
        Probe("every code", lambda answer: _back(answer, ("all 24 codes", np.arange(24, dtype=np.int32), (4, 3, 2)))),
        Probe("one number", lambda answer: _back(answer, ("an index", np.int32(5), (7,)))),
    ),
}
