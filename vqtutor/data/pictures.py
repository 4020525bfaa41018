"""A folder of one's own pictures, of any size and format, as a data set like the others: 28 x 28, grey.

Pillow reads the files; whatever is odd about one costs that file, is named, and the rest goes on.
"""

import hashlib
import io
import os
import re
import stat
import warnings
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

SIDE = 28  # pixels
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # no others are decoded: some of them run programs
ENOUGH = 200  # different pictures: a sixth is for tests, and a batch takes 128
MOST = 70_000  # pictures, as many as MNIST has
MAX_FILE, MAX_BYTES = 64 << 20, 8 << 30  # of one file, and of all together
MAX_PIXELS = 50_000_000  # of one picture, all its pixels at once in memory
NEAR = 4.0  # root of the mean squared difference, in grey levels of 255, below which two pictures are nearly the same
_SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation"}
_NAMED = 3  # files of each reason that a notice names


@dataclass(frozen=True)
class Pictures:
    """What was made of a folder.

    Attributes:
      images: uint8 [N, 28, 28, 1], all different, in an order that depends on nothing but them.
      labels: int32 [N], places in `class_names`.
      is_test: bool [N].
      class_names: names of the subfolders; one name, where there are none.
      notice: what was done to how many pictures, and which files were left out and why.
      digest: of all images.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int32]
    is_test: NDArray[np.bool_]
    class_names: tuple[str, ...]
    notice: str
    digest: str


def is_place(name: str | os.PathLike) -> bool:
    """Whether a data set's name is the path of a folder or a zip."""
    text = os.fspath(name)
    looks = re.search(r"[/\\]|^[.~]|\.zip$", text) or not isinstance(name, str)
    return bool(text) and (bool(looks) or Path(text).is_dir())


def read(place: Path) -> Pictures:
    """Read all pictures in a folder, its subfolders and theirs, or in a zip.

    Whether a picture is for training or for tests depends on its content alone. Copies count once, and test pictures
    that are nearly the same as a training picture are left out.

    Raises:
      ValueError: there is nothing there, or too little; the message is a sentence.
    """
    left, done, found = defaultdict(list), Counter(), {}
    hidden = os.environ.get("VQTUTOR_PROGRESS_BAR") == "off"
    files = tqdm(list(_files(place, left)), f"reading {place.name}", unit="file", delay=2, leave=False, disable=hidden)
    for parts, read_file in files:
        name = "/".join(parts)
        if len(found) == MOST:
            left[f"more than {MOST:,}"].append(name)
            continue
        try:
            image, changes = convert(read_file)
        except _LeftOut as reason:
            left[str(reason)].append(name)
            continue
        key = hashlib.sha256(image.tobytes()).digest()
        if key in found:
            left["copies of others"].append(name)
        else:
            found[key] = image, parts[:-1]
            done.update(changes)
    if len(found) < ENOUGH:
        why = f" {_left_out(left)}" if left else ""
        count = f"{len(found)} different pictures" if found else "no pictures that can be read"
        raise ValueError(
            f"{place} has {count}, and at least {ENOUGH} are needed: "
            f"put more {', '.join(FORMATS[:-1])} or {FORMATS[-1]} files there.{why}"
        )
    keys = sorted(found)  # digests: an order as good as any that is shuffled
    images = np.stack([found[key][0] for key in keys])
    names, joined = _labels([found[key][1] for key in keys])
    class_names = tuple(sorted(set(names), key=_by_number))
    labels = np.array([class_names.index(name) for name in names], np.int32)
    is_test = np.array([key[0] % 6 == 0 for key in keys])  # about a sixth, as in MNIST
    again = _near(images, is_test)
    if again.any():
        left["test pictures nearly the same as training ones"] += [f"{np.sum(again)}"]
        images, labels, is_test = images[~again], labels[~again], is_test[~again]
    if not is_test.any():
        raise ValueError(f"All pictures in {place} are nearly the same: none is left to test on.")
    digest = hashlib.sha256(b"".join(keys)).hexdigest()
    notice = _notice(place, class_names, is_test, done, left, joined)
    return Pictures(images[..., None], labels, is_test, class_names, notice, digest)


class _LeftOut(Exception):
    """A file is left out; the message says why, in words that follow a list of names."""


# -- files -------------------------------------------------------------------------------------------------------------


