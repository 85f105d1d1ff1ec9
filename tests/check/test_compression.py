"""Mutation testing of lesson 5's checks: each wrong answer gets its name, each right one passes.

The answers are written as learners write them, in many styles, and share no code with the bank.
"""

import contextlib
import copy
import io
import itertools
import math
import statistics
import time

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from torch import nn

import kdlab
from kdlab.check import core
from kdlab.check.compression import (
    EXERCISES,
    count_parameters,
    latency,
    pareto_front,
    weight_bytes,
)
from tests.check.answers import Answers

ANSWERS = Answers()
answer, right = ANSWERS.answer, ANSWERS.right


@pytest.fixture
def made_up_clock(monkeypatch):
    """A clock that goes on by a microsecond whenever it is read, on a busy machine as on any."""
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter_ns", lambda: 1_000 * next(ticks))
    monkeypatch.setattr(time, "perf_counter", lambda: 1e-6 * next(ticks))


# ---------------------------------------------------------------- parameters


@right(count_parameters)
def counted(model):
    return sum(p.numel() for p in model.parameters())


@right(count_parameters)
def by_name(model):
    total = 0
    for _name, parameter in model.named_parameters():
        total += math.prod(parameter.shape)
    return total


@right(count_parameters)
def in_one_vector(model):
    return len(nn.utils.parameters_to_vector(model.parameters()))


@right(count_parameters)
def as_a_tensor(model):
    return torch.tensor([p.nelement() for p in model.parameters()]).sum()


@right(count_parameters)
def each_layer_its_own(model):
    seen = {id(p): p.numel() for part in model.modules() for p in part.parameters(recurse=False)}
    return sum(seen.values())


@answer(count_parameters, "biases-forgotten")
def weights_by_name(model):
    return sum(p.numel() for name, p in model.named_parameters() if "weight" in name)


@answer(count_parameters, "biases-forgotten")
def matrices_only(model):
    return sum(p.numel() for p in model.parameters() if p.ndim > 1)


@answer(count_parameters, "buffers-counted")
def with_buffers(model):
    return sum(t.numel() for t in list(model.parameters()) + list(model.buffers()))


@answer(count_parameters, "buffers-counted + tied-twice")
def of_the_state_dict(model):
    return sum(t.numel() for t in model.state_dict().values())


@answer(count_parameters, "tensors-counted")
def how_many_tensors(model):
    return len(list(model.parameters()))


@answer(count_parameters, "tied-twice")
def layer_by_layer(model):
    return sum(p.numel() for part in model.modules() for p in part.parameters(recurse=False))


@answer(count_parameters, "biases-forgotten + tied-twice")
def layers_that_have_weights(model):
    layers = [part for part in model.modules() if hasattr(part, "weight")]
    return sum(layer.weight.numel() for layer in layers)


@answer(count_parameters, "every-level")
def all_of_each_module(model):
    return sum(p.numel() for module in model.modules() for p in module.parameters())


@answer(count_parameters, "frozen-left-out")
def trainable(model):
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@answer(count_parameters, "shapes-added")
def axes_added(model):
    return sum(sum(p.shape) for p in model.parameters())


@answer(count_parameters, "bytes-given")
def bytes_of_parameters(model):
    return sum(p.numel() * 4 for p in model.parameters())


@answer(count_parameters, "shape")
def not_added_up(model):
    return [p.numel() for p in model.parameters()]


@answer(count_parameters, "unknown")
def one_too_many(model):
    return counted(model) + 1


@answer(count_parameters, "type")
def in_words(model):
    return f"{counted(model):,}"


@answer(count_parameters, "raises AttributeError")
def weight_of_everything(model):
    return model.weights.numel()


@answer(count_parameters, "arguments")
def wants_a_file(model, file):
    return counted(model)


# ---------------------------------------------------------------- bytes


@right(weight_bytes)
def nbytes(model):
    return sum(t.nbytes for t in [*model.parameters(), *model.buffers()])


@right(weight_bytes)
def of_the_saved_tensors(model):
    return sum(t.numel() * t.element_size() for t in model.state_dict().values())


@right(weight_bytes)
def of_storages(model):
    return sum(t.untyped_storage().nbytes() for t in model.state_dict().values())


@right(weight_bytes)
def through_numpy(model):
    return sum(np.asarray(t.detach()).nbytes for t in model.state_dict().values())


@right(weight_bytes)
def without_the_header(model):
    file = safetensors.torch.save(model.state_dict())
    return len(file) - 8 - int.from_bytes(file[:8], "little")


