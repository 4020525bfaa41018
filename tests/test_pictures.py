"""A folder of one's own pictures: what is done to each, who is in the tests, and whatever else lies there."""

import io
import os
import shutil
import struct
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from vqtutor.data import datasets, load_dataset, pictures


def noise(number, size=(28, 28)):
    """Return a smooth random picture, uint8 [rows, columns]: each number another."""
    rng = np.random.default_rng(number)
    return np.asarray(Image.fromarray(rng.integers(0, 256, (6, 6), np.uint8)).resize(size[::-1], Image.BICUBIC))


def fill(folder, count=220, first=0, ending="png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        Image.fromarray(noise(number)).save(folder / f"{number:04d}.{ending}")
    return folder


def converted(image, **options):
    """Return (what becomes of one picture, what is said of it) on the way through a file."""
    if isinstance(image, Image.Image):
        file = io.BytesIO()
        image.save(file, **({"format": "PNG"} | options))
        image = file.getvalue()
    return pictures.convert(lambda: image)


GREY = Image.fromarray(noise(1))
COLOUR = Image.merge("RGB", [Image.fromarray(noise(n)) for n in (1, 2, 3)])


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG"])
def test_every_format_gives_the_same_picture(format):
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100}}.get(format, {})
    found, done = converted(GREY, format=format, **options)
    assert found.dtype == np.uint8 and found.shape == (28, 28) and done == []
    assert np.abs(found.astype(int) - noise(1)).max() <= (4 if format == "JPEG" else 1)


