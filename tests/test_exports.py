"""Files that leave kdlab: they hold the student alone, run without kdlab, and answer the same."""

import copy
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from torch import nn

import kdlab
from kdlab import losses, models, scores, signals
from kdlab.errors import Refusal

DRAW = torch.Generator().manual_seed(0)
DATA = kdlab.load_data((torch.randn(100, 1, 8, 8, generator=DRAW), torch.arange(100) % 3))
QUIET = {"epochs": 1, "progress": False, "device": "cpu", "watch": 0}
TEACHER = models.build("fashion-cnn", (1, 8, 8), 3, 9)


@pytest.fixture(scope="module")
def run():
    """A student with a projector beside it while it was trained."""
    match = kdlab.Match("block2", "block2", loss=losses.hint_loss)
    return kdlab.distill("cnn-small", TEACHER, DATA, match=[match], **QUIET)


def logits(model):
    return signals.ask(model, DATA.validation.inputs)


def alone(code, *paths, without=("kdlab",)):
    """Run code in a fresh Python that cannot import some packages; what it prints."""
    block = f"import sys\nfor name in {without!r}: sys.modules[name] = None\n"
    asked = [sys.executable, "-c", block + textwrap.dedent(code), *map(str, paths)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---------------------------------------------------------------- weights alone


def test_the_file_holds_the_student_and_nothing_else(run, tmp_path):
    assert run.projectors  # there was more that could have been written
    path = kdlab.export(run, tmp_path / "student.safetensors")
    numbers = sum(tensor.numel() for tensor in run.student.state_dict().values())
    assert 4 * numbers < path.stat().st_size < 4 * numbers + 1_000
    saved = run.save(tmp_path / "run") / "student.safetensors"
    assert saved.stat().st_size == path.stat().st_size


def test_weights_load_with_torch_and_safetensors_and_no_kdlab(run, tmp_path):
    path = kdlab.export(run, tmp_path / "student.safetensors")
    torch.save(DATA.validation.inputs[:4], tmp_path / "inputs")
    code = """
        from collections import OrderedDict as D
        import torch
        from torch import nn
        from safetensors.torch import load_model
        def block(a, b):
            return nn.Sequential(D(conv=nn.Conv2d(a, b, 3, padding=1), pool=nn.MaxPool2d(2),
                                   relu=nn.ReLU()))
        net = nn.Sequential(D(block1=block(1, 8), block2=block(8, 16), flatten=nn.Flatten(),
                              head=nn.Linear(64, 3)))
        load_model(net, sys.argv[1])
        print(net(torch.load(sys.argv[2])).argmax(1).tolist())
    """
    said = alone(code, path, tmp_path / "inputs")
    assert said.strip() == str(logits(run.student)[:4].argmax(1).tolist())


def test_a_pt2_runs_with_torch_alone(run, tmp_path):
    path = kdlab.export(run, tmp_path / "student.pt2")
    torch.save(DATA.validation.inputs[:5], tmp_path / "inputs")
    code = """
        import torch
        program = torch.export.load(sys.argv[1]).module()
        inputs = torch.load(sys.argv[2])
        print(program(inputs).argmax(1).tolist(), len(program(inputs[:1])))
    """
    said = alone(code, path, tmp_path / "inputs")
    assert said.strip() == f"{logits(run.student)[:5].argmax(1).tolist()} 1"


# ---------------------------------------------------------------- ONNX


def test_an_onnx_file_runs_without_torch(run, tmp_path):
    path = kdlab.export(run, tmp_path / "student.onnx")
    np.save(tmp_path / "inputs.npy", DATA.validation.inputs.numpy())
    code = """
        import numpy, onnxruntime
        (logits,) = onnxruntime.InferenceSession(sys.argv[1]).run(
            ["logits"], {"inputs": numpy.load(sys.argv[2])})
        print(logits.argmax(1).tolist())
    """
    said = alone(code, path, tmp_path / "inputs.npy", without=("kdlab", "torch"))
    assert said.strip() == str(logits(run.student).argmax(1).tolist())
    # one file, and nothing left beside it
    assert {file.name for file in tmp_path.iterdir()} == {"student.onnx", "inputs.npy"}


NETS = ["mlp-8", "cnn-small", "fashion-cnn", "fashion-vgg", "fashion-inception"]


@pytest.mark.parametrize("name", NETS)
def test_onnx_runtime_gives_the_same_answers(name, tmp_path):
    net = models.build(name, (1, 8, 8), 3, 4)
    file = kdlab.load_onnx(kdlab.export(net, tmp_path / "net.onnx"))
    assert torch.allclose(logits(file), logits(net), atol=1e-4)
    assert net.training  # as it was


def test_no_path_of_this_machine_is_in_the_file(tmp_path):
    written = kdlab.export(models.build("cnn-small", (1, 8, 8), 3), tmp_path / "net.onnx")
    held = written.read_bytes()
    assert b".py" not in held and b"stack_trace" not in held and str(tmp_path).encode() not in held


def test_pruned_and_factorised_students_are_written_too(tmp_path):
    net = models.build("mlp-32", (1, 8, 8), 3)
    for cut in (kdlab.compress.prune(net, 0.9), kdlab.compress.factorise(net, 2)):
        file = kdlab.load_onnx(kdlab.export(cut, tmp_path / "cut.onnx", DATA))
        assert torch.allclose(logits(file), logits(cut), atol=1e-4)


@pytest.mark.parametrize(("int8", "name"), [("dynamic", "mlp-64"), ("static", "cnn-medium")])
def test_int8_is_a_quarter_of_the_size_and_nearly_the_same(int8, name, tmp_path):
    net = kdlab.train(name, DATA, **{**QUIET, "epochs": 20}).student
    path = kdlab.export(net, tmp_path / "whole.onnx", DATA)
    small = kdlab.export(net, tmp_path / "int8.onnx", DATA, int8=int8)
    weights = 4 * scores.parameters(net)
    assert path.stat().st_size < weights + 4_000
    assert small.stat().st_size < weights / 4 + 8_000  # and the graph, with its scales
    exact, rounded = logits(net), logits(kdlab.load_onnx(small))
    assert not torch.equal(exact, rounded)
    apart = (exact - rounded).square().mean().sqrt()
    assert apart < 0.05 * exact.std()
    assert {file.name for file in tmp_path.iterdir()} == {"whole.onnx", "int8.onnx"}


def test_a_module_from_outside_is_written_with_an_example(tmp_path):
    class Theirs(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(64, 3)

        def forward(self, inputs):
            return {"logits": self.layer(inputs.flatten(1))}

    net = Theirs()
    with pytest.raises(Refusal, match="shape of this model's inputs is not known"):
        kdlab.export(net, tmp_path / "net.onnx")
    file = kdlab.load_onnx(kdlab.export(net, tmp_path / "net.onnx", DATA.train.inputs))
    assert torch.allclose(logits(file), logits(net), atol=1e-4)


# ---------------------------------------------------------------- in a report


def test_a_report_of_an_onnx_file(run, tmp_path):
    path = kdlab.export(run, tmp_path / "student.onnx")
    row, own = kdlab.report(path, DATA, TEACHER), kdlab.report(run, DATA, TEACHER)
    assert row["bytes"] == path.stat().st_size
    assert row["parameters"] == own["parameters"] == scores.parameters(run.student)
    assert row["accuracy"] == own["accuracy"] and row["agreement"] == own["agreement"]
    assert row["latency_ms"] > 0 and row["macs"] != row["macs"]  # NaN
    assert kdlab.report(str(path), DATA)["bytes"] == row["bytes"]


def test_zeros_are_seen_in_the_zipped_file_only():
    net = models.build("mlp-64", (1, 8, 8), 3)
    whole, cut = kdlab.report(net, DATA), kdlab.report(kdlab.compress.prune(net, 0.9), DATA)
    assert cut["bytes"] == whole["bytes"] and cut["zipped_bytes"] < 0.3 * whole["zipped_bytes"]
    assert cut["nonzero"] < 0.15 * whole["nonzero"] and cut["parameters"] == whole["parameters"]


def test_tied_weights_are_written_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Linear(50, 50, bias=False)
            self.other = nn.Linear(50, 50, bias=False)
            self.other.weight = self.one.weight

    assert scores.size_in_bytes(Tied()) < 1.1 * 4 * 2_500


# ---------------------------------------------------------------- refusals, and nothing half done


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda net, at: kdlab.export(net, at / "net.tflite"), "ends in one of .safetensors"),
        (lambda net, at: kdlab.export("mlp-8", at / "net.onnx"), "expected a torch module"),
        (lambda net, at: kdlab.export(net, at / "net.pt2", int8="dynamic"), "ends in .onnx"),
        (lambda net, at: kdlab.export(net, at / "net.onnx", int8="int4"), "dynamic, static"),
        (lambda net, at: kdlab.export(net, at / "net.onnx", int8="static"), "give inputs="),
        (lambda net, at: kdlab.export(net, at / "net.onnx", DATA.train.inputs[:1]), "two or more"),
        (lambda net, at: kdlab.load_onnx(at / "none.onnx"), "none.onnx is missing"),
        (lambda net, at: kdlab.report(7, DATA), "the path of an ONNX file"),
    ],
)
def test_what_cannot_be_written_is_said(call, expected, tmp_path):
    with pytest.raises(Refusal, match=expected):
        call(models.build("mlp-8", (1, 8, 8), 3), tmp_path)


