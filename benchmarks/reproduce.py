"""Train a published system at its published settings on real data, and set our figures beside the published ones.

    VQTUTOR_DATA=... python benchmarks/reproduce.py R1 --epochs 5

Prints a small table and, last, one line of JSON.
"""

import argparse
import json
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax

from vqtutor import Run, fit, load_dataset, train_reader
from vqtutor.models import autoencoder, ema, gated, losses, pixelcnn, sampling
from vqtutor.reader import SURE


@dataclass(frozen=True)
class System:
    """A published system: how it is made, and what was said of it.

    Attributes:
      network: `network(num_codes, code_dim)`, with a codebook learned by gradient or, where `is_ema`, a running mean.
      published: figure -> what the published runs gave at the published length; `early` after so many epochs.
      data: the set it is trained on.
      bernoulli: whether what comes back are logits, and the loss nats an image.
      scaled: whether the loss is over the variance of the data.
      revive: below which count a code is restarted; None leaves dead codes dead.
    """

    settings: autoencoder.Settings
    network: Callable[[int, int], Any]
    prepare: Callable[[jax.Array], jax.Array]
    published: dict[str, str]
    early: dict[int, str] = field(default_factory=dict)
    data: str = "mnist"
    bernoulli: bool = False
    is_ema: bool = False
    revive: float | None = None
    scaled: bool = True


# Training MSE over the data variance: Keras's two published runs of R1. R2, R3 and R4 print no final figure.
_R1 = System(
    autoencoder.R1,
    autoencoder.vqvae,
    autoencoder.prepare,
    {"reconstruction": "0.0447 and 0.0444", "vq": "0.1671 and 0.1682"},
    {5: "0.0883 and 0.0898"},
)
_R1_EMA = replace(_R1, network=ema.ema_vqvae, is_ema=True)
SYSTEMS = {
    "R1": _R1,
    "R1-ema": replace(_R1_EMA, revive=ema.DEAD_BELOW),
    "R1-ema-without-revival": _R1_EMA,
    "R2": System(autoencoder.R2, autoencoder.small_vqvae, autoencoder.prepare_ink, {}, scaled=False),
    "R3": System(autoencoder.R3, autoencoder.residual_vqvae, autoencoder.prepare_r3, {}),
    "R4": System(
        autoencoder.R4,
        ema.letter_vqvae,
        autoencoder.prepare_ink,
        {},
        data="kmnist",
        bernoulli=True,
        is_ema=True,
        revive=ema.DEAD_BELOW,
    ),
}


def build(
    system: System, scale: float, seed: int
) -> tuple[Any, Any, Callable[[tuple, jax.Array], dict[str, jax.Array]]]:
    """Return (step, state, forward); `forward(state, pixels)` is the network's output, "x_hat" as images."""
    settings, network = system.settings, system.network(system.settings.num_codes, system.settings.code_dim)
    shown, optimizer = system.prepare(jnp.zeros((1, 28, 28, 1), jnp.uint8)), optax.adam(settings.learning_rate)
    key = jax.random.key(seed)
    if not system.is_ema:
        loss_fn = autoencoder.make_loss(network, settings.num_codes, settings.beta, variance=scale)
        params = network.init(key, shown)
        apply = lambda state, x: network.apply(state[0], x)  # noqa: E731
        step, state = autoencoder.make_train_step(loss_fn, optimizer), (params, optimizer.init(params))
    else:
        variance = None if system.bernoulli else scale
        loss_fn = ema.make_loss(network, settings.num_codes, settings.beta, variance=variance)
        params, running = network.init(key, shown, True)
        apply = lambda state, x: network.apply(state[0], state[1], x, False)[0]  # noqa: E731
        step = ema.make_train_step(loss_fn, optimizer, system.revive)
        state = params, running, optimizer.init(params), jax.random.fold_in(key, 1)
    return step, state, lambda state, pixels: apply(state, system.prepare(pixels))


def variance(system: System, images: np.ndarray) -> float:
    """Return the variance of the prepared images over all their pixels."""
    moments = [np.asarray(system.prepare(jnp.asarray(part)), np.float64) for part in np.array_split(images, 20)]
    mean, count = sum(part.sum() for part in moments), sum(part.size for part in moments)
    return sum((part**2).sum() for part in moments) / count - (mean / count) ** 2


