"""Structures made exactly symmetric."""

from collections.abc import Callable

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.symmetry.structures import symmetrize_crystal


@pytest.mark.parametrize(
    "number", [1, 2, 9, 62, 88, 99, 122, 152, 161, 166, 186, 198, 216, 227]
)
def test_noise_is_averaged_away(
    make_crystal: Callable[[int], Crystal], number: int
) -> None:
    """In the cell and order of the input, with less displacement than the noise."""
    given = make_crystal(number)
    rng = np.random.default_rng(number)
    noisy = Crystal(
        given.cell + 1e-3 * rng.uniform(-1, 1, (3, 3)),
        given.frac
        + 1e-4 * rng.uniform(-1, 1, given.frac.shape)
        + rng.integers(-2, 3, (given.n_atoms, 3)),
        given.numbers,
    )
    found = symmetrize_crystal(find_symmetry(noisy, symprec=0.03))
    exact = find_symmetry(found.crystal, symprec=1e-5)
    assert exact.number == number
    assert exact.deviation < 1e-10
    np.testing.assert_array_equal(found.crystal.numbers, noisy.numbers)
    assert np.abs(found.crystal.frac - noisy.frac).max() < 2e-3
    assert found.mean_displacement <= found.largest_displacement < 0.02
    assert found.strain < 1e-3


def test_supercells_get_the_symmetry_of_their_crystal(wurtzite: Crystal) -> None:
    """Copies of an atom are averaged too."""
    rng = np.random.default_rng(0)
    cell = np.diag([2, 1, 1]) @ wurtzite.cell
    frac = np.concatenate([wurtzite.frac, wurtzite.frac + np.array([1, 0, 0])]) / [
        2,
        1,
        1,
    ]
    frac += 1e-4 * rng.normal(size=frac.shape)
    noisy = Crystal(cell, frac, np.tile(wurtzite.numbers, 2))
    found = symmetrize_crystal(find_symmetry(noisy, symprec=0.05))
    assert find_symmetry(found.crystal, symprec=1e-6).symbol == "P6_3mc"
    # Shifts of the whole crystal aside, averaging brings atoms nearer to the truth.
    truth = np.concatenate([wurtzite.frac, wurtzite.frac + np.array([1, 0, 0])]) / [
        2,
        1,
        1,
    ]
    before, after = frac - truth, found.crystal.frac - truth
    before, after = before - before.mean(axis=0), after - after.mean(axis=0)
    assert np.linalg.norm(after) < 0.6 * np.linalg.norm(before)
