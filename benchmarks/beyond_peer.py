"""Hold finite scalar quantization and residual codes against `vector-quantize-pytorch`, on the same inputs.

python benchmarks/beyond_peer.py                      # makes build/torch-venv, with PyTorch, once
python benchmarks/beyond_peer.py --python VENV/bin/python

The peer takes its own way in two places: its bound has 1 + epsilon where the paper has 1 - epsilon, and arctanh where
the paper has tan. So a number right at a border may be rounded to the other side, and how many are is counted.
"""

import argparse
import json
import subprocess
import tempfile
import venv
from pathlib import Path

import jax.numpy as jnp
import numpy as np

ROOT = Path(__file__).parents[1]
PEERS = ROOT / "build" / "torch-venv"
LEVELS = ((8, 5, 5, 5), (8, 6, 5), (7, 5, 5, 5, 5), (4, 4, 4), (5, 4, 3))
N = 200_000

_PEER = """
import json, sys
import numpy as np, torch, vector_quantize_pytorch as peer
from importlib.metadata import version

folder, levels = sys.argv[1], json.loads(sys.argv[2])
given = np.load(folder + "/given.npz")
out = {"versions": [f"vector-quantize-pytorch {version('vector-quantize-pytorch')}, torch {torch.__version__}"]}
for i, own in enumerate(levels):
    fsq = peer.FSQ(levels=own)
    z_q, indices = fsq(torch.from_numpy(given[f"fsq_{i}"])[None])
    out |= {f"fsq_{i} z_q": z_q[0].numpy(force=True), f"fsq_{i} indices": indices[0].numpy(force=True)}
stages, codes, size = given["codebooks"].shape
layer = peer.ResidualVQ(dim=size, num_quantizers=stages, codebook_size=codes)
for own, codebook in zip(layer.layers, given["codebooks"]):
    own._codebook.embed.data.copy_(torch.from_numpy(codebook)[None])
    own._codebook.initted.data.fill_(True)
layer.eval()
z_q, indices, _ = layer(torch.from_numpy(given["z"])[None])
out |= {"residual z_q": z_q[0].numpy(force=True), "residual indices": indices[0].numpy(force=True)}
try:
    from vector_quantize_pytorch.vector_quantize_pytorch import rotate_to
    z, codes, g = (torch.from_numpy(given[name]) for name in ("z", "codes", "g"))
    z.requires_grad_(True)
    turned = rotate_to(z, codes)
    turned.backward(g)
    out |= {"rotation value": turned.numpy(force=True), "rotation gradient": z.grad.numpy(force=True)}
except ImportError:
    pass
np.savez(folder + "/theirs.npz", **out)
"""


def peer_python() -> Path:
    """Return an interpreter that has PyTorch and the peer, in a venv of its own that the course never sees."""
    python = PEERS / "bin/python"
    if not (PEERS / ".installed").exists():
        print(f"Making {PEERS} for PyTorch; this takes some minutes, once.")
        venv.create(PEERS, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "vector-quantize-pytorch", "numpy"], check=True)
        (PEERS / ".installed").touch()
    return python


def bounded(z: np.ndarray, levels: tuple[int, ...], epsilon: float = -1e-3, bend=np.tan) -> np.ndarray:
    """Return the paper's bound of z [N, L]; with 1e-3 and arctanh it is the peer's."""
    levels = np.array(levels)
    half, offset = (levels - 1) * (1 + epsilon) / 2, np.where(levels % 2 == 0, 0.5, 0.0)
    return np.tanh(z + bend(offset / half)) * half - offset


def counted(z: np.ndarray, levels: tuple[int, ...]) -> np.ndarray:
    """Return the indices [N] that the peer's bound gives."""
    digits = np.round(bounded(z, levels, 1e-3, np.arctanh)) + np.array(levels) // 2
    return digits @ np.cumprod([1, *levels[:-1]])


def main() -> None:
    """Print how often both choose the same code, and how far their z_q are apart."""
    import jax

    from vqtutor.models import beyond

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, help="an interpreter that has vector-quantize-pytorch")
    python = parser.parse_args().python or peer_python()
    rng = np.random.default_rng(0)
    given = {f"fsq_{i}": rng.normal(size=(N, len(own))).astype(np.float32) for i, own in enumerate(LEVELS)}
    scales = np.array([1.0, 0.6, 0.35, 0.2]).reshape(-1, 1, 1)
    given |= {"z": rng.normal(size=(20_000, 8)).astype(np.float32)}
    given |= {"codebooks": (scales * rng.normal(size=(4, 64, 8))).astype(np.float32)}
    given |= {name: rng.normal(size=(20_000, 8)).astype(np.float32) for name in ("codes", "g")}
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/given.npz", **given)
        subprocess.run([python, "-c", _PEER, folder, json.dumps(LEVELS)], check=True)
        theirs = dict(np.load(f"{folder}/theirs.npz"))
    print(theirs["versions"][0])
    for i, own in enumerate(LEVELS):
        z_q, indices = beyond.finite_scalar_quantize(jnp.asarray(given[f"fsq_{i}"]), own)
        same = np.asarray(indices) == theirs[f"fsq_{i} indices"]
        apart = np.abs(np.asarray(z_q) - theirs[f"fsq_{i} z_q"])[same].max()
        close = np.min(np.abs(bounded(given[f"fsq_{i}"], own) % 1 - 0.5), axis=-1)[~same].max()
        print(
            f"levels {own}: {np.mean(same):.2%} of {N:,} indices equal, and there z_q differs by {apart:.0e}", end="; "
        )
        print(f"in all others a number is within {close:.4f} of a border", end="; ")
        print(
            f"with the peer's bound {np.mean(counted(given[f'fsq_{i}'], own) == theirs[f'fsq_{i} indices']):.3%} equal"
        )
    z_q, indices = beyond.residual_quantize(jnp.asarray(given["z"]), jnp.asarray(given["codebooks"]))
    same = np.all(np.asarray(indices) == theirs["residual indices"], axis=-1)
    apart = np.abs(np.asarray(z_q) - theirs["residual z_q"])[same].max()
    print(f"residual, 4 stages of 64: {np.mean(same):.4%} of {len(same):,} equal; there z_q differs by {apart:.1e}")
    if "rotation value" in theirs:
        z, codes, g = (jnp.asarray(given[name]) for name in ("z", "codes", "g"))
        value, back = jax.vjp(lambda z: beyond.rotate_to(z, codes), z)
        for name, ours in (("value", value), ("gradient", back(g)[0])):
            far = np.linalg.norm(np.asarray(ours) - theirs[f"rotation {name}"], axis=-1)
            scale = np.linalg.norm(np.asarray(ours), axis=-1)
            print(
                f"rotation, {name}: differs by {np.max(far / scale):.1e} of its length at most, "
                f"median {np.median(far / scale):.1e}"
            )


if __name__ == "__main__":
    main()
