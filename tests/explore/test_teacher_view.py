import math

import pytest
import torch

import kdlab
from kdlab.errors import Refusal
from kdlab.explore.teacher_view import LOOKED_AT, entropy, interesting, look, teacher_view


def test_every_setting_shows_its_own_picture(teacher, data, orders):
    panel = teacher_view(teacher, data)
    said = {}
    for control in (panel.example, panel.temperature):
        for value in orders(control):
            control.value = value
            key = (panel.example.value, panel.temperature.value)
            assert said.setdefault(key, panel.picture.alt) == panel.picture.alt
            assert panel.result.label in panel.picture.alt
    assert len(set(said.values())) == len(said)
    assert all(control.continuous_update for control in panel.controls.values())


def test_the_pictures_are_of_every_class_from_sure_to_doubtful(teacher, data):
    split, logits = interesting(teacher, data.validation, 10)
    doubt = entropy(logits.softmax(1))
    assert (doubt.diff() >= 0).all()
    assert torch.bincount(split.labels, minlength=10).tolist() == [4] * 10
    assert len(split.indices.unique()) == len(split)
    torch.testing.assert_close(logits, kdlab.signals.ask(teacher, split.inputs))


def test_the_teacher_is_asked_about_few_pictures_only(teacher, data):
    many = kdlab.data.Split(*(torch.cat([part] * 9) for part in vars(data.validation).values()))
    asked = []
    teacher.register_forward_pre_hook(lambda _, given: asked.append(len(given[0])))
    interesting(teacher, many, 10)
    assert sum(asked) == LOOKED_AT < len(many)


def test_what_is_said_is_softmax_at_t_and_its_entropy(teacher, data):
    split, logits = interesting(teacher, data.validation, 10)
    answer = look(split, logits, data.classes, 3, 4.0)
    expected = (logits[2] / 4).softmax(0)
    torch.testing.assert_close(answer.probabilities, expected)
    assert answer.entropy == pytest.approx(-(expected * expected.log()).sum().item(), abs=1e-5)
    assert answer.most_entropy == math.log(10)
    assert entropy(torch.tensor([[1.0, 0.0]])).item() == 0


def test_names_locks_and_codes(teacher, data):
    panel = teacher_view(teacher, data, code="example=5 temperature=4", lock=("temperature",))
    assert panel.settings == {"example": 5, "temperature": 4} and panel.temperature.disabled
    assert panel._repr_mimebundle_()[0]["text/plain"] == "[interactive panel: what a teacher says]"
    with pytest.raises(LookupError, match="fashion-cnn"):
        teacher_view("fashion-cn", data)
    with pytest.raises(Refusal, match="example=99"):
        teacher_view(teacher, data, example=99)


def test_flat_inputs_are_no_pictures(data):
    flat = kdlab.load_data((data.train.inputs.flatten(1), data.train.labels))
    with pytest.raises(Refusal, match="expected pictures"):
        teacher_view(kdlab.models.build("mlp-8", (64,), 10), flat)
