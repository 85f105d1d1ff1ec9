"""The Pareto front: what stands on it, what is drawn, and that every name can be read."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from kdlab import plots
from kdlab.errors import Refusal
from kdlab.plots.fronts import front, recipe_means
from kdlab.plots.words import amount, cost_called
from kdlab.verdicts import interval

SEEDS = (0.000, 0.002, 0.001)


def made(rows, seeds=SEEDS):
    """A tidy table from (recipe, signal, bytes, accuracy)."""
    return pd.DataFrame(
        {
            "recipe": recipe, "signal": signal, "seed": seed, "bytes": size, "accuracy": mean + gap,
            "nll": 1.2 - mean - gap, "macs": 3 * size, "latency_ms": size / 90_000,
        }
        for recipe, signal, size, mean in rows
        for seed, gap in enumerate(seeds)
    )  # fmt: skip


ROWS = [
    ("mlp-8", "labels", 25_000, 0.80),
    ("mlp-8", "soft targets", 25_000, 0.82),
    ("mlp-128", "labels", 400_000, 0.86),
    ("mlp-128", "soft targets", 410_000, 0.86),
    ("cnn-small", "labels", 60_000, 0.87),
]


@pytest.fixture
def table():
    return made(ROWS)


def names(rows):
    return list(rows["recipe"] + "/" + rows["signal"])


def of(*pairs):
    return pd.DataFrame(pairs, columns=["cost", "accuracy"])


# ---------------------------------------------------------------- the front


@pytest.mark.parametrize(
    ("points", "kept"),
    [
        ([(1, 0.5)], [0]),
        ([(2, 0.7), (1, 0.5)], [1, 0]),  # from the cheapest to the dearest
        ([(1, 0.5), (2, 0.5)], [0]),  # as good, but dearer
        ([(1, 0.5), (1, 0.6)], [1]),  # as cheap, but worse
        ([(1, 0.5), (1, 0.5), (2, 0.4)], [0, 1]),  # twins do not strike each other out
        ([(1, 0.5), (2, 0.9), (3, 0.8), (4, 0.95)], [0, 1, 3]),
        ([(5, 0.9), (4, 0.9), (3, 0.9)], [2]),
    ],
)
def test_a_point_stays_unless_another_is_never_worse_and_once_better(points, kept):
    assert front(of(*points), "cost", "accuracy").index.tolist() == kept


def test_for_some_scores_lower_is_better():
    table = of((1, 0.5), (2, 0.4), (3, 0.45)).rename(columns={"accuracy": "nll"})
    assert front(table, "cost", "nll").index.tolist() == [0, 1]


def test_the_front_is_that_of_a_plain_search_in_pairs():
    draw = np.random.default_rng(0)
    points = of(*zip(draw.integers(1, 9, 60), draw.integers(1, 9, 60) / 10, strict=True))
    kept = {
        at
        for at, (cost, score) in enumerate(points.to_numpy().tolist())
        if not any(
            other_cost <= cost and other >= score and (other_cost < cost or other > score)
            for other_cost, other in points.to_numpy().tolist()
        )
    }
    found = front(points, "cost", "accuracy")
    assert set(found.index) == kept and 1 < len(kept) < 60
    assert found["cost"].is_monotonic_increasing and found["accuracy"].is_monotonic_increasing


def test_a_front_of_missing_values_or_columns_is_refused():
    with pytest.raises(Refusal, match="accuracy holds NaN"):
        front(of((1, 0.5), (2, float("nan"))), "cost", "accuracy")
    with pytest.raises(Refusal, match="no column bytes: its columns are cost, accuracy"):
        front(of((1, 0.5)), "bytes", "accuracy")
    with pytest.raises(Refusal, match="cost is empty"):
        front(of((1, 0.5))[:0], "cost", "accuracy")


def test_means_and_intervals_are_over_the_seeds(table):
    means = recipe_means(table, ["bytes", "macs"], "accuracy")
    assert names(means) == [f"{recipe}/{signal}" for recipe, signal, *_ in ROWS]
    assert means["accuracy"].tolist() == pytest.approx([row[3] + 0.001 for row in ROWS])
    assert means["macs"].tolist() == [3 * row[2] for row in ROWS]
    assert (means["seeds"] == 3).all()
    ends = interval([0.80 + gap for gap in SEEDS])
    assert (means["low"][0], means["high"][0]) == pytest.approx(ends)


def test_a_run_in_two_groups_counts_once(table):
    twice = pd.concat([table.assign(group="size"), table[:3].assign(group="start")])
    once = recipe_means(table, ["bytes"], "accuracy")
    assert recipe_means(twice, ["bytes"], "accuracy").equals(once)


# ---------------------------------------------------------------- the picture


def marks(axes, marker, size):
    """Where the marks of one kind stand."""
    lines = [
        one for one in axes.lines if (one.get_marker(), one.get_markersize()) == (marker, size)
    ]
    return [tuple(spot) for line in lines for spot in line.get_xydata()]


def test_each_point_stands_at_its_mean_and_the_front_stands_out(table):
    axes = plots.pareto(table).figure.axes[0]
    near = pytest.approx
    assert marks(axes, "o", 10) == [(25_000, near(82.1))]
    assert marks(axes, "s", 10) == [(60_000, near(87.1))]
    assert marks(axes, "s", 6) == [(25_000, near(80.1)), (400_000, near(86.1))]
    assert marks(axes, "o", 6) == [(410_000, near(86.1))]
    bars = [segment for part in axes.collections for segment in part.get_segments()]
    assert len(bars) == len(ROWS)
    low, high = interval([100 * (0.82 + gap) for gap in SEEDS])
    assert any(bar.tolist() == near(np.array([[25_000, low], [25_000, high]])) for bar in bars)


def test_the_line_is_the_best_that_a_cost_can_buy(table):
    axes = plots.pareto(table).figure.axes[0]
    (line,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    assert line.get_xdata()[:2].tolist() == [25_000, 60_000]
    assert line.get_ydata().tolist() == pytest.approx([82.1, 87.1, 87.1])
    assert line.get_xdata()[2] == axes.get_xlim()[1]


def test_words_say_what_stands_on_the_front(table):
    picture = plots.pareto(table)
    axes = picture.figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["mlp-8", "cnn-small"]
    assert axes.get_xlabel() == "size of the file, kB" and axes.get_xscale() == "log"
    assert axes.get_ylabel() == "validation accuracy, %"
    assert axes.get_title("left") == "mean of 3 seeds, bar: 95 % interval; upper left is better"
    legend = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert legend == ["labels", "soft targets", "Pareto front", "small, pale: dominated"]
    assert picture.alt.startswith(
        "Pareto picture of validation accuracy over size of the file, 5 points, mean of 3 seeds, "
        "bar: 95 % interval. On the front, from the cheapest to the dearest: "
        "mlp-8 (soft targets), 25 kB, 82.1 % (81.9 to 82.3); cnn-small (labels), 60 kB, 87.1 %"
    )
    assert picture.alt.endswith("Dominated: 3 of 5 points.")


def test_ticks_are_in_the_unit_of_the_axis(table):
    ticks = plots.pareto(table).figure.axes[0].get_xticklabels()
    assert {"20", "50", "100", "200", "500"} <= {tick.get_text() for tick in ticks}
    one_size = made([("a", "labels", 30_000, 0.8), ("b", "labels", 30_000, 0.7)])
    axes = plots.pareto(one_size).figure.axes[0]
    low, high = axes.get_xlim()
    assert sum(low <= tick <= high for tick in axes.get_xticks()) >= 2


def test_another_cost_and_a_score_that_is_better_when_low(table):
    picture = plots.pareto(table, "macs", "nll")
    axes = picture.figure.axes[0]
    assert axes.get_xlabel() == "multiply-adds for one example, thousand"
    assert "lower left is better" in axes.get_title("left")
    assert "mlp-8 (soft targets), 75 thousand, 0.379 (" in picture.alt
    assert [text.get_text() for text in axes.texts] == ["mlp-8", "cnn-small"]


def test_one_seed_gives_points_without_bars_and_says_so():
    picture = plots.pareto(made(ROWS, seeds=[0]))
    axes = picture.figure.axes[0]
    assert axes.get_title("left").startswith("one seed, so no interval")
    assert not [bar for part in axes.collections for bar in part.get_segments()]
    assert "one seed, so no interval" in picture.alt and "inf" not in picture.alt
    assert "mlp-8 (soft targets), 25 kB, 82.0 %;" in picture.alt
    mixed = plots.pareto(made(ROWS).drop([1, 2])).figure.axes[0]
    assert "mean of 1 to 3 seeds" in mixed.get_title("left")
    assert "without a bar: one seed" in mixed.get_title("left")


def test_what_has_no_value_is_left_out_and_named(table):
    table.loc[table["recipe"] == "cnn-small", "macs"] = float("nan")
    picture = plots.pareto(table, "macs")
    assert "1 without a value left out" in picture.figure.axes[0].get_title("left")
    assert picture.alt.endswith("Left out, without a value: cnn-small (labels).")
    assert "cnn-small" not in picture.alt.partition("Left out")[0]


def test_one_signal_and_nothing_dominated():
    picture = plots.pareto(made(ROWS[:1]))
    legend = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert legend == ["labels", "Pareto front"]
    assert picture.alt.endswith("Dominated: 0 of 1 points.")


# ---------------------------------------------------------------- names that can be read


def plateau():
    """Nearly as good as one another, close and far, under long names: the worst to write."""
    return [
        (f"mlp-128 pruned {share} %, low rank", "labels", size, 0.86 + 0.0005 * at)
        for at, (share, size) in enumerate(
            [(99, 20_000), (98, 21_000), (95, 22_000), (90, 60_000), (80, 61_000), (50, 400_000)]
        )
    ] + [("mlp-8", "soft targets", 15_000, 0.70)]


def many():
    return [
        (f"a student of width {at}", "labels", 9_000 + 100 * at, 0.8 + at / 500) for at in range(14)
    ]


def wide_bars():
    """Bars that reach far into the empty side of the front, where the names stand."""
    return [
        ("a cheap student, badly known", "labels", 20_000, 0.86),
        ("a student of the middle", "labels", 25_000, 0.8601),
        ("a dear student", "labels", 30_000, 0.8602),
    ]


def twins():
    return [("first twin", "labels", 9_000, 0.8), ("second twin", "soft targets", 9_000, 0.8)]


@pytest.mark.parametrize("score", ["accuracy", "nll"])
@pytest.mark.parametrize("rows", [ROWS, plateau(), many(), wide_bars(), twins()])
def test_no_name_covers_another_or_a_point_of_the_front_or_is_cut_off(rows, score):
    picture = plots.pareto(made(rows), score=score)
    axes = picture.figure.axes[0]
    on_front = front(recipe_means(made(rows), ["bytes"], score), "bytes", score)
    assert [text.get_text().replace("\n", " ") for text in axes.texts] == on_front[
        "recipe"
    ].tolist()
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    frame = axes.bbox
    for box in boxes:
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1
        assert frame.y0 <= box.y0 and box.y1 <= frame.y1
    factor = 100 if score == "accuracy" else 1
    spots = axes.transData.transform(np.column_stack([on_front["bytes"], factor * on_front[score]]))
    assert not any(box.contains(*spot) for box in boxes for spot in spots)
    for bar in (bar for part in axes.collections for bar in part.get_segments()):
        (across, low), (_, high) = axes.transData.transform(bar)
        beside = [box for box in boxes if box.x0 <= across <= box.x1]
        assert not any(box.y0 < max(low, high) and min(low, high) < box.y1 for box in beside)


def test_nothing_is_cut_off_at_the_edge(table):
    figure = plots.pareto(table).figure
    width, height = figure.canvas.get_width_height()
    drawn = figure.get_tightbbox(figure.canvas.get_renderer())
    assert drawn.x0 >= 0 and drawn.y0 >= 0
    assert drawn.x1 * figure.dpi <= width and drawn.y1 * figure.dpi <= height


# ---------------------------------------------------------------- words and refusals


def test_costs_are_said_in_units_that_people_read():
    assert amount(101_888, "bytes") == "102 kB" and amount(12_340, "zipped_bytes") == "12.3 kB"
    assert amount(0.04321, "latency_ms") == "0.0432 ms"
    assert amount(1_234_567, "parameters") == "1,235 thousand"
    assert amount(99.97, "latency_ms") == "100 ms"
    assert (amount(7, "rooms"), cost_called("rooms")) == ("7", "rooms")


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda t: t.drop(columns=["seed", "bytes"]), {}, "no column seed and bytes"),
        (lambda t: t[:0], {}, "the table is empty"),
        (lambda t: t.to_dict(), {}, "a table of type dict"),
        (lambda t: t.assign(signal="hints"), {}, "signal 'hints': expected 'labels' or 'soft"),
        (lambda t: t.assign(bytes=0), {}, r"mlp-8 \(labels\), seed 0 costs nothing"),
        (lambda t: t.assign(bytes="big"), {}, "bytes of shape"),
        (lambda t: t.assign(accuracy=float("nan")), {}, "no row of the table has a value"),
        (lambda t: t.assign(seed=0), {}, r"mlp-8 \(labels\), seed 0 stands in the table twice"),
        (lambda t: t, {"score": "speed"}, "metric 'speed'"),
        (lambda t: t, {"score": "bytes"}, "cost and score are both 'bytes'"),
        (lambda t: t, {"cost": "watts"}, "no column watts: its columns are recipe, signal"),
    ],
)
def test_a_table_that_is_not_tidy_is_refused(table, change, options, words):
    with pytest.raises(Refusal, match=words):
        plots.pareto(change(table), **options)
