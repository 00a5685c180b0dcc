"""Why a label may not fit its structure: other axes, or another Voigt order."""

from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from itertools import permutations, product
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.data.choices import FILE, FRAMES
from crystaltensor.errors import ConfigError, SymmetryError
from crystaltensor.symmetry.frames import frame_rotation
from crystaltensor.symmetry.notation import ORDERS, VOIGT_PAIRS, rotate
from crystaltensor.symmetry.operations import Symmetry, find_symmetry
from crystaltensor.symmetry.projection import project
from crystaltensor.symmetry.sites import project_site_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from crystaltensor.crystals.crystal import Crystal
    from crystaltensor.data.rows import LabelledCrystal
    from crystaltensor.properties import TensorProperty

    Floats = NDArray[np.float64]
    Hypothesis = Callable[[Floats, Symmetry], Floats]

PERMUTED = "permuted"
"""The axes of the label have other names."""

VASP_ORDER = "vasp-order"
"""The columns of the label were in the order of VASP, and were not reordered."""

FITS = 0.02
"""Largest misfit of a label that belongs to its structure in some axes."""

ODD = 0.1
"""A label with a larger misfit, which no other axes explain, is reported."""

_FLOOR = 0.05  # a nearly isotropic label is not judged by its noise
_FINEST = 1e-3


@dataclass(frozen=True)
class Examined:
    """How a label and the symmetry of its structure go together.

    Parameters
    ----------
    symmetry : Symmetry
        At the first tolerance at which the label fits in some axes.
    residual : float
        Part of the label that this symmetry forbids, relative to its norm.
    residual_aniso : float
        The same relative to what is not isotropic in the label, see `misfit`.
    symprec : float or None
        Tolerance in Å at which the symmetry allows the label as it is.
    fits : tuple of str
        What would make it fit: `FILE` if it does, at the coarsest tolerance at which
        anything does; else names of `FRAMES`, `PERMUTED` or `VASP_ORDER`.
    """

    symmetry: Symmetry
    residual: float
    residual_aniso: float
    symprec: float | None
    fits: tuple[str, ...]


@lru_cache(maxsize=8192)
def symmetry_of(crystal: "Crystal", symprec: float) -> Symmetry:
    """Find a symmetry once: the audit, the splits and the labels ask for the same."""
    return find_symmetry(crystal, symprec=symprec)


def allowed_part(
    tensor: "Floats", symmetry: Symmetry, row: "TensorProperty"
) -> "Floats":
    """Project a label onto what the symmetry of its crystal allows.

    Parameters
    ----------
    tensor : ndarray, shape (3, ..., 3) or (n_atoms, 3, ..., 3)
        The label.
    symmetry : Symmetry
        Of the crystal.
    row : TensorProperty
        What the label is. Those of atoms obey the acoustic sum rule afterwards.

    Returns
    -------
    ndarray, same shape
        The allowed part.
    """
    if row.per_atom:
        return project_site_tensors(tensor, symmetry, sum_rule=True)
    return project(tensor, symmetry.rotations, index_symmetry=row.index_symmetry)


def examine(
    labelled: "LabelledCrystal", row: "TensorProperty", symprec: "Sequence[float]"
) -> Examined:
    """Ask whether a label fits its structure, and what would make it fit.

    The tolerances are tried in their order. The first at which the label fits in any
    axes decides: a label that has the higher symmetry in other axes has not got the
    lower one in those of the file.

    Parameters
    ----------
    labelled : LabelledCrystal
        A row.
    row : TensorProperty
        What the label is.
    symprec : sequence of float
        Largest distances between equivalent atoms, in Å.

    Returns
    -------
    Examined
        The answer.

    Raises
    ------
    SymmetryError
        If no symmetry is found at any tolerance.
    """
    fitting: dict[str, Symmetry] = {}
    first: Symmetry | None = None
    for tolerance in symprec:
        symmetry = _symmetry_at(labelled, row, tolerance)
        if symmetry is None:
            continue
        first = first or symmetry
        if not row.rank:  # every symmetry allows a scalar
            return Examined(symmetry, 0.0, 0.0, tolerance, (FILE,))
        if _fitting(labelled, row, symmetry, {FILE: _as_it_is}):
            fitting[FILE] = symmetry
            break
        for name in _fitting(labelled, row, symmetry, _hypotheses(row)):
            fitting.setdefault(name, symmetry)
    if first is None:
        raise SymmetryError(f"{labelled.name}: no symmetry to compare the label with")
    if not fitting and _fitting(labelled, row, first, _permutations(row)):
        fitting[PERMUTED] = first
    decisive = next(iter(fitting.values()), first)
    names = tuple(name for name in fitting if name != FILE) or tuple(fitting)
    part = allowed_part(labelled.tensor, decisive, row)
    norm = float(np.linalg.norm(labelled.tensor))
    return Examined(
        symmetry=decisive,
        residual=float(np.linalg.norm(labelled.tensor - part)) / norm if norm else 0.0,
        residual_aniso=misfit(labelled.tensor, part, row),
        symprec=_allowing(labelled, row, fitting.get(FILE)),
        fits=names,
    )


