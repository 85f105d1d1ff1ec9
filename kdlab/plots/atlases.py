"""What a sweep found: gains by number of examples, paired runs, a map over two settings."""

import math
import textwrap
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import NullLocator

from kdlab.errors import Refusal, number
from kdlab.plots.drawing import WHITE, name_lines, paper
from kdlab.plots.picture import FROM_LABELS, FROM_TEACHER, GREEN, GREY, INK, Picture, style
from kdlab.plots.words import called, listed, percent, scale, written
from kdlab.scores import LOWER_IS_BETTER
from kdlab.sweeps import Atlas
from kdlab.verdicts import SHARES, Verdict, interval, signed

ANOTHER = {"color": GREEN, "marker": "^", "linestyle": ":"}  # where both learn from one source
AXES = {"temperature": "temperature T", "alpha": "weight of the labels, alpha"}


def gain(
    atlases: dict[int, Atlas], baseline: dict, candidate: dict, metric: str = "accuracy"
) -> Picture:
    """Two settings against the number of training examples, and their paired difference below.

    atlases: {number of training examples: its sweep}. Whiskers are 95 % intervals over the seeds;
    each difference carries the word of its verdict.
    """
    factor = scale(metric)
    counts = _counts(atlases)
    verdicts = {at: atlases[at].compare(baseline, candidate, metric) for at in counts}
    picture = paper("gain by number of training examples", (9, 6))
    with style():
        upper, lower = picture.figure.subplots(2, 1, sharex=True, height_ratios=[1.25, 1])
        ends, looks = [], _looks(atlases[counts[0]], baseline, candidate)
        for setting, look, shift in zip((baseline, candidate), looks, (0.985, 1.015), strict=True):
            values = [atlases[at].rows(setting)[metric] * factor for at in counts]
            means = [column.mean() for column in values]
            spots = [at * shift for at in counts]
            _whiskers(upper, spots, means, [interval(list(column)) for column in values], look)
            upper.plot(spots, means, **look)
            ends.append((spots[-1], means[-1], atlases[counts[-1]].said(setting), look["color"]))
        upper.set(ylabel=called(metric), xscale="log")
        _draw_differences(lower, verdicts, factor)
        lower.set_xlim(counts[0] / 1.25, counts[-1] * 1.25)
        lower.set_xticks(counts, [f"{at:,}" for at in counts])
        lower.xaxis.set_minor_locator(NullLocator())
        lower.set_xlabel("training examples")
        _say_difference(lower, next(iter(verdicts.values())), metric)
        name_lines(upper, ends)
    first = verdicts[counts[0]]
    unit = " points" if metric in SHARES else ""
    said = [
        f"{at:,}: {signed(verdicts[at].difference, metric)}{unit}, {verdicts[at].word}"
        for at in counts
    ]
    return picture.draw(
        f"{first.candidate} against {first.baseline}, difference in {called(metric).split(',')[0]} "
        f"by number of training examples: {'; '.join(said)}."
    )


def paired(atlas: Atlas, baseline: dict, candidate: dict, metric: str = "accuracy") -> Picture:
    """Each seed's two runs joined by a line, with both means and the verdict."""
    factor = scale(metric)
    verdict = atlas.compare(baseline, candidate, metric)
    values = pd.concat([atlas.rows(one)[metric] for one in (baseline, candidate)], axis=1).dropna()
    values = values * factor
    picture = paper("paired runs", (8, 4.4))
    with style():
        axes = picture.figure.subplots()
        for pair in values.to_numpy():
            axes.plot([0, 1], pair, color=GREY, linewidth=1)
        for place, look in enumerate(_looks(atlas, baseline, candidate)):
            dots, mean = values.iloc[:, place], values.iloc[:, place].mean()
            axes.plot([place] * len(dots), dots, **{**look, "linestyle": "none", "markersize": 8})
            aside = place + 0.12 * (2 * place - 1)
            _whiskers(axes, [aside], [mean], [interval(list(dots))], look)
            axes.plot(
                aside, mean, marker="_", markersize=18, markeredgewidth=3, color=look["color"]
            )
            axes.annotate(
                f"mean {written(mean / factor, metric)}", (aside, mean), (12 * (2 * place - 1), 0),
                textcoords="offset points", va="center", ha="left" if place else "right",
                color=look["color"],
            )  # fmt: skip
        axes.set_xticks([0, 1], [verdict.baseline, verdict.candidate])
        axes.set(xlim=(-0.6, 1.6), ylabel=called(metric))
        axes.grid(axis="x", visible=False)
        axes.set_title(textwrap.fill(str(verdict), 88), fontsize=10.5)
    up = int((values.iloc[:, 1] > values.iloc[:, 0]).sum())
    return picture.draw(
        f"{verdict}. The candidate's value is higher in {up} of {len(values)} pairs."
    )


