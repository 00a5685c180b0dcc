"""A crystal: a cell and the atoms in it."""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.errors import ElementError, StructureError

if TYPE_CHECKING:
    from collections.abc import Sequence

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

_FORMULA_ORDER = (
    "Rn Xe Kr Ar Ne He Fr Cs Rb K Na Li Ra Ba Sr Ca Mg Be Lr No Md Fm Es Cf Bk Cm Am Pu "
    "Np U Pa Th Ac Lu Yb Tm Er Ho Dy Tb Gd Eu Sm Pm Nd Pr Ce La Y Sc Rf Hf Zr Ti Db Ta "
    "Nb V Sg W Mo Cr Bh Re Tc Mn Hs Os Ru Fe Mt Ir Rh Co Ds Pt Pd Ni Rg Au Ag Cu Cn Hg "
    "Cd Zn Nh Tl In Ga Al B Fl Pb Sn Ge Si C Mc Bi Sb As P N H Lv Po Te Se S O Ts At I "
    "Br Cl F Og"
).split()
# IUPAC, Nomenclature of Inorganic Chemistry (2005), table VI: electropositive first.
_PLACE = {_NUMBERS[symbol]: place for place, symbol in enumerate(_FORMULA_ORDER)}

COINCIDENT = 0.05
"""Atoms closer than this, in Å, are the same atom written twice."""

SHORTEST = 0.5
"""No lattice vector is shorter, in Å: two protons in H2 are 0.74 Å apart."""

LONGEST = 1e5
"""No lattice vector that can be treated is longer, in Å."""

FARTHEST = 1e6
"""No atom is more cells away from the first one: its digits behind the point are lost."""

DENSEST = 0.3
"""No atom takes less room, in Å³: hydrogen at 500 GPa takes 1."""


@dataclass(frozen=True, eq=False, repr=False)
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
        If a shape is wrong, a number is not finite, the cell has no volume or is not
        in Å, there is no atom, or two atoms coincide.
    ElementError
        If an atomic number is not an element's.
    """

    cell: "NDArray[np.float64]"
    frac: "NDArray[np.float64]"
    numbers: "NDArray[np.int64]"

    def __init__(
        self, cell: "ArrayLike", frac: "ArrayLike", numbers: "ArrayLike"
    ) -> None:
        arrays = {
            "cell": _array("cell", cell, np.float64),
            "frac": _array("frac", frac, np.float64),
            "numbers": _array("numbers", numbers, np.int64),
        }
        for name, array in arrays.items():
            object.__setattr__(self, name, array)
        _check(self)

    def __repr__(self) -> str:
        return f"Crystal({self.formula}, {self.n_atoms} atoms, {self.volume:.6g} Å³)"

    @classmethod
    def from_symbols(
        cls, cell: "ArrayLike", frac: "ArrayLike", symbols: "Sequence[str]"
    ) -> "Crystal":
        """Make a crystal from chemical symbols.

        Parameters
        ----------
        cell, frac
            As in the constructor.
        symbols : sequence of str
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
        positions = self.frac @ self.cell
        positions.setflags(write=False)
        return positions

    @cached_property
    def volume(self) -> float:
        """Volume of the cell in Å³."""
        (a, b, c), (d, e, f), (g, h, i) = self.cell.tolist()
        return float(
            abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g))
        )

    @property
    def symbols(self) -> list[str]:
        """Chemical symbols, one per atom."""
        return [SYMBOLS[number] for number in self.numbers]

    @cached_property
    def formula(self) -> str:
        """Reduced formula, electropositive elements first, such as ``AlN``."""
        return reduced_formula(self.numbers)


