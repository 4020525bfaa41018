"""`load_dataset`: the built-in pen strokes and the public sets by name, and one's own pictures by their folder."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vqtutor.data import files, pictures, prepared, strokes
from vqtutor.data.catalogue import DIGITS, PUBLIC, PublicSet
from vqtutor.storage import cache_folder

NAMES = ("strokes", *PUBLIC)
TRAIN, TEST = 10_000, 2_000  # built-in digits


@dataclass(frozen=True, repr=False)
class Dataset:
    """Images and labels of a data set.

    Attributes:
      name: one of `NAMES`; it can differ from the name in the call, see `load_dataset`. Of one's own pictures, their
        folder's name and a few letters that change with the pictures.
      title: the usual name.
      description: one line: title, number of images, contents, authors.
      train_images: uint8 [N, 28, 28, 1], 0 (background) to 255 (full ink); one's own pictures from black to white.
      train_labels: int32 [N], 0 to 9; of one's own pictures, 0 to the number of folders.
      test_images: uint8 [M, 28, 28, 1].
      test_labels: int32 [M].
      class_names: names of the labels.
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


def load_dataset(name: str | os.PathLike | None = None, *, folder: str | os.PathLike | None = None) -> Dataset:
    """Load a data set by name, or pictures of your own by their folder: `load_dataset("my/pictures")`.

    A public set is read from the first of: its original files on disk (verified), a prepared copy in the cache, and the
    network. If none of them has it, a message is printed and the built-in digits are returned: see `.name`.

    VQTUTOR_MIRROR can name a web folder nearby, for example `http://10.0.0.5:8000/`, that holds the same files with a
    folder for each set, as in `mnist/train-images-idx3-ubyte.gz`. They are verified as well.

    Pictures of your own (PNG, JPEG, WebP, GIF, BMP or TIFF) are cropped to a square in the middle, scaled to 28 x 28
    and turned grey; light on dark and dark on light stay as they are. Subfolders are labels. A notice says what was
    done, and which files were left out. A sixth of the pictures, chosen by their content, are for tests.

    Args:
      name: "strokes" (generated), "mnist", "kmnist" or "fashion_mnist"; or the path of a folder or a zip of pictures.
        The default is in the environment variable VQTUTOR_DATASET, else MNIST.
      folder: holds the original IDX files (`train-images-idx3-ubyte.gz` and so on), directly or in a folder with the
        set's name. The default is in VQTUTOR_DATA. Prepared copies are stored in VQTUTOR_CACHE, by default a cache
        folder in your home.

    Raises:
      ValueError: an unknown name, a folder that does not exist or lacks the files, a damaged file, or too few pictures.
    """
    name = _resolve(name)
    if isinstance(name, Path):
        return _own(name)
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


def _resolve(name: str | os.PathLike | None) -> str | Path:
    """Return one of NAMES, or a path of pictures."""
    request = name if name is not None else os.environ.get("VQTUTOR_DATASET") or "mnist"
    key = str(request).lower().replace("-", "_")
    if key in NAMES and isinstance(request, str):
        return key
    if isinstance(request, str | os.PathLike) and pictures.is_place(request):
        return Path(request).expanduser()
    known = f"the known ones are {', '.join(NAMES)}; or name a folder of pictures"
    raise ValueError(f"There is no data set {request!r}; {known}.")


def _own(place: Path) -> Dataset:
    found = pictures.read(place)
    print(found.notice)
    title = place.resolve().stem or "pictures"
    arrays = dict(
        train_images=found.images[~found.is_test],
        train_labels=found.labels[~found.is_test],
        test_images=found.images[found.is_test],
        test_labels=found.labels[found.is_test],
    )
    return _dataset(f"{title}-{found.digest[:6]}", title, "pictures of your own", found.class_names, arrays)


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
