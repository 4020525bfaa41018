"""load_dataset: every road to a data set, and every way it can fail."""

import os
import shutil
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from made_data import small_set, the_same

import vqtutor
from vqtutor.data import Dataset, files, load_dataset, prepared
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


BROKEN = {  # what tensorflow_datasets/__init__.py may hold
    "half a module": """
        import os, sys, warnings
        from absl import logging
        try:
            raise RuntimeError("gencode 6.31.1 runtime 5.29.6")
        except Exception as error:
            logging.exception(error)  # as TFDS does
        print("to the cell"), print("to the cell", file=sys.stderr), warnings.warn("to the cell")
        os.write(2, b"from C++")
    """,
    "a VersionError": "class VersionError(Exception): pass\nraise VersionError('gencode', 'runtime')",
    "an exit": "raise SystemExit(3)",
    "a changed interface": """
        import logging, sys
        class Any:
            def __init__(self, *_, **__): raise TypeError("not as it was")
            def __init_subclass__(cls, **__): pass
        core = type(sys)("core")
        core.GeneratorBasedBuilder, core.Version = Any, str
        handler = logging.StreamHandler()  # keeps the stream of now
    """,
}


@pytest.mark.parametrize("broken", [*BROKEN, "no reader"])
def test_a_broken_tfds_costs_one_line_and_no_data(broken, tmp_path):
    """In a process of its own, as a student's first call; the broken import is tried once, and nothing is hidden."""
    package = tmp_path / "fakes" / ("array_record" if broken == "no reader" else "tensorflow_datasets")
    package.mkdir(parents=True)
    tried = f"open({str(tmp_path / 'tried')!r}, 'a').write('x')\n"
    body = BROKEN.get(broken, "raise ImportError('no wheel for this system')")
    (package / "__init__.py").write_text(tried + textwrap.dedent(body))
    code = f"""
        import logging, sys, pytest, numpy as np
        from pathlib import Path
        from made_data import small_set
        from vqtutor.data import files, load_dataset
        folder = Path({str(tmp_path / "data")!r})
        small_set(folder, pytest.MonkeyPatch())
        straight = files.read_all(folder)
        for given in (folder, folder, None):
            data = load_dataset("mnist", folder=given)
            for part, array in straight.items():
                mine = getattr(data, part)
                assert mine.dtype == array.dtype and mine.flags.writeable and np.array_equal(mine, array), part
        assert not logging.root.handlers and not logging.root.manager.disable
        print("now the student", file=sys.stderr)
        assert Path({str(tmp_path / "tried")!r}).read_text() == "x"
        import tensorflow_datasets
        if {broken!r} == "a changed interface":
            tensorflow_datasets.handler.emit(logging.makeLogRecord(dict(msg="spoken")))
    """
    paths = os.pathsep.join([str(tmp_path / "fakes"), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, env=environment
    )
    assert done.stderr.startswith("now the student"), done.stderr
    lines = done.stdout.replace("to the cell\n", "", broken == "half a module").splitlines()  # the student's own import
    assert len(lines) <= 1 and all("TensorFlow Datasets does not work here" in line for line in lines), done.stdout
    if broken == "half a module":  # whoever imports it learns why it does not work
        assert "ERROR:absl" in done.stderr and "gencode 6.31.1" in done.stderr
    if broken == "a changed interface":
        assert done.stderr.endswith("spoken\n")


def fewer(arrays):
    return arrays | {"train_images": arrays["train_images"][:-1]}


def as_floats(arrays):
    return arrays | {"test_images": arrays["test_images"].astype(np.float32)}


def shuffled(arrays):
    return arrays | {"train_labels": arrays["train_labels"][::-1]}


def without_labels(arrays):
    return {part: array for part, array in arrays.items() if "labels" not in part}


def raising(error):
    def fail(*_):
        raise error

    return fail


FAULTS = {
    "read raises": ("read", raising(AttributeError("no attribute 'data_source'"))),
    "read exits": ("read", raising(SystemExit(1))),
    "write raises": ("write", raising(TypeError("unexpected keyword"))),
    "write exits": ("write", raising(SystemExit(1))),
    "write does nothing": ("write", lambda *_: None),
    **{change.__name__: ("read", change) for change in (fewer, as_floats, shuffled, without_labels)},
}


@pytest.mark.parametrize("when", ["from the start", "later"])
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_tfds_does_the_arrays_are_the_files_own(fault, when, tmp_path, monkeypatch, capfd):
    if not prepared.has_array_record():
        pytest.skip("array_record has no wheel for this system")
    small_set(tmp_path / "data", monkeypatch)
    straight = files.read_all(tmp_path / "data")
    if when == "later":
        load_dataset("mnist", folder=tmp_path / "data")
    from vqtutor.data import builders

    name, wrong = FAULTS[fault]
    right = builders.read
    changes = name == "read" and "read" not in fault
    monkeypatch.setattr(builders, name, (lambda *place: wrong(right(*place))) if changes else wrong)
    for folder in (tmp_path / "data", None, None):
        data = load_dataset("mnist", folder=folder)
        assert data.name == "mnist" and the_same(data, Dataset("", "", "", **straight, class_names=()))
        assert data.train_images.dtype == data.test_images.dtype == np.uint8
    out, err = capfd.readouterr()
    assert out.count("\n") <= 1 and err == ""


@pytest.mark.parametrize("first", [True, False])
def test_what_one_road_prepared_serves_where_only_the_other_works(first, tmp_path, monkeypatch, capsys):
    if not prepared.has_array_record():
        pytest.skip("array_record has no wheel for this system")
    small = small_set(tmp_path / "cache" / "downloads" / "mnist", monkeypatch)  # downloaded once; no network since
    monkeypatch.setattr(prepared, "has_array_record", lambda: first)
    before = load_dataset("mnist")
    monkeypatch.setattr(prepared, "has_array_record", lambda: not first)
    assert before.name == small.name and the_same(before, load_dataset("mnist")) and the_same(before, load_dataset())
    assert capsys.readouterr() == ("", "")


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
    assert done.stdout.endswith("(60000, 28, 28, 1) (10000, 28, 28, 1) 1567298545 [5 0 4 1 9]\n") and not done.stderr


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
