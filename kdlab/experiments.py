"""The long experiments of the lessons: their tables ship, and are made anew on request."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import joblib
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from kdlab import compress, exports, files, losses, models, signals, starts
from kdlab.data import Data, load_data
from kdlab.errors import Refusal, unknown
from kdlab.matches import Match
from kdlab.reports import report
from kdlab.training import distill, train

SIGNALS = ("labels", "soft targets")  # what a student learns from: the second with labels, too
NAMES = ("compression",)
EPOCHS, EXAMPLES, SEEDS, TEMPERATURE = 30, 2_000, 5, 2
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
    source = {} if teacher is not None else {"teacher": models.load_teacher("fashion-cnn")}
    return _learn("cnn-large", data, teacher, seed=seed, init_from="teacher", **source)


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


def _trained(recipe: str, signal: str, seed: int) -> nn.Module:
    teacher = models.load_teacher("fashion-cnn") if signal == SIGNALS[1] else None
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # the other cores train other students
    try:
        return COMPRESSION[recipe][1](_drawn(seed), seed, teacher)
    finally:
        torch.set_num_threads(before)


def _row(recipe: str, signal: str, seed: int, student: nn.Module) -> dict:
    row = report(student, _drawn(seed), models.load_teacher("fashion-cnn"), device="cpu")
    row["shirt_accuracy"] = row.pop("per_class_accuracy")[HARDEST]
    told = {"recipe": recipe, "signal": signal, "seed": seed}
    return {"group": COMPRESSION[recipe][0]} | told | row


# ---------------------------------------------------------------- shipped, and trained anew


def load(name: str = "compression") -> pd.DataFrame:
    """The shipped table of an experiment: a row for each trained student.

    name: "compression".  Raises UnknownName, and CorruptFile for a damaged file.
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

    recipes: names of kdlab.experiments.COMPRESSION; None takes all (some 20 minutes on 2 cores).
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
    options = {"unit": "student", "disable": not progress, "leave": False}
    made = joblib.Parallel(n_jobs=-1, return_as="generator")(
        joblib.delayed(_trained)(*one) for one in wanted
    )
    students = list(tqdm(made, desc="training", total=len(wanted), **options))
    pairs = tqdm(zip(wanted, students, strict=True), desc="timing", total=len(wanted), **options)
    return pd.DataFrame([_row(*one, student) for one, student in pairs])  # timed when all is quiet
