"""What the two exercises share that count a model: its parameters, and its bytes."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from kdlab.check.core import Case

# biases are told by their name, or by their one axis (then batch norm loses its weights as well)
NO_BIASES = (
    {"kept": lambda name, tensor: not name.endswith("bias")},
    {"kept": lambda name, tensor: tensor.dim() > 1},
)
NO_FROZEN = {"kept": lambda name, tensor: tensor.requires_grad}


def every(name: str, tensor: Tensor) -> bool:
    """The step that keeps tensors, where it keeps all of them."""
    return True


def built(models: dict[str, Callable]) -> Callable:
    """Hands a function a new model: the cases hold its number."""

    def play(f: Callable) -> Callable:
        def played(number: int) -> object:
            with torch.random.fork_rng(devices=[]):
                model = list(models.values())[number - 1]()
            return f(model)

        return played

    return play


def cases_of(models: dict[str, Callable]) -> tuple[Case, ...]:
    """A case for each model, named by it."""
    return tuple(Case(name, (number,)) for number, name in enumerate(models, 1))


def partly_frozen() -> nn.Module:
    """Two layers, the first of them frozen."""
    return nn.Sequential(nn.Linear(2, 3).requires_grad_(False), nn.Linear(3, 2))


def with_batch_norm() -> nn.Module:
    """A convolution and its batch norm, which has buffers."""
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
