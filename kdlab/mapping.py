"""The knowledge mapping network: a learned map between two spaces of features, both ways."""

import torch.nn.functional as F
from torch import Tensor, nn


class KnowledgeMapping(nn.Module):
    """A loss for a `Match` that learns too: the student's features brought to the teacher's space.

    L = mean (there(s) − t)² + mean (back(t) − s)², there and back linear, s in the second term
    detached.  s: the student's features (batch, ...), t: the teacher's (batch, ...).

    The first term teaches the student, in the teacher's space. The second one only trains the way
    back, by reconstruction: the student's features are its fixed target. In the history both stand
    as one term.

    joint: the tempting mistake, for comparison. L = mean (s − back(t))², and both sides learn: they
        meet where it costs least, at nothing. The features shrink and the loss with them.

    (Hints through a learned map: Romero et al. 2015.)
    """

    def __init__(self, joint: bool = False):
        super().__init__()
        self.joint = joint
        self.there = self.back = None  # made at the first batch, when both widths are known

    def forward(self, student_features: Tensor, teacher_features: Tensor) -> Tensor:
        """The loss of a batch, a tensor with one number."""
        student, teacher = student_features.flatten(1), teacher_features.flatten(1)
        if self.back is None:
            self.back = nn.Linear(teacher.shape[1], student.shape[1]).to(student)
            if not self.joint:
                self.there = nn.Linear(student.shape[1], teacher.shape[1]).to(student)
        if self.joint:
            return F.mse_loss(student, self.back(teacher))
        there, back = self.there(student), self.back(teacher)
        return F.mse_loss(there, teacher) + F.mse_loss(back, student.detach())
