"""Data of one's own: a pair of tensors, a torch Dataset, a folder of pictures."""

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from kdlab import folders
from kdlab.errors import Refusal, unknown, whole
from kdlab.splits import Source, split_in_three


def of_pairs(pairs: object, classes: Sequence[str] | None, known: Sequence[str]) -> Source:
    """A pair (inputs, labels) of tensors, or a torch Dataset of such pairs.

    known: the names that stand in the refusal of all else.
    """
    if isinstance(pairs, (tuple, list)) and len(pairs) == 2:
        inputs, labels = pairs
    elif isinstance(pairs, (Dataset, list)) and hasattr(pairs, "__len__"):
        inputs, labels = _stack(pairs)
    else:
        raise Refusal(
            f"data of type {type(pairs).__name__}: expected a name ({', '.join(known)}), the "
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
    return split_in_three("your data", inputs, labels, tuple(map(str, classes)), card)


def of_folder(
    name: str | os.PathLike, classes: Sequence[str] | None, size: int | None, known: Sequence[str]
) -> Source:
    """The pictures in a folder; the refusal of an unknown name where there is no such folder."""
    if not str(name) or not os.path.isdir(os.path.expanduser(name)):
        also = "Nor is there a folder of this name, with pictures of your own."
        raise unknown("data set", str(name), known, also)
    if classes is not None:
        raise Refusal("classes= names those of tensors; a folder's classes are its folders' names.")
    size = folders.SIZE if size is None else whole("size", size, 1)
    return _pictures(folders.look_into(Path(name).expanduser().resolve()), size)


@lru_cache(maxsize=1)  # read anew where a file has changed, for then what was found differs
def _pictures(found: folders.Found, size: int) -> Source:
    inputs, labels = folders.read(found, size), torch.tensor(found.labels)
    card, scale = folders.card(found, size), (folders.MEAN, folders.DEVIATION)
    return split_in_three(found.name, inputs, labels, found.classes, card, *scale)


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
