"""The class the student never saw: raise its logit by a constant, and watch it being recognised."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kdlab import data as data_sets
from kdlab.data import Data
from kdlab.errors import Refusal, unknown
from kdlab.explore.controls import slider
from kdlab.explore.panel import Panel
from kdlab.plots.examples import shades
from kdlab.plots.picture import FROM_LABELS, FROM_TEACHER, GREY, INK, Picture, style
from kdlab.runs import Run

LOW, HIGH, STEP = -5.0, 20.0, 0.5
BIASES = torch.arange(LOW, HIGH + STEP, STEP).tolist()
SHOWN = 10  # pictures of the missing class
LOOKS = {"teacher": FROM_TEACHER, "labels": FROM_LABELS}
SAID = {"teacher": "the student of the teacher", "labels": "the student of labels"}


@dataclass(frozen=True)
class Found:
    """Both students ("teacher", "labels") at one bias, and each at its own best bias.

    found: how many of 100 validation pictures of the missing class are named right.
    accuracy, best_bias_accuracy: shares of all validation pictures.
    """

    bias: float
    found: dict[str, float]
    accuracy: dict[str, float]
    best_bias: dict[str, float]
    best_bias_accuracy: dict[str, float]


@dataclass(frozen=True)
class Case:
    """What is known before the bias is chosen: both students' logits on validation pictures.

    curves: found and accuracy of each student under every bias of BIASES.
    """

    logits: dict[str, Tensor]
    labels: Tensor
    number: int
    classes: tuple[str, ...]
    curves: dict[str, dict[str, list[float]]]

    @property
    def name(self) -> str:
        return self.classes[self.number]


def case(from_labels: Run, from_teacher: Run, data: Data, missing: str | int) -> Case:
    """Ask both students about the validation pictures, once."""
    classes = data.classes
    number = classes.index(missing) if missing in classes else missing
    if not isinstance(number, int) or not 0 <= number < len(classes):
        raise unknown("class", missing, classes)
    logits = {}
    for kind, run in (("teacher", from_teacher), ("labels", from_labels)):
        if not isinstance(run, Run):
            raise Refusal(
                f"from_{kind} is a {type(run).__name__}: expected a run, as kdlab.train and "
                "kdlab.distill give it."
            )
        seen = 0 if run.data is None else int((run.data.train.labels == number).sum())
        if seen:
            raise Refusal(
                f"from_{kind} was trained on {seen:,} pictures of {classes[number]!r}, so it has "
                f"seen this class. Train it on load_data(..., leave_out={classes[number]!r})."
            )
        logits[kind] = run.logits("validation", data)
    labels = data.validation.labels
    at = [measure(logits, labels, number, bias) for bias in BIASES]
    curves = {
        kind: {
            "found": [found[kind] for found, _ in at],
            "accuracy": [accuracy[kind] for _, accuracy in at],
        }
        for kind in LOOKS
    }
    return Case(logits, labels, number, classes, curves)


def answers(logits: Tensor, number: int, bias: float) -> Tensor:
    """The class named for each row once `bias` is added to one class' logit."""
    shifted = logits.clone()
    shifted[:, number] += bias
    return shifted.argmax(1)


def measure(logits: dict[str, Tensor], labels: Tensor, number: int, bias: float):
    """Of 100 pictures of the class, how many are found; and the accuracy over all classes."""
    found, accuracy = {}, {}
    for kind, known in logits.items():
        right = (answers(known, number, bias) == labels).float()
        found[kind] = 100 * right[labels == number].mean().item()
        accuracy[kind] = right.mean().item()
    return found, accuracy


def look(known: Case, bias: float) -> Found:
    """Both students at one bias."""
    best = {kind: int(np.argmax(curve["accuracy"])) for kind, curve in known.curves.items()}
    return Found(
        bias,
        *measure(known.logits, known.labels, known.number, bias),
        {kind: BIASES[at] for kind, at in best.items()},
        {kind: known.curves[kind]["accuracy"][at] for kind, at in best.items()},
    )


