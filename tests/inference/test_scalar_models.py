"""The models for scalars that travel along: known crystals, exact invariances, sizes."""

import json
from pathlib import Path

import numpy as np
import pytest

from crystaltensor.cli.main import main
from crystaltensor.crystals.crystal import Crystal
from crystaltensor.inference.models import WEIGHTS, describe_model, find_model
from crystaltensor.inference.predictor import Predictor, load
from crystaltensor.properties import SCALARS

FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
NAMES = [row.name for row in SCALARS]
PREDICTORS: dict[str, Predictor] = {}


def predictor(name: str) -> Predictor:
    """Load each model once."""
    if name not in PREDICTORS:
        PREDICTORS[name] = load(name, device="cpu")
    return PREDICTORS[name]


def value(name: str, crystal: Crystal) -> float:
    """Predict a number."""
    return float(predictor(name).predict(crystal).tensor)


def binary(kind: str, a: float, *symbols: str) -> Crystal:
    """Make a cubic crystal of two atoms: rock salt or zincblende, or caesium chloride."""
    shift = {"rock salt": 0.5, "zincblende": 0.25, "caesium chloride": 0.5}[kind]
    cell = a * (np.eye(3) if kind == "caesium chloride" else FCC)
    return Crystal.from_symbols(cell, [[0, 0, 0], [shift] * 3], [*symbols])


@pytest.mark.parametrize(
    ("kind", "a", "symbols", "energy"),
    [
        ("rock salt", 5.69, ("Na", "Cl"), -2.1),
        ("rock salt", 4.25, ("Mg", "O"), -3.0),
        ("zincblende", 5.75, ("Ga", "As"), -0.4),
        ("caesium chloride", 4.26, ("Cs", "Br"), -2.0),
    ],
)
def test_formation_energies_are_those_of_the_textbook(
    kind: str, a: float, symbols: tuple[str, str], energy: float
) -> None:
    """Within 0.35 eV an atom of the PBE values of common salts."""
    found = value("formation-energy", binary(kind, a, *symbols))
    assert found == pytest.approx(energy, abs=0.35)


@pytest.mark.parametrize(
    ("kind", "a", "symbols", "bulk", "shear"),
    [
        ("zincblende", 3.57, ("C", "C"), 434, 520),
        ("zincblende", 5.47, ("Si", "Si"), 89, 61),
        ("rock salt", 4.25, ("Mg", "O"), 151, 119),
        ("rock salt", 5.69, ("Na", "Cl"), 24, 14),
        ("rock salt", 4.34, ("Ti", "C"), 251, 187),
    ],
)
def test_moduli_are_those_of_the_textbook(
    kind: str, a: float, symbols: tuple[str, str], bulk: float, shear: float
) -> None:
    """Within a factor 1.4 and 1.6 over a range of 20."""
    crystal = binary(kind, a, *symbols)
    assert abs(np.log(value("bulk-modulus", crystal) / bulk)) < np.log(1.4)
    assert abs(np.log(value("shear-modulus", crystal) / shear)) < np.log(1.6)


def test_gaps_are_ordered_as_they_should_be() -> None:
    """Rock salts from magnesia to lead telluride; and every prediction warns of metals."""
    crystals = [
        binary("rock salt", 4.25, "Mg", "O"),
        binary("zincblende", 5.47, "Al", "P"),
        binary("rock salt", 6.57, "Pb", "Te"),
    ]
    gaps = [value("band-gap", crystal) for crystal in crystals]
    assert gaps == sorted(gaps, reverse=True)
    assert all(gap >= 0 for gap in gaps)
    found = predictor("band-gap").predict(crystals[0])
    assert any("does not tell a metal" in each for each in found.warnings)


@pytest.mark.parametrize("name", NAMES)
def test_a_supercell_has_the_same_value(name: str, quartz: Crystal) -> None:
    """To 1e-5, as have other axes, another origin and another order."""
    expected = value(name, quartz)
    shifts = np.stack(np.meshgrid(*[np.arange(2)] * 3), axis=-1).reshape(-1, 3)
    frac = ((quartz.frac[:, None] + shifts) / 2).reshape(-1, 3)
    order = np.random.default_rng(0).permutation(len(frac))
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    large = Crystal(
        2 * quartz.cell @ turn.T,
        frac[order] + np.array([0.1, 0.2, 0.3]),
        np.repeat(quartz.numbers, 8)[order],
    )
    assert value(name, large) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_they_are_small_and_better_than_knowing_nothing(name: str) -> None:
    """Three members in 8 MB; less than half the error of the training mean."""
    folder = find_model(name)
    assert (folder / WEIGHTS).stat().st_size < 8e6
    model = describe_model(folder)
    assert len(model.members) == 3
    test = model.metrics["test"]
    assert test["fnorm"] < 0.5 * test["zero_fnorm"]
    assert (folder / "CARD.md").is_file()


def test_the_moduli_of_both_networks_stand_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the shell and in JSON."""
    path = tmp_path / "POSCAR"
    rows = "\n".join(" ".join(str(x) for x in row) for row in 4.25 * FCC)
    path.write_text(f"MgO\n1.0\n{rows}\nMg O\n1 1\nDirect\n0 0 0\n.5 .5 .5\n")
    for options in (["--json"], []):
        with pytest.raises(SystemExit) as ended:
            main(["predict", str(path), "--property", "elastic", *options])
        assert ended.value.code == 0
    shown = capsys.readouterr().out
    moduli = json.loads(shown.splitlines()[0])["derived"]["moduli"]
    for name in ("bulk", "shear"):
        assert moduli[f"{name}_potnet"] == pytest.approx(
            moduli[f"{name}_hill"], rel=0.5
        )
    assert shown.count("PotNet: ") == 2
