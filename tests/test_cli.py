"""The command `kdlab`."""

import json
import shutil

import pytest

from kdlab import cli, files, sets


@pytest.fixture
def own_data(tmp_path, monkeypatch):
    """A copy of data/ that a test may damage."""
    shutil.copytree(files.folder(), tmp_path / "data")
    monkeypatch.setenv("KDLAB_DATA", str(tmp_path / "data"))
    forget()
    yield tmp_path / "data"
    forget()


def forget():
    for load in sets.SHIPPED.values():
        load.cache_clear()


def test_doctor_finds_all_in_order(capsys):
    assert cli.main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "!!" not in said
    for word in ("Python", "torch", "device", "threads", "memory", "fashion-mnist", "digits"):
        assert word in said
    assert said.count("fashion-cnn") == 3 and said.count("glosses-minilm") == 2
    assert "All that the lessons need is here." in said


def test_doctor_names_what_is_damaged_and_what_to_do(own_data, capsys):
    labels = own_data / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz"
    labels.write_bytes(labels.read_bytes()[:-20])
    weights = own_data / "teachers" / "fashion-cnn-early.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    (own_data / "digits" / "card.json").unlink()
    assert cli.main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert said.count("!!  ") == 3
    assert "t10k-labels-idx1-ubyte.gz is damaged" in said and "git checkout" in said
    assert "fashion-cnn-early.safetensors is damaged" in said
    assert "card.json is missing" in said
    assert "3 to mend" in said


def test_doctor_names_a_device_that_is_not_there(monkeypatch, capsys):
    monkeypatch.setenv("KDLAB_DEVICE", "tpu9")
    assert cli.main(["doctor"]) == 1
    assert "unset KDLAB_DEVICE" in capsys.readouterr().out


def test_doctor_says_what_an_extra_lacks_without_calling_it_a_fault(monkeypatch, capsys):
    monkeypatch.setitem(cli.EXTRAS, "test", {"no_such_module": "the tests"})
    assert cli.main(["doctor"]) == 0
    assert "lacks no_such_module (the tests)" in capsys.readouterr().out


def test_a_damaged_card_is_named(own_data):
    (own_data / "digits" / "card.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"card\.json is damaged"):
        files.read_card("digits")


def test_data_lists_every_set_with_its_licence(capsys):
    assert cli.main(["data"]) == 0
    said = capsys.readouterr().out
    for name in sets.SOURCES:
        assert name in said
    assert "MIT" in said and "CC BY 4.0" in said


def test_unknown_words_are_refused(capsys):
    for words in (["doctr"], ["doctor", "--now"], []):
        with pytest.raises(SystemExit) as stop:
            cli.main(words)
        assert stop.value.code == 2


def test_every_stored_file_is_on_its_card():
    """data/ holds nothing that no card describes, and the README shows every hash."""
    readme = (files.folder() / "README.md").read_text(encoding="utf-8")
    cards = [*files.folder().glob("*/card.json"), *files.folder().glob("teachers/*.json")]
    known = {}
    for path in cards:
        for name, file in json.loads(path.read_text(encoding="utf-8"))["files"].items():
            known[path.parent / name] = file["sha256"]
    for path, sha256 in known.items():
        assert path.exists() and sha256 in readme
    held = {
        path
        for path in files.folder().rglob("*")
        if path.is_file() and path.suffix in (".gz", ".safetensors", ".csv")
    }
    assert held == set(known)
