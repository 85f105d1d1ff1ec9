"""Sweeps: a tidy table, paired comparisons, refusals before any work, nothing lost."""

import itertools
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import kdlab
from kdlab import losses, together, training, verdicts
from kdlab.errors import Refusal, UnknownName

torch.set_num_threads(1)
METRICS = ["accuracy", "nll", "ece", "agreement", "parameters", "bytes"]


def toy(count=200, **options):
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(count, 4, generator=draw)
    labels = (inputs @ torch.randn(4, 3, generator=draw)).argmax(1)
    return kdlab.load_data((inputs, labels), **options)


def teacher_net(seed=9):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))


def dropping():
    """A student that is not trained together with its twins, but in turn."""
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))


DATA, TEACHER = toy(), teacher_net()


def sweep(student="mlp-4", teacher=TEACHER, data=DATA, **options):
    quiet = {"progress": False, "device": "cpu", "epochs": 2, "seeds": 2}
    return kdlab.sweep(student, teacher, data, **{**quiet, **options})


@pytest.fixture(scope="module")
def grid():
    return sweep(temperature=[1, 4], alpha=[0, 0.5, 1], seeds=3)


def same_logits(run, other):
    return (run.logits() - other.logits()).abs().max().item() < 1e-4


# ---------------------------------------------------------------- the table


def test_the_table_has_a_row_a_run(grid):
    table = grid.table
    assert list(table) == ["temperature", "alpha", "seed", *METRICS, "seconds", "run", "error"]
    assert (table["error"] == "").all()
    assert len(table) == 2 * 3 * 3
    assert not table.duplicated(["temperature", "alpha", "seed"]).any()
    for _, row in table.iterrows():
        run = grid.runs[int(row["run"])]
        assert run.settings["seed"] == row["seed"] and run.settings["alpha"] == row["alpha"]
        if row["alpha"] < 1:
            assert run.settings["temperature"] == row["temperature"]
        assert [row[name] for name in METRICS] == [run.scores[name] for name in METRICS]
    assert grid.axes == ("temperature", "alpha") and grid.where == "120 examples"


def test_labels_only_is_trained_once_under_all_temperatures(grid):
    assert len(grid.runs) == (2 * 2 + 1) * 3
    labels_only = grid.table[grid.table["alpha"] == 1]
    assert len(labels_only) == 6 and labels_only["run"].nunique() == 3
    assert (labels_only.groupby("seed")["accuracy"].nunique() == 1).all()
    apart = grid.table[grid.table["alpha"] < 1]
    assert apart["run"].is_unique


def test_a_loss_of_ones_own_is_trained_under_every_temperature():
    def loss(student_logits, teacher_logits, labels, temperature, alpha):
        return losses.soft_target_kl(student_logits, teacher_logits, temperature)

    assert len(sweep(loss=loss, alpha=1, temperature=[1, 4], seeds=1).runs) == 2


@pytest.mark.parametrize("student", ["mlp-4", dropping])
def test_each_run_is_that_of_distill(student):
    swept = sweep(student, alpha=[0, 0.5], temperature=2, seeds=[5, 1], epochs=3)
    assert swept.table["seed"].tolist() == [5, 1, 5, 1]
    for alpha, seed, at in swept.table[["alpha", "seed", "run"]].itertuples(index=False):
        single = kdlab.distill(
            student, TEACHER, DATA, alpha=alpha, temperature=2, seed=int(seed), epochs=3,
            device="cpu", progress=False,
        )  # fmt: skip
        run = swept.runs[int(at)]
        assert same_logits(run, single)
        assert {**run.settings, "progress": 0} == {**single.settings, "progress": 0}


def test_any_list_becomes_an_axis():
    def slow(progress):
        return 1e-4

    swept = sweep(
        ["mlp-2", "mlp-4"], learning_rate=[1e-2, slow], batch_size=(16, 64), seeds=1, alpha=0
    )
    assert swept.axes == ("student", "learning_rate", "batch_size")
    assert len(swept.runs) == len(swept.table) == 8
    assert set(swept.table["learning_rate"]) == {1e-2, "slow"}
    wide = swept.table[swept.table["student"] == "mlp-4"]
    assert (wide["parameters"] == 4 * 4 + 4 + 4 * 3 + 3).all()
    verdict = swept.compare(
        {"student": "mlp-2", "learning_rate": slow, "batch_size": 16},
        {"student": "mlp-4", "learning_rate": "slow", "batch_size": 16},
    )
    assert "student=mlp-4" in str(verdict) and "learning_rate=slow" in str(verdict)


