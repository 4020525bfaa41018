"""A reader of digits: a small network, trained on real pictures, that says how well it can read drawn ones."""

from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from vqtutor.compiling import quick_jit, steady_jit
from vqtutor.training import fit

SURE = 0.9  # a picture counts as read where one class has at least this probability


def puzzles(key: Array, images: Array, side: int) -> Array:
    """Return pictures put together from tiles of others, [B, 28, 28, 1]: strokes that make no digit.

    Args:
      key: a JAX random key.
      images: [B, 28, 28, 1].
      side: of a tile in pixels, a divisor of 28; each is taken from any place of any picture.
    """
    count, n = len(images), 28 // side
    tiles = images.reshape(count, n, side, n, side).transpose(0, 1, 3, 2, 4).reshape(-1, side, side)
    tiles = jax.random.choice(key, tiles, (count, n, n))
    return tiles.transpose(0, 1, 3, 2, 4).reshape(images.shape)


def train_reader(
    images: np.ndarray, labels: np.ndarray, *, steps: int = 800, seed: int = 0
) -> Callable[[np.ndarray], np.ndarray]:
    """Train a network of one hidden layer to read pictures, and return it as a function.

    A network that knows ten digits and nothing else is sure of one digit or another whatever it is shown. So this one
    has an eleventh answer, "none of them", which it learns from `puzzles` of its training pictures. It is no judge of
    everything: two digits on top of each other it may well read as one of them.

    Args:
      images: uint8 [N, 28, 28, 1], real ones.
      labels: int [N], 0 to 9.
      steps, seed: of the training.
    Returns: `read(pictures)`, float [M, 28, 28, 1] from 0 to 1 -> the probability of each class, [M, 10]; what is
      missing to 1 is that of "none of them".
    """
    network = hk.without_apply_rng(hk.transform(lambda x: hk.nets.MLP([256, 11])(hk.Flatten()(x))))
    optimizer = optax.adam(optax.cosine_decay_schedule(3e-3, steps))

    def step(params, opt_state, key, batch):
        key, *keys = jax.random.split(key, 4)
        pictures = batch["image"].astype(jnp.float32) / 255
        parts = np.array_split(np.arange(len(pictures)), 3)
        none = [puzzles(k, pictures[part], side) for k, part, side in zip(keys, parts, (4, 7, 14), strict=True)]
        pictures = jnp.concatenate([pictures, *none])
        answers = jnp.concatenate([batch["label"], jnp.full(len(batch["label"]), 10, batch["label"].dtype)])

        def loss_fn(params):
            return optax.softmax_cross_entropy_with_integer_labels(network.apply(params, pictures), answers).mean()

        loss, gradients = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(gradients, opt_state)
        return optax.apply_updates(params, updates), opt_state, key, {"loss": loss}

    params = quick_jit(network.init)(jax.random.key(seed), jnp.zeros((1, 28, 28, 1)))
    start = params, optimizer.init(params), jax.random.key(seed + 1)
    params = fit(step, start, {"image": images, "label": labels}, steps=steps, seed=seed).state[0]
    probabilities = steady_jit(lambda pictures: jax.nn.softmax(network.apply(params, pictures))[:, :10])
    return lambda pictures: np.asarray(probabilities(jnp.asarray(pictures, jnp.float32)))
