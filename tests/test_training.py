"""One run: paired, seeded, alone, refused before any work, stopped without loss."""

import threading
import time

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import kdlab
from kdlab import jobs, losses, seeds, signals, training
from kdlab.errors import LossNotFinite, Refusal, UnknownName

torch.set_num_threads(1)
QUIET = {"progress": False, "device": "cpu"}


def toy(count=100, classes=3, seed=0, **options):
    draw = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, 4, generator=draw)
    labels = (inputs @ torch.randn(4, classes, generator=draw)).argmax(1)
    return kdlab.load_data((inputs, labels), classes=[str(c) for c in range(classes)], **options)


def net(seed=0, hidden=16, outputs=3, dropout=0.0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(4, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, outputs)
        )


DATA, TEACHER = toy(), net(9)


def distill(student="mlp-8", teacher=TEACHER, data=DATA, **options):
    return kdlab.distill(student, teacher, data, **{**QUIET, "epochs": 2, **options})


def train(student="mlp-8", data=DATA, **options):
    return kdlab.train(student, data, **{**QUIET, "epochs": 2, **options})


def same(one, other):
    first, second = one.student.state_dict(), other.student.state_dict()
    return first.keys() == second.keys() and all(
        torch.equal(tensor, second[name]) for name, tensor in first.items()
    )


def kd(student_logits, teacher_logits, labels, temperature, alpha):
    """The usual loss, as a learner writes it."""
    soft = F.kl_div(
        F.log_softmax(student_logits / temperature, 1),
        F.softmax(teacher_logits / temperature, 1),
        reduction="batchmean",
    )
    hard = F.cross_entropy(student_logits, labels)
    return alpha * hard + (1 - alpha) * temperature**2 * soft


# ---------------------------------------------------------------- a run


def test_a_run_holds_what_is_promised():
    run = distill(epochs=3, seed=4, temperature=2, alpha=0.3)
    assert list(run.history) == [
        "epoch", "step", "loss", "labels", "teacher", "labels_raw", "teacher_raw",
        "validation_accuracy",
    ]  # fmt: skip
    assert run.history["epoch"].tolist() == [1, 2, 3]
    assert run.history["step"].tolist() == [1, 2, 3]  # 60 examples in batches of 128
    total = run.history["labels"] + run.history["teacher"]
    assert np.allclose(run.history["loss"], total)
    assert {"accuracy", "nll", "ece", "agreement", "parameters", "bytes"} <= set(run.scores)
    assert run.history["validation_accuracy"].iloc[-1] == pytest.approx(run.scores["accuracy"])
    assert run.finished and run.seconds > 0 and not run.student.training
    expected = {
        "student": "mlp-8", "teacher": "Sequential", "temperature": 2.0, "alpha": 0.3,
        "seed": 4, "epochs": 3, "batch_size": 128, "learning_rate": 1e-3, "precision": "float32",
        "device": "cpu", "data_train": 60,
    }  # fmt: skip
    assert {name: run.settings[name] for name in expected} == expected


def test_defaults_are_those_of_the_design():
    shared = training.distill.__kwdefaults__
    expected = {
        "learning_rate": 1e-3, "batch_size": 128, "epochs": 20, "temperature": 4.0, "alpha": 0.1,
        "precision": "float32", "loss": None, "seed": 0,
    }  # fmt: skip
    assert {name: shared[name] for name in expected} == expected
    alone = training.train.__kwdefaults__
    assert all(shared[name] == value for name, value in alone.items() if name != "teacher")


def test_scores_are_of_validation_and_test_is_asked_for_by_name():
    run = distill()
    logits = signals.ask(run.student, DATA.validation.inputs)
    assert run.scores["accuracy"] == kdlab.scores.accuracy(logits, DATA.validation.labels)
    said = signals.ask(TEACHER, DATA.validation.inputs)
    assert run.scores["agreement"] == kdlab.scores.agreement(logits, said)
    on_test = run.score("test")
    logits = signals.ask(run.student, DATA.test.inputs)
    assert on_test["nll"] == kdlab.scores.nll(logits, DATA.test.labels)
    with pytest.raises(Refusal, match=r"'tset'.*train, validation, test"):
        run.score("tset")


def test_training_learns():
    run = train(epochs=60, learning_rate=0.02)
    assert run.scores["accuracy"] > 0.8
    assert run.history["loss"].iloc[-1] < run.history["loss"].iloc[0] / 2


def test_a_student_of_the_teacher_comes_to_agree_with_it():
    first = distill(epochs=1, alpha=0)
    late = distill(epochs=100, alpha=0, learning_rate=0.02)
    assert late.scores["agreement"] > max(0.8, first.scores["agreement"])


def test_agreement_without_a_teacher_is_nan_and_with_one_is_measured():
    assert np.isnan(train().scores["agreement"])
    measured = train(teacher=TEACHER)
    assert 0 <= measured.scores["agreement"] <= 1
    assert same(measured, train())  # it is only measured against


