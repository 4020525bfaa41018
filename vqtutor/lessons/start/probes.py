"""Probes of lesson 00."""

import numpy as np

from vqtutor.checking.exercise import Probe
from vqtutor.lessons.inputs import array, as_floats

# A dim picture without black, to detect answers that depend on its largest or smallest pixel.
_DIM = np.random.default_rng(0).integers(30, 180, (2, 5, 4, 1)).astype(np.uint8)
_RAMP = np.arange(0, 256, 5, dtype=np.uint8)


# -- two_greys --------------------------------------------------------------------------------------------------------

# Here the best border, those at the mean, the median, the middle grey and half way, and the one at which k-means stops
# when it begins at the darkest and the brightest pixel, are six different ones.
_FIRST = np.array([[41, 30, 43], [15, 28, 6], [102, 116, 116], [92, 84, 91], [130, 212, 177]], np.uint8)
# Grading draws pixels from a picture. Of few or much alike ones two borders can be equally good, and then two right
# answers differ: so these are many, and the others lie in two groups even where the lonely pixel is not drawn.
_GROUPS = array(np.concatenate([_FIRST, _FIRST + 1]))
_LONELY, _OTHERS = [7], [200, 203, 205, 199, 202, 206, 197, 201, 195, 208, 238, 242, 247, 231, 235]


def _greys(answer, *pictures):
    arrays = {}
    for name, pixels in pictures:
        dark, bright = answer(pixels)
        arrays |= {f"darker, {name}": as_floats(dark), f"brighter, {name}": as_floats(bright)}
    return arrays


PROBES = {
    "to_unit_range": (
        Probe("values", lambda answer: {"from black to white": answer(_RAMP), "a dim picture": answer(_DIM)}),
        Probe("white, black", lambda answer: {"white, black": answer(array([255, 0], np.uint8))}),
    ),
    "two_greys": (
        Probe("pictures", lambda answer: _greys(answer, ("three groups", _GROUPS), ("its negative", 255 - _GROUPS))),
        Probe(
            "one pixel apart",
            lambda answer: _greys(
                answer,
                ("one dark", array(_LONELY + _OTHERS, np.uint8)),
                ("one bright", array([255 - grey for grey in _LONELY + _OTHERS], np.uint8)),
            ),
        ),
    ),
}
