"""Texts as numbers, the glosses, and small networks that read them."""

import pytest
import torch
from torch import nn

import kdlab
from kdlab import models, nets, texts
from kdlab.errors import Refusal
from kdlab.texts import PAD, UNKNOWN, Vocabulary

QUIET = {"epochs": 2, "progress": False, "device": "cpu", "watch": 0, "batch_size": 16}
READERS = ["textcnn", "text-bag", "text-gru", "text-lstm"]


def test_words_and_signs():
    assert " ".join(texts.words("A dog's LIFE, 2 barks!")) == "a dog ' s life , 2 barks !"


def test_the_most_frequent_word_comes_first_and_others_last():
    known = Vocabulary.of(["b a b", "b a c"], ["d a"])
    assert known.known == ("", "?", "b", "a", "c", "d") and len(known) == 6


def test_texts_become_rows_of_one_length_and_words_again():
    known = Vocabulary.of(["the cat sat"])
    rows = known.encode(["The cat", "the dog sat on the cat"], length=4)
    cat, sat, the = (known.numbers[word] for word in ("cat", "sat", "the"))
    assert rows.tolist() == [[the, cat, PAD, PAD], [the, UNKNOWN, sat, UNKNOWN]]
    assert known.decode(rows) == ["the cat", "the ? sat ?"]
    assert known.encode([], 3).shape == (0, 3)


def test_one_text_is_no_list():
    with pytest.raises(Refusal, match=r"write \[text\]"):
        Vocabulary.of(["a"]).encode("a")


# ---------------------------------------------------------------- the glosses


