"""The original files of a public set: found on disk or downloaded, verified, and read. No TensorFlow, no pickle."""

import gzip
import hashlib
import os
import socket
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from vqtutor.data.catalogue import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, PublicSet

Arrays = dict[str, np.ndarray]  # train_images, test_images: uint8 [N, 28, 28, 1]; train_labels, test_labels: int32 [N]

PROBE_SECONDS = 2.0  # a firewall that drops packets answers nothing; nobody should wait longer for it
STALL_SECONDS = 10.0  # without a byte during a download


class Unreachable(OSError):
    """The files cannot be had over the network now."""


def verify(path: Path, sha256: str) -> None:
    """Raise ValueError where `path` is not, byte for byte, the original file with this digest."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise ValueError(
            f"{path} is damaged or is not the original file (its sha256 begins {found[:12]}, not {sha256[:12]}): "
            "delete it, so that it is downloaded, or put the original in its place."
        )


def complete(public: PublicSet, places: Iterable[Path]) -> bool:
    """Whether one of the folders holds a set's four files, or the smaller one that may stand in."""
    names = [set(public.sha256)] + ([{public.partial[0]}] if public.partial else [])
    return any(all((folder / name).is_file() for name in wanted) for folder in places for wanted in names)


def find(public: PublicSet, places: Iterable[Path]) -> Path | None:
    """Return the first folder that holds all four files of a set, verified; None where there is none."""
    for folder in places:
        if all((folder / name).is_file() for name in public.sha256):
            for name, digest in public.sha256.items():
                verify(folder / name, digest)
            return folder
    return None


def read_idx(path: Path) -> np.ndarray:
    """Read a gzipped IDX file of bytes: two zeros, a type (8), a rank, each size as four bytes, then the values."""
    data = gzip.decompress(path.read_bytes())
    rank = data[3]
    shape = np.frombuffer(data, ">u4", count=rank, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def read_split(images: Path, labels: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read one split: images uint8 [N, 28, 28, 1] and labels int32 [N], in the files' own order."""
    return read_idx(images)[..., np.newaxis], read_idx(labels).astype(np.int32)


def read_all(folder: Path) -> Arrays:
    """Read the four IDX files in `folder`."""
    train_images, train_labels = read_split(folder / TRAIN_IMAGES, folder / TRAIN_LABELS)
    test_images, test_labels = read_split(folder / TEST_IMAGES, folder / TEST_LABELS)
    return dict(train_images=train_images, train_labels=train_labels, test_images=test_images, test_labels=test_labels)


def read_partial(public: PublicSet, places: Iterable[Path]) -> Arrays | None:
    """Read the set's smaller `.npz`, verified; None where it has none or it is not on disk."""
    if public.partial is None:
        return None
    name, digest = public.partial
    for folder in places:
        if (folder / name).is_file():
            verify(folder / name, digest)
            with np.load(folder / name, allow_pickle=False) as stored:
                return dict(
                    train_images=stored["train_x"][..., np.newaxis],
                    train_labels=stored["train_y"].astype(np.int32),
                    test_images=stored["test_x"][..., np.newaxis],
                    test_labels=stored["test_y"].astype(np.int32),
                )
    return None


def probe(url: str, seconds: float = PROBE_SECONDS) -> None:
    """Raise Unreachable unless the host of `url`, or the proxy on the way to it, answers within `seconds`."""
    parts = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname):
        parts = urllib.parse.urlsplit(proxy if "//" in proxy else f"//{proxy}")
    address = (parts.hostname, parts.port or {"https": 443}.get(parts.scheme, 80))
    answers: list[OSError | None] = []

    def connect() -> None:
        try:
            socket.create_connection(address, timeout=seconds).close()
            answers.append(None)
        except OSError as error:
            answers.append(error)

    # In a thread of its own, because no time-out holds for the look-up of the host's name.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(seconds)
    answer = answers[0] if answers else TimeoutError(f"no answer within {seconds:g} s")
    if answer is not None:
        raise Unreachable(f"{address[0]} cannot be reached ({answer})") from answer


def address(public: PublicSet) -> str:
    """Return the folder on the web that holds a set's files: a mirror's, where VQTUTOR_MIRROR names one."""
    mirror = os.environ.get("VQTUTOR_MIRROR")
    return f"{mirror.rstrip('/')}/{public.name}/" if mirror else public.url


def download(public: PublicSet, folder: Path) -> Path:
    """Download the files of a set that `folder` lacks; each gets its name only when it is whole and verified.

    Raises:
      Unreachable: there is no network, or what came is not the original file.
    """
    from tqdm import tqdm  # what is already on disk is read without it

    url = address(public)
    probe(url)
    folder.mkdir(parents=True, exist_ok=True)
    for name, digest in public.sha256.items():
        path = folder / name
        if path.is_file():
            continue
        part = folder / f"{name}.{os.getpid()}.part"
        try:
            with urllib.request.urlopen(url + name, timeout=STALL_SECONDS) as answer, part.open("wb") as file:
                size = int(answer.headers.get("Content-Length", 0)) or None
                with tqdm(total=size, desc=f"{public.title} {name}", unit="B", unit_scale=True) as bar:
                    while block := answer.read(1 << 16):
                        file.write(block)
                        bar.update(len(block))
            verify(part, digest)
            part.replace(path)
        except (OSError, ValueError) as error:
            raise Unreachable(f"{url}{name} could not be downloaded ({error})") from error
        finally:
            part.unlink(missing_ok=True)
    return folder