@answer(weight_bytes, "numbers-given")
def numbers(model):
    return sum(t.numel() for t in model.state_dict().values())


@answer(weight_bytes, "four-bytes-each")
def always_four(model):
    return 4 * sum(t.numel() for t in model.state_dict().values())


@answer(weight_bytes, "one-type-for-all")
def type_of_the_first(model):
    each = next(model.parameters()).element_size()
    return each * sum(t.numel() for t in [*model.parameters(), *model.buffers()])


@answer(weight_bytes, "four-bytes-each + buffers-forgotten")
def four_times_the_parameters(model):
    return counted(model) * 4


@answer(weight_bytes, "numbers-given + buffers-forgotten")
def the_parameters(model):
    return counted(model)


@answer(weight_bytes, "bits")
def in_bits(model):
    return 8 * nbytes(model)


@answer(weight_bytes, "kilobytes")
def in_kB(model):
    return nbytes(model) / 1000


@answer(weight_bytes, "kilobytes")
def in_KiB(model):
    return nbytes(model) / 2**10


@answer(weight_bytes, "buffers-forgotten")
def parameters_only(model):
    return sum(p.nbytes for p in model.parameters())


@answer(weight_bytes, "kilobytes + buffers-forgotten")
def parameters_in_kB(model):
    return sum(p.numel() * p.element_size() for p in model.parameters()) / 1e3


@answer(weight_bytes, "biases-forgotten")
def no_biases(model):
    return sum(t.nbytes for name, t in model.state_dict().items() if "bias" not in name)


@answer(weight_bytes, "frozen-left-out")
def trainable_and_buffers(model):
    kept = [p for p in model.parameters() if p.requires_grad]
    return sum(t.nbytes for t in [*kept, *model.buffers()])


@answer(weight_bytes, "whole-file")
def file_of_safetensors(model):
    return len(safetensors.torch.save(model.state_dict()))


@answer(weight_bytes, "unknown")
def file_of_torch(model):
    torch.save(model.state_dict(), file := io.BytesIO())
    return len(file.getvalue())


@answer(weight_bytes, "raises AttributeError")
def asks_the_module(model):
    return model.nbytes


# ---------------------------------------------------------------- Pareto front


@right(pareto_front)
def two_loops(costs, scores):
    kept = []
    for cost, score in zip(costs, scores, strict=True):
        beaten = False
        for c, s in zip(costs, scores, strict=True):
            if c <= cost and s >= score and (c < cost or s > score):
                beaten = True
        kept.append(not beaten)
    return kept


@right(pareto_front)
def with_numpy(costs, scores):
    points = np.stack([costs.numpy(), -scores.numpy()], axis=1)
    return np.array([not ((points <= p).all(1) & (points < p).any(1)).any() for p in points])


@right(pareto_front)
def sorted_with_care(costs, scores):
    pairs = list(zip(costs.tolist(), scores.tolist(), strict=True))
    front, best = set(), -math.inf
    for cost, score in sorted(set(pairs), key=lambda pair: (pair[0], -pair[1])):
        if score > best:
            front.add((cost, score))
            best = score
    return torch.tensor([pair in front for pair in pairs])


@right(pareto_front)
def as_ones(costs, scores):
    """1 and 0 for True and False."""
    return [int(kept) for kept in two_loops(costs, scores)]


@answer(pareto_front, "dominated-kept")
def against_the_best(costs, scores):
    best = scores.argmax()
    return ~(
        (costs[best] < costs) & (scores[best] >= scores)
        | (costs[best] <= costs) & (scores[best] > scores)
    )


@answer(pareto_front, "dominated-kept")
def against_the_cheapest(costs, scores):
    cheapest = costs.argmin()
    beaten = (costs[cheapest] <= costs) & (scores[cheapest] >= scores)
    same = (costs == costs[cheapest]) & (scores == scores[cheapest])
    return ~beaten | same


@answer(pareto_front, "neighbour-only")
def better_than_the_next_cheaper(costs, scores):
    order = sorted(range(len(costs)), key=lambda i: costs[i].item())
    front = [True] * len(costs)
    for before, i in itertools.pairwise(order):
        front[i] = bool(scores[i] > scores[before])
    return front


@answer(pareto_front, "running-best")
def best_so_far(costs, scores):
    front, best = torch.zeros(len(costs), dtype=torch.bool), -math.inf
    for i in torch.sort(costs, stable=True).indices:
        if scores[i] > best:
            front[i], best = True, scores[i]
    return front


