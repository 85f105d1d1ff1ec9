"""Data sets: splits of tensors, class names, a card with licence, size and hash."""

import os
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from kdlab import own_data, seeds
from kdlab.errors import Refusal, share, whole
from kdlab.fingerprints import row_fingerprints
from kdlab.sets import SOURCES
from kdlab.splits import NO_LABEL, Data, Source, Split, class_numbers, draw_by_class, floats, noisy


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
    chosen, rest = draw_by_class(source.pool.labels, train, draw, source.name)
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
    labels = noisy(source.pool.labels[chosen], share("label_noise", label_noise), source, draw)
    for number in class_numbers(leave_out, source.classes):
        keep = source.pool.labels[chosen] != number
        chosen, labels = chosen[keep], labels[keep]
        others = others[others.labels != number]
    if not len(chosen):
        raise Refusal(f"leave_out={leave_out!r} leaves no training example.")
    held_out = source.validation
    if validation is not None:
        fixed = torch.Generator().manual_seed(0)
        rows, _ = draw_by_class(held_out.labels, validation, fixed, source.name, "validation")
        held_out = held_out[rows.sort().values]
    return Data(
        name=source.name,
        train=Split(
            floats(source.pool.inputs[chosen], source.mean, source.deviation),
            labels,
            source.pool.indices[chosen],
        ),
        validation=held_out,
        test=source.test,
        transfer=Split(
            floats(others.inputs, source.mean, source.deviation),
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


def _source(name: object, classes: Sequence[str] | None, size: int | None) -> Source:
    known = isinstance(name, str) and name.lower() in SOURCES
    if isinstance(name, (str, os.PathLike)) and not known:
        return own_data.of_folder(name, classes, size, [*SOURCES])
    if size is not None:
        raise Refusal(f"size={size!r}: only a folder of pictures is read at a size of your choice.")
    if known:
        return SOURCES[name.lower()]()
    return own_data.of_pairs(name, classes, [*SOURCES])


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
    seen = floats(held.inputs, source.mean, source.deviation)  # as the teacher saw them
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
