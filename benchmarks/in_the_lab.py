"""How long a learner waits in the browser: from the key to the picture on the screen."""

import statistics
import tempfile
from pathlib import Path

from benchmarks.figure import Figure, Size
from tests.browser import lab
from tests.browser.test_lesson_01 import handle_of, panel_of

NOTEBOOK = "notebooks/01_soft_targets.ipynb"
PICTURE = "what the teacher says about it"  # in the alt text of the panel of softened answers

# The widget puts a new <img> in the old one's place, so the output is watched, not the image.
PRESSED = """async ([output, handle, key]) => {
  const before = output.querySelector('img').src;
  const began = performance.now();
  const changed = new Promise(done => {
    const look = () => {
      const image = output.querySelector('img');
      if (!image || image.src === before) return;
      watch.disconnect();
      image.decode().then(() => requestAnimationFrame(done));
    };
    const watch = new MutationObserver(look);
    watch.observe(output, {childList: true, subtree: true, attributes: true});
  });
  handle.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true}));
  await Promise.race([changed, new Promise((_, late) => setTimeout(late, 10000, 'no picture'))]);
  return performance.now() - began;
}"""


def measure(size: Size) -> list[Figure]:
    """Lesson 1 in a real JupyterLab: the slider of T pressed again and again, each press timed."""
    presses = 10 if size.short else 60
    taken = []
    with (
        tempfile.TemporaryDirectory() as home,
        lab.running(Path(home)) as address,
        lab.chromium() as browser,
    ):
        page = lab.opened(browser, address, NOTEBOOK)
        if not page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')"):
            raise RuntimeError(f"{NOTEBOOK} did not run to its end in JupyterLab.")
        output, image = panel_of(page, PICTURE)
        image.scroll_into_view_if_needed()
        handle = handle_of(output, "temperature").element_handle()
        for press in range(presses):
            key = ("ArrowRight", "ArrowLeft")[press % 2]
            taken.append(page.evaluate(PRESSED, [output.element_handle(), handle, key]))
            page.wait_for_timeout(150)
        page.close()
    taken = sorted(taken[2:])  # the first two wake the panel up
    return [
        Figure("in JupyterLab: slider to picture on the screen, median",
               statistics.median(taken), "ms", most=100),
        Figure("in JupyterLab: slider to picture on the screen, 95th percentile",
               taken[int(0.95 * len(taken))], "ms"),
    ]  # fmt: skip
