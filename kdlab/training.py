"""One student: the plain loop a learner can read from top to bottom."""

import contextlib
import inspect
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from kdlab import costs, layers, losses, models, scores, seeds, signals
from kdlab.errors import LossNotFinite, Refusal
from kdlab.jobs import MATCH_ONLY, Job, Loss, Teacher, cast, numbers_at, prepare
from kdlab.matches import Match
from kdlab.runs import Run
from kdlab.schedules import Schedule, value_at
from kdlab.starts import Start

EMPTY = {"epoch": [], "step": [], "loss": []}  # the history of a run stopped in its first epoch
COLUMNS = {*EMPTY, "stage", "validation_accuracy"}  # of a history, beside its terms
RAW = "_raw"  # after a term's name: its value before its weight
_one_run_at_a_time = threading.RLock()  # runs share torch's random state; panels train in threads


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
            return terms | _match_terms(job, stage, progress, seen_by_student, said)

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


def history_row(epoch, step, seen: Tensor, names: list[str], history: list[dict]) -> dict:
    """Means over an epoch of `seen` (steps, 1 + columns); refuses the first loss not finite.

    Looked at once an epoch, not once a step: on a GPU each look waits for all work to finish.
    """
    seen = seen.cpu()
    broken = (~torch.isfinite(seen[:, 0])).nonzero()
    if len(broken):
        first = int(broken[0])
        at = step - len(seen) + first + 1
        raise LossNotFinite(
            f"the loss became {seen[first, 0].item()} at step {at} (epoch {epoch}). The history "
            f"of the {len(history)} epochs before is in the error's .history. Try a smaller "
            "learning rate; in a loss of your own, look for log(0), or for a mean over the "
            "labelled rows of a batch that has none.",
            at,
            pd.DataFrame(history),
        )
    loss, *means = seen.nanmean(0).tolist()  # NaN: a raw term in a step that has no use for it
    return {"epoch": epoch, "step": step, "loss": loss, **dict(zip(names, means, strict=True))}


def augmented(
    batch: Tensor, labels: Tensor, augment: Callable, classes: int
) -> tuple[Tensor, Tensor]:
    """A batch as `augment` changes it, and its labels, (batch, classes) if it changes them too."""
    size, said = len(batch), labels
    if takes_labels(augment):
        shares = (labels[:, None] == torch.arange(classes, device=labels.device)).float()
        given = augment(batch, shares)
        if not isinstance(given, tuple) or len(given) != 2:
            raise Refusal(
                f"augment takes inputs and labels, and gave a {type(given).__name__}: expected a "
                "pair of both."
            )
        batch, said = given
        if not isinstance(said, Tensor) or said.shape != shares.shape:
            what = tuple(said.shape) if isinstance(said, Tensor) else type(said).__name__
            raise Refusal(
                f"augment gave labels of {what}: expected a tensor of probabilities, a row for "
                f"each of {size} examples and a column for each of {classes} classes."
            )
    else:
        batch = augment(batch)
    if not isinstance(batch, Tensor) or len(batch) != size:
        raise Refusal(
            f"augment gave a {type(batch).__name__} for a batch of {size}: expected a "
            "tensor with as many rows."
        )
    return batch, said


def takes_labels(augment: Callable) -> bool:
    """Whether a function of a batch asks for its labels too; False where Python cannot tell."""
    try:
        asked = inspect.signature(augment)
    except (TypeError, ValueError):  # no signature, as some built-in functions
        return False
    try:
        asked.bind(None)
    except TypeError:
        return True
    return False


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


# Terms: name -> (weighted, raw); raw is None where the weight is unknown, NaN where it was not
# computed, for a weight of 0.
def logit_terms(stage, progress, logits, said: dict, labels) -> dict[str, tuple]:
    if stage["loss"] == MATCH_ONLY:
        return {}
    temperature, alpha = numbers_at(stage, progress)
    if stage["loss"] is None:
        given = losses.kd_terms(logits, said.get(None), labels, temperature, alpha)
        nothing = (torch.tensor(0.0, device=logits.device), torch.tensor(torch.nan))
        return {
            name: (given[name], given[name] / weight) if weight else nothing
            for name, weight in (("labels", alpha), ("teacher", 1 - alpha))
            if weight or callable(stage["alpha"])
        }
    given = stage["loss"](logits, said.get(None), labels, temperature, alpha)
    terms = given if isinstance(given, dict) else {"objective": given}
    for name, term in terms.items():
        if not isinstance(term, Tensor) or term.ndim:
            what = f"shape {tuple(term.shape)}" if isinstance(term, Tensor) else type(term).__name__
            raise Refusal(
                f"the loss gave {what} for {name!r}: expected one number, a tensor without "
                "dimensions. Take the mean over the batch."
            )
    if not terms or not sum(terms.values()).requires_grad:
        raise Refusal(
            "the loss does not depend on the student's logits, so there is nothing to learn from. "
            "Does it use student_logits, without .detach() or .item()?"
        )
    return {name: (term, None) for name, term in terms.items()}


