"""kit.py, without installing anything: what it starts, what it says, what it leaves behind.

Its pip is a stand-in: a module of that name, found first through PYTHONPATH, that notes its
arguments, prints what the test wants, and fails if the test wants.
"""

import ast
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
FAKE_PIP = """
import json, os, sys
with open(os.environ["FAKE_PIP_NOTES"], "a") as notes:
    print(json.dumps(sys.argv[1:]), file=notes)
print(os.environ["FAKE_PIP_SAYS"])
sys.exit(int(os.environ["FAKE_PIP_CODE"]))
"""


@pytest.fixture
def kit():
    spec = importlib.util.spec_from_file_location("kit", ROOT / "kit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def place(kit, tmp_path, monkeypatch):
    """A copy of the kit's two lists, an environment that needs no making, and the fake pip."""
    root, folder, fake = tmp_path / "kit", tmp_path / "venv", tmp_path / "fake"
    for made in (root, folder, fake):
        made.mkdir()
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, root)
    (fake / "pip.py").write_text(FAKE_PIP)
    monkeypatch.setattr(kit, "ROOT", str(root))
    monkeypatch.setattr(kit, "CONSTRAINTS", str(root / "constraints.txt"))
    monkeypatch.setattr(kit, "python_in", lambda folder: sys.executable)
    monkeypatch.setattr(kit, "works", lambda folder, thoroughly=False: True)
    monkeypatch.setattr(kit.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1e12))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(fake), os.environ["PYTHONPATH"]]))
    monkeypatch.setenv("FAKE_PIP_NOTES", str(tmp_path / "notes"))
    monkeypatch.delenv("KDLAB_TORCH_INDEX", raising=False)

    def pip(says="", code=0):
        monkeypatch.setenv("FAKE_PIP_SAYS", says)
        monkeypatch.setenv("FAKE_PIP_CODE", str(code))

    def calls():
        notes = tmp_path / "notes"
        lines = notes.read_text().splitlines() if notes.exists() else []
        notes.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]

    pip()
    return SimpleNamespace(root=root, folder=folder, pip=pip, calls=calls)


@pytest.fixture
def started(kit, monkeypatch):
    """What kit.py would have started: (command, folder, variables)."""
    commands = []
    monkeypatch.setattr(kit, "install", lambda folder: None)
    monkeypatch.setattr(kit, "run", lambda *call: commands.append(call) or 0)
    return commands


# What is started ------------------------------------------------------------------------------


def test_lab_opens_the_notebooks_folder_and_hands_on_arguments(kit, started):
    assert kit.main(["lab", "--port", "9999"]) == 0
    ((command, folder),) = started
    assert command[2:] == ["-m", "jupyterlab", str(ROOT / "notebooks"), "--port", "9999"]
    assert folder == str(ROOT / "notebooks")


@pytest.mark.parametrize("given", [[], ["--no-solutions", "--port", "9999"]])
def test_a_class_sees_no_solutions_in_the_list_of_files(kit, started, given):
    """Asked of Jupyter's own file manager, configured by the options that the lab would get."""
    from jupyter_server.serverapp import ServerApp
    from jupyter_server.services.contents.largefilemanager import LargeFileManager

    assert kit.main(["lab", *given]) == 0
    ((command, _),) = started
    assert command[3:5] == ["jupyterlab", str(ROOT / "notebooks")]
    assert command[-2:] == given[-2:] or not given  # the rest goes through
    assert "--no-solutions" not in command
    server = ServerApp()
    server.parse_command_line(command[5:])
    files = LargeFileManager(root_dir=str(ROOT / "notebooks"), config=server.config)
    listed = {entry["name"] for entry in files.get("")["content"]}
    assert "01_soft_targets.ipynb" in listed
    assert {"solutions", "source"} <= listed if not given else not {"solutions", "source"} & listed
    assert not files.should_list("__pycache__")  # what Jupyter hides by itself stays hidden


def test_doctor_is_kdlabs_own(kit, started):
    kit.main(["doctor", "--x"])
    assert started[0][0][1:] == ["-m", "kdlab.cli", "doctor", "--x"]


def test_test_runs_style_and_all_tests(kit, started, capsys):
    kit.main(["test"])
    check, layout, tests = [call[0][2:] for call in started]
    assert check[:3] == ["ruff", "check", "kdlab"]
    assert layout[:4] == ["ruff", "format", "--check", "kdlab"]
    assert tests == ["pytest", "-n", "auto", "--maxprocesses", "8", "--dist", "loadfile"]
    assert all(call[1] == str(ROOT) for call in started)
    printed = capsys.readouterr().out
    assert all("    " + " ".join(step) in printed for step in (check, layout, tests))


