"""Lesson 2: what its checks say, and that its own solutions are those of the package."""

import torch

import kdlab
from kdlab.check import core, kd_loss, logit_matching_gradient
from tests.check.learners.kd_loss import (
    by_kl_div,
    matrices_that_do_not_fit,
    squares_of_probabilities,
)


def test_numbers_are_shown_as_numbers():
    message = core.examine(kd_loss, squares_of_probabilities).message
    assert "temperature     1\n" in message
    assert "alpha           0.3\n" in message
    message = core.examine(kd_loss, matrices_that_do_not_fit).message.replace("\n", " ")
    assert "labels of shape (1,), temperature 1.0 and alpha 0.3)." in message


def test_a_loss_without_gradient_gets_a_remark():
    finding = core.examine(kd_loss, lambda *given: by_kl_div(*given).detach())
    assert finding.state == "right"
    assert "no student can be trained" in finding.message
    assert "remark" not in core.examine(kd_loss, by_kl_div).message


def test_what_the_check_hands_back_trains_a_student(capsys):
    """The learner's own loss gives the very student that kdlab's gives."""
    data = kdlab.load_data("digits", train=100)
    teacher = kdlab.train("mlp-16", data, epochs=2, progress=False).student
    losses = [kdlab.check.kd_loss(by_kl_div, note=False), kdlab.losses.kd_loss]
    assert losses[0] is by_kl_div
    logits = [
        kdlab.distill(
            "mlp-8", teacher, data, loss=loss, epochs=2, progress=False, device="cpu"
        ).logits()
        for loss in losses
    ]
    assert torch.allclose(*logits, atol=1e-5)


def test_the_limit_is_where_the_gradient_goes():
    """Hinton's section 2.1, on the soft term: it is there at T = 1,000, and not at T = 1."""
    s, t = (torch.randn(6, 4, generator=torch.Generator().manual_seed(at)) for at in (1, 2))
    s = (3 * s.double()).requires_grad_()
    limit = logit_matching_gradient.reference(s.detach(), 3 * t.double())
    for temperature, near in ((1_000, True), (1, False)):
        loss = len(s) * kdlab.losses.soft_target_kl(s, 3 * t.double(), temperature)
        (gradient,) = torch.autograd.grad(loss, s)
        assert torch.allclose(gradient, limit, atol=0.01) == near
