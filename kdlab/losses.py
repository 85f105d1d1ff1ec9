"""What is minimised: pure functions on tensors, one paper each."""

import torch.nn.functional as F
from torch import Tensor


def soft_target_kl(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """KL divergence from softened teacher to softened student, times T².

    L = T² · mean over the batch of Σ_c p_c (log p_c − log q_c),
    p = softmax(teacher / T), q = softmax(student / T)

    student_logits, teacher_logits: (batch, classes), before any softmax.
    temperature: > 0; 1 leaves the logits as they are.
    For T large beside the logits the gradient falls like 1/T²; the factor balances that limit
    (Hinton, Vinyals & Dean 2015, section 2).
    """
    student = F.log_softmax(_wide(student_logits) / temperature, dim=1)
    teacher = F.log_softmax(_wide(teacher_logits) / temperature, dim=1)
    divergence = (teacher.exp() * (teacher - student)).sum(dim=1)
    return temperature**2 * divergence.mean()


def kd_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    temperature: float,
    alpha: float,
) -> Tensor:
    """The distillation loss: labels weighed by alpha, the teacher by 1 − alpha.

    L = alpha · CE(student, labels) + (1 − alpha) · T² · KL(teacher_T || student_T)

    student_logits, teacher_logits: (batch, classes).  labels: (batch,); −100 marks a row without a
    label, which only the teacher's term counts.  temperature: > 0.  alpha: 0 to 1; 1 = labels only.
    (Hinton, Vinyals & Dean 2015, section 2.)
    """
    return sum(kd_terms(student_logits, teacher_logits, labels, temperature, alpha).values())


def kd_terms(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    temperature: float,
    alpha: float,
) -> dict[str, Tensor]:
    """The two weighted terms of `kd_loss` by name; a term of weight zero is left out."""
    terms = {}
    if alpha > 0:
        terms["labels"] = alpha * label_loss(student_logits, labels)
    if alpha < 1:
        terms["teacher"] = (1 - alpha) * soft_target_kl(student_logits, teacher_logits, temperature)
    return terms


def label_loss(student_logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy averaged over the labelled rows; 0 where a batch has none (label −100)."""
    total = F.cross_entropy(_wide(student_logits), labels, reduction="sum")
    return total / (labels >= 0).sum().clamp(min=1)


def _wide(logits: Tensor) -> Tensor:
    """float16 and bfloat16 logits as float32: their exponentials overflow or lose the tail."""
    return logits.float() if logits.element_size() < 4 else logits
