"""The built-in digits: the same everywhere, of the right kind, and legible."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from vqtutor.data import load_dataset, strokes

IMAGES, LABELS = strokes.draw(3_000)


def test_the_same_seed_gives_the_same_bytes_on_every_machine():
    assert np.array_equal(strokes._draw.__wrapped__(3_000, 0)[0], IMAGES)
    assert not np.array_equal(strokes.draw(3_000, seed=1)[0], IMAGES)
    digest = hashlib.sha256(IMAGES.tobytes() + LABELS.tobytes()).hexdigest()
    assert digest[:16] == "2ee0a9ccaad3a364", (
        "the drawing changed: every figure measured on strokes must be measured anew"
    )


def test_every_digit_gets_its_share():
    assert IMAGES.shape == (3_000, 28, 28, 1) and IMAGES.dtype == np.uint8 and LABELS.dtype == np.int32
    assert np.bincount(LABELS).tolist() == [300] * 10


def test_ink_is_as_mnists():
    ink = IMAGES / 255  # MNIST: mean .1307, standard deviation .3081
    assert 0.10 < ink.mean() < 0.16 and 0.27 < ink.std() < 0.34
    assert not IMAGES[:, [0, -1]].any() and not IMAGES[:, :, [0, -1]].any()  # a pixel of background on every side
    assert IMAGES.reshape(3_000, -1).max(1).min() > 200  # none is empty or faint


def test_digits_differ_from_one_another_and_among_themselves():
    assert len(np.unique(IMAGES.reshape(3_000, -1), axis=0)) == 3_000
    flat = IMAGES.reshape(3_000, -1) / 255.0
    means = np.stack([flat[:2_000][LABELS[:2_000] == digit].mean(0) for digit in range(10)])
    nearest = np.argmin(((flat[2_000:, None] - means) ** 2).sum(-1), 1)
    assert 0.7 < (nearest == LABELS[2_000:]).mean() < 0.99  # legible, and not ten stamps


@pytest.mark.parametrize("count", [0, 1, 7])
def test_any_number_can_be_drawn(count):
    assert strokes.draw(count)[0].shape == (count, 28, 28, 1)


def test_more_digits_are_new_ones_and_a_set_that_is_not_drawn_has_no_more():
    data = load_dataset("strokes")
    more = data.more(50)
    assert more.shape == (50, 28, 28, 1) and more.dtype == data.train_images.dtype
    known = {image.tobytes() for image in (*data.train_images, *data.test_images)}
    assert not known & {image.tobytes() for image in more}
    assert replace(data, name="mnist").more(50).shape == (0, 28, 28, 1)
