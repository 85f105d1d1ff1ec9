"""Lesson 5: how long one call of a model takes, and what goes wrong there."""

import math
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from kdlab.check.core import Case, Exercise, Mistake
from kdlab.check.steps import nothing, same

LESSON = "05"
SECTION = "How long it takes"


def our_latency(model: nn.Module, inputs: Tensor, calls: int = 20) -> float:
    """Median seconds of one call, after a warm-up, in eval mode and without gradients."""
    training, seconds = model.training, []
    model.eval()
    with torch.inference_mode():
        for _ in range(3):
            model(inputs)
        for _ in range(calls):
            began = time.perf_counter()
            model(inputs)
            seconds.append(time.perf_counter() - began)
    model.train(training)
    return statistics.median(seconds)


def _latency_in_steps(
    model: nn.Module,
    inputs: Tensor,
    calls: int,
    listen=nn.Module.eval,
    quietly=torch.inference_mode,
    warm_up=lambda model, inputs: [model(inputs) for _ in range(3)],
    timed=same,
    unit=same,
    average=statistics.median,
    put_back=nn.Module.train,
) -> float:
    model.waits = False  # a mistake needs no clock: the probe says how long it would have taken
    training, seconds = model.training, []
    listen(model)
    with quietly():
        warm_up(model, inputs)
        for _ in range(timed(calls)):
            model(inputs)
            seconds.append(unit(model.spent[-1]))
    put_back(model, training)
    return average(seconds)


# How long calls of the probe take, in median calls: the first are slow, and later one in seven.
# Any seven in a row of the later ones have the same median, mean, sum, least and most.
MEDIAN = 4e-4  # seconds
SLOW_ONES, FIRST = 3, 6.0
LATER = (1.0, 0.5, 1.1, 1.0, 1.1, 12.0, 0.5)
AVERAGES = (statistics.median, statistics.fmean, sum, min, max)
UNITS = (1.0, 1e3, 1e6, 1e9)  # in a second
NEAR = math.log(2.0)  # further than by this factor from all of them: none of them


def _probed(latency: Callable) -> Callable:
    """What shows of a function that times: its kind of average, and ones for what it does right.

    The model that it is given notes how it is called, and how long each call has really taken: so
    a busy machine, where all calls take longer, does no harm.
    """

    def played(number: int, inputs: Tensor, calls: int) -> object:
        spent, modes = [], []  # of each call: seconds; (gradients on, training mode)

        class Probe(nn.Module):
            waits = True

            def forward(self, inputs: Tensor) -> Tensor:
                began, call = time.perf_counter(), len(spent)
                modes.append((torch.is_grad_enabled(), self.training))
                lasts = MEDIAN * (FIRST if call < SLOW_ONES else LATER[call % len(LATER)])
                while self.waits and time.perf_counter() - began < lasts:
                    pass  # a sleep may last much longer than asked for
                spent.append(time.perf_counter() - began if self.waits else lasts)
                return inputs

        model = Probe().train(number == 1)
        model.spent = spent
        with torch.enable_grad():  # and afterwards as it was, whatever is switched within
            told = latency(model, inputs, calls)
        try:
            value = torch.as_tensor(told, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError):  # none, or no number: the check has words
            return told
        one, enough = value.numel() == 1, len(spent) >= calls
        kind, warm = _recognised(value.item(), spent, calls) if one and enough else (1.0, True)
        quiet = not any(gradients for gradients, _ in modes[-calls:])
        listening = not any(training for _, training in modes)
        return [kind, one, enough, warm, quiet, listening, model.training == (number == 1)]

    return played


def _recognised(told: float, spent: list[float], calls: int) -> tuple[float, bool]:
    """Which average of the seconds spent this is, in median calls, and if it is of warm calls."""
    windows = [(spent[-calls:], len(spent) > calls)]
    if len(spent) == calls:
        windows.append((spent[SLOW_ONES:], True))  # timed, and then left out
    guesses = [
        (abs(math.log(told / (unit * average(window)))), unit * average(LATER), warm)
        for window, warm in windows
        for average in AVERAGES
        for unit in UNITS
        if 0 < told < math.inf
    ]
    off, kind, warm = min(guesses, default=(math.inf, 0.0, True))
    return (kind, warm) if off < NEAR else (told / statistics.median(spent), True)


latency = Exercise(
    lesson=LESSON,
    name="latency",
    takes=("model", "inputs", "calls"),
    task="the median seconds of one call of a model, over as many timed calls, after a warm-up",
    reference=our_latency,
    in_steps=_latency_in_steps,
    play=_probed,
    praise="times the median call, warmed up, in eval mode and without gradients, and leaves the "
    "model as it was",
    cases=(
        Case(
            "a model in training mode, told as its time in median calls and 1 for all done right",
            (1, torch.ones(1, 3), len(LATER)),
        ),
        Case("a model that is in eval mode already", (2, torch.ones(1, 3), len(LATER))),
    ),
    mistakes=(
        Mistake(
            "no-warm-up",
            "The first calls are in what you time. They are slow: memory is set aside, kernels are "
            "chosen, caches are cold. Call the model a few times before you start the clock.",
            SECTION,
            {"warm_up": nothing},
        ),
        Mistake(
            "gradients-on",
            "Gradients are on while you time, so each call also notes what a backward pass would "
            "need. Who uses the model does not learn: call it under torch.inference_mode().",
            SECTION,
            {"quietly": torch.enable_grad},
        ),
        Mistake(
            "training-mode",
            "The model is called in training mode, where dropout draws and batch norm averages: "
            "other work than in use, and each call moves batch norm's statistics. Call "
            "model.eval() first.",
            SECTION,
            {"listen": same},
            {"listen": nn.Module.train},
        ),
        Mistake(
            "mode-not-put-back",
            "The model comes back in another mode than it came in, and whoever trains it next "
            "trains in the wrong one. Note model.training before, and call model.train(noted) at "
            "the end.",
            SECTION,
            {"put_back": nothing},
            {"put_back": lambda model, training: model.train()},
        ),
        Mistake(
            "mean",
            "You give the mean. One call that the computer interrupts moves it far; the median, "
            "statistics.median(seconds), hardly notices.",
            SECTION,
            {"average": statistics.fmean},
        ),
        Mistake(
            "total",
            "You give the seconds of all calls together. We ask how long one call takes, so that "
            "it does not depend on how many were timed.",
            SECTION,
            {"average": sum},
        ),
        Mistake(
            "fastest-or-slowest",
            "You give the fastest or the slowest call. One is the computer at its best, the other "
            "tells what else it did at that moment; a user mostly waits for the median.",
            SECTION,
            {"average": min},
            {"average": max},
        ),
        Mistake(
            "other-unit",
            "You give another unit: milliseconds, microseconds or nanoseconds. Give seconds, and "
            "turn them into ms only where they are shown.",
            SECTION,
            {"unit": lambda seconds: 1e3 * seconds},
            {"unit": lambda seconds: 1e6 * seconds},
            {"unit": lambda seconds: 1e9 * seconds},
        ),
        Mistake(
            "too-few-calls",
            "You call the model fewer times than `calls` says. One call alone may be the one that "
            "the computer interrupts: time each of them, and take the median.",
            SECTION,
            {"timed": lambda calls: 1},
        ),
        Mistake(
            "all-times-given",
            "You give the seconds of every call. Give one number, their median: "
            "statistics.median(seconds).",
            SECTION,
            {"average": list},
        ),
    ),
)
