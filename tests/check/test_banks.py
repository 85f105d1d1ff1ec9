"""Every bank of known mistakes, whatever the lesson: no two alike, each recognised, none right."""

import functools
import itertools
import re
from pathlib import Path

import pytest

from kdlab.check import core
from kdlab.check.lessons import EXERCISES

SOURCES = Path(__file__).resolve().parents[2] / "notebooks" / "source"

pytestmark = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)


def outcomes(exercise, changes):
    return list(core._outcomes(exercise, changes))


def test_our_own_answers_are_right(exercise):
    assert core.examine(exercise, lambda *a: exercise.reference(*a)).state == "right"
    assert core.examine(exercise, lambda *a: exercise.in_steps(*a)).state == "right"


def test_the_reference_never_gives_nan(exercise):
    ours = exercise.play(exercise.reference)
    for case in exercise.cases:
        assert core._as_tensor(ours(*case.inputs)).isfinite().all()


def test_each_mistake_differs_from_the_reference_and_from_every_other(exercise):
    found = [("reference", outcomes(exercise, {}))]
    for mistake in exercise.mistakes:
        found += [(mistake.name, outcomes(exercise, changes)) for changes in mistake.changes]
    for (one, first), (other, second) in itertools.combinations(found, 2):
        assert one == other or not core._all_same(first, second), (one, other)


def test_no_two_mistakes_together_are_right(exercise):
    expected = outcomes(exercise, {})
    for mistakes, changes in core._suspects(exercise.mistakes):
        together = core._outcomes(exercise, changes)
        assert not core._all_same(expected, together), [m.name for m in mistakes]


def test_each_mistake_is_recognised_in_all_its_variants(exercise):
    for mistake in exercise.mistakes:
        for changes in mistake.changes:
            f = functools.partial(exercise.in_steps, **changes)
            assert core.examine(exercise, f).mistake == mistake.name


def test_names_are_unique_and_fit_a_csv_cell(exercise):
    names = [mistake.name for mistake in exercise.mistakes]
    assert len(set(names)) == len(names) >= 8
    assert not any(set(name) & set(',"\n+') for name in names)


def test_hints_point_to_headings_of_the_lesson(exercise):
    (source,) = SOURCES.glob(f"{exercise.lesson}_*.py")
    headings = set(re.findall(r"^# #+ (.+)$", source.read_text(encoding="utf-8"), re.MULTILINE))
    assert {mistake.section for mistake in exercise.mistakes} <= headings


def test_sentences_are_sentences(exercise):
    for mistake in exercise.mistakes:
        assert mistake.sentence.endswith((".", ".)"))
        assert 60 <= len(mistake.sentence) <= 330, mistake.name
