"""A budget of size and latency: what fits, which is the best, and what is said of it."""

import itertools

import pandas as pd
import pytest
from matplotlib.text import Text

from kdlab.errors import Refusal
from kdlab.explore.budget import budget, marks, within
from kdlab.plots.fronts import recipe_means

COSTS = ["bytes", "latency_ms"]
GAPS = (0.000, 0.004, 0.001, 0.002)


def made(rows, seeds=GAPS):
    """A tidy table from (recipe, signal, kB, ms, accuracy); the seeds move all recipes alike."""
    return pd.DataFrame(
        {
            "recipe": recipe, "signal": signal, "seed": seed, "bytes": 1_000 * size,
            "latency_ms": time, "accuracy": mean + gap, "nll": 2 * mean, "ece": 0.9 - mean,
        }
        for recipe, signal, size, time, mean in rows
        for seed, gap in enumerate(seeds)
    )  # fmt: skip


ROWS = [
    ("small", "labels", 10, 0.1, 0.70),
    ("small", "soft targets", 10, 0.1, 0.75),
    ("middle", "labels", 50, 0.5, 0.80),
    ("large", "labels", 200, 0.4, 0.90),
    ("slow", "labels", 40, 3.0, 0.85),
    ("huge", "labels", 900, 9.0, 0.95),
]


@pytest.fixture
def table():
    return made(ROWS)


@pytest.fixture
def ask(table):
    """What a budget leaves of the table, or of another one."""

    def of(size, latency, score="accuracy", table=table):
        return within(table, recipe_means(table, COSTS, score), size, latency, score)

    return of


def survivors(found):
    return [tuple(row) for row in found.survivors[["recipe", "signal"]].to_numpy()]


def failed(found):
    return found.too_large, found.too_slow, found.both


# ---------------------------------------------------------------- the function


def test_what_fits_is_sorted_by_its_mean_and_the_rest_is_counted_by_its_reason(ask):
    found = ask(100, 1)
    assert survivors(found) == [
        ("middle", "labels"),
        ("small", "soft targets"),
        ("small", "labels"),
    ]
    assert failed(found) == (1, 1, 1)
    assert found.best["recipe"] == "middle" and found.best["accuracy"] == pytest.approx(0.80175)
    assert found.sentence.startswith(
        "The best of the 3 that fit: middle (labels), validation accuracy 80.2 % (79.9 to 80.4), "
        "50 kB, 0.5 ms. Against the second best, small (soft targets), 4 paired seeds: +5.0 points"
    )
    assert found.sentence.endswith("Outside the budget: 1 too large, 1 too slow, 1 both.")


def test_a_budget_is_met_exactly_too(ask):
    assert survivors(ask(10, 0.1)) == [("small", "soft targets"), ("small", "labels")]
    assert survivors(ask(9.9, 0.1)) == survivors(ask(10, 0.09)) == []


def test_a_score_that_is_better_when_low_is_sorted_upwards(ask):
    assert survivors(ask(100, 1, "nll"))[0] == ("small", "labels")
    assert survivors(ask(100, 1, "ece"))[0] == ("middle", "labels")
    assert "calibration error 10.0 %" in ask(100, 1, "ece").sentence


def test_the_best_is_compared_with_the_second_best_on_paired_seeds(ask, table):
    apart = ask(100, 1).verdict
    assert (apart.baseline, apart.candidate) == ("small (soft targets)", "middle (labels)")
    assert apart.word == "better" and apart.pairs == 4
    assert apart.difference == pytest.approx(0.05)
    noisy = table.copy()
    noisy.loc[noisy["recipe"] == "middle", "accuracy"] = [0.90, 0.60, 0.95, 0.65]
    alike = ask(100, 1, table=noisy)
    assert alike.verdict.word == "no difference seen"
    assert "no difference seen" in alike.sentence


