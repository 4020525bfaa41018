"""Probes of lesson 00."""

import numpy as np

from vqtutor.checking.exercise import Probe
from vqtutor.lessons.inputs import array

# A dim picture without black, to detect answers that depend on its largest or smallest pixel.
_DIM = np.random.default_rng(0).integers(30, 180, (2, 5, 4, 1)).astype(np.uint8)
_RAMP = np.arange(0, 256, 5, dtype=np.uint8)

PROBES = {
    "to_unit_range": (
        Probe("values", lambda answer: {"from black to white": answer(_RAMP), "a dim picture": answer(_DIM)}),
        Probe("white, black", lambda answer: {"white, black": answer(array([255, 0], np.uint8))}),
    )
}
