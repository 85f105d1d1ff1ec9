"""A ranking: the values of one axis of a sweep, sorted by what was measured."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes

from kdlab.errors import Refusal
from kdlab.plots.drawing import paper
from kdlab.plots.picture import GREEN, GREY, INK, VERMILLION, Picture, style
from kdlab.plots.words import called, percent, scale, written
from kdlab.scores import LOWER_IS_BETTER
from kdlab.sweeps import Atlas
from kdlab.verdicts import SHARES, Verdict, signed

LOOKS = {  # by the word of a verdict: colour and marker
    "better": (GREEN, "^"),
    "worse": (VERMILLION, "v"),
}


def ranking(
    atlas: Atlas, axis: str, baseline: object, metrics: Sequence[str] = ("accuracy", "nll")
) -> Picture:
    """Every value of an axis against one of them, paired over the seeds; the best mean on top.

    axis: the only axis of the sweep, or one along which alone the runs differ.  baseline: one of
    its values.  metrics: one column each; the first one sorts. Bars are 95 % intervals of the
    paired differences; ▲ is better, ▼ worse, ● no difference seen.
    """
    metrics = [metrics] if isinstance(metrics, str) else list(metrics)
    if axis not in atlas.axes:
        raise Refusal(f"{axis!r} is no axis of this sweep: its axes are {', '.join(atlas.axes)}.")
    for metric in metrics:
        scale(metric)  # refuses an unknown one
    sign = 1 if metrics[0] in LOWER_IS_BETTER else -1
    means = {
        name: atlas.rows({axis: name})[metrics].mean() for name in dict.fromkeys(atlas.table[axis])
    }
    order = sorted(means, key=lambda name: sign * means[name][metrics[0]])
    found = {
        metric: [atlas.compare({axis: baseline}, {axis: name}, metric) for name in order]
        for metric in metrics
    }
    picture = paper("ranking", (4.8 + 2.4 * len(metrics), 1.3 + 0.34 * len(order)))
    with style():
        columns = picture.figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
        for axes, metric in zip(columns, metrics, strict=True):
            for row, (name, verdict) in enumerate(zip(order, found[metric], strict=True)):
                _draw(axes, row, verdict, is_baseline=name == baseline)
            axes.axvline(0, color=INK, linewidth=1.2)
            better = "left" if metric in LOWER_IS_BETTER else "right"
            unit = "points" if metric in SHARES else "nats" if metric == "nll" else ""
            axes.set_xlabel(f"difference, {unit} ({better} is better)")
            axes.set_title(called(metric))
            values = [written(means[name][metric], metric) for name in order]
            axes.secondary_yaxis("right").set_yticks(range(len(order)), values)
            axes.tick_params(axis="y", length=0)
        columns[0].set_yticks(range(len(order)), order)
        columns[0].set_ylim(len(order) - 0.4, -0.6)
    first = found[metrics[0]]
    said = "; ".join(
        f"{name} {written(means[name][metrics[0]], metrics[0])}{percent(metrics[0])} "
        f"({signed(verdict.difference, metrics[0])}, {verdict.word})"
        for name, verdict in zip(order, first, strict=True)
    )
    return picture.draw(
        f"Ranking by {called(metrics[0]).split(',')[0]}, {first[0].pairs} pairs, differences "
        f"against {baseline}: {said}."
    )


def _draw(axes: Axes, row: int, verdict: Verdict, is_baseline: bool) -> None:
    factor = scale(verdict.metric)
    colour, marker = LOOKS.get(verdict.word, (GREY, "o"))
    if is_baseline:
        axes.plot(0, row, "D", color=INK, markersize=7)
        return
    if math.isfinite(verdict.low):
        ends = [verdict.low * factor, verdict.high * factor]
        axes.plot(ends, [row, row], color=colour, linewidth=2.5, solid_capstyle="butt")
    axes.plot(verdict.difference * factor, row, marker, color=colour, markersize=9)