def _allowing(
    labelled: "LabelledCrystal", row: "TensorProperty", found: Symmetry | None
) -> float | None:
    """Give the tolerance at which a label is allowed, a finer one than asked if need be."""
    found = found or _symmetry_at(labelled, row, _FINEST)
    if found and _fitting(labelled, row, found, {FILE: _as_it_is}):
        return found.symprec
    return None


def _symmetry_at(
    labelled: "LabelledCrystal", row: "TensorProperty", tolerance: float
) -> Symmetry | None:
    """Find the symmetry; none if the atoms cannot be told apart at this tolerance."""
    try:
        symmetry = symmetry_of(labelled.crystal, tolerance)
        if row.per_atom:
            _ = symmetry.permutations  # raises where two atoms have one image
    except SymmetryError:
        return None
    return symmetry


def _fitting(
    labelled: "LabelledCrystal",
    row: "TensorProperty",
    symmetry: Symmetry,
    hypotheses: "dict[str, Hypothesis]",
) -> list[str]:
    """List the hypotheses under which a label fits its structure."""
    tried = np.stack(
        [change(labelled.tensor, symmetry) for change in hypotheses.values()]
    )
    if row.per_atom:
        kept = np.stack([allowed_part(each, symmetry, row) for each in tried])
    else:
        kept = allowed_part(tried, symmetry, row)
    return [
        name
        for name, whole, part in zip(hypotheses, tried, kept, strict=True)
        if misfit(whole, part, row) <= FITS
    ]


def in_file_axes(
    rows: "Sequence[LabelledCrystal]",
    row: "TensorProperty",
    *,
    frame: str,
    symprec: float,
) -> "list[LabelledCrystal]":
    """Turn labels from other axes into those of the structures.

    Parameters
    ----------
    rows : sequence of LabelledCrystal
        With labels in other axes.
    row : TensorProperty
        What the labels are.
    frame : str
        `FILE`, or a name of `FRAMES`.
    symprec : float
        For the symmetry that fixes the axes, in Å.

    Returns
    -------
    list of LabelledCrystal
        The same crystals.

    Raises
    ------
    ConfigError
        If the label has no axes.
    """
    if frame == FILE:
        return list(rows)
    if not row.rank:
        raise ConfigError(
            f"label_frame = {frame!r}: {row.name} is a scalar, without axes"
        )
    return [
        replace(
            each,
            tensor=_from_frame(
                each.tensor,
                symmetry_of(each.crystal, symprec),
                name=frame,
                rank=row.rank,
            ),
        )
        for each in rows
    ]


def misfit(tensor: "Floats", allowed: "Floats", row: "TensorProperty") -> float:
    r"""Measure what symmetry forbids of a label.

    .. math:: \frac{|T - PT|}{\max(|T - T_\mathrm{iso}|, |T| / 20)}

    The isotropic part is allowed in all crystals and would hide a wrong frame; the
    floor keeps the noise of a nearly isotropic label from being all that counts.

    Parameters
    ----------
    tensor : ndarray
        A label.
    allowed : ndarray
        Its allowed part.
    row : TensorProperty
        What it is.

    Returns
    -------
    float
        0 for a label that fits.
    """
    norm = float(np.linalg.norm(tensor))
    if norm == 0:
        return 0.0
    uneven = float(np.linalg.norm(tensor - isotropic_part(tensor, row)))
    return float(np.linalg.norm(tensor - allowed)) / max(uneven, _FLOOR * norm)


