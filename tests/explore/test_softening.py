import math
import time

import pytest
import torch

import kdlab
from kdlab.errors import Refusal
from kdlab.explore.softening import TEMPERATURES, soften, softening
from kdlab.explore.teacher_view import interesting


@pytest.fixture(scope="module")
def run(data):
    return kdlab.train("mlp-16", data, epochs=4, learning_rate=1e-2, progress=False, device="cpu")


@pytest.fixture
def panel(teacher, data, run):
    return softening(teacher, data, run)


def test_the_gradient_is_that_of_the_loss():
    """What autograd finds for kdlab's own soft term, T² and all."""
    student, teacher = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([3.0, 0.0, -1.0])
    for temperature in (0.5, 1.0, 4.0):
        logits = student.clone().requires_grad_()
        loss = kdlab.losses.soft_target_kl(logits[None], teacher[None], temperature)
        (gradient,) = torch.autograd.grad(loss, logits)
        now = soften(teacher, student, temperature)
        assert torch.allclose(temperature**2 * now.gradient, gradient, atol=1e-5)
        assert now.raw == pytest.approx(gradient.norm().item() / temperature**2, rel=1e-4)
        assert now.restored == pytest.approx(gradient.norm().item(), rel=1e-4)


def test_the_gradient_meets_its_limit():
    student, teacher = (
        torch.randn(5, generator=torch.Generator().manual_seed(at)).double() for at in (1, 2)
    )
    gaps = [
        (at**2 * now.gradient - now.limit).norm().item()
        for at in (1, 10, 100, 1_000)
        for now in [soften(teacher, student, at)]
    ]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 1e-3 < gaps[0]
    assert abs(soften(teacher, student, 3).limit.sum()) < 1e-12


def test_what_the_panel_holds_is_what_both_say(panel, teacher, data, run):
    panel.example.value, panel.temperature.value = 7, 4
    now = panel.result
    assert (now.example, now.temperature) == (7, 4)
    split, said = interesting(teacher, data.validation, len(data.classes))
    assert torch.allclose(now.teacher, (said[6] / 4).softmax(0))
    own = kdlab.signals.ask(run.student, split.inputs)[6]
    assert torch.allclose(now.student, (own / 4).softmax(0), atol=1e-6)
    assert now.entropy == pytest.approx(torch.special.entr(now.teacher).sum().item())


def test_without_a_student_all_its_logits_are_equal(teacher, data):
    panel = softening(teacher, data)
    assert torch.allclose(panel.result.student, torch.full((10,), 0.1))
    assert "a new student" in panel.picture.alt


def test_a_module_will_do_as_well_as_a_run(panel, teacher, data, run):
    again = softening(teacher, data, run.student)
    assert torch.equal(again.result.gradient, panel.result.gradient)


def test_every_setting_shows_its_own_picture(panel, orders):
    said = {}
    for example in orders(panel.example):
        panel.example.value = example
        for temperature in orders(panel.temperature):
            panel.temperature.value = temperature
            assert f"T={temperature:g}:" in panel.picture.alt
            key = (example, temperature)
            assert said.setdefault(key, panel.picture.png) == panel.picture.png
    assert len(set(said.values())) == len(said)


def test_the_words_follow_the_numbers(panel):
    panel.temperature.value = 100
    now = panel.result
    assert f"size {now.raw:.2g}, times T squared {now.restored:.2g}" in panel.picture.alt
    assert f"entropy {now.entropy:.2f} nats of at most {math.log(10):.2f}" in panel.picture.alt


def test_a_drag_is_followed_at_once(panel):
    """Under 100 ms a redraw, on a machine that does nothing else: counted in CPU time."""
    times = []
    for temperature in TEMPERATURES:
        began = time.process_time()
        panel.temperature.value = temperature
        times.append(time.process_time() - began)
    assert sorted(times)[len(times) // 2] < 0.1
    assert panel.temperature.continuous_update and panel.example.continuous_update


def test_code_lock_hide_and_the_fixed_line(teacher, data):
    panel = softening(teacher, data, code="example=5 temperature=20", lock=("temperature",))
    assert panel.settings == {"example": 5, "temperature": 20} and panel.temperature.disabled
    assert panel.code == "softening example=5 temperature=20"
    again = kdlab.explore.from_code(panel.code, teacher, data)
    assert again.picture.png == panel.picture.png
    line = panel._repr_mimebundle_()[0]["text/plain"]
    assert line == "[interactive panel: what a temperature does]"


def test_refusals(teacher, data):
    with pytest.raises(LookupError, match="fashion-cnn"):
        softening("fashion-cn", data)
    with pytest.raises(Refusal, match="example=99: there are 40 pictures"):
        softening(teacher, data, example=99)
    with pytest.raises(Refusal, match="the student has 7 classes and the teacher 10"):
        softening(teacher, data, kdlab.models.build("mlp-8", (1, 8, 8), 7))
    flat = kdlab.load_data((data.train.inputs.flatten(1), data.train.labels))
    with pytest.raises(Refusal, match="expected pictures"):
        softening(kdlab.models.build("mlp-8", (64,), 10), flat)
