"""Lesson 04, first half: what a batch says of the codes, and the running mean made of it."""

import jax
import jax.numpy as jnp
import numpy as np

from vqtutor.checking import Exercise, Misconception, Probe
from vqtutor.exercises.quantizer import CODEBOOK, MAP, Z
from vqtutor.models import ema as ref
from vqtutor.models import quantizer

K, D = CODEBOOK.shape
NAMES = ("counts", "sums", "codebook")
# A state in the middle of training: unequal counts, and sums that are not counts times codes. No vector of Z or MAP
# chooses code 5, and its place is kept by the running mean alone.
CODES = jnp.concatenate([CODEBOOK, jnp.array([[9.0, -7.0, 8.0]])])
COUNTS = jnp.array([3.0, 0.6, 5.5, 1.2, 2.4, 0.8])
SUMS = COUNTS[:, None] * CODES + jnp.array([[0.3, -0.2, 0.5]])
_nearest = jax.jit(quantizer.nearest_code)  # one program to compile for the first check, not ten
Z_INDICES, MAP_INDICES = _nearest(Z, CODES), _nearest(MAP, CODES)


def _as_floats(array):
    """Counts are as good as ints, and NumPy's sums are float64: both are right where no dtype is promised."""
    known = isinstance(array, (jax.Array, np.ndarray)) and array.dtype in (jnp.int32, np.int64, np.float64)
    return array.astype(jnp.float32) if known else array


def _pair(answer):
    counts, sums = answer
    return {"counts": _as_floats(counts), "sums": _as_floats(sums)}


def _rows(indices, num_codes):
    return jax.nn.one_hot(indices.reshape(-1), num_codes)


def _flat(z):
    return z.reshape(-1, z.shape[-1])


# -- batch_statistics -------------------------------------------------------------------------------------------------


def _statistics(counts=lambda c, s, n: c, sums=lambda c, s, n: s):
    def answer(z_e, indices, num_codes):
        both = ref.batch_statistics(z_e, indices, num_codes)
        return counts(*both, indices.size), sums(*both, indices.size)

    return answer


def _per_row(z_e, indices, num_codes):
    one_hot = jax.nn.one_hot(indices, num_codes)
    return jnp.sum(one_hot, axis=0), jnp.tensordot(one_hot, z_e, ((0,), (0,)))


def _in_numpy(z_e, indices, num_codes):
    z_e, indices = np.asarray(z_e), np.asarray(indices).ravel()
    sums = np.zeros((num_codes, z_e.shape[-1]))
    np.add.at(sums, indices, z_e.reshape(-1, z_e.shape[-1]))
    return np.bincount(indices, minlength=num_codes), sums


