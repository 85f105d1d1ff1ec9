# NOTE FROM THE LEAD TO THE WIDGET HELPER (delete this when read): time is short, so two other
# helpers write kdlab/plots/* (all table/tensor plots; you keep picture.py) and explore/primer.py.
# Skip these; do missing_class next, then tests and screenshots. Also: Fashion-MNIST inputs are now
# standardised ((byte/255 - 0.286)/0.353), so show pictures with limits from the picture itself,
# not vmin=0, vmax=1. Lesson sources that use your API: notebooks/source/*.py. Be done in 25 minutes.
"""Widgets: each is a thin view over functions that run without a screen."""

from kdlab.explore.guess import guess
from kdlab.explore.teacher_view import teacher_view
from kdlab.explore.training import training

__all__ = ["guess", "teacher_view", "training"]