def test_a_damaged_onnx_file_is_named(tmp_path):
    path = kdlab.export(models.build("mlp-8", (1, 8, 8), 3), tmp_path / "net.onnx")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(Refusal, match=r"net\.onnx cannot be run by ONNX Runtime"):
        kdlab.load_onnx(path)


class Wild(nn.Module):
    """Cannot be written down as a program: its steps depend on the values."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 3)

    def forward(self, inputs):
        while inputs.sum() > 1e9:
            inputs = inputs / 2
        return self.layer(inputs.flatten(1))


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_what_torch_cannot_write_is_refused_and_the_old_file_stays(suffix, tmp_path):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"the old one")
    with pytest.raises(Refusal, match=rf"this Wild cannot be written as {suffix}"):
        kdlab.export(Wild(), path, DATA)
    assert path.read_bytes() == b"the old one" and list(tmp_path.iterdir()) == [path]


def test_a_file_that_answers_otherwise_is_not_handed_over(tmp_path):
    class Drawn(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(64, 3)

        def forward(self, inputs):
            return self.layer(inputs.flatten(1)) + torch.rand(3)

    with pytest.raises(Refusal):
        kdlab.export(Drawn(), tmp_path / "net.pt2", DATA)
    assert not list(tmp_path.iterdir())


def test_without_the_extra_the_refusal_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(Refusal, match=r"onnxruntime is not installed.*kdlab\[onnx\]"):
        kdlab.export(models.build("mlp-8", (1, 8, 8), 3), tmp_path / "net.onnx")


def test_an_onnx_model_is_sent_and_copied_but_not_exported_again(tmp_path):
    file = kdlab.load_onnx(kdlab.export(models.build("mlp-8", (1, 8, 8), 3), tmp_path / "n.onnx"))
    for other in (pickle.loads(pickle.dumps(file)), copy.deepcopy(file)):
        assert torch.equal(logits(other), logits(file))
    with pytest.raises(Refusal, match="got OnnxModel"):
        kdlab.export(file, tmp_path / "again.onnx")
