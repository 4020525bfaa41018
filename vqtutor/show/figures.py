"""Pictures in one size and style for the whole course, each with an alternative text.

Every function takes plain arrays and returns a `Picture`, which also holds the arrays that are drawn.
"""

import base64
import io
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from html import escape
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib import rc_context
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

WIDTH = 8.0  # inches; fits a notebook's column
# Okabe and Ito's eight colours (2008), distinct with any colour vision; codes have numbers as well.
PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#999999"]
# On a plane each code has a colour of its own, also the ninth; those after the sixteenth have only their numbers.
CODE_COLOURS = [*PALETTE, "#aa4499", "#bbcc33", "#a6761d", "#b8a9e0", "#ffaabb", "#808000", "#40e0d0", "#e0e0e0"]
STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.facecolor": "white",
}


@cache
def _texts() -> dict[str, dict[str, str]]:
    return tomllib.loads(Path(__file__).with_name("alts.toml").read_text(encoding="utf-8"))


def _words(alt: str) -> str:
    """Return an alternative text, or the one in alts.toml that `lesson.name` stands for.

    Raises:
      KeyError: there is none of this name.
    """
    if not re.fullmatch(r"[a-z]+\.[\w-]+", alt):
        return alt
    lesson, name = alt.split(".")
    try:
        return _texts()[lesson][name]
    except KeyError:
        raise KeyError(f"alts.toml has no text {name!r} under [{lesson}].") from None


class Picture:
    """A finished figure.

    Attributes:
      alt: a description in words, also shown where images cannot be; "losses.ownership" stands for one in alts.toml.
      data: the arrays that are drawn, by name.
      png: the picture, as bytes.
    """

    def __init__(self, figure: Figure, alt: str, data: Mapping[str, Any] | None = None):
        self._figure = figure
        self.alt = _words(alt)
        self.data = {name: np.asarray(value) for name, value in (data or {}).items()}

    @cached_property
    def png(self) -> bytes:
        file = io.BytesIO()
        with rc_context(STYLE):
            # No version in the file, so that the bytes do not depend on it.
            self._figure.savefig(file, format="png", bbox_inches="tight", metadata={"Software": None})
        return file.getvalue()

    @property
    def kind(self) -> str:
        """Either "photo", with grey images in it, or "chart", which a dark theme may turn dark."""
        shown = [image for axis in self._figure.axes for image in axis.images]
        return "photo" if any(image.cmap.name == "gray" for image in shown) else "chart"

    def save(self, path: str | Path) -> None:
        Path(path).write_bytes(self.png)

    def _repr_mimebundle_(self, include=None, exclude=None):
        data = {"image/png": self.png, "text/plain": self.alt}
        if os.environ.get("VQTUTOR_PICTURES") != "png":  # pages that are made of outputs take it from the metadata
            data["text/html"] = self._html()
        return data, {"image/png": {"alt": self.alt, "kind": self.kind}}

    def _html(self) -> str:
        """Return the picture for live notebooks, which know no alternative text of a PNG, and have dark themes."""
        source = base64.b64encode(self.png).decode()
        image = (
            f"<img class='vq-{self.kind}' alt='{escape(self.alt, quote=True)}' src='data:image/png;base64,{source}'>"
        )
        dark = ("[data-jp-theme-light='false']", ".vscode-dark", "html[theme='dark']")
        rules = {"chart": "invert(.92) hue-rotate(180deg)", "photo": "brightness(.85)"}
        style = ",".join(f"{theme} .vq-{self.kind}" for theme in dark) + f"{{filter:{rules[self.kind]}}}"
        if self.kind == "photo":
            return f"<style>.vq-photo{{max-width:100%;border-radius:6px}}{style}</style>{image}"
        # On a phone a chart scrolls sideways: shrunk to fit, nobody could read its numbers.
        wide = "overflow-x:auto}.vq-chart{max-width:max(100%,40rem);border-radius:6px}"
        return (
            f"<style>.vq-wide{{{wide}{style}</style>"
            f"<div class='vq-wide' tabindex='0' role='group' aria-label='chart'>{image}</div>"
        )

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
      alt: a description in words.
      limits: the values shown as black and white. Give (-1, 1) for images in that range: clipping them to (0, 1) would
        hide every error in the background.
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


