"""Lesson 03: what goes wrong in its exercises, what else is right, and what helps."""

import math

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

import vqtutor
from vqtutor.lessons.entries import edit, exercise

_FACTOR, _ROUNDED = "2**num_strided_layers", "-(-rows // factor), -(-columns // factor)"

code_map_shape = exercise(
    "vqvae.code_map_shape",
    can="It says how large a code map is, for any image and any number of layers.",
    kind="proof", importance=3, difficulty=1, minutes=4,
    stuck="Halve 28 three times on paper, rounding up; then do the same for 30 rows and 50 columns.",
    wrong={
        "rounded down": (edit("-(-", "(", times=2),
            "With SAME padding a strided layer rounds up: a map of 7 becomes 4, not 3.",
            "Which way does SAME padding round?"),
        "not rounded": (edit(_ROUNDED, "rows / factor, columns / factor"),
            "There are no half places: sizes are whole numbers, rounded up at every layer.",
            "A map of 7 becomes 4."),
        "divided once": (edit(_FACTOR, "2"),
            "You divide by 2 once, whatever the number of layers.",
            "Each strided layer halves the map again."),
        "divided by twice the layers": (edit(_FACTOR, "max(1, 2 * num_strided_layers)"),
            "You divide by 2 times the number of layers; but each layer halves the map again.",
            "Halved twice is a quarter, three times an eighth."),
        "subtracted": (edit(_FACTOR, "2 * num_strided_layers", _ROUNDED, "rows - factor, columns - factor"),
            edit(_FACTOR, "num_strided_layers", _ROUNDED, "rows - factor, columns - factor"),
            "You take 2 away for each layer; a stride divides.",
            "28 -> 14 -> 7."),
        "enlarged": (edit(_ROUNDED, "rows * factor, columns * factor"),
            "You multiply: that is what the decoder's transposed convolutions do.",
            "A strided convolution makes the map smaller."),
        "rows and columns exchanged": (edit("rows, columns =", "columns, rows ="),
            "You return (columns, rows).",
            "Rows come first, as in a shape."),
        "number of codes in place of the shape": (edit("factor), ", "factor) * "), edit(", -(-columns // factor)", ""),
            "You return how many codes there are; return the shape.",
            "Return two numbers: rows and columns."),
        "one too many": (edit(_ROUNDED, "rows // factor + 1, columns // factor + 1"),
            "Your map is one place too large where the size divides evenly.",
            "Round up only where there is something to round."),
    },
    right={
        "layer by layer": edit(
            f"    factor = {_FACTOR}",
            "    for _ in range(num_strided_layers):\n        rows, columns = (rows + 1) // 2, (columns + 1) // 2",
            _ROUNDED,
            "rows, columns",
        ),
        "math.ceil": edit(_ROUNDED, "math.ceil(rows / factor), math.ceil(columns / factor)"),
        "as a list": edit(_ROUNDED, f"[{_ROUNDED}]"),
        "by shifting": edit(_ROUNDED, "*((size + factor - 1) >> num_strided_layers for size in (rows, columns)),"),
        "counting strides": edit(_ROUNDED, "len(range(0, rows, factor)), len(range(0, columns, factor))"),
    },
    hints=(
        "One strided layer with SAME padding makes ceil(size / 2) of size.",
        "Halving and rounding up n times is the same as dividing by 2^n and rounding up once.",
    ),
)  # fmt: skip

