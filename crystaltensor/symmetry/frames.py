"""Cartesian frames of a crystal: the file's, the standardised and the IEEE axes."""

from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.errors import ConfigError, SymmetryError
from crystaltensor.symmetry.anchored import AnchoredSymmetry
from crystaltensor.symmetry.notation import rotate
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.symmetry.point_groups import (
    crystal_system,
    is_polar,
    point_group_rotations,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from crystaltensor.symmetry.operations import Symmetry

    Floats = NDArray[np.float64]

FRAMES = ("input", "ieee", "standard")
"""Frames that a tensor can be in, by name."""

_EQUAL = 1e-6  # lengths that differ by less are equal: rounding must not choose axes
_SAME = 1e-6  # two operations that differ by less are one

# What the standard makes positive, by class, the first first: constants of the tensor
# d, as (i, j, k) from zero, and what may be turned to make them so.
_POSITIVE: dict[str, tuple[tuple[int, int, int], ...]] = {
    "m": ((2, 2, 2), (0, 0, 0)),
    "mm2": ((2, 2, 2),),
    "4": ((2, 2, 2),),
    "-4": ((2, 0, 0), (0, 1, 2)),
    "4mm": ((2, 2, 2),),
    "-42m": ((2, 0, 1),),
    "3": ((2, 2, 2), (0, 0, 0)),
    "32": ((0, 0, 0),),
    "3m": ((2, 2, 2), (1, 1, 1)),
    "6": ((2, 2, 2),),
    "-6": ((0, 0, 0), (1, 1, 1)),
    "6mm": ((2, 2, 2),),
    "-6m2": ((1, 1, 1),),
    "23": ((0, 1, 2),),
    "-43m": ((0, 1, 2),),
}


def frame_rotation(symmetry: "Symmetry | AnchoredSymmetry", frame: str) -> "Floats":
    """Give the rotation from the frame of the file to another frame.

    Parameters
    ----------
    symmetry : Symmetry or AnchoredSymmetry
        Of the crystal, in the frame of its file.
    frame : str
        One of `FRAMES`.

    Returns
    -------
    ndarray, shape (3, 3)
        Proper; its rows are the axes of the new frame in the frame of the file, so that
        ``rotation @ vector`` and ``rotate(tensor, rotation)`` are the new components.

    Raises
    ------
    ConfigError
        If there is no such frame.
    """
    if frame == "input":
        return np.eye(3)
    if isinstance(symmetry, AnchoredSymmetry):
        symmetry = find_symmetry(symmetry.crystal, symprec=symmetry.symprec)
    if frame == "standard":
        return symmetry.std_rotation
    if frame == "ieee":
        return ieee_rotation(symmetry)
    raise ConfigError(f"unknown frame {frame!r}; known: {', '.join(FRAMES)}")


def ieee_rotation(symmetry: "Symmetry") -> "Floats":
    r"""Give the rotation from the frame of the file to the IEEE crystal axes.

    The axes follow the lattice [1]_ and the class:

    - triclinic: :math:`c < a < b` are the shortest vectors, α and β obtuse; Z along c,
      Y along the normal of the plane of a and c;
    - monoclinic: b, along Y, is the unique axis; :math:`c < a` are the shortest vectors
      normal to it, β obtuse; Z along c;
    - orthorhombic: :math:`c < a < b` along Z, X, Y; in class mm2 the polar axis is c;
    - tetragonal, trigonal, hexagonal: the main axis along Z, a along X; where the class
      has only one set of secondary twofold axes or mirror planes, X is along a twofold
      axis (32, -3m, -42m) or a normal of a mirror plane (3m, -6m2), as in the tables of
      the standard and of Nye, whatever vector is the shortest;
    - cubic: along a, b, c.

    The senses of the axes are those of the right-handed standardised cell of spglib,
    with the obverse setting of rhombohedral lattices: nothing but the lattice and the
    class is used. `positive_senses` turns them as the standard does once the
    piezoelectric constants are known.

    Parameters
    ----------
    symmetry : Symmetry
        Of the crystal, in the frame of its file.

    Returns
    -------
    ndarray, shape (3, 3)
        Proper; rows are X, Y and Z in the frame of the file. In the new axes the
        operations are those of `point_group_rotations`.

    Raises
    ------
    SymmetryError
        If the operations fit no setting of the class, which is a fault of this tool.

    References
    ----------
    .. [1] IEEE Standard on Piezoelectricity, ANSI/IEEE Std 176-1987, sec. 3.
    """
    cell = symmetry.std_cell @ symmetry.std_rotation  # rows in the frame of the file
    system = crystal_system(symmetry.point_group)
    if system == "triclinic":
        return _triclinic_axes(cell)
    if system == "monoclinic":
        return _monoclinic_axes(cell)
    axes = cell / np.linalg.norm(cell, axis=1, keepdims=True)
    if system == "orthorhombic":
        return _orthorhombic_axes(cell, axes, symmetry.rotations)
    if system == "cubic":
        return np.array(axes)
    first = np.stack([axes[0], np.cross(axes[2], axes[0]), axes[2]])
    # The other set of secondary axes is half-way between the first.
    half = np.pi / 4 if system == "tetragonal" else np.pi / 6
    wanted = point_group_rotations(symmetry.point_group)
    for turn in (0.0, half):
        found: Floats = _about_z(turn) @ first
        if _same_group(found @ symmetry.rotations @ found.T, wanted):
            return found
    raise SymmetryError(f"no setting of class {symmetry.point_group} fits the lattice")


def positive_senses(
    piezo: "ArrayLike", point_group: str, *, least: float = 1e-6
) -> "Floats":
    r"""Turn IEEE axes so that the leading piezoelectric constants are positive.

    The standard [1]_ lets the sign of a measured constant choose between axes that the
    lattice cannot tell apart, such as :math:`\pm Z` of wurtzite: :math:`d_{33} > 0` in
    classes m, mm2, 3, 3m, 4, 4mm, 6 and 6mm, :math:`d_{22} > 0` in -6m2 and, as a second
    rule, in 3m, :math:`d_{11} > 0` in 32 and, as a second rule, in 3, and
    :math:`d_{31} > 0` in -4, :math:`d_{36} > 0` in -42m, :math:`d_{14} > 0` in 23, -43m.
    In class 2 the lattice has fixed all senses.

    Parameters
    ----------
    piezo : array_like, shape (3, 3, 3)
        Moduli d, or constants e if d is not known, in IEEE axes.
    point_group : str
        Class of the crystal.
    least : float
        Constants below this part of the largest one decide nothing.

    Returns
    -------
    ndarray, shape (3, 3)
        Proper rotation that keeps the lattice and the form; apply it after
        `ieee_rotation`. The identity if the class has no rule.

    Raises
    ------
    SymmetryError
        If there is no such class.

    References
    ----------
    .. [1] ANSI/IEEE Std 176-1987, sec. 3.
    """
    given = np.asarray(piezo, dtype=np.float64)
    rules = _POSITIVE.get(point_group, ())
    bound = least * float(np.abs(given).max())

    def signs(turn: "Floats") -> tuple[int, ...]:
        turned = rotate(given, turn)
        return tuple(
            int(np.sign(turned[rule])) if abs(turned[rule]) > bound else 0
            for rule in rules
        )

    # The first of the best: the identity wins when it is as good as any.
    return max(_senses(point_group), key=signs)


def _senses(point_group: str) -> "list[Floats]":
    """Proper rotations of the lattice that leave the form of the class as it is."""
    whole = {
        "triclinic": "1",
        "monoclinic": "2",
        "orthorhombic": "222",
        "tetragonal": "422",
        "trigonal": "622",
        "hexagonal": "622",
        "cubic": "432",
    }[crystal_system(point_group)]
    group = point_group_rotations(point_group)
    return [
        turn
        for turn in point_group_rotations(whole)
        if _same_group(turn @ group @ turn.T, group)
    ]


def _triclinic_axes(cell: "Floats") -> "Floats":
    """Take the vectors of the reduced cell by length: c, a, b."""
    c, a, b = cell[_by_length(cell)]
    # Obtuse α and β; a right angle keeps its vectors.
    a = -a if a @ c > _EQUAL * (c @ c) else a
    b = -b if b @ c > _EQUAL * (c @ c) else b
    if np.linalg.det([a, b, c]) < 0:
        a, b, c = -a, -b, -c
    return _axes_from(c, np.cross(c, a))


def _monoclinic_axes(cell: "Floats") -> "Floats":
    """Take the two shortest vectors normal to the unique axis, b in standard cells."""
    c, a = cell[0], cell[2]
    while True:  # Gauss's reduction in the plane
        if a @ a < (1 - _EQUAL) * (c @ c):
            c, a = a, c
        times = np.round(a @ c / (c @ c) - _EQUAL)
        if times == 0:
            break
        a = a - times * c
    if a @ c > _EQUAL * (c @ c):
        a = -a
    return _axes_from(c, np.cross(c, a))


def _orthorhombic_axes(cell: "Floats", axes: "Floats", rotations: "Floats") -> "Floats":
    """Order the axes by length; a polar one comes last in any case."""
    c, a, b = _by_length(cell)
    if is_polar(rotations):
        mean = rotations.mean(axis=0)  # projects onto the polar axis
        polar = int(np.argmax(np.linalg.norm(axes @ mean, axis=1)))
        c, a, b = polar, *(place for place in (c, a, b) if place != polar)
    return np.stack([axes[a], np.cross(axes[c], axes[a]), axes[c]])


def _by_length(cell: "Floats") -> list[int]:
    """Order vectors by length; equal ones keep their order."""
    lengths = np.linalg.norm(cell, axis=1)
    steps = np.round(np.log(lengths / lengths[0]) / _EQUAL)
    return [int(place) for place in np.argsort(steps, kind="stable")]


def _axes_from(z: "Floats", y: "Floats") -> "Floats":
    """Make axes from Z and a normal of it."""
    z = z / np.linalg.norm(z)
    y = y - (y @ z) * z
    y = y / np.linalg.norm(y)
    return np.stack([np.cross(y, z), y, z])


def _about_z(angle: float) -> "Floats":
    """Turn the axes about Z."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])


def _same_group(one: "Floats", other: "Floats") -> bool:
    """Say whether two sets of matrices are equal."""
    apart = np.abs(one[:, None] - other[None]).max(axis=(2, 3))  # (n_ops, n_ops)
    return bool((apart.min(axis=1) < _SAME).all())
