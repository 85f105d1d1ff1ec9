"""Feature terms: matches, their projectors, stages; and that none is ever ignored."""

import functools
from collections import OrderedDict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import kdlab
from kdlab import Match, losses, schedules
from kdlab.errors import LayerNotFound, Refusal

torch.set_num_threads(1)


def net(width, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(1, width, 3, padding=1),
                pool=nn.MaxPool2d(2) if width > 3 else nn.Identity(),
                norm=nn.BatchNorm2d(width),
                flat=nn.Flatten(),
                head=nn.Linear(width * (16 if width > 3 else 64), 3),
            )
        )


TEACHER = net(6, seed=9)
DRAW = torch.Generator().manual_seed(0)
INPUTS = torch.randn(90, 1, 8, 8, generator=DRAW)
DATA = kdlab.load_data((INPUTS, torch.arange(90) % 3))
HINT = Match("conv", "pool", loss=losses.hint_loss)


def student():
    return net(3, seed=1)


def distill(match=(), teacher=TEACHER, own=None, data=DATA, **options):
    options = {"epochs": 2, "batch_size": 16, "device": "cpu", "progress": False, **options}
    return kdlab.distill(own or student, teacher, data, match=match, **options)


def same(one, other):
    return torch.equal(one.logits(), other.logits())


# ---------------------------------------------------------------- what a match does


ALL = sorted(losses.ACROSS_SHAPES | {losses.hint_loss, losses.contrastive_representation},
             key=lambda loss: loss.__name__)  # fmt: skip


@pytest.mark.parametrize("loss", ALL, ids=lambda loss: loss.__name__)
def test_every_feature_loss_trains_across_layers_of_different_shapes(loss):
    run = distill([Match("conv", "pool", loss=loss, weight=10)])
    assert not same(run, distill())
    name = f"{loss.__name__} conv→pool"
    history = run.history
    assert np.allclose(history[name], 10 * history[name + "_raw"])
    assert np.allclose(history["loss"], history[["labels", "teacher", name]].sum(axis=1))
    assert np.isfinite(history[name]).all()


def test_a_match_lowers_its_own_term():
    free, led = distill([Match("conv", "pool", loss=losses.hint_loss, weight=0)], epochs=8), None
    led = distill([Match("conv", "pool", loss=losses.hint_loss, weight=50)], epochs=8)
    column = "hint_loss conv→pool_raw"
    assert led.history[column].iloc[-1] < free.history[column].iloc[-1]


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_a_match_counts_under_every_alpha_and_with_a_loss_of_ones_own(alpha):
    assert not same(distill([HINT], alpha=alpha), distill(alpha=alpha))
    own = {"loss": lambda s, t, y, temperature, alpha: F.cross_entropy(s, y)}
    run = distill([HINT], alpha=alpha, **own)
    assert not same(run, distill(alpha=alpha, **own))
    assert {"objective", "hint_loss conv→pool"} <= set(run.history)


def test_a_weight_of_zero_is_the_run_without():
    assert same(distill([Match("conv", "pool", loss=losses.hint_loss, weight=0)]), distill())


def test_each_of_several_matches_counts():
    second = Match("head", "head", loss=F.mse_loss, weight=3)
    runs = [distill(match) for match in ([], [HINT], [second], [HINT, second])]
    for at, one in enumerate(runs):
        assert not any(same(one, other) for other in runs[at + 1 :])
    assert {"hint_loss conv→pool", "mse_loss head→head"} <= set(runs[3].history)


def test_a_weight_may_follow_progress():
    match = Match("conv", "pool", loss=losses.hint_loss, weight=schedules.step(5, 0))
    history = distill([match]).history
    first, last = history["hint_loss conv→pool"]
    assert last == 0 and first == pytest.approx(5 * history["hint_loss conv→pool_raw"][0])
    assert history["hint_loss conv→pool_raw"].notna().all()


def test_the_teacher_is_unchanged_and_no_hook_is_left():
    before = {name: tensor.clone() for name, tensor in TEACHER.state_dict().items()}
    run = distill([HINT])
    assert all(torch.equal(before[name], now) for name, now in TEACHER.state_dict().items())
    for model in (TEACHER, run.student):
        assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


# ---------------------------------------------------------------- projectors


def test_a_projector_is_built_said_trained_and_left_out(capsys):
    run = distill([HINT], progress=True)
    said = "hint_loss conv→pool: a 1x1 convolution from 3 to 6 channels and a resize"
    assert said in capsys.readouterr().out and said in run.settings["match"][0]
    start = kdlab.distill(student, TEACHER, DATA, match=[HINT], epochs=1, learning_rate=0.0,
                          device="cpu", progress=False)  # fmt: skip
    (trained,), (first,) = run.projectors.values(), start.projectors.values()
    pairs = zip(trained.parameters(), first.parameters(), strict=True)
    assert all(not torch.equal(now, then) for now, then in pairs)
    assert run.student.state_dict().keys() == student().state_dict().keys()


