"""Lesson 06: the answers, as a student would write them."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

import vqtutor


def half_convolution(x, w):
    """Convolve x [B, H, W, C] with a half kernel w, [k // 2 + 1, k, C, C'] or [1, k // 2 + 1, C, C']."""
    down = w.shape[0] // 2
    right = w.shape[1] // 2 if w.shape[0] == 1 else 0
    padded = jnp.pad(x, ((0, 0), (down, 0), (right, 0), (0, 0)))
    return vqtutor.convolve(padded, w)[:, : x.shape[1], : x.shape[2]]


def stack_masks(kernel_size, mask_type):
    """Return (vertical [k // 2 + 1, k], horizontal [1, k // 2 + 1]), masks of 0 and 1."""
    # Write your answer below.
    ### BEGIN SOLUTION
    half = kernel_size // 2
    above, left = np.ones((half + 1, kernel_size)), np.ones((1, half + 1))
    above[-1] = left[:, -1] = mask_type == "B"
    return above, left
    ### END SOLUTION


def gate(features):
    """Return tanh of the first half of the channels times sigmoid of the second: [..., 2C] -> [..., C]."""
    # Write your answer below.
    ### BEGIN SOLUTION
    signal, door = jnp.split(features, 2, axis=-1)
    return jnp.tanh(signal) * jax.nn.sigmoid(door)
    ### END SOLUTION


class GatedBlock(hk.Module):
    """One block of both stacks: (vertical, horizontal), [B, H, W, C] each, -> the same with `channels`."""

    def __init__(self, channels, kernel_size, mask_type, residual):
        super().__init__()
        self.channels = channels
        self.kernel_size = kernel_size
        self.mask_type = mask_type
        self.residual = residual

    def __call__(self, vertical, horizontal, condition=None):
        # Write your answer below. half_convolution(x, w) is there.
        ### BEGIN SOLUTION
        seen = []
        for name, mask, x in zip(
            ("above", "left"), stack_masks(self.kernel_size, self.mask_type), (vertical, horizontal), strict=True
        ):
            shape = (*mask.shape, x.shape[-1], 2 * self.channels)
            w = hk.get_parameter(name, shape, init=hk.initializers.VarianceScaling(1.0, "fan_avg"))
            seen.append(half_convolution(x, w * jnp.asarray(mask)[..., None, None]))
        above, left = seen
        left = left + hk.Linear(2 * self.channels)(above)
        if condition is not None:
            above = above + hk.Linear(2 * self.channels)(condition)[:, None, None]
            left = left + hk.Linear(2 * self.channels)(condition)[:, None, None]
        out = hk.Linear(self.channels)(gate(left))
        return gate(above), out + horizontal if self.residual else out
        ### END SOLUTION


def complete(key, logits_fn, indices, known):
    """Draw the unknown codes of maps [B, H, W], each given those before it in raster order."""
    # Write your answer below.
    ### BEGIN SOLUTION
    columns = indices.shape[2]

    def fill_in(n, indices):
        row, column = n // columns, n % columns
        drawn = jax.random.categorical(jax.random.fold_in(key, n), logits_fn(indices)[:, row, column])
        value = jnp.where(known[:, row, column], indices[:, row, column], drawn)
        return indices.at[:, row, column].set(value)

    return jax.lax.fori_loop(0, indices.shape[1] * columns, fill_in, jnp.asarray(indices, jnp.int32))
    ### END SOLUTION


def which_class(logits_fn, indices, num_classes):
    """Return float [B, C]: how probable each label is for code maps int [B, H, W], if all are equally frequent.

    logits_fn(indices, labels), with labels int [B], gives the prior's logits [B, H, W, K] under these labels.
    """
    # Write your answer below.
    ### BEGIN SOLUTION
    nats = []
    for label in range(num_classes):
        log_shares = jax.nn.log_softmax(logits_fn(indices, jnp.full(len(indices), label)))
        own = jnp.take_along_axis(log_shares, indices[..., None], axis=-1)
        nats.append(-own.sum(axis=(1, 2, 3)))
    return jax.nn.softmax(-jnp.stack(nats, axis=1), axis=1)
    ### END SOLUTION


def guide(with_label, without_label, strength):
    """Return logits [..., K]: those without a label at strength 0, with it at 1, and farther that way beyond."""
    # Write your answer below.
    ### BEGIN SOLUTION
    return without_label + strength * (with_label - without_label)
    ### END SOLUTION
