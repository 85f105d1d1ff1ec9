"""Deep mutual learning: students without a teacher, who teach each other while they learn."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from tqdm import tqdm

from kdlab import losses, models, seeds, signals, surroundings, training
from kdlab.augment import augmented
from kdlab.errors import Refusal, share
from kdlab.jobs import Job, cast, prepare
from kdlab.runs import Run
from kdlab.terms import columns_of, history_row

# What students that teach each other have no use for.
NONE_OF = {"match": (), "stages": None, "loss": None, "init_from": None, "after_epoch": None}


def mutual(
    students: Sequence[models.Student],
    data: object,
    *,
    temperature: float = 1.0,
    alpha: float = 0.5,
    transfer: bool = False,
    epochs: int = 20,
    batch_size: int = 128,
    learning_rate: float | Callable[[float], float] = 1e-3,
    seeds: Sequence[int] | None = None,
    augment: Callable | None = None,
    optimizer: Callable[..., torch.optim.Optimizer] | None = None,
    watch: int = 1_000,
    device: str | None = None,
    precision: str = "float32",
    deterministic: bool = False,
    progress: bool = True,
    stop: Callable[[], bool] | None = None,
) -> list[Run]:
    """Train several students on labels and on each other's answers; a run for each, in order.

    L_k = alpha · CE(student_k, labels) + (1 − alpha) · mean over j ≠ k of T² · KL(p_j || p_k)

    students: two or more, as in `train`; they may differ.
    seeds: one for each student, of its weights and dropout; None takes 0, 1, 2 ... All students see
        the same batches, those of the first one's seed. So with alpha=1 the first student is that
        of `train` with its seed, exactly; the others are not, for alone they see other batches.
    temperature: T > 0, of the answers.  alpha: 0 (each other only) to 1 (labels only).
    All else as in `train` and `distill`.

    In each step all students answer first, then all learn: the others' answers are numbers in L_k,
    without gradients. (In the paper each learns in turn from answers made anew, L_k is
    CE + mean KL, twice that of alpha=0.5, and T is 1.)
    The histories hold the terms `labels` and `others`. Agreement is NaN: there is no teacher.
    Raises Refusal for fewer than two students. Ctrl-C hands back the runs so far.
    (Zhang et al. 2018, "Deep Mutual Learning".)
    """
    options = {key: value for key, value in locals().items() if key not in ("students", "data")}
    numbers = _seeds(students, options.pop("seeds"))
    weight = share("alpha", alpha, " (1: labels only, 0: each other only)")
    if callable(temperature):
        raise Refusal("temperature is a function: students that teach each other take one number.")
    options |= {**NONE_OF, "alpha": 1.0}  # prepared as students of labels, without a teacher
    with surroundings.alone(options):
        jobs = [
            prepare(student, None, data, **options, seed=seed)
            for student, seed in zip(students, numbers, strict=True)
        ]
        for job in jobs:
            job.options["alpha"] = job.run.settings["alpha"] = weight
            job.run.settings["mutual"] = [other.run.settings["student"] for other in jobs]
            job.run.settings["batches_of_seed"] = numbers[0]
        started = time.perf_counter()
        histories = surroundings.carry_out(lambda _: _loop(jobs), jobs[0])
        seconds = time.perf_counter() - started  # of all together, as each run says
        return [training.finish(job, history, seconds)
                for job, history in zip(jobs, histories, strict=True)]  # fmt: skip


def _seeds(students: object, numbers: Sequence[int] | None) -> list[int]:
    if not isinstance(students, (list, tuple)) or len(students) < 2:
        count = len(students) if isinstance(students, (list, tuple)) else type(students).__name__
        raise Refusal(f"students: {count}: expected a list of two or more, who teach each other.")
    numbers = list(range(len(students))) if numbers is None else numbers
    if not isinstance(numbers, (list, tuple, range)) or len(numbers) != len(students):
        raise Refusal(
            f"seeds={numbers!r}: expected a list of {len(students)}, one for each student."
        )
    return list(numbers)


def _loop(jobs: list[Job]) -> list[list[dict]]:
    """Train all students in place on the first one's batches; a history for each."""
    first = jobs[0]
    options, device = first.options, first.options["device"]
    inputs = cast(first.examples.inputs, options["precision"]).to(device)
    labels = first.examples.labels.to(device)
    classes = first.run.settings["classes"]
    shuffle = seeds.generator(options["seed"], "batches")
    streams = [_Stream(seeds.stream(job.options["seed"], "dropout"), device) for job in jobs]
    for job in jobs:
        if models.channels_last(job.student, first.examples.inputs[:2]) is not job.student:
            job.student.to(memory_format=torch.channels_last)
    optimizers = [training.make_optimizer(job.student.parameters(), options) for job in jobs]
    histories: list[list[dict]] = [[] for _ in jobs]
    steps = options["epochs"] * len(training.batches(labels, options["batch_size"]))
    step = 0
    bar = tqdm(total=options["epochs"], desc="training together", unit="epoch", delay=2,
               leave=False, disable=not options["progress"])  # fmt: skip
    try:
        for epoch in range(1, options["epochs"] + 1):
            seen: list[list[Tensor]] = [[] for _ in jobs]
            for job in jobs:
                job.student.train()
            order = torch.randperm(len(labels), generator=shuffle).to(device)
            for rows in training.batches(order, options["batch_size"]):
                if options["stop"] is not None and options["stop"]():
                    raise training.Stopped
                batch, said = inputs.index_select(0, rows), labels.index_select(0, rows)
                if options["augment"] is not None:
                    with streams[0]():  # as in `train` with the first one's seed
                        batch, said = augmented(batch, said, options["augment"], classes)
                logits = []
                for job, stream in zip(jobs, streams, strict=True):
                    with stream(), surroundings.autocast(options):
                        logits.append(signals.logits_of(job.student(batch)))
                for k, (job, optimizer) in enumerate(zip(jobs, optimizers, strict=True)):
                    training.set_learning_rate(optimizer, options, step / steps)
                    others = [z.detach() for j, z in enumerate(logits) if j != k]
                    with surroundings.autocast(options):
                        terms = _terms(logits[k], others, said, job.options)
                    loss = sum(weighted for weighted, _ in terms.values())
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    columns = columns_of(terms, None)
                    row = [loss, *(part.to(loss) for part in columns.values())]
                    seen[k].append(torch.stack(row).detach())
                step += 1
            for job, steps_seen, history in zip(
                jobs, map(torch.stack, seen), histories, strict=True
            ):
                row = history_row(epoch, step, steps_seen, list(columns), history)
                if options["watch"]:
                    row["validation_accuracy"] = training.watched_accuracy(job)
                history.append(row)
            bar.update()
    except KeyboardInterrupt:
        print(f"stopped by you in epoch {epoch} of {options['epochs']}: the runs hold the finished "
              "epochs and the students as they are now.", file=sys.stderr)  # fmt: skip
    finally:
        bar.close()
    return histories


def _terms(own: Tensor, others: list[Tensor], labels: Tensor, options: dict) -> dict[str, tuple]:
    """The terms of one student's loss: name -> (weighted, raw); one of weight 0 is left out."""
    alpha, terms = options["alpha"], {}
    if alpha > 0:
        raw = losses.label_loss(own, labels)
        terms["labels"] = (alpha * raw, raw)
    if alpha < 1:
        each = [losses.soft_target_kl(own, other, options["temperature"]) for other in others]
        raw = sum(each) / len(each)
        terms["others"] = ((1 - alpha) * raw, raw)
    return terms


class _Stream:
    """A stream of torch's random numbers of one's own: the dropout of one student."""

    def __init__(self, seed: int, device: str):
        self.cuda = [torch.device(device)] if device.startswith("cuda") else []
        with torch.random.fork_rng(devices=self.cuda):
            torch.manual_seed(seed)
            self.states = self._now()

    def _now(self) -> list[Tensor]:
        return [torch.get_rng_state(), *map(torch.cuda.get_rng_state, self.cuda)]

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        torch.set_rng_state(self.states[0])
        for device, state in zip(self.cuda, self.states[1:], strict=True):
            torch.cuda.set_rng_state(state, device)
        yield
        self.states = self._now()
