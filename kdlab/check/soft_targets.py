"""Lesson 1, Soft targets: three functions to write, the mistakes we know, and two questions."""

import torch
import torch.nn.functional as F
from torch import Tensor

from kdlab.check.core import Case, Exercise, Mistake
from kdlab.check.questions import Option, Question

LESSON = "01"
LABELS = "Labels against soft targets"
ENTROPY = "What entropy says"
MAP = "A map of classes"

# What people add inside a logarithm so that it never sees a zero.
EPSILONS = (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5)


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _softmax(tensor: Tensor) -> Tensor:
    return tensor.softmax(1)


def _answers(probabilities: Tensor) -> Tensor:
    """The class that each row finds most likely, as a row with a single one."""
    return F.one_hot(probabilities.argmax(1), probabilities.shape[1]).to(probabilities)


def _drawn(rows: int, classes: int, seed: int) -> Tensor:
    """Numbers from a normal distribution; the same on every machine."""
    return torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- entropy


def our_entropy(probabilities: Tensor) -> Tensor:
    """Entropy of each row in nats: H = −Σ_c p_c log p_c, where 0 · log 0 counts as 0.

    probabilities: (batch, classes).  Returns (batch,).
    """
    return -torch.xlogy(probabilities, probabilities).sum(1)


def _entropy_in_steps(
    probabilities: Tensor,
    prepare=_same,
    log=torch.log,
    weigh=torch.mul,
    zeros=lambda terms: torch.where(terms.isnan(), 0, terms),
    over_classes=lambda terms: terms.sum(1),
    over_batch=_same,
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
        Case("more examples than classes", (_drawn(5, 2, seed=1).softmax(1),)),
        Case("more classes than examples", (_drawn(4, 6, seed=2).softmax(1),)),
        Case(
            "very sure and very unsure",
            (torch.cat([_drawn(3, 10, 3) * 9, _drawn(4, 10, 4) / 9]).softmax(1),),
        ),
    ),
    mistakes=(
        Mistake(
            "log-of-zero",
            "Where a probability is exactly 0, the entropy becomes NaN: the logarithm of 0 is −∞, "
            "and 0 times −∞ is not a number. A class with probability 0 adds nothing to the sum: "
            "its term must count as 0. torch.xlogy(a, b) gives a · log b with just this rule.",
            ENTROPY,
            {"zeros": _same},
        ),
        Mistake(
            "large-epsilon",
            "The number that you add inside the logarithm keeps it from seeing a zero, but it is "
            "so large that it changes the entropy. torch.xlogy(a, b) needs no such number.",
            ENTROPY,
            *({"log": lambda p, e=e: (p + e).log()} for e in (1e-4, 1e-3, 1e-2)),
        ),
        Mistake(
            "base-2",
            "The logarithm has base 2, so the entropy is in bits: 1.443 times as large as in nats. "
            "Nats come from the natural logarithm, torch.log.",
            ENTROPY,
            {"log": torch.log2},
        ),
        Mistake(
            "base-10",
            "The logarithm has base 10, which makes the entropy 2.303 times too small. "
            "Nats come from the natural logarithm, torch.log.",
            ENTROPY,
            {"log": torch.log10},
        ),
        Mistake(
            "minus-missing",
            "The minus sign is missing. A probability is at most 1, so its logarithm is at most 0; "
            "the minus makes the entropy a number that is never below 0.",
            ENTROPY,
            {"sign": _same},
        ),
        Mistake(
            "mean-over-classes",
            "You take the mean over the classes; entropy is their sum. The mean makes it smaller, "
            "by a factor as large as the number of classes.",
            ENTROPY,
            {"over_classes": lambda terms: terms.mean(1)},
        ),
        Mistake(
            "one-number",
            "You give one number for the whole batch. Each example has its own entropy: keep the "
            "shape (batch,), and add up over the classes only. The lesson compares pictures.",
            ENTROPY,
            {"over_batch": torch.sum},
            {"over_batch": torch.mean},
        ),
        Mistake(
            "wrong-axis",
            "You add up over axis 0, the examples. Add up over axis 1, the classes, so that each "
            "example gets its own entropy.",
            ENTROPY,
            {"over_classes": lambda terms: terms.sum(0)},
        ),
        Mistake(
            "softmax-first",
            "You apply softmax to what are probabilities already. A second softmax makes them "
            "nearly equal, so that every example looks unsure. Use the probabilities as they are.",
            ENTROPY,
            {"prepare": _softmax},
            {"log": lambda p: F.log_softmax(p, 1)},
        ),
        Mistake(
            "weights-missing",
            "You add up the logarithms alone. Each one has to be weighed with its probability, "
            "p · log p: a class that hardly ever comes should hardly count.",
            ENTROPY,
            {"weigh": lambda p, log_p: log_p},
        ),
        Mistake(
            "log-missing",
            "The logarithm is missing: you add up p · p, and entropy adds up p · log p.",
            ENTROPY,
            {"log": _same},
        ),
        Mistake(
            "normalised",
            "You divide by the logarithm of the number of classes. That is the normalised entropy, "
            "a share of the largest possible one. Here we want nats, without the division.",
            ENTROPY,
            {"over_classes": lambda terms: terms.sum(1) / torch.tensor(terms.shape[1]).log()},
        ),
    ),
)


