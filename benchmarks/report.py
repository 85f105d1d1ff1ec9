"""What was measured, as a table on the screen, as JSON, and as a part of benchmarks/README.md."""

import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
import re
import statistics
from pathlib import Path

import pandas as pd
import psutil
import torch

import kdlab
from benchmarks import growth
from benchmarks.figure import Figure, Size

HERE = Path(__file__).resolve().parent
README, RESULTS, PLOT = HERE / "README.md", HERE / "results", HERE / "growth.png"
FIRST, LAST = "<!-- figures: written by the program -->", "<!-- end of the figures -->"


def result(figures: list[Figure], tables: dict, size: Size, seconds: float) -> dict:
    """All that JSON keeps of a measurement."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "machine": machine(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "kdlab": importlib.metadata.version("kdlab"),
        },
        "size": dataclasses.asdict(size),
        "took_seconds": seconds,
        "figures": [
            {**dataclasses.asdict(figure), "bar": figure.bar, "verdict": _verdict(figure, size)}
            for figure in figures
        ],
        "growth": tables,
    }


def _verdict(figure: Figure, size: Size) -> str:
    if figure.held is None:
        return ""
    return "short form: not judged" if size.short else "held" if figure.held else "missed"


def machine() -> dict:
    """What the figures depend on. isa: the instructions that torch uses on this processor."""
    gpu = kdlab.pick_device().startswith("cuda")
    return {
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "isa": torch.backends.cpu.get_cpu_capability(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.system(),
        "gpu": torch.cuda.get_device_name() if gpu else None,
    }


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.+)", known.read_text()) if known.exists() else None
    return named[1] if named else platform.processor() or platform.machine()


def table(found: dict) -> pd.DataFrame:
    """A row a figure: those with a bar first, then the rest."""
    rows = []
    for figure in sorted(found["figures"], key=lambda figure: not figure["bar"]):
        seconds = figure["seconds"].items()
        seen = [f"{who} {statistics.median(each):.3g} s" for who, each in seconds]
        rows.append(
            {
                "what": figure["name"],
                "figure": f"{figure['value']:.3g} {figure['unit']}",
                "bar": figure["bar"],
                "held?": figure["verdict"],
                "seen": "; ".join([*seen, *filter(None, [figure["note"]])]),
            }
        )
    return pd.DataFrame(rows)


def growth_table(name: str, rows: list[dict]) -> pd.DataFrame:
    """Seconds, seconds a unit and peak memory; and by which power of the units the time grew."""
    frame = pd.DataFrame(rows)
    steps = pd.Series(torch.tensor(frame[[name, "seconds"]].to_numpy()).log().diff(dim=0).tolist())
    powers = ["", *(f"{seconds / units:.2f}" for units, seconds in steps)]
    return pd.DataFrame(
        {
            name: frame[name].map("{:,}".format),
            "seconds": frame["seconds"].map("{:.2f}".format),
            "milliseconds each": (1_000 * frame["seconds_each"]).map("{:.3g}".format),
            "grew by power": powers,
            "peak memory, MiB": frame["peak_mib"].map("{:,.0f}".format),
            "of it before, MiB": frame["peak_mib_before"].map("{:,.0f}".format),
        }
    )


def told(found: dict) -> str:
    """A measurement in one line: where, with what, when, how much."""
    on, versions, size = found["machine"], found["versions"], found["size"]
    where = f"{on['gpu']}, beside " if on["gpu"] else ""
    short = "the SHORT form, " if size["short"] else ""
    return (
        f"{where}{on['cores']} cores of {on['cpu']} ({on['isa']}, {on['threads']} threads, "
        f"{on['memory_gib']:g} GiB), {on['system']}; Python {versions['python']}, PyTorch "
        f"{versions['torch']}, kdlab {versions['kdlab']}; {found['date'][:10]}; {short}"
        f"{size['examples']:,} images, {size['epochs']} epochs, medians of {size['rounds']} or more"
    )


def shown(found: dict) -> str:
    """A measurement for the screen."""
    parts = [told(found)]
    if found["figures"]:
        frame = table(found)
        left = frame.apply(lambda column: column.str.ljust(column.str.len().max()))
        parts.append(left.to_string(index=False, justify="left"))
    for name, rows in found["growth"].items():
        parts.append(growth_table(name, rows).to_string(index=False))
    return "\n\n".join(parts)


def block(results: dict[str, dict]) -> str:
    """Measurements for the README, by name."""
    parts = []
    for name, found in results.items():
        parts += [f"### {name}", told(found) + "."]
        if found["figures"]:
            parts.append(markdown(table(found)))
        parts += [markdown(growth_table(axis, rows)) for axis, rows in found["growth"].items()]
    if any(found["growth"] for found in results.values()):
        parts.append("![Seconds and peak memory over students, examples and epochs](growth.png)")
    return "\n\n".join(parts or ["Nothing was measured yet."])


def markdown(frame: pd.DataFrame) -> str:
    rows = [list(frame.columns), ["---"] * len(frame.columns), *frame.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def filled(readme: str, results: dict[str, dict]) -> str:
    """The README with these measurements between its two markers."""
    before, rest = readme.split(FIRST)
    _, after = rest.split(LAST)
    return f"{before}{FIRST}\n\n{block(results)}\n\n{LAST}{after}"


def kept() -> dict[str, dict]:
    """The measurements in benchmarks/results, by the names of their files."""
    paths = sorted(RESULTS.glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def write() -> None:
    """Bring benchmarks/README.md and its plot up to the measurements in benchmarks/results."""
    results = kept()
    README.write_text(filled(README.read_text(encoding="utf-8"), results), encoding="utf-8")
    grown = {name: found["growth"] for name, found in results.items() if found["growth"]}
    if grown:
        growth.plot(grown, PLOT)