def telling(known: Case) -> Tensor:
    """Rows of some pictures of the class, from those the teacher's student finds first to last."""
    rows = (known.labels == known.number).nonzero().squeeze(1)
    logits = known.logits["teacher"][rows].clone()
    own = logits[:, known.number].clone()
    logits[:, known.number] = -torch.inf
    rows = rows[(logits.amax(1) - own).argsort()]  # the bias at which each is found
    return rows[torch.linspace(0, len(rows) - 1, min(SHOWN, len(rows))).round().long()]


class Scene:
    """Both curves with the bias on them, over the same pictures as each student sees them."""

    def __init__(self, picture: Picture, known: Case, inputs: Tensor):
        self.picture, self.known, self.rows = picture, known, telling(known)
        self.tiles = _tiles(shades(inputs[self.rows]))
        self.moving = []
        with style():
            places = picture.figure.subplot_mosaic(
                [["found", "accuracy"], ["teacher", "teacher"], ["labels", "labels"]],
                height_ratios=[3.3, 1, 1],
            )
            self.title = picture.figure.suptitle(
                " ", x=0.012, ha="left", fontsize=12, weight="bold"
            )
            self.moving.append(self.title)
            self.marks = {
                "found": self._curves(places["found"], "found", 1),
                "accuracy": self._curves(places["accuracy"], "accuracy", 100),
            }
            places["found"].set_title(f"of 100 {known.name} pictures, recognised")
            places["accuracy"].set_title("accuracy over all classes, %")
            self._name_curves(places["found"])
            self._mark_best(places["accuracy"])
            self.strips = {kind: self._strip(places[kind], kind) for kind in LOOKS}
        picture.moving(self.moving)
        picture.draw("")

    def update(self, result: Found) -> None:
        """Show another bias."""
        name, both = self.known.name, result.found
        self.title.set_text(
            f"{result.bias:+.1f} on the {name} logit: of 100, the student of the teacher finds "
            f"{both['teacher']:.0f}, that of labels {both['labels']:.0f}"
        )
        for what, values in (
            ("found", both),
            ("accuracy", {kind: 100 * share for kind, share in result.accuracy.items()}),
        ):
            line, points = self.marks[what]
            line.set_xdata([result.bias, result.bias])
            for kind, point in points.items():
                point.set_data([result.bias], [values[kind]])
        for kind in LOOKS:
            self._show_answers(kind, result.bias)
        best = ", ".join(
            f"{SAID[kind]} {100 * result.best_bias_accuracy[kind]:.1f} % at "
            f"{result.best_bias[kind]:+.1f}"
            for kind in LOOKS
        )
        self.picture.redraw(
            f"With {result.bias:+.1f} added to the logit of {name}, a class that neither student "
            f"saw, the student of the teacher recognises {both['teacher']:.0f} of 100 {name} "
            f"pictures and the student of labels {both['labels']:.0f}; accuracy over all classes "
            f"{100 * result.accuracy['teacher']:.1f} % and {100 * result.accuracy['labels']:.1f} "
            f"%. Best accuracy: {best}."
        )

    def _curves(self, axes, what: str, scale: float):
        """Both curves, standing still, and on them the bias of the moment, which moves."""
        for kind, look in LOOKS.items():
            curve = [scale * value for value in self.known.curves[kind][what]]
            axes.plot(BIASES, curve, color=look["color"], linestyle=look["linestyle"])
        below_the_names = 0.75 if what == "found" else 1
        line = axes.axvline(0, ymax=below_the_names, color=INK, linewidth=1)
        points = {
            kind: axes.plot([], [], look["marker"], color=look["color"], markersize=11,
                            markeredgecolor="white", markeredgewidth=1.5, zorder=5)[0]
            for kind, look in LOOKS.items()
        }  # fmt: skip
        axes.set(xlim=(LOW - 0.5, HIGH + 0.5), xlabel=f"added to the {self.known.name} logit")
        self.moving += [line, *points.values()]
        return line, points

    def _name_curves(self, axes) -> None:
        handles = [
            axes.plot([], [], **look, label=SAID[kind], markersize=8)[0]
            for kind, look in LOOKS.items()
        ]
        axes.legend(handles=handles, loc="upper left", fontsize=10)
        axes.set_ylim(-4, 138)
        axes.set_yticks([0, 25, 50, 75, 100])

    def _mark_best(self, axes) -> None:
        """A ring where each student is at its best, with the number."""
        for kind, look in LOOKS.items():
            curve = self.known.curves[kind]["accuracy"]
            at = int(np.argmax(curve))
            axes.plot(BIASES[at], 100 * curve[at], look["marker"], color=look["color"],
                      markerfacecolor="none", markersize=15, markeredgewidth=1.5)  # fmt: skip
            axes.annotate(
                f"best {100 * curve[at]:.1f}", (BIASES[at], 100 * curve[at]), color=look["color"],
                xytext=(0, 12), textcoords="offset points", weight="bold",
                ha="left" if BIASES[at] < 0 else "center",
            )  # fmt: skip
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.16 * (high - low))

    def _strip(self, axes, kind: str):
        axes.set_axis_off()
        count, tile = len(self.rows), self.tiles.shape[1]
        image = axes.imshow(np.ones((tile, count * tile, 3)), interpolation="nearest")
        axes.set_title(f"{SAID[kind]} answers", color=LOOKS[kind]["color"], weight="bold")
        texts = [  # with a text from the start, so that the layout leaves room for it
            axes.text((at + 0.5) * tile, tile, self.known.name, ha="center", va="top", fontsize=10)
            for at in range(count)
        ]
        self.moving += [image, *texts]
        return image, texts

    def _show_answers(self, kind: str, bias: float) -> None:
        """Pictures that are recognised stand out, framed; the others stay pale."""
        image, texts = self.strips[kind]
        colour = LOOKS[kind]["color"]
        named = answers(self.known.logits[kind][self.rows], self.known.number, bias).tolist()
        shown = []
        for tile, text, number in zip(self.tiles, texts, named, strict=True):
            right = number == self.known.number
            shown.append(_framed(tile, colour) if right else 1 - 0.35 * (1 - tile))
            text.set(text=self.known.classes[number] + (" ✓" if right else ""))
            text.set(color=colour if right else GREY, weight="bold" if right else "normal")
        image.set_data(np.concatenate(shown, axis=1))


