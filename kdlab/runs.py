"""A run: the student and what is known of it; saved to a folder and loaded back equal."""

import contextlib
import json
import shutil
from collections.abc import Iterator
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


@dataclass(eq=False)
class Run:
    """One trained student with its history, scores, settings and seconds.

    history: pandas, a row an epoch.  scores: of the validation split, `accuracy`, `nll`, `ece`,
    `agreement`, `per_class_accuracy`, `parameters`, `bytes`.  finished: False after Ctrl-C.
    """

    student: nn.Module
    settings: dict
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    scores: dict = field(default_factory=dict)
    seconds: float = 0.0
    finished: bool = False
    data: Data | None = field(default=None, repr=False)
    teacher: object = field(default=None, repr=False)

    def logits(self, split: str = "validation", data: Data | None = None) -> torch.Tensor:
        """The student's logits for a split, (n, classes)."""
        inputs = self._split(split, data).inputs
        if self.settings.get("precision") == "float64" and inputs.is_floating_point():
            inputs = inputs.double()
        return signals.ask(self.student, inputs, self._device()).float()

    def score(self, split: str = "validation", data: Data | None = None) -> dict:
        """All scores on a split. "test" is the final word: ask once, at the end of an experiment.

        data: only needed by a run that was loaded from a folder.
        """
        part = self._split(split, data)
        teacher_logits = None
        if self.teacher is not None:
            teacher_logits = _reference(self.teacher, part, self._device())
        result = scores.of_logits(self.logits(split, data), part.labels, teacher_logits)
        result["parameters"] = scores.parameters(self.student)
        result["bytes"] = scores.size_in_bytes(self.student)
        return result

    def save(self, folder: str | Path) -> Path:
        """Write student.safetensors, run.json and history.csv into a folder, all or nothing."""
        with whole_folder(folder) as inside:
            save_model(self.student, str(inside / "student.safetensors"))
            self.history.to_csv(inside / "history.csv", index=False)
            card = {
                "settings": self.settings,
                "scores": self.scores,
                "seconds": self.seconds,
                "finished": self.finished,
            }
            (inside / "run.json").write_text(json.dumps(card, indent=1), encoding="utf-8")
        return Path(folder)

    def _split(self, name: str, data: Data | None):
        data = data or self.data
        if name not in SPLITS:
            raise Refusal(f"split {name!r}: expected one of {', '.join(SPLITS)}.")
        if data is None:
            raise Refusal("this run was loaded without its data: give data= to score it.")
        return getattr(data, name)

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
    missing = [
        name
        for name in ("run.json", "history.csv", "student.safetensors")
        if not (folder / name).exists()
    ]
    if missing:
        raise Refusal(f"{folder} holds no saved run: {', '.join(missing)} not found.")
    try:
        card = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        history = pd.read_csv(folder / "history.csv", float_precision="round_trip")
    except (ValueError, pd.errors.ParserError) as error:
        raise CorruptFile(f"{folder} holds a damaged run: {error}") from error
    settings = card["settings"]
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
    models.read_tensors(folder / "student.safetensors")  # says so where the file is damaged
    load_model(net, str(folder / "student.safetensors"))
    return Run(net.eval(), settings, history, card["scores"], card["seconds"], card["finished"])


@contextlib.contextmanager
def whole_folder(folder: str | Path) -> Iterator[Path]:
    """A new folder to write into that takes the old one's place only when it is complete."""
    folder = Path(folder)
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
    beside.rename(folder)
    shutil.rmtree(before, ignore_errors=True)


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
