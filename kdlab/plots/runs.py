"""The history of one run or of several: loss, its terms and accuracy, epoch by epoch."""

from collections.abc import Sequence

from matplotlib.ticker import MaxNLocator

from kdlab.errors import Refusal
from kdlab.plots.drawing import name_lines, paper
from kdlab.plots.picture import MARKERS, PALETTE, Picture, style
from kdlab.plots.words import listed
from kdlab.runs import Run

LINES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
NO_TERM = ("epoch", "step", "stage", "loss", "validation_accuracy")


def history(*runs: Run) -> Picture:
    """Loss and its terms per epoch, and validation accuracy where it was watched.

    Several runs differ by line, marker and colour, and are named at the right.
    """
    _check(runs)
    names = _names(runs)
    columns = _columns(runs)
    picture = paper(
        "history of training", (max(4.6, 2.6 * len(columns)) + 2 * (len(runs) > 1), 3.6)
    )
    with style():
        grid = picture.figure.subplots(1, len(columns), squeeze=False)[0]
        for axes, column in zip(grid, columns, strict=True):
            accuracy = column == "validation_accuracy"
            if not accuracy and axes is not grid[0]:
                axes.sharey(grid[0])  # terms are parts of the loss: one scale for all
            for at, run in enumerate(runs):
                if column in run.history:
                    values = run.history[column] * (100 if accuracy else 1)
                    step = max(1, len(values) // 8)
                    axes.plot(
                        run.history["epoch"], values, linestyle=LINES[at], color=PALETTE[at],
                        marker=MARKERS[at], markevery=(at % step, step),
                    )  # fmt: skip
            title = "loss" if column == "loss" else f"part of it: {column}"
            axes.set(title="validation accuracy, %" if accuracy else title, xlabel="epoch")
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
        if len(runs) > 1:
            last = columns[-1]
            percent = 100 if last == "validation_accuracy" else 1
            ends = [
                (run.history["epoch"].iloc[-1], percent * run.history[last].iloc[-1], name, colour)
                for run, name, colour in zip(runs, names, PALETTE, strict=False)
                if last in run.history
            ]
            name_lines(grid[-1], ends)
    return picture.draw(_alt(runs, names))


def _check(runs: Sequence[Run]) -> None:
    if not 1 <= len(runs) <= len(LINES):
        raise Refusal(f"{len(runs)} runs: expected 1 to {len(LINES)}; more cannot be told apart.")
    for run in runs:
        if not isinstance(run, Run):
            raise Refusal(f"{type(run).__name__}: expected a run, as distill or train gives it.")
        if not len(run.history):
            raise Refusal("a run has no finished epoch: there is no history to draw.")


def _columns(runs: Sequence[Run]) -> list[str]:
    """The loss, then its terms, then the accuracy; a term that is the whole loss is left out."""
    terms = [
        name
        for run in runs
        for name in run.history.columns
        if name not in NO_TERM
        and not name.endswith("_raw")  # drawn as it counts, weighted
        and not run.history[name].equals(run.history["loss"])
    ]
    watched = any("validation_accuracy" in run.history for run in runs)
    return ["loss", *dict.fromkeys(terms), *(["validation_accuracy"] if watched else [])]


def _names(runs: Sequence[Run]) -> list[str]:
    """Each run by what it learns from, and by the settings in which the runs differ."""
    told = ("teacher", "alpha", "temperature", "loss")
    differ = [
        name
        for name in runs[0].settings
        if name not in told and len({str(run.settings.get(name)) for run in runs}) > 1
    ]
    names = [
        ", ".join([_learns_from(run.settings), *(_setting(run, name) for name in differ)])
        for run in runs
    ]
    if len(set(names)) < len(names):
        names = [f"{number}: {name}" for number, name in enumerate(names, 1)]
    return names


def _learns_from(settings: dict) -> str:
    if settings.get("loss") is not None:
        return str(settings["loss"])
    alpha, temperature = settings.get("alpha", 1), settings.get("temperature")
    if settings.get("teacher") is None or alpha == 1:
        return "labels only"
    if alpha == 0:
        return f"teacher only (T={temperature:g})"
    return f"labels {alpha:.2f} · teacher {1 - alpha:.2f} (T={temperature:g})"


def _setting(run: Run, name: str) -> str:
    value = run.settings.get(name)
    return str(value) if name == "student" else f"{name} {value}"


def _alt(runs: Sequence[Run], names: Sequence[str]) -> str:
    said = []
    for run, name in zip(runs, names, strict=True):
        first, last = run.history.iloc[0], run.history.iloc[-1]
        text = f"{name}: loss from {first['loss']:.3f} to {last['loss']:.3f}"
        if "validation_accuracy" in last:
            text += f", validation accuracy at the end {last['validation_accuracy']:.1%}"
        said.append(text.replace("%", " %"))
    epochs = listed(list(dict.fromkeys(str(len(run.history)) for run in runs)))
    return f"History of {len(runs)} run{'s' * (len(runs) > 1)}, {epochs} epochs. {'; '.join(said)}."
