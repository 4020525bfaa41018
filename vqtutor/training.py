"""fit(): train with any compiled step; show progress, and stop and resume with the same result."""

import json
import os
import signal
import threading
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from tqdm.auto import tqdm

from vqtutor.compiling import quick_jit, steady_jit
from vqtutor.storage import cache_folder, whole_file

SECONDS_A_CHUNK = 0.5  # between updates of the bar; the steps of a chunk run as one program
SECONDS_A_CHECKPOINT = 30.0


@dataclass(frozen=True)
class Run:
    """The result of a training.

    Attributes:
      state: the state after the last step, a tuple as it was handed in.
      history: metric -> float array [steps], one value a step.
      steps: number of steps, including those of earlier sessions.
      seconds: their time, without compilation.
      finished: False when the stop button or a loss that is not finite ended it early.
    """

    state: tuple
    history: dict[str, np.ndarray]
    steps: int
    seconds: float
    finished: bool

    @property
    def steps_per_second(self) -> float:
        return self.steps / max(self.seconds, 1e-9)


def fit(
    step: Callable[..., tuple],
    state: tuple,
    data: Any,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int = 128,
    seed: int = 0,
    prepare: Callable[[Any], Any] | None = None,
    checkpoint: str | os.PathLike | None = None,
    progress: bool | None = None,
) -> Run:
    """Train: call `step` on one batch after another; each epoch shuffles the data anew.

    Where there are several devices, each takes an equal part of every batch, and the step is what it would be on one:
    its means are over the whole batch. The same holds for several processes after `jax.distributed.initialize`, which
    call `fit` alike; the first one writes the checkpoint. The result is on one device.

    Args:
      step: `step(*state, batch) -> (*state, metrics)`, traceable; metrics is a dict of scalars. For example the result
        of `make_train_step`, whose state is (params, opt_state).
      state: a tuple of pytrees of arrays.
      data: an array [N, ...], or a pytree of arrays with the same N; copied to the device once.
      epochs, steps: how long to train; give exactly one. An epoch is N // batch_size steps. VQTUTOR_MAX_STEPS limits
        the steps of every training, for a quick run through a lesson.
      batch_size: examples per step.
      seed: for the order of the examples.
      prepare: raw batch -> the step's batch, compiled with the step, so that uint8 data can stay uint8.
      checkpoint: a file to save the training in. If it exists, training resumes from it, with the same result as
        without a break.
      progress: whether to show a bar; default: yes, unless VQTUTOR_PROGRESS_BAR is "off".
    Raises:
      ValueError: the arguments contradict each other or the checkpoint; the message is one sentence.
    """
    state = jax.tree.map(jnp.asarray, tuple(state))
    count = _count(data)
    per_epoch = count // batch_size
    if (epochs is None) == (steps is None):
        raise ValueError("Say how long to train with either epochs=... or steps=..., one of the two.")
    if per_epoch == 0:
        raise ValueError(f"A batch of {batch_size} cannot be taken from {count} examples: lower batch_size.")
    total = steps if epochs is None else epochs * per_epoch
    total = min(total, int(os.environ.get("VQTUTOR_MAX_STEPS") or total))

    everywhere, split = _shardings(batch_size)
    data = _place(jax.tree.map(jnp.asarray, data), everywhere)
    take = lambda rows: jax.tree.map(lambda leaf: jnp.take(leaf, rows, axis=0), data)  # noqa: E731
    metrics = _check_step(step, state, jax.eval_shape(lambda: _batch(take, prepare, jnp.arange(batch_size))))
    settings = {"batch_size": batch_size, "seed": seed, "examples": count}
    snapshot = _Snapshot(state, 0, {name: [] for name in metrics}, 0.0)
    if checkpoint is not None and Path(checkpoint).exists():
        snapshot = _load(Path(checkpoint), state, settings, list(metrics))

    use_compilation_cache()
    snapshot = replace(snapshot, state=_place(snapshot.state, everywhere))
    kinds = _kinds(snapshot.state, everywhere), _kinds(data, everywhere)
    under = bool(os.environ.get("VQTUTOR_MAX_STEPS")), jax.config.jax_default_matmul_precision
    run_chunk = _compile(step, prepare, *kinds, batch_size, tuple(metrics), everywhere, split, under)
    hidden = progress is False or (progress is None and os.environ.get("VQTUTOR_PROGRESS_BAR") == "off")
    finished, last_save, first_step = True, time.monotonic(), snapshot.step
    # On a phone a notebook's bar wraps with dynamic_ncols, where a space of no width lets it: tqdm's spaces do not.
    bar = tqdm(total=total, initial=min(first_step, total), unit="step", disable=hidden, dynamic_ncols=True)
    gap = "\u200b" if hasattr(bar, "container") else ""
    with bar, _stop_button() as stopped:
        try:
            chunk = 1
            while snapshot.step < total:
                if stopped():
                    raise KeyboardInterrupt
                epoch, first = divmod(snapshot.step, per_epoch)
                if first == 0 or snapshot.step == first_step:
                    order = np.random.default_rng([seed, epoch]).permutation(count)
                    order = _place(jnp.asarray(order, jnp.int32), everywhere)
                number = min(chunk, per_epoch - first, total - snapshot.step)
                start = time.monotonic()
                after, values = run_chunk(snapshot.state, data, order, first, number)
                values = {name: np.asarray(column)[:number] for name, column in values.items()}  # waits for the device
                took = time.monotonic() - start
                broken = ~np.isfinite(values[next(iter(values))])
                if broken.any():
                    at = snapshot.step + int(np.argmax(broken))
                    warnings.warn(f"Training stopped: the loss is {_first(values)[broken][0]} at step {at}. "
                                  "A smaller learning rate often helps.", stacklevel=2)  # fmt: skip
                    finished = False
                    break
                history = {name: [*snapshot.history[name], values[name]] for name in values}
                # One assignment, so that after an interrupt state and history belong to the same step.
                snapshot = _Snapshot(after, snapshot.step + number, history, snapshot.seconds + took)
                chunk = _agreed(int(np.clip(SECONDS_A_CHUNK * number / took, 1, 4 * chunk)))
                bar.set_postfix_str(_running(snapshot.history, gap), refresh=False)
                bar.update(number)
                due = time.monotonic() - last_save > SECONDS_A_CHECKPOINT
                if checkpoint is not None and due and jax.process_index() == 0:
                    _save(Path(checkpoint), snapshot, settings)
                    last_save = time.monotonic()
        except KeyboardInterrupt:
            finished = False
            how = "call again to go on from there" if checkpoint else "with checkpoint=... it could go on from there"
            print(f"Stopped at step {snapshot.step} of {total}; nothing is lost: {how}.")
    if checkpoint is not None and snapshot.step > 0 and jax.process_index() == 0:
        _save(Path(checkpoint), snapshot, settings)
    history = {name: np.concatenate([np.zeros(0, np.float32), *parts]) for name, parts in snapshot.history.items()}
    state = jax.tree.map(lambda leaf: leaf.addressable_data(0), snapshot.state) if everywhere else snapshot.state
    return Run(state, history, snapshot.step, snapshot.seconds, finished)