batch_statistics = Exercise(
    id="ema.batch_statistics",
    reference=ref.batch_statistics,
    arguments=("z_e", "indices", "num_codes"),
    probes=(
        Probe("a list of vectors", lambda answer: _pair(answer(Z, Z_INDICES, 6))),
        Probe("a map of vectors", lambda answer: _pair(answer(MAP, MAP_INDICES, 7))),
    ),
    misconceptions=(
        Misconception(
            "means in place of sums",
            "You return the mean of each code's vectors; the sum is asked for.",
            "Sums of several batches can be added up and divided later; means of batches of unequal size cannot.",
            _statistics(sums=lambda c, s, n: s / jnp.maximum(c, 1)[:, None]),
        ),
        Misconception(
            "shares in place of counts",
            "You return the share of each code among all vectors; how many there are is asked for.",
            "A count is a whole number.",
            _statistics(counts=lambda c, s, n: c / n),
        ),
        Misconception(
            "mean over the batch",
            "Counts and sums are both divided by the number of vectors.",
            "Add up; do not average.",
            _statistics(counts=lambda c, s, n: c / n, sums=lambda c, s, n: s / n),
        ),
        Misconception(
            "only the first axis is added up",
            "A list of vectors comes out right, but of a map only the first axis is added up.",
            "Flatten z_e to [N, D] and the indices to [N] first.",
            _per_row,
        ),
        Misconception(
            "one vector a code",
            "Each code keeps one of its vectors and forgets the others: .at[i].set overwrites.",
            "Repeated indices should add up: .at[i].add does, and so does a product with one-hot rows.",
            lambda z, i, k: (
                jnp.zeros(k).at[i.reshape(-1)].set(1.0),
                jnp.zeros((k, z.shape[-1])).at[i.reshape(-1)].set(_flat(z)),
            ),
        ),
        Misconception(
            "sums on their side",
            "The sums are [D, K]; one code a row, [K, D], is asked for.",
            "Look at the order of your matrix product.",
            _statistics(sums=lambda c, s, n: s.T),
        ),
        Misconception(
            "the two swapped",
            "Counts and sums have changed places.",
            "The counts come first.",
            lambda z, i, k: ref.batch_statistics(z, i, k)[::-1],
        ),
        Misconception(
            "no room for unused codes",
            "There are rows only up to the highest index that occurs: codes that nobody chose are missing.",
            "Every code has a row, also one that nobody chose: there are num_codes of them.",
            lambda z, i, k: ref.batch_statistics(z, i, int(i.max()) + 1),
        ),
        Misconception(
            "nobody has zero",
            "A code that nobody chose is counted as chosen once.",
            "Keeping counts away from zero comes later; here a count says what happened.",
            _statistics(counts=lambda c, s, n: jnp.maximum(c, 1)),
            also=(_statistics(counts=lambda c, s, n: c + 1),),
        ),
        Misconception(
            "numbers counted, not vectors",
            "Each count is D times too large: you count the numbers in the vectors.",
            "A vector counts once, whatever its length.",
            _statistics(counts=lambda c, s, n: D * c),
        ),
        Misconception(
            "squares summed",
            "You add up the squares of the vectors.",
            "For a mean, the vectors themselves are added up.",
            lambda z, i, k: ref.batch_statistics(z**2, i, k),
        ),
    ),
    alternatives={
        "segment_sum": lambda z, i, k: (
            jax.ops.segment_sum(jnp.ones(i.size), i.reshape(-1), k),
            jax.ops.segment_sum(_flat(z), i.reshape(-1), k),
        ),
        "bincount and scatter": lambda z, i, k: (
            jnp.bincount(i.reshape(-1), length=k),
            jnp.zeros((k, z.shape[-1])).at[i.reshape(-1)].add(_flat(z)),
        ),
        "einsum over a map": lambda z, i, k: (
            jnp.einsum("...k->k", jax.nn.one_hot(i, k)),
            jnp.einsum("...k,...d->kd", jax.nn.one_hot(i, k), z),
        ),
        "numpy": _in_numpy,
        "loop over codes": lambda z, i, k: (
            jnp.stack([jnp.sum(i == code) for code in range(k)]),
            jnp.stack([jnp.sum(jnp.where((i == code)[..., None], z, 0), axis=range(i.ndim)) for code in range(k)]),
        ),
        "jitted": jax.jit(ref.batch_statistics, static_argnums=2),
    },
    hints=(
        "Flatten first: z_e to [N, D], indices to [N]. Then every shape comes down to a list.",
        "One-hot rows, [N, K], say who chose what. Their sum over N is one of the two; a product with z_e the other.",
        "`one_hot.sum(axis=0)` is [K], and `one_hot.T @ z_e` is [K, D].",
    ),
)

# -- smooth_counts ----------------------------------------------------------------------------------------------------

_FEW = jnp.array([0.0, 3.0, 1.5, 0.0, 8.0])
_OTHERS = jnp.array([0.05, 7.0, 0.0])


def _smoothed(answer, counts, epsilon):
    return {"smoothed counts": _as_floats(answer(counts, epsilon))}