def _tiles(pictures: np.ndarray, size: int = 56, margin: int = 6) -> np.ndarray:
    """Pictures enlarged to about `size` pixels, each with white around it."""
    times = max(1, size // pictures.shape[1])
    large = pictures.repeat(times, axis=1).repeat(times, axis=2)
    return np.pad(large, ((0, 0), (margin, margin), (margin, margin), (0, 0)), constant_values=1.0)


def _framed(tile: np.ndarray, colour: str, gap: int = 2, width: int = 3) -> np.ndarray:
    framed = tile.copy()
    paint = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    inner = slice(gap, -gap)
    for edge in (slice(gap, gap + width), slice(-gap - width, -gap)):
        framed[edge, inner] = paint
        framed[inner, edge] = paint
    return framed


def missing_class(
    from_labels: Run,
    from_teacher: Run,
    data: object,
    missing: str | int,
    *,
    bias: float = 0.0,
    code: str | None = None,
    hide: Sequence[str] = (),
    lock: Sequence[str] = (),
) -> Panel:
    """Add a constant to one logit of two students that never saw its class; nothing is trained.

    from_labels, from_teacher: runs on data without that class (`load_data(..., leave_out=...)`).
    data: whose validation pictures are looked at.  Control: `bias`.  `.result` is a `Found`.

    (Hinton, Vinyals & Dean 2015, section 3.)
    """
    data = data_sets.as_data(data)
    known = case(from_labels, from_teacher, data, missing)
    title = "the class the student never saw"
    picture = Picture(title, size=(9.4, 6.4))
    scene = Scene(picture, known, data.validation.inputs)
    return Panel(
        title,
        {"bias": slider(f"added to the {known.name} logit", LOW, HIGH, float(bias), STEP)},
        lambda bias: look(known, bias),
        scene.update,
        picture,
        name="missing_class",
        code=code,
        hide=hide,
        lock=lock,
    )
