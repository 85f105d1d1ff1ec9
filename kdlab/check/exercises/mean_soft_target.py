"""Lesson 1: the mean soft target of each class, and what goes wrong there."""

import torch
import torch.nn.functional as F
from torch import Tensor

from kdlab.check.cases import drawn
from kdlab.check.core import Case, Exercise, Mistake
from kdlab.check.steps import most_likely, same, softmax

LESSON = "01"
SECTION = "A map of classes"


def our_mean_soft_target(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Row c is the mean of the probabilities of the examples labelled c.

    probabilities: (batch, classes).  labels: (batch,), each class at least once.
    Returns (classes, classes).
    """
    classes = probabilities.shape[1]
    return torch.stack([probabilities[labels == c].mean(0) for c in range(classes)])


def _by_label(probabilities: Tensor, labels: Tensor) -> Tensor:
    return F.one_hot(labels, probabilities.shape[1]).to(probabilities)


def _average(member: Tensor, probabilities: Tensor) -> Tensor:
    return member.T @ probabilities / member.sum(0)[:, None]


def _mean_log(member: Tensor, probabilities: Tensor) -> Tensor:
    chosen = torch.where(member[:, :, None] > 0, probabilities.log()[:, None, :], 0)
    return chosen.sum(0) / member.sum(0)[:, None]


def _mean_soft_target_in_steps(
    probabilities: Tensor,
    labels: Tensor,
    prepare=same,
    groups=_by_label,  # (batch, classes): 1 where an example belongs to a row of the table
    average=_average,
    table=same,
) -> Tensor:
    return table(average(groups(probabilities, labels), prepare(probabilities)))


def _teacher_of(labels: Tensor, classes: int, seed: int) -> Tensor:
    """Probabilities of a teacher that names every class, and that often differs from the labels."""
    answers = torch.arange(len(labels)) % classes
    return (drawn(seed, len(labels), classes) + 4 * F.one_hot(answers, classes)).softmax(1)


_FEW, _MANY = torch.tensor([1, 0, 0, 1, 1]), torch.tensor([1, 0, 2, 3, 0, 1, 3, 2, 2, 2, 0])

mean_soft_target = Exercise(
    lesson=LESSON,
    name="mean_soft_target",
    takes=("probabilities", "labels"),
    task="row c: the mean of the probabilities (batch, classes) over the examples labelled c "
    "-> (classes, classes)",
    reference=our_mean_soft_target,
    in_steps=_mean_soft_target_in_steps,
    cases=(
        Case(
            "three examples of two classes",
            (torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), torch.tensor([0, 1, 1])),
        ),
        Case(
            "as many examples as classes",
            (
                torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6]]),
                torch.tensor([1, 2, 0]),
            ),
        ),
        Case(
            "probabilities that are exactly 0",
            (
                torch.tensor([[1, 0, 0], [0.5, 0.5, 0], [0, 0.8, 0.2], [0.1, 0, 0.9]]),
                torch.tensor([0, 1, 1, 2]),
            ),
        ),
        Case("many examples of two classes", (_teacher_of(_FEW, 2, seed=9), _FEW)),
        Case("many examples of four classes", (_teacher_of(_MANY, 4, seed=10), _MANY)),
    ),
    mistakes=(
        Mistake(
            "sum",
            "You add up the probabilities of a class; take their mean. Otherwise a class with more "
            "examples gets larger numbers, and rows no longer add up to 1.",
            SECTION,
            {"average": lambda member, p: member.T @ p},
        ),
        Mistake(
            "grouped-by-answer",
            "You average over the examples of the wrong class: those that the teacher *calls* c. "
            "Row c is about the examples *labelled* c, also where the teacher errs. Its errors are "
            "part of the map.",
            SECTION,
            {"groups": lambda p, labels: most_likely(p)},
        ),
        Mistake(
            "transposed",
            "Rows and columns have changed places. Row c describes the examples labelled c, so "
            "each row adds up to 1.",
            SECTION,
            {"table": torch.t},
        ),
        Mistake(
            "overall-mean",
            "Every row is the mean over all examples. For row c take only the examples labelled c.",
            SECTION,
            {"groups": lambda p, labels: torch.ones_like(p)},
        ),
        Mistake(
            "columns-normalised",
            "You divide so that the columns add up to 1. It is the rows that are distributions: "
            "divide each row by the number of examples of its class.",
            SECTION,
            {"table": lambda table: table / table.sum(0)},
            {"average": lambda member, p: member.T @ p / p.sum(0)},
        ),
        Mistake(
            "counts-on-columns",
            "The division runs along the wrong axis: column c is divided by the count of class c. "
            "Counts of shape (classes, 1) divide the rows: counts[:, None].",
            SECTION,
            {"average": lambda member, p: member.T @ p / member.sum(0)},
        ),
        Mistake(
            "geometric-mean",
            "You average the logarithms (or logits) and go back with exp or softmax. That is a "
            "geometric mean. The mean soft target is the plain mean of the probabilities.",
            SECTION,
            {"average": lambda member, p: _mean_log(member, p).exp()},
            {"average": lambda member, p: softmax(_mean_log(member, p))},
        ),
        Mistake(
            "divided-by-all",
            "You divide by the number of all examples. Divide row c by the number of examples "
            "labelled c; then each row adds up to 1.",
            SECTION,
            {"average": lambda member, p: member.T @ p / len(p)},
        ),
        Mistake(
            "softmax-first",
            "You apply softmax to what are probabilities already. A second softmax makes them "
            "nearly equal, and the map loses its pattern. Use the probabilities as they are.",
            SECTION,
            {"prepare": softmax},
            {"table": softmax},
        ),
        Mistake(
            "answers-counted",
            "You count how often the teacher names each class. That is a confusion matrix. It "
            "drops the small probabilities: take the mean of the probabilities themselves.",
            SECTION,
            {"prepare": most_likely},
        ),
    ),
)