# ---------------------------------------------------------------- soft cross-entropy


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
    teacher=_same,
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
        Case("more examples than classes", (_drawn(5, 2, 5), _drawn(5, 2, 6).softmax(1))),
        Case("more classes than examples", (_drawn(4, 6, 7) * 3, (_drawn(4, 6, 8) * 2).softmax(1))),
    ),
    mistakes=(
        Mistake(
            "sum-over-batch",
            "You add up over the batch; take the mean over its examples. With the sum, a batch "
            "twice as large takes steps twice as long.",
            LABELS,
            {"over_batch": torch.sum},
        ),
        Mistake(
            "mean-over-entries",
            "You average over all entries, batch times classes. Add up over the classes first, "
            "then average over the examples. Otherwise more classes would make a smaller loss.",
            LABELS,
            {"over_classes": lambda terms: terms.mean(1)},
        ),
        Mistake(
            "not-averaged",
            "You give one number for each example. A loss is one number: average over the batch.",
            LABELS,
            {"over_batch": _same},
        ),
        Mistake(
            "wrong-axis",
            "Your softmax runs over axis 0, the examples, so the pictures of a batch compete with "
            "each other. It has to run over axis 1, the classes: dim=1.",
            LABELS,
            {"student": lambda logits: F.log_softmax(logits, 0)},
        ),
        Mistake(
            "softmax-twice",
            "Softmax is applied to the student twice. F.cross_entropy and F.log_softmax apply it "
            "themselves: give them the logits. After a second softmax the student can never be "
            "sure of anything.",
            LABELS,
            {"student": lambda logits: F.log_softmax(_softmax(logits), 1)},
        ),
        Mistake(
            "teacher-softmax",
            "You apply softmax to the teacher's probabilities. They are probabilities already; a "
            "second softmax makes them nearly equal and wipes out what the teacher says.",
            LABELS,
            {"teacher": _softmax},
        ),
        Mistake(
            "log-missing",
            "The logarithm is missing: you multiply the teacher's probabilities with the student's "
            "probabilities. Cross-entropy needs the student's log-probabilities, F.log_softmax.",
            LABELS,
            {"student": _softmax},
        ),
        Mistake(
            "softmax-missing",
            "The student's softmax is missing. Logits are no probabilities: they may be negative "
            "and need not add up to 1. F.log_softmax turns them into log-probabilities.",
            LABELS,
            {"student": _same},
            {"student": torch.log},
        ),
        Mistake(
            "minus-missing",
            "The minus sign is missing. Log-probabilities are at most 0; the minus makes the loss "
            "positive. Without it, training would drive the student away from the teacher.",
            LABELS,
            {"sign": _same},
        ),
        Mistake(
            "swapped",
            "Student and teacher have changed places. The teacher's probabilities are the weights; "
            "the logarithm is taken of the student's. In kdlab, as in F.cross_entropy, the student "
            "comes first.",
            LABELS,
            {"order": lambda student, teacher: (teacher, student)},
            {"terms": lambda p, log_q: log_q.exp() * p.log()},
            *({"terms": lambda p, log_q, e=e: log_q.exp() * (p + e).log()} for e in EPSILONS),
        ),
        Mistake(
            "underflow",
            "With large logits, softmax gives probabilities so small that float32 rounds them to "
            "0, and the logarithm of 0 is −∞. A small number added inside the logarithm hides "
            "this, but gives a wrong loss. F.log_softmax computes both steps as one and is exact.",
            LABELS,
            {"student": lambda logits: _softmax(logits).log()},
            *({"student": lambda logits, e=e: (_softmax(logits) + e).log()} for e in EPSILONS),
            *({"student": lambda logits, e=e: _softmax(logits).clamp(e).log()} for e in EPSILONS),
        ),
        Mistake(
            "hard-labels",
            "You use only the teacher's most likely class, as if it were a label. Then the "
            "teacher's small probabilities, which are what soft targets add, are lost. "
            "Use all of them.",
            LABELS,
            {"teacher": _answers},
        ),
        Mistake(
            "kl",
            "This is the KL divergence. It is the cross-entropy minus the teacher's entropy. Both "
            "have the same gradient for the student, so it would train alike, but its value "
            "differs.",
            LABELS,
            {"terms": lambda p, log_q: p * log_q - torch.xlogy(p, p)},
        ),
    ),
)


# ---------------------------------------------------------------- mean soft target of each class


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
    prepare=_same,
    groups=_by_label,  # (batch, classes): 1 where an example belongs to a row of the table
    average=_average,
    table=_same,
) -> Tensor:
    return table(average(groups(probabilities, labels), prepare(probabilities)))


