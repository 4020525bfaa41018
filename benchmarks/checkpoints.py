"""Make the weights that ship with the package: an autoencoder with an EMA codebook and the prior of lesson 06 over its
codes, for the built-in digits and, where VQTUTOR_DATA has it, MNIST.

    VQTUTOR_DATA=... nice -n 19 python benchmarks/checkpoints.py

A run that is stopped goes on where it was. At the end it says how the result does on test images, and writes the files
and their checksums into vqtutor/checkpoints.
"""

import argparse
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax

from vqtutor import checkpoints, fit, load_dataset, train_codec, train_reader
from vqtutor.data import Dataset, strokes
from vqtutor.lessons.answers import reference
from vqtutor.models import autoencoder, pixelcnn
from vqtutor.reader import SURE
from vqtutor.storage import whole_file

# What the lessons do, for longer.
CODEC_STEPS, CODEC_BATCH = {"strokes": 5000, "mnist": 5000}, 32
PRIOR = dict(num_codes=64, channels=48, blocks=5)
PRIOR_STEPS = {"strokes": 10_000, "mnist": 10_000}
PRIOR_RATE, PRIOR_BATCH = 3e-3, 16
DRAWN = 40_000  # more built-in digits, for the prior: drawn on the spot, so it need not see any of them often


Maps = dict[str, np.ndarray]  # "indices" [N, 7, 7] and "label" [N]


