"""Lesson 5: what its checks say, and that its own solutions are those of the package."""

import copy

import pandas as pd
import pytest
import safetensors.torch
import torch
from torch import nn

import kdlab
from kdlab.check import core, count_parameters, latency, pareto_front, weight_bytes
from tests.check.learners.count_parameters import one_too_many, weight_of_everything, with_buffers
from tests.check.learners.latency import WRONG, all_as_it_should_be
from tests.check.learners.pareto_front import against_the_best, sorted_with_care
from tests.check.learners.weight_bytes import always_four


@pytest.mark.parametrize(
    ("exercise", "f"),
    [
        (count_parameters, with_buffers),
        (weight_bytes, always_four),
        (pareto_front, against_the_best),
        (latency, WRONG["no-warm-up"]),
    ],
)
def test_a_wrong_function_is_kept_only_if_asked(exercise, f, capsys):
    assert exercise(f, note=False) is exercise.reference
    assert capsys.readouterr().out.endswith("Until it is right, ours is used.\n")
    assert exercise(f, keep=True, note=False) is f
    assert capsys.readouterr().out.endswith("You keep your function.\n")


def test_an_error_names_the_model_it_happened_on():
    message = " ".join(core.examine(count_parameters, weight_of_everything).message.split())
    assert "'Linear' object has no attribute 'weights'" in message
    assert "on the case: nn.Linear(4, 3) (model 1)" in message


def test_other_values_are_shown_beside_ours():
    message = core.examine(count_parameters, one_too_many).message
    assert "The smallest of these cases: nn.Linear(4, 3)." in message
    assert "expected  15" in message
    assert "yours     16" in message


def test_a_right_timing_by_the_real_clock_is_praised_for_what_it_does():
    message = core.examine(latency, all_as_it_should_be).message
    assert message.startswith("right: all_as_it_should_be times the median call, warmed up")
    assert "ours" not in message


@pytest.mark.parametrize(
    "exercise",
    [count_parameters, weight_bytes, pareto_front, latency],
    ids=lambda exercise: exercise.name,
)
def test_checking_leaves_the_random_state_alone(exercise):
    before = torch.get_rng_state()
    core.examine(exercise, lambda *given: exercise.reference(*given))
    assert torch.equal(before, torch.get_rng_state())


def test_gradients_that_a_function_switches_off_are_on_again():
    def switches_off(model, inputs, calls):
        torch.set_grad_enabled(False)
        return all_as_it_should_be(model, inputs, calls)

    core.examine(latency, switches_off)
    assert torch.is_grad_enabled()


def models():
    yield kdlab.models.build("mlp-8", (1, 8, 8), 10)
    yield kdlab.models.build("cnn-small", (1, 8, 8), 10)
    yield kdlab.models.build("cnn-small", (1, 8, 8), 10).half()


def test_our_counts_are_those_of_the_scores():
    for model in models():
        assert count_parameters.reference(model) == kdlab.scores.parameters(model)
        file = safetensors.torch.save(model.state_dict())
        header = 8 + int.from_bytes(file[:8], "little")
        assert weight_bytes.reference(model) == kdlab.scores.size_in_bytes(model) - header


def test_our_front_is_its_definition_where_many_points_are_equal():
    chance = torch.Generator().manual_seed(0)
    for _ in range(50):
        costs, scores = torch.randint(4, (2, 12), generator=chance).float()
        front = pareto_front.reference(costs, scores)
        assert front == sorted_with_care(costs, scores).tolist()


def test_our_front_takes_columns_of_a_table():
    table = pd.DataFrame({"bytes": [300, 100, 200], "accuracy": [0.8, 0.7, 0.9]}, index=[*"abc"])
    front = table[pareto_front.reference(table["bytes"], table["accuracy"])]
    assert list(front.index) == ["b", "c"]


def test_our_latency_leaves_a_model_as_it_was():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout())
    before = copy.deepcopy(model.state_dict())
    for training in (True, False):
        model.train(training)
        assert latency.reference(model, torch.ones(2, 3)) > 0
        assert model.training is training
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
