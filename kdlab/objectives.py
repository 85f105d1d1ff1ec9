"""What many students at once learn from: the loss of each, and its gradient for the logits."""

import torch
import torch.nn.functional as F
from torch import Tensor

from kdlab.jobs import Job, numbers_at
from kdlab.surroundings import autocast
from kdlab.terms import RAW, columns_of, logit_terms


class SoftTargets:
    """`losses.kd_terms` of all members at once, with their gradient in closed form.

    d/dz = alpha · (softmax(z) − label) + (1 − alpha) · T · (softmax(z/T) − teacher_T), a mean over
    the batch each.  (Hinton, Vinyals & Dean 2015, section 2.)
    """

    names = ("labels", "teacher", "labels" + RAW, "teacher" + RAW)

    def __init__(self, jobs: list[Job]):
        self.jobs = jobs
        of_all = [job.options[name] for job in jobs for name in ("temperature", "alpha")]
        self.fixed = None if any(map(callable, of_all)) else self._numbers(0.0)

    def begin(self) -> None:
        self.steps = []

    def gradient(
        self, logits: Tensor, said: Tensor | None, labels: Tensor, progress: float
    ) -> Tensor:
        """d loss / d logits (members, classes, batch); keeps the terms.

        said: (members, batch, classes).  labels: (members, batch).
        """
        numbers = self._numbers(progress) if self.fixed is None else self.fixed
        if numbers.device != logits.device:
            numbers = numbers.to(logits.device, non_blocking=True)
            self.fixed = None if self.fixed is None else numbers
        terms, gradient = self._terms(logits, said, labels, *numbers)
        self.steps.append(terms)
        return gradient

    def seen(self, member: int) -> tuple[Tensor, list[str]]:
        """A member's loss and terms (steps, 1 + terms) in this epoch, and the terms' names."""
        names = [name for name in self.names if self._has(self.jobs[member], name)]
        if isinstance(self.steps, list):  # to the CPU in one piece: a GPU is waited for once
            self.steps = torch.stack(self.steps).cpu()
        columns = [0, *(self.names.index(name) + 1 for name in names)]
        return self.steps[:, columns, member], names

    def _numbers(self, progress: float) -> Tensor:
        now = [numbers_at(job.options, progress) for job in self.jobs]
        double = self.jobs[0].options["precision"] == "float64"
        return torch.tensor(now, dtype=torch.float64 if double else torch.float32).T.contiguous()

    @staticmethod
    def _has(job: Job, name: str) -> bool:
        """Whether a member's history has this column: a term of weight 0 is left out."""
        alpha = job.options["alpha"]
        return callable(alpha) or (alpha > 0 if name.startswith("labels") else alpha < 1)

    @staticmethod
    def _terms(logits, said, labels, temperature, alpha) -> tuple[Tensor, Tensor]:
        """(5, members), the loss first, then `names`; and d loss / d logits."""
        logits = logits.to(temperature.dtype)
        labelled = (labels >= 0).unsqueeze(1)
        rows = labelled.sum(2, keepdim=True).clamp(min=1)
        own, right = F.log_softmax(logits, dim=1), labels.clamp(min=0).unsqueeze(1)
        from_labels = -(own.gather(1, right) * labelled).sum(2, keepdim=True) / rows
        weight, softness = alpha[:, None, None], temperature[:, None, None]
        share = labelled * (weight / rows)
        gradient = own.exp().mul_(share).scatter_add_(1, right, -share)
        from_labels = from_labels[:, 0, 0]
        from_teacher = torch.zeros_like(from_labels)
        if said is not None:
            student = F.log_softmax(logits / softness, dim=1)
            teacher = F.log_softmax(said.transpose(1, 2) / softness, dim=1)
            soft = teacher.exp()
            apart = teacher.sub_(student).mul_(soft).sum((1, 2)) / logits.shape[2]
            from_teacher = temperature**2 * apart
            toward = student.exp_().sub_(soft)
            gradient += toward.mul_((1 - weight) * softness / logits.shape[2])
        raw, weights = torch.stack([from_labels, from_teacher]), torch.stack([alpha, 1 - alpha])
        weighted = weights * raw
        said_raw = raw.masked_fill(weights == 0, torch.nan)
        return torch.cat([weighted.sum(0, keepdim=True), weighted, said_raw]), gradient


class OwnLosses:
    """The members' own losses, each called with plain numbers, as in a single run."""

    def __init__(self, jobs: list[Job]):
        self.jobs, self.names = jobs, [None] * len(jobs)
        self.errors: dict[int, Exception] = {}

    def begin(self) -> None:
        self.steps = [[] for _ in self.jobs]

    def gradient(
        self, logits: Tensor, said: Tensor | None, labels: Tensor, progress: float
    ) -> Tensor:
        """As in `SoftTargets`; an error of one member's loss is kept, the others go on."""
        own_logits = logits.transpose(1, 2).contiguous().requires_grad_()
        losses = []
        for member, job in enumerate(self.jobs):
            if member in self.errors:
                continue
            answers = {} if said is None else {None: said[member]}
            try:
                with autocast(job.options):
                    terms = logit_terms(
                        job.options, progress, own_logits[member], answers, labels[member]
                    )
                columns = columns_of(terms, self.names[member])
            except Exception as error:
                self.errors[member] = error
                continue
            self.names[member] = list(columns)
            losses.append(sum(weighted for weighted, _ in terms.values()))
            row = [part.detach().to(losses[-1]) for part in columns.values()]
            self.steps[member].append(torch.stack([losses[-1].detach(), *row]))
        (sum(losses) if losses else 0 * own_logits.sum()).backward()
        return own_logits.grad.transpose(1, 2)

    def seen(self, member: int) -> tuple[Tensor, list[str]]:
        """A member's loss and terms (steps, 1 + terms) in this epoch, and the terms' names."""
        if member in self.errors:
            raise self.errors[member]
        return torch.stack(self.steps[member]), self.names[member]
