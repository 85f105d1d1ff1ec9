"""Verdicts on numbers whose answer is known."""

import math

import numpy as np
import pytest
from scipy import stats

import kdlab
from kdlab import verdicts
from kdlab.errors import Refusal

BASE = [0.80, 0.81, 0.79, 0.80, 0.82]
UP = [value + gap for value, gap in zip(BASE, [0.011, 0.009, 0.012, 0.010, 0.008], strict=True)]


def test_a_difference_that_is_there():
    verdict = verdicts.compare(BASE, UP)
    assert verdict.word == "better" and verdict.better is True
    assert verdict.difference == pytest.approx(0.010)
    assert verdict.pairs == 5
    assert 0 < verdict.low < verdict.difference < verdict.high
    backwards = verdicts.compare(UP, BASE)
    assert backwards.word == "worse" and backwards.better is False
    assert (backwards.low, backwards.high) == pytest.approx((-verdict.high, -verdict.low))


def test_no_difference():
    other = [value + gap for value, gap in zip(BASE, [0.01, -0.01, 0.0, 0.01, -0.01], strict=True)]
    verdict = verdicts.compare(BASE, other)
    assert verdict.word == "no difference seen" and not verdict.better
    assert verdicts.compare(BASE, BASE).word == "no difference seen"


def test_the_comparison_is_paired():
    # seeds differ by 10 points, the gain is 1 point in each: only pairs show it
    baseline = [0.5, 0.6, 0.7, 0.8]
    candidate = [0.51, 0.611, 0.709, 0.81]
    assert verdicts.compare(baseline, candidate).better
    assert not verdicts.compare(baseline, candidate[::-1]).better


@pytest.mark.parametrize("metric", ["nll", "ece"])
def test_for_nll_and_ece_lower_is_better(metric):
    assert verdicts.compare(BASE, UP, metric).word == "worse"
    assert verdicts.compare(UP, BASE, metric).word == "better"


@pytest.mark.parametrize("metric", ["accuracy", "agreement"])
def test_for_shares_higher_is_better(metric):
    assert verdicts.compare(BASE, UP, metric).better


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_runs_say_nothing_of_chance(count):
    verdict = verdicts.compare(BASE[:count], [0.99, 0.99][:count])
    assert verdict.word == "too few runs" and not verdict.better
    assert str(verdict).endswith("cannot tell" if count == 1 else "too few runs")


def test_one_run_cannot_tell():
    verdict = verdicts.compare([0.8], [0.9], names=("labels only", "teacher only (T=4)"))
    assert str(verdict) == (
        "teacher only (T=4) against labels only, 1 run: +10.0 points of validation accuracy: "
        "one run: cannot tell"
    )
    assert (verdict.low, verdict.high) == (-math.inf, math.inf)


def test_three_pairs_are_enough():
    assert verdicts.compare(BASE[:3], UP[:3]).word == "better"


def test_the_same_only_within_a_margin_that_was_stated():
    near = [value + gap for value, gap in zip(BASE, [1e-3, -1e-3, 0, 5e-4, 0], strict=True)]
    assert verdicts.compare(BASE, near).word == "no difference seen"
    assert verdicts.compare(BASE, near, margin=0.005).word == "the same"
    assert verdicts.compare(BASE, near, margin=0.0005).word == "no difference seen"
    assert verdicts.compare(BASE, UP, margin=0.005).word == "better"
    # an interval that lies beside 0 but wholly inside the margin: too small to matter
    assert verdicts.compare(BASE, UP, margin=0.02).word == "the same"
    assert verdicts.compare(BASE[:2], near[:2], margin=0.5).word == "too few runs"


def test_the_interval_is_scipys():
    gaps = [candidate - baseline for baseline, candidate in zip(BASE, UP, strict=True)]
    expected = stats.ttest_1samp(gaps, 0).confidence_interval(0.95)
    assert verdicts.interval(gaps) == pytest.approx((expected.low, expected.high))
    verdict = verdicts.compare(BASE, UP)
    assert (verdict.low, verdict.high) == pytest.approx((expected.low, expected.high))
    paired = stats.ttest_rel(UP, BASE).confidence_interval(0.95)
    assert (verdict.low, verdict.high) == pytest.approx((paired.low, paired.high))


