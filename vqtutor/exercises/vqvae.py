"""Lesson 03: encoder, decoder, the train step, and what a code map costs."""

import math

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax

from vqtutor.checking import Exercise, Misconception, Probe, Question
from vqtutor.models import autoencoder as ref
from vqtutor.models import convolutions

_rng = np.random.default_rng(5)
IMAGES = jnp.asarray(_rng.uniform(-0.5, 0.5, (2, 28, 28, 1)), jnp.float32)
MAPS = jnp.asarray(_rng.normal(size=(2, 7, 7, 5)), jnp.float32)


def _plant(leaf):
    """Return weights that depend on the leaf's shape only: networks with the same layers then give the same numbers."""
    size = [side for side in leaf.shape if side != 1]
    values = np.random.default_rng(size).normal(size=size).reshape(leaf.shape)
    scale = 0.1 if leaf.ndim == 1 else math.sqrt(leaf.shape[-1] / leaf.size)
    return jnp.asarray(scale * values, leaf.dtype)


def _seen(build, x):
    """Return what a network of fixed weights makes of x."""
    network = hk.without_apply_rng(hk.transform(lambda x: build()(x)))
    return network.apply(jax.tree.map(_plant, network.init(jax.random.key(0), x)), x)


def _count(build, x):
    shapes = jax.eval_shape(hk.transform(lambda x: build()(x)).init, jax.random.key(0), x)
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))


# -- Encoder ----------------------------------------------------------------------------------------------------------


def encoder_like(
    channels=(32, 64), kernel=3, strides=(2, 2), last_kernel=1, padding="SAME", bias=True,
    relu=jax.nn.relu, end=lambda x: x, dim=lambda d: d,
):  # fmt: skip
    """Return an encoder that differs from R1's in what is named."""

    class Encoder(hk.Module):
        def __init__(self, code_dim):
            super().__init__()
            self.code_dim = dim(code_dim)

        def __call__(self, x):
            for out, stride in zip(channels, strides, strict=True):
                x = relu(hk.Conv2D(out, kernel, stride, padding=padding, with_bias=bias)(x))
            return end(hk.Conv2D(self.code_dim, last_kernel, padding=padding, with_bias=bias)(x))

    return Encoder


class _SequentialEncoder(hk.Module):
    def __init__(self, code_dim, name="another_name"):
        super().__init__(name=name)
        convs = (hk.Conv2D(32, 3, 2), hk.Conv2D(64, (3, 3), (2, 2)), hk.Conv2D(code_dim, 1))
        self.net = hk.Sequential([convs[0], jax.nn.relu, convs[1], lambda x: jnp.maximum(x, 0), convs[2]])

    def __call__(self, x):
        return self.net(x)


class _LinearLast(hk.Module):
    def __init__(self, code_dim):
        super().__init__()
        self.code_dim = code_dim

    def __call__(self, x):
        x = jax.nn.relu(convolutions.Conv2D(32, 3, stride=2)(x))
        x = jax.nn.relu(convolutions.Conv2D(64, 3, stride=2)(x))
        return hk.Linear(self.code_dim)(x)


