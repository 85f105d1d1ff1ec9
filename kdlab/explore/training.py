"""Train one now: a slider is let go, and paired students are trained while you look."""

from collections import OrderedDict
from collections.abc import Sequence

import ipywidgets
from torch import nn

from kdlab import signals
from kdlab.explore.controls import slider, steps
from kdlab.explore.curves import Curves
from kdlab.explore.pairs import Trained, drawing, train_pairs, weights
from kdlab.explore.panel import Panel
from kdlab.explore.teacher_view import TEMPERATURES
from kdlab.plots.picture import Picture
from kdlab.runs import Run
from kdlab.teachers import load_teacher

WIDTHS = (8, 16, 32, 64, 128, 256)
ALPHAS = tuple(round(0.05 * step, 2) for step in range(21))


def pair_controls(
    sizes: Sequence[int],
    *,
    examples: int | None,
    temperature: float,
    alpha: float,
    width: int,
    epochs: int,
    seeds: int,
) -> dict[str, ipywidgets.Widget]:
    """The controls of a panel that trains pairs; examples=None takes 1,000, or all that there are.

    sizes: the numbers of examples that can be drawn, see `drawing`.
    """
    return {
        "examples": steps("training pictures", sizes, examples or min(1_000, sizes[-1])),
        "temperature": steps("temperature T", TEMPERATURES, temperature),
        "alpha": steps("weights (alpha)", ALPHAS, alpha, weights),
        "width": steps("hidden units", WIDTHS, width),
        "epochs": slider("epochs", 1, 60, epochs),
        "seeds": slider("seeds (pairs)", 1, 10, seeds),
    }


def live_panel(
    name: str,
    title: str,
    teachers: dict[str, str | nn.Module | signals.Signal],
    data: object,
    more: dict[str, ipywidgets.Widget],
    *,
    examples: int | None,
    temperature: float,
    alpha: float,
    width: int,
    epochs: int,
    seeds: int,
    **options,
) -> Panel:
    """A panel that trains pairs once a control is let go: what `training` and `trust` share.

    teachers: by the words of a control "teacher", or a single one under "".
    more: controls before the common ones ("noise", "teacher").  options: those of `Panel`.
    """
    loaded = {
        word: load_teacher(one) if isinstance(one, str) else one for word, one in teachers.items()
    }
    draw, sizes = drawing(data)
    kept: OrderedDict[tuple, Run] = OrderedDict()
    picture = Picture(title, size=(9.2, 4.9 if more else 4.4))
    curves = Curves(picture, lines=2 if more else 1)

    def compute(stop, progress, teacher: str = "", **chosen) -> Trained:
        asked = loaded[teacher]
        return train_pairs(asked, draw, kept, stop, progress, teacher=teacher, **chosen)

    common = pair_controls(
        sizes, examples=examples, temperature=temperature, alpha=alpha, width=width,
        epochs=epochs, seeds=seeds,
    )  # fmt: skip
    controls = more | common
    return Panel(title, controls, compute, curves.update, picture, name=name, slow=True, **options)


def training(
    teacher: "str | nn.Module | signals.Signal" = "fashion-cnn",
    data: object = "fashion-mnist",
    *,
    examples: int | None = None,
    temperature: float = 1,
    alpha: float = 0.1,
    width: int = 32,
    epochs: int = 30,
    seeds: int = 5,
    code: str | None = None,
    hide: Sequence[str] = (),
    lock: Sequence[str] = (),
) -> Panel:
    """Let go of a slider, and students are trained, each beside its twin that learns from labels.

    The twins start from the same weights and see the same batches; each seed draws its own
    training examples. `panel.wait()` returns the result, a `Trained`, once it is there. Call it
    before a notebook shows the panel, so that the stored picture holds the first students.
    examples: None takes 1,000, or all where there are fewer.
    """
    return live_panel(
        "training", "train one now", {"": teacher}, data, {}, examples=examples,
        temperature=temperature, alpha=alpha, width=width, epochs=epochs, seeds=seeds, code=code,
        hide=hide, lock=lock,
    )  # fmt: skip
