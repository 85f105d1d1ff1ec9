"""Answers to `soft_cross_entropy`, as learners write them."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.check.answers import Answers

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong


@right
def by_torch(student, teacher):
    return F.cross_entropy(student, teacher)


@right
def by_module(student, teacher):
    return nn.CrossEntropyLoss()(student, teacher)


@right
def by_einsum(student, teacher):
    return -torch.einsum("bc,bc->", teacher, student.log_softmax(-1)) / len(student)


@right
def by_logsumexp(student, teacher):
    log_q = student - student.logsumexp(1, keepdim=True)
    return (teacher * -log_q).sum(1).mean(0)


@right
def by_rows(student, teacher):
    rows = [-torch.dot(t, F.log_softmax(s, 0)) for s, t in zip(student, teacher, strict=True)]
    return torch.stack(rows).mean()


@right
def by_kl_plus_entropy(student, teacher):
    kl = F.kl_div(student.log_softmax(1), teacher, reduction="batchmean")
    return kl + torch.special.entr(teacher).sum(1).mean()


@right
def by_matmul(student, teacher):
    return -(teacher @ student.log_softmax(1).T).diagonal().mean()


@right
def log_softmax_twice_is_once(student, teacher):
    return F.cross_entropy(F.log_softmax(student, 1), teacher)


@right
def in_float64(student, teacher):
    return F.cross_entropy(student.double(), teacher.double())


@right
def as_one_row(student, teacher):
    return F.cross_entropy(student, teacher).reshape(1)


@right
def as_float(student, teacher):
    return float(F.cross_entropy(student, teacher))


@wrong("sum-over-batch")
def sum_reduction(student, teacher):
    return F.cross_entropy(student, teacher, reduction="sum")


@wrong("mean-over-entries")
def mean_of_all(student, teacher):
    return torch.mean(-teacher * student.log_softmax(1))


@wrong("not-averaged")
def no_reduction(student, teacher):
    return F.cross_entropy(student, teacher, reduction="none")


@wrong("wrong-axis")
def softmax_along_the_batch(student, teacher):
    return torch.einsum("bc,bc->b", teacher, -student.log_softmax(dim=0)).mean()


@wrong("softmax-twice")
def cross_entropy_of_softmax(student, teacher):
    return F.cross_entropy(F.softmax(student, dim=1), teacher)


@wrong("softmax-twice")
def softmax_module_first(student, teacher):
    q = nn.Softmax(dim=-1)(student)
    return -(teacher * (q - q.logsumexp(-1, keepdim=True))).sum(-1).mean()


@wrong("teacher-softmax")
def softmax_of_the_teacher(student, teacher):
    return F.cross_entropy(student, torch.softmax(teacher, -1))


@wrong("log-missing")
def no_logarithm(student, teacher):
    return -(F.softmax(student, 1) * teacher).sum() / student.shape[0]


@wrong("softmax-missing")
def raw_logits(student, teacher):
    return -(student * teacher).sum(1).mean()


@wrong("softmax-missing")
def log_of_logits(student, teacher):
    return -(teacher * torch.log(student)).sum(1).mean()


@wrong("minus-missing")
def without_minus(student, teacher):
    return (teacher * F.log_softmax(student, -1)).sum(-1).mean()


@wrong("swapped")
def swapped_arguments(student, teacher):
    return F.cross_entropy(teacher, student)


@wrong("swapped")
def swapped_roles(student, teacher):
    return -(student.softmax(1) * teacher.log()).sum(1).mean()


@wrong("swapped")
def swapped_roles_with_epsilon(student, teacher):
    return -torch.mean(torch.sum(F.softmax(student, 1) * torch.log(teacher + 1e-8), dim=1))


@wrong("underflow")
def log_after_softmax(student, teacher):
    return -(teacher * torch.log(torch.softmax(student, 1))).sum(1).mean()


@wrong("underflow")
def log_after_softmax_with_epsilon(student, teacher):
    return -(teacher * torch.log(torch.softmax(student, 1) + 1e-8)).sum(1).mean()


@wrong("underflow")
def log_after_clamp(student, teacher):
    return (teacher * -student.softmax(1).clamp(min=1e-7).log()).sum(1).mean()


@wrong("underflow")
def log_of_exp_by_hand(student, teacher):
    e = torch.exp(student - student.max(1, keepdim=True).values)
    q = e / e.sum(1, keepdim=True)
    return -(teacher * q.log()).sum(1).mean()


@wrong("underflow")
def overflow_by_hand(student, teacher):
    log_q = student - student.exp().sum(1, keepdim=True).log()
    return -(teacher * log_q).sum(1).mean()


@wrong("hard-labels")
def argmax_labels(student, teacher):
    return F.cross_entropy(student, teacher.argmax(1))


@wrong("hard-labels")
def nll_of_argmax(student, teacher):
    return F.nll_loss(student.log_softmax(1), teacher.max(1).indices)


@wrong("kl")
def kl_batchmean(student, teacher):
    return F.kl_div(F.log_softmax(student, 1), teacher, reduction="batchmean")


@wrong("sum-over-batch + kl")
def kl_sum(student, teacher):
    return F.kl_div(F.log_softmax(student, 1), teacher, reduction="sum")


@wrong("mean-over-entries + kl")
def kl_mean(student, teacher):
    return F.kl_div(F.log_softmax(student, 1), teacher, reduction="none").mean()


@wrong("sum-over-batch + minus-missing")
def sum_without_minus(student, teacher):
    return torch.sum(teacher * student.log_softmax(1))


@wrong("mean-over-entries + underflow")
def mean_and_underflow(student, teacher):
    return -torch.mean(teacher * torch.log(student.softmax(1)))


@wrong("unknown")
def squared_difference(student, teacher):
    return F.mse_loss(student.softmax(1), teacher)


@wrong("unknown")
def never_a_number(student, teacher):
    return student.sum() * float("nan")


@wrong("shape")
def one_number_a_class(student, teacher):
    return -(teacher * student.log_softmax(1)).sum(0)


@wrong("changes-input")
def subtracts_in_place(student, teacher):
    student -= student.logsumexp(1, keepdim=True)
    return -(teacher * student).sum(1).mean()


@wrong("raises RuntimeError")
def matrices_that_do_not_fit(student, teacher):
    return student @ teacher
