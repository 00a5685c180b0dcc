"""From a crystal to its symmetry operations; the one door to spglib."""

import math
import os
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.errors import ConfigError, SymmetryError
from crystaltensor.symmetry.point_groups import canonical_symbol, snap_rotation

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

    from crystaltensor.crystals.crystal import Crystal

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

HEXAGONAL_AXES = np.array([[1, -0.5, 0], [0, math.sqrt(0.75), 0], [0, 0, 1]])
"""Lattice vectors of the trigonal and hexagonal groups as columns: a along x."""

_ATTEMPTS = 6
_FINER = 1 / 3  # a failing tolerance is divided by three, so that 243 is the most
_LARGEST_STRAIN = 0.1  # beyond it, lattice and operations belong to two crystals


class SpaceGroup:
    """What is said of a space group, however its operations were found."""

    number: int
    symbol: str
    point_group: str
    symprec: float

    def named(self) -> dict[str, Any]:
        """Return number, symbols, and the ``symprec`` (Å) of the search."""
        return {
            "number": self.number,
            "symbol": self.symbol,
            "point_group": self.point_group,
            "symprec": self.symprec,
        }


@dataclass(frozen=True, eq=False)
class Symmetry(SpaceGroup):
    r"""The space group of a crystal, and what tensors in its frame obey.

    The operations are those of the crystal, not of the cell it is written in: one per
    element of the point group, each standing for its products with every translation
    of the primitive lattice.

    Parameters
    ----------
    number : int
        Of the space group, 1 to 230.
    symbol : str
        International symbol, such as ``"P6_3mc"``.
    point_group : str
        Hermann-Mauguin symbol of the crystal class, such as ``"6mm"``.
    hall_number : int
        Of the setting of the standardised cell, 1 to 530, as spglib counts.
    symprec : float
        Tolerance in Å at which the group was found.
    rotations : ndarray, shape (n_ops, 3, 3)
        Orthogonal matrices of the point group in the Cartesian frame of the input,
        acting on column vectors; the identity is first.
    frac_rotations : ndarray, shape (n_ops, 3, 3)
        The same, acting on columns of fractional coordinates: whole numbers, unless
        the cell is a supercell with less symmetry than its crystal.
    translations : ndarray, shape (n_ops, 3)
        Fractional; ``frac_rotations[g] @ frac + translations[g]`` is the image.
    cell : ndarray, shape (3, 3)
        The cell nearest to the input's that has the symmetry exactly; rows, in Å.
    transformation : ndarray, shape (3, 3)
        To coordinates in the standardised cell:
        ``transformation @ frac + origin_shift``.
    origin_shift : ndarray, shape (3,)
        In fractions of the standardised cell.
    std_cell : ndarray, shape (3, 3)
        Rows of the standardised cell in Å: a along x, b in the xy plane.
    std_rotation : ndarray, shape (3, 3)
        Proper rotation that takes Cartesian columns to the standard frame.
    primitive_cell : ndarray, shape (3, 3)
        Rows of a primitive cell in Å, in the frame of the input.
    primitive_index : ndarray of int, shape (n_atoms,)
        Atoms that a translation of the primitive lattice joins have equal numbers.
    equivalent_atoms : ndarray of int, shape (n_atoms,)
        The first atom of the orbit that each atom belongs to.
    wyckoffs : tuple of str
        Wyckoff letter of each atom.
    site_symmetries : tuple of str
        Symbol of the site symmetry of each atom.
    warnings : tuple of str
        What the user should know, such as a tolerance that had to be made finer.
    crystal : Crystal
        The input.
    """

    number: int
    symbol: str
    point_group: str
    hall_number: int
    symprec: float
    rotations: "Floats" = field(repr=False)
    frac_rotations: "Floats" = field(repr=False)
    translations: "Floats" = field(repr=False)
    cell: "Floats" = field(repr=False)
    transformation: "Floats" = field(repr=False)
    origin_shift: "Floats" = field(repr=False)
    std_cell: "Floats" = field(repr=False)
    std_rotation: "Floats" = field(repr=False)
    primitive_cell: "Floats" = field(repr=False)
    primitive_index: "Integers" = field(repr=False)
    equivalent_atoms: "Integers" = field(repr=False)
    wyckoffs: tuple[str, ...] = field(repr=False)
    site_symmetries: tuple[str, ...] = field(repr=False)
    warnings: tuple[str, ...]
    crystal: "Crystal" = field(repr=False)

    @property
    def n_ops(self) -> int:
        """Order of the point group."""
        return len(self.rotations)

    @property
    def n_primitive(self) -> int:
        """Count the atoms of a primitive cell."""
        return int(self.primitive_index.max()) + 1

    @cached_property
    def permutations(self) -> "Integers":
        """Atom that each operation takes each primitive atom to, (n_ops, n_primitive).

        The atoms are those of `primitive_index`: the answer is a permutation for any
        cell, even for a supercell with less symmetry than its crystal.

        Raises
        ------
        SymmetryError
            If two atoms have one image, which only a coarse tolerance can cause.
        """
        return self._images[0]

    @cached_property
    def deviation(self) -> float:
        """Largest distance in Å from the image of an atom to the atom there."""
        return self._images[1]

    @cached_property
    def _images(self) -> "tuple[Integers, float]":
        """Match the image of every primitive atom with the nearest of its element."""
        first = np.unique(self.primitive_index, return_index=True)[1]
        frac, numbers = self.crystal.frac[first], self.crystal.numbers[first]
        to_primitive = self.crystal.cell @ np.linalg.inv(self.primitive_cell)
        other = numbers[:, None] != numbers
        found = np.empty((self.n_ops, len(first)), dtype=np.int64)
        largest = 0.0
        operations = zip(self.frac_rotations, self.translations, strict=True)
        for op, (rotation, translation) in enumerate(operations):
            images = frac @ rotation.T + translation
            apart = (images[:, None] - frac) @ to_primitive  # (n, n, 3)
            apart -= np.round(apart)
            squared = np.square(apart @ self.primitive_cell).sum(axis=-1)
            squared[other] = np.inf
            found[op] = squared.argmin(axis=1)
            largest = max(largest, float(squared.min(axis=1).max()))
        if (np.sort(found, axis=1) != np.arange(len(first))).any():
            raise SymmetryError(
                f"{self.crystal.formula}: an operation of {self.symbol} takes two atoms "
                f"to one place at symprec {self.symprec:g} Å; use a smaller symprec"
            )
        return found, math.sqrt(largest)


