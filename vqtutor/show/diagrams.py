"""Diagrams of what the course builds, in the colours and the form of figures.py: each is a `Picture` with its words.

What a diagram claims is computed from its arguments, and kept in its `data`.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.colors import ListedColormap
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from vqtutor.show.figures import PALETTE, STYLE, WIDTH, Animation, Picture, _bare, _figure

FORWARD, BACK, CODES = PALETTE[0], PALETTE[5], PALETTE[2]


class _Canvas:
    """A sheet of `width` by `height` units to put boxes and arrows on; ten units are an inch of a notebook's width."""

    def __init__(self, height: float, width: float = 80):
        self.figure, ((self.axis,),) = _figure(WIDTH * height / width, width=WIDTH)
        self.axis.set(xlim=(0, width), ylim=(0, height))
        _bare(self.axis)

    def text(self, x: float, y: float, text: str, **options) -> None:
        self.axis.text(x, y, text, **{"ha": "center", "va": "center", "fontsize": 9, "linespacing": 1.25} | options)

    def box(self, x: float, y: float, w: float, h: float, text: str, colour: str = "black", **options) -> None:
        """A box around (x, y) with a text in it."""
        style = "round,pad=0,rounding_size=1"
        self.axis.add_patch(
            FancyBboxPatch((x - w / 2, y - h / 2), w, h, boxstyle=style, facecolor="white", edgecolor=colour, zorder=2)
        )
        self.text(x, y, text, zorder=3, **options)

    def arrow(self, start: tuple, end: tuple, colour: str = FORWARD, bend: float = 0.0, back: bool = False) -> None:
        """An arrow; those of gradients, going `back`, are dashed."""
        line = dict(linestyle=(0, (4, 2)), color=BACK) if back else dict(linestyle="-", color=colour)
        shape = dict(arrowstyle="-|>", mutation_scale=11, shrinkA=0, shrinkB=0, linewidth=1.5)
        self.axis.add_patch(FancyArrowPatch(start, end, connectionstyle=f"arc3,rad={bend}", zorder=1, **shape, **line))


def forward_and_back(
    image: tuple[int, ...] = (28, 28, 1), code_map: tuple[int, int] = (7, 7), code_dim: int = 16, num_codes: int = 128
) -> Picture:
    """Draw a VQ-VAE (van den Oord et al., 2017, figure 1): values go forward, and gradients come back.

    Args:
      image: shape of a picture, (H, W, C).
      code_map: (h, w).
      code_dim: D.
      num_codes: K.
    """
    shapes = {
        "x": image, "z_e": (*code_map, code_dim), "indices": code_map, "codebook": (num_codes, code_dim),
        "z_q": (*code_map, code_dim), "x_hat": image,
    }  # fmt: skip
    said = {name: f"[{', '.join(map(str, shape))}]" for name, shape in shapes.items()}
    with rc_context(STYLE):
        sheet = _Canvas(40)
        for x, name in ((19.5, "encoder"), (40, "nearest\ncode"), (60.5, "decoder")):
            sheet.box(x, 25, 9, 9, name)
        for x, name, word in ((5, "x", "picture"), (75, "x_hat", "picture\nagain")):
            sheet.text(x, 25, f"{word}\n${'x' if name == 'x' else chr(92) + 'hat x'}$ {said[name]}")
        for start, end in ((10, 15), (24, 35.5), (44.5, 56), (65, 70)):
            sheet.arrow((start, 23.3), (end, 23.3))
        for x, name in ((29.7, "z_e"), (50.3, "z_q")):
            sheet.text(x, 19.6, f"${name[0]}_{name[2]}$\n{said[name]}")
        sheet.box(40, 7, 14, 6, f"codebook\n{said['codebook']}", CODES)
        sheet.arrow((40, 10), (40, 20.5), CODES)
        sheet.text(40.8, 14, f"the row\nnamed by each\nindex {said['indices']}", ha="left", fontsize=8)
        for start, end in ((70, 65), (56, 50.3), (29.7, 24)):
            sheet.arrow((start, 27), (end, 27), back=True)
        sheet.arrow((50.3, 27), (29.7, 27), bend=0.55, back=True)
        sheet.text(40, 35.2, "straight-through: the gradient at $z_q$\nis copied to $z_e$, past the choice", color=BACK)
        sheet.text(75, 36, "reconstruction\nloss", color=BACK)
        sheet.arrow((75, 33.6), (75, 28.3), back=True)
        sheet.text(65, 7, "codebook loss\nmoves the codes", color=BACK)
        sheet.arrow((57, 7), (47, 7), back=True)
        sheet.text(14.5, 7, "commitment loss\nmoves $z_e$, and so the encoder", color=BACK)
        sheet.arrow((21, 9.8), (28.6, 17.6), back=True)
        sheet.text(0.5, 38, "solid: values, forward", color=FORWARD, ha="left", fontsize=8)
        sheet.text(0.5, 35.5, "dashed: gradients, back", color=BACK, ha="left", fontsize=8)
    alt = (
        f"A picture {said['x']} goes through the encoder and becomes z_e {said['z_e']}; the nearest code at each "
        "place gives "
        f"indices {said['indices']}, which name rows of the codebook {said['codebook']} and make z_q {said['z_q']}; "
        "the decoder "
        "makes a picture of it. Gradients come back: from the reconstruction loss through the decoder to z_q, copied "
        "past the "
        "choice to z_e, and into the encoder. The codebook loss moves the codes, the commitment loss moves z_e."
    )
    return Picture(sheet.figure, alt, shapes)


