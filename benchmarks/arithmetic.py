"""What share of the machine's arithmetic many students at once reach, and where the rest goes."""

import math
import re
import time

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

import kdlab
from benchmarks import atlas
from benchmarks.figure import Figure, Size, clock
from benchmarks.usual import start
from kdlab import losses
from kdlab.data import Data

SQUARE = 2_048  # of the plain matrix product
BATCH = 128  # kdlab's default
PROFILED = range(2, 12)  # steps: the first ones warm up

# The operations of each kind, by their names in torch without "aten::" and a last "_".
KINDS = {
    "matrix products": r"b?mm|addmm|baddbmm|.*convolution(_backward)?",
    "elementwise and sums": r".*softmax.*|nll_loss.*|threshold.*|relu|clamp.*|sum|mean|add|sub|rsub"
    r"|mul|div|exp|log|pow|neg|sqrt|addcmul|addcdiv|lerp|where|masked_fill|eq|ne|ge|gt|le|lt",
    "optimiser": r".*adam.*|_foreach.*",
    "gather": r"index|index_select|gather|take.*",
    "copies": r"copy|cat|stack|clone|zero|zeros.*|fill|repeat_interleave|contiguous",
}


def measure(size: Size) -> list[Figure]:
    """Rate of the map's training against a plain matrix product, and shares of the time."""
    data, seconds = size.data(), {}
    atlas.sweep("mlp-32", data, size, epochs=1, temperature=[4], alpha=[0.1])  # warm up
    whole, inside, best = [], [], []
    for _ in range(size.rounds):
        best.append(matrix_rate())
        ticks = Ticks()
        found = clock(seconds, "kdlab", atlas.sweep, "mlp-32", data, size, stop=ticks)
        work = len(found.runs) * size.epochs * len(data.train) * flops_an_example("mlp-32", data)
        whole.append(work / seconds["kdlab"][-1])
        inside.append(work / ticks.seconds)
    plain = float(torch.tensor(best).median())
    rows = []
    for what, rates in (("whole call", whole), ("its steps alone", inside)):
        rate = float(torch.tensor(rates).median())
        note = f"{rate / 1e9:.0f} of {plain / 1e9:.0f} GFLOP/s ({work / 1e12:.2g} TFLOP)"
        name = f"arithmetic: {len(found.runs)} students, {what}"
        rows.append(Figure(name, 100 * rate / plain, "% of a plain matrix product", note=note))
    for kind, share in _shares(data, size).items():
        rows.append(Figure(f"arithmetic: a step's time on one core, {kind}", 100 * share, "%"))
    return rows


def matrix_rate(times: int = 5) -> float:
    """Operations a second of a plain square matrix product in float32; the median."""
    device, seconds = kdlab.pick_device(), {}
    left, right = (torch.randn(SQUARE, SQUARE, device=device) for _ in range(2))
    torch.mm(left, right)
    for _ in range(times):
        clock(seconds, "mm", torch.mm, left, right)
    return 2 * SQUARE**3 / float(torch.tensor(seconds["mm"]).median())


def flops_an_example(student: str, data: Data) -> float:
    """Operations (two for a multiply-add) of one example, forward and backward.

    Counted by torch from the shapes of one plain step of one student: what the mathematics asks
    for, whichever engine does it.
    """
    net, few = start(student, data, 0), data.train[:BATCH]
    said = torch.zeros(len(few), len(data.classes))
    with FlopCounterMode(display=False) as counter:
        losses.kd_loss(net(few.inputs), said, few.labels, 4.0, 0.1).backward()
    return counter.get_total_flops() / len(few)


class Ticks:
    """Given as stop=: it is asked before each step, so it can take the time of steps.

    Where cores train side by side, one of them asks.
    profiler: started and stopped around the steps in PROFILED.
    """

    def __init__(self, profiler: profile | None = None):
        self.times, self.profiler = [], profiler

    def __call__(self) -> bool:
        step = len(self.times)
        if self.profiler and step == PROFILED.start:
            self.profiler.start()
        if self.profiler and step == PROFILED.stop:
            self.profiler.stop()
        self.times.append(time.perf_counter())
        return False

    @property
    def seconds(self) -> float:
        """From the first step to the end of the last, which takes as long as the others."""
        steps = len(self.times)
        return (self.times[-1] - self.times[0]) * steps / (steps - 1)


def _shares(data: Data, size: Size) -> dict[str, float]:
    """Shares of the time of PROFILED steps, by kind; what is no operation is Python's."""
    on_gpu = kdlab.pick_device().startswith("cuda")
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    profiler = profile(activities=activities)
    ticks = Ticks(profiler)
    epochs = math.ceil((PROFILED.stop + 1) / math.ceil(len(data.train) / BATCH))
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # the profiler sees one thread: all students in one part
    try:
        atlas.sweep("mlp-32", data, size, epochs=epochs, stop=ticks)
    finally:
        torch.set_num_threads(before)
    began, ended = (ticks.times[step] for step in (PROFILED.start, PROFILED.stop))
    shares = dict.fromkeys(KINDS, 0.0) | {"other operations": 0.0}
    for event in profiler.key_averages():
        if event.device_type != DeviceType.CPU:
            continue  # a kernel: its time stands with the operation that started it, too
        spent = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        shares[kind_of(event.key)] += spent / 1e6 / (ended - began)
    return shares | {"Python and waiting": 1 - sum(shares.values())}


def kind_of(operation: str) -> str:
    """The kind that an operation's time is counted under."""
    name = operation.lower().removeprefix("aten::").rstrip("_")
    kinds = (kind for kind, names in KINDS.items() if re.fullmatch(names, name))
    return next(kinds, "other operations")
