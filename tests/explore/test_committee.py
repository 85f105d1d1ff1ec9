"""Several teachers in one panel: who is in, how they speak, and what a student makes of it."""

import dataclasses

import pytest
import torch

import kdlab
from kdlab.errors import Refusal
from kdlab.explore.committee import HOW, committee, together
from kdlab.explore.pairs import drawing

SMALL = {"examples": 100, "width": 8, "epochs": 2, "seeds": 2}
BOTH = ["good", "one that guesses"]


@pytest.fixture
def panel(teachers, data):
    made = committee(data, teachers=teachers, members=BOTH, **SMALL)
    made.wait()
    return made


def test_the_student_is_the_one_that_distill_trains_of_the_combined_teachers(panel, teachers, data):
    draw, _ = drawing(data)
    for seed, run in enumerate(panel.result.runs["teacher"]):
        drawn = draw(100, seed)
        said = kdlab.combine(teachers, drawn)
        alone = kdlab.distill(
            "mlp-8", said, drawn, temperature=1, alpha=0.1, epochs=2, seed=seed, progress=False
        )
        torch.testing.assert_close(run.logits(), alone.logits(), rtol=0, atol=1e-4)


def test_a_teacher_that_goes_out_is_not_heard_any_more(panel, teachers, data):
    both = panel.result
    panel.one_that_guesses.value = "out"
    alone = panel.wait()
    assert alone.teacher_accuracy > both.teacher_accuracy
    single = kdlab.explore.training(teachers["good"], data, alpha=0.1, temperature=1, **SMALL)
    for one, other in zip(alone.runs["teacher"], single.wait().runs["teacher"], strict=True):
        torch.testing.assert_close(one.logits(), other.logits(), rtol=0, atol=1e-4)
    assert "teacher: good ·" in alone.what and "one that guesses" not in panel.picture.alt


def test_with_nobody_in_both_twins_are_one_student_of_labels(panel):
    for name in ("good", "one_that_guesses"):
        panel.controls[name].value = "out"
    nobody = panel.wait()
    assert "teacher: nobody" in nobody.what and "labels 1.00" in nobody.what
    assert nobody.verdict.difference == 0
    for one, other in zip(*nobody.runs.values(), strict=True):
        assert one is other


@pytest.mark.parametrize("how", HOW)
def test_how_they_speak_is_combines(panel, teachers, data, how):
    panel.how.value = how
    drawn = drawing(data)[0](100, 0)
    said = kdlab.combine(teachers, dataclasses.replace(drawn, test=drawn.test[:0]), how)
    expected = kdlab.scores.accuracy(said.look_up(drawn.validation), drawn.validation.labels)
    result = panel.wait()
    assert result.teacher_accuracy == pytest.approx(expected)
    assert HOW[how] in result.what and HOW[how] in panel.picture.alt


def test_the_draws_of_all_seeds_are_together_each_picture_once(data):
    draw, _ = drawing(data)
    draws = [draw(100, seed) for seed in range(4)]
    whole = together(draws)
    everyone = torch.cat([one.train.indices for one in draws]).unique()
    assert torch.equal(whole.train.indices, everyone) and len(everyone) < 400
    by_index = dict(zip(whole.train.indices.tolist(), whole.train.inputs, strict=True))
    for number, row in zip(draws[3].train.indices.tolist(), draws[3].train.inputs, strict=True):
        assert torch.equal(by_index[number], row)
    assert not len(whole.test)


def test_each_teacher_has_a_control_named_after_it(panel):
    assert list(panel.controls)[:3] == ["good", "one_that_guesses", "how"]
    assert panel.one_that_guesses.description == "one that guesses"
    assert "one_that_guesses=in" in panel.code


def test_on_fashion_mnist_the_shipped_teachers_are_offered_beside_yours(teacher):
    panel = committee(teachers={"mine": teacher}, examples=250, epochs=1, seeds=1)
    panel.close()
    names = ["fashion_cnn", "fashion_cnn_early", "fashion_vgg", "fashion_inception", "mine"]
    assert list(panel.controls)[:5] == names
    assert [panel.controls[name].value for name in names] == ["in"] + 4 * ["out"]


def test_refused_before_any_training(teacher, data):
    with pytest.raises(Refusal, match="no teacher for digits"):
        committee(data)
    with pytest.raises(Refusal, match="type list: expected names and teachers"):
        committee(data, teachers=[teacher])
    with pytest.raises(Refusal, match="'best' is none of good"):
        committee(data, teachers={"good": teacher}, members=["best"])
    with pytest.raises(Refusal, match="names that differ in letters"):
        committee(data, teachers={"a-b": teacher, "a b": teacher})
    with pytest.raises(Refusal, match="none of examples"):
        committee(data, teachers={"alpha": teacher})
    with pytest.raises(LookupError, match="there is no choice"):
        committee(data, teachers={"good": teacher}, how="loudest")
