"""Convolutions that are fast on every backend.

On a GPU or TPU these are `lax.conv*`. On a CPU XLA's convolutions are many times slower than its matrix products, above
all the weight gradient of `lax.conv_transpose`. There a convolution is computed as a product: `unfold` lays the windows
of all outputs side by side, and the result is multiplied by the weights. A transposed convolution is the adjoint: first
the product, then `fold` adds every window at its place. `unfold` and `fold` are linear primitives of JAX, each the
other's transpose, so gradients are fast as well, and every mode of differentiation works. Maps are [B, H, W, C] outside
and [C, H, W, B] in these forms: with the batch last, the pieces of a window are long contiguous runs.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import product
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

try:
    from jax.experimental.xla_metadata import set_xla_metadata
except ImportError:  # what it is used for here is speed
    set_xla_metadata = nullcontext

# Along one axis, the window of output m starts `before` places before input stride * m.
Window = tuple[int, int, int]  # (size, stride, before)
_ALONE = ((1, 1, 0), (1, 1, 0))


def prefers_products() -> bool:
    """Whether convolutions are computed as matrix products on this backend."""
    return jax.default_backend() == "cpu"


def kept_apart(function: Callable[..., Array]) -> Callable[..., Array]:
    """Return the function as a part of a program that XLA, on a CPU, does not fuse with what comes before and after."""

    def apart(*args):
        with set_xla_metadata(inlineable="false"):
            return jax.jit(function)(*args)

    return apart if prefers_products() else function


def to_batch_last(x: Array) -> Array:
    """[B, H, W, C] -> [C, H, W, B].

    The barriers keep XLA from fusing the transpose into every slice that follows. The transposes between two layers,
    with a relu in between, then cancel without a copy.
    """
    return jax.lax.optimization_barrier(x.transpose(3, 1, 2, 0))


def to_batch_first(x: Array) -> Array:
    """[C, H, W, B] -> [B, H, W, C]."""
    return jax.lax.optimization_barrier(x).transpose(3, 1, 2, 0)


def _shifted(x: Array, by: int, length: int, axis: int) -> Array:
    """Return x[by : by + length] along an axis, with zeros outside of x."""
    before, after = max(0, -by), max(0, length + by - x.shape[axis])
    if before or after:
        padding = [(0, 0)] * x.ndim
        padding[axis] = (before, after)
        x = jnp.pad(x, padding)
    return jax.lax.slice_in_dim(x, by + before, by + before + length, axis=axis)


def _places(offsets: Sequence[int], stride: int, count: int, size: int) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Return which places of a padded axis each tap sees, [T, count], and the padding, as `lax.pad` takes it."""
    first = min(0, *offsets)
    seen = np.array(offsets)[:, None] + stride * np.arange(count) - first
    return seen, (-first, max(0, int(seen.max(initial=0)) + 1 + first - size), 0)


# The two forms have the same parameters, because the transpose of one binds the other with its own:
#   taps: for each place of a window, (row, column): output (m, n) sees x[strides * (m, n) + (row, column)] there.
#   out, size: rows and columns of outputs, and of x.
#   last: whether a window's places lie next to the last axis, or in front of all others.
def _unfold(x: Array, taps: tuple, strides: tuple[int, int], out: tuple[int, int], size: tuple[int, int], last: bool):
    """[C, H, W, B] -> [T, C, h, w, B], or with `last` [C, h, w, T, B]."""
    channels, batch, window, places = x.shape[0], x.shape[3], len(taps), math.prod(out)
    (rows, down), (columns, right) = map(_places, zip(*taps, strict=True), strides, out, size)
    where = np.stack(np.broadcast_arrays(rows[:, :, None], columns[:, None, :]), -1).astype(np.int32)
    where = where.transpose(1, 2, 0, 3) if last else where
    numbers = jax.lax.GatherDimensionNumbers(
        offset_dims=(0, 4) if last else (1, 4), collapsed_slice_dims=(1, 2), start_index_map=(1, 2)
    )

    def lay(x):
        x = jax.lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), down, right, (0, 0, 0)])
        inside = jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS
        y = jax.lax.gather(x, where, numbers, (channels, 1, 1, batch), mode=inside)
        return y.reshape(*((channels * places, window) if last else (window * channels, places)), batch)

    # Fused with the reshape to a matrix behind it, a gather takes five times as long: it divides for every number.
    y = kept_apart(lay)(x)
    return y.reshape(channels, *out, window, batch) if last else y.reshape(window, channels, *out, batch)