# ---------------------------------------------------------------- against a loop by hand


def by_hand(data, alpha, temperature, epochs, batch_size, seed, transfer=False, rate=1e-3):
    """Weights of mlp-8 after a plain loop that shares nothing with training.py but the seeds."""
    student = kdlab.models.build("mlp-8", (4,), 3, seed)
    inputs, labels = data.train.inputs, data.train.labels
    if transfer:
        inputs = torch.cat([inputs, data.transfer.inputs])
        labels = torch.cat([labels, data.transfer.labels])
    optimizer = torch.optim.Adam(student.parameters(), lr=rate)
    shuffle = torch.Generator().manual_seed(seeds.stream(seed, "batches"))
    for _ in range(epochs):
        order = torch.randperm(len(labels), generator=shuffle)
        for rows in order.split(batch_size):
            logits, said = student(inputs[rows]), TEACHER(inputs[rows]).detach()
            p = torch.softmax(said / temperature, 1)
            log_q = torch.log_softmax(logits / temperature, 1)
            kl = (p * (p.log() - log_q)).sum(1).mean()
            known = labels[rows] >= 0
            log_right = -torch.log_softmax(logits, 1)[known, labels[rows][known]]
            hard = log_right.mean() if known.any() else 0.0
            optimizer.zero_grad()
            (alpha * hard + (1 - alpha) * temperature**2 * kl).backward()
            optimizer.step()
    return student


@pytest.mark.parametrize(("alpha", "temperature"), [(0.3, 4.0), (0.0, 1.0), (1.0, 2.0)])
def test_distill_is_the_loop_that_one_would_write(alpha, temperature):
    run = distill(alpha=alpha, temperature=temperature, epochs=5, batch_size=16, seed=2)
    expected = by_hand(DATA, alpha, temperature, epochs=5, batch_size=16, seed=2)
    with torch.no_grad():
        assert torch.allclose(run.logits(), expected(DATA.validation.inputs), atol=1e-5)


def test_transfer_averages_labels_over_labelled_rows_and_the_teacher_over_all():
    data = toy(train=12, unlabelled=40)
    # batches of 8 from 52 examples: some hold no label at all
    run = distill(data=data, transfer=True, alpha=0.6, temperature=2, epochs=4, batch_size=8)
    expected = by_hand(data, 0.6, 2.0, epochs=4, batch_size=8, seed=0, transfer=True)
    with torch.no_grad():
        assert torch.allclose(run.logits(), expected(data.validation.inputs), atol=1e-5)
    assert run.history["step"].iloc[-1] == 4 * 7
    without = distill(data=data, alpha=0.6, temperature=2, epochs=4, batch_size=8)
    assert without.history["step"].iloc[-1] == 4 * 2 and not same(run, without)


def test_transfer_sees_data_that_changed_in_place():
    data = toy(train=20, unlabelled=20)
    first = distill(data=data, transfer=True)
    data.transfer.inputs.mul_(3)
    assert not same(first, distill(data=data, transfer=True))


# ---------------------------------------------------------------- pairing and seeds


def test_alpha_one_is_train_exactly():
    labels_only = train(epochs=4, batch_size=16, seed=3)
    assert same(labels_only, distill(alpha=1, epochs=4, batch_size=16, seed=3))
    assert same(labels_only, distill(alpha=1, temperature=9, epochs=4, batch_size=16, seed=3))
    dropped = train(net(dropout=0.4), epochs=4, batch_size=16)
    assert same(dropped, distill(net(dropout=0.4), alpha=1, epochs=4, batch_size=16))


def test_the_same_seed_starts_alike_and_sees_the_same_batches():
    seen = {}

    def watching(name):
        def make():
            made = kdlab.nets.mlp((4,), 3, 8)
            made.register_forward_pre_hook(
                lambda module, given: (
                    seen.setdefault(name, []).append(
                        (given[0].clone(), module.hidden.weight.detach().clone())
                    )
                    if module.training
                    else None
                )
            )
            return made

        return make

    train(watching("labels"), batch_size=16, seed=5)
    distill(watching("teacher"), batch_size=16, alpha=0, seed=5)
    assert len(seen["labels"]) == len(seen["teacher"]) == 2 * 4
    for (one, _), (other, _) in zip(seen["labels"], seen["teacher"], strict=True):
        assert torch.equal(one, other)
    assert torch.equal(seen["labels"][0][1], seen["teacher"][0][1])
    assert not torch.equal(seen["labels"][-1][1], seen["teacher"][-1][1])
    first_epoch, second = torch.cat([b for b, _ in seen["labels"][:4]]), seen["labels"][4][0]
    assert not torch.equal(first_epoch[:16], second)  # shuffled anew


