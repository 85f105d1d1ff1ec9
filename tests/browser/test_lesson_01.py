"""Lesson 01 as a learner meets it: run all, move sliders by keyboard and mouse, train."""

import re

import pytest

from tests.browser.hands import change, handle_of, output_of, panel_of

pytestmark = pytest.mark.browser


def test_lesson_01(open_notebook, shot):
    from playwright.sync_api import expect

    expect.set_options(timeout=60_000)
    page = open_notebook("notebooks/01_soft_targets.ipynb")
    assert page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    errors = page.locator("[data-mime-type='application/vnd.jupyter.error']")
    assert errors.count() == 0, errors.first.inner_text()

    area, image = panel_of(page, "what the teacher says about it")
    image.scroll_into_view_if_needed()
    handle = handle_of(area, "temperature")
    warmer = change(expect, image, lambda: handle.press("ArrowRight"))
    assert "T=1.5" in warmer
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag():
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 60, y, steps=10)
        page.mouse.up()

    dragged = change(expect, image, drag)
    assert float(re.search(r"T=([\d.]+)", dragged)[1]) > 1.5
    shot(area, "teacher-view")

    area, image = panel_of(page, "Validation accuracy per epoch and paired differences")
    image.scroll_into_view_if_needed()
    trained = change(expect, image, lambda: handle_of(area, "temperature").press("ArrowRight"))
    assert "T = 1.5" in trained and "95 % interval" in trained
    assert image.evaluate("e => getComputedStyle(e).opacity") == "1"  # no longer greyed
    shot(area, "training-panel")

    area, image = panel_of(page, "a class that neither student saw")
    image.scroll_into_view_if_needed()
    change(expect, image, lambda: handle_of(area, "added to the").press("ArrowRight"))
    shot(area, "missing-class")
    page.close()


def test_lesson_00(open_notebook, shot):
    from playwright.sync_api import expect

    expect.set_options(timeout=60_000)
    page = open_notebook("notebooks/00_start_here.ipynb")
    assert page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    images = page.locator(".jp-OutputArea-output img[alt]")
    for number, name in enumerate(("logit", "softmax", "cross-entropy", "kl")):
        image = images.nth(number)
        image.scroll_into_view_if_needed()
        handle = output_of(image).locator(".noUi-handle").first
        change(expect, image, lambda handle=handle: handle.press("ArrowLeft"))
        shot(output_of(image), f"primer-{name}")
    page.close()
