"""A real JupyterLab and a real Chromium, both private and offline: for tests and benchmarks."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
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


@contextlib.contextmanager
def running(home: Path) -> Iterator[str]:
    """The address of a JupyterLab on a copy of the lessons, with settings of its own in `home`."""
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


@contextlib.contextmanager
def chromium() -> Iterator:
    """A headless Chromium of its own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield browser
        browser.close()


def opened(browser, address: str, path: str):
    """A new tab with a notebook whose kernel is ready."""
    page = browser.new_page(viewport={"width": 1300, "height": 1500})
    page.set_default_timeout(60_000)
    page.goto(f"{address}/lab/tree/{path}?token=t&reset")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
    assert page.evaluate(KERNEL_IS_READY), "the kernel never became idle"
    return page
