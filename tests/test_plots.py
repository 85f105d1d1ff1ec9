"""Figures: a picture with words that follow the numbers, labelled axes, bad input refused."""

import itertools

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.text import Text
from torch import nn

import kdlab
from kdlab import plots
from kdlab.data import NO_LABEL, Split
from kdlab.errors import Refusal
from kdlab.plots.drawing import array
from kdlab.runs import Run
from kdlab.sweeps import Atlas

CLASSES = ("cat", "dog", "hen", "owl")
LABELS, TEACHER = {"alpha": 1}, {"alpha": 0}


def split(count=8, channels=1):
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(count, channels, 5, 5, generator=draw) * 3 - 1  # standardised: no 0 to 1
    return Split(inputs, torch.arange(count) % 4, torch.arange(count))


def made_run(name="labels", accuracy=(0.5, 0.6, 0.7), losses=(2.0, 1.0, 0.5), **settings):
    history = pd.DataFrame({"epoch": [1, 2, 3], "step": [4, 8, 12], "loss": losses, name: losses})
    if accuracy:
        history["validation_accuracy"] = accuracy
    said = {"student": "mlp-8", "teacher": "t", "alpha": 1.0, "temperature": 4.0, "seed": 0}
    return Run(nn.Linear(2, 2), said | settings, history)


def made_atlas(gains=(0.02, 0.03, 0.025), temperatures=(1, 4), alphas=(1, 0), best=0.0):
    """A sweep by hand: labels only at 0.80, teacher only better by `gains`, T=1 by `best` more."""
    rows, runs = [], []
    for temperature in temperatures:
        for alpha in alphas:
            for seed, gain in enumerate(gains):
                accuracy = 0.8 + 0.001 * seed + (1 - alpha) * (gain + best / temperature)
                same = [
                    at
                    for at, row in enumerate(rows)
                    if alpha == 1 and row["alpha"] == 1 and row["seed"] == seed
                ]
                row = {"temperature": temperature, "alpha": alpha, "seed": seed}
                row |= {"accuracy": accuracy, "nll": 1 - accuracy, "ece": 0.1}
                row |= {"agreement": float("nan"), "parameters": 10, "bytes": 40}
                rows.append(row | {"run": rows[same[0]]["run"] if same else len(runs)})
                runs.append(made_run())
    table = pd.DataFrame(rows)
    axes = tuple(name for name in ("temperature", "alpha") if table[name].nunique() > 1)
    return Atlas(table, axes, runs, "1,000 examples")


def one_temperature(gains):
    return made_atlas(gains, temperatures=(1,))


MATRIX = torch.tensor(
    [[0.80, 0.15, 0.03, 0.02], [0.11, 0.85, 0.02, 0.02], [0, 0.02, 0.9, 0.08], [0, 0, 0.06, 0.94]]
)


def every_picture():
    entropies, labels = torch.tensor([0.1, 0.3, 1.0, 1.2, 0.5]), torch.tensor([0, 0, 1, 1, 2])
    atlas, logits = made_atlas(), torch.randn(8, 4)
    by_count = {1_000: one_temperature((0.02, 0.03, 0.025)), 2_000: one_temperature((0.01, 0, 0))}
    return {
        "images": plots.images(split(), CLASSES, range(8)),
        "images with answers": plots.images(split(), CLASSES, [1, 2], logits),
        "entropy": plots.entropy_per_class(entropies, labels, CLASSES),
        "class map": plots.class_map(MATRIX, CLASSES),
        "gain": plots.gain(by_count, LABELS, TEACHER),
        "paired": plots.paired(atlas, LABELS, {"temperature": 4, "alpha": 0}),
        "heat map": plots.heat_map(atlas),
        "history": plots.history(made_run(), made_run("teacher", alpha=0.0)),
    }


@pytest.fixture(scope="module")
def pictures():
    before = dict(matplotlib.rcParams)
    made = every_picture()
    assert dict(matplotlib.rcParams) == before  # nothing of the look stays behind
    return made