bits_per_image = exercise(
    "vqvae.bits_per_image",
    can="It says how many bits a code map takes.",
    kind="proof", importance=3, difficulty=1, minutes=3,
    stuck="How many bits name one code out of 8? And two of them, and a map of them?",
    wrong={
        "nats": (lambda shape, k: math.prod(shape) * math.log(k),
            "You return nats; it should be bits.",
            "Bits are logarithms to base 2."),
        "one code only": (lambda shape, k: math.log2(k),
            "This is the cost of one code; an image has rows times columns of them.",
            "Independent choices multiply, so their bits add."),
        "one row only": (lambda shape, k: shape[0] * math.log2(k), lambda shape, k: shape[1] * math.log2(k),
            "You count one row or one column of the map.",
            "An image has rows times columns codes."),
        "rows and columns added": (lambda shape, k: sum(shape) * math.log2(k),
            "You add rows and columns; the map has rows times columns places.",
            "How many places does a map of 7 x 7 have?"),
        "whole bits a code": (lambda shape, k: float(math.prod(shape) * math.ceil(math.log2(k))),
            "You give every code a whole number of bits; ten choices are worth 3.32 bits each, not 4.",
            "A coder can share a bit between codes: do not round."),
        "no logarithm": (lambda shape, k: float(math.prod(shape) * k),
            "You multiply by the number of codes; doubling it should cost one bit more, not twice the bits.",
            "How many bits does it take to name one of K things?"),
        "product in the logarithm": (lambda shape, k: math.log2(math.prod(shape) * k),
            "You take the logarithm of places times codes; the number of maps is K to the power of places.",
            "Each further place multiplies the number of maps by K."),
        "codes and places exchanged": (lambda shape, k: k * math.log2(math.prod(shape)),
            "You count K choices among the places; there is one choice among K codes at each place.",
            "With one place, how many different maps are there?"),
        "bytes": (lambda shape, k: math.prod(shape) * math.log2(k) / 8,
            "You return bytes; it should be bits.",
            "A byte is eight bits."),
    },
    right={
        "numpy": lambda shape, k: np.prod(shape) * np.log2(k),
        "jax.numpy": lambda shape, k: shape[0] * shape[1] * jnp.log2(k),
        "logarithm of the count": lambda shape, k: math.log2(k ** math.prod(shape)),
        "from nats": lambda shape, k: math.prod(shape) * math.log(k) / math.log(2),
    },
    hints=(
        "How many bits does it take to name one of K codes? And how many codes does a map have?",
        "`math.log2(128)` is 7.",
    ),
)  # fmt: skip


class _SequentialEncoder(hk.Module):
    def __init__(self, code_dim, name="another_name"):
        super().__init__(name=name)
        first, second = hk.Conv2D(32, 3, 2), hk.Conv2D(64, (3, 3), (2, 2))
        self.net = hk.Sequential([first, jax.nn.relu, second, lambda x: jnp.maximum(x, 0), hk.Conv2D(code_dim, 1)])

    def __call__(self, x):
        return self.net(x)


class _SequentialDecoder(hk.Module):
    def __init__(self):
        super().__init__(name="another_name")
        up = (hk.Conv2DTranspose(64, 3, 2), hk.Conv2DTranspose(32, (3, 3), (2, 2)), hk.Conv2DTranspose(1, 3))
        self.net = hk.Sequential([up[0], jax.nn.relu, up[1], lambda x: jnp.maximum(x, 0), up[2]])

    def __call__(self, z_q):
        return self.net(z_q)


class _Patches(hk.Module):
    """Every patch of 4 x 4 pixels through the same small network."""

    def __init__(self, code_dim):
        super().__init__()
        self.code_dim = code_dim

    def __call__(self, x):
        patches = x.reshape(-1, 7, 4, 7, 4).swapaxes(2, 3).reshape(-1, 7, 7, 16)
        return hk.Linear(self.code_dim)(jax.nn.gelu(hk.Linear(96)(patches)))


class _Residual(hk.Module):
    """One stride of 4, and something added to what it gives."""

    def __init__(self, code_dim):
        super().__init__()
        self.code_dim = code_dim

    def __call__(self, x):
        x = hk.Conv2D(32, 6, 4)(x)
        x = x + hk.Conv2D(32, 3)(jax.nn.elu(x))
        return hk.Conv2D(self.code_dim, 1, with_bias=False)(jax.nn.elu(x))


class _Pooled(hk.Module):
    """Convolutions that keep the size, and means of 2 x 2 places in between."""

    def __init__(self, code_dim):
        super().__init__()
        self.code_dim = code_dim

    def __call__(self, x):
        for channels in (24, 48):
            x = hk.AvgPool((2, 2, 1), (2, 2, 1), "SAME")(jax.nn.relu(hk.Conv2D(channels, 3)(x)))
        return hk.Conv2D(self.code_dim, 1)(x)


class _Valid(hk.Module):
    """Nothing is added at the borders."""

    def __init__(self, code_dim):
        super().__init__()
        self.code_dim = code_dim

    def __call__(self, x):
        for channels in (32, 64):
            x = jax.nn.relu(hk.Conv2D(channels, 3, 2, padding="VALID")(x))
        return hk.Conv2D(self.code_dim, 1)(x)


