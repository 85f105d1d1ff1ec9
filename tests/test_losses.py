"""Losses: against public implementations, by their gradients, and at their edges."""

import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from kdlab import losses
from kdlab.errors import Refusal

GOLDEN = json.loads((Path(__file__).parent / "golden" / "losses.json").read_text(encoding="utf-8"))


def standardized_kl(student_logits, teacher_logits, temperature):
    """What the golden file tells of standardised logits: no function of its own in kdlab."""
    pair = (losses.standardize_logits(z) for z in (student_logits, teacher_logits))
    return losses.soft_target_kl(*pair, temperature) / temperature**2


NOT_OF_LOSSES = {"standardized_kl_without_T2": standardized_kl}
CASES = [
    pytest.param(golden, case, id=f"set {number}, {case['loss']} {list(case['params'].values())}")
    for number, golden in enumerate(GOLDEN["sets"])
    for case in golden["cases"]
]

# Features of 5 examples, the student's and the teacher's, for each feature loss.
VECTORS = ((5, 4), (5, 4))
WIDTHS = ((5, 4), (5, 7))
CHANNELS = ((5, 2, 4, 4), (5, 3, 4, 4))
SIZES = ((5, 2, 4, 4), (5, 3, 2, 6))
FEATURES = {
    losses.hint_loss: [VECTORS, ((5, 2, 3, 3), (5, 2, 3, 3))],
    losses.contrastive_representation: [VECTORS, ((5, 2, 3, 3), (5, 2, 3, 3))],
    losses.attention_transfer: [CHANNELS, SIZES],
    losses.neuron_selectivity_transfer: [CHANNELS, SIZES],
    losses.similarity_preserving: [VECTORS, WIDTHS, SIZES],
    losses.relational_kd: [VECTORS, WIDTHS, SIZES],
    losses.probabilistic_transfer: [VECTORS, WIDTHS, SIZES],
    losses.correlation_congruence: [VECTORS, WIDTHS, SIZES],
}
FEATURE_CASES = [(loss, shapes) for loss, several in FEATURES.items() for shapes in several]
PAIRS = [  # what they compare is pairs of examples: nothing to compare in a batch of one
    losses.contrastive_representation,
    losses.similarity_preserving,
    losses.relational_kd,
    losses.probabilistic_transfer,
    losses.correlation_congruence,
]
ZERO_AT_THE_TEACHER = [loss for loss in FEATURES if loss != losses.contrastive_representation]


def named(value):
    return value.__name__ if callable(value) else str(value)


def over_features(*extra):
    """A test once for each feature loss and each pair of shapes it takes."""
    return pytest.mark.parametrize(("loss", "shapes"), [*FEATURE_CASES, *extra], ids=named)


def features(shapes, seed=0, dtype=torch.float64, scale=1.0):
    draw = torch.Generator().manual_seed(seed)
    return [(scale * torch.randn(s, generator=draw, dtype=torch.float64)).to(dtype) for s in shapes]


def gradient_of(loss, student, *rest, **params):
    student = student.detach().clone().requires_grad_()
    value = loss(student, *rest, **params)
    return value.detach(), torch.autograd.grad(value, student)[0]


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
    function = NOT_OF_LOSSES.get(case["loss"]) or getattr(losses, case["loss"])
    loss = function(*(inputs[k] for k in case["inputs"]), **case["params"])
    (gradient,) = torch.autograd.grad(loss, inputs[case["grad_wrt"]])
    assert loss.item() == pytest.approx(case["value"], rel=1e-6)
    assert gradient.norm().item() == pytest.approx(case["grad_norm"], rel=1e-6)


def test_no_loss_is_forgotten():
    told = {case["loss"] for golden in GOLDEN["sets"] for case in golden["cases"]}
    told -= set(NOT_OF_LOSSES)
    public = {
        name
        for name, value in vars(losses).items()
        if callable(value) and not name.startswith("_") and value.__module__ == losses.__name__
    }
    not_told = {"kd_terms", "label_loss", "standardize_logits"}
    not_told |= {"contrastive_representation", "correlation_congruence"}
    assert public == told | not_told and not told & not_told
    assert {loss.__name__ for loss in FEATURES} | {"dkd_loss", "dist_loss"} < public
    assert len(CASES) == 36


