"""What the numbers of a tensor file mean: full, Voigt or Kelvin-Mandel components."""

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.errors import ConfigError, ShapeError
from crystaltensor.symmetry.index_symmetry import IndexSymmetry, parse_index_symmetry
from crystaltensor.symmetry.notation import from_voigt, to_voigt
from crystaltensor.symmetry.projection import project

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

NOTATIONS = ("full", "voigt", "mandel")
"""Ways to write a tensor, by name."""

_CLEAR = 1e-3  # a residual beyond this, ten times the other's, rules a notation out


@dataclass(frozen=True, eq=False)
class Reading:
    """A tensor in full, and how its numbers were understood.

    Parameters
    ----------
    tensor : ndarray, shape (3, ..., 3) or (n_atoms, 3, ..., 3)
        Full components.
    notation : str
        One of `NOTATIONS`.
    order : str
        Of the Voigt components as given: ``"voigt"`` or ``"vasp"``.
    notes : tuple of str
        What was taken for granted, one sentence each without a full stop.
    warnings : tuple of str
        What the numbers alone do not settle.
    """

    tensor: "Floats" = field(repr=False)
    notation: str
    order: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def voigt_shape(indices: IndexSymmetry) -> tuple[int, ...] | None:
    """Give the shape of the Voigt form, or None where there is none.

    Parameters
    ----------
    indices : IndexSymmetry
        Of the tensor.

    Returns
    -------
    tuple of int or None
        (6,), (3, 6), (6, 3) or (6, 6).
    """
    if indices.rank == 2 and indices.joins(0, 1):
        return (6,)
    if indices.rank == 3 and indices.joins(1, 2):
        return (3, 6)
    if indices.rank == 3 and indices.joins(0, 1):
        return (6, 3)
    if indices.rank == 4 and indices.joins(0, 1) and indices.joins(2, 3):
        return (6, 6)
    return None


def as_matrix(
    tensor: "ArrayLike",
    index_symmetry: str,
    *,
    factors: str = "stress",
    order: str = "voigt",
) -> "Floats":
    """Write a full tensor in its Voigt form, whichever pair of indices it joins.

    Parameters
    ----------
    tensor : array_like, shape (..., 3, ..., 3)
        Full components; the last axes are the indices. What Voigt notation cannot hold
        is averaged away.
    index_symmetry : str
        Such as ``"ijk=ikj"``.
    factors, order : str
        As in `to_voigt`.

    Returns
    -------
    ndarray, shape (..., 6), (..., 3, 6), (..., 6, 3) or (..., 6, 6)
        In the unit of `tensor`.

    Raises
    ------
    ShapeError
        If the index symmetry leaves no Voigt form, or the shape does not fit.
    """
    indices = parse_index_symmetry(index_symmetry)
    shape = voigt_shape(indices)
    if shape is None:
        raise ShapeError(f"a tensor with {index_symmetry} has no Voigt form")
    full = np.asarray(tensor, dtype=np.float64)
    rank = indices.rank
    if shape == (6, 3):
        full = np.moveaxis(full, -1, -3)
    full = (full + full.swapaxes(-1, -2)) / 2
    if rank == 4:
        full = (full + full.swapaxes(-3, -4)) / 2
    matrix = to_voigt(full, rank, factors=factors, order=order)
    return matrix.swapaxes(-1, -2) if shape == (6, 3) else matrix