def reduced_formula(numbers: "NDArray[np.int64]") -> str:
    """Write the reduced formula of some atoms.

    Parameters
    ----------
    numbers : ndarray of int, shape (n_atoms,)
        Atomic numbers.

    Returns
    -------
    str
        Electropositive elements first, such as ``AlN``.
    """
    found, counts = np.unique(numbers, return_counts=True)
    divisor = int(np.gcd.reduce(counts))
    count_of = dict(zip(found.tolist(), (counts // divisor).tolist(), strict=True))
    return "".join(
        SYMBOLS[number] + (str(count_of[number]) if count_of[number] > 1 else "")
        for number in sorted(count_of, key=_PLACE.__getitem__)
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
    close = symbol.strip().title()
    hint = f"; did you mean {close!r}?" if close in _NUMBERS and close != symbol else ""
    raise ElementError(f"{symbol[:20]!a} is not a chemical element{hint}")


def _array(
    name: str, given: "ArrayLike", dtype: "type[np.float64 | np.int64]"
) -> "NDArray[Any]":
    """Copy to a read-only array; nothing is cut off on the way."""
    try:
        raw = np.asarray(given)
        array = np.array(raw, dtype=dtype)
    except (TypeError, ValueError, OverflowError):
        raw = array = np.array("no number")
    kinds = "iuf" if dtype is np.float64 else "iu"
    if raw.dtype.kind not in kinds and raw.size:  # an empty list has a float's kind
        kind = "numbers" if dtype is np.float64 else "whole numbers"
        raise StructureError(f"{name} must be an array of {kind}")
    array.setflags(write=False)
    return array


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
    kinds = set(numbers.tolist())
    if not kinds <= _PLACE.keys():
        raise ElementError(
            f"atomic numbers go from 1 to {len(SYMBOLS) - 1}, not "
            f"{min(kinds)} to {max(kinds)}"
        )
    if not np.isfinite(frac).all():
        bad = int(np.flatnonzero(~np.isfinite(frac).all(axis=1))[0])
        raise StructureError(f"atom {bad + 1} has a coordinate that is not finite")
    if abs(frac).max() > FARTHEST:
        raise StructureError(
            f"a fractional coordinate is beyond {FARTHEST:g}: are the coordinates right, "
            "and are they Cartesian or fractional?"
        )
    _refuse_odd_cell(cell.tolist(), crystal.volume, crystal.n_atoms)
    pair = _coincident(cell, frac)
    if pair:
        first, second = (f"{one + 1} ({crystal.symbols[one]})" for one in pair)
        raise StructureError(
            f"atoms {first} and {second} are at the same place (closer than "
            f"{COINCIDENT} Å); remove one of them"
        )


def _refuse_odd_cell(cell: list[list[float]], volume: float, n_atoms: int) -> None:
    """Refuse a cell that is flat, or not in Å; on nine numbers Python beats numpy."""
    lengths = [math.hypot(*row) for row in cell]
    if not math.isfinite(sum(lengths)):
        raise StructureError("the cell has an entry that is not a finite number")
    if min(lengths) < SHORTEST or max(lengths) > LONGEST:
        raise StructureError(
            f"the lattice vectors are {', '.join(f'{one:.4g}' for one in lengths)} Å "
            f"long; from {SHORTEST} to {LONGEST:g} Å make sense: are they in Å?"
        )
    if volume <= 1e-6 * math.prod(lengths):
        raise StructureError("the cell has no volume: its vectors lie in one plane")
    if volume < DENSEST * n_atoms:
        raise StructureError(
            f"there are only {volume / n_atoms:.2g} Å³ for each atom: "
            "is the cell in Å, and are the atoms listed once?"
        )


def _coincident(
    cell: "NDArray[np.float64]", frac: "NDArray[np.float64]"
) -> tuple[int, int] | None:
    """Find two atoms at one place."""
    n_atoms = len(frac)
    if n_atoms > 64:
        return _coincident_among_many(cell, frac - np.floor(frac))
    apart = (frac[:, None] - frac).reshape(-1, 3)
    apart -= np.rint(apart)
    apart = apart @ cell
    near = np.einsum("pi,pi->p", apart, apart) < COINCIDENT**2
    if np.count_nonzero(near) == n_atoms:  # each atom with itself
        return None
    pairs = np.argwhere(np.triu(near.reshape(n_atoms, n_atoms), 1))
    return int(pairs[0, 0]), int(pairs[0, 1])


def _coincident_among_many(
    cell: "NDArray[np.float64]", frac: "NDArray[np.float64]"
) -> tuple[int, int] | None:
    """Find two atoms at one place with memory and time linear in their number.

    Atoms are sorted into boxes of twice the distance that matters. Two near atoms are
    in one box of at least one of the eight grids that differ by half a box.
    """
    reach = COINCIDENT * np.linalg.norm(np.linalg.inv(cell), axis=0)
    boxes = np.clip(0.5 / reach, 1, 1 << 20).astype(np.int64)
    for shift in product((0, 0.5), repeat=3):
        box = np.floor(frac * boxes + shift).astype(np.int64) % boxes
        key = (box[:, 0] * boxes[1] + box[:, 1]) * boxes[2] + box[:, 2]
        order = np.argsort(key, kind="stable")
        for step in range(1, len(frac)):
            same = np.flatnonzero(key[order[step:]] == key[order[:-step]])
            if not same.size:
                break
            apart = frac[order[same + step]] - frac[order[same]]
            apart = (apart - np.rint(apart)) @ cell
            near = same[np.square(apart).sum(axis=1) < COINCIDENT**2]
            if near.size:
                pair = sorted((int(order[near[0]]), int(order[near[0] + step])))
                return pair[0], pair[1]
    return None
