"""One seed, several independent streams: weights, batches, draws of data, noise."""

import hashlib
import os

import torch


def stream(seed: int, purpose: str) -> int:
    """A 63-bit seed for one purpose, so that drawing more of one thing never shifts another.

    KDLAB_SEED_SHIFT is added to every seed: `tools/claims.py` uses it to run a whole lesson on
    fresh seeds without touching its text.
    """
    shifted = int(seed) + int(os.environ.get("KDLAB_SEED_SHIFT", "0"))
    digest = hashlib.blake2b(f"{shifted} {purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(seed: int, purpose: str) -> torch.Generator:
    """A CPU generator for one purpose, apart from torch's global one."""
    return torch.Generator().manual_seed(stream(seed, purpose))
