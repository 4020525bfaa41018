"""`load_dataset`: the built-in pen strokes and the public sets, by name."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vqtutor.data import files, prepared, strokes
from vqtutor.data.catalogue import DIGITS, PUBLIC, PublicSet
from vqtutor.storage import cache_folder

NAMES = ("strokes", *PUBLIC)
TRAIN, TEST = 10_000, 2_000  # built-in digits


@dataclass(frozen=True, repr=False)
class Dataset:
    """Images and labels of a data set.

    Attributes:
      name: one of `NAMES`; it can differ from the name in the call, see `load_dataset`.
      title: the usual name.
      description: one line: title, number of images, contents, authors.
      train_images: uint8 [N, 28, 28, 1], 0 (background) to 255 (full ink).
      train_labels: int32 [N], 0 to 9.
      test_images: uint8 [M, 28, 28, 1].
      test_labels: int32 [M].
      class_names: names of the labels 0 to 9.
    """

    name: str
    title: str
    description: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Dataset({self.description})"

    def more(self, count: int) -> np.ndarray:
        """Return `count` more training images of digits that are drawn on the spot; of any other set none, [0, ...].

        They are in neither `train_images` nor `test_images`: another seed draws them.
        """
        return strokes.draw(count, seed=1)[0] if self.name == "strokes" else self.train_images[:0]


def load_dataset(name: str | None = None, *, folder: str | os.PathLike | None = None) -> Dataset:
    """Load a data set by name.

    A public set is read from the first of: its original files on disk (verified), a prepared copy in the cache, and the
    network. If none of them has it, a message is printed and the built-in digits are returned: see `.name`.

    VQTUTOR_MIRROR can name a web folder nearby, for example `http://10.0.0.5:8000/`, that holds the same files with a
    folder for each set, as in `mnist/train-images-idx3-ubyte.gz`. They are verified as well.

    Args:
      name: "strokes" (generated), "mnist", "kmnist" or "fashion_mnist". The default is in the environment variable
        VQTUTOR_DATASET, else MNIST.
      folder: holds the original IDX files (`train-images-idx3-ubyte.gz` and so on), directly or in a folder with the
        set's name. The default is in VQTUTOR_DATA. Prepared copies are stored in VQTUTOR_CACHE, by default a cache
        folder in your home.

    Raises:
      ValueError: an unknown name, a folder that does not exist or lacks the files, or a damaged file.
    """
    name = _resolve(name)
    if folder is not None and not Path(folder).expanduser().is_dir():
        raise ValueError(f"There is no folder {os.fspath(folder)!r}: name the one that holds the data files, or none.")
    if name == "strokes":
        return _strokes()
    root = folder or os.environ.get("VQTUTOR_DATA")
    root = [Path(root).expanduser()] if root else []
    places = [place for base in root for place in (base, base / name)]
    if folder is not None and not files.complete(PUBLIC[name], places):
        raise ValueError(
            f"{os.fspath(folder)} lacks files of {PUBLIC[name].title}: put {', '.join(PUBLIC[name].sha256)} there, "
            "or leave folder out to have them downloaded."
        )
    try:
        return _public(PUBLIC[name], places)
    except files.Unreachable as error:
        print(f"{PUBLIC[name].title} is not on disk and {error}; using the built-in pen-stroke digits instead.")
        return _strokes()


def _resolve(name: str | None) -> str:
    request = name if name is not None else os.environ.get("VQTUTOR_DATASET") or "mnist"
    key = str(request).lower().replace("-", "_")
    if key not in NAMES:
        raise ValueError(f"There is no data set {request!r}; the known ones are {', '.join(NAMES)}.")
    return key


def _strokes() -> Dataset:
    images, labels = strokes.draw(TRAIN + TEST)
    arrays = dict(
        train_images=images[:TRAIN], train_labels=labels[:TRAIN], test_images=images[TRAIN:], test_labels=labels[TRAIN:]
    )
    return _dataset("strokes", "Pen strokes", "digits drawn on the spot from spline skeletons", DIGITS, arrays)


def _public(public: PublicSet, places: list[Path]) -> Dataset:
    cache, partial = cache_folder(), False
    folder = files.find(public, places)  # a damaged file is reported even where a prepared copy exists
    arrays = prepared.read(public, cache)
    if arrays is None and folder is None:
        arrays = files.read_partial(public, places)
        partial = arrays is not None
    if arrays is None:
        # While it waits for the network, it generates the digits that may be needed instead.
        folder = folder or files.download(public, cache / "downloads" / public.name, meanwhile=_strokes)
        arrays = files.read_all(folder)
        try:
            prepared.write(public, folder, arrays, cache)
        except OSError as error:  # the next load only takes longer
            print(
                f"{public.title} cannot be kept in {cache} ({error}); set VQTUTOR_CACHE to a folder you can write to."
            )
    about = f"{public.about}; only part of the training images" if partial else public.about
    return _dataset(public.name, public.title, about, public.class_names, arrays)


def _dataset(name: str, title: str, about: str, class_names: tuple[str, ...], arrays: files.Arrays) -> Dataset:
    counts = f"{len(arrays['train_images']):,} training and {len(arrays['test_images']):,} test images, 28 x 28"
    return Dataset(name, title, f"{title}: {counts}; {about}.", class_names=class_names, **arrays)
