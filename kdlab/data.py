"""Data sets: splits of tensors, class names, a card with licence, size and hash."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from kdlab import folders, news, seeds
from kdlab.errors import Refusal, share, unknown, whole
from kdlab.files import read_card, read_idx, read_table
from kdlab.records import row_fingerprints
from kdlab.texts import LENGTH, Vocabulary

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


def load_data(
    name: "str | os.PathLike | tuple[Tensor, Tensor] | Dataset | Data",
    train: int | None = None,
    validation: int | None = None,
    seed: int = 0,
    *,
    unlabelled: int | object = 0,
    leave_out: "str | int | Sequence[str | int] | None" = None,
    label_noise: float = 0.0,
    classes: Sequence[str] | None = None,
    size: int | None = None,
) -> Data:
    """A data set with train, validation, test and transfer splits.

    name: "fashion-mnist", "digits", "glosses" (texts), the path of a folder of pictures (one
        folder a class), a pair (inputs, labels) of tensors, or a torch Dataset of such pairs; all
        but the first are split 60/20/20 by class, always the same way. With the extra `text` also
        "bbc-news" (headlines), "bbc-articles", and, with a network, "ag-news".
    train: how many examples to draw for training, by class in proportion; None takes all.
    validation: how many validation examples; None takes all. The same for every seed.
    unlabelled: size of the transfer set: training examples that are not in `train`, without
        labels; of "glosses" up to 38,000 more that have none. Or a recorded Signal, such as
        `kdlab.Signal.load(path)`: then the examples that it has answers for and that are not in
        `train`, by index, each checked to be the one recorded. To distil with transfer=True from
        that record, it needs answers about `train` too: with one seed, a larger draw of train,
        recorded elsewhere, holds the smaller one here.
    leave_out: class name(s) or number(s) dropped from train and transfer, after the draw.
    label_noise: share of the training labels replaced by one drawn uniformly from all classes.
    classes: class names for tensors of your own.
    size: side of the pictures of a folder, in pixels; None takes 64.

    Raises UnknownName (a LookupError) for names, Refusal (a ValueError) for all else.
    """
    if isinstance(name, Data):
        raise Refusal("this is a data set already; give load_data its name or its tensors.")
    seed = whole("seed", seed, 0)
    source = _source(name, classes, size)
    draw = seeds.generator(seed, "data")
    chosen, rest = _draw(source.pool.labels, train, draw, source.name)
    left = source.pool[rest] if source.spare is None else source.spare
    order = torch.randperm(len(left), generator=draw)  # always, so that what is drawn next stays
    if isinstance(unlabelled, (str, os.PathLike)):
        raise Refusal(
            f"unlabelled={str(unlabelled)!r}: expected a number, or the record itself: "
            "unlabelled=kdlab.Signal.load(path)."
        )
    recorded = hasattr(unlabelled, "rows") and hasattr(unlabelled, "indices")
    unlabelled = unlabelled if recorded else whole("unlabelled", unlabelled, 0)
    if not recorded and unlabelled > len(left):
        raise Refusal(
            f"unlabelled={unlabelled:,}: {source.name} has {len(left):,} training examples left "
            f"beside the {len(chosen):,} labelled ones. Ask for fewer, or for a smaller train."
        )
    others = _recorded(unlabelled, source, chosen) if recorded else left[order[:unlabelled]]
    labels = _noisy(source.pool.labels[chosen], share("label_noise", label_noise), source, draw)
    for number in class_numbers(leave_out, source.classes):
        keep = source.pool.labels[chosen] != number
        chosen, labels = chosen[keep], labels[keep]
        others = others[others.labels != number]
    if not len(chosen):
        raise Refusal(f"leave_out={leave_out!r} leaves no training example.")
    held_out = source.validation
    if validation is not None:
        fixed = torch.Generator().manual_seed(0)
        rows, _ = _draw(held_out.labels, validation, fixed, source.name, "validation")
        held_out = held_out[rows.sort().values]
    return Data(
        name=source.name,
        train=Split(
            _floats(source.pool.inputs[chosen], source.mean, source.deviation),
            labels,
            source.pool.indices[chosen],
        ),
        validation=held_out,
        test=source.test,
        transfer=Split(
            _floats(others.inputs, source.mean, source.deviation),
            torch.full((len(others),), NO_LABEL),
            others.indices,
        ),
        classes=source.classes,
        card=source.card,
        settings={
            "train": len(chosen),
            "seed": seed,
            "unlabelled": len(others),
            "leave_out": leave_out,
            "label_noise": label_noise,
        },
        vocabulary=source.vocabulary,
    )


def as_data(data: object) -> Data:
    """What stands where a data set does: a Data as it is, else load_data's whole data set."""
    return data if isinstance(data, Data) else load_data(data)


