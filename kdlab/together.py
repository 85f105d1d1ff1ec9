"""Several small students in one loop: stacked weights, one product for all.

A step of a small student costs more in Python than in arithmetic; stacked, students of several
seeds, temperatures and alphas share that cost, and those of one seed, which see the same batches,
also share the product of their first layer. Each member equals its single run up to rounding
(a test holds it so).
"""

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import stack_module_state

from kdlab import seeds
from kdlab.errors import LossNotFinite
from kdlab.jobs import Job, cast, numbers_at
from kdlab.training import RAW, Stopped, batches, history_row, make_optimizer, set_learning_rate

# Layers without state, chance or shape-dependent cost: a stack of them is the same computation.
SIMPLE = (nn.Sequential, nn.Flatten, nn.Linear, nn.ReLU, nn.GELU, nn.Tanh, nn.Sigmoid, nn.Identity)
MOST_BYTES = 500_000_000  # of inputs held at once, where each seed draws its own examples


def alike(job: Job) -> tuple | None:
    """What jobs must have in common to train in one loop; None for a job that has to train alone.

    They may differ in seed, alpha, temperature and examples; they have one teacher.
    """
    options, student = job.options, job.student
    stackable = (
        all(_is_plain(part) for part in student.modules())
        and _flat(job)
        and all(weight.requires_grad for weight in student.parameters())
        and len(list(student.parameters())) == len(student.state_dict())  # untied
        and all(options[name] is None for name in ("loss", "optimizer", "augment"))
        and not job.links
        and job.live_teacher is None
        and len(options["stages"]) == 1
        and options["precision"] != "bf16"
    )
    common = ("epochs", "batch_size", "learning_rate", "device", "precision", "watch", "transfer")
    same = (*(options[name] for name in common), options["deterministic"])
    return (*same, id(job.run.teacher), len(job.examples), _shapes(student)) if stackable else None


def can(jobs: list[Job]) -> bool:
    """Whether these jobs can be trained in one loop."""
    if len(jobs) < 2 or len({alike(job) for job in jobs}) != 1 or alike(jobs[0]) is None:
        return False
    held = {id(job.examples): job.examples.inputs.nbytes for job in jobs}
    first, groups = jobs[0].watched, _groups(jobs).values()
    return (
        all(torch.equal(job.watched.inputs, first.inputs) for job in jobs)
        and all(torch.equal(job.watched.labels, first.labels) for job in jobs)
        and len({_one_of(members).answers is None for members in groups}) == 1
        and sum(held.values()) < MOST_BYTES
    )


def loop(
    jobs: list[Job], tick: Callable[[int], None] = lambda members: None
) -> list[list[dict] | LossNotFinite]:
    """Train every job's student in place, all in one loop; each one's history, or its error.

    tick: called after each epoch with the number of members.
    """
    groups = _groups(jobs)
    given, jobs = jobs, [job for members in groups.values() for job in members]
    options, members, shared = jobs[0].options, len(jobs), len(jobs) // len(groups)
    examples_at = _examples([_one_of(of_one_seed) for of_one_seed in groups.values()])
    weights, _ = stack_module_state([job.student for job in jobs])
    shape = copy.deepcopy(jobs[0].student).to("meta")
    optimizer = make_optimizer(weights.values(), options)
    shuffles = [seeds.generator(seed, "batches") for seed, _ in groups]
    size = len(jobs[0].examples)
    steps = options["epochs"] * len(batches(torch.arange(size), options["batch_size"]))
    outcomes, step = [[] for _ in jobs], 0
    for epoch in range(1, options["epochs"] + 1):
        seen = []
        orders = torch.stack([torch.randperm(size, generator=shuffle) for shuffle in shuffles])
        for rows in batches(orders.to(options["device"]), options["batch_size"]):
            if options["stop"] is not None and options["stop"]():
                raise Stopped
            set_learning_rate(optimizer, options, step / steps)
            inputs, *said_and_labels = examples_at(rows)
            logits = _forward(shape, "", weights, inputs, members)
            labels, said = (
                None if part is None else part.repeat_interleave(shared, 0)
                for part in said_and_labels
            )
            now = [numbers_at(job.options, step / steps) for job in jobs]
            now = torch.tensor(now, dtype=torch.float64).to(logits).T
            objectives = _kd_terms(logits, said, labels, *now)
            optimizer.zero_grad()
            objectives[0].sum().backward()  # the members share no weight: each has its own
            optimizer.step()
            seen.append(objectives.detach())
            step += 1
        seen = torch.stack(seen)
        watched = _watch(jobs, shape, weights) if options["watch"] else [None] * members
        for member, history in enumerate(outcomes):
            if isinstance(history, LossNotFinite):
                continue
            at = [column for column in COLUMNS if _has(jobs[member], column)]
            columns = [0, *(COLUMNS.index(column) + 1 for column in at)]
            try:
                row = history_row(epoch, step, seen[:, columns, member], at, history)
            except LossNotFinite as error:
                outcomes[member] = error
                continue
            if options["watch"]:
                row["validation_accuracy"] = watched[member]
            history.append(row)
        if all(isinstance(outcome, LossNotFinite) for outcome in outcomes):
            break
        tick(members)
    for member, job in enumerate(jobs):
        own = {name: stacked[member].detach().clone() for name, stacked in weights.items()}
        job.student.load_state_dict(own)
    in_order = {id(job): outcome for job, outcome in zip(jobs, outcomes, strict=True)}
    return [in_order[id(job)] for job in given]


