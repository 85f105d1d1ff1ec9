"""What a temperature does to one answer: the teacher's distribution, its entropy, the gradient."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from kdlab import data as data_sets
from kdlab import models, signals
from kdlab.data import Split
from kdlab.errors import Refusal, whole
from kdlab.explore.panel import Panel, slider, steps
from kdlab.explore.teacher_view import entropy, interesting
from kdlab.plots.examples import ranked, shades
from kdlab.plots.picture import BLUE, GREEN, INK, ORANGE, VERMILLION, Picture, style
from kdlab.runs import Run

TEMPERATURES = (0.5, 0.7, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100)
SMALLEST = 1e-5  # gradients below this are drawn at the lower edge


@dataclass(frozen=True)
class Softened:
    """Teacher and student on one picture at one temperature; tensors are (classes,).

    teacher, student: their probabilities at T.  entropy: the teacher's, in nats.
    gradient: of KL(teacher || student), without the factor T², with respect to the student's
    logits.  limit: what the gradient times T² tends to as T grows.
    """

    temperature: float
    teacher: Tensor
    student: Tensor
    entropy: float
    gradient: Tensor
    limit: Tensor
    example: int = 0

    @property
    def raw(self) -> float:
        """Size (Euclidean norm) of the gradient as it is."""
        return self.gradient.norm().item()

    @property
    def restored(self) -> float:
        """Size of the gradient times T²."""
        return self.temperature**2 * self.raw


def soften(teacher_logits: Tensor, student_logits: Tensor, temperature: float) -> Softened:
    """Both answers to one picture at T, and the gradient that reaches the student's logits.

    d KL / d z_c = (q_c − p_c) / T, with p the teacher's and q the student's softened answer; times
    T² it tends to the difference of the centred logits over the number of classes (Hinton, Vinyals
    & Dean 2015, section 2.1).  Both logits (classes,).
    """
    p, q = ((logits / temperature).softmax(0) for logits in (teacher_logits, student_logits))
    gap = student_logits - teacher_logits
    return Softened(
        temperature, p, q, entropy(p).item(), (q - p) / temperature, (gap - gap.mean()) / len(gap)
    )


class Scene:
    """The picture, both answers, the push on each logit, and two curves over T."""

    def __init__(
        self, picture: Picture, split: Split, teacher: Tensor, student: Tensor, classes, learned
    ):
        self.picture, self.split, self.classes = picture, split, classes
        self.logits, self.learned = (teacher, student), learned
        self.curves: dict[int, list[Softened]] = {}
        self.moving = []
        with style():
            upper, lower = picture.figure.add_gridspec(2, 1, height_ratios=[1.5, 1])
            image, answers, pushes = (
                picture.figure.add_subplot(place)
                for place in upper.subgridspec(1, 3, width_ratios=[0.6, 1.1, 1])
            )
            image.set_axis_off()
            self.image = image.imshow(shades(split.inputs[:1])[0])
            self.label = image.set_title(" ", loc="center", weight="bold")
            self._answers(answers)
            self._pushes(pushes)
            for place, draw in zip(
                lower.subgridspec(1, 2, width_ratios=[1, 1.4]),
                (self._entropy, self._sizes),
                strict=True,
            ):
                draw(picture.figure.add_subplot(place))
        self.moving += [self.image, self.label]
        picture.moving(self.moving)
        picture.draw("")

    def look(self, example: int, temperature: float) -> Softened:
        """The picture number `example` (from 1) at T."""
        teacher, student = (logits[example - 1] for logits in self.logits)
        return replace(soften(teacher, student, temperature), example=example)

    def update(self, now: Softened) -> None:
        """Show another picture, or another temperature."""
        at = now.example - 1
        label = self.classes[int(self.split.labels[at])]
        self.image.set_data(shades(self.split.inputs[at][None])[0])
        self.label.set_text(label)
        for bar, share, name in zip(self.bars, now.teacher.tolist(), self.classes, strict=True):
            bar.set_width(share)
            bar.set(facecolor=ORANGE if name == label else BLUE)
            bar.set(hatch="//" if name == label else "")
        self.own.set_xdata(now.student)
        for bar, push in zip(
            self.pushes, (-(now.temperature**2) * now.gradient).tolist(), strict=True
        ):
            bar.set_width(push)
        self.limit.set_xdata(-now.limit)
        curve = self._curve(now.example)
        temperatures = [one.temperature for one in curve]
        self.doubt[0].set_data(temperatures, [one.entropy for one in curve])
        self.doubt[1].set_data([now.temperature], [now.entropy])
        for name, (line, point) in self.sizes.items():
            line.set_data(temperatures, [max(SMALLEST, getattr(one, name)) for one in curve])
            point.set_data([now.temperature], [max(SMALLEST, getattr(now, name))])
        doubt = f"entropy {now.entropy:.2f} nats"
        self.said.set_text(f"the teacher at T = {now.temperature:g}: {doubt}")
        self.told.set_text(f"gradient: raw {now.raw:.2g}, × T² {now.restored:.2g}")
        self.picture.redraw(
            f"A picture labelled {label}. The teacher at T={now.temperature:g}: "
            f"{ranked(now.teacher, self.classes, 3)}; {doubt} of at most "
            f"{math.log(len(self.classes)):.2f}. The gradient that reaches the logits of "
            f"{self.learned}: size {now.raw:.2g}, times T squared {now.restored:.2g}, in the limit "
            f"of large T {now.limit.norm():.2g}."
        )

    def _curve(self, example: int) -> list[Softened]:
        if example not in self.curves:
            self.curves[example] = [self.look(example, at) for at in TEMPERATURES]
        return self.curves[example]

    def _answers(self, axes) -> None:
        rows = range(len(self.classes))
        self.bars = axes.barh(rows, [0.5] * len(rows), color=BLUE, height=0.72)
        (self.own,) = axes.plot([0.1] * len(rows), rows, "D", color=INK, markersize=5)
        axes.plot([], [], "D", color=INK, markersize=5, label=self.learned)
        axes.legend(loc="lower right", fontsize=9)
        axes.set_yticks(rows, self.classes)
        axes.set(xlim=(-0.02, 1.02), ylim=(len(rows) - 0.4, -0.6), xlabel="probability at T")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        self.said = axes.set_title("the teacher at T = 0")
        self.moving += [*self.bars, self.own, self.said]

    def _pushes(self, axes) -> None:
        rows = range(len(self.classes))
        self.pushes = axes.barh(rows, [0.5] * len(rows), color=GREEN, height=0.6)
        (self.limit,) = axes.plot([0.1] * len(rows), rows, "o", color=INK, markerfacecolor="none")
        axes.plot([], [], "o", color=INK, markerfacecolor="none", label="limit, T → ∞")
        axes.axvline(0, color=INK, linewidth=1)
        axes.legend(loc="lower right", fontsize=9)
        pushes = [
            one.temperature**2 * one.gradient.abs().max()
            for example in range(1, len(self.split) + 1)
            for one in self._curve(example)
        ]
        furthest = 1.3 * torch.stack(pushes).quantile(0.9).item()  # the few larger ones are cut off
        axes.set_yticks(rows, [])
        axes.set(xlim=(-furthest, furthest), ylim=(len(rows) - 0.4, -0.6))
        axes.set_xlabel("← down · up →")
        axes.set_title("push on each logit, × T²")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        self.moving += [*self.pushes, self.limit]

    def _entropy(self, axes) -> None:
        (line,) = axes.plot([], [], color=BLUE)
        (point,) = axes.plot([], [], "o", color=BLUE, markersize=10, markeredgecolor="white")
        most = math.log(len(self.classes))
        axes.axhline(most, color=INK, linestyle=":", linewidth=1)
        self._temperatures(axes)
        axes.set(
            ylim=(-0.06 * most, 1.12 * most), title="entropy, nats (dotted: the most possible)"
        )
        self.doubt = line, point
        self.moving += [line, point]

    def _sizes(self, axes) -> None:
        self.sizes = {}
        for name, label, colour, marker, dashes in (
            ("restored", "× T²", BLUE, "o", "-"),
            ("raw", "raw", VERMILLION, "s", "--"),
        ):
            (line,) = axes.plot([], [], color=colour, linestyle=dashes)
            (point,) = axes.plot(
                [], [], marker, color=colour, markersize=10, markeredgecolor="white"
            )
            axes.plot([], [], marker=marker, color=colour, linestyle=dashes, label=label)
            self.sizes[name] = line, point
            self.moving += [line, point]
        largest = max(one.restored for curve in self.curves.values() for one in curve)
        self._temperatures(axes)
        axes.set(yscale="log", ylim=(SMALLEST / 2, 3 * max(largest, 1)))
        axes.set_yticks([1e-4, 1e-2, 1])
        axes.legend(loc="lower center", fontsize=9)
        self.told = axes.set_title("gradient: raw 0.00012, × T² 0.00012")
        self.moving.append(self.told)

    def _temperatures(self, axes) -> None:
        axes.set(xscale="log", xlim=(0.45, 110), xlabel="temperature T")
        axes.set_xticks(
            [0.5, 1, 2, 5, 10, 20, 50, 100], ["0.5", "1", "2", "5", "10", "20", "50", "100"]
        )
        axes.minorticks_off()


def softening(
    teacher: str | nn.Module = "fashion-cnn",
    data: object = "fashion-mnist",
    student: nn.Module | Run | None = None,
    *,
    example: int = 1,
    temperature: float = 1,
    code: str | None = None,
    hide: Sequence[str] = (),
    lock: Sequence[str] = (),
) -> Panel:
    """Turn T: the teacher's answer, its entropy, and the gradient that reaches the student.

    The pictures are those of `teacher_view`: some of every class, from sure to doubtful.
    student: a run or a module; None is a student that has learned nothing, all its logits equal.
    `.result` is a `Softened`. Controls: `example`, `temperature`.
    """
    data = data_sets.as_data(data)
    teacher = models.load_teacher(teacher) if isinstance(teacher, str) else teacher
    split, said = interesting(teacher, data.validation, len(data.classes))
    example = whole("example", example, 1)
    if example > len(split):
        raise Refusal(f"example={example}: there are {len(split)} pictures to look at.")
    own, learned = torch.zeros_like(said), "a new student"
    if student is not None:
        net = student.student if isinstance(student, Run) else student
        own, learned = signals.ask(net, split.inputs), "the student"
    if own.shape != said.shape:
        raise Refusal(
            f"the student has {own.shape[1]} classes and the teacher {said.shape[1]}: expected "
            "as many of both."
        )
    picture = Picture("what a temperature does", size=(9.4, 6))
    scene = Scene(picture, split, said, own, data.classes, learned)
    return Panel(
        "what a temperature does",
        {
            "example": slider("picture: sure → doubtful", 1, len(split), example),
            "temperature": steps("temperature T", TEMPERATURES, temperature),
        },
        scene.look,
        scene.update,
        picture,
        name="softening",
        code=code,
        hide=hide,
        lock=lock,
    )
