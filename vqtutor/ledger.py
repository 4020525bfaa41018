"""The course's ledger: what each system takes and what it loses, as bits an image against distortion on test images.

vqtutor.ledger.record("k-means", dataset=data, bits=343, distortion=0.071)   # a row
vqtutor.ledger.show(data)                                                    # the figure so far

Rows are kept beside the progress, and sent nowhere. One row a system and data set; the newest counts.
"""

import io
import math
import os
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from vqtutor.checking.progress import Entry, Table
from vqtutor.data import Dataset
from vqtutor.show.figures import Picture
from vqtutor.show.ledger import chart

_table = Table(".ledger.json", lambda one, other: max(one, other, key=lambda row: row.get("time", 0)))
_cut_short: dict[str, Entry] = {}  # rows of this session only
PICTURES = 400  # test images that the picture formats are measured on


def record(
    system: str,
    *,
    dataset: Dataset | str,
    bits: float,
    distortion: float,
    prior_bits: float | None = None,
    perplexity: float | None = None,
    used: int | None = None,
    seconds: float | None = None,
    theirs: bool | None | Iterable[Any] = True,
) -> Entry:
    """Write a system's row, in place of its older one, and return it.

    A training that VQTUTOR_MAX_STEPS cut short says nothing about its system: its row is kept for this session only.

    Args:
      system: its name in the figure.
      dataset: whose test images were measured, or its name.
      bits: an image under a uniform prior, or as stored.
      distortion: mean squared error of test images over the variance of the training images.
      prior_bits: an image under a learned prior, on test images.
      perplexity, used: of the codes, on test images.
      seconds: of training.
      theirs: whether the student's own parts made it; or those parts, of which none may be the course's. None for what
        is there for scale only.
    Raises:
      ValueError: a number is missing, negative or not finite.
    """
    numbers = dict(bits=bits, distortion=distortion, prior_bits=prior_bits, perplexity=perplexity, seconds=seconds)
    row = {name: None if value is None else float(value) for name, value in numbers.items()}
    for name, value in row.items():
        if (value is None and name in ("bits", "distortion")) or (value is not None and not 0 <= value < math.inf):
            raise ValueError(f"{name} of {system!r} must be a number from 0 up, and is {value}.")
    if theirs is not None and not isinstance(theirs, bool):
        theirs = not any(getattr(part, "__module__", "").startswith("vqtutor.") for part in theirs)
    name = dataset if isinstance(dataset, str) else dataset.name
    row = {"system": system, "dataset": name} | row | {"used": None if used is None else int(used), "theirs": theirs}
    row["time"] = time.time()
    entries = {f"{name}/{system}": row}
    if os.environ.get("VQTUTOR_MAX_STEPS"):
        _cut_short.update(entries)
    else:
        _cut_short.pop(f"{name}/{system}", None)
        _table.save(_table.merge(_table.load(), entries))  # older systems first
    return row


def rows(dataset: Dataset | str | None = None) -> list[Entry]:
    """Return the rows, of one data set or of all, in the order in which their systems were first written.

    Each is a dict of what `record` was given, and "time", in seconds since 1970.
    """
    name = dataset if isinstance(dataset, str | None) else dataset.name
    return [row for row in (_table.load() | _cut_short).values() if name in (None, row.get("dataset"))]


def show(dataset: Dataset) -> Picture:
    """Draw a data set's rows, and PNG, JPEG and WebP for scale: bits per image against distortion."""
    kept = {row["system"]: row for row in rows(dataset)}
    known = {name: kept[name] for name in FORMATS if name in kept}
    scale = list(known.values()) if len(known) == len(FORMATS) else formats(dataset)
    return chart([row for name, row in kept.items() if name not in FORMATS] + scale, dataset.title)


# Each at its smallest. PNG is exact; the other two are at their lowest quality.
FORMATS = {
    "PNG": dict(format="PNG", optimize=True),
    "JPEG": dict(format="JPEG", quality=1, optimize=True),
    "WebP": dict(format="WebP", quality=0, method=6),
}
FORMATS |= {f"{name}, {PICTURES} in one file": options for name, options in FORMATS.items()}


def formats(dataset: Dataset) -> list[Entry]:
    """Measure picture formats on a data set's first test images, write their rows, and return them.

    All bytes of a file count, headers as well: one file a picture, and all pictures as one sheet, in one file.
    """
    pictures = dataset.test_images[:PICTURES, :, :, 0]
    side = math.isqrt(len(pictures))
    pictures = pictures[: side**2]
    sheet = pictures.reshape(side, side, 28, 28).swapaxes(1, 2).reshape(1, side * 28, side * 28)
    variance = float(np.var(dataset.train_images[:10_000]))
    measured = []
    for name, options in FORMATS.items():
        files, errors = 0, []
        for picture in sheet if name.endswith("file") else pictures:
            size, back = _through(picture, options)
            files += size
            errors.append(np.mean((back - picture.astype(float)) ** 2))
        numbers = dict(bits=8 * files / len(pictures), distortion=np.mean(errors) / variance)
        measured.append(record(name, dataset=dataset, theirs=None, **numbers))
    return measured


def as_good_as(dataset: Dataset, distortion: float, pictures: int = 1000) -> list[Entry]:
    """Measure JPEG and WebP where they lose about as much as something else, one file a picture; write their rows.

    The lowest quality is taken that loses no more on the first 100 of them.

    Args:
      dataset: whose first test images are written.
      distortion: the most that they may lose, mean squared error over the variance of the training images.
      pictures: so many test images are measured at that quality.
    Returns: rows, see `rows`; a format that loses more at every quality has none.
    """
    images = dataset.test_images[:pictures, :, :, 0]
    variance = float(np.var(dataset.train_images[:10_000]))

    def measure(some, options):
        through = [_through(picture, options) for picture in some]
        errors = [
            np.mean((back - picture.astype(float)) ** 2) for picture, (_, back) in zip(some, through, strict=True)
        ]
        return {"bits": 8 * np.mean([size for size, _ in through]), "distortion": np.mean(errors) / variance}

    found = []
    for name in ("JPEG", "WebP"):
        for quality in (*range(10), *range(10, 101, 5)):
            options = FORMATS[name] | {"quality": quality}
            if measure(images[:100], options)["distortion"] <= distortion:
                numbers = measure(images, options)
                found.append(record(f"{name}, quality {quality}", dataset=dataset, theirs=None, **numbers))
                break
    return found


def through(picture: np.ndarray, format: str) -> tuple[int, np.ndarray]:
    """Return the size in bytes of a picture's file, and the picture that is read from it.

    Args:
      picture: uint8 [H, W].
      format: one of `FORMATS`, each at its smallest.
    """
    return _through(picture, FORMATS[format])


def _through(picture: np.ndarray, options: dict[str, Any]) -> tuple[int, np.ndarray]:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, **options)
    return file.tell(), np.asarray(Image.open(file).convert("L"))
