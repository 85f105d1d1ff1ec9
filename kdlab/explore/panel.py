"""A panel: controls, a plain function from settings to a result, and a picture of that result."""

import html
import time
import weakref
from collections.abc import Callable, Sequence

import ipywidgets

from kdlab.errors import Refusal, unknown
from kdlab.explore.background import Job
from kdlab.explore.controls import Steps, choice, parts, read, slider, steps, written
from kdlab.plots.picture import Picture, still_frame
from kdlab.training import Stopped

__all__ = ["Panel", "choice", "slider", "steps"]

# A slider's readout is cut off at a fixed width; ours may be as wide as what it says. What lies
# over a picture is placed in percent of it.
STYLE = """<style>
.kdlab-panel .widget-readout { max-width: none !important; min-width: max-content; }
.kdlab-panel .widget-toggle-buttons { display: flex; align-items: baseline; gap: 8px; }
.kdlab-panel .widget-toggle-buttons > label { flex: none; text-align: right; }
.kdlab-stage { position: relative; width: fit-content; max-width: 100%; overflow: hidden; }
.kdlab-stage .widget-html, .kdlab-stage .widget-html-content { margin: 0; line-height: 0; }
.kdlab-stage .jupyter-button { position: absolute; margin: 0; padding: 0; background: none; }
.kdlab-stage .jupyter-button:hover { box-shadow: inset 0 0 0 3px white; }
.kdlab-stage .jupyter-button:focus-visible { outline: 4px solid #56B4E9 !important; }
</style>"""

# The newest slow panel of each title. A cell that is run again makes its panel anew, and the old
# one is never collected: ipywidgets holds on to every widget.
_newest: "weakref.WeakValueDictionary[str, Panel]" = weakref.WeakValueDictionary()


class Panel(ipywidgets.VBox):
    """Controls over a picture. Each control is an attribute: `panel.temperature.value = 4`.

    compute(**settings) -> result and draw(result), which draws `picture`, are plain functions. A
    quick panel calls them while a control is dragged. A slow one calls
    compute(stop, progress, **settings) in the background once the control is let go: see `Job`;
    progress(done, total) moves the bar.

    name: the word under which `from_code` finds the panel's maker.  code: see `.code`.
    hide, lock: names of controls that are not shown, or shown and fixed.
    over: buttons laid over the picture, their layout (left, top, width, height) in percent.
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
        name: str = "",
        slow: bool = False,
        code: str | None = None,
        hide: Sequence[str] = (),
        lock: Sequence[str] = (),
        over: Sequence[ipywidgets.Widget] = (),
    ):
        super().__init__()
        self.add_class("kdlab-panel")
        self.title, self.name = title, name
        self.controls, self.picture = dict(controls), picture
        self.result, self.error = None, None
        self._compute, self._draw = compute, draw
        self._job = Job(self._work, self._done, self._failed) if slow else None
        self._bar = ipywidgets.IntProgress(layout={"width": "220px"})
        self._bar.layout.visibility = "hidden"
        self._status = ipywidgets.HTML()
        self._arrange(hide, lock, over)
        if code is not None:
            self._restore(code)
        for control in self.controls.values():
            control.observe(lambda _: self._update(), "value")
        if slow:
            if before := _newest.get(title):
                before._give_up("a newer panel of this kind was made. Move a control here")
            _newest[title] = self
        self._update()

    # ------------------------------------------------------------ what a notebook uses

    @property
    def settings(self) -> dict:
        """The value of every control, by name."""
        return {name: control.value for name, control in self.controls.items()}

    @property
    def code(self) -> str:
        """The panel's name and all settings as one short line: `from_code` opens it again.

        Set it, or give it as code=, to restore the settings; it may leave some out.
        """
        settings = [f"{name}={written(value)}" for name, value in self.settings.items()]
        return " ".join([self.name, *settings] if self.name else settings)

    @code.setter
    def code(self, code: str) -> None:
        if self._restore(code):
            self._update()

    def wait(self, timeout: float = 120) -> object:
        """The result for the settings as they are now; raises what went wrong on the way."""
        if self._job:
            try:
                if self._job.given_up or self._job.settings != self.settings:  # after Ctrl-C
                    self._update()
                self._job.wait(timeout)
            except KeyboardInterrupt:
                self._give_up("as you wished. Move a control, or call wait(),")
                raise
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

    def _give_up(self, why: str) -> None:
        """Stop what is under way; the next change, or `wait`, begins anew."""
        with self._job.lock:
            if self._job.under_way:
                self._job.cancel()
                self._say(f"<b>Stopped:</b> {why} to train again.")

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

    def _arrange(self, hide: Sequence[str], lock: Sequence[str], over: Sequence) -> None:
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
        stage = self.picture
        if over:
            stage = ipywidgets.Box([self.picture, *over])
            stage.add_class("kdlab-stage")
        self.children = [grid, *status, stage]

    def _restore(self, code: str) -> bool:
        """Set the controls that a code names; True where that changed one."""
        named, given = parts(code)
        if named and named != self.name:
            mine = f"a code of {self.name!r}" if self.name else "settings alone, such as depth=3"
            raise Refusal(f"the code {code!r} is one of {named!r}: expected {mine}.")
        wanted = {}
        for name, text in given.items():
            if name not in self.controls:
                raise unknown("control", name, self.controls)
            wanted[name] = read(name, self.controls[name], text)
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