def test_what_compares_across_shapes():
    assert {loss for loss, shapes in FEATURE_CASES if shapes == WIDTHS} < losses.ACROSS_SHAPES
    assert {loss for loss, shapes in FEATURE_CASES if shapes == SIZES} == losses.ACROSS_SHAPES


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


def test_labels_may_be_probabilities():
    student, teacher, labels = logits()
    certain = F.one_hot(labels, student.shape[1]).double()
    args = (student, teacher)
    assert torch.allclose(
        losses.kd_loss(*args, certain, 4.0, 0.3), losses.kd_loss(*args, labels, 4.0, 0.3)
    )
    mixed = 0.3 * certain + 0.7 * certain.flip(0)
    expected = -(mixed * student.log_softmax(1)).sum(1)
    assert torch.allclose(losses.label_loss(student, mixed), expected.mean())
    mixed[[1, 4]] = 0  # rows without a label
    rest = torch.ones(len(labels), dtype=torch.bool)
    rest[[1, 4]] = False
    assert torch.allclose(losses.label_loss(student, mixed), expected[rest].mean())
    assert losses.label_loss(student, torch.zeros_like(mixed)).item() == 0
    with pytest.raises(Refusal, match=r"one target: expected labels \(batch,\)"):
        losses.dkd_loss(*args, mixed, 4.0, 1.0, 8.0)


# ---------------------------------------------------------------- beyond plain soft targets


