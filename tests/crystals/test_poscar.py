"""POSCAR in all its dialects."""

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.poscar import parse_poscar
from crystaltensor.errors import CrystalTensorError, ElementError, StructureError

GAAS = """GaAs
1.0
0.0 2.8 2.8
2.8 0.0 2.8
2.8 2.8 0.0
Ga As
1 1
Direct
0.0 0.0 0.0
0.25 0.25 0.25
"""


def edited(*changes: tuple[str, str]) -> str:
    """Change the GaAs file."""
    text = GAAS
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def test_the_plain_file() -> None:
    """VASP 5, direct coordinates."""
    crystal, warnings = parse_poscar(GAAS)
    assert crystal.symbols == ["Ga", "As"]
    assert crystal.cell.tolist() == [[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]]
    assert crystal.frac.tolist() == [[0, 0, 0], [0.25, 0.25, 0.25]]
    assert warnings == ()


@pytest.mark.parametrize(
    "text",
    [
        GAAS.replace("\n", " \n"),
        edited(("Ga As\n", "Ga_d As_GW/1a2b3c\n")),
        edited(("Ga As\n", "Ga3+ As3-\n")),
        edited(("Ga As\n", "Ga As ! species\n"), ("1 1\n", "1 1 # counts\n")),
        edited(("GaAs\n", "Ga As\n"), ("Ga As\n1 1", "1 1")),
        edited(
            ("Ga As\n", ""), ("0.0 0.0 0.0\n", "0. 0. 0. Ga\n"), ("25\n", "25 As\n")
        ),
        edited(
            ("Direct", "Selective dynamics\nDirect"),
            ("0.0 0.0 0.0\n", "0 0 0 T T F Ga\n"),
            ("0.25\n", "0.25 F F F\n"),
        ),
        edited(
            ("1.0\n", "-43.904\n"),
            ("0.0 2.8 2.8", "0 1 1"),
            ("2.8 0.0 2.8", "1 0 1"),
            ("2.8 2.8 0.0", "1 1 0"),
        ),
        edited(
            ("1.0\n", "2.8 1.4 0.7\n"),
            ("0.0 2.8 2.8", "0 2 4"),
            ("2.8 0.0 2.8", "1 0 4"),
            ("2.8 2.8 0.0", "1 2 0"),
            ("Direct", "kartesian"),
            ("0.25 0.25 0.25", "0.5 1 2"),
        ),
        edited(
            ("1.0\n", "2.8 scale\n"),
            ("0.0 2.8 2.8", "0 1 1"),
            ("2.8 0.0 2.8", "1 0 1"),
            ("2.8 2.8 0.0", "1 1 0"),
            ("Direct", "Cartesian"),
            ("0.25 0.25 0.25", "0.5 0.5 0.5"),
        ),
        edited(("0.25 0.25 0.25", "2.5D-01 .25d0 +25e-2")),
        GAAS + "\n 0.0 0.0 0.0\n 0.1 0.2 0.3\n",
        GAAS + "Lattice velocities and vectors\n 1\n 0 0 0\n",
    ],
)
def test_dialects_give_the_same_crystal(text: str) -> None:
    """VASP 4, POTCAR names, flags, volumes, three scales, Fortran, velocities."""
    expected = parse_poscar(GAAS).crystal
    crystal, warnings = parse_poscar(text)
    assert crystal.symbols == expected.symbols
    np.testing.assert_allclose(crystal.cell, expected.cell, rtol=0, atol=2e-15)
    np.testing.assert_allclose(crystal.frac, expected.frac, rtol=0, atol=1e-15)
    assert warnings == ()


def test_blocks_of_one_element_stay_apart() -> None:
    """The order of the atoms is the order of the forces."""
    text = edited(("Ga As\n1 1", "Ga As Ga\n1 1 1")) + "0.5 0.5 0.5\n"
    assert parse_poscar(text).crystal.symbols == ["Ga", "As", "Ga"]


def test_fluorine_is_no_flag() -> None:
    """Flags of selective dynamics come in threes."""
    text = edited(("Ga As\n", ""), ("0.0\n0.25", "0.0 F\n0.25"), ("25\n", "25 F\n"))
    text = text.replace("0.0 0.0 0.0\n", "0.0 0.0 0.0 F\n")
    assert parse_poscar(text).crystal.symbols == ["F", "F"]


