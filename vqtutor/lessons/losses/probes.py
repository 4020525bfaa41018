"""Probes of lesson 02."""

import jax
import jax.numpy as jnp
import numpy as np

from vqtutor.checking.exercise import Probe
from vqtutor.lessons.inputs import CODEBOOK, MAP, array, as_floats, pull_back

_rng = np.random.default_rng(3)
X, X_HAT = (array(_rng.uniform(0.1, 0.9, (2, 5, 4, 1)).astype(np.float32)) for _ in range(2))
LOGITS = array((2 * _rng.normal(size=X.shape)).astype(np.float32))
HUGE = array(_rng.choice([-200.0, 150.0], X.shape).astype(np.float32))
_ROWS = np.asarray(CODEBOOK)
CODES = array(_ROWS[np.linalg.norm(np.asarray(MAP)[..., None, :] - _ROWS, axis=-1).argmin(-1)])
# Two maps with different codes, to detect averaging over maps; codes 4 and 6 are never used.
INDICES = array([[[0, 0, 1], [0, 1, 0]], [[5, 2, 5], [3, 3, 3]]])


def _gradient(loss, at):
    """Return the gradient of a loss with one input. It is summed, because a wrong answer may return several numbers."""
    return jax.grad(lambda at: jnp.asarray(loss(at)).sum())(at)


def _to_x_hat(answer):
    return {"gradient to x_hat": _gradient(lambda x_hat: answer(X, x_hat, 0.3), X_HAT)}


def _to_z_e(answer, *beta):
    return {"gradient to z_e": _gradient(lambda z_e: answer(z_e, CODES, *beta), MAP)}


def _to_codes(answer, *beta):
    return {"gradient to codes": _gradient(lambda codes: answer(MAP, codes, *beta), CODES)}


_ONE_SIDED = (
    Probe("value", lambda answer: {"value": answer(MAP, CODES)}),
    Probe("gradient to z_e", _to_z_e),
    Probe("gradient to codes", _to_codes),
)


def _of_loss(answer):
    return {
        "gradient to z_e of the loss": _gradient(lambda z_e: answer(z_e, CODEBOOK, 0.25)[1], MAP),
        "gradient to the codebook of the loss": _gradient(lambda codebook: answer(MAP, codebook, 0.25)[1], CODEBOOK),
    }


def _of_z_q(answer):
    to_z_e, to_codebook = pull_back(lambda z_e, codebook: answer(z_e, codebook, 0.25)[0], MAP, CODEBOOK)
    return {"gradient of z_q to z_e": to_z_e, "gradient of z_q to the codebook": to_codebook}


# -- worth_of_place ---------------------------------------------------------------------------------------------------

_rng_of_maps = np.random.default_rng(8)
_LEANING = (_rng_of_maps.integers(0, 3, (12, 2, 3)) + np.array([[0, 1, 2], [2, 0, 0]])).astype(np.int32)
_EVERY_PLACE_ITS_CODE = np.tile(np.arange(8, dtype=np.int32).reshape(1, 2, 4), (3, 1, 1))
_EVERY_PLACE_ALIKE = np.repeat(np.array([0, 1, 1, 3], np.int32), 6).reshape(4, 2, 3)


PROBES = {
    "reconstruction_loss": (
        Probe(
            "values",
            lambda answer: {"variance 0.3": answer(X, X_HAT, 0.3), "variance 2": answer(X[0], X_HAT[1], 2.0)},
        ),
        Probe("gradient to x_hat", _to_x_hat),
    ),
    "codebook_loss": _ONE_SIDED,
    "commitment_loss": _ONE_SIDED,
    "vq_loss": (
        Probe("values", lambda answer: {"beta 0.25": answer(MAP, CODES, 0.25), "beta 2": answer(MAP, CODES, 2.0)}),
        Probe("gradients, beta 0.25", lambda answer: _to_z_e(answer, 0.25) | _to_codes(answer, 0.25)),
        Probe("gradients, beta 2", lambda answer: _to_z_e(answer, 2.0) | _to_codes(answer, 2.0)),
    ),
    "repair_quantizer": (
        Probe("values", lambda answer: dict(zip(("z_q", "loss"), answer(MAP, CODEBOOK, 0.25), strict=True))),
        Probe("gradients of the loss", _of_loss, points=2),
        Probe("gradients of z_q", _of_z_q),
    ),
    "bernoulli_nll": (
        Probe("values", lambda answer: {"2 images": answer(X, LOGITS), "1 image": answer(X[:1], LOGITS[1:])}),
        Probe(
            "gradient to logits",
            lambda answer: {"gradient to logits": _gradient(lambda logits: answer(X, logits), LOGITS)},
        ),
        Probe("logits of 150 and -200", lambda answer: {"logits of 150 and -200": answer(X, HUGE)}),
    ),
    "uniform_prior_nats": (
        Probe(
            "values",
            lambda answer: {
                "49 latents of 128 codes": answer(49, 128),
                "1 latent of 64 codes": answer(1, 64),
                "6 of 10": answer(6, 10),
            },
        ),
    ),
    "perplexity": (
        Probe("some codes unused", lambda answer: {"some codes unused": answer(INDICES, 7)}),
        Probe(
            "every code used",
            lambda answer: {
                "all alike": answer(array(np.arange(12).reshape(3, 4) % 6), 6),
                "in a list": answer(array([0, 1, 1, 2, 1]), 3),
            },
        ),
    ),
    "worth_of_place": (
        Probe("maps", lambda answer: {"bits a code": as_floats(answer(_LEANING, 6))}),
        Probe(
            "all and nothing",
            lambda answer: {
                "each place has a code of its own": as_floats(answer(_EVERY_PLACE_ITS_CODE, 8)),
                "all places are alike": as_floats(answer(_EVERY_PLACE_ALIKE, 5)),
            },
        ),
    ),
}
