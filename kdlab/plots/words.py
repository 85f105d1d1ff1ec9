"""Words that the figures share: how a metric and its values are said."""

from collections.abc import Sequence

from kdlab.errors import Refusal
from kdlab.scores import METRICS
from kdlab.verdicts import SHARES

_CALLED = {
    "accuracy": "validation accuracy, %",
    "nll": "validation NLL, nats",
    "ece": "calibration error, %",
    "agreement": "agreement with the teacher, %",
}


def called(metric: str) -> str:
    """A metric as an axis says it, with its unit."""
    return _CALLED.get(metric, metric)


def scale(metric: str) -> int:
    """What a value is multiplied by to be drawn: shares are drawn in percent."""
    if metric not in METRICS:
        raise Refusal(f"metric {metric!r}: expected one of {', '.join(METRICS)}.")
    return 100 if metric in SHARES else 1


def written(value: float, metric: str) -> str:
    """A value as it is written in a figure: 84.3 for a share, 0.412 for NLL, 101,800 for bytes."""
    if metric in ("parameters", "bytes"):
        return f"{value:,.0f}"
    return f"{value * 100:.1f}" if metric in SHARES else f"{value:.3f}"


def percent(metric: str) -> str:
    """The unit that follows a written value in a sentence."""
    return " %" if metric in SHARES else ""


def listed(words: Sequence[str]) -> str:
    """Words as a sentence lists them: "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


_COSTS = {  # a column of costs: what it is, its unit, and how many of the column make one unit
    "bytes": ("size of the file", "kB", 1_000),
    "zipped_bytes": ("size of the zipped file", "kB", 1_000),
    "latency_ms": ("latency of one example", "ms", 1),
    "latency_ms_64": ("latency of 64 examples", "ms", 1),
    "macs": ("multiply-adds for one example", "thousand", 1_000),
    "parameters": ("number of parameters", "thousand", 1_000),
    "nonzero": ("number of weights that are not zero", "thousand", 1_000),
}


def _cost(cost: str) -> tuple[str, str, int]:
    return _COSTS.get(cost, (cost, "", 1))


def cost_called(cost: str) -> str:
    """A cost as an axis says it, with its unit."""
    what, unit, _ = _cost(cost)
    return f"{what}, {unit}" if unit else what


def cost_written(value: float, cost: str) -> str:
    """A cost as a number in its unit: 101,888 bytes are 102, for the unit is kB."""
    _, _, one = _cost(cost)
    return rounded(value / one)


def amount(value: float, cost: str) -> str:
    """A cost with its unit: 101,888 bytes are "102 kB"."""
    _, unit, _ = _cost(cost)
    return f"{cost_written(value, cost)} {unit}".rstrip()


def rounded(value: float) -> str:
    """A number in three digits, from 100 on as a whole one: 0.043, 12.3, 1,024."""
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:.3g}"
