"""What each of several teachers is worth to a student: Shapley values over all their coalitions."""

import itertools
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pandas as pd

from kdlab import fingerprints, verdicts
from kdlab.committees import Teachers, by_name, combine
from kdlab.data import as_data
from kdlab.errors import Refusal
from kdlab.scores import METRICS
from kdlab.sweeps import Atlas, sweep

MOST = 5  # teachers: 32 coalitions; each further one doubles the trainings
WORTHS = ("accuracy", "nll", "ece")  # agreement is with another teacher in each coalition
WORDS = {"better": "adds", "worse": "takes away"}  # all else as a verdict says it


def shapley_values(worth: Mapping[frozenset[str], float]) -> dict[str, float]:
    """Each player's fair share of what all achieve together: its mean gain over all orders.

    φ_i = Σ over S without i of |S|! (n − |S| − 1)! / n! · (v(S with i) − v(S))

    worth: v, a number for every coalition of the n players, the empty one (frozenset()) among
        them: 2^n in all. The values sum to v(all) − v(none).
    Raises Refusal where a coalition is missing or its worth is no finite number.
    (Shapley 1953, "A Value for n-Person Games".)
    """
    worth = {frozenset(coalition): float(value) for coalition, value in worth.items()}
    players = sorted(frozenset().union(*worth))
    if not players:
        raise Refusal("no coalition has a player: expected the worth of 2^n coalitions of n.")
    for coalition in _coalitions(players):
        if coalition not in worth:
            raise Refusal(
                f"the worth of the coalition {_said(coalition)} is missing: expected all "
                f"{2 ** len(players)} coalitions of {', '.join(players)}, the empty one among them."
            )
        if not math.isfinite(worth[coalition]):
            raise Refusal(
                f"the coalition {_said(coalition)} has the worth {worth[coalition]}: expected a "
                "finite number."
            )
    count = len(players)
    share = [
        math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
        for size in range(count)
    ]
    return {
        player: sum(
            share[len(others)] * (worth[others | {player}] - worth[others])
            for others in _coalitions([other for other in players if other != player])
        )
        for player in players
    }


@dataclass(eq=False)
class Shares:
    """What each teacher is worth. `str()` says it in a sentence a teacher.

    values: pandas, a row a teacher: `value` (the mean over the seeds of its Shapley value), `low`
        and `high` (95 % Student's t interval), `word`: "adds", "takes away", "no difference seen"
        or "too few runs".
    table: pandas, a row for each coalition and seed, with its scores on validation.
    per_seed: pandas, a row a seed, a column a teacher: the exact values of that seed.
    atlas: the sweep of all coalitions but the empty one.  runs: all, as in `table`.
    students: how many were trained.  seconds: what that took, committees and scoring included.
    """

    metric: str
    values: pd.DataFrame
    table: pd.DataFrame
    per_seed: pd.DataFrame
    atlas: Atlas = field(repr=False)
    runs: list = field(repr=False)
    students: int
    seconds: float
    together: verdicts.Verdict

    def __str__(self) -> str:
        unit = " points" if self.metric in verdicts.SHARES else ""
        lower = ", lower is better" if self.metric in ("nll", "ece") else ""
        seeds = f"{len(self.per_seed)} seed{'s' * (len(self.per_seed) > 1)}"
        lines = []
        for row in self.values.itertuples():
            value, low, high = (
                verdicts.signed(number, self.metric) for number in (row.value, row.low, row.high)
            )
            known = f", 95 % interval {low} to {high}" if len(self.per_seed) > 1 else ""
            lines.append(
                f"{row.teacher}: {value}{unit} of {self.metric}{known} ({seeds}{lower}): {row.word}"
            )
        return "\n".join([*lines, str(self.together)])

    __repr__ = __str__


