"""Lesson 4: a projector that makes shapes alike, and what goes wrong there."""

import torch
from torch import Tensor

from kdlab.check.cases import drawn
from kdlab.check.core import Case, Exercise, Mistake
from kdlab.check.steps import same

LESSON = "04"
SECTION = "Making shapes alike"


def our_project(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A 1x1 convolution: at each place, the channels are mixed by the same matrix.

    y[b, o, h, w] = bias[o] + Σ_c weight[o, c] · features[b, c, h, w]

    features: (batch, channels, height, width).  weight: (new, channels).  bias: (new,).
    Returns (batch, new, height, width).
    """
    return torch.einsum("oc,bchw->bohw", weight, features) + bias[:, None, None]


def _project_in_steps(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    turn=same,
    mix=lambda weight, features: torch.einsum("oc,bchw->bohw", weight, features),
    average=lambda mixed, channels: mixed,
    add=lambda mixed, bias: mixed + bias[:, None, None],
    end=same,
    layout=same,
) -> Tensor:
    mixed = average(mix(turn(weight), features), features.shape[1])
    return layout(end(add(mixed, bias)))


def _read_as_rows(weight: Tensor, features: Tensor) -> Tensor:
    """The numbers of the features read as if the channels stood last, and mixed."""
    batch, channels, *size = features.shape
    return features.reshape(batch, *size, channels) @ weight.T


project = Exercise(
    lesson=LESSON,
    name="project",
    takes=("features", "weight", "bias"),
    task="at each place of features (batch, channels, height, width), mix the channels by weight "
    "(new, channels) and add bias (new,) -> (batch, new, height, width)",
    reference=our_project,
    in_steps=_project_in_steps,
    trains=True,
    cases=(
        Case(
            "one place, two channels into three",
            (
                torch.tensor([[[[1.0]], [[2.0]]]]),
                torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]]),
                torch.tensor([0.0, 0.5, 1.0]),
            ),
        ),
        Case(
            "two places, two channels into two",
            (
                torch.tensor([[[[1.0, 2.0]], [[3.0, 0.0]]]]),
                torch.tensor([[1.0, 2.0], [-1.0, 0.5]]),
                torch.tensor([0.5, -0.5]),
            ),
        ),
        # here and below the width is the number of new channels: a bias that is added along the
        # width does not stop with an error then, and can be told from others by its values
        Case("more channels", (drawn(11, 2, 2, 2, 3), drawn(12, 3, 2), drawn(13, 3))),
        Case("fewer channels", (drawn(14, 3, 4, 1, 2), drawn(15, 2, 4), drawn(16, 2))),
        Case("as many channels", (drawn(17, 2, 3, 4, 3), drawn(18, 3, 3), drawn(19, 3))),
    ),
    mistakes=(
        Mistake(
            "bias-missing",
            "The bias is missing: each new channel gets its own constant, bias[o], at every place.",
            SECTION,
            {"add": lambda mixed, bias: mixed},
        ),
        Mistake(
            "bias-along-width",
            "The bias is added along the width. A tensor of shape (new,) is lined up with the last "
            "axis; bias[:, None, None] lines it up with the channels.",
            SECTION,
            {"add": lambda mixed, bias: mixed + bias},
        ),
        Mistake(
            "bias-subtracted",
            "The bias is subtracted. It is added: y = weight · features + bias.",
            SECTION,
            {"add": lambda mixed, bias: mixed - bias[:, None, None]},
        ),
        Mistake(
            "reshaped",
            "You reshape the weights where you mean to transpose them. reshape and view only read "
            "the same numbers in other rows; weight.T swaps the axes.",
            SECTION,
            {"turn": lambda weight: weight.reshape(weight.shape[1], weight.shape[0]).T},
        ),
        Mistake(
            "places-as-channels",
            "You reshape the features where you mean to move an axis: numbers of different places "
            "are mixed. permute(0, 2, 3, 1) moves the channels to the end, and a second permute "
            "brings them back.",
            SECTION,
            {"mix": lambda weight, features: _read_as_rows(weight, features).permute(0, 3, 1, 2)},
            {
                "mix": lambda weight, features: _read_as_rows(weight, features).reshape(
                    len(features), len(weight), *features.shape[2:]
                )
            },
        ),
        Mistake(
            "mean-over-channels",
            "You take the mean over the channels; a convolution takes their sum. With many "
            "channels, the mean makes what comes out small.",
            SECTION,
            {"average": lambda mixed, channels: mixed / channels},
        ),
        Mistake(
            "channels-last",
            "The channels stand last, (batch, height, width, new). A linear layer leaves them "
            "there; maps in PyTorch have them second: permute(0, 3, 1, 2).",
            SECTION,
            {"layout": lambda mapped: mapped.permute(0, 2, 3, 1)},
        ),
        Mistake(
            "channels-first",
            "The channels stand before the batch, (new, batch, height, width). Maps have the batch "
            "first: transpose(0, 1).",
            SECTION,
            {"layout": lambda mapped: mapped.transpose(0, 1)},
        ),
        Mistake(
            "places-lost",
            "You average over the places, so that one vector is left of each map. A projector "
            "keeps the places: the teacher's map is compared place by place.",
            SECTION,
            {"layout": lambda mapped: mapped.mean((2, 3))},
        ),
        Mistake(
            "flattened",
            "The numbers are right, but flattened. Keep the shape of a map, "
            "(batch, new, height, width).",
            SECTION,
            {"layout": lambda mapped: mapped.flatten(1)},
            {"layout": lambda mapped: mapped.flatten(2)},
        ),
        Mistake(
            "relu-added",
            "You cut off what is negative. A 1x1 convolution is linear; with a ReLU the student's "
            "channels could only ever add to a feature where the sum is positive.",
            SECTION,
            {"end": torch.relu},
        ),
    ),
)
