"""A record on disk is compact, whole or not at all, mapped, and goes on where it was stopped."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from tqdm import tqdm

import kdlab
from kdlab import fingerprints, layers, records, signals
from kdlab.data import Split
from kdlab.errors import CorruptFile, LayerNotFound, Refusal

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
COUNT, PIECE = 50, 20


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    signals._kept.clear()
    monkeypatch.setattr(signals, "PIECE", PIECE)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "record.safetensors"


def split(count=COUNT, seed=0):
    inputs = torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))
    return Split(inputs, torch.zeros(count, dtype=torch.long), torch.arange(count) + 100)


class Asked(nn.Module):
    """A teacher that counts the rows it was asked about, and may be stopped at one of its calls."""

    def __init__(self, seed=0, stop_at=None):
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.body, self.head = nn.Linear(4, 6), nn.Linear(6, 3)
        for weight in self.parameters():
            weight.data = torch.randn(weight.shape, generator=draw)
        self._rows, self._calls, self._stop_at = 0, 0, stop_at  # no part of the fingerprint

    def forward(self, inputs):
        self._calls += 1
        if self._calls == self._stop_at:
            raise KeyboardInterrupt
        self._rows += len(inputs)
        return self.head(self.body(inputs).relu())


def names_in(folder):
    return sorted(file.name for file in folder.iterdir())


# ---------------------------------------------------------------- what stands on disk


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_a_record_comes_back_as_rounded_as_its_precision_says(path, precision):
    teacher, examples = Asked(), split()
    record = kdlab.record(teacher, examples, name="asked", layers=["body"])
    record.save(path, precision)
    loaded = kdlab.Signal.load(path)
    assert (loaded.name, loaded.teacher) == ("asked", fingerprints.fingerprint(teacher))
    assert torch.equal(loaded.indices, record.indices) and torch.equal(loaded.rows, record.rows)
    assert loaded.logits.dtype == loaded.features["body"].dtype == getattr(torch, precision)
    looked_up = loaded.look_up(examples), signals.features(loaded, examples, ["body"])["body"]
    for found, kept in zip(looked_up, (record.logits, record.features["body"]), strict=True):
        assert found.dtype == torch.float32
        if precision == "float32":
            assert torch.equal(found, kept)
        else:  # half a unit in the last of 11 binary digits; below 2^-14 the steps are even
            assert ((found - kept).abs() <= kept.abs() * 2**-11 + 2**-25).all()
            assert not torch.equal(found, kept)
    assert names_in(path.parent) == [path.name]


def test_rounding_moves_a_softened_probability_as_little_as_the_docstring_says():
    shipped = map(kdlab.Signal.load, (kdlab.files.folder() / "answers").glob("*.safetensors"))
    (logits,) = (record.logits for record in shipped if record.name == "fashion-cnn")
    assert logits.dtype == torch.float32
    rounded = logits.half().float()
    assert (rounded - logits).abs().max() < 0.0085
    assert int((rounded.argmax(1) != logits.argmax(1)).sum()) == 4
    for temperature, most in (1, 0.00125), (4, 0.00035):
        moved = (rounded / temperature).softmax(1) - (logits / temperature).softmax(1)
        assert most - 0.0001 < moved.abs().max() < most


def test_any_reader_of_safetensors_can_read_it(path):
    record = kdlab.record(Asked(), split(7), layers=["body"])
    record.save(path, "float32")
    tensors = load_file(path)
    assert set(tensors) == {"logits", "indices", "rows", "features.body"}
    assert torch.equal(tensors["logits"], record.logits)
    assert torch.equal(tensors["features.body"], record.features["body"])
    with safe_open(path, framework="pt") as file:
        assert set(file.metadata()) == {"name", "teacher", "sha256"}


@pytest.mark.parametrize("count", [1, 7, 50])
def test_the_same_record_is_the_same_file_and_aligned(tmp_path, count):
    record = kdlab.record(Asked(), split(count), layers=["body"])
    for name in "ab":
        record.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    loaded = kdlab.Signal.load(tmp_path / "a")
    for tensor in (loaded.logits, loaded.indices, loaded.rows, *loaded.features.values()):
        assert tensor.data_ptr() % tensor.element_size() == 0


def test_half_precision_is_half_the_size(tmp_path):
    record = kdlab.record(Asked(), split(2_000), layers=["body"])
    sizes = {}
    for precision in records.PRECISIONS:
        record.save(tmp_path / precision, precision)
        sizes[precision] = (tmp_path / precision).stat().st_size
    assert sizes["float32"] - sizes["float16"] == 2_000 * (3 + 6) * 2


def test_what_float16_cannot_hold_is_refused_and_nothing_written(path):
    teacher, examples = Asked(), split()
    kdlab.record(teacher, examples).save(path)
    before = path.read_bytes()
    with torch.no_grad():
        teacher.head.bias[1] = 70_000.0
    record = kdlab.record(teacher, examples)
    with pytest.raises(Refusal, match=r"the logits reach 70,\d+: float16 .*precision=\"float32\""):
        record.save(path)
    with pytest.raises(Refusal, match=r"precision='bf16': expected one of float16, float32"):
        record.save(path, "bf16")
    with pytest.raises(Refusal, match="the logits reach"):
        kdlab.record(teacher, examples, path=path, progress=False)
    assert path.read_bytes() == before and path.with_name(path.name + ".new").exists() is False
    record.save(path, "float32")
    assert torch.equal(kdlab.Signal.load(path).look_up(examples), record.logits)


def test_an_infinite_logit_stays_infinite(path):  # a class that the teacher rules out
    record = kdlab.record(Asked(), split())
    record.logits[:, 2] = -torch.inf
    record.save(path)
    assert kdlab.Signal.load(path).logits[:, 2].isneginf().all()


def test_damaged_and_missing_records_are_named(path):
    kdlab.record(Asked(), split()).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:])
    with pytest.raises(CorruptFile, match=r"is damaged: .*[0-9a-f]{64}.*[0-9a-f]{64}"):
        kdlab.Signal.load(path)
    for length in (len(whole) - 10, 20, 3, 0):
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptFile, match=r"record\.safetensors is damaged"):
            kdlab.Signal.load(path)
    for nothing in (path.parent / "nowhere", path.parent):
        with pytest.raises(Refusal, match=f"{re.escape(str(nothing))} is missing"):
            kdlab.Signal.load(nothing)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(CorruptFile, match=r"no record of a teacher: it holds \['weight'\]"):
        kdlab.Signal.load(path)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads Linux's list of mappings")
def test_a_loaded_record_is_mapped_not_read(path):
    kdlab.record(Asked(), split(), layers=["body"]).save(path)
    loaded = kdlab.Signal.load(path)
    ranges = [
        [int(end, 16) for end in line.split()[0].split("-")]
        for line in Path("/proc/self/maps").read_text().splitlines()
        if line.endswith(str(path))
    ]
    for tensor in (loaded.logits, loaded.features["body"]):
        assert any(start <= tensor.data_ptr() < end for start, end in ranges)


MEASURED = """
import resource, sys, torch, kdlab
from kdlab.data import Split
from torch import nn

