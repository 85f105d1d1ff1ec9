"""Students that teach each other: the loop beside the formula, and beside students alone."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import kdlab
from kdlab import jobs, seeds, training
from kdlab.errors import Refusal

torch.set_num_threads(1)
QUIET = {"progress": False, "device": "cpu", "epochs": 3, "batch_size": 16}


def toy(count=100, **options):
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(count, 4, generator=draw)
    labels = (inputs @ torch.randn(4, 3, generator=draw)).argmax(1)
    return kdlab.load_data((inputs, labels), **options)


DATA = toy()


def dropped():
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.4), nn.Linear(16, 3))


def same(one, other):
    pairs = zip(one.student.state_dict().values(), other.student.state_dict().values(), strict=True)
    return all(torch.equal(first, second) for first, second in pairs)


@pytest.mark.parametrize("student", ["mlp-8", dropped], ids=["plain", "dropout"])
@pytest.mark.parametrize("augment", [None, lambda x: x + 0.1 * torch.randn_like(x)])
def test_with_no_weight_on_the_others_the_first_is_the_student_alone(student, augment):
    options = {**QUIET, "augment": augment}
    runs = kdlab.mutual([student, dropped], DATA, alpha=1, seeds=[5, 2], **options)
    alone = kdlab.train(student, DATA, seed=5, **options)
    assert same(runs[0], alone)
    assert runs[0].history.equals(alone.history)
    assert runs[0].scores["nll"] == alone.scores["nll"]


def test_each_learns_from_the_mean_of_what_the_others_say():
    """Two steps of three students, written out beside the loop."""
    data = toy(50, train=30)
    options = {**QUIET, "epochs": 1, "learning_rate": 0.05, "optimizer": torch.optim.SGD}
    students = ["mlp-4", "mlp-6", "mlp-5"]
    runs = kdlab.mutual(students, data, alpha=0.3, temperature=2, seeds=[3, 1, 4], **options)
    everything = {**training.train.__kwdefaults__, **options, "teacher": None, "alpha": 1.0}
    everything |= {"temperature": 1.0, "loss": None, "match": (), "stages": None, "transfer": False}
    del everything["teacher"]
    nets = [
        copy.deepcopy(jobs.prepare(name, None, data, **{**everything, "seed": seed}).student)
        for name, seed in zip(students, (3, 1, 4), strict=True)
    ]
    order = torch.randperm(30, generator=seeds.generator(3, "batches"))
    for rows in order.split(16):
        said = [net.train()(data.train.inputs[rows]) for net in nets]
        before = [z.detach() for z in said]
        for k, net in enumerate(nets):
            others = [
                4
                * F.kl_div((said[k] / 2).log_softmax(1), (z / 2).softmax(1), reduction="batchmean")
                for j, z in enumerate(before)
                if j != k
            ]
            loss = 0.3 * F.cross_entropy(said[k], data.train.labels[rows])
            loss = loss + 0.7 * sum(others) / 2
            net.zero_grad()
            loss.backward()
            with torch.no_grad():
                for weight in net.parameters():
                    weight -= 0.05 * weight.grad
    for run, net in zip(runs, nets, strict=True):
        for weight, expected in zip(run.student.parameters(), net.parameters(), strict=True):
            assert torch.allclose(weight, expected, atol=1e-6)
        assert {"labels", "others", "labels_raw", "others_raw"} < set(run.history)


def test_students_come_closer_than_they_would_alone():
    options = {**QUIET, "epochs": 10, "learning_rate": 0.01}
    apart = {}
    for alpha in (1.0, 0.3):
        logits = [
            run.logits() for run in kdlab.mutual(["mlp-16"] * 2, DATA, alpha=alpha, **options)
        ]
        apart[alpha] = (logits[0].softmax(1) - logits[1].softmax(1)).abs().mean().item()
    assert apart[0.3] < apart[1.0]


def test_a_run_says_how_it_was_made_and_is_repeatable(tmp_path):
    before = torch.get_rng_state()
    runs = kdlab.mutual(["mlp-4", dropped], DATA, alpha=0.4, temperature=3, **QUIET)
    assert torch.equal(torch.get_rng_state(), before)
    again = kdlab.mutual(["mlp-4", dropped], DATA, alpha=0.4, temperature=3, **QUIET)
    assert all(same(*pair) for pair in zip(runs, again, strict=True))
    settings = runs[1].settings
    assert settings["mutual"] == ["mlp-4", "dropped"] and settings["alpha"] == 0.4
    assert [run.settings["seed"] for run in runs] == [0, 1] and settings["batches_of_seed"] == 0
    assert all(run.finished and run.scores["accuracy"] > 0 for run in runs)
    runs[1].save(tmp_path / "run")
    loaded = kdlab.load_run(tmp_path / "run", student=dropped())
    assert same(loaded, runs[1])


def test_unlabelled_examples_count_in_what_the_others_say():
    data = toy(train=10, unlabelled=40)
    with_them, without = (
        kdlab.mutual(["mlp-4", "mlp-4"], data, transfer=transfer, **QUIET)[0]
        for transfer in (True, False)
    )
    assert not same(with_them, without)
    assert with_them.history["step"].iloc[-1] > without.history["step"].iloc[-1]


def test_an_interrupt_hands_back_all_runs_so_far(capsys):
    calls = []

    def stop():
        calls.append(1)
        if len(calls) == 6:  # 60 examples in batches of 16: the second step of the second epoch
            raise KeyboardInterrupt

    runs = kdlab.mutual(["mlp-4", "mlp-4"], DATA, stop=stop, **QUIET)
    assert [len(run.history) for run in runs] == [1, 1]
    assert not any(run.finished for run in runs)
    assert "stopped by you in epoch 2 of 3" in capsys.readouterr().err
    with pytest.raises(kdlab.Stopped):
        kdlab.mutual(["mlp-4", "mlp-4"], DATA, stop=lambda: True, **QUIET)


@pytest.mark.parametrize(
    "students, options, words",
    [
        (["mlp-4"], {}, "two or more"),
        ("mlp-4", {}, "two or more"),
        (["mlp-4", "mlp-4"], {"seeds": [1]}, "a list of 2, one for each"),
        (["mlp-4", "mlp-4"], {"seeds": 3}, "a list of 2, one for each"),
        (["mlp-4", "mlp-4"], {"alpha": 1.5}, "alpha=1.5"),
        (["mlp-4", "mlp-4"], {"temperature": 0}, "temperature=0"),
        (["mlp-4", "mlp-4"], {"temperature": lambda p: 1.0}, "is a function"),
        (["mlp-4", "mlp-4"], {"epochs": 0}, "epochs=0"),
    ],
)
def test_what_cannot_teach_each_other_is_refused(students, options, words):
    with pytest.raises(Refusal, match=words):
        kdlab.mutual(students, DATA, **{**QUIET, **options})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu_and_draws_dropout_as_a_student_alone():
    options = {**QUIET, "augment": kdlab.MixUp()}
    here = kdlab.mutual(["mlp-8", "mlp-4"], DATA, alpha=0.4, **options)
    options["device"] = "cuda"
    there = kdlab.mutual(["mlp-8", "mlp-4"], DATA, alpha=0.4, **options)
    for one, other in zip(here, there, strict=True):
        assert torch.allclose(one.logits(), other.logits(), atol=1e-3)
    first = kdlab.mutual([dropped, dropped], DATA, alpha=1, seeds=[5, 2], **options)[0]
    alone = kdlab.train(dropped, DATA, seed=5, **options)
    assert torch.allclose(first.logits(), alone.logits(), atol=1e-4)
