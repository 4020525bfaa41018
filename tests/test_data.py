"""load_dataset: every road to a data set, and every way it can fail."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_data import small_set, the_same

import vqtutor
from vqtutor.data import files, load_dataset, prepared
from vqtutor.data.catalogue import KMNIST, MNIST

REAL = Path(os.environ.get("VQTUTOR_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
needs_mnist = pytest.mark.skipif(not files.find(MNIST, [REAL / "mnist"]), reason=f"no MNIST files in {REAL}/mnist")
needs_kmnist = pytest.mark.skipif(
    not (REAL / "kmnist" / KMNIST.partial[0]).is_file(), reason=f"no Kuzushiji-MNIST files in {REAL}/kmnist"
)


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """A home of its own for each test, and no network."""
    for name in ("VQTUTOR_DATA", "VQTUTOR_DATASET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VQTUTOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(socket, "create_connection", refuse)


def refuse(*_, **__):
    raise ConnectionRefusedError("nobody is listening")


def check_contract(data):
    for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
        assert images.dtype == np.uint8 and images.shape == (len(labels), 28, 28, 1)
        assert labels.dtype == np.int32 and set(labels) <= set(range(10))
    assert len(data.class_names) == 10
    assert f"{len(data.train_images):,} training" in repr(data)


def test_the_built_in_digits_keep_the_contract():
    data = load_dataset("strokes")
    check_contract(data)
    assert (data.name, len(data.train_images), len(data.test_images)) == ("strokes", 10_000, 2_000)
    data.train_images[:] = 0  # what a student does to one copy does not reach the next
    assert load_dataset("strokes").train_images.any()


@pytest.mark.parametrize("road", ["array_record", "plain"])
def test_both_roads_keep_images_labels_and_order(road, tmp_path, monkeypatch):
    if road == "array_record" and not prepared.has_array_record():
        pytest.skip("array_record has no wheel for this system")
    monkeypatch.setattr(prepared, "has_array_record", lambda: road == "array_record")
    small = small_set(tmp_path / "data" / "mnist", monkeypatch)
    straight = files.read_all(tmp_path / "data" / "mnist")
    first = load_dataset("mnist", folder=tmp_path / "data")
    shutil.rmtree(tmp_path / "data")
    second = load_dataset("mnist")  # from the prepared copy
    check_contract(first)
    assert the_same(first, second)
    assert all(np.array_equal(getattr(second, part), array) for part, array in straight.items())
    assert second.name == small.name


@pytest.mark.parametrize("road", ["array_record", "plain"])
def test_a_damaged_prepared_copy_is_made_again(road, tmp_path, monkeypatch, capsys):
    if road == "array_record" and not prepared.has_array_record():
        pytest.skip("array_record has no wheel for this system")
    monkeypatch.setattr(prepared, "has_array_record", lambda: road == "array_record")
    small_set(tmp_path / "data", monkeypatch)
    good = load_dataset("mnist", folder=tmp_path / "data")
    pattern = "*array_record*" if road == "array_record" else "*.npz"
    for file in (tmp_path / "cache").rglob(pattern):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    again = load_dataset("mnist", folder=tmp_path / "data")
    assert the_same(good, again) and again.name == "mnist"
    assert "made again" in capsys.readouterr().out


@pytest.mark.parametrize("name", list(MNIST.sha256))
def test_a_damaged_file_is_named_with_what_to_do(name, tmp_path, monkeypatch):
    small_set(tmp_path / "data", monkeypatch)
    load_dataset("mnist", folder=tmp_path / "data")  # even where a prepared copy exists
    data = bytearray((tmp_path / "data" / name).read_bytes())
    data[-9] ^= 1
    (tmp_path / "data" / name).write_bytes(data)
    with pytest.raises(ValueError, match=f"{name} is damaged.*delete it"):
        load_dataset("mnist", folder=tmp_path / "data")


def test_the_environment_names_the_folder_and_the_set(tmp_path, monkeypatch):
    small_set(tmp_path / "data" / "mnist", monkeypatch)
    monkeypatch.setenv("VQTUTOR_DATA", str(tmp_path / "data"))
    assert load_dataset().name == "mnist"
    monkeypatch.setenv("VQTUTOR_DATASET", "strokes")
    assert load_dataset().name == "strokes"
    assert load_dataset("MNIST").name == "mnist"


@pytest.mark.parametrize("name", ["imagenet", "", 3])
def test_an_unknown_name_gets_the_list(name):
    with pytest.raises(ValueError, match="strokes, mnist, kmnist, fashion_mnist"):
        load_dataset(name)


def test_a_folder_that_does_not_serve_is_named(tmp_path):
    with pytest.raises(ValueError, match="no folder"):
        load_dataset("mnist", folder=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="lacks files of MNIST: put train-images"):
        load_dataset("mnist", folder=tmp_path)


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path, monkeypatch, capsys):
    small_set(tmp_path / "data", monkeypatch)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("VQTUTOR_CACHE", str(tmp_path / "file"))
    assert load_dataset("mnist", folder=tmp_path / "data").name == "mnist"
    assert "set VQTUTOR_CACHE" in capsys.readouterr().out


@needs_mnist
def test_real_mnist_comes_whole_and_tensorflow_stays_asleep(tmp_path):
    (tmp_path / "tensorflow").mkdir()  # installed, as in Colab, and fatal to whoever imports it
    (tmp_path / "tensorflow" / "__init__.py").write_text("import os; os._exit(7)")
    code = (
        f"import vqtutor; data = vqtutor.load_dataset('mnist', folder={str(REAL)!r})\n"
        "print(data.train_images.shape, data.test_images.shape, data.train_images.sum(), data.train_labels[:5])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(tmp_path)}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "(60000, 28, 28, 1) (10000, 28, 28, 1) 1567298545 [5 0 4 1 9]\n"


@needs_kmnist
def test_part_of_kuzushiji_says_that_it_is_a_part():
    data = load_dataset("kmnist", folder=REAL)
    check_contract(data)
    assert len(data.train_images) == 7_011 and "only part of the training images" in data.description


def test_importing_the_face_loads_neither_tfds_nor_pictures():
    code = (
        "import sys, vqtutor; heavy = ('tensorflow_datasets', 'matplotlib', 'ipywidgets', 'tensorflow', 'haiku');"
        "print([name for name in heavy if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_the_face_hands_out_the_same_door():
    assert vqtutor.load_dataset is load_dataset
