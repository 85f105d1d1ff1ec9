"""Students trained in one loop are those that train one by one."""

import functools
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import kdlab
from kdlab import jobs, together, training
from kdlab.errors import LossNotFinite, Refusal

torch.set_num_threads(1)
QUIET = {"progress": False, "device": "cpu"}


def toy(count=100, **options):
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(count, 4, generator=draw)
    labels = (inputs @ torch.randn(4, 3, generator=draw)).argmax(1)
    labels[:3] = torch.arange(3)
    return kdlab.load_data((inputs, labels), **options)


def teacher_net():
    with torch.random.fork_rng():
        torch.manual_seed(9)
        return nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))


TEACHER = teacher_net()
SEEDS = (0, 3, 4)


def prepared(student="mlp-8", data=None, teacher=TEACHER, **options):
    """Jobs of one setting for SEEDS; `data` may be a function of the seed."""
    shared = toy() if data is None else data
    options = {**training.distill.__kwdefaults__, **QUIET, **options}
    return [
        jobs.prepare(
            student, teacher, shared(seed) if callable(shared) else shared,
            **{**options, "seed": seed},
        )
        for seed in SEEDS
    ]  # fmt: skip


def in_turn(student="mlp-8", data=None, teacher=TEACHER, **options):
    shared = toy() if data is None else data
    return [
        kdlab.distill(
            student, teacher, shared(seed) if callable(shared) else shared,
            **{**QUIET, **options, "seed": seed},
        )
        for seed in SEEDS
    ]  # fmt: skip


def largest_gap(made, single):
    return max(
        (job.run.logits() - run.logits()).abs().max().item()
        for job, run in zip(made, single, strict=True)
    )


def rate(progress):
    return 0.01 * (1 - progress)


# 60 examples: batches of 59 leave one over, batches of 7 end on 4, batches of 500 hold them all
GRID = list(itertools.product([59, 7, 500], [0.0, 0.3, 1.0], [0.5, 20.0]))


@pytest.mark.parametrize(("batch_size", "alpha", "temperature"), GRID)
def test_each_member_is_its_single_run_in_double(batch_size, alpha, temperature):
    options = {
        "batch_size": batch_size, "alpha": alpha, "temperature": temperature,
        "precision": "float64", "epochs": 5, "learning_rate": 0.01,
    }  # fmt: skip
    made, single = prepared(**options), in_turn(**options)
    assert together.can(made)
    histories = together.loop(made)
    assert largest_gap(made, single) < 1e-9
    for history, run in zip(histories, single, strict=True):
        for row, expected in zip(history, run.history.to_dict("records"), strict=True):
            assert row.keys() == expected.keys()
            assert all(row[key] == pytest.approx(expected[key], rel=1e-6) for key in row)


def drawn(seed):
    return toy(train=40, seed=seed)


def noisy(seed):
    """The same inputs for every seed, labels of its own."""
    labels = SHARED.train.labels.roll(seed)
    return replace(SHARED, train=replace(SHARED.train, labels=labels))


def with_an_if(student_logits, teacher_logits, labels, temperature, alpha):
    assert isinstance(temperature, float) and isinstance(alpha, float)
    if alpha > 0.5:
        return kdlab.losses.kd_loss(student_logits, teacher_logits, labels, temperature, alpha)
    terms = kdlab.losses.kd_terms(student_logits, teacher_logits, labels, temperature, alpha)
    return terms | {"small": 0.01 * student_logits.square().mean()}


def scaled(factor):
    def loss(student_logits, teacher_logits, labels, temperature, alpha):
        kd = kdlab.losses.kd_loss(student_logits, teacher_logits, labels, temperature, alpha)
        return factor * kd

    return loss


