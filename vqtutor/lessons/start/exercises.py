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
            "Every grey has become 0: dividing whole numbers with // throws the fraction away.",
            "Look at the division sign, and at the dtype of what it divides."),
        "range from -1 to 1": (edit("/ 255", "/ 127.5 - 1"),
            "Black comes out at -1: this is the range from -1 to 1, used by the residual VQ-VAE, not from 0 to 1.",
            "What should a black pixel become?"),
        "centred at zero": (edit("/ 255", "/ 255 - 0.5"),
            "Black comes out at -0.5: centring the pixels is a step for later.",
            "What should a black pixel become?"),
        "scaled by the brightest pixel": (edit("/ 255", "/ jnp.max(pixels)"),
            "The scale depends on the brightest pixel in the batch, so the same grey gets two values in two batches.",
            "The largest value a pixel can have is known before you look at any picture."),
        "stretched from darkest to brightest": (
            lambda pixels: (pixels - pixels.min()) / jnp.float32(pixels.max() - pixels.min()),
            "Every batch is stretched until its darkest pixel is 0, so the same grey gets two values in two batches.",
            "The range a pixel can have is known before you look at any picture."),
        "type changed, range not": (edit(" / 255", ""),
            "The dtype is float32 now, but the values still run to 255.",
            "Changing a dtype changes no value: something must still bring 255 down to 1."),
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
