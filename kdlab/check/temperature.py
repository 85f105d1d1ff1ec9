"""Lesson 2, Temperature: three functions to write, the mistakes we know, and two questions."""

import torch
import torch.nn.functional as F
from torch import Tensor

from kdlab import losses
from kdlab.check.core import Case, Exercise, Mistake
from kdlab.check.questions import Option, Question

LESSON = "02"
SHOWS = "What softening shows"
COSTS = "What softening costs"
LIMIT = "The limit of high T"


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _drawn(rows: int, classes: int, seed: int) -> Tensor:
    """Numbers from a normal distribution; the same on every machine."""
    return torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed))


def _divided(logits: Tensor, temperature: float) -> Tensor:
    return logits / temperature


def _times(logits: Tensor, temperature: float) -> Tensor:
    return logits * temperature


def _not_softened(logits: Tensor, temperature: float) -> Tensor:
    return logits


# ---------------------------------------------------------------- tempered softmax


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
    soften=_divided,
    shift=lambda scaled, logits: scaled - scaled.amax(1, keepdim=True),
    total=lambda powers: powers.sum(1, keepdim=True),
    share=lambda shifted, total: shifted.exp() / total,
    cool=lambda probabilities, temperature: probabilities,
    end=_same,
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
        Case("a temperature below 1", (_drawn(5, 2, seed=1), 0.5)),
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
        Case("more classes than examples", (_drawn(4, 6, seed=2) * 3, 8.0)),
    ),
    mistakes=(
        Mistake(
            "overflow",
            "Right for small logits, but e to the power of 1,000 is more than a float32 can hold: "
            "it becomes inf, and inf / inf is not a number. Subtract each row's largest value "
            "first. That changes no probability, since only differences between logits count.",
            SHOWS,
            {"shift": lambda scaled, logits: scaled},
        ),
        Mistake(
            "one-maximum-for-all",
            "You subtract the largest value of the whole batch. A row that lies far below it "
            "becomes e to the power of −2,000, which is 0 in every class, and 0 / 0 is not a "
            "number. Each row needs its own: .amax(1, keepdim=True).",
            SHOWS,
            {"shift": lambda scaled, logits: scaled - scaled.max()},
            {"shift": lambda scaled, logits: scaled - logits.max()},
            {"shift": lambda scaled, logits: scaled - scaled.amax(0, keepdim=True)},
        ),
        Mistake(
            "maximum-of-the-unsoftened",
            "You subtract the largest logit from logits that are divided by T already. Where T is "
            "not 1, it is not their largest: all exponents may lie far below 0, and 0 / 0 is not "
            "a number. Divide first, then look for the largest.",
            SHOWS,
            {"shift": lambda scaled, logits: scaled - logits.amax(1, keepdim=True)},
        ),
        Mistake(
            "multiplied",
            "You multiply the logits by T, which makes a larger T sharper. Divide: the larger T, "
            "the smaller the differences between the logits, and the softer the answer.",
            SHOWS,
            {"soften": _times},
        ),
        Mistake(
            "temperature-ignored",
            "Right at T = 1, but your answer is the same at every T. Divide the logits by T before "
            "the softmax.",
            SHOWS,
            {"soften": _not_softened},
        ),
        Mistake(
            "probabilities-divided",
            "You divide the probabilities by T, not the logits. The shares stay as they were, and "
            "a row adds up to 1 / T. Divide the logits, before the softmax.",
            SHOWS,
            {"soften": _not_softened, "cool": _divided},
        ),
        Mistake(
            "softened-too-late",
            "You soften the probabilities, with p to the power of 1 / T. On paper that is the "
            "same. On a machine, a p below 1e-45 is 0 already, and no root brings it back. "
            "Divide the logits before the softmax.",
            SHOWS,
            {"soften": _not_softened, "cool": _rooted},
            {
                "soften": _not_softened,
                "cool": lambda p, temperature: (p.log() / temperature).softmax(1),
            },
        ),
        Mistake(
            "softmax-twice",
            "You soften the probabilities of a first softmax. They lie between 0 and 1, so a "
            "second softmax makes them nearly equal. Soften the logits.",
            SHOWS,
            {
                "soften": _not_softened,
                "cool": lambda p, temperature: (p / temperature).softmax(1),
            },
            {"end": lambda p: p.softmax(1)},
        ),
        Mistake(
            "temperature-squared",
            "You divide the logits by T². The T² of this lesson belongs to the loss; the logits "
            "are divided by T.",
            SHOWS,
            {"soften": lambda logits, temperature: logits / temperature**2},
            {"soften": lambda logits, temperature: logits / temperature**0.5},
        ),
        Mistake(
            "wrong-axis",
            "Your softmax runs over axis 0, the examples, so the pictures of a batch share one "
            "whole. It has to run over axis 1, the classes.",
            SHOWS,
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
            SHOWS,
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
            SHOWS,
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
            SHOWS,
            {"end": torch.log},
            {
                "share": lambda shifted, total: shifted - total.log(),
                "cool": lambda logs, temperature: logs,  # a softmax of these would be right again
                "end": _same,
            },
        ),
    ),
)


