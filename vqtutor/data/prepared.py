"""Prepared copies of the public sets, read in a fraction of a second.

Two roads keep the same arrays in the same order: TensorFlow Datasets with array_record files, and a plain `.npz` where
array_record cannot be imported (it has no wheels for Windows).
"""

import os
from importlib import import_module
from pathlib import Path

import numpy as np

from vqtutor.data.catalogue import PublicSet
from vqtutor.data.files import Arrays, read_all


def has_array_record() -> bool:
    """Whether TensorFlow Datasets can read and write array_record files here."""
    try:
        import_module("array_record.python.array_record_module")
        import_module("tensorflow_datasets")
    except ImportError:
        return False
    return True


def read(public: PublicSet, cache: Path) -> Arrays | None:
    """Read the prepared copy; None where there is none, or where it is damaged and has to be made again."""
    try:
        if has_array_record():
            return import_module("vqtutor.data.builders").read(public, cache)
        with np.load(_plain(public, cache), allow_pickle=False) as stored:
            return dict(stored)
    except FileNotFoundError:
        return None
    except Exception as error:  # array_record, protobuf, zip: each has its own exceptions for a damaged file
        print(f"The prepared copy of {public.title} cannot be read ({type(error).__name__}); it is made again.")
        return None


def write(public: PublicSet, folder: Path, cache: Path) -> None:
    """Prepare the four verified files in `folder`; a reader sees the whole copy or none."""
    if has_array_record():
        import_module("vqtutor.data.builders").write(public, folder, cache)
        return
    path = _plain(public, cache)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            np.savez(file, **read_all(folder))  # not compressed: five times faster to read
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _plain(public: PublicSet, cache: Path) -> Path:
    return cache / "plain" / f"{public.name}.npz"