@contextmanager
def _stop_button() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether the stop button was pressed: Python drops what is raised in a `__del__`."""
    pressed, usual = [], signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield lambda: False
        return

    def press(*about):
        pressed.append(True)
        usual(*about)

    signal.signal(signal.SIGINT, press)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, usual)


@dataclass(frozen=True)
class _Snapshot:
    """A training after some steps, as `fit` continues it and checkpoints store it."""

    state: tuple
    step: int
    history: dict[str, list[np.ndarray]]
    seconds: float


def _first(metrics: dict[str, np.ndarray]) -> np.ndarray:
    return metrics.get("loss", metrics[next(iter(metrics))])


def _running(history: dict[str, list[np.ndarray]], gap: str, last: int = 50) -> str:
    means = {name: np.concatenate(parts[-last:])[-last:].mean() for name, parts in history.items()}
    return ", ".join(f"{gap}{name} {mean:.4f}" for name, mean in means.items())


def _count(data: Any) -> int:
    counts = {leaf.shape[0] for leaf in jax.tree.leaves(data) if getattr(leaf, "shape", ())}
    if len(counts) != 1:
        raise ValueError(f"data must be arrays with one and the same first length, not {sorted(counts) or 'none'}.")
    return counts.pop()


def _batch(take: Callable, prepare: Callable | None, rows: jax.Array) -> Any:
    return take(rows) if prepare is None else prepare(take(rows))


def _shardings(batch_size: int) -> tuple[NamedSharding | None, NamedSharding | None]:
    """Return how to place what every device has, and how to split a batch; None and None on a single device."""
    count = jax.device_count()
    parts = next(n for n in range(min(count, batch_size), 0, -1) if batch_size % n == 0)
    if parts < count:
        advice = f"take a batch_size that {count} divides"
        if jax.process_count() > 1:
            raise ValueError(f"A batch of {batch_size} cannot be split evenly among {count} devices: {advice}.")
        print(f"Training uses {parts} of {count} devices, because {count} does not divide {batch_size}: {advice}.")
    if parts == 1:
        return None, None
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:parts]), ("batch",))
    return NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("batch"))


def _place(tree: Any, everywhere: NamedSharding | None) -> Any:
    def place(leaf):
        if _is_key(leaf):
            return jax.random.wrap_key_data(place(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        return jax.make_array_from_process_local_data(everywhere, np.asarray(leaf))  # of several processes, too

    return tree if everywhere is None else jax.tree.map(place, tree)


def _agreed(number: int) -> int:
    """Return the first process's number, since all have to run the same steps together."""
    if jax.process_count() == 1:
        return number
    from jax.experimental import multihost_utils

    return int(multihost_utils.broadcast_one_to_all(np.int32(number)))