SHARED = toy()
WITH_TRANSFER = toy(train=30, unlabelled=25)
ODD = {
    "a rate that follows progress": {"learning_rate": rate},
    "a loss with an if": {"loss": with_an_if, "alpha": 0.3},
    "the other branch of it": {"loss": with_an_if, "alpha": 0.7},
    "a loss with a number of its own": {"loss": scaled(3.0)},
    "alpha and temperature that follow progress": {
        "alpha": kdlab.schedules.linear(1, 0), "temperature": kdlab.schedules.cosine(8, 1),
    },
    "transfer": {"data": WITH_TRANSFER, "transfer": True},
    "transfer without labels in most batches": {
        "data": WITH_TRANSFER, "transfer": True, "batch_size": 3, "alpha": 0.5,
    },
    "a draw for each seed": {"data": drawn},
    "labels for each seed": {"data": noisy},
    "a draw and transfer for each seed": {
        "data": lambda seed: toy(train=20, unlabelled=30, seed=seed), "transfer": True,
    },
    "a recorded teacher": {"teacher": kdlab.record(TEACHER, SHARED.train), "data": SHARED},
    "a module that is the start of all": {"student": nn.Sequential(nn.Linear(4, 3))},
    "deeper": {
        "student": lambda: nn.Sequential(
            nn.Linear(4, 6), nn.Tanh(), nn.Sequential(nn.Linear(6, 5), nn.GELU()), nn.Linear(5, 3)
        )
    },
    "every activation": {
        "student": lambda: nn.Sequential(
            nn.Flatten(), nn.ReLU(inplace=True), nn.Linear(4, 6, bias=False), nn.Sigmoid(),
            nn.Linear(6, 7), nn.GELU(approximate="tanh"), nn.Identity(), nn.Linear(7, 5),
            nn.ReLU(inplace=True), nn.Linear(5, 3), nn.Tanh(),
        )
    },
    "not watched": {"watch": 0},
    "watched on few": {"watch": 7},
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-9), ("float32", 1e-4)])
def test_odd_settings_agree_too(case, precision, tolerance):
    options = {"epochs": 5, "batch_size": 16, "precision": precision, **ODD[case]}
    made, single = prepared(**options), in_turn(**options)
    assert together.can(made)
    histories = together.loop(made)
    assert largest_gap(made, single) < tolerance
    for history, run in zip(histories, single, strict=True):
        assert list(history[0]) == list(run.history)
        seen = [row.get("validation_accuracy", 0) for row in history]
        assert np.allclose(seen, run.history.get("validation_accuracy", 0))


GRIDS = {
    "alpha and temperature": [{"alpha": a, "temperature": t} for a in (0, 0.4, 1) for t in (1, 9)],
    "rates": [{"learning_rate": 0.003}, {"learning_rate": rate}, {"learning_rate": 0.01}],
    "teachers": [
        {"teacher": t, "alpha": a} for t in (TEACHER, nn.Linear(4, 3)) for a in (0.3, 1)
    ],
    "uneven": [{"alpha": 1}, {"alpha": 0.5, "teacher": nn.Linear(4, 3)}, {"alpha": 1}],
    "rates by alpha": [
        {"learning_rate": r, "alpha": a} for a in (0.2, 0.9) for r in (0.01, rate, 0.001)
    ],
    "losses": [
        {"loss": loss, "alpha": a} for loss in (with_an_if, scaled(0.5)) for a in (0.2, 0.9)
    ],
}  # fmt: skip


@pytest.fixture
def two_cores(monkeypatch):
    """Two cores, and any step large enough for both."""
    monkeypatch.setattr(together, "SMALL_STEP", 1)
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.mark.parametrize("case", GRIDS)
@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-9), ("float32", 1e-4)])
@pytest.mark.parametrize("cores", [1, 2])
def test_members_may_differ_in_each_of_these(case, precision, tolerance, cores, request):
    if cores == 2:
        request.getfixturevalue("two_cores")
    options = {"epochs": 5, "batch_size": 16, "data": SHARED, "precision": precision}
    made = [job for own in GRIDS[case] for job in prepared(**options, **own)]
    single = [run for own in GRIDS[case] for run in in_turn(**options, **own)]
    assert together.can(made)
    histories = together.loop(made)
    assert largest_gap(made, single) < tolerance
    for job, history, run in zip(made, histories, single, strict=True):
        assert list(history[0]) == list(run.history)
        assert job.run.logits().allclose(job.validation_logits, atol=tolerance)


