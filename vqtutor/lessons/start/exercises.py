"""Lesson 00: what goes wrong in its exercise, what else is right, and what helps."""

import jax
import jax.numpy as jnp
import numpy as np

from vqtutor.lessons.entries import edit, exercise

to_unit_range = exercise(
    "start.to_unit_range",
    can="It turns the bytes of any image into numbers from 0 to 1.",
    kind="transcription", importance=1, difficulty=1, minutes=3,
    stuck="Write down what 0, 51 and 255 should become, and which operation does all three.",
    wrong={
        "divides by 256": (edit("/ 255", "/ 256"),
            "White comes out a little below 1: a uint8 pixel has 256 values, but the largest of them is 255.",
            "Which number must become exactly 1?"),
        "whole-number division": (edit("pixels, jnp.float32) / 255", "pixels // 255, jnp.float32)"),
            lambda pixels: pixels // 255,
            "Every grey has become 0: // throws away the fraction when it divides whole numbers.",
            "Look at the division sign, and at the dtype of what it divides."),
        "range from -1 to 1": (edit("/ 255", "/ 127.5 - 1"),
            "Black comes out at -1: this is the range from -1 to 1, used by the residual VQ-VAE, not from 0 to 1.",
            "What should a black pixel become?"),
        "centred at zero": (edit("/ 255", "/ 255 - 0.5"),
            "Black comes out at -0.5: centring the pixels is a step for later.",
            "What should a black pixel become?"),
        "scaled by the brightest pixel": (edit("/ 255", "/ jnp.max(pixels)"),
            "The scale depends on the brightest pixel in the batch, so the same grey gets different values in "
            "different batches.",
            "The largest value a pixel can have is known before you look at any picture."),
        "stretched from darkest to brightest": (
            lambda pixels: (pixels - pixels.min()) / jnp.float32(pixels.max() - pixels.min()),
            "Every batch is stretched until its darkest pixel is 0, so the same grey gets different values in "
            "different batches.",
            "The range a pixel can have is known before you look at any picture."),
        "type changed, range not": (edit(" / 255", ""),
            "The dtype is float32 now, but the values still run to 255.",
            "Changing the dtype does not change the values: something still has to bring 255 down to 1."),
        "double precision": (lambda pixels: np.asarray(pixels) / 255,
            "The values are right, but in float64: numpy divides uint8 into float64, and JAX networks want float32.",
            "Look at the dtype before you divide."),
        "black and white only": (edit("pixels, jnp.float32) / 255", "pixels > 127, jnp.float32)"),
            lambda pixels: jnp.round(jnp.float32(pixels) / 255),
            "Every grey has become pure black or white: a comparison or rounding has lost the steps between.",
            "All 256 greys should stay apart."),
        "ink inverted": (edit("return ", "return 1 - "),
            "Black and white have changed places.",
            "What should a black pixel become?"),
    },
    right={
        "times 1/255": edit("/ 255", "* (1 / 255)"),
        "numpy, cast first": lambda pixels: np.asarray(pixels).astype(np.float32) / np.float32(255),
        "numpy, cast last": lambda pixels: (np.asarray(pixels) / 255).astype(np.float32),
        "jnp promotes by itself": lambda pixels: jnp.divide(pixels, 255),
        "jitted": jax.jit(lambda pixels: pixels / jnp.float32(255)),
        "dtype's own limit": lambda pixels: pixels.astype(jnp.float32) / jnp.iinfo(pixels.dtype).max,
    },
    hints=(
        "A pixel is a whole number from 0 (black) to 255 (white). What do you divide by to bring 255 to 1?",
        "Mind the dtype: turn the pixels into float32 first, with `jnp.asarray(pixels, jnp.float32)`.",
    ),
)  # fmt: skip


def _settled(pixels, start=None):
    """Two means, moved as k-means moves them until they stay."""
    values = np.asarray(pixels, float).reshape(-1)
    means = np.array([values.min(), values.max()])
    for _ in range(50):
        nearer = np.abs(values - means[0]) <= np.abs(values - means[1])
        means = np.array([values[nearer].mean(), values[~nearer].mean()])
    return means[0], means[1]


