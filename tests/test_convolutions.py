"""The fast forms give the numbers of lax and Haiku, values and derivatives of every mode, and are what a CPU uses."""

import contextlib
import os
import subprocess
import sys
from functools import cache, partial

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vqtutor
from vqtutor.models import convolutions


def _normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def _batch_last(form, stride):
    return lambda x, w: convolutions.to_batch_first(form(convolutions.to_batch_last(x), w, stride))


def _assert_same(one, other, x, w):
    @vqtutor.quick_jit
    def both(x, w):
        (y, back), (y2, back2) = jax.vjp(one, x, w), jax.vjp(other, x, w)
        pull = _normal(*y.shape, seed=3)
        return (y, *back(pull)), (y2, *back2(pull))

    for a, b in zip(*both(x, w), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4)


@pytest.mark.parametrize("size", [(7, 5), (8, 6)], ids=str)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (4, 4), (5, 5), (7, 3)], ids=str)
class TestAgainstLax:
    @pytest.mark.parametrize("channels", [4, 2], ids=["more channels", "fewer channels"])
    def test_conv2d(self, kernel, stride, size, channels):
        def lax(x, w):
            return jax.lax.conv_general_dilated(
                x, w, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )

        _assert_same(_batch_last(convolutions.conv2d, stride), lax, _normal(2, *size, 3), _normal(*kernel, 3, channels))

    def test_conv2d_transpose(self, kernel, stride, size):
        def lax(x, w):
            return jax.lax.conv_transpose(x, w, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWOI", "NHWC"))

        form = _batch_last(convolutions.conv2d_transpose, stride)
        _assert_same(form, lax, _normal(2, *size, 3), _normal(*kernel, 4, 3))


# -- every mode of differentiation ------------------------------------------------------------------------------------


def public(name, stride, kernel=(2, 2), channels=2):
    """Return a public form as y = f(x, w), made anew, so that nothing compiled for another form is used again."""
    if name == "convolve":
        return lambda x, w: vqtutor.convolve(x, w, stride)
    layer = hk.without_apply_rng(
        hk.transform(lambda x: getattr(vqtutor, name)(channels, kernel, stride, name="layer")(x))
    )
    return lambda x, w: layer.apply({"layer": {"w": w, "b": jnp.arange(channels).astype(x.dtype)}}, x)


def both_strides(name):
    """Stride 1 and 2 are two ways through the code, and use fold and unfold: y holds what both give."""
    one, two = public(name, 1), public(name, 2)
    return lambda x, w: jnp.concatenate([one(x, w).reshape(-1), two(x, w).reshape(-1)])


def _loss(f):
    return lambda x, w: 0.5 * jnp.sum(f(x, w) ** 2)


def _stack(a, axis, number=2):
    return jnp.stack([a * (1 - 0.5 * i) for i in range(number)], axis)


def _scanned(f):
    def total(x, w):
        carry, y = jax.lax.scan(lambda carry, one: (carry + _loss(f)(one, w), f(one, w)), 0 * x.sum(), _stack(x, 0))
        return carry + jnp.sum(y**2)

    return total


MODES = {
    "value": lambda f, x, w, dx, dw, dy: f(x, w),
    "jvp": lambda f, x, w, dx, dw, dy: jax.jvp(f, (x, w), (dx, dw)),
    "vjp": lambda f, x, w, dx, dw, dy: jax.vjp(f, x, w)[1](dy),
    "jacfwd": lambda f, x, w, dx, dw, dy: jax.jacfwd(f, (0, 1))(x, w),
    "jacrev": lambda f, x, w, dx, dw, dy: jax.jacrev(f, (0, 1))(x, w),
    "linearize": lambda f, x, w, dx, dw, dy: jax.linearize(f, x, w)[1](dx, dw),
    "linear_transpose in x": lambda f, x, w, dx, dw, dy: jax.linear_transpose(lambda x: f(x, w), x)(dy),
    "linear_transpose in w": lambda f, x, w, dx, dw, dy: jax.linear_transpose(lambda w: f(x, w), w)(dy),
    "forward over reverse": lambda f, x, w, dx, dw, dy: jax.jvp(jax.grad(_loss(f), (0, 1)), (x, w), (dx, dw)),
    "reverse over forward": lambda f, x, w, dx, dw, dy: jax.grad(
        lambda x, w: jax.jvp(_loss(f), (x, w), (dx, dw))[1], (0, 1)
    )(x, w),
    "reverse over reverse": lambda f, x, w, dx, dw, dy: jax.grad(
        lambda x, w: jnp.vdot(jax.grad(_loss(f), 1)(x, w), dw), (0, 1)
    )(x, w),
    "forward over forward": lambda f, x, w, dx, dw, dy: jax.jvp(
        lambda x, w: jax.jvp(_loss(f), (x, w), (dx, dw))[1], (x, w), (dx, dw)
    ),
    "hessian": lambda f, x, w, dx, dw, dy: jax.hessian(_loss(f), (0, 1))(x, w),
    "vmap over x": lambda f, x, w, dx, dw, dy: jax.vmap(f, (2, None))(_stack(x, 2), w),
    "vmap over w": lambda f, x, w, dx, dw, dy: jax.vmap(f, (None, 4), 1)(x, _stack(w, 4)),
    "vmap over both": lambda f, x, w, dx, dw, dy: jax.vmap(f, (-1, 0))(_stack(x, -1), _stack(w, 0)),
    "nested vmap": lambda f, x, w, dx, dw, dy: jax.vmap(jax.vmap(f, (1, None)), (0, 2))(
        _stack(_stack(x, 1, 3), 0), _stack(w, 2)
    ),
    "vmap of grad": lambda f, x, w, dx, dw, dy: jax.vmap(jax.grad(_loss(f), (0, 1)), (3, None))(_stack(x, 3), w),
    "grad of vmap": lambda f, x, w, dx, dw, dy: jax.grad(
        lambda x, w: jnp.sum(jax.vmap(f, (1, None))(_stack(x, 1), w) ** 2), (0, 1)
    )(x, w),
    "vmap of jvp": lambda f, x, w, dx, dw, dy: jax.vmap(lambda dx: jax.jvp(f, (x, w), (dx, dw))[1], 2)(_stack(dx, 2)),
    "checkpoint": lambda f, x, w, dx, dw, dy: jax.grad(jax.checkpoint(_loss(f)), (0, 1))(x, w),
    "forward over checkpoint": lambda f, x, w, dx, dw, dy: jax.jvp(
        jax.grad(jax.checkpoint(_loss(f)), 1), (x, w), (dx, dw)
    ),
    "scan": lambda f, x, w, dx, dw, dy: jax.value_and_grad(_scanned(f), (0, 1))(x, w),
    "forward through scan": lambda f, x, w, dx, dw, dy: jax.jvp(_scanned(f), (x, w), (dx, dw)),
}

# How far from lax, relative to what a result would be if nothing in it cancelled. In bfloat16, which rounds by up to
# 2^-8, it is lax in float32 that is met: up to four passes, each of which rounds a product and a sum of four windows.
TOLERANCE = {"float32": 2e-6, "float64": 4e-15, "bfloat16": 4 * 2 * 2**-8}


def precision(dtype):
    if dtype != "float64":
        return contextlib.nullcontext()
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64  # before jax 0.8

    return enable_x64()


@cache
def results(mode, name, dtype, products, jit=True):
    """Return a mode's arrays, from matrix products or from lax: of random numbers, and of their absolute values."""
    weights = (2, 2, 2, 3) if name == "Conv2DTranspose" else (2, 2, 3, 2)
    with precision(dtype), pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolutions, "prefers_products", lambda: products)
        f = both_strides(name)

        def draw(shape, seed):  # what bfloat16 holds exactly, so that it begins where float32 does
            return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.bfloat16).astype(dtype)

        x, w, dx, dw = (draw(shape, seed) for seed, shape in enumerate([(2, 4, 3, 3), weights] * 2))
        inputs = x, w, dx, dw, draw(jax.eval_shape(f, x, w).shape, 4)
        compute = partial(MODES[mode], f)
        compute = vqtutor.quick_jit(compute) if jit else compute
        return [jax.tree.leaves(compute(*those)) for those in (inputs, map(abs, inputs))]


