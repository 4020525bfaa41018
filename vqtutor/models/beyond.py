"""What came after (lesson 07): k-means as a beginning, look-up by angle, the rotation trick, finite scalar quantization
and residual codes."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array

from vqtutor.models.ema import batch_statistics
from vqtutor.models.quantizer import look_up, nearest_code

FSQ_EPSILON = 1e-3


def _same_length(z: Array, codebook: Array, codes: str = "codes") -> None:
    if not z.ndim or z.shape[-1] != codebook.shape[-1]:
        raise ValueError(f"z has the shape {list(z.shape)} and the {codes} {list(codebook.shape)}: make D equal.")


def k_means(z: Array, codebook: Array, steps: int) -> Array:
    """Return the codebook [K, D] after `steps` rounds of k-means: each code moves to the mean of its vectors.

    As a codebook's beginning: Łańcucki et al., "Robust Training of Vector Quantized Bottleneck Models", 2020, and
    SoundStream (Zeghidour et al., 2021). A code that no vector chooses stays where it is.

    Args:
      z: vectors, [N, D], such as a first batch of encoder outputs.
      codebook: where the codes begin, [K, D], such as K of the vectors.
      steps: rounds, 0 or more.
    Raises:
      ValueError: z and codebook have different D, z is not [N, D], or steps is negative.
    """
    if z.ndim != 2:
        raise ValueError(f"z must be a list of vectors, [N, D], and has the shape {list(z.shape)}.")
    _same_length(z, codebook)
    if steps < 0:
        raise ValueError(f"steps is how often the codes move, 0 or more, not {steps}.")
    start = jnp.asarray(codebook, jnp.promote_types(codebook.dtype, jnp.float32))

    def move(_, codes):
        counts, sums = batch_statistics(z, nearest_code(z, codes), len(codes))
        return jnp.where(counts[:, None] > 0, sums / jnp.maximum(counts, 1)[:, None], codes).astype(start.dtype)

    return jax.lax.fori_loop(0, steps, move, start)


def _unit(vectors: Array, least: float = 0.0) -> Array:
    """Return vectors [..., D] at length 1, and zeros, with a gradient of 0, for those no longer than `least`."""
    squares = jnp.sum(vectors**2, axis=-1, keepdims=True)
    long = squares > least**2
    return vectors * jnp.where(long, jax.lax.rsqrt(jnp.where(long, squares, 1)), 0)


def cosine_look_up(z: Array, codebook: Array) -> tuple[Array, Array]:
    """Return (codes [..., D] of length 1, indices int32 [...]): for each vector the code at the smallest angle.

    Yu et al., "Vector-quantized Image Modeling with Improved VQGAN", 2021. Lengths of vectors and of rows do not count.
    A vector of zeros has no direction, and gets the first code. A gradient reaches the codebook, across each row's
    direction.

    Args:
      z: vectors, [..., D].
      codebook: [K, D].
    Raises:
      ValueError: z and codebook have different D.
    """
    _same_length(z, codebook)
    rows = _unit(codebook)
    products = jax.lax.stop_gradient(_unit(z) @ rows.T)
    indices = jnp.argmax(products, axis=-1).astype(jnp.int32)
    return look_up(indices, rows), indices


@jax.custom_jvp
def rotate_to(z_e: Array, codes: Array) -> Array:
    """Return codes, and give z_e the gradient of a rotation and a stretch that take z_e to its code.

    The rotation trick (Fifty et al., "Restructuring Vector Quantization with the Rotation Trick", 2024): the output is
    (|codes| / |z_e|) R z_e with R, the rotation in the plane of both, and its factor held still. The angle between
    gradient and code becomes the angle between what z_e gets and z_e, so vectors of one cell get different gradients.

    A vector of zeros has no direction: its gradient passes unchanged, as in straight-through. Where z_e points exactly
    away from its code, every half turn would do; here a mirror image turns z_e over. Codes get no gradient.

    Args:
      z_e: encoder output, [..., D].
      codes: its codes, [..., D].
    Raises:
      ValueError: the shapes differ.
    """
    if z_e.shape != codes.shape:
        raise ValueError(
            f"z_e has the shape {list(z_e.shape)} and codes {list(codes.shape)}: each vector has one code."
        )
    return codes + jnp.zeros_like(z_e)


@rotate_to.defjvp
def _rotate(primals, tangents):
    z_e, codes = primals
    moved = tangents[0]
    e, q = _unit(z_e), _unit(codes)
    r = _unit(e + q, 1e-5)  # shorter than that, its direction is rounding
    along = lambda direction: jnp.sum(direction * moved, axis=-1, keepdims=True)  # noqa: E731
    length = jnp.linalg.norm(z_e, axis=-1, keepdims=True)
    stretch = jnp.linalg.norm(codes, axis=-1, keepdims=True) / jnp.where(length > 0, length, 1)
    turned = stretch * (moved - 2 * r * along(r) + 2 * q * along(e))
    return rotate_to(z_e, codes), jnp.where(length > 0, turned, moved)


def finite_scalar_quantize(z: Array, levels: Sequence[int]) -> tuple[Array, Array]:
    """Return (z_q [..., L], indices int32 [...]): every number of z at one of its few levels, without a codebook.

    Finite scalar quantization (Mentzer et al., "Finite Scalar Quantization: VQ-VAE Made Simple", 2023, appendix A.1).
    With h = (levels - 1)(1 - 0.001) / 2, and for even levels an offset of 1/2, each number becomes
    tanh(z + tan(offset / h)) h - offset, is rounded, and is divided by levels // 2. The gradient passes through the
    tanh, and by the rounding as if it were not there.

    Args:
      z: [..., L].
      levels: how many values each number has, 2 or more. With 2 the paper's shift puts the border at -1.56.
    Returns: z_q from -1 to 1, and indices from 0 to the product of levels - 1, in which the first number counts by
      ones, the second by levels[0], and so on.
    Raises:
      ValueError: z does not have one number for each level, a level is below 2, or int32 cannot count the codes.
    """
    levels = [int(level) for level in levels]
    if not z.ndim or z.shape[-1] != len(levels) or not levels:
        raise ValueError(f"z has the shape {list(z.shape)}; its last axis must be {len(levels)}, one for each level.")
    if min(levels) < 2 or math.prod(levels) > 2**31:
        raise ValueError(f"levels must be 2 or more each, and 2^31 codes at most, not {levels}.")
    halves = [(level - 1) * (1 - FSQ_EPSILON) / 2 for level in levels]
    offsets = [(level % 2 == 0) / 2 for level in levels]
    shifts = [math.tan(offset / half) for offset, half in zip(offsets, halves, strict=True)]
    half, offset, shift = (jnp.array(row, z.dtype) for row in (halves, offsets, shifts))
    widths = jnp.array([level // 2 for level in levels], jnp.int32)
    bounded = jnp.tanh(z + shift) * half - offset
    rounded = jax.lax.stop_gradient(jnp.round(bounded))
    basis = jnp.array([math.prod(levels[:i]) for i in range(len(levels))], jnp.int32)
    indices = jnp.sum((rounded.astype(jnp.int32) + widths) * basis, axis=-1, dtype=jnp.int32)
    return (rounded + (bounded - jax.lax.stop_gradient(bounded))) / widths.astype(z.dtype), indices


def residual_quantize(z: Array, codebooks: Array) -> tuple[Array, Array]:
    """Return (z_q [..., D], indices int32 [..., S]): a code for z, then one for what is left, and so on; z_q adds them.

    Residual vector quantization (Juang and Gray, 1982; in SoundStream, Zeghidour et al., 2021). Each stage takes the
    code that is nearest to what the stages before it left over. That is greedy: another combination may be nearer.
    The gradient of z_q passes to z unchanged (straight-through), and none reaches the codebooks.

    Args:
      z: vectors, [..., D].
      codebooks: [S, K, D], one for each stage.
    Raises:
      ValueError: codebooks is not [S, K, D], or z has another D.
    """
    if codebooks.ndim != 3 or not len(codebooks):
        raise ValueError(f"codebooks has the shape {list(codebooks.shape)}, and should be [S, K, D].")
    _same_length(z, codebooks, "codebooks")
    left, chosen = jax.lax.stop_gradient(z), []
    for codebook in jax.lax.stop_gradient(codebooks):
        indices = nearest_code(left, codebook)
        left = left - look_up(indices, codebook)
        chosen.append(indices)
    return z - left, jnp.stack(chosen, axis=-1)