def _teacher_of(labels: Tensor, classes: int, seed: int) -> Tensor:
    """Probabilities of a teacher that names every class, and that often differs from the labels."""
    answers = torch.arange(len(labels)) % classes
    return (_drawn(len(labels), classes, seed) + 4 * F.one_hot(answers, classes)).softmax(1)


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
            MAP,
            {"average": lambda member, p: member.T @ p},
        ),
        Mistake(
            "grouped-by-answer",
            "You average over the examples of the wrong class: those that the teacher *calls* c. "
            "Row c is about the examples *labelled* c, also where the teacher errs. Its errors are "
            "part of the map.",
            MAP,
            {"groups": lambda p, labels: _answers(p)},
        ),
        Mistake(
            "transposed",
            "Rows and columns have changed places. Row c describes the examples labelled c, so "
            "each row adds up to 1.",
            MAP,
            {"table": torch.t},
        ),
        Mistake(
            "overall-mean",
            "Every row is the mean over all examples. For row c take only the examples labelled c.",
            MAP,
            {"groups": lambda p, labels: torch.ones_like(p)},
        ),
        Mistake(
            "columns-normalised",
            "You divide so that the columns add up to 1. It is the rows that are distributions: "
            "divide each row by the number of examples of its class.",
            MAP,
            {"table": lambda table: table / table.sum(0)},
            {"average": lambda member, p: member.T @ p / p.sum(0)},
        ),
        Mistake(
            "counts-on-columns",
            "The division runs along the wrong axis: column c is divided by the count of class c. "
            "Counts of shape (classes, 1) divide the rows: counts[:, None].",
            MAP,
            {"average": lambda member, p: member.T @ p / member.sum(0)},
        ),
        Mistake(
            "geometric-mean",
            "You average the logarithms (or logits) and go back with exp or softmax. That is a "
            "geometric mean. The mean soft target is the plain mean of the probabilities.",
            MAP,
            {"average": lambda member, p: _mean_log(member, p).exp()},
            {"average": lambda member, p: _softmax(_mean_log(member, p))},
        ),
        Mistake(
            "divided-by-all",
            "You divide by the number of all examples. Divide row c by the number of examples "
            "labelled c; then each row adds up to 1.",
            MAP,
            {"average": lambda member, p: member.T @ p / len(p)},
        ),
        Mistake(
            "softmax-first",
            "You apply softmax to what are probabilities already. A second softmax makes them "
            "nearly equal, and the map loses its pattern. Use the probabilities as they are.",
            MAP,
            {"prepare": _softmax},
            {"table": _softmax},
        ),
        Mistake(
            "answers-counted",
            "You count how often the teacher names each class. That is a confusion matrix. It "
            "drops the small probabilities: take the mean of the probabilities themselves.",
            MAP,
            {"prepare": _answers},
        ),
    ),
)


EXERCISES = (entropy, mean_soft_target, soft_cross_entropy)


# ---------------------------------------------------------------- questions

QUIZZES = (
    Question(
        LESSON,
        "soft targets 1",
        "A soft target tells more about a picture than its label does. Why?",
        (
            Option(
                "Because its probabilities add up to one.",
                "A label's do too: written as probabilities it is a one and nothing but zeros. "
                "Compare these zeros with what the teacher puts in their place.",
            ),
            Option(
                "Because the teacher is always right.",
                "The teacher errs too. Its soft target tells more even there: a label is never in "
                "doubt, a soft target also says how unsure the teacher was.",
            ),
            Option(
                "Because it makes the training data larger.",
                "The number of pictures stays the same; each one says more. (A teacher can also "
                "mark pictures that have no label. That is another gain: see “Unlabelled data”.)",
            ),
            Option(
                "Because its small probabilities say which other classes the picture resembles.",
                "A shirt with a little “coat” in it is another shirt than one with a little "
                "“T-shirt”. The label is the same for both; the soft target tells them apart.",
                right=True,
            ),
        ),
    ),
    Question(
        LESSON,
        "soft targets 2",
        "Suppose that soft targets gain +1.1 points over labels with 1,000 pictures (95 % interval "
        "+0.8 to +1.4), and +0.1 points with 12,000 pictures (95 % interval −0.2 to +0.4). What do "
        "the two intervals tell together?",
        (
            Option(
                "With 12,000 pictures soft targets gain 0.1 points: little, but certain.",
                "It is not certain. The interval also holds 0 and −0.2: chance alone, such as "
                "another seed, could have made this 0.1.",
            ),
            Option(
                "With 12,000 pictures the gain is smaller; these runs cannot tell it from zero.",
                "The intervals do not overlap, so the gain has shrunk. The second one contains "
                "zero, so a small gain, a small loss and no difference all fit these runs.",
                right=True,
            ),
            Option(
                "With 12,000 pictures both ways are proved to be equally good.",
                "Not to see a difference is not to show that there is none: everything from −0.2 "
                "to +0.4 fits. “The same” needs a margin, chosen before the runs, and an "
                "interval that lies inside it.",
            ),
            Option(
                "With 12,000 pictures 95 % of the students gain between −0.2 and +0.4 points.",
                "The interval is about the mean gain over many students. The gains of single "
                "students scatter more widely, from seed to seed.",
            ),
        ),
    ),
)
