"""A code opens the panel it names, with the settings it holds."""

import inspect
from collections.abc import Callable

from kdlab.errors import Refusal, unknown
from kdlab.explore.controls import parts
from kdlab.explore.panel import Panel

NO_PANEL = ("from_code", "guess")  # what kdlab.explore offers beside panels that have a code


def makers() -> dict[str, Callable[..., Panel]]:
    """Every function of kdlab.explore that makes a panel with a code, by its name."""
    from kdlab import explore

    return {name: getattr(explore, name) for name in explore.__all__ if name not in NO_PANEL}


def from_code(code: str, *arguments, **options) -> Panel:
    """The panel that a code names, with its settings: what `panel.code` gave, or typed by hand.

    code: such as "training temperature=4 alpha=0.5"; what it leaves out keeps its default.
    arguments, options: what the panel needs besides, as for its own function: hide=, lock=, runs.
    Raises UnknownName for names, Refusal for a code that is broken.
    """
    name, _ = parts(code)
    known = makers()
    if not name:
        raise Refusal(
            f"the code {code!r} does not begin with the name of a panel: expected one of "
            f"{', '.join(known)}, then its settings."
        )
    if name not in known:
        raise unknown("panel", name, known)
    signature = inspect.signature(known[name])
    try:
        signature.bind(*arguments, code=code, **options)
    except TypeError as error:
        raise Refusal(
            f"the panel {name!r} cannot be made so ({error}): give after the code what "
            f"kdlab.explore.{name} takes, {signature}."
        ) from None
    return known[name](*arguments, code=code, **options)
