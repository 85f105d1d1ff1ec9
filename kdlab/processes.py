"""Students on all cores, or on a cluster: units of jobs sent to worker processes by joblib.

joblib starts a worker a core on this machine; inside `joblib.parallel_config("dask")`, or any other
backend of joblib, the same units go where that sends them.
"""

import copy
import dataclasses
import io
import math
import pickle
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from types import SimpleNamespace

import cloudpickle
import joblib
import numpy as np
import psutil
import torch
from joblib.externals.loky.process_executor import BrokenProcessPool
from joblib.parallel import get_active_backend
from torch import Tensor, nn

from kdlab import signals, surroundings, together, training
from kdlab.jobs import Job, cast
from kdlab.runs import Run

START = 5.0  # seconds until new workers have loaded torch; they stay for joblib's five minutes
STAYS = 240.0
WARM = 0.5  # seconds worth saving where workers are there already: each job travels there and back
WORKER = 700_000_000  # bytes that a worker takes before its data
LARGE = 100_000  # bytes of a tensor that workers read from one shared place
TRIES = 3  # how often units are sent whose workers are killed, with none done in between
_last_used = -math.inf


@dataclasses.dataclass
class Outcome:
    """What a worker sends back for a job; `error` says why it failed, `interrupted` Ctrl-C."""

    history: object = None  # a list of rows, or the history before an error
    seconds: float = 0.0
    student: nn.Module | None = None
    projectors: dict[str, nn.Module] = dataclasses.field(default_factory=dict)
    validation_logits: Tensor | None = None
    error: str = ""
    interrupted: bool = False


def elsewhere() -> bool:
    """Whether a joblib backend of the user's own is in force, such as a Dask cluster."""
    return type(get_active_backend()[0]).__name__ != "LokyBackend"


