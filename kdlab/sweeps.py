"""Many students: a grid of settings by seeds, one run after another, as a tidy table."""

import itertools
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from kdlab import data as data_sets
from kdlab import models, together, training, verdicts
from kdlab.data import Data
from kdlab.errors import Refusal, whole
from kdlab.jobs import NOT_SETTINGS, checked, name_of, prepare
from kdlab.runs import Run, whole_folder

METRICS = ("accuracy", "nll", "ece", "agreement", "parameters", "bytes")


@dataclass(eq=False)
class Atlas:
    """The runs of a sweep: `table` has a row a run; `compare` and `test` say what they show."""

    table: pd.DataFrame
    axes: tuple[str, ...]
    runs: list[Run]
    where: str = ""
    _tested: list[dict] = field(default_factory=list)

    def compare(
        self,
        baseline: dict,
        candidate: dict,
        metric: str = "accuracy",
        margin: float | None = None,
    ) -> verdicts.Verdict:
        """Candidate minus baseline, paired over the seeds: interval and sentence.

        baseline, candidate: one value for each axis, such as {"temperature": 4, "alpha": 0}. An
        axis may be left out only where the runs are equal along it (alpha=1 under every T).
        """
        if metric not in METRICS:
            raise Refusal(f"metric {metric!r}: expected one of {', '.join(METRICS)}.")
        first, second = self.rows(baseline), self.rows(candidate)
        seeds = first.index.intersection(second.index)
        return verdicts.compare(
            first.loc[seeds, metric].tolist(),
            second.loc[seeds, metric].tolist(),
            metric,
            names=(self.said(baseline), self.said(candidate)),
            where=self.where,
            margin=margin,
        )

    def test(self, settings: Sequence[dict]) -> pd.DataFrame:
        """The final word: the named settings on the test split, the first one as the baseline.

        A row a setting: mean scores over the seeds, and the verdict on accuracy against the first.
        Choose on validation before you call it; a second call with other settings is warned about.
        """
        if not settings:
            raise Refusal("name the settings to test, such as [{'alpha': 1}, {'alpha': 0}].")
        if self._tested and any(setting not in self._tested for setting in settings):
            warnings.warn(
                "the test split was already looked at with other settings: what is chosen by such "
                "looks is no longer tested by it. Choose on validation.",
                stacklevel=2,
            )
        chosen = [(setting, self.rows(setting)) for setting in settings]  # refuse before scoring
        self._tested.extend(setting for setting in settings if setting not in self._tested)
        rows, baseline = [], None
        for setting, found in chosen:
            scored = {seed: self.runs[at].score("test") for seed, at in found["run"].items()}
            seen = pd.DataFrame(scored).T
            baseline = seen if baseline is None else baseline
            both = baseline.index.intersection(seen.index)
            low, high = verdicts.interval(seen["accuracy"].tolist())
            row = {"setting": self.said(setting), "runs": len(seen)}
            row |= {name: seen[name].astype(float).mean() for name in METRICS[:4]}
            row |= {"accuracy_low": low, "accuracy_high": high, "against_the_first": ""}
            if rows:
                verdict = verdicts.compare(
                    baseline.loc[both, "accuracy"].tolist(), seen.loc[both, "accuracy"].tolist()
                )
                row["against_the_first"] = (
                    f"{verdicts.signed(verdict.difference)} points, {verdict.word}"
                )
            rows.append(row)
        return pd.DataFrame(rows)

    def save(self, folder: str | Path) -> Path:
        """Write table.csv and each run's folder, all or nothing."""
        with whole_folder(folder) as inside:
            self.table.to_csv(inside / "table.csv", index=False)
            for number, run in enumerate(self.runs):
                run.save(inside / f"run-{number:04d}")
        return Path(folder)

    def said(self, setting: dict) -> str:
        """A setting in words: "labels only", "teacher only (T=4)", or its values."""
        full = {**self._constants(), **setting}
        alpha, temperature = full.get("alpha"), full.get("temperature")
        rest = [
            f"{name}={_shown(value)}"
            for name, value in setting.items()
            if name not in ("alpha", "temperature")
        ]
        if alpha == 1:
            words = "labels only"
        elif alpha == 0:
            words = f"teacher only (T={temperature:g})"
        else:
            words = f"labels {alpha:.2f} · teacher {1 - alpha:.2f} (T={temperature:g})"
        return ", ".join([words, *rest])

    def _constants(self) -> dict:
        settings = self.runs[0].settings
        return {name: settings[name] for name in ("alpha", "temperature") if name not in self.axes}

    def rows(self, setting: dict) -> pd.DataFrame:
        """The rows of one setting, a row a seed; refused where an axis is left free."""
        strange = [name for name in setting if name not in self.axes]
        if strange:
            raise Refusal(
                f"{', '.join(strange)} is no axis of this sweep: its axes are "
                f"{', '.join(self.axes) or '(none)'}."
            )
        rows = self.table
        for name, value in setting.items():
            rows = rows[rows[name] == _shown(value)]
        if rows.empty:
            raise Refusal(
                f"no run with {setting}: "
                + "; ".join(f"{name} was one of {_values(self.table[name])}" for name in setting)
                + "."
            )
        free = []
        for name in self.axes:
            others = [other for other in self.axes if other != name]
            if rows.groupby(["seed", *others])["run"].nunique().max() > 1:
                free.append(name)
        if free:
            raise Refusal(
                f"{setting} leaves {', '.join(free)} free: "
                + "; ".join(f"{name} is one of {_values(rows[name])}" for name in free)
                + ". Name one value of each, so that one run a seed is compared."
            )
        return rows.drop_duplicates("run").set_index("seed")


