"""JupyterLab and Chromium for the browser tests; pictures are kept, to be looked at."""

from pathlib import Path

import pytest

from tests.browser import lab as jupyter

SHOTS = Path(__file__).parent / "shots"


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    with jupyter.running(tmp_path_factory.mktemp("lab")) as address:
        yield address


@pytest.fixture(scope="session")
def chromium():
    pytest.importorskip("playwright.sync_api")
    if not jupyter.CHROMIUM:
        pytest.skip("no Chromium on this machine: the browser test did not run")
    with jupyter.chromium() as browser:
        yield browser


@pytest.fixture
def open_notebook(lab, chromium):
    """Open a notebook in a new tab and wait for its kernel."""
    return lambda path: jupyter.opened(chromium, lab, path)


@pytest.fixture
def shot():
    """Keep a picture of a page or an element for people to look at."""

    def keep(where, name: str) -> None:
        SHOTS.mkdir(exist_ok=True)
        where.screenshot(path=str(SHOTS / f"{name}.png"))

    return keep
