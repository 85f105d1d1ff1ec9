"""Several small students in one loop: stacked weights, one product for all.

A step of a small student costs more in Python than in arithmetic; stacked, students of several
seeds, temperatures and alphas share that cost, and those of one seed, which see the same batches,
also share the product of their first layer. Each member equals its single run up to rounding
(a test holds it so).
"""

import functools
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from types import FunctionType

import torch
from torch import Tensor, nn

from kdlab import seeds, signals
from kdlab.jobs import TRIED, Job, cast, numbers_at
from kdlab.objectives import OwnLosses, SoftTargets
from kdlab.stacks import Stack, is_simple
from kdlab.surroundings import SMALL_STEP, autocast, products
from kdlab.terms import history_row
from kdlab.training import Stopped, batches, make_optimizer, set_learning_rate

MOST_BYTES = 500_000_000  # of inputs held at once, where each seed draws its own examples


def alike(job: Job) -> tuple | None:
    """What jobs must have in common to train in one loop; None for a job that has to train alone.

    They may differ in seed, alpha, temperature, loss, learning rate, examples and teacher.
    """
    options, student = job.options, job.student
    stackable = (
        all(is_simple(part) for part in student.modules())
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
    students = Stack([job.student for job in jobs])
    objective = (SoftTargets if options["loss"] is None else OwnLosses)(jobs)
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


class _Optimizer:
    """Adam over all members at once; each rate's members, which stand side by side, are a group."""

    def __init__(self, students: Stack, jobs: list[Job]):
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


def _watch(jobs: list[Job], students: Stack) -> list[float]:
    """Each member's accuracy on the watched validation examples (the same for all)."""
    watched, device = jobs[0].watched, jobs[0].options["device"]
    inputs = cast(watched.inputs, jobs[0].options["precision"]).to(device)
    with autocast(jobs[0].options):
        logits = students.forward(inputs.unsqueeze(0), keep=False)
    answers = logits.max(1).indices  # argmax along any but the last dimension is eight times slower
    right = answers.cpu() == watched.labels
    return right.float().mean(1).tolist()


def _ask(jobs: list[Job], students: Stack) -> None:
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


def _shapes(student: nn.Module) -> tuple:
    sizes = [(name, tuple(tensor.shape)) for name, tensor in student.state_dict().items()]
    return (str(student), *sizes)
