"""A skipped test is always told, and fails a strict run unless any machine may skip it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = "import pytest\n\n@pytest.mark.skip(reason='no CUDA device')\ndef test_gpu(): pass\n"
OTHER = "import pytest\n\ndef test_page(): pytest.skip('no browser')\n"
MODULE = "import pytest\n\npytest.importorskip('no_such_package')\n"
PASSES = "def test_nothing(): pass\n"


def run_pytest(folder, files, strict, *options):
    shutil.copy(ROOT / "conftest.py", folder)
    shutil.copytree(ROOT / "tests" / "offline", folder / "tests" / "offline")
    (folder / "pytest.ini").write_text("[pytest]\n")
    for number, text in enumerate([PASSES, *files]):
        (folder / f"test_{number}.py").write_text(text)
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "KDLAB_"))}
    variables["KDLAB_STRICT_SKIPS"] = "1" if strict else ""
    variables["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # starts four times as fast
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    return done.returncode, done.stdout


@pytest.mark.parametrize("strict", [False, True])
def test_an_allowed_skip_is_told_and_passes(tmp_path, strict):
    code, output = run_pytest(tmp_path, [ALLOWED], strict)
    assert code == 0
    assert "no CUDA device: 1\n    test_1.py::test_gpu" in output


@pytest.mark.parametrize(
    "options", [[], ["-p", "xdist", "-n", "2"]], ids=["one process", "two workers"]
)
def test_any_other_skip_fails_a_strict_run(tmp_path, options):
    code, output = run_pytest(tmp_path, [ALLOWED, OTHER, MODULE], True, *options)
    assert code == 1
    assert "NOT ALLOWED  no browser: 1\n    test_2.py::test_page" in output
    assert "NOT ALLOWED  could not import 'no_such_package'" in output
    assert "NOT ALLOWED  no CUDA" not in output


def test_a_run_that_is_not_strict_only_tells(tmp_path):
    code, output = run_pytest(tmp_path, [OTHER], False)
    assert code == 0
    assert "no browser: 1" in output


def test_no_skip_is_told_too(tmp_path):
    code, output = run_pytest(tmp_path, [], True)
    assert code == 0
    assert "what was skipped, and why" in output and "\nnothing" in output
