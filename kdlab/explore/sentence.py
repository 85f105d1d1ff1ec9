"""Type a text: what students and their teacher say about it, side by side, and what they read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kdlab import signals
from kdlab.errors import Refusal
from kdlab.explore.controls import line, steps
from kdlab.explore.panel import Panel
from kdlab.plots.examples import ranked
from kdlab.plots.picture import BLUE, INK, ORANGE, Picture, style
from kdlab.runs import Run
from kdlab.signals import Signal
from kdlab.texts import LENGTH, Vocabulary, words

TEMPERATURES = (0.5, 1, 1.5, 2, 3, 4, 6, 8, 10)
MOST = 3  # students beside the teacher
TEACHER = "the teacher"
BAR = 14  # points
SHOWN = 88  # letters of the line that says what is read


@dataclass(frozen=True)
class Reading:
    """What was read of a text, and each one's answer to it, softened by T.

    words: those that are read.  unknown: those of them that the students do not know.
    left: how many words come after the last one that is read.
    answers: name -> probabilities (classes,); None where the teacher has no answer to this text.
    """

    text: str
    temperature: float
    words: tuple[str, ...]
    unknown: tuple[str, ...]
    left: int
    answers: dict[str, Tensor | None]


class Reader:
    """Reads any text as the students do, and asks them and the teacher about it."""

    def __init__(
        self,
        students: Mapping[str, nn.Module],
        vocabulary: Vocabulary,
        teacher: nn.Module | Signal | None = None,
        length: int = LENGTH,
    ):
        self.students, self.vocabulary = students, vocabulary
        self.teacher, self.length = teacher, length
        known = [getattr(getattr(net, "vectors", None), "known", None) for net in students.values()]
        self.known = min((one for one in known if one), default=len(vocabulary))

    def read(self, text: str, temperature: float) -> Reading:
        """What everybody says about a text at T."""
        every = words(text)
        kept = tuple(every[: self.length])
        numbers = self.vocabulary.encode([text], self.length)
        unknown = [
            word for word in kept if self.vocabulary.numbers.get(word, self.known) >= self.known
        ]
        said = {name: signals.ask(net, numbers)[0] for name, net in self.students.items()}
        if self.teacher is not None:
            said[TEACHER] = self._teacher_says(numbers)
        answers = {
            name: None if logits is None else (logits / temperature).softmax(0)
            for name, logits in said.items()
        }
        return Reading(
            text, temperature, kept, tuple(dict.fromkeys(unknown)), len(every) - len(kept), answers
        )

    def _teacher_says(self, numbers: Tensor) -> Tensor | None:
        """The teacher's logits; a record has them for the texts that it holds, and for no other."""
        if isinstance(self.teacher, nn.Module):
            return signals.ask(self.teacher, numbers)[0]
        found = (self.teacher.rows == signals.row_fingerprints(numbers)).nonzero()
        return self.teacher.logits[found[0, 0]].float() if len(found) else None


def told(reading: Reading) -> str:
    """What is read of a text, unknown words between brackets."""
    if not reading.words:
        return "no word yet: type a text"
    marked = [f"[{word}]" if word in reading.unknown else word for word in reading.words]
    read = " ".join(marked)
    return f"read: {read if len(read) <= SHOWN else f'{read[: SHOWN - 2]} …'}"


def remark(reading: Reading) -> str:
    """What the students miss of a text: unknown words, and those that come too late."""
    said = []
    if reading.unknown:
        few = len(reading.unknown) == 1
        said.append(f"[…]: {'a word' if few else 'words'} that no student knows")
    if reading.left:
        said.append(f"{reading.left} more at the end, which are not read")
    return "; ".join(said) or " "


