"""Tensors that belong to atoms, such as Born charges, under a space group."""

from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.errors import ShapeError
from crystaltensor.symmetry.coordinates import component_basis
from crystaltensor.symmetry.notation import rotate
from crystaltensor.symmetry.projection import ZERO, projector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from crystaltensor.symmetry.operations import Symmetry


def project_site_tensors(
    tensors: "ArrayLike",
    symmetry: "Symmetry",
    *,
    axial: bool = False,
    sum_rule: bool = False,
) -> "NDArray[np.float64]":
    r"""Average tensors that belong to atoms, such as Born charges, over a space group.

    .. math:: Z'_{g(\kappa)} = |G|^{-1} \sum_g R^g Z_\kappa (R^g)^T

    Parameters
    ----------
    tensors : array_like, shape (n_atoms, 3, ..., 3)
        One tensor of rank 1 to 4 for each atom, in the order of the crystal.
    symmetry : Symmetry
        Of the crystal, in whose frame the tensors are.
    axial : bool
        Whether the tensors change sign under improper operations in addition.
    sum_rule : bool
        Whether to subtract the mean over the atoms, so that the sum is zero: the
        acoustic sum rule, which the symmetry does not imply.

    Returns
    -------
    ndarray, shape (n_atoms, 3, ..., 3)
        The closest tensors that the space group allows, in the unit of `tensors`.

    Raises
    ------
    ShapeError
        If there is not one tensor of rank 1 to 4 for each atom.
    SymmetryError
        If the operations do not permute the atoms, which a coarse tolerance can cause.
    """
    given = np.asarray(tensors, dtype=np.float64)
    atoms = symmetry.primitive_index
    rank = given.ndim - 1
    if given.shape != (len(atoms), *(3,) * rank) or not 1 <= rank <= 4:
        raise ShapeError(
            f"{len(atoms)} atoms need tensors of shape ({len(atoms)}, 3, ..., 3) and "
            f"rank 1 to 4, not {given.shape}"
        )
    # Atoms that a lattice translation joins have equal tensors.
    mean = np.zeros((atoms.max() + 1, *given.shape[1:]))
    np.add.at(mean, atoms, given)
    mean /= np.bincount(atoms).reshape(-1, *(1,) * rank)
    total = np.zeros_like(mean)
    for rotation, images in zip(symmetry.rotations, symmetry.permutations, strict=True):
        total[images] += rotate(mean, rotation, rank=rank, axial=axial)
    total /= symmetry.n_ops
    total[np.abs(total) < ZERO * np.abs(given).max()] = 0.0
    averaged = total[atoms]
    return averaged - averaged.mean(axis=0) if sum_rule else averaged


def site_projectors(symmetry: "Symmetry", index_symmetry: str) -> "NDArray[np.float64]":
    """Project on what the site symmetry of each atom allows of a tensor there.

    Parameters
    ----------
    symmetry : Symmetry
        Of the crystal.
    index_symmetry : str
        Of the tensors, such as ``"ij"``.

    Returns
    -------
    ndarray, shape (n_atoms, n_components, n_components)
        In irreducible components, see `component_basis`.

    Raises
    ------
    SymmetryError
        If the operations do not permute the atoms, which a coarse tolerance can cause.
    """
    basis = component_basis(index_symmetry)
    rank = len(index_symmetry.split("=", maxsplit=1)[0])
    stays = symmetry.permutations == np.arange(symmetry.permutations.shape[1])
    found: dict[bytes, NDArray[np.float64]] = {}
    for mask in stays.T:
        if mask.tobytes() not in found:
            allowed = basis @ projector(symmetry.rotations[mask], rank) @ basis.T
            found[mask.tobytes()] = allowed
    primitive = np.stack([found[mask.tobytes()] for mask in stays.T])
    return primitive[symmetry.primitive_index]
