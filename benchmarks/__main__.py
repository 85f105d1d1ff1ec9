"""kdlab beside the usual ways of doing the same: `python -m benchmarks --help`."""

import argparse
import dataclasses
import json
import os
import time
from pathlib import Path

from benchmarks import arithmetic, atlas, growth, in_the_lab, one_run, report, waiting
from benchmarks.figure import FULL, SHORT

PARTS = {
    "one_run": one_run, "atlas": atlas, "waiting": waiting, "arithmetic": arithmetic,
    "growth": growth, "in_the_lab": in_the_lab,
}  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    """Measure, print the table, write JSON where asked."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("--short", action="store_true", help="under two minutes; judges no bar")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, help="how often each way is timed, in turn")
    parser.add_argument("--device", help="cpu, cuda, ...: for both ways; default: as kdlab picks")
    parser.add_argument("--json", type=Path, metavar="PATH", help="where the figures are written")
    parser.add_argument(
        "--write", action="store_true",
        help="measure nothing: bring README.md up to the files in benchmarks/results",
    )  # fmt: skip
    asked = parser.parse_args(arguments)
    chosen = asked.only.split(",")
    if strange := [part for part in chosen if part not in PARTS]:
        parser.error(f"--only {', '.join(strange)}: expected some of {', '.join(PARTS)}")
    if asked.rounds is not None and asked.rounds < 1:
        parser.error(f"--rounds {asked.rounds}: expected at least 1")
    if asked.write:
        report.write()
        return
    if asked.device:
        os.environ["KDLAB_DEVICE"] = asked.device  # panels and fresh processes follow it, too
    size = SHORT if asked.short else FULL
    if asked.rounds:
        size = dataclasses.replace(size, rounds=asked.rounds)
    began, figures, tables = time.perf_counter(), [], {}
    for part in chosen:
        print(f"measuring {part} ...", flush=True)
        found = PARTS[part].measure(size)
        if part == "growth":
            tables = found
        else:
            figures += found
        result = report.result(figures, tables, size, time.perf_counter() - began)
        if asked.json:  # after each part: what was measured is not lost with the rest
            asked.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(report.shown(result))


if __name__ == "__main__":
    main()
