"""A match: a layer of the student that shall resemble a layer of the teacher."""

import copy
import functools
import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

from torch import Tensor, nn

from kdlab import layers, losses
from kdlab.errors import Refusal, number
from kdlab.models import name_of
from kdlab.schedules import Schedule

FeatureLoss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Match:
    """A feature term: weight · loss(projector(student's features), teacher's features).

    student_layer, teacher_layer: names as `kdlab.layers.names(model)` shows them.
    loss: any function (student_features, teacher_features) -> a tensor with one number. A module
        may learn too: each run trains a copy of it with the student, as it does a projector.
    weight: a number of at least 0, or a function of training progress (see `schedules`).
    projector: a module from the student's features to the teacher's, trained with the student and
        left out of it afterwards. "auto" builds one where the two shapes differ and the loss does
        not compare across shapes by itself (`losses.ACROSS_SHAPES`). None: no projector.
    """

    student_layer: str
    teacher_layer: str
    _: KW_ONLY
    loss: FeatureLoss
    weight: float | Schedule = 1.0
    projector: "str | nn.Module | None" = "auto"

    def __post_init__(self):
        if not callable(self.loss):
            raise Refusal(
                f"{self._said}: loss={self.loss!r}: expected a function (student_features, "
                "teacher_features) -> tensor, such as kdlab.losses.hint_loss."
            )
        if not callable(self.weight) and not 0 <= number(self.weight) < math.inf:
            raise Refusal(
                f"{self._said}: weight={self.weight!r}: expected a number of at least 0, or a "
                "function of progress."
            )
        if self.projector not in ("auto", None) and not isinstance(self.projector, nn.Module):
            raise Refusal(
                f'{self._said}: projector={self.projector!r}: expected "auto", None, or a module.'
            )
        if isinstance(self.loss, nn.Module) and isinstance(self.projector, nn.Module):
            raise Refusal(
                f"{self._said}: the loss is a module, which sees both features as they are: "
                "put the projector into it."
            )

    @property
    def name(self) -> str:
        """What the term is called in a run's history."""
        return f"{name_of(self.loss)} {self.student_layer}→{self.teacher_layer}"

    @property
    def _said(self) -> str:
        return f"the match {self.student_layer!r} → {self.teacher_layer!r}"


@dataclass
class Link:
    """A match made ready for one run: with its projector, and a sentence that tells of it.

    projector: or the run's own copy of a loss that learns, in whose place no projector stands.
    """

    match: Match
    projector: nn.Module | None
    said: str

    @property
    def name(self) -> str:
        return self.match.name

    def __call__(self, student_features: Tensor, teacher_features: Tensor) -> Tensor:
        """The raw term, before its weight."""
        loss = self.match.loss
        if isinstance(loss, nn.Module):
            loss = self.projector
        elif self.projector is not None:
            student_features = self.projector(student_features)
        value = loss(student_features, teacher_features)
        if not isinstance(value, Tensor) or value.ndim:
            what = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
            raise Refusal(
                f"the match {self.name} gave {what}: expected one number, a tensor without "
                "dimensions. Take the mean over the batch."
            )
        return value


def link(match: Match, student_features: Tensor, teacher_features: Tensor) -> Link:
    """Build a match's projector from a few examples' features, and try the whole out.

    Raises Refusal where the loss cannot compare the two, or does not depend on the student.
    """
    own, wanted = student_features.shape[1:], teacher_features.shape[1:]
    projector, said = match.projector, "no projector"
    if isinstance(match.loss, nn.Module):
        projector, said = copy.deepcopy(match.loss), "a loss that learns with the student"
    elif isinstance(projector, nn.Module):
        projector = copy.deepcopy(projector)
        said = f"a projector of your own, {type(projector).__name__}"
    elif projector == "auto":
        projector = None
        if own != wanted and not _compares_across_shapes(match.loss):
            projector = layers.projector(own, wanted)
            said = projector.said
    made = Link(match, projector, f"{match.name}: {said}")
    if projector is not None:
        projector.to(student_features)
    try:
        value = made(student_features, teacher_features)
    except Refusal as error:
        raise Refusal(f"the match {match.name}: {error}") from error
    except Exception as error:
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        raise Refusal(
            f"the match {match.name} cannot compare features of shape {tuple(own)} (student) and "
            f'{tuple(wanted)} (teacher): {first_line}. projector="auto" makes them alike.'
        ) from error
    if not value.requires_grad:
        raise Refusal(
            f"the match {match.name} does not depend on the student's features, so there is "
            "nothing to learn from it. Does the loss use its first argument, without .detach()?"
        )
    return made


def _compares_across_shapes(loss: FeatureLoss) -> bool:
    while isinstance(loss, functools.partial):
        loss = loss.func
    return loss in losses.ACROSS_SHAPES