def movers(gradients: Mapping[str, Mapping[str, float]]) -> Picture:
    """Draw which part each loss moves, as a table of words and colours.

    Args:
      gradients: loss -> part -> largest absolute gradient, such as
        {"codebook loss": {"encoder": 0.0, "codebook": 0.2}}.
        Every loss has the same parts.
    """
    losses, parts = list(gradients), list(next(iter(gradients.values())))
    table = np.array([[gradients[loss][part] for part in parts] for loss in losses], float)
    with rc_context(STYLE):
        sheet = _Canvas(7 + 6.5 * len(losses))
        top, width = 4 + 6.5 * len(losses), 54 / len(parts)
        for j, part in enumerate(parts):
            sheet.text(25 + width * (j + 0.5), top, part, fontweight="bold")
        for (i, j), size in np.ndenumerate(table):
            x, y = 25 + width * (j + 0.5), top - 5.5 - 6.5 * i
            sheet.box(
                x,
                y,
                width - 1.5,
                5.5,
                f"moved (up to {size:.2g})" if size else "left alone",
                BACK if size else "#bbbbbb",
            )
            if size:
                sheet.axis.add_patch(Rectangle((x - width / 2 + 1.2, y - 2.3), 0.9, 4.6, color=BACK, zorder=3))
        for i, loss in enumerate(losses):
            sheet.text(24, top - 5.5 - 6.5 * i, loss, ha="right")
    moved = {loss: [part for part in parts if gradients[loss][part]] for loss in losses}
    alt = "; ".join(f"{loss} moves {' and '.join(who) or 'nothing'}" for loss, who in moved.items())
    return Picture(sheet.figure, f"{alt[0].upper()}{alt[1:]}.", {"gradients": table})


