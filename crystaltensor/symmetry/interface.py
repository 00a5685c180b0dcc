"""The symmetry functions for arrays and the objects of pymatgen and ASE."""

from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.crystals.conversion import as_crystal
from crystaltensor.errors import ConfigError
from crystaltensor.properties import tensor_property
from crystaltensor.symmetry.forms import AllowedForm, allowed_form
from crystaltensor.symmetry.frames import frame_rotation
from crystaltensor.symmetry.index_symmetry import parse_index_symmetry
from crystaltensor.symmetry.notation import rotate
from crystaltensor.symmetry.operations import Symmetry, find_symmetry
from crystaltensor.symmetry.point_groups import point_group_rotations
from crystaltensor.symmetry.projection import project
from crystaltensor.symmetry.sites import project_site_tensors

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


def space_group(structure: object, *, symprec: float = 0.01) -> Symmetry:
    """Find the space group of a crystal in any form that Python users have.

    Parameters
    ----------
    structure : Crystal, pymatgen Structure or ASE Atoms
        Any cell.
    symprec : float
        Largest distance between equivalent atoms, in Å.

    Returns
    -------
    Symmetry
        In the Cartesian frame of `structure`.

    Raises
    ------
    StructureError
        If it is no crystal.
    SymmetryError
        If no group is found.
    """
    return find_symmetry(as_crystal(structure), symprec=symprec)


def symmetrize(
    tensor: "ArrayLike",
    structure: object,
    property_name: str | None = None,
    *,
    index_symmetry: str | None = None,
    axial: bool = False,
    frame: str = "input",
    symprec: float = 0.01,
) -> "Floats":
    """Project full tensors onto what a crystal allows.

    Parameters
    ----------
    tensor : array_like, shape (..., 3, ..., 3), or a pymatgen tensor
        Full components in the frame of `structure`; leading axes are a batch, or the
        atoms for ``"born-charges"``.
    structure : Crystal, pymatgen Structure, ASE Atoms, or Symmetry
        The crystal. Give a `Symmetry` to project many tensors of one crystal.
    property_name : str, optional
        Such as ``"piezo"``; it sets the index symmetry.
    index_symmetry : str, optional
        Such as ``"ijk=ikj"``; none if neither is given.
    axial : bool
        Whether the tensor changes sign under improper operations in addition.
    frame : str
        Frame of the result: ``"input"``, ``"ieee"`` or ``"standard"``.
    symprec : float
        Largest distance between equivalent atoms, in Å.

    Returns
    -------
    ndarray, or the pymatgen class of `tensor`
        Full components, in the unit of `tensor`.

    Raises
    ------
    CrystalTensorError
        If the structure, the shape or a name does not fit.
    """
    found = structure if isinstance(structure, Symmetry) else None
    symmetry = found or space_group(structure, symprec=symprec)
    given = np.asarray(tensor, dtype=np.float64)
    indices, per_atom = _indices(given, property_name, index_symmetry)
    if per_atom:
        projected = project_site_tensors(given, symmetry, axial=axial)
    else:
        projected = project(
            given, symmetry.rotations, index_symmetry=indices, axial=axial
        )
    rank = parse_index_symmetry(indices).rank
    turned = rotate(projected, frame_rotation(symmetry, frame), rank=rank, axial=axial)
    return _like(tensor, turned if frame != "input" else projected)


def to_frame(
    tensor: "ArrayLike",
    structure: object,
    frame: str,
    *,
    source: str = "input",
    rank: int | None = None,
    symprec: float = 0.01,
) -> "Floats":
    """Express a full tensor in another frame of its crystal; nothing is projected.

    Parameters
    ----------
    tensor : array_like, shape (..., 3, ..., 3), or a pymatgen tensor
        Full components in the frame `source`.
    structure : Crystal, pymatgen Structure, ASE Atoms, or Symmetry
        The crystal.
    frame, source : str
        ``"input"``, ``"ieee"`` or ``"standard"``.
    rank : int, optional
        Number of Cartesian axes; all axes if it is not given.
    symprec : float
        Largest distance between equivalent atoms, in Å.

    Returns
    -------
    ndarray, or the pymatgen class of `tensor`
        Full components.

    Raises
    ------
    CrystalTensorError
        If the structure, the shape or a frame does not fit.
    """
    found = structure if isinstance(structure, Symmetry) else None
    symmetry = found or space_group(structure, symprec=symprec)
    turn = frame_rotation(symmetry, frame) @ frame_rotation(symmetry, source).T
    return _like(tensor, rotate(tensor, turn, rank=rank))


def tensor_form(
    structure: object,
    property_name: str | None = None,
    *,
    index_symmetry: str | None = None,
    axial: bool = False,
    frame: str = "input",
    symprec: float = 0.01,
) -> AllowedForm:
    """Find which entries of a tensor a crystal, or a crystal class, allows.

    Parameters
    ----------
    structure : str, Crystal, pymatgen Structure, ASE Atoms, or Symmetry
        The crystal; a text is a point group such as ``"6mm"``, in IEEE axes.
    property_name, index_symmetry, axial, frame, symprec
        As in `symmetrize`.

    Returns
    -------
    AllowedForm
        Zeros, equalities, signs and the names of the independent components.

    Raises
    ------
    CrystalTensorError
        If the structure or a name does not fit.
    """
    symbol = "T" if property_name is None else tensor_property(property_name).symbol
    indices, _ = _indices(None, property_name, index_symmetry)
    if isinstance(structure, str):
        rotations = point_group_rotations(structure)
    else:
        found = structure if isinstance(structure, Symmetry) else None
        symmetry = found or space_group(structure, symprec=symprec)
        turn = frame_rotation(symmetry, frame)
        rotations = turn @ symmetry.rotations @ turn.T
    return allowed_form(rotations, indices, symbol=symbol, axial=axial)


def _indices(
    given: "Floats | None", property_name: str | None, index_symmetry: str | None
) -> tuple[str, bool]:
    """Settle the index symmetry, and whether each atom has a tensor."""
    if property_name is not None:
        row = tensor_property(property_name)
        return row.index_symmetry, row.per_atom
    if index_symmetry is not None:
        return index_symmetry, False
    if given is None or not 1 <= given.ndim <= 4:
        raise ConfigError("say what the tensor is: a property, or an index symmetry")
    return "ijkl"[: given.ndim], False


def _like(tensor: object, result: "Floats") -> "Floats":
    """Give a result the class of what came in, such as pymatgen's PiezoTensor."""
    if isinstance(tensor, np.ndarray) and type(tensor) is not np.ndarray:
        again: Floats = type(tensor)(result)
        return again
    return result
