"""What a teacher says about each example: computed once, kept, shareable."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from kdlab import files, models, records
from kdlab.data import Data, Split
from kdlab.errors import Refusal
from kdlab.fingerprints import code_of, fingerprint, input_fingerprint, row_fingerprints
from kdlab.layers import read as read_layers
from kdlab.models import listening, logits_of

SPLIT_PARTS = ("inputs", "labels", "indices")
FEATURE = "features."  # before the name of a layer in a record's file
BATCH = 200  # rows asked at a time: their maps stay near the processor
FLAT_BATCH = 1_000  # the same without maps
PIECE = 2_000  # rows of a record written at a time: the most that an interrupt costs
KEPT = 1_000_000_000  # bytes of answers and features kept in this process, oldest dropped first
_kept: "OrderedDict[tuple, Tensor]" = OrderedDict()


@dataclass(frozen=True, eq=False)
class Signal:
    """A recorded teacher: its logits for known examples, with no network behind them.

    logits: (n, classes).  indices: (n,), the examples' stable numbers.
    rows: (n,), a fingerprint of each input, so that an answer is never given to another view.
    features: layer name -> (n, ...), what these layers gave, for matches.
    """

    name: str
    teacher: str
    logits: Tensor
    indices: Tensor
    rows: Tensor
    features: dict[str, Tensor] = field(default_factory=dict)

    def look_up(self, split: Split) -> Tensor:
        """The logits for a split's examples, in its order; refused where one is not recorded."""
        return _wide(self.logits[self.find(split)])

    def find(self, split: Split) -> Tensor:
        """Where a split's examples stand in the record."""
        if not len(self.indices):
            raise Refusal(f"the record {self.name!r} is empty.")
        found, missing = places(self.indices, split.indices)
        if missing.any():
            raise Refusal(
                f"the record {self.name!r} has no answer for {int(missing.sum()):,} of these "
                f"{len(split):,} examples, first example {int(split.indices[missing][0])}. "
                "Record the teacher on every example that trains (with transfer=True train and "
                "transfer set), or give the teacher itself."
            )
        changed = self.rows[found] != row_fingerprints(split.inputs)
        if changed.any():
            raise Refusal(
                f"the record {self.name!r} was made on other inputs: example "
                f"{int(split.indices[changed][0])} has changed since. A kept answer belongs to one "
                "view of an example; give the teacher itself, so that it is asked for this view."
            )
        return found

    def save(self, path: str | Path, precision: str = "float16") -> None:
        """Write the record as one safetensors file; an older file stays until the new is whole.

        precision: "float16" or "float32", of logits and features. float16 keeps 11 binary digits:
            fashion-cnn's logits (up to 31) move by 0.008 at most, its probabilities by 0.0012 at
            T = 1 and by 0.0003 at T = 4, and 4 of its 70,000 answers name another class.
        Raises Refusal where a number is over 65,504, which float16 cannot hold.
        """
        tensors = {"logits": self.logits, "indices": self.indices, "rows": self.rows}
        tensors |= {FEATURE + name: tensor for name, tensor in self.features.items()}
        about = {"name": self.name, "teacher": self.teacher}
        records.write(Path(path), tensors, about, precision)

    @staticmethod
    def load(path: str | Path) -> "Signal":
        """Read a record that `save` or `record` wrote: checked once, then memory-mapped.

        Its tensors stay on disk, in the precision they were saved with, until rows are looked up.
        Raises Refusal for a missing file, CorruptFile for a damaged one.
        """
        path = Path(path)
        about, tensors = records.read(path)
        heard = {name.removeprefix(FEATURE): tensors[name]
                 for name in sorted(tensors) if name.startswith(FEATURE)}  # fmt: skip
        parts = (tensors[name] for name in ("logits", "indices", "rows"))
        return Signal(about.get("name", path.stem), about.get("teacher", ""), *parts, heard)


