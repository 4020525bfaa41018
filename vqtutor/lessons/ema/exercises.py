"""Lesson 04: what goes wrong in its exercises, what else is right, and what helps."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient as sg

from vqtutor.lessons.entries import decorated, edit, exercise

batch_statistics = exercise(
    "ema.batch_statistics",
    can="It counts and adds up, for each code, the vectors that chose it.",
    kind="transcription", importance=3, difficulty=2, minutes=7,
    stuck="Take four vectors and two codes, and add them up by hand; then print the one-hot array.",
    wrong={
        "means in place of sums": (edit("one_hot.T @", "(one_hot / jnp.maximum(one_hot.sum(axis=0), 1)).T @"),
            "You return the mean of each code's vectors; it should be their sum.",
            "Sums of several batches can be added up and divided later; means of batches of unequal size cannot."),
        "shares in place of counts": (edit("one_hot.sum", "one_hot.mean"),
            "You return each code's share of all vectors; return how many vectors it has.",
            "A count is a whole number."),
        "mean over the batch": (edit("one_hot.sum", "one_hot.mean", "one_hot.T @", "one_hot.T / indices.size @"),
            "Counts and sums are both divided by the number of vectors.",
            "Add up; do not average."),
        "only the first axis is added up": (edit(".reshape(-1), num", ", num",
                "one_hot.T @ z_e.reshape(-1, z_e.shape[-1])", "jnp.tensordot(one_hot, z_e, (0, 0))"),
            "A list of vectors comes out right, but of a map only the first axis is added up.",
            "Flatten z_e to [N, D] and the indices to [N] first."),
        "one vector a code": (lambda z, i, k: (jnp.zeros(k).at[i].set(1.0), jnp.zeros((k, z.shape[-1])).at[i].set(z)),
            "Each code keeps one of its vectors and forgets the others: .at[i].set overwrites.",
            "Repeated indices should add up: .at[i].add does, and so does a product with one-hot rows."),
        "sums on their side": (
            edit("one_hot.T @ z_e.reshape(-1, z_e.shape[-1])", "z_e.reshape(-1, z_e.shape[-1]).T @ one_hot"),
            "The sums are [D, K]; they should have one code in each row, [K, D].",
            "Look at the order of your matrix product."),
        "the two swapped": (edit("[-1])", "[-1]), one_hot.sum(axis=0)", "return one_hot.sum(axis=0), ", "return "),
            "Counts and sums are swapped.",
            "The counts come first."),
        "no room for unused codes": (edit("(-1), num_codes", "(-1), int(indices.max()) + 1"),
            "There are rows only up to the highest index that occurs: codes that no vector chose are missing.",
            "Every code has a row, even if no vector chose it: there are num_codes rows."),
        "nobody has zero": (edit("one_hot.sum(axis=0)", "jnp.maximum(one_hot.sum(axis=0), 1)"),
            edit("one_hot.sum(axis=0)", "one_hot.sum(axis=0) + 1"),
            "A code that no vector chose is counted as chosen once.",
            "Keeping counts away from zero comes later; here, just count."),
        "numbers counted, not vectors": (edit("one_hot.sum(axis=0)", "one_hot.sum(axis=0) * z_e.shape[-1]"),
            "Each count is D times too large: you count the numbers in the vectors.",
            "A vector counts once, whatever its length."),
        "squares summed": (edit("@ z_e", "@ (z_e**2)"),
            "You add up the squares of the vectors.",
            "For a mean, the vectors themselves are added up."),
    },
    right={
        "segment_sum": edit(
            "one_hot.sum(axis=0)", "jax.ops.segment_sum(jnp.ones(indices.size), indices.reshape(-1), num_codes)",
            "one_hot.T @ z_e", "jax.ops.segment_sum(z_e", "[-1])", "[-1]), indices.reshape(-1), num_codes)",
        ),
        "bincount and scatter":
            lambda z, i, k: (jnp.bincount(i.reshape(-1), length=k), jnp.zeros((k, z.shape[-1])).at[i].add(z)),
        "einsum over a map": lambda z, i, k: (
            jnp.einsum("...k->k", jax.nn.one_hot(i, k)),
            jnp.einsum("...k,...d->kd", jax.nn.one_hot(i, k), z),
        ),
        "numpy": edit("jax.nn.one_hot(indices.reshape(-1), num_codes)", "np.eye(num_codes)[np.ravel(indices)]"),
        "loop over codes": lambda z, i, k: (
            jnp.stack([jnp.sum(i == code) for code in range(k)]),
            jnp.stack([jnp.sum(jnp.where((i == code)[..., None], z, 0), axis=range(i.ndim)) for code in range(k)]),
        ),
        "jitted": decorated("(lambda f: jax.jit(f, static_argnums=2))"),
    },
    hints=(
        "Flatten first: z_e to [N, D], indices to [N]. Then it is a list, whatever the shape was.",
        "One-hot rows, [N, K], say which vector chose which code. Their sum over N is one result; a product with z_e "
        "gives the other.",
        "`one_hot.sum(axis=0)` is [K], and `one_hot.T @ z_e` is [K, D].",
    ),
)  # fmt: skip

smooth_counts = exercise(
    "ema.smooth_counts",
    can="It keeps every count above 0, so that no code is divided by nothing.",
    kind="transcription", importance=2, difficulty=1, minutes=5,
    stuck="Try it for the counts [0, 4]: what should their sum be afterwards?",
    wrong={
        "total not kept": (lambda c, e: c + e,
            "You add epsilon, so the total has grown by K epsilon.",
            "Scale back, so that the counts sum to what they summed to before."),
        "shares in place of counts": (edit(" * total", ""),
            "The result sums to 1: it was not scaled back to the total.",
            "Multiply by the total that the counts had."),
        "clipped, not smoothed": (lambda c, e: jnp.maximum(c, e),
            "You raise small counts to epsilon and leave the rest as it is.",
            "Laplace smoothing gives epsilon to every code, then scales all of them."),
        "epsilon counted once": (edit("len(counts) * ", ""),
            "The total is off: epsilon was added to every code but counted once when scaling back.",
            "How much did the K codes get in total?"),
        "scaled to the number of codes": (edit(" * total", " * len(counts)"),
            "The result sums to K; it should sum to what the counts summed to.",
            "The total is the number of vectors, not of codes."),
        "not smoothed": (lambda c, e: c, lambda c, e: c / c.sum() * c.sum(),
            "You return the counts as they came: a code with count 0 would divide by 0.",
            "Give every code epsilon first."),
        "epsilon shared out": (lambda c, e: (c + e / len(c)) / (c.sum() + e) * c.sum(),
            "Each code gets epsilon / K; every one should get epsilon.",
            "Every single code gets epsilon."),
        "only empty codes get epsilon": (lambda c, e: (lambda s: s / s.sum() * c.sum())(jnp.where(c == 0, e, c)),
            lambda c, e: jnp.where(c == 0, e, c),
            "Epsilon goes to codes with count 0 alone, so a count of 0.0001 ends up below one of 0.",
            "Give epsilon to every code."),
        "epsilon times the total": (lambda c, e: (c + e * c.sum()) / (1 + len(c) * e),
            "Epsilon is scaled by the total before it is added.",
            "Epsilon is itself a count: add it as it is."),
    },
    right={
        "numpy": lambda c, e: (np.asarray(c) + e) * (np.sum(c) / (np.sum(c) + len(c) * e)),
        "rescaled by its own sum": lambda c, e: (c + e) / jnp.sum(c + e) * jnp.sum(c),
        "a mixture of shares and the uniform": lambda c, e: (
            c.sum() * (lambda w: (1 - w) * c / c.sum() + w / len(c))(len(c) * e / (c.sum() + len(c) * e))
        ),
        "softmax of logarithms": lambda c, e: jnp.sum(c) * jax.nn.softmax(jnp.log(c + e)),
        "jitted": decorated("jax.jit"),
    },
    hints=(
        "First give every code epsilon. How large is the total now, and how large was it?",
        "Divide by the new total and multiply by the old one. With K codes the new total is n + K epsilon.",
    ),
)  # fmt: skip

_MEANS = "batch_sums / jnp.maximum(batch_counts, 1)[:, None]"
_DIVISION = "sums / smooth_counts(counts, epsilon)[:, None]"


def _by_hand(counts, sums, z_e, indices, decay, epsilon):
    counts, sums = list(counts), list(sums)
    for k in range(len(counts)):
        mine = indices == k
        counts[k] = decay * counts[k] + (1 - decay) * mine.sum()
        sums[k] = decay * sums[k] + (1 - decay) * z_e[mine].sum(axis=0)
    n, k = sum(counts), len(counts)
    codebook = [sums[i] / ((counts[i] + epsilon) / (n + k * epsilon) * n) for i in range(k)]
    return jnp.stack(counts), jnp.stack(sums), jnp.stack(codebook)


update_codebook = exercise(
    "ema.update_codebook",
    can="It moves a codebook towards the mean of its vectors, without a gradient.",
    kind="transcription", importance=3, difficulty=2, minutes=8,
    stuck="Write down the shape of everything you have and everything you need, and begin with the counts alone.",
    wrong={
        "decay and its rest swapped": (edit("    batch_counts,", "    decay = 1 - decay\n    batch_counts,"),
            "The past has the weight 1 - decay and the batch has decay: with 0.99 the codes would jump to every new "
            "batch.",
            "Decay is the share of the past that is kept."),
        "batch added at full weight": (edit("(1 - decay) * ", "", times=2),
            "The batch is added at full weight, so counts and sums grow far above those of one batch.",
            "The two weights of a running mean sum to 1."),
        "nothing fades": (edit("= decay * ", "= ", times=2), edit("= decay * ", "= ", "(1 - decay) * ", "", times=2),
            "The past is kept whole and the batch added: codes become slower and slower.",
            "The two weights of a running mean sum to 1."),
        "running mean of batch means": (edit("(1 - decay) * batch_sums", f"(1 - decay) * {_MEANS}"),
            edit("    counts =", f"    mean = decay * sums / counts[:, None] + (1 - decay) * {_MEANS}\n    counts =",
                _DIVISION, "mean"),
            "You average the means of batches, and a code that no vector chose has a mean of 0: it drifts to the "
            "origin.",
            "Average counts and sums separately, and divide at the end."),
        "smoothed counts kept": (edit("return counts", "return smooth_counts(counts, epsilon)"),
            "The counts come back smoothed; epsilon would be added again at every step.",
            "Smooth only for the division."),
        "divided by unsmoothed counts": (edit("smooth_counts(counts, epsilon)", "counts"),
            "Counts and sums are right, but the sums are divided by counts that were not smoothed.",
            "A code whose count has faded would be divided by nearly nothing."),
        "epsilon added, total not kept": (edit("smooth_counts(counts, epsilon)", "(counts + epsilon)"),
            "The counts are right, but you divide by counts that have grown by epsilon: every code is pulled to the "
            "origin.",
            "Use your smooth_counts."),
        "the batch alone": (edit(_DIVISION, "batch_sums / smooth_counts(batch_counts, epsilon)[:, None]"),
            edit(_DIVISION, _MEANS),
            "The codebook is made of this batch alone; you do not use the running sums and counts.",
            "Divide what you return: the running sums by the running counts."),
        "old counts divide new sums": (
            edit("    counts =", "    old = counts\n    counts =", "smooth_counts(counts", "smooth_counts(old"),
            "The new sums are divided by the counts from before the update.",
            "Sums and counts have to be from the same step."),
        "the codebook of before": (
            edit("    counts =", f"    old = {_DIVISION}\n    counts =", f", {_DIVISION}", ", old"),
            "Counts and sums are right, but you compute the codebook from the ones that were passed in.",
            "Update first, then divide."),
        "unchosen codes do not fade": (
            edit("    counts =", "    decay = jnp.where(batch_counts > 0, decay, 1.0)\n    counts =",
                "decay * sums + (1 - decay)", "decay[:, None] * sums + (1 - decay[:, None])"),
            "The counts of codes that no vector chose stay as they were, so nothing ever shows that a code is dead.",
            "A batch without a vector for a code counts as well: as 0."),
        "shares in place of counts": (edit("* batch_counts", "* batch_counts / indices.size"),
            "The batch's counts are divided by the number of vectors, and its sums are not.",
            "Counts and sums have to be about the same vectors."),
        "debiased": (edit("return counts, sums,", "return counts / (1 - decay), sums / (1 - decay),"),
            "Counts and sums are divided by 1 - decay. The codebook stays the same, because both are divided; the "
            "state does not.",
            "Debiasing is for averages that start at 0. Yours start at one vector per code."),
        "order of the three": (edit("return counts, sums, ", "return sums, counts, "),
            edit("return counts, sums, ", "return ", "[:, None]", "[:, None], counts, sums"),
            edit("return counts, sums, ", "return counts, ", "[:, None]", "[:, None], sums"),
            "The three results are in another order.",
            "counts, sums, codebook."),
    },
    right={
        "a step towards the batch":
            edit("decay * counts + (1 - decay) * batch_counts", "counts + (1 - decay) * (batch_counts - counts)",
                "decay * sums + (1 - decay) * batch_sums", "sums + (1 - decay) * (batch_sums - sums)"),
        "a matrix product at the end": edit(_DIVISION, "jnp.diag(1 / smooth_counts(counts, epsilon)) @ sums"),
        "code by code": _by_hand,
        "jitted": decorated("jax.jit"),
        "segment_sum": edit(
            "batch_statistics(z_e, indices, len(counts))",
            "(jax.ops.segment_sum(x.reshape(indices.size, -1), indices.ravel(), len(counts)).squeeze() "
            "for x in (jnp.ones(indices.size), z_e))",
        ),
        "epsilon written out":
            edit(_DIVISION, "sums * (1 + counts.size * epsilon / counts.sum()) / (counts + epsilon)[:, None]"),
    },
    hints=(
        "Your batch_statistics gives counts and sums of this batch. How much of the past is kept?",
        "new = decay * old + (1 - decay) * batch, for counts and for sums.",
        "The codebook is sums / smooth_counts(counts, epsilon)[:, None], with the new sums and counts.",
    ),
)  # fmt: skip

# Found by watching a code that nobody chose: the published slip starts the sums at the codebook, the counts at nothing.
repair_start = exercise(
    "ema.repair_start",
    can="It begins a running mean in which a code that no vector chooses stays where it is.",
    kind="debugging", importance=3, difficulty=1, minutes=4,
    stuck="Ask where a code ends up if no vector chooses it for a hundred batches, and work back to the first.",
    wrong={
        "counts at zero": (lambda c: (jnp.zeros(len(c)), c),
            "The sums begin at the codebook, the counts at 0: the sum of a code that no vector chose is divided by "
            "nearly nothing.",
            "If the sum of some vectors is the code itself, how many vectors must that be?"),
        "both at zero": (lambda c: (jnp.zeros(len(c)), jnp.zeros_like(c)),
            "Nothing explodes now, but a code that no vector chose is 0 divided by nearly 0: it lands on the origin.",
            "Before the first batch, sums divided by counts should be the codebook."),
        "sums at zero": (lambda c: (jnp.ones(len(c)), jnp.zeros_like(c)),
            "The counts say that each code has one vector, and the sums say that this vector is at the origin.",
            "Before the first batch, sums divided by counts should be the codebook."),
        "a tiny count": (*(lambda c, e=e: (jnp.full(len(c), e), c) for e in (1e-5, 1e-6, 1e-4, 1e-3, 1e-2)),
            "The counts are no longer 0, but so small that sums divided by counts are far away from the codebook.",
            "If the sum of some vectors is the code itself, how many vectors must that be?"),
        "one vector in all": (lambda c: (jnp.full(len(c), 1 / len(c)), c),
            "All codes together stand for one vector, while each sum is a whole code.",
            "One vector for each code, then."),
        "a lighter or heavier start": (
            *(lambda c, n=n: (jnp.full(len(c), n), n * c) for n in (10.0, 1 / 6, 0.01, 0.1, 100.0)),
            "Sums divided by counts are the codebook, so nothing jumps; but each code stands for more or less than "
            "one vector.",
            "One vector for each code: the more there are, the longer it takes to learn from real ones."),
        "counts of the wrong shape": (lambda c: (jnp.ones((len(c), 1)), c), lambda c: (jnp.ones_like(c), c),
            "The counts are a column; they should have one number for each code, [K].",
            "Take jnp.ones, with the length of the codebook."),
        "the two swapped": (lambda c: (c, jnp.ones(len(c))),
            "Counts and sums are swapped.",
            "The counts come first."),
    },
    right={
        "full_like": lambda c: (jnp.full_like(c[:, 0], 1), jnp.array(c)),
        "counts from the sums": lambda c: (jnp.ones(c.shape[0]), c * jnp.ones(c.shape[0])[:, None]),
        "each code is a batch of its own": edit(
            "jnp.ones(len(codebook)), codebook", "batch_statistics(codebook, jnp.arange(len(codebook)), len(codebook))"
        ),
        "numpy": lambda c: (np.ones(len(c), np.float32), np.asarray(c)),
        "jitted": decorated("jax.jit"),
    },
    hints=(
        "Look at a code that no vector chose. After one step its sum is 0.99 of what it was. And its count?",
        "The codebook is sums / counts. What must the counts be at the start, when the sums are the codebook?",
    ),
)  # fmt: skip


class _AtConstruction(hk.Module):
    """State made when the layer is, one-hot products throughout, decay through optax's form of the average."""

    def __init__(self, num_codes, code_dim, decay=0.99, epsilon=1e-5, name=None):
        super().__init__(name=name)
        self.decay, self.epsilon = decay, epsilon
        self.codebook = hk.get_state("codebook", [num_codes, code_dim], init=hk.initializers.VarianceScaling())
        self.counts = hk.get_state("counts", [num_codes], init=jnp.ones)
        self.sums = hk.get_state("sums", [num_codes, code_dim], init=lambda *_: self.codebook)

    def __call__(self, z_e, is_training):
        distances = jnp.sum(self.codebook**2, -1) - 2 * z_e @ self.codebook.T
        one_hot = jax.nn.one_hot(jnp.argmin(distances, -1), len(self.codebook))
        codes = one_hot @ self.codebook
        if is_training:
            rows, z = one_hot.reshape(-1, len(self.codebook)), sg(z_e).reshape(-1, z_e.shape[-1])
            counts = self.counts + (1 - self.decay) * (rows.sum(0) - self.counts)
            sums = self.sums + (1 - self.decay) * (rows.T @ z - self.sums)
            n = counts.sum()
            hk.set_state("counts", counts)
            hk.set_state("sums", sums)
            smoothed = (counts + self.epsilon) / (n + counts.size * self.epsilon) * n
            hk.set_state("codebook", sums / smoothed[:, None])
        return dict(z_q=sg(codes) + (z_e - sg(z_e)), codes=codes, indices=jnp.argmax(one_hot, -1))


