"""Interactive widgets; where they cannot run (a static page, a notebook viewer) a picture is shown."""

import base64
from collections.abc import Callable, Mapping, Sequence
from html import escape

import ipywidgets as widgets
import jax
import jax.numpy as jnp
import numpy as np

from vqtutor.show.figures import Picture, code_maps, planes, rows_of_images


def _as_html(picture: Picture) -> str:
    source = base64.b64encode(picture.png).decode()
    return f"<img alt='{escape(picture.alt, quote=True)}' src='data:image/png;base64,{source}' style='max-width:100%'>"


class _Explorer:
    """A box of controls above a picture, shown as a widget, or as the picture where widgets cannot run."""

    def __init__(self, controls: list[widgets.Widget]):
        self._image = widgets.HTML()
        self.box = widgets.VBox([*controls, self._image])
        self.draw()

    def picture(self) -> Picture:
        raise NotImplementedError

    def draw(self, _change=None) -> None:
        self._picture = self.picture()
        self._image.value = _as_html(self._picture)

    def _repr_mimebundle_(self, include=None, exclude=None):
        data, metadata = self._picture._repr_mimebundle_()
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        return data | {"application/vnd.jupyter.widget-view+json": view}, metadata


class QuantizerExplorer(_Explorer):
    """Move a code, or one vector, and see how cells, assignment and distortion change.

    Args:
      points: [N, 2].
      codebook: [K, 2].
      nearest: (points, codebook) -> indices [N]: your nearest_code, also used to draw the cells.
    """

    def __init__(self, points: np.ndarray, codebook: np.ndarray, nearest: Callable):
        self._start = np.array(points, np.float32), np.array(codebook, np.float32)
        self.points, self.codebook = (array.copy() for array in self._start)
        self.nearest = nearest
        things = [(f"code {k}", ("codebook", k)) for k in range(len(codebook))] + [("vector 0", ("points", 0))]
        self.which = widgets.Dropdown(options=things, description="move")
        reach = float(np.ceil(1.2 * max(np.abs(points).max(), np.abs(codebook).max())))
        self.x, self.y = (
            widgets.FloatSlider(min=-reach, max=reach, step=0.05, description=f"dimension {d}") for d in (0, 1)
        )
        self.settle = widgets.Button(description="each code to its mean", tooltip="one step of k-means")
        self.reset = widgets.Button(description="start again")
        self._select()
        self.which.observe(self._select, "value")
        for d, slider in enumerate((self.x, self.y)):
            slider.observe(lambda change, d=d: self._move(d, change["new"]), "value")
        self.settle.on_click(lambda _: self.to_means())
        self.reset.on_click(lambda _: self.start_again())
        super().__init__([self.which, self.x, self.y, widgets.HBox([self.settle, self.reset])])

    def picture(self) -> Picture:
        return planes({"now": (self.points, self.codebook)}, self.nearest, width=5)

    @property
    def distortion(self) -> float:
        """Mean squared distance from a vector to its code, in squared units of the plane."""
        return float(self._picture.data["now distortion"])

    def _select(self, _change=None) -> None:
        self._moving = False  # setting the sliders must not move the code
        array, row = self.which.value
        self.x.value, self.y.value = map(float, getattr(self, array)[row])
        self._moving = True

    def _move(self, dimension: int, value: float) -> None:
        if self._moving:
            array, row = self.which.value
            getattr(self, array)[row, dimension] = value
            self.draw()

    def to_means(self) -> None:
        """Move every code that has vectors to their mean: one step of k-means (Lloyd, 1982)."""
        indices = self._picture.data["now indices"]
        for k in np.unique(indices):
            self.codebook[k] = self.points[indices == k].mean(axis=0)
        self._select()
        self.draw()

    def start_again(self) -> None:
        self.points, self.codebook = (array.copy() for array in self._start)
        self._select()
        self.draw()