def heat_map(
    atlas: Atlas, metric: str = "accuracy", rows: str = "temperature", columns: str = "alpha"
) -> Picture:
    """A sweep over two settings as a map: means over the seeds, the best one framed.

    A cell whose runs all failed, or that has none, is hatched.
    """
    known = mean_map(atlas, metric, rows, columns)
    size = (2.6 + 0.95 * known.table.shape[1], 1.9 + 0.5 * known.table.shape[0])
    picture = paper("map of a sweep", (max(6.5, size[0]), max(3, size[1])))
    with style():
        axes = picture.figure.subplots()
        drawn = draw_map(axes, known)
        axes.add_patch(frame(known.best))
        axes.set_title(
            textwrap.fill(
                f"{known.many}, {atlas.where}; lighter is better, frame: the {known.which}", 72
            )
        )
        axes.figure.colorbar(drawn, ax=axes, label=called(metric), pad=0.02)
    return picture.draw(known.sentence)


@dataclass(frozen=True)
class MeanMap:
    """A sweep over two axes: `table` holds the means over the seeds, NaN for a cell without any.

    best: (row, column) of the best cell.  empty: what to write into cells without a mean.
    many: how many seeds a cell is the mean of, in words.
    """

    table: pd.DataFrame
    metric: str
    best: tuple[int, int]
    empty: dict[tuple[int, int], str]
    many: str

    @property
    def which(self) -> str:
        """Which of the values is the best one."""
        return "lowest" if self.metric in LOWER_IS_BETTER else "highest"

    def at(self, row: int, column: int) -> str:
        """A cell in words: its settings."""
        rows, columns = self.table.index, self.table.columns
        return f"{rows.name} {_tick(rows[row])}, {columns.name} {_tick(columns[column])}"

    def said(self, row: int, column: int) -> str:
        """A cell's mean in words."""
        if (row, column) in self.empty:
            return self.empty[row, column]
        return written(self.table.iloc[row, column], self.metric) + percent(self.metric)

    @property
    def sentence(self) -> str:
        """The whole map in words."""
        ends = (
            written(end, self.metric) for end in (self.table.min().min(), self.table.max().max())
        )
        rows, columns = self.table.index.name, self.table.columns.name
        empty = "".join(f" {self.at(*cell)}: {why}." for cell, why in self.empty.items())
        return (
            f"Map of {called(self.metric).split(',')[0]} over {rows} and {columns}, {self.many}: "
            f"from {' to '.join(ends)}{percent(self.metric)}; the {self.which} is at "
            f"{self.at(*self.best)}.{empty}"
        )


def mean_map(atlas: Atlas, metric: str, rows: str, columns: str) -> MeanMap:
    """The means of a sweep over its two axes, a row for each value of `rows`, with what is best."""
    scale(metric)  # refuses an unknown one
    table = _two_axes(atlas, metric, rows, columns)
    cells = table.to_numpy()
    pick = np.nanargmin if metric in LOWER_IS_BETTER else np.nanargmax
    best = np.unravel_index(pick(cells), cells.shape)
    best = (int(best[0]), int(best[1]))
    empty = {}
    for row, column in np.argwhere(np.isnan(cells)).tolist():
        here = atlas.table[rows].eq(table.index[row]) & atlas.table[columns].eq(
            table.columns[column]
        )
        failed = any(atlas.table[here]["error"]) if "error" in atlas.table else False
        empty[row, column] = "failed" if failed else "no value" if any(here) else "no run"
    return MeanMap(table, metric, best, empty, _seeds(atlas, metric, rows, columns))


def draw_map(axes: Axes, known: MeanMap) -> AxesImage:
    """The means as coloured cells with numbers; lighter is better."""
    low_is_best = known.metric in LOWER_IS_BETTER
    cells = known.table.to_numpy() * scale(known.metric)
    drawn = axes.imshow(cells, cmap="cividis_r" if low_is_best else "cividis", aspect="auto")
    for row, column in np.ndindex(cells.shape):
        value = cells[row, column]
        if (row, column) in known.empty:
            corner = (column - 0.5, row - 0.5)
            axes.add_patch(
                Rectangle(corner, 1, 1, hatch="///", facecolor="white", edgecolor="#BBBBBB")
            )
        dark = (1 - drawn.norm(value) if low_is_best else drawn.norm(value)) < 0.55
        axes.text(
            column, row, known.said(row, column).removesuffix(percent(known.metric)), ha="center",
            va="center", color="white" if dark else INK,
            weight="bold" if (row, column) == known.best else "normal",
            bbox=WHITE if (row, column) in known.empty else None,
        )  # fmt: skip
    for axis, values in ((axes.xaxis, known.table.columns), (axes.yaxis, known.table.index)):
        axis.set_ticks(range(len(values)), [textwrap.fill(_tick(value), 14) for value in values])
        axis.set_label_text(AXES.get(values.name, values.name))
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return drawn


