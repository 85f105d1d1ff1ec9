"""What is gained for what it costs: every recipe as a point, and the Pareto front among them."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from kdlab.errors import Refusal
from kdlab.plots.drawing import WHITE, array, paper
from kdlab.plots.picture import BLUE, GREY, INK, VERMILLION, Picture, style
from kdlab.plots.words import (
    amount,
    called,
    cost_called,
    cost_written,
    listed,
    percent,
    scale,
    written,
)
from kdlab.scores import LOWER_IS_BETTER
from kdlab.verdicts import interval

SIGNALS = {  # what a student learnt from: told apart by colour and by marker
    "labels": {"color": VERMILLION, "marker": "s"},
    "soft targets": {"color": BLUE, "marker": "o"},
}
GAP = 9  # pixels between a point and its name


def pareto(table: pd.DataFrame, cost: str = "bytes", score: str = "accuracy") -> Picture:
    """What each recipe scores and what it costs, with the Pareto front as a line.

    table: a row a trained student, with `recipe`, `signal` ("labels" or "soft targets"), `seed`,
        the cost and the score. A point is the mean over the seeds, its bar the 95 % interval; rows
        without a value are left out, and the picture says so.
    cost: such as "bytes", "latency_ms" or "macs"; its axis is logarithmic.
    score: such as "accuracy", "nll" or "ece".

    The front is that of the means: points whose bars overlap may change places with other seeds.
    Raises Refusal for missing columns, a table without values, and a cost of zero.
    """
    factor = scale(score)  # refuses an unknown one
    means = recipe_means(table, [cost], score)
    best = front(means, cost, score)
    lost = _lost(table, means)
    gone = f"; {len(lost)} without a value left out" if lost else ""
    picture = paper("Pareto front", (9, 4.8 + 0.15 * max(0, len(best) - 8)))
    with style():
        axes = picture.figure.subplots()
        cost_axis(axes, "x", cost, means[cost])
        axes.set(ylabel=called(score), title=f"{_seeds(means)}; {_corner(score)} is better{gone}")
        _draw(axes, means.drop(best.index), cost, score, factor, on_front=False)
        _draw(axes, best, cost, score, factor, on_front=True)
        points = list(zip(best[cost], factor * best[score], strict=True))
        to_the_edge = [*points, (axes.get_xlim()[1], points[-1][1])]
        axes.step(*zip(*to_the_edge, strict=True), where="post", color=INK, linewidth=1.3, zorder=1)
        _legend(picture, means, len(means) - len(best))
        downwards = score in LOWER_IS_BETTER
        ends = means["low" if downwards else "high"]
        ends = factor * ends.where(np.isfinite(ends), means[score])
        bars = list(zip(means[cost], ends, strict=True))
        _name(axes, points, best["recipe"].tolist(), bars, downwards)
    return picture.draw(_alt(means, best, cost, score, lost))


def front(means: pd.DataFrame, cost: str, score: str) -> pd.DataFrame:
    """The rows that no other dominates, from the cheapest to the dearest; equal twins both stay.

    A row dominates another where it is at most as dear, at least as good, and better in one of the
    two. Lower is better for every cost, and for the scores in `scores.LOWER_IS_BETTER`.
    Raises Refusal for missing columns and missing values.
    """
    _has(means, [cost, score])
    worse = 1 if score in LOWER_IS_BETTER else -1
    columns = [array(name, means[name], (None,)) for name in (cost, score)]
    both = np.column_stack([columns[0], worse * columns[1]])
    # at [i, j]: row i compared with row j
    never_worse = (both[:, None] <= both).all(2)
    once_better = (both[:, None] < both).any(2)
    dominated = (never_worse & once_better).any(0)
    return means[~dominated].sort_values(cost, kind="stable")


def recipe_means(table: pd.DataFrame, costs: Sequence[str], score: str) -> pd.DataFrame:
    """A row for each recipe and signal: its means over the seeds.

    Columns: `recipe`, `signal`, `seeds` (how many), the costs, the score, and the score's 95 %
    interval as `low` and `high`, endless with one seed. Rows without a value are left out. Raises
    Refusal for a table that is not tidy.
    """
    rows = []
    for (recipe, signal), own in _runs(table, costs, score).groupby(
        ["recipe", "signal"], sort=False
    ):
        low, high = interval(own[score].tolist())
        row = {"recipe": recipe, "signal": signal, "seeds": len(own), "low": low, "high": high}
        rows.append(row | own[[*costs, score]].mean().to_dict())
    return pd.DataFrame(rows)


def named(row: pd.Series) -> str:
    """A recipe and what it learns from: mlp-32 (soft targets)."""
    return f"{row['recipe']} ({row['signal']})"


def scored(row: pd.Series, score: str) -> str:
    """A mean in words, with its interval where there is one: 86.1 % (85.9 to 86.3)."""
    said = f"{written(row[score], score)}{percent(score)}"
    if math.isinf(row["low"]):
        return said
    return f"{said} ({written(row['low'], score)} to {written(row['high'], score)})"


def cost_axis(axes: Axes, side: str, cost: str, values: Sequence[float]) -> None:
    """A logarithmic axis, "x" or "y", in units that people read, with room around the values."""
    middle = math.sqrt(min(values) * max(values))
    reach = max(2.5, 1.6 * math.sqrt(max(values) / min(values)))  # always room for two ticks
    limits = {f"{side}lim": (middle / reach, middle * reach), f"{side}label": cost_called(cost)}
    axes.set(**{f"{side}scale": "log"}, **limits)
    axis = {"x": axes.xaxis, "y": axes.yaxis}[side]
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if reach < 20 else (1,)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda at, _: cost_written(at, cost)))


# ------------------------------------------------------------ the table


def _runs(table: pd.DataFrame, costs: Sequence[str], score: str) -> pd.DataFrame:
    """The columns that count, a row a run, or a refusal."""
    if not isinstance(table, pd.DataFrame):
        raise Refusal(
            f"a table of type {type(table).__name__}: expected a pandas DataFrame with a row for "
            "each trained student."
        )
    values = [*costs, score]
    if score in costs:
        raise Refusal(f"cost and score are both {score!r}: name two columns.")
    _has(table, ["recipe", "signal", "seed", *values])
    if table.empty:
        raise Refusal("the table is empty: expected a row for each trained student.")
    runs = table[["recipe", "signal", "seed", *values]].replace([np.inf, -np.inf], np.nan)
    runs = runs.dropna(subset=values).drop_duplicates()  # a run may stand in several groups
    if runs.empty:
        raise Refusal(f"no row of the table has a value of {listed(values)}: nothing to draw.")
    strange = [signal for signal in runs["signal"].unique() if signal not in SIGNALS]
    if strange:
        raise Refusal(f"signal {strange[0]!r}: expected {' or '.join(map(repr, SIGNALS))}.")
    for name in values:
        array(name, runs[name], (None,))
    free = runs[(runs[list(costs)] <= 0).any(axis=1)]
    if len(free):
        raise Refusal(f"{_which(free.iloc[0])} costs nothing ({listed(costs)}): expected above 0.")
    twice = runs[runs.duplicated(["recipe", "signal", "seed"])]
    if len(twice):
        raise Refusal(
            f"{_which(twice.iloc[0])} stands in the table twice, with different values: expected "
            "one row for each trained student."
        )
    return runs


def _has(table: pd.DataFrame, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in table]
    if missing:
        raise Refusal(
            f"the table has no column {listed(missing)}: its columns are "
            f"{', '.join(map(str, table.columns)) or '(none)'}."
        )


def _which(run: pd.Series) -> str:
    return f"{named(run)}, seed {run['seed']}"


# ------------------------------------------------------------ the picture


def _draw(
    axes: Axes, means: pd.DataFrame, cost: str, score: str, factor: int, on_front: bool
) -> None:
    """The points of each signal with their bars; those off the front small, pale and edged grey."""
    size, width, shade = (10, 2, 1) if on_front else (6, 1, 0.35)
    for signal, look in SIGNALS.items():
        own = means[means["signal"] == signal]
        edge = INK if on_front else GREY
        axes.plot(
            own[cost], factor * own[score], look["marker"], color=(look["color"], shade),
            markersize=size, markeredgecolor=edge, markeredgewidth=1,
        )  # fmt: skip
        sure = own[np.isfinite(own["low"])]
        ends = (factor * sure["low"], factor * sure["high"])
        axes.vlines(
            sure[cost], *ends, color=look["color"] if on_front else GREY, linewidth=width,
            alpha=1 if on_front else 0.6,
        )  # fmt: skip


def _legend(picture: Picture, means: pd.DataFrame, dominated: int) -> None:
    handles = [
        Line2D([], [], linestyle="none", markersize=10, markeredgecolor=INK, label=signal, **look)
        for signal, look in SIGNALS.items()
        if signal in set(means["signal"])
    ]
    handles.append(Line2D([], [], color=INK, linewidth=1.3, label="Pareto front"))
    if dominated:
        look = {"marker": "o", "markersize": 6, "color": "white", "markeredgecolor": GREY}
        handles.append(Line2D([], [], linestyle="none", label="small, pale: dominated", **look))
    picture.figure.legend(handles=handles, loc="outside upper left", ncols=len(handles))


def _name(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    names: Sequence[str],
    bars: Sequence[tuple[float, float]],
    downwards: bool,
) -> None:
    """Write each name on the empty side of the front, left of its point; makes room for all.

    points: from the cheapest to the dearest, so that each is better than the one before. No point
    can stand on that side: it would dominate. A name that would cover another, or the end of a bar
    (`bars`), moves further from the front.
    """
    figure = axes.figure
    figure.draw_without_rendering()  # settles the layout: from here on, pixels can be counted
    texts = [
        axes.annotate(
            textwrap.fill(name, 26), point, (-GAP, 0), textcoords="offset pixels", ha="right",
            va="center", fontsize=10, bbox=WHITE, zorder=4,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.7, "relpos": (1, 0.5)},
        )
        for name, point in zip(names, points, strict=True)
    ]  # fmt: skip
    boxes = [Text.get_window_extent(text) for text in texts]
    sizes = [(box.width + 2 * GAP, box.height + 6) for box in boxes]
    frame = axes.bbox

    def pixels(places: Sequence[tuple[float, float]]) -> np.ndarray:
        """Places as pixels from the poor left corner of the axes: up is better."""
        across, up = axes.transData.transform(places).T
        return np.column_stack([across - frame.x0, frame.y1 - up if downwards else up - frame.y0])

    # Room on the left: how far the axis must stretch, its right end held.
    left, right = axes.get_xlim()
    stretch = max(
        (1 - at / frame.width) / (1 - width / frame.width)
        for at, (width, _) in zip(pixels(points)[:, 0], sizes, strict=True)
    )
    axes.set_xlim(right * (left / right) ** max(1, stretch), right)

    # Room on the good side: names that moved on need more of it, so ask again until it is enough.
    for _ in range(20):
        spots = pixels(points)
        heights = _stacked(spots, sizes, pixels(bars))
        over = max(at + tall / 2 for at, (_, tall) in zip(heights, sizes, strict=True))
        over -= frame.height
        if over <= 0:
            break
        bottom, top = axes.get_ylim()
        more = 1.1 * over / frame.height * (top - bottom)
        axes.set_ylim((bottom - more, top) if downwards else (bottom, top + more))
    for text, height, at in zip(texts, heights, spots[:, 1], strict=True):
        text.xyann = (-GAP, at - height if downwards else height - at)


def _stacked(
    spots: np.ndarray, sizes: Sequence[tuple[float, float]], bars: np.ndarray
) -> list[float]:
    """How high the middle of each name stands, so that it covers no other and no bar; in pixels."""
    heights: list[float] = []
    for (right, good), (width, tall) in zip(spots, sizes, strict=True):
        under = [end for at, end in bars if right - width < at < right - GAP / 2]
        under += [
            height + other / 2
            for (at, _), (_, other), height in zip(spots, sizes, heights, strict=False)
            if at > right - width
        ]
        heights.append(max([good, *under]) + tall / 2)
    return heights


def _seeds(means: pd.DataFrame) -> str:
    """How many seeds a point is the mean of."""
    least, most = means["seeds"].min(), means["seeds"].max()
    if most == 1:
        return "one seed, so no interval"
    counts = " to ".join(map(str, dict.fromkeys((least, most))))
    bare = " (a point without a bar: one seed)" if least == 1 else ""
    return f"mean of {counts} seeds, bar: 95 % interval{bare}"


def _corner(score: str) -> str:
    return "lower left" if score in LOWER_IS_BETTER else "upper left"


def _lost(table: pd.DataFrame, means: pd.DataFrame) -> list[str]:
    """The recipes of the table of which no row has both values."""
    shown = {named(row) for _, row in means.iterrows()}
    every = {named(row): None for _, row in table[["recipe", "signal"]].iterrows()}
    return [name for name in every if name not in shown]


def _alt(
    means: pd.DataFrame, best: pd.DataFrame, cost: str, score: str, lost: Sequence[str]
) -> str:
    said = "; ".join(
        f"{named(row)}, {amount(row[cost], cost)}, {scored(row, score)}"
        for _, row in best.iterrows()
    )
    what = cost_called(cost).partition(",")[0]
    without = f" Left out, without a value: {listed(lost)}." if lost else ""
    return (
        f"Pareto picture of {called(score).partition(',')[0]} over {what}, {len(means)} points, "
        f"{_seeds(means)}. On the front, from the cheapest to the dearest: {said}. Dominated: "
        f"{len(means) - len(best)} of {len(means)} points.{without}"
    )