_INIT = "hk.initializers.RandomUniform(-0.05, 0.05)"
_NAMES = '("counts", "sums", "codebook")'
_LOOK_UP_AGAIN = """\
            indices = nearest_code(z_e, after[2])
            codes = look_up(indices, after[2])
        return {"""

ema_vector_quantizer = exercise(
    "ema.EMAVectorQuantizer",
    can="It quantizes, and while training it moves its own codebook.",
    kind="transcription", importance=3, difficulty=3, minutes=12,
    stuck="First write it without any update, until its values pass; then add the state.",
    wrong={
        "update before look-up": (edit("        return {", _LOOK_UP_AGAIN),
            edit("        return {", _LOOK_UP_AGAIN.replace("after[2]", "jax.lax.stop_gradient(after[2])")),
            "In training, you look vectors up in the codebook after the update: one step ahead of evaluation.",
            "Look up with the codebook as it was; what you set is for the next batch."),
        "updates at evaluation": (edit("if is_training:", "if True:"),
            "Looking at test images moves the codebook.",
            "What does is_training say?"),
        "never updates": (edit("if is_training:", "if False:"),
            "The state is the same after a training step as before: nothing was set.",
            "hk.set_state keeps a value for the next call."),
        "is_training turned round": (edit("if is_training:", "if not is_training:"),
            "The codebook stays as it is in training and moves at evaluation.",
            "Which of the two should change the state?"),
        "only the codebook is kept": (edit(f"{_NAMES}, after", '["codebook"], after[2:]'),
            "The codebook is set and counts and sums are not: the next step starts from the old ones.",
            "All three belong to the state."),
        "the codebook is not kept": (edit(f"{_NAMES}, after", '["counts", "sums"], after[:2]'),
            "Counts and sums are set, but the codebook stays where it was.",
            "All three belong to the state."),
        "the codebook is trained": (edit('get_state("codebook"', 'get_parameter("codebook"',
                f"{_NAMES}, after", '["counts", "sums"], after[:2]'),
            "The codebook is a parameter, so an optimizer would move it as well.",
            "hk.get_state, not hk.get_parameter: nothing in this layer is trained."),
        "counts at zero": (edit("repair_start(codebook)", "jnp.zeros(len(codebook)), codebook"),
            "The counts begin at 0 and the sums at the codebook: a code that no vector chooses explodes.",
            "You wrote the right start in the exercise above."),
        "both at zero": (edit("repair_start(codebook)", "jnp.zeros(len(codebook)), jnp.zeros_like(codebook)"),
            "Counts and sums begin at 0: a code that the first batch leaves out becomes 0.",
            "You wrote the right start in the exercise above."),
        "sums at zero": (edit("repair_start(codebook)", "jnp.ones(len(codebook)), jnp.zeros_like(codebook)"),
            edit("repair_start(codebook)", "jnp.ones(len(codebook)), codebook[::-1]"),
            "The counts begin at 1 and the sums at 0: every code starts to move to the origin.",
            "Sums divided by counts should be the codebook from the start."),
        "state only when training": (
            edit("counts = hk.", "counts = is_training and hk.", "sums = hk.", "sums = is_training and hk."),
            "When the network is initialised for evaluation, counts and sums are missing: the state would change its "
            "structure at the first training step.",
            "Ask for all of the state first, and look at is_training only after that."),
        "all codes start alike": (edit(_INIT, "jnp.zeros"), edit(_INIT, "jnp.ones"),
            "Every code starts at the same place, so index 0 wins every tie and the others are dead from the start.",
            "Give hk.get_state an initializer that spreads the rows."),
        "state under other names": (
            edit('"counts"', '"cluster_size"', '"sums"', '"ema_dw"', '"codebook"', '"embeddings"', times=2),
            edit('"counts"', '"N"', '"sums"', '"m"', '"codebook"', '"e"', times=2),
            edit('"codebook"', '"embeddings"', times=2),
            'The layer works, but its state is not called "counts", "sums" and "codebook".',
            "Pictures, revival and the check look for those names."),
        "no straight-through": (edit("straight_through(z_e, codes)", "codes"),
            "z_q is the code itself: the decoder's gradient ends here, and the encoder never learns.",
            "Pass z_e and the codes through straight_through."),
        "codes after straight-through": (edit('"codes": codes', '"codes": straight_through(z_e, codes)'),
            "`codes` is the straight-through output: a commitment loss on it has a value but pulls nothing.",
            "`codes` are the rows as looked up."),
        "decay is a constant": (edit("indices, self.decay", "indices, 0.99"),
            "The layer ignores the decay it is given.",
            "Keep the argument in __init__ and pass it to update_codebook."),
        "epsilon is a constant": (edit("self.epsilon)", "1e-5)"),
            "The layer ignores the epsilon it is given.",
            "Keep the argument in __init__ and pass it to update_codebook."),
        "indices left out": (edit(', "indices": indices', ""),
            "The indices are missing from what you return.",
            'Return all three: "z_q", "codes" and "indices".'),
    },
    right={
        "state made at construction": _AtConstruction,
        "no gradient in the update": edit("sums, z_e, indices", "sums, jax.lax.stop_gradient(z_e), indices"),
        "wider start": edit(_INIT, "hk.initializers.RandomUniform(-1.0, 1.0)"),
        "normal start": edit(_INIT, "hk.initializers.RandomNormal()"),
        "update always computed":
            edit("        if is_training:\n            after", "        after", "            for", "        for",
                "                hk.set", "            if is_training:\n                hk.set"),
    },
    hints=(
        "Three pieces of state: codebook, counts, sums. hk.get_state takes a name, a shape, a dtype and init=.",
        "In order: get all state; nearest_code and look_up with it; when training, update_codebook, and set all three.",
        'A start from another array: `hk.get_state("sums", codebook.shape, init=lambda shape, dtype: codebook)`.',
    ),
)  # fmt: skip


