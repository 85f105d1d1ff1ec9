"""Sweeps on a real Dask cluster of three worker processes, one of them killed in the middle."""

import contextlib
import os
import re
from pathlib import Path

import dask
import joblib
import psutil
import pytest
import torch
from distributed import Client, LocalCluster
from torch import nn

import kdlab

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
QUIET = {"epochs": 3, "batch_size": 16, "device": "cpu", "progress": False}


SIZE = 400  # numbers an input: a seed's data is large enough to travel apart from its jobs


def toy(seed=0):
    draw = torch.Generator().manual_seed(seed)
    inputs = torch.randn(200, SIZE, generator=draw)
    return kdlab.load_data((inputs, (inputs @ torch.randn(SIZE, 3, generator=draw)).argmax(1)))


def dropping():
    return nn.Sequential(nn.Linear(SIZE, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))


DATA = toy()
TEACHER = kdlab.train("mlp-16", DATA, **QUIET).student


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("dask"))
    with (
        dask.config.set({"temporary-directory": folder}),
        LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None) as cluster,
    ):
        yield cluster


def assert_same(atlas, expected):
    """The same rows, each once, and the same students."""
    keys = [*expected.axes, "seed"]
    assert not atlas.table.duplicated(keys).any()
    assert atlas.table[keys].equals(expected.table[keys])
    assert (atlas.table["error"] == "").all()
    for at, other in zip(atlas.table["run"], expected.table["run"], strict=True):
        assert (atlas.runs[at].logits() - expected.runs[other].logits()).abs().max() < 1e-4
    numbers = ["accuracy", "nll", "ece", "agreement"]
    assert (atlas.table[numbers] - expected.table[numbers]).abs().max().max() < 1e-4


def test_the_five_lines_run_as_printed(cluster):
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (code,) = [block for block in blocks if "parallel_config" in block]
    assert len([line for line in code.splitlines() if line.strip()]) == 5
    names = {"student": dropping, "teacher": TEACHER, "data": DATA}
    with dask.config.set({"scheduler-address": cluster.scheduler_address}):  # of Client()
        exec(code, names)
    assert names["client"].scheduler.address == cluster.scheduler_address
    names["client"].close()
    atlas = names["atlas"]
    assert atlas.engine == "processes, 3 at once"
    in_turn = kdlab.sweep(
        dropping, TEACHER, DATA, alpha=[0, 0.5, 1], seeds=10, engine="in turn", progress=False
    )
    assert_same(atlas, in_turn)


def its_worker_dies(folder):
    """A loss that kills its process in the first run that comes to its tenth step.

    It leaves a file for each process that called it, and one that names the killed.
    """
    calls = []

    def loss(student_logits, teacher_logits, labels, temperature, alpha):
        calls.append(1)
        (folder / f"called-{os.getpid()}").touch()
        if len(calls) == 10:
            with contextlib.suppress(FileExistsError), open(folder / "killed", "x") as file:
                file.write(str(os.getpid()))  # only one process can make this file
                file.flush()
                psutil.Process().kill()  # SIGKILL: nothing can be tidied up
        return kdlab.losses.kd_loss(student_logits, teacher_logits, labels, temperature, alpha)

    return loss


def test_a_killed_worker_loses_and_doubles_no_row(cluster, tmp_path):
    grid = {"temperature": [1, 4], "alpha": [0, 0.5], "seeds": 4, **QUIET}
    with Client(cluster) as client, joblib.parallel_config("dask"):
        workers = set(client.run(os.getpid).values())
        # Each seed draws its own data, so that the killed worker may be the only one to hold some.
        atlas = kdlab.sweep(dropping, TEACHER, toy, loss=its_worker_dies(tmp_path), **grid)
        client.wait_for_workers(3)
        after = set(client.run(os.getpid).values())
    killed = int((tmp_path / "killed").read_text())
    assert killed in workers and killed not in after
    callers = {int(path.name.split("-")[1]) for path in tmp_path.glob("called-*")}
    assert os.getpid() not in callers and len(callers) >= 3
    assert atlas.engine == "processes, 3 at once" and len(atlas.table) == 2 * 2 * 4
    in_turn = kdlab.sweep(
        dropping, TEACHER, toy, loss=kdlab.losses.kd_loss, engine="in turn", **grid
    )
    assert_same(atlas, in_turn)
