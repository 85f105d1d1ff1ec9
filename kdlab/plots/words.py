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
