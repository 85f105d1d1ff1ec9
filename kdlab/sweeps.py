"""Many students: a grid of settings by seeds, as a tidy table; saved and resumed."""

import itertools
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from kdlab import data as data_sets
from kdlab import fingerprints, teachers, training, verdicts
from kdlab.data import Data
from kdlab.engines import ENGINES, Plan, Trainer
from kdlab.errors import Refusal, whole
from kdlab.jobs import NOT_SETTINGS, checked
from kdlab.matches import Match
from kdlab.models import name_of
from kdlab.runs import Run, whole_folder
from kdlab.saved import Saved
from kdlab.scores import METRICS


@dataclass(eq=False)
class Atlas:
    """The runs of a sweep: `table` has a row a run; `compare` and `test` say what they show.

    engine: how the students were trained, such as "together, 125 in one loop".
    """

    table: pd.DataFrame
    axes: tuple[str, ...]
    runs: list[Run]
    where: str = ""
    engine: str = ""
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
        for setting, rows in ((baseline, first), (candidate, second)):
            failed = rows[rows["error"] != ""] if "error" in rows else rows[:0]
            if len(failed):
                raise Refusal(
                    f"{len(failed)} of {len(rows)} runs of {self.said(setting)} failed, so it "
                    f"cannot be compared: {failed['error'].iloc[0]}"
                )
        seeds = first.index.intersection(second.index)
        return verdicts.compare(
            first.loc[seeds, metric].tolist(),
            second.loc[seeds, metric].tolist(),
            metric,
            names=(self.said(baseline), self.said(candidate)),
            where=self.where,
            margin=margin,
        )

    def pivot(self, rows: str, columns: str, metric: str = "accuracy") -> pd.DataFrame:
        """Means of a metric over the seeds, one axis down, another across.

        Any further axis is averaged over too; name its value first where that is not wanted:
        atlas.table[atlas.table["width"] == 32].
        """
        for name in (rows, columns):
            if name not in self.axes:
                raise Refusal(f"{name!r} is no axis of this sweep: {', '.join(self.axes)}.")
        if metric not in METRICS:
            raise Refusal(f"metric {metric!r}: expected one of {', '.join(METRICS)}.")
        order = [list(dict.fromkeys(self.table[name])) for name in (rows, columns)]
        means = self.table.pivot_table(metric, rows, columns, sort=False, dropna=False)
        return means.reindex(index=order[0], columns=order[1])

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
        alpha, softened = full.get("alpha"), f"(T={_worded(full.get('temperature'))})"
        rest = [
            f"{name}={_shown(value)}"
            for name, value in setting.items()
            if name not in ("alpha", "temperature")
        ]
        if alpha == 1:
            words = "labels only"
        elif alpha == 0:
            words = f"teacher only {softened}"
        elif isinstance(alpha, (int, float)):
            words = f"labels {alpha:.2f} · teacher {1 - alpha:.2f} {softened}"
        else:
            words = f"alpha {_shown(alpha)} {softened}"
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
    folder: str | Path | None = None,
    engine: str = "auto",
    progress: bool = True,
    stop: Callable[[], bool] | None = None,
    **grid: object,
) -> Atlas:
    """Distil a student for every setting of a grid and every seed.

    student, teacher, and every option of `distill`: a list of values becomes an axis, and so does
        a dict, which names them: match={"none": [], "hints": [Match(...)]}. match and stages are
        lists themselves: there a list of lists is an axis.
    data: as in `distill`, or a function of the seed that gives a Data, so that each seed draws its
        own examples too (the runs then keep validation and test, and let go of their draw).
    seeds: a number (5 is 0..4) or the seeds themselves. All settings share them: runs are paired.
    folder: where each run is saved once it is done. A run of the same student, teacher, data and
        options that is there already is loaded and not trained again. A function is the same while
        its own code is; what it calls is not looked at.

    engine: "together" (one loop over stacked weights, for plain MLPs), "processes" (a student a
        core, or wherever `joblib.parallel_config` sends them, such as a Dask cluster), "in turn",
        or "auto": together where that works, else processes where the measured cost of a step says
        that they pay, else in turn. All give the same students; `atlas.engine` says which it was.

    alpha=1 is labels only under every temperature: it is trained once a seed and stands in every
    row. A run that fails is a row with its error. Ctrl-C hands back the runs that are done.
    """
    if engine not in ENGINES:
        raise Refusal(f"engine={engine!r}: expected one of {', '.join(ENGINES)}.")
    numbers = _seeds(seeds)
    lists = {"student": student, "teacher": teacher, **grid}
    axes = {name: _axis(name, value) for name, value in lists.items() if _is_axis(name, value)}
    fixed = {name: value for name, value in lists.items() if name not in axes}
    settings = [
        {name: pair for name, pair in zip(axes, pairs, strict=True)}
        for pairs in itertools.product(*axes.values())
    ]
    asked = [fixed | {name: value for name, (_, value) in each.items()} for each in settings]
    loaded = {
        name: teachers.load_teacher(name)
        for name in (each["teacher"] for each in asked)
        if isinstance(name, str)
    }
    drawn = _draws(data, numbers)
    plans = {}
    for each in asked:  # every refusal before the first run
        options = {**_DEFAULTS, **_options(each), **_OWN, "stop": stop}
        checked({**options, "seed": 0})
        plans[_identity(each, axes)] = Plan(each["student"], each["teacher"], loaded, options)
    saved = Saved(folder)
    epochs = [plan.options["epochs"] for plan in plans.values()]
    bar = tqdm(
        total=len(numbers) * sum(epochs), desc=f"{len(plans) * len(numbers)} students",
        unit="epoch", delay=2, leave=False, disable=not progress,
    )  # fmt: skip
    trainer = Trainer(engine, drawn, saved, stop, bar)
    done = trainer.done
    try:
        with fingerprints.unchanged():
            trainer.train(list(plans.values()))
    except KeyboardInterrupt:
        if not done:
            raise
        print(
            f"stopped by you: the sweep holds the {len(done)} runs that are done.", file=sys.stderr
        )
    finally:
        bar.close()
    finished = [(plan, seed) for plan in plans.values() for seed in numbers if (plan, seed) in done]
    rows, number = [], {key: at for at, key in enumerate(finished)}
    for each, setting in zip(asked, settings, strict=True):
        plan = plans[_identity(each, axes)]
        rows.extend(
            _row(done[plan, seed], number[plan, seed], setting, seed)
            for seed in numbers
            if (plan, seed) in done
        )
    runs = [done[key] for key in finished]
    if callable(data):
        for run in runs:  # each seed's own draw is let go: a large sweep would fill the memory
            run.data = run.data.without_training()
    if failed := [run.error for run in runs if run.error]:
        warnings.warn(f"{len(failed)} of {len(runs)} runs failed: {failed[0]}", stacklevel=2)
    sizes = sorted({len(data.train) for data in drawn.values()})
    where = " to ".join(f"{size:,}" for size in dict.fromkeys((sizes[0], sizes[-1])))
    engine = " + ".join(trainer.used) or "loaded"
    atlas = Atlas(pd.DataFrame(rows), tuple(axes), runs, f"{where} examples", engine)
    saved.table(atlas.table)
    return atlas


