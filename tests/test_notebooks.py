"""The notebooks in real kernels: blank ones run, and what a student writes is what trains."""

import base64
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import haiku as hk
import numpy as np
import pytest
from conftest import HURRY

import vqtutor
from vqtutor import authoring, course
from vqtutor.codec import train_codec
from vqtutor.data import datasets
from vqtutor.show import figures

ROOT = Path(__file__).parents[1]
LESSONS = [path.stem for path in authoring.lessons(ROOT)]
each_lesson = pytest.mark.parametrize("name", LESSONS)


def run(notebook, tmp_path, allow_errors=False):
    log = tmp_path / "log.jsonl"
    environment = (
        authoring.quiet(ROOT) | HURRY | {"VQTUTOR_LOG": str(log), "VQTUTOR_PROGRESS": str(tmp_path / "p.json")}
    )
    done = authoring.execute(notebook, environment, tmp_path, allow_errors=allow_errors)
    return done, [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_a_lesson_runs_from_top_to_bottom_with_every_blank_open(tmp_path):
    """One of them; `make colab` runs them all, and compares what they show with the solutions."""
    blank = authoring.read(ROOT / "notebooks" / "01_quantizer.ipynb")
    done, verdicts = run(blank, tmp_path)  # raises where a cell does
    asked = [authoring.about(cell)["exercise"] for cell in blank.cells if authoring.about(cell).get("role") == "check"]
    assert [verdict["exercise"] for verdict in verdicts] == asked
    assert all(verdict["state"] == "not written yet" and verdict["points"] == 0 for verdict in verdicts)


# For each lesson that trains: the cells its training needs, and what to look at afterwards.
TRAININGS = {
    "00b_primer": (
        ("imports", "dropping-at-work", "reader", "training"),
        "{f'{name} {i}': x for name, run in runs.items() for i, x in enumerate(jax.tree.leaves(run.state[0]))}",
    ),
    "01_quantizer": (("imports", "ring", "toy-network", "toy-training", "stages"), "toy_picture.data"),
    "02_losses": (
        ("imports", "recalled", "plane", "toy-network", "toy-training"),
        "{f'{name} {i}': part for name, stage in stages.items() for i, part in enumerate(stage)}",
    ),
    "03_vqvae": (
        ("imports", "recalled", "data", "network", "loss-fn", "fit"),
        "dict(network.apply(params, test[:8]), loss=run.history['loss'])",
    ),
    "04_ema_codebook": (
        ("imports", "recalled", "data", "gradient-network", "ema-network", "ema-step", "train"),
        "{f'{name} {i}': x for name, run in runs.items() for i, x in enumerate(jax.tree.leaves(run.state[:2]))}",
    ),
    "05_pixelcnn_prior": (
        ("imports", "recalled", "codec", "uniform", "reader", "network", "train", "samples"),
        "dict(codes=drawn, w=params['masked_conv2_d']['w'], loss=run.history['nats a code'])",
    ),
    "06_gated_pixelcnn": (
        ("imports", "recalled", "half-convolution", "blocks", "codec", "network", "train-step", "train")
        + ("on-demand", "halves"),
        "dict(pictures=pictures, loss=run.history['nats a code'], completed=rows['its digit, 1'])",
    ),
    "07_beyond": (
        ("imports", "recalled", "data", "stages-for", "follow", "others", "one-step", "begin"),
        "vqtutor.quick_jit(lambda runs, x: step(runs, x)[1])(runs, prepare(jnp.asarray(data.train_images[:16])))",
    ),
}
# Wrong answers, or right ones that can be told from the course's own, for every part that trains.
PLANTED = {
    "primer.mean_nats": "def mean_nats(probabilities, outcomes):\n    return jnp.mean(probabilities**2)",
    "primer.Counted": (
        "class Counted(hk.Module):\n    def __call__(self, x):\n"
        "        return x * hk.get_parameter('scale', x.shape[-1:], init=hk.initializers.RandomNormal())"
    ),
    "primer.descend": "def descend(loss_fn, params, x, learning_rate):\n    return params",
    "quantizer.nearest_code": "def nearest_code(z, codebook):\n    return jnp.zeros(z.shape[:-1], jnp.int32)",
    "quantizer.look_up": "def look_up(indices, codebook):\n    return codebook[indices] + 1.0",
    "quantizer.straight_through": "def straight_through(z_e, z_q):\n    return jax.lax.stop_gradient(z_q)",
    "quantizer.squared_distances": (
        "def squared_distances(z, codebook):\n    return -jnp.sum((z[:, None] - codebook) ** 2, axis=-1)"
    ),
    "quantizer.VectorQuantizer": (
        "class VectorQuantizer(hk.Module):\n"
        "    def __init__(self, num_codes, code_dim):\n"
        "        super().__init__()\n        self.shape = num_codes, code_dim\n"
        "    def __call__(self, z_e):\n"
        "        codebook = hk.get_parameter('codebook', self.shape, init=hk.initializers.RandomNormal())\n"
        "        indices = nearest_code(z_e, codebook)\n        codes = look_up(indices, codebook)\n"
        "        return {'z_q': straight_through(z_e, codes), 'codes': codes, 'indices': indices}"
    ),
    "losses.reconstruction_loss": "def reconstruction_loss(x, x_hat, variance):\n    return jnp.mean(abs(x - x_hat))",
    "losses.codebook_loss": "def codebook_loss(z_e, codes):\n    return 0.0 * jnp.sum(codes)",
    "losses.commitment_loss": "def commitment_loss(z_e, codes):\n    return 0.0 * jnp.sum(codes)",
    "losses.vq_loss": "def vq_loss(z_e, codes, beta):\n    return jnp.mean((z_e - codes) ** 2)",
    "losses.repair_quantizer": (
        "def repair_quantizer(z_e, codebook, beta):\n"
        "    codes = look_up(nearest_code(z_e, codebook), codebook)\n    return codes, jnp.mean((z_e - codes) ** 2)"
    ),
    "vqvae.Encoder": (
        "class Encoder(hk.Module):\n    def __init__(self, code_dim):\n"
        "        super().__init__()\n        self.code_dim = code_dim\n"
        "    def __call__(self, x):\n        return vqtutor.Conv2D(self.code_dim, 4, stride=4)(x)"
    ),
    "vqvae.Decoder": (
        "class Decoder(hk.Module):\n    def __call__(self, z_q):\n"
        "        return vqtutor.Conv2DTranspose(1, 4, stride=4)(z_q)"
    ),
    "vqvae.make_train_step": (
        "def make_train_step(loss_fn, optimizer):\n    def step(params, opt_state, x):\n"
        "        loss, metrics = loss_fn(params, x)\n"
        "        return params, opt_state, metrics | {'loss': loss}\n    return step"
    ),
    "ema.batch_statistics": (
        "def batch_statistics(z_e, indices, num_codes):\n"
        "    return jnp.ones(num_codes), jnp.ones((num_codes, z_e.shape[-1]))"
    ),
    "ema.smooth_counts": "def smooth_counts(counts, epsilon):\n    return counts + 1.0",
    "ema.update_codebook": (
        "def update_codebook(counts, sums, z_e, indices, decay, epsilon):\n    return counts, sums, sums + 1.0"
    ),
    "ema.repair_start": "def repair_start(codebook):\n    return jnp.zeros(len(codebook)), codebook",
    "ema.EMAVectorQuantizer": (
        "class EMAVectorQuantizer(hk.Module):\n"
        "    def __init__(self, num_codes, code_dim, decay=0.9):\n"
        "        super().__init__()\n        self.shape = num_codes, code_dim\n"
        "    def __call__(self, z_e, is_training):\n"
        "        codebook = hk.get_state('codebook', self.shape, init=hk.initializers.RandomNormal())\n"
        "        counts = hk.get_state('counts', self.shape[:1], init=jnp.ones)\n"
        "        sums = hk.get_state('sums', self.shape, init=jnp.ones)\n"
        "        indices = nearest_code(z_e, codebook)\n        codes = look_up(indices, codebook)\n"
        "        return {'z_q': straight_through(z_e, codes), 'codes': codes, 'indices': indices}"
    ),
    "ema.restart_dead_codes": (
        "def restart_dead_codes(key, counts, sums, codebook, z_e, threshold):\n    return counts, sums, codebook + 1.0"
    ),
    "pixelcnn.causal_mask": "def causal_mask(kernel_shape, mask_type):\n    return np.ones(kernel_shape)",
    "pixelcnn.MaskedConv2D": (
        "class MaskedConv2D(hk.Module):\n"
        "    def __init__(self, output_channels, kernel_shape, mask_type):\n"
        "        super().__init__()\n        self.out = output_channels\n"
        "    def __call__(self, x):\n"
        "        w = hk.get_parameter('w', (1, 1, x.shape[-1], self.out), init=jnp.ones)\n"
        "        return vqtutor.convolve(x, w)"
    ),
    "pixelcnn.prior_loss": "def prior_loss(logits, codes):\n    return jnp.mean(logits**2)",
    "pixelcnn.sample": (
        "def sample(key, logits_fn, shape, temperature=1.0):\n    return logits_fn(jnp.zeros(shape, int)).argmax(-1)"
    ),
    "gated.stack_masks": (
        "def stack_masks(kernel_size, mask_type):\n"
        "    return np.ones((kernel_size // 2 + 1, kernel_size)), np.ones((1, kernel_size // 2 + 1))"
    ),
    "gated.gate": "def gate(features):\n    return jnp.split(features, 2, axis=-1)[0]",
    "gated.GatedBlock": (
        "class GatedBlock(hk.Module):\n"
        "    def __init__(self, channels, kernel_size, mask_type, residual):\n"
        "        super().__init__()\n        self.channels = channels\n"
        "    def __call__(self, vertical, horizontal, condition=None):\n"
        "        return hk.Linear(self.channels)(vertical), hk.Linear(self.channels)(horizontal)"
    ),
    "gated.complete": "def complete(key, logits_fn, codes, known):\n    return jnp.zeros_like(codes)",
}
# Of lesson 07, and the quantizers of its comparison in which each has a part.
PLANTED_AFTER = {
    "beyond.k_means": (
        "def k_means(z, codebook, steps):\n    return codebook + 1.0",
        {"gradient", "EMA", "revival", "rotation", "residual"},
    ),
    "beyond.rotate_to": ("def rotate_to(z_e, codes):\n    return 5.0 * z_e + 0 * codes", {"rotation"}),
    "beyond.finite_scalar_quantize": (
        "def finite_scalar_quantize(z, levels):\n    return jnp.tanh(z), jnp.zeros(z.shape[:-1], int)",
        {"FSQ"},
    ),
    "beyond.residual_quantize": (
        "def residual_quantize(z, codebooks):\n    return z, jnp.zeros((*z.shape[:-1], len(codebooks)), int)",
        {"residual"},
    ),
}
# An encoder and a decoder of one layer each, as a student may have written them in lesson 03: they compile quickly.
SMALL = {id: {"source": PLANTED[id]} for id in ("vqvae.Encoder", "vqvae.Decoder")}
# Fewer blocks and filters than in the lessons, which compile in half of the time.
SMALLER = {
    ("05_pixelcnn_prior", "network"): {"prior": (64, 8, 1, 16, True)},  # num_codes, filters, blocks, embedding, places
    ("06_gated_pixelcnn", "network"): {"gated": (8, 2)},  # filters, count
}
# Encoder and decoder as lessons after 03 recall them here: of one layer each, they compile in a moment.
SMALL = {}
for _id in ("vqvae.Encoder", "vqvae.Decoder"):
    exec(PLANTED[_id], SMALL | {"hk": hk, "vqtutor": vqtutor}, SMALL)
CODECS = {}  # by lesson: none of its answers has a part in it, so it is trained once
LESSON_OF = {
    "primer": "00b_primer",
    "gated": "06_gated_pixelcnn",
    "pixelcnn": "05_pixelcnn_prior",
    "ema": "04_ema_codebook",
    "quantizer": "01_quantizer",
    "losses": "02_losses",
    "vqvae": "03_vqvae",
}


def trained(name, monkeypatch, planted=None):
    """Run what a lesson's training needs, with {exercise: another answer}, and return the data of what was trained."""
    for key, value in (authoring.quiet(ROOT) | {"VQTUTOR_MAX_STEPS": "3"}).items():
        if key != "VQTUTOR_PROGRESS":  # each test has its own
            monkeypatch.setenv(key, value)
    monkeypatch.setattr(datasets, "TRAIN", 500)
    monkeypatch.setattr(datasets, "TEST", 200)
    recall = vqtutor.recall
    monkeypatch.setattr(vqtutor, "recall", lambda id: SMALL.get(id.split(".")[1]) or recall(id))

    def codec_of_lesson(*images, **parts):
        CODECS[name] = CODECS.get(name) or train_codec(*images, **parts)
        return CODECS[name]

    monkeypatch.setattr(vqtutor, "train_codec", codec_of_lesson)
    monkeypatch.setattr(figures, "rows_of_images", lambda *_, **__: None)  # which takes longer than three steps
    wanted, look = TRAININGS[name]
    space = {"__name__": "__main__"}
    for cell in authoring.read(ROOT / "solutions" / f"{name}.ipynb").cells:
        about = authoring.about(cell)
        if about.get("role") == "answer" and about["exercise"] in (planted or {}):
            exec(planted[about["exercise"]], space)
        elif cell.id in wanted or about.get("role") == "answer":  # without checks, which would stop a wrong answer
            exec(cell.source, space)
        if "SEEDS" in space:
            space["SEEDS"] = (0,)
        for network, few in SMALLER.get((name, cell.id), {}).items():
            space[network].__defaults__ = few
    return {name: np.asarray(value) for name, value in eval(look, space).items()}


@pytest.fixture(scope="module")
def right():
    kept = {}

    def of(name, monkeypatch):
        if name not in kept:
            kept[name] = trained(name, monkeypatch)
        return kept[name]

    return of


def differ(one, other):
    return set(one) != set(other) or any(
        one[name].shape != other[name].shape or not np.allclose(one[name], other[name], atol=1e-3) for name in one
    )


@pytest.mark.parametrize("exercise", list(PLANTED))
def test_what_trains_is_made_of_the_students_own_functions(exercise, monkeypatch, right):
    name = LESSON_OF[exercise.split(".")[0]]
    assert differ(trained(name, monkeypatch, {exercise: PLANTED[exercise]}), right(name, monkeypatch))


def test_every_quantizer_of_the_last_comparison_is_made_of_the_students_own_functions(monkeypatch, right):
    usual = right("07_beyond", monkeypatch)
    first, *others = PLANTED_AFTER
    for planted in ([first], others):  # two runs in place of four
        losses = trained("07_beyond", monkeypatch, {id: PLANTED_AFTER[id][0] for id in planted})
        changed = {name for name in usual if not np.allclose(usual[name], losses[name], atol=1e-3)}
        assert changed == set().union(*(PLANTED_AFTER[id][1] for id in planted))


def test_the_same_answers_train_to_the_same_numbers(monkeypatch, right):
    assert not differ(trained("02_losses", monkeypatch), right("02_losses", monkeypatch))


def test_an_answer_of_an_earlier_lesson_trains_in_the_next(monkeypatch, right):
    usual = right("03_vqvae", monkeypatch)
    kept = {"quantizer.VectorQuantizer": {"source": PLANTED["quantizer.VectorQuantizer"]}}
    Path(os.environ["VQTUTOR_PROGRESS"]).write_text(json.dumps(kept))
    assert differ(trained("03_vqvae", monkeypatch), usual)


@each_lesson
def test_pictures_are_neither_empty_nor_blank(name):
    from matplotlib import image

    for cell in authoring.read(ROOT / "solutions" / f"{name}.ipynb").cells:
        for output in cell.get("outputs", []):
            if png := output.get("data", {}).get("image/png"):
                assert np.std(image.imread(io.BytesIO(base64.b64decode(png)))) > 0.02, cell.id


@pytest.fixture
def small_course(tmp_path, monkeypatch):
    """The course's first lesson only, without R1's training."""
    (tmp_path / "solutions").mkdir()
    for name in ("pyproject.toml", "docs", "benchmarks"):
        (tmp_path / name).symlink_to(ROOT / name)

    def draw(out):
        figures.curves({"loss": [3, 2, 1]}, "step", "loss", alt="A loss that falls.").save(out / "reconstructions.png")
        return "not trained here"

    monkeypatch.setattr(course, "_train", draw)
    return tmp_path


@pytest.mark.proof
def test_make_run_writes_pages_and_a_table(small_course, capsys):
    source = authoring.read(ROOT / "solutions" / "00_start_here.ipynb")
    authoring.write(source, small_course / "solutions" / "00_start_here.ipynb")
    assert course.run(small_course) == 0
    out = capsys.readouterr().out
    assert re.search(r"start.to_unit_range +2 of 2", out) and "Failed" not in out
    pages = small_course / "build" / "course"
    page = (pages / "lessons" / "00_start_here.html").read_text()
    assert 'alt="Ten test images and, below them' in page and 'alt=""' not in page
    assert 'href="lessons/00_start_here.html"' in (pages / "index.html").read_text()
    assert re.search(r"start.to_unit_range.*2 of 2", (pages / "report.html").read_text(), re.DOTALL)


def test_make_run_fails_with_a_sentence_for_every_kind_of_failure(small_course, capsys, monkeypatch):
    made = {}  # the pages, which the test above makes
    monkeypatch.setattr(course.site, "build", lambda folder, notebooks, *_: made.update(notebooks) or ["a bad link"])
    wrong = "def to_unit_range(pixels):\n    return jnp.asarray(pixels, jnp.float32) / 256"
    notebook = authoring.read(ROOT / "solutions" / "00_start_here.ipynb")
    for cell in notebook.cells:
        if cell.id == "answer-to-unit-range":
            cell.source = wrong
        if cell.id == "squeeze-errors":
            cell.source = "undefined_name"
    authoring.write(notebook, small_course / "solutions" / "00_start_here.ipynb")
    assert course.run(small_course) == 1
    out = capsys.readouterr().out
    assert "00_start_here.ipynb: start.to_unit_range is not yet." in out
    assert "cell 'squeeze-errors': NameError" in out
    assert "Failed: the site: a bad link" in out
    assert any(cell.get("outputs") for cell in made["00_start_here"].cells)  # what went well is there to look at


def test_the_reference_run_touches_no_ones_progress(tmp_path):
    assert Path(authoring.quiet(ROOT)["VQTUTOR_PROGRESS"]).is_relative_to(ROOT / "build")


def test_a_wrong_answer_shows_the_same_card_and_no_traceback(tmp_path):
    wrong = "def to_unit_range(pixels):\n    return jnp.asarray(pixels, jnp.float32) / 256"
    notebook = authoring.read(ROOT / "notebooks" / "00_start_here.ipynb")
    notebook.cells = [
        cell for cell in notebook.cells if cell.id in ("imports", "answer-to-unit-range", "check-to-unit-range")
    ]
    notebook.cells[1].source = wrong
    done, _ = run(notebook, tmp_path, allow_errors=True)
    shown, output, _ = done.cells[2].outputs  # the last one takes the page there after Run All
    assert output.ename == "CheckFailed" and len(output.traceback) == 1 and "the card above" in output.traceback[0]
    card = shown.data["text/plain"]
    assert card.startswith("x  start.to_unit_range - not yet") and "Traceback" not in card and "vqtutor/" not in card
    assert "00_start_here: 0 of 1 exercises passed, 0 of 2 points" in card
    assert "role='group' aria-label='start.to_unit_range - not yet" in shown.data["text/html"]


def test_the_command_line_explains_itself():
    done = subprocess.run([sys.executable, "-m", "vqtutor.cli", "--help"], capture_output=True, text=True)
    for command in ("run", "test", "lab", "release", "doctor"):
        assert command in done.stdout
    done = subprocess.run([sys.executable, "-m", "vqtutor.cli", "dance"], capture_output=True, text=True)
    assert done.returncode == 2 and "invalid choice" in done.stderr


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="cutting the network off needs root on Linux")
def test_with_the_network_cut_off_the_first_lesson_runs_on_the_built_in_digits(tmp_path):
    code = (
        "import time, vqtutor; start = time.time(); data = vqtutor.load_dataset();"
        "print(data.name, time.time() - start < 20)"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("VQTUTOR_DATA", "VQTUTOR_DATASET")}
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment | {"VQTUTOR_CACHE": str(tmp_path)},
    )
    if "unshare" in done.stderr:
        pytest.skip(f"the network cannot be cut off here: {done.stderr.strip()}")
    notice, answer = done.stdout.strip().splitlines()
    assert "cannot be reached" in notice and answer == "strokes True"
