"""Lesson 07: what goes wrong in its exercises, what else is right, and what helps."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient as sg

from vqtutor.lessons.entries import decorated, edit, exercise

_KEPT = "jnp.where(counts[:, None] > 0, means, codebook)"


def _one_hot_rounds(z, codebook, steps):
    for _ in range(steps):
        near = jnp.argmin(jnp.sum((z[:, None] - codebook) ** 2, axis=-1), axis=1)
        rows = jax.nn.one_hot(near, len(codebook))
        counts = rows.sum(0)[:, None]
        codebook = jnp.where(counts > 0, rows.T @ z / jnp.where(counts > 0, counts, 1), codebook)
    return codebook


def _numpy_rounds(z, codebook, steps):
    z, codebook = np.asarray(z), np.array(codebook)
    for _ in range(steps):
        near = np.linalg.norm(z[:, None] - codebook, axis=-1).argmin(axis=1)
        for code in set(near.tolist()):
            codebook[code] = z[near == code].mean(axis=0)
    return codebook


def _compiled_rounds(z, codebook, steps):
    def move(_, codes):
        near = jnp.argmin(jnp.sum((z[:, None] - codes) ** 2, axis=-1), axis=1)
        counts = jnp.bincount(near, length=len(codes))[:, None]
        means = jnp.zeros_like(codes).at[near].add(z) / jnp.maximum(counts, 1)
        return jnp.where(counts > 0, means, codes)

    return jax.lax.fori_loop(0, steps, move, codebook)


k_means = exercise(
    "beyond.k_means",
    can="It begins a codebook where the vectors are, and leaves unused codes alone.",
    kind="transcription", importance=2, difficulty=1, minutes=6,
    stuck="Put four numbers on a line, begin with two codes, and do two rounds by hand.",
    wrong={
        "unused codes become zeros": (edit(_KEPT, "means"),
            "A code that no vector chose lands on the origin: its sum is 0, and it is divided by 1.",
            "Such a code should stay where it is: choose between the mean and the old code with jnp.where."),
        "unused codes become NaN": (edit("jnp.maximum(counts, 1)", "counts", _KEPT, "means"),
            "A code that no vector chose becomes 0 / 0, and is lost for good.",
            "Such a code should stay where it is, and nothing should be divided by 0."),
        "a single round": (edit("range(steps)", "range(min(steps, 1))"),
            edit("    for _", "    indices = nearest_code(z, codebook)\n    for _", "nearest_code(z, codebook), len",
                "indices, len"),
            "After the first round nothing moves any more, however many rounds are asked for.",
            "When a code has moved, some vectors have another nearest code: they have to choose anew."),
        "one round too many": (edit("range(steps)", "range(steps + 1)"),
            "The codes move once more than they should.",
            "How often does the loop run for steps = 1?"),
        "one round too few": (edit("range(steps)", "range(steps - 1)"),
            "The codes move once less than they should.",
            "How often does the loop run for steps = 1?"),
        "sums in place of means": (edit(" / jnp.maximum(counts, 1)[:, None]", ""),
            "The codes become the sums of their vectors, far away from them.",
            "Divide each sum by how many vectors it has."),
        "divided by all": (edit("jnp.maximum(counts, 1)[:, None]", "len(z)"),
            "The sums are divided by the number of all vectors; divide each by its own count.",
            "What is the mean of two vectors out of sixteen?"),
        "one more in every count": (edit("jnp.maximum(counts, 1)", "(counts + 1)"),
            "One is added to every count, so every code is pulled towards the origin.",
            "Only a count of 0 needs care."),
        "half way": (edit("codebook = jnp.where", "codebook = codebook / 2 + jnp.where", "means, codebook)",
                "means, codebook) / 2"),
            "Every round moves the codes half of the way; k-means moves them all of it.",
            "The mean of its vectors is the best place for a code, so put it there."),
        "put on the nearest vector": (
            lambda z, c, steps: z[jnp.argmin(jnp.sum((z[:, None] - c) ** 2, axis=-1), axis=0)],
            "Each code is put on the vector that is nearest to it; it should be the mean of all vectors that chose it.",
            "Who chooses: the vectors their code, or the codes their vector?"),
    },
    right={
        "one-hot products": _one_hot_rounds,
        "numpy": _numpy_rounds,
        "one compiled loop": _compiled_rounds,
        "jitted": decorated("(lambda f: jax.jit(f, static_argnums=2))"),
        "a multiplication in place of where": edit(_KEPT,
            "(counts[:, None] > 0) * means + (counts[:, None] == 0) * codebook"),
    },
    hints=(
        "One round: every vector chooses its nearest code, and every code moves to the mean of those that chose it.",
        "You have `nearest_code` and `batch_statistics`; the mean is sums / counts.",
        "Where a count is 0, keep the old code: `jnp.where(counts[:, None] > 0, means, codebook)`.",
    ),
)  # fmt: skip


def _unit(v):
    return v / jnp.linalg.norm(v, axis=-1, keepdims=True)


def _nearest_on_the_sphere(z, codebook):
    z, rows = _unit(z), _unit(codebook)
    indices = jnp.argmin(jnp.linalg.norm(z[..., None, :] - rows, axis=-1), axis=-1)
    return jax.nn.one_hot(indices, len(rows)) @ rows, indices


_RETURN = "look_up(indices, directions), indices"

cosine_look_up = exercise(
    "beyond.cosine_look_up",
    can="It compares directions only, so that no code wins because it is long or short.",
    kind="transcription", importance=2, difficulty=1, minutes=6,
    stuck="Draw two codes in one direction, one of them three times as long: which one should win?",
    wrong={
        "plain distance": (edit("jnp.argmax(z @ directions.T, axis=-1)", "nearest_code(z, codebook)"),
            "You choose by distance, where the length of a row counts.",
            "Bring the rows to length 1 before you compare."),
        "plain product": (edit("z @ directions.T", "z @ codebook.T"),
            "You take the largest product, and long rows win it.",
            "Divide each row by its length before you compare."),
        "largest angle": (edit("argmax", "argmin"),
            "You choose the row at the largest angle.",
            "The cosine of the angle is largest where the angle is smallest."),
        "rows as they are": (edit("look_up(indices, directions)", "look_up(indices, codebook)"),
            "The indices are right, and the codes still have the lengths of their rows.",
            "Look the codes up among the rows of length 1."),
        "absolute cosine": (edit("z @ directions.T", "jnp.abs(z @ directions.T)"),
            "A row that points exactly the other way counts as close.",
            "Opposite directions are the farthest apart."),
        "one length for all": (edit("norm(codebook, axis=-1, keepdims=True)", "norm(codebook)"),
            "All rows are divided by the length of the whole codebook, so long rows are still long.",
            "Each row has a length of its own: axis and keepdims."),
        "columns of length one": (edit("axis=-1, keepdims=True", "axis=0, keepdims=True"),
            "The columns have length 1, and should be rows: a row is a code.",
            "Along which axis does a code lie?"),
        "stretched to z": (edit(_RETURN, f"jnp.linalg.norm(z, axis=-1, keepdims=True) * {_RETURN}"),
            "The codes have the length of their vectors, which no decoder could know from the index.",
            "The code should depend on nothing but its index."),
        "divided by the squares": (edit("jnp.linalg.norm(codebook, axis=-1, keepdims=True)",
                "jnp.sum(codebook**2, axis=-1, keepdims=True)"),
            "You divide by the squared length.",
            "After dividing, the length should be 1: try it on [3, 4]."),
        "gradient blocked": (edit("= codebook /", "= jax.lax.stop_gradient(codebook) /"),
            edit("look_up(indices, directions)", "jax.lax.stop_gradient(look_up(indices, directions))"),
            "The values are right, but no gradient reaches the codebook, so it could never learn.",
            "Nothing here needs stop_gradient."),
        "lengths held still": (edit("jnp.linalg.norm(codebook, axis=-1, keepdims=True)",
                "jax.lax.stop_gradient(jnp.linalg.norm(codebook, axis=-1, keepdims=True))"),
            "The length counts as a constant, so a gradient would make rows longer, which changes nothing.",
            "Let the gradient pass through the division as well."),
    },
    right={
        "distances on the sphere": _nearest_on_the_sphere,
        "both divided, einsum": lambda z, c: (
            lambda i: (_unit(c)[i], i))(jnp.argmax(jnp.einsum("...d,kd->...k", _unit(z), _unit(c)), axis=-1)),
        "divided after the look-up": lambda z, c: (
            lambda i: (_unit(c[i]), i.astype("uint8")))(jnp.argmax(z @ _unit(c).T, axis=-1)),
        "vmap over vectors": lambda z, c: (
            lambda i: (_unit(c)[i], i))(
            jax.vmap(lambda one: jnp.argmax(_unit(c) @ one))(z.reshape(-1, z.shape[-1])).reshape(z.shape[:-1])),
        "the nearest of the unit codes":
            edit("jnp.argmax(z @ directions.T, axis=-1)", "nearest_code(z, directions)"),
        "rsqrt": edit("codebook / jnp.linalg.norm(codebook, axis=-1, keepdims=True)",
            "codebook * jax.lax.rsqrt(jnp.sum(codebook**2, axis=-1, keepdims=True) + 1e-12)"),
        "jitted": decorated("jax.jit"),
    },
    hints=(
        "The cosine of the angle is the product of two vectors of length 1.",
        "The length of z changes no winner; the length of a row does.",
        "`directions = codebook / jnp.linalg.norm(codebook, axis=-1, keepdims=True)`, then the largest product.",
    ),
)  # fmt: skip


def _dot(v, w):
    return jnp.sum(v * w, axis=-1, keepdims=True)


def _parts_of(z_e, codes):
    """Return (e, q, r, stretch), as in the answer."""
    e, q = _unit(z_e), _unit(codes)
    return (
        e,
        q,
        _unit(e + q),
        jnp.linalg.norm(codes, axis=-1, keepdims=True) / jnp.linalg.norm(z_e, axis=-1, keepdims=True),
    )


def _with_gradient(rule):
    """Return an answer with the value `codes` whose gradient to z_e is rule(g, e, q, r, stretch), and to codes 0."""

    @jax.custom_vjp
    def answer(z_e, codes):
        return codes

    answer.defvjp(
        lambda z_e, codes: (codes, _parts_of(z_e, codes)), lambda parts, g: (rule(g, *parts), jnp.zeros_like(g))
    )
    return lambda z_e, codes: answer(z_e, codes)


def _matrices(z_e, codes):
    e, q, r, stretch = _parts_of(z_e, codes)
    outer = lambda v, w: v[..., :, None] * w[..., None, :]  # noqa: E731
    turn = jnp.eye(z_e.shape[-1]) - 2 * outer(r, r) + 2 * outer(q, e)
    return jnp.einsum("...ij,...j->...i", sg(stretch[..., None] * turn), z_e)


def _rodrigues(z_e, codes):
    """The turn by an angle in the plane of e and what of q is across it."""
    e, q, _, stretch = _parts_of(z_e, codes)
    across = _unit(q - _dot(e, q) * e)
    e, across, cos, stretch = sg((e, across, _dot(e, q), stretch))
    sin = jnp.sqrt(1 - cos**2)
    one, two = _dot(e, z_e), _dot(across, z_e)
    turned = z_e + ((cos - 1) * one - sin * two) * e + (sin * one + (cos - 1) * two) * across
    return stretch * turned


_TURNED = "stretch * (z_e - 2 * r * dot(r, z_e) + 2 * q * dot(e, z_e))"
_HELD = "    e, q, r, stretch = jax.lax.stop_gradient((e, q, r, norm(codes) / norm(z_e)))\n"
_FREE = "    stretch = norm(codes) / norm(z_e)\n"

rotate_to = exercise(
    "beyond.rotate_to",
    can="It carries a gradient back from the code to its vector, turned and stretched as the vector would have to be.",
    kind="proof", importance=3, difficulty=3, minutes=15,
    stuck="In the plane, put z_e on the x-axis and its code on the y-axis; draw a gradient, and turn the paper back.",
    wrong={
        "straight-through": (edit(_TURNED, "z_e + jax.lax.stop_gradient(codes - z_e)"),
            "The gradient is copied as it is: this is straight-through.",
            "The output should be a matrix, held still, times z_e. What does its gradient then do?"),
        "no gradient": (edit(_TURNED, "jax.lax.stop_gradient(codes)"),
            "The value is right, and nothing reaches z_e.",
            "z_e itself has to stand in the formula, outside stop_gradient."),
        "only stretched": (
            edit(_TURNED, "stretch * z_e + jax.lax.stop_gradient(codes - stretch * z_e)"),
            "The gradient is stretched and not turned.",
            "Write the output as stretch * R z_e, with the whole of R."),
        "only turned": (
            edit(_TURNED, f"(lambda x: x + jax.lax.stop_gradient(codes - x))({_TURNED.removeprefix('stretch * ')})"),
            "The gradient is turned and not stretched: the factor |codes| / |z_e| is missing.",
            "A vector half as long as its code has to be stretched to twice its length to get there."),
        "stretched the other way": (
            _with_gradient(lambda g, e, q, r, s: (g - 2 * r * _dot(r, g) + 2 * e * _dot(q, g)) / s),
            "The gradient is turned rightly, and stretched by |z_e| / |codes|, which is upside down.",
            "What takes z_e to its code multiplies by |codes| / |z_e|, and a gradient on its way back by the same."),
        "turned the wrong way": (
            _with_gradient(lambda g, e, q, r, s: s * (g - 2 * r * _dot(r, g) + 2 * q * _dot(e, g))),
            "The gradient is turned by the right angle in the wrong direction: by R, where the way back takes R's "
            "transpose.",
            "If you write the output as a matrix times z_e, JAX transposes it for you."),
        "mirrored": (
            _with_gradient(lambda g, e, q, r, s: s * (g - 2 * _unit(e - q) * _dot(_unit(e - q), g))),
            _with_gradient(lambda g, e, q, r, s: s * (2 * r * _dot(r, g) - g)),
            "The vector arrives at its code by a reflection; everything else is turned over as well.",
            "A rotation is two reflections: I - 2 r r' + 2 q e', where r is half way between e and q."),
        "nothing held still": (edit(_HELD, _FREE), lambda z_e, codes: codes,
            "The output is nothing but codes, with their gradient: all that depends on z_e cancels out.",
            "The rotation and the factor must be constants: which one line holds them still?"),
        "the stretch moves": (
            edit(_HELD, f"    e, q, r = jax.lax.stop_gradient((e, q, r))\n{_FREE}"),
            "The factor |codes| / |z_e| is not held still, and the gradient passes through it.",
            "It belongs to the constants, as the rotation does."),
        "the rotation moves": (edit(_HELD, _FREE.replace("norm(codes) / norm(z_e)",
                "jax.lax.stop_gradient(norm(codes) / norm(z_e))")),
            "The factor is held still, but the rotation is not: a gradient passes through e, q and r.",
            "R is computed from z_e and codes; hold it still before you multiply."),
        "a gradient to the codes": (
            edit(_TURNED, f"{_TURNED} + codes - jax.lax.stop_gradient(codes)"),
            edit(_HELD, "    e, r, stretch = jax.lax.stop_gradient((e, r, norm(codes) / norm(z_e)))\n"),
            edit(_HELD, "    e, q, r = jax.lax.stop_gradient((e, q, r))\n    stretch = norm(codes) / "
                "jax.lax.stop_gradient(norm(z_e))\n"),
            "z_e gets what it should, and the codes get a gradient as well.",
            "The codes have their own loss, or their running mean; hold them still here."),
        "all in one length": (edit("norm = lambda v: jnp.linalg.norm(v, axis=-1, keepdims=True)",
                "norm = lambda v: jnp.linalg.norm(v)"),
            "One length is taken for the whole batch; every vector has its own.",
            "axis=-1, and keepdims=True so that it can divide."),
        "from the code to the vector": (edit("(e, q, r, norm", "(q, e, r, norm"),
            "The rotation goes the other way round, from the code to the vector, so z_e does not arrive at its code.",
            "Put x = e into R x: q should come out."),
        "a 2 is missing": (edit("- 2 * r", "- r"), edit("+ 2 * q", "+ q"), edit("- 2 * r", "- r", "+ 2 * q", "+ q"),
            "The formula has two factors of 2, and one of them at least is missing.",
            "Mirroring takes the part along r away twice: once to come to the mirror, once to go as far beyond it."),
        "half of the formula": (edit(" + 2 * q * dot(e, z_e)", ""), edit(" - 2 * r * dot(r, z_e)", ""),
            "One of the two corrections is missing: what is left is no rotation.",
            "Put x = e into R x: q should come out, and anything across e and q should stay as it is."),
        "not brought to length one": (edit("e, q = z_e / norm(z_e), codes / norm(codes)", "e, q = z_e, codes"),
            "e and q still have their lengths, so that I - 2 r r' + 2 q e' is no rotation.",
            "Divide each vector by its length first."),
        "arrives at z_e": (edit(_TURNED, "z_e"), lambda z_e, codes: z_e + sg(codes - codes),
            "This is z_e: the decoder would see no codes at all.",
            "The value should be codes."),
    },
    right={
        "a rule for the way back":
            _with_gradient(lambda g, e, q, r, s: s * (g - 2 * r * _dot(r, g) + 2 * e * _dot(q, g))),
        "matrices": _matrices,
        "an angle and a plane": _rodrigues,
        "value and gradient apart": edit(_TURNED, f"(lambda out: out + jax.lax.stop_gradient(codes - out))({_TURNED})"),
        "a little in every denominator": edit("norm = lambda v: jnp.linalg.norm(v, axis=-1, keepdims=True)",
            "norm = lambda v: jnp.sqrt(jnp.sum(v**2, axis=-1, keepdims=True) + 1e-12)"),
        "vmap over vectors": lambda z_e, codes: jnp.vectorize(_matrices, signature="(d),(d)->(d)")(z_e, codes),
        "jitted": decorated("jax.jit"),
    },
    hints=(
        "Three constants: e and q, which are z_e and codes at length 1, and r, which is e + q at length 1.",
        "R x = x - 2 r (r.x) + 2 q (e.x): see that R e is q. Then the output is |codes| / |z_e| times R z_e.",
        "Hold e, q, r and the factor still with jax.lax.stop_gradient, and nothing else: z_e in R z_e stays free.",
    ),
)  # fmt: skip

_BOUNDED = "jnp.tanh(z + np.tan(offset / half)) * half - offset"
_THROUGH = "bounded + jax.lax.stop_gradient(rounded - bounded)"
_PLACES = "np.cumprod([1, *levels[:-1]])"
_INDEX = "jnp.sum((rounded.astype(int) + levels // 2) * places, axis=-1)"
_SCALE = ") / (levels // 2)\n"
_IN_JAX = (
    *("np.array(levels)", "jnp.array(levels)", "np.where", "jnp.where", "np.tan(", "jnp.tan("),
    *(_PLACES, "jnp.cumprod(jnp.array([1, *levels[:-1]]))"),
)


def _scalar_by_scalar(z, levels):
    """Every axis by itself, with a border for each step in place of rounding."""
    out, index, place = [], 0, 1
    for i, level in enumerate(levels):
        half, odd = (level - 1) * (1 - 1e-3) / 2, level % 2
        offset = 0.0 if odd else 0.5
        b = jnp.tanh(z[..., i] + jnp.tan(offset / half)) * half - offset
        borders = jnp.arange(level - 1) - level // 2 + 0.5
        digit = jnp.sum(b[..., None] > borders, axis=-1)
        out.append((b + sg(digit - level // 2 - b)) / (level // 2))
        index, place = index + digit * place, place * level
    return jnp.stack(out, axis=-1), index


@jax.custom_vjp
def _round(x):
    return jnp.round(x)


_round.defvjp(lambda x: (jnp.round(x), None), lambda _, g: (g,))

finite_scalar_quantize = exercise(
    "beyond.finite_scalar_quantize",
    can="It quantizes without a codebook: nothing to learn, and nothing that could collapse.",
    kind="transcription", importance=3, difficulty=2, minutes=15,
    stuck="Do it for a single number and five levels with a pocket calculator; then for four levels.",
    wrong={
        "no bound": (edit(_BOUNDED, "z"),
            "Without the tanh the rounded numbers go beyond their levels.",
            "First squeeze each number into the range of its levels, then round."),
        "no half step for even levels": (
            edit("np.where(levels % 2 == 0, 0.5, 0.0)", "np.zeros(len(levels))"),
            "Even levels get one value too many: from -2 to 2 there are five whole numbers.",
            "An even number of values does not lie symmetrically about 0: move the bound down by half a step."),
        "half a step for odd levels": (edit("levels % 2 == 0", "levels % 2 == 1"),
            "The half step is taken for odd levels; the even ones need it.",
            "Which of 4 and 5 whole numbers can lie symmetrically about 0?"),
        "half a step for all": (edit("np.where(levels % 2 == 0, 0.5, 0.0)", "np.full(len(levels), 0.5)"),
            "Odd levels are moved by half a step as well.",
            "Five values lie symmetrically about 0 as they are."),
        "moved only behind the tanh": (edit("z + np.tan(offset / half)", "z"),
            "The bound is moved down for even levels, but z is not moved up to make up for it.",
            "A z of 0 should come out near 0: what has to be added inside the tanh?"),
        "the shift without its tan": (edit("np.tan(offset / half)", "offset / half"),
            "z is moved by offset / half, which is a little too little.",
            "Inside the tanh it takes a little more: compare with the first of the four steps."),
        "moved only inside the tanh": (edit(" * half - offset", " * half"),
            "z is moved inside the tanh, and the half step behind it is missing.",
            "A z of 0 should come out near 0."),
        "all levels, not half": (edit("(levels - 1) * (1 - 1e-3) / 2", "(levels - 1) * (1 - 1e-3)"),
            "The bound is twice as wide as it should be: the tanh goes from -1 to 1.",
            "Five levels are -2, -1, 0, 1, 2: how far is it from the middle?"),
        "one level too many": (edit("(levels - 1) * (1 - 1e-3) / 2", "levels * (1 - 1e-3) / 2"),
            "The bound is as wide as the number of levels; from first to last it is one step less.",
            "Five levels are -2, -1, 0, 1, 2: how far is it from the first to the last?"),
        "rounded down": (edit("jnp.round(", "jnp.floor("),
            "You round down; the nearest whole number is asked for.",
            "What does jnp.floor make of 1.9?"),
        "not divided": (edit(_SCALE, ")\n"),
            "z_q are whole numbers; divide each by levels // 2.",
            "Every number of z_q should be between -1 and 1, however many levels it has."),
        "divided by half": (edit(_SCALE, ") / half\n"), edit(_SCALE, ") / (levels / 2)\n"),
            edit(_SCALE, ") / ((levels - 1) / 2)\n"),
            "z_q is divided by something else than levels // 2.",
            "For 4 levels it is 2, and for 5 it is 2 as well."),
        "no gradient": (edit(_THROUGH, "rounded"), edit(_THROUGH, "jax.lax.stop_gradient(rounded)"),
            "The values are right, but no gradient comes through: rounding is flat.",
            "You have met this problem in lesson 01."),
        "straight past the tanh": (edit(_THROUGH, "z + jax.lax.stop_gradient(rounded - z)"),
            edit(f"({_THROUGH}) / (levels // 2)", "z + jax.lax.stop_gradient(rounded / (levels // 2) - z)"),
            "The gradient passes by everything; only the rounding should be left out of it.",
            "The tanh has a derivative of its own: let the gradient go through it."),
        "not rounded": (edit(_THROUGH, "bounded"),
            "The numbers are bounded, but they are not rounded: z_q has as many values as z.",
            "Round, and let the gradient pass as if you had not."),
        "first number slowest": (edit(_PLACES, "np.cumprod([1, *levels[:0:-1]])[::-1]"),
            "The last number counts by ones; it should be the first.",
            "The index is digit 0 + levels[0] times digit 1 + ..."),
        "places one too far": (edit(_PLACES, "np.cumprod(levels)"),
            "Every digit counts for one place more than it should.",
            "The first digit counts by ones."),
        "one base for all": (edit(_PLACES, "levels[0] ** np.arange(len(levels))"),
            edit(_PLACES, "levels ** np.arange(len(levels))"), edit(_PLACES, "max(levels) ** np.arange(len(levels))"),
            "Every place counts as if all numbers had equally many levels.",
            "The third digit counts by levels[0] * levels[1]."),
        "digits below zero": (edit("(rounded.astype(int) + levels // 2)", "rounded.astype(int)"),
            "The digits begin below 0, so that different codes can have one index, and some are negative.",
            "Move each digit up so that it begins at 0."),
        "float indices": (edit("rounded.astype(int)", "rounded"),
            "The indices are right but are floats, and a float cannot index an array.",
            "Cast the digits to int."),
        "digits in place of an index": (edit(_INDEX, "rounded.astype(int) + levels // 2"),
            "You return the digits; one index for each vector is asked for.",
            "Multiply each digit by its place, and add."),
        "added, not weighted": (edit(") * places", ")"),
            "The digits are added, so that many codes have one index.",
            "Multiply each by its place first."),
    },
    right={
        "number by number": _scalar_by_scalar,
        "a rule for rounding": edit(_THROUGH,
            "bounded - jax.lax.stop_gradient(bounded) + jnp.rint(jax.lax.stop_gradient(bounded))"),
        "jax.numpy throughout": edit(*_IN_JAX),
        "counted by a dot product": edit(_INDEX, "jnp.dot(rounded.astype(int) + levels // 2, places)"),
        "from the first to the last": edit(_INDEX,
            "sum((rounded + levels // 2)[..., i].astype(int) * int(np.prod(levels[:i])) for i in range(len(levels)))"),
        "floor of a half more": edit("jnp.round(bounded)", "jnp.floor(bounded + 0.5)"),
        "arctanh, and a wider bound": edit("(1 - 1e-3)", "(1 + 1e-3)", "np.tan(", "np.arctanh("),
        "a custom rule": lambda z, levels: _by_rule(z, np.array(levels)),
        "jitted": edit("def ", "@jax.jit\ndef ", *_IN_JAX),
    },
    hints=(
        "Four steps: the bound, rounding with straight-through, division by levels // 2, and one number for the index.",
        "Hold the half step and the bound apart: `jnp.tanh(z + shift) * half - offset`, with an offset of 0 or 0.5.",
        "Digits are the rounded numbers plus levels // 2; their places are 1, levels[0], levels[0] * levels[1], ...",
    ),
)  # fmt: skip


def _by_rule(z, levels):
    half, offset = (levels - 1) * 0.999 / 2, (1 - levels % 2) / 2
    rounded = _round(half * jnp.tanh(z + np.tan(offset / half)) - offset)
    digits = rounded + levels // 2
    return rounded / (levels // 2), (digits @ np.float32(np.cumprod([1, *levels[:-1]]))).astype(jnp.int32)


def _nearest(z, codebook):
    return jnp.argmin(jnp.sum((z[..., None, :] - codebook) ** 2, axis=-1), axis=-1)


def _all_together(z, codebooks):
    """The combination that is nearest to z, of all K^S."""
    sums, choices = jnp.zeros((1, z.shape[-1])), np.zeros((1, 0), int)
    for codebook in codebooks:
        sums = (sums[:, None] + codebook).reshape(-1, z.shape[-1])
        new = np.tile(np.arange(len(codebook)), len(choices))[:, None]
        choices = np.hstack([np.repeat(choices, len(codebook), axis=0), new])
    best = _nearest(z, sums)
    return sums[best], jnp.array(choices)[best]


def _numpy_stages(z, codebooks):
    left, indices = np.array(z), []
    for codebook in np.asarray(codebooks):
        indices.append(np.linalg.norm(left[..., None, :] - codebook, axis=-1).argmin(axis=-1))
        left -= codebook[indices[-1]]
    return np.asarray(z) - left, np.stack(indices, axis=-1)


def _scanned(z, codebooks):
    def stage(left, codebook):
        index = _nearest(left, codebook)
        return left - codebook[index], index

    left, indices = jax.lax.scan(stage, z, codebooks)
    return z + sg(-left), jnp.moveaxis(indices, 0, -1)


def _one_at_a_time(z, codebooks):
    flat, indices = jax.vmap(lambda one: _scanned(one, codebooks))(z.reshape(-1, z.shape[-1]))
    return flat.reshape(z.shape), indices.reshape(*z.shape[:-1], len(codebooks)).astype("int16")


_LEFT = "left = left - look_up(indices[-1], codebook)"

residual_quantize = exercise(
    "beyond.residual_quantize",
    can="It describes a vector in several steps, each of which says what the ones before left over.",
    kind="decision", importance=3, difficulty=2, minutes=8,
    stuck="Write 347 as hundreds, tens and ones, and say what is left over after each digit.",
    wrong={
        "every stage sees z": (edit("nearest_code(left, codebook)", "nearest_code(z, codebook)"),
            "Each stage looks for the nearest code to z itself, as if the stages before had done nothing.",
            "From the second stage on, look for what is left over."),
        "left as it came": (edit(_LEFT, "left = z - look_up(indices[-1], codebook)"),
            "After each stage you go back to z, so that only the last code is taken away.",
            "What is left after two stages is z without both codes."),
        "added in place of taken away": (edit(_LEFT, "left = left + look_up(indices[-1], codebook)"),
            "The code is added to what is left over; it should be taken away.",
            "If the first code were z itself, what would be left?"),
        "only the last code": (edit("z - left", "look_up(indices[-1], codebooks[-1])"),
            "z_q is the code of the last stage, the smallest correction of all.",
            "z_q is the sum of all codes that were chosen."),
        "only the first code": (edit("z - left", "look_up(indices[0], codebooks[0])"),
            "z_q is the code of the first stage, and what the others add is lost.",
            "z_q is the sum of all codes that were chosen."),
        "what is left over": (edit("z - left", "left"),
            "You return what no stage could describe; return what they did describe.",
            "Together, the two are z."),
        "a mean of codes": (edit("z - left", "(z - left) / len(codebooks)"),
            "The codes are averaged; they should be added.",
            "The second code is a correction of the first."),
        "one codebook for all": (edit("nearest_code(left, codebook)", "nearest_code(left, codebooks[0])",
                "look_up(indices[-1], codebook)", "look_up(indices[-1], codebooks[0])"),
            "Every stage uses the first codebook.",
            "Each stage has a codebook of its own, codebooks[s]."),
        "last stage first": (edit("in codebooks:", "in codebooks[::-1]:"),
            "The stages run from the last to the first: a fine correction before anything is there to be corrected.",
            "Begin with codebooks[0]."),
        "stages come first": (edit("axis=-1", "axis=0"),
            "The indices are right, and their stages are on the first axis: [S, ...], where [..., S] is asked for.",
            "Which axis should jnp.stack make?"),
        "one index for all stages": (edit("jnp.stack(indices, axis=-1)",
                "sum(i * codebooks.shape[1] ** s for s, i in enumerate(indices))"),
            edit("jnp.stack(indices, axis=-1)", "indices[-1]"), edit("jnp.stack(indices, axis=-1)", "indices[0]"),
            "There is one index for each vector; there should be one for each stage.",
            "Stack the stages' indices along a last axis."),
        "the best combination": (_all_together,
            "You try all combinations, which is at least as near, and takes K^S distances.",
            "Stage by stage: each takes the nearest code to what is left, and never looks ahead."),
    },
    right={
        "numpy": _numpy_stages,
        "scan over stages": _scanned,
        "vmap over vectors, int16": _one_at_a_time,
        "straight-through": edit("z - left", "z + jax.lax.stop_gradient(-left)"),
        "a sum of codes": edit("z - left, jnp",
            "sum(look_up(i, codebook) for i, codebook in zip(indices, codebooks)), jnp"),
        "float64 inside": lambda z, c: (
            lambda out: (np.float32(out[0]), out[1]))(_numpy_stages(np.float64(z), np.float64(c))),
        "jitted": decorated("jax.jit"),
    },
    hints=(
        "The first stage does what you did in lesson 01. What should the second one be given?",
        "Keep what is left over: `left = left - look_up(index, codebook)`.",
        "What was described is z - left; stack the indices with axis=-1.",
    ),
)  # fmt: skip

_HELD_CODES = "left = left - jax.lax.stop_gradient(codes)"
_SUMMED = "        z_q = z_q + codes\n"
_OUT = "straight_through(z, z_q), loss"


def _all_then_losses(z, codebooks, beta):
    """First all choices, then the losses of what was left before each."""
    lefts, chosen = [z], []
    for codebook in codebooks:
        chosen.append(codebook[_nearest(lefts[-1], codebook)])
        lefts.append(lefts[-1] - sg(chosen[-1]))
    loss = sum(
        jnp.mean((sg(e) - c) ** 2) + beta * jnp.mean((e - sg(c)) ** 2) for e, c in zip(lefts, chosen, strict=False)
    )
    return z + sg(sum(chosen) - z), loss


def _from_sums(z, codebooks, beta):
    total, loss = jnp.zeros_like(z), 0.0
    for codebook in codebooks:
        codes = codebook[_nearest(z - total, codebook)]
        square = lambda v: jnp.mean(v**2)  # noqa: E731
        loss += square(sg(z - total) - codes) + beta * square(z - sg(total + codes))
        total = sg(total + codes)
    return z - sg(z - total), loss


repair_stages = exercise(
    "beyond.repair_stages",
    can="It trains every stage of a residual code, and the encoder through all of them.",
    kind="debugging", importance=3, difficulty=2, minutes=10,
    stuck="Follow what is left over through the broken loop, and ask at each line what its derivative to z is.",
    wrong={
        "only the first loss reaches z": (
            edit(_HELD_CODES, "left = left - straight_through(left, codes)"),
            edit(_SUMMED, "        z_q = z_q + straight_through(left, codes)\n",
                _HELD_CODES, "left = left - straight_through(left, codes)", _OUT, "z_q, loss"),
            edit(_HELD_CODES, "left = jax.lax.stop_gradient(left - codes)"),
            "From the second stage on no loss reaches z, as in the broken code.",
            "What is left, minus straight-through of it, has the gradient 1 - 1. What should be held still instead?"),
        "one straight-through for each stage": (
            edit(_SUMMED, "        z_q = z_q + straight_through(left, codes)\n", _OUT, "z_q, loss"),
            "z gets the gradient of z_q once for every stage: S times too much.",
            "Add the codes up first, and let the gradient pass by all of them at once."),
        "codes not held still": (edit(_HELD_CODES, "left = left - codes"),
            "A stage's loss also moves the codes of the stages before it.",
            "What is left over depends on the earlier codes; hold those still when you take them away."),
        "no straight-through": (edit(_OUT, "z_q, loss"),
            "z_q goes to the codes and not to z: the encoder gets no gradient from the decoder.",
            "Use straight_through once, for the sum of all codes."),
        "only one loss": (edit("loss = loss + vq_loss", "loss = vq_loss"),
            edit("loss = loss + vq_loss(left, codes, beta)", "loss = loss if len(jnp.shape(z_q)) else "
                "vq_loss(left, codes, beta)"),
            "Only one stage has a loss, so the other codebooks are never moved.",
            "Add up the losses of all stages."),
        "one loss for the sum": (edit("        loss = loss + vq_loss(left, codes, beta)\n", "",
                "    return", "    loss = vq_loss(z, z_q, beta)\n    return"),
            "There is one loss for the sum of all codes, which moves the codes of all stages alike.",
            "Each stage is held against what was left over when its turn came."),
        "a mean over the stages": (edit("return straight_through(z, z_q), loss",
                "return straight_through(z, z_q), loss / len(codebooks)"),
            "The loss is averaged over the stages; it should be their sum.",
            "With twice as many stages, how much should the first one be pulled?"),
        "codes added too late": (edit(_SUMMED, "", "codes)\n    return", "codes)\n        z_q = codes\n    return"),
            "z_q is the code of the last stage alone.",
            "z_q is the sum of all codes."),
        "the loss after taking away": (
            edit("        loss = loss + vq_loss(left, codes, beta)\n", "",
                f"        {_HELD_CODES}\n",
                f"        {_HELD_CODES}\n        loss = loss + vq_loss(left, codes, beta)\n"),
            "A stage's loss compares its code with what it left over itself.",
            "Take the loss before you take the code away."),
    },
    right={
        "choices first": _all_then_losses,
        "from sums": _from_sums,
        "rest of z": edit(_HELD_CODES, "left = z - jax.lax.stop_gradient(z_q)"),
        "losses by hand": edit("vq_loss(left, codes, beta)",
            "jnp.mean((codes - jax.lax.stop_gradient(left)) ** 2) + beta * "
            "jnp.mean((left - jax.lax.stop_gradient(codes)) ** 2)"),
        "jitted": decorated("jax.jit"),
    },
    hints=(
        "Let jax.grad say which loss reaches z: take one stage, then two.",
        "Taking a code away must not cut z off, and must not pull the code: hold the code still, and nothing else.",
        "Straight-through comes once, at the end, for the sum of the codes.",
    ),
)  # fmt: skip

_DIGITS = "indices[..., None] // places % levels"
_SCALED = "(digits - levels // 2) / (levels // 2)"


def _by_division(indices, levels):
    digits, rest = [], jnp.asarray(indices)
    for level in levels:
        rest, digit = jnp.divmod(rest, level)
        digits.append((digit - level // 2) / (level // 2))
    return jnp.stack(digits, axis=-1)


def _by_table(indices, levels):
    rows = np.meshgrid(*(np.arange(n) / (n // 2) - 1 for n in levels), indexing="ij")
    return jnp.array(np.stack([row.ravel(order="F") for row in rows], axis=-1), jnp.float32)[indices]


from_index = exercise(
    "beyond.from_index",
    can="It is the whole codebook of finite scalar quantization, in four lines and without a table.",
    kind="puzzle", importance=2, difficulty=2, minutes=10,
    stuck="Tell the time from a number of seconds: hours, minutes and seconds are digits with levels of their own.",
    wrong={
        "first number slowest": (edit(_DIGITS, f"({_DIGITS.replace('levels', 'levels[::-1]')})[..., ::-1]",
                "np.cumprod([1, *levels[:-1]])", "np.cumprod([1, *levels[:0:-1]])"),
            "You read the index with the last number as the fastest; it is the first.",
            "Which number changes from index 0 to index 1?"),
        "no remainder": (edit(" % levels", ""),
            "The digits keep all that belongs to later places.",
            "After dividing by the place, take the remainder by the levels."),
        "not divided by the place": (edit("[..., None] // places %", "[..., None] %"),
            "Every number reads the index as if it were the first.",
            "Divide by what the place counts, and round down."),
        "a fraction": (edit("// places", "/ places"),
            "The index is divided with a remainder behind the point; round down.",
            "// divides whole numbers."),
        "digits as they are": (edit(_SCALED, "digits * 1.0"),
            "You return the digits, which begin at 0.",
            "Take levels // 2 away, and divide by it."),
        "not moved": (edit(_SCALED, "digits / (levels // 2)"),
            "The numbers begin at 0 and should begin at -1.",
            "What did you add to make digits of rounded numbers?"),
        "not divided": (edit(_SCALED, "(digits - levels // 2) * 1.0"),
            "The numbers are whole; divide each by levels // 2.",
            "z_q goes from -1 to 1."),
        "divided by half": (edit(_SCALED, "(digits - levels // 2) / (levels / 2)"),
            edit(_SCALED, "(digits - (levels - 1) / 2) / ((levels - 1) / 2)"),
            "For some levels, you take away or divide by something else than levels // 2.",
            "For 4 levels it is 2, and for 5 it is 2 as well."),
        "numbers come first": (edit(_SCALED, f"jnp.moveaxis({_SCALED}, -1, 0)"),
            "The numbers of a code are on the first axis; they should be on the last.",
            "The shape is [..., L]: which axis has the numbers?"),
    },
    right={
        "divmod": _by_division,
        "a table": _by_table,
        "numpy": lambda indices, levels: np.stack(
            [i / (n // 2) - 1 for i, n in zip(np.unravel_index(np.asarray(indices), levels, order="F"), levels)],  # noqa: B905
            axis=-1),
        "jitted": decorated("(lambda f: jax.jit(f, static_argnums=1))"),
    },
    hints=(
        "index = digit 0 + levels[0] * digit 1 + levels[0] * levels[1] * digit 2 + ...",
        "`indices[..., None] // places % levels`, with the places of the exercise above.",
    ),
)  # fmt: skip
