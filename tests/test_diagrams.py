"""Diagrams hold what they claim: gradients, shapes and means are those of the library's own parts."""

import io

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib import image, rc_context

from vqtutor.models import autoencoder, gated, losses, pixelcnn, quantizer
from vqtutor.show import diagrams, figures

RNG = np.random.default_rng(5)
MASKS = [pixelcnn.causal_mask((3, 3), kind) for kind in "ABB"]
CODES = RNG.normal(size=(6, 2)).astype(np.float32)


def nearest(z, codebook):
    return np.argmin(((np.asarray(z)[:, None] - np.asarray(codebook)) ** 2).sum(-1), axis=-1)


def gradients():
    """Return the largest gradients of each loss to encoder, codebook and decoder, in a small network."""

    def forward(x):
        z_e = hk.Linear(2, name="encoder")(x)
        out = quantizer.VectorQuantizer(5, 2, name="codebook")(z_e)
        return out | {"z_e": z_e, "x_hat": hk.Linear(3, name="decoder")(out["z_q"])}

    network = hk.without_apply_rng(hk.transform(forward))
    x = jnp.asarray(RNG.normal(size=(20, 3)), jnp.float32)
    params = network.init(jax.random.key(0), x)
    terms = {
        "reconstruction loss": lambda out: losses.reconstruction_loss(x, out["x_hat"], 1.0),
        "codebook loss": lambda out: losses.codebook_loss(out["z_e"], out["codes"]),
        "commitment loss": lambda out: losses.commitment_loss(out["z_e"], out["codes"]),
    }
    largest = lambda tree: max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(tree))  # noqa: E731
    found = {
        name: jax.grad(lambda params, term=term: term(network.apply(params, x)))(params) for name, term in terms.items()
    }
    return {
        name: {part: largest(tree[part]) for part in ("encoder", "codebook", "decoder")} for name, tree in found.items()
    }


PICTURES = {
    "forward_and_back": diagrams.forward_and_back,
    "movers": lambda: diagrams.movers({"a loss": {"encoder": 0.1, "codebook": 0.0}}),
    "cell": lambda: diagrams.cell(CODES, 2, nearest, RNG.normal(size=(9, 2))),
    "window": lambda: diagrams.window(MASKS[0], (4, 5), (2, 2)),
    "sliding_mask": lambda: diagrams.sliding_mask(MASKS[0], (2, 3)),
    "blind_spot": lambda: diagrams.blind_spot(MASKS, (4, 5), (3, 1)),
    "two_stacks": diagrams.two_stacks,
    "atlas": lambda: diagrams.atlas(RNG.uniform(size=(3, 6, 8)), RNG.integers(0, 5, (3, 3, 2)), 7),
    "lives": lambda: diagrams.lives(RNG.normal(size=(2, 4, 3)), np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0]]), [0, 10]),
}


@pytest.mark.parametrize("name", list(PICTURES))
def test_every_diagram_has_ink_words_and_data_and_fits_a_notebook(name):
    picture = PICTURES[name]()
    pixels = image.imread(io.BytesIO(picture.png))
    assert pixels.std() > 0.02 and pixels.shape[1] < 1000 and len(picture.png) < 300_000
    data, metadata = picture._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == data["text/plain"] == picture.alt and len(picture.alt) > 20
    assert picture.alt.endswith(".") and picture.data


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("name", ["forward_and_back", "two_stacks"])
def test_no_text_leaves_the_sheet_or_lies_on_another(name, residual):
    options = {"residual": residual} if name == "two_stacks" else {}
    figure = getattr(diagrams, name)(**options)._figure
    with rc_context(figures.STYLE):
        figure.canvas.draw()
    sheet, boxes = figure.bbox, [text.get_window_extent() for text in figure.axes[0].texts]
    for i, box in enumerate(boxes):
        assert sheet.x0 <= box.x0 and box.x1 <= sheet.x1 and sheet.y0 <= box.y0 and box.y1 <= sheet.y1
        assert not any(box.overlaps(other) for other in boxes[:i]), figure.axes[0].texts[i].get_text()


