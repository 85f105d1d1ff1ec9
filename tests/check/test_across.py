"""Mutation testing of lesson 7's checks: each wrong answer gets its name, each right one passes.

The answers are written as learners write them, in many styles, and share no code with the bank.
"""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import kdlab
from kdlab.check import core
from kdlab.check.across import EXERCISES, QUIZZES, mixup_loss, shapley_of_three
from tests.check.answers import Answers

ANSWERS = Answers()
answer, right = ANSWERS.answer, ANSWERS.right
soft_kl = kdlab.losses.soft_target_kl


# ---------------------------------------------------------------- MixUp with a teacher


def both(logits, y, w, order):
    return w * F.cross_entropy(logits, y) + (1 - w) * F.cross_entropy(logits, y[order])


def asked(teacher, x):
    with torch.no_grad():
        return teacher(x)


@right(mixup_loss)
def by_the_book(student, teacher, x, y, w, order, T, a):
    mix = w * x + (1 - w) * x[order]
    s = student(mix)
    return a * both(s, y, w, order) + (1 - a) * soft_kl(s, asked(teacher, mix), T)


@right(mixup_loss)
def by_one_hot(student, teacher, inputs, labels, weight, order, temperature, alpha):
    mix = torch.lerp(inputs[order], inputs, weight)
    said = asked(teacher, mix)
    hot = F.one_hot(labels, said.shape[1]).float()
    targets = weight * hot + (1 - weight) * hot[order]
    logits = student(mix)
    return alpha * F.cross_entropy(logits, targets) + (1 - alpha) * soft_kl(
        logits, said, temperature
    )


@right(mixup_loss)
def by_kl_div(student, teacher, x, y, w, order, T, a):
    x2, y2 = x.index_select(0, order), y.index_select(0, order)
    mix = x * w + x2 * (1.0 - w)
    q = F.log_softmax(student(mix) / T, dim=-1)
    p = F.log_softmax(teacher(mix).detach() / T, dim=-1)
    s = student(mix)
    hard = w * F.cross_entropy(s, y) + (1 - w) * F.cross_entropy(s, y2)
    kl = F.kl_div(q, p, reduction="batchmean", log_target=True)
    return a * hard + (1 - a) * T * T * kl


@right(mixup_loss)
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


@right(mixup_loss)
def in_lists(student, teacher, x, y, w, order, T, a):
    mix = torch.stack([w * x[i] + (1 - w) * x[j] for i, j in enumerate(order.tolist())])
    s = student(mix)
    return a * both(s, y, w, order) + (1 - a) * soft_kl(s, asked(teacher, mix), T)


@right(mixup_loss)
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

    answer(mixup_loss, name)(loss)


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


@answer(mixup_loss, "no-gradient")
def as_a_number(student, teacher, x, y, w, order, T, a):
    return by_the_book(student, teacher, x, y, w, order, T, a).item()


@answer(mixup_loss, "no-gradient")
def all_without_gradient(student, teacher, x, y, w, order, T, a):
    with torch.no_grad():
        return by_the_book(student, teacher, x, y, w, order, T, a)


@answer(mixup_loss, "changes-input")
def in_place(student, teacher, x, y, w, order, T, a):
    mix = w * x + (1 - w) * x[order]
    s = student(mix)
    loss = a * both(s, y, w, order) + (1 - a) * soft_kl(s, asked(teacher, mix), T)
    x.copy_(mix)
    return loss


@answer(mixup_loss, "raises RuntimeError")
def labels_as_numbers(student, teacher, x, y, w, order, T, a):
    return F.cross_entropy(student(w * x + (1 - w) * x[order]), w * y + (1 - w) * y[order])


@answer(mixup_loss, "arguments")
def without_an_order(student, teacher, x, y, w, T, a):
    return None


# ---------------------------------------------------------------- the Shapley value of three


