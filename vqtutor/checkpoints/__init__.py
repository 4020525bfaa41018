"""Weights of a longer training, which ship with the package, and a student's own modules run with them.

`benchmarks/checkpoints.py` makes the files beside this one, a file a data set: float16 arrays, and what is said of them
as JSON. Nothing in them is ever run; a file has to have the checksum that checksums.json names.
"""

import hashlib
import inspect
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vqtutor.checking import card
from vqtutor.codec import Codec
from vqtutor.compiling import quick_jit, steady_jit
from vqtutor.data import Dataset
from vqtutor.lessons.answers import reference
from vqtutor.models import autoencoder

VERSION = 1  # of the files' layout; files of another version are refused
FOLDER = Path(__file__).parent
Unit = list[np.ndarray]  # the arrays of one module, in the order of their making


def read(name: str, folder: Path = FOLDER) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return (what is said of it, its arrays as float32 or int32) of a data set's checkpoint.

    Raises:
      ValueError: the file is missing, damaged, or of another version; the message is one sentence.
    """
    path = folder / f"{name}.npz"
    advice = "install vqtutor again, or make it anew with benchmarks/checkpoints.py"
    try:
        content = path.read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            arrays = {key: file[key] for key in file.files if key != "about"}
        version = about["version"]
        known = json.loads((folder / "checksums.json").read_text())[path.name]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path.name} is missing or damaged ({type(error).__name__}): {advice}.") from error
    if version != VERSION:
        raise ValueError(f"{path.name} has version {version}, and this vqtutor reads version {VERSION}: {advice}.")
    if hashlib.sha256(content).hexdigest() != known:
        raise ValueError(f"{path.name} is damaged, its checksum is not the one it was made with: {advice}.")
    wide = {"f": np.float32, "i": np.int32, "u": np.int32}
    return about, {key: array.astype(wide[array.dtype.kind]) for key, array in arrays.items()}


def parameters(network: hk.Transformed, *inputs: Any) -> list[tuple[str, str, tuple[int, ...]]]:
    """Return (module, name, shape) of a network's parameters, in the order of their making."""
    made = []

    def init(key):
        params = network.init(key, *inputs)  # a plain dict, in order; leaving a traced function would sort it
        made.extend((module, name, leaf.shape) for module, own in params.items() for name, leaf in own.items())

    jax.eval_shape(init, jax.random.key(0))
    return made


def placed(made: Sequence[tuple[str, str, tuple[int, ...]]], units: Sequence[Unit]) -> dict[str, dict[str, Array]]:
    """Return units as parameters of a network that made these; modules of the same shapes take them in turn.

    Raises:
      LookupError: the shapes are not the same.
    """
    free, params = [list(unit) for unit in units], {}
    for module in dict.fromkeys(module for module, _, _ in made):
        own = {name: shape for other, name, shape in made if other == module}
        fitting = [unit for unit in free if sorted(a.shape for a in unit) == sorted(own.values())]
        if not fitting:
            raise LookupError("other parameter shapes")
        (unit,) = fitting[:1]
        free = [other for other in free if other is not unit]
        params[module] = {}
        for name, shape in own.items():
            at = next(i for i, array in enumerate(unit) if array.shape == shape)
            params[module][name] = jnp.asarray(unit.pop(at))
    if free:
        raise LookupError("fewer parameters")
    return params


def _fitted(
    network: hk.Transformed, units: Sequence[Unit], probe: Sequence[Any], expected: np.ndarray
) -> hk.Params | None:
    """Return the weights as a network's parameters, or None where they do not fit or it computes something else."""
    try:
        params = placed(parameters(network, *probe), units)
        found = quick_jit(network.apply)(params, *probe)
        near = found.shape == expected.shape and np.allclose(found, expected, atol=0.02 * np.std(expected))
    except Exception:  # a student's code can stop in any way
        return None
    return params if near else None


def _running(function: Callable, *weights: Any) -> Callable | None:
    """Return a Haiku function with weights in it, or None; see `_fitted`."""
    network = hk.without_apply_rng(hk.transform(function))
    params = _fitted(network, *weights)
    return params and partial(network.apply, params)


def _layer(layer: Callable, codebook: Array) -> Callable[[Array], Array]:
    """Return `indices(z_e)` of a quantizer of lesson 01 or 04 that holds this codebook."""

    def forward(z_e):
        module = layer(*codebook.shape)
        try:
            inspect.signature(module.__call__).bind(z_e, False)
        except TypeError:  # lesson 01's takes vectors only
            return module(z_e)["indices"]
        return module(z_e, False)["indices"]

    network = hk.without_apply_rng(hk.transform_with_state(forward))
    kept = {"codebook": codebook, "sums": codebook, "counts": jnp.ones(len(codebook))}
    held = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 7, 7, codebook.shape[1])))
    params, state = jax.tree_util.tree_map_with_path(lambda path, _: kept[path[-1].key], held)
    return lambda z_e: network.apply(params, state, z_e)[0]


def _quantizing(layer: Callable, codebook: Array, z_e: np.ndarray, expected: np.ndarray) -> Callable | None:
    """Return a quantizer with this codebook as a function, or None where it does not choose what it should."""
    try:
        indices = _layer(layer, codebook)
        same = np.mean(np.asarray(quick_jit(indices)(z_e)) == expected)
    except Exception:
        return None
    return indices if same > 0.97 else None  # float16 makes near ties