def sweep(
    student: object,
    teacher: object,
    data: "Data | object | Callable[[int], Data]",
    *,
    seeds: int | Sequence[int] = 5,
    progress: bool = True,
    stop: Callable[[], bool] | None = None,
    **grid: object,
) -> Atlas:
    """Distil a student for every setting of a grid and every seed.

    student, teacher, and every option of `distill`: a list of values becomes an axis.
    data: as in `distill`, or a function of the seed that gives a Data, so that each seed draws its
        own examples too (the runs then keep validation and test, and let go of their draw).
    seeds: a number (5 is 0..4) or the seeds themselves. All settings share them: runs are paired.

    The seeds of one setting train in one loop where the student is simple enough (see together.py).
    alpha=1 is labels only under every temperature: it is trained once a seed and stands in every
    row. Ctrl-C hands back the runs that are done.
    """
    numbers = _seeds(seeds)
    lists = {"student": student, "teacher": teacher, **grid}
    axes = {name: list(value) for name, value in lists.items() if isinstance(value, (list, tuple))}
    for name, values in axes.items():
        if not values:
            raise Refusal(f"{name}=[]: expected at least one value.")
        if len({_shown(value) for value in values}) < len({_same(value) for value in values}):
            raise Refusal(
                f"{name}: two values share a name, {', '.join(str(_shown(v)) for v in values)}. "
                "Give functions with names of their own, so that a row can be told from another."
            )
    fixed = {name: value for name, value in lists.items() if name not in axes}
    teachers = {
        name: models.load_teacher(name)
        for name in axes.get("teacher", [teacher])
        if isinstance(name, str)
    }
    drawn = _draws(data, numbers)
    settings = [
        dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())
    ]
    plans = {}
    for setting in settings:  # every refusal before the first run
        asked = fixed | setting
        options = {**_DEFAULTS, **_options(asked), **_OWN, "stop": stop}
        checked({**options, "seed": 0})
        plans[_identity(asked, axes)] = (asked["student"], asked["teacher"], options)
    for net, said, options in plans.values():
        with training.alone(options):
            first = teachers.get(said, said) if isinstance(said, str) else said
            prepare(net, first, drawn[numbers[0]], **{**options, "seed": numbers[0]})
    runs, rows, known = [], [], {}
    bar = tqdm(
        total=len(settings) * len(numbers), desc="sweep", unit="run", delay=2, leave=False,
        disable=not progress,
    )  # fmt: skip
    try:
        for setting in settings:
            key = _identity(fixed | setting, axes)
            if key not in known:
                net, said, options = plans[key]
                made = _train_seeds(net, said, teachers, drawn, options, bar)
                known[key] = range(len(runs), len(runs) + len(made))
                runs.extend(made)
            rows.extend(
                _row(runs[at], at, setting, seed)
                for at, seed in zip(known[key], numbers, strict=False)
            )
            if len(known[key]) < len(numbers):
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        print(
            f"stopped by you: the sweep holds the {len(runs)} runs that are done.", file=sys.stderr
        )
        if not runs:
            raise
    finally:
        bar.close()
    if callable(data):
        for run in runs:  # each seed's own draw is let go: a large sweep would fill the memory
            run.data = run.data.without_training()
    sizes = sorted({len(data.train) for data in drawn.values()})
    where = " to ".join(f"{size:,}" for size in dict.fromkeys((sizes[0], sizes[-1])))
    where += " examples"
    return Atlas(pd.DataFrame(rows), tuple(axes), runs, where)


