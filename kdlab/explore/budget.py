"""A budget of size and latency: which recipes fit into it, and which of them is the best?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.text import Text

from kdlab.errors import Refusal, number
from kdlab.explore.controls import choice, steps
from kdlab.explore.panel import Panel
from kdlab.plots.drawing import WHITE, folded
from kdlab.plots.fronts import SIGNALS, cost_axis, named, recipe_means, scored
from kdlab.plots.picture import GREEN, GREY, INK, Picture, style
from kdlab.plots.words import amount, called
from kdlab.scores import LOWER_IS_BETTER
from kdlab.verdicts import Verdict, compare

COSTS = ("bytes", "latency_ms")
SCORES = ("accuracy", "nll", "ece")
KB = 1_000  # bytes
MARKS = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)  # of a slider, in every decade
EXACT = "{:,.10g}".format  # two numbers never read alike: a slider tells them apart by that
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))  # of a point
AWAY = 18  # pixels between the winner and its name


@dataclass(frozen=True)
class Budget:
    """What fits into `size` kB (1,000 bytes) and `latency` ms for one example, judged by `score`.

    survivors: a row for each recipe and signal that fits, the best mean first, with the columns of
        `fronts.recipe_means`.
    too_large, too_slow, both: how many fail by size alone, by latency alone, by both.
    verdict: the best against the second best, paired over seeds; None where there are no two that
        share a seed.
    sentence: all of it in words.
    """

    size: float
    latency: float
    score: str
    survivors: pd.DataFrame
    too_large: int
    too_slow: int
    both: int
    verdict: Verdict | None
    sentence: str

    @property
    def best(self) -> pd.Series | None:
        """The survivor with the best mean; None where nothing fits."""
        return None if self.survivors.empty else self.survivors.iloc[0]


def within(
    table: pd.DataFrame, means: pd.DataFrame, size: float, latency: float, score: str
) -> Budget:
    """What a budget leaves of a table.

    table: a row a trained student.  means: its `fronts.recipe_means`.  size, latency: in kB and ms.
    """
    large, slow = means["bytes"] / KB > size, means["latency_ms"] > latency
    survivors = means[~large & ~slow].sort_values(
        score, ascending=score in LOWER_IS_BETTER, kind="stable"
    )
    verdict = _told_apart(table, survivors, score)
    said = _found(survivors, verdict, score) if len(survivors) else _nothing(means, large, slow)
    failed = (int((large & ~slow).sum()), int((slow & ~large).sum()), int((large & slow).sum()))
    told = f"{said} {_failed(failed)}"
    return Budget(size, latency, score, survivors, *failed, verdict, told)


def _told_apart(table: pd.DataFrame, survivors: pd.DataFrame, score: str) -> Verdict | None:
    """The best against the second best, on the seeds that both have."""
    if len(survivors) < 2:
        return None
    (_, best), (_, second) = list(survivors[:2].iterrows())
    runs = [_by_seed(table, row, score) for row in (second, best)]
    pairs = pd.concat(runs, axis=1, join="inner")
    if pairs.empty:
        return None
    return compare(
        *(pairs.iloc[:, at].tolist() for at in range(2)), score, names=(named(second), named(best))
    )


def _by_seed(table: pd.DataFrame, row: pd.Series, score: str) -> pd.Series:
    """A recipe's finite scores; a run may stand in several groups of a table."""
    own = table[table["recipe"].eq(row["recipe"]) & table["signal"].eq(row["signal"])]
    own = own[np.isfinite(own[score])]
    return own.drop_duplicates("seed").set_index("seed")[score]


def _found(survivors: pd.DataFrame, verdict: Verdict | None, score: str) -> str:
    best, many = survivors.iloc[0], len(survivors)
    which = "The only one that fits" if many == 1 else f"The best of the {many} that fit"
    costs = ", ".join(amount(best[cost], cost) for cost in COSTS)
    said = (
        f"{which}: {named(best)}, {called(score).partition(',')[0]} {scored(best, score)}, {costs}."
    )
    if many == 1:
        return said
    second = named(survivors.iloc[1])
    rival = f"{second}: no seed in common, cannot tell"
    if verdict:
        rival = str(verdict).removeprefix(f"{verdict.candidate} against ")
    return f"{said} Against the second best, {rival}."