@pytest.mark.parametrize(
    "given, added",
    [
        (["-k", "losses"], ["-n", "auto", "--maxprocesses", "8", "--dist", "loadfile"]),
        (["-k", "-nothing"], ["-n", "auto", "--maxprocesses", "8", "--dist", "loadfile"]),
        (["-n", "2"], ["--dist", "loadfile"]),
        (["-n0"], ["--dist", "loadfile"]),
        (["--numprocesses=2"], ["--dist", "loadfile"]),
        (["--dist", "loadscope"], ["-n", "auto", "--maxprocesses", "8"]),
        (["-p", "no:xdist"], []),
        (["-pno:xdist"], []),
    ],
)
def test_test_with_arguments_is_pytest_only_and_respects_them(kit, started, given, added):
    kit.main(["test", *given])
    ((command, _, _),) = started
    assert command[2:] == ["pytest", *added, *given]


def test_a_worker_has_one_thread_unless_the_caller_wants_more(kit, started, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setenv("MKL_NUM_THREADS", "3")
    kit.main(["test", "-x"])
    assert started[0][2] == {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "3"}


@pytest.mark.parametrize("codes, told", [([0, 0, 0], 0), ([1, 0, 0], 1), ([1, 0, 5], 5)])
def test_everything_runs_and_one_failure_fails_all(kit, monkeypatch, codes, told):
    left = list(codes)
    monkeypatch.setattr(kit, "install", lambda folder: None)
    monkeypatch.setattr(kit, "run", lambda *call: left.pop(0))
    assert kit.main(["test"]) == told
    assert not left


def test_the_exit_code_is_handed_on(kit):
    assert kit.run([sys.executable, "-c", "raise SystemExit(7)"], str(ROOT)) == 7


def test_works_from_another_folder(tmp_path):
    for arguments, code in ([], 0), (["help"], 0), (["lap"], 2):
        command = [sys.executable, str(ROOT / "kit.py"), *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == code
        assert "doctor" in (done.stderr if code else done.stdout)
    assert done.stderr == "kit.py has no 'lap'; it has: doctor, lab, test.\n"
    assert not any(tmp_path.iterdir())


# What is installed ----------------------------------------------------------------------------


def test_torch_comes_first_and_all_is_pinned(kit, place):
    kit.install(str(place.folder))
    torch, rest = place.calls()
    assert "torch==" + kit.pinned("torch") in torch
    assert torch[-2:] == rest[-2:] == ["-c", str(place.root / "constraints.txt")]
    assert rest[-4:-2] == ["-e", ".[test]"]
    assert "--index-url" not in torch + rest


def test_the_torch_index_is_for_torch_only(kit, place, monkeypatch):
    monkeypatch.setenv("KDLAB_TORCH_INDEX", "https://torch.example/cpu")
    kit.install(str(place.folder))
    torch, rest = place.calls()
    assert torch[torch.index("--index-url") + 1] == "https://torch.example/cpu"
    assert "--no-deps" in torch
    assert "--index-url" not in rest


def test_the_second_time_starts_nothing(kit, place, monkeypatch):
    monkeypatch.setenv("KDLAB_TORCH_INDEX", "https://torch.example/cpu")
    kit.install(str(place.folder))
    place.calls()
    monkeypatch.delenv("KDLAB_TORCH_INDEX")  # forgotten in a new terminal
    monkeypatch.setattr(kit.subprocess, "Popen", None)
    kit.install(str(place.folder))
    assert place.calls() == []


def test_what_changes_is_installed_again(kit, place, monkeypatch):
    kit.install(str(place.folder))
    place.calls()
    with open(place.root / "pyproject.toml", "a") as file:
        file.write("# changed\n")
    kit.install(str(place.folder))
    assert [call[-3] for call in place.calls()] == [".[test]"]
    monkeypatch.setenv("KDLAB_TORCH_INDEX", "https://torch.example/cpu")
    kit.install(str(place.folder))
    assert "--force-reinstall" in place.calls()[0]


def test_a_failed_installation_leaves_no_stamp_and_can_be_repeated(kit, place):
    place.pip("something odd\nand its last line", 1)
    with pytest.raises(kit.Stop, match=r"could not install(.|\n)*and its last line"):
        kit.install(str(place.folder))
    assert {path.name for path in place.folder.iterdir()} == {"kdlab-install.log"}
    assert len(place.calls()) == 1
    place.pip()
    kit.install(str(place.folder))
    assert len(place.calls()) == 2


def test_a_change_that_fails_takes_the_old_stamp_away(kit, place):
    kit.install(str(place.folder))
    (place.root / "constraints.txt").write_text("torch==0.0\n")
    place.pip("no", 1)
    with pytest.raises(kit.Stop):
        kit.install(str(place.folder))
    assert not list(place.folder.glob("kdlab-*.txt"))


def test_a_half_installed_package_is_no_package(kit, tmp_path):
    """pip writes RECORD last: stopped before, it would take the package for installed."""
    whole = tmp_path / "lib" / "site-packages" / "whole-1.dist-info"
    half = tmp_path / "lib" / "site-packages" / "half-1.dist-info"
    for made in (whole, half):
        made.mkdir(parents=True)
        (made / "METADATA").touch()
    (whole / "RECORD").touch()
    kit.remove_half_installed(str(tmp_path))
    assert whole.exists() and not half.exists()


def test_an_environment_without_pip_is_made_anew(kit, tmp_path, monkeypatch):
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    assert not kit.works(str(folder), thoroughly=True)
    made = []
    monkeypatch.setattr(kit, "quiet", lambda command, output=None: made.append(command) or 0)
    kit.make_environment(str(folder))
    assert made == [[sys.executable, "-m", "venv", "--clear", str(folder)]]


# What is said ---------------------------------------------------------------------------------


def test_an_old_python_can_read_kit_py():
    source = (ROOT / "kit.py").read_text(encoding="ascii")
    newer = (ast.JoinedStr, ast.NamedExpr, ast.AnnAssign, ast.Match)
    assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, newer)]
    ast.parse(source, feature_version=(3, 7))  # the oldest that every newer Python still checks


