"""Things to move by hand. Where widgets cannot run (a static page, a notebook viewer) the picture stays."""

import base64
from collections.abc import Callable, Mapping
from html import escape

import ipywidgets as widgets
import numpy as np

from vqtutor.show.figures import Picture, planes


def _as_html(picture: Picture) -> str:
    source = base64.b64encode(picture.png).decode()
    return f"<img alt='{escape(picture.alt, quote=True)}' src='data:image/png;base64,{source}' style='max-width:100%'>"


class _Explorer:
    """A box of controls above a picture; shows itself as a widget with the picture as its static stand-in."""

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
    """Move a code, or one vector, and watch cells, assignment and distortion follow.

    Args:
      points: [N, 2].
      codebook: [K, 2].
      nearest: (points, codebook) -> indices [N]: your nearest_code. The cells are drawn with it.
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
        self._moving = False  # moving the sliders to where a thing is must not move the thing
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


class Replay(_Explorer):
    """Step through stages of a training with a slider.

    Args:
      stages: title -> (points [N, 2], codebook [K, 2]), in order.
      nearest: (points, codebook) -> indices [N].
    """

    def __init__(self, stages: Mapping[str, tuple[np.ndarray, np.ndarray]], nearest: Callable):
        self.stages, self.nearest = dict(stages), nearest
        self.slider = widgets.SelectionSlider(
            options=list(stages), value=list(stages)[-1], description="stage", continuous_update=False
        )
        self.slider.observe(self.draw, "value")
        super().__init__([self.slider])

    def picture(self) -> Picture:
        title = self.slider.value
        return planes({title: self.stages[title]}, self.nearest, width=5)