encoder = Exercise(
    id="vqvae.Encoder",
    reference=ref.Encoder,
    arguments=("code_dim",),
    base=hk.Module,
    probes=(
        Probe(
            "shape and parameters",
            lambda answer: {
                "parameters at code_dim 16": _count(lambda: answer(16), IMAGES),
                "shape at code_dim 5": jnp.array(jax.eval_shape(lambda: _seen(lambda: answer(5), IMAGES)).shape),
            },
        ),
        Probe("values", lambda answer: {"values": _seen(lambda: answer(5), IMAGES)}, points=2),
    ),
    misconceptions=(
        Misconception(
            "no relu",
            "Three convolutions without anything in between are one linear map.",
            "Put a relu behind each of the strided convolutions.",
            encoder_like(relu=lambda x: x),
        ),
        Misconception(
            "relu at the end",
            "The last layer ends in a relu, so z_e could never be negative, while codes can be.",
            "The convolution that makes z_e is linear.",
            encoder_like(end=jax.nn.relu),
        ),
        Misconception(
            "one relu missing",
            "One of the strided convolutions has no relu behind it.",
            "There are two relus.",
            type(
                "OneRelu",
                (encoder_like(),),
                {"__call__": lambda self, x: _conv_chain(self.code_dim, jax.nn.relu, lambda x: x)(x)},
            ),
            also=(
                type(
                    "OtherRelu",
                    (encoder_like(),),
                    {"__call__": lambda self, x: _conv_chain(self.code_dim, lambda x: x, jax.nn.relu)(x)},
                ),
            ),
        ),
        Misconception(
            "stride forgotten",
            "The map stays too large: each of the first two convolutions should halve it.",
            "Look at the stride.",
            encoder_like(strides=(1, 1)),
            also=(encoder_like(strides=(2, 1)), encoder_like(strides=(1, 2))),
        ),
        Misconception(
            "strided a third time",
            "The map is halved too often.",
            "28 -> 14 -> 7, and then a 1x1 convolution that keeps the size.",
            encoder_like(channels=(32, 64, 64), strides=(2, 2, 2)),
            also=(encoder_like(strides=(2, 4)), encoder_like(strides=(4, 4))),
        ),
        Misconception(
            "padding VALID",
            "Without padding 28 shrinks to 13 and to 6; the code map should be 7 x 7.",
            "Haiku's default padding, SAME, rounds up.",
            encoder_like(padding="VALID"),
        ),
        Misconception(
            "channels exchanged",
            "The first convolution has 64 channels and the second 32; it is the other way round.",
            "Fewer places, more channels.",
            encoder_like(channels=(64, 32)),
        ),
        Misconception(
            "channels alike",
            "Both convolutions have the same number of channels.",
            "32, then 64.",
            encoder_like(channels=(32, 32)),
            also=(encoder_like(channels=(64, 64)),),
        ),
        Misconception(
            "code_dim fixed",
            "The output has as many channels whatever code_dim is.",
            "Use self.code_dim for the last convolution.",
            encoder_like(dim=lambda d: 16),
            also=(encoder_like(dim=lambda d: 64),),
        ),
        Misconception(
            "3x3 at the end",
            "The last convolution looks at 3x3 places; R1's looks at one.",
            "Its kernel is 1x1.",
            encoder_like(last_kernel=3),
        ),
        Misconception(
            "kernel of another size",
            "The strided convolutions do not have 3x3 kernels.",
            "Look at the kernel shape.",
            encoder_like(kernel=4),
            also=(encoder_like(kernel=2), encoder_like(kernel=5), encoder_like(kernel=1)),
        ),
        Misconception(
            "another activation",
            "There is something between the layers, but it is not a relu.",
            "jax.nn.relu is what R1 uses.",
            encoder_like(relu=jax.nn.leaky_relu),
            also=tuple(encoder_like(relu=other) for other in (jax.nn.elu, jax.nn.gelu, jnp.tanh, jax.nn.sigmoid)),
        ),
        Misconception(
            "no bias",
            "The convolutions have no bias.",
            "Haiku adds one by default.",
            encoder_like(bias=False),
        ),
    ),
    alternatives={
        "hk.Conv2D": encoder_like(),
        "hk.Sequential": _SequentialEncoder,
        "the course's convolutions and hk.Linear": _LinearLast,
        "relu by maximum": encoder_like(relu=lambda x: jnp.where(x > 0, x, 0)),
    },
    hints=(
        "Three convolutions: 32 and 64 channels, kernels 3x3, stride 2; then code_dim channels with a 1x1 kernel.",
        "`vqtutor.Conv2D(32, 3, stride=2)(x)` makes a layer and applies it; jax.nn.relu comes behind the first two.",
    ),
)


def _conv_chain(code_dim, first, second):
    return lambda x: hk.Conv2D(code_dim, 1)(second(hk.Conv2D(64, 3, 2)(first(hk.Conv2D(32, 3, 2)(x)))))


