"""Shipped weights: read safely, run with a student's own modules where these fit, and never said to be theirs else."""

import functools
import importlib.util
import io
import json
from pathlib import Path
from types import SimpleNamespace

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vqtutor
from vqtutor import checkpoints
from vqtutor.data import strokes
from vqtutor.lessons import earlier_exercises
from vqtutor.lessons.answers import answer_of, given, reference
from vqtutor.source import PREAMBLE

DATA = SimpleNamespace(name="strokes", title="Pen strokes")
FILES = sorted(checkpoints.FOLDER.glob("*.npz"))


def students(id, old="", new=""):
    """Return the course's answer, edited, as a class of a student's own, and a list that notes when it runs."""
    text, ran = answer_of(id), []
    assert old in text
    space = {"__name__": "__main__", "vqtutor": vqtutor}
    exec(PREAMBLE, space)
    space |= {name: reference(other) for name, other in earlier_exercises(id).items()}
    exec(given(id, text) + text.replace(old, new, 1), space)

    course = space[id.split(".")[1]]

    class Student(course):
        @functools.wraps(course.__call__)
        def __call__(self, *inputs, **more):
            ran.append(1)
            return super().__call__(*inputs, **more)

    Student.__name__ = id.split(".")[1]
    return Student, ran


def test_they_are_few_small_and_signed():
    assert {path.stem for path in FILES} >= {"strokes"} and sum(path.stat().st_size for path in FILES) < 5e6
    for path in FILES:
        about, arrays = checkpoints.read(path.stem)
        assert about["data"] == path.stem and all(np.isfinite(array).all() for array in arrays.values())


def damaged(content):
    yield "cut off", content[: len(content) // 2], "missing or damaged"
    yield "a changed byte", content[:-30] + bytes([content[-30] ^ 1]) + content[-29:], "damaged"
    yield "another version", saved(content, version=99), "has version 99"
    yield "another file", saved(content, version=checkpoints.VERSION, data="somebody's"), "checksum"
    yield "an array that would be unpickled", saved(content, extra=np.array([print], object)), "damaged"
    yield "no file", None, "missing or damaged"


def saved(content, extra=None, **changes):
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = dict(file)
    arrays["about"] = json.dumps(json.loads(str(arrays["about"])) | changes)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays, **({} if extra is None else {"extra": extra}))
    return buffer.getvalue()


@pytest.mark.parametrize("case", [name for name, *_ in damaged(FILES[0].read_bytes())])
def test_a_damaged_or_other_file_gives_one_sentence(case, tmp_path):
    (tmp_path / "checksums.json").write_bytes((checkpoints.FOLDER / "checksums.json").read_bytes())
    ((content, says),) = [rest for name, *rest in damaged(FILES[0].read_bytes()) if name == case]
    if content is not None:
        (tmp_path / FILES[0].name).write_bytes(content)
    with pytest.raises(ValueError, match=says) as caught:
        checkpoints.read(FILES[0].stem, tmp_path)
    assert str(caught.value).count("\n") == 0 and str(caught.value).endswith(".")


