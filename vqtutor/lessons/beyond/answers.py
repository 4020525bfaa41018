"""Lesson 07: the answers, as a student would write them."""

import jax
import jax.numpy as jnp
import numpy as np

from vqtutor.lessons.ema.answers import batch_statistics
from vqtutor.lessons.losses.answers import vq_loss
from vqtutor.lessons.quantizer.answers import look_up, nearest_code, straight_through


def k_means(z, codebook, steps):
    """Return the codebook [K, D] after `steps` rounds of k-means on vectors z [N, D]."""
    # Write your answer below. A code that no vector chooses stays where it is.
    ### BEGIN SOLUTION
    for _ in range(steps):
        counts, sums = batch_statistics(z, nearest_code(z, codebook), len(codebook))
        means = sums / jnp.maximum(counts, 1)[:, None]
        codebook = jnp.where(counts[:, None] > 0, means, codebook)
    return codebook
    ### END SOLUTION


def cosine_look_up(z, codebook):
    """Return (codes [..., D] of length 1, indices [...]): the rows of codebook [K, D] at the smallest angle to z."""
    # Write your answer below.
    ### BEGIN SOLUTION
    directions = codebook / jnp.linalg.norm(codebook, axis=-1, keepdims=True)
    indices = jnp.argmax(z @ directions.T, axis=-1)
    return look_up(indices, directions), indices
    ### END SOLUTION


def rotate_to(z_e, codes):
    """Return codes [..., D]; z_e [..., D] gets their gradient turned and stretched as it would be itself."""
    # Write your answer below.
    ### BEGIN SOLUTION
    norm = lambda v: jnp.linalg.norm(v, axis=-1, keepdims=True)  # noqa: E731
    dot = lambda v, w: jnp.sum(v * w, axis=-1, keepdims=True)  # noqa: E731
    e, q = z_e / norm(z_e), codes / norm(codes)
    r = (e + q) / norm(e + q)
    e, q, r, stretch = jax.lax.stop_gradient((e, q, r, norm(codes) / norm(z_e)))
    return stretch * (z_e - 2 * r * dot(r, z_e) + 2 * q * dot(e, z_e))
    ### END SOLUTION


def finite_scalar_quantize(z, levels):
    """Return (z_q [..., L], indices [...]): each number of z [..., L] at one of its levels, L ints from 3 up."""
    # Write your answer below: bound, round, divide, count.
    ### BEGIN SOLUTION
    levels = np.array(levels)
    half = (levels - 1) * (1 - 1e-3) / 2
    offset = np.where(levels % 2 == 0, 0.5, 0.0)
    bounded = jnp.tanh(z + np.tan(offset / half)) * half - offset
    rounded = jnp.round(bounded)
    z_q = (bounded + jax.lax.stop_gradient(rounded - bounded)) / (levels // 2)
    places = np.cumprod([1, *levels[:-1]])
    return z_q, jnp.sum((rounded.astype(int) + levels // 2) * places, axis=-1)
    ### END SOLUTION


def residual_quantize(z, codebooks):
    """Return (z_q [..., D], indices [..., S]): a code for z [..., D] from each of [S, K, D], for what is still left."""
    # Write your answer below.
    ### BEGIN SOLUTION
    left, indices = z, []
    for codebook in codebooks:
        indices.append(nearest_code(left, codebook))
        left = left - look_up(indices[-1], codebook)
    return z - left, jnp.stack(indices, axis=-1)
    ### END SOLUTION


def repair_stages(z, codebooks, beta):
    """Return (z_q [..., D], loss) for z [..., D] and codebooks [S, K, D], with every gradient where it belongs."""
    # Write your answer below. You have nearest_code, look_up, vq_loss and straight_through.
    ### BEGIN SOLUTION
    left, z_q, loss = z, 0.0, 0.0
    for codebook in codebooks:
        codes = look_up(nearest_code(left, codebook), codebook)
        loss = loss + vq_loss(left, codes, beta)
        z_q = z_q + codes
        left = left - jax.lax.stop_gradient(codes)
    return straight_through(z, z_q), loss
    ### END SOLUTION


def from_index(indices, levels):
    """Return z_q [..., L] of finite scalar quantization, from indices int [...] and its levels."""
    # Write your answer below.
    ### BEGIN SOLUTION
    levels = np.array(levels)
    places = np.cumprod([1, *levels[:-1]])
    digits = indices[..., None] // places % levels
    return (digits - levels // 2) / (levels // 2)
    ### END SOLUTION
