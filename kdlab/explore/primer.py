"""Four words that the course needs, one slider each: logit, softmax, cross-entropy, KL."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.patheffects import withStroke

from kdlab.errors import unknown
from kdlab.explore.controls import slider
from kdlab.explore.panel import Panel
from kdlab.plots.picture import BLUE, GREY, INK, ORANGE, Picture, style

CLASSES = ("shirt", "coat", "bag")
LOGITS = (1.0, 1.5, -0.5)  # where the logits stand before anybody moves them
TRUTH = (0.54, 0.41, 0.05)  # the fixed p that a q is compared with
STILL = {"facecolor": BLUE, "edgecolor": INK, "linewidth": 0.6}
MOVED = {"facecolor": ORANGE, "edgecolor": INK, "linewidth": 0.6, "hatch": "//"}

# ------------------------------------------------------------ settings -> result


@dataclass(frozen=True)
class Shares:
    """Logits of the three classes and the probabilities that softmax makes of them."""

    logits: list[float]
    probabilities: list[float]


@dataclass(frozen=True)
class Cost:
    """What cross-entropy charges, in nats, for a probability of the right class."""

    probability: float
    loss: float


@dataclass(frozen=True)
class Distances:
    """Two distributions and, in nats, KL(p || q) (`forward`) and KL(q || p) (`backward`)."""

    p: list[float]
    q: list[float]
    forward: float
    backward: float


def softmax(logits: Sequence[float]) -> list[float]:
    """e to the power of each logit, divided by the sum."""
    largest = max(logits)  # taken off all of them: changes nothing, and nothing overflows
    powers = [math.exp(logit - largest) for logit in logits]
    return [power / sum(powers) for power in powers]


def kl(p: Sequence[float], q: Sequence[float]) -> float:
    """KL(p || q) in nats."""
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def move_one(logit: float) -> Shares:
    """The first class has this logit; the others keep theirs."""
    logits = [logit, *LOGITS[1:]]
    return Shares(logits, softmax(logits))


def move_all(added: float) -> Shares:
    """The same number is added to all logits."""
    logits = [logit + added for logit in LOGITS]
    return Shares(logits, softmax(logits))


def cost(probability: float) -> Cost:
    """Cross-entropy where the right class has this probability."""
    return Cost(probability, math.log(1 / probability))


def drift(moved: float) -> Distances:
    """q is p, but for a share that went from the second class to the third."""
    q = [TRUTH[0], TRUTH[1] - moved, TRUTH[2] + moved]
    return Distances(list(TRUTH), q, kl(TRUTH, q), kl(q, TRUTH))


# ------------------------------------------------------------ result -> picture


class SharesView:
    """Logits on the left, probabilities on the right; hatched: what the slider moves."""

    def __init__(self, picture: Picture, first: Shares, moved: Sequence[int], limits: tuple):
        self.picture, self.first = picture, first
        rows = range(len(CLASSES))
        with style():
            left, right = picture.figure.subplots(1, 2)
            self.logits = _bars(left, first.logits)
            self.probabilities = _bars(right, first.probabilities)
            for row in moved:
                self.logits[row].set(**MOVED)
            self.numbers = [left.text(0, row, "", va="center") for row in rows]
            self.shares = [right.text(0, row, "", va="center") for row in rows]
            left.axvline(0, color=INK, linewidth=1)
            left.set(xlim=limits, xlabel="logit", title="in: logits (the slider moves the hatched)")
            right.set(xlim=(0, 1.2), xlabel="probability (upright line: at the start)")
            right.set(title="out: probabilities, together 1", xticks=[0, 0.25, 0.5, 0.75, 1])
            starts = [
                right.vlines(share, row - 0.43, row + 0.43, color=INK, linewidth=1.5)
                for row, share in enumerate(first.probabilities)
            ]
            for line in starts:
                line.set_path_effects([withStroke(linewidth=4, foreground="white")])
        picture.moving(
            [*self.logits, *self.numbers, *self.probabilities, *starts, *self.shares],
        )
        picture.draw("")

    def update(self, shares: Shares) -> None:
        """Show other logits and what becomes of them."""
        for bar, text, logit in zip(self.logits, self.numbers, shares.logits, strict=True):
            bar.set_width(logit)
            text.set(x=logit + math.copysign(0.2, logit), text=_number(logit))
            text.set_ha("left" if logit >= 0 else "right")
        rows = zip(
            self.probabilities, self.shares, self.first.probabilities, shares.probabilities,
            strict=True,
        )  # fmt: skip
        for bar, text, start, share in rows:
            bar.set_width(share)
            right_of = start if 0 <= start - share < 0.15 else share  # clear of the upright line
            text.set(x=right_of + 0.02, text=f"{share:.3f}")
        pairs = zip(CLASSES, shares.logits, shares.probabilities, strict=True)
        said = ", ".join(f"{name} {_number(z)} gives {share:.3f}" for name, z, share in pairs)
        before = ", ".join(f"{share:.3f}" for share in self.first.probabilities)
        self.picture.redraw(
            f"Logits of three classes as bars, and beside them their probabilities: {said}. "
            f"At the start the probabilities were {before}."
        )


class CostView:
    """The curve of −log p with a point on it."""

    def __init__(self, picture: Picture):
        self.picture = picture
        chances = [0.01 + 0.99 * step / 300 for step in range(301)]
        with style():
            axes = picture.figure.subplots()
            axes.plot(chances, [cost(p).loss for p in chances], color=BLUE)
            axes.annotate(
                "−log p", (0.03, cost(0.03).loss), (8, 2), textcoords="offset points", color=BLUE
            )
            self.guide = axes.plot([], [], color=INK, linestyle=":", linewidth=1.2)[0]
            self.point = axes.plot([], [], "o", color=ORANGE, mec=INK, markersize=11)[0]
            self.point.set(clip_on=False, in_layout=False)  # whole, at the ends of the curve too
            self.said = axes.text(0, 0, "", va="bottom", weight="bold")
            axes.set(xlim=(0, 1.1), ylim=(-0.12, 5.2), xticks=[0, 0.25, 0.5, 0.75, 1])
            axes.set(
                xlabel="p of the right class (1: sure and right)", ylabel="cross-entropy (nats)"
            )
        picture.moving([self.guide, self.point, self.said])
        picture.draw("")

    def update(self, cost: Cost) -> None:
        """Move the point."""
        p, loss = cost.probability, cost.loss
        self.guide.set_data([0, p, p], [loss, loss, -0.12])
        self.point.set_data([p], [loss])
        self.said.set_position((min(p + 0.02, 0.8), loss + 0.25))  # never beyond the right edge
        self.said.set_text(f"p = {p:.2f} costs {loss:.3f} nats")
        self.picture.redraw(
            "The curve of minus log p falls from 4.605 nats at p = 0.01 to 0 at p = 1. "
            f"The point on it: p = {p:.2f} costs {loss:.3f} nats."
        )


class DistancesView:
    """p and q as pairs of bars, and beside them their distance in both directions."""

    def __init__(self, picture: Picture, first: Distances):
        self.picture = picture
        rows = range(len(CLASSES))
        with style():
            left, right = picture.figure.subplots(1, 2, width_ratios=[1.25, 1])
            left.barh([row - 0.2 for row in rows], first.p, 0.36, **STILL)
            for row, share in enumerate(first.p):
                left.text(share + 0.01, row - 0.2, f"p {share:.2f}", va="center")
            self.q = left.barh([row + 0.2 for row in rows], first.q, 0.36, **MOVED)
            self.shares = [left.text(0, row + 0.2, "", va="center") for row in rows]
            left.set_yticks(rows, CLASSES)
            left.set(xlim=(0, 0.66), ylim=(2.55, -0.55), xlabel="probability")
            left.set_title("p stays (plain), q moves (hatched)")
            names = ["KL(p || q)", "KL(q || p)"]
            self.bars = right.barh(names, [0, 0], 0.5, color=GREY)
            self.numbers = [right.text(0, row, "", va="center", weight="bold") for row in (0, 1)]
            right.set(
                xlim=(0, 1.75), ylim=(1.6, -0.6), xlabel="distance (nats)", xticks=[0, 0.5, 1, 1.5]
            )
            right.set_title("how far apart, in both directions")
            for axes in (left, right):
                axes.tick_params(axis="y", length=0)
                axes.grid(axis="y", visible=False)
        picture.moving([*self.q, *self.shares, *self.bars, *self.numbers])
        picture.draw("")

    def update(self, distances: Distances) -> None:
        """Show another q."""
        for bar, text, share in zip(self.q, self.shares, distances.q, strict=True):
            bar.set_width(share)
            text.set(x=share + 0.01, text=f"q {share:.2f}")
        both = (distances.forward, distances.backward)
        for bar, text, distance in zip(self.bars, self.numbers, both, strict=True):
            bar.set_width(distance)
            text.set(x=distance + 0.03, text=f"{distance:.3f}")
        pairs = zip(CLASSES, distances.p, distances.q, strict=True)
        said = ", ".join(f"{name} p {p:.2f} and q {q:.2f}" for name, p, q in pairs)
        self.picture.redraw(
            f"Two distributions over three classes as pairs of bars: {said}. Beside them "
            f"KL(p || q) = {both[0]:.3f} nats and KL(q || p) = {both[1]:.3f} nats."
        )


def _bars(axes, values: Sequence[float]):
    """One bar a class, from the top down."""
    bars = axes.barh(CLASSES, values, 0.6, **STILL)
    axes.set_ylim(len(CLASSES) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    return bars


def _number(value: float) -> str:
    """One decimal, with a minus sign that is as wide as a plus."""
    return f"{round(value, 1) + 0.0:.1f}".replace("-", "−")


# ------------------------------------------------------------ the panel

WIDE = (9, 3)


def _logit():
    picture = Picture("logit", WIDE)
    view = SharesView(picture, move_one(LOGITS[0]), [0], (-6.9, 6.9))
    return slider(f"logit of {CLASSES[0]}", -5.0, 5.0, LOGITS[0], 0.1), move_one, view


def _softmax():
    picture = Picture("softmax", WIDE)
    view = SharesView(picture, move_all(0), range(len(CLASSES)), (-7.4, 8.4))
    return slider("added to all logits", -5.0, 5.0, 0.0, 0.1), move_all, view


def _cross_entropy():
    view = CostView(Picture("cross-entropy", (9, 3.8)))
    return slider("p of the right class", 0.01, 1.0, 0.5, 0.01), cost, view


def _kl():
    view = DistancesView(Picture("KL", (9, 3.2)), drift(0))
    label = f"how far q moves, {CLASSES[1]} → {CLASSES[2]}"
    return slider(label, 0.0, 0.4, 0.0, 0.01), drift, view


PRIMERS = {"logit": _logit, "softmax": _softmax, "cross-entropy": _cross_entropy, "KL": _kl}


def primer(
    name: str, *, code: str | None = None, hide: Sequence[str] = (), lock: Sequence[str] = ()
) -> Panel:
    """One word, one slider, one picture: "logit", "softmax", "cross-entropy" or "KL".

    The one control is `slider`. `.result` has `probabilities` (logit, softmax), `loss`
    (cross-entropy), or `forward` and `backward` (KL); all in nats, the first class first.
    """
    if name not in PRIMERS:
        raise unknown("primer", name, PRIMERS)
    control, compute, view = PRIMERS[name]()
    return Panel(
        name,
        {"slider": control},
        lambda slider: compute(slider),
        view.update,
        view.picture,
        name="primer",
        code=code,
        hide=hide,
        lock=lock,
    )
