"""The atlas: a cell is chosen by a click or by the sliders, and says what its runs show."""

import dataclasses

import pandas as pd
import pytest
import torch

import kdlab
from kdlab import explore
from kdlab.errors import Refusal

CHOSEN = {"temperature": 4, "alpha": 0.5}


@pytest.fixture
def panel(atlas):
    return explore.atlas(atlas)


@pytest.fixture
def broken(atlas):
    """The same sweep, with one cell failed, one never run, and one seed failed in a third."""
    table = atlas.table.copy()
    assert set(table["error"]) == {""}

    def fail(rows, why):
        table.loc[rows, ["accuracy", "nll", "ece", "agreement"]] = float("nan")
        table.loc[rows, "error"] = why

    here = (table["temperature"] == 20) & (table["alpha"] == 0)
    fail(here, "the loss became nan at step 3")
    fail((table["temperature"] == 4) & (table["alpha"] == 0) & (table["seed"] == 1), "no memory")
    missing = (table["temperature"] == 1) & (table["alpha"] == 0.5)
    return dataclasses.replace(atlas, table=table[~missing].reset_index(drop=True))


def buttons(panel):
    return panel.children[-1].children[1:]


def choose(panel, **setting):
    panel.code = " ".join(f"{name}={value}" for name, value in setting.items())
    return panel.result


def words(panel):
    said = " ".join(text.get_text() for text in panel.picture.figure.texts)
    return said.replace("\n", " ").replace("\u00a0", " ")


def test_a_cell_holds_its_runs_its_verdict_and_its_confusions(atlas, panel, data):
    cell = choose(panel, **CHOSEN)
    rows = atlas.rows(CHOSEN)
    assert cell.setting == CHOSEN and cell.runs == [atlas.runs[at] for at in rows["run"]]
    assert cell.verdict == atlas.compare({"alpha": 1}, CHOSEN)
    labels = data.validation.labels
    expected = torch.zeros(10, 10, dtype=torch.long)
    for run in cell.runs:
        for label, answer in zip(labels, run.logits().argmax(1), strict=True):
            expected[label, answer] += 1
    assert torch.equal(cell.confusion, expected)
    right = cell.confusion.diagonal().sum() / cell.confusion.sum()
    assert right.item() == pytest.approx(cell.scores["accuracy"])
    assert set(cell.scores) == {"accuracy", "nll", "ece", "agreement"}


def test_it_opens_at_the_best_cell(atlas, panel):
    means = atlas.table.groupby(["temperature", "alpha"])["accuracy"].mean()
    assert means[panel.temperature.value, panel.alpha.value] == means.max()
    lowest = explore.atlas(atlas, "nll")
    means = atlas.table.groupby(["temperature", "alpha"])["nll"].mean()
    assert means[lowest.temperature.value, lowest.alpha.value] == means.min()
    assert lowest.result.verdict.metric == "nll" and "lowest" in lowest.picture.alt


def test_every_cell_has_a_button_that_lies_on_it_and_says_what_it_is(atlas, panel):
    made = buttons(panel)
    assert len(made) == 9
    width, height = panel.picture.canvas.get_width_height()
    axes = panel.picture.figure.axes[0]
    for button, cell in zip(made, axes.texts, strict=True):
        box = cell.get_window_extent()
        left, top, wide, high = (
            float(getattr(button.layout, side).removesuffix("%")) / 100
            for side in ("left", "top", "width", "height")
        )
        assert left * width < box.x0 and box.x1 < (left + wide) * width
        assert top * height < height - box.y1 and height - box.y0 < (top + high) * height
        assert f": {cell.get_text()} %" in button.tooltip
    assert made[0].tooltip.startswith("temperature 1, alpha 0:")


def test_a_click_chooses_a_cell_and_moves_the_sliders(panel):
    choose(panel, temperature=1, alpha=0)
    drawn = []
    draw, panel._draw = panel._draw, lambda cell: (drawn.append(cell), draw(cell))
    buttons(panel)[4].click()
    assert panel.settings == CHOSEN == panel.result.setting
    assert len(drawn) == 1  # not once for each slider
    assert "Chosen cell: temperature 4, alpha 0.5." in panel.picture.alt
    panel.temperature.value = 20
    assert panel.result.setting == {"temperature": 20, "alpha": 0.5}


def test_a_click_leaves_what_is_locked(atlas):
    panel = explore.atlas(atlas, code="atlas temperature=1 alpha=0", lock=["temperature"])
    buttons(panel)[4].click()
    assert panel.settings == {"temperature": 1, "alpha": 0.5}


def test_the_frame_lies_around_the_chosen_cell(panel):
    choose(panel, **CHOSEN)
    frame = panel.picture.figure.axes[0].patches[-1]
    (left, top), (right, bottom) = frame.get_bbox().get_points()
    assert left < 1 < right and top < 1 < bottom and right - left < 1 and bottom - top < 1


