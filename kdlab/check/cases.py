"""What the cases of several exercises are made of."""

import torch
from torch import Tensor


def drawn(seed: int, *shape: int) -> Tensor:
    """Numbers from a normal distribution; the same on every machine."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def integers(*values: int | list[int]) -> Tensor:
    """Whole numbers, such as the labels of a batch; from lists, the rows of a table."""
    return torch.tensor(values)
