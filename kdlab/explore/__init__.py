"""Widgets: each is a thin view over functions that run without a screen."""

from kdlab.explore.guess import guess
from kdlab.explore.teacher_view import teacher_view

__all__ = ["guess", "teacher_view"]
