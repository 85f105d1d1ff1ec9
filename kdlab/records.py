"""Records on disk: one safetensors file, written whole or not at all, checked, memory-mapped."""

import contextlib
import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from tqdm import tqdm

from kdlab.errors import CorruptFile, Refusal
from kdlab.fingerprints import as_bytes

NUMBERS = ("indices", "rows")  # whole numbers; all else is logits and features
KINDS = {torch.int64: "I64", torch.float32: "F32", torch.float16: "F16"}  # safetensors' names
PRECISIONS = {"float16": torch.float16, "float32": torch.float32}
ROWS = 1_000  # turned into bytes at a time
CHUNK = 2**20  # bytes read at a time

Layout = Mapping[str, tuple[str, list[int], int]]  # name -> kind, shape, bytes
Body = Callable[[str], Iterable[bytes]]  # name -> the tensor's bytes, part by part


# safetensors' own writer wants every tensor in memory at once, and puts the metadata in another
# order each time. The format is a length, a JSON header and the bytes: written here part by part,
# a record may be larger than the memory, and the same record is the same file, with the same hash.
def write(path: Path, tensors: Mapping[str, Tensor], about: dict, precision: str) -> None:
    """Write tensors (n, ...) by name as one file; an older file stays until the new is whole.

    about: texts kept in the file's header.  precision: of all but NUMBERS, "float16" or "float32".
    Raises Refusal for numbers that the precision cannot hold, before anything is written.
    """
    kinds = {name: torch.int64 if name in NUMBERS else asked(precision) for name in tensors}

    def body(name: str) -> Iterator[bytes]:
        for part in tensors[name].split(ROWS):
            yield as_bytes(_rounded(part, kinds[name], name))

    layout = {
        name: (KINDS[kind], list(tensors[name].shape), tensors[name].numel() * kind.itemsize)
        for name, kind in kinds.items()
    }
    _put(path, layout, body, about)


def write_in_pieces(
    path: Path,
    known: Sequence[Mapping[str, Tensor]],
    answer: Callable[[int], Mapping[str, Tensor]],
    names: set[str],
    about: dict,
    precision: str,
    progress: bool,
) -> None:
    """Write a file with one piece in memory at a time, going on from the pieces that are there.

    known: of each piece, its `indices` and `rows`.  answer: gives a piece's other tensors, of these
    names, by its number. Pieces lie in the folder `<path>.part` until the file is whole.
    """
    kind = asked(precision)
    if path.is_dir():
        raise Refusal(f"{path} is a folder: expected the name of a file to write.")
    folder = path.with_name(path.name + ".part")
    places = [folder / f"{number:06}.safetensors" for number in range(len(known))]
    total, done = sum(len(piece["indices"]) for piece in known), 0
    bar = tqdm(
        total=total, desc="recording", unit="example", delay=2, leave=False, disable=not progress
    )
    try:
        for number, (place, piece) in enumerate(zip(places, known, strict=True)):
            if not _is_there(place, piece, names | piece.keys(), about["teacher"], kind):
                write(place, {**piece, **answer(number)}, about, precision)
            done += len(piece["indices"])
            bar.update(len(piece["indices"]))
    except KeyboardInterrupt:
        print(
            f"stopped by you after {done:,} of {total:,} examples: they are kept in {folder}, and "
            "the same call goes on from there.",
            file=sys.stderr,
        )
        raise
    finally:
        bar.close()
    join(path, places, about)
    shutil.rmtree(folder)


def _is_there(
    place: Path, piece: Mapping, names: set[str], teacher: str, kind: torch.dtype
) -> bool:
    """Whether a whole file holds just this teacher's answers to just these inputs."""
    try:
        about, kept = read(place)
    except Refusal:  # missing or damaged
        return False
    same = (about.get("teacher"), kept.keys(), kept["logits"].dtype) == (teacher, names, kind)
    return same and all(torch.equal(kept[name], tensor) for name, tensor in piece.items())


def join(path: Path, pieces: Sequence[Path], about: dict) -> None:
    """Put pieces that `write` wrote end to end into one file, without reading any into memory."""
    headers = [_header(piece)[0] for piece in pieces]
    layout = {}
    for name, first in headers[0].items():
        rows = sum(header[name]["shape"][0] for header in headers)
        spans = [header[name]["data_offsets"] for header in headers]
        size = sum(end - start for start, end in spans)
        layout[name] = (first["dtype"], [rows, *first["shape"][1:]], size)
    _put(path, layout, lambda name: (b for piece in pieces for b in _chunks(piece, name)), about)


def read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """What a file says about itself, and its tensors: memory-mapped, read from disk when used.

    All bytes are compared with the SHA-256 in the header once, here, a part at a time.
    Raises Refusal for a missing file, CorruptFile for a damaged one and for no record.
    """
    if not path.is_file():
        raise Refusal(f"{path} is missing. Write a record with kdlab.record(..., path=...).")
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise CorruptFile(f"{path} is damaged and cannot be read: {error}") from error
    if not tensors.keys() >= {"logits", *NUMBERS}:
        raise CorruptFile(f"{path} is no record of a teacher: it holds {sorted(tensors)}.")
    expected, found = about.get("sha256"), _digest(tensors, lambda name: _chunks(path, name))
    if expected not in (None, found):
        raise CorruptFile(
            f"{path} is damaged: the SHA-256 of its answers is {found}, it was saved with "
            f"{expected}. Nothing was changed; record the teacher again, or fetch the file again."
        )
    return about, tensors


def asked(precision: str) -> torch.dtype:
    """The number type of that name, or a refusal."""
    if precision not in PRECISIONS:
        raise Refusal(f"precision={precision!r}: expected one of {', '.join(PRECISIONS)}.")
    return PRECISIONS[precision]


def _rounded(part: Tensor, kind: torch.dtype, name: str) -> Tensor:
    rounded = part.to(kind)
    if (lost := rounded.isinf() & part.isfinite()).any():
        largest = part[lost].abs().max().item()
        raise Refusal(
            f"the {name} reach {largest:,.0f}: float16 holds numbers up to 65,504. Save the "
            'record with precision="float32".'
        )
    return rounded


def _put(path: Path, layout: Layout, body: Body, about: dict) -> None:
    header, end = {"__metadata__": {**about, "sha256": _digest(layout, body)}}, 0
    # the numbers of eight bytes first, so that every tensor lies aligned in the mapped file
    names = sorted(layout, key=lambda name: (name not in NUMBERS, name))
    for name in names:
        kind, shape, size = layout[name]
        start, end = end, end + size
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with _whole_file(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            for part in body(name):
                file.write(part)


def _digest(names: Iterable[str], body: Body) -> str:
    digest, first = hashlib.sha256(), ("logits", *NUMBERS)
    for name in (*first, *sorted(set(names) - set(first))):
        for part in body(name):
            digest.update(part)
    return digest.hexdigest()


def _header(path: Path) -> tuple[dict, int]:
    """What stands where, by name, and at which byte the tensors begin."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    return {name: told for name, told in header.items() if name != "__metadata__"}, 8 + length


def _chunks(path: Path, name: str) -> Iterator[bytes]:
    """A tensor's bytes by plain reading: pages touched in a mapped file would count as memory."""
    header, begin = _header(path)
    start, end = header[name]["data_offsets"]
    left = end - start
    with open(path, "rb") as file:
        file.seek(begin + start)
        while chunk := file.read(min(CHUNK, left)):
            left -= len(chunk)
            yield chunk


@contextlib.contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
    """A new file to write into that takes the old one's place only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    try:
        with open(beside, "wb") as file:
            yield file
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
