"""One row of a table of models: how well it answers beside what it costs."""

import math
import statistics
import zlib
from pathlib import Path

import torch
from torch import nn

from kdlab import costs, exports, models, scores, signals
from kdlab import data as data_sets
from kdlab.data import Data, Split
from kdlab.errors import Refusal
from kdlab.jobs import pick_device, try_out
from kdlab.runs import SPLITS, Run

MANY = 64  # the larger batch


def report(
    model: nn.Module | Run | str | Path,
    data: Data,
    teacher: "nn.Module | signals.Signal | None" = None,
    *,
    split: str = "validation",
    device: str | None = None,
) -> dict:
    """How well a model answers, and what it costs: one row of a table of models.

    model: any module that takes the data's inputs and gives logits; a run, for its student; or the
        path of an ONNX file.
    teacher: to measure the agreement with; NaN without one.
    split: "validation", or "test" for the final word.
    device: where the model is asked and timed; None picks it as `distill` does.

    Gives accuracy, nll, ece, agreement, per_class_accuracy; parameters, and how many of them are
    not zero (nonzero); bytes (of the ONNX file, or of the weights as a safetensors file) and
    zipped_bytes (the same, zipped); macs (multiply-adds for one example); latency_ms and
    latency_p95_ms (batch of 1), latency_ms_64 and latency_p95_ms_64 (batch of 64); peak_bytes
    (weights and the values alive at once in a pass of 64); device and threads, which the times
    depend on. Of an ONNX file nonzero, macs and peak_bytes are NaN: ONNX Runtime does not say.

    Raises Refusal for inputs that do not fit the model, and for a split that is empty.
    """
    if isinstance(model, Run):
        model = model.student
    if isinstance(model, (str, Path)):
        model = exports.load_onnx(model)
    if not isinstance(model, nn.Module):
        raise Refusal(
            "report: expected a module, a run or the path of an ONNX file, got "
            f"{type(model).__name__}."
        )
    data, device = data_sets.as_data(data), pick_device(device)
    if split not in SPLITS:
        raise Refusal(f"split {split!r}: expected one of {', '.join(SPLITS)}.")
    part = getattr(data, split)
    if not len(part):
        raise Refusal(f"this data set has no {split} examples to report on.")
    try_out(model, "model", models.name_of(model), part, len(data.classes), device)
    said = None if teacher is None else signals.answers(teacher, part, device)
    quality = scores.of_logits(signals.ask(model, part.inputs, device), part.labels, said)
    return quality | costs_of(model, part, device)


def costs_of(model: nn.Module, part: Split, device: str = "cpu") -> dict:
    """The part of a `report` that no label is needed for: parameters, bytes, macs, times, memory.

    part: examples, whose first 64 are asked about; fewer are repeated.
    """
    row = _size(model)
    written = isinstance(model, exports.OnnxModel)
    row["macs"] = math.nan if written else costs.macs(model, part.inputs[:1], device)
    for batch, ending in ((1, ""), (MANY, f"_{MANY}")):
        rows = torch.arange(batch) % len(part)
        times = costs.latency(model, part.inputs[rows], device)
        row[f"latency_ms{ending}"] = 1_000 * statistics.median(times)
        row[f"latency_p95_ms{ending}"] = 1_000 * sorted(times)[int(0.95 * len(times))]
    row["peak_bytes"] = math.nan if written else costs.peak_bytes(model, part.inputs[rows], device)
    return row | {"device": device, "threads": torch.get_num_threads()}


def _size(model: nn.Module) -> dict:
    """How many numbers a model holds, and the bytes of its file."""
    if isinstance(model, exports.OnnxModel):
        count, nonzero, file = model.parameters_held(), math.nan, model.file
    else:
        count, file = scores.parameters(model), scores.as_file(model)
        nonzero = sum(int(weight.count_nonzero()) for weight in model.parameters())
    return {
        "parameters": count,
        "nonzero": nonzero,
        "bytes": len(file),
        "zipped_bytes": len(zlib.compress(file)),
    }
