"""The figures of feature distillation: what each loss compares, and a ranking of methods."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch

import kdlab
from kdlab.errors import Refusal
from kdlab.plots import feature_views, ranking
from kdlab.sweeps import Atlas

FAST = {"learning_rate": 1e-2, "progress": False, "device": "cpu"}


@pytest.fixture(scope="module")
def data():
    return kdlab.load_data("digits", train=200)


@pytest.fixture(scope="module")
def nets(data):
    teacher = kdlab.train("cnn-medium", data, epochs=2, **FAST).student
    return kdlab.distill("cnn-small", teacher, data, epochs=2, **FAST), teacher


@pytest.fixture
def atlas():
    """A sweep with known values: hints help in every pair, and what is too strong harms."""
    values = {
        "none": ([0.70, 0.72, 0.71], [0.80, 0.79, 0.81]),
        "hints": ([0.72, 0.74, 0.735], [0.85, 0.83, 0.85]),
        "too strong": ([0.60, 0.63, 0.61], [0.78, 0.81, 0.80]),
    }
    table = pd.DataFrame(
        {"match": name, "seed": seed, "accuracy": pair[0], "nll": pair[1], "run": 3 * at + seed}
        for at, (name, columns) in enumerate(values.items())
        for seed, pair in enumerate(zip(*columns, strict=True))
    )
    run = SimpleNamespace(settings={"alpha": 0.1, "temperature": 4})
    return Atlas(table, ("match",), [run] * 9, "200 examples")


def test_every_loss_has_its_picture(nets, data):
    picture = feature_views(*nets, data, "block2", "block2")
    titles = [part.get_suptitle().strip() for part in picture.figure.subfigs]
    assert len(titles) == 9 and all(title in picture.alt for title in titles)
    for part in picture.figure.subfigs:
        assert len(part.axes) == 2
        for axes in part.axes:
            values = torch.as_tensor(axes.images[0].get_array())
            assert values.isfinite().all() and values.max() > values.min(), part.get_suptitle()
    assert "12 pictures" in picture.alt


def test_its_pictures_are_what_the_losses_compare(nets, data):
    """Where the student's tile equals the teacher's, the loss is zero; and the other way round."""
    run, teacher = nets
    own = feature_views(run.student, run.student, data, "block2", "block2")
    other = feature_views(run, teacher, data, "block2", "block2")
    for part, unlike in zip(own.figure.subfigs, other.figure.subfigs, strict=True):
        if part.get_suptitle().strip() != "contrast":
            left, right = (axes.images[0].get_array() for axes in part.axes)
            assert (left == right).all(), part.get_suptitle()
            left, right = (axes.images[0].get_array() for axes in unlike.axes)
            assert left.shape != right.shape or (left != right).any()


def test_layers_without_places_are_refused(nets, data):
    with pytest.raises(Refusal, match=r"'head' gives \(10,\).*expected maps"):
        feature_views(*nets, data, "head", "block2")
    with pytest.raises(LookupError, match="block9"):
        feature_views(*nets, data, "block9", "block2")


def marks(axes):
    """Marker -> where it stands, (difference, row)."""
    lines = [line for line in axes.lines if line.get_marker() != "None"]
    return {line.get_marker(): (line.get_xdata()[0], line.get_ydata()[0]) for line in lines}


def test_the_best_stands_on_top_and_each_carries_its_verdict(atlas):
    picture = ranking(atlas, "match", "none")
    accuracy, nll = picture.figure.axes
    names = [tick.get_text() for tick in accuracy.get_yticklabels()]
    assert names == ["hints", "none", "too strong"]
    assert "accuracy" in accuracy.get_title(loc="left") and "NLL" in nll.get_title(loc="left")
    assert "right is better" in accuracy.get_xlabel() and "left is better" in nll.get_xlabel()
    gaps = {"^": 0.065 / 3, "D": 0, "v": -0.29 / 3}
    for row, (marker, gap) in enumerate(gaps.items()):
        assert marks(accuracy)[marker] == (pytest.approx(100 * gap), row)
    assert marks(nll)["v"][1] == 0 and marks(nll)["o"][1] == 2  # worse, and no difference seen
    assert "hints 73.2 % (+2.2, better); none 71.0 %" in picture.alt
    assert "too strong 61.3 % (−9.7, worse)" in picture.alt and "3 pairs" in picture.alt


def test_a_metric_that_is_better_when_low_sorts_upwards(atlas):
    axes = ranking(atlas, "match", "hints", "nll").figure.axes[0]
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    assert names == ["too strong", "none", "hints"]
    assert marks(axes)["D"] == (0, 2) and marks(axes)["^"][0] < 0


def test_sweeps_that_share_their_seeds_are_ranked_together(atlas):
    parts = []
    for names in (["none", "hints"], ["too strong", "none"]):
        table = atlas.table[atlas.table["match"].isin(names)]
        parts.append(Atlas(table.assign(run=range(len(table))), ("match",), atlas.runs))
    assert ranking(parts, "match", "none").alt == ranking(atlas, "match", "none").alt


def test_what_cannot_be_ranked_is_refused(atlas):
    with pytest.raises(Refusal, match="'alpha' is not the one axis of this sweep"):
        ranking(atlas, "alpha", "none")
    two = Atlas(atlas.table.assign(alpha=0.1), ("match", "alpha"), atlas.runs)
    with pytest.raises(Refusal, match="its axes are match, alpha"):
        ranking(two, "match", "none")
    with pytest.raises(Refusal, match="metric 'speed'"):
        ranking(atlas, "match", "none", ["speed"])
    with pytest.raises(Refusal, match=r"baseline 'nothing' is no value.*one of none, hints"):
        ranking(atlas, "match", "nothing")