def _by_sorting(key, counts, sums, codebook, z_e, threshold):
    """Dead codes first, each with the next of the shuffled vectors, written with scatter."""
    z = jax.random.permutation(key, z_e.reshape(-1, z_e.shape[-1]))
    order = jnp.argsort(counts >= threshold)
    fresh = jnp.zeros_like(codebook).at[order].set(z[jnp.arange(len(codebook)) % len(z)])
    dead = (counts < threshold)[:, None]
    return (
        jnp.where(dead[:, 0], jnp.ones_like(counts), counts),
        dead * fresh + ~dead * sums,
        jax.lax.select(jnp.broadcast_to(dead, fresh.shape), fresh, codebook),
    )


_COUNTS, _SUMS = "    counts = jnp.where(dead, 1.0, counts)\n", "jnp.where(dead[:, None], fresh, sums)"
_SHUFFLED, _FRESH = "jax.random.permutation(key, len(rows))", "rows[shuffled[jnp.arange(len(counts)) % len(rows)]]"

restart_dead_codes = exercise(
    "ema.restart_dead_codes",
    can="It gives every dead code a new start on a different vector, also inside jit.",
    kind="decision", importance=3, difficulty=3, minutes=12,
    stuck="Do it with a Python loop over the codes; when it is right, ask which array the loop fills.",
    wrong={
        "counts not reset": (edit(_COUNTS, ""),
            "A restarted code keeps its count, so it is dead again at the next step, and is restarted over and over.",
            "It starts afresh, as if one vector had chosen it."),
        "sums not reset": (edit(_SUMS, "sums"),
            "A restarted code keeps its old sums, so the next update throws it back to where it was.",
            "Its sum divided by its count should be the code, right from the restart."),
        "only the codebook changes": (edit(_COUNTS, "", _SUMS, "sums"),
            "The codes move, but counts and sums are still the old ones: the next update undoes it all.",
            "To restart a running mean, restart its count and its sum."),
        "one place for all": (edit(_SHUFFLED, "jnp.tile(jax.random.randint(key, (), 0, len(rows)), len(rows))"),
            edit(_SHUFFLED, "jnp.zeros(len(rows), int)"),
            "All dead codes are put on the same vector; when several codes are in one place, only the first is ever "
            "chosen.",
            "Each needs a different vector."),
        "drawn with replacement": (edit(_FRESH, "rows[jax.random.randint(key, (len(counts),), 0, len(rows))]"),
            "Two codes can be put on the same vector: rows are drawn independently of each other.",
            "Shuffle the rows and take them in turn, or draw without replacement."),
        "always the same vectors": (edit(_SHUFFLED, "jnp.arange(len(rows))"),
            edit("permutation(key", "permutation(jax.random.key(0)"),
            "The key is not used: the first vectors of the batch are taken, which are the corners of the first image.",
            "Let the key choose the rows."),
        "noise in place of vectors": (edit(_FRESH, "jax.random.normal(key, codebook.shape)"),
            edit(_FRESH, "jax.random.uniform(key, codebook.shape, minval=-0.05, maxval=0.05)"),
            "Dead codes are put on random points; there are few vectors there, so they will die again.",
            "Put them where the encoder's outputs are."),
        "everybody restarts": (edit("counts < threshold", "counts < jnp.inf"),
            "Living codes are moved as well, so everything they had learned is lost.",
            "Move only codes whose count is below the threshold."),
        "the living restart": (edit("counts < threshold", "counts >= threshold"),
            edit("counts < threshold", "counts > threshold"),
            "The comparison is the other way round: the codes in use are moved, and the dead stay.",
            "A code is dead if its count is below the threshold."),
        "dead at the threshold": (edit("counts < threshold", "counts <= threshold"),
            "A code whose count is exactly the threshold is restarted; only those below it are dead.",
            "Below, or at most?"),
        "counts reset to zero": (edit("(dead, 1.0", "(dead, 0.0"),
            "A restarted code has count 0: its sum is divided by nearly nothing, and it is dead again at once.",
            "Start it as if one vector had chosen it."),
        "every count reset": (edit("jnp.where(dead, 1.0, counts)", "jnp.ones_like(counts)"),
            "The counts of the living are set to 1 as well.",
            "Only what belongs to dead codes changes."),
        "every sum reset": (edit(_SUMS, "fresh"),
            "The sums of the living change as well.",
            "Only what belongs to dead codes changes."),
        "near a vector, not on it": (edit(_FRESH, f"{_FRESH} + 0.01 * jax.random.normal(key, codebook.shape)"),
            "You add noise to the vectors; here a code should become a row of z_e as it is.",
            "The rows are different already, so they need no noise."),
    },
    right={
        "numbered rows":
            edit(_FRESH, "jnp.take(rows, shuffled, axis=0, mode='wrap')[jnp.arange(len(counts)) % len(rows)]"),
        "sorting and scatter": _by_sorting,
        "choice without replacement, repeated": edit(
            _FRESH,
            "jnp.tile(jax.random.choice(key, rows, (min(len(counts), len(rows)),), replace=False), "
            "(-(-len(counts) // len(rows)), 1))[:len(counts)]",
        ),
        "largest of random numbers": edit(_SHUFFLED, "jnp.argsort(-jax.random.uniform(key, (len(rows),)))"),
        "jitted": decorated("jax.jit"),
    },
    hints=(
        "Three steps: find the dead codes; choose a vector for each code, with the key; put them in with jnp.where.",
        "`jax.random.permutation(key, len(vectors))` shuffles row numbers; take as many as there are codes, and with "
        "`% len(vectors)` there are always enough.",
        "jnp.where(dead[:, None], fresh, codebook); likewise the sums, and jnp.where(dead, 1.0, counts).",
    ),
)  # fmt: skip