def _fold(
    patches: Array, taps: tuple, strides: tuple[int, int], out: tuple[int, int], size: tuple[int, int], last: bool
):
    """[T, C, h, w, B], or with `last` [C, h, w, T, B] -> [C, H, W, B]."""
    height, width = (-(-n // stride) for n, stride in zip(size, strides, strict=True))
    patches = jnp.moveaxis(patches, 3, 0) if last else patches
    # Splitting an axis by phase turns strided slices, which are slow, into plain ones.
    phases = {}
    for part, (row, column) in zip(patches, taps, strict=True):
        (down, r), (right, c) = divmod(row, strides[0]), divmod(column, strides[1])
        part = _shifted(_shifted(part, -down, height, axis=1), -right, width, axis=2)
        phases[r, c] = phases[r, c] + part if (r, c) in phases else part
    channels, batch = patches.shape[1], patches.shape[4]
    zeros = jnp.zeros((channels, height, width, batch), patches.dtype)  # stride larger than the window
    x = [jnp.stack([phases.get((r, c), zeros) for c in range(strides[1])], 3) for r in range(strides[0])]
    x = jnp.stack(x, 2).reshape(channels, height * strides[0], width * strides[1], batch)
    return x[:, : size[0], : size[1]]


def _linear(name: str, form: Callable[..., Array], shape: Callable[..., tuple[int, ...]]) -> Primitive:
    """Return a primitive for `form`, which is linear, with the batch as last axis; its transpose is defined later."""
    primitive = Primitive(name)
    static = ("taps", "strides", "out", "size", "last")
    primitive.def_impl(jax.jit(form, static_argnames=static))
    primitive.def_abstract_eval(lambda x, **how: x.update(shape=shape(x, **how)))
    mlir.register_lowering(primitive, mlir.lower_fun(form, multiple_results=False))

    def batch(args, axes, **how):
        x = jnp.moveaxis(args[0], axes[0], -1)  # next to the batch, with which it is merged
        y = primitive.bind(x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1]), **how)
        return y.reshape(*y.shape[:-1], *x.shape[-2:]), y.ndim

    batching.primitive_batchers[primitive] = batch
    return primitive


def _unfolded(x, taps, strides, out, size, last):
    return (x.shape[0], *out, len(taps), x.shape[3]) if last else (len(taps), x.shape[0], *out, x.shape[3])


def _folded(x, taps, strides, out, size, last):
    return (x.shape[0 if last else 1], *size, x.shape[4])


_unfold_p, _fold_p = _linear("unfold", _unfold, _unfolded), _linear("fold", _fold, _folded)
ad.deflinear2(_unfold_p, lambda g, _, **how: [_fold_p.bind(g, **how)])
ad.deflinear2(_fold_p, lambda g, _, **how: [_unfold_p.bind(g, **how)])


def _how(windows: tuple[Window, Window], out: tuple[int, int], size: tuple[int, int]) -> dict[str, Any]:
    offsets = [range(-before, k - before) for k, _, before in windows]
    strides = (windows[0][1], windows[1][1])
    return {"taps": tuple(product(*offsets)), "strides": strides, "out": tuple(out), "size": tuple(size), "last": False}


def unfold(x: Array, windows: tuple[Window, Window], out: tuple[int, int]) -> Array:
    """Lay windows side by side: [C, H, W, B] -> [kh * kw * C, h, w, B], where `out` is (h, w). Zeros outside of x."""
    if windows == _ALONE:
        return x
    patches = _unfold_p.bind(x, **_how(windows, out, x.shape[1:3]))
    return patches.reshape(patches.shape[0] * patches.shape[1], *out, x.shape[3])


