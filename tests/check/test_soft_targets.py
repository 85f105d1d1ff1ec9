"""Lesson 1: what the cases of its exercises hold."""

import pytest
import torch

from kdlab.check import entropy, mean_soft_target, soft_cross_entropy


@pytest.mark.parametrize(
    "exercise", [entropy, mean_soft_target, soft_cross_entropy], ids=lambda exercise: exercise.name
)
def test_cases_are_small_float32_and_nasty(exercise):
    firsts = [case.inputs[0] for case in exercise.cases]
    assert all(first.dtype == torch.float32 and first.numel() <= 70 for first in firsts)
    assert any(len(first) != first.shape[1] for first in firsts)
    assert len({tuple(first.shape) for first in firsts}) >= 4
    assert any((tensor == 0).any() for case in exercise.cases for tensor in case.inputs)
    sizes = [first.numel() for first in firsts]
    assert sizes[0] == min(sizes)


def test_the_teacher_of_the_map_is_wrong_now_and_then_but_names_every_class():
    for case in mean_soft_target.cases:
        probabilities, labels = case.inputs
        assert set(labels.tolist()) == set(range(probabilities.shape[1]))
    drawn = [case.inputs for case in mean_soft_target.cases if case.name.startswith("many")]
    for probabilities, labels in drawn:
        assert set(probabilities.argmax(1).tolist()) == set(labels.tolist())
        assert (probabilities.argmax(1) != labels).any()
