"""The 32 crystal classes, each in its conventional Cartesian setting."""

import difflib
import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.errors import ShapeError, SymmetryError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

X, Y, Z = (1, 0, 0), (0, 1, 0), (0, 0, 1)
BODY = (1, 1, 1)

SYSTEMS = {
    "triclinic": ("1", "-1"),
    "monoclinic": ("2", "m", "2/m"),
    "orthorhombic": ("222", "mm2", "mmm"),
    "tetragonal": ("4", "-4", "4/m", "422", "4mm", "-42m", "4/mmm"),
    "trigonal": ("3", "-3", "32", "3m", "-3m"),
    "hexagonal": ("6", "-6", "6/m", "622", "6mm", "-6m2", "6/mmm"),
    "cubic": ("23", "m-3", "432", "-43m", "m-3m"),
}
"""Crystal systems and their classes."""

POINT_GROUPS = tuple(symbol for group in SYSTEMS.values() for symbol in group)
"""The 32 symbols, in the order of the International Tables."""

# An operation is a number of Hermann and Mauguin and an axis; "m" is -2. The settings
# are those of Nye and of the IEEE standard: b along y is the unique axis of monoclinic
# classes, the principal axis of the others is z, and a of trigonal and hexagonal
# classes is x.
_GENERATORS: dict[str, tuple[tuple[int, tuple[int, int, int]], ...]] = {
    "1": (),
    "-1": ((-1, Z),),
    "2": ((2, Y),),
    "m": ((-2, Y),),
    "2/m": ((2, Y), (-2, Y)),
    "222": ((2, X), (2, Y)),
    "mm2": ((-2, X), (-2, Y)),
    "mmm": ((-2, X), (-2, Y), (-2, Z)),
    "4": ((4, Z),),
    "-4": ((-4, Z),),
    "4/m": ((4, Z), (-2, Z)),
    "422": ((4, Z), (2, X)),
    "4mm": ((4, Z), (-2, X)),
    "-42m": ((-4, Z), (2, X)),
    "-4m2": ((-4, Z), (-2, X)),
    "4/mmm": ((4, Z), (-2, Z), (-2, X)),
    "3": ((3, Z),),
    "-3": ((-3, Z),),
    "32": ((3, Z), (2, X)),
    "312": ((3, Z), (2, Y)),
    "3m": ((3, Z), (-2, X)),
    "31m": ((3, Z), (-2, Y)),
    "-3m": ((-3, Z), (-2, X)),
    "-31m": ((-3, Z), (-2, Y)),
    "6": ((6, Z),),
    "-6": ((-6, Z),),
    "6/m": ((6, Z), (-2, Z)),
    "622": ((6, Z), (2, X)),
    "6mm": ((6, Z), (-2, X)),
    "-6m2": ((-6, Z), (-2, X)),
    "-62m": ((-6, Z), (2, X)),
    "6/mmm": ((6, Z), (-2, Z), (-2, X)),
    "23": ((2, Z), (3, BODY)),
    "m-3": ((-2, Z), (3, BODY)),
    "432": ((4, Z), (3, BODY)),
    "-43m": ((-4, Z), (3, BODY)),
    "m-3m": ((4, Z), (3, BODY), (-1, Z)),
}

_SPELLINGS = {
    "321": "32",
    "3m1": "3m",
    "-3m1": "-3m",
    "m3": "m-3",
    "m3m": "m-3m",
    "121": "2",
    "1m1": "m",
    "12/m1": "2/m",
}

_CLASS_OF_SETTING = {
    "-4m2": "-42m",
    "312": "32",
    "31m": "3m",
    "-31m": "-3m",
    "-62m": "-6m2",
}

_EXACT = np.array([-1, -math.sqrt(0.75), -0.5, 0, 0.5, math.sqrt(0.75), 1])


def canonical_symbol(symbol: str) -> str:
    """Name the crystal class that a symbol stands for.

    Parameters
    ----------
    symbol : str
        Of Hermann and Mauguin, in any setting or spelling: ``"-62m"``, ``"m3m"``.

    Returns
    -------
    str
        One of `POINT_GROUPS`: ``"-6m2"``, ``"m-3m"``.

    Raises
    ------
    SymmetryError
        If there is no such class.
    """
    setting = _setting(symbol)
    return _CLASS_OF_SETTING.get(setting, setting)


def point_group_rotations(symbol: str) -> "Floats":
    """Give all operations of a crystal class in its conventional setting.

    The unique axis of monoclinic classes is y and the principal axis of all others z.
    The second place of a symbol is the x direction: ``"3m"`` has a mirror plane
    perpendicular to x, ``"31m"`` one perpendicular to y; likewise ``"-6m2"`` and
    ``"-62m"``, ``"-42m"`` and ``"-4m2"``, ``"32"`` and ``"312"`` [1]_.

    Parameters
    ----------
    symbol : str
        Of Hermann and Mauguin, such as ``"-43m"``.

    Returns
    -------
    ndarray, shape (n_ops, 3, 3)
        Orthogonal matrices on column vectors, the identity first; read-only.

    Raises
    ------
    SymmetryError
        If there is no such class.

    References
    ----------
    .. [1] J. F. Nye, Physical Properties of Crystals, Oxford (1985), appendix B.
    """
    return _group(_setting(symbol))


