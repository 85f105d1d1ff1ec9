"""MixUp: inputs and labels are mixed alike, by weights from a Beta."""

import pytest
import torch

import kdlab
from kdlab.errors import Refusal


def shares(labels, classes=3):
    return (torch.tensor(labels)[:, None] == torch.arange(classes)).float()


def test_mixup_mixes_labels_as_it_mixes_inputs():
    inputs, labels = torch.eye(3)[torch.arange(300) % 3], shares([0, 1, 2] * 100)
    torch.manual_seed(0)
    mixed, said = kdlab.MixUp()(inputs, labels)
    assert torch.allclose(mixed, said)  # the inputs are their own labels here
    assert torch.allclose(said.sum(1), torch.ones(300))
    assert said.max(1).values.unique().numel() > 100  # each row draws its own weight
    torch.manual_seed(0)
    again = kdlab.MixUp()(inputs, labels)
    assert torch.equal(again[0], mixed) and torch.equal(again[1], said)
    pictures_mixed, _ = kdlab.MixUp()(torch.randn(300, 1, 8, 8), labels)
    assert pictures_mixed.shape == (300, 1, 8, 8)


@pytest.mark.parametrize("strength", [0.2, 1.0, 4.0])
def test_the_weights_are_those_of_a_beta(strength):
    torch.manual_seed(1)
    own = torch.arange(20_000).double()  # row i is i: partner and weight can be read off
    inputs = torch.stack([own, own**2], dim=1)
    mixed, _ = kdlab.MixUp(strength)(inputs, shares([0, 1] * 10_000))
    # mixed − own = (1 − w)(j − i), and of the squares (1 − w)(j² − i²): their quotient is i + j
    a, b = mixed[:, 0] - inputs[:, 0], mixed[:, 1] - inputs[:, 1]
    moved = a.abs() > 1e-3
    partner = b[moved] / a[moved] - inputs[moved, 0]
    weights = 1 - a[moved] / (partner - inputs[moved, 0])
    assert torch.allclose(partner, partner.round(), atol=1e-2)
    assert weights.mean().item() == pytest.approx(0.5, abs=0.02)
    assert weights.var().item() == pytest.approx(1 / (4 * (2 * strength + 1)), rel=0.1)


def test_a_mixture_with_an_unlabelled_example_has_no_label():
    inputs, labels = torch.arange(1.0, 41)[:, None] ** 3, shares([0, -100] * 20)
    torch.manual_seed(0)
    _, said = kdlab.MixUp()(inputs, labels)
    torch.manual_seed(0)
    seen, _ = kdlab.MixUp()(labels.sum(1, keepdim=True), labels)  # 1 where both are labelled
    both = seen[:, 0] > 1 - 1e-6
    assert 0 < both.sum() < 20
    assert torch.allclose(said.sum(1), both.float())


def test_mixup_refuses_what_cannot_be_mixed():
    for strength in (0, -1, "much", float("inf")):
        with pytest.raises(Refusal, match="number above 0"):
            kdlab.MixUp(strength)
    with pytest.raises(Refusal, match="words by number"):
        kdlab.MixUp()(torch.zeros(4, 3, dtype=torch.long), shares([0, 1, 2, 0]))
