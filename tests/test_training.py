"""fit(): what it computes, what it keeps, and that a break changes nothing."""

import itertools
import os
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import vqtutor
from vqtutor import training

DATA = np.random.default_rng(0).integers(0, 256, (50, 3), dtype=np.uint8)
OPTIMIZER = optax.adam(0.01)


def step(params, opt_state, key, x):
    """A step with a state of every kind: parameters, optimizer state, and a typed random key."""
    key, noise = jax.random.split(key)

    def loss_fn(params):
        return jnp.mean((x @ params["w"] - x + 0.1 * jax.random.normal(noise, x.shape)) ** 2)

    loss, gradients = jax.value_and_grad(loss_fn)(params)
    updates, opt_state = OPTIMIZER.update(gradients, opt_state)
    return optax.apply_updates(params, updates), opt_state, key, {"loss": loss, "size": jnp.sum(params["w"] ** 2)}


def start():
    params = {"w": jnp.zeros((3, 3))}
    return params, OPTIMIZER.init(params), jax.random.key(5)


def fit(**options):
    options = dict(epochs=3, batch_size=8, prepare=lambda x: x.astype(jnp.float32) / 255, progress=False) | options
    return training.fit(step, start(), DATA, **options)


def same(one, other):
    def raw(leaf):
        return jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf

    return all(np.array_equal(raw(a), raw(b)) for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True))


def interrupted_after(steps, monkeypatch):
    """Press stop, for real, when this many steps are done: KeyboardInterrupt out of the running chunk."""
    compile_as_before = training._compile

    def compile_and_interrupt(*args):
        run_chunk, left = compile_as_before(*args), itertools.count(steps, -1)

        def run(*arguments):
            if next(left) == 0:
                raise KeyboardInterrupt
            return run_chunk(*arguments)

        return run

    monkeypatch.setattr(training, "_compile", compile_and_interrupt)
    monkeypatch.setattr(training, "SECONDS_A_CHUNK", 1e-9)  # one step a chunk


def test_one_program_serves_all_starts_and_data_of_a_step_and_another_kind_of_data_gets_its_own(monkeypatch):
    made, jit, prepare = [], training.steady_jit, lambda x: x.astype(jnp.float32) / 255
    monkeypatch.delenv("VQTUTOR_MAX_STEPS", raising=False)
    monkeypatch.setattr(training, "steady_jit", lambda *a, **options: (made.append(a), jit(*a, **options))[1])
    training._compile.cache_clear()
    of = lambda data: training.fit(step, start(), data, epochs=2, batch_size=8, prepare=prepare, progress=False)  # noqa: E731
    first, other = of(DATA), of(255 - DATA)
    assert len(made) == 1 and not same(first.state, other.state)
    assert same(of(255.0 - DATA.astype(np.float32)).state, other.state) and of(DATA[:40]).steps == 10 and len(made) == 3
    with jax.default_matmul_precision("highest"):
        assert of(DATA).finished and len(made) == 4
    training._compile.cache_clear()
    assert same(of(255 - DATA).state, other.state) and len(made) == 5


def test_it_does_what_a_plain_loop_over_the_same_batches_does():
    state, losses = start(), []
    for epoch in range(3):
        order = np.random.default_rng([0, epoch]).permutation(50)
        for i in range(6):
            *state, metrics = jax.jit(step)(*state, jnp.float32(DATA[order[8 * i : 8 * i + 8]] / 255))
            losses.append(metrics["loss"])
    run = fit()
    np.testing.assert_allclose(run.history["loss"], losses, rtol=1e-5)
    np.testing.assert_allclose(run.state[0]["w"], state[0]["w"], rtol=1e-4, atol=1e-6)
    assert (run.steps, run.finished, set(run.history)) == (18, True, {"loss", "size"})
    assert run.steps_per_second > 0


@pytest.mark.parametrize("steps", [0, 1, 5, 6, 17])
def test_interrupting_and_resuming_changes_no_bit(steps, tmp_path, monkeypatch, capsys):
    unbroken = fit()
    file = tmp_path / "run.npz"
    with monkeypatch.context() as patch:
        interrupted_after(steps, patch)
        stopped = fit(checkpoint=file)
    assert (stopped.steps, stopped.finished) == (steps, False)
    assert f"Stopped at step {steps} of 18; nothing is lost" in capsys.readouterr().out
    resumed = fit(checkpoint=file)
    assert same(resumed.state, unbroken.state)
    assert all(np.array_equal(resumed.history[name], unbroken.history[name]) for name in unbroken.history)
    assert list(tmp_path.iterdir()) == [file]


def test_the_stop_button_is_heard_where_python_drops_what_is_raised(monkeypatch):
    """In a real kernel one interrupt in thirty came while tqdm's `__del__` ran, and the training went on for ever."""

    class Dropped:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)
            return None

    shown = training._running
    monkeypatch.setattr(training, "SECONDS_A_CHUNK", 1e-9)  # one step a chunk
    monkeypatch.setattr(training, "_running", lambda *asked: (Dropped(), shown(*asked))[1])
    monkeypatch.setattr(sys, "unraisablehook", lambda about: None)
    handler = signal.getsignal(signal.SIGINT)
    run = fit(epochs=20)
    assert (run.steps, run.finished) == (1, False)
    assert signal.getsignal(signal.SIGINT) is handler


