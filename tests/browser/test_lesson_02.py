"""Lesson 02 as a learner meets it: T by keyboard and mouse, a quiz, students trained at once."""

import re

import pytest

from tests.browser.hands import change, handle_of, panel_of

pytestmark = pytest.mark.browser


def temperature_of(alt):
    return float(re.search(r"The teacher at T=([\d.]+):", alt)[1])


def drag(page, handle, pixels):
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + pixels, y, steps=10)
    page.mouse.up()


def temperature_is_turned(page, shot, expect):
    area, image = panel_of(page, "reaches the logits of a new student")
    image.scroll_into_view_if_needed()
    handle = handle_of(area, "temperature")
    cooler = change(expect, image, lambda: handle.press("ArrowLeft"))
    assert temperature_of(cooler) == 50  # the lesson itself had left it at 100
    change(expect, image, lambda: drag(page, handle, -80))
    page.wait_for_timeout(2_000)  # the picture follows the drag: let it arrive
    dragged = image.get_attribute("alt")
    assert temperature_of(dragged) < 50
    label = re.search("A picture labelled ([^.]+)", dragged)[1]
    other = change(expect, image, lambda: handle_of(area, "picture").press("End"))
    assert temperature_of(other) == temperature_of(dragged)
    assert re.search("A picture labelled ([^.]+)", other)[1] != label
    shot(area, "softening")


def the_trained_student_has_a_panel_of_its_own(page, shot, expect):
    area, image = panel_of(page, "reaches the logits of the student")
    image.scroll_into_view_if_needed()
    coldest = change(expect, image, lambda: handle_of(area, "temperature").press("Home"))
    assert temperature_of(coldest) == 0.5
    shot(area, "softening-trained")


def a_quiz_is_answered(page, expect):
    quiz = page.locator(".kdlab-quiz", has_text="lacks the T²")
    quiz.scroll_into_view_if_needed()
    quiz.get_by_text("c. alpha = 0.94").click()
    expect(quiz.get_by_role("status")).to_contain_text("Right.")


def students_are_trained(page, shot, expect):
    area, image = panel_of(page, "Validation accuracy per epoch and paired differences")
    image.scroll_into_view_if_needed()
    trained = change(expect, image, lambda: handle_of(area, "temperature").press("ArrowLeft"))
    assert "T = 15 " in trained and "95 % interval" in trained  # the lesson had left it at 20
    assert image.evaluate("e => getComputedStyle(e).opacity") == "1"  # no longer greyed
    shot(area, "training-at-15")


def test_lesson_02(open_notebook, shot):
    from playwright.sync_api import expect

    expect.set_options(timeout=60_000)
    page = open_notebook("notebooks/02_temperature.ipynb")
    assert page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    errors = page.locator("[data-mime-type='application/vnd.jupyter.error']")
    assert errors.count() == 0, errors.first.inner_text()
    temperature_is_turned(page, shot, expect)
    the_trained_student_has_a_panel_of_its_own(page, shot, expect)
    a_quiz_is_answered(page, expect)
    students_are_trained(page, shot, expect)
    page.close()
