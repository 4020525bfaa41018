"""Where vqtutor keeps things on this machine, and how it writes a file: whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import platformdirs


def cache_folder() -> Path:
    """Return where prepared data and compiled programs are kept: $VQTUTOR_CACHE, or where this system keeps caches."""
    chosen = os.environ.get("VQTUTOR_CACHE")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("vqtutor", appauthor=False)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write, which gets its name when it is complete: a reader sees the old file or the new one.

    Where something fails on the way, what was written is removed and the old file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
