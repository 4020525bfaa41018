"""Prepared copies of the public sets, read in a fraction of a second.

There are two formats with the same arrays: TensorFlow Datasets with array_record files, or a plain `.npz` where that
does not work. A copy is used only if its arrays are exactly those of the original files.
"""

import contextlib
import functools
import hashlib
import io
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np

from vqtutor.data.catalogue import PublicSet
from vqtutor.data.files import Arrays
from vqtutor.storage import whole_file

PARTS = ("train_images", "train_labels", "test_images", "test_labels")


@functools.cache  # a failing import is slow, and fails differently the second time
def has_array_record() -> bool:
    """Whether TensorFlow Datasets can read and write array_record files here; prints a message if not."""
    before = set(sys.modules)
    try:
        with _silence():
            import_module("array_record.python.array_record_module")
            import_module("vqtutor.data.builders")
        return True
    except Exception as error:  # a broken installation, protobuf's VersionError
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "tensorflow_datasets":
                del sys.modules[name]  # a student's own import then raises the error again
        print(f"TensorFlow Datasets does not work here ({type(error).__name__}); the same data are kept without it.")
        return False


def read(public: PublicSet, cache: Path) -> Arrays | None:
    """Read the prepared copy; None if there is none, or if it is damaged and has to be made again."""
    problem = None
    for road in (_read_records, _read_plain):
        try:
            arrays = road(public, cache)
            if _fingerprint(arrays) == _fingerprint_file(public, cache).read_text():
                return arrays
            problem = "other data"
        except (FileNotFoundError, NotADirectoryError):
            continue
        except Exception as error:  # array_record, protobuf, zip: each has its own exceptions for a damaged file
            problem = type(error).__name__
    if problem:
        print(f"The prepared copy of {public.title} cannot be read ({problem}); it is made again.")
    return None


def write(public: PublicSet, folder: Path, arrays: Arrays, cache: Path) -> None:
    """Prepare a copy of the four verified files in `folder`, which hold `arrays`; a partial copy is never read.

    Raises:
      OSError: the cache cannot be written to.
    """
    plain, fingerprint = _plain(public, cache), _fingerprint(arrays)
    cache.mkdir(parents=True, exist_ok=True)
    _fingerprint_file(public, cache).write_text(fingerprint)
    with contextlib.suppress(Exception):
        if has_array_record():
            with _silence():
                import_module("vqtutor.data.builders").write(public, folder, cache)
            if _fingerprint(_read_records(public, cache)) == fingerprint:
                plain.unlink(missing_ok=True)
                return
    shutil.rmtree(_records(public, cache).parent, ignore_errors=True)  # so that it is not read
    with whole_file(plain) as file:
        np.savez(file, **arrays)  # not compressed, which reads five times faster


def _read_records(public: PublicSet, cache: Path) -> Arrays:
    if not (_records(public, cache) / "dataset_info.json").is_file() or not has_array_record():
        raise FileNotFoundError  # before the slow import
    with _silence():
        return import_module("vqtutor.data.builders").read(public, cache)


def _read_plain(public: PublicSet, cache: Path) -> Arrays:
    with np.load(_plain(public, cache), allow_pickle=False) as stored:
        return dict(stored)


def _fingerprint(arrays: Arrays) -> str:
    """Return a digest of the type, shape and values of each array, in order."""
    digest = hashlib.sha256()
    for part in PARTS:
        digest.update(f"{part} {arrays[part].dtype} {arrays[part].shape};".encode())
        digest.update(np.ascontiguousarray(arrays[part]))
    return digest.hexdigest()


def _records(public: PublicSet, cache: Path) -> Path:
    return cache / "tfds" / f"vqtutor_{public.name}" / "1.0.0"


def _plain(public: PublicSet, cache: Path) -> Path:
    return cache / "plain" / f"{public.name}.npz"


def _fingerprint_file(public: PublicSet, cache: Path) -> Path:
    return cache / f"{public.name}.sha256"


class _Sink(io.TextIOBase):
    """A stream that discards text until `over` is True, then writes to stderr: a logger may still hold it then."""

    over = False

    def write(self, text: str) -> int:
        return sys.stderr.write(text) if self.over else len(text)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Suppress logs, warnings and output of a library, and restore logging afterwards.

    Errors other than Exception and KeyboardInterrupt are raised as RuntimeError.
    """
    sink, disabled, handlers = _Sink(), logging.root.manager.disable, logging.root.handlers[:]
    with contextlib.ExitStack() as after:
        with contextlib.suppress(OSError):  # no such descriptor, as under pythonw
            stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
            after.callback(lambda: (os.dup2(stderr, 2), os.close(stderr), os.close(nowhere)))
            os.dup2(nowhere, 2)  # output of C++ code
        after.enter_context(warnings.catch_warnings(action="ignore"))
        after.enter_context(contextlib.redirect_stdout(sink))
        after.enter_context(contextlib.redirect_stderr(sink))
        logging.disable()
        try:
            yield
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:  # a library that exits
            raise RuntimeError(repr(error)) from error
        finally:
            logging.disable(disabled)
            logging.root.handlers[:] = handlers  # absl's first message adds a handler to the root logger
            sink.over = True
