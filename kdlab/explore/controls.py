"""Controls with a label each, and how their settings are written as one short line, the code."""

import math
import shlex
from collections.abc import Callable, Sequence

import ipywidgets

from kdlab.errors import Refusal, unknown


def slider(label: str, low: float, high: float, value: float, step: float = 1) -> ipywidgets.Widget:
    """A slider over numbers with a label that names the unit; whole numbers where all are whole.

    A value outside the range widens it: ipywidgets would move the value without a word.
    """
    low, high = min(low, value), max(high, value)
    if all(isinstance(number, int) for number in (low, high, value, step)):
        return ipywidgets.IntSlider(value, low, high, step, description=label)
    form = f".{max(0, len(f'{step:g}'.partition('.')[2]))}f"
    return ipywidgets.FloatSlider(value, min=low, max=high, step=step, description=label,
                                  readout_format=form)  # fmt: skip


class Steps(ipywidgets.SelectionSlider):
    """A slider over listed numbers; a number that is not listed joins the list once it is set."""

    def __init__(self, label: str, values: Sequence[float], value: float, said: Callable):
        self._written = said
        super().__init__(options=self._options({*values, value}), value=value, description=label)

    def allow(self, value: float) -> None:
        """Take a number into the list."""
        known = set(choices(self))
        if value not in known:
            before = self.value
            self.set_trait("options", self._options({*known, value}))
            self.value = before  # a new list of options would move the slider to its first

    def _options(self, values: set) -> list:
        return [(self._written(number), number) for number in sorted(values)]


def steps(
    label: str, values: Sequence[float], value: float, said: Callable[[float], str] = "{:,g}".format
) -> Steps:
    """A slider over listed numbers, each written by `said`; a value that is not listed is added."""
    return Steps(label, values, value, said)


def choice(
    label: str,
    options: Sequence[object],
    value: object,
    said: Callable[[object], str] = str,
    kind: type = ipywidgets.ToggleButtons,
) -> ipywidgets.Widget:
    """A choice among words, or among numbers that no other may join; each written by `said`.

    kind: of widget. A Dropdown takes less room than buttons, but it is opened with Alt and the
    down arrow: JupyterLab keeps the plain arrows to itself.
    """
    if value not in options:
        raise unknown(f"choice for {label!r}", value, map(str, options))
    control = kind(options=[(said(one), one) for one in options], value=value, description=label)
    if kind is ipywidgets.ToggleButtons:
        control.style.button_width = "auto"
    return control


def line(label: str, value: str) -> ipywidgets.Text:
    """A line to type in."""
    return ipywidgets.Text(value, description=label)


def choices(control: ipywidgets.Widget) -> list:
    """The values that a control with `options` can take."""
    return [one[1] if isinstance(one, tuple) else one for one in control.options]


# ---------------------------------------------------------------- the code


def written(value: float | str) -> str:
    """A setting as a code has it: a word with spaces in quotation marks."""
    return shlex.quote(_text(value))


def _text(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return repr(int(value)) if float(value).is_integer() else repr(float(value))


def parts(code: str) -> tuple[str, dict[str, str]]:
    """The panel that a code names ("" where it names none), and its settings, still as text."""
    example = "expected a line such as 'training temperature=4 alpha=0.5'."
    if not isinstance(code, str):
        raise Refusal(f"a code of type {type(code).__name__}: {example}")
    try:
        words = shlex.split(code)
    except ValueError as error:
        raise Refusal(f"the code {code!r} has an open quotation mark: {example}") from error
    name = words.pop(0) if words and "=" not in words[0] else ""
    settings = [word.partition("=") for word in words]
    return name, {name: value for name, _, value in settings}


def read(name: str, control: ipywidgets.Widget, text: str) -> object:
    """The value that a code's text stands for, if the control can take it."""
    if isinstance(control, ipywidgets.Text):
        return text
    try:
        value = float(text)
    except ValueError:
        value = None
    if hasattr(control, "options") and not isinstance(control, Steps):
        known = {_text(one): one for one in choices(control)}
        text = text if value is None or text in known else _text(value)  # 4.0 is 4
        if text not in known:
            raise unknown(f"choice of {name}", text, known)
        return known[text]
    if value is None:
        raise Refusal(f"the code gives {name}={text!r}: expected a number.")
    if isinstance(control, Steps):
        if not math.isfinite(value):
            raise Refusal(f"the code gives {name}={text}: expected a number.")
        return int(value) if value.is_integer() else value
    if not control.min <= value <= control.max:
        raise Refusal(f"the code gives {name}={text}: expected {control.min:g} to {control.max:g}.")
    if isinstance(control.value, int) and not value.is_integer():
        raise Refusal(f"the code gives {name}={text}: expected a whole number.")
    return type(control.value)(value)
