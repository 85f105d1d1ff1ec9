"""Answers to `text_cnn`, as learners write them."""

import torch
import torch.nn.functional as F

from tests.check.answers import Answers

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong


@right
def in_a_loop(filters, head, vectors):
    pooled = []
    for conv in filters:
        maps = F.relu(conv(vectors.permute(0, 2, 1)))
        pooled.append(F.max_pool1d(maps, maps.shape[-1]).squeeze(-1))
    return head(torch.hstack(pooled))


@right
def relu_after_the_maximum(filters, head, vectors):
    """The largest value is the same before and after a ReLU."""
    rows = vectors.mT
    return head(torch.relu(torch.cat([conv(rows).max(dim=2)[0] for conv in filters], dim=-1)))


@right
def by_adaptive_pool(filters, head, vectors):
    rows = torch.swapaxes(vectors, 1, 2)
    parts = [F.adaptive_max_pool1d(F.relu(conv(rows)), 1).flatten(1) for conv in filters]
    return F.linear(torch.cat(parts, 1), head.weight, head.bias)


@right
def text_by_text(filters, head, vectors):
    logits = []
    for text in vectors:
        found = [conv(text.T).clamp(min=0).max(dim=1).values for conv in filters]
        logits.append(head(torch.cat(found)))
    return torch.stack(logits)


@right
def by_functions_alone(filters, head, vectors):
    rows = torch.einsum("bwd->bdw", vectors)
    maps = [F.conv1d(rows, conv.weight, conv.bias, padding=conv.padding) for conv in filters]
    largest = torch.cat([each.topk(1, dim=2).values.squeeze(2) for each in maps], dim=1)
    return largest.relu() @ head.weight.T + head.bias


@right
def as_one_long_row_of_places(filters, head, vectors):
    """Maps of all filters in one tensor, filled up with −∞ to the longest."""
    maps = [torch.relu(conv(vectors.transpose(2, 1))) for conv in filters]
    longest = max(each.shape[2] for each in maps)
    padded = [F.pad(each, (0, longest - each.shape[2]), value=-torch.inf) for each in maps]
    return head(torch.cat(padded, dim=1).max(dim=2).values)


@wrong("not-transposed")
def straight_in(filters, head, vectors):
    return head(torch.cat([conv(vectors).relu().amax(2) for conv in filters], 1))


@wrong("not-transposed")
def reshaped(filters, head, vectors):
    rows = vectors.reshape(len(vectors), vectors.shape[2], vectors.shape[1])
    return head(torch.cat([conv(rows).relu().amax(2) for conv in filters], 1))


@wrong("relu-missing")
def no_relu(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return head(torch.cat([conv(rows).amax(2) for conv in filters], 1))


@wrong("relu-on-the-logits")
def relu_last(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return head(torch.cat([conv(rows).amax(2) for conv in filters], 1)).relu()


@wrong("mean-not-max")
def averaged(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return head(torch.cat([conv(rows).relu().mean(-1) for conv in filters], 1))


@wrong("sum-not-max")
def added(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return head(torch.cat([conv(rows).relu().sum(-1) for conv in filters], 1))


@wrong("max-over-filters")
def wrong_axis(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return head(torch.cat([conv(rows).relu().max(1).values for conv in filters], 1))


@wrong("places-not-values")
def second_of_max(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return head(torch.cat([conv(rows).relu().max(2)[1].float() for conv in filters], 1))


@wrong("one-place")
def last_place(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return head(torch.cat([conv(rows).relu()[..., -1] for conv in filters], 1))


@wrong("one-width")
def first_layer_alone(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return head(torch.cat([filters[0](rows).relu().amax(2) for _ in filters], 1))


@wrong("mixed-up")
def stacked(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    pooled = torch.stack([conv(rows).relu().amax(2) for conv in filters], dim=-1)
    return head(pooled.reshape(len(vectors), -1))


@wrong("head-missing")
def features_alone(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return torch.cat([conv(rows).relu().amax(2) for conv in filters], 1)


@wrong("softmax-at-the-end")
def probabilities(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return head(torch.cat([conv(rows).relu().amax(2) for conv in filters], 1)).softmax(-1)


@wrong("raises RuntimeError")
def joined_along_the_batch(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return head(torch.cat([conv(rows).relu().amax(2) for conv in filters]))


@wrong("relu-missing + softmax-at-the-end")
def two_at_once(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return torch.log_softmax(head(torch.cat([conv(rows).amax(2) for conv in filters], 1)), 1)