NAMES = (
    "images", "images with answers", "entropy", "class map", "gain", "paired", "heat map",
    "history",
)  # fmt: skip


# ---------------------------------------------------------------- what all figures share


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_is_a_picture_that_a_notebook_can_keep(pictures, name):
    picture = pictures[name]
    assert isinstance(picture, plots.Picture)
    assert picture.png.startswith(b"\x89PNG")
    bundle, metadata = picture._repr_mimebundle_()
    assert {"text/plain", "image/png", "application/vnd.jupyter.widget-view+json"} <= bundle.keys()
    assert metadata["image/png"]["alt"] == picture.alt
    assert not any(sign.isdigit() for sign in bundle["text/plain"])  # equal on every machine


@pytest.mark.parametrize("name", NAMES)
def test_alt_text_has_numbers_and_ends_as_a_sentence(pictures, name):
    alt = pictures[name].alt
    assert any(sign.isdigit() for sign in alt) and alt.endswith(".") and ".." not in alt
    assert "nan" not in alt and "inf " not in alt


@pytest.mark.parametrize("name", NAMES)
def test_axes_hold_something_and_nothing_is_cut_off(pictures, name):
    figure = pictures[name].figure
    assert all(axes.has_data() for axes in figure.axes)
    width, height = figure.canvas.get_width_height()
    drawn = figure.get_tightbbox(figure.canvas.get_renderer())
    dots = figure.dpi
    assert drawn.x0 >= 0 and drawn.y0 >= 0
    assert drawn.x1 * dots <= width and drawn.y1 * dots <= height


@pytest.mark.parametrize("name", NAMES)
def test_axes_have_labels(pictures, name):
    first = pictures[name].figure.axes[0]
    words = first.get_xlabel() + first.get_ylabel() + first.get_title() + first.get_title("left")
    assert words + first.get_title("center")


# ---------------------------------------------------------------- images


def test_images_names_classes_and_the_first_two_answers():
    logits = torch.full((8, 4), -20.0)
    logits[0, 0], logits[1, 2] = 20, 20  # the first is right, the second takes a dog for a hen
    picture = plots.images(split(), CLASSES, [0, 1], logits)
    right, wrong = picture.figure.axes
    assert (right.get_title(), wrong.get_title()) == ("cat", "dog")
    assert right.get_xlabel().startswith("cat 1.00")
    assert wrong.get_xlabel().startswith("× hen 1.00")
    assert not right.spines["top"].get_visible() and wrong.spines["top"].get_visible()
    assert "the label in 1 of 2" in picture.alt


def test_images_scales_each_picture_by_itself_and_takes_colour():
    part = split(channels=3)
    part.inputs[0] *= 100
    picture = plots.images(part, CLASSES, torch.tensor([0, 1]))
    for axes in picture.figure.axes:
        pixels = np.asarray(axes.images[0].get_array())
        assert pixels.shape == (5, 5, 3)
        assert (pixels.min(), pixels.max()) == pytest.approx((0, 1))


def test_images_without_a_label_say_so():
    part = Split(split().inputs, torch.full((8,), NO_LABEL), torch.arange(8))
    assert "2 no label" in plots.images(part, CLASSES, [0, 1]).alt


@pytest.mark.parametrize(
    "rows, message",
    [(3, "range"), ([], "1 to 60"), ([8], "row 8"), ([-1], "row -1"), ([0.5], "whole numbers"),
     (range(61), "1 to 60")],
)  # fmt: skip
def test_images_refuses_rows(rows, message):
    with pytest.raises(Refusal, match=message):
        plots.images(split(), CLASSES, rows)


