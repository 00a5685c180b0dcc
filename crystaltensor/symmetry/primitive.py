"""The primitive cell of a crystal, made exactly symmetric, in the frame of the input."""

from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.symmetry.operations import Symmetry, find_symmetry
from crystaltensor.symmetry.structures import symmetrize_crystal

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FINE = 1e-4  # Å; the averaged structure is symmetric to rounding


def primitive_symmetry(symmetry: Symmetry) -> "tuple[Symmetry, NDArray[np.int64]]":
    """Average a crystal over its space group and reduce it to a primitive cell.

    Parameters
    ----------
    symmetry : Symmetry
        Of any cell of the crystal.

    Returns
    -------
    Symmetry
        Of the primitive crystal, which it holds; its axes are those of the input, but
        for the strain that made the input symmetric.
    ndarray of int, shape (n_atoms,)
        The atom of the primitive cell that each atom of the input is a copy of.

    Raises
    ------
    SymmetryError
        If the operations do not permute the atoms, which a coarse tolerance can cause.
    """
    exact = find_symmetry(symmetrize_crystal(symmetry).crystal, symprec=_FINE)
    crystal, index = exact.crystal, exact.primitive_index
    first = np.unique(index, return_index=True)[1]
    cell = exact.primitive_cell
    frac = (crystal.positions @ np.linalg.inv(cell))[first]
    primitive = Crystal(cell, frac, crystal.numbers[first])
    return find_symmetry(primitive, symprec=_FINE), index
