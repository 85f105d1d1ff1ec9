"""Files in data/: where they lie, their cards, and that they are what the cards say."""

import gzip
import hashlib
import json
import os
from pathlib import Path

import torch
from torch import Tensor

from kdlab.errors import CorruptFile, Refusal


def folder() -> Path:
    """Where data sets, teachers and records lie: KDLAB_DATA, else data/ beside the package."""
    return Path(os.environ.get("KDLAB_DATA") or Path(__file__).resolve().parent.parent / "data")


def read_card(name: str) -> dict:
    """The card of a data set: source, licence, bytes, SHA-256 of each file, how it was made."""
    path = folder() / name / "card.json"
    if not path.exists():
        raise Refusal(
            f"{path} is missing. Set KDLAB_DATA to the data folder of the kdlab repository, "
            f"or bring the file back with: git checkout -- data/{name}"
        )
    return read_json(path)


def read_json(path: Path) -> dict:
    """A card's content; a damaged card is refused by name."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CorruptFile(
            f"{path} is damaged and cannot be read ({error}). Nothing was changed. Bring it back "
            f"with: git checkout -- {path.name} (in its folder)."
        ) from error


def check_hash(path: Path, content: bytes, expected: str) -> None:
    """Refuse content that is not what its card names; the file stays as it is."""
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise CorruptFile(
            f"{path} is damaged: its SHA-256 is {found}, its card says {expected}. Nothing was "
            f"changed. Bring it back with: git checkout -- {path.name} (in its folder)."
        )


def read_table(name: str, file: str, card: dict) -> tuple[list[str], list[str]]:
    """The two columns of a packed table, checked against the card's hash of the whole."""
    lines = _unpacked(name, file, card).decode("utf-8").splitlines()
    first, second = zip(*(line.split("\t") for line in lines), strict=True)
    return list(first), list(second)


def read_idx(name: str, file: str, card: dict) -> Tensor:
    """The body of an idx file as bytes, checked against the card's hash of the whole."""
    content = _unpacked(name, file, card)
    dimensions = content[3]
    body = bytearray(content[4 + 4 * dimensions :])
    return torch.frombuffer(body, dtype=torch.uint8)


def _unpacked(name: str, file: str, card: dict) -> bytes:
    path = folder() / name / file
    if not path.exists():
        raise Refusal(f"{path} is missing. Bring it back with: git checkout -- data/{name}")
    try:
        content = gzip.decompress(path.read_bytes())
    except (EOFError, OSError, gzip.zlib.error) as error:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        raise CorruptFile(
            f"{path} is damaged and cannot be unpacked ({error}): its bytes have the SHA-256 "
            f"{found}, its unpacked bytes should have {card['files'][file]['sha256']}. Nothing "
            f"was changed. Bring it back with: git checkout -- data/{name}"
        ) from error
    check_hash(path, content, card["files"][file]["sha256"])
    return content
