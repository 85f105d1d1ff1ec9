"""Numbers that change while a student is trained: functions of progress, from 0 to 1.

alpha, the temperature, the weight of a match and the learning rate may each be a number or such a
function. Any Python function will do; these are the usual ones, with names that a table can show.
"""

import math
from collections.abc import Callable

Schedule = Callable[[float], float]


def constant(value: float) -> Schedule:
    """The same value throughout."""
    return _named(lambda progress: value, f"constant {value:g}")


def linear(start: float, end: float) -> Schedule:
    """From start to end in a straight line: start + (end − start) · progress."""
    return _named(lambda progress: start + (end - start) * progress, f"linear {start:g} to {end:g}")


def cosine(start: float, end: float) -> Schedule:
    """From start to end along half a cosine: slow at both ends, quick in the middle."""
    return _named(
        lambda progress: end + (start - end) * (1 + math.cos(math.pi * progress)) / 2,
        f"cosine {start:g} to {end:g}",
    )


def step(before: float, after: float, at: float = 0.5) -> Schedule:
    """One value until progress reaches `at`, another one from there on."""
    return _named(
        lambda progress: before if progress < at else after,
        f"step {before:g} to {after:g} at {at:g}",
    )


def value_at(given: float | Schedule, progress: float) -> float:
    """A number as it is; a function's value at this progress."""
    return float(given(progress)) if callable(given) else given


def _named(schedule: Schedule, name: str) -> Schedule:
    schedule.__name__ = schedule.__qualname__ = name
    return schedule
