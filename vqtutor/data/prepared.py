"""Prepared copies of the public sets, read in a fraction of a second.

Two roads keep the same arrays in the same order: TensorFlow Datasets with array_record files, and a plain `.npz` where
that does not work, whatever the reason. A copy counts only while it holds exactly what the original files hold.
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


@functools.cache  # a failing import is slow, and would fail differently the second time
def has_array_record() -> bool:
    """Whether TensorFlow Datasets can read and write array_record files here; a line says so where it cannot."""
    before = set(sys.modules)
    try:
        with _silence():
            import_module("array_record.python.array_record_module")
            import_module("vqtutor.data.builders")
        return True
    except Exception as error:  # half a module, protobuf's VersionError
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "tensorflow_datasets":
                del sys.modules[name]  # a student who imports it is told what is wrong, and gets no silent half
        print(f"TensorFlow Datasets does not work here ({type(error).__name__}); the same data are kept without it.")
        return False


def read(public: PublicSet, cache: Path) -> Arrays | None:
    """Read the prepared copy; None where there is none, or where it is damaged and has to be made again."""
    problem = None
    for road in (_read_records, _read_plain):
        try:
            arrays = road(public, cache)
            if _fingerprint(arrays) == _noted(public, cache).read_text():
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
    """Prepare the four verified files in `folder`, which hold `arrays`; a reader sees the whole copy or none.

    Raises:
      OSError: the cache cannot be written to.
    """
    plain, fingerprint = _plain(public, cache), _fingerprint(arrays)
    cache.mkdir(parents=True, exist_ok=True)
    _noted(public, cache).write_text(fingerprint)
    with contextlib.suppress(Exception):
        if has_array_record():
            with _silence():
                import_module("vqtutor.data.builders").write(public, folder, cache)
            if _fingerprint(_read_records(public, cache)) == fingerprint:
                plain.unlink(missing_ok=True)
                return
    shutil.rmtree(_records(public, cache).parent, ignore_errors=True)  # nobody should try it again
    with whole_file(plain) as file:
        np.savez(file, **arrays)  # not compressed: five times faster to read


def _read_records(public: PublicSet, cache: Path) -> Arrays:
    if not (_records(public, cache) / "dataset_info.json").is_file() or not has_array_record():
        raise FileNotFoundError  # looked for first: what is not there needs no slow import
    with _silence():
        return import_module("vqtutor.data.builders").read(public, cache)


def _read_plain(public: PublicSet, cache: Path) -> Arrays:
    with np.load(_plain(public, cache), allow_pickle=False) as stored:
        return dict(stored)


def _fingerprint(arrays: Arrays) -> str:
    """Return a digest of all that counts: each part's type, shape and values, in order."""
    digest = hashlib.sha256()
    for part in PARTS:
        digest.update(f"{part} {arrays[part].dtype} {arrays[part].shape};".encode())
        digest.update(np.ascontiguousarray(arrays[part]))
    return digest.hexdigest()


def _records(public: PublicSet, cache: Path) -> Path:
    return cache / "tfds" / f"vqtutor_{public.name}" / "1.0.0"


def _plain(public: PublicSet, cache: Path) -> Path:
    return cache / "plain" / f"{public.name}.npz"


def _noted(public: PublicSet, cache: Path) -> Path:
    return cache / f"{public.name}.sha256"


class _Sink(io.TextIOBase):
    """A stream that swallows what is written, until it is over: a logger made meanwhile may keep it for good."""

    over = False

    def write(self, text: str) -> int:
        return sys.stderr.write(text) if self.over else len(text)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Let nothing that a library logs, warns of or prints reach a student's cell; leave logging as it was found.

    What it raises is an Exception, or Ctrl-C.
    """
    sink, disabled, handlers = _Sink(), logging.root.manager.disable, logging.root.handlers[:]
    with contextlib.ExitStack() as after:
        with contextlib.suppress(OSError):  # no such descriptor, as under pythonw
            kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
            after.callback(lambda: (os.dup2(kept, 2), os.close(kept), os.close(nowhere)))
            os.dup2(nowhere, 2)  # what C++ prints
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
            logging.root.handlers[:] = handlers  # absl's first message sets one up for everybody
            sink.over = True
