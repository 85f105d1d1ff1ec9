"""Answers to `weight_bytes`, as learners write them."""

import io
import itertools

import numpy as np
import safetensors.torch
import torch

from tests.check.answers import Answers
from tests.check.learners.count_parameters import counted

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong


@right
def nbytes(model):
    return sum(t.nbytes for t in [*model.parameters(), *model.buffers()])


@right
def of_the_saved_tensors(model):
    return sum(t.numel() * t.element_size() for t in model.state_dict().values())


@right
def of_storages(model):
    return sum(t.untyped_storage().nbytes() for t in model.state_dict().values())


@right
def through_numpy(model):
    return sum(np.asarray(t.detach()).nbytes for t in model.state_dict().values())


@right
def without_the_header(model):
    file = safetensors.torch.save(model.state_dict())
    return len(file) - 8 - int.from_bytes(file[:8], "little")


@right
def by_the_bits_of_each_type(model):
    bits = 0
    for tensor in itertools.chain(model.parameters(), model.buffers()):
        info = torch.finfo if tensor.is_floating_point() else torch.iinfo
        bits += tensor.numel() * info(tensor.dtype).bits
    return bits // 8


@wrong("numbers-given")
def numbers(model):
    return sum(t.numel() for t in model.state_dict().values())


@wrong("four-bytes-each")
def always_four(model):
    return 4 * sum(t.numel() for t in model.state_dict().values())


@wrong("one-type-for-all")
def type_of_the_first(model):
    each = next(model.parameters()).element_size()
    return each * sum(t.numel() for t in [*model.parameters(), *model.buffers()])


@wrong("four-bytes-each + buffers-forgotten")
def four_times_the_parameters(model):
    return counted(model) * 4


@wrong("numbers-given + buffers-forgotten")
def the_parameters(model):
    return counted(model)


@wrong("bits")
def in_bits(model):
    return 8 * nbytes(model)


@wrong("kilobytes")
def in_kB(model):
    return nbytes(model) / 1000


@wrong("kilobytes")
def in_KiB(model):
    return nbytes(model) / 2**10


@wrong("buffers-forgotten")
def parameters_only(model):
    return sum(p.nbytes for p in model.parameters())


@wrong("kilobytes + buffers-forgotten")
def parameters_in_kB(model):
    return sum(p.numel() * p.element_size() for p in model.parameters()) / 1e3


@wrong("biases-forgotten")
def no_biases(model):
    return sum(t.nbytes for name, t in model.state_dict().items() if "bias" not in name)


@wrong("frozen-left-out")
def trainable_and_buffers(model):
    kept = [p for p in model.parameters() if p.requires_grad]
    return sum(t.nbytes for t in [*kept, *model.buffers()])


@wrong("whole-file")
def file_of_safetensors(model):
    return len(safetensors.torch.save(model.state_dict()))


@wrong("unknown")
def file_of_torch(model):
    torch.save(model.state_dict(), file := io.BytesIO())
    return len(file.getvalue())


@wrong("raises AttributeError")
def asks_the_module(model):
    return model.nbytes
