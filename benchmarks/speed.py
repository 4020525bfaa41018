"""Time a training step of a reference system against plain Haiku, Keras `fit` and PyTorch: `make bench`.

Contenders run in turn, each in a process of its own (A B C, A B C, ...), on the same data, with whatever threads they
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
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[1]
PEERS = ROOT / "build" / "bench-venv"
HERE = Path(__file__).parent
# Steps that are timed, of vqtutor and the peers; plain Haiku gets a sixth of them.
STEPS = {"R1": 60, "R3": 80, "R4": 12, "R1-prior": 30, "R2-prior": 24}
CODES = {"R1-prior": 128, "R2-prior": 10}
CONTENDERS = ("vqtutor", "plain Haiku", "Keras", "PyTorch", "PyTorch compiled")


def peer_python() -> Path:
    """Return an interpreter that has TensorFlow and PyTorch, in a venv of its own that the course never sees."""
    python = PEERS / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (PEERS / ".installed").exists():
        print(f"Making {PEERS} for Keras, TensorFlow and PyTorch; this takes some minutes, once.")
        venv.create(PEERS, with_pip=True, clear=True)
        wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["bench"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
        (PEERS / ".installed").touch()
    return python


def as_haiku_comes() -> None:
    """Put Haiku's own convolutions into the course's networks, masks on one-hot codes included."""
    import haiku as hk
    import jax

    from vqtutor.models import autoencoder, pixelcnn

    def own(module):
        def layer(channels, shape, stride=1, w_init=None, activation=lambda y: y):
            convolution = module(channels, shape, stride, w_init=w_init)
            return lambda x: activation(convolution(x))

        return layer

    def masked(self, x):
        shape = (*self.mask.shape, x.shape[-1], self.output_channels)
        mask = self.mask[..., None, None] + 0 * jax.numpy.zeros(shape)
        return hk.Conv2D(self.output_channels, self.mask.shape, padding=self.padding, mask=mask)(x)

    autoencoder.Conv2D, autoencoder.Conv2DTranspose = own(hk.Conv2D), own(hk.Conv2DTranspose)
    pixelcnn.TapConv.__call__ = masked
    pixelcnn.TapConv.of_indices = lambda self, indices, num_codes: self(jax.nn.one_hot(indices, num_codes))


def ours(system: str, file: str, steps: int, plain: bool) -> dict:
    """Train with vqtutor's fit; `plain` swaps in Haiku's own convolutions, jitted and called step by step."""
    import haiku as hk
    import jax
    import numpy as np
    import optax
    from reproduce import PRIORS, SYSTEMS, build, build_prior

    if plain:
        as_haiku_comes()
    data, prepare = np.load(file), None
    if system in CODES:
        _, step, state = build_prior(PRIORS[system], data, 0)
        batch = PRIORS[system].settings.batch_size
    else:
        built = SYSTEMS[system]
        step, state, _ = build(built, float(np.var(data / 255)), 0)
        batch, prepare = built.settings.batch_size, built.prepare
    start = time.perf_counter()
    if plain:
        step, prepare = jax.jit(step), prepare or (lambda x: x)
        batches = [prepare(jax.numpy.asarray(data[i * batch : (i + 1) * batch])) for i in range(steps)]
        *state, _ = jax.block_until_ready(step(*state, batches[0]))
        first, start = time.perf_counter() - start, time.perf_counter()
        for x in batches:
            *state, _ = jax.block_until_ready(step(*state, x))
        ms = 1e3 * (time.perf_counter() - start) / steps
    else:
        from vqtutor import fit

        fit(step, state, data, steps=1, batch_size=batch, prepare=prepare, progress=False)
        first = time.perf_counter() - start
        fit(step, state, data, steps=4, batch_size=batch, prepare=prepare, progress=False)
        run = fit(step, state, data, steps=steps, batch_size=batch, prepare=prepare, progress=False)
        ms = 1e3 * run.seconds / run.steps
    versions = f"jax {jax.__version__}, dm-haiku {hk.__version__}, optax {optax.__version__}"
    count = sum(leaf.size for leaf in jax.tree.leaves(state[0]))
    return {"ms": ms, "first_s": first, "parameters": count, "versions": versions}


def contend(contender: str, command: list, cache: str) -> dict:
    """Run one contender in a process of its own and return what its last line says."""
    own = {"VQTUTOR_CACHE": cache, "TORCHINDUCTOR_CACHE_DIR": os.path.join(cache, "inductor"), "PYTHONPATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | own)
    if done.returncode:
        raise SystemExit(f"{contender} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", nargs="*", choices=list(STEPS), default=list(STEPS))
    parser.add_argument("--contenders", nargs="*", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peer-python", type=Path, help="an interpreter that has TensorFlow and PyTorch already")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        system, file, steps = options.rest
        print(json.dumps(ours(system, file, int(steps), options.contender == "plain Haiku")))
        return
    import numpy as np

    from vqtutor import load_dataset

    peers = set(options.contenders) - {"vqtutor", "plain Haiku"}
    python = (options.peer_python or peer_python()) if peers else sys.executable
    with tempfile.TemporaryDirectory() as folder:
        data = load_dataset("strokes")
        np.save(f"{folder}/images.npy", np.concatenate([data.train_images, data.train_images])[:12_800])
        for system, count in CODES.items():
            codes = np.random.default_rng(0).integers(0, count, (128 * STEPS[system], 7, 7), np.int32)
            np.save(f"{folder}/{system}.npy", codes)
        seen = {system: {contender: [] for contender in options.contenders} for system in options.systems}
        for turn in range(options.rounds):
            for system, contender in product(options.systems, options.contenders):
                rest = [system, f"{folder}/{system if system in CODES else 'images'}.npy", str(STEPS[system])]
                if contender == "Keras":
                    command = [python, HERE / "keras_peer.py", *rest]
                elif contender in peers:
                    command = [python, HERE / "torch_peer.py", *rest, *contender.split()[1:]]
                else:
                    rest[-1] = str(STEPS[system] // 6) if contender == "plain Haiku" else rest[-1]
                    command = [sys.executable, __file__, "--contender", contender, *rest]
                seen[system][contender].append(contend(contender, command, folder))
                print(
                    f"round {turn + 1}, {system}, {contender}: {seen[system][contender][-1]['ms']:.1f} ms", flush=True
                )
    report(seen, options.rounds)


def spread(values: list[float], digits: int) -> str:
    """Return the median, and in brackets the smallest and the largest value."""
    low, middle, high = (f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low}-{high})"


def report(seen: dict[str, dict[str, list[dict]]], rounds: int) -> None:
    """Print a table of contenders and systems: milliseconds, and below them each round's ratio to Keras."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"\nms a training step, {threads} threads, medians of {rounds} rounds in turn (spread); below, to Keras\n")
    print(f"| | {' | '.join(seen)} |\n|{'---|' * (len(seen) + 1)}")
    contenders = list(next(iter(seen.values())))
    for contender in contenders:
        found = [results[contender] for results in seen.values()]
        print(f"| {contender} | {' | '.join(spread([one['ms'] for one in runs], 1) for runs in found)} |")
        if "Keras" in contenders and contender != "Keras":
            pairs = [zip(results[contender], results["Keras"], strict=True) for results in seen.values()]
            print(f"| | {' | '.join(spread([a['ms'] / b['ms'] for a, b in pair], 2) for pair in pairs)} |")
    print("\nSeconds until the first step is done, in the first process; in a later one. Numbers that are learned.\n")
    print(f"| | {' | '.join(seen)} |\n|{'---|' * (len(seen) + 1)}")
    for contender in contenders:
        cells = []
        for results in seen.values():
            first, *later = (run["first_s"] for run in results[contender])
            count = results[contender][0]["parameters"]
            cells.append(f"{first:.1f}; {statistics.median(later or [first]):.1f}; {count:,}")
        print(f"| {contender} | {' | '.join(cells)} |")
        print(f"| | {next(iter(seen.values()))[contender][0]['versions']} |")


if __name__ == "__main__":
    main()
