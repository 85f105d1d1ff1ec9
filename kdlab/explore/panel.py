"""A panel: controls, a plain function from settings to a result, and a picture of that result."""

import html
import math
import threading
import time
from collections.abc import Callable, Sequence

import ipywidgets

from kdlab.errors import Refusal, unknown
from kdlab.plots.picture import Picture, still_frame
from kdlab.training import Stopped

PAUSE = 0.15  # seconds of rest before work starts, so that several quick changes cost one run

# A slider's readout is cut off at a fixed width; ours may be as wide as what it says.
STYLE = (
    "<style>.kdlab-panel .widget-readout "
    "{ max-width: none !important; min-width: max-content; }</style>"
)


class Job:
    """Work in the background of which only the latest call counts.

    work(stop, **settings) -> result runs in a thread; `stop` is a function that says True as soon
    as a newer call has come, and work that asks it may raise Stopped. done(result) and
    failed(error) are called for the latest call alone, while `lock` is held.
    """

    def __init__(self, work: Callable, done: Callable, failed: Callable):
        self.work, self.done, self.failed = work, done, failed
        self.lock = threading.RLock()  # who holds it may draw: no stale result comes in between
        self._one_at_a_time = threading.Lock()
        self._superseded = threading.Event()
        self._thread = None

    def start(self, **settings) -> None:
        """Give up what is under way and begin anew."""
        with self.lock:
            self.cancel()
            superseded = self._superseded = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=(superseded, settings), daemon=True
            )
            self._thread.start()

    def cancel(self) -> None:
        """Give up what is under way: it stops within a step and its result is never shown."""
        self._superseded.set()

    def wait(self, timeout: float) -> None:
        """Return when the latest call is through; TimeoutError where that takes too long."""
        thread = None
        while thread is not self._thread:  # a newer one may have begun meanwhile
            thread = self._thread
            thread.join(timeout)
        if thread is not None and thread.is_alive():
            raise TimeoutError(f"still at work after {timeout:g} s: wait(timeout=...) takes more.")

    def _run(self, superseded: threading.Event, settings: dict) -> None:
        if superseded.wait(PAUSE):
            return
        try:
            with self._one_at_a_time:
                if superseded.is_set():
                    return
                result = self.work(superseded.is_set, **settings)
            with self.lock:
                if not superseded.is_set():
                    self.done(result)
        except BaseException as error:  # a thread has nobody above it who would hear of it
            with self.lock:
                if not superseded.is_set():
                    self.failed(error)