def test_equal_shapes_and_losses_across_shapes_need_none():
    for match in (
        Match("head", "head", loss=losses.hint_loss),
        Match("conv", "pool", loss=losses.similarity_preserving),
        Match("conv", "pool", loss=functools.partial(losses.attention_transfer, p=4)),
    ):
        run = distill([match])
        assert not run.projectors and "no projector" in run.settings["match"][0]


def test_the_seed_fixes_the_projector():
    assert same(distill([HINT], seed=3), distill([HINT], seed=3))
    torch.manual_seed(5)
    again = distill([HINT], seed=3)
    assert same(again, distill([HINT], seed=3)) and not same(again, distill([HINT], seed=4))


def test_a_projector_of_ones_own_is_copied_and_trained():
    own = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 3))
    before = own[1].weight.clone()
    run = distill([Match("conv", "head", loss=losses.hint_loss, projector=own)])
    assert torch.equal(own[1].weight, before)
    (trained,) = run.projectors.values()
    assert not torch.equal(trained[1].weight, before)


# ---------------------------------------------------------------- stages


def test_two_stages_of_fitnets():
    run = distill(stages=[{"epochs": 3, "loss": "match only", "match": [HINT]}, {"epochs": 2}])
    history = run.history
    assert history["stage"].tolist() == [1, 1, 1, 2, 2] and len(history) == 5 and run.finished
    assert history["labels"].isna().tolist() == [True] * 3 + [False] * 2
    assert history["hint_loss conv→pool"].isna().tolist() == [False] * 3 + [True] * 2
    assert not same(run, distill(epochs=5)) and not same(run, distill([HINT], epochs=5))
    assert [part["match"] for part in run.settings["stages"]] == [["hint_loss conv→pool"], []]


def test_the_first_stage_trains_what_lies_below_the_hint_alone():
    stage = {"epochs": 2, "loss": "match only", "match": [HINT]}
    run = distill(stages=[stage])
    now, start = run.student.state_dict(), student().state_dict()
    assert not torch.equal(now["conv.weight"], start["conv.weight"])
    assert torch.equal(now["head.weight"], start["head.weight"])


def test_a_stage_takes_what_it_does_not_name_from_outside():
    inherited = distill([HINT], stages=[{"epochs": 1}, {"epochs": 1, "alpha": 1.0}], alpha=0.2)
    assert [part["alpha"] for part in inherited.settings["stages"]] == [0.2, 1.0]
    assert inherited.history["hint_loss conv→pool"].notna().all()
    assert len(distill(stages=[{"learning_rate": 0.0}]).history) == 2  # the epochs given outside
    assert same(distill(stages=[{"epochs": 2}]), distill(epochs=2))


# ---------------------------------------------------------------- teachers of every kind


def test_a_record_with_features_teaches_as_its_teacher_does(tmp_path):
    signal = kdlab.record(TEACHER, DATA.train, layers=["pool"])
    signal.save(tmp_path / "answers.safetensors", precision="float32")
    loaded = kdlab.Signal.load(tmp_path / "answers.safetensors")
    assert list(loaded.features) == ["pool"]
    assert same(distill([HINT], teacher=loaded), distill([HINT]))
    with pytest.raises(Refusal, match="has no features of head; it holds pool"):
        distill([Match("head", "head", loss=losses.hint_loss)], teacher=loaded)


def test_features_that_would_fill_the_memory_are_asked_for_at_each_step(monkeypatch):
    kept = distill([HINT])
    monkeypatch.setattr(kdlab.signals, "KEPT", 1_000)
    asked = []
    TEACHER.register_forward_pre_hook(lambda *_: asked.append(1)).remove()
    handle = TEACHER.register_forward_pre_hook(lambda *_: asked.append(1))
    live = distill([HINT])
    handle.remove()
    assert len(asked) >= 2 * 3
    assert (live.logits() - kept.logits()).abs().max() < 1e-5


def test_under_augmentation_the_teacher_sees_the_students_view():
    def flip(inputs):
        return inputs.flip(-1)

    flipped = kdlab.load_data((INPUTS.flip(-1), torch.arange(90) % 3))
    run = distill([HINT], augment=flip)
    assert (run.logits() - distill([HINT], data=flipped).logits(data=DATA)).abs().max() < 1e-4
    assert not same(run, distill(augment=flip))


