"""Smaller networks: what goes, what stays, and that both go on training as they should."""

import copy

import pytest
import torch
from torch import nn

import kdlab
from kdlab import compress, models, scores
from kdlab.errors import Refusal

QUIET = {"epochs": 2, "progress": False, "device": "cpu", "watch": 0}


def toy(count=60):
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(count, 1, 8, 8, generator=draw)
    return kdlab.load_data((inputs, torch.arange(count) % 3))


DATA = toy()
FEW = DATA.train.inputs[:4]


def net(name="mlp-16", seed=0):
    return models.build(name, (1, 8, 8), 3, seed)


def weights(model):
    return torch.cat([weight.flatten() for weight in model.parameters() if weight.ndim > 1])


def same(one, other):
    one, other = one.state_dict(), other.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# ---------------------------------------------------------------- pruning


@pytest.mark.parametrize("name", ["mlp-16", "cnn-small"])
@pytest.mark.parametrize("share", [0, 0.5, 0.9])
def test_the_smallest_weights_go_and_no_other(name, share):
    model = net(name)
    before, pruned = weights(model), compress.prune(model, share)
    after = weights(pruned)
    gone = after == 0
    assert gone.sum() == round(share * len(after))
    assert torch.equal(after[~gone], before[~gone])
    if share:
        assert before[gone].abs().max() <= before[~gone].abs().min()
    assert type(pruned) is type(model) and not any(
        part._forward_pre_hooks for part in pruned.modules()
    )


def test_the_model_that_is_cut_stays_as_it_was():
    model = net()
    before = copy.deepcopy(model)
    compress.prune(model, 0.5), compress.narrow(model, 0.5, FEW), compress.factorise(model, 2)
    assert same(model, before) and model.training


@pytest.mark.parametrize("train", ["labels", "teacher", "sweep"])
def test_zeros_stay_zero_where_they_are_asked_to(train):
    pruned, teacher = compress.prune(net(), 0.8), net(seed=1)
    options = {**QUIET, "optimizer": compress.keep_zeros}
    if train == "labels":
        trained = [kdlab.train(pruned, DATA, **options).student]
    elif train == "teacher":
        trained = [kdlab.distill(pruned, teacher, DATA, **options).student]
    else:
        swept = kdlab.sweep(pruned, teacher, DATA, seeds=2, alpha=[0.1, 1], **options)
        trained = [run.student for run in swept.runs]
    for student in trained:
        assert torch.equal(weights(student) == 0, weights(pruned) == 0)
        assert not same(student, pruned)  # the others have learnt


def test_without_it_they_come_back():
    student = kdlab.train(compress.prune(net(), 0.8), DATA, **QUIET).student
    assert (weights(student) == 0).float().mean() < 0.4


def test_keep_zeros_is_adam_for_all_other_weights():
    """On a model with no zeros the same student comes out."""
    plain = kdlab.train("mlp-16", DATA, **QUIET, optimizer=torch.optim.Adam).student
    kept = kdlab.train("mlp-16", DATA, **QUIET, optimizer=compress.keep_zeros).student
    assert same(plain, kept)


# ---------------------------------------------------------------- neurons and channels


def test_neurons_are_really_gone():
    narrow = compress.narrow(net(), 0.75, FEW)
    assert [tuple(weight.shape) for weight in narrow.parameters()] == [(4, 64), (4,), (3, 4), (3,)]


def test_the_strongest_neurons_stay():
    model = net()
    with torch.no_grad():
        model.hidden.weight[[2, 5]] *= 100
        model.head.weight[:, [2, 5]] *= 100
    narrow = compress.narrow(model, 14 / 16, FEW)
    assert torch.equal(narrow.hidden.weight, model.hidden.weight[[2, 5]])
    assert torch.equal(narrow.head.weight, model.head.weight[:, [2, 5]])


@pytest.mark.parametrize("name", ["cnn-small", "fashion-cnn", "fashion-vgg", "fashion-inception"])
def test_channels_with_batch_norm_and_branches_fit_afterwards(name):
    model = net(name)
    narrow = compress.narrow(model, 0.5, FEW)
    assert narrow(FEW).shape == (4, 3)
    assert scores.parameters(narrow) < 0.45 * scores.parameters(model)
    trained = kdlab.distill(narrow, net(name, 1), DATA, **QUIET).student
    assert trained(FEW).shape == (4, 3) and all(
        weight.requires_grad for weight in narrow.parameters()
    )


def test_the_callers_random_state_is_left_alone():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    compress.narrow(net("fashion-vgg"), 0.5, FEW)
    assert torch.equal(torch.get_rng_state(), state)


# ---------------------------------------------------------------- low rank


def test_full_rank_would_change_nothing_and_low_rank_is_the_nearest():
    layer = nn.Linear(20, 20)
    thin = compress.factorise(layer, 9)
    left, strength, right = torch.linalg.svd(layer.weight)
    nearest = left[:, :9] * strength[:9] @ right[:9]
    assert torch.allclose(thin[1].weight @ thin[0].weight, nearest, atol=1e-5)
    assert torch.equal(thin[1].bias, layer.bias)


def test_a_matrix_of_that_rank_is_kept_whole():
    model = net()
    with torch.no_grad():
        model.hidden.weight.copy_(torch.randn(16, 3) @ torch.randn(3, 64))
    thin = compress.factorise(model, 3)
    assert torch.allclose(thin(FEW), model(FEW), atol=1e-3)
    assert scores.parameters(thin) < 0.5 * scores.parameters(model)
    assert isinstance(thin.head, nn.Linear)  # two factors would be larger there


def test_factors_train():
    thin = compress.factorise(net(), 3)
    assert not same(kdlab.distill(thin, net(seed=1), DATA, **QUIET).student, thin)


def test_double_precision_stays():
    assert compress.factorise(net().double(), 3).hidden[0].weight.dtype == torch.float64


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, float("nan"), "half", None])
@pytest.mark.parametrize("cut", ["prune", "narrow"])
def test_a_share_that_cannot_be(cut, share):
    more = (FEW,) if cut == "narrow" else ()
    with pytest.raises(Refusal, match=r"share=.*at least 0 and below 1"):
        getattr(compress, cut)(net(), share, *more)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: compress.prune(nn.ReLU(), 0.5), "ReLU has not got a linear"),
        (lambda: compress.narrow(nn.Linear(4, 3), 0.5, FEW), "has not got two"),
        (lambda: compress.factorise(net(), 60), "Take a lower rank"),
        (lambda: compress.factorise(net(), 0), "rank=0"),
    ],
)
def test_nothing_to_cut_is_said(call, expected):
    with pytest.raises(Refusal, match=expected):
        call()