def test_the_glosses_are_what_their_card_says():
    data = kdlab.load_data("glosses", unlabelled=1_000)
    sizes = [len(part) for part in (data.train, data.validation, data.test)]
    assert sizes == [14_400, 4_800, 4_800] and len(data.classes) == 10
    for part in (data.train, data.validation, data.test):
        assert (torch.bincount(part.labels) == len(part) // 10).all()
    assert (data.transfer.labels == -100).all()
    seen = [part.indices for part in (data.train, data.validation, data.test, data.transfer)]
    assert len(torch.cat(seen).unique()) == sum(map(len, seen))


def test_no_gloss_stands_in_two_splits():
    data = kdlab.load_data("glosses", unlabelled=30_000)
    card = data.card["files"]
    written = kdlab.files.read_table("glosses", "labelled.tsv.gz", data.card)[1]
    written += kdlab.files.read_table("glosses", "spare.tsv.gz", data.card)[1]
    assert len(written) == len(set(written)) and set(card) == {"labelled.tsv.gz", "spare.tsv.gz"}


def test_a_gloss_can_be_read_again():
    data = kdlab.load_data("glosses", train=100)
    row = int(data.validation.indices[3])
    written = kdlab.files.read_table("glosses", "labelled.tsv.gz", data.card)[1][row]
    first = texts.words(written)[: texts.LENGTH]
    assert data.vocabulary.decode(data.validation.inputs[3:4]) == [" ".join(first)]


def test_the_frequent_words_are_those_of_training():
    """Words that only validation and test have stand behind all that a student knows."""
    data = kdlab.load_data("glosses", unlabelled=38_000)
    known = torch.cat([data.train.inputs, data.transfer.inputs]).unique()
    assert (known < nets.KNOWN).sum() >= nets.KNOWN - 200


def test_a_topic_can_be_left_out_of_spare_texts_too():
    whole = kdlab.load_data("glosses", train=200, unlabelled=500)
    without = kdlab.load_data("glosses", train=200, unlabelled=500, leave_out="artifact")
    assert len(without.transfer) < len(whole.transfer)
    assert (without.train.labels != whole.classes.index("artifact")).all()


# ---------------------------------------------------------------- readers


@pytest.mark.parametrize("name", READERS)
def test_padding_does_not_change_what_is_read(name):
    net = models.build(name, (9,), 3).eval()
    rows = torch.randint(2, 50, (4, 9))
    rows[0, 4:], rows[1, 1:] = PAD, PAD
    longer = torch.cat([rows, torch.zeros(4, 6, dtype=torch.long)], 1)
    assert torch.allclose(net(rows), net(longer), atol=1e-6)
    assert net(torch.zeros(2, 9, dtype=torch.long)).isfinite().all()  # texts of no word


@pytest.mark.parametrize("name", READERS)
def test_rare_words_are_one_unknown_word(name):
    net = models.build(name, (5,), 3).eval()
    rare, rarer = (torch.tensor([[3, number, 4, 0, 0]]) for number in (nets.KNOWN, 10**6))
    unknown = torch.tensor([[3, UNKNOWN, 4, 0, 0]])
    assert torch.equal(net(rare), net(unknown)) and torch.equal(net(rarer), net(unknown))


@pytest.mark.parametrize("name", ["textcnn", "text-gru"])
def test_the_order_of_words_counts_where_it_should(name):
    net = models.build(name, (5,), 3).eval()
    bag = models.build("text-bag", (5,), 3).eval()
    one, other = torch.tensor([[5, 6, 7, 8, 9]]), torch.tensor([[9, 7, 5, 8, 6]])
    assert not torch.allclose(net(one), net(other), atol=1e-5)
    assert torch.allclose(bag(one), bag(other), atol=1e-6)


def toy(count=90):
    """The class is the word that a text holds."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 3
    rows = torch.randint(10, 40, (count, 6), generator=draw)
    rows[torch.arange(count), torch.randint(0, 6, (count,), generator=draw)] = 2 + labels
    return kdlab.load_data((rows, labels))


@pytest.mark.parametrize("name", READERS)
def test_texts_are_distilled_swept_and_matched_like_pictures(name):
    data, teacher = toy(), models.build("textcnn", (6,), 3, 7)
    swept = kdlab.sweep(name, teacher, data, seeds=2, alpha=[0.5, 1], **QUIET)
    assert (swept.table["error"] == "").all()
    alone = kdlab.distill(name, teacher, data, alpha=0.5, seed=1, **QUIET)
    row = swept.rows({"alpha": 0.5}).loc[1]
    assert alone.scores["nll"] == pytest.approx(row["nll"], abs=1e-4)
    hint = kdlab.Match("features", "features", loss=kdlab.losses.hint_loss)
    matched = kdlab.distill(name, teacher, data, match=[hint], **QUIET)
    assert matched.history["hint_loss features→features"].iloc[-1] > 0


@pytest.mark.parametrize("name", READERS)
def test_readers_learn(name):
    run = kdlab.train(name, toy(300), **{**QUIET, "epochs": 30, "learning_rate": 1e-2})
    assert run.scores["accuracy"] > 0.8


def test_pictures_are_refused():
    with pytest.raises(Refusal, match="one row of word numbers"):
        kdlab.models.build("textcnn", (1, 8, 8), 3)


def test_a_report_of_a_reader():
    row = kdlab.report(nn.Sequential(nets.TextCNN(3)), toy())
    assert row["macs"] > 0 and row["latency_ms"] > 0


def test_textcnn_starts_with_short_vectors():
    table = models.build("textcnn", (24,), 10).vectors.table.weight
    assert table[PAD].eq(0).all() and 0.2 < table.abs().max() <= 0.25
    assert models.build("text-bag", (24,), 10).vectors.table.weight.abs().max() > 2


def test_a_table_that_is_looked_up_counts_as_no_product():
    data = kdlab.load_data("glosses", train=200)
    options = {**kdlab.training.distill.__kwdefaults__, "device": "cpu", "alpha": 1}
    job = kdlab.jobs.prepare("text-bag", None, data, **options)
    assert kdlab.surroundings.products(job) == 128 * (32 * 10 + 10)
