"""Every notebook is stored as one run of its source, and keeps to the house style."""

import ast
import base64
import io
import itertools
import re
import statistics

import nbformat
import numpy as np
import pytest
from PIL import Image, ImageColor

from tools import notebooks as tool

SOURCES = tool.sources([])
STORED = [(path, folder) for path in SOURCES for folder in (tool.LEARNER, tool.SOLVED)]
NAMES = [f"{folder.name or 'notebooks'}/{path.stem}" for path, folder in STORED]


@pytest.fixture(params=STORED, ids=NAMES)
def stored(request):
    path, folder = request.param
    return nbformat.read(folder / f"{path.stem}.ipynb", as_version=4)


def code(book):
    return [cell for cell in book.cells if cell.cell_type == "code"]


def words(book):
    text = "\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown")
    text = re.sub(r"^\|.*$|<[^>]+>|\$[^$]*\$|`[^`]*`", " ", text, flags=re.MULTILINE)
    return len(re.findall(r"[A-Za-z][A-Za-z'’-]*", text))


def test_there_are_lessons():
    assert [path.stem[:2] for path in SOURCES][:2] == ["00", "01"]


def test_no_stray_notebook():
    """A notebook without a source would be tested, but never rebuilt."""
    for folder in (tool.LEARNER, tool.SOLVED):
        names = {path.stem for path in folder.glob("*.ipynb")}
        assert names == {path.stem for path in SOURCES}


@pytest.mark.parametrize("colour", tool.HOUSE)
def test_a_stored_figure_keeps_the_colour_of_a_thin_line(colour):
    """Among a thousand others: the interval of a verdict means what its colour says."""
    shades = np.linspace(0, 255, 300)
    many = np.stack(np.broadcast_arrays(shades[:, None], shades, shades[::-1]), axis=2)
    many[150, 20:60] = ImageColor.getrgb(colour)
    buffer = io.BytesIO()
    Image.fromarray(many.astype("uint8")).save(buffer, format="png")
    stored = io.BytesIO(base64.b64decode(tool.smaller(base64.b64encode(buffer.getvalue()))))
    line = np.asarray(Image.open(stored).convert("RGB"))[150, 20:60]
    assert (line == ImageColor.getrgb(colour)).all()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_built_from_source(path):
    wrong = tool.differences(path, tool.LEARNER) + tool.differences(path, tool.SOLVED)
    assert not wrong, f"{wrong}: build with python -m tools.notebooks {path.stem[:2]}"


def test_stored_as_one_run(stored):
    counts = [cell.execution_count for cell in code(stored)]
    assert counts == list(range(1, len(counts) + 1))


def test_no_widget_state_and_no_errors(stored):
    assert "widgets" not in stored.metadata
    kinds = {out.output_type for cell in code(stored) for out in cell.outputs}
    assert "error" not in kinds
    names = {out.get("name") for cell in code(stored) for out in cell.outputs}
    assert "stderr" not in names


def test_known_tags_only(stored):
    assert {tag for cell in stored.cells for tag in cell.metadata.get("tags", [])} <= tool.TAGS


def test_outputs_name_no_place_on_a_machine(stored):
    """A path of whoever built it has no place in a notebook."""
    text = nbformat.writes(stored)
    assert not re.search(r"/(home|root|Users|work|tmp)/|[A-Z]:\\\\", text)


def test_size_and_style(stored, request):
    size = len(nbformat.writes(stored))
    assert size < 300_000, f"{size:,} bytes"
    lengths = [len(cell.source.splitlines()) for cell in code(stored)]
    assert max(lengths) <= 15
    assert statistics.median(lengths) <= 4
    assert 15 <= len(lengths) <= 35
    assert 900 <= words(stored) <= 1_900, words(stored)


def test_objectives_return_as_a_recap(stored):
    text = "\n\n".join(cell.source for cell in stored.cells if cell.cell_type == "markdown")
    bullets = re.compile(r"(?:^- .*\n?(?:  .*\n?)*)+", re.MULTILINE)
    aims = bullets.search(text.split("After this lesson you can")[1]).group().count("- ")
    recap = bullets.search(text.split("What you can do now")[1]).group().count("\n- ") + 1
    assert aims == recap


def test_three_sources_are_named(stored):
    last = stored.cells[-1].source
    assert len(re.findall(r"\((?:19|20)\d\d\)", last.split("**Sources.**")[1])) >= 3


def test_exercises_are_open_for_the_learner_and_solved_in_the_solutions():
    """Lesson 01 has three: "not yet" in one version, "right" in the other, and no stray marks."""
    said = {}
    for folder in (tool.LEARNER, tool.SOLVED):
        book = nbformat.read(folder / "01_soft_targets.ipynb", as_version=4)
        assert not any("%%" in cell.source for cell in book.cells)
        said[folder] = [
            out.text.split(":")[0]
            for cell in code(book)
            if "kdlab.check." in cell.source and "quiz" not in cell.source
            for out in cell.outputs
        ]
    assert said[tool.LEARNER] == ["not yet"] * 3
    assert said[tool.SOLVED] == ["right"] * 3


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_stub_and_solution_have_one_signature(path):
    """An exercise must not drift away from its solution."""
    whole = tool.read(path)
    found = {"exercise": {}, "solution": {}}
    for cell in whole.cells:
        for tag in set(cell.metadata.get("tags", [])) & set(found):
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.FunctionDef):
                    found[tag][node.name] = ast.unparse(node.args)
    assert found["exercise"] == found["solution"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_each_exercise_has_its_check_right_below(path):
    cells = [cell for cell in tool.read(path).cells if cell.cell_type == "code"]
    for cell, below in itertools.pairwise(cells):
        if "solution" in cell.metadata.get("tags", []):
            name = re.search(r"def (\w+)", cell.source)[1]
            assert f"kdlab.check.{name}({name})" in below.source
