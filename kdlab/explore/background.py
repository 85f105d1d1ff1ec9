"""Work in the background, of which only the latest call counts."""

import threading
import time
from collections.abc import Callable

PAUSE = 0.15  # seconds of rest before work starts, so that several quick changes cost one run
THREAD = "kdlab panel"  # what its threads are called


class Job:
    """Work in the background of which only the latest call counts.

    work(stop, **settings) -> result runs in a thread; `stop` is a function that says True as soon
    as a newer call has come, and work that asks it may raise Stopped. done(result) and
    failed(error) are called for the latest call alone, while `lock` is held.
    """

    def __init__(self, work: Callable, done: Callable, failed: Callable):
        self.work, self.done, self.failed = work, done, failed
        self.lock = threading.RLock()  # who holds it may draw: no stale result comes in between
        self.settings: dict | None = None  # of the latest call
        self.under_way = False  # True from `start` until done or failed was called
        self._one_at_a_time = threading.Lock()
        self._superseded = threading.Event()
        self._thread = None

    @property
    def given_up(self) -> bool:
        """Whether the latest call was cancelled before it had a result."""
        return self.under_way and self._superseded.is_set()

    def start(self, **settings) -> None:
        """Give up what is under way and begin anew."""
        with self.lock:
            self.cancel()
            superseded = self._superseded = threading.Event()
            self.settings, self.under_way = settings, True
            try:
                self._thread = threading.Thread(
                    target=self._run, args=(superseded, settings), daemon=True, name=THREAD
                )
                self._thread.start()
            except BaseException:  # Ctrl-C just now: the thread may run or not, nobody knows
                self.cancel()
                raise

    def cancel(self) -> None:
        """Give up what is under way: it stops within a step and its result is never shown."""
        self._superseded.set()

    def wait(self, timeout: float) -> None:
        """Return when the latest call is through; TimeoutError where that takes too long."""
        deadline = time.monotonic() + timeout
        while True:
            with self.lock:  # not while a newer call is being made
                thread = self._thread
            if thread is None or not thread.is_alive():
                return
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"still at work after {timeout:g} s: wait(timeout=...) takes more."
                )
            thread.join(0.1)  # in short pieces: Windows hears Ctrl-C only between them

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
                    self.under_way = False
        except BaseException as error:  # a thread has nobody above it who would hear of it
            with self.lock:
                if not superseded.is_set():
                    self.under_way = False
                    self.failed(error)
