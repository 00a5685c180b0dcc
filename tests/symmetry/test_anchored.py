"""The quick way to simple space groups agrees with spglib."""

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.symmetry.anchored import find_anchored_symmetry
from crystaltensor.symmetry.operations import find_symmetry

FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
BCC = 0.5 * np.array([[-1.0, 1, 1], [1, -1, 1], [1, 1, -1]])
HEXAGONAL = np.array([[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, 1.62]])
RHOMBOHEDRAL = np.array(
    [[1, 0, 2.5], [-0.5, np.sqrt(0.75), 2.5], [-0.5, -np.sqrt(0.75), 2.5]]
)
QUARTER, HALF = [0.25] * 3, [0.5] * 3
PEROVSKITE = [[0] * 3, HALF, [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
POLAR = [[0] * 3, [0.5, 0.5, 0.48], [0.5, 0.5, 0.03], [0.5, 0, 0.52], [0, 0.5, 0.52]]

CRYSTALS = {
    "Fm-3m": (5.6 * FCC, [[0] * 3, HALF], [11, 17]),
    "F-43m": (5.6 * FCC, [[0] * 3, QUARTER], [30, 16]),
    "Fm-3m, Heusler": (
        5.8 * FCC,
        [[0] * 3, QUARTER, [0.75] * 3, HALF],
        [13, 29, 29, 25],
    ),
    "Im-3m": (2.9 * BCC, [[0] * 3], [26]),
    "Pm-3m": (3.9 * np.eye(3), PEROVSKITE, [38, 22, 8, 8, 8]),
    "P4mm": (np.diag([4, 4, 4.15]), POLAR, [56, 22, 8, 8, 8]),
    "P-6m2": (3 * HEXAGONAL, [[0] * 3, [1 / 3, 2 / 3, 0.5]], [6, 74]),
    "R3m": (2 * RHOMBOHEDRAL, [[0] * 3, [0.47] * 3], [32, 52]),
    "Amm2": (
        np.array([[4.0, 0, 0], [0, 2.8, 2.9], [0, -2.8, 2.9]]),
        [[0] * 3, [0.5, 0.52, 0.52]],
        [3, 9],
    ),
    "P1": (
        np.array([[4, 0.3, 0], [0, 5, 0.2], [0.1, 0, 6]]),
        [[0] * 3, [0.2, 0.3, 0.4]],
        [3, 9],
    ),
}


def moved(crystal: Crystal, seed: int, *, doubled: bool) -> Crystal:
    """Skew, turn and shift a crystal, and double its cell."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    skew = np.array([[1, 1, 0], [0, 1, -1], [0, 0, 1]])
    cell = skew @ crystal.cell @ turn
    frac = crystal.frac @ np.linalg.inv(skew) + rng.random(3)
    numbers = crystal.numbers
    if doubled:
        cell = np.diag([1, 2, 1]) @ cell
        frac = np.concatenate([frac, frac + np.array([0, 1, 0])]) / [1, 2, 1]
        numbers = np.concatenate([numbers, numbers])
    order = rng.permutation(len(numbers))
    return Crystal(cell, frac[order], numbers[order])


@pytest.mark.parametrize("doubled", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", CRYSTALS)
def test_simple_crystals_have_the_group_that_spglib_finds(
    name: str, seed: int, doubled: bool
) -> None:
    """In any cell and orientation: the same number, symbol, class and operations."""
    crystal = moved(Crystal(*CRYSTALS[name]), seed, doubled=doubled)
    quick, whole = find_anchored_symmetry(crystal), find_symmetry(crystal)
    assert quick is not None
    assert quick.symbol == whole.symbol == name.split(",", maxsplit=1)[0]
    assert quick.number == whole.number
    assert quick.point_group == whole.point_group
    assert len(quick.rotations) == whole.n_ops
    np.testing.assert_array_equal(quick.rotations[0], np.eye(3))
    apart = np.abs(quick.rotations[:, None] - whole.rotations).max(axis=(2, 3))
    assert apart.min(axis=1).max() < 1e-13
    squared = quick.rotations @ quick.rotations.swapaxes(1, 2)
    np.testing.assert_allclose(
        squared, np.broadcast_to(np.eye(3), squared.shape), atol=1e-14
    )


def test_what_is_near_the_tolerance_is_left_to_spglib() -> None:
    """An atom, or a length, that is off by about symprec."""
    cell, frac, numbers = CRYSTALS["Pm-3m"]
    for off in (0.004, 0.01, 0.014):
        shifted = np.array(frac, dtype=float)
        shifted[1, 2] += off / 3.9
        assert (
            find_anchored_symmetry(Crystal(cell, shifted, numbers), symprec=0.01)
            is None
        )
        stretched = cell + np.diag([0, 0, off])
        assert (
            find_anchored_symmetry(Crystal(stretched, frac, numbers), symprec=0.01)
            is None
        )
    far = np.array(frac, dtype=float)
    far[1, 2] += 0.05 / 3.9
    found = find_anchored_symmetry(Crystal(cell, far, numbers), symprec=0.01)
    assert found is not None
    assert found.point_group == "4mm"
    near = find_anchored_symmetry(Crystal(cell, far, numbers), symprec=0.5)
    assert near is not None
    assert near.point_group == "m-3m"


def test_other_crystals_are_left_to_spglib(
    silicon: Crystal, wurtzite: Crystal, quartz: Crystal
) -> None:
    """No element with one atom per lattice point."""
    for crystal in (silicon, wurtzite, quartz):
        assert find_anchored_symmetry(crystal) is None