@right(shapley_of_three)
def written_out(v):
    a = (v[1, 0, 0] - v[0, 0, 0]) / 3 + (v[1, 1, 0] - v[0, 1, 0]) / 6
    a = a + (v[1, 0, 1] - v[0, 0, 1]) / 6 + (v[1, 1, 1] - v[0, 1, 1]) / 3
    b = (v[0, 1, 0] - v[0, 0, 0]) / 3 + (v[1, 1, 0] - v[1, 0, 0]) / 6
    b = b + (v[0, 1, 1] - v[0, 0, 1]) / 6 + (v[1, 1, 1] - v[1, 0, 1]) / 3
    c = (v[0, 0, 1] - v[0, 0, 0]) / 3 + (v[1, 0, 1] - v[1, 0, 0]) / 6
    c = c + (v[0, 1, 1] - v[0, 1, 0]) / 6 + (v[1, 1, 1] - v[1, 1, 0]) / 3
    return torch.tensor([a, b, c])


def over_orders(v, each=lambda before, after: after - before, divide=6):
    total = [0.0, 0.0, 0.0]
    for order in itertools.permutations(range(3)):
        inside = [0, 0, 0]
        for player in order:
            before = float(v[tuple(inside)])
            inside[player] = 1
            total[player] += each(before, float(v[tuple(inside)]))
    return [value / divide for value in total]


@right(shapley_of_three)
def by_all_orders(worth):
    return over_orders(worth)


@right(shapley_of_three)
def by_numpy(worth):
    v = worth.numpy().astype(float)
    weights = np.array([[2, 1], [1, 2]]) / 6
    return np.array(
        [(weights * (np.take(v, 1, axis) - np.take(v, 0, axis))).sum() for axis in range(3)]
    )


@right(shapley_of_three)
def by_kdlab(worth):
    table = {
        frozenset(name for name, there in zip("ABC", inside, strict=True) if there): worth[inside]
        for inside in itertools.product((0, 1), repeat=3)
    }
    return [kdlab.shapley_values(table)[name] for name in "ABC"]


@right(shapley_of_three)
def by_factorials(worth):
    values = []
    for player in range(3):
        others = [o for o in range(3) if o != player]
        value = 0
        for size in range(3):
            for inside in itertools.combinations(others, size):
                share = math.factorial(size) * math.factorial(2 - size) / 6
                without = tuple(int(o in inside) for o in range(3))
                joined = tuple(int(o in inside or o == player) for o in range(3))
                value += share * (worth[joined] - worth[without])
        values.append(value)
    return values


@right(shapley_of_three)
def by_diff(worth):
    gains = [worth.diff(dim=t).flatten() for t in range(3)]
    return torch.stack(gains) @ torch.tensor([2.0, 1.0, 1.0, 2.0]) / 6


def four(first, middle, last):
    """(gain alone, the two in between, gain at the end) weighed, for each player."""

    def values(v):
        gains = [v.diff(dim=t).flatten() for t in range(3)]
        return [first * g[0] + middle * (g[1] + g[2]) + last * g[3] for g in gains]

    return values


for name, weights in (
    ("alone-only", (1, 0, 0)),
    ("last-only", (0, 0, 1)),
    ("first-and-last", (0.5, 0, 0.5)),
    ("plain-mean", (0.25, 0.25, 0.25)),
    ("sixths", (1 / 6, 1 / 6, 1 / 6)),
    ("thirds", (1 / 3, 1 / 3, 1 / 3)),
    ("weights-swapped", (1 / 6, 1 / 3, 1 / 6)),
    ("sum-of-orders", (2, 1, 2)),
    ("unknown", (0.4, 0.1, 0.4)),
):
    answer(shapley_of_three, name)(four(*weights))


@answer(shapley_of_three, "none-forgotten")
def from_nothing(worth):
    v = worth.clone()
    v[0, 0, 0] = 0
    return over_orders(v)


@answer(shapley_of_three, "worth-not-gain")
def worth_of_each(worth):
    return over_orders(worth, each=lambda before, after: after)


@answer(shapley_of_three, "sign")
def the_other_way_round(worth):
    return over_orders(worth, each=lambda before, after: before - after)


@answer(shapley_of_three, "sum-of-orders")
def not_divided(worth):
    return over_orders(worth, divide=1)


