"""Files are written whole or not at all."""

from pathlib import Path

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.crystals.io import read_crystal
from crystaltensor.crystals.writing import poscar_text, replacing, write_crystal
from crystaltensor.errors import FormatError


def test_a_poscar_comes_back_to_the_last_digit(
    tmp_path: Path, triclinic: Crystal
) -> None:
    """Cell, coordinates and order of the atoms."""
    path = tmp_path / "POSCAR"
    write_crystal(triclinic, path)
    again = read_crystal(path)
    np.testing.assert_allclose(again.cell, triclinic.cell, atol=1e-15)
    np.testing.assert_allclose(again.frac, triclinic.frac, atol=1e-15)
    np.testing.assert_array_equal(again.numbers, triclinic.numbers)


def test_atoms_keep_their_order_in_a_poscar(wurtzite: Crystal) -> None:
    """Elements that alternate are listed as often as they change."""
    mixed = Crystal(
        wurtzite.cell, wurtzite.frac[[0, 2, 1, 3]], wurtzite.numbers[[0, 2, 1, 3]]
    )
    lines = poscar_text(mixed).splitlines()
    assert lines[5:7] == ["Al N Al N", "1 1 1 1"]


@pytest.mark.parametrize("name", ["x.xyz", "x.extxyz", "x.xsf", "x.cif", "x.vasp"])
def test_the_name_chooses_the_format(
    tmp_path: Path, quartz: Crystal, name: str
) -> None:
    """All but CIF keep the orientation."""
    write_crystal(quartz, tmp_path / name)
    again = read_crystal(tmp_path / name)
    assert again.formula == quartz.formula
    metric, other = again.cell @ again.cell.T, quartz.cell @ quartz.cell.T
    np.testing.assert_allclose(metric, other, atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def break_off(path: Path) -> None:
    """Fail in the middle of writing."""
    with replacing(path) as partial:
        partial.write_text("new")
        raise ValueError("broken")


def test_nothing_is_left_behind_when_writing_fails(tmp_path: Path) -> None:
    """An old file stays as it was."""
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(ValueError, match="broken"):
        break_off(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with replacing(path) as partial:
        partial.write_text("new")
    assert path.read_text() == "new"
    with (
        pytest.raises(FormatError, match=r"no/x.txt: cannot be written"),
        replacing(tmp_path / "no" / "x.txt"),
    ):
        pass
