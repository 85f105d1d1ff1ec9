"""What a model costs to run: multiply-adds, latency, peak memory."""

import contextlib
import time
import weakref
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from kdlab import models

WARM_UP, TIMES = 10, 50  # calls that are not timed, and calls that are


def macs(model: nn.Module, inputs: Tensor, device: str = "cpu") -> int:
    """Multiply-adds of one pass, by torch's own counter: matrix products and convolutions only."""
    with FlopCounterMode(display=False) as counter:
        _pass(model, inputs, device)
    return counter.get_total_flops() // 2


def latency(
    model: nn.Module, inputs: Tensor, device: str = "cpu", times: int = TIMES
) -> list[float]:
    """Seconds of each of some passes over these inputs, after a warm-up, without gradients."""
    seconds = []
    with _asked(model, device) as there, torch.inference_mode():
        inputs = inputs.to(device)
        for call in range(WARM_UP + times):
            _settle(device)
            began = time.perf_counter()
            there(inputs)
            _settle(device)
            if call >= WARM_UP:
                seconds.append(time.perf_counter() - began)
    return seconds


def peak_bytes(model: nn.Module, inputs: Tensor, device: str = "cpu") -> int:
    """Most bytes alive at once in a pass: the weights, the inputs, and the values in between.

    What a library sets aside within one operation is not seen.
    """
    held = [*model.parameters(), *model.buffers(), inputs]
    with _Alive(held) as alive:
        _pass(model, inputs, device)
    return alive.most


def _pass(model: nn.Module, inputs: Tensor, device: str) -> None:
    with _asked(model, device) as there, torch.no_grad():
        there(inputs.to(device))


@contextlib.contextmanager
def _asked(model: nn.Module, device: str) -> Iterator[nn.Module]:
    """The model in eval mode on `device`; what it draws does not move the caller's chance."""
    with torch.random.fork_rng(devices=[]), models.listening(model, device) as there:
        yield there


def _settle(device: str) -> None:
    """Wait for a GPU, which works on after the call is back."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


class _Alive(TorchDispatchMode):
    """Counts the bytes of all values that are alive at once, from the first to the last."""

    def __init__(self, held: list[Tensor]):
        super().__init__()
        self.now = self.most = 0
        self.known: set[int] = set()
        self.held = held  # kept alive, so that no address is used twice
        self._add(held)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        self._add(part for part in tree_leaves(made) if isinstance(part, Tensor))
        return made

    def _add(self, tensors: Iterable[Tensor]) -> None:
        for tensor in tensors:
            storage = tensor.untyped_storage()
            key, size = storage._cdata, storage.nbytes()
            if key in self.known:
                continue
            self.known.add(key)
            self.now += size
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._gone, key, size).atexit = False

    def _gone(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size