# ---------------------------------------------------------------- the distillation loss


def _kl_terms(p: Tensor, log_q: Tensor) -> Tensor:
    return torch.xlogy(p, p) - p * log_q


def _kd_loss_in_steps(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    temperature: float,
    alpha: float,
    order=lambda student, teacher: (student, teacher),
    soften_student=_divided,
    soften_teacher=_divided,
    student=lambda logits: F.log_softmax(logits, 1),
    teacher=lambda logits: F.softmax(logits, 1),
    terms=_kl_terms,
    over_classes=lambda terms: terms.sum(1),
    over_batch=torch.mean,
    factor=lambda temperature: temperature**2,
    soften_hard=_not_softened,
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


def _labels(*numbers: int) -> Tensor:
    return torch.tensor(numbers)


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
                _labels(0),
                1.0,
                0.3,
            ),
        ),
        Case(
            "two examples at T = 4",
            (
                torch.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]]),
                torch.tensor([[4.0, 1.0, 0.0], [-2.0, 2.0, 3.0]]),
                _labels(0, 1),
                4.0,
                0.3,
            ),
        ),
        Case(
            "the teacher alone, T = 2, alpha = 0",
            (_drawn(5, 2, 11) * 2, _drawn(5, 2, 12) * 3, _labels(0, 1, 1, 0, 1), 2.0, 0.0),
        ),
        Case(
            "the labels alone, T = 4, alpha = 1",
            (_drawn(3, 4, 13) * 2, _drawn(3, 4, 14) * 3, _labels(3, 0, 2), 4.0, 1.0),
        ),
        Case(
            "more classes than examples, T = 3",
            (_drawn(4, 6, 15) * 3, _drawn(4, 6, 16) * 4, _labels(5, 0, 2, 2), 3.0, 0.8),
        ),
        Case(
            "logits as large as 400",
            (
                torch.tensor([[400.0, 0.0, -100.0], [0.0, 150.0, -300.0]]),
                torch.tensor([[300.0, 0.0, 200.0], [0.0, 100.0, 350.0]]),
                _labels(0, 2),
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
            COSTS,
            {"factor": lambda temperature: 1},
        ),
        Mistake(
            "factor-once",
            "The soft term is multiplied by T; it has to be T². Its gradient loses one T where "
            "the logits are divided, and another where the two softened answers come closer.",
            COSTS,
            {"factor": lambda temperature: temperature},
        ),
        Mistake(
            "factor-inverted",
            "You divide the soft term by T². The gradient fades by itself as T grows; the factor "
            "has to work against that: multiply by T².",
            COSTS,
            {"factor": lambda temperature: temperature**-2},
        ),
        Mistake(
            "factor-on-labels",
            "The factor T² stands at the wrong term: at the labels. They are not softened, so "
            "their gradient does not fade. It belongs to the soft term.",
            COSTS,
            {"factor": lambda temperature: 1, "hard_factor": lambda temperature: temperature**2},
        ),
        Mistake(
            "factor-on-both",
            "You multiply the whole loss by T². Only the soft term fades as T grows; multiply that "
            "one alone, or the balance that alpha sets stays as lopsided as before.",
            COSTS,
            {"hard_factor": lambda temperature: temperature**2},
        ),
        Mistake(
            "alpha-swapped",
            "The two weights have changed places. In kdlab alpha weighs the labels and 1 − alpha "
            "the teacher, so alpha = 1 is labels only. (Other libraries mean the opposite.)",
            COSTS,
            {"weights": lambda alpha: (1 - alpha, alpha)},
        ),
        Mistake(
            "weight-missing",
            "One of the two weights is missing. Both terms share one whole: alpha goes to the "
            "labels and 1 − alpha to the teacher.",
            COSTS,
            {"weights": lambda alpha: (alpha, 1)},
            {"weights": lambda alpha: (1, 1 - alpha)},
            {"weights": lambda alpha: (1, alpha)},
            {"weights": lambda alpha: (1, 1)},
        ),
        Mistake(
            "one-weight-for-both",
            "Both terms have the same weight, so alpha no longer sets who is trusted. Alpha goes "
            "to the labels and 1 − alpha to the teacher.",
            COSTS,
            {"weights": lambda alpha: (alpha, alpha)},
            {"weights": lambda alpha: (1 - alpha, 1 - alpha)},
        ),
        Mistake(
            "kl-swapped",
            "This is KL(student || teacher). The teacher comes first: KL(teacher || student) "
            "weighs each class with the teacher's probability. F.kl_div takes the student's "
            "log-probabilities first, the teacher's probabilities second.",
            COSTS,
            {"order": lambda student, teacher: (teacher, student)},
        ),
        Mistake(
            "kl-div-arguments",
            "Your loss is NaN on every case. The usual reason: F.kl_div got logarithms as its "
            "second argument. It takes the student's log-probabilities first, then the teacher's "
            "plain probabilities.",
            COSTS,
            {"terms": lambda p, log_q: p * torch.nan},
        ),
        Mistake(
            "log-missing",
            "The student's logarithm is missing. F.kl_div takes log-probabilities of the student, "
            "F.log_softmax; you give it F.softmax. There is no error, only a wrong number.",
            COSTS,
            {"student": lambda logits: F.softmax(logits, 1)},
        ),
        Mistake(
            "teacher-logits",
            "The teacher's softmax is missing, so its logits stand where probabilities belong. "
            "Soften them: F.softmax(teacher_logits / T, dim=1).",
            COSTS,
            {"teacher": _same},
        ),
        Mistake(
            "mean-over-entries",
            "Your soft term is averaged over all entries, batch times classes, and so is smaller "
            'by the number of classes. In F.kl_div, reduction="mean" does this. Take '
            '"batchmean": the sum over the classes, averaged over the examples.',
            COSTS,
            {"over_classes": lambda terms: terms.mean(1)},
        ),
        Mistake(
            "sum-over-batch",
            "Your soft term adds up over the batch. A batch twice as large would then shift the "
            'balance between the two terms. Take the mean over the examples: "batchmean".',
            COSTS,
            {"over_batch": torch.sum},
        ),
        Mistake(
            "wrong-axis",
            "A softmax runs over axis 0, the examples, so the pictures of a batch compete with "
            "each other. It has to run over axis 1, the classes: dim=1.",
            COSTS,
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
            COSTS,
            {"soften_student": _not_softened},
            {"soften_teacher": _not_softened},
        ),
        Mistake(
            "not-softened",
            "Neither student nor teacher is divided by T, so T only sets a weight. Divide both "
            "logits by T before their softmax.",
            COSTS,
            {"soften_student": _not_softened, "soften_teacher": _not_softened},
        ),
        Mistake(
            "multiplied",
            "You multiply the logits by T. A larger T should make both answers softer: divide.",
            COSTS,
            {"soften_student": _times, "soften_teacher": _times},
        ),
        Mistake(
            "labels-softened",
            "You also divide the student's logits by T where it meets the labels. The student "
            "will be used at T = 1, and there it has to fit the labels: use its own logits.",
            COSTS,
            {"soften_hard": _divided},
        ),
        Mistake(
            "softmax-twice",
            "You give F.cross_entropy probabilities. It applies softmax itself: give it the "
            "student's logits. After a second softmax the student can never be sure.",
            COSTS,
            {"hard": lambda logits, labels: F.cross_entropy(logits.softmax(1), labels)},
        ),
        Mistake(
            "underflow",
            "With large logits, softmax gives probabilities so small that float32 rounds them to "
            "0, and the logarithm of 0 is −∞. F.log_softmax computes both steps as one.",
            COSTS,
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
            COSTS,
            {"terms": lambda p, log_q: -p * log_q},
        ),
        Mistake(
            "minus",
            "The soft term has the wrong sign, so training would drive the student away from the "
            "teacher. A KL divergence is never negative, and F.kl_div needs no minus.",
            COSTS,
            {"terms": lambda p, log_q: p * log_q - torch.xlogy(p, p)},
        ),
    ),
)


