"""Train one now: a slider is let go, and paired students are trained while you look."""

import dataclasses
import math
import textwrap
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import ipywidgets
import torch
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator
from torch import nn

from kdlab import data as data_sets
from kdlab import scores, signals, sweeps, verdicts
from kdlab import seeds as streams
from kdlab.data import Data
from kdlab.errors import Refusal, share
from kdlab.explore.controls import slider, steps
from kdlab.explore.panel import Panel
from kdlab.explore.teacher_view import TEMPERATURES
from kdlab.plots.picture import FROM_LABELS, FROM_TEACHER, GREEN, GREY, INK, Picture, style
from kdlab.runs import Run
from kdlab.teachers import load_teacher
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
            f"{self.new} new student{'s' if self.new != 1 else ''} in {self.seconds:.1f} s",
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
    steps_a_round, step = math.ceil(examples / 128), 0

    def told_to_stop() -> bool:  # asked before each step, so it can count them
        nonlocal step
        step += 1
        if step % steps_a_round == 0:
            progress(min(step // steps_a_round, rounds), rounds)
        return stop()

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


class Curves:
    """Accuracy per epoch of both groups, and their differences seed by seed."""

    GROUPS = (("teacher", FROM_TEACHER, "with the teacher"), ("labels", FROM_LABELS, "labels only"))

    def __init__(self, picture: Picture, lines: int = 1):
        self.picture, self.lines = picture, lines  # of the words above the curves
        with style():
            self.left, self.right = picture.figure.subplots(1, 2, width_ratios=[1.75, 1])
            first = folded("training the first students …", 108, lines)
            self.what = picture.figure.suptitle(
                first, x=0.01, ha="left", fontsize=10, weight="bold"
            )
            self.said = picture.figure.supxlabel(
                folded("", 108, lines + 1), x=0.01, ha="left", fontsize=11
            )
            self.thin, self.mean = {}, {}
            for name, look, label in self.GROUPS:
                self.thin[name] = LineCollection([], colors=look["color"], alpha=0.3, linewidths=1)
                self.left.add_collection(self.thin[name])
                (self.mean[name],) = self.left.plot([], [], label=f"{label} (mean)", **look)
            self.level = self.left.axhline(93, color=INK, linestyle=":", linewidth=1.6)
            self.level.set_label("the teacher itself")
            legend = self.left.legend(  # above: nothing of the curves may lie under it
                loc="lower left", bbox_to_anchor=(-0.03, 1), ncols=3, fontsize=10,
                columnspacing=1.2, handlelength=1.9, borderaxespad=0.1,
            )  # fmt: skip
            legend.set_in_layout(False)  # wider than the axes; the other title makes room above
            self.left.set(xlim=(1, 30), ylim=(60, 95), xlabel="epoch")
            self.left.set_ylabel("validation accuracy, %")
            for axis in (self.left.xaxis, self.left.yaxis):
                axis.set_major_locator(MaxNLocator(6, integer=True))  # keeps labels short
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
        self.what.set_text(folded(result.what, 108, self.lines))
        self.said.set_text(folded(str(result.verdict), 108, self.lines + 1))
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
        if math.isfinite(teacher):
            lowest, highest = min(lowest, teacher), max(highest, teacher)
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


def folded(sentence: str, width: int, least: int) -> str:
    """A sentence on lines of `width` characters, always at least `least` lines high."""
    joined = sentence.replace(" %", "\u00a0%").replace(" ·", "\u00a0·")  # no line begins so
    lines = textwrap.wrap(joined, width)
    return "\n".join(lines + [" "] * (least - len(lines)))


def pair_controls(
    sizes: Sequence[int],
    *,
    examples: int | None,
    temperature: float,
    alpha: float,
    width: int,
    epochs: int,
    seeds: int,
) -> dict[str, ipywidgets.Widget]:
    """The controls of a panel that trains pairs; examples=None takes 1,000, or all that there are.

    sizes: the numbers of examples that can be drawn, see `drawing`.
    """
    return {
        "examples": steps("training pictures", sizes, examples or min(1_000, sizes[-1])),
        "temperature": steps("temperature T", TEMPERATURES, temperature),
        "alpha": steps("weights (alpha)", ALPHAS, alpha, weights),
        "width": steps("hidden units", WIDTHS, width),
        "epochs": slider("epochs", 1, 60, epochs),
        "seeds": slider("seeds (pairs)", 1, 10, seeds),
    }


def live_panel(
    name: str,
    title: str,
    teachers: dict[str, str | nn.Module | signals.Signal],
    data: object,
    more: dict[str, ipywidgets.Widget],
    *,
    examples: int | None,
    temperature: float,
    alpha: float,
    width: int,
    epochs: int,
    seeds: int,
    **options,
) -> Panel:
    """A panel that trains pairs once a control is let go: what `training` and `trust` share.

    teachers: by the words of a control "teacher", or a single one under "".
    more: controls before the common ones ("noise", "teacher").  options: those of `Panel`.
    """
    loaded = {
        word: load_teacher(one) if isinstance(one, str) else one for word, one in teachers.items()
    }
    draw, sizes = drawing(data)
    kept: OrderedDict[tuple, Run] = OrderedDict()
    picture = Picture(title, size=(9.2, 4.9 if more else 4.4))
    curves = Curves(picture, lines=2 if more else 1)

    def compute(stop, progress, teacher: str = "", **chosen) -> Trained:
        asked = loaded[teacher]
        return train_pairs(asked, draw, kept, stop, progress, teacher=teacher, **chosen)

    common = pair_controls(
        sizes, examples=examples, temperature=temperature, alpha=alpha, width=width,
        epochs=epochs, seeds=seeds,
    )  # fmt: skip
    controls = more | common
    return Panel(title, controls, compute, curves.update, picture, name=name, slow=True, **options)


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
    return live_panel(
        "training", "train one now", {"": teacher}, data, {}, examples=examples,
        temperature=temperature, alpha=alpha, width=width, epochs=epochs, seeds=seeds, code=code,
        hide=hide, lock=lock,
    )  # fmt: skip