class Scene:
    """A column of bars for each one who answers, a row a class."""

    def __init__(self, picture: Picture, names: Sequence[str], classes: Sequence[str]):
        self.picture, self.classes = picture, classes
        self.bars, self.first, self.titles, self.silent = {}, {}, {}, {}
        with style():
            rows = range(len(classes))
            columns = picture.figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
            for axes, name in zip(columns, names, strict=True):
                # all bars of a column are one artist: ten of them would take three times as long
                self.bars[name] = axes.hlines(
                    rows, 0, 0.5, color=BLUE, linewidth=BAR, capstyle="butt"
                )
                (self.first[name],) = axes.barh(0, 0.5, height=0.7, color=ORANGE, hatch="//")
                self.titles[name] = axes.set_title(f"{name}\n{max(classes, key=len)} 100 %")
                self.silent[name] = axes.text(
                    0.5, len(classes) / 2, "", ha="center", va="center", color=INK
                )
                axes.set(xlim=(-0.02, 1.02), xlabel="probability at T")
                axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
                axes.tick_params(axis="y", length=0)
                axes.grid(axis="y", visible=False)
            columns[0].set_yticks(rows, classes)
            columns[0].set_ylim(len(classes) - 0.4, -0.6)
            self.read = picture.figure.suptitle(" \n ", x=0.01, ha="left", fontsize=11)
        parts = (self.bars, self.first, self.titles, self.silent)
        picture.moving([self.read, *(artist for part in parts for artist in part.values())])
        picture.draw("")

    def update(self, now: Reading) -> None:
        """Show the answers to another text, or at another T."""
        said = []
        for name, answer in now.answers.items():
            heard = [0.0] * len(self.classes) if answer is None else answer.tolist()
            first = None if answer is None else int(answer.argmax())
            others = [[(0, row), (share, row)] for row, share in enumerate(heard) if row != first]
            self.bars[name].set_segments(others)
            self.first[name].set_visible(answer is not None)
            if answer is None:
                self.titles[name].set_text(f"{name}\n ")
                self.silent[name].set_text("not recorded\nfor this text")
                said.append(f"{name}: not recorded for this text")
                continue
            self.first[name].set(y=first - 0.35, width=heard[first])
            self.titles[name].set_text(f"{name}\n{self.classes[first]} {100 * heard[first]:.0f} %")
            self.silent[name].set_text("")
            said.append(f"{name}: {ranked(answer, self.classes, 3)}")
        self.read.set_text(f"{told(now)}\n{remark(now)}")
        unknown = f" Not known: {', '.join(now.unknown)}." if now.unknown else ""
        self.picture.redraw(
            f"What each one says about the text “{now.text}” at T={now.temperature:g}. "
            f"{'; '.join(said)}.{unknown}"
        )


def sentence(
    students: Mapping[str, nn.Module | Run],
    vocabulary: Vocabulary,
    classes: Sequence[str],
    teacher: nn.Module | Signal | None = None,
    *,
    text: str = "a large wild cat of the forests of Asia",
    temperature: float = 1,
    code: str | None = None,
    hide: Sequence[str] = (),
    lock: Sequence[str] = (),
) -> Panel:
    """Type a text, and see what up to three students and their teacher say about it.

    students: by name, modules or runs that take word numbers (n, words).
    vocabulary, classes: those of the data set that they were trained on.
    teacher: a module, or a record, which answers where the text is one of its own.
    `.result` is a `Reading`. Controls: `text`, `temperature`.
    """
    if not isinstance(students, Mapping) or not 1 <= len(students) <= MOST:
        raise Refusal(f"sentence: expected a dict of 1 to {MOST} students by name.")
    if not isinstance(vocabulary, Vocabulary):
        raise Refusal(
            f"sentence: vocabulary of type {type(vocabulary).__name__}: expected that of a data "
            "set of texts, data.vocabulary."
        )
    if teacher is not None and not isinstance(teacher, (nn.Module, Signal)):
        raise Refusal(
            f"sentence: a teacher of type {type(teacher).__name__}: expected a module or a record."
        )
    nets = {name: one.student if isinstance(one, Run) else one for name, one in students.items()}
    reader = Reader(nets, vocabulary, teacher)
    for name, answer in reader.read(text, 1.0).answers.items():
        if answer is not None and answer.shape != (len(classes),):
            raise Refusal(
                f"{name} gives {answer.numel()} logits, and there are {len(classes)} classes: "
                "expected one logit a class."
            )
    picture = Picture("what they say about a text", size=(9.4, 4.4))
    names = [*nets, *([TEACHER] if teacher is not None else [])]
    scene = Scene(picture, names, classes)

    def compute(text: str, temperature: float) -> Reading:
        with torch.no_grad():
            return reader.read(text, temperature)

    return Panel(
        "type a text",
        {
            "text": line("text", text),
            "temperature": steps("temperature T", TEMPERATURES, temperature),
        },
        compute,
        scene.update,
        picture,
        name="sentence",
        code=code,
        hide=hide,
        lock=lock,
    )