def test_the_interval_by_hand():
    # mean 2, deviation 1, three values: half width t(0.975, 2) / √3 = 4.3027 / 1.7321
    low, high = verdicts.interval([1, 2, 3])
    assert (low, high) == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-4)


@pytest.mark.parametrize("pairs", [3, 5])
def test_the_interval_holds_the_truth_in_95_of_100_draws(pairs):
    draws = np.random.default_rng(0).normal(0.3, 1.0, size=(2_000, pairs))
    intervals = [verdicts.interval(list(draw)) for draw in draws]
    held = np.mean([low <= 0.3 <= high for low, high in intervals])
    assert 0.935 <= held <= 0.965


def test_false_alarms_are_as_rare_as_promised():
    draws = np.random.default_rng(1).normal(0.8, 0.003, size=(1_000, 2, 5))
    words = [verdicts.compare(list(one), list(other)).word for one, other in draws]
    alarms = np.mean([word != "no difference seen" for word in words])
    assert 0.03 <= alarms <= 0.07


# ---------------------------------------------------------------- the sentence


def test_the_sentence_is_that_of_the_design():
    gaps = [0.0102, 0.0080, 0.0135, 0.0112, 0.0069, 0.0138, 0.0110, 0.0130, 0.0121, 0.0093]
    verdict = verdicts.compare(
        [0.8] * 10,
        [0.8 + gap for gap in gaps],
        names=("labels only", "teacher only (T=4)"),
        where="1,000 images",
    )
    assert str(verdict) == (
        "teacher only (T=4) against labels only, 10 paired seeds, 1,000 images: +1.1 points of "
        "validation accuracy, 95 % interval +0.9 to +1.3: better"
    )
    assert repr(verdict) == str(verdict) == verdict._repr_markdown_()


def test_a_loss_is_said_with_a_minus_sign():
    said = str(verdicts.compare(UP, BASE))
    assert ": −1.0 points of validation accuracy, 95 % interval −1.2 to −0.8: worse" in said


def test_nll_is_no_share():
    said = str(verdicts.compare([0.5, 0.5, 0.5], [0.4, 0.41, 0.39], "nll"))
    assert ": −0.100 of NLL, 95 % interval −0.125 to −0.075: better" in said
    said = str(verdicts.compare([0.05] * 3, [0.04, 0.041, 0.039], "ece"))
    assert "−1.0 points of calibration error" in said


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("baseline", "candidate", "expected"),
    [
        ([], [], "0 and 0 values"),
        ([1.0], [1.0, 2.0], "1 and 2 values.*one pair a seed"),
        ([1.0, math.nan], [1.0, 2.0], r"agreement is missing \(NaN\)"),
        ([1.0, 2.0], [1.0, math.inf], "cannot be compared"),
    ],
)
def test_values_that_cannot_be_compared_are_refused(baseline, candidate, expected):
    with pytest.raises(Refusal, match=expected):
        verdicts.compare(baseline, candidate, "agreement")


# ---------------------------------------------------------------- claims and bands


@pytest.mark.parametrize(
    ("holds", "line"), [(True, "holds here: "), (False, "does not hold here: ")]
)
def test_a_claim_says_whether_it_holds(holds, line, capsys):
    kdlab.claim("soft targets help at 1,000 images", holds)
    assert capsys.readouterr().out == f"{line}soft targets help at 1,000 images\n"


@pytest.mark.parametrize("holds", [None, math.nan > 0, np.False_, 0, "", [], verdicts])
def test_a_claim_never_raises(holds, capsys):
    kdlab.claim("a sentence", holds)
    assert capsys.readouterr().out.endswith("here: a sentence\n")


def test_a_band_hides_digits_that_differ_between_machines():
    assert kdlab.band("gain", 1.23, 0.5, 2, "points") == "gain: between 0.5 and 2 points"
    assert kdlab.band("gain", 1.61, 0.5, 2, "points") == "gain: between 0.5 and 2 points"
    assert kdlab.band("gain", 2.01, 0.5, 2, "points") == "gain: outside 0.5 and 2 points"
    assert kdlab.band("gain", math.nan, 0.5, 2) == "gain: outside 0.5 and 2"
    assert kdlab.band("gain", 2, 0.5, 2) == "gain: between 0.5 and 2"
