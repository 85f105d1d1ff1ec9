"""Make data/: `python -m tools.data [--from FOLDER]`.

Takes the official Fashion-MNIST files from a folder (Debian's package dataset-fashion-mnist puts
them in /usr/share/datasets/fashion-mnist), checks their hashes, writes each set's card and
data/README.md, which is made of the cards.
"""

import argparse
import gzip
import hashlib
import json
from pathlib import Path

from kdlab import files as stored
from kdlab import models, sets
from kdlab.signals import Signal

# fmt: off
FASHION = {  # file: SHA-256 of its unpacked bytes
    "train-images-idx3-ubyte.gz":
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz":
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz":
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz":
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
# fmt: on


def fashion_mnist(source: Path | None) -> dict:
    """Copy the four files where `source` is given, check all, and make the card."""
    folder = stored.folder() / "fashion-mnist"
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, expected in FASHION.items():
        packed = ((source or folder) / name).read_bytes()
        content = gzip.decompress(packed)
        stored.check_hash((source or folder) / name, content, expected)
        if source:
            (folder / name).write_bytes(packed)
        files[name] = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            "packed_bytes": len(packed),
        }
    return {
        "name": "Fashion-MNIST",
        "what": "pictures of clothes, 28x28, grey, ten classes: 60,000 to train on, 10,000 to test",
        "source": "https://github.com/zalandoresearch/fashion-mnist, by way of Debian's package "
        "dataset-fashion-mnist",
        "citation": "Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747",
        "licence": "MIT, copyright 2017 Zalando SE (LICENSE.txt beside the files)",
        "splits": "train: the first 50,000 of the official train split; validation: its last "
        "10,000, the same for every seed; test: the official 10,000",
        "classes": list(sets.FASHION_CLASSES),
        "made_by": "python -m tools.data --from FOLDER; the files are the official ones",
        "inputs": "(byte / 255 − {}) / {}: mean and deviation of a training pixel".format(
            *sets.FASHION_SCALE
        ),
        "hash_of": "the unpacked bytes",
        "files": files,
    }


def digits() -> dict:
    """The card of scikit-learn's digits; nothing is stored."""
    return {
        "name": "Digits",
        "what": "hand-written digits, 8x8, grey, ten classes: 1,797 pictures",
        "source": "scikit-learn's load_digits (test part of UCI's Optical Recognition of "
        "Handwritten Digits)",
        "citation": "Alpaydin & Kaynak 1998, https://doi.org/10.24432/C50P49",
        "licence": "CC BY 4.0 (UCI); it comes with scikit-learn and is not stored here",
        "splits": "60 % train, 20 % validation, 20 % test, by class in proportion, the same for "
        "every seed",
        "classes": [str(digit) for digit in range(10)],
        "made_by": "kdlab.load_data('digits')",
        "files": {},
    }


def answers() -> dict:
    """The card of the recorded answers of the shipped teachers."""
    found = {}
    for path in sorted((stored.folder() / "answers").glob("*.safetensors")):
        content = path.read_bytes()
        found[path.name] = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            "note": f"{len(Signal.load(path).logits):,} examples, by {Signal.load(path).name}",
        }
    return {
        "name": "Recorded answers",
        "what": "logits of the shipped teachers for all 70,000 pictures of Fashion-MNIST, so that "
        "no lesson waits for them; fashion-cnn's in float32, the others' in float16; a file is "
        "named after its teacher's fingerprint",
        "licence": "MIT, as kdlab",
        "made_by": "python -m tools.teachers",
        "files": found,
    }


def readme(cards: dict[str, dict]) -> str:
    """data/README.md: every card, in words."""
    lines = [
        "# What lies here",
        "",
        "Made by `python -m tools.data` from the cards (`card.json` of each set); change those, "
        "not this page.",
        "`kdlab doctor` compares every file with its card.",
    ]
    for folder, card in cards.items():
        lines += ["", f"## {card['name']} (`{folder}`)", ""]
        lines += [
            f"- **{key.replace('_', ' ')}**: {', '.join(value) if key == 'classes' else value}"
            for key, value in card.items()
            if key not in ("name", "files") and not isinstance(value, dict)
        ]
        for key in ("test_final",):
            if key in card:
                scored = ", ".join(f"{name} {value}" for name, value in card[key].items())
                asked = card.get("test_asked", "once")
                lines.append(f"- **test, asked {asked}, final checkpoint**: {scored}")
        if found := card.get("found"):  # of a teacher of texts
            lines += [
                f"- **{part}**: " + ", ".join(f"{name} {value}" for name, value in scored.items())
                for part, scored in [*found.items(), ("costs", card["costs"])]
            ]
        if card["files"]:
            lines += ["", "| file | bytes | SHA-256 | |", "|---|---|---|---|"]
            for name, file in card["files"].items():
                note = file.get("note", "")
                if "validation" in file:
                    note = f"epochs {file['epochs']}; validation " + ", ".join(
                        f"{key} {value}" for key, value in file["validation"].items()
                    )
                lines.append(f"| {name} | {file['bytes']:,} | `{file['sha256']}` | {note} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the cards and the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="source", type=Path, help="folder of the official files")
    source = parser.parse_args().source
    cards = {"fashion-mnist": fashion_mnist(source), "digits": digits(), "answers": answers()}
    kept = {name: stored.read_card(name) for name in ("glosses", "glosses-minilm", "results")}
    for name, card in cards.items():
        path = stored.folder() / name / "card.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    for name in models.TEACHERS:
        cards[f"teachers/{name}"] = models.teacher_card(name)
    cards |= kept
    (stored.folder() / "README.md").write_text(readme(cards), encoding="utf-8")


if __name__ == "__main__":
    main()
