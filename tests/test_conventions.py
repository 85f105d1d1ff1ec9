"""Conventions: each project's own formula, written out, against kdlab's loss as converted."""

import math

import pytest
import torch
import torch.nn.functional as F

from kdlab import losses
from kdlab.conventions import Conversion, alpha_conventions
from kdlab.errors import Refusal, UnknownName


def kl(student, teacher, temperature):
    """Softened KL as most projects write it: batchmean, before T²."""
    return F.kl_div(
        F.log_softmax(student / temperature, 1),
        F.softmax(teacher / temperature, 1),
        reduction="batchmean",
    )


def soft_cross_entropy(student, teacher, temperature):
    soft = F.softmax(teacher / temperature, 1)
    return -(soft * F.log_softmax(student / temperature, 1)).sum(1).mean()


def torchdistill(s, t, y, temperature, alpha, beta=None):
    beta = 1 - alpha if beta is None else beta
    soft = kl(s, t, temperature)
    if alpha is None or alpha == 0:
        return soft
    return alpha * F.cross_entropy(s, y) + beta * temperature**2 * soft


def z_score(logits):
    return (logits - logits.mean(1, keepdim=True)) / (1e-7 + logits.std(1, keepdim=True))


# What each project computes, in its own words: written down from its code, not from kdlab's table.
THEIRS = {
    "kdlab": losses.kd_loss,
    "PyTorch tutorial": lambda s, t, y, T, soft_target_loss_weight, ce_loss_weight: (
        soft_target_loss_weight * soft_cross_entropy(s, t, T) * T**2
        + ce_loss_weight * F.cross_entropy(s, y)
    ),
    "keras-io": lambda s, t, y, temperature, alpha: (
        alpha * F.cross_entropy(s, y) + (1 - alpha) * kl(s, t, temperature) * temperature**2
    ),
    "keras-io before 2022": lambda s, t, y, temperature, alpha: (
        alpha * F.cross_entropy(s, y) + (1 - alpha) * kl(s, t, temperature)
    ),
    "keras.distillation": lambda s, t, y, temperature, student_loss_weight: (
        student_loss_weight * F.cross_entropy(s, y)
        + (1 - student_loss_weight) * kl(s, t, temperature) * temperature**2
    ),
    "RepDistiller": lambda s, t, y, T, r, a, b=0: (
        r * F.cross_entropy(s, y) + a * kl(s, t, T) * T**2 + b * F.mse_loss(s, t)
    ),
    "mdistiller": lambda s, t, y, TEMPERATURE, CE_WEIGHT, KD_WEIGHT: (
        CE_WEIGHT * F.cross_entropy(s, y) + KD_WEIGHT * kl(s, t, TEMPERATURE) * TEMPERATURE**2
    ),
    "logit-standardization-KD": lambda s, t, y, TEMPERATURE, CE_WEIGHT, KD_WEIGHT: (
        CE_WEIGHT * F.cross_entropy(s, y)
        + KD_WEIGHT * kl(z_score(s), z_score(t), TEMPERATURE) * TEMPERATURE**2
    ),
    "torchdistill": torchdistill,
    "TextBrewer": lambda s, t, y, temperature, kd_loss_weight, hard_label_weight: (
        kd_loss_weight * soft_cross_entropy(s, t, temperature)
        + hard_label_weight * F.cross_entropy(s, y)
    ),
    "Intel distiller": lambda s, t, y, kd_temp, kd_student_wt, kd_distill_wt: (
        kd_student_wt * F.cross_entropy(s, y) + kd_distill_wt * kd_temp**2 * kl(s, t, kd_temp)
    ),
    "DistillKit": lambda s, t, y, temperature, **weight: (
        weight["cross_entropy"] / (weight["cross_entropy"] + weight["kl"]) * F.cross_entropy(s, y)
        + weight["kl"] / sum(weight.values()) * temperature**2 * kl(s, t, temperature)
    ),
    "Knowledge-Distillation-Zoo": lambda s, t, y, T, lambda_kd: (
        F.cross_entropy(s, y) + lambda_kd * kl(s, t, T) * T * T
    ),
    "fasterai": lambda s, t, y, T, weight: torch.lerp(
        F.cross_entropy(s, y), kl(s, t, T) * T**2, weight
    ),
}  # fmt: skip
# Parameters to convert, away from the defaults and with weights that sum to something else than 1.
GIVEN = {
    "kdlab": {"alpha": 0.3, "temperature": 2.5},
    "PyTorch tutorial": {"T": 2.5, "soft_target_loss_weight": 0.4, "ce_loss_weight": 0.9},
    "keras-io": {"alpha": 0.3, "temperature": 2.5},
    "keras-io before 2022": {"alpha": 0.3, "temperature": 1},
    "keras.distillation": {"student_loss_weight": 0.3, "temperature": 2.5},
    "RepDistiller": {"r": 0.2, "a": 1.4, "b": 0, "T": 2.5},
    "mdistiller": {"CE_WEIGHT": 0.2, "KD_WEIGHT": 1.4, "TEMPERATURE": 2.5},
    "logit-standardization-KD": {"CE_WEIGHT": 0.1, "KD_WEIGHT": 9, "TEMPERATURE": 2},
    "torchdistill": {"alpha": 0.3, "beta": 1.1, "temperature": 2.5},
    "TextBrewer": {"hard_label_weight": 0.6, "kd_loss_weight": 1.1, "temperature": 1},
    "Intel distiller": {"kd_student_wt": 0.3, "kd_distill_wt": 0.9, "kd_temp": 2.5},
    "DistillKit": {"cross_entropy": 0.3, "kl": 0.9, "temperature": 2.5},
    "Knowledge-Distillation-Zoo": {"lambda_kd": 0.1, "T": 2.5},
    "fasterai": {"weight": 0.3, "T": 2.5},
}
REFUSED = {
    "KD_Lib": "squared error of probabilities",
    "haitongli": "averages KL over the classes",
    "EasyDistill 1.0": "number of tokens twice",
}
PLAIN = sorted(set(THEIRS) - {"logit-standardization-KD"})  # of logits as they are


