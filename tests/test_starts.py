"""Students that start from the teacher: copied layers, and a frozen body under a new head."""

import copy

import pytest
import torch
from torch import nn

import kdlab
from kdlab import models, signals, starts
from kdlab.errors import LayerNotFound, Refusal

QUIET = {"epochs": 2, "device": "cpu", "watch": 0}
DRAW = torch.Generator().manual_seed(0)
DATA = kdlab.load_data((torch.randn(60, 1, 8, 8, generator=DRAW), torch.arange(60) % 3))


def net(name, seed=0):
    return models.build(name, (1, 8, 8), 3, seed)


TEACHER = net("fashion-cnn", 9)


def same(one, other):
    return all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


def test_every_layer_that_fits_is_copied_and_no_other():
    student, fresh = net("cnn-large"), net("cnn-large")
    copied = starts.copy_weights(student, TEACHER, "teacher")
    assert copied == {name: name for name in ("block1.conv", "block2.conv")}
    assert same(student.block1.conv, TEACHER.block1.conv)
    assert same(student.block2.conv, TEACHER.block2.conv)
    assert same(student.head, fresh.head)


def test_chosen_layers_by_name_and_by_pairs():
    student = net("cnn-large")
    assert starts.copy_weights(student, TEACHER, ["block2.conv"]) == {"block2.conv": "block2.conv"}
    assert not same(student.block1.conv, TEACHER.block1.conv)
    other = nn.Sequential(nn.Conv2d(32, 64, 3, padding=1))
    starts.copy_weights(other, TEACHER, {"0": "block2.conv"})
    assert same(other[0], TEACHER.block2.conv)


def test_a_block_is_copied_with_its_buffers():
    student = net("fashion-cnn")
    TEACHER.block1.norm.running_mean.fill_(0.7)
    starts.copy_weights(student, TEACHER, ["block1"])
    assert student.block1.norm.running_mean.eq(0.7).all()


@pytest.mark.parametrize("how", ["distill", "train"])
def test_training_starts_from_the_copy_and_says_so(how, capsys):
    options = {**QUIET, "learning_rate": 0, "init_from": "teacher"}
    if how == "distill":
        run = kdlab.distill("cnn-large", TEACHER, DATA, **options)
    else:
        run = kdlab.train("cnn-large", DATA, teacher=TEACHER, **options)
    assert same(run.student.block1.conv, TEACHER.block1.conv)
    assert same(run.student.head, net("cnn-large").head)  # the seed's own
    assert "copied from the teacher: block1.conv, block2.conv" in capsys.readouterr().out
    assert run.settings["copied"] == ["block1.conv", "block2.conv"]


def test_the_teacher_does_not_learn_with_the_student():
    before = {name: tensor.clone() for name, tensor in TEACHER.state_dict().items()}
    kdlab.distill("cnn-large", TEACHER, DATA, init_from="teacher", progress=False, **QUIET)
    assert all(torch.equal(before[name], tensor) for name, tensor in TEACHER.state_dict().items())


@pytest.mark.parametrize("engine", ["in turn", "auto"])
def test_a_start_is_an_axis_of_a_sweep(engine):
    """Members of one stacked loop start each from its own weights."""
    teacher = net("mlp-8", 5)
    swept = kdlab.sweep(
        "mlp-8", teacher, DATA, init_from=[None, "teacher"], seeds=2, engine=engine,
        learning_rate=0, progress=False, **QUIET,
    )  # fmt: skip
    for run in swept.runs:
        copied = run.settings["init_from"] == "teacher"
        assert same(run.student, teacher) == copied
    assert swept.table.groupby("init_from")["agreement"].mean()["teacher"] == 1


def test_a_random_start_is_another_than_before_only_where_it_is_asked_for():
    plain = kdlab.distill("cnn-large", TEACHER, DATA, progress=False, **QUIET)
    none = kdlab.distill("cnn-large", TEACHER, DATA, init_from=None, progress=False, **QUIET)
    copied = kdlab.distill("cnn-large", TEACHER, DATA, init_from="teacher", progress=False, **QUIET)
    assert same(plain.student, none.student) and not same(plain.student, copied.student)


@pytest.mark.parametrize(
    ("init_from", "kind", "expected"),
    [
        ("theirs", Refusal, "init_from='theirs': expected \"teacher\""),
        ([], Refusal, 'expected "teacher", a list of layer names'),
        (3, Refusal, "init_from=3"),
        (["block9"], LayerNotFound, 'the student has no layer "block9".*init_from'),
        ({"head": "block9"}, LayerNotFound, 'the teacher has no layer "block9"'),
        (["head"], Refusal, r"\"head\" holds weight \(3, 256\).*only equal shapes"),
    ],
)
def test_what_cannot_be_copied_is_refused_before_training(init_from, kind, expected):
    with pytest.raises(kind, match=expected):
        kdlab.distill("cnn-large", TEACHER, DATA, init_from=init_from, progress=False, **QUIET)


def test_nothing_that_fits_is_refused_with_both_lists():
    with pytest.raises(Refusal, match=r"hidden \(8, 64\).*block1.conv \(32, 1, 3, 3\)"):
        kdlab.distill("mlp-8", TEACHER, DATA, init_from="teacher", progress=False, **QUIET)


