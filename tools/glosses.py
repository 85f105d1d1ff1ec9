"""Make data/glosses: noun definitions by topic, from WordNet 3.0's file data.noun.

    python -m tools.glosses DATA.NOUN COPYRIGHT

Both lie in Debian's package wordnet-base: usr/share/wordnet/data.noun, usr/share/doc/.../copyright.
"""

import argparse
import gzip
import hashlib
import json
from collections import defaultdict
from pathlib import Path

import torch

from kdlab import files as stored
from kdlab import seeds

SHA256 = "fea17d2f9656611334eac790e5d69e47645fa180c4aa481fb4cd9b3520754ca2"
TOPICS = {  # the number of a lexicographer file (lexnames in WordNet), and its topic
    5: "animal", 20: "plant", 18: "person", 6: "artifact", 13: "food",
    15: "location", 10: "communication", 4: "act", 26: "state", 27: "substance",
}  # fmt: skip
EACH = 2_400  # examples of each topic with a label; all others are spare


def definitions(lines: list[str]) -> dict[str, list[str]]:
    """Topic -> its definitions, each once; one that stands in two topics is dropped."""
    topics = defaultdict(set)
    for line in lines:
        if line.startswith("  "):  # the licence at the head of the file
            continue
        left, gloss = line.rstrip().split(" | ", 1)
        number = int(left.split()[1])
        if number in TOPICS:
            text = gloss.split('; "')[0].strip().strip(";").strip()
            topics[text].add(TOPICS[number])
    found = {topic: [] for topic in TOPICS.values()}
    for text, of in topics.items():
        if len(of) == 1 and text:
            found[next(iter(of))].append(text)
    return found


def drawn(found: dict[str, list[str]]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """EACH definitions of each topic, drawn by a fixed seed, and the others."""
    draw, chosen, spare = seeds.generator(0, "data"), [], []
    for topic, texts in found.items():
        order = torch.randperm(len(texts), generator=draw).tolist()
        chosen += [(topic, texts[at]) for at in order[:EACH]]
        spare += [(topic, texts[at]) for at in sorted(order[EACH:])]
    return chosen, spare


def write(source: Path, licence: Path) -> dict:
    """Write both tables, the licence and the card."""
    content = source.read_bytes()
    stored.check_hash(source, content, SHA256)
    found = definitions(content.decode("utf-8").splitlines())
    chosen, spare = drawn(found)
    folder, files = stored.folder() / "glosses", {}
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("labelled.tsv.gz", chosen), ("spare.tsv.gz", spare)):
        text = "".join(f"{topic}\t{definition}\n" for topic, definition in rows).encode("utf-8")
        (folder / name).write_bytes(gzip.compress(text, 9, mtime=0))
        files[name] = {
            "sha256": hashlib.sha256(text).hexdigest(),
            "bytes": len(text),
            "packed_bytes": (folder / name).stat().st_size,
        }
    (folder / "LICENSE.txt").write_bytes(licence.read_bytes())
    counts = {topic: len(texts) - EACH for topic, texts in found.items()}
    few, many = min(counts, key=counts.get), max(counts, key=counts.get)
    return {
        "name": "Glosses",
        "what": f"definitions of nouns by topic, ten topics: {len(chosen):,} with a label, "
        f"{EACH:,} of each topic, and {len(spare):,} spare ones to distil from",
        "source": "WordNet 3.0, file data.noun, by way of Debian's package wordnet-base",
        "source_sha256": SHA256,
        "citation": "Fellbaum 1998, WordNet: An Electronic Lexical Database",
        "licence": "WordNet 3.0: any use, with the notice kept (LICENSE.txt beside the files)",
        "splits": "60 % train, 20 % validation, 20 % test, by topic, the same for every seed; the "
        "transfer set is drawn from the spare ones, without their topics",
        "balance": f"the spare ones are unbalanced: {counts[few]:,} of {few} to {counts[many]:,} "
        f"of {many}",
        "classes": list(TOPICS.values()),
        "made_by": "python -m tools.glosses: definition up to the first example, once each; what "
        "stands in two topics is dropped",
        "inputs": "the first 24 words and signs, in small letters, as numbers of the vocabulary of "
        "all definitions; the most frequent ones of train and spare first",
        "files": files,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("licence", type=Path)
    given = parser.parse_args()
    card = write(given.source, given.licence)
    path = stored.folder() / "glosses" / "card.json"
    path.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(card, indent=1))
