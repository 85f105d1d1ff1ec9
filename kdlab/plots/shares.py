"""What each teacher is worth: Shapley values with intervals, seed by seed."""

import math

from kdlab.plots.drawing import paper
from kdlab.plots.picture import GREEN, GREY, INK, VERMILLION, Picture, style
from kdlab.plots.words import called, scale
from kdlab.scores import LOWER_IS_BETTER
from kdlab.shapley import Shares
from kdlab.verdicts import SHARES, signed

LOOKS = {"adds": (GREEN, "^"), "takes away": (VERMILLION, "v")}  # by the word: colour and marker


def shares(found: Shares) -> Picture:
    """The Shapley value of each teacher with its 95 % interval, and a ring for each seed.

    found: what `kdlab.shapley` gave. ▲ adds, ▼ takes away, ● no difference seen.
    """
    factor = scale(found.metric)
    rows = list(found.values.itertuples())
    picture = paper("Shapley values", (7.2, 1.3 + 0.45 * len(rows)))
    with style():
        axes = picture.figure.subplots()
        for at, row in enumerate(rows):
            colour, marker = LOOKS.get(row.word, (GREY, "o"))
            each = found.per_seed[row.teacher] * factor
            axes.plot(each, [at] * len(each), "o", color=INK, markersize=5, fillstyle="none")
            if math.isfinite(row.low):
                ends = [row.low * factor, row.high * factor]
                axes.plot(ends, [at, at], color=colour, linewidth=2.5, solid_capstyle="butt")
            axes.plot(row.value * factor, at, marker, color=colour, markersize=10)
        axes.axvline(0, color=INK, linewidth=1.2)
        better = "left" if found.metric in LOWER_IS_BETTER else "right"
        unit = "points of " if found.metric in SHARES else ""
        axes.set_xlabel(f"Shapley value, {unit}{found.metric} ({better} is better)")
        axes.set_yticks(range(len(rows)), [row.teacher for row in rows])
        words = axes.secondary_yaxis("right")
        words.set_yticks(range(len(rows)), [row.word for row in rows])
        for axis in (axes, words):
            axis.tick_params(axis="y", length=0)
        axes.set_ylim(len(rows) - 0.4, -0.6)
    said = "; ".join(
        f"{row.teacher} {signed(row.value, found.metric)} ({row.word})" for row in rows
    )
    kind = called(found.metric).split(",")[0]
    return picture.draw(f"Shapley values, {kind}, {len(found.per_seed)} seeds: {said}.")
