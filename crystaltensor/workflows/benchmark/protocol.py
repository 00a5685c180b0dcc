"""The conventions in which GMTNet and the codes after it publish their errors.

Facts read off the published evaluation [1]_: dielectric tensors are compared as 3×3,
piezoelectric ones as 3×6 and elastic ones as 6×6 matrices, in VASP's order xx yy zz xy
yz zx and without factors, so that shear components count once. The relative error is
‖error‖/‖label‖, for piezoelectric and elastic tensors ‖error‖/(‖label‖ + 1e-5); EwT
counts what is strictly below 25, 10, 5 %. A prediction succeeds if the components that
symmetry forbids are at most 1e-5, and those that it makes equal (for piezoelectric and
elastic tensors also: opposite) differ by at most 1e-4, in the unit of the property,
whatever the size of the tensor.

References
----------
.. [1] K. Yan, A. Saxton, X. Qian, X. Qian and S. Ji, ICML (2024), arXiv:2406.12888, with
   its public code.
"""

from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.symmetry.notation import to_voigt
from crystaltensor.symmetry.projection import project
from crystaltensor.training.metrics import TensorErrors, tensor_errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crystaltensor.properties import TensorProperty

    Floats = NDArray[np.float64]

LARGEST_FORBIDDEN = 1e-5
LARGEST_DIFFERENCE = 1e-4
OFFSET = 1e-5
"""What is added to the norm of a label of rank 3 or 4."""

SYSTEMS = {
    "triclinic": 1,
    "monoclinic": 3,
    "orthorhombic": 16,
    "tetragonal": 75,
    "trigonal": 143,
    "hexagonal": 168,
    "cubic": 195,
}
"""Crystal systems, each with the number of its first space group."""


def crystal_system(number: int, *, merge_trigonal: bool = False) -> str:
    """Name the crystal system of a space group.

    Parameters
    ----------
    number : int
        1 to 230.
    merge_trigonal : bool
        Whether trigonal groups count as hexagonal, as in the published evaluation of
        dielectric tensors.

    Returns
    -------
    str
        One of `SYSTEMS`.
    """
    name = [system for system, first in SYSTEMS.items() if number >= first][-1]
    return "hexagonal" if merge_trigonal and name == "trigonal" else name


def flatten(tensors: "Floats", rank: int) -> "Floats":
    """Write tensors as the matrices that are compared.

    Parameters
    ----------
    tensors : ndarray, shape (n, 3, ..., 3)
        Full components.
    rank : int
        2, 3 or 4.

    Returns
    -------
    ndarray, shape (n, 3, 3), (n, 3, 6) or (n, 6, 6)
        In VASP's order.
    """
    return tensors if rank == 2 else to_voigt(tensors, rank, order="vasp")


def published_errors(predicted: "Floats", label: "Floats", rank: int) -> TensorErrors:
    """Compare predictions with labels in the published conventions.

    Parameters
    ----------
    predicted, label : ndarray, shape (n, 3, ..., 3)
        Full components.
    rank : int
        2, 3 or 4.

    Returns
    -------
    TensorErrors
        Of the matrices.
    """
    found = tensor_errors(flatten(predicted, rank), flatten(label, rank))
    if rank == 2:
        return found
    relative = found.errors / (found.norms + OFFSET)
    return TensorErrors(
        found.errors, found.norms, relative, found.cosines, found.absolute
    )


def succeeds(tensor: "Floats", rotations: "Floats", row: "TensorProperty") -> bool:
    """Say whether a prediction obeys symmetry within the published tolerances.

    Parameters
    ----------
    tensor : ndarray, shape (3, ..., 3)
        Full components, in the unit of the property.
    rotations : ndarray, shape (n_ops, 3, 3)
        The point group, in the frame of the tensor.
    row : TensorProperty
        What it is.

    Returns
    -------
    bool
        Whether every forbidden component is small and equal ones are equal.
    """
    # Whatever is zero or equal in the projection of random numbers is so by symmetry.
    generic = np.random.default_rng(0).normal(size=(3,) * row.rank)
    allowed = project(generic, rotations, index_symmetry=row.index_symmetry)
    ideal = flatten(allowed[None], row.rank).ravel()
    given = flatten(tensor[None], row.rank).ravel()
    zero = np.abs(ideal) < 1e-10
    if (np.abs(given[zero]) > LARGEST_FORBIDDEN).any():
        return False
    ideal, given = ideal[~zero], given[~zero]
    equal = np.abs(ideal[:, None] - ideal) < 1e-10
    if (np.abs(given[:, None] - given)[equal] > LARGEST_DIFFERENCE).any():
        return False
    opposite = np.abs(ideal[:, None] + ideal) < 1e-10
    differ = np.abs(given[:, None] + given)[opposite] > LARGEST_DIFFERENCE
    return row.rank == 2 or not bool(differ.any())