def example():
    draw = torch.Generator().manual_seed(3)
    student, teacher = (2 * torch.randn(6, 5, generator=draw).double() for _ in range(2))
    return student.requires_grad_(), teacher, torch.arange(6) % 5


def gradient(loss, student):
    return torch.autograd.grad(loss, student)[0]


def ours(made, student, teacher, labels):
    """kdlab's loss as converted, times the scale."""
    if made.library != "logit-standardization-KD":
        return made.scale * losses.kd_loss(student, teacher, labels, made.temperature, made.alpha)
    pair = (losses.standardize_logits(logits) for logits in (student, teacher))
    soft = losses.soft_target_kl(*pair, made.temperature)
    hard = losses.label_loss(student, labels)
    return made.scale * (made.alpha * hard + (1 - made.alpha) * soft)


def same_loss(library, theirs, made):
    student, teacher, labels = example()
    there = THEIRS[library](student, teacher, labels, **theirs)
    here = ours(made, student, teacher, labels)
    expected = gradient(there, student)
    assert (gradient(here, student) - expected).norm() < 1e-6 * expected.norm()
    soft = ("PyTorch tutorial", "TextBrewer")  # cross-entropy with soft targets, not KL
    assert torch.allclose(here, there) != (library in soft)


@pytest.mark.parametrize("library", THEIRS)
def test_the_converted_loss_is_theirs(library):
    same_loss(library, GIVEN[library], alpha_conventions(library, **GIVEN[library]))


def test_every_project_is_converted_or_refused():
    assert set(alpha_conventions().index) == {*THEIRS, *REFUSED} == {*GIVEN, *REFUSED}


@pytest.mark.parametrize("library", PLAIN)
def test_the_way_back_is_the_same_loss_up_to_the_scale(library):
    start = Conversion("kdlab", "", alpha=0.2, temperature=GIVEN[library].get("T", 1.0), scale=3.0)
    theirs = start.to(library)
    back = alpha_conventions(library, **theirs)
    assert back.alpha == pytest.approx(0.2) and back.temperature == start.temperature
    same_loss(library, theirs, back)
    fixed = {"kdlab": 1, "keras-io": 1, "keras-io before 2022": 1, "keras.distillation": 1}
    fixed |= {"fasterai": 1, "DistillKit": 1, "Knowledge-Distillation-Zoo": 1 / 0.2}
    assert back.scale == pytest.approx(fixed.get(library, 3.0))


def test_the_sentence():
    made = alpha_conventions("RepDistiller", r=0.1, a=0.9, b=0)
    assert (made.alpha, made.temperature, made.scale) == (0.1, 4, 1)
    said = "what RepDistiller calls r=0.1, a=0.9, b=0, T=4 is alpha=0.1, temperature=4 here"
    assert str(made) == repr(made) == said
    assert made.to("mdistiller") == {"CE_WEIGHT": 0.1, "KD_WEIGHT": 0.9, "TEMPERATURE": 4}
    assert made.to("RepDistiller") == {"r": 0.1, "a": 0.9, "b": 0, "T": 4}
    short = alpha_conventions("mdistiller", CE_WEIGHT=0.1, KD_WEIGHT=0.2).to("RepDistiller")
    assert short == {"r": 0.1, "a": 0.2, "b": 0, "T": 4}  # no 0.20000000000000004


def test_the_scale_is_said():
    made = alpha_conventions("logit-standardization-KD")
    assert made.alpha == pytest.approx(0.1 / 9.1) and made.scale == pytest.approx(9.1)
    assert "is alpha=0.011, temperature=2 here, at scale 9.1, which the learning" in str(made)
    assert "kdlab.losses.standardize_logits" in str(made)
    back = made.to("logit-standardization-KD")
    assert back == {"CE_WEIGHT": 0.1, "KD_WEIGHT": 9, "TEMPERATURE": 2}


