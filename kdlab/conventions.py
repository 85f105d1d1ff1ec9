"""Who means what by alpha: the loss weights of public projects, turned into kdlab's and back."""

import math
from dataclasses import dataclass

import pandas as pd

from kdlab.errors import Refusal, number, unknown

# A loss is labels · cross-entropy + teacher · T² · (the teacher's term, averaged over what follows
# the slash), in the project's own words for weights and T, with its defaults; b weighs features.
_TABLE = """
project | labels | teacher | temperature | alpha weighs | T² | teacher's term / mean over
kdlab | alpha=0.1 | 1 − alpha | temperature=4 | labels | yes | KL / batch
PyTorch tutorial | ce_loss_weight=0.75 | soft_target_loss_weight=0.25 | T=2 | – | yes | KL / batch
keras-io | alpha=0.1 | 1 − alpha | temperature=3 | labels | yes | KL / batch
keras-io before 2022 | alpha=0.1 | 1 − alpha | temperature=3 | labels | no | KL / batch
keras.distillation | student_loss_weight=0.5 | 1 − student_loss_weight | temperature=3 | labels \
| yes | KL / batch
RepDistiller | r=1 | a | b=0; T=4 | teacher | yes | KL / batch
mdistiller | CE_WEIGHT=0.1 | KD_WEIGHT=0.9 | TEMPERATURE=4 | – | yes | KL / batch
logit-standardization-KD | CE_WEIGHT=0.1 | KD_WEIGHT=9 | TEMPERATURE=2 | – | yes \
| KL of standardised logits / batch
torchdistill | alpha | beta=1 − alpha | temperature | labels | not where alpha=0 | KL / batch
KD_Lib | 1 − distil_weight | distil_weight=0.5 | temp=20 | teacher | yes \
| squared error of probabilities / batch and classes
TextBrewer | hard_label_weight=0 | kd_loss_weight=1 | temperature=4 | – | no \
| soft cross-entropy / batch
Intel distiller | kd_student_wt=0.5 | kd_distill_wt=0.5 | kd_temp=1 | – | yes | KL / batch
DistillKit | cross_entropy=0.5 | kl=0.5 | temperature=1 | – | yes \
| KL / tokens, all over the sum of weights
EasyDistill 1.0 | 1 − kd_ratio | kd_ratio=0.5 | none | teacher | no | KL / tokens, twice
Knowledge-Distillation-Zoo | 1 | lambda_kd=0.1 | T=4 | teacher | yes | KL / batch
haitongli | 1 − alpha | alpha=0.9 | temperature=20 | teacher | yes | KL / batch and classes
fasterai | 1 − weight | weight=0.5 | T=5 | teacher | yes | KL / batch
"""
_COLUMNS, *_ROWS = [[c.strip() for c in line.split("|")] for line in _TABLE.strip().splitlines()]
_STANDARDIZED = "logit-standardization-KD"
_NOTES = {
    _STANDARDIZED: "with kdlab.losses.standardize_logits before the teacher's term",
    "TextBrewer": "up to the teacher's entropy, which has no gradient",
}
_REFUSED = {
    "KD_Lib": "its teacher's term is the squared error of probabilities, not KL",
    "EasyDistill 1.0": "it divides KL by the number of tokens twice, so KL's weight varies",
    "haitongli": "it averages KL over the classes too, so KL's weight falls with their number",
}