def mosaics(panels: Mapping[str, np.ndarray], alt: str, limits: tuple[float, float] = (0, 1)) -> Picture:
    """Draw sets of images side by side, each as one square sheet.

    Args:
      panels: title -> images [N, H, W] or [N, H, W, 1], in reading order; N is a square number.
      alt: a description in words.
    """
    figure, axes = _figure(WIDTH / len(panels) + 0.3, 1, len(panels))
    with rc_context(STYLE):
        for axis, (title, images) in zip(axes.flat, panels.items(), strict=True):
            images = np.asarray(images).reshape(len(images), *np.shape(images)[1:3])
            side = round(len(images) ** 0.5)
            rows = images.reshape(side, side, *images.shape[1:]).swapaxes(1, 2)
            sheet = rows.reshape(side * images.shape[1], side * images.shape[2])
            axis.imshow(sheet, cmap="gray", vmin=limits[0], vmax=limits[1])
            axis.set_title(title)
            _bare(axis)
    return Picture(figure, alt, panels)


def reconstructions(originals: np.ndarray, decoded: np.ndarray, limits: tuple[float, float] = (0, 1)) -> Picture:
    """Draw originals above their reconstructions, both [N, H, W, 1], with each pair's mean squared error.

    Errors are those of pixels from 0 to 1, whatever the limits, so that two pictures' numbers can be compared.
    """
    originals, decoded = np.asarray(originals), np.asarray(decoded)
    scale = limits[1] - limits[0]
    errors = np.mean(((originals - decoded) / scale) ** 2, axis=tuple(range(1, originals.ndim)))
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


def _draw_plane(axis, points, codebook, nearest, reach, dead) -> tuple[np.ndarray, float]:
    """Draw cells, points and codes on one axis, dead codes as crosses; return each point's index and the distortion."""
    x = np.linspace(-reach, reach, 160, dtype=np.float32)
    grid = np.stack(np.meshgrid(x, x), -1).reshape(-1, 2)
    codes = jnp.asarray(codebook)  # students' functions expect jax arrays
    cells = np.asarray(nearest(jnp.asarray(grid), codes)).reshape(len(x), len(x))
    indices = np.asarray(nearest(jnp.asarray(points), codes)).astype(int)
    colours = ListedColormap([CODE_COLOURS[k % len(CODE_COLOURS)] for k in range(len(codebook))])
    scale = dict(cmap=colours, vmin=-0.5, vmax=len(codebook) - 0.5)
    axis.imshow(
        cells, extent=(-reach, reach, -reach, reach), origin="lower", alpha=0.25, interpolation="nearest", **scale
    )
    axis.scatter(*points.T, c=indices, s=9, linewidths=0, **scale)
    for k, (a, b) in enumerate(codebook):
        colour, shape = ("white", "X") if dead[k] else (colours.colors[k], "o")
        axis.scatter(a, b, marker=shape, s=290 if dead[k] else 190, color=colour, edgecolors="black", zorder=3)
        axis.text(a, b, str(k), ha="center", va="center_baseline", fontsize=9, fontweight="bold", zorder=4)
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    nearest_codes = codebook[np.clip(indices, 0, len(codebook) - 1)]
    return indices, float(np.mean(np.sum((points - nearest_codes) ** 2, axis=-1)))


