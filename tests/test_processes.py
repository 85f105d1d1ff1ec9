"""Worker processes: the same students as in this process, and nothing lost with a worker."""

import dataclasses
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

import kdlab
from kdlab import engines, jobs, losses, processes, together, training
from kdlab.errors import Refusal


def toy(count=100, **options):
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(count, 4, generator=draw)
    labels = (inputs @ torch.randn(4, 3, generator=draw)).argmax(1)
    labels[:3] = torch.arange(3)
    return kdlab.load_data((inputs, labels), **options)


torch.manual_seed(0)
TEACHER = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
FAST = {"epochs": 3, "batch_size": 16, "progress": False, "device": "cpu", "watch": 10}


class Counting(nn.Module):
    """State that no state_dict holds, and that changes the answers."""

    def __init__(self):
        super().__init__()
        self.layer, self.calls = nn.Linear(4, 3), 0

    def forward(self, inputs):
        self.calls += self.training
        return self.layer(inputs) * (1 + self.calls / 100)


def with_batch_norm():
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))


def with_dropout():
    return nn.Sequential(nn.Linear(4, 9), nn.Dropout(0.3), nn.ReLU(), nn.Linear(9, 3))


def shaken(inputs):
    return inputs + 0.1 * torch.randn_like(inputs)


def own_loss(student_logits, teacher_logits, labels, temperature, alpha):
    kd = losses.kd_loss(student_logits, teacher_logits, labels, temperature, alpha)
    return {"kd": kd, "small": 0.01 * student_logits.square().mean()}


