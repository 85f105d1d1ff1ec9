"""Which teachers are in? A student of several teachers at once, trained while you look."""

import dataclasses
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import nn

from kdlab import committees, models, signals
from kdlab import data as data_sets
from kdlab.data import Data, Split
from kdlab.errors import Refusal
from kdlab.explore.controls import choice
from kdlab.explore.curves import Curves
from kdlab.explore.pairs import Trained, drawing, train_pairs
from kdlab.explore.panel import Panel
from kdlab.explore.training import pair_controls
from kdlab.explore.trust import OWN_DATA
from kdlab.plots.picture import Picture
from kdlab.runs import Run

SHIPPED = {  # the control's word: the teacher and its checkpoint
    "fashion-cnn": ("fashion-cnn", "final"),
    "fashion-cnn early": ("fashion-cnn", "early"),
    "fashion-vgg": ("fashion-vgg", "final"),
    "fashion-inception": ("fashion-inception", "final"),
}
HOW = {
    "mean": "mean of their logits",
    "probabilities": "mean of their probabilities",
    "best": "the best one for each picture",
}


def committee(
    data: object = OWN_DATA,
    *,
    teachers: "dict[str, nn.Module | signals.Signal] | None" = None,
    members: "Sequence[str] | None" = None,
    how: str = "mean",
    examples: int | None = 1_000,
    temperature: float = 1,
    alpha: float = 0.1,
    width: int = 32,
    epochs: int = 30,
    seeds: int = 5,
    code: str | None = None,
    hide: Sequence[str] = (),
    lock: Sequence[str] = (),
) -> Panel:
    """Take teachers in or leave them out: students are trained on what those who are in say.

    teachers: yours, by name; on Fashion-MNIST they join "fashion-cnn" (and its "early" checkpoint),
        "fashion-vgg" and "fashion-inception". Each has a control of its own, named as it is, with
        "_" for each character that a name in Python cannot have.
    members: the teachers that are in at first; None for the first one alone.
    how: how they speak together, see `kdlab.combine`. With no teacher in, labels alone are heard.
    All else as in `training`; `panel.wait()` returns a `Trained`.
    """
    known = _known(data, teachers)
    first = list(known)[:1] if members is None else list(members)
    if strange := [name for name in first if name not in known]:
        raise Refusal(f"members={first}: {strange[0]!r} is none of {', '.join(known)}.")
    draw, sizes = drawing(data)
    common = pair_controls(
        sizes, examples=examples, temperature=temperature, alpha=alpha, width=width,
        epochs=epochs, seeds=seeds,
    )  # fmt: skip
    named = {re.sub(r"\W", "_", name): name for name in known}
    own = {
        control: choice(name, ["in", "out"], "in" if name in first else "out")
        for control, name in named.items()
    }
    more = {"how": choice("they say the", list(HOW), how, HOW.get)}
    if len(own) < len(known) or set(own) & {*common, *more}:
        raise Refusal(
            f"teachers called {', '.join(known)}: expected names that differ in letters and "
            f"digits, and none of {', '.join([*common, *more])}."
        )
    kept: OrderedDict[tuple, Run] = OrderedDict()
    picture = Picture("which teachers are in?", size=(9.2, 4.9))
    curves = Curves(picture, lines=2)

    @lru_cache(maxsize=2)
    def everything(examples: int, seeds: int) -> Data:
        return together([draw(examples, seed) for seed in range(seeds)])

    def compute(stop: Callable, progress: Callable, how: str, **chosen) -> Trained:
        inside = [name for control, name in named.items() if chosen.pop(control) == "in"]
        asked = {name: known[name] for name in inside} or known
        said = committees.combine(asked, everything(chosen["examples"], chosen["seeds"]), how)
        if not inside:
            chosen["alpha"] = 1.0  # nobody is in: both twins hear the labels alone
        called = " + ".join(inside) or "nobody"
        if len(inside) > 1:
            called += f", {HOW[how]}"
        return train_pairs(said, draw, kept, stop, progress, teacher=called, **chosen)

    return Panel(
        "which teachers are in?", {**own, **more, **common}, compute, curves.update, picture,
        name="committee", slow=True, code=code, hide=hide, lock=lock,
    )  # fmt: skip


def _known(data: object, teachers: object) -> dict[str, nn.Module | signals.Signal]:
    """The shipped teachers, where they know the data set, and those that were given."""
    if not isinstance(teachers or {}, dict):
        raise Refusal(
            f"teachers of type {type(teachers).__name__}: expected names and teachers, "
            "{'a name': module}."
        )
    named = data if isinstance(data, str) else data_sets.as_data(data).name
    known = {}
    if named == OWN_DATA:
        known = {word: models.load_teacher(*which) for word, which in SHIPPED.items()}
    known |= teachers or {}
    if not known:
        raise Refusal(
            f"no teacher for {named}: the shipped ones know {OWN_DATA} only. Give your own as "
            "teachers={'a name': module}."
        )
    return committees.by_name(known)


def together(draws: Sequence[Data]) -> Data:
    """The training examples of several draws, each once, and one validation split; no test."""
    parts = {
        name: torch.cat([getattr(data.train, name) for data in draws])
        for name in ("inputs", "labels", "indices")
    }
    order = parts["indices"].argsort(stable=True)
    first = torch.ones(len(order), dtype=torch.bool)
    first[1:] = parts["indices"][order].diff() != 0
    train = Split(**{name: tensor[order[first]] for name, tensor in parts.items()})
    return dataclasses.replace(draws[0], train=train, test=draws[0].test[:0])
