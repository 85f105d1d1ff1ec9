"""Several teachers as one record: three ways to combine, computed by hand beside it."""

import dataclasses

import pytest
import torch
from torch import nn

import kdlab
from kdlab import signals
from kdlab.errors import Refusal

T = torch.tensor


def toy(count=60, classes=3, **options):
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(count, 4, generator=draw)
    return kdlab.load_data((inputs, torch.arange(count) % classes), **options)


def net(seed, outputs=3):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Linear(4, outputs).eval()


DATA = toy(train=20, unlabelled=6)
ONE, TWO = net(1), net(2)


def said(teacher, part):
    return signals.ask(teacher, part.inputs)


def parts(data=DATA):
    return [data.train, data.transfer, data.validation, data.test]


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_mean_of_the_logits_is_the_geometric_mean_at_every_temperature(temperature):
    record = kdlab.combine([ONE, TWO], DATA, weights=[3, 1])
    for part in parts():
        softened = [(said(t, part) / temperature).softmax(1) for t in (ONE, TWO)]
        product = softened[0] ** 0.75 * softened[1] ** 0.25
        expected = product / product.sum(1, keepdim=True)
        assert torch.allclose((record.look_up(part) / temperature).softmax(1), expected, atol=1e-6)


def test_the_mean_of_the_probabilities_is_the_arithmetic_mean_at_1():
    record = kdlab.combine({"one": ONE, "two": TWO}, DATA, "probabilities", {"two": 1, "one": 0})
    for part in parts():
        assert torch.allclose(record.look_up(part).softmax(1), said(TWO, part).softmax(1))
    record = kdlab.combine([ONE, TWO], DATA, "probabilities")
    for part in parts():
        mean = (said(ONE, part).softmax(1) + said(TWO, part).softmax(1)) / 2
        assert torch.allclose(record.look_up(part).exp(), mean, atol=1e-6)


def spoken(data, table):
    """A record that says these logits, cyclically, about every example."""
    known = kdlab.record(ONE, data)
    rows = T(table, dtype=torch.float32)
    at = torch.arange(len(known.indices)) % len(rows)
    return dataclasses.replace(known, logits=rows[at])


def test_best_takes_the_teacher_nearest_to_a_training_label_and_elsewhere_the_surest():
    wrong_but_sure, right_but_shy = [9.0, 0, 0], [0, 0.5, 0]
    sure, shy = spoken(DATA, [wrong_but_sure]), spoken(DATA, [right_but_shy])
    record = kdlab.combine({"sure": sure, "shy": shy}, DATA, "best")
    train = record.look_up(DATA.train)
    of_class_0 = DATA.train.labels == 0
    assert of_class_0.any() and (DATA.train.labels == 1).any()
    assert (train[of_class_0] == T(wrong_but_sure)).all()
    assert (train[DATA.train.labels == 1] == T(right_but_shy)).all()
    for part in (DATA.transfer, DATA.validation, DATA.test):
        assert (record.look_up(part) == T(wrong_but_sure)).all()


def test_best_never_looks_at_a_label_of_validation_test_or_transfer():
    moved = {
        name: dataclasses.replace(part, labels=(part.labels + 1) % 3)
        for name, part in (("validation", DATA.validation), ("test", DATA.test))
    }
    other = dataclasses.replace(DATA, **moved)
    first, second = (kdlab.combine([ONE, TWO], data, "best") for data in (DATA, other))
    assert torch.equal(first.logits, second.logits)


def test_a_student_learns_from_a_committee_and_each_teacher_is_asked_once(monkeypatch):
    signals._kept.clear()
    asked = []
    ask = signals.ask
    monkeypatch.setattr(signals, "ask", lambda *args: asked.append(args[0]) or ask(*args))
    records = {how: kdlab.combine([ONE, TWO], DATA, how) for how in ("mean", "probabilities")}
    assert len(asked) == 2 * len(parts())
    monkeypatch.undo()
    assert records["mean"].name == "Linear 1 + Linear 2"
    assert records["mean"].teacher != records["probabilities"].teacher
    run = kdlab.distill(
        "mlp-4", records["mean"], DATA, transfer=True, epochs=1, device="cpu", progress=False
    )
    assert 0 <= run.scores["agreement"] <= 1
    single = kdlab.combine({"one": ONE}, DATA)
    assert torch.equal(single.look_up(DATA.test), said(ONE, DATA.test))


@pytest.mark.parametrize(
    "arguments, words",
    [
        (([],), "no teacher"),
        ((ONE,), "list of teachers"),
        (([ONE, 3],), "of type int"),
        (([ONE, net(3, outputs=4)],), "different numbers of classes"),
        (([ONE, TWO], "median"), "one of mean, probabilities, best"),
        (([ONE, TWO], "mean", [1]), "1 weights for 2 teachers"),
        (([ONE, TWO], "mean", [1, -1]), "at least 0"),
        (([ONE, TWO], "mean", [0, 0]), "not all of them 0"),
        (([ONE, TWO], "mean", [1, float("nan")]), "at least 0"),
        (({"one": ONE, "two": TWO}, "mean", {"one": 1, "three": 1}), "one for each of one, two"),
        (([ONE, TWO], "best", [1, 1]), "no use for weights"),
    ],
)
def test_what_makes_no_committee_is_refused(arguments, words):
    teachers, *rest = arguments
    with pytest.raises(Refusal, match=words):
        kdlab.combine(teachers, DATA, *rest)
