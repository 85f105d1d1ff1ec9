"""The picture of a knowledge mapping: what it says is computed from the vectors it is given."""

import pytest
import torch

from kdlab.errors import Refusal
from kdlab.plots import mapping
from kdlab.plots.mapping import explained

CLASSES = ["animal", "plant", "food"]


@pytest.fixture
def vectors():
    return torch.randn(60, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def labels():
    return torch.arange(60) % 3


def test_the_share_that_is_given_back(vectors):
    assert explained(vectors, vectors) == pytest.approx(1)
    assert explained(vectors, vectors.mean(0).expand_as(vectors)) == pytest.approx(0, abs=1e-6)
    assert explained(vectors, -vectors) < 0
    half = vectors.mean(0) + (vectors - vectors.mean(0)) / 2
    assert explained(vectors, half) == pytest.approx(0.75)


def test_clouds_beside_the_teachers(vectors, labels):
    picture = mapping(
        vectors, {"before": 0 * vectors, "after": vectors}, labels, CLASSES, ["animal", "food"]
    )
    assert "after gives back 100 %" in picture.alt and "topics animal, food" in picture.alt
    teacher, before, after = picture.figure.axes
    titles = [axes.get_title("left").split("\n")[0] for axes in (before, after)]
    assert titles == ["before", "after"]
    drawn = [[line.get_xydata() for line in axes.lines[:2]] for axes in (teacher, after)]
    assert all((one == other).all() for one, other in zip(*drawn, strict=True))
    assert len(drawn[0][0]) == 20


def test_the_directions_are_those_of_most_variance(labels):
    wide = torch.randn(60, 5, generator=torch.Generator().manual_seed(1))
    wide[:, 3] *= 50
    picture = mapping(wide, {"after": wide}, labels, CLASSES, CLASSES)
    places = torch.cat(
        [torch.tensor(line.get_xydata()) for line in picture.figure.axes[0].lines[:3]]
    )
    centred = torch.cat([(wide - wide.mean(0))[labels == at] for at in range(3)])[:, 3]
    assert torch.corrcoef(torch.stack([places[:, 0], centred.double()]))[0, 1].abs() > 0.999


def test_what_does_not_fit_is_refused(vectors, labels):
    with pytest.raises(Refusal, match="1 to 3 clouds"):
        mapping(vectors, {}, labels, CLASSES, CLASSES)
    with pytest.raises(Refusal, match=r"mapped\['after'\] of shape \(60, 7\)"):
        mapping(vectors, {"after": vectors[:, :7]}, labels, CLASSES, CLASSES)
    with pytest.raises(Refusal, match="labels of shape"):
        mapping(vectors, {"after": vectors}, labels[:5], CLASSES, CLASSES)
    with pytest.raises(Refusal, match="stone"):
        mapping(vectors, {"after": vectors}, labels, CLASSES, ["stone"])
