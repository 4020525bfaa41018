"""Lesson 01: what goes wrong in its exercises, what else is right, and what helps."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient as sg

from vqtutor.lessons.entries import decorated, edit, exercise

_SUM = "z_norms - 2 * z @ codebook.T + code_norms"

squared_distances = exercise(
    "quantizer.squared_distances",
    can="It measures how far every vector is from every code, without an array of all differences.",
    kind="proof", importance=3, difficulty=2, minutes=8,
    stuck="Expand (z - e)^2 on paper for single numbers, then say which shape each of the three terms has.",
    wrong={
        "not squared": (edit(_SUM, f"jnp.sqrt(jnp.maximum({_SUM}, 0))"),
            lambda z, c: jnp.linalg.norm(z[:, None] - c, axis=-1),
            "These are the distances themselves, not their squares.",
            "The nearest code is the same either way, and without the root the gradient is well behaved at 0."),
        "codes' norms dropped": (edit(" + code_norms", ""),
            "The squared norm of the codes is missing, so long codes look closer than they are.",
            "Multiply out |z - e|^2: there are three terms, and one of them depends only on the code."),
        "vectors' norms dropped": (edit("z_norms - 2", "-2"),
            "The squared norm of the vectors is missing: the order of the codes is right, the distances are not.",
            "Multiply out |z - e|^2: there are three terms, and one of them depends only on the vector."),
        "cross term without its 2": (edit("- 2 * z", "- z"),
            "The product of vector and code is counted once; the square of a difference has it twice.",
            "Multiply out (a - b)^2 on paper and compare, term by term."),
        "cross term added": (edit("- 2 * z", "+ 2 * z"),
            "The product of vector and code is added, which gives |z + e|^2.",
            "Multiply out (a - b)^2 on paper and look at the signs."),
        "codes along the rows": (edit(_SUM, f"({_SUM}).T"),
            "The numbers are right but the array is transposed: it is [K, N] and should be [N, K].",
            "A row belongs to a vector, and a column to a code: look at the order of your matrix product."),
        "mean over the dimensions": (edit(_SUM, f"({_SUM}) / z.shape[1]"),
            "Each distance is D times too small: it is averaged over the dimensions and should be summed.",
            "|v|^2 is the sum of the squares."),
        "city-block distance": (lambda z, c: jnp.sum(jnp.abs(z[:, None] - c), axis=-1),
            "These are sums of absolute differences.",
            "Squared Euclidean distance sums the squares."),
        "similarity in place of distance": (edit(_SUM, f"-({_SUM})"),
            "The sign is the other way round: the nearest code has the largest number here.",
            "A distance is never negative."),
        "norms not squared": (
            edit("jnp.sum(z**2", "jnp.linalg.norm(z", "jnp.sum(codebook**2", "jnp.linalg.norm(codebook"),
            "The norms of z and of the codes are in the sum without being squared.",
            "|z|^2 - 2 z.e + |e|^2: each norm is squared, so no square root is needed anywhere."),
        "builds all the differences": (lambda z, c: jnp.sum((z[:, None] - c) ** 2, axis=-1),
            jax.vmap(lambda one, c: jnp.sum((one - c) ** 2, axis=-1), (0, None)),
            "The values are right, but every difference is written out: [N, K, D] numbers, gigabytes for a real batch.",
            "Multiply |z - e|^2 out: the large middle term is one matrix product."),
        "gradient blocked": (edit(_SUM, f"jax.lax.stop_gradient({_SUM})"),
            edit("    z_norms =", "    z, codebook = jax.lax.stop_gradient((z, codebook))\n    z_norms ="),
            "The values are right, but no gradient comes through.",
            "Nothing here needs stop_gradient: distances are smooth; only the choice is not."),
    },
    right={
        "einsum": lambda z, c: (
            jnp.einsum("nd,nd->n", z, z)[:, None] - 2 * jnp.einsum("nd,kd->nk", z, c) + jnp.einsum("kd,kd->k", c, c)
        ),
        "vmap over codes of one matvec":
            edit("z @ codebook.T", "jax.vmap(lambda code: z @ code, out_axes=1)(codebook)"),
        "loop over codes": lambda z, c: jnp.stack([jnp.sum((z - e) ** 2, axis=1) for e in c], axis=1),
        "jitted, dot_general": edit("def ", "@jax.jit\ndef ",
                "z @ codebook.T", "jax.lax.dot_general(z, codebook, (((1,), (1,)), ((), ())))"),
        "lax.map over vectors": lambda z, c: jax.lax.map(lambda one: jnp.sum((one - c) ** 2, axis=1), z),
        "one product of widened matrices": lambda z, c: (
            jnp.hstack([jnp.sum(z**2, 1, keepdims=True), jnp.ones((len(z), 1)), -2 * z])
            @ jnp.hstack([jnp.ones((len(c), 1)), jnp.sum(c**2, 1, keepdims=True), c]).T
        ),
    },
    hints=(
        "Multiply out |z - e|^2 for one vector and one code. Which of the three terms needs both?",
        "The term that needs both is a dot product for each pair: that is the matrix product `z @ codebook.T`.",
        "Give the vectors' norms the shape [N, 1] (`keepdims=True`), the codes' norms [K]; broadcasting does the rest.",
    ),
)  # fmt: skip

_DISTANCES = "squared_distances(flat, codebook)"
_RESHAPED = "indices.reshape(z.shape[:-1])"

nearest_code = exercise(
    "quantizer.nearest_code",
    can="It finds the nearest code for a vector, a list of vectors or a whole map.",
    kind="transcription", importance=3, difficulty=1, minutes=5,
    stuck="Print the shapes of z and of the distances, and follow the axis that argmin removes.",
    wrong={
        "farthest code": (edit("argmin", "argmax"),
            "You return the code that is farthest away.",
            "A distance should be as small as possible."),
        "the vector nearest to each code": (edit("axis=1", "axis=0", _RESHAPED, "indices"),
            "For each code you return the nearest vector: that is K answers, and there should be N.",
            "Which axis of [N, K] has the codes?"),
        "one index for all": (edit(", axis=1", "", _RESHAPED, "indices"),
            "One index comes back for the whole batch: without an axis, argmin searches the flattened array.",
            "Tell argmin which axis of [N, K] has the codes."),
        "largest dot product": (edit(_DISTANCES, "-flat @ codebook.T"),
            "The largest dot product wins here, which gives long codes an unfair advantage.",
            "Expand |z - e|^2: the length of the code matters too."),
        "smallest angle": (
            edit("(flat, codebook)", "(*(x / jnp.linalg.norm(x, axis=1, keepdims=True) for x in (flat, codebook)))"),
            "Vectors and codes are scaled to length 1 first, so only their direction counts.",
            "Some published texts say 'L2-normalised distance' where they mean the plain squared one."),
        "distance in place of index": (edit("argmin", "min"),
            "You return how far away the nearest code is, not which one it is.",
            "min and argmin answer different questions."),
        "leading shape lost": (edit(_RESHAPED, "indices"),
            "The indices are right but are one long list: a map [B, H, W, D] should give a map [B, H, W].",
            "After flattening, restore the leading shape of z."),
        "flattened in another order": (edit("(-1, z.shape[-1])", "((-1, z.shape[-1]), order='F')"),
            edit("z.shape[:-1]", "z.shape[:-1], order='F'"),
            "The indices are in the wrong places: the map was flattened in one order and put back together in another.",
            "reshape keeps row order both ways; a transpose or order='F' on one side only does not."),
        "one-hot in place of index": (edit(_RESHAPED, f"jax.nn.one_hot({_RESHAPED}, len(codebook), dtype=jnp.int32)"),
            edit(_RESHAPED, f"jax.nn.one_hot({_RESHAPED}, len(codebook))"),
            "For each vector you return a row of zeros with a one in it; return the index of the one.",
            "One-hot rows are a way to look codes up, and come later."),
        "float indices": (edit(_RESHAPED, f"{_RESHAPED}.astype(jnp.float32)"),
            "The indices are right but are floats, and a float cannot index an array.",
            "Keep the dtype argmin gives you, or cast to int32."),
        "counts from one": (edit(_RESHAPED, f"{_RESHAPED} + 1"),
            "Every index is one too large.",
            "The first row of the codebook has index 0."),
        "city-block distance": (edit(_DISTANCES, "jnp.sum(jnp.abs(flat[:, None] - codebook), axis=-1)"),
            "You sum absolute differences, so some vectors get another code.",
            "Use the squared distances you wrote above."),
        "code, not index": (edit(_RESHAPED, f"codebook[{_RESHAPED}]"),
            "You return the nearest code itself; return its index.",
            "Looking a code up is the next exercise."),
    },
    right={
        "numpy, int64": lambda z, c: ((np.asarray(z)[..., None, :] - np.asarray(c)) ** 2).sum(-1).argmin(-1),
        "codes' norms only": lambda z, c: jnp.argmin(jnp.sum(c**2, -1) - 2 * z @ c.T, axis=-1),
        "true distance": lambda z, c: jnp.argmin(jnp.linalg.norm(z[..., None, :] - c, axis=-1), axis=-1),
        "vmap over vectors": edit(f"jnp.argmin({_DISTANCES}, axis=1)",
                "jax.vmap(lambda one: jnp.argmin(jnp.sum((one - codebook) ** 2, axis=1)))(flat)"),
        "argmax of the negative, jitted": jax.jit(lambda z, c: jnp.argmax(2 * z @ c.T - jnp.sum(c**2, -1), axis=-1)),
        "top_k": lambda z, c: jax.lax.top_k(2 * z @ c.T - jnp.sum(c**2, -1), 1)[1][..., 0],
        "float64 inside": lambda z, c: (
            np.linalg.norm(np.float64(z)[..., None, :] - np.float64(c), axis=-1).argmin(-1).astype(np.int32)
        ),
    },
    hints=(
        "You have the distances from every vector to every code. Which axis holds the codes?",
        "`jnp.argmin(..., axis=1)` picks the nearest code of each row.",
        "For [..., D]: flatten with `z.reshape(-1, D)`, pick, then reshape the indices to `z.shape[:-1]`.",
    ),
)  # fmt: skip

look_up = exercise(
    "quantizer.look_up",
    can="It turns indices back into codes, and a gradient reaches each code that was chosen.",
    kind="transcription", importance=3, difficulty=1, minutes=3,
    stuck="Index a small NumPy array with a list, then with a list of lists, and look at the shapes.",
    wrong={
        "columns in place of rows": (lambda i, c: jnp.take(c, i, axis=1), lambda i, c: c[:, i], lambda i, c: c.T[i],
            lambda i, c: jnp.moveaxis(c[:, i], 0, -1),
            "You pick columns of the codebook: one dimension of every code instead of one whole code.",
            "A code is a row: which axis counts the rows?"),
        "flattened codebook": (lambda i, c: jnp.take(c, i),
            "You pick single numbers: without an axis, `jnp.take` counts through the flattened codebook.",
            "Tell take which axis counts the codes."),
        "counts from one": (lambda i, c: c[i - 1],
            "You take the row before the right one.",
            "The first row of the codebook has index 0."),
        "leading shape lost": (lambda i, c: c[i.reshape(-1)],
            "The codes are right but are one long list: a map [H, W] of indices should give [H, W, D].",
            "Indexing with an array of any shape keeps that shape; there is no need to flatten."),
        "dimensions first": (lambda i, c: jnp.moveaxis(c[i], -1, 0),
            "The codes' dimensions come first; the course keeps them last, [..., D].",
            "Where should D be in the shape?"),
        "gradient blocked": (lambda i, c: sg(c)[i], lambda i, c: sg(c[i]),
            "The values are right, but no gradient reaches the codebook, so it could never learn.",
            "Nothing here needs stop_gradient: looking a row up is differentiable in the codebook."),
        "one-hot rows": (lambda i, c: jax.nn.one_hot(i, len(c)),
            "You return one-hot rows; multiplied by the codebook they would be the codes.",
            "What does a one-hot row times a matrix pick out?"),
        "repeats dropped": (lambda i, c: c[jnp.unique(i)],
            "An index that occurs twice should be looked up twice.",
            "There is one code for each index, in the order of the indices."),
        "sorted on the way": (lambda i, c: c[jnp.sort(i, axis=None).reshape(i.shape)],
            "The codes are in the order of the codebook, not in the order of the indices.",
            "The first code belongs to the first index."),
    },
    right={
        "take": lambda i, c: jnp.take(c, i, axis=0),
        "one-hot product": lambda i, c: jax.nn.one_hot(i, c.shape[0]) @ c,
        "take with clip": lambda i, c: jnp.take(c, i, axis=0, mode="clip"),
        "vmap over indices": lambda i, c: jax.vmap(lambda one: c[one])(i.reshape(-1)).reshape(*i.shape, c.shape[1]),
        "einsum, jitted":
            jax.jit(lambda i, c: jnp.einsum("...k,kd->...d", 1.0 * (i[..., None] == jnp.arange(len(c))), c)),
    },
    hints=(
        "A code is a row of the codebook, and an index names a row.",
        "JAX arrays can be indexed by a whole array of ints: the result has the shape of the indices, then D.",
    ),
)  # fmt: skip


@jax.custom_vjp
def _identity_backward(z_e, z_q):
    return z_q


_identity_backward.defvjp(lambda z_e, z_q: (z_q, None), lambda _, g: (g, jnp.zeros_like(g)))

straight_through = exercise(
    "quantizer.straight_through",
    can="It lets an encoder learn through a step that has no derivative.",
    kind="decision", importance=3, difficulty=2, minutes=8,
    stuck="Write the value and the gradient you want in two columns, and look for a sum that gives both.",
    wrong={
        "no estimator at all": (lambda z_e, z_q: z_q, lambda z_e, z_q: z_e + (z_q - z_e),
            "The gradient goes to the codes, and the encoder gets none: this is z_q, however it is written.",
            "z_e + (z_q - z_e) is just z_q as long as nothing in it is held constant."),
        "everything held still": (lambda z_e, z_q: sg(z_q), lambda z_e, z_q: sg(z_e + z_q - z_e),
            "The value is right, but no gradient comes through to either side.",
            "One z_e must stay outside stop_gradient: the gradient goes through that one."),
        "gradient to both sides": (lambda z_e, z_q: z_q + z_e - sg(z_e),
            "The value is right and the encoder gets its gradient, but the codes get it as well.",
            "Hold the whole correction z_q - z_e constant, not only its z_e."),
        "difference turned round": (lambda z_e, z_q: z_e + sg(z_e - z_q), lambda z_e, z_q: z_e - sg(z_q - z_e),
            "You step from z_e away from the code: the value is 2 z_e - z_q.",
            "What do you have to add to z_e to get z_q?"),
        "arguments swapped": (lambda z_e, z_q: z_q + sg(z_e - z_q),
            "The value is z_e with the gradient going to the codes: the two have changed places.",
            "The decoder should see the code; the encoder should get the gradient."),
        "not quantized": (lambda z_e, z_q: z_e, lambda z_e, z_q: sg(z_q) * 0 + z_e,
            "You return z_e itself: the gradient is right but the decoder would never see a code.",
            "Going forward, the value must be z_q exactly."),
        "both values added": (lambda z_e, z_q: z_e + sg(z_q),
            "z_e is added on top of z_q: its value has to be subtracted again, inside stop_gradient.",
            "Which expression with z_e is zero going forward, and still has a gradient?"),
        "encoder held still in place of the correction": (lambda z_e, z_q: sg(z_e) + (z_q - z_e),
            "The value is right, but the z_e that should carry the gradient is the one inside stop_gradient.",
            "Hold the correction constant, and leave z_e outside."),
        "half way": (lambda z_e, z_q: (z_e + z_q) / 2, lambda z_e, z_q: z_e + sg(z_q - z_e) / 2,
            "You return the point half way between vector and code.",
            "Going forward, the value must be z_q exactly."),
    },
    right={
        "code first": lambda z_e, z_q: sg(z_q) + z_e - sg(z_e),
        "zero with a gradient": lambda z_e, z_q: sg(z_q) + (z_e - sg(z_e)),
        "custom_vjp": _identity_backward,
        "jitted": jax.jit(lambda z_e, z_q: z_e - sg(z_e - z_q)),
        "vmap": jax.vmap(lambda z_e, z_q: z_e + sg(z_q - z_e)),
        "each held still": lambda z_e, z_q: z_e + (sg(z_q) - sg(z_e)),
    },
    hints=(
        "The value should be z_q and the gradient that of z_e. Start from z_e: what must you add to get z_q?",
        "If what you add has no gradient, only that of z_e is left.",
        "`jax.lax.stop_gradient(x)` has the value of x and the gradient of a constant.",
    ),
)  # fmt: skip


class _ByOneHot(hk.Module):
    def __init__(self, num_codes, code_dim, name=None):
        super().__init__(name=name)
        self.codebook = hk.get_parameter("codebook", [num_codes, code_dim], init=hk.initializers.VarianceScaling())

    def __call__(self, z_e):
        indices = jnp.argmin(jnp.sum(self.codebook**2, -1) - 2 * z_e @ self.codebook.T, axis=-1)
        codes = jax.nn.one_hot(indices, len(self.codebook)) @ self.codebook
        return dict(indices=indices, codes=codes, z_q=sg(codes) + (z_e - sg(z_e)))


_INIT = "hk.initializers.RandomUniform(-0.05, 0.05)"
_SHAPE = "[self.num_codes, self.code_dim]"
_Z_Q = "straight_through(z_e, codes)"
_INDICES = "nearest_code(z_e, codebook)"

vector_quantizer = exercise(
    "quantizer.VectorQuantizer",
    can="It quantizes what an encoder produces, with its own codebook, which a gradient can reach.",
    kind="transcription", importance=3, difficulty=2, minutes=10,
    stuck="Get it to return the indices alone, check their shape, and add one entry of the result at a time.",
    wrong={
        "no straight-through": (edit(_Z_Q, "codes"),
            "z_q is the looked-up code itself, so the decoder's gradient ends here and the encoder never learns.",
            "Pass z_e and the codes through your straight_through."),
        "codes after straight-through": (edit('"codes": codes', f'"codes": {_Z_Q}'),
            "`codes` is the straight-through output: a loss on it sends its gradient to z_e and none to the codebook.",
            "`codes` should be the rows as you looked them up; only z_q goes through straight_through."),
        "codes held still": (edit('"codes": codes', '"codes": jax.lax.stop_gradient(codes)'),
            "`codes` has no gradient, so no loss could ever move the codebook.",
            "The only stop_gradient of this layer is the one in straight_through."),
        "outputs swapped": (edit('"codes": codes', f'"codes": {_Z_Q}', f'"z_q": {_Z_Q}', '"z_q": codes'),
            "z_q and codes are swapped: the one for the decoder is called z_q.",
            "Which of the two should pass a gradient back to z_e?"),
        "all codes start alike": (edit(_INIT, "jnp.zeros"), edit(_INIT, "jnp.ones"),
            "Every code starts at the same place, so index 0 wins every tie and the others are never used.",
            "Give hk.get_parameter an initializer that spreads the rows."),
        "codebook on its side": (edit(f"{_SHAPE}, init=init)", "[self.code_dim, self.num_codes], init=init).T"),
            "The parameter is [D, K]; the course keeps one code a row, [K, D].",
            "Look at the shape you give hk.get_parameter."),
        "codebook under another name": (*(edit('"codebook"', name) for name in ('"embeddings"', '"w"', '"embedding"')),
            "The layer works, but its parameter is not called `codebook`, and the pictures look for that name.",
            "Look at the first argument of hk.get_parameter."),
        "codebook not trainable": (
            edit("hk.get_parameter(", "hk.get_state("),
            edit('hk.get_parameter("codebook",', "jax.random.normal(jax.random.key(3),", ", init=init)", ")"),
            "The codebook is kept as state, which no optimizer ever sees.",
            "A trainable array comes from hk.get_parameter."),
        "indices left out": (edit(', "indices": indices', ""),
            "The indices are missing from what you return: code maps and the prior are made of them.",
            'Return all three: "z_q", "codes" and "indices".'),
        "farthest code": (edit(_INDICES, "jnp.argmax(jnp.sum((z_e[..., None, :] - codebook) ** 2, -1), -1)"),
            "The layer picks the code that is farthest away.",
            "Use your nearest_code."),
        "gradient to both sides": (edit(_Z_Q, "codes + z_e - jax.lax.stop_gradient(z_e)"),
            "The decoder's gradient reaches the encoder, but it also reaches the codebook.",
            "Hold the whole correction inside straight_through constant."),
    },
    right={
        "one-hot product, parameter made at construction": _ByOneHot,
        "wider start": edit(_INIT, "hk.initializers.RandomUniform(-1.0, 1.0)"),
        "normal start": edit(_INIT, "hk.initializers.RandomNormal()"),
        "uint8 indices": edit(_INDICES, f"{_INDICES}.astype(jnp.uint8)"),
        "straight-through by custom_gradient":
            edit(_Z_Q, "jax.custom_gradient(lambda z, q: (q, lambda g: (g, 0 * g)))(z_e, codes)"),
    },
    hints=(
        'The codebook: `hk.get_parameter("codebook", [K, D], init=hk.initializers.RandomUniform(-0.05, 0.05))`.',
        "Then it is three of your own functions in a row: nearest_code, look_up, straight_through.",
        "Return the rows as you looked them up under `codes`; what goes through straight_through is `z_q`.",
    ),
)  # fmt: skip

gradient_reach = exercise(
    "quantizer.gradient_reach",
    can="It tells, for any layer, which of the two inputs a gradient reaches.",
    kind="debugging", importance=3, difficulty=2, minutes=8,
    stuck="Try jax.grad on z_e alone, for a layer that you know; the second input comes after that.",
    wrong={
        "compares values": (lambda layer, *z: tuple(bool(jnp.allclose(layer(*z), one)) for one in z),
            "You look at what comes out; these layers give the same values and differ only in their gradients.",
            "Differentiate the layer: jax.grad of a scalar made of its output."),
        "the two swapped": (edit("to_z_e, to_z_q =", "to_z_q, to_z_e ="),
            "The two answers are swapped.",
            "argnums=(0, 1) gives the gradient to z_e first."),
        "positive and negative cancel": (edit("jnp.any(", "jnp.sum(", " != 0)", ") != 0", times=2),
            edit("jnp.any(", "jnp.abs(jnp.sum(", " != 0)", ")) > 1e-4", times=2),
            "You add the gradient up before you look: positive and negative parts cancel, and a gradient goes unseen.",
            "Ask whether any element differs from zero."),
        "all in place of any": (edit("jnp.any", "jnp.all", times=2),
            "You require a gradient in every element; one is enough for a leak.",
            "all and any answer different questions."),
        "only positive gradients": (edit("!= 0", "> 0", times=2),
            edit("jnp.any(", "jnp.max(", " != 0)", ") > 0", times=2),
            "A negative gradient reaches its input just as well.",
            "Compare with zero, not with its sign."),
        "the gradients themselves": (edit("bool(jnp.any(", "", " != 0))", "", times=2),
            "You return the gradients; return a yes or no for each.",
            "Does any element differ from zero?"),
        "the question turned round": (edit("jnp.any", "jnp.all", "!= 0", "== 0", times=2),
            "You say True where the gradient is zero.",
            "True should mean that the gradient arrives."),
    },
    right={
        "absolute sum": edit("jnp.any(", "jnp.sum(jnp.abs(", " != 0)", ")) > 0", times=2),
        "jax bools": edit("bool(jnp", "(jnp", times=2),
        "norm": edit("jnp.any(", "jnp.linalg.norm(", " != 0)", ") > 0", times=2),
        "vjp with ones":
            lambda layer, z_e, z_q: tuple(bool(jnp.any(g)) for g in jax.vjp(layer, z_e, z_q)[1](jnp.ones_like(z_e))),
        "one grad each": lambda layer, z_e, z_q: (
            bool(jnp.any(jax.grad(lambda z: layer(z, z_q).sum())(z_e))),
            bool(jnp.any(jax.grad(lambda q: layer(z_e, q).sum())(z_q))),
        ),
        "another scalar": edit("jnp.sum(layer", "jnp.sum(3 * layer"),
    },
    hints=(
        "jax.grad differentiates a function that returns one number: turn the layer's output into one with jnp.sum.",
        "`jax.grad(f, argnums=(0, 1))(z_e, z_q)` gives both gradients; then check whether any element of each is not "
        "0.",
    ),
)  # fmt: skip


def _products(last_of_z, last_of_code, scale=1.0):
    """Append a number to each vector and to each code; both are functions of the vectors or of the codes."""

    def answer(z, codebook):
        parts = ((scale * z, last_of_z(z)), (codebook, last_of_code(codebook)))
        return tuple(jnp.concatenate([part, jnp.broadcast_to(last, (len(part), 1))], axis=1) for part, last in parts)

    return answer


def _norms(x):
    return jnp.sum(x**2, axis=1, keepdims=True)


def _both_norms(z, codebook):
    ones = lambda x: jnp.ones((len(x), 1))  # noqa: E731
    return (
        jnp.concatenate([2 * z, -ones(z), -_norms(z)], axis=1),
        jnp.concatenate([codebook, _norms(codebook), ones(codebook)], axis=1),
    )


def _from_the_middle(z, codebook):
    z, codebook = (np.asarray(part) - np.asarray(codebook).mean(axis=0) for part in (z, codebook))
    return np.c_[z, np.ones(len(z))], np.c_[codebook, -0.5 * (codebook**2).sum(axis=1)]


as_products = exercise(
    "quantizer.as_products",
    can="It turns the search for the nearest code into a matrix product, for which hardware and libraries are made.",
    kind="puzzle", importance=2, difficulty=3, minutes=15,
    stuck="Write |z - e|^2 out, cross out what is the same for all codes, and look at what is left.",
    wrong={
        "the norms left out": (_products(lambda z: 0.0, lambda c: 0.0), _products(lambda z: 1.0, lambda c: 0.0),
            _products(_norms, lambda c: -0.5),
            "What you append does not depend on the code's length, so long codes win whatever their distance.",
            "Two codes in the same direction: which one should win, and what tells them apart?"),
        "the norms added": (_products(lambda z: 1.0, lambda c: _norms(c) / 2),
            "Long codes are favoured: the number that you append has the wrong sign.",
            "The largest product belongs to the smallest distance."),
        "not halved": (_products(lambda z: 1.0, lambda c: -_norms(c)),
            "Long codes are held back too much: the two terms do not weigh what they should.",
            "Compare the factor of z times e with that of |e|^2."),
        "halved twice": (_products(lambda z: 1.0, lambda c: -_norms(c) / 4),
            "Long codes are not held back enough: the two terms do not weigh what they should.",
            "Compare the factor of z times e with that of |e|^2."),
        "the norm, not its square": (_products(lambda z: 1.0, lambda c: -jnp.sqrt(_norms(c)) / 2),
            _products(lambda z: 1.0, lambda c: -jnp.sqrt(_norms(c))),
            "You append the code's length; the square of it stands in the distance.",
            "Write |z - e|^2 out."),
        "directions only": (lambda z, c: _products(lambda z: 0.0, lambda c: 0.0)(z, c / jnp.sqrt(_norms(c))),
            "All codes have been brought to the same length, so only their directions count.",
            "The nearest code need not point the same way."),
        "the farthest code wins": (_products(lambda z: 1.0, lambda c: _norms(c) / 2, -1.0),
            "The largest product belongs to the farthest code.",
            "Turn a sign round, in one of the two results."),
        "two numbers appended": (_both_norms,
            "The winners are right, but you append two numbers where one is enough.",
            "Which term is the same for all codes, and so changes no winner?"),
    },
    right={
        "twice the vector": _products(lambda z: -1.0, _norms, 2.0),
        "the half on the other side": _products(lambda z: -0.5, _norms),
        "from the middle of the codes": _from_the_middle,
        "jitted": decorated("jax.jit"),
    },
    hints=(
        "|z - e|^2 = |z|^2 - 2 z e + |e|^2, and |z|^2 is the same for all codes.",
        "The product of [z, 1] and [e, b] is z e + b. What should b be?",
    ),
)  # fmt: skip


def _custom_jvp(shown, felt):
    face = jax.custom_jvp(lambda x: shown(x))
    face.defjvp(lambda x, moved: (shown(*x), jax.jvp(felt, x, moved)[1]))
    return face


def _custom_vjp(shown, felt):
    face = jax.custom_vjp(lambda x: shown(x))
    face.defvjp(lambda x: (shown(x), x), lambda x, out: jax.vjp(felt, x)[1](out))
    return face


def _exchange(shown, felt):
    return lambda x: shown(x) + jax.lax.stop_gradient(felt(x) - shown(x))


two_faced = exercise(
    "quantizer.two_faced",
    can="It gives any function the gradient of any other: straight-through is the case of a line.",
    kind="puzzle", importance=2, difficulty=2, minutes=10,
    stuck="Straight-through shows codes and feels like the vectors. Say which of your two functions is which.",
    wrong={
        "the two exchanged": (_exchange,
            "Values and gradient have changed places: the values are those of felt.",
            "What should a reader of the numbers see?"),
        "only what is shown": (edit("felt(x) + jax.lax.stop_gradient(shown(x) - felt(x))", "shown(x)"),
            "The values are right, and the gradient is their own: felt has no part in it.",
            "Where does felt come in?"),
        "only what is felt": (edit("felt(x) + jax.lax.stop_gradient(shown(x) - felt(x))", "felt(x)"),
            "The gradient is right, and the values are those of felt.",
            "What has to be added, without a gradient, to get from one value to the other?"),
        "no gradient": (edit("felt(x) + jax", "jax.lax.stop_gradient(felt(x)) + jax"),
            edit("felt(x) + jax.lax.stop_gradient(shown(x) - felt(x))", "jax.lax.stop_gradient(shown(x))"),
            edit("stop_gradient(shown(x) - felt(x))", "stop_gradient(shown(x)) - felt(x)"),
            "The values are right, and no gradient comes through.",
            "One term has to stay free."),
        "both gradients": (edit("jax.lax.stop_gradient(shown(x) - felt", "shown(x) - jax.lax.stop_gradient(felt"),
            "The values are right, and the gradient is the sum of both.",
            "Whose gradient should be held back?"),
        "values added": (edit("jax.lax.stop_gradient(shown(x) - felt(x))", "jax.lax.stop_gradient(shown(x))"),
            "The gradient is right, and the values are the sum of both.",
            "What is added has to bring the value of felt to that of shown."),
        "half of each": (lambda shown, felt: lambda x: (shown(x) + felt(x)) / 2,
            "You mix the two functions; one should give the values and the other the gradient.",
            "Think of straight_through, and of what is held still in it."),
    },
    right={
        "a rule for derivatives": _custom_jvp,
        "a rule for the way back": _custom_vjp,
        "a zero with a gradient": edit(
            "felt(x) + jax.lax.stop_gradient(shown(x) - felt(x))",
            "jax.lax.stop_gradient(shown(x)) + (felt(x) - jax.lax.stop_gradient(felt(x)))",
        ),
        "jitted": lambda shown, felt: jax.jit(lambda x: felt(x) + jax.lax.stop_gradient(shown(x) - felt(x))),
    },
    hints=(
        "Something that is held still can move the value to any place and leaves the gradient as it is.",
        "Begin with felt(x), and add what is missing to shown(x).",
    ),
)  # fmt: skip
