"""The long experiments of the lessons: their tables ship, and are made anew on request."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import joblib
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from kdlab import (
    compress,
    exports,
    files,
    losses,
    models,
    schedules,
    scores,
    signals,
    starts,
)
from kdlab.data import Data, load_data
from kdlab.errors import Refusal, unknown
from kdlab.matches import Match
from kdlab.reports import costs_of, report
from kdlab.training import distill, train

SIGNALS = ("labels", "soft targets")  # what a student learns from: the second with labels, too
NAMES = ("compression", "tenth")
EPOCHS, EXAMPLES, SEEDS, TEMPERATURE = 20, 2_000, 5, 2
QUIET = {"progress": False, "watch": 0, "device": "cpu"}


# ---------------------------------------------------------------- lesson 05: compression


def _learn(student, data: Data, teacher: nn.Module | None, epochs: int = EPOCHS, **options):
    """A student from labels, or from labels and soft targets; its module."""
    options = {**QUIET, "epochs": epochs, **options}
    if teacher is None:
        return train(student, data, **options).student
    return distill(student, teacher, data, temperature=TEMPERATURE, **options).student


def _sized(name: str) -> Callable:
    return lambda data, seed, teacher: _learn(name, data, teacher, seed=seed)


def _then(change: Callable, base: str = "mlp-128", **options) -> Callable:
    """Half of the epochs, a change that makes the network smaller, and the other half."""

    def recipe(data: Data, seed: int, teacher: nn.Module | None) -> nn.Module:
        half = _learn(base, data, teacher, EPOCHS // 2, seed=seed)
        smaller = change(half, data.train.inputs)
        return _learn(smaller, data, teacher, EPOCHS // 2, seed=seed, **options)

    return recipe


def _int8(of: Callable, kind: str = "dynamic") -> Callable:
    """Another recipe, and then whole numbers of 8 bits: nothing is learnt afterwards."""

    def recipe(data: Data, seed: int, teacher: nn.Module | None) -> nn.Module:
        student = of(data, seed, teacher)
        with tempfile.TemporaryDirectory() as folder:
            path = exports.export(student, Path(folder) / "int8.onnx", data, int8=kind)
            return exports.load_onnx(path)

    return recipe


def _copied(data: Data, seed: int, teacher: nn.Module | None) -> nn.Module:
    """Started from the teacher's first two convolutions: the layers that both have."""
    start = models.build("cnn-large", tuple(data.train.inputs.shape[1:]), len(data.classes), seed)
    starts.copy_weights(start, models.load_teacher("fashion-cnn"), starts.TEACHER)
    return _learn(start, data, teacher, seed=seed)


