"""Lines with intervals: what is drawn is what was given."""

import numpy as np
import pandas as pd
import pytest

from kdlab import plots
from kdlab.errors import Refusal
from kdlab.verdicts import interval

SEEDS = pd.DataFrame([[1.0, 2.0, 3.0], [4.0, 4.0, 7.0]], index=[1, 4])


def axes_of(picture):
    (axes,) = picture.figure.axes
    return axes


def test_a_series_is_drawn_as_it_is_and_a_frame_as_its_mean():
    single = pd.Series([5.0, 3.0, 1.0], index=[1, 2, 8])
    axes = axes_of(plots.lines({"alone": single, "seeds": SEEDS}, "T", "points"))
    first, second = (line.get_xydata().tolist() for line in axes.lines)
    assert first == [[1, 5], [2, 3], [8, 1]]
    assert second == [[1, 2], [4, 5]]


def test_the_band_is_the_interval_over_the_seeds():
    axes = axes_of(plots.lines({"seeds": SEEDS}, "T", "points"))
    (band,) = axes.collections
    edge = band.get_paths()[0].vertices
    for place, row in SEEDS.iterrows():
        heights = edge[edge[:, 0] == place][:, 1]
        assert (heights.min(), heights.max()) == pytest.approx(interval(row.tolist()))
    assert axes.get_title(loc="left") == "mean over the seeds, 95 % interval"
    assert axes_of(plots.lines({"a": SEEDS[0]}, "T", "points")).get_title(loc="left") == ""


def test_one_seed_has_no_interval():
    axes = axes_of(plots.lines({"one seed": SEEDS[[0]]}, "T", "points"))
    assert np.isfinite(axes.get_ylim()).all()


def test_lines_differ_by_more_than_colour():
    names = [f"line {at}" for at in range(6)]
    axes = axes_of(plots.lines({name: SEEDS[0] + at for at, name in enumerate(names)}, "T", "y"))
    looks = {(line.get_marker(), str(line._dash_pattern)) for line in axes.lines}
    assert len(looks) == len({line.get_color() for line in axes.lines}) == 6
    assert [text.get_text() for text in axes.texts] == names


def test_logarithmic_axes_show_the_values_themselves_and_names_stay_at_their_lines():
    low, high = pd.Series([1.0, 1e-3], index=[0.5, 8]), pd.Series([1.0, 2.0], index=[0.5, 8])
    picture = plots.lines({"low": low, "high": high}, "T", "size", log="xy")
    axes = axes_of(picture)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.5", "8"]
    into = axes.transData - axes.transAxes
    for text, line in zip(axes.texts, axes.lines, strict=True):
        end = into.transform(line.get_xydata()[-1])[1]
        assert text.get_position()[1] == pytest.approx(end, abs=0.05)


def test_zero_is_drawn_on_wish_and_the_words_follow_the_numbers():
    picture = plots.lines({"seeds": SEEDS}, "epoch", "points", zero=True)
    assert axes_of(picture).lines[0].get_ydata() == [0, 0]
    assert picture.alt == "points over epoch. seeds: from 2 to 5."
    assert axes_of(picture).get_xlabel() == "epoch"


@pytest.mark.parametrize(
    ("series", "options", "words"),
    [
        ({}, {}, "a dict of 1 to 6 lines"),
        (SEEDS, {}, "a dict of 1 to 6 lines"),
        ({"a": [1, 2]}, {}, "the line 'a' is a list"),
        ({"a": SEEDS[0] * float("nan")}, {}, "a holds NaN"),
        ({"a": pd.Series([1.0], index=["one"])}, {}, "the index of a"),
        ({"a": SEEDS}, {"log": "z"}, "log='z'"),
    ],
)
def test_refusals(series, options, words):
    with pytest.raises(Refusal, match=words):
        plots.lines(series, "T", "y", **options)
