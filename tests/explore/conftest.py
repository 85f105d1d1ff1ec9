import ipywidgets
import pandas as pd
import pytest
import torch

import kdlab
from kdlab.explore import background
from kdlab.explore.codes import NO_PANEL
from kdlab.texts import Vocabulary

FAST = {"learning_rate": 1e-2, "progress": False, "device": "cpu"}
PAIR = {"examples": 64, "epochs": 1, "seeds": 2}
SMALL = {"examples": 100, "width": 8, "epochs": 1, "seeds": 2}

# Every function of kdlab.explore that makes a panel, and what it is given here: a new one joins
# by one line, and is then driven through all orders, restored from its code, and so on.
PANELS = {
    "atlas": lambda kit: ([kit("atlas")], {}),
    "attention": lambda kit: ([*kit("cnn_students"), kit("cnn_teacher"), kit("data")], {}),
    "budget": lambda kit: ([kit("recipes")], {}),
    "committee": lambda kit: ([kit("data")], {"teachers": kit("teachers"), **SMALL}),
    "guess": lambda kit: (["how many", 0, 100], {}),
    "layer_pair": lambda kit: ([kit("cnn_teacher"), kit("data")], PAIR),
    "missing_class": lambda kit: ([*kit("runs_without_3"), kit("without_3"), "3"], {}),
    "mixture": lambda kit: ([kit("teacher"), kit("data")], SMALL),
    "primer": lambda kit: (["softmax"], {}),
    "sentence": lambda kit: ([kit("readers"), kit("vocabulary"), ["pet", "tool"]], {}),
    "softening": lambda kit: ([kit("teacher"), kit("data")], {}),
    "teacher_view": lambda kit: ([kit("teacher"), kit("data")], {}),
    "training": lambda kit: ([kit("teacher"), kit("data")], SMALL),
    "trust": lambda kit: ([kit("data")], {"teachers": kit("teachers"), **SMALL}),
}


def pytest_generate_tests(metafunc):
    if "panel_name" in metafunc.fixturenames:
        metafunc.parametrize("panel_name", PANELS)
    if "coded_name" in metafunc.fixturenames:
        metafunc.parametrize("coded_name", [name for name in PANELS if name not in NO_PANEL])


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    """Debouncing is for people: tests start at once, but where they test just that."""
    monkeypatch.setattr(background, "PAUSE", 0.01)


@pytest.fixture(scope="session")
def data():
    return kdlab.load_data("digits", train=300)


@pytest.fixture(scope="session")
def teacher(data):
    """Small, but with something to say."""
    return kdlab.train("mlp-32", data, epochs=8, **FAST).student


@pytest.fixture(scope="session")
def vocabulary():
    return Vocabulary.of(["a dog of a cat", "a hammer of iron"])


@pytest.fixture(scope="session")
def readers():
    """Two nets for texts of two classes, which have learned nothing."""
    return {name: kdlab.models.build(name, (24,), 2) for name in ("textcnn", "text-bag")}


@pytest.fixture(scope="session")
def cnn_teacher(data):
    return kdlab.train("cnn-medium", data, epochs=3, **FAST).student


@pytest.fixture(scope="session")
def cnn_students(cnn_teacher, data):
    """One without and one with a match on attention maps."""
    match = kdlab.Match("block2", "block2", loss=kdlab.losses.attention_transfer, weight=300)
    return [
        kdlab.distill("cnn-small", cnn_teacher, data, match=chosen, epochs=4, **FAST)
        for chosen in ([], [match])
    ]


@pytest.fixture(scope="session")
def teachers(teacher):
    """The good one, and one whose name has spaces and who knows nothing."""
    return {"good": teacher, "one that guesses": kdlab.models.build("mlp-8", (1, 8, 8), 10)}


@pytest.fixture(scope="session")
def recipes():
    """A table of trained students: the larger, the slower and the better."""
    return pd.DataFrame(
        {
            "recipe": f"mlp-{width}", "signal": signal, "seed": seed, "bytes": 4_000 * width,
            "latency_ms": 0.02 * width, "accuracy": 0.7 + width / 1_000 + 0.01 * at + seed / 1_000,
            "nll": 1 - width / 1_000, "ece": 0.02 + width / 10_000,
        }
        for width in (8, 32, 128)
        for at, signal in enumerate(("labels", "soft targets"))
        for seed in range(3)
    )  # fmt: skip


@pytest.fixture(scope="session")
def without_3():
    return kdlab.load_data("digits", train=300, leave_out="3")


@pytest.fixture(scope="session")
def runs_without_3(without_3, teacher):
    labels = kdlab.train("mlp-16", without_3, epochs=8, **FAST)
    return labels, kdlab.distill("mlp-16", teacher, without_3, alpha=0, epochs=8, **FAST)


@pytest.fixture(scope="session")
def atlas(data, teacher):
    return kdlab.sweep(
        "mlp-8", teacher, data, temperature=[1, 4, 20], alpha=[0, 0.5, 1], seeds=3, epochs=2, **FAST
    )


@pytest.fixture
def given(request):
    """A panel's name -> what it is given here: its arguments and options."""

    def of(name):
        arguments, options = PANELS[name](request.getfixturevalue)
        return arguments, dict(options)

    return of


@pytest.fixture
def listed():
    """The names of the panels that are driven here."""
    return set(PANELS)


@pytest.fixture
def orders():
    """Values of a control in a few orders: ends, start, and a fixed shuffle."""

    def of(control):
        values = values_of(control)
        few = [values[0], control.value, values[-1], values[len(values) // 2]]
        mixed = torch.randperm(4, generator=torch.Generator().manual_seed(0)).tolist()
        return few + [few[at] for at in mixed]

    return of


def values_of(control):
    if isinstance(control, ipywidgets.Text):
        return ["", "a dog", "12", "The iron-clad 'cat' of a Zoo = \"pet\""]
    if hasattr(control, "options"):
        return [value for _, value in control.options]
    return [control.min, control.min + control.step, control.max]
