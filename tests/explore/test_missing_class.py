import pytest
import torch

import kdlab
from kdlab.errors import Refusal
from kdlab.explore.missing_class import BIASES, answers, case, look, missing_class


@pytest.fixture(scope="module")
def without():
    return kdlab.load_data("digits", train=300, leave_out="3")


@pytest.fixture(scope="module")
def runs(without, teacher):
    options = {"epochs": 8, "learning_rate": 1e-2, "progress": False, "device": "cpu"}
    labels = kdlab.train("mlp-16", without, **options)
    return labels, kdlab.distill("mlp-16", teacher, without, alpha=0, **options)


@pytest.fixture
def panel(runs, without):
    return missing_class(*runs, without, missing="3")


def test_the_bias_is_added_to_one_logit_and_nothing_is_trained(runs, without, panel):
    weights = [run.student.state_dict()["head.bias"].clone() for run in runs]
    panel.bias.value = 6
    logits, labels = runs[1].logits().clone(), without.validation.labels
    logits[:, 3] += 6
    right = (logits.argmax(1) == labels).float()
    assert panel.result.bias == 6
    assert panel.result.found["teacher"] == pytest.approx(100 * right[labels == 3].mean().item())
    assert panel.result.accuracy["teacher"] == pytest.approx(right.mean().item())
    for run, before in zip(runs, weights, strict=True):
        assert torch.equal(run.student.state_dict()["head.bias"], before)


def test_more_bias_never_finds_fewer(runs, without):
    known = case(*runs, without, "3")
    for curve in known.curves.values():
        assert curve["found"] == sorted(curve["found"])
        assert len(curve["found"]) == len(BIASES) == 51


def test_each_student_has_its_own_best_bias(runs, without):
    known = case(*runs, without, 3)
    result = look(known, 0.0)
    for kind, bias in result.best_bias.items():
        at_best = look(known, bias).accuracy[kind]
        assert at_best == pytest.approx(result.best_bias_accuracy[kind])
        assert at_best == pytest.approx(max(look(known, b).accuracy[kind] for b in BIASES))


def test_the_answers_are_left_alone():
    logits = torch.tensor([[0.0, 1.0], [3.0, 1.0]])
    assert answers(logits, 0, 2.0).tolist() == [0, 0]
    assert logits.tolist() == [[0.0, 1.0], [3.0, 1.0]]


def test_every_bias_shows_its_own_picture(panel, orders):
    assert panel.bias.continuous_update and "3 logit" in panel.bias.description
    said = {}
    for value in orders(panel.bias):
        panel.bias.value = value
        assert f"{value:+.1f}" in panel.picture.alt
        assert said.setdefault(value, panel.picture.png) == panel.picture.png
    assert len(set(said.values())) == len(said)


def test_code_lock_and_the_fixed_line(runs, without, panel):
    panel.bias.value = 6.5
    assert panel.code == "missing_class bias=6.5"
    again = missing_class(*runs, without, "3", code=panel.code, lock=("bias",))
    assert again.result == panel.result and again.bias.disabled
    line = panel._repr_mimebundle_()[0]["text/plain"]
    assert line == "[interactive panel: the class the student never saw]"


def test_a_class_that_was_seen_is_refused(runs, without, data, teacher):
    seen = kdlab.train("mlp-8", data, epochs=1, progress=False)
    with pytest.raises(Refusal, match=r"from_labels was trained on \d+ pictures of '3'"):
        missing_class(seen, runs[1], without, "3")
    with pytest.raises(LookupError, match="class"):
        missing_class(*runs, without, "Trouser")
    with pytest.raises(Refusal, match="expected a run"):
        missing_class(runs[0], teacher, without, "3")


def test_a_saved_run_will_do(runs, without, panel, tmp_path):
    loaded = [kdlab.load_run(run.save(tmp_path / str(at))) for at, run in enumerate(runs)]
    again = missing_class(*loaded, without, "3")
    assert again.result == panel.result
