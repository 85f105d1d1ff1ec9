"""Run lessons on fresh seeds: `python -m tools.claims 01 [--seeds 20]`.

Every seed of a lesson is shifted, 20 times over, and the solved version is run each time. A claim
or a band may stand in a stored notebook only if it comes out the same in all of these runs.
"""

import argparse
import collections
import os
import sys
import tempfile
from pathlib import Path

from tools import notebooks

MARKS = ("holds here:", "does not hold here:", "no guess given;")


def lines(path: Path, shift: int) -> list[str]:
    """The claims and bands that one run of a lesson prints."""
    os.environ["KDLAB_SEED_SHIFT"] = str(shift)
    book = notebooks.build(path, notebooks.SOLVED)
    notebooks.run(book, notebooks.SOLVED)
    text = "".join(
        out.text for cell in book.cells for out in cell.get("outputs", []) if "text" in out
    )
    return [line for line in text.splitlines() if line.startswith(MARKS)]


def main() -> int:
    """Count how often each line comes out; 1 where one of them did not come out every time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lessons", nargs="+")
    parser.add_argument("--seeds", type=int, default=20)
    given = parser.parse_args()
    os.environ["KDLAB_DEVICE"] = "cpu"
    shaky = 0
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["KDLAB_PROGRESS"] = str(Path(scratch) / "progress.csv")
        for path in notebooks.sources(given.lessons):
            counts = collections.Counter()
            for number in range(1, given.seeds + 1):
                counts.update(lines(path, 1_000 * number))
                print(f"{path.stem}: {number} of {given.seeds} runs", flush=True)
            for line, count in counts.items():
                print(f"{count:3} of {given.seeds}  {line}")
                shaky += count != given.seeds
    return 1 if shaky else 0


if __name__ == "__main__":
    sys.exit(main())
