"""A real JupyterLab and a real Chromium, both private to the test run and offline."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOTS = Path(__file__).parent / "shots"  # kept, to be looked at
CHROMIUM = os.environ.get("KDLAB_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# JupyterLab calls a kernel idle before it is connected, and then runs nothing without a word.
KERNEL_IS_READY = """async () => {
  const panel = window.jupyterapp.shell.currentWidget;
  await panel.context.ready;
  await panel.sessionContext.ready;
  for (let i = 0; i < 1200; i++) {
    const kernel = panel.sessionContext.session && panel.sessionContext.session.kernel;
    if (kernel && kernel.connectionStatus === 'connected' && kernel.status === 'idle') return true;
    await new Promise(wake => setTimeout(wake, 50));
  }
  return false;
}"""
SETTINGS = {
    "apputils-extension/notification": '{"fetchNews": "false", "checkForUpdates": false}',
    "notebook-extension/tracker": '{"windowingMode": "none"}',
}


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """The address of a JupyterLab on a copy of the lessons, with settings of its own."""
    home = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", home / "root" / "notebooks")
    for name, text in SETTINGS.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }
    environment = os.environ | {name: str(home / folder) for name, folder in own.items()}
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
        f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=t",
        f"--ServerApp.root_dir={home / 'root'}", "--LabApp.expose_app_in_browser=True",
    ]  # fmt: skip
    address, log = f"http://127.0.0.1:{port}", home / "lab.log"
    with log.open("w") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    began = time.time()
    while True:
        try:
            urllib.request.urlopen(address + "/api?token=t", timeout=1).read()
            break
        except OSError:
            assert server.poll() is None and time.time() - began < 90, log.read_text()[-2000:]
            time.sleep(0.2)
    yield address
    server.terminate()
    server.wait(20)


@pytest.fixture(scope="session")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM:
        pytest.skip("no Chromium on this machine: the browser test did not run")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_notebook(lab, chromium):
    """Open a notebook in a new tab and wait for its kernel."""

    def opened(path: str):
        page = chromium.new_page(viewport={"width": 1300, "height": 1500})
        page.set_default_timeout(60_000)
        page.goto(f"{lab}/lab/tree/{path}?token=t&reset")
        page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
        assert page.evaluate(KERNEL_IS_READY), "the kernel never became idle"
        return page

    return opened


@pytest.fixture
def shot():
    """Keep a picture of a page or an element for people to look at."""

    def keep(where, name: str) -> None:
        SHOTS.mkdir(exist_ok=True)
        where.screenshot(path=str(SHOTS / f"{name}.png"))

    return keep
