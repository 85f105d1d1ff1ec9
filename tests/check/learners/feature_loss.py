"""Answers to `feature_loss`, as learners write them."""

import torch
import torch.nn.functional as F

from tests.check.answers import Answers

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong


@right
def cosine(student, teacher):
    return (1 - F.cosine_similarity(student.flatten(1), teacher.flatten(1))).mean()


@right
def squared(student, teacher):
    return F.mse_loss(student, teacher)


@right
def smooth_and_detached(student, teacher):
    return F.smooth_l1_loss(student, teacher.detach())


@right
def of_pooled_vectors(student, teacher):
    return F.mse_loss(F.normalize(student.mean((2, 3))), F.normalize(teacher.mean((2, 3))))


@right
def negative_cosine(student, teacher):
    return -F.cosine_similarity(student.flatten(1), teacher.flatten(1)).mean()


@right
def kl_of_maps(student, teacher):
    student, teacher = (f.mean(1).flatten(1).log_softmax(1) for f in (student, teacher))
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True)


@right
def as_a_matrix(student, teacher):
    gap = student.flatten(1) - teacher.flatten(1)
    return torch.trace(gap @ gap.T) / gap.numel()


@wrong("not-one-number")
def one_each(student, teacher):
    return (student - teacher).pow(2).flatten(1).mean(1)


@wrong("not-one-number")
def nothing_averaged(student, teacher):
    return (student - teacher) ** 2


@wrong("not-finite")
def log_of_features(student, teacher):
    return (student.log() - teacher.log()).abs().mean()


@wrong("not-finite")
def relative_error(student, teacher):
    return ((student - teacher) / teacher).abs().mean()


@wrong("no-gradient")
def as_item(student, teacher):
    return F.mse_loss(student, teacher).item()


@wrong("no-gradient")
def detached(student, teacher):
    return F.mse_loss(student.detach(), teacher)


@wrong("no-gradient")
def places_of_the_peaks(student, teacher):
    peaks = [f.flatten(1).argmax(1).float() for f in (student, teacher)]
    return (peaks[0] - peaks[1]).abs().mean() + teacher.square().mean()


@wrong("compared-with-itself")
def wrong_name(student, teacher):
    return F.mse_loss(student, student)


@wrong("ignores-teacher")
def small_features(student, teacher):
    return student.square().mean()


@wrong("wrong-sign")
def minus_mse(student, teacher):
    return -F.mse_loss(student, teacher)


@wrong("wrong-sign")
def cosine_itself(student, teacher):
    return F.cosine_similarity(student.flatten(1), teacher.flatten(1)).mean()


@wrong("runs-away")
def inner_product(student, teacher):
    return -(student.flatten(1) * teacher.flatten(1)).sum(1).mean()


@wrong("sum-over-batch")
def summed(student, teacher):
    return F.mse_loss(student, teacher, reduction="sum")


@wrong("unpaired")
def batch_means(student, teacher):
    return F.l1_loss(student.mean(0), teacher.mean(0))


@wrong("some-examples-unused")
def first_picture(student, teacher):
    return F.mse_loss(student[0], teacher[0])


@wrong("nan-at-zero")
def own_cosine(student, teacher):
    s, t = student.flatten(1), teacher.flatten(1)
    return 1 - ((s * t).sum(1) / (s.norm(dim=1) * t.norm(dim=1))).mean()


@wrong("wrong-sign + sum-over-batch")
def minus_sum(student, teacher):
    return -(student - teacher).square().sum()


@wrong("type")
def a_dictionary(student, teacher):
    return {"loss": F.mse_loss(student, teacher)}


@wrong("raises RuntimeError")
def shapes_wrong(student, teacher):
    return student.flatten(1) @ teacher


@wrong("changes-input")
def subtracts_in_place(student, teacher):
    return (student - teacher.mul_(1.0).sub_(0.5)).square().mean()
