"""Scores by hand, and against scikit-learn where it has them."""

import math

import pytest
import torch
from sklearn import metrics
from torch import nn

from kdlab import models, scores


def answers(count=200, classes=5, seed=0):
    draw = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(count, classes, generator=draw)
    return logits, torch.randint(classes, (count,), generator=draw)


def confident(shares):
    """Logits of two classes whose first class has these probabilities."""
    shares = torch.tensor(shares)
    return torch.stack([shares.log(), (1 - shares).log()], dim=1)


def test_accuracy_by_hand():
    logits = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0], [0.0, 4.0]])
    assert scores.accuracy(logits, torch.tensor([0, 1, 1, 0])) == 0.5


def test_accuracy_and_nll_are_scikit_learns():
    logits, labels = answers()
    assert scores.accuracy(logits, labels) == pytest.approx(
        metrics.accuracy_score(labels, logits.argmax(1))
    )
    probabilities = logits.double().softmax(1).numpy()
    assert scores.nll(logits, labels) == pytest.approx(
        metrics.log_loss(labels, probabilities), rel=1e-5
    )


def test_nll_is_in_nats():
    even = torch.zeros(4, 10)
    assert scores.nll(even, torch.arange(4)) == pytest.approx(math.log(10))


def test_per_class_accuracy_is_recall():
    logits, labels = answers()
    recall = metrics.recall_score(labels, logits.argmax(1), average=None)
    assert scores.per_class_accuracy(logits, labels) == pytest.approx(recall.tolist())


def test_a_class_without_examples_is_nan():
    found = scores.per_class_accuracy(torch.eye(3), torch.tensor([0, 0, 2]))
    assert found[0] == 0.5 and math.isnan(found[1]) and found[2] == 1


# ---------------------------------------------------------------- calibration


def test_ece_by_hand():
    # bin of 0.9: 4 answers, 3 right, gap 0.15; bin of 0.7: 2 answers, none right, gap 0.7
    logits = confident([0.9, 0.9, 0.9, 0.9, 0.7, 0.7])
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    assert scores.ece(logits, labels) == pytest.approx(4 / 6 * 0.15 + 2 / 6 * 0.7, abs=1e-6)


def test_ece_takes_the_top_label_only():
    # the answer is class 1 with 0.8, and right
    assert scores.ece(confident([0.2]), torch.tensor([1])) == pytest.approx(0.2, abs=1e-6)


def test_gaps_within_a_bin_cancel_but_not_between_bins():
    one_bin = confident([0.81, 0.85])  # both in (12/15, 13/15]
    assert scores.ece(one_bin, torch.tensor([0, 1])) == pytest.approx(0.33, abs=1e-6)
    two_bins = confident([0.79, 0.85])
    assert scores.ece(two_bins, torch.tensor([0, 1])) == pytest.approx((0.21 + 0.85) / 2, abs=1e-6)
    assert scores.ece(two_bins, torch.tensor([0, 1]), bins=1) == pytest.approx(0.32, abs=1e-6)


def test_bins_are_open_below_and_closed_above():
    # 0.5 falls into the lower of two bins: gaps of +0.5 and −0.75 do not meet
    logits = torch.stack([torch.zeros(2), confident([0.75])[0]])
    assert scores.ece(logits, torch.tensor([0, 1]), bins=2) == pytest.approx(0.625)


def test_ece_of_sure_answers():
    sure = torch.tensor([[1e4, 0.0], [0.0, 1e4]])
    assert scores.ece(sure, torch.tensor([0, 1])) == 0
    assert scores.ece(sure, torch.tensor([1, 0])) == 1


def test_a_calibrated_model_has_a_small_ece():
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(50_000, 4, generator=draw)
    labels = torch.multinomial(logits.softmax(1), 1, generator=draw).squeeze(1)
    assert scores.ece(logits, labels) < 0.01
    assert scores.ece(3 * logits, labels) > 0.1


@pytest.mark.parametrize("seed", range(3))
def test_ece_against_a_plain_loop(seed):
    logits, labels = answers(seed=seed)
    confidence, answer = logits.softmax(1).max(1)
    expected = 0.0
    for number in range(15):
        inside = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if inside.any():
            right = (answer == labels)[inside].float().mean()
            expected += inside.float().mean() * (right - confidence[inside].mean()).abs()
    assert scores.ece(logits, labels) == pytest.approx(expected.item(), abs=1e-6)


# ---------------------------------------------------------------- agreement and sizes


def test_agreement_by_hand():
    student = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    teacher = torch.tensor([[9.0, 8.0], [1.0, 0.0], [5.0, -5.0]])
    assert scores.agreement(student, teacher) == pytest.approx(2 / 3)


def test_agreement_is_nan_without_a_teacher():
    logits, labels = answers()
    seen = scores.of_logits(logits, labels)
    assert math.isnan(seen["agreement"])
    assert set(seen) == {"accuracy", "nll", "ece", "agreement", "per_class_accuracy"}
    assert scores.of_logits(logits, labels, logits)["agreement"] == 1


def test_all_scores_take_double_and_half():
    logits, labels = answers()
    for dtype in (torch.float64, torch.bfloat16):
        seen = scores.of_logits(logits.to(dtype), labels, logits)
        assert seen["nll"] == pytest.approx(scores.nll(logits, labels), rel=0.02)
        assert seen["ece"] == pytest.approx(scores.ece(logits, labels), abs=0.02)


def test_parameters_count_tied_ones_once():
    layer = nn.Linear(4, 4)
    assert scores.parameters(nn.Sequential(layer, nn.ReLU(), layer)) == 20
    frozen = nn.Linear(4, 4).requires_grad_(False)
    assert scores.parameters(frozen) == 20


@pytest.mark.parametrize("name", ["mlp-8", "fashion-cnn"])
def test_bytes_are_those_of_the_file_written(name, tmp_path):
    from safetensors.torch import save_model

    net = models.build(name, (1, 28, 28), 10)
    save_model(net, str(tmp_path / "net.safetensors"))
    assert scores.size_in_bytes(net) == (tmp_path / "net.safetensors").stat().st_size
