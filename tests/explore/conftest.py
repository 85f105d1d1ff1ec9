import pytest
import torch

import kdlab
from kdlab.explore import panel as panels


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    """Debouncing is for people: tests start at once, but where they test just that."""
    monkeypatch.setattr(panels, "PAUSE", 0.01)


@pytest.fixture(scope="session")
def data():
    return kdlab.load_data("digits", train=300)


@pytest.fixture(scope="session")
def teacher(data):
    """Small, but with something to say."""
    run = kdlab.train("mlp-32", data, epochs=8, learning_rate=1e-2, progress=False, device="cpu")
    return run.student


@pytest.fixture
def orders():
    """Values of a control in a few orders: ends, start, and a fixed shuffle."""

    def of(control):
        if hasattr(control, "options"):
            values = [value for _, value in control.options]
        else:
            values = [control.min, control.min + control.step, control.max]
        few = [values[0], control.value, values[-1], values[len(values) // 2]]
        mixed = torch.randperm(4, generator=torch.Generator().manual_seed(0)).tolist()
        return few + [few[at] for at in mixed]

    return of
