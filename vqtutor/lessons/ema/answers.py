"""Lesson 04: the answers, as a student would write them."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from vqtutor.lessons.quantizer.answers import look_up, nearest_code, straight_through


def batch_statistics(z_e, indices, num_codes):
    """Return (counts [K], sums [K, D]) of the vectors z_e [..., D] that chose each code."""
    # Write your answer below.
    ### BEGIN SOLUTION
    one_hot = jax.nn.one_hot(indices.reshape(-1), num_codes)
    return one_hot.sum(axis=0), one_hot.T @ z_e.reshape(-1, z_e.shape[-1])
    ### END SOLUTION


def smooth_counts(counts, epsilon):
    """Return counts [K], Laplace-smoothed: none is zero, and their total is kept."""
    # Write your answer below (two lines).
    ### BEGIN SOLUTION
    total = counts.sum()
    return (counts + epsilon) / (total + len(counts) * epsilon) * total
    ### END SOLUTION


def update_codebook(counts, sums, z_e, indices, decay, epsilon):
    """Return (counts [K], sums [K, D], codebook [K, D]) after one batch."""
    # Write your answer below. Use your batch_statistics and your smooth_counts.
    ### BEGIN SOLUTION
    batch_counts, batch_sums = batch_statistics(z_e, indices, len(counts))
    counts = decay * counts + (1 - decay) * batch_counts
    sums = decay * sums + (1 - decay) * batch_sums
    return counts, sums, sums / smooth_counts(counts, epsilon)[:, None]
    ### END SOLUTION


def repair_start(codebook):
    """Return (counts [K], sums [K, D]) from which a running mean can begin."""
    # Write your answer below (one line).
    ### BEGIN SOLUTION
    return jnp.ones(len(codebook)), codebook
    ### END SOLUTION


class EMAVectorQuantizer(hk.Module):
    """A codebook that is a running mean: z_e [..., D] -> {"z_q", "codes", "indices"}."""

    def __init__(self, num_codes, code_dim, decay=0.99, epsilon=1e-5):
        super().__init__()
        self.shape = num_codes, code_dim
        self.decay = decay
        self.epsilon = epsilon

    def __call__(self, z_e, is_training):
        # Write your answer below.
        # hk.get_state(name, shape, init=...): the start of counts and sums can be init=lambda *_: an_array.
        ### BEGIN SOLUTION
        codebook = hk.get_state("codebook", self.shape, init=hk.initializers.RandomUniform(-0.05, 0.05))
        first_counts, first_sums = repair_start(codebook)
        counts = hk.get_state("counts", first_counts.shape, init=lambda *_: first_counts)
        sums = hk.get_state("sums", first_sums.shape, init=lambda *_: first_sums)
        indices = nearest_code(z_e, codebook)
        codes = look_up(indices, codebook)
        if is_training:
            after = update_codebook(counts, sums, z_e, indices, self.decay, self.epsilon)
            for state_name, value in zip(("counts", "sums", "codebook"), after, strict=True):
                hk.set_state(state_name, value)
        return {"z_q": straight_through(z_e, codes), "codes": codes, "indices": indices}
        ### END SOLUTION


def restart_dead_codes(key, counts, sums, codebook, z_e, threshold):
    """Return (counts [K], sums [K, D], codebook [K, D]) with every dead code put on a different vector."""
    # Write your answer below. jax.random.permutation(key, n) shuffles 0 to n - 1.
    ### BEGIN SOLUTION
    rows = z_e.reshape(-1, z_e.shape[-1])
    dead = counts < threshold
    shuffled = jax.random.permutation(key, len(rows))
    fresh = rows[shuffled[jnp.arange(len(counts)) % len(rows)]]  # one for each code, dead or not
    counts = jnp.where(dead, 1.0, counts)
    return counts, jnp.where(dead[:, None], fresh, sums), jnp.where(dead[:, None], fresh, codebook)
    ### END SOLUTION


def cheapest_merge(counts, codebook):
    """Return (i, j, rise), i < j: the two codes of [K, D] to be merged, and the rise of the sum of squared errors.

    Each code is the mean of its counts [K] vectors. The vectors of both then share one code, at their mean.
    """
    # Write your answer below.
    ### BEGIN SOLUTION
    counts, codebook = np.asarray(counts, float), np.asarray(codebook, float)
    rises = {}
    for i in range(len(counts)):
        for j in range(i + 1, len(counts)):
            weight = counts[i] * counts[j] / max(counts[i] + counts[j], 1)
            rises[i, j] = weight * np.sum((codebook[i] - codebook[j]) ** 2)
    i, j = min(rises, key=rises.get)
    return i, j, rises[i, j]
    ### END SOLUTION
