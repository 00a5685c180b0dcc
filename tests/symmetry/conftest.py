"""One crystal of each space group, made from spglib's tables."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import spglib
import spglib.error

from crystaltensor.crystals.crystal import Crystal

spglib.error.OLD_ERROR_HANDLING = False


def lattice_of(number: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a conventional cell that a space group allows, about 10 Å wide."""
    a, b, c = 8 + 4 * rng.random(3)
    alpha, beta, gamma = 90.0, 90.0, 90.0
    if number <= 2:
        alpha, beta, gamma = 70 + 30 * rng.random(3)
    elif number <= 15:
        beta = 95 + 15 * rng.random()
    if number >= 75:
        b = a
    if 143 <= number <= 194:
        gamma = 120.0
    if number >= 195:
        c = a
    x, y, z = np.cos(np.radians([alpha, beta, gamma]))
    metric = [[a * a, a * b * z, a * c * y], [a * b * z, b * b, b * c * x]]
    return np.linalg.cholesky([*metric, [a * c * y, b * c * x, c * c]])


@cache
def crystal_of_group(number: int) -> Crystal:
    """Fill one general position of a space group, in its primitive cell."""
    hall = next(
        h for h in range(1, 531) if spglib.get_spacegroup_type(h).number == number
    )
    table = spglib.get_symmetry_from_database(hall)
    rng = np.random.default_rng(number)
    n_ops = len(table["rotations"])
    while True:
        orbits = [
            (table["rotations"] @ rng.random(3) + table["translations"]) % 1
            for _ in range(3 if n_ops <= 16 else 2 if n_ops <= 48 else 1)
        ]
        numbers = [5 + kind for kind, orbit in enumerate(orbits) for _ in orbit]
        cell, frac = lattice_of(number, rng), np.vstack(orbits)
        apart = frac[:, None] - frac
        apart -= np.round(apart)
        squared = np.square(apart @ cell).sum(axis=-1) + 100 * np.eye(len(frac))
        if squared.min() > 0.3**2:  # nearer atoms could be on a special position
            found = spglib.find_primitive((cell, frac, numbers), symprec=1e-5)
            return Crystal(*found)


@pytest.fixture(scope="session")
def make_crystal() -> Callable[[int], Crystal]:
    """Give the maker of a crystal of any space group."""
    return crystal_of_group