@answer(pareto_front, "running-best")
def at_least_the_best_so_far(costs, scores):
    front, best = torch.zeros(len(costs), dtype=torch.bool), -math.inf
    for i in torch.sort(costs, stable=True).indices:
        if scores[i] >= best:
            front[i], best = True, scores[i]
    return front


@answer(pareto_front, "dear-for-cheap")
def dear(costs, scores):
    return two_loops(-costs, scores)


@answer(pareto_front, "worse-for-better")
def low_scores(costs, scores):
    return two_loops(costs, -scores)


@answer(pareto_front, "dear-for-cheap + worse-for-better")
def both_turned(costs, scores):
    return two_loops(-costs, -scores)


@answer(pareto_front, "twins-strike-out")
def any_other_as_good(costs, scores):
    front = []
    for i in range(len(costs)):
        others = [j for j in range(len(costs)) if j != i]
        front.append(not any(costs[j] <= costs[i] and scores[j] >= scores[i] for j in others))
    return front


@answer(pareto_front, "second-twin-dropped")
def sorted_by_both(costs, scores):
    front, best = [False] * len(costs), -math.inf
    for i in sorted(range(len(costs)), key=lambda i: (costs[i].item(), -scores[i].item())):
        if scores[i] > best:
            front[i], best = True, scores[i]
    return front


@answer(pareto_front, "beats-itself")
def not_strict(costs, scores):
    return ~((costs[:, None] <= costs) & (scores[:, None] >= scores)).any(0)


@answer(pareto_front, "better-in-both")
def strict_in_both(costs, scores):
    return ~((costs[:, None] < costs) & (scores[:, None] > scores)).any(dim=0)


@answer(pareto_front, "one-best")
def the_best(costs, scores):
    return scores == max(scores)


@answer(pareto_front, "one-best")
def the_cheapest(costs, scores):
    return [cost == min(costs) for cost in costs]


@answer(pareto_front, "one-best")
def most_for_the_money(costs, scores):
    value = scores / costs
    return value >= value.max()


@answer(pareto_front, "inverted")
def beaten_ones(costs, scores):
    return [not kept for kept in two_loops(costs, scores)]


@answer(pareto_front, "sorted")
def in_order_of_cost(costs, scores):
    order = costs.argsort(stable=True)
    return two_loops(costs[order], scores[order])


@answer(pareto_front, "shape")
def places(costs, scores):
    return [i for i, kept in enumerate(two_loops(costs, scores)) if kept] or [0]


@answer(pareto_front, "changes-input")
def turns_in_place(costs, scores):
    return two_loops(costs, -scores.neg_())


@answer(pareto_front, "raises IndexError")
def one_too_far(costs, scores):
    return [bool(scores[i + 1] > scores[i]) for i in range(len(costs))]


# ---------------------------------------------------------------- latency


def seconds_of(model, inputs, calls):
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        model(inputs)
        end = time.perf_counter()
        seconds.append(end - start)
    return seconds


@contextlib.contextmanager
def in_eval_mode(model):
    mode = model.training
    model.eval()
    yield
    model.train(mode)


@right(latency)
def all_as_it_should_be(model, inputs, calls=20):
    with in_eval_mode(model), torch.no_grad():
        for _ in range(10):
            model(inputs)
        return statistics.median(seconds_of(model, inputs, calls))


@right(latency)
def one_call_to_warm_up(model, inputs, calls=20):
    with in_eval_mode(model), torch.inference_mode():
        model(inputs)
        return np.median(seconds_of(model, inputs, calls))


@right(latency)
def on_a_copy(model, inputs, calls=20):
    there = copy.deepcopy(model).eval()
    with torch.no_grad():
        seconds_of(there, inputs, 2)
        return torch.tensor(seconds_of(there, inputs, calls)).quantile(0.5)


