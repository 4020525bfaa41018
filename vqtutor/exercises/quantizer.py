"""Lesson 01, first half: from vectors to codes and back."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient as sg

from vqtutor.checking import Exercise, Misconception, Probe
from vqtutor.models import quantizer as ref

_rng = np.random.default_rng(1)


def _normal(*shape):
    return jnp.asarray(_rng.normal(size=shape).astype(np.float32))


# Codes of unequal norm in no order, K != D, and no vector near the border of two cells: slips cannot pass by luck.
# Made by NumPy: whatever JAX computes here is compiled, and the first check would wait for it.
_CODES = np.array([[2.0, -1.0, 0.5], [-0.4, 0.3, 0.2], [0.6, 2.2, -1.4], [-1.8, -0.9, 1.1], [0.9, 0.4, 2.6]])
_Z = _CODES[[3, 1, 4, 0, 2, 1, 3]] + 0.25 * _rng.normal(size=(7, 3))
_CHOSEN = np.array([4, 0, 1, 1, 2, 3, 0, 2, 4, 3, 1, 2, 0, 4, 3, 1]).reshape(2, 4, 2)
CODEBOOK = jnp.asarray(_CODES.astype(np.float32))
Z = jnp.asarray(_Z.astype(np.float32))
# The last vector's nearest code by summed absolute differences is another one than by squares.
LIST = jnp.asarray(np.concatenate([_Z, [[-3.9, 2.2, -1.4]]]).astype(np.float32))
MAP = jnp.asarray((_CODES[_CHOSEN] + 0.25 * _rng.normal(size=(2, 4, 2, 3))).astype(np.float32))
INDICES = jnp.array([3, 0, 4, 4, 1])
INDEX_MAP = jnp.array([[[2, 0, 1], [4, 4, 3]]])
OTHER_CODES = _normal(6, 4)
OTHER_Z = _normal(3, 4)


def pull_back(function, *inputs):
    """Return the gradient to each input of a fixed random weighting of function's output: plain sums hide slips."""
    out, backward = jax.vjp(function, *inputs)
    weights = jnp.asarray(np.random.default_rng(2).normal(size=out.shape), out.dtype)
    return backward(weights)


def largest_array(function, *inputs) -> int:
    """Return the number of elements of the largest array that `function` makes on the way."""

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


# -- squared_distances ------------------------------------------------------------------------------------------------


def _too_large(expected, found):
    cube = Z.size * len(CODEBOOK)
    if int(found) < cube:
        return None
    return f"an array of {int(found)} elements is built on the way: [N, K, D] has {cube}, [N, K] only {cube // 3}"


def _scaled_norms(z, codebook, z_norm=1.0, cross=-2.0, code_norm=1.0):
    return z_norm * jnp.sum(z**2, 1, keepdims=True) + cross * z @ codebook.T + code_norm * jnp.sum(codebook**2, 1)


