"""Lesson 4: what its checks say, and that its own solutions are those of the package."""

import pytest
import torch
from torch import nn

import kdlab
from kdlab.check import attention_map, core, feature_loss, project
from tests.check.learners.feature_loss import squared


@pytest.mark.parametrize("loss", [*kdlab.losses.ACROSS_SHAPES, kdlab.losses.hint_loss])
def test_what_the_papers_propose_is_accepted(loss):
    finding = core.examine(feature_loss, loss)
    assert finding.state == "right", (loss.__name__, finding.message)


def test_a_loss_of_ones_own_is_told_what_it_can_do():
    message = core.examine(feature_loss, squared).message
    assert message.startswith("right: squared is a loss that a student can learn from")
    assert "ours" not in message


def test_our_projector_is_a_1x1_convolution():
    conv = nn.Conv2d(3, 5, 1)
    features = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    ours = project.reference(features, conv.weight.flatten(1), conv.bias)
    assert torch.allclose(ours, conv(features), atol=1e-6)


def test_our_attention_map_is_that_of_the_loss():
    student, teacher = (
        torch.randn(3, channels, 4, 4, generator=torch.Generator().manual_seed(channels))
        for channels in (2, 5)
    )
    gap = attention_map.reference(student) - attention_map.reference(teacher)
    loss = kdlab.losses.attention_transfer(student, teacher)
    assert torch.allclose(gap.square().mean(), loss, atol=1e-6)


def test_a_learners_own_loss_trains_a_student():
    data = kdlab.load_data("digits", train=100)
    teacher = kdlab.models.build("cnn-medium", (1, 8, 8), 10)
    own = kdlab.check.feature_loss(squared, note=False)
    assert own is squared
    options = {"epochs": 2, "progress": False, "device": "cpu"}
    match = [kdlab.Match("block1", "block1", loss=own, weight=10)]
    with_it = kdlab.distill("cnn-small", teacher, data, match=match, **options)
    without = kdlab.distill("cnn-small", teacher, data, **options)
    assert not torch.equal(with_it.logits(), without.logits())
    raw = with_it.history["squared block1→block1_raw"]
    assert raw.iloc[-1] < raw.iloc[0]