class Other(nn.Module):
    """Somebody else's network: no Sequential, a dict as its output, a layer called twice."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(64, 5)
        self.again = nn.Linear(5, 5)
        self.out = nn.Linear(5, 3)

    def forward(self, x):
        hidden = self.again(torch.relu(self.again(torch.relu(self.stem(x.flatten(1))))))
        return {"logits": self.out(hidden), "hidden": hidden}


def test_modules_from_outside_learn_from_two_feature_matches():
    match = [Match("stem", "conv", loss=losses.similarity_preserving, weight=100),
             Match("again", "head", loss=losses.hint_loss)]  # fmt: skip
    run, without = distill(match, own=Other), distill(own=Other)
    assert not same(run, without) and set(run.projectors) == {"hint_loss again→head"}
    back = distill([Match("head", "again", loss=losses.hint_loss)], teacher=Other())
    assert "hint_loss head→again" in back.history


@pytest.mark.parametrize("precision", ["float64", "bf16"])
def test_other_precisions(precision):
    run = distill([HINT], precision=precision)
    assert np.isfinite(run.history["loss"]).all()
    assert next(run.student.parameters()).dtype == (
        torch.float64 if precision == "float64" else torch.float32
    )


def test_a_sweep_takes_matches_as_an_axis():
    swept = kdlab.sweep(
        student, TEACHER, DATA, seeds=2, epochs=1, progress=False, device="cpu",
        match={"none": [], "hint": [HINT]},
    )  # fmt: skip
    assert swept.axes == ("match",) and swept.table["match"].tolist() == ["none"] * 2 + ["hint"] * 2
    assert swept.compare({"match": "none"}, {"match": "hint"}).pairs == 2
    assert same(swept.runs[3], distill([HINT], epochs=1, batch_size=128, seed=1))
    fixed = kdlab.sweep(student, TEACHER, DATA, seeds=1, epochs=1, progress=False, match=[HINT])
    assert fixed.axes == () and same(fixed.runs[0], swept.runs[2])
    listed = kdlab.sweep(
        student, TEACHER, DATA, seeds=1, epochs=1, progress=False, match=[[], [HINT]]
    )
    assert listed.table["match"].tolist() == ["none", "hint_loss conv→pool"]


# ---------------------------------------------------------------- refused, before the first step


def one_row_each(student_features, teacher_features):
    return ((student_features.flatten(1)[:, :3] - teacher_features[:, :3]) ** 2).mean(1)


BAD = {
    "no such layer of the student": ([Match("conv2", "pool", loss=losses.hint_loss)],
        'student has no layer "conv2".*hint_loss conv2→pool.*Did you mean "conv"'),
    "no such layer of the teacher": ([Match("conv", "pol", loss=losses.hint_loss)],
        'teacher has no layer "pol".*Did you mean "pool"'),
    "no projector": ([Match("conv", "pool", loss=losses.hint_loss, projector=None)],
        "hint_loss conv→pool.*shape"),
    "a projector that does not fit": (
        [Match("conv", "pool", loss=losses.hint_loss, projector=nn.Linear(3, 6))],
        r"cannot compare features of shape \(3, 8, 8\).*\(6, 4, 4\)"),
    "a row each": ([Match("head", "head", loss=one_row_each)], "gave shape .*expected one number"),
    "a number": ([Match("head", "head", loss=lambda s, t: 1.0)], "gave 1.0: expected one number"),
    "nothing to learn": ([Match("head", "head", loss=lambda s, t: t.mean())],
        "does not depend on the student's features"),
    "no match": (["conv"], "match holds a str: expected kdlab.Match"),
    "the same twice": ([HINT, Match("conv", "pool", loss=losses.hint_loss)], "two matches"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_matches_are_refused_before_the_first_step(case):
    match, expected = BAD[case]
    steps = []
    with pytest.raises((Refusal, LayerNotFound), match=expected):
        distill(match, stop=lambda: steps.append(1))
    assert not steps


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"loss": "mse"}, "loss='mse': expected a function"),
        ({"loss": losses.hint_loss, "weight": -1}, "weight=-1: expected a number of at least 0"),
        ({"loss": losses.hint_loss, "projector": "linear"}, 'projector=.linear.: expected "auto"'),
    ],
)
def test_a_match_says_what_it_expects(given, expected):
    with pytest.raises(Refusal, match=expected):
        Match("conv", "pool", **given)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"stages": []}, r"stages=\[\]: expected a list of dicts"),
        ({"stages": [{"epoch": 3}]}, "a stage cannot change epoch: expected one of epochs"),
        ({"stages": [{"epochs": 0}]}, "epochs=0"),
        ({"match": [HINT], "stages": [{"match": []}, {"match": []}]}, "match= is given, but each"),
        ({"loss": "match only"}, 'loss="match only" without a match'),
        ({"loss": "hint"}, 'expected a function.*or "match only"'),
        ({"match": [HINT], "teacher": None}, "match= needs a teacher"),
        ({"teacher": None}, "there is no teacher to learn from"),
    ],
)
def test_what_would_be_ignored_or_cannot_be_is_refused(options, expected):
    options = {"match": (), "teacher": TEACHER, **options}
    with pytest.raises(Refusal, match=expected):
        distill(**options)