def test_teachers_and_functions_are_axes_too():
    def early():
        return nn.Linear(4, 3)

    def soft(student_logits, teacher_logits, labels, temperature, alpha):
        return losses.soft_target_kl(student_logits, teacher_logits, temperature)

    swept = sweep(early, [TEACHER, nn.Linear(4, 3)], loss=[None, soft], alpha=0, seeds=1)
    assert swept.table["teacher"].tolist() == ["Sequential"] * 2 + ["Linear"] * 2
    assert swept.table["loss"].tolist() == ["None", "soft"] * 2
    # the default loss at alpha=0 is this very loss
    assert same_logits(swept.runs[0], swept.runs[1])
    assert not same_logits(swept.runs[0], swept.runs[2])
    assert swept.compare({"teacher": TEACHER, "loss": None}, {"teacher": "Linear", "loss": soft})


def test_a_named_teacher_keeps_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(kdlab.teachers, "load_teacher", lambda name: TEACHER)
    swept = sweep(teacher="fashion-cnn", alpha=0)
    assert [run.settings["teacher"] for run in swept.runs] == ["fashion-cnn"] * 2


def test_data_may_be_drawn_for_each_seed():
    def draw(seed):
        return toy(train=60, seed=seed, unlabelled=10)

    swept = sweep(data=draw, alpha=[0, 0.5])
    assert swept.where == "60 examples"
    for run, seed in zip(swept.runs, swept.table["seed"], strict=True):
        alpha = run.settings["alpha"]
        single = kdlab.distill(
            "mlp-4", TEACHER, draw(seed), alpha=alpha, seed=seed, epochs=2,
            device="cpu", progress=False,
        )  # fmt: skip
        assert same_logits(run, single)
        # the runs let go of their own draw, and say so; validation and test are kept
        assert len(run.data.train) == len(run.data.transfer) == 0
        assert run.score("test")["nll"] == pytest.approx(single.score("test")["nll"], abs=1e-4)
        with pytest.raises(Refusal, match="did not keep its train examples: give data="):
            run.score("train")
        run.score("train", draw(seed))
    assert len(sweep(alpha=0).runs[0].data.train) == 120  # data shared by all is kept
    ragged = sweep(data=lambda seed: toy(train=60 + seed), alpha=0)
    assert ragged.where == "60 to 61 examples"


def test_a_pair_of_tensors_is_data_here_too():
    data = (torch.randn(50, 4), torch.arange(50) % 3)
    assert sweep(data=data).where == "30 examples"


def test_without_axes_a_sweep_is_runs_of_several_seeds():
    swept = sweep(seeds=3)
    assert swept.axes == () and swept.table["seed"].tolist() == [0, 1, 2]
    assert len(sweep(seeds=range(2)).runs) == len(sweep(seeds=(4, 7)).runs) == 2


def test_the_same_value_twice_is_trained_once():
    swept = sweep(alpha=[0.5, 0.5])
    assert len(swept.table) == 4 and len(swept.runs) == 2
    assert swept.compare({"alpha": 0.5}, {"alpha": 0.5}).difference == 0


# ---------------------------------------------------------------- compare


def test_compare_is_paired_over_seeds(grid):
    verdict = grid.compare({"alpha": 1}, {"temperature": 4, "alpha": 0})
    table = grid.table
    baseline = table[(table["alpha"] == 1) & (table["temperature"] == 1)].set_index("seed")
    candidate = table[(table["alpha"] == 0) & (table["temperature"] == 4)].set_index("seed")
    expected = verdicts.compare(baseline["accuracy"].tolist(), candidate["accuracy"].tolist())
    assert (verdict.difference, verdict.low, verdict.high) == (
        expected.difference, expected.low, expected.high,
    )  # fmt: skip
    assert verdict.pairs == 3  # equal runs under both temperatures count once
    assert str(verdict).startswith(
        "teacher only (T=4) against labels only, 3 paired seeds, 120 examples: "
    )


def test_an_axis_left_free_is_refused(grid):
    with pytest.raises(Refusal, match=r"leaves temperature free: temperature is one of 1, 4\."):
        grid.compare({"alpha": 1}, {"alpha": 0})
    with pytest.raises(Refusal, match="leaves alpha free"):
        grid.compare({"temperature": 1}, {"temperature": 4, "alpha": 0})
    with pytest.raises(Refusal, match="leaves temperature, alpha free"):
        grid.compare({}, {"temperature": 4, "alpha": 0})


