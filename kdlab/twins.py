"""Answers across views: the teacher is asked about one view, the student learns from its twin."""

from collections.abc import Sequence

import torch
from torch import nn

from kdlab import models
from kdlab.data import Data, Split, class_numbers
from kdlab.errors import Refusal
from kdlab.fingerprints import fingerprint
from kdlab.signals import Signal, answers, numbered, parts_of, places


def across(
    teacher: "str | nn.Module | Signal",
    seen: Split | Data,
    shown: Split | Data,
    classes: "str | int | Sequence[str | int] | None" = None,
    *,
    device: str = "cpu",
) -> Signal:
    """A teacher's answers about one view of the examples, addressed to another view of them.

    The teacher is asked about the inputs of `seen`; the record is of the inputs of `shown`, joined
    by index: a teacher that sees the clean or the large picture, for a student that sees the noisy
    or the small one (see `kdlab.views`).

    teacher: a name, a module, or a Signal of `seen`.
    seen, shown: a Data or a Split each; every example of `shown` has its twin in `seen`.
    classes: names (of the Data `seen`) or numbers of the teacher's classes to keep, in this order,
        for a student of fewer classes. None keeps all; but where `shown` has other class names than
        `seen`, as after `kdlab.views.only`, it keeps those of `shown`.

    Right only where the view keeps the meaning of every single example. Nothing here can check
    that: addressed to a mixture (MixUp), an answer about one of the two pictures is a stale record,
    which says nothing of the other.
    Raises Refusal where an example of `shown` has no twin, UnknownName for an unknown class.
    """
    called = models.name_of(teacher)
    teacher = models.load_teacher(teacher) if isinstance(teacher, str) else teacher
    if not isinstance(teacher, (nn.Module, Signal)):
        raise Refusal(
            f"a teacher of type {type(teacher).__name__}: expected a name, a torch module, or a "
            "recorded Signal. The order is across(teacher, seen, shown)."
        )
    indices, rows = numbered(parts_of(shown))
    sources = [part for part in parts_of(seen) if torch.isin(part.indices, indices).any()]
    known = numbered(sources)[0] if sources else indices[:0]
    found, missing = places(known, indices)
    if missing.any():
        raise Refusal(
            f"{int(missing.sum()):,} of the {len(indices):,} examples shown have no twin among "
            f"those seen, first example {int(indices[missing][0])}: expected two views of the same "
            "examples, with the same indices, such as data and kdlab.views.changed(data, view)."
        )
    logits = torch.cat([answers(teacher, part, device) for part in sources])[found]
    columns = _columns(classes, seen, shown, logits.shape[1])
    logits = logits if columns is None else logits[:, columns]
    teacher_print = teacher.teacher if isinstance(teacher, Signal) else fingerprint(teacher)
    return Signal(f"{called} across views", teacher_print, logits, indices, rows)


def _columns(classes, seen: Split | Data, shown: Split | Data, count: int) -> list[int] | None:
    """The teacher's classes to keep, by number; None for all as they are."""
    names = seen.classes if isinstance(seen, Data) else tuple(map(str, range(count)))
    if classes is None:
        if not (isinstance(seen, Data) and isinstance(shown, Data)) or shown.classes == names:
            return None
        classes = shown.classes
    if len(names) != count:
        raise Refusal(
            f"the teacher gives {count} classes, the data set that it sees has {len(names)}: "
            "expected as many, so that a class can be chosen by its name or number."
        )
    return class_numbers(classes, names)