def workers(jobs: Sequence[Job]) -> int:
    """How many processes would train these jobs at once: cores, but no more than fit in memory."""
    wanted = get_active_backend()[1]
    if elsewhere():
        return max(1, joblib.effective_n_jobs(wanted))
    held = {id(part): part.nbytes for job in jobs for part in (job.examples.inputs, job.answers)
            if part is not None}  # fmt: skip
    fit = int(psutil.virtual_memory().available // (WORKER + sum(held.values())))
    return max(1, min(wanted or joblib.cpu_count(), len(jobs), fit))


def pays(jobs: Sequence[Job], seconds: float | None = None) -> bool:
    """Whether workers would be done sooner than this process.

    seconds: what one of these jobs took; None estimates it by the cost of a step.
    """
    at_once = workers(jobs) if jobs else 1
    if at_once < 2:
        return False
    in_turn = sum(map(_estimate(), jobs)) if seconds is None else len(jobs) * seconds
    start = WARM if time.monotonic() - _last_used < STAYS else START
    return in_turn * (1 - 1 / at_once) > start


def _estimate() -> Callable[[Job], float]:
    """A function that says the seconds of a job; the step of each kind of student is timed once."""
    of_kinds: dict[tuple, float] = {}

    def seconds(job: Job) -> float:
        sizes = tuple(weight.shape for weight in job.student.parameters())
        kind = (job.run.settings["student"], sizes, job.options["batch_size"])
        if kind not in of_kinds:
            of_kinds[kind] = _seconds_a_step(job)
        steps = math.ceil(len(job.examples) / job.options["batch_size"]) * job.options["epochs"]
        return of_kinds[kind] * steps

    return seconds


def _seconds_a_step(job: Job) -> float:
    """The quicker of two steps of a copy of the student, without the teacher's part."""
    student, seen = copy.deepcopy(job.student).train(), []
    batch = job.examples.inputs[: job.options["batch_size"]]
    batch = cast(batch, job.options["precision"]).to(job.options["device"])
    with torch.random.fork_rng(devices=[]):
        for _ in range(2):
            started = time.perf_counter()
            signals.logits_of(student(batch)).square().mean().backward()
            seen.append(time.perf_counter() - started)
    return min(seen)


def run(
    units: Sequence[list[Job]], stop: Callable[[], bool] | None = None
) -> Iterator[tuple[Job, Outcome]]:
    """Train each unit in a worker, its jobs together where that works; jobs as they are done.

    A unit whose worker was killed is sent again. The order is not that of the units.
    stop: asked whenever a unit is done; once it says True, Stopped is raised.
    """
    global _last_used
    kept: dict[int, tuple] = {}
    left, tries = dict(enumerate(units)), 0
    at_once = workers([job for unit in units for job in unit])
    while left:
        parallel = joblib.Parallel(
            n_jobs=at_once, return_as="generator_unordered", batch_size=1, max_nbytes=LARGE,
            mmap_mode="c",
        )  # fmt: skip
        tasks = (joblib.delayed(_work)(number, *_pack(left[number], kept)) for number in [*left])
        results = parallel(tasks)
        try:
            for number, packed in results:
                if number not in left:  # a cluster may run a unit twice
                    continue
                _last_used, tries = time.monotonic(), 0
                yield from zip(left.pop(number), pickle.loads(packed), strict=True)
                if left and stop is not None and stop():
                    raise training.Stopped
        except (BrokenProcessPool, CancelledError) as error:  # on this machine, on a cluster
            tries += 1
            if tries < TRIES:
                continue
            said = (str(error) or type(error).__name__).splitlines()[0]
            reason = f"its worker process was killed {TRIES} times: {said}"
            for unit in left.values():
                yield from ((job, Outcome(error=reason)) for job in unit)
            return
        finally:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it says how many students are given up
                results.close()


def take(job: Job, outcome: Outcome) -> list[dict] | Exception:
    """Give a job what its worker trained; its history, or what went wrong."""
    if outcome.error:
        failure = RuntimeError(outcome.error)
        failure.history = outcome.history if outcome.history is not None else job.run.history
        return failure
    job.run.student = outcome.student.to(job.options["device"])
    job.run.projectors = outcome.projectors
    job.validation_logits = outcome.validation_logits
    return outcome.history


# ---------------------------------------------------------------- on the way


class _Packer(cloudpickle.Pickler):
    """Pickles jobs, what a notebook defines included; large tensors are set aside, each once."""

    def __init__(self, file: io.BytesIO, kept: dict[int, tuple]):
        super().__init__(file)
        self.kept, self.arrays = kept, {}

    def persistent_id(self, thing: object) -> int | None:
        if type(thing) is not Tensor or thing.requires_grad:
            return None
        if thing.untyped_storage().nbytes() < LARGE:  # a small view would bring all of its storage
            return None
        if id(thing) not in self.kept:  # one array a tensor: joblib knows it again by its identity
            self.kept[id(thing)] = (thing, np.ascontiguousarray(thing.cpu().numpy()))
        self.arrays[id(thing)] = self.kept[id(thing)][1]
        return list(self.arrays).index(id(thing))


class _Unpacker(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, arrays: Sequence[np.ndarray]):
        super().__init__(file)
        self.arrays = arrays

    def persistent_load(self, number: int) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it may be read-only: kdlab writes into none
            return torch.from_numpy(self.arrays[number])


def _pack(unit: list[Job], kept: dict[int, tuple]) -> tuple:
    """The unit as bytes, and its large tensors as arrays."""
    file, lean = io.BytesIO(), {"stop": None, "after_epoch": None}
    packer = _Packer(file, kept)
    spare = []
    for job in unit:
        stages = [{**stage, **lean} for stage in job.options["stages"]]
        data = SimpleNamespace(validation=job.run.data.validation)
        run = Run(job.student, job.run.settings, data=data, projectors=job.run.projectors)
        options = {**job.options, **lean, "stages": stages}
        spare.append(dataclasses.replace(job, run=run, options=options))
    packer.dump(spare)
    return file.getvalue(), *packer.arrays.values()


# ---------------------------------------------------------------- in the worker


def _work(number: int, unit: bytes, *arrays) -> tuple[int, bytes]:
    torch.set_num_threads(1)  # the other cores have students of their own
    jobs = _Unpacker(io.BytesIO(unit), arrays).load()
    with surroundings.alone(jobs[0].options):
        outcomes = _train(jobs)
    return number, cloudpickle.dumps(outcomes)


def _train(jobs: list[Job]) -> list[Outcome]:
    if together.can(jobs):
        started = time.perf_counter()
        histories = surroundings.carry_out(together.loop, jobs)
        each = (time.perf_counter() - started) / len(jobs)
        return [_outcome(*pair, each) for pair in zip(jobs, histories, strict=True)]
    outcomes = []
    for job in jobs:
        started = time.perf_counter()
        try:
            history = surroundings.carry_out(training.loop, job)
        except Exception as error:  # a row with its error, not the end of the sweep
            history = error
        outcomes.append(_outcome(job, history, time.perf_counter() - started))
    return outcomes


def _outcome(job: Job, history: list[dict] | Exception, seconds: float) -> Outcome:
    if isinstance(history, Exception):
        said = str(history) or type(history).__name__
        return Outcome(getattr(history, "history", None), seconds, error=said)
    if job.validation_logits is None:
        inputs = cast(job.run.data.validation.inputs, job.options["precision"])
        job.validation_logits = signals.ask(job.student, inputs, job.options["device"])
    return Outcome(
        history,
        seconds,
        job.student.to("cpu", memory_format=torch.contiguous_format),
        job.run.projectors,
        job.validation_logits,
        interrupted=len(history) < job.options["epochs"],
    )
