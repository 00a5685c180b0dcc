"""Extended XYZ, frame by frame."""

import io

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write

from crystaltensor.crystals.extxyz import parse_extxyz
from crystaltensor.crystals.parsing import Parsed
from crystaltensor.errors import CrystalTensorError, FormatError

FRAME = """2
Lattice="0 2.8 2.8 2.8 0 2.8 2.8 2.8 0" Properties=species:S:1:pos:R:3
Ga 0 0 0
As 1.4 1.4 1.4
"""


def parsed(text: str) -> list[Parsed | CrystalTensorError]:
    """Read all frames."""
    return list(parse_extxyz(io.StringIO(text)))


def only(text: str) -> Parsed:
    """Read one frame."""
    (found,) = parsed(text)
    assert isinstance(found, Parsed), found
    return found


@pytest.mark.parametrize(
    "text",
    [
        FRAME,
        FRAME.replace("species:S:1:pos:R:3", 'species:S:1:pos:R:3 pbc="T T T"'),
        FRAME.replace(" Properties=species:S:1:pos:R:3", ""),
        FRAME.replace("species:S:1:pos", "Z:I:1:pos")
        .replace("Ga", "31")
        .replace("As", "33"),
        FRAME.replace("Lattice", 'note="a b = c" E=1 Lattice'),
        FRAME.replace("species:S:1:pos:R:3", "id:I:1:pos:R:3:species:S:1:f:R:1")
        .replace("Ga 0 0 0", "1 0 0 0 Ga 9")
        .replace("As 1.4 1.4 1.4", "2 1.4 1.4 1.4 As 9"),
    ],
)
def test_dialects_give_the_same_crystal(text: str) -> None:
    """Columns in any order, numbers for symbols, other keys."""
    crystal = only(text).crystal
    assert crystal.symbols == ["Ga", "As"]
    np.testing.assert_allclose(crystal.frac[1], 0.25, rtol=0, atol=1e-16)


def test_lattice_vectors_are_rows_as_ase_writes_them() -> None:
    """A cell that is not symmetric shows a transposed reading."""
    atoms = bulk("AlN", "wurtzite", a=3.11, c=4.98)
    text = io.StringIO()
    write(text, [atoms, atoms * (1, 1, 2)], format="extxyz")
    small, large = parsed(text.getvalue())
    assert isinstance(small, Parsed)
    assert isinstance(large, Parsed)
    # ASE writes eight decimals.
    np.testing.assert_allclose(small.crystal.cell, atoms.cell[:], atol=1e-7)
    np.testing.assert_allclose(small.crystal.positions, atoms.positions, atol=1e-7)
    assert large.crystal.n_atoms == 8


def test_a_bad_frame_does_not_stop_the_next() -> None:
    """Screening goes on."""
    found = parsed(FRAME + FRAME.replace("Ga", "Qq") + FRAME)
    assert [isinstance(one, Parsed) for one in found] == [True, False, True]
    assert "'Qq' is not a chemical element" in str(found[1])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Lattice=", "lattic=", "line 2: there is no cell .*Lattice="),
        ('2.8 0"', '2.8"', "line 2: Lattice must be nine numbers"),
        ('2.8 0"', '2.8 x"', "line 2: 'x' is not a number"),
        ("0 2.8 2.8 2.8 0", "0 0 0 2.8 0", "no volume"),
        ("Properties", 'pbc="T T F" Properties', "not periodic in three directions"),
        ("pos:R:3", "x:R:3", "Properties must name species:S:1 and pos:R:3"),
        ("As 1.4 1.4 1.4", "As 1.4 1.4", "line 4: expected 4 columns"),
        ("As 1.4 1.4 1.4", "As 1.4 1.4 b", "line 4: 'b' is not a number"),
        ("As 1.4", "D 1.4", "isotope"),
        ("As 1.4", "0 1.4", "atomic numbers go from 1 to 118"),
    ],
)
def test_a_frame_that_is_no_crystal_is_its_error(
    old: str, new: str, message: str
) -> None:
    """With the line where it is known."""
    (error,) = parsed(FRAME.replace(old, new))
    assert isinstance(error, CrystalTensorError)
    with pytest.raises(CrystalTensorError, match=message):
        raise error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("GaAs\n", "line 1: expected the number of atoms"),
        (FRAME + "x\n", "line 5: expected the number of atoms"),
        (FRAME.replace("2\n", "3\n", 1), "asks for 3 atoms, but there are only 2"),
        ("999999999\n\n", "999999999 atoms are more than"),
        ("9" * 9999 + "\n", "line 1: expected the number"),
        ("2" * 70000, "line 1: expected the number"),
    ],
)
def test_a_broken_file_ends_the_reading(text: str, message: str) -> None:
    """Where the next frame starts is not known."""
    with pytest.raises(CrystalTensorError, match=message):
        parsed(text)
    assert issubclass(FormatError, CrystalTensorError)
