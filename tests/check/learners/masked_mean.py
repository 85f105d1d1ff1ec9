"""Answers to `masked_mean`, as learners write them."""

import torch

from tests.check.answers import Answers

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong


@right
def with_masked_fill(vectors, numbers):
    empty = (numbers == 0)[:, :, None]
    total = vectors.masked_fill(empty, 0).sum(dim=1)
    return total / (numbers != 0).sum(dim=1, keepdim=True).clamp_min(1)


@right
def with_einsum(vectors, numbers):
    mask = (numbers > 0).float()
    weights = mask / torch.maximum(mask.sum(1, keepdim=True), torch.ones(1))
    return torch.einsum("bwd,bw->bd", vectors, weights)


@right
def text_by_text(vectors, numbers):
    means = []
    for rows, own in zip(vectors, numbers, strict=True):
        real = rows[own != 0]
        means.append(real.mean(0) if len(real) else torch.zeros(rows.shape[1]))
    return torch.stack(means)


@right
def by_matrices(vectors, numbers):
    there = (numbers != 0).float()
    shares = there / there.sum(1, keepdim=True).clamp(min=1)
    return (shares[:, None] @ vectors).squeeze(1)


@right
def with_nanmean(vectors, numbers):
    hidden = vectors.masked_fill(numbers.eq(0).unsqueeze(-1), torch.nan)
    return hidden.nanmean(dim=1).nan_to_num()


@right
def with_where(vectors, numbers):
    there = (numbers > 0)[..., None]
    count = there.sum(dim=1)
    return torch.where(there, vectors, 0.0).sum(dim=1) / torch.where(count == 0, 1, count)


@wrong("padding-counted")
def plain_mean(vectors, numbers):
    return vectors.mean(1)


@wrong("divided-by-length")
def mean_of_masked(vectors, numbers):
    return (vectors * (numbers != 0)[..., None]).mean(1)


@wrong("padding-added")
def sum_of_all(vectors, numbers):
    return vectors.sum(1) / (numbers != 0).sum(1, keepdim=True).clamp(min=1)


@wrong("nan-without-words")
def unguarded(vectors, numbers):
    mask = (numbers != 0).unsqueeze(-1).float()
    return (vectors * mask).sum(1) / mask.sum(1)


@wrong("unknown-left-out")
def above_one(vectors, numbers):
    mask = (numbers > 1).unsqueeze(-1).float()
    return (vectors * mask).sum(1) / mask.sum(1).clamp(min=1)


@wrong("mask-inverted")
def the_other_way(vectors, numbers):
    mask = (numbers == 0).unsqueeze(-1).float()
    return (vectors * mask).sum(1) / mask.sum(1).clamp(min=1)


@wrong("not-divided")
def summed(vectors, numbers):
    return (vectors * numbers.bool().unsqueeze(2)).sum(1)


@wrong("over-batch")
def along_the_batch(vectors, numbers):
    mask = (numbers != 0).unsqueeze(-1)
    return (vectors * mask).sum(0) / mask.sum(0).clamp(min=1)


@wrong("one-count-for-all")
def all_words(vectors, numbers):
    mask = (numbers != 0).unsqueeze(-1)
    return (vectors * mask).sum(1) / mask.sum()


@wrong("weighted-by-number")
def numbers_as_mask(vectors, numbers):
    return (vectors * numbers[:, :, None]).sum(1) / numbers.sum(1, keepdim=True).clamp(min=1)


@wrong("largest-not-mean")
def largest(vectors, numbers):
    return (vectors * (numbers != 0)[:, :, None]).max(1).values


@wrong("raises RuntimeError")
def mask_without_axis(vectors, numbers):
    return (vectors * (numbers != 0)).sum(1)


@wrong("changes-input")
def in_place(vectors, numbers):
    vectors *= (numbers != 0)[:, :, None]
    return vectors.sum(1) / (numbers != 0).sum(1, keepdim=True).clamp(min=1)