squared_distances = Exercise(
    id="quantizer.squared_distances",
    reference=ref.squared_distances,
    arguments=("z", "codebook"),
    probes=(
        Probe(
            "values",
            lambda answer: {
                "7 vectors, 5 codes": answer(Z, CODEBOOK),
                "3 vectors, 6 codes": answer(OTHER_Z, OTHER_CODES),
            },
            points=2,
        ),
        Probe(
            "gradients",
            lambda answer: dict(
                zip(("gradient to z", "gradient to codebook"), pull_back(answer, Z, CODEBOOK), strict=True)
            ),
        ),
        Probe("memory", lambda answer: {"memory": largest_array(answer, Z, CODEBOOK)}, accept=_too_large),
    ),
    misconceptions=(
        Misconception(
            "not squared",
            "These are the distances themselves, not their squares.",
            "The nearest code is the same either way, and without the root the gradient is well behaved at 0.",
            lambda z, c: jnp.sqrt(jnp.maximum(_scaled_norms(z, c), 0)),
            also=(lambda z, c: jnp.linalg.norm(z[:, None] - c[None], axis=-1),),
        ),
        Misconception(
            "codes' norms dropped",
            "The squared norm of the codes is missing, so long codes look closer than they are.",
            "Multiply out |z - e|^2: there are three terms, and one of them speaks only of the code.",
            lambda z, c: _scaled_norms(z, c, code_norm=0),
        ),
        Misconception(
            "vectors' norms dropped",
            "The squared norm of the vectors is missing: the order of the codes is right, the distances are not.",
            "Multiply out |z - e|^2: there are three terms, and one of them speaks only of the vector.",
            lambda z, c: _scaled_norms(z, c, z_norm=0),
        ),
        Misconception(
            "cross term without its 2",
            "The product of vector and code is counted once; the square of a difference has it twice.",
            "Multiply out (a - b)^2 on paper and compare, term by term.",
            lambda z, c: _scaled_norms(z, c, cross=-1),
        ),
        Misconception(
            "cross term added",
            "The product of vector and code is added, which gives |z + e|^2.",
            "Multiply out (a - b)^2 on paper and look at the signs.",
            lambda z, c: _scaled_norms(z, c, cross=2),
        ),
        Misconception(
            "codes along the rows",
            "The numbers are right but the array lies on its side: [K, N] where [N, K] is asked for.",
            "A row belongs to a vector, a column to a code: look at the order of your matrix product.",
            lambda z, c: _scaled_norms(z, c).T,
        ),
        Misconception(
            "mean over the dimensions",
            "Each distance is D times too small: it is averaged over the dimensions where it should be summed.",
            "|v|^2 is the sum of the squares.",
            lambda z, c: _scaled_norms(z, c) / z.shape[1],
        ),
        Misconception(
            "city-block distance",
            "These are sums of absolute differences.",
            "Squared Euclidean distance sums the squares.",
            lambda z, c: jnp.sum(jnp.abs(z[:, None] - c[None]), axis=-1),
        ),
        Misconception(
            "similarity in place of distance",
            "The sign is the other way round: the nearest code has the largest number here.",
            "A distance is never negative.",
            lambda z, c: -_scaled_norms(z, c),
        ),
        Misconception(
            "norms not squared",
            "The norms of z and of the codes stand in the sum without being squared.",
            "|z|^2 - 2 z.e + |e|^2: each norm is squared, so no square root is needed anywhere.",
            lambda z, c: jnp.linalg.norm(z, axis=1, keepdims=True) - 2 * z @ c.T + jnp.linalg.norm(c, axis=1),
        ),
        Misconception(
            "builds all the differences",
            "The values are right, but every difference is written out: [N, K, D] numbers, gigabytes for a real batch.",
            "Multiply |z - e|^2 out: the large middle term is one matrix product.",
            lambda z, c: jnp.sum((z[:, None] - c[None]) ** 2, axis=-1),
            also=(jax.vmap(lambda one, c: jnp.sum((one - c) ** 2, axis=-1), (0, None)),),
        ),
        Misconception(
            "gradient blocked",
            "The values are right, but no gradient comes through.",
            "Nothing here needs stop_gradient: distances are smooth, only choosing is not.",
            lambda z, c: sg(_scaled_norms(z, c)),
            also=(lambda z, c: _scaled_norms(sg(z), sg(c)),),
        ),
    ),
    alternatives={
        "einsum": lambda z, c: (
            jnp.einsum("nd,nd->n", z, z)[:, None]
            - 2 * jnp.einsum("nd,kd->nk", z, c)
            + jnp.einsum("kd,kd->k", c, c)[None]
        ),
        "a row at a time, vmap over codes of one matvec": lambda z, c: (
            jnp.sum(z**2, 1)[:, None] + jnp.sum(c**2, 1)[None, :] + jax.vmap(lambda e: -2 * (z @ e), out_axes=1)(c)
        ),
        "loop over codes": lambda z, c: jnp.stack([jnp.sum((z - e) ** 2, axis=1) for e in c], axis=1),
        "jitted, dot_general": jax.jit(
            lambda z, c: (
                (z * z).sum(-1, keepdims=True)
                + (c * c).sum(-1)
                - 2 * jax.lax.dot_general(z, c, (((1,), (1,)), ((), ())))
            )
        ),
        "lax.map over vectors": lambda z, c: jax.lax.map(lambda one: jnp.sum((one - c) ** 2, axis=1), z),
        "one product of widened matrices": lambda z, c: (
            jnp.concatenate([jnp.sum(z**2, 1, keepdims=True), jnp.ones((len(z), 1)), -2 * z], 1)
            @ jnp.concatenate([jnp.ones((len(c), 1)), jnp.sum(c**2, 1, keepdims=True), c], 1).T
        ),
    },
    hints=(
        "Multiply out |z - e|^2 for one vector and one code. Which of the three terms needs both?",
        "The term that needs both is a dot product for each pair: that is the matrix product `z @ codebook.T`.",
        "Give the vectors' norms the shape [N, 1] (`keepdims=True`), the codes' norms [K]; broadcasting does the rest.",
    ),
)


# -- nearest_code -----------------------------------------------------------------------------------------------------


def _flat(z):
    return z.reshape(-1, z.shape[-1])


def _nearest(z, codebook, measure=ref.squared_distances, pick=jnp.argmin):
    return pick(measure(_flat(z), codebook), axis=1).reshape(z.shape[:-1])


