"""Lesson 05, second half: what a prior is paid for, and drawing from it."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vqtutor.checking import Exercise, Misconception, Probe, Question
from vqtutor.exercises import masks
from vqtutor.exercises.quantizer import pull_back
from vqtutor.models import pixelcnn as ref
from vqtutor.models import sampling

_rng = np.random.default_rng(6)

# -- prior_loss -------------------------------------------------------------------------------------------------------

# Not square, K unlike both sides, and codes of which some never occur.
_LOGITS = jnp.asarray(2 * _rng.normal(size=(2, 3, 5, 4)), jnp.float32)
_CODES = jnp.asarray(_rng.integers(0, 3, (2, 3, 5)), jnp.int32)


def _chosen(table, codes):
    return jnp.take_along_axis(table, codes[..., None], axis=-1)[..., 0]


def _log_p(logits):
    return jax.nn.log_softmax(logits, axis=-1)


def _each(logits, codes):
    return -_chosen(_log_p(logits), codes)


prior_loss = Exercise(
    id="pixelcnn.prior_loss",
    reference=ref.prior_loss,
    arguments=("logits", "codes"),
    probes=(
        Probe("value", lambda answer: {"value": answer(_LOGITS, _CODES)}),
        Probe("large logits", lambda answer: {"large logits": answer(100 * _LOGITS, _CODES)}),
        Probe("gradient", lambda answer: {"gradient": pull_back(lambda x: answer(x, _CODES), _LOGITS)[0]}),
    ),
    misconceptions=(
        Misconception(
            "summed over the map",
            "This is nats an image: summed over the places of a map. Asked for is nats a code.",
            "Average over all places of all maps.",
            lambda x, c: jnp.mean(jnp.sum(_each(x, c), axis=(1, 2))),
        ),
        Misconception(
            "summed over everything",
            "The losses are added up; asked for is their mean.",
            "Average over all places of all maps.",
            lambda x, c: jnp.sum(_each(x, c)),
        ),
        Misconception(
            "bits",
            "This is bits a code; nats are asked for.",
            "Use the natural logarithm.",
            lambda x, c: jnp.mean(_each(x, c)) / math.log(2),
        ),
        Misconception(
            "logits taken for probabilities",
            "The logits are not turned into probabilities first.",
            "Logits may be any number; log_softmax makes log-probabilities of them.",
            lambda x, c: -jnp.mean(_chosen(x, c)),
            also=(lambda x, c: -jnp.mean(jnp.log(jnp.maximum(_chosen(x, c), 1e-10))),),
        ),
        Misconception(
            "softmax twice",
            "Probabilities are handed to something that takes logits, so softmax is taken twice.",
            "Either probabilities and log, or logits and log_softmax.",
            lambda x, c: jnp.mean(_each(jax.nn.softmax(x), c)),
        ),
        Misconception(
            "the probability itself",
            "You average probabilities; a likelihood is a product of them, so their logarithms add up.",
            "Take the logarithm before you average.",
            lambda x, c: -jnp.mean(jnp.exp(-_each(x, c))),
            also=(
                lambda x, c: 1 - jnp.mean(jnp.exp(-_each(x, c))),
                lambda x, c: -jnp.log(jnp.mean(jnp.exp(-_each(x, c)))),
            ),
        ),
        Misconception(
            "sign turned",
            "This is the log-likelihood: it would be made small, and likely codes unlikely.",
            "A loss falls when the codes become likelier.",
            lambda x, c: -jnp.mean(_each(x, c)),
        ),
        Misconception(
            "softmax along a row",
            "The softmax runs along the wrong axis: the K logits of one place compete with each other.",
            "Which axis of [B, H, W, K] is K?",
            lambda x, c: -jnp.mean(_chosen(jax.nn.log_softmax(x, axis=2), c)),
            also=(
                lambda x, c: -jnp.mean(_chosen(jax.nn.log_softmax(x, axis=1), c)),
                lambda x, c: -jnp.mean(_chosen(jax.nn.log_softmax(x, axis=0), c)),
                lambda x, c: -jnp.mean(_chosen(jax.nn.log_softmax(x, axis=None), c)),
            ),
        ),
        Misconception(
            "divided by the number of codes",
            "The result is K times too small: the zeros of the one-hot rows are averaged over as well.",
            "Sum over K, then average over places.",
            lambda x, c: -jnp.mean(jax.nn.one_hot(c, x.shape[-1]) * _log_p(x)),
        ),
        Misconception(
            "entropy of the prior",
            "This is how unsure the prior is; the codes that really occurred do not enter.",
            "Which of the K log-probabilities counts is what the code says.",
            lambda x, c: -jnp.mean(jnp.sum(jnp.exp(_log_p(x)) * _log_p(x), axis=-1)),
        ),
        Misconception(
            "logarithm of a softmax",
            "Right for small logits, but a probability too small for float32 becomes 0, and its logarithm infinite.",
            "log_softmax, or optax's cross-entropy from logits, stays finite.",
            lambda x, c: -jnp.mean(jnp.log(_chosen(jax.nn.softmax(x, axis=-1), c))),
            also=(lambda x, c: -jnp.mean(jnp.log(_chosen(jax.nn.softmax(x, axis=-1), c) + 1e-10)),),
        ),
    ),
    alternatives={
        "log_softmax and one-hot": lambda x, c: -jnp.mean(jnp.sum(jax.nn.one_hot(c, x.shape[-1]) * _log_p(x), axis=-1)),
        "optax, flattened": lambda x, c: optax.softmax_cross_entropy_with_integer_labels(
            x.reshape(-1, x.shape[-1]), c.reshape(-1)
        ).mean(),
        "optax, one-hot": lambda x, c: optax.softmax_cross_entropy(x, jax.nn.one_hot(c, x.shape[-1])).mean(),
        "logsumexp": lambda x, c: jnp.mean(jax.nn.logsumexp(x, axis=-1) - _chosen(x, c)),
        "jitted": jax.jit(ref.prior_loss),
    },
    hints=(
        "At each place, log_softmax of the K logits gives K log-probabilities. Which of them is the code's?",
        "optax.softmax_cross_entropy_with_integer_labels(logits, codes) does it for every place. Then average.",
    ),
)

# -- nats_to_bits_per_image -------------------------------------------------------------------------------------------

nats_to_bits_per_image = Exercise(
    id="pixelcnn.nats_to_bits_per_image",
    reference=ref.nats_to_bits_per_image,
    arguments=("nats_per_code", "code_map_shape"),
    probes=(
        Probe("a 7 x 7 map", lambda answer: {"a 7 x 7 map": answer(1.0174, (7, 7))}),
        Probe("a 4 x 6 map", lambda answer: {"a 4 x 6 map": answer(0.5, (4, 6))}),
    ),
    misconceptions=(
        Misconception(
            "still nats",
            "This is nats an image: the step to bits is missing.",
            "How many nats is one bit?",
            lambda n, s: n * s[0] * s[1],
        ),
        Misconception(
            "times log 2",
            "You multiply by log 2: a bit is the smaller unit, so there are more of them.",
            "One bit is log 2 = 0.69 nats.",
            lambda n, s: n * s[0] * s[1] * math.log(2),
        ),
        Misconception(
            "bits a code",
            "This is what one code takes; an image has many.",
            "How many places has the map?",
            lambda n, s: n / math.log(2),
        ),
        Misconception(
            "one row",
            "You count the places of one row, or of one column.",
            "A map has rows times columns places.",
            lambda n, s: n * s[0] / math.log(2),
            also=(lambda n, s: n * s[1] / math.log(2),),
        ),
        Misconception(
            "rows plus columns",
            "You add rows and columns.",
            "A map has rows times columns places.",
            lambda n, s: n * sum(s) / math.log(2),
        ),
        Misconception(
            "logarithm of the nats",
            "You take log2 of the nats; they are a logarithm already.",
            "Changing the base of a logarithm is a division.",
            lambda n, s: math.log2(n) * s[0] * s[1],
            also=(lambda n, s: abs(math.log2(n)) * s[0] * s[1],),
        ),
        Misconception(
            "square map",
            "Only one side is used, squared: maps need not be square.",
            "code_map_shape is (rows, columns).",
            lambda n, s: n * s[0] ** 2 / math.log(2),
            also=(lambda n, s: n * s[1] ** 2 / math.log(2),),
        ),
        Misconception(
            "divided by 2",
            "You divide by 2 where a change of base divides by the logarithm of 2.",
            "One bit is log 2 = 0.69 nats.",
            lambda n, s: n * s[0] * s[1] / 2,
        ),
    ),
    alternatives={
        "numpy": lambda n, s: n * np.prod(s) / np.log(2),
        "jax": lambda n, s: n * s[0] * s[1] * jnp.log2(jnp.e),
        "log2 of e": lambda n, s: n * math.prod(s) * math.log2(math.e),
        "through the likelihood": lambda n, s: -math.log2(math.exp(-n)) * s[0] * s[1],
    },
    hints=(
        "First nats an image: how many codes has a map?",
        "One bit is log 2 nats, so nats / log 2 are bits.",
    ),
)

# -- sample -----------------------------------------------------------------------------------------------------------

_MANY = 4_000  # shares of so many draws are within 0.03 of their probability, four standard deviations
_SHAPE = (_MANY, 2, 3)


def _counting_up(codes):
    """The first code is any of three; every other is the one before it, in raster order, plus one."""
    flat = codes.reshape(len(codes), -1)
    before = jnp.roll(flat, 1, axis=1)
    sure = 50.0 * jax.nn.one_hot((before + 1) % 3, 3)
    logits = sure.at[:, 0].set(jnp.zeros(3))
    return logits.reshape(*codes.shape, 3)


def _independent(codes):
    """Every code is 0 with probability 3/4 and 1 with 1/4, whatever the others are."""
    return jnp.broadcast_to(jnp.array([math.log(3.0), 0.0]), (*codes.shape, 2))


def _obeys(answer):
    codes = answer(jax.random.key(0), _counting_up, _SHAPE)
    flat = codes.reshape(len(codes), -1)
    counted = jnp.diff(flat, axis=1) % 3 == 1
    shares = jnp.bincount(flat[:, 0], length=3) / len(flat)
    return {
        "shape": jnp.array(codes.shape),
        "dtype is of integers": bool(jnp.issubdtype(codes.dtype, jnp.integer)),
        "codes lie between 0 and K - 1": bool(jnp.all((codes >= 0) & (codes < 3))),
        "each code follows from the one before it": jnp.all(counted, axis=0),
        "the first code is drawn, not chosen": bool(jnp.all(jnp.abs(shares - 1 / 3) < 0.04)),
    }


def _frequencies(answer):
    codes = answer(jax.random.key(1), _independent, _SHAPE)
    flat = codes.reshape(len(codes), -1)
    repeated = answer(jax.random.key(1), _independent, _SHAPE)
    other = answer(jax.random.key(2), _independent, _SHAPE)
    same_neighbour = jnp.mean(flat[:, 1:] == flat[:, :1], axis=0)  # 10 in 16, when they are independent
    return {
        "each place has its share of code 1": jnp.abs(jnp.mean(flat, axis=0) - 0.25) < 0.04,
        "codes are as unequal as they should be": bool(jnp.abs(jnp.mean(flat) - 0.5) > 0.05),
        "places are drawn apart from each other": jnp.abs(same_neighbour - 0.625) < 0.05,
        "maps are drawn apart from each other": len(jnp.unique(flat[:200], axis=0)) > 10,
        "the same key gives the same maps": bool(jnp.all(codes == repeated)),
        "another key gives other maps": bool(jnp.any(codes != other)),
    }


def _temperatures(answer):
    seen, shares = {}, []
    for temperature in (0.5, 2.0):
        p = 1 / (1 + 3 ** (1 / temperature))
        codes = answer(jax.random.key(3), _independent, _SHAPE, temperature)
        shares.append(float(jnp.mean(codes)))
        seen[f"share of code 1 at temperature {temperature}"] = abs(shares[-1] - p) < 0.02
    return seen | {
        "code 1 is drawn at all": shares[0] > 0,
        "the temperature matters": abs(shares[0] - shares[1]) > 0.02,
        "a low temperature makes the likelier code likelier": shares[0] < shares[1] - 0.02,
    }


def sampler(
    pick=lambda key, logits, t: jax.random.categorical(key, logits / t),
    key_of=jax.random.fold_in,
    order=lambda n, height, width: (n // width, n % width),
    places=lambda height, width: height * width,
    look=lambda logits, row, column: logits[:, row, column],
):
    """Return a sampler that differs from the right one in what is named."""

    def answer(key, logits_fn, shape, temperature=1.0):
        _, height, width = shape

        def fill_in(n, codes):
            row, column = order(n, height, width)
            drawn = pick(key_of(key, n), look(logits_fn(codes), row, column), temperature)
            return codes.at[:, row, column].set(drawn.astype(jnp.int32))

        return jax.lax.fori_loop(0, places(height, width), fill_in, jnp.zeros(shape, jnp.int32))

    return answer


def _python_loop(key, logits_fn, shape, temperature=1.0):
    codes = jnp.full(shape, 1, jnp.int32)
    for row in range(shape[1]):
        for column in range(shape[2]):
            key, draw = jax.random.split(key)
            logits = logits_fn(codes)[:, row, column] / temperature
            codes = codes.at[:, row, column].set(jax.random.categorical(draw, logits))
    return codes


def _gumbel(key, logits, temperature):
    return jnp.argmax(logits / temperature + jax.random.gumbel(key, logits.shape), axis=-1)


sample = Exercise(
    id="pixelcnn.sample",
    reference=sampling.sample,
    arguments=("key", "logits_fn", "shape"),
    seconds=30.0,
    probes=(
        Probe("order", _obeys),
        Probe("frequencies", _frequencies),
        Probe("temperature", _temperatures),
    ),
    misconceptions=(
        Misconception(
            "the likeliest code",
            "You take the likeliest code at every place: every map comes out the same.",
            "Drawing leaves room for the less likely, as often as they are likely.",
            sampler(pick=lambda key, logits, t: jnp.argmax(logits, axis=-1)),
        ),
        Misconception(
            "drawn before its past",
            "Codes are drawn before those they depend on: all in one go, or from the end. None knows of the others.",
            "Start at row 0, column 0, and after each code ask the network again.",
            lambda key, f, shape, temperature=1.0: jax.random.categorical(
                key, f(jnp.zeros(shape, jnp.int32)) / temperature
            ),
            also=(sampler(order=lambda n, h, w: ((h * w - 1 - n) // w, (h * w - 1 - n) % w)),),
        ),
        Misconception(
            "a row at once",
            "A whole row is drawn in one go: its codes do not know of each other.",
            "After each code, ask the network again.",
            sampler(
                order=lambda n, h, w: (n, slice(None)),
                places=lambda h, w: h,
            ),
        ),
        Misconception(
            "column by column",
            "Places are filled down the columns; the network was trained along the rows.",
            "n // columns and n % columns give row and column in raster order.",
            sampler(order=lambda n, h, w: (n % h, n // h)),
        ),
        Misconception(
            "one key for all places",
            "Every place is drawn with the same key, so the same luck decides all of them.",
            "A new key for each place: jax.random.fold_in(key, n), or split.",
            sampler(key_of=lambda key, n: key),
        ),
        Misconception(
            "temperature ignored",
            "The temperature changes nothing.",
            "Divide the logits by it before you draw.",
            sampler(pick=lambda key, logits, t: jax.random.categorical(key, logits)),
        ),
        Misconception(
            "times the temperature",
            "A low temperature makes draws wilder here: the logits are multiplied by it.",
            "Divide the logits: at low temperature, differences grow.",
            sampler(pick=lambda key, logits, t: jax.random.categorical(key, logits * t)),
        ),
        Misconception(
            "probabilities in place of logits",
            "Probabilities are handed to categorical, which takes logits: everything is drawn nearly evenly.",
            "jax.random.categorical wants logits, as they come.",
            sampler(pick=lambda key, logits, t: jax.random.categorical(key, jax.nn.softmax(logits / t))),
        ),
        Misconception(
            "drawn evenly",
            "Codes are drawn with equal chances: the network is not listened to.",
            "Its logits at this place say how likely each code is.",
            sampler(pick=lambda key, logits, t: jax.random.randint(key, logits.shape[:1], 0, logits.shape[-1])),
        ),
        Misconception(
            "one map for all",
            "All maps of the batch are alike: one draw is shared by all of them.",
            "Draw for every map: categorical of [B, K] gives [B].",
            sampler(
                pick=lambda key, logits, t: jnp.broadcast_to(
                    jax.random.categorical(key, logits[0] / t), logits.shape[:1]
                )
            ),
        ),
        Misconception(
            "logits of the place before",
            "The code is drawn from what the network says of the place before it.",
            "The logits at a place are about the code of that very place.",
            sampler(
                look=lambda logits, row, column: jnp.roll(logits.reshape(len(logits), -1, logits.shape[-1]), 1, 1)[
                    :, row * logits.shape[2] + column
                ]
            ),
        ),
        Misconception(
            "always the same key",
            "The key handed in is not used: every call draws the same maps.",
            "All luck should come from the key.",
            sampler(key_of=lambda key, n: jax.random.fold_in(jax.random.key(0), n)),
        ),
    ),
    alternatives={
        "python loop, another canvas": _python_loop,
        "gumbel": sampler(pick=_gumbel),
        "keys split beforehand": sampler(key_of=lambda key, n: jax.random.split(key, 6)[n]),
        "from log-probabilities": sampler(
            pick=lambda key, logits, t: jax.random.categorical(key, jax.nn.log_softmax(logits / t))
        ),
        "jitted": jax.jit(sampling.sample, static_argnums=(1, 2)),
    },
    hints=(
        "Start from zeros. For each place in raster order: ask logits_fn, draw a code there, put it in.",
        "`jax.random.categorical(key, logits / temperature)` draws; each place needs a key of its own.",
        "jax.lax.fori_loop(0, rows * columns, fill_in, zeros), with `codes.at[:, row, column].set(drawn)` inside.",
    ),
)

EXERCISES = (
    masks.causal_mask,
    masks.masked_conv2d,
    prior_loss,
    nats_to_bits_per_image,
    masks.receptive_field,
    sample,
)

QUESTIONS = (
    Question(
        id="pixelcnn.q_suspects",
        asks="Which of the three sees the future?",
        choices={
            "a": (
                "Ada",
                "Everything she sees comes before the cross. The question marks are the blind spot, and no leak.",
            ),
            "b": (
                "Ben",
                "There are dots after the cross: to its right, and below. His mask was put on when the weights were "
                "made, and an optimizer has moved the weights since.",
            ),
            "c": (
                "Cleo",
                "She sees too little, not too much: with mask A in every layer even the nearest neighbours are lost.",
            ),
        },
        best="b",
    ),
    Question(
        id="pixelcnn.q_once",
        asks="The mask is multiplied into the weights when they are made, and not later. What happens in training?",
        choices={
            "a": (
                "Nothing: masked weights are zero and stay zero.",
                "Their gradient is not zero, and an optimizer moves whatever has a gradient.",
            ),
            "b": (
                "The loss falls far too well, and what is drawn is rubbish.",
                "The network learns to read the future from the map it is given. When drawing there is no future yet, "
                "and the network reads noise.",
            ),
            "c": (
                "The loss becomes NaN.",
                "Nothing is out of range; it only learns what it should not.",
            ),
        },
        best="b",
    ),
    Question(
        id="pixelcnn.q_blind",
        asks="A stack of masked convolutions has a blind spot. Can more layers close it?",
        choices={
            "a": (
                "Yes: every layer widens what is seen.",
                "It widens along the same staircase. What lies behind its edge stays there, however many steps it has.",
            ),
            "b": (
                "Yes, with mask A in every layer.",
                "That would lose more: each layer would forget its own place.",
            ),
            "c": (
                "No: up and to the right, one row up is at most half a kernel to the right, in every layer.",
                "Each row climbed buys at most half a kernel to the right, so what is farther right on the rows just "
                "above is never seen. The next lesson needs two stacks to see it.",
            ),
        },
        best="c",
    ),
    Question(
        id="pixelcnn.q_temperature",
        asks="You draw with a temperature of 0.1. What do you expect?",
        choices={
            "a": (
                "Cleaner pictures, of fewer kinds.",
                "Near 0 the likeliest code wins nearly always. Each step is safe, and variety goes.",
            ),
            "b": (
                "Noise.",
                "That is what a high temperature brings: all codes become alike.",
            ),
            "c": (
                "The same distribution, drawn more slowly.",
                "Dividing the logits changes the distribution; it costs no time at all.",
            ),
        },
        best="a",
    ),
)
