"""Widgets: each is a thin view over functions that run without a screen."""

from kdlab.explore.atlas_view import atlas
from kdlab.explore.attention import attention
from kdlab.explore.budget import budget
from kdlab.explore.codes import from_code
from kdlab.explore.committee import committee
from kdlab.explore.guess import guess
from kdlab.explore.layer_pair import layer_pair
from kdlab.explore.missing_class import missing_class
from kdlab.explore.mixture import mixture
from kdlab.explore.primer import primer
from kdlab.explore.sentence import sentence
from kdlab.explore.softening import softening
from kdlab.explore.teacher_view import teacher_view
from kdlab.explore.training import training
from kdlab.explore.trust import trust

__all__ = [
    "atlas",
    "attention",
    "budget",
    "committee",
    "from_code",
    "guess",
    "layer_pair",
    "missing_class",
    "mixture",
    "primer",
    "sentence",
    "softening",
    "teacher_view",
    "training",
    "trust",
]
