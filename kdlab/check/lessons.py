"""All lessons with something to check, in the order of the course, and how far a learner is."""

from typing import TYPE_CHECKING

import pandas as pd

from kdlab.check import record
from kdlab.check.exercises.attention_map import attention_map
from kdlab.check.exercises.cosine_schedule import cosine_schedule
from kdlab.check.exercises.count_parameters import count_parameters
from kdlab.check.exercises.distill_step import distill_step
from kdlab.check.exercises.encode import encode
from kdlab.check.exercises.entropy import entropy
from kdlab.check.exercises.feature_loss import feature_loss
from kdlab.check.exercises.kd_loss import kd_loss
from kdlab.check.exercises.latency import latency
from kdlab.check.exercises.logit_matching_gradient import logit_matching_gradient
from kdlab.check.exercises.masked_mean import masked_mean
from kdlab.check.exercises.mean_soft_target import mean_soft_target
from kdlab.check.exercises.mixup_loss import mixup_loss
from kdlab.check.exercises.paired_interval import paired_interval
from kdlab.check.exercises.pareto_front import pareto_front
from kdlab.check.exercises.project import project
from kdlab.check.exercises.recorded_kd import recorded_kd
from kdlab.check.exercises.shapley_of_three import shapley_of_three
from kdlab.check.exercises.soft_cross_entropy import soft_cross_entropy
from kdlab.check.exercises.tempered_softmax import tempered_softmax
from kdlab.check.exercises.text_cnn import text_cnn
from kdlab.check.exercises.weight_bytes import weight_bytes
from kdlab.check.quizzes import (
    across,
    alpha,
    compression,
    features,
    soft_targets,
    temperature,
    text,
)
from kdlab.errors import unknown

if TYPE_CHECKING:
    from kdlab.check.quiz_panel import QuizPanel

EXERCISES = (
    # lesson 1
    entropy,
    mean_soft_target,
    soft_cross_entropy,
    # lesson 2
    tempered_softmax,
    kd_loss,
    logit_matching_gradient,
    # lesson 3
    distill_step,
    paired_interval,
    cosine_schedule,
    # lesson 4
    project,
    attention_map,
    feature_loss,
    # lesson 5
    count_parameters,
    weight_bytes,
    pareto_front,
    latency,
    # lesson 6
    encode,
    masked_mean,
    text_cnn,
    recorded_kd,
    # lesson 7
    mixup_loss,
    shapley_of_three,
)
QUIZZES = (
    *soft_targets.QUIZZES,
    *temperature.QUIZZES,
    *alpha.QUIZZES,
    *features.QUIZZES,
    *compression.QUIZZES,
    *text.QUIZZES,
    *across.QUIZZES,
)


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
    for known in sorted((*EXERCISES, *QUIZZES), key=lambda known: known.lesson):
        of_this = [
            row for row in noted if (row["lesson"], row["exercise"]) == (known.lesson, known.name)
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
