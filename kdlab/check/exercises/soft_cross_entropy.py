"""Lesson 1: cross-entropy against soft targets, and what goes wrong there."""

import torch
import torch.nn.functional as F
from torch import Tensor

from kdlab.check.cases import drawn
from kdlab.check.core import Case, Exercise, Mistake
from kdlab.check.steps import most_likely, same, softmax

LESSON = "01"
SECTION = "Labels against soft targets"

# What people add inside a logarithm so that it never sees a zero.
EPSILONS = (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5)


def our_soft_cross_entropy(student_logits: Tensor, teacher_probabilities: Tensor) -> Tensor:
    """Cross-entropy of the student against soft targets.

    L = −mean over the batch of Σ_c p_c log q_c,
    p = teacher_probabilities, q = softmax(student_logits).  Both (batch, classes).
    """
    log_q = F.log_softmax(student_logits, dim=1)
    return -(teacher_probabilities * log_q).sum(1).mean()


def _soft_cross_entropy_in_steps(
    student_logits: Tensor,
    teacher_probabilities: Tensor,
    order=lambda student, teacher: (student, teacher),
    student=lambda logits: F.log_softmax(logits, 1),
    teacher=same,
    terms=torch.mul,
    over_classes=lambda terms: terms.sum(1),
    over_batch=torch.mean,
    sign=torch.neg,
) -> Tensor:
    logits, p = order(student_logits, teacher_probabilities)
    return sign(over_batch(over_classes(terms(teacher(p), student(logits)))))


soft_cross_entropy = Exercise(
    lesson=LESSON,
    name="soft_cross_entropy",
    takes=("student_logits", "teacher_probabilities"),
    task="the cross-entropy of a student's logits against a teacher's probabilities, "
    "both (batch, classes), averaged over the batch -> one number",
    reference=our_soft_cross_entropy,
    in_steps=_soft_cross_entropy_in_steps,
    trains=True,
    cases=(
        Case("one example", (torch.tensor([[3.0, 2.0, 1.0]]), torch.tensor([[0.7, 0.2, 0.1]]))),
        Case(
            "two examples",
            (
                torch.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]]),
                torch.tensor([[0.1, 0.6, 0.3], [0.3, 0.2, 0.5]]),
            ),
        ),
        Case(
            "a teacher with probabilities that are exactly 0",
            (
                torch.tensor([[1.0, 0.0, -1.0], [0.5, 2.0, 0.0]]),
                torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.4, 0.0]]),
            ),
        ),
        Case(
            "logits as large as 200",
            (
                torch.tensor([[200.0, 0.0, -200.0], [0.0, 200.0, 0.0]]),
                torch.tensor([[0.9, 0.1, 0.0], [0.25, 0.6, 0.15]]),
            ),
        ),
        Case("more examples than classes", (drawn(5, 5, 2), drawn(6, 5, 2).softmax(1))),
        Case("more classes than examples", (drawn(7, 4, 6) * 3, (drawn(8, 4, 6) * 2).softmax(1))),
    ),
    mistakes=(
        Mistake(
            "sum-over-batch",
            "You add up over the batch; take the mean over its examples. With the sum, a batch "
            "twice as large takes steps twice as long.",
            SECTION,
            {"over_batch": torch.sum},
        ),
        Mistake(
            "mean-over-entries",
            "You average over all entries, batch times classes. Add up over the classes first, "
            "then average over the examples. Otherwise more classes would make a smaller loss.",
            SECTION,
            {"over_classes": lambda terms: terms.mean(1)},
        ),
        Mistake(
            "not-averaged",
            "You give one number for each example. A loss is one number: average over the batch.",
            SECTION,
            {"over_batch": same},
        ),
        Mistake(
            "wrong-axis",
            "Your softmax runs over axis 0, the examples, so the pictures of a batch compete with "
            "each other. It has to run over axis 1, the classes: dim=1.",
            SECTION,
            {"student": lambda logits: F.log_softmax(logits, 0)},
        ),
        Mistake(
            "softmax-twice",
            "Softmax is applied to the student twice. F.cross_entropy and F.log_softmax apply it "
            "themselves: give them the logits. After a second softmax the student can never be "
            "sure of anything.",
            SECTION,
            {"student": lambda logits: F.log_softmax(softmax(logits), 1)},
        ),
        Mistake(
            "teacher-softmax",
            "You apply softmax to the teacher's probabilities. They are probabilities already; a "
            "second softmax makes them nearly equal and wipes out what the teacher says.",
            SECTION,
            {"teacher": softmax},
        ),
        Mistake(
            "log-missing",
            "The logarithm is missing: you multiply the teacher's probabilities with the student's "
            "probabilities. Cross-entropy needs the student's log-probabilities, F.log_softmax.",
            SECTION,
            {"student": softmax},
        ),
        Mistake(
            "softmax-missing",
            "The student's softmax is missing. Logits are no probabilities: they may be negative "
            "and need not add up to 1. F.log_softmax turns them into log-probabilities.",
            SECTION,
            {"student": same},
            {"student": torch.log},
        ),
        Mistake(
            "minus-missing",
            "The minus sign is missing. Log-probabilities are at most 0; the minus makes the loss "
            "positive. Without it, training would drive the student away from the teacher.",
            SECTION,
            {"sign": same},
        ),
        Mistake(
            "swapped",
            "Student and teacher have changed places. The teacher's probabilities are the weights; "
            "the logarithm is taken of the student's. In kdlab, as in F.cross_entropy, the student "
            "comes first.",
            SECTION,
            {"order": lambda student, teacher: (teacher, student)},
            {"terms": lambda p, log_q: log_q.exp() * p.log()},
            *({"terms": lambda p, log_q, e=e: log_q.exp() * (p + e).log()} for e in EPSILONS),
        ),
        Mistake(
            "underflow",
            "With large logits, softmax gives probabilities so small that float32 rounds them to "
            "0, and the logarithm of 0 is −∞. A small number added inside the logarithm hides "
            "this, but gives a wrong loss. F.log_softmax computes both steps as one and is exact.",
            SECTION,
            {"student": lambda logits: softmax(logits).log()},
            *({"student": lambda logits, e=e: (softmax(logits) + e).log()} for e in EPSILONS),
            *({"student": lambda logits, e=e: softmax(logits).clamp(e).log()} for e in EPSILONS),
        ),
        Mistake(
            "hard-labels",
            "You use only the teacher's most likely class, as if it were a label. Then the "
            "teacher's small probabilities, which are what soft targets add, are lost. "
            "Use all of them.",
            SECTION,
            {"teacher": most_likely},
        ),
        Mistake(
            "kl",
            "This is the KL divergence. It is the cross-entropy minus the teacher's entropy. Both "
            "have the same gradient for the student, so it would train alike, but its value "
            "differs.",
            SECTION,
            {"terms": lambda p, log_q: p * log_q - torch.xlogy(p, p)},
        ),
    ),
)