class _Enlarged(hk.Module):
    """Every place four times, and a convolution: without transposed ones."""

    def __call__(self, z_q):
        x = z_q
        for channels in (48, 24):
            x = jax.nn.relu(hk.Conv2D(channels, 3)(x.repeat(2, axis=1).repeat(2, axis=2)))
        return hk.Conv2D(1, 3)(x)


class _SubPixel(hk.Module):
    """Sixteen channels become 4 x 4 pixels."""

    def __call__(self, z_q):
        x = jax.nn.relu(hk.Conv2D(64, 3)(z_q))
        x = hk.Conv2D(16, 3)(x)
        return x.reshape(-1, 7, 7, 4, 4).swapaxes(2, 3).reshape(-1, 28, 28, 1)


class _SideBySide(hk.Module):
    """Every code draws its own 4 x 4 pixels."""

    def __call__(self, z_q):
        return hk.Conv2DTranspose(1, 4, 4)(jax.nn.relu(hk.Linear(96)(z_q)))


class _Coarse(hk.Module):
    """Pixels of twice the size."""

    def __call__(self, z_q):
        x = hk.Conv2D(1, 3)(jax.nn.relu(hk.Conv2DTranspose(48, 3, 2)(z_q)))
        return x.repeat(2, axis=1).repeat(2, axis=2)


class _MoreInOne(hk.Module):
    """Each place also gets the mean of all places of all images."""

    def __init__(self, code_dim=1):
        super().__init__()
        self.code_dim = code_dim

    def __call__(self, x):
        if x.shape[1] == 28:
            x = jax.nn.relu(vqtutor.Conv2D(32, 3, stride=2)(x))
            x = jax.nn.relu(vqtutor.Conv2D(64, 3, stride=2)(x - x.mean(axis=0)))
            return vqtutor.Conv2D(self.code_dim, 1)(x)
        x = jax.nn.relu(vqtutor.Conv2DTranspose(64, 3, stride=2)(x))
        x = jax.nn.relu(vqtutor.Conv2DTranspose(32, 3, stride=2)(x - x.mean(axis=0)))
        return vqtutor.Conv2DTranspose(1, 3)(x)


# Changes that both networks' texts allow.
_OTHERS = {
    "elu": edit("jax.nn.relu", "jax.nn.elu", times=2),
    "gelu": edit("jax.nn.relu", "jax.nn.gelu", times=2),
    "relu by where": edit("jax.nn.relu", "(lambda x: x * (x > 0))", times=2),
}
# What is wrong with either of them in the same way.
_OF_BOTH = {
    "one linear map": (
        edit("jax.nn.relu", "", times=2),
        "Nothing bends between your layers: however many there are, together they are one linear map.",
        "Put something between them that is not a weighted sum, such as a relu.",
    ),
    "weights that cannot learn": (
        edit("jax.nn.relu(vqtutor", "jax.lax.stop_gradient(vqtutor", times=2),
        "Some of the weights never get a gradient, so they stay as they were drawn.",
        "What holds a gradient back?",
    ),
    "images mixed": (
        _MoreInOne,
        "What comes out for one image depends on the others in the batch.",
        "Look for a mean, a sum or a reshape over the first axis.",
    ),
}
_Z_E, _X_HAT = "vqtutor.Conv2D(self.code_dim, 1)(x)", "vqtutor.Conv2DTranspose(1, 3)(x)"
_OUT_OF_ORDER = "Places are not where they were: place (r, c) of the map should stand for the pixels around (4r, 4c)."