CASES = {
    "a plain MLP, split among the workers": {"student": "mlp-8", "alpha": [0.1, 0.5, 1]},
    "batch norm": {"student": with_batch_norm},
    "dropout": {"student": with_dropout},
    "state outside the state_dict": {"student": Counting},
    "a module as the start of all": {"student": with_batch_norm()},
    "a loss of its own": {"student": with_dropout, "loss": own_loss},
    "a match with a projector": {
        "student": "mlp-8", "match": [kdlab.Match("hidden", "0", loss=losses.hint_loss, weight=2),
                                      kdlab.Match("head", "0", loss=losses.hint_loss)],
    },
    "augmentation, so a teacher asked at each step": {"student": "mlp-8", "augment": shaken},
    "mixtures of inputs and labels": {"student": "mlp-8", "augment": kdlab.MixUp(0.5)},
    "stages": {"student": "mlp-8", "stages": [{"epochs": 1, "alpha": 1}, {"epochs": 2}]},
    "an optimizer of its own": {"student": "mlp-8", "optimizer": torch.optim.SGD},
    "double": {"student": with_dropout, "precision": "float64"},
    "a draw for each seed": {
        "student": with_dropout, "data": lambda seed: toy(train=40, seed=seed),
    },
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_students_are_those_of_this_process(case):
    own = {"student": "mlp-8", "data": toy(), **CASES[case]}
    student, data = own.pop("student"), own.pop("data")
    here, away = (
        kdlab.sweep(student, TEACHER, data, seeds=2, engine=engine, **FAST, **own)
        for engine in ("in turn", "processes")
    )
    assert here.engine == "in turn" and away.engine.startswith("processes, 2 at once")
    columns = [name for name in here.table if name != "seconds"]
    pd.testing.assert_frame_equal(away.table[columns], here.table[columns], rtol=1e-4)
    for run, expected in zip(away.runs, here.runs, strict=True):
        assert run.logits().allclose(expected.logits(), atol=1e-4)
        assert type(run.student) is type(expected.student) and not run.student.training
        assert run.finished and list(run.history) == list(expected.history)
        assert run.score("test")["nll"] == pytest.approx(expected.score("test")["nll"], abs=1e-4)
        assert run.settings == expected.settings and run.teacher is TEACHER
        assert run.projectors.keys() == expected.projectors.keys()
        for name, projector in run.projectors.items():
            assert projector[0].weight.allclose(expected.projectors[name][0].weight, atol=1e-4)


def test_a_failed_run_is_a_row_with_its_error():
    def bursting(student_logits, teacher_logits, labels, temperature, alpha):
        loss = losses.kd_loss(student_logits, teacher_logits, labels, temperature, alpha)
        return loss / 0 if alpha == 0.5 else loss

    with pytest.warns(UserWarning, match="2 of 4 runs failed: the loss became inf at step 1"):
        swept = kdlab.sweep(
            with_dropout, TEACHER, toy(), seeds=2, alpha=[0.2, 0.5], loss=bursting,
            engine="processes", **FAST,
        )  # fmt: skip
    assert (
        swept.table["error"].str.startswith("the loss became").tolist() == [False] * 2 + [True] * 2
    )


def test_runs_of_workers_are_saved_and_found_again(tmp_path, monkeypatch):
    options = {"seeds": 2, "engine": "processes", "folder": tmp_path, **FAST}
    first = kdlab.sweep(with_dropout, TEACHER, toy(), **options)
    monkeypatch.setattr(processes, "run", None)  # would fail if it were asked
    again = kdlab.sweep(with_dropout, TEACHER, toy(), **options)
    assert again.engine == "loaded"
    pd.testing.assert_frame_equal(first.table, again.table)


def test_stop_ends_a_sweep_between_two_students():
    asked = []
    with pytest.raises(kdlab.Stopped):
        kdlab.sweep(
            with_dropout, TEACHER, toy(), seeds=4, engine="processes",
            stop=lambda: asked.append(1) or True, **FAST,
        )  # fmt: skip
    assert len(asked) == 1


def test_a_view_travels_without_the_rest_of_its_storage():
    data = toy(40)
    many = torch.zeros(1_000_000)
    job = jobs.prepare("mlp-8", TEACHER, data, **{**training.distill.__kwdefaults__, **FAST})
    job = dataclasses.replace(job, answers=many[: job.answers.numel()].view_as(job.answers))
    packed, *arrays = processes._pack([job], {})
    assert len(packed) + sum(array.nbytes for array in arrays) < 100_000
    (there,) = processes._Unpacker(io.BytesIO(packed), arrays).load()
    assert torch.equal(there.answers, job.answers)


# ---------------------------------------------------------------- which engine


@pytest.mark.parametrize(
    ("student", "step", "engine"),
    [
        ("mlp-8", 9.0, "together, 2 in one loop"),
        (with_dropout, 9.0, "processes, 2 at once"),
        (with_dropout, 1e-6, "in turn"),
    ],
)
def test_auto_chooses_by_the_cost_of_a_step(student, step, engine, monkeypatch):
    monkeypatch.setattr(processes, "_seconds_a_step", lambda job: step)
    monkeypatch.setattr(processes, "_last_used", -1e9)
    assert kdlab.sweep(student, TEACHER, toy(), seeds=2, **FAST).engine == engine


def test_workers_that_run_already_pay_sooner(monkeypatch):
    monkeypatch.setattr(processes, "_seconds_a_step", lambda job: 0.05)
    chosen = []
    for used in (-1e9, time.monotonic()):
        monkeypatch.setattr(processes, "_last_used", used)
        chosen.append(kdlab.sweep(with_dropout, TEACHER, toy(), seeds=2, **FAST).engine)
    assert chosen == ["in turn", "processes, 2 at once"]


def test_no_more_workers_than_fit_into_the_memory(monkeypatch):
    class Little:
        available = 1.5 * processes.WORKER

    monkeypatch.setattr(processes.psutil, "virtual_memory", lambda: Little)
    monkeypatch.setattr(processes, "_seconds_a_step", lambda job: 9.0)
    assert kdlab.sweep(with_dropout, TEACHER, toy(), seeds=2, **FAST).engine == "in turn"


def test_a_loop_that_would_not_fit_is_split(monkeypatch):
    whole = kdlab.sweep("mlp-8", TEACHER, toy(), seeds=2, alpha=[0, 0.3, 0.6], **FAST)
    job = jobs.prepare("mlp-8", TEACHER, toy(), **kdlab.sweeps._DEFAULTS | FAST | {
        "seed": 0, "after_epoch": None, "stop": None})  # fmt: skip

    class Little:
        available = 4.5 * engines.SHARE * together.bytes_of(job)

    monkeypatch.setattr(engines.psutil, "virtual_memory", lambda: Little)
    split = kdlab.sweep("mlp-8", TEACHER, toy(), seeds=2, alpha=[0, 0.3, 0.6], **FAST)
    assert whole.engine == "together, 6 in one loop"
    assert split.engine == "together, 4 in one loop + together, 2 in one loop"
    assert split.table["nll"].tolist() == pytest.approx(whole.table["nll"].tolist(), abs=1e-4)


def test_engines_that_do_not_exist_or_cannot_are_refused():
    with pytest.raises(Refusal, match="engine='threads': expected one of auto, together, proc"):
        kdlab.sweep("mlp-8", TEACHER, toy(), engine="threads", **FAST)
    with pytest.raises(Refusal, match=r"trains plain MLPs .*; the student with_dropout .*auto"):
        kdlab.sweep(with_dropout, TEACHER, toy(), engine="together", **FAST)


# ---------------------------------------------------------------- from a script, and interrupted

SCRIPT = """
import sys, torch, kdlab
from torch import nn
from tests.test_processes import toy

class Mine(nn.Module):  # known to no worker but by its code
    def __init__(self):
        super().__init__()
        self.drop, self.layer = nn.Dropout(0.1), nn.Linear(4, 3)
    def forward(self, inputs):
        return self.layer(self.drop(inputs))

def slow(student_logits, teacher_logits, labels, temperature, alpha):
    import time
    time.sleep(pause)
    return kdlab.losses.kd_loss(student_logits, teacher_logits, labels, temperature, alpha)

pause = float(sys.argv[1])
print("ready", flush=True)
swept = kdlab.sweep(Mine, nn.Linear(4, 3), toy(), seeds=6, loss=slow, engine="processes",
                    epochs=3, progress=False, device="cpu", folder=sys.argv[2])
print(len(swept.table), all(type(run.student) is Mine for run in swept.runs))
"""


def script(tmp_path, pause):
    root = Path(__file__).parent.parent
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(pause), str(tmp_path / "runs")], cwd=root, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def test_classes_of_a_script_travel_to_the_workers(tmp_path):
    out, said = script(tmp_path, 0).communicate(timeout=120)
    assert out.split() == ["ready", "6", "True"], said


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for a group of processes on Windows")
def test_ctrl_c_keeps_the_students_that_are_done(tmp_path):
    running = script(tmp_path, 0.4)
    try:
        folder, until = tmp_path / "runs", time.monotonic() + 100
        while len(list(folder.glob("run-*"))) < 3 and time.monotonic() < until:
            time.sleep(0.1)
        os.killpg(running.pid, signal.SIGINT)  # as a terminal and Jupyter do: workers hear it too
        out, said = running.communicate(timeout=60)
    finally:
        running.kill()
    rows = int(out.split()[1])
    assert 2 <= rows < 6 and f"the sweep holds the {rows} runs that are done" in said, said