@answer(shapley_of_three, "equal-shares")
def alike(worth):
    return [(worth[1, 1, 1] - worth[0, 0, 0]) / 3] * 3


@answer(shapley_of_three, "equal-shares")
def alike_of_all(worth):
    return 3 * [worth[1, 1, 1] / 3]


@answer(shapley_of_three, "shares-of-one")
def in_shares(worth):
    values = torch.tensor(over_orders(worth))
    return values / values.sum()


@answer(shapley_of_three, "reversed")
def backwards(worth):
    return over_orders(worth)[::-1]


@answer(shapley_of_three, "sum-of-orders + sign")
def summed_and_turned(worth):
    return over_orders(worth, each=lambda before, after: before - after, divide=1)


@answer(shapley_of_three, "changes-input")
def in_place_of_the_table(worth):
    values = over_orders(worth)
    worth -= worth[0, 0, 0].clone()
    return values


@answer(shapley_of_three, "raises IndexError")
def one_player_too_many(worth):
    return [worth[1, 0, 0, 0]]


@answer(shapley_of_three, "shape")
def only_the_first(worth):
    return over_orders(worth)[:2]


# ---------------------------------------------------------------- the tests


@pytest.mark.parametrize(
    ("exercise", "name", "f"),
    ANSWERS,
    ids=[f"{e.name}-{at}-{name}" for at, (e, name, _) in enumerate(ANSWERS)],
)
def test_answer_gets_its_name(exercise, name, f):
    finding = core.examine(exercise, f)
    assert (finding.mistake or finding.state) == name, finding.message
    assert (finding.state == "right") == (name == "right")


def test_every_mistake_of_the_bank_has_a_wrong_answer_here():
    tried = {(exercise.name, name) for exercise, name, _ in ANSWERS}
    bank = {(exercise.name, m.name) for exercise in EXERCISES for m in exercise.mistakes}
    assert bank <= tried


def test_each_exercise_has_several_right_answers():
    for exercise in EXERCISES:
        assert sum(e is exercise and name == "right" for e, name, _ in ANSWERS) >= 6


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_an_open_exercise_is_open(exercise):
    assert core.examine(exercise, lambda *given: None).state == "not yet"
    assert core.examine(exercise, lambda *given: ...).state == "not yet"


def test_the_table_is_shown_with_expected_and_own_values():
    message = core.examine(shapley_of_three, four(0.4, 0.1, 0.4)).message
    assert "worth     [[[" in message and "expected  [" in message and "yours     [" in message


def test_our_shapley_values_are_kdlab_s():
    worth = torch.randn(2, 2, 2, generator=torch.Generator().manual_seed(3))
    found = shapley_of_three.reference(worth)
    torch.testing.assert_close(found, torch.tensor(by_kdlab(worth), dtype=torch.float32))
    assert found.sum() == pytest.approx(float(worth[1, 1, 1] - worth[0, 0, 0]), abs=1e-6)


def test_our_mixup_loss_is_the_one_that_distill_has_under_mixup():
    """With the mixture as the examples, the teacher asked about it, and mixed labels."""
    inputs, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 2, 1, 0])
    order, weight = torch.tensor([3, 0, 4, 5, 2, 1]), 0.7
    student, teacher = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3).eval()
    mixed = weight * inputs + (1 - weight) * inputs[order]
    hot = F.one_hot(labels, 3).float()
    targets = weight * hot + (1 - weight) * hot[order]
    expected = kdlab.losses.kd_loss(student(mixed), teacher(mixed), targets, 3.0, 0.4)
    found = mixup_loss.reference(student, teacher, inputs, labels, weight, order, 3.0, 0.4)
    torch.testing.assert_close(found, expected)


def test_each_question_has_one_right_answer_and_a_word_on_each():
    for question in QUIZZES:
        assert [option.right for option in question.options].count(True) == 1
        assert all(len(option.explanation) > 60 for option in question.options)
    places = [[o.right for o in question.options].index(True) for question in QUIZZES]
    assert len(set(places)) > 1