def find_symmetry(crystal: "Crystal", *, symprec: float = 0.01) -> Symmetry:
    r"""Find the space group of a crystal and its exact operations.

    The rotations form a group to rounding even if the crystal is only nearly
    symmetric. In the standardised cell they are known numbers; the way back to the
    frame of the input is the orthogonal matrix of the symmetrised standard cell, whose
    metric is the mean over the group,

    .. math:: \bar G = |G|^{-1} \sum_W W^T G W , \qquad \bar S = S U , \quad
              U^2 = S^{-1} \bar G S^{-T}

    with the pure stretch :math:`U`, so that the orientation is the input's.

    Parameters
    ----------
    crystal : Crystal
        Of either handedness, primitive or not.
    symprec : float
        Largest distance between equivalent atoms, in Å.

    Returns
    -------
    Symmetry
        In the Cartesian frame of the crystal as given.

    Raises
    ------
    ConfigError
        If `symprec` is not a positive, finite number.
    SymmetryError
        If no group is found at this tolerance or at finer ones.

    References
    ----------
    .. [1] A. Togo, K. Shinohara and I. Tanaka, Sci. Technol. Adv. Mater. Methods 4,
       2384822 (2024).
    """
    if not (math.isfinite(symprec) and symprec > 0):
        raise ConfigError(
            f"symprec is a distance in Å greater than zero, not {symprec}; "
            "0.01 suits most structures"
        )
    # The same atoms in the inverted basis: spglib then sees right-handed cells only.
    hand = 1.0 if np.linalg.det(crystal.cell) > 0 else -1.0
    reason = ""
    for attempt in range(_ATTEMPTS):
        used = symprec * _FINER**attempt
        try:
            return _symmetry(crystal, hand, used, _coarse(symprec, attempt))
        except SymmetryError as error:
            reason = reason or str(error)
    raise SymmetryError(
        f"{crystal.formula}: no space group at symprec {symprec:g} Å or finer "
        f"({reason}); try a smaller or a larger symprec"
    )


def _coarse(symprec: float, attempt: int) -> tuple[str, ...]:
    """Say that a finer tolerance than the user's was needed."""
    if attempt == 0:
        return ()
    used = symprec * _FINER**attempt
    return (f"no space group at symprec {symprec:g} Å; that of {used:.3g} Å is given",)


def _symmetry(
    crystal: "Crystal", hand: float, symprec: float, warnings: tuple[str, ...]
) -> Symmetry:
    """Turn one answer of spglib into exact operations in the frame of the input."""
    found = _dataset(hand * crystal.cell, hand * crystal.frac, crystal.numbers, symprec)
    rotations, translations, standard, scalar = _standard_operations(found.hall_number)
    transformation = hand * found.transformation_matrix
    back = np.linalg.inv(transformation)
    std_cell, to_standard = _standard_frame(back.T @ crystal.cell, rotations)
    cartesian = _clean(to_standard.T @ standard @ to_standard)
    cartesian[scalar] = standard[scalar]  # identity and inversion, without rounding
    shift = found.origin_shift
    frac_rotations = back @ rotations @ transformation
    whole = np.round(frac_rotations)
    if np.abs(frac_rotations - whole).max() < 1e-6:
        frac_rotations = whole + 0.0  # no negative zeros
    return Symmetry(
        number=int(found.number),
        symbol=found.international,
        point_group=canonical_symbol(found.pointgroup),
        hall_number=int(found.hall_number),
        symprec=symprec,
        rotations=cartesian,
        frac_rotations=frac_rotations,
        translations=(rotations @ shift + translations - shift) @ back.T,
        cell=transformation.T @ std_cell @ to_standard,
        transformation=transformation,
        origin_shift=shift,
        std_cell=std_cell,
        std_rotation=to_standard,
        primitive_cell=found.primitive_lattice,
        primitive_index=found.mapping_to_primitive.astype(np.int64),
        equivalent_atoms=found.crystallographic_orbits.astype(np.int64),
        wyckoffs=tuple(found.wyckoffs),
        site_symmetries=tuple(found.site_symmetry_symbols),
        warnings=warnings,
        crystal=crystal,
    )


