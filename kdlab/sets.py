"""The data sets that kdlab knows by name: read, split, ready to draw from."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import torch

from kdlab import news
from kdlab.files import read_card, read_idx, read_table
from kdlab.splits import Source, Split, draw_by_class, floats, split_in_three
from kdlab.texts import LENGTH, Vocabulary

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

FASHION_SCALE = (0.2860, 0.3530)  # mean and standard deviation of a training pixel, 0 to 1


@lru_cache(maxsize=1)
def _fashion_mnist() -> Source:
    card = read_card("fashion-mnist")
    inputs = read_idx("fashion-mnist", "train-images-idx3-ubyte.gz", card).reshape(-1, 1, 28, 28)
    labels = read_idx("fashion-mnist", "train-labels-idx1-ubyte.gz", card).long()
    test_inputs = read_idx("fashion-mnist", "t10k-images-idx3-ubyte.gz", card)
    test_labels = read_idx("fashion-mnist", "t10k-labels-idx1-ubyte.gz", card).long()
    indices = torch.arange(70_000)  # test follows train, so that no index means two pictures
    return Source(
        "fashion-mnist",
        pool=Split(inputs[:50_000], labels[:50_000], indices[:50_000]),
        validation=Split(
            floats(inputs[50_000:], *FASHION_SCALE), labels[50_000:], indices[50_000:60_000]
        ),
        test=Split(
            floats(test_inputs.reshape(-1, 1, 28, 28), *FASHION_SCALE),
            test_labels,
            indices[60_000:],
        ),
        classes=FASHION_CLASSES,
        card=card,
        mean=FASHION_SCALE[0],
        deviation=FASHION_SCALE[1],
    )


@lru_cache(maxsize=1)
def _digits() -> Source:
    from sklearn.datasets import load_digits

    raw = load_digits()
    inputs = torch.tensor(raw.images, dtype=torch.float32).unsqueeze(1) / 16
    names = tuple(str(digit) for digit in range(10))
    return split_in_three(
        "digits", inputs, torch.tensor(raw.target).long(), names, read_card("digits")
    )


@lru_cache(maxsize=1)
def _glosses() -> Source:
    card = read_card("glosses")
    (topics, labelled), (topics_of_spare, spare) = (
        read_table("glosses", name, card) for name in ("labelled.tsv.gz", "spare.tsv.gz")
    )
    classes = tuple(card["classes"])
    labels, hidden = (
        torch.tensor([classes.index(topic) for topic in column])
        for column in (topics, topics_of_spare)
    )
    source = split_in_three("glosses", torch.arange(len(labels)), labels, classes, card)
    return _in_words(source, labelled, LENGTH, spare, hidden)


def _bbc_news(whole_articles: bool) -> Source:
    texts, topics, card = news.bbc(whole_articles)
    name, length = ("bbc-articles", 200) if whole_articles else ("bbc-news", LENGTH)
    labels = torch.tensor(topics)
    source = split_in_three(name, torch.arange(len(labels)), labels, news.BBC, card)
    return _in_words(source, texts, length)


@lru_cache(maxsize=1)
def _ag_news() -> Source:
    parts, card = news.ag()
    (texts, topics), (test_texts, test_topics) = parts["train"], parts["test"]
    labels, numbers = torch.tensor([*topics, *test_topics]), torch.arange(len(texts + test_texts))
    fixed = torch.Generator().manual_seed(0)
    held_out, pool = draw_by_class(labels[: len(texts)], len(texts) // 10, fixed, "ag-news")
    rows = [part.sort().values for part in (pool, held_out)] + [numbers[len(texts) :]]
    splits = (Split(numbers[part], labels[part], numbers[part]) for part in rows)
    return _in_words(Source("ag-news", *splits, news.AG, card), texts + test_texts, 50)


def _in_words(
    source: Source, texts: list[str], length: int, spare: Sequence[str] = (), hidden=None
) -> Source:
    """A source whose inputs are the numbers of texts, with these as rows of words instead.

    The vocabulary is that of the pool and the spare texts, the words of the others come last.
    """
    shown = [texts[row] for row in source.pool.indices.tolist()]
    vocabulary = Vocabulary.of([*shown, *spare], texts)
    inputs = vocabulary.encode(texts, length)
    parts = {
        name: replace(part, inputs=inputs[part.indices])
        for name, part in (
            ("pool", source.pool), ("validation", source.validation), ("test", source.test),
        )
    }  # fmt: skip
    if spare:  # a draw takes their labels away
        numbers = len(texts) + torch.arange(len(spare))
        parts["spare"] = Split(vocabulary.encode(spare, length), hidden, numbers)
    return replace(source, **parts, vocabulary=vocabulary)


SHIPPED = {"fashion-mnist": _fashion_mnist, "digits": _digits, "glosses": _glosses}
ELSEWHERE = {  # with the extra `text`; the last one with a network too
    "bbc-news": lru_cache(maxsize=1)(lambda: _bbc_news(whole_articles=False)),
    "bbc-articles": lru_cache(maxsize=1)(lambda: _bbc_news(whole_articles=True)),
    "ag-news": _ag_news,
}
SOURCES = SHIPPED | ELSEWHERE
