"""Paired comparison: interval and sentence. Knows numbers only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kdlab.errors import Refusal
from kdlab.scores import LOWER_IS_BETTER

# How a metric is said: a share is told in points (hundredths), all else as it is.
SHARES = ("accuracy", "agreement", "ece")
FEWEST = 3  # pairs below which nothing is said about chance


@dataclass(frozen=True)
class Verdict:
    """Candidate minus baseline over paired seeds, with a two-sided 95 % Student's t interval.

    `word` is "better", "worse", "no difference seen", "the same" (only where a margin was given and
    the interval lies inside it) or "too few runs"; `better` is a bool; `str()` is the sentence.
    """

    baseline: str
    candidate: str
    metric: str
    pairs: int
    difference: float
    low: float
    high: float
    word: str
    where: str = ""

    @property
    def better(self) -> bool:
        """Whether the candidate is better, beyond chance."""
        return self.word == "better"

    def __str__(self) -> str:
        seeds = "1 run" if self.pairs == 1 else f"{self.pairs} paired seeds"
        where = f", {self.where}" if self.where else ""
        said = f"{self.candidate} against {self.baseline}, {seeds}{where}: "
        unit = " points" if self.metric in SHARES else ""
        said += f"{signed(self.difference, self.metric)}{unit} of {_called(self.metric)}"
        if self.pairs < 2:
            return said + ": one run: cannot tell"
        interval = f"{signed(self.low, self.metric)} to {signed(self.high, self.metric)}"
        return f"{said}, 95 % interval {interval}: {self.word}"

    _repr_markdown_ = __str__

    def __repr__(self) -> str:
        return str(self)


def signed(value: float, metric: str = "accuracy") -> str:
    """A difference as people read it: a share in points with one digit, else three digits."""
    text = f"{value * 100:+.1f}" if metric in SHARES else f"{value:+.3f}"
    return text.replace("-", "−")


def compare(
    baseline: Sequence[float],
    candidate: Sequence[float],
    metric: str = "accuracy",
    *,
    names: tuple[str, str] = ("baseline", "candidate"),
    where: str = "",
    margin: float | None = None,
) -> Verdict:
    """Compare two settings by their paired runs: baseline[i] and candidate[i] share a seed.

    margin: a difference too small to matter; with it, an interval inside ±margin says "the same".
    For NLL and ECE lower is better. Raises Refusal for unpaired or NaN values.
    """
    if len(baseline) != len(candidate) or not len(baseline):
        raise Refusal(
            f"{len(baseline)} and {len(candidate)} values: expected as many of both, one pair a "
            "seed, and at least one."
        )
    gaps = [float(c) - float(b) for b, c in zip(baseline, candidate, strict=True)]
    if not all(math.isfinite(gap) for gap in gaps):
        raise Refusal(f"a value of {metric} is missing (NaN): it cannot be compared.")
    low, high = interval(gaps)
    mean = sum(gaps) / len(gaps)
    return Verdict(
        *names, metric, len(gaps), mean, low, high, _word(low, high, gaps, metric, margin), where
    )


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Two-sided 95 % Student's t interval of the mean; endless with fewer than two values."""
    from scipy.special import stdtrit  # not scipy.stats, which takes half a second to import

    count = len(values)
    if count < 2:
        return -math.inf, math.inf
    mean = sum(values) / count
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (count - 1))
    half = stdtrit(count - 1, 0.975) * deviation / math.sqrt(count)
    return mean - half, mean + half


def claim(sentence: str, holds: object) -> None:
    """Say whether a claim holds in the runs just made; a claim that falls does not raise.

    The line it prints is what a stored notebook is compared with.
    """
    print(f"{'holds' if bool(holds) else 'does not hold'} here: {sentence}")


def band(name: str, value: float, low: float, high: float, unit: str = "") -> str:
    """A number told as a band: exact digits differ between machines, a good band does not."""
    place = "between" if low <= value <= high else "outside"
    return f"{name}: {place} {low:g} and {high:g}{' ' + unit if unit else ''}"


def _word(low, high, gaps, metric, margin) -> str:
    if len(gaps) < FEWEST:
        return "too few runs"
    if margin is not None and -margin <= low and high <= margin:
        return "the same"
    if low <= 0 <= high:
        return "no difference seen"
    return "better" if (low > 0) != (metric in LOWER_IS_BETTER) else "worse"


def _called(metric: str) -> str:
    return {"accuracy": "validation accuracy", "nll": "NLL", "ece": "calibration error"}.get(
        metric, metric
    )
