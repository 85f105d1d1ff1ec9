"""All lessons with something to check, in the order of the course, and how far a learner is."""

from typing import TYPE_CHECKING

import pandas as pd

from kdlab.check import (
    across,
    alpha,
    compression,
    features,
    record,
    soft_targets,
    temperature,
    text,
)
from kdlab.errors import unknown

if TYPE_CHECKING:
    from kdlab.check.quiz_panel import QuizPanel

LESSONS = (soft_targets, temperature, alpha, features, compression, text, across)
EXERCISES = tuple(exercise for lesson in LESSONS for exercise in lesson.EXERCISES)
QUIZZES = tuple(quiz for lesson in LESSONS for quiz in lesson.QUIZZES)


def quiz(name: str) -> "QuizPanel":
    """A question with answers to choose from, such as quiz("soft targets 1")."""
    for known in QUIZZES:
        if known.name == name:
            from kdlab.check.quiz_panel import QuizPanel  # brings ipywidgets: only where shown

            return QuizPanel(known)
    raise unknown("quiz", name, [known.name for known in QUIZZES])


def progress() -> pd.DataFrame:
    """A row for each exercise and quiz: state, number of tries, and the last mistake.

    What was right once stays right: trying a wrong version afterwards is part of the lessons.
    """
    noted = record.lines()
    table = []
    for lesson in LESSONS:
        for known in (*lesson.EXERCISES, *lesson.QUIZZES):
            of_this = [
                row
                for row in noted
                if (row["lesson"], row["exercise"]) == (known.lesson, known.name)
            ]
            tries = [row for row in of_this if row["result"] in (record.RIGHT, record.NOT_RIGHT)]
            mistakes = [row["mistake"] for row in tries if row["result"] == record.NOT_RIGHT]
            table.append(
                {
                    "lesson": known.lesson,
                    "exercise": known.name,
                    "state": _state(of_this, tries),
                    "tries": len(tries),
                    "last mistake": mistakes[-1] if mistakes else "",
                }
            )
    return pd.DataFrame(table)


def _state(of_this: list[dict], tries: list[dict]) -> str:
    if any(row["result"] == record.RIGHT for row in tries):
        return record.RIGHT
    if tries:
        return record.NOT_RIGHT
    return record.NOT_YET if of_this else "not started"