def planes(
    stages: Mapping[str, tuple[np.ndarray, np.ndarray]],
    nearest: Callable[[np.ndarray, np.ndarray], np.ndarray],
    columns: int = 4,
    width: float = WIDTH,
    dead: Mapping[str, np.ndarray] | None = None,
) -> Picture:
    """Draw vectors and codes on the plane at several stages, with each code's number, cell and points.

    Args:
      stages: title -> (points [N, 2], codebook [K, 2]).
      nearest: (points [N, 2], codebook) -> indices [N]; it also colours the cells, so that its errors are visible.
      dead: title -> bool [K], codes to draw as white crosses.
    """
    columns = min(columns, len(stages))
    rows = -(-len(stages) // columns)
    figure, axes = _figure(rows * (width / columns + 0.6), rows, columns, width, sharex=True, sharey=True)
    # The same axes for all stages, so that codes can be compared.
    reach = 1.1 * max(max(np.abs(points).max(), np.abs(codebook).max()) for points, codebook in stages.values())
    data, texts = {}, []
    with rc_context(STYLE):
        for axis in axes.flat[len(stages) :]:
            axis.set_visible(False)
        for axis, (title, (points, codebook)) in zip(axes.flat, stages.items(), strict=False):
            points, codebook = np.asarray(points, np.float32), np.asarray(codebook, np.float32)
            crossed = np.asarray(dead[title]) if dead else np.zeros(len(codebook), bool)
            indices, distortion = _draw_plane(axis, points, codebook, nearest, reach, crossed)
            facts = [f"distortion {distortion:.2f}", f"{len(np.unique(indices))} of {len(codebook)} codes used"]
            if dead:
                facts.append(f"{crossed.sum()} dead")
                data[f"{title} dead"] = crossed
            axis.set_title("\n".join([title, *facts]))
            data |= {f"{title} points": points, f"{title} codes": codebook, f"{title} indices": indices}
            data |= {f"{title} distortion": distortion}
            texts.append(f"{title}: {', '.join(facts)}")
        for axis in axes[-1]:
            axis.set_xlabel("dimension 0")
        for axis in axes[:, 0]:
            axis.set_ylabel("dimension 1")
    shapes = "each with its cell, dead ones as white crosses" if dead else "each with its cell"
    alt = f"Vectors on the plane and {len(codebook)} numbered codes, {shapes}. {'; '.join(texts)}."
    return Picture(figure, alt, data)


def smooth(values: Sequence[float], width: int = 20) -> np.ndarray:
    """Return the mean of every `width` neighbours: [N] -> [N - width + 1]."""
    return np.convolve(values, np.ones(width) / width, mode="valid")


def curves(series: Mapping[str, Sequence[float]], xlabel: str, ylabel: str, alt: str) -> Picture:
    """Draw a line for each series against its step; lines differ in dash as well as colour."""
    return panels_of_curves({ylabel: series}, xlabel, alt)


def panels_of_curves(panels: Mapping[str, Mapping[str, Sequence[float]]], xlabel: str, alt: str) -> Picture:
    """Draw the lines of the same names in a panel for each quantity.

    Args:
      panels: quantity -> name -> values; a name has the same colour and dash in every panel.
    """
    figure, axes = _figure(2.6, 1, len(panels))
    with rc_context(STYLE):
        for axis, (ylabel, series) in zip(axes.flat, panels.items(), strict=True):
            for i, (name, values) in enumerate(series.items()):
                axis.plot(values, label=name, color=PALETTE[i], linestyle=("-", "--", ":", "-.")[i % 4])
            axis.set(xlabel=xlabel, ylabel=ylabel)
        if len(series) > 1 and len(panels) == 1:
            axes[0, 0].legend()
        elif len(series) > 1:  # one legend for all panels
            figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(series))
    data = {f"{ylabel}, {name}": values for ylabel, series in panels.items() for name, values in series.items()}
    return Picture(figure, alt, data if len(panels) > 1 else next(iter(panels.values())))


def spreads(panels: Mapping[str, Mapping[str, Sequence[float]]], what: str) -> Picture:
    """Draw results of several runs each, a panel for each quantity: a dot for a run, a line for their mean.

    Args:
      panels: quantity -> name -> values, one a run (a seed). All are in the alternative text, as mean and range.
      what: what the names are, such as "codebook".
    """
    figure, axes = _figure(2.8, 1, len(panels))
    marks, texts, data = "osD^vP*X", [], {}
    with rc_context(STYLE):
        for axis, (quantity, results) in zip(axes.flat, panels.items(), strict=True):
            parts = []
            for i, (name, values) in enumerate(results.items()):
                values = np.asarray(values, np.float64)
                if len(values) > 1:
                    axis.plot([i - 0.25, i + 0.25], [values.mean()] * 2, color="black", linewidth=1)
                axis.plot(
                    [i] * len(values), values, marks[i % 8], color=PALETTE[i % 7], markeredgecolor="black", alpha=0.8
                )
                around = f" ({values.min():.3g} to {values.max():.3g})" if len(values) > 1 else ""
                parts.append(f"{name} {values.mean():.3g}{around}")
                data[f"{quantity}, {name}"] = values
            crowded = dict(rotation=40, ha="right", rotation_mode="anchor") if len(results) > 4 else {}
            axis.set_xticks(range(len(results)), [name.replace(" ", "\n") for name in results], **crowded)
            axis.set(xlabel=what, ylabel=quantity, xlim=(-0.6, len(results) - 0.4))
            axis.set_ylim(0, 1.08 * max(max(values) for values in results.values()))
            texts.append(f"{quantity}: {', '.join(parts)}")
    runs = len(next(iter(next(iter(panels.values())).values())))
    dots = f"a dot for each of {runs} runs and a line for their mean" if runs > 1 else "one run each"
    alt = f"Results by {what}, {dots}. {'; '.join(texts)}."
    return Picture(figure, alt, data)


