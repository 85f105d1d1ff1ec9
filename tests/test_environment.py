"""pyproject.toml, environment.yml and constraints.txt name the same packages."""

import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DIRECT = [
    Requirement(line) for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
]


def pins():
    lines = (ROOT / "constraints.txt").read_text(encoding="ascii").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def test_every_package_is_installed():
    """An editable install finds a forgotten one, an installed kdlab does not."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    there = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "kdlab").rglob("__init__.py")
    }
    assert set(listed["setuptools"]["packages"]) == there


def test_environment_yml_mirrors_pyproject():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    from_pip = listed.pop()["pip"]
    assert from_pip.pop() == "-e ."
    have = {(r.name, r.specifier) for r in map(Requirement, from_pip)}
    # conda's own "python=3.12" is no Python requirement; it and pip have no line in pyproject
    names = [line for line in listed if line != "pip" and not line.startswith("python=")]
    have |= {(r.name, r.specifier) for r in map(Requirement, names)}
    assert have == {(CONDA_NAMES.get(r.name, r.name), r.specifier) for r in DIRECT}


def test_environment_yml_pins_a_python_that_pyproject_allows():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    (python,) = [line for line in listed if str(line).startswith("python=")]
    assert python.removeprefix("python=") in Requirement("x" + PROJECT["requires-python"]).specifier


@pytest.mark.parametrize("wanted", DIRECT, ids=lambda r: r.name)
def test_constraints_pin_each_direct_dependency(wanted):
    found = [pin for pin in pins() if pin.name.lower() == wanted.name.lower()]
    assert len(found) == 1, f"constraints.txt should have one line {wanted.name}=="
    (pin,) = found[0].specifier
    assert pin.operator == "=="
    assert pin.version in wanted.specifier


def test_constraints_are_exact_and_fit_every_machine():
    for pin in pins():
        assert [one.operator for one in pin.specifier] == ["=="], f"not an exact version: {pin}"
        assert not pin.url and "+" not in str(pin), f"only some machines can get {pin}"
