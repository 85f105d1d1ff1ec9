"""Lesson 4: a feature loss of one's own, and what goes wrong there."""

import torch
import torch.nn.functional as F
from torch import Tensor

from kdlab.check.cases import drawn
from kdlab.check.core import Case, Exercise, Mistake
from kdlab.check.steps import same

LESSON = "04"
SECTION = "A loss of your own"


def our_feature_loss(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """One minus the cosine of student and teacher, averaged over the batch.

    L = 1 − mean of cos(s_i, t_i).  Both (batch, ...), of one shape; maps are flattened.
    """
    return 1 - F.cosine_similarity(student_features.flatten(1), teacher_features.flatten(1)).mean()


def _feature_loss_in_steps(
    student_features: Tensor,
    teacher_features: Tensor,
    student=same,
    teacher=same,
    compare=lambda student, teacher: (student - teacher).square(),
    over_features=lambda gaps: gaps.flatten(1).mean(1),
    over_batch=torch.mean,
    sign=same,
    end=same,
) -> Tensor:
    gaps = compare(student(student_features), teacher(teacher_features))
    return end(sign(over_batch(over_features(gaps))))


def _facts(loss):
    """What is true of a loss, as ones (as it should be) and zeros, in the order below.

    There is no one right answer here: losses are compared by what a student needs of them.
    """

    def facts(student: Tensor, teacher: Tensor) -> object:
        try:
            given = torch.as_tensor(loss(student, teacher))
        except (TypeError, ValueError, RuntimeError):  # none, or no number: the check has words
            return loss(student, teacher)
        if not given.isfinite().all():
            return torch.tensor([given.numel() == 1, False] + 8 * [True])

        def value(student: Tensor, teacher: Tensor) -> Tensor:
            return torch.as_tensor(loss(student.clone(), teacher.clone())).detach().mean()

        here, at_teacher = value(student, teacher), value(teacher, teacher)
        slope = _slope(loss, student, teacher)
        silent = student * (torch.arange(len(student)) > 0)[:, None, None, None]
        other = teacher + torch.linspace(0, 2, teacher.numel()).square().view_as(teacher)
        heeds = not here.isclose(value(student, other))
        least_elsewhere = heeds and bool(at_teacher > here)
        tripled = value(3 * teacher, teacher)
        reached = slope.flatten(1).abs().sum(1) > 0
        four_times = value(*(features.repeat(4, 1, 1, 1) for features in (student, teacher)))
        return torch.tensor(
            [
                given.numel() == 1,
                True,
                bool(reached.any()),
                bool(reached.all()) or not reached.any(),
                heeds,
                not least_elsewhere,
                least_elsewhere or not heeds or bool(tripled >= at_teacher - 1e-6),
                bool(four_times.abs() <= 2.5 * here.abs() + 1e-6),
                not heeds or not here.isclose(value(student, teacher.roll(1, 0))),
                bool(_slope(loss, silent, teacher).isfinite().all()),
            ]
        )

    return facts


def _slope(loss, student: Tensor, teacher: Tensor) -> Tensor:
    """The gradient at the student's features; zeros where none comes."""
    student = student.clone().requires_grad_()
    answer = torch.as_tensor(loss(student, teacher.clone())).mean()
    slope = None
    if answer.requires_grad:
        (slope,) = torch.autograd.grad(answer, student, allow_unused=True)
    return torch.zeros_like(student) if slope is None else slope


def _to_length_1(features: Tensor) -> Tensor:
    return features / features.flatten(1).norm(dim=1)[:, None, None, None]


def _batch_mean(features: Tensor) -> Tensor:
    return features.mean(0, keepdim=True)


def _first(features: Tensor) -> Tensor:
    return features[:1]


feature_loss = Exercise(
    lesson=LESSON,
    name="feature_loss",
    takes=("student_features", "teacher_features"),
    task="a loss of your own on features of one shape, (batch, channels, height, width) -> one "
    "number that a student can be trained to make small",
    reference=our_feature_loss,
    in_steps=_feature_loss_in_steps,
    play=_facts,
    praise="is a loss that a student can learn from: one finite number that does not grow with the "
    "batch, least at the teacher, with a gradient for every picture",
    cases=(
        # three, for a loss on distances: those of two pictures, over their mean, are always 1
        Case("three pictures", (drawn(31, 3, 2, 1, 2), drawn(32, 3, 2, 1, 2).relu())),
        Case("five pictures", (drawn(33, 5, 3, 2, 2), drawn(34, 5, 3, 2, 2).relu())),
    ),
    mistakes=(
        Mistake(
            "not-one-number",
            "Your loss gives several numbers. A loss is one number: take the mean over the batch "
            "and over what you compare in each example.",
            SECTION,
            {"over_batch": same},
            {"over_features": same, "over_batch": same},
        ),
        Mistake(
            "not-finite",
            "Your loss is NaN or infinite on ordinary features. What a projector gives may be "
            "negative, and what a ReLU gives is often exactly 0: look for a log, a root, or a "
            "division.",
            SECTION,
            {"compare": lambda student, teacher: (student.log() - teacher.log()).square()},
            {"compare": lambda student, teacher: student / teacher},
        ),
        Mistake(
            "no-gradient",
            "No gradient reaches the student's features, so they can learn nothing. Either the "
            "loss does not use them, or the thread is cut: by .detach(), .item(), numpy, or by "
            "argmax and the like.",
            SECTION,
            {"end": torch.detach},
            {"compare": lambda student, teacher: teacher.square()},
        ),
        Mistake(
            "compared-with-itself",
            "Your loss does not change with the teacher's features, and no gradient reaches the "
            "student's: one of the two is compared with itself. Look at which name stands where.",
            SECTION,
            {"compare": lambda student, teacher: (student - student).square()},
            {"compare": lambda student, teacher: (teacher - teacher).square()},
        ),
        Mistake(
            "ignores-teacher",
            "Your loss does not change with the teacher's features: what it asks of the student is "
            "the same under every teacher.",
            SECTION,
            {"compare": lambda student, teacher: student.square()},
        ),
        Mistake(
            "wrong-sign",
            "Your loss is larger where the student's features are the teacher's than elsewhere, so "
            "training would drive the student away. There is a minus missing, or one too many.",
            SECTION,
            {"sign": torch.neg},
        ),
        Mistake(
            "runs-away",
            "Your loss falls on and on while the student's features grow: at three times the "
            "teacher's features it is lower than at the teacher's own. Scale both to length 1 "
            "first, F.normalize, or compare differences.",
            SECTION,
            {"compare": lambda student, teacher: -student * teacher},
        ),
        Mistake(
            "sum-over-batch",
            "Your loss adds up over the examples: four times the batch makes it four times as "
            "large, and its weight against the other terms too. Take the mean over the batch.",
            SECTION,
            {"over_batch": torch.sum},
        ),
        Mistake(
            "unpaired",
            "Your loss stays the same when the teacher's examples come in another order. So it "
            "compares averages over the batch, and never a picture with the same picture.",
            SECTION,
            {"student": _batch_mean, "teacher": _batch_mean},
        ),
        Mistake(
            "some-examples-unused",
            "The gradient reaches only some of the batch's examples; the others are computed for "
            "nothing. Look for an index such as [0].",
            SECTION,
            {"student": _first, "teacher": _first},
        ),
        Mistake(
            "nan-at-zero",
            "Where a student's features are all 0, as a silent ReLU gives them, the gradient is "
            "NaN, and one such picture ends the training. F.normalize and F.cosine_similarity "
            "take care of this; a division by a norm does not.",
            SECTION,
            {"student": _to_length_1},
        ),
    ),
)