def record(
    teacher: str | nn.Module,
    split: Split | Data,
    name: str = "teacher",
    layers: Sequence[str] = (),
    path: str | Path | None = None,
    *,
    precision: str = "float16",
    device: str = "cpu",
    progress: bool = True,
) -> Signal:
    """Ask a teacher about every example, once, and keep its answers as a Signal.

    split: a Split, or a Data for all its splits, so that agreement can be measured too.
    layers: whose features are recorded too, by name.
    path: a file to write, piece by piece, with no more than a piece in memory. Finished pieces lie
        in the folder `<path>.part` until the file is whole: after an interrupt, the same call goes
        on from there. Pieces of another teacher (by structure and weights; a changed `forward` is
        not seen), of other inputs, layers or precision are asked for anew. An older file stays
        until the new is whole.
    precision: of the file; see `Signal.save`.
    """
    teacher = models.load_teacher(teacher) if isinstance(teacher, str) else teacher
    if not isinstance(teacher, nn.Module):
        raise Refusal(
            f"a teacher of type {type(teacher).__name__}: expected a name or a torch module, which "
            "can be asked."
        )
    parts = parts_of(split)
    teacher_print = fingerprint(teacher)
    indices, rows = numbered(parts)
    if path is None:
        logits = torch.cat([answers(teacher, part, device) for part in parts])
        heard = [features(teacher, part, layers, device) for part in parts]
        heard = {layer: torch.cat([own[layer] for own in heard]) for layer in layers}
        return Signal(name, teacher_print, logits, indices, rows, heard)
    pieces = [piece for part in parts for piece in part.inputs.split(PIECE)]
    sizes = [len(piece) for piece in pieces]
    known = [
        {"indices": own, "rows": prints}
        for own, prints in zip(indices.split(sizes), rows.split(sizes), strict=True)
    ]

    def answer(number: int) -> dict[str, Tensor]:
        inputs = pieces[number]
        heard = read_layers(teacher, inputs, layers, device) if layers else {}
        own = {FEATURE + layer: tensor for layer, tensor in heard.items()}
        return {"logits": ask(teacher, inputs, device), **own}

    names = {"logits", *(FEATURE + layer for layer in layers)}
    about = {"name": name, "teacher": teacher_print}
    records.write_in_pieces(Path(path), known, answer, names, about, precision, progress)
    return Signal.load(path)


def parts_of(split: Split | Data) -> list[Split]:
    """A Split, or the splits of a Data, as far as they hold examples; at least one."""
    if not isinstance(split, (Split, Data)):
        raise Refusal(
            f"examples of type {type(split).__name__}: expected a data set, or one of its splits, "
            "such as data.train."
        )
    parts = [split]
    if isinstance(split, Data):
        parts = [split.train, split.transfer, split.validation, split.test]
    parts = [part for part in parts if len(part)]
    if not parts:
        raise Refusal("there are no examples to ask the teacher about.")
    return parts


def numbered(parts: list[Split]) -> tuple[Tensor, Tensor]:
    """The indices and the row fingerprints of all parts together."""
    indices = torch.cat([part.indices for part in parts])
    rows = torch.cat([row_fingerprints(part.inputs) for part in parts])
    _distinct(indices, rows)
    return indices, rows