def cell(codebook: np.ndarray, code: int, nearest: Callable, vectors: np.ndarray | None = None) -> Picture:
    """Draw one code's cell on the plane: everything that is nearer to it than to any other code.

    Args:
      codebook: [K, 2].
      code: whose cell.
      nearest: (points [N, 2], codebook) -> indices [N].
      vectors: [N, 2]; those in the cell get an arrow to the code.
    """
    codes = np.asarray(codebook, np.float32)
    vectors = np.zeros((0, 2), np.float32) if vectors is None else np.asarray(vectors, np.float32)
    reach = 1.25 * max(np.abs(codes).max(), np.abs(vectors).max(initial=0))
    x = np.linspace(-reach, reach, 240, dtype=np.float32)
    grid = np.stack(np.meshgrid(x, x), -1)
    indices = np.asarray(nearest(grid.reshape(-1, 2), codes)).reshape(len(x), len(x))
    inside = indices == code
    chosen = np.asarray(nearest(vectors, codes)) == code if len(vectors) else np.zeros(0, bool)
    figure, ((axis,),) = _figure(4.6, width=5.2)
    with rc_context(STYLE):
        axis.imshow(
            inside, extent=(-reach, reach) * 2, origin="lower", cmap=ListedColormap(["white", PALETTE[4]]), alpha=0.35
        )
        for k, (a, b) in enumerate(codes):
            own = k == code
            if 0 < (indices == k).sum() < indices.size:
                axis.contour(x, x, indices == k, levels=[0.5], colors="#888888", linewidths=0.7)
            axis.scatter(a, b, s=230, color=PALETTE[0] if own else "white", edgecolors="black", zorder=4)
            axis.text(a, b, str(k), ha="center", va="center_baseline", fontweight="bold", zorder=5,
                      color="white" if own else "black")  # fmt: skip
        axis.scatter(*vectors.T, s=14, color="black", zorder=3)
        for a, b in vectors[chosen]:
            axis.annotate("", codes[code], (a, b), arrowprops=dict(arrowstyle="-|>", color=PALETTE[5], shrinkB=8))
        axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="dimension 0", ylabel="dimension 1")
        axis.set_title(f"the cell of code {code}: all that is nearer to it than to any other")
    alt = (
        f"A plane with {len(codes)} numbered codes and straight borders half way between neighbours. The cell of code "
        f"{code} is "
        f"coloured; {int(chosen.sum())} of {len(vectors)} vectors lie in it, each with an arrow to the code."
    )
    return Picture(figure, alt, {"inside": inside, "x": x, "chosen": chosen})


# -- Masks ------------------------------------------------------------------------------------------------------------


def _through(mask: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return what each place depends on behind a layer, bool [H, W, H, W]; `seen` is the same before the layer.

    The centre of the mask [kh, kw] is (kh // 2, kw // 2).
    """
    height, width = seen.shape[:2]
    out = np.zeros_like(seen)
    for di, dj in np.argwhere(mask) - np.array(mask.shape) // 2:
        rows, columns = np.arange(max(0, -di), min(height, height - di)), np.arange(max(0, -dj), min(width, width - dj))
        if rows.size and columns.size:
            out[np.ix_(rows, columns)] |= seen[np.ix_(rows + di, columns + dj)]
    return out


def reach(masks: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Return what each place depends on behind each of the layers with these masks: bool [layers, H, W, H, W]."""
    seen = np.eye(shape[0] * shape[1], dtype=bool).reshape(*shape, *shape)
    layers = []
    for mask in masks:
        seen = _through(np.asarray(mask) != 0, seen)
        layers.append(seen)
    return np.stack(layers)


def _places(axis, kinds: np.ndarray, colours: Sequence[str]) -> None:
    """Draw a map of places, each in the colour of its kind, int [H, W]."""
    axis.imshow(kinds, cmap=ListedColormap(colours), vmin=-0.5, vmax=len(colours) - 0.5, alpha=0.6)
    for i, j in np.ndindex(*kinds.shape):
        axis.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor="#bbbbbb", linewidth=0.8))
    _bare(axis)


