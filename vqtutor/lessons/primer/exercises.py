"""Lesson 00b: what goes wrong in its exercises, what else is right, and what helps."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.lax import stop_gradient as sg

from vqtutor.lessons.entries import decorated, edit, exercise

all_differences = exercise(
    "primer.all_differences",
    can="It subtracts every centre from every point at once, without a loop.",
    kind="transcription", importance=3, difficulty=1, minutes=4,
    stuck="Write the two shapes below each other, right-aligned, and put a 1 where an axis is missing.",
    wrong={
        "centres along the rows": (edit("points[:, None] - centres", "points - centres[:, None]"),
            "The array is [K, N, D]: the rows belong to the centres. It should be [N, K, D].",
            "Which of the two arrays needs the new axis, and where?"),
        "centres minus points": (edit("points[:, None] - centres", "centres - points[:, None]"),
            "Every sign is the wrong way round: this is centre minus point.",
            "It should be point minus centre."),
        "in pairs": (lambda points, centres: points - jnp.resize(centres, points.shape),
            lambda points, centres: points[: len(centres)] - centres[: len(points)],
            "Each point is combined with only one centre, the one in the same row.",
            "[N, D] and [N, D] are subtracted row by row. How many results should there be for each point?"),
        "absolute differences": (edit("points[:, None] - centres", "jnp.abs(points[:, None] - centres)"),
            "The signs are gone: a difference may be negative.",
            "All you need is a subtraction."),
        "squared": (edit("points[:, None] - centres", "(points[:, None] - centres) ** 2"),
            "These are squares of the differences.",
            "All you need is a subtraction."),
        "summed over the dimensions": (edit("points[:, None] - centres", "(points[:, None] - centres).sum(-1)"),
            edit("points[:, None] - centres", "((points[:, None] - centres) ** 2).sum(-1)"),
            "The last axis is summed away: the result is [N, K].",
            "All D differences of a pair should stay, in an axis of their own."),
        "one long list": (edit("points[:, None] - centres", "(points[:, None] - centres).reshape(-1, points.shape[1])"),
            "The numbers are right, but points and centres share one axis, [N * K, D].",
            "The result has three axes: points, centres, dimensions."),
        "dimensions in the middle": (edit("points[:, None] - centres", "(points[:, None] - centres).swapaxes(1, 2)"),
            edit("points[:, None] - centres", "points[..., None] - centres.T"),
            "The array is [N, D, K]: the dimensions come before the centres.",
            "The last axis is D, the one that points and centres share."),
        "sum of both": (edit("- centres", "+ centres"),
            "You add the centres; they should be subtracted.",
            "Look at the sign."),
    },
    right={
        "reshape": edit("points[:, None]", "points.reshape(len(points), 1, -1)"),
        "expand_dims": edit("points[:, None]", "jnp.expand_dims(points, 1)"),
        "both axes said": edit("- centres", "- centres[None, :, :]"),
        "vmap over points": jax.vmap(lambda point, centres: point - centres, (0, None)),
        "numpy": lambda points, centres: np.asarray(points)[:, None] - np.asarray(centres),
        "a loop": lambda points, centres: jnp.stack([point - centres for point in points]),
        "jitted": decorated("jax.jit"),
    },
    hints=(
        "Axes are matched from the right, and an axis of length 1 is repeated as often as needed.",
        "[N, 1, D] minus [K, D] is [N, K, D]: each point is repeated for all of the centres.",
    ),
)  # fmt: skip

_MEAN = "jnp.sum(weights * values) / jnp.sum(weights)"

weighted_mean = exercise(
    "primer.weighted_mean",
    can="It averages, and its gradient reaches the values and leaves the weights alone.",
    kind="transcription", importance=3, difficulty=2, minutes=6,
    stuck="First get the value right; then ask jax.grad for the gradient to the weights and make it vanish.",
    wrong={
        "a gradient reaches the weights": (edit("    weights = jax.lax.stop_gradient(weights)\n", ""),
            "The value is right, but the weights get a gradient as well.",
            "stop_gradient(x) has the value of x and the gradient of a constant. What should be a constant here?"),
        "only the numerator held": (
            edit("    weights = jax.lax.stop_gradient(weights)\n", "", "weights * values",
                "jax.lax.stop_gradient(weights) * values"),
            "A gradient still reaches the weights, through the sum in the denominator.",
            "The weights occur twice. Hold them constant in both places, or once, before both."),
        "only the denominator held": (
            edit("    weights = jax.lax.stop_gradient(weights)\n", "", "/ jnp.sum(weights)",
                "/ jax.lax.stop_gradient(jnp.sum(weights))"),
            "A gradient still reaches the weights, through the product in the numerator.",
            "The weights occur twice. Hold them constant in both places, or once, before both."),
        "the values held": (
            edit("weights = jax.lax.stop_gradient(weights)", "values = jax.lax.stop_gradient(values)"),
            "You hold the values constant; it should be the weights.",
            "Which of the two should get no gradient?"),
        "everything held": (edit(_MEAN, f"jax.lax.stop_gradient({_MEAN})"),
            "No gradient comes through at all: the whole result is a constant.",
            "Hold only the weights constant, not what you compute from them and the values."),
        "not divided by the weights": (edit(" / jnp.sum(weights)", ""),
            "This is a sum: weights that are twice as large would give a mean twice as large.",
            "Divide by what the weights add up to."),
        "divided by how many there are": (edit("/ jnp.sum(weights)", "/ len(values)"),
            "You divide by N, which is right only if the weights add up to N.",
            "Divide by what the weights add up to."),
        "weights ignored": (edit(_MEAN, "jnp.mean(values) + 0 * jnp.sum(weights)"), edit(_MEAN, "jnp.mean(values)"),
            "Every value counts the same: the weights have no effect.",
            "Multiply each value by its weight before you add."),
        "each weighted value by itself": (edit(_MEAN, "weights * values / jnp.sum(weights)"),
            "You return a number for each value; their sum is the mean.",
            "A mean is one number."),
        "a softmax of the weights": (edit(_MEAN, "jnp.sum(jax.nn.softmax(weights) * values)"),
            "The weights go through a softmax; use them as they are.",
            "A weight of 2 should count twice as much as a weight of 1."),
    },
    right={
        "shares first": edit(_MEAN, "jnp.sum(weights / jnp.sum(weights) * values)"),
        "held in both places": lambda values, weights: jnp.sum(sg(weights) * values) / jnp.sum(sg(weights)),
        "jnp.average": lambda values, weights: jnp.average(values, weights=sg(weights)),
        "dot": lambda values, weights: jnp.dot(sg(weights / jnp.sum(weights)), values),
        "jitted": decorated("jax.jit"),
        "vjp by hand": lambda values, weights: _by_hand(values, weights),
    },
    hints=(
        "First write the mean as usual. Then ask where a gradient can reach the weights.",
        "`weights = jax.lax.stop_gradient(weights)` in the first line makes them a constant in everything that "
        "follows.",
    ),
)  # fmt: skip


@jax.custom_vjp
def _by_hand(values, weights):
    return jnp.sum(weights * values) / jnp.sum(weights)


_by_hand.defvjp(
    lambda values, weights: (_by_hand(values, weights), weights),
    lambda weights, g: (g * weights / jnp.sum(weights), jnp.zeros_like(weights)),
)

_KEEP = "jax.random.bernoulli(key, 1 - share, x.shape)"

drop_some = exercise(
    "primer.drop_some",
    can="It drops numbers at random, repeats itself with the same key, and runs under jit.",
    kind="decision", importance=2, difficulty=2, minutes=6,
    stuck="Draw a few hundred numbers with share 0.25 and look at how many are 0, and at the mean of all.",
    wrong={
        "keeps the share": (edit("1 - share, x.shape", "share, x.shape"),
            "`share` is what you keep; it should be what you drop.",
            "With a share of 0.25, three numbers out of four stay."),
        "not divided": (edit("x / (1 - share)", "x"),
            "What stays is as large as before, so the sum shrinks, on average, by the share that is dropped.",
            "Divide the others by 1 - share."),
        "multiplied": (edit("x / (1 - share)", "x * (1 - share)"),
            "You multiply what stays; divide it instead, to make up for what is gone.",
            "A quarter of the numbers is gone. Should the others become smaller or larger?"),
        "divided by the share": (edit("x / (1 - share)", "x / share"),
            "You divide by the share that is dropped.",
            "Divide by the share that stays."),
        "a key of its own": (edit("bernoulli(key,", "bernoulli(jax.random.key(0),"),
            edit("bernoulli(key,", "bernoulli(jax.random.key(1),"),
            edit("bernoulli(key,", "bernoulli(jax.random.key(42),"),
            "You do not use the key that is passed in: every call drops the same numbers.",
            "In JAX all randomness comes from a key. Which one do you draw from?"),
        "chance without a key": (
            lambda key, x, share: jnp.where(np.random.default_rng().random(x.shape) < share, 0.0, x / (1 - share)),
            "NumPy's random numbers do not depend on the key: the same key gives something else each time.",
            "Draw from the key, with a function of jax.random."),
        "one coin for all": (edit("x.shape", "()"),
            "One coin is tossed for the whole array: all numbers stay, or none.",
            "Draw in the shape of x, one coin for each number."),
        "one coin a row": (edit("x.shape", "(len(x), 1)"),
            "All numbers of a row share one coin.",
            "Draw in the shape of x, one coin for each number."),
        "one coin a column": (edit("x.shape", "x.shape[-1:]"),
            "All numbers of a column share one coin.",
            "Draw in the shape of x, one coin for each number."),
        "the same number dropped": (
            lambda key, x, share: jnp.where(
                jnp.arange(x.size).reshape(x.shape) < share * x.size, 0.0, x / (1 - share)) + 0 * key.size,
            "The first numbers are dropped, whatever the key: nothing is random.",
            "Draw from the key, with a function of jax.random."),
    },
    right={
        "by uniform numbers": edit(_KEEP, "jax.random.uniform(key, x.shape) >= share"),
        "by a product": edit("jnp.where(keep, x / (1 - share), 0.0)", "x * keep / (1 - share)"),
        "coins for what goes": lambda key, x, share: jnp.where(
            jax.random.bernoulli(key, share, x.shape), 0.0, x / (1 - share)),
        "split first": edit("(key, 1 - share", "(jax.random.split(key)[0], 1 - share"),
        "hk.dropout": lambda key, x, share: hk.dropout(key, share, x),
        "jitted": decorated("jax.jit"),
    },
    hints=(
        "One coin for each number of x: `jax.random.bernoulli(key, 1 - share, x.shape)` is True for those that stay.",
        "Under jit no `if` can look at a coin, and no array can change its length. "
        "`jnp.where(coins, a, b)` chooses, number by number.",
    ),
)  # fmt: skip

_WINDOWS = "jnp.stack(windows) @ kernel"

slide = exercise(
    "primer.slide",
    can="It slides a kernel along a signal, as every convolution of this course does along pictures.",
    kind="transcription", importance=2, difficulty=2, minutes=7,
    stuck="Slide [1, 2, 3] along [1, 0, 0, 2] on paper, and only then write the loop.",
    wrong={
        "kernel turned round": (edit(_WINDOWS, "jnp.stack(windows) @ kernel[::-1]"),
            lambda signal, kernel: jnp.convolve(signal, kernel, mode="same") if len(signal) >= len(kernel)
            else jnp.convolve(signal, kernel, mode="same")[: len(signal)],
            "The kernel is turned round, as in a mathematician's convolution. Networks multiply weight by weight, in "
            "order.",
            "Which weight belongs to the number on the left: the first or the last?"),
        "without the edges": (edit("jnp.pad(signal, len(kernel) // 2)", "signal", "range(len(signal))",
                "range(len(signal) - len(kernel) + 1)"),
            "The result is shorter than the signal: the window stops where it would stick out.",
            "Put zeros at both ends first. How many, for a kernel of three?"),
        "edges repeated": (edit("len(kernel) // 2)", 'len(kernel) // 2, mode="edge")'),
            "Beyond the ends you repeat the last number; there should be zeros.",
            "jnp.pad adds zeros unless you tell it otherwise."),
        "wraps around": (edit("len(kernel) // 2)", 'len(kernel) // 2, mode="wrap")'),
            lambda signal, kernel: sum(
                k * jnp.roll(signal, len(kernel) // 2 - i) for i, k in enumerate(kernel)),
            "Beyond the right end you continue at the left end; there should be zeros.",
            "What should the signal be beyond its ends?"),
        "zeros on the left only": (edit("len(kernel) // 2)", "(len(kernel) - 1, 0))"),
            "All zeros are on the left, so the window ends at its place: it sees only what came before.",
            "The middle of the window should lie on its place: half of the zeros on each side."),
        "zeros on the right only": (edit("len(kernel) // 2)", "(0, len(kernel) - 1))"),
            "All zeros are on the right, so the window begins at its place.",
            "The middle of the window should lie on its place: half of the zeros on each side."),
        "mean of the window": (edit(_WINDOWS, "jnp.stack(windows) @ kernel / len(kernel)"),
            "The products are averaged; they should be added.",
            "A sum of products."),
        "products not added": (edit(_WINDOWS, "jnp.stack(windows) * kernel"),
            "You return every product, [N, k]; for each place they should be added.",
            "One number for each place of the signal."),
        "windows side by side": (
            lambda signal, kernel: jnp.pad(signal, (0, -len(signal) % len(kernel))).reshape(-1, len(kernel)) @ kernel,
            "The windows do not overlap: you move by a whole kernel, not by one place.",
            "There is a window for every place of the signal."),
        "kernel normalised": (edit(_WINDOWS, "jnp.stack(windows) @ (kernel / kernel.sum())"),
            "The weights are divided by their sum; use them as they are.",
            "A kernel may add up to anything."),
    },
    right={
        "tap by tap": lambda signal, kernel: sum(
            kernel[i] * jnp.pad(signal, len(kernel) // 2)[i : i + len(signal)] for i in range(len(kernel))),
        "jnp.correlate": lambda signal, kernel: jnp.correlate(jnp.pad(signal, len(kernel) // 2), kernel, mode="valid"),
        "jnp.convolve, turned back": lambda signal, kernel: jnp.convolve(
            jnp.pad(signal, len(kernel) // 2), kernel[::-1], mode="valid"),
        "by indices": edit("windows = [padded[i : i + len(kernel)] for i in range(len(signal))]",
            "windows = padded[jnp.arange(len(signal))[:, None] + jnp.arange(len(kernel))]", "jnp.stack(windows)",
            "windows"),
        "a dot a window": edit(_WINDOWS, "jnp.stack([jnp.dot(window, kernel) for window in windows])"),
        "jitted": decorated("jax.jit"),
    },
    hints=(
        "Put `len(kernel) // 2` zeros at both ends. Then the window of place i is `padded[i : i + len(kernel)]`.",
        "Multiply each window by the kernel, weight by weight, and add: that is `window @ kernel`.",
    ),
)  # fmt: skip

_GIVEN = "probabilities[jnp.arange(len(outcomes)), outcomes]"

mean_nats = exercise(
    "primer.mean_nats",
    can="It says how surprised a forecast is, on average, by what happened: its cross-entropy.",
    kind="transcription", importance=3, difficulty=1, minutes=5,
    stuck="Take two forecasts and two outcomes, and point at the two probabilities that count.",
    wrong={
        "likelihood, not its negative": (edit("-jnp.mean", "jnp.mean"),
            "This is the mean log-probability, which is never above 0; surprise is its negative.",
            "An outcome with probability 1/2 should cost 0.69, not -0.69."),
        "bits": (edit("jnp.log(", "jnp.log2("), edit("jnp.log(given)", "jnp.log(given) / jnp.log(2.0)"),
            "These are bits: logarithms to base 2. Nats come from natural logarithms.",
            "jnp.log is the natural logarithm."),
        "summed": (edit("jnp.mean", "jnp.sum"),
            "This is the sum over all outcomes; it should be their mean.",
            "Twice as many outcomes of the same kind should not cost more."),
        "no logarithm": (edit("jnp.log(given)", "given"), edit("-jnp.mean(jnp.log(given))", "1 - jnp.mean(given)"),
            "You average probabilities; surprise is the negative logarithm of each.",
            "Two surprises in a row should add up, while their probabilities multiply."),
        "logarithm of the mean": (edit("jnp.mean(jnp.log(given))", "jnp.log(jnp.mean(given))"),
            "You average first and take the logarithm afterwards; an outcome that was thought impossible would "
            "hardly show.",
            "First the surprise of each outcome, then the mean."),
        "entropy of the forecast": (
            edit("-jnp.mean(jnp.log(given))",
                 "-jnp.mean(jnp.sum(jax.scipy.special.xlogy(probabilities, probabilities), 1))"),
            "This is the forecast's own entropy: it does not depend on what happened.",
            "Only the probability of the outcome that happened counts."),
        "every outcome counted": (edit("jnp.log(given)", "jnp.log(jnp.maximum(probabilities, 1e-30))"),
            edit("jnp.log(given)", "jnp.log(probabilities)"),
            "You use all K probabilities of a row; only that of the outcome that happened counts.",
            "Take one number from each row."),
        "best guess": (edit(_GIVEN, "probabilities.max(axis=1)"),
            "You take the largest probability of each row, whatever happened.",
            "outcomes says which number to take from each row."),
        "all pairs": (edit(_GIVEN, "probabilities[:, outcomes]"),
            "Each row is combined with the outcomes of all rows: [N, N] numbers.",
            "Row 0 goes with outcome 0, row 1 with outcome 1."),
        "softmax once more": (
            edit("jnp.log(given)", "jax.nn.log_softmax(probabilities)[jnp.arange(len(outcomes)), outcomes]"),
            "The probabilities go through a softmax, which is for logits; they are probabilities already.",
            "Each row already adds up to 1."),
        "one number an outcome": (edit("-jnp.mean(jnp.log(given))", "-jnp.log(given)"),
            "You return a surprise for each outcome; return their mean.",
            "One number."),
    },
    right={
        "take_along_axis": edit(_GIVEN, "jnp.take_along_axis(probabilities, outcomes[:, None], axis=1)[:, 0]"),
        "one-hot": lambda p, outcomes: -jnp.mean(
            jnp.sum(jnp.where(jax.nn.one_hot(outcomes, p.shape[1]) > 0, jnp.log(p), 0.0), axis=1)),
        "optax, from logits": lambda p, outcomes: optax.softmax_cross_entropy_with_integer_labels(
            jnp.log(jnp.maximum(p, 1e-38)), outcomes).mean(),
        "sum over how many": edit("jnp.mean(jnp.log(given))", "jnp.sum(jnp.log(given)) / len(outcomes)"),
        "vmap": lambda p, outcomes: jax.vmap(lambda row, k: -jnp.log(row[k]))(p, outcomes).mean(),
        "a loop": lambda p, outcomes: -sum(jnp.log(p[i, k]) for i, k in enumerate(outcomes)) / len(outcomes),
        "jitted": decorated("jax.jit"),
    },
    hints=(
        "From row i take the number of column outcomes[i].",
        "`probabilities[jnp.arange(N), outcomes]` takes one number from each row.",
    ),
)  # fmt: skip

_SCALE = 'hk.get_parameter("scale", x.shape[-1:], init=jnp.ones)'
_CALLS = 'hk.get_state("calls", [], init=jnp.zeros)'

Counted = exercise(
    "primer.Counted",
    can="It keeps what an optimizer trains as a parameter, and what it only remembers as state.",
    kind="decision", importance=2, difficulty=2, minutes=7,
    stuck="Say of each of the two numbers whether an optimizer should change it, and look up the two hk.get functions.",
    wrong={
        "never counts": (edit('        hk.set_state("calls", calls + 1)\n', ""),
            "The count is read and never written, so it stays at its start.",
            "hk.get_state reads; what writes?"),
        "counts on itself": (
            edit(f"        calls = {_CALLS}\n", '        calls = getattr(self, "seen", 0.0)\n',
                 '        hk.set_state("calls", calls + 1)\n', "        self.seen = calls + 1\n"),
            "You keep the count on the Python object, which is made anew at every call, so the count is lost.",
            "Haiku keeps what you give to hk.set_state, and nothing else."),
        "always one": (edit('hk.set_state("calls", calls + 1)', 'hk.set_state("calls", jnp.ones([]))'),
            "The count is set to 1 at every call.",
            "Read the count first, then write one more."),
        "the count is a parameter": (
            edit(_CALLS, 'hk.get_parameter("calls", [], init=jnp.zeros)',
                 '        hk.set_state("calls", calls + 1)\n', "        calls = calls + 1\n"),
            "The count is a parameter: an optimizer would train it, and the call cannot change it.",
            "Parameters are for what is trained. What is only remembered is state."),
        "the scale is state": (edit(_SCALE, 'hk.get_state("scale", x.shape[-1:], init=jnp.ones)'),
            "The scale is state, so no optimizer ever sees it.",
            "What is trained comes from hk.get_parameter."),
        "one scale for all channels": (edit(_SCALE, _SCALE.replace("x.shape[-1:]", "[]")),
            edit(_SCALE, _SCALE.replace("x.shape[-1:]", "[1]")),
            "There is a single scale; each channel should have its own.",
            "The channels are the last axis of x. Which shape has one number for each?"),
        "a scale for every number": (edit(_SCALE, _SCALE.replace("x.shape[-1:]", "x.shape[1:]")),
            edit(_SCALE, _SCALE.replace("x.shape[-1:]", "x.shape")),
            "There is a scale for every number of x, not one for each channel.",
            "The channels are the last axis of x. Which shape has one number for each?"),
        "starts at zero": (edit("x.shape[-1:], init=jnp.ones", "x.shape[-1:], init=jnp.zeros"),
            "The scale starts at 0, so the first output is all zeros.",
            "Which number leaves x as it is?"),
        "starts at random": (edit("x.shape[-1:], init=jnp.ones", "x.shape[-1:], init=hk.initializers.RandomNormal()"),
            "The scale starts at random; at the start the layer should return x unchanged.",
            "Which number leaves x as it is?"),
        "added": (edit("x * scale", "x + scale"),
            "You add the number; it should multiply.",
            "The name says it: a scale."),
        "the count begins at one": (edit("[], init=jnp.zeros", "[], init=jnp.ones"),
            "After one call the count is 2.",
            "What should the count be before the first call?"),
        "the count leaks into the output": (edit("return x * scale", "return x * scale + calls"),
            "The output depends on how often the layer was called.",
            "The count is only kept; return x times scale and nothing else."),
    },
    right={
        "int count": edit("[], init=jnp.zeros", "[], jnp.int32, init=jnp.zeros"),
        "a constant start": edit("init=jnp.ones", "init=hk.initializers.Constant(1.0)"),
        "tuple for the shape": edit('"calls", []', '"calls", ()'),
        "written first": edit('        hk.set_state("calls", calls + 1)\n        return x * scale',
            '        out = x * scale\n        hk.set_state("calls", 1 + calls)\n        return out'),
        "length of the last axis": edit("x.shape[-1:]", "[x.shape[-1]]"),
    },
    hints=(
        '`hk.get_parameter("scale", [channels], init=jnp.ones)` makes the scale once, then returns it.',
        '`hk.get_state("calls", [], init=jnp.zeros)` reads the count; `hk.set_state("calls", ...)` writes it.',
    ),
)  # fmt: skip

_GRADIENTS = "jax.grad(loss_fn)(params, x)"
_STEP = "p - learning_rate * g"

descend = exercise(
    "primer.descend",
    can="It takes one step downhill, whatever the shape of the parameters.",
    kind="transcription", importance=3, difficulty=2, minutes=5,
    stuck="Do it for params that are a single array; then ask what jax.tree.map would have to do.",
    wrong={
        "uphill": (edit(_STEP, "p + learning_rate * g"),
            "The step goes uphill: the loss grows.",
            "The gradient points to where the loss grows fastest."),
        "no learning rate": (edit(_STEP, "p - g"),
            "The step is the whole gradient; the learning rate has no effect.",
            "How far should a step with half the learning rate go?"),
        "the step without the start": (edit(_STEP, "-learning_rate * g"), edit(_STEP, "learning_rate * g"),
            "You return only the change; return the parameters after it.",
            "Add the change to where the parameters are."),
        "the gradients": (edit(_STEP, "g"),
            "You return the gradients; return the parameters after a step.",
            "The step is minus the learning rate times the gradient."),
        "only the sign": (edit(_STEP, "p - learning_rate * jnp.sign(g)"),
            "Every number moves by the same amount, however steep its slope.",
            "The step is proportional to the gradient itself."),
        "gradient scaled to length one": (
            edit(_STEP, "p - learning_rate * g / jnp.linalg.norm(g)"),
            edit("    return jax",
                 "    length = jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(gradients)))\n"
                 "    gradients = jax.tree.map(lambda g: g / length, gradients)\n    return jax"),
            "The gradient is divided by its length, so a steep slope and a gentle one give steps of the same length.",
            "Use the gradient as it is."),
        "divided by the learning rate": (edit(_STEP, "p - g / learning_rate"),
            "You divide by the learning rate: a smaller rate makes a larger step.",
            "How far should a step with half the learning rate go?"),
        "shrinks the parameters": (edit(_STEP, "p - learning_rate * p"),
            "The parameters shrink by the rate; the gradient has no effect.",
            "Which way is down depends on the loss."),
        "nothing moves": (edit(_STEP, "p"),
            "The parameters come back unchanged.",
            "The step is minus the learning rate times the gradient."),
        "two steps": (
            edit("    return jax.tree.map(", "    params = jax.tree.map(",
                 "params, gradients)",
                 "params, gradients)\n    return jax.tree.map(lambda p, g: p - learning_rate * g, params, "
                 "jax.grad(loss_fn)(params, x))"),
            lambda loss_fn, params, x, learning_rate: jax.tree.map(
                lambda p, g: p - 2 * learning_rate * g, params, jax.grad(loss_fn)(params, x)),
            "You go twice as far as one step, or take two.",
            "One gradient, one step."),
    },
    right={
        "value_and_grad": edit(_GRADIENTS, "jax.value_and_grad(loss_fn)(params, x)[1]"),
        "argnums said": edit("jax.grad(loss_fn)", "jax.grad(loss_fn, argnums=0)"),
        "steps first": lambda loss_fn, params, x, learning_rate: optax.apply_updates(
            params, jax.tree.map(lambda g: -learning_rate * g, jax.grad(loss_fn)(params, x))),
        "optax.sgd": lambda loss_fn, params, x, learning_rate: optax.apply_updates(
            params, optax.sgd(learning_rate).update(
                jax.grad(loss_fn)(params, x), optax.sgd(learning_rate).init(params))[0]),
        "leaves by hand": lambda loss_fn, params, x, learning_rate: jax.tree.unflatten(
            jax.tree.structure(params), [
                p - learning_rate * g for p, g in zip(
                    jax.tree.leaves(params), jax.tree.leaves(jax.grad(loss_fn)(params, x)), strict=True)]),
        "ravelled": lambda loss_fn, params, x, learning_rate: _ravelled(loss_fn, params, x, learning_rate),
    },
    hints=(
        "`jax.grad(loss_fn)(params, x)` has the structure of params: a gradient for every array in it.",
        "params is a dict of dicts, so `params - gradients` does not work: jax.tree.map goes through the arrays in "
        "pairs.",
    ),
)  # fmt: skip


def _ravelled(loss_fn, params, x, learning_rate):
    flat, back = jax.flatten_util.ravel_pytree(params)
    return back(flat - learning_rate * jax.grad(lambda flat: loss_fn(back(flat), x))(flat))


def _of_impulse(look, shape, constant=True):
    rows, columns = shape
    nothing = np.zeros((2 * rows - 1, 2 * columns - 1), np.float32)
    impulse = nothing.copy()
    impulse[rows - 1, columns - 1] = 1
    return np.asarray(look(impulse)) - (np.asarray(look(nothing)) if constant else 0)


def _tap_by_tap(look, shape, constant=True):
    kernel = np.zeros(shape, np.float32)
    for place in np.ndindex(*shape):
        picture = np.zeros(shape, np.float32)
        picture[place] = 1
        kernel[place] = look(picture)[0, 0] - (look(np.zeros(shape, np.float32))[0, 0] if constant else 0)
    return kernel


def _least_squares(look, shape):
    pictures = np.random.default_rng(0).normal(size=(3 * shape[0] * shape[1], *shape)).astype(np.float32)
    seen = np.array([look(picture)[0, 0] for picture in pictures])
    rows = np.concatenate([pictures.reshape(len(pictures), -1), np.ones((len(pictures), 1))], axis=1)
    return np.linalg.lstsq(rows, seen, rcond=None)[0][:-1].reshape(shape).astype(np.float32)


reveal_kernel = exercise(
    "primer.reveal_kernel",
    can="It looks inside a layer that it can only call.",
    kind="puzzle", importance=1, difficulty=3, minutes=15,
    stuck="Call it on a picture of zeros, then on one with a single 1, and compare what comes out.",
    wrong={
        "turned by half a turn": (_of_impulse,
            "You found the answer to a single bright pixel, which is the kernel turned by half a turn.",
            "When the kernel slides over a bright pixel, which of its taps touches it first?"),
        "the constant is in it": (lambda look, shape: _tap_by_tap(look, shape, False),
            lambda look, shape: _of_impulse(look, shape, False)[::-1, ::-1],
            "Every number is too large by the same amount: what comes out of an empty picture.",
            "What does it answer to a picture of zeros?"),
        "turned, and the constant is in it": (lambda look, shape: _of_impulse(look, shape, False),
            "This is the answer to a single bright pixel: the kernel turned by half a turn, plus a constant.",
            "What does it answer to a picture of zeros? And which tap touches a bright pixel first?"),
        "upside down": (lambda look, shape: _of_impulse(look, shape)[:, ::-1],
            "The rows are in the opposite order.",
            "Turn the rows as well as the columns."),
        "left and right exchanged": (lambda look, shape: _of_impulse(look, shape)[::-1],
            "The columns are in the opposite order.",
            "Turn the columns as well as the rows."),
        "rows and columns exchanged": (lambda look, shape: _tap_by_tap(look, shape).T,
            "Rows and columns have changed places.",
            "A kernel of 2 x 3 has two rows."),
        "scaled to a sum of 1": (lambda look, shape: (k := _tap_by_tap(look, shape)) / k.sum(),
            "You scaled the kernel; its own numbers were asked for.",
            "Leave the numbers as they come."),
        "without its signs": (lambda look, shape: np.abs(_tap_by_tap(look, shape)),
            "All numbers are positive; the kernel has negative ones.",
            "Where do you lose a sign?"),
        "one answer for all taps": (lambda look, shape: np.full(shape, _tap_by_tap(look, shape)[0, 0]),
            "You found the first tap, and give it to all.",
            "Each tap touches another pixel."),
        "the whole picture bright": (lambda look, shape: np.full(shape, float(look(np.ones(shape, np.float32))[0, 0])),
            "A picture of ones gives the sum of all taps, which does not tell them apart.",
            "Make one pixel differ from the others."),
    },
    right={
        "tap by tap": _tap_by_tap,
        "an impulse, turned": lambda look, shape: _of_impulse(look, shape)[::-1, ::-1],
        "least squares": _least_squares,
        "jacobian": lambda look, shape: jax.jacrev(look)(jnp.ones(shape))[0, 0],
        "gradient on a larger picture": lambda look, shape: jax.grad(lambda x: look(x)[1, 2])(jnp.ones((9, 9)))[
            1 : 1 + shape[0], 2 : 2 + shape[1]
        ],
    },
    hints=(
        "A picture of the kernel's own size gives a single number: a sum over all taps.",
        "How much does that number change when one pixel changes? There is a function that asks this of all pixels.",
    ),
)  # fmt: skip
