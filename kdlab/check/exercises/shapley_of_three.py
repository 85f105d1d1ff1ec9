"""Lesson 7: the Shapley value of three teachers, and what goes wrong there."""

from collections.abc import Callable

import torch
from torch import Tensor

from kdlab.check.cases import drawn
from kdlab.check.core import Case, Exercise, Mistake

LESSON = "07"
SECTION = "What is each teacher worth?"


def our_shapley_of_three(worth: Tensor) -> Tensor:
    """The Shapley value of each of three teachers: its mean gain over all six orders of joining.

    φ_A = (v(A) − v(∅)) / 3 + (v(AB) − v(B) + v(AC) − v(C)) / 6 + (v(ABC) − v(BC)) / 3
    worth: (2, 2, 2), worth[a, b, c] with 1 for a teacher that is in, 0 for one that is not.
    """
    values = []
    for teacher in range(3):
        without, joined = worth.movedim(teacher, 0)
        gains = joined - without
        values.append(gains[0, 0] / 3 + gains[0, 1] / 6 + gains[1, 0] / 6 + gains[1, 1] / 3)
    return torch.stack(values)


def _weighed(first: float, middle: float, last: float) -> Callable[[Tensor], Tensor]:
    """Gains weighed by how many of the others are in already: none, one, both."""
    return lambda gains: (
        first * gains[0, 0] + middle * (gains[0, 1] + gains[1, 0]) + last * gains[1, 1]
    )


_over_all_orders = _weighed(1 / 3, 1 / 6, 1 / 3)


def _from_zero(without: Tensor, joined: Tensor) -> Tensor:
    """Gains as if nobody were worth nothing."""
    without = without.clone()
    without[0, 0] = 0
    return joined - without


def _shapley_of_three_in_steps(
    worth: Tensor,
    places=lambda teacher: teacher,
    gain=lambda without, joined: joined - without,
    mean=_over_all_orders,
    finish=lambda values, worth: values,
) -> Tensor:
    values = [mean(gain(*worth.movedim(places(teacher), 0))) for teacher in range(3)]
    return finish(torch.stack(values), worth)


def _worth(*points: float) -> Tensor:
    """none, C, B, B and C, A, A and C, A and B, all three."""
    return torch.tensor(points, dtype=torch.float32).reshape(2, 2, 2)


shapley_of_three = Exercise(
    lesson=LESSON,
    name="shapley_of_three",
    takes=("worth",),
    task="the Shapley value of three teachers from worth[a, b, c] (2, 2, 2), each index 1 for a "
    "teacher that is in -> (3,)",
    reference=our_shapley_of_three,
    in_steps=_shapley_of_three_in_steps,
    cases=(
        Case("A and B are twins, and C adds nothing", (_worth(80, 80, 82, 82, 82, 82, 82, 82),)),
        Case(
            "only A and B together are worth something", (_worth(70, 70, 70, 70, 70, 70, 76, 76),)
        ),
        Case("each adds its own part", (_worth(80, 83, 82, 85, 81, 84, 83, 86),)),
        Case("C takes away", (_worth(81, 79, 82.5, 81.2, 83, 81.4, 83.6, 82.1),)),
        Case("any table", (80 + 2 * drawn(8, 2, 2, 2),)),
    ),
    mistakes=(
        Mistake(
            "alone-only",
            "You count what each teacher adds alone. That misses how it fares in company: twins "
            "would both be paid in full for the same knowledge.",
            SECTION,
            {"mean": _weighed(1, 0, 0)},
        ),
        Mistake(
            "last-only",
            "You count what each teacher adds to all the others. Then twins are both worth "
            "nothing, for each can be replaced by the other.",
            SECTION,
            {"mean": _weighed(0, 0, 1)},
        ),
        Mistake(
            "first-and-last",
            "You average what a teacher adds alone and what it adds at the end. The two coalitions "
            "in between count too: it joins second in two of the six orders.",
            SECTION,
            {"mean": _weighed(1 / 2, 0, 1 / 2)},
        ),
        Mistake(
            "plain-mean",
            "You average the four gains alike (that is the Banzhaf value). In the six orders of "
            "joining, a teacher comes first twice and last twice, but it meets each single other "
            "one only once: weights 1/3, 1/6, 1/6, 1/3.",
            SECTION,
            {"mean": _weighed(1 / 4, 1 / 4, 1 / 4)},
        ),
        Mistake(
            "sixths",
            "You give each of the four gains a sixth, which makes four sixths. A teacher comes "
            "first in two of the six orders and last in two: these two gains count twice.",
            SECTION,
            {"mean": _weighed(1 / 6, 1 / 6, 1 / 6)},
        ),
        Mistake(
            "thirds",
            "You give each of the four gains a third, which makes four thirds. The two gains in "
            "the middle share one third: a sixth each.",
            SECTION,
            {"mean": _weighed(1 / 3, 1 / 3, 1 / 3)},
        ),
        Mistake(
            "weights-swapped",
            "The weights have changed places: first and last count a third each, the two gains in "
            "the middle a sixth each.",
            SECTION,
            {"mean": _weighed(1 / 6, 1 / 3, 1 / 6)},
        ),
        Mistake(
            "sum-of-orders",
            "You add up the gains of all six orders. The Shapley value is their mean: divide by 6. "
            "Then the three values add up to worth of all minus worth of none.",
            SECTION,
            {"mean": _weighed(2, 1, 2)},
        ),
        Mistake(
            "none-forgotten",
            "You take the worth of no teacher as 0. But a student of labels alone has learned "
            "something too: a teacher alone is worth v(A) − v(∅).",
            SECTION,
            {"gain": _from_zero},
        ),
        Mistake(
            "worth-not-gain",
            "You average the worth of the coalitions that a teacher is in. What counts is the "
            "gain: worth with it minus worth of the same coalition without it.",
            SECTION,
            {"gain": lambda without, joined: joined},
        ),
        Mistake(
            "sign",
            "You subtract the other way round: what a teacher adds is worth with it minus worth "
            "without it.",
            SECTION,
            {"gain": lambda without, joined: without - joined},
        ),
        Mistake(
            "equal-shares",
            "You divide the total by three, so every teacher gets the same, whatever it did. "
            "Follow each teacher by itself through the table.",
            SECTION,
            {"finish": lambda v, worth: ((worth[1, 1, 1] - worth[0, 0, 0]) / 3).expand(3)},
            {"finish": lambda v, worth: (worth[1, 1, 1] / 3).expand(3)},
        ),
        Mistake(
            "shares-of-one",
            "You divide by the sum, so that the values add up to 1. Leave them as they are, in "
            "the unit of the table: they add up to worth of all minus worth of none.",
            SECTION,
            {"finish": lambda values, worth: values / values.sum()},
        ),
        Mistake(
            "reversed",
            "The values are right, but stand in the reverse order. The first index of worth is the "
            "first teacher.",
            SECTION,
            {"places": lambda teacher: 2 - teacher},
        ),
    ),
)
