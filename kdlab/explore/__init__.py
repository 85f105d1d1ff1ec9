"""Widgets: each is a thin view over functions that run without a screen."""

from kdlab.explore.atlas_view import atlas
from kdlab.explore.codes import from_code
from kdlab.explore.guess import guess
from kdlab.explore.missing_class import missing_class
from kdlab.explore.primer import primer
from kdlab.explore.softening import softening
from kdlab.explore.teacher_view import teacher_view
from kdlab.explore.training import training
from kdlab.explore.trust import trust

__all__ = [
    "atlas",
    "from_code",
    "guess",
    "missing_class",
    "primer",
    "softening",
    "teacher_view",
    "training",
    "trust",
]