@dataclass(frozen=True)
class Conversion:
    """kdlab's alpha and temperature; the project's loss is `scale` times kdlab's with these."""

    library: str
    given: str
    alpha: float
    temperature: float
    scale: float

    def __str__(self) -> str:
        said = f"what {self.library} calls {self.given} is alpha={self.alpha:.3g}, "
        said += f"temperature={self.temperature:g} here"
        if not math.isclose(self.scale, 1):
            said += f", at scale {self.scale:.4g}, which the learning rate has to carry"
        return f"{said} ({_NOTES[self.library]})" if self.library in _NOTES else said

    __repr__ = _repr_markdown_ = __str__

    def to(self, library: str) -> dict[str, float]:
        """The same in another project's parameters; where its form fixes the scale, up to scale."""
        (labels, _), (teacher, _), *others, (temperature, _) = _words(library)
        weights = [self.scale * self.alpha, self.scale * (1 - self.alpha)]
        _check_square(library, weights[0], self.temperature)
        if library != self.library and _STANDARDIZED in (library, self.library):
            raise Refusal(f"{_STANDARDIZED} alone standardises logits: no weight says the same.")
        if labels == "1" and not weights[0]:
            raise Refusal(f"{library} always counts the labels once: it cannot say alpha=0.")
        units = {"1": weights[0], "1 − ": sum(weights)}  # what the other word tells a weight in
        made = {}
        for name, other, weight in zip((labels, teacher), (teacher, labels), weights, strict=True):
            if not name.startswith("1"):
                made[name] = round(weight / units.get(other[:4], 1), 12)
        return made | {name: 0.0 for name, _ in others} | {temperature: self.temperature}


def alpha_conventions(library: str | None = None, **theirs: float) -> pd.DataFrame | Conversion:
    """Who means what by alpha: the table, or one project's weights as kdlab's alpha.

    library: a project of the table; None gives the table.  theirs: parameters as that project names
    them; those left out take its defaults. Raises UnknownName, and Refusal for other parameters,
    weights that are none, and losses that differ in kind: no T² (unless T = 1), no KL, KL averaged
    over the classes, a term on features.
    """
    if library is None:
        return pd.DataFrame(_ROWS, columns=_COLUMNS).set_index("project")
    words = _words(library)
    values = _filled(library, dict(words), theirs)
    given = ", ".join(f"{name}={values[name]:g}" for name, _ in words if name[0] != "1")
    labels, teacher, *others, temperature = (values[name] for name, _ in words)
    if any(others):
        raise Refusal(f"{library} with {given} has a term on features: give it as match=[...].")
    if min(labels, teacher) < 0 or not labels + teacher or not temperature:
        raise Refusal(
            f"{library} with {given} weighs labels {labels:g} and teacher {teacher:g}, at "
            f"T={temperature:g}: expected weights of at least 0, not both 0, and T above 0."
        )
    _check_square(library, labels, temperature)
    if library == "torchdistill" and not labels:
        teacher = 1.0  # beta is dropped as well
    scale = 1.0 if library == "DistillKit" else labels + teacher
    return Conversion(library, given, labels / (labels + teacher), temperature, scale)


def _words(library: str) -> list[tuple[str, str]]:
    """(name, default) of the labels' weight, the teacher's, that of features, the temperature."""
    rows = {row[0]: [*row[1:3], *row[3].split("; ")] for row in _ROWS}
    if library not in rows:
        raise unknown("project", library, rows)
    if library in _REFUSED:
        raise Refusal(f"{library}'s weights have no equal in kdlab: {_REFUSED[library]}.")
    return [word.partition("=")[::2] for word in rows[library]]


def _filled(library: str, defaults: dict[str, str], theirs: dict) -> dict[str, float]:
    """What each word is worth: the parameters given, else their defaults, and 1 minus each."""
    names = [name for name in defaults if name[0] != "1"]
    values = {"1": 1.0}
    for name in [*names, *theirs]:
        given = theirs.get(name)
        if name not in names or (given is None and not defaults[name]):
            odd = f"no parameter {name}" if name not in names else f"no default for {name}: give it"
            raise Refusal(f"{library} has {odd}. Its parameters are {', '.join(names)}.")
        default = values.get(defaults[name], defaults[name])  # it may follow from another one
        value = float(default) if given is None else number(given)
        if not 0 <= value < math.inf:
            said = default if given is None else given
            raise Refusal(f"{name}={said!r}: expected a number of at least 0.")
        values |= {name: value, f"1 − {name}": 1 - value}
    return values


def _check_square(library: str, labels: float, temperature: float) -> None:
    """Refuse a teacher's term without T², but where T is 1."""
    squared = next(row[5] for row in _ROWS if row[0] == library)
    if temperature != 1 and (squared == "no" or (squared != "yes" and not labels)):
        raise Refusal(
            f"{library} has no T² before the teacher's term{squared[3:]}: at T={temperature:g} "
            f"it is {temperature**2:g} times weaker than kdlab's. At T=1 the two agree."
        )
