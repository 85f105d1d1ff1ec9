"""Mutation testing of every check: each wrong answer gets its name, each right one passes.

The answers are written as learners write them, in many styles, and share no code with the bank.
"""

import importlib
import itertools
import time

import pytest
import torch

from kdlab.check import core
from kdlab.check.lessons import EXERCISES

ANSWERS = {
    exercise: importlib.import_module(f"tests.check.learners.{exercise.name}").ANSWERS
    for exercise in EXERCISES
}
each_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)


def raises_not_implemented(*_):
    raise NotImplementedError


@pytest.fixture
def made_up_clock(monkeypatch):
    """A clock that goes on by a microsecond whenever it is read, on a busy machine as on any."""
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter_ns", lambda: 1_000 * next(ticks))
    monkeypatch.setattr(time, "perf_counter", lambda: 1e-6 * next(ticks))


@pytest.mark.parametrize(
    ("exercise", "name", "f"),
    [
        pytest.param(exercise, name, f, id=f"{exercise.name}-{at}-{name}")
        for exercise, answers in ANSWERS.items()
        for at, (name, f) in enumerate(answers)
    ],
)
def test_answer_gets_its_name(exercise, name, f, made_up_clock):
    finding = core.examine(exercise, f)
    assert (finding.mistake or finding.state) == name, finding.message
    assert (finding.state == "right") == (name == "right")


@each_exercise
def test_every_mistake_of_the_bank_has_a_wrong_answer(exercise):
    tried = {name for name, _ in ANSWERS[exercise]}
    assert {mistake.name for mistake in exercise.mistakes} <= tried


@each_exercise
def test_a_check_leaves_the_random_state_alone(exercise, made_up_clock):
    before = torch.get_rng_state()
    exercise(ANSWERS[exercise][0][1], note=False)
    assert torch.equal(torch.get_rng_state(), before)


@each_exercise
def test_each_exercise_has_several_right_answers(exercise):
    assert sum(name == "right" for name, _ in ANSWERS[exercise]) >= 6


@each_exercise
@pytest.mark.parametrize("stub", [lambda *a: None, lambda *a: ..., raises_not_implemented])
def test_a_stub_is_open_and_gets_ours(exercise, stub):
    assert core.examine(exercise, stub).state == "not yet"
    assert exercise(stub, note=False) is exercise.reference
