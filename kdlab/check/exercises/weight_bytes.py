"""Lesson 5: how many bytes a model's weights take, and what goes wrong there."""

import safetensors.torch
import torch
from torch import nn

from kdlab.check.core import Exercise, Mistake
from kdlab.check.counting import (
    NO_BIASES,
    NO_FROZEN,
    built,
    cases_of,
    every,
    partly_frozen,
    with_batch_norm,
)
from kdlab.check.steps import nothing

LESSON = "05"
SECTION = "What a model costs"


def our_weight_bytes(model: nn.Module) -> int:
    """Bytes of a model's parameters and buffers: how many numbers, times the bytes of each."""
    stored = (*model.parameters(), *model.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in stored)


def _bytes_in_steps(
    model: nn.Module,
    kept=every,
    buffers=nn.Module.buffers,
    size=lambda tensor, first: tensor.nbytes,
    end=lambda total, model: total,
) -> float:
    first = next(model.parameters())
    parameters = [tensor for name, tensor in model.named_parameters() if kept(name, tensor)]
    return end(sum(size(tensor, first) for tensor in (*parameters, *buffers(model))), model)


def _int8() -> nn.Module:
    layer = nn.Linear(4, 3)
    del layer.weight
    layer.register_buffer("weight", torch.zeros(3, 4, dtype=torch.int8))
    return layer


WEIGHED = {
    "nn.Linear(4, 3)": lambda: nn.Linear(4, 3),
    "nn.Linear(4, 3).half()": lambda: nn.Linear(4, 3).half(),
    "nn.Linear(4, 3).double()": lambda: nn.Linear(4, 3).double(),
    "nn.Conv2d(1, 2, 3) and nn.BatchNorm2d(2)": with_batch_norm,
    "nn.Conv2d(1, 2, 3) and nn.BatchNorm2d(2), both .half()": lambda: with_batch_norm().half(),
    "nn.Linear(2, 3), frozen, and nn.Linear(3, 2)": partly_frozen,
    "a linear layer whose weight is an int8 buffer": _int8,
}

weight_bytes = Exercise(
    lesson=LESSON,
    name="weight_bytes",
    takes=("model",),
    task="how many bytes the parameters and the buffers of a model take, in the type in which each "
    "is stored",
    reference=our_weight_bytes,
    in_steps=_bytes_in_steps,
    play=built(WEIGHED),
    cases=cases_of(WEIGHED),
    mistakes=(
        Mistake(
            "numbers-given",
            "You count numbers and not bytes. A float32 takes 4 bytes, a float16 takes 2, an int8 "
            "takes 1: multiply by tensor.element_size().",
            SECTION,
            {"size": lambda tensor, first: tensor.numel()},
        ),
        Mistake(
            "four-bytes-each",
            "Right for float32 only: you take 4 bytes for every number. In float16 a model takes "
            "half as many. tensor.element_size() says how many bytes a number takes.",
            SECTION,
            {"size": lambda tensor, first: 4 * tensor.numel()},
        ),
        Mistake(
            "one-type-for-all",
            "You take the type of the first parameter for all. A model may mix types: in an int8 "
            "model the biases are often float32. Ask each tensor for its own.",
            SECTION,
            {"size": lambda tensor, first: tensor.numel() * first.element_size()},
        ),
        Mistake(
            "bits",
            "You give bits: eight times as many. Files and memory are measured in bytes.",
            SECTION,
            {"end": lambda total, model: 8 * total},
        ),
        Mistake(
            "kilobytes",
            "You give kilobytes. Give bytes, and turn them into kB only where they are shown: 1 kB "
            "is 1,000 bytes to some people and 1,024 to others.",
            SECTION,
            *({"end": lambda total, model, kilo=kilo: total / kilo} for kilo in (1_000, 1_024)),
        ),
        Mistake(
            "buffers-forgotten",
            "The buffers are missing. They are not learned by gradients, but written to the file: "
            "batch norm's running statistics, and often the weights of an int8 layer.",
            SECTION,
            {"buffers": nothing},
        ),
        Mistake(
            "biases-forgotten",
            "The biases are missing. They are few, but they are stored like the weights: take all "
            "of model.parameters().",
            SECTION,
            *NO_BIASES,
        ),
        Mistake(
            "frozen-left-out",
            "Frozen parameters are left out. They do not learn any more, but the file holds them "
            "all the same.",
            SECTION,
            NO_FROZEN,
        ),
        Mistake(
            "whole-file",
            "You measure a whole file: it also holds names, shapes and types. For a large model "
            "they hardly count; here we ask for the numbers alone.",
            SECTION,
            {"end": lambda total, model: len(safetensors.torch.save(model.state_dict()))},
        ),
    ),
)
