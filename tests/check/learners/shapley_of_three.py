"""Answers to `shapley_of_three`, as learners write them."""

import itertools
import math

import numpy as np
import torch

import kdlab
from tests.check.answers import Answers

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong


@right
def written_out(v):
    a = (v[1, 0, 0] - v[0, 0, 0]) / 3 + (v[1, 1, 0] - v[0, 1, 0]) / 6
    a = a + (v[1, 0, 1] - v[0, 0, 1]) / 6 + (v[1, 1, 1] - v[0, 1, 1]) / 3
    b = (v[0, 1, 0] - v[0, 0, 0]) / 3 + (v[1, 1, 0] - v[1, 0, 0]) / 6
    b = b + (v[0, 1, 1] - v[0, 0, 1]) / 6 + (v[1, 1, 1] - v[1, 0, 1]) / 3
    c = (v[0, 0, 1] - v[0, 0, 0]) / 3 + (v[1, 0, 1] - v[1, 0, 0]) / 6
    c = c + (v[0, 1, 1] - v[0, 1, 0]) / 6 + (v[1, 1, 1] - v[1, 1, 0]) / 3
    return torch.tensor([a, b, c])


def over_orders(v, each=lambda before, after: after - before, divide=6):
    total = [0.0, 0.0, 0.0]
    for order in itertools.permutations(range(3)):
        inside = [0, 0, 0]
        for player in order:
            before = float(v[tuple(inside)])
            inside[player] = 1
            total[player] += each(before, float(v[tuple(inside)]))
    return [value / divide for value in total]


@right
def by_all_orders(worth):
    return over_orders(worth)


@right
def by_numpy(worth):
    v = worth.numpy().astype(float)
    weights = np.array([[2, 1], [1, 2]]) / 6
    return np.array(
        [(weights * (np.take(v, 1, axis) - np.take(v, 0, axis))).sum() for axis in range(3)]
    )


@right
def by_kdlab(worth):
    table = {
        frozenset(name for name, there in zip("ABC", inside, strict=True) if there): worth[inside]
        for inside in itertools.product((0, 1), repeat=3)
    }
    return [kdlab.shapley_values(table)[name] for name in "ABC"]


@right
def by_factorials(worth):
    values = []
    for player in range(3):
        others = [o for o in range(3) if o != player]
        value = 0
        for size in range(3):
            for inside in itertools.combinations(others, size):
                share = math.factorial(size) * math.factorial(2 - size) / 6
                without = tuple(int(o in inside) for o in range(3))
                joined = tuple(int(o in inside or o == player) for o in range(3))
                value += share * (worth[joined] - worth[without])
        values.append(value)
    return values


@right
def by_diff(worth):
    gains = [worth.diff(dim=t).flatten() for t in range(3)]
    return torch.stack(gains) @ torch.tensor([2.0, 1.0, 1.0, 2.0]) / 6


def four(first, middle, last):
    """(gain alone, the two in between, gain at the end) weighed, for each player."""

    def values(v):
        gains = [v.diff(dim=t).flatten() for t in range(3)]
        return [first * g[0] + middle * (g[1] + g[2]) + last * g[3] for g in gains]

    return values


for name, weights in (
    ("alone-only", (1, 0, 0)),
    ("last-only", (0, 0, 1)),
    ("first-and-last", (0.5, 0, 0.5)),
    ("plain-mean", (0.25, 0.25, 0.25)),
    ("sixths", (1 / 6, 1 / 6, 1 / 6)),
    ("thirds", (1 / 3, 1 / 3, 1 / 3)),
    ("weights-swapped", (1 / 6, 1 / 3, 1 / 6)),
    ("sum-of-orders", (2, 1, 2)),
    ("unknown", (0.4, 0.1, 0.4)),
):
    wrong(name)(four(*weights))


@wrong("none-forgotten")
def from_nothing(worth):
    v = worth.clone()
    v[0, 0, 0] = 0
    return over_orders(v)


@wrong("worth-not-gain")
def worth_of_each(worth):
    return over_orders(worth, each=lambda before, after: after)


@wrong("sign")
def the_other_way_round(worth):
    return over_orders(worth, each=lambda before, after: before - after)


@wrong("sum-of-orders")
def not_divided(worth):
    return over_orders(worth, divide=1)


@wrong("equal-shares")
def alike(worth):
    return [(worth[1, 1, 1] - worth[0, 0, 0]) / 3] * 3


@wrong("equal-shares")
def alike_of_all(worth):
    return 3 * [worth[1, 1, 1] / 3]


@wrong("shares-of-one")
def in_shares(worth):
    values = torch.tensor(over_orders(worth))
    return values / values.sum()


@wrong("reversed")
def backwards(worth):
    return over_orders(worth)[::-1]


@wrong("sum-of-orders + sign")
def summed_and_turned(worth):
    return over_orders(worth, each=lambda before, after: before - after, divide=1)


@wrong("changes-input")
def in_place_of_the_table(worth):
    values = over_orders(worth)
    worth -= worth[0, 0, 0].clone()
    return values


@wrong("raises IndexError")
def one_player_too_many(worth):
    return [worth[1, 0, 0, 0]]


@wrong("shape")
def only_the_first(worth):
    return over_orders(worth)[:2]