def train(
    system: System, seed: int, checkpoint: str | None, length: dict[str, int] | None = None
) -> tuple[Any, float, Run, Callable[[jax.Array], dict[str, jax.Array]]]:
    """Return (data, scale, run, forward) of a system trained for `length`, or as long as was published.

    `scale` is what squared errors are divided by in the loss.
    """
    data, settings = load_dataset(system.data), system.settings
    if data.name != system.data:
        print("These are not the published data: set VQTUTOR_DATA to a folder that has them.")
    scale = variance(system, data.train_images) if system.scaled else 1.0
    step, state, forward = build(system, scale, seed)
    length = length or {name: n for name in ("epochs", "steps") if (n := getattr(settings, name)) is not None}
    extra = dict(batch_size=settings.batch_size, seed=seed, prepare=system.prepare, checkpoint=checkpoint)
    run = fit(step, state, data.train_images, **length, **extra)
    return data, scale, run, partial(forward, run.state)


def train_until(
    goal: float, system: System, seed: int, checkpoint: str | None
) -> tuple[Any, float, Run, Callable[[jax.Array], dict[str, jax.Array]]]:
    """Do what `train` does, epoch by epoch, until held-out reconstruction is at or below `goal`."""
    epochs = 1
    with tempfile.TemporaryDirectory() as folder:
        while epochs <= system.settings.epochs:
            trained = train(system, seed, checkpoint or f"{folder}/autoencoder.npz", {"epochs": epochs})
            data, scale, run, forward = trained
            epochs = run.steps // (len(data.train_images) // system.settings.batch_size)  # a checkpoint's may be more
            reached = evaluate(system, forward, data.test_images, scale)["held_out_reconstruction"]
            print(f"after epoch {epochs}: held-out reconstruction {reached:.4f}", flush=True)
            if reached <= goal:
                break
            epochs += 1
    return trained


def asked_length(options: argparse.Namespace) -> dict[str, int] | None:
    """Return how long the command line asks to train; None for as long as was published."""
    return {name: n for name in ("epochs", "steps") if (n := getattr(options, name))} or None


def tell(figures: dict[str, Any], published: dict[str, str]) -> None:
    """Print a small table, and the figures as one line of JSON."""
    print(f"{'':28} {'published':>18} {'ours':>10}")
    for name, value in figures.items():
        text = f"{value:.4f}" if isinstance(value, float) else str(value)
        print(f"{name:28} {published.get(name, '-'):>18} {text:>10}")
    print(json.dumps(figures))


def evaluate(system: System, forward: Callable, images: np.ndarray, scale: float) -> dict[str, Any]:
    """Return held-out reconstruction, and how the codes of held-out images are used."""
    forward, costs, indices = jax.jit(forward), [], []
    for part in np.array_split(images, 20):
        out, x = forward(part), system.prepare(jnp.asarray(part))
        if system.bernoulli:
            prior = losses.uniform_prior_nats(out["indices"][0].size, system.settings.num_codes)
            costs.append(losses.bernoulli_nll(x, out["x_hat"]) + prior)
        else:
            costs.append(np.mean((out["x_hat"] - x) ** 2) / scale)
        indices.append(out["indices"])
    indices = np.concatenate(indices)
    return {
        "held_out_nats" if system.bernoulli else "held_out_reconstruction": float(np.mean(costs)),
        "perplexity": float(losses.perplexity(indices, system.settings.num_codes)),
        "codes_used": np.unique(indices).size,
        "num_codes": system.settings.num_codes,
        "bits_per_image": indices[0].size * math.log2(system.settings.num_codes),
    }


def draw(system: System, forward: Callable, images: np.ndarray, file: str) -> None:
    """Save ten test images beside their reconstructions."""
    from vqtutor.show import figures

    x, x_hat = system.prepare(jnp.asarray(images[:10])), forward(images[:10])["x_hat"]
    x_hat = jax.nn.sigmoid(x_hat) if system.bernoulli else x_hat
    low, high = float(x.min()), float(x.max())
    figures.reconstructions((x[..., 0] - low) / (high - low), (x_hat[..., 0] - low) / (high - low)).save(file)


