"""Losses: against public implementations, by their gradients, and at their edges."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from kdlab import losses

GOLDEN = json.loads((Path(__file__).parent / "golden" / "losses.json").read_text(encoding="utf-8"))

# Losses of the golden file that a later version of kdlab brings. One that arrives leaves this list
# in the same commit, and so comes under test.
NOT_IN_KDLAB_YET = {
    "attention_transfer",
    "dist_loss",
    "dkd_loss",
    "hint_loss",
    "neuron_selectivity_transfer",
    "probabilistic_transfer",
    "relational_kd",
    "similarity_preserving",
    "standardized_kl_without_T2",  # soft_target_kl on standardised logits: no function of its own
}
IN_KDLAB = {"soft_target_kl", "kd_loss"}
CASES = [
    pytest.param(golden, case, id=f"set {number}, {case['loss']} {list(case['params'].values())}")
    for number, golden in enumerate(GOLDEN["sets"])
    for case in golden["cases"]
    if case["loss"] in IN_KDLAB
]


def logits(batch=6, classes=5, seed=0, scale=2.0, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    student = scale * torch.randn(batch, classes, generator=draw, dtype=torch.float64)
    teacher = scale * torch.randn(batch, classes, generator=draw, dtype=torch.float64)
    return student.to(dtype), teacher.to(dtype), torch.arange(batch) % classes


# ---------------------------------------------------------------- what public code gives


@pytest.mark.parametrize(("golden", "case"), CASES)
def test_value_and_gradient_are_those_of_public_code(golden, case):
    inputs = {
        name: torch.tensor(value, dtype=None if name == "labels" else torch.float64)
        for name, value in golden["inputs"].items()
    }
    inputs[case["grad_wrt"]].requires_grad_()
    loss = getattr(losses, case["loss"])(*(inputs[k] for k in case["inputs"]), **case["params"])
    (gradient,) = torch.autograd.grad(loss, inputs[case["grad_wrt"]])
    assert loss.item() == pytest.approx(case["value"], rel=1e-6)
    assert gradient.norm().item() == pytest.approx(case["grad_norm"], rel=1e-6)


def test_no_golden_loss_is_forgotten():
    told = {case["loss"] for golden in GOLDEN["sets"] for case in golden["cases"]}
    assert told == IN_KDLAB | NOT_IN_KDLAB_YET
    assert not IN_KDLAB & NOT_IN_KDLAB_YET
    for name in IN_KDLAB:
        assert callable(getattr(losses, name)), f"{name} was dropped from kdlab.losses"
    for name in NOT_IN_KDLAB_YET:
        assert not hasattr(losses, name), f"{name} has arrived: move it to IN_KDLAB"
    assert len(CASES) == 14


def test_every_public_loss_is_tested_here():
    public = {
        name
        for name, value in vars(losses).items()
        if callable(value) and not name.startswith("_") and value.__module__ == losses.__name__
    }
    assert public == IN_KDLAB | {"kd_terms", "label_loss"}


# ---------------------------------------------------------------- by hand


def test_soft_target_kl_by_hand():
    # p = (3/4, 1/4), q = (1/2, 1/2) at T = 2: KL = 3/4 log 3/2 + 1/4 log 1/2, times 4
    student = torch.zeros(1, 2, dtype=torch.float64)
    teacher = 2 * torch.tensor([[0.75, 0.25]], dtype=torch.float64).log()
    by_hand = 4 * (0.75 * torch.tensor(1.5).log() + 0.25 * torch.tensor(0.5).log())
    assert losses.soft_target_kl(student, teacher, 2.0).item() == pytest.approx(by_hand.item())


def test_the_soft_term_is_a_mean_over_the_batch():
    student, teacher, _ = logits()
    alone = [
        losses.soft_target_kl(s[None], t[None], 3.0) for s, t in zip(student, teacher, strict=True)
    ]
    assert torch.allclose(losses.soft_target_kl(student, teacher, 3.0), torch.stack(alone).mean())


def test_kl_runs_from_teacher_to_student():
    student, teacher, _ = logits()
    there = losses.soft_target_kl(student, teacher, 2.0)
    back = losses.soft_target_kl(teacher, student, 2.0)
    expected = 4 * F.kl_div(
        F.log_softmax(student / 2, 1), F.softmax(teacher / 2, 1), reduction="batchmean"
    )
    assert torch.allclose(there, expected) and not torch.allclose(there, back)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.5, 1.0])
def test_alpha_weighs_the_labels(alpha):
    student, teacher, labels = logits()
    expected = alpha * F.cross_entropy(student, labels)
    expected = expected + (1 - alpha) * losses.soft_target_kl(student, teacher, 4.0)
    assert torch.allclose(losses.kd_loss(student, teacher, labels, 4.0, alpha), expected)


def test_alpha_one_is_cross_entropy_and_needs_no_teacher():
    student, _, labels = logits()
    expected = F.cross_entropy(student, labels)
    assert torch.equal(losses.kd_loss(student, None, labels, 4.0, 1.0), expected)


def test_terms_are_the_loss_by_name():
    student, teacher, labels = logits()
    terms = losses.kd_terms(student, teacher, labels, 4.0, 0.3)
    assert list(terms) == ["labels", "teacher"]
    whole = losses.kd_loss(student, teacher, labels, 4.0, 0.3)
    assert torch.equal(terms["labels"] + terms["teacher"], whole)
    assert terms["labels"].item() == pytest.approx(0.3 * F.cross_entropy(student, labels).item())
    assert list(losses.kd_terms(student, teacher, labels, 4.0, 0.0)) == ["teacher"]
    assert list(losses.kd_terms(student, teacher, labels, 4.0, 1.0)) == ["labels"]


# ---------------------------------------------------------------- what must be so


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_gradients_are_right(temperature):
    student, teacher, labels = logits()
    student.requires_grad_()
    torch.autograd.gradcheck(lambda s: losses.soft_target_kl(s, teacher, temperature), student)
    torch.autograd.gradcheck(
        lambda s: losses.kd_loss(s, teacher, labels, temperature, 0.3), student
    )


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_zero_and_flat_at_the_teacher(temperature):
    _, teacher, _ = logits()
    student = teacher.clone().requires_grad_()
    loss = losses.soft_target_kl(student, teacher, temperature)
    (gradient,) = torch.autograd.grad(loss, student)
    assert abs(loss.item()) < 1e-12 and gradient.abs().max() < 1e-12


def test_never_below_zero():
    for seed in range(20):
        student, teacher, _ = logits(seed=seed, scale=5)
        assert losses.soft_target_kl(student, teacher, 2.0) > 0


def test_a_constant_added_to_all_logits_of_a_row_changes_nothing():
    student, teacher, labels = logits()
    shift = torch.linspace(-50, 50, len(student), dtype=torch.float64)[:, None]
    before = losses.kd_loss(student, teacher, labels, 3.0, 0.4)
    assert torch.allclose(losses.kd_loss(student + shift, teacher, labels, 3.0, 0.4), before)
    assert torch.allclose(losses.kd_loss(student, teacher - shift, labels, 3.0, 0.4), before)


def test_at_high_temperature_the_gradient_is_that_of_matching_logits():
    # Hinton et al., section 2: T² · dKL/dz → (z − v) / classes, for logits of zero mean
    student, teacher, _ = logits()
    student = (student - student.mean(1, keepdim=True)).requires_grad_()
    teacher = teacher - teacher.mean(1, keepdim=True)
    (gradient,) = torch.autograd.grad(losses.soft_target_kl(student, teacher, 1e6), student)
    limit = (student - teacher) / student.shape[1] / len(student)
    assert torch.allclose(gradient, limit, rtol=1e-3, atol=1e-6)


def test_the_gradient_pulls_the_student_towards_the_teacher():
    student, teacher, _ = logits()
    student.requires_grad_()
    loss = losses.soft_target_kl(student, teacher, 2.0)
    (gradient,) = torch.autograd.grad(loss, student)
    assert losses.soft_target_kl(student - 0.1 * gradient, teacher, 2.0) < loss


# ---------------------------------------------------------------- half precision


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_half_precision_neither_overflows_nor_loses_the_tail(dtype, temperature):
    student = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 3.0]], dtype=dtype, requires_grad=True)
    teacher = torch.tensor([[-1e4, 1e4, 1.0], [0.0, 1.0, 2.0]], dtype=dtype)
    labels = torch.tensor([0, -100])
    loss = losses.kd_loss(student, teacher, labels, temperature, 0.5)
    (gradient,) = torch.autograd.grad(loss, student)
    assert torch.isfinite(loss) and torch.isfinite(gradient).all()
    assert gradient.dtype == dtype
    exact = losses.kd_loss(
        student.detach().double(), teacher.double(), labels, temperature, 0.5
    ).item()
    assert loss.item() == pytest.approx(exact, rel=1e-4)


def test_large_logits_in_float32():
    student = torch.tensor([[1e4, 0.0]], requires_grad=True)
    loss = losses.soft_target_kl(student, torch.tensor([[0.0, 1e4]]), 1.0)
    loss.backward()
    assert loss.item() == pytest.approx(1e4) and torch.isfinite(student.grad).all()


def test_doubles_stay_doubles():
    student, teacher, labels = logits()
    assert losses.kd_loss(student, teacher, labels, 4.0, 0.5).dtype == torch.float64


# ---------------------------------------------------------------- rows without a label


def test_rows_without_a_label_count_for_the_teacher_only():
    student, teacher, labels = logits()
    some = labels.clone()
    some[[1, 4]] = -100
    labelled = some >= 0
    expected = 0.3 * F.cross_entropy(student[labelled], labels[labelled])
    expected = expected + 0.7 * losses.soft_target_kl(student, teacher, 4.0)
    assert torch.allclose(losses.kd_loss(student, teacher, some, 4.0, 0.3), expected)


def test_a_batch_without_labels_gives_zero_for_labels():
    student, teacher, labels = logits()
    student.requires_grad_()
    none = torch.full_like(labels, -100)
    loss = losses.label_loss(student, none)
    (gradient,) = torch.autograd.grad(loss, student)
    assert loss.item() == 0 and not gradient.any()
    terms = losses.kd_terms(student, teacher, none, 4.0, 0.3)
    assert terms["labels"].item() == 0
    soft = losses.soft_target_kl(student, teacher, 4.0)
    assert terms["teacher"].item() == pytest.approx(0.7 * soft.item())