def peak():
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

count, width = 40_000, 1_000
teacher = nn.Sequential(nn.Linear(4, width), nn.Linear(width, 3))
examples = Split(torch.randn(count, 4), torch.zeros(count), torch.arange(count))
kdlab.record(teacher, examples[:2_000], layers=["0"], path=sys.argv[1], progress=False)
before = peak()
record = kdlab.record(teacher, examples, layers=["0"], path=sys.argv[1], progress=False)
heard = kdlab.signals.features(record, examples[:500], ["0"])["0"]
print(record.features["0"].nbytes, heard.nbytes, peak() - before)
"""


def test_large_features_are_never_in_memory_at_once(path):
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, path], capture_output=True, text=True, check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    on_disk, looked_up, grown = map(int, done.stdout.split())
    assert (on_disk, looked_up) == (80_000_000, 2_000_000)
    assert grown < on_disk / 2


# ---------------------------------------------------------------- piece by piece


def test_written_in_pieces_it_is_the_file_that_save_writes(tmp_path, monkeypatch):
    for asking in (signals, layers):  # a product of other rows may round another way
        monkeypatch.setattr(asking, "BATCH", PIECE // 2)
    one, other = tmp_path / "one", tmp_path / "new" / "other"
    kdlab.record(Asked(), split(), layers=["head", "body"]).save(one)
    teacher = Asked()
    got = kdlab.record(teacher, split(), layers=["head", "body"], path=other, progress=False)
    assert one.read_bytes() == other.read_bytes()
    assert got.logits.dtype == torch.float16 and torch.equal(got.indices, split().indices)
    assert teacher._rows == 2 * COUNT  # once for the logits, once for the features
    assert names_in(tmp_path) == ["new", "one"] and names_in(other.parent) == ["other"]


def test_a_stopped_recording_goes_on_where_it_was(tmp_path, path, capsys):
    examples, whole = split(), tmp_path / "whole"
    kdlab.record(Asked(), examples, path=whole, progress=False)
    with pytest.raises(KeyboardInterrupt):
        kdlab.record(Asked(stop_at=2), examples, path=path, progress=False)
    assert "stopped by you after 20 of 50 examples: they are kept in" in capsys.readouterr().err
    assert names_in(tmp_path) == ["record.safetensors.part", "whole"]
    again = Asked()
    got = kdlab.record(again, examples, path=path, progress=False)
    assert again._rows == COUNT - PIECE
    assert path.read_bytes() == whole.read_bytes()
    assert torch.equal(got.logits, kdlab.Signal.load(whole).logits)
    assert names_in(tmp_path) == ["record.safetensors", "whole"]


KILLED = """
import os, sys
sys.path.insert(0, sys.argv[2])
import test_records as own
from kdlab import signals

