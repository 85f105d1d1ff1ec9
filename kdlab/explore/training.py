"""Train one now: a slider is let go, and paired students are trained while you look."""

import dataclasses
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator
from torch import nn

from kdlab import data as data_sets
from kdlab import models, scores, signals, sweeps, verdicts
from kdlab import seeds as streams
from kdlab.data import Data
from kdlab.errors import Refusal
from kdlab.explore.panel import Panel, slider, steps
from kdlab.explore.teacher_view import TEMPERATURES
from kdlab.plots.picture import FROM_LABELS, FROM_TEACHER, GREEN, GREY, INK, Picture, style
from kdlab.runs import Run
from kdlab.verdicts import Verdict

EXAMPLES = (250, 500, 1_000, 2_000, 4_000, 6_000, 12_000)
WIDTHS = (8, 16, 32, 64, 128, 256)
ALPHAS = tuple(round(0.05 * step, 2) for step in range(21))
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
        """Student, T, both weights, examples, seeds and seconds in one line."""
        chosen = self.settings
        one = chosen["seeds"] == 1
        students = f"{self.new} new student{'s' if self.new != 1 else ''}"
        return (
            f"mlp-{chosen['width']} · T = {chosen['temperature']:g} · {weights(chosen['alpha'])} · "
            f"{chosen['examples']:,} pictures · {chosen['epochs']} epochs · "
            f"{chosen['seeds']} seed{'' if one else 's'} · {students} in {self.seconds:.1f} s"
        )


def weights(alpha: float) -> str:
    """Both weights of the loss, written out."""
    return f"labels {alpha:.2f} · teacher {1 - alpha:.2f}"


def drawing(data: object) -> tuple[Callable[[int, int], Data], list[int]]:
    """A function (examples, seed) -> Data, and the sizes that can be asked of it.

    Each seed draws its own training examples.
    """
    if isinstance(data, str):

        def draw(examples: int, seed: int) -> Data:
            return data_sets.load_data(data, train=examples, seed=seed)

        return draw, [size for size in EXAMPLES if _possible(draw, size)]
    whole = data_sets.as_data(data)

    def take(examples: int, seed: int) -> Data:
        if examples > len(whole.train):
            raise Refusal(f"{examples:,} examples asked for: this data has {len(whole.train):,}.")
        rows = torch.randperm(len(whole.train), generator=streams.generator(seed, "data"))
        settings = {**whole.settings, "train": examples, "seed": seed}
        return dataclasses.replace(whole, train=whole.train[rows[:examples]], settings=settings)

    most = len(whole.train)
    return take, [size for size in EXAMPLES if size < most] + [min(most, EXAMPLES[-1])]


def _possible(draw: Callable[[int, int], Data], examples: int) -> bool:
    try:
        draw(examples, 0)
    except Refusal:
        return False
    return True


