"""The losses of a VQ-VAE, and the perplexity, a measure of how its codes are used (lesson 02)."""

import math

import jax
import jax.numpy as jnp
from jax import Array

from vqtutor.models.quantizer import look_up, nearest_code, straight_through


def reconstruction_loss(x: Array, x_hat: Array, variance: float) -> Array:
    """Return the mean squared error in units of the data's variance: the average image as x_hat gives 1.0.

    Args:
      x, x_hat: images and reconstructions, [...].
      variance: of the training data, over all its pixels.
    """
    return jnp.mean((x - x_hat) ** 2) / variance


def codebook_loss(z_e: Array, codes: Array) -> Array:
    """Return the mean squared distance that pulls codes to the encoder's outputs; z_e [..., D] gets no gradient."""
    return jnp.mean((jax.lax.stop_gradient(z_e) - codes) ** 2)


def commitment_loss(z_e: Array, codes: Array) -> Array:
    """Return the mean squared distance that pulls the encoder's outputs to codes; the codes get no gradient."""
    return jnp.mean((z_e - jax.lax.stop_gradient(codes)) ** 2)


def vq_loss(z_e: Array, codes: Array, beta: float) -> Array:
    """Return codebook loss + beta * commitment loss (van den Oord et al., 2017, equation 3)."""
    return codebook_loss(z_e, codes) + beta * commitment_loss(z_e, codes)


def bernoulli_nll(x: Array, logits: Array) -> Array:
    """Return the negative log-likelihood of images under a Bernoulli decoder: nats, summed over an image's pixels and
    averaged over the batch.

    log p = x log s(l) + (1 - x) log(1 - s(l)) is computed from log(1 + e^l), which is finite for every logit.

    Args:
      x: pixels in [0, 1], [B, ...].
      logits: of a pixel being 1, [B, ...].
    """
    nats = jax.nn.softplus(logits) - x * logits
    return jnp.mean(jnp.sum(nats.reshape(x.shape[0], -1), axis=1))


def uniform_prior_nats(num_latents: int, num_codes: int) -> float:
    """Return the nats of one image's codes under a uniform prior: a constant, so training may leave it out.

    Args:
      num_latents: codes per image.
      num_codes: K.
    """
    return num_latents * math.log(num_codes)


def repair_quantizer(z_e: Array, codebook: Array, beta: float) -> tuple[Array, Array]:
    """Return (z_q [..., D], loss): both losses use the looked-up codes, before the straight-through estimator.

    Args:
      z_e: encoder output, [..., D].
      codebook: [K, D].
      beta: weight of the commitment loss.
    """
    codes = look_up(nearest_code(z_e, codebook), codebook)
    return straight_through(z_e, codes), vq_loss(z_e, codes, beta)


def perplexity(indices: Array, num_codes: int) -> Array:
    """Return the perplexity of code usage: exp of the entropy of the indices, 1 to K; for no indices, 1.

    Args:
      indices: int [...].
      num_codes: K.
    """
    counts = jax.ops.segment_sum(jnp.ones(indices.size, jnp.int32), indices.reshape(-1), num_codes)
    usage = counts / max(indices.size, 1)
    return jnp.exp(-jnp.sum(usage * jnp.log(jnp.maximum(usage, 1e-12))))  # 0 log 0 is 0
