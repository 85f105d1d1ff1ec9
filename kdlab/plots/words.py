"""Words and labels that the figures share: how a metric is said, where a line's name stands."""

import textwrap
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes

from kdlab.errors import Refusal
from kdlab.plots.picture import GREY
from kdlab.sweeps import METRICS
from kdlab.verdicts import SHARES

_CALLED = {
    "accuracy": "validation accuracy, %",
    "nll": "validation NLL, nats",
    "ece": "calibration error, %",
    "agreement": "agreement with the teacher, %",
}


def called(metric: str) -> str:
    """A metric as an axis says it, with its unit."""
    return _CALLED.get(metric, metric)


def scale(metric: str) -> int:
    """What a value is multiplied by to be drawn: shares are drawn in percent."""
    if metric not in METRICS:
        raise Refusal(f"metric {metric!r}: expected one of {', '.join(METRICS)}.")
    return 100 if metric in SHARES else 1


def written(value: float, metric: str) -> str:
    """A value as it is written in a figure: 84.3 for a share, 0.412 for NLL, 101,800 for bytes."""
    if metric in ("parameters", "bytes"):
        return f"{value:,.0f}"
    return f"{value * 100:.1f}" if metric in SHARES else f"{value:.3f}"


def percent(metric: str) -> str:
    """The unit that follows a written value in a sentence."""
    return " %" if metric in SHARES else ""


def listed(words: Sequence[str]) -> str:
    """Words as a sentence lists them: "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def array(name: str, values: object, shape: Sequence[int | None]) -> np.ndarray:
    """Values as an array of this shape (None stands for any size), or a refusal."""
    given = values.detach().cpu() if isinstance(values, torch.Tensor) else values
    given = np.asarray(given)
    wanted = str(tuple("n" if size is None else size for size in shape)).replace("'", "")
    fits = len(given.shape) == len(shape) and all(
        size in (None, had) for size, had in zip(shape, given.shape, strict=True)
    )
    if not fits or not (np.issubdtype(given.dtype, np.number) or given.dtype == bool):
        raise Refusal(f"{name} of shape {given.shape}: expected numbers of shape {wanted}.")
    if not given.size:
        raise Refusal(f"{name} is empty: expected at least one number.")
    if not np.isfinite(given).all():
        raise Refusal(f"{name} holds NaN or infinite values: expected finite numbers.")
    return given


def name_lines(axes: Axes, ends: Sequence[tuple[float, float, str, str]], width: int = 22) -> None:
    """Write each line's name to the right of the axes, with a thin rule from its last point.

    ends: (x, y, name, colour) of each line. Names that would overlap are moved apart.
    """
    low, high = axes.get_ylim()
    pitch = 13 / (axes.get_position().height * axes.figure.get_figheight() * 72)
    names = [textwrap.fill(name, width) for _, _, name, _ in ends]
    heights = [pitch * (1.3 + name.count("\n")) for name in names]
    order = sorted(range(len(ends)), key=lambda at: ends[at][1])
    places = {at: (ends[at][1] - low) / (high - low) for at in order}
    for before, at in zip(order, order[1:], strict=False):
        places[at] = max(places[at], places[before] + (heights[before] + heights[at]) / 2)
    over = max(0.0, places[order[-1]] + heights[order[-1]] / 2 - 1.02)
    for at in order:
        x, y, _, colour = ends[at]
        axes.annotate(
            names[at],
            xy=(x, y),
            xytext=(1.04, places[at] - over),
            textcoords="axes fraction",
            va="center",
            color=colour,
            fontsize=10,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.7, "shrinkA": 2},
        )
