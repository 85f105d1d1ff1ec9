"""Mutation testing of lesson 2's checks: each wrong answer gets its name, each right one passes.

The answers are written as learners write them, in many styles, and share no code with the bank.
"""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import kdlab
from kdlab.check import core
from kdlab.check.temperature import (
    EXERCISES,
    kd_loss,
    logit_matching_gradient,
    tempered_softmax,
)
from tests.check.answers import Answers

ANSWERS = Answers()
answer, right = ANSWERS.answer, ANSWERS.right


# ---------------------------------------------------------------- tempered softmax


@right(tempered_softmax)
def by_torch(z, T):
    return (z / T).softmax(dim=1)


@right(tempered_softmax)
def by_functional(z, T):
    return F.softmax(z / T, dim=-1)


@right(tempered_softmax)
def by_module(z, T):
    return nn.Softmax(dim=1)(z.div(T))


@right(tempered_softmax)
def by_hand(z, T):
    z = z / T
    z = z - z.max(dim=1, keepdim=True).values
    e = torch.exp(z)
    return e / e.sum(dim=1, keepdim=True)


@right(tempered_softmax)
def largest_first(z, T):
    e = ((z - z.amax(1, keepdim=True)) / T).exp()
    return e / e.sum(1, keepdim=True)


@right(tempered_softmax)
def by_logsumexp(z, T):
    return torch.exp(z / T - torch.logsumexp(z / T, 1, keepdim=True))


@right(tempered_softmax)
def by_log_softmax(z, T):
    return F.log_softmax(z / T, dim=1).exp()


@right(tempered_softmax)
def by_numpy(z, T):
    scaled = z.double().numpy() / T
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@right(tempered_softmax)
def by_loops(z, T):
    rows = []
    for row in z.tolist():
        top = max(row)
        powers = [math.exp((value - top) / T) for value in row]
        rows.append([power / sum(powers) for power in powers])
    return rows


@right(tempered_softmax)
def one_over_differences(z, T):
    gaps = (z[:, None, :] - z[:, :, None]) / T  # exp(inf) is inf, and 1 / inf is 0
    return 1 / gaps.exp().sum(2)


@answer(tempered_softmax, "overflow")
def naive(z, T):
    e = torch.exp(z / T)
    return e / e.sum(dim=1, keepdim=True)


@answer(tempered_softmax, "overflow")
def naive_by_numpy(z, T):
    with np.errstate(all="ignore"):
        powers = np.exp(z.numpy() / np.float32(T))
        return powers / powers.sum(axis=1, keepdims=True)


@answer(tempered_softmax, "one-maximum-for-all")
def largest_of_the_batch(z, T):
    e = torch.exp(z / T - (z / T).max())
    return e / e.sum(-1, keepdim=True)


@answer(tempered_softmax, "one-maximum-for-all")
def largest_of_each_class(z, T):
    e = torch.exp((z - z.max(dim=0).values) / T)
    return e / e.sum(1)[:, None]


@answer(tempered_softmax, "maximum-of-the-unsoftened")
def largest_too_early(z, T):
    e = torch.exp(z / T - z.max(1, keepdim=True)[0])
    return e / e.sum(1, keepdim=True)


@answer(tempered_softmax, "multiplied")
def sharper(z, T):
    return F.softmax(z * T, 1)


@answer(tempered_softmax, "temperature-ignored")
def plain(z, T):
    return z.softmax(1)


@answer(tempered_softmax, "temperature-ignored")
def cancels_out(z, T):
    e = torch.exp(z - z.amax(1, keepdim=True)) / T
    return e / e.sum(1, keepdim=True)


@answer(tempered_softmax, "probabilities-divided")
def divided_afterwards(z, T):
    return F.softmax(z, dim=1) / T


@answer(tempered_softmax, "softened-too-late")
def roots(z, T):
    p = z.softmax(1).pow(1 / T)
    return p / p.sum(1, keepdim=True)


@answer(tempered_softmax, "softened-too-late")
def log_of_softmax(z, T):
    return F.softmax(torch.log(F.softmax(z, 1)) / T, 1)


