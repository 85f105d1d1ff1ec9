"""A code opens the panel that it names."""

import pytest

from kdlab import explore
from kdlab.errors import Refusal

SMALL = "training examples=100 width=8 epochs=1 seeds=1"


def test_a_code_typed_by_hand_opens_a_panel(teacher, data):
    panel = explore.from_code(f"{SMALL} temperature=4 alpha=0.5", teacher, data, lock=["alpha"])
    assert panel.wait().settings["temperature"] == 4 and panel.alpha.disabled
    expected = "training examples=100 temperature=4 alpha=0.5 width=8 epochs=1 seeds=1"
    assert panel.code == expected


def test_a_name_alone_takes_every_default(teacher, data):
    panel = explore.from_code("teacher_view", teacher, data)
    assert panel.settings == explore.teacher_view(teacher, data).settings


def test_words_with_spaces_come_through(teachers, data):
    code = SMALL.replace("training", "trust") + " teacher='one that guesses' noise=0.2"
    panel = explore.from_code(code, data, teachers=teachers)
    result = panel.wait()
    assert result.settings["teacher"] == "one that guesses" and result.settings["noise"] == 0.2
    assert explore.from_code(panel.code, data, teachers=teachers).settings == panel.settings


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        ("trianing temperature=4", LookupError, "Did you mean 'training'"),
        ("temperature=4", Refusal, "does not begin with the name of a panel"),
        ("", Refusal, "does not begin with the name of a panel: expected one of atlas"),
        ("training temprature=4", LookupError, "Did you mean 'temperature'"),
        ("training temperature=warm", Refusal, "expected a number"),
        ("training 'temperature=4", Refusal, "open quotation mark"),
        (None, Refusal, "type NoneType: expected a line"),
        ("from_code", LookupError, "no panel 'from_code'"),
        ("missing_class bias=3", Refusal, "missing a required argument: 'from_labels'"),
    ],
)
def test_a_broken_code_is_refused(code, error, said):
    with pytest.raises(error, match=said):
        explore.from_code(code)
