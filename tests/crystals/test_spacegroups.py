"""Symmetry operations as text."""

import numpy as np
import pytest
from pymatgen.core.operations import SymmOp

from crystaltensor.crystals.spacegroups import _table, operations_of, parse_operations
from crystaltensor.errors import FormatError


def test_all_operations_of_all_space_groups_read_as_pymatgen_reads_them() -> None:
    """Every distinct triplet of the tables of 230 groups and their settings."""
    triplets = sorted({str(one) for row in _table() for one in row["symops"]})
    assert len(triplets) > 500
    for triplet in triplets:
        found = parse_operations([triplet])  # the identity, and this one
        expected = SymmOp.from_xyz_str(triplet).affine_matrix
        np.testing.assert_array_equal(found.rotations[-1], expected[:3, :3])
        np.testing.assert_allclose(
            found.translations[-1], expected[:3, 3], rtol=0, atol=1e-15
        )


@pytest.mark.parametrize(
    ("text", "expected"),
    [("z+0.3333", 1 / 3), ("z+.66667", 2 / 3), ("0.2+z", 0.2), ("z - 1/6", -1 / 6)],
)
def test_decimal_thirds_are_thirds(text: str, expected: float) -> None:
    """A fifth, as in a supercell, stays a fifth."""
    found = parse_operations([f"x,y,{text}"])
    assert found.translations[1, 2] == expected


@pytest.mark.parametrize(
    ("name", "n_ops"),
    [
        ("P 63 m c", 12),
        ("P6_3mc", 12),
        ("P63mc", 12),
        ("p 6c -2c", 12),
        ("186", 12),
        ("R -3 m :H", 36),
        ("R-3m", 36),
    ],
)
def test_groups_are_known_by_many_names(name: str, n_ops: int) -> None:
    """For R the metric of the cell tells hexagonal from rhombohedral axes."""
    cell = np.array([[3, 0, 0], [-1.5, 1.5 * np.sqrt(3), 0], [0, 0, 5]])
    found = operations_of(name, cell)
    assert found is not None
    assert len(found.translations) == n_ops


def test_the_cell_tells_the_unique_axis() -> None:
    """P2_1/c with beta = 100 has its twofold axis along b."""
    cell = np.array([[5.0, 0, -0.9], [0, 6, 0], [0, 0, 7]])
    found = operations_of("P 21/c", cell)
    assert found is not None
    assert found.rotations[1].tolist() == [[-1, 0, 0], [0, 1, 0], [0, 0, -1]]
    assert operations_of("nonsense", cell) is None
    with pytest.raises(FormatError, match="several settings"):
        operations_of("P 21/c", np.diag([5.0, 6, 7]))
