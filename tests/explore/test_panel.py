import os
import subprocess
import sys
import threading
import time

import pytest

from kdlab.errors import Refusal
from kdlab.explore import panel as panels
from kdlab.explore.panel import Panel, slider, steps
from kdlab.plots.picture import Picture
from kdlab.training import Stopped


def make(compute, *, slow=False, drawn=None, **options):
    picture = Picture("test", size=(2, 1))
    text = picture.figure.text(0.1, 0.5, "")
    drawn = [] if drawn is None else drawn

    def draw(result):
        drawn.append(result)
        text.set_text(str(result))
        picture.draw(f"the result is {result}")

    controls = {
        "depth": slider("depth (m)", 0, 10, 4),
        "weight": slider("weight", 0.0, 1.0, 0.5, 0.25),
        "size": steps("size", [1, 10, 100], 10),
    }
    return Panel("a test", controls, compute, draw, picture, slow=slow, **options)


def total(depth, weight, size):
    return depth + weight + size


class Work:
    """Slow work whose end the test decides on."""

    def __init__(self):
        self.go, self.begun, self.stopped = threading.Event(), [], []

    def __call__(self, stop, progress, depth, **_):
        self.begun.append(depth)
        while not self.go.wait(0.005):
            if stop():
                self.stopped.append(depth)
                raise Stopped
        progress(1, 2)
        return depth


def until(condition):
    for _ in range(1_000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("it never came")


# ---------------------------------------------------------------- quick panels


def test_a_quick_panel_shows_its_result_at_once_and_follows_the_drag():
    panel = make(total)
    assert panel.result == panel.wait() == 14.5
    panel.depth.value = 10
    assert panel.result == 20.5 and panel.picture.alt == "the result is 20.5"
    assert panel.depth.continuous_update and panel.size.continuous_update


def test_every_control_has_a_label_that_is_not_clipped():
    panel = make(total)
    for control in panel.controls.values():
        assert control.description
        room = float(control.style.description_width.removesuffix("em"))
        assert room >= 0.5 * len(control.description)


def test_a_quick_error_is_shown_and_raised_and_passes():
    def compute(depth, **_):
        if depth == 7:
            raise Refusal("depth <7> is refused")
        return depth

    panel = make(compute)
    with pytest.raises(Refusal):
        panel.depth.value = 7
    assert "depth &lt;7&gt; is refused" in panel._status.value
    with pytest.raises(Refusal):
        panel.wait()
    panel.depth.value = 8
    assert panel.wait() == 8 and "refused" not in panel._status.value


def test_the_plain_text_is_one_fixed_line():
    panel = make(total)
    first, _ = panel._repr_mimebundle_()
    panel.depth.value = 1
    second, metadata = panel._repr_mimebundle_()
    assert first["text/plain"] == second["text/plain"] == "[interactive panel: a test]"
    assert first["image/png"] != second["image/png"]
    assert metadata["image/png"]["alt"] == panel.picture.alt


# ---------------------------------------------------------------- the code, hide and lock


def test_the_code_restores_all_settings():
    panel = make(total)
    panel.depth.value, panel.weight.value, panel.size.value = 3, 0.25, 100
    assert panel.code == "depth=3 weight=0.25 size=100"
    assert make(total, code=panel.code).settings == panel.settings


def test_setting_the_code_draws_once():
    drawn = []
    panel = make(total, drawn=drawn)
    panel.code = "depth=3 weight=1 size=1"
    assert drawn == [14.5, 5.0]
    panel.code = panel.code
    assert len(drawn) == 2


def test_a_code_may_hold_a_number_that_is_not_listed():
    drawn = []
    panel = make(total, drawn=drawn, code="depth=0 weight=0 size=42")
    assert drawn == [42] and [number for _, number in panel.size.options] == [1, 10, 42, 100]
    panel.code = "size=7.5"
    assert drawn == [42, 7.5] and panel.code == "depth=0 weight=0 size=7.5"


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        ("deph=3", LookupError, "Did you mean 'depth'"),
        ("depth", Refusal, "expected a number"),
        ("depth=11", Refusal, "expected 0 to 10"),
        ("depth=nan", Refusal, "expected 0 to 10"),
        ("depth=2.5", Refusal, "whole number"),
        ("size=inf", Refusal, "expected a number"),
    ],
)
def test_a_wrong_code_is_refused_and_changes_nothing(code, error, said):
    panel = make(total)
    before = panel.settings
    with pytest.raises(error, match=said):
        panel.code = f"weight=1 {code}"
    assert panel.settings == before and panel.result == 14.5