def steps_and_slopes(x: np.ndarray, values: np.ndarray, slopes: np.ndarray, xlabel: str, alt: str) -> Picture:
    """Draw a function above its slope, both [N] over x [N]. The slope's axis shows 0 and 1, whatever the slopes are."""
    figure, axes = _figure(3.6, 2, 1, sharex=True)
    with rc_context(STYLE):
        for (axis,), y, name, colour in zip(axes, (values, slopes), ("value", "slope"), PALETTE[:2], strict=True):
            axis.plot(x, y, ".", markersize=3, color=colour)
            axis.set_ylabel(name)
        axes[-1][0].set(xlabel=xlabel, ylim=(min(-0.25, np.min(slopes) - 0.25), max(1.25, np.max(slopes) + 0.25)))
        for level in (0, 1):
            axes[-1][0].axhline(level, color="#cccccc", linewidth=0.8, zorder=0)
    return Picture(figure, alt, {"x": x, "values": values, "slopes": slopes})


def pulls(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray]], points: np.ndarray, codebook: np.ndarray, alt: str
) -> Picture:
    """Draw the directions in which losses pull vectors and codes: thin arrows for vectors, thick ones for codes.

    Args:
      panels: title -> (pull on the points [N, 2], pull on the codes [K, 2]): negative gradients. Each kind of arrow has
        one scale in all panels, and a legend says how the two compare; a missing arrow is a pull of zero.
      points: [N, 2].
      codebook: [K, 2].
    """
    points, codebook = np.asarray(points), np.asarray(codebook)
    figure, axes = _figure(WIDTH / len(panels) + 0.4, 1, len(panels), sharex=True, sharey=True)
    data = {}
    longest = [
        max(float(np.linalg.norm(pull[side], axis=-1).max()) for pull in panels.values()) or 1.0 for side in (0, 1)
    ]
    reach = 1.15 * max(np.abs(points).max(), np.abs(codebook).max())
    with rc_context(STYLE):
        for axis, (title, sides) in zip(axes.flat, panels.items(), strict=True):
            axis.scatter(*points.T, s=6, color="#777777", linewidths=0)
            axis.scatter(*codebook.T, s=70, marker="s", facecolor="white", edgecolors="black", zorder=3)
            for at, pull, most, colour, width, z in (
                (points, sides[0], longest[0], PALETTE[0], 0.004, 2),
                (codebook, sides[1], longest[1], PALETTE[5], 0.013, 4),
            ):
                shifts = np.asarray(pull) / most * 0.3 * reach
                visible = np.linalg.norm(shifts, axis=-1) > 1e-6
                arrows = dict(angles="xy", scale_units="xy", scale=1, color=colour, width=width, zorder=z)
                axis.quiver(*at[visible].T, *shifts[visible].T, **arrows)
            data |= {f"{title}: pull on vectors": sides[0], f"{title}: pull on codes": sides[1]}
            axis.set(title=title, xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="dimension 0")
        axes[0, 0].set_ylabel("dimension 1")
        times = longest[1] / longest[0]
        kinds = {
            f"pull on a vector, drawn {times:.2g} times as long": (PALETTE[0], 2),
            "pull on a code": (PALETTE[5], 5),
        }
        lines = [Line2D([], [], color=colour, linewidth=width, label=name) for name, (colour, width) in kinds.items()]
        figure.legend(handles=lines, loc="outside lower center", ncols=2)
    alt = f"{_words(alt)} A vector's arrow is drawn {times:.2g} times as long as the same pull on a code."
    return Picture(figure, alt, data)