def from_matrix(
    matrix: "ArrayLike",
    index_symmetry: str,
    *,
    factors: str = "stress",
    order: str = "voigt",
) -> "Floats":
    """Write a Voigt form as a full tensor; the inverse of `as_matrix`.

    Parameters
    ----------
    matrix : array_like, shape (..., 6), (..., 3, 6), (..., 6, 3) or (..., 6, 6)
        As the index symmetry asks.
    index_symmetry : str
        Such as ``"ijk=ikj"``.
    factors, order : str
        As in `to_voigt`.

    Returns
    -------
    ndarray, shape (..., 3, ..., 3)
        Full components, in the unit of `matrix`.

    Raises
    ------
    ShapeError
        If the index symmetry leaves no Voigt form, or the shape does not fit.
    """
    indices = parse_index_symmetry(index_symmetry)
    shape = voigt_shape(indices)
    if shape is None:
        raise ShapeError(f"a tensor with {index_symmetry} has no Voigt form")
    given = np.asarray(matrix, dtype=np.float64)
    if shape == (6, 3):
        full = from_voigt(given.swapaxes(-1, -2), 3, factors=factors, order=order)
        return np.moveaxis(full, -3, -1)
    return from_voigt(given, indices.rank, factors=factors, order=order)


def interpret(
    values: "ArrayLike",
    index_symmetry: str,
    *,
    notation: str | None = None,
    order: str = "voigt",
    factors: str = "stress",
    n_atoms: int | None = None,
    rotations: "Floats | None" = None,
    axial: bool = False,
) -> Reading:
    """Read the components of a tensor in whatever notation they are.

    The number of components tells full from Voigt. Voigt and Kelvin-Mandel have as
    many; without `notation` the crystal decides where it can, by its symmetry, and
    Voigt is taken, with a warning, where it cannot.

    Parameters
    ----------
    values : array_like
        In any shape that has the right number of components, in reading order.
    index_symmetry : str
        Such as ``"ijk=ikj"``.
    notation : str, optional
        One of `NOTATIONS`.
    order : str
        Of the Voigt components: ``"voigt"`` or ``"vasp"``.
    factors : str
        ``"stress"`` or ``"strain"``: whether Voigt components have factors 2.
    n_atoms : int, optional
        If there is one tensor for each of so many atoms.
    rotations : ndarray, shape (n_ops, 3, 3), optional
        Point group in the frame of the tensor.
    axial : bool
        Whether the tensor is axial.

    Returns
    -------
    Reading
        The full tensor.

    Raises
    ------
    ShapeError
        If the number of components fits no notation.
    ConfigError
        If the tensor has no such notation.
    """
    indices = parse_index_symmetry(index_symmetry)
    given = np.asarray(values, dtype=np.float64)
    shape = voigt_shape(indices)
    if notation not in {None, *NOTATIONS}:
        raise ConfigError(
            f"unknown notation {notation!r}; known: {', '.join(NOTATIONS)}"
        )
    if n_atoms is not None:
        return _per_atom(given, indices, n_atoms)
    full_shape = (3,) * indices.rank
    if given.size == 3**indices.rank and notation in {None, "full"}:
        return Reading(given.reshape(full_shape), "full", order)
    if shape is None and notation in {"voigt", "mandel"}:
        raise ConfigError(f"a tensor with {index_symmetry} has no {notation} form")
    if shape is None or given.size != prod(shape) or notation == "full":
        raise ShapeError(_wrong_number(given, indices, shape, notation))
    squeezed = tuple(length for length in given.shape if length > 1)
    if squeezed == shape[::-1] and squeezed != shape:
        raise ShapeError(
            f"has shape {given.shape}; a tensor with {index_symmetry} has rows and "
            f"columns {shape}: transpose it"
        )
    matrix = given.reshape(shape)
    notes: tuple[str, ...] = ()
    if shape == (6, 6):
        matrix, notes = _completed(matrix)
    if notation is not None:
        used = factors if notation == "voigt" else "mandel"
        return Reading(
            from_matrix(matrix, index_symmetry, factors=used, order=order),
            notation,
            order,
            notes,
        )
    reading = _voigt_or_mandel(matrix, indices, order, factors, rotations, axial=axial)
    return Reading(
        reading.tensor, reading.notation, order, notes + reading.notes, reading.warnings
    )


