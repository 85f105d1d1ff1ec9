"""A guess, recorded before the result is known; then guess and measurement side by side."""

import math
from collections.abc import Sequence

from kdlab.errors import Refusal
from kdlab.explore.controls import slider
from kdlab.explore.panel import Panel
from kdlab.plots.picture import BLUE, GREY, ORANGE, Picture, style


class Line:
    """The line of all possible answers, with the guess and, later, what was measured."""

    def __init__(self, picture: Picture, question: str, low: float, high: float, unit: str):
        self.picture, self.low, self.high = picture, low, high
        self.said = f"{question} ({unit})" if unit else question
        margin = 0.03 * (high - low)
        with style():
            axes = picture.figure.subplots()
            axes.set(xlim=(low - margin, high + margin), ylim=(0, 1), yticks=[], xlabel=self.said)
            axes.spines["left"].set_visible(False)
            axes.grid(visible=False)
            self.band = axes.axvspan(low, high, ymax=0.5, color=BLUE, alpha=0.2, linewidth=0)
            (self.found,) = axes.plot([], [], "D", color=BLUE, markersize=9)
            (self.guess,) = axes.plot([], [], "v", color=ORANGE, markersize=12)
            self.found_text = axes.text(low, 0.18, "", color=BLUE, va="center", weight="bold")
            self.guess_text = axes.text(low, 0.74, "", color="#8A5A00", va="center", weight="bold")
            self.hint = axes.text((low + high) / 2, 0.74, "", color=GREY, ha="center", va="center")

    def update(self, guess: float | None, found: float | None, band: Sequence[float]) -> None:
        """Show what there is so far; None for what there is not."""
        nothing = guess is None and found is None
        self.hint.set_text("no guess yet: move the slider" if nothing else "")
        self._mark(self.guess, self.guess_text, guess, "your guess")
        self._mark(self.found, self.found_text, found, "measured")
        self.band.set_visible(found is not None)
        if found is not None:
            self.band.set(x=band[0], width=band[1] - band[0])
        said = "no guess" if guess is None else f"your guess {guess:g}"
        measured = "" if found is None else f", measured {found:.3g}"
        self.picture.draw(f"{self.said}, from {self.low:g} to {self.high:g}: {said}{measured}.")

    def _mark(self, marker, text, value: float | None, name: str) -> None:
        if value is None:
            return
        marker.set_data([value], [text.get_position()[1]])
        right_half = value > (self.low + self.high) / 2  # then there is room to the left
        gap = 0.02 * (self.high - self.low)
        text.set(x=value - gap if right_half else value + gap, text=f"{name}: {value:.3g}")
        text.set_horizontalalignment("right" if right_half else "left")


class Guess(Panel):
    """A slider that counts only once it was moved; `.value` is None until then."""

    def __init__(self, question: str, low: float, high: float, unit: str):
        if not low < high:
            raise Refusal(f"low={low!r}, high={high!r}: expected low to lie below high.")
        self._moved, self._found, self._band = False, None, None
        title = f"your guess: {question}"
        picture = Picture(title, size=(7, 1.5))
        line = Line(picture, question, low, high, unit)
        middle, step = (low + high) / 2, 10.0 ** math.floor(math.log10((high - low) / 50))
        if isinstance(low, int) and isinstance(high, int):
            middle, step = (low + high) // 2, 1
        control = slider("your guess", low, high, middle, step)
        control.observe(self._was_moved, "value")  # before the panel's own, which draws
        super().__init__(
            title,
            {"guess": control},
            lambda guess: guess if self._moved else None,
            lambda guess: line.update(guess, self._found, self._band),
            picture,
        )

    @property
    def value(self) -> float | None:
        """The guess; None where the slider was never moved. Set it to guess from code."""
        return self.result

    @value.setter
    def value(self, value: float) -> None:
        self._moved = True
        self.guess.value = value
        self._update()  # also where the slider stood there already

    def reveal(self, value: float, band: Sequence[float], what: str = "the student found") -> None:
        """Print guess and measurement side by side; from now on the guess is fixed.

        value: what was measured.  band: where it is expected. Without a guess only the band is
        printed, which is the same on every machine; a value outside of it is printed as it is.
        what: the words before the measured number.
        """
        low, high = band
        if not math.isfinite(value) or not low <= high:
            raise Refusal(f"value={value!r}, band={band!r}: expected a number, and (low, high).")
        self._found, self._band = float(value), (low, high)
        self.guess.disabled = True
        self._update()
        inside = low <= value <= high
        if self.value is None:
            found = f"between {low:g} and {high:g}"
            if not inside:
                found = f"{value:.3g}, outside the expected {low:g} to {high:g}"
            print(f"no guess given; {what} {found}")
            return
        gap = value - self.value
        side = "more than" if gap > 0 else "less than"
        distance = f"{abs(gap):.3g} {side} you guessed" if gap else "just as you guessed"
        expected = "between" if inside else "outside the expected"
        joined = "and" if inside else "to"
        print(
            f"your guess: {self.value:g}; {what} {value:.3g} "
            f"({expected} {low:g} {joined} {high:g}), {distance}"
        )

    def _was_moved(self, change) -> None:
        # a browser may round the first value to the slider's steps: that is nobody's guess
        if abs(change.new - change.old) > change.owner.step / 2:
            self._moved = True


def guess(question: str, low: float, high: float, unit: str = "") -> Guess:
    """Ask for a guess before a result is shown; an untouched slider is no guess.

    `.value` is the guess or None; `.reveal(value, band=(low, high))` then prints both.
    """
    return Guess(question, low, high, unit)