@right(latency)
def first_ones_dropped(model, inputs, calls=20):
    with in_eval_mode(model), torch.no_grad():
        return sorted(seconds_of(model, inputs, calls + 5)[5:])[calls // 2]


@right(latency)
def dropped_from_the_calls(model, inputs, calls=20):
    with in_eval_mode(model), torch.no_grad():
        return statistics.median(seconds_of(model, inputs, calls)[3:])


@right(latency)
@torch.no_grad()
def decorated(model, inputs, calls=20):
    mode = model.training
    model.train(False)
    seconds_of(model, inputs, calls)
    seconds = sorted(seconds_of(model, inputs, calls))
    model.train(mode)
    return seconds[len(seconds) // 2]


def timed(mode=in_eval_mode, quiet=torch.no_grad, warm=3, tell=statistics.median, least=None):
    """A function to be checked, with one thing or another left out."""

    def measure(model, inputs, calls=20):
        with mode(model), quiet():
            for _ in range(warm):
                model(inputs)
            return tell(seconds_of(model, inputs, least or calls))

    return measure


@contextlib.contextmanager
def eval_left_on(model):
    model.eval()
    yield


@contextlib.contextmanager
def training_afterwards(model):
    model.eval()
    yield
    model.train()


WRONG = {
    "no-warm-up": timed(warm=0),
    "gradients-on": timed(quiet=contextlib.nullcontext),
    "training-mode": timed(mode=contextlib.nullcontext),
    "mode-not-put-back": timed(mode=eval_left_on),
    "mean": timed(tell=statistics.mean),
    "total": timed(tell=math.fsum),
    "fastest-or-slowest": timed(tell=min),
    "other-unit": timed(tell=lambda seconds: 1000 * statistics.median(seconds)),
    "too-few-calls": timed(least=1),
    "all-times-given": timed(tell=list),
    "no-warm-up + gradients-on": timed(warm=0, quiet=contextlib.nullcontext),
    "gradients-on + training-mode": timed(
        mode=contextlib.nullcontext, quiet=contextlib.nullcontext
    ),
    "no-warm-up + mean": timed(warm=0, tell=statistics.mean),
    "mean + other-unit": timed(tell=lambda seconds: 1e3 * sum(seconds) / len(seconds)),
    "unknown": timed(tell=lambda seconds: 3 * statistics.median(seconds) + 40),
    "type": timed(tell=lambda seconds: {"seconds": statistics.median(seconds)}),
    "raises TypeError": timed(tell=lambda seconds: seconds / len(seconds)),
}
ANSWERS += [(latency, name, f) for name, f in WRONG.items()]
ANSWERS += [
    (latency, "mode-not-put-back", timed(mode=training_afterwards)),
    (latency, "fastest-or-slowest", timed(tell=max)),
    (latency, "other-unit", timed(tell=lambda seconds: 1e6 * statistics.median(seconds))),
    (latency, "arguments", lambda model: 0.0),
]


@answer(latency, "mean")
def once_around_the_loop(model, inputs, calls=20):
    with in_eval_mode(model), torch.no_grad():
        seconds_of(model, inputs, 4)
        start = time.perf_counter()
        for _ in range(calls):
            model(inputs)
        return (time.perf_counter() - start) / calls


@answer(latency, "other-unit")
def in_nanoseconds(model, inputs, calls=20):
    with in_eval_mode(model), torch.no_grad():
        seconds_of(model, inputs, 4)
        seconds = []
        for _ in range(calls):
            start = time.perf_counter_ns()
            model(inputs)
            seconds.append(time.perf_counter_ns() - start)
        return statistics.median(seconds)


@answer(latency, "training-mode")
def in_training_mode_whatever_it_was(model, inputs, calls=20):
    mode = model.training
    model.train()
    with torch.no_grad():
        seconds_of(model, inputs, 4)
        told = statistics.median(seconds_of(model, inputs, calls))
    model.train(mode)
    return told


@answer(latency, "too-few-calls")
def never_called(model, inputs, calls=20):
    return 1e-3


# ---------------------------------------------------------------- what they show


def named(f):
    return getattr(f, "__name__", type(f).__name__)


@pytest.mark.parametrize(
    ("exercise", "name", "f"), ANSWERS, ids=[f"{e.name}-{n}-{named(f)}" for e, n, f in ANSWERS]
)
def test_answer_gets_its_name(exercise, name, f, made_up_clock):
    finding = core.examine(exercise, f)
    assert (finding.mistake or finding.state) == name, finding.message
    assert (finding.state == "right") == (name == "right")


def test_every_mistake_of_the_bank_has_a_wrong_answer_here():
    tried = {(exercise.name, name) for exercise, name, _ in ANSWERS}
    bank = {(exercise.name, m.name) for exercise in EXERCISES for m in exercise.mistakes}
    assert bank <= tried


def raises_not_implemented(*_):
    raise NotImplementedError


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
@pytest.mark.parametrize("stub", [lambda *a: None, lambda *a: ..., raises_not_implemented])
def test_a_stub_is_open_and_gets_ours(exercise, stub):
    assert core.examine(exercise, stub).state == "not yet"
    assert exercise(stub, note=False) is exercise.reference


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


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
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


# ---------------------------------------------------------------- ours


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
