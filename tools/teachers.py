"""Train the shipped teachers from scratch: `python -m tools.teachers` (some 10 minutes for each).

Writes data/teachers/: checkpoints of one training and a card that says how it was made and what it
scores; and data/answers/, what each of them says to every picture. Test is asked once, here, for
the final checkpoint.
"""

import argparse
import hashlib
import json
import math
import platform
import time

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor

import kdlab
from kdlab import models, scores, signals

SEED = 0
AFTER = {"early": 1, "middle": 5}  # epochs; the final checkpoint is the last epoch's
EPOCHS = {  # of each phase: a phase goes on from the weights of the one before
    "fashion-cnn": (16,),
    "fashion-vgg": (9, 5),
    "fashion-inception": (12, 10, 6),
}
ARCHITECTURE = {
    "fashion-cnn": "convolutions 32-64-128 (3x3, batch norm, ReLU), 2x2 pools after the first "
    "two, linear head",
    "fashion-vgg": "VGG-style: three pairs of convolutions 16-32-64 (3x3, batch norm, ReLU), a 2x2 "
    "pool after each pair, hidden layer of 256 with dropout 0.5, linear head",
    "fashion-inception": "Inception-style: a stem of 32, three mixed blocks 64-128-160 (1x1, 3x3, "
    "two 3x3, pool; batch norm, ReLU), a mean over places, linear head",
}


def shifted_and_flipped(inputs: Tensor) -> Tensor:
    """Each picture moved by up to 2 pixels both ways, and mirrored half of the time."""
    count, _, height, width = inputs.shape
    down, right = torch.randint(0, 5, (2, count, 1))
    rows = (torch.arange(height) + down)[:, None, :, None]
    columns = (torch.arange(width) + right)[:, None, None, :]
    black = float(inputs.min())
    moved = F.pad(inputs, (2, 2, 2, 2), value=black)[
        torch.arange(count)[:, None, None, None], 0, rows, columns
    ]
    mirrored = torch.rand(count, 1, 1, 1) < 0.5
    return torch.where(mirrored, moved.flip(3), moved)


def cosine(progress: float) -> float:
    """Learning rate from 1e-3 to 0 along half a cosine."""
    return 1e-3 * 0.5 * (1 + math.cos(math.pi * progress))


def record_answers(data: kdlab.data.Data) -> None:
    """Keep each checkpoint's answers to all 70,000 pictures, so that no lesson waits for them.

    kdlab finds them by the fingerprint of the weights and compares each input (signals.py).
    """
    parts = [getattr(data, name) for name in ("train", "validation", "test")]
    together = [
        torch.cat([getattr(part, name) for part in parts])
        for name in ("inputs", "labels", "indices")
    ]
    everything = kdlab.data.Split(*together)
    folder = kdlab.files.folder() / "answers"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.safetensors"):
        old.unlink()  # answers of weights that are no longer shipped
    for name, checkpoints in models.TEACHERS.items():
        for checkpoint in checkpoints:
            teacher = kdlab.load_teacher(name, checkpoint)
            signal = kdlab.record(teacher, everything, f"{name} {checkpoint}")
            exact = name == "fashion-cnn"  # most lessons use it; the others need less room
            precision = "float32" if exact else "float16"
            signal.save(folder / f"{signal.teacher[:16]}.safetensors", precision)


def main(teacher: str, train: int | None = None, start: torch.nn.Module | None = None) -> dict:
    """Train, keep the checkpoints, score them on validation, and the last one on test.

    start: the network before the last phase, where that is there already.
    """
    phases = EPOCHS[teacher]
    checkpoints = {
        checkpoint: AFTER.get(checkpoint, sum(phases)) for checkpoint in models.TEACHERS[teacher]
    }
    data = kdlab.load_data("fashion-mnist", train=train, seed=SEED)
    kept, seen, before = {}, {}, 0
    began = time.perf_counter()

    def keep(epoch: int, net: torch.nn.Module) -> None:
        logits, at = signals.ask(net, data.validation.inputs), before + epoch
        seen[at] = scores.of_logits(logits, data.validation.labels)
        kept[at] = {
            name: tensor.clone(memory_format=torch.contiguous_format)
            for name, tensor in net.state_dict().items()
        }
        print(f"epoch {at}: validation accuracy {seen[at]['accuracy']:.4f}", flush=True)

    student: models.Student = teacher
    for phase, epochs in enumerate(phases):
        if start is not None and phase < len(phases) - 1:
            student = start
        else:
            run = kdlab.train(
                student, data, epochs=epochs, seed=SEED + phase, learning_rate=cosine,
                augment=shifted_and_flipped, watch=0, after_epoch=keep, device="cpu",
            )  # fmt: skip
            student = run.student
        before += epochs
    folder, files = models.card_folder(), {}
    folder.mkdir(parents=True, exist_ok=True)
    for checkpoint, epoch in checkpoints.items():
        path = folder / f"{teacher}-{checkpoint}.safetensors"
        path.write_bytes(save(kept[epoch]))
        files[path.name] = {
            "epochs": epoch,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
            "validation": {
                name: round(seen[epoch][name], 4) for name in ("accuracy", "nll", "ece")
            },
        }
    test = run.score("test")
    card = {
        "name": teacher,
        "architecture": ARCHITECTURE[teacher],
        "parameters": scores.parameters(run.student),
        "trained_on": f"{len(data.train):,} images of Fashion-MNIST: the first 50,000 of the "
        "official train split; never on validation or test",
        "recipe": f"{' and again '.join(map(str, phases))} epochs, Adam, batch 128, learning rate "
        "1e-3 to 0 along a cosine, shifts of up to 2 pixels and mirroring, cross-entropy, seed 0",
        "made_by": "python -m tools.teachers",
        "made_with": f"torch {torch.__version__}, Python {platform.python_version()}, CPU",
        "seconds" if start is None else "seconds of the last phase": round(
            time.perf_counter() - began
        ),
        "licence": "MIT, as kdlab",
        "test_final": {name: round(test[name], 4) for name in ("accuracy", "nll", "ece")},
        "files": files,
    }
    (folder / f"{teacher}.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return card


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("teachers", nargs="*", default=list(models.TEACHERS), help="all by default")
    parser.add_argument("--train", type=int, default=None, help="fewer images, for a trial")
    given = parser.parse_args()
    for name in given.teachers:
        print(json.dumps(main(name, given.train), indent=1))
    if not given.train:
        record_answers(kdlab.load_data("fashion-mnist", seed=SEED))
