"""Lesson 04 as a learner meets it: where they look, and which layer guides which."""

import re

import pytest

from tests.browser.hands import change, choose, handle_of, panel_of

pytestmark = pytest.mark.browser


def maps_are_looked_at(page, shot, expect):
    area, image = panel_of(page, "where teacher and student look")
    image.scroll_into_view_if_needed()
    before = re.search(r"labelled ([^,]+),", image.get_attribute("alt"))[1]
    handle = handle_of(area, "picture")
    for _ in range(3):
        handle.press("PageDown")
    expect(image).not_to_have_attribute("alt", re.compile(f"labelled {before},"))
    choose(area, "teacher's layer", "block1")
    expect(image).to_have_attribute("alt", re.compile(r"the teacher's map \(block1\)"))
    shot(area, "attention")


def layers_are_paired(page, shot, expect):
    area, image = panel_of(page, "Similarity (CKA) of student and teacher layers")
    image.scroll_into_view_if_needed()
    expect(image).to_have_attribute("alt", re.compile("weight 100:"))  # where the lesson left it
    lighter = change(expect, image, lambda: handle_of(area, "weight").press("ArrowLeft"))
    assert "weight 30:" in lighter and "95 % interval" in lighter
    assert image.evaluate("e => getComputedStyle(e).opacity") == "1"  # no longer greyed
    other = change(expect, image, lambda: choose(area, "teacher's layer", "block3"))
    assert "relational_kd block2→block3" in other and "3 trained in" in other
    hints = change(expect, image, lambda: choose(area, "what is compared", "hints"))
    assert "hint_loss block2→block3" in hints
    shot(area, "layer-pair")


def test_lesson_04(open_notebook, shot):
    from playwright.sync_api import expect

    expect.set_options(timeout=90_000)
    page = open_notebook("notebooks/04_features.ipynb")
    assert page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    errors = page.locator("[data-mime-type='application/vnd.jupyter.error']")
    assert errors.count() == 0, errors.first.inner_text()
    maps_are_looked_at(page, shot, expect)
    layers_are_paired(page, shot, expect)
    page.close()
