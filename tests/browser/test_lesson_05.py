"""Lesson 05 as a learner meets it: the budget's sliders by keyboard."""

import re

import pytest

from tests.browser.hands import change, choose, handle_of, panel_of

pytestmark = pytest.mark.browser


def budget_is_moved(page, shot, expect):
    area, image = panel_of(page, "Every recipe by size of the file")
    image.scroll_into_view_if_needed()
    before = image.get_attribute("alt")
    assert "Budget: 100 kB and 1 ms" in before
    tight = change(expect, image, lambda: handle_of(area, "size budget").press("PageDown"))
    assert within(tight) <= within(before) and "Budget: 100 kB" not in tight
    quick = change(expect, image, lambda: handle_of(area, "latency budget").press("Home"))
    assert "No recipe fits" in quick
    change(expect, image, lambda: handle_of(area, "latency budget").press("End"))
    calibrated = change(expect, image, lambda: choose(area, "the best by", "calibration error, %"))
    assert "calibration error" in calibrated
    shot(area, "budget")


def within(alt: str) -> int:
    return int(re.search(r"(\d+) within it", alt)[1])


def test_lesson_05(open_notebook, shot):
    from playwright.sync_api import expect

    expect.set_options(timeout=90_000)
    page = open_notebook("notebooks/05_compression.ipynb")
    assert page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    errors = page.locator("[data-mime-type='application/vnd.jupyter.error']")
    assert errors.count() == 0, errors.first.inner_text()
    budget_is_moved(page, shot, expect)
    page.close()
