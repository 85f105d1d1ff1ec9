"""Shapley values: the formula against tables by hand, and the teachers of a small student."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

import kdlab
from kdlab.errors import Refusal
from kdlab.shapley import shapley_values

torch.set_num_threads(1)
QUICK = {"epochs": 2, "watch": 0, "device": "cpu", "progress": False, "learning_rate": 0.01}


def coalitions(table):
    return {frozenset(names): value for names, value in table.items()}


GLOVES = coalitions(  # a left glove and two right ones; only a pair is worth something
    {"": 0, "l": 0, "r": 0, "s": 0, "lr": 1, "ls": 1, "rs": 0, "lrs": 1}
)
BY_HAND = coalitions(
    {"": 10, "a": 22, "b": 16, "c": 10, "ab": 34, "ac": 16, "bc": 22, "abc": 31}
)  # a: (12·2 + 18 + 6 + 9·2) / 6 = 11, and so on


def test_three_players_by_hand():
    assert shapley_values(GLOVES) == pytest.approx({"l": 2 / 3, "r": 1 / 6, "s": 1 / 6})
    assert shapley_values(BY_HAND) == pytest.approx({"a": 11, "b": 11, "c": -1})


def test_it_is_the_mean_gain_over_all_orders():
    draw = torch.Generator().manual_seed(0)
    names = "abcd"
    worth = {
        frozenset(some): torch.rand((), generator=draw).item()
        for size in range(5)
        for some in itertools.combinations(names, size)
    }
    gains = dict.fromkeys(names, 0.0)
    for order in itertools.permutations(names):
        for at, name in enumerate(order):
            before = frozenset(order[:at])
            gains[name] += (worth[before | {name}] - worth[before]) / math.factorial(4)
    values = shapley_values(worth)
    assert values == pytest.approx(gains)
    assert sum(values.values()) == pytest.approx(worth[frozenset(names)] - worth[frozenset()])


@pytest.mark.parametrize(
    "change, words",
    [
        ({"drop": "lr"}, r"coalition l \+ r is missing: expected all 8"),
        ({"drop": ""}, "coalition none is missing"),
        ({"set": ("r", math.nan)}, "r has the worth nan"),
    ],
)
def test_an_incomplete_table_is_refused(change, words):
    worth = dict(GLOVES)
    if "drop" in change:
        del worth[frozenset(change["drop"])]
    else:
        worth[frozenset(change["set"][0])] = change["set"][1]
    with pytest.raises(Refusal, match=words):
        shapley_values(worth)


def test_no_players_have_no_values():
    for worth in ({}, {frozenset(): 1.0}):
        with pytest.raises(Refusal, match="no coalition has a player"):
            shapley_values(worth)


# ---------------------------------------------------------------- teachers of a student


def toy(count=120):
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(count, 4, generator=draw)
    return kdlab.load_data((inputs, (inputs @ torch.randn(4, 3, generator=draw)).argmax(1)))


def net(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Linear(4, 3)


DATA, SEEDS = toy(), 3
TEACHERS = {"one": net(1), "two": net(2), "twin": net(2)}


@pytest.fixture(scope="module")
def shares():
    return kdlab.shapley("mlp-8", TEACHERS, DATA, "nll", seeds=SEEDS, alpha=0.2, **QUICK)


def test_every_coalition_is_trained_under_every_seed(shares):
    assert shares.students == len(shares.runs) == len(shares.table) == 8 * SEEDS
    assert sorted(set(shares.table["coalition"])) == sorted(
        ["none", "one", "twin", "two", "one + twin", "one + two", "twin + two", "one + twin + two"]
    )
    assert shares.seconds > 0 and shares.atlas.axes == ("teacher",)
    row = shares.table.set_index(["coalition", "seed"]).loc
    for coalition, names in (("two", ["two"]), ("one + two", ["one", "two"])):
        teacher = kdlab.combine({name: TEACHERS[name] for name in names}, DATA)
        run = kdlab.distill("mlp-8", teacher, DATA, alpha=0.2, seed=2, **QUICK)
        assert row[coalition, 2]["nll"] == pytest.approx(run.scores["nll"], abs=1e-5)
    run = kdlab.train("mlp-8", DATA, seed=1, **QUICK)
    assert row["none", 1]["nll"] == pytest.approx(run.scores["nll"], abs=1e-5)


def test_the_values_of_each_seed_sum_to_what_all_gain(shares):
    worth = shares.table.pivot(index="seed", columns="coalition", values="nll")
    assert shares.per_seed.sum(axis=1).tolist() == pytest.approx(
        (worth["one + twin + two"] - worth["none"]).tolist()
    )
    assert shares.values["value"].sum() == pytest.approx(shares.together.difference)


def test_twins_are_worth_the_same_and_another_teacher_is_not(shares):
    value = shares.values.set_index("teacher")["value"]
    assert value["two"] == pytest.approx(value["twin"], abs=1e-5)
    assert abs(value["one"] - value["two"]) > 1e-3


def test_the_interval_is_students_t_over_the_seeds(shares):
    from scipy.stats import t

    for row in shares.values.itertuples():
        own = shares.per_seed[row.teacher]
        half = t.ppf(0.975, SEEDS - 1) * own.std() / SEEDS**0.5
        assert (row.low, row.high) == pytest.approx((own.mean() - half, own.mean() + half))
        beyond = {"adds": row.high < 0, "takes away": row.low > 0}  # of nll lower is better
        assert beyond.get(row.word, row.low <= 0 <= row.high)


def test_the_sentences_say_value_interval_and_word(shares):
    lines = str(shares).splitlines()
    assert len(lines) == 4
    for line, row in zip(lines, shares.values.itertuples(), strict=False):
        assert line.startswith(f"{row.teacher}: ") and line.endswith(f": {row.word}")
        assert "95 % interval" in line and "3 seeds, lower is better" in line
    assert lines[-1] == str(shares.together)


def test_a_teacher_of_great_help_adds_and_one_that_lies_takes_away():
    train, signal = DATA.train, kdlab.record(net(1), DATA)
    right = torch.cat([p.labels for p in (train, DATA.validation, DATA.test)])
    truth = nn.functional.one_hot(right, 3) * 8.0
    liar = nn.functional.one_hot((right + 1) % 3, 3) * 8.0
    order = torch.cat([p.indices for p in (train, DATA.validation, DATA.test)])
    assert torch.equal(signal.indices, order)
    teachers = {
        "truth": replace(signal, logits=truth),
        "liar": replace(signal, logits=liar),
    }
    options = {**QUICK, "epochs": 20, "batch_size": 16, "alpha": 0.2}  # the liar outvotes labels
    shares = kdlab.shapley("mlp-8", teachers, DATA, seeds=4, temperature=1, **options)
    words = shares.values.set_index("teacher")["word"]
    assert words["liar"] == "takes away"
    assert shares.values.set_index("teacher")["value"]["truth"] > 0
    one = kdlab.shapley("mlp-8", {"liar": teachers["liar"]}, DATA, seeds=1, temperature=1, **QUICK)
    assert one.values["word"].tolist() == ["too few runs"]
    assert "1 seed)" in str(one) and "interval" not in str(one).splitlines()[0]


def test_an_interrupt_keeps_the_seeds_whose_coalitions_are_all_done():
    def stopped_at(step):
        steps = iter(range(1, 1_000))

        def stop():
            if next(steps) == step:
                raise KeyboardInterrupt

        return stop

    options = {**QUICK, "engine": "in turn", "seeds": 3}  # two steps a student: a batch an epoch
    last = stopped_at(2 * 3 + 2 * 3)  # the last step of the last of six students
    shares = kdlab.shapley("mlp-4", {"one": net(1)}, DATA, stop=last, **options)
    assert shares.per_seed.index.tolist() == [0, 1] and shares.students == 5
    for step in (3, 8):  # among the students of labels only; before a seed has both
        with pytest.raises(KeyboardInterrupt):
            kdlab.shapley("mlp-4", {"one": net(1)}, DATA, stop=stopped_at(step), **options)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"teachers": [net(k) for k in range(6)]}, "6 teachers make 64 coalitions"),
        ({"teachers": []}, "no teacher"),
        ({"metric": "agreement"}, "one of accuracy, nll, ece"),
        ({"alpha": 1}, "no room for a teacher"),
        ({"temperature": [1, 4]}, "expected one value"),
        ({"how": "median"}, "one of mean"),
        ({"epochs": 0}, "epochs=0"),
    ],
)
def test_what_cannot_be_shared_out_is_refused(options, words):
    options = {"teachers": TEACHERS, **QUICK, **options}
    with pytest.raises(Refusal, match=words):
        kdlab.shapley("mlp-8", data=DATA, **options)
