"""The reader knows digits, and knows what is none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vqtutor import train_reader
from vqtutor.data import strokes
from vqtutor.reader import puzzles

IMAGES, LABELS = strokes.draw(4000)
TEST, ANSWERS = strokes.draw(400, seed=9)


@pytest.fixture(scope="module")
def read():
    return train_reader(IMAGES, LABELS, steps=500)


def sure(probabilities):
    return np.mean(probabilities.max(axis=-1) >= 0.9)


def test_it_reads_digits_and_its_probabilities_are_those_of_ten_classes(read):
    seen = read(TEST / 255)
    assert seen.shape == (400, 10) and np.all(seen >= 0) and np.all(seen.sum(-1) <= 1 + 1e-5)
    assert np.mean(seen.argmax(-1) == ANSWERS) > 0.95 and sure(seen) > 0.8


@pytest.mark.parametrize("kind", ["tiles", "noise", "ink everywhere"])
def test_it_is_not_sure_of_rubbish(read, kind):
    """One that knew ten classes only was sure of 71 % of the pictures of random codes (lesson 05)."""
    rng, tests = np.random.default_rng(0), TEST / 255
    rubbish = {
        "tiles": np.asarray(puzzles(jax.random.key(0), jnp.asarray(tests), 4)),
        "noise": (rng.uniform(size=tests.shape) < 0.3).astype(float),
        "ink everywhere": np.ones_like(tests),
    }[kind]
    assert sure(read(rubbish)) < 0.05


def test_a_puzzle_is_made_of_tiles_of_its_pictures():
    images = jnp.asarray(IMAGES[:6] / 255)
    cut = lambda x: np.asarray(x).reshape(6, 4, 7, 4, 7).transpose(0, 1, 3, 2, 4).reshape(-1, 49)  # noqa: E731
    mixed = puzzles(jax.random.key(1), images, 7)
    assert mixed.shape == images.shape and not np.array_equal(mixed, images)
    own = {tile.tobytes() for tile in cut(images)}
    assert all(tile.tobytes() in own for tile in cut(mixed))