def _match_terms(job, stage, progress, seen_by_student, said: dict) -> dict[str, tuple]:
    terms = {}
    for match in stage["match"]:
        raw = job.links[match](seen_by_student[match.student_layer], said[match.teacher_layer])
        terms[match.name] = (value_at(match.weight, progress) * raw, raw)
    return terms


def columns_of(terms: dict[str, tuple], before: list[str] | None) -> dict[str, Tensor]:
    """The terms as columns of the history; the same ones at every step of a stage."""
    columns = {name: weighted for name, (weighted, _) in terms.items()}
    columns |= {name + RAW: raw for name, (_, raw) in terms.items() if raw is not None}
    if list(columns) == ["objective"]:
        columns = {}  # a loss of one's own that names no terms: the column "loss" says it all
    if taken := COLUMNS & columns.keys():
        raise Refusal(f"the loss names a term {min(taken)!r}, a column that the history has.")
    if before is not None and list(columns) != before:
        raise Refusal(
            f"the loss gave the terms {list(columns)}, a step before {before}: expected the same "
            "names at every step. Give 0 for a term that does not apply."
        )
    return columns


def watched_accuracy(job: Job) -> float:
    """Accuracy on the validation examples that are looked at after each epoch."""
    inputs = cast(job.watched.inputs, job.options["precision"])
    logits = signals.ask(job.student, inputs, job.options["device"])
    return scores.accuracy(logits, job.watched.labels)


# ---------------------------------------------------------------- the surroundings


@contextlib.contextmanager
def alone(options: dict) -> Iterator[None]:
    """One run at a time in this process; the caller's random state is as it was afterwards."""
    cuda = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with _one_run_at_a_time, torch.random.fork_rng(devices=cuda):
        if not options["deterministic"]:
            yield
            return
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
        before = torch.are_deterministic_algorithms_enabled()
        only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before, warn_only=only_warns)


def carry_out(work: Callable, job: "Job | list[Job]"):
    """work(job), on as many threads as pay, with torch's out-of-memory error as a sentence.

    Several jobs in one loop see to their threads themselves.
    """
    try:
        with contextlib.nullcontext() if isinstance(job, list) else _threads_that_pay(job):
            return work(job)
    except RuntimeError as error:  # on the CPU and on MPS it has no class of its own
        known = ("out of memory", "not enough memory", "can't allocate memory")
        if not any(words in str(error) for words in known):
            raise
        options = (job[0] if isinstance(job, list) else job).options
        size = options["batch_size"]
        raise Refusal(
            f"not enough memory on {options['device']} for batches of {size}. "
            f"Try batch_size={max(1, size // 2)}, or device='cpu'."
        ) from error


SMALL_STEP = 30_000_000  # multiply-adds forward; two threads gain nothing below it


@contextlib.contextmanager
def _threads_that_pay(job: Job) -> Iterator[None]:
    """One thread where a step is small.

    Threads that share small products mostly wait for each other: on a busy machine a step then
    takes ten times as long.
    """
    before = torch.get_num_threads()
    if before > 1 and products(job) < SMALL_STEP:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def products(job: Job) -> int:
    """Multiply-adds of a student's pass over one batch."""
    weights, batch = list(job.student.parameters()), job.options["batch_size"]
    if all(weight.ndim <= 2 for weight in weights):
        tables = [part for part in job.student.modules() if isinstance(part, nn.Embedding)]
        looked_up = {id(table.weight) for table in tables}  # nothing is multiplied there
        return batch * sum(weight.numel() for weight in weights if id(weight) not in looked_up)
    one = cast(job.examples.inputs[:1], job.options["precision"]).to(job.options["device"])
    return batch * costs.macs(job.student, one, job.options["device"])


def autocast(options: dict):
    """bf16 where it was asked for."""
    if options["precision"] != "bf16":
        return contextlib.nullcontext()
    return torch.autocast(torch.device(options["device"]).type, torch.bfloat16)