def isotropic_part(tensor: "Floats", row: "TensorProperty") -> "Floats":
    """Give the part of a label that does not depend on the axes."""
    one = np.eye(3)
    if row.rank == 2:
        mean: Floats = np.trace(tensor, axis1=-2, axis2=-1)[..., None, None] / 3 * one
        return mean
    if row.rank == 4:
        bulk = np.einsum("iijj", tensor) / 9
        shear = (3 * np.einsum("ijij", tensor) - np.einsum("iijj", tensor)) / 30
        ones = np.einsum("ij,kl->ijkl", one, one)
        pairs = ones.transpose(0, 2, 1, 3) + ones.transpose(0, 2, 3, 1)
        even: Floats = (bulk - 2 * shear / 3) * ones + shear * pairs
        return even
    return np.zeros_like(tensor)


def _hypotheses(row: "TensorProperty") -> "dict[str, Hypothesis]":
    """List what to try where the label does not fit as it is."""
    found: dict[str, Hypothesis] = {
        name: partial(_from_frame, name=name, rank=row.rank) for name in FRAMES
    }
    if row.rank > 2:  # two Cartesian indices need no order
        found[VASP_ORDER] = _reordered
    return found


def _permutations(row: "TensorProperty") -> "dict[str, Hypothesis]":
    """List all ways to rename the axes, the last resort."""
    return {
        str(number): partial(_turned, rotation=matrix, rank=row.rank)
        for number, matrix in enumerate(_cube_rotations())
    }


def _as_it_is(tensor: "Floats", symmetry: Symmetry) -> "Floats":  # noqa: ARG001
    """Take the label as it is."""
    return tensor


def _turned(
    tensor: "Floats",
    symmetry: Symmetry,  # noqa: ARG001 - all hypotheses are called alike
    *,
    rotation: "Floats",
    rank: int,
) -> "Floats":
    """Take the label to be in turned axes."""
    return rotate(tensor, rotation, rank=rank)


def _from_frame(
    tensor: "Floats", symmetry: Symmetry, *, name: str, rank: int
) -> "Floats":
    """Take the label to be in another frame, and bring it into that of the file."""
    return rotate(tensor, rotation_to(symmetry, name).T, rank=rank)


def rotation_to(symmetry: Symmetry, name: str) -> "Floats":
    """Give the rotation from the axes of the file to others.

    Parameters
    ----------
    symmetry : Symmetry
        Of the crystal.
    name : str
        A name of `FRAMES`.

    Returns
    -------
    ndarray, shape (3, 3)
        Its rows are the new axes.
    """
    if name in {"standard", "ieee"}:
        return frame_rotation(symmetry, name)
    return _lattice_axes(symmetry.crystal, name)


def _lattice_axes(crystal: "Crystal", name: str) -> "Floats":
    """Give axes along the lattice vectors of the file."""
    hand = np.sign(np.linalg.det(crystal.cell))
    a, b, c = hand * crystal.cell
    if name == "a-along-x":
        x, z = a / np.linalg.norm(a), np.cross(a, b)
        z /= np.linalg.norm(z)
        return np.stack([x, np.cross(z, x), z])
    z, y = c / np.linalg.norm(c), np.cross(c, a)
    y /= np.linalg.norm(y)
    return np.stack([np.cross(y, z), y, z])


def _reordered(tensor: "Floats", symmetry: Symmetry) -> "Floats":  # noqa: ARG001
    """Take the Voigt columns to have been in the order of VASP."""
    # VASP's fourth column is xy, but was read as yz: what stands at yz belongs to xy.
    source = np.zeros((3, 3), dtype=np.int64)
    for place, component in enumerate(ORDERS["vasp"]):
        i, j = VOIGT_PAIRS[component]
        k, m = VOIGT_PAIRS[place]
        source[i, j] = source[j, i] = 3 * k + m
    flat = tensor.reshape(*tensor.shape[:-2], 9)[..., source]
    if tensor.ndim == 4:
        flat = flat.reshape(9, 9)[source].reshape(tensor.shape)
    return flat


@cache
def _cube_rotations() -> tuple["Floats", ...]:
    """List the 24 rotations of a cube: all ways to rename right-handed axes."""
    found = []
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            matrix = np.diag(signs)[list(order)]
            if np.linalg.det(matrix) > 0:
                found.append(matrix)
    return tuple(found)
