"""What changes a batch at each step while a student trains: a function of one's own, or MixUp."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kdlab.errors import Refusal, number


@dataclass(frozen=True)
class MixUp:
    """Mixtures of two examples and of their labels, made anew at each step: `augment=MixUp()`.

    x = w · x_i + (1 − w) · x_j,  y = w · y_i + (1 − w) · y_j,  w from Beta(strength, strength)

    strength: > 0; small mixes little (0.2: most w near 0 or 1), 1 mixes evenly, large halves all.

    Partners come from a permutation of the batch. Each row draws its own w (the paper's code one a
    batch), so that every batch holds all degrees of mixture and a step is less of a lottery. Drawn
    on the CPU from torch's random state, which a run's seed fixes. A mixture with an example that
    has no label has none (a row of zeros). `distill` asks the teacher about the very mixture; a
    record knows nothing of it, and is refused.
    (Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization"; with a teacher that sees the
    mixture: Beyer et al. 2022, "Knowledge Distillation: A Good Teacher Is Patient and Consistent".)
    """

    strength: float = 1.0

    def __post_init__(self):
        if not 0 < number(self.strength) < math.inf:
            raise Refusal(
                f"strength={self.strength!r}: expected a number above 0; without MixUp, leave out "
                "augment."
            )

    @property
    def name(self) -> str:
        """What a table calls it, so that an axis of several strengths can be read."""
        return f"MixUp({self.strength:g})"

    def __call__(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """inputs (batch, ...), labels (batch, classes) of probabilities; gives both, mixed."""
        if not inputs.is_floating_point():
            raise Refusal(
                f"MixUp mixes numbers: inputs of type {inputs.dtype}, such as words by number, "
                "have no mixture."
            )
        ends = torch.full((len(inputs),), float(self.strength))
        weights = torch.distributions.Beta(ends, ends).sample().to(inputs)
        partner = torch.randperm(len(inputs)).to(inputs.device)

        def mix(values: Tensor) -> Tensor:
            own = weights.reshape(-1, *[1] * (values.ndim - 1)).to(values.dtype)
            return own * values + (1 - own) * values[partner]

        known = labels.sum(1, keepdim=True) > 0
        return mix(inputs), mix(labels) * (known & known[partner])


def augmented(
    batch: Tensor, labels: Tensor, augment: Callable, classes: int
) -> tuple[Tensor, Tensor]:
    """A batch as `augment` changes it, and its labels, (batch, classes) if it changes them too."""
    size, said = len(batch), labels
    if takes_labels(augment):
        shares = (labels[:, None] == torch.arange(classes, device=labels.device)).float()
        given = augment(batch, shares)
        if not isinstance(given, tuple) or len(given) != 2:
            raise Refusal(
                f"augment takes inputs and labels, and gave a {type(given).__name__}: expected a "
                "pair of both."
            )
        batch, said = given
        if not isinstance(said, Tensor) or said.shape != shares.shape:
            what = tuple(said.shape) if isinstance(said, Tensor) else type(said).__name__
            raise Refusal(
                f"augment gave labels of {what}: expected a tensor of probabilities, a row for "
                f"each of {size} examples and a column for each of {classes} classes."
            )
    else:
        batch = augment(batch)
    if not isinstance(batch, Tensor) or len(batch) != size:
        raise Refusal(
            f"augment gave a {type(batch).__name__} for a batch of {size}: expected a "
            "tensor with as many rows."
        )
    return batch, said


def takes_labels(augment: Callable) -> bool:
    """Whether a function of a batch asks for its labels too; False where Python cannot tell."""
    try:
        asked = inspect.signature(augment)
    except (TypeError, ValueError):  # no signature, as some built-in functions
        return False
    try:
        asked.bind(None)
    except TypeError:
        return True
    return False
