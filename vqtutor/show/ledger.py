"""The ledger's figure: one marker, number and line of the legend for each system."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context

from vqtutor.show.figures import PALETTE, STYLE, Picture, _figure

MARKERS = "osD^vP*Xph<>"


def chart(rows: Sequence[dict[str, Any]], title: str) -> Picture:
    """Draw systems by bits an image and distortion, and say all of it in the alternative text.

    Args:
      rows: "system", "bits", "distortion", "prior_bits" or None, and "theirs": None for what is there for scale only.
        A system with a prior has a second, filled marker at the bits under its prior, joined to the first.
      title: of the data set.
    """
    figure, ((axis,),) = _figure(3.9)
    data, lines = {}, []
    # A logarithmic axis has no 0: what loses nothing is drawn below all others, and its tick says 0.
    floor = min([row["distortion"] for row in rows if row["distortion"] > 0], default=1.0) / 1.6
    with rc_context(STYLE):
        for n, row in enumerate(rows, start=1):
            scale, prior = row["theirs"] is None, row["prior_bits"]
            colour = "#777777" if scale else PALETTE[(n - 1) % (len(PALETTE) - 1)]
            look = dict(marker=MARKERS[(n - 1) % len(MARKERS)], color=colour, markeredgecolor="black", markersize=8)
            bits = [row["bits"]] if prior is None else [row["bits"], prior]
            height = row["distortion"] or floor
            axis.plot(bits, [height] * len(bits), "-", color=colour, linewidth=1)
            cost = " -> ".join(f"{value:,.0f}" for value in bits)
            whose = {None: "", True: "", False: " (the course's)"}[row["theirs"]]
            label = f"{n}  {row['system']}{whose}: {cost} bits, {row['distortion']:.3f}"
            for value, hollow in zip(bits, (True, False) if len(bits) == 2 else (scale,), strict=True):
                face = dict(markerfacecolor="white") if hollow else {}
                named = dict(label=label) if value == bits[-1] else {}
                axis.plot(value, height, linestyle="", **look, **face, **named)
            side = -1 if n % 2 else 1  # neighbours at equal bits have their numbers on two sides
            offset, align = (7 * side, 3), "right" if side < 0 else "left"
            axis.annotate(str(n), (bits[-1], height), offset, textcoords="offset points", ha=align)
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
            side.set_ticks([tick for tick in ticks if limits[0] <= tick <= limits[1] and tick > floor])
            side.set_major_formatter("{x:,g}")
            side.set_minor_formatter("")
        if any(not row["distortion"] for row in rows):
            axis.set_yticks([floor, *axis.get_yticks()], ["0", *(f"{tick:g}" for tick in axis.get_yticks())])
        axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8, title="bits an image, distortion")
    alt = f"{title}, bits an image across and distortion up, {len(rows)} systems. {'; '.join(lines)}."
    return Picture(figure, alt, data)
