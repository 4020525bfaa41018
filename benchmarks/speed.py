"""Time a training step of a reference system against Keras `fit` and plain Haiku: `make bench`.

Contenders run in turn, each in a process of its own (A B C, A B C, ...), on the same images, with whatever threads they
take. Milliseconds depend on the machine and on who else is using it; the ratios are what counts.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
PEERS = ROOT / "build" / "bench-venv"
STEPS = {"vqtutor": 200, "plain Haiku": 15, "Keras": 100}


def peer_python() -> Path:
    """Return an interpreter that has TensorFlow, in a venv of its own that the course never sees."""
    python = PEERS / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (PEERS / ".installed").exists():
        print(f"Making {PEERS} for Keras and TensorFlow; this takes some minutes, once.")
        venv.create(PEERS, with_pip=True, clear=True)
        wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["bench"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
        (PEERS / ".installed").touch()
    return python


def ours(system: str, images: str, steps: int, plain: bool) -> dict:
    """Train with vqtutor's fit; `plain` swaps in Haiku's own convolutions, jitted and called step by step."""
    import haiku as hk
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    from vqtutor.models import autoencoder

    if plain:

        def haikus_own(module):
            return lambda channels, shape, stride=1, w_init=None: module(channels, shape, stride, w_init=w_init)

        autoencoder.Conv2D, autoencoder.Conv2DTranspose = haikus_own(hk.Conv2D), haikus_own(hk.Conv2DTranspose)
    network, batch, prepare = {
        "R1": (autoencoder.vqvae(), 128, autoencoder.prepare),
        "R3": (autoencoder.residual_vqvae(), 64, autoencoder.prepare_r3),
    }[system]
    data = np.load(images)
    params = network.init(jax.random.key(0), prepare(jnp.asarray(data[:1])))
    optimizer = optax.adam(1e-3)
    loss_fn = autoencoder.make_loss(network, variance=float(np.var(data / 255)))
    step, state = autoencoder.make_train_step(loss_fn, optimizer), (params, optimizer.init(params))
    start = time.perf_counter()
    if plain:
        step = jax.jit(step)
        batches = [prepare(jnp.asarray(data[i * batch : (i + 1) * batch])) for i in range(steps)]
        *state, _ = jax.block_until_ready(step(*state, batches[0]))
        first, start = time.perf_counter() - start, time.perf_counter()
        for x in batches:
            *state, _ = jax.block_until_ready(step(*state, x))
        ms = 1e3 * (time.perf_counter() - start) / steps
    else:
        from vqtutor import fit

        fit(step, state, data, steps=1, batch_size=batch, prepare=prepare, progress=False)
        first = time.perf_counter() - start
        run = fit(step, state, data, steps=steps, batch_size=batch, prepare=prepare, progress=False)
        ms = 1e3 * run.seconds / run.steps
    versions = f"jax {jax.__version__}, dm-haiku {hk.__version__}, optax {optax.__version__}"
    return {"ms": ms, "first_s": first, "versions": versions}


def contend(contender: str, command: list, cache: str) -> dict:
    """Run one contender in a process of its own and return what its last line says."""
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"VQTUTOR_CACHE": cache, "PYTHONPATH": ""}
    )
    if done.returncode:
        raise SystemExit(f"{contender} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--system", choices=["R1", "R3"], default="R1")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-python", type=Path, help="an interpreter that has TensorFlow already")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        images, steps = options.rest
        print(json.dumps(ours(options.system, images, int(steps), options.contender == "plain Haiku")))
        return
    import numpy as np

    from vqtutor import load_dataset

    python = options.peer_python or peer_python()
    with tempfile.TemporaryDirectory() as folder:
        images = os.path.join(folder, "images.npy")
        data = load_dataset("strokes")
        np.save(images, np.concatenate([data.train_images, data.train_images])[:12_800])
        seen = {contender: [] for contender in STEPS}
        for turn in range(options.rounds):
            for contender, results in seen.items():
                if contender == "Keras":
                    command = [python, Path(__file__).with_name("keras_peer.py")]
                else:
                    command = [sys.executable, __file__, "--contender", contender, "--system"]
                command += [options.system, images, str(STEPS[contender])]
                results.append(contend(contender, command, folder))
                print(f"round {turn + 1}, {contender}: {results[-1]['ms']:.1f} ms a step", flush=True)
    report(options.system, seen)


def report(system: str, seen: dict[str, list[dict]]) -> None:
    """Print medians, and the median of each round's ratio to Keras."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(
        f"\n{system}, one training step, {threads} cores for every contender, medians of {len(seen['Keras'])} rounds\n"
    )
    print(
        f"{'contender':12} {'ms a step':>10} {'to Keras':>9} {'first step, s':>14} {'in a later process':>19}  versions"
    )
    for contender, results in seen.items():
        ratio = statistics.median(a["ms"] / b["ms"] for a, b in zip(results, seen["Keras"], strict=True))
        ms = statistics.median(result["ms"] for result in results)
        later = statistics.median(result["first_s"] for result in results[1:] or results)
        print(
            f"{contender:12} {ms:10.1f} {ratio:9.2f} {results[0]['first_s']:14.1f} {later:19.1f}  "
            f"{results[0]['versions']}"
        )
    gain = statistics.median(a["ms"] / b["ms"] for a, b in zip(seen["plain Haiku"], seen["vqtutor"], strict=True))
    print(f"\nvqtutor is {gain:.1f} times as fast as plain Haiku.")


if __name__ == "__main__":
    main()