def test_chunks_of_any_length_give_the_same_bits(monkeypatch):
    runs = []
    for seconds in (1e-9, 10.0):
        monkeypatch.setattr(training, "SECONDS_A_CHUNK", seconds)
        runs.append(fit())
    assert same(runs[0].state, runs[1].state)


def test_a_finished_training_can_be_prolonged(tmp_path):
    file = tmp_path / "run.npz"
    fit(epochs=1, checkpoint=file)
    assert same(fit(checkpoint=file).state, fit().state)


def test_convolutions_on_a_cpu_run_outside_the_loop_and_resume_alike(tmp_path):
    if jax.default_backend() != "cpu":
        pytest.skip("a matter of CPUs")
    images = np.random.default_rng(0).normal(size=(20, 6, 6, 1)).astype(np.float32)

    def conv_step(w, x):
        def loss_fn(w):
            y = jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            return jnp.mean((y - 2 * x) ** 2)

        loss, gradient = jax.value_and_grad(loss_fn)(w)
        return w - 0.1 * gradient, {"loss": loss}

    def train(**options):
        return training.fit(conv_step, (jnp.zeros((3, 3, 1, 1)),), images, batch_size=5, progress=False, **options)

    train(steps=3, checkpoint=tmp_path / "a.npz")
    resumed = train(steps=11, checkpoint=tmp_path / "a.npz")
    unbroken = train(steps=11)
    assert same(resumed.state, unbroken.state) and unbroken.history["loss"][-1] < unbroken.history["loss"][0]


def test_the_bar_shows_steps_a_second_and_the_running_loss(capsys, monkeypatch):
    monkeypatch.delenv("VQTUTOR_PROGRESS_BAR", raising=False)
    fit(progress=None)
    shown = capsys.readouterr().err
    assert "18/18" in shown and "step/s" in shown and "loss 0." in shown
    monkeypatch.setenv("VQTUTOR_PROGRESS_BAR", "off")
    fit(progress=None)
    assert capsys.readouterr().err == ""


def test_a_loss_that_is_not_a_number_stops_with_what_was_good(tmp_path):
    def breaks(n, x):
        return n + 1, {"loss": jnp.where(n < 4, 1.0, jnp.nan)}

    file = tmp_path / "run.npz"
    with pytest.warns(UserWarning, match="the loss is nan at step 4"):
        run = training.fit(breaks, (jnp.int32(0),), DATA, epochs=2, batch_size=8, progress=False, checkpoint=file)
    assert not run.finished and run.steps <= 4 and np.isfinite(run.history["loss"]).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (dict(epochs=None), "either epochs=... or steps=..."),
        (dict(steps=3), "either epochs=... or steps=..."),
        (dict(batch_size=51), "A batch of 51 cannot be taken from 50 examples"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_in_words(options, says):
    with pytest.raises(ValueError, match=says):
        fit(**options)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda n, x: n, "as one tuple"),
        (lambda n, x: (n, 1.0), "a dict of metrics"),
        (lambda n, x: (n * 1.5, {"loss": 1.0 * n}), "shapes and dtypes it was given"),
        (lambda n, x: (n, {"loss": x}), "Metrics must be single numbers"),
    ],
)
def test_a_step_that_returns_something_else_is_refused_in_words(wrong, says):
    with pytest.raises(ValueError, match=says):
        training.fit(wrong, (jnp.int32(0),), DATA, steps=2, batch_size=8)


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="same first length"):
        training.fit(step, start(), (DATA, DATA[:-1]), steps=1)


def test_a_checkpoint_that_does_not_fit_says_what_differs(tmp_path):
    file = tmp_path / "run.npz"
    fit(checkpoint=file)
    before = file.read_bytes()
    with pytest.raises(ValueError, match="batch_size 8, and this call has 5"):
        fit(checkpoint=file, batch_size=5)
    with pytest.raises(ValueError, match="another network or optimizer"):
        training.fit(lambda n, x: (n, {"loss": 1.0}), (jnp.int32(0),), DATA, epochs=3, batch_size=8, checkpoint=file)
    assert file.read_bytes() == before
    file.write_bytes(before[:200])
    with pytest.raises(ValueError, match="damaged or no checkpoint"):
        fit(checkpoint=file)


def test_compiled_programs_are_kept_between_sessions(tmp_path):
    code = (
        "import jax, jax.numpy as jnp, numpy as np; jnp.ones(3).sum();"  # compiled before fit: must not disable it
        "from vqtutor.training import use_compilation_cache as use; use();"
        "jax.config.update('jax_persistent_cache_min_compile_time_secs', 0);"
        "jax.jit(lambda x: jnp.sin(x) @ x)(jnp.ones((3, 3)))"
    )
    environment = os.environ | {"VQTUTOR_CACHE": str(tmp_path)}
    del environment["JAX_COMPILATION_CACHE_DIR"]  # the tests' own
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert any((tmp_path / "programs").iterdir())


def test_fit_is_on_the_public_face():
    assert vqtutor.fit is training.fit


def test_run_once_gives_what_the_function_gives():
    def init(key, x):
        return {"w": jax.random.normal(key, x.shape) * x}

    x = jnp.arange(6.0)
    np.testing.assert_allclose(
        vqtutor.quick_jit(init)(jax.random.key(0), x)["w"], init(jax.random.key(0), x)["w"], 1e-5
    )
