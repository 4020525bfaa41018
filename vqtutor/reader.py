"""A reader of digits: a small network, trained on real pictures, that says how well it can read drawn ones."""

from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax

from vqtutor.compiling import quick_jit, steady_jit
from vqtutor.training import fit

SURE = 0.9  # a picture counts as read where one class has at least this probability


def train_reader(
    images: np.ndarray, labels: np.ndarray, *, steps: int = 800, seed: int = 0
) -> Callable[[np.ndarray], np.ndarray]:
    """Train a network of one hidden layer to read pictures, and return it as a function.

    Args:
      images: uint8 [N, 28, 28, 1], real ones.
      labels: int [N], 0 to 9.
    Returns: `read(pictures)`, float [M, 28, 28, 1] from 0 to 1 -> the probability of each class, [M, 10].
    """
    network = hk.without_apply_rng(hk.transform(lambda x: hk.nets.MLP([256, 10])(hk.Flatten()(x))))
    optimizer = optax.adam(optax.cosine_decay_schedule(3e-3, steps))

    def step(params, opt_state, batch):
        def loss_fn(params):
            logits = network.apply(params, batch["image"].astype(jnp.float32) / 255)
            return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()

        loss, gradients = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(gradients, opt_state)
        return optax.apply_updates(params, updates), opt_state, {"loss": loss}

    params = quick_jit(network.init)(jax.random.key(seed), jnp.zeros((1, 28, 28, 1)))
    pairs = {"image": images, "label": labels}
    params = fit(step, (params, optimizer.init(params)), pairs, steps=steps, seed=seed).state[0]
    probabilities = steady_jit(lambda pictures: jax.nn.softmax(network.apply(params, pictures)))
    return lambda pictures: np.asarray(probabilities(jnp.asarray(pictures, jnp.float32)))
