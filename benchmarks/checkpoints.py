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
from functools import partial
from pathlib import Path
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax

from vqtutor import checkpoints, fit, load_dataset, train_reader
from vqtutor.data import Dataset
from vqtutor.lessons.answers import reference
from vqtutor.models import autoencoder, ema, pixelcnn
from vqtutor.storage import whole_file

# What the lessons do, for longer. MNIST has six times as many pictures.
CODEC = dict(num_codes=128, code_dim=16, learning_rate=4e-3, decay=0.95, batch_size=64)
CODEC_STEPS = {"strokes": 3000, "mnist": 4000}
PRIOR = dict(channels=48, blocks=5)
PRIOR_STEPS = {"strokes": 3000, "mnist": 5000}
PRIOR_RATE, PRIOR_BATCH, DECAY = 4e-3, 64, 1e-4
Parts = tuple[Any, Any, Any]  # Encoder, Decoder, EMAVectorQuantizer


def train_autoencoder(data: Dataset, work: Path) -> tuple[hk.Params, jax.Array]:
    """Return (params, codebook)."""
    steps, dim, name = CODEC_STEPS[data.name], CODEC["code_dim"], f"{data.name}-codec.npz"
    layers = reference("vqvae.Encoder"), reference("vqvae.Decoder")
    net = ema.ema_vqvae(CODEC["num_codes"], dim, *layers, partial(ema.EMAVectorQuantizer, decay=CODEC["decay"]))
    optimizer = optax.adam(optax.cosine_decay_schedule(CODEC["learning_rate"], steps))
    images = autoencoder.prepare(jnp.asarray(data.train_images[: CODEC["batch_size"]]))
    params, state = net.init(jax.random.key(0), images, True)
    z_e = net.apply(params, state, images, False)[0]["z_e"]
    ((module, own),) = state.items()  # the codebook begins on encodings: every code counts as dead
    names = ("counts", "sums", "codebook")
    begun = ema.restart_dead_codes(jax.random.key(5), *(own[name] for name in names), z_e, np.inf)
    state = {module: dict(zip(names, begun, strict=True))}
    loss_fn = ema.make_loss(net, CODEC["num_codes"], variance=float(np.var(data.train_images[:5000] / 255.0)))
    step = ema.make_train_step(loss_fn, optimizer, threshold=ema.DEAD_BELOW)
    start = params, state, optimizer.init(params), jax.random.key(1)
    extra = dict(batch_size=CODEC["batch_size"], prepare=autoencoder.prepare, checkpoint=work / name)
    run = fit(step, start, data.train_images, steps=steps, **extra)
    return run.state[0], run.state[1][module]["codebook"]