def test_bf16_members_are_near_their_single_runs_and_are_float32_afterwards():
    options = {"epochs": 5, "batch_size": 16, "learning_rate": 0.01}
    made = prepared(precision="bf16", **options)
    assert together.can(made)
    together.loop(made)
    assert 0 < largest_gap(made, in_turn(**options)) < 0.1
    assert all(job.student.hidden.weight.dtype == torch.float32 for job in made)


def test_an_error_of_one_members_loss_leaves_the_others_alone():
    def bursting(student_logits, teacher_logits, labels, temperature, alpha):
        if alpha == 0.5 and student_logits.abs().max() > 0.5:
            raise ArithmeticError("too large")
        return kdlab.losses.kd_loss(student_logits, teacher_logits, labels, temperature, alpha)

    options = {"epochs": 5, "batch_size": 16, "data": SHARED, "loss": bursting}
    made = prepared(**options, alpha=0.4) + prepared(**options, alpha=0.5)
    outcomes = together.loop(made)
    assert [isinstance(one, ArithmeticError) for one in outcomes] == 3 * [False] + 3 * [True]
    assert largest_gap(made[:3], in_turn(**options, alpha=0.4)) < 1e-4


def test_members_differ_from_each_other():
    made = prepared(epochs=2)
    together.loop(made)
    weights = [job.student.hidden.weight for job in made]
    assert not torch.equal(weights[0], weights[1]) and not torch.equal(weights[1], weights[2])
    assert all(type(weight) is nn.Parameter and weight.requires_grad for weight in weights)


# ---------------------------------------------------------------- when it says no


def tied():
    layer = nn.Linear(4, 4)
    return nn.Sequential(layer, nn.ReLU(), layer, nn.Linear(4, 3))


def hooked():
    net = nn.Sequential(nn.Linear(4, 3))
    net.register_forward_hook(lambda module, given, output: output * 2)
    return net


def frozen():
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3))
    net[0].requires_grad_(False)
    return net


class OwnForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, inputs):
        return self.layer(inputs)


class OwnSequential(nn.Sequential):
    def forward(self, inputs):
        return 2 * super().forward(inputs)


def noisy_loss(student_logits, teacher_logits, labels, temperature, alpha):
    noise = 0.1 * torch.randn_like(student_logits)
    return kdlab.losses.kd_loss(student_logits + noise, teacher_logits, labels, temperature, alpha)


def counting_loss():
    calls = []

    def loss(student_logits, teacher_logits, labels, temperature, alpha):
        calls.append(1)
        return kdlab.losses.kd_loss(student_logits, teacher_logits, labels, temperature, alpha)

    return loss


def other_size(seed):
    return toy(train=40 + seed)


def other_validation(seed):
    data = toy()
    part = data.validation
    return replace(data, validation=replace(part, labels=part.labels.roll(seed)))


NO = {
    "dropout": {"student": lambda: nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.1))},
    "batch norm": {"student": lambda: nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3))},
    "a forward of its own": {"student": OwnForward},
    "a Sequential of its own": {"student": lambda: OwnSequential(nn.Linear(4, 3))},
    "tied layers": {"student": tied},
    "a hook": {"student": hooked},
    "frozen layers": {"student": frozen},
    "a loss that draws chance": {"loss": noisy_loss},
    "a loss that counts its calls": {"loss": counting_loss()},
    "augmentation": {"augment": lambda inputs: inputs},
    "augmentation without a teacher": {"augment": lambda inputs: inputs, "alpha": 1},
    "an optimizer of its own": {"optimizer": torch.optim.SGD},
    "draws of several sizes": {"data": other_size},
    "several validations": {"data": other_validation},
}


@pytest.mark.parametrize("case", NO)
def test_what_cannot_be_stacked_is_trained_in_turn_with_the_same_result(case):
    options = {"epochs": 2, "batch_size": 16, **NO[case]}
    assert not together.can(prepared(**options))
    single = in_turn(**options)
    data = options.pop("data", None) or toy()
    student = options.pop("student", "mlp-8")
    swept = kdlab.sweep(
        student, TEACHER, data, seeds=list(SEEDS), device="cpu", progress=False, **options
    )
    for run, expected in zip(swept.runs, single, strict=True):
        assert torch.equal(run.logits(), expected.logits())
        assert run.history.equals(expected.history)


