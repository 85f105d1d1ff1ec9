"""Lesson 2: softmax at a temperature, and what goes wrong there."""

import torch
from torch import Tensor

from kdlab.check.cases import drawn
from kdlab.check.core import Case, Exercise, Mistake
from kdlab.check.steps import divided, not_softened, same, softmax, times

LESSON = "02"
SECTION = "What softening shows"


def our_tempered_softmax(logits: Tensor, temperature: float) -> Tensor:
    """Softmax of logits / T along the classes: p_c = exp(z_c / T) / Σ_k exp(z_k / T).

    logits: (batch, classes).  temperature: > 0.  Returns (batch, classes).
    The largest exponent of each row is 0, so that nothing overflows.
    """
    scaled = logits / temperature
    powers = (scaled - scaled.amax(1, keepdim=True)).exp()
    return powers / powers.sum(1, keepdim=True)


def _tempered_softmax_in_steps(
    logits: Tensor,
    temperature: float,
    soften=divided,
    shift=lambda scaled, logits: scaled - scaled.amax(1, keepdim=True),
    total=lambda powers: powers.sum(1, keepdim=True),
    share=lambda shifted, total: shifted.exp() / total,
    cool=lambda probabilities, temperature: probabilities,
    end=same,
) -> Tensor:
    shifted = shift(soften(logits, temperature), logits)
    return end(cool(share(shifted, total(shifted.exp())), temperature))


def _rooted(probabilities: Tensor, temperature: float) -> Tensor:
    roots = probabilities ** (1 / temperature)
    return roots / roots.sum(1, keepdim=True)


tempered_softmax = Exercise(
    lesson=LESSON,
    name="tempered_softmax",
    takes=("logits", "temperature"),
    task="softmax of logits / temperature along the classes, both (batch, classes), for logits of "
    "any size",
    reference=our_tempered_softmax,
    in_steps=_tempered_softmax_in_steps,
    cases=(
        Case("one example at T = 1", (torch.tensor([[2.0, 1.0, 0.0]]), 1.0)),
        Case("two examples at T = 4", (torch.tensor([[4.0, 1.0, 0.0], [0.0, -2.0, 3.0]]), 4.0)),
        Case("a temperature below 1", (drawn(1, 5, 2), 0.5)),
        Case(
            "logits as large as 1,000, at T = 2",
            (torch.tensor([[1000.0, 999.0, 0.0], [1.0, 1000.0, 1000.0]]), 2.0),
        ),
        Case(
            "one example with logits near 1,000, one with logits near −1,000",
            (torch.tensor([[1000.0, 998.0], [-1000.0, -999.0], [0.0, 1.0]]), 1.0),
        ),
        Case(
            "logits far apart, and a temperature of 100",
            (torch.tensor([[300.0, 100.0, 0.0, -200.0], [0.0, 250.0, 50.0, -50.0]]), 100.0),
        ),
        Case("more classes than examples", (drawn(2, 4, 6) * 3, 8.0)),
    ),
    mistakes=(
        Mistake(
            "overflow",
            "Right for small logits, but e to the power of 1,000 is more than a float32 can hold: "
            "it becomes inf, and inf / inf is not a number. Subtract each row's largest value "
            "first. That changes no probability, since only differences between logits count.",
            SECTION,
            {"shift": lambda scaled, logits: scaled},
        ),
        Mistake(
            "one-maximum-for-all",
            "You subtract the largest value of the whole batch. A row that lies far below it "
            "becomes e to the power of −2,000, which is 0 in every class, and 0 / 0 is not a "
            "number. Each row needs its own: .amax(1, keepdim=True).",
            SECTION,
            {"shift": lambda scaled, logits: scaled - scaled.max()},
            {"shift": lambda scaled, logits: scaled - logits.max()},
            {"shift": lambda scaled, logits: scaled - scaled.amax(0, keepdim=True)},
        ),
        Mistake(
            "maximum-of-the-unsoftened",
            "You subtract the largest logit from logits that are divided by T already. Where T is "
            "not 1, it is not their largest: all exponents may lie far below 0, and 0 / 0 is not "
            "a number. Divide first, then look for the largest.",
            SECTION,
            {"shift": lambda scaled, logits: scaled - logits.amax(1, keepdim=True)},
        ),
        Mistake(
            "multiplied",
            "You multiply the logits by T, which makes a larger T sharper. Divide: the larger T, "
            "the smaller the differences between the logits, and the softer the answer.",
            SECTION,
            {"soften": times},
        ),
        Mistake(
            "temperature-ignored",
            "Right at T = 1, but your answer is the same at every T. Divide the logits by T before "
            "the softmax.",
            SECTION,
            {"soften": not_softened},
        ),
        Mistake(
            "probabilities-divided",
            "You divide the probabilities by T, not the logits. The shares stay as they were, and "
            "a row adds up to 1 / T. Divide the logits, before the softmax.",
            SECTION,
            {"soften": not_softened, "cool": divided},
        ),
        Mistake(
            "softened-too-late",
            "You soften the probabilities, with p to the power of 1 / T. On paper that is the "
            "same. On a machine, a p below 1e-45 is 0 already, and no root brings it back. "
            "Divide the logits before the softmax.",
            SECTION,
            {"soften": not_softened, "cool": _rooted},
            {
                "soften": not_softened,
                "cool": lambda p, temperature: (p.log() / temperature).softmax(1),
            },
        ),
        Mistake(
            "softmax-twice",
            "You soften the probabilities of a first softmax. They lie between 0 and 1, so a "
            "second softmax makes them nearly equal. Soften the logits.",
            SECTION,
            {
                "soften": not_softened,
                "cool": lambda p, temperature: (p / temperature).softmax(1),
            },
            {"end": softmax},
        ),
        Mistake(
            "temperature-squared",
            "You divide the logits by T². The T² of this lesson belongs to the loss; the logits "
            "are divided by T.",
            SECTION,
            {"soften": lambda logits, temperature: logits / temperature**2},
            {"soften": lambda logits, temperature: logits / temperature**0.5},
        ),
        Mistake(
            "wrong-axis",
            "Your softmax runs over axis 0, the examples, so the pictures of a batch share one "
            "whole. It has to run over axis 1, the classes.",
            SECTION,
            {
                "shift": lambda scaled, logits: scaled - scaled.amax(0, keepdim=True),
                "total": lambda powers: powers.sum(0, keepdim=True),
            },
            {"total": lambda powers: powers.sum(0, keepdim=True)},
        ),
        Mistake(
            "one-total-for-all",
            "You divide by the sum over the whole batch. Then only the batch as a whole adds up "
            "to 1. Every row needs its own sum: .sum(1, keepdim=True).",
            SECTION,
            {"total": torch.sum},
            {
                "shift": lambda scaled, logits: scaled - scaled.max(),
                "total": torch.sum,
            },
        ),
        Mistake(
            "not-normalised",
            "The division is missing: a row does not add up to 1. Divide the powers of e by their "
            "sum over the classes.",
            SECTION,
            {"share": lambda shifted, total: shifted.exp()},
            {
                "shift": lambda scaled, logits: scaled,
                "share": lambda shifted, total: shifted.exp(),
            },
        ),
        Mistake(
            "logarithm",
            "You give the logarithms of the probabilities. They are useful inside a loss, but "
            "here the probabilities themselves are asked for.",
            SECTION,
            {"end": torch.log},
            {
                "share": lambda shifted, total: shifted - total.log(),
                "cool": lambda logs, temperature: logs,  # a softmax of these would be right again
                "end": same,
            },
        ),
    ),
)
