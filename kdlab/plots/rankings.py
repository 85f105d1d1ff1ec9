"""A ranking: the values of one axis of a sweep, sorted by what was measured."""

import math
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from kdlab.errors import Refusal
from kdlab.plots.drawing import paper
from kdlab.plots.picture import INK, Picture, style, verdict_look
from kdlab.plots.words import called, percent, scale, written
from kdlab.scores import LOWER_IS_BETTER
from kdlab.sweeps import Atlas
from kdlab.verdicts import SHARES, Verdict, compare, signed


def ranking(
    atlas: Atlas | Sequence[Atlas],
    axis: str,
    baseline: object,
    metrics: str | Sequence[str] = ("accuracy", "nll"),
) -> Picture:
    """Every value of an axis against one of them, paired over the seeds; the best mean on top.

    atlas: a sweep with this one axis, or several that share it, their students and their seeds.
    baseline: one of its values.  metrics: one column each; the first one sorts. Bars are 95 %
    intervals of the paired differences; ▲ is better, ▼ worse, ● no difference seen.
    """
    metrics = [metrics] if isinstance(metrics, str) else list(metrics)
    for metric in metrics:
        scale(metric)  # refuses an unknown one
    table = _joined([atlas] if isinstance(atlas, Atlas) else list(atlas), axis)
    if baseline not in table.index:
        known = ", ".join(map(str, table.index.unique()))
        raise Refusal(f"baseline {baseline!r} is no value of {axis}: expected one of {known}.")
    means = table.groupby(level=0, sort=False)[metrics].mean()
    order = means.sort_values(metrics[0], ascending=metrics[0] in LOWER_IS_BETTER).index.tolist()
    found = {
        metric: [_compared(table, baseline, name, metric) for name in order] for metric in metrics
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
            values = [written(means.loc[name, metric], metric) for name in order]
            axes.secondary_yaxis("right").set_yticks(range(len(order)), values)
            axes.tick_params(axis="y", length=0)
        columns[0].set_yticks(range(len(order)), order)
        columns[0].set_ylim(len(order) - 0.4, -0.6)
    first = found[metrics[0]]
    said = "; ".join(
        f"{name} {written(means.loc[name, metrics[0]], metrics[0])}{percent(metrics[0])} "
        f"({signed(verdict.difference, metrics[0])}, {verdict.word})"
        for name, verdict in zip(order, first, strict=True)
    )
    return picture.draw(
        f"Ranking by {called(metrics[0]).split(',')[0]}, {first[0].pairs} pairs, differences "
        f"against {baseline}: {said}."
    )


def _joined(atlases: list[Atlas], axis: str) -> pd.DataFrame:
    """The runs of all sweeps under the value of the axis; the first one of a value and a seed."""
    for one in atlases:
        if tuple(one.axes) != (axis,):
            raise Refusal(
                f"{axis!r} is not the one axis of this sweep: its axes are {', '.join(one.axes)}."
            )
    table = pd.concat([one.table for one in atlases])
    return table.drop_duplicates([axis, "seed"]).set_index(axis)


def _compared(table: pd.DataFrame, baseline: object, name: object, metric: str) -> Verdict:
    pair = [table.loc[[one]].set_index("seed")[metric] for one in (baseline, name)]
    seeds = pair[0].index.intersection(pair[1].index)
    values = (own.loc[seeds].tolist() for own in pair)
    return compare(*values, metric, names=(str(baseline), str(name)))


def _draw(axes: Axes, row: int, verdict: Verdict, is_baseline: bool) -> None:
    factor = scale(verdict.metric)
    look = verdict_look(verdict.word)
    if is_baseline:
        axes.plot(0, row, "D", color=INK, markersize=7)
        return
    if math.isfinite(verdict.low):
        ends = [verdict.low * factor, verdict.high * factor]
        axes.plot(ends, [row, row], color=look["color"], linewidth=2.5, solid_capstyle="butt")
    axes.plot(verdict.difference * factor, row, **look, markersize=9)
