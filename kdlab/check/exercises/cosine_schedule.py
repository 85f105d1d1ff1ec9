"""Lesson 3: a schedule along half a cosine, and what goes wrong there."""

import math

from kdlab.check.core import Case, Exercise, Mistake

LESSON = "03"
SECTION = "Alpha that moves"


def our_cosine_schedule(progress: float, start: float, end: float) -> float:
    """From start to end along half a cosine: end + (start − end) · (1 + cos(π · progress)) / 2.

    progress: 0 at the beginning of training, 1 at its end.
    """
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def _cosine_schedule_in_steps(
    progress: float,
    start: float,
    end: float,
    order=lambda start, end: (start, end),
    share=lambda progress: (1 + math.cos(math.pi * progress)) / 2,
    blend=lambda share, start, end: end + (start - end) * share,
) -> float:
    return blend(share(progress), *order(start, end))


cosine_schedule = Exercise(
    lesson=LESSON,
    name="cosine_schedule",
    takes=("progress", "start", "end"),
    task="a value that goes from start (at progress 0) to end (at progress 1) along half a cosine",
    reference=our_cosine_schedule,
    in_steps=_cosine_schedule_in_steps,
    cases=(
        Case("the beginning", (0.0, 1.0, 0.0)),
        Case("the end", (1.0, 1.0, 0.0)),
        Case("half way", (0.5, 1.0, 0.0)),
        Case("a quarter of the way", (0.25, 1.0, 0.0)),
        Case("from 0.9 to 0.1", (0.25, 0.9, 0.1)),
        Case("rising, from 0.2 to 0.8", (0.75, 0.2, 0.8)),
        Case("late, from 8 to 1, as for a temperature", (0.9, 8.0, 1.0)),
    ),
    mistakes=(
        Mistake(
            "reversed",
            "Your schedule runs from end to start. At progress 0 the cosine is 1, and the value "
            "has to be start.",
            SECTION,
            {"order": lambda start, end: (end, start)},
        ),
        Mistake(
            "linear",
            "Start and end are right, but the way between them is a straight line. Half a cosine "
            "is slow at both ends and quick in the middle.",
            SECTION,
            {"share": lambda progress: 1 - progress},
        ),
        Mistake(
            "whole-turn",
            "Your cosine makes a whole turn: the value reaches the end half way and then comes "
            "back. Half a turn is math.pi * progress, without the 2.",
            SECTION,
            {"share": lambda progress: (1 + math.cos(2 * math.pi * progress)) / 2},
        ),
        Mistake(
            "quarter-turn",
            "Your cosine makes a quarter of a turn. Then the value leaves start slowly, but "
            "arrives at full speed. Half a turn, from cos 0 = 1 to cos π = −1, is slow at both "
            "ends.",
            SECTION,
            {"share": lambda progress: math.cos(math.pi * progress / 2)},
            {"share": lambda progress: 1 - math.sin(math.pi * progress / 2)},
            {"share": lambda progress: (1 + math.cos(math.pi * progress / 2)) / 2},
        ),
        Mistake(
            "pi-missing",
            "The π is missing: cos(1) is 0.54, so the value never arrives at end. math.cos takes "
            "radians, where half a turn is π.",
            SECTION,
            {"share": lambda progress: (1 + math.cos(progress)) / 2},
        ),
        Mistake(
            "degrees",
            "You count in degrees. math.cos takes radians: half a turn is π, not 180.",
            SECTION,
            {"share": lambda progress: (1 + math.cos(180 * progress)) / 2},
        ),
        Mistake(
            "epochs",
            "You divide progress by a number of epochs. Progress runs from 0 to 1 already, however "
            "many epochs there are; divided once more, the value hardly leaves start.",
            SECTION,
            *(
                {"share": lambda progress, n=n: (1 + math.cos(math.pi * progress / n)) / 2}
                for n in (5, 10, 15, 20, 30, 40, 50, 60, 80, 100)
            ),
        ),
        Mistake(
            "half-missing",
            "The division by 2 is missing. 1 + cos runs from 2 to 0; halved, it runs from 1 to 0 "
            "and can serve as a share.",
            SECTION,
            {"share": lambda progress: 1 + math.cos(math.pi * progress)},
        ),
        Mistake(
            "bare-cosine",
            "A cosine runs from 1 to −1, so your value shoots past the end. Add 1 and divide by "
            "2, so that it runs from 1 to 0.",
            SECTION,
            {"share": lambda progress: math.cos(math.pi * progress)},
        ),
        Mistake(
            "sine",
            "You use a sine. It is 0 at both ends of half a turn, so the value goes out and comes "
            "back. The cosine runs from 1 to −1.",
            SECTION,
            {"share": lambda progress: (1 + math.sin(math.pi * progress)) / 2},
            {"share": lambda progress: math.sin(math.pi * progress)},
            {"share": lambda progress: 1 - math.sin(math.pi * progress)},
        ),
        Mistake(
            "ends-at-zero",
            "Your schedule ends at 0, whatever end is. Share out both values: start gets the "
            "share, end gets the rest.",
            SECTION,
            {"blend": lambda share, start, end: start * share},
        ),
        Mistake(
            "end-on-top",
            "You add end to all of start, so that it begins too high. What shrinks is the "
            "distance between the two: end + (start − end) · share.",
            SECTION,
            {"blend": lambda share, start, end: end + start * share},
        ),
        Mistake(
            "distance-only",
            "You give the distance that is left, without the value it leads to. Add end to it.",
            SECTION,
            {"blend": lambda share, start, end: (start - end) * share},
        ),
    ),
)
