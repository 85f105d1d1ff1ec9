"""Lesson 6: distillation from a record, and what goes wrong there."""

import torch
from torch import Tensor

from kdlab import losses
from kdlab.check.cases import drawn
from kdlab.check.core import Case, Exercise, Mistake
from kdlab.check.steps import divided, most_likely, not_softened, softmax

LESSON = "06"
SECTION = "A teacher who is not there"


def our_recorded_kd(
    student_logits: Tensor,
    indices: Tensor,
    recorded: Tensor,
    answers: Tensor,
    temperature: float,
) -> Tensor:
    """The soft-target loss, with the teacher's answers found by the examples' numbers.

    L = T² · mean of KL(teacher_T || student_T)

    student_logits: (batch, classes).  indices: (batch,), the numbers of its examples.
    recorded: (n,), the numbers of the recorded examples, in any order, `answers` (n, classes) their
    logits in the same order.
    """
    rows = (indices[:, None] == recorded).int().argmax(1)
    return losses.soft_target_kl(student_logits, answers[rows], temperature)


def _recorded_kd_in_steps(
    student_logits: Tensor,
    indices: Tensor,
    recorded: Tensor,
    answers: Tensor,
    temperature: float,
    find=lambda indices, recorded: (indices[:, None] == recorded).int().argmax(1),
    soften=divided,
    aims=softmax,
    says=lambda softened: softened.log_softmax(1),
    compare=lambda aims, says: (torch.xlogy(aims, aims) - aims * says).sum(1),
    average=torch.mean,
    factor=lambda temperature: temperature**2,
) -> Tensor:
    said = answers[find(indices, recorded)]
    aimed = aims(soften(said, temperature))
    gaps = compare(aimed, says(soften(student_logits, temperature)))
    return factor(temperature) * average(gaps)


def _backwards(aims: Tensor, says: Tensor) -> Tensor:
    """KL(student || teacher)."""
    return (says.exp() * (says - aims.log())).sum(1)


def _record(seed: int, batch: tuple[int, ...], order: tuple[int, ...], temperature: float):
    """A batch, and a record of as many examples as there are numbers, in that order."""
    student, teacher = drawn(seed, len(batch), 4), 2 * drawn(seed + 1, len(order), 4)
    return student, torch.tensor(batch), torch.tensor(order), teacher, temperature


recorded_kd = Exercise(
    lesson=LESSON,
    name="recorded_kd",
    takes=("student_logits", "indices", "recorded", "answers", "temperature"),
    task="find the teacher's answers to the examples of these numbers in a record that has them in "
    "another order, and compare softened answers: T² times the mean KL",
    reference=our_recorded_kd,
    in_steps=_recorded_kd_in_steps,
    trains=True,
    # the numbers go from 0 upwards without a gap, so that a number that is taken for a row does
    # not stop with an error; each order is no swap of pairs, so that it differs from its inverse
    cases=(
        Case("one example, T = 1", _record(51, (1,), (2, 0, 1), 1.0)),
        Case("two examples, T = 4", _record(53, (3, 1), (1, 2, 3, 0), 4.0)),
        Case("a larger record, T = 2", _record(55, (5, 0, 2, 4), (4, 2, 0, 5, 1, 3), 2.0)),
        Case("one example twice, T = 5", _record(57, (2, 2, 0), (1, 2, 3, 0), 5.0)),
    ),
    mistakes=(
        Mistake(
            "by-position",
            "You take the record's first answers, whatever the batch holds. Batches are shuffled, "
            "and a record has an order of its own: look up each example by its number.",
            SECTION,
            {"find": lambda indices, recorded: torch.arange(len(indices))},
        ),
        Mistake(
            "number-as-row",
            "You take an example's number for its row in the record. The record may be in any "
            "order: find the row where `recorded` holds the number.",
            SECTION,
            {"find": lambda indices, recorded: indices},
        ),
        Mistake(
            "looked-up-backwards",
            "You look up the wrong way round: recorded[indices] says which example stands in a "
            "row, and what you need is the row in which an example stands.",
            SECTION,
            {"find": lambda indices, recorded: recorded[indices]},
        ),
        Mistake(
            "hard-labels",
            "Only the teacher's first choice is left of its answer. Then it is a label like any "
            "other; what the other classes got is what there is to learn here.",
            SECTION,
            {"aims": most_likely},
        ),
        Mistake(
            "square-missing",
            "Right at T = 1; at a larger T the loss is too small. The factor T² is missing "
            "(lesson 2).",
            SECTION,
            {"factor": lambda temperature: 1},
        ),
        Mistake(
            "factor-not-squared",
            "Right at T = 1; at a larger T the loss is too small. The factor is T², and yours "
            "is T.",
            SECTION,
            {"factor": lambda temperature: temperature},
        ),
        Mistake(
            "square-twice",
            "Right at T = 1; at a larger T the loss is too large. kdlab.losses.soft_target_kl has "
            "the factor T² inside: do not multiply again.",
            SECTION,
            {"factor": lambda temperature: temperature**4},
        ),
        Mistake(
            "temperature-ignored",
            "Right at T = 1, but neither answer is softened: divide the logits by T before the "
            "softmax.",
            SECTION,
            {"soften": not_softened},
            {"soften": not_softened, "factor": lambda temperature: 1},
        ),
        Mistake(
            "softmax-twice",
            "There are two softmaxes in a row on one of the sides. The record holds logits, and so "
            "does the student give them: one softmax (or log_softmax) each.",
            SECTION,
            {"aims": lambda softened: softened.softmax(1).softmax(1)},
            {"says": lambda softened: softened.softmax(1).log_softmax(1)},
            {
                "aims": lambda softened: softened.softmax(1).softmax(1),
                "says": lambda softened: softened.softmax(1).log_softmax(1),
            },
        ),
        Mistake(
            "swapped",
            "Student and teacher have changed places: this is KL(student || teacher). The "
            "teacher's probabilities weigh the differences of the logarithms.",
            SECTION,
            {"compare": _backwards},
        ),
        Mistake(
            "mean-over-entries",
            "You average over the classes too, so the loss is too small by their number. "
            'F.kl_div needs reduction="batchmean".',
            SECTION,
            {"average": lambda gaps: gaps.mean() / 4},
        ),
        Mistake(
            "sum-over-batch",
            "You sum over the batch; here it is the mean. A sum would make a larger batch learn "
            "with larger steps.",
            SECTION,
            {"average": torch.sum},
        ),
        Mistake(
            "cross-entropy",
            "This is the soft cross-entropy. It gives the same gradient, but is larger by the "
            "teacher's entropy, so it does not fall to 0 when the two agree. Here it is the KL.",
            SECTION,
            {"compare": lambda aims, says: -(aims * says).sum(1)},
        ),
    ),
)
