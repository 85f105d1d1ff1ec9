"""Answers to `attention_map`, as learners write them."""

import numpy as np
import torch
import torch.nn.functional as F

from tests.check.answers import Answers

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong


@right
def with_normalize(features):
    return F.normalize(features.pow(2).mean(1).flatten(1))


@right
def with_a_sum(features):
    """The sum over channels is the mean, times a number that the scaling takes away."""
    return F.normalize((features**2).sum(dim=1).view(len(features), -1), dim=-1)


@right
def with_a_guarded_norm(features):
    rows = features.abs().square().mean(dim=1).reshape(features.size(0), -1)
    return rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-9)


@right
def picture_by_picture(features):
    return [F.normalize((picture * picture).mean(0).flatten(), dim=0) for picture in features]


@right
def scaled_as_a_map(features):
    maps = torch.einsum("bchw,bchw->bhw", features, features)
    return (maps / (maps.pow(2).sum((1, 2), keepdim=True).sqrt() + 1e-9)).flatten(1)


@right
def by_numpy(features):
    rows = (features.numpy() ** 2).mean(axis=1).reshape(len(features), -1)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


@wrong("nan-at-zero")
def unguarded(features):
    rows = features.square().mean(1).flatten(1)
    return rows / rows.norm(dim=1, keepdim=True)


@wrong("not-scaled")
def unscaled(features):
    return features.square().mean(1).flatten(1)


@wrong("scaled-to-sum-1")
def shares(features):
    rows = features.square().mean(1).flatten(1)
    return rows / rows.sum(1, keepdim=True)


@wrong("scaled-to-sum-1")
def normalize_with_p_1(features):
    return F.normalize(features.square().mean(1).flatten(1), p=1)


@wrong("scaled-by-largest")
def by_the_largest(features):
    rows = features.pow(2).mean(1).flatten(1)
    return rows / (rows.max(dim=1, keepdim=True).values + 1e-8)


@wrong("divided-by-squares")
def root_forgotten(features):
    rows = features.pow(2).mean(1).flatten(1)
    return rows / rows.pow(2).sum(1, keepdim=True)


@wrong("scaled-over-batch")
def normalize_dim_0(features):
    return F.normalize(features.square().mean(1).flatten(1), dim=0)


@wrong("scaled-over-batch")
def one_norm_for_all(features):
    rows = features.square().mean(1).flatten(1)
    return rows / torch.linalg.norm(rows)


@wrong("scaled-before-flatten")
def normalize_then_flatten(features):
    return F.normalize(features.square().mean(1)).flatten(1)


@wrong("scaled-before-flatten")
def normalize_the_last_axis(features):
    return F.normalize(features.square().mean(1), dim=-1).flatten(1)


@wrong("softmax")
def soft(features):
    return torch.softmax(features.square().mean(1).flatten(1), dim=1)


@wrong("absolute-values")
def absolute(features):
    return F.normalize(features.abs().mean(1).flatten(1))


@wrong("square-missing")
def plain_mean(features):
    return F.normalize(features.mean(dim=1).flatten(1))


@wrong("squared-after-the-mean")
def squared_late(features):
    return F.normalize(features.mean(1).square().flatten(1))


@wrong("rooted")
def length_of_channels(features):
    return F.normalize(features.square().mean(1).sqrt().flatten(1))


@wrong("largest-channel")
def strongest(features):
    return F.normalize(features.square().max(1).values.flatten(1))


@wrong("over-places")
def a_number_a_channel(features):
    return F.normalize(features.square().mean((2, 3)))


@wrong("over-places")
def a_sum_a_channel(features):
    return F.normalize((features**2).sum(-1).sum(-1))


@wrong("over-batch")
def mean_of_pictures(features):
    return F.normalize(features.square().mean(0).flatten(1))


@wrong("not-flattened")
def still_maps(features):
    maps = features.square().mean(1)
    return maps / maps.norm(dim=(1, 2), keepdim=True).clamp(min=1e-12)


@wrong("not-scaled + absolute-values")
def absolute_and_unscaled(features):
    return features.abs().mean(1).flatten(1)


@wrong("changes-input")
def squares_in_place(features):
    return F.normalize(features.square_().mean(1).flatten(1))
