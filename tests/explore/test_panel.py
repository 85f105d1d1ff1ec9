import _thread
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from ipywidgets import Dropdown, ToggleButtons

from kdlab.errors import Refusal
from kdlab.explore import background
from kdlab.explore.panel import Panel, choice, slider, steps
from kdlab.plots.picture import Picture
from kdlab.training import Stopped


def make(compute, *, slow=False, drawn=None, title="a test", **options):
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
    return Panel(title, controls, compute, draw, picture, slow=slow, **options)


def worded(**options):
    """A quick panel with a choice among words and one among numbers."""
    picture = Picture("test", size=(2, 1))
    controls = {
        "who": choice("who teaches", ["early", "a noisy one", "it's late"], "early"),
        "share": choice("share", [0.0, 0.25, 1.0], 0.25, "{:.0%}".format, ToggleButtons),
    }
    return Panel(
        "words", controls, lambda **chosen: chosen, lambda chosen: picture.draw(str(chosen)),
        picture, name="words", **options,
    )  # fmt: skip


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


def test_words_stand_in_the_code_and_come_back():
    panel = worded()
    assert panel.code == "words who=early share=0.25"
    for who in ("a noisy one", "it's late"):
        panel.who.value = who
        assert worded(code=panel.code).settings == {"who": who, "share": 0.25} == panel.result
    assert panel.code.startswith("words who=")
    panel.code = "share=1"  # the name may be left out, and a setting too
    assert panel.settings == {"who": "it's late", "share": 1.0}
    panel.code = "share=0.250"
    assert panel.share.value == 0.25


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        ("words who=erly", LookupError, "Did you mean 'early'"),
        ("words share=0.3", LookupError, "no choice of share '0.3'"),
        ("words who='a noisy", Refusal, "open quotation mark"),
        ("training who=early", Refusal, "one of 'training': expected a code of 'words'"),
        (4, Refusal, "type int"),
    ],
)
def test_a_wrong_word_is_refused_and_changes_nothing(code, error, said):
    panel = worded()
    with pytest.raises(error, match=said):
        panel.code = code
    assert panel.settings == {"who": "early", "share": 0.25}


def test_a_panel_without_a_name_says_what_its_code_looks_like():
    with pytest.raises(Refusal, match="settings alone"):
        make(total, code="training depth=3")


def test_a_choice_shows_its_words_and_refuses_others():
    buttons = choice("share", [0.0, 0.5], 0.5, "{:.0%}".format)
    assert [word for word, _ in buttons.options] == ["0%", "50%"] and buttons.value == 0.5
    assert isinstance(choice("who", ["a", "b"], "b", kind=Dropdown), Dropdown)
    with pytest.raises(LookupError, match="there is no choice for 'who' 'c'"):
        choice("who", ["a", "b"], "c")


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
    monkeypatch.setattr(background, "PAUSE", 0.2)
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


def test_what_was_superseded_while_it_queued_never_begins():
    gate, begun = threading.Event(), []

    def deaf(stop, progress, depth, **_):
        begun.append(depth)
        gate.wait(10)
        return depth

    panel = make(deaf, slow=True)
    until(lambda: begun == [4])
    panel.depth.value = 5
    time.sleep(0.05)  # it queues behind the first, which does not listen
    panel.depth.value = 9
    gate.set()
    assert panel.wait(10) == 9 and begun == [4, 9]


def test_work_that_only_tells_its_progress_is_stopped_by_it():
    ended = []

    def compute(stop, progress, depth, **_):
        try:
            for step in range(1_000 if depth == 4 else 1):
                progress(step, 1_000)
                time.sleep(0.01)
        except Stopped:
            ended.append(depth)
            raise
        return depth

    panel = make(compute, slow=True)
    until(lambda: panel._bar.layout.visibility == "visible")
    panel.depth.value = 9
    assert panel.wait(5) == 9 and ended == [4]
    assert panel._bar.layout.visibility == "hidden"


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


# ---------------------------------------------------------------- interrupts, bursts, re-runs


def ours():
    """The threads that panels have started and that still live."""
    return [thread for thread in threading.enumerate() if thread.name == background.THREAD]


def interrupt(monkeypatch, where):
    """Ctrl-C, once, at the next call of a function of the job."""
    real = getattr(background.Job, where)

    def broken(self, *arguments, **options):
        monkeypatch.setattr(background.Job, where, real)
        raise KeyboardInterrupt

    monkeypatch.setattr(background.Job, where, broken)


def test_a_burst_of_changes_draws_the_last_alone_and_leaves_no_thread():
    drawn, begun = [], []

    def compute(stop, progress, depth, **_):
        begun.append(depth)
        for step in range(20):
            if stop():
                raise Stopped
            progress(step, 20)
            time.sleep(0.001)
        return depth

    panel = make(compute, slow=True, drawn=drawn)
    for number in range(100):
        panel.depth.value = number % 10
        if number % 7 == 0:
            time.sleep(0.004)  # now and then one gets under way
    assert panel.wait(10) == 9 and drawn[-1] == 9
    assert len(drawn) <= len(begun)
    until(lambda: not ours())
    assert drawn[-1] == 9 and panel.picture.alt == "the result is 9"


