"""Move the mixture: students on mixtures of pictures, marked by a teacher who saw them or not."""

import dataclasses
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from kdlab import models, signals, sweeps, twins, verdicts
from kdlab import seeds as streams
from kdlab.data import Data, Split
from kdlab.errors import Refusal
from kdlab.explore.controls import choice, steps
from kdlab.explore.curves import Curves
from kdlab.explore.pairs import KEPT, Trained, accuracy_of, drawing, pictures
from kdlab.explore.panel import Panel
from kdlab.explore.training import pair_controls
from kdlab.plots.picture import Picture
from kdlab.runs import Run

STRENGTHS = (0.0, 0.1, 0.2, 0.4, 1.0, 2.0, 4.0)
MARKS = {"seen": "the mixture", "stale": "the first picture alone (stale)"}


@dataclasses.dataclass(frozen=True)
class OfMixtures(Trained):
    """Pairs of students: of labels and plain pictures, and of a teacher's answers to mixtures."""

    @property
    def what(self) -> str:
        """Strength, what the teacher saw, and the settings, in one line."""
        chosen = self.settings
        new = f"{self.new} trained in {self.seconds:.1f} s"
        parts = [
            f"mlp-{chosen['width']}",
            mixtures(chosen["strength"], chosen["marks"]),
            f"T = {chosen['temperature']:g}",
            "teacher only",
            pictures(chosen["examples"], 0.0),
            f"{chosen['epochs']} epochs",
            f"{chosen['seeds']} seed{'' if chosen['seeds'] == 1 else 's'}",
            new,
        ]
        return " · ".join(parts)


def mixtures(strength: float, marks: str) -> str:
    """How strongly pictures are mixed, and what their teacher saw of it."""
    if not strength:
        return "no mixture"
    return f"mixtures of strength {strength:g}, teacher sees {MARKS[marks]}"


def mixed(split: Split, strength: float, seed: int = 0) -> Split:
    """Each picture mixed once with a random other: weight · own + (1 − weight) · other.

    weight: drawn for each picture from Beta(strength, strength); strength 0 mixes nothing. Labels
    and indices are those of the own picture. (MixUp: Zhang et al. 2018, there anew in each batch.)
    """
    if not strength:
        return split
    draw = streams.generator(seed, "mixture")
    order = torch.randperm(len(split), generator=draw)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(streams.stream(seed, "weights of the mixture"))
        weight = torch.distributions.Beta(strength, strength).sample((len(split),))
    weight = weight.reshape(-1, *[1] * (split.inputs.ndim - 1))
    inputs = weight * split.inputs + (1 - weight) * split.inputs[order]
    return dataclasses.replace(split, inputs=inputs)


