"""Runs are saved all or nothing, loaded back equal, and refused by name where damaged."""

import hashlib
import json
import math

import pandas as pd
import pytest
import torch
from torch import nn

import kdlab
from kdlab import runs
from kdlab.errors import CorruptFile, Refusal

QUIET = {"progress": False, "device": "cpu", "epochs": 3}


def toy():
    inputs = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    return kdlab.load_data((inputs, torch.arange(60) % 3))


class Own(nn.Module):
    """A student of one's own, with batch norm and a tied layer."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.again = self.first
        self.head = nn.Linear(4, 3)

    def forward(self, inputs):
        return self.head(self.again(self.norm(self.first(inputs)).relu()))


DATA, TEACHER = toy(), nn.Linear(4, 3)


def run_of(student="mlp-8", **options):
    return kdlab.distill(student, TEACHER, DATA, **{**QUIET, "batch_size": 16, **options})


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ---------------------------------------------------------------- saved and loaded


@pytest.mark.parametrize("options", [{}, {"precision": "float64"}, {"alpha": 1}, {"watch": 0}])
def test_a_run_is_loaded_equal(options, tmp_path):
    run = run_of(**options)
    assert run.save(tmp_path / "run") == tmp_path / "run"
    assert {path.name for path in (tmp_path / "run").iterdir()} == set(runs.FILES)
    loaded = kdlab.load_run(tmp_path / "run")
    assert torch.equal(loaded.logits("validation", DATA), run.logits())
    pd.testing.assert_frame_equal(loaded.history, run.history, check_exact=True)
    assert loaded.settings == run.settings
    assert loaded.scores == run.scores
    assert (loaded.seconds, loaded.finished) == (run.seconds, True)
    assert not loaded.student.training
    told = loaded.score("validation", DATA)
    assert told["accuracy"] == run.scores["accuracy"] and math.isnan(told["agreement"])


def test_scores_without_a_teacher_come_back_too(tmp_path):
    run = kdlab.train("mlp-4", DATA, **QUIET)
    run.save(tmp_path / "run")
    loaded = kdlab.load_run(tmp_path / "run")
    assert math.isnan(loaded.scores["agreement"])
    assert {**loaded.scores, "agreement": 0} == {**run.scores, "agreement": 0}


def test_settings_that_json_cannot_hold_are_saved_by_name(tmp_path):
    def cosine(progress):
        return 1e-3 * (1 - progress)

    run = run_of(learning_rate=cosine, optimizer=torch.optim.SGD)
    run.save(tmp_path / "run")
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert settings["learning_rate"] == "cosine" and settings["optimizer"] == "SGD"
    assert settings["torch"] == torch.__version__


@pytest.mark.parametrize("make", [Own, lambda: nn.Linear(4, 3)])
def test_a_module_of_ones_own_is_loaded_by_giving_it(make, tmp_path):
    run = run_of(make())
    run.save(tmp_path / "run")
    with pytest.raises(Refusal, match=r"give load_run\(folder, student="):
        kdlab.load_run(tmp_path / "run")
    for student in (make, make()):
        loaded = kdlab.load_run(tmp_path / "run", student=student)
        assert torch.equal(loaded.logits("test", DATA), run.logits("test"))


def test_weights_that_do_not_fit_the_module_are_refused(tmp_path):
    run_of().save(tmp_path / "run")
    with pytest.raises(Refusal, match=r"student\.safetensors do not fit the student given"):
        kdlab.load_run(tmp_path / "run", student="mlp-9")


def test_a_loaded_run_without_data_says_so(tmp_path):
    run_of().save(tmp_path / "run")
    with pytest.raises(Refusal, match="give data="):
        kdlab.load_run(tmp_path / "run").score("test")


def test_bytes_are_those_of_the_file(tmp_path):
    run = run_of()
    run.save(tmp_path / "run")
    file = tmp_path / "run" / "student.safetensors"
    assert run.scores["bytes"] == file.stat().st_size


def test_a_run_shows_its_scores():
    shown = run_of()._repr_html_()
    assert "accuracy" in shown and "agreement" in shown and "per_class" not in shown


# ---------------------------------------------------------------- all or nothing


def test_saving_again_replaces_the_older_run(tmp_path):
    run_of(seed=0).save(tmp_path / "run")
    other = run_of(seed=1)
    other.save(tmp_path / "run")
    assert kdlab.load_run(tmp_path / "run").settings["seed"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("step", ["save_model", "json", "rename"])
def test_a_failure_in_the_middle_leaves_the_older_run(step, tmp_path, monkeypatch):
    run_of(seed=0).save(tmp_path / "run")
    before = contents(tmp_path / "run")
    other = run_of(seed=1)

    def full(*_, **__):
        raise OSError("no space left on device")

    if step == "save_model":
        monkeypatch.setattr(runs, "save_model", full)
    elif step == "json":
        monkeypatch.setattr(runs.json, "dumps", full)
    else:
        rename = runs.Path.rename

        def fails_for_the_new(path, target):
            return full() if path.name.endswith(".part") else rename(path, target)

        monkeypatch.setattr(runs.Path, "rename", fails_for_the_new)
    with pytest.raises(OSError, match="no space"):
        other.save(tmp_path / "run")
    monkeypatch.undo()
    assert contents(tmp_path / "run") == before
    assert kdlab.load_run(tmp_path / "run").settings["seed"] == 0
    with pytest.raises(OSError, match="no space"), monkeypatch.context() as patch:
        patch.setattr(runs, "save_model", full)
        other.save(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob("*.before")) and not (tmp_path / "new.part").exists()


def test_a_folder_with_other_things_is_never_replaced(tmp_path, monkeypatch):
    (tmp_path / "thesis.txt").write_text("two years of work")
    for folder in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(Refusal, match=r"thesis\.txt.*new or empty folder"):
            run_of().save(folder)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refusal, match=r"thesis\.txt"):
        run_of().save(".")
    assert (tmp_path / "thesis.txt").read_text() == "two years of work"
    run_of().save(tmp_path / "runs" / "deep" / "first")  # folders above are made
    (tmp_path / "empty").mkdir()
    run_of().save(tmp_path / "empty")


# ---------------------------------------------------------------- damaged


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_damaged_weights_are_named_with_both_hashes_and_left_alone(damage, tmp_path):
    run_of().save(tmp_path / "run")
    path = tmp_path / "run" / "student.safetensors"
    content = path.read_bytes()
    expected = hashlib.sha256(content).hexdigest()
    flipped = content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]
    path.write_bytes(content[:-5] if damage == "truncated" else flipped)
    before = contents(tmp_path / "run")
    with pytest.raises(CorruptFile) as refusal:
        kdlab.load_run(tmp_path / "run")
    said = str(refusal.value)
    assert str(path) in said and expected in said
    assert hashlib.sha256(path.read_bytes()).hexdigest() in said
    assert contents(tmp_path / "run") == before


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("run.json", '{"settings": {'),
        ("run.json", "{}"),
        ("run.json", "[]"),
        ("history.csv", ""),
        ("history.csv", "epoch,step\n1,one\n"),
        ("history.csv", "loss\n1\n"),
    ],
)
def test_a_damaged_table_or_card_is_named(file, content, tmp_path):
    run_of().save(tmp_path / "run")
    (tmp_path / "run" / file).write_text(content)
    with pytest.raises(CorruptFile, match=rf"{file} is damaged"):
        kdlab.load_run(tmp_path / "run")


@pytest.mark.parametrize("file", runs.FILES)
def test_a_folder_without_a_run_is_said(file, tmp_path):
    run_of().save(tmp_path / "run")
    (tmp_path / "run" / file).unlink()
    with pytest.raises(Refusal, match=f"holds no saved run: {file} not found"):
        kdlab.load_run(tmp_path / "run")
    with pytest.raises(Refusal, match="holds no saved run"):
        kdlab.load_run(tmp_path / "nowhere")
