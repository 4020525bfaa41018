"""Lesson 00b: the answers, as a student would write them."""

import haiku as hk
import jax
import jax.numpy as jnp


def all_differences(points, centres):
    """Return every point minus every centre: [N, D] and [K, D] -> [N, K, D]."""
    # Write your answer below (one line). `points[:, None]` has the shape [N, 1, D].
    ### BEGIN SOLUTION
    return points[:, None] - centres
    ### END SOLUTION


def weighted_mean(values, weights):
    """Return the mean of values [N], weighted by weights [N]. No gradient reaches the weights."""
    # Write your answer below (two lines). You will need jax.lax.stop_gradient.
    ### BEGIN SOLUTION
    weights = jax.lax.stop_gradient(weights)
    return jnp.sum(weights * values) / jnp.sum(weights)
    ### END SOLUTION


def drop_some(key, x, share):
    """Return x [...], each number set to 0 with probability `share`, and the others divided by 1 - share."""
    # Write your answer below (two lines). jax.random.bernoulli(key, p, shape) is True with probability p.
    ### BEGIN SOLUTION
    keep = jax.random.bernoulli(key, 1 - share, x.shape)
    return jnp.where(keep, x / (1 - share), 0.0)
    ### END SOLUTION


class Counted(hk.Module):
    """Multiply each channel by its own trained number, and count the calls: [..., C] -> [..., C]."""

    def __call__(self, x):
        # Write your answer below (four lines): one parameter, one state, and x times the parameter.
        ### BEGIN SOLUTION
        scale = hk.get_parameter("scale", x.shape[-1:], init=jnp.ones)
        calls = hk.get_state("calls", [], init=jnp.zeros)
        hk.set_state("calls", calls + 1)
        return x * scale
        ### END SOLUTION


def descend(loss_fn, params, x, learning_rate):
    """Return the parameters after one step of gradient descent on loss_fn(params, x)."""
    # Write your answer below (two lines). jax.tree.map(f, a, b) applies f to the arrays of a and b in pairs.
    ### BEGIN SOLUTION
    gradients = jax.grad(loss_fn)(params, x)
    return jax.tree.map(lambda p, g: p - learning_rate * g, params, gradients)
    ### END SOLUTION


def slide(signal, kernel):
    """Slide a kernel [k], k odd, along a signal [N] with zeros around it; return the sums of products, [N]."""
    # Write your answer below (three lines). jnp.pad(signal, n) puts n zeros at both ends.
    ### BEGIN SOLUTION
    padded = jnp.pad(signal, len(kernel) // 2)
    windows = [padded[i : i + len(kernel)] for i in range(len(signal))]
    return jnp.stack(windows) @ kernel
    ### END SOLUTION


def mean_nats(probabilities, outcomes):
    """Return the mean surprise in nats: probabilities [N, K] that were given, outcomes int [N] that happened."""
    # Write your answer below (two lines).
    ### BEGIN SOLUTION
    given = probabilities[jnp.arange(len(outcomes)), outcomes]
    return -jnp.mean(jnp.log(given))
    ### END SOLUTION


def reveal_kernel(look, shape):
    """Return the kernel, float [kh, kw], of look: pictures [H, W] -> [H - kh + 1, W - kw + 1]; shape is (kh, kw)."""
    # Write your answer below.
    ### BEGIN SOLUTION
    return jax.grad(lambda picture: look(picture)[0, 0])(jnp.zeros(shape))
    ### END SOLUTION