@answer(tempered_softmax, "softmax-twice")
def of_probabilities(z, T):
    return F.softmax(F.softmax(z, dim=1) / T, dim=1)


@answer(tempered_softmax, "softmax-twice")
def again(z, T):
    return (z / T).softmax(1).softmax(1)


@answer(tempered_softmax, "temperature-squared")
def squared_temperature(z, T):
    return F.softmax(z / T**2, dim=1)


@answer(tempered_softmax, "temperature-squared")
def root_of_temperature(z, T):
    return F.softmax(z / math.sqrt(T), dim=1)


@answer(tempered_softmax, "wrong-axis")
def along_the_batch(z, T):
    return F.softmax(z / T, dim=0)


@answer(tempered_softmax, "one-total-for-all")
def of_the_whole_batch(z, T):
    z = z / T
    e = torch.exp(z - z.max(1, keepdim=True).values)
    return e / e.sum()


@answer(tempered_softmax, "one-total-for-all")
def flattened(z, T):
    return F.softmax(z.flatten() / T, 0).view_as(z)


@answer(tempered_softmax, "not-normalised")
def powers_only(z, T):
    return torch.exp(z / T)


@answer(tempered_softmax, "not-normalised")
def shifted_powers_only(z, T):
    return torch.exp((z - z.amax(1, keepdim=True)) / T)


@answer(tempered_softmax, "logarithm")
def log_probabilities(z, T):
    return F.log_softmax(z / T, 1)


@answer(tempered_softmax, "overflow + temperature-squared")
def naive_and_squared(z, T):
    e = torch.exp(z / T**2)
    return e / e.sum(1, keepdim=True)


@answer(tempered_softmax, "multiplied + wrong-axis")
def sharper_along_the_batch(z, T):
    return F.softmax(z * T, 0)


@answer(tempered_softmax, "unknown")
def sparse(z, T):
    return F.one_hot(z.argmax(1), z.shape[1]) / T


@answer(tempered_softmax, "shape")
def largest_only(z, T):
    return F.softmax(z / T, 1).max(1).values


@answer(tempered_softmax, "changes-input")
def in_place(z, T):
    z /= T
    return z.softmax(1)


@answer(tempered_softmax, "arguments")
def without_temperature(z):
    return z.softmax(1)


@answer(tempered_softmax, "raises RuntimeError")
def dimension_lost(z, T):
    e = torch.exp(z / T)
    return e / e.sum(1)


# ---------------------------------------------------------------- the distillation loss


@right(kd_loss)
def by_kl_div(s, t, y, T, alpha):
    soft = F.kl_div(F.log_softmax(s / T, 1), F.softmax(t / T, 1), reduction="batchmean")
    return alpha * F.cross_entropy(s, y) + (1 - alpha) * T**2 * soft


@right(kd_loss)
def by_kl_div_of_logs(s, t, y, T, alpha):
    log_q, log_p = F.log_softmax(s / T, dim=-1), F.log_softmax(t / T, dim=-1)
    soft = F.kl_div(log_q, log_p, log_target=True, reduction="batchmean") * (T * T)
    return soft * (1.0 - alpha) + F.cross_entropy(s, y) * alpha


@right(kd_loss)
def by_modules(s, t, y, T, alpha):
    soft = nn.KLDivLoss(reduction="batchmean")((s / T).log_softmax(1), (t / T).softmax(1))
    return nn.CrossEntropyLoss()(s, y) * alpha + soft * T**2 * (1 - alpha)


@right(kd_loss)
def by_summing(s, t, y, T, alpha):
    log_q, log_p = (s / T).log_softmax(1), (t / T).log_softmax(1)
    soft = (log_p.exp() * (log_p - log_q)).sum(1).mean()
    return torch.lerp(soft * T**2, F.cross_entropy(s, y), alpha)