def test_defaults_are_those_of_the_project():
    assert alpha_conventions("mdistiller").alpha == pytest.approx(0.1)
    assert alpha_conventions("fasterai").temperature == 5
    assert alpha_conventions("torchdistill", alpha=0.9, temperature=4).scale == 1
    assert alpha_conventions("torchdistill", alpha=0.9, beta=None, temperature=4).scale == 1
    assert alpha_conventions("RepDistiller", a=0.9).scale == pytest.approx(1.9)  # r=1 there


def test_the_table():
    table = alpha_conventions()
    assert table.index.name == "project" and table.notna().all(axis=None)
    assert list(table.columns[:3]) == ["labels", "teacher", "temperature"]
    assert table.loc["RepDistiller", "alpha weighs"] == "teacher"
    assert table.loc["torchdistill", "alpha weighs"] == "labels"
    assert set(table["alpha weighs"]) == {"labels", "teacher", "–"}
    unsquared = table.index[table["T²"] == "no"]
    assert set(unsquared) == {"keras-io before 2022", "TextBrewer", "EasyDistill 1.0"}


# ---------------------------------------------------------------- what it refuses


@pytest.mark.parametrize("library", REFUSED)
def test_losses_of_another_kind_are_refused_both_ways(library):
    with pytest.raises(Refusal, match=REFUSED[library]):
        alpha_conventions(library)
    with pytest.raises(Refusal, match=REFUSED[library]):
        alpha_conventions("kdlab").to(library)


@pytest.mark.parametrize("library", ["TextBrewer", "keras-io before 2022"])
def test_without_the_square_only_t_of_one_fits(library):
    with pytest.raises(Refusal, match=r"no T².* at T=3 it is 9 times weaker.*At T=1 the two agree"):
        alpha_conventions(library, temperature=3)
    with pytest.raises(Refusal, match="no T²"):
        alpha_conventions("kdlab", temperature=3).to(library)
    assert alpha_conventions(library, temperature=1).temperature == 1


def test_torchdistill_drops_the_square_and_beta_where_alpha_is_zero():
    student, teacher, labels = example()
    there = torchdistill(student, teacher, labels, 1.0, 0.0, beta=0.4)
    made = alpha_conventions("torchdistill", alpha=0, beta=0.4, temperature=1)
    assert made.alpha == 0 and torch.allclose(ours(made, student, teacher, labels), there)
    with pytest.raises(Refusal, match=r"no T² .* where alpha=0"):
        alpha_conventions("torchdistill", alpha=0, temperature=4)
    with pytest.raises(Refusal, match="where alpha=0"):
        alpha_conventions("kdlab", alpha=0).to("torchdistill")


def test_standardised_logits_are_not_said_by_weights():
    with pytest.raises(Refusal, match="standardises logits"):
        alpha_conventions("kdlab").to("logit-standardization-KD")
    with pytest.raises(Refusal, match="standardises logits"):
        alpha_conventions("logit-standardization-KD").to("mdistiller")


def test_labels_that_always_count_cannot_be_left_out():
    with pytest.raises(Refusal, match="always counts the labels once"):
        alpha_conventions("kdlab", alpha=0).to("Knowledge-Distillation-Zoo")


@pytest.mark.parametrize(
    ("library", "theirs", "words"),
    [
        ("RepDistiller", {"a": 0.9, "b": 100}, "b=100.* term on features.*match="),
        ("RepDistiller", {"r": 0.1}, "no default for a.*r, a, b, T"),
        ("keras-io", {"alpha": 0.5, "beta": 1}, "no parameter beta.*alpha, temperature"),
        ("keras-io", {"alpha": 1.5}, "weighs labels 1.5 and teacher -0.5"),
        ("keras-io", {"temperature": 0}, "T=0: expected .* T above 0"),
        ("mdistiller", {"CE_WEIGHT": 0, "KD_WEIGHT": 0}, "not both 0"),
        ("mdistiller", {"CE_WEIGHT": -1}, "CE_WEIGHT=-1: expected"),
        ("mdistiller", {"CE_WEIGHT": "much"}, "CE_WEIGHT='much': expected a number"),
        ("mdistiller", {"KD_WEIGHT": math.inf}, "KD_WEIGHT=inf: expected"),
        ("torchdistill", {"alpha": 1.5, "temperature": 2}, "beta=-0.5: expected"),
    ],
)
def test_refusals(library, theirs, words):
    with pytest.raises(Refusal, match=words):
        alpha_conventions(library, **theirs)


def test_unknown_projects_get_the_near_ones():
    with pytest.raises(
        UnknownName, match=r"no project 'RepDistiler'\. Did you mean 'RepDistiller'"
    ):
        alpha_conventions("RepDistiler")
    with pytest.raises(UnknownName, match=r"Known: .*torchdistill"):
        alpha_conventions("kdlab").to("nobody")
