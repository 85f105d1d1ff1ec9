"""One big student on several GPUs: plain DistributedDataParallel around kdlab's own parts.

    torchrun --standalone --nproc-per-node=2 docs/several_gpus.py --student cnn-large --epochs 2

`torchrun` starts this file once for each GPU. Each process, called a rank, holds a whole copy of
the student, trains on its share of every batch, and DDP averages the gradients of all ranks before
each step: so the copies stay equal, and together they are one student. Without a GPU the ranks run
on the CPU: slower, but the same lesson. Most students of this kit are too small to gain from it;
many small students train better with `kdlab.sweep`.
"""

import argparse
import datetime
import os
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch.nn.parallel import DistributedDataParallel

import kdlab


def main() -> None:
    options = read_options()
    device = join()
    data = kdlab.load_data(options.data, train=options.train)  # each rank reads it from its disk
    split, classes = data.train, len(data.classes)
    # Each rank has dropout masks of its own: with dropout, two ranks are not just one device.
    torch.manual_seed(kdlab.seeds.stream(options.seed, f"dropout {dist.get_rank()}"))

    # The seed gives every rank the same start. A student of your own goes here; one with batch
    # norm through torch.nn.SyncBatchNorm.convert_sync_batchnorm, or each rank would take its own
    # share's means.
    student = kdlab.models.build(options.student, split.inputs.shape[1:], classes, options.seed)
    student = student.to(device)
    answers = ask_once(options.teacher, split, classes, device)
    seen = train(student, answers, split, options, device)

    shares = [None] * dist.get_world_size()
    dist.all_gather_object(shares, f"rank {dist.get_rank()} on {device}: {seen:,} examples")
    if dist.get_rank() == 0:  # one rank speaks and writes, for all have the same student
        print(*shares, sep="\n")
        logits = kdlab.signals.ask(student, data.validation.inputs, str(device))
        accuracy = kdlab.scores.accuracy(logits, data.validation.labels)
        beside = options.out.with_name(options.out.name + ".part")
        save_file({name: tensor.cpu() for name, tensor in student.state_dict().items()}, beside)
        beside.replace(options.out)  # a reader sees the old file or the new one, never a half
        print(f"validation accuracy {accuracy:.4f}, weights in {options.out}")
    # No "finally": where a rank fails, torchrun ends the others. To wait for them would be to hang.
    dist.barrier()
    dist.destroy_process_group()


def join() -> torch.device:
    """Meet the other ranks; the device that is this rank's own."""
    if "LOCAL_RANK" not in os.environ:
        raise SystemExit("Start this file with torchrun: see its first lines.")
    local = int(os.environ["LOCAL_RANK"])  # counts the ranks of this machine, RANK those of all
    patience = datetime.timedelta(hours=2)  # all wait while rank 0 asks a large teacher
    if not kdlab.pick_device().startswith("cuda"):
        dist.init_process_group("gloo", timeout=patience)
        return torch.device("cpu")
    if local >= (there := torch.cuda.device_count()):
        raise SystemExit(
            f"{local + 1} ranks or more, but {there} GPUs: take --nproc-per-node={there}."
        )
    device = torch.device("cuda", local)
    torch.cuda.set_device(device)
    dist.init_process_group("nccl", timeout=patience, device_id=device)
    return device


def ask_once(name: str, split, classes: int, device: torch.device) -> torch.Tensor:
    """The teacher's logits (n, classes): rank 0 asks, or reads a record; the others receive."""
    if dist.get_rank() == 0:
        recorded = name.endswith(".safetensors")
        teacher = kdlab.Signal.load(name) if recorded else kdlab.load_teacher(name)
        answers = kdlab.signals.answers(teacher, split, str(device)).to(device)
    else:
        answers = torch.empty(len(split), classes, device=device)
    dist.broadcast(answers, src=0)
    return answers


def train(student, answers, split, options, device) -> int:
    """Train this rank's copy; how many examples it has seen."""
    inputs, labels = split.inputs.to(device), split.labels.to(device)
    copies = DistributedDataParallel(student, [device] if device.type == "cuda" else None)
    optimizer = torch.optim.Adam(copies.parameters(), lr=options.learning_rate)
    shuffle = kdlab.seeds.generator(options.seed, "batches")  # the same order on every rank
    seen = 0
    for epoch in range(1, options.epochs + 1):
        copies.train()
        total = torch.zeros((), device=device)
        order = torch.randperm(len(labels), generator=shuffle)
        batches = kdlab.training.batches(order, options.batch_size)
        for batch in batches:
            rows, weight = share(batch)
            rows = rows.to(device)
            loss = weight * kdlab.losses.kd_loss(
                copies(inputs[rows]), answers[rows], labels[rows],
                options.temperature, options.alpha,
            )  # fmt: skip
            optimizer.zero_grad()
            loss.backward()  # here DDP averages the gradients, while backward still runs
            optimizer.step()
            total += loss.detach()
            seen += len(rows) if weight else 0
        dist.all_reduce(total)
        if dist.get_rank() == 0:
            mean = total.item() / dist.get_world_size() / len(batches)
            print(f"epoch {epoch}: loss {mean:.4f}")
    return seen


def share(batch: torch.Tensor) -> tuple[torch.Tensor, float]:
    """This rank's rows of a batch, and the weight of their mean loss.

    DDP averages over ranks as if all had as many rows. Where a last batch of 11 falls to two ranks
    as 6 and 5, their means count 12/11 and 10/11: then the average is the mean over all 11 rows,
    and the student the same as on one device, up to rounding.
    """
    rank, ranks = dist.get_rank(), dist.get_world_size()
    rows = batch[rank::ranks]
    if not len(rows):  # fewer rows than ranks: every rank must step, so this one counts nothing
        return batch[:1], 0.0
    return rows, len(rows) * ranks / len(batch)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--student", default="cnn-large", help="a name of kdlab.models")
    parser.add_argument("--teacher", default="fashion-cnn", help="a name, or a record's file")
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--train", type=int, help="how many examples; all, if left out")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=128, help="of all ranks together")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--temperature", type=float, default=4.0)
    parser.add_argument("--alpha", type=float, default=0.1, help="1: labels only; 0: teacher only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("student.safetensors"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
