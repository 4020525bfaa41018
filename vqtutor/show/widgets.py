"""Explorers to drag, click and type at; where widgets cannot run (a static page, a notebook viewer) a picture is shown.

The browser draws (explorers/*.js); what the lesson is about is worked out here, by the functions that were handed in.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import jax
import jax.numpy as jnp
import numpy as np
import traitlets

from vqtutor.show.figures import CODE_COLOURS, PALETTE, Picture, code_maps, planes, rows_of_images

_GRID = 128  # places of a plane's cells, across
_VIEW = "application/vnd.jupyter.widget-view+json"


def _read(name: str) -> str:
    return (Path(__file__).with_name("explorers") / name).read_text(encoding="utf-8")


class _Widget(anywidget.AnyWidget):
    _css = _read("explorers.css")
    setup = traitlets.Dict().tag(sync=True)  # stays
    view = traitlets.Dict().tag(sync=True)  # what is shown now


class _Plane(_Widget):
    _esm = _read("common.js") + _read("plane.js")


class _Maps(_Widget):
    _esm = _read("common.js") + _read("maps.js")


def _button(label: str, do: str) -> dict[str, Any]:
    return {"kind": "button", "label": label, "do": do}


def _slider(label: str, do: str, least: float, most: float, step: float = 1, **more) -> dict[str, Any]:
    return {"kind": "range", "label": label, "do": do, "min": least, "max": most, "step": step, **more}


def _choice(label: str, do: str, options: Sequence[str]) -> dict[str, Any]:
    return {"kind": "select", "label": label, "do": do, "options": list(options)}


class _Explorer:
    """What the browser asks for goes to the method of that name; what `view` returns is what it then draws."""

    def __init__(self, widget: type[_Widget], specs: list[dict[str, Any]], **setup):
        name = type(self).__name__
        self._heard, self._remark = 0, ""
        palette = CODE_COLOURS if widget is _Plane else PALETTE  # on maps only the most frequent codes have colours
        self.widget = widget(setup={"name": name, "specs": specs, "palette": palette, **setup})
        self.widget.on_msg(self._hear)
        self.draw()

    def view(self) -> dict[str, Any]:
        raise NotImplementedError

    def picture(self) -> Picture:
        """Return what is shown now as a picture."""
        raise NotImplementedError

    def still(self) -> Picture:
        """Return the picture that stands for the explorer where widgets cannot run."""
        return self.picture()

    def draw(self) -> None:
        view = self.view()
        view["says"] = " ".join(filter(None, [self._remark, view["says"]]))
        self._remark = ""
        self.widget.view = view | {"n": self._heard}

    def _hear(self, _widget, message: dict[str, Any], _buffers) -> None:
        arguments = {name: value for name, value in message.items() if name not in ("do", "n", "value")}
        given = () if message.get("value") is None else (message["value"],)
        before = self.widget.view
        self._heard = message["n"]
        try:
            getattr(self, message["do"])(*given, **arguments)
        except Exception as error:  # of a student's function: the browser waits for an answer
            self.widget.view = before | {"says": f"{type(error).__name__}: {error}", "n": self._heard}

    def _repr_mimebundle_(self, include=None, exclude=None):
        data, metadata = self.still()._repr_mimebundle_()
        # anywidget's own metadata say where Colab finds its manager of such widgets; elsewhere there are none.
        live, about = self.widget._repr_mimebundle_()
        return data | {_VIEW: live[_VIEW]}, metadata | about


def _reach(*arrays: np.ndarray) -> float:
    """Return how far the axes go: they stay, so that what moves is seen to move."""
    return float(np.ceil(1.2 * max(np.abs(array).max() for array in arrays)))


def _plane(points: np.ndarray, codebook: np.ndarray, nearest: Callable, reach: float) -> dict[str, Any]:
    """Return what the browser draws of one stage; `distortion` and `used` are numbers."""
    points, codebook = np.asarray(points, np.float32), np.asarray(codebook, np.float32)
    x = np.linspace(-reach, reach, _GRID, dtype=np.float32)
    grid = np.stack(np.meshgrid(x, x), -1).reshape(-1, 2)
    both = np.concatenate([points, grid])  # one call for vectors and cells; students' functions expect jax arrays
    indices = np.asarray(nearest(jnp.asarray(both), jnp.asarray(codebook))).astype(np.int32)
    cells, indices = indices[len(points) :], indices[: len(points)]
    codes = codebook[np.clip(indices, 0, len(codebook) - 1)]
    distortion = float(np.mean(np.sum((points - codes) ** 2, axis=-1)))
    return {
        "points": points.tobytes(),
        "indices": indices.tobytes(),
        "cells": np.uint8(cells % len(CODE_COLOURS)).tobytes(),
        "codes": len(codebook),
        "spots": [[f"code {k}", float(a), float(b)] for k, (a, b) in enumerate(codebook)],
        "distortion": distortion,
        "says": f"distortion {distortion:.2f}, {len(np.unique(indices))} of {len(codebook)} codes used",
    }


class QuantizerExplorer(_Explorer):
    """Drag a code, or one vector, and see how cells, assignment and distortion change.

    Args:
      points: [N, 2].
      codebook: [K, 2].
      nearest: (points, codebook) -> indices [N]: your nearest_code, also used to draw the cells.
    """

    def __init__(self, points: np.ndarray, codebook: np.ndarray, nearest: Callable):
        self._start = np.array(points, np.float32), np.array(codebook, np.float32)
        self.points, self.codebook = (array.copy() for array in self._start)
        self.nearest, self._reach = nearest, _reach(*self._start)
        names = [*(f"code {k}" for k in range(len(codebook))), "vector 0"]
        specs = [
            _choice("move", "which", names),
            *(_slider(f"dimension {d}", "xy"[d], -self._reach, self._reach, 0.01, digits=2) for d in (0, 1)),
            _button("each code to its mean", "to_means"),
            _button("start again", "start_again"),
        ]
        super().__init__(_Plane, specs, reach=self._reach, movable=True)

    def view(self) -> dict[str, Any]:
        view = _plane(self.points, self.codebook, self.nearest, self._reach)
        view["spots"].append(["vector 0", *map(float, self.points[0])])
        return view | {"says": f"Now: {view['says']}."}

    def picture(self) -> Picture:
        return planes({"now": (self.points, self.codebook)}, self.nearest, width=5)

    @property
    def distortion(self) -> float:
        """Mean squared distance from a vector to its code, in squared units of the plane."""
        return self.widget.view["distortion"]

    def move(self, which: int, to: Sequence[float]) -> None:
        """Move a code, or vector 0, whose number is K, to a place of the plane."""
        array, row = (self.codebook, which) if which < len(self.codebook) else (self.points, 0)
        array[row] = to
        self.draw()

    def to_means(self) -> None:
        """Move every code that has vectors to their mean: one step of k-means (Lloyd, 1982)."""
        indices = np.frombuffer(self.widget.view["indices"], np.int32)
        for k in np.unique(indices):
            self.codebook[k] = self.points[indices == k].mean(axis=0)
        self.draw()

    def start_again(self) -> None:
        """Put all codes and vectors back where they began."""
        self.points, self.codebook = (array.copy() for array in self._start)
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
        self.nearest, self.threshold, self.decay = nearest, threshold, 0.9
        self._update, self._restart = jax.jit(update), jax.jit(restart)
        self._begin()
        specs = [
            _slider("decay", "set_decay", 0, 0.99, 0.01, digits=2),
            _button("one update", "step"),
            _button("ten updates", "ten_steps"),
            _button("revive the dead", "revive"),
            _button("start again", "start_again"),
        ]
        self._reach = _reach(points, codebook)
        super().__init__(_Plane, specs, reach=self._reach, movable=False)

    def _begin(self) -> None:
        self.steps, self.codebook = 0, self._start
        self.counts, self.sums = jnp.ones(len(self._start)), self._start

    @property
    def dead(self) -> np.ndarray:
        """Which codes are dead now, bool [K]."""
        return np.asarray(self.counts < self.threshold)

    def view(self) -> dict[str, Any]:
        view = _plane(self.points, self.codebook, self.nearest, self._reach)
        says = f"After {self.steps} update{'s' * (self.steps != 1)}: {view['says']}, {self.dead.sum()} dead."
        return view | {"dead": self.dead.tolist(), "values": {"set_decay": self.decay}, "says": says}

    def picture(self) -> Picture:
        return self._picture(self._stage())

    def _stage(self) -> dict[str, tuple]:
        return {f"after {self.steps} updates": (self.points, self.codebook, self.dead, self.counts)}

    def _picture(self, stages: Mapping[str, tuple]) -> Picture:
        shown, dead = {n: stage[:2] for n, stage in stages.items()}, {n: stage[2] for n, stage in stages.items()}
        picture = planes(shown, self.nearest, width=5 if len(stages) == 1 else 8, dead=dead)
        picture.data["counts"] = np.asarray(list(stages.values())[-1][3])
        return picture

    def still(self) -> Picture:
        """Return the start, the plane after forty updates, and again forty updates after the dead were revived."""
        now = self.steps, self.codebook, self.counts, self.sums
        self._begin()
        stages = self._stage()
        self._forward(40)
        stages |= self._stage()
        self._revive()
        self._forward(40)
        stages |= {f"revived, after {self.steps}": next(iter(self._stage().values()))}
        self.steps, self.codebook, self.counts, self.sums = now
        return self._picture(stages)

    def _forward(self, times: int) -> None:
        for _ in range(times):
            indices = self.nearest(self.points, self.codebook)
            state = self.counts, self.sums, self.points, indices, self.decay, 1e-5
            self.counts, self.sums, self.codebook = self._update(*state)
            self.steps += 1

    def _revive(self) -> None:
        key, state = jax.random.key(self.steps), (self.counts, self.sums, self.codebook)
        self.counts, self.sums, self.codebook = self._restart(key, *state, self.points, self.threshold)

    def step(self, times: int = 1) -> None:
        """Update the codebook with all vectors, `times` times."""
        self._forward(times)
        self.draw()

    def ten_steps(self) -> None:
        self.step(10)

    def revive(self) -> None:
        """Move every dead code to a vector of its own."""
        number = int(self.dead.sum())
        if number:
            self._revive()
        self._remark = f"{number} revived." if number else "No code is dead, so there is none to revive."
        self.draw()

    def set_decay(self, decay: float) -> None:
        """Choose which share of counts and sums an update keeps, 0 to 0.99."""
        self.decay = decay
        self.draw()

    def start_again(self) -> None:
        """Go back to the initial codes; the decay stays."""
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
        reach = _reach(*(array for stage in self.stages.values() for array in stage))  # one for all
        drawn = [_plane(*stage, nearest, reach) for stage in self.stages.values()]
        for name, stage in zip(self.stages, drawn, strict=True):
            stage["says"] = f"{name}: {stage['says']}."
        specs = [
            _slider(label, "stage", 0, len(drawn) - 1, names=list(self.stages)),
            _button("start again", "start_again"),
        ]
        super().__init__(_Plane, specs, reach=reach, movable=False, stages=drawn)

    def view(self) -> dict[str, Any]:
        return {"says": ""}  # the browser has all stages

    def picture(self) -> Picture:
        """Return the first and the last stage."""
        ends = {name: self.stages[name] for name in (list(self.stages)[0], list(self.stages)[-1])}
        return planes(ends, self.nearest, width=8 if len(ends) == 2 else 5)


def _bytes(images: np.ndarray, limits: tuple[float, float]) -> bytes:
    """Return images as grey values, 0 for the first limit and 255 for the second."""
    low, high = limits
    return np.uint8(np.clip((np.asarray(images, np.float64) - low) / (high - low), 0, 1) * 255).tobytes()


def _ranks(codes: np.ndarray) -> dict[int, int]:
    """Return which colour each code has: the most frequent ones have their own."""
    names, counts = np.unique(codes, return_counts=True)
    return {int(k): rank for rank, k in enumerate(names[np.argsort(-counts, kind="stable")])}


class CodeEditor(_Explorer):
    """Change codes of a code map, one at a time or with a brush, and see the decoded image.

    Args:
      indices: the code map, int [H, W].
      num_codes: K.
      decode: code maps int [B, H, W] -> images [B, h, w] or [B, h, w, 1].
      limits: the values shown as black and white.
    """

    def __init__(self, indices: np.ndarray, num_codes: int, decode: Callable, limits: tuple[float, float] = (0, 1)):
        self._start = np.array(indices)
        self.indices, self.decode, self.limits = self._start.copy(), decode, limits
        self.where = self._middle = tuple(side // 2 for side in self._start.shape)
        specs = [
            _slider("code", "code", 0, num_codes - 1),
            _choice("a click", "tool", ["chooses a place", "paints it with the code"]),
            _button("start again", "start_again"),
        ]
        image = np.shape(self._images()[0])
        panels = ["as it was", "now", "difference"]
        setup = dict(map=self._start.shape, image=image, panels=panels, ranks=_ranks(self._start))
        super().__init__(_Maps, specs, **setup)

    def _images(self) -> np.ndarray:
        """Return three images [h, w]: as it was, as it is, and their difference, grey where there is none."""
        before, now = np.asarray(self.decode(np.stack([self._start, self.indices])), np.float64)
        return np.stack([np.squeeze(x) for x in (before, now, (now - before) / 2 + sum(self.limits) / 2)])

    @property
    def _changed(self) -> str:
        number = int((self._start != self.indices).sum())
        return f"{number} code{'s' * (number != 1)} changed"

    def view(self) -> dict[str, Any]:
        row, column = self.where
        return {
            "codes": self.indices.ravel().tolist(),
            "where": self.where,
            "images": _bytes(self._images(), self.limits),
            "captions": ["as it was", f"now: {self._changed}", "difference, grey where there is none"],
            "says": f"Row {row}, column {column} has code {self.indices[self.where]}; {self._changed}.",
        }

    def picture(self) -> Picture:
        row, column = self.where
        alt = (
            f"A decoded image, the image decoded with {self._changed} of {self.indices.size}, and their "
            f"difference, grey where there is none. Row {row}, column {column} has code {self.indices[self.where]}."
        )
        picture = rows_of_images({"": self._images()}, alt, self.limits)
        titles = ("as it was", f"now: {self._changed}", "difference")
        for axis, title in zip(picture._figure.axes, titles, strict=True):
            axis.set_title(title, fontsize=10)
        picture.data["indices"] = self.indices.copy()
        return picture

    def still(self) -> Picture:
        """Return the picture with the place in the middle changed, where nothing has been changed yet."""
        if (self._start != self.indices).any():
            return self.picture()
        self.indices[self.where] = self.indices[0, 0]
        picture = self.picture()
        self.indices = self._start.copy()
        return picture

    def choose(self, row: int, column: int) -> None:
        """Choose the place whose code the slider shows."""
        self.where = row, column
        self.draw()

    def change(self, row: int, column: int, code: int) -> None:
        """Give a place another code."""
        self.indices[row, column] = code
        self.choose(row, column)

    def paint(self, codes: Sequence[int], row: int, column: int) -> None:
        """Give all places their codes, [H * W] in raster order, and choose one of them."""
        self.indices = np.array(codes, self._start.dtype).reshape(self._start.shape)
        self.choose(row, column)

    def start_again(self) -> None:
        """Put all codes back, and choose the place in the middle."""
        self.indices = self._start.copy()
        self.choose(*self._middle)


class PriorPlayer(_Explorer):
    """Watch a prior draw code maps, place by place.

    Args:
      draw: (seed, temperature, label) -> code maps int [N, H, W]; label is None where there are no classes.
      decode: code maps int [N, H, W] -> images [N, h, w] or [N, h, w, 1].
      labels: the names of the classes to choose from.
      label: the number of the class to begin with.
    """

    def __init__(self, draw: Callable, decode: Callable, labels: Sequence[str] = (), label: int = 0):
        self._draw, self._decode = draw, decode
        self._begin = label if labels else None
        self.places, self.seed, self.temperature, self.label = 0, 0, 1.0, self._begin
        self._redraw()
        specs = [
            _slider("codes drawn", "places", 0, self.codes[0].size),
            *([_choice("class", "ask_for", labels)] if labels else []),
            _slider("temperature", "set_temperature", 0.1, 2.0, 0.1, digits=1),
            _button("draw others", "draw_others"),
            _button("start again", "start_again"),
        ]
        count, *size = self.codes.shape
        super().__init__(_Maps, specs, map=size, image=np.shape(self._images(0))[1:3], count=count)

    def _redraw(self) -> None:
        self.codes = np.asarray(self._draw(self.seed, self.temperature, self.label), np.int32)
        self._background = int(np.bincount(self.codes.ravel()).argmax())  # used where no code is drawn yet

    def _mask(self, places: int) -> np.ndarray:
        return np.arange(self.codes[0].size).reshape(self.codes[0].shape) < places

    def _images(self, places: int) -> np.ndarray:
        return np.asarray(self._decode(np.where(self._mask(places), self.codes, self._background)))

    def view(self) -> dict[str, Any]:
        values = {"set_temperature": self.temperature} | ({} if self.label is None else {"ask_for": self.label})
        return {
            "codes": self.codes.tobytes(),
            "ranks": _ranks(self.codes),
            "places": self.places,
            "drawing": f"{self.seed} {self.temperature} {self.label}",
            "images": _bytes(self._images(self.places), (0, 1)),
            "values": values,
            "says": f"{self.places} of {self.codes[0].size} codes drawn.",
        }

    def picture(self) -> Picture:
        return self.after(self.places)

    def still(self) -> Picture:
        return self.after(self.codes[0].size)

    def after(self, places: int) -> Picture:
        """Return the picture after `places` codes; places without one are white, and decoded as background."""
        mask = self._mask(places)
        picture = code_maps(self._images(places), np.where(mask, self.codes, -1))
        picture.alt = f"{places} of {mask.size} codes drawn. {picture.alt}"
        return picture

    def show(self, places: int) -> None:
        """Show the first `places` codes."""
        self.places = places
        self.draw()

    def ask_for(self, label: int) -> None:
        """Draw another class."""
        self.label = label
        self._redraw()
        self.draw()

    def set_temperature(self, temperature: float) -> None:
        """Draw at another temperature."""
        self.temperature = temperature
        self._redraw()
        self.draw()

    def draw_others(self) -> None:
        """Draw other code maps."""
        self.seed += 1
        self._redraw()
        self.draw()

    def start_again(self) -> None:
        """Go back to the first drawing, with no code drawn yet."""
        self.places, self.seed, self.temperature, self.label = 0, 0, 1.0, self._begin
        self._redraw()
        self.draw()
