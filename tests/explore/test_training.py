import math
from collections import OrderedDict

import pytest
import torch

import kdlab
from kdlab.errors import Refusal
from kdlab.explore.pairs import drawing, train_pairs, weights
from kdlab.explore.training import training


@pytest.fixture
def panel(teacher, data):
    made = training(teacher, data, examples=100, width=8, epochs=2, seeds=2)
    made.wait()
    return made


@pytest.fixture
def small(teacher, data):
    """train_pairs with little to do, and the students of labels it keeps."""
    draw, _ = drawing(data)
    kept = OrderedDict()

    def train(stop=lambda: False, **changed):
        settings = dict(examples=100, temperature=4, alpha=0.1, width=8, epochs=2, seeds=3)
        return train_pairs(teacher, draw, kept, stop, lambda *_: None, **{**settings, **changed})

    train.kept = kept
    return train


def test_pairs_share_seed_start_and_examples(small):
    result = small()
    assert result.verdict.pairs == 3
    for seed in range(3):
        both = [result.runs[kind][seed] for kind in ("labels", "teacher")]
        assert [run.settings["seed"] for run in both] == [seed, seed]
        assert both[0].settings["data_seed"] == both[1].settings["data_seed"] == seed
    gaps = [
        teacher.scores["accuracy"] - labels.scores["accuracy"]
        for labels, teacher in zip(*result.runs.values(), strict=True)
    ]
    assert result.verdict.difference == pytest.approx(sum(gaps) / 3)


def test_each_seed_draws_its_own_examples(data):
    draw, _ = drawing(data)
    first, second, again = (draw(100, seed).train.indices for seed in (0, 1, 0))
    assert torch.equal(first, again) and not torch.equal(first, second)


def test_more_examples_than_there_are_are_refused(data):
    with pytest.raises(Refusal, match="301 examples asked for: this data has 300"):
        drawing(data)[0](301, 0)


def test_it_is_the_same_student_that_distill_trains(small, teacher, data):
    result = small(seeds=1)
    run = result.runs["teacher"][0]
    examples = drawing(data)[0](100, 0)
    alone = kdlab.distill(
        "mlp-8", teacher, examples, temperature=4, alpha=0.1, epochs=2, seed=0, progress=False
    )
    torch.testing.assert_close(run.logits(), alone.logits(), rtol=0, atol=1e-4)


def test_students_of_labels_are_kept_while_only_t_or_alpha_change(small):
    first = small()
    again = small(temperature=2, alpha=0.5)
    assert (first.new, again.new) == (6, 3)
    assert all(a is b for a, b in zip(first.runs["labels"], again.runs["labels"], strict=True))
    assert small(width=16).new == 6
    assert small(seeds=2).new == 2


def test_at_alpha_1_the_two_are_the_same_students(small):
    result = small(alpha=1.0)
    assert result.runs["teacher"] is result.runs["labels"]
    assert result.verdict.difference == 0 and not result.verdict.better


def test_one_seed_cannot_tell(small):
    assert "one run: cannot tell" in str(small(seeds=1).verdict)


def test_it_stops_within_a_step(small):
    asked = []

    def stop():
        asked.append(1)
        return len(asked) == 3

    with pytest.raises(kdlab.training.Stopped):
        small(stop=stop, epochs=20)
    assert len(asked) == 3 and not small.kept


@pytest.mark.filterwarnings("ignore:.* runs failed")
def test_a_student_whose_loss_turns_nan_is_told_and_not_kept(small):
    with pytest.raises(Refusal, match="the loss became nan at step 1"):
        small(temperature=1e-40)  # logits over T overflow
    assert not small.kept
    assert small().new == 6


def test_more_seeds_train_new_pairs_and_the_twins_of_those_that_were_kept(small):
    first, more = small(seeds=2), small(seeds=3)
    assert (first.new, more.new) == (4, 4)  # two for the new seed, one for each of the others
    for kind in ("labels", "teacher"):
        assert [run.settings["seed"] for run in more.runs[kind]] == [0, 1, 2]
        for run, again in zip(first.runs[kind], more.runs[kind], strict=False):
            torch.testing.assert_close(run.logits(), again.logits(), rtol=0, atol=1e-4)
    assert [run.settings["alpha"] for run in more.runs["teacher"]] == [0.1] * 3
    assert [run.settings["alpha"] for run in more.runs["labels"]] == [1.0] * 3


def test_the_bar_counts_rounds_up_to_all_of_them(teacher, data):
    draw, seen = drawing(data)[0], []
    settings = dict(examples=100, temperature=4, alpha=0.1, width=8, epochs=3, seeds=2)
    kept = OrderedDict()
    for wanted in ([(1, 3), (2, 3), (3, 3)],) * 2:  # all at once; then the teacher's alone
        seen.clear()
        train_pairs(teacher, draw, kept, lambda: False, lambda *now: seen.append(now), **settings)
        assert seen == wanted


def test_what_is_shown_says_what_it_is(panel):
    result = panel.result
    parts = ("mlp-8", "T = 1", "labels 0.10 · teacher 0.90", "100 pictures", "2 seeds", " s")
    for part in parts:
        assert part in result.what and part in panel.picture.alt
    assert str(result.verdict) in panel.picture.alt
    assert weights(0.25) == "labels 0.25 · teacher 0.75"


def test_controls_have_labels_and_wait_until_they_are_let_go(panel):
    for control in panel.controls.values():
        assert len(control.description.split()) > 1 or control.description == "epochs"
        assert not control.continuous_update


def test_code_hide_and_lock(teacher, data, panel):
    again = training(teacher, data, code=panel.code, hide=("epochs",), lock=("width",))
    assert again.settings == panel.settings
    assert again.epochs.layout.display == "none" and again.width.disabled
    assert again.wait().verdict == panel.result.verdict


def test_an_error_in_the_thread_is_raised_by_wait(teacher, data):
    panel = training(teacher, data, examples=100, width=8, epochs=1, seeds=1, temperature=-1)
    with pytest.raises(Refusal, match="temperature"):
        panel.wait()
    assert "temperature" in panel._status.value
    panel.temperature.value = 2
    assert panel.wait().settings["temperature"] == 2


def test_any_data_and_any_teacher(teacher, data):
    pair = (data.validation.inputs, data.validation.labels)
    _, sizes = drawing(pair)
    assert max(sizes) == 216  # 60 % of 359
    _, sizes = drawing("digits")
    assert sizes == [250, 500, 1_000]
    with pytest.raises(LookupError, match="fashion-mnist"):
        training(teacher, "fashion-mist")
    record = kdlab.record(teacher, data.train)
    panel = training(record, data, examples=100, width=8, epochs=1, seeds=1)
    assert math.isnan(panel.wait().teacher_accuracy)  # the record has no validation examples
    assert "nan" not in panel.picture.alt