def test_seeds_that_only_one_of_them_has_are_not_paired(ask, table):
    fewer = table.drop(table[(table["recipe"] == "middle") & (table["seed"] > 2)].index)
    assert ask(100, 1, table=fewer).verdict.pairs == 3
    moved = table.assign(seed=table["seed"] + 10 * (table["recipe"] == "middle"))
    found = ask(100, 1, table=moved)
    assert found.verdict is None and "no seed in common" in found.sentence


def test_one_seed_cannot_tell_the_best_from_the_second(ask):
    found = ask(100, 1, table=made(ROWS, seeds=[0]))
    assert found.verdict.word == "too few runs" and "cannot tell" in found.sentence
    assert "80.0 %, 50 kB" in found.sentence and "inf" not in found.sentence


def test_twins_both_stay_and_are_not_told_apart(ask):
    found = ask(9, 9, table=made([("a", "labels", 5, 1, 0.8), ("b", "labels", 5, 1, 0.8)]))
    assert survivors(found) == [("a", "labels"), ("b", "labels")]
    assert found.verdict.difference == 0 and not found.verdict.better


def test_the_only_one_has_no_rival(ask):
    found = ask(45, 0.1, table=made(ROWS[1:3]))
    assert found.verdict is None
    assert found.sentence.startswith("The only one that fits: small (soft targets)")


def test_everything_fits(ask):
    found = ask(900, 9)
    assert len(found.survivors) == 6 and failed(found) == (0, 0, 0)
    assert found.best["recipe"] == "huge" and found.sentence.endswith("Outside the budget: none.")


@pytest.mark.parametrize(
    ("size", "latency", "words"),
    [
        (9, 5, "No recipe fits: the smallest needs 10 kB."),
        (500, 0.05, "No recipe fits: the quickest needs 0.1 ms."),
        (9, 0.05, "No recipe fits: the smallest needs 10 kB, the quickest 0.1 ms."),
    ],
)
def test_nothing_fits_and_what_it_would_take(ask, size, latency, words):
    found = ask(size, latency)
    assert found.best is None and found.verdict is None and found.survivors.empty
    assert found.sentence.startswith(words) and sum(failed(found)) == 6


def test_small_ones_may_be_slow_and_quick_ones_large(ask):
    table = made([("small", "labels", 10, 5, 0.8), ("quick", "labels", 90, 0.1, 0.8)])
    assert ask(50, 1, table=table).sentence.startswith(
        "No recipe fits both: the smallest of those quick enough needs 90 kB, the quickest of "
        "those small enough 5 ms."
    )


def test_a_run_in_two_groups_counts_once(ask, table):
    twice = pd.concat([table, table[8:12]])
    assert ask(100, 1, table=twice).verdict == ask(100, 1).verdict


@pytest.mark.parametrize(("least", "most"), [(10, 900), (1, 1), (0.04, 0.37), (12.5, 8_000)])
def test_a_slider_goes_from_where_nothing_fits_to_where_all_does(least, most):
    found = marks(least, most)
    assert found[0] < least <= found[1] and found[-2] < most <= found[-1]
    ratios = [after / before for before, after in itertools.pairwise(found)]
    assert all(1.15 < ratio < 1.4 for ratio in ratios)


# ---------------------------------------------------------------- the panel


@pytest.fixture
def panel(table):
    return budget(table)


def spots(view):
    return sorted(tuple(spot) for line in view.strong.values() for spot in line.get_xydata())


def view_of(panel):
    return panel._draw.__self__


def test_the_sliders_move_the_rectangle_and_what_stands_out(panel):
    view = view_of(panel)
    assert spots(view) == [(10_000, 0.1), (10_000, 0.1), (50_000, 0.5)]
    box = view.frame
    assert box.get_x() + box.get_width() == pytest.approx(100_000)
    assert box.get_y() + box.get_height() == pytest.approx(1)
    before = panel.picture.png
    panel.size.value = 500
    assert survivors(panel.result)[0] == ("large", "labels") and panel.picture.png != before
    assert len(spots(view)) == 4 and view.name.get_text() == "large (labels)"
    assert tuple(view.ring.get_xydata()[0]) == tuple(view.name.xy) == (200_000, 0.4)
    panel.score.value = "nll"
    assert view.name.get_text() == "small (labels)"


