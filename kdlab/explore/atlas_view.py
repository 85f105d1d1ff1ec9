"""The atlas: a map of a sweep; choose a cell for its runs, its interval and its confusions."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import torch
from ipywidgets import Button, SelectionSlider
from matplotlib.artist import Artist
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm
from matplotlib.ticker import MaxNLocator

from kdlab import data as data_sets
from kdlab.data import Data
from kdlab.errors import Refusal
from kdlab.explore.controls import choice
from kdlab.explore.controls import written as in_code
from kdlab.explore.pairs import weights
from kdlab.explore.panel import Panel
from kdlab.plots.atlases import MeanMap, draw_map, frame, mean_map
from kdlab.plots.drawing import folded
from kdlab.plots.picture import FROM_LABELS, FROM_TEACHER, GREY, INK, Picture, style, verdict_look
from kdlab.plots.words import called, percent, scale, written
from kdlab.runs import Run
from kdlab.scores import METRICS
from kdlab.sweeps import Atlas
from kdlab.verdicts import Verdict

LABELS_ONLY = {"alpha": 1}
CONTROLS = {"temperature": "temperature T", "alpha": "weights (alpha)"}
QUALITY = METRICS[:4]
LOOKS = {"labels": FROM_LABELS, "cell": FROM_TEACHER}
LEAST, WRITTEN = 0.001, 0.015  # shares of a confusion matrix: the darkest colour, and in digits


@dataclass(frozen=True)
class Cell:
    """One setting of a sweep: its `runs`, one a seed, and what they show.

    verdict: against labels only; None where the two cannot be compared, and `trouble` says why.
    confusion: (classes, classes), how many validation examples of each label (row) got each answer
    (column), summed over the runs.  scores: means over the runs.  values: the metric of each seed,
    {"cell": {seed: value}, "labels": ...}.  A run that failed is left out of all of them.
    """

    setting: dict
    verdict: Verdict | None
    trouble: str
    runs: list[Run]
    confusion: torch.Tensor
    scores: dict[str, float]
    values: dict[str, dict[int, float]]


def look(
    atlas: Atlas,
    setting: dict,
    baseline: dict,
    metric: str,
    confusions: Callable[[int], torch.Tensor],
    classes: int,
) -> Cell:
    """What a sweep holds about one setting. confusions: number of a run -> its confusions."""
    verdict, trouble = None, ""
    try:
        verdict = atlas.compare(baseline, setting, metric)
    except Refusal as error:  # there is no run, or one of them failed
        trouble = str(error)
    rows, twins = (_finished(atlas, one, metric) for one in (setting, baseline))
    return Cell(
        setting,
        verdict,
        trouble,
        [atlas.runs[at] for at in rows["run"]],
        sum(map(confusions, rows["run"]), torch.zeros(classes, classes, dtype=torch.long)),
        {name: rows[name].mean() for name in QUALITY if rows[name].notna().any()},
        {"labels": twins[metric].to_dict(), "cell": rows[metric].to_dict()},
    )


def _finished(atlas: Atlas, setting: dict, metric: str) -> pd.DataFrame:
    """The rows of a setting that have a value, by seed; none where it was not run."""
    try:
        rows = atlas.rows(setting)
    except Refusal:
        rows = atlas.table[:0].set_index("seed")
    return rows[rows[metric].notna()]


class View:
    """The map with a frame around the chosen cell; beside it that cell's pairs and confusions."""

    def __init__(self, picture: Picture, known: MeanMap, classes: Sequence[str]):
        self.picture, self.known, self.classes = picture, known, classes
        self.factor = scale(known.metric)
        with style():
            places = picture.figure.subplot_mosaic(
                [["map", "confusion"], ["pairs", "confusion"]],
                height_ratios=[2.3, 1], width_ratios=[1.15, 1],
            )  # fmt: skip
            self.said = picture.figure.suptitle(
                " \n ", x=0.01, ha="left", fontsize=11, weight="bold"
            )
            self.scores = picture.figure.supxlabel(" \n ", x=0.01, ha="left", fontsize=10.5)
            self.map = places["map"]
            draw_map(self.map, known)
            self.map.set_title(
                f"{called(known.metric)}: {known.many}\n"
                f"bold: the {known.which}; click a cell to see its runs"
            )
            self.frame = self.map.add_patch(frame(known.best))
            moving = [self.said, self.scores, self.frame]
            moving += self._prepare_pairs(places["pairs"])
            moving += self._prepare_confusion(places["confusion"])
        picture.moving(moving)
        picture.draw("")

    def update(self, cell: Cell) -> None:
        """Show another cell."""
        names = (self.known.table.index.name, self.known.table.columns.name)
        values = (list(self.known.table.index), list(self.known.table.columns))
        at = tuple(
            known.index(cell.setting[name]) for name, known in zip(names, values, strict=True)
        )
        self.frame.set_xy((at[1] - 0.46, at[0] - 0.42))
        said = f"{cell.verdict}." if cell.verdict else cell.trouble
        scores = ", ".join(
            f"{called(name).split(',')[0]} {written(value, name)}{percent(name)}"
            for name, value in cell.scores.items()
        )
        told = f"Means of this cell: {scores}." if scores else ""
        self.said.set_text(folded(said, 104, 2))
        self.scores.set_text(folded(told, 112, 2))
        self._show_pairs(cell)
        shares = _shares(cell.confusion)
        self._show_confusion(shares)
        self.image.set_visible(bool(cell.runs))
        parts = [
            self.known.sentence, f"Chosen cell: {self.known.at(*at)}.", said, told,
            self._most_mixed(shares) if cell.runs else "",
        ]  # fmt: skip
        self.picture.redraw(" ".join(filter(None, parts)))

    def boxes(self) -> Iterator[tuple[tuple[int, int], dict[str, str]]]:
        """Each cell of the map with its place on the picture, in percent."""
        size = np.array(self.picture.canvas.get_width_height())
        for row, column in np.ndindex(self.known.table.shape):
            corners = [(column - 0.5, row - 0.5), (column + 0.5, row + 0.5)]
            (left, top), (right, bottom) = self.map.transData.transform(corners) / size
            place = {"left": left, "top": 1 - top, "width": right - left, "height": top - bottom}
            yield (row, column), {name: f"{100 * part:.3f}%" for name, part in place.items()}

    def _prepare_pairs(self, axes) -> list[Artist]:
        """Two rows of dots, one dot a seed; the two of a pair are joined."""
        self.pairs = axes
        self.joins = axes.add_collection(LineCollection([], colors=GREY, linewidths=1))
        self.dots = {
            name: axes.plot([], [], look["marker"], color=look["color"], markersize=7)[0]
            for name, look in LOOKS.items()
        }
        (self.twins,) = axes.plot([], [], color=INK, linestyle=":", linewidth=1.4)
        (self.span,) = axes.plot([], [], linewidth=3)
        (self.middle,) = axes.plot([], [], markersize=9)
        axes.set_ylim(2.6, -0.6)
        axes.set_yticks(range(3), ["labels only", "this cell", "mean, 95 %"])
        axes.set_title("a dot a seed, a line a pair; dotted: mean of labels only")
        axes.set_xlabel(called(self.known.metric))
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        return [axes.xaxis, self.joins, *self.dots.values(), self.twins, self.span, self.middle]

    def _show_pairs(self, cell: Cell) -> None:
        values = {
            name: {seed: self.factor * one for seed, one in own.items()}
            for name, own in cell.values.items()
        }
        for row, name in enumerate(LOOKS):
            dots = list(values[name].values())
            self.dots[name].set_data(dots, [row] * len(dots))
        both = sorted(values["labels"].keys() & values["cell"].keys())
        pairs = [(values["labels"][seed], values["cell"][seed]) for seed in both]
        self.joins.set_segments([[(one, 0), (other, 1)] for one, other in pairs])
        start = sum(one for one, _ in pairs) / max(1, len(pairs))
        found, middle, ends = cell.verdict, [], []
        if found:
            look = verdict_look(found.word)
            self.middle.set(**look)
            self.span.set_color(look["color"])
            middle = [start + self.factor * found.difference]
            ends = [start + self.factor * end for end in (found.low, found.high)]
        ends = ends if all(map(math.isfinite, ends)) else []
        self.twins.set_data([start] * 2 * len(middle), [0, 2.6] * len(middle))
        self.middle.set_data(middle, [2] * len(middle))
        self.span.set_data(ends, [2] * len(ends))
        shown = [*ends, *values["labels"].values(), *values["cell"].values()]
        if shown:
            room = 0.08 * (max(shown) - min(shown)) + 0.002 * self.factor
            self.pairs.set_xlim(min(shown) - room, max(shown) + room)

    def _prepare_confusion(self, axes) -> list[Artist]:
        count = len(self.classes)
        self.image = axes.imshow(
            np.full((count, count), LEAST), cmap="cividis", norm=LogNorm(LEAST, 1, clip=True)
        )
        self.shares = [
            axes.text(column, row, "", ha="center", va="center", fontsize=min(9, 90 / count))
            for row, column in np.ndindex(count, count)
        ]
        axes.set_xticks(range(count), self.classes, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(count), self.classes)
        axes.set_title("of 100 pictures of a label (row),\nhow many get each answer (column)")
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        return [self.image, *self.shares]

    def _show_confusion(self, shares: np.ndarray) -> None:
        self.image.set_data(shares.clip(LEAST))
        light = self.image.norm(shares.clip(LEAST)) > 0.55
        for text, share, on_light in zip(self.shares, shares.flat, light.flat, strict=True):
            text.set_text(f"{100 * share:.0f}" if share >= WRITTEN else "")
            text.set_color(INK if on_light else "white")

    def _most_mixed(self, shares: np.ndarray) -> str:
        wrong = shares * (1 - np.eye(len(shares)))
        row, column = np.unravel_index(wrong.argmax(), wrong.shape)
        return (
            f"Most mixed up: of 100 pictures labelled {self.classes[row]}, "
            f"{100 * wrong[row, column]:.0f} are answered {self.classes[column]}."
        )


