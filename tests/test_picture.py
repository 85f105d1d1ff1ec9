import base64
import threading

import matplotlib
import pytest
import torch

from kdlab.data import Split
from kdlab.errors import Refusal
from kdlab.plots.examples import shades, soft_targets
from kdlab.plots.picture import STYLE, Picture, style


@pytest.fixture
def picture():
    made = Picture("a line", size=(3, 2))
    (made.line,) = made.figure.subplots().plot([0, 1], [0, 1])
    return made


def test_the_bundle_has_one_fixed_line_a_picture_and_its_alt_text(picture):
    lines = set()
    for alt in ("at 1", "at 2"):
        bundle, metadata = picture.draw(alt)._repr_mimebundle_()
        lines.add(bundle["text/plain"])
        assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
        assert metadata == {"image/png": {"alt": alt}}
        assert "application/vnd.jupyter.widget-view+json" in bundle
    assert lines == {"[picture: a line]"}


def test_the_alt_text_is_escaped_and_the_picture_fits_its_column(picture):
    picture.draw('a < b & "c"')
    assert 'alt="a &lt; b &amp; &quot;c&quot;"' in picture.value
    assert "max-width:100%" in picture.value and 'width="300"' in picture.value


def test_a_redraw_shows_what_a_whole_drawing_shows(picture):
    picture.moving([picture.line])
    picture.draw("before")
    before = picture.png
    picture.line.set_ydata([1, 0])
    picture.redraw("after")
    redrawn = picture.png
    picture.draw("after")
    assert redrawn == picture.png != before


def test_a_stale_picture_stays_in_sight_but_grey(picture):
    picture.stale()
    assert picture.value == ""
    picture.draw("sharp").stale()
    assert "opacity:0.35" in picture.value
    picture.draw("sharp again")
    assert "opacity:1" in picture.value


def test_the_style_is_kdlabs_inside_and_the_callers_outside():
    before = dict(matplotlib.rcParams)
    with style():
        assert matplotlib.rcParams["font.size"] == STYLE["font.size"]
    assert dict(matplotlib.rcParams) == before


def test_styles_in_threads_leave_the_settings_as_they_were():
    before = dict(matplotlib.rcParams)
    threads = [threading.Thread(target=_draw_some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dict(matplotlib.rcParams) == before


def _draw_some():
    for _ in range(3):
        Picture("one of many", size=(1, 1)).draw("x")


def split_of(channels=1, count=4):
    inputs = torch.rand(count, channels, 8, 8)
    return Split(inputs, torch.arange(count) % 3, torch.arange(count))


def test_shades_are_dark_on_white_and_colours_stay_colours():
    grey = torch.tensor([[[[-1.0, 3.0]]]])
    assert shades(grey)[0, 0].tolist() == [[1, 1, 1], [0, 0, 0]]
    assert shades(split_of(channels=3).inputs).shape == (4, 8, 8, 3)
    assert shades(torch.zeros(1, 1, 2, 2)).min() == 1  # an even picture divides by nothing
    with pytest.raises(Refusal, match="expected pictures"):
        shades(torch.rand(5, 7))


def test_soft_targets_say_label_and_top_answers():
    logits = torch.tensor([[4.0, 2.0, 0.0]]).repeat(4, 1)
    alt = soft_targets(split_of(), "abc", [0, 2], logits, temperature=2).alt
    top = (logits[0] / 2).softmax(0)
    assert f"a: a {top[0]:.3f}, b {top[1]:.3f}" in alt and "; c: a" in alt and "T=2" in alt


@pytest.mark.parametrize(
    ("rows", "width", "temperature", "said"),
    [
        ([], 3, 1, "0 rows"),
        (range(7), 3, 1, "7 rows"),
        ([4], 3, 1, "the split has 0 to 3"),
        ([0], 2, 1, r"expected \(4, 3\)"),
        ([0], 3, 0, "above 0"),
    ],
)
def test_soft_targets_refuse(rows, width, temperature, said):
    with pytest.raises(Refusal, match=said):
        soft_targets(split_of(), "abc", rows, torch.rand(4, width), temperature)
