"""Answers to `mean_soft_target`, as learners write them."""

import numpy as np
import torch
import torch.nn.functional as F

from tests.check.answers import Answers

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong


@right
def by_mask(p, y):
    return torch.stack([p[y == c].mean(0) for c in range(p.shape[1])])


@right
def by_one_hot(p, y):
    member = F.one_hot(y, num_classes=p.size(1)).float()
    return member.T @ p / member.sum(0).unsqueeze(1)


@right
def by_index_add(p, y):
    total = torch.zeros(p.shape[1], p.shape[1]).index_add_(0, y, p)
    return total / torch.bincount(y, minlength=p.shape[1]).unsqueeze(1)


@right
def by_sum_normalised(p, y):
    total = torch.einsum("nc,nk->ck", F.one_hot(y).to(p), p)
    return F.normalize(total, p=1, dim=1)


@right
def by_scatter_reduce(p, y):
    table = torch.zeros(p.shape[1], p.shape[1])
    return table.scatter_reduce(0, y[:, None].expand_as(p), p, "mean", include_self=False)


@right
def by_dictionary(p, y):
    rows = {}
    for label, row in zip(y.tolist(), p.tolist(), strict=True):
        rows.setdefault(label, []).append(row)
    return [np.mean(rows[label], axis=0).tolist() for label in sorted(rows)]


@right
def by_list_of_rows(p, y):
    return [p[y == label].mean(dim=0) for label in y.unique()]


@right
def by_numpy(p, y):
    p, y = p.numpy(), y.numpy()
    return np.stack([p[y == c].mean(axis=0) for c in range(p.shape[1])])


@wrong("sum")
def summed(p, y):
    return torch.zeros(p.shape[1], p.shape[1]).index_add_(0, y, p)


@wrong("grouped-by-answer")
def of_the_named_class(p, y):
    named = p.argmax(dim=1)
    return torch.stack([p[named == c].mean(0) for c in range(p.shape[1])])


@wrong("transposed")
def in_columns(p, y):
    return torch.stack([p[y == c].mean(0) for c in range(p.shape[1])], dim=1)


@wrong("overall-mean")
def same_row_everywhere(p, y):
    return p.mean(0).repeat(p.shape[1], 1)


@wrong("columns-normalised")
def sums_by_column(p, y):
    total = torch.zeros(p.shape[1], p.shape[1]).index_add_(0, y, p)
    return total / total.sum(dim=0, keepdim=True)


@wrong("columns-normalised")
def means_by_column(p, y):
    means = torch.stack([p[y == c].mean(0) for c in range(p.shape[1])])
    return F.normalize(means, p=1, dim=0)


@wrong("counts-on-columns")
def counts_without_axis(p, y):
    member = F.one_hot(y, p.shape[1]).to(p)
    return member.T @ p / torch.bincount(y, minlength=p.shape[1])


@wrong("geometric-mean")
def exp_of_mean_log(p, y):
    return torch.stack([p[y == c].log().mean(0).exp() for c in range(p.shape[1])])


@wrong("geometric-mean")
def softmax_of_mean_log(p, y):
    return torch.stack([F.softmax(p[y == c].log().mean(0), 0) for c in range(p.shape[1])])


@wrong("divided-by-all")
def of_all_examples(p, y):
    masks = [(y == c).float()[:, None] for c in range(p.shape[1])]
    return torch.stack([(p * mask).mean(0) for mask in masks])


@wrong("softmax-first")
def mean_of_softmax(p, y):
    return torch.stack([F.softmax(p, -1)[y == c].mean(0) for c in range(p.shape[1])])


@wrong("softmax-first")
def softmax_of_mean(p, y):
    return torch.stack([p[y == c].mean(0).softmax(0) for c in range(p.shape[1])])


@wrong("answers-counted")
def confusion(p, y):
    table = torch.zeros(p.shape[1], p.shape[1])
    for label, named in zip(y, p.argmax(1), strict=True):
        table[label, named] += 1
    return table / table.sum(1, keepdim=True)


@wrong("sum + transposed")
def summed_in_columns(p, y):
    return p.T @ F.one_hot(y, p.shape[1]).to(p)


@wrong("shape")
def own_class_only(p, y):
    return torch.stack([p[y == c, c].mean() for c in range(p.shape[1])])


@wrong("shape")
def one_row_an_example(p, y):
    return p


@wrong("unknown")
def medians(p, y):
    return torch.stack([p[y == c].median(0).values for c in range(p.shape[1])])


@wrong("changes-input")
def sorts_in_place(p, y):
    order = y.argsort()
    p[:], y[:] = p[order], y[order]
    return torch.stack([p[y == c].mean(0) for c in range(p.shape[1])])
