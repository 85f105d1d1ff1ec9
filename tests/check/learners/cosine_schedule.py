"""Answers to `cosine_schedule`, as learners write them."""

import math

import numpy as np
import torch

from kdlab import schedules
from tests.check.answers import Answers

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong


@right
def by_math(p, a, b):
    return b + 0.5 * (a - b) * (1 + math.cos(math.pi * p))


@right
def upwards(progress, start, end):
    return start + (end - start) * (1 - math.cos(progress * math.pi)) / 2


@right
def by_shares(progress, start, end):
    share = (1 + np.cos(np.pi * progress)) / 2
    return share * start + (1 - share) * end


@right
def by_squares(progress, start, end):
    turn = math.pi * progress / 2
    return start * math.cos(turn) ** 2 + end * math.sin(turn) ** 2


@right
def by_torch(progress, start, end):
    return torch.lerp(
        torch.tensor(end),
        torch.tensor(start),
        (1 + torch.cos(torch.tensor(torch.pi * progress))) / 2,
    )


@right
def by_kdlab_schedule(progress, start, end):
    return schedules.cosine(start, end)(progress)


def along(share):
    return lambda progress, start, end: end + (start - end) * share(progress)


WAYS = [
    ("linear", lambda p: 1 - p),
    ("whole-turn", lambda p: 0.5 + 0.5 * math.cos(2 * math.pi * p)),
    ("quarter-turn", lambda p: math.cos(p * math.pi / 2)),
    ("quarter-turn", lambda p: 1 - math.sin(p * math.pi / 2)),
    ("quarter-turn", lambda p: (1 + math.cos(p * math.pi / 2)) / 2),
    ("pi-missing", lambda p: (1 + math.cos(p)) / 2),
    ("degrees", lambda p: (1 + math.cos(180 * p)) / 2),
    ("epochs", lambda p: (1 + math.cos(math.pi * p / 20)) / 2),
    ("epochs", lambda p: 0.5 * (1 + math.cos(math.pi * (p / 30)))),
    ("half-missing", lambda p: 1 + math.cos(math.pi * p)),
    ("bare-cosine", lambda p: math.cos(math.pi * p)),
    ("sine", lambda p: math.sin(math.pi * p)),
    ("sine", lambda p: 1 - math.sin(math.pi * p)),
    ("sine", lambda p: (1 + math.sin(math.pi * p)) / 2),
    ("unknown", lambda p: 1 - p**2),
    ("unknown", lambda p: math.exp(-p)),
]
for name, share in WAYS:
    wrong(name)(along(share))


@wrong("reversed")
def backwards(progress, start, end):
    return start + (end - start) * (1 + math.cos(math.pi * progress)) / 2


@wrong("reversed")
def with_one_minus(progress, start, end):
    return by_math(1 - progress, start, end)


@wrong("linear")
def straight(progress, start, end):
    return start * (1 - progress) + end * progress


@wrong("ends-at-zero")
def to_zero(progress, start, end):
    return start * (1 + math.cos(math.pi * progress)) / 2


@wrong("end-on-top")
def too_high(progress, start, end):
    return end + start * (1 + math.cos(math.pi * progress)) / 2


@wrong("distance-only")
def without_end(progress, start, end):
    return (start - end) * (1 + math.cos(math.pi * progress)) / 2


@wrong("reversed + linear")
def straight_and_backwards(progress, start, end):
    return start * progress + end * (1 - progress)


@wrong("bare-cosine + ends-at-zero")
def only_a_cosine(progress, start, end):
    return start * math.cos(math.pi * progress)


@wrong("raises TypeError")
def cosine_of_a_number(progress, start, end):
    return end + (start - end) * (1 + torch.cos(torch.pi * progress)) / 2


@wrong("arguments")
def of_progress_alone(progress):
    return (1 + math.cos(math.pi * progress)) / 2
