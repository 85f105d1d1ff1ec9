"""Answers to `pareto_front`, as learners write them."""

import itertools
import math

import numpy as np
import pandas as pd
import torch

from tests.check.answers import Answers

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong


@right
def two_loops(costs, scores):
    kept = []
    for cost, score in zip(costs, scores, strict=True):
        beaten = False
        for c, s in zip(costs, scores, strict=True):
            if c <= cost and s >= score and (c < cost or s > score):
                beaten = True
        kept.append(not beaten)
    return kept


@right
def with_numpy(costs, scores):
    points = np.stack([costs.numpy(), -scores.numpy()], axis=1)
    return np.array([not ((points <= p).all(1) & (points < p).any(1)).any() for p in points])


@right
def sorted_with_care(costs, scores):
    pairs = list(zip(costs.tolist(), scores.tolist(), strict=True))
    front, best = set(), -math.inf
    for cost, score in sorted(set(pairs), key=lambda pair: (pair[0], -pair[1])):
        if score > best:
            front.add((cost, score))
            best = score
    return torch.tensor([pair in front for pair in pairs])


@right
def as_ones(costs, scores):
    """1 and 0 for True and False."""
    return [int(kept) for kept in two_loops(costs, scores)]


@right
def by_broadcasting(costs, scores):
    saved, gained = costs[:, None] - costs, scores - scores[:, None]
    beaten = (saved >= 0) & (gained >= 0) & ((saved > 0) | (gained > 0))
    return ~beaten.any(dim=1)


@right
def by_pandas(costs, scores):
    table = pd.DataFrame({"cost": costs.numpy(), "score": scores.numpy()})
    best = table["score"] == table.groupby("cost")["score"].transform("max")
    cheaper = [table["score"][table["cost"] < cost].max() for cost in table["cost"]]
    return (best & ~(np.array(cheaper) >= table["score"])).tolist()


@wrong("dominated-kept")
def against_the_best(costs, scores):
    best = scores.argmax()
    return ~(
        (costs[best] < costs) & (scores[best] >= scores)
        | (costs[best] <= costs) & (scores[best] > scores)
    )


@wrong("dominated-kept")
def against_the_cheapest(costs, scores):
    cheapest = costs.argmin()
    beaten = (costs[cheapest] <= costs) & (scores[cheapest] >= scores)
    same = (costs == costs[cheapest]) & (scores == scores[cheapest])
    return ~beaten | same


@wrong("neighbour-only")
def better_than_the_next_cheaper(costs, scores):
    order = sorted(range(len(costs)), key=lambda i: costs[i].item())
    front = [True] * len(costs)
    for before, i in itertools.pairwise(order):
        front[i] = bool(scores[i] > scores[before])
    return front


@wrong("running-best")
def best_so_far(costs, scores):
    front, best = torch.zeros(len(costs), dtype=torch.bool), -math.inf
    for i in torch.sort(costs, stable=True).indices:
        if scores[i] > best:
            front[i], best = True, scores[i]
    return front


@wrong("running-best")
def at_least_the_best_so_far(costs, scores):
    front, best = torch.zeros(len(costs), dtype=torch.bool), -math.inf
    for i in torch.sort(costs, stable=True).indices:
        if scores[i] >= best:
            front[i], best = True, scores[i]
    return front


@wrong("dear-for-cheap")
def dear(costs, scores):
    return two_loops(-costs, scores)


@wrong("worse-for-better")
def low_scores(costs, scores):
    return two_loops(costs, -scores)


@wrong("dear-for-cheap + worse-for-better")
def both_turned(costs, scores):
    return two_loops(-costs, -scores)


@wrong("twins-strike-out")
def any_other_as_good(costs, scores):
    front = []
    for i in range(len(costs)):
        others = [j for j in range(len(costs)) if j != i]
        front.append(not any(costs[j] <= costs[i] and scores[j] >= scores[i] for j in others))
    return front


@wrong("second-twin-dropped")
def sorted_by_both(costs, scores):
    front, best = [False] * len(costs), -math.inf
    for i in sorted(range(len(costs)), key=lambda i: (costs[i].item(), -scores[i].item())):
        if scores[i] > best:
            front[i], best = True, scores[i]
    return front


@wrong("beats-itself")
def not_strict(costs, scores):
    return ~((costs[:, None] <= costs) & (scores[:, None] >= scores)).any(0)


@wrong("better-in-both")
def strict_in_both(costs, scores):
    return ~((costs[:, None] < costs) & (scores[:, None] > scores)).any(dim=0)


@wrong("one-best")
def the_best(costs, scores):
    return scores == max(scores)


@wrong("one-best")
def the_cheapest(costs, scores):
    return [cost == min(costs) for cost in costs]


@wrong("one-best")
def most_for_the_money(costs, scores):
    value = scores / costs
    return value >= value.max()


@wrong("inverted")
def beaten_ones(costs, scores):
    return [not kept for kept in two_loops(costs, scores)]


@wrong("sorted")
def in_order_of_cost(costs, scores):
    order = costs.argsort(stable=True)
    return two_loops(costs[order], scores[order])


@wrong("shape")
def places(costs, scores):
    return [i for i, kept in enumerate(two_loops(costs, scores)) if kept] or [0]


@wrong("changes-input")
def turns_in_place(costs, scores):
    return two_loops(costs, -scores.neg_())


@wrong("raises IndexError")
def one_too_far(costs, scores):
    return [bool(scores[i + 1] > scores[i]) for i in range(len(costs))]
