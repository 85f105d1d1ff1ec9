"""What a model costs to keep and to run; `report` sets it beside how well it answers."""

import statistics
import time
import weakref
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from kdlab import data as data_sets
from kdlab import models, scores, signals
from kdlab.data import Data
from kdlab.errors import Refusal
from kdlab.jobs import pick_device, try_out
from kdlab.runs import SPLITS, Run

WARM_UP, TIMES = 10, 50  # calls that are not timed, and calls that are
MANY = 64  # the larger batch


def report(
    model: nn.Module | Run,
    data: Data,
    teacher: "nn.Module | signals.Signal | None" = None,
    *,
    split: str = "validation",
    device: str | None = None,
) -> dict:
    """How well a model answers, and what it costs: one row of a table of models.

    model: any module that takes the data's inputs and gives logits, or a run, for its student.
    teacher: to measure the agreement with; NaN without one.
    split: "validation", or "test" for the final word.
    device: where the model is asked and timed; None picks it as `distill` does.

    Gives accuracy, nll, ece, agreement, per_class_accuracy; parameters; bytes (of the weights as a
    safetensors file); macs (multiply-adds for one example); latency_ms and latency_p95_ms (batch of
    1), latency_ms_64 and latency_p95_ms_64 (batch of 64); peak_bytes (weights and the values alive
    at once in a pass of 64); device and threads, which the times depend on.

    Raises Refusal for inputs that do not fit the model, and for a split that is empty.
    """
    if isinstance(model, Run):
        model = model.student
    if not isinstance(model, nn.Module):
        raise Refusal(f"report: expected a module or a run, got {type(model).__name__}.")
    data, device = data_sets.as_data(data), pick_device(device)
    if split not in SPLITS:
        raise Refusal(f"split {split!r}: expected one of {', '.join(SPLITS)}.")
    part = getattr(data, split)
    if not len(part):
        raise Refusal(f"this data set has no {split} examples to report on.")
    try_out(model, "model", models.name_of(model), part, len(data.classes), device)
    said = None if teacher is None else signals.answers(teacher, part, device)
    row = scores.of_logits(signals.ask(model, part.inputs, device), part.labels, said)
    row["parameters"], row["bytes"] = scores.parameters(model), scores.size_in_bytes(model)
    row["macs"] = macs(model, part.inputs[:1], device)
    for batch, ending in ((1, ""), (MANY, f"_{MANY}")):
        rows = torch.arange(batch) % len(part)
        times = latency(model, part.inputs[rows], device)
        row[f"latency_ms{ending}"] = 1_000 * statistics.median(times)
        row[f"latency_p95_ms{ending}"] = 1_000 * sorted(times)[int(0.95 * len(times))]
    row["peak_bytes"] = peak_bytes(model, part.inputs[torch.arange(MANY) % len(part)], device)
    return row | {"device": device, "threads": torch.get_num_threads()}


def macs(model: nn.Module, inputs: Tensor, device: str = "cpu") -> int:
    """Multiply-adds of one pass, by torch's own counter: matrix products and convolutions only."""
    with FlopCounterMode(display=False) as counter:
        _pass(model, inputs, device)
    return counter.get_total_flops() // 2


def latency(model: nn.Module, inputs: Tensor, device: str = "cpu", times: int = TIMES) -> list:
    """Seconds of each of some passes over these inputs, after a warm-up, without gradients."""
    seconds = []
    with models.listening(model, device) as there, torch.inference_mode():
        inputs = inputs.to(device)
        for call in range(WARM_UP + times):
            _settle(device)
            began = time.perf_counter()
            there(inputs)
            _settle(device)
            if call >= WARM_UP:
                seconds.append(time.perf_counter() - began)
    return seconds


def peak_bytes(model: nn.Module, inputs: Tensor, device: str = "cpu") -> int:
    """Most bytes alive at once in a pass: the weights, the inputs, and the values in between.

    What a library sets aside within one operation is not seen.
    """
    held = [*model.parameters(), *model.buffers(), inputs]
    with _Alive(held) as alive:
        _pass(model, inputs, device)
    return alive.most


def _pass(model: nn.Module, inputs: Tensor, device: str) -> None:
    with models.listening(model, device) as there, torch.no_grad():
        there(inputs.to(device))


def _settle(device: str) -> None:
    """Wait for a GPU, which works on after the call is back."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


class _Alive(TorchDispatchMode):
    """Counts the bytes of all values that are alive at once, from the first to the last."""

    def __init__(self, held: list[Tensor]):
        super().__init__()
        self.now = self.most = 0
        self.known: set[int] = set()
        self.held = held  # kept alive, so that no address is used twice
        self._add(held)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        self._add(part for part in tree_leaves(made) if isinstance(part, Tensor))
        return made

    def _add(self, tensors: "Iterator[Tensor] | list[Tensor]") -> None:
        for tensor in tensors:
            storage = tensor.untyped_storage()
            key, size = storage._cdata, storage.nbytes()
            if key in self.known:
                continue
            self.known.add(key)
            self.now += size
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._gone, key, size).atexit = False

    def _gone(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size