# ---------------------------------------------------------------- the limit of the gradient


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
    over_batch=_same,
) -> Tensor:
    return over_batch(share(gap(student(student_logits), teacher(teacher_logits))))


_SOFTMAX = {
    "student": lambda logits: logits.softmax(1),
    "teacher": lambda logits: logits.softmax(1),
}
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
        Case("a teacher shifted by 5", (_drawn(5, 2, 21), _drawn(5, 2, 22) * 3 + 5)),
        Case("a student shifted by −3", (_drawn(3, 5, 23) - 3, _drawn(3, 5, 24) * 2)),
        Case("more classes than examples", (_drawn(4, 6, 25) * 2 + 1, _drawn(4, 6, 26) * 4 - 2)),
    ),
    mistakes=(
        Mistake(
            "sign",
            "The sign is turned round. A gradient points to where the loss grows: student minus "
            "teacher. (Training then steps the other way, towards the teacher.)",
            LIMIT,
            {"gap": lambda student, teacher: teacher - student},
        ),
        Mistake(
            "classes-missing",
            "The division by the number of classes is missing. It comes from softmax, which near "
            "its middle gives each class 1 / classes and a bit.",
            LIMIT,
            {"share": _same},
        ),
        Mistake(
            "divided-by-classes-less-one",
            "You divide by one class too few. Softmax near its middle gives each class "
            "1 / classes: divide by the number of all classes.",
            LIMIT,
            {"share": lambda gap: gap / (gap.shape[1] - 1)},
        ),
        Mistake(
            "not-centred",
            "Right where the logits of a row add up to the same number for both, wrong elsewhere. "
            "Softmax does not see a constant that is added to a row, so subtract each row's mean.",
            LIMIT,
            {"student": _same, "teacher": _same},
        ),
        Mistake(
            "one-side-centred",
            "Only one of the two is centred. Subtract the row's mean from the student's logits and "
            "from the teacher's.",
            LIMIT,
            {"student": _same},
            {"teacher": _same},
        ),
        Mistake(
            "wrong-axis",
            "You subtract the mean over axis 0, the examples. Softmax works on one row at a time: "
            "the mean is that of its classes, .mean(1, keepdim=True).",
            LIMIT,
            _ROWS,
        ),
        Mistake(
            "one-mean-for-all",
            "You subtract one mean from the whole batch. Each row has its own: "
            ".mean(1, keepdim=True).",
            LIMIT,
            {
                "student": lambda logits: logits - logits.mean(),
                "teacher": lambda logits: logits - logits.mean(),
            },
        ),
        Mistake(
            "probabilities",
            "This is the gradient at T = 1: the difference of probabilities. As T grows, what "
            "remains is the difference of the centred logits, divided by the number of classes.",
            LIMIT,
            _SOFTMAX,
            _SOFTMAX | {"share": _same},
        ),
        Mistake(
            "factor-two",
            "It is twice as large: the derivative of the mean square. The limit of the loss is "
            "half of that: the sum of squares over 2 times the number of classes.",
            LIMIT,
            {"share": lambda gap: 2 * gap / gap.shape[1]},
        ),
        Mistake(
            "averaged-over-batch",
            "You also divide by the number of examples. That is the gradient of a batch's mean; "
            "asked for is each example's own.",
            LIMIT,
            {"over_batch": lambda gradient: gradient / len(gradient)},
        ),
        Mistake(
            "squared",
            "These are squares, so they have lost their direction. Squares belong to the loss; its "
            "gradient is linear in the logits.",
            LIMIT,
            {"share": lambda gap: gap**2 / gap.shape[1]},
            {"share": lambda gap: gap**2 / (2 * gap.shape[1])},
            {"share": lambda gap: gap**2},
        ),
        Mistake(
            "loss-not-gradient",
            "You give one number for each example: the loss. Its gradient has one number for each "
            "logit, so the shape stays (batch, classes).",
            LIMIT,
            {"share": lambda gap: (gap**2).mean(1) / 2},
            {"share": lambda gap: (gap**2).mean(1)},
            {"share": lambda gap: (gap**2).sum(1)},
        ),
        Mistake(
            "standardised",
            "You also divide by the standard deviation of each row. That is logit standardisation, "
            "which comes later in this lesson. Here the scale of the logits counts.",
            LIMIT,
            _STANDARDISED,
        ),
    ),
)


