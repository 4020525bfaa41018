"""The ledger's figure: one marker, number and line of the legend for each system."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context

from vqtutor.show.figures import PALETTE, STYLE, Picture, _figure

MARKERS, LETTERS = "osD^vP*Xph<>", "abcdefghijkl"


def chart(rows: Sequence[dict[str, Any]], title: str) -> Picture:
    """Draw systems by bits an image and distortion, and say all of it in the alternative text.

    Args:
      rows: "system", "bits", "distortion", "prior_bits" or None, and "theirs": None for what is there for scale only.
        A system with a prior has a second, filled marker at the bits under its prior, joined to the first.
      title: of the data set.
    """
    figure, ((axis,),) = _figure(max(3.9, 0.9 + 0.2 * len(rows)))  # the legend has a line for each
    data, lines, places, names = {}, [], [], []
    # A logarithmic axis has no 0: what loses nothing is drawn below all others, and its tick says 0.
    floor = min([row["distortion"] for row in rows if row["distortion"] > 0], default=1.0) / 1.6
    with rc_context(STYLE):
        for row in rows:
            scale, prior = row["theirs"] is None, row["prior_bits"]
            n = sum((name[0] in LETTERS) == scale for name in names)  # systems have numbers, formats have letters
            names.append(LETTERS[n % len(LETTERS)] if scale else str(n + 1))
            colour = "#777777" if scale else PALETTE[n % (len(PALETTE) - 1)]
            look = dict(marker=MARKERS[n % len(MARKERS)], color=colour, markeredgecolor="black", markersize=8)
            bits = [row["bits"]] if prior is None else [row["bits"], prior]
            height = row["distortion"] or floor
            axis.plot(bits, [height] * len(bits), "-", color=colour, linewidth=1)
            cost = " -> ".join(f"{value:,.0f}" for value in bits)
            whose = {None: "", True: "", False: " (the course's)"}[row["theirs"]]
            label = f"{names[-1]}  {row['system']}{whose}: {cost} bits, {row['distortion']:.3f}"
            for value, hollow in zip(bits, (True, False) if len(bits) == 2 else (scale,), strict=True):
                face = dict(markerfacecolor="white", markeredgecolor="black" if scale else colour) if hollow else {}
                named = dict(label=label) if value == bits[-1] else {}
                axis.plot(value, height, linestyle="", **look | face, **named)
            places.append((bits[-1], height))
            data[row["system"]] = np.array([*bits, row["distortion"]])
            under = "" if prior is None else f", {prior:,.0f} under its prior"
            lines.append(f"{row['system']}{whose} {row['bits']:,.0f} bits{under}, distortion {row['distortion']:.3f}")
        axis.set(
            xscale="log",
            yscale="log",
            xlabel="bits an image (logarithmic)",
            ylabel="distortion, of the variance (logarithmic)",
            title=f"{title}: test images. Down and to the left is better",
        )
        for side, limits in ((axis.xaxis, axis.get_xlim()), (axis.yaxis, axis.get_ylim())):
            ticks = [digit * 10.0**power for power in range(-4, 5) for digit in (1, 2, 5)]
            side.set_ticks([tick for tick in ticks if limits[0] <= tick <= limits[1] and tick > 1.2 * floor])
            side.set_major_formatter("{x:,g}")
            side.set_minor_formatter("")
        if any(not row["distortion"] for row in rows):
            axis.set_yticks([floor, *axis.get_yticks()], ["0", *(f"{tick:g}" for tick in axis.get_yticks())])
        _name(axis, places, names)
        axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8, title="bits an image, distortion")
    alt = f"{title}, bits per image (horizontal) and distortion (vertical) of {len(rows)} systems. {'; '.join(lines)}."
    return Picture(figure, alt, data)


def _name(axis, places: Sequence[tuple[float, float]], names: Sequence[str]) -> None:
    """Write each place's name beside it, on the first side with room between all other markers and names."""
    axis.figure.canvas.draw()  # the layout decides where the places come to lie
    taken = [np.array(point) for point in axis.transData.transform(places)]
    for n, (place, name) in enumerate(zip(places, names, strict=True)):
        here = taken[n]
        others = [point for k, point in enumerate(taken) if k != n]
        sides = [(12, 0), (-12, 0), (0, 12), (0, -12), (10, 10), (-10, 10), (10, -10), (-10, -10)]
        room = [min([np.linalg.norm(here + side - other) for other in others], default=99) for side in sides]
        side = sides[next((i for i, space in enumerate(room) if space > 14), int(np.argmax(room)))]
        taken.append(here + side)
        axis.annotate(name, place, np.array(side) * 0.9, textcoords="offset points", ha="center", va="center")