class Panel(ipywidgets.VBox):
    """Controls over a picture. Each control is an attribute: `panel.temperature.value = 4`.

    compute(**settings) -> result and draw(result), which draws `picture`, are plain functions. A
    quick panel calls them while a control is dragged. A slow one calls
    compute(stop, progress, **settings) in the background once the control is let go: see `Job`;
    progress(done, total) moves the bar.

    hide, lock: names of controls that are not shown, or shown and fixed.  code: see `.code`.
    """

    _job = None  # `close` may be called on a panel that was refused before it was made

    def __init__(
        self,
        title: str,
        controls: dict[str, ipywidgets.Widget],
        compute: Callable,
        draw: Callable,
        picture: Picture,
        *,
        slow: bool = False,
        code: str | None = None,
        hide: Sequence[str] = (),
        lock: Sequence[str] = (),
    ):
        super().__init__()
        self.add_class("kdlab-panel")
        self.title, self.controls, self.picture = title, dict(controls), picture
        self.result, self.error = None, None
        self._compute, self._draw = compute, draw
        self._job = Job(self._work, self._done, self._failed) if slow else None
        self._bar = ipywidgets.IntProgress(layout={"width": "220px"})
        self._bar.layout.visibility = "hidden"
        self._status = ipywidgets.HTML()
        self._arrange(hide, lock)
        if code:
            self._restore(code)
        for control in self.controls.values():
            control.observe(lambda _: self._update(), "value")
        self._update()

    # ------------------------------------------------------------ what a notebook uses

    @property
    def settings(self) -> dict:
        """The value of every control, by name."""
        return {name: control.value for name, control in self.controls.items()}

    @property
    def code(self) -> str:
        """All settings as one short line. Set it, or give it as code=, to restore them."""
        return " ".join(f"{name}={_said(value)}" for name, value in self.settings.items())

    @code.setter
    def code(self, code: str) -> None:
        if self._restore(code):
            self._update()

    def wait(self, timeout: float = 120) -> object:
        """The result for the settings as they are now; raises what went wrong on the way."""
        if self._job:
            self._job.wait(timeout)
        if self.error is not None:
            raise self.error
        return self.result

    def close(self) -> None:
        """Stop what is under way and take the panel off the screen."""
        if self._job:
            self._job.cancel()
        super().close()

    # ------------------------------------------------------------ from a change to a picture

    def _update(self) -> None:
        if self._quiet:
            return
        if self._job:
            with self._job.lock:
                self.picture.stale()
                self._say("training …", busy=True)
                self._job.start(**self.settings)
            return
        try:
            self._done(self._compute(**self.settings))
        except BaseException as error:
            self._failed(error)
            raise  # a cell that moved the control must not go on with the old result

    def _work(self, stop: Callable[[], bool], **settings) -> object:
        moved = 0.0

        def progress(done: int, total: int) -> None:
            nonlocal moved
            if time.monotonic() - moved < 0.1:  # the eye needs no more, the front end even less
                return
            moved = time.monotonic()
            with self._job.lock:
                if stop():
                    raise Stopped
                self._bar.max, self._bar.value = total, done
                self._bar.layout.visibility = "visible"

        return self._compute(stop, progress, **settings)

    def _done(self, result: object) -> None:
        self._draw(result)
        self.result, self.error = result, None
        self._say("")

    def _failed(self, error: BaseException) -> None:
        self.error = error
        said = str(error) if isinstance(error, (Refusal, LookupError)) else repr(error)
        self.picture.stale()
        self._say(f"<b>This did not work.</b> {html.escape(said)}")

    def _say(self, text: str, busy: bool = False) -> None:
        self._status.value = f'{STYLE}<span role="status">{text}</span>'
        if self._job is None:
            self._status.layout.display = None if text else "none"
        elif not busy:
            self._bar.layout.visibility = "hidden"

    # ------------------------------------------------------------ controls

    _quiet = False  # True while a code sets several controls at once

    def _arrange(self, hide: Sequence[str], lock: Sequence[str]) -> None:
        for name in (*hide, *lock):
            if name not in self.controls:
                raise unknown("control", name, self.controls)
        widest = max(len(control.description) for control in self.controls.values())
        for name, control in self.controls.items():
            setattr(self, name, control)
            control.style.description_width = f"{0.55 * widest + 1:.1f}em"
            control.tooltip = control.description
            control.layout.width = "auto"
            control.disabled = name in lock
            if hasattr(control, "continuous_update"):
                control.continuous_update = self._job is None
            if name in hide:
                control.layout.display = "none"
        grid = ipywidgets.GridBox(
            list(self.controls.values()),
            layout={
                "grid_template_columns": "repeat(auto-fit, minmax(380px, 1fr))",
                "grid_gap": "0 24px",
                "padding": "0 16px 0 0",
                "max_width": f"{self.picture.canvas.get_width_height()[0]}px",
            },
        )
        status = [ipywidgets.HBox([self._bar, self._status])] if self._job else [self._status]
        self.children = [grid, *status, self.picture]

    def _restore(self, code: str) -> bool:
        """Set the controls that a code names; True where that changed one."""
        wanted = {}
        for word in code.split():
            name, _, value = word.partition("=")
            if name not in self.controls:
                raise unknown("control", name, self.controls)
            wanted[name] = _allowed(name, self.controls[name], value)
        before, self._quiet = self.settings, True
        try:
            for name, value in wanted.items():
                if isinstance(self.controls[name], Steps):
                    self.controls[name].allow(value)
                self.controls[name].value = value
        finally:
            self._quiet = False
        return self.settings != before

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        return still_frame(bundle, f"[interactive panel: {self.title}]", self.picture)


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
        known = {number for _, number in self.options}
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


def _said(value: float) -> str:
    return repr(int(value)) if float(value).is_integer() else repr(float(value))


def _allowed(name: str, control: ipywidgets.Widget, text: str) -> float:
    """The number in a code, if the control can take it."""
    try:
        value = float(text)
    except ValueError:
        raise Refusal(f"the code gives {name}={text!r}: expected a number.") from None
    if isinstance(control, Steps):
        if not math.isfinite(value):
            raise Refusal(f"the code gives {name}={text}: expected a number.")
        return int(value) if value.is_integer() else value
    if not control.min <= value <= control.max:
        raise Refusal(f"the code gives {name}={text}: expected {control.min:g} to {control.max:g}.")
    if isinstance(control.value, int) and not value.is_integer():
        raise Refusal(f"the code gives {name}={text}: expected a whole number.")
    return type(control.value)(value)
