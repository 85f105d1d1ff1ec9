"""What a run needs, checked before its first step: settings, device, shapes, answers."""

import inspect
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor, nn

from kdlab import data as data_sets
from kdlab import layers, matches, models, seeds, signals, starts, teachers
from kdlab.data import Data, Split
from kdlab.errors import Refusal, number, share, whole
from kdlab.matches import Link, Match
from kdlab.models import name_of
from kdlab.runs import Run, plain
from kdlab.schedules import value_at
from kdlab.signals import Signal

Loss = Callable[[Tensor, Tensor, Tensor, float, float], Tensor | dict[str, Tensor]]
Teacher = str | nn.Module | Signal

PRECISIONS = ("float32", "float64", "bf16")
NOT_SETTINGS = ("progress", "after_epoch", "stop")  # they change what is seen, not what is trained
OF_A_STAGE = ("epochs", "temperature", "alpha", "loss", "match", "learning_rate")
MATCH_ONLY = "match only"  # as a loss: no term of logits
TRIED = 8  # examples that a match is tried out on


@dataclass
class Job:
    """One checked run, not started yet."""

    run: Run
    examples: Split
    answers: Tensor | None  # the teacher's logits, a row an example; None where it is not asked
    live_teacher: nn.Module | None  # asked at each step, under augmentation
    watched: Split
    options: dict  # options["stages"] holds those of each stage, one after another
    links: dict[Match, Link] = field(default_factory=dict)
    features: dict[str, Tensor] = field(default_factory=dict)  # of the teacher's matched layers
    validation_logits: Tensor | None = None  # of the trained student, where it was asked already

    @property
    def student(self) -> nn.Module:
        return self.run.student

    @property
    def said(self) -> list[str]:
        """What is worth a word before training: weights copied in, and those of projectors."""
        copied = self.run.settings.get("copied") or []
        made = [link.said for link in self.links.values() if link.projector is not None]
        return [f"weights copied from the teacher: {', '.join(copied)}"] * bool(copied) + made


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
        "stages": _told(options["stages"]),
        "classes": classes,
        "input_shape": list(shape),
        "torch": torch.__version__,
    }
    if isinstance(teacher, str):
        teacher = teachers.load_teacher(teacher)
    if teacher is not None and not isinstance(teacher, (nn.Module, Signal)):
        raise Refusal(
            f"a teacher of type {type(teacher).__name__}: expected a name, a torch module, or a "
            "recorded Signal. The order is distill(student, teacher, data)."
        )
    net = models.build(student, shape, classes, options["seed"])
    if options["init_from"] is not None:
        copied = starts.copy_weights(net, teacher, options["init_from"])
        settings["copied"] = [a if a == b else f"{a} from {b}" for a, b in copied.items()]
    net = net.to(device, torch.float64 if options["precision"] == "float64" else None)
    try_out(net, "student", settings["student"], data.train, classes, device, options)
    if isinstance(teacher, nn.Module):
        try_out(teacher, "teacher", settings["teacher"], data.train, classes, device)
    examples = _union(data, _versions(data)) if options["transfer"] else data.train
    links = _links(net, teacher, examples, options)
    settings["match"] = [made.said for made in links.values()]
    answers, features, live = _teacher_for(teacher, examples, classes, options, links)
    step = max(1, len(data.validation) // max(1, options["watch"]))
    watched = data.validation[::step][: options["watch"]]
    run = Run(net, settings, data=data, teacher=teacher)
    run.projectors = {made.name: made.projector for made in links.values() if made.projector}
    return Job(run, examples, answers, live, watched, options, links, features)


def checked(options: dict) -> dict:
    """The options with numbers as numbers and a real device, or a refusal.

    options["stages"] becomes the list of every stage's own options: one stage, where none is named.
    """
    options = dict(options)
    for name, least in (("batch_size", 1), ("seed", 0), ("watch", 0)):
        options[name] = whole(name, options[name], least)
    if options["precision"] not in PRECISIONS:
        raise Refusal(
            f"precision={options['precision']!r}: expected one of {', '.join(PRECISIONS)}."
        )
    options["device"] = pick_device(options["device"])
    stages = options["stages"]
    if stages is None:
        options = _checked_stage(options)
        return {**options, "stages": [options]}
    if not isinstance(stages, (list, tuple)) or not stages:
        raise Refusal(f"stages={stages!r}: expected a list of dicts, one for each stage.")
    for stage in stages:
        strange = [name for name in stage if name not in OF_A_STAGE]
        if strange:
            raise Refusal(
                f"a stage cannot change {', '.join(strange)}: expected one of "
                f"{', '.join(OF_A_STAGE)}."
            )
    for name in ("loss", "match"):
        if options[name] and all(name in stage for stage in stages):
            raise Refusal(
                f"{name}= is given, but each stage has its own, so it would never be used. "
                "Take it out, here or there."
            )
    parts = [_checked_stage({**options, **stage}) for stage in stages]
    return {**parts[-1], "epochs": sum(part["epochs"] for part in parts), "stages": parts}


def _checked_stage(options: dict) -> dict:
    options = dict(options)
    options["epochs"] = whole("epochs", options["epochs"], 1)
    for name, check in (("alpha", _alpha), ("temperature", _temperature)):
        if not callable(options[name]):
            options[name] = check(options[name])
            continue
        for step in range(101):  # a function of progress is tried out before the first step
            try:
                check(value_at(options[name], step / 100))
            except (TypeError, ValueError) as error:
                raise Refusal(
                    f"{name} is a function of progress; at progress {step / 100:g}: {error}"
                ) from error
    rate = options["learning_rate"]
    if not callable(rate):
        options["learning_rate"] = number(rate)
        if not 0 <= options["learning_rate"] < math.inf:
            raise Refusal(
                f"learning_rate={rate!r}: expected a number of at least 0, or a function of "
                "progress."
            )
    loss, match = options["loss"], options["match"]
    if loss is not None and loss != MATCH_ONLY and not callable(loss):
        raise Refusal(
            "loss: expected a function "
            "(student_logits, teacher_logits, labels, temperature, alpha) -> tensor, or "
            f'"{MATCH_ONLY}".'
        )
    if callable(loss) and not _takes_five(loss):
        raise Refusal(
            "the loss cannot be called with five arguments: expected (student_logits, "
            "teacher_logits, labels, temperature, alpha); those you do not need may stay unused."
        )
    match = [match] if isinstance(match, Match) else list(match or ())
    for one in match:
        if not isinstance(one, Match):
            raise Refusal(
                f"match holds a {type(one).__name__}: expected "
                "kdlab.Match(student_layer, teacher_layer, loss=...)."
            )
    names = [one.name for one in match]
    if twice := {name for name in names if names.count(name) > 1}:
        raise Refusal(f"two matches are called {min(twice)!r}: the history could not tell them.")
    if loss == MATCH_ONLY and not match:
        raise Refusal(f'loss="{MATCH_ONLY}" without a match leaves nothing to learn from.')
    options["match"] = match
    return options


def _told(stages: list[dict]) -> list[dict] | None:
    """What each stage's options are, as JSON can hold it; None for a run of one stage."""
    if len(stages) == 1:
        return None
    return [
        {name: plain(part[name]) for name in OF_A_STAGE if name != "match"}
        | {"match": [match.name for match in part["match"]]}
        for part in stages
    ]


def _alpha(value: object) -> float:
    return share("alpha", value, " (1: labels only, 0: teacher only)")


def _temperature(value: object) -> float:
    if not 0 < number(value) < math.inf:
        raise Refusal(
            f"temperature={value!r}: expected a number above 0 (1 leaves the logits as they are, "
            "larger is softer)."
        )
    return number(value)


def numbers_at(stage: dict, progress: float) -> tuple[float, float]:
    """Temperature and alpha at this progress of a stage."""
    return tuple(
        check(value_at(stage[name], progress)) if callable(stage[name]) else stage[name]
        for name, check in (("temperature", _temperature), ("alpha", _alpha))
    )


def needs_answers(stage: dict) -> bool:
    """Whether a stage's terms look at the teacher's logits."""
    if stage["loss"] is None:
        return callable(stage["alpha"]) or stage["alpha"] < 1
    return stage["loss"] != MATCH_ONLY


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


def cast(inputs: Tensor | None, precision: str) -> Tensor | None:
    """Floats in double where asked; whole numbers (tokens) stay."""
    if inputs is not None and precision == "float64" and inputs.is_floating_point():
        return inputs.double()
    return inputs


def _links(net: nn.Module, teacher, examples: Split, options: dict) -> dict[Match, Link]:
    """Every match of every stage, each with its projector, tried out on a few examples."""
    wanted = list(dict.fromkeys(match for part in options["stages"] for match in part["match"]))
    if not wanted:
        return {}
    if teacher is None:
        raise Refusal("match= needs a teacher, whose layers the student's are compared with.")
    few, device, made = examples[:TRIED], options["device"], {}
    for match in wanted:
        asking = f"the match {match.name}"
        layers.find(net, match.student_layer, "student", asking)
        if isinstance(teacher, nn.Module):
            layers.find(teacher, match.teacher_layer, "teacher", asking)
    of_teacher = signals.features(teacher, few, [match.teacher_layer for match in wanted], device)
    names = [match.student_layer for match in wanted]
    with models.listening(net, device) as there, layers.tap(there, *names) as seen:
        there(cast(few.inputs, options["precision"]).to(device))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds.stream(options["seed"], "projector"))
            for match in wanted:
                said = cast(of_teacher[match.teacher_layer], options["precision"]).to(device)
                made[match] = matches.link(match, seen[match.student_layer], said)
    return made