def _is_axis(name: str, value: object) -> bool:
    """A list or a dict, unless it is one list of matches or of stages."""
    if isinstance(value, dict):
        return True
    if name in ("match", "stages") and isinstance(value, (list, tuple)):
        return not all(isinstance(part, (Match, dict)) for part in value)
    return isinstance(value, (list, tuple))


def _axis(name: str, values: Sequence | dict) -> list[tuple[int | float | str, object]]:
    """The values of an axis, each with what it is called in the table."""
    if not len(values):
        raise Refusal(f"{name}={values!r}: expected at least one value.")
    if isinstance(values, dict):
        return list(values.items())
    pairs = [(_shown(value), value) for value in values]
    if len({shown for shown, _ in pairs}) < len({_same(value) for value in values}):
        raise Refusal(
            f"{name}: two values share a name, {', '.join(str(shown) for shown, _ in pairs)}. "
            'Name them, so that a row can be told from another: {"first": ..., "second": ...}.'
        )
    return pairs


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
    if isinstance(value, (list, tuple)):
        return tuple(id(part) for part in value)
    return value if isinstance(value, (int, float, str)) else id(value)


def _shown(value: object) -> int | float | str:
    """A value as the table has it: numbers and words as they are, all else by its name."""
    if isinstance(value, (int, float, str)):
        return value
    if isinstance(value, Match):
        return value.name
    if isinstance(value, (list, tuple)):  # matches, or stages
        return " + ".join(str(_shown(part)) for part in value) or "none"
    return "None" if value is None else name_of(value)


def _worded(value: object) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(_shown(value))


def _values(column: pd.Series) -> str:
    return ", ".join(map(str, sorted(set(column), key=str)))


def _row(run: Run, at: int, setting: dict, seed: int) -> dict:
    return {
        **{name: shown for name, (shown, _) in setting.items()},
        "seed": seed,
        **{name: run.scores[name] for name in METRICS},
        "seconds": run.seconds,
        "run": at,
        "error": run.error,
    }