@right(kd_loss)
def by_cross_entropies(s, t, y, T, alpha):
    p = (t / T).softmax(1)
    soft = F.cross_entropy(s / T, p) - torch.special.entr(p).sum(1).mean()
    return alpha * F.nll_loss(s.log_softmax(1), y) + (1 - alpha) * soft * T**2


@right(kd_loss)
def with_detach(s, t, y, T, alpha):
    p = F.softmax(t.detach() / T, dim=1)
    soft = F.kl_div(F.log_softmax(s / T, dim=1), p, reduction="sum") / len(s)
    return alpha * F.cross_entropy(s, y) + (1 - alpha) * T**2 * soft


def usual(s, t, T, reduction="batchmean"):
    return F.kl_div(F.log_softmax(s / T, 1), F.softmax(t / T, 1), reduction=reduction)


@answer(kd_loss, "factor-missing")
def no_factor(s, t, y, T, a):
    return a * F.cross_entropy(s, y) + (1 - a) * usual(s, t, T)


@answer(kd_loss, "factor-once")
def factor_t(s, t, y, T, a):
    return a * F.cross_entropy(s, y) + (1 - a) * T * usual(s, t, T)


@answer(kd_loss, "factor-inverted")
def divided_by_the_factor(s, t, y, T, a):
    return a * F.cross_entropy(s, y) + (1 - a) * usual(s, t, T) / T**2


@answer(kd_loss, "factor-on-labels")
def factor_at_the_labels(s, t, y, T, a):
    return a * T**2 * F.cross_entropy(s, y) + (1 - a) * usual(s, t, T)


@answer(kd_loss, "factor-on-both")
def factor_outside(s, t, y, T, a):
    return (a * F.cross_entropy(s, y) + (1 - a) * usual(s, t, T)) * T**2


@answer(kd_loss, "alpha-swapped")
def weights_swapped(s, t, y, T, a):
    return (1 - a) * F.cross_entropy(s, y) + a * T**2 * usual(s, t, T)


@answer(kd_loss, "weight-missing")
def sum_of_terms(s, t, y, T, a):
    return a * F.cross_entropy(s, y) + T**2 * usual(s, t, T)


@answer(kd_loss, "weight-missing")
def extra_term(s, t, y, T, a):
    return F.cross_entropy(s, y) + a * T**2 * usual(s, t, T)


@answer(kd_loss, "one-weight-for-both")
def alpha_everywhere(s, t, y, T, a):
    return a * (F.cross_entropy(s, y) + T**2 * usual(s, t, T))


@answer(kd_loss, "kl-swapped")
def student_first(s, t, y, T, a):
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * usual(t, s, T)


@answer(kd_loss, "kl-div-arguments")
def target_first(s, t, y, T, a):
    soft = F.kl_div(F.softmax(t / T, 1), F.log_softmax(s / T, 1), reduction="batchmean")
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@answer(kd_loss, "kl-div-arguments")
def two_logarithms(s, t, y, T, a):
    soft = F.kl_div(F.log_softmax(s / T, 1), F.log_softmax(t / T, 1), reduction="batchmean")
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@answer(kd_loss, "log-missing")
def no_logarithm(s, t, y, T, a):
    soft = F.kl_div(F.softmax(s / T, 1), F.softmax(t / T, 1), reduction="batchmean")
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@answer(kd_loss, "mean-over-entries")
def mean_reduction(s, t, y, T, a):
    soft = usual(s, t, T, reduction="none").mean()
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@answer(kd_loss, "sum-over-batch")
def sum_reduction(s, t, y, T, a):
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * usual(s, t, T, reduction="sum")


@answer(kd_loss, "wrong-axis")
def along_axis_zero(s, t, y, T, a):
    soft = F.kl_div(F.log_softmax(s / T, 0), F.softmax(t / T, 0), reduction="batchmean")
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@answer(kd_loss, "wrong-axis")
def teacher_along_axis_zero(s, t, y, T, a):
    soft = F.kl_div(F.log_softmax(s / T, 1), F.softmax(t / T, 0), reduction="batchmean")
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@answer(kd_loss, "one-side-softened")
def teacher_only_softened(s, t, y, T, a):
    soft = F.kl_div(F.log_softmax(s, 1), F.softmax(t / T, 1), reduction="batchmean")
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@answer(kd_loss, "one-side-softened")
def student_only_softened(s, t, y, T, a):
    soft = F.kl_div(F.log_softmax(s / T, 1), F.softmax(t, 1), reduction="batchmean")
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@answer(kd_loss, "not-softened")
def never_softened(s, t, y, T, a):
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * usual(s, t, 1)


