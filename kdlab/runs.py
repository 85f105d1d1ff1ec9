"""A run: the student and what is known of it; saved to a folder and loaded back equal."""

import contextlib
import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_model, save_model
from torch import nn

from kdlab import data as data_sets
from kdlab import models, scores, signals
from kdlab.data import Data
from kdlab.errors import CorruptFile, Refusal

SPLITS = ("train", "validation", "test")
FILES = ("run.json", "history.csv", "student.safetensors")  # of a saved run


@dataclass(eq=False)
class Run:
    """One trained student with its history, scores, settings and seconds.

    history: pandas, a row an epoch.  scores: of the validation split, `accuracy`, `nll`, `ece`,
    `agreement`, `per_class_accuracy`, `parameters`, `bytes`.  finished: False after Ctrl-C.
    projectors: of its matches, by name; not saved.  error: why a run of a sweep failed, else "".
    """

    student: nn.Module
    settings: dict
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    scores: dict = field(default_factory=dict)
    seconds: float = 0.0
    finished: bool = False
    data: Data | None = field(default=None, repr=False)
    teacher: object = field(default=None, repr=False)
    projectors: dict[str, nn.Module] = field(default_factory=dict, repr=False)
    error: str = ""

    def logits(self, split: str = "validation", data: Data | None = None) -> torch.Tensor:
        """The student's logits for a split, (n, classes)."""
        inputs = self._split(split, data).inputs
        if self.settings.get("precision") == "float64" and inputs.is_floating_point():
            inputs = inputs.double()
        return signals.ask(self.student, inputs, self._device())

    def score(
        self,
        split: str = "validation",
        data: Data | None = None,
        *,
        logits: torch.Tensor | None = None,
    ) -> dict:
        """All scores on a split. "test" is the final word: ask once, at the end of an experiment.

        data: only needed by a run that was loaded from a folder.  logits: the student's for this
        split, where they are known already.
        """
        part = self._split(split, data)
        teacher_logits = None
        if self.teacher is not None:
            teacher_logits = _reference(self.teacher, part, self._device())
        logits = self.logits(split, data) if logits is None else logits
        result = scores.of_logits(logits, part.labels, teacher_logits)
        result["parameters"] = scores.parameters(self.student)
        result["bytes"] = scores.size_in_bytes(self.student)
        return result

    def save(self, folder: str | Path) -> Path:
        """Write student.safetensors, run.json and history.csv into a folder, all or nothing."""
        with whole_folder(folder) as inside:
            weights = inside / "student.safetensors"
            save_model(self.student, str(weights))
            self.history.to_csv(inside / "history.csv", index=False)
            card = {
                "settings": self.settings,
                "scores": _each(self.scores, _nan_as_null),
                "seconds": self.seconds,
                "finished": self.finished,
                "student_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
            }
            text = json.dumps(card, indent=1, allow_nan=False)
            (inside / "run.json").write_text(text, encoding="utf-8")
        return Path(folder)

    def _split(self, name: str, data: Data | None):
        data = data or self.data
        if name not in SPLITS:
            raise Refusal(f"split {name!r}: expected one of {', '.join(SPLITS)}.")
        if data is None:
            raise Refusal("this run was loaded without its data: give data= to score it.")
        part = getattr(data, name)
        if not len(part):
            raise Refusal(f"this run did not keep its {name} examples: give data= to score them.")
        return part

    def _device(self) -> str:
        return str(next(iter(self.student.parameters())).device)

    def _repr_html_(self) -> str:
        shown = {
            key: value for key, value in self.scores.items() if isinstance(value, (int, float))
        }
        return pd.DataFrame([shown]).round(4).to_html(index=False)


def load_run(folder: str | Path, student: models.Student | None = None) -> Run:
    """A run that `save` wrote. student: needed where the student was a module of your own."""
    folder = Path(folder)
    missing = [name for name in FILES if not (folder / name).exists()]
    if missing:
        raise Refusal(f"{folder} holds no saved run: {', '.join(missing)} not found.")
    weights = folder / "student.safetensors"
    read = folder / "run.json"
    try:
        card = json.loads(read.read_text(encoding="utf-8"))
        parts = [card[name] for name in ("settings", "scores", "seconds", "finished")]
        expected, settings = card["student_sha256"], card["settings"]
        read = folder / "history.csv"
        history = pd.read_csv(read, dtype=str).astype(float).astype({"epoch": int, "step": int})
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptFile(f"{read} is damaged and cannot be read: {error!r}") from error
    models.read_tensors(weights, expected)  # refused, with both hashes, where it is damaged
    try:
        net = models.build(
            student or settings["student"], tuple(settings["input_shape"]), settings["classes"]
        )
    except LookupError as error:
        raise Refusal(
            f"the run's student {settings['student']!r} is not one of kdlab's: give "
            "load_run(folder, student=your_module)."
        ) from error
    if settings.get("precision") == "float64":
        net = net.double()
    try:
        load_model(net, str(weights))
    except RuntimeError as error:
        raise Refusal(
            f"the weights in {weights} do not fit the student given ({error}): give "
            "load_run(folder, student=) the module that was trained."
        ) from error
    _, of_validation, seconds, finished = parts
    of_validation = _each(of_validation, _null_as_nan)
    return Run(net.eval(), settings, history, of_validation, seconds, finished)


@contextlib.contextmanager
def whole_folder(folder: str | Path) -> Iterator[Path]:
    """A new folder to write into that takes the old one's place only when it is complete."""
    folder = Path(folder).resolve()
    if folder.exists():
        strange = [folder] if folder.is_file() else sorted(set(folder.iterdir()) - _ours(folder))
        if strange:
            raise Refusal(
                f"{folder} holds what kdlab did not write ({strange[0].name}): saving takes the "
                "whole folder's place. Name a new or empty folder."
            )
    beside = folder.with_name(folder.name + ".part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield beside
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    before = folder.with_name(folder.name + ".before")
    shutil.rmtree(before, ignore_errors=True)
    if folder.exists():
        folder.rename(before)
    try:
        beside.rename(folder)
    except BaseException:
        if before.exists():
            before.rename(folder)
        raise
    shutil.rmtree(before, ignore_errors=True)


def _each(value: object, change: Callable) -> object:
    """Every single score in a nest of dicts and lists, changed."""
    if isinstance(value, dict):
        return {name: _each(part, change) for name, part in value.items()}
    if isinstance(value, list):
        return [_each(part, change) for part in value]
    return change(value)


def _nan_as_null(score: object) -> object:
    """JSON has no NaN."""
    return None if isinstance(score, float) and math.isnan(score) else score


def _null_as_nan(score: object) -> object:
    return math.nan if score is None else score


def _ours(folder: Path) -> set[Path]:
    """What `save` of a run or of a sweep writes."""
    files = {folder / name for name in (*FILES, "table.csv")}
    return files | {path for path in folder.glob("run-*") if (path / "run.json").exists()}


def _reference(teacher, part: data_sets.Split, device: str) -> torch.Tensor | None:
    """The teacher's logits to agree with; None where a record does not cover the split."""
    try:
        return signals.answers(teacher, part, device)
    except Refusal:
        if isinstance(teacher, signals.Signal):
            return None
        raise


def plain(value: object) -> object:
    """A setting as JSON can hold it: a function or module by its name."""
    return (
        value
        if isinstance(value, (str, int, float, bool, list, type(None)))
        else getattr(value, "__name__", str(value))
    )