def code_maps(images: np.ndarray, indices: np.ndarray, limits: tuple[float, float] = (0, 1)) -> Picture:
    """Draw images above their code maps, with every place's index, and a colour for each of the most frequent codes.

    Args:
      images: [N, H, W] or [N, H, W, 1].
      indices: int [N, h, w]; a place with -1 has no code yet, and is white.
    """
    images, indices = np.asarray(images), np.asarray(indices)
    codes, counts = np.unique(indices[indices >= 0], return_counts=True)
    if not codes.size:
        codes, counts = np.zeros(1, int), np.zeros(1, int)
    order = codes[np.argsort(-counts, kind="stable")]
    rank = np.full(codes.max() + 1, len(PALETTE) - 1)
    rank[order] = np.minimum(np.arange(len(order)), len(PALETTE) - 1)
    figure, axes = _figure(2 * WIDTH / len(images) + 0.3, 2, len(images))
    with rc_context(STYLE):
        for (above, below), image, code_map in zip(axes.T, images, indices, strict=True):
            above.imshow(np.squeeze(image), cmap="gray", vmin=limits[0], vmax=limits[1])
            colours = np.ma.masked_where(code_map < 0, rank[code_map])
            below.imshow(colours, cmap=ListedColormap(PALETTE), vmin=-0.5, vmax=len(PALETTE) - 0.5, alpha=0.45)
            size = 72 * WIDTH / len(images) / code_map.shape[1]  # of a place, in points
            for (row, column), index in np.ndenumerate(code_map):
                if index >= 0:
                    below.text(column, row, str(index), ha="center", va="center", fontsize=min(9, 0.36 * size))
            _bare(above)
            _bare(below)
        for line, name in zip(axes, ("image", "codes"), strict=True):
            line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    used = np.count_nonzero(counts)
    share = counts.max() / max(1, np.sum(indices >= 0))
    alt = (
        f"{len(images)} images and below each its code map of {indices.shape[1]} x {indices.shape[2]} numbered places; "
        f"{used} code{' occurs' if used == 1 else 's occur'}, and code {order[0]} fills {share:.0%} of all places."
    )
    return Picture(figure, alt, {"images": images, "indices": indices})


class Animation(Picture):
    """Pictures shown one after the other, as an animated PNG; viewers without animation show the last one.

    Attributes:
      alt: a description in words.
      data: the arrays of the last picture.
    """

    def __init__(self, pictures: Sequence[Picture], alt: str, milliseconds: int = 250):
        """Args: pictures of one size, in order; the last one is shown first, and stays for two seconds."""
        super().__init__(pictures[-1]._figure, alt, pictures[-1].data)
        self._pictures, self._milliseconds = pictures, milliseconds

    @cached_property
    def png(self) -> bytes:
        from PIL import Image

        frames = [Image.open(io.BytesIO(picture.png)).convert("RGB") for picture in self._pictures]
        size = tuple(round(0.6 * side) for side in frames[-1].size)  # a notebook should stay small
        frames = [frame.resize(size).quantize(32) for frame in frames]
        file = io.BytesIO()
        # A viewer without animation shows the first frame, so that is the last picture.
        pause = [2000] + [self._milliseconds] * len(frames)
        frames[-1].save(file, format="png", save_all=True, append_images=frames, duration=pause, loop=0)
        return file.getvalue()


def fields(panels: Mapping[str, tuple[np.ndarray, tuple[int, int]]], alt: str) -> Picture:
    """Draw the places of a code map that one place sees: dots for these, a cross for the place, white for later places.

    Args:
      panels: title -> (bool [H, W], position (row, column)). A place that comes before the position, in raster order,
        and is not seen is a question mark.
      alt: a description in words.
    """
    figure, axes = _figure(WIDTH / len(panels) + 0.3, 1, len(panels))
    with rc_context(STYLE):
        for axis, (title, (field, (row, column))) in zip(axes.flat, panels.items(), strict=True):
            field = np.asarray(field)
            before = np.arange(field.size).reshape(field.shape) < row * field.shape[1] + column
            kind = np.where(field, 1, np.where(before, 2, 0))
            axis.imshow(kind, cmap=ListedColormap(["white", PALETTE[4], PALETTE[1]]), vmin=-0.5, vmax=2.5, alpha=0.6)
            for (i, j), what in np.ndenumerate(kind):
                mark = "x" if (i, j) == (row, column) else ("", "\u2022", "?")[what]
                axis.text(j, i, mark, ha="center", va="center", fontweight="bold")
            axis.set_xticks(np.arange(field.shape[1] + 1) - 0.5, [])
            axis.set_yticks(np.arange(field.shape[0] + 1) - 0.5, [])
            axis.grid(color="#cccccc")
            axis.tick_params(length=0)
            missed = int(np.sum(before & ~field))
            leaked = int(np.sum(field & ~before))
            axis.set_title(f"{title}\npast unseen: {missed}\nfuture seen: {leaked}")
        legend = "x the place   \u2022 seen from there   ? earlier, but not seen   white, no dot: later, and not seen"
        figure.supxlabel(legend, fontsize=9)
    return Picture(figure, alt, {title: field for title, (field, _) in panels.items()})


