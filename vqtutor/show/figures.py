"""Pictures in one size and style for the whole course, each with a text that says what is to be seen.

Every function takes plain arrays and returns a `Picture`, which also keeps the numbers it was drawn from.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib import rc_context
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

WIDTH = 8.0  # inches; what a notebook column holds
# Okabe and Ito's eight colours (2008), told apart with any colour vision; codes carry their number as well.
PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#999999"]
STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.facecolor": "white",
}


class Picture:
    """A finished figure.

    Attributes:
      alt: what is to be seen, in words; also the text of the picture where images cannot be shown.
      data: the arrays it was drawn from, by name.
      png: the picture, as bytes.
    """

    def __init__(self, figure: Figure, alt: str, data: Mapping[str, Any] | None = None):
        self._figure = figure
        self.alt = alt
        self.data = {name: np.asarray(value) for name, value in (data or {}).items()}

    @cached_property
    def png(self) -> bytes:
        file = io.BytesIO()
        with rc_context(STYLE):
            # No version in the file: the same picture is the same bytes on every machine with these fonts.
            self._figure.savefig(file, format="png", bbox_inches="tight", metadata={"Software": None})
        return file.getvalue()

    def save(self, path: str | Path) -> None:
        Path(path).write_bytes(self.png)

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"image/png": self.png, "text/plain": self.alt}, {"image/png": {"alt": self.alt}}

    def __repr__(self) -> str:
        return f"Picture({self.alt!r})"


def _figure(height: float, rows: int = 1, columns: int = 1, width: float = WIDTH, **options):
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots(rows, columns, squeeze=False, **options)


def _bare(axis) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)


def rows_of_images(rows: Mapping[str, np.ndarray], alt: str, limits: tuple[float, float] = (0, 1)) -> Picture:
    """Draw rows of images, each row with its name on the left.

    Args:
      rows: name -> images [N, H, W] or [N, H, W, 1]; every row has the same N.
      alt: what is to be seen.
      limits: the values shown as black and white. Say (-1, 1) for images scaled so: clipping them to (0, 1)
        would hide every error in the background.
    """
    count = len(next(iter(rows.values())))
    figure, axes = _figure(len(rows) * WIDTH / count * 1.05 + 0.1, len(rows), count)
    with rc_context(STYLE):
        for line, (name, images) in zip(axes, rows.items(), strict=True):
            for axis, image in zip(line, images, strict=True):
                axis.imshow(np.squeeze(image), cmap="gray", vmin=limits[0], vmax=limits[1])
                _bare(axis)
            line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    return Picture(figure, alt, rows)


def reconstructions(originals: np.ndarray, decoded: np.ndarray, limits: tuple[float, float] = (0, 1)) -> Picture:
    """Draw originals above what came back, both [N, H, W, 1], with each pair's mean squared error."""
    originals, decoded = np.asarray(originals), np.asarray(decoded)
    errors = np.mean((originals - decoded) ** 2, axis=tuple(range(1, originals.ndim)))
    alt = (
        f"{len(originals)} images in a row, and below each its reconstruction; "
        f"mean squared errors from {errors.min():.4f} to {errors.max():.4f}."
    )
    picture = rows_of_images({"original": originals, "reconstruction": decoded}, alt, limits)
    with rc_context(STYLE):
        for axis, error in zip(picture._figure.axes[len(originals) :], errors, strict=True):
            axis.set_xlabel(f"{error:.4f}", fontsize=8)
    picture.data["errors"] = errors
    return picture


