"""Lines over any axis, with intervals where there are several seeds."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.ticker import NullLocator

from kdlab.errors import Refusal
from kdlab.plots.drawing import array, name_lines, paper
from kdlab.plots.picture import INK, MARKERS, PALETTE, Picture, style
from kdlab.plots.runs import LINES
from kdlab.verdicts import interval


def lines(
    series: Mapping[str, pd.Series | pd.DataFrame],
    x: str,
    y: str,
    *,
    log: str = "",
    zero: bool = False,
) -> Picture:
    """Lines by name, told apart by colour, marker and dashes.

    series: for each name a Series, or a DataFrame with a column a seed, which becomes the mean
        with 95 % intervals over the columns. The index is the horizontal axis.
    x, y: what the axes say, with units.  log: "", "x", "y" or "xy".  zero: draws the line y = 0.
    """
    _check(series, log)
    picture = paper(f"{y} over {x}", (9, 4.2))
    with style():
        axes = picture.figure.subplots()
        if zero:
            axes.axhline(0, color=INK, linewidth=1)
        ends, said = [], []
        for at, (name, values) in enumerate(series.items()):
            mean, places = values, values.index.to_numpy(dtype=float)
            if isinstance(values, pd.DataFrame):
                mean = values.mean(axis=1)
                spans = [interval(row) for row in values.to_numpy().tolist()]
                axes.fill_between(
                    places, *zip(*spans, strict=True), color=PALETTE[at], alpha=0.15, linewidth=0
                )
            axes.plot(
                places, mean, color=PALETTE[at], linestyle=LINES[at], marker=MARKERS[at],
                markevery=max(1, len(places) // 10),
            )  # fmt: skip
            ends.append((places[-1], float(mean.iloc[-1]), name, PALETTE[at]))
            said.append(f"{name}: from {mean.iloc[0]:.3g} to {mean.iloc[-1]:.3g}")
        seeds = any(isinstance(values, pd.DataFrame) for values in series.values())
        axes.set(xlabel=x, ylabel=y, title="mean over the seeds, 95 % interval" if seeds else "")
        if "y" in log:
            axes.set_yscale("log")
        if "x" in log:
            axes.set_xscale("log")
            ticks = sorted({place for values in series.values() for place in values.index})
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.xaxis.set_minor_locator(NullLocator())
        name_lines(axes, ends)
    return picture.draw(f"{y} over {x}. {'; '.join(said)}.")


def _check(series: Mapping[str, pd.Series | pd.DataFrame], log: str) -> None:
    if not isinstance(series, Mapping) or not 1 <= len(series) <= len(PALETTE):
        raise Refusal(f"expected a dict of 1 to {len(PALETTE)} lines by name.")
    for name, values in series.items():
        if not isinstance(values, (pd.Series, pd.DataFrame)):
            raise Refusal(
                f"the line {name!r} is a {type(values).__name__}: expected a pandas Series, or a "
                "DataFrame with a column a seed."
            )
        array(name, values, (None,) * values.ndim)
        array(f"the index of {name}", values.index, (None,))
    if log not in ("", "x", "y", "xy"):
        raise Refusal(f'log={log!r}: expected "", "x", "y" or "xy".')