def _principal_plane(codes: np.ndarray) -> tuple[np.ndarray, float]:
    """Return codes [K, D] on their two principal directions, [K, 2], and the share of their variance there."""
    centred = codes - codes.mean(axis=0)
    _, spread, directions = np.linalg.svd(centred, full_matrices=False)
    # The sign of a direction is arbitrary: make its largest entry positive, so that the picture is the same everywhere.
    directions = directions[:2] * np.sign(directions[:2][[0, 1], np.abs(directions[:2]).argmax(axis=1)])[:, None]
    return centred @ directions.T, float((spread[:2] ** 2).sum() / (spread**2).sum())


def _neighbours(points: np.ndarray) -> np.ndarray:
    """Return the index of each point's nearest other point: [K, D] -> [K]."""
    distances = ((points[:, None] - points) ** 2).sum(axis=-1)
    np.fill_diagonal(distances, np.inf)
    return distances.argmin(axis=1)


def code_planes(codes: np.ndarray, usage: np.ndarray) -> Picture:
    """Draw a small codebook on its two principal directions, and beside that as t-SNE lays it out.

    t-SNE (van der Maaten and Hinton, 2008) is scikit-learn's; where that is missing, the first plane is drawn alone,
    and the alternative text says how to install it.

    Args:
      codes: [K, D], a few tens at most: each is drawn with its number.
      usage: [K], each code's share; more used codes have larger circles.
    """
    codes, usage = np.asarray(codes, np.float64), np.asarray(usage)
    plane, explained = _principal_plane(codes)
    planes, notes = {f"PCA ({explained:.0%} of their variance)": plane}, []
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        notes = ["t-SNE is missing here: it needs scikit-learn, pip install scikit-learn"]
    else:
        layout = TSNE(perplexity=min(30, len(codes) / 3), init="pca", random_state=0).fit_transform(codes)
        planes["t-SNE (no scale, no directions)"] = layout
    figure, axes = _figure(3.4, 1, len(planes), WIDTH if len(planes) > 1 else WIDTH / 2)
    with rc_context(STYLE):
        for axis, (title, points) in zip(axes.flat, planes.items(), strict=True):
            axis.scatter(*points.T, s=150 + 900 * usage, color=PALETTE[4], alpha=0.6, edgecolors="black")
            for k, (x, y) in enumerate(points):
                axis.text(x, y, str(k), ha="center", va="center_baseline", fontweight="bold", fontsize=9)
            axis.set_aspect("equal", "datalim")
            axis.margins(0.15)
            _bare(axis)
            axis.set_title(title)
            kept = int(np.sum(_neighbours(points) == _neighbours(codes)))
            notes.append(f"{title}: {kept} codes beside the neighbour that is nearest in {codes.shape[1]} dimensions")
    alt = f"{len(codes)} numbered codes on the plane, larger when used more. {'; '.join(notes)}."
    return Picture(
        figure, alt, {"codes": codes, "usage": usage, **dict(zip(("pca", "tsne"), planes.values(), strict=False))}
    )


def codebook(codes: np.ndarray, usage: np.ndarray) -> Picture:
    """Draw a codebook: on the left the codes on two principal directions, on the right how often each is used.

    Args:
      codes: [K, D].
      usage: [K], each code's share; they sum to 1. Codes that are never used are crosses.
    """
    codes, usage = np.asarray(codes, np.float64), np.asarray(usage)
    plane, explained = _principal_plane(codes)
    used = usage > 0
    figure, ((left, right),) = _figure(3.2, 1, 2)
    with rc_context(STYLE):
        area = 20 + 400 * np.sqrt(usage[used])
        left.scatter(*plane[used].T, s=area, color=PALETTE[0], alpha=0.6, edgecolors="black", label="used")
        if not used.all():
            left.scatter(*plane[~used].T, s=24, marker="x", color=PALETTE[5], label="never used")
        left.set(title=f"codes on two directions ({explained:.0%} of their variance)", xlabel="first", ylabel="second")
        left.legend()
        right.bar(np.arange(len(usage)), np.sort(usage)[::-1], width=1.0, color=PALETTE[0])
        right.set(title="how often each is used, sorted", xlabel="code, by rank", ylabel="share of all places")
    alt = (
        f"On the left {len(codes)} codes on their two principal directions, larger when used more; "
        f"{int((~used).sum())} are never used. On the right their shares, sorted: the largest is {usage.max():.0%}."
    )
    return Picture(figure, alt, {"codes": codes, "usage": usage, "plane": plane})
