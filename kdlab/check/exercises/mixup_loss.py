"""Lesson 7: MixUp with a teacher, and what goes wrong there."""

import contextlib
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdlab import losses
from kdlab.check import soft_term
from kdlab.check.cases import drawn, integers
from kdlab.check.core import Case, Exercise, Mistake

LESSON = "07"
SECTION = "A teacher that sees the mixture"


def our_mixup_loss(student, teacher, inputs, labels, weight, order, temperature, alpha) -> Tensor:
    """The distillation loss on a mixture of each example with a partner of the same batch.

    x = weight · inputs + (1 − weight) · inputs[order], which student and teacher both see;
    L = alpha · (weight · CE(labels) + (1 − weight) · CE(labels[order])) + (1 − alpha) · T² · KL
    """
    mixed = weight * inputs + (1 - weight) * inputs[order]
    with torch.no_grad():
        teacher_logits = teacher(mixed)
    logits = student(mixed)
    own, partners = F.cross_entropy(logits, labels), F.cross_entropy(logits, labels[order])
    hard = weight * own + (1 - weight) * partners
    soft = losses.soft_target_kl(logits, teacher_logits, temperature)
    return alpha * hard + (1 - alpha) * soft


def _blend(one, other, weight: float):
    return weight * one + (1 - weight) * other


def _blend_answers(teacher: nn.Module, mixed, inputs, partners, weight) -> Tensor:
    return _blend(teacher(inputs), teacher(partners), weight)


def _blend_probabilities(teacher: nn.Module, mixed, inputs, partners, weight) -> Tensor:
    return _blend(teacher(inputs).softmax(1), teacher(partners).softmax(1), weight).log()


def _mixup_loss_in_steps(
    student,
    teacher,
    inputs,
    labels,
    weight,
    order,
    temperature,
    alpha,
    partner=lambda rows, order: rows[order],
    blend=_blend,
    seen=lambda mixed, inputs: mixed,
    quietly=torch.no_grad,
    answers=lambda teacher, mixed, inputs, partners, weight: teacher(mixed),
    places=lambda student, teacher: (student, teacher),
    blend_labels=_blend,
    soft=losses.soft_target_kl,
    add=lambda hard, soft, alpha: alpha * hard + (1 - alpha) * soft,
    give=lambda loss: loss,
) -> Tensor:
    partners = partner(inputs, order)
    mixed = blend(inputs, partners, weight)
    with quietly():
        said = answers(teacher, mixed, inputs, partners, weight)
    logits = student(seen(mixed, inputs))
    costs = [F.cross_entropy(logits, of) for of in (labels, partner(labels, order))]
    hard = blend_labels(*costs, weight)
    return give(add(hard, soft(*places(logits, said), temperature), alpha))


def _with_networks(loss_of: Callable) -> Callable:
    """A new student and a teacher for each case.

    Gives the loss, 1 where it can train the student, and 1 where it also reaches the teacher.
    """

    def played(inputs, labels, weight, order, temperature, alpha) -> list | None:
        features, classes = inputs.shape[1], 3
        student = nn.Linear(features, classes)
        # bent: for a straight one, the mixture of its answers is its answer to the mixture
        teacher = nn.Sequential(nn.Linear(features, 4), nn.Tanh(), nn.Linear(4, classes)).eval()
        with torch.no_grad():
            for seed, layer in enumerate((student, teacher[0], teacher[2]), 1):
                layer.weight.copy_(2 * drawn(seed, *layer.weight.shape))
                layer.bias.zero_()
        loss = loss_of(student, teacher, inputs, labels, weight, order, temperature, alpha)
        if loss is None or loss is ...:
            return None
        if isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1:
            loss.backward()
        return [loss, *(float(_reached(net)) for net in (student, teacher))]

    return played


def _reached(net: nn.Module) -> bool:
    return any(weight.grad is not None for weight in net.parameters())


