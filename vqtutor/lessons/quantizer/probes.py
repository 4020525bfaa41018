"""Probes of lesson 01."""

from functools import partial

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient as sg

from vqtutor.checking.exercise import Probe
from vqtutor.lessons.inputs import CODEBOOK, LIST, MAP, Z, array, compiled, normal, plain, pull_back

K, D = CODEBOOK.shape
INDICES = array([3, 0, 4, 4, 1])
INDEX_MAP = array([[[2, 0, 1], [4, 4, 3]]])
_rng = np.random.default_rng(3)
OTHER_CODES, OTHER_Z = normal(_rng, 6, 4), normal(_rng, 3, 4)


# -- squared_distances ------------------------------------------------------------------------------------------------


def _distances(answer):
    return {
        "7 vectors, 5 codes": answer(Z, CODEBOOK),
        "3 vectors, 6 codes": answer(OTHER_Z, OTHER_CODES),
        "1 vector, 5 codes": answer(Z[:1], CODEBOOK),
        "7 vectors, 1 code": answer(Z, CODEBOOK[:1]),
    }


def _slopes(answer):
    to_z, to_codebook = pull_back(answer, Z, CODEBOOK)
    return {"gradient to z": to_z, "gradient to codebook": to_codebook}


def largest_array(function, *inputs) -> int:
    """Return the number of elements of the largest array that `function` computes."""

    def sizes(jaxpr):
        for equation in jaxpr.eqns:
            yield from (out.aval.size for out in equation.outvars)
            for parameter in jax.tree.leaves(
                equation.params, is_leaf=lambda p: hasattr(p, "eqns") or hasattr(p, "jaxpr")
            ):
                inner = getattr(parameter, "jaxpr", parameter)
                if hasattr(inner, "eqns"):
                    yield from sizes(inner)

    return max(sizes(jax.make_jaxpr(function)(*inputs).jaxpr), default=0)


def _memory(answer):
    return {"no array on the way has as many elements as [N, K, D]": largest_array(answer, Z, CODEBOOK) < Z.size * K}


# -- straight_through -------------------------------------------------------------------------------------------------

_NEAREST = array(2 * np.asarray(MAP)[::-1])


def _to_z_e(answer):
    return {"gradient to z_e": pull_back(lambda z_e: answer(z_e, _NEAREST), MAP)[0]}


def _to_z_q(answer):
    return {"gradient to z_q": pull_back(lambda z_q: answer(MAP, z_q), _NEAREST)[0]}


# -- VectorQuantizer --------------------------------------------------------------------------------------------------


def _layer(answer):
    """Return (initial parameters, apply, planted parameters): every [K, D] leaf is the probes' codebook."""
    network = hk.without_apply_rng(hk.transform_with_state(lambda z: answer(K, D)(z)))
    params, state = jax.tree.map(np.asarray, network.init(jax.random.key(0), MAP))

    def plant(leaf):
        return CODEBOOK if leaf.shape == (K, D) else CODEBOOK.T if leaf.shape == (D, K) else leaf

    apply = lambda params, z: network.apply(params, jax.tree.map(plant, state), z)[0]  # noqa: E731
    return params, apply, jax.tree.map(plant, params)


def _forward(answer):
    _, apply, planted = _layer(answer)
    out = apply(planted, MAP)
    return {name: out[name] for name in ("z_q", "codes", "indices") if name in out}


def _parameters(answer):
    params, _, _ = _layer(answer)
    (module,) = params.values() if len(params) == 1 else ({},)
    codebook = module.get("codebook", np.zeros((0, D)))
    rows = np.round(codebook * 1e6) if codebook.ndim == 2 else np.zeros((1, 1))
    return {
        "number of parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        'shape of "codebook"': np.array(codebook.shape),
        "distinct rows at the start": len(np.unique(rows, axis=0)),
    }


def _gradients(answer):
    _, apply, planted = _layer(answer)
    arrays = {}
    for name in ("z_q", "codes"):
        to_params, to_z_e = pull_back(lambda p, z, name=name: apply(p, z)[name], planted, MAP)
        arrays |= {f"gradient of {name} to z_e": to_z_e}
        arrays |= {f"gradient of {name} to the codebook": next(iter(jax.tree.leaves(to_params)), np.zeros((0, D)))}
    return arrays


# -- gradient_reach ---------------------------------------------------------------------------------------------------

