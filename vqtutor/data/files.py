"""The original files of a public set: find them on disk or download them, verify and read them."""

import functools
import gzip
import hashlib
import os
import queue
import tempfile
import textwrap
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from vqtutor.data.catalogue import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, PublicSet
from vqtutor.storage import whole_file

Arrays = dict[str, np.ndarray]  # train_images, test_images: uint8 [N, 28, 28, 1]; train_labels, test_labels: int32 [N]

# A download fails when PATIENCE seconds pass with fewer than ENOUGH new bytes and without the end of the file.
PATIENCE = 3.5  # seconds
ENOUGH = 100_000  # bytes: below 30 kB/s, MNIST would take more than six minutes
LIMIT = 32 << 20  # bytes per file; the largest, Fashion-MNIST's training images, has 26.4 million
FOREIGN = "what came is not the original file"


class Unreachable(OSError):
    """The files cannot be downloaded now."""


def digest(path: Path) -> str:
    """Return a file's sha256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(path: Path, sha256: str) -> None:
    """Raise ValueError unless `path` is, byte for byte, the original file with this digest."""
    sha = digest(path)
    if sha != sha256:
        raise ValueError(
            f"{path} is damaged or is not the original file (its sha256 begins {sha[:12]}, not {sha256[:12]}): "
            "delete it, so that it is downloaded, or put the original in its place."
        )


def complete(public: PublicSet, places: Iterable[Path]) -> bool:
    """Whether one of the folders holds a set's four files, or its smaller `.npz`."""
    groups = [set(public.sha256)] + ([{public.partial[0]}] if public.partial else [])
    return any(all((folder / name).is_file() for name in group) for folder in places for group in groups)


def find(public: PublicSet, places: Iterable[Path]) -> Path | None:
    """Return the first folder that holds all four files of a set, verified, or None."""
    for folder in places:
        if all((folder / name).is_file() for name in public.sha256):
            for name, sha256 in public.sha256.items():
                verify(folder / name, sha256)
            return folder
    return None


def read_idx(path: Path) -> np.ndarray:
    """Read a gzipped IDX file of bytes: two zeros, a type (8), a rank, each size as four bytes, then the values."""
    data = gzip.decompress(path.read_bytes())
    rank = data[3]
    shape = np.frombuffer(data, ">u4", count=rank, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape).copy()  # a writable copy


def read_split(images: Path, labels: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read one split: images uint8 [N, 28, 28, 1] and labels int32 [N], in the files' own order."""
    return read_idx(images)[..., np.newaxis], read_idx(labels).astype(np.int32)


def read_all(folder: Path) -> Arrays:
    """Read the four IDX files in `folder`."""
    train_images, train_labels = read_split(folder / TRAIN_IMAGES, folder / TRAIN_LABELS)
    test_images, test_labels = read_split(folder / TEST_IMAGES, folder / TEST_LABELS)
    return dict(train_images=train_images, train_labels=train_labels, test_images=test_images, test_labels=test_labels)


def read_partial(public: PublicSet, places: Iterable[Path]) -> Arrays | None:
    """Read the set's smaller `.npz`, verified; None if it has none or it is not on disk."""
    if public.partial is None:
        return None
    name, sha256 = public.partial
    for folder in places:
        if (folder / name).is_file():
            verify(folder / name, sha256)
            with np.load(folder / name, allow_pickle=False) as stored:
                return dict(
                    train_images=stored["train_x"][..., np.newaxis],
                    train_labels=stored["train_y"].astype(np.int32),
                    test_images=stored["test_x"][..., np.newaxis],
                    test_labels=stored["test_y"].astype(np.int32),
                )
    return None


def address(public: PublicSet) -> str:
    """Return the web folder of a set's files: at VQTUTOR_MIRROR, if it is set, else the original one."""
    mirror = os.environ.get("VQTUTOR_MIRROR")
    return f"{mirror.rstrip('/')}/{public.name}/" if mirror else public.url


def download(public: PublicSet, folder: Path, meanwhile: Callable[[], object]) -> Path:
    """Download the files of a set that `folder` lacks; each is named only when it is complete and verified.

    Args:
      folder: for the files; if it is not writable, a temporary folder of this process is used.
      meanwhile: called, perhaps more than once, while the network does not answer.

    Returns:
      the folder that holds all four.

    Raises:
      Unreachable: there is no network, it is too slow, or a file is not the original.
    """
    from tqdm import tqdm  # imported only for a download

    url = address(public)
    try:
        folder = _writable(folder)
        for name, sha256 in public.sha256.items():
            path, title, sha = folder / name, f"{public.title} {name}", hashlib.sha256()
            if path.is_file() and digest(path) == sha256:
                continue
            with closing(_blocks(url + name, meanwhile)) as blocks, whole_file(path) as file:
                with tqdm(total=next(blocks), desc=title, unit="B", unit_scale=True, delay=0.5) as bar:
                    for block in blocks:
                        file.write(block)
                        sha.update(block)
                        bar.update(len(block))
                if sha.hexdigest() != sha256:
                    raise Unreachable(f"{url}{name} could not be downloaded ({FOREIGN})")
    except Unreachable:
        raise
    except OSError as error:  # the disk's
        raise Unreachable(f"cannot be kept there ({error})") from error
    return folder


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        return folder
    except OSError:
        (spare := Path(_spare().name) / folder.name).mkdir(exist_ok=True)
        return spare


@functools.cache
def _spare() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="vqtutor-")  # removed when the process ends