encoder = exercise(
    "vqvae.Encoder",
    can="It turns 784 pixels into 7 x 7 vectors, within its budget, and every one of its weights can learn.",
    kind="decision", importance=3, difficulty=2, minutes=15,
    stuck="Start with the size of the map: which strides turn 28 into 7? Count the parameters of one layer by "
    "hand, then try widths.",
    wrong={
        "no stride": (edit(", stride=2", "", times=2),
            "The map is as large as the image: 28 x 28 codes would say more than the pixels.",
            "Which of your layers makes the map smaller?"),
        "halved once": (edit("32, 3, stride=2", "32, 3"), edit("64, 3, stride=2", "64, 3"),
            "The map has 14 x 14 places, four times as many as asked for.",
            "28 -> 14 -> 7: how many halvings are that?"),
        "halved three times": (edit("code_dim, 1", "code_dim, 1, stride=2"),
            "The map has 4 x 4 places: it is halved once too often.",
            "28 -> 14 -> 7, and no further."),
        "borders cut off": (_Valid,
            "The map comes out smaller than 7 x 7 because nothing is added at the borders.",
            "Which padding keeps ceil(size / stride) places?"),
        "over the budget": (edit("64, 3", "128, 3"), edit("32, 3", "80, 3"),
            "The network does what it should, with more than 20,000 parameters.",
            "A 3 x 3 layer from a to b channels has (9a + 1) b of them. Where are most of yours?"),
        "narrower than its codes": (edit("64, 3", "8, 3"), edit("64, 3", "12, 3"),
            "A layer has fewer channels than the codes have numbers, so some of these are fixed mixes of the others.",
            "How many different numbers can a vector of 16 hold that was made from 8?"),
        "nothing below zero": (edit(_Z_E, f"jax.nn.relu({_Z_E})"),
            "All vectors are positive: something behind the last layer cuts off what is below zero.",
            "Codes lie on both sides of zero, so the last layer should be linear."),
        "squashed at the end": (edit(_Z_E, f"jax.nn.sigmoid({_Z_E})"), edit(_Z_E, f"jnp.tanh({_Z_E})"),
            "The vectors can never leave a narrow range: something behind the last layer squashes them.",
            "The last layer should be linear."),
        "code_dim ignored": (edit("self.code_dim, 1", "16, 1"),
            "The output has the same number of channels whatever code_dim is.",
            "Where does self.code_dim belong?"),
        "pixels skipped": (edit("32, 3", "32, 1"),
            "There are pixels that no vector sees: a stride jumps over them, and the kernel does not reach them.",
            "How large must a kernel be, at least, for a stride of 2? And of 4?"),
        "places out of order": (edit(_Z_E, f"{_Z_E}.transpose(0, 2, 1, 3)"),
            _OUT_OF_ORDER,
            "Look for a transpose or a reshape."),
        **_OF_BOTH,
    },
    right={
        "hk.Conv2D": edit("vqtutor", "hk", times=3),
        "hk.Sequential": _SequentialEncoder,
        "wide first, narrow second": edit("32", "first", "64", "32", "first", "64"),
        "kernels of 4 x 4": edit("32, 3", "24, 4", "64, 3", "40, 4"),
        "patch by patch": _Patches,
        "one stride of 4, and a residual": _Residual,
        "pooled": _Pooled,
        **_OTHERS,
    },
    hints=(
        "Two strides of 2, or one of 4, make 7 x 7 of 28 x 28, and a 1x1 layer at the end brings code_dim channels.",
        "A 3x3 layer from a to b channels has (9a + 1) b parameters: from 1 to 32, then from 32 to 64, is 18,816.",
    ),
)  # fmt: skip

