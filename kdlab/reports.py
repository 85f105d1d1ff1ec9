"""One row of a table of models: how well it answers beside what it costs."""

import statistics

import torch
from torch import nn

from kdlab import costs, models, scores, signals
from kdlab import data as data_sets
from kdlab.data import Data
from kdlab.errors import Refusal
from kdlab.jobs import pick_device, try_out
from kdlab.runs import SPLITS, Run

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
    row["macs"] = costs.macs(model, part.inputs[:1], device)
    for batch, ending in ((1, ""), (MANY, f"_{MANY}")):
        rows = torch.arange(batch) % len(part)
        times = costs.latency(model, part.inputs[rows], device)
        row[f"latency_ms{ending}"] = 1_000 * statistics.median(times)
        row[f"latency_p95_ms{ending}"] = 1_000 * sorted(times)[int(0.95 * len(times))]
    row["peak_bytes"] = costs.peak_bytes(model, part.inputs[rows], device)
    return row | {"device": device, "threads": torch.get_num_threads()}
