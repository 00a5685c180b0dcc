"""Which rotations a space group cannot tell from none.

A standardised cell is fixed by its space group up to the rotations that map lattice and
point group to themselves but are no operations of the crystal: a polar axis may point
up or down, a rhombohedral cell may be obverse or reverse. A tensor that was published in
standardised axes, without the atoms, is therefore known up to these.
"""

from itertools import permutations, product
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.symmetry.notation import rotate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crystaltensor.symmetry.operations import Symmetry

    Floats = NDArray[np.float64]

_SAME = 1e-6
_LATTICE_MISFIT = 0.05  # of a lattice vector's fractions: cells are measured, not exact


def indistinguishable(tensor: "Floats", symmetry: "Symmetry") -> "Floats":
    """List what a tensor may be whose standardised axes are known without the atoms.

    Parameters
    ----------
    tensor : ndarray, shape (3, ..., 3)
        Allowed by the crystal, in its frame.
    symmetry : Symmetry
        Of the crystal.

    Returns
    -------
    ndarray, shape (n_alternatives, 3, ..., 3)
        The tensor itself first; no two are equal.
    """
    axes = symmetry.std_rotation
    group = axes @ symmetry.rotations @ axes.T
    size = max(float(np.linalg.norm(tensor)), _SAME)
    found = [tensor]
    for turn in _candidates(symmetry.number):
        if not (_keeps_lattice(turn, symmetry.std_cell) and _normalizes(turn, group)):
            continue
        turned = rotate(tensor, axes.T @ turn @ axes)
        if all(np.linalg.norm(turned - one) > _SAME * size for one in found):
            found.append(turned)
    return np.stack(found)


def _candidates(number: int) -> "list[Floats]":
    """Proper rotations of the cube, or of the hexagonal prism."""
    if not 143 <= number <= 194:
        signed = (
            np.eye(3)[list(order)] * np.array(signs)[:, None]
            for order in permutations(range(3))
            for signs in product((1.0, -1.0), repeat=3)
        )
        return [one for one in signed if np.linalg.det(one) > 0]
    turns = []
    for step in range(6):
        c, s = np.cos(step * np.pi / 3), np.sin(step * np.pi / 3)
        about = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        turns += [about, about @ np.diag([1.0, -1.0, -1.0])]
    return turns


def _keeps_lattice(turn: "Floats", cell: "Floats") -> bool:
    """Whether a rotation maps a lattice to itself."""
    fractions = cell @ turn.T @ np.linalg.inv(cell)
    return bool(np.abs(fractions - np.round(fractions)).max() < _LATTICE_MISFIT)


def _normalizes(turn: "Floats", group: "Floats") -> bool:
    """Whether a rotation maps a point group to itself."""
    turned = turn @ group @ turn.T
    apart = np.abs(turned[:, None] - group).max(axis=(2, 3))
    return bool((apart.min(axis=1) < _SAME).all())