decoder = exercise(
    "vqvae.Decoder",
    can="It turns 7 x 7 vectors into images, within its budget, and every one of its weights can learn.",
    kind="decision", importance=3, difficulty=2, minutes=10,
    stuck="Read your encoder from its end to its beginning, and say of each layer what undoes its change of shape.",
    wrong={
        "not enlarged enough": (edit(", stride=2", "", times=2), edit("32, 3, stride=2", "32, 3"),
            edit("64, 3, stride=2", "64, 3"),
            "The image stays too small: 7 has to become 28.",
            "7 -> 14 -> 28: which layers double the map?"),
        "enlarged too often": (edit("(1, 3", "(1, 3, stride=2"),
            "The image becomes too large: one layer doubles it that should keep its size.",
            "7 -> 14 -> 28, and no further."),
        "made smaller": (edit("Transpose", "", times=3),
            "An ordinary convolution with a stride makes the map smaller; the decoder has to make it larger.",
            "Which layer undoes the change of shape of a strided convolution?"),
        "more than one grey": (edit("(1, 3", "(3, 3"), edit(f"return {_X_HAT}", "return x"),
            "An image has one channel, its grey; more come out.",
            "How many channels should the last layer have?"),
        "over the budget": (edit("64, 3", "128, 3"), edit("32, 3", "64, 3"),
            "The network does what it should, with more than 30,000 parameters.",
            "A 3 x 3 layer from a to b channels has (9a + 1) b of them. Where are most of yours?"),
        "nothing below zero": (edit(_X_HAT, f"jax.nn.relu({_X_HAT})"),
            "Nothing comes out below zero: the dark pixels, which are negative here, could never be drawn.",
            "The last layer should be linear."),
        "squashed at the end": (edit(_X_HAT, f"jax.nn.sigmoid({_X_HAT})"), edit(_X_HAT, f"jnp.tanh({_X_HAT})"),
            edit(_X_HAT, f"jax.nn.sigmoid({_X_HAT}) - 0.5"),
            "The pixels can never leave a narrow range: something behind the last layer squashes them.",
            "The loss pulls pixels where they belong; leave the last layer linear."),
        "patches side by side": (_SideBySide,
            "Every 4 x 4 pixels hear their own code only, so the joints between patches will show.",
            "Which kernel reaches into the places around it?"),
        "coarse pixels": (_Coarse,
            "Pixels come in blocks that are all alike: the last thing that you do is to repeat them.",
            "What could a layer behind that add?"),
        "places out of order": (edit(_X_HAT, f"{_X_HAT}.transpose(0, 2, 1, 3)"),
            _OUT_OF_ORDER,
            "Look for a transpose or a reshape."),
        **_OF_BOTH,
    },
    right={
        "hk.Conv2DTranspose": edit("vqtutor", "hk", times=3),
        "hk.Sequential": _SequentialDecoder,
        "a convolution at the end": edit("Transpose(1", "(1"),
        "kernels of 4 x 4": edit("64, 3", "48, 4", "32, 3", "20, 4"),
        "enlarged and convolved": _Enlarged,
        "sub-pixels": _SubPixel,
        **_OTHERS,
    },
    hints=(
        "Two strides of 2 bring 7 to 28, and a last layer without a stride brings one channel.",
        "`vqtutor.Conv2DTranspose(64, 3, stride=2)(x)` makes a layer and applies it; mirror your encoder's widths.",
    ),
)  # fmt: skip

_APPLIED, _METRICS = "optax.apply_updates(params, updates)", 'metrics | {"loss": loss}'
_RESULTS = f"{_APPLIED}, opt_state, {_METRICS}"

