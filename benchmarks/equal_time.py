"""R1's plain prior against a gated one: held-out nats after equal training time, on the same code maps.

    VQTUTOR_DATA=... python benchmarks/equal_time.py --minutes 10 --autoencoder r1.npz

The two train in turns, whichever has trained for less time so far, so that a busy machine slows both alike. Compiling
is not counted.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import haiku as hk
from reproduce import PRIORS, build_prior, likelihood, split

from vqtutor import fit
from vqtutor.models import losses

CONTENDERS = ("R1-prior", "R1-gated-prior")
STEPS_A_TURN = 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="of training, for each of the two")
    parser.add_argument("--autoencoder", help="the checkpoint of R1's autoencoder; it is trained when there is none")
    parser.add_argument("--codes", help="a file of code maps instead, such as keras_codes.py writes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--learning-rate", type=float, help="of both (default: R1's own)")
    options = parser.parse_args()
    options.stop_at = None
    indices, held_out, *_ = split(PRIORS["R1-prior"], options)
    print(f"perplexity of the codes {float(losses.perplexity(indices, 128)):.1f}")
    rate = options.learning_rate or PRIORS["R1-prior"].settings.learning_rate
    contenders = {
        name: replace(PRIORS[name], settings=replace(PRIORS[name].settings, learning_rate=rate)) for name in CONTENDERS
    }
    made = {name: build_prior(prior, indices, options.seed) for name, prior in contenders.items()}
    seconds, steps, seen = (dict.fromkeys(CONTENDERS, start) for start in (0.0, 0, None))
    with tempfile.TemporaryDirectory() as folder:
        while (name := min(CONTENDERS, key=seconds.get)) and seconds[name] < 60 * options.minutes:
            network, step, state = made[name]
            steps[name] += STEPS_A_TURN
            extra = dict(checkpoint=str(Path(folder) / f"{name}.npz"), seed=options.seed, progress=False)
            run = fit(step, state, indices, steps=steps[name], batch_size=contenders[name].settings.batch_size, **extra)
            nats, accuracy = likelihood(
                lambda indices, run=run, net=network: net.apply(run.state[0], indices), held_out
            )
            seconds[name] = run.seconds
            seen[name] = {
                "parameters": hk.data_structures.tree_size(state[0]),
                "seconds": run.seconds,
                "steps": run.steps,
                "train_nats": float(run.history["loss"][-STEPS_A_TURN:].mean()),
                "held_out_nats": nats,
                "held_out_accuracy": accuracy,
            }
            print(f"{name:15}", *(f"{what} {value:.5g}" for what, value in seen[name].items()), flush=True)
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
