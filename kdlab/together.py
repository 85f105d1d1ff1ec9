"""Several small students in one loop: stacked weights, one product for all.

A step of a small student costs more in Python than in arithmetic; stacked, students of several
seeds, temperatures and alphas share that cost, and those of one seed, which see the same batches,
also share the product of their first layer. Each member equals its single run up to rounding
(a test holds it so).
"""

import functools
import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from types import FunctionType

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import stack_module_state

from kdlab import seeds, signals
from kdlab.jobs import TRIED, Job, cast, numbers_at
from kdlab.training import (
    RAW,
    SMALL_STEP,
    Stopped,
    autocast,
    batches,
    columns_of,
    history_row,
    logit_terms,
    make_optimizer,
    products,
    set_learning_rate,
)

# Layers without state, chance or shape-dependent cost: a stack of them is the same computation.
SIMPLE = (nn.Sequential, nn.Flatten, nn.Linear, nn.ReLU, nn.GELU, nn.Tanh, nn.Sigmoid, nn.Identity)
MOST_BYTES = 500_000_000  # of inputs held at once, where each seed draws its own examples


def alike(job: Job) -> tuple | None:
    """What jobs must have in common to train in one loop; None for a job that has to train alone.

    They may differ in seed, alpha, temperature, loss, learning rate, examples and teacher.
    """
    options, student = job.options, job.student
    stackable = (
        all(_is_plain(part) for part in student.modules())
        and _flat(job)
        and all(weight.requires_grad for weight in student.parameters())
        and len(list(student.parameters())) == len(student.state_dict())  # untied
        and all(options[name] is None for name in ("optimizer", "augment"))
        and not job.links
        and job.live_teacher is None
        and len(options["stages"]) == 1
        and (options["loss"] is None or (_keeps_nothing(options["loss"]) and not _draws(job)))
    )
    common = ("epochs", "batch_size", "device", "precision", "watch", "transfer", "deterministic")
    said = options["loss"] is None or job.answers is not None
    same = (*(options[name] for name in common), options["loss"] is None, said)
    return (*same, len(job.examples), _shapes(student)) if stackable else None


def can(jobs: list[Job]) -> bool:
    """Whether these jobs can be trained in one loop."""
    if len(jobs) < 2 or len({alike(job) for job in jobs}) != 1 or alike(jobs[0]) is None:
        return False
    held = {id(job.examples): job.examples.inputs.nbytes for job in jobs}
    first = jobs[0].watched
    return (
        all(_equal(job.watched.inputs, first.inputs) for job in jobs)
        and all(_equal(job.watched.labels, first.labels) for job in jobs)
        and sum(held.values()) < MOST_BYTES
    )


def bytes_of(job: Job) -> int:
    """What one more member of a loop adds to the memory, about: weights, batches, answers."""
    weights = list(job.student.parameters())
    widest = max(weight.shape[0] for weight in weights)
    rows = max(4 * job.options["batch_size"], len(job.watched))
    answers = len(job.run.data.validation) * len(job.run.data.classes)
    numbers = 5 * sum(weight.numel() for weight in weights) + 3 * rows * widest + answers
    return numbers * weights[0].element_size()


def loop(
    jobs: list[Job], tick: Callable[[int], None] = lambda members: None
) -> list[list[dict] | Exception]:
    """Train every job's student in place, side by side; each one's history, or its error.

    On a CPU each core trains its part of the members in a loop of its own: that is twice as quick
    as cores that share each product.

    tick: called after each epoch with the number of members.
    """
    parts, halted, one_at_a_time = _parts(jobs), threading.Event(), threading.Lock()

    def tell(members: int) -> None:
        with one_at_a_time:
            tick(members)

    def train(part: list[Job]) -> list[list[dict] | Exception]:
        stop = jobs[0].options["stop"] if part is parts[0] else None  # one part asks for all
        torch.set_num_threads(1)
        try:
            return _train(part, tell, lambda: halted.is_set() or (stop is not None and stop()))
        except BaseException:
            halted.set()
            raise

    before = torch.get_num_threads()
    try:
        if len(parts) == 1:
            return train(parts[0])
        with ThreadPoolExecutor(len(parts)) as pool:
            running = [pool.submit(train, part) for part in parts]
            try:
                wait(running)
            except BaseException:  # Ctrl-C comes here, not to the threads
                halted.set()
                raise
        errors = [part.exception() for part in running if part.exception() is not None]
        if errors:  # the other parts were stopped for the sake of one
            raise next((e for e in errors if not isinstance(e, Stopped)), errors[0])
        trained = [part.result() for part in running]
    finally:
        torch.set_num_threads(before)
    found = {
        id(job): outcome
        for part, outcomes in zip(parts, trained, strict=True)
        for job, outcome in zip(part, outcomes, strict=True)
    }
    return [found[id(job)] for job in jobs]


