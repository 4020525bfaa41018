"""Pictures say what they show and keep their numbers; widgets move what they should and leave a picture behind."""

import io
import re
import sys
from pathlib import Path
from types import SimpleNamespace

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


def test_live_notebooks_get_the_alternative_text_and_stored_outputs_only_one_copy(monkeypatch):
    monkeypatch.delenv("VQTUTOR_PICTURES", raising=False)  # set while the suite runs
    picture = figures.curves({"loss": [3, 2, 1]}, "step", "loss", alt="A loss that falls 'fast' & <far>.")
    (tag,) = re.findall(r"<img [^>]*>", picture._repr_mimebundle_()[0]["text/html"])
    assert "alt='A loss that falls &#x27;fast&#x27; &amp; &lt;far&gt;.'" in tag
    monkeypatch.setenv("VQTUTOR_PICTURES", "png")
    assert set(picture._repr_mimebundle_()[0]) == {"image/png", "text/plain"}


def test_a_lessons_text_is_kept_outside_its_code_and_every_one_is_used():
    picture = figures.curves({"loss": [3, 2, 1]}, "step", "loss", alt="losses.ownership")
    assert picture.alt.startswith("Three planes with the same vectors")
    with pytest.raises(KeyError, match="no text 'ownreship'"):
        figures.curves({"loss": [3, 2, 1]}, "step", "loss", alt="losses.ownreship")
    code = "".join(path.read_text() for path in (Path(__file__).parents[1] / "solutions").glob("*.ipynb"))
    for lesson, texts in figures._texts().items():
        for name in texts:
            assert f'alt=\\"{lesson}.{name}\\"' in code, f"{lesson}.{name} is used nowhere"


def test_what_a_dark_theme_may_turn_dark():
    kinds = {name: PICTURES[name]().kind for name in PICTURES}
    photos = {"rows_of_images", "reconstructions", "code_maps"}
    assert kinds == {name: "photo" if name in photos else "chart" for name in PICTURES}


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


def test_slopes_of_0_and_of_1_are_drawn_on_one_scale():
    x = np.linspace(-1, 1, 5)
    limits = [figures.steps_and_slopes(x, x, 0 * x + k, "x", "x")._figure.axes[1].get_ylim() for k in (0, 1)]
    assert limits[0] == limits[1] and limits[0][0] < 0 and limits[0][1] > 1
    steep = figures.steps_and_slopes(x, x, 9 + x, "x", "x")._figure.axes[1].get_ylim()
    assert steep[0] < 0 and steep[1] > 10


def test_a_legend_says_how_the_two_kinds_of_arrows_are_scaled():
    picture = figures.pulls({"x": (0.1 * POINTS, 3 * CODES)}, POINTS, CODES, "Pulls.")
    ratio = 3 * np.linalg.norm(CODES, axis=1).max() / (0.1 * np.linalg.norm(POINTS, axis=1).max())
    words = f"drawn {ratio:.2g} times as long"
    assert words in picture.alt and words in picture._figure.legends[0].get_texts()[0].get_text()


def test_errors_below_pictures_do_not_depend_on_the_scale_of_the_pixels():
    wide = figures.reconstructions(IMAGES * 2 - 1, IMAGES * 1.8 - 1, limits=(-1, 1))
    np.testing.assert_allclose(wide.data["errors"], PICTURES["reconstructions"]().data["errors"], rtol=1e-6)


def test_sixteen_codes_have_sixteen_colours():
    codes = RNG.normal(size=(16, 2)).astype(np.float32)
    picture = figures.planes({"now": (POINTS, codes)}, nearest)
    colours = {tuple(dots.get_facecolor()[0]) for dots in picture._figure.axes[0].collections[1:]}
    explorer = widgets.QuantizerExplorer(POINTS, codes, nearest)
    assert len(colours) == len(set(explorer.widget.setup["palette"])) == 16
    cells = np.frombuffer(explorer.widget.view["cells"], np.uint8)
    assert set(cells) > set(range(8)) and cells.max() > 8


def test_every_panel_has_a_name_and_lines_one_legend():
    editor = widgets.CodeEditor(np.arange(6).reshape(2, 3), 10, decode).still()
    assert [axis.get_title() for axis in editor._figure.axes] == ["as it was", "now: 1 code changed", "difference"]
    lines = {"one": [1, 2], "two": [2, 1]}
    panels = figures.panels_of_curves({"a": lines, "b": lines}, "step", "x")._figure
    assert len(panels.legends) == 1 and not any(axis.get_legend() for axis in panels.axes)


