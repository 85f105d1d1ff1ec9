"""The knowledge mapping network: what learns from which term, in a run as by itself."""

import pytest
import torch
from torch import nn

import kdlab
from kdlab import Match
from kdlab.errors import Refusal

QUIET = {"progress": False, "device": "cpu", "watch": 0}


class Waves(nn.Module):
    """Features of which a linear student can follow the first half."""

    def forward(self, inputs):
        return torch.cat([inputs, 2 * torch.sin(5 * inputs)], 1)


class Student(nn.Module):
    """Two layers, so that the first one's features can be matched."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(6, 5), nn.Linear(5, 3)

    def forward(self, inputs):
        return self.head(self.body(inputs))


def pair(seed=0):
    torch.manual_seed(seed)
    return torch.randn(32, 5, requires_grad=True), torch.randn(32, 4)


def setting(first=None):
    torch.manual_seed(0)
    inputs = torch.randn(200, 6)
    data = kdlab.load_data((inputs, inputs[:, :3].argmax(1)))
    first = first or nn.Linear(6, 4)
    return data, nn.Sequential(first, nn.Linear(first(inputs).shape[1], 3)).eval()


def run(mapping, weight=1.0, first=None, **options):
    data, teacher = setting(first)
    match = Match("body", "0", loss=mapping, weight=weight)
    return kdlab.distill(Student, teacher, data, match=[match], **{"epochs": 3, **QUIET, **options})


def test_the_loss_is_the_two_errors_each_in_its_own_space():
    student, teacher = pair()
    mapping = kdlab.KnowledgeMapping()
    value = mapping(student, teacher)
    there = (mapping.there(student) - teacher).square().mean()
    back = (mapping.back(teacher) - student).square().mean()
    assert value.item() == pytest.approx((there + back).item())


def test_the_student_learns_from_the_way_there_alone():
    student, teacher = pair()
    mapping = kdlab.KnowledgeMapping()
    mapping(student, teacher).backward()
    whole = student.grad.clone()
    student.grad = None
    (mapping.there(student) - teacher).square().mean().backward()
    assert torch.equal(whole, student.grad)
    assert mapping.back.weight.grad.abs().sum() > 0


def test_maps_are_of_any_shape():
    mapping = kdlab.KnowledgeMapping()
    mapping(torch.randn(4, 2, 3, 3), torch.randn(4, 7))
    assert mapping.there.weight.shape == (7, 18) and mapping.back.weight.shape == (18, 7)


def test_a_run_trains_its_own_copy_with_the_student():
    mapping = kdlab.KnowledgeMapping()
    trained = run(mapping, learning_rate=0.01)
    assert mapping.there is None, "the module that was given stays as it was"
    (own,) = trained.projectors.values()
    longer = run(mapping, learning_rate=0.01, epochs=60)
    (better,) = longer.projectors.values()
    assert own.there.weight.shape == (4, 5)
    name = "KnowledgeMapping body→0"
    assert longer.history[name].iloc[-1] < trained.history[name].iloc[0] / 4
    assert not torch.equal(own.back.weight, better.back.weight)
    assert set(dict(trained.student.named_parameters())) == set(dict(Student().named_parameters()))


def test_the_same_seed_gives_the_same_student():
    first, second = run(kdlab.KnowledgeMapping()), run(kdlab.KnowledgeMapping())
    for name, tensor in first.student.state_dict().items():
        assert torch.equal(tensor, second.student.state_dict()[name])


def test_features_shrink_under_the_joint_map_alone():
    data, _ = setting()

    def spread(trained):
        with torch.no_grad():
            return trained.student.body(data.train.inputs).std(0).mean().item()

    options = {"first": Waves(), "epochs": 30, "loss": "match only", "learning_rate": 0.01}
    start = spread(run(kdlab.KnowledgeMapping(), **{**options, "learning_rate": 0.0}))
    right = spread(run(kdlab.KnowledgeMapping(), **options))
    joint = spread(run(kdlab.KnowledgeMapping(joint=True), weight=10.0, **options))
    assert joint < start < right


def test_a_loss_that_learns_sees_the_features_as_they_are():
    with pytest.raises(Refusal, match="put the projector into it"):
        Match("body", "0", loss=kdlab.KnowledgeMapping(), projector=nn.Linear(5, 4))


def test_a_sweep_takes_it():
    data, teacher = setting()
    matches = {
        "without": [],
        "with": [Match("body", "0", loss=kdlab.KnowledgeMapping(), weight=1.0)],
    }
    atlas = kdlab.sweep(Student, teacher, data, match=matches, seeds=2, epochs=2, progress=False)
    assert list(atlas.table["match"]) == ["without", "without", "with", "with"]
    assert (atlas.table["error"] == "").all()