def _parts(jobs: list[Job]) -> list[list[Job]]:
    """The jobs in as many parts as cores that have enough to do; their groups stay even."""
    options = jobs[0].options
    parts = min(torch.get_num_threads(), len(jobs) * products(jobs[0]) // SMALL_STEP, len(jobs))
    if parts < 2 or options["device"] != "cpu" or options["loss"] is not None:
        return [jobs]  # own losses are many small calls, which would wait for each other
    groups = list(_groups(jobs).values())
    if len(groups[0]) >= parts:
        return [[job for group in groups for job in group[at::parts]] for at in range(parts)]
    return [[job for group in groups[at::parts] for job in group] for at in range(parts)]


def _train(
    jobs: list[Job], tick: Callable[[int], None], halted: Callable[[], bool]
) -> list[list[dict] | Exception]:
    """One loop over all these jobs, as in `loop`."""
    groups = _groups(jobs)
    given, jobs = jobs, [job for members in groups.values() for job in members]
    options, members, shared = jobs[0].options, len(jobs), len(jobs) // len(groups)
    examples_at = _examples([_one_of(of_one_seed) for of_one_seed in groups.values()])
    students = _Stack([job.student for job in jobs])
    objective = (_SoftTargets if options["loss"] is None else _OwnLosses)(jobs)
    optimizer = _Optimizer(students, jobs)
    shuffles = [seeds.generator(seed, "batches") for _, seed, *_ in groups]
    size = len(jobs[0].examples)
    steps = options["epochs"] * len(batches(torch.arange(size), options["batch_size"]))
    outcomes, step = [[] for _ in jobs], 0
    for epoch in range(1, options["epochs"] + 1):
        objective.begin()
        orders = torch.stack([torch.randperm(size, generator=shuffle) for shuffle in shuffles])
        for rows in batches(orders.to(options["device"]), options["batch_size"]):
            if halted():
                raise Stopped
            inputs, *said_and_labels = examples_at(rows)
            labels, said = (
                None if part is None else part.repeat_interleave(shared, 0)
                for part in said_and_labels
            )
            with autocast(options):
                logits = students.forward(inputs)
            gradient = objective.gradient(logits, said, labels, step / steps)
            with autocast(options):
                students.backward(gradient.to(logits.dtype))
            optimizer.step(step / steps)
            step += 1
        watched = _watch(jobs, students) if options["watch"] else [None] * members
        for member, history in enumerate(outcomes):
            if isinstance(history, Exception):
                continue
            try:
                row = history_row(epoch, step, *objective.seen(member), history)
            except Exception as error:  # that of this member; the others go on
                outcomes[member] = error
                continue
            if options["watch"]:
                row["validation_accuracy"] = watched[member]
            history.append(row)
        if all(isinstance(outcome, Exception) for outcome in outcomes):
            break
        tick(members)
    for member, job in enumerate(jobs):
        own = {name: stacked[member].clone() for name, stacked in students.weights.items()}
        job.student.load_state_dict(own)
    _ask(jobs, students)
    in_order = {id(job): outcome for job, outcome in zip(jobs, outcomes, strict=True)}
    return [in_order[id(job)] for job in given]


class _Stack:
    """Students side by side: one pass forward and one back over all of them, without a graph.

    Values stand as (members, numbers, batch), so that the product of a first layer that several
    members share comes out member by member, and no pass has to copy.
    """

    def __init__(self, students: list[nn.Module]):
        stacked, _ = stack_module_state(students)
        self.weights = {name: weight.detach() for name, weight in stacked.items()}
        self.gradients = {name: torch.empty_like(part) for name, part in self.weights.items()}
        self.layers = list(_in_order(students[0], ""))
        self.kept: list[Tensor] = []

    def forward(self, inputs: Tensor, keep: bool = True) -> Tensor:
        """Logits (members, classes, batch) of inputs (groups, batch, ...).

        A group is the members next to each other that share these inputs.
        keep: whether a pass back follows.
        """
        now, kept = inputs.flatten(2).transpose(1, 2), []
        for name, layer in self.layers:
            before = now
            if isinstance(layer, nn.Linear):
                weight = _by_group(self.weights[name + "weight"], now)
                if layer.bias is None:
                    now = weight @ now
                else:
                    bias = _by_group(self.weights[name + "bias"].unsqueeze(2), now)
                    now = torch.baddbmm(bias, weight, now)
                now = now.unflatten(1, (-1, layer.out_features)).flatten(0, 1)
                kept.append(before)
            else:
                now = layer(before.clone() if getattr(layer, "inplace", False) else before)
                kept.append(before if isinstance(layer, nn.GELU) else now)
        if keep:
            self.kept = kept
        return now

    def backward(self, gradient: Tensor) -> None:
        """From d loss / d logits (members, classes, batch) to `gradients`."""
        for at in reversed(range(len(self.layers))):
            (name, layer), kept = self.layers[at], self.kept[at]
            if not isinstance(layer, nn.Linear):
                gradient = BACK[type(layer)](gradient, kept, layer)
                continue
            made = _by_group(gradient, kept), kept.transpose(1, 2)
            of_weight = _by_group(self.gradients[name + "weight"], kept)
            if torch.is_autocast_enabled(gradient.device.type):
                of_weight.copy_(torch.bmm(*made))
            else:
                torch.bmm(*made, out=of_weight)
            if layer.bias is not None:
                self.gradients[name + "bias"].copy_(gradient.sum(2))
            if at > self.first:
                gradient = self.weights[name + "weight"].transpose(1, 2) @ gradient
            else:
                return

    @functools.cached_property
    def first(self) -> int:
        """The place of the first layer with weights: nothing before it needs a gradient."""
        return next(at for at, (_, layer) in enumerate(self.layers) if isinstance(layer, nn.Linear))


# Activations backwards, from what `_Stack` kept: GELU's input, the others' output.
BACK = {
    nn.ReLU: lambda gradient, kept, layer: torch.ops.aten.threshold_backward(gradient, kept, 0),
    nn.Tanh: lambda gradient, kept, layer: torch.ops.aten.tanh_backward(gradient, kept),
    nn.Sigmoid: lambda gradient, kept, layer: torch.ops.aten.sigmoid_backward(gradient, kept),
    nn.GELU: lambda gradient, kept, layer: torch.ops.aten.gelu_backward(
        gradient, kept, approximate=layer.approximate
    ),
}


def _in_order(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """The layers of nested Sequentials that compute something, with their names' beginnings."""
    if isinstance(module, nn.Sequential):
        for part, inner in module.named_children():
            yield from _in_order(inner, f"{name}{part}.")
    elif not isinstance(module, (nn.Flatten, nn.Identity)):
        yield name, module


def _by_group(stacked: Tensor, like: Tensor) -> Tensor:
    """(members, rows, ...) as (groups, members of one · rows, ...), with the groups of `like`."""
    return stacked.reshape(len(like), -1, stacked.shape[2])


class _SoftTargets:
    """`losses.kd_terms` of all members at once, with their gradient in closed form.

    d/dz = alpha · (softmax(z) − label) + (1 − alpha) · T · (softmax(z/T) − teacher_T), a mean over
    the batch each.  (Hinton, Vinyals & Dean 2015, section 2.)
    """

    names = ("labels", "teacher", "labels" + RAW, "teacher" + RAW)

    def __init__(self, jobs: list[Job]):
        self.jobs = jobs
        of_all = [job.options[name] for job in jobs for name in ("temperature", "alpha")]
        self.fixed = None if any(map(callable, of_all)) else self._numbers(0.0)

    def begin(self) -> None:
        self.steps = []

    def gradient(
        self, logits: Tensor, said: Tensor | None, labels: Tensor, progress: float
    ) -> Tensor:
        """d loss / d logits (members, classes, batch); keeps the terms.

        said: (members, batch, classes).  labels: (members, batch).
        """
        numbers = self._numbers(progress) if self.fixed is None else self.fixed
        if numbers.device != logits.device:
            numbers = numbers.to(logits.device, non_blocking=True)
            self.fixed = None if self.fixed is None else numbers
        terms, gradient = self._terms(logits, said, labels, *numbers)
        self.steps.append(terms)
        return gradient

    def seen(self, member: int) -> tuple[Tensor, list[str]]:
        """A member's loss and terms (steps, 1 + terms) in this epoch, and the terms' names."""
        names = [name for name in self.names if self._has(self.jobs[member], name)]
        if isinstance(self.steps, list):  # to the CPU in one piece: a GPU is waited for once
            self.steps = torch.stack(self.steps).cpu()
        columns = [0, *(self.names.index(name) + 1 for name in names)]
        return self.steps[:, columns, member], names

    def _numbers(self, progress: float) -> Tensor:
        now = [numbers_at(job.options, progress) for job in self.jobs]
        double = self.jobs[0].options["precision"] == "float64"
        return torch.tensor(now, dtype=torch.float64 if double else torch.float32).T.contiguous()

    @staticmethod
    def _has(job: Job, name: str) -> bool:
        """Whether a member's history has this column: a term of weight 0 is left out."""
        alpha = job.options["alpha"]
        return callable(alpha) or (alpha > 0 if name.startswith("labels") else alpha < 1)

    @staticmethod
    def _terms(logits, said, labels, temperature, alpha) -> tuple[Tensor, Tensor]:
        """(5, members), the loss first, then `names`; and d loss / d logits."""
        logits = logits.to(temperature.dtype)
        labelled = (labels >= 0).unsqueeze(1)
        rows = labelled.sum(2, keepdim=True).clamp(min=1)
        own, right = F.log_softmax(logits, dim=1), labels.clamp(min=0).unsqueeze(1)
        from_labels = -(own.gather(1, right) * labelled).sum(2, keepdim=True) / rows
        weight, softness = alpha[:, None, None], temperature[:, None, None]
        share = labelled * (weight / rows)
        gradient = own.exp().mul_(share).scatter_add_(1, right, -share)
        from_labels = from_labels[:, 0, 0]
        from_teacher = torch.zeros_like(from_labels)
        if said is not None:
            student = F.log_softmax(logits / softness, dim=1)
            teacher = F.log_softmax(said.transpose(1, 2) / softness, dim=1)
            soft = teacher.exp()
            apart = teacher.sub_(student).mul_(soft).sum((1, 2)) / logits.shape[2]
            from_teacher = temperature**2 * apart
            toward = student.exp_().sub_(soft)
            gradient += toward.mul_((1 - weight) * softness / logits.shape[2])
        raw, weights = torch.stack([from_labels, from_teacher]), torch.stack([alpha, 1 - alpha])
        weighted = weights * raw
        said_raw = raw.masked_fill(weights == 0, torch.nan)
        return torch.cat([weighted.sum(0, keepdim=True), weighted, said_raw]), gradient


class _OwnLosses:
    """The members' own losses, each called with plain numbers, as in a single run."""

    def __init__(self, jobs: list[Job]):
        self.jobs, self.names = jobs, [None] * len(jobs)
        self.errors: dict[int, Exception] = {}

    def begin(self) -> None:
        self.steps = [[] for _ in self.jobs]

    def gradient(
        self, logits: Tensor, said: Tensor | None, labels: Tensor, progress: float
    ) -> Tensor:
        """As in `_SoftTargets`; an error of one member's loss is kept, the others go on."""
        own_logits = logits.transpose(1, 2).contiguous().requires_grad_()
        losses = []
        for member, job in enumerate(self.jobs):
            if member in self.errors:
                continue
            answers = {} if said is None else {None: said[member]}
            try:
                with autocast(job.options):
                    terms = logit_terms(
                        job.options, progress, own_logits[member], answers, labels[member]
                    )
                columns = columns_of(terms, self.names[member])
            except Exception as error:
                self.errors[member] = error
                continue
            self.names[member] = list(columns)
            losses.append(sum(weighted for weighted, _ in terms.values()))
            row = [part.detach().to(losses[-1]) for part in columns.values()]
            self.steps[member].append(torch.stack([losses[-1].detach(), *row]))
        (sum(losses) if losses else 0 * own_logits.sum()).backward()
        return own_logits.grad.transpose(1, 2)

    def seen(self, member: int) -> tuple[Tensor, list[str]]:
        """A member's loss and terms (steps, 1 + terms) in this epoch, and the terms' names."""
        if member in self.errors:
            raise self.errors[member]
        return torch.stack(self.steps[member]), self.names[member]


class _Optimizer:
    """Adam over all members at once; each rate's members, which stand side by side, are a group."""

    def __init__(self, students: _Stack, jobs: list[Job]):
        self.parts, at = [], 0
        for _, alike in itertools.groupby(jobs, key=_rate):
            options = [job.options for job in alike]
            members = slice(at, at := at + len(options))
            views = []
            for name, weight in students.weights.items():
                views.append(weight[members].requires_grad_())
                views[-1].grad = students.gradients[name][members]
            self.parts.append((options[0], make_optimizer(views, options[0])))

    def step(self, progress: float) -> None:
        for options, optimizer in self.parts:
            set_learning_rate(optimizer, options, progress)
            optimizer.step()


def _rate(job: Job) -> float | int:
    rate = job.options["learning_rate"]
    return id(rate) if callable(rate) else rate


def _keeps_nothing(loss: Callable) -> bool:
    """Whether a loss keeps nothing from call to call, as far as can be seen.

    Members call it in another order than runs that follow each other: so it has to be a plain
    function that encloses numbers, words, tensors, or functions of the same kind.
    """
    if isinstance(loss, functools.partial):
        parts = [loss.func, *loss.args, *loss.keywords.values()]
    elif isinstance(loss, FunctionType) and not loss.__dict__:
        parts = [cell.cell_contents for cell in loss.__closure__ or ()]
        parts += [*(loss.__defaults__ or ()), *(loss.__kwdefaults__ or {}).values()]
    else:
        return False
    return all(
        part is None
        or isinstance(part, (bool, int, float, str, Tensor))
        or (isinstance(part, (FunctionType, functools.partial)) and _keeps_nothing(part))
        for part in parts
    )


def _draws(job: Job) -> bool:
    """Whether a loss draws chance, or fails: members would share what each run draws by itself."""
    options, said = job.options, job.answers[:TRIED]
    logits, labels = torch.zeros_like(said, requires_grad=True), job.examples.labels[:TRIED]
    with torch.random.fork_rng(devices=[]):
        before = torch.get_rng_state()
        try:
            options["loss"](logits, said, labels, *numbers_at(options, 0.0))
        except Exception:  # in turn, it becomes the error of that run
            return True
        return not torch.equal(before, torch.get_rng_state())


def _groups(jobs: list[Job]) -> dict[tuple, list[Job]]:
    """The jobs that see the same batches and answers; alone where their counts differ.

    Those of one learning rate stand side by side.
    """
    rates = list(dict.fromkeys(map(_rate, jobs)))
    jobs = sorted(jobs, key=lambda job: rates.index(_rate(job)))
    groups: dict[tuple, list[Job]] = {}
    for job in jobs:
        key = (_rate(job), job.options["seed"], id(job.examples), id(job.run.teacher))
        groups.setdefault(key, []).append(job)
    if len({len(members) for members in groups.values()}) > 1:
        return {(number, job.options["seed"]): [job] for number, job in enumerate(jobs)}
    return groups


def _one_of(members: list[Job]) -> Job:
    """A job of a group that has the teacher's answers, if one has: alpha=1 asks for none."""
    return next((job for job in members if job.answers is not None), members[0])


def _flat(job: Job) -> bool:
    """Whether the first layer with weights sees one row of numbers an example."""
    layers = (part for part in job.student.modules() if not isinstance(part, nn.Sequential))
    first = next(layers, None)
    return job.examples.inputs.ndim == 2 or (
        isinstance(first, nn.Flatten) and (first.start_dim, first.end_dim) == (1, -1)
    )


def _examples(jobs: list[Job]) -> Callable[[Tensor], list[Tensor | None]]:
    """A function of rows (jobs, batch) that gives each job's inputs, labels and answers."""
    device, precision = jobs[0].options["device"], jobs[0].options["precision"]
    some = next((job.answers for job in jobs if job.answers is not None), None)
    held = {}
    for job in jobs:
        answers = job.answers
        if answers is None and some is not None:  # alpha=1 gives them no weight, whatever they say
            answers = some.new_zeros(()).expand(len(job.examples), some.shape[1])
        if (key := (id(job.examples), id(job.answers))) not in held:
            parts = (job.examples.inputs, job.examples.labels, answers)
            held[key] = [
                None if part is None else cast(part, precision).to(device) for part in parts
            ]
    if len(held) == 1:
        (shared,) = held.values()
        return lambda rows: [None if part is None else _pick(part, rows) for part in shared]
    kinds = list(zip(*(held[id(job.examples), id(job.answers)] for job in jobs), strict=True))
    size = jobs[0].options["batch_size"]
    rooms = [  # filled anew at each step: new memory for each would cost as much as the gathering
        None if own[0] is None else own[0].new_empty(len(jobs), size, *own[0].shape[1:])
        for own in kinds
    ]

    def gather(rows: Tensor) -> list[Tensor | None]:
        given = [None if room is None else room[:, : rows.shape[1]] for room in rooms]
        for own, places in zip(kinds, given, strict=True):
            if places is not None:
                for part, at, place in zip(own, rows, places, strict=True):
                    torch.index_select(part, 0, at, out=place)
        return given

    return gather


def _pick(part: Tensor, rows: Tensor) -> Tensor:
    """part[rows], four times as quick."""
    return part.index_select(0, rows.flatten()).unflatten(0, rows.shape)


def _watch(jobs: list[Job], students: _Stack) -> list[float]:
    """Each member's accuracy on the watched validation examples (the same for all)."""
    watched, device = jobs[0].watched, jobs[0].options["device"]
    inputs = cast(watched.inputs, jobs[0].options["precision"]).to(device)
    with autocast(jobs[0].options):
        logits = students.forward(inputs.unsqueeze(0), keep=False)
    right = logits.argmax(1).cpu() == watched.labels
    return right.float().mean(1).tolist()


def _ask(jobs: list[Job], students: _Stack) -> None:
    """Keep what each trained student says about the validation split, where all share one."""
    splits = {id(job.run.data.validation): job.run.data.validation for job in jobs}
    first, *others = (split.inputs for split in splits.values())
    if not all(_equal(other, first) for other in others):
        return
    device, precision = jobs[0].options["device"], jobs[0].options["precision"]
    parts = [
        students.forward(cast(part, precision).to(device).unsqueeze(0), keep=False).cpu()
        for part in first.split(signals.BATCH)
    ]
    logits = torch.cat(parts, dim=2).transpose(1, 2).contiguous()
    for job, own in zip(jobs, logits, strict=True):
        job.validation_logits = own


def _equal(one: Tensor, other: Tensor) -> bool:
    """torch.equal, at once where both are the same place in memory."""
    same_place = one.data_ptr() == other.data_ptr() and one.stride() == other.stride()
    return (same_place and one.shape == other.shape) or torch.equal(one, other)


def _is_plain(part: nn.Module) -> bool:
    return type(part) in SIMPLE and not (part._forward_hooks or part._forward_pre_hooks)


def _shapes(student: nn.Module) -> tuple:
    sizes = [(name, tuple(tensor.shape)) for name, tensor in student.state_dict().items()]
    return (str(student), *sizes)
