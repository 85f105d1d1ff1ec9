"""How time and memory grow with students, examples and epochs; each in a process of its own."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import matplotlib.ticker
import pandas as pd
import psutil
import torch
from matplotlib.figure import Figure as Paper

import kdlab
from benchmarks.figure import Size, teacher, timed
from kdlab.plots.picture import MARKERS, PALETTE, style
from kdlab.plots.runs import LINES

ROOT = Path(__file__).resolve().parents[1]
REST = {"students": 25, "examples": 1_000, "epochs": 5}  # of what does not grow
GROWS = {
    "students": (1, 5, 25, 125, 250, 500, 1_000),
    "examples": (1_000, 3_000, 10_000, 25_000, 50_000),  # all that may be trained on
    "epochs": (1, 3, 10, 30, 100),
}
SHORT = {"students": (1, 125)}


def measure(size: Size) -> dict[str, list[dict]]:
    """A table for each of students, examples, epochs: seconds, seconds a unit, peak memory."""
    tables = {}
    for name, values in (SHORT if size.short else GROWS).items():
        tables[name] = [_apart({**REST, name: value}) for value in values]
        for row in tables[name]:
            row["seconds_each"] = row["seconds"] / row[name]
    return tables


def _apart(work: dict) -> dict:
    """One sweep in a fresh process, whose peak memory is then this sweep's own."""
    command = [sys.executable, "-m", "benchmarks.growth", json.dumps(work)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {**work, **json.loads(done.stdout.splitlines()[-1])}


def grid(students: int) -> dict:
    """Temperatures, alphas and seeds that make this many students; a multiple of 25 above 25."""
    if students <= 25:
        return {"temperature": [4], "alpha": [0.1], "seeds": students}
    return {
        "temperature": [1, 2, 4, 8, 16],
        "alpha": [0, 0.1, 0.25, 0.5, 0.75],
        "seeds": students // 25,
    }


def run(students: int, examples: int, epochs: int) -> dict:
    """Train a sweep of this size: its seconds, and the most memory that this process ever held."""
    data = kdlab.load_data("fashion-mnist", train=examples)
    small = kdlab.load_data("fashion-mnist", train=256)
    kdlab.sweep("mlp-32", teacher(), small, seeds=1, epochs=1, progress=False)  # warm up
    before = peak_memory()
    seconds, _ = timed(
        kdlab.sweep, "mlp-32", teacher(), data, epochs=epochs, progress=False, **grid(students)
    )
    return {"seconds": seconds, "peak_mib": peak_memory(), "peak_mib_before": before}


def peak_memory() -> float:
    """The most memory this process has held so far, in MiB; on a GPU, that of the GPU."""
    if kdlab.pick_device().startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 2**20
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / 2**20
    status = Path("/proc/self/status")
    if status.exists():  # Linux: getrusage counts what the process that started this one held, too
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 2**10
    import resource  # macOS; Windows has none

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def plot(machines: Mapping[str, dict[str, list[dict]]], path: Path) -> None:
    """Draw the tables of each machine: seconds above (both axes logarithmic), peak memory below."""
    with style():
        paper = Paper(figsize=(11, 6), layout="constrained")
        axes = paper.subplots(2, len(GROWS), sharex="col", sharey="row")
        for column, name in enumerate(GROWS):
            for at, (machine, tables) in enumerate(machines.items()):
                table = pd.DataFrame(tables[name])
                look = {"color": PALETTE[at], "marker": MARKERS[at], "linestyle": LINES[at]}
                for row, what in enumerate(("seconds", "peak_mib")):
                    axes[row, column].plot(table[name], table[what], label=machine, **look)
            rest = ", ".join(f"{REST[other]:,} {other}" for other in GROWS if other != name)
            axes[0, column].set_title(rest)
            axes[1, column].set_xlabel(f"{name} (1 step = ×10)")
        axes[0, 0].set_ylabel("seconds")
        axes[1, 0].set_ylabel("peak memory, MiB")
        for above, below in axes.T:
            above.set(xscale="log", yscale="log")
            below.set(xscale="log", ylim=(0, None))
        for axis in axes.flat:
            for side in (axis.xaxis, axis.yaxis):
                side.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda at, _: f"{at:,g}"))
        axes[0, 0].legend(loc="upper left")
        paper.savefig(path, dpi=110)


if __name__ == "__main__":
    print(json.dumps(run(**json.loads(sys.argv[1]))))