def _pairs(score, rise=None):
    """Choose the pair with the least score(n, m, squared distance), and return its rise, by default the score."""

    def answer(counts, codebook):
        counts, codebook = np.asarray(counts, float), np.asarray(codebook, float)
        pairs = [(i, j) for j in range(len(counts)) for i in range(j)]
        of = lambda pair, f: f(*counts[list(pair)], np.sum(np.subtract(*codebook[list(pair)]) ** 2))  # noqa: E731
        best = min(pairs, key=lambda pair: of(pair, score))
        return *best, of(best, rise or score)

    return answer


def _ward(n, m, d):
    return n * m / max(n + m, 1) * d


def _as_arrays(counts, codebook):
    counts, codebook = jnp.asarray(counts), jnp.asarray(codebook)
    apart = jnp.sum((codebook[:, None] - codebook) ** 2, axis=-1)
    rise = counts[:, None] * counts * apart / jnp.maximum(counts[:, None] + counts, 1)
    rise = jnp.where(jnp.tri(len(counts)) > 0, jnp.inf, rise)
    i, j = jnp.unravel_index(jnp.argmin(rise), rise.shape)
    return i, j, rise[i, j]


def _by_moving(n, m, d):
    """What the vectors of both pay when their codes move to the mean, each along its part of the way."""
    return n * d * (m / max(n + m, 1)) ** 2 + m * d * (n / max(n + m, 1)) ** 2


