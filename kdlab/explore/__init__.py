"""Widgets: each is a thin view over functions that run without a screen."""

from kdlab.explore.guess import guess
from kdlab.explore.missing_class import missing_class
from kdlab.explore.primer import primer
from kdlab.explore.teacher_view import teacher_view
from kdlab.explore.training import training

__all__ = ["guess", "missing_class", "primer", "teacher_view", "training"]
