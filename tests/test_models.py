"""The zoo: sizes, names, seeds, and the shipped teacher's files against their card."""

import hashlib
import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import kdlab
from kdlab import files as stored
from kdlab import models, nets, scores, signals
from kdlab.errors import CorruptFile, Refusal, UnknownName

FASHION = (1, 28, 28)


def same_weights(one, other):
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(
        torch.equal(tensor, second[name]) for name, tensor in first.items()
    )


# ---------------------------------------------------------------- nets by name


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("mlp-1", 784 + 1 + 10 + 10),
        ("mlp-32", 784 * 32 + 32 + 32 * 10 + 10),
        ("mlp-500", 784 * 500 + 500 + 500 * 10 + 10),
        ("cnn-small", (9 * 8 + 8) + (8 * 9 * 16 + 16) + (16 * 49 * 10 + 10)),
        ("cnn-medium", (9 * 16 + 16) + (16 * 9 * 32 + 32) + (32 * 49 * 10 + 10)),
        ("cnn-large", (9 * 32 + 32) + (32 * 9 * 64 + 64) + (64 * 49 * 10 + 10)),
        (
            "fashion-cnn",
            (9 * 32 + 32 + 64) + (32 * 9 * 64 + 64 + 128) + (64 * 9 * 128 + 128 + 256) + 62_730,
        ),
    ],
)
def test_sizes(name, count):
    net = models.build(name, FASHION, 10)
    assert scores.parameters(net) == count
    assert net(torch.zeros(3, *FASHION)).shape == (3, 10)


def test_the_teacher_has_the_size_that_is_promised():
    assert scores.parameters(nets.fashion_cnn(FASHION, 10)) == 155_850


@pytest.mark.parametrize("name", ["mlp-16", "cnn-small", "fashion-cnn"])
@pytest.mark.parametrize(("shape", "classes"), [((1, 8, 8), 3), ((3, 13, 9), 7)])
def test_nets_fit_the_data(name, shape, classes):
    net = models.build(name, shape, classes)
    assert net(torch.zeros(2, *shape)).shape == (2, classes)


def test_an_mlp_takes_flat_inputs():
    assert models.build("mlp-5", (4,), 2)(torch.zeros(3, 4)).shape == (3, 2)


def test_the_seed_fixes_the_weights_and_nothing_else():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = models.build("cnn-small", FASHION, 10, seed=3)
    torch.manual_seed(2)
    again = models.build("cnn-small", FASHION, 10, seed=3)
    other = models.build("cnn-small", FASHION, 10, seed=4)
    assert same_weights(first, again) and not same_weights(first, other)
    torch.manual_seed(1)
    models.build("mlp-32", FASHION, 10, seed=3)
    assert torch.equal(before, torch.get_rng_state())


def test_a_function_makes_the_student_under_the_seed():
    def tiny():
        return nn.Linear(4, 2)

    assert same_weights(models.build(tiny, (4,), 2, 1), models.build(tiny, (4,), 2, 1))
    assert not same_weights(models.build(tiny, (4,), 2, 1), models.build(tiny, (4,), 2, 2))


def test_a_module_is_copied_with_its_weights():
    own = nn.Linear(4, 2)
    made = models.build(own, (4,), 2, seed=5)
    assert made is not own and same_weights(made, own)
    with torch.no_grad():
        made.weight.zero_()
    assert own.weight.abs().sum() > 0


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("cnn-smal", "cnn-small"),
        ("CNN_LARGE", "cnn-large"),
        ("fashon-cnn", "fashion-cnn"),
        ("mlp32", "mlp-32"),
        ("mlp_64", "mlp-64"),
        ("MLP-8", "mlp-8"),
        ("mlp", "mlp-32"),
        ("mlp-0", "mlp-32"),
    ],
)
def test_an_unknown_name_is_refused_with_the_near_one(name, near):
    with pytest.raises(UnknownName) as refusal:
        models.build(name, FASHION, 10)
    said = str(refusal.value)
    assert repr(name) in said and f"Did you mean {near!r}?" in said
    assert "cnn-medium" in said and "mlp-N" in said


def test_a_name_like_no_other_gets_the_list_alone():
    with pytest.raises(UnknownName, match=r"'resnet50'\. Known: mlp-32, cnn-small"):
        models.build("resnet50", FASHION, 10)


@pytest.mark.parametrize(
    ("student", "shape", "expected"),
    [
        ("cnn-small", (784,), r"shape \(784,\).*channels, height, width.*mlp-N"),
        ("cnn-small", (28, 28), r"shape \(28, 28\)"),
        ("fashion-cnn", (1, 3, 28), "at least 4x4"),
        (3, FASHION, "student of type int.*a name, a torch module, or a function"),
        (lambda: "a net", FASHION, "gave a str.*expected a module"),
    ],
)
def test_students_that_cannot_be_are_refused(student, shape, expected):
    with pytest.raises(Refusal, match=expected):
        models.build(student, shape, 10)


# ---------------------------------------------------------------- teachers from files