def window(mask: np.ndarray, shape: tuple[int, int], place: tuple[int, int]) -> Picture:
    """Draw a masked kernel over one place of a map that is filled in raster order, row by row.

    Args:
      mask: [kh, kw] of 0 and 1, both odd.
      shape: (H, W) of the map.
      place: (row, column) whose code is predicted.
    """
    mask, (row, column) = np.asarray(mask) != 0, place
    order = np.arange(shape[0] * shape[1]).reshape(shape)
    top, left = row - mask.shape[0] // 2, column - mask.shape[1] // 2
    used = np.zeros(shape, bool)
    figure, ((axis,),) = _figure(5.4, width=7.4)  # large, because animations are shown smaller
    with rc_context(STYLE):
        _places(axis, np.where(order < order[place], 1, 0), ["white", PALETTE[4]])
        for (i, j), n in np.ndenumerate(order):
            axis.text(j - 0.42, i - 0.32, str(n + 1), ha="left", va="center", fontsize=10, color="#666666")
        for (i, j), tap in np.ndenumerate(mask):
            a, b = top + i, left + j
            inside = 0 <= a < shape[0] and 0 <= b < shape[1]
            if inside and tap:
                used[a, b] = True
            mark = "\u00d7" if (a, b) == place else "\u2022" if tap else "0"
            axis.text(b, a + 0.06, mark, ha="center", va="center", fontsize=22 if mark != "0" else 15,
                      color="black" if inside else "#aaaaaa", fontweight="bold" if mark != "0" else None)  # fmt: skip
        axis.add_patch(
            Rectangle((left - 0.5, top - 0.5), *mask.shape[::-1], fill=False, edgecolor=PALETTE[5], linewidth=2.5)
        )
        half = np.array(mask.shape) // 2 + 0.5  # of the window, so that it stays whole at the border
        axis.set(xlim=(-half[1], shape[1] - 1 + half[1]), ylim=(shape[0] - 1 + half[0], -half[0]))
        axis.set_title(
            f"place {order[place] + 1} of {order.size}: reads {used.sum()} of the {order[place]} before it",
            fontsize=13,
        )
        axis.set_xlabel(
            "\u2022 read   0 masked   \u00d7 predicted   coloured: known already   grey: zeros beyond the map",
            fontsize=11,
        )
    alt = (
        f"A map of {shape[0]} by {shape[1]} places, numbered in raster order, with a window of {mask.shape[0]} by "
        f"{mask.shape[1]} "
        f"over row {row}, column {column}. The {used.sum()} taps that lie on earlier places are read, the others are "
        "masked."
    )
    return Picture(figure, alt, {"used": used})


def sliding_mask(mask: np.ndarray, shape: tuple[int, int] = (4, 5)) -> Animation:
    """Slide a masked kernel over a map in raster order, see `window`. Where nothing moves, one place is shown."""
    middle = shape[0] // 2, shape[1] // 2
    stops = [*np.ndindex(*shape), middle]
    alt = (
        f"A window of {len(mask)} by {len(mask[0])} goes over a map row by row, each from left to right. At each "
        "place it reads only "
        "numbers that are known already: those above, and those to the left in the same row."
    )
    return Animation([window(mask, shape, place) for place in stops], alt, milliseconds=350)


def blind_spot(
    masks: Sequence[np.ndarray], shape: tuple[int, int] = (7, 7), place: tuple[int, int] = (5, 2)
) -> Picture:
    """Draw after how many masked layers each earlier place is seen, and how many pairs of places are never seen.

    Args:
      masks: a mask for each layer, [kh, kw] of 0 and 1; the first of type A, the others of type B.
      shape: (H, W).
      place: (row, column) from which the map on the left is seen.
    """
    seen = reach(masks, shape)
    own = seen[:, place[0], place[1]]
    depth = np.where(own.any(axis=0), own.argmax(axis=0) + 1, 0)
    order = np.arange(shape[0] * shape[1]).reshape(shape)
    before = order < order[place]
    places = order.size
    unseen = places * (places - 1) // 2 - seen.reshape(len(seen), -1).sum(axis=1)
    figure, axes = _figure(3.5, 1, 2)
    left, right = axes[0]
    with rc_context(STYLE):
        kind = np.where(depth > 0, 1, np.where(before, 2, 0))
        _places(left, kind, ["white", PALETTE[4], PALETTE[1]])
        for (i, j), n in np.ndenumerate(depth):
            mark = "\u00d7" if (i, j) == place else str(n) if n else "?" if before[i, j] else ""
            left.text(j, i, mark, ha="center", va="center", fontweight="bold")
        left.set_title("the layer from which \u00d7 sees a place\n? is never seen: the blind spot")
        right.plot(np.arange(1, len(unseen) + 1), unseen, marker="o", color=PALETTE[0])
        right.axhline(unseen[-1], color=PALETTE[5], linestyle="--")
        right.text(
            len(unseen),
            unseen[-1] - 0.04 * unseen[0],
            f"{unseen[-1]} stay unseen",
            ha="right",
            va="top",
            color=PALETTE[5],
        )
        right.set(xlabel="layers", ylabel="pairs (place, earlier place) unseen", ylim=(0, 1.05 * unseen[0]))
        right.set_title(f"of {places * (places - 1) // 2} pairs on the whole map")
    hidden = int((before & (depth == 0)).sum())
    alt = (
        f"On the left a map seen from row {place[0]}, column {place[1]}: each earlier place has the number of the "
        "layer from which "
        f"it is seen, and {hidden} question marks, to the right on the rows above, are never seen. On the right the "
        "number "
        f"of unseen pairs falls from {unseen[0]} with one layer to {unseen[-1]}, and stays there."
    )
    return Picture(figure, alt, {"depth": depth, "unseen": unseen, "blind": before & (depth == 0)})