def test_standardized_logits_have_mean_zero_and_deviation_one():
    student, _, _ = logits()
    made = losses.standardize_logits(student)
    zeros, ones = torch.zeros(6, dtype=torch.float64), torch.ones(6, dtype=torch.float64)
    assert torch.allclose(made.mean(1), zeros) and torch.allclose(made.std(1), ones)
    scale = torch.linspace(0.1, 9, 6, dtype=torch.float64)[:, None]
    assert torch.allclose(losses.standardize_logits(scale * student - scale), made)
    torch.autograd.gradcheck(losses.standardize_logits, student.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_equal_logits_are_not_blown_up(dtype):
    equal = torch.full((2, 10), 0.1, dtype=dtype)
    _, gradient = gradient_of(lambda z: losses.standardize_logits(z)[0, 0], equal)
    assert losses.standardize_logits(equal).abs().max() < 1e-3
    assert gradient.abs().max() < 10


def test_decoupled_distillation_takes_soft_targets_apart():
    # one row at a time, since the weight of the second part is that row's own
    student, teacher, labels = logits()
    share = (teacher / 3).softmax(1).gather(1, labels[:, None])
    for row in range(len(labels)):
        one = slice(row, row + 1)
        apart = losses.dkd_loss(
            student[one], teacher[one], labels[one], 3.0, 1.0, 1 - share[row].item()
        )
        whole = losses.soft_target_kl(student[one], teacher[one], 3.0)
        assert apart.item() == pytest.approx(whole.item())


def test_decoupled_distillation_leaves_out_rows_without_a_label():
    student, teacher, labels = logits()
    some = labels.clone()
    some[[1, 4]] = -100
    kept = some >= 0
    expected = losses.dkd_loss(student[kept], teacher[kept], labels[kept], 2.0, 1.0, 8.0)
    value, gradient = gradient_of(losses.dkd_loss, student, teacher, some, 2.0, 1.0, 8.0)
    assert torch.allclose(value, expected) and not gradient[~kept].any()
    none = torch.full_like(labels, -100)
    value, gradient = gradient_of(losses.dkd_loss, student, teacher, none, 2.0, 1.0, 8.0)
    assert value.item() == 0 and not gradient.any()


def test_of_two_classes_nothing_is_left_beside_the_target():
    student, teacher, labels = logits(classes=2)
    assert losses.dkd_loss(student, teacher, labels, 2.0, 0.0, 1.0).item() == 0
    binary = losses.dkd_loss(student, teacher, labels, 2.0, 1.0, 1.0)
    assert torch.allclose(binary, losses.soft_target_kl(student, teacher, 2.0))


def test_correlation_ignores_a_teacher_mixed_with_the_uniform_distribution():
    # Pearson's correlation is blind to shift and positive scale of the answers: the paper's point
    student, teacher, _ = logits()
    plain = losses.dist_loss(student, teacher, 1.0, 1.0, 2.0)
    mixed = (0.3 * teacher.softmax(1) + 0.7 / 5).log()
    assert torch.allclose(losses.dist_loss(student, mixed, 1.0, 1.0, 2.0), plain)
    assert not torch.allclose(losses.dist_loss(student, 0.3 * teacher, 1.0, 1.0, 2.0), plain)
    share = torch.linspace(0.2, 0.9, 6, dtype=torch.float64)[:, None]  # each row its own
    mixed = (share * teacher.softmax(1) + (1 - share) / 5).log()
    rows, mixed_rows = (losses.dist_loss(student, t, 1.0, 1.0, 0.0) for t in (teacher, mixed))
    assert torch.allclose(rows, mixed_rows)
    assert not torch.allclose(losses.dist_loss(student, mixed, 1.0, 1.0, 2.0), plain)


def test_correlation_of_one_example_or_of_nothing():
    student, teacher, _ = logits(batch=1)
    alone = losses.dist_loss(student, teacher, 2.0, 1.0, 5.0)
    assert torch.allclose(alone, losses.dist_loss(student, teacher, 2.0, 1.0, 0.0))
    _, teacher, _ = logits(dtype=torch.float32)
    value, gradient = gradient_of(
        losses.dist_loss, torch.full_like(teacher, 0.1), teacher, 2.0, 1.0, 1.0
    )
    assert value.item() == pytest.approx(8, abs=1e-4)  # 4 · (1 + 1): correlated with nothing
    assert 0 < gradient.norm() < 10


def test_correlation_counts_classes_that_the_teacher_hardly_names():
    # a class at 1e-9 in every row has its own ups and downs: small is not the same as constant
    _, teacher, _ = logits(dtype=torch.float32)
    teacher[:, 0] -= 20
    assert losses.dist_loss(teacher, teacher, 1.0, 1.0, 1.0).abs() < 1e-5


LOGIT_LOSSES = {
    "dkd": lambda s, t, y: losses.dkd_loss(s, t, y, 3.0, 1.0, 8.0),
    "dist": lambda s, t, y: losses.dist_loss(s, t, 3.0, 1.0, 2.0),
    "standardised": lambda s, t, y: standardized_kl(s, t, 3.0),
}


@pytest.mark.parametrize("loss", LOGIT_LOSSES.values(), ids=LOGIT_LOSSES)
def test_losses_on_logits(loss):
    student, teacher, labels = logits()
    leaf = student.clone().requires_grad_()
    torch.autograd.gradcheck(lambda s: loss(s, teacher, labels), leaf)
    value, gradient = gradient_of(loss, teacher, teacher, labels)
    assert abs(value.item()) < 1e-12 and gradient.abs().max() < 1e-12
    shift = torch.linspace(-50, 50, 6, dtype=torch.float64)[:, None]
    assert torch.allclose(
        loss(student + shift, teacher - shift, labels), loss(leaf, teacher, labels)
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("loss", LOGIT_LOSSES.values(), ids=LOGIT_LOSSES)
def test_losses_on_logits_of_half_precision(loss, dtype):
    student = torch.tensor([[2e4, -2e4, 0.0], [-2e4, 2e4, 3.0]], dtype=dtype)
    teacher = torch.tensor([[-2e4, 2e4, 1.0], [0.0, 1.0, 2.0]], dtype=dtype)
    labels = torch.tensor([0, 2])
    value, gradient = gradient_of(loss, student, teacher, labels)
    assert torch.isfinite(gradient).all() and gradient.dtype == dtype
    exact = loss(student.double(), teacher.double(), labels).item()
    assert value.item() == pytest.approx(exact, rel=1e-4)


# ---------------------------------------------------------------- features


@over_features()
def test_gradients_of_feature_losses_are_right(loss, shapes):
    student, teacher = features(shapes)
    torch.autograd.gradcheck(lambda s: loss(s, teacher), student.requires_grad_())


@pytest.mark.parametrize("loss", ZERO_AT_THE_TEACHER, ids=named)
def test_features_of_the_teacher_cost_nothing(loss):
    for _, shape in FEATURES[loss]:
        student, teacher = features((shape, shape))
        value, gradient = gradient_of(loss, teacher, teacher)
        assert abs(value.item()) < 1e-12 and gradient.abs().max() < 1e-7
        assert loss(student, teacher) > 1e-4


def turned(values):
    """The same figure in another position: vectors times an orthogonal matrix."""
    width = values[0].numel()
    draw = torch.randn(width, width, generator=torch.Generator().manual_seed(9)).double()
    return values.flatten(1) @ torch.linalg.qr(draw).Q


def scaled(values):
    """Each example by a positive number of its own."""
    return values * torch.linspace(0.2, 3, len(values)).view(-1, *[1] * (values.ndim - 1))


CHANGES = {
    "turned": turned,
    "scaled": scaled,
    "all scaled": lambda values: 7 * values,
    "shifted": lambda values: values + 3,
    "channels swapped": lambda values: values.flip(1),
    "channels scaled": lambda values: values * torch.tensor([0.5, 4]).view(1, -1, 1, 1),
    "sign flipped": lambda values: -values,
    "mirrored": lambda values: values.flip(-1),
}
# What the student may do without being told apart, as the papers say; all else is told apart.
BLIND_TO = {
    losses.hint_loss: set(),
    losses.contrastive_representation: {"scaled", "all scaled"},
    losses.attention_transfer: {"scaled", "all scaled", "channels swapped", "sign flipped"},
    losses.neuron_selectivity_transfer: {
        *("scaled", "all scaled", "channels swapped", "channels scaled", "sign flipped")
    },
    losses.similarity_preserving: {"turned", "all scaled", "sign flipped"},
    losses.relational_kd: {"turned", "all scaled", "shifted", "sign flipped"},
    losses.probabilistic_transfer: {"turned", "scaled", "all scaled", "sign flipped"},
    losses.correlation_congruence: {"turned", "scaled", "all scaled", "sign flipped"},
}
TURNS = {"channels swapped", "mirrored"}  # of vectors: they only name the features otherwise


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("loss", FEATURES, ids=named)
def test_what_a_loss_is_blind_to(loss, change):
    of_maps = loss in (losses.attention_transfer, losses.neuron_selectivity_transfer)
    if change == "turned" and of_maps:
        change = "mirrored"
    student, teacher = features(CHANNELS if of_maps else ((5, 2, 4, 4), (5, 2, 4, 4)))
    changed = CHANGES[change](student).view_as(student)
    blind = change in BLIND_TO[loss] or ("turned" in BLIND_TO[loss] and change in TURNS)
    same = torch.allclose(loss(changed, teacher), loss(student, teacher), rtol=1e-5)
    assert same == blind


def test_contrast_is_blind_to_a_turn_of_both():
    student, teacher = features(VECTORS)
    plain = losses.contrastive_representation(student, teacher)
    both = losses.contrastive_representation(turned(student), turned(teacher))
    assert torch.allclose(plain, both)


def test_contrast_by_hand():
    student, teacher = features(VECTORS)
    total = 0
    for i in range(5):
        for one, other in ((student, teacher), (teacher, student)):
            scores = (F.cosine_similarity(one[i], other) / 0.2).exp()
            total -= (scores[i] / scores.sum()).log()
    made = losses.contrastive_representation(student, teacher, temperature=0.2)
    assert torch.allclose(made, total / 10)


def test_contrast_asks_which_example_it_was():
    student, teacher = features(((8, 4), (8, 4)))
    right = losses.contrastive_representation(teacher, teacher)
    assert right < losses.contrastive_representation(student, teacher)
    assert right < losses.contrastive_representation(teacher.roll(1, 0), teacher)
    told_nothing = losses.contrastive_representation(torch.ones_like(teacher), teacher)
    alike = losses.contrastive_representation(torch.ones_like(teacher), torch.ones_like(teacher))
    assert alike.item() == pytest.approx(math.log(8)) and told_nothing > math.log(8) - 1e-9


def test_congruence_tends_to_the_gaussian_kernel():
    student, teacher = (F.normalize(values) for values in features(WIDTHS))
    kernels = [(-0.7 * torch.cdist(rows, rows) ** 2).exp() for rows in (student, teacher)]
    series = losses.correlation_congruence(student, teacher, gamma=0.7, order=20)
    assert torch.allclose(series, F.mse_loss(*kernels))
    cosines = (student @ student.T, teacher @ teacher.T)
    second = [math.exp(-0.8) * (1 + 0.8 * c + 0.32 * c**2) for c in cosines]
    assert torch.allclose(losses.correlation_congruence(student, teacher), F.mse_loss(*second))


def test_distances_and_angles_have_weights_of_their_own():
    student, teacher = features(WIDTHS)
    distances = losses.relational_kd(student, teacher, 1, 0)
    angles = losses.relational_kd(student, teacher, 0, 1)
    assert torch.allclose(losses.relational_kd(student, teacher), 25 * distances + 50 * angles)
    line = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)  # the mean distance is 2
    turn = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]], dtype=torch.float64)
    mean = (1 + 2 + 5**0.5) / 3
    by_hand = [0.5 - 1 / mean, 1.0 - 2 / mean, 1.5 - 5**0.5 / mean]
    expected = 2 * sum(d**2 / 2 for d in by_hand) / 9
    assert losses.relational_kd(line, turn, 1, 0).item() == pytest.approx(expected)
    # cosines at 0, 1 and 2 between the two others: 1, −1, 1 on the line; 1/√5, 0, 2/√5 in the turn
    by_hand = [1 - 5**-0.5, 1.0, 1 - 2 * 5**-0.5]
    expected = 2 * sum(d**2 / 2 for d in by_hand) / 27
    assert losses.relational_kd(line, turn, 0, 1).item() == pytest.approx(expected)


