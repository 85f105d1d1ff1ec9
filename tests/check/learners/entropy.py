"""Answers to `entropy`, as learners write them."""

import math

import numpy as np
import torch

from tests.check.answers import Answers

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong


@right
def with_xlogy(p):
    return -torch.xlogy(p, p).sum(dim=1)


@right
def with_special_entr(p):
    return torch.special.entr(p).sum(-1)


@right
def with_where(p):
    safe = torch.where(p > 0, p, torch.ones_like(p))
    return torch.where(p > 0, -p * safe.log(), 0.0).sum(1)


@right
def with_epsilon(p):
    return -(p * torch.log(p + 1e-9)).sum(1)


@right
def with_clamp(p):
    return -torch.einsum("bc,bc->b", p, p.clamp(min=1e-12).log())


@right
def with_nansum(p):
    return -(p * p.log()).nansum(1)


@right
def with_categorical(p):
    return torch.distributions.Categorical(probs=p).entropy()


@right
def with_numpy(p):
    values = p.double().numpy()
    logs = np.log(values, where=values > 0, out=np.zeros_like(values))
    return -(values * logs).sum(axis=1)


@right
def with_loops(p):
    return [-sum(x * math.log(x) for x in row if x > 0) for row in p.tolist()]


@right
def with_list_of_tensors(p):
    return [-(row[row > 0] * row[row > 0].log()).sum() for row in p]


@right
def with_base_change(p):
    return torch.special.entr(p.double()).div(math.log(2)).sum(1) * math.log(2)


@right
def with_a_tuple(p):
    return tuple(torch.special.entr(row).sum() for row in p)


@wrong("log-of-zero")
def nan_at_zero(p):
    return torch.sum(-p * torch.log(p), -1)


@wrong("log-of-zero")
def nan_at_zero_by_einsum(p):
    return -torch.einsum("ij,ij->i", p, p.log())


@wrong("large-epsilon")
def epsilon_too_large(p):
    return -(p * torch.log(p + 0.001)).sum(1)


@wrong("base-2")
def in_bits(p):
    return torch.special.entr(p).sum(1) / math.log(2)


@wrong("base-2")
def in_bits_by_loop(p):
    return torch.tensor([-sum(x * math.log2(x) for x in row if x) for row in p.tolist()])


@wrong("base-10")
def in_bans(p):
    return -(p * torch.where(p > 0, p, 1).log10()).sum(1)


@wrong("minus-missing")
def no_minus(p):
    return torch.xlogy(p, p).sum(-1)


@wrong("mean-over-classes")
def mean_of_classes(p):
    return torch.special.entr(p).mean(dim=1)


@wrong("one-number")
def sum_of_all(p):
    return torch.special.entr(p).sum()


@wrong("one-number")
def mean_of_batch(p):
    return torch.special.entr(p).sum(1).mean().item()


@wrong("wrong-axis")
def along_the_batch(p):
    return torch.special.entr(p).sum(dim=0)


@wrong("softmax-first")
def softmax_of_probabilities(p):
    q = torch.exp(p) / torch.exp(p).sum(1, keepdim=True)
    return -(q * q.log()).sum(1)


@wrong("softmax-first")
def categorical_logits(p):
    return torch.distributions.Categorical(logits=p).entropy()


@wrong("softmax-first")
def log_softmax_for_log(p):
    return -(p * p.log_softmax(dim=-1)).sum(-1)


@wrong("weights-missing")
def logs_only(p):
    return -p.log().sum(1)


@wrong("log-missing")
def no_log(p):
    return -p.pow(2).sum(1)


@wrong("normalised")
def share_of_the_largest(p):
    return torch.special.entr(p).sum(1) / math.log(p.shape[1])


@wrong("log-of-zero + base-2")
def nan_and_bits(p):
    return -(p * p.log2()).sum(1)


@wrong("log-of-zero + minus-missing")
def nan_and_no_minus(p):
    return (p * p.log()).sum(1)


@wrong("log-of-zero + one-number")
def nan_and_mean(p):
    return -(p * p.log()).sum(1).mean()


@wrong("base-2 + mean-over-classes")
def bits_and_mean(p):
    return torch.special.entr(p).mean(1) / math.log(2)


@wrong("shape")
def kept_dimension(p):
    return torch.special.entr(p).sum(1, keepdim=True)


@wrong("shape")
def not_summed(p):
    return torch.special.entr(p)


@wrong("changes-input")
def clamps_its_input(p):
    p.clamp_(min=1e-12)
    return -(p * p.log()).sum(1)


@wrong("base-2 + changes-input")
def clamps_and_bits(p):
    p += 1e-12
    return -(p * p.log2()).sum(1)


@wrong("unknown")
def gini(p):
    return 1 - p.square().sum(1)


@wrong("unknown")
def always_nan(p):
    return p.sum(1) * float("nan")


@wrong("unknown")
def perplexity(p):
    return torch.special.entr(p).sum(1).exp()


@wrong("type")
def gives_a_dict(p):
    return {"entropy": torch.special.entr(p).sum(1)}


@wrong("type")
def gives_text(p):
    return "0.69"


@wrong("raises IndexError")
def wrong_dimension(p):
    return p.sum(2)


@wrong("raises NotImplementedError")
def type_that_torch_lacks(p):
    return p.long().softmax(1)


@wrong("arguments")
def two_arguments(p, labels):
    return p