make_train_step = exercise(
    "vqvae.make_train_step",
    can="It makes a training step for any loss and any optimizer.",
    kind="transcription", importance=3, difficulty=2, minutes=8,
    stuck="Call jax.value_and_grad on a loss of your own in a new cell, and look at what comes back.",
    wrong={
        "updates not applied": (edit(_APPLIED, "params"),
            "The parameters come back unchanged: you compute the updates and do not use them.",
            "optax.apply_updates returns new parameters; nothing is changed in place."),
        "gradients in place of updates": (edit("(params, updates)", "(params, gradients)"),
            "You add the gradients to the parameters: that goes uphill, and by the wrong amount.",
            "Apply what the optimizer returns."),
        "uphill": (edit(_APPLIED, "jax.tree.map(jnp.subtract, params, updates)"),
            "The updates are subtracted: they already point downhill.",
            "Updates are added."),
        "optimizer state not kept": (edit("updates, opt_state =", "updates, _ ="),
            "The first step is right and the later ones are not: the optimizer's memory is lost.",
            "optimizer.update returns two things, and both are needed."),
        "the optimizer is not told the parameters": (edit("opt_state, params)", "opt_state)"),
            "Many optimizers do not need the parameters, but some do: weight decay, for example.",
            "What can you pass to optimizer.update besides gradients and state?"),
        "optimizer started anew": (edit("(gradients, opt_state", "(gradients, optimizer.init(params)"),
            "The optimizer is initialised in every step, so its averages never build up.",
            "opt_state is passed in; use it."),
        "applied twice": (edit(_APPLIED, f"optax.apply_updates({_APPLIED}, updates)"),
            "The updates are added twice.",
            "One step, one update."),
        "metrics after the update": (edit(f"return {_APPLIED}", f"params = {_APPLIED}\n        return params",
                _METRICS, "loss_fn(params, x)[1]"),
            "The metrics belong to the parameters after the step; loss_fn returned them for those before it.",
            "The call that computes the gradient already returns the metrics."),
        "has_aux forgotten": (edit("(loss_fn, has_aux=True)", "(loss_fn)"),
            "loss_fn returns a pair, and you have to tell JAX that only the first part is the loss.",
            "Look at the keyword has_aux of jax.value_and_grad."),
        "results in another order": (edit(_RESULTS, f"{_APPLIED}, {_METRICS}, opt_state"),
            edit(_RESULTS, f"{_METRICS}, {_APPLIED}, opt_state"), edit(_RESULTS, f"opt_state, {_APPLIED}, {_METRICS}"),
            "The step returns its three results in another order than (params, opt_state, metrics).",
            "You should be able to pass the first two straight back in."),
        "metrics left out": (edit(_METRICS, "{}"), edit(_METRICS, '{"loss": loss}'),
            "The step does not return the metrics that loss_fn returned.",
            "Return what loss_fn returned; you may add the loss."),
        "a step in place of its maker": (lambda loss_fn, optimizer: (loss_fn, optimizer),
            "make_train_step should return a function, and what it returns cannot be called.",
            "Define step inside, and return it."),
    },
    right={
        "gradient and metrics alone":
            edit("(loss, metrics), gradients = jax.value_and_grad", "gradients, metrics = jax.grad",
                _METRICS, "metrics"),
        "jitted, updates added by hand":
            edit("    def step", "    @jax.jit\n    def step", _APPLIED, "jax.tree.map(jnp.add, params, updates)"),
        "with a vjp": edit(
            "(loss, metrics), gradients = jax.value_and_grad(loss_fn, has_aux=True)(params, x)",
            "loss, backward, metrics = jax.vjp(lambda p: loss_fn(p, x), params, has_aux=True)",
            "(gradients,",
            "(backward(jnp.ones_like(loss))[0],",
        ),
        "buffers donated": edit("return step", "return jax.jit(step, donate_argnums=(0, 1))"),
    },
    hints=(
        "Four lines: value and gradient, the optimizer's updates, apply them, return.",
        "`(loss, metrics), grads = jax.value_and_grad(loss_fn, has_aux=True)(params, x)`",
        "`updates, opt_state = optimizer.update(grads, opt_state, params)`; `optax.apply_updates(params, updates)`.",
    ),
)  # fmt: skip


def _backwards(layers):
    size, step = 1, 1
    for kernel, stride in reversed(layers):
        size, step = (size - 1) * stride + kernel, step * stride
    return size, step


def _by_looking(layers):
    """Follow which pixels two neighbouring places see."""
    seen = [{2}, {3}]
    for kernel, stride in reversed(layers):
        seen = [{stride * place + tap for place in places for tap in range(kernel)} for places in seen]
    first, second = (sorted(places) for places in seen)
    return first[-1] - first[0] + 1, second[0] - first[0]


def _by_sums(layers):
    kernels, strides = np.array([*layers, (1, 1)]).T
    before = np.cumprod([1, *strides])[:-1]
    return int(1 + np.sum((kernels - 1) * before)), int(np.prod(strides))


def _recursive(layers):
    if not layers:
        return 1, 1
    *earlier, (kernel, stride) = layers
    size, step = _recursive(earlier)
    return size + (kernel - 1) * step, step * stride


