"""Answers to `logit_matching_gradient`, as learners write them."""

import torch
import torch.nn.functional as F

from tests.check.answers import Answers

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong


def mean(z):
    return z.mean(dim=1, keepdim=True)


@right
def centred_difference(s, t):
    return ((s - mean(s)) - (t - mean(t))) / s.shape[1]


@right
def difference_centred(s, t):
    gap = s - t
    return (gap - gap.mean(-1, keepdim=True)) / gap.size(-1)


@right
def by_a_matrix(s, t):
    classes = s.shape[1]
    return (s - t) @ (torch.eye(classes) - 1 / classes) / classes


@right
def by_autograd(s, t):
    s = s.clone().requires_grad_()
    gap = (s - mean(s)) - (t - mean(t))
    (gap.square().sum() / (2 * s.shape[1])).backward()
    return s.grad


@right
def by_a_high_temperature(s, t):
    temperature = 1e6
    s, t = s.double() / temperature, t.double() / temperature
    return (s.softmax(1) - t.softmax(1)) * temperature


@right
def by_numpy_centring(s, t):
    s, t = s.numpy(), t.numpy()
    gap = s - s.mean(1, keepdims=True) - t + t.mean(1, keepdims=True)
    return gap / s.shape[1]


@wrong("sign")
def teacher_minus_student(s, t):
    return ((t - mean(t)) - (s - mean(s))) / s.shape[1]


@wrong("classes-missing")
def not_divided(s, t):
    return (s - mean(s)) - (t - mean(t))


@wrong("divided-by-classes-less-one")
def one_class_too_few(s, t):
    return ((s - mean(s)) - (t - mean(t))) / (s.shape[1] - 1)


@wrong("not-centred")
def raw_logits(s, t):
    return (s - t) / s.shape[1]


@wrong("one-side-centred")
def only_the_teacher(s, t):
    return (s - (t - mean(t))) / s.shape[1]


@wrong("one-side-centred")
def only_the_student(s, t):
    return (s - mean(s) - t) / s.shape[1]


@wrong("wrong-axis")
def means_of_classes(s, t):
    return ((s - s.mean(0)) - (t - t.mean(0))) / s.shape[1]


@wrong("one-mean-for-all")
def mean_of_everything(s, t):
    return ((s - s.mean()) - (t - t.mean())) / s.shape[1]


@wrong("probabilities")
def at_temperature_one(s, t):
    return F.softmax(s, 1) - F.softmax(t, 1)


@wrong("factor-two")
def derivative_of_mse(s, t):
    s = (s - mean(s)).requires_grad_()
    F.mse_loss(s, t - mean(t), reduction="none").mean(1).sum().backward()
    return s.grad


@wrong("averaged-over-batch")
def of_the_mean(s, t):
    return ((s - mean(s)) - (t - mean(t))) / s.numel()


@wrong("squared")
def squared_gaps(s, t):
    return ((s - mean(s)) - (t - mean(t))) ** 2 / s.shape[1]


@wrong("loss-not-gradient")
def half_mean_square(s, t):
    return ((s - mean(s)) - (t - mean(t))).pow(2).mean(1) / 2


@wrong("standardised")
def z_scores(s, t):
    s, t = (s - mean(s)) / s.std(1, keepdim=True), (t - mean(t)) / t.std(1, keepdim=True)
    return (s - t) / s.shape[1]


@wrong("sign + classes-missing")
def sign_and_classes(s, t):
    return (t - mean(t)) - (s - mean(s))


@wrong("classes-missing + not-centred")
def bare_difference(s, t):
    return s - t


@wrong("unknown")
def zeros(s, t):
    return torch.zeros_like(s)


@wrong("shape")
def one_number(s, t):
    return ((s - mean(s)) - (t - mean(t))).square().mean()


@wrong("changes-input")
def centres_in_place(s, t):
    s -= mean(s)
    return (s - t + mean(t)) / s.shape[1]