def _files(place: Path, left: dict[str, list[str]]) -> Iterator[tuple[tuple[str, ...], Callable[[], bytes]]]:
    """Yield (the parts of its name, what reads it) of each file, without what a system left there."""
    if place.is_dir():
        entries = _in_folder(place, left)
    elif zipfile.is_zipfile(place) if place.is_file() else False:
        entries = _in_zip(place)
    elif place.exists():
        raise ValueError(f"{place} is a file and no zip: name the folder that holds your pictures.")
    else:
        raise ValueError(f"There is no folder {str(place)!r}: name the one that holds your pictures.")
    total = 0
    for parts, size, read_file in entries:
        if any(part.startswith((".", "__MACOSX")) or part in ("Thumbs.db", "desktop.ini") for part in parts):
            continue
        total += size
        if size > MAX_FILE or total > MAX_BYTES:
            left[f"over {(MAX_FILE if size > MAX_FILE else MAX_BYTES) >> 20:,} MB"].append("/".join(parts))
            continue
        yield parts, read_file


def _in_folder(place: Path, left: dict[str, list[str]]) -> Iterator[tuple[tuple[str, ...], int, Callable[[], bytes]]]:
    for folder, folders, files in os.walk(place):  # which follows no link to a folder: none can lead in a circle
        folders.sort()
        for file in sorted(files):
            path = Path(folder, file)
            parts = path.relative_to(place).parts
            try:
                about = path.stat()
            except OSError as error:
                left[f"cannot be read: {error.strerror}"].append("/".join(parts))
                continue
            if stat.S_ISREG(about.st_mode):  # to open a pipe would wait for ever
                yield parts, about.st_size, path.read_bytes


def _in_zip(place: Path) -> Iterator[tuple[tuple[str, ...], int, Callable[[], bytes]]]:
    archive = zipfile.ZipFile(place)  # its list is read once; it closes when nobody holds a read_file any more
    infos = [info for info in archive.infolist() if not info.is_dir()]
    for info in sorted(infos, key=lambda info: info.filename):

        def read_file(info=info) -> bytes:
            with archive.open(info) as file:
                return file.read(MAX_FILE)  # the sizes in a zip's headers are not trusted

        yield PurePosixPath(info.filename.replace("\\", "/")).parts, info.file_size, read_file


def _labels(folders: list[tuple[str, ...]]) -> tuple[list[str], bool]:
    """Return (each picture's label, whether folders of a split were put together).

    A label is the outermost folder that does not hold all pictures, or all of one part of a split.
    """
    joined = False
    while all(folders):
        tops = {parts[0] for parts in folders}
        split = len(tops) > 1 and {top.lower() for top in tops} <= _SPLITS
        if len(tops) > 1 and not split:
            break
        folders, joined = [parts[1:] for parts in folders], joined or split
    none = "no folder" if any(folders) else "pictures"
    return [parts[0] if parts else none for parts in folders], joined


def _by_number(name: str) -> list[tuple[int, str]]:
    """Return where a name comes: 2 before 10."""
    return [(int(part), "") if part.isdecimal() else (0, part.lower()) for part in re.split(r"(\d+)", name)]


# -- one picture -------------------------------------------------------------------------------------------------------