def _check_step(step: Callable, state: tuple, batch: Any) -> list[str]:
    """Return the metrics' names, "loss" first; raise ValueError unless the step keeps its state's shapes and dtypes."""
    out = jax.eval_shape(step, *state, batch)
    if not (isinstance(out, tuple) and len(out) == len(state) + 1 and isinstance(out[-1], dict) and out[-1]):
        raise ValueError(f"step must return its {len(state)} parts of state and then a dict of metrics, as one tuple.")
    for i, (old, new) in enumerate(zip(state, out[:-1], strict=True)):
        if jax.tree.map(lambda x: (x.shape, x.dtype), old) != jax.tree.map(lambda x: (x.shape, x.dtype), new):
            raise ValueError(f"step must return part {i} of the state with the shapes and dtypes it was given.")
    odd = [name for name, value in out[-1].items() if value.shape != ()]
    if odd:
        raise ValueError(f"Metrics must be single numbers, and {odd[0]!r} has shape {out[-1][odd[0]].shape}.")
    return sorted(out[-1], key=lambda name: name != "loss")


_Kinds = tuple[Any, tuple[jax.ShapeDtypeStruct, ...]]


def _kinds(tree: Any, everywhere: NamedSharding | None) -> _Kinds:
    """Return a pytree's structure, and the shapes and dtypes of its leaves."""
    leaves, structure = jax.tree.flatten(tree)

    def kind(leaf):
        sharding = None if everywhere is None else leaf.sharding
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding, weak_type=leaf.aval.weak_type)

    return structure, tuple(map(kind, leaves))