def places(known: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Where each wanted index stands among the known ones, and whether it is missing there."""
    if not len(known):
        return torch.zeros_like(wanted), torch.ones_like(wanted, dtype=torch.bool)
    order = known.argsort()
    spots = torch.searchsorted(known[order], wanted).clamp(max=len(order) - 1)
    found = order[spots]
    return found, known[found] != wanted


def _distinct(indices: Tensor, rows: Tensor) -> None:
    """Refuse one index for two inputs: the record could not tell them apart."""
    order = indices.argsort(stable=True)
    indices, rows = indices[order], rows[order]
    clash = (indices.diff() == 0) & (rows.diff() != 0)
    if clash.any():
        raise Refusal(
            f"the index {int(indices[1:][clash][0])} stands for more than one input: expected a "
            "number of its own for each example, in all splits. Number them anew."
        )


def _wide(answers: Tensor) -> Tensor:
    """Answers kept in 16 bits as float32; others as they are."""
    return answers.float() if answers.element_size() == 2 else answers


def answers(teacher: nn.Module | Signal, split: Split, device: str = "cpu") -> Tensor:
    """The teacher's logits (n, classes) for a split, on the CPU: computed once, then kept.

    Kept under the fingerprints of the teacher's weights and of the inputs, so a teacher that was
    trained on, or inputs that changed, are asked anew.
    """
    if isinstance(teacher, Signal):
        return teacher.look_up(split)
    if not len(split):
        raise Refusal("there are no examples to ask the teacher about.")
    teacher_print = fingerprint(teacher)
    key = (teacher_print, code_of(teacher), input_fingerprint(split.inputs), None)
    if key not in _kept:
        logits = _shipped(teacher_print, split)
        _keep(key, ask(teacher, split.inputs, device) if logits is None else logits)
    return _kept[key]


def weak_labels(teacher: "nn.Module | Signal", data: Data, device: str = "cpu") -> Data:
    """The data set with its unlabelled examples in train, labelled by the teacher's first choice.

    Only the class is kept of what the teacher says: the hard half of distillation, and what is left
    where a teacher gives no probabilities. Labels that people gave stay as they are.

    Raises Refusal where the data set has no transfer examples.
    """
    if not len(data.transfer):
        raise Refusal(
            "weak_labels: this data set has no transfer examples to label: ask for them with "
            "load_data(..., unlabelled=1000)."
        )
    more = replace(data.transfer, labels=answers(teacher, data.transfer, device).argmax(1))
    both = [data.train, more]
    parts = [torch.cat([getattr(part, name) for part in both]) for name in SPLIT_PARTS]
    settings = {**data.settings, "weak_labels": len(more)}
    return replace(data, train=Split(*parts), transfer=data.transfer[:0], settings=settings)


def features(
    teacher: nn.Module | Signal, split: Split, names: Sequence[str], device: str = "cpu"
) -> dict[str, Tensor]:
    """What the teacher's layers of these names give for a split, on the CPU: computed once, kept.

    names: as `kdlab.layers.names(teacher)` shows them. Raises LayerNotFound for others.
    """
    if not names:
        return {}
    if isinstance(teacher, Signal):
        if missing := [name for name in names if name not in teacher.features]:
            raise Refusal(
                f"the record {teacher.name!r} has no features of {', '.join(missing)}; it holds "
                f"{', '.join(teacher.features) or 'logits alone'}. Record them with "
                f"kdlab.record(teacher, split, layers={list(names)})."
            )
        found = teacher.find(split)
        return {name: _wide(teacher.features[name][found]) for name in names}
    common = (fingerprint(teacher), code_of(teacher), input_fingerprint(split.inputs))
    heard = {name: _kept[(*common, name)] for name in names if (*common, name) in _kept}
    if missing := [name for name in names if name not in heard]:
        for name, tensor in read_layers(teacher, split.inputs, missing, device).items():
            _keep((*common, name), tensor)
            heard[name] = tensor
    return heard


def _keep(key: tuple, tensor: Tensor) -> None:
    _kept[key] = tensor
    while sum(kept.nbytes for kept in _kept.values()) > KEPT and len(_kept) > 1:
        _kept.popitem(last=False)


def _shipped(teacher_print: str, split: Split) -> Tensor | None:
    """Answers that ship with kdlab for just these weights, if they cover these very inputs."""
    path = files.folder() / "answers" / f"{teacher_print[:16]}.safetensors"
    if not path.exists():
        return None
    try:
        return _record(path, path.stat().st_mtime_ns).look_up(split)
    except Refusal:
        return None  # other inputs, or a damaged file: the teacher is here and can be asked


@lru_cache(maxsize=2)
def _record(path: Path, changed: int) -> Signal:
    return Signal.load(path)


def ask(model: nn.Module, inputs: Tensor, device: str = "cpu") -> Tensor:
    """A model's logits for inputs, on the CPU: eval mode, no gradients, the model unchanged."""
    with listening(model, device) as there, torch.no_grad():
        if len(inputs) > BATCH // 4:  # a copy is made, which does not pay for a few
            there = models.channels_last(there, inputs[:2])
        maps = any(weight.ndim > 2 for weight in there.parameters())
        parts = inputs.split(BATCH if maps else FLAT_BATCH)
        said = [logits_of(there(part.to(device))).cpu() for part in parts]
    return torch.cat(said)
