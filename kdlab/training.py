"""One student: the plain loop a learner can read from top to bottom."""

import sys
import time
from collections.abc import Callable, Sequence

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from kdlab import layers, models, scores, seeds, signals
from kdlab.augment import augmented
from kdlab.errors import Refusal
from kdlab.jobs import Job, Loss, Teacher, cast, prepare
from kdlab.matches import Match
from kdlab.runs import Run
from kdlab.schedules import Schedule, value_at
from kdlab.starts import Start
from kdlab.surroundings import alone, autocast, carry_out
from kdlab.terms import EMPTY, columns_of, history_row, logit_terms, match_terms


class Stopped(Exception):
    """A run was told to stop by its `stop` function; what it had is thrown away."""


def train(
    student: models.Student,
    data: object,
    *,
    teacher: Teacher | None = None,
    init_from: Start = None,
    epochs: int = 20,
    batch_size: int = 128,
    learning_rate: float | Callable[[float], float] = 1e-3,
    seed: int = 0,
    augment: Callable | None = None,
    optimizer: Callable[..., torch.optim.Optimizer] | None = None,
    watch: int = 1_000,
    device: str | None = None,
    precision: str = "float32",
    deterministic: bool = False,
    progress: bool = True,
    after_epoch: Callable[[int, nn.Module], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Run:
    """Train a student on labels alone: the baseline of `distill`, with the same start and batches.

    student: a name ("mlp-32"), a module (copied, never trained in place), or a function making one.
    data: a Data, a name, a pair (inputs, labels), or a torch Dataset.
    teacher: only measured against (agreement), and the source of init_from.
    init_from: "teacher" copies the weights of every layer that the teacher has by the same name
        and shapes; a list of names or a mapping {student layer: teacher layer} chooses them. None
        starts from the seed's own random weights.
    learning_rate: a number, or a function of training progress (0 at the start, towards 1).
    seed: fixes weights, batches and dropout.
    augment: a function of a batch of inputs, applied anew at each step; or of (inputs, labels) that
        gives both, such as `kdlab.MixUp()`, labels as probabilities (batch, classes), a row of
        zeros where there is no label. A loss of one's own then gets these labels.
    optimizer: a function (parameters, lr=...) that makes a torch optimizer; None takes Adam.
    watch: validation examples scored after each epoch for the history; 0 turns it off.
    device: None takes KDLAB_DEVICE, else CUDA, MPS, CPU in this order.
    precision: "float32", "float64", or "bf16" (autocast, opt-in).
    deterministic: on CUDA, ask torch for its deterministic algorithms.
    after_epoch: called with (epoch, student) after each epoch, to draw or to keep a checkpoint.
    stop: asked before each step; once it says True, Stopped is raised.

    Raises Refusal or UnknownName before any work; LossNotFinite where the loss turns NaN. Ctrl-C
    hands back the run so far.
    """
    no_teacher = {"temperature": 1.0, "alpha": 1.0, "loss": None, "match": (), "stages": None}
    return _one(**locals() | no_teacher, transfer=False)


def distill(
    student: models.Student,
    teacher: Teacher,
    data: object,
    *,
    temperature: float | Schedule = 4.0,
    alpha: float | Schedule = 0.1,
    loss: Loss | str | None = None,
    match: Sequence[Match] = (),
    stages: Sequence[dict] | None = None,
    transfer: bool = False,
    init_from: Start = None,
    epochs: int = 20,
    batch_size: int = 128,
    learning_rate: float | Callable[[float], float] = 1e-3,
    seed: int = 0,
    augment: Callable | None = None,
    optimizer: Callable[..., torch.optim.Optimizer] | None = None,
    watch: int = 1_000,
    device: str | None = None,
    precision: str = "float32",
    deterministic: bool = False,
    progress: bool = True,
    after_epoch: Callable[[int, nn.Module], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Run:
    """Train a student on labels and on a teacher's soft targets; see `train` for what they share.

    L = alpha · CE(student, labels) + (1 − alpha) · T² · KL(teacher_T || student_T) + Σ matches

    teacher: a name ("fashion-cnn"), a module, or a recorded Signal. It is asked once about each
        example, in eval mode, and unchanged afterwards; under `augment` it is asked at each step
        for the very view that the student sees.
    temperature: T > 0.  alpha: 0 (teacher only) to 1 (labels only). Each a number, or a function
        of training progress (0 at the start, towards 1), such as `schedules.linear(0.9, 0.1)`.
    loss: any function (student_logits, teacher_logits, labels, temperature, alpha) that gives a
        tensor, or a dict of named tensors that are summed as they are; None takes `losses.kd_loss`,
        "match only" leaves the logits out.
    match: feature terms, each a `Match` of a layer of the student with one of the teacher.
    stages: dicts, one a stage, trained one after another, each with an optimizer of its own. A
        stage takes the arguments given here, but for those it names: epochs, temperature, alpha,
        loss, match, learning_rate. Progress runs from 0 to 1 in each. FitNets:
        stages=[{"epochs": 5, "loss": "match only"}, {"epochs": 15, "match": []}].
    transfer: adds the data set's unlabelled examples. Batches are drawn from the union; labels
        count over the labelled rows (the others carry the label −100), the teacher over all.

    The history holds each term weighted, and raw in the column with "_raw" after its name.

    (Hinton, Vinyals & Dean 2015; FitNets: Romero et al. 2015.)
    """
    return _one(**locals())


def _one(student, teacher, data, **options) -> Run:
    with alone(options):
        job = prepare(student, teacher, data, **options)
        if options["progress"]:
            for said in job.said:
                print(said)
        started = time.perf_counter()
        history = carry_out(loop, job)
        return finish(job, history, time.perf_counter() - started)


def finish(job: Job, history: list[dict], seconds: float) -> Run:
    """The run of a trained job: history, seconds, and scores on validation."""
    run = job.run
    run.history, run.seconds = pd.DataFrame(history or EMPTY), seconds
    run.finished = len(history) == job.options["epochs"]
    run.student.to(memory_format=torch.contiguous_format).eval()
    run.scores = run.score("validation", logits=job.validation_logits)
    return run


# ---------------------------------------------------------------- the loop


def loop(job: Job) -> list[dict]:
    """Train job.student in place; a row of history for each epoch that was finished."""
    options, student, stages = job.options, job.student, job.options["stages"]
    device, precision = options["device"], options["precision"]
    inputs = cast(job.examples.inputs, precision).to(device)
    labels, classes = job.examples.labels.to(device), job.run.settings["classes"]
    kept = {None: job.answers, **job.features}  # the logits stand under None
    kept = {
        name: cast(tensor, precision).to(device)
        for name, tensor in kept.items()
        if tensor is not None
    }
    shuffle = seeds.generator(options["seed"], "batches")
    torch.manual_seed(seeds.stream(options["seed"], "dropout"))
    steps_an_epoch = len(batches(torch.arange(len(labels)), options["batch_size"]))
    tapped = sorted({match.student_layer for match in job.links})
    if models.channels_last(student, job.examples.inputs[:2]) is not student:
        student.to(memory_format=torch.channels_last)
    history, done = [], 0

    def terms_of(rows: Tensor, stage: dict, progress: float) -> dict[str, tuple]:
        batch = inputs.index_select(0, rows)  # four times as quick as inputs[rows]
        right = labels.index_select(0, rows)
        if options["augment"] is not None:
            batch, right = augmented(batch, right, options["augment"], classes)
        said = _teacher_says(job, batch, rows, kept)
        with autocast(options):
            logits = signals.logits_of(student(batch))
            terms = logit_terms(stage, progress, logits, said, right)
            return terms | match_terms(job, stage, progress, seen_by_student, said)

    bar = tqdm(
        total=options["epochs"], desc="training", unit="epoch", delay=2, leave=False,
        disable=not options["progress"],
    )  # fmt: skip
    try:
        with layers.tap(student, *tapped) as seen_by_student:
            for number, stage in enumerate(stages, 1):
                optimizer = make_optimizer(trained(job, stage), stage)
                names, step, steps = None, 0, stage["epochs"] * steps_an_epoch
                for _ in range(stage["epochs"]):
                    student.train()
                    seen = []
                    order = torch.randperm(len(labels), generator=shuffle).to(device)
                    for rows in batches(order, options["batch_size"]):
                        if options["stop"] is not None and options["stop"]():
                            raise Stopped
                        set_learning_rate(optimizer, stage, step / steps)
                        terms = terms_of(rows, stage, step / steps)
                        loss = sum(weighted for weighted, _ in terms.values())
                        optimizer.zero_grad()
                        loss.backward()
                        optimizer.step()
                        columns = columns_of(terms, names)
                        names = list(columns)
                        row = [part.detach().to(loss) for part in columns.values()]
                        seen.append(torch.stack([loss.detach(), *row]))
                        step, done = step + 1, done + 1
                    row = history_row(len(history) + 1, done, torch.stack(seen), names, history)
                    if len(stages) > 1:
                        row["stage"] = number
                    if options["watch"]:
                        row["validation_accuracy"] = watched_accuracy(job)
                    history.append(row)
                    if options["after_epoch"] is not None:
                        options["after_epoch"](len(history), student)
                    bar.update()
    except KeyboardInterrupt:
        print(
            f"stopped by you in epoch {len(history) + 1} of {options['epochs']}: the run holds the "
            f"{len(history)} finished epochs and the student as it is now.",
            file=sys.stderr,
        )
    finally:
        bar.close()
    return history


def trained(job: Job, stage: dict) -> list[nn.Parameter]:
    """What a stage trains: the student, and the projectors of its matches."""
    projectors = [job.links[match].projector for match in stage["match"]]
    parts = [job.student, *(part for part in projectors if part is not None)]
    return [weight for part in parts for weight in part.parameters()]


def batches(order: Tensor, batch_size: int) -> list[Tensor]:
    """Shuffled rows (..., n) in batches; a last one of a single row joins the one before it.

    Batch norm cannot train on one row.
    """
    parts = list(order.split(batch_size, dim=-1))
    if len(parts) > 1 and parts[-1].shape[-1] == 1:
        parts[-2:] = [torch.cat(parts[-2:], dim=-1)]
    return parts


def make_optimizer(parameters, options: dict) -> torch.optim.Optimizer:
    """The user's optimizer, else Adam, fused where torch has it."""
    parameters = [weight for weight in parameters if weight.requires_grad]
    if not parameters:
        raise Refusal("the student has no parameters to train.")
    rate = float(value_at(options["learning_rate"], 0.0))
    if options["optimizer"] is not None:
        return options["optimizer"](parameters, lr=rate)
    fused = options["device"].startswith(("cpu", "cuda"))
    return torch.optim.Adam(parameters, lr=rate, fused=fused)


def set_learning_rate(optimizer, options: dict, progress: float) -> None:
    """A learning rate that is a function follows the training's progress."""
    if callable(options["learning_rate"]):
        for group in optimizer.param_groups:
            group["lr"] = float(options["learning_rate"](progress))


def _teacher_says(job: Job, batch: Tensor, rows: Tensor, kept: dict) -> dict:
    """The teacher's logits (under None) and features for this batch, by layer.

    Kept ones by example, or the teacher is asked for this very view.
    """
    if job.live_teacher is None:
        return {name: tensor.index_select(0, rows) for name, tensor in kept.items()}
    asked = batch.float() if batch.is_floating_point() else batch
    names = {match.teacher_layer for match in job.links}
    with models.listening(job.live_teacher, job.options["device"]) as teacher, torch.no_grad():
        with layers.tap(teacher, *names) as heard:
            logits = signals.logits_of(teacher(asked))
        said = {None: logits, **{name: heard[name] for name in names}}
    return {name: cast(tensor, job.options["precision"]) for name, tensor in said.items()}


def watched_accuracy(job: Job) -> float:
    """Accuracy on the validation examples that are looked at after each epoch."""
    inputs = cast(job.watched.inputs, job.options["precision"])
    logits = signals.ask(job.student, inputs, job.options["device"])
    return scores.accuracy(logits, job.watched.labels)
