"""Lesson 2: the distillation loss, and what goes wrong there."""

import torch
import torch.nn.functional as F
from torch import Tensor

from kdlab import losses
from kdlab.check.cases import drawn, integers
from kdlab.check.core import Case, Exercise, Mistake
from kdlab.check.steps import divided, not_softened, same, times

LESSON = "02"
SECTION = "What softening costs"


def _kl_terms(p: Tensor, log_q: Tensor) -> Tensor:
    return torch.xlogy(p, p) - p * log_q


def _kd_loss_in_steps(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    temperature: float,
    alpha: float,
    order=lambda student, teacher: (student, teacher),
    soften_student=divided,
    soften_teacher=divided,
    student=lambda logits: F.log_softmax(logits, 1),
    teacher=lambda logits: F.softmax(logits, 1),
    terms=_kl_terms,
    over_classes=lambda terms: terms.sum(1),
    over_batch=torch.mean,
    factor=lambda temperature: temperature**2,
    soften_hard=not_softened,
    hard=F.cross_entropy,
    hard_factor=lambda temperature: 1,
    weights=lambda alpha: (alpha, 1 - alpha),
) -> Tensor:
    own, other = order(student_logits, teacher_logits)
    log_q = student(soften_student(own, temperature))
    p = teacher(soften_teacher(other, temperature))
    soft = factor(temperature) * over_batch(over_classes(terms(p, log_q)))
    told = hard(soften_hard(student_logits, temperature), labels)
    of_labels, of_teacher = weights(alpha)
    return of_labels * hard_factor(temperature) * told + of_teacher * soft


