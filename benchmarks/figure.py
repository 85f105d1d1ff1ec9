"""A measured figure and its bar; and what every measurement needs: sizes, a clock, the data."""

import functools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

import kdlab
from kdlab.data import Data


@dataclass(frozen=True)
class Size:
    """How much is measured.

    examples, epochs: of each training.  seeds: of the atlas.  pairs: of accuracies to compare.
    rounds: how often the usual way and kdlab are timed in turn.  validation: None takes all.
    short: too little to say that a bar is held or missed.
    """

    examples: int = 6_000
    epochs: int = 20
    seeds: int = 5
    pairs: int = 5
    rounds: int = 3
    validation: int | None = None
    short: bool = False

    def data(self) -> Data:
        return kdlab.load_data("fashion-mnist", train=self.examples, validation=self.validation)


FULL, SHORT = Size(), Size(examples=3_000, epochs=2, pairs=3, rounds=1, short=True)


@dataclass(frozen=True)
class Figure:
    """One row of the table.

    value: in `unit`.  least, most: the bar, where there is one.
    seconds: who -> every time that was measured; medians are shown, to help in reading the ratio.
    note: what else was seen.
    """

    name: str
    value: float
    unit: str = ""
    least: float | None = None
    most: float | None = None
    seconds: dict[str, list[float]] = field(default_factory=dict)
    note: str = ""

    @property
    def bar(self) -> str:
        if self.least is not None:
            return f"≥ {self.least:g}"
        return "" if self.most is None else f"≤ {self.most:g}"

    @property
    def held(self) -> bool | None:
        """Whether the bar is held; None where there is none."""
        if self.least is not None:
            return self.value >= self.least
        return None if self.most is None else self.value <= self.most


def ratio(seconds: dict[str, list[float]], of: str, to: str) -> float:
    """Median seconds of one to those of the other."""
    return statistics.median(seconds[of]) / statistics.median(seconds[to])


def timed(work: Callable, *arguments, **options) -> tuple[float, object]:
    """Seconds that work(...) takes, until the GPU has finished too; and what it gave."""
    wait = torch.cuda.synchronize if kdlab.pick_device().startswith("cuda") else lambda: None
    wait()
    began = time.perf_counter()
    result = work(*arguments, **options)
    wait()
    return time.perf_counter() - began, result


def clock(kept: dict[str, list[float]], name: str, work: Callable, *arguments, **options):
    """work(...), its seconds kept under the name."""
    seconds, result = timed(work, *arguments, **options)
    kept.setdefault(name, []).append(seconds)
    return result


@functools.cache
def teacher() -> torch.nn.Module:
    """The teacher of every measurement."""
    return kdlab.load_teacher("fashion-cnn")