def test_the_shapes_on_the_way_through_a_vqvae_are_those_of_the_network():
    network = autoencoder.vqvae()
    x = jnp.zeros((1, 28, 28, 1))
    params = jax.eval_shape(network.init, jax.random.key(0), x)
    out = jax.eval_shape(network.apply, params, x)
    said = diagrams.forward_and_back().data
    for name in ("z_e", "z_q", "indices", "x_hat"):
        assert tuple(said[name]) == out[name].shape[1:], name
    (codebook,) = [own["codebook"].shape for own in params.values() if "codebook" in own]
    assert tuple(said["codebook"]) == codebook and tuple(said["x"]) == x.shape[1:]


def test_the_table_of_movers_says_what_gradients_say():
    found = gradients()
    moved = {loss: [part for part, size in parts.items() if size] for loss, parts in found.items()}
    # This is what forward_and_back draws as well.
    assert moved == {
        "reconstruction loss": ["encoder", "decoder"],
        "codebook loss": ["codebook"],
        "commitment loss": ["encoder"],
    }
    picture = diagrams.movers(found)
    assert "Reconstruction loss moves encoder and decoder; codebook loss moves codebook; commitment" in picture.alt
    written = [text.get_text() for text in picture._figure.axes[0].texts]
    assert written.count("left alone") == 5 and sum("moved" in text for text in written) == 4


def test_a_cell_is_what_is_nearest_to_its_code():
    vectors = RNG.normal(size=(40, 2)).astype(np.float32)
    picture = diagrams.cell(CODES, 3, nearest, vectors)
    x = picture.data["x"]
    for i, j in RNG.integers(0, len(x), (50, 2)):
        distances = ((CODES - [x[j], x[i]]) ** 2).sum(-1)
        assert picture.data["inside"][i, j] == (distances.argmin() == 3)
    assert picture.data["chosen"].sum() == (nearest(vectors, CODES) == 3).sum() > 0
    wrong = diagrams.cell(CODES, 3, lambda z, codes: nearest(-np.asarray(z), codes))  # a student's slip shows
    assert not np.array_equal(wrong.data["inside"], picture.data["inside"])


def stack(kinds, shape):
    """Return masked layers of the library's, with a bend between, as a function of maps."""

    def forward(x):
        for kind in kinds:
            x = jnp.tanh(pixelcnn.MaskedConv2D(6, (3, 3), kind)(x))
        return x

    network = hk.without_apply_rng(hk.transform(forward))
    params = network.init(jax.random.key(0), jnp.zeros((1, *shape, 2)))
    return lambda x: network.apply(params, x)


def test_the_blind_spot_is_where_no_gradient_arrives():
    shape, place = (5, 6), (3, 2)
    picture = diagrams.blind_spot(MASKS, shape, place)
    order = np.arange(30).reshape(shape)
    for layers in (1, 2, 3):
        felt = pixelcnn.receptive_field(stack("ABB"[:layers], shape), (*shape, 2), place)
        depth = picture.data["depth"]
        assert np.array_equal(felt, (depth > 0) & (depth <= layers))
    assert np.array_equal(picture.data["blind"], (order < order[place]) & ~felt)


def test_all_pairs_of_a_small_map_agree_with_the_jacobian():
    network = stack("AB", (3, 4))
    jacobian = jax.jacobian(lambda x: network(x)[0].sum(-1))(jax.random.normal(jax.random.key(1), (1, 3, 4, 2)))
    assert np.array_equal(diagrams.reach(MASKS[:2], (3, 4))[-1], np.any(np.asarray(jacobian[:, :, 0]) != 0, axis=-1))


def test_the_deep_stack_of_lesson_05_leaves_175_pairs_unseen():
    masks = [pixelcnn.causal_mask((3, 3), "A")] + 11 * [pixelcnn.causal_mask((3, 3), "B")]
    unseen = diagrams.blind_spot(masks).data["unseen"]
    assert unseen[-1] == 1176 - 1001 == unseen[-2] and (np.diff(unseen) <= 0).all()