def _nothing(means: pd.DataFrame, large: pd.Series, slow: pd.Series) -> str:
    """What a budget into which nothing fits would have to be."""
    smallest, quickest = (amount(means[cost].min(), cost) for cost in COSTS)
    if large.all() and slow.all():
        return f"No recipe fits: the smallest needs {smallest}, the quickest {quickest}."
    if large.all():
        return f"No recipe fits: the smallest needs {smallest}."
    if slow.all():
        return f"No recipe fits: the quickest needs {quickest}."
    small, quick = means[~large]["latency_ms"].min(), means[~slow]["bytes"].min()
    return (
        f"No recipe fits both: the smallest of those quick enough needs {amount(quick, 'bytes')}, "
        f"the quickest of those small enough {amount(small, 'latency_ms')}."
    )


def _failed(failed: Sequence[int]) -> str:
    words = zip(failed, ("too large", "too slow", "both"), strict=True)
    said = ", ".join(f"{count} {why}" for count, why in words if count)
    return f"Outside the budget: {said or 'none'}."


class View:
    """Every recipe by size and latency; those within the budget stand out, the best is named."""

    def __init__(self, picture: Picture, means: pd.DataFrame):
        self.picture = picture
        with style():
            self.axes = axes = picture.figure.subplots()
            for side, cost in zip("xy", COSTS, strict=True):
                cost_axis(axes, side, cost, means[cost])
            self.corner = (axes.get_xlim()[0], axes.get_ylim()[0])
            self.frame = axes.add_patch(
                Rectangle(self.corner, 1, 1, facecolor=(GREEN, 0.1), edgecolor=INK, linestyle="--")
            )
            self.strong = {}
            for layer, (signal, look) in enumerate(SIGNALS.items()):
                own = means[means["signal"] == signal]
                shape = {
                    "linestyle": "none",
                    "marker": look["marker"],
                    "markersize": 11 - 4 * layer,
                }
                axes.plot(own["bytes"], own["latency_ms"], **shape, color="white",
                          markeredgecolor=GREY, alpha=0.7)  # fmt: skip
                (self.strong[signal],) = axes.plot(
                    [], [], **shape, color=look["color"], markeredgecolor="white"
                )
            (self.ring,) = axes.plot(
                [], [], "o", markersize=18, color="none", markeredgecolor=INK, markeredgewidth=2
            )
            self.name = axes.annotate(
                "", self.corner, (0, 0), textcoords="offset pixels", ha="center", va="center",
                weight="bold",
                bbox=WHITE,
            )  # fmt: skip
            self.said = picture.figure.suptitle("\n".join(" " * 4), x=0.01, ha="left", fontsize=11)
            picture.figure.legend(
                handles=self._legend(means), loc="outside lower left", ncols=5, columnspacing=1.4
            )
        picture.moving([self.frame, *self.strong.values(), self.ring, self.name, self.said])
        picture.draw("")
        self.spots = axes.transData.transform(means[list(COSTS)])  # in pixels

    def update(self, found: Budget) -> None:
        """Show another budget."""
        left, bottom = self.corner
        self.frame.set_width(max(0, found.size * KB - left))
        self.frame.set_height(max(0, found.latency - bottom))
        fits = found.survivors
        for signal, line in self.strong.items():
            own = fits[fits["signal"] == signal]
            line.set_data(own["bytes"], own["latency_ms"])
        best = found.best
        at = ([], []) if best is None else ([best["bytes"]], [best["latency_ms"]])
        self.ring.set_data(*at)
        self.name.set_visible(best is not None)
        if best is not None:
            self._point_at(best)
        whole = found.sentence.replace(" kB", "\u00a0kB").replace(" ms", "\u00a0ms")
        self.said.set_text(folded(whole, 108, 4))
        self.picture.redraw(
            f"Every recipe by size of the file and latency of one example. Budget: "
            f"{EXACT(found.size)} kB and {EXACT(found.latency)} ms, "
            f"{len(fits)} within it. {found.sentence}"
        )

    def _point_at(self, best: pd.Series) -> None:
        """Write the winner's name beside it: within the axes, and where it hides the fewest."""
        self.name.set_text(named(best))
        self.name.xy = (best["bytes"], best["latency_ms"])
        spot = self.axes.transData.transform(self.name.xy)
        size = Text.get_window_extent(self.name).size
        frame = self.axes.bbox

        def troubles(shift: np.ndarray) -> tuple[bool, int]:
            low, high = spot + shift - size / 2, spot + shift + size / 2
            inside = (frame.min <= low).all() and (high <= frame.max).all()
            return not inside, int(((low <= self.spots) & (self.spots <= high)).all(1).sum())

        shifts = [np.array(side) * (size / 2 + AWAY) for side in SIDES]
        self.name.xyann = tuple(min(shifts, key=troubles))

    def _legend(self, means: pd.DataFrame) -> list:
        mark = {"linestyle": "none", "markersize": 9}
        known = set(means["signal"])
        handles = [
            Line2D([], [], **mark, **look, label=signal)
            for signal, look in SIGNALS.items()
            if signal in known
        ]
        pale = {"marker": "o", "color": "white", "markeredgecolor": GREY}
        ring = {"marker": "o", "color": "none", "markeredgecolor": INK, "markeredgewidth": 2}
        return [
            *handles,
            Line2D([], [], **mark, **pale, label="pale: outside the budget"),
            Patch(facecolor=(GREEN, 0.1), edgecolor=INK, linestyle="--", label="the budget"),
            Line2D([], [], **mark, **ring, label="the best within it"),
        ]