def two_stacks(channels: int = 32, kernel_size: int = 3, residual: bool = True) -> Picture:
    """Draw a block of the gated PixelCNN (van den Oord et al., 2016b, figure 2), with the shapes of what flows in it.

    Args:
      channels: C.
      kernel_size: k, odd.
      residual: whether the horizontal input is added to the horizontal output.
    """
    half = kernel_size // 2 + 1
    kernels = {"vertical": (half, kernel_size), "horizontal": (1, half)}
    one, two = f"[B, H, W, {channels}]", f"[B, H, W, {2 * channels}]"
    with rc_context(STYLE):
        sheet = _Canvas(52)
        for x, name, says in ((18, "vertical", "rows above"), (58, "horizontal", "places on the left")):
            sheet.text(x, 50, f"{name} stack: {says}", fontweight="bold")
            sheet.text(x, 47, one, fontsize=8)
            sheet.arrow((x, 45.8), (x, 43))
            rows, columns = kernels[name]
            sheet.box(x, 40.5, 20, 5, f"half kernel\n{rows} x {columns}, masked")
            sheet.arrow((x, 38), (x, 33.7))
            side, ha = (-1, "right") if x == 18 else (1, "left")
            sheet.text(x + side, 36, two, ha=ha, fontsize=8)
            sheet.box(x, 32, 3.4, 3.4, "+")
        sheet.arrow((18, 36), (32.5, 34.4), CODES)
        sheet.box(37, 34, 9, 3.6, "1 x 1", CODES)
        sheet.arrow((41.5, 33.6), (56.3, 32.4), CODES)
        sheet.text(37, 38.2, "above to left,\nnever back", fontsize=8, color=CODES)
        sheet.box(38, 25, 13, 5, "condition\n[B, E]", PALETTE[3])
        sheet.arrow((31.5, 25.5), (19.8, 30.9), PALETTE[3])
        sheet.arrow((44.5, 25.5), (56.2, 30.9), PALETTE[3])
        sheet.text(25.5, 31.5, "linear", fontsize=8, color=PALETTE[3])
        sheet.text(49.8, 29.5, "linear", fontsize=8, color=PALETTE[3])
        for x in (18, 58):
            sheet.arrow((x, 30.3), (x, 22.5))
            side, ha = (-1, "right") if x == 18 else (1, "left")
            sheet.text(x + side, 26.5, two, ha=ha, fontsize=8)
            sheet.box(x, 19.5, 20, 6, "gate\ntanh(half) \u00d7 \u03c3(other half)")
        sheet.arrow((18, 16.5), (18, 3.4))
        sheet.arrow((58, 16.5), (58, 13.9))
        sheet.box(58, 12, 9, 3.6, "1 x 1")
        sheet.arrow((58, 5.6 if residual else 10.2), (58, 3.4))
        if residual:
            sheet.arrow((58, 10.2), (58, 9))
            sheet.box(58, 7.3, 3.4, 3.4, "+")
            for start, end in (((58, 44.8), (73, 44.8)), ((73, 44.8), (73, 7.3))):
                sheet.axis.plot(*zip(start, end, strict=True), color=FORWARD, linewidth=1.5, zorder=1)
            sheet.arrow((73, 7.3), (59.8, 7.3))
            sheet.text(73.6, 26, "residual:\nthe input\nas it is", ha="left", fontsize=8)
        for x in (18, 58):
            sheet.text(x, 2, one, fontsize=8)
    link = " the horizontal input is added," if residual else ""
    alt = (
        f"Two columns. Vertical stack: {one}, a masked half kernel of {half} x {kernel_size} makes {two}, the "
        "condition is added, a gate "
        f"makes {one}. Horizontal stack: the same with a kernel of 1 x {half}; what the vertical kernel made is added "
        "by way of a 1 x 1 "
        f"layer, never the other way round; behind the gate comes a 1 x 1 layer,{link} and {one} comes out."
    )
    return Picture(sheet.figure, alt, kernels | {"before the gate": 2 * channels, "behind the gate": channels})


