"""Lesson 5: how many parameters a model has, and what goes wrong there."""

from torch import Tensor, nn

from kdlab.check.core import Exercise, Mistake
from kdlab.check.counting import (
    NO_BIASES,
    NO_FROZEN,
    built,
    cases_of,
    every,
    partly_frozen,
    with_batch_norm,
)
from kdlab.check.steps import nothing

LESSON = "05"
SECTION = "What a model costs"


def our_count_parameters(model: nn.Module) -> int:
    """How many numbers the parameters of a model hold, each counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


def _count_in_steps(
    model: nn.Module,
    listed=nn.Module.named_parameters,
    kept=every,
    also=nothing,
    count=Tensor.numel,
) -> int:
    parameters = [tensor for name, tensor in listed(model) if kept(name, tensor)]
    return sum(count(tensor) for tensor in (*parameters, *also(model)))


def _tied() -> nn.Module:
    words, answer = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
    answer.weight = words.weight
    return nn.Sequential(words, answer)


COUNTED = {
    "nn.Linear(4, 3)": lambda: nn.Linear(4, 3),
    "a block in a block": lambda: nn.Sequential(nn.Sequential(nn.Linear(2, 3)), nn.Linear(3, 2)),
    "nn.Conv2d(1, 2, 3) and nn.BatchNorm2d(2)": with_batch_norm,
    "nn.Linear(2, 3), frozen, and nn.Linear(3, 2)": partly_frozen,
    "nn.Embedding(5, 3) and a linear layer that share one weight": _tied,
}

count_parameters = Exercise(
    lesson=LESSON,
    name="count_parameters",
    takes=("model",),
    task="how many numbers the parameters of a model hold, each counted once",
    reference=our_count_parameters,
    in_steps=_count_in_steps,
    play=built(COUNTED),
    cases=cases_of(COUNTED),
    mistakes=(
        Mistake(
            "biases-forgotten",
            "The biases are not counted. They are few, but learned like the weights, and stored "
            "beside them. model.parameters() gives both.",
            SECTION,
            *NO_BIASES,
        ),
        Mistake(
            "buffers-counted",
            "You count buffers too, such as batch norm's running mean and variance. They are "
            "stored, but nobody learns them: they are bytes of the file, and not parameters.",
            SECTION,
            {"also": nn.Module.buffers},
        ),
        Mistake(
            "tensors-counted",
            "You count tensors, not the numbers in them: a weight of 4 · 3 numbers is one tensor. "
            "Add up parameter.numel().",
            SECTION,
            {"count": lambda tensor: 1},
        ),
        Mistake(
            "tied-twice",
            "A weight that two layers share is counted twice. It has two names, and is one set of "
            "numbers: model.parameters() gives it once, names and layers give it twice.",
            SECTION,
            {"listed": lambda model: model.named_parameters(remove_duplicate=False)},
        ),
        Mistake(
            "every-level",
            "You count a layer once for each block that it stands in. model.modules() gives the "
            "blocks and the layers within; model.parameters() alone goes through all of them.",
            SECTION,
            {"listed": lambda m: [p for part in m.modules() for p in part.named_parameters()]},
        ),
        Mistake(
            "frozen-left-out",
            "Frozen parameters are left out. They do not learn any more, but who runs the model "
            "needs them all the same.",
            SECTION,
            NO_FROZEN,
        ),
        Mistake(
            "shapes-added",
            "You add up the axes of each weight: 4 + 3 for one of shape (4, 3). It holds 4 · 3 "
            "numbers: multiply them, or take parameter.numel().",
            SECTION,
            {"count": lambda tensor: sum(tensor.shape)},
        ),
        Mistake(
            "bytes-given",
            "You give bytes. That is the next question; here the numbers are counted, whatever "
            "the number of bytes in which each is stored.",
            SECTION,
            {"count": lambda tensor: tensor.nbytes},
        ),
    ),
)
