"""Several teachers speak as one: their answers combined into a record, which any student takes."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdlab import fingerprints, signals
from kdlab.data import Data, as_data
from kdlab.errors import Refusal, number
from kdlab.models import name_of
from kdlab.signals import Signal
from kdlab.teachers import load_teacher

HOW = ("mean", "probabilities", "best")
Teachers = Sequence[str | nn.Module | Signal] | Mapping[str, str | nn.Module | Signal]


def combine(
    teachers: Teachers,
    data: Data,
    how: str = "mean",
    weights: "Sequence[float] | Mapping[str, float] | None" = None,
    *,
    device: str = "cpu",
) -> Signal:
    """What several teachers say together about every example of a data set, as one record.

    teachers: a list, or a dict by name, of names, modules or Signals. Each is asked once about each
        example, and its answers are kept.
    how: "mean": Σ w_k z_k, the weighted mean of the logits. Softened with any T it is the geometric
            mean of the teachers' softened answers, scaled to sum to 1.
        "probabilities": log Σ w_k softmax(z_k), the arithmetic mean, exact at T = 1.
        "best": for each example one teacher's logits: on a labelled training example those of the
            smallest cross-entropy with its label, elsewhere, where a label may not be looked at,
            those of the teacher that is surest of its answer.
    weights: a number of at least 0 for each teacher, in order or by name, not all 0; scaled to sum
        to 1. None weighs all alike. "best" takes none.

    Gives a Signal with logits (n, classes) for train, validation, test and transfer examples.
    Raises Refusal for no teacher, different class counts, and weights that do not fit.
    (Means of networks: Hansen & Salamon 1990, "Neural Network Ensembles"; as a teacher: Hinton,
    Vinyals & Dean 2015.)
    """
    if how not in HOW:
        raise Refusal(f"how={how!r}: expected one of {', '.join(HOW)}.")
    data, named = as_data(data), by_name(teachers)
    if how == "best" and weights is not None:
        raise Refusal(
            'how="best" takes one teacher for each example, so it has no use for weights.'
        )
    shares = _shares(weights, list(named))
    parts = signals.parts_of(data)
    said = [
        [signals.answers(teacher, part, device) for teacher in named.values()] for part in parts
    ]
    classes = [logits.shape[1] for logits in said[0]]
    if len(set(classes)) > 1:
        each = ", ".join(f"{name} {count}" for name, count in zip(named, classes, strict=True))
        raise Refusal(f"the teachers know different numbers of classes ({each}): expected one.")
    if how == "best":
        known = [part.labels if part is data.train else torch.full_like(part.labels, -100)
                 for part in parts]  # fmt: skip
        together = [_best(torch.stack(z), labels) for z, labels in zip(said, known, strict=True)]
    else:
        together = [_mean(torch.stack(logits), shares, how) for logits in said]
    heard = [_print(teacher) for teacher in named.values()]
    about = f"{how} of {', '.join(f'{w:.6g} x {h}' for w, h in zip(shares, heard, strict=True))}"
    indices, rows = signals.numbered(parts)
    return Signal(" + ".join(named), about, torch.cat(together), indices, rows)


def by_name(teachers: Teachers) -> dict[str, nn.Module | Signal]:
    """The teachers themselves under names of their own; refused where there is none."""
    if isinstance(teachers, (str, nn.Module, Signal)) or not isinstance(
        teachers, (Sequence, Mapping)
    ):
        raise Refusal(
            f"teachers of type {type(teachers).__name__}: expected a list of teachers, or a dict "
            "that names them."
        )
    if not teachers:
        raise Refusal("there is no teacher to combine: expected at least one.")
    if isinstance(teachers, Mapping):
        named = dict(teachers)
    else:
        names = [name_of(teacher) for teacher in teachers]
        named = {
            name if names.count(name) == 1 else f"{name} {at}": teacher
            for at, (name, teacher) in enumerate(zip(names, teachers, strict=True), 1)
        }
    named = {
        name: load_teacher(teacher) if isinstance(teacher, str) else teacher
        for name, teacher in named.items()
    }
    for name, teacher in named.items():
        if not isinstance(teacher, (nn.Module, Signal)):
            raise Refusal(
                f"the teacher {name!r} is of type {type(teacher).__name__}: expected a name, a "
                "torch module, or a recorded Signal."
            )
    return named


def _shares(weights, names: list[str]) -> Tensor:
    """The weights (teachers,), scaled to sum to 1."""
    if weights is None:
        return torch.full((len(names),), 1 / len(names))
    if isinstance(weights, Mapping):
        if set(weights) != set(names):
            raise Refusal(f"weights for {', '.join(map(str, weights))}: expected one for each of "
                          f"{', '.join(names)}.")  # fmt: skip
        weights = [weights[name] for name in names]
    values = [number(weight) for weight in weights]
    if len(values) != len(names):
        raise Refusal(f"{len(values)} weights for {len(names)} teachers: expected one for each.")
    if not all(0 <= value < float("inf") for value in values) or not any(values):
        raise Refusal(f"weights {values}: expected numbers of at least 0, not all of them 0.")
    return torch.tensor(values) / sum(values)


def _mean(logits: Tensor, shares: Tensor, how: str) -> Tensor:
    """logits: (teachers, n, classes); gives (n, classes)."""
    shares = shares[:, None, None]
    if how == "mean":
        return (shares * logits).sum(0)
    return (shares.log() + F.log_softmax(logits, dim=2)).logsumexp(0)  # no tail lost to rounding


def _best(logits: Tensor, labels: Tensor) -> Tensor:
    """Each row's logits of the teacher nearest to its label, or the surest where it has none."""
    sure = F.log_softmax(logits, dim=2)
    at_label = sure.gather(2, labels.clamp(min=0).expand(len(logits), -1)[:, :, None])[:, :, 0]
    chosen = at_label.where(labels >= 0, sure.amax(2)).argmax(0)
    return logits[chosen, torch.arange(len(labels))]


def _print(teacher: nn.Module | Signal) -> str:
    return teacher.teacher if isinstance(teacher, Signal) else fingerprints.fingerprint(teacher)
