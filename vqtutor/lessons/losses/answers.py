"""Lesson 02: the answers, as a student would write them."""

import jax
import jax.numpy as jnp
import numpy as np

from vqtutor.lessons.quantizer.answers import look_up, nearest_code, straight_through


def reconstruction_loss(x, x_hat, variance):
    """Return the mean squared error between x and x_hat, both [...], over the variance of the data."""
    # Write your answer below (one line).
    ### BEGIN SOLUTION
    return jnp.mean((x - x_hat) ** 2) / variance
    ### END SOLUTION


def codebook_loss(z_e, codes):
    """Return the mean squared difference; only the codes get a gradient. z_e and codes are [..., D]."""
    # Write your answer below (one line).
    ### BEGIN SOLUTION
    return jnp.mean((jax.lax.stop_gradient(z_e) - codes) ** 2)
    ### END SOLUTION


def commitment_loss(z_e, codes):
    """Return the mean squared difference; only the encoder's output gets a gradient. z_e and codes are [..., D]."""
    # Write your answer below (one line).
    ### BEGIN SOLUTION
    return jnp.mean((z_e - jax.lax.stop_gradient(codes)) ** 2)
    ### END SOLUTION


def vq_loss(z_e, codes, beta):
    """Return the codebook loss plus beta times the commitment loss, for z_e and codes [..., D]."""
    # Write your answer below (one line). You have both losses.
    ### BEGIN SOLUTION
    return codebook_loss(z_e, codes) + beta * commitment_loss(z_e, codes)
    ### END SOLUTION


def repair_quantizer(z_e, codebook, beta):
    """Return (z_q [..., D], loss) for z_e [..., D] and codebook [K, D], with every gradient where it belongs."""
    # Write your answer below (three lines). You have look_up, nearest_code, vq_loss and straight_through.
    ### BEGIN SOLUTION
    codes = look_up(nearest_code(z_e, codebook), codebook)
    loss = vq_loss(z_e, codes, beta)
    return straight_through(z_e, codes), loss
    ### END SOLUTION


def bernoulli_nll(x, logits):
    """Return the negative log-likelihood of x [B, ...] under logits [B, ...], in nats an image."""
    # Write your answer below. jax.nn.softplus(l) is log(1 + e^l), for every l.
    ### BEGIN SOLUTION
    nats = jax.nn.softplus(logits) - x * logits
    return jnp.mean(jnp.sum(nats.reshape(len(x), -1), axis=1))
    ### END SOLUTION


def uniform_prior_nats(num_latents, num_codes):
    """Return minus the log-probability of one code map under a uniform prior, in nats."""
    # Write your answer below (one line).
    ### BEGIN SOLUTION
    return float(num_latents * np.log(num_codes))
    ### END SOLUTION


def perplexity(indices, num_codes):
    """Return exp of the entropy of the codes' shares, for indices int [...]."""
    # Write your answer below. First the share of each code: jnp.bincount(..., length=num_codes) counts.
    ### BEGIN SOLUTION
    share = jnp.bincount(indices.reshape(-1), length=num_codes) / indices.size
    surprise = jnp.where(share > 0, -jnp.log(jnp.where(share > 0, share, 1.0)), 0.0)
    return jnp.exp(jnp.sum(share * surprise))
    ### END SOLUTION


def worth_of_place(indices, num_codes):
    """Return the bits a code that a prior saves, on these maps int [B, H, W], by knowing the place of each code."""
    # Write your answer below.
    ### BEGIN SOLUTION
    one_hot = np.eye(num_codes)[np.reshape(indices, (len(indices), -1))]
    shares = np.stack([one_hot.mean(axis=(0, 1)), *one_hot.mean(axis=0)])
    bits = -np.sum(shares * np.log2(np.where(shares > 0, shares, 1)), axis=1)
    return bits[0] - bits[1:].mean()
    ### END SOLUTION