# -- Decoder ----------------------------------------------------------------------------------------------------------


def decoder_like(
    channels=(64, 32, 1), kernel=3, strides=(2, 2, 1), relu=jax.nn.relu, end=lambda x: x, bias=True,
    layers=(hk.Conv2DTranspose,) * 3,
):  # fmt: skip
    """Return a decoder that differs from R1's in what is named."""

    class Decoder(hk.Module):
        def __call__(self, z_q):
            x = z_q
            for i, (layer, out, stride) in enumerate(zip(layers, channels, strides, strict=True)):
                x = layer(out, kernel, stride, with_bias=bias)(x)
                x = relu(x) if i < len(channels) - 1 else end(x)
            return x

    return Decoder


class _SequentialDecoder(hk.Module):
    def __init__(self):
        super().__init__(name="another_name")
        up = (hk.Conv2DTranspose(64, 3, 2), hk.Conv2DTranspose(32, (3, 3), (2, 2)), hk.Conv2DTranspose(1, 3))
        self.net = hk.Sequential([up[0], jax.nn.relu, up[1], lambda x: jnp.maximum(x, 0), up[2]])

    def __call__(self, z_q):
        return self.net(z_q)


class _OurConvolutions(hk.Module):
    def __call__(self, z_q):
        x = jax.nn.relu(convolutions.Conv2DTranspose(64, 3, stride=2)(z_q))
        return convolutions.Conv2DTranspose(1, 3)(jax.nn.relu(convolutions.Conv2DTranspose(32, 3, stride=2)(x)))


_T = hk.Conv2DTranspose

decoder = Exercise(
    id="vqvae.Decoder",
    reference=ref.Decoder,
    arguments=(),
    base=hk.Module,
    probes=(
        Probe(
            "shape and parameters",
            lambda answer: {
                "parameters at code_dim 16": _count(answer, jnp.zeros((2, 7, 7, 16))),
                "shape": jnp.array(jax.eval_shape(lambda: _seen(answer, MAPS)).shape),
            },
        ),
        Probe("values", lambda answer: {"values": _seen(answer, MAPS)}, points=2),
    ),
    misconceptions=(
        Misconception(
            "no relu",
            "Three transposed convolutions without anything in between are one linear map.",
            "Put a relu behind each of the first two.",
            decoder_like(relu=lambda x: x),
        ),
        Misconception(
            "relu at the end",
            "The last layer ends in a relu: pixels below zero, which are the dark ones here, could never be drawn.",
            "The last layer is linear.",
            decoder_like(end=jax.nn.relu),
        ),
        Misconception(
            "squashed at the end",
            "The last layer ends in a sigmoid or tanh; R1's pixels run from -0.5 to 0.5 and its last layer is linear.",
            "Leave the last layer as it is.",
            decoder_like(end=jax.nn.sigmoid),
            also=(decoder_like(end=jnp.tanh), decoder_like(end=lambda x: jax.nn.sigmoid(x) - 0.5)),
        ),
        Misconception(
            "stride forgotten",
            "The image stays too small: each of the first two layers should double it.",
            "Look at the stride.",
            decoder_like(strides=(1, 1, 1)),
            also=(decoder_like(strides=(2, 1, 1)), decoder_like(strides=(1, 2, 1))),
        ),
        Misconception(
            "strided a third time",
            "The image becomes too large: the last layer should keep the size.",
            "7 -> 14 -> 28 -> 28.",
            decoder_like(strides=(2, 2, 2)),
        ),
        Misconception(
            "channels exchanged",
            "The first layer has 32 channels and the second 64; it is the other way round.",
            "The decoder mirrors the encoder.",
            decoder_like(channels=(32, 64, 1)),
        ),
        Misconception(
            "plain convolution at the end",
            "The last layer is a convolution, not a transposed one; at stride 1 they differ by a turned kernel.",
            "R1's decoder is made of transposed convolutions throughout.",
            decoder_like(layers=(_T, _T, hk.Conv2D)),
        ),
        Misconception(
            "convolutions, not transposed",
            "An ordinary convolution with a stride makes the map smaller; the decoder has to make it larger.",
            "Which layer undoes the shape change of a strided convolution?",
            decoder_like(layers=(hk.Conv2D,) * 3),
        ),
        Misconception(
            "last layer left out",
            "The last layer, down to one channel, is missing, or comes too early.",
            "64 channels, 32 channels, 1 channel.",
            decoder_like(channels=(64, 32), strides=(2, 2), layers=(_T, _T)),
            also=(decoder_like(channels=(64, 1), strides=(2, 2), layers=(_T, _T)),),
        ),
        Misconception(
            "kernel of another size",
            "The kernels are not 3x3.",
            "Look at the kernel shape.",
            decoder_like(kernel=4),
            also=(decoder_like(kernel=2), decoder_like(kernel=5), decoder_like(kernel=1)),
        ),
        Misconception(
            "another activation",
            "There is something between the layers, but it is not a relu.",
            "jax.nn.relu is what R1 uses.",
            decoder_like(relu=jax.nn.leaky_relu),
            also=tuple(decoder_like(relu=other) for other in (jax.nn.elu, jax.nn.gelu, jnp.tanh, jax.nn.sigmoid)),
        ),
        Misconception(
            "no bias",
            "The layers have no bias.",
            "Haiku adds one by default.",
            decoder_like(bias=False),
        ),
    ),
    alternatives={
        "hk.Conv2DTranspose": decoder_like(),
        "hk.Sequential": _SequentialDecoder,
        "the course's convolutions": _OurConvolutions,
        "relu by where": decoder_like(relu=lambda x: jnp.where(x > 0, x, 0)),
    },
    hints=(
        "Three transposed convolutions with 3x3 kernels: 64 and 32 channels with stride 2, then one channel.",
        "`vqtutor.Conv2DTranspose(64, 3, stride=2)(x)` makes a layer and applies it; relu behind the first two.",
    ),
)

