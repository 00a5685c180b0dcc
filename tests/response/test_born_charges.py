"""Born charges from files."""

import json
from pathlib import Path

import numpy as np
import pytest

from crystaltensor.errors import ShapeError
from crystaltensor.response.born_charges import read_born_charges, to_primitive
from crystaltensor.symmetry.operations import Symmetry


def write(path: Path, charges: object) -> Path:
    """Write charges as JSON."""
    path.write_text(json.dumps({"born_charges": charges}), encoding="utf-8")
    return path


def test_charges_are_read_and_sum_to_zero(zincblende: Symmetry, tmp_path: Path) -> None:
    """What breaks the sum rule is shared by all atoms."""
    given = [(2.2 * np.eye(3)).tolist(), (-2.0 * np.eye(3)).tolist()]
    found = read_born_charges(write(tmp_path / "z.json", given), zincblende)
    np.testing.assert_allclose(found[0], 2.1 * np.eye(3), atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=0), 0, atol=1e-12)


def test_another_number_of_atoms_is_told(zincblende: Symmetry, tmp_path: Path) -> None:
    """With both shapes."""
    path = write(tmp_path / "z.json", [np.eye(3).tolist()] * 3)
    with pytest.raises(ShapeError, match=r"2 atoms have shape \(2, 3, 3\), not"):
        read_born_charges(path, zincblende)


def test_charges_in_other_axes_are_told(zincblende: Symmetry, tmp_path: Path) -> None:
    """Symmetry forbids most of them."""
    skew = np.diag([3.0, 0.0, 0.0])
    path = write(tmp_path / "z.json", [skew.tolist(), (-skew).tolist()])
    with pytest.raises(ShapeError, match="contradict the symmetry"):
        read_born_charges(path, zincblende)


def test_copies_of_an_atom_count_once() -> None:
    """Charges are kept for the atoms of the primitive cell."""
    charges = np.stack([np.eye(3), -np.eye(3), np.eye(3), -np.eye(3)])
    kept = to_primitive(charges, np.array([0, 1, 0, 1]))
    np.testing.assert_allclose(kept, [np.eye(3), -np.eye(3)])