def _voigt_or_mandel(
    matrix: "Floats",
    indices: IndexSymmetry,
    order: str,
    factors: str,
    rotations: "Floats | None",
    *,
    axial: bool,
) -> Reading:
    """Let the crystal decide between two notations of one shape."""
    shape = matrix.shape
    as_voigt = from_matrix(matrix, indices.text, factors=factors, order=order)
    as_mandel = from_matrix(matrix, indices.text, factors="mandel", order=order)
    written = " × ".join(str(length) for length in shape)
    if rotations is None or np.array_equal(as_voigt, as_mandel):
        return Reading(as_voigt, "voigt", order, (f"{written} is read as Voigt",))
    residuals = [
        residual(
            tensor,
            project(tensor, rotations, index_symmetry=indices.text, axial=axial),
        )
        or 0.0
        for tensor in (as_voigt, as_mandel)
    ]
    names, tensors = ("Voigt", "Kelvin-Mandel"), (as_voigt, as_mandel)
    for one, other in ((0, 1), (1, 0)):
        if residuals[other] > max(_CLEAR, 10 * residuals[one]):
            note = (
                f"{written} is read as {names[one]}: its symmetry residual is "
                f"{residuals[one]:.1e}, and as {names[other]} {residuals[other]:.1e}"
            )
            return Reading(tensors[one], NOTATIONS[1 + one], order, (note,))
    warning = (
        f"{written} components can be Voigt or Kelvin-Mandel, and the crystal does not "
        "tell; they are read as Voigt (say which with --input-notation)"
    )
    return Reading(as_voigt, "voigt", order, (), (warning,))


def residual(tensor: "ArrayLike", projected: "ArrayLike") -> float | None:
    """Give ‖T − PT‖/‖T‖, or None for a tensor that is zero.

    Parameters
    ----------
    tensor, projected : array_like
        Of one shape.

    Returns
    -------
    float or None
        From 0 to 1.
    """
    given = np.asarray(tensor, dtype=np.float64)
    norm = float(np.linalg.norm(given))
    return float(np.linalg.norm(given - np.asarray(projected))) / norm if norm else None


def _completed(matrix: "Floats") -> "tuple[Floats, tuple[str, ...]]":
    """Fill in the other triangle if only one of a symmetric matrix is given."""
    lower, upper = np.tril(matrix, -1), np.triu(matrix, 1)
    if lower.any() == upper.any():
        return matrix, ()
    side = "upper" if upper.any() else "lower"
    note = f"only the {side} triangle is given; the other is filled in from it"
    return matrix + lower.T + upper.T, (note,)


def _per_atom(given: "Floats", indices: IndexSymmetry, n_atoms: int) -> Reading:
    """Read one tensor per atom."""
    shape = (n_atoms, *(3,) * indices.rank)
    if given.size != prod(shape):
        each = 3**indices.rank
        raise ShapeError(
            f"{n_atoms} atoms need {n_atoms} × {each} = {prod(shape)} components, not "
            f"{given.size}; give one tensor for each atom of the structure, in its order"
        )
    return Reading(given.reshape(shape), "full", "voigt")


def _wrong_number(
    given: "Floats",
    indices: IndexSymmetry,
    shape: tuple[int, ...] | None,
    notation: str | None,
) -> str:
    """Say how many components there must be."""
    counts = {"full": f"{3**indices.rank} components in full"}
    if shape is not None:
        written = " × ".join(str(length) for length in shape)
        counts["voigt"] = f"{prod(shape)} ({written}) in Voigt form"
        counts["mandel"] = f"{prod(shape)} ({written}) in Kelvin-Mandel form"
    wanted = counts.get(notation or "", "") or " or ".join(
        counts[key] for key in ("full", "voigt") if key in counts
    )
    shown = " × ".join(str(length) for length in given.shape) or "1"
    return (
        f"has {given.size} numbers ({shown}); a tensor of rank {indices.rank} with "
        f"{indices.text} has {wanted}"
    )