def test_controls_can_be_hidden_or_locked():
    panel = make(total, hide=("depth",), lock=("size",))
    assert panel.depth.layout.display == "none" and panel.weight.layout.display is None
    assert panel.size.disabled and not panel.weight.disabled
    with pytest.raises(LookupError, match="depth"):
        make(total, hide=("deep",))


# ---------------------------------------------------------------- slow panels


def test_a_slow_panel_works_in_the_background_once_the_control_is_let_go():
    work = Work()
    panel = make(work, slow=True)
    assert not panel.depth.continuous_update
    assert panel.result is None and "training" in panel._status.value
    work.go.set()
    assert panel.wait(10) == panel.result == 4
    assert "training" not in panel._status.value
    assert panel._bar.layout.visibility == "hidden"


def test_quick_changes_cost_one_run(monkeypatch):
    monkeypatch.setattr(panels, "PAUSE", 0.2)
    work = Work()
    work.go.set()
    panel = make(work, slow=True)
    for depth in (1, 2, 3):
        panel.depth.value = depth
    assert panel.wait(10) == 3 and work.begun == [3]


def test_a_superseded_run_stops_and_is_never_drawn():
    work, drawn = Work(), []
    panel = make(work, slow=True, drawn=drawn)
    until(lambda: work.begun == [4])
    panel.depth.value = 9
    until(lambda: work.begun == [4, 9])
    assert work.stopped == [4]
    work.go.set()
    assert panel.wait(10) == 9 and drawn == [9]


def test_a_run_that_does_not_listen_is_not_drawn_either():
    gates, drawn = {4: threading.Event(), 9: threading.Event()}, []

    def deaf(stop, progress, depth, **_):
        gates[depth].wait(10)
        return depth

    panel = make(deaf, slow=True, drawn=drawn)
    time.sleep(0.05)
    panel.depth.value = 9
    gates[4].set()
    gates[9].set()
    assert panel.wait(10) == 9 and drawn == [9]


def test_meanwhile_the_old_picture_stays_greyed():
    work = Work()
    work.go.set()
    panel = make(work, slow=True)
    panel.wait(10)
    work.go.clear()
    panel.depth.value = 5
    assert "opacity:0.35" in panel.picture.value and "result is 4" in panel.picture.alt
    work.go.set()
    panel.wait(10)
    assert "opacity:1" in panel.picture.value and "result is 5" in panel.picture.alt


def test_an_error_in_the_thread_is_shown_and_raised_by_wait():
    def compute(stop, progress, depth, **_):
        if depth == 4:
            raise Refusal("four is refused")
        return depth

    panel = make(compute, slow=True)
    with pytest.raises(Refusal, match="four"):
        panel.wait(10)
    assert "four is refused" in panel._status.value
    panel.depth.value = 5
    assert panel.wait(10) == 5 and "refused" not in panel._status.value


def test_wait_says_when_it_takes_too_long_and_close_stops_the_work():
    work = Work()
    panel = make(work, slow=True)
    until(lambda: work.begun)
    with pytest.raises(TimeoutError, match=r"0\.05 s"):
        panel.wait(0.05)
    panel.close()
    until(lambda: work.stopped == [4])


def test_importing_the_widgets_needs_no_display_and_no_pyplot():
    program = "import sys, kdlab.explore; print('matplotlib.pyplot' in sys.modules)"
    kept = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    done = subprocess.run([sys.executable, "-c", program], env=kept, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
