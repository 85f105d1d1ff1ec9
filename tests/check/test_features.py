"""Mutation testing of lesson 4's checks: each wrong answer gets its name, each right one passes.

The answers are written as learners write them, in many styles, and share no code with the bank.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import kdlab
from kdlab.check import core
from kdlab.check.features import EXERCISES, attention_map, feature_loss, project
from tests.check.answers import Answers

ANSWERS = Answers()
answer, right = ANSWERS.answer, ANSWERS.right


# ---------------------------------------------------------------- projector


@right(project)
def with_einsum(features, weight, bias):
    return torch.einsum("bchw,oc->bohw", features, weight) + bias.view(1, -1, 1, 1)


@right(project)
def with_conv2d(features, weight, bias):
    return F.conv2d(features, weight[:, :, None, None], bias)


@right(project)
def with_linear(features, weight, bias):
    return F.linear(features.movedim(1, -1), weight, bias).movedim(-1, 1)


@right(project)
def with_matmul(features, weight, bias):
    batch, channels, height, width = features.shape
    mixed = weight @ features.reshape(batch, channels, -1) + bias[:, None]
    return mixed.reshape(batch, -1, height, width)


@right(project)
def with_a_loop(features, weight, bias):
    maps = []
    for row, constant in zip(weight, bias, strict=True):
        maps.append((features * row[:, None, None]).sum(dim=1) + constant)
    return torch.stack(maps, dim=1)


@answer(project, "bias-missing")
def no_bias(features, weight, bias):
    return F.conv2d(features, weight.unsqueeze(-1).unsqueeze(-1))


@answer(project, "bias-along-width")
def bias_as_it_comes(features, weight, bias):
    return torch.einsum("oc,bchw->bohw", weight, features) + bias


@answer(project, "bias-subtracted")
def minus_bias(features, weight, bias):
    return torch.einsum("oc,bchw->bohw", weight, features) - bias[None, :, None, None]


@answer(project, "reshaped")
def reshaped_weights(features, weight, bias):
    turned = features.permute(0, 2, 3, 1) @ weight.reshape(weight.shape[::-1]) + bias
    return turned.permute(0, 3, 1, 2)


@answer(project, "places-as-channels")
def reshaped_features(features, weight, bias):
    batch, channels, height, width = features.shape
    mixed = features.reshape(batch, height, width, channels) @ weight.T
    return mixed.reshape(batch, len(weight), height, width) + bias[:, None, None]


@answer(project, "places-as-channels")
def reshaped_there_and_permuted_back(features, weight, bias):
    batch, channels, height, width = features.shape
    mixed = features.reshape(batch, height, width, channels) @ weight.T
    return mixed.permute(0, 3, 1, 2) + bias[:, None, None]


@answer(project, "mean-over-channels")
def averaged(features, weight, bias):
    mixed = (features[:, None] * weight[None, :, :, None, None]).mean(2)
    return mixed + bias[:, None, None]


@answer(project, "channels-last")
def linear_alone(features, weight, bias):
    return F.linear(features.permute(0, 2, 3, 1), weight, bias)


@answer(project, "channels-first")
def stacked_in_front(features, weight, bias):
    return torch.stack(
        [torch.einsum("c,bchw->bhw", w, features) + b for w, b in zip(weight, bias, strict=True)]
    )


@answer(project, "places-lost")
def pooled(features, weight, bias):
    return F.linear(features.mean(dim=(2, 3)), weight, bias)


@answer(project, "flattened")
def flat(features, weight, bias):
    return F.conv2d(features, weight[..., None, None], bias).reshape(len(features), -1)


@answer(project, "flattened")
def flat_places(features, weight, bias):
    return weight @ features.flatten(2) + bias[:, None]


@answer(project, "relu-added")
def with_relu(features, weight, bias):
    return F.relu(F.conv2d(features, weight[..., None, None], bias))


@answer(project, "raises RuntimeError")
def shapes_that_do_not_fit(features, weight, bias):
    return features @ weight.T + bias


@answer(project, "bias-missing + relu-added")
def two_mistakes(features, weight, bias):
    return torch.einsum("oc,bchw->bohw", weight, features).clamp(min=0)


# ---------------------------------------------------------------- attention map


@right(attention_map)
def with_normalize(features):
    return F.normalize(features.pow(2).mean(1).flatten(1))


@right(attention_map)
def with_a_sum(features):
    """The sum over channels is the mean, times a number that the scaling takes away."""
    return F.normalize((features**2).sum(dim=1).view(len(features), -1), dim=-1)


@right(attention_map)
def with_a_guarded_norm(features):
    rows = features.abs().square().mean(dim=1).reshape(features.size(0), -1)
    return rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-9)


@right(attention_map)
def picture_by_picture(features):
    return [F.normalize((picture * picture).mean(0).flatten(), dim=0) for picture in features]


@right(attention_map)
def scaled_as_a_map(features):
    maps = torch.einsum("bchw,bchw->bhw", features, features)
    return (maps / (maps.pow(2).sum((1, 2), keepdim=True).sqrt() + 1e-9)).flatten(1)


@answer(attention_map, "nan-at-zero")
def unguarded(features):
    rows = features.square().mean(1).flatten(1)
    return rows / rows.norm(dim=1, keepdim=True)


@answer(attention_map, "not-scaled")
def unscaled(features):
    return features.square().mean(1).flatten(1)


@answer(attention_map, "scaled-to-sum-1")
def shares(features):
    rows = features.square().mean(1).flatten(1)
    return rows / rows.sum(1, keepdim=True)


@answer(attention_map, "scaled-to-sum-1")
def normalize_with_p_1(features):
    return F.normalize(features.square().mean(1).flatten(1), p=1)


@answer(attention_map, "scaled-by-largest")
def by_the_largest(features):
    rows = features.pow(2).mean(1).flatten(1)
    return rows / (rows.max(dim=1, keepdim=True).values + 1e-8)


@answer(attention_map, "divided-by-squares")
def root_forgotten(features):
    rows = features.pow(2).mean(1).flatten(1)
    return rows / rows.pow(2).sum(1, keepdim=True)


@answer(attention_map, "scaled-over-batch")
def normalize_dim_0(features):
    return F.normalize(features.square().mean(1).flatten(1), dim=0)


@answer(attention_map, "scaled-over-batch")
def one_norm_for_all(features):
    rows = features.square().mean(1).flatten(1)
    return rows / torch.linalg.norm(rows)


@answer(attention_map, "scaled-before-flatten")
def normalize_then_flatten(features):
    return F.normalize(features.square().mean(1)).flatten(1)


@answer(attention_map, "scaled-before-flatten")
def normalize_the_last_axis(features):
    return F.normalize(features.square().mean(1), dim=-1).flatten(1)


@answer(attention_map, "softmax")
def soft(features):
    return torch.softmax(features.square().mean(1).flatten(1), dim=1)


@answer(attention_map, "absolute-values")
def absolute(features):
    return F.normalize(features.abs().mean(1).flatten(1))


@answer(attention_map, "square-missing")
def plain_mean(features):
    return F.normalize(features.mean(dim=1).flatten(1))


@answer(attention_map, "squared-after-the-mean")
def squared_late(features):
    return F.normalize(features.mean(1).square().flatten(1))


@answer(attention_map, "rooted")
def length_of_channels(features):
    return F.normalize(features.square().mean(1).sqrt().flatten(1))


@answer(attention_map, "largest-channel")
def strongest(features):
    return F.normalize(features.square().max(1).values.flatten(1))


@answer(attention_map, "over-places")
def a_number_a_channel(features):
    return F.normalize(features.square().mean((2, 3)))


@answer(attention_map, "over-places")
def a_sum_a_channel(features):
    return F.normalize((features**2).sum(-1).sum(-1))


@answer(attention_map, "over-batch")
def mean_of_pictures(features):
    return F.normalize(features.square().mean(0).flatten(1))


@answer(attention_map, "not-flattened")
def still_maps(features):
    maps = features.square().mean(1)
    return maps / maps.norm(dim=(1, 2), keepdim=True).clamp(min=1e-12)


@answer(attention_map, "not-scaled + absolute-values")
def absolute_and_unscaled(features):
    return features.abs().mean(1).flatten(1)


@answer(attention_map, "changes-input")
def squares_in_place(features):
    return F.normalize(features.square_().mean(1).flatten(1))


# ---------------------------------------------------------------- a feature loss of one's own


@right(feature_loss)
def cosine(student, teacher):
    return (1 - F.cosine_similarity(student.flatten(1), teacher.flatten(1))).mean()


@right(feature_loss)
def squared(student, teacher):
    return F.mse_loss(student, teacher)


@right(feature_loss)
def smooth_and_detached(student, teacher):
    return F.smooth_l1_loss(student, teacher.detach())


@right(feature_loss)
def of_pooled_vectors(student, teacher):
    return F.mse_loss(F.normalize(student.mean((2, 3))), F.normalize(teacher.mean((2, 3))))


@right(feature_loss)
def negative_cosine(student, teacher):
    return -F.cosine_similarity(student.flatten(1), teacher.flatten(1)).mean()


@right(feature_loss)
def kl_of_maps(student, teacher):
    student, teacher = (f.mean(1).flatten(1).log_softmax(1) for f in (student, teacher))
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True)


@right(feature_loss)
def as_a_matrix(student, teacher):
    gap = student.flatten(1) - teacher.flatten(1)
    return torch.trace(gap @ gap.T) / gap.numel()


@pytest.mark.parametrize("loss", [*kdlab.losses.ACROSS_SHAPES, kdlab.losses.hint_loss])
def test_what_the_papers_propose_is_accepted(loss):
    finding = core.examine(feature_loss, loss)
    assert finding.state == "right", (loss.__name__, finding.message)


@answer(feature_loss, "not-one-number")
def one_each(student, teacher):
    return (student - teacher).pow(2).flatten(1).mean(1)


@answer(feature_loss, "not-one-number")
def nothing_averaged(student, teacher):
    return (student - teacher) ** 2


@answer(feature_loss, "not-finite")
def log_of_features(student, teacher):
    return (student.log() - teacher.log()).abs().mean()


@answer(feature_loss, "not-finite")
def relative_error(student, teacher):
    return ((student - teacher) / teacher).abs().mean()


@answer(feature_loss, "no-gradient")
def as_item(student, teacher):
    return F.mse_loss(student, teacher).item()


@answer(feature_loss, "no-gradient")
def detached(student, teacher):
    return F.mse_loss(student.detach(), teacher)


@answer(feature_loss, "no-gradient")
def places_of_the_peaks(student, teacher):
    peaks = [f.flatten(1).argmax(1).float() for f in (student, teacher)]
    return (peaks[0] - peaks[1]).abs().mean() + teacher.square().mean()


@answer(feature_loss, "compared-with-itself")
def wrong_name(student, teacher):
    return F.mse_loss(student, student)


@answer(feature_loss, "ignores-teacher")
def small_features(student, teacher):
    return student.square().mean()


@answer(feature_loss, "wrong-sign")
def minus_mse(student, teacher):
    return -F.mse_loss(student, teacher)


@answer(feature_loss, "wrong-sign")
def cosine_itself(student, teacher):
    return F.cosine_similarity(student.flatten(1), teacher.flatten(1)).mean()


@answer(feature_loss, "runs-away")
def inner_product(student, teacher):
    return -(student.flatten(1) * teacher.flatten(1)).sum(1).mean()


@answer(feature_loss, "sum-over-batch")
def summed(student, teacher):
    return F.mse_loss(student, teacher, reduction="sum")


@answer(feature_loss, "unpaired")
def batch_means(student, teacher):
    return F.l1_loss(student.mean(0), teacher.mean(0))


@answer(feature_loss, "some-examples-unused")
def first_picture(student, teacher):
    return F.mse_loss(student[0], teacher[0])


@answer(feature_loss, "nan-at-zero")
def own_cosine(student, teacher):
    s, t = student.flatten(1), teacher.flatten(1)
    return 1 - ((s * t).sum(1) / (s.norm(dim=1) * t.norm(dim=1))).mean()


@answer(feature_loss, "wrong-sign + sum-over-batch")
def minus_sum(student, teacher):
    return -(student - teacher).square().sum()


@answer(feature_loss, "type")
def a_dictionary(student, teacher):
    return {"loss": F.mse_loss(student, teacher)}


@answer(feature_loss, "raises RuntimeError")
def shapes_wrong(student, teacher):
    return student.flatten(1) @ teacher


@answer(feature_loss, "changes-input")
def subtracts_in_place(student, teacher):
    return (student - teacher.mul_(1.0).sub_(0.5)).square().mean()


# ---------------------------------------------------------------- what they show


def named(f):
    return getattr(f, "__name__", type(f).__name__)


@pytest.mark.parametrize(
    ("exercise", "name", "f"), ANSWERS, ids=[f"{e.name}-{named(f)}" for e, _, f in ANSWERS]
)
def test_answer_gets_its_name(exercise, name, f):
    finding = core.examine(exercise, f)
    assert (finding.mistake or finding.state) == name, finding.message
    assert (finding.state == "right") == (name == "right")


def test_every_mistake_of_the_bank_has_a_wrong_answer_here():
    tried = {(exercise.name, name) for exercise, name, _ in ANSWERS}
    bank = {(exercise.name, m.name) for exercise in EXERCISES for m in exercise.mistakes}
    assert bank <= tried


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
@pytest.mark.parametrize("stub", [lambda *a: None, lambda *a: ...])
def test_a_stub_is_open(exercise, stub):
    assert core.examine(exercise, stub).state == "not yet"


def test_a_loss_of_ones_own_is_told_what_it_can_do():
    message = core.examine(feature_loss, squared).message
    assert message.startswith("right: squared is a loss that a student can learn from")
    assert "ours" not in message


def test_our_projector_is_a_1x1_convolution():
    conv = nn.Conv2d(3, 5, 1)
    features = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    ours = project.reference(features, conv.weight.flatten(1), conv.bias)
    assert torch.allclose(ours, conv(features), atol=1e-6)


def test_our_attention_map_is_that_of_the_loss():
    student, teacher = (
        torch.randn(3, channels, 4, 4, generator=torch.Generator().manual_seed(channels))
        for channels in (2, 5)
    )
    gap = attention_map.reference(student) - attention_map.reference(teacher)
    loss = kdlab.losses.attention_transfer(student, teacher)
    assert torch.allclose(gap.square().mean(), loss, atol=1e-6)


def test_a_learners_own_loss_trains_a_student():
    data = kdlab.load_data("digits", train=100)
    teacher = kdlab.models.build("cnn-medium", (1, 8, 8), 10)
    own = kdlab.check.feature_loss(squared, note=False)
    assert own is squared
    options = {"epochs": 2, "progress": False, "device": "cpu"}
    match = [kdlab.Match("block1", "block1", loss=own, weight=10)]
    with_it = kdlab.distill("cnn-small", teacher, data, match=match, **options)
    without = kdlab.distill("cnn-small", teacher, data, **options)
    assert not torch.equal(with_it.logits(), without.logits())
    raw = with_it.history["squared block1→block1_raw"]
    assert raw.iloc[-1] < raw.iloc[0]
