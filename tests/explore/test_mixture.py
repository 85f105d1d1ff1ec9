"""Mixtures of pictures, and a teacher who saw them or did not."""

import dataclasses

import pytest
import torch

import kdlab
from kdlab.explore.mixture import mixed, mixture
from kdlab.explore.pairs import drawing

SMALL = {"examples": 100, "width": 8, "epochs": 2, "seeds": 2}


@pytest.fixture
def panel(teacher, data):
    made = mixture(teacher, data, **SMALL)
    made.wait()
    return made


def logits(result, kind="teacher"):
    return [run.logits() for run in result.runs[kind]]


def expected(teacher, data, strength, asked, seed):
    """The student of one seed, made by hand: a mixture, answers about it or not, and distill."""
    plain = drawing(data)[0](100, seed)
    shown = dataclasses.replace(plain, train=mixed(plain.train, strength, seed))
    seen = {"seen": shown, "stale": plain}[asked].train
    said = kdlab.across(teacher, seen, shown.train)
    return kdlab.distill(
        "mlp-8", said, shown, temperature=2, alpha=0, epochs=2, seed=seed, progress=False
    ).logits()


@pytest.mark.parametrize("marks", ["seen", "stale"])
def test_the_student_is_the_one_that_distill_trains_on_these_mixtures(panel, teacher, data, marks):
    panel.marks.value = marks
    for seed, found in enumerate(logits(panel.wait())):
        alone = expected(teacher, data, 1.0, marks, seed)
        torch.testing.assert_close(found, alone, rtol=0, atol=1e-4)


def test_without_a_mixture_it_does_not_matter_what_the_teacher_sees(panel):
    panel.strength.value = 0.0
    seen = logits(panel.wait())
    panel.marks.value = "stale"
    for one, other in zip(seen, logits(panel.wait()), strict=True):
        assert torch.equal(one, other)
    assert "no mixture" in panel.result.what


def test_a_mixture_is_a_mixture_of_two_pictures_and_keeps_its_number(data):
    train = data.train[torch.arange(50)]
    shown = mixed(train, 1.0, seed=3)
    assert torch.equal(shown.indices, train.indices) and torch.equal(shown.labels, train.labels)
    for row in range(50):
        moved = (shown.inputs[row] - train.inputs[row]).flatten()
        if not moved.any():
            continue
        towards = (train.inputs - train.inputs[row]).flatten(1)
        share = (towards @ moved) / towards.square().sum(1).clamp(min=1e-9)
        gaps = (share[:, None] * towards - moved).abs().amax(1)
        assert gaps.min() < 1e-4 and 0 <= share[gaps.argmin()] <= 1 + 1e-4
    assert torch.equal(mixed(train, 1.0, seed=3).inputs, shown.inputs)
    assert not torch.equal(mixed(train, 1.0, seed=4).inputs, shown.inputs)
    assert mixed(train, 0.0) is train


def test_mixing_leaves_torchs_random_state_alone(data):
    before = torch.random.get_rng_state()
    mixed(data.train, 0.4, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_twins_learn_from_labels_and_plain_pictures_whatever_is_mixed(panel, data):
    draw, _ = drawing(data)
    first = panel.result
    assert first.new == 4
    for seed, run in enumerate(first.runs["labels"]):
        alone = kdlab.train("mlp-8", draw(100, seed), epochs=2, seed=seed, progress=False)
        torch.testing.assert_close(run.logits(), alone.logits(), rtol=0, atol=1e-4)
    panel.strength.value = 0.2
    again = panel.wait()
    assert again.new == 2  # those of labels are kept
    assert all(a is b for a, b in zip(first.runs["labels"], again.runs["labels"], strict=True))


def test_what_is_shown_says_strength_and_what_the_teacher_saw(panel):
    assert "mixtures of strength 1, teacher sees the mixture" in panel.result.what
    panel.marks.value = "stale"
    result = panel.wait()
    for text in (result.what, panel.picture.alt, str(result.verdict)):
        assert "the first picture alone (stale)" in text
    assert next(word for word, _ in panel.strength.options) == "none"


def test_refused_before_any_training(teacher, data):
    with pytest.raises(LookupError, match="fashion-cnn"):
        mixture("fashion-cn", data)
    with pytest.raises(LookupError, match="there is no choice"):
        mixture(teacher, data, marks="heard")
