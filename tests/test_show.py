"""Pictures say what they show and keep their numbers; widgets move what they should and leave a picture behind."""

import io
import re
import sys

import numpy as np
import pytest
from matplotlib import image

from vqtutor.models import ema
from vqtutor.show import figures, widgets

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(30, 2)).astype(np.float32)
CODES = np.array([[1.0, 0.0], [-1.0, 0.5], [0.0, -1.0]], np.float32)
IMAGES = RNG.uniform(size=(4, 6, 6, 1))


def nearest(z, codebook):
    return np.argmin(((np.asarray(z)[:, None] - np.asarray(codebook)) ** 2).sum(-1), axis=-1)


PICTURES = {
    "rows_of_images": lambda: figures.rows_of_images({"a": IMAGES, "b": IMAGES}, alt="Two rows."),
    "reconstructions": lambda: figures.reconstructions(IMAGES, IMAGES * 0.9),
    "planes": lambda: figures.planes({"now": (POINTS, CODES)}, nearest),
    "curves": lambda: figures.curves({"loss": [3, 2, 1]}, "step", "loss", alt="A loss that falls."),
    "steps_and_slopes": lambda: figures.steps_and_slopes(np.arange(5), np.arange(5), np.ones(5), "x", alt="A line."),
    "pulls": lambda: figures.pulls({"one": (-POINTS, CODES), "none": (0 * POINTS, 0 * CODES)}, POINTS, CODES, "Pulls."),
    "code_maps": lambda: figures.code_maps(IMAGES, RNG.integers(0, 20, (4, 3, 3))),
    "codebook": lambda: figures.codebook(RNG.normal(size=(9, 4)), np.array([0.5, 0.3, 0.2] + [0.0] * 6)),
}


@pytest.mark.parametrize("name", list(PICTURES))
def test_every_picture_has_ink_text_and_data(name):
    picture = PICTURES[name]()
    pixels = image.imread(io.BytesIO(picture.png))
    assert pixels.std() > 0.02 and pixels.shape[1] < 1000
    data, metadata = picture._repr_mimebundle_()
    assert data["text/plain"] == metadata["image/png"]["alt"] == picture.alt and picture.alt
    assert picture.data


def test_a_picture_says_the_numbers_it_shows():
    assert "3 codes occur" in figures.code_maps(IMAGES, np.tile(np.array([[0, 0], [5, 7]]), (4, 1, 1))).alt
    assert "code 0 fills 50%" in figures.code_maps(IMAGES, np.tile(np.array([[0, 0], [5, 7]]), (4, 1, 1))).alt
    assert "6 are never used" in PICTURES["codebook"]().alt
    planes = PICTURES["planes"]()
    wanted = ((POINTS - CODES[nearest(POINTS, CODES)]) ** 2).sum(-1).mean()
    assert planes.data["now distortion"] == pytest.approx(wanted) and f"{wanted:.2f}" in planes.alt


def test_a_pull_that_is_zero_has_no_arrow():
    one, none = (figures.pulls({"x": (s * POINTS, s * CODES)}, POINTS, CODES, "x").png for s in (1.0, 0.0))
    assert len(none) < len(one)


def test_moving_a_code_moves_it_and_nothing_else():
    explorer = widgets.QuantizerExplorer(POINTS, CODES, nearest)
    before = explorer.codebook.copy(), explorer.points.copy()
    explorer.which.value = ("codebook", 1)
    explorer.x.value = 0.5
    assert explorer.codebook[1, 0] == pytest.approx(0.5)
    assert np.array_equal(explorer.codebook[[0, 2]], before[0][[0, 2]]) and np.array_equal(explorer.points, before[1])
    explorer.start_again()
    assert np.array_equal(explorer.codebook, before[0])


def test_each_step_of_k_means_lowers_the_distortion():
    explorer = widgets.QuantizerExplorer(POINTS, CODES, nearest)
    seen = [explorer.distortion]
    for _ in range(4):
        explorer.to_means()
        seen.append(explorer.distortion)
    assert all(after <= before + 1e-6 for before, after in zip(seen, seen[1:], strict=False)) and seen[-1] < seen[0]