def _shares(confusion: torch.Tensor) -> np.ndarray:
    """Each row as shares of its label's examples; zeros for a label without any."""
    counts = confusion.double()
    return (counts / counts.sum(1, keepdim=True).clamp(min=1)).numpy()


def counting(atlas: Atlas, data: Data | None) -> Callable[[int], torch.Tensor]:
    """A function from the number of a run to its confusion matrix on validation, computed once."""

    @cache
    def confusion(number: int) -> torch.Tensor:
        logits = atlas.runs[number].logits("validation", data)
        labels = (data or atlas.runs[number].data).validation.labels
        classes = logits.shape[1]
        cells = torch.bincount(labels * classes + logits.argmax(1), minlength=classes**2)
        return cells.view(classes, classes)

    return confusion


def atlas(
    atlas: Atlas,
    metric: str = "accuracy",
    *,
    rows: str = "temperature",
    columns: str = "alpha",
    baseline: dict | None = None,
    data: object = None,
    code: str | None = None,
    hide: Sequence[str] = (),
    lock: Sequence[str] = (),
) -> Panel:
    """A map of a sweep: click a cell, or move a slider, for its runs, interval and confusions.

    atlas: what `kdlab.sweep` gave.  rows, columns: its two axes, also the names of the controls.
    baseline: the setting that each cell is compared with, seed by seed; None takes labels only.
    data: only needed where the runs were loaded from a folder.
    `.result` is a `Cell`. All values are of the validation split; nothing is trained.
    """
    if not isinstance(atlas, Atlas):
        raise Refusal(f"an atlas of type {type(atlas).__name__}: expected what kdlab.sweep gave.")
    known = mean_map(atlas, metric, rows, columns)
    baseline = LABELS_ONLY if baseline is None else baseline
    try:
        atlas.rows(baseline)
    except Refusal as error:
        raise Refusal(
            f"nothing to compare the cells with ({error}) Sweep with alpha=1 among the values of "
            "alpha, or name another setting as baseline=."
        ) from error
    data = None if data is None else data_sets.as_data(data)
    own = data or atlas.runs[0].data
    if own is None:
        raise Refusal("these runs were loaded without their data: give data= to show them.")
    picture = Picture("atlas of a sweep", size=(9.8, 5.9))
    view = View(picture, known, own.classes)
    confusions = counting(atlas, data)
    axes = {rows: known.table.index.tolist(), columns: known.table.columns.tolist()}

    def button(at: tuple[int, int], place: dict[str, str]) -> Button:
        tip = f"{known.at(*at)}: {known.said(*at)}"
        made = Button(tooltip=tip, layout=place)
        cell = {name: values[spot] for (name, values), spot in zip(axes.items(), at, strict=True)}

        def choose(_: Button) -> None:  # what is locked stays
            free = {name: one for name, one in cell.items() if not panel.controls[name].disabled}
            panel.code = " ".join(f"{name}={in_code(value)}" for name, value in free.items())

        made.on_click(choose)
        return made

    panel = Panel(
        "atlas of a sweep",
        {
            name: choice(
                CONTROLS.get(name, name), values, values[spot], _said(name), SelectionSlider
            )
            for (name, values), spot in zip(axes.items(), known.best, strict=True)
        },
        lambda **setting: look(atlas, setting, baseline, metric, confusions, len(own.classes)),
        view.update,
        picture,
        name="atlas",
        code=code,
        hide=hide,
        lock=lock,
        over=[button(at, place) for at, place in view.boxes()],
    )
    return panel


def _said(name: str) -> Callable[[object], str]:
    """How the values of an axis are written beside its slider."""
    return lambda value: (
        value if isinstance(value, str) else weights(value) if name == "alpha" else f"{value:g}"
    )
