"""How long a learner waits: `python benchmarks/waiting.py`.

1. From `import kdlab` to the first figure, in a fresh process.
2. Five new paired students at the training panel's default setting (1,000 pictures, 30 epochs,
   mlp-32), against the same five trained one after another, in the same run.
"""

import statistics
import subprocess
import sys
import time

FIRST_FIGURE = """
import time; began = time.perf_counter()
import kdlab
imported = time.perf_counter()
panel = kdlab.explore.teacher_view()
assert panel.picture.png
print(imported - began, time.perf_counter() - began)
"""


def first_figure(times: int = 3) -> None:
    """Seconds to import and to the first figure, median of fresh processes."""
    seen = []
    for _ in range(times):
        out = subprocess.run(
            [sys.executable, "-c", FIRST_FIGURE], capture_output=True, text=True, check=True
        ).stdout
        seen.append([float(number) for number in out.split()])
    imported, drawn = (statistics.median(column) for column in zip(*seen, strict=True))
    print(f"import kdlab (torch included): {imported:.2f} s; first figure: {drawn:.2f} s")


def five_students(rounds: int = 15) -> None:
    """Median and 95th percentile of five new students at once, and the ratio to one by one."""
    import kdlab

    data = kdlab.load_data("fashion-mnist", train=1_000)
    teacher = kdlab.load_teacher("fashion-cnn")
    shared = {"epochs": 30, "progress": False}
    kdlab.sweep("mlp-32", teacher, data, seeds=5, temperature=4, alpha=0.1, **shared)  # warm-up
    at_once, in_turn = [], []
    for number in range(rounds):
        setting = {"temperature": 2 + number / 8, "alpha": 0.1}
        began = time.perf_counter()
        kdlab.sweep("mlp-32", teacher, data, seeds=5, **setting, **shared)
        at_once.append(time.perf_counter() - began)
        began = time.perf_counter()
        for seed in range(5):
            kdlab.distill("mlp-32", teacher, data, seed=seed, **setting, **shared)
        in_turn.append(time.perf_counter() - began)
    at_once.sort()
    median, late = statistics.median(at_once), at_once[int(0.95 * len(at_once))]
    ratio = statistics.median(in_turn) / median
    print(
        f"five new students: median {median:.2f} s, 95th percentile {late:.2f} s; one after "
        f"another takes {ratio:.1f} times as long"
    )


if __name__ == "__main__":
    first_figure()
    five_students()
