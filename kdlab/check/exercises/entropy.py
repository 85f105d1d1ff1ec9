"""Lesson 1: the entropy of each row of probabilities, and what goes wrong there."""

import torch
import torch.nn.functional as F
from torch import Tensor

from kdlab.check.cases import drawn
from kdlab.check.core import Case, Exercise, Mistake
from kdlab.check.steps import same, softmax

LESSON = "01"
SECTION = "What entropy says"


def our_entropy(probabilities: Tensor) -> Tensor:
    """Entropy of each row in nats: H = −Σ_c p_c log p_c, where 0 · log 0 counts as 0.

    probabilities: (batch, classes).  Returns (batch,).
    """
    return -torch.xlogy(probabilities, probabilities).sum(1)


def _entropy_in_steps(
    probabilities: Tensor,
    prepare=same,
    log=torch.log,
    weigh=torch.mul,
    zeros=lambda terms: torch.where(terms.isnan(), 0, terms),
    over_classes=lambda terms: terms.sum(1),
    over_batch=same,
    sign=torch.neg,
) -> Tensor:
    p = prepare(probabilities)
    return sign(over_batch(over_classes(zeros(weigh(p, log(p))))))


entropy = Exercise(
    lesson=LESSON,
    name="entropy",
    takes=("probabilities",),
    task="the entropy of each row of probabilities (batch, classes), in nats -> (batch,)",
    reference=our_entropy,
    in_steps=_entropy_in_steps,
    cases=(
        Case("one example", (torch.tensor([[0.5, 0.25, 0.25]]),)),
        Case("two examples", (torch.tensor([[0.7, 0.2, 0.1], [0.4, 0.4, 0.2]]),)),
        Case(
            "probabilities that are exactly 0",
            (torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]),),
        ),
        Case("more examples than classes", (drawn(1, 5, 2).softmax(1),)),
        Case("more classes than examples", (drawn(2, 4, 6).softmax(1),)),
        Case(
            "very sure and very unsure",
            (torch.cat([drawn(3, 3, 10) * 9, drawn(4, 4, 10) / 9]).softmax(1),),
        ),
    ),
    mistakes=(
        Mistake(
            "log-of-zero",
            "Where a probability is exactly 0, the entropy becomes NaN: the logarithm of 0 is −∞, "
            "and 0 times −∞ is not a number. A class with probability 0 adds nothing to the sum: "
            "its term must count as 0. torch.xlogy(a, b) gives a · log b with just this rule.",
            SECTION,
            {"zeros": same},
        ),
        Mistake(
            "large-epsilon",
            "The number that you add inside the logarithm keeps it from seeing a zero, but it is "
            "so large that it changes the entropy. torch.xlogy(a, b) needs no such number.",
            SECTION,
            *({"log": lambda p, e=e: (p + e).log()} for e in (1e-4, 1e-3, 1e-2)),
        ),
        Mistake(
            "base-2",
            "The logarithm has base 2, so the entropy is in bits: 1.443 times as large as in nats. "
            "Nats come from the natural logarithm, torch.log.",
            SECTION,
            {"log": torch.log2},
        ),
        Mistake(
            "base-10",
            "The logarithm has base 10, which makes the entropy 2.303 times too small. "
            "Nats come from the natural logarithm, torch.log.",
            SECTION,
            {"log": torch.log10},
        ),
        Mistake(
            "minus-missing",
            "The minus sign is missing. A probability is at most 1, so its logarithm is at most 0; "
            "the minus makes the entropy a number that is never below 0.",
            SECTION,
            {"sign": same},
        ),
        Mistake(
            "mean-over-classes",
            "You take the mean over the classes; entropy is their sum. The mean makes it smaller, "
            "by a factor as large as the number of classes.",
            SECTION,
            {"over_classes": lambda terms: terms.mean(1)},
        ),
        Mistake(
            "one-number",
            "You give one number for the whole batch. Each example has its own entropy: keep the "
            "shape (batch,), and add up over the classes only. The lesson compares pictures.",
            SECTION,
            {"over_batch": torch.sum},
            {"over_batch": torch.mean},
        ),
        Mistake(
            "wrong-axis",
            "You add up over axis 0, the examples. Add up over axis 1, the classes, so that each "
            "example gets its own entropy.",
            SECTION,
            {"over_classes": lambda terms: terms.sum(0)},
        ),
        Mistake(
            "softmax-first",
            "You apply softmax to what are probabilities already. A second softmax makes them "
            "nearly equal, so that every example looks unsure. Use the probabilities as they are.",
            SECTION,
            {"prepare": softmax},
            {"log": lambda p: F.log_softmax(p, 1)},
        ),
        Mistake(
            "weights-missing",
            "You add up the logarithms alone. Each one has to be weighed with its probability, "
            "p · log p: a class that hardly ever comes should hardly count.",
            SECTION,
            {"weigh": lambda p, log_p: log_p},
        ),
        Mistake(
            "log-missing",
            "The logarithm is missing: you add up p · p, and entropy adds up p · log p.",
            SECTION,
            {"log": same},
        ),
        Mistake(
            "normalised",
            "You divide by the logarithm of the number of classes. That is the normalised entropy, "
            "a share of the largest possible one. Here we want nats, without the division.",
            SECTION,
            {"over_classes": lambda terms: terms.sum(1) / torch.tensor(terms.shape[1]).log()},
        ),
    ),
)