def _hinted(data: Data, seed: int, teacher: nn.Module | None) -> nn.Module:
    """A fifth of the epochs on a hint from the teacher's second block, then the logits' terms."""
    shown = models.load_teacher("fashion-cnn")
    hint = Match("block2", "block2", loss=losses.hint_loss)
    stages = [
        {"epochs": EPOCHS // 5, "loss": "match only", "match": [hint]},
        {"epochs": EPOCHS - EPOCHS // 5, "alpha": 1.0 if teacher is None else 0.1},
    ]
    options = {"temperature": TEMPERATURE, "stages": stages, "seed": seed}
    return distill("cnn-large", shown, data, **options, **QUIET).student


def _transferred(data: Data, seed: int, teacher: nn.Module | None) -> nn.Module:
    """The teacher's frozen body under a new head."""
    body = starts.new_head(models.load_teacher("fashion-cnn"), len(data.classes), seed)
    return _learn(body, data, teacher, seed=seed)


def _unlabelled(data: Data, seed: int, teacher: nn.Module | None) -> nn.Module:
    """As many steps, but over five times as many pictures, most without a label."""
    more = load_data(data.name, train=EXAMPLES, seed=seed, unlabelled=4 * EXAMPLES)
    epochs = EPOCHS // 5
    if teacher is None:  # the teacher's first choice as a label: the hard half of its answer
        shown = models.load_teacher("fashion-cnn")
        return _learn("mlp-32", signals.weak_labels(shown, more), None, epochs, seed=seed)
    return _learn("mlp-32", more, teacher, epochs, transfer=True, seed=seed)


SIZES = ("mlp-4", "mlp-8", "mlp-16", "mlp-32", "mlp-64", "mlp-128")
SIZES += ("cnn-small", "cnn-medium", "cnn-large")
SPARSE = _then(lambda net, _: compress.prune(net, 0.9), optimizer=compress.keep_zeros)
NARROW = _then(lambda net, inputs: compress.narrow(net, 0.75, inputs))
RANK_8 = _then(lambda net, _: compress.factorise(net, 8))
COMPRESSION: dict[str, tuple[str, Callable]] = {  # recipe -> its group, and how it is made
    **{name: ("size", _sized(name)) for name in SIZES},
    "mlp-128, 90 % zeros": ("pruning", SPARSE),
    "mlp-128, 3 of 4 neurons out": ("pruning", NARROW),
    "mlp-128, rank 8": ("low rank", RANK_8),
    "mlp-128, int8": ("int8", _int8(_sized("mlp-128"))),
    "cnn-medium, int8": ("int8", _int8(_sized("cnn-medium"), "static")),
    "mlp-128, 90 % zeros, int8": ("two at once", _int8(SPARSE)),
    "mlp-128, rank 8, int8": ("two at once", _int8(RANK_8)),
    "cnn-large, copied start": ("start", _copied),
    "cnn-large, hint first": ("start", _hinted),
    "teacher's body, new head": ("transfer", _transferred),
    "mlp-32, 8,000 more pictures": ("more data", _unlabelled),
}
HARDEST = 6  # Shirt: the class most often taken for another


def _drawn(seed: int) -> Data:
    return load_data("fashion-mnist", train=EXAMPLES, seed=seed)


def _trained(recipe: str, signal: str, seed: int) -> tuple[nn.Module, dict]:
    """A student, and how well it answers."""
    teacher, data = models.load_teacher("fashion-cnn"), _drawn(seed)
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # the other cores train other students
    try:
        student = COMPRESSION[recipe][1](data, seed, teacher if signal == SIGNALS[1] else None)
        said = signals.ask(student, data.validation.inputs)
    finally:
        torch.set_num_threads(before)
    asked = signals.answers(teacher, data.validation)
    quality = scores.of_logits(said, data.validation.labels, asked)
    quality["shirt_accuracy"] = quality.pop("per_class_accuracy")[HARDEST]
    return student, quality


def _costs(student: nn.Module) -> dict:
    few = load_data("fashion-mnist", train=100, validation=100)
    return costs_of(student, few.validation)


def _tenth(seed: int) -> list[dict]:
    """The teacher itself, cut to less than half of its channels, distilled, and written in int8."""
    data, teacher = load_data("fashion-mnist", seed=seed), models.load_teacher("fashion-cnn")
    cut = compress.narrow(teacher, 0.55, data.train.inputs)
    options = {**QUIET, "temperature": TEMPERATURE, "epochs": 2, "seed": seed}
    run = distill(cut, teacher, data, learning_rate=schedules.cosine(2e-3, 0), **options)
    with tempfile.TemporaryDirectory() as folder:
        path = exports.export(run, Path(folder) / "int8.onnx", data, int8="static")
        forms = {"teacher": teacher, "55 % of channels out": run, "and int8": path}
        rows = [{"form": name} | report(form, data, teacher) for name, form in forms.items()]
    for row in rows:
        del row["per_class_accuracy"]
        row["seed"] = seed
    return rows


# ---------------------------------------------------------------- shipped, and trained anew


def load(name: str = "compression") -> pd.DataFrame:
    """The shipped table of an experiment: a row for each trained student.

    name: "compression", or "tenth": the teacher in a tenth of its bytes.
    Raises UnknownName, and CorruptFile for a damaged file.
    """
    if name not in NAMES:
        raise unknown("experiment", name, NAMES)
    path = files.folder() / "results" / f"{name}.csv"
    told = files.read_card("results")["files"][path.name]
    files.check_hash(path, path.read_bytes(), told["sha256"])
    return pd.read_csv(path)


def run(
    recipes: Sequence[str] | None = None,
    seeds: int | Sequence[int] = SEEDS,
    *,
    progress: bool = True,
) -> pd.DataFrame:
    """Train the students of the compression table anew: a row for each, as `load` gives them.

    recipes: names of kdlab.experiments.COMPRESSION; None takes all (some 15 minutes on 2 cores).
    seeds: how many, or which.
    """
    recipes = list(COMPRESSION) if recipes is None else list(recipes)
    for recipe in recipes:
        if recipe not in COMPRESSION:
            raise unknown("recipe", recipe, COMPRESSION)
    numbers = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not numbers:
        raise Refusal("seeds: expected at least one.")
    wanted = [
        (recipe, signal, seed) for recipe in recipes for signal in SIGNALS for seed in numbers
    ]
    options = {"unit": "student", "disable": not progress, "leave": False, "total": len(wanted)}
    made = joblib.Parallel(n_jobs=-1, return_as="generator")(
        joblib.delayed(_trained)(*one) for one in wanted
    )
    done = list(tqdm(made, desc="training", **options))
    costs, rows = {}, []  # timed when all is quiet; the students of a recipe have one shape
    for (recipe, signal, seed), (student, quality) in zip(wanted, done, strict=True):
        if recipe not in costs:
            costs[recipe] = _costs(student)
        told = {"group": COMPRESSION[recipe][0], "recipe": recipe, "signal": signal, "seed": seed}
        rows.append(told | quality | costs[recipe])
    return pd.DataFrame(rows)


def tenth(seeds: int = 3) -> pd.DataFrame:
    """The teacher in a tenth of its bytes: it, what is left of it, and that in int8, by seed.

    55 % of its channels out, two epochs of distillation on 50,000 pictures; some 2 minutes a seed.
    """
    return pd.DataFrame([row for seed in range(seeds) for row in _tenth(seed)])
