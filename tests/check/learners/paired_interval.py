"""Answers to `paired_interval`, as learners write them."""

import math

import numpy as np
from scipy import stats

import kdlab
from tests.check.answers import Answers

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong


@right
def by_formula(a, b):
    d = b - a
    n = len(d)
    half = stats.t.ppf(0.975, n - 1) * d.std() / n**0.5
    return d.mean() - half, d.mean() + half


@right
def by_scipy(a, b):
    d = (b - a).numpy()
    return stats.t.interval(0.95, len(d) - 1, loc=d.mean(), scale=stats.sem(d))


@right
def by_paired_test(a, b):
    return stats.ttest_rel(b.double(), a.double()).confidence_interval(0.95)


@right
def by_kdlab(a, b):
    return kdlab.verdicts.interval((b - a).tolist())


@right
def by_numpy(a, b):
    d = b.double().numpy() - a.double().numpy()
    error = np.std(d, ddof=1) / np.sqrt(d.size)
    return d.mean() + np.array([-1, 1]) * stats.t.ppf(1 - 0.05 / 2, d.size - 1) * error


@right
def by_plain_python(a, b):
    d = [float(y - x) for x, y in zip(a, b, strict=True)]
    n, mean = len(d), sum(d) / len(d)
    s = math.sqrt(sum((x - mean) ** 2 for x in d) / (n - 1))
    half = float(stats.t.isf(0.025, n - 1)) * s / math.sqrt(n)
    return [mean - half, mean + half]


def ends(mean, half):
    return mean - half, mean + half


@wrong("normal-quantile")
def by_normal(a, b):
    d = b - a
    return ends(d.mean(), 1.96 * d.std() / len(d) ** 0.5)


@wrong("normal-quantile")
def by_norm_ppf(a, b):
    d = (b - a).double().numpy()
    return stats.norm.interval(0.95, d.mean(), stats.sem(d))


@wrong("normal-quantile")
def by_two(a, b):
    d = b - a
    return ends(d.mean(), 2 * stats.sem(d.numpy()))


@wrong("root-missing")
def by_deviation(a, b):
    d = b - a
    return ends(d.mean(), stats.t.ppf(0.975, len(d) - 1) * d.std())


@wrong("divided-by-n")
def by_deviation_over_n(a, b):
    d = b - a
    return ends(d.mean(), stats.t.ppf(0.975, len(d) - 1) * d.std() / len(d))


@wrong("variance")
def by_variance(a, b):
    d = b - a
    return ends(d.mean(), stats.t.ppf(0.975, len(d) - 1) * d.var() / len(d) ** 0.5)


@wrong("population-deviation")
def by_numpy_std(a, b):
    d = (b - a).numpy()
    return ends(d.mean(), stats.t.ppf(0.975, len(d) - 1) * d.std() / np.sqrt(len(d)))


@wrong("one-sided")
def by_ninety(a, b):
    d = b - a
    return ends(d.mean(), stats.t.ppf(0.95, len(d) - 1) * d.std() / len(d) ** 0.5)


@wrong("n-degrees")
def by_n_degrees(a, b):
    d = b - a
    return ends(d.mean(), stats.t.ppf(0.975, len(d)) * d.std() / len(d) ** 0.5)


@wrong("unpaired")
def by_two_samples(a, b):
    return stats.ttest_ind(b.double(), a.double()).confidence_interval(0.95)


@wrong("unpaired")
def by_welch(a, b):
    return stats.ttest_ind(b.double(), a.double(), equal_var=False).confidence_interval(0.95)


@wrong("unpaired")
def by_two_errors(a, b):
    n = len(a)
    half = stats.t.ppf(0.975, n - 1) * math.sqrt(a.var() / n + b.var() / n)
    return ends(b.mean() - a.mean(), half)


@wrong("sign")
def the_other_way_round(a, b):
    return by_formula(b, a)


@wrong("mean-and-half")
def plus_minus(a, b):
    d = b - a
    return d.mean(), stats.t.ppf(0.975, len(d) - 1) * d.std() / len(d) ** 0.5


@wrong("high-first")
def upside_down(a, b):
    return by_formula(a, b)[::-1]


@wrong("around-zero")
def without_the_mean(a, b):
    half = stats.t.ppf(0.975, len(a) - 1) * (b - a).std() / len(a) ** 0.5
    return -half, half


@wrong("candidate-alone")
def one_group(a, b):
    return kdlab.verdicts.interval(b.tolist())


@wrong("where-runs-lie")
def smallest_and_largest(a, b):
    return min(b - a), max(b - a)


@wrong("where-runs-lie")
def percentiles(a, b):
    return np.percentile((b - a).numpy(), [2.5, 97.5])


@wrong("normal-quantile + sign")
def normal_and_turned(a, b):
    return by_normal(b, a)


@wrong("normal-quantile + population-deviation")
def numpy_and_normal(a, b):
    d = (b - a).numpy()
    return d.mean() - 1.96 * d.std() / len(d) ** 0.5, d.mean() + 1.96 * d.std() / len(d) ** 0.5


@wrong("normal-quantile + root-missing")
def two_deviations(a, b):
    d = b - a
    return ends(d.mean(), 2 * d.std())


@wrong("shape")
def one_half(a, b):
    return stats.t.ppf(0.975, len(a) - 1) * (b - a).std() / len(a) ** 0.5


@wrong("unknown")
def of_ninety_nine(a, b):
    d = b - a
    return ends(d.mean(), stats.t.ppf(0.995, len(d) - 1) * d.std() / len(d) ** 0.5)


@wrong("changes-input")
def subtracts_in_place(a, b):
    b -= a
    return kdlab.verdicts.interval(b.tolist())
