"""The structure nearest to a crystal's that has its space group exactly."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.crystals.crystal import Crystal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crystaltensor.symmetry.operations import Symmetry

    Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SymmetrizedCrystal:
    """A crystal made exactly symmetric, and what that took.

    Parameters
    ----------
    crystal : Crystal
        In the cell, the orientation and the order of atoms of the input.
    largest_displacement : float
        Of an atom, in Å, besides the strain of the cell.
    mean_displacement : float
        Root mean square over the atoms, in Å.
    strain : float
        Largest principal strain of the cell.
    """

    crystal: Crystal
    largest_displacement: float
    mean_displacement: float
    strain: float


def symmetrize_crystal(symmetry: "Symmetry") -> SymmetrizedCrystal:
    r"""Average the atoms of a crystal over its space group.

    .. math:: x'_{g(\kappa)} = |G|^{-1} \sum_g ( W_g x_\kappa + w_g )

    Parameters
    ----------
    symmetry : Symmetry
        Found at the tolerance that says which atoms are equivalent.

    Returns
    -------
    SymmetrizedCrystal
        The averaged crystal; searching it at a fine tolerance finds the same group.

    Raises
    ------
    SymmetryError
        If the operations do not permute the atoms, which a coarse tolerance can cause.
    """
    given = symmetry.crystal
    to_primitive = given.cell @ np.linalg.inv(symmetry.primitive_cell)
    frac = given.frac @ to_primitive
    first = np.unique(symmetry.primitive_index, return_index=True)[1]
    # Copies by a lattice translation first: where they are on the mean.
    base = frac[first][symmetry.primitive_index]
    copies = np.round(frac - base)
    count = np.bincount(symmetry.primitive_index)
    mean = np.zeros((len(first), 3))
    np.add.at(mean, symmetry.primitive_index, frac - copies)
    mean /= count[:, None]
    back = np.linalg.inv(to_primitive)
    total = np.zeros_like(mean)
    operations = zip(
        symmetry.frac_rotations,
        symmetry.translations,
        symmetry.permutations,
        strict=True,
    )
    for rotation, translation, images in operations:
        moved = mean @ back @ rotation.T @ to_primitive + translation @ to_primitive
        total[images] += moved - np.round(moved - mean[images])
    averaged = total / symmetry.n_ops
    new_frac = (averaged[symmetry.primitive_index] + copies) @ back
    moved = np.linalg.norm((new_frac - given.frac) @ symmetry.cell, axis=1)
    stretch = np.linalg.svd(np.linalg.solve(given.cell, symmetry.cell))[1]
    return SymmetrizedCrystal(
        crystal=Crystal(symmetry.cell, new_frac, given.numbers),
        largest_displacement=float(moved.max()),
        mean_displacement=float(np.sqrt(np.square(moved).mean())),
        strain=float(np.abs(stretch - 1).max()),
    )
