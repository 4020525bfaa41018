"""Lesson 05: what goes wrong in its exercises, what else is right, and what helps."""

import math
from functools import cache

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax

from vqtutor.lessons.answers import reference
from vqtutor.lessons.entries import decorated, edit, exercise


def _by_rows(kernel_shape, mask_type):
    mask = np.zeros(kernel_shape)
    row, column = kernel_shape[0] // 2, kernel_shape[1] // 2
    mask[:row] = 1
    mask[row, : column + (mask_type == "B")] = 1
    return mask


_CENTRE = "order[rows // 2, columns // 2]"
_KEEP_CENTRE = ' + (order == centre) * (mask_type == "B")'

causal_mask = exercise(
    "pixelcnn.causal_mask",
    can="It says which weights of a kernel come before the centre.",
    kind="transcription", importance=3, difficulty=2, minutes=7,
    stuck="Draw a kernel of 3 x 3 and number its weights in the order in which places are drawn.",
    wrong={
        "A and B swapped": (edit('== "B"', '== "A"'),
            "Your mask A keeps the centre and your mask B leaves it out.",
            "A is for the first layer, whose centre is the very code that it has to predict."),
        "the centre is always kept": (edit(' * (mask_type == "B")', ""),
            "Mask A keeps its centre: the first layer would be shown the code that it has to predict.",
            "What is the difference between A and B?"),
        "the centre is never kept": (edit(_KEEP_CENTRE, ""),
            "Mask B leaves its centre out: later layers would lose what earlier layers found at this place.",
            "What is the difference between A and B?"),
        "nothing of the current row": (edit("order < centre", "order < rows // 2 * columns"),
            "You keep all rows above, and nothing to the left of the centre.",
            "Codes to the left of the current one also come before it."),
        "all of the current row": (edit("(order < centre)", "(order < (rows // 2 + 1) * columns) * (order != centre)"),
            edit("order < centre", "order < (rows // 2 + 1) * columns"),
            "You keep the whole current row, including what is to the right of the centre: that is the future.",
            "Codes come row by row, each row from left to right."),
        "the future in place of the past": (edit("order <", "order >", '== "B"', '== "A"'), edit("order <", "order >"),
            edit("order <", "order >", _KEEP_CENTRE, ""),
            "You keep what comes after the centre.",
            "1 stands for what may be seen."),
        "column by column": (edit("(rows, columns)", "(columns, rows).T"),
            "This is the past if you go column by column; the course goes row by row.",
            "All of the rows above come before the code on the left."),
        "only above and to the left": (
            edit("(order < centre)", "(order < centre) * (np.arange(columns) <= columns // 2)"),
            "You keep the rows above only up to the centre's column; what is above and to the right also comes before.",
            "All rows above are finished before the current one begins."),
        "centre of a square": (edit(_CENTRE, "order[rows // 2, rows // 2]"),
            edit(_CENTRE, "columns // 2 * columns + columns // 2"),
            "Square kernels come out right; in the others the centre is in the wrong column.",
            "Rows and columns each have their own middle."),
        "weights' shape in place of the kernel's": (edit("(rows, columns)", "(rows, columns, 1, 1)"),
            "The mask has extra axes; it should be [kh, kw].",
            "You can add axes for channels where you use the mask."),
    },
    right={
        "row by row": _by_rows,
        "floats": edit("return ", "return 1.0 * "),
        "comparing pairs": lambda shape, t: jnp.array(
            [[(i, j, "A") < (shape[0] // 2, shape[1] // 2, t) for j in range(shape[1])] for i in range(shape[0])]
        ),
        "flat list of ones and zeros": lambda shape, t: jnp.concatenate(
            [jnp.ones(n := shape[0] // 2 * shape[1] + shape[1] // 2 + (t == "B")), jnp.zeros(shape[0] * shape[1] - n)]
        ).reshape(shape),
        "integers": lambda shape, t: jnp.asarray(_by_rows(shape, t), jnp.int32),
    },
    hints=(
        "Number the weights of a 3x3 kernel in raster order, 0 to 8. Which number does the centre have?",
        "np.arange(kh * kw) < something, reshaped to [kh, kw]. The centre's number is kh // 2 * kw + kw // 2.",
        "B keeps one more than A.",
    ),
)  # fmt: skip


class _TapByTap(hk.Module):
    def __init__(self, output_channels, kernel_shape, mask_type):
        super().__init__()
        self.out, self.mask = output_channels, _by_rows(kernel_shape, mask_type)

    def __call__(self, x):
        rows, columns = (size // 2 for size in self.mask.shape)
        padded = jnp.pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)))
        total = hk.get_parameter("bias", (self.out,), init=jnp.zeros)
        for i, j in np.argwhere(self.mask):
            seen = padded[:, i : i + x.shape[1], j : j + x.shape[2]]
            total += seen @ hk.get_parameter(
                f"tap_{i}_{j}", (x.shape[-1], self.out), init=hk.initializers.RandomNormal()
            )
        return total


class _OfPatches(hk.Module):
    def __init__(self, output_channels, kernel_shape, mask_type):
        super().__init__()
        self.out, self.mask = output_channels, _by_rows(kernel_shape, mask_type)

    def __call__(self, x):
        patches = jax.lax.conv_general_dilated_patches(
            x, self.mask.shape, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return hk.Linear(self.out)(patches * jnp.asarray(np.tile(self.mask.ravel(), x.shape[-1])))


_START = 'init=hk.initializers.VarianceScaling(1.0, "fan_avg")'
_MASKED_START = (
    'init=lambda *a: hk.initializers.VarianceScaling(1.0, "fan_avg")(*a)'
    " * causal_mask(self.kernel_shape, self.mask_type)[..., None, None]"
)
_WEIGHTS = f'        w = hk.get_parameter("w", shape, {_START})\n'
_BIAS = '        b = hk.get_parameter("b", shape[-1:], init=jnp.zeros)\n'
_MASK = "mask[..., None, None]"
_CONVOLVED = f"vqtutor.convolve(x, w * {_MASK})"
_LAX = f'jax.lax.conv_general_dilated(x, w * {_MASK}, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))'
_SHIFTED = (  # the map that tap i, j multiplies
    "jnp.pad(x, [(0, 0), *((k // 2,) * 2 for k in mask.shape), (0, 0)])[:, i : i + x.shape[1], j : j + x.shape[2]]"
)

masked_conv2d = exercise(
    "pixelcnn.MaskedConv2D",
    can="It convolves a map without seeing what comes later.",
    kind="decision", importance=3, difficulty=3, minutes=10,
    stuck="Say in one sentence what has to be zero, before or after the optimizer has moved the weights.",
    wrong={
        "masked only once": (edit(_START, _MASKED_START, f" * {_MASK}", ""),
            "The weights start masked, but you do not mask them when you use them: after one step of training the "
            "layer sees the future.",
            "Multiply by the mask at every call, not when the weights are made."),
        "no mask": (edit(f" * {_MASK}", ""),
            "Every weight is used: each place sees its whole neighbourhood, including the future.",
            "Where do you need your causal_mask?"),
        "always mask B": (edit("self.mask_type)", '"B")'),
            "The layer sees its own centre in type A as well.",
            "Pass mask_type on to causal_mask."),
        "always mask A": (edit("self.mask_type)", '"A")'),
            "The layer does not see its own centre in type B.",
            "Pass mask_type on to causal_mask."),
        "A and B swapped": (edit("self.mask_type)", '{"A": "B", "B": "A"}[self.mask_type])'),
            "Type A sees its centre and type B does not.",
            "A is for the first layer."),
        "mask turned round": (edit("mask[...", "mask[::-1, ::-1"), edit(_MASK, f"(1 - {_MASK})"),
            "The layer sees the future and not the past: the mask is the wrong way round.",
            "This convolution does not flip its kernel, so do not flip the mask."),
        "no bias": (edit(_BIAS, "", " + b", ""), edit(" + b", ""),
            "There is no bias. It is one number for each output channel, added at the end.",
            "The header says that there is one."),
        "map shrinks": (edit(_CONVOLVED, _LAX.replace("SAME", "VALID")),
            "The output is smaller than the input; a code map has to keep its size.",
            "Pad with zeros, SAME."),
        "weights held still": (edit("w * mask", "jax.lax.stop_gradient(w) * mask"),
            "The values are right, but no gradient reaches the weights.",
            "Nothing here needs stop_gradient."),
        "scaled by the mask": (edit(_MASK, f"{_MASK} / mask.sum()"), edit(_MASK, f"{_MASK} / mask.mean()"),
            "You divide the weights by how many the mask keeps.",
            "The mask only says yes or no; training finds the size of the weights."),
        "relu inside": (edit(f"{_CONVOLVED} + b", f"jax.nn.relu({_CONVOLVED} + b)"),
            "Negative outputs are cut off: a relu belongs after this layer, not inside it.",
            "A convolution is linear."),
        "kernel on its side": (edit("self.kernel_shape = kernel_shape", "self.kernel_shape = kernel_shape[::-1]"),
            "Rows and columns of the kernel are swapped.",
            "kernel_shape is (rows, columns)."),
    },
    right={
        "hk.Conv2D with its mask": edit(_WEIGHTS, "", _BIAS, "", f"{_CONVOLVED} + b",
            f"hk.Conv2D(self.output_channels, self.kernel_shape, mask=jnp.broadcast_to({_MASK}, shape))(x)"),
        "lax": edit(_CONVOLVED, _LAX),
        "shifted maps": edit(_CONVOLVED, f"sum({_SHIFTED} @ w[i, j] * mask[i, j] for i, j in np.ndindex(mask.shape))"),
        "weights [out, in, kh, kw]": edit(
            "(*self.kernel_shape, x.shape[-1], self.output_channels)",
            "(self.output_channels, x.shape[-1], *self.kernel_shape)",
            "shape[-1:]", "shape[:1]", f"w * {_MASK}", f"jnp.transpose(w, (2, 3, 1, 0)) * {_MASK}"),
        "one small matrix for each tap": _TapByTap,
        "made of patches": _OfPatches,
        "where": edit(f"w * {_MASK}", f"jnp.where({_MASK}, w, 0)"),
        "masked at the start as well": edit(_START, _MASKED_START),
        "only the taps that are used":
            edit(_CONVOLVED, f"jnp.concatenate([{_SHIFTED} for i, j in np.argwhere(mask)], -1) @ jnp.vstack(w[mask])"),
    },
    hints=(
        "Weights [kh, kw, C, output_channels] and a bias [output_channels] come from hk.get_parameter.",
        "The mask is [kh, kw]; `mask[..., None, None]` makes it fit the weights.",
        "`vqtutor.convolve(x, w * mask[..., None, None]) + b`.",
    ),
    seconds=30.0,
)  # fmt: skip


def _by_nudging(network, shape, position):
    x = jax.random.normal(jax.random.key(3), (1, *shape))
    felt = np.zeros(shape, bool)
    for place in np.ndindex(*shape):
        felt[place] = jnp.any(jnp.abs(network(x.at[0, *place].add(1.0)) - network(x))[0, *position] > 1e-6)
    return felt.any(-1)


_INPUT = "jax.random.normal(jax.random.key(0), (1, *shape))"
_GRADIENT = "jax.grad(lambda x: network(x)[0, row, column].sum())(x)"
_FELT = "jnp.any(gradient[0] != 0, axis=-1)"

receptive_field = exercise(
    "pixelcnn.receptive_field",
    can="It shows what any network looks at, so that you can catch one that looks ahead.",
    kind="debugging", importance=3, difficulty=2, minutes=8,
    stuck="Change one number of the input by hand and see which outputs change: a derivative asks that at once.",
    wrong={
        "channels cancel": (edit(_FELT, "gradient[0].sum(-1) != 0"), edit(_FELT, "jnp.abs(gradient[0].sum(-1)) > 1e-6"),
            "You add the gradient up over the channels before you look: positive and negative parts cancel.",
            "Is any channel different from zero?"),
        "only positive gradients": (edit("!= 0", "> 0"), edit(_FELT, "gradient[0].max(-1) > 0"),
            "A negative gradient is also a dependence.",
            "Compare with zero, not with its sign."),
        "all channels in place of any": (edit("any(gradient[0] !=", "all(gradient[0] >"),
            "You require every channel to matter; one is enough.",
            "all and any answer different questions."),
        "all outputs at once": (edit("[0, row, column].sum", ".sum"),
            "You differentiate the sum over all places of the output; take only the one at this position.",
            "Pick the position before you sum."),
        "row and column swapped": (edit("row, column = position", "column, row = position"),
            "This is the field of another position: row and column are swapped.",
            "position is (row, column)."),
        "the other way round": (
            edit(_GRADIENT, "jax.jvp(network, (x,), (jnp.zeros_like(x).at[0, row, column].set(1.0),))[1]"),
            "You show which outputs this input reaches; the question is which inputs this output depends on.",
            "Differentiate one output with respect to all inputs."),
        "the gradient itself": (edit(_FELT, "gradient[0].sum(-1)"), edit(_FELT, "jnp.abs(gradient[0]).sum(-1)"),
            edit(_FELT, "jnp.abs(gradient[0]).max(-1)"),
            "You return the gradient; return a yes or no for each place.",
            "Does it differ from zero?"),
        "channels kept": (edit(_FELT, "gradient[0] != 0"), edit(_FELT, "gradient != 0"),
            edit("gradient[0]", "gradient"),
            "There is one axis too many: the answer has one bool for each place, [H, W].",
            "Reduce the channels with any, and drop the batch axis."),
        "turned round": (edit("any(gradient[0] !=", "all(gradient[0] =="),
            "You say True where the gradient is zero.",
            "True should mean that the place is seen."),
    },
    right={
        "another input": edit("key(0)", "key(4)"),
        "absolute values": edit(_FELT, "jnp.abs(gradient[0]).sum(-1) > 0"),
        "at ones": edit(_INPUT, "jnp.ones((1, *shape))"),
        "nudging every input": _by_nudging,
        "numpy": edit("jnp.any(gradient[0]", "np.any(np.asarray(gradient[0])"),
    },
    hints=(
        "jax.grad wants a function that returns one number: the sum of network(x)[0, row, column].",
        "Its gradient with respect to x has x's shape, [1, H, W, C]. Where is it not zero, in any channel?",
        "Take a random x, not zeros: at zero the gradient of a relu may be 0 by accident.",
    ),
)  # fmt: skip


def _chosen(table, indices):
    return jnp.take_along_axis(table, indices[..., None], axis=-1)[..., 0]


def _p(logits, indices):
    return _chosen(jax.nn.softmax(logits), indices)


prior_loss = exercise(
    "pixelcnn.prior_loss",
    can="It measures a prior on real code maps, in nats per code.",
    kind="transcription", importance=3, difficulty=1, minutes=4,
    stuck="With all logits 0 it has to be log K: try that first.",
    wrong={
        "summed over the map": (edit(".mean()", ".sum(axis=(1, 2)).mean()"),
            "These are nats per image, summed over the places of a map. Return nats per code.",
            "Average over all places of all maps."),
        "summed over everything": (edit(".mean()", ".sum()"),
            "The losses are added up; return their mean.",
            "Average over all places of all maps."),
        "bits": (edit(".mean()", ".mean() / np.log(2)"),
            "These are bits per code; it should be nats.",
            "Use the natural logarithm."),
        "logits taken for probabilities": (lambda x, c: -jnp.mean(_chosen(x, c)),
            lambda x, c: -jnp.mean(jnp.log(jnp.maximum(_chosen(x, c), 1e-10))),
            "The logits are not turned into probabilities first.",
            "Logits may be any number; log_softmax makes log-probabilities of them."),
        "softmax twice": (edit("labels(logits", "labels(jax.nn.softmax(logits)"),
            "You pass probabilities to something that expects logits, so the softmax is applied twice.",
            "Use either probabilities and log, or logits and log_softmax."),
        "the probability itself": (lambda x, c: -jnp.mean(_p(x, c)), lambda x, c: 1 - jnp.mean(_p(x, c)),
            lambda x, c: -jnp.log(jnp.mean(_p(x, c))),
            "You average probabilities; a likelihood is a product of them, so their logarithms add up.",
            "Take the logarithm before you average."),
        "sign turned": (edit("return ", "return -"),
            "This is the log-likelihood: training would make it small, and so make likely codes unlikely.",
            "A loss falls when the codes become likelier."),
        "softmax along a row": (
            *(lambda x, c, axis=axis: -jnp.mean(_chosen(jax.nn.log_softmax(x, axis), c)) for axis in (2, 1, 0, None)),
            "The softmax runs along the wrong axis: the probabilities of the K codes at one place should add up to 1.",
            "Which axis of [B, H, W, K] is K?"),
        "divided by the number of codes": (
            lambda x, c: -jnp.mean(jax.nn.one_hot(c, x.shape[-1]) * jax.nn.log_softmax(x)),
            "The result is K times too small: you also average over the zeros of the one-hot rows.",
            "Sum over K, then average over places."),
        "entropy of the prior": (lambda x, c: -jnp.mean(jnp.sum(jax.nn.softmax(x) * jax.nn.log_softmax(x), axis=-1)),
            "This is how unsure the prior is; it does not use the codes that really occurred.",
            "The code says which of the K log-probabilities counts."),
        "logarithm of a softmax": (lambda x, c: -jnp.mean(jnp.log(_p(x, c))),
            lambda x, c: -jnp.mean(jnp.log(_p(x, c) + 1e-10)),
            "Right for small logits, but a probability too small for float32 becomes 0, and its logarithm infinite.",
            "log_softmax, or optax's cross-entropy from logits, stays finite."),
    },
    right={
        "log_softmax and one-hot":
            lambda x, c: -jnp.mean(jnp.sum(jax.nn.one_hot(c, x.shape[-1]) * jax.nn.log_softmax(x), axis=-1)),
        "optax, flattened":
            edit("labels(logits, indices)", "labels(logits.reshape(-1, logits.shape[-1]), indices.ravel())"),
        "optax, one-hot": lambda x, c: optax.softmax_cross_entropy(x, jax.nn.one_hot(c, x.shape[-1])).mean(),
        "logsumexp": lambda x, c: jnp.mean(jax.nn.logsumexp(x, axis=-1) - _chosen(x, c)),
        "jitted": decorated("jax.jit"),
    },
    hints=(
        "At each place, log_softmax of the K logits gives K log-probabilities. Which of them is the code's?",
        "optax.softmax_cross_entropy_with_integer_labels(logits, indices) does it for every place. Then average.",
    ),
)  # fmt: skip

nats_to_bits_per_image = exercise(
    "pixelcnn.nats_to_bits_per_image",
    can="It turns a prior's nats into bits that you could store.",
    kind="proof", importance=2, difficulty=1, minutes=3,
    stuck="How many bits is one nat? And how many codes has a map?",
    wrong={
        "still nats": (lambda n, s: n * s[0] * s[1],
            "These are nats per image: the step to bits is missing.",
            "How many nats is one bit?"),
        "times log 2": (lambda n, s: n * s[0] * s[1] * math.log(2),
            "You multiply by log 2: a bit is the smaller unit, so there are more of them.",
            "One bit is log 2 = 0.69 nats."),
        "bits a code": (lambda n, s: n / math.log(2),
            "This is what one code costs; an image has many.",
            "How many places does the map have?"),
        "one row": (lambda n, s: n * s[0] / math.log(2), lambda n, s: n * s[1] / math.log(2),
            "You count the places of one row, or of one column.",
            "A map has rows times columns places."),
        "rows plus columns": (lambda n, s: n * sum(s) / math.log(2),
            "You add rows and columns.",
            "A map has rows times columns places."),
        "logarithm of the nats": (lambda n, s: math.log2(n) * s[0] * s[1], lambda n, s: abs(math.log2(n)) * s[0] * s[1],
            "You take log2 of the nats; they are already a logarithm.",
            "Changing the base of a logarithm is a division."),
        "square map": (lambda n, s: n * s[0] ** 2 / math.log(2), lambda n, s: n * s[1] ** 2 / math.log(2),
            "Only one side is used, squared: maps need not be square.",
            "code_map_shape is (rows, columns)."),
        "divided by 2": (lambda n, s: n * s[0] * s[1] / 2,
            "You divide by 2; to change the base, divide by the logarithm of 2.",
            "One bit is log 2 = 0.69 nats."),
    },
    right={
        "numpy": lambda n, s: n * np.prod(s) / np.log(2),
        "jax": lambda n, s: n * s[0] * s[1] * jnp.log2(jnp.e),
        "log2 of e": lambda n, s: n * math.prod(s) * math.log2(math.e),
        "through the likelihood": lambda n, s: -math.log2(math.exp(-n)) * s[0] * s[1],
    },
    hints=(
        "First the nats of an image: how many codes does a map have?",
        "One bit is log 2 nats, so nats / log 2 are bits.",
    ),
)  # fmt: skip


def _python_loop(key, logits_fn, shape, temperature=1.0):
    indices = jnp.full(shape, 1, jnp.int32)
    for row, column in np.ndindex(shape[1:]):
        key, draw = jax.random.split(key)
        logits = logits_fn(indices)[:, row, column] / temperature
        indices = indices.at[:, row, column].set(jax.random.categorical(draw, logits))
    return indices


_PLACE = "n // columns, n % columns"
_KEY = "jax.random.fold_in(key, n)"
_DRAWN = f"jax.random.categorical({_KEY}, logits)"

sample = exercise(
    "pixelcnn.sample",
    can="It draws new code maps from any causal network, one place at a time.",
    kind="decision", importance=3, difficulty=3, minutes=12,
    stuck="Fill one map with a Python loop, place by place; then ask what changes from one turn to the next.",
    wrong={
        "the likeliest code": (edit(_DRAWN, "jnp.argmax(logits, axis=-1)"),
            "You take the likeliest code at every place: every map comes out the same.",
            "Draw each code as often as it is likely."),
        "drawn before its past": (
            lambda key, f, shape, t=1.0: jax.random.categorical(key, f(jnp.zeros(shape, jnp.int32)) / t),
            edit(_PLACE, "shape[1] - 1 - n // columns, columns - 1 - n % columns"),
            "Codes are drawn before the codes that they depend on: all in one go, or from the end.",
            "Start at row 0, column 0, and call the network again after each code."),
        "a row at once": (edit(_PLACE, "n, slice(None)", "shape[1] * columns", "shape[1]"),
            "A whole row is drawn in one go: its codes do not depend on each other.",
            "Call the network again after each code."),
        "column by column": (edit(_PLACE, "n % shape[1], n // shape[1]"),
            "Places are filled down the columns; the network was trained along the rows.",
            "n // columns and n % columns give row and column in raster order."),
        "one key for all places": (edit(_KEY, "key"),
            "Every place is drawn with the same key, so the same random numbers decide all of them.",
            "Use a new key for each place: jax.random.fold_in(key, n), or split."),
        "temperature ignored": (edit(" / temperature", ""),
            "The temperature has no effect.",
            "Divide the logits by it before you draw."),
        "times the temperature": (edit("/ temperature", "* temperature"),
            "Here a low temperature makes drawings wilder: you multiply the logits by it.",
            "Divide the logits: at a low temperature, their differences should grow."),
        "probabilities in place of logits": (edit(", logits)", ", jax.nn.softmax(logits))"),
            "You pass probabilities to categorical, which expects logits: all codes become nearly equally likely.",
            "Pass the logits to jax.random.categorical as they are."),
        "drawn evenly": (edit(_DRAWN, f"jax.random.randint({_KEY}, shape[:1], 0, logits.shape[-1])"),
            "All codes are equally likely: you do not use the network.",
            "The network's logits at this place say how likely each code is."),
        "one map for all": (edit(", logits)", ", logits[0])"),
            "All maps of the batch are equal: you draw once for all of them.",
            "Draw for every map: categorical of [B, K] gives [B]."),
        "logits of the place before": (
            edit("(indices)[:, row, column]", "(indices).reshape(shape[0], shape[1] * columns, -1)[:, n - 1]"),
            "You draw the code from the network's logits for the place before it.",
            "The logits at a place are for the code of that place."),
        "always the same key": (edit("fold_in(key", "fold_in(jax.random.key(0)"),
            "You do not use the key that is passed in: every call draws the same maps.",
            "All randomness should come from the key."),
    },
    right={
        "python loop, another canvas": _python_loop,
        "gumbel": edit(_DRAWN, f"jnp.argmax(logits + jax.random.gumbel({_KEY}, logits.shape), axis=-1)"),
        "keys split beforehand": edit(_KEY, "jax.random.split(key, shape[1] * columns)[n]"),
        "from log-probabilities": edit(", logits)", ", jax.nn.log_softmax(logits))"),
        "jitted": jax.jit(reference("pixelcnn.sample"), static_argnums=(1, 2)),
    },
    hints=(
        "Start from zeros. For each place in raster order: call logits_fn, draw a code there, put it in.",
        "`jax.random.categorical(key, logits / temperature)` draws; each place needs its own key.",
        "jax.lax.fori_loop(0, rows * columns, fill_in, zeros), with `indices.at[:, row, column].set(drawn)` inside.",
    ),
    seconds=30.0,
)  # fmt: skip


def _formula(per_row, first=0):
    """The pass as column + per_row(columns, reach) * row."""

    def answer(shape, reach):
        rows, columns = np.indices(shape)
        return columns + per_row(shape[1], reach) * rows + first

    return answer


def _border_forgotten(shape, reach):
    return _formula(lambda columns, reach: reach + 1)(shape, reach) * (reach > 0)


def _written_out(shape, reach):
    rows, columns = np.indices(shape)
    return (columns + min(reach + 1, shape[1]) * rows) * (reach > 0)


def _relaxed(shape, reach):
    """Raise what comes too early until nothing does."""
    wave, before = np.zeros(shape, np.int32), None
    while not np.array_equal(wave, before):
        before = wave.copy()
        for row, column in np.ndindex(*shape):
            for r, c in np.ndindex(*shape):
                near = abs(row - r) <= reach and abs(column - c) <= reach
                if near and (r, c) < (row, column):
                    wave[row, column] = max(wave[row, column], wave[r, c] + 1)
    return wave


def _ready(shape, reach):
    """Draw, pass by pass, all places whose neighbours are drawn."""
    places, drawn, number = list(np.ndindex(*shape)), {}, 0
    while len(drawn) < len(places):
        now = [
            (row, column)
            for row, column in places
            if (row, column) not in drawn
            and all(
                p in drawn
                for p in places
                if p < (row, column) and abs(p[0] - row) <= reach and abs(p[1] - column) <= reach
            )
        ]
        drawn |= dict.fromkeys(now, number)
        number += 1
    return jnp.array([[drawn[row, column] for column in range(shape[1])] for row in range(shape[0])])


def _remembered(shape, reach):
    @cache
    def wave(row, column):
        near = [(row, c) for c in range(max(0, column - reach), column)]
        near += [
            (r, c)
            for r in range(max(0, row - reach), row)
            for c in range(max(0, column - reach), min(shape[1], column + reach + 1))
        ]
        return 1 + max((wave(*place) for place in near), default=-1)

    return np.array([[wave(row, column) for column in range(shape[1])] for row in range(shape[0])], np.int64)


waves = exercise(
    "pixelcnn.waves",
    can="It finds all places that can be drawn at once: 19 passes in place of 49 for a map of 7 x 7 and a reach of 1.",
    kind="puzzle", importance=2, difficulty=3, minutes=20,
    stuck="Take a map of 3 x 4 and a reach of 1, write 0 into its first place, and go on by hand, place by place.",
    wrong={
        "one place after the other": (_formula(lambda columns, reach: columns),
            "Each place has a pass of its own, as in lesson 05's sampler.",
            "When the first two places are drawn, what does the first place of the second row still wait for?"),
        "diagonals": (_formula(lambda columns, reach: 1),
            "You draw along diagonals. The network also sees places above to the right, not drawn by then.",
            "What does the place below the first one wait for?"),
        "a row at a time": (lambda shape, reach: np.indices(shape)[0],
            "A whole row is drawn in one pass, although each place sees its left neighbour.",
            "What has to be there before the second place of a row?"),
        "the farthest place forgotten": (_formula(lambda columns, reach: max(1, reach)),
            "A row begins one pass too early: the farthest place above and to the right is drawn in that very pass.",
            "With a reach of 1, in which pass is the second place of the first row drawn?"),
        "reach taken for 1": (edit("    wave = np", "    reach = min(reach, 1)\n    wave = np"),
            "You count direct neighbours only, whatever the reach.",
            "How far to the right does the network see in the rows above?"),
        "the border forgotten": (_border_forgotten, _formula(lambda columns, reach: reach + 1),
            "On a map that is narrower than the reach, rows begin later than they need to.",
            "There is nothing to wait for beyond the right border."),
        "rows for columns": (lambda shape, reach: _written_out(shape[::-1], reach).T,
            "Rows and columns have changed places.",
            "Raster order goes along the rows."),
        "counted from 1": (edit("max(before, default=-1)", "max(before, default=0)"),
            "Your first pass has the number 1.",
            "Passes are counted from 0 on."),
        "what is left is forgotten": (edit(", *wave[row, left:column]]", "]"),
            "You wait for the rows above only.",
            "A place also sees what is to its left in its own row."),
        "the number of passes": (lambda shape, reach: _written_out(shape, reach).max() + 1,
            "You return how many passes there are; the pass of each place is asked for.",
            "Return an array as large as the map."),
    },
    right={
        "written out": _written_out,
        "relaxed": _relaxed,
        "whatever is ready": _ready,
        "remembered": _remembered,
    },
    hints=(
        "A place can be drawn one pass after the last of those that it sees.",
        "Go through the places in raster order: all that a place waits for has its number by then.",
    ),
)  # fmt: skip


def _perplexity_at(logits, temperature):
    scaled = np.asarray(logits, float) / temperature
    shares = np.exp(scaled - scaled.max())
    shares = shares / shares.sum()
    return float(np.exp(-np.sum(shares * np.log(np.maximum(shares, 1e-300)))))


def _found(measure):
    """Search for the temperature at which measure(logits, temperature), which grows with it, is the perplexity."""

    def answer(logits, perplexity):
        low, high = 1e-3, 1e3
        for _ in range(60):
            middle = (low * high) ** 0.5
            low, high = (middle, high) if measure(logits, middle) < perplexity else (low, middle)
        return middle

    return answer


def _shares_at(logits, temperature):
    weights = np.exp((np.asarray(logits, float) - np.max(logits)) / temperature)
    return weights / weights.sum()


def _on_a_grid(logits, perplexity):
    grid = np.exp(np.linspace(np.log(1e-2), np.log(1e2), 20_001))
    return float(np.interp(perplexity, [_perplexity_at(logits, t) for t in grid], grid))


def _by_slope(logits, perplexity):
    """Newton's method for the inverse temperature, kept inside bounds."""
    logits, low, high, b = np.asarray(logits, float), 1e-3, 1e3, 1.0
    for _ in range(100):
        shares = _shares_at(logits, 1 / b)
        mean = shares @ logits
        nats = np.log(np.sum(np.exp(b * (logits - logits.max())))) + b * (logits.max() - mean)
        low, high = (b, high) if nats > np.log(perplexity) else (low, b)
        step = b + (nats - np.log(perplexity)) / max(b * (shares @ (logits - mean) ** 2), 1e-12)
        b = step if low < step < high else (low * high) ** 0.5
    return np.float32(1 / b)


def _in_jax(logits, perplexity):
    def turn(_, bounds):
        low, high = bounds
        middle = jnp.sqrt(low * high)
        log_p = jax.nn.log_softmax(logits / middle)
        colder = -jnp.sum(jnp.exp(log_p) * log_p) < jnp.log(perplexity)
        return jnp.where(colder, middle, low), jnp.where(colder, high, middle)

    return jnp.sqrt(jnp.prod(jnp.array(jax.lax.fori_loop(0, 60, turn, (jnp.float32(1e-2), jnp.float32(1e2))))))


temperature_for = exercise(
    "pixelcnn.temperature_for",
    can="It draws as freely as you say: so many codes to choose from, in place of a temperature.",
    kind="puzzle", importance=1, difficulty=3, minutes=15,
    stuck="Work out the perplexity at temperatures of 0.1, 1 and 10 for a few logits: in which direction does it go?",
    wrong={
        "bits against nats": (_found(lambda x, t: 2 ** np.log(_perplexity_at(x, t))),
            _found(lambda x, t: np.exp(np.log2(_perplexity_at(x, t)))),
            "Your perplexity is off: logarithm and exponential have different bases.",
            "exp goes with natural logarithms, and 2 to a power with those to base 2."),
        "entropy for perplexity": (_found(lambda x, t: np.log(_perplexity_at(x, t))),
            "You look for an entropy as large as the perplexity that was asked for.",
            "Perplexity is exp of the entropy in nats."),
        "the inverse": (lambda x, p: 1 / _found(_perplexity_at)(x, p),
            "This is one over the temperature.",
            "Logits are divided by the temperature."),
        "turned round": (lambda x, p: _found(lambda x, t: p + 1 if _perplexity_at(x, t) < p else p - 1)(x, p),
            "Your search runs to one of its ends: it looks on the wrong side each time.",
            "Does a higher temperature make the perplexity larger or smaller?"),
        "one over the largest share": (_found(lambda x, t: 1 / _shares_at(x, t).max()),
            "You measure how probable the best code is, and take no notice of the others.",
            "Perplexity is made of all shares."),
        "one over the sum of squares": (_found(lambda x, t: 1 / np.sum(_shares_at(x, t) ** 2)),
            "One over the sum of squared shares is also a number of choices, and not the perplexity.",
            "Perplexity is exp of the entropy in nats."),
        "in proportion": (lambda x, p: p / _perplexity_at(x, 1.0),
            "You scale the temperature in proportion to the perplexity, which does not grow so evenly.",
            "What is the perplexity at the temperature that you return?"),
        "shares divided": (_found(lambda x, t: _perplexity_at(_shares_at(x, 1.0), t)),
            "You divide probabilities by the temperature; it is the logits that are divided.",
            "softmax comes after the division."),
        "no search": (lambda x, p: 1.0,
            "You return 1, whatever is asked for.",
            "What is the perplexity at a temperature of 1, and of 2?"),
    },
    right={
        "on a grid": _on_a_grid,
        "by slope": _by_slope,
        "in JAX": _in_jax,
        "a plain search": _found(_perplexity_at),
    },
    hints=(
        "The perplexity grows with the temperature, from 1 to K. There is no formula for the inverse: search.",
        "Keep two temperatures, one too cold and one too hot, look half way between, and replace one of them.",
    ),
)  # fmt: skip
