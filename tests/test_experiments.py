"""The shipped tables: whole, honest, and made anew on a sample."""

import pytest

import kdlab
from kdlab import experiments
from kdlab.errors import CorruptFile, UnknownName

TABLE = experiments.load()


def test_every_recipe_ships_with_every_seed():
    asked = {(r, s) for r in experiments.COMPRESSION for s in experiments.SIGNALS}
    assert set(zip(TABLE["recipe"], TABLE["signal"], strict=True)) == asked
    assert (TABLE.groupby(["recipe", "signal"])["seed"].nunique() == experiments.SEEDS).all()
    assert not TABLE.drop(columns=["macs", "peak_bytes", "nonzero"]).isna().any().any()


def test_a_tenth_of_the_teachers_bytes_within_a_point():
    """What the lesson says of the shipped figures."""
    means = experiments.load("tenth").groupby("form")[["accuracy", "bytes"]].mean()
    small, teacher = means.loc["and int8"], means.loc["teacher"]
    assert small["bytes"] <= teacher["bytes"] / 10
    assert small["accuracy"] >= teacher["accuracy"] - 0.01


@pytest.mark.parametrize(
    ("recipe", "seed"), [("mlp-16", 2), ("mlp-128, 90 % zeros, int8", 0), ("mlp-128, rank 8", 3)]
)
def test_a_sample_made_anew_is_within_the_tables_bands(recipe, seed):
    """The band: three times the spread over the seeds, for machines round differently."""
    anew = experiments.run([recipe], seeds=[seed], progress=False)
    for row in anew.to_dict("records"):
        of_recipe = TABLE[(TABLE["recipe"] == recipe) & (TABLE["signal"] == row["signal"])]
        told = of_recipe[of_recipe["seed"] == seed].iloc[0]
        assert row["parameters"] == told["parameters"]
        assert row["bytes"] == pytest.approx(told["bytes"], rel=0.02)
        for score in ("accuracy", "nll"):
            spread = of_recipe[score].std()
            assert row[score] == pytest.approx(told[score], abs=3 * spread), score


def test_a_damaged_table_is_named(tmp_path, monkeypatch):
    folder = kdlab.files.folder() / "results"
    (tmp_path / "results").mkdir()
    for name in ("card.json", "compression.csv", "tenth.csv"):
        (tmp_path / "results" / name).write_bytes((folder / name).read_bytes())
    with (tmp_path / "results" / "compression.csv").open("a") as file:
        file.write("x")
    monkeypatch.setenv("KDLAB_DATA", str(tmp_path))
    with pytest.raises(CorruptFile, match=r"compression\.csv"):
        experiments.load()


def test_unknown_names():
    with pytest.raises(UnknownName, match="Did you mean 'compression'"):
        experiments.load("compresion")
    with pytest.raises(UnknownName, match="Did you mean 'mlp-16'"):
        experiments.run(["mlp16"])