def test_images_refuses_what_is_no_picture_or_does_not_fit():
    flat = Split(torch.zeros(2, 7), torch.zeros(2, dtype=torch.long), torch.arange(2))
    with pytest.raises(Refusal, match="expected pictures"):
        plots.images(flat, CLASSES, [0])
    with pytest.raises(Refusal, match=r"expected numbers of shape \(8, 4\)"):
        plots.images(split(), CLASSES, [0], torch.zeros(2, 4))
    with pytest.raises(Refusal, match="2 class names"):
        plots.images(split(), CLASSES[:2], [3])


# ---------------------------------------------------------------- classes


def test_entropy_is_sorted_and_its_alt_follows_the_data():
    labels = torch.tensor([0, 0, 1, 1, 2])
    picture = plots.entropy_per_class(torch.tensor([0.1, 0.3, 1.0, 1.2, 0.5]), labels, CLASSES)
    names = [tick.get_text() for tick in picture.figure.axes[0].get_yticklabels()]
    assert names == ["dog", "hen", "cat"]  # owl has no example
    assert "most for dog, 1.100 nats" in picture.alt and "least for cat, 0.200" in picture.alt
    other = plots.entropy_per_class(torch.tensor([2.1, 2.3, 1.0, 1.2, 0.5]), labels, CLASSES)
    assert "most for cat, 2.200 nats" in other.alt


def test_entropy_whiskers_are_the_interval_of_the_mean():
    values = torch.rand(50, generator=torch.Generator().manual_seed(0))
    picture = plots.entropy_per_class(values, torch.zeros(50, dtype=torch.long), CLASSES[:1])
    low, high = kdlab.verdicts.interval(values.tolist())
    assert picture.figure.axes[0].lines[0].get_xdata() == pytest.approx([low, high])


def test_entropy_refuses():
    with pytest.raises(Refusal, match=r"labels of shape \(3,\)"):
        plots.entropy_per_class(torch.rand(2), torch.zeros(3), CLASSES)
    with pytest.raises(Refusal, match="NaN"):
        plots.entropy_per_class(torch.tensor([float("nan")]), torch.tensor([0]), CLASSES)
    with pytest.raises(Refusal, match="label 7"):
        plots.entropy_per_class(torch.rand(1), torch.tensor([7]), CLASSES)
    with pytest.raises(Refusal, match="no example has a label"):
        plots.entropy_per_class(torch.rand(1), torch.tensor([NO_LABEL]), CLASSES)
    with pytest.raises(Refusal, match="empty"):
        plots.entropy_per_class(torch.rand(0), torch.rand(0), CLASSES)


def test_class_map_writes_what_is_large_and_joins_what_is_alike():
    picture = plots.class_map(MATRIX, CLASSES)
    heat, tree = picture.figure.axes[:2]
    written = [text.get_text() for text in heat.texts]
    assert len(written) == int((MATRIX >= 0.01).sum()) and "0.15" in written
    leaves = [tick.get_text() for tick in tree.get_yticklabels()]
    assert {frozenset(leaves[:2]), frozenset(leaves[2:])} == {
        frozenset({"cat", "dog"}), frozenset({"hen", "owl"}),
    }  # fmt: skip
    assert "cat and dog are the most alike" in picture.alt and "0.130" in picture.alt
    assert "distance" in tree.get_xlabel()
    turned = plots.class_map(MATRIX.flip(0, 1), CLASSES)
    assert "hen and owl are the most alike" in turned.alt


def test_class_map_joins_a_pair_at_the_probability_they_give_each_other():
    tree = plots.class_map(MATRIX, CLASSES).figure.axes[1]
    first = min(max(line.get_xdata()) for line in tree.lines)
    assert first == pytest.approx(-np.log10((0.15 + 0.11) / 2))


def test_class_map_refuses():
    with pytest.raises(Refusal, match=r"\(4, 4\)"):
        plots.class_map(MATRIX[:3], CLASSES)
    with pytest.raises(Refusal, match="from 0 to 1"):
        plots.class_map(MATRIX * 100, CLASSES)
    with pytest.raises(Refusal, match="NaN"):
        plots.class_map(MATRIX / 0, CLASSES)
    with pytest.raises(Refusal, match="at least two"):
        plots.class_map(MATRIX[:1, :1], CLASSES[:1])


