"""What a data set is made of: examples in splits, and how they are drawn."""

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from kdlab.errors import Refusal, unknown, whole
from kdlab.texts import Vocabulary

NO_LABEL = -100  # torch's own mark: cross_entropy leaves such rows out by itself


@dataclass(frozen=True, eq=False)
class Split:
    """Examples: `inputs` (n, ...), `labels` (n,) and `indices` (n,), stable in the data set."""

    inputs: Tensor
    labels: Tensor
    indices: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows) -> "Split":
        return Split(self.inputs[rows], self.labels[rows], self.indices[rows])


@dataclass(frozen=True, eq=False)
class Data:
    """A data set: `train`, `validation`, `test`, `transfer` (may be empty), `classes`, `card`.

    vocabulary: of texts, to write inputs as words again; None for all other data.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    transfer: Split
    classes: tuple[str, ...]
    card: dict
    settings: dict = field(default_factory=dict)
    vocabulary: Vocabulary | None = None

    def without_training(self) -> "Data":
        """The same data set with empty train and transfer splits, to keep it in little memory."""
        empty = torch.empty(0, dtype=torch.long)
        none = Split(self.train.inputs.new_empty(0, *self.train.inputs.shape[1:]), empty, empty)
        return replace(self, train=none, transfer=none)

    def __repr__(self) -> str:
        sizes = ", ".join(
            f"{part} {len(getattr(self, part)):,}"
            for part in ("train", "validation", "test", "transfer")
            if len(getattr(self, part))
        )
        return f"<{self.name}: {sizes}; {len(self.classes)} classes>"


@dataclass(frozen=True, eq=False)
class Source:
    """All examples of a data set before any draw: the pool that train is drawn from, and the rest.

    spare: examples that nobody labelled, which only a transfer set is drawn from.

    Inputs may be bytes (0 to 255); a draw turns them into floats, (byte / 255 − mean) / deviation.
    """

    name: str
    pool: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    card: dict
    mean: float | Tensor = 0.0
    deviation: float | Tensor = 1.0
    spare: Split | None = None
    vocabulary: Vocabulary | None = None


def split_in_three(name, inputs, labels, classes, card, mean=0.0, deviation=1.0) -> Source:
    """60/20/20 by class, by a generator of its own: no seed of the user changes it.

    Bytes stay bytes in the pool, a quarter of the memory; a draw turns them into floats.
    """
    fixed = torch.Generator().manual_seed(0)
    if len(labels) < 5:
        raise Refusal(f"{len(labels)} examples: expected at least 5, to split them 60/20/20.")
    pool, held_out = draw_by_class(labels, math.ceil(0.6 * len(labels)), fixed, name)
    middle, last = draw_by_class(labels[held_out], math.ceil(len(held_out) / 2), fixed, name)
    parts = [pool.sort().values, held_out[middle].sort().values, held_out[last].sort().values]
    indices = torch.arange(len(labels))
    train, *others = (Split(inputs[rows], labels[rows], indices[rows]) for rows in parts)
    others = [replace(part, inputs=floats(part.inputs, mean, deviation)) for part in others]
    return Source(name, train, *others, classes, card, mean, deviation)


def draw_by_class(labels: Tensor, count, draw: torch.Generator, name: str, part: str = "train"):
    """Positions of a draw of `count`, each class in proportion, and the positions left over.

    Each class has one shuffled order and a draw takes its head, so a larger draw with the same seed
    holds the smaller one wherever the classes' shares grow with it.
    """
    total = len(labels)
    count = total if count is None else whole(part, count, 1)
    if count > total:
        raise Refusal(f"{part}={count:,}: {name} has {total:,} examples to draw from.")
    present = labels.unique()
    exact = torch.stack([(labels == c).sum() for c in present]).double() * count / total
    quota = exact.floor().long()
    most_owed = (exact - quota).argsort(descending=True, stable=True)
    quota[most_owed[: count - int(quota.sum())]] += 1
    heads, tails = [], []
    for number, take in zip(present, quota, strict=True):
        rows = (labels == number).nonzero().squeeze(1)
        rows = rows[torch.randperm(len(rows), generator=draw)]
        heads.append(rows[:take])
        tails.append(rows[take:])
    return torch.cat(heads), torch.cat(tails)


def noisy(labels: Tensor, noise: float, source: Source, draw: torch.Generator) -> Tensor:
    labels = labels.clone()
    hit = torch.randperm(len(labels), generator=draw)[: round(noise * len(labels))]
    labels[hit] = torch.randint(len(source.classes), (len(hit),), generator=draw)
    return labels


def class_numbers(wanted, classes: tuple[str, ...]) -> list[int]:
    """The numbers of classes given by name or number, one or several; none for None."""
    if wanted is None:
        return []
    wanted = [wanted] if isinstance(wanted, (str, int)) else wanted
    numbers = []
    for item in wanted:
        if isinstance(item, str) and item in classes:
            numbers.append(classes.index(item))
        elif isinstance(item, int) and 0 <= item < len(classes):
            numbers.append(item)
        else:
            raise unknown("class", item, classes)
    return numbers


def floats(inputs: Tensor, mean: float = 0.0, deviation: float = 1.0) -> Tensor:
    """Bytes as floats around zero (a net learns faster from them); all else as it is."""
    if inputs.dtype != torch.uint8:
        return inputs
    return inputs.float().div_(255).sub_(mean).div_(deviation)