# -- Codes ------------------------------------------------------------------------------------------------------------


def atlas(
    images: np.ndarray, indices: np.ndarray, num_codes: int, most: int = 48, limits: tuple[float, float] = (0, 1)
) -> Picture:
    """Draw what each code stands for: the mean of all patches at the places that have it, the most frequent code first.

    Args:
      images: [N, H, W] or [N, H, W, 1].
      indices: int [N, h, w]; h divides H, and w divides W.
      num_codes: K.
      most: how many codes to draw; a multiple of 12 fills its rows.
      limits: the values shown as black and white.
    """
    images, indices = np.asarray(images), np.asarray(indices)
    count, h, w = indices.shape
    sides = images.shape[1] // h, images.shape[2] // w
    patches = images.reshape(count, h, sides[0], w, sides[1]).swapaxes(2, 3).reshape(-1, *sides)
    counts = np.bincount(indices.ravel(), minlength=num_codes)
    means = np.zeros((num_codes, *sides))
    np.add.at(means, indices.ravel(), patches)
    means /= np.maximum(counts, 1)[:, None, None]
    shown = [k for k in np.argsort(-counts, kind="stable")[:most] if counts[k]]
    columns = 12
    rows = -(-len(shown) // columns)
    figure, axes = _figure(rows * (WIDTH / columns + 0.28) + 0.2, rows, columns)
    with rc_context(STYLE):
        for axis in axes.flat:
            axis.set_visible(False)
        for axis, k in zip(axes.flat, shown, strict=False):
            axis.set_visible(True)
            axis.imshow(means[k], cmap="gray", vmin=limits[0], vmax=limits[1])
            axis.set_title(f"{k}: {counts[k] / counts.sum():.1%}", fontsize=7.5, pad=2)
            axis.set_xticks([])
            axis.set_yticks([])
    used = int((counts > 0).sum())
    alt = (
        f"The mean patch, {sides[0]} by {sides[1]} pixels, of each of the {len(shown)} most frequent of {used} codes "
        f"in use, of {num_codes}; "
        f"code {shown[0]} is at {counts[shown[0]] / counts.sum():.0%} of all places."
    )
    return Picture(figure, alt, {"means": means, "counts": counts, "shown": np.array(shown)})


def lives(
    codebooks: np.ndarray, usage: np.ndarray, steps: Sequence[int], vectors: np.ndarray | None = None, what: str = ""
) -> Animation:
    """Draw a codebook's collapse, or revival, from what was recorded in training.

    Args:
      codebooks: [T, K, D], at T moments; with D above 2 they are shown on two principal directions of all of them.
      usage: [T, K], each code's share of the vectors at that moment; a code with 0 is a cross.
      steps: the T steps.
      vectors: [T, N, D], what the encoder gave at these moments; grey dots.
      what: the picture's title, such as "no revival".
    """
    codebooks, usage = np.asarray(codebooks, np.float64), np.asarray(usage, np.float64)
    clouds = codebooks if vectors is None else np.concatenate([codebooks, np.asarray(vectors)], axis=1)
    middle = clouds.mean(axis=(0, 1))
    directions = np.eye(codebooks.shape[2])
    if codebooks.shape[2] > 2:
        directions = np.linalg.svd((clouds - middle).reshape(-1, clouds.shape[2]), full_matrices=False)[2][:2].T
        directions = directions * np.sign(directions[np.abs(directions).argmax(axis=0), [0, 1]])  # the same everywhere
    flat = (clouds - middle) @ directions if codebooks.shape[2] > 2 else clouds
    edge = 1.08 * np.abs(flat).max()
    used = (usage > 0).sum(axis=1)
    shares = usage / np.maximum(usage.sum(axis=1, keepdims=True), 1e-12)
    entropy = -np.sum(shares * np.log(np.where(shares > 0, shares, 1.0)), axis=1)
    frames = []
    for t, step in enumerate(steps):
        figure, ((left, right),) = _figure(3.6, 1, 2)
        codes, alive = flat[t, : codebooks.shape[1]], usage[t] > 0
        with rc_context(STYLE):
            left.scatter(*flat[t, codebooks.shape[1] :].T, s=3, color="#aaaaaa", linewidths=0)
            left.scatter(*codes[~alive].T, s=30, marker="x", color=PALETTE[5], zorder=3, label="not used")
            area = 30 + 300 * shares[t][alive]
            left.scatter(*codes[alive].T, s=area, color=PALETTE[0], edgecolors="black", alpha=0.75, label="used")
            left.set(
                xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal", title=f"{what}{', ' if what else ''}step {step}"
            )
            left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2, fontsize=8)
            for y, name, colour, line in (
                (used, "codes used", FORWARD, "-"),
                (np.exp(entropy), "perplexity", BACK, "--"),
            ):
                right.plot(steps, y, color=colour, linestyle=line, label=name)
                right.plot(step, y[t], marker="o", color=colour)
            right.set(xlabel="step", ylabel="codes", ylim=(0, codebooks.shape[1] * 1.05))
            right.legend(fontsize=8)
        data = {"used": used, "perplexity": np.exp(entropy), "codes": codes, "alive": alive}
        frames.append(Picture(figure, f"step {step}: {used[t]} codes used", data))
    alt = (
        f"{what}{': ' if what else ''}{codebooks.shape[1]} codes over {len(steps)} moments of training, used ones as "
        "dots and the others as "
        f"crosses: {used[0]} used at step {steps[0]}, {used[-1]} at step {steps[-1]}; perplexity "
        f"{np.exp(entropy[0]):.1f} and "
        f"{np.exp(entropy[-1]):.1f}."
    )
    return Animation(frames, alt, milliseconds=400)


