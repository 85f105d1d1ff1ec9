"""Mutation testing of lesson 3's checks: each wrong answer gets its name, each right one passes.

The answers are written as learners write them, in many styles, and share no code with the bank.
"""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from torch import nn

import kdlab
from kdlab import schedules
from kdlab.check import core
from kdlab.check.alpha import EXERCISES, cosine_schedule, distill_step, paired_interval
from tests.check.answers import Answers

ANSWERS = Answers()
answer, right = ANSWERS.answer, ANSWERS.right


# ---------------------------------------------------------------- a training step


def update(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def asked(teacher, inputs):
    teacher.eval()
    with torch.no_grad():
        return teacher(inputs)


@right(distill_step)
def by_kd_loss(student, teacher, optimizer, inputs, labels, T, alpha):
    said = asked(teacher, inputs)
    return update(optimizer, kdlab.losses.kd_loss(student(inputs), said, labels, T, alpha))


@right(distill_step)
def by_kl_div(student, teacher, optimizer, x, y, T, alpha):
    said = asked(teacher, x)
    optimizer.zero_grad()
    z = student(x)
    soft = F.kl_div(
        F.log_softmax(z / T, 1), F.log_softmax(said / T, 1), log_target=True, reduction="batchmean"
    )
    loss = alpha * F.cross_entropy(z, y) + (1 - alpha) * T**2 * soft
    loss.backward()
    optimizer.step()
    return loss


@right(distill_step)
def detached(student, teacher, optimizer, inputs, labels, T, alpha):
    teacher = teacher.eval()
    z, t = student(inputs), teacher(inputs).detach()
    hard, soft = F.cross_entropy(z, labels), kdlab.losses.soft_target_kl(z, t, T)
    return update(optimizer, alpha * hard + (1 - alpha) * soft)


@right(distill_step)
def frozen(student, teacher, optimizer, inputs, labels, T, alpha):
    teacher.requires_grad_(False).train(False)
    loss = kdlab.losses.kd_loss(student(inputs), teacher(inputs), labels, T, alpha)
    return update(optimizer, loss)


@right(distill_step)
def two_backwards(student, teacher, optimizer, inputs, labels, T, alpha):
    said, z = asked(teacher, inputs), student(inputs)
    hard = alpha * F.cross_entropy(z, labels)
    soft = (1 - alpha) * kdlab.losses.soft_target_kl(z, said, T)
    student.zero_grad()
    hard.backward(retain_graph=True)
    soft.backward()
    optimizer.step()
    return (hard + soft).detach()


@right(distill_step)
def zeroed_afterwards(student, teacher, optimizer, inputs, labels, T, alpha):
    loss = kdlab.losses.kd_loss(student(inputs), asked(teacher, inputs), labels, T, alpha)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss


@right(distill_step)
def by_hand(student, teacher, optimizer, inputs, labels, T, alpha):
    said = asked(teacher, inputs)
    loss = kdlab.losses.kd_loss(student(inputs), said, labels, T, alpha)
    rate = optimizer.param_groups[0]["lr"]
    weights = list(student.parameters())
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.data -= rate * gradient
    return loss.item()


def with_terms(mix, said=asked):
    def step(student, teacher, optimizer, inputs, labels, temperature, alpha):
        answers, z = said(teacher, inputs), student(inputs)
        hard = nn.CrossEntropyLoss()(z, labels)
        soft = temperature**2 * nn.KLDivLoss(reduction="batchmean")(
            F.log_softmax(z / temperature, -1), F.softmax(answers / temperature, -1)
        )
        return update(optimizer, mix(hard, soft, alpha))

    return step


def with_soft(soft):
    def step(student, teacher, optimizer, inputs, labels, temperature, alpha):
        answers, z = asked(teacher, inputs), student(inputs)
        told = soft(z, answers, temperature)
        return update(optimizer, alpha * F.cross_entropy(z, labels) + (1 - alpha) * told)

    return step


@answer(distill_step, "teacher-in-training-mode")
def without_eval(student, teacher, optimizer, inputs, labels, T, alpha):
    with torch.no_grad():
        said = teacher(inputs)
    return update(optimizer, kdlab.losses.kd_loss(student(inputs), said, labels, T, alpha))


@answer(distill_step, "teacher-in-training-mode")
def eval_of_the_student(student, teacher, optimizer, inputs, labels, T, alpha):
    student.eval()
    teacher.train()
    with torch.no_grad():
        said = teacher(inputs)
    return update(optimizer, kdlab.losses.kd_loss(student(inputs), said, labels, T, alpha))


@answer(distill_step, "teacher-gradients")
def without_no_grad(student, teacher, optimizer, inputs, labels, T, alpha):
    teacher.eval()
    loss = kdlab.losses.kd_loss(student(inputs), teacher(inputs), labels, T, alpha)
    return update(optimizer, loss)


@answer(distill_step, "gradients-pile-up")
def without_zero_grad(student, teacher, optimizer, inputs, labels, T, alpha):
    loss = kdlab.losses.kd_loss(student(inputs), asked(teacher, inputs), labels, T, alpha)
    loss.backward()
    optimizer.step()
    return loss


@answer(distill_step, "student-stands-still")
def only_the_loss(student, teacher, optimizer, inputs, labels, T, alpha):
    return kdlab.losses.kd_loss(student(inputs), asked(teacher, inputs), labels, T, alpha)


@answer(distill_step, "student-stands-still")
def without_backward(student, teacher, optimizer, inputs, labels, T, alpha):
    loss = kdlab.losses.kd_loss(student(inputs), asked(teacher, inputs), labels, T, alpha)
    optimizer.zero_grad()
    optimizer.step()
    return loss


@answer(distill_step, "student-stands-still")
def zero_grad_too_late(student, teacher, optimizer, inputs, labels, T, alpha):
    loss = kdlab.losses.kd_loss(student(inputs), asked(teacher, inputs), labels, T, alpha)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss


@answer(distill_step, "student-stands-still")
def all_under_no_grad(student, teacher, optimizer, inputs, labels, T, alpha):
    teacher.eval()
    with torch.no_grad():
        return kdlab.losses.kd_loss(student(inputs), teacher(inputs), labels, T, alpha)


MIXES = {
    "weights-swapped": lambda hard, soft, a: (1 - a) * hard + a * soft,
    "minus": lambda hard, soft, a: a * hard - (1 - a) * soft,
    "one-weight-for-both": lambda hard, soft, a: hard * a + soft * a,
    "labels-full-weight": lambda hard, soft, a: hard + (1 - a) * soft,
    "teacher-full-weight": lambda hard, soft, a: a * hard + soft,
    "one-voice": lambda hard, soft, a: (1 - a) * soft,
}
for name, mix in MIXES.items():
    answer(distill_step, name)(with_terms(mix))
answer(distill_step, "one-weight-for-both")(with_terms(lambda hard, soft, a: hard + soft))
answer(distill_step, "one-weight-for-both")(with_terms(lambda hard, soft, a: (hard + soft) / 2))
answer(distill_step, "one-voice")(with_terms(lambda hard, soft, a: hard))


@answer(distill_step, "swapped")
def teacher_first(student, teacher, optimizer, inputs, labels, T, alpha):
    said = asked(teacher, inputs)
    z = student(inputs)
    soft = kdlab.losses.soft_target_kl(said, z, T)
    return update(optimizer, alpha * F.cross_entropy(z, labels) + (1 - alpha) * soft)


@answer(distill_step, "labels-softened")
def soft_labels(student, teacher, optimizer, inputs, labels, T, alpha):
    said, z = asked(teacher, inputs), student(inputs)
    soft = kdlab.losses.soft_target_kl(z, said, T)
    return update(optimizer, alpha * F.cross_entropy(z / T, labels) + (1 - alpha) * soft)


def batchmean(z, t):
    return F.kl_div(z.log_softmax(1), t.softmax(1), reduction="batchmean")


answer(distill_step, "temperature-ignored")(with_soft(lambda z, t, T: batchmean(z, t)))
answer(distill_step, "square-missing")(with_soft(lambda z, t, T: batchmean(z / T, t / T)))
answer(distill_step, "square-twice")(
    with_soft(lambda z, t, T: T * T * kdlab.losses.soft_target_kl(z, t, T))
)
answer(distill_step, "unknown")(with_soft(lambda z, t, T: F.mse_loss(z, t)))


@answer(distill_step, "gradients-pile-up + weights-swapped")
def swapped_and_piling_up(student, teacher, optimizer, inputs, labels, T, alpha):
    loss = kdlab.losses.kd_loss(student(inputs), asked(teacher, inputs), labels, T, 1 - alpha)
    loss.backward()
    optimizer.step()
    return loss.item()


@answer(distill_step, "teacher-in-training-mode + teacher-gradients")
def the_teacher_trains_too(student, teacher, optimizer, inputs, labels, T, alpha):
    return update(
        optimizer, kdlab.losses.kd_loss(student(inputs), teacher(inputs), labels, T, alpha)
    )


@answer(distill_step, "unknown")
def two_steps_at_once(student, teacher, optimizer, inputs, labels, T, alpha):
    by_kd_loss(student, teacher, optimizer, inputs, labels, T, alpha)
    return by_kd_loss(student, teacher, optimizer, inputs, labels, T, alpha)


@answer(distill_step, "raises AttributeError")
def asks_the_batch(student, teacher, optimizer, inputs, labels, T, alpha):
    return inputs.logits


@answer(distill_step, "arguments")
def without_optimizer(student, teacher, inputs, labels, T, alpha):
    return by_kd_loss(student, teacher, None, inputs, labels, T, alpha)


# ---------------------------------------------------------------- an interval


@right(paired_interval)
def by_formula(a, b):
    d = b - a
    n = len(d)
    half = stats.t.ppf(0.975, n - 1) * d.std() / n**0.5
    return d.mean() - half, d.mean() + half


@right(paired_interval)
def by_scipy(a, b):
    d = (b - a).numpy()
    return stats.t.interval(0.95, len(d) - 1, loc=d.mean(), scale=stats.sem(d))


@right(paired_interval)
def by_paired_test(a, b):
    return stats.ttest_rel(b.double(), a.double()).confidence_interval(0.95)


@right(paired_interval)
def by_kdlab(a, b):
    return kdlab.verdicts.interval((b - a).tolist())


@right(paired_interval)
def by_numpy(a, b):
    d = b.double().numpy() - a.double().numpy()
    error = np.std(d, ddof=1) / np.sqrt(d.size)
    return d.mean() + np.array([-1, 1]) * stats.t.ppf(1 - 0.05 / 2, d.size - 1) * error


@right(paired_interval)
def by_plain_python(a, b):
    d = [float(y - x) for x, y in zip(a, b, strict=True)]
    n, mean = len(d), sum(d) / len(d)
    s = math.sqrt(sum((x - mean) ** 2 for x in d) / (n - 1))
    half = float(stats.t.isf(0.025, n - 1)) * s / math.sqrt(n)
    return [mean - half, mean + half]


def ends(mean, half):
    return mean - half, mean + half


@answer(paired_interval, "normal-quantile")
def by_normal(a, b):
    d = b - a
    return ends(d.mean(), 1.96 * d.std() / len(d) ** 0.5)


@answer(paired_interval, "normal-quantile")
def by_norm_ppf(a, b):
    d = (b - a).double().numpy()
    return stats.norm.interval(0.95, d.mean(), stats.sem(d))


@answer(paired_interval, "normal-quantile")
def by_two(a, b):
    d = b - a
    return ends(d.mean(), 2 * stats.sem(d.numpy()))


@answer(paired_interval, "root-missing")
def by_deviation(a, b):
    d = b - a
    return ends(d.mean(), stats.t.ppf(0.975, len(d) - 1) * d.std())


@answer(paired_interval, "divided-by-n")
def by_deviation_over_n(a, b):
    d = b - a
    return ends(d.mean(), stats.t.ppf(0.975, len(d) - 1) * d.std() / len(d))


@answer(paired_interval, "variance")
def by_variance(a, b):
    d = b - a
    return ends(d.mean(), stats.t.ppf(0.975, len(d) - 1) * d.var() / len(d) ** 0.5)


@answer(paired_interval, "population-deviation")
def by_numpy_std(a, b):
    d = (b - a).numpy()
    return ends(d.mean(), stats.t.ppf(0.975, len(d) - 1) * d.std() / np.sqrt(len(d)))


@answer(paired_interval, "one-sided")
def by_ninety(a, b):
    d = b - a
    return ends(d.mean(), stats.t.ppf(0.95, len(d) - 1) * d.std() / len(d) ** 0.5)


@answer(paired_interval, "n-degrees")
def by_n_degrees(a, b):
    d = b - a
    return ends(d.mean(), stats.t.ppf(0.975, len(d)) * d.std() / len(d) ** 0.5)


@answer(paired_interval, "unpaired")
def by_two_samples(a, b):
    return stats.ttest_ind(b.double(), a.double()).confidence_interval(0.95)


@answer(paired_interval, "unpaired")
def by_welch(a, b):
    return stats.ttest_ind(b.double(), a.double(), equal_var=False).confidence_interval(0.95)


@answer(paired_interval, "unpaired")
def by_two_errors(a, b):
    n = len(a)
    half = stats.t.ppf(0.975, n - 1) * math.sqrt(a.var() / n + b.var() / n)
    return ends(b.mean() - a.mean(), half)


@answer(paired_interval, "sign")
def the_other_way_round(a, b):
    return by_formula(b, a)


@answer(paired_interval, "mean-and-half")
def plus_minus(a, b):
    d = b - a
    return d.mean(), stats.t.ppf(0.975, len(d) - 1) * d.std() / len(d) ** 0.5


@answer(paired_interval, "high-first")
def upside_down(a, b):
    return by_formula(a, b)[::-1]


@answer(paired_interval, "around-zero")
def without_the_mean(a, b):
    half = stats.t.ppf(0.975, len(a) - 1) * (b - a).std() / len(a) ** 0.5
    return -half, half


@answer(paired_interval, "candidate-alone")
def one_group(a, b):
    return kdlab.verdicts.interval(b.tolist())


@answer(paired_interval, "where-runs-lie")
def smallest_and_largest(a, b):
    return min(b - a), max(b - a)


@answer(paired_interval, "where-runs-lie")
def percentiles(a, b):
    return np.percentile((b - a).numpy(), [2.5, 97.5])


@answer(paired_interval, "normal-quantile + sign")
def normal_and_turned(a, b):
    return by_normal(b, a)


@answer(paired_interval, "normal-quantile + population-deviation")
def numpy_and_normal(a, b):
    d = (b - a).numpy()
    return d.mean() - 1.96 * d.std() / len(d) ** 0.5, d.mean() + 1.96 * d.std() / len(d) ** 0.5


@answer(paired_interval, "normal-quantile + root-missing")
def two_deviations(a, b):
    d = b - a
    return ends(d.mean(), 2 * d.std())


@answer(paired_interval, "shape")
def one_half(a, b):
    return stats.t.ppf(0.975, len(a) - 1) * (b - a).std() / len(a) ** 0.5


@answer(paired_interval, "unknown")
def of_ninety_nine(a, b):
    d = b - a
    return ends(d.mean(), stats.t.ppf(0.995, len(d) - 1) * d.std() / len(d) ** 0.5)


@answer(paired_interval, "changes-input")
def subtracts_in_place(a, b):
    b -= a
    return kdlab.verdicts.interval(b.tolist())


# ---------------------------------------------------------------- a schedule


@right(cosine_schedule)
def by_math(p, a, b):
    return b + 0.5 * (a - b) * (1 + math.cos(math.pi * p))


@right(cosine_schedule)
def upwards(progress, start, end):
    return start + (end - start) * (1 - math.cos(progress * math.pi)) / 2


@right(cosine_schedule)
def by_shares(progress, start, end):
    share = (1 + np.cos(np.pi * progress)) / 2
    return share * start + (1 - share) * end


@right(cosine_schedule)
def by_squares(progress, start, end):
    turn = math.pi * progress / 2
    return start * math.cos(turn) ** 2 + end * math.sin(turn) ** 2


@right(cosine_schedule)
def by_torch(progress, start, end):
    return torch.lerp(
        torch.tensor(end),
        torch.tensor(start),
        (1 + torch.cos(torch.tensor(torch.pi * progress))) / 2,
    )


@right(cosine_schedule)
def by_kdlab_schedule(progress, start, end):
    return schedules.cosine(start, end)(progress)


def along(share):
    return lambda progress, start, end: end + (start - end) * share(progress)


WAYS = [
    ("linear", lambda p: 1 - p),
    ("whole-turn", lambda p: 0.5 + 0.5 * math.cos(2 * math.pi * p)),
    ("quarter-turn", lambda p: math.cos(p * math.pi / 2)),
    ("quarter-turn", lambda p: 1 - math.sin(p * math.pi / 2)),
    ("quarter-turn", lambda p: (1 + math.cos(p * math.pi / 2)) / 2),
    ("pi-missing", lambda p: (1 + math.cos(p)) / 2),
    ("degrees", lambda p: (1 + math.cos(180 * p)) / 2),
    ("epochs", lambda p: (1 + math.cos(math.pi * p / 20)) / 2),
    ("epochs", lambda p: 0.5 * (1 + math.cos(math.pi * (p / 30)))),
    ("half-missing", lambda p: 1 + math.cos(math.pi * p)),
    ("bare-cosine", lambda p: math.cos(math.pi * p)),
    ("sine", lambda p: math.sin(math.pi * p)),
    ("sine", lambda p: 1 - math.sin(math.pi * p)),
    ("sine", lambda p: (1 + math.sin(math.pi * p)) / 2),
    ("unknown", lambda p: 1 - p**2),
    ("unknown", lambda p: math.exp(-p)),
]
for name, share in WAYS:
    answer(cosine_schedule, name)(along(share))


@answer(cosine_schedule, "reversed")
def backwards(progress, start, end):
    return start + (end - start) * (1 + math.cos(math.pi * progress)) / 2


@answer(cosine_schedule, "reversed")
def with_one_minus(progress, start, end):
    return by_math(1 - progress, start, end)


@answer(cosine_schedule, "linear")
def straight(progress, start, end):
    return start * (1 - progress) + end * progress


@answer(cosine_schedule, "ends-at-zero")
def to_zero(progress, start, end):
    return start * (1 + math.cos(math.pi * progress)) / 2


@answer(cosine_schedule, "end-on-top")
def too_high(progress, start, end):
    return end + start * (1 + math.cos(math.pi * progress)) / 2


@answer(cosine_schedule, "distance-only")
def without_end(progress, start, end):
    return (start - end) * (1 + math.cos(math.pi * progress)) / 2


@answer(cosine_schedule, "reversed + linear")
def straight_and_backwards(progress, start, end):
    return start * progress + end * (1 - progress)


@answer(cosine_schedule, "bare-cosine + ends-at-zero")
def only_a_cosine(progress, start, end):
    return start * math.cos(math.pi * progress)


@answer(cosine_schedule, "raises TypeError")
def cosine_of_a_number(progress, start, end):
    return end + (start - end) * (1 + torch.cos(torch.pi * progress)) / 2


@answer(cosine_schedule, "arguments")
def of_progress_alone(progress):
    return (1 + math.cos(math.pi * progress)) / 2


# ---------------------------------------------------------------- the tests


@pytest.mark.parametrize(
    ("exercise", "name", "f"),
    ANSWERS,
    ids=[f"{e.name}-{at}-{f.__name__.strip('<>')}" for at, (e, _, f) in enumerate(ANSWERS)],
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


def test_a_step_is_shown_by_what_is_given_and_by_its_losses():
    message = core.examine(distill_step, two_steps_at_once).message.replace("\n", " ")
    assert "inputs       [[1, 0], [0.5, -1]]" in message
    assert "three losses, and 0 for a teacher in peace" in message
    assert "student  " not in message  # a network is not shown as numbers
    message = core.examine(distill_step, asks_the_batch).message
    assert "inputs of shape (2, 2), labels of shape (2,)" in message


def test_our_own_answers_are_kdlab_s():
    """The exercise, the package's loss and the package's verdicts and schedules say the same."""
    baseline, candidate = torch.tensor([80.0, 81, 79]), torch.tensor([81.0, 83, 80.5])
    found = paired_interval.reference(baseline, candidate)
    verdict = kdlab.verdicts.compare((baseline / 100).tolist(), (candidate / 100).tolist())
    assert [100 * verdict.low, 100 * verdict.high] == pytest.approx(list(map(float, found)), 1e-4)
    for progress in (0.0, 0.3, 1.0):
        ours = cosine_schedule.reference(progress, 0.9, 0.2)
        assert ours == pytest.approx(schedules.cosine(0.9, 0.2)(progress))


def test_the_learner_s_step_trains_the_student_that_distill_trains():
    """With kdlab's start, batches and optimizer, its steps are the loop of kdlab."""
    data = kdlab.load_data("digits", train=96)
    teacher = kdlab.train("mlp-16", data, epochs=1, progress=False, device="cpu").student
    settings = {"epochs": 1, "batch_size": 32, "device": "cpu", "progress": False}
    run = kdlab.distill("mlp-8", teacher, data, temperature=4, alpha=0.3, **settings)
    student = kdlab.models.build("mlp-8", data.train.inputs.shape[1:], 10, seed=0)
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)
    order = torch.randperm(96, generator=kdlab.seeds.generator(0, "batches"))
    for rows in order.split(32):
        batch = data.train[rows]
        by_kd_loss(student, teacher, optimizer, batch.inputs, batch.labels, 4, 0.3)
    for mine, theirs in zip(student.parameters(), run.student.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)
