"""Lesson 03: the answers, as a student would write them."""

import haiku as hk
import jax
import numpy as np
import optax

import vqtutor


def code_map_shape(image_size, num_strided_layers):
    """Return (rows, columns) after num_strided_layers layers of stride 2, each of which rounds up."""
    # Write your answer below. First see whether image_size is an int or a pair.
    ### BEGIN SOLUTION
    rows, columns = (image_size, image_size) if isinstance(image_size, int) else image_size
    factor = 2**num_strided_layers
    return -(-rows // factor), -(-columns // factor)
    ### END SOLUTION


def bits_per_image(code_map_shape, num_codes):
    """Return the bits of one code map of this shape, under a uniform prior over num_codes codes."""
    # Write your answer below (one line).
    ### BEGIN SOLUTION
    return float(code_map_shape[0] * code_map_shape[1] * np.log2(num_codes))
    ### END SOLUTION


class Encoder(hk.Module):
    """Images [B, 28, 28, 1] -> vectors [B, 7, 7, code_dim]."""

    def __init__(self, code_dim):
        super().__init__()
        self.code_dim = code_dim

    def __call__(self, x):
        # Write your answer below. Which strides make 7 of 28, and which widths does the budget allow?
        ### BEGIN SOLUTION
        x = jax.nn.relu(vqtutor.Conv2D(32, 3, stride=2)(x))
        x = jax.nn.relu(vqtutor.Conv2D(64, 3, stride=2)(x))
        return vqtutor.Conv2D(self.code_dim, 1)(x)
        ### END SOLUTION


class Decoder(hk.Module):
    """Quantized vectors [B, 7, 7, D] -> images [B, 28, 28, 1]."""

    def __call__(self, z_q):
        # Write your answer below. vqtutor.Conv2DTranspose takes what vqtutor.Conv2D takes.
        ### BEGIN SOLUTION
        x = jax.nn.relu(vqtutor.Conv2DTranspose(64, 3, stride=2)(z_q))
        x = jax.nn.relu(vqtutor.Conv2DTranspose(32, 3, stride=2)(x))
        return vqtutor.Conv2DTranspose(1, 3)(x)
        ### END SOLUTION


def make_train_step(loss_fn, optimizer):
    """Return step(params, opt_state, x) -> (params, opt_state, metrics)."""

    # Write your answer below: define step, and return it.
    ### BEGIN SOLUTION
    def step(params, opt_state, x):
        (loss, metrics), gradients = jax.value_and_grad(loss_fn, has_aux=True)(params, x)
        updates, opt_state = optimizer.update(gradients, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, metrics | {"loss": loss}

    return step
    ### END SOLUTION


def patch_of(layers):
    """Return (size, step) for layers of (kernel, stride): the pixels in a row that a place sees, and how
    many lie between the first pixels of two places side by side."""
    # Write your answer below.
    ### BEGIN SOLUTION
    size, step = 1, 1
    for kernel, stride in layers:
        size, step = size + (kernel - 1) * step, step * stride
    return size, step
    ### END SOLUTION


def touches(places, kernel, stride):
    """Return int [(places - 1) * stride + kernel]: how many places each output of a transposed convolution hears."""
    # Write your answer below.
    ### BEGIN SOLUTION
    heard = np.zeros((places - 1) * stride + kernel, int)
    for place in range(places):
        heard[place * stride : place * stride + kernel] += 1
    return heard
    ### END SOLUTION
