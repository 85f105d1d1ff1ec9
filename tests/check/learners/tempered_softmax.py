"""Answers to `tempered_softmax`, as learners write them."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tests.check.answers import Answers

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong


@right
def by_torch(z, T):
    return (z / T).softmax(dim=1)


@right
def by_functional(z, T):
    return F.softmax(z / T, dim=-1)


@right
def by_module(z, T):
    return nn.Softmax(dim=1)(z.div(T))


@right
def by_hand(z, T):
    z = z / T
    z = z - z.max(dim=1, keepdim=True).values
    e = torch.exp(z)
    return e / e.sum(dim=1, keepdim=True)


@right
def largest_first(z, T):
    e = ((z - z.amax(1, keepdim=True)) / T).exp()
    return e / e.sum(1, keepdim=True)


@right
def by_logsumexp(z, T):
    return torch.exp(z / T - torch.logsumexp(z / T, 1, keepdim=True))


@right
def by_log_softmax(z, T):
    return F.log_softmax(z / T, dim=1).exp()


@right
def by_numpy(z, T):
    scaled = z.double().numpy() / T
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@right
def by_loops(z, T):
    rows = []
    for row in z.tolist():
        top = max(row)
        powers = [math.exp((value - top) / T) for value in row]
        rows.append([power / sum(powers) for power in powers])
    return rows


@right
def one_over_differences(z, T):
    gaps = (z[:, None, :] - z[:, :, None]) / T  # exp(inf) is inf, and 1 / inf is 0
    return 1 / gaps.exp().sum(2)


@wrong("overflow")
def naive(z, T):
    e = torch.exp(z / T)
    return e / e.sum(dim=1, keepdim=True)


@wrong("overflow")
def naive_by_numpy(z, T):
    with np.errstate(all="ignore"):
        powers = np.exp(z.numpy() / np.float32(T))
        return powers / powers.sum(axis=1, keepdims=True)


@wrong("one-maximum-for-all")
def largest_of_the_batch(z, T):
    e = torch.exp(z / T - (z / T).max())
    return e / e.sum(-1, keepdim=True)


@wrong("one-maximum-for-all")
def largest_of_each_class(z, T):
    e = torch.exp((z - z.max(dim=0).values) / T)
    return e / e.sum(1)[:, None]


@wrong("maximum-of-the-unsoftened")
def largest_too_early(z, T):
    e = torch.exp(z / T - z.max(1, keepdim=True)[0])
    return e / e.sum(1, keepdim=True)


@wrong("multiplied")
def sharper(z, T):
    return F.softmax(z * T, 1)


@wrong("temperature-ignored")
def plain(z, T):
    return z.softmax(1)


@wrong("temperature-ignored")
def cancels_out(z, T):
    e = torch.exp(z - z.amax(1, keepdim=True)) / T
    return e / e.sum(1, keepdim=True)


@wrong("probabilities-divided")
def divided_afterwards(z, T):
    return F.softmax(z, dim=1) / T


@wrong("softened-too-late")
def roots(z, T):
    p = z.softmax(1).pow(1 / T)
    return p / p.sum(1, keepdim=True)


@wrong("softened-too-late")
def log_of_softmax(z, T):
    return F.softmax(torch.log(F.softmax(z, 1)) / T, 1)


@wrong("softmax-twice")
def of_probabilities(z, T):
    return F.softmax(F.softmax(z, dim=1) / T, dim=1)


@wrong("softmax-twice")
def again(z, T):
    return (z / T).softmax(1).softmax(1)


@wrong("temperature-squared")
def squared_temperature(z, T):
    return F.softmax(z / T**2, dim=1)


@wrong("temperature-squared")
def root_of_temperature(z, T):
    return F.softmax(z / math.sqrt(T), dim=1)


@wrong("wrong-axis")
def along_the_batch(z, T):
    return F.softmax(z / T, dim=0)


@wrong("one-total-for-all")
def of_the_whole_batch(z, T):
    z = z / T
    e = torch.exp(z - z.max(1, keepdim=True).values)
    return e / e.sum()


@wrong("one-total-for-all")
def flattened(z, T):
    return F.softmax(z.flatten() / T, 0).view_as(z)


@wrong("not-normalised")
def powers_only(z, T):
    return torch.exp(z / T)


@wrong("not-normalised")
def shifted_powers_only(z, T):
    return torch.exp((z - z.amax(1, keepdim=True)) / T)


@wrong("logarithm")
def log_probabilities(z, T):
    return F.log_softmax(z / T, 1)


@wrong("overflow + temperature-squared")
def naive_and_squared(z, T):
    e = torch.exp(z / T**2)
    return e / e.sum(1, keepdim=True)


@wrong("multiplied + wrong-axis")
def sharper_along_the_batch(z, T):
    return F.softmax(z * T, 0)


@wrong("unknown")
def sparse(z, T):
    return F.one_hot(z.argmax(1), z.shape[1]) / T


@wrong("shape")
def largest_only(z, T):
    return F.softmax(z / T, 1).max(1).values


@wrong("changes-input")
def in_place(z, T):
    z /= T
    return z.softmax(1)


@wrong("arguments")
def without_temperature(z):
    return z.softmax(1)


@wrong("raises RuntimeError")
def dimension_lost(z, T):
    e = torch.exp(z / T)
    return e / e.sum(1)
