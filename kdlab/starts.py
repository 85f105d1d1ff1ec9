"""Where a student may start from: weights of the teacher, or its whole body under a new head."""

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kdlab import layers, seeds
from kdlab.errors import Refusal, number, whole

TEACHER = "teacher"  # every layer of the same name and shapes
Start = str | Sequence[str] | Mapping[str, str] | None  # what init_from= may be


def copy_weights(student: nn.Module, teacher: object, init_from: Start) -> dict[str, str]:
    """Copy weights of the teacher into the student; gives student layer -> teacher layer.

    init_from: "teacher" for every layer whose name and shapes the teacher has too; a list of such
        names; or a mapping {student layer: teacher layer}, for names that differ.

    Raises Refusal where nothing fits, or where a layer asked for does not.
    """
    if not isinstance(teacher, nn.Module):
        raise Refusal("init_from= needs a teacher that is a module: a record holds no weights.")
    if init_from == TEACHER:
        of_teacher = dict(teacher.named_modules())
        pairs = {
            name: name
            for name, layer in student.named_modules()
            if any(True for _ in layer.parameters(recurse=False))
            and name in of_teacher
            and _shapes(layer) == _shapes(of_teacher[name])
        }
        if not pairs:
            raise Refusal(
                'init_from="teacher": no layer of the student has the name and the shapes of one '
                f"of the teacher's. The student's: {_listed(student)}. The teacher's: "
                f"{_listed(teacher)}. Say which belong together: init_from={{student layer: "
                "teacher layer}."
            )
    elif isinstance(init_from, Mapping):
        pairs = dict(init_from)
    elif isinstance(init_from, (list, tuple)) and init_from:
        pairs = {name: name for name in init_from}
    else:
        raise Refusal(
            f'init_from={init_from!r}: expected "teacher", a list of layer names, or a mapping '
            "{student layer: teacher layer}."
        )
    for own, other in pairs.items():
        into = layers.find(student, own, "student", "init_from")
        out_of = layers.find(teacher, other, "teacher", "init_from")
        if _shapes(into) != _shapes(out_of):
            raise Refusal(
                f'init_from: the student\'s "{own}" holds {_told(into)}, the teacher\'s "{other}" '
                f"{_told(out_of)}: only equal shapes can be copied."
            )
        into.load_state_dict(out_of.state_dict())
    return pairs


@dataclass(frozen=True)
class StayNear:
    """An optimizer for `train` and `distill`: Adam, and every weight is drawn back to its start.

    w ← w − learning rate · pull · (w − w_start), after each step of Adam

    pull: 0 or more; at 0 it is Adam, at 1 / learning rate no weight moves.

    With init_from="teacher" the student stays close to the teacher. Layers that were not copied are
    drawn back to their random start; each of several stages starts where the one before ended.
    (L2-SP: Li, Grandvalet & Davoine 2018; apart from the gradient as in AdamW: Loshchilov & Hutter
    2019.)
    """

    pull: float

    def __post_init__(self):
        if not 0 <= number(self.pull) < math.inf:
            raise Refusal(f"pull={self.pull!r}: expected a number, 0 or more.")

    @property
    def name(self) -> str:
        """What a table calls it, so that an axis of several pulls can be read."""
        return f"StayNear({self.pull:g})"

    def __call__(self, parameters: Iterable[Tensor], lr: float) -> torch.optim.Optimizer:
        """parameters: of the student.  lr: learning rate, which a schedule may change later."""
        optimizer = torch.optim.Adam(parameters, lr=lr)
        starts = [
            (group, weight, weight.detach().clone())
            for group in optimizer.param_groups
            for weight in group["params"]
        ]

        def draw_back(*_: object) -> None:
            with torch.no_grad():
                for group, weight, start in starts:
                    weight.lerp_(start, min(1.0, group["lr"] * self.pull))

        optimizer.register_step_post_hook(draw_back)
        return optimizer


def new_head(teacher: nn.Module, classes: int, seed: int = 0) -> nn.Module:
    """Transfer learning: a copy of the teacher, frozen but for its last linear layer, made anew.

    classes: of the new task.  seed: of the new layer's weights.

    The body stays in eval mode also while the head is trained, so that its batch norm does not
    drift. It saves labels and training time; the model stays as large as the teacher.
    (Yosinski, Clune, Bengio & Lipson 2014.)
    """
    return _UnderNewHead(teacher, whole("classes", classes, 2), whole("seed", seed, 0))


class _UnderNewHead(nn.Module):
    def __init__(self, teacher: nn.Module, classes: int, seed: int):
        super().__init__()
        linear = [name for name, part in teacher.named_modules() if isinstance(part, nn.Linear)]
        if not linear or not linear[-1]:
            raise Refusal("new_head: this teacher has no linear layer over a body.")
        self.net, self.head_name = copy.deepcopy(teacher).requires_grad_(False), linear[-1]
        parent, _, child = self.head_name.rpartition(".")
        old = self.net.get_submodule(self.head_name)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds.stream(seed, "weights"))
            head = nn.Linear(old.in_features, classes).to(old.weight)
        setattr(self.net.get_submodule(parent), child, head)
        self.train()  # a teacher may come in any mode: its body is at rest from here on

    def train(self, mode: bool = True) -> nn.Module:
        """Only the head ever trains."""
        super().train(False)
        self.training = mode
        self.net.get_submodule(self.head_name).train(mode)
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        return self.net(inputs)


def _shapes(layer: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in layer.state_dict().items()}


def _told(layer: nn.Module) -> str:
    return ", ".join(f"{name} {tuple(shape)}" for name, shape in _shapes(layer).items())


def _listed(model: nn.Module, most: int = 8) -> str:
    """A model's layers with weights and their shapes; the first few of many."""
    held = [
        f"{name} {tuple(layer.weight.shape)}"
        for name, layer in model.named_modules()
        if isinstance(getattr(layer, "weight", None), Tensor)
    ]
    return ", ".join(held[:most]) + (f" and {len(held) - most} more" if len(held) > most else "")