smooth_counts = Exercise(
    id="ema.smooth_counts",
    reference=ref.smooth_counts,
    arguments=("counts", "epsilon"),
    probes=(
        Probe("five codes, epsilon 0.5", lambda answer: _smoothed(answer, _FEW, 0.5)),
        Probe("three codes, epsilon 0.1", lambda answer: _smoothed(answer, _OTHERS, 0.1)),
    ),
    misconceptions=(
        Misconception(
            "total not kept",
            "Epsilon is added and the total has grown by K epsilon.",
            "Scale back, so that the counts sum to what they summed to before.",
            lambda c, e: c + e,
        ),
        Misconception(
            "shares in place of counts",
            "The result sums to 1: it was not scaled back to the total.",
            "Multiply by the total that the counts had.",
            lambda c, e: (c + e) / (c.sum() + len(c) * e),
        ),
        Misconception(
            "clipped, not smoothed",
            "You raise small counts to epsilon and leave the rest as it is.",
            "Laplace smoothing gives epsilon to every code, then scales all of them.",
            lambda c, e: jnp.maximum(c, e),
        ),
        Misconception(
            "epsilon counted once",
            "The total is off: epsilon was added to every code but counted once when scaling back.",
            "How much did all K codes get together?",
            lambda c, e: (c + e) / (c.sum() + e) * c.sum(),
        ),
        Misconception(
            "scaled to the number of codes",
            "The result sums to K; it should sum to what the counts summed to.",
            "The total is the number of vectors, not of codes.",
            lambda c, e: (c + e) / (c.sum() + len(c) * e) * len(c),
        ),
        Misconception(
            "not smoothed",
            "You return the counts as they came: a code with count 0 would divide by 0.",
            "Give every code epsilon first.",
            lambda c, e: c,
            also=(lambda c, e: c / c.sum() * c.sum(),),
        ),
        Misconception(
            "epsilon shared out",
            "Each code gets epsilon / K; every one should get epsilon.",
            "Epsilon is what one code gets.",
            lambda c, e: (c + e / len(c)) / (c.sum() + e) * c.sum(),
        ),
        Misconception(
            "only empty codes get epsilon",
            "Epsilon goes to codes with count 0 alone, so a count of 0.0001 ends up below one of 0.",
            "Give epsilon to every code.",
            lambda c, e: (lambda s: s / s.sum() * c.sum())(jnp.where(c == 0, e, c)),
            also=(lambda c, e: jnp.where(c == 0, e, c),),
        ),
        Misconception(
            "epsilon times the total",
            "Epsilon is scaled by the total before it is added.",
            "Epsilon is itself a count: add it as it is.",
            lambda c, e: (c + e * c.sum()) / (1 + len(c) * e),
        ),
    ),
    alternatives={
        "numpy": lambda c, e: (np.asarray(c) + e) * (np.sum(c) / (np.sum(c) + len(c) * e)),
        "rescaled by its own sum": lambda c, e: (c + e) / jnp.sum(c + e) * jnp.sum(c),
        "a mixture of shares and the uniform": lambda c, e: (
            c.sum() * (lambda w: (1 - w) * c / c.sum() + w / len(c))(len(c) * e / (c.sum() + len(c) * e))
        ),
        "softmax of logarithms": lambda c, e: jnp.sum(c) * jax.nn.softmax(jnp.log(c + e)),
        "jitted": jax.jit(ref.smooth_counts),
    },
    hints=(
        "First give every code epsilon. How large is the total now, and how large was it?",
        "Divide by the new total and multiply by the old one. With K codes the new total is n + K epsilon.",
    ),
)

# -- update_codebook --------------------------------------------------------------------------------------------------


def _update(answer, steps=1, epsilon=0.3, decay=0.8):
    state = COUNTS, SUMS, CODES
    for z, indices in ((Z, Z_INDICES), (MAP, MAP_INDICES))[:steps]:
        state = answer(state[0], state[1], z, indices, decay, epsilon)
    return dict(zip(NAMES, state, strict=True))


def _without_smoothing(answer):
    """Nearly no epsilon, and decay at 0.95: the code that nobody chose stays at sums over counts."""
    return {"codebook with epsilon 0.00001": _update(answer, epsilon=1e-5, decay=0.95)["codebook"]}


def _updating(counts=None, sums=None, codebook=None):
    """Return an answer that differs from the right one in what is named.

    Each is a function of a table with what an answer has at hand: old and batch counts and sums, decay, epsilon; and
    the new counts and sums as the right answer, or the variation, has made them.
    """

    def answer(old_counts, old_sums, z_e, indices, decay, epsilon):
        n, m = ref.batch_statistics(z_e, indices, len(old_counts))
        at = dict(N=old_counts, M=old_sums, n=n, m=m, d=decay, e=epsilon, total=indices.size)
        at["counts"] = counts(at) if counts else decay * old_counts + (1 - decay) * n
        at["sums"] = sums(at) if sums else decay * old_sums + (1 - decay) * m
        default = at["sums"] / ref.smooth_counts(at["counts"], epsilon)[:, None]
        return at["counts"], at["sums"], codebook(at) if codebook else default

    return answer