def test_a_record_and_no_teacher_hold_no_weights():
    record = kdlab.record(TEACHER, DATA.train)
    for teacher in (record, None):
        with pytest.raises(Refusal, match="a record holds no weights"):
            kdlab.train("cnn-large", DATA, teacher=teacher, init_from="teacher", **QUIET)


# ---------------------------------------------------------------- a new head


def test_only_the_new_head_learns():
    body = kdlab.new_head(TEACHER, 3)
    run = kdlab.train(body, DATA, progress=False, **QUIET)
    after = run.student.net
    for part in ("block1", "block2", "block3"):
        assert same(getattr(after, part), getattr(TEACHER, part)), part
    assert not same(after.head, body.net.head)


def test_the_head_is_new_by_seed_and_has_its_own_classes():
    one, again, other = (starts.new_head(TEACHER, 7, seed) for seed in (0, 0, 1))
    assert one(DATA.train.inputs[:2]).shape == (2, 7)
    assert same(one, again) and not same(one, other)


def test_a_trained_head_answers_as_body_and_head_do():
    body = kdlab.new_head(TEACHER, 3).train()
    inputs = DATA.train.inputs[:4]
    features = TEACHER.eval()[:-1](inputs)  # the body stays in eval mode
    assert torch.allclose(body(inputs), body.net.head(features), atol=1e-5)
    assert body.training and body.net.head.training and not body.net.block1.training


@pytest.mark.parametrize("teacher", [nn.Conv2d(1, 3, 3), nn.Linear(4, 3)])
def test_no_body_under_a_linear_layer(teacher):
    with pytest.raises(Refusal, match="no linear layer over a body"):
        kdlab.new_head(teacher, 3)


# ---------------------------------------------------------------- weak labels


def test_weak_labels_are_the_teachers_first_choice():
    data = kdlab.load_data("digits", train=50, unlabelled=30)
    teacher = models.build("mlp-8", (1, 8, 8), 10, 3)
    weak = kdlab.weak_labels(teacher, data)
    assert len(weak.train) == 80 and not len(weak.transfer)
    assert torch.equal(weak.train.labels[:50], data.train.labels)
    said = signals.ask(teacher, data.transfer.inputs).argmax(1)
    assert torch.equal(weak.train.labels[50:], said)
    assert torch.equal(weak.train.indices[50:], data.transfer.indices)
    assert weak.settings["weak_labels"] == 30 and len(data.train) == 50
    kdlab.train("mlp-8", weak, progress=False, **QUIET)


def test_weak_labels_need_something_to_label():
    with pytest.raises(Refusal, match="no transfer examples to label"):
        kdlab.weak_labels(TEACHER, DATA)


# ---------------------------------------------------------------- near the start


def distance(one, other):
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return sum((a - b).square().sum().item() for a, b in pairs)


def test_the_stronger_the_pull_the_nearer_a_student_stays_to_the_teacher_it_was_copied_from():
    teacher = net("mlp-16", 9)
    ends = []
    for pull in (0, 10, 100):
        options = {**QUIET, "epochs": 10, "optimizer": starts.StayNear(pull)}
        student = kdlab.distill("mlp-16", teacher, DATA, init_from="teacher", **options).student
        ends.append(distance(student, teacher))
    assert ends[0] > ends[1] > ends[2] > 0


def test_without_a_pull_it_is_adam_and_at_one_over_the_rate_nothing_moves():
    plain, free, held = (
        kdlab.train("mlp-16", DATA, **QUIET, learning_rate=0.01, optimizer=optimizer).student
        for optimizer in (torch.optim.Adam, starts.StayNear(0), starts.StayNear(100))
    )
    assert same(plain, free)
    assert same(held, net("mlp-16"))
    assert not same(plain, held)


def test_the_pull_is_that_of_its_formula_and_follows_a_schedule_of_the_rate():
    weight = nn.Parameter(torch.tensor([1.0, 3.0]))
    optimizer = starts.StayNear(2.0)([weight], lr=0.1)
    for rate in (0.1, 0.05):
        twin = copy.deepcopy(weight)
        for group in optimizer.param_groups:
            group["lr"] = rate
        weight.grad = torch.zeros(2)  # no gradient yet, so Adam itself moves nothing
        weight.data += 1
        optimizer.step()
        moved = twin.detach() + 1
        expected = moved - rate * 2.0 * (moved - torch.tensor([1.0, 3.0]))
        assert torch.allclose(weight.detach(), expected)


@pytest.mark.parametrize("pull", [-1, float("nan"), float("inf"), "strong", True])
def test_a_pull_that_is_none_is_refused(pull):
    with pytest.raises(Refusal, match="0 or more"):
        starts.StayNear(pull)


def test_pulls_are_an_axis_of_a_sweep_with_names_to_read():
    atlas = kdlab.sweep("mlp-16", net("mlp-16", 9), DATA, seeds=2, init_from="teacher",
                        optimizer=[starts.StayNear(1), starts.StayNear(50)], epochs=1, watch=0,
                        progress=False)  # fmt: skip
    assert set(atlas.table["optimizer"]) == {"StayNear(1)", "StayNear(50)"}