def _tell(about: dict[str, Any], data: Dataset, what: str, yours: Sequence[str], others: Sequence[str]) -> None:
    """Show whose code runs with the weights."""
    lines = [] if about["data"] == data.name else [f"There are none for {data.title}: these are of {about['title']}."]
    lines += [f"Your own code runs with them: {', '.join(yours)}."] if yours else []
    lines += [f"The course's own code is used where yours has other parameters: {', '.join(others)}."] if others else []
    steps, batch = about["trained"][what]
    title = f"{what}: weights of {steps:,} steps of {batch}, {about['title']}"
    card.show(card.Note(title, tuple(lines)))


def _checkpoint(data: Dataset) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    return read(data.name if (FOLDER / f"{data.name}.npz").exists() else "strokes")


def units(arrays: dict[str, np.ndarray], part: str) -> list[Unit]:
    """Return the units of a part, stored as part/unit/leaf with numbers in the order of their making."""
    found: dict[int, Unit] = {}
    for key in sorted((key for key in arrays if key.startswith(f"{part}/")), key=lambda key: key.split("/")[1:]):
        found.setdefault(int(key.split("/")[1]), []).append(arrays[key])
    return list(found.values())


def trained_codec(
    data: Dataset,
    *,
    encoder: Callable[[int], Any] | None = None,
    decoder: Callable[[], Any] | None = None,
    quantizer: Callable[[int, int], Any] | None = None,
) -> Codec:
    """Return an autoencoder with shipped weights, of a training far longer than a lesson's.

    Your own parts run with the weights where they have the parameter shapes of the course's; a card says so.

    Args:
      data: its name chooses the weights; those of the built-in digits are used where a data set has none.
      encoder, decoder, quantizer: your Encoder, Decoder, and VectorQuantizer or EMAVectorQuantizer.
    """
    about, arrays = _checkpoint(data)
    codebook, indices = jnp.asarray(arrays["codebook"]), arrays["probe/indices"]
    image = autoencoder.prepare(jnp.asarray(arrays["probe/images"], jnp.uint8))
    z_e, x_hat = arrays["probe/z_e"], arrays["probe/x_hat"]
    build = {
        "Encoder": lambda part: _running(lambda x: part(codebook.shape[1])(x), units(arrays, "encoder"), (image,), z_e),
        "EMAVectorQuantizer": lambda part: _quantizing(part, codebook, z_e, indices),
        "Decoder": lambda part: _running(
            lambda codes: part()(codes), units(arrays, "decoder"), (codebook[indices],), x_hat
        ),
    }
    own = dict(zip(build, (encoder, quantizer, decoder), strict=True))
    ids = {"Encoder": "vqvae.Encoder", "EMAVectorQuantizer": "ema.EMAVectorQuantizer", "Decoder": "vqvae.Decoder"}
    made = {name: part and build[name](part) for name, part in own.items()}
    modules = {name: getattr(part, "__module__", "") for name, part in own.items() if part}
    given = {
        name: getattr(own[name], "__name__", name) for name, at in modules.items() if not at.startswith("vqtutor.")
    }
    fit, other = ([said for name, said in given.items() if bool(made[name]) == fits] for fits in (True, False))
    _tell(about, data, "autoencoder", fit, other)
    encode, index, decode = (made[name] or build[name](reference(ids[name])) for name in build)
    return Codec(
        len(codebook),
        codebook,
        None,
        steady_jit(lambda pixels: index(encode(autoencoder.prepare(pixels)))),
        steady_jit(lambda indices: decode(codebook[indices]) + 0.5),
    )


def gated_prior(*, num_codes: int, channels: int, blocks: int) -> hk.Transformed:
    """Return lesson 06's prior, made of the course's own blocks: (indices int [B, H, W], labels int [B]) -> logits."""
    block = reference("gated.GatedBlock")

    def forward(indices, label):
        x, told = hk.Linear(16)(jax.nn.one_hot(indices, num_codes)), jax.nn.one_hot(label, 10)
        vertical, horizontal = block(channels, 7, "A", residual=False)(x, x, told)
        for _ in range(blocks - 1):
            vertical, horizontal = block(channels, 3, "B", residual=True)(vertical, horizontal, told)
        return hk.Linear(num_codes)(jax.nn.relu(hk.Linear(64)(jax.nn.relu(horizontal))))

    return hk.without_apply_rng(hk.transform(forward))


def trained_prior(
    data: Dataset, network: hk.Transformed | None = None
) -> tuple[Callable[[hk.Params, Array, Array], Array], hk.Params]:
    """Return lesson 06's prior with shipped weights, over the code maps of `trained_codec`, as (apply, params).

    `apply(params, indices, labels)` takes int [B, 7, 7] and int [B], and returns logits [B, 7, 7, K].

    Args:
      data: as for `trained_codec`.
      network: yours, made of your GatedBlock. It runs with the weights where it has the parameter shapes of the
        course's; a card says so.
    """
    about, arrays = _checkpoint(data)
    indices = arrays["probe/indices"]
    weights = units(arrays, "prior"), (jnp.asarray(indices), jnp.arange(len(indices))), arrays["probe/logits"]
    params = network and _fitted(network, *weights)
    yours = ["the network"] if network else []
    _tell(about, data, "prior", *((yours, []) if params else ([], yours)))
    if not params:
        network = gated_prior(**about["sizes"])
        params = _fitted(network, *weights)
    return network.apply, params
