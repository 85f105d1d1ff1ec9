"""Where teacher and student look: attention maps laid over a picture, before and after a match."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdlab import data as data_sets
from kdlab import layers, models
from kdlab.data import Split
from kdlab.errors import Refusal
from kdlab.explore.controls import choice, slider
from kdlab.explore.panel import Panel
from kdlab.plots.examples import shades
from kdlab.plots.picture import FROM_LABELS, FROM_TEACHER, INK, Picture, style
from kdlab.runs import Run

EACH = 10  # pictures of every class
WHO = {"teacher": "the teacher", "before": "student without it", "after": "student with it"}
LOOKS = {"before": FROM_LABELS, "after": FROM_TEACHER}
WARM = np.array([0.835, 0.369, 0.0])  # vermillion: told from grey with any colour vision


@dataclass(frozen=True)
class Attention:
    """One picture: `maps` holds where each looks, (height, width), under "teacher", "before", ...

    layers: the student's and the teacher's.
    overlap: of "before" and of "after" with the teacher on this picture, 0 (nowhere in common) to 1
    (the same map): the inner product of the two maps, each of length 1.
    mean_overlap: the same, averaged over all pictures of the panel.
    """

    example: int
    label: str
    layers: tuple[str, str]
    maps: dict[str, Tensor]
    overlap: dict[str, float]
    mean_overlap: dict[str, float]


def square_mean(features: Tensor) -> Tensor:
    """The attention map of the paper: squares, their mean over the channels, of length 1.

    features: (batch, channels, height, width).  Returns (batch, height · width).
    (Zagoruyko & Komodakis 2017, section 3.1.)
    """
    return F.normalize(features.square().mean(1).flatten(1), dim=1)


def some_of_each(split: Split, classes: int, each: int = EACH) -> Split:
    """The first pictures of every class, class by class."""
    rows = [(split.labels == number).nonzero().flatten()[:each] for number in range(classes)]
    return split[torch.cat(rows)]


class Gaze:
    """The maps of all pictures at any layer of three models, each computed when first asked for."""

    def __init__(self, nets: dict[str, nn.Module], split: Split, classes, look: Callable):
        self.split, self.classes, self.look, self.nets = split, classes, look, nets
        self.own = {
            who: {
                name: features
                for name, features in layers.read(net, split, layers.outline(net, split)).items()
                if features.ndim == 4
            }
            for who, net in nets.items()
        }
        for who, features in self.own.items():
            if not features:
                raise Refusal(
                    f"{WHO[who]} has no layer that gives maps (channels, height, width): attention "
                    "maps need a convolutional network."
                )
        self.known: dict[tuple[str, str], Tensor] = {}

    def maps(self, who: str, layer: str) -> Tensor:
        """The maps of one layer, (pictures, height, width)."""
        if (who, layer) not in self.known:
            features = self.own[who][layer]
            size, rows = features.shape[2:], len(features)
            found = self.look(features)
            if not isinstance(found, Tensor) or found.shape != (rows, size.numel()):
                is_tensor = isinstance(found, Tensor)
                what = f"shape {tuple(found.shape)}" if is_tensor else type(found).__name__
                raise Refusal(
                    f"look gave {what} for features of shape {tuple(features.shape)}: expected a "
                    f"tensor of shape {(rows, size.numel())}, a map for each picture, flattened."
                )
            self.known[who, layer] = found.detach().unflatten(1, size)
        return self.known[who, layer]

    def overlaps(self, who: str, student_layer: str, teacher_layer: str) -> Tensor:
        """How far a student's maps are the teacher's, for every picture."""
        pair = [self.maps("teacher", teacher_layer), self.maps(who, student_layer)]
        size = torch.Size(map(min, pair[0].shape[1:], pair[1].shape[1:]))
        return F.cosine_similarity(*(F.adaptive_avg_pool2d(m, size).flatten(1) for m in pair))

    def at(self, example: int, student_layer: str, teacher_layer: str) -> Attention:
        """The picture number `example` (from 1) at one pair of layers."""
        chosen = {"teacher": teacher_layer, "before": student_layer, "after": student_layer}
        every = {who: self.overlaps(who, student_layer, teacher_layer) for who in LOOKS}
        return Attention(
            example,
            self.classes[int(self.split.labels[example - 1])],
            (student_layer, teacher_layer),
            {who: self.maps(who, layer)[example - 1] for who, layer in chosen.items()},
            {who: overlap[example - 1].item() for who, overlap in every.items()},
            {who: overlap.mean().item() for who, overlap in every.items()},
        )


class Scene:
    """The picture, three maps over it, and how every picture's overlap changed."""

    def __init__(self, picture: Picture, gaze: Gaze):
        self.picture, self.gaze = picture, gaze
        self.greys = shades(gaze.split.inputs)
        with style():
            upper, lower = picture.figure.add_gridspec(2, 1, height_ratios=[1.15, 1])
            tiles = [
                picture.figure.add_subplot(place) for place in upper.subgridspec(1, 1 + len(WHO))
            ]
            self.images, self.titles = {}, {}
            for axes, who in zip(tiles, ["picture", *WHO], strict=True):
                axes.set_axis_off()
                self.images[who] = axes.imshow(self.greys[0])
                self.titles[who] = axes.set_title(" \n ", loc="center")
            self._scatter(picture.figure.add_subplot(lower))
            self.said = picture.figure.suptitle(" ", x=0.01, ha="left", weight="bold")
        parts = (self.images, self.titles, self.dots, self.here, self.means)
        picture.moving([self.said, *(artist for part in parts for artist in part.values())])
        picture.draw("")

    def update(self, now: Attention) -> None:
        """Show another picture, or other layers."""
        grey = self.greys[now.example - 1]
        self.images["picture"].set_data(grey)
        self.titles["picture"].set_text(f"{now.label}\n ")
        for who, attention in now.maps.items():
            self.images[who].set_data(laid_over(grey, attention))
            said = f"overlap {now.overlap[who]:.2f}" if who in now.overlap else " "
            self.titles[who].set_text(f"{WHO[who]}\n{said}")
        for row, who in enumerate(LOOKS):
            values = self.gaze.overlaps(who, *now.layers)
            self.dots[who].set_data(values, [row] * len(values))
            self.here[who].set_data([now.overlap[who]], [row])
            self.means[who].set_data([now.mean_overlap[who]] * 2, [row - 0.32, row + 0.32])
        means = " → ".join(f"{now.mean_overlap[who]:.2f}" for who in LOOKS)
        student, teacher = now.layers
        self.said.set_text(
            f"student's {student} beside teacher's {teacher}: mean overlap {means} with the match"
        )
        self.picture.redraw(
            f"A picture labelled {now.label}, and where teacher and student look. Overlap with the "
            f"teacher's map ({teacher}) of the student's ({student}) on this picture: without the "
            f"match {now.overlap['before']:.2f}, with it {now.overlap['after']:.2f}; mean of "
            f"{len(self.greys)} pictures {now.mean_overlap['before']:.2f} and "
            f"{now.mean_overlap['after']:.2f}."
        )

    def _scatter(self, axes) -> None:
        self.dots, self.here, self.means = {}, {}, {}
        for who, look in LOOKS.items():
            (self.dots[who],) = axes.plot(
                [], [], look["marker"], color=look["color"], alpha=0.25, markersize=7
            )
            (self.means[who],) = axes.plot([], [], color=INK, linewidth=2)
            (self.here[who],) = axes.plot(
                [], [], look["marker"], color=look["color"], markersize=11, markeredgecolor=INK
            )
        axes.set(xlim=(-0.02, 1.02), ylim=(1.6, -0.6), xlabel="overlap with the teacher's map")
        axes.set_yticks(range(2), [WHO[who] for who in LOOKS])
        axes.grid(axis="y", visible=False)
        axes.set_title("a mark a picture, the framed one is this picture; line: the mean")


