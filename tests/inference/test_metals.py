"""Signs of a metal."""

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.inference.metals import gap_signs, metal_signs
from crystaltensor.inference.predictor import load
from crystaltensor.properties import BORN_CHARGES, DIELECTRIC, ELASTIC, PIEZO
from crystaltensor.symmetry.operations import find_symmetry

FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
CUBIC = np.eye(3)


def made(a: float, cell: np.ndarray, symbols: str) -> Crystal:
    """Put one atom at the origin and another, if there is one, in the middle."""
    names = symbols.split()
    return Crystal.from_symbols(a * cell, [[0, 0, 0], [0.5] * 3][: len(names)], names)


@pytest.mark.parametrize(
    ("crystal", "signs"),
    [
        (made(5.64, FCC, "Na Cl"), ()),
        (made(4.05, FCC, "Al"), ("metals only", "odd number of electrons")),
        (made(3.61, FCC, "Mg"), ("metals only",)),
        (made(4.24, FCC, "Ti N"), ("odd number of electrons",)),
    ],
    ids=["NaCl", "Al", "Mg", "TiN"],
)
def test_metals_are_suspected(crystal: Crystal, signs: tuple[str, ...]) -> None:
    """TiN has 29 electrons in its cell; rock salt is no metal."""
    for row in (DIELECTRIC, PIEZO, BORN_CHARGES):
        found = metal_signs(find_symmetry(crystal), row)
        assert len(found) == bool(signs)
        for sign in signs:
            assert sign in found[0]
            assert row.title in found[0]
    assert metal_signs(find_symmetry(crystal), ELASTIC) == []


def test_a_supercell_has_the_electrons_of_its_crystal() -> None:
    """Two cells of TiN have an even number; the crystal is the same."""
    double = Crystal.from_symbols(
        np.diag([1, 1, 2]) @ (4.24 * FCC),
        [[0, 0, 0], [0, 0, 0.5], [0.5, 0.5, 0.25], [0.5, 0.5, 0.75]],
        ["Ti", "Ti", "N", "N"],
    )
    (found,) = metal_signs(find_symmetry(double), DIELECTRIC)
    assert "odd number of electrons" in found


def test_the_model_for_gaps_tells_copper_from_rock_salt() -> None:
    """Copper has no gap; that of NaCl is 5 eV in PBE."""
    gaps = load("band-gap", device="cpu")
    copper = gaps.predict(made(3.61, FCC, "Cu"))
    (found,) = gap_signs(float(copper.tensor))
    assert "the model for band gaps" in found
    salt = gaps.predict(made(5.64, FCC, "Na Cl"))
    assert gap_signs(float(salt.tensor)) == []
