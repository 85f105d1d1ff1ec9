"""Answers to `mixup_loss`, as learners write them."""

import torch
import torch.nn.functional as F

import kdlab
from tests.check.answers import Answers

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong
soft_kl = kdlab.losses.soft_target_kl


def both(logits, y, w, order):
    return w * F.cross_entropy(logits, y) + (1 - w) * F.cross_entropy(logits, y[order])


def asked(teacher, x):
    with torch.no_grad():
        return teacher(x)


@right
def by_the_book(student, teacher, x, y, w, order, T, a):
    mix = w * x + (1 - w) * x[order]
    s = student(mix)
    return a * both(s, y, w, order) + (1 - a) * soft_kl(s, asked(teacher, mix), T)


@right
def by_one_hot(student, teacher, inputs, labels, weight, order, temperature, alpha):
    mix = torch.lerp(inputs[order], inputs, weight)
    said = asked(teacher, mix)
    hot = F.one_hot(labels, said.shape[1]).float()
    targets = weight * hot + (1 - weight) * hot[order]
    logits = student(mix)
    return alpha * F.cross_entropy(logits, targets) + (1 - alpha) * soft_kl(
        logits, said, temperature
    )


@right
def by_kl_div(student, teacher, x, y, w, order, T, a):
    x2, y2 = x.index_select(0, order), y.index_select(0, order)
    mix = x * w + x2 * (1.0 - w)
    q = F.log_softmax(student(mix) / T, dim=-1)
    p = F.log_softmax(teacher(mix).detach() / T, dim=-1)
    s = student(mix)
    hard = w * F.cross_entropy(s, y) + (1 - w) * F.cross_entropy(s, y2)
    kl = F.kl_div(q, p, reduction="batchmean", log_target=True)
    return a * hard + (1 - a) * T * T * kl


@right
def by_plain_sums(student, teacher, x, y, w, order, T, a):
    mix = x + (1 - w) * (x[order] - x)
    with torch.inference_mode():
        p = (teacher(mix) / T).softmax(1)
    s = student(mix)
    p, log_q, n = p.clone(), (s / T).log_softmax(1), len(x)
    soft = T**2 * (p * (p.log() - log_q)).sum() / n
    log_s, rows = s.log_softmax(1), torch.arange(n)
    hard = -(w * log_s[rows, y] + (1 - w) * log_s[rows, y[order]]).mean()
    return a * hard + (1 - a) * soft


@right
def in_lists(student, teacher, x, y, w, order, T, a):
    mix = torch.stack([w * x[i] + (1 - w) * x[j] for i, j in enumerate(order.tolist())])
    s = student(mix)
    return a * both(s, y, w, order) + (1 - a) * soft_kl(s, asked(teacher, mix), T)


@right
def by_kd_loss_twice(student, teacher, x, y, w, order, T, a):
    mix = w * x + (1 - w) * x[order]
    s, t = student(mix), asked(teacher, mix)
    one, other = (kdlab.losses.kd_loss(s, t, of, T, a) for of in (y, y[order]))
    return w * one + (1 - w) * other


def variant(name, **parts):
    """by_the_book with one thing done otherwise, named by what a learner would do."""

    def loss(student, teacher, x, y, w, order, T, a):
        partner = parts.get("partner", lambda rows, order: rows[order])
        x2, y2 = partner(x, order), partner(y, order)
        mix = parts.get("mix", lambda x, x2, w: w * x + (1 - w) * x2)(x, x2, w)
        with parts.get("guard", torch.no_grad)():
            t = parts.get("says", lambda teacher, mix, x, x2, w: teacher(mix))(
                teacher, mix, x, x2, w
            )
        s = student(parts.get("look", lambda mix, x: mix)(mix, x))
        ce = F.cross_entropy
        hard = parts.get("hard", lambda s, y, y2, w: w * ce(s, y) + (1 - w) * ce(s, y2))(
            s, y, y2, w
        )
        soft = parts.get("soft", soft_kl)(s, t, T)
        return parts.get("total", lambda hard, soft, a: a * hard + (1 - a) * soft)(hard, soft, a)

    wrong(name)(loss)


