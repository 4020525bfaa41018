"""Lesson 05, first half: what a masked convolution may see, and what a network of them does see."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient as sg

from vqtutor.checking import Exercise, Misconception, Probe
from vqtutor.exercises.quantizer import pull_back
from vqtutor.models import pixelcnn as ref
from vqtutor.models.convolutions import convolve

_rng = np.random.default_rng(5)


def _normal(*shape):
    return jnp.asarray(_rng.normal(size=shape).astype(np.float32))


# -- causal_mask ------------------------------------------------------------------------------------------------------


def _number(mask):
    """Masks may be of any number or bool dtype."""
    known = isinstance(mask, (jax.Array, np.ndarray)) and mask.dtype.kind in "biuf"
    return mask.astype(np.float32) if known else mask


def _masks(answer, mask_type):
    return {f"kernel {shape}, {mask_type}": _number(answer(shape, mask_type)) for shape in ((3, 3), (3, 7), (5, 3))}


def _mask(keep):
    """Return an answer that keeps the taps for which keep(row, column, centre row, centre column, type) is true."""

    def answer(kernel_shape, mask_type):
        rows, columns = np.indices(kernel_shape)
        return jnp.asarray(
            keep(rows, columns, kernel_shape[0] // 2, kernel_shape[1] // 2, mask_type), jnp.float32
        ) * jnp.ones(kernel_shape)

    return answer


def _before(i, j, r, c, centre):
    return (i < r) | ((i == r) & ((j < c) | ((j == c) & centre)))


def _by_rows(kernel_shape, mask_type):
    mask = np.zeros(kernel_shape)
    mask[: kernel_shape[0] // 2] = 1
    mask[kernel_shape[0] // 2, : kernel_shape[1] // 2] = 1
    if mask_type == "B":
        mask[kernel_shape[0] // 2, kernel_shape[1] // 2] = 1
    return mask


causal_mask = Exercise(
    id="pixelcnn.causal_mask",
    reference=ref.causal_mask,
    arguments=("kernel_shape", "mask_type"),
    probes=(
        Probe("mask A", lambda answer: _masks(answer, "A")),
        Probe("mask B", lambda answer: _masks(answer, "B")),
    ),
    misconceptions=(
        Misconception(
            "A and B swapped",
            "Your mask A keeps the centre and your mask B leaves it out.",
            "A is for the first layer, whose centre is the very code that is to be predicted.",
            _mask(lambda i, j, r, c, t: _before(i, j, r, c, t == "A")),
        ),
        Misconception(
            "the centre is always kept",
            "Mask A keeps its centre: the first layer would be shown the code that it has to predict.",
            "What is the difference between A and B?",
            _mask(lambda i, j, r, c, t: _before(i, j, r, c, True)),
        ),
        Misconception(
            "the centre is never kept",
            "Mask B leaves its centre out: later layers would forget what the layers before them found.",
            "What is the difference between A and B?",
            _mask(lambda i, j, r, c, t: _before(i, j, r, c, False)),
        ),
        Misconception(
            "nothing of the current row",
            "All rows above are kept, and nothing left of the centre.",
            "Codes on the left of the current one come before it, too.",
            _mask(lambda i, j, r, c, t: (i < r) | ((i == r) & (j == c) & (t == "B"))),
        ),
        Misconception(
            "all of the current row",
            "The whole current row is kept, with what is to the right of the centre: that is the future.",
            "Codes come row by row, each row from left to right.",
            _mask(lambda i, j, r, c, t: (i <= r) & ((j != c) | (i != r) | (t == "B"))),
            also=(_mask(lambda i, j, r, c, t: i <= r),),
        ),
        Misconception(
            "the future in place of the past",
            "You keep what comes after the centre.",
            "1 stands for what may be seen.",
            _mask(lambda i, j, r, c, t: ~_before(i, j, r, c, t == "B")),
            also=(
                _mask(lambda i, j, r, c, t: ~_before(i, j, r, c, t != "B")),
                _mask(lambda i, j, r, c, t: _before(-i, -j, -r, -c, t == "B")),
            ),
        ),
        Misconception(
            "column by column",
            "This is the past of an order that goes down the columns; ours goes along the rows.",
            "Which comes first: the code above, or the one on the left? All of the rows above do.",
            _mask(lambda i, j, r, c, t: _before(j, i, c, r, t == "B")),
        ),
        Misconception(
            "only above and to the left",
            "Rows above are kept only up to the centre's column; what is above and to the right is past as well.",
            "The rows above are all done before the current one begins.",
            _mask(lambda i, j, r, c, t: (i <= r) & (j <= c) & ((i != r) | (j != c) | (t == "B"))),
        ),
        Misconception(
            "centre of a square",
            "Square kernels come out right; in the others the centre is in the wrong column.",
            "Rows and columns each have a middle of their own.",
            _mask(lambda i, j, r, c, t: _before(i, j, r, r, t == "B")),
            also=(_mask(lambda i, j, r, c, t: _before(i, j, c, c, t == "B")),),
        ),
        Misconception(
            "weights' shape in place of the kernel's",
            "The mask has extra axes; [kh, kw] is asked for.",
            "Axes for channels can be added where the mask is used.",
            lambda shape, t: ref.causal_mask(shape, t)[..., None, None],
        ),
    ),
    alternatives={
        "row by row": _by_rows,
        "bool": lambda shape, t: ref.causal_mask(shape, t) > 0,
        "comparing pairs": _mask(lambda i, j, r, c, t: _before(i, j, r, c, t == "B")),
        "flat list of ones and zeros": lambda shape, t: jnp.concatenate(
            [jnp.ones(n := shape[0] // 2 * shape[1] + shape[1] // 2 + (t == "B")), jnp.zeros(shape[0] * shape[1] - n)]
        ).reshape(shape),
        "integers": lambda shape, t: jnp.asarray(_by_rows(shape, t), jnp.int32),
    },
    hints=(
        "Write down the order in which a 3x3 kernel's taps are passed, 0 to 8. Which number has the centre?",
        "np.arange(kh * kw) < something, reshaped to [kh, kw]. The centre's number is kh // 2 * kw + kw // 2.",
        "For B one more is kept than for A.",
    ),
)

# -- MaskedConv2D -----------------------------------------------------------------------------------------------------

CHANNELS, OUT = 3, 4
_X = _normal(2, 5, 4, CHANNELS)
_KERNELS = {"A": (3, 5), "B": (5, 3)}
_W = {kind: _normal(*shape, CHANNELS, OUT) for kind, shape in _KERNELS.items()}
_B = _normal(OUT)


class MaskedConv2D(hk.Module):
    """A convolution that sees only codes before the centre: [B, H, W, C] -> [B, H, W, output_channels]."""

    def __init__(self, output_channels, kernel_shape, mask_type):
        super().__init__()
        self.output_channels = output_channels
        self.mask = ref.causal_mask(kernel_shape, mask_type)

    def __call__(self, x):
        shape = (*self.mask.shape, x.shape[-1], self.output_channels)
        w = hk.get_parameter("w", shape, init=hk.initializers.VarianceScaling(1.0, "fan_avg", "uniform"))
        b = hk.get_parameter("b", [self.output_channels], init=jnp.zeros)
        return convolve(x, w * self.mask[..., None, None]) + b


def _conv(answer, kind):
    """Return (initial parameters, apply, parameters with the probes' dense weights in the place of every such leaf)."""
    layer = hk.without_apply_rng(hk.transform(lambda x: answer(OUT, _KERNELS[kind], kind)(x)))
    params = layer.init(jax.random.key(0), _X)
    numbers = {leaf.shape: leaf for leaf in (_W[kind], _B)}
    return params, layer.apply, jax.tree.map(lambda leaf: numbers.get(leaf.shape, leaf), params)


def _conv_values(answer):
    seen = {}
    for kind in _KERNELS:
        _, apply, planted = _conv(answer, kind)
        seen[f"output, mask {kind}"] = apply(planted, _X)
    return seen


def _conv_sight(answer):
    """Which place sees which: bool [places, places], a row for each place of the output."""
    seen = {}
    for kind in _KERNELS:
        _, apply, planted = _conv(answer, kind)
        jacobian = jax.jacobian(lambda x, apply=apply, planted=planted: apply(planted, x)[0])(_X[:1])
        places = jnp.any(jacobian != 0, axis=(2, 3, 6))
        height, width = _X.shape[1:3]
        if jacobian.shape[:2] != (height, width):
            places = jnp.zeros((0, 0), bool)
        seen[f"who sees whom, mask {kind}"] = places.reshape(-1, height * width)
    return seen


def _conv_parameters(answer):
    params, apply, planted = _conv(answer, "A")
    numbers = sum(leaf.size for leaf in jax.tree.leaves(params))
    kernels = [leaf for leaf in jax.tree.leaves(params) if leaf.shape == _W["A"].shape]
    to_weights = pull_back(lambda p: apply(p, _X), planted)[0]
    masked = [g for g in jax.tree.leaves(to_weights) if g.shape == _W["A"].shape]
    before = apply(params, _X)[:, 0, 0]
    return {
        "number of parameters": numbers,
        "the first place sees the others at the start": bool(
            jnp.any(apply(params, _X.at[:, 1:].add(1))[:, 0, 0] != before)
        ),
        "weights start unequal": bool(kernels) and bool(jnp.any(kernels[0] != kernels[0].mean())),
        "gradient to the weights": masked[0] if masked else jnp.zeros(0),
    }


def conv_like(use=lambda w, mask: w * mask, start=lambda w, mask: w, bias=True, after=lambda y: y, **options):
    """Return a layer that differs from the right one in what is named."""
    kind, order = options.get("kind", lambda t: t), options.get("order", lambda shape: shape)
    form = options.get("form", convolve)

    class MaskedConv2D(hk.Module):
        def __init__(self, output_channels, kernel_shape, mask_type):
            super().__init__()
            self.out = output_channels
            self.mask = ref.causal_mask(order(kernel_shape), kind(mask_type))[..., None, None]

        def __call__(self, x):
            shape = (*self.mask.shape[:2], x.shape[-1], self.out)
            init = hk.initializers.VarianceScaling()
            w = hk.get_parameter("w", shape, init=lambda shape, dtype: start(init(shape, dtype), self.mask))
            y = form(x, use(w, self.mask))
            return after(y + hk.get_parameter("b", [self.out], init=jnp.zeros) if bias else y)

    return MaskedConv2D


def _valid(x, w):
    return jax.lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))


