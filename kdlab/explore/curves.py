"""The picture of paired students: accuracy per epoch, and the difference of each pair."""

import math

from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator

from kdlab.explore.differences import Differences
from kdlab.explore.pairs import Trained
from kdlab.plots.drawing import folded
from kdlab.plots.picture import FROM_LABELS, FROM_TEACHER, INK, Picture, style


class Curves:
    """Accuracy per epoch of both groups, and their differences seed by seed."""

    GROUPS = (("teacher", FROM_TEACHER, "with the teacher"), ("labels", FROM_LABELS, "labels only"))

    def __init__(self, picture: Picture, lines: int = 1):
        self.picture, self.lines = picture, lines  # of the words above the curves
        with style():
            self.left, right = picture.figure.subplots(1, 2, width_ratios=[1.75, 1])
            first = folded("training the first students …", 108, lines)
            self.what = picture.figure.suptitle(
                first, x=0.01, ha="left", fontsize=10, weight="bold"
            )
            self.said = picture.figure.supxlabel(
                folded("", 108, lines + 1), x=0.01, ha="left", fontsize=11
            )
            self.thin, self.mean = {}, {}
            for name, look, label in self.GROUPS:
                self.thin[name] = LineCollection([], colors=look["color"], alpha=0.3, linewidths=1)
                self.left.add_collection(self.thin[name])
                (self.mean[name],) = self.left.plot([], [], label=f"{label} (mean)", **look)
            self.level = self.left.axhline(93, color=INK, linestyle=":", linewidth=1.6)
            self.level.set_label("the teacher itself")
            legend = self.left.legend(  # above: nothing of the curves may lie under it
                loc="lower left", bbox_to_anchor=(-0.03, 1), ncols=3, fontsize=10,
                columnspacing=1.2, handlelength=1.9, borderaxespad=0.1,
            )  # fmt: skip
            legend.set_in_layout(False)  # wider than the axes; the other title makes room above
            self.left.set(xlim=(1, 30), ylim=(60, 95), xlabel="epoch")
            self.left.set_ylabel("validation accuracy, %")
            for axis in (self.left.xaxis, self.left.yaxis):
                axis.set_major_locator(MaxNLocator(6, integer=True))  # keeps labels short
            self.differences = Differences(
                right, "difference of each pair", helps="teacher helps", pairs=5
            )
        picture.draw("The first students are being trained.")

    def update(self, result: Trained) -> None:
        """Show other students."""
        self._draw_curves(result)
        self.differences.update(result.verdict, result.runs["labels"], result.runs["teacher"])
        self.what.set_text(folded(result.what, 112, self.lines))
        self.said.set_text(folded(str(result.verdict), 108, self.lines + 1))
        means = {
            name: 100 * sum(run.scores["accuracy"] for run in runs) / len(runs)
            for name, runs in result.runs.items()
        }
        teacher = ""
        if math.isfinite(result.teacher_accuracy):
            teacher = f"; the teacher itself {100 * result.teacher_accuracy:.1f} %"
        self.picture.draw(
            f"Validation accuracy per epoch and paired differences, {result.what}. Mean accuracy "
            f"after the last epoch: {means['teacher']:.1f} % with the teacher, "
            f"{means['labels']:.1f} % with labels only{teacher}. {result.verdict}."
        )

    def _draw_curves(self, result: Trained) -> None:
        lowest, highest = 100.0, 0.0
        for name, runs in result.runs.items():
            epochs = runs[0].history["epoch"].to_numpy()
            lines = [100 * run.history["validation_accuracy"].to_numpy() for run in runs]
            self.thin[name].set_segments([list(zip(epochs, line, strict=True)) for line in lines])
            self.mean[name].set_data(epochs, sum(lines) / len(lines))
            self.mean[name].set_markevery(max(1, len(epochs) // 8))
            settled = [line[len(line) // 6 :] for line in lines]  # the steep start may be cut off
            lowest = min(lowest, *(line.min() for line in settled))
            highest = max(highest, *(line.max() for line in settled))
        teacher = 100 * result.teacher_accuracy
        self.level.set(ydata=[teacher, teacher], visible=math.isfinite(teacher))
        if math.isfinite(teacher):
            lowest, highest = min(lowest, teacher), max(highest, teacher)
        room = 0.06 * (highest - lowest) + 0.5
        self.left.set(xlim=(0.5, len(epochs) + 0.5), ylim=(lowest - room, highest + room))
