"""A folder of one's own pictures, one folder a class: found, and read as bytes of one size."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch
from torch import Tensor
from tqdm import tqdm

from kdlab.errors import Refusal

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
SIZE = 64  # pixels a side, unless asked otherwise
LEAST = 5  # pictures of a class: three to train on, one to validate with, one to test with

# Of ImageNet's pictures, in red, green and blue, 0 to 1: what pretrained networks expect.
MEAN = torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
DEVIATION = torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1)


@dataclass(frozen=True)
class Found:
    """What lies in a folder of pictures; equal to what lay there before if no file has changed.

    files, labels, stamps: for each picture its path, the number of its class, and its bytes and
    time of writing (nanoseconds).  ignored: (kind, count) of the files that are no pictures.
    """

    name: str
    classes: tuple[str, ...]
    files: tuple[Path, ...]
    labels: tuple[int, ...]
    stamps: tuple[tuple[int, int], ...]
    ignored: tuple[tuple[str, int], ...]


def look_into(folder: Path) -> Found:
    """What lies in a folder that holds one folder of pictures for each class.

    A picture is a file whose name ends as one of SUFFIXES, in small or capital letters. Other
    files, and all that is hidden (a name that starts with a dot), count as ignored.

    Raises Refusal for fewer than two classes, for a class of fewer than LEAST pictures, and for
    folders within a class.
    """
    inside, loose = _sorted(folder)
    if len(inside) < 2:
        raise Refusal(
            f"{folder} holds {_counted(len(inside), 'folder')}: expected one folder of pictures "
            "for each class, at least two. The folders' names become the classes."
        )
    files, labels, ignored = [], [], Counter(map(_kind, loose))
    for number, of_class in enumerate(inside):
        deeper, there = _sorted(of_class)
        if deeper:
            raise Refusal(
                f"{of_class} holds a folder, {deeper[0].name}: expected pictures there, for "
                f"{of_class.name} is taken for a class. A level of folders such as train and test "
                "must go: kdlab splits the pictures itself."
            )
        pictures = [path for path in there if _is_picture(path)]
        others = Counter(_kind(path) for path in there if not _is_picture(path))
        if len(pictures) < LEAST:
            beside = f" What else lies there: {_told(others)}." if others else ""
            raise Refusal(
                f"{of_class} holds {_counted(len(pictures), 'picture')}: expected at least {LEAST} "
                "of each class, to split them 60/20/20, in files that end in "
                f"{', '.join(SUFFIXES)}.{beside}"
            )
        files += pictures
        labels += [number] * len(pictures)
        ignored += others
    stats = [path.stat() for path in files]
    return Found(
        name=folder.name,
        classes=tuple(path.name for path in inside),
        files=tuple(files),
        labels=tuple(labels),
        stamps=tuple((stat.st_size, stat.st_mtime_ns) for stat in stats),
        ignored=tuple(sorted(ignored.items())),
    )


def read(found: Found, size: int) -> Tensor:
    """The pictures as bytes (n, 3, size, size): red, green and blue, the middle square of each.

    Each is turned as its camera says (EXIF), its shorter side is scaled to `size` pixels, and its
    longer side is cut to the middle. Raises Refusal for a picture that Pillow cannot read, and for
    more pictures than the memory holds.
    """
    shape = (len(found.files), 3, size, size)
    needed, free = 5 * math.prod(shape), psutil.virtual_memory().available
    if needed > free:  # a byte as it is kept, four as it is trained on
        raise Refusal(
            f"{shape[0]:,} pictures of {size}x{size} take {needed / 1e9:.1f} GB of memory, and "
            f"{free / 1e9:.1f} GB are free: ask for a smaller size, such as "
            f"size={max(1, int(0.8 * size * (free / needed) ** 0.5))}, or take fewer pictures."
        )
    pictures = torch.empty(shape, dtype=torch.uint8)
    bar = tqdm(found.files, "reading pictures", delay=2, leave=False, unit="picture")
    for row, path in enumerate(bar):
        pictures[row] = _picture(path, size)
    return pictures


def card(found: Found, size: int) -> dict:
    """What is said of the data set: pictures a class, their size, how they were read."""
    counts = Counter(found.labels)
    return {
        "name": found.name,
        "examples": len(found.files),
        "pictures a class": {name: counts[at] for at, name in enumerate(found.classes)},
        "size": size,
        "input shape": (3, size, size),
        "how read": f"turned as the camera says (EXIF), made RGB, shorter side scaled to {size} "
        "pixels, the middle square kept; scaled by ImageNet's mean and deviation of each colour",
        "split": "60 % train, 20 % validation, 20 % test, by class, the same for every seed",
        "ignored files": dict(found.ignored),
    }


def _picture(path: Path, size: int) -> Tensor:
    from PIL import Image, ImageOps  # here: most data sets need no pictures read

    try:
        with Image.open(path) as picture:
            if picture.mode.startswith(("I", "F")):
                raise ValueError("its grey values have more than 8 bits; only you know their range")
            picture.draft(None, (2 * size, 2 * size))  # a large JPEG is unpacked small, so quickly
            upright = ImageOps.exif_transpose(picture).convert("RGB")
            square = ImageOps.fit(upright, (size, size), Image.Resampling.BILINEAR)
    except Exception as error:  # Pillow raises OSError, SyntaxError, struct.error and others
        raise Refusal(
            f"{path} cannot be read as a picture ({error}). Expected a whole picture of 8 bits a "
            "colour: convert it, repair it or take it out."
        ) from error
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)


def _sorted(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders in a folder and its files, by name; hidden folders are left out."""
    paths = sorted(folder.iterdir(), key=lambda path: path.name)
    folders = [path for path in paths if path.is_dir() and not _is_hidden(path)]
    return folders, [path for path in paths if not path.is_dir()]


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".")


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not _is_hidden(path)


def _kind(path: Path) -> str:
    """What a file that is not read is counted under."""
    if _is_picture(path):
        return "pictures beside the classes"
    if _is_hidden(path):
        return "hidden"  # such as .DS_Store, and macOS's ._IMG_1.jpg beside IMG_1.jpg
    return path.suffix.lower() or path.name


def _counted(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'s' * (count != 1)}"


def _told(kinds: Counter) -> str:
    return ", ".join(f"{kind} ({count})" for kind, count in sorted(kinds.items()))