# ---------------------------------------------------------------- the sets that kdlab knows

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

FASHION_SCALE = (0.2860, 0.3530)  # mean and standard deviation of a training pixel, 0 to 1


@lru_cache(maxsize=1)
def _fashion_mnist() -> Source:
    card = read_card("fashion-mnist")
    inputs = read_idx("fashion-mnist", "train-images-idx3-ubyte.gz", card).reshape(-1, 1, 28, 28)
    labels = read_idx("fashion-mnist", "train-labels-idx1-ubyte.gz", card).long()
    test_inputs = read_idx("fashion-mnist", "t10k-images-idx3-ubyte.gz", card)
    test_labels = read_idx("fashion-mnist", "t10k-labels-idx1-ubyte.gz", card).long()
    indices = torch.arange(70_000)  # test follows train, so that no index means two pictures
    return Source(
        "fashion-mnist",
        pool=Split(inputs[:50_000], labels[:50_000], indices[:50_000]),
        validation=Split(
            _floats(inputs[50_000:], *FASHION_SCALE), labels[50_000:], indices[50_000:60_000]
        ),
        test=Split(
            _floats(test_inputs.reshape(-1, 1, 28, 28), *FASHION_SCALE),
            test_labels,
            indices[60_000:],
        ),
        classes=FASHION_CLASSES,
        card=card,
        mean=FASHION_SCALE[0],
        deviation=FASHION_SCALE[1],
    )


@lru_cache(maxsize=1)
def _digits() -> Source:
    from sklearn.datasets import load_digits

    raw = load_digits()
    inputs = torch.tensor(raw.images, dtype=torch.float32).unsqueeze(1) / 16
    names = tuple(str(digit) for digit in range(10))
    return _split_in_three(
        "digits", inputs, torch.tensor(raw.target).long(), names, read_card("digits")
    )


@lru_cache(maxsize=1)
def _glosses() -> Source:
    card = read_card("glosses")
    (topics, labelled), (topics_of_spare, spare) = (
        read_table("glosses", name, card) for name in ("labelled.tsv.gz", "spare.tsv.gz")
    )
    classes = tuple(card["classes"])
    labels, hidden = (
        torch.tensor([classes.index(topic) for topic in column])
        for column in (topics, topics_of_spare)
    )
    source = _split_in_three("glosses", torch.arange(len(labels)), labels, classes, card)
    return _in_words(source, labelled, LENGTH, spare, hidden)


def _bbc_news(whole_articles: bool) -> Source:
    texts, topics, card = news.bbc(whole_articles)
    name, length = ("bbc-articles", 200) if whole_articles else ("bbc-news", LENGTH)
    labels = torch.tensor(topics)
    source = _split_in_three(name, torch.arange(len(labels)), labels, news.BBC, card)
    return _in_words(source, texts, length)