def crystal_system(symbol: str) -> str:
    """Name the crystal system of a class.

    Parameters
    ----------
    symbol : str
        Of Hermann and Mauguin.

    Returns
    -------
    str
        From ``"triclinic"`` to ``"cubic"``.

    Raises
    ------
    SymmetryError
        If there is no such class.
    """
    name = canonical_symbol(symbol)
    return next(system for system, names in SYSTEMS.items() if name in names)


def is_centrosymmetric(rotations: "Floats") -> bool:
    """Say whether a group contains inversion, given its (n_ops, 3, 3) matrices."""
    traces = np.trace(rotations, axis1=1, axis2=2)
    return bool(traces.min() < -2.5)


def is_polar(rotations: "Floats") -> bool:
    """Say whether a group leaves a vector unchanged: whether it is pyroelectric."""
    return bool(np.trace(rotations, axis1=1, axis2=2).mean() > 0.5 / len(rotations))


def is_piezoelectric(rotations: "Floats") -> bool:
    r"""Say whether a group leaves a piezoelectric tensor.

    The number of constants is the mean of
    :math:`\chi_V \frac12 [\chi_V(g)^2 + \chi_V(g^2)]` over the group.

    Parameters
    ----------
    rotations : ndarray, shape (n_ops, 3, 3)
        The whole group.

    Returns
    -------
    bool
        True for 20 of the 32 classes.
    """
    trace = np.trace(rotations, axis1=1, axis2=2)
    square = np.trace(rotations @ rotations, axis1=1, axis2=2)
    return bool((trace * (trace**2 + square) / 2).mean() > 0.5)


def find_point_group(rotations: "Floats") -> str:
    """Recognise the crystal class of a group in any orientation.

    Parameters
    ----------
    rotations : ndarray, shape (n_ops, 3, 3)
        The whole group.

    Returns
    -------
    str
        One of `POINT_GROUPS`.

    Raises
    ------
    ShapeError
        If `rotations` is not a stack of 3×3 matrices.
    SymmetryError
        If the matrices are not those of a crystal class.
    """
    rotations = np.asarray(rotations, dtype=np.float64)
    if rotations.ndim != 3 or rotations.shape[1:] != (3, 3):
        raise ShapeError(f"rotations have shape (n, 3, 3), not {rotations.shape}")
    symbol = _classes().get(_kinds(rotations))
    if symbol is None:
        raise SymmetryError(
            f"these {len(rotations)} matrices are not one of the 32 crystal classes; "
            "give every operation of the group once"
        )
    return symbol


def snap_rotation(matrix: "Floats") -> "Floats":
    """Give entries of crystallographic rotations in standard axes their exact value."""
    nearest = np.abs(matrix[..., None] - _EXACT).argmin(axis=-1)
    exact: Floats = _EXACT[nearest]
    assert np.allclose(exact, matrix, rtol=0, atol=1e-6)  # noqa: S101 - a bug of ours
    return exact


def _setting(symbol: str) -> str:
    """Give the key of a class and setting in the table of generators."""
    text = symbol.replace(" ", "").replace("\N{MINUS SIGN}", "-")
    text = _SPELLINGS.get(text, text)
    if text in _GENERATORS:
        return text
    close = difflib.get_close_matches(text, _GENERATORS, n=1)
    hint = (
        f"did you mean {close[0]!r}?" if close else f"known: {', '.join(POINT_GROUPS)}"
    )
    raise SymmetryError(f"unknown point group {symbol!r}; {hint}")


@cache
def _group(setting: str) -> "Floats":
    """Multiply the generators of a class until nothing new appears."""
    generators = [_operation(*entry) for entry in _GENERATORS[setting]]
    group = [np.eye(3)]
    for known in group:  # grows while it is read
        for generator in generators:
            new = snap_rotation(generator @ known)
            if not any(np.array_equal(new, old) for old in group):
                group.append(new)
    rotations = np.stack(group)
    rotations.setflags(write=False)
    return rotations


def _operation(number: int, axis: tuple[int, int, int]) -> "Floats":
    """Rotate by 360°/|number| about an axis; invert as well if it is negative."""
    unit = np.array(axis) / math.sqrt(sum(part * part for part in axis))
    angle = 2 * math.pi / abs(number)
    cross = np.cross(np.eye(3), unit)  # cross @ v is unit × v
    along = np.outer(unit, unit)
    turn = along + math.cos(angle) * (np.eye(3) - along) + math.sin(angle) * cross
    return snap_rotation(math.copysign(1, number) * turn)


def _kinds(rotations: "Floats") -> tuple[tuple[int, int], ...]:
    """List determinant and trace of each operation: they tell the classes apart."""
    traces = np.round(np.trace(rotations, axis1=1, axis2=2)).astype(int)
    signs = np.round(np.linalg.det(rotations)).astype(int)
    return tuple(sorted(zip(signs.tolist(), traces.tolist(), strict=True)))


@cache
def _classes() -> dict[tuple[tuple[int, int], ...], str]:
    """Find the class by the kinds of its operations."""
    return {_kinds(_group(symbol)): symbol for symbol in POINT_GROUPS}
