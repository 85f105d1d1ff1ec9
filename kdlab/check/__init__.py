"""Checks of exercises. What a notebook types is listed here."""

from kdlab.check.lessons import progress, quiz
from kdlab.check.soft_targets import entropy, mean_soft_target, soft_cross_entropy

__all__ = ["entropy", "mean_soft_target", "progress", "quiz", "soft_cross_entropy"]
