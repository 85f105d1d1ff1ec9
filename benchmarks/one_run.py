"""One run, the usual way and with kdlab: how much faster, and whether the students are as good."""

import contextlib
from collections.abc import Iterator
from unittest import mock

import torch

import kdlab
from benchmarks.figure import Figure, Size, clock, ratio, teacher
from benchmarks.usual import start, usual
from kdlab import scores, signals, verdicts
from kdlab.data import Data, Split

BARS = {"mlp-32": 9, "cnn-small": 7}  # times as fast
MARGIN = 0.005  # of accuracy: as good as the usual way


def measure(size: Size) -> list[Figure]:
    """Times faster for each student, in three ways, and the difference of accuracy.

    Every round is a new seed; there are as many as the interval needs.
    """
    data = size.data()
    return [row for student in BARS for row in _one(student, data, size)]


def _one(student: str, data: Data, size: Size) -> list[Figure]:
    accuracies: dict[str, list[float]] = {"the usual way": [], "kdlab": []}
    seconds: dict[str, list[float]] = {}
    usual(start(student, data, 0), teacher(), data.train[:256], epochs=1)  # both warm up
    kdlab.distill(student, teacher(), data, epochs=1, progress=False)
    for seed in range(max(size.rounds, size.pairs)):
        asked = {"epochs": size.epochs, "seed": seed}
        quiet = {**asked, "progress": False}
        theirs, alone = (start(student, data, seed) for _ in range(2))
        clock(seconds, "usual", usual, theirs, teacher(), data.train, **asked)
        with answers_unknown(data):
            clock(seconds, "kdlab, teacher asked", kdlab.distill, student, teacher(), data, **quiet)
        ours = clock(seconds, "kdlab", kdlab.distill, student, teacher(), data, **quiet)
        clock(seconds, "usual, no teacher", usual, alone, None, data.train, **asked)
        clock(seconds, "kdlab, no teacher", kdlab.train, student, data, **quiet)
        accuracies["the usual way"].append(_accuracy(theirs, data))
        accuracies["kdlab"].append(ours.scores["accuracy"])
    verdict = verdicts.compare(*accuracies.values(), names=tuple(accuracies), margin=MARGIN)
    ways = {
        "the teacher asked once, and timed": ("usual", "kdlab, teacher asked"),
        "the teacher's answers known": ("usual", "kdlab"),
        "no teacher in either": ("usual, no teacher", "kdlab, no teacher"),
    }
    rows = [
        Figure(
            f"one run, {student}: {way}", ratio(seconds, of, to), "times as fast",
            least=BARS[student] if of == "usual" else None,
            seconds={name: seconds[name] for name in (of, to)},
        )
        for way, (of, to) in ways.items()
    ]  # fmt: skip
    furthest = 100 * float(max(abs(verdict.low), abs(verdict.high)))
    name = f"one run, {student}: accuracy, furthest end of the 95 % interval from 0"
    return [*rows, Figure(name, furthest, "points", most=100 * MARGIN, note=str(verdict))]


@contextlib.contextmanager
def answers_unknown(data: Data) -> Iterator[None]:
    """kdlab has to ask the teacher about the training examples: none kept, none shipped.

    Those for validation stay known: only scores look at them, and the usual way has none.
    """
    shipped = signals._shipped

    def not_for_training(teacher_print: str, split: Split) -> torch.Tensor | None:
        return None if split is data.train else shipped(teacher_print, split)

    signals._kept.clear()
    with mock.patch.object(signals, "_shipped", not_for_training):
        signals.answers(teacher(), data.validation, kdlab.pick_device())
        yield


def _accuracy(student, data: Data) -> float:
    logits = signals.ask(student, data.validation.inputs, kdlab.pick_device())
    return scores.accuracy(logits, data.validation.labels)