def distance(mode, name, dtype, jit=True):
    """Return how far a mode is from lax's, relative to what its numbers would be if no two had cancelled.

    Every mode is a polynomial without minus, so that is what the inputs' absolute values give.
    """
    ours, _ = results(mode, name, dtype, True, jit)
    lax, size = results(mode, name, "float32" if dtype == "bfloat16" else dtype, False)
    assert [a.shape for a in ours] == [a.shape for a in lax] and {str(a.dtype) for a in ours} == {dtype}
    trios = [[np.asarray(a, np.float64) for a in trio] for trio in zip(ours, lax, size, strict=True)]
    return max(np.max(np.abs(a - b) / np.where(s > 0, s, 1)) for a, b, s in trios)


# Conv2D is convolve and a bias: that its derivatives arrive is seen in a few modes.
CASES = [(mode, name, dtype) for mode in MODES for name in ("convolve", "Conv2DTranspose") for dtype in TOLERANCE]
CASES += [(mode, "Conv2D", "float32") for mode in ("vjp", "jvp", "forward over reverse", "vmap of grad", "scan")]


@pytest.mark.parametrize(("mode", "name", "dtype"), CASES)
def test_every_mode_of_differentiation_is_laxs(mode, name, dtype):
    assert distance(mode, name, dtype) < TOLERANCE[dtype]