@pytest.mark.parametrize("student", ["mlp-8", "dropout"])
def test_one_seed_gives_one_student_and_another_seed_another(student):
    student = net(dropout=0.5) if student == "dropout" else student
    first = distill(student, epochs=3, batch_size=16, seed=1)
    torch.rand(7)  # what the caller draws in between does not matter
    assert same(first, distill(student, epochs=3, batch_size=16, seed=1))
    assert not same(first, distill(student, epochs=3, batch_size=16, seed=2))


def test_the_seed_fixes_dropout_apart_from_batches():
    # one batch an epoch and copied weights: only dropout is left to differ
    first = distill(net(dropout=0.5), batch_size=60, seed=1)
    assert not same(first, distill(net(dropout=0.5), batch_size=60, seed=2))


def test_a_seed_shift_moves_every_stream(monkeypatch):
    first = distill()
    monkeypatch.setenv("KDLAB_SEED_SHIFT", "1")
    shifted = distill()
    monkeypatch.delenv("KDLAB_SEED_SHIFT")
    assert not same(first, shifted) and same(shifted, distill(seed=1))


def test_streams_are_apart():
    drawn = {
        seeds.stream(seed, purpose)
        for seed in range(50)
        for purpose in ("weights", "batches", "dropout", "data")
    }
    assert len(drawn) == 200


def fail(*_):
    raise ZeroDivisionError


def test_the_callers_random_state_is_as_it_was():
    torch.manual_seed(123)
    before = torch.get_rng_state()
    train(net(dropout=0.5), augment=lambda x: x + torch.randn_like(x), seed=7)
    assert torch.equal(torch.get_rng_state(), before)
    distill()
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(ZeroDivisionError):
        distill(loss=fail)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(Refusal):
        distill(temperature=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_module_is_copied_never_trained_in_place():
    own = net().eval()
    before = {name: tensor.clone() for name, tensor in own.state_dict().items()}
    run = distill(own, epochs=3, learning_rate=0.1)
    assert run.student is not own and not own.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in own.state_dict().items())
    assert not torch.equal(run.student[0].weight, own[0].weight)
    twin = distill(own, own, epochs=1)  # its own teacher: born again
    assert twin.scores["agreement"] > 0.9


def test_a_module_is_the_start_for_every_seed():
    starts = []

    def keep(student_logits, *_):
        starts.append(student_logits.detach().sort(0).values)
        return student_logits.sum()

    for seed in (0, 1):
        distill(net(), loss=keep, seed=seed, batch_size=60, epochs=1)
    assert torch.allclose(starts[0], starts[1])


# ---------------------------------------------------------------- losses of one's own


def test_the_learners_loss_is_the_one_that_trains():
    ours = distill(epochs=4, batch_size=16)
    theirs = distill(epochs=4, batch_size=16, loss=kd)
    assert torch.allclose(ours.logits(), theirs.logits(), atol=1e-5)
    assert list(theirs.history) == ["epoch", "step", "loss", "validation_accuracy"]
    assert theirs.settings["loss"] == "kd"
    wrong = distill(epochs=4, batch_size=16, loss=lambda *given: kd(*given) * 3 + given[0].mean())
    assert not torch.allclose(ours.logits(), wrong.logits(), atol=1e-4)


def test_the_history_is_the_mean_over_an_epochs_steps():
    steps = []

    def loss(*given):
        steps.append({"half": kd(*given) / 2, "rest": given[0].abs().mean()})
        return steps[-1]

    history = distill(loss=loss, batch_size=20, epochs=2).history
    for epoch in (0, 1):
        own = steps[3 * epoch : 3 * epoch + 3]
        half = np.mean([step["half"].item() for step in own])
        rest = np.mean([step["rest"].item() for step in own])
        assert history["half"][epoch] == pytest.approx(half)
        assert history["loss"][epoch] == pytest.approx(half + rest)


def test_a_loss_gets_plain_floats_and_matching_rows():
    seen = []

    def loss(student_logits, teacher_logits, labels, temperature, alpha):
        seen.append((teacher_logits, labels, type(temperature), type(alpha)))
        assert student_logits.requires_grad and not teacher_logits.requires_grad
        return kd(student_logits, teacher_logits, labels, temperature, alpha)

    distill(loss=loss, temperature=np.float32(2), alpha=1, batch_size=16, epochs=1)
    assert {kind for _, _, *kinds in seen for kind in kinds} == {float}
    said = torch.cat([teacher for teacher, _, _, _ in seen])
    labels = torch.cat([labels for _, labels, _, _ in seen])
    everything = signals.ask(TEACHER, DATA.train.inputs)
    order = torch.randperm(60, generator=seeds.generator(0, "batches"))
    assert torch.equal(said, everything[order])
    assert torch.equal(labels, DATA.train.labels[order])