@answer(kd_loss, "multiplied")
def sharpened(s, t, y, T, a):
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * usual(s * T, t * T, 1)


@answer(kd_loss, "labels-softened")
def labels_meet_softened_logits(s, t, y, T, a):
    s = s / T
    soft = F.kl_div(s.log_softmax(1), (t / T).softmax(1), reduction="batchmean")
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@answer(kd_loss, "softmax-twice")
def cross_entropy_of_probabilities(s, t, y, T, a):
    return a * F.cross_entropy(F.softmax(s, 1), y) + (1 - a) * T**2 * usual(s, t, T)


@answer(kd_loss, "teacher-logits")
def teacher_without_softmax(s, t, y, T, a):
    p = t / T
    soft = torch.xlogy(p, p) - p * F.log_softmax(s / T, 1)
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft.sum(1).mean()


@answer(kd_loss, "teacher-logits")
def teacher_logits_in_kl_div(s, t, y, T, a):
    soft = F.kl_div(F.log_softmax(s / T, 1), t / T, reduction="batchmean")
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@answer(kd_loss, "underflow")
def logs_of_softmax(s, t, y, T, a):
    q, p = F.softmax(s / T, 1), F.softmax(t / T, 1)
    soft = (p * (torch.log(p) - torch.log(q))).sum(1).mean()
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@answer(kd_loss, "underflow")
def log_of_softmax_in_kl_div(s, t, y, T, a):
    soft = F.kl_div(torch.log(F.softmax(s / T, 1)), F.softmax(t / T, 1), reduction="batchmean")
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@answer(kd_loss, "underflow")
def log_of_a_ratio(s, t, y, T, a):
    q, p = F.softmax(s / T, 1), F.softmax(t / T, 1)
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * (p * (p / q).log()).sum(1).mean()


@answer(kd_loss, "cross-entropy")
def soft_cross_entropy(s, t, y, T, a):
    soft = F.cross_entropy(s / T, F.softmax(t / T, 1))
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@answer(kd_loss, "minus")
def minus_kl(s, t, y, T, a):
    return a * F.cross_entropy(s, y) - (1 - a) * T**2 * usual(s, t, T)


@answer(kd_loss, "factor-missing + alpha-swapped")
def no_factor_and_swapped(s, t, y, T, a):
    return (1 - a) * F.cross_entropy(s, y) + a * usual(s, t, T)


@answer(kd_loss, "factor-missing + mean-over-entries")
def no_factor_and_mean(s, t, y, T, a):
    return a * F.cross_entropy(s, y) + (1 - a) * usual(s, t, T, "none").mean()


@answer(kd_loss, "factor-missing + cross-entropy")
def no_factor_and_cross_entropy(s, t, y, T, a):
    return a * F.cross_entropy(s, y) + (1 - a) * F.cross_entropy(s / T, F.softmax(t / T, 1))


@answer(kd_loss, "unknown")
def squares_of_probabilities(s, t, y, T, a):
    soft = F.mse_loss(F.softmax(s / T, 1), F.softmax(t / T, 1))
    return a * F.cross_entropy(s, y) + (1 - a) * T**2 * soft


@answer(kd_loss, "unknown")
def teacher_learns(s, t, y, T, a):
    return a * F.cross_entropy(t, y) + (1 - a) * T**2 * usual(t, s, T)


@answer(kd_loss, "shape")
def one_number_an_example(s, t, y, T, a):
    soft = usual(s, t, T, "none").sum(1)
    return a * F.cross_entropy(s, y, reduction="none") + (1 - a) * T**2 * soft