# ---------------------------------------------------------------- sweeps


def test_gain_says_the_verdict_at_every_number_of_examples():
    atlases = {
        2_000: one_temperature((0.01, -0.01, 0)),
        1_000: one_temperature((0.02, 0.03, 0.025)),
    }
    picture = plots.gain(atlases, LABELS, TEACHER)
    upper, lower = picture.figure.axes
    ticks = [tick.get_text() for tick in lower.get_xticklabels()]
    assert ticks == ["1,000", "2,000"] and upper.get_xscale() == "log"
    assert [text.get_text().replace("\n", " ") for text in lower.texts] == [
        "better", "no difference seen",
    ]  # fmt: skip
    assert [text.get_text() for text in upper.texts] == ["labels only", "teacher only (T=4)"]
    assert "1,000: +2.5 points, better" in picture.alt
    assert "no difference seen" in picture.alt
    worse = plots.gain({1_000: one_temperature((-0.02, -0.03, -0.025))}, LABELS, TEACHER)
    assert "1,000: −2.5 points, worse" in worse.alt


def test_gain_in_nll_says_that_lower_is_better():
    picture = plots.gain({500: one_temperature((0.02, 0.03, 0.025))}, LABELS, TEACHER, "nll")
    assert "−0.025, better" in picture.alt
    assert "below 0 is better" in picture.figure.axes[1].get_title("left").replace("\n", " ")


def test_gain_with_one_seed_draws_no_interval():
    picture = plots.gain({500: one_temperature((0.02,))}, LABELS, TEACHER)
    assert "too few runs" in picture.alt
    assert not picture.figure.axes[1].collections  # no whisker


def test_gain_refuses():
    with pytest.raises(Refusal, match="expected a dict"):
        plots.gain({}, LABELS, TEACHER)
    with pytest.raises(Refusal, match="expected a dict"):
        plots.gain(made_atlas(), LABELS, TEACHER)
    with pytest.raises(Refusal, match="key 'many'"):
        plots.gain({"many": made_atlas()}, LABELS, TEACHER)
    with pytest.raises(Refusal, match="metric 'acc'"):
        plots.gain({500: made_atlas()}, LABELS, TEACHER, "acc")
    with pytest.raises(Refusal, match="leaves temperature free"):
        plots.gain({500: made_atlas(best=0.01)}, LABELS, TEACHER)


def test_paired_joins_the_runs_of_each_seed_under_the_verdict():
    atlas = made_atlas()
    candidate = {"temperature": 4, "alpha": 0}
    picture = plots.paired(atlas, LABELS, candidate)
    axes = picture.figure.axes[0]
    pairs = [list(line.get_ydata()) for line in axes.lines if list(line.get_xdata()) == [0, 1]]
    assert pairs == [
        pytest.approx([80, 82]),
        pytest.approx([80.1, 83.1]),
        pytest.approx([80.2, 82.7]),
    ]
    verdict = str(atlas.compare(LABELS, candidate))
    assert axes.get_title("left").replace("\n", " ") == verdict and verdict in picture.alt
    assert "higher in 3 of 3" in picture.alt
    assert [text.get_text() for text in axes.texts] == ["mean 80.1", "mean 82.6"]


def test_paired_tells_two_settings_of_one_source_apart():
    atlas = made_atlas(best=0.01)
    picture = plots.paired(atlas, {"temperature": 1, "alpha": 0}, {"temperature": 4, "alpha": 0})
    markers = {line.get_marker() for line in picture.figure.axes[0].lines}
    assert {"^", "o"} <= markers and "s" not in markers


def test_paired_refuses():
    with pytest.raises(Refusal, match="no run with"):
        plots.paired(made_atlas(), LABELS, {"temperature": 9, "alpha": 0})
    with pytest.raises(Refusal, match="missing"):
        plots.paired(made_atlas(), LABELS, {"temperature": 4, "alpha": 0}, "agreement")


