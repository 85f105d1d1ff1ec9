"""Answers to `count_parameters`, as learners write them."""

import math

import torch
from torch import nn

from tests.check.answers import Answers

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong


@right
def counted(model):
    return sum(p.numel() for p in model.parameters())


@right
def by_name(model):
    total = 0
    for _name, parameter in model.named_parameters():
        total += math.prod(parameter.shape)
    return total


@right
def in_one_vector(model):
    return len(nn.utils.parameters_to_vector(model.parameters()))


@right
def as_a_tensor(model):
    return torch.tensor([p.nelement() for p in model.parameters()]).sum()


@right
def each_layer_its_own(model):
    seen = {id(p): p.numel() for part in model.modules() for p in part.parameters(recurse=False)}
    return sum(seen.values())


@right
def of_an_optimizer(model):
    (group,) = torch.optim.SGD(model.parameters(), lr=0.1).param_groups
    return sum(weight.numel() for weight in group["params"])


@wrong("biases-forgotten")
def weights_by_name(model):
    return sum(p.numel() for name, p in model.named_parameters() if "weight" in name)


@wrong("biases-forgotten")
def matrices_only(model):
    return sum(p.numel() for p in model.parameters() if p.ndim > 1)


@wrong("buffers-counted")
def with_buffers(model):
    return sum(t.numel() for t in list(model.parameters()) + list(model.buffers()))


@wrong("buffers-counted + tied-twice")
def of_the_state_dict(model):
    return sum(t.numel() for t in model.state_dict().values())


@wrong("tensors-counted")
def how_many_tensors(model):
    return len(list(model.parameters()))


@wrong("tied-twice")
def layer_by_layer(model):
    return sum(p.numel() for part in model.modules() for p in part.parameters(recurse=False))


@wrong("biases-forgotten + tied-twice")
def layers_that_have_weights(model):
    layers = [part for part in model.modules() if hasattr(part, "weight")]
    return sum(layer.weight.numel() for layer in layers)


@wrong("every-level")
def all_of_each_module(model):
    return sum(p.numel() for module in model.modules() for p in module.parameters())


@wrong("frozen-left-out")
def trainable(model):
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@wrong("shapes-added")
def axes_added(model):
    return sum(sum(p.shape) for p in model.parameters())


@wrong("bytes-given")
def bytes_of_parameters(model):
    return sum(p.numel() * 4 for p in model.parameters())


@wrong("shape")
def not_added_up(model):
    return [p.numel() for p in model.parameters()]


@wrong("unknown")
def one_too_many(model):
    return counted(model) + 1


@wrong("type")
def in_words(model):
    return f"{counted(model):,}"


@wrong("raises AttributeError")
def weight_of_everything(model):
    return model.weights.numel()


@wrong("arguments")
def wants_a_file(model, file):
    return counted(model)
