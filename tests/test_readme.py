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


class Theirs(torch.nn.Module):
    """A network that kdlab has never seen."""

    def __init__(self, width, names):
        super().__init__()
        first, last = (torch.nn.Linear(size, width) for size in (64, width))
        if "." in names[0]:
            self.encoder = torch.nn.Sequential(first, torch.nn.ReLU(), last)
        else:
            self.stem, self.body = first, last
        self.out = torch.nn.Linear(width, 2)

    def forward(self, x):
        x = x.flatten(1)
        inner = self.encoder(x) if hasattr(self, "encoder") else self.body(self.stem(x).relu())
        return {"logits": self.out(inner)}


def test_a_module_from_outside_learns_from_two_features_in_ten_lines(capsys):
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    inputs = torch.randn(100, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = (inputs.mean((1, 2)) > 0).long()
    names = {"inputs": inputs, "labels": labels}
    names |= {"teacher": Theirs(16, ["encoder.0"]), "student": Theirs(8, ["stem"])}
    exec(code, names)
    said = capsys.readouterr().out
    assert "encoder.2" in said and "hint_loss stem→encoder.0: " in said
    assert {"hint_loss stem→encoder.0", "similarity_preserving body→encoder.2_raw"} <= set(
        names["run"].history
    )


def test_a_student_is_cut_trained_and_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = [c for c in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "narrow" in c]
    inputs = torch.randn(100, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    data = kdlab.load_data((inputs, (inputs.mean((1, 2, 3)) > 0).long()))
    names = {"data": data, "teacher": kdlab.models.build("cnn-medium", (1, 8, 8), 2)}
    exec(code, names | {"student": kdlab.models.build("cnn-small", (1, 8, 8), 2)})
    assert "latency_ms_64" in capsys.readouterr().out and (tmp_path / "student.onnx").exists()


def _student():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))


def test_every_file_it_names_is_there():
    for name in re.findall(r"\]\(([^)#]+)\)", README):
        assert name.startswith("http") or (ROOT / name).exists(), name


def test_every_lesson_is_listed():
    for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"):
        assert f"notebooks/{path.name}" in README


def test_a_transformer_teaches_as_printed():
    (code,) = [c for c in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "Text" in c]

    def tokenizer(texts, **_):
        ids = torch.tensor([[1 + len(text)] for text in texts])
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    class Transformer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(99, 2)

        def forward(self, input_ids, attention_mask):
            return {"logits": self.table(input_ids).mean(1)}

    texts = [f"{'a long' if number % 2 else 'a short'} text {number}" for number in range(40)]
    names = {"texts": texts, "labels": torch.arange(40) % 2, "tokenizer": tokenizer}
    names["transformer"] = Transformer()
    exec(code, names)
    assert names["run"].scores["agreement"] >= 0