def train_pairs(
    teacher: nn.Module | signals.Signal,
    draw: Callable[[int, int], Data],
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
) -> Trained:
    """Students of the teacher beside their twins, which start alike and learn from labels alone.

    kept: students of labels from earlier calls, by (examples, width, epochs, seed).
    """
    started, numbers = time.perf_counter(), range(seeds)
    keys = {seed: (examples, width, epochs, seed) for seed in numbers}
    missing = [seed for seed in numbers if keys[seed] not in kept]
    rounds = epochs * (bool(missing) + (alpha < 1))
    steps_a_round, step = math.ceil(examples / 128), 0

    def told_to_stop() -> bool:  # asked before each step, so it can count them
        nonlocal step
        step += 1
        if step % steps_a_round == 0:
            progress(min(step // steps_a_round, rounds), rounds)
        return stop()

    def students(of: Sequence[int], weight: float) -> list[Run]:
        if not of:
            return []
        return sweeps.sweep(
            f"mlp-{width}", teacher, lambda seed: draw(examples, seed), seeds=of, epochs=epochs,
            temperature=temperature, alpha=weight, progress=False, stop=told_to_stop,
        ).runs  # fmt: skip

    new = students(missing, 1.0)
    kept.update(zip((keys[seed] for seed in missing), new, strict=True))
    from_labels = [kept[keys[seed]] for seed in numbers]
    for key in keys.values():
        kept.move_to_end(key)
    while len(kept) > max(KEPT, seeds):
        kept.popitem(last=False)
    # at alpha = 1 the teacher is not heard: these are the very same students
    from_teacher = students(numbers, alpha) if alpha < 1 else from_labels
    verdict = verdicts.compare(
        [run.scores["accuracy"] for run in from_labels],
        [run.scores["accuracy"] for run in from_teacher],
        names=("labels only", f"{weights(alpha)} (T={temperature:g})"),
        where=f"{examples:,} pictures",
    )
    settings = dict(
        examples=examples, temperature=temperature, alpha=alpha, width=width, epochs=epochs,
        seeds=seeds,
    )  # fmt: skip
    return Trained(
        settings,
        verdict,
        {"labels": from_labels, "teacher": from_teacher},
        accuracy_of(teacher, from_labels[0].data),
        len(new) + (seeds if alpha < 1 else 0),
        time.perf_counter() - started,
    )


def accuracy_of(teacher: nn.Module | signals.Signal, data: Data) -> float:
    """The teacher's own validation accuracy; NaN for a record that does not cover validation."""
    try:
        logits = signals.answers(teacher, data.validation)
    except Refusal:
        return math.nan
    return scores.accuracy(logits, data.validation.labels)


class Curves:
    """Accuracy per epoch of both groups, and their differences seed by seed."""

    GROUPS = (("teacher", FROM_TEACHER, "with the teacher"), ("labels", FROM_LABELS, "labels only"))

    def __init__(self, picture: Picture):
        self.picture = picture
        with style():
            self.left, self.right = picture.figure.subplots(1, 2, width_ratios=[1.75, 1])
            self.what = picture.figure.suptitle(
                "training the first students …", x=0.01, ha="left", fontsize=10, weight="bold"
            )
            self.said = picture.figure.supxlabel(" \n ", x=0.01, ha="left", fontsize=11)
            self.thin, self.mean = {}, {}
            for name, look, label in self.GROUPS:
                self.thin[name] = LineCollection([], colors=look["color"], alpha=0.3, linewidths=1)
                self.left.add_collection(self.thin[name])
                (self.mean[name],) = self.left.plot([], [], label=f"{label} (mean)", **look)
            self.level = self.left.axhline(93, color=INK, linestyle=":", linewidth=1.6)
            self.level.set_label("the teacher itself")
            self.left.legend(loc="lower right", fontsize=10)
            self.left.set(xlim=(1, 30), ylim=(60, 95), xlabel="epoch")
            self.left.set_ylabel("validation accuracy, %")
            self.left.yaxis.set_major_locator(MaxNLocator(6, integer=True))  # keeps labels short
            self.right.axvline(0, color=INK, linewidth=1.2)
            (self.each,) = self.right.plot([], [], "o", color=GREY, markersize=6)
            (self.span,) = self.right.plot([], [], color=GREEN, linewidth=3)
            (self.middle,) = self.right.plot([], [], "D", color=GREEN, markersize=9)
            self.right.set(xlim=(-3, 3), ylim=(5.6, -0.6))
            self.right.set_yticks(range(6), [*(f"seed {seed}" for seed in range(5)), "mean, 95 %"])
            self.right.set_title("difference of each pair")
            self.right.set_xlabel("points (right of 0: teacher helps)")
            self.right.grid(axis="y", visible=False)
        picture.draw("The first students are being trained.")

    def update(self, result: Trained) -> None:
        """Show other students."""
        self._draw_curves(result)
        self._draw_differences(result)
        self.what.set_text(result.what)
        self.said.set_text(folded(str(result.verdict), 108))
        means = {
            name: 100 * sum(run.scores["accuracy"] for run in runs) / len(runs)
            for name, runs in result.runs.items()
        }
        teacher = ""
        if math.isfinite(result.teacher_accuracy):
            teacher = f"; the teacher itself {100 * result.teacher_accuracy:.1f} %"
        self.picture.draw(
            f"Validation accuracy per epoch and paired differences, {result.what}. Mean accuracy "
            f"after the last epoch: {means['teacher']:.1f} % with the teacher, "
            f"{means['labels']:.1f} % with labels only{teacher}. {result.verdict}."
        )

    def _draw_curves(self, result: Trained) -> None:
        lowest, highest = 100.0, 0.0
        for name, runs in result.runs.items():
            epochs = runs[0].history["epoch"].to_numpy()
            lines = [100 * run.history["validation_accuracy"].to_numpy() for run in runs]
            self.thin[name].set_segments([list(zip(epochs, line, strict=True)) for line in lines])
            self.mean[name].set_data(epochs, sum(lines) / len(lines))
            self.mean[name].set_markevery(max(1, len(epochs) // 8))
            settled = [line[len(line) // 6 :] for line in lines]  # the steep start may be cut off
            lowest = min(lowest, *(line.min() for line in settled))
            highest = max(highest, *(line.max() for line in settled))
        teacher = 100 * result.teacher_accuracy
        self.level.set(ydata=[teacher, teacher], visible=math.isfinite(teacher))
        highest = max(highest, teacher) if math.isfinite(teacher) else highest
        room = 0.06 * (highest - lowest) + 0.5
        self.left.set(xlim=(0.5, len(epochs) + 0.5), ylim=(lowest - room, highest + room))

    def _draw_differences(self, result: Trained) -> None:
        verdict, pairs = result.verdict, result.verdict.pairs
        gaps = [
            100 * (teacher.scores["accuracy"] - labels.scores["accuracy"])
            for teacher, labels in zip(
                *(result.runs[name] for name in ("teacher", "labels")), strict=True
            )
        ]
        self.each.set_data(gaps, range(pairs))
        has_interval = math.isfinite(verdict.low)
        ends = [100 * verdict.low, 100 * verdict.high] if has_interval else []
        self.span.set_data(ends, [pairs] * len(ends))
        self.middle.set_data([100 * verdict.difference], [pairs])
        furthest = 1.15 * max(0.5, *map(abs, gaps), *map(abs, ends))
        named = "mean, 95 %" if has_interval else "one run"
        self.right.set(xlim=(-furthest, furthest), ylim=(pairs + 0.6, -0.6))
        self.right.set_yticks(range(pairs + 1), [*(f"seed {at}" for at in range(pairs)), named])


def folded(sentence: str, width: int) -> str:
    """A sentence on at most a few lines of `width` characters, always at least two lines high."""
    lines = [""]
    for word in sentence.split(" "):
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += word + " "
    return "\n".join([*lines, " "] if len(lines) == 1 else lines)


def training(
    teacher: "str | nn.Module | signals.Signal" = "fashion-cnn",
    data: object = "fashion-mnist",
    *,
    examples: int | None = None,
    temperature: float = 1,
    alpha: float = 0.1,
    width: int = 32,
    epochs: int = 30,
    seeds: int = 5,
    code: str | None = None,
    hide: Sequence[str] = (),
    lock: Sequence[str] = (),
) -> Panel:
    """Let go of a slider, and students are trained, each beside its twin that learns from labels.

    The twins start from the same weights and see the same batches; each seed draws its own
    training examples. `panel.wait()` returns the result, a `Trained`, once it is there. Call it
    before a notebook shows the panel, so that the stored picture holds the first students.
    examples: None takes 1,000, or all where there are fewer.
    """
    teacher = models.load_teacher(teacher) if isinstance(teacher, str) else teacher
    draw, sizes = drawing(data)
    draw = lru_cache(maxsize=10)(draw)  # the seeds of one comparison
    kept: OrderedDict[tuple, Run] = OrderedDict()
    picture = Picture("train one now", size=(9.2, 4.4))
    curves = Curves(picture)
    return Panel(
        "train one now",
        {
            "examples": steps("training pictures", sizes, examples or min(1_000, sizes[-1])),
            "temperature": steps("temperature T", TEMPERATURES, temperature),
            "alpha": steps("weights (alpha)", ALPHAS, alpha, weights),
            "width": steps("hidden units", WIDTHS, width),
            "epochs": slider("epochs", 1, 60, epochs),
            "seeds": slider("seeds (pairs)", 1, 10, seeds),
        },
        lambda stop, progress, **chosen: train_pairs(teacher, draw, kept, stop, progress, **chosen),
        curves.update,
        picture,
        slow=True,
        code=code,
        hide=hide,
        lock=lock,
    )