def test_an_unchanged_copy_is_read(tmp_path):
    for path in (FILES[0], checkpoints.FOLDER / "checksums.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert checkpoints.read(FILES[0].stem, tmp_path)[0]["version"] == checkpoints.VERSION


PICTURES = strokes.draw(40, seed=5)[0]


def lost(codec):
    back = codec.decode(codec.encode(PICTURES))
    return np.mean((back - PICTURES / 255) ** 2) / np.var(PICTURES / 255)


def test_pictures_pass_through_a_students_own_layers(capsys):
    encoder, encoded = students("vqvae.Encoder")
    quantizer, quantized = students("ema.EMAVectorQuantizer")
    codec = vqtutor.trained_codec(DATA, encoder=encoder, quantizer=quantizer)
    encoded.clear(), quantized.clear()
    assert lost(codec) < 0.06 and encoded and quantized
    said = capsys.readouterr().out
    assert "Your own code runs with them: Encoder, EMAVectorQuantizer." in said and "is used" not in said


def test_a_quantizer_of_lesson_01_holds_the_codebook_as_well(capsys):
    quantizer, ran = students("quantizer.VectorQuantizer")
    codec = vqtutor.trained_codec(DATA, quantizer=quantizer)
    ran.clear()
    assert lost(codec) < 0.06 and ran
    assert "Your own code runs with them: VectorQuantizer." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Conv2D(64, 3", "Conv2D(48, 3"),  # other shapes
        ("jax.nn.relu(vqtutor.Conv2D(64", "jnp.tanh(vqtutor.Conv2D(64"),  # the same shapes, another function
        ("x = jax.nn.relu(vqtutor.Conv2D(32", "oops = jax.nn.relu(vqtutor.Conv2D(32"),  # stops with an error
    ],
)
def test_where_a_layer_does_not_fit_the_courses_own_stands_in_and_it_says_so(old, new, capsys):
    encoder, ran = students("vqvae.Encoder", old, new)
    codec = vqtutor.trained_codec(DATA, encoder=encoder)
    ran.clear()
    assert lost(codec) < 0.06 and not ran
    assert "The course's own code is used where yours has other parameters: Encoder." in capsys.readouterr().out


def test_another_data_set_is_told_whose_weights_it_gets(capsys):
    vqtutor.trained_codec(SimpleNamespace(name="fashion_mnist", title="Fashion-MNIST"))
    assert "none for Fashion-MNIST: these are of Pen strokes" in capsys.readouterr().out


def network_of(block, about):
    """Return the network as lesson 06 writes it, of a student's blocks."""
    K, channels = about["sizes"]["num_codes"], about["sizes"]["channels"]

    def forward(indices, label):
        x, told = hk.Linear(16)(jax.nn.one_hot(indices, K)), jax.nn.one_hot(label, 10)
        vertical, horizontal = block(channels, 7, "A", residual=False)(x, x, told)
        for _ in range(about["sizes"]["blocks"] - 1):
            vertical, horizontal = block(channels, 3, "B", residual=True)(vertical, horizontal, told)
        return hk.Linear(K)(jax.nn.relu(hk.Linear(64)(jax.nn.relu(horizontal))))

    return hk.without_apply_rng(hk.transform(forward))


def test_a_students_blocks_run_with_the_weights(capsys):
    about, arrays = checkpoints.read("strokes")
    indices, labels = arrays["probe/indices"], jnp.arange(2)
    _, params = vqtutor.trained_prior(DATA)
    plain, ran = students("gated.GatedBlock")
    own = network_of(plain, about)
    apply, weights = vqtutor.trained_prior(DATA, own)
    assert apply == own.apply and "Your own code runs" in capsys.readouterr().out
    ran.clear()
    logits = apply(weights, indices, labels)
    assert ran and np.allclose(logits, arrays["probe/logits"], atol=1e-2)
    assert hk.data_structures.tree_size(weights) == hk.data_structures.tree_size(params)


def test_blocks_that_do_not_fit_are_not_claimed_to_run(capsys):
    about, arrays = checkpoints.read("strokes")
    block, ran = students(
        "gated.GatedBlock", "hk.Linear(2 * self.channels)(above)", "hk.Linear(2 * self.channels)(0 * above)"
    )
    own = network_of(block, about)
    apply, params = vqtutor.trained_prior(DATA, own)
    assert apply != own.apply and "is used" in capsys.readouterr().out
    logits = jax.jit(apply)(params, arrays["probe/indices"], jnp.arange(2))
    assert np.allclose(logits, arrays["probe/logits"], atol=1e-2)


def test_what_the_command_stores_is_what_is_put_back():
    path = Path(__file__).parents[1] / "benchmarks" / "checkpoints.py"
    spec = importlib.util.spec_from_file_location("make_checkpoints", path)
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    network = hk.without_apply_rng(hk.transform(lambda x: sum(hk.Linear(3, name=f"{n}")(x) for n in "cab")))
    params = make.rounded(network.init(jax.random.key(0), jnp.zeros((1, 3))))
    kept = {
        key: array.astype(np.float32) for key, array in make.stored("part", network, params, jnp.zeros((1, 3))).items()
    }
    back = checkpoints.placed(checkpoints.parameters(network, jnp.zeros((1, 3))), checkpoints.units(kept, "part"))
    jax.tree.map(np.testing.assert_array_equal, params, back)