def _means(at):
    return at["m"] / jnp.maximum(at["n"], 1)[:, None]


def _smoothed_out(counts, sums, z_e, indices, decay, epsilon):
    counts, sums, codebook = ref.update_codebook(counts, sums, z_e, indices, decay, epsilon)
    return ref.smooth_counts(counts, epsilon), sums, codebook


def _by_hand(counts, sums, z_e, indices, decay, epsilon):
    counts, sums = list(counts), list(sums)
    for k in range(len(counts)):
        mine = (indices == k).reshape(-1)
        counts[k] = decay * counts[k] + (1 - decay) * mine.sum()
        sums[k] = decay * sums[k] + (1 - decay) * (mine[:, None] * _flat(z_e)).sum(axis=0)
    n, k = sum(counts), len(counts)
    codebook = [sums[i] / ((counts[i] + epsilon) / (n + k * epsilon) * n) for i in range(k)]
    return jnp.stack(counts), jnp.stack(sums), jnp.stack(codebook)


def _moved(counts, sums, z_e, indices, decay, epsilon):
    n, m = ref.batch_statistics(z_e, indices, len(counts))
    counts, sums = counts + (1 - decay) * (n - counts), sums + (1 - decay) * (m - sums)
    return counts, sums, jnp.diag(1 / ref.smooth_counts(counts, epsilon)) @ sums