class _HaikusOwn(hk.Module):
    def __init__(self, output_channels, kernel_shape, mask_type):
        super().__init__()
        mask = jnp.broadcast_to(_by_rows(kernel_shape, mask_type)[..., None, None], (*kernel_shape, CHANNELS, OUT))
        self.conv = hk.Conv2D(output_channels, kernel_shape, mask=mask)

    def __call__(self, x):
        return self.conv(x)


def _by_shifts(x, w):
    height, width = x.shape[1:3]
    (top, bottom), (left, right) = ((k // 2, k // 2) for k in w.shape[:2])
    padded = jnp.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    return sum(padded[:, i : i + height, j : j + width] @ w[i, j] for i in range(w.shape[0]) for j in range(w.shape[1]))


masked_conv2d = Exercise(
    id="pixelcnn.MaskedConv2D",
    reference=MaskedConv2D,
    arguments=("output_channels", "kernel_shape", "mask_type"),
    base=hk.Module,
    probes=(
        Probe("values", _conv_values),
        Probe("who sees whom", _conv_sight),
        Probe("parameters", _conv_parameters),
    ),
    misconceptions=(
        Misconception(
            "masked only once",
            "The weights start masked, but the mask is not there when they are used: after one step of training the "
            "future shines through.",
            "Multiply by the mask at every call, not when the weights are made.",
            conv_like(use=lambda w, mask: w, start=lambda w, mask: w * mask),
        ),
        Misconception(
            "no mask",
            "Every tap is used: each code sees its whole neighbourhood, the future included.",
            "Where does your causal_mask come in?",
            conv_like(use=lambda w, mask: w),
        ),
        Misconception(
            "always mask B",
            "The layer sees its own centre in type A as well.",
            "Hand mask_type on to causal_mask.",
            conv_like(kind=lambda t: "B"),
        ),
        Misconception(
            "always mask A",
            "The layer does not see its own centre in type B.",
            "Hand mask_type on to causal_mask.",
            conv_like(kind=lambda t: "A"),
        ),
        Misconception(
            "A and B swapped",
            "Type A sees its centre and type B does not.",
            "A is for the first layer.",
            conv_like(kind=lambda t: "AB"[t == "A"]),
        ),
        Misconception(
            "mask turned round",
            "The layer sees the future and not the past: the mask is turned round.",
            "This convolution does not flip its kernel; neither should the mask.",
            conv_like(use=lambda w, mask: w * mask[::-1, ::-1]),
            also=(conv_like(use=lambda w, mask: w * (1 - mask)),),
        ),
        Misconception(
            "no bias",
            "There is no bias: one number for each output channel, added at the end.",
            "The header says where it goes.",
            conv_like(bias=False),
        ),
        Misconception(
            "map shrinks",
            "The output is smaller than the input; a code map has to keep its size.",
            "Pad with zeros, SAME.",
            conv_like(form=_valid),
        ),
        Misconception(
            "weights held still",
            "The values are right, but no gradient reaches the weights.",
            "Nothing here needs stop_gradient.",
            conv_like(use=lambda w, mask: sg(w * mask)),
        ),
        Misconception(
            "scaled by the mask",
            "The weights are divided by how many taps are left.",
            "The mask says yes or no; the size of the weights is for training to find.",
            conv_like(use=lambda w, mask: w * mask / mask.sum()),
            also=(conv_like(use=lambda w, mask: w * mask / mask.mean()),),
        ),
        Misconception(
            "relu inside",
            "Negative outputs are cut off: a relu belongs around this layer, not into it.",
            "A convolution is linear.",
            conv_like(after=jax.nn.relu),
        ),
        Misconception(
            "kernel on its side",
            "Rows and columns of the kernel have changed places.",
            "kernel_shape is (rows, columns).",
            conv_like(order=lambda shape: shape[::-1]),
        ),
    ),
    alternatives={
        "hk.Conv2D with its mask": _HaikusOwn,
        "lax": conv_like(
            form=lambda x, w: jax.lax.conv_general_dilated(
                x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
        ),
        "shifted maps": conv_like(form=_by_shifts),
        "where": conv_like(use=lambda w, mask: jnp.where(mask > 0, w, 0)),
        "masked at the start as well": conv_like(start=lambda w, mask: w * mask),
        "only the taps that are used": ref.MaskedConv2D,
    },
    hints=(
        "Weights [kh, kw, C, output_channels] and a bias [output_channels] come from hk.get_parameter.",
        "The mask is [kh, kw]; `mask[..., None, None]` makes it fit the weights.",
        "`vqtutor.convolve(x, w * mask[..., None, None]) + b`.",
    ),
)

# -- receptive_field --------------------------------------------------------------------------------------------------

_SHAPE = (4, 6, 2)


def _weights(*shape):
    return _normal(*shape) / np.sqrt(np.prod(shape[:-1]))


_FIRST, _SECOND = _weights(3, 3, 2, 3), _weights(3, 5, 3, 2)
_MASK_A, _MASK_B = ref.causal_mask((3, 3), "A")[..., None, None], ref.causal_mask((3, 5), "B")[..., None, None]


def _stack(x):
    """Two masked layers, smooth, so that no unit sleeps."""
    return jnp.tanh(convolve(jnp.tanh(convolve(x, _FIRST * _MASK_A)), _SECOND * _MASK_B))


def _column(x):
    """Looks straight up only, and subtracts one channel from the other, so that gradients cancel when added up."""
    return jnp.tanh(jnp.cumsum(x[..., :1] - x[..., 1:], axis=1))


FIELDS = {
    "two masked layers, row 2, column 3": (_stack, (2, 3)),
    "two masked layers, row 3, column 0": (_stack, (3, 0)),
    "a network that looks straight up, row 3, column 4": (_column, (3, 4)),
}


def _fields(answer):
    return {name: answer(network, _SHAPE, position) for name, (network, position) in FIELDS.items()}


def _field(see, at=lambda position: position, of=lambda y, r, c: y[0, r, c].sum(), x=None):
    """Return an answer made of a gradient at one input: `see` makes bools of it."""

    def answer(network, shape, position):
        row, column = at(position)
        inputs = jax.random.normal(jax.random.key(4), (1, *shape)) if x is None else jnp.full((1, *shape), x)
        return see(jax.grad(lambda x: of(network(x), row, column))(inputs))

    return answer


def _influence(network, shape, position):
    """The field the other way round: which outputs does one input reach?"""
    x = jax.random.normal(jax.random.key(4), (1, *shape))
    nudge = jnp.zeros_like(x).at[0, position[0], position[1]].set(1.0)
    return jnp.any(jax.jvp(network, (x,), (nudge,))[1][0] != 0, axis=-1)


def _by_nudging(network, shape, position):
    x = jax.random.normal(jax.random.key(3), (1, *shape))
    seen = np.zeros(shape[:2], bool)
    for row, column in np.ndindex(*shape[:2]):
        for channel in range(shape[2]):
            changed = network(x.at[0, row, column, channel].add(1.0))
            seen[row, column] |= bool(jnp.any(jnp.abs(changed - network(x))[0, position[0], position[1]] > 1e-6))
    return seen


receptive_field = Exercise(
    id="pixelcnn.receptive_field",
    reference=ref.receptive_field,
    arguments=("network", "shape", "position"),
    probes=(Probe("fields", _fields, points=2),),
    misconceptions=(
        Misconception(
            "channels cancel",
            "You add the gradient up over the channels before you look: positive and negative parts cancel.",
            "Does any channel feel it?",
            _field(lambda g: g[0].sum(-1) != 0),
            also=(_field(lambda g: jnp.abs(g[0].sum(-1)) > 1e-6),),
        ),
        Misconception(
            "only positive gradients",
            "A negative gradient is a dependence just as well.",
            "Compare with zero, not with its sign.",
            _field(lambda g: jnp.any(g[0] > 0, -1)),
            also=(_field(lambda g: jnp.max(g[0], -1) > 0),),
        ),
        Misconception(
            "all channels in place of any",
            "You ask every channel to matter; one is enough.",
            "all and any answer different questions.",
            _field(lambda g: jnp.all(g[0] > 0, -1)),
        ),
        Misconception(
            "all outputs at once",
            "You differentiate the sum over all places of the output; one position is asked about.",
            "Pick the position before you sum.",
            _field(lambda g: jnp.any(g[0] != 0, -1), of=lambda y, r, c: y.sum()),
        ),
        Misconception(
            "row and column swapped",
            "This is the field of another position: row and column have changed places.",
            "position is (row, column).",
            _field(lambda g: jnp.any(g[0] != 0, -1), at=lambda position: position[::-1]),
        ),
        Misconception(
            "the other way round",
            "You show which outputs this input reaches; asked for is which inputs this output depends on.",
            "Differentiate one output with respect to all inputs.",
            _influence,
        ),
        Misconception(
            "the gradient itself",
            "You return the gradient; a yes or no for each place is asked for.",
            "Does it differ from zero?",
            _field(lambda g: g[0].sum(-1)),
            also=(_field(lambda g: jnp.abs(g[0]).sum(-1)), _field(lambda g: jnp.abs(g[0]).max(-1))),
        ),
        Misconception(
            "channels kept",
            "There is an axis too many: the answer has one bool for each place, [H, W].",
            "Put the channels, and the batch, together with any.",
            _field(lambda g: g[0] != 0),
            also=(_field(lambda g: g != 0), _field(lambda g: jnp.any(g != 0, -1))),
        ),
        Misconception(
            "turned round",
            "You say True where the gradient is zero.",
            "True should mean that it is seen.",
            _field(lambda g: jnp.all(g[0] == 0, -1)),
        ),
    ),
    alternatives={
        "gradient of a sum": _field(lambda g: jnp.any(g[0] != 0, -1)),
        "absolute values": _field(lambda g: jnp.abs(g[0]).sum(-1) > 0),
        "at ones": _field(lambda g: jnp.any(g[0] != 0, -1), x=1.0),
        "nudging every input": _by_nudging,
        "numpy": _field(lambda g: np.any(np.asarray(g[0]) != 0, axis=-1)),
    },
    hints=(
        "jax.grad wants a function that returns one number: the sum of network(x)[0, row, column].",
        "Its gradient with respect to x has x's shape, [1, H, W, C]. Where is it not zero, in any channel?",
        "Take a random x, not zeros: a relu may sleep there.",
    ),
)
