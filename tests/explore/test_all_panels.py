"""What every panel promises, each one driven as people drive it: all ends, all orders."""

import random

import pytest

from kdlab import explore
from kdlab.explore.codes import makers


@pytest.fixture
def panel(panel_name, given):
    """A panel that remembers the settings behind each of its results."""
    arguments, options = given(panel_name)
    made = getattr(explore, panel_name)(*arguments, **options)
    made.wait()
    compute, made.behind = made._compute, {}

    def remembered(*told, **settings):
        result = compute(*told, **settings)
        made.behind[id(result)] = (result, settings)  # the result too: an id must stay its own
        return result

    made._compute = remembered
    yield made
    made.close()


def assert_shows_its_settings(panel):
    result = panel.wait()
    kept, settings = panel.behind[id(result)]
    assert kept is result and settings == panel.settings
    assert "did not work" not in panel._status.value
    assert panel.picture.png.startswith(b"\x89PNG") and panel.picture.alt
    assert "opacity:1" in panel.picture.value


def test_every_panel_is_driven_here(listed):
    """A new one joins by one line in conftest.py."""
    assert listed == {*makers(), "guess"}


def test_every_control_through_its_ends_and_any_order(panel, orders):
    for control in panel.controls.values():
        assert control.description
        start = control.value
        for value in orders(control):
            before = control.value
            control.value = value
            if value != before:
                assert_shows_its_settings(panel)
        control.value = start


def test_many_changes_at_random_end_with_what_the_controls_say(panel, orders):
    draw = random.Random(0)
    for _ in range(3):
        for _ in range(6):
            control = draw.choice(list(panel.controls.values()))
            control.value = draw.choice(orders(control))
        assert_shows_its_settings(panel)


def test_the_code_opens_the_panel_again(coded_name, given, orders):
    arguments, options = given(coded_name)
    panel = getattr(explore, coded_name)(*arguments, **options)
    for control in panel.controls.values():
        control.value = orders(control)[2]
    assert panel.code.split()[0] == coded_name
    again = explore.from_code(panel.code, *arguments, **options)
    assert again.code == panel.code and again.settings == panel.settings
    assert again.wait() is not None
    panel.close()
    again.close()


def test_hide_and_lock(coded_name, given):
    arguments, options = given(coded_name)
    make = getattr(explore, coded_name)
    first, *_, last = names = list(make(*arguments, **options).controls) * 2
    made = make(*arguments, **options, hide=[first], lock=[last])
    assert made.controls[first].layout.display == "none" and made.controls[last].disabled
    assert [made.controls[name].disabled for name in names].count(True) == 2
    with pytest.raises(LookupError, match="there is no control"):
        make(*arguments, **options, hide=["colour"])
    made.wait()
    made.close()


def test_the_stored_text_is_one_line_and_stays(panel, orders):
    said = set()
    for control in panel.controls.values():
        for value in orders(control)[:2]:
            control.value = value
            panel.wait()
            bundle, metadata = panel._repr_mimebundle_()
            said.add(bundle["text/plain"])
            assert metadata["image/png"]["alt"] == panel.picture.alt
    assert said == {f"[interactive panel: {panel.title}]"}