def _standard_frame(cell: "Floats", rotations: "Floats") -> "tuple[Floats, Floats]":
    """Symmetrise a standardised cell and turn it to the standard axes."""
    mean = (rotations.swapaxes(1, 2) @ (cell @ cell.T) @ rotations).mean(axis=0)
    inverse = np.linalg.inv(cell)
    squares, axes = np.linalg.eigh(inverse @ mean @ inverse.T)
    if squares[0] <= 0 or np.abs(np.sqrt(squares) - 1).max() > _LARGEST_STRAIN:
        raise SymmetryError("the lattice is too far from that of the group found")
    stretched = cell @ (axes * np.sqrt(squares)) @ axes.T
    turn, triangle = np.linalg.qr(stretched.T)
    signs = np.sign(np.diag(triangle))
    to_standard = _clean((turn * signs).T)
    if np.linalg.det(to_standard) < 0:
        raise SymmetryError("the standardised cell is left-handed")
    # Removing the noise from the zeros costs orthogonality; one Newton step gives it
    # back and leaves zeros in a frame that is already the standard one.
    to_standard = to_standard @ (1.5 * np.eye(3) - 0.5 * to_standard.T @ to_standard)
    return _clean((triangle * signs[:, None]).T), to_standard


def _clean(array: "Floats") -> "Floats":
    """Set to zero what is zero but for rounding."""
    return np.where(np.abs(array) < 1e-14 * np.abs(array).max(), 0.0, array)


@cache
def _standard_operations(
    hall_number: int,
) -> "tuple[Floats, Floats, Floats, NDArray[np.bool_]]":
    """One operation per rotation of the standard cell, Cartesian too; and which are ±1."""
    spglib = _spglib()
    database = spglib.get_symmetry_from_database(hall_number)
    group = spglib.get_spacegroup_type(hall_number)
    _, first = np.unique(
        database["rotations"].reshape(-1, 9), axis=0, return_index=True
    )
    first = np.sort(first)  # the database puts the identity first
    rotations = database["rotations"][first].astype(np.float64)
    # Outside the trigonal and hexagonal families, a standard cell of any group has its
    # rotations diagonal or a permutation of equal, orthogonal axes.
    hexagonal = 143 <= group.number <= 194
    axes = HEXAGONAL_AXES if hexagonal else np.eye(3)
    cartesian = snap_rotation(axes @ rotations @ np.linalg.inv(axes))
    scalar = np.abs(np.trace(cartesian, axis1=1, axis2=2)) == 3
    return rotations, database["translations"][first], cartesian, scalar


def space_group_type(
    frac_rotations: "Floats", translations: "Floats", cell: "Floats"
) -> tuple[int, str, str]:
    """Name the space group of operations that are known.

    Parameters
    ----------
    frac_rotations : ndarray, shape (n_ops, 3, 3)
        Whole numbers, acting on columns of fractions of a primitive cell.
    translations : ndarray, shape (n_ops, 3)
        In fractions of that cell.
    cell : ndarray, shape (3, 3)
        Its rows in Å.

    Returns
    -------
    number : int
        1 to 230.
    symbol : str
        International symbol.
    point_group : str
        Symbol of the crystal class.

    Raises
    ------
    SymmetryError
        If these are not the operations of a space group.
    """
    spglib = _spglib()
    try:
        found = spglib.get_spacegroup_type_from_symmetry(
            frac_rotations.astype(np.intc), translations, lattice=cell
        )
    except spglib.error.SpglibError as error:
        raise SymmetryError(f"spglib: {' '.join(str(error).split())}") from error
    if found is None:
        raise SymmetryError("spglib knows no space group of these operations")
    point_group = canonical_symbol(found.pointgroup_international)
    return int(found.number), str(found.international_short), point_group


@cache
def _spglib() -> "ModuleType":
    """Import spglib when it is needed, and have it raise its errors and not print."""
    # Its C library writes to stderr what the errors say again.
    os.environ.setdefault("SPGLIB_WARNING", "OFF")
    import spglib  # late: it takes 20 ms
    import spglib.error

    spglib.error.OLD_ERROR_HANDLING = False
    module: ModuleType = spglib
    return module


def _dataset(
    cell: "Floats", frac: "Floats", numbers: "Integers", symprec: float
) -> Any:  # noqa: ANN401 - the class has moved between versions of spglib
    """Ask spglib."""
    spglib = _spglib()
    try:
        found = spglib.get_symmetry_dataset((cell, frac, numbers), symprec=symprec)
    except spglib.error.SpglibError as error:
        raise SymmetryError(f"spglib: {' '.join(str(error).split())}") from error
    if found is None:
        raise SymmetryError("spglib finds none")
    return found