nearest_code = Exercise(
    id="quantizer.nearest_code",
    reference=ref.nearest_code,
    arguments=("z", "codebook"),
    probes=(
        Probe("a list of vectors", lambda answer: {"a list of vectors": answer(LIST, CODEBOOK)}),
        Probe(
            "any leading shape",
            lambda answer: {"a [2, 4, 2] map": answer(MAP, CODEBOOK), "a single vector": answer(Z[0], CODEBOOK)},
        ),
    ),
    misconceptions=(
        Misconception(
            "farthest code",
            "You return the code that is farthest away.",
            "A distance should be as small as possible.",
            lambda z, c: _nearest(z, c, pick=jnp.argmax),
        ),
        Misconception(
            "the vector nearest to each code",
            "For each code you return the nearest vector: K answers, where N are asked for.",
            "Along which axis of [N, K] do the codes compete?",
            lambda z, c: jnp.argmin(ref.squared_distances(_flat(z), c), axis=0),
        ),
        Misconception(
            "one index for all",
            "One index comes back for the whole batch: without an axis, argmin searches the flattened array.",
            "Tell argmin along which axis of [N, K] the codes compete.",
            lambda z, c: jnp.argmin(ref.squared_distances(_flat(z), c)),
        ),
        Misconception(
            "largest dot product",
            "The largest dot product wins here, and long codes win it unfairly.",
            "Expand |z - e|^2: the length of the code has a say too.",
            lambda z, c: _nearest(z, c, lambda z, c: -z @ c.T),
        ),
        Misconception(
            "smallest angle",
            "Vectors and codes are brought to length 1 first, so only direction counts.",
            "Some published texts say 'L2-normalised distance' where they mean the plain squared one.",
            lambda z, c: _nearest(
                z,
                c,
                lambda z, c: (
                    -(z / jnp.linalg.norm(z, axis=1, keepdims=True)) @ (c / jnp.linalg.norm(c, axis=1, keepdims=True)).T
                ),
            ),
        ),
        Misconception(
            "distance in place of index",
            "You return how far the nearest code is, not which one it is.",
            "min and argmin answer different questions.",
            lambda z, c: _nearest(z, c, pick=jnp.min),
        ),
        Misconception(
            "leading shape lost",
            "The indices are right but come as one long list: a map [B, H, W, D] should give a map [B, H, W].",
            "After flattening, give back the leading shape of z.",
            lambda z, c: _nearest(_flat(z), c),
        ),
        Misconception(
            "flattened in another order",
            "The indices are in the wrong places: the map was flattened in one order and put together in another.",
            "reshape keeps row order both ways; a transpose or order='F' on one side only does not.",
            lambda z, c: _nearest(z.reshape((-1, z.shape[-1]), order="F"), c).reshape(z.shape[:-1]),
            also=(lambda z, c: _nearest(_flat(z), c).reshape(z.shape[:-1], order="F"),),
        ),
        Misconception(
            "one-hot in place of index",
            "You return a row of zeros with a one in it for each vector; the index of the one is asked for.",
            "One-hot rows are a way to look codes up, and come later.",
            lambda z, c: jax.nn.one_hot(_nearest(z, c), len(c), dtype=jnp.int32),
            also=(lambda z, c: jax.nn.one_hot(_nearest(z, c), len(c)),),
        ),
        Misconception(
            "float indices",
            "The indices are right but are floats, and a float cannot index an array.",
            "Keep the dtype argmin gives you, or cast to int32.",
            lambda z, c: _nearest(z, c).astype(jnp.float32),
        ),
        Misconception(
            "counts from one",
            "Every index is one too large.",
            "The first row of the codebook has index 0.",
            lambda z, c: _nearest(z, c) + 1,
        ),
        Misconception(
            "city-block distance",
            "Absolute differences are summed here, and some vectors get another code for it.",
            "Use the squared distances you wrote above.",
            lambda z, c: _nearest(z, c, lambda z, c: jnp.sum(jnp.abs(z[:, None] - c[None]), -1)),
        ),
        Misconception(
            "code, not index",
            "You return the nearest code itself; its index is asked for.",
            "Looking a code up is the next exercise.",
            lambda z, c: c[_nearest(z, c)],
        ),
    ),
    alternatives={
        "numpy, int64": lambda z, c: np.argmin(((np.asarray(z)[..., None, :] - np.asarray(c)) ** 2).sum(-1), axis=-1),
        "codes' norms only": lambda z, c: jnp.argmin(jnp.sum(c**2, -1) - 2 * z @ c.T, axis=-1),
        "true distance": lambda z, c: jnp.argmin(jnp.linalg.norm(z[..., None, :] - c, axis=-1), axis=-1),
        "vmap over vectors": lambda z, c: jax.vmap(lambda one: jnp.argmin(jnp.sum((one - c) ** 2, -1)))(
            _flat(z)
        ).reshape(z.shape[:-1]),
        "argmax of the negative, jitted": jax.jit(lambda z, c: jnp.argmax(2 * z @ c.T - jnp.sum(c**2, -1), axis=-1)),
        "top_k": lambda z, c: jax.lax.top_k(2 * z @ c.T - jnp.sum(c**2, -1), 1)[1][..., 0],
        "float64 inside": lambda z, c: np.argmin(
            ((np.asarray(z, np.float64)[..., None, :] - np.asarray(c, np.float64)) ** 2).sum(-1), axis=-1
        ).astype(np.int32),
    },
    hints=(
        "You have the distances from every vector to every code. Which axis holds the codes?",
        "`jnp.argmin(..., axis=1)` picks the nearest code of each row.",
        "For [..., D]: flatten with `z.reshape(-1, D)`, pick, then reshape the indices to `z.shape[:-1]`.",
    ),
)


