"""Refusals: what was given, what was expected, what to do. All are ValueError or LookupError."""

import math
from collections.abc import Iterable
from difflib import get_close_matches


class Refusal(ValueError):
    """Bad input, said in a sentence before any work starts."""


class UnknownName(LookupError):
    """A name that kdlab does not know, with the near ones."""

    def __str__(self) -> str:  # LookupError would print the sentence in quotes
        return self.args[0]


class LayerNotFound(UnknownName, Refusal):
    """A layer that a network does not have, with those that it has."""


class CorruptFile(Refusal):
    """A file whose bytes are not those its card names; nothing is overwritten."""


class LossNotFinite(Refusal):
    """A loss became NaN or infinite: `.step` says where, `.history` holds the epochs before."""

    def __init__(self, message: str, step: int, history):
        super().__init__(message)
        self.step, self.history = step, history


def unknown(kind: str, given: object, known: Iterable[str], also: str = "") -> UnknownName:
    """The error for an unknown name: offers the nearest one and lists all."""
    known = list(known)
    near = nearest(given, known)
    hint = f" Did you mean {near!r}?" if near else ""
    said = f"there is no {kind} {given!r}.{hint} Known: {', '.join(known)}. {also}"
    return UnknownName(said.rstrip())


def nearest(given: object, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """The known name most like the given one; None where none reaches the cutoff (0 to 1)."""
    lower = {name.lower(): name for name in known}
    near = get_close_matches(str(given).lower(), lower, n=1, cutoff=cutoff)
    return lower[near[0]] if near else None


def whole(name: str, value: object, least: int) -> int:
    """`value` as an int of at least `least`, or a refusal that names the argument."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < least:
        raise Refusal(f"{name}={value!r}: expected a whole number of at least {least}.")
    return int(value)


def number(value: object) -> float:
    """`value` as a float, NumPy's and torch's numbers too; NaN where it is none."""
    try:
        return math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError, RuntimeError):
        return math.nan


def share(name: str, value: object, meaning: str = "") -> float:
    """`value` as a float in [0, 1], or a refusal that names the argument."""
    if not 0 <= number(value) <= 1:
        raise Refusal(f"{name}={value!r}: expected a number from 0 to 1{meaning}.")
    return number(value)