def test_larger_p_looks_at_the_peaks():
    student, teacher = features(CHANNELS)
    maps = [F.normalize(f.abs().pow(4).mean(1).flatten(1)) for f in (student, teacher)]
    assert torch.allclose(losses.attention_transfer(student, teacher, p=4), F.mse_loss(*maps))
    student, teacher = -student.abs(), teacher.abs()  # an odd power has no sign either
    maps = [F.normalize(f.abs().pow(3).mean(1).flatten(1)) for f in (student, teacher)]
    assert torch.allclose(losses.attention_transfer(student, teacher, p=3), F.mse_loss(*maps))


@pytest.mark.parametrize(
    "loss", [losses.attention_transfer, losses.neuron_selectivity_transfer], ids=named
)
def test_the_larger_map_is_pooled_to_the_smaller(loss):
    large, small = features(((5, 2, 8, 6), (5, 3, 4, 3)))
    pooled = F.avg_pool2d(large, 2)
    assert torch.allclose(loss(large, small), loss(pooled, small))
    assert torch.allclose(loss(small, large), loss(small, pooled))
    high, wide = features(((5, 2, 8, 3), (5, 3, 4, 6)))
    expected = loss(F.avg_pool2d(high, (2, 1)), F.avg_pool2d(wide, (1, 2)))
    assert torch.allclose(loss(high, wide), expected)


