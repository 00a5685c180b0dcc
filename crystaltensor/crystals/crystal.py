"""A crystal: a cell and the atoms in it."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.errors import ElementError, StructureError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

SYMBOLS = (
    "X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn "
    "Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce "
    "Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn "
    "Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl "
    "Mc Lv Ts Og"
).split()
"""Chemical symbols by atomic number; index 0 is no element."""

_NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS) if number}

COINCIDENT = 1e-3
"""Atoms closer than this, in Å, are the same atom written twice."""


@dataclass(frozen=True, eq=False)
class Crystal:
    """A cell and the atoms in it, exactly as given: never reordered, never wrapped.

    Parameters
    ----------
    cell : ndarray, shape (3, 3)
        Lattice vectors as rows, in Å; of either handedness.
    frac : ndarray, shape (n_atoms, 3)
        Fractional coordinates; ``frac @ cell`` is Cartesian.
    numbers : ndarray of int, shape (n_atoms,)
        Atomic numbers, 1 to 118.

    Raises
    ------
    StructureError
        If a shape is wrong, a number is not finite, the cell has no volume, there
        is no atom, or two atoms coincide.
    ElementError
        If an atomic number is not an element's.
    """

    cell: "NDArray[np.float64]"
    frac: "NDArray[np.float64]"
    numbers: "NDArray[np.int64]"

    def __init__(
        self, cell: "ArrayLike", frac: "ArrayLike", numbers: "ArrayLike"
    ) -> None:
        for name, given, dtype in (
            ("cell", cell, np.float64),
            ("frac", frac, np.float64),
            ("numbers", numbers, np.int64),
        ):
            array = np.array(given, dtype=dtype)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        _check(self)

    @classmethod
    def from_symbols(
        cls, cell: "ArrayLike", frac: "ArrayLike", symbols: "list[str]"
    ) -> "Crystal":
        """Make a crystal from chemical symbols.

        Parameters
        ----------
        cell, frac
            As in the constructor.
        symbols : list of str
            One symbol per atom, such as ``["Ga", "As"]``.

        Returns
        -------
        Crystal
            With the atoms in the order given.

        Raises
        ------
        ElementError
            If a symbol is not an element's.
        """
        return cls(cell, frac, [atomic_number(symbol) for symbol in symbols])

    @property
    def n_atoms(self) -> int:
        """Count the atoms in the cell."""
        return len(self.numbers)

    @cached_property
    def positions(self) -> "NDArray[np.float64]":
        """Cartesian positions in Å, shape (n_atoms, 3)."""
        return self.frac @ self.cell

    @cached_property
    def volume(self) -> float:
        """Volume of the cell in Å³."""
        return float(abs(np.linalg.det(self.cell)))

    @property
    def symbols(self) -> list[str]:
        """Chemical symbols, one per atom."""
        return [SYMBOLS[number] for number in self.numbers]

    @cached_property
    def formula(self) -> str:
        """Reduced formula, elements in the order of the structure, such as ``AlN``."""
        found, counts = np.unique(self.numbers, return_counts=True)
        divisor = int(np.gcd.reduce(counts))
        count_of = dict(zip(found.tolist(), (counts // divisor).tolist(), strict=True))
        order = dict.fromkeys(self.numbers.tolist())
        return "".join(
            SYMBOLS[number] + (str(count_of[number]) if count_of[number] > 1 else "")
            for number in order
        )


def atomic_number(symbol: str) -> int:
    """Look up the atomic number of a chemical symbol.

    Parameters
    ----------
    symbol : str
        Such as ``"Ga"``; upper and lower case count.

    Returns
    -------
    int
        From 1 to 118.

    Raises
    ------
    ElementError
        If there is no such element; isotopes (D, T) have no symbol of their own here.
    """
    if symbol in _NUMBERS:
        return _NUMBERS[symbol]
    if symbol in {"D", "T"}:
        raise ElementError(
            f"{symbol} is an isotope, and no model here knows isotopes; "
            "write H if the mass does not matter"
        )
    raise ElementError(f"{symbol!r} is not a chemical element")


def _check(crystal: Crystal) -> None:
    """Refuse what is not a crystal."""
    cell, frac, numbers = crystal.cell, crystal.frac, crystal.numbers
    if cell.shape != (3, 3):
        raise StructureError(f"the cell must have shape (3, 3), not {cell.shape}")
    if numbers.ndim != 1 or frac.shape != (len(numbers), 3):
        raise StructureError(
            f"{numbers.size} atomic numbers do not fit coordinates of shape {frac.shape}"
        )
    if len(numbers) == 0:
        raise StructureError("there is no atom in the cell")
    if not np.isfinite(cell).all():
        raise StructureError("the cell has an entry that is not a finite number")
    if not np.isfinite(frac).all():
        bad = int(np.flatnonzero(~np.isfinite(frac).all(axis=1))[0])
        raise StructureError(f"atom {bad + 1} has a coordinate that is not finite")
    lengths = np.linalg.norm(cell, axis=1)
    if crystal.volume <= 1e-6 * max(float(lengths.prod()), 1e-30):
        raise StructureError(
            f"the cell has no volume (lattice vectors of {lengths.round(4).tolist()} Å "
            "that lie in one plane)"
        )
    if numbers.min() < 1 or numbers.max() >= len(SYMBOLS):
        raise ElementError(
            f"atomic numbers go from 1 to {len(SYMBOLS) - 1}, not "
            f"{int(numbers.min())} to {int(numbers.max())}"
        )
    _refuse_coincident(crystal)


def _refuse_coincident(crystal: Crystal) -> None:
    """Refuse two atoms at one place; the shortest vector of a real cell is longer."""
    frac = crystal.frac - np.floor(crystal.frac)
    for first in range(len(frac) - 1):
        apart = frac[first + 1 :] - frac[first]
        apart -= np.round(apart)
        near = np.flatnonzero(
            np.square(apart @ crystal.cell).sum(axis=1) < COINCIDENT**2
        )
        if near.size:
            second = first + 1 + int(near[0])
            raise StructureError(
                f"atoms {first + 1} ({crystal.symbols[first]}) and {second + 1} "
                f"({crystal.symbols[second]}) are at the same place (closer than "
                f"{COINCIDENT} Å); remove one of them"
            )