def test_one_job_alone_is_trained_alone():
    assert not together.can(prepared()[:1])


def test_a_sweep_takes_the_loop_where_it_can(monkeypatch):
    calls = []
    loop = together.loop
    monkeypatch.setattr(together, "loop", lambda made, **own: calls.append(len(made)) or loop(made))
    swept = kdlab.sweep("mlp-8", TEACHER, SHARED, seeds=list(SEEDS), epochs=5, progress=False)
    assert calls == [3]
    for run, expected in zip(swept.runs, in_turn(data=SHARED, epochs=5), strict=True):
        assert (run.logits() - expected.logits()).abs().max() < 1e-4
        assert run.scores["accuracy"] == pytest.approx(expected.scores["accuracy"], abs=0.051)
        assert run.finished and not run.student.training


# ---------------------------------------------------------------- stopped


def test_nan_in_one_member_stops_with_its_step():
    with pytest.raises(LossNotFinite) as single:
        in_turn(learning_rate=1e30, epochs=9)
    outcomes = together.loop(prepared(learning_rate=1e30, epochs=9))
    assert all(isinstance(outcome, LossNotFinite) for outcome in outcomes)
    assert outcomes[0].step == single.value.step
    assert len(outcomes[0].history) == len(single.value.history)


def test_stop_ends_the_loop_within_a_step():
    asked = []
    with pytest.raises(kdlab.Stopped):
        together.loop(prepared(stop=lambda: asked.append(1) or len(asked) == 3, epochs=50))
    assert len(asked) == 3


@pytest.mark.parametrize("data", [SHARED, functools.cache(drawn)], ids=["shared", "drawn"])
def test_each_core_trains_its_part(data, two_cores):
    made = [job for a in (0.2, 0.5, 0.9) for job in prepared(data=data, alpha=a, epochs=2)]
    first, second = together._parts(made)
    assert not set(map(id, first)) & set(map(id, second)) and len(first) + len(second) == 9
    for part in (first, second):  # as many of each seed: those share the product of a first layer
        seen = [job.options["seed"] for job in part]
        assert len({seen.count(seed) for seed in SEEDS}) == 1
    assert len(together._parts(made[:3])) == 2  # one of each seed: by seed
    told = []
    outcomes = together.loop(made, tick=told.append)
    assert sorted(told) == [3, 3, 6, 6] and torch.get_num_threads() == 2
    alone = prepared(data=data, alpha=0.9, epochs=2)
    together.loop(alone)
    assert largest_gap(made[6:], [job.run for job in alone]) < 1e-6
    assert [len(history) for history in outcomes] == [2] * 9


def test_small_steps_and_own_losses_stay_on_one_core(two_cores, monkeypatch):
    assert together._parts(made := prepared(loss=with_an_if)) == [made]
    monkeypatch.undo()
    assert together._parts(made := prepared()) == [made]


def test_stop_is_asked_once_a_step_and_ends_every_part(two_cores):
    asked = []
    together.loop(prepared(stop=lambda: asked.append(1) and False, epochs=2, batch_size=500))
    assert len(asked) == 2
    with pytest.raises(kdlab.Stopped):
        together.loop(prepared(stop=lambda: True, epochs=100_000))


def test_an_interrupt_ends_every_part(two_cores):
    def stop():
        asked.append(1)
        if len(asked) == 5:
            raise KeyboardInterrupt
        return False

    asked = []
    with pytest.raises(KeyboardInterrupt):
        together.loop(prepared(stop=stop, epochs=100_000))
    assert torch.get_num_threads() == 2


def test_too_little_memory_is_said(monkeypatch):
    def full(made, **own):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")

    monkeypatch.setattr(together, "loop", full)
    with pytest.raises(Refusal, match=r"not enough memory.*batch_size=64"):
        kdlab.sweep("mlp-8", TEACHER, SHARED, seeds=2, progress=False)


def test_the_callers_random_state_is_as_it_was():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    kdlab.sweep("mlp-8", TEACHER, SHARED, seeds=2, epochs=1, progress=False)
    assert torch.equal(torch.get_rng_state(), before)