def _split_at(border):
    def answer(pixels):
        values = np.asarray(pixels, float).reshape(-1)
        dark = values <= border(values)
        return values[dark].mean(), values[~dark].mean() if not dark.all() else values.max()

    return answer


def _by_running_sums(pixels):
    values = np.sort(np.asarray(pixels, float).reshape(-1))
    n = np.arange(1, len(values))
    below = np.cumsum(values)[:-1]
    above = values.sum() - below
    best = np.argmax(below**2 / n + above**2 / (len(values) - n))
    return below[best] / n[best], above[best] / (len(values) - n[best])


def _between_classes(pixels):
    """Otsu's threshold, by a histogram of 256 greys."""
    share = np.bincount(np.ravel(pixels), minlength=256) / np.size(pixels)
    greys, best = np.arange(256), (-1, 0, 0)
    for t in range(255):
        w = share[: t + 1].sum()
        if 0 < w < 1:
            dark = (share * greys)[: t + 1].sum() / w
            bright = (share * greys)[t + 1 :].sum() / (1 - w)
            best = max(best, (w * (1 - w) * (dark - bright) ** 2, dark, bright))
    return best[1:]


def _every_threshold(pixels):
    values = np.asarray(pixels, np.float32).ravel()
    found = []
    for t in np.unique(values)[:-1]:
        low, high = values[values <= t], values[values > t]
        found.append((np.sum((low - low.mean()) ** 2) + np.sum((high - high.mean()) ** 2), low.mean(), high.mean()))
    return min(found)[1:]


two_greys = exercise(
    "start.two_greys",
    can="It finds the best code of two greys for any picture: quantization in one dimension, solved for good.",
    kind="puzzle", importance=1, difficulty=3, minutes=20,
    stuck="Mark ten greys on a line, and say which pixels go to the darker code whatever the two codes are.",
    wrong={
        "darkest and brightest": (lambda x: (float(np.min(x)), float(np.max(x))),
            "You return the darkest and the brightest pixel. Most pixels lie in between and pay for it.",
            "Which single number has the least squared error for a group of pixels?"),
        "black and white": (lambda x: (0.0, 255.0),
            "Black and white are the ends of the scale, whatever the picture holds.",
            "The two greys should depend on the picture."),
        "mean and deviation": (lambda x: (float(np.mean(x) - np.std(x)), float(np.mean(x) + np.std(x))),
            "One deviation below and above the mean is best only where both halves are alike.",
            "Try a picture with one bright pixel."),
        "split at the middle grey": (_split_at(lambda values: 127.5), _split_at(lambda values: 127),
            "You split the pixels at the middle of the scale; the best border depends on the picture.",
            "How many borders are there to try?"),
        "split at the mean": (_split_at(np.mean),
            "You split at the mean of all pixels, and stop there; the best border can lie elsewhere.",
            "How many borders are there to try?"),
        "split into halves": (_split_at(np.median),
            "You give both greys the same number of pixels. A single bright pixel may deserve a grey of its own.",
            "How many borders are there to try?"),
        "split half way": (_split_at(lambda values: (values.min() + values.max()) / 2),
            "You split half way between the darkest and the brightest pixel, and stop there.",
            "How many borders are there to try?"),
        "settled in a valley": (_settled,
            "Each grey is the mean of its pixels, and each pixel has the nearer grey; yet another pair is better.",
            "k-means stops at the first pair that it cannot improve by one step. Sorted, all pairs can be tried."),
        "brighter one first": (edit("dark.mean(), bright.mean()", "bright.mean(), dark.mean()"),
            "The greys are right, and in the other order.",
            "The darker one comes first."),
        "medians": (edit("dark.mean(), bright.mean()", "np.median(dark), np.median(bright)"),
            "You return medians, which have the least absolute error.",
            "Which number has the least *squared* error?"),
    },
    right={
        "running sums": _by_running_sums,
        "between classes, from a histogram": _between_classes,
        "every threshold": _every_threshold,
        "as an array": lambda pixels: np.array(_by_running_sums(pixels), np.float32),
    },
    hints=(
        "The two greys part the scale in two. Once you know which pixels go together, each grey is a mean.",
        "Sort the pixels: there is one border between each two neighbours, and so at most as many cases as pixels.",
    ),
)  # fmt: skip
