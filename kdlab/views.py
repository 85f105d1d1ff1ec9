"""Other views of the same examples: noisy, blurred, pale or smaller pictures, fewer classes.

A view changes what is seen and keeps what it is: `changed` gives every split another view under the
same indices and labels, so that `kdlab.across` can join a teacher's answers about one view to the
other. Pictures are (n, channels, height, width), floats in whatever unit the data set has.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from kdlab import seeds
from kdlab.data import Data, class_numbers
from kdlab.errors import Refusal, number, whole
from kdlab.fingerprints import row_fingerprints
from kdlab.models import name_of

SPLITS = ("train", "validation", "test", "transfer")


# ---------------------------------------------------------------- on pictures


def noise(inputs: Tensor, strength: float, seed: int = 0) -> Tensor:
    """The pictures with normal noise on each pixel: x + strength · ε.

    inputs: (n, c, h, w).  strength: the noise's standard deviation, 0 or more, in the inputs' own
        unit (Fashion-MNIST: 1 is one standard deviation of a pixel).
    seed: another seed, other noise. A picture's noise comes from the seed and its own pixels, so it
        is the same in every draw and at every place; torch's random state is left alone.

    (Hendrycks & Dietterich 2019, "Benchmarking Neural Network Robustness", has such corruptions.)
    """
    _pictures("noise", inputs)
    strength = _at_least_0("strength", strength)
    seed, drawn = whole("seed", seed, 0), torch.empty_like(inputs, device="cpu")
    for row, known in enumerate(row_fingerprints(inputs).tolist()):
        drawn[row].normal_(generator=seeds.generator(seed, f"noise {known}"))
    return inputs + strength * drawn.to(inputs.device)


def blur(inputs: Tensor, radius: float) -> Tensor:
    """The pictures under a Gaussian blur; beyond the edge the edge's pixels go on.

    inputs: (n, c, h, w).  radius: the standard deviation in pixels, 0 or more (0 changes nothing).
    """
    _pictures("blur", inputs)
    if _at_least_0("radius", radius) == 0:
        return inputs.clone()
    height, width = (_smoother(size, radius).to(inputs) for size in inputs.shape[2:])
    return height @ inputs @ width.T


def _smoother(size: int, radius: float) -> Tensor:
    """Row i holds the weights with which the old pixels make the new pixel i, along one side."""
    steps = torch.arange(-math.ceil(3 * radius), math.ceil(3 * radius) + 1)
    weights = (-(steps**2) / (2 * radius**2)).exp()
    places = (torch.arange(size)[:, None] + steps).clamp(0, size - 1)
    weights = (weights / weights.sum()).expand(size, -1)
    return torch.zeros(size, size).scatter_add_(1, places, weights)


def contrast(inputs: Tensor, share: float) -> Tensor:
    """The pictures with a share of their contrast: mean + share · (x − mean), a mean a picture.

    inputs: (n, c, h, w).  share: 0 (one grey) or more; 1 changes nothing.
    """
    _pictures("contrast", inputs)
    grey = inputs.mean(dim=(1, 2, 3), keepdim=True)
    return grey + _at_least_0("share", share) * (inputs - grey)


def resize(inputs: Tensor, side: int) -> Tensor:
    """The pictures at another size, `side` pixels high and wide, smoothed where they shrink.

    inputs: (n, c, h, w).  Gives (n, c, side, side): bilinear, each new pixel a weighted mean of all
    old ones that it covers.
    """
    _pictures("resize", inputs)
    side = whole("side", side, 1)
    return F.interpolate(inputs, size=(side, side), mode="bilinear", antialias=True)


def _pictures(view: str, inputs: Tensor) -> None:
    if inputs.ndim != 4 or not inputs.is_floating_point():
        raise Refusal(
            f"{view} is for pictures (n, channels, height, width) of floats: these inputs have "
            f"shape {tuple(inputs.shape)} and type {inputs.dtype}."
        )


def _at_least_0(name: str, value: float) -> float:
    if not 0 <= number(value) < math.inf:
        raise Refusal(f"{name}={value!r}: expected a number of at least 0.")
    return number(value)


# ---------------------------------------------------------------- on data sets


def changed(data: Data, view: Callable[[Tensor], Tensor], name: str | None = None) -> Data:
    """The same data set seen another way: view(inputs) in every split, all else as it was.

    view: a function of inputs (n, ...) that gives as many rows in the same order, such as
        `lambda inputs: kdlab.views.blur(inputs, 1.5)`.
    name: what the view is called in the data set's name and in settings["view"]; None takes the
        function's own name.

    Indices and labels stay, so that runs on both are paired, and `kdlab.across` finds the twins.
    Raises Refusal where the view gives something else than as many rows of finite numbers.
    """
    name = name or name_of(view).replace("<lambda>", "another view")
    few = _seen(view, data.train.inputs[:2], name)
    parts = {}
    for split in SPLITS:
        part = getattr(data, split)  # an empty split's inputs must have the view's shape too
        inputs = _seen(view, part.inputs, name) if len(part) else few[:0]
        parts[split] = replace(part, inputs=inputs)
    settings = {**data.settings, "view": _after(data, name)}
    return replace(data, name=f"{data.name}, {name}", settings=settings, **parts)


def _seen(view: Callable, inputs: Tensor, name: str) -> Tensor:
    seen = view(inputs)
    if not isinstance(seen, Tensor) or not seen.ndim or len(seen) != len(inputs):
        shape = f"shape {tuple(seen.shape)}" if isinstance(seen, Tensor) else type(seen).__name__
        raise Refusal(
            f"the view {name!r} gave {shape} for inputs of shape {tuple(inputs.shape)}: expected a "
            f"tensor of {len(inputs):,} rows, the same examples in the same order."
        )
    if not torch.isfinite(seen).all():
        raise Refusal(f"the view {name!r} gave NaN or infinity: expected finite numbers.")
    return seen


def _after(data: Data, name: str) -> str:
    before = data.settings.get("view")
    return f"{before}, {name}" if before else name


def only(data: Data, classes: "str | int | Sequence[str | int]") -> Data:
    """The examples of these classes alone: a task of fewer classes.

    classes: two or more names or numbers; labels are numbered anew in the order given.

    The transfer set stays whole: nobody labelled it, so nobody can choose from it, and it now holds
    examples of classes that the task does not have. Raises UnknownName for a class that the data
    set does not have, Refusal for fewer than two, one named twice, or one without examples.
    """
    numbers = class_numbers(classes, data.classes)
    if len(numbers) < 2 or len(set(numbers)) < len(numbers):
        raise Refusal(f"classes={classes!r}: expected at least two, and each one once.")
    names = tuple(data.classes[old] for old in numbers)
    anew = torch.full((len(data.classes),), -1)
    anew[numbers] = torch.arange(len(numbers))
    parts = {}
    for split in ("train", "validation", "test"):
        part = getattr(data, split)
        part = part[torch.isin(part.labels, torch.tensor(numbers))]
        parts[split] = replace(part, labels=anew[part.labels])
        if missing := [names[n] for n in range(len(names)) if not (anew[part.labels] == n).any()]:
            raise Refusal(f"{split} has no example of {', '.join(missing)}.")
    settings = {**data.settings, "train": len(parts["train"]), "only": list(names)}
    return replace(data, classes=names, settings=settings, **parts)