def test_heat_map_writes_every_mean_and_frames_the_best():
    picture = plots.heat_map(made_atlas(best=0.04))
    axes = picture.figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["86.6", "80.1", "83.6", "80.1"]
    assert "from 80.1 to 86.6 %; the highest is at temperature 1, alpha 0" in picture.alt
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "weight of the labels, alpha", "temperature T",
    )  # fmt: skip
    frame = axes.patches[0]
    assert (frame.get_x(), frame.get_y()) < (0, 0)
    assert "mean of 3 seeds" in axes.get_title("left")


def test_heat_map_takes_the_lowest_nll_and_any_two_axes():
    picture = plots.heat_map(made_atlas(best=0.04), "nll", rows="alpha", columns="temperature")
    assert "the lowest is at alpha 0, temperature 1" in picture.alt
    assert picture.figure.axes[0].get_xlabel() == "temperature T"


def test_heat_map_shows_a_gap_where_a_sweep_was_stopped():
    atlas = made_atlas()
    atlas.table = atlas.table.iloc[:-3]
    words = [text.get_text() for text in plots.heat_map(atlas).figure.axes[0].texts]
    assert words.count("no run") == 1


def with_failures(atlas, **setting):
    """The same sweep, the runs of one setting failed."""
    table = atlas.table.assign(error="")
    here = (table[list(setting)] == pd.Series(setting)).all(axis=1)
    table.loc[here, ["accuracy", "nll", "ece"]] = float("nan")
    table.loc[here, "error"] = "the loss became nan"
    return Atlas(table, atlas.axes, atlas.runs, atlas.where)


def test_heat_map_hatches_a_cell_whose_runs_failed_and_says_so():
    picture = plots.heat_map(with_failures(made_atlas(), temperature=4, alpha=0))
    axes = picture.figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["82.6", "80.1", "failed", "80.1"]
    (hatched,) = [patch for patch in axes.patches if patch.get_hatch()]
    assert hatched.get_xy() == (-0.5, 0.5)
    assert picture.alt.endswith("alpha 0. temperature 4, alpha 0: failed.")


def test_heat_map_keeps_a_row_that_failed_whole_and_counts_what_is_left():
    atlas = with_failures(made_atlas(), temperature=4)
    axes = plots.heat_map(atlas).figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1", "4"]
    assert [text.get_text() for text in axes.texts][2:] == ["failed", "failed"]
    one_seed = with_failures(made_atlas(), temperature=4, alpha=0, seed=1)
    assert "mean of 2 to 3 seeds" in plots.heat_map(one_seed).alt


def test_heat_map_says_no_value_where_a_run_has_none_of_this_metric():
    atlas = made_atlas()
    atlas.table.loc[atlas.table["alpha"] == 0, "agreement"] = 0.9
    words = [text.get_text() for text in plots.heat_map(atlas, "agreement").figure.axes[0].texts]
    assert words == ["90.0", "no value", "90.0", "no value"]


def test_heat_map_shows_named_values_in_the_order_of_the_sweep():
    atlas = made_atlas()
    names = {1: "teacher first, then the labels", 0: "constant"}
    atlas.table["alpha"] = atlas.table["alpha"].map(names)
    picture = plots.heat_map(atlas)
    labels = [text.get_text() for text in picture.figure.axes[0].get_xticklabels()]
    assert [label.replace("\n", " ") for label in labels] == list(names.values())
    assert "\n" in labels[0]  # a long name takes two lines
    assert "alpha constant" in picture.alt