def _draw_plane(axis, points, codebook, nearest, reach) -> tuple[np.ndarray, float]:
    """Draw cells, points and codes on one axis; return each point's index and the distortion."""
    x = np.linspace(-reach, reach, 160, dtype=np.float32)
    grid = np.stack(np.meshgrid(x, x), -1).reshape(-1, 2)
    codes = jnp.asarray(codebook)  # a student's function is written for jax arrays
    cells = np.asarray(nearest(jnp.asarray(grid), codes)).reshape(len(x), len(x))
    indices = np.asarray(nearest(jnp.asarray(points), codes)).astype(int)
    colours = ListedColormap([PALETTE[k % len(PALETTE)] for k in range(len(codebook))])
    scale = dict(cmap=colours, vmin=-0.5, vmax=len(codebook) - 0.5)
    axis.imshow(
        cells, extent=(-reach, reach, -reach, reach), origin="lower", alpha=0.25, interpolation="nearest", **scale
    )
    axis.scatter(*points.T, c=indices, s=9, linewidths=0, **scale)
    for k, (a, b) in enumerate(codebook):
        axis.scatter(a, b, marker="o", s=190, color=PALETTE[k % len(PALETTE)], edgecolors="black", zorder=3)
        axis.text(a, b, str(k), ha="center", va="center_baseline", fontsize=9, fontweight="bold", zorder=4)
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    chosen = codebook[np.clip(indices, 0, len(codebook) - 1)]
    return indices, float(np.mean(np.sum((points - chosen) ** 2, axis=-1)))


def planes(
    stages: Mapping[str, tuple[np.ndarray, np.ndarray]],
    nearest: Callable[[np.ndarray, np.ndarray], np.ndarray],
    columns: int = 4,
    width: float = WIDTH,
) -> Picture:
    """Draw vectors and codes on the plane at several stages: each code with its number, cell and points.

    Args:
      stages: title -> (points [N, 2], codebook [K, 2]).
      nearest: (points [N, 2], codebook) -> indices [N]; it colours the cells too, so a wrong one is seen at once.
    """
    columns = min(columns, len(stages))
    rows = -(-len(stages) // columns)
    figure, axes = _figure(rows * (width / columns + 0.6), rows, columns, width, sharex=True, sharey=True)
    # One reach for all stages, so that what moves is the codes and not the axes.
    reach = 1.1 * max(max(np.abs(points).max(), np.abs(codebook).max()) for points, codebook in stages.values())
    data, told = {}, []
    with rc_context(STYLE):
        for axis in axes.flat[len(stages) :]:
            axis.set_visible(False)
        for axis, (title, (points, codebook)) in zip(axes.flat, stages.items(), strict=False):
            points, codebook = np.asarray(points, np.float32), np.asarray(codebook, np.float32)
            indices, distortion = _draw_plane(axis, points, codebook, nearest, reach)
            used = len(np.unique(indices))
            axis.set_title(f"{title}\ndistortion {distortion:.3f}\n{used} of {len(codebook)} codes used")
            data |= {f"{title} points": points, f"{title} codes": codebook, f"{title} indices": indices}
            data |= {f"{title} distortion": distortion}
            told.append(f"{title}: distortion {distortion:.3f}, {used} of {len(codebook)} codes used")
        for axis in axes[-1]:
            axis.set_xlabel("dimension 0")
        for axis in axes[:, 0]:
            axis.set_ylabel("dimension 1")
    alt = f"Vectors on the plane and {len(codebook)} numbered codes, each with its cell. {'; '.join(told)}."
    return Picture(figure, alt, data)


def curves(series: Mapping[str, Sequence[float]], xlabel: str, ylabel: str, alt: str) -> Picture:
    """Draw one line a series against its step; lines differ in dash as well as colour."""
    figure, ((axis,),) = _figure(2.6)
    with rc_context(STYLE):
        for i, (name, values) in enumerate(series.items()):
            axis.plot(values, label=name, color=PALETTE[i], linestyle=("-", "--", ":", "-.")[i % 4])
        axis.set(xlabel=xlabel, ylabel=ylabel)
        axis.legend()
    return Picture(figure, alt, series)


def steps_and_slopes(x: np.ndarray, values: np.ndarray, slopes: np.ndarray, xlabel: str, alt: str) -> Picture:
    """Draw a function above its slope, both [N] over x [N]."""
    figure, axes = _figure(3.6, 2, 1, sharex=True)
    with rc_context(STYLE):
        for (axis,), y, name, colour in zip(axes, (values, slopes), ("value", "slope"), PALETTE[:2], strict=True):
            axis.plot(x, y, ".", markersize=3, color=colour)
            axis.set_ylabel(name)
        axes[-1][0].set_xlabel(xlabel)
    return Picture(figure, alt, {"x": x, "values": values, "slopes": slopes})