# -- make_train_step --------------------------------------------------------------------------------------------------

_START = {"line": {"w": np.array([[0.5], [-1.0]], np.float32), "b": np.array([0.2], np.float32)}}
_BATCHES = [jnp.asarray(_rng.normal(size=(4, 2)), jnp.float32) for _ in range(3)]
_OPTIMIZER = optax.adam(0.1)


def _toy_loss(params, x):
    out = x @ params["line"]["w"] + params["line"]["b"]
    return jnp.mean((out - 1) ** 2), {"error": jnp.mean(jnp.abs(out - 1))}


def _steps(answer, number):
    """Return (params, opt_state, error of each step) after some steps; buffers may be donated, so they are fresh."""
    step, params, errors = answer(_toy_loss, _OPTIMIZER), jax.tree.map(jnp.array, _START), []
    state = (params, _OPTIMIZER.init(params))
    for x in _BATCHES[:number]:
        *state, metrics = step(*state, jnp.array(x))
        errors.append(metrics["error"])
    return *state, jnp.stack(errors)


def _results(answer):
    """Return whether a step gives back what it should, in the order it should."""
    step, params = answer(_toy_loss, _OPTIMIZER), jax.tree.map(jnp.array, _START)
    state = params, _OPTIMIZER.init(params)
    trees = [jax.tree.structure(part) for part in state]
    out, split = (), True
    try:
        out = step(*state, _BATCHES[0]) if callable(step) else ()
    except TypeError as error:  # JAX was handed loss_fn's pair and took it for the loss
        if "scalar-output functions. Output was (" not in str(error):
            raise
        split = False
    out = out if isinstance(out, tuple) and len(out) == 3 else (None, None, None)
    return {
        "a function comes back": callable(step),
        "the loss is told from the metrics": split,
        "its first result is the parameters": jax.tree.structure(out[0]) == trees[0],
        "its second result is the optimizer's state": jax.tree.structure(out[1]) == trees[1],
        "its third result has loss_fn's metrics": isinstance(out[2], dict) and "error" in out[2],
    }


