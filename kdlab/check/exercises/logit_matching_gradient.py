"""Lesson 2: what the gradient tends to as T grows, and what goes wrong there."""

import torch
from torch import Tensor

from kdlab.check.cases import drawn
from kdlab.check.core import Case, Exercise, Mistake
from kdlab.check.steps import same, softmax

LESSON = "02"
SECTION = "The limit of high T"


def our_logit_matching_gradient(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """What the soft term's gradient, times T², tends to as T grows; a row for each example.

    g = ((s − mean s) − (t − mean t)) / classes, the means taken over the classes.
    Both (batch, classes).  Returns (batch, classes).  (Hinton, Vinyals & Dean 2015, section 2.1.)
    """
    gap = student_logits - teacher_logits
    return (gap - gap.mean(1, keepdim=True)) / gap.shape[1]


def _centred(logits: Tensor) -> Tensor:
    return logits - logits.mean(1, keepdim=True)


def _logit_matching_gradient_in_steps(
    student_logits: Tensor,
    teacher_logits: Tensor,
    student=_centred,
    teacher=_centred,
    gap=torch.sub,
    share=lambda gap: gap / gap.shape[1],
    over_batch=same,
) -> Tensor:
    return over_batch(share(gap(student(student_logits), teacher(teacher_logits))))


_SOFTMAX = {"student": softmax, "teacher": softmax}
_ROWS = {
    "student": lambda logits: logits - logits.mean(0, keepdim=True),
    "teacher": lambda logits: logits - logits.mean(0, keepdim=True),
}
_STANDARDISED = {
    "student": lambda logits: _centred(logits) / logits.std(1, keepdim=True),
    "teacher": lambda logits: _centred(logits) / logits.std(1, keepdim=True),
}

logit_matching_gradient = Exercise(
    lesson=LESSON,
    name="logit_matching_gradient",
    takes=("student_logits", "teacher_logits"),
    task="what the soft term's gradient for each example tends to as T grows, both (batch, "
    "classes) -> (batch, classes)",
    reference=our_logit_matching_gradient,
    in_steps=_logit_matching_gradient_in_steps,
    cases=(
        Case("one example", (torch.tensor([[1.0, 0.0, 2.0]]), torch.tensor([[4.0, 1.0, 1.0]]))),
        Case(
            "logits that add up to 0 already",
            (
                torch.tensor([[1.0, -1.0, 0.0], [2.0, -3.0, 1.0]]),
                torch.tensor([[3.0, -2.0, -1.0], [0.0, -4.0, 4.0]]),
            ),
        ),
        Case("a teacher shifted by 5", (drawn(21, 5, 2), drawn(22, 5, 2) * 3 + 5)),
        Case("a student shifted by −3", (drawn(23, 3, 5) - 3, drawn(24, 3, 5) * 2)),
        Case("more classes than examples", (drawn(25, 4, 6) * 2 + 1, drawn(26, 4, 6) * 4 - 2)),
    ),
    mistakes=(
        Mistake(
            "sign",
            "The sign is turned round. A gradient points to where the loss grows: student minus "
            "teacher. (Training then steps the other way, towards the teacher.)",
            SECTION,
            {"gap": lambda student, teacher: teacher - student},
        ),
        Mistake(
            "classes-missing",
            "The division by the number of classes is missing. It comes from softmax, which near "
            "its middle gives each class 1 / classes and a bit.",
            SECTION,
            {"share": same},
        ),
        Mistake(
            "divided-by-classes-less-one",
            "You divide by one class too few. Softmax near its middle gives each class "
            "1 / classes: divide by the number of all classes.",
            SECTION,
            {"share": lambda gap: gap / (gap.shape[1] - 1)},
        ),
        Mistake(
            "not-centred",
            "Right where the logits of a row add up to the same number for both, wrong elsewhere. "
            "Softmax does not see a constant that is added to a row, so subtract each row's mean.",
            SECTION,
            {"student": same, "teacher": same},
        ),
        Mistake(
            "one-side-centred",
            "Only one of the two is centred. Subtract the row's mean from the student's logits and "
            "from the teacher's.",
            SECTION,
            {"student": same},
            {"teacher": same},
        ),
        Mistake(
            "wrong-axis",
            "You subtract the mean over axis 0, the examples. Softmax works on one row at a time: "
            "the mean is that of its classes, .mean(1, keepdim=True).",
            SECTION,
            _ROWS,
        ),
        Mistake(
            "one-mean-for-all",
            "You subtract one mean from the whole batch. Each row has its own: "
            ".mean(1, keepdim=True).",
            SECTION,
            {
                "student": lambda logits: logits - logits.mean(),
                "teacher": lambda logits: logits - logits.mean(),
            },
        ),
        Mistake(
            "probabilities",
            "This is the gradient at T = 1: the difference of probabilities. As T grows, what "
            "remains is the difference of the centred logits, divided by the number of classes.",
            SECTION,
            _SOFTMAX,
            _SOFTMAX | {"share": same},
        ),
        Mistake(
            "factor-two",
            "It is twice as large: the derivative of the mean square. The limit of the loss is "
            "half of that: the sum of squares over 2 times the number of classes.",
            SECTION,
            {"share": lambda gap: 2 * gap / gap.shape[1]},
        ),
        Mistake(
            "averaged-over-batch",
            "You also divide by the number of examples. That is the gradient of a batch's mean; "
            "asked for is each example's own.",
            SECTION,
            {"over_batch": lambda gradient: gradient / len(gradient)},
        ),
        Mistake(
            "squared",
            "These are squares, so they have lost their direction. Squares belong to the loss; its "
            "gradient is linear in the logits.",
            SECTION,
            {"share": lambda gap: gap**2 / gap.shape[1]},
            {"share": lambda gap: gap**2 / (2 * gap.shape[1])},
            {"share": lambda gap: gap**2},
        ),
        Mistake(
            "loss-not-gradient",
            "You give one number for each example: the loss. Its gradient has one number for each "
            "logit, so the shape stays (batch, classes).",
            SECTION,
            {"share": lambda gap: (gap**2).mean(1) / 2},
            {"share": lambda gap: (gap**2).mean(1)},
            {"share": lambda gap: (gap**2).sum(1)},
        ),
        Mistake(
            "standardised",
            "You also divide by the standard deviation of each row. That is logit standardisation, "
            "which comes later in this lesson. Here the scale of the logits counts.",
            SECTION,
            _STANDARDISED,
        ),
    ),
)