@answer(kd_loss, "type")
def a_dictionary(s, t, y, T, a):
    return {"labels": F.cross_entropy(s, y), "teacher": usual(s, t, T)}


@answer(kd_loss, "arguments")
def without_alpha(s, t, y, T):
    return F.cross_entropy(s, y)


@answer(kd_loss, "raises RuntimeError")
def matrices_that_do_not_fit(s, t, y, T, a):
    return s @ t


@answer(kd_loss, "changes-input")
def divides_in_place(s, t, y, T, a):
    hard = F.cross_entropy(s, y)
    t /= T
    return a * hard + (1 - a) * T**2 * usual(s / T, t, 1)


# ---------------------------------------------------------------- the limit of the gradient


def mean(z):
    return z.mean(dim=1, keepdim=True)


@right(logit_matching_gradient)
def centred_difference(s, t):
    return ((s - mean(s)) - (t - mean(t))) / s.shape[1]


@right(logit_matching_gradient)
def difference_centred(s, t):
    gap = s - t
    return (gap - gap.mean(-1, keepdim=True)) / gap.size(-1)


@right(logit_matching_gradient)
def by_a_matrix(s, t):
    classes = s.shape[1]
    return (s - t) @ (torch.eye(classes) - 1 / classes) / classes


@right(logit_matching_gradient)
def by_autograd(s, t):
    s = s.clone().requires_grad_()
    gap = (s - mean(s)) - (t - mean(t))
    (gap.square().sum() / (2 * s.shape[1])).backward()
    return s.grad


@right(logit_matching_gradient)
def by_a_high_temperature(s, t):
    temperature = 1e6
    s, t = s.double() / temperature, t.double() / temperature
    return (s.softmax(1) - t.softmax(1)) * temperature


@right(logit_matching_gradient)
def by_numpy_centring(s, t):
    s, t = s.numpy(), t.numpy()
    gap = s - s.mean(1, keepdims=True) - t + t.mean(1, keepdims=True)
    return gap / s.shape[1]


@answer(logit_matching_gradient, "sign")
def teacher_minus_student(s, t):
    return ((t - mean(t)) - (s - mean(s))) / s.shape[1]


@answer(logit_matching_gradient, "classes-missing")
def not_divided(s, t):
    return (s - mean(s)) - (t - mean(t))


@answer(logit_matching_gradient, "divided-by-classes-less-one")
def one_class_too_few(s, t):
    return ((s - mean(s)) - (t - mean(t))) / (s.shape[1] - 1)


@answer(logit_matching_gradient, "not-centred")
def raw_logits(s, t):
    return (s - t) / s.shape[1]


@answer(logit_matching_gradient, "one-side-centred")
def only_the_teacher(s, t):
    return (s - (t - mean(t))) / s.shape[1]


@answer(logit_matching_gradient, "one-side-centred")
def only_the_student(s, t):
    return (s - mean(s) - t) / s.shape[1]


@answer(logit_matching_gradient, "wrong-axis")
def means_of_classes(s, t):
    return ((s - s.mean(0)) - (t - t.mean(0))) / s.shape[1]


@answer(logit_matching_gradient, "one-mean-for-all")
def mean_of_everything(s, t):
    return ((s - s.mean()) - (t - t.mean())) / s.shape[1]


@answer(logit_matching_gradient, "probabilities")
def at_temperature_one(s, t):
    return F.softmax(s, 1) - F.softmax(t, 1)


@answer(logit_matching_gradient, "factor-two")
def derivative_of_mse(s, t):
    s = (s - mean(s)).requires_grad_()
    F.mse_loss(s, t - mean(t), reduction="none").mean(1).sum().backward()
    return s.grad


@answer(logit_matching_gradient, "averaged-over-batch")
def of_the_mean(s, t):
    return ((s - mean(s)) - (t - mean(t))) / s.numel()


@answer(logit_matching_gradient, "squared")
def squared_gaps(s, t):
    return ((s - mean(s)) - (t - mean(t))) ** 2 / s.shape[1]


