"""Whom should the student trust? Noisy labels against teachers of any quality."""

from collections.abc import Sequence

from torch import nn

from kdlab import data as data_sets
from kdlab import models, signals
from kdlab.errors import Refusal
from kdlab.explore.controls import choice, steps
from kdlab.explore.panel import Panel
from kdlab.explore.training import live_panel

NOISES = tuple(round(0.1 * step, 1) for step in range(10))
OWN_DATA = "fashion-mnist"  # what the shipped teacher was trained on


def trust(
    data: object = OWN_DATA,
    *,
    teachers: "dict[str, nn.Module | signals.Signal] | None" = None,
    noise: float = 0.4,
    teacher: str | None = None,
    examples: int | None = 2_000,
    temperature: float = 4,
    alpha: float = 0.5,
    width: int = 32,
    epochs: int = 20,
    seeds: int = 5,
    code: str | None = None,
    hide: Sequence[str] = (),
    lock: Sequence[str] = (),
) -> Panel:
    """Make labels noisy or the teacher poor: whom does a student do well to trust?

    noise: share of the training labels that are drawn at random; both twins of a pair learn from
    the same.  teachers: yours, by name; on Fashion-MNIST they join "early", "middle" and "final",
    three checkpoints of the shipped one.  teacher: the first choice, None for "final" where that is
    offered.  All else as in `training`; `panel.wait()` returns a `Trained`.
    """
    if not isinstance(teachers or {}, dict):
        raise Refusal(
            f"teachers of type {type(teachers).__name__}: expected names and teachers, "
            "{'a name': module}."
        )
    named = data if isinstance(data, str) else data_sets.as_data(data).name
    shipped = models.CHECKPOINTS if named == OWN_DATA else ()
    known = {name: models.load_teacher("fashion-cnn", name) for name in shipped}
    known |= teachers or {}
    if not known:
        raise Refusal(
            f"no teacher for {named}: the shipped ones know {OWN_DATA} only. Give your own as "
            "teachers={'a name': module}."
        )
    first = teacher or (shipped[-1] if shipped else next(iter(known)))
    more = {
        "noise": steps("labels at random", NOISES, noise, lambda share: f"{100 * share:.0f} %"),
        "teacher": choice("teacher", list(known), first),
    }
    return live_panel(
        "trust", "whom should the student trust?", known, data, more, examples=examples,
        temperature=temperature, alpha=alpha, width=width, epochs=epochs, seeds=seeds, code=code,
        hide=hide, lock=lock,
    )  # fmt: skip