ce = F.cross_entropy
variant("stale-teacher", says=lambda teacher, mix, x, x2, w: teacher(x))
variant("stale-teacher", says=lambda teacher, mix, x, x2, w: teacher(x2))
variant("answers-mixed", says=lambda teacher, mix, x, x2, w: w * teacher(x) + (1 - w) * teacher(x2))
variant(
    "answers-mixed",
    says=lambda teacher, mix, x, x2, w: torch.log(
        w * F.softmax(teacher(x), 1) + (1 - w) * F.softmax(teacher(x2), 1)
    ),
)
variant("student-sees-no-mixture", look=lambda mix, x: x)
variant("inputs-not-mixed", mix=lambda x, x2, w: x)
variant("labels-not-mixed", hard=lambda s, y, y2, w: ce(s, y))
variant("labels-not-mixed", hard=lambda s, y, y2, w: ce(s, y2))
variant("larger-part-only", hard=lambda s, y, y2, w: ce(s, y if w > 0.5 else y2))
variant("weights-disagree", hard=lambda s, y, y2, w: (1 - w) * ce(s, y) + w * ce(s, y2))
variant("weights-disagree", mix=lambda x, x2, w: (1 - w) * x + w * x2)
variant(
    "weight-on-the-partner",
    mix=lambda x, x2, w: x + w * (x2 - x),
    hard=lambda s, y, y2, w: w * ce(s, y2) + (1 - w) * ce(s, y),
)
variant(
    "weight-ignored",
    mix=lambda x, x2, w: 0.5 * x + 0.5 * x2,
    hard=lambda s, y, y2, w: 0.5 * ce(s, y) + 0.5 * ce(s, y2),
)
variant("labels-unweighted", hard=lambda s, y, y2, w: ce(s, y) + ce(s, y2))
variant("labels-unweighted", hard=lambda s, y, y2, w: (ce(s, y) + ce(s, y2)) / 2)
variant("another-partner", partner=lambda rows, order: rows.flip(0))
variant("another-partner", partner=lambda rows, order: torch.roll(rows, 1, dims=0))
variant("teacher-gradients", guard=torch.enable_grad)
variant("alpha-swapped", total=lambda hard, soft, a: (1 - a) * hard + a * soft)
variant("swapped", soft=lambda s, t, T: soft_kl(t, s, T))
variant("temperature-ignored", soft=lambda s, t, T: soft_kl(s, t, 1))
variant(
    "square-missing",
    soft=lambda s, t, T: F.kl_div(
        F.log_softmax(s / T, 1), F.softmax(t / T, 1), reduction="batchmean"
    ),
)
variant("square-twice", soft=lambda s, t, T: T**2 * soft_kl(s, t, T))
variant("unknown", total=lambda hard, soft, a: hard + soft)
variant(
    "stale-teacher + alpha-swapped",
    says=lambda teacher, mix, x, x2, w: teacher(x),
    total=lambda hard, soft, a: (1 - a) * hard + a * soft,
)
variant(
    "student-sees-no-mixture + labels-not-mixed",
    look=lambda mix, x: x,
    hard=lambda s, y, y2, w: ce(s, y),
)


@wrong("no-gradient")
def as_a_number(student, teacher, x, y, w, order, T, a):
    return by_the_book(student, teacher, x, y, w, order, T, a).item()


@wrong("no-gradient")
def all_without_gradient(student, teacher, x, y, w, order, T, a):
    with torch.no_grad():
        return by_the_book(student, teacher, x, y, w, order, T, a)


@wrong("changes-input")
def in_place(student, teacher, x, y, w, order, T, a):
    mix = w * x + (1 - w) * x[order]
    s = student(mix)
    loss = a * both(s, y, w, order) + (1 - a) * soft_kl(s, asked(teacher, mix), T)
    x.copy_(mix)
    return loss


@wrong("raises RuntimeError")
def labels_as_numbers(student, teacher, x, y, w, order, T, a):
    return F.cross_entropy(student(w * x + (1 - w) * x[order]), w * y + (1 - w) * y[order])


@wrong("arguments")
def without_an_order(student, teacher, x, y, w, T, a):
    return None
