"""What the README promises runs as printed."""

import re
from pathlib import Path

import torch

import kdlab

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_ten_lines_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    inputs = torch.randn(100, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = (inputs.mean((1, 2)) > 0).long()
    teacher = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    exec(code, {"inputs": inputs, "labels": labels, "my_trained_module": teacher})
    said = capsys.readouterr().out
    assert "95 % interval" in said and "against_the_first" in said
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) <= 10
    assert kdlab.load_run(tmp_path / "my-student", student=_student).scores


def _student():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))


def test_every_file_it_names_is_there():
    for name in re.findall(r"\]\(([^)#]+)\)", README):
        assert name.startswith("http") or (ROOT / name).exists(), name


def test_every_lesson_is_listed():
    for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"):
        assert f"notebooks/{path.name}" in README
