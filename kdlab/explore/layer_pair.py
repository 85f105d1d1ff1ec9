"""Which layer guides which: a match is chosen, and students are trained with it and without."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
from torch import nn

from kdlab import layers, losses, models, sweeps, verdicts
from kdlab.errors import Refusal, unknown
from kdlab.explore.controls import choice, slider, steps
from kdlab.explore.differences import Differences
from kdlab.explore.pairs import counting, drawing, weights
from kdlab.explore.panel import Panel
from kdlab.matches import FeatureLoss, Match
from kdlab.models import Student
from kdlab.plots.atlases import frame
from kdlab.plots.drawing import folded
from kdlab.plots.picture import INK, Picture, style
from kdlab.runs import Run
from kdlab.verdicts import Verdict

# Each loss with a weight that makes its term weigh about as much as the logits' terms do.
LOSSES: dict[str, tuple[FeatureLoss, float]] = {
    "relations": (losses.relational_kd, 1),
    "hints": (losses.hint_loss, 1),
    "attention": (losses.attention_transfer, 30),
    "neuron selectivity": (losses.neuron_selectivity_transfer, 3),
    "similarity": (losses.similarity_preserving, 300),
    "neighbours": (losses.probabilistic_transfer, 10_000),
    "correlation": (losses.correlation_congruence, 100),
    "contrast": (losses.contrastive_representation, 3),
}
ON_MAPS = {"attention", "neuron selectivity"}  # these need layers that give maps
WEIGHTS = (0.1, 0.3, 1, 3, 10, 30, 100)
COMPARED = 300  # validation examples for the maps of similarity
KEPT = 20  # students without a match that are kept for the next comparison
SAID = {"without": "without the match", "with": "with the match"}
TITLE = "which layer guides which"


@dataclass(frozen=True)
class Guided:
    """Pairs of students: `runs["with"][i]` and `runs["without"][i]` share seed i.

    verdict: those with the match against those without.  similarity: "without" and "with", CKA of
    each student layer (a row) with each teacher layer, averaged over the seeds.
    """

    settings: dict
    match: Match
    said: str
    verdict: Verdict
    runs: dict[str, list[Run]]
    similarity: dict[str, pd.DataFrame]
    new: int
    seconds: float

    @property
    def what(self) -> str:
        """Match, weight, what is fixed, seeds and seconds in one line."""
        chosen = self.settings
        return (
            f"{self.match.name} · weight {self.match.weight:g} · {self.said} · {chosen['epochs']} "
            f"epochs · {len(self.runs['with'])} pairs · {self.new} trained in "
            f"{self.seconds:.1f} s"
        )

    @property
    def closer(self) -> tuple[float, float]:
        """CKA of the chosen two layers, without the match and with it."""
        at = self.settings["student_layer"], self.settings["teacher_layer"]
        return tuple(float(self.similarity[name].loc[at]) for name in SAID)


class Trainer:
    """Trains the pairs. Students without a match are kept: only `epochs` and seeds change them."""

    def __init__(self, student: Student, teacher: nn.Module, draw: Callable, options: dict):
        self.student, self.teacher, self.draw, self.options = student, teacher, draw, options
        self.kept: OrderedDict[tuple, tuple[Run, pd.DataFrame]] = OrderedDict()
        few = draw(0).train.inputs[:2]
        net = models.build(student, tuple(few.shape[1:]), len(draw(0).classes))
        self.layers = [layers.outline(one, few) for one in (net, teacher)]
        maps = [
            [name for name, features in layers.read(one, few, known).items() if features.ndim == 4]
            for one, known in zip((net, teacher), self.layers, strict=True)
        ]
        # what may be matched: maps with maps, or anything by a loss that compares any features
        self.matched = maps if all(maps) else self.layers
        self.losses = [name for name in LOSSES if all(maps) or name not in ON_MAPS]

    def compare(
        self,
        stop: Callable[[], bool],
        progress: Callable[[int, int], None],
        *,
        student_layer: str,
        teacher_layer: str,
        loss: str,
        weight: float,
        epochs: int,
        seeds: int,
    ) -> Guided:
        """Students with the match beside their twins without it."""
        settings = dict(
            student_layer=student_layer, teacher_layer=teacher_layer, loss=loss, weight=weight,
            epochs=epochs, seeds=seeds,
        )  # fmt: skip
        if loss not in LOSSES:
            raise unknown("feature loss", loss, LOSSES)
        function, usual = LOSSES[loss]
        match = Match(student_layer, teacher_layer, loss=function, weight=weight * usual)
        started, keys = time.perf_counter(), [(epochs, seed) for seed in range(seeds)]
        missing = [seed for epochs, seed in keys if (epochs, seed) not in self.kept]
        steps = math.ceil(len(self.draw(0).train) / self.options["batch_size"])
        told_to_stop = counting(stop, progress, steps, epochs * (len(missing) + seeds))

        def students(numbers: Sequence[int], matches: list[Match]) -> list[tuple]:
            if not numbers:
                return []
            runs = sweeps.sweep(
                self.student, self.teacher, self.draw, seeds=list(numbers), epochs=epochs,
                match=matches, watch=0, progress=False, stop=told_to_stop, **self.options,
            ).runs  # fmt: skip
            if failed := [run.error for run in runs if run.error]:
                raise Refusal(f"{len(failed)} of {len(runs)} students failed: {failed[0]}")
            return [(run, self._similarity(run)) for run in runs]

        twins = students(missing, [])
        self.kept.update(zip(((epochs, seed) for seed in missing), twins, strict=True))
        found = {
            "without": [self.kept[key] for key in keys],
            "with": students(range(seeds), [match]),
        }
        while len(self.kept) > max(KEPT, seeds):
            self.kept.popitem(last=False)
        runs = {name: [run for run, _ in pairs] for name, pairs in found.items()}
        return Guided(
            settings,
            match,
            self.said,
            verdicts.compare(
                *([run.scores["accuracy"] for run in runs[name]] for name in SAID),
                names=tuple(SAID.values()),
                where=f"{len(self.draw(0).train):,} pictures",
            ),
            runs,
            {name: sum(table for _, table in pairs) / seeds for name, pairs in found.items()},
            len(missing) + seeds,
            time.perf_counter() - started,
        )

    @property
    def said(self) -> str:
        """What stays the same for all students, in words."""
        temperature, alpha = (
            value if callable(value) else float(value)
            for value in (self.options["temperature"], self.options["alpha"])
        )
        told = "a schedule of T" if callable(temperature) else f"T = {temperature:g}"
        who = "a schedule of alpha" if callable(alpha) else weights(alpha)
        return f"{models.name_of(self.student)} · {told} · {who}"

    def _similarity(self, run: Run) -> pd.DataFrame:
        inputs = run.data.validation.inputs
        return layers.similarity(run.student, self.teacher, inputs, *self.layers, COMPARED)


class Scene:
    """Two maps of similarity, without and with the match, and the differences seed by seed."""

    def __init__(self, picture: Picture, own: Sequence[str], of_teacher: Sequence[str]):
        self.picture = picture
        with style():
            *maps, right = picture.figure.subplots(1, 3, width_ratios=[1, 1, 0.95])
            self.what = picture.figure.suptitle(
                "training the first students …\n ", x=0.01, ha="left", fontsize=10, weight="bold"
            )
            self.said = picture.figure.supxlabel(" \n ", x=0.01, ha="left", fontsize=11)
            self.maps = {}
            for name, axes in zip(SAID, maps, strict=True):
                self.maps[name] = self._map(axes, name, own, of_teacher)
            self.differences = Differences(right, "accuracy, each pair", helps="it helps", pairs=3)
        picture.draw("The first students are being trained.")

    def update(self, result: Guided) -> None:
        """Show other students."""
        for name, (image, texts, chosen) in self.maps.items():
            table = result.similarity[name]
            image.set_data(table)
            for text, value in zip(texts, table.to_numpy().flat, strict=True):
                text.set(text=f"{value:.2f}", color="white" if value < 0.65 else INK)
            row = table.index.get_loc(result.settings["student_layer"])
            column = table.columns.get_loc(result.settings["teacher_layer"])
            chosen.set_xy((column - 0.46, row - 0.42))
        self.differences.update(result.verdict, result.runs["without"], result.runs["with"])
        self.what.set_text(folded(result.what, 112, 2))
        self.said.set_text(folded(str(result.verdict), 104, 2))
        before, after = result.closer
        self.picture.draw(
            f"Similarity (CKA) of student and teacher layers without and with the match "
            f"{result.match.name}, weight {result.match.weight:g}: of the matched two {before:.2f} "
            f"and {after:.2f}. {result.verdict}. {result.what}."
        )

    def _map(self, axes, name: str, own: Sequence[str], of_teacher: Sequence[str]):
        size = len(own), len(of_teacher)
        image = axes.imshow([[0.0] * size[1]] * size[0], vmin=0.3, vmax=1, cmap="cividis")
        texts = [
            axes.text(column, row, "", ha="center", va="center")
            for row in range(size[0])
            for column in range(size[1])
        ]
        chosen = axes.add_patch(frame((0, 0)))
        axes.set_xticks(range(size[1]), of_teacher, rotation=35, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(size[0]), own if name == "without" else [""] * size[0])
        axes.set_xlabel("teacher's layer")
        axes.set_title(f"similarity (CKA)\n{SAID[name]}")
        if name == "without":
            axes.set_ylabel("student's layer")
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        return image, texts, chosen


def layer_pair(
    teacher: str | nn.Module = "fashion-cnn",
    data: object = "fashion-mnist",
    student: Student = "cnn-small",
    *,
    student_layer: str | None = None,
    teacher_layer: str | None = None,
    loss: str | None = None,
    weight: float = 1,
    epochs: int = 12,
    seeds: int = 3,
    examples: int = 500,
    code: str | None = None,
    hide: Sequence[str] = (),
    lock: Sequence[str] = (),
    **options,
) -> Panel:
    """Choose which teacher layer guides which student layer; students are trained with and without.

    Both twins of a pair learn from labels and soft targets; one of them has the match besides. Each
    seed draws its own training examples. layers: the first choice, None takes the last that give
    maps.  loss: one of LOSSES, None takes the first.  weight: times the usual one of that loss.
    options: those of `kdlab.distill` that all share, such as batch_size or temperature.
    `panel.wait()` returns a `Guided`. Call it before a notebook shows the panel.
    """
    teacher = models.load_teacher(teacher) if isinstance(teacher, str) else teacher
    draw, _ = drawing(data)
    options = {"batch_size": 64, "temperature": 4, "alpha": 0.1} | options
    trainer = Trainer(student, teacher, lambda seed: draw(examples, seed), options)
    own, of_teacher = trainer.matched
    picture = Picture(TITLE, size=(9.4, 4.4))
    scene = Scene(picture, *trainer.layers)
    return Panel(
        TITLE,
        {
            "student_layer": choice("student's layer", own, student_layer or own[-1]),
            "teacher_layer": choice("teacher's layer", of_teacher, teacher_layer or of_teacher[-1]),
            "loss": choice("what is compared", trainer.losses, loss or trainer.losses[0]),
            "weight": steps("weight, times the usual", WEIGHTS, weight),
            "epochs": slider("epochs", 1, 60, epochs),
            "seeds": slider("seeds (pairs)", 1, 10, seeds),
        },
        trainer.compare,
        scene.update,
        picture,
        name="layer_pair",
        slow=True,
        code=code,
        hide=hide,
        lock=lock,
    )