@over_features()
def test_every_feature_loss_can_train(loss, shapes):
    inputs, teacher = features(((5, 3), shapes[1]))
    weights = features(((3, math.prod(shapes[0][1:])),), seed=1)[0].requires_grad_()
    optimizer = torch.optim.SGD([weights], lr=0.01)
    seen = []
    for _ in range(10):
        value = loss((inputs @ weights).view(shapes[0]), teacher)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        seen.append(value.item())
    assert seen[-1] < seen[0]


# ---------------------------------------------------------------- features at the edge


@over_features()
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_feature_losses_in_half_precision(loss, shapes, dtype):
    student, teacher = features(shapes, dtype=dtype, scale=1e4)  # a square is beyond float16
    value, gradient = gradient_of(loss, student, teacher)
    assert torch.isfinite(gradient).all() and gradient.dtype == dtype
    exact = loss(student.double(), teacher.double()).item()
    assert value.item() == pytest.approx(exact, rel=1e-4)
    assert loss(student.float(), teacher).item() == pytest.approx(exact, rel=1e-4)
    assert loss(student.double(), teacher).dtype == torch.float64


@over_features()
def test_feature_losses_keep_their_digits_under_autocast(loss, shapes):
    student, teacher = features(shapes, dtype=torch.float32)
    student.requires_grad_()
    plain = loss(student, teacher)
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(student, teacher)
    assert torch.equal(value, plain)
    gradients = [torch.autograd.grad(made, student)[0] for made in (value, plain)]
    assert torch.equal(*gradients)


