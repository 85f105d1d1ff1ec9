"""Checks of exercises. What a notebook types is listed here."""

from kdlab.check.across import mixup_loss, shapley_of_three
from kdlab.check.alpha import cosine_schedule, distill_step, paired_interval
from kdlab.check.compression import count_parameters, latency, pareto_front, weight_bytes
from kdlab.check.features import attention_map, feature_loss, project
from kdlab.check.lessons import progress, quiz
from kdlab.check.soft_targets import entropy, mean_soft_target, soft_cross_entropy
from kdlab.check.temperature import kd_loss, logit_matching_gradient, tempered_softmax
from kdlab.check.text import encode, masked_mean, recorded_kd, text_cnn

__all__ = [
    "attention_map",
    "cosine_schedule",
    "count_parameters",
    "distill_step",
    "encode",
    "entropy",
    "feature_loss",
    "kd_loss",
    "latency",
    "logit_matching_gradient",
    "masked_mean",
    "mean_soft_target",
    "mixup_loss",
    "paired_interval",
    "pareto_front",
    "progress",
    "project",
    "quiz",
    "recorded_kd",
    "shapley_of_three",
    "soft_cross_entropy",
    "tempered_softmax",
    "text_cnn",
    "weight_bytes",
]
