"""Paired students: with the teacher and with labels alone, from the same start and batches."""

import dataclasses
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
from torch import nn

from kdlab import data as data_sets
from kdlab import scores, signals, sweeps, verdicts
from kdlab import seeds as streams
from kdlab.data import Data
from kdlab.errors import Refusal, share
from kdlab.runs import Run
from kdlab.verdicts import Verdict

EXAMPLES = (250, 500, 1_000, 2_000, 4_000, 6_000, 12_000)
KEPT = 20  # students of labels that are kept for the next comparison: each holds its examples


@dataclass(frozen=True)
class Trained:
    """Pairs of students: `runs["labels"][i]` and `runs["teacher"][i]` share seed i.

    verdict: the teacher's students against those of labels.  seconds: what this took; `new`
    students were trained in them, the others were kept from before.
    """

    settings: dict
    verdict: Verdict
    runs: dict[str, list[Run]]
    teacher_accuracy: float
    new: int
    seconds: float

    @property
    def what(self) -> str:
        """Student, teacher, T, both weights, examples, noise, seeds and seconds in one line."""
        chosen = self.settings
        one = chosen["seeds"] == 1
        parts = [
            f"mlp-{chosen['width']}",
            f"teacher: {chosen['teacher']}" if chosen["teacher"] else "",
            f"T = {chosen['temperature']:g}",
            weights(chosen["alpha"]),
            pictures(chosen["examples"], chosen["noise"]),
            f"{chosen['epochs']} epochs",
            f"{chosen['seeds']} seed{'' if one else 's'}",
            f"{self.new} trained in {self.seconds:.1f} s",
        ]
        return " · ".join(filter(None, parts))


def weights(alpha: float) -> str:
    """Both weights of the loss, written out."""
    return f"labels {alpha:.2f} · teacher {1 - alpha:.2f}"


def pictures(examples: int, noise: float) -> str:
    """How many training examples, and how many of their labels are drawn at random."""
    return f"{examples:,} pictures" + (
        f", {100 * noise:.0f} % of their labels random" if noise else ""
    )


def drawing(data: object) -> tuple[Callable[..., Data], list[int]]:
    """A function (examples, seed, noise=0.0) -> Data, and the sizes that can be asked of it.

    Each seed draws its own training examples. noise: share of their labels drawn anew, uniformly
    from all classes.
    """
    if isinstance(data, str):
        most = next((size for size in reversed(EXAMPLES) if _possible(data, size)), 0)
        return partial(_drawn, data), [size for size in EXAMPLES if size <= most]
    whole = data_sets.as_data(data)
    most = len(whole.train)
    sizes = [size for size in EXAMPLES if size < most] + [min(most, EXAMPLES[-1])]
    return partial(_drawn, whole), sizes


@lru_cache(maxsize=10)  # the seeds of one comparison, for all panels: a cell may be run many times
def _drawn(data: str | Data, examples: int, seed: int, noise: float = 0.0) -> Data:
    if isinstance(data, str):
        return data_sets.load_data(data, train=examples, seed=seed, label_noise=noise)
    if examples > len(data.train):
        raise Refusal(f"{examples:,} examples asked for: this data has {len(data.train):,}.")
    draw = streams.generator(seed, "data")
    train = data.train[torch.randperm(len(data.train), generator=draw)[:examples]]
    many = round(share("label noise", noise) * examples)
    hit = torch.randperm(examples, generator=draw)[:many]
    anew = torch.randint(len(data.classes), (len(hit),), generator=draw)
    train = dataclasses.replace(train, labels=train.labels.index_copy(0, hit, anew))
    settings = {**data.settings, "train": examples, "seed": seed, "label_noise": noise}
    return dataclasses.replace(data, train=train, settings=settings)


def _possible(name: str, examples: int) -> bool:
    try:
        data_sets.load_data(name, train=examples)
    except Refusal:
        return False
    return True


