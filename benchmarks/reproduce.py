"""Train a published system at its published settings on real data, and set our figures beside the published ones.

    VQTUTOR_DATA=... python benchmarks/reproduce.py R1 --epochs 5

Prints a small table and, last, one line of JSON.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vqtutor import fit, load_dataset
from vqtutor.models import autoencoder


@dataclass(frozen=True)
class System:
    """A published system: how it is made, and what was said of it.

    Attributes:
      published: figure -> what the published runs gave at the published length; `early` after so many epochs.
    """

    settings: autoencoder.Settings
    network: Callable[[], Any]
    prepare: Callable[[jax.Array], jax.Array]
    published: dict[str, str]
    early: dict[int, str] = field(default_factory=dict)


# Training MSE over the data variance: Keras's two published runs of R1. R3's practical prints no final figure.
SYSTEMS = {
    "R1": System(
        autoencoder.R1,
        autoencoder.vqvae,
        autoencoder.prepare,
        {"reconstruction": "0.0447 and 0.0444", "vq": "0.1671 and 0.1682"},
        {5: "0.0883 and 0.0898"},
    ),
    "R3": System(autoencoder.R3, autoencoder.residual_vqvae, autoencoder.prepare_r3, {}),
}


def train(system: System, length: dict[str, int], seed: int, checkpoint: str | None) -> tuple[Any, Any, Any]:
    """Return the data, the network and the Run."""
    data, network, settings = load_dataset("mnist"), system.network(), system.settings
    shown = system.prepare(jnp.asarray(data.train_images[:1]))
    loss_fn = autoencoder.make_loss(network, variance(system, data.train_images), settings.num_codes, settings.beta)
    params, optimizer = network.init(jax.random.key(seed), shown), optax.adam(settings.learning_rate)
    step, state = autoencoder.make_train_step(loss_fn, optimizer), (params, optimizer.init(params))
    options = dict(batch_size=settings.batch_size, seed=seed, prepare=system.prepare, checkpoint=checkpoint)
    return data, network, fit(step, state, data.train_images, **length, **options)


def variance(system: System, images: np.ndarray) -> float:
    """Return the variance of the prepared images over all their pixels."""
    moments = [np.asarray(system.prepare(jnp.asarray(part)), np.float64) for part in np.array_split(images, 20)]
    mean, count = sum(part.sum() for part in moments), sum(part.size for part in moments)
    return sum((part**2).sum() for part in moments) / count - (mean / count) ** 2


def evaluate(system: System, network: Any, params: Any, images: np.ndarray, scale: float) -> dict[str, Any]:
    """Return held-out reconstruction, and how the codes of held-out images are used."""
    forward = jax.jit(lambda pixels: network.apply(params, system.prepare(pixels)))
    errors, indices = [], []
    for part in np.array_split(images, 20):
        out = forward(part)
        errors.append(np.mean((out["x_hat"] - system.prepare(jnp.asarray(part))) ** 2))
        indices.append(out["indices"])
    indices = np.concatenate(indices)
    usage = np.bincount(indices.ravel(), minlength=system.settings.num_codes) / indices.size
    return {
        "held_out_reconstruction": float(np.mean(errors)) / scale,
        "perplexity": float(np.exp(-np.sum(usage[usage > 0] * np.log(usage[usage > 0])))),
        "codes_used": int((usage > 0).sum()),
        "num_codes": system.settings.num_codes,
        "bits_per_image": autoencoder.bits_per_image(indices.shape[1:], system.settings.num_codes),
    }


def draw(system: System, network: Any, params: Any, images: np.ndarray, file: str) -> None:
    """Save ten test images beside their reconstructions."""
    from vqtutor.show import figures

    x = system.prepare(jnp.asarray(images[:10]))
    low, high = float(x.min()), float(x.max())
    x_hat = network.apply(params, x)["x_hat"]
    figures.reconstructions((x[..., 0] - low) / (high - low), (x_hat[..., 0] - low) / (high - low)).save(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("--epochs", type=int, help="train so long, not as long as published")
    parser.add_argument("--steps", type=int, help="train so long, not as long as published")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", help="a file to keep the training in, and to go on from")
    parser.add_argument("--picture", help="a .png of test images beside their reconstructions")
    options = parser.parse_args()
    system = SYSTEMS[options.system]
    asked = {"epochs": options.epochs, "steps": options.steps}
    length = {k: v for k, v in asked.items() if v} or {
        k: v for k in asked if (v := getattr(system.settings, k)) is not None
    }
    data, network, run = train(system, length, options.seed, options.checkpoint)
    if data.name != "mnist":
        print("These are not the published data: set VQTUTOR_DATA to a folder that has them.")
    per_epoch = len(data.train_images) // system.settings.batch_size
    by_epoch = [part.mean() for part in np.array_split(run.history["reconstruction"], max(1, run.steps // per_epoch))]
    print("training reconstruction by epoch:", " ".join(f"{value:.4f}" for value in by_epoch))
    figures = {
        "system": options.system,
        "data": data.name,
        "seed": options.seed,
        "steps": run.steps,
        "reconstruction": float(by_epoch[-1]),
        "vq": float(run.history["vq"][-per_epoch:].mean()),
        **evaluate(system, network, run.state[0], data.test_images, variance(system, data.train_images)),
        "seconds": run.seconds,
        "ms_per_step": 1e3 / run.steps_per_second,
    }
    if options.picture:
        draw(system, network, run.state[0], data.test_images, options.picture)
    whole = options.epochs is None and options.steps is None
    published = system.published if whole else {"reconstruction": system.early.get(options.epochs, "-")}
    print(f"{'':28} {'published':>18} {'ours':>10}")
    for name, value in figures.items():
        text = f"{value:.4f}" if isinstance(value, float) else str(value)
        print(f"{name:28} {published.get(name, '-'):>18} {text:>10}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