@pytest.mark.parametrize("kind", ["A", "B"])
def test_the_window_reads_what_a_masked_layer_reads(kind):
    for place in ((0, 0), (1, 3), (3, 4)):
        felt = pixelcnn.receptive_field(stack(kind, (4, 5)), (4, 5, 2), place)
        assert np.array_equal(diagrams.window(pixelcnn.causal_mask((3, 3), kind), (4, 5), place).data["used"], felt)


def test_the_sliding_mask_visits_every_place_in_raster_order():
    frames = diagrams.sliding_mask(MASKS[0], (2, 3))._pictures
    titles = [frame._figure.axes[0].get_title().split(":")[0] for frame in frames]
    assert titles[:-1] == [f"place {n} of 6" for n in range(1, 7)] and titles[-1] in titles[:-1]


def test_the_shapes_of_two_stacks_are_those_of_the_block():
    channels, size = 4, 5
    said = diagrams.two_stacks(channels, size).data
    block = hk.without_apply_rng(hk.transform(lambda x: gated.GatedBlock(channels, size, "B", True)(x, x)))
    x = jnp.zeros((1, 6, 6, channels))
    params = jax.eval_shape(block.init, jax.random.key(0), x)
    shapes = {leaf.shape for leaf in jax.tree.leaves(params)}
    for stack_name in ("vertical", "horizontal"):
        assert (*said[stack_name], channels, int(said["before the gate"])) in shapes
    outs = jax.eval_shape(block.apply, params, x)
    assert all(out.shape[-1] == said["behind the gate"] for out in outs)


def test_the_atlas_holds_the_mean_patch_of_each_code():
    images, indices = RNG.uniform(size=(4, 6, 8, 1)), RNG.integers(0, 5, (4, 3, 2))
    picture = diagrams.atlas(images, indices, 7)
    for k in range(7):
        patches = [
            images[n, 2 * i : 2 * i + 2, 4 * j : 4 * j + 4, 0] for n, i, j in zip(*np.where(indices == k), strict=True)
        ]
        assert picture.data["counts"][k] == len(patches)
        np.testing.assert_allclose(picture.data["means"][k], np.mean(patches, axis=0) if patches else 0, atol=1e-12)
    shown = picture.data["shown"]
    assert (np.diff(picture.data["counts"][shown]) <= 0).all() and set(shown) == set(np.unique(indices))


def test_lives_count_what_was_recorded():
    usage = np.array([[0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0, 0], [1, 0, 0, 0]])
    codebooks = RNG.normal(size=(3, 4, 2))
    animation = diagrams.lives(codebooks, usage, [0, 5, 9], what="collapse")
    assert animation.data["used"].tolist() == [4, 2, 1]
    np.testing.assert_allclose(animation.data["perplexity"], [4, 2, 1])
    assert [frame.data["alive"].sum() for frame in animation._pictures] == [4, 2, 1]
    assert np.array_equal(animation.data["codes"], codebooks[-1]) and "4 used at step 0, 1 at step 9" in animation.alt


def test_codes_of_many_dimensions_are_shown_where_they_spread_most():
    wide = np.zeros((2, 5, 4))
    wide[..., 1], wide[..., 3] = 10 * RNG.normal(size=(2, 5)), RNG.normal(size=(2, 5))
    shown = diagrams.lives(wide, np.ones((2, 5)), [0, 1]).data["codes"]
    assert abs(np.corrcoef(shown[:, 0], wide[-1, :, 1])[0, 1]) > 0.99


def test_an_interval_narrows_by_what_each_code_is_probable():
    frequencies, symbols = [[6, 3, 1], [1, 7, 2], [5, 3, 2]], [0, 1, 2]
    picture = diagrams.intervals(frequencies, symbols)
    widths = np.diff(picture.data["intervals"], axis=1)[:, 0]
    assert np.allclose(widths, np.cumprod([0.6, 0.7, 0.2])) and "from 0.3960 to 0.4800" in picture.alt
    assert f"{-np.log2(0.6 * 0.7 * 0.2):.1f} bits" in picture.alt and picture.kind == "chart"
