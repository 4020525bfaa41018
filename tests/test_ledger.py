"""The ledger: one row a system and data set, kept beside the progress, and a figure that says all it shows."""

import io
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vqtutor import ledger
from vqtutor.checking.exercise import Exercise
from vqtutor.data import Dataset
from vqtutor.data.strokes import draw


@pytest.fixture(scope="module")
def data():
    images, labels = draw(600)
    return Dataset("strokes", "Pen strokes", "", images[:200], labels[:200], images[200:], labels[200:], ())


@pytest.fixture(autouse=True)
def a_new_session(monkeypatch):
    monkeypatch.setattr(ledger, "_cut_short", {})


def file():
    return Path(os.environ["VQTUTOR_PROGRESS"]).with_name("progress.ledger.json")


def test_the_newest_row_of_a_system_and_data_set_counts():
    ledger.record("k-means", dataset="strokes", bits=343, distortion=0.2)
    ledger.record("PCA", dataset="strokes", bits=343, distortion=0.1, used=None)
    ledger.record("k-means", dataset="mnist", bits=343, distortion=0.3)
    ledger.record("VQ-VAE", dataset="strokes", bits=343, distortion=0.1)
    ledger.record("k-means", dataset="strokes", bits=np.float32(300), distortion=np.float32(0.07), used=np.int64(128))
    rows = ledger.rows("strokes")
    assert [(row["system"], row["bits"], round(row["distortion"], 3)) for row in rows] == [
        ("k-means", 300, 0.07),
        ("PCA", 343, 0.1),
        ("VQ-VAE", 343, 0.1),
    ]
    assert rows[0]["used"] == 128 and rows[0]["theirs"] is True and len(ledger.rows()) == 4
    assert ledger.rows("mnist")[0]["distortion"] == 0.3


def test_rows_stay_for_the_next_session_and_progress_is_untouched(monkeypatch):
    ledger.record("PCA", dataset="strokes", bits=343, distortion=0.1)
    assert set(json.loads(file().read_text())) == {"strokes/PCA"}
    assert not Path(os.environ["VQTUTOR_PROGRESS"]).exists()
    monkeypatch.setattr(ledger._table, "memory", {})
    assert len(ledger.rows("strokes")) == 1


def test_an_older_row_from_another_place_does_not_replace_a_newer_one():
    ledger.record("PCA", dataset="strokes", bits=343, distortion=0.1)
    old = json.loads(file().read_text())
    ledger.record("PCA", dataset="strokes", bits=343, distortion=0.05)
    assert ledger._table.merge(old, json.loads(file().read_text()))["strokes/PCA"]["distortion"] == 0.05
    assert ledger._table.merge(json.loads(file().read_text()), old)["strokes/PCA"]["distortion"] == 0.05


def test_a_training_that_was_cut_short_replaces_no_row(monkeypatch):
    ledger.record("PCA", dataset="strokes", bits=343, distortion=0.1)
    before = file().read_text()
    monkeypatch.setenv("VQTUTOR_MAX_STEPS", "3")
    ledger.record("PCA", dataset="strokes", bits=343, distortion=0.9)
    assert ledger.rows("strokes")[0]["distortion"] == 0.9 and file().read_text() == before
    monkeypatch.delenv("VQTUTOR_MAX_STEPS")
    ledger.record("k-means", dataset="strokes", bits=343, distortion=0.07)
    kept = json.loads(file().read_text())
    assert kept["strokes/PCA"]["distortion"] == 0.1 and "strokes/k-means" in kept


@pytest.mark.parametrize("numbers", [dict(bits=-1), dict(distortion=float("nan")), dict(prior_bits=float("inf"))])
def test_numbers_that_cannot_be_are_refused(numbers):
    with pytest.raises(ValueError, match=f"{next(iter(numbers))} of 'PCA' must be a number from 0 up"):
        ledger.record("PCA", dataset="strokes", **(dict(bits=1, distortion=1) | numbers))


def test_parts_of_the_courses_own_are_not_called_the_students():
    from vqtutor.lessons import find

    def mine():
        pass

    one = dict(dataset="strokes", bits=1, distortion=1)
    assert isinstance(find("vqvae.Encoder"), Exercise)
    assert ledger.record("a", theirs=[mine], **one)["theirs"] is True
    assert ledger.record("b", theirs=[mine, find("vqvae.Encoder").reference], **one)["theirs"] is False
    assert ledger.record("c", theirs=[find("start.to_unit_range").reference], **one)["theirs"] is False


def test_formats_count_every_byte_and_are_measured_on_what_comes_back(data):
    rows = {row["system"]: row for row in ledger.formats(data)}
    assert rows["PNG"]["distortion"] == rows["PNG, 400 in one file"]["distortion"] == 0
    sizes, errors = [], []
    for picture in data.test_images[:400, :, :, 0]:
        written = io.BytesIO()
        Image.fromarray(picture).save(written, **ledger.FORMATS["JPEG"])
        sizes.append(len(written.getvalue()))
        errors.append(((np.asarray(Image.open(written)) / 255.0 - picture / 255.0) ** 2).mean())
    variance = np.var(data.train_images / 255.0)
    assert rows["JPEG"]["bits"] == pytest.approx(8 * np.mean(sizes))
    assert rows["JPEG"]["distortion"] == pytest.approx(np.mean(errors) / variance)
    for name in ("PNG", "JPEG", "WebP"):  # headers are shared by 400 pictures
        assert rows[f"{name}, 400 in one file"]["bits"] < 0.7 * rows[name]["bits"]


def test_the_figure_names_every_row_with_its_numbers(data, monkeypatch):
    empty = ledger.show(data)
    assert all(name in empty.alt for name in ledger.FORMATS)
    ledger.record("EMA", dataset=data, bits=343, distortion=0.06, prior_bits=71.9, theirs=False)
    ledger.record("k-means", dataset=data, bits=343, distortion=0.0712)
    monkeypatch.setattr(ledger, "formats", None)  # measured once
    picture = ledger.show(data)
    assert "EMA (the course's) 343 bits, 72 under its prior, distortion 0.060" in picture.alt
    assert "k-means 343 bits, distortion 0.071" in picture.alt and "Pen strokes" in picture.alt
    np.testing.assert_allclose(picture.data["EMA"], [343, 71.9, 0.06])
    axis = picture._figure.axes[0]
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert len(labels) == len(ledger.rows(data)) == 2 + len(ledger.FORMATS)
    names = [label.split()[0] for label in labels]  # numbers for systems, letters for formats
    assert names == ["1", "2", "a", "b", "c", "d", "e", "f"]
    assert [text.get_text() for text in axis.texts] == names  # beside the markers, as in the legend
    dots = [line for line in axis.lines if line.get_linestyle() == "None"]
    looks = {(dot.get_marker(), dot.get_markerfacecolor(), dot.get_markeredgecolor()) for dot in dots}
    assert len(looks) == len(names) + 1  # the one with a prior has two


def test_another_data_set_has_its_own_figure(data):
    ledger.record("EMA", dataset=data, bits=343, distortion=0.06)
    other = replace(data, name="mnist", title="MNIST")
    assert "EMA" not in ledger.show(other).alt and "MNIST" in ledger.show(other).alt