def test_replay_shows_the_stage_that_is_chosen():
    replay = widgets.Replay({"first": (POINTS, CODES), "last": (POINTS, 2 * CODES)}, nearest)
    last = replay._image.value
    replay.slider.value = "first"
    assert replay._image.value != last and "first: distortion" in replay._image.value


def ema_explorer():
    codes = np.array([[0.5, 0.5], [-1.0, 0.0], [8.0, 8.0]])  # the last one too far away to be chosen
    return widgets.EMAExplorer(POINTS, codes, nearest, ema.update_codebook, ema.restart_dead_codes)


def test_codes_that_nobody_chooses_die_and_can_be_revived():
    explorer = ema_explorer()
    assert not explorer.dead.any()
    explorer.ten.click()
    explorer.ten.click()
    explorer.one.click()
    assert explorer.steps == 21 and not explorer.dead.any() and explorer.counts[2] == pytest.approx(0.9**21)
    explorer.one.click()
    assert explorer.dead.tolist() == [False, False, True] and "1 dead" in explorer._picture.alt
    np.testing.assert_allclose(explorer.codebook[2], [8.0, 8.0], rtol=1e-3)
    explorer.revive_button.click()
    assert not explorer.dead.any() and any(np.array_equal(explorer.codebook[2], p) for p in np.float32(POINTS))
    explorer.reset.click()
    assert explorer.steps == 0 and explorer.codebook[2].tolist() == [8.0, 8.0]


def test_the_decay_slider_decides_how_fast_codes_die():
    explorer = ema_explorer()
    explorer.decay.value = 0.5
    explorer.step(4)
    assert explorer.dead.tolist() == [False, False, True]


def test_dead_codes_have_another_shape():
    plain, crossed = (
        figures.planes({"x": (POINTS, CODES)}, nearest, dead={"x": np.full(len(CODES), gone)}) for gone in (False, True)
    )
    assert plain.png != crossed.png and "white crosses" in crossed.alt and f"{len(CODES)} dead" in crossed.alt


def test_a_mosaic_keeps_reading_order():
    images = np.arange(4.0)[:, None, None] * np.ones((1, 2, 2)) / 3
    picture = figures.mosaics({"sheet": images, "again": images[..., None]}, "x")
    for axis in picture._figure.axes:
        sheet = axis.images[0].get_array()
        assert sheet.shape == (4, 4) and sheet[0, 0] == 0 and sheet[0, 2] == pytest.approx(1 / 3) and sheet[2, 2] == 1


def decode(maps):
    """A decoder in which the code of a place is the brightness of its block."""
    return np.kron(np.asarray(maps) / 9.0, np.ones((1, 2, 2)))


def test_the_editor_changes_the_place_that_was_clicked():
    editor = widgets.CodeEditor(np.zeros((2, 3), int), 10, decode)
    editor.places[4].click()  # row 1, column 1
    assert editor.where == (1, 1) and editor.places[4].description == "[0]"
    editor.code.value = 9
    assert editor.indices.tolist() == [[0, 0, 0], [0, 9, 0]]
    before, now, difference = next(iter(editor._picture.data.values()))
    assert not before.any() and now[2:4, 2:4].min() == 1 and difference[2:4, 2:4].min() == 1 and difference[0, 0] == 0.5
    assert "1 code changed" in editor._picture.alt
    editor.places[0].click()
    assert editor.code.value == 0 and editor.indices[1, 1] == 9  # looking at a place changes nothing
    editor.reset.click()
    assert not editor.indices.any()


def prior_player(labels=()):
    def draw(seed, temperature, label):
        rng = np.random.default_rng([seed, round(10 * temperature), label or 0])
        return rng.integers(1, 9, (2, 2, 3))

    return widgets.PriorPlayer(draw, decode, labels)


