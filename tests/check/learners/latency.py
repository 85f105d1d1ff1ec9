"""Answers to `latency`, as learners write them."""

import contextlib
import copy
import math
import statistics
import time

import numpy as np
import torch

from tests.check.answers import Answers

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong


def seconds_of(model, inputs, calls):
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        model(inputs)
        end = time.perf_counter()
        seconds.append(end - start)
    return seconds


@contextlib.contextmanager
def in_eval_mode(model):
    mode = model.training
    model.eval()
    yield
    model.train(mode)


@right
def all_as_it_should_be(model, inputs, calls=20):
    with in_eval_mode(model), torch.no_grad():
        for _ in range(10):
            model(inputs)
        return statistics.median(seconds_of(model, inputs, calls))


@right
def one_call_to_warm_up(model, inputs, calls=20):
    with in_eval_mode(model), torch.inference_mode():
        model(inputs)
        return np.median(seconds_of(model, inputs, calls))


@right
def on_a_copy(model, inputs, calls=20):
    there = copy.deepcopy(model).eval()
    with torch.no_grad():
        seconds_of(there, inputs, 2)
        return torch.tensor(seconds_of(there, inputs, calls)).quantile(0.5)


@right
def first_ones_dropped(model, inputs, calls=20):
    with in_eval_mode(model), torch.no_grad():
        return sorted(seconds_of(model, inputs, calls + 5)[5:])[calls // 2]


@right
def dropped_from_the_calls(model, inputs, calls=20):
    with in_eval_mode(model), torch.no_grad():
        return statistics.median(seconds_of(model, inputs, calls)[3:])


@right
@torch.no_grad()
def decorated(model, inputs, calls=20):
    mode = model.training
    model.train(False)
    seconds_of(model, inputs, calls)
    seconds = sorted(seconds_of(model, inputs, calls))
    model.train(mode)
    return seconds[len(seconds) // 2]


def timed(mode=in_eval_mode, quiet=torch.no_grad, warm=3, tell=statistics.median, least=None):
    """A function to be checked, with one thing or another left out."""

    def measure(model, inputs, calls=20):
        with mode(model), quiet():
            for _ in range(warm):
                model(inputs)
            return tell(seconds_of(model, inputs, least or calls))

    return measure


@contextlib.contextmanager
def eval_left_on(model):
    model.eval()
    yield


@contextlib.contextmanager
def training_afterwards(model):
    model.eval()
    yield
    model.train()


WRONG = {
    "no-warm-up": timed(warm=0),
    "gradients-on": timed(quiet=contextlib.nullcontext),
    "training-mode": timed(mode=contextlib.nullcontext),
    "mode-not-put-back": timed(mode=eval_left_on),
    "mean": timed(tell=statistics.mean),
    "total": timed(tell=math.fsum),
    "fastest-or-slowest": timed(tell=min),
    "other-unit": timed(tell=lambda seconds: 1000 * statistics.median(seconds)),
    "too-few-calls": timed(least=1),
    "all-times-given": timed(tell=list),
    "no-warm-up + gradients-on": timed(warm=0, quiet=contextlib.nullcontext),
    "gradients-on + training-mode": timed(
        mode=contextlib.nullcontext, quiet=contextlib.nullcontext
    ),
    "no-warm-up + mean": timed(warm=0, tell=statistics.mean),
    "mean + other-unit": timed(tell=lambda seconds: 1e3 * sum(seconds) / len(seconds)),
    "unknown": timed(tell=lambda seconds: 3 * statistics.median(seconds) + 40),
    "type": timed(tell=lambda seconds: {"seconds": statistics.median(seconds)}),
    "raises TypeError": timed(tell=lambda seconds: seconds / len(seconds)),
}
ANSWERS += WRONG.items()
ANSWERS += [
    ("mode-not-put-back", timed(mode=training_afterwards)),
    ("fastest-or-slowest", timed(tell=max)),
    ("other-unit", timed(tell=lambda seconds: 1e6 * statistics.median(seconds))),
    ("arguments", lambda model: 0.0),
]


@wrong("mean")
def once_around_the_loop(model, inputs, calls=20):
    with in_eval_mode(model), torch.no_grad():
        seconds_of(model, inputs, 4)
        start = time.perf_counter()
        for _ in range(calls):
            model(inputs)
        return (time.perf_counter() - start) / calls


@wrong("other-unit")
def in_nanoseconds(model, inputs, calls=20):
    with in_eval_mode(model), torch.no_grad():
        seconds_of(model, inputs, 4)
        seconds = []
        for _ in range(calls):
            start = time.perf_counter_ns()
            model(inputs)
            seconds.append(time.perf_counter_ns() - start)
        return statistics.median(seconds)


@wrong("training-mode")
def in_training_mode_whatever_it_was(model, inputs, calls=20):
    mode = model.training
    model.train()
    with torch.no_grad():
        seconds_of(model, inputs, 4)
        told = statistics.median(seconds_of(model, inputs, calls))
    model.train(mode)
    return told


@wrong("too-few-calls")
def never_called(model, inputs, calls=20):
    return 1e-3