def _after(answer, number):
    params, opt_state, _ = _steps(answer, number)
    moment = optax.tree_utils.tree_get(opt_state, "mu")
    return {"w": params["line"]["w"], "b": params["line"]["b"], "the optimizer's running mean": moment["line"]["w"]}


def _step_like(advance, value_and_grad=lambda f: jax.value_and_grad(f, has_aux=True), order=lambda p, s, m: (p, s, m)):
    """Return a make_train_step whose `advance(optimizer, grads, opt_state, params)` gives the next (params, state)."""

    def make_train_step(loss_fn, optimizer):
        def step(params, opt_state, x):
            (_, metrics), grads = value_and_grad(loss_fn)(params, x)
            return order(*advance(optimizer, grads, opt_state, params), metrics)

        return step

    return make_train_step


def _right(optimizer, grads, opt_state, params):
    updates, opt_state = optimizer.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state


def _metrics_after(loss_fn, optimizer):
    def step(params, opt_state, x):
        grads = jax.grad(loss_fn, has_aux=True)(params, x)[0]
        params, opt_state = _right(optimizer, grads, opt_state, params)
        return params, opt_state, loss_fn(params, x)[1]

    return step


def _jitted(loss_fn, optimizer):
    @jax.jit
    def step(params, opt_state, x):
        grads, metrics = jax.grad(loss_fn, has_aux=True)(params, x)
        updates, opt_state = optimizer.update(grads, opt_state)
        return jax.tree.map(lambda p, u: p + u, params, updates), opt_state, metrics

    return step


def _by_vjp(loss_fn, optimizer):
    def step(params, opt_state, x):
        loss, backward, metrics = jax.vjp(lambda p: loss_fn(p, x), params, has_aux=True)
        params, opt_state = _right(optimizer, backward(jnp.ones_like(loss))[0], opt_state, params)
        return params, opt_state, metrics | {"loss": loss}

    return step


