"""The autoencoder that lessons on priors begin with: trained on the spot, from parts of one's own."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vqtutor import Conv2D, Conv2DTranspose, train_codec
from vqtutor.data import strokes
from vqtutor.models import ema


@pytest.fixture(scope="module")
def images():
    return strokes.draw(600)[0]


def test_images_go_to_codes_and_back(images):
    codec = train_codec(images, num_codes=32, steps=150, batch_size=16)
    indices = codec.encode(images)
    assert indices.shape == (600, 7, 7) and indices.dtype == np.int32 and 0 <= indices.min() and indices.max() < 32
    assert len(np.unique(indices)) > 8
    error = np.mean((codec.decode(indices) - images / 255) ** 2) / np.var(images / 255)
    assert error < 0.25  # the average grey would cost 1


def test_the_codebook_begins_on_encodings_and_every_code_is_used(images):
    seen = []

    def restart(key, counts, sums, codebook, z_e, threshold):
        seen.append(threshold)
        return ema.restart_dead_codes(key, counts, sums, codebook, z_e, threshold)

    codec = train_codec(images, num_codes=64, steps=40, batch_size=32, restart=restart)
    assert seen[0] > 1 and 0 < seen[-1] < 1  # all codes begin anew, and only dead ones do later
    assert len(np.unique(codec.encode(images))) > 30  # from a start at random, a dozen


def test_it_is_made_of_the_parts_it_is_given(images):
    class Encoder(hk.Module):
        def __init__(self, code_dim):
            super().__init__()
            self.code_dim = code_dim

        def __call__(self, x):
            return Conv2D(self.code_dim, 4, 4)(x)

    def restart(key, counts, sums, codebook, z_e, threshold):
        return counts, sums, jnp.full_like(codebook, 7.0)

    class Decoder(hk.Module):
        def __call__(self, z_q):
            return Conv2DTranspose(1, 6, 4)(z_q)

    settings = dict(encoder=Encoder, decoder=Decoder, steps=2, batch_size=8)
    codec = train_codec(images, restart=restart, **settings)
    assert float(codec.codebook.min()) == float(codec.codebook.max()) == 7.0
    assert any(leaf.shape == (4, 4, 1, 16) for leaf in jax.tree.leaves(codec.run.state[0]))
    assert any(leaf.shape[:2] == (6, 6) for leaf in jax.tree.leaves(codec.run.state[0]))
    other = train_codec(images, quantizer=lambda k, d, decay: ema.EMAVectorQuantizer(k, d, decay=0.0), **settings)
    usual = train_codec(images, **settings)
    assert not np.allclose(other.codebook, usual.codebook)
