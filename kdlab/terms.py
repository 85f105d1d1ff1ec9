"""The terms of a loss, each weighted and raw, and their row in a run's history."""

import pandas as pd
import torch
from torch import Tensor

from kdlab import losses
from kdlab.errors import LossNotFinite, Refusal
from kdlab.jobs import MATCH_ONLY, numbers_at
from kdlab.schedules import value_at

EMPTY = {"epoch": [], "step": [], "loss": []}  # the history of a run stopped in its first epoch
COLUMNS = {*EMPTY, "stage", "validation_accuracy"}  # of a history, beside its terms
RAW = "_raw"  # after a term's name: its value before its weight


# Terms: name -> (weighted, raw); raw is None where the weight is unknown, NaN where it was not
# computed, for a weight of 0.
def logit_terms(stage, progress, logits, said: dict, labels) -> dict[str, tuple]:
    if stage["loss"] == MATCH_ONLY:
        return {}
    temperature, alpha = numbers_at(stage, progress)
    if stage["loss"] is None:
        given = losses.kd_terms(logits, said.get(None), labels, temperature, alpha)
        nothing = (torch.tensor(0.0, device=logits.device), torch.tensor(torch.nan))
        return {
            name: (given[name], given[name] / weight) if weight else nothing
            for name, weight in (("labels", alpha), ("teacher", 1 - alpha))
            if weight or callable(stage["alpha"])
        }
    given = stage["loss"](logits, said.get(None), labels, temperature, alpha)
    terms = given if isinstance(given, dict) else {"objective": given}
    for name, term in terms.items():
        if not isinstance(term, Tensor) or term.ndim:
            what = f"shape {tuple(term.shape)}" if isinstance(term, Tensor) else type(term).__name__
            raise Refusal(
                f"the loss gave {what} for {name!r}: expected one number, a tensor without "
                "dimensions. Take the mean over the batch."
            )
    if not terms or not sum(terms.values()).requires_grad:
        raise Refusal(
            "the loss does not depend on the student's logits, so there is nothing to learn from. "
            "Does it use student_logits, without .detach() or .item()?"
        )
    return {name: (term, None) for name, term in terms.items()}


def match_terms(job, stage, progress, seen_by_student, said: dict) -> dict[str, tuple]:
    terms = {}
    for match in stage["match"]:
        raw = job.links[match](seen_by_student[match.student_layer], said[match.teacher_layer])
        terms[match.name] = (value_at(match.weight, progress) * raw, raw)
    return terms


def columns_of(terms: dict[str, tuple], before: list[str] | None) -> dict[str, Tensor]:
    """The terms as columns of the history; the same ones at every step of a stage."""
    columns = {name: weighted for name, (weighted, _) in terms.items()}
    columns |= {name + RAW: raw for name, (_, raw) in terms.items() if raw is not None}
    if list(columns) == ["objective"]:
        columns = {}  # a loss of one's own that names no terms: the column "loss" says it all
    if taken := COLUMNS & columns.keys():
        raise Refusal(f"the loss names a term {min(taken)!r}, a column that the history has.")
    if before is not None and list(columns) != before:
        raise Refusal(
            f"the loss gave the terms {list(columns)}, a step before {before}: expected the same "
            "names at every step. Give 0 for a term that does not apply."
        )
    return columns


def history_row(epoch, step, seen: Tensor, names: list[str], history: list[dict]) -> dict:
    """Means over an epoch of `seen` (steps, 1 + columns); refuses the first loss not finite.

    Looked at once an epoch, not once a step: on a GPU each look waits for all work to finish.
    """
    seen = seen.cpu()
    broken = (~torch.isfinite(seen[:, 0])).nonzero()
    if len(broken):
        first = int(broken[0])
        at = step - len(seen) + first + 1
        raise LossNotFinite(
            f"the loss became {seen[first, 0].item()} at step {at} (epoch {epoch}). The history "
            f"of the {len(history)} epochs before is in the error's .history. Try a smaller "
            "learning rate; in a loss of your own, look for log(0), or for a mean over the "
            "labelled rows of a batch that has none.",
            at,
            pd.DataFrame(history),
        )
    loss, *means = seen.nanmean(0).tolist()  # NaN: a raw term in a step that has no use for it
    return {"epoch": epoch, "step": step, "loss": loss, **dict(zip(names, means, strict=True))}