def _as_a_mean_of_squares(n, m, d):
    """The variance of a coin that falls n times on one code and m times on the other, for all n + m."""
    share = n / max(n + m, 1)
    return (n + m) * share * (1 - share) * d


cheapest_merge = exercise(
    "ema.cheapest_merge",
    can="It makes a codebook smaller by one code, at the least cost: Ward's criterion, from 1963.",
    kind="puzzle", importance=1, difficulty=3, minutes=20,
    stuck="Put 3 vectors on the code 0 and 1 vector on the code 4. Where is their mean, and what is the "
    "squared error of the four now?",
    wrong={
        "the nearest two": (_pairs(lambda n, m, d: d), _pairs(lambda n, m, d: d, _ward),
            "You merge the two codes that are nearest to each other, however many vectors each of them has.",
            "Two codes lie close together and serve half of all vectors. Who pays?"),
        "the two rarest": (_pairs(lambda n, m, d: n + m, _ward), _pairs(lambda n, m, d: n + m),
            "You merge the two codes that are chosen least, however far apart they are.",
            "Two rare codes at opposite ends: where would their mean be?"),
        "product of the counts": (_pairs(lambda n, m, d: n * m * d),
            "The product of both counts grows too fast: twice the vectors should pay twice as much.",
            "How far does each code move to the common mean?"),
        "everybody pays the whole way": (_pairs(lambda n, m, d: (n + m) * d),
            "You let all vectors pay the whole distance between the codes; the new code lies in between.",
            "How far does each code move to the common mean?"),
        "half way": (_pairs(lambda n, m, d: (n + m) / 4 * d), _pairs(_ward, lambda n, m, d: (n + m) / 4 * d),
            "You put the new code half way between the two. The mean lies nearer to the code with more vectors.",
            "Where is the mean of 3 vectors at 0 and one at 4?"),
        "the rarer one moves over": (_pairs(lambda n, m, d: min(n, m) * d),
            "You give the rarer code's vectors to the other code, which stays where it is; it may move to the mean.",
            "Which place of the common code is the cheapest?"),
        "distance, not its square": (_pairs(lambda n, m, d: n * m / max(n + m, 1) * d**0.5),
            "You use distances; they should be squared errors.",
            "What does the error of a vector grow with, when its code moves away?"),
        "a mean, not a sum": (_pairs(_ward, lambda n, m, d: _ward(n, m, d) / max(n + m, 1)),
            "The pair is right, and the rise is divided by the number of vectors.",
            "It should be the sum of squared errors."),
        "larger index first": (edit("return i, j, rises", "return j, i, rises"),
            "The two codes are right, but in the other order.",
            "The smaller index comes first."),
    },
    right={
        "arrays": _as_arrays,
        "by moving": _pairs(_by_moving),
        "the variance of a coin": _pairs(_as_a_mean_of_squares),
        "in single precision": lambda counts, codebook: (
            lambda i, j, rise: (np.int32(i), np.int32(j), np.float32(rise))
        )(*_pairs(_ward)(counts, codebook)),
    },
    hints=(
        "The mean of n vectors at a and m at b lies at (n a + m b) / (n + m). How far is that from a, and from b?",
        "n vectors move by m / (n + m) of the way, m by n / (n + m). Square, multiply by how many they are, and add.",
    ),
)  # fmt: skip
