"""The picture of Shapley values shows what the table holds."""

import pytest

import kdlab

FAST = {"learning_rate": 1e-2, "progress": False, "device": "cpu"}


@pytest.fixture(scope="module")
def found():
    data = kdlab.load_data("digits", train=200)
    teachers = {
        "good": kdlab.train("mlp-32", data, epochs=8, **FAST).student,
        "one that guesses": kdlab.models.build("mlp-8", (1, 8, 8), 10, seed=3),
    }
    return kdlab.shapley("mlp-8", teachers, data, seeds=3, alpha=0, epochs=3, **FAST)


def test_each_teacher_has_a_row_with_its_value_and_word(found):
    picture = kdlab.plots.shares(found)
    axes = picture.figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["good", "one that guesses"]
    drawn = [line for line in axes.lines if line.get_markersize() == 10]
    values = [100 * value for value in found.values["value"]]
    assert [line.get_xdata()[0] for line in drawn] == pytest.approx(values)
    rings = [line for line in axes.lines if line.get_fillstyle() == "none"]
    for ring, name in zip(rings, found.per_seed, strict=True):
        assert list(ring.get_xdata()) == pytest.approx(list(100 * found.per_seed[name]))
    for row in found.values.itertuples():
        assert f"{row.teacher} {kdlab.verdicts.signed(row.value)} ({row.word})" in picture.alt
    assert "points of accuracy" in axes.get_xlabel()


def test_the_mark_tells_what_adds_from_what_takes_away_without_colour(found):
    marks = {
        row.word: line.get_marker()
        for row, line in zip(
            found.values.itertuples(),
            [
                line
                for line in kdlab.plots.shares(found).figure.axes[0].lines
                if line.get_markersize() == 10
            ],
            strict=True,
        )
    }
    known = {"adds": "^", "takes away": "v"}
    assert all(mark == known.get(word, "o") for word, mark in marks.items())