class EMAExplorer(_Explorer):
    """Step through updates of an EMA codebook on the plane, change the decay, see codes die, and revive them.

    Args:
      points: [N, 2]; every update sees all of them.
      codebook: [K, 2], the initial codes, each with count 1.
      nearest: (points, codebook) -> indices [N].
      update: your update_codebook.
      restart: your restart_dead_codes.
      threshold: a code is dead, and drawn as a cross, when its count is below this.
    """

    def __init__(
        self,
        points: np.ndarray,
        codebook: np.ndarray,
        nearest: Callable,
        update: Callable,
        restart: Callable,
        threshold: float = 0.1,
    ):
        self.points, self._start = jnp.asarray(points, jnp.float32), jnp.asarray(codebook, jnp.float32)
        self.nearest, self.threshold = nearest, threshold
        self._update, self._restart = jax.jit(update), jax.jit(restart)
        self.decay = widgets.FloatSlider(0.9, min=0, max=0.99, step=0.01, description="decay", continuous_update=False)
        self.one, self.ten, self.revive_button, self.reset = (
            widgets.Button(description=text) for text in ("one update", "ten updates", "revive the dead", "start again")
        )
        self.one.on_click(lambda _: self.step())
        self.ten.on_click(lambda _: self.step(10))
        self.revive_button.on_click(lambda _: self.revive())
        self.reset.on_click(lambda _: self.start_again())
        self._begin()
        super().__init__([self.decay, widgets.HBox([self.one, self.ten, self.revive_button, self.reset])])

    def _begin(self) -> None:
        self.steps, self.codebook = 0, self._start
        self.counts, self.sums = jnp.ones(len(self._start)), self._start

    @property
    def dead(self) -> np.ndarray:
        """Which codes are dead now, bool [K]."""
        return np.asarray(self.counts < self.threshold)

    def picture(self) -> Picture:
        title = f"after {self.steps} updates"
        stage = {title: (self.points, self.codebook)}
        picture = planes(stage, self.nearest, width=5, dead={title: self.dead})
        picture.data["counts"] = np.asarray(self.counts)
        return picture

    def step(self, times: int = 1) -> None:
        """Update the codebook with all vectors, `times` times."""
        for _ in range(times):
            indices = self.nearest(self.points, self.codebook)
            state = self.counts, self.sums, self.points, indices, self.decay.value, 1e-5
            self.counts, self.sums, self.codebook = self._update(*state)
            self.steps += 1
        self.draw()

    def revive(self) -> None:
        """Move every dead code to a vector of its own."""
        key, state = jax.random.key(self.steps), (self.counts, self.sums, self.codebook)
        self.counts, self.sums, self.codebook = self._restart(key, *state, self.points, self.threshold)
        self.draw()

    def start_again(self) -> None:
        self._begin()
        self.draw()


class Replay(_Explorer):
    """Step through stages of a training with a slider.

    Args:
      stages: title -> (points [N, 2], codebook [K, 2]), in order.
      nearest: (points, codebook) -> indices [N].
      label: the slider's label.
    """

    def __init__(self, stages: Mapping[str, tuple[np.ndarray, np.ndarray]], nearest: Callable, label: str = "stage"):
        self.stages, self.nearest = dict(stages), nearest
        self.slider = widgets.SelectionSlider(
            options=list(stages), value=list(stages)[-1], description=label, continuous_update=False
        )
        self.slider.observe(self.draw, "value")
        super().__init__([self.slider])

    def picture(self) -> Picture:
        title = self.slider.value
        return planes({title: self.stages[title]}, self.nearest, width=5)


