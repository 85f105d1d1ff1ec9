import pytest

import kdlab
from kdlab.errors import Refusal
from kdlab.explore.layer_pair import LOSSES, ON_MAPS, Trainer, layer_pair
from kdlab.explore.pairs import drawing
from kdlab.training import Stopped

OPTIONS = {"batch_size": 32, "temperature": 4, "alpha": 0.1, "learning_rate": 1e-2}


@pytest.fixture(scope="module")
def draw(data):
    take, _ = drawing(data)
    return lambda seed: take(96, seed)


@pytest.fixture
def trainer(cnn_teacher, draw):
    return Trainer("cnn-small", cnn_teacher, draw, OPTIONS)


@pytest.fixture
def compare(trainer):
    def with_changes(stop=lambda: False, progress=lambda *_: None, **changed):
        chosen = dict(
            student_layer="block2", teacher_layer="block2", loss="attention", weight=10, epochs=2,
            seeds=3,
        )  # fmt: skip
        return trainer.compare(stop, progress, **{**chosen, **changed})

    return with_changes


def test_it_is_the_student_that_distill_trains(compare, cnn_teacher, draw):
    result = compare()
    usual = LOSSES["attention"][1]
    match = kdlab.Match("block2", "block2", loss=kdlab.losses.attention_transfer, weight=10 * usual)
    for name, chosen in (("without", []), ("with", [match])):
        alone = kdlab.distill(
            "cnn-small", cnn_teacher, draw(1), match=chosen, epochs=2, seed=1, progress=False,
            watch=0, **OPTIONS,
        )  # fmt: skip
        run = result.runs[name][1]
        assert run.settings["seed"] == 1
        assert run.scores["accuracy"] == alone.scores["accuracy"]
    gaps = [
        guided.scores["accuracy"] - free.scores["accuracy"]
        for free, guided in zip(*result.runs.values(), strict=True)
    ]
    assert result.verdict.difference == pytest.approx(sum(gaps) / 3)


def test_the_similarity_is_the_mean_over_the_seeds(compare, cnn_teacher, data):
    result = compare()
    tables = [
        kdlab.layers.similarity(run.student, cnn_teacher, data.validation.inputs, examples=300)
        for run in result.runs["with"]
    ]
    mean = sum(tables) / 3
    assert (result.similarity["with"] - mean).abs().max().max() < 1e-6
    assert result.closer[1] == pytest.approx(mean.loc["block2", "block2"])


def test_a_match_makes_the_two_layers_alike(compare):
    before, after = compare(loss="similarity", weight=100, epochs=8, seeds=2).closer
    assert after > before


def test_twins_are_kept_while_only_the_match_changes(compare):
    first, again = compare(), compare(loss="hints", weight=1, teacher_layer="block1")
    assert (first.new, again.new) == (6, 3)
    assert all(a is b for a, b in zip(first.runs["without"], again.runs["without"], strict=True))
    assert compare(epochs=1).new == 6
    assert compare(seeds=2).new == 2


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_heard(compare, loss):
    result = compare(loss=loss, weight=1, seeds=1)
    assert "cannot tell" in str(result.verdict)
    history = result.runs["with"][0].history
    assert history[result.match.name].gt(0).all()
    assert result.runs["without"][0].logits().ne(result.runs["with"][0].logits()).any()


def test_it_stops_within_a_step_and_tells_how_far_it_is(compare, trainer):
    asked, told = [], []

    def stop():
        asked.append(1)
        return len(asked) == 10

    with pytest.raises(Stopped):
        compare(stop=stop, progress=lambda *far: told.append(far))
    assert len(asked) == 10 and told[:3] == [(1, 12), (2, 12), (3, 12)]
    assert not trainer.kept


def test_a_net_without_maps_gets_losses_on_vectors(teacher, data):
    panel = layer_pair(teacher, data, "mlp-8", examples=64, epochs=1, seeds=1)
    panel.wait()
    offered = {word for _, word in panel.loss.options}
    assert offered == set(LOSSES) - ON_MAPS
    assert panel.student_layer.value == "head"
    panel.close()


def test_the_picture_says_what_it_is(cnn_teacher, data):
    panel = layer_pair(
        cnn_teacher, data, teacher_layer="block1", loss="hints", examples=64, epochs=1, seeds=2
    )
    result = panel.wait()
    parts = (
        "hint_loss block2→block1",
        "cnn-small",
        "T = 4",
        "labels 0.10 · teacher 0.90",
        "2 pairs",
    )
    for part in parts:
        assert part in result.what and part in panel.picture.alt
    assert str(result.verdict) in panel.picture.alt and "64 pictures" in str(result.verdict)
    assert f"of the matched two {result.closer[0]:.2f} and" in panel.picture.alt
    panel.close()


def test_what_goes_wrong_is_said(cnn_teacher, data, compare):
    with pytest.raises(LookupError, match="hints"):
        layer_pair(cnn_teacher, data, loss="hint", examples=64)
    with pytest.raises(LookupError, match="block3"):
        layer_pair(cnn_teacher, data, teacher_layer="block3", examples=64)
    with pytest.warns(UserWarning, match="failed"), pytest.raises(Refusal, match="students failed"):
        compare(weight=float(10**42), loss="hints", seeds=1)