mixup_loss = Exercise(
    lesson=LESSON,
    name="mixup_loss",
    takes=(
        "student", "teacher", "inputs", "labels", "weight", "order", "temperature", "alpha",
    ),
    task="the distillation loss on a mixture of each example (weight) with its partner (order) "
    "-> the loss",
    reference=our_mixup_loss,
    in_steps=_mixup_loss_in_steps,
    play=_with_networks,
    cases=(
        Case(
            "three examples, each mixed with the next one; the loss, 1 for a student that can "
            "learn from it, and 0 for a teacher in peace",
            (
                torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.5]]),
                integers(0, 2, 1), 0.7, integers(1, 2, 0), 1.0, 0.5,
            ),
        ),
        Case(
            "T = 4",
            (drawn(4, 4, 2), integers(0, 1, 2, 1), 0.9, integers(2, 0, 3, 1), 4.0, 0.3),
        ),
        Case(
            "mostly the partner",
            (drawn(5, 3, 2), integers(2, 0, 1), 0.2, integers(2, 0, 1), 2.0, 0.8),
        ),
        Case(
            "teacher only, alpha = 0",
            (drawn(6, 4, 3), integers(1, 1, 0, 2), 0.6, integers(3, 2, 0, 1), 3.0, 0.0),
        ),
        Case(
            "labels only, alpha = 1",
            (drawn(7, 4, 3), integers(2, 1, 0, 2), 0.6, integers(1, 3, 0, 2), 3.0, 1.0),
        ),
    ),
    mistakes=(
        Mistake(
            "stale-teacher",
            "The student sees the mixture, but the teacher is asked about the pictures as they "
            "were. Its answer belongs to another picture: it is stale. Ask it about the very "
            "mixture that the student sees.",
            SECTION,
            {"answers": lambda teacher, mixed, inputs, partners, weight: teacher(inputs)},
            {"answers": lambda teacher, mixed, inputs, partners, weight: teacher(partners)},
        ),
        Mistake(
            "answers-mixed",
            "You ask the teacher about both pictures and mix its answers. A network is no straight "
            "line: its answer to the mixture is another one. Mix the pictures first, then ask.",
            SECTION,
            {"answers": _blend_answers},
            {"answers": _blend_probabilities},
        ),
        Mistake(
            "student-sees-no-mixture",
            "The teacher is asked about the mixture, but the student sees the pictures as they "
            "were. Both have to look at the same thing.",
            SECTION,
            {"seen": lambda mixed, inputs: inputs},
        ),
        Mistake(
            "inputs-not-mixed",
            "The labels are mixed, but the pictures are not. Each picture becomes "
            "weight · inputs + (1 − weight) · inputs[order].",
            SECTION,
            {"blend": lambda one, other, weight: one},
        ),
        Mistake(
            "labels-not-mixed",
            "The pictures are mixed, but only one of their two labels counts. The labels' term is "
            "weight · CE(labels) + (1 − weight) · CE(labels[order]).",
            SECTION,
            {"blend_labels": lambda own, partners, weight: own},
            {"blend_labels": lambda own, partners, weight: partners},
        ),
        Mistake(
            "larger-part-only",
            "Only the label of the larger part counts. That throws away what MixUp adds: 70 % coat "
            "and 30 % boot is to be called just that.",
            SECTION,
            {"blend_labels": lambda own, partners, weight: own if weight >= 0.5 else partners},
        ),
        Mistake(
            "weights-disagree",
            "Pictures and labels are mixed with different weights. What is 70 % of the picture is "
            "70 % of the label: weight belongs to the example itself, 1 − weight to its partner.",
            SECTION,
            {"blend_labels": lambda own, partners, weight: _blend(partners, own, weight)},
            {"blend": lambda one, other, weight: _blend(other, one, weight)},
        ),
        Mistake(
            "weight-on-the-partner",
            "You give the weight to the partner, in pictures and labels alike. It belongs to the "
            "example itself; the partner gets 1 − weight.",
            SECTION,
            {
                "blend": lambda one, other, weight: _blend(other, one, weight),
                "blend_labels": lambda own, partners, weight: _blend(partners, own, weight),
            },
        ),
        Mistake(
            "weight-ignored",
            "You mix half and half, whatever the weight is. MixUp draws a new weight for each "
            "batch, and most of its mixtures are not half and half.",
            SECTION,
            {
                "blend": lambda one, other, weight: (one + other) / 2,
                "blend_labels": lambda own, partners, weight: (own + partners) / 2,
            },
        ),
        Mistake(
            "labels-unweighted",
            "The pictures are mixed rightly, but both labels count alike. Weigh the two "
            "cross-entropies as you weigh the two pictures.",
            SECTION,
            {"blend_labels": lambda own, partners, weight: own + partners},
            {"blend_labels": lambda own, partners, weight: (own + partners) / 2},
        ),
        Mistake(
            "another-partner",
            "You choose partners of your own. Here order says who goes with whom: the partner of "
            "example i is example order[i], that is inputs[order] and labels[order].",
            SECTION,
            {"partner": lambda rows, order: rows.flip(0)},
            {"partner": lambda rows, order: rows.roll(1, 0)},
            {"partner": lambda rows, order: rows.roll(-1, 0)},
        ),
        Mistake(
            "teacher-gradients",
            "The loss is right, but its gradients go on into the teacher. Nobody needs them, and "
            "they cost time and memory. Ask the teacher under torch.no_grad().",
            SECTION,
            {"quietly": contextlib.nullcontext},
        ),
        Mistake(
            "no-gradient",
            "The value is right, but no student can be trained with it: it carries no gradient. "
            "Keep the student's forward pass out of torch.no_grad(), and return the loss without "
            ".item() or .detach().",
            SECTION,
            {"give": lambda loss: loss.detach()},
        ),
        Mistake(
            "alpha-swapped",
            "The weights of labels and teacher have changed places. In kdlab alpha weighs the "
            "labels and 1 − alpha the teacher.",
            SECTION,
            {"add": lambda hard, soft, alpha: (1 - alpha) * hard + alpha * soft},
        ),
        Mistake(
            "swapped",
            "Student and teacher have changed places in the teacher's term. In kdlab the student "
            "comes first: soft_target_kl(student_logits, teacher_logits, temperature).",
            SECTION,
            {"places": lambda student, teacher: (teacher, student)},
        ),
        *soft_term.mistakes(SECTION),
    ),
)  # fmt: skip
