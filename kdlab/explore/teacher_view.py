"""What a teacher says about one picture, at any temperature."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kdlab import data as data_sets
from kdlab import models, signals
from kdlab.data import Split
from kdlab.errors import Refusal, whole
from kdlab.explore.controls import slider, steps
from kdlab.explore.panel import Panel
from kdlab.plots.examples import ranked, shades
from kdlab.plots.picture import BLUE, ORANGE, Picture, style

TEMPERATURES = (0.5, 0.7, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 15, 20)
LOOKED_AT = 400  # pictures the teacher is asked about: enough to find doubts in, quick to answer


@dataclass(frozen=True)
class Answer:
    """What the teacher says about one picture: `probabilities` (classes,), `entropy` in nats."""

    image: Tensor
    label: str
    temperature: float
    probabilities: Tensor
    entropy: float
    most_entropy: float


def interesting(teacher: nn.Module, split: Split, classes: int, each: int = 4):
    """Some pictures of every class, from those the teacher is sure of to those it doubts.

    Returns a Split, sorted by the entropy of the teacher's answer, and its logits (n, classes).
    """
    looked_at = split[:LOOKED_AT]
    logits = signals.ask(teacher, looked_at.inputs)
    doubt = entropy(logits.softmax(1))
    chosen = []
    for number in range(classes):
        rows = (looked_at.labels == number).nonzero().squeeze(1)
        rows = rows[doubt[rows].argsort()]
        spread = torch.linspace(0, 1, min(each, len(rows))).sqrt()  # more of the doubtful ones
        chosen.append(rows[(spread * (len(rows) - 1)).round().long()])
    chosen = torch.cat(chosen)
    chosen = chosen[doubt[chosen].argsort()]
    return looked_at[chosen], logits[chosen]


def entropy(probabilities: Tensor) -> Tensor:
    """Entropy of each row, in nats: 0 for a sure answer, log(classes) for none at all."""
    return torch.special.entr(probabilities).sum(-1)


def look(
    split: Split, logits: Tensor, classes: Sequence[str], example: int, temperature: float
) -> Answer:
    """What the teacher says about example number `example` (from 1) of a split, at T."""
    probabilities = (logits[example - 1] / temperature).softmax(0)
    return Answer(
        split.inputs[example - 1],
        classes[int(split.labels[example - 1])],
        temperature,
        probabilities,
        entropy(probabilities).item(),
        math.log(len(classes)),
    )


class View:
    """A picture beside the probability of every class; made once, then updated."""

    def __init__(self, picture: Picture, first: Answer, classes: Sequence[str]):
        self.picture, self.classes = picture, classes
        places = list(range(len(classes)))
        with style():
            left, right = picture.figure.subplots(1, 2, width_ratios=[1, 2.4])
            self.image = left.imshow(shades(first.image[None])[0])
            left.set_axis_off()
            self.label = left.set_title(" ", loc="center", fontsize=13, weight="bold")
            self.bars = right.barh(places, first.probabilities.tolist(), color=BLUE, height=0.72)
            self.shares = [right.text(0, y, "", va="center", fontsize=10) for y in places]
            right.set_yticks(places, classes)
            right.set(xlim=(0, 1.22), ylim=(len(classes) - 0.4, -0.6), xlabel="probability")
            right.set_xticks([0, 0.25, 0.5, 0.75, 1])
            right.tick_params(axis="y", length=0)
            right.grid(axis="y", visible=False)
            self.said = right.set_title(" ")
        picture.moving([self.image, self.label, self.said, *self.bars, *self.shares])
        picture.draw("")

    def update(self, answer: Answer) -> None:
        """Show another answer."""
        self.image.set_data(shades(answer.image[None])[0])
        self.label.set_text(f"label: {answer.label}")
        for name, bar, text, share in zip(
            self.classes, self.bars, self.shares, answer.probabilities.tolist(), strict=True
        ):
            bar.set_width(share)
            right = name == answer.label
            bar.set(facecolor=ORANGE if right else BLUE, hatch="//" if right else "")
            text.set(x=share + 0.012, text=f"{share:.3f}" + (" ← label" if right else ""))
        doubt = f"{answer.entropy:.3f} nats of at most {answer.most_entropy:.3f}"
        self.said.set_text(f"the teacher at T = {answer.temperature:g}: entropy {doubt}")
        self.picture.redraw(
            f"A picture labelled {answer.label} and what the teacher says about it at "
            f"T={answer.temperature:g}: {ranked(answer.probabilities, self.classes, 3)}; "
            f"entropy {doubt}."
        )


def teacher_view(
    teacher: str | nn.Module = "fashion-cnn",
    data: object = "fashion-mnist",
    *,
    example: int = 1,
    temperature: float = 1,
    code: str | None = None,
    hide: Sequence[str] = (),
    lock: Sequence[str] = (),
) -> Panel:
    """Leaf through validation pictures and turn T: picture, probabilities, entropy.

    The pictures are some of every class, sorted from those the teacher is sure of to those it
    doubts most. `.result` is an `Answer`. Controls: `example`, `temperature`.
    """
    data = data_sets.as_data(data)
    teacher = models.load_teacher(teacher) if isinstance(teacher, str) else teacher
    classes = data.classes
    split, logits = interesting(teacher, data.validation, len(classes))
    example = whole("example", example, 1)
    if example > len(split):
        raise Refusal(f"example={example}: there are {len(split)} pictures to look at.")
    picture = Picture("what a teacher says", size=(9, 3.9))
    view = View(picture, look(split, logits, classes, example, temperature), classes)
    return Panel(
        "what a teacher says",
        {
            "example": slider("picture: sure → doubtful", 1, len(split), example),
            "temperature": steps("temperature T", TEMPERATURES, temperature),
        },
        lambda example, temperature: look(split, logits, classes, example, temperature),
        view.update,
        picture,
        name="teacher_view",
        code=code,
        hide=hide,
        lock=lock,
    )