_SIZES = "size + (kernel - 1) * step, step * stride"
patch_of = exercise(
    "vqvae.patch_of",
    can="It says what a code can know, of any stack of layers, before a single weight is made.",
    kind="puzzle", importance=2, difficulty=2, minutes=12,
    stuck="Draw two layers with kernel 3 and stride 2 as dots in three rows, and follow two places down.",
    wrong={
        "strides forgotten in the size": (edit("(kernel - 1) * step, step", "(kernel - 1), step"),
            "You add the kernels up as if no layer had a stride.",
            "Behind a stride of 2, how many pixels is one step in the map?"),
        "the layer's own stride too early": (edit(_SIZES, "size + (kernel - 1) * step * stride, step * stride"),
            "A layer's stride already counts for its own kernel; it moves only the layers behind it.",
            "One layer with kernel 3 and stride 2 sees 3 pixels."),
        "kernels added": (edit("(kernel - 1) * step", "kernel * step"),
            "Each kernel is added as a whole, though it shares one pixel with what was seen before.",
            "One layer with kernel 3 sees 3 pixels, not 4."),
        "kernels multiplied": (edit("size + (kernel - 1) * step", "size * kernel"),
            "You multiply the kernels: neighbouring windows overlap, so that is too much.",
            "Two layers of kernel 3 without a stride see 5 pixels."),
        "from the last layer on": (edit("in layers", "in reversed(layers)"),
            "You go through the layers from the last to the first, with the sum that belongs to the other direction.",
            "Which strides come before a layer?"),
        "strides added": (edit("step * stride\n", "step + stride\n"),
            "You add the strides: behind two layers of stride 2, one step is 4 pixels.",
            "28 -> 14 -> 7."),
        "the last layer only": (edit(_SIZES, "kernel, stride"),
            "Each layer starts again from the pixels.",
            "The second layer looks at what the first one made."),
        "step of one": (edit("step * stride\n", "step * stride\n    step = 1\n"),
            "Windows of neighbouring places lie as far apart as all strides together.",
            "How many pixels apart are two places of a 7 x 7 map?"),
        "size and step exchanged": (edit("return size, step", "return step, size"),
            "The two results have changed places.",
            "The size comes first."),
    },
    right={
        "from the last layer, the other way": _backwards,
        "by looking": _by_looking,
        "by sums": _by_sums,
        "recursive": _recursive,
    },
    hints=(
        "Keep two numbers while you go through the layers: what one place sees, and how far apart two places are.",
        "A kernel of k adds k - 1 places of the map below it, and each of these is some pixels wide.",
    ),
)  # fmt: skip


def _full(places, kernel, stride):
    return (places - 1) * stride + kernel


def _by_asking(places, kernel, stride):
    """Ask each output which places reach it."""
    return np.array(
        [
            sum(0 <= at - place * stride < kernel for place in range(places))
            for at in range(_full(places, kernel, stride))
        ]
    )


def _by_convolving(places, kernel, stride):
    spread = np.zeros((places - 1) * stride + 1, int)
    spread[::stride] = 1
    return np.convolve(spread, np.ones(kernel, int))


def _by_scattering(places, kernel, stride):
    at = (np.arange(places)[:, None] * stride + np.arange(kernel)).ravel()
    return jnp.zeros(_full(places, kernel, stride), jnp.int32).at[at].add(1)


touches = exercise(
    "vqvae.touches",
    can="It predicts where a decoder will draw a checkerboard: kernels that the stride does not divide hear unevenly.",
    kind="puzzle", importance=1, difficulty=2, minutes=10,
    stuck="Draw three places, and under each the three outputs that a kernel of 3 spreads it over, two steps apart.",
    wrong={
        "the same for all": (lambda p, k, s: np.full(_full(p, k, s), k // s),
            lambda p, k, s: np.full(_full(p, k, s), k), lambda p, k, s: np.full(_full(p, k, s), -(-k // s)),
            "You give every output the same number. Some hear more places than their neighbours.",
            "With kernel 3 and stride 2, which outputs lie under two kernels?"),
        "heard or not": (edit("return heard", "return np.minimum(heard, 1)"),
            "You say whether an output hears anything, not how many places.",
            "Where two kernels overlap, count both."),
        "places side by side": (lambda p, k, s: np.bincount(np.add.outer(np.arange(p), np.arange(k)).ravel(),
                minlength=_full(p, k, s)),
            "You spread the places one step apart, whatever the stride.",
            "How far apart do two neighbouring places write?"),
        "cut to the size of SAME": (edit("return heard", "return heard[: places * stride]"),
            "You cut the result to stride times places, as SAME does; all outputs were asked for.",
            "How far does the last place's kernel reach?"),
        "outputs for places": (lambda p, k, s: np.array([k] * p),
            "You say how many outputs each place writes. The question goes the other way.",
            "Return a number for each output."),
        "the last place forgotten": (edit("range(places)", "range(places - 1)"),
            "The last place writes nothing.",
            "How many places are there?"),
    },
    right={
        "by asking": _by_asking,
        "by convolving": _by_convolving,
        "by scattering": _by_scattering,
        "in bytes": lambda places, kernel, stride: _by_asking(places, kernel, stride).astype(np.uint8),
    },
    hints=(
        "Place p writes to the outputs from p times stride on, as many as the kernel has taps.",
        "Begin with zeros, and add 1 to all outputs of each place.",
    ),
)  # fmt: skip
