"""Mistakes in the use of `soft_target_kl`, for exercises whose step `soft` it is."""

from kdlab.check.core import Mistake
from kdlab.losses import soft_target_kl


def mistakes(section: str) -> tuple[Mistake, ...]:
    """What goes wrong with the temperature.  section: where the lesson says more."""
    return (
        Mistake(
            "temperature-ignored",
            "Right at T = 1, but the teacher's term does not change with T. Hand the temperature "
            "on: soft_target_kl(student_logits, teacher_logits, temperature).",
            section,
            {"soft": lambda s, t, temperature: soft_target_kl(s, t, 1.0)},
        ),
        Mistake(
            "square-missing",
            "Right at T = 1; at a larger T the teacher's term is too small. The factor T² is "
            "missing (lesson 2). kdlab.losses.soft_target_kl has it inside.",
            section,
            {"soft": lambda s, t, temperature: soft_target_kl(s, t, temperature) / temperature**2},
        ),
        Mistake(
            "square-twice",
            "Right at T = 1; at a larger T the teacher's term is too large. "
            "kdlab.losses.soft_target_kl has the factor T² inside: do not multiply again.",
            section,
            {"soft": lambda s, t, temperature: soft_target_kl(s, t, temperature) * temperature**2},
        ),
    )
