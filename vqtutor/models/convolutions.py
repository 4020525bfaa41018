"""Convolutions that are fast on every backend.

On a GPU or TPU these are `lax.conv*`. On a CPU XLA's convolutions are many times slower than its matrix products, above
all the weight gradient of `lax.conv_transpose`. There a convolution is computed as a product: `unfold` lays the windows
of all outputs side by side, and the result is multiplied by the weights. A transposed convolution is the adjoint: first
the product, then `fold` adds every window at its place. `unfold` and `fold` are linear primitives of JAX, each the
other's transpose, so gradients are fast as well, and every mode of differentiation works. Maps are [B, H, W, C] outside
and [C, H, W, B] in these forms: with the batch last, the slices for a window are long contiguous runs.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import haiku as hk
import jax
import jax.numpy as jnp
from jax import Array
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

# Along one axis, the window of output m starts `before` places before input stride * m.
Window = tuple[int, int, int]  # (size, stride, before)


def prefers_products() -> bool:
    """Whether convolutions are computed as matrix products on this backend."""
    return jax.default_backend() == "cpu"


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


def _taps(window: Window) -> list[tuple[int, int]]:
    """Return, for each place in a window, (shift, phase): output m sees x[stride * (m + shift) + phase] there.

    Splitting an axis by phase first turns strided slices, which are slow, into plain ones.
    """
    size, stride, before = window
    return [divmod(tap - before, stride) for tap in range(size)]


# The two forms have the same parameters, because the transpose of one binds the other with its own.
def _unfold(x: Array, windows: tuple[Window, Window], out: tuple[int, int], size: tuple[int, int]) -> Array:
    rows, columns = windows
    channels, height, width, batch = x.shape
    x = jnp.pad(x, ((0, 0), (0, -height % rows[1]), (0, -width % columns[1]), (0, 0)))
    phases = x.reshape(channels, x.shape[1] // rows[1], rows[1], x.shape[2] // columns[1], columns[1], batch)
    patches = [
        _shifted(_shifted(phases[:, :, r, :, c], down, out[0], axis=1), right, out[1], axis=2)
        for down, r in _taps(rows)
        for right, c in _taps(columns)
    ]
    return jnp.stack(patches).reshape(len(patches) * channels, *out, batch)


def _fold(patches: Array, windows: tuple[Window, Window], out: tuple[int, int], size: tuple[int, int]) -> Array:
    rows, columns = windows
    height, width = (-(-n // stride) for n, (_, stride, _) in zip(size, windows, strict=True))
    channels, batch = patches.shape[0] // (rows[0] * columns[0]), patches.shape[3]
    patches = patches.reshape(rows[0], columns[0], channels, *out, batch)
    phases = {}
    for tap_row, (down, r) in zip(patches, _taps(rows), strict=True):
        for tap, (right, c) in zip(tap_row, _taps(columns), strict=True):
            part = _shifted(_shifted(tap, -down, height, axis=1), -right, width, axis=2)
            phases[r, c] = phases[r, c] + part if (r, c) in phases else part
    zeros = jnp.zeros((channels, height, width, batch), patches.dtype)  # stride larger than the window
    x = jnp.stack([jnp.stack([phases.get((r, c), zeros) for c in range(columns[1])], 3) for r in range(rows[1])], 2)
    return x.reshape(channels, height * rows[1], width * columns[1], batch)[:, : size[0], : size[1]]


def _linear(name: str, form: Callable[..., Array], shape: Callable[..., tuple[int, ...]]) -> Primitive:
    """Return a primitive for `form`, which is linear, with the batch as last axis; its transpose is defined later."""
    primitive = Primitive(name)
    primitive.def_impl(jax.jit(form, static_argnames=("windows", "out", "size")))
    primitive.def_abstract_eval(lambda x, **how: x.update(shape=shape(x, **how)))
    mlir.register_lowering(primitive, mlir.lower_fun(form, multiple_results=False))

    def batch(args, axes, **how):
        x = jnp.moveaxis(args[0], axes[0], 3)  # next to the batch, with which it is merged
        y = primitive.bind(x.reshape(*x.shape[:3], x.shape[3] * x.shape[4]), **how)
        return y.reshape(*y.shape[:3], *x.shape[3:]), 3

    batching.primitive_batchers[primitive] = batch
    return primitive


_unfold_p = _linear(
    "unfold", _unfold, lambda x, windows, out, size: (windows[0][0] * windows[1][0] * x.shape[0], *out, x.shape[3])
)
_fold_p = _linear(
    "fold", _fold, lambda x, windows, out, size: (x.shape[0] // (windows[0][0] * windows[1][0]), *size, x.shape[3])
)
ad.deflinear2(_unfold_p, lambda g, _, **how: [_fold_p.bind(g, **how)])
ad.deflinear2(_fold_p, lambda g, _, **how: [_unfold_p.bind(g, **how)])


def unfold(x: Array, windows: tuple[Window, Window], out: tuple[int, int]) -> Array:
    """Lay windows side by side: [C, H, W, B] -> [kh * kw * C, h, w, B], where `out` is (h, w). Zeros outside of x."""
    return _unfold_p.bind(x, windows=windows, out=out, size=x.shape[1:3])


def fold(patches: Array, windows: tuple[Window, Window], size: tuple[int, int]) -> Array:
    """Add windows at their places, the adjoint of unfold: [kh * kw * C, h, w, B] -> [C, H, W, B], `size` (H, W)."""
    return _fold_p.bind(patches, windows=windows, out=patches.shape[1:3], size=size)


def _multiply(w: Array, x: Array) -> Array:
    """[C', C] times [C, H, W, B] -> [C', H, W, B]."""
    return (w @ x.reshape(x.shape[0], math.prod(x.shape[1:]))).reshape(w.shape[0], *x.shape[1:])


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
    ):
        """Args: as Haiku's; padding is SAME, and there is a bias."""
        super().__init__(name=name)
        self.output_channels = output_channels
        self.kernel_shape = (kernel_shape,) * 2 if isinstance(kernel_shape, int) else tuple(kernel_shape)
        self.stride = stride
        self.w_init = w_init

    def _apply(self, x: Array, product_form, lax_form, transposed: bool) -> Array:
        if x.ndim != 4:
            raise ValueError(f"{self.name} takes a batch of maps, four axes, and was given shape {x.shape}.")
        ends = (self.output_channels, x.shape[3]) if transposed else (x.shape[3], self.output_channels)
        fan_in = self.kernel_shape[0] * self.kernel_shape[1] * x.shape[3]
        init = self.w_init or hk.initializers.TruncatedNormal(fan_in**-0.5)
        w = hk.get_parameter("w", [*self.kernel_shape, *ends], x.dtype, init=init)
        b = hk.get_parameter("b", [self.output_channels], x.dtype, init=jnp.zeros)
        if not prefers_products():
            return lax_form(x, w) + b
        return to_batch_first(product_form(to_batch_last(x), w, self.stride) + b[:, None, None, None])


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