COLUMNS = ("labels", "teacher", "labels" + RAW, "teacher" + RAW)


def _has(job: Job, column: str) -> bool:
    """Whether a member's history has this column: a term of weight 0 is left out."""
    alpha = job.options["alpha"]
    return callable(alpha) or (alpha > 0 if column.startswith("labels") else alpha < 1)


def _kd_terms(logits: Tensor, said: Tensor | None, labels: Tensor, temperature, alpha) -> Tensor:
    """`losses.kd_terms` of all members at once: (5, members), the loss first, then COLUMNS.

    logits, said: (members, batch, classes).  labels: (members, batch).
    temperature, alpha: (members,).
    """
    each = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    from_labels = each.view_as(labels).sum(1) / (labels >= 0).sum(1).clamp(min=1)
    from_teacher = torch.zeros_like(from_labels)
    if said is not None:
        softness = temperature[:, None, None]
        student = F.log_softmax(logits / softness, dim=2)
        teacher = F.log_softmax(said / softness, dim=2)
        divergence = (teacher.exp() * (teacher - student)).sum(2)
        from_teacher = temperature**2 * divergence.mean(1)
    raw, weights = torch.stack([from_labels, from_teacher]), torch.stack([alpha, 1 - alpha])
    weighted = weights * raw
    said_raw = raw.detach().masked_fill(weights == 0, torch.nan)
    return torch.cat([weighted.sum(0, keepdim=True), weighted, said_raw])


def _groups(jobs: list[Job]) -> dict[tuple, list[Job]]:
    """The jobs that see the same batches, by seed and examples; each alone where counts differ."""
    groups: dict[tuple, list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.options["seed"], id(job.examples)), []).append(job)
    if len({len(members) for members in groups.values()}) > 1:
        return {(job.options["seed"], number): [job] for number, job in enumerate(jobs)}
    return groups


def _one_of(members: list[Job]) -> Job:
    """A job of a group that has the teacher's answers, if one has: alpha=1 asks for none."""
    return next((job for job in members if job.answers is not None), members[0])


def _flat(job: Job) -> bool:
    """Whether the first layer with weights sees one row of numbers an example."""
    layers = (part for part in job.student.modules() if not isinstance(part, nn.Sequential))
    return job.examples.inputs.ndim == 2 or isinstance(next(layers, None), nn.Flatten)


def _examples(jobs: list[Job]) -> Callable[[Tensor], list[Tensor | None]]:
    """A function of rows (jobs, batch) that gives each job's inputs, labels and answers."""
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


def _forward(module: nn.Module, name: str, weights: dict, inputs: Tensor, members: int) -> Tensor:
    """All members through one of the SIMPLE modules: inputs (groups or members, batch, ...).

    Up to their first layer the members of a group share their inputs.
    """
    if isinstance(module, nn.Sequential):
        for part, inner in module.named_children():
            inputs = _forward(inner, f"{name}{part}.", weights, inputs, members)
        return inputs
    if isinstance(module, nn.Flatten):
        first, last = (at + 1 if at >= 0 else at for at in (module.start_dim, module.end_dim))
        return inputs.flatten(first, last)
    if isinstance(module, nn.Linear):
        weight = weights[f"{name}weight"]
        if len(inputs) < members:  # (groups, batch, shared · outputs), in one product a group
            made = inputs @ weight.view(len(inputs), -1, weight.shape[2]).transpose(1, 2)
            made = made.unflatten(2, (-1, weight.shape[1])).transpose(1, 2).flatten(0, 1)
            return made if module.bias is None else made + weights[f"{name}bias"].unsqueeze(1)
        turned = weight.transpose(1, 2)
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
        logits = _forward(shape, "", weights, inputs.unsqueeze(0), len(jobs))
    right = logits.argmax(-1).cpu() == watched.labels
    return right.float().mean(1).tolist()


def _is_plain(part: nn.Module) -> bool:
    return type(part) in SIMPLE and not (part._forward_hooks or part._forward_pre_hooks)


def _shapes(student: nn.Module) -> tuple:
    sizes = [(name, tuple(tensor.shape)) for name, tensor in student.state_dict().items()]
    return (str(student), *sizes)
