"""Single examples beside what a teacher says about them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from kdlab.data import Split
from kdlab.errors import Refusal
from kdlab.plots.picture import BLUE, ORANGE, Picture, style

MOST = 6  # soft targets beside each other


def shades(inputs: Tensor) -> np.ndarray:
    """Inputs (n, channels, height, width) as colours from 0 to 1, (n, height, width, 3).

    One channel becomes dark on white, as on paper. The scale is that of all inputs together.
    """
    if inputs.ndim != 4 or inputs.shape[1] not in (1, 3):
        raise Refusal(
            f"inputs of shape {tuple(inputs.shape)}: expected pictures, (examples, channels, "
            "height, width) with 1 or 3 channels."
        )
    low, high = inputs.min(), inputs.max()
    scaled = ((inputs - low) / (high - low).clamp(min=1e-12)).permute(0, 2, 3, 1)
    return (1 - scaled.expand(-1, -1, -1, 3) if inputs.shape[1] == 1 else scaled).cpu().numpy()


def soft_targets(
    split: Split,
    classes: Sequence[str],
    rows: Sequence[int],
    logits: Tensor,
    temperature: float = 1.0,
) -> Picture:
    """Pictures, each above the probabilities that the teacher gives to every class at T.

    rows: which examples of the split, at most six.  logits: (examples of the split, classes).
    """
    rows = torch.as_tensor(rows).tolist()
    if not 1 <= len(rows) <= MOST:
        raise Refusal(f"{len(rows)} rows: expected 1 to {MOST}, so that they fit side by side.")
    if min(rows) < 0 or max(rows) >= len(split):
        raise Refusal(f"rows from {min(rows)} to {max(rows)}: the split has 0 to {len(split) - 1}.")
    if logits.shape != (len(split), len(classes)):
        raise Refusal(
            f"logits of shape {tuple(logits.shape)}: expected {(len(split), len(classes))}, a row "
            "for each example of the split. kdlab.signals.answers(teacher, split) gives them."
        )
    if not temperature > 0:
        raise Refusal(f"temperature={temperature!r}: expected a number above 0.")
    probabilities = (logits[rows] / temperature).softmax(1)
    inputs, places = shades(split.inputs[rows]), range(len(classes))
    picture = Picture("soft targets", size=(max(3.4, 1.3 + 1.9 * len(rows)), 4.6))
    with style():
        grid = picture.figure.subplots(
            2, len(rows), squeeze=False, height_ratios=[1, 1.7], sharey="row"
        )
        for image, row, target, top, bars in zip(inputs, rows, probabilities, *grid, strict=True):
            top.imshow(image)
            top.set_axis_off()
            top.set_title(classes[int(split.labels[row])], loc="center")
            drawn = bars.barh(places, target.tolist(), height=0.75, color=BLUE)
            drawn[int(split.labels[row])].set(facecolor=ORANGE, hatch="//")
            for place, share in zip(places, target.tolist(), strict=True):
                bars.text(share + 0.03, place, f"{share:.3f}", va="center", fontsize=9)
            bars.set(xlim=(0, 1.35), xticks=[0, 0.5, 1], ylim=(len(classes) - 0.4, -0.6))
            bars.set_yticks(places, classes)
            bars.tick_params(axis="y", length=0)
            bars.grid(axis="y", visible=False)
        picture.figure.supxlabel(
            f"probability at T = {temperature:g} (hatched: the label)", fontsize=11
        )
    listed = "; ".join(
        f"{classes[int(split.labels[row])]}: " + ranked(target, classes, 3)
        for row, target in zip(rows, probabilities, strict=True)
    )
    return picture.draw(f"The teacher's soft targets at T={temperature:g}. By label, {listed}.")


def ranked(probabilities: Tensor, classes: Sequence[str], count: int) -> str:
    """The most probable classes in words: "Shirt 0.620, Coat 0.210"."""
    top = probabilities.topk(min(count, len(classes)))
    pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
    return ", ".join(f"{classes[number]} {share:.3f}" for number, share in pairs)
