"""Lesson 03: what goes wrong in its exercises, what else is right, and what helps."""

import math

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

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
            "Half a place is no place: sizes are whole numbers, rounded up at every layer.",
            "A map of 7 becomes 4."),
        "divided once": (edit(_FACTOR, "2"),
            "You divide by 2 once, whatever the number of layers.",
            "Each strided layer halves the map again."),
        "divided by twice the layers": (edit(_FACTOR, "max(1, 2 * num_strided_layers)"),
            "You divide by 2 times the number of layers; each layer halves what the last one left.",
            "Two halvings are a quarter, three an eighth."),
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
            "You return how many codes there are; the shape is asked for.",
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
            "You return nats; bits were asked for.",
            "Bits are logarithms to base 2."),
        "one code only": (lambda shape, k: math.log2(k),
            "This is the price of one code; an image has rows times columns of them.",
            "Independent choices multiply, so their bits add."),
        "one row only": (lambda shape, k: shape[0] * math.log2(k), lambda shape, k: shape[1] * math.log2(k),
            "You count one row or one column of the map.",
            "An image has rows times columns codes."),
        "rows and columns added": (lambda shape, k: sum(shape) * math.log2(k),
            "You add rows and columns; the map has rows times columns places.",
            "How many places has a map of 7 x 7?"),
        "whole bits a code": (lambda shape, k: float(math.prod(shape) * math.ceil(math.log2(k))),
            "You give every code a whole number of bits; ten choices are worth 3.32 bits each, not 4.",
            "A coder can share a bit among codes: do not round."),
        "no logarithm": (lambda shape, k: float(math.prod(shape) * k),
            "You multiply by the number of codes; doubling it should cost one bit more, not twice the bits.",
            "How many bits name one of K things?"),
        "product in the logarithm": (lambda shape, k: math.log2(math.prod(shape) * k),
            "You take the logarithm of places times codes; the number of maps is K to the power of places.",
            "Each further place multiplies the number of maps by K."),
        "codes and places exchanged": (lambda shape, k: k * math.log2(math.prod(shape)),
            "You count K choices among the places; there is one choice among K codes at each place.",
            "With one place, how many different maps are there?"),
        "bytes": (lambda shape, k: math.prod(shape) * math.log2(k) / 8,
            "You return bytes; bits were asked for.",
            "A byte is eight bits."),
    },
    right={
        "numpy": lambda shape, k: np.prod(shape) * np.log2(k),
        "jax.numpy": lambda shape, k: shape[0] * shape[1] * jnp.log2(k),
        "logarithm of the count": lambda shape, k: math.log2(k ** math.prod(shape)),
        "from nats": lambda shape, k: math.prod(shape) * math.log(k) / math.log(2),
    },
    hints=(
        "How many bits name one of K codes? And how many codes has a map?",
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


class _TurnedKernels(hk.Module):
    """Kernels [in, out, kh, kw], used the way that a transposed convolution is defined, turned by half a turn."""

    def layer(self, name, channels, stride, x):
        w = hk.get_parameter(f"w_{name}", (x.shape[-1], channels, 3, 3), init=hk.initializers.VarianceScaling())
        b = hk.get_parameter(f"b_{name}", (channels,), init=jnp.zeros)
        kernel = jnp.transpose(w, (2, 3, 0, 1))[::-1, ::-1]
        return jax.lax.conv_transpose(x, kernel, (stride, stride), "SAME") + b

    def __call__(self, z_q):
        x = jax.nn.relu(self.layer("first", 64, 2, z_q))
        return self.layer("last", 1, 1, jax.nn.relu(self.layer("second", 32, 2, x)))


# Changes that both networks' texts allow.
_EXCHANGED = edit("32", "first", "64", "32", "first", "64")
_ACTIVATIONS = [
    edit("jax.nn.relu", other, times=2)
    for other in ("jax.nn.leaky_relu", "jax.nn.elu", "jax.nn.gelu", "jnp.tanh", "jax.nn.sigmoid")
]
_BY_WHERE = edit("jax.nn.relu", "(lambda x: jnp.where(x > 0, x, 0))", times=2)

_Z_E = "vqtutor.Conv2D(self.code_dim, 1)(x)"

encoder = exercise(
    "vqvae.Encoder",
    can="It turns 784 pixels into 7 x 7 vectors, and every one of its weights can learn.",
    kind="decision", importance=3, difficulty=2, minutes=15,
    stuck="Take the map first: which strides make 7 of 28? Count the parameters of one layer by hand, then try widths.",
    wrong={
        "no relu": (edit("jax.nn.relu", "", times=2),
            "Three convolutions without anything in between are one linear map.",
            "Put a relu behind each of the strided convolutions."),
        "relu at the end": (edit(_Z_E, f"jax.nn.relu({_Z_E})"),
            "The last layer ends in a relu, so z_e could never be negative, while codes can be.",
            "The convolution that makes z_e is linear."),
        "one relu missing": (edit("jax.nn.relu(vqtutor.Conv2D(64", "(vqtutor.Conv2D(64"),
            edit("jax.nn.relu(vqtutor.Conv2D(32", "(vqtutor.Conv2D(32"),
            "One of the strided convolutions has no relu behind it.",
            "There are two relus."),
        "stride forgotten": (edit(", stride=2", "", times=2), edit("64, 3, stride=2", "64, 3"),
            edit("32, 3, stride=2", "32, 3"),
            "The map stays too large: each of the first two convolutions should halve it.",
            "Look at the stride."),
        "strided a third time": (edit("return", "x = jax.nn.relu(vqtutor.Conv2D(64, 3, stride=2)(x))\n        return"),
            edit("64, 3, stride=2", "64, 3, stride=4"), edit("stride=2", "stride=4", times=2),
            "The map is halved too often.",
            "28 -> 14 -> 7, and then a 1x1 convolution that keeps the size."),
        "padding VALID": (edit("relu(vqtutor", "relu(hk", "stride=2", 'stride=2, padding="VALID"', times=2),
            "Without padding 28 shrinks to 13 and to 6; the code map should be 7 x 7.",
            "Haiku's default padding, SAME, rounds up."),
        "channels exchanged": (_EXCHANGED,
            "The first convolution has 64 channels and the second 32; it is the other way round.",
            "Fewer places, more channels."),
        "channels alike": (edit("64", "32"), edit("32", "64"),
            "Both convolutions have the same number of channels.",
            "32, then 64."),
        "code_dim fixed": (edit("self.code_dim, 1", "16, 1"), edit("self.code_dim, 1", "64, 1"),
            "The output has as many channels whatever code_dim is.",
            "Use self.code_dim for the last convolution."),
        "3x3 at the end": (edit("code_dim, 1", "code_dim, 3"),
            "The last convolution looks at 3x3 places; it should look at one.",
            "Its kernel is 1x1."),
        "kernel of another size": (*(edit(", 3", f", {size}", times=2) for size in (4, 2, 5, 1)),
            "The strided convolutions do not have 3x3 kernels.",
            "Look at the kernel shape."),
        "another activation": (*_ACTIVATIONS,
            "There is something between the layers, but it is not a relu.",
            "jax.nn.relu is what is asked for."),
        "no bias": (edit("vqtutor", "hk", ")(x)", ", with_bias=False)(x)", times=3),
            "The convolutions have no bias.",
            "Haiku adds one by default."),
    },
    right={
        "hk.Conv2D": edit("vqtutor", "hk", times=3),
        "hk.Sequential": _SequentialEncoder,
        "hk.Linear": edit("vqtutor.Conv2D(self.code_dim, 1)", "hk.Linear(self.code_dim)"),
        "relu by where": _BY_WHERE,
    },
    hints=(
        "Three convolutions: 32 and 64 channels, kernels 3x3, stride 2; then code_dim channels with a 1x1 kernel.",
        "`vqtutor.Conv2D(32, 3, stride=2)(x)` makes a layer and applies it; jax.nn.relu comes behind the first two.",
    ),
)  # fmt: skip

_X_HAT = "vqtutor.Conv2DTranspose(1, 3)(x)"
_SECOND = "        x = jax.nn.relu(vqtutor.Conv2DTranspose(32, 3, stride=2)(x))\n"

decoder = exercise(
    "vqvae.Decoder",
    can="It turns 7 x 7 vectors into images, and every one of its weights can learn.",
    kind="decision", importance=3, difficulty=2, minutes=10,
    stuck="Read your encoder from its end to its beginning, and say of each layer what undoes its change of shape.",
    wrong={
        "no relu": (edit("jax.nn.relu", "", times=2),
            "Three transposed convolutions without anything in between are one linear map.",
            "Put a relu behind each of the first two."),
        "relu at the end": (edit(_X_HAT, f"jax.nn.relu({_X_HAT})"),
            "The last layer ends in a relu: pixels below zero, which are the dark ones here, could never be drawn.",
            "The last layer is linear."),
        "squashed at the end": (edit(_X_HAT, f"jax.nn.sigmoid({_X_HAT})"), edit(_X_HAT, f"jnp.tanh({_X_HAT})"),
            edit(_X_HAT, f"jax.nn.sigmoid({_X_HAT}) - 0.5"),
            "The last layer ends in a sigmoid or tanh; pixels run from -0.5 to 0.5 here, so it should be linear.",
            "Leave the last layer as it is."),
        "stride forgotten": (edit(", stride=2", "", times=2), edit("32, 3, stride=2", "32, 3"),
            edit("64, 3, stride=2", "64, 3"),
            "The image stays too small: each of the first two layers should double it.",
            "Look at the stride."),
        "strided a third time": (edit("(1, 3", "(1, 3, stride=2"),
            "The image becomes too large: the last layer should keep the size.",
            "7 -> 14 -> 28 -> 28."),
        "channels exchanged": (_EXCHANGED,
            "The first layer has 32 channels and the second 64; it is the other way round.",
            "The decoder mirrors the encoder."),
        "convolutions, not transposed": (edit("Transpose", "", times=3),
            "An ordinary convolution with a stride makes the map smaller; the decoder has to make it larger.",
            "Which layer undoes the shape change of a strided convolution?"),
        "last layer left out": (edit(f"return {_X_HAT}", "return x"), edit(_SECOND, "", "(1, 3", "(32, 3, stride=2"),
            edit(_SECOND, "", "(1, 3", "(1, 3, stride=2"),
            "The last layer, down to one channel, is missing, or comes too early.",
            "64 channels, 32 channels, 1 channel."),
        "kernel of another size": (*(edit(", 3", f", {size}", times=3) for size in (4, 2, 5, 1)),
            "The kernels are not 3x3.",
            "Look at the kernel shape."),
        "another activation": (*_ACTIVATIONS,
            "There is something between the layers, but it is not a relu.",
            "jax.nn.relu is what is asked for."),
        "no bias": (edit("vqtutor", "hk", ", 3", ", 3, with_bias=False", times=3),
            "The layers have no bias.",
            "Haiku adds one by default."),
    },
    right={
        "hk.Conv2DTranspose": edit("vqtutor", "hk", times=3),
        "hk.Sequential": _SequentialDecoder,
        "a convolution at the end, whose kernel is turned round": edit("Transpose(1", "(1"),
        "kernels kept the other way round": _TurnedKernels,
        "a loop": edit(
            "    x = jax.nn.relu(vqtutor.Conv2DTranspose(64",
            "    for channels in (64, 32):\n            z_q = jax.nn.relu(vqtutor.Conv2DTranspose(channels",
            _SECOND,
            "",
            "(x)",
            "(z_q)",
        ),
        "relu by where": _BY_WHERE,
    },
    hints=(
        "Three transposed convolutions with 3x3 kernels: 64 and 32 channels with stride 2, then one channel.",
        "`vqtutor.Conv2DTranspose(64, 3, stride=2)(x)` makes a layer and applies it; relu behind the first two.",
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
            "The parameters come back as they went in: the updates are computed and dropped.",
            "optax.apply_updates returns new parameters; nothing is changed in place."),
        "gradients in place of updates": (edit("(params, updates)", "(params, gradients)"),
            "You add the gradients to the parameters: that goes uphill, and by the wrong amount.",
            "What the optimizer returns is what gets applied."),
        "uphill": (edit(_APPLIED, "jax.tree.map(jnp.subtract, params, updates)"),
            "The updates are subtracted: they already point downhill.",
            "Updates are added."),
        "optimizer state not kept": (edit("updates, opt_state =", "updates, _ ="),
            "The first step is right and the later ones are not: the optimizer forgets what it has seen.",
            "optimizer.update returns two things, and both are needed."),
        "the optimizer is not told the parameters": (edit("opt_state, params)", "opt_state)"),
            "Many optimizers do without the parameters, but not all: weight decay, for one, looks at them.",
            "What may be handed to optimizer.update besides gradients and state?"),
        "optimizer started anew": (edit("(gradients, opt_state", "(gradients, optimizer.init(params)"),
            "The optimizer is initialised in every step, so it never gathers any experience.",
            "opt_state is handed in; use it."),
        "applied twice": (edit(_APPLIED, f"optax.apply_updates({_APPLIED}, updates)"),
            "The updates are added twice.",
            "One step, one update."),
        "metrics after the update": (edit(f"return {_APPLIED}", f"params = {_APPLIED}\n        return params",
                _METRICS, "loss_fn(params, x)[1]"),
            "The metrics belong to the parameters after the step; loss_fn returned them for those before it.",
            "The call that gives the gradient has the metrics already."),
        "has_aux forgotten": (edit("(loss_fn, has_aux=True)", "(loss_fn)"),
            "loss_fn returns a pair, and JAX has to be told that only the first of it is the loss.",
            "Look at the keyword has_aux of jax.value_and_grad."),
        "results in another order": (edit(_RESULTS, f"{_APPLIED}, {_METRICS}, opt_state"),
            edit(_RESULTS, f"{_METRICS}, {_APPLIED}, opt_state"), edit(_RESULTS, f"opt_state, {_APPLIED}, {_METRICS}"),
            "The step returns its three results in another order than (params, opt_state, metrics).",
            "It should be possible to hand the first two straight back in."),
        "metrics left out": (edit(_METRICS, "{}"), edit(_METRICS, '{"loss": loss}'),
            "The metrics that loss_fn returned are not among those of the step.",
            "Return what loss_fn returned; you may add the loss."),
        "a step in place of its maker": (lambda loss_fn, optimizer: (loss_fn, optimizer),
            "make_train_step should return a function, and returns nothing that can be called as one.",
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