def test_an_axis_along_which_runs_are_equal_may_be_left_out(grid):
    full = grid.compare({"alpha": 1, "temperature": 4}, {"temperature": 4, "alpha": 0})
    assert grid.compare({"alpha": 1}, {"temperature": 4, "alpha": 0}).difference == full.difference


def test_only_the_free_axis_is_named():
    swept = sweep(temperature=[1, 4], alpha=[0, 1], batch_size=[16, 64], seeds=1)
    with pytest.raises(Refusal, match="leaves batch_size free: batch_size is one of 16, 64"):
        swept.compare({"alpha": 1}, {"alpha": 0, "temperature": 1, "batch_size": 16})


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({"alpha": 0.3, "temperature": 1}, r"no run with .*0\.3.*alpha was one of 0\.0, 0\.5, 1"),
        ({"epochs": 2}, "epochs is no axis of this sweep: its axes are temperature, alpha"),
        ({"Alpha": 1}, "Alpha is no axis"),
    ],
)
def test_settings_that_were_not_run_are_refused(grid, setting, expected):
    with pytest.raises(Refusal, match=expected):
        grid.compare(setting, {"alpha": 0, "temperature": 4})


def test_unknown_metrics_are_refused(grid):
    with pytest.raises(Refusal, match=r"'acuracy'.*accuracy, nll, ece, agreement"):
        grid.compare({"alpha": 1}, {"alpha": 0, "temperature": 4}, "acuracy")


def test_every_metric_can_be_compared(grid):
    for metric in METRICS:
        verdict = grid.compare({"alpha": 1}, {"alpha": 0, "temperature": 4}, metric)
        assert verdict.metric == metric
    assert grid.compare({"alpha": 1}, {"alpha": 0, "temperature": 4}, margin=1).word == "the same"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"alpha": 1}, "labels only"),
        ({"alpha": 0, "temperature": 4}, "teacher only (T=4)"),
        ({"alpha": 0.5, "temperature": 1}, "labels 0.50 · teacher 0.50 (T=1)"),
    ],
)
def test_settings_in_words(grid, setting, words):
    assert grid.said(setting) == words


# ---------------------------------------------------------------- test


def test_the_final_word_is_on_test(grid):
    grid._tested.clear()
    found = grid.test([{"alpha": 1}, {"temperature": 4, "alpha": 0}])
    assert found["setting"].tolist() == ["labels only", "teacher only (T=4)"]
    assert found["runs"].tolist() == [3, 3]
    rows = grid.table[(grid.table["alpha"] == 0) & (grid.table["temperature"] == 4)]
    on_test = [grid.runs[at].score("test") for at in rows["run"]]
    for name in METRICS[:4]:
        assert found[name][1] == pytest.approx(np.mean([seen[name] for seen in on_test]))
    accuracies = [seen["accuracy"] for seen in on_test]
    low, high = verdicts.interval(accuracies)
    assert (found["accuracy_low"][1], found["accuracy_high"][1]) == pytest.approx((low, high))
    assert found["against_the_first"][0] == ""
    baseline = grid.table[(grid.table["alpha"] == 1) & (grid.table["temperature"] == 1)]
    expected = verdicts.compare(
        [grid.runs[at].score("test")["accuracy"] for at in baseline["run"]], accuracies
    )
    assert found["against_the_first"][1] == (
        f"{verdicts.signed(expected.difference)} points, {expected.word}"
    )


def test_a_second_look_at_other_settings_is_warned_about(grid):
    grid._tested.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grid.test([{"alpha": 1}, {"temperature": 4, "alpha": 0}])
        grid.test([{"temperature": 4, "alpha": 0}])  # the same again tells nothing new
    with pytest.warns(UserWarning, match="already looked at with other settings"):
        grid.test([{"temperature": 1, "alpha": 0}])


def test_test_refuses_before_it_looks(grid, monkeypatch):
    grid._tested.clear()
    monkeypatch.setattr(kdlab.Run, "score", lambda *_: pytest.fail("looked at test"))
    for settings, expected in (
        ([], "name the settings"),
        ([{"alpha": 1}, {"alpha": 0}], "leaves temperature free"),
        ([{"alpha": 0.123}], "no run with"),
    ):
        with pytest.raises(Refusal, match=expected):
            grid.test(settings)
    assert not grid._tested


