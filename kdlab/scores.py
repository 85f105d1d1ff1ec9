"""Accuracy, NLL, calibration, agreement, size. Knows tensors only."""

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn

METRICS = ("accuracy", "nll", "ece", "agreement", "parameters", "bytes")  # of every run
LOWER_IS_BETTER = ("nll", "ece", "seconds", "parameters", "bytes")


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of examples whose largest logit is the label's. logits (n, classes), labels (n,)."""
    return (logits.argmax(1) == labels).float().mean().item()


def nll(logits: Tensor, labels: Tensor) -> float:
    """Mean negative log-likelihood of the labels, in nats, at T = 1."""
    return F.cross_entropy(logits.float(), labels).item()


def ece(logits: Tensor, labels: Tensor, bins: int = 15) -> float:
    """Expected calibration error: mean gap of confidence and accuracy, over equal-width bins.

    ECE = Σ_b (n_b / n) · |accuracy_b − confidence_b|, top label only
    (Guo, Pleiss, Sun & Weinberger 2017, section 2).
    """
    confidence, answer = logits.float().softmax(1).max(1)
    right = (answer == labels).float()
    # bins are open below and closed above, as in the paper; confidence is never 0
    bin_of = (confidence * bins).ceil().long().clamp(1, bins) - 1
    gap = right.new_zeros(bins).index_add_(0, bin_of, right - confidence)
    return (gap.abs().sum() / len(labels)).item()


def agreement(student_logits: Tensor, teacher_logits: Tensor) -> float:
    """Share of inputs on which student and teacher name the same class."""
    return (student_logits.argmax(1) == teacher_logits.argmax(1)).float().mean().item()


def per_class_accuracy(logits: Tensor, labels: Tensor) -> list[float]:
    """Accuracy on the examples of each class; NaN for a class without examples."""
    classes = logits.shape[1]
    right = (logits.argmax(1) == labels).double()
    hits = right.new_zeros(classes).index_add_(0, labels, right)
    return (hits / torch.bincount(labels, minlength=classes)).tolist()


def parameters(model: nn.Module) -> int:
    """Number of parameters, tied ones counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


def size_in_bytes(model: nn.Module) -> int:
    """Bytes of the model's weights as a safetensors file."""
    return len(as_file(model))


def as_file(model: nn.Module) -> bytes:
    """The model's weights as the bytes of a safetensors file; tied ones are written once."""
    first: dict[object, tuple[str, Tensor]] = {}
    for name, tensor in model.state_dict().items():
        place = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        first.setdefault(place if tensor.numel() else name, (name, tensor))
    return save({name: tensor.cpu().clone() for name, tensor in first.values()})


def of_logits(logits: Tensor, labels: Tensor, teacher_logits: Tensor | None = None) -> dict:
    """All quality scores of one model's logits; agreement is NaN where there is no teacher."""
    together = float("nan") if teacher_logits is None else agreement(logits, teacher_logits)
    return {
        "accuracy": accuracy(logits, labels),
        "nll": nll(logits, labels),
        "ece": ece(logits, labels),
        "agreement": together,
        "per_class_accuracy": per_class_accuracy(logits, labels),
    }