def test_the_picture_says_verdict_and_scores(panel):
    cell = choose(panel, **CHOSEN)
    assert str(cell.verdict) in words(panel) and str(cell.verdict) in panel.picture.alt
    for part in ("validation NLL", "calibration error", "agreement with the teacher"):
        assert part in words(panel) and part in panel.picture.alt
    shares = cell.confusion.double() / cell.confusion.sum(1, keepdim=True)
    (matrix,) = (axes for axes in panel.picture.figure.axes if len(axes.texts) == 100)
    written = [text.get_text() for text in matrix.texts]
    assert written[:2] == [
        f"{100 * share:.0f}" if share >= 0.015 else "" for share in shares[0, :2]
    ]
    worst = (shares - shares.diagonal().diag()).max().item()
    assert f"{100 * worst:.0f} are answered" in panel.picture.alt


def test_labels_only_against_themselves_differ_by_nothing(panel):
    cell = choose(panel, temperature=20, alpha=1)
    assert cell.verdict.difference == 0 and not cell.verdict.better
    assert panel.alpha.label == "labels 1.00 · teacher 0.00"


def test_a_failed_cell_says_why_and_one_that_never_ran_says_so(broken):
    panel = explore.atlas(broken)
    failed = choose(panel, temperature=20, alpha=0)
    assert failed.verdict is None and failed.runs == [] and failed.confusion.sum() == 0
    assert "3 of 3 runs" in failed.trouble and "the loss became nan at step 3" in failed.trouble
    assert failed.trouble in words(panel) and failed.trouble in panel.picture.alt
    assert not panel.picture.figure.axes[1].images[0].get_visible()  # no confusions to show
    assert "temperature 20, alpha 0: failed." in panel.picture.alt
    never = choose(panel, temperature=1, alpha=0.5)
    assert never.verdict is None and never.runs == [] and "no run with" in words(panel)
    assert "temperature 1, alpha 0.5: no run." in panel.picture.alt
    assert [button.tooltip.split(": ")[1] for button in buttons(panel)].count("failed") == 1
    assert choose(panel, **CHOSEN).verdict.pairs == 3  # and back
    assert "Most mixed up" in panel.picture.alt
    assert panel.picture.figure.axes[1].images[0].get_visible()


def test_with_a_failed_seed_the_others_are_shown_but_not_compared(broken):
    panel = explore.atlas(broken)
    cell = choose(panel, temperature=4, alpha=0)
    assert len(cell.runs) == 2 and cell.verdict is None and "no memory" in cell.trouble
    assert cell.confusion.sum() == 2 * len(cell.runs[0].data.validation)
    assert list(cell.values["cell"]) == [0, 2] and list(cell.values["labels"]) == [0, 1, 2]
    assert "validation NLL" in words(panel)


def test_named_values_are_named(data, teacher):
    sweep = kdlab.sweep(
        "mlp-8", teacher, data, temperature={"warm": 4, "it cools": kdlab.schedules.linear(8, 1)},
        alpha=[0, 1], seeds=2, epochs=1, progress=False,
    )  # fmt: skip
    panel = explore.atlas(sweep)
    cell = choose(panel, temperature="'it cools'", alpha=0)
    assert cell.setting == {"temperature": "it cools", "alpha": 0} and len(cell.runs) == 2
    assert panel.code == "atlas temperature='it cools' alpha=0"
    assert "teacher only (T=it cools)" in panel.picture.alt
    assert "temperature it cools, alpha 0" in buttons(panel)[2].tooltip


def test_another_baseline_and_the_axes_turned(atlas):
    baseline = {"temperature": 1, "alpha": 0}
    panel = explore.atlas(atlas, rows="alpha", columns="temperature", baseline=baseline)
    assert list(panel.controls) == ["alpha", "temperature"]
    cell = choose(panel, **CHOSEN)
    assert cell.verdict == atlas.compare(baseline, CHOSEN)


def test_runs_from_a_folder_need_their_data(atlas, data, tmp_path):
    runs = [kdlab.load_run(run.save(tmp_path / str(at))) for at, run in enumerate(atlas.runs)]
    loaded = dataclasses.replace(atlas, runs=runs)
    with pytest.raises(Refusal, match="give data="):
        explore.atlas(loaded)
    cell = explore.atlas(loaded, data=data, code="atlas temperature=4 alpha=0.5").result
    assert torch.equal(cell.confusion, choose(explore.atlas(atlas), **CHOSEN).confusion)


def test_what_does_not_fit_is_refused(atlas, teacher, data):
    with pytest.raises(Refusal, match="metric 'acc'"):
        explore.atlas(atlas, "acc")
    with pytest.raises(Refusal, match="'width' is no axis"):
        explore.atlas(atlas, rows="width")
    with pytest.raises(LookupError, match="no choice of temperature '7'"):
        explore.atlas(atlas, code="atlas temperature=7")
    no_labels = atlas.table[atlas.table["alpha"] < 1]
    with pytest.raises(Refusal, match="Sweep with alpha=1"):
        explore.atlas(dataclasses.replace(atlas, table=no_labels))
    with pytest.raises(Refusal, match="type DataFrame: expected what kdlab"):
        explore.atlas(pd.DataFrame())