@lru_cache(4)  # lessons train one step several times, from other starts; JAX, too, traces a function once
def _compile(
    step: Callable,
    prepare: Callable | None,
    state: _Kinds,
    data: _Kinds,
    batch_size: int,
    metrics: tuple[str, ...],
    everywhere: NamedSharding | None,
    split: NamedSharding | None,
    under: tuple[bool, str | None],
) -> Callable[..., tuple]:
    """Return `run_chunk(state, data, order, first, number) -> (state, metrics)`.

    `under` is what the program is made under: whether for a few steps only, and the precision of products. The loop's
    bounds are arguments, so one program serves every length of chunk. Therefore a resumed training is bit-equal to one
    without a break.
    """
    step = jax.jit(step)  # traced once for all that follows

    def one(state, data, order, i):
        rows = jax.lax.dynamic_slice(order, (i * batch_size,), (batch_size,))
        rows = rows if split is None else jax.lax.with_sharding_constraint(rows, split)
        batch = _batch(lambda rows: jax.tree.map(lambda leaf: jnp.take(leaf, rows, axis=0), data), prepare, rows)
        *state, row = step(*state, batch)
        return tuple(state), {name: jnp.asarray(row[name], jnp.float32) for name in metrics}

    state, data = jax.tree.unflatten(*state), jax.tree.unflatten(*data)
    order = jax.ShapeDtypeStruct((_count(data),), jnp.int32, sharding=everywhere)
    program = str(jax.make_jaxpr(one)(state, data, order, 0))
    if jax.default_backend() == "cpu" and "conv_general_dilated" in program:
        # XLA's CPU convolutions are ten times slower inside a loop than outside
        single = jax.jit(one, out_shardings=everywhere)

        def run_chunk(state, data, order, first, number):
            rows = []
            for i in range(first, first + number):
                state, row = single(state, data, order, i)
                rows.append(row)
            return state, {name: jnp.stack([row[name] for row in rows]) for name in metrics}

        return run_chunk

    room = order.size // batch_size

    def many(state, data, order, first, number):
        def body(i, carry):
            state, columns = carry
            state, row = one(state, data, order, first + i)
            return state, {name: columns[name].at[i].set(row[name]) for name in metrics}

        return jax.lax.fori_loop(0, number, body, (state, {name: jnp.zeros(room) for name in metrics}))

    jit = quick_jit if under[0] else steady_jit
    return jit(many, out_shardings=everywhere).lower(state, data, order, 0, 1).compile()


def use_compilation_cache() -> None:
    """Store compiled programs in the cache folder for later sessions, unless JAX is configured to use another.

    Needs JAX 0.7: in earlier versions a loop read from the cache may return its inputs on a CPU.
    """
    if jax.config.jax_compilation_cache_dir is None and jax.__version_info__ >= (0, 7):
        from jax.experimental.compilation_cache import compilation_cache

        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "programs"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
        compilation_cache.reset_cache()  # JAX decides at its first compilation whether there is a cache


def _is_key(leaf: jax.Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _save(path: Path, snapshot: _Snapshot, settings: dict[str, int]) -> None:
    leaves = [jax.random.key_data(leaf) if _is_key(leaf) else leaf for leaf in jax.tree.leaves(snapshot.state)]
    about = {"settings": settings, "step": snapshot.step, "seconds": snapshot.seconds}
    about["state"] = _describe(snapshot.state)
    arrays = {f"state_{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
    arrays |= {f"history_{name}": np.concatenate(parts) for name, parts in snapshot.history.items()}
    with whole_file(path) as file:
        np.savez(file, about=np.array(json.dumps(about)), **arrays)


def _describe(state: tuple) -> str:
    return json.dumps([
        [jax.tree_util.keystr(where), list(leaf.shape), str(leaf.dtype)]
        for where, leaf in jax.tree_util.tree_leaves_with_path(state)
    ])  # fmt: skip


def _load(path: Path, state: tuple, settings: dict[str, int], metrics: list[str]) -> _Snapshot:
    advice = "Use another checkpoint file, or remove this one to start anew"
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            leaves, tree = jax.tree.flatten(state)
            arrays = [file[f"state_{i}"] for i in range(len(leaves))] if about["state"] == _describe(state) else None
            history = {name: [file[f"history_{name}"]] for name in metrics if f"history_{name}" in file}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is damaged or no checkpoint ({type(error).__name__}). {advice}.") from error
    for name, value in settings.items():
        if about["settings"].get(name) != value:
            was = about["settings"].get(name)
            raise ValueError(f"{path} was trained with {name} {was}, and this call has {value}. {advice}.")
    if arrays is None or len(history) != len(metrics):
        raise ValueError(f"{path} holds the state or metrics of another network or optimizer. {advice}.")
    leaves = [
        jax.random.wrap_key_data(new, impl=jax.random.key_impl(old)) if _is_key(old) else jnp.asarray(new)
        for old, new in zip(leaves, arrays, strict=True)
    ]
    return _Snapshot(jax.tree.unflatten(tree, leaves), about["step"], history, about["seconds"])