# -- look_up ----------------------------------------------------------------------------------------------------------

look_up = Exercise(
    id="quantizer.look_up",
    reference=ref.look_up,
    arguments=("indices", "codebook"),
    probes=(
        Probe("a list of indices", lambda answer: {"a list of indices": answer(INDICES, CODEBOOK)}),
        Probe("a map of indices", lambda answer: {"a map of indices": answer(INDEX_MAP, CODEBOOK)}),
        Probe(
            "gradient to codebook",
            lambda answer: {"gradient to codebook": pull_back(lambda c: answer(INDICES, c), CODEBOOK)[0]},
        ),
    ),
    misconceptions=(
        Misconception(
            "columns in place of rows",
            "You pick columns of the codebook: one dimension of every code, where one whole code is asked for.",
            "A code is a row: along which axis do rows lie?",
            lambda i, c: jnp.take(c, i, axis=1),
            also=(lambda i, c: c[:, i], lambda i, c: c.T[i], lambda i, c: jnp.moveaxis(c[:, i], 0, -1)),
        ),
        Misconception(
            "flattened codebook",
            "You pick single numbers: without an axis, `jnp.take` counts through the flattened codebook.",
            "Tell take along which axis the codes lie.",
            lambda i, c: jnp.take(c, i),
        ),
        Misconception(
            "counts from one",
            "You look one row too high.",
            "The first row of the codebook has index 0.",
            lambda i, c: c[i - 1],
        ),
        Misconception(
            "leading shape lost",
            "The codes are right but come as one long list: a map [H, W] of indices should give [H, W, D].",
            "Indexing with an array of any shape keeps that shape; there is no need to flatten.",
            lambda i, c: c[i.reshape(-1)],
        ),
        Misconception(
            "dimensions first",
            "The codes' dimensions come first; the course keeps them last, [..., D].",
            "Look at where D should stand.",
            lambda i, c: jnp.moveaxis(c[i], -1, 0),
        ),
        Misconception(
            "gradient blocked",
            "The values are right, but no gradient reaches the codebook, so it could never learn.",
            "Nothing here needs stop_gradient: looking a row up is differentiable in the codebook.",
            lambda i, c: sg(c)[i],
            also=(lambda i, c: sg(c[i]),),
        ),
        Misconception(
            "one-hot rows",
            "You return the one-hot rows; multiplied by the codebook they would be the codes.",
            "What does a one-hot row times a matrix pick out?",
            lambda i, c: jax.nn.one_hot(i, len(c)),
        ),
        Misconception(
            "repeats dropped",
            "An index that occurs twice should be looked up twice.",
            "There is one code for each index, in the order of the indices.",
            lambda i, c: c[jnp.unique(i)],
        ),
        Misconception(
            "sorted on the way",
            "The codes come in the codebook's order, not in the order of the indices.",
            "The first code belongs to the first index.",
            lambda i, c: c[jnp.sort(i, axis=None).reshape(i.shape)],
        ),
    ),
    alternatives={
        "plain indexing": lambda i, c: c[i],
        "one-hot product": lambda i, c: jax.nn.one_hot(i, c.shape[0]) @ c,
        "take with clip": lambda i, c: jnp.take(c, i, axis=0, mode="clip"),
        "vmap over indices": lambda i, c: jax.vmap(lambda one: c[one])(i.reshape(-1)).reshape(*i.shape, c.shape[1]),
        "einsum, jitted": jax.jit(
            lambda i, c: jnp.einsum("...k,kd->...d", (i[..., None] == jnp.arange(len(c))) * 1.0, c)
        ),
    },
    hints=(
        "A code is a row of the codebook, and an index names a row.",
        "JAX arrays can be indexed by a whole array of ints: the result has the shape of the indices, then D.",
    ),
)