@over_features()
@pytest.mark.parametrize("batch", [1, 2])
def test_small_batches(loss, shapes, batch):
    student, teacher = (values[:batch] for values in features(shapes))
    value, gradient = gradient_of(loss, student, teacher)
    assert torch.isfinite(value) and torch.isfinite(gradient).all()
    if batch == 1 and loss in PAIRS:
        assert abs(value.item()) < 1e-12 and gradient.abs().max() < 1e-7


def spoiled(how, values):
    values = values.clone()
    if how == "a row of zeros":
        values[1] = 0
    elif how == "all zeros":
        values[:] = 0
    elif how == "two equal rows":
        values[1] = values[0]
    elif how == "all rows equal":
        values[:] = values[0].clone()
    return values


@over_features()
@pytest.mark.parametrize("how", ["a row of zeros", "all zeros", "two equal rows", "all rows equal"])
def test_dead_and_equal_features_do_not_explode(loss, shapes, how):
    for dtype in (torch.float32, torch.float64):
        student, teacher = features(shapes, dtype=dtype)
        bad_student, bad_teacher = spoiled(how, student), spoiled(how, teacher)
        for s, t in [(bad_student, teacher), (student, bad_teacher), (bad_student, bad_teacher)]:
            value, gradient = gradient_of(loss, s, t)
            assert torch.isfinite(value) and value > -1e-6
            assert gradient.abs().max() < 100  # finite, and of the size that other rows have


def test_figures_far_from_the_origin_keep_their_shape():
    student, teacher = features(((16, 8), (16, 8)))
    near = losses.relational_kd(student, teacher).item()
    far = losses.relational_kd(student.float() + 1000, teacher.float() - 1000)
    assert far.item() == pytest.approx(near, rel=1e-2)


def test_points_that_differ_by_rounding_are_one_point():
    # their distance is noise, and its square root would have a gradient without bounds
    student, teacher = features(((16, 64), (16, 64)), dtype=torch.float32)
    student[8:] = student[:8]
    value, gradient = gradient_of(losses.relational_kd, student, teacher)
    student[8:] *= 1 + 2e-7
    near, near_gradient = gradient_of(losses.relational_kd, student, teacher)
    assert near.item() == pytest.approx(value.item(), rel=1e-4)
    assert torch.allclose(near_gradient, gradient, atol=1e-3)


def refused(loss, student, teacher, words):
    with pytest.raises(Refusal, match=words) as said:
        loss(torch.zeros(student), torch.zeros(teacher))
    return str(said.value)


@pytest.mark.parametrize("loss", [losses.hint_loss, losses.contrastive_representation], ids=named)
def test_what_needs_equal_shapes_refuses_others(loss):
    # the first of these torch would stretch to fit, with a warning at most
    said = refused(loss, (5, 1), (5, 4), r"\(1,\) for each example.*\(4,\).*projector")
    assert said.startswith(loss.__name__)
    refused(loss, (5, 2, 4, 4), (5, 4, 2, 4), r"\(2, 4, 4\).*\(4, 2, 4\)")
    refused(loss, (5, 4), (6, 4), "5 examples of the student's features, 6 of the teacher's")


@pytest.mark.parametrize("loss", losses.ACROSS_SHAPES, ids=named)
def test_all_want_the_same_examples(loss):
    refused(loss, (5, 2, 4, 4), (1, 2, 4, 4), "5 examples of the student's .* 1 of the teacher's")


@pytest.mark.parametrize(
    "loss", [losses.attention_transfer, losses.neuron_selectivity_transfer], ids=named
)
def test_what_looks_at_positions_refuses_vectors(loss):
    refused(loss, (5, 7), (5, 2, 4, 4), r"compares maps .*\(7,\).*\(2, 4, 4\).*vectors")
    refused(loss, (5, 2, 4, 4), (5, 7), "compares maps")