MODES = {
    "1": lambda: GREY.convert("1", dither=Image.Dither.NONE),
    "P": lambda: GREY.convert("RGB").quantize(256),
    "16 bits": lambda: Image.fromarray(noise(1).astype(np.uint16) * 257),
    "32 bits that hold 16": lambda: Image.fromarray(noise(1).astype(np.int32) * 257),
    "RGB that is grey": lambda: GREY.convert("RGB"),
    "RGBA that hides nothing": lambda: GREY.convert("RGBA"),
    "LA": lambda: GREY.convert("LA"),
    "CMYK": lambda: GREY.convert("RGB").convert("CMYK"),
    "fractions": lambda: Image.fromarray(noise(1).astype(np.float32) / 255),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_gives_the_same_grey_levels(mode):
    image = MODES[mode]()
    format = "TIFF" if image.mode in ("F", "CMYK", "I") else "PNG"
    found, done = converted(image, format=format)
    wanted = np.where(noise(1) > 127, 255, 0) if mode == "1" else noise(1)
    assert np.abs(found.astype(int) - wanted).max() <= 2 and done == []


def test_colours_turn_into_their_luminance():
    found, done = converted(COLOUR)
    weights = np.array([0.299, 0.587, 0.114])
    assert np.abs(found - np.asarray(COLOUR) @ weights).max() <= 1 and done == ["turned grey"]


@pytest.mark.parametrize("size", [(28, 90), (90, 28), (84, 300), (301, 84)])
def test_the_middle_stays_of_what_is_no_square(size):
    whole = np.zeros(size, np.uint8)
    side = min(size)
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    whole[top : top + side, left : left + side] = noise(4, (side, side))
    found, done = converted(Image.fromarray(whole))
    wanted = np.asarray(Image.fromarray(noise(4, (side, side))).resize((28, 28), Image.BOX))
    assert np.abs(found.astype(int) - wanted).mean() < 1 and "cropped to a square in the middle" in done


def test_a_photograph_that_was_taken_sideways_is_turned_upright():
    for orientation, turn in (
        (3, Image.Transpose.ROTATE_180),
        (6, Image.Transpose.ROTATE_90),
        (8, Image.Transpose.ROTATE_270),
    ):
        exif = Image.Exif()
        exif[0x0112] = orientation
        found, done = converted(GREY.transpose(turn), exif=exif)
        assert np.array_equal(found, noise(1)) and done == ["turned upright"]


@pytest.mark.parametrize(("ink", "ground"), [(0, 255), (255, 0)])
def test_what_is_transparent_shows_its_ink(ink, ground):
    alpha = Image.fromarray(np.where(noise(1) > 127, 255, 0).astype(np.uint8))
    image = Image.merge("LA", [Image.new("L", (28, 28), ink), alpha])
    found, (done,) = converted(image)
    assert np.array_equal(found == ink, noise(1) > 127) and set(np.unique(found)) == {0, 255} and "transparent" in done
    palette = image.convert("RGBA").quantize(4)
    assert np.array_equal(converted(palette)[0] == ground, noise(1) <= 127)


def test_light_on_dark_and_dark_on_light_stay_as_they_are():
    assert converted(Image.new("L", (40, 40), 250))[0].min() == 250
    assert converted(Image.new("L", (40, 40), 5))[0].max() == 5


@pytest.mark.parametrize("format", ["GIF", "WEBP", "TIFF", "PNG"])
def test_of_a_film_the_first_frame_counts(format):
    frames = [Image.fromarray(noise(n)) for n in (1, 2, 3)]
    options = {"lossless": True} if format == "WEBP" else {}
    found, done = converted(frames[0], format=format, save_all=True, append_images=frames[1:], **options)
    assert np.abs(found.astype(int) - noise(1)).max() <= 1 and done == ["reduced to the first of their frames"]


def png(width, height, data=b""):
    """Return a PNG whose header promises a size."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(data)),
        (b"IEND", b""),
    ]
    chunks = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


BROKEN = {
    "nothing": (b"", "not pictures"),
    "a text": (b"Dear Sir or Madam", "not pictures"),
    "half a PNG": (lambda: _bytes(GREY)[:300], "damaged"),
    "half a JPEG": (lambda: _bytes(COLOUR.resize((200, 200)), format="JPEG")[:900], "damaged"),
    "a bomb": (png(40_000, 40_000, bytes(1000)), "over 50 million pixels"),
    "a big bomb": (png(2_000_000, 2_000_000), "over 50 million pixels"),
    "PostScript, which would run": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not pictures"),
    "not a number": (
        lambda: _bytes(Image.fromarray(np.full((9, 9), np.nan, np.float32)), format="TIFF"),
        "made of numbers",
    ),
}


def _bytes(image, **options):
    image.save(file := io.BytesIO(), **({"format": "PNG"} | options))
    return file.getvalue()


@pytest.mark.parametrize("what", BROKEN)
def test_what_cannot_be_read_is_left_out_and_says_why(what):
    data, reason = BROKEN[what]
    with pytest.raises(pictures._LeftOut, match=reason):
        converted(data() if callable(data) else data)


@given(st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_picture_and_any_damage_to_it_gives_28_by_28_or_one_reason(data):
    mode = data.draw(st.sampled_from(["1", "L", "P", "RGB", "RGBA", "LA", "I;16", "CMYK", "YCbCr", "LAB", "I", "F"]))
    size = data.draw(st.tuples(st.integers(1, 70), st.integers(1, 70)))
    format = data.draw(st.sampled_from(pictures.FORMATS))
    try:
        content = _bytes(Image.new(mode, size, data.draw(st.sampled_from([0, 1]))), format=format)
    except (OSError, TypeError, ValueError):
        return  # no such file can be made
    content = bytearray(content)
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = bytes(content[: data.draw(st.sampled_from([len(content), len(content) // 2]))])
    try:
        found, _ = converted(content)
    except pictures._LeftOut:
        return
    assert found.shape == (28, 28) and found.dtype == np.uint8


def test_a_folder_is_a_data_set_like_the_others_with_one_notice(tmp_path, capsys, monkeypatch):
    place = tmp_path / "My Leaves"
    for label, first in (("10 oak", 0), ("2 elm", 100), ("9 ash/young", 200)):
        fill(place / label, 100, first)
    COLOUR.resize((300, 200)).save(place / "2 elm" / "photo.jpg")
    (place / "notes.txt").write_text("of last autumn")
    (place / "9 ash" / "half.png").write_bytes(_bytes(GREY)[:200])
    shutil.copy(place / "10 oak" / "0001.png", place / "2 elm" / "again.png")
    for junk in (".DS_Store", "Thumbs.db", "__MACOSX/._a.png"):
        (place / junk).parent.mkdir(exist_ok=True)
        (place / junk).write_bytes(b"x")
    (place / "circle").symlink_to(place)
    (place / "gone.png").symlink_to(tmp_path / "nowhere.png")
    if hasattr(os, "mkfifo"):
        os.mkfifo(place / "pipe.png")
    data = load_dataset(place)
    out = capsys.readouterr().out
    assert data.class_names == ("2 elm", "9 ash", "10 oak")
    for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
        assert images.dtype == np.uint8 and images.shape == (len(labels), 28, 28, 1)
        assert labels.dtype == np.int32 and set(labels) == {0, 1, 2}
    assert len(data.train_images) + len(data.test_images) == 301 and 30 <= len(data.test_images) <= 75
    assert data.title == "My Leaves" and "pictures of your own" in repr(data)
    for part in (
        "My Leaves: ",
        "labels from 3 folders (2 elm, 9 ash, 10 oak)",
        "Changed: 1 cropped to a square in the middle; 1 scaled; 1 turned grey.",
        "not pictures: notes.txt",
        "damaged: 9 ash/half.png",
        "copies of others: 2 elm/again.png",
        "cannot be read: No such file or directory: gone.png",
    ):
        assert part in out, (part, out)
    assert "DS_Store" not in out and "pipe" not in out and "circle" not in out
    again = noise(0)  # of "10 oak"
    every = np.concatenate([data.train_images, data.test_images])[..., 0]
    (at,) = np.flatnonzero((every == again).all(axis=(1, 2)))
    assert np.concatenate([data.train_labels, data.test_labels])[at] == 2
    monkeypatch.setenv("VQTUTOR_DATASET", str(place))
    assert load_dataset().name == data.name and data.name.startswith("My Leaves-")


def split(place):
    data = load_dataset(place)
    return {image.tobytes() for image in data.train_images}, {image.tobytes() for image in data.test_images}


def test_the_split_depends_on_the_pictures_alone(tmp_path, monkeypatch):
    """Not on names, folders, formats or what else is there: a test picture of today is none for training tomorrow."""
    train, test = split(fill(tmp_path / "a"))
    for number in range(220):
        kind = tmp_path / "b" / f"{number % 3}"
        kind.mkdir(parents=True, exist_ok=True)
        Image.open(tmp_path / "a" / f"{number:04d}.png").save(kind / f"x{999 - number}.bmp")
    assert split(tmp_path / "b") == (train, test)
    fill(tmp_path / "b" / "0", 60, 5000)
    more_train, more_test = split(tmp_path / "b")
    assert more_train > train and more_test > test
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in sorted((tmp_path / "a").iterdir(), reverse=True):
            archive.write(file, f"some/folder/{file.name}")
        archive.writestr("__MACOSX/._x.png", b"x")
    opened, once = [], zipfile.ZipFile
    monkeypatch.setattr(zipfile, "ZipFile", lambda *arguments: opened.append(arguments) or once(*arguments))
    assert split(tmp_path / "a.zip") == (train, test)
    assert len(opened) == 1  # to open it is to read the list of all its files


def test_no_test_picture_is_a_training_picture_saved_again(tmp_path, capsys):
    """Here each picture is there three times: as PNG, as JPEG, and larger. The copies differ by a few levels."""
    fill(tmp_path / "a")
    for number in range(220):
        image = Image.open(tmp_path / "a" / f"{number:04d}.png")
        image.save(tmp_path / "a" / f"{number:04d}.jpg", quality=80)
        image.resize((56, 56), Image.BICUBIC).save(tmp_path / "a" / f"{number:04d}-large.png")
    data = load_dataset(tmp_path / "a")
    test, train = (images.reshape(-1, 784).astype(float) for images in (data.test_images, data.train_images))
    apart = np.sqrt(np.mean((test[:, None] - train) ** 2, axis=-1)).min(axis=1)
    assert len(test) > 5 and apart.min() > pictures.NEAR
    assert "test pictures nearly the same as training ones" in capsys.readouterr().out


def test_folders_called_train_and_test_are_no_labels(tmp_path, capsys):
    for number, folder in enumerate(("train/cat", "train/dog", "Test/cat", "Test/dog")):
        fill(tmp_path / "set" / folder, 60, 100 * number)
    assert load_dataset(tmp_path / "set").class_names == ("cat", "dog")
    assert "put together" in capsys.readouterr().out


def test_without_folders_there_is_one_label(tmp_path):
    data = load_dataset(fill(tmp_path / "a"))
    assert data.class_names == ("pictures",) and not data.train_labels.any()


def test_what_cannot_be_loaded_is_said_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    fill(tmp_path / "few", 7)
    (tmp_path / "few" / "a.txt").write_text("a")
    for number in range(220):
        Image.fromarray(noise(0) // 2 + np.eye(28, dtype=np.uint8) * (number % 3 + 1)).save(
            tmp_path / "few" / f"{number}.gif"
        )
    (tmp_path / "a.csv").write_text("a")
    for name, sentence in {
        "./nowhere": "There is no folder 'nowhere': name the one that holds your pictures.",
        "empty": "empty has no pictures that can be read, and at least 200 are needed: put more",
        "few": "few has 10 different pictures, .* not pictures: a.txt",
        "./a.csv": "a.csv is a file and no zip: name the folder that holds your pictures.",
        "leaves": "There is no data set 'leaves'; the known ones are .*; or name a folder of pictures.",
    }.items():
        with pytest.raises(ValueError, match=sentence):
            load_dataset(name)
    (tmp_path / "mnist").mkdir()  # a folder of that name is in nobody's way
    assert datasets._resolve("mnist") == "mnist"
