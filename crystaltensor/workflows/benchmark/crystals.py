"""Crystals that benchmarks make: textbook structures, and random ones."""

import itertools
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.crystals.crystal import Crystal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DENSITY = 0.07
"""Atoms per Å³ of random crystals."""

_FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
_BCC = np.array([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]])
_HEXAGONAL = np.array([[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, 1]])
_THIRDS = ((1 / 3, 2 / 3), (2 / 3, 1 / 3))


def _structures() -> dict[str, tuple[Any, Any, str]]:
    """List structures: shape of the cell, fractional coordinates, letter of each atom."""
    half, quarter = [0.5] * 3, [0.25] * 3
    wurtzite = [(*_THIRDS[0], 0), (*_THIRDS[1], 0.5)]
    wurtzite += [(x, y, z + 0.382) for x, y, z in wurtzite]
    perovskite = [[0, 0, 0], half, [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    polar = [
        [0, 0, 0],
        [0.5, 0.5, 0.52],
        [0.5, 0.5, 0.03],
        [0.5, 0, 0.54],
        [0, 0.5, 0.54],
    ]
    rutile = [[0, 0, 0], half, [0.305, 0.305, 0], [0.695, 0.695, 0]]
    rutile += [[0.805, 0.195, 0.5], [0.195, 0.805, 0.5]]
    u, v = 0.4697, (0.4133, 0.2672, 0.2145)
    x, y, z = v
    quartz = [
        [u, 0, 1 / 3], [0, u, 2 / 3], [-u, -u, 0],
        [x, y, z], [-y, x - y, z + 1 / 3], [y - x, -x, z + 2 / 3],
        [y, x, -z], [x - y, -y, -z + 2 / 3], [-x, y - x, -z + 1 / 3],
    ]  # fmt: skip
    return {
        "rock salt": (_FCC, [[0, 0, 0], half], "AB"),
        "caesium chloride": (np.eye(3) * 0.73, [[0, 0, 0], half], "AB"),
        "zincblende": (_FCC * 1.05, [[0, 0, 0], quarter], "AB"),
        "diamond": (_FCC * 1.05, [[0, 0, 0], quarter], "AA"),
        "fluorite": (_FCC * 1.05, [[0, 0, 0], quarter, [0.75] * 3], "ABB"),
        "half-Heusler": (_FCC * 1.1, [[0, 0, 0], quarter, half], "ABC"),
        "bcc": (_BCC * 0.6, [[0, 0, 0]], "A"),
        "wurtzite": (_HEXAGONAL * [[0.7], [0.7], [1.13]], wurtzite, "AABB"),
        "nickel arsenide": (
            _HEXAGONAL * [[0.7], [0.7], [1.0]],
            [[0, 0, 0], [0, 0, 0.5], [*_THIRDS[0], 0.25], [*_THIRDS[1], 0.75]],
            "AABB",
        ),
        "cadmium iodide": (
            _HEXAGONAL * [[0.75], [0.75], [1.2]],
            [[0, 0, 0], [*_THIRDS[0], 0.25], [*_THIRDS[1], 0.75]],
            "ABB",
        ),
        "perovskite": (np.eye(3) * 0.75, perovskite, "ABCCC"),
        "polar perovskite": (np.diag([0.75, 0.75, 0.79]), polar, "ABCCC"),
        "rutile": (np.diag([0.9, 0.9, 0.58]), rutile, "AABBBB"),
        "quartz": (_HEXAGONAL * [[1.0], [1.0], [1.1]], quartz, "AAABBBBBB"),
    }


_ELEMENTS = {
    "A": ("Na", "Mg", "Ga", "Sr", "Zr", "Cs"),
    "B": ("Cl", "O", "As", "Ti", "S", "F"),
    "C": ("O", "F", "S", "N", "Se", "Cl"),
}


def made_crystals() -> list[tuple[str, Crystal]]:
    """Make textbook structures with several elements, and crystals without symmetry.

    Returns
    -------
    list of tuple
        Name and crystal; 14 structures three times each, and 8 random ones.
    """
    found = []
    for place, (name, (shape, frac, letters)) in enumerate(_structures().items()):
        for turn in range(3):
            symbols = [_ELEMENTS[letter][(place + 2 * turn) % 6] for letter in letters]
            size = 5.4 + 0.35 * turn
            crystal = Crystal.from_symbols(size * np.asarray(shape), frac, symbols)
            found.append((f"{name} {crystal.formula}", crystal))
    found += [
        (f"random, {n_atoms} atoms", random_crystal(n_atoms, seed=n_atoms))
        for n_atoms in range(3, 11)
    ]
    return found


@cache
def random_crystal(n_atoms: int, *, seed: int) -> Crystal:
    """Draw a triclinic crystal of `DENSITY` whose atoms are at least 1.5 Å apart.

    Parameters
    ----------
    n_atoms : int
        Atoms in the cell.
    seed : int
        Of the random numbers.

    Returns
    -------
    Crystal
        The same for the same seed.
    """
    rng = np.random.default_rng([n_atoms, seed])
    while True:
        cell = np.eye(3) + 0.2 * rng.normal(size=(3, 3))
        volume = abs(np.linalg.det(cell))
        if volume > 0.5:
            break
    cell *= np.cbrt(n_atoms / DENSITY / volume)
    images = np.array(list(itertools.product((-1, 0, 1), repeat=3))) @ cell
    placed: Floats = np.empty((0, 3))
    while len(placed) < n_atoms:
        x = rng.random(3) @ cell
        apart = (x - placed)[:, None] + images
        if (np.square(apart).sum(axis=2) > 2.25).all():
            placed = np.vstack([placed, x])
    numbers = rng.choice([3, 8, 9, 14, 16, 19, 22, 31, 38, 52], size=n_atoms)
    return Crystal(cell, placed @ np.linalg.inv(cell), numbers)