def _seeds(seeds: int | Sequence[int]) -> list[int]:
    if not isinstance(seeds, (list, tuple, range)):
        return list(range(whole("seeds", seeds, 1)))
    numbers = [whole("seeds", seed, 0) for seed in seeds]
    if not numbers or len(set(numbers)) < len(numbers):
        raise Refusal(f"seeds={list(seeds)}: expected at least one seed, and each one once.")
    return numbers


def _draws(data: object, numbers: list[int]) -> dict[int, Data]:
    """The data set of each seed."""
    if callable(data):
        return {seed: data_sets.as_data(data(seed)) for seed in numbers}
    shared = data_sets.as_data(data)
    return dict.fromkeys(numbers, shared)


def _train_seeds(
    student, teacher, teachers: dict, drawn: dict[int, Data], options: dict, bar: tqdm
) -> list[Run]:
    """One setting under all seeds: in one loop where the student allows it, else in turn.

    Fewer runs than seeds come back where the user stopped it.
    """
    runs: list[Run] = []
    loaded = teachers.get(teacher, teacher) if isinstance(teacher, str) else teacher
    with training.alone(options):
        try:
            jobs = [
                prepare(student, loaded, data, **{**options, "seed": seed})
                for seed, data in drawn.items()
            ]
            for job in jobs:
                job.run.settings["teacher"] = name_of(teacher)  # by its name, not its class
            if together.can(jobs):
                started = time.perf_counter()
                histories = training.carry_out(together.loop, jobs)
                each = (time.perf_counter() - started) / len(jobs)
                for job, history in zip(jobs, histories, strict=True):
                    runs.append(training.finish(job, history, each))
                bar.update(len(jobs))
                return runs
            for job in jobs:
                started = time.perf_counter()
                history = training.carry_out(training.loop, job)
                if len(history) < job.options["epochs"]:
                    return runs
                runs.append(training.finish(job, history, time.perf_counter() - started))
                bar.update()
        except KeyboardInterrupt:
            pass
    return runs


# seed and the callbacks are the sweep's own
_OWN = {"progress": False, "after_epoch": None}
_DEFAULTS = {
    name: value
    for name, value in training.distill.__kwdefaults__.items()
    if name not in ("seed", *NOT_SETTINGS)
}


def _options(asked: dict) -> dict:
    options = {name: value for name, value in asked.items() if name not in ("student", "teacher")}
    strange = [name for name in options if name not in _DEFAULTS]
    if strange:
        raise Refusal(
            f"sweep does not know {', '.join(strange)}: expected arguments of distill "
            f"({', '.join(_DEFAULTS)})."
        )
    return options


def _identity(asked: dict, axes: dict) -> tuple:
    """What makes a run: at alpha=1 the default loss does not see the temperature."""
    blind = asked.get("alpha", _DEFAULTS["alpha"]) == 1 and asked.get("loss") is None
    return tuple(_same(asked[name]) for name in axes if not (blind and name == "temperature"))


def _same(value: object) -> object:
    """Equal for values that train the same: numbers and words by value, all else by object."""
    return value if isinstance(value, (int, float, str)) else id(value)


def _shown(value: object) -> int | float | str:
    """A value as the table has it: numbers and words as they are, all else by its name."""
    if isinstance(value, (int, float, str)):
        return value
    return "None" if value is None else name_of(value)


def _values(column: pd.Series) -> str:
    return ", ".join(map(str, sorted(set(column), key=str)))


def _row(run: Run, at: int, setting: dict, seed: int) -> dict:
    return {
        **{name: _shown(value) for name, value in setting.items()},
        "seed": seed,
        **{name: run.scores[name] for name in METRICS},
        "seconds": run.seconds,
        "run": at,
    }