@pytest.mark.parametrize("mode", ["jvp", "linear_transpose in x", "forward over reverse", "vmap over both"])
def test_modes_need_no_jit(mode):
    assert distance(mode, "Conv2DTranspose", "float32", jit=False) < TOLERANCE["float32"]


@pytest.mark.parametrize("name", ["convolve", "Conv2DTranspose"])
@pytest.mark.parametrize(
    "size, kernel, stride",
    [
        ((4, 7, 5), (5, 2), 3),
        ((3, 5, 8), (1, 1), 2),  # stride larger than the kernel
        ((2, 4, 4), (2, 1), 3),
        ((3, 1, 1), (3, 3), 2),  # one-pixel maps
        ((3, 1, 1), (3, 3), 1),
        ((1, 6, 1), (4, 3), 2),
        ((1, 5, 6), (3, 3), 1),  # a batch of one
        ((0, 5, 6), (3, 3), 2),  # an empty batch
        ((0, 5, 6), (3, 3), 1),
    ],
    ids=str,
)
def test_odd_shapes(name, size, kernel, stride, monkeypatch):
    channels = 4

    def run(products):
        monkeypatch.setattr(convolutions, "prefers_products", lambda: products)
        f = public(name, stride, kernel, channels)
        x, w = _normal(*size, 3), _normal(*kernel, *((channels, 3) if "Transpose" in name else (3, channels)), seed=1)

        @vqtutor.quick_jit
        def compute(x, w):
            y, back = jax.vjp(f, x, w)
            mixed = jax.jvp(jax.grad(_loss(f), (0, 1)), (x, w), (x[::-1], w[::-1]))
            return y, back(y), mixed, jax.vmap(f, (1, None))(_stack(x, 1), w)

        return jax.tree.leaves(compute(x, w))

    for ours, lax in zip(run(True), run(False), strict=True):
        assert ours.shape == lax.shape
        np.testing.assert_allclose(ours, lax, atol=1e-5 * np.abs(lax).max(initial=1))


def test_compiled_programs_are_found_again_by_another_process(tmp_path):
    code = (
        "import jax, jax.numpy as jnp, vqtutor\n"
        f"jax.config.update('jax_compilation_cache_dir', {str(tmp_path)!r})\n"
        "jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)\n"
        "jax.config.update('jax_persistent_cache_min_entry_size_bytes', -1)\n"
        "def loss(x, w): return jnp.sum(vqtutor.convolve(vqtutor.convolve(x, w), w, 2) ** 2)\n"
        "x, w = jnp.ones((2, 6, 5, 3)), jnp.ones((3, 3, 3, 3))\n"
        "jax.jit(jax.grad(loss, (0, 1)))(x, w)\n"
    )
    kept = []
    for seed in "12":
        subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONHASHSEED": seed})
        kept.append({file.name for file in tmp_path.iterdir() if not file.name.endswith("atime")})
    assert kept[0] == kept[1] and any("loss" in name for name in kept[0])


