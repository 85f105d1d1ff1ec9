"""Pictures of a data set, with their classes and with what a teacher answers."""

from collections.abc import Sequence

import numpy as np
import torch

from kdlab.data import Split
from kdlab.errors import Refusal
from kdlab.plots.drawing import array, paper
from kdlab.plots.examples import shades
from kdlab.plots.picture import VERMILLION, Picture, style
from kdlab.plots.words import listed

MOST = 60  # pictures in one figure; more cannot be looked at
ACROSS = 6


def images(
    split: Split, classes: Sequence[str], rows: Sequence[int], logits: torch.Tensor | None = None
) -> Picture:
    """Some pictures of a split with their classes; with logits, the teacher's first two answers.

    rows: which examples of the split, such as range(12).
    logits: (examples of the split, classes). A picture that the teacher takes for something else
        than its label has a frame and a ×.
    """
    chosen = _rows(rows, len(split))
    pixels = [shades(split.inputs[row : row + 1])[0] for row in chosen]  # each by itself
    labels = split.labels[chosen].tolist()
    if max(labels) >= len(classes):
        raise Refusal(f"label {max(labels)}: {len(classes)} class names were given.")
    names = [classes[label] if label >= 0 else "no label" for label in labels]
    answers = None
    if logits is not None:
        given = torch.as_tensor(array("logits", logits, (len(split), len(classes))))
        answers = given[chosen].double().softmax(1).topk(2)
    down, across = -(-len(chosen) // ACROSS), min(ACROSS, len(chosen))
    picture = paper(
        "pictures with their classes",
        (1.55 * across, down * (2.25 if logits is not None else 1.75)),
    )
    with style():
        grid = picture.figure.subplots(down, across, squeeze=False).ravel()
        for axes in grid:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        for axes in grid[len(chosen) :]:
            axes.remove()
        for at, (axes, name) in enumerate(zip(grid, names, strict=False)):
            axes.imshow(pixels[at])
            axes.set_title(name, loc="center", fontsize=10, weight="bold")
            if answers is not None:
                wrong = answers.indices[at, 0] != labels[at] and labels[at] >= 0
                axes.set_xlabel(_first_two(answers, at, classes, wrong), fontsize=9)
                axes.spines[:].set(visible=bool(wrong), color=VERMILLION, linewidth=3)
    return picture.draw(_alt(names, labels, answers, classes))


def _rows(rows: Sequence[int], count: int) -> list[int]:
    if isinstance(rows, int):
        raise Refusal(f"rows={rows}: expected the numbers of the rows, such as range({rows}).")
    given = np.asarray(rows)
    if not 1 <= given.size <= MOST or given.ndim != 1 or not np.issubdtype(given.dtype, np.integer):
        raise Refusal(
            f"rows of shape {given.shape}: expected 1 to {MOST} whole numbers, such as range(12)."
        )
    outside = given[(given < 0) | (given >= count)]
    if outside.size:
        raise Refusal(f"row {outside[0]}: the split has rows 0 to {count - 1:,}.")
    return given.tolist()


def _first_two(answers, at: int, classes: Sequence[str], wrong: bool) -> str:
    shares, found = answers.values[at].tolist(), answers.indices[at].tolist()
    lines = [
        f"{classes[number]} {_share(share)}" for number, share in zip(found, shares, strict=True)
    ]
    return "\n".join(["× " + lines[0] if wrong else lines[0], *lines[1:]])


def _share(share: float) -> str:
    return f"{share:.2f}" if share >= 0.005 else "<0.01"


def _alt(names: list[str], labels: list[int], answers, classes: Sequence[str]) -> str:
    counted = [f"{names.count(name)} {name}" for name in dict.fromkeys(names)]
    alt = f"{len(names)} pictures by class: {listed(counted)}."
    if answers is None:
        return alt
    right = sum(
        int(first) == label for first, label in zip(answers.indices[:, 0], labels, strict=True)
    )
    doubtful = int(answers.values[:, 0].argmin())
    said = _first_two(answers, doubtful, classes, wrong=False).replace("\n", ", ")
    return (
        f"{alt} The teacher's first answer is the label in {right} of {len(names)}; it is least "
        f"sure of picture {doubtful + 1}, {names[doubtful]}: {said}."
    )