def tell(explorer, do, **more):
    """Send what the browser sends, and return what it then draws."""
    number = explorer.widget.view["n"] + 1
    explorer._hear(explorer.widget, {"do": do, "n": number, **more}, [])
    assert explorer.widget.view["n"] == number  # the browser waits for it
    return explorer.widget.view


def test_moving_a_code_moves_it_and_nothing_else():
    explorer = widgets.QuantizerExplorer(POINTS, CODES, nearest)
    before = explorer.codebook.copy(), explorer.points.copy()
    view = tell(explorer, "move", which=1, to=[0.5, 0.123])
    np.testing.assert_allclose(explorer.codebook[1], [0.5, 0.123])
    np.testing.assert_allclose(view["spots"][1][1:], [0.5, 0.123])
    assert np.array_equal(explorer.codebook[[0, 2]], before[0][[0, 2]]) and np.array_equal(explorer.points, before[1])
    tell(explorer, "move", which=3, to=[1, 1])  # after the codes comes vector 0
    assert explorer.points[0].tolist() == [1, 1] and np.array_equal(explorer.points[1:], before[1][1:])
    tell(explorer, "start_again")
    assert np.array_equal(explorer.codebook, before[0]) and np.array_equal(explorer.points, before[1])


def test_cells_and_vectors_are_those_of_the_students_function():
    def farthest(z, codebook):
        return np.argmax(((np.asarray(z)[:, None] - np.asarray(codebook)) ** 2).sum(-1), axis=-1)

    view = widgets.QuantizerExplorer(POINTS, CODES, farthest).widget.view
    assert np.array_equal(np.frombuffer(view["indices"], np.int32), farthest(POINTS, CODES))
    cells = np.frombuffer(view["cells"], np.uint8).reshape(128, 128)
    reach = widgets._reach(POINTS, CODES)
    corners = np.array([[-reach, -reach], [reach, -reach], [-reach, reach], [reach, reach]])
    assert cells[[0, 0, -1, -1], [0, -1, 0, -1]].tolist() == farthest(corners, CODES).tolist()


def test_a_students_function_that_fails_is_reported_and_the_browser_gets_its_answer():
    def fussy(z, codebook):
        if np.asarray(codebook)[0, 0] < 0:
            raise ValueError("no codes on the left, please")
        return nearest(z, codebook)

    explorer = widgets.QuantizerExplorer(POINTS, CODES, fussy)
    assert tell(explorer, "move", which=0, to=[-1, 0])["says"] == "ValueError: no codes on the left, please"
    assert "distortion" in tell(explorer, "move", which=0, to=[1, 0])["says"]


def test_each_step_of_k_means_lowers_the_distortion():
    explorer = widgets.QuantizerExplorer(POINTS, CODES, nearest)
    seen = [explorer.distortion]
    for _ in range(4):
        explorer.to_means()
        seen.append(explorer.distortion)
    assert all(after <= before + 1e-6 for before, after in zip(seen, seen[1:], strict=False)) and seen[-1] < seen[0]
    assert explorer.picture().data["now distortion"] == pytest.approx(seen[-1])


def test_replay_has_all_stages_on_the_same_axes_and_begins_with_the_first():
    replay = widgets.Replay({"first": (POINTS, CODES), "last": (POINTS, 2 * CODES)}, nearest)
    first, last = replay.widget.setup["stages"]
    assert first["says"].startswith("first: distortion") and last["says"].startswith("last: distortion")
    assert replay.widget.setup["reach"] >= 2 and last["spots"][0][1:] == [2.0, 0.0]


def ema_explorer():
    codes = np.array([[0.5, 0.5], [-1.0, 0.0], [8.0, 8.0]])  # the last one too far away to be chosen
    return widgets.EMAExplorer(POINTS, codes, nearest, ema.update_codebook, ema.restart_dead_codes)


def test_codes_that_nobody_chooses_die_and_can_be_revived():
    explorer = ema_explorer()
    assert "No code is dead" in tell(explorer, "revive")["says"] and not explorer.dead.any()
    tell(explorer, "ten_steps")
    tell(explorer, "ten_steps")
    tell(explorer, "step")
    assert explorer.steps == 21 and not explorer.dead.any() and explorer.counts[2] == pytest.approx(0.9**21)
    view = tell(explorer, "step")
    assert view["dead"] == [False, False, True] and "1 dead" in view["says"] and "1 dead" in explorer.picture().alt
    np.testing.assert_allclose(explorer.codebook[2], [8.0, 8.0], rtol=1e-3)
    assert tell(explorer, "revive")["says"].startswith("1 revived. After 22 updates")
    assert not explorer.dead.any() and any(np.array_equal(explorer.codebook[2], p) for p in np.float32(POINTS))
    tell(explorer, "start_again")
    assert explorer.steps == 0 and explorer.codebook[2].tolist() == [8.0, 8.0]


