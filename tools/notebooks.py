"""Build the notebooks: `python -m tools.notebooks [01 ...] [--check]`.

One source in notebooks/source (percent format) gives the learner's version (notebooks/) and the
solved one (notebooks/solutions/). A cell tagged "exercise" goes into the learner's version only, a
cell tagged "solution" into the solved one only. Both are run from top to bottom and stored with
their outputs, without widget state, so that two builds give the same file where the runs agree.

--check builds without running and says which stored notebooks differ from their source.
"""

import argparse
import base64
import io
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from PIL import Image, ImageColor

from kdlab.plots.picture import GREY, INK, PALETTE, YELLOW

ROOT = Path(__file__).resolve().parent.parent
SOURCE, LEARNER, SOLVED = (ROOT / "notebooks" / part for part in ("source", ".", "solutions"))
TAGS = {"exercise", "solution", "nbval-ignore-output", "raises-exception"}
HOUSE = (*PALETTE, YELLOW, INK, GREY, "#FFFFFF")
ONLY_IN = {"exercise": LEARNER, "solution": SOLVED}
VIEW = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def sources(wanted: list[str]) -> list[Path]:
    """The source files whose names begin with one of `wanted`; all where none is named."""
    return [
        path
        for path in sorted(SOURCE.glob("[0-9]*.py"))
        if not wanted or path.name.startswith(tuple(wanted))
    ]


def read(path: Path) -> nbformat.NotebookNode:
    """A source as cells. The format is named, for jupytext would guess another one."""
    return jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")


def build(path: Path, folder: Path) -> nbformat.NotebookNode:
    """One version of a lesson, not run."""
    whole = read(path)
    cells = []
    for number, cell in enumerate(whole.cells):
        tags = cell.metadata.get("tags", [])
        strange = set(tags) - TAGS
        if strange:
            sys.exit(f"{path.name}: unknown tag {strange} in cell {number}; known: {sorted(TAGS)}")
        if any(ONLY_IN.get(tag, folder) != folder for tag in tags):
            continue
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        cell.id = f"{path.stem[:2]}-{number:03d}"
        cells.append(cell)
    return nbformat.v4.new_notebook(cells=cells, metadata=METADATA)


def run(book: nbformat.NotebookNode, folder: Path) -> None:
    """Execute in place and keep only what is compared and what a reader sees."""
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(
        book, timeout=600, kernel_name="python3", record_timing=False, resources=resources
    ).execute()
    book.metadata = nbformat.from_dict(METADATA)
    for cell in book.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        for out in cell.outputs:
            if out.get("name") == "stderr":
                print(f"  cell {cell.execution_count} wrote to stderr: {out.text[-300:]}")
            bundle = out.get("data", {})
            if VIEW in bundle and len(bundle) > 1:
                del bundle[VIEW]  # a random name; a reader sees the picture or the text
            if "image/png" in bundle:
                bundle["image/png"] = smaller(bundle["image/png"])
        cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]


def smaller(png: str) -> str:
    """A figure in few colours: a quarter of the bytes, and the same to the eye.

    40 colours of its own, and the house's: a thin line of one of them keeps its colour.
    """
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    own = picture.quantize(40, dither=Image.Dither.NONE).getpalette()
    known = Image.new("P", (1, 1))
    known.putpalette([part for colour in HOUSE for part in ImageColor.getrgb(colour)] + own)
    buffer = io.BytesIO()
    picture.quantize(palette=known, dither=Image.Dither.NONE).save(
        buffer, format="png", optimize=True
    )
    return base64.b64encode(buffer.getvalue()).decode()


def differences(path: Path, folder: Path) -> list[str]:
    """What the stored notebook has other than its source gives."""
    stored_path = folder / f"{path.stem}.ipynb"
    if not stored_path.exists():
        return [f"{stored_path.relative_to(ROOT)} is missing"]
    stored, built = nbformat.read(stored_path, as_version=4), build(path, folder)
    if [(c.cell_type, c.source) for c in stored.cells] != [
        (c.cell_type, c.source) for c in built.cells
    ]:
        return [f"{stored_path.relative_to(ROOT)} differs from {path.relative_to(ROOT)}"]
    return []


def main() -> int:
    """Build, or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lessons", nargs="*", help="numbers such as 01; none means all")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    found = sources(given.lessons)
    if given.check:
        wrong = [line for path in found for f in (LEARNER, SOLVED) for line in differences(path, f)]
        print("\n".join(wrong) or "all notebooks are built from their sources")
        return 1 if wrong else 0
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["KDLAB_PROGRESS"] = str(Path(scratch) / "progress.csv")  # not the learner's own
        os.environ["KDLAB_DEVICE"] = "cpu"  # stored outputs come from where everybody can run them
        for path in found:
            for folder in (LEARNER, SOLVED):
                started = time.perf_counter()
                book = build(path, folder)
                run(book, folder)
                target = folder / f"{path.stem}.ipynb"
                text = re.sub(r"[ \t]+$", "", nbformat.writes(book), flags=re.MULTILINE) + "\n"
                target.write_text(text, encoding="utf-8")
                seconds, size = time.perf_counter() - started, target.stat().st_size
                print(f"{target.relative_to(ROOT)}: {seconds:.0f} s, {size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
