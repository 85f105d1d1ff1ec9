"""Data sets: the official files, splits that never leak, seeded draws, bad input refused."""

import gzip
import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, IterableDataset, TensorDataset

import kdlab
from kdlab import files as stored
from kdlab import sets
from kdlab.data import NO_LABEL
from kdlab.errors import CorruptFile, Refusal, UnknownName

OFFICIAL = {
    f"{name}-ubyte.gz": digest
    for name, digest in [
        ("train-images-idx3", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
        ("train-labels-idx1", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
        ("t10k-images-idx3", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
        ("t10k-labels-idx1", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
    ]
}


def pair(count=100, classes=4, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, generator=draw), torch.arange(count) % classes


def same(one, other):
    """Whether two splits hold the same examples in the same order."""
    return all(
        torch.equal(getattr(one, part), getattr(other, part))
        for part in ("inputs", "labels", "indices")
    )


# ---------------------------------------------------------------- Fashion-MNIST


@pytest.mark.parametrize("file", OFFICIAL)
def test_the_files_are_the_official_ones(file):
    folder = stored.folder() / "fashion-mnist"
    content = gzip.decompress((folder / file).read_bytes())
    assert hashlib.sha256(content).hexdigest() == OFFICIAL[file]
    assert stored.read_card("fashion-mnist")["files"][file]["sha256"] == OFFICIAL[file]


def test_fashion_mnist_is_whole_and_its_splits_do_not_overlap():
    data = kdlab.load_data("fashion-mnist")
    assert [len(data.train), len(data.validation), len(data.test)] == [50_000, 10_000, 10_000]
    assert len(data.transfer) == 0
    indices = torch.cat([data.train.indices, data.validation.indices, data.test.indices])
    assert torch.equal(indices.sort().values, torch.arange(70_000))
    # validation is the last 10,000 of the official train split, in the order of the file
    assert torch.equal(data.validation.indices, torch.arange(50_000, 60_000))
    assert torch.equal(data.test.indices, torch.arange(60_000, 70_000))
    assert len(data.classes) == 10 and data.classes[1] == "Trouser"
    assert data.test.labels.bincount().tolist() == [1_000] * 10
    assert data.card["licence"].startswith("MIT")


def test_pictures_and_labels_are_those_of_the_file():
    folder = stored.folder() / "fashion-mnist"
    raw, labels = b"", b""
    for part in ("train", "t10k"):
        raw += gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())[16:]
        labels += gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())[8:]
    data = kdlab.load_data("fashion-mnist", train=50, seed=3, unlabelled=50)
    assert data.train.inputs.shape == (50, 1, 28, 28)
    assert data.train.inputs.dtype == torch.float32
    for split in (data.train, data.transfer, data.validation, data.test):
        for row in (0, 17, 49):
            at = int(split.indices[row])
            picture = np.frombuffer(raw[784 * at : 784 * (at + 1)], dtype=np.uint8) / 255
            scaled = (picture - 0.2860) / 0.3530
            assert np.allclose(split.inputs[row].flatten().numpy(), scaled, atol=1e-6)
            assert split is data.transfer or split.labels[row] == labels[at]


def test_pixels_of_every_split_share_one_scale():
    data = kdlab.load_data("fashion-mnist", train=10_000, unlabelled=10_000)
    for part in (data.train, data.validation, data.test, data.transfer):
        assert part.inputs.mean().item() == pytest.approx(0, abs=0.02)
        assert part.inputs.std().item() == pytest.approx(1, abs=0.02)
        assert part.inputs.min().item() == pytest.approx(-0.2860 / 0.3530)


def test_validation_is_the_same_for_every_seed_and_never_in_train_or_transfer():
    draws = [
        kdlab.load_data("fashion-mnist", train=2_000, seed=seed, unlabelled=3_000, label_noise=0.5)
        for seed in (0, 1)
    ]
    assert same(draws[0].validation, draws[1].validation)
    assert same(draws[0].test, draws[1].test)
    for data in draws:
        used = torch.cat([data.train.indices, data.transfer.indices])
        assert len(used.unique()) == 5_000  # train and transfer share no example either
        assert used.max() < 50_000
        assert torch.equal(data.transfer.labels, torch.full((3_000,), NO_LABEL))


def test_train_is_drawn_by_class_and_by_seed():
    first = kdlab.load_data("fashion-mnist", train=1_000, seed=0)
    again = kdlab.load_data("fashion-mnist", train=1_000, seed=0)
    other = kdlab.load_data("fashion-mnist", train=1_000, seed=1)
    assert same(first.train, again.train)
    assert set(first.train.indices.tolist()) != set(other.train.indices.tolist())
    counts = first.train.labels.bincount()
    assert counts.max() - counts.min() <= 2  # the pool holds 4,964 to 5,039 of a class


def test_a_fewer_validation_examples_are_the_same_for_every_seed():
    first = kdlab.load_data("fashion-mnist", train=10, validation=500, seed=0)
    other = kdlab.load_data("fashion-mnist", train=10, validation=500, seed=1)
    assert len(first.validation) == 500 and same(first.validation, other.validation)
    assert first.validation.indices.min() >= 50_000


# ---------------------------------------------------------------- draws


def test_the_larger_draw_holds_the_smaller_where_classes_are_balanced():
    small = kdlab.load_data(pair(), train=12, seed=5).train.indices.tolist()
    large = kdlab.load_data(pair(), train=40, seed=5).train.indices.tolist()
    assert set(small) < set(large)


def test_a_draw_keeps_the_classes_proportions():
    labels = torch.tensor([0] * 500 + [1] * 300 + [2] * 200)
    data = kdlab.load_data((torch.randn(1_000, 2), labels), train=60)
    assert data.train.labels.bincount().tolist() == [30, 18, 12]
    # rounding owes the rest to the class that lost most by it: 62 is 31, 18.6 and 12.4
    data = kdlab.load_data((torch.randn(1_000, 2), labels), train=62)
    assert data.train.labels.bincount().tolist() == [31, 19, 12]


def test_leave_out_drops_the_class_after_the_draw():
    whole = kdlab.load_data("digits", train=300, unlabelled=200, seed=2)
    without = kdlab.load_data("digits", train=300, unlabelled=200, seed=2, leave_out="3")
    keep = whole.train.labels != 3
    assert same(without.train, whole.train[keep])
    assert 0 < len(without.train) < 300  # nothing takes the dropped examples' place
    assert set(without.transfer.indices.tolist()) < set(whole.transfer.indices.tolist())
    everything = kdlab.load_data("digits").train
    threes = set(everything.indices[everything.labels == 3].tolist())
    assert not threes & set(without.transfer.indices.tolist())
    assert threes & set(whole.transfer.indices.tolist())
    assert (without.validation.labels == 3).any() and len(without.classes) == 10
    assert without.settings["leave_out"] == "3"


def test_leave_out_takes_names_numbers_and_several():
    by_name = kdlab.load_data("digits", train=300, leave_out=["3", "7"]).train
    by_number = kdlab.load_data("digits", train=300, leave_out=(3, 7)).train
    assert same(by_name, by_number)
    assert set(by_name.labels.tolist()) == {0, 1, 2, 4, 5, 6, 8, 9}


def test_leave_out_goes_by_the_true_class_not_by_the_noisy_label():
    whole = kdlab.load_data("digits", train=300, label_noise=0.5)
    without = kdlab.load_data("digits", train=300, label_noise=0.5, leave_out=3)
    true_labels = kdlab.load_data("digits", train=300).train.labels
    assert same(without.train, whole.train[true_labels != 3])


def test_a_share_of_labels_is_drawn_from_all_classes():
    count, noise = 30_000, 0.4
    inputs, labels = torch.zeros(50_000, 1), torch.arange(50_000) % 5
    clean = kdlab.load_data((inputs, labels), train=count, seed=0)
    noisy = kdlab.load_data((inputs, labels), train=count, seed=0, label_noise=noise)
    assert torch.equal(clean.train.indices, noisy.train.indices)
    assert torch.equal(noisy.validation.labels, clean.validation.labels)
    assert torch.equal(noisy.test.labels, clean.test.labels)
    changed = clean.train.labels != noisy.train.labels
    # a label drawn from all 5 classes is the old one in a fifth of the cases
    assert changed.float().mean().item() == pytest.approx(noise * 4 / 5, abs=0.01)
    drawn = noisy.train.labels[changed & (clean.train.labels == 0)].bincount(minlength=5)
    assert drawn[0] == 0 and drawn[1:].float().std() / drawn[1:].float().mean() < 0.12
    other = kdlab.load_data((inputs, labels), train=count, seed=1, label_noise=noise)
    assert not torch.equal(other.train.labels, noisy.train.labels)
    all_noise = kdlab.load_data((inputs, labels), train=count, label_noise=1.0).train
    hits = (all_noise.labels == clean.train.labels).float().mean().item()
    assert hits == pytest.approx(0.2, abs=0.01)


def test_more_unlabelled_examples_shift_neither_train_nor_its_noise():
    first = kdlab.load_data("digits", train=100, label_noise=0.3, unlabelled=10)
    other = kdlab.load_data("digits", train=100, label_noise=0.3, unlabelled=500)
    assert same(first.train, other.train)
    assert set(first.transfer.indices.tolist()) < set(other.transfer.indices.tolist())


def test_a_draw_leaves_the_callers_random_state():
    before = torch.get_rng_state()
    kdlab.load_data("digits", train=100, label_noise=0.5, unlabelled=50)
    assert torch.equal(before, torch.get_rng_state())


# ---------------------------------------------------------------- digits, pairs, Datasets


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    raw = load_digits()
    data = kdlab.load_data("digits")
    assert sum(map(len, (data.train, data.validation, data.test))) == len(raw.target) == 1_797
    for part in (data.train, data.validation, data.test):
        at = part.indices.numpy()
        assert np.allclose(part.inputs.squeeze(1).numpy() * 16, raw.images[at])
        assert np.array_equal(part.labels.numpy(), raw.target[at])
        counts = part.labels.bincount().double() / len(part)
        assert (counts - torch.tensor(raw.target).bincount() / 1_797).abs().max() < 0.01
    assert kdlab.load_data("Digits").name == "digits"  # names are known in any case


def test_a_pair_is_split_the_same_way_for_every_seed():
    first, other = (kdlab.load_data(pair(), seed=seed) for seed in (0, 1))
    assert [len(first.train), len(first.validation), len(first.test)] == [60, 20, 20]
    assert same(first.validation, other.validation) and same(first.test, other.test)
    assert set(first.train.indices.tolist()) == set(other.train.indices.tolist())
    everything = torch.cat([getattr(first, part).indices for part in ("train", "validation")])
    everything = torch.cat([everything, first.test.indices])
    assert torch.equal(everything.sort().values, torch.arange(100))
    inputs, labels = pair()
    assert torch.equal(first.test.inputs, inputs[first.test.indices])
    assert torch.equal(first.test.labels, labels[first.test.indices])


def test_a_dataset_is_read_like_its_pair():
    inputs, labels = pair()
    expected = kdlab.load_data((inputs, labels), train=20).train
    assert same(kdlab.load_data(TensorDataset(inputs, labels), train=20).train, expected)
    items = [(inputs[row].numpy(), int(labels[row])) for row in range(len(labels))]
    assert same(kdlab.load_data(items, train=20).train, expected)


def test_numpy_doubles_and_bytes_become_floats():
    inputs, labels = pair()
    data = kdlab.load_data((inputs.double().numpy(), labels.numpy()))
    assert data.train.inputs.dtype == torch.float32
    pictures = torch.arange(100, dtype=torch.uint8).reshape(100, 1)
    data = kdlab.load_data((pictures, labels))
    assert torch.allclose(data.train.inputs.squeeze(1), data.train.indices / 255)
    tokens = kdlab.load_data((torch.arange(200).reshape(100, 2), labels))
    assert tokens.train.inputs.dtype == torch.int64


def test_own_class_names_and_what_a_data_set_says_of_itself():
    data = kdlab.load_data(pair(), classes=["a", "b", "c", "d"], leave_out="b")
    assert data.classes == ("a", "b", "c", "d") and 1 not in data.train.labels
    assert "train 45" in repr(data) and "4 classes" in repr(data)
    assert "60 %" in data.card["split"]


class Flipping(Dataset):
    """As under torchvision's RandomHorizontalFlip: each read may differ."""

    def __len__(self):
        return 50

    def __getitem__(self, row):
        item = torch.arange(4.0) + row
        return (item.flip(0) if torch.rand(1) < 0.5 else item), row % 2


@pytest.mark.parametrize("seed", range(5))
def test_a_dataset_with_a_random_transform_is_refused(seed):
    torch.manual_seed(seed)
    with pytest.raises(Refusal, match=r"differs each time .*augment="):
        kdlab.load_data(Flipping())


# ---------------------------------------------------------------- bad input


class Endless(IterableDataset):
    def __iter__(self):
        yield torch.zeros(3), 0


INPUTS, LABELS = pair()
BROKEN = INPUTS.clone()
BROKEN[17, 1] = float("nan")
ENDLESS = INPUTS.clone()
ENDLESS[3] = float("inf")
ONE_HOT = torch.eye(4)[LABELS]
BAD = {
    "an unknown name": (lambda: ("fashon-mnist",), "fashon-mnist.*Did you mean 'fashion-mnist'"),
    "a name like no other": (lambda: ("zzzz",), r"'zzzz'\. Known: fashion-mnist, digits"),
    "too many": (lambda: ((INPUTS, LABELS), 61), "train=61.*has 60"),
    "none": (lambda: ((INPUTS, LABELS), 0), "train=0.*at least 1"),
    "half a picture": (lambda: ((INPUTS, LABELS), 10.5), "train=10.5.*whole number"),
    "too many to validate on": (lambda: ((INPUTS, LABELS), None, 21), "validation=21.*has 20"),
    "a seed that is a word": (lambda: ((INPUTS, LABELS), None, None, "a"), "seed='a'"),
    "unequal lengths": (lambda: ((INPUTS, LABELS[:-1]),), "100 inputs but 99 labels"),
    "empty": (lambda: ((INPUTS[:0], LABELS[:0]),), "empty"),
    "an empty Dataset": (lambda: (TensorDataset(INPUTS[:0], LABELS[:0]),), "empty"),
    "too few to split": (lambda: ((INPUTS[:4], LABELS[:4]),), "4 examples.*at least 5"),
    "NaN": (lambda: ((BROKEN, LABELS),), "NaN or infinity in 1 of .*example 17"),
    "infinity": (lambda: ((ENDLESS, LABELS),), "infinity.*example 3"),
    "NaN without features": (lambda: ((BROKEN[:, 1], LABELS),), "NaN.*example 17"),
    "a label below 0": (lambda: ((INPUTS, LABELS - 1),), "label is -1.*from 0"),
    "one-hot labels": (lambda: ((INPUTS, ONE_HOT),), r"\(100, 4\).*argmax"),
    "whole one-hot labels": (lambda: ((INPUTS, ONE_HOT.long()),), r"\(100, 4\).*argmax"),
    "labels as words": (lambda: ((INPUTS, ["cat"] * 100),), "labels of type list"),
    "one tensor": (lambda: (INPUTS,), r"type Tensor.*\(inputs, labels\)"),
    "a mapping": (lambda: ({"inputs": INPUTS},), r"type dict.*\(inputs, labels\)"),
    "a number": (lambda: (3,), "type int"),
    "a stream": (lambda: (Endless(),), "type Endless.*length"),
    "a Dataset of one-hot labels": (lambda: (TensorDataset(INPUTS, ONE_HOT),), "item 0.*argmax"),
    "a Dataset of words": (lambda: ([("a", 0)] * 9,), "item 0.*transform"),
    "a Dataset of ragged items": (
        lambda: ([(torch.zeros(row + 1), 0) for row in range(9)],),
        r"shapes \[\(1,\), \(2,\), \(3,\)\]",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_is_refused_in_a_sentence(case):
    given, expected = BAD[case]
    kind = UnknownName if "name" in case else Refusal
    with pytest.raises(kind, match=expected):
        kdlab.load_data(*given())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"unlabelled": 11, "train": 50}, "unlabelled=11.*has 10 .* 50 labelled"),
        ({"unlabelled": -1}, "unlabelled=-1"),
        ({"label_noise": 1.5}, "label_noise=1.5.*from 0 to 1"),
        ({"label_noise": float("nan")}, "label_noise=nan"),
        ({"label_noise": "much"}, "label_noise='much'"),
        ({"classes": ["a", "b"]}, "labels go up to 3.*2 classes.*0 to 1"),
        ({"leave_out": [0, 1, 2, 3]}, "leaves no training example"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_bad_options_are_refused(options, expected):
    with pytest.raises(Refusal, match=expected):
        kdlab.load_data((INPUTS, LABELS), **options)


def test_an_unknown_class_is_refused_with_the_near_one():
    with pytest.raises(UnknownName, match=r"no class 'Trousers'.*Did you mean 'Trouser'.*Sandal"):
        kdlab.load_data("fashion-mnist", train=100, leave_out="Trousers")
    with pytest.raises(UnknownName, match="no class 10"):
        kdlab.load_data("digits", leave_out=10)


def test_a_data_set_is_no_name():
    with pytest.raises(Refusal, match="data set already"):
        kdlab.load_data(kdlab.load_data(pair()))


def test_refusals_are_value_or_lookup_errors():
    assert issubclass(Refusal, ValueError) and issubclass(CorruptFile, Refusal)
    assert issubclass(UnknownName, LookupError)
    assert str(UnknownName("a sentence")) == "a sentence"  # not in quotes, as LookupError prints


# ---------------------------------------------------------------- damaged files


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Fashion-MNIST's folder in a place where it may be damaged."""
    shutil.copytree(stored.folder() / "fashion-mnist", tmp_path / "fashion-mnist")
    monkeypatch.setenv("KDLAB_DATA", str(tmp_path))
    sets._fashion_mnist.cache_clear()
    yield tmp_path / "fashion-mnist"
    sets._fashion_mnist.cache_clear()


def truncated(path):
    path.write_bytes(path.read_bytes()[:-100])


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def exchanged(path):
    """A sound gzip file whose content is another."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(bytes(content), compresslevel=1))


def emptied(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncated, flipped, exchanged, emptied])
def test_a_damaged_file_is_named_with_both_hashes_and_left_alone(copied, damage):
    path = copied / "t10k-labels-idx1-ubyte.gz"
    damage(path)
    before = path.read_bytes()
    try:  # both hashes are of the unpacked bytes where it unpacks
        found = hashlib.sha256(gzip.decompress(before)).hexdigest() if before else ""
    except (OSError, EOFError, gzip.zlib.error):
        found = hashlib.sha256(before).hexdigest()
    with pytest.raises(CorruptFile) as refusal:
        kdlab.load_data("fashion-mnist")
    said = str(refusal.value)
    assert str(path) in said and OFFICIAL[path.name] in said and "git checkout" in said
    assert (found or hashlib.sha256(b"").hexdigest()) in said
    assert path.read_bytes() == before


def test_a_missing_file_or_card_is_said_with_the_way_back(copied, monkeypatch):
    (copied / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(Refusal, match=r"train-labels.* is missing.*git checkout"):
        kdlab.load_data("fashion-mnist")
    monkeypatch.setenv("KDLAB_DATA", str(copied / "nowhere"))
    with pytest.raises(Refusal, match=r"card\.json is missing.*KDLAB_DATA"):
        kdlab.load_data("fashion-mnist")


def test_every_shipped_file_is_on_its_card():
    folder = stored.folder() / "fashion-mnist"
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    shipped = {path.name for path in folder.glob("*.gz")}
    assert shipped == set(card["files"]) == set(OFFICIAL)


# ---------------------------------------------------------------- a transfer set as a file


def linear(features, classes=4):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(features, classes))


def test_a_record_brings_its_own_transfer_set(tmp_path):
    own, path = pair(), tmp_path / "transfer.safetensors"
    there = kdlab.load_data(own, train=40)
    kdlab.record(linear(3), there.train, path=path, precision="float32", progress=False)
    here = kdlab.load_data(own, train=12, unlabelled=kdlab.Signal.load(path))
    labelled = set(here.train.indices.tolist())
    assert labelled <= set(there.train.indices.tolist())  # one seed: the smaller draw is inside
    assert here.transfer.indices.tolist() == sorted(set(there.train.indices.tolist()) - labelled)
    assert (here.transfer.labels == NO_LABEL).all() and here.settings["unlabelled"] == 28
    assert torch.equal(here.transfer.inputs, own[0][here.transfer.indices])
    run = kdlab.distill(
        "mlp-4", kdlab.Signal.load(path), here, transfer=True, alpha=0, epochs=1,
        device="cpu", progress=False,
    )  # fmt: skip
    assert run.history["step"].iloc[-1] == 1 and run.finished


def test_bytes_are_checked_as_the_floats_that_the_teacher_saw():
    there = kdlab.load_data("fashion-mnist", train=60, unlabelled=30, seed=1)
    record = kdlab.record(linear(784, 10), there.transfer)
    here = kdlab.load_data("fashion-mnist", train=20, unlabelled=record)
    assert set(here.transfer.indices.tolist()) == set(there.transfer.indices.tolist()) - set(
        here.train.indices.tolist()
    )
    at = {int(index): row for row, index in enumerate(there.transfer.indices)}
    rows = [at[int(index)] for index in here.transfer.indices]
    assert torch.equal(here.transfer.inputs, there.transfer.inputs[rows])


def test_spare_texts_may_be_in_a_record_beside_labelled_ones():
    data = kdlab.load_data("glosses", train=50, unlabelled=20)
    mixed = kdlab.data.Split(*(
        torch.cat([getattr(data.train, name)[:5], getattr(data.transfer, name)])
        for name in ("inputs", "labels", "indices")
    ))  # fmt: skip
    asked = kdlab.Signal("teacher", "", torch.zeros(25, 10), mixed.indices,
                         kdlab.fingerprints.row_fingerprints(mixed.inputs))  # fmt: skip
    here = kdlab.load_data("glosses", train=50, unlabelled=asked)
    assert torch.equal(here.transfer.indices, data.transfer.indices.sort().values)
    other = kdlab.load_data("glosses", train=50, unlabelled=asked, seed=7)
    assert len(other.transfer) > 20  # there the five are not in train
    assert (other.transfer.labels == NO_LABEL).all()


def test_a_record_does_not_change_what_else_is_drawn():
    record = kdlab.record(linear(3), kdlab.load_data(pair(), train=20, unlabelled=30).transfer)
    options = {"train": 20, "label_noise": 0.5, "seed": 3}
    plain, recorded = (kdlab.load_data(pair(), unlabelled=u, **options) for u in (5, record))
    assert same(plain.train, recorded.train)
    left = kdlab.load_data(pair(), unlabelled=record, leave_out=2, **options)
    kept = recorded.transfer.indices % 4 != 2  # classes go round in `pair`
    assert torch.equal(left.transfer.indices, recorded.transfer.indices[kept])


def test_a_record_that_does_not_fit_is_refused():
    data = kdlab.load_data(pair(), train=30, unlabelled=20)
    record = kdlab.record(linear(3), data.transfer)
    inputs, labels = pair()
    changed = inputs.clone()
    changed[data.transfer.indices[3]] += 0.1
    with pytest.raises(Refusal, match=r"other inputs: 1 of its 20 examples are not those of"):
        kdlab.load_data((changed, labels), train=30, unlabelled=record)
    with pytest.raises(Refusal, match="20 examples that are not among the training examples"):
        kdlab.load_data(pair(), train=30, unlabelled=kdlab.record(linear(3), data.validation))
    with pytest.raises(Refusal, match="nothing is left as a transfer set"):
        kdlab.load_data(pair(), unlabelled=record)
    with pytest.raises(Refusal, match=r"record itself: unlabelled=kdlab.Signal.load"):
        kdlab.load_data(pair(), unlabelled="transfer.safetensors")


def test_distilling_from_a_record_of_the_transfer_set_alone_says_what_is_missing():
    data = kdlab.load_data(pair(), train=30, unlabelled=20)
    record = kdlab.record(linear(3), data.transfer)
    here = kdlab.load_data(pair(), train=30, unlabelled=record)
    with pytest.raises(
        Refusal, match=r"no answer for 30 of these 50 .*with transfer=True train and"
    ):
        kdlab.distill("mlp-4", record, here, transfer=True, alpha=0, epochs=1, progress=False)