def test_the_decay_slider_decides_how_fast_codes_die():
    explorer = ema_explorer()
    tell(explorer, "set_decay", value=0.5)
    explorer.step(4)
    assert explorer.dead.tolist() == [False, False, True]


def test_the_still_picture_tells_the_story_and_leaves_the_explorer_where_it_is():
    explorer = ema_explorer()
    explorer.step(3)
    before = np.asarray(explorer.codebook)
    still = explorer.still()
    assert "after 40 updates" in still.alt and "revived, after 80" in still.alt
    assert explorer.steps == 3 and np.array_equal(explorer.codebook, before)
    editor = widgets.CodeEditor(np.arange(6).reshape(2, 3), 10, decode)
    assert "1 code changed" in editor.still().alt and np.array_equal(editor.indices.ravel(), np.arange(6))


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
    view = tell(editor, "choose", row=1, column=1)
    assert view["where"] == (1, 1) and "row 1, column 1 has code 0; 0 codes changed" in view["says"].lower()
    view = tell(editor, "paint", codes=[0, 0, 0, 0, 9, 0], row=1, column=1)
    assert editor.indices.tolist() == [[0, 0, 0], [0, 9, 0]] and "1 code changed" in view["captions"][1]
    before, now, difference = np.frombuffer(view["images"], np.uint8).reshape(3, 4, 6)
    assert not before.any() and (now[2:4, 2:4] == 255).all() and (difference[2:4, 2:4] == 255).all()
    assert difference[0, 0] == 127 and now.sum() == 4 * 255
    tell(editor, "choose", row=0, column=0)
    assert editor.indices[1, 1] == 9  # looking at a place changes nothing
    tell(editor, "start_again")
    assert not editor.indices.any()


def prior_player(labels=(), **more):
    def draw(seed, temperature, label):
        rng = np.random.default_rng([seed, round(10 * temperature), label or 0])
        return rng.integers(1, 9, (2, 2, 3))

    return widgets.PriorPlayer(draw, decode, labels, **more)


def test_the_player_begins_with_nothing_and_shows_as_many_codes_as_are_drawn():
    player = prior_player()
    assert player.widget.view["places"] == 0 and (player.picture().data["indices"] == -1).all()
    view = tell(player, "show", value=4)
    shown = player.picture().data["indices"]
    assert np.array_equal(shown[:, 0], player.codes[:, 0]) and np.array_equal(shown[:, 1, 0], player.codes[:, 1, 0])
    assert (shown[:, 1, 1:] == -1).all() and "4 of 6 codes drawn" in player.picture().alt
    images = np.frombuffer(view["images"], np.uint8).reshape(2, 4, 6)
    np.testing.assert_allclose(images / 255, player._images(4), atol=1 / 255)


def test_the_player_draws_anew_for_another_temperature_class_or_seed():
    player = prior_player(labels=("zero", "one", "two"), label=2)
    first = seen = player.codes
    for do, value in (("set_temperature", 0.5), ("ask_for", 1), ("draw_others", None)):
        before = player.widget.view["drawing"]
        assert tell(player, do, value=value)["drawing"] != before  # the browser forgets what it kept
        assert not np.array_equal(player.codes, seen)
        seen = player.codes
    view = tell(player, "start_again")
    assert np.array_equal(player.codes, first) and view["values"] == {"set_temperature": 1.0, "ask_for": 2}


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
    assert "? earlier, but not seen" in picture._figure.get_supxlabel()


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


def test_colab_is_told_which_manager_shows_widgets(monkeypatch):
    output = SimpleNamespace(_widgets=SimpleNamespace(_installed_url=None))
    output.enable_custom_widget_manager = lambda: setattr(output._widgets, "_installed_url", "https://manager")
    monkeypatch.setitem(sys.modules, "google.colab.output", output)
    view = prior_player()._repr_mimebundle_()[1]["application/vnd.jupyter.widget-view+json"]
    assert view == {"colab": {"custom_widget_manager": {"url": "https://manager"}}}


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