@pytest.mark.parametrize("there", [True, False])
def test_an_old_python_is_told_what_to_do(kit, monkeypatch, there):
    monkeypatch.setattr(kit.shutil, "which", lambda name: name if there else None)
    monkeypatch.setattr(kit, "quiet", lambda command: 0)
    with pytest.raises(kit.Stop, match=r"needs Python 3\.11 or newer; this is 3\.8") as told:
        kit.check_python((3, 8, 1, "final", 0), ["test", "-x"])
    assert ("python3.13 kit.py test -x" in str(told.value)) == there
    assert ("Install a newer one" in str(told.value)) != there


def test_a_stop_is_a_sentence_without_a_traceback(kit, monkeypatch, capsys):
    monkeypatch.setattr(kit.sys, "version_info", (3, 8, 1, "final", 0))
    assert kit.main(["lab"]) == 1
    told = capsys.readouterr().err
    assert "this is 3.8" in told and "Traceback" not in told


def test_ctrl_c_ends_with_one_line(kit, monkeypatch, capsys):
    def interrupted(folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(kit, "install", interrupted)
    assert kit.main(["lab"]) == 130
    assert capsys.readouterr().err.strip() == "Stopped. The same command goes on from here."


@pytest.mark.parametrize(
    "output, sentence",
    [
        ("ERROR: [Errno 28] No space left on device", "The disk is full"),
        (
            "WARNING: Retrying ... NewConnectionError('Failed to establish a new connection')\n"
            "ERROR: No matching distribution found for torch==2.13.0",
            "could not reach the package index",
        ),
        ("ReadTimeoutError: Read timed out.", "could not reach the package index"),
        ("SSLError: CERTIFICATE_VERIFY_FAILED; Max retries exceeded", "PIP_CERT"),
        ("ERROR: No matching distribution found for torch==2.13.0", "There is no PyTorch"),
        ("ERROR: Cannot install torch==2.13.0\nResolutionImpossible", "There is no PyTorch"),
        (
            "ERROR: Cannot install numpy==2.4.6\nResolutionImpossible",
            "does not exist for this Python",
        ),
        ("ERROR: [WinError 5] Access is denied", "Close JupyterLab"),
        ("ERROR: something else", "could not install"),
    ],
)
def test_what_pip_says_becomes_a_sentence(kit, place, output, sentence):
    place.pip(output, 1)
    with pytest.raises(kit.Stop, match=sentence) as told:
        kit.install(str(place.folder))
    assert "    " + output.splitlines()[-1] in str(told.value)  # pip's own words are kept
    assert "kdlab-install.log" in str(told.value)


def test_a_full_disk_is_told_before_anything_is_fetched(kit, place, monkeypatch):
    monkeypatch.setattr(kit.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1e9))
    with pytest.raises(kit.Stop, match=r"too full: 1\.0 GB are free .* about 3\.0"):
        kit.install(str(place.folder))
    assert place.calls() == []


def test_room_is_looked_for_where_the_folder_will_be(kit, tmp_path):
    kit.check_room(str(tmp_path / "not" / "yet"), 0)


def test_a_python_without_venv_names_debians_package(kit, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(kit.Stop, match=r"apt install python3\.\d+-venv"):
        kit.make_environment(str(tmp_path / "venv"))


def test_a_folder_of_other_things_is_left_alone(kit, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(kit.Stop, match="other things in it"):
        kit.make_environment(str(tmp_path))
    assert (tmp_path / "thesis.txt").exists()