kd_loss = Exercise(
    lesson=LESSON,
    name="kd_loss",
    takes=("student_logits", "teacher_logits", "labels", "temperature", "alpha"),
    task="alpha · cross-entropy against the labels + (1 − alpha) · T² · KL(teacher || student), "
    "both softened by T, averaged over the batch -> one number",
    reference=losses.kd_loss,
    in_steps=_kd_loss_in_steps,
    trains=True,
    cases=(
        Case(
            "one example at T = 1",
            (
                torch.tensor([[1.0, 2.0, 0.0]]),
                torch.tensor([[3.0, 1.0, 0.0]]),
                integers(0),
                1.0,
                0.3,
            ),
        ),
        Case(
            "two examples at T = 4",
            (
                torch.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]]),
                torch.tensor([[4.0, 1.0, 0.0], [-2.0, 2.0, 3.0]]),
                integers(0, 1),
                4.0,
                0.3,
            ),
        ),
        Case(
            "the teacher alone, T = 2, alpha = 0",
            (drawn(11, 5, 2) * 2, drawn(12, 5, 2) * 3, integers(0, 1, 1, 0, 1), 2.0, 0.0),
        ),
        Case(
            "the labels alone, T = 4, alpha = 1",
            (drawn(13, 3, 4) * 2, drawn(14, 3, 4) * 3, integers(3, 0, 2), 4.0, 1.0),
        ),
        Case(
            "more classes than examples, T = 3",
            (drawn(15, 4, 6) * 3, drawn(16, 4, 6) * 4, integers(5, 0, 2, 2), 3.0, 0.8),
        ),
        Case(
            "logits as large as 400",
            (
                torch.tensor([[400.0, 0.0, -100.0], [0.0, 150.0, -300.0]]),
                torch.tensor([[300.0, 0.0, 200.0], [0.0, 100.0, 350.0]]),
                integers(0, 2),
                2.0,
                0.5,
            ),
        ),
    ),
    mistakes=(
        Mistake(
            "factor-missing",
            "The factor T² is missing. At T = 1 nobody notices; at T = 4 your soft term is 16 "
            "times smaller than the usual definition. The factor keeps the soft term's gradient "
            "from fading as T grows.",
            SECTION,
            {"factor": lambda temperature: 1},
        ),
        Mistake(
            "factor-once",
            "The soft term is multiplied by T; it has to be T². Its gradient loses one T where "
            "the logits are divided, and another where the two softened answers come closer.",
            SECTION,
            {"factor": lambda temperature: temperature},
        ),
        Mistake(
            "factor-inverted",
            "You divide the soft term by T². The gradient fades by itself as T grows; the factor "
            "has to work against that: multiply by T².",
            SECTION,
            {"factor": lambda temperature: temperature**-2},
        ),
        Mistake(
            "factor-on-labels",
            "The factor T² stands at the wrong term: at the labels. They are not softened, so "
            "their gradient does not fade. It belongs to the soft term.",
            SECTION,
            {"factor": lambda temperature: 1, "hard_factor": lambda temperature: temperature**2},
        ),
        Mistake(
            "factor-on-both",
            "You multiply the whole loss by T². Only the soft term fades as T grows; multiply that "
            "one alone, or the balance that alpha sets stays as lopsided as before.",
            SECTION,
            {"hard_factor": lambda temperature: temperature**2},
        ),
        Mistake(
            "alpha-swapped",
            "The two weights have changed places. In kdlab alpha weighs the labels and 1 − alpha "
            "the teacher, so alpha = 1 is labels only. (Other libraries mean the opposite.)",
            SECTION,
            {"weights": lambda alpha: (1 - alpha, alpha)},
        ),
        Mistake(
            "weight-missing",
            "One of the two weights is missing. Both terms share one whole: alpha goes to the "
            "labels and 1 − alpha to the teacher.",
            SECTION,
            {"weights": lambda alpha: (alpha, 1)},
            {"weights": lambda alpha: (1, 1 - alpha)},
            {"weights": lambda alpha: (1, alpha)},
            {"weights": lambda alpha: (1, 1)},
        ),
        Mistake(
            "one-weight-for-both",
            "Both terms have the same weight, so alpha no longer sets who is trusted. Alpha goes "
            "to the labels and 1 − alpha to the teacher.",
            SECTION,
            {"weights": lambda alpha: (alpha, alpha)},
            {"weights": lambda alpha: (1 - alpha, 1 - alpha)},
        ),
        Mistake(
            "kl-swapped",
            "This is KL(student || teacher). The teacher comes first: KL(teacher || student) "
            "weighs each class with the teacher's probability. F.kl_div takes the student's "
            "log-probabilities first, the teacher's probabilities second.",
            SECTION,
            {"order": lambda student, teacher: (teacher, student)},
        ),
        Mistake(
            "kl-div-arguments",
            "Your loss is NaN on every case. The usual reason: F.kl_div got logarithms as its "
            "second argument. It takes the student's log-probabilities first, then the teacher's "
            "plain probabilities.",
            SECTION,
            {"terms": lambda p, log_q: p * torch.nan},
        ),
        Mistake(
            "log-missing",
            "The student's logarithm is missing. F.kl_div takes log-probabilities of the student, "
            "F.log_softmax; you give it F.softmax. There is no error, only a wrong number.",
            SECTION,
            {"student": lambda logits: F.softmax(logits, 1)},
        ),
        Mistake(
            "teacher-logits",
            "The teacher's softmax is missing, so its logits stand where probabilities belong. "
            "Soften them: F.softmax(teacher_logits / T, dim=1).",
            SECTION,
            {"teacher": same},
        ),
        Mistake(
            "mean-over-entries",
            "Your soft term is averaged over all entries, batch times classes, and so is smaller "
            'by the number of classes. In F.kl_div, reduction="mean" does this. Take '
            '"batchmean": the sum over the classes, averaged over the examples.',
            SECTION,
            {"over_classes": lambda terms: terms.mean(1)},
        ),
        Mistake(
            "sum-over-batch",
            "Your soft term adds up over the batch. A batch twice as large would then shift the "
            'balance between the two terms. Take the mean over the examples: "batchmean".',
            SECTION,
            {"over_batch": torch.sum},
        ),
        Mistake(
            "wrong-axis",
            "A softmax runs over axis 0, the examples, so the pictures of a batch compete with "
            "each other. It has to run over axis 1, the classes: dim=1.",
            SECTION,
            {
                "student": lambda logits: F.log_softmax(logits, 0),
                "teacher": lambda logits: F.softmax(logits, 0),
            },
            {"student": lambda logits: F.log_softmax(logits, 0)},
            {"teacher": lambda logits: F.softmax(logits, 0)},
        ),
        Mistake(
            "one-side-softened",
            "Only one of the two is divided by T. Then the student can never match: it compares a "
            "softened answer with one that is not. Divide both logits by T.",
            SECTION,
            {"soften_student": not_softened},
            {"soften_teacher": not_softened},
        ),
        Mistake(
            "not-softened",
            "Neither student nor teacher is divided by T, so T only sets a weight. Divide both "
            "logits by T before their softmax.",
            SECTION,
            {"soften_student": not_softened, "soften_teacher": not_softened},
        ),
        Mistake(
            "multiplied",
            "You multiply the logits by T. A larger T should make both answers softer: divide.",
            SECTION,
            {"soften_student": times, "soften_teacher": times},
        ),
        Mistake(
            "labels-softened",
            "You also divide the student's logits by T where it meets the labels. The student "
            "will be used at T = 1, and there it has to fit the labels: use its own logits.",
            SECTION,
            {"soften_hard": divided},
        ),
        Mistake(
            "softmax-twice",
            "You give F.cross_entropy probabilities. It applies softmax itself: give it the "
            "student's logits. After a second softmax the student can never be sure.",
            SECTION,
            {"hard": lambda logits, labels: F.cross_entropy(logits.softmax(1), labels)},
        ),
        Mistake(
            "underflow",
            "With large logits, softmax gives probabilities so small that float32 rounds them to "
            "0, and the logarithm of 0 is −∞. F.log_softmax computes both steps as one.",
            SECTION,
            {
                "student": lambda logits: F.softmax(logits, 1).log(),
                "terms": lambda p, log_q: p * (p.log() - log_q),
            },
            {"student": lambda logits: F.softmax(logits, 1).log()},
            {"terms": lambda p, log_q: p * (p.log() - log_q)},
        ),
        Mistake(
            "cross-entropy",
            "Your soft term is the cross-entropy, which is the KL divergence plus the teacher's "
            "entropy. The gradient is the same, so it trains alike, but the value is never 0: "
            "subtract the entropy, or use F.kl_div.",
            SECTION,
            {"terms": lambda p, log_q: -p * log_q},
        ),
        Mistake(
            "minus",
            "The soft term has the wrong sign, so training would drive the student away from the "
            "teacher. A KL divergence is never negative, and F.kl_div needs no minus.",
            SECTION,
            {"terms": lambda p, log_q: p * log_q - torch.xlogy(p, p)},
        ),
    ),
)
