"""kdlab: learn, teach and try knowledge distillation. What a notebook types is listed here."""

import importlib
import os

# Before torch is loaded: threads that wait for each other sleep instead of spinning. On a busy
# machine (a browser beside the notebook is enough) small steps are then three times as quick.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from kdlab import (
    compress,
    data,
    experiments,
    layers,
    losses,
    models,
    schedules,
    scores,
    signals,
    starts,
    sweeps,
    training,
    verdicts,
    views,
)
from kdlab.augment import MixUp
from kdlab.committees import combine
from kdlab.conventions import alpha_conventions
from kdlab.data import load_data
from kdlab.encoders import TextTeacher
from kdlab.errors import CorruptFile, LayerNotFound, LossNotFinite, Refusal, UnknownName
from kdlab.exports import export, load_onnx
from kdlab.jobs import pick_device
from kdlab.mapping import KnowledgeMapping
from kdlab.matches import Match
from kdlab.mutual import mutual
from kdlab.reports import report
from kdlab.runs import Run, load_run
from kdlab.shapley import shapley, shapley_values
from kdlab.signals import Signal, record, weak_labels
from kdlab.starts import new_head
from kdlab.sweeps import sweep
from kdlab.teachers import load_teacher
from kdlab.training import Stopped, distill, train
from kdlab.twins import across
from kdlab.verdicts import band, claim

__version__ = "0.1.0"

_FRONT = ("plots", "explore", "check")  # they draw: loaded when first used, not before

__all__ = [
    "CorruptFile",
    "KnowledgeMapping",
    "LayerNotFound",
    "LossNotFinite",
    "Match",
    "MixUp",
    "Refusal",
    "Run",
    "Signal",
    "Stopped",
    "TextTeacher",
    "UnknownName",
    "across",
    "alpha_conventions",
    "band",
    "claim",
    "combine",
    "compress",
    "data",
    "distill",
    "doctor",
    "experiments",
    "export",
    "layers",
    "load_data",
    "load_onnx",
    "load_run",
    "load_teacher",
    "losses",
    "models",
    "mutual",
    "new_head",
    "pick_device",
    "record",
    "report",
    "schedules",
    "scores",
    "shapley",
    "shapley_values",
    "signals",
    "starts",
    "sweep",
    "sweeps",
    "train",
    "training",
    "verdicts",
    "views",
    "weak_labels",
    *_FRONT,
]


def __getattr__(name: str):
    if name in _FRONT:
        return importlib.import_module(f"kdlab.{name}")
    if name == "doctor":
        return importlib.import_module("kdlab.cli").doctor
    raise AttributeError(f"module 'kdlab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
