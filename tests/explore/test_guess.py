import pytest

from kdlab.errors import Refusal
from kdlab.explore.guess import guess


@pytest.fixture
def asked():
    return guess("trousers recognised, of 100", low=0, high=100)


def test_an_untouched_slider_is_no_guess(asked, capsys):
    assert asked.value is None and "no guess" in asked.picture.alt
    asked.reveal(94.3, band=(80, 100))
    assert capsys.readouterr().out == "no guess given; the student found between 80 and 100\n"
    assert asked.value is None and "measured 94.3" in asked.picture.alt


def test_what_is_printed_without_a_guess_hides_the_digits(capsys):
    for value in (80, 87.12, 100):
        guess("q", 0, 100).reveal(value, band=(80, 100), what="the teacher named")
    assert len(set(capsys.readouterr().out.splitlines())) == 1


def test_outside_the_band_the_number_is_said(asked, capsys):
    asked.reveal(72.34, band=(80, 100))
    said = capsys.readouterr().out
    assert said == "no guess given; the student found 72.3, outside the expected 80 to 100\n"


def test_guess_measurement_and_distance_stand_side_by_side(asked, capsys):
    asked.guess.value = 60
    assert asked.value == 60 and "your guess 60" in asked.picture.alt
    asked.reveal(94.3, band=(80, 100))
    said = capsys.readouterr().out
    expected = "the student found 94.3 (between 80 and 100), 34.3 more than you guessed\n"
    assert said == f"your guess: 60; {expected}"
    assert "your guess 60" in asked.picture.alt and "measured 94.3" in asked.picture.alt


@pytest.mark.parametrize(
    ("value", "said"),
    [(40, "20 less than you guessed"), (60, "just as you guessed"), (90, "30 more than")],
)
def test_the_distance_has_a_direction(asked, capsys, value, said):
    asked.value = 60
    asked.reveal(value, band=(30, 95))
    assert said in capsys.readouterr().out


def test_a_guess_where_the_slider_stood_already_counts(asked):
    asked.value = asked.guess.value
    assert asked.value == 50


def test_a_browser_that_rounds_the_first_value_has_not_guessed():
    asked = guess("points gained", low=-5.0, high=5.0)
    asked.guess.value += asked.guess.step / 1_000
    assert asked.value is None


def test_once_revealed_the_guess_is_fixed(asked):
    assert not asked.guess.disabled
    asked.reveal(90, band=(80, 100))
    assert asked.guess.disabled


def test_the_ends_can_be_guessed(asked):
    for value in (0, 100, 50, 0):
        asked.guess.value = value
        assert asked.value == value


def test_bad_input_is_refused(asked):
    with pytest.raises(Refusal, match="below high"):
        guess("q", 5, 5)
    for value, band in ((float("nan"), (0, 1)), (1, (2, 1))):
        with pytest.raises(Refusal, match="expected a number"):
            asked.reveal(value, band=band)


def test_the_plain_text_is_fixed(asked):
    said = {asked._repr_mimebundle_()[0]["text/plain"]}
    asked.value = 3
    asked.reveal(90, band=(80, 100))
    said.add(asked._repr_mimebundle_()[0]["text/plain"])
    assert said == {"[interactive panel: your guess: trousers recognised, of 100]"}
