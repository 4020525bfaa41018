"""What a VQ-VAE minimises, and what tells how well its codes are used (lesson 02)."""

import jax
import jax.numpy as jnp
from jax import Array


def reconstruction_loss(x: Array, x_hat: Array, variance: float) -> Array:
    """Return the mean squared error in units of the data's variance: 1.0 is what the average image earns.

    Args:
      x, x_hat: images and reconstructions, [...].
      variance: of the training data, over all its pixels.
    """
    return jnp.mean((x - x_hat) ** 2) / variance


def codebook_loss(z_e: Array, codes: Array) -> Array:
    """Return the mean squared distance that pulls codes to the encoder's outputs; no gradient reaches z_e [..., D]."""
    return jnp.mean((jax.lax.stop_gradient(z_e) - codes) ** 2)


def commitment_loss(z_e: Array, codes: Array) -> Array:
    """Return the mean squared distance that keeps the encoder's outputs near codes; no gradient reaches the codes."""
    return jnp.mean((z_e - jax.lax.stop_gradient(codes)) ** 2)


def vq_loss(z_e: Array, codes: Array, beta: float) -> Array:
    """Return codebook loss + beta * commitment loss (van den Oord et al., 2017, equation 3)."""
    return codebook_loss(z_e, codes) + beta * commitment_loss(z_e, codes)


def perplexity(indices: Array, num_codes: int) -> Array:
    """Return how many codes are in use, each weighed by how often: exp of the entropy of the indices, 1 to K.

    Args:
      indices: int [...].
      num_codes: K.
    """
    usage = jnp.mean(indices.reshape(-1, 1) == jnp.arange(num_codes), axis=0)
    return jnp.exp(-jnp.sum(usage * jnp.log(jnp.maximum(usage, 1e-12))))  # 0 log 0 is 0
