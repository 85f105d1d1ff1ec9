"""Several small students in one loop: stacked weights, one product for all.

A step of a small student costs more in Python than in arithmetic; stacked, the seeds of one
setting share that cost. Each member equals its single run up to rounding (a test holds it so).
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import stack_module_state, vmap

from kdlab import losses, seeds
from kdlab.jobs import Job, cast
from kdlab.training import Stopped, batches, history_row, make_optimizer, set_learning_rate

# Layers without state, chance or shape-dependent cost: a stack of them is the same computation.
SIMPLE = (nn.Sequential, nn.Flatten, nn.Linear, nn.ReLU, nn.GELU, nn.Tanh, nn.Sigmoid, nn.Identity)
MOST_BYTES = 500_000_000  # of inputs held at once, where each seed draws its own examples


def can(jobs: list[Job]) -> bool:
    """Whether these jobs (one setting, several seeds) can be trained in one loop."""
    if len(jobs) < 2:
        return False
    held = {id(job.examples): job.examples.inputs.nbytes for job in jobs}
    return (
        all(_is_plain(part) for part in jobs[0].student.modules())
        and all(weight.requires_grad for weight in jobs[0].student.parameters())
        and len(list(jobs[0].student.parameters())) == len(jobs[0].student.state_dict())  # untied
        and all(job.loss is losses.kd_terms and job.live_teacher is None for job in jobs)
        and all(job.options["optimizer"] is None for job in jobs)
        and all(job.options["augment"] is None for job in jobs)
        and jobs[0].options["precision"] != "bf16"
        and len({_shapes(job.student) for job in jobs}) == 1
        and len({len(job.examples) for job in jobs}) == 1
        and all(torch.equal(job.watched.inputs, jobs[0].watched.inputs) for job in jobs)
        and all(torch.equal(job.watched.labels, jobs[0].watched.labels) for job in jobs)
        and sum(held.values()) < MOST_BYTES
    )


def loop(jobs: list[Job]) -> list[list[dict]]:
    """Train every job's student in place, all in one loop; each one's history."""
    options, members = jobs[0].options, len(jobs)
    examples_at = _examples(jobs)
    weights, _ = stack_module_state([job.student for job in jobs])
    shape = copy.deepcopy(jobs[0].student).to("meta")

    def objective(logits: Tensor, said: Tensor | None, own_labels: Tensor) -> Tensor:
        terms = losses.kd_terms(logits, said, own_labels, options["temperature"], options["alpha"])
        return torch.stack([sum(terms.values()), *terms.values()])

    all_objectives = vmap(objective, in_dims=(0, None if jobs[0].answers is None else 0, 0))
    names = [
        name
        for name, weight in (("labels", options["alpha"]), ("teacher", 1 - options["alpha"]))
        if weight > 0
    ]
    optimizer = make_optimizer(weights.values(), options)
    shuffles = [seeds.generator(job.options["seed"], "batches") for job in jobs]
    size = len(jobs[0].examples)
    steps = options["epochs"] * len(batches(torch.arange(size), options["batch_size"]))
    histories, step = [[] for _ in jobs], 0
    for epoch in range(1, options["epochs"] + 1):
        seen = []
        orders = torch.stack([torch.randperm(size, generator=shuffle) for shuffle in shuffles])
        for rows in batches(orders.to(options["device"]), options["batch_size"]):
            if options["stop"] is not None and options["stop"]():
                raise Stopped
            set_learning_rate(optimizer, options, step / steps)
            inputs, labels, said = examples_at(rows)
            objectives = all_objectives(_forward(shape, "", weights, inputs), said, labels)
            optimizer.zero_grad()
            objectives[:, 0].sum().backward()  # the members share no weight: each has its own
            optimizer.step()
            seen.append(objectives.detach())
            step += 1
        seen = torch.stack(seen)
        watched = _watch(jobs, shape, weights) if options["watch"] else [None] * members
        for member, history in enumerate(histories):
            row = history_row(epoch, step, seen[:, member], names, history)
            if options["watch"]:
                row["validation_accuracy"] = watched[member]
            history.append(row)
    for member, job in enumerate(jobs):
        own = {name: stacked[member].detach().clone() for name, stacked in weights.items()}
        job.student.load_state_dict(own)
    return histories


def _examples(jobs: list[Job]) -> Callable[[Tensor], list[Tensor | None]]:
    """A function of rows (members, batch) that gives each member's inputs, labels and answers."""
    device, precision = jobs[0].options["device"], jobs[0].options["precision"]
    held = {}
    for job in jobs:
        if id(job.examples) not in held:
            parts = (job.examples.inputs, job.examples.labels, job.answers)
            held[id(job.examples)] = [
                None if part is None else cast(part, precision).to(device) for part in parts
            ]
    if len(held) == 1:
        (shared,) = held.values()
        return lambda rows: [None if part is None else _pick(part, rows) for part in shared]
    kinds = list(zip(*(held[id(job.examples)] for job in jobs), strict=True))
    return lambda rows: [
        None
        if own[0] is None
        else torch.stack([_pick(part, at) for part, at in zip(own, rows, strict=True)])
        for own in kinds
    ]


def _forward(module: nn.Module, name: str, weights: dict, inputs: Tensor) -> Tensor:
    """All members through one of the SIMPLE modules: inputs (members, batch, ...)."""
    if isinstance(module, nn.Sequential):
        for part, inner in module.named_children():
            inputs = _forward(inner, f"{name}{part}.", weights, inputs)
        return inputs
    if isinstance(module, nn.Flatten):
        first, last = (at + 1 if at >= 0 else at for at in (module.start_dim, module.end_dim))
        return inputs.flatten(first, last)
    if isinstance(module, nn.Linear):
        turned = weights[f"{name}weight"].transpose(1, 2)
        if module.bias is None:
            return inputs @ turned
        return torch.baddbmm(weights[f"{name}bias"].unsqueeze(1), inputs, turned)
    return module(inputs)


def _pick(part: Tensor, rows: Tensor) -> Tensor:
    """part[rows], four times as quick."""
    return part.index_select(0, rows.flatten()).unflatten(0, rows.shape)


def _watch(jobs: list[Job], shape: nn.Module, weights: dict) -> list[float]:
    """Each member's accuracy on the watched validation examples (the same for all)."""
    watched, device = jobs[0].watched, jobs[0].options["device"]
    inputs = cast(watched.inputs, jobs[0].options["precision"]).to(device)
    with torch.no_grad():
        logits = _forward(shape, "", weights, inputs.expand(len(jobs), *inputs.shape))
    right = logits.argmax(-1).cpu() == watched.labels
    return right.float().mean(1).tolist()


def _is_plain(part: nn.Module) -> bool:
    return type(part) in SIMPLE and not (part._forward_hooks or part._forward_pre_hooks)


def _shapes(student: nn.Module) -> tuple:
    sizes = [(name, tuple(tensor.shape)) for name, tensor in student.state_dict().items()]
    return (str(student), *sizes)
