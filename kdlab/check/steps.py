"""Steps that several exercises have in their solutions or in their mistakes."""

import torch.nn.functional as F
from torch import Tensor


def same(value):
    """The step left out: what comes in goes on as it is."""
    return value


def nothing(*_) -> tuple:
    """The step left out, whatever it is given; an empty list of what it would have found."""
    return ()


def softmax(rows: Tensor) -> Tensor:
    """Softmax along the classes, (batch, classes)."""
    return rows.softmax(1)


def most_likely(rows: Tensor) -> Tensor:
    """The class that each row finds most likely, as a row with a single one: (batch, classes)."""
    return F.one_hot(rows.argmax(1), rows.shape[1]).to(rows)


def divided(logits: Tensor, temperature: float) -> Tensor:
    """Logits softened by a temperature."""
    return logits / temperature


def times(logits: Tensor, temperature: float) -> Tensor:
    """Logits sharpened, where they should be softened."""
    return logits * temperature


def not_softened(logits: Tensor, temperature: float) -> Tensor:
    """Logits as they are, whatever the temperature."""
    return logits