update_codebook = Exercise(
    id="ema.update_codebook",
    reference=ref.update_codebook,
    arguments=("counts", "sums", "z_e", "indices", "decay", "epsilon"),
    probes=(
        Probe("counts and sums", lambda answer: {k: v for k, v in _update(answer).items() if k != "codebook"}),
        Probe("codebook", lambda answer: {"codebook": _update(answer)["codebook"]} | _without_smoothing(answer)),
        Probe("a second step", lambda answer: {f"{k} after two": v for k, v in _update(answer, steps=2).items()}),
    ),
    misconceptions=(
        Misconception(
            "decay and its rest swapped",
            "The past gets 1 - decay and the batch decay: with 0.99 the codes would jump to every new batch.",
            "Decay is the share of the past that is kept.",
            lambda c, s, z, i, d, e: ref.update_codebook(c, s, z, i, 1 - d, e),
        ),
        Misconception(
            "batch added at full weight",
            "The batch is added at full weight, so counts and sums grow far above those of one batch.",
            "The two weights of a running mean sum to 1.",
            _updating(lambda at: at["d"] * at["N"] + at["n"], lambda at: at["d"] * at["M"] + at["m"]),
        ),
        Misconception(
            "nothing fades",
            "The past is kept whole and the batch added: codes become slower and slower.",
            "The two weights of a running mean sum to 1.",
            _updating(lambda at: at["N"] + (1 - at["d"]) * at["n"], lambda at: at["M"] + (1 - at["d"]) * at["m"]),
            also=(_updating(lambda at: at["N"] + at["n"], lambda at: at["M"] + at["m"]),),
        ),
        Misconception(
            "running mean of batch means",
            "You average the means of batches, and a code that nobody chose has a mean of 0: it drifts to the origin.",
            "Average counts and sums apart, and divide at the end.",
            _updating(
                sums=lambda at: at["d"] * at["M"] + (1 - at["d"]) * _means(at),
            ),
            also=(
                _updating(
                    codebook=lambda at: at["d"] * at["M"] / at["N"][:, None] + (1 - at["d"]) * _means(at),
                ),
            ),
        ),
        Misconception(
            "smoothed counts kept",
            "The counts come back smoothed; epsilon would be added again at every step.",
            "Smooth only for the division.",
            _smoothed_out,
        ),
        Misconception(
            "divided by unsmoothed counts",
            "Counts and sums are right, but the sums are divided by counts that were not smoothed.",
            "A code whose count has faded would be divided by nearly nothing.",
            _updating(codebook=lambda at: at["sums"] / at["counts"][:, None]),
        ),
        Misconception(
            "epsilon added, total not kept",
            "The counts are right, but those that divide have grown by epsilon: every code is pulled to the origin.",
            "Use your smooth_counts.",
            _updating(codebook=lambda at: at["sums"] / (at["counts"] + at["e"])[:, None]),
        ),
        Misconception(
            "the batch alone",
            "The codebook is made of this batch alone; the running sums and counts do not enter it.",
            "Divide what you return: the running sums by the running counts.",
            _updating(codebook=lambda at: at["m"] / ref.smooth_counts(at["n"], at["e"])[:, None]),
            also=(_updating(codebook=_means),),
        ),
        Misconception(
            "old counts divide new sums",
            "The new sums are divided by the counts from before the update.",
            "Sums and counts have to be of the same moment.",
            _updating(codebook=lambda at: at["sums"] / ref.smooth_counts(at["N"], at["e"])[:, None]),
        ),
        Misconception(
            "the codebook of before",
            "Counts and sums are right, but the codebook comes from those that were handed in.",
            "Update first, divide then.",
            _updating(codebook=lambda at: at["M"] / ref.smooth_counts(at["N"], at["e"])[:, None]),
        ),
        Misconception(
            "unchosen codes do not fade",
            "The counts of codes that nobody chose stay as they were, so nothing ever shows that a code is dead.",
            "A batch without a vector for a code says something too: 0.",
            _updating(
                lambda at: jnp.where(at["n"] > 0, at["d"] * at["N"] + (1 - at["d"]) * at["n"], at["N"]),
                lambda at: jnp.where((at["n"] > 0)[:, None], at["d"] * at["M"] + (1 - at["d"]) * at["m"], at["M"]),
            ),
        ),
        Misconception(
            "shares in place of counts",
            "The batch's counts are divided by the number of vectors, and its sums are not.",
            "Counts and sums have to speak of the same vectors.",
            _updating(lambda at: at["d"] * at["N"] + (1 - at["d"]) * at["n"] / at["total"]),
        ),
        Misconception(
            "debiased",
            "Counts and sums are divided by 1 - decay. The codebook is the same, since both are; the state is not.",
            "Debiasing mends averages that start at 0. Yours start at one vector a code.",
            _updating(
                lambda at: (at["d"] * at["N"] + (1 - at["d"]) * at["n"]) / (1 - at["d"]),
                lambda at: (at["d"] * at["M"] + (1 - at["d"]) * at["m"]) / (1 - at["d"]),
            ),
        ),
        Misconception(
            "order of the three",
            "The three come back in another order.",
            "counts, sums, codebook.",
            lambda *a: (lambda c, s, e: (s, c, e))(*ref.update_codebook(*a)),
            also=(
                lambda *a: (lambda c, s, e: (e, c, s))(*ref.update_codebook(*a)),
                lambda *a: (lambda c, s, e: (c, e, s))(*ref.update_codebook(*a)),
            ),
        ),
    ),
    alternatives={
        "a step towards the batch": _moved,
        "code by code": _by_hand,
        "jitted": jax.jit(ref.update_codebook),
        "segment_sum": lambda c, s, z, i, d, e: (lambda c, s: (c, s, s / ref.smooth_counts(c, e)[:, None]))(
            d * c + (1 - d) * jax.ops.segment_sum(jnp.ones(i.size), i.reshape(-1), len(c)),
            d * s + (1 - d) * jax.ops.segment_sum(_flat(z), i.reshape(-1), len(c)),
        ),
        "epsilon written out": _updating(
            codebook=lambda at: (
                at["sums"]
                * ((at["counts"].sum() + at["counts"].size * at["e"]) / at["counts"].sum())
                / (at["counts"] + at["e"])[:, None]
            )
        ),
    },
    hints=(
        "Your batch_statistics says what this batch holds. How much of the past is kept?",
        "new = decay * old + (1 - decay) * of this batch, for counts and for sums alike.",
        "The codebook is sums / smooth_counts(counts, epsilon)[:, None], with the new ones of both.",
    ),
)

# -- repair_start: find the bug by watching a code that nobody chose ---------------------------------------------------


