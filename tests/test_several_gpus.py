"""The script for several GPUs, on two CPU processes: the student that one process trains."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

import kdlab

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SCRIPT = ROOT / "docs" / "several_gpus.py"
ROWS, EPOCHS = 67, 2  # batches of 32, 32 and 3: the last is shared as 2 and 1


def start(*arguments, folder):
    """The README's line, with other arguments after its own."""
    line = re.search(r"^torchrun .*several_gpus.py.*$", README, re.MULTILINE)[0]
    words = shlex.split(line.replace("docs/several_gpus.py", SCRIPT.as_posix()))
    command = [sys.executable, "-m", "torch.distributed.run", *words[1:], *map(str, arguments)]
    variables = {**os.environ, "KDLAB_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def alone():
    """The same student, trained in this process."""
    data = kdlab.load_data("fashion-mnist", train=ROWS)
    return kdlab.distill(
        "cnn-small", "fashion-cnn", data, epochs=EPOCHS, batch_size=32, seed=5,
        temperature=3, alpha=0.3, device="cpu", watch=0, progress=False,
    )  # fmt: skip


def test_two_ranks_train_the_student_that_one_process_trains(alone, tmp_path):
    done = start(
        "--student", "cnn-small", "--train", ROWS, "--epochs", EPOCHS, "--batch-size", 32,
        "--seed", 5, "--temperature", 3, "--alpha", 0.3, folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = re.findall(r"rank (\d) on cpu: (\d+) examples", done.stdout)
    assert told == [("0", str(EPOCHS * 34)), ("1", str(EPOCHS * 33))]
    assert [path.name for path in tmp_path.iterdir()] == ["student.safetensors"]
    student = kdlab.models.build("cnn-small", (1, 28, 28), 10, seed=1)
    student.load_state_dict(load_file(tmp_path / "student.safetensors"))
    logits = kdlab.signals.ask(student, alone.data.validation.inputs)
    assert (logits - alone.logits()).abs().max() < 1e-4
    losses = [float(loss) for loss in re.findall(r"epoch \d: loss ([\d.]+)", done.stdout)]
    assert losses == pytest.approx(alone.history["loss"].tolist(), abs=1e-4)


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("several_gpus", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 128])
def test_the_average_over_shares_is_the_mean_over_the_batch(script, ranks, size, monkeypatch):
    losses = torch.randn(size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    monkeypatch.setattr(dist, "get_world_size", lambda: ranks)
    means, taken = [], []
    for rank in range(ranks):
        monkeypatch.setattr(dist, "get_rank", lambda rank=rank: rank)
        rows, weight = script.share(torch.arange(size))
        means.append(weight * losses[rows].mean())
        taken += rows.tolist() if weight else []
    assert sum(means) / ranks == pytest.approx(losses.mean().item(), abs=1e-12)
    assert sorted(taken) == list(range(size))


def test_without_torchrun_it_says_how_to_start(script, monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(SystemExit, match="Start this file with torchrun"):
        script.join()
