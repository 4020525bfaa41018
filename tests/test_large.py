"""A codebook of 65,536 codes and 100,000 vectors: in bounded memory, and with the same indices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vqtutor.lessons.quantizer.probes import largest_array
from vqtutor.models import ema, losses, quantizer

RNG = np.random.default_rng(0)
Z = jnp.asarray(RNG.integers(-3, 4, (7, 9, 3)), jnp.float32)  # whole numbers: many ties, and no rounding


def at_once(z, codebook):
    distances = quantizer.squared_distances(z.reshape(-1, z.shape[-1]), codebook)
    return jnp.argmin(distances, axis=1).reshape(z.shape[:-1])


@pytest.mark.parametrize("room", [1, 63, 64, 126, 630, 10**6])
@pytest.mark.parametrize("num_codes", [1, 2, 17, 64])
def test_blocks_give_what_all_at_once_give_ties_and_odd_numbers_too(num_codes, room, monkeypatch):
    monkeypatch.setattr(quantizer, "_ROOM", room)
    codebook = jnp.asarray(RNG.integers(-3, 4, (num_codes, 3)), jnp.float32)
    for z in (Z, Z.at[0, 0].set(jnp.nan), Z.at[1, 1].set(jnp.inf)):
        for codes in (codebook, codebook.at[num_codes // 2, 0].set(jnp.nan), codebook.at[-1].set(jnp.inf)):
            indices = quantizer.nearest_code(z, codes)
            assert indices.dtype == jnp.int32 and (indices == at_once(z, codes)).all()


def test_gradients_pass_as_without_blocks(monkeypatch):
    codebook = jnp.asarray(RNG.normal(size=(17, 3)), jnp.float32)

    def loss(z, codebook):
        codes = quantizer.look_up(quantizer.nearest_code(z, codebook), codebook)
        return jnp.sum((z - codes) ** 2) + jnp.sum(quantizer.straight_through(z, codes) ** 3)

    right = jax.grad(loss, (0, 1))(Z, codebook)
    monkeypatch.setattr(quantizer, "_ROOM", 200)
    assert all(map(jnp.array_equal, jax.grad(loss, (0, 1))(Z, codebook), right))


def test_no_array_grows_with_vectors_times_codes():
    """A hundred thousand vectors and 65,536 codes: 26 GB of distances, were they all held."""
    z, codebook = jax.ShapeDtypeStruct((100_000, 16), jnp.float32), jax.ShapeDtypeStruct((65_536, 16), jnp.float32)
    indices = jax.ShapeDtypeStruct((100_000,), jnp.int32)
    assert largest_array(quantizer.nearest_code, z, codebook) <= quantizer._ROOM
    assert largest_array(lambda z, i: ema.batch_statistics(z, i, 65_536), z, indices) <= z.size
    assert largest_array(lambda i: losses.perplexity(i, 65_536), indices) <= 100_000
