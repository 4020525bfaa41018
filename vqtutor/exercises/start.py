"""Lesson 00: one warm-up, to learn how an exercise feels."""

import jax
import jax.numpy as jnp
import numpy as np

from vqtutor.checking import Exercise, Misconception, Probe, Question


def to_unit_range(pixels):
    """Return pixels, uint8 [...] from 0 to 255, as float32 [...] from 0 to 1."""
    return jnp.asarray(pixels, jnp.float32) / 255


_rng = np.random.default_rng(0)
# A dim picture and one that never reaches black: what depends on the largest or smallest pixel shows itself.
_DIM = _rng.integers(30, 180, (2, 5, 4, 1)).astype(np.uint8)
_RAMP = np.arange(0, 256, 5, dtype=np.uint8)

to_unit_range_exercise = Exercise(
    id="start.to_unit_range",
    reference=to_unit_range,
    arguments=("pixels",),
    probes=(
        Probe("values", lambda answer: {"from black to white": answer(_RAMP), "a dim picture": answer(_DIM)}),
        Probe("white, black", lambda answer: {"white, black": answer(jnp.array([255, 0], jnp.uint8))}),
    ),
    misconceptions=(
        Misconception(
            "divides by 256",
            "White comes out a little below 1: a uint8 pixel has 256 values, but the largest of them is 255.",
            "Which number must become exactly 1?",
            lambda pixels: jnp.asarray(pixels, jnp.float32) / 256,
        ),
        Misconception(
            "whole-number division",
            "Every grey has become 0: dividing whole numbers with // throws the fraction away.",
            "Look at the division sign, and at the dtype of what it divides.",
            lambda pixels: jnp.asarray(jnp.asarray(pixels) // 255, jnp.float32),
            also=(lambda pixels: pixels // 255,),
        ),
        Misconception(
            "range from -1 to 1",
            "Black comes out at -1: this is the range from -1 to 1, which R3 uses, not the one from 0 to 1.",
            "What should a black pixel become?",
            lambda pixels: jnp.asarray(pixels, jnp.float32) / 127.5 - 1,
        ),
        Misconception(
            "centred at zero",
            "Black comes out at -0.5: centring the pixels is a step for later.",
            "What should a black pixel become?",
            lambda pixels: jnp.asarray(pixels, jnp.float32) / 255 - 0.5,
        ),
        Misconception(
            "scaled by the brightest pixel",
            "The scale depends on the brightest pixel in the batch, so the same grey gets two values in two batches.",
            "The largest value a pixel can have is known before you look at any picture.",
            lambda pixels: jnp.asarray(pixels, jnp.float32) / jnp.max(pixels),
        ),
        Misconception(
            "stretched from darkest to brightest",
            "Every batch is stretched until its darkest pixel is 0, so the same grey gets two values in two batches.",
            "The range a pixel can have is known before you look at any picture.",
            lambda pixels: (lambda p: (p - p.min()) / (p.max() - p.min()))(jnp.asarray(pixels, jnp.float32)),
        ),
        Misconception(
            "type changed, range not",
            "The dtype is float32 now, but the values still run to 255.",
            "Changing a dtype changes no value: something must still bring 255 down to 1.",
            lambda pixels: jnp.asarray(pixels, jnp.float32),
        ),
        Misconception(
            "double precision",
            "The values are right, but in float64: numpy divides uint8 into float64, and JAX networks want float32.",
            "Look at the dtype before you divide.",
            lambda pixels: np.asarray(pixels) / 255,
        ),
        Misconception(
            "black and white only",
            "Every grey has become pure black or white: a comparison or rounding has lost the steps between.",
            "All 256 greys should stay apart.",
            lambda pixels: jnp.asarray(jnp.asarray(pixels) > 127, jnp.float32),
            also=(lambda pixels: jnp.round(jnp.asarray(pixels, jnp.float32) / 255),),
        ),
        Misconception(
            "ink inverted",
            "Black and white have changed places.",
            "What should a black pixel become?",
            lambda pixels: 1 - jnp.asarray(pixels, jnp.float32) / 255,
        ),
    ),
    alternatives={
        "times 1/255": lambda pixels: jnp.asarray(pixels).astype(jnp.float32) * (1 / 255),
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
)

EXERCISES = (to_unit_range_exercise,)

QUESTIONS = (
    Question(
        id="start.q_fewer",
        asks="With 784 numbers a linear autoencoder could return every picture exactly. Why ask for fewer?",
        choices={
            "a": (
                "784 numbers do not fit into memory.",
                "They fit easily: a picture is 3 kilobytes.",
            ),
            "b": (
                "Only a list too short for everything forces it to find what pictures have in common.",
                "Yes. With room for every pixel it may copy; with little room it has to learn which pictures occur.",
            ),
            "c": (
                "Fewer numbers give a smaller error.",
                "The other way round, as the printed errors show: fewer numbers, larger error.",
            ),
        },
        best="b",
    ),
    Question(
        id="start.q_discrete",
        asks="Sixteen real numbers already give digits one can read. What can codes do that real numbers make hard?",
        choices={
            "a": (
                "They can be stored in a file.",
                "Real numbers can be stored too, only in more bits.",
            ),
            "b": (
                "They always give a smaller reconstruction error.",
                "They do not: a choice among few codes says less than a real number, so the error is rarely smaller.",
            ),
            "c": (
                "A network can give each possible code a probability, so new pictures can be drawn code by code.",
                "Yes. With 128 choices a softmax states any distribution at all; real numbers need an assumed shape.",
            ),
        },
        best="c",
    ),
)
