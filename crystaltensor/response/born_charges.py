"""Born charges of a primitive crystal, from a file or from a trained model."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.crystals.tensor_files import read_tensor
from crystaltensor.errors import ShapeError
from crystaltensor.properties import BORN_CHARGES
from crystaltensor.symmetry.notation import rotate
from crystaltensor.symmetry.sites import project_site_tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crystaltensor.symmetry.operations import Symmetry

    Floats = NDArray[np.float64]


def read_born_charges(path: str | Path, symmetry: "Symmetry") -> "Floats":
    """Read Born charges and make them as symmetric as the crystal.

    Parameters
    ----------
    path : path
        OUTCAR, vasprun.xml, JSON or another file that `read_tensor` reads; one tensor
        for each atom, in the order of the crystal's file.
    symmetry : Symmetry
        Of the crystal as given.

    Returns
    -------
    ndarray, shape (n_atoms, 3, 3)
        In e, in the frame of the crystal, summing to zero; first index the
        polarisation, second the displacement.

    Raises
    ------
    FormatError
        If the file holds no such numbers.
    ShapeError
        If it has another number of atoms, or the tensors do not fit the crystal.
    """
    given = read_tensor(
        path, property_name=BORN_CHARGES.name, keys=(BORN_CHARGES.label,)
    )
    charges, n_atoms = given.values, symmetry.crystal.n_atoms
    if charges.shape != (n_atoms, 3, 3):
        raise ShapeError(
            f"{given.source}: Born charges of {n_atoms} atoms have shape "
            f"({n_atoms}, 3, 3), not {charges.shape}"
        )
    if given.rotation is not None:
        charges = rotate(charges, given.rotation.T, rank=2)
    allowed = project_site_tensors(charges, symmetry, sum_rule=True)
    size = max(float(np.linalg.norm(charges)), 1e-9)
    lost = float(np.linalg.norm(charges - allowed)) / size
    if lost > _LARGEST_LOSS:
        raise ShapeError(
            f"{given.source}: {100 * lost:.0f} % of the Born charges contradict the "
            "symmetry of the crystal; are the atoms in its order, and the axes its own?"
        )
    return allowed


_LARGEST_LOSS = 0.3  # of the norm: rounding and broken sum rules take a few per cent


def to_primitive(charges: "Floats", index: "NDArray[np.int64]") -> "Floats":
    """Keep the charges of the atoms of the primitive cell, summing to zero."""
    first = np.unique(index, return_index=True)[1]
    kept = charges[first]
    return np.asarray(kept - kept.mean(axis=0))
