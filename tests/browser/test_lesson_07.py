"""Lesson 07 as a learner meets it: move the mixture, take teachers in and leave them out."""

import pytest

from tests.browser.hands import change, choose, handle_of, panel_of

pytestmark = pytest.mark.browser


def mixture_is_moved(page, shot, expect):
    area, image = panel_of(page, "teacher only")
    image.scroll_into_view_if_needed()
    assert "the first picture alone (stale)" in image.get_attribute("alt")  # the lesson's own move
    seen = change(expect, image, lambda: choose(area, "the teacher sees", "the mixture"))
    assert "teacher sees the mixture" in seen and "95 % interval" in seen
    weaker = change(expect, image, lambda: handle_of(area, "strength").press("ArrowLeft"))
    assert "mixtures of strength 0.4" in weaker
    none = change(expect, image, lambda: handle_of(area, "strength").press("Home"))
    assert "no mixture" in none
    assert image.evaluate("e => getComputedStyle(e).opacity") == "1"  # no longer greyed
    shot(area, "mixture")


def teachers_come_and_go(page, shot, expect):
    area, image = panel_of(page, "labels 0.10 · teacher 0.90")
    image.scroll_into_view_if_needed()
    assert "teacher: fashion-cnn + wide mlp" in image.get_attribute("alt")  # the lesson's own move
    three = change(expect, image, lambda: choose(area, "fashion-vgg", "in"))
    assert "fashion-cnn + fashion-vgg + wide mlp, mean of their logits" in three
    other = "the best one for each picture"
    best = change(expect, image, lambda: choose(area, "they say the", other))
    assert f"fashion-cnn + fashion-vgg + wide mlp, {other}" in best
    shot(area, "committee")
    two = change(expect, image, lambda: choose(area, "wide mlp", "out"))
    assert f"teacher: fashion-cnn + fashion-vgg, {other}" in two
    one = change(expect, image, lambda: choose(area, "fashion-vgg", "out"))
    assert "teacher: fashion-cnn ·" in one


def test_lesson_07(open_notebook, shot):
    from playwright.sync_api import expect

    expect.set_options(timeout=90_000)
    page = open_notebook("notebooks/07_across.ipynb")
    assert page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    errors = page.locator("[data-mime-type='application/vnd.jupyter.error']")
    assert errors.count() == 0, errors.first.inner_text()
    mixture_is_moved(page, shot, expect)
    teachers_come_and_go(page, shot, expect)
    page.close()