def test_terms_of_a_dict_stand_in_the_history_and_are_summed_as_they_are():
    def loss(student_logits, teacher_logits, labels, temperature, alpha):
        return {
            "right": F.cross_entropy(student_logits, labels),
            "small": 0.01 * student_logits.pow(2).mean(),
        }

    run = distill(loss=loss, batch_size=16)
    assert list(run.history)[2:5] == ["loss", "right", "small"]
    assert np.allclose(run.history["loss"], run.history["right"] + run.history["small"])
    summed = distill(loss=lambda *given: sum(loss(*given).values()), batch_size=16)
    assert same(run, summed)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (lambda s, *_: None, "gave NoneType"),
        (lambda s, *_: 1.0, "gave float"),
        (lambda s, *_: s.mean().item(), "gave float"),
        (lambda s, *_: s.sum(1), r"gave shape \(60,\).*mean over the batch"),
        (lambda s, *_: {"a": s.mean(), "b": s}, r"gave shape \(60, 3\) for 'b'"),
        (lambda s, *_: {}, "does not depend on the student's logits"),
        (lambda s, *_: s.detach().mean(), "does not depend on the student's logits"),
        (lambda s, t, *_: t.mean(), "does not depend"),
        (lambda s, *_: {"loss": s.mean(), "other": s.mean()}, "'loss', a column"),
    ],
)
def test_a_loss_that_cannot_train_is_refused_at_once(loss, expected):
    calls = []

    def counting(*given):
        calls.append(1)
        return loss(*given)

    with pytest.raises(Refusal, match=expected):
        distill(loss=counting)
    assert len(calls) == 1


def test_terms_that_change_their_names_are_refused():
    def loss(student_logits, *_):
        calls.append(1)
        return {f"term {len(calls) > 1}": student_logits.mean()}

    calls = []
    with pytest.raises(Refusal, match=r"terms \['term True'\], a step before \['term False'\]"):
        distill(loss=loss, batch_size=16)


# ---------------------------------------------------------------- stopped


@pytest.mark.parametrize(("broken_at", "epoch"), [(1, 1), (4, 1), (7, 2)])
def test_a_loss_that_turns_nan_stops_the_run_with_its_step(broken_at, epoch):
    def loss(*given):
        calls.append(1)
        return kd(*given) * (float("nan") if len(calls) >= broken_at else 1.0)

    calls = []
    with pytest.raises(LossNotFinite) as error:
        distill(loss=loss, batch_size=15, epochs=5)
    assert error.value.step == broken_at
    assert f"nan at step {broken_at} (epoch {epoch})" in str(error.value)
    assert len(calls) <= 4 * epoch  # no epoch is begun after it
    assert isinstance(error.value.history, pd.DataFrame)
    assert error.value.history.get("epoch", pd.Series()).tolist() == list(range(1, epoch))
    assert isinstance(error.value, ValueError)


def test_infinite_is_not_finite_either():
    with pytest.raises(LossNotFinite, match="inf at step 1"):
        distill(loss=lambda s, *_: (s * float("inf")).abs().sum())
    with pytest.raises(LossNotFinite):
        train(learning_rate=1e30, epochs=30)


def test_an_interrupt_after_an_epoch_keeps_the_history(capsys):
    def stop(epoch, student):
        if epoch == 3:
            raise KeyboardInterrupt

    run = distill(epochs=10, after_epoch=stop)
    assert run.history["epoch"].tolist() == [1, 2, 3] and not run.finished
    assert same(run, distill(epochs=3)) and run.scores["accuracy"] >= 0
    assert "stopped by you in epoch 4 of 10" in capsys.readouterr().err


@pytest.mark.parametrize(("step", "kept"), [(1, 0), (6, 1)])
def test_an_interrupt_within_an_epoch_keeps_the_finished_ones(step, kept, tmp_path, capsys):
    def loss(*given):
        calls.append(1)
        if len(calls) == step:
            raise KeyboardInterrupt
        return kd(*given)

    calls = []
    run = distill(loss=loss, batch_size=15, epochs=5)
    assert len(run.history) == kept and not run.finished
    assert set(run.history) >= {"epoch", "step", "loss"}
    assert f"holds the {kept} finished epochs" in capsys.readouterr().err
    run.save(tmp_path / "run")
    assert len(kdlab.load_run(tmp_path / "run").history) == kept


def test_stop_ends_a_run_within_a_step():
    steps = []

    def loss(*given):
        steps.append(1)
        return kd(*given)

    with pytest.raises(kdlab.Stopped):
        distill(loss=loss, stop=lambda: len(steps) == 3, batch_size=10, epochs=50)
    assert len(steps) == 3
    with pytest.raises(kdlab.Stopped):
        distill(loss=loss, stop=lambda: True)
    assert len(steps) == 3