def train_prior(data: Dataset, indices: np.ndarray, held_out: tuple, work: Path) -> tuple[hk.Params, float]:
    """Return (params, nats a code on test images)."""
    steps, sizes = PRIOR_STEPS[data.name], PRIOR | {"num_codes": CODEC["num_codes"]}
    block = reference("gated.GatedBlock")
    net = hk.without_apply_rng(hk.transform(partial(checkpoints.network, block=block, **sizes)))
    schedule = optax.warmup_cosine_decay_schedule(0.0, PRIOR_RATE, 100, steps)
    optimizer = optax.adamw(schedule, weight_decay=DECAY)

    def loss_fn(params, batch):
        return pixelcnn.prior_loss(net.apply(params, batch["indices"], batch["label"]), batch["indices"]), {}

    step = autoencoder.make_train_step(loss_fn, optimizer)
    params = net.init(jax.random.key(0), indices[:1], data.train_labels[:1])
    batches = {"indices": indices, "label": data.train_labels}
    extra = dict(batch_size=PRIOR_BATCH, checkpoint=work / f"{data.name}-prior.npz")
    params = fit(step, (params, optimizer.init(params)), batches, steps=steps, **extra).state[0]
    nats = jax.jit(lambda i, label: pixelcnn.prior_loss(net.apply(params, i, label), i))
    parts = [np.array_split(x, len(x) // 500) for x in held_out]
    return params, float(np.mean([nats(*both) for both in zip(*parts, strict=True)]))


def units(function: Any, params: hk.Params, *inputs: Any) -> list[list[np.ndarray]]:
    """Return a network's arrays in float16, a list a module, in the order of their making."""
    made = checkpoints.parameters(function, *inputs)
    modules = {module: [name for other, name, _ in made if other == module] for module, _, _ in made}
    return [[np.asarray(params[module][name], np.float16) for name in names] for module, names in modules.items()]


def make(name: str, work: Path) -> None:
    """Train on a data set, write its checkpoint and say what it does."""
    began, data = time.process_time(), load_dataset(name)
    if data.name != name:
        raise SystemExit(f"{name} is not here: set VQTUTOR_DATA to a folder that has it.")
    params, codebook = train_autoencoder(data, work)
    dim, K = codebook.shape[1], len(codebook)
    encoder, decoder = (lambda x: reference("vqvae.Encoder")(dim)(x)), (lambda z: reference("vqvae.Decoder")()(z))
    image = autoencoder.prepare(jnp.asarray(data.test_images[:2]))
    arrays: dict[str, Any] = {"codebook": np.asarray(codebook, np.float16)}
    arrays |= _flat("encoder", units(encoder, _of(params, "encoder"), image))
    arrays |= _flat("decoder", units(decoder, _of(params, "decoder"), jnp.zeros((1, 7, 7, dim))))
    about = {"version": checkpoints.VERSION, "data": name, "title": data.title, "autoencoder_steps": CODEC_STEPS[name]}
    about |= {"prior_steps": PRIOR_STEPS[name], "sizes": PRIOR | {"num_codes": K}, "how": CODEC}
    # What comes out of the weights as they are stored is what a student's own modules have to give.
    encode = _with(encoder, _of(arrays, "encoder"), image)
    codes = jnp.asarray(arrays["codebook"], jnp.float32)
    z_e = encode(image)
    indices = reference("quantizer.nearest_code")(z_e, codes)
    x_hat = _with(decoder, _of(arrays, "decoder"), codes[indices])(codes[indices])
    probe = {"images": data.test_images[:2], "z_e": z_e, "indices": np.asarray(indices, np.int16), "x_hat": x_hat}
    arrays |= {f"probe/{key}": np.asarray(value) for key, value in probe.items()}
    maps = jax.jit(lambda x: reference("quantizer.nearest_code")(encode(autoencoder.prepare(x)), codes))
    train, test = (
        np.concatenate([maps(part) for part in np.array_split(images, len(images) // 500)])
        for images in (data.train_images, data.test_images)
    )
    weights, nats = train_prior(data, train, (test, data.test_labels), work)
    prior = partial(checkpoints.network, block=reference("gated.GatedBlock"), **about["sizes"])
    told = jnp.arange(2)
    arrays |= _flat("prior", units(prior, weights, indices, told))
    arrays["probe/logits"] = np.asarray(_with(prior, _of(arrays, "prior"), indices, told)(indices, told))
    about["held_out_nats"] = round(nats, 4)
    with whole_file(checkpoints.FOLDER / f"{name}.npz") as file:
        np.savez_compressed(file, about=json.dumps(about), **arrays)
    _sign()
    seconds = time.process_time() - began
    print(json.dumps({"data": name, "held_out_nats": nats, "processor_seconds": round(seconds)} | measure(data)))


def _flat(part: str, units: list[list[np.ndarray]]) -> dict[str, np.ndarray]:
    return {f"{part}/{i:03}/{j}": array for i, unit in enumerate(units) for j, array in enumerate(unit)}


def _of(source: Any, part: str) -> Any:
    """Return an autoencoder's parameters of one part, or the stored units of one."""
    if isinstance(next(iter(source.values())), np.ndarray):
        return checkpoints.units({key: np.asarray(array, np.float32) for key, array in source.items()}, part)
    return {name: own for name, own in source.items() if name.split("/")[0] == part}


def _with(function: Any, units: list[list[np.ndarray]], *inputs: Any) -> Any:
    net = hk.without_apply_rng(hk.transform(function))
    return partial(net.apply, checkpoints.placed(checkpoints.parameters(function, *inputs), units))


def _sign() -> None:
    """Write the checksums of all files."""
    files = sorted(checkpoints.FOLDER.glob("*.npz"))
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    with whole_file(checkpoints.FOLDER / "checksums.json") as file:
        file.write(f"{json.dumps(sums, indent=2)}\n".encode())


def measure(data: Dataset) -> dict[str, Any]:
    """Return what a shipped checkpoint does on test images, and how its drawings are read."""
    codec, logits = checkpoints.trained_codec(data), checkpoints.trained_prior(data)
    indices, sample = codec.encode(data.test_images), reference("pixelcnn.sample")
    back = np.concatenate([codec.decode(part) for part in np.array_split(indices, 4)])
    shares = np.bincount(indices.ravel(), minlength=codec.num_codes) / indices.size
    wanted = jnp.arange(400) % 10
    drawn = jax.jit(lambda key: sample(key, lambda maps: logits(maps, wanted), (400, 7, 7)))(jax.random.key(0))
    reader = train_reader(data.train_images, data.train_labels)
    seen = reader(codec.decode(drawn))
    return {
        "distortion": float(np.mean((back - data.test_images / 255.0) ** 2) / np.var(data.train_images / 255.0)),
        "codes_used": int((shares > 0).sum()),
        "perplexity": float(np.exp(-np.sum(shares[shares > 0] * np.log(shares[shares > 0])))),
        "read": float(np.mean(seen.max(-1) >= 0.9)),
        "read_as_asked": float(np.mean(seen.argmax(-1) == wanted)),
        "test_images_read": float(np.mean(reader(data.test_images / 255.0).max(-1) >= 0.9)),
        "rebuilt_test_images_read": float(np.mean(reader(back).max(-1) >= 0.9)),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", help="strokes, mnist; both where MNIST is at hand")
    parser.add_argument("--work", type=Path, default=Path("build/checkpoints"), help="for trainings under way")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    for each in options.data or ["strokes", *["mnist"] * bool(os.environ.get("VQTUTOR_DATA"))]:
        make(each, options.work)