def _teacher_for(
    teacher, examples: Split, classes: int, options: dict, links: dict[Match, Link]
) -> tuple[Tensor | None, dict[str, Tensor], nn.Module | None]:
    """The teacher's kept logits and features; or the teacher itself where it is asked at each step.

    It is where the inputs change from step to step, or where its features fill the memory.
    """
    asked = any(needs_answers(stage) for stage in options["stages"])
    if not asked and not links:
        return None, {}, None
    if teacher is None:
        raise Refusal("there is no teacher to learn from: only alpha=1, labels only, needs none.")
    device = options["device"]
    if options["augment"] is not None:
        if isinstance(teacher, Signal):
            raise Refusal(
                f"the record {teacher.name!r} cannot be used with augment=: the inputs change at "
                "every step, and a recorded answer belongs to one view of an example. Give the "
                "teacher itself, so that it is asked for the very view that the student sees."
            )
        return None, {}, teacher
    names = list(dict.fromkeys(match.teacher_layer for match in links))
    if isinstance(teacher, nn.Module) and names:
        few = signals.features(teacher, examples[:TRIED], names, device)
        bytes_each = sum(tensor[0].nbytes for tensor in few.values())
        if bytes_each * len(examples) > signals.KEPT:
            return None, {}, teacher
    features = signals.features(teacher, examples, names, device)
    if not asked:
        return None, features, None
    kept = signals.answers(teacher, examples, device)
    if kept.shape[1] != classes:
        raise Refusal(f"the teacher gives {kept.shape[1]} classes, the data set has {classes}.")
    return kept, features, None


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


def try_out(model, role, name, split, classes, device, options=None) -> None:
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