def test_after_epoch_sees_each_epochs_student():
    seen = []
    run = distill(
        epochs=3,
        after_epoch=lambda epoch, student: seen.append(
            (epoch, student.hidden.weight.detach().clone())
        ),
    )
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    assert torch.equal(seen[-1][1], run.student.hidden.weight)
    assert not torch.equal(seen[0][1], seen[1][1])


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("count", "size", "expected"),
    [
        (10, 4, [4, 4, 2]),
        (9, 4, [4, 5]),  # a last one of one joins
        (5, 4, [5]),
        (3, 4, [3]),
        (8, 4, [4, 4]),
        (1, 4, [1]),
        (3, 1, [1, 2]),
    ],
)
def test_batches(count, size, expected):
    order = torch.arange(count)
    parts = training.batches(order, size)
    assert [len(part) for part in parts] == expected
    assert torch.equal(torch.cat(parts), order)
    stacked = training.batches(torch.stack([order, order]), size)
    assert [part.shape[1] for part in stacked] == expected


def test_batch_norm_survives_a_last_batch_of_one():
    student = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    run = distill(student, data=toy(train=33), batch_size=16)
    assert run.history["step"].iloc[-1] == 2 * 2


def test_the_learning_rate_may_follow_progress():
    seen, rates = [], []

    def rate(progress):
        seen.append(progress)
        return 0.01 * (1 - progress)

    def optimizer(parameters, lr):
        made = torch.optim.SGD(parameters, lr=lr)
        made.register_step_pre_hook(lambda made, *_: rates.append(made.param_groups[0]["lr"]))
        return made

    distill(learning_rate=rate, optimizer=optimizer, batch_size=15)
    assert seen[1:] == [step / 8 for step in range(8)]  # the first one makes the optimizer
    assert rates == pytest.approx([0.01 * (1 - step / 8) for step in range(8)])
    constant = distill(learning_rate=lambda progress: 2e-3)
    assert same(constant, distill(learning_rate=2e-3))
    assert not same(constant, distill())


def test_an_optimizer_of_ones_own():
    run = train(optimizer=torch.optim.SGD, learning_rate=0.1)
    again = train(optimizer=lambda weights, lr: torch.optim.SGD(weights, lr=lr), learning_rate=0.1)
    assert same(run, again) and not same(run, train(learning_rate=0.1))


def test_a_rate_of_zero_changes_nothing():
    run = train(learning_rate=0)
    start = kdlab.models.build("mlp-8", (4,), 3, 0)
    assert torch.equal(run.student.hidden.weight, start.hidden.weight)


def test_augment_is_applied_anew_at_each_step_and_only_in_training():
    seen = []

    def augment(inputs):
        seen.append(len(inputs))
        return inputs + torch.randn_like(inputs)

    run = train(augment=augment, batch_size=20)
    assert seen == [20] * 6
    assert same(run, train(augment=augment, batch_size=20)) and not same(run, train(batch_size=20))
    for broken in (lambda inputs: None, lambda inputs: inputs[:3]):
        with pytest.raises(Refusal, match=r"augment gave a .* for a batch of 60"):
            train(augment=broken)


def test_augment_may_change_the_labels_too():
    seen = []

    def certain(inputs, labels):
        seen.append(labels)
        return inputs, labels

    for run in (train, distill):
        assert torch.allclose(run(augment=certain).logits(), run().logits(), atol=1e-5)
    assert seen[0].shape == (60, 3) and torch.equal(seen[0].sum(1), torch.ones(60))

    def others(inputs, labels):
        return inputs, labels.roll(1, dims=1)

    wrong = train(augment=others, epochs=60, batch_size=10, learning_rate=0.01)
    right = train(epochs=60, batch_size=10, learning_rate=0.01)
    assert wrong.scores["accuracy"] < 0.3 < 0.8 < right.scores["accuracy"]


def test_a_function_of_inputs_with_an_option_gets_no_labels():
    def shaken(inputs, strength=0.1):
        return inputs + strength

    assert same(train(augment=shaken), train(augment=lambda inputs: inputs + 0.1))


@pytest.mark.parametrize(
    "augment, words",
    [
        (lambda x, y: x, "takes inputs and labels, and gave a Tensor"),
        (lambda x, y: (x, y.argmax(1)), r"labels of \(60,\): expected a tensor of probabilities"),
        (lambda x, y: (x[:3], y), "a batch of 60"),
        (lambda x, y: (x, None), "labels of NoneType"),
    ],
)
def test_labels_that_do_not_fit_are_refused(augment, words):
    with pytest.raises(Refusal, match=words):
        train(augment=augment)


def test_under_mixup_the_teacher_is_asked_about_the_very_mixture():
    mixtures, asked, labels_seen = [], [], []

    class Mixed(kdlab.MixUp):
        def __call__(self, inputs, labels):
            mixtures.append(super().__call__(inputs, labels))
            return mixtures[-1]

    class Teacher(nn.Linear):
        def forward(self, inputs):
            asked.append(inputs.clone())
            return super().forward(inputs)

    def loss(student_logits, teacher_logits, labels, temperature, alpha):
        labels_seen.append(labels)
        return losses.kd_loss(student_logits, teacher_logits, labels, temperature, alpha)

    distill(teacher=Teacher(4, 3), augment=Mixed(), loss=loss, batch_size=20)
    assert len(mixtures) == len(labels_seen) == 6
    at = [
        number
        for batch in asked
        for number, (mixed, _) in enumerate(mixtures)
        if batch.shape == mixed.shape and torch.equal(batch, mixed)
    ]
    assert at == list(range(6))
    for given, (_, mixed) in zip(labels_seen, mixtures, strict=True):
        assert torch.equal(given, mixed) and (mixed.max(1).values < 1).any()