def frame(cell: tuple[int, int]) -> Rectangle:
    """A frame around a cell (row, column) that stands out on light and dark."""
    corner = (cell[1] - 0.46, cell[0] - 0.42)
    drawn = Rectangle(corner, 0.92, 0.84, fill=False, edgecolor=INK, linewidth=2.5)
    drawn.set_path_effects([withStroke(linewidth=5.5, foreground="white")])
    return drawn


def _counts(atlases: dict[int, Atlas]) -> list[int]:
    if not isinstance(atlases, dict) or not atlases:
        raise Refusal("expected a dict {number of training examples: atlas} with at least one.")
    strange = [at for at in atlases if not number(at) > 0]
    if strange:
        raise Refusal(f"key {strange[0]!r}: expected a number of training examples.")
    return sorted(atlases)


def _looks(atlas: Atlas, baseline: dict, candidate: dict) -> tuple[dict, dict]:
    """How two settings are drawn: a student of labels is the same in every figure."""
    first, second = (
        FROM_LABELS if atlas.said(setting).startswith("labels only") else FROM_TEACHER
        for setting in (baseline, candidate)
    )
    return (ANOTHER if first is second else first), second


def _whiskers(axes: Axes, spots, means, intervals, look: dict) -> None:
    """95 % intervals; where there is no interval (one run), no whisker."""
    for spot, mean, (low, high) in zip(spots, means, intervals, strict=True):
        if math.isfinite(low):
            axes.errorbar(
                spot, mean, [[mean - low], [high - mean]], fmt="none", ecolor=look["color"],
                elinewidth=1.5, capsize=4,
            )  # fmt: skip


def _draw_differences(axes: Axes, verdicts: dict[int, Verdict], factor: int) -> None:
    axes.axhline(0, color=INK, linewidth=1)
    found = list(verdicts.values())
    look = {"color": INK, "marker": "D", "linestyle": "none"}
    means = [verdict.difference * factor for verdict in found]
    ends = [(verdict.low * factor, verdict.high * factor) for verdict in found]
    _whiskers(axes, list(verdicts), means, ends, look)
    axes.plot(list(verdicts), means, **look)
    for at, verdict, mean, (_, high) in zip(verdicts, found, means, ends, strict=True):
        axes.annotate(
            textwrap.fill(verdict.word, 14),
            (at, high if math.isfinite(high) else mean),
            (0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=10,
            bbox=WHITE,
        )
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.35 * (high - low))  # room for the words


def _say_difference(axes: Axes, verdict: Verdict, metric: str) -> None:
    unit = "points" if metric in SHARES else called(metric).split(", ")[-1]
    axes.set_ylabel(f"difference, {unit}")
    better = "below" if metric in LOWER_IS_BETTER else "above"
    said = f"{verdict.candidate} minus {verdict.baseline}: paired difference, 95 % interval"
    axes.set_title(textwrap.fill(f"{said} ({better} 0 is better)", 92))


def _two_axes(atlas: Atlas, metric: str, rows: str, columns: str) -> pd.DataFrame:
    """The means over the seeds, a row for each value of `rows`, a column for each of `columns`."""
    for name in (rows, columns):
        if name not in atlas.axes:
            raise Refusal(
                f"{name!r} is no axis of this sweep: its axes are "
                f"{', '.join(atlas.axes) or '(none)'}. Name two of them as rows= and columns=."
            )
    if rows == columns:
        raise Refusal(f"rows and columns are both {rows!r}: name two axes.")
    others = [
        name
        for name in atlas.axes
        if name not in (rows, columns) and atlas.table[name].nunique() > 1
    ]
    if others:
        raise Refusal(
            f"the sweep also varies {listed(others)}: a map of two axes would mix its values. "
            "Sweep with one value of it."
        )
    table = atlas.pivot(rows, columns, metric)
    if not table.notna().any(axis=None):
        raise Refusal(f"{metric} is missing (NaN) in every run of this sweep.")
    return table.reindex(index=_sorted(table.index), columns=_sorted(table.columns))


def _seeds(atlas: Atlas, metric: str, rows: str, columns: str) -> str:
    """How many seeds a cell is the mean of; where runs failed or were not made, some have fewer."""
    there = atlas.table[atlas.table[metric].notna()]
    counts = there.groupby([rows, columns])["seed"].nunique()
    if counts.max() == 1:
        return "one seed"
    return f"mean of {' to '.join(map(str, dict.fromkeys((counts.min(), counts.max()))))} seeds"


def _sorted(values) -> list:
    """Numbers by size, words as the sweep named them."""
    is_number = all(math.isfinite(number(value)) for value in values)
    return sorted(values) if is_number else list(values)


def _tick(value: object) -> str:
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    return f"{value:g}" if is_number and abs(value) < 1e5 else str(value)