# ---------------------------------------------------------------- stopped


@pytest.mark.parametrize("student", [dropping, "mlp-4"])
def test_an_interrupt_keeps_the_runs_that_are_done(student, monkeypatch, capsys):
    trained = []
    finish = training.finish

    def finish_five(job, *given):
        trained.append(job)
        if len(trained) == 6:
            raise KeyboardInterrupt
        return finish(job, *given)

    monkeypatch.setattr(training, "finish", finish_five)
    swept = sweep(student, alpha=[0, 0.5, 0.7], temperature=1, seeds=3)
    assert len(swept.runs) == len(swept.table) == 5
    assert swept.table["alpha"].tolist() == [0, 0, 0, 0.5, 0.5]
    assert swept.table["seed"].tolist() == [0, 1, 2, 0, 1]
    assert "holds the 5 runs that are done" in capsys.readouterr().err
    monkeypatch.undo()
    assert swept.compare({"alpha": 0}, {"alpha": 0.5}).pairs == 2  # the seeds that both have


def test_an_interrupt_within_a_run_drops_that_run(capsys):
    calls = []

    def loss(*given):
        calls.append(1)
        if len(calls) == 7:  # 2 epochs of 1 step for each run: in the middle of the fourth
            raise KeyboardInterrupt
        return losses.kd_loss(*given)

    swept = sweep(loss=loss, alpha=[0, 0.5], seeds=2, batch_size=500)
    assert len(swept.runs) == 3 and all(run.finished for run in swept.runs)


def test_an_interrupt_before_the_first_run_is_done_is_passed_on():
    def loss(*given):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(loss=loss)


def test_stop_ends_a_sweep():
    for student in ("mlp-4", dropping):
        steps = []
        with pytest.raises(kdlab.Stopped):
            sweep(student, stop=lambda steps=steps: steps.append(1) or len(steps) > 3, epochs=50)
        assert len(steps) == 4


# ---------------------------------------------------------------- saved


def test_a_sweep_is_saved_whole(tmp_path):
    swept = sweep(alpha=[0, 1])
    assert swept.save(tmp_path / "atlas") == tmp_path / "atlas"
    swept.save(tmp_path / "atlas")  # again: takes the older one's place
    names = sorted(path.name for path in (tmp_path / "atlas").iterdir())
    assert names == ["run-0000", "run-0001", "run-0002", "run-0003", "table.csv"]
    table = pd.read_csv(tmp_path / "atlas" / "table.csv")
    assert np.allclose(table["nll"], swept.table["nll"])
    loaded = kdlab.load_run(tmp_path / "atlas" / "run-0003")
    assert torch.equal(loaded.logits("test", DATA), swept.runs[3].logits("test"))
    assert [path.name for path in tmp_path.iterdir()] == ["atlas"]


# ---------------------------------------------------------------- bad input, before any work


def lambdas():
    return [lambda: nn.Linear(4, 3), lambda: nn.Linear(4, 3)]