def test_mixup_is_repeatable_and_changes_the_student():
    mixed = [distill(augment=kdlab.MixUp(0.5), batch_size=20) for _ in range(2)]
    assert same(*mixed) and not same(mixed[0], distill(batch_size=20))
    assert mixed[0].settings["augment"] == "MixUp(strength=0.5)"
    assert same(*[train(augment=kdlab.MixUp(), batch_size=20) for _ in range(2)])
    double = distill(augment=kdlab.MixUp(0.5), batch_size=20, precision="float64")
    assert torch.allclose(double.logits().float(), mixed[0].logits(), atol=1e-3)


def test_mixup_takes_unlabelled_examples_and_refuses_a_record():
    data = toy(train=20, unlabelled=30)
    run = distill(data=data, augment=kdlab.MixUp(), transfer=True, batch_size=10)
    assert run.history["labels"].gt(0).all() and run.finished
    with pytest.raises(Refusal, match=r"record 'teacher' cannot be used with augment=.*every step"):
        distill(teacher=kdlab.record(TEACHER, data), data=data, augment=kdlab.MixUp())


def test_a_sweep_over_strengths_of_mixup():
    strengths = [kdlab.MixUp(0.2), kdlab.MixUp(2)]
    atlas = kdlab.sweep("mlp-8", TEACHER, DATA, augment=[None, *strengths], seeds=2, epochs=2,
                        progress=False, device="cpu", watch=0)  # fmt: skip
    assert atlas.table["augment"].tolist() == ["None"] * 2 + ["MixUp(0.2)"] * 2 + ["MixUp(2)"] * 2
    assert "together" in atlas.engine and "in turn" in atlas.engine
    assert same(atlas.runs[3], distill(augment=strengths[0], seed=1, watch=0))
    with pytest.raises(Refusal, match="together"):
        kdlab.sweep("mlp-8", TEACHER, DATA, augment=strengths[0], engine="together",
                    progress=False)  # fmt: skip


def test_float64():
    run = distill(precision="float64", epochs=3)
    assert run.student.hidden.weight.dtype == torch.float64
    assert run.logits().dtype == torch.float64
    assert torch.allclose(run.logits().float(), distill(epochs=3).logits(), atol=1e-4)
    assert run.settings["precision"] == "float64"
    custom = distill(precision="float64", loss=kd, epochs=3)
    assert torch.allclose(run.logits(), custom.logits(), atol=1e-9)
    live = distill(precision="float64", augment=lambda inputs: inputs, epochs=3)
    assert torch.allclose(run.logits(), live.logits(), atol=1e-4)


def test_bf16_is_opt_in_and_said():
    dtypes = set()

    def loss(student_logits, *given):
        dtypes.add(student_logits.dtype)
        return losses.kd_loss(student_logits, *given)

    run = distill(precision="bf16", epochs=3, loss=loss)
    assert dtypes == {torch.bfloat16}
    assert run.settings["precision"] == "bf16"
    assert run.student.hidden.weight.dtype == torch.float32
    assert torch.allclose(run.logits(), distill(epochs=3).logits(), atol=0.1)
    assert not same(run, distill(epochs=3))


def test_deterministic_is_put_back():
    seen = []
    for before in (False, True):
        torch.use_deterministic_algorithms(before, warn_only=before)
        try:
            distill(
                deterministic=True,
                after_epoch=lambda *_: seen.append(torch.are_deterministic_algorithms_enabled()),
            )
            assert torch.are_deterministic_algorithms_enabled() is before
            assert torch.is_deterministic_algorithms_warn_only_enabled() is before
        finally:
            torch.use_deterministic_algorithms(False)
    assert seen == [True] * 4


def test_watch_changes_what_is_seen_not_what_is_trained():
    watched, blind = distill(watch=7), distill(watch=0)
    assert same(watched, blind) and "validation_accuracy" not in blind.history
    job = jobs.prepare("mlp-8", None, toy(200), **_options(watch=7))
    assert len(job.watched) == 7 and len(set(job.watched.indices.tolist())) == 7


def test_what_is_watched_is_spread_over_validation():
    labels = torch.arange(3).repeat_interleave(100)  # in the order of the classes
    job = jobs.prepare("mlp-8", None, (torch.randn(300, 4), labels), **_options(watch=9))
    assert len(job.watched) == 9 and job.watched.labels.bincount(minlength=3).min() >= 2