def convert(read_file: Callable[[], bytes]) -> tuple[NDArray[np.uint8], list[str]]:
    """Return (a picture as uint8 [28, 28], what was done to it)."""
    from PIL import Image, UnidentifiedImageError

    try:
        data = read_file()
    except (OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile, EOFError) as error:
        raise _LeftOut(f"cannot be read: {type(error).__name__}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, on odd metadata, and on sizes that are looked at below
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise _LeftOut(f"over {MAX_PIXELS // 10**6} million pixels")
                return _converted(image)
    except UnidentifiedImageError as error:
        raise _LeftOut("not pictures") from error
    except Image.DecompressionBombError as error:
        raise _LeftOut(f"over {MAX_PIXELS // 10**6} million pixels") from error
    except _LeftOut:
        raise
    except Exception as error:  # decoders meet whatever is in a file: OSError, SyntaxError, struct.error, ...
        raise _LeftOut("damaged") from error


def _converted(image) -> tuple[NDArray[np.uint8], list[str]]:
    from PIL import Image, ImageOps

    done = []
    if getattr(image, "n_frames", 1) > 1:
        image.seek(0)
        done.append("reduced to the first of their frames")
    if image.format == "JPEG":
        image.draft(None, (4 * SIDE, 4 * SIDE))  # decodes at a fraction of a large picture's size
    if image.getexif().get(0x0112, 1) not in (0, 1):
        image = ImageOps.exif_transpose(image)
        done.append("turned upright")
    if image.mode[0] in "IF":
        image = Image.fromarray(_levels(np.asarray(image, np.float64)))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        if alpha.getextrema()[0] < 255:
            image = Image.alpha_composite(Image.new("RGBA", image.size, _ground(image)), image)
            done.append("laid on white, or on black where they are light, because they are transparent")
        image = image.convert("RGB")
    if image.mode not in ("1", "L"):
        image = image.convert("RGB")
    if image.width != image.height:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
        done.append("cropped to a square in the middle")
    if image.mode == "RGB":
        image, coloured = image.convert("L"), np.ptp(np.asarray(image.resize((SIDE, SIDE))), axis=-1).max() > 0
        done += ["turned grey"] if coloured else []
    image = image.convert("L")
    if image.width != SIDE:
        smaller = image.width > SIDE
        image = image.resize((SIDE, SIDE), Image.Resampling.BOX if smaller else Image.Resampling.BICUBIC)
        done.append("scaled")
    return np.asarray(image, np.uint8), done


def _levels(values: NDArray) -> NDArray[np.uint8]:
    """Return grey levels of 8 bits for those of 16, or for fractions of 1."""
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 65535:
        raise _LeftOut("made of numbers that are no grey levels")
    whole = np.array_equal(values, np.round(values))
    most = 1.0 if values.max() <= 1 and not whole else 65535.0
    return np.round(values * (255 / most)).astype(np.uint8)


def _ground(image) -> tuple[int, int, int, int]:
    """Return what a transparent picture is laid on: black, where what is seen of it is light, else white."""
    grey, alpha = np.asarray(image.convert("L"), float), np.asarray(image.getchannel("A"), float)
    light = np.sum(grey * alpha) > 127.5 * max(np.sum(alpha), 1)
    return (0, 0, 0, 255) if light else (255, 255, 255, 255)


# -- all of them -------------------------------------------------------------------------------------------------------


def _near(images: NDArray[np.uint8], is_test: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return bool [N]: whether it is a test picture, and some training picture is nearly the same.

    The means of 4 x 4 blocks differ by no more than the pictures do, so that few pairs are compared in full.
    """
    blocks = images.reshape(-1, 7, 4, 7, 4).mean(axis=(2, 4), dtype=np.float32).reshape(len(images), 49)
    train = np.flatnonzero(~is_test)
    norms, found = np.sum(blocks[train] ** 2, axis=1), np.zeros(len(images), bool)
    for some in np.array_split(np.flatnonzero(is_test), max(1, len(images) // 500)):
        ones = blocks[some]
        squares = np.sum(ones**2, axis=1)[:, None] - 2 * ones @ blocks[train].T + norms
        for row, column in np.argwhere(squares <= 49 * NEAR**2 + 1):  # 1 for rounding
            if not found[some[row]]:
                difference = images[some[row]].astype(np.float32) - images[train[column]]
                found[some[row]] = np.mean(difference**2) <= NEAR**2
    return found


def _notice(place: Path, class_names, is_test, done: Counter, left: dict[str, list[str]], joined: bool) -> str:
    shown = ", ".join(class_names[:10]) + (", ..." if len(class_names) > 10 else "")
    labels = f"labels from {len(class_names)} folders ({shown})" if len(class_names) > 1 else "no labels"
    lines = [f"{place.name}: {np.sum(~is_test):,} training and {np.sum(is_test):,} test pictures, {labels}."]
    if joined:
        lines.append("Folders of a training and a test part were put together: the content of a picture decides.")
    if done:
        lines.append(f"Changed: {'; '.join(f'{count:,} {what}' for what, count in sorted(done.items()))}.")
    return "\n   ".join([*lines, *([_left_out(left)] if left else [])])


def _left_out(left: dict[str, list[str]]) -> str:
    reasons = []
    for reason, names in left.items():
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        named = ", ".join("".join(c if c.isprintable() else "?" for c in name) for name in names[:_NAMED])
        reasons.append(f"{reason}: {named}{more}" if not named.isdecimal() else f"{named} {reason}")
    return f"Left out were {'; '.join(reasons)}."
