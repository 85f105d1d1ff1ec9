"""Answers to `distill_step`, as learners write them."""

import torch
import torch.nn.functional as F
from torch import nn

import kdlab
from tests.check.answers import Answers

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong


def update(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def asked(teacher, inputs):
    teacher.eval()
    with torch.no_grad():
        return teacher(inputs)


@right
def by_kd_loss(student, teacher, optimizer, inputs, labels, T, alpha):
    said = asked(teacher, inputs)
    return update(optimizer, kdlab.losses.kd_loss(student(inputs), said, labels, T, alpha))


@right
def by_kl_div(student, teacher, optimizer, x, y, T, alpha):
    said = asked(teacher, x)
    optimizer.zero_grad()
    z = student(x)
    soft = F.kl_div(
        F.log_softmax(z / T, 1), F.log_softmax(said / T, 1), log_target=True, reduction="batchmean"
    )
    loss = alpha * F.cross_entropy(z, y) + (1 - alpha) * T**2 * soft
    loss.backward()
    optimizer.step()
    return loss


@right
def detached(student, teacher, optimizer, inputs, labels, T, alpha):
    teacher = teacher.eval()
    z, t = student(inputs), teacher(inputs).detach()
    hard, soft = F.cross_entropy(z, labels), kdlab.losses.soft_target_kl(z, t, T)
    return update(optimizer, alpha * hard + (1 - alpha) * soft)


@right
def frozen(student, teacher, optimizer, inputs, labels, T, alpha):
    teacher.requires_grad_(False).train(False)
    loss = kdlab.losses.kd_loss(student(inputs), teacher(inputs), labels, T, alpha)
    return update(optimizer, loss)


@right
def two_backwards(student, teacher, optimizer, inputs, labels, T, alpha):
    said, z = asked(teacher, inputs), student(inputs)
    hard = alpha * F.cross_entropy(z, labels)
    soft = (1 - alpha) * kdlab.losses.soft_target_kl(z, said, T)
    student.zero_grad()
    hard.backward(retain_graph=True)
    soft.backward()
    optimizer.step()
    return (hard + soft).detach()


@right
def zeroed_afterwards(student, teacher, optimizer, inputs, labels, T, alpha):
    loss = kdlab.losses.kd_loss(student(inputs), asked(teacher, inputs), labels, T, alpha)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss


@right
def by_hand(student, teacher, optimizer, inputs, labels, T, alpha):
    said = asked(teacher, inputs)
    loss = kdlab.losses.kd_loss(student(inputs), said, labels, T, alpha)
    rate = optimizer.param_groups[0]["lr"]
    weights = list(student.parameters())
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.data -= rate * gradient
    return loss.item()


def with_terms(mix, said=asked):
    def step(student, teacher, optimizer, inputs, labels, temperature, alpha):
        answers, z = said(teacher, inputs), student(inputs)
        hard = nn.CrossEntropyLoss()(z, labels)
        soft = temperature**2 * nn.KLDivLoss(reduction="batchmean")(
            F.log_softmax(z / temperature, -1), F.softmax(answers / temperature, -1)
        )
        return update(optimizer, mix(hard, soft, alpha))

    return step


def with_soft(soft):
    def step(student, teacher, optimizer, inputs, labels, temperature, alpha):
        answers, z = asked(teacher, inputs), student(inputs)
        told = soft(z, answers, temperature)
        return update(optimizer, alpha * F.cross_entropy(z, labels) + (1 - alpha) * told)

    return step


@wrong("teacher-in-training-mode")
def without_eval(student, teacher, optimizer, inputs, labels, T, alpha):
    with torch.no_grad():
        said = teacher(inputs)
    return update(optimizer, kdlab.losses.kd_loss(student(inputs), said, labels, T, alpha))


@wrong("teacher-in-training-mode")
def eval_of_the_student(student, teacher, optimizer, inputs, labels, T, alpha):
    student.eval()
    teacher.train()
    with torch.no_grad():
        said = teacher(inputs)
    return update(optimizer, kdlab.losses.kd_loss(student(inputs), said, labels, T, alpha))


@wrong("teacher-gradients")
def without_no_grad(student, teacher, optimizer, inputs, labels, T, alpha):
    teacher.eval()
    loss = kdlab.losses.kd_loss(student(inputs), teacher(inputs), labels, T, alpha)
    return update(optimizer, loss)


@wrong("gradients-pile-up")
def without_zero_grad(student, teacher, optimizer, inputs, labels, T, alpha):
    loss = kdlab.losses.kd_loss(student(inputs), asked(teacher, inputs), labels, T, alpha)
    loss.backward()
    optimizer.step()
    return loss


@wrong("student-stands-still")
def only_the_loss(student, teacher, optimizer, inputs, labels, T, alpha):
    return kdlab.losses.kd_loss(student(inputs), asked(teacher, inputs), labels, T, alpha)


@wrong("student-stands-still")
def without_backward(student, teacher, optimizer, inputs, labels, T, alpha):
    loss = kdlab.losses.kd_loss(student(inputs), asked(teacher, inputs), labels, T, alpha)
    optimizer.zero_grad()
    optimizer.step()
    return loss


@wrong("student-stands-still")
def zero_grad_too_late(student, teacher, optimizer, inputs, labels, T, alpha):
    loss = kdlab.losses.kd_loss(student(inputs), asked(teacher, inputs), labels, T, alpha)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss


@wrong("student-stands-still")
def all_under_no_grad(student, teacher, optimizer, inputs, labels, T, alpha):
    teacher.eval()
    with torch.no_grad():
        return kdlab.losses.kd_loss(student(inputs), teacher(inputs), labels, T, alpha)


MIXES = {
    "weights-swapped": lambda hard, soft, a: (1 - a) * hard + a * soft,
    "minus": lambda hard, soft, a: a * hard - (1 - a) * soft,
    "one-weight-for-both": lambda hard, soft, a: hard * a + soft * a,
    "labels-full-weight": lambda hard, soft, a: hard + (1 - a) * soft,
    "teacher-full-weight": lambda hard, soft, a: a * hard + soft,
    "one-voice": lambda hard, soft, a: (1 - a) * soft,
}
for name, mix in MIXES.items():
    wrong(name)(with_terms(mix))
wrong("one-weight-for-both")(with_terms(lambda hard, soft, a: hard + soft))
wrong("one-weight-for-both")(with_terms(lambda hard, soft, a: (hard + soft) / 2))
wrong("one-voice")(with_terms(lambda hard, soft, a: hard))


@wrong("swapped")
def teacher_first(student, teacher, optimizer, inputs, labels, T, alpha):
    said = asked(teacher, inputs)
    z = student(inputs)
    soft = kdlab.losses.soft_target_kl(said, z, T)
    return update(optimizer, alpha * F.cross_entropy(z, labels) + (1 - alpha) * soft)


@wrong("labels-softened")
def soft_labels(student, teacher, optimizer, inputs, labels, T, alpha):
    said, z = asked(teacher, inputs), student(inputs)
    soft = kdlab.losses.soft_target_kl(z, said, T)
    return update(optimizer, alpha * F.cross_entropy(z / T, labels) + (1 - alpha) * soft)


def batchmean(z, t):
    return F.kl_div(z.log_softmax(1), t.softmax(1), reduction="batchmean")


wrong("temperature-ignored")(with_soft(lambda z, t, T: batchmean(z, t)))
wrong("square-missing")(with_soft(lambda z, t, T: batchmean(z / T, t / T)))
wrong("square-twice")(with_soft(lambda z, t, T: T * T * kdlab.losses.soft_target_kl(z, t, T)))
wrong("unknown")(with_soft(lambda z, t, T: F.mse_loss(z, t)))


@wrong("gradients-pile-up + weights-swapped")
def swapped_and_piling_up(student, teacher, optimizer, inputs, labels, T, alpha):
    loss = kdlab.losses.kd_loss(student(inputs), asked(teacher, inputs), labels, T, 1 - alpha)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("teacher-in-training-mode + teacher-gradients")
def the_teacher_trains_too(student, teacher, optimizer, inputs, labels, T, alpha):
    return update(
        optimizer, kdlab.losses.kd_loss(student(inputs), teacher(inputs), labels, T, alpha)
    )


@wrong("unknown")
def two_steps_at_once(student, teacher, optimizer, inputs, labels, T, alpha):
    by_kd_loss(student, teacher, optimizer, inputs, labels, T, alpha)
    return by_kd_loss(student, teacher, optimizer, inputs, labels, T, alpha)


@wrong("raises AttributeError")
def asks_the_batch(student, teacher, optimizer, inputs, labels, T, alpha):
    return inputs.logits


@wrong("arguments")
def without_optimizer(student, teacher, inputs, labels, T, alpha):
    return by_kd_loss(student, teacher, None, inputs, labels, T, alpha)