@pytest.mark.parametrize(
    ("student", "side", "inside"),
    [("mlp-8", 28, 1), ("cnn-small", 8, 1), ("cnn-small", 28, 2), ("mlp-2000", 28, 2)],
)
def test_small_steps_take_one_thread_and_the_callers_count_is_put_back(student, side, inside):
    data = kdlab.load_data((torch.randn(30, 1, side, side), torch.arange(30) % 3))
    seen = []
    torch.set_num_threads(2)
    try:
        train(student, data, after_epoch=lambda *_: seen.append(torch.get_num_threads()))
        assert torch.get_num_threads() == 2
        with pytest.raises(ZeroDivisionError):
            train(student, data, after_epoch=fail)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert seen == [inside] * 2


def _options(**given):
    return {**training.distill.__kwdefaults__, **QUIET, "alpha": 1.0, **given}


def test_two_threads_give_what_they_give_in_turn():
    student = net(dropout=0.5)
    expected = [distill(student, epochs=8, batch_size=8, seed=seed) for seed in (0, 1)]
    runs = {}

    def work(seed):
        runs[seed] = distill(student, epochs=8, batch_size=8, seed=seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (0, 1)]
    torch.manual_seed(5)
    before = torch.get_rng_state()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same(runs[0], expected[0]) and same(runs[1], expected[1])
    assert torch.equal(torch.get_rng_state(), before)


def test_runs_never_overlap():
    inside, most = [], []

    def loss(*given):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.002)
        inside.pop()
        return kd(*given)

    threads = [
        threading.Thread(target=distill, kwargs={"loss": loss, "batch_size": 10}) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 3 * 12 and max(most) == 1


def test_a_run_within_a_run_does_not_wait_for_itself():
    inner = []
    outer = distill(net(dropout=0.5), after_epoch=lambda *_: inner.append(train(seed=3)))
    assert len(inner) == 2 and same(inner[0], train(seed=3))
    assert same(outer, distill(net(dropout=0.5)))


# ---------------------------------------------------------------- devices


def test_the_device_may_be_named_by_the_environment(monkeypatch):
    monkeypatch.setenv("KDLAB_DEVICE", "cpu")
    assert kdlab.pick_device() == "cpu"
    monkeypatch.setenv("KDLAB_DEVICE", "gpu")
    with pytest.raises(Refusal, match=r"device 'gpu' cannot be used here .*unset KDLAB_DEVICE"):
        kdlab.train("mlp-8", DATA)
    assert kdlab.pick_device("cpu") == "cpu"  # an argument goes before the environment
    monkeypatch.setenv("KDLAB_DEVICE", "")
    assert kdlab.pick_device() in ("cpu", "cuda", "mps")


def test_a_device_that_is_not_there_is_said():
    with pytest.raises(Refusal, match="device 'cuda:99' cannot be used here"):
        train(device="cuda:99")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu_and_with_itself():
    here = distill(epochs=5, batch_size=16)
    there = distill(epochs=5, batch_size=16, device="cuda")
    assert next(there.student.parameters()).is_cuda and there.settings["device"] == "cuda"
    assert torch.allclose(here.logits(), there.logits(), atol=1e-3)
    assert next(TEACHER.parameters()).device.type == "cpu"
    before = torch.cuda.get_rng_state()
    exact = [distill(device="cuda", deterministic=True, epochs=5) for _ in range(2)]
    assert same(*exact)
    assert torch.equal(torch.cuda.get_rng_state(), before)
    live = distill(epochs=5, batch_size=16, device="cuda", augment=lambda inputs: inputs)
    assert torch.allclose(live.logits(), there.logits(), atol=1e-3)
    swept = kdlab.sweep("mlp-8", TEACHER, DATA, seeds=2, device="cuda", epochs=5, progress=False)
    assert torch.allclose(
        swept.runs[0].logits(), distill(device="cuda", epochs=5).logits(), atol=1e-3
    )
    half = distill(epochs=5, batch_size=16, device="cuda", precision="bf16")
    assert torch.allclose(half.logits(), there.logits(), atol=0.2)


# ---------------------------------------------------------------- bad input, before any work


FLAT = kdlab.load_data((torch.randn(50, 7), torch.arange(50) % 3))
BAD_OPTIONS = {
    "T of zero": ({"temperature": 0}, "temperature=0: expected a number above 0"),
    "T below zero": ({"temperature": -1.0}, r"temperature=-1\.0"),
    "T without end": ({"temperature": float("inf")}, "temperature=inf"),
    "T that is NaN": ({"temperature": float("nan")}, "temperature=nan"),
    "T as a word": ({"temperature": "4"}, "temperature='4'"),
    "alpha above 1": ({"alpha": 1.1}, r"alpha=1\.1: expected a number from 0 to 1"),
    "alpha below 0": ({"alpha": -0.1}, r"alpha=-0\.1"),
    "alpha that is NaN": ({"alpha": float("nan")}, "alpha=nan"),
    "no epochs": ({"epochs": 0}, "epochs=0: expected a whole number of at least 1"),
    "half an epoch": ({"epochs": 1.5}, r"epochs=1\.5"),
    "no batch": ({"batch_size": 0}, "batch_size=0"),
    "a seed that is none": ({"seed": "one"}, "seed='one'"),
    "a rate below zero": ({"learning_rate": -1}, "learning_rate=-1: expected"),
    "a rate that is NaN": ({"learning_rate": float("nan")}, "learning_rate=nan"),
    "a loss that is no function": ({"loss": "kd_loss"}, "loss: expected a function"),
    "an unknown precision": ({"precision": "fp8"}, "'fp8'.*float32, float64, bf16"),
    "an unknown device": ({"device": "gpu"}, "device 'gpu' cannot be used here"),
    "a device that is none": ({"device": 1.5}, "cannot be used here"),
    "no transfer set": ({"transfer": True}, "no transfer examples.*unlabelled=1000"),
    "a student of other classes": (
        {"student": nn.Linear(4, 5)},
        r"student Linear gives outputs of shape \(2, 5\).*\(2, 3\).*3 classes",
    ),
    "a teacher of other classes": (
        {"teacher": nn.Linear(4, 5)},
        r"teacher Linear gives outputs of shape \(2, 5\).*3 classes",
    ),
    "a student for other inputs": (
        {"student": nn.Linear(9, 3)},
        r"student Linear cannot take inputs of shape \(4,\).*float32",
    ),
    "a teacher for other inputs": ({"data": FLAT}, r"teacher Sequential cannot take .* \(7,\)"),
    "a teacher for pictures": (
        {"teacher": nn.BatchNorm2d(3)},
        r"teacher BatchNorm2d cannot take .*expected 4D",
    ),
    "a teacher that is none": ({"teacher": 3}, "teacher of type int.*a recorded Signal"),
    "a function as teacher": ({"teacher": net}, "teacher of type function"),
    "a student without weights": ({"student": nn.Flatten, "data": toy(classes=4)}, "no parameters"),
    "frozen weights": ({"student": net().requires_grad_(False)}, "no parameters to train"),
    "unequal lengths": ({"data": (torch.zeros(9, 4), torch.zeros(8).long())}, "9 inputs but 8"),
    "empty data": ({"data": (torch.zeros(0, 4), torch.zeros(0).long())}, "empty"),
    "NaN": ({"data": (torch.full((9, 4), float("nan")), torch.arange(9) % 3)}, "NaN"),
    "pictures wanted": ({"student": "cnn-small"}, r"shape \(4,\).*channels, height, width"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_input_is_refused_before_any_step(case):
    options, expected = BAD_OPTIONS[case]
    steps = []
    if "loss" not in options:
        options = {"loss": lambda *given: steps.append(1) or kd(*given), **options}
    if case == "a student without weights":
        options = {**options, "teacher": nn.Linear(4, 4)}
    with pytest.raises(Refusal, match=expected):
        distill(**{"stop": lambda: steps.append(1), **options})
    assert not steps


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"student": "cnn-smal"}, "no model 'cnn-smal'.*Did you mean 'cnn-small'"),
        ({"teacher": "fashon-cnn"}, "no teacher 'fashon-cnn'.*Did you mean 'fashion-cnn'"),
        ({"data": "digitz"}, "no data set 'digitz'.*Did you mean 'digits'"),
    ],
)
def test_unknown_names_are_refused_before_any_step(options, expected):
    with pytest.raises(UnknownName, match=expected):
        distill(**options, stop=fail)