@lru_cache(maxsize=1)
def _ag_news() -> Source:
    parts, card = news.ag()
    (texts, topics), (test_texts, test_topics) = parts["train"], parts["test"]
    labels, numbers = torch.tensor([*topics, *test_topics]), torch.arange(len(texts + test_texts))
    fixed = torch.Generator().manual_seed(0)
    held_out, pool = _draw(labels[: len(texts)], len(texts) // 10, fixed, "ag-news")
    rows = [part.sort().values for part in (pool, held_out)] + [numbers[len(texts) :]]
    splits = (Split(numbers[part], labels[part], numbers[part]) for part in rows)
    return _in_words(Source("ag-news", *splits, news.AG, card), texts + test_texts, 50)


def _in_words(
    source: Source, texts: list[str], length: int, spare: Sequence[str] = (), hidden=None
) -> Source:
    """A source whose inputs are the numbers of texts, with these as rows of words instead.

    The vocabulary is that of the pool and the spare texts, the words of the others come last.
    """
    shown = [texts[row] for row in source.pool.indices.tolist()]
    vocabulary = Vocabulary.of([*shown, *spare], texts)
    inputs = vocabulary.encode(texts, length)
    parts = {
        name: replace(part, inputs=inputs[part.indices])
        for name, part in (
            ("pool", source.pool), ("validation", source.validation), ("test", source.test),
        )
    }  # fmt: skip
    if spare:  # a draw takes their labels away
        numbers = len(texts) + torch.arange(len(spare))
        parts["spare"] = Split(vocabulary.encode(spare, length), hidden, numbers)
    return replace(source, **parts, vocabulary=vocabulary)


SHIPPED = {"fashion-mnist": _fashion_mnist, "digits": _digits, "glosses": _glosses}
ELSEWHERE = {  # with the extra `text`; the last one with a network too
    "bbc-news": lru_cache(maxsize=1)(lambda: _bbc_news(whole_articles=False)),
    "bbc-articles": lru_cache(maxsize=1)(lambda: _bbc_news(whole_articles=True)),
    "ag-news": _ag_news,
}
SOURCES = SHIPPED | ELSEWHERE


# ---------------------------------------------------------------- data of one's own


def _source(name: object, classes: Sequence[str] | None, size: int | None) -> Source:
    known = isinstance(name, str) and name.lower() in SOURCES
    if isinstance(name, (str, os.PathLike)) and not known:
        return _of_folder(name, classes, size)
    if size is not None:
        raise Refusal(f"size={size!r}: only a folder of pictures is read at a size of your choice.")
    if known:
        return SOURCES[name.lower()]()
    if isinstance(name, (tuple, list)) and len(name) == 2:
        inputs, labels = name
    elif isinstance(name, (Dataset, list)) and hasattr(name, "__len__"):
        inputs, labels = _stack(name)
    else:
        raise Refusal(
            f"data of type {type(name).__name__}: expected a name ({', '.join(SOURCES)}), the "
            "path of a folder of pictures, a pair (inputs, labels) of tensors, or a torch Dataset "
            "(with a length) of such pairs."
        )
    inputs, labels = _checked(inputs, labels)
    count = int(labels.max()) + 1
    if classes is None:
        classes = [str(number) for number in range(count)]
    if count > len(classes):
        raise Refusal(
            f"labels go up to {count - 1}, but there are {len(classes)} classes: "
            f"expected labels from 0 to {len(classes) - 1}."
        )
    shape = tuple(inputs.shape[1:])
    card = {
        "name": "your own data",
        "examples": len(labels),
        "split": "60 % train, 20 % validation, 20 % test, by class, the same for every seed",
        "input shape": shape,
    }
    return _split_in_three("your data", inputs, labels, tuple(map(str, classes)), card)


def _of_folder(name: str | os.PathLike, classes, size: int | None) -> Source:
    """The pictures in a folder; the refusal of an unknown name where there is no such folder."""
    if not str(name) or not os.path.isdir(os.path.expanduser(name)):
        also = "Nor is there a folder of this name, with pictures of your own."
        raise unknown("data set", str(name), SOURCES, also)
    if classes is not None:
        raise Refusal("classes= names those of tensors; a folder's classes are its folders' names.")
    size = folders.SIZE if size is None else whole("size", size, 1)
    return _pictures(folders.look_into(Path(name).expanduser().resolve()), size)


@lru_cache(maxsize=1)  # read anew where a file has changed, for then what was found differs
def _pictures(found: folders.Found, size: int) -> Source:
    inputs, labels = folders.read(found, size), torch.tensor(found.labels)
    card, scale = folders.card(found, size), (folders.MEAN, folders.DEVIATION)
    return _split_in_three(found.name, inputs, labels, found.classes, card, *scale)


def _stack(dataset: Dataset) -> tuple[Tensor, Tensor]:
    """A Dataset read once into tensors; refused where an item changes when it is read again."""
    if not len(dataset):
        raise Refusal("the data set is empty: expected at least one example.")
    pairs = [_pair(dataset, row) for row in range(len(dataset))]
    for row in range(min(20, len(pairs))):  # one is not enough: a random flip may flip twice
        again = _pair(dataset, row)[0]
        if again.shape != pairs[row][0].shape or not torch.equal(again, pairs[row][0]):
            raise Refusal(
                f"item {row} of this Dataset differs each time it is read, as under random "
                "augmentation: a teacher's answer kept for one view would be wrong for the next. "
                "Give the Dataset without the random transform, and the transform as augment= to "
                "train or distill."
            )
    shapes = {tuple(item.shape) for item, _ in pairs}
    if len(shapes) > 1:
        raise Refusal(f"inputs of shapes {sorted(shapes)[:3]}: expected one shape for all.")
    return torch.stack([item for item, _ in pairs]), torch.tensor([label for _, label in pairs])


def _pair(dataset: Dataset, row: int) -> tuple[Tensor, int]:
    item = dataset[row]
    try:
        inputs, label = item
        return torch.as_tensor(inputs), int(label)
    except (TypeError, ValueError, RuntimeError) as error:
        raise Refusal(
            f"item {row} of this Dataset is no pair of a tensor and a whole number ({error}): "
            "pictures need a transform to tensors, one-hot labels an argmax."
        ) from error


def _checked(inputs: object, labels: object) -> tuple[Tensor, Tensor]:
    try:
        inputs, labels = torch.as_tensor(inputs), torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError) as error:
        raise Refusal(
            f"inputs of type {type(inputs).__name__} and labels of type {type(labels).__name__} "
            f"do not make tensors ({error}): expected numbers, labels from 0 upwards."
        ) from error
    if not labels.numel() or not inputs.numel():
        raise Refusal("the data set is empty: expected at least one example.")
    if labels.ndim != 1 or labels.is_floating_point():
        raise Refusal(
            f"labels of shape {tuple(labels.shape)} and type {labels.dtype}: expected one whole "
            "number an example, shape (n,). For one-hot labels, give labels.argmax(1)."
        )
    if len(inputs) != len(labels):
        raise Refusal(
            f"{len(inputs):,} inputs but {len(labels):,} labels: expected one label for each input."
        )
    if labels.min() < 0:
        raise Refusal(
            f"a label is {int(labels.min())}: expected labels from 0 upwards. Drop examples "
            "without a label, or number the classes 0, 1, 2 ..."
        )
    if inputs.is_floating_point():
        inputs = inputs.float()  # NumPy's doubles too; precision="float64" is asked of a run
    if inputs.is_floating_point() and not torch.isfinite(inputs).all():
        finite = torch.isfinite(inputs).reshape(len(inputs), -1).all(1)
        raise Refusal(
            f"NaN or infinity in {int((~finite).sum()):,} of {len(inputs):,} inputs, first in "
            f"example {int((~finite).nonzero()[0])}: clean them before training."
        )
    return inputs, labels.long()


