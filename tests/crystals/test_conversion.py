"""Crystals from pymatgen and ASE, and back."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111, molecule
from pymatgen.core import Lattice, Molecule, Structure

from crystaltensor.crystals.conversion import (
    as_crystal,
    from_ase,
    from_pymatgen,
    parse_with_ase,
    to_ase,
    to_pymatgen,
)
from crystaltensor.crystals.crystal import Crystal
from crystaltensor.errors import (
    CrystalTensorError,
    ElementError,
    FormatError,
    StructureError,
)


def test_pymatgen_and_back_changes_nothing(triclinic: Crystal) -> None:
    """Not even the order, though pymatgen likes to sort."""
    back = as_crystal(to_pymatgen(triclinic))
    assert np.array_equal(back.cell, triclinic.cell)
    assert np.array_equal(back.frac, triclinic.frac)
    assert np.array_equal(back.numbers, triclinic.numbers)


def test_ase_and_back_changes_rounding_only(triclinic: Crystal) -> None:
    """ASE keeps Cartesian positions: two roundings."""
    moved = Crystal(triclinic.cell, triclinic.frac - 3, triclinic.numbers)
    back = as_crystal(to_ase(moved))
    assert np.array_equal(back.cell, moved.cell)
    np.testing.assert_allclose(back.frac, moved.frac, rtol=0, atol=4e-15)
    assert np.array_equal(back.numbers, moved.numbers)


def test_a_crystal_is_a_crystal(silicon: Crystal) -> None:
    """No copy is made."""
    assert as_crystal(silicon) is silicon


def test_oxidation_states_are_left_out() -> None:
    """Species such as Na+ are elements."""
    cell = Lattice.cubic(4)
    structure = Structure(cell, ["Na+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert from_pymatgen(structure).symbols == ["Na", "Cl"]


@pytest.mark.parametrize(
    ("species", "error", "message"),
    [
        (
            {"Ga": 0.5, "Al": 0.5},
            StructureError,
            "site 1 is disordered .*ordered model",
        ),
        ({"Ga": 0.9}, StructureError, "site 1 is disordered"),
        ("D", ElementError, "isotope"),
        ("D+", ElementError, "isotope"),
        ("X", ElementError, "not a chemical element"),
    ],
)
def test_what_pymatgen_holds_beyond_crystals_is_refused(
    species: object, error: type[Exception], message: str
) -> None:
    """Deuterium has the atomic number of hydrogen in pymatgen: no silent H."""
    structure = Structure(Lattice.cubic(4), [species], [[0, 0, 0]])
    with pytest.raises(error, match=message):
        as_crystal(structure)


def test_molecules_and_slabs_are_refused() -> None:
    """A tensor of a bulk crystal needs three periodic directions."""
    for source in (
        Molecule(["H"], [[0, 0, 0]]),
        Structure(Lattice(4 * np.eye(3), pbc=(True, True, False)), ["H"], [[0, 0, 0]]),
        fcc111("Al", (1, 1, 3), vacuum=5),
        Atoms("H", cell=[4, 4, 4]),
    ):
        with pytest.raises(StructureError, match="not periodic in three directions"):
            as_crystal(source)
    with pytest.raises(StructureError, match="no cell"):
        as_crystal(molecule("H2O"))
    flat = Atoms("H", cell=[[1, 0, 0], [0, 1, 0], [1, 1, 0]], pbc=True)
    with pytest.raises(StructureError, match="no volume"):
        from_ase(flat)
    with pytest.raises(ElementError, match="from 1 to 118, not 0"):
        from_ase(Atoms("X", cell=[4, 4, 4], pbc=True))


@pytest.mark.parametrize("source", [None, 7, {"lattice": 1}, "POSCAR"])
def test_anything_else_is_refused(source: object) -> None:
    """The message names the type, and how a file is read."""
    kind = type(source).__name__
    with pytest.raises(StructureError, match=f"cannot take a {kind}") as caught:
        as_crystal(source)
    assert ("read_crystal" in str(caught.value)) == (kind == "str")


def test_ase_reads_what_we_do_not() -> None:
    """FHI-aims, of two frames: one crystal per frame, errors as ours."""
    text = (
        "lattice_vector 0 2.8 2.8\nlattice_vector 2.8 0 2.8\n"
        "lattice_vector 2.8 2.8 0\natom_frac 0 0 0 Ga\natom_frac 0.25 0.25 0.25 As\n"
    )
    (found,) = parse_with_ase(text, "aims")
    assert not isinstance(found, CrystalTensorError)
    assert found.crystal.symbols == ["Ga", "As"]
    np.testing.assert_allclose(found.crystal.frac[1], 0.25, rtol=0, atol=1e-15)
    (error,) = parse_with_ase("atom 0 0 0 Ga\n", "aims")
    assert isinstance(error, StructureError)
    with pytest.raises(FormatError, match="cannot be read as aims: ") as caught:
        list(parse_with_ase(text.replace("0.25", "quarter"), "aims"))
    assert caught.value.__cause__ is not None
    with pytest.raises(FormatError, match="line 1 is too long: 250013 characters"):
        list(parse_with_ase(f"Al 1 0.3 0.3 {'A' * 250_000}\n", "res"))