def test_labels_that_contradict_the_header_are_reported() -> None:
    """One of the two is a mistake."""
    crystal, warnings = parse_poscar(edited(("0.25\n", "0.25 P\n")))
    assert crystal.symbols == ["Ga", "As"]
    assert warnings == (
        "atom 2 is As by the header, P by its label; the header counts, as in VASP",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("GaAs\n1.0\n", "at least 8 lines, this file has 2"),
        (edited(("Ga As\n", "")), "no element is named .*add a line of symbols"),
        (edited(("GaAs\n", "Ga\n"), ("Ga As\n1 1", "1 1")), "no element is named"),
        (edited(("Ga As\n", "Ga\n")), "line 6 names 1 species .* counts 2"),
        (edited(("1 1\n", "1 2\n")), "ask for 3 atoms, but the file ends after 2"),
        (edited(("1 1\n", "1 1e9\n")), "line 7: expected how many atoms"),
        (edited(("1 1\n", "1 999999999\n")), "1000000000 atoms are more than"),
        (edited(("1 1\n", "1 -1\n")), "line 7: expected how many atoms"),
        (edited(("1 1\n", "0 0\n")), "no atom in the cell"),
        (edited(("1 1\n", "1 0\n")), "line 10: there are more coordinates"),
        (edited(("1 1\n", "1 " + "9" * 5000 + "\n")), "line 7: expected how many"),
        (edited(("Direct\n", "")), "line 8: expected Direct or Cartesian"),
        (edited(("1.0\n", "0\n")), "line 2: the scale factor cannot be '0'"),
        (edited(("1.0\n", "nan\n")), "line 2: the scale factor cannot be"),
        (edited(("1.0\n", "1 1 -1\n")), "three scale factors must all be positive"),
        (edited(("1.0\n", "\n")), "line 2: expected the scale factor"),
        (edited(("1.0\n", "one\n")), "line 2: 'one' is not a number"),
        (edited(("0.0 2.8 2.8", "0.0 2.8")), "line 3: expected a lattice vector"),
        (edited(("0.0 2.8 2.8", "0 2.8 zwei")), "line 3: 'zwei' is not a number"),
        (edited(("0.25 0.25 0.25", "0.25 0.25")), "line 10: expected atom 2"),
        (edited(("0.25 0.25 0.25", "0.25 0,25 0.25")), "line 10: '0,25' is not a"),
        (edited(("0.25 0.25 0.25", "0 0 1_0")), "line 10: '1_0' is not a number"),
        (edited(("0.25 0.25 0.25", "nan 0 0")), "atom 2 has a coordinate"),
        (edited(("0.25 0.25 0.25", "0 0 0")), "at the same place"),
        (
            edited(("1.0\n", "-40\n"), ("2.8 2.8 0.0", "0.0 2.8 2.8")),
            "no volume",
        ),
        (
            edited(("Direct", "Cart"), ("2.8 2.8 0.0", "0.0 2.8 2.8")),
            "no volume",
        ),
    ],
)
def test_errors_say_where_what_and_the_way_out(text: str, message: str) -> None:
    """Each error is one line."""
    with pytest.raises(CrystalTensorError, match=message) as caught:
        parse_poscar(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [("D", "isotope"), ("X", "'X' is not"), ("H.5", "'H.5' is not")],
)
def test_species_that_are_no_elements_are_refused(name: str, message: str) -> None:
    """Isotopes, vacancies and pseudo-hydrogen."""
    with pytest.raises(ElementError, match=message):
        parse_poscar(edited(("Ga As", f"Ga {name}")))


def test_a_flat_cell_is_refused() -> None:
    """Two vectors are equal."""
    with pytest.raises(StructureError, match="no volume"):
        parse_poscar(edited(("2.8 2.8 0.0", "0.0 2.8 2.8")))


def test_the_example_is_wurtzite(examples: object, wurtzite: Crystal) -> None:
    """The cell of DFT is within 1 percent of experiment's."""
    crystal = parse_poscar((examples / "POSCAR.AlN").read_text()).crystal
    assert crystal.formula == "AlN"
    assert crystal.volume == pytest.approx(wurtzite.volume, rel=0.01)
