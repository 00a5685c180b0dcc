"""``predict --potential``: what a user sees, with a potential that comes with ASE."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from crystaltensor.cli.main import cli

COPPER = """Cu
1.0
0.0 1.7948 1.7948
1.7948 0.0 1.7948
1.7948 1.7948 0.0
Cu
1
direct
0 0 0
"""
EMT = "ase.calculators.emt:EMT"


@pytest.fixture
def copper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copper, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "POSCAR"
    path.write_text(COPPER, encoding="utf-8")
    return path


def run(path: Path, *more: str) -> Result:
    """Predict with EMT."""
    return CliRunner().invoke(
        cli, ["predict", str(path), "--potential", EMT, *more], catch_exceptions=True
    )


def test_elastic_constants_of_copper_are_those_of_the_potential(copper: Path) -> None:
    """ASE's own tutorial has a bulk modulus of 134 GPa for EMT copper."""
    result = run(copper, "--property", "elastic", "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    c11, c12 = record["components"]["C11"], record["components"]["C12"]
    assert (c11 + 2 * c12) / 3 == pytest.approx(134, rel=0.02)
    assert record["components"]["C44"] > 0
    assert record["response"]["potential"]["force_calls"] < 18
    assert record["response"]["modes"] == []


def test_the_table_names_parts_counts_and_frame(copper: Path) -> None:
    """And the second time nothing is computed."""
    result = run(copper, "--property", "elastic")
    assert result.exit_code == 0, result.output
    for text in ("force calculations (18", "clamped ions", "Expected error", "Frame:"):
        assert text in result.stdout
    assert "from the cache" in run(copper, "--property", "elastic").stdout


def test_what_symmetry_forbids_is_said(copper: Path) -> None:
    """No mode is needed to know that copper is not piezoelectric."""
    result = run(copper, "--property", "piezo")
    assert result.exit_code == 0, result.output
    assert "Exactly zero: the point group m-3m contains inversion" in result.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--property", "born-charges"], "does not follow from the forces"),
        (["--property", "elastic", "--model", "models/elastic"], "leave out --model"),
        (["--property", "elastic", "--output", "x.jsonl"], "takes one structure"),
    ],
)
def test_what_does_not_go_together_is_refused(
    copper: Path, options: list[str], message: str
) -> None:
    """In one line."""
    result = run(copper, *options)
    assert result.exit_code != 0
    assert message in f"{result.output}{result.exception}"


@pytest.mark.parametrize("option", [["--relax"], ["--born", "POSCAR"]])
def test_options_of_a_potential_need_one(
    copper: Path, option: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would do nothing."""
    monkeypatch.chdir(copper.parent)
    arguments = ["predict", str(copper), "--property", "piezo", *option]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert "needs a --potential" in result.output
