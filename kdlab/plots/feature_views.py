"""One picture for each feature loss: what it sees of a student and of a teacher."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdlab import data as data_sets
from kdlab import layers, signals
from kdlab.errors import Refusal
from kdlab.plots.drawing import paper
from kdlab.plots.picture import Picture, style
from kdlab.runs import Run

EACH, KINDS = 3, 4  # pictures of a class, and classes
CHANNELS = 16  # of one picture that are shown


def feature_views(
    student: Run | nn.Module,
    teacher: nn.Module,
    data: object,
    student_layer: str,
    teacher_layer: str,
) -> Picture:
    """What each feature loss compares, for twelve validation pictures: three each of four classes.

    Both layers give maps (channels, height, width). Each tile shows the student at the left and the
    teacher at the right; for the contrast, which needs both at once, what there is and what is
    wanted. Nothing is trained.
    """
    student = student.student if isinstance(student, Run) else student
    split = data_sets.as_data(data).validation
    kinds = split.labels.unique()[1::2][:KINDS]
    rows = torch.cat([(split.labels == kind).nonzero().flatten()[:EACH] for kind in kinds])
    chosen = split[rows]
    features, logits = [], []
    for net, layer in ((student, student_layer), (teacher, teacher_layer)):
        features.append(layers.read(net, chosen, layer)[layer])
        logits.append(signals.ask(net, chosen.inputs))
        if features[-1].ndim != 4:
            raise Refusal(
                f"the layer {layer!r} gives {tuple(features[-1].shape[1:])} for each example: "
                "expected maps (channels, height, width)."
            )
    tiles = _tiles(features, logits)
    picture = paper("what each loss compares", (9.4, 7.6))
    with style():
        parts = picture.figure.subfigures(3, 3, wspace=0.03, hspace=0.03).ravel()
        for part, (name, (said, pair)) in zip(parts, tiles.items(), strict=True):
            part.suptitle(f"{name}\n", fontsize=11, weight="bold")
            for axes, image, whose in zip(part.subplots(1, 2), pair, _whose(name), strict=True):
                axes.imshow(image, cmap="cividis", interpolation="nearest", aspect="auto")
                axes.set_box_aspect(1)
                axes.set_title(whose, fontsize=9, loc="center")
                axes.set(xticks=[], yticks=[])
                axes.grid(visible=False)
                axes.spines[:].set_visible(False)
            part.supxlabel(said, fontsize=9.5)
    return picture.draw(
        f"What nine feature losses see of the student's {student_layer} and of the teacher's "
        f"{teacher_layer}, for {len(rows)} pictures sorted by class: "
        + "; ".join(f"{name}: {said}" for name, (said, _) in tiles.items())
        + "."
    )


def _whose(name: str) -> tuple[str, str]:
    return ("there is", "wanted") if name == "contrast" else ("student", "teacher")


def _tiles(features: list[Tensor], logits: list[Tensor]) -> dict[str, tuple[str, list]]:
    """Name -> (what is drawn, the two images)."""

    def both(draw: Callable, of: list[Tensor] = features) -> list[np.ndarray]:
        return [draw(own).numpy() for own in of]

    return {
        "hints": ("the channels of one picture", both(_montage)),
        "attention": ("where it looks at one picture", both(lambda f: f[0].square().mean(0))),
        "neuron selectivity": ("which channels see alike", both(_channels)),
        "similarity": ("which pictures are alike", both(lambda f: _unit(_products(f)))),
        "relations": ("how far apart pictures are", both(lambda f: torch.cdist(*2 * [_rows(f)]))),
        "neighbours": ("who is whose neighbour", both(_neighbours)),
        "correlation": ("correlation of pictures", both(lambda f: _products(_unit(_rows(f))))),
        "contrast": ("student's picture × teacher's", _contrast(*features)),
        "DIST": ("answers: picture × class", both(lambda z: (z / 4).softmax(1), logits)),
    }


def _rows(features: Tensor) -> Tensor:
    return features.flatten(1)


def _unit(rows: Tensor) -> Tensor:
    return F.normalize(rows, dim=1)


def _products(features: Tensor) -> Tensor:
    return _rows(features) @ _rows(features).T


def _montage(features: Tensor) -> Tensor:
    """Up to 16 channels of the first picture in a square."""
    maps = features[0, :CHANNELS]
    side = int(len(maps) ** 0.5)
    maps = F.pad(maps[: side * side], (0, 1, 0, 1), value=maps.min().item())
    return torch.cat([torch.cat(list(line), 1) for line in maps.split(side)])


def _channels(features: Tensor) -> Tensor:
    patterns = _unit(features[0].flatten(1))
    return (patterns @ patterns.T).square()


def _neighbours(features: Tensor) -> Tensor:
    shares = F.normalize(_products(_unit(_rows(features))) + 1, p=1, dim=1)
    return shares.fill_diagonal_(shares.min().item())  # each is its own nearest: not shown


def _contrast(student: Tensor, teacher: Tensor) -> list[np.ndarray]:
    """Cosines of each student's picture, mapped to the teacher's space, with each of the teacher's.

    The map is the best ridge regression, where training would have a projector.
    """
    own, wanted = (features.mean((2, 3)) for features in (student, teacher))
    own, wanted = own - own.mean(0), wanted - wanted.mean(0)
    ridge = own.T @ own + 0.1 * own.square().mean() * torch.eye(own.shape[1])
    mapped = own @ torch.linalg.solve(ridge, own.T @ wanted)
    return [(_unit(mapped) @ _unit(wanted).T).numpy(), np.eye(len(own))]
