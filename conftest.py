"""What every test and every notebook runs under. In the root, for notebooks lie outside tests/."""

import importlib.util
import os
import tempfile
from pathlib import Path

# A skip that anyone's machine may show. With KDLAB_STRICT_SKIPS=1 any other one fails the run.
ALLOWED_SKIPS = (
    "no CUDA device",
    "transformers is not installed",
    "torchvision is not installed",
    "EfficientNet-Lite0 is not installed",
)


def go_offline():
    """Blocks the network here and, through PYTHONPATH, in every Python that a test starts."""
    folder = Path(__file__).parent / "tests" / "offline"
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if str(folder) in paths:
        return  # this process itself was started offline
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), *paths])
    spec = importlib.util.spec_from_file_location("kdlab_offline", folder / "sitecustomize.py")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def leave_no_traces():
    """Progress and IPython's history go to a folder of this run, one for each worker."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    run_folder = None
    if worker is None:
        run_folder = tempfile.TemporaryDirectory(prefix="kdlab-", ignore_cleanup_errors=True)
        os.environ["KDLAB_TEST_FOLDER"] = run_folder.name
    own = Path(os.environ["KDLAB_TEST_FOLDER"], worker or "main")
    own.mkdir(exist_ok=True)
    os.environ["KDLAB_PROGRESS"] = str(own / "progress.csv")
    os.environ["IPYTHONDIR"] = str(own / "ipython")  # nor do a learner's start-up files come in
    return run_folder


# Before anything imports torch: workers with many threads each only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
go_offline()
RUN_FOLDER = leave_no_traces()  # removed when this process ends


def pytest_collectstart(collector):
    if collector.path and collector.path.suffix == ".ipynb":
        # progress bars and library warnings go to stderr: never worth comparing
        collector.skip_compare += ("stderr",)


def skips(config):
    """Reason -> the tests it skipped; empty in an xdist worker, whose reports go to the first."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    found = {}
    for report in reporter.stats.get("skipped", []) if reporter else []:
        reason = report.longrepr[2] if isinstance(report.longrepr, (tuple, list)) else ""
        reason = reason.removeprefix("Skipped: ") or "(no reason given)"
        found.setdefault(reason, []).append(report.nodeid)
    return found


def forbidden(config):
    strict = os.environ.get("KDLAB_STRICT_SKIPS") == "1"
    return [
        reason
        for reason in skips(config)
        if strict and not any(allowed in reason for allowed in ALLOWED_SKIPS)
    ]


def pytest_sessionfinish(session):
    if session.exitstatus == 0 and forbidden(session.config):
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter, config):
    terminalreporter.section("what was skipped, and why")
    for reason, tests in skips(config).items():
        mark = "NOT ALLOWED  " if reason in forbidden(config) else ""
        terminalreporter.line(f"{mark}{reason}: {len(tests)}")
        for test in tests:
            terminalreporter.line(f"    {test}")
    if not skips(config):
        terminalreporter.line("nothing")
    if forbidden(config):
        terminalreporter.line(
            "KDLAB_STRICT_SKIPS=1: the run fails, for a test that cannot run here tells nothing."
        )