# -- The course -------------------------------------------------------------------------------------------------------

# What a student builds, in the order in which a picture passes: lessons, functions, and where they live on.
MAP = (
    ("encoder", "03", "Encoder", "latent diffusion"),
    ("quantizer", "01, 02, 04, 07", "nearest_code, straight_through,\nupdate_codebook, restart_dead_codes,\n"
     "finite_scalar_quantize, rotate_to,\nresidual_quantize", "VQGAN, SoundStream,\ntokenizers of today"),
    ("prior", "05, 06", "MaskedConv2D, GatedBlock,\nprior_loss, sample, complete", "transformers, MaskGIT"),
    ("decoder", "03", "Decoder", "latent diffusion"),
)  # fmt: skip


def course_map() -> Picture:
    """Draw the course on one map: a picture's way through the parts of all lessons, and where each lives on."""
    with rc_context(STYLE):
        sheet = _Canvas(50)
        places = {"encoder": (13, 34, 17), "quantizer": (40, 34, 27), "decoder": (67, 34, 17), "prior": (40, 12, 27)}
        for name, lessons, functions, lives in MAP:
            x, y, w = places[name]
            sheet.box(x, y, w, 15, "", CODES if name == "quantizer" else "black")
            sheet.text(
                x, y + 5.6, f"{name} (lesson{'s' if ',' in lessons else ''} {lessons})", fontsize=8, fontweight="bold"
            )
            sheet.text(x, y + 0.7, functions, fontsize=7)
            sheet.text(x, y - 5.6, f"lives on in {lives}", fontsize=7, color=FORWARD, linespacing=1)
        for start, end in (
            ((1, 34), (4.5, 34)),
            ((21.5, 34), (26.5, 34)),
            ((53.5, 34), (58.5, 34)),
            ((75.5, 34), (79, 34)),
        ):
            sheet.arrow(start, end)
        sheet.arrow((36, 26.5), (36, 19.5), CODES)
        sheet.arrow((44, 19.5), (44, 26.5), CODES)
        sheet.text(35, 23, "code maps,\nto learn from", ha="right", fontsize=8, color=CODES)
        sheet.text(45, 23, "code maps,\ndrawn", ha="left", fontsize=8, color=CODES)
        sheet.arrow((53.5, 12), (60, 12))
        sheet.box(69, 12, 18, 9, "entropy coder (lesson 08)\na file, and back", fontsize=8)
        sheet.text(13, 14, "losses (lesson 02)", fontsize=8, fontweight="bold", color=BACK)
        sheet.text(13, 10.5, "reconstruction_loss, vq_loss,\nbernoulli_nll", fontsize=7, color=BACK)
        sheet.arrow((13, 16), (13, 26.5), back=True)
        sheet.text(1, 44, "a picture goes in", ha="left", fontsize=8)
        sheet.text(79, 44, "and comes out", ha="right", fontsize=8)
    parts = "; ".join(
        f"the {name}, of lessons {lessons}, with {functions.replace(chr(10), ' ')}, which lives on in "
        f"{lives.replace(chr(10), ' ')}"
        for name, lessons, functions, lives in MAP
    )
    alt = (
        "The course as a map. A picture passes encoder, quantizer and decoder; code maps go down to the prior and come "
        f"back. Parts: {parts}. Gradients come from the losses of lesson 02. From the prior an arrow leads to the "
        "entropy coder of lesson 08."
    )
    return Picture(sheet.figure, alt, {name: functions for name, _, functions, _ in MAP})


