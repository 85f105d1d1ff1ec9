"""The differences of paired students: a dot a pair, and their mean with its 95 % interval."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes

from kdlab.plots.picture import GREY, INK, verdict_look
from kdlab.runs import Run
from kdlab.verdicts import Verdict


class Differences:
    """Draws into axes of its own; the mean's colour and marker follow the verdict's word."""

    def __init__(self, axes: Axes, title: str, helps: str, pairs: int):
        """helps: what stands on the right of 0.  pairs: how many rows there are at first."""
        self.axes = axes
        axes.axvline(0, color=INK, linewidth=1.2)
        (self.each,) = axes.plot([], [], "o", color=GREY, markersize=5)
        (self.span,) = axes.plot([], [], linewidth=3)
        (self.mean,) = axes.plot([], [], markersize=10)
        self._frame(3, pairs, "mean, 95 %")
        axes.set_title(title)
        axes.set_xlabel(f"points (right of 0: {helps})")
        axes.grid(axis="y", visible=False)

    def update(self, verdict: Verdict, before: Sequence[Run], after: Sequence[Run]) -> None:
        """Show other pairs: before[i] and after[i] share a seed."""
        gaps = [
            100 * (new.scores["accuracy"] - old.scores["accuracy"])
            for old, new in zip(before, after, strict=True)
        ]
        pairs, look = len(gaps), verdict_look(verdict.word)
        has_interval = math.isfinite(verdict.low)
        ends = [100 * verdict.low, 100 * verdict.high] if has_interval else []
        self.each.set_data(gaps, range(pairs))
        self.span.set(data=(ends, [pairs] * len(ends)), color=look["color"])
        self.mean.set(data=([100 * verdict.difference], [pairs]), **look)
        furthest = 1.15 * max(0.5, *map(abs, gaps), *map(abs, ends))
        self._frame(furthest, pairs, "mean, 95 %" if has_interval else "one run")

    def _frame(self, furthest: float, pairs: int, named: str) -> None:
        self.axes.set(xlim=(-furthest, furthest), ylim=(pairs + 0.6, -0.6))
        self.axes.set_yticks(range(pairs + 1), [*(f"seed {at}" for at in range(pairs)), named])