@answer(logit_matching_gradient, "loss-not-gradient")
def half_mean_square(s, t):
    return ((s - mean(s)) - (t - mean(t))).pow(2).mean(1) / 2


@answer(logit_matching_gradient, "standardised")
def z_scores(s, t):
    s, t = (s - mean(s)) / s.std(1, keepdim=True), (t - mean(t)) / t.std(1, keepdim=True)
    return (s - t) / s.shape[1]


@answer(logit_matching_gradient, "sign + classes-missing")
def sign_and_classes(s, t):
    return (t - mean(t)) - (s - mean(s))


@answer(logit_matching_gradient, "classes-missing + not-centred")
def bare_difference(s, t):
    return s - t


@answer(logit_matching_gradient, "unknown")
def zeros(s, t):
    return torch.zeros_like(s)


@answer(logit_matching_gradient, "shape")
def one_number(s, t):
    return ((s - mean(s)) - (t - mean(t))).square().mean()


@answer(logit_matching_gradient, "changes-input")
def centres_in_place(s, t):
    s -= mean(s)
    return (s - t + mean(t)) / s.shape[1]


# ---------------------------------------------------------------- the tests


@pytest.mark.parametrize(
    ("exercise", "name", "f"), ANSWERS, ids=[f"{e.name}-{f.__name__}" for e, _, f in ANSWERS]
)
def test_answer_gets_its_name(exercise, name, f):
    finding = core.examine(exercise, f)
    assert (finding.mistake or finding.state) == name, finding.message
    assert (finding.state == "right") == (name == "right")


def test_every_mistake_of_the_bank_has_a_wrong_answer_here():
    tried = {(exercise.name, name) for exercise, name, _ in ANSWERS}
    bank = {(exercise.name, m.name) for exercise in EXERCISES for m in exercise.mistakes}
    assert bank <= tried


def test_each_exercise_has_several_right_answers():
    for exercise in EXERCISES:
        assert sum(e is exercise and name == "right" for e, name, _ in ANSWERS) >= 6


def test_numbers_are_shown_as_numbers():
    message = core.examine(kd_loss, squares_of_probabilities).message
    assert "temperature     1\n" in message
    assert "alpha           0.3\n" in message
    message = core.examine(kd_loss, matrices_that_do_not_fit).message.replace("\n", " ")
    assert "labels of shape (1,), temperature 1.0 and alpha 0.3)." in message


def test_a_loss_without_gradient_gets_a_remark():
    finding = core.examine(kd_loss, lambda *given: by_kl_div(*given).detach())
    assert finding.state == "right"
    assert "no student can be trained" in finding.message
    assert "remark" not in core.examine(kd_loss, by_kl_div).message


def test_what_the_check_hands_back_trains_a_student(capsys):
    """The learner's own loss gives the very student that kdlab's gives."""
    data = kdlab.load_data("digits", train=100)
    teacher = kdlab.train("mlp-16", data, epochs=2, progress=False).student
    losses = [kdlab.check.kd_loss(by_kl_div, note=False), kdlab.losses.kd_loss]
    assert losses[0] is by_kl_div
    logits = [
        kdlab.distill(
            "mlp-8", teacher, data, loss=loss, epochs=2, progress=False, device="cpu"
        ).logits()
        for loss in losses
    ]
    assert torch.allclose(*logits, atol=1e-5)


def test_the_limit_is_where_the_gradient_goes():
    """Hinton's section 2.1, on the soft term: it is there at T = 1,000, and not at T = 1."""
    s, t = (torch.randn(6, 4, generator=torch.Generator().manual_seed(at)) for at in (1, 2))
    s = (3 * s.double()).requires_grad_()
    limit = logit_matching_gradient.reference(s.detach(), 3 * t.double())
    for temperature, near in ((1_000, True), (1, False)):
        loss = len(s) * kdlab.losses.soft_target_kl(s, 3 * t.double(), temperature)
        (gradient,) = torch.autograd.grad(loss, s)
        assert torch.allclose(gradient, limit, atol=0.01) == near
