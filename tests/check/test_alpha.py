"""Lesson 3: what its checks say, and that its own solutions are those of the package."""

import pytest
import torch

import kdlab
from kdlab import schedules
from kdlab.check import core, cosine_schedule, distill_step, paired_interval
from tests.check.learners.distill_step import asks_the_batch, by_kd_loss, two_steps_at_once


def test_a_step_is_shown_by_what_is_given_and_by_its_losses():
    message = core.examine(distill_step, two_steps_at_once).message.replace("\n", " ")
    assert "inputs       [[1, 0], [0.5, -1]]" in message
    assert "three losses, and 0 for a teacher in peace" in message
    assert "student  " not in message  # a network is not shown as numbers
    message = core.examine(distill_step, asks_the_batch).message
    assert "inputs of shape (2, 2), labels of shape (2,)" in message


def test_our_own_answers_are_kdlab_s():
    """The exercise, the package's loss and the package's verdicts and schedules say the same."""
    baseline, candidate = torch.tensor([80.0, 81, 79]), torch.tensor([81.0, 83, 80.5])
    found = paired_interval.reference(baseline, candidate)
    verdict = kdlab.verdicts.compare((baseline / 100).tolist(), (candidate / 100).tolist())
    assert [100 * verdict.low, 100 * verdict.high] == pytest.approx(list(map(float, found)), 1e-4)
    for progress in (0.0, 0.3, 1.0):
        ours = cosine_schedule.reference(progress, 0.9, 0.2)
        assert ours == pytest.approx(schedules.cosine(0.9, 0.2)(progress))


def test_the_learner_s_step_trains_the_student_that_distill_trains():
    """With kdlab's start, batches and optimizer, its steps are the loop of kdlab."""
    data = kdlab.load_data("digits", train=96)
    teacher = kdlab.train("mlp-16", data, epochs=1, progress=False, device="cpu").student
    settings = {"epochs": 1, "batch_size": 32, "device": "cpu", "progress": False}
    run = kdlab.distill("mlp-8", teacher, data, temperature=4, alpha=0.3, **settings)
    student = kdlab.models.build("mlp-8", data.train.inputs.shape[1:], 10, seed=0)
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)
    order = torch.randperm(96, generator=kdlab.seeds.generator(0, "batches"))
    for rows in order.split(32):
        batch = data.train[rows]
        by_kd_loss(student, teacher, optimizer, batch.inputs, batch.labels, 4, 0.3)
    for mine, theirs in zip(student.parameters(), run.student.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)
