"""The cache folder, and writing files atomically."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import platformdirs
from filelock import FileLock


def cache_folder() -> Path:
    """Return the folder for prepared data and compiled programs: $VQTUTOR_CACHE, or the system's folder for caches."""
    path = os.environ.get("VQTUTOR_CACHE")
    return Path(path).expanduser() if path else platformdirs.user_cache_path("vqtutor", appauthor=False)


def whole(text: str) -> str:
    """Return a text that can be written as UTF-8, with escapes for halves of characters and bytes of other codes."""
    return text.encode("utf-8", "backslashreplace").decode()


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Change a file while no other process does: two open notebooks would else lose each other's changes.

    Where locks do not work, or one is held for five seconds, it goes on without.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{path}.lock", timeout=5)
    with suppress(OSError, NotImplementedError):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write, which gets its name when it is complete, so that readers never see a partial file.

    After an error the new file is removed and the old one stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def whole_files(folder: Path) -> Iterator[Path]:
    """Give a folder to write into, whose files take their places in `folder` when all of them are complete.

    After an error, or where the process is killed before that, all the old files stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in sorted(folder.rglob("*.part")):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
    part = folder / f"{secrets.token_hex(4)}.part"
    part.mkdir()
    try:
        yield part
        for file in sorted(path for path in part.rglob("*") if path.is_file()):
            target = folder / file.relative_to(part)
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
