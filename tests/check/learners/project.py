"""Answers to `project`, as learners write them."""

import torch
import torch.nn.functional as F

from tests.check.answers import Answers

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong


@right
def with_einsum(features, weight, bias):
    return torch.einsum("bchw,oc->bohw", features, weight) + bias.view(1, -1, 1, 1)


@right
def with_conv2d(features, weight, bias):
    return F.conv2d(features, weight[:, :, None, None], bias)


@right
def with_linear(features, weight, bias):
    return F.linear(features.movedim(1, -1), weight, bias).movedim(-1, 1)


@right
def with_matmul(features, weight, bias):
    batch, channels, height, width = features.shape
    mixed = weight @ features.reshape(batch, channels, -1) + bias[:, None]
    return mixed.reshape(batch, -1, height, width)


@right
def with_a_loop(features, weight, bias):
    maps = []
    for row, constant in zip(weight, bias, strict=True):
        maps.append((features * row[:, None, None]).sum(dim=1) + constant)
    return torch.stack(maps, dim=1)


@right
def one_place_at_a_time(features, weight, bias):
    mixed = torch.empty(len(features), len(weight), *features.shape[2:])
    for row in range(features.shape[2]):
        for column in range(features.shape[3]):
            mixed[:, :, row, column] = features[:, :, row, column] @ weight.T + bias
    return mixed


@wrong("bias-missing")
def no_bias(features, weight, bias):
    return F.conv2d(features, weight.unsqueeze(-1).unsqueeze(-1))


@wrong("bias-along-width")
def bias_as_it_comes(features, weight, bias):
    return torch.einsum("oc,bchw->bohw", weight, features) + bias


@wrong("bias-subtracted")
def minus_bias(features, weight, bias):
    return torch.einsum("oc,bchw->bohw", weight, features) - bias[None, :, None, None]


@wrong("reshaped")
def reshaped_weights(features, weight, bias):
    turned = features.permute(0, 2, 3, 1) @ weight.reshape(weight.shape[::-1]) + bias
    return turned.permute(0, 3, 1, 2)


@wrong("places-as-channels")
def reshaped_features(features, weight, bias):
    batch, channels, height, width = features.shape
    mixed = features.reshape(batch, height, width, channels) @ weight.T
    return mixed.reshape(batch, len(weight), height, width) + bias[:, None, None]


@wrong("places-as-channels")
def reshaped_there_and_permuted_back(features, weight, bias):
    batch, channels, height, width = features.shape
    mixed = features.reshape(batch, height, width, channels) @ weight.T
    return mixed.permute(0, 3, 1, 2) + bias[:, None, None]


@wrong("mean-over-channels")
def averaged(features, weight, bias):
    mixed = (features[:, None] * weight[None, :, :, None, None]).mean(2)
    return mixed + bias[:, None, None]


@wrong("channels-last")
def linear_alone(features, weight, bias):
    return F.linear(features.permute(0, 2, 3, 1), weight, bias)


@wrong("channels-first")
def stacked_in_front(features, weight, bias):
    return torch.stack(
        [torch.einsum("c,bchw->bhw", w, features) + b for w, b in zip(weight, bias, strict=True)]
    )


@wrong("places-lost")
def pooled(features, weight, bias):
    return F.linear(features.mean(dim=(2, 3)), weight, bias)


@wrong("flattened")
def flat(features, weight, bias):
    return F.conv2d(features, weight[..., None, None], bias).reshape(len(features), -1)


@wrong("flattened")
def flat_places(features, weight, bias):
    return weight @ features.flatten(2) + bias[:, None]


@wrong("relu-added")
def with_relu(features, weight, bias):
    return F.relu(F.conv2d(features, weight[..., None, None], bias))


@wrong("raises RuntimeError")
def shapes_that_do_not_fit(features, weight, bias):
    return features @ weight.T + bias


@wrong("bias-missing + relu-added")
def two_mistakes(features, weight, bias):
    return torch.einsum("oc,bchw->bohw", weight, features).clamp(min=0)