BAD = {
    "an unknown argument": ({"temprature": [1]}, "sweep does not know temprature.*temperature"),
    "a callback": ({"after_epoch": print}, "does not know after_epoch"),
    "an empty axis": ({"alpha": []}, r"alpha=\[\]: expected at least one value"),
    "no students": ({"student": []}, r"student=\[\]"),
    "a bad value late in an axis": ({"temperature": [1, 4, 0]}, "temperature=0"),
    "a bad alpha late in an axis": ({"alpha": [0, 2]}, "alpha=2"),
    "no seeds": ({"seeds": 0}, "seeds=0"),
    "an empty list of seeds": ({"seeds": []}, r"seeds=\[\]: expected at least one"),
    "a seed twice": ({"seeds": [1, 1]}, r"seeds=\[1, 1\].*each one once"),
    "half a seed": ({"seeds": [0.5]}, "seeds=0.5"),
    "a student that does not fit, late": (
        {"student": ["mlp-4", nn.Linear(9, 3)]},
        "student Linear cannot take",
    ),
    "a teacher that does not fit, late": (
        {"teacher": [TEACHER, nn.Linear(4, 7)]},
        "teacher Linear gives outputs",
    ),
    "students that share a name": ({"student": lambdas()}, "share a name, <lambda>, <lambda>"),
    "no transfer set": ({"transfer": [False, True]}, "no transfer examples"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_before_the_first_run(case):
    options, expected = BAD[case]
    steps = []
    with pytest.raises(Refusal, match=expected):
        sweep(**{"alpha": 0.5, **options}, stop=lambda: steps.append(1))
    assert not steps


def test_an_unknown_student_late_in_an_axis_is_refused_before_the_first_run():
    steps = []
    with pytest.raises(UnknownName, match="'cnn-smal'"):
        sweep(["mlp-4", "cnn-smal"], stop=lambda: steps.append(1))
    with pytest.raises(UnknownName, match="'fashion'"):
        sweep(teacher=[TEACHER, "fashion"], stop=lambda: steps.append(1))
    assert not steps


# ---------------------------------------------------------------- named values, pivots


def test_a_dict_is_an_axis_whose_values_have_names():
    swept = sweep({"narrow": "mlp-2", "wide": "mlp-6"}, alpha={"labels": 1, "teacher": 0}, seeds=2)
    assert swept.axes == ("student", "alpha")
    assert swept.table["student"].tolist() == ["narrow"] * 4 + ["wide"] * 4
    assert set(swept.table["alpha"]) == {"labels", "teacher"}
    verdict = swept.compare(
        {"student": "wide", "alpha": "labels"}, {"student": "wide", "alpha": "teacher"}
    )
    assert verdict.pairs == 2 and "student=wide" in str(verdict)
    assert swept.runs[-1].settings["student"] == "mlp-6"


def test_lambdas_can_be_told_apart_by_names():
    swept = sweep(dict(zip("ab", lambdas(), strict=True)), seeds=1)
    assert swept.table["student"].tolist() == ["a", "b"]


def test_a_pivot_has_the_means_over_the_seeds(grid):
    means = grid.pivot("temperature", "alpha", "nll")
    assert list(means.index) == list(dict.fromkeys(grid.table["temperature"]))
    assert list(means.columns) == list(dict.fromkeys(grid.table["alpha"]))
    for temperature in means.index:
        for alpha in means.columns:
            rows = grid.rows({"temperature": temperature, "alpha": alpha})
            assert means.loc[temperature, alpha] == pytest.approx(rows["nll"].mean())
    with pytest.raises(Refusal, match="'width' is no axis"):
        grid.pivot("width", "alpha")
    with pytest.raises(Refusal, match="metric 'loss'"):
        grid.pivot("temperature", "alpha", "loss")


# ---------------------------------------------------------------- runs that fail


def bursting(student_logits, teacher_logits, labels, temperature, alpha):
    loss = losses.kd_loss(student_logits, teacher_logits, labels, temperature, alpha)
    return loss / 0 if alpha == 0.5 else loss


@pytest.mark.parametrize(
    ("student", "options", "good", "bad"),
    [
        (dropping, {"loss": bursting}, {"alpha": 0.2}, {"alpha": 0.5}),
        (
            "mlp-4",
            {"learning_rate": [1e-3, 1e30]},
            {"alpha": 0.5, "learning_rate": 1e-3},
            {"alpha": 0.5, "learning_rate": 1e30},
        ),
    ],
    ids=["in turn", "together"],
)
def test_a_run_that_fails_is_a_row_with_its_error(student, options, good, bad):
    with pytest.warns(UserWarning, match=r"(2 of 6|6 of 12) runs failed: the loss became"):
        swept = sweep(student, alpha=[0.2, 0.5, 0.8], epochs=9, **options)
    failed = swept.table["error"] != ""
    assert swept.table["accuracy"].isna().equals(failed) and swept.table["run"].is_unique
    assert swept.table["error"][failed].str.startswith("the loss became").all()
    assert swept.compare(good, good).difference == 0
    with pytest.raises(Refusal, match=r"2 of 2 runs of .* failed, so it cannot be compared: the"):
        swept.compare(good, bad)
    run = swept.runs[int(swept.table["run"][failed].iloc[0])]
    assert run.error and not run.finished


def test_an_error_of_a_learners_own_loss_is_a_row_too():
    def loss(student_logits, teacher_logits, labels, temperature, alpha):
        if temperature == 2:
            raise KeyError("no such term")
        return losses.kd_loss(student_logits, teacher_logits, labels, temperature, alpha)

    with pytest.warns(UserWarning, match="2 of 4 runs failed: 'no such term'"):
        swept = sweep(loss=loss, temperature=[1, 2])
    assert swept.table["error"].tolist() == ["", "", "'no such term'", "'no such term'"]


# ---------------------------------------------------------------- saved and resumed


def counted(monkeypatch):
    """The numbers of students trained from here on, call by call."""
    calls = []
    alone, stacked = training.loop, together.loop
    monkeypatch.setattr(training, "loop", lambda job: calls.append(1) or alone(job))
    monkeypatch.setattr(
        together, "loop", lambda jobs, **own: calls.append(len(jobs)) or stacked(jobs, **own)
    )
    return calls


@pytest.mark.parametrize("student", ["mlp-4", dropping])
def test_a_run_that_is_there_is_not_run_again(student, tmp_path, monkeypatch):
    first = sweep(student, alpha=[0, 0.5], seeds=2, folder=tmp_path)
    calls = counted(monkeypatch)
    again = sweep(student, alpha=[0, 0.5], seeds=2, folder=tmp_path)
    assert not calls
    pd.testing.assert_frame_equal(first.table, again.table)
    assert all(map(same_logits, first.runs, again.runs))
    assert again.runs[0].score("test") == first.runs[0].score("test")
    more = sweep(student, alpha=[0, 0.5, 0.7], seeds=3, folder=tmp_path)
    assert sum(calls) == 3 + 2  # the new alpha, and the new seed of the old ones
    assert all(map(same_logits, first.runs, [more.runs[at] for at in (0, 1, 3, 4)]))
    assert len(pd.read_csv(tmp_path / "table.csv")) == 9


def own_loss(sharpness):
    def loss(student_logits, teacher_logits, labels, temperature, alpha):
        return sharpness * losses.soft_target_kl(student_logits, teacher_logits, temperature)

    return loss


def other_teacher():
    torch.manual_seed(4)
    return nn.Linear(4, 3)


CHANGES = {
    "the seed": {"seeds": [7]},
    "an option": {"epochs": 3},
    "the student": {"student": "mlp-5"},
    "the teacher": {"teacher": other_teacher()},
    "the loss": {"loss": own_loss(1)},
    "a value that the loss encloses": {"loss": own_loss(2)},
    "a schedule": {"alpha": kdlab.schedules.linear(0.5, 0.4)},
    "a match": {"match": [kdlab.Match("hidden", "0", loss=losses.similarity_preserving, weight=2)]},
}


def test_whatever_a_run_depends_on_makes_it_another_run(tmp_path, monkeypatch):
    calls = counted(monkeypatch)
    for trained, change in enumerate([{}, *CHANGES.values()], 1):
        sweep(**{"alpha": 0.5, "seeds": 1, **change}, folder=tmp_path)
        assert sum(calls) == trained, change
    for change in ({}, *CHANGES.values()):
        sweep(**{"alpha": 0.5, "seeds": 1, **change}, folder=tmp_path)
    assert sum(calls) == 1 + len(CHANGES)


def test_data_that_changed_is_trained_anew(tmp_path, monkeypatch):
    calls = counted(monkeypatch)
    for noise in (0.0, 0.5, 0.0):
        sweep(data=toy(label_noise=noise), seeds=1, folder=tmp_path)
    assert sum(calls) == 2


def test_an_interrupted_sweep_goes_on_where_it_stopped(tmp_path, monkeypatch):
    steps = itertools.count(1)

    def loss(*given):
        if next(steps) == 7:  # in the middle of the fourth run
            raise KeyboardInterrupt
        return losses.kd_loss(*given)

    options = {"loss": loss, "alpha": [0, 0.5], "seeds": 2, "batch_size": 500, "folder": tmp_path}
    assert len(sweep(**options).runs) == 3
    calls = counted(monkeypatch)
    assert len(sweep(**options).runs) == 4 and calls == [1]


def test_a_full_disk_ends_the_saving_and_not_the_sweep(tmp_path, monkeypatch):
    sweep(alpha=0, seeds=1, folder=tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())

    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kdlab.Run, "save", full)
    with pytest.warns(UserWarning, match="no run is saved: .*No space left"):
        swept = sweep(alpha=[0, 0.5], seeds=2, folder=tmp_path)
    assert len(swept.runs) == 4 and swept.table["accuracy"].notna().all()
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_damaged_run_is_named_and_left_alone(tmp_path):
    sweep(alpha=0, seeds=1, folder=tmp_path)
    (weights,) = tmp_path.glob("run-*/student.safetensors")
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(kdlab.CorruptFile, match=re.escape(str(weights))):
        sweep(alpha=0, seeds=1, folder=tmp_path)
