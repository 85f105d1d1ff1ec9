"""The usual way to distil, written as the well-known tutorials write it.

The teacher is asked again at every step, and one student is trained. It differs from a tutorial in
one thing: its sampler shuffles as kdlab does, so that both ways see the same batches.
"""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Sampler, TensorDataset

import kdlab
from kdlab import models, seeds
from kdlab.data import Data, Split


class Shuffled(Sampler):
    """The order in which `kdlab.distill(seed=...)` sees the examples, epoch by epoch."""

    def __init__(self, size: int, seed: int):
        self.size, self.generator = size, seeds.generator(seed, "batches")

    def __len__(self) -> int:
        return self.size

    def __iter__(self):
        return iter(torch.randperm(self.size, generator=self.generator).tolist())


def start(student: str, data: Data, seed: int) -> nn.Module:
    """A student with the weights that `kdlab.distill(seed=...)` starts from."""
    return models.build(student, tuple(data.train.inputs.shape[1:]), len(data.classes), seed)


def usual(
    student: nn.Module,
    teacher: nn.Module | None,
    train: Split,
    *,
    temperature: float = 4.0,
    alpha: float = 0.1,
    epochs: int = 20,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> nn.Module:
    """Train the student in place, on labels and on the teacher, or on labels alone.

    teacher: None leaves alpha and temperature without a meaning.  seed: of the batches.
    """
    device = kdlab.pick_device()
    dataset = TensorDataset(train.inputs, train.labels)
    loader = DataLoader(dataset, batch_size=batch_size, sampler=Shuffled(len(train), seed))
    student.to(device).train()
    if teacher is not None:
        teacher.to(device).eval()
    optimizer = torch.optim.Adam(student.parameters(), lr=learning_rate)
    cross_entropy = nn.CrossEntropyLoss()
    divergence = nn.KLDivLoss(reduction="batchmean")
    for _ in range(epochs):
        running_loss = 0.0
        for inputs, labels in loader:
            inputs, labels = inputs.to(device), labels.to(device)
            optimizer.zero_grad()
            logits = student(inputs)
            loss = cross_entropy(logits, labels)
            if teacher is not None:
                with torch.no_grad():
                    teacher_logits = teacher(inputs)
                soft_loss = divergence(
                    F.log_softmax(logits / temperature, dim=1),
                    F.softmax(teacher_logits / temperature, dim=1),
                )
                loss = alpha * loss + (1 - alpha) * temperature**2 * soft_loss
            loss.backward()
            optimizer.step()
            running_loss += loss.item()  # tutorials print it; on a GPU it waits at every step
    return student