Z_E = array(np.asarray(MAP)[0])
Z_Q = array(np.abs(np.asarray(MAP)[1]) + 0.1)  # above 0
_LARGEST, _SMALLEST = float(np.asarray(Z_E).max()), float(np.asarray(Z_E).min())
_LARGEST_Q, _SMALLEST_Q = float(np.asarray(Z_Q).max()), float(np.asarray(Z_Q).min())
# The first four have the value z_q, and differ only in their derivatives. The others detect answers that test the sign,
# the sum or all elements of a gradient.
LAYERS = {
    "straight-through": lambda z_e, z_q: (
        z_e + sg(jnp.abs(z_q) - z_e)
    ),  # right only above 0: probes must not hold an answer
    "leaky": lambda z_e, z_q: z_q + z_e - sg(z_e),
    "plain": lambda z_e, z_q: z_q,
    "cut": lambda z_e, z_q: sg(z_q),
    "downhill": lambda z_e, z_q: -z_e - jnp.abs(z_q),
    "one dimension": lambda z_e, z_q: sg(z_q) + z_e * np.float32([0.0, 0.0, 1.0]),
    "cancelling": lambda z_e, z_q: sg(z_q) + z_e * np.float32([1.0, -1.0, 0.0]),
    "faint": lambda z_e, z_q: sg(z_q) + 1e-6 * z_e,
    "largest only": lambda z_e, z_q: sg(z_q) + jnp.maximum(z_e, 0.99 * _LARGEST),
    "one dimension of z_q": lambda z_e, z_q: sg(z_e) + z_q**2 * np.float32([0.0, 1.0, 0.0]),
    "largest of z_q only": lambda z_e, z_q: sg(z_e) + jnp.maximum(z_q, 0.99 * _LARGEST_Q),
    "smallest of z_q only": lambda z_e, z_q: sg(z_e) + jnp.minimum(z_q, 1.01 * _SMALLEST_Q),
    "smallest only": lambda z_e, z_q: sg(z_q) + jnp.minimum(z_e, 0.99 * _SMALLEST),
}


def _reach(answer, *names):
    arrays = {}
    for name in names:
        to_z_e, to_z_q = answer(LAYERS[name], Z_E, Z_Q)
        arrays |= {f"{name} layer reaches z_e": to_z_e, f"{name} layer reaches z_q": to_z_q}
    return arrays


# -- as_products ------------------------------------------------------------------------------------------------------

_MORE_CODES = normal(np.random.default_rng(11), 9, 4) * np.linspace(0.3, 2, 9, dtype=np.float32)[:, None]
_MORE_Z = np.concatenate([np.zeros((1, 4)), np.random.default_rng(12).normal(size=(11, 4))]).astype(np.float32)


def _winners(answer, z, codebook):
    vectors, rows = (np.asarray(plain(part, "a part of the result"), np.float32) for part in answer(z, codebook))
    products = vectors @ rows.T
    return {
        "rows with the largest product": np.argmax(products, axis=1),
        "numbers in a vector and in a row": np.array([vectors.shape[1], rows.shape[1]]),
    }


# -- two_faced --------------------------------------------------------------------------------------------------------

_FACES = {
    "a staircase that feels like a line": (jnp.round, lambda x: 2.0 * x),
    "a sine that feels like a cube": (jnp.sin, lambda x: x**3),
    "a step that feels like a sigmoid": (lambda x: (x > 0) * jnp.ones_like(x), jax.nn.sigmoid),
}


def _faces(answer, look):
    x = array(np.array([[-1.4, -0.6, 0.3], [0.8, 1.7, -2.2]], np.float32))
    faces = {name: answer(*pair) for name, pair in _FACES.items()}
    return {name: compiled(partial(look, face))(x) for name, face in faces.items()}


PROBES = {
    "squared_distances": (
        Probe("values", _distances, points=2),
        Probe("gradients", _slopes),
        Probe("memory", _memory),
    ),
    "nearest_code": (
        Probe("a list of vectors", lambda answer: {"a list of vectors": answer(LIST, CODEBOOK)}),
        Probe(
            "any leading shape",
            lambda answer: {
                "a [2, 4, 2] map": answer(MAP, CODEBOOK),
                "a [1, 4, 1] map": answer(MAP[:1, :, :1], CODEBOOK),
                "a single vector": answer(Z[0], CODEBOOK),
            },
        ),
    ),
    "look_up": (
        Probe("a list of indices", lambda answer: {"a list of indices": answer(INDICES, CODEBOOK)}),
        Probe("a map of indices", lambda answer: {"a map of indices": answer(INDEX_MAP, CODEBOOK)}),
        Probe(
            "gradient to codebook",
            lambda answer: {"gradient to codebook": pull_back(lambda codes: answer(INDICES, codes), CODEBOOK)[0]},
        ),
    ),
    "straight_through": (
        Probe(
            "values",
            lambda answer: {
                "values": answer(MAP, _NEAREST),
                "values, a [1, 4, 1] map": answer(MAP[:1, :, :1], _NEAREST[:1, :, :1]),
            },
        ),
        Probe("gradient to z_e", _to_z_e),
        Probe("gradient to z_q", _to_z_q),
    ),
    "VectorQuantizer": (
        Probe("outputs", _forward),
        Probe("parameters", _parameters),
        Probe("gradients", _gradients, points=2),
    ),
    "gradient_reach": (
        Probe("the usual suspects", lambda answer: _reach(answer, "straight-through", "leaky", "plain", "cut")),
        Probe("odd layers", lambda answer: _reach(answer, *list(LAYERS)[4:])),
    ),
    "as_products": (
        Probe("three numbers a code", lambda answer: _winners(answer, LIST, CODEBOOK)),
        Probe("four numbers, and a vector of zeros", lambda answer: _winners(answer, array(_MORE_Z), _MORE_CODES)),
    ),
    "two_faced": (
        Probe("values", lambda answer: _faces(answer, lambda face, x: face(x))),
        Probe("gradients", lambda answer: _faces(answer, lambda face, x: pull_back(face, x)[0])),
    ),
}
