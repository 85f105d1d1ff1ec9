"""Lesson 7: what its checks say, and that its own solutions are those of the package."""

import pytest
import torch
import torch.nn.functional as F

import kdlab
from kdlab.check import core, mixup_loss, shapley_of_three
from kdlab.check.quizzes.across import QUIZZES
from tests.check.learners.shapley_of_three import by_kdlab, four


def test_the_table_is_shown_with_expected_and_own_values():
    message = core.examine(shapley_of_three, four(0.4, 0.1, 0.4)).message
    assert "worth     [[[" in message and "expected  [" in message and "yours     [" in message


def test_our_shapley_values_are_kdlab_s():
    worth = torch.randn(2, 2, 2, generator=torch.Generator().manual_seed(3))
    found = shapley_of_three.reference(worth)
    torch.testing.assert_close(found, torch.tensor(by_kdlab(worth), dtype=torch.float32))
    assert found.sum() == pytest.approx(float(worth[1, 1, 1] - worth[0, 0, 0]), abs=1e-6)


def test_our_mixup_loss_is_the_one_that_distill_has_under_mixup():
    """With the mixture as the examples, the teacher asked about it, and mixed labels."""
    inputs, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 2, 1, 0])
    order, weight = torch.tensor([3, 0, 4, 5, 2, 1]), 0.7
    student, teacher = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3).eval()
    mixed = weight * inputs + (1 - weight) * inputs[order]
    hot = F.one_hot(labels, 3).float()
    targets = weight * hot + (1 - weight) * hot[order]
    expected = kdlab.losses.kd_loss(student(mixed), teacher(mixed), targets, 3.0, 0.4)
    found = mixup_loss.reference(student, teacher, inputs, labels, weight, order, 3.0, 0.4)
    torch.testing.assert_close(found, expected)


def test_the_right_answer_is_not_always_in_the_same_place():
    places = [[o.right for o in question.options].index(True) for question in QUIZZES]
    assert len(set(places)) > 1