def shapley(
    student: object,
    teachers: Teachers,
    data: object,
    metric: str = "accuracy",
    *,
    seeds: "int | list[int]" = 5,
    alpha: object = 0.1,
    temperature: object = 4.0,
    how: str = "mean",
    **settings: object,
) -> Shares:
    """The Shapley value of each teacher: its mean gain to the student over all coalitions.

    Every coalition teaches the student as one (`kdlab.combine`), under every seed; the empty one is
    the student of labels only, with the same start and batches. With n teachers these are
    2^n · seeds trainings, made by `kdlab.sweep`: the empty coalition in one, all others in another.

    student, data, seeds, alpha, temperature, settings: as in `kdlab.sweep`, one value each.
    teachers: one to five, a list or a dict by name.  how: as in `kdlab.combine`.
    metric: "accuracy", "nll" or "ece" of the validation split: what a coalition is worth.

    The values of each seed are exact and sum to what all teachers gain over labels only; the
    intervals say how far they differ from seed to seed. They hold for this student, these data and
    this way of combining. Ctrl-C keeps the seeds whose coalitions are all done.
    Raises Refusal for more than five teachers, and where a coalition's training fails.
    (Shapley 1953; of data instead of teachers: Ghorbani & Zou 2019, "Data Shapley".)
    """
    started = time.perf_counter()
    if metric not in WORTHS:
        raise Refusal(f"metric {metric!r}: expected one of {', '.join(WORTHS)}.")
    for name, value in {"alpha": alpha, "temperature": temperature, **settings}.items():
        several = isinstance(value, dict) or (
            isinstance(value, (list, tuple)) and name not in ("match", "stages")
        )
        if several:
            raise Refusal(f"{name}={value!r}: expected one value; the teachers are what varies.")
    if alpha == 1:
        raise Refusal("alpha=1 leaves no room for a teacher: expected less.")
    named = by_name(teachers)
    if len(named) > MOST:
        raise Refusal(
            f"{len(named)} teachers make {2 ** len(named):,} coalitions, each to be trained under "
            f"every seed: expected at most {MOST} ({2**MOST} coalitions)."
        )
    data = as_data(data)
    with fingerprints.unchanged():
        coalitions = {
            _said(coalition): combine({name: named[name] for name in coalition}, data, how)
            for coalition in map(sorted, _coalitions(list(named)))
            if coalition
        }
    common = {"temperature": temperature, "seeds": seeds, **settings}
    alone = sweep(student, None, data, alpha=1.0, **common)
    wanted = range(seeds) if hasattr(seeds, "__index__") else seeds
    if len(alone.table) < len(wanted):
        raise KeyboardInterrupt
    atlas = sweep(student, coalitions, data, alpha=alpha, **common)
    return _shares(list(named), metric, alone, atlas, started)


def _shares(names: list[str], metric: str, alone: Atlas, atlas: Atlas, started: float) -> Shares:
    rows = pd.concat([alone.table.assign(teacher="none"), atlas.table], ignore_index=True)
    rows = rows.rename(columns={"teacher": "coalition"})
    if (failed := rows[rows["error"] != ""]).size:
        first = failed.iloc[0]
        raise Refusal(f"the training of the coalition {first.coalition} failed: {first.error}")
    table = rows[["coalition", "seed", *METRICS, "seconds"]]
    worth = table.pivot(index="seed", columns="coalition", values=metric).dropna()
    if worth.empty or worth.shape[1] < 2 ** len(names):
        raise KeyboardInterrupt  # stopped before one seed had all its coalitions
    sets = {_said(coalition): coalition for coalition in _coalitions(names)}
    per_seed = pd.DataFrame(
        [shapley_values({sets[said]: value for said, value in row.items()})
         for _, row in worth.iterrows()],
        index=worth.index,
    )[names]  # fmt: skip
    values = []
    for name in names:
        gains = per_seed[name].tolist()
        verdict = verdicts.compare([0.0] * len(gains), gains, metric)
        word = WORDS.get(verdict.word, verdict.word)
        values.append((name, verdict.difference, verdict.low, verdict.high, word))
    everyone = verdicts.compare(
        worth["none"].tolist(), worth[_said(names)].tolist(), metric,
        names=("labels only", "all teachers together"), where=atlas.where,
    )  # fmt: skip
    return Shares(
        metric=metric,
        values=pd.DataFrame(values, columns=["teacher", "value", "low", "high", "word"]),
        table=table,
        per_seed=per_seed,
        atlas=atlas,
        runs=[*alone.runs, *atlas.runs],
        students=len(alone.runs) + len(atlas.runs),
        seconds=time.perf_counter() - started,
        together=everyone,
    )


def _coalitions(names: list[str]) -> Iterator[frozenset[str]]:
    """All subsets, the empty one first."""
    for size in range(len(names) + 1):
        yield from map(frozenset, itertools.combinations(names, size))


def _said(coalition) -> str:
    return " + ".join(sorted(coalition)) or "none"
