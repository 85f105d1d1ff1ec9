"""Lesson 4: a map of where a layer looks, and what goes wrong there."""

import torch
import torch.nn.functional as F
from torch import Tensor

from kdlab.check.cases import drawn
from kdlab.check.core import Case, Exercise, Mistake
from kdlab.check.steps import same, softmax

LESSON = "04"
SECTION = "Where do they look?"


def our_attention_map(features: Tensor) -> Tensor:
    """Where a layer looks: squared activations, averaged over channels, scaled to length 1.

    features: (batch, channels, height, width).  Returns (batch, height · width).
    (Zagoruyko & Komodakis 2017, section 3.1, with p = 2.)
    """
    return F.normalize(features.square().mean(1).flatten(1), dim=1)


def _attention_map_in_steps(
    features: Tensor,
    power=torch.square,
    over_channels=lambda powers: powers.mean(1),
    end=same,
    flatten=lambda maps: maps.flatten(1),
    scale=lambda rows: F.normalize(rows, dim=1),
) -> Tensor:
    return scale(flatten(end(over_channels(power(features)))))


def _shared(total) -> tuple[dict, ...]:
    """Rows divided by a total: as it is (NaN where it is 0), and kept from 0 in two ways."""
    return tuple(
        {"scale": lambda rows, guard=guard: rows / guard(total(rows))}
        for guard in (same, lambda total: total + 1e-8, lambda total: total.clamp(min=1e-12))
    )


attention_map = Exercise(
    lesson=LESSON,
    name="attention_map",
    takes=("features",),
    task="the attention map of features (batch, channels, height, width): squares, their mean over "
    "the channels, flattened, each row scaled to length 1 -> (batch, height · width)",
    reference=our_attention_map,
    in_steps=_attention_map_in_steps,
    trains=True,
    cases=(
        Case("one picture, two places", (torch.tensor([[[[1.0, 2.0]], [[2.0, 0.0]]]]),)),
        Case(
            "negative activations",
            (torch.tensor([[[[1.0, -2.0], [3.0, 0.0]], [[-1.0, 1.0], [-3.0, 2.0]]]]),),
        ),
        Case("several pictures", (drawn(21, 3, 2, 2, 2),)),
        Case("higher than wide", (drawn(22, 2, 4, 3, 2),)),
        Case(
            "a picture at which no channel looks",
            (torch.cat([drawn(23, 2, 3, 2, 2).relu(), torch.zeros(1, 3, 2, 2)]),),
        ),
    ),
    mistakes=(
        Mistake(
            "nan-at-zero",
            "Where no channel looks anywhere, you divide 0 by 0, and get NaN. It happens: a ReLU "
            "may be silent for a whole picture. F.normalize divides by a tiny number then.",
            SECTION,
            {"scale": lambda rows: rows / rows.norm(dim=1, keepdim=True)},
        ),
        Mistake(
            "not-scaled",
            "The maps are not scaled. A layer with large activations would look harder, not "
            "elsewhere. Divide each row by its length: F.normalize(rows, dim=1).",
            SECTION,
            {"scale": same},
        ),
        Mistake(
            "scaled-to-sum-1",
            "Each row is scaled to sum 1. Here its length shall be 1, the root of the sum of its "
            "squares: F.normalize(rows, dim=1), whose p is 2 if you say nothing.",
            SECTION,
            *_shared(lambda rows: rows.sum(1, keepdim=True)),
        ),
        Mistake(
            "scaled-by-largest",
            "Each row is divided by its largest value. That is good for looking at maps; here the "
            "length of each row shall be 1.",
            SECTION,
            *_shared(lambda rows: rows.amax(1, keepdim=True)),
        ),
        Mistake(
            "divided-by-squares",
            "You divide by the sum of the squares and not by its root, so the rows do not have "
            "length 1.",
            SECTION,
            *_shared(lambda rows: rows.square().sum(1, keepdim=True)),
        ),
        Mistake(
            "scaled-over-batch",
            "You scale over axis 0, the pictures of the batch. What a picture's map is would then "
            "depend on its neighbours. Scale each row by itself: dim=1.",
            SECTION,
            {"scale": lambda rows: F.normalize(rows, dim=0)},
            {"scale": lambda rows: rows / rows.norm()},
            {"scale": lambda rows: rows / rows.norm(dim=0)},
        ),
        Mistake(
            "scaled-before-flatten",
            "You scale the maps before they are flattened, so that each column, or each row, of a "
            "map gets length 1, and not the whole map. Flatten first.",
            SECTION,
            {"flatten": lambda maps: F.normalize(maps, dim=1).flatten(1), "scale": same},
            {"flatten": lambda maps: F.normalize(maps, dim=-1).flatten(1), "scale": same},
        ),
        Mistake(
            "softmax",
            "You scale with a softmax, which makes every place count a little and has no zero. "
            "Divide by the length instead.",
            SECTION,
            {"scale": softmax},
        ),
        Mistake(
            "absolute-values",
            "You average absolute values. The squares are missing: with them, one strong channel "
            "counts more than many weak ones.",
            SECTION,
            {"power": torch.abs},
        ),
        Mistake(
            "square-missing",
            "The square is missing, so positive and negative activations cancel each other.",
            SECTION,
            {"power": same},
        ),
        Mistake(
            "squared-after-the-mean",
            "You average first and square afterwards. Square first: a channel that says −2 looks "
            "as hard as one that says 2, and the two must not cancel.",
            SECTION,
            {"power": same, "end": torch.square},
        ),
        Mistake(
            "rooted",
            "You take the root of the mean. That is another attention map, a flatter one; here the "
            "squares stay as they are.",
            SECTION,
            {"end": torch.sqrt},
        ),
        Mistake(
            "largest-channel",
            "You take the largest channel at each place; here it is the mean of all.",
            SECTION,
            {"over_channels": lambda powers: powers.amax(1)},
        ),
        Mistake(
            "over-places",
            "You average over the places, and keep one number a channel. An attention map is the "
            "other way round: it forgets which channel looks and keeps where.",
            SECTION,
            {"over_channels": lambda powers: powers.mean((2, 3))},
            {"over_channels": lambda powers: powers.flatten(2).sum(2)},
        ),
        Mistake(
            "over-batch",
            "You average over axis 0, the pictures. The channels are axis 1.",
            SECTION,
            {"over_channels": lambda powers: powers.mean(0)},
        ),
        Mistake(
            "not-flattened",
            "The numbers are right, but each map still has height and width. Flatten it, so that "
            "the shape is (batch, height · width).",
            SECTION,
            {
                "flatten": same,
                "scale": lambda maps: F.normalize(maps.flatten(1), dim=1).reshape(maps.shape),
            },
        ),
    ),
)