def test_changes_from_several_threads_end_with_what_the_controls_say():
    """A callback may come from anywhere; what is drawn at last is what the controls show."""
    panel = make(lambda stop, progress, depth, **_: depth, slow=True)

    def drag(values):
        for value in values:
            panel.depth.value = value

    hands = [threading.Thread(target=drag, args=(list(range(start, 10)),)) for start in range(3)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert panel.wait(10) == panel.depth.value
    until(lambda: not ours())


def test_an_interrupt_while_waiting_stops_the_work_and_wait_begins_anew(monkeypatch):
    work = Work()
    panel = make(work, slow=True)
    until(lambda: work.begun)
    interrupt(monkeypatch, "wait")
    with pytest.raises(KeyboardInterrupt):
        panel.wait()
    until(lambda: work.stopped == [4])
    until(lambda: not ours())
    assert "Stopped" in panel._status.value and panel._bar.layout.visibility == "hidden"
    assert panel.result is None
    work.go.set()
    assert panel.wait(10) == 4 and "Stopped" not in panel._status.value


def test_a_real_interrupt_wakes_the_cell_that_waits():
    work = Work()
    panel = make(work, slow=True)
    until(lambda: work.begun)
    if hasattr(signal, "pthread_kill"):
        main = threading.main_thread().ident
        ctrl_c = threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT))
    else:
        ctrl_c = threading.Timer(0.2, _thread.interrupt_main)
    ctrl_c.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        panel.wait(30)
    assert time.monotonic() - began < 10
    until(lambda: work.stopped == [4])
    until(lambda: not ours())


def test_after_an_interrupt_the_next_change_trains_again(monkeypatch):
    work = Work()
    panel = make(work, slow=True)
    interrupt(monkeypatch, "wait")
    with pytest.raises(KeyboardInterrupt):
        panel.wait()
    work.go.set()
    panel.depth.value = 7
    assert panel.wait(10) == 7


@pytest.mark.parametrize("where", ["start", "cancel"])
def test_an_interrupt_while_a_change_is_taken_leaves_no_old_result(monkeypatch, where):
    """The control has moved, the work has not begun: the old result is not the answer."""
    panel = make(lambda stop, progress, depth, **_: depth, slow=True)
    assert panel.wait(10) == 4
    interrupt(monkeypatch, where)
    with pytest.raises(KeyboardInterrupt):
        panel.depth.value = 8
    assert panel.wait(10) == 8 and panel.picture.alt == "the result is 8"


@pytest.mark.parametrize("started", [True, False])
def test_an_interrupt_while_a_thread_starts_leaves_no_old_result(monkeypatch, started):
    real, panel = threading.Thread.start, make(lambda stop, progress, depth, **_: depth, slow=True)
    panel.wait(10)

    def broken(self):
        monkeypatch.setattr(threading.Thread, "start", real)
        if started:  # Python waits for the thread to come up: a likely moment for Ctrl-C
            real(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", broken)
    with pytest.raises(KeyboardInterrupt):
        panel.depth.value = 8
    assert panel.wait(10) == 8


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError, ValueError])
def test_no_error_of_the_thread_is_swallowed(error):
    def compute(stop, progress, depth, **_):
        if depth == 4:
            raise error("from the thread")
        return depth

    panel = make(compute, slow=True)
    with pytest.raises(error):
        panel.wait(10)
    assert "from the thread" in panel._status.value
    with pytest.raises(error):  # and it is told as often as one asks
        panel.wait(10)
    panel.depth.value = 5
    assert panel.wait(10) == 5
    until(lambda: not ours())


def test_an_error_in_drawing_is_not_swallowed_either():
    picture = Picture("test", size=(2, 1))
    controls = {"depth": slider("depth (m)", 0, 10, 4)}
    panel = Panel(
        "drawn badly", controls, lambda stop, progress, depth: depth, lambda result: 1 / 0, picture,
        slow=True,
    )  # fmt: skip
    with pytest.raises(ZeroDivisionError):
        panel.wait(10)
    assert panel.result is None and "ZeroDivisionError" in panel._status.value


def test_a_cell_that_is_run_again_stops_the_old_panel():
    work = Work()
    old = make(work, slow=True, title="run twice")
    until(lambda: work.begun)
    new = make(work, slow=True, title="run twice")
    until(lambda: work.stopped == [4])
    assert "newer panel" in old._status.value
    work.go.set()
    assert new.wait(10) == 4 and old.result is None
    assert old.wait(10) == 4  # asked for, it trains after all
    until(lambda: not ours())


def test_an_error_stays_in_sight_when_the_cell_is_run_again():
    def compute(stop, progress, depth, **_):
        raise Refusal("four is refused")

    old = make(compute, slow=True, title="run twice")
    with pytest.raises(Refusal):
        old.wait(10)
    make(lambda stop, progress, depth, **_: depth, slow=True, title="run twice").wait(10)
    assert "four is refused" in old._status.value
    with pytest.raises(Refusal, match="four"):
        old.wait(10)


def test_other_panels_and_finished_ones_are_left_alone():
    work = Work()
    other = make(work, slow=True, title="another")
    until(lambda: work.begun)
    make(Work(), slow=True, title="not the other").close()
    assert not work.stopped
    work.go.set()
    assert other.wait(10) == 4
    make(work, slow=True, title="another").wait(10)
    assert "newer panel" not in other._status.value and "opacity:1" in other.picture.value


def test_importing_the_widgets_needs_no_display_and_no_pyplot():
    program = "import sys, kdlab.explore; print('matplotlib.pyplot' in sys.modules)"
    kept = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    done = subprocess.run([sys.executable, "-c", program], env=kept, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
