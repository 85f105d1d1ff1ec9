"""A whole map of students for the price of one usual run."""

import torch

import kdlab
from benchmarks.figure import Figure, Size, clock, ratio, teacher
from benchmarks.usual import start, usual
from kdlab.data import Data
from kdlab.sweeps import Atlas

TEMPERATURES = [1, 2, 4, 8, 16]
ALPHAS = [0, 0.1, 0.25, 0.5, 0.75]  # all below 1: labels alone are one student at every temperature
FEW = {"temperature": [2, 8], "alpha": [0, 0.5]}  # with 5 seeds: 20 students


def sweep(student: str, data: Data, size: Size, **options) -> Atlas:
    """A map with a student for every temperature, alpha and seed."""
    grid = {"temperature": TEMPERATURES, "alpha": ALPHAS, "epochs": size.epochs} | options
    return kdlab.sweep(student, teacher(), data, seeds=size.seeds, progress=False, **grid)


def measure(size: Size) -> list[Figure]:
    """Ratio of the map to one usual run, in float32 and bf16; students of a small CNN for one."""
    data, seconds = size.data(), {}
    for student in ("mlp-32", "cnn-small"):  # warm up
        usual(start(student, data, 0), teacher(), data.train[:256], epochs=1)
        sweep(student, data, size, epochs=1, temperature=[4], alpha=[0.1])
    for seed in range(size.rounds):
        for student in ("mlp-32", "cnn-small"):
            clock(
                seconds, f"usual, {student}", usual, start(student, data, seed), teacher(),
                data.train, epochs=size.epochs, seed=seed,
            )  # fmt: skip
        plain = clock(seconds, "float32", sweep, "mlp-32", data, size)
        rough = clock(seconds, "bf16", sweep, "mlp-32", data, size, precision="bf16")
        small = clock(seconds, "cnn-small", sweep, "cnn-small", data, size, **FEW)
    many, few = len(plain.runs), len(small.runs)
    changed = [_changed(*pair) for pair in zip(plain.runs, rough.runs, strict=True)]
    said = f"{min(changed)} to {max(changed)} of {len(data.validation):,} answers change a student"
    as_long = "of one usual run's time"
    one, one_cnn = "usual, mlp-32", "usual, cnn-small"
    return [
        Figure(
            f"atlas: {many} students mlp-32", ratio(seconds, "float32", one), as_long, most=1,
            seconds=_of(seconds, one, "float32"), note=_engine(plain),
        ),
        Figure(
            f"atlas: {many} students mlp-32 in bf16 (opt-in)", ratio(seconds, "bf16", one), as_long,
            seconds=_of(seconds, one, "bf16"), note=f"{_engine(rough)}; {said}",
        ),
        Figure(
            "atlas: students cnn-small for one usual run",
            few * ratio(seconds, one_cnn, "cnn-small"), "students", least=20,
            seconds=_of(seconds, one_cnn, "cnn-small"), note=f"{few} trained, {_engine(small)}",
        ),
    ]  # fmt: skip


def _of(seconds: dict, *names: str) -> dict:
    return {name: seconds[name] for name in names}


def _engine(atlas: Atlas) -> str:
    return f"engine: {getattr(atlas, 'engine', 'not told')}"


def _changed(one: kdlab.Run, other: kdlab.Run) -> int:
    """On how many validation examples two students name different classes."""
    first, second = (run.logits().argmax(1) for run in (one, other))
    return int(torch.sum(first != second))