make_train_step = Exercise(
    id="vqvae.make_train_step",
    reference=ref.make_train_step,
    arguments=("loss_fn", "optimizer"),
    probes=(
        Probe("results", _results),
        Probe("one step", lambda answer: _after(answer, 1)),
        Probe("three steps", lambda answer: _after(answer, 3)),
        Probe("metrics", lambda answer: {"metric of three steps": _steps(answer, 3)[2]}),
    ),
    misconceptions=(
        Misconception(
            "updates not applied",
            "The parameters come back as they went in: the updates are computed and dropped.",
            "optax.apply_updates returns new parameters; nothing is changed in place.",
            _step_like(lambda o, g, s, p: (p, o.update(g, s, p)[1])),
        ),
        Misconception(
            "gradients in place of updates",
            "You add the gradients to the parameters: that goes uphill, and by the wrong amount.",
            "What the optimizer returns is what gets applied.",
            _step_like(lambda o, g, s, p: (optax.apply_updates(p, g), o.update(g, s, p)[1])),
        ),
        Misconception(
            "uphill",
            "The updates are subtracted: they already point downhill.",
            "Updates are added.",
            _step_like(
                lambda o, g, s, p: (
                    jax.tree.map(lambda a, u: a - u, p, o.update(g, s, p)[0]),
                    o.update(g, s, p)[1],
                )
            ),
        ),
        Misconception(
            "optimizer state not kept",
            "The first step is right and the later ones are not: the optimizer forgets what it has seen.",
            "optimizer.update returns two things, and both are needed.",
            _step_like(lambda o, g, s, p: (optax.apply_updates(p, o.update(g, s, p)[0]), s)),
        ),
        Misconception(
            "optimizer started anew",
            "The optimizer is initialised in every step, so it never gathers any experience.",
            "opt_state is handed in; use it.",
            _step_like(lambda o, g, s, p: _right(o, g, o.init(p), p)),
        ),
        Misconception(
            "applied twice",
            "The updates are added twice.",
            "One step, one update.",
            _step_like(
                lambda o, g, s, p: (
                    optax.apply_updates(optax.apply_updates(p, o.update(g, s, p)[0]), o.update(g, s, p)[0]),
                    o.update(g, s, p)[1],
                )
            ),
        ),
        Misconception(
            "metrics after the update",
            "The metrics belong to the parameters after the step; loss_fn returned them for those before it.",
            "The call that gives the gradient has the metrics already.",
            _metrics_after,
        ),
        Misconception(
            "has_aux forgotten",
            "loss_fn returns a pair, and JAX has to be told that only the first of it is the loss.",
            "Look at the keyword has_aux of jax.value_and_grad.",
            _step_like(_right, value_and_grad=jax.value_and_grad),
        ),
        Misconception(
            "results in another order",
            "The step returns its three results in another order than (params, opt_state, metrics).",
            "It should be possible to hand the first two straight back in.",
            _step_like(_right, order=lambda p, s, m: (p, m, s)),
            also=(
                _step_like(_right, order=lambda p, s, m: (m, p, s)),
                _step_like(_right, order=lambda p, s, m: (s, p, m)),
            ),
        ),
        Misconception(
            "metrics left out",
            "The metrics that loss_fn returned are not among those of the step.",
            "Return what loss_fn returned; you may add the loss.",
            _step_like(_right, order=lambda p, s, m: (p, s, {})),
            also=(_step_like(_right, order=lambda p, s, m: (p, s, {"loss": m["error"]})),),
        ),
        Misconception(
            "a step in place of its maker",
            "make_train_step should return a function, and returns nothing that can be called as one.",
            "Define step inside, and return it.",
            lambda loss_fn, optimizer: (loss_fn, optimizer),
        ),
    ),
    alternatives={
        "not jitted": _step_like(_right),
        "jitted, without params for the optimizer": _jitted,
        "with a vjp, loss added": _by_vjp,
        "buffers donated": lambda loss_fn, optimizer: jax.jit(
            _step_like(_right)(loss_fn, optimizer), donate_argnums=(0, 1)
        ),
    },
    hints=(
        "Four lines: value and gradient, the optimizer's updates, apply them, return.",
        "`(loss, metrics), grads = jax.value_and_grad(loss_fn, has_aux=True)(params, x)`",
        "`updates, opt_state = optimizer.update(grads, opt_state, params)`; `optax.apply_updates(params, updates)`.",
    ),
)

# -- code_map_shape, bits_per_image -----------------------------------------------------------------------------------


def _pairs(answer, *cases):
    seen = {}
    for size, layers in cases:
        got = answer(size, layers)
        rows, columns = got if np.shape(got) == (2,) else (got, got)
        seen |= {f"rows of {size}, {layers} layers": rows, f"columns of {size}, {layers} layers": columns}
    return seen


def _shape_like(one):
    def code_map_shape(image_size, num_strided_layers):
        rows, columns = (image_size, image_size) if isinstance(image_size, int) else image_size
        return one(rows, num_strided_layers), one(columns, num_strided_layers)

    return code_map_shape


def _halving(size, layers):
    for _ in range(layers):
        size = (size + 1) // 2
    return size