@pytest.fixture
def own_teacher(tmp_path, monkeypatch):
    """A data folder of its own with an untrained teacher and its card."""
    folder = tmp_path / "teachers"
    folder.mkdir()
    monkeypatch.setenv("KDLAB_DATA", str(tmp_path))
    files = {}
    for seed, checkpoint in enumerate(models.CHECKPOINTS):
        net = models.build("fashion-cnn", FASHION, 10, seed=seed)
        path = folder / f"fashion-cnn-{checkpoint}.safetensors"
        save_file(net.state_dict(), path)
        files[path.name] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    (folder / "fashion-cnn.json").write_text(json.dumps({"files": files}))
    return folder


def test_a_teacher_is_loaded_as_it_was_saved(own_teacher):
    loaded = [kdlab.load_teacher("fashion-cnn", checkpoint) for checkpoint in models.CHECKPOINTS]
    for seed, teacher in enumerate(loaded):
        assert same_weights(teacher, models.build("fashion-cnn", FASHION, 10, seed=seed))
        assert not any(module.training for module in teacher.modules())
    assert same_weights(kdlab.load_teacher("fashion-cnn"), loaded[2])


def test_loading_a_teacher_leaves_the_callers_random_state(own_teacher):
    before = torch.get_rng_state()
    kdlab.load_teacher("fashion-cnn")
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("damage", ["truncated", "flipped", "emptied"])
def test_a_damaged_teacher_is_named_with_both_hashes_and_left_alone(own_teacher, damage):
    path = own_teacher / "fashion-cnn-final.safetensors"
    content = bytearray(path.read_bytes())
    expected = hashlib.sha256(content).hexdigest()
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    path.write_bytes({"truncated": content[:-10], "emptied": b""}.get(damage, content))
    before = path.read_bytes()
    with pytest.raises(CorruptFile) as refusal:
        kdlab.load_teacher("fashion-cnn")
    said = str(refusal.value)
    assert str(path) in said and expected in said
    assert hashlib.sha256(before).hexdigest() in said
    assert path.read_bytes() == before
    kdlab.load_teacher("fashion-cnn", "early")  # the others are as good as before


def test_a_missing_teacher_is_said_with_the_way_back(own_teacher):
    (own_teacher / "fashion-cnn-final.safetensors").unlink()
    with pytest.raises(Refusal, match=r"fashion-cnn-final.* is missing.*git checkout"):
        kdlab.load_teacher("fashion-cnn")
    (own_teacher / "fashion-cnn.json").unlink()
    with pytest.raises(Refusal, match=r"fashion-cnn\.json is missing.*KDLAB_DATA"):
        kdlab.load_teacher("fashion-cnn")


def test_tensors_that_are_none_are_refused_by_name(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"no safetensors")
    with pytest.raises(CorruptFile, match=r"weights\.safetensors is damaged"):
        models.read_tensors(path)


def test_unknown_teachers_and_checkpoints_are_refused():
    with pytest.raises(UnknownName, match=r"'fashion-cn'.*Did you mean 'fashion-cnn'"):
        kdlab.load_teacher("fashion-cn")
    with pytest.raises(UnknownName, match=r"'finale'.*Did you mean 'final'.*early, middle, final"):
        kdlab.load_teacher("fashion-cnn", "finale")


# ---------------------------------------------------------------- the teacher that ships


def test_every_shipped_teacher_file_matches_its_card():
    shipped = {path.name: path for path in models.card_folder().glob("*.safetensors")}
    told = {}
    for name, checkpoints in models.TEACHERS.items():
        files = models.teacher_card(name)["files"]
        assert set(files) == {f"{name}-{checkpoint}.safetensors" for checkpoint in checkpoints}
        told |= files
    assert set(shipped) == set(told)
    for name, path in shipped.items():
        content = path.read_bytes()
        assert hashlib.sha256(content).hexdigest() == told[name]["sha256"]
        assert len(content) == told[name]["bytes"]


@pytest.mark.parametrize("name", models.TEACHERS)
def test_the_card_keeps_its_promises(name):
    card = models.teacher_card(name)
    accuracy = [
        card["files"][f"{name}-{checkpoint}.safetensors"]["validation"]["accuracy"]
        for checkpoint in models.TEACHERS[name]
    ]
    assert accuracy == sorted(set(accuracy))  # better with each checkpoint
    assert accuracy[-1] >= 0.925
    assert card["parameters"] == scores.parameters(models.build(name, FASHION, 10))
    assert "never on validation" in card["trained_on"] and "MIT" in card["licence"]
    assert {"accuracy", "nll", "ece"} <= card["test_final"].keys()


@pytest.mark.parametrize(
    ("name", "checkpoint"), [(name, one) for name, many in models.TEACHERS.items() for one in many]
)
def test_the_shipped_teacher_scores_what_its_card_says(name, checkpoint):
    teacher = kdlab.load_teacher(name, checkpoint)
    assert not any(module.training for module in teacher.modules())
    validation = kdlab.load_data("fashion-mnist", train=10, validation=1_000).validation
    seen = scores.of_logits(signals.ask(teacher, validation.inputs), validation.labels)
    told = models.teacher_card(name)["files"][f"{name}-{checkpoint}.safetensors"]
    # 1,000 of 10,000 pictures: a standard error of about 0.01 at 90 %
    assert seen["accuracy"] == pytest.approx(told["validation"]["accuracy"], abs=0.03)
    assert seen["nll"] == pytest.approx(told["validation"]["nll"], abs=0.08)


def test_the_whole_of_data_stays_small():
    files = [path for path in stored.folder().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 60_000_000
