"""How long a learner waits: for the first figure, for a redrawn picture, for five new students."""

import json
import subprocess
import sys

import numpy as np

import kdlab
from benchmarks.figure import Figure, Size, clock, ratio, teacher

FIRST_FIGURE = """
import json, time; began = time.perf_counter()
import kdlab
imported = time.perf_counter()
panel = kdlab.explore.teacher_view()
assert panel.picture.png
print(json.dumps([imported - began, time.perf_counter() - imported]))
"""


def measure(size: Size) -> list[Figure]:
    """Import and first figure in fresh processes; then both kinds of slider, moved again and again.

    The panels stand at their own defaults, whatever the size; only how often they are moved follows
    it. What the browser takes to show the picture is not in these seconds.
    """
    times = 3 if size.short else 7 * size.rounds
    return [*_first_figure(size.rounds), *_redrawn(times), *_five_students(times)]


def _first_figure(rounds: int) -> list[Figure]:
    seconds = {"import": [], "first figure": []}
    for _ in range(rounds):
        told = subprocess.run(
            [sys.executable, "-c", FIRST_FIGURE], capture_output=True, text=True, check=True
        ).stdout
        for name, part in zip(seconds, json.loads(told), strict=True):
            seconds[name].append(part)
    middle = {name: float(np.median(parts)) for name, parts in seconds.items()}
    return [
        Figure("waiting: import kdlab, torch included", middle["import"], "s"),
        Figure("waiting: from import to the first figure", middle["first figure"], "s", most=5),
    ]


def _redrawn(times: int) -> list[Figure]:
    panel, seconds = kdlab.explore.teacher_view(), {}
    for move in range(times):
        before = panel.picture.value
        clock(seconds, "redrawn", setattr, panel.temperature, "value", (4, 1)[move % 2])
        if panel.picture.value == before:
            raise RuntimeError("the slider moved, and the picture is the one from before.")
    return [
        Figure(
            "waiting: slider to redrawn picture, median",
            1_000 * float(np.median(seconds["redrawn"])), "ms", most=100,
        )
    ]  # fmt: skip


def _five_students(times: int) -> list[Figure]:
    panel, seconds = kdlab.explore.training(), {}
    panel.wait()  # the students that learn from labels: kept from here on
    seeds, chosen = range(panel.seeds.value), {"progress": False}
    chosen |= {name: panel.settings[name] for name in ("alpha", "epochs")}
    draws = [
        kdlab.load_data("fashion-mnist", train=panel.examples.value, seed=seed) for seed in seeds
    ]

    def slide(temperature: float) -> None:
        panel.temperature.value = temperature
        panel.wait()

    def in_turn(student: str, temperature: float) -> None:
        for seed, data in zip(seeds, draws, strict=True):
            given = {"temperature": temperature, "seed": seed}
            kdlab.distill(student, teacher(), data, **given, **chosen)

    for move in range(times):
        temperature = (4, 2)[move % 2]
        clock(seconds, "slider", slide, temperature)
        if panel.result.new != len(seeds):
            raise RuntimeError(f"{panel.result.new} new students: expected {len(seeds)}.")
        if move % 3 == 0:
            clock(seconds, "in turn", in_turn, f"mlp-{panel.width.value}", temperature)
    late = float(np.quantile(seconds["slider"], 0.95))
    name = f"waiting: slider to {len(seeds)} new paired students"
    return [
        Figure(f"{name}, median", float(np.median(seconds["slider"])), "s", most=0.5),
        Figure(f"{name}, 95th percentile of {times}", late, "s", most=1),
        Figure(
            f"{name}, against one after another", ratio(seconds, "in turn", "slider"),
            "times as fast", seconds=seconds,
        ),
    ]  # fmt: skip