def intervals(frequencies: Sequence[Sequence[float]], symbols: Sequence[int]) -> Picture:
    """Draw how a range coder narrows an interval: a bar for each place, cut by the frequencies, the next one zoomed in.

    Args:
      frequencies: of each place, [places, K], numbers above 0.
      symbols: the code that each place has.
    """
    sheet, low, high, height = _Canvas(15 * len(symbols) + 6), 0.0, 1.0, 15
    data = []
    for n, (counts, symbol) in enumerate(zip(frequencies, symbols, strict=True)):
        ends = np.cumsum([0.0, *counts]) / np.sum(counts)
        top = height * (len(symbols) - n) - 1
        for k, (left, right) in enumerate(zip(ends, ends[1:], strict=False)):
            chosen = k == symbol
            face = dict(facecolor=CODES if chosen else "white", hatch="//" if chosen else "", edgecolor="black")
            sheet.axis.add_patch(Rectangle((8 + 64 * left, top - 6), 64 * (right - left), 6, **face))
            plate = dict(facecolor="white", edgecolor="none", pad=1.5)
            sheet.text(8 + 32 * (left + right), top - 3, f"{k}", bbox=plate, weight="bold" if chosen else "normal")
        sheet.text(0, top - 3, f"place {n + 1}", ha="left")
        sheet.text(8, top + 1.2, f"{low:.4g}", fontsize=8)
        sheet.text(72, top + 1.2, f"{high:.4g}", fontsize=8)
        if n + 1 < len(symbols):  # the chosen part becomes the whole of the next bar
            for x, end in ((8, ends[symbol]), (72, ends[symbol + 1])):
                sheet.axis.plot([8 + 64 * end, x], [top - 6, top - height + 2.4], "--", color="#777777", linewidth=1)
        low, high = low + (high - low) * ends[symbol], low + (high - low) * ends[symbol + 1]
        data.append((low, high))
    bits = np.log2(1 / (high - low))
    sheet.text(40, 2.5, f"any number from {low:.4f} to {high:.4f} stands for {list(symbols)}: {bits:.1f} bits")
    alt = (
        f"{len(symbols)} bars, one a place, cut into parts as wide as the codes are probable. The part of code "
        f"{', then '.join(map(str, symbols))} is hatched, and drawn again as the whole of the next bar. In the end the "
        f"interval goes from {low:.4f} to {high:.4f}, which takes {bits:.1f} bits to name."
    )
    return Picture(sheet.figure, alt, {"intervals": np.array(data)})
