"""Lesson 06 as a learner meets it: a sentence is typed, and T is turned by keyboard."""

import re

import pytest

from tests.browser.hands import change, handle_of, panel_of

pytestmark = pytest.mark.browser


def a_sentence_is_typed(page, shot, expect):
    area, image = panel_of(page, "What each one says about the text")
    image.scroll_into_view_if_needed()
    line = area.locator("input[type='text']").first
    line.fill("a small blorple ")
    line.press_sequentially("of the sea")
    expect(image).to_have_attribute("alt", re.compile("“a small blorple of the sea”"))
    said = image.get_attribute("alt")
    assert "Not known: blorple." in said and "the teacher: not recorded for this text" in said
    softer = change(expect, image, lambda: handle_of(area, "temperature").press("ArrowRight"))
    assert "T=3" in softer
    shot(area, "sentence")


def test_lesson_06(open_notebook, shot):
    from playwright.sync_api import expect

    expect.set_options(timeout=90_000)
    page = open_notebook("notebooks/06_text.ipynb")
    assert page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    errors = page.locator("[data-mime-type='application/vnd.jupyter.error']")
    assert errors.count() == 0, errors.first.inner_text()
    a_sentence_is_typed(page, shot, expect)
    for words in ("accuracy, % over texts", "principal directions", "features over epoch"):
        area, image = panel_of(page, words)
        image.scroll_into_view_if_needed()
        shot(area, f"text-{words.split()[0].strip(',')}")
    page.close()
