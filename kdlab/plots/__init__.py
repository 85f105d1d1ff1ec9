"""Figures from tables and tensors; never trains. Every function gives back a `Picture`."""

from kdlab.plots.atlases import gain, heat_map, paired
from kdlab.plots.classes import class_map, entropy_per_class
from kdlab.plots.examples import soft_targets
from kdlab.plots.feature_views import feature_views
from kdlab.plots.fronts import pareto
from kdlab.plots.lines import lines
from kdlab.plots.mapping import mapping
from kdlab.plots.picture import Picture
from kdlab.plots.pictures import images
from kdlab.plots.rankings import ranking
from kdlab.plots.runs import history
from kdlab.plots.shares import shares

__all__ = [
    "Picture",
    "class_map",
    "entropy_per_class",
    "feature_views",
    "gain",
    "heat_map",
    "history",
    "images",
    "lines",
    "mapping",
    "paired",
    "pareto",
    "ranking",
    "shares",
    "soft_targets",
]