# ---------------------------------------------------------------- killed: last, for it ends workers


class Deadly(nn.Module):
    """Kills its worker as long as a file is there; the first to do so takes the file away."""

    def __init__(self, trap, always=False):
        super().__init__()
        self.layer, self.trap, self.always = nn.Linear(4, 3), trap, always
        self.home = os.getpid()

    def forward(self, inputs):
        if os.getpid() != self.home and Path(self.trap).exists():
            if not self.always:
                Path(self.trap).unlink(missing_ok=True)  # two workers may fall in at once
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        return self.layer(inputs)


def test_the_work_of_a_killed_worker_is_sent_again(tmp_path):
    trap = tmp_path / "trap"
    trap.touch()
    options = {"seeds": 4, "alpha": [0.1, 0.9], **FAST}
    student = Deadly(str(trap))
    away = kdlab.sweep(student, TEACHER, toy(), engine="processes", **options)
    assert not trap.exists() and (away.table["error"] == "").all()
    assert away.table["run"].tolist() == list(range(8))
    here = kdlab.sweep(student, TEACHER, toy(), engine="in turn", **options)
    assert away.table["nll"].tolist() == pytest.approx(here.table["nll"].tolist(), abs=1e-4)


def test_a_student_that_kills_every_worker_is_a_row_with_its_error(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "TRIES", 2)  # each waits for new workers
    trap = tmp_path / "trap"
    trap.touch()
    with pytest.warns(UserWarning, match="runs failed: its worker process was killed 2 times"):
        swept = kdlab.sweep(
            Deadly(str(trap), True), TEACHER, toy(), seeds=2, engine="processes", **FAST
        )
    assert swept.table["error"].str.contains("killed 2 times").all()
