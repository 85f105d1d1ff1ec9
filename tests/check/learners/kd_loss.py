"""Answers to `kd_loss`, as learners write them."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.check.answers import Answers

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong


@right
def by_kl_div(s, t, y, T, alpha):
    soft = F.kl_div(F.log_softmax(s / T, 1), F.softmax(t / T, 1), reduction="batchmean")
    return alpha * F.cross_entropy(s, y) + (1 - alpha) * T**2 * soft


@right
def by_kl_div_of_logs(s, t, y, T, alpha):
    log_q, log_p = F.log_softmax(s / T, dim=-1), F.log_softmax(t / T, dim=-1)
    soft = F.kl_div(log_q, log_p, log_target=True, reduction="batchmean") * (T * T)
    return soft * (1.0 - alpha) + F.cross_entropy(s, y) * alpha


@right
def by_modules(s, t, y, T, alpha):
    soft = nn.KLDivLoss(reduction="batchmean")((s / T).log_softmax(1), (t / T).softmax(1))
    return nn.CrossEntropyLoss()(s, y) * alpha + soft * T**2 * (1 - alpha)


@right
def by_summing(s, t, y, T, alpha):
    log_q, log_p = (s / T).log_softmax(1), (t / T).log_softmax(1)
    soft = (log_p.exp() * (log_p - log_q)).sum(1).mean()
    return torch.lerp(soft * T**2, F.cross_entropy(s, y), alpha)


@right
def by_cross_entropies(s, t, y, T, alpha):
    p = (t / T).softmax(1)
    soft = F.cross_entropy(s / T, p) - torch.special.entr(p).sum(1).mean()
    return alpha * F.nll_loss(s.log_softmax(1), y) + (1 - alpha) * soft * T**2


@right
def with_detach(s, t, y, T, alpha):
    p = F.softmax(t.detach() / T, dim=1)
    soft = F.kl_div(F.log_softmax(s / T, dim=1), p, reduction="sum") / len(s)
    return alpha * F.cross_entropy(s, y) + (1 - alpha) * T**2 * soft


def usual(s, t, T, reduction="batchmean"):
    return F.kl_div(F.log_softmax(s / T, 1), F.softmax(t / T, 1), reduction=reduction)


@wrong("factor-missing")
def no_factor(s, t, y, T, a):
    return a * F.cross_entropy(s, y) + (1 - a) * usual(s, t, T)


@wrong("factor-once")
def factor_t(s, t, y, T, a):
    return a * F.cross_entropy(s, y) + (1 - a) * T * usual(s, t, T)


@wrong("factor-inverted")
def divided_by_the_factor(s, t, y, T, a):
    return a * F.cross_entropy(s, y) + (1 - a) * usual(s, t, T) / T**2


@wrong("factor-on-labels")
def factor_at_the_labels(s, t, y, T, a):
    return a * T**2 * F.cross_entropy(s, y) + (1 - a) * usual(s, t, T)


@wrong("factor-on-both")
def factor_outside(s, t, y, T, a):
    return (a * F.cross_entropy(s, y) + (1 - a) * usual(s, t, T)) * T**2


@wrong("alpha-swapped")
def weights_swapped(s, t, y, T, a):
    return (1 - a) * F.cross_entropy(s, y) + a * T**2 * usual(s, t, T)


@wrong("weight-missing")
def sum_of_terms(s, t, y, T, a):
    return a * F.cross_entropy(s, y) + T**2 * usual(s, t, T)


@wrong("weight-missing")
def extra_term(s, t, y, T, a):
    return F.cross_entropy(s, y) + a * T**2 * usual(s, t, T)


@wrong("one-weight-for-both")
def alpha_everywhere(s, t, y, T, a):
    return a * (F.cross_entropy(s, y) + T**2 * usual(s, t, T))


@wrong("kl-swapped")
def student_first(s, t, y, T, a):
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * usual(t, s, T)


@wrong("kl-div-arguments")
def target_first(s, t, y, T, a):
    soft = F.kl_div(F.softmax(t / T, 1), F.log_softmax(s / T, 1), reduction="batchmean")
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@wrong("kl-div-arguments")
def two_logarithms(s, t, y, T, a):
    soft = F.kl_div(F.log_softmax(s / T, 1), F.log_softmax(t / T, 1), reduction="batchmean")
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@wrong("log-missing")
def no_logarithm(s, t, y, T, a):
    soft = F.kl_div(F.softmax(s / T, 1), F.softmax(t / T, 1), reduction="batchmean")
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@wrong("mean-over-entries")
def mean_reduction(s, t, y, T, a):
    soft = usual(s, t, T, reduction="none").mean()
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@wrong("sum-over-batch")
def sum_reduction(s, t, y, T, a):
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * usual(s, t, T, reduction="sum")


@wrong("wrong-axis")
def along_axis_zero(s, t, y, T, a):
    soft = F.kl_div(F.log_softmax(s / T, 0), F.softmax(t / T, 0), reduction="batchmean")
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@wrong("wrong-axis")
def teacher_along_axis_zero(s, t, y, T, a):
    soft = F.kl_div(F.log_softmax(s / T, 1), F.softmax(t / T, 0), reduction="batchmean")
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@wrong("one-side-softened")
def teacher_only_softened(s, t, y, T, a):
    soft = F.kl_div(F.log_softmax(s, 1), F.softmax(t / T, 1), reduction="batchmean")
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@wrong("one-side-softened")
def student_only_softened(s, t, y, T, a):
    soft = F.kl_div(F.log_softmax(s / T, 1), F.softmax(t, 1), reduction="batchmean")
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@wrong("not-softened")
def never_softened(s, t, y, T, a):
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * usual(s, t, 1)


@wrong("multiplied")
def sharpened(s, t, y, T, a):
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * usual(s * T, t * T, 1)


@wrong("labels-softened")
def labels_meet_softened_logits(s, t, y, T, a):
    s = s / T
    soft = F.kl_div(s.log_softmax(1), (t / T).softmax(1), reduction="batchmean")
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@wrong("softmax-twice")
def cross_entropy_of_probabilities(s, t, y, T, a):
    return a * F.cross_entropy(F.softmax(s, 1), y) + (1 - a) * T**2 * usual(s, t, T)


@wrong("teacher-logits")
def teacher_without_softmax(s, t, y, T, a):
    p = t / T
    soft = torch.xlogy(p, p) - p * F.log_softmax(s / T, 1)
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft.sum(1).mean()


@wrong("teacher-logits")
def teacher_logits_in_kl_div(s, t, y, T, a):
    soft = F.kl_div(F.log_softmax(s / T, 1), t / T, reduction="batchmean")
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@wrong("underflow")
def logs_of_softmax(s, t, y, T, a):
    q, p = F.softmax(s / T, 1), F.softmax(t / T, 1)
    soft = (p * (torch.log(p) - torch.log(q))).sum(1).mean()
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@wrong("underflow")
def log_of_softmax_in_kl_div(s, t, y, T, a):
    soft = F.kl_div(torch.log(F.softmax(s / T, 1)), F.softmax(t / T, 1), reduction="batchmean")
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@wrong("underflow")
def log_of_a_ratio(s, t, y, T, a):
    q, p = F.softmax(s / T, 1), F.softmax(t / T, 1)
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * (p * (p / q).log()).sum(1).mean()


@wrong("cross-entropy")
def soft_cross_entropy(s, t, y, T, a):
    soft = F.cross_entropy(s / T, F.softmax(t / T, 1))
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@wrong("minus")
def minus_kl(s, t, y, T, a):
    return a * F.cross_entropy(s, y) - (1 - a) * T**2 * usual(s, t, T)


@wrong("factor-missing + alpha-swapped")
def no_factor_and_swapped(s, t, y, T, a):
    return (1 - a) * F.cross_entropy(s, y) + a * usual(s, t, T)


@wrong("factor-missing + mean-over-entries")
def no_factor_and_mean(s, t, y, T, a):
    return a * F.cross_entropy(s, y) + (1 - a) * usual(s, t, T, "none").mean()


@wrong("factor-missing + cross-entropy")
def no_factor_and_cross_entropy(s, t, y, T, a):
    return a * F.cross_entropy(s, y) + (1 - a) * F.cross_entropy(s / T, F.softmax(t / T, 1))


@wrong("unknown")
def squares_of_probabilities(s, t, y, T, a):
    soft = F.mse_loss(F.softmax(s / T, 1), F.softmax(t / T, 1))
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@wrong("unknown")
def teacher_learns(s, t, y, T, a):
    return a * F.cross_entropy(t, y) + (1 - a) * T**2 * usual(t, s, T)


@wrong("shape")
def one_number_an_example(s, t, y, T, a):
    soft = usual(s, t, T, "none").sum(1)
    return a * F.cross_entropy(s, y, reduction="none") + (1 - a) * T**2 * soft


@wrong("type")
def a_dictionary(s, t, y, T, a):
    return {"labels": F.cross_entropy(s, y), "teacher": usual(s, t, T)}


@wrong("arguments")
def without_alpha(s, t, y, T):
    return F.cross_entropy(s, y)


@wrong("raises RuntimeError")
def matrices_that_do_not_fit(s, t, y, T, a):
    return s @ t


@wrong("changes-input")
def divides_in_place(s, t, y, T, a):
    hard = F.cross_entropy(s, y)
    t /= T
    return a * hard + (1 - a) * T**2 * usual(s / T, t, 1)
