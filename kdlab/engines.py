"""How the students of a sweep are trained: many in one loop, a process a core, or in turn."""

import functools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psutil
import torch
from tqdm import tqdm

from kdlab import processes, surroundings, together, training
from kdlab.data import Data
from kdlab.errors import Refusal
from kdlab.jobs import Job, prepare
from kdlab.models import name_of
from kdlab.runs import Run
from kdlab.saved import Saved
from kdlab.scores import METRICS


@dataclass(frozen=True, eq=False)
class Plan:
    """One setting, to be trained under every seed."""

    student: object
    teacher: object
    loaded: dict  # teachers by name
    options: dict

    def prepare(self, seed: int, data: Data) -> Job:
        named = isinstance(self.teacher, str)
        teacher = self.loaded[self.teacher] if named else self.teacher
        job = prepare(self.student, teacher, data, **{**self.options, "seed": seed})
        job.run.settings["teacher"] = name_of(self.teacher)  # by its name, not its class
        return job


ENGINES = ("auto", "together", "processes", "in turn")
# In one loop: more members share no further cost, and are lost at once.
MEMBERS = {"cpu": 128, "cuda": 1_024}
SHARE = 4  # a loop takes at most one part in so many of the memory that is free


class Trainer:
    """Trains plans under all seeds, by the engines that suit them; fills `done`."""

    def __init__(self, engine: str, drawn: dict[int, Data], saved: Saved, stop, bar: tqdm):
        self.engine, self.drawn, self.saved, self.stop, self.bar = engine, drawn, saved, stop, bar
        self.done: dict[tuple[Plan, int], Run] = {}
        self.used: list[str] = []  # which engines, in words

    def train(self, plans: Sequence[Plan]) -> None:
        """Refuses what cannot run before the first run."""
        groups: dict[tuple, list[Plan]] = {}
        for plan in plans:
            with surroundings.alone(plan.options):
                job = plan.prepare(*next(iter(self.drawn.items())))
            alike = together.alike(job) if self.engine != "in turn" else None
            if alike is None and self.engine == "together":
                raise Refusal(
                    'engine="together" trains plain MLPs (linear layers and activations) that '
                    f"learn from logits; the student {job.run.settings['student']} or its options "
                    'need another. engine="auto" chooses for you.'
                )
            groups.setdefault(alike or (id(plan),), []).append(plan)
        away = self.engine == "processes" or (self.engine == "auto" and processes.elsewhere())
        lone = [group[0] for alike, group in groups.items() if len(alike) == 1]
        if away:
            self._on_processes(plans)
            return
        for alike, group in groups.items():
            if len(alike) > 1:
                for part in self._that_fit(group):
                    self._in_one_loop(part)
        if lone:
            self._one_by_one(lone)

    def _one_by_one(self, plans: list[Plan]) -> None:
        """Students that train alone: on processes as soon as what is left would pay for them."""
        with surroundings.alone(plans[0].options):
            first = [plan.prepare(*next(iter(self.drawn.items()))) for plan in plans]
        may = self.engine == "auto" and self.stop is None
        may = may and all(job.options["device"] == "cpu" for job in first)
        if may and processes.pays([job for job in first for _ in self.drawn]):
            self._on_processes(plans)
            return
        measured: list[float] = []
        for number, plan in enumerate(plans):
            jobs = self._jobs([plan])
            for at, (key, job) in enumerate(jobs.items()):
                self._in_turn({key: job})
                measured.append(self.done[key].seconds)  # matches and the loss's own cost with it
                left = len(jobs) - at - 1 + (len(plans) - number - 1) * len(self.drawn)
                warm = may and len(measured) > 1  # the first loads what torch loads at a first step
                if warm and processes.pays([job] * left, min(measured)):
                    self._on_processes(plans[number:])
                    return

    def _jobs(self, plans: Sequence[Plan]) -> dict[tuple[Plan, int], Job]:
        """The jobs of these plans that are neither done nor saved already."""
        jobs = {}
        for plan in plans:
            for seed, data in self.drawn.items():
                if (plan, seed) in self.done:
                    continue
                job = plan.prepare(seed, data)
                if (run := self.saved.load(job)) is None:
                    jobs[plan, seed] = job
                else:
                    self.done[plan, seed] = run
                    self.bar.update(job.options["epochs"])
        return jobs

    def _that_fit(self, plans: list[Plan]) -> Iterator[list[Plan]]:
        """Plans in parts whose members fit into one loop, and into the memory."""
        options = plans[0].options
        with surroundings.alone(options):
            job = plans[0].prepare(*next(iter(self.drawn.items())))
        device = "cpu" if job.options["device"] == "cpu" else "cuda"
        free = psutil.virtual_memory().available
        if device == "cuda" and torch.cuda.is_available():
            free, _ = torch.cuda.mem_get_info()
        members = min(MEMBERS[device], int(free / SHARE // together.bytes_of(job)))
        yield from _parts(plans, max(1, members // len(self.drawn)))

    def _in_one_loop(self, plans: list[Plan]) -> None:
        with surroundings.alone(plans[0].options):
            jobs = self._jobs(plans)
            if not together.can(list(jobs.values())):
                self._in_turn(jobs)
                return
            started = time.perf_counter()
            loop = functools.partial(together.loop, tick=self.bar.update)
            outcomes = surroundings.carry_out(loop, list(jobs.values()))
            each = (time.perf_counter() - started) / len(jobs)
            self._said(f"together, {len(jobs)} in one loop")
            for (key, job), outcome in zip(jobs.items(), outcomes, strict=True):
                self._keep(key, job, outcome, each)

    def _in_turn(self, jobs: dict[tuple[Plan, int], Job]) -> None:
        for key, job in jobs.items():
            with surroundings.alone(job.options):
                self._said("in turn")
                started = time.perf_counter()
                job.options["after_epoch"] = lambda *_: self.bar.update()
                try:
                    outcome = surroundings.carry_out(training.loop, job)
                except training.Stopped:
                    raise
                except Exception as error:  # a row with its error, not the end of the sweep
                    outcome = error
                else:
                    if len(outcome) < job.options["epochs"]:
                        raise KeyboardInterrupt
                self._keep(key, job, outcome, time.perf_counter() - started)

    def _on_processes(self, plans: Sequence[Plan]) -> None:
        jobs: dict[tuple[Plan, int], Job] = {}
        for plan in plans:
            with surroundings.alone(plan.options):
                jobs |= self._jobs([plan])
        if not jobs:
            return
        at_once, keys = (
            processes.workers(list(jobs.values())),
            {id(job): key for key, job in jobs.items()},
        )
        alike: dict[tuple, list[Job]] = {}
        for job in jobs.values():
            alike.setdefault(together.alike(job) or (id(job),), []).append(job)
        units = []
        for group in alike.values():  # split by seed: members of one seed share a product
            group.sort(key=lambda job: job.options["seed"])
            units += _parts(group, math.ceil(len(group) / at_once))
        self._said(f"processes, {at_once} at once")
        for job, outcome in processes.run(units, self.stop):
            if outcome.interrupted:
                raise KeyboardInterrupt
            self.bar.update(job.options["epochs"])
            self._keep(keys[id(job)], job, processes.take(job, outcome), outcome.seconds)

    def _keep(self, key: tuple, job: Job, outcome: list[dict] | Exception, seconds: float) -> None:
        self.done[key] = self.saved.keep(job, _finish(job, outcome, seconds))

    def _said(self, engine: str) -> None:
        if engine not in self.used:
            self.used.append(engine)


def _parts(things: list, size: int) -> list[list]:
    return [things[at : at + size] for at in range(0, len(things), size)]


def _finish(job: Job, outcome: list[dict] | Exception, seconds: float) -> Run:
    if isinstance(outcome, list):
        return training.finish(job, outcome, seconds)
    run = job.run
    run.error = str(outcome) or type(outcome).__name__
    run.history, run.seconds = getattr(outcome, "history", run.history), seconds
    run.scores = dict.fromkeys(METRICS, math.nan)
    return run
