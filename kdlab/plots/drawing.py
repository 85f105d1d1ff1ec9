"""What every figure starts from: numbers that were checked, paper with margins, named lines."""

import itertools
import re
import textwrap
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes

from kdlab.errors import Refusal
from kdlab.plots.picture import GREY, Picture

WHITE = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1}  # behind words


def paper(title: str, size: tuple[float, float]) -> Picture:
    """An empty picture whose content keeps off the edges. title: the line a notebook stores."""
    picture = Picture(title, size)
    picture.figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    return picture


def array(name: str, values: object, shape: Sequence[int | None]) -> np.ndarray:
    """Values as an array of this shape (None stands for any size), or a refusal."""
    given = values.detach().cpu() if isinstance(values, torch.Tensor) else values
    given = given.double() if getattr(given, "dtype", None) == torch.bfloat16 else given
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


def name_lines(axes: Axes, ends: Sequence[tuple[float, float, str, str]], width: int = 26) -> None:
    """Write each line's name to the right of the axes, with a thin rule from its last point.

    ends: (x, y, name, colour) of each line. Names that would overlap are moved apart.
    """
    axes.get_ylim()  # settles the scale
    into_axes = axes.transData - axes.transAxes
    pitch = 13 / (axes.get_position().height * axes.figure.get_figheight() * 72)
    names = [textwrap.fill(name, width) for _, _, name, _ in ends]
    heights = [pitch * (1.3 + name.count("\n")) for name in names]
    order = sorted(range(len(ends)), key=lambda at: ends[at][1])
    places = {at: into_axes.transform(ends[at][:2])[1] for at in order}
    for before, at in itertools.pairwise(order):
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
            arrowprops={
                "arrowstyle": "-",
                "color": GREY,
                "linewidth": 0.7,
                "relpos": (0, 0.5),
            },
        )


def folded(sentence: str, width: int, least: int) -> str:
    """A sentence on lines of `width` characters, always at least `least` lines high."""
    joined = re.sub(" (?=[%·]|s$)", "\u00a0", sentence)  # no line begins with a unit or a dot
    lines = textwrap.wrap(joined, width)
    return "\n".join(lines + [" "] * (least - len(lines)))