signals.PIECE = own.PIECE
class Killed(own.Asked):
    def forward(self, inputs):
        if self._calls == 2:
            os._exit(9)
        return super().forward(inputs)
Killed.__qualname__ = "Asked"  # so that the fingerprint is the same
own.kdlab.record(Killed(), own.split(), path=sys.argv[1], progress=False)
"""


def test_a_killed_process_loses_no_finished_piece(path):
    command = [sys.executable, "-c", KILLED, path, Path(__file__).parent]
    assert subprocess.run(command, capture_output=True).returncode == 9
    assert len(names_in(path.with_name(path.name + ".part"))) == 2
    again = Asked()
    got = kdlab.record(again, split(), path=path, progress=False)
    assert again._rows == COUNT - 2 * PIECE
    assert torch.allclose(got.look_up(split()), signals.ask(again, split().inputs), atol=1e-2)


def stopped(path, **changed):
    """A recording of which two pieces of three are there."""
    with pytest.raises(KeyboardInterrupt):
        kdlab.record(Asked(stop_at=3), split(), path=path, progress=False, **changed)


def test_pieces_of_another_teacher_are_not_used(path):
    stopped(path)
    other = Asked(seed=1)
    got = kdlab.record(other, split(), path=path, progress=False)
    assert other._rows == COUNT and got.teacher == fingerprints.fingerprint(other)
    assert torch.allclose(got.look_up(split()), signals.ask(other, split().inputs), atol=1e-2)


def test_pieces_of_other_inputs_are_not_used(path):
    stopped(path)
    examples, teacher = split(), Asked()
    examples.inputs[30] += 1  # in the second piece
    got = kdlab.record(teacher, examples, path=path, progress=False)
    assert teacher._rows == COUNT - PIECE
    assert torch.allclose(got.look_up(examples), signals.ask(teacher, examples.inputs), atol=1e-2)


def test_pieces_under_other_indices_are_not_used(path):
    stopped(path)
    teacher = Asked()
    moved = Split(split().inputs, split().labels, split().indices + 1)
    got = kdlab.record(teacher, moved, path=path, progress=False)
    assert teacher._rows == COUNT and torch.equal(got.indices, moved.indices)


@pytest.mark.parametrize("changed", [{"layers": ["body"]}, {"precision": "float32"}])
def test_pieces_of_other_layers_or_precision_are_not_used(path, changed):
    stopped(path)
    teacher = Asked()
    got = kdlab.record(teacher, split(), path=path, progress=False, **changed)
    assert teacher._rows == COUNT * (2 if "layers" in changed else 1)
    assert list(got.features) == changed.get("layers", [])
    assert got.logits.dtype == getattr(torch, changed.get("precision", "float16"))


def test_a_damaged_piece_is_asked_for_anew(path):
    stopped(path)
    folder = path.with_name(path.name + ".part")
    first, second = (folder / name for name in names_in(folder))
    first.write_bytes(first.read_bytes()[:-1])
    content = bytearray(second.read_bytes())
    content[-1] ^= 1
    second.write_bytes(content)
    teacher = Asked()
    kdlab.record(teacher, split(), path=path, progress=False)
    assert teacher._rows == COUNT


def test_a_changed_teacher_is_never_answered_from_the_older_file(path):
    teacher = Asked()
    kdlab.record(teacher, split(), path=path, progress=False)
    with torch.no_grad():
        teacher.head.bias += 5
    got = kdlab.record(teacher, split(), path=path, progress=False)
    assert torch.allclose(got.look_up(split()), signals.ask(teacher, split().inputs), atol=1e-2)


# 100 bytes are too few for a piece; 1,200 are enough for each piece, too few for the whole
@pytest.mark.parametrize(
    ("room", "before_it", "finished"), [(100, 0, 0), (100, 2, 2), (1200, 0, 3)]
)
def test_a_full_disk_keeps_the_older_file_and_the_pieces(path, room, before_it, finished):
    resource = pytest.importorskip("resource")
    kdlab.record(Asked(seed=1), split(5), path=path, progress=False)
    before = path.read_bytes()
    if before_it:
        with pytest.raises(KeyboardInterrupt):
            kdlab.record(Asked(stop_at=before_it + 1), split(60), path=path, progress=False)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(OSError):
            kdlab.record(Asked(), split(60), path=path, progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    pieces = path.with_name(path.name + ".part")
    assert len(names_in(pieces)) == finished
    assert names_in(path.parent) == [path.name, pieces.name]
    again = Asked()
    kdlab.record(again, split(60), path=path, progress=False)
    assert again._rows == 60 - finished * PIECE
    assert names_in(path.parent) == [path.name]


def test_refusals_come_before_the_teacher_is_asked(tmp_path, path):
    teacher = Asked()
    with pytest.raises(Refusal, match="is a folder: expected the name of a file"):
        kdlab.record(teacher, split(), path=tmp_path, progress=False)
    with pytest.raises(Refusal, match="precision='half'"):
        kdlab.record(teacher, split(), path=path, precision="half", progress=False)
    with pytest.raises(LayerNotFound, match='no layer "stem"'):
        kdlab.record(teacher, split(), path=path, layers=["stem"], progress=False)
    assert teacher._rows == 0 and not path.exists()


def test_a_long_recording_shows_how_far_it_is(path, monkeypatch):
    said = io.StringIO()
    at_once = {"delay": 0, "mininterval": 0, "miniters": 1, "file": said}
    monkeypatch.setattr(records, "tqdm", lambda **given: tqdm(**{**given, **at_once}))
    kdlab.record(Asked(), split(), path=path)
    shown = re.findall(r"recording: .*?(\d+)/50", said.getvalue())
    assert [count for count in shown if count != "0"] == ["20", "40", "50"]
    said.truncate(0)
    kdlab.record(Asked(), split(), path=path, progress=False)
    assert not said.getvalue()


# ---------------------------------------------------------------- without the teacher


def test_a_shared_record_teaches_as_its_teacher_does(path):
    inputs = torch.randn(90, 4, generator=torch.Generator().manual_seed(0))
    data, teacher = kdlab.load_data((inputs, torch.arange(90) % 3)), Asked()
    kdlab.record(teacher, data, path=path, precision="float32", progress=False)
    shared = kdlab.Signal.load(path)
    given = {"epochs": 2, "progress": False}
    live = kdlab.distill("mlp-4", teacher, data, **given)
    recorded = kdlab.distill("mlp-4", shared, data, **given)
    assert torch.allclose(live.logits(), recorded.logits(), atol=1e-6)
    assert live.scores["agreement"] == recorded.scores["agreement"]
    kdlab.record(teacher, data.train, path=path, precision="float32", progress=False)
    only_train = kdlab.distill("mlp-4", kdlab.Signal.load(path), data, **given)
    assert torch.equal(only_train.logits(), recorded.logits())
    assert only_train.scores["agreement"] != only_train.scores["agreement"]  # NaN: not covered
    moved = kdlab.load_data((inputs + 1, torch.arange(90) % 3))
    with pytest.raises(Refusal, match="was made on other inputs"):
        kdlab.distill("mlp-4", shared, moved, **given)


def test_the_readme_distils_from_a_record(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    section = README.split("### Distil from a teacher you don't have\n")[1].split("\n#")[0]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]
    inputs = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    names = {"inputs": inputs, "labels": (inputs.mean(1) > 0).long(), "teacher": nn.Linear(4, 2)}
    exec(code, names)
    run = names["run"]
    assert names_in(tmp_path) == ["answers.safetensors"]
    assert isinstance(run.teacher, kdlab.Signal) and 0 <= run.scores["agreement"] <= 1