def test_the_ends_of_the_sliders_are_nothing_and_everything(panel):
    values = {
        name: [value for _, value in panel.controls[name].options] for name in ("size", "latency")
    }
    for name, own in values.items():
        panel.controls[name].value = own[-1]
    assert len(panel.result.survivors) == 6
    for name, own in values.items():
        panel.controls[name].value = own[0]
        assert panel.result.survivors.empty
    assert spots(view_of(panel)) == [] and not view_of(panel).name.get_visible()
    assert "No recipe fits: the smallest needs 10 kB, the quickest 0.1 ms." in panel.picture.alt


def test_words_above_the_axes_and_for_those_who_do_not_see_them(panel):
    above = " ".join(view_of(panel).said.get_text().split())
    assert above == panel.result.sentence
    assert panel.picture.alt.endswith(panel.result.sentence)
    assert "Budget: 100 kB and 1 ms, 3 within it." in panel.picture.alt
    assert "better" in above and "80.2 %" in above


def test_controls_name_their_units_and_judge_by_three_scores(panel):
    assert panel.size.description == "size budget, kB"
    assert panel.latency.description == "latency budget, ms at batch 1"
    assert [word for word, _ in panel.score.options] == [
        "validation accuracy, %", "validation NLL, nats", "calibration error, %"
    ]  # fmt: skip
    axes = view_of(panel).axes
    assert axes.get_xlabel() == "size of the file, kB"
    assert axes.get_ylabel() == "latency of one example, ms"


def test_a_code_may_hold_a_budget_that_no_mark_has(table, panel):
    again = budget(table, code="budget size=100.3 latency=0.123 score=ece")
    assert (again.result.size, again.result.latency, again.result.score) == (100.3, 0.123, "ece")
    panel.code = "size=9.99"
    assert panel.result.survivors.empty and panel.size.label == "9.99"


@pytest.mark.parametrize("size", [10, 60, 300, 1_000])
def test_the_winners_name_stays_inside_and_hides_no_other(panel, size):
    panel.code = f"size={size} latency=10"
    view = view_of(panel)
    box, frame = Text.get_window_extent(view.name), view.axes.bbox
    assert frame.x0 <= box.x0 and box.x1 <= frame.x1
    assert frame.y0 <= box.y0 and box.y1 <= frame.y1
    spots = view.axes.transData.transform([(1_000 * row[2], row[3]) for row in ROWS])
    assert not any(box.contains(*spot) for spot in spots)


def test_a_name_steps_aside_where_another_point_stands():
    rows = [("winner", "labels", 50, 1, 0.9), ("right of it", "labels", 65, 1, 0.8)]
    crowded = view_of(budget(made([*rows, ("far", "labels", 900, 9, 0.1)])))
    assert crowded.name.get_text() == "winner (labels)"
    assert crowded.name.xyann[1] != 0  # above or below
    alone = view_of(budget(made([rows[0], ("far", "labels", 900, 9, 0.1)])))
    assert alone.name.xyann[0] > 0 == alone.name.xyann[1]  # to the right


def test_one_signal_and_one_recipe(table):
    panel = budget(made(ROWS[:1]))
    assert panel.result.best["recipe"] == "small"
    assert panel.result.sentence.endswith("Outside the budget: none.")


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda t: t.drop(columns="ece"), {}, "no column ece"),
        (lambda t: t[:0], {}, "the table is empty"),
        (lambda t: t, {"size": 0}, "size=0: expected a number above 0"),
        (lambda t: t, {"latency": "fast"}, "latency='fast': expected a number above 0"),
    ],
)
def test_what_cannot_be_shown_is_refused(table, change, options, words):
    with pytest.raises(Refusal, match=words):
        budget(change(table), **options)


def test_an_unknown_score_is_refused(table):
    with pytest.raises(LookupError, match="'agreement'"):
        budget(table, score="agreement")
