"""Lesson 3: a training step with both terms, and what goes wrong there."""

import contextlib
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdlab import losses
from kdlab.check import soft_term
from kdlab.check.cases import drawn, integers
from kdlab.check.core import Case, Exercise, Mistake

LESSON = "03"
SECTION = "One step, two voices"


def our_distill_step(student, teacher, optimizer, inputs, labels, temperature, alpha) -> Tensor:
    """One step of distillation: the student learns, the teacher only answers. Returns the loss.

    L = alpha · CE(student, labels) + (1 − alpha) · T² · KL(teacher_T || student_T)
    """
    teacher.eval()
    with torch.no_grad():
        teacher_logits = teacher(inputs)
    student_logits = student(inputs)
    hard = F.cross_entropy(student_logits, labels)
    soft = losses.soft_target_kl(student_logits, teacher_logits, temperature)
    loss = alpha * hard + (1 - alpha) * soft
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


def _learn(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    loss.backward()
    optimizer.step()


def _distill_step_in_steps(
    student,
    teacher,
    optimizer,
    inputs,
    labels,
    temperature,
    alpha,
    listen=nn.Module.eval,
    quietly=torch.no_grad,
    order=lambda student, teacher: (student, teacher),
    hard=lambda logits, labels, temperature: F.cross_entropy(logits, labels),
    soft=losses.soft_target_kl,
    mix=lambda hard, soft, alpha: alpha * hard + (1 - alpha) * soft,
    forget=lambda optimizer: optimizer.zero_grad(),
    learn=_learn,
) -> Tensor:
    listen(teacher)
    with quietly():
        answers = teacher(inputs)
    logits = student(inputs)
    loss = mix(hard(logits, labels, temperature), soft(*order(logits, answers), temperature), alpha)
    forget(optimizer)
    learn(loss, optimizer)
    return loss.detach()


def _three_steps(step: Callable) -> Callable:
    """Three steps with a new student and a teacher fresh from its own training.

    Gives the three losses, and 1 where gradients have reached the teacher, else 0.
    """

    def played(inputs: Tensor, labels: Tensor, temperature: float, alpha: float) -> list | None:
        features, classes = inputs.shape[1], 3
        student = nn.Linear(features, classes)
        teacher = nn.Sequential(nn.Linear(features, classes), nn.BatchNorm1d(classes))
        with torch.no_grad():
            for seed, layer in enumerate((student, teacher[0]), 1):
                layer.weight.copy_(2 * drawn(seed, classes, features))
                layer.bias.zero_()
        optimizer = torch.optim.SGD(student.parameters(), lr=0.2)
        given = (student, teacher, optimizer, inputs, labels, temperature, alpha)
        told = [step(*given) for _ in range(3)]
        if any(loss is None or loss is ... for loss in told):
            return None
        reached = any(weight.grad is not None for weight in teacher.parameters())
        return [*told, float(reached)]

    return played


distill_step = Exercise(
    lesson=LESSON,
    name="distill_step",
    takes=("student", "teacher", "optimizer", "inputs", "labels", "temperature", "alpha"),
    task="one training step of the student on labels (weight alpha) and teacher (1 - alpha) "
    "-> the loss",
    reference=our_distill_step,
    in_steps=_distill_step_in_steps,
    play=_three_steps,
    cases=(
        Case(
            "three steps on two examples, which give three losses, and 0 for a teacher in peace",
            (torch.tensor([[1.0, 0.0], [0.5, -1.0]]), integers(0, 2), 1.0, 0.5),
        ),
        Case("three steps at T = 4", (drawn(3, 4, 2), integers(0, 1, 2, 1), 4.0, 0.3)),
        Case("hardly a teacher", (drawn(4, 3, 2), integers(2, 0, 1), 2.0, 0.95)),
        Case("teacher only, alpha = 0", (drawn(5, 3, 4), integers(1, 1, 0), 3.0, 0.0)),
        Case("more weight on the labels", (drawn(6, 5, 3), integers(0, 2, 2, 1, 0), 2.0, 0.9)),
    ),
    mistakes=(
        Mistake(
            "teacher-in-training-mode",
            "The teacher answers in training mode. There, batch norm looks at the batch and "
            "dropout drops at random, so its answers change with the company that a picture "
            "keeps. Call teacher.eval() first.",
            SECTION,
            {"listen": lambda teacher: teacher},
            {"listen": nn.Module.train},
        ),
        Mistake(
            "teacher-gradients",
            "Your student learns rightly, but the gradients go on into the teacher. Nobody needs "
            "them, they cost time and memory, and an optimizer that holds the teacher's weights "
            "would move it. Ask the teacher under torch.no_grad().",
            SECTION,
            {"quietly": contextlib.nullcontext},
        ),
        Mistake(
            "gradients-pile-up",
            "The first step is right, the next ones are not: the gradients of earlier steps are "
            "still there, and backward() adds to them. Call optimizer.zero_grad() before "
            "loss.backward().",
            SECTION,
            {"forget": lambda optimizer: None},
        ),
        Mistake(
            "student-stands-still",
            "The loss is right, but the student does not change. loss.backward() fills the "
            "gradients and optimizer.step() uses them: one of the two is missing, or zero_grad() "
            "stands between them.",
            SECTION,
            {"learn": lambda loss, optimizer: None},
            {"learn": lambda loss, optimizer: loss.backward()},
            {"learn": lambda loss, optimizer: (loss.backward(), optimizer.zero_grad())},
        ),
        Mistake(
            "weights-swapped",
            "The two weights have changed places. In kdlab alpha weighs the labels and 1 − alpha "
            "the teacher; other projects do it the other way round (section “Who means what”).",
            SECTION,
            {"mix": lambda hard, soft, alpha: (1 - alpha) * hard + alpha * soft},
        ),
        Mistake(
            "minus",
            "You subtract the second term. A minus pays the student for being far from what the "
            "term asks for. Both terms are costs: add them.",
            SECTION,
            {"mix": lambda hard, soft, alpha: alpha * hard - (1 - alpha) * soft},
            {"mix": lambda hard, soft, alpha: (1 - alpha) * soft - alpha * hard},
        ),
        Mistake(
            "one-weight-for-both",
            "Both terms carry the same weight. The labels' term is multiplied by alpha, the "
            "teacher's term by 1 − alpha: what one gets, the other loses.",
            SECTION,
            {"mix": lambda hard, soft, alpha: alpha * (hard + soft)},
            {"mix": lambda hard, soft, alpha: (1 - alpha) * (hard + soft)},
            {"mix": lambda hard, soft, alpha: hard + soft},
            {"mix": lambda hard, soft, alpha: (hard + soft) / 2},
        ),
        Mistake(
            "labels-full-weight",
            "The labels' term has its full weight, whatever alpha is. Multiply it by alpha, so "
            "that at alpha = 0 the labels are not heard.",
            SECTION,
            {"mix": lambda hard, soft, alpha: hard + (1 - alpha) * soft},
        ),
        Mistake(
            "teacher-full-weight",
            "The teacher's term has its full weight, whatever alpha is. Multiply it by 1 − alpha, "
            "so that at alpha = 1 the teacher is not heard.",
            SECTION,
            {"mix": lambda hard, soft, alpha: alpha * hard + soft},
        ),
        Mistake(
            "one-voice",
            "Only one of the two terms is in the loss. The student should hear both: alpha times "
            "the labels' term plus 1 − alpha times the teacher's.",
            SECTION,
            {"mix": lambda hard, soft, alpha: alpha * hard},
            {"mix": lambda hard, soft, alpha: (1 - alpha) * soft},
            {"mix": lambda hard, soft, alpha: hard},
            {"mix": lambda hard, soft, alpha: soft},
        ),
        Mistake(
            "swapped",
            "Student and teacher have changed places in the teacher's term. In kdlab the student "
            "comes first: soft_target_kl(student_logits, teacher_logits, temperature).",
            SECTION,
            {"order": lambda student, teacher: (teacher, student)},
        ),
        *soft_term.mistakes(SECTION),
        Mistake(
            "labels-softened",
            "You soften the student's logits for the labels too. T belongs to the teacher's term "
            "alone: labels say one class, there is nothing to make visible.",
            SECTION,
            {"hard": lambda logits, labels, t: F.cross_entropy(logits / t, labels)},
        ),
    ),
)
