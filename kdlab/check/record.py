"""What was tried, kept as one line a try in progress.csv. Lines are added, never changed."""

import os
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

RIGHT, NOT_YET, NOT_RIGHT = "right", "not yet", "not right yet"
COLUMNS = ("time", "lesson", "exercise", "result", "mistake")
HEADER = ",".join(COLUMNS)


def path() -> Path:
    """progress.csv in the current folder, or the file that KDLAB_PROGRESS names."""
    return Path(os.environ.get("KDLAB_PROGRESS") or "progress.csv")


def note(lesson: str, exercise: str, result: str, mistake: str = "") -> str:
    """Add a line. Returns "", or a sentence where that did not work: no check fails for this."""
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    # names of lessons, exercises and mistakes hold no comma and no quote, so this is CSV
    line = ",".join((now, lesson, exercise, result, mistake)) + "\n"
    try:
        with path().open("a+b") as file:
            if not file.tell():  # opened for adding: this is where the file ends
                line = f"{HEADER}\n{line}"
            elif not _is_record(file):
                return f"(Progress was not noted: {path().name} is a file of another kind.)"
            elif not _ends_with_line(file):  # a full disk has cut the last line short
                line = "\n" + line
            file.write(line.encode())
    except OSError as error:
        return f"(Progress was not noted: {error.strerror or type(error).__name__}.)"
    return ""


def lines() -> list[dict[str, str]]:
    """All lines noted so far, the oldest first; damaged ones are left out."""
    if not path().is_file():
        return []
    try:
        noted = path().read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    rows = [line.split(",") for line in noted if line != HEADER]
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows if len(row) == len(COLUMNS)]


def _is_record(file: BinaryIO) -> bool:
    file.seek(0)
    return file.read(len(HEADER)) == HEADER.encode()


def _ends_with_line(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read() == b"\n"
