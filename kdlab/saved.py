"""Runs of a sweep kept in a folder, each under a hash of all that it depends on."""

import functools
import hashlib
import json
import warnings
from pathlib import Path
from types import CodeType, FunctionType

import pandas as pd
from torch import nn

from kdlab import fingerprints, seeds
from kdlab.jobs import OF_A_STAGE, Job
from kdlab.matches import Match
from kdlab.models import name_of
from kdlab.runs import Run, load_run


class Saved:
    """The folder that a sweep's runs are kept in, each under a hash of what it depends on."""

    def __init__(self, folder: str | Path | None):
        self.folder = None if folder is None else Path(folder)
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)  # refused before the first run
        self.places: dict[int, Path] = {}  # of each job, named before it is trained

    def load(self, job: Job) -> Run | None:
        """The run of a job, if it is there: the student as it was, everything else from the job."""
        if self.folder is None:
            return None
        place = self.places[id(job)] = self.folder / f"run-{key_of(job)}"
        if not place.exists():
            return None
        run = load_run(place, student=job.student)
        run.data, run.teacher, run.settings = job.run.data, job.run.teacher, job.run.settings
        run.student.to(job.options["device"])
        return run

    def keep(self, job: Job, run: Run) -> Run:
        """Save a run that went well; a full disk ends the saving, not the sweep."""
        if self.folder is None or run.error:
            return run
        try:
            run.save(self.places[id(job)])
        except OSError as error:
            warnings.warn(f"from here on, no run is saved: {error}", stacklevel=2)
            self.folder = None
        return run

    def table(self, table: pd.DataFrame) -> None:
        """Write the table beside the runs."""
        if self.folder is not None:
            table.to_csv(self.folder / "table.csv", index=False)


def key_of(job: Job) -> str:
    """A hash of all that a run depends on: settings, start, teacher, data, and functions' code."""
    settings = {name: value for name, value in job.run.settings.items() if name != "torch"}
    data, teacher, options = job.run.data, job.run.teacher, job.options
    tensors = [
        tensor for part in (job.examples, data.validation) for tensor in (part.inputs, part.labels)
    ] + ([] if job.answers is None else [job.answers])
    known = (
        json.dumps(settings, sort_keys=True, default=str),
        seeds.stream(options["seed"], "batches"),
        [_code(stage[name]) for stage in options["stages"] for name in OF_A_STAGE],
        [_code(options[name]) for name in ("augment", "optimizer")],
        [fingerprints.fingerprint(net) for net in (job.student, *job.run.projectors.values())],
        fingerprints.fingerprint(teacher) if isinstance(teacher, nn.Module) else "",
        [fingerprints.input_fingerprint(tensor) for tensor in tensors],
    )
    return hashlib.blake2b(repr(known).encode(), digest_size=8).hexdigest()


def _code(value: object) -> object:
    """What a function does, as far as its own code and the values it encloses say."""
    if isinstance(value, Match):
        return (value.name, _code(value.loss), _code(value.weight))
    if isinstance(value, functools.partial):
        return (_code(value.func), _code(value.args), _code(sorted(value.keywords.items())))
    if isinstance(value, FunctionType):
        enclosed = [cell.cell_contents for cell in value.__closure__ or ()]
        return (_code(value.__code__), _code(value.__defaults__), _code(enclosed))
    if isinstance(value, CodeType):
        return (value.co_code, value.co_names, _code(value.co_consts))
    if isinstance(value, (list, tuple)):
        return [_code(part) for part in value]
    plain = isinstance(value, (int, float, str, bytes, type(None)))
    return repr(value) if plain else name_of(value)
