"""What a model costs: counted by hand for nets small enough, timed without gradients."""

import math

import pytest
import torch
from torch import nn

import kdlab
from kdlab import costs, scores
from kdlab.errors import Refusal

torch.set_num_threads(1)
WANTED = {
    "accuracy", "nll", "ece", "agreement", "per_class_accuracy", "parameters", "nonzero", "bytes",
    "zipped_bytes", "macs",
    "latency_ms", "latency_p95_ms", "latency_ms_64", "latency_p95_ms_64", "peak_bytes", "device",
    "threads",
}  # fmt: skip


def toy(count=50):
    draw = torch.Generator().manual_seed(0)
    inputs, labels = torch.randn(count, 4, generator=draw), torch.arange(count) % 3
    return kdlab.load_data((inputs, labels))


class Foreign(nn.Module):
    """A module that kdlab has never seen: batch norm, a dict as output, a note of each call."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)
        self.calls = []

    def forward(self, inputs):
        self.calls.append((len(inputs), self.training, torch.is_grad_enabled()))
        return {"logits": self.last(self.norm(self.first(inputs)).relu())}


def test_one_row_holds_quality_and_cost():
    data, model = toy(), Foreign().train()
    row = kdlab.report(model, data, teacher=nn.Linear(4, 3), device="cpu")
    assert set(row) == WANTED
    logits = kdlab.signals.ask(model, data.validation.inputs)
    assert row["accuracy"] == scores.accuracy(logits, data.validation.labels)
    assert 0 <= row["agreement"] <= 1
    assert row["parameters"] == 4 * 8 + 8 + 8 + 8 + 8 * 3 + 3
    assert row["macs"] == 4 * 8 + 8 * 3
    assert 0 < row["latency_ms"] <= row["latency_p95_ms"]
    assert 0 < row["latency_ms_64"] <= row["latency_p95_ms_64"]
    assert row["threads"] == 1 and row["device"] == "cpu"


def test_the_model_is_asked_in_eval_mode_without_gradients_and_is_left_as_it_was():
    model = Foreign().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    kdlab.report(model, toy(), device="cpu")
    assert not any(training or gradients for _, training, gradients in model.calls)
    assert model.training and model.norm.training
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())


def test_a_model_that_draws_leaves_the_callers_chance_alone():
    class Noisy(nn.Linear):
        def forward(self, inputs):
            return super().forward(inputs) + torch.randn(1)

    torch.manual_seed(5)
    before = torch.get_rng_state()
    model = Noisy(4, 3)
    torch.set_rng_state(before)
    costs.macs(model, torch.zeros(1, 4))
    costs.latency(model, torch.zeros(1, 4), times=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_latency_is_timed_after_a_warm_up():
    model = Foreign()
    times = costs.latency(model, torch.randn(2, 4), times=7)
    assert len(times) == 7 and len(model.calls) == 7 + costs.WARM_UP
    assert all(seconds > 0 for seconds in times)


def test_multiply_adds_of_a_convolution():
    net = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.Flatten(), nn.Linear(3 * 25, 2))
    assert costs.macs(net, torch.zeros(1, 1, 5, 5)) == 25 * 3 * 9 + 75 * 2


def test_peak_bytes_counts_what_is_alive_at_once():
    wide = nn.Sequential(nn.Linear(4, 1000), nn.Linear(1000, 4), nn.Linear(4, 1000))
    inputs = torch.zeros(64, 4)
    weights = sum(part.nbytes for part in wide.parameters())
    at_most = weights + inputs.nbytes + 64 * 1004 * 4
    seen = costs.peak_bytes(wide, inputs)
    assert weights + inputs.nbytes + 64 * 1000 * 4 <= seen <= at_most  # not both wide maps
    relu = nn.Sequential(nn.Linear(4, 1000), nn.ReLU(inplace=True))
    weights = sum(part.nbytes for part in relu.parameters())
    assert costs.peak_bytes(relu, inputs) == weights + inputs.nbytes + 64 * 1000 * 4


def test_a_run_is_reported_by_its_student_and_no_teacher_means_no_agreement():
    run = kdlab.train("mlp-4", toy(), epochs=1, progress=False, device="cpu")
    row = kdlab.report(run, toy(), device="cpu")
    assert math.isnan(row["agreement"])
    assert row["accuracy"] == run.scores["accuracy"] and row["bytes"] == run.scores["bytes"]
    of_test = kdlab.report(run, toy(), split="test", device="cpu")
    assert of_test["accuracy"] == run.score("test", toy())["accuracy"]


@pytest.mark.parametrize(
    ("model", "given", "said"),
    [
        ([], {}, "the path of an ONNX file, got list"),
        (nn.Linear(4, 3), {"split": "tset"}, "split 'tset': expected one of"),
        (nn.Linear(5, 3), {}, "cannot take inputs of shape"),
        (nn.Linear(4, 2), {}, "expected .*, one logit for each"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_timed(model, given, said, monkeypatch):
    monkeypatch.setattr(costs, "latency", None)
    with pytest.raises(Refusal, match=said):
        kdlab.report(model, toy(), device="cpu", **given)
