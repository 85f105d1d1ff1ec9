"""A folder of pictures as a data set: what is read, how, and what is refused."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import kdlab
from kdlab import data as data_sets
from kdlab import folders
from kdlab.errors import Refusal, UnknownName

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "own_pictures.md"
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
MEAN = torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
DEVIATION = torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1)


def scaled(colour):
    """What a pixel of this colour (three bytes) is trained on."""
    return (torch.tensor(colour).reshape(3, 1, 1) / 255 - MEAN) / DEVIATION


def save(path, colour, shape=(12, 8), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", shape, colour).save(path, **options)


def colour_of(at, row):
    """A colour of its own for each picture, mostly that of its class."""
    return tuple(180 + 6 * row if channel == at else 10 * row for channel in range(3))


@pytest.fixture
def pictures(tmp_path):
    """Three classes, ten pictures of one colour each."""
    folder = tmp_path / "my_pictures"
    for at, name in enumerate(["apple", "leaf", "sky"]):
        for row in range(10):
            save(folder / name / f"{row:02}.png", colour_of(at, row))
    return folder


def one_picture(folder, path, size):
    """How the picture at this path is read, its bytes as (3, size, size)."""
    found = folders.look_into(folder)
    return folders.read(found, size)[found.files.index(path)]


# ---------------------------------------------------------------- what is read


def test_every_example_is_its_file(pictures):
    data = kdlab.load_data(pictures, size=4)
    assert data.classes == ("apple", "leaf", "sky") and data.name == "my_pictures"
    assert [len(data.train), len(data.validation), len(data.test)] == [18, 6, 6]
    for split, each in ((data.train, 6), (data.validation, 2), (data.test, 2)):
        assert split.inputs.shape[1:] == (3, 4, 4) and split.inputs.dtype == torch.float32
        assert split.labels.bincount().tolist() == [each] * 3
        for inputs, label, index in zip(split.inputs, split.labels, split.indices, strict=True):
            at, row = divmod(int(index), 10)  # the files in the order of their names
            assert label == at
            assert torch.allclose(inputs, scaled(colour_of(at, row)).expand(3, 4, 4), atol=1e-5)
    indices = torch.cat([data.train.indices, data.validation.indices, data.test.indices])
    assert indices.sort().values.tolist() == list(range(30))


def test_a_name_a_path_and_the_home_folder(pictures, monkeypatch):
    monkeypatch.chdir(pictures.parent)
    monkeypatch.setenv("HOME", str(pictures.parent))
    monkeypatch.setenv("USERPROFILE", str(pictures.parent))
    expected = kdlab.load_data(pictures).test.inputs
    assert expected.shape == (6, 3, 64, 64)  # unless asked otherwise
    for name in ("my_pictures", Path("my_pictures"), str(pictures), "~/my_pictures"):
        assert torch.equal(kdlab.load_data(name).test.inputs, expected)


def test_draws_are_those_of_any_data_set(pictures):
    data = kdlab.load_data(pictures, train=6, unlabelled=9, leave_out="leaf", seed=3, size=4)
    assert data.train.labels.unique().tolist() == [0, 2]
    assert (data.transfer.labels == data_sets.NO_LABEL).all() and len(data.transfer)
    for inputs, index in zip(data.transfer.inputs, data.transfer.indices, strict=True):
        assert torch.allclose(inputs[:, :1, :1], scaled(colour_of(*divmod(int(index), 10))))


def test_pictures_wait_as_bytes_until_they_are_drawn(pictures):
    source = data_sets._source(pictures, None, 4)
    assert source.pool.inputs.dtype == torch.uint8
    assert source.validation.inputs.dtype == source.test.inputs.dtype == torch.float32


def test_pictures_are_read_again_only_where_a_file_has_changed(pictures, monkeypatch):
    before = kdlab.load_data(pictures, seed=0)
    with monkeypatch.context() as patched:
        patched.setattr(folders, "_picture", lambda path, size: pytest.fail(f"read {path}"))
        assert torch.equal(kdlab.load_data(pictures, seed=1).test.inputs, before.test.inputs)
    row = int(before.test.indices[0])
    path = folders.look_into(pictures).files[row]
    save(path, WHITE)
    os.utime(path, ns=(1, 1))  # its time differs whatever the clock of the file system
    after = kdlab.load_data(pictures)
    assert torch.allclose(after.test.inputs[0, :, 0, 0], scaled(WHITE).flatten(), atol=1e-5)


def test_a_known_set_wins_over_a_folder_of_its_name(pictures, monkeypatch):
    pictures.rename(pictures.with_name("digits"))
    monkeypatch.chdir(pictures.parent)
    assert kdlab.load_data("digits").train.inputs.shape[1:] == (1, 8, 8)
    assert kdlab.load_data("./digits").classes == ("apple", "leaf", "sky")
    assert kdlab.load_data(Path("digits")).classes == ("apple", "leaf", "sky")


def test_what_is_no_picture_is_left_out_and_told(pictures):
    for name in ("notes.txt", "apple/notes.TXT", "apple/list", "sky/.DS_Store", "sky/._00.png"):
        (pictures / name).write_text("no picture")
    (pictures / "sky" / ".ipynb_checkpoints").mkdir()
    (pictures / ".git").mkdir()
    save(pictures / "cover.png", RED)
    card = kdlab.load_data(pictures, size=5).card
    told = {".txt": 2, "list": 1, "hidden": 2, "pictures beside the classes": 1}
    assert card["ignored files"] == told
    assert card["pictures a class"] == {"apple": 10, "leaf": 10, "sky": 10}
    assert (card["name"], card["size"], card["input shape"]) == ("my_pictures", 5, (3, 5, 5))


# ---------------------------------------------------------------- how a picture is read


def test_the_middle_square_is_kept(pictures):
    wide = Image.new("RGB", (40, 20), GREEN)
    wide.paste(RED, (0, 0, 10, 20))
    wide.paste(BLUE, (30, 0, 40, 20))
    for picture, name in ((wide, "wide.png"), (wide.transpose(Image.Transpose.ROTATE_90), "t.png")):
        path = pictures / "apple" / name
        picture.save(path)
        seen = one_picture(pictures, path, 10)
        inside = seen[:, 1:-1, 1:-1]  # at the rim, scaling mixes in the neighbour's colour
        assert torch.equal(inside, torch.tensor(GREEN).byte().reshape(3, 1, 1).expand(3, 8, 8))


def test_small_pictures_grow(pictures):
    path = pictures / "apple" / "small.png"
    save(path, RED, (2, 3))
    assert one_picture(pictures, path, 20)[:, 10, 10].tolist() == list(RED)


@pytest.mark.parametrize(
    ("orientation", "bright"), [(1, "top"), (3, "bottom"), (6, "right"), (8, "left")]
)
def test_a_picture_is_turned_as_its_camera_says(pictures, orientation, bright):
    picture = Image.new("RGB", (32, 32))
    picture.paste(WHITE, (0, 0, 32, 16))  # bright at the top of the sensor
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = pictures / "apple" / "turned.jpg"
    picture.save(path, exif=exif)
    seen = one_picture(pictures, path, 16).float() / 255
    sides = {
        "top": seen[:, :6],
        "bottom": seen[:, -6:],
        "left": seen[:, :, :6],
        "right": seen[:, :, -6:],
    }
    assert sides.pop(bright).mean() > 0.9
    assert min(side.mean() for side in sides.values()) < 0.1


def test_a_large_jpeg_looks_like_the_same_picture_unpacked_in_full(pictures):
    picture = np.full((480, 640, 3), 90, "uint8")
    picture[:, :, 0] = np.linspace(0, 255, 640)
    picture[:, :, 2] = np.where(np.arange(640) // 32 % 2, 255, 0)  # stripes, for sharpness
    paths = [pictures / "apple" / name for name in ("large.jpg", "large.png")]
    Image.fromarray(picture).save(paths[0], quality=95)
    Image.fromarray(picture).save(paths[1])
    quick, full = (one_picture(pictures, path, 120).int() for path in paths)
    assert (quick - full).abs().max() <= 6  # of 255; unpacked smaller still, 30


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK"])
def test_every_kind_of_picture_becomes_red_green_and_blue(pictures, mode):
    path = pictures / "apple" / ("kind.tif" if mode == "CMYK" else "kind.png")
    Image.new("RGB", (9, 9), WHITE).convert(mode).save(path)
    assert one_picture(pictures, path, 6).unique().tolist() == [255]


# ---------------------------------------------------------------- what is refused


def classes_away(folder):
    for inner in list(folder.iterdir()):
        for path in inner.iterdir():
            path.rename(folder / f"{inner.name}_{path.name}")
        inner.rmdir()


def one_class(folder):
    for name in ("apple", "leaf"):
        (folder / name).rename(folder.parent / name)


def already_split(folder):
    for part in ("train", "val"):
        for name in ("apple", "leaf"):
            for row in range(5):
                save(folder / part / name / f"{row}.png", RED)


def no_pictures(folder):
    for path in (folder / "leaf").iterdir():
        path.rename(path.with_suffix(".heic"))


def few(folder):
    for path in sorted((folder / "leaf").iterdir())[4:]:
        path.unlink()


def cut_short(folder):
    path = folder / "sky" / "photo.jpg"
    save(path, RED, (200, 200))
    path.write_bytes(path.read_bytes()[:-300])


def renamed_text(folder):
    (folder / "sky" / "photo.png").write_text("no picture")


def deep(folder):
    Image.fromarray(np.full((9, 9), 4_000, "uint16")).save(folder / "sky" / "deep.png")


BAD = {
    classes_away: r"my_pictures holds no folders: expected one folder of pictures for each class",
    one_class: r"my_pictures holds 1 folder: .*at least two",
    already_split: r"train holds a folder, apple: .*kdlab splits the pictures itself",
    no_pictures: r"leaf holds no pictures: .*\.jpg.* What else lies there: \.heic \(10\)",
    few: r"leaf holds 4 pictures: expected at least 5 of each class",
    cut_short: r"photo\.jpg cannot be read as a picture \(.*truncated",
    renamed_text: r"photo\.png cannot be read as a picture",
    deep: r"deep\.png cannot be read as a picture .*more than 8 bits",
}


@pytest.mark.parametrize("damage", BAD, ids=lambda damage: damage.__name__)
def test_a_bad_folder_is_refused_by_name(pictures, damage):
    damage(pictures)
    with pytest.raises(Refusal, match=BAD[damage]):
        kdlab.load_data(pictures)


@pytest.mark.parametrize("size", [0, -1, 2.5, "large"])
def test_a_size_that_is_none_is_refused(pictures, size):
    with pytest.raises(Refusal, match=f"size={size!r}: expected a whole number of at least 1"):
        kdlab.load_data(pictures, size=size)


def test_only_folders_have_a_size_and_only_tensors_take_names(pictures):
    with pytest.raises(Refusal, match="size=8: only a folder"):
        kdlab.load_data("digits", size=8)
    with pytest.raises(Refusal, match="size=8: only a folder"):
        kdlab.load_data((torch.zeros(9, 2), torch.zeros(9).long()), size=8)
    with pytest.raises(Refusal, match="a folder's classes are its folders' names"):
        kdlab.load_data(pictures, classes=["a", "b", "c"])


def test_more_pictures_than_the_memory_holds_are_refused(pictures, monkeypatch):
    free = SimpleNamespace(available=30 * 3 * 100 * 100 * 5)
    monkeypatch.setattr(folders.psutil, "virtual_memory", lambda: free)
    with pytest.raises(Refusal, match=r"30 pictures of 200x200 take .* GB .* size=80,"):
        kdlab.load_data(pictures, size=200)
    assert kdlab.load_data(pictures, size=80).train.inputs.shape == (18, 3, 80, 80)


@pytest.mark.parametrize("name", ["my_picturs", Path("nowhere"), "", "a\0b"])
def test_a_path_that_leads_nowhere_is_an_unknown_name(name):
    with pytest.raises(UnknownName, match=r"Known: fashion-mnist, .*Nor is there a folder"):
        kdlab.load_data(name)


def test_a_file_is_no_folder(pictures):
    save(pictures.parent / "one.png", RED)
    with pytest.raises(UnknownName, match="Nor is there a folder"):
        kdlab.load_data(pictures.parent / "one.png")


# ---------------------------------------------------------------- from folder to student


def test_a_student_learns_to_tell_the_pictures(pictures):
    data = kdlab.load_data(pictures, size=8)
    teacher = kdlab.train("cnn-medium", data, epochs=60, learning_rate=1e-2, progress=False).student
    run = kdlab.distill("cnn-small", teacher, data, epochs=60, learning_rate=1e-2, progress=False)
    assert run.settings["data"] == "my_pictures" and run.settings["input_shape"] == [3, 8, 8]
    assert run.score("test")["accuracy"] == 1  # the classes differ in colour


def test_the_page_runs_as_printed(pictures, monkeypatch, capsys, tmp_path):
    """Its lines without a pretrained network; the others run in tests/test_vision.py."""
    monkeypatch.chdir(pictures.parent)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks[0].splitlines()) <= 10
    names = {}
    for code in blocks[:2]:
        exec(code, names)
    said = capsys.readouterr().out
    assert "pictures a class" in said and "95 % interval" in said
    assert kdlab.load_run(tmp_path / "my-student").settings["student"] == "cnn-small"


def test_every_file_the_page_names_is_there():
    for name in re.findall(r"\]\(([^)#]+)\)", PAGE.read_text(encoding="utf-8")):
        assert name.startswith("http") or (PAGE.parent / name).exists(), name