class CodeEditor(_Explorer):
    """Change one code of a code map and see the decoded image.

    Args:
      indices: the code map, int [H, W].
      num_codes: K.
      decode: code maps int [B, H, W] -> images [B, h, w] or [B, h, w, 1].
      limits: the values shown as black and white.
    """

    def __init__(self, indices: np.ndarray, num_codes: int, decode: Callable, limits: tuple[float, float] = (0, 1)):
        self._start = np.array(indices)
        self.indices, self.decode, self.limits = self._start.copy(), decode, limits
        rows, columns = self.indices.shape
        size = widgets.Layout(width="3.2em", padding="0")
        self.places = [widgets.Button(layout=size) for _ in range(rows * columns)]
        for place, button in enumerate(self.places):
            button.on_click(lambda _, place=place: self.choose(*divmod(place, columns)))
        self.code = widgets.IntSlider(min=0, max=num_codes - 1, description="its code", continuous_update=False)
        self.code.observe(lambda change: self._set(change["new"]), "value")
        self.reset = widgets.Button(description="start again")
        self.reset.on_click(lambda _: self.start_again())
        grid = widgets.GridBox(self.places, layout=widgets.Layout(grid_template_columns=f"repeat({columns}, 3.4em)"))
        self.where = rows // 2, columns // 2
        self._follow()
        super().__init__([grid, widgets.HBox([self.code, self.reset])])

    def picture(self) -> Picture:
        before, now = np.asarray(self.decode(np.stack([self._start, self.indices])))
        number = int((self._start != self.indices).sum())
        changed = f"{number} code{'s' * (number != 1)} changed"
        row, column = self.where
        for place, button in enumerate(self.places):
            chosen = divmod(place, self.indices.shape[1]) == self.where
            button.description = f"[{self.indices.flat[place]}]" if chosen else str(self.indices.flat[place])
            button.tooltip = f"row {place // self.indices.shape[1]}, column {place % self.indices.shape[1]}"
        difference = (np.asarray(now, np.float64) - before) / 2 + sum(self.limits) / 2
        alt = (
            f"A decoded image, the image decoded with {changed} of {self.indices.size}, and their "
            f"difference, grey where there is none. Row {row}, column {column} has code {self.indices[self.where]}."
        )
        columns = {"as it was": before, changed: now, "difference": difference}
        picture = rows_of_images({", ".join(columns): np.stack(list(columns.values()))}, alt, self.limits)
        picture.data["indices"] = self.indices.copy()
        return picture

    def choose(self, row: int, column: int) -> None:
        """Choose the place whose code the slider shows."""
        self.where = row, column
        self._follow()
        self.draw()

    def change(self, row: int, column: int, code: int) -> None:
        """Give a place another code."""
        self.where = row, column
        self.indices[row, column] = code
        self._follow()
        self.draw()

    def start_again(self) -> None:
        self.indices = self._start.copy()
        self._follow()
        self.draw()

    def _follow(self) -> None:
        self._moving = False  # setting the slider must not change the code
        self.code.value = int(self.indices[self.where])
        self._moving = True

    def _set(self, code: int) -> None:
        if self._moving:
            self.change(*self.where, code)


class PriorPlayer(_Explorer):
    """Watch a prior draw code maps, place by place.

    Args:
      draw: (seed, temperature, label) -> code maps int [N, H, W]; label is None where there are no classes.
      decode: code maps int [N, H, W] -> images [N, h, w] or [N, h, w, 1].
      labels: the names of the classes to choose from.
    """

    def __init__(self, draw: Callable, decode: Callable, labels: Sequence[str] = ()):
        self._draw, self._decode, self.seed = draw, decode, 0
        self.temperature = widgets.FloatSlider(
            1.0, min=0.1, max=2.0, step=0.1, description="temperature", continuous_update=False
        )
        self.label = widgets.Dropdown(options=[(name, i) for i, name in enumerate(labels)], description="class")
        self.again = widgets.Button(description="draw others")
        self._redraw()
        places = self.codes[0].size
        self.places = widgets.IntSlider(places, min=0, max=places, description="codes drawn", continuous_update=False)
        self.play = widgets.Play(value=places, min=0, max=places, interval=400)
        widgets.jslink((self.play, "value"), (self.places, "value"))
        self.places.observe(self.draw, "value")
        self.temperature.observe(self._redraw_and_show, "value")
        self.label.observe(self._redraw_and_show, "value")
        self.again.on_click(self._other)
        choice = [self.label] if labels else []
        super().__init__([widgets.HBox([self.play, self.places]), *choice, self.temperature, self.again])

    def _redraw(self) -> None:
        self.codes = np.asarray(self._draw(self.seed, self.temperature.value, self.label.value))
        counts = np.bincount(self.codes.ravel())
        self._background = int(counts.argmax())  # used where no code is drawn yet

    def _redraw_and_show(self, _change=None) -> None:
        self._redraw()
        self.draw()

    def _other(self, _button=None) -> None:
        self.seed += 1
        self._redraw_and_show()

    def picture(self) -> Picture:
        return self.after(self.places.value)

    def after(self, places: int) -> Picture:
        """Return the picture after `places` codes; places without one are white, and decoded as background."""
        mask = np.arange(self.codes[0].size).reshape(self.codes[0].shape) < places
        images = self._decode(np.where(mask, self.codes, self._background))
        picture = code_maps(images, np.where(mask, self.codes, -1))
        picture.alt = f"{places} of {mask.size} codes drawn. {picture.alt}"
        return picture