EXERCISES = (tempered_softmax, kd_loss, logit_matching_gradient)
# ---------------------------------------------------------------- questions

QUIZZES = (
    Question(
        LESSON,
        "temperature 1",
        "A program distils with T = 4 and equal weights of one half, but its loss lacks the T². "
        "Which alpha trains nearly the same student with kdlab's own loss at T = 4, and Adam?",
        (
            Option(
                "alpha = 0.5: the weights are what they are.",
                "In that program the teacher's term is 16 times smaller than in kdlab's. One half "
                "of something 16 times smaller is not one half.",
            ),
            Option(
                "alpha = 0.06: the teacher has to count more.",
                "That is the other direction. Without T² the teacher counts less; to do the same, "
                "kdlab's loss has to trust the labels more.",
            ),
            Option(
                "alpha = 0.94: nearly all weight on the labels.",
                "Labels and teacher stand as 1/2 to 1/32, which is 16 to 1, and 16/17 is 0.94. "
                "Adam does not see the size of the whole loss, only this balance.",
                right=True,
            ),
            Option(
                "None: without T² the targets have another shape.",
                "The shape comes from the T inside the two softmaxes, and that is still 4. The "
                "factor only sets a weight, and so does alpha.",
            ),
        ),
    ),
    Question(
        LESSON,
        "temperature 2",
        "A paper says: “At T = 8 our new loss beats plain distillation by 0.8 points, 95 % "
        "interval +0.4 to +1.2.” What do you ask first?",
        (
            Option(
                "Nothing: the interval does not hold zero, so the new loss is better.",
                "It is better at T = 8. In this lesson T = 8 was a poor choice for plain "
                "distillation, and nobody has to choose it.",
            ),
            Option(
                "How large the gain is at T = 20.",
                "Probably larger still, since plain distillation gets worse there. But a gain over "
                "a poorly set baseline says little about the new loss.",
            ),
            Option(
                "How good plain distillation is at its own best T.",
                "Each method deserves its own best setting, chosen on validation. Here the "
                "standardised loss won at T = 8, but not against plain distillation at T = 1.",
                right=True,
            ),
            Option(
                "Whether they used more than five seeds.",
                "The interval answers that already: fewer seeds make it wider. It holds only "
                "values above zero. What it cannot tell is whether the baseline was well set.",
            ),
        ),
    ),
)