def test_a_data_set_put_together_by_hand_is_checked():
    from dataclasses import replace

    wrong = replace(DATA.train, labels=DATA.train.labels + 1)
    with pytest.raises(Refusal, match="a label of train is 3: expected labels from 0 to 2"):
        train(data=replace(DATA, train=wrong))
    short = replace(DATA.validation, inputs=DATA.validation.inputs[:5])
    with pytest.raises(Refusal, match="validation has 5 inputs, 20 labels"):
        train(data=replace(DATA, validation=short))
    with pytest.raises(Refusal, match="train or validation is empty"):
        train(data=replace(DATA, train=DATA.train[:0]))


def test_too_little_memory_is_said_with_a_batch_that_may_fit():
    def loss(*given):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    with pytest.raises(Refusal, match=r"not enough memory on cpu for batches of 64.*batch_size=32"):
        distill(loss=loss, batch_size=64)

    def other(*given):
        raise RuntimeError("a mistake in the loss")

    with pytest.raises(RuntimeError, match="a mistake in the loss"):
        distill(loss=other)


def test_data_may_be_a_pair_or_a_dataset():
    inputs, labels = torch.randn(50, 4), torch.arange(50) % 3
    pair = train(data=(inputs, labels))
    assert same(pair, train(data=torch.utils.data.TensorDataset(inputs, labels)))
    assert same(pair, train(data=kdlab.load_data((inputs, labels))))
