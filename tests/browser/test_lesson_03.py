"""Lesson 03 as a learner meets it: whom to trust, and the atlas, by keyboard and by mouse."""

import re

import pytest

from tests.browser.hands import change, handle_of, panel_of

pytestmark = pytest.mark.browser


def trust_is_moved(page, shot, expect):
    area, image = panel_of(page, "of their labels random")
    image.scroll_into_view_if_needed()
    assert area.get_by_text(re.compile(r"labels 0\.\d\d · teacher 0\.\d\d")).count()
    before, noise = share_of(image), handle_of(area, "labels at random")
    key, step = ("ArrowLeft", -10) if before > 50 else ("ArrowRight", 10)
    moved = change(expect, image, lambda: noise.press(key))
    assert share_of(image) == before + step and "95 % interval" in moved
    assert image.evaluate("e => getComputedStyle(e).opacity") == "1"  # no longer greyed

    area.get_by_role("button", name="final").focus()
    page.keyboard.press("Shift+Tab")  # to "middle"
    middle = change(expect, image, lambda: page.keyboard.press("Enter"))
    assert "teacher: middle" in middle
    shot(area, "trust")


def share_of(image):
    return int(re.search(r"(\d+) % of their labels random", image.get_attribute("alt"))[1])


def atlas_is_read(page, shot, expect):
    area, image = panel_of(page, "Chosen cell")
    image.scroll_into_view_if_needed()
    cells = area.locator(".kdlab-stage button")
    last = cells.last
    tip = last.get_attribute("title")
    chosen = change(expect, image, lambda: press(page, last))
    where, mean = tip.split(": ")
    assert f"Chosen cell: {where}." in chosen and re.match(r"\d\d\.\d %", mean)

    moved = change(expect, image, lambda: handle_of(area, "temperature").press("ArrowLeft"))
    assert f"Chosen cell: {where}." not in moved and "95 % interval" in moved
    shot(area, "atlas")

    cells.first.focus()
    first = change(expect, image, lambda: page.keyboard.press("Enter"))
    assert f"Chosen cell: {cells.first.get_attribute('title').split(': ')[0]}." in first
    assert_buttons_lie_on_the_picture(cells, image)


def press(page, cell):
    """A click of the mouse at a place on the picture, whatever lies there."""
    box = cell.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def assert_buttons_lie_on_the_picture(cells, image):
    picture = image.bounding_box()
    for cell in (cells.first, cells.last):
        box = cell.bounding_box()
        assert picture["x"] < box["x"] and picture["y"] < box["y"]
        assert box["x"] + box["width"] < picture["x"] + 0.6 * picture["width"]
        assert box["y"] + box["height"] < picture["y"] + 0.7 * picture["height"]


def test_lesson_03(open_notebook, shot):
    from playwright.sync_api import expect

    expect.set_options(timeout=60_000)
    page = open_notebook("notebooks/03_alpha.ipynb")
    assert page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    errors = page.locator("[data-mime-type='application/vnd.jupyter.error']")
    assert errors.count() == 0, errors.first.inner_text()
    trust_is_moved(page, shot, expect)
    atlas_is_read(page, shot, expect)
    page.close()