def train_mixed(
    model: nn.Module | signals.Signal,
    draw: Callable[[int, int], Data],
    kept: "OrderedDict[tuple, Run]",
    stop: Callable[[], bool],
    progress: Callable[[int, int], None],
    *,
    strength: float,
    marks: str,
    examples: int,
    temperature: float,
    width: int,
    epochs: int,
    seeds: int,
) -> OfMixtures:
    """Students of a teacher's answers to mixtures, beside twins of labels and plain pictures.

    marks: "seen" where the teacher is asked about the mixture, "stale" where it is asked about the
    own picture of each mixture alone.  kept: students of labels from earlier calls.
    """
    settings = dict(
        strength=strength, marks=marks, examples=examples, temperature=temperature, width=width,
        epochs=epochs, seeds=seeds,
    )  # fmt: skip
    started, numbers = time.perf_counter(), range(seeds)
    plain = {seed: _numbered(draw(examples, seed), seed) for seed in numbers}
    shown = {
        seed: dataclasses.replace(data, train=mixed(data.train, strength, seed))
        for seed, data in plain.items()
    }
    of_plain, of_shown = (
        _joined([data.train for data in views.values()]) for views in (plain, shown)
    )
    asked = of_shown if marks == "seen" else of_plain
    said = twins.across(model, asked, of_shown)
    common = dict(
        epochs=epochs, temperature=temperature, progress=False, stop=stop, student=f"mlp-{width}"
    )
    keys = {seed: (examples, width, epochs, seed) for seed in numbers}
    missing = [seed for seed in numbers if keys[seed] not in kept]
    progress(1, 3)
    if missing:
        new = sweeps.sweep(
            teacher=None, data=plain.__getitem__, seeds=missing, alpha=1.0, **common
        ).runs
        _whole(new)
        kept.update((keys[seed], run) for seed, run in zip(missing, new, strict=True))
    progress(2, 3)
    from_labels = [kept[keys[seed]] for seed in numbers]
    from_teacher = sweeps.sweep(
        teacher=said, data=shown.__getitem__, seeds=list(numbers), alpha=0.0, **common
    ).runs
    _whole(from_teacher)
    for key in keys.values():
        kept.move_to_end(key)
    while len(kept) > max(KEPT, seeds):
        kept.popitem(last=False)
    verdict = verdicts.compare(
        [run.scores["accuracy"] for run in from_labels],
        [run.scores["accuracy"] for run in from_teacher],
        names=("labels only", f"teacher only (T={temperature:g}), {mixtures(strength, marks)}"),
        where=pictures(examples, 0.0),
    )
    return OfMixtures(
        settings,
        verdict,
        {"labels": from_labels, "teacher": from_teacher},
        accuracy_of(model, plain[0]),
        len(missing) + seeds,
        time.perf_counter() - started,
    )


def _written(strength: float) -> str:
    return f"{strength:g}" if strength else "none"


def _numbered(data: Data, seed: int) -> Data:
    """Training examples under numbers of their own: each seed mixes a picture in another way."""
    rows = torch.arange(len(data.train)) + seed * 1_000_000
    return dataclasses.replace(data, train=dataclasses.replace(data.train, indices=rows))


def _joined(splits: Sequence[Split]) -> Split:
    parts = ("inputs", "labels", "indices")
    return Split(*(torch.cat([getattr(split, part) for split in splits]) for part in parts))


def _whole(runs: Sequence[Run]) -> None:
    for run in runs:
        if run.error:
            raise Refusal(run.error)


def mixture(
    teacher: "str | nn.Module | signals.Signal" = "fashion-cnn",
    data: object = "fashion-mnist",
    *,
    strength: float = 1.0,
    marks: str = "seen",
    examples: int | None = 1_000,
    temperature: float = 2,
    width: int = 32,
    epochs: int = 40,
    seeds: int = 5,
    code: str | None = None,
    hide: Sequence[str] = (),
    lock: Sequence[str] = (),
) -> Panel:
    """Students of mixtures: what if their teacher saw only one of the two pictures?

    strength: of MixUp, 0 for none; each picture is mixed once, with a weight of
        Beta(strength, strength): small ones give mostly one picture or the other, 1 any weight
        alike, large ones half and half.
    marks: "seen" asks the teacher about each mixture; "stale" takes its answer to the first picture
        alone, as a kept record would. The students hear the teacher only, their twins learn from
        labels and plain pictures. All else as in `training`; `panel.wait()` returns an
        `OfMixtures`.
    """
    model = models.load_teacher(teacher) if isinstance(teacher, str) else teacher
    draw, sizes = drawing(data)
    kept: OrderedDict[tuple, Run] = OrderedDict()
    title = "move the mixture"
    picture = Picture(title, size=(9.2, 4.9))
    curves = Curves(picture, lines=2)
    common = pair_controls(
        sizes, examples=examples, temperature=temperature, alpha=0.0, width=width,
        epochs=epochs, seeds=seeds,
    )  # fmt: skip
    del common["alpha"]  # a mixture has no label of its own: the students hear the teacher alone
    controls = {
        "strength": steps("strength of MixUp", STRENGTHS, strength, _written),
        "marks": choice("the teacher sees", list(MARKS), marks, MARKS.get),
        **common,
    }
    compute = partial(train_mixed, model, draw, kept)
    return Panel(
        title, controls, compute, curves.update, picture, name="mixture", slow=True, code=code,
        hide=hide, lock=lock,
    )  # fmt: skip
