"""Label noise, and teachers of every quality."""

import pytest
import torch

import kdlab
from kdlab.errors import Refusal
from kdlab.explore.pairs import drawing
from kdlab.explore.trust import trust

SMALL = {"examples": 100, "width": 8, "epochs": 2, "seeds": 2}


@pytest.fixture
def panel(teachers, data):
    made = trust(data, teachers=teachers, **SMALL)
    made.wait()
    return made


def students(result, kind):
    return [run.logits() for run in result.runs[kind]]


def test_both_twins_learn_from_the_same_noisy_labels(teacher, data):
    draw, _ = drawing(data)
    clean, noisy = draw(200, 0), draw(200, 0, 0.5)
    assert torch.equal(clean.train.indices, noisy.train.indices)
    assert torch.equal(clean.train.inputs, noisy.train.inputs)
    changed = (clean.train.labels != noisy.train.labels).float().mean().item()
    assert 0.3 < changed < 0.5  # half drawn anew, from ten classes: a tenth of them stays right
    assert torch.equal(clean.validation.labels, noisy.validation.labels)
    panel = trust(data, teachers={"good": teacher}, noise=0.5, **SMALL)
    result = panel.wait()
    for kind, alpha in (("labels", 1.0), ("teacher", 0.5)):
        for seed, run in enumerate(result.runs[kind]):
            alone = kdlab.distill(
                "mlp-8", teacher, draw(100, seed, 0.5), temperature=4, alpha=alpha, epochs=2,
                seed=seed, progress=False,
            )  # fmt: skip
            torch.testing.assert_close(run.logits(), alone.logits(), rtol=0, atol=1e-4)
            assert run.settings["data_label_noise"] == 0.5


def test_noise_of_a_named_data_set_is_load_datas():
    draw, _ = drawing("digits")
    ours, theirs = draw(250, 1, 0.4), kdlab.load_data("digits", train=250, seed=1, label_noise=0.4)
    assert torch.equal(ours.train.labels, theirs.train.labels)
    assert draw(250, 1) is draw(250, 1)  # kept


@pytest.mark.parametrize("noise", [-0.1, 1.5])
def test_noise_is_a_share(teachers, data, noise):
    panel = trust(data, teachers=teachers, noise=noise, **SMALL)
    with pytest.raises(Refusal, match="from 0 to 1"):
        panel.wait()


def test_another_noise_trains_both_again_and_no_student_is_mixed_up(panel):
    first = panel.result
    assert first.new == 4 and first.settings["noise"] == 0.4
    panel.noise.value = 0.0
    clean = panel.wait()
    assert clean.new == 4
    for kind in ("labels", "teacher"):
        for noisy_logits, logits in zip(students(first, kind), students(clean, kind), strict=True):
            assert not torch.equal(noisy_logits, logits)
    panel.noise.value = 0.4
    again = panel.wait()
    assert again.new == 2  # those of labels are kept
    assert all(a is b for a, b in zip(first.runs["labels"], again.runs["labels"], strict=True))
    assert again.verdict == first.verdict


def test_another_teacher_teaches_others_and_is_the_one_that_is_agreed_with(panel, teachers):
    good = panel.result
    panel.teacher.value = "one that guesses"
    poor = panel.wait()
    assert poor.teacher_accuracy < 0.3 < good.teacher_accuracy
    for of_good, of_poor in zip(good.runs["labels"], poor.runs["labels"], strict=True):
        assert torch.equal(of_good.logits(), of_poor.logits())  # labels alone: the same student
        assert of_good.scores["agreement"] != of_poor.scores["agreement"]
    for of_good, of_poor in zip(good.runs["teacher"], poor.runs["teacher"], strict=True):
        assert not torch.equal(of_good.logits(), of_poor.logits())
    said = "teacher: one that guesses"
    assert said in poor.what and said in panel.picture.alt


def test_what_is_shown_says_noise_teacher_and_both_weights(panel):
    parts = (
        "mlp-8", "teacher: good", "T = 4", "labels 0.50 · teacher 0.50", "2 seeds",
        "4 trained in", "100 pictures, 40 % of their labels random",
    )  # fmt: skip
    for part in parts:
        assert part in panel.result.what and part in panel.picture.alt
    assert "40 % of their labels random" in str(panel.result.verdict)
    panel.noise.value = 0.0
    assert "random" not in panel.wait().what


def test_controls_have_labels_and_their_readouts_units(panel):
    assert [word for word, _ in panel.noise.options][:3] == ["0 %", "10 %", "20 %"]
    assert list(panel.controls)[:2] == ["noise", "teacher"]
    assert [word for word, _ in panel.teacher.options] == ["good", "one that guesses"]
    assert panel.alpha.label == "labels 0.50 · teacher 0.50"


def test_on_fashion_mnist_three_checkpoints_are_offered_beside_your_own(teacher):
    panel = trust(teachers={"mine": teacher}, examples=250, epochs=1, seeds=1)
    panel.close()
    assert [word for word, _ in panel.teacher.options] == ["early", "middle", "final", "mine"]
    assert panel.teacher.value == "final"
    chosen = trust(teacher="early", examples=250, epochs=1, seeds=1)
    chosen.close()
    assert chosen.teacher.value == "early"


def test_teachers_are_refused_before_any_training(teacher, data):
    with pytest.raises(Refusal, match="no teacher for digits"):
        trust(data)
    with pytest.raises(Refusal, match="type list: expected names and teachers"):
        trust(data, teachers=[teacher])
    with pytest.raises(LookupError, match="there is no choice for 'teacher' 'best'"):
        trust(data, teachers={"good": teacher}, teacher="best")
    with pytest.raises(LookupError, match="fashion-cnn"):
        trust(data, teachers={"good": "fashion-cn"})
    with pytest.raises(LookupError, match="data set"):
        trust("fashion-mist", teachers={"good": teacher})
