"""Knowledge mapping: the teacher's vectors, and the student's brought to the same space."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from kdlab.errors import Refusal
from kdlab.plots.drawing import array, paper
from kdlab.plots.picture import GREY, MARKERS, PALETTE, Picture, style

MOST = 3  # clouds beside the teacher's


def mapping(
    teacher: Tensor,
    mapped: Mapping[str, Tensor],
    labels: Tensor,
    classes: Sequence[str],
    topics: Sequence[str],
) -> Picture:
    """Vectors of the same examples in the teacher's first two principal directions, by topic.

    teacher: (n, width).  mapped: up to three by name, each (n, width): the student's features,
        mapped to the teacher's space, such as {"before": ..., "after": ...}.
    labels: (n,), numbers of `classes`.  topics: those of the classes that are drawn, up to 6.

    Above each cloud stands the share of the teacher's variance, in all directions, that it gives
    back: 1 − Σ‖t − m‖² / Σ‖t − mean t‖². At 0 it does no better than the teacher's mean.
    """
    _check(mapped, classes, topics)
    size = array("teacher", teacher, (None, None)).shape
    array("labels", labels, size[:1])
    for name, vectors in mapped.items():
        array(f"mapped[{name!r}]", vectors, size)
    clouds = {"the teacher's vectors": teacher.float(), **mapped}
    mean = teacher.float().mean(0)
    directions = torch.linalg.svd(teacher.float() - mean, full_matrices=False)[2][:2].T
    shares = {name: explained(teacher, vectors) for name, vectors in mapped.items()}
    picture = paper("the teacher's vectors and the student's", (2.4 * len(clouds) + 0.4, 3.6))
    with style():
        columns = picture.figure.subplots(1, len(clouds), sharex=True, sharey=True)
        for axes, (name, vectors) in zip(columns, clouds.items(), strict=True):
            places = (vectors.detach().float() - mean) @ directions
            for at, topic in enumerate(topics):
                own = places[labels == list(classes).index(topic)]
                axes.plot(
                    *own.T, MARKERS[at], color=PALETTE[at], markersize=4, alpha=0.6,
                    markeredgewidth=0, label=topic,
                )  # fmt: skip
            share = f"gives back {100 * shares[name]:.0f} %" if name in shares else " "
            axes.set_title(f"{name}\n{share}")
            axes.set(xticks=[], yticks=[], xlabel="1st direction")
            axes.axhline(0, color=GREY, linewidth=0.6)
            axes.axvline(0, color=GREY, linewidth=0.6)
        columns[0].set_ylabel("2nd direction")
        lines, names = columns[0].get_legend_handles_labels()
        picture.figure.legend(
            lines, names, loc="outside lower center", ncols=len(names), fontsize=10, markerscale=1.6
        )
    said = "; ".join(
        f"{name} gives back {100 * share:.0f} % of the teacher's variance"
        for name, share in shares.items()
    )
    return picture.draw(
        f"The teacher's vectors and the student's, mapped, of the same {size[0]} examples in the "
        f"teacher's first two principal directions, topics {', '.join(topics)}. {said}."
    )


def explained(teacher: Tensor, mapped: Tensor) -> float:
    """The share of the variance of the teacher's vectors (n, width) that mapped ones give back."""
    teacher, mapped = teacher.detach().double(), mapped.detach().double()
    left = (teacher - mapped).square().sum() / (teacher - teacher.mean(0)).square().sum()
    return 1 - left.item()


def _check(mapped: object, classes: Sequence[str], topics: Sequence[str]) -> None:
    if not isinstance(mapped, Mapping) or not 1 <= len(mapped) <= MOST:
        raise Refusal(f"mapping: expected a dict of 1 to {MOST} clouds by name.")
    if not 1 <= len(topics) <= len(PALETTE) or not set(topics) <= set(classes):
        raise Refusal(
            f"topics {list(topics)}: expected 1 to {len(PALETTE)} of the classes "
            f"{', '.join(classes)}."
        )