def fold(patches: Array, windows: tuple[Window, Window], size: tuple[int, int]) -> Array:
    """Add windows at their places, the adjoint of unfold: [kh * kw * C, h, w, B] -> [C, H, W, B], `size` (H, W)."""
    if windows == _ALONE:
        return patches
    how = _how(windows, patches.shape[1:3], size)
    window = len(how["taps"])
    return _fold_p.bind(patches.reshape(window, len(patches) // window, *patches.shape[1:]), **how)


def look_around(x: Array, taps: Sequence[tuple[int, int]]) -> Array:
    """Lay what some taps see beside each place: [B, H, W, C] -> [B, H, W, T * C]. Zeros outside of x.

    Args:
      taps: (row, column) of each, counted from the place itself.
    """
    how = {"taps": tuple(taps), "strides": (1, 1), "out": x.shape[1:3], "size": x.shape[1:3], "last": True}
    return _unfold_p.bind(x, **how).reshape(*x.shape[:3], len(taps) * x.shape[3])


# A product is a primitive, too, for its derivative by x. JAX's own, w.T @ g, reaches XLA as one product with a factor
# that stands on its side, which takes up to three times as long as turning the few weights first. The barrier keeps
# XLA from taking the two together again.
def _product(w: Array, x: Array, precision: str | None) -> Array:
    return jnp.matmul(jax.lax.optimization_barrier(w), x, precision=precision)


def _product_of_batch(args: Sequence[Array], axes: Sequence[int | None], precision: str | None) -> tuple[Array, int]:
    (w, x), (of_w, of_x) = args, axes
    if of_w is not None:
        x = x if of_x is None else jnp.moveaxis(x, of_x, 0)
        return jnp.matmul(jnp.moveaxis(w, of_w, 0), x, precision=precision), 0
    x = jnp.moveaxis(x, of_x, -1)
    y = _product_p.bind(w, x.reshape(len(x), x.shape[1] * x.shape[2]), precision=precision)
    return y.reshape(len(w), *x.shape[1:]), 2


_product_p = Primitive("product")
_product_p.def_impl(jax.jit(_product, static_argnames="precision"))
_product_p.def_abstract_eval(lambda w, x, precision: x.update(shape=(w.shape[0], x.shape[1])))
mlir.register_lowering(_product_p, mlir.lower_fun(_product, multiple_results=False))
batching.primitive_batchers[_product_p] = _product_of_batch
ad.defbilinear(
    _product_p,
    lambda g, w, x, precision: jnp.matmul(g, x.T, precision=precision),
    lambda g, w, x, precision: _product_p.bind(w.T, g, precision=precision),
)


def _multiply(w: Array, x: Array) -> Array:
    """[C', C] times [C, H, W, B] -> [C', H, W, B]."""
    kind = jnp.result_type(w, x)
    columns = x.reshape(x.shape[0], math.prod(x.shape[1:])).astype(kind)
    y = _product_p.bind(w.astype(kind), columns, precision=jax.config.jax_default_matmul_precision)
    return y.reshape(w.shape[0], *x.shape[1:])


def _slide(x: Array, w: Array, before: Sequence[int]) -> Array:
    """Correlate at stride 1: [C, H, W, B] with [kh, kw, C, C'] -> [C', H, W, B]. Windows start `before` places ahead.

    Each axis of the kernel can be unfolded before the product or folded after it. The choice for both axes is the one
    that moves the fewest rows.
    """
    kh, kw, channels, outputs = w.shape
    rows_moved = {
        (False, False): kh * kw * outputs,
        (True, True): kh * kw * channels,
        (False, True): kw * channels + kh * outputs,
    }
    in_front = min(rows_moved, key=lambda plan: rows_moved[plan])
    one, split, ahead, behind = (1, 1, 0), [], [], []
    for axis, laid in enumerate(in_front):
        k = w.shape[axis]
        ahead.append((k, 1, before[axis]) if laid else one)
        behind.append(one if laid else (k, 1, k - 1 - before[axis]))
        split += (1, k) if laid else (k, 1)
        w = w if laid else jnp.flip(w, axis)  # from the input's side, taps are reversed
    w = w.reshape(*split, channels, outputs).transpose(0, 2, 5, 1, 3, 4).reshape(split[0] * split[2] * outputs, -1)
    return fold(_multiply(w, unfold(x, tuple(ahead), x.shape[1:3])), tuple(behind), x.shape[1:3])


@partial(jax.jit, static_argnums=2)  # outside of a jitted step, one program instead of one per slice
def conv2d(x: Array, w: Array, stride: int = 1) -> Array:
    """Convolve with SAME padding, as `lax.conv_general_dilated` does, batch last.

    Args:
      x: [C, H, W, B].
      w: weights as in Haiku, [kh, kw, C, C'].
      stride: of both axes.
    Returns: [C', ceil(H / stride), ceil(W / stride), B].
    """
    out = tuple(-(-n // stride) for n in x.shape[1:3])
    before = [max((m - 1) * stride + k - n, 0) // 2 for k, m, n in zip(w.shape[:2], out, x.shape[1:3], strict=True)]
    if stride == 1:
        return _slide(x, w, before)
    patches = unfold(x, tuple((k, stride, b) for k, b in zip(w.shape[:2], before, strict=True)), out)
    return _multiply(w.reshape(-1, w.shape[3]).T, patches)


@partial(jax.jit, static_argnums=2)
def conv2d_transpose(x: Array, w: Array, stride: int = 1) -> Array:
    """Convolve transposed with SAME padding, as `lax.conv_transpose` and Haiku do, batch last.

    Args:
      x: [C, H, W, B].
      w: weights as in Haiku, [kh, kw, C', C].
      stride: of both axes.
    Returns: [C', stride * H, stride * W, B].
    """
    height, width = x.shape[1:3]
    # lax pads the dilated input by `ahead` in front and correlates; from the input's side, taps are reversed.
    ahead = [k - 1 if stride > k - 1 else -(-(k + stride - 2) // 2) for k in w.shape[:2]]
    if stride == 1:
        return _slide(x, w.swapaxes(2, 3), ahead)
    windows = tuple((k, stride, k - 1 - a) for k, a in zip(w.shape[:2], ahead, strict=True))
    patches = _multiply(w[::-1, ::-1].reshape(-1, w.shape[3]), x)
    return fold(patches, windows, (stride * height, stride * width))


def convolve(x: Array, w: Array, stride: int = 1) -> Array:
    """Convolve with SAME padding and weights of your own, in the form that is fast on this backend.

    Args:
      x: [B, H, W, C].
      w: [kh, kw, C, C'].
      stride: of both axes.
    Returns: [B, ceil(H / stride), ceil(W / stride), C'].
    """
    if not prefers_products():
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, w, (stride,) * 2, "SAME", dimension_numbers=numbers)
    return to_batch_first(conv2d(to_batch_last(x), w, stride))


class _Convolution(hk.Module):
    """Base of both modules: arguments, parameters `w` and `b` as in Haiku's modules, and the choice of form."""

    def __init__(
        self,
        output_channels: int,
        kernel_shape: int | Sequence[int],
        stride: int = 1,
        w_init: hk.initializers.Initializer | None = None,
        name: str | None = None,
        activation: Callable[[Array], Array] = lambda y: y,
    ):
        """Args: as Haiku's; padding is SAME, and there is a bias.

        activation: applied to the result, before it is laid out anew: for one that costs as much as an exponential.
        """
        super().__init__(name=name)
        self.output_channels = output_channels
        self.kernel_shape = (kernel_shape,) * 2 if isinstance(kernel_shape, int) else tuple(kernel_shape)
        self.stride = stride
        self.w_init = w_init
        self.activation = activation

    def _apply(self, x: Array, product_form, lax_form, transposed: bool) -> Array:
        if x.ndim != 4:
            raise ValueError(f"{self.name} takes a batch of maps, four axes, and was given shape {x.shape}.")
        ends = (self.output_channels, x.shape[3]) if transposed else (x.shape[3], self.output_channels)
        fan_in = self.kernel_shape[0] * self.kernel_shape[1] * x.shape[3]
        init = self.w_init or hk.initializers.TruncatedNormal(fan_in**-0.5)
        w = hk.get_parameter("w", [*self.kernel_shape, *ends], x.dtype, init=init)
        b = hk.get_parameter("b", [self.output_channels], x.dtype, init=jnp.zeros)
        if not prefers_products():
            return self.activation(lax_form(x, w) + b)
        y = product_form(to_batch_last(x), w, self.stride) + b[:, None, None, None]
        return to_batch_first(self.activation(y))


class Conv2D(_Convolution):
    """A convolution with SAME padding, with the parameters and results of `hk.Conv2D`.

    [B, H, W, C] -> [B, ceil(H / stride), ceil(W / stride), output_channels].
    """

    def __call__(self, x: Array) -> Array:
        lax_form = partial(convolve, stride=self.stride)
        return self._apply(x, conv2d, lax_form, transposed=False)


class Conv2DTranspose(_Convolution):
    """A transposed convolution with SAME padding, with the parameters and results of `hk.Conv2DTranspose`.

    [B, H, W, C] -> [B, stride * H, stride * W, output_channels].
    """

    def __call__(self, x: Array) -> Array:
        def lax_form(x, w):
            numbers = ("NHWC", "HWOI", "NHWC")
            return jax.lax.conv_transpose(x, w, (self.stride,) * 2, "SAME", dimension_numbers=numbers)

        return self._apply(x, conv2d_transpose, lax_form, transposed=True)
