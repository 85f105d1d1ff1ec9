"""Lesson 5: the points that no other one beats, and what goes wrong there."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from kdlab.check.core import Case, Exercise, Mistake
from kdlab.check.steps import same

LESSON = "05"
SECTION = "Everything in one picture"


def our_pareto_front(costs: Iterable[float], scores: Iterable[float]) -> list[bool]:
    """True for each point that no other one beats: as cheap, as good, and better in one of both.

    costs: n numbers, lower is better.  scores: n numbers, higher is better.
    """
    points = list(zip(costs, scores, strict=True))
    return [
        not any(c <= cost and s >= score and (c < cost or s > score) for c, s in points)
        for cost, score in points
    ]


def _beats(saved: Tensor, gained: Tensor) -> Tensor:
    return (saved >= 0) & (gained >= 0) & ((saved > 0) | (gained > 0))


def _twins_before(saved: Tensor, gained: Tensor) -> Tensor:
    return ((saved == 0) & (gained == 0)).triu(1)


def _pareto_front_in_steps(
    costs: Tensor,
    scores: Tensor,
    saved=same,
    gained=same,
    beats=_beats,
    judges=lambda costs, scores: slice(None),
    end=lambda front, costs, scores: front,
) -> Tensor:
    beaten = beats(saved(costs - costs[:, None]), gained(scores[:, None] - scores))
    return end(~beaten[judges(costs, scores)].any(0), costs, scores)


def _from_cheap_to_dear(compare: Callable, seen: Callable) -> dict[str, Callable]:
    """Each point is kept that compares well with what was seen of the cheaper ones."""

    def end(front: Tensor, costs: Tensor, scores: Tensor) -> Tensor:
        order = costs.argsort(stable=True)
        kept, ranked = torch.ones_like(front), scores[order]
        kept[order[1:]] = compare(ranked[1:], seen(ranked)[:-1])
        return kept

    return {"end": end}


def _best_so_far(ranked: Tensor) -> Tensor:
    return ranked.cummax(0).values


def _points(*points: tuple[float, float]) -> tuple[Tensor, Tensor]:
    costs, scores = torch.tensor(points).T
    return costs, scores


pareto_front = Exercise(
    lesson=LESSON,
    name="pareto_front",
    takes=("costs", "scores"),
    task="for each point, True where no other one is at least as cheap and at least as good, and "
    "better in one of the two -> n times True or False",
    reference=our_pareto_front,
    in_steps=_pareto_front_in_steps,
    cases=(
        Case("one point", _points((2.0, 0.8))),
        Case("three points, the dearest of them beaten", _points((1, 0.7), (2, 0.9), (3, 0.8))),
        Case(
            "beaten by neither the cheapest nor the best, but by one between",
            _points((1, 0.6), (2, 0.8), (3, 0.7), (4, 0.9)),
        ),
        Case("two beaten in a row", _points((4, 0.9), (1, 0.8), (2, 0.5), (3, 0.6))),
        Case("twins", _points((2, 0.8), (1, 0.6), (2, 0.8), (3, 0.7))),
        Case(
            "some of one cost, and some of one score",
            _points((2, 0.7), (2, 0.8), (1, 0.6), (3, 0.8), (4, 0.9), (4, 0.85)),
        ),
    ),
    mistakes=(
        Mistake(
            "dominated-kept",
            "Beaten points stay: you compare with the cheapest or the best point only. One that "
            "both leave alone may be beaten by a third, so compare each with all.",
            SECTION,
            {"judges": lambda costs, scores: scores.argmax()[None]},
            {"judges": lambda costs, scores: costs.argmin()[None]},
            {"judges": lambda costs, scores: torch.stack([costs.argmin(), scores.argmax()])},
        ),
        Mistake(
            "neighbour-only",
            "You compare each point with the next cheaper one only. A point may do better than a "
            "bad neighbour and be beaten by one further off: keep the best score so far.",
            SECTION,
            _from_cheap_to_dear(torch.gt, same),
            _from_cheap_to_dear(torch.ge, same),
        ),
        Mistake(
            "running-best",
            "Going from cheap to dear with the best score so far is a good way, but equals need "
            "care: of one cost only the best stay, of one score only the cheapest, and of two "
            "points with the same cost and score both.",
            SECTION,
            _from_cheap_to_dear(torch.gt, _best_so_far),
            _from_cheap_to_dear(torch.ge, _best_so_far),
        ),
        Mistake(
            "dear-for-cheap",
            "You take dear for cheap: of a cost, less is better. Only of a score more is.",
            SECTION,
            {"saved": torch.neg},
        ),
        Mistake(
            "worse-for-better",
            "You take worse for better: here a higher score is better. With NLL or calibration "
            "error, turn the sign before.",
            SECTION,
            {"gained": torch.neg},
        ),
        Mistake(
            "twins-strike-out",
            "Two points with the same cost and score strike each other out, though nobody beats "
            "them. To beat, a point must also be better in one of the two.",
            SECTION,
            {"beats": lambda saved, gained: ((saved >= 0) & (gained >= 0)).fill_diagonal_(False)},
        ),
        Mistake(
            "second-twin-dropped",
            "Of two points with the same cost and score you keep only the first. Which that is "
            "depends on the order of the table: both are on the front.",
            SECTION,
            {"beats": lambda saved, gained: _beats(saved, gained) | _twins_before(saved, gained)},
        ),
        Mistake(
            "beats-itself",
            "No point is left: each is as cheap and as good as itself, and so beats itself. To "
            "beat, a point must be better in one of the two.",
            SECTION,
            {"beats": lambda saved, gained: (saved >= 0) & (gained >= 0)},
        ),
        Mistake(
            "better-in-both",
            "You ask for better in both. A point that costs the same and scores less is beaten "
            "too, and so is one with the same score at a higher cost.",
            SECTION,
            {"beats": lambda saved, gained: (saved > 0) & (gained > 0)},
        ),
        Mistake(
            "one-best",
            "You keep only what is best in one way: the best score, the least cost, or the most "
            "score for the money. The front holds every point that some budget would choose.",
            SECTION,
            {"end": lambda front, costs, scores: scores == scores.max()},
            {"end": lambda front, costs, scores: costs == costs.min()},
            {"end": lambda front, costs, scores: scores / costs == (scores / costs).max()},
        ),
        Mistake(
            "inverted",
            "You say True where a point is beaten. The front is the others: turn it round with ~ "
            "or not.",
            SECTION,
            {"end": lambda front, costs, scores: ~front},
        ),
        Mistake(
            "sorted",
            "Your answers stand in order of cost. They must stand as the points came, or they are "
            "read as those of other points.",
            SECTION,
            {"end": lambda front, costs, scores: front[costs.argsort(stable=True)]},
        ),
    ),
)