def test_the_player_shows_as_many_codes_as_are_drawn():
    player = prior_player()
    player.places.value = 4
    shown = player._picture.data["indices"]
    assert np.array_equal(shown[:, 0], player.codes[:, 0]) and np.array_equal(shown[:, 1, 0], player.codes[:, 1, 0])
    assert (shown[:, 1, 1:] == -1).all() and "4 of 6 codes drawn" in player._picture.alt
    player.places.value = 0
    assert (player._picture.data["indices"] == -1).all()


def test_the_player_draws_anew_for_another_temperature_class_or_seed():
    player = prior_player(labels=("zero", "one"))
    seen = [player.codes]
    for change in (
        lambda: setattr(player.temperature, "value", 0.5),
        lambda: setattr(player.label, "value", 1),
        player.again.click,
    ):
        change()
        assert not np.array_equal(player.codes, seen[-1])
        seen.append(player.codes)


def test_an_animation_shows_its_last_picture_where_nothing_moves():
    from PIL import Image

    player = prior_player()
    animation = figures.Animation([player.after(n) for n in (0, 3, 6)], "six codes, one after the other")
    moving = Image.open(io.BytesIO(animation.png))
    assert moving.n_frames == 4
    first = np.asarray(moving.convert("RGB"), float)
    moving.seek(3)
    assert np.abs(first - np.asarray(moving.convert("RGB"), float)).mean() < 1
    moving.seek(1)
    assert np.abs(first - np.asarray(moving.convert("RGB"), float)).mean() > 5


def test_fields_tell_what_is_missed_and_what_leaks():
    seen = np.zeros((3, 4), bool)
    seen[0, :3] = seen[2, 3] = True
    picture = figures.fields({"net": (seen, (1, 1))}, "x")
    assert "past unseen: 2\nfuture seen: 1" in picture._figure.axes[0].get_title()


@pytest.mark.parametrize("make", [
    lambda: widgets.QuantizerExplorer(POINTS, CODES, nearest),
    lambda: widgets.Replay({"only": (POINTS, CODES)}, nearest),
    lambda: widgets.CodeEditor(np.zeros((2, 3), int), 10, decode),
    ema_explorer,
    prior_player,
])  # fmt: skip
def test_a_widget_leaves_a_picture_where_widgets_cannot_run(make):
    data, metadata = make()._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG") and "application/vnd.jupyter.widget-view+json" in data
    assert len(metadata["image/png"]["alt"]) > 20


def test_a_small_codebook_is_laid_out_by_pca_and_by_t_sne_and_says_who_keeps_his_neighbour(monkeypatch):
    rng = np.random.default_rng(0)
    codes = np.concatenate([rng.normal(size=(5, 64)), rng.normal(size=(5, 64)) + 9])
    picture = figures.code_planes(codes, np.full(10, 0.1))

    def near(points):
        others = [np.delete(np.arange(10), i) for i in range(10)]
        return np.array(
            [other[np.linalg.norm(points[other] - points[i], axis=1).argmin()] for i, other in enumerate(others)]
        )

    for name, title in (("pca", "PCA"), ("tsne", "t-SNE")):
        kept = int((near(picture.data[name]) == near(codes)).sum())
        assert re.search(rf"{title} \(.*?\): {kept} codes beside the neighbour", picture.alt)
        groups = picture.data[name][:5].mean(0), picture.data[name][5:].mean(0)
        assert np.linalg.norm(groups[0] - groups[1]) > np.std(picture.data[name][:5])
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    alone = figures.code_planes(codes, np.full(10, 0.1))
    assert "tsne" not in alone.data and "pip install scikit-learn" in alone.alt


def test_results_of_several_seeds_are_said_as_mean_and_range():
    picture = figures.spreads({"lost": {"a": [0.1, 0.2, 0.3], "b": [0.05, 0.05, 0.05]}}, "codebook")
    assert "3 runs" in picture.alt and "a 0.2 (0.1 to 0.3), b 0.05 (0.05 to 0.05)" in picture.alt
    np.testing.assert_allclose(picture.data["lost, a"], [0.1, 0.2, 0.3])
    axis = picture._figure.axes[0]
    assert axis.get_ylim()[0] == 0 and [text.get_text() for text in axis.get_xticklabels()] == ["a", "b"]