def broken_start(codebook):
    """The published slip: the sums begin at the codebook, the counts at nothing."""
    return jnp.zeros(len(codebook)), codebook


def _started(answer):
    counts, sums = answer(CODES)
    return {"counts": counts, "sums": sums}


_reference_update = ref.update_codebook  # not by its own name, which is an exercise here


def _first_steps(answer):
    counts, sums = answer(CODES)
    seen = {}
    for step in (1, 2):
        counts, sums, codebook = _reference_update(counts, sums, Z, Z_INDICES, 0.99, 1e-5)
        # Distances, squeezed: a code that flew off 100,000 times too far is told from one that is 0 or in place.
        seen[f"where the unchosen code is after step {step}"] = jnp.arcsinh(codebook[5])
        seen[f"the chosen codes after step {step}"] = jnp.arcsinh(codebook[:5])
    return seen


repair_start = Exercise(
    id="ema.repair_start",
    reference=ref.repair_start,
    arguments=("codebook",),
    probes=(Probe("the start", _started), Probe("the first steps", _first_steps)),
    misconceptions=(
        Misconception(
            "counts at zero",
            "The sums begin at the codebook, the counts at 0: a code that nobody chose is divided by nearly nothing.",
            "How many vectors must a code stand for, if their sum is the code?",
            broken_start,
        ),
        Misconception(
            "both at zero",
            "Nothing explodes now, but a code that nobody chose is 0 divided by nearly 0: it snaps to the origin.",
            "Before any vector came, sums over counts should be the codebook.",
            lambda c: (jnp.zeros(len(c)), jnp.zeros_like(c)),
        ),
        Misconception(
            "sums at zero",
            "The counts say one vector a code, and the sums say it lies at the origin.",
            "Before any vector came, sums over counts should be the codebook.",
            lambda c: (jnp.ones(len(c)), jnp.zeros_like(c)),
        ),
        Misconception(
            "a tiny count",
            "The counts are no longer 0, but so small that sums over counts are far away from the codebook.",
            "How many vectors must a code stand for, if their sum is the code?",
            lambda c: (jnp.full(len(c), 1e-5), c),
            also=tuple(lambda c, e=e: (jnp.full(len(c), e), c) for e in (1e-6, 1e-4, 1e-3, 1e-2)),
        ),
        Misconception(
            "one vector in all",
            "All codes together stand for one vector, while each sum is a whole code.",
            "One vector for each code, then.",
            lambda c: (jnp.full(len(c), 1 / len(c)), c),
        ),
        Misconception(
            "a lighter or heavier start",
            "Sums over counts are the codebook, so nothing jumps; but each code stands for another number of vectors "
            "than the one asked for.",
            "One vector for each code: the more there are, the longer it takes to learn from real ones.",
            lambda c: (jnp.full(len(c), 10.0), 10 * c),
            also=tuple(lambda c, n=n: (jnp.full(len(c), n), n * c) for n in (1 / len(CODES), 0.01, 0.1, 100.0)),
        ),
        Misconception(
            "counts of the wrong shape",
            "The counts are a column; one number a code, [K], is asked for.",
            "jnp.ones of the length of the codebook.",
            lambda c: (jnp.ones((len(c), 1)), c),
            also=(lambda c: (jnp.ones_like(c), c),),
        ),
        Misconception(
            "the two swapped",
            "Counts and sums have changed places.",
            "The counts come first.",
            lambda c: (c, jnp.ones(len(c))),
        ),
    ),
    alternatives={
        "full_like": lambda c: (jnp.full_like(c[:, 0], 1), jnp.array(c)),
        "counts from the sums": lambda c: (jnp.ones(c.shape[0]), c * jnp.ones(c.shape[0])[:, None]),
        "each code is a batch of its own": lambda c: ref.batch_statistics(c, jnp.arange(len(c)), len(c)),
        "numpy": lambda c: (np.ones(len(c), np.float32), np.asarray(c)),
        "jitted": jax.jit(ref.repair_start),
    },
    hints=(
        "Look at a code that nobody chose. After one step its sum is 0.99 of what it was. And its count?",
        "The codebook is sums / counts. What must the counts be at the start, when the sums are the codebook?",
    ),
)