def marks(least: float, most: float) -> list[float]:
    """Round numbers from just below `least`, where nothing fits, to `most` or just above it."""
    decades = range(math.floor(math.log10(least)) - 1, math.ceil(math.log10(most)) + 1)
    every = [float(f"{mark}e{power}") for power in decades for mark in MARKS]
    low = max(one for one in every if one < least)
    high = min(one for one in every if one >= most)
    return [one for one in every if low <= one <= high]


def budget(
    table: pd.DataFrame,
    *,
    size: float = 100,
    latency: float = 1,
    score: str = "accuracy",
    code: str | None = None,
    hide: Sequence[str] = (),
    lock: Sequence[str] = (),
) -> Panel:
    """Move a budget of size and latency: which recipes fit, and which of them is the best?

    table: a row a trained student, with `recipe`, `signal` ("labels" or "soft targets"), `seed`,
        `bytes`, `latency_ms` and the scores `accuracy`, `nll` and `ece`.
    size: in kB (1,000 bytes).  latency: in ms for one example, on the machine that measured it.
    score: "accuracy", "nll" or "ece"; the best is that of the best mean over the seeds. Chance
        flatters the best of many: its test score, asked once, is the final word.
    `.result` is a `Budget`. Nothing is trained.
    """
    for name, given in (("size", size), ("latency", latency)):
        if not 0 < number(given) < math.inf:
            raise Refusal(f"{name}={given!r}: expected a number above 0.")
    means = {name: recipe_means(table, COSTS, name) for name in SCORES}
    every = means["accuracy"]
    sizes = marks(every["bytes"].min() / KB, every["bytes"].max() / KB)
    times = marks(every["latency_ms"].min(), every["latency_ms"].max())
    picture = Picture("a budget", size=(9.4, 5.6))
    view = View(picture, every)
    return Panel(
        "a budget",
        {
            "size": steps("size budget, kB", sizes, size, EXACT),
            "latency": steps("latency budget, ms at batch 1", times, latency, EXACT),
            "score": choice("the best by", SCORES, score, called),
        },
        lambda size, latency, score: within(table, means[score], size, latency, score),
        view.update,
        picture,
        name="budget",
        code=code,
        hide=hide,
        lock=lock,
    )