def counting(
    stop: Callable[[], bool], progress: Callable[[int, int], None], steps: int, rounds: int
) -> Callable[[], bool]:
    """`stop`, which is asked before each step, so that it can count them: it tells `progress`.

    steps: of a round.  rounds: that there will be.
    """
    asked = 0

    def told_to_stop() -> bool:
        nonlocal asked
        asked += 1
        if asked % steps == 0:
            progress(min(asked // steps, rounds), rounds)
        return stop()

    return told_to_stop


def train_pairs(
    model: nn.Module | signals.Signal,
    draw: Callable[[int, int, float], Data],
    kept: "OrderedDict[tuple, Run]",
    stop: Callable[[], bool],
    progress: Callable[[int, int], None],
    *,
    examples: int,
    temperature: float,
    alpha: float,
    width: int,
    epochs: int,
    seeds: int,
    noise: float = 0.0,
    teacher: str = "",
) -> Trained:
    """Students of a teacher beside their twins, which start alike and learn from labels alone.

    model: the teacher.  teacher: what it is called, where there is a choice.  noise: share of the
    labels that are drawn at random; both twins learn from the same.
    kept: students of labels from earlier calls; where one is there, only its twin is trained.
    """
    settings = dict(
        examples=examples, temperature=temperature, alpha=alpha, width=width, epochs=epochs,
        seeds=seeds, noise=noise, teacher=teacher,
    )  # fmt: skip
    started, numbers = time.perf_counter(), range(seeds)
    # the teacher too: agreement is measured against it
    keys = {seed: (examples, noise, width, epochs, teacher, seed) for seed in numbers}
    missing = [seed for seed in numbers if keys[seed] not in kept]
    rest = [seed for seed in numbers if seed not in missing] if alpha < 1 else []
    rounds = epochs * (bool(missing) + bool(rest))
    told_to_stop = counting(stop, progress, math.ceil(examples / 128), rounds)

    def students(of: Sequence[int], weights_of_labels: list[float]) -> dict[tuple, Run]:
        """New students of these seeds, all in one loop, by weight of the labels and seed."""
        if not of:
            return {}
        found = sweeps.sweep(
            f"mlp-{width}", model, lambda seed: draw(examples, seed, noise), seeds=of,
            epochs=epochs, temperature=temperature, alpha=weights_of_labels, progress=False,
            stop=told_to_stop,
        )  # fmt: skip
        for run in found.runs:
            if run.error:
                raise Refusal(run.error)
        rows = zip(found.table["alpha"], found.table["seed"], found.table["run"], strict=True)
        return {(weight, seed): found.runs[at] for weight, seed, at in rows}

    # at alpha = 1 the teacher is not heard: both twins are one student
    new = students(missing, [1.0, alpha] if alpha < 1 else [1.0]) | students(rest, [alpha])
    kept.update((keys[seed], new[1.0, seed]) for seed in missing)
    from_labels = [kept[keys[seed]] for seed in numbers]
    for key in keys.values():
        kept.move_to_end(key)
    while len(kept) > max(KEPT, seeds):
        kept.popitem(last=False)
    from_teacher = [new[alpha, seed] for seed in numbers] if alpha < 1 else from_labels
    of = f", {teacher}" if teacher else ""
    verdict = verdicts.compare(
        [run.scores["accuracy"] for run in from_labels],
        [run.scores["accuracy"] for run in from_teacher],
        names=("labels only", f"{weights(alpha)} (T={temperature:g}{of})"),
        where=pictures(examples, noise),
    )
    return Trained(
        settings,
        verdict,
        {"labels": from_labels, "teacher": from_teacher},
        accuracy_of(model, from_labels[0].data),
        len(new),
        time.perf_counter() - started,
    )


def accuracy_of(teacher: nn.Module | signals.Signal, data: Data) -> float:
    """The teacher's own validation accuracy; NaN for a record that does not cover validation."""
    try:
        logits = signals.answers(teacher, data.validation)
    except Refusal:
        return math.nan
    return scores.accuracy(logits, data.validation.labels)
