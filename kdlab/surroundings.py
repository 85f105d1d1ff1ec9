"""What surrounds a run: its random state, its threads, its precision, a full memory."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator

import torch
from torch import nn

from kdlab import costs
from kdlab.errors import Refusal
from kdlab.jobs import Job, cast

_one_run_at_a_time = threading.RLock()  # runs share torch's random state; panels train in threads


@contextlib.contextmanager
def alone(options: dict) -> Iterator[None]:
    """One run at a time in this process; the caller's random state is as it was afterwards."""
    cuda = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with _one_run_at_a_time, torch.random.fork_rng(devices=cuda):
        if not options["deterministic"]:
            yield
            return
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
        before = torch.are_deterministic_algorithms_enabled()
        only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before, warn_only=only_warns)


def carry_out(work: Callable, job: "Job | list[Job]"):
    """work(job), on as many threads as pay, with torch's out-of-memory error as a sentence.

    Several jobs in one loop see to their threads themselves.
    """
    try:
        with contextlib.nullcontext() if isinstance(job, list) else _threads_that_pay(job):
            return work(job)
    except RuntimeError as error:  # on the CPU and on MPS it has no class of its own
        known = ("out of memory", "not enough memory", "can't allocate memory")
        if not any(words in str(error) for words in known):
            raise
        options = (job[0] if isinstance(job, list) else job).options
        size = options["batch_size"]
        raise Refusal(
            f"not enough memory on {options['device']} for batches of {size}. "
            f"Try batch_size={max(1, size // 2)}, or device='cpu'."
        ) from error


SMALL_STEP = 30_000_000  # multiply-adds forward; two threads gain nothing below it


@contextlib.contextmanager
def _threads_that_pay(job: Job) -> Iterator[None]:
    """One thread where a step is small.

    Threads that share small products mostly wait for each other: on a busy machine a step then
    takes ten times as long.
    """
    before = torch.get_num_threads()
    if before > 1 and products(job) < SMALL_STEP:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def products(job: Job) -> int:
    """Multiply-adds of a student's pass over one batch."""
    weights, batch = list(job.student.parameters()), job.options["batch_size"]
    if all(weight.ndim <= 2 for weight in weights):
        tables = [part for part in job.student.modules() if isinstance(part, nn.Embedding)]
        looked_up = {id(table.weight) for table in tables}  # nothing is multiplied there
        return batch * sum(weight.numel() for weight in weights if id(weight) not in looked_up)
    one = cast(job.examples.inputs[:1], job.options["precision"]).to(job.options["device"])
    return batch * costs.macs(job.student, one, job.options["device"])


def autocast(options: dict):
    """bf16 where it was asked for."""
    if options["precision"] != "bf16":
        return contextlib.nullcontext()
    return torch.autocast(torch.device(options["device"]).type, torch.bfloat16)
