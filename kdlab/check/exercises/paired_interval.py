"""Lesson 3: an interval of paired runs, and what goes wrong there."""

import math

import torch
from torch import Tensor

from kdlab.check.cases import drawn
from kdlab.check.core import Case, Exercise, Mistake

LESSON = "03"
SECTION = "Reading an interval"


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
            (80 + 3 * drawn(7, 10), 78 + 3 * drawn(8, 10)),
        ),
        Case("two pairs", (_accuracies(80, 82), _accuracies(80.5, 83.5))),
    ),
    mistakes=(
        Mistake(
            "normal-quantile",
            "You multiply by 1.96 (or 2), which is right for very many runs. With few, the spread "
            "itself is uncertain, and Student's t makes up for it: 2.78 for 5 pairs, 4.30 for 3. "
            "Take stats.t.ppf(0.975, n − 1).",
            SECTION,
            {"factor": lambda baseline, candidate: 1.96},
            {"factor": lambda baseline, candidate: 2.0},
        ),
        Mistake(
            "root-missing",
            "You use the standard deviation, which says how far single differences scatter. The "
            "mean of n of them is √n times steadier: divide by √n.",
            SECTION,
            {"error": lambda baseline, candidate: (candidate - baseline).std()},
        ),
        Mistake(
            "divided-by-n",
            "You divide the standard deviation by n. The mean of n differences is only √n times "
            "steadier than one of them: divide by √n.",
            SECTION,
            {"error": lambda baseline, candidate: (candidate - baseline).std() / len(baseline)},
        ),
        Mistake(
            "variance",
            "You use the variance. It is a squared number of points; its root, the standard "
            "deviation, is in points like the mean.",
            SECTION,
            {"error": lambda b, c: (c - b).var() / math.sqrt(len(b))},
            {"error": lambda b, c: (c - b).var() / len(b)},
        ),
        Mistake(
            "population-deviation",
            "Your standard deviation divides by n. For a sample it divides by n − 1: torch's std() "
            "and pandas' do, numpy's needs ddof=1. With few runs the difference counts.",
            SECTION,
            {"error": lambda b, c: (c - b).std(correction=0) / math.sqrt(len(b))},
        ),
        Mistake(
            "one-sided",
            "You take the 0.95 quantile. It leaves 5 % on one side and 5 % on the other, so your "
            "interval is one of 90 %. A two-sided 95 % leaves 2.5 % on each: 0.975.",
            SECTION,
            {"factor": lambda b, c: _quantile(0.95, len(b) - 1)},
        ),
        Mistake(
            "n-degrees",
            "You take n degrees of freedom. One is spent on the mean, from which the differences "
            "are measured: n − 1.",
            SECTION,
            {"factor": lambda b, c: _quantile(0.975, len(b))},
        ),
        Mistake(
            "unpaired",
            "You treat the runs as two separate groups. Here run i of both shares a seed: the same "
            "start, the same batches. Take the differences first; what both share falls out of "
            "them, and the interval gets much shorter.",
            SECTION,
            {"error": _unpaired, "factor": lambda b, c: _quantile(0.975, 2 * len(b) - 2)},
            {"error": _unpaired, "factor": lambda b, c: _quantile(0.975, _welch(b, c))},
            {"error": _unpaired},
        ),
        Mistake(
            "sign",
            "You subtract the candidate from the baseline, so a better candidate gets a negative "
            "difference. In kdlab it is candidate minus baseline.",
            SECTION,
            {"order": lambda baseline, candidate: (candidate, baseline)},
        ),
        Mistake(
            "mean-and-half",
            "You give the mean and half the length of the interval. Give its two ends: mean minus "
            "half, mean plus half.",
            SECTION,
            {"ends": lambda mean, half, differences: (mean, half)},
        ),
        Mistake(
            "high-first",
            "You give the upper end first. An interval is written from low to high.",
            SECTION,
            {"ends": lambda mean, half, differences: (mean + half, mean - half)},
        ),
        Mistake(
            "around-zero",
            "Your interval lies around zero. It belongs around the mean difference; whether it "
            "holds zero is what we want to see.",
            SECTION,
            {"ends": lambda mean, half, differences: (-half, half)},
        ),
        Mistake(
            "candidate-alone",
            "This is about the candidate's own runs. We want to know about the difference: "
            "candidate minus baseline, pair by pair.",
            SECTION,
            {
                "centre": lambda baseline, candidate: candidate.mean(),
                "error": lambda b, c: c.std() / math.sqrt(len(c)),
            },
        ),
        Mistake(
            "where-runs-lie",
            "You give the range of the differences themselves. An interval is about their mean: "
            "it says which means would fit these runs, and it shrinks as runs are added.",
            SECTION,
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