def test_fold_is_the_adjoint_of_unfold():
    windows, out, size = ((3, 2, 1), (4, 2, 1)), (4, 3), (7, 6)
    x, seen = _normal(2, *size, 5), _normal(2 * 12, 4, 3, 5)
    one = jnp.vdot(convolutions.unfold(x, windows, out), seen)
    other = jnp.vdot(x, convolutions.fold(seen, windows, size))
    np.testing.assert_allclose(one, other, rtol=1e-5)


def test_windows_are_laid_apart_from_the_matrix_that_they_become():
    """Fused with the reshape behind it, the same gather takes five times as long, and every sum is still right."""
    program = jax.jit(convolutions.conv2d, static_argnums=2).lower(_normal(3, 8, 8, 2), _normal(3, 3, 3, 4), 2)
    compiled = program.compile().as_text().splitlines()
    assert any(" call(" in line and "inlineable" in line for line in compiled), "XLA took them together"


@pytest.mark.parametrize("name", ["Conv2D", "Conv2DTranspose"])
@pytest.mark.parametrize("cpu", [False, True], ids=["lax form", "matmul form"])
def test_an_activation_inside_is_one_outside(name, cpu, monkeypatch):
    monkeypatch.setattr(convolutions, "prefers_products", lambda: cpu)
    layer = getattr(vqtutor, name)
    inside, outside = (
        hk.without_apply_rng(hk.transform(form))
        for form in (lambda x: layer(4, 3, 2, activation=jnp.tanh)(x), lambda x: jnp.tanh(layer(4, 3, 2)(x)))
    )
    x = _normal(2, 7, 5, 3)
    params = inside.init(jax.random.key(0), x)
    np.testing.assert_allclose(inside.apply(params, x), outside.apply(params, x), atol=1e-6)


@pytest.mark.parametrize("name", ["Conv2D", "Conv2DTranspose"])
@pytest.mark.parametrize("cpu", [False, True], ids=["lax form", "matmul form"])
def test_parameters_and_numbers_are_haikus(name, cpu, monkeypatch):
    monkeypatch.setattr(convolutions, "prefers_products", lambda: cpu)
    x = _normal(2, 7, 5, 3)
    theirs = hk.without_apply_rng(hk.transform(lambda x: getattr(hk, name)(4, 3, 2, name="same")(x)))
    ours = hk.without_apply_rng(hk.transform(lambda x: getattr(convolutions, name)(4, 3, 2, name="same")(x)))
    params = theirs.init(jax.random.key(0), x)
    assert jax.tree.map(jnp.shape, ours.init(jax.random.key(0), x)) == jax.tree.map(jnp.shape, params)
    np.testing.assert_allclose(ours.apply(params, x), theirs.apply(params, x), atol=1e-4)


def test_a_cpu_gets_matrix_products_and_no_convolution():
    if jax.default_backend() != "cpu":
        pytest.skip("the CPU's forms are not in use here")
    network = hk.without_apply_rng(hk.transform(lambda x: convolutions.Conv2DTranspose(4, 3, 2)(x)))
    x = _normal(2, 7, 7, 3)
    program = str(jax.make_jaxpr(jax.grad(lambda p: network.apply(p, x).sum()))(network.init(jax.random.key(0), x)))
    assert "dot_general" in program and "conv_general_dilated" not in program


def test_a_map_without_batch_is_refused_in_words():
    network = hk.transform(lambda x: convolutions.Conv2D(4, 3)(x))
    with pytest.raises(ValueError, match="four axes"):
        network.init(jax.random.key(0), _normal(7, 7, 3))