code_map_shape = Exercise(
    id="vqvae.code_map_shape",
    reference=ref.code_map_shape,
    arguments=("image_size", "num_strided_layers"),
    probes=(
        Probe("sizes that divide", lambda answer: _pairs(answer, (28, 2), (32, 3), (64, 0))),
        Probe("sizes that do not", lambda answer: _pairs(answer, (28, 3), (33, 1))),
        Probe("rows and columns", lambda answer: _pairs(answer, ((30, 50), 2), ((9, 64), 3))),
    ),
    misconceptions=(
        Misconception(
            "rounded down",
            "With SAME padding a strided layer rounds up: a map of 7 becomes 4, not 3.",
            "Which way does SAME padding round?",
            _shape_like(lambda size, layers: size // 2**layers),
        ),
        Misconception(
            "not rounded",
            "Half a place is no place: sizes are whole numbers, rounded up at every layer.",
            "A map of 7 becomes 4.",
            _shape_like(lambda size, layers: size / 2**layers),
        ),
        Misconception(
            "divided once",
            "You divide by 2 once, whatever the number of layers.",
            "Each strided layer halves the map again.",
            _shape_like(lambda size, layers: -(-size // 2)),
        ),
        Misconception(
            "divided by twice the layers",
            "You divide by 2 times the number of layers; each layer halves what the last one left.",
            "Two halvings are a quarter, three an eighth.",
            _shape_like(lambda size, layers: -(-size // max(1, 2 * layers))),
        ),
        Misconception(
            "subtracted",
            "You take 2 away for each layer; a stride divides.",
            "28 -> 14 -> 7.",
            _shape_like(lambda size, layers: size - 2 * layers),
            also=(_shape_like(lambda size, layers: size - layers),),
        ),
        Misconception(
            "enlarged",
            "You multiply: that is what the decoder's transposed convolutions do.",
            "A strided convolution makes the map smaller.",
            _shape_like(lambda size, layers: size * 2**layers),
        ),
        Misconception(
            "rows and columns exchanged",
            "You return (columns, rows).",
            "Rows come first, as in a shape.",
            lambda size, layers: ref.code_map_shape(size, layers)[::-1],
        ),
        Misconception(
            "number of codes in place of the shape",
            "You return how many codes there are; the shape is asked for.",
            "Return two numbers: rows and columns.",
            lambda size, layers: math.prod(ref.code_map_shape(size, layers)),
            also=(lambda size, layers: ref.code_map_shape(size, layers)[0],),
        ),
        Misconception(
            "one too many",
            "Your map is one place too large where the size divides evenly.",
            "Round up only where there is something to round.",
            _shape_like(lambda size, layers: size // 2**layers + 1),
        ),
    ),
    alternatives={
        "layer by layer": _shape_like(_halving),
        "math.ceil": _shape_like(lambda size, layers: math.ceil(size / 2**layers)),
        "as a list": lambda size, layers: list(ref.code_map_shape(size, layers)),
        "by shifting": _shape_like(lambda size, layers: (size + (1 << layers) - 1) >> layers),
        "asking a convolution": _shape_like(lambda size, layers: len(range(0, size, 2**layers))),
    },
    hints=(
        "One strided layer with SAME padding makes ceil(size / 2) of size.",
        "Halving and rounding up n times is the same as dividing by 2^n and rounding up once.",
    ),
)

bits_per_image = Exercise(
    id="vqvae.bits_per_image",
    reference=ref.bits_per_image,
    arguments=("code_map_shape", "num_codes"),
    probes=(
        Probe("powers of two", lambda answer: {"7 x 7 of 128": answer((7, 7), 128), "4 x 4 of 16": answer((4, 4), 16)}),
        Probe("other numbers", lambda answer: {"3 x 5 of 10": answer((3, 5), 10), "1 x 1 of 64": answer((1, 1), 64)}),
    ),
    misconceptions=(
        Misconception(
            "nats",
            "You return nats; bits were asked for.",
            "Bits are logarithms to base 2.",
            lambda shape, k: math.prod(shape) * math.log(k),
        ),
        Misconception(
            "one code only",
            "This is the price of one code; an image has rows times columns of them.",
            "Independent choices multiply, so their bits add.",
            lambda shape, k: math.log2(k),
        ),
        Misconception(
            "one row only",
            "You count one row or one column of the map.",
            "An image has rows times columns codes.",
            lambda shape, k: shape[0] * math.log2(k),
            also=(lambda shape, k: shape[1] * math.log2(k),),
        ),
        Misconception(
            "rows and columns added",
            "You add rows and columns; the map has rows times columns places.",
            "How many places has a map of 7 x 7?",
            lambda shape, k: sum(shape) * math.log2(k),
        ),
        Misconception(
            "whole bits a code",
            "You give every code a whole number of bits; ten choices are worth 3.32 bits each, not 4.",
            "A coder can share a bit among codes: do not round.",
            lambda shape, k: float(math.prod(shape) * math.ceil(math.log2(k))),
        ),
        Misconception(
            "no logarithm",
            "You multiply by the number of codes; doubling it should cost one bit more, not twice the bits.",
            "How many bits name one of K things?",
            lambda shape, k: float(math.prod(shape) * k),
        ),
        Misconception(
            "product in the logarithm",
            "You take the logarithm of places times codes; the number of maps is K to the power of places.",
            "Each further place multiplies the number of maps by K.",
            lambda shape, k: math.log2(math.prod(shape) * k),
        ),
        Misconception(
            "codes and places exchanged",
            "You count K choices among the places; there is one choice among K codes at each place.",
            "With one place, how many different maps are there?",
            lambda shape, k: k * math.log2(math.prod(shape)),
        ),
        Misconception(
            "bytes",
            "You return bytes; bits were asked for.",
            "A byte is eight bits.",
            lambda shape, k: math.prod(shape) * math.log2(k) / 8,
        ),
    ),
    alternatives={
        "numpy": lambda shape, k: np.prod(shape) * np.log2(k),
        "jax.numpy": lambda shape, k: shape[0] * shape[1] * jnp.log2(k),
        "logarithm of the count": lambda shape, k: math.log2(k ** math.prod(shape)),
        "from nats": lambda shape, k: math.prod(shape) * math.log(k) / math.log(2),
    },
    hints=(
        "How many bits name one of K codes? And how many codes has a map?",
        "`math.log2(128)` is 7.",
    ),
)

EXERCISES = (encoder, decoder, make_train_step, code_map_shape, bits_per_image)

QUESTIONS = (
    Question(
        id="vqvae.q_discrete",
        asks="Why might discrete codes be a better summary of a picture than as many real numbers?",
        choices={
            "a": (
                "They always reconstruct with a smaller error.",
                "Quantizing can only lose: the same network without a quantizer reconstructs better.",
            ),
            "b": (
                "Much of the world comes in kinds (strokes, letters, objects), and a choice among kinds cannot be "
                "blurred or ignored.",
                "A powerful decoder cannot talk its way around a code, and a prior over choices is a plain "
                "classification at each place.",
            ),
            "c": (
                "They need no encoder.",
                "Something has to say which code is nearest to what.",
            ),
        },
        best="b",
    ),
    Question(
        id="vqvae.q_shape",
        asks="R3 sees images of 32 x 32 and has three layers of stride 2. What is its code map, and what is its price?",
        choices={
            "a": ("8 x 8, 256 bits.", "That is after two halvings."),
            "b": ("4 x 4, 64 bits.", "32 -> 16 -> 8 -> 4, and 16 codes of 4 bits each."),
            "c": ("4 x 4, 512 numbers.", "That is what the decoder sees; what has to be kept are the 16 indices."),
        },
        best="b",
    ),
    Question(
        id="vqvae.q_codes",
        asks="You train once with 4 codes and once with 4,096, and nothing else changed. What do you expect?",
        choices={
            "a": (
                "4: coarse, with the same strokes everywhere. 4,096: better, but most codes are never used and "
                "perplexity grows far less than K.",
                "A code that is never nearest gets no gradient, so it stays where it started. Lesson 04 revives such "
                "codes.",
            ),
            "b": (
                "With 4,096 the reconstruction is a thousand times better.",
                "Error falls slowly with K: each doubling buys one bit a place.",
            ),
            "c": (
                "With 4,096 training fails, because distances become too expensive.",
                "It is one matrix product: [N, D] times [D, K].",
            ),
        },
        best="a",
    ),
    Question(
        id="vqvae.q_use",
        asks="Where would such a discrete representation be of most use?",
        choices={
            "a": (
                "Where a model of sequences should work on sound or images as it does on words.",
                "A code map is a short sequence over a small alphabet: what language models are made for.",
            ),
            "b": (
                "Where every pixel has to come back exactly.",
                "That is lossless compression; a VQ-VAE gives details up.",
            ),
            "c": (
                "Where gradients through the representation have to be exact.",
                "Straight-through gradients are an estimate; continuous representations have exact ones.",
            ),
        },
        best="a",
    ),
)
