"""Lesson 05: the answers, as a student would write them."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax

import vqtutor


def causal_mask(kernel_shape, mask_type):
    """Return [kh, kw]: 1 for taps before the centre in raster order, and for the centre itself in mask "B"."""
    # Write your answer below.
    ### BEGIN SOLUTION
    rows, columns = kernel_shape
    order = np.arange(rows * columns).reshape(rows, columns)
    centre = order[rows // 2, columns // 2]
    return (order < centre) + (order == centre) * (mask_type == "B")
    ### END SOLUTION


class MaskedConv2D(hk.Module):
    """A convolution that sees only what comes before: [B, H, W, C] -> [B, H, W, output_channels]."""

    def __init__(self, output_channels, kernel_shape, mask_type):
        super().__init__()
        self.output_channels = output_channels
        self.kernel_shape = kernel_shape
        self.mask_type = mask_type

    def __call__(self, x):
        # Write your answer below.
        # A good start for weights is hk.initializers.VarianceScaling(1.0, "fan_avg").
        ### BEGIN SOLUTION
        shape = (*self.kernel_shape, x.shape[-1], self.output_channels)
        w = hk.get_parameter("w", shape, init=hk.initializers.VarianceScaling(1.0, "fan_avg"))
        b = hk.get_parameter("b", shape[-1:], init=jnp.zeros)
        mask = jnp.asarray(causal_mask(self.kernel_shape, self.mask_type))
        return vqtutor.convolve(x, w * mask[..., None, None]) + b
        ### END SOLUTION


def receptive_field(network, shape, position):
    """Return bool [H, W]: which places of its input the network's output at a position depends on."""
    # Write your answer below.
    ### BEGIN SOLUTION
    row, column = position
    x = jax.random.normal(jax.random.key(0), (1, *shape))
    gradient = jax.grad(lambda x: network(x)[0, row, column].sum())(x)
    return jnp.any(gradient[0] != 0, axis=-1)
    ### END SOLUTION


def prior_loss(logits, indices):
    """Return the mean negative log-likelihood of indices [B, H, W] under logits [B, H, W, K], in nats a code."""
    # Write your answer below.
    ### BEGIN SOLUTION
    return optax.softmax_cross_entropy_with_integer_labels(logits, indices).mean()
    ### END SOLUTION


def nats_to_bits_per_image(nats_per_code, code_map_shape):
    """Return the bits that a whole code map takes, from its nats per code."""
    # Write your answer below (one line).
    ### BEGIN SOLUTION
    return nats_per_code * code_map_shape[0] * code_map_shape[1] / np.log(2)
    ### END SOLUTION


def sample(key, logits_fn, shape, temperature=1.0):
    """Draw code maps int32 [B, H, W] from a causal network, place by place."""
    # Write your answer below. A loop of JAX's own compiles sooner than one of Python.
    ### BEGIN SOLUTION
    columns = shape[2]

    def fill_in(n, indices):
        row, column = n // columns, n % columns
        logits = logits_fn(indices)[:, row, column] / temperature
        drawn = jax.random.categorical(jax.random.fold_in(key, n), logits)
        return indices.at[:, row, column].set(drawn)

    return jax.lax.fori_loop(0, shape[1] * columns, fill_in, jnp.zeros(shape, jnp.int32))
    ### END SOLUTION


def waves(shape, reach):
    """Return int [H, W]: in which pass, from 0 on, each place of a map can be drawn at the earliest.

    The network sees, of the places before a place in raster order, those at most `reach` rows and columns away.
    """
    # Write your answer below.
    ### BEGIN SOLUTION
    wave = np.zeros(shape, int)
    for row, column in np.ndindex(*shape):
        left = max(0, column - reach)
        before = wave[max(0, row - reach) : row, left : column + reach + 1]
        before = [*before.ravel(), *wave[row, left:column]]
        wave[row, column] = max(before, default=-1) + 1
    return wave
    ### END SOLUTION


def temperature_for(logits, perplexity):
    """Return the temperature at which softmax(logits / temperature), logits [K], has this perplexity, from 1 to K."""
    # Write your answer below.
    ### BEGIN SOLUTION
    low, high = 1e-3, 1e3
    for _ in range(60):
        middle = (low * high) ** 0.5
        scaled = np.asarray(logits, float) / middle
        shares = np.exp(scaled - scaled.max())
        shares = shares / shares.sum()
        nats = -np.sum(shares * np.log(np.maximum(shares, 1e-300)))
        low, high = (middle, high) if nats < np.log(perplexity) else (low, middle)
    return middle
    ### END SOLUTION