def train_prior(train: Maps, test: Maps, steps: int, checkpoint: Path) -> tuple[hk.Params, float]:
    """Return (params, nats a code on test images)."""
    net = checkpoints.gated_prior(**PRIOR)
    schedule = optax.warmup_cosine_decay_schedule(0.0, PRIOR_RATE, min(100, steps // 10), steps)
    optimizer = optax.adam(schedule)

    def loss_fn(params, batch):
        return pixelcnn.prior_loss(net.apply(params, batch["indices"], batch["label"]), batch["indices"]), {}

    step = autoencoder.make_train_step(loss_fn, optimizer)
    params = net.init(jax.random.key(0), train["indices"][:1], train["label"][:1])
    extra = dict(steps=steps, batch_size=PRIOR_BATCH, checkpoint=checkpoint)
    params = fit(step, (params, optimizer.init(params)), train, **extra).state[0]
    nats = jax.jit(lambda batch: loss_fn(params, batch)[0])
    parts = [jax.tree.map(lambda x, at=at: x[at : at + 500], test) for at in range(0, len(test["label"]), 500)]
    return params, float(np.mean([nats(part) for part in parts]))


def stored(part: str, network: hk.Transformed, params: hk.Params, *inputs: Any) -> dict[str, np.ndarray]:
    """Return a network's parameters in float16, as part/module/leaf with numbers in the order of their making."""
    made = checkpoints.parameters(network, *inputs)
    modules = {module: [name for other, name, _ in made if other == module] for module, _, _ in made}
    return {
        f"{part}/{i:03}/{j}": np.asarray(params[module][name], np.float16)
        for i, (module, names) in enumerate(modules.items())
        for j, name in enumerate(names)
    }


def rounded(params: hk.Params) -> hk.Params:
    """Return parameters as they are after they were stored: what a student's own modules have to agree with."""
    return jax.tree.map(lambda x: jnp.asarray(np.asarray(x, np.float16), jnp.float32), params)


def make(name: str, work: Path) -> None:
    """Train on a data set, write its checkpoint and say what it does."""
    began, data = time.process_time(), load_dataset(name)
    if data.name != name:
        raise SystemExit(f"{name} is not here: set VQTUTOR_DATA to a folder that has it.")
    layers = {part: reference(f"vqvae.{part.title()}") for part in ("encoder", "decoder")}
    trained = train_codec(
        data.train_images, num_codes=PRIOR["num_codes"], steps=CODEC_STEPS[name], batch_size=CODEC_BATCH, **layers
    )
    codebook = rounded(trained.codebook)
    own = {part: {k: v for k, v in trained.run.state[0].items() if k.split("/")[0] == part} for part in layers}
    own = rounded(own)
    encoder = hk.without_apply_rng(hk.transform(lambda x: layers["encoder"](codebook.shape[1])(x)))
    decoder = hk.without_apply_rng(hk.transform(lambda codes: layers["decoder"]()(codes)))

    @jax.jit
    def encode(pixels):
        z_e = encoder.apply(own["encoder"], autoencoder.prepare(pixels))
        return z_e, reference("quantizer.nearest_code")(z_e, codebook)

    images = data.test_images[:2]
    z_e, indices = encode(images)
    arrays = {"codebook": np.asarray(codebook, np.float16), "probe/images": images, "probe/z_e": np.asarray(z_e)}
    arrays |= {"probe/indices": np.asarray(indices, np.int16)}
    arrays["probe/x_hat"] = np.asarray(decoder.apply(own["decoder"], codebook[indices]))
    arrays |= stored("encoder", encoder, own["encoder"], autoencoder.prepare(images))
    arrays |= stored("decoder", decoder, own["decoder"], codebook[indices])

    def maps(images, labels):
        found = [encode(part)[1] for part in np.array_split(images, len(images) // 500)]
        return {"indices": np.concatenate(found), "label": labels}

    examples = strokes.draw(DRAWN, seed=1) if name == "strokes" else (data.train_images, data.train_labels)
    test = maps(data.test_images, data.test_labels)
    weights, nats = train_prior(maps(*examples), test, PRIOR_STEPS[name], work / f"{name}-prior.npz")
    prior, told = checkpoints.gated_prior(**PRIOR), jnp.arange(2)
    arrays |= stored("prior", prior, weights, indices, told)
    arrays["probe/logits"] = np.asarray(prior.apply(rounded(weights), indices, told))
    lengths = {"autoencoder": (CODEC_STEPS[name], CODEC_BATCH), "prior": (PRIOR_STEPS[name], PRIOR_BATCH)}
    about = {"version": checkpoints.VERSION, "data": name, "title": data.title, "trained": lengths, "sizes": PRIOR}
    about |= {"held_out_nats": round(nats, 4)}
    with whole_file(checkpoints.FOLDER / f"{name}.npz") as file:
        np.savez_compressed(file, about=json.dumps(about), **arrays)
    _sign()
    seconds = time.process_time() - began
    print(json.dumps({"data": name, "held_out_nats": nats, "processor_seconds": round(seconds)} | measure(data)))


def _sign() -> None:
    """Write the checksums of all files."""
    files = sorted(checkpoints.FOLDER.glob("*.npz"))
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    with whole_file(checkpoints.FOLDER / "checksums.json") as file:
        file.write(f"{json.dumps(sums, indent=2)}\n".encode())


def measure(data: Dataset) -> dict[str, Any]:
    """Return what a shipped checkpoint does on test images, and how its drawings are read."""
    codec, (apply, params) = checkpoints.trained_codec(data), checkpoints.trained_prior(data)
    indices, sample = codec.encode(data.test_images), reference("pixelcnn.sample")
    back = np.concatenate([codec.decode(part) for part in np.array_split(indices, 4)])
    shares = np.bincount(indices.ravel(), minlength=codec.num_codes) / indices.size
    wanted = jnp.arange(100) % 10
    draw = jax.jit(lambda key, heat: sample(key, lambda maps: apply(params, maps, wanted), (100, 7, 7), heat))
    reader = train_reader(data.train_images, data.train_labels)
    chances = np.random.default_rng(0).integers(0, codec.num_codes, (400, 7, 7))
    pictures = {"test": data.test_images / 255.0, "rebuilt": back, "random_codes": codec.decode(chances)}
    for heat in (1.0, 0.8):
        drawn = [codec.decode(draw(key, heat)) for key in jax.random.split(jax.random.key(0), 4)]
        pictures[f"drawn_at_{heat}"] = np.concatenate(drawn)
    seen = {name: reader(shown) for name, shown in pictures.items()}
    asked = {name: seen[name][np.arange(400), np.tile(wanted, 4)] > 0.5 for name in seen if name.startswith("drawn")}
    return {
        "distortion": float(np.mean((back - data.test_images / 255.0) ** 2) / np.var(data.train_images / 255.0)),
        "codes_used": int((shares > 0).sum()),
        "perplexity": float(np.exp(-np.sum(shares[shares > 0] * np.log(shares[shares > 0])))),
        "reader_right": float(np.mean(seen["test"].argmax(-1) == data.test_labels)),
        "read": {name: float(np.mean(chances.max(-1) >= SURE)) for name, chances in seen.items()},
        "read_as_asked": {name: float(np.mean(one)) for name, one in asked.items()},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", help="strokes, mnist; both where MNIST is at hand")
    parser.add_argument("--work", type=Path, default=Path("build/checkpoints"), help="for trainings under way")
    parser.add_argument("--measure", action="store_true", help="train nothing, measure what is there")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    for each in options.data or ["strokes", *["mnist"] * bool(os.environ.get("VQTUTOR_DATA"))]:
        print(json.dumps(measure(load_dataset(each)))) if options.measure else make(each, options.work)
