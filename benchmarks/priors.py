"""Time R1's prior against Keras: a training step, and drawing 10 and 1,000 code maps.

Contenders run in turn, each in a process of its own, as in speed.py. Two ways of ours draw: `vqtutor` asks the network
for the new place only, `whole network` asks for all places at each of 49 steps, compiled as well; both draw the same.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from speed import contend, peer_python

STEPS = 60
CONTENDERS = ("vqtutor", "whole network", "Keras")


def ours(file: str, whole: bool) -> dict:
    import haiku as hk
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    from vqtutor import fit
    from vqtutor.models import pixelcnn, sampling

    indices, seen = np.load(file)[: STEPS * 128], {}
    network = hk.without_apply_rng(hk.transform(lambda indices: pixelcnn.PixelCNN()(indices)))
    at = hk.without_apply_rng(hk.transform(lambda *place: pixelcnn.PixelCNN().at(*place)))
    params = network.init(jax.random.key(0), indices[:1])
    optimizer = optax.adam(pixelcnn.R1_PRIOR.learning_rate)
    if not whole:
        step, state = pixelcnn.make_train_step(network, optimizer), (params, optimizer.init(params))
        run = fit(step, state, indices, steps=STEPS, progress=False)
        seen["step, ms"] = 1e3 * run.seconds / run.steps
    for count in (10, 1000):
        shape = (count, 7, 7)
        begin = hk.without_apply_rng(hk.transform(lambda shape=shape: pixelcnn.PixelCNN().begin(shape)))

        def draw(params, key, shape=shape, begin=begin):
            if whole:
                return sampling.sample(key, lambda indices: network.apply(params, indices), shape)
            return sampling.draw(key, lambda *place: at.apply(params, *place), begin.apply(params), shape)

        start = time.perf_counter()
        compiled = jax.jit(draw).lower(params, jax.random.key(0)).compile()
        seen[f"{count} images, compile s"] = time.perf_counter() - start
        times = []
        for turn in range(3):
            start = time.perf_counter()
            drawn = jax.block_until_ready(compiled(params, jax.random.key(turn)))
            times.append(time.perf_counter() - start)
        seen[f"{count} images, s"] = statistics.median(times)
        seen[f"{count} images, sum"] = int(jnp.sum(drawn))
    return seen | {"versions": f"jax {jax.__version__}, dm-haiku {hk.__version__}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-python", type=Path, help="an interpreter that has TensorFlow already")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("file", nargs="?", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        print(json.dumps(ours(options.file, options.contender == "whole network")))
        return
    import numpy as np

    python = options.peer_python or peer_python()
    seen = {contender: [] for contender in CONTENDERS}
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "codes.npy")
        np.save(file, np.random.default_rng(0).integers(0, 128, (STEPS * 128, 7, 7), np.int32))
        for turn in range(options.rounds):
            for contender, results in seen.items():
                if contender == "Keras":
                    command = [python, Path(__file__).with_name("keras_prior.py"), file, str(STEPS)]
                else:
                    command = [sys.executable, __file__, "--contender", contender, file]
                results.append(contend(contender, command, folder))
                print(f"round {turn + 1}, {contender}: {results[-1]}", flush=True)
    for a, b in zip(seen["vqtutor"], seen["whole network"], strict=True):
        if a["10 images, sum"] != b["10 images, sum"]:
            print("The two ways of drawing disagree in a code or more: float32 ties, or a bug.")
    print(f"\nR1's prior, medians of {options.rounds} rounds; in brackets how many times as fast as Keras\n")
    for what in ("step, ms", "10 images, s", "1000 images, s", "10 images, compile s"):
        cells = []
        for contender, results in seen.items():
            values = [result[what] for result in results if what in result]
            if values and what in seen["Keras"][0]:
                gain = statistics.median(k[what] / v for k, v in zip(seen["Keras"], values, strict=True))
                cells.append(f"{contender}: {statistics.median(values):.4g} ({gain:.3g})")
            elif values:
                cells.append(f"{contender}: {statistics.median(values):.4g}")
        print(f"{what:22} " + "   ".join(cells))


if __name__ == "__main__":
    main()