def _blocks(url: str, meanwhile: Callable[[], object]) -> Iterator:
    """Yield the announced size of `url` in bytes, or None, then its contents, block by block.

    A separate thread reads from the network, because time-outs do not cover name look-ups, several addresses one after
    the other, or a very slow server. When it is abandoned, it writes no file and prints nothing.
    """
    news, left = queue.SimpleQueue(), threading.Event()
    threading.Thread(target=_listen, args=(url, news, left), daemon=True).start()
    answered, count, mark, since = False, 0, 0, time.monotonic()  # bytes so far, and bytes at the time `since`

    def failure(why: object) -> Unreachable:
        response = answered or isinstance(why, urllib.error.HTTPError)
        why = str(why if response else getattr(why, "reason", why))
        why = textwrap.shorten("".join(c if c.isprintable() else " " for c in why), 100)  # one line of a server's text
        if response:
            return Unreachable(f"{url} could not be downloaded ({why})")
        return Unreachable(f"{urllib.parse.urlsplit(url).hostname or url} cannot be reached ({why})")

    try:
        while True:
            waited = time.monotonic() - since
            if news.empty() and waited > 0.5:
                meanwhile()
            if news.empty() and waited > PATIENCE:
                raise failure(f"{f'{count - mark:,} bytes' if answered else 'no answer'} in {PATIENCE:g} s")
            try:
                item = news.get(timeout=0.1)  # short, because Windows does not handle Ctrl-C in between
            except queue.Empty:
                continue
            if isinstance(item, Exception):
                raise failure(item) from item
            if item == b"":
                return
            if answered:
                if count == 0 and item[0] != 0x1F or count > LIMIT:  # a gzip file's first byte
                    raise failure(FOREIGN)
                count += len(item)
                if count - mark >= ENOUGH:
                    mark, since = count, time.monotonic()
            answered = True
            yield item
    finally:
        left.set()


def _listen(url: str, news: queue.SimpleQueue, left: threading.Event) -> None:
    try:
        opener = urllib.request.build_opener()  # urlopen's own would use the proxies of its first call
        with opener.open(url, timeout=2 * PATIENCE) as answer:
            news.put(int(answer.headers.get("Content-Length", 0)) or None)
            while not left.is_set() and (block := answer.read1(1 << 16)):
                news.put(block)
        news.put(b"")
    except Exception as error:  # errors of http.client are not OSErrors
        news.put(error)
