"""Students built and shipped teachers loaded by name; and how any model is asked."""

import contextlib
import copy
import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_weights
from torch import Tensor, nn

from kdlab import files, nets, seeds
from kdlab.errors import CorruptFile, Refusal, unknown

Student = str | nn.Module | Callable[[], nn.Module]


CHECKPOINTS = ("early", "middle", "final")
TEACHERS = {  # and the checkpoints of its training that ship
    "fashion-cnn": CHECKPOINTS,
    "fashion-vgg": ("final",),
    "fashion-inception": ("final",),
}


def build(student: Student, shape: tuple[int, ...], classes: int, seed: int = 0) -> nn.Module:
    """A new student, its weights fixed by `seed`.

    student: a name ("mlp-32", "cnn-small"), a function that makes a module, or a module. A module
        is copied as it stands: its weights are the start for every seed.
    shape: of one input, without the batch.  classes: number of outputs of a net made by name.
    """
    if isinstance(student, nn.Module):
        return copy.deepcopy(student)
    make = _maker(student, shape, classes) if isinstance(student, str) else student
    if not callable(make):
        raise Refusal(
            f"a student of type {type(student).__name__}: expected a name, a torch module, or a "
            "function that makes one."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.stream(seed, "weights"))
        made = make()
    if not isinstance(made, nn.Module):
        raise Refusal(f"the student function gave a {type(made).__name__}: expected a module.")
    if isinstance(student, str):
        made._input_shape = tuple(shape)  # so that `layers.names` can show a net without inputs
    return made


def _maker(name: str, shape: tuple[int, ...], classes: int) -> Callable[[], nn.Module]:
    width = re.fullmatch(r"mlp-([1-9]\d*)", name)
    if width:
        return lambda: nets.mlp(shape, classes, int(width[1]))
    if name not in nets.NETS:
        asked = re.fullmatch(r"mlp\W?_?(\d*)", name.lower())
        example = f"mlp-{int(asked[1]) if asked and int(asked[1] or 0) else 32}"
        raise unknown("model", name, [example, *nets.NETS], also="mlp-N is known for any width N.")
    return lambda: nets.NETS[name](shape, classes)


def name_of(thing: object) -> str:
    """What a student, teacher or function is called in settings and figures."""
    if isinstance(thing, str):
        return thing
    if isinstance(thing, functools.partial):
        return name_of(thing.func)
    return getattr(thing, "__name__", None) or getattr(thing, "name", type(thing).__name__)


def load_teacher(name: str, checkpoint: str = "final") -> nn.Module:
    """A shipped teacher in eval mode, its file checked against its card.

    name: "fashion-cnn", "fashion-vgg" or "fashion-inception".
    checkpoint: "final"; of "fashion-cnn" also "early" and "middle" of the same training.
    Raises UnknownName for names, CorruptFile (with both hashes) for a damaged file.
    """
    if name not in TEACHERS:
        raise unknown("teacher", name, TEACHERS)
    if checkpoint not in TEACHERS[name]:
        raise unknown("checkpoint", checkpoint, TEACHERS[name])
    teacher = build(name, (1, 28, 28), 10)
    card = teacher_card(name)
    file = f"{name}-{checkpoint}.safetensors"
    teacher.load_state_dict(read_tensors(card_folder() / file, card["files"][file]["sha256"]))
    return teacher.eval()


def card_folder():
    """Where the shipped teachers lie."""
    return files.folder() / "teachers"


def teacher_card(name: str) -> dict:
    """How a shipped teacher was trained, what it scores, and the SHA-256 of its files."""
    path = card_folder() / f"{name}.json"
    if not path.exists():
        raise Refusal(
            f"{path} is missing. Set KDLAB_DATA to the data folder of the kdlab repository, "
            "or bring it back with: git checkout -- data/teachers"
        )
    return files.read_json(path)


def read_tensors(path, expected_sha256: str | None = None) -> dict[str, Tensor]:
    """The tensors of a safetensors file; a damaged file is refused by name."""
    if not path.exists():
        raise Refusal(
            f"{path} is missing. What ships with kdlab comes back with: git checkout -- data"
        )
    content = path.read_bytes()
    if expected_sha256:
        files.check_hash(path, content, expected_sha256)
    try:
        return read_weights(content)
    except SafetensorError as error:
        raise CorruptFile(f"{path} is damaged and cannot be read: {error}") from error


@contextlib.contextmanager
def listening(model: nn.Module, device: str) -> Iterator[nn.Module]:
    """The model in eval mode on `device`; its own modes and place are as before afterwards."""
    held = [tensor for tensor in model.state_dict().values() if isinstance(tensor, Tensor)]
    if any(tensor.device.type != torch.device(device).type for tensor in held):
        yield copy.deepcopy(model).to(device).eval()
        return
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield model
    finally:
        for module, training in modes:
            module.training = training


def channels_last(model: nn.Module, inputs: Tensor) -> nn.Module:
    """A copy of a convolutional model that is two to four times as quick on the CPU, or the model.

    There convolutions and pools work best with the channels last in memory; the values are the same
    up to rounding. Weights that are not maps are shared with the model. A model that cannot have it
    so (it calls `.view` on a map), that someone listens to by hooks, or that is not float32 on the
    CPU, is given back as it is.

    inputs: a few examples to try it on.
    """
    held = [*model.parameters(), *model.buffers()]
    plain = all(weight.device.type == "cpu" for weight in held) and all(
        weight.dtype == torch.float32 for weight in held if weight.is_floating_point()
    )
    if not plain or inputs.ndim != 4 or all(weight.ndim != 4 for weight in held):
        return model
    if any(part._forward_hooks or part._forward_pre_hooks for part in model.modules()):
        return model
    try:
        copied = copy.deepcopy(model, {id(weight): weight for weight in held if weight.ndim != 4})
        copied = copied.to(memory_format=torch.channels_last)
        with listening(copied, "cpu"), torch.random.fork_rng(devices=[]), torch.no_grad():
            copied(inputs)
    except Exception:  # whatever it cannot do, it can do as it was
        return model
    return copied


def logits_of(output: object) -> Tensor:
    """The logits in what a model gave: a tensor, a mapping's "logits", or a tuple's first item."""
    return tensor_in(output, "a model", ("logits",))


def tensor_in(output: object, who: str, keys: Sequence[str]) -> Tensor:
    """The tensor in what a module gave: itself, a tuple's first item, or a mapping's first key."""
    found = output
    if isinstance(output, Mapping):
        found = next((output[key] for key in keys if key in output), None)
    elif isinstance(output, (tuple, list)) and output:
        found = output[0]
    if isinstance(found, Tensor):
        return found
    held = f" with {sorted(map(str, output))}" if isinstance(output, Mapping) else ""
    wanted = " or ".join(f'"{key}"' for key in keys)
    raise Refusal(
        f"{who} gave a {type(output).__name__}{held}: expected a tensor, a tuple whose first item "
        f"is one, or a mapping that holds {wanted}."
    )