def laid_over(grey: np.ndarray, attention: Tensor) -> np.ndarray:
    """A pale picture, coloured where the map is strong: the scale ends at the map's largest value.

    grey: (height, width, 3).  attention: a smaller map.
    """
    large = F.interpolate(attention[None, None], grey.shape[:2], mode="bilinear")[0, 0]
    strength = 0.75 * (large / large.max().clamp(min=1e-12)).numpy()[..., None]
    pale = 0.35 + 0.65 * grey
    return (1 - strength) * pale + strength * pale * WARM


def attention(
    before: Run | nn.Module,
    after: Run | nn.Module,
    teacher: str | nn.Module,
    data: object,
    *,
    student_layer: str | None = None,
    teacher_layer: str | None = None,
    look: Callable[[Tensor], Tensor] = square_mean,
    example: int = 1,
    code: str | None = None,
    hide: Sequence[str] = (),
    lock: Sequence[str] = (),
) -> Panel:
    """Where the teacher and two students look, over some validation pictures of every class.

    before, after: a student trained without and one trained with a match.  layers: the first shown,
        None takes the last of each that gives maps.
    look: a function from features (n, channels, height, width) to maps (n, height · width).
    `.result` is an `Attention`. Controls: `example`, `student_layer`, `teacher_layer`.
    """
    data = data_sets.as_data(data)
    teacher = models.load_teacher(teacher) if isinstance(teacher, str) else teacher
    nets = {"teacher": teacher, "before": before, "after": after}
    nets = {who: net.student if isinstance(net, Run) else net for who, net in nets.items()}
    split = some_of_each(data.validation, len(data.classes))
    gaze = Gaze(nets, split, data.classes, look)
    of_student = [name for name in gaze.own["before"] if name in gaze.own["after"]]
    of_teacher = list(gaze.own["teacher"])
    title = "where they look"
    picture = Picture(title, size=(9.2, 5.2))
    scene = Scene(picture, gaze)

    return Panel(
        title,
        {
            "example": slider("picture", 1, len(split), example),
            "student_layer": choice("student's layer", of_student, student_layer or of_student[-1]),
            "teacher_layer": choice("teacher's layer", of_teacher, teacher_layer or of_teacher[-1]),
        },
        gaze.at,
        scene.update,
        picture,
        name="attention",
        code=code,
        hide=hide,
        lock=lock,
    )
