"""Fingerprints: of a model, of inputs, of each row. They say what a kept answer belongs to."""

import contextlib
import contextvars
import functools
import hashlib
import weakref
from collections.abc import Callable, Iterator
from types import FunctionType

import torch
from torch import Tensor, nn


def as_bytes(tensor: Tensor) -> memoryview:
    """A tensor's content, row after row."""
    flat = tensor.detach().cpu().contiguous().flatten()
    return memoryview(flat.view(torch.uint8).numpy())


def remembered(hash_of: Callable[[Tensor], object]) -> Callable[[Tensor], object]:
    """The same function of a tensor, computed once and remembered while the tensor is unchanged."""
    known: dict[int, tuple[weakref.ref, int, object]] = {}

    @functools.wraps(hash_of)
    def remembering(tensor: Tensor):
        if tensor.is_inference():  # it does not tell whether it was changed
            return hash_of(tensor)
        key = id(tensor)
        entry = known.get(key)
        if entry and entry[0]() is tensor and entry[1] == tensor._version:
            return entry[2]
        found = hash_of(tensor)
        forget = weakref.ref(tensor, lambda _: known.pop(key, None))
        known[key] = (forget, tensor._version, found)
        return found

    return remembering


@remembered
def row_fingerprints(inputs: Tensor) -> Tensor:
    """A 64-bit hash of each row's bytes: a dot product with fixed odd numbers, modulo 2^64."""
    flat = inputs.detach().cpu().contiguous().reshape(len(inputs), -1)
    words = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[flat.element_size()]
    flat = flat.view(words)
    fixed = torch.Generator().manual_seed(0)
    odd = torch.randint(-(2**62), 2**62, (flat.shape[1],), generator=fixed) * 2 + 1
    parts = [(part.long() * odd).sum(1) for part in flat.split(4_096)]
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)


@remembered
def input_fingerprint(inputs: Tensor) -> str:
    """A hash of a tensor's shape, type and content; remembered while the tensor is unchanged."""
    digest = hashlib.blake2b(f"{tuple(inputs.shape)} {inputs.dtype}".encode(), digest_size=16)
    digest.update(as_bytes(inputs))
    return digest.hexdigest()


# ---------------------------------------------------------------- of a model

_known: contextvars.ContextVar[dict | None] = contextvars.ContextVar("known", default=None)


@contextlib.contextmanager
def unchanged() -> Iterator[None]:
    """Within this block no model that is asked changes: its fingerprint is made only once."""
    outer = _known.set({})
    try:
        yield
    finally:
        _known.reset(outer)


def fingerprint(model: nn.Module) -> str:
    """A hash of a model's structure, plain attributes and weights."""
    known = _known.get()
    if known is None:
        return _fingerprint(model)
    if id(model) not in known:
        known[id(model)] = (model, _fingerprint(model))  # the model too, so that its id stays its
    return known[id(model)][1]


def _fingerprint(model: nn.Module) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name, module in model.named_modules():
        plain = {
            key: value
            for key, value in sorted(vars(module).items())
            if key != "training"
            and not key.startswith("_")
            and isinstance(value, (bool, int, float, str, tuple))
        }
        digest.update(f"{name} {type(module).__qualname__} {plain}\n".encode())
    for name, tensor in [*_state(model).items(), *_unsaved(model)]:
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(as_bytes(tensor))
    return digest.hexdigest()


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in model.state_dict().items() if hasattr(tensor, "dtype")}


def _unsaved(model: nn.Module) -> list[tuple[str, Tensor]]:
    """Tensors that shape the answers but are not saved: plain attributes, passing buffers."""
    saved = model.state_dict().keys()
    buffers = [(name, buffer) for name, buffer in model.named_buffers() if name not in saved]
    plain = [
        (f"{name}.{key}", value)
        for name, module in model.named_modules()
        for key, value in vars(module).items()
        if isinstance(value, Tensor)
    ]
    return buffers + plain


def code_of(model: nn.Module) -> tuple:
    """What a model runs: its modules' classes, and functions held as attributes.

    In a notebook a class is written again under its old name; the new one is another object.
    """
    return tuple(
        code
        for module in model.modules()
        for code in (
            type(module),
            *(value for value in vars(module).values() if isinstance(value, FunctionType)),
        )
    )