@dataclass(frozen=True)
class Prior:
    """A prior over the code maps of a trained system.

    Attributes:
      system: the name of the autoencoder.
      network: () -> a module: indices [B, H, W] -> logits [B, H, W, K].
      published: figure -> what the published runs gave.
      decoder: of the autoencoder, for pictures; `black` is the value it gives to black.
      shifts: (down, right) in pixels. Pictures shifted by each are encoded as well, and the network is told which shift
        it was, as its condition: more maps to learn from, and the first shift, (0, 0), is what it is asked about.
      steps: how long to train where no epochs are published, at a rate that falls to 0 along a cosine, with decay of
        the weights.
    """

    system: str
    settings: pixelcnn.Settings
    network: Callable[[], Any]
    published: dict[str, str]
    decoder: Callable[[], Any] = autoencoder.Decoder
    black: float = -0.5
    shifts: tuple[tuple[int, int], ...] = ()
    steps: int | None = None

    def forward(self, indices: jax.Array, shift: jax.Array | int = 0) -> jax.Array:
        """Return logits; inside a transformed function, as all that follow."""
        return self.network()(indices, *self._condition(indices, shift))

    def at(self, indices: jax.Array, *place: Any) -> tuple[jax.Array, Any]:
        return self.network().at(indices, *place, *self._condition(indices, 0))

    def _condition(self, indices: jax.Array, shift: jax.Array | int) -> tuple[jax.Array, ...]:
        told = jnp.broadcast_to(shift, len(indices))
        return (jax.nn.one_hot(told, len(self.shifts)),) if self.shifts else ()

    def optimizer(self, steps: int) -> optax.GradientTransformation:
        rate = self.settings.learning_rate
        if self.steps is None:
            return optax.adam(rate)
        schedule = optax.warmup_cosine_decay_schedule(0.0, rate, steps // 50, steps)
        return optax.adamw(schedule, weight_decay=1e-2)


_R1_PRIOR = Prior(
    "R1",
    pixelcnn.R1_PRIOR,
    pixelcnn.PixelCNN,
    {
        "train_nats": "0.9321",
        "train_accuracy": "0.7157",
        "held_out_nats": "1.0174 and 1.0336",
        "held_out_accuracy": "0.6972 and 0.6728",
        "held_out_bits_per_image": "71.9",
    },
)
PRIORS = {
    "R1-prior": _R1_PRIOR,
    "R1-ema-prior": replace(_R1_PRIOR, system="R1-ema"),
    "R1-gated-prior": replace(
        _R1_PRIOR,
        settings=replace(pixelcnn.R1_PRIOR, learning_rate=1e-3),
        network=partial(gated.GatedPixelCNN, 128, channels=64, blocks=4),
    ),
    # The best of the course: five gated blocks, small batches, and pictures shifted by a pixel beside the others.
    "R1-best-prior": replace(
        _R1_PRIOR,
        settings=pixelcnn.Settings(learning_rate=2e-3, batch_size=32, epochs=0, held_out=0.1),
        network=partial(gated.GatedPixelCNN, 128, channels=64, blocks=5),
        shifts=((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)),
        steps=30_000,
    ),
    "R2-prior": Prior("R2", pixelcnn.R2_PRIOR, gated.GatedPixelCNN, {}, autoencoder.SmallDecoder, black=0.0),
}


def code_maps(forward: Callable, images: np.ndarray) -> np.ndarray:
    """Return the code map of every image, int32 [N, H, W]."""
    forward = jax.jit(forward)
    return np.concatenate([forward(part)["indices"] for part in np.array_split(images, len(images) // 500)])


def split(prior: Prior, options: argparse.Namespace) -> tuple[Any, np.ndarray, np.ndarray, Callable[[Any], Any] | None]:
    """Return the code maps to train on, those held out, those of test images, int32 [N, H, W] each, and `decode`.

    Those to train on are {"indices", "condition"} for a prior that learns from shifted pictures too. `decode` makes
    images in [0, 1] of code maps; there is none for codes that come from a file.
    """
    decode, shifted = None, []
    if options.codes:
        with np.load(options.codes) as file:
            indices, test = file["train"], file["test"]
    else:
        how = partial(train_until, options.stop_at) if options.stop_at else train
        data, _, trained, forward = how(SYSTEMS[prior.system], options.seed, options.autoencoder)
        decode = partial(decoded, prior, trained.state)
        indices, test = code_maps(forward, data.train_images), code_maps(forward, data.test_images)
        shifted = [code_maps(forward, np.roll(data.train_images, by, (1, 2))) for by in prior.shifts[1:]]
    first = round(prior.settings.held_out * len(indices))
    # In the order of the data set: a training never saw the first ones, nor these shifted.
    own = indices[first:]
    if shifted:
        told = np.repeat(np.arange(1 + len(shifted)), len(own))
        own = {"indices": np.concatenate([own, *(maps[first:] for maps in shifted)]), "condition": told}
    return own, indices[:first], test, decode


def build_prior(
    prior: Prior, indices: np.ndarray, seed: int, steps: int | None = None
) -> tuple[hk.Transformed, Any, tuple]:
    """Return (network, step, state) of a prior that has not learned yet; `indices` are looked at for their shape."""
    network = hk.without_apply_rng(hk.transform(prior.forward))
    params, optimizer = network.init(jax.random.key(seed), indices[:1]), prior.optimizer(steps or prior.steps)
    return network, pixelcnn.make_train_step(network, optimizer), (params, optimizer.init(params))


def decoded(prior: Prior, state: tuple, indices: np.ndarray) -> jax.Array:
    holders = state[int(SYSTEMS[prior.system].is_ema)]  # parameters, or the state of an EMA codebook
    (codebook,) = (own["codebook"] for own in holders.values() if "codebook" in own)
    return autoencoder.decode(state[0], codebook[indices], prior.decoder)[..., 0] - prior.black


def draw_maps(prior: Prior, params: Any, key: jax.Array, shape: tuple[int, int, int]) -> jax.Array:
    """Draw code maps from a trained prior, a place at a time."""
    begin = hk.without_apply_rng(hk.transform(lambda: prior.network().begin(shape)))
    at = hk.without_apply_rng(hk.transform(prior.at))
    return sampling.draw(key, partial(at.apply, params), begin.apply(params), shape)


def share_read(data: Any, pictures: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the share of pictures, [N, 28, 28] in [0, 1], that a reader of the data is sure to read as some digit."""
    read = train_reader(data.train_images, data.train_labels)
    return {name: float(np.mean(read(shown).max(-1) >= SURE)) for name, shown in pictures.items()}


def draw_prior(
    prior: Prior, apply: Callable, params: Any, decode: Callable, test: np.ndarray, num_codes: int, file: str
) -> None:
    """Save what the prior guesses of test images, each code given the true ones before it, and what it draws."""
    from vqtutor.show import figures

    shape, key = test[:10].shape, jax.random.key(0)
    rows = {
        "test images": test[:10],
        "guessed code by code": jnp.argmax(apply(test[:10]), axis=-1),
        "uniform prior": jax.random.randint(key, shape, 0, num_codes),
        "learned prior": draw_maps(prior, params, key, shape),
    }
    figures.rows_of_images(
        {name: np.asarray(decode(indices)) for name, indices in rows.items()}, "Four rows of ten images."
    ).save(file)


def likelihood(apply: Callable, indices: np.ndarray) -> tuple[float, float]:
    """Return (nats a code, share of codes that are the likeliest) of code maps under a prior."""

    @jax.jit
    def one(indices):
        logits = apply(indices)
        return pixelcnn.prior_loss(logits, indices), jnp.mean(jnp.argmax(logits, -1) == indices)

    seen = np.array([one(part) for part in np.array_split(indices, max(1, len(indices) // 500))])
    return float(seen[:, 0].mean()), float(seen[:, 1].mean())


def run_prior(name: str, options: argparse.Namespace) -> None:
    """Train a prior on the code maps of an autoencoder, which is trained first unless a checkpoint has it."""
    prior = PRIORS[name]
    system, settings = SYSTEMS[prior.system], prior.settings
    maps, held_out, test, decode = split(prior, options)
    indices = maps["indices"] if isinstance(maps, dict) else maps
    length = asked_length(options) or ({"steps": prior.steps} if prior.steps else {"epochs": settings.epochs})
    network, step, state = build_prior(prior, indices, options.seed, length.get("steps"))
    extra = dict(batch_size=settings.batch_size, seed=options.seed, checkpoint=options.checkpoint)
    run = fit(step, state, maps, **length, **extra)
    per_epoch, apply = len(indices) // settings.batch_size, partial(network.apply, run.state[0])
    (held_nats, held_accuracy), (test_nats, test_accuracy) = likelihood(apply, held_out), likelihood(apply, test)
    figures = {
        "system": name,
        "codes": options.codes or "our own",
        "seed": options.seed,
        "parameters": hk.data_structures.tree_size(state[0]),
        "steps": run.steps,
        "perplexity_of_codes": float(losses.perplexity(indices, system.settings.num_codes)),
        "train_nats": float(run.history["loss"][-per_epoch:].mean()),
        "train_accuracy": float(run.history["accuracy"][-per_epoch:].mean()),
        "held_out_nats": held_nats,
        "held_out_accuracy": held_accuracy,
        "held_out_bits_per_image": pixelcnn.nats_to_bits_per_image(held_nats, indices.shape[1:]),
        "test_nats": test_nats,
        "test_accuracy": test_accuracy,
        "test_bits_per_image": pixelcnn.nats_to_bits_per_image(test_nats, indices.shape[1:]),
        "uniform_bits_per_image": autoencoder.bits_per_image(indices.shape[1:], system.settings.num_codes),
        "seconds": run.seconds,
        "ms_per_step": 1e3 / run.steps_per_second,
    }
    if decode is not None:
        data = load_dataset(SYSTEMS[prior.system].data)
        drawn = draw_maps(prior, run.state[0], jax.random.key(0), (400, 7, 7))
        pictures = {"test": data.test_images / 255.0, "rebuilt": decode(test[:1000]), "drawn": decode(drawn)}
        figures |= {f"read_{name}": share for name, share in share_read(data, pictures).items()}
    if options.picture and decode is not None:
        draw_prior(prior, apply, run.state[0], decode, test, system.settings.num_codes, options.picture)
    tell(figures, prior.published if asked_length(options) is None else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("system", choices=[*SYSTEMS, *PRIORS])
    parser.add_argument("--epochs", type=int, help="train so long, not as long as published")
    parser.add_argument("--steps", type=int, help="train so long, not as long as published")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", help="a file to keep the training in, and to go on from")
    parser.add_argument("--autoencoder", help="of a prior: the checkpoint of the autoencoder below it")
    parser.add_argument(
        "--stop-at", type=float, help="of a prior: end the autoencoder's training at this held-out error"
    )
    parser.add_argument("--codes", help="of a prior: a file of code maps to train on, such as keras_codes.py writes")
    parser.add_argument("--picture", help="a .png: test images beside reconstructions, or a prior's drawings")
    options = parser.parse_args()
    if options.system in PRIORS:
        run_prior(options.system, options)
        return
    system = SYSTEMS[options.system]
    data, scale, run, trained = train(system, options.seed, options.checkpoint, asked_length(options))
    settings = system.settings
    per_epoch = len(data.train_images) // settings.batch_size
    cost, pull = (
        ("nats", "commitment") if system.bernoulli else ("reconstruction", "commitment" if system.is_ema else "vq")
    )
    by_epoch = [part.mean() for part in np.array_split(run.history[cost], max(1, run.steps // per_epoch))]
    print(f"training {cost} by epoch:", " ".join(f"{value:.4f}" for value in by_epoch))
    figures = {
        "system": options.system,
        "data": data.name,
        "seed": options.seed,
        "steps": run.steps,
        cost: float(by_epoch[-1]),
        pull: float(run.history[pull][-per_epoch:].mean()),
        **evaluate(system, trained, data.test_images, scale),
        "seconds": run.seconds,
        "ms_per_step": 1e3 / run.steps_per_second,
    }
    if options.picture:
        draw(system, trained, data.test_images, options.picture)
    whole = asked_length(options) is None
    tell(figures, system.published if whole else {cost: system.early.get(options.epochs, "-")})


if __name__ == "__main__":
    main()