def test_heat_map_refuses():
    with pytest.raises(Refusal, match="its axes are temperature, alpha"):
        plots.heat_map(made_atlas(), rows="epochs")
    with pytest.raises(Refusal, match="name two axes"):
        plots.heat_map(made_atlas(), rows="alpha")
    with pytest.raises(Refusal, match="missing"):
        plots.heat_map(made_atlas(), "agreement")
    crowded = made_atlas()
    crowded.table["epochs"] = range(len(crowded.table))
    crowded.axes = (*crowded.axes, "epochs")
    with pytest.raises(Refusal, match="also varies epochs"):
        plots.heat_map(crowded)


def test_a_real_sweep_is_drawn():
    data = kdlab.load_data("digits", train=200)
    teacher = kdlab.train("mlp-32", data, epochs=3).student
    atlas = kdlab.sweep(
        "mlp-8", teacher, data, temperature=[1, 4], alpha=[1, 0], seeds=3, epochs=2, progress=False
    )
    assert "temperature" in plots.heat_map(atlas).alt
    assert "teacher only (T=4)" in plots.paired(atlas, LABELS, {"temperature": 4, "alpha": 0}).alt
    picture = plots.history(*atlas.runs[:2])
    assert "seed 0" in picture.alt and "seed 1" in picture.alt


# ---------------------------------------------------------------- history


def titles(picture):
    return [axes.get_title("left") for axes in picture.figure.axes]


def test_history_shows_loss_terms_and_accuracy():
    run = kdlab.distill(
        "mlp-8", kdlab.models.build("mlp-8", (1, 8, 8), 10), "digits", epochs=2, progress=False
    )
    assert titles(plots.history(run)) == [
        "loss", "part of it: labels", "part of it: teacher", "validation accuracy, %",
    ]  # fmt: skip


def test_history_leaves_out_a_term_that_is_the_loss_and_accuracy_that_was_not_watched():
    assert titles(plots.history(made_run())) == ["loss", "validation accuracy, %"]
    assert titles(plots.history(made_run(accuracy=None))) == ["loss"]
    alt = plots.history(made_run()).alt
    assert "loss from 2.000 to 0.500, validation accuracy at the end 70.0 %" in alt
    assert "to 0.250" in plots.history(made_run(losses=(2.0, 1.0, 0.25))).alt


def test_history_tells_runs_apart_by_line_marker_and_name():
    runs = [made_run(), made_run("teacher", alpha=0.0), made_run(alpha=0.5, student="mlp-64")]
    picture = plots.history(*runs)
    lines = picture.figure.axes[0].lines
    assert len({line.get_linestyle() for line in lines}) == 3
    assert len({line.get_marker() for line in lines}) == 3
    named = " ".join(text.get_text().replace("\n", " ") for text in picture.figure.axes[-1].texts)
    for words in ("labels only", "teacher only (T=4)", "labels 0.50 · teacher 0.50", "mlp-64"):
        assert words in named


def test_history_numbers_runs_that_are_set_alike():
    alt = plots.history(made_run(), made_run()).alt
    assert "1: labels only" in alt and "2: labels only" in alt


def test_history_names_do_not_overlap():
    picture = plots.history(*[made_run(seed=seed) for seed in range(6)])
    renderer = picture.figure.canvas.get_renderer()
    boxes = [Text.get_window_extent(text, renderer) for text in picture.figure.axes[-1].texts]
    spans = sorted((box.y0, box.y1) for box in boxes)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


def test_history_refuses():
    with pytest.raises(Refusal, match="0 runs"):
        plots.history()
    with pytest.raises(Refusal, match="dict"):
        plots.history({})
    with pytest.raises(Refusal, match="no finished epoch"):
        plots.history(Run(nn.Linear(1, 1), {}))
    with pytest.raises(Refusal, match="7 runs"):
        plots.history(*[made_run()] * 7)


def test_array_takes_what_torch_and_lists_give():
    assert array("x", torch.ones(2, dtype=torch.bfloat16, requires_grad=True), (2,)).sum() == 2
    assert array("x", [[1, 2]], (None, 2)).shape == (1, 2)
    with pytest.raises(Refusal, match=r"x of shape \(\)"):
        array("x", "words", (None,))
