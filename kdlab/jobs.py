"""What a run needs, checked before its first step: settings, device, shapes, answers."""

import inspect
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from kdlab import data as data_sets
from kdlab import losses, models, signals
from kdlab.data import Data, Split
from kdlab.errors import Refusal, number, share, whole
from kdlab.runs import Run, plain
from kdlab.signals import Signal

Loss = Callable[[Tensor, Tensor, Tensor, float, float], Tensor | dict[str, Tensor]]
Teacher = str | nn.Module | Signal

PRECISIONS = ("float32", "float64", "bf16")
NOT_SETTINGS = ("progress", "after_epoch", "stop")  # they change what is seen, not what is trained


@dataclass
class Job:
    """One checked run, not started yet."""

    run: Run
    examples: Split
    answers: Tensor | None  # the teacher's logits, a row an example; None where it is not asked
    live_teacher: nn.Module | None  # asked at each step, under augmentation
    watched: Split
    loss: Loss
    options: dict

    @property
    def student(self) -> nn.Module:
        return self.run.student


def prepare(student, teacher, data, **options) -> Job:
    """Check everything, build the student, ask the teacher."""
    data = data_sets.as_data(data)
    _fits(data)
    options = checked(options)
    device = options["device"]
    shape, classes = tuple(data.train.inputs.shape[1:]), len(data.classes)
    settings = {
        "student": name_of(student),
        "teacher": name_of(teacher) if teacher is not None else None,
        "data": data.name,
        **{f"data_{key}": plain(value) for key, value in data.settings.items()},
        **{key: plain(value) for key, value in options.items() if key not in NOT_SETTINGS},
        "classes": classes,
        "input_shape": list(shape),
        "torch": torch.__version__,
    }
    if isinstance(teacher, str):
        teacher = models.load_teacher(teacher)
    if teacher is not None and not isinstance(teacher, (nn.Module, Signal)):
        raise Refusal(
            f"a teacher of type {type(teacher).__name__}: expected a name, a torch module, or a "
            "recorded Signal. The order is distill(student, teacher, data)."
        )
    net = models.build(student, shape, classes, options["seed"])
    net = net.to(device, torch.float64 if options["precision"] == "float64" else None)
    _try_out(net, "student", settings["student"], data.train, classes, device, options)
    if isinstance(teacher, nn.Module):
        _try_out(teacher, "teacher", settings["teacher"], data.train, classes, device)
    examples = _union(data, _versions(data)) if options["transfer"] else data.train
    answers, live = _teacher_for(teacher, examples, classes, options)
    step = max(1, len(data.validation) // max(1, options["watch"]))
    watched = data.validation[::step][: options["watch"]]
    run = Run(net, settings, data=data, teacher=teacher)
    return Job(run, examples, answers, live, watched, options["loss"] or losses.kd_terms, options)


def checked(options: dict) -> dict:
    """The options with numbers as numbers and a real device, or a refusal."""
    options = dict(options)
    for name, least in (("epochs", 1), ("batch_size", 1), ("seed", 0), ("watch", 0)):
        options[name] = whole(name, options[name], least)
    options["alpha"] = share("alpha", options["alpha"], " (1: labels only, 0: teacher only)")
    temperature = number(options["temperature"])
    if not 0 < temperature < math.inf:
        raise Refusal(
            f"temperature={options['temperature']!r}: expected a number above 0 (1 leaves the "
            "logits as they are, larger is softer)."
        )
    options["temperature"] = temperature
    rate = options["learning_rate"]
    if not callable(rate):
        options["learning_rate"] = number(rate)
        if not 0 <= options["learning_rate"] < math.inf:
            raise Refusal(
                f"learning_rate={rate!r}: expected a number of at least 0, or a function of "
                "progress."
            )
    if options["precision"] not in PRECISIONS:
        raise Refusal(
            f"precision={options['precision']!r}: expected one of {', '.join(PRECISIONS)}."
        )
    if options["loss"] is not None and not callable(options["loss"]):
        raise Refusal(
            "loss: expected a function "
            "(student_logits, teacher_logits, labels, temperature, alpha) -> tensor."
        )
    if options["loss"] is not None and not _takes_five(options["loss"]):
        raise Refusal(
            "the loss cannot be called with five arguments: expected (student_logits, "
            "teacher_logits, labels, temperature, alpha); those you do not need may stay unused."
        )
    options["device"] = pick_device(options["device"])
    return options


def _takes_five(loss: Callable) -> bool:
    """Whether five values can be given; True where Python cannot tell."""
    try:
        inspect.signature(loss).bind(*range(5))
    except TypeError:
        return False
    except ValueError:  # no signature, as some built-in functions
        pass
    return True


def pick_device(device: str | None = None) -> str:
    """The device to train on: the one named, else KDLAB_DEVICE, else CUDA, then MPS, then CPU."""
    device = device or os.environ.get("KDLAB_DEVICE") or None
    if device is None:
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        first_line = str(error).splitlines()[0]
        raise Refusal(
            f"device {str(device)!r} cannot be used here ({first_line}). Leave device=None to take "
            "what this machine has, and unset KDLAB_DEVICE."
        ) from error
    return str(device)


def name_of(thing: object) -> str:
    """What a student or teacher is called in settings and figures."""
    if isinstance(thing, str):
        return thing
    return getattr(thing, "__name__", None) or getattr(thing, "name", type(thing).__name__)


def cast(inputs: Tensor | None, precision: str) -> Tensor | None:
    """Floats in double where asked; whole numbers (tokens) stay."""
    if inputs is not None and precision == "float64" and inputs.is_floating_point():
        return inputs.double()
    return inputs


def _teacher_for(teacher, examples, classes, options) -> tuple[Tensor | None, nn.Module | None]:
    """The teacher's kept answers, or the teacher itself where it must be asked at each step."""
    labels_only = options["loss"] is None and options["alpha"] == 1
    if teacher is None or labels_only:
        return None, None
    if options["augment"] is not None:
        if isinstance(teacher, Signal):
            raise Refusal(
                f"the record {teacher.name!r} cannot be used with augment=: the inputs change at "
                "every step, and a recorded answer belongs to one view of an example. Give the "
                "teacher itself, so that it is asked for the very view that the student sees."
            )
        return None, teacher
    kept = signals.answers(teacher, examples, options["device"])
    if kept.shape[1] != classes:
        raise Refusal(f"the teacher gives {kept.shape[1]} classes, the data set has {classes}.")
    return kept, None


def _fits(data: Data) -> None:
    """Refuse a data set put together by hand whose parts do not fit."""
    for part in ("train", "validation", "test", "transfer"):
        split = getattr(data, part)
        if not len(split.inputs) == len(split.labels) == len(split.indices):
            raise Refusal(
                f"{part} has {len(split.inputs):,} inputs, {len(split.labels):,} labels and "
                f"{len(split.indices):,} indices: expected as many of each."
            )
        wrong = (split.labels >= len(data.classes)) | (split.labels < 0)
        wrong &= split.labels != data_sets.NO_LABEL
        if wrong.any():
            raise Refusal(
                f"a label of {part} is {int(split.labels[wrong][0])}: expected labels from 0 to "
                f"{len(data.classes) - 1}, one for each of the {len(data.classes)} classes."
            )
    if not len(data.train) or not len(data.validation):
        raise Refusal("train or validation is empty: expected at least one example of each.")


def _versions(data: Data) -> tuple[int, ...]:
    """Changes when a tensor of train or transfer is changed in place."""
    parts = (data.train, data.transfer)
    return tuple(t._version for part in parts for t in (part.inputs, part.labels))


@lru_cache(maxsize=1)  # the seeds of a sweep share it
def _union(data: Data, versions: tuple[int, ...]) -> Split:
    if not len(data.transfer):
        raise Refusal(
            "transfer=True, but this data set has no transfer examples: ask for them with "
            "load_data(..., unlabelled=1000)."
        )
    parts = (data.train, data.transfer)
    return Split(
        torch.cat([part.inputs for part in parts]),
        torch.cat([part.labels for part in parts]),
        torch.cat([part.indices for part in parts]),
    )


def _try_out(model, role, name, split, classes, device, options=None) -> None:
    """Two examples through a model, so that a shape that does not fit is said before training."""
    inputs = cast(split.inputs[:2], options["precision"]) if options else split.inputs[:2]
    try:
        logits = signals.ask(model, inputs, device)
    except Refusal as error:
        raise Refusal(f"the {role} {name}: {error}") from error
    except Exception as error:
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        raise Refusal(
            f"the {role} {name} cannot take inputs of shape {tuple(split.inputs.shape[1:])} and "
            f"type {split.inputs.dtype}: {first_line}"
        ) from error
    if logits.shape != (len(inputs), classes):
        raise Refusal(
            f"the {role} {name} gives outputs of shape {tuple(logits.shape)} for {len(inputs)} "
            f"examples: expected ({len(inputs)}, {classes}), one logit for each of the data set's "
            f"{classes} classes."
        )
