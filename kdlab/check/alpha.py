"""Lesson 3, Tuning alpha: three functions to write, the mistakes we know, and two questions."""

import contextlib
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdlab import losses
from kdlab.check.core import Case, Exercise, Mistake
from kdlab.check.questions import Option, Question

LESSON = "03"
STEP = "One step, two voices"
READING = "Reading an interval"
SCHEDULES = "Alpha that moves"

_kl = losses.soft_target_kl


def _drawn(rows: int, columns: int, seed: int) -> Tensor:
    """Numbers from a normal distribution; the same on every machine."""
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- a training step with both terms


def our_distill_step(student, teacher, optimizer, inputs, labels, temperature, alpha) -> Tensor:
    """One step of distillation: the student learns, the teacher only answers. Returns the loss.

    L = alpha · CE(student, labels) + (1 − alpha) · T² · KL(teacher_T || student_T)
    """
    teacher.eval()
    with torch.no_grad():
        teacher_logits = teacher(inputs)
    student_logits = student(inputs)
    hard = F.cross_entropy(student_logits, labels)
    soft = losses.soft_target_kl(student_logits, teacher_logits, temperature)
    loss = alpha * hard + (1 - alpha) * soft
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


def _learn(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    loss.backward()
    optimizer.step()


def _distill_step_in_steps(
    student,
    teacher,
    optimizer,
    inputs,
    labels,
    temperature,
    alpha,
    listen=nn.Module.eval,
    quietly=torch.no_grad,
    order=lambda student, teacher: (student, teacher),
    hard=lambda logits, labels, temperature: F.cross_entropy(logits, labels),
    soft=_kl,
    mix=lambda hard, soft, alpha: alpha * hard + (1 - alpha) * soft,
    forget=lambda optimizer: optimizer.zero_grad(),
    learn=_learn,
) -> Tensor:
    listen(teacher)
    with quietly():
        answers = teacher(inputs)
    logits = student(inputs)
    loss = mix(hard(logits, labels, temperature), soft(*order(logits, answers), temperature), alpha)
    forget(optimizer)
    learn(loss, optimizer)
    return loss.detach()


def _three_steps(step: Callable) -> Callable:
    """Three steps with a new student and a teacher fresh from its own training.

    Gives the three losses, and 1 where gradients have reached the teacher, else 0.
    """

    def played(inputs: Tensor, labels: Tensor, temperature: float, alpha: float) -> list | None:
        features, classes = inputs.shape[1], 3
        student = nn.Linear(features, classes)
        teacher = nn.Sequential(nn.Linear(features, classes), nn.BatchNorm1d(classes))
        with torch.no_grad():
            for seed, layer in enumerate((student, teacher[0]), 1):
                layer.weight.copy_(2 * _drawn(classes, features, seed))
                layer.bias.zero_()
        optimizer = torch.optim.SGD(student.parameters(), lr=0.2)
        given = (student, teacher, optimizer, inputs, labels, temperature, alpha)
        told = [step(*given) for _ in range(3)]
        if any(loss is None or loss is ... for loss in told):
            return None
        reached = any(weight.grad is not None for weight in teacher.parameters())
        return [*told, float(reached)]

    return played


def _labels(*numbers: int) -> Tensor:
    return torch.tensor(numbers)


distill_step = Exercise(
    lesson=LESSON,
    name="distill_step",
    takes=("student", "teacher", "optimizer", "inputs", "labels", "temperature", "alpha"),
    task="one training step of the student on labels (weight alpha) and teacher (1 - alpha) "
    "-> the loss",
    reference=our_distill_step,
    in_steps=_distill_step_in_steps,
    play=_three_steps,
    cases=(
        Case(
            "three steps on two examples, which give three losses, and 0 for a teacher in peace",
            (torch.tensor([[1.0, 0.0], [0.5, -1.0]]), _labels(0, 2), 1.0, 0.5),
        ),
        Case("three steps at T = 4", (_drawn(4, 2, seed=3), _labels(0, 1, 2, 1), 4.0, 0.3)),
        Case("hardly a teacher", (_drawn(3, 2, seed=4), _labels(2, 0, 1), 2.0, 0.95)),
        Case("teacher only, alpha = 0", (_drawn(3, 4, seed=5), _labels(1, 1, 0), 3.0, 0.0)),
        Case("more weight on the labels", (_drawn(5, 3, seed=6), _labels(0, 2, 2, 1, 0), 2.0, 0.9)),
    ),
    mistakes=(
        Mistake(
            "teacher-in-training-mode",
            "The teacher answers in training mode. There, batch norm looks at the batch and "
            "dropout drops at random, so its answers change with the company that a picture "
            "keeps. Call teacher.eval() first.",
            STEP,
            {"listen": lambda teacher: teacher},
            {"listen": nn.Module.train},
        ),
        Mistake(
            "teacher-gradients",
            "Your student learns rightly, but the gradients go on into the teacher. Nobody needs "
            "them, they cost time and memory, and an optimizer that holds the teacher's weights "
            "would move it. Ask the teacher under torch.no_grad().",
            STEP,
            {"quietly": contextlib.nullcontext},
        ),
        Mistake(
            "gradients-pile-up",
            "The first step is right, the next ones are not: the gradients of earlier steps are "
            "still there, and backward() adds to them. Call optimizer.zero_grad() before "
            "loss.backward().",
            STEP,
            {"forget": lambda optimizer: None},
        ),
        Mistake(
            "student-stands-still",
            "The loss is right, but the student does not change. loss.backward() fills the "
            "gradients and optimizer.step() uses them: one of the two is missing, or zero_grad() "
            "stands between them.",
            STEP,
            {"learn": lambda loss, optimizer: None},
            {"learn": lambda loss, optimizer: loss.backward()},
            {"learn": lambda loss, optimizer: (loss.backward(), optimizer.zero_grad())},
        ),
        Mistake(
            "weights-swapped",
            "The two weights have changed places. In kdlab alpha weighs the labels and 1 − alpha "
            "the teacher; other projects do it the other way round (section “Who means what”).",
            STEP,
            {"mix": lambda hard, soft, alpha: (1 - alpha) * hard + alpha * soft},
        ),
        Mistake(
            "minus",
            "You subtract the second term. A minus pays the student for being far from what the "
            "term asks for. Both terms are costs: add them.",
            STEP,
            {"mix": lambda hard, soft, alpha: alpha * hard - (1 - alpha) * soft},
            {"mix": lambda hard, soft, alpha: (1 - alpha) * soft - alpha * hard},
        ),
        Mistake(
            "one-weight-for-both",
            "Both terms carry the same weight. The labels' term is multiplied by alpha, the "
            "teacher's term by 1 − alpha: what one gets, the other loses.",
            STEP,
            {"mix": lambda hard, soft, alpha: alpha * (hard + soft)},
            {"mix": lambda hard, soft, alpha: (1 - alpha) * (hard + soft)},
            {"mix": lambda hard, soft, alpha: hard + soft},
            {"mix": lambda hard, soft, alpha: (hard + soft) / 2},
        ),
        Mistake(
            "labels-full-weight",
            "The labels' term has its full weight, whatever alpha is. Multiply it by alpha, so "
            "that at alpha = 0 the labels are not heard.",
            STEP,
            {"mix": lambda hard, soft, alpha: hard + (1 - alpha) * soft},
        ),
        Mistake(
            "teacher-full-weight",
            "The teacher's term has its full weight, whatever alpha is. Multiply it by 1 − alpha, "
            "so that at alpha = 1 the teacher is not heard.",
            STEP,
            {"mix": lambda hard, soft, alpha: alpha * hard + soft},
        ),
        Mistake(
            "one-voice",
            "Only one of the two terms is in the loss. The student should hear both: alpha times "
            "the labels' term plus 1 − alpha times the teacher's.",
            STEP,
            {"mix": lambda hard, soft, alpha: alpha * hard},
            {"mix": lambda hard, soft, alpha: (1 - alpha) * soft},
            {"mix": lambda hard, soft, alpha: hard},
            {"mix": lambda hard, soft, alpha: soft},
        ),
        Mistake(
            "swapped",
            "Student and teacher have changed places in the teacher's term. In kdlab the student "
            "comes first: soft_target_kl(student_logits, teacher_logits, temperature).",
            STEP,
            {"order": lambda student, teacher: (teacher, student)},
        ),
        Mistake(
            "temperature-ignored",
            "Right at T = 1, but the teacher's term does not change with T. Hand the temperature "
            "on: soft_target_kl(student_logits, teacher_logits, temperature).",
            STEP,
            {"soft": lambda s, t, temperature: _kl(s, t, 1.0)},
        ),
        Mistake(
            "square-missing",
            "Right at T = 1; at a larger T the teacher's term is too small. The factor T² is "
            "missing (lesson 2). kdlab.losses.soft_target_kl has it inside.",
            STEP,
            {"soft": lambda s, t, temperature: _kl(s, t, temperature) / temperature**2},
        ),
        Mistake(
            "square-twice",
            "Right at T = 1; at a larger T the teacher's term is too large. "
            "kdlab.losses.soft_target_kl has the factor T² inside: do not multiply again.",
            STEP,
            {"soft": lambda s, t, temperature: _kl(s, t, temperature) * temperature**2},
        ),
        Mistake(
            "labels-softened",
            "You soften the student's logits for the labels too. T belongs to the teacher's term "
            "alone: labels say one class, there is nothing to make visible.",
            STEP,
            {"hard": lambda logits, labels, t: F.cross_entropy(logits / t, labels)},
        ),
    ),
)


# ---------------------------------------------------------------- an interval of paired runs


def our_paired_interval(baseline: Tensor, candidate: Tensor) -> tuple[Tensor, Tensor]:
    """Two-sided 95 % Student's t interval of the mean difference, candidate minus baseline.

    mean ± t · s / √n, with t the 0.975 quantile of n − 1 degrees of freedom and s the standard
    deviation of the n differences (with n − 1).  baseline, candidate: (n,), a pair a seed.
    """
    differences = candidate - baseline
    count = len(differences)
    half = _quantile(0.975, count - 1) * differences.std() / math.sqrt(count)
    return differences.mean() - half, differences.mean() + half


def _quantile(share: float, freedom: int) -> float:
    from scipy import stats  # half a second to import: only when an interval is asked for

    return float(stats.t.ppf(share, freedom))


def _error(baseline: Tensor, candidate: Tensor) -> Tensor:
    return (candidate - baseline).std() / math.sqrt(len(baseline))


def _unpaired(baseline: Tensor, candidate: Tensor) -> Tensor:
    return ((baseline.var() + candidate.var()) / len(baseline)).sqrt()


def _welch(baseline: Tensor, candidate: Tensor) -> float:
    one, other = baseline.var().item(), candidate.var().item()
    return (len(baseline) - 1) * (one + other) ** 2 / (one**2 + other**2)


def _paired_interval_in_steps(
    baseline: Tensor,
    candidate: Tensor,
    order=lambda baseline, candidate: (baseline, candidate),
    centre=lambda baseline, candidate: (candidate - baseline).mean(),
    error=_error,
    factor=lambda baseline, candidate: _quantile(0.975, len(baseline) - 1),
    ends=lambda mean, half, differences: (mean - half, mean + half),
) -> tuple[Tensor, Tensor]:
    pair = order(baseline, candidate)
    return ends(centre(*pair), factor(*pair) * error(*pair), pair[1] - pair[0])


def _accuracies(*points: float) -> Tensor:
    return torch.tensor(points, dtype=torch.float32)


paired_interval = Exercise(
    lesson=LESSON,
    name="paired_interval",
    takes=("baseline", "candidate"),
    task="the 95 % interval of the mean difference, candidate minus baseline, of paired runs (n,) "
    "-> (low, high)",
    reference=our_paired_interval,
    in_steps=_paired_interval_in_steps,
    cases=(
        Case("three pairs", (_accuracies(80, 81, 79), _accuracies(81, 83, 80.5))),
        Case(
            "five pairs",
            (_accuracies(81.2, 80.4, 81.9, 80.8, 81.5), _accuracies(82, 81.6, 82.3, 81.1, 82.6)),
        ),
        Case(
            "runs that scatter widely, with differences that hardly do",
            (_accuracies(70, 76, 73, 79), _accuracies(71, 77.2, 73.9, 80.1)),
        ),
        Case(
            "a candidate that is worse",
            (80 + 3 * _drawn(1, 10, seed=7)[0], 78 + 3 * _drawn(1, 10, seed=8)[0]),
        ),
        Case("two pairs", (_accuracies(80, 82), _accuracies(80.5, 83.5))),
    ),
    mistakes=(
        Mistake(
            "normal-quantile",
            "You multiply by 1.96 (or 2), which is right for very many runs. With few, the spread "
            "itself is uncertain, and Student's t makes up for it: 2.78 for 5 pairs, 4.30 for 3. "
            "Take stats.t.ppf(0.975, n − 1).",
            READING,
            {"factor": lambda baseline, candidate: 1.96},
            {"factor": lambda baseline, candidate: 2.0},
        ),
        Mistake(
            "root-missing",
            "You use the standard deviation, which says how far single differences scatter. The "
            "mean of n of them is √n times steadier: divide by √n.",
            READING,
            {"error": lambda baseline, candidate: (candidate - baseline).std()},
        ),
        Mistake(
            "divided-by-n",
            "You divide the standard deviation by n. The mean of n differences is only √n times "
            "steadier than one of them: divide by √n.",
            READING,
            {"error": lambda baseline, candidate: (candidate - baseline).std() / len(baseline)},
        ),
        Mistake(
            "variance",
            "You use the variance. It is a squared number of points; its root, the standard "
            "deviation, is in points like the mean.",
            READING,
            {"error": lambda b, c: (c - b).var() / math.sqrt(len(b))},
            {"error": lambda b, c: (c - b).var() / len(b)},
        ),
        Mistake(
            "population-deviation",
            "Your standard deviation divides by n. For a sample it divides by n − 1: torch's std() "
            "and pandas' do, numpy's needs ddof=1. With few runs the difference counts.",
            READING,
            {"error": lambda b, c: (c - b).std(correction=0) / math.sqrt(len(b))},
        ),
        Mistake(
            "one-sided",
            "You take the 0.95 quantile. It leaves 5 % on one side and 5 % on the other, so your "
            "interval is one of 90 %. A two-sided 95 % leaves 2.5 % on each: 0.975.",
            READING,
            {"factor": lambda b, c: _quantile(0.95, len(b) - 1)},
        ),
        Mistake(
            "n-degrees",
            "You take n degrees of freedom. One is spent on the mean, from which the differences "
            "are measured: n − 1.",
            READING,
            {"factor": lambda b, c: _quantile(0.975, len(b))},
        ),
        Mistake(
            "unpaired",
            "You treat the runs as two separate groups. Here run i of both shares a seed: the same "
            "start, the same batches. Take the differences first; what both share falls out of "
            "them, and the interval gets much shorter.",
            READING,
            {"error": _unpaired, "factor": lambda b, c: _quantile(0.975, 2 * len(b) - 2)},
            {"error": _unpaired, "factor": lambda b, c: _quantile(0.975, _welch(b, c))},
            {"error": _unpaired},
        ),
        Mistake(
            "sign",
            "You subtract the candidate from the baseline, so a better candidate gets a negative "
            "difference. In kdlab it is candidate minus baseline.",
            READING,
            {"order": lambda baseline, candidate: (candidate, baseline)},
        ),
        Mistake(
            "mean-and-half",
            "You give the mean and half the length of the interval. Give its two ends: mean minus "
            "half, mean plus half.",
            READING,
            {"ends": lambda mean, half, differences: (mean, half)},
        ),
        Mistake(
            "high-first",
            "You give the upper end first. An interval is written from low to high.",
            READING,
            {"ends": lambda mean, half, differences: (mean + half, mean - half)},
        ),
        Mistake(
            "around-zero",
            "Your interval lies around zero. It belongs around the mean difference; whether it "
            "holds zero is what we want to see.",
            READING,
            {"ends": lambda mean, half, differences: (-half, half)},
        ),
        Mistake(
            "candidate-alone",
            "This is about the candidate's own runs. We want to know about the difference: "
            "candidate minus baseline, pair by pair.",
            READING,
            {
                "centre": lambda baseline, candidate: candidate.mean(),
                "error": lambda b, c: c.std() / math.sqrt(len(c)),
            },
        ),
        Mistake(
            "where-runs-lie",
            "You give the range of the differences themselves. An interval is about their mean: "
            "it says which means would fit these runs, and it shrinks as runs are added.",
            READING,
            {"ends": lambda mean, half, differences: (differences.min(), differences.max())},
            {
                "ends": lambda mean, half, differences: (
                    differences.quantile(0.025),
                    differences.quantile(0.975),
                )
            },
        ),
    ),
)


# ---------------------------------------------------------------- a schedule


def our_cosine_schedule(progress: float, start: float, end: float) -> float:
    """From start to end along half a cosine: end + (start − end) · (1 + cos(π · progress)) / 2.

    progress: 0 at the beginning of training, 1 at its end.
    """
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def _cosine_schedule_in_steps(
    progress: float,
    start: float,
    end: float,
    order=lambda start, end: (start, end),
    share=lambda progress: (1 + math.cos(math.pi * progress)) / 2,
    blend=lambda share, start, end: end + (start - end) * share,
) -> float:
    return blend(share(progress), *order(start, end))


cosine_schedule = Exercise(
    lesson=LESSON,
    name="cosine_schedule",
    takes=("progress", "start", "end"),
    task="a value that goes from start (at progress 0) to end (at progress 1) along half a cosine",
    reference=our_cosine_schedule,
    in_steps=_cosine_schedule_in_steps,
    cases=(
        Case("the beginning", (0.0, 1.0, 0.0)),
        Case("the end", (1.0, 1.0, 0.0)),
        Case("half way", (0.5, 1.0, 0.0)),
        Case("a quarter of the way", (0.25, 1.0, 0.0)),
        Case("from 0.9 to 0.1", (0.25, 0.9, 0.1)),
        Case("rising, from 0.2 to 0.8", (0.75, 0.2, 0.8)),
        Case("late, from 8 to 1, as for a temperature", (0.9, 8.0, 1.0)),
    ),
    mistakes=(
        Mistake(
            "reversed",
            "Your schedule runs from end to start. At progress 0 the cosine is 1, and the value "
            "has to be start.",
            SCHEDULES,
            {"order": lambda start, end: (end, start)},
        ),
        Mistake(
            "linear",
            "Start and end are right, but the way between them is a straight line. Half a cosine "
            "is slow at both ends and quick in the middle.",
            SCHEDULES,
            {"share": lambda progress: 1 - progress},
        ),
        Mistake(
            "whole-turn",
            "Your cosine makes a whole turn: the value reaches the end half way and then comes "
            "back. Half a turn is math.pi * progress, without the 2.",
            SCHEDULES,
            {"share": lambda progress: (1 + math.cos(2 * math.pi * progress)) / 2},
        ),
        Mistake(
            "quarter-turn",
            "Your cosine makes a quarter of a turn. Then the value leaves start slowly, but "
            "arrives at full speed. Half a turn, from cos 0 = 1 to cos π = −1, is slow at both "
            "ends.",
            SCHEDULES,
            {"share": lambda progress: math.cos(math.pi * progress / 2)},
            {"share": lambda progress: 1 - math.sin(math.pi * progress / 2)},
            {"share": lambda progress: (1 + math.cos(math.pi * progress / 2)) / 2},
        ),
        Mistake(
            "pi-missing",
            "The π is missing: cos(1) is 0.54, so the value never arrives at end. math.cos takes "
            "radians, where half a turn is π.",
            SCHEDULES,
            {"share": lambda progress: (1 + math.cos(progress)) / 2},
        ),
        Mistake(
            "degrees",
            "You count in degrees. math.cos takes radians: half a turn is π, not 180.",
            SCHEDULES,
            {"share": lambda progress: (1 + math.cos(180 * progress)) / 2},
        ),
        Mistake(
            "epochs",
            "You divide progress by a number of epochs. Progress runs from 0 to 1 already, however "
            "many epochs there are; divided once more, the value hardly leaves start.",
            SCHEDULES,
            *(
                {"share": lambda progress, n=n: (1 + math.cos(math.pi * progress / n)) / 2}
                for n in (5, 10, 15, 20, 30, 40, 50, 60, 80, 100)
            ),
        ),
        Mistake(
            "half-missing",
            "The division by 2 is missing. 1 + cos runs from 2 to 0; halved, it runs from 1 to 0 "
            "and can serve as a share.",
            SCHEDULES,
            {"share": lambda progress: 1 + math.cos(math.pi * progress)},
        ),
        Mistake(
            "bare-cosine",
            "A cosine runs from 1 to −1, so your value shoots past the end. Add 1 and divide by "
            "2, so that it runs from 1 to 0.",
            SCHEDULES,
            {"share": lambda progress: math.cos(math.pi * progress)},
        ),
        Mistake(
            "sine",
            "You use a sine. It is 0 at both ends of half a turn, so the value goes out and comes "
            "back. The cosine runs from 1 to −1.",
            SCHEDULES,
            {"share": lambda progress: (1 + math.sin(math.pi * progress)) / 2},
            {"share": lambda progress: math.sin(math.pi * progress)},
            {"share": lambda progress: 1 - math.sin(math.pi * progress)},
        ),
        Mistake(
            "ends-at-zero",
            "Your schedule ends at 0, whatever end is. Share out both values: start gets the "
            "share, end gets the rest.",
            SCHEDULES,
            {"blend": lambda share, start, end: start * share},
        ),
        Mistake(
            "end-on-top",
            "You add end to all of start, so that it begins too high. What shrinks is the "
            "distance between the two: end + (start − end) · share.",
            SCHEDULES,
            {"blend": lambda share, start, end: end + start * share},
        ),
        Mistake(
            "distance-only",
            "You give the distance that is left, without the value it leads to. Add end to it.",
            SCHEDULES,
            {"blend": lambda share, start, end: (start - end) * share},
        ),
    ),
)


EXERCISES = (distill_step, paired_interval, cosine_schedule)


# ---------------------------------------------------------------- questions

QUIZZES = (
    Question(
        LESSON,
        "alpha 1",
        "A wide network is trained on 2,000 noisy labels until it knows most of them by heart. "
        "Then it teaches a small student on the same 2,000 pictures. What does the student gain "
        "over learning from the noisy labels alone?",
        (
            Option(
                "Much: a large network is always a good teacher.",
                "Size is not what helps. A teacher helps where it knows something that the labels "
                "do not: cleaner labels, or more pictures. This one knows the same 2,000 labels, "
                "wrong ones included, by heart.",
            ),
            Option(
                "Nothing: what it knows by heart are the same wrong labels.",
                "Its answers on these pictures repeat the labels, wrong ones included, and say "
                "nothing better. The teacher of 20,000 pictures saw as much noise, but it could "
                "not learn so many labels by heart in its few epochs.",
                right=True,
            ),
            Option(
                "Much: soft answers average the noise away.",
                "Softness alone averages nothing. Noise averages out over many pictures: a teacher "
                "that saw ten times as many has done so; one that knows its few labels by heart "
                "has not.",
            ),
            Option(
                "It loses, for a student must never learn from a teacher that errs.",
                "It may lose, but not for this reason. Every teacher errs, and the one of 20,000 "
                "noisy labels helped a lot. What counts is whether the teacher errs less than the "
                "labels do. This one errs just where the labels err.",
            ),
        ),
    ),
    Question(
        LESSON,
        "alpha 2",
        "Your colleague trains 21 settings with 5 seeds each, scores all 105 students on a test "
        "set of 300 pictures and reports the best one: 85.7 %. The best setting's mean there is "
        "83.2 %. What would that student score on 10,000 new pictures?",
        (
            Option(
                "85.7 %: it was measured on a test set.",
                "It was *chosen* on that test set. Among 105 students some are lucky on just these "
                "300 pictures, and the best of 105 is mostly the luckiest.",
            ),
            Option(
                "More: with more pictures the score gets more exact.",
                "It does get more exact, but exact is not higher. Luck on 300 pictures is no luck "
                "on 10,000 others.",
            ),
            Option(
                "Nothing can be said about it.",
                "Something can. That it was the best of 105 on few pictures tells that part of "
                "its score is luck. The lesson's table shows how large that part is.",
            ),
            Option(
                "Less, perhaps by two points: part of 85.7 is luck on these 300 pictures.",
                "The best of many is chosen for skill and luck together. On new pictures the skill "
                "stays and the luck goes. So choose on validation, and ask test once.",
                right=True,
            ),
        ),
    ),
)
