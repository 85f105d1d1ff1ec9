"""Numbers that change while a student is trained."""

import math

import numpy as np
import pytest
import torch

import kdlab
from kdlab import schedules
from kdlab.errors import Refusal

torch.set_num_threads(1)
DRAW = torch.Generator().manual_seed(0)
INPUTS = torch.randn(120, 4, generator=DRAW)
DATA = kdlab.load_data((INPUTS, (INPUTS @ torch.randn(4, 3, generator=DRAW)).argmax(1)))
torch.manual_seed(0)
TEACHER = torch.nn.Linear(4, 3)
STEPS = -(-len(DATA.train) // 15)  # an epoch


def distill(**options):
    options = {"epochs": 4, "batch_size": 15, "device": "cpu", "progress": False, **options}
    return kdlab.distill("mlp-4", TEACHER, DATA, **options)


@pytest.mark.parametrize(
    ("schedule", "name", "values"),
    [
        (schedules.constant(0.3), "constant 0.3", [0.3, 0.3, 0.3]),
        (schedules.linear(0.9, 0.1), "linear 0.9 to 0.1", [0.9, 0.5, 0.1]),
        (schedules.cosine(1, 0), "cosine 1 to 0", [1, 0.5, 0]),
        (schedules.step(0, 1), "step 0 to 1 at 0.5", [0, 1, 1]),
        (schedules.step(2, 8, at=0.6), "step 2 to 8 at 0.6", [2, 2, 8]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_values_at_the_start_the_middle_and_the_end(schedule, name, values):
    assert [schedule(progress) for progress in (0, 0.5, 1)] == pytest.approx(values)
    assert schedule.__name__ == name


def test_a_cosine_is_slow_at_both_ends():
    cosine, linear = schedules.cosine(1, 0), schedules.linear(1, 0)
    assert cosine(0.1) > linear(0.1) and cosine(0.9) < linear(0.9)
    assert cosine(1 / 3) == pytest.approx((1 + math.cos(math.pi / 3)) / 2)


def same(one, other):
    return torch.equal(one.logits(), other.logits())


@pytest.mark.parametrize("argument", ["alpha", "temperature"])
def test_a_constant_schedule_is_the_number(argument):
    assert same(distill(**{argument: 0.7}), distill(**{argument: schedules.constant(0.7)}))


def test_alpha_follows_progress_step_by_step():
    """Epoch by epoch, the weight that the history shows is the mean of the schedule."""

    def ones(student_logits, teacher_logits, labels, temperature, alpha):
        return {"alpha": alpha + 0 * student_logits.sum(), "rest": 0 * student_logits.sum()}

    asked = distill(loss=ones, alpha=schedules.linear(1, 0)).history["alpha"]
    steps = 4 * STEPS
    expected = 1 - np.arange(steps).reshape(4, STEPS) / steps
    assert np.allclose(asked, expected.mean(1))


def test_the_history_weighs_each_term_by_the_schedule():
    """With one step in an epoch, weighted over raw is the schedule itself, not a mean of it."""
    history = distill(alpha=schedules.linear(1, 0), batch_size=len(DATA.train)).history
    assert np.allclose(history["labels"] / history["labels_raw"], [1, 0.75, 0.5, 0.25])
    assert np.allclose(history["teacher"][1:] / history["teacher_raw"][1:], [0.25, 0.5, 0.75])


def test_a_weight_of_zero_has_no_raw_value():
    history = distill(alpha=schedules.step(1, 0)).history
    assert history["teacher"].tolist()[:2] == [0, 0] and history["labels"].tolist()[2:] == [0, 0]
    assert history["teacher_raw"].isna().tolist() == [True, True, False, False]
    assert history["labels_raw"].isna().tolist() == [False, False, True, True]


def test_temperature_follows_progress():
    asked = []

    def loss(student_logits, teacher_logits, labels, temperature, alpha):
        asked.append(temperature)
        return kdlab.losses.soft_target_kl(student_logits, teacher_logits, temperature)

    distill(loss=loss, temperature=schedules.step(2, 8), epochs=2)
    assert asked == [2] * STEPS + [8] * STEPS


def test_the_schedule_changes_the_student():
    runs = [distill(alpha=alpha) for alpha in (0.5, schedules.step(1, 0), schedules.step(0, 1))]
    assert not same(runs[0], runs[1]) and not same(runs[1], runs[2])
    assert runs[1].settings["alpha"] == "step 1 to 0 at 0.5"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"alpha": schedules.linear(0, 2)}, r"alpha is a function.*at progress 0\.51: alpha=1\.02"),
        ({"temperature": schedules.linear(4, 0)}, "at progress 1: temperature=0"),
        ({"alpha": lambda progress: None}, "alpha is a function of progress; at progress 0"),
        ({"temperature": lambda progress: math.nan}, "temperature=nan"),
    ],
)
def test_a_schedule_that_leaves_its_range_is_refused_before_the_first_step(options, expected):
    steps = []
    with pytest.raises(Refusal, match=expected):
        distill(**options, stop=lambda: steps.append(1))
    assert not steps


def test_schedules_of_several_seeds_train_together_as_they_do_alone():
    settings = {"alpha": {"down": schedules.linear(1, 0), "half": 0.5}, "temperature": [2]}
    swept = kdlab.sweep(
        "mlp-4", TEACHER, DATA, seeds=2, epochs=4, batch_size=15, device="cpu", progress=False,
        precision="float64", **settings,
    )  # fmt: skip
    for at, (alpha, seed) in enumerate([("down", 0), ("down", 1), ("half", 0), ("half", 1)]):
        alone = distill(
            alpha=settings["alpha"][alpha], temperature=2, seed=seed, precision="float64"
        )
        assert (swept.runs[at].logits() - alone.logits()).abs().max() < 1e-9
        assert np.allclose(
            swept.runs[at].history.astype(float), alone.history.astype(float), equal_nan=True
        )
    assert swept.table["alpha"].tolist() == ["down", "down", "half", "half"]