def _split_in_three(name, inputs, labels, classes, card, mean=0.0, deviation=1.0) -> Source:
    """60/20/20 by class, by a generator of its own: no seed of the user changes it.

    Bytes stay bytes in the pool, a quarter of the memory; a draw turns them into floats.
    """
    fixed = torch.Generator().manual_seed(0)
    if len(labels) < 5:
        raise Refusal(f"{len(labels)} examples: expected at least 5, to split them 60/20/20.")
    pool, held_out = _draw(labels, math.ceil(0.6 * len(labels)), fixed, name)
    middle, last = _draw(labels[held_out], math.ceil(len(held_out) / 2), fixed, name)
    parts = [pool.sort().values, held_out[middle].sort().values, held_out[last].sort().values]
    indices = torch.arange(len(labels))
    train, *others = (Split(inputs[rows], labels[rows], indices[rows]) for rows in parts)
    others = [replace(part, inputs=_floats(part.inputs, mean, deviation)) for part in others]
    return Source(name, train, *others, classes, card, mean, deviation)


# ---------------------------------------------------------------- draws


def _draw(labels: Tensor, count, draw: torch.Generator, name: str, part: str = "train"):
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


def _recorded(record, source: Source, chosen: Tensor) -> Split:
    """The examples that a record has answers for, without those chosen for train, by index."""
    parts = [source.pool] if source.spare is None else [source.pool, source.spare]
    strange = ~torch.isin(record.indices, torch.cat([part.indices for part in parts]))
    if strange.any():
        raise Refusal(
            f"the record {record.name!r} has answers for {int(strange.sum()):,} examples that are "
            f"not among the training examples of {source.name}, first example "
            f"{int(record.indices[strange][0])}: expected a record of training or transfer "
            "examples of this data set, such as kdlab.record(teacher, data.transfer)."
        )
    parts = [part[torch.isin(part.indices, record.indices)] for part in parts]
    held = Split(*(torch.cat([getattr(part, name) for part in parts])
                   for name in ("inputs", "labels", "indices")))  # fmt: skip
    held = held[held.indices.argsort()]
    order = record.indices.argsort()
    found = order[torch.searchsorted(record.indices[order], held.indices)]
    seen = _floats(held.inputs, source.mean, source.deviation)  # as the teacher saw them
    changed = record.rows[found] != row_fingerprints(seen)
    if changed.any():
        raise Refusal(
            f"the record {record.name!r} was made on other inputs: {int(changed.sum()):,} of its "
            f"{len(held):,} examples are not those of {source.name} here, first example "
            f"{int(held.indices[changed][0])}. Another view of them (kdlab.across), another size "
            "or another data set needs a record of its own."
        )
    left = held[~torch.isin(held.indices, source.pool.indices[chosen])]
    if not len(left):
        raise Refusal(
            f"the record {record.name!r} has answers for {len(held):,} examples, and all of them "
            f"are among the {len(chosen):,} of train: nothing is left as a transfer set. Ask for a "
            "smaller train, or record more examples."
        )
    return left


def _noisy(labels: Tensor, noise: float, source: Source, draw: torch.Generator) -> Tensor:
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


def _floats(inputs: Tensor, mean: float = 0.0, deviation: float = 1.0) -> Tensor:
    """Bytes as floats around zero (a net learns faster from them); all else as it is."""
    if inputs.dtype != torch.uint8:
        return inputs
    return inputs.float().div_(255).sub_(mean).div_(deviation)
