"""`import kdlab` brings no screen with it, and arrows between the modules run one way."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import kdlab

HERE = Path(kdlab.__file__).parent
FRONT = {"matplotlib", "ipywidgets", "IPython"}
# From below to above: a module imports only modules that stand before it.
ORDER = [
    "errors",
    "files",
    "seeds",
    "losses",
    "mapping",
    "folders",
    "news",
    "texts",
    "fingerprints",
    "records",
    "splits",
    "sets",
    "own_data",
    "data",
    "augment",
    "schedules",
    "conventions",
    "nets",
    "models",
    "views",
    "encoders",
    "compress",
    "costs",
    "layers",
    "starts",
    "matches",
    "scores",
    "signals",
    "twins",
    "teachers",
    "committees",
    "runs",
    "exports",
    "jobs",
    "reports",
    "saved",
    "terms",
    "surroundings",
    "training",
    "mutual",
    "experiments",
    "stacks",
    "objectives",
    "together",
    "processes",
    "engines",
    "verdicts",
    "sweeps",
    "shapley",
]


def imports(module, only_at_import=True):
    """Modules that a file imports, those inside functions only where asked for."""
    tree = ast.parse((HERE / f"{module}.py").read_text(encoding="utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for node in ast.walk(function)
    }
    found = set()
    for node in ast.walk(tree):
        if only_at_import and id(node) in inside:
            continue
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{name.name}" for name in node.names} | {node.module}
    return found


@pytest.fixture(scope="module")
def fresh():
    """What a new Python has loaded after `import kdlab`, and what that cost on top of torch."""
    program = (
        "import json, sys, time\n"
        "import torch\n"
        "started = time.perf_counter()\n"
        "import kdlab\n"
        "seconds = time.perf_counter() - started\n"
        "print(json.dumps([sorted(sys.modules), seconds]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_importing_kdlab_brings_in_no_front(fresh):
    loaded = set(fresh[0])
    assert not loaded & FRONT
    assert not loaded & {"scipy.stats", "sklearn"}  # slow, and needed by few lines
    assert not loaded & {"kdlab.plots", "kdlab.explore", "kdlab.check"}
    assert "kdlab.training" in loaded


def test_importing_kdlab_is_quick(fresh):
    assert fresh[1] < 5  # promised: under 1 s; this machine may be busy with other tests


@pytest.mark.parametrize("module", ORDER)
def test_nothing_below_plots_imports_a_front(module):
    everywhere = imports(module, only_at_import=False)
    assert not {name.split(".")[0] for name in everywhere} & FRONT
    assert not {"kdlab.plots", "kdlab.explore", "kdlab.check", "kdlab.cli"} & everywhere
    assert "scipy" not in {name.split(".")[0] for name in imports(module)}


@pytest.mark.parametrize("module", ORDER)
def test_arrows_run_one_way(module):
    above = {f"kdlab.{name}" for name in ORDER[ORDER.index(module) + 1 :]}
    assert not above & imports(module, only_at_import=False)


def test_scores_and_verdicts_know_tensors_and_tables_only():
    for module in ("scores", "verdicts"):
        own = {name for name in imports(module) if name.startswith("kdlab.")}
        assert not own & {f"kdlab.{name}" for name in ("data", "models", "training", "sweeps")}


def test_every_core_module_stands_in_the_order():
    files = {path.stem for path in HERE.glob("*.py")} - {"__init__", "cli"}
    assert files == set(ORDER)


def test_what_a_notebook_types_is_there():
    for name in kdlab.__all__:
        assert hasattr(kdlab, name), name
    assert set(kdlab.__all__) <= set(dir(kdlab))
    with pytest.raises(AttributeError, match="no attribute 'distil'"):
        kdlab.distil  # noqa: B018
