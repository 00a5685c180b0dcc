"""The symmetry of crystals in which an element has one atom per lattice point.

spglib spends 10 ms on each orbit of a face-centred cubic crystal to name its Wyckoff
position: it compares the images of the atom under all pairs of the 192 operations of
the conventional cell, and no call of its interface leaves that out. Where an element
has one atom in a primitive cell every operation keeps that atom, so that the space
group is made of the automorphisms of the lattice that map the other atoms onto each
other about it. These take 1 ms. Whatever is within a factor of three of the tolerance is left to
spglib, so that both ways agree.
"""

from dataclasses import dataclass, field
from functools import cache
from itertools import combinations, product
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.errors import SymmetryError
from crystaltensor.symmetry.operations import SpaceGroup, space_group_type

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crystaltensor.crystals.crystal import Crystal

    Floats = NDArray[np.float64]

_CLEAR = 3.0  # deviations this near the tolerance, as a factor, are not judged here
_MOST_COPIES = 8
_MOST_ATOMS = 40  # beyond it, comparing all pairs of atoms is no longer quick


@dataclass(frozen=True, eq=False)
class AnchoredSymmetry(SpaceGroup):
    """What projecting tensors needs to know of a space group.

    Parameters
    ----------
    number, symbol, point_group : int, str, str
        As in `Symmetry`.
    symprec : float
        Tolerance in Å.
    rotations : ndarray, shape (n_ops, 3, 3)
        Orthogonal, in the Cartesian frame of the input; the identity is first.
    crystal : Crystal
        The input.
    n_primitive : int
        Atoms in a primitive cell.
    warnings : tuple of str
        Always empty.
    """

    number: int
    symbol: str
    point_group: str
    symprec: float
    rotations: "Floats" = field(repr=False)
    crystal: "Crystal" = field(repr=False)
    n_primitive: int = field(repr=False)
    warnings: tuple[str, ...] = ()


def find_anchored_symmetry(
    crystal: "Crystal", *, symprec: float = 0.01
) -> AnchoredSymmetry | None:
    """Find the symmetry of a crystal in which an element has one atom per lattice point.

    Parameters
    ----------
    crystal : Crystal
        Any crystal.
    symprec : float
        Largest distance between equivalent atoms, in Å.

    Returns
    -------
    AnchoredSymmetry or None
        None if there is no such element, or an atom or a length is so near the tolerance
        that spglib should judge.
    """
    try:
        return _search(crystal, symprec)
    except SymmetryError:
        return None


def _search(crystal: "Crystal", symprec: float) -> AnchoredSymmetry:
    """Find the symmetry, or raise what says that spglib should."""
    kinds, counts = np.unique(crystal.numbers, return_counts=True)
    if counts.min() > _MOST_COPIES or crystal.n_atoms > _MOST_ATOMS:
        raise SymmetryError("too many atoms")
    rare = np.flatnonzero(crystal.numbers == kinds[counts.argmin()])
    primitive = crystal.cell
    if len(rare) > 1:
        primitive = _with_points(crystal.cell, _translations(crystal, rare, symprec))
    cell = _reduced(primitive)
    frac = crystal.frac - crystal.frac[rare[0]]
    frac = frac @ crystal.cell @ np.linalg.inv(cell)
    # Copies by a translation say nothing new; any of each set will do.
    first = np.sort(np.unique(_copies(frac, cell), return_index=True)[1])
    if len(first) * len(rare) != crystal.n_atoms:
        raise SymmetryError("the copies of an atom are not where they should be")
    lattice = _automorphisms(cell, symprec)
    group = _mapping_atoms(lattice, cell, frac[first], crystal.numbers[first], symprec)
    rotations = _cartesian(cell, group)
    named = space_group_type(group, np.zeros((len(group), 3)), cell)
    return AnchoredSymmetry(*named, symprec, rotations, crystal, len(first))


def _judged(worst: "Floats", symprec: float) -> "NDArray[np.bool_]":
    """Say which deviations are within a tolerance, where none is near it."""
    if ((worst > symprec / _CLEAR) & (worst < _CLEAR * symprec)).any():
        raise SymmetryError("a deviation is near the tolerance")
    within: NDArray[np.bool_] = worst <= symprec / _CLEAR
    return within


def _translations(
    crystal: "Crystal", rare: "NDArray[np.int64]", symprec: float
) -> "Floats":
    """List the translations that map a crystal onto itself, in exact fractions."""
    found = np.round(len(rare) * (crystal.frac[rare] - crystal.frac[rare[0]])) / len(
        rare
    )
    other = crystal.numbers[:, None] != crystal.numbers
    apart = crystal.frac + found[:, None] - crystal.frac[:, None, None]  # (n, t, n, 3)
    apart -= np.round(apart)
    squared = np.square(apart @ crystal.cell).sum(axis=-1).swapaxes(0, 1)
    squared[:, other] = np.inf
    worst = np.sqrt(squared.min(axis=2).max(axis=1))
    if not _judged(worst, symprec).all():
        raise SymmetryError("the rarest element has atoms that no translation joins")
    return np.asarray(found)


def _with_points(cell: "Floats", translations: "Floats") -> "Floats":
    """Give a primitive cell of a lattice with more points in its cell."""
    inside = translations - np.floor(translations)
    corners = np.concatenate([np.zeros((1, 3)), _shifts()])
    points = (inside[:, None] + corners).reshape(-1, 3) @ cell
    lengths = (points * points).sum(axis=1)
    points = points[np.argsort(lengths, kind="stable")][1:60]
    volume = abs(np.linalg.det(cell)) / len(translations)
    triples = points[_triples()]  # (364, 3, 3), the shortest vectors first
    right = np.abs(np.abs(np.linalg.det(triples)) / volume - 1) < 1e-6
    if right.any():
        return np.asarray(triples[right.argmax()])
    raise SymmetryError("no primitive cell is found")


@cache
def _triples() -> "NDArray[np.int64]":
    """Give all choices of three out of fourteen."""
    return np.array(list(combinations(range(14), 3)))


def _copies(frac: "Floats", cell: "Floats") -> "NDArray[np.int64]":
    """Give one number to all atoms that a translation of the lattice joins."""
    apart = frac[:, None] - frac
    apart -= np.round(apart)
    same = (
        np.square(apart @ cell).sum(axis=-1) < 0.2**2
    )  # in Å: no two atoms are so near
    numbers: NDArray[np.int64] = same.argmax(axis=1)
    return numbers


def _reduced(cell: "Floats") -> "Floats":
    """Make the lattice vectors as short as they can be (Minkowski)."""
    vectors = cell.copy()
    shifts = _shifts()
    for _ in range(100):
        vectors = vectors[np.argsort((vectors * vectors).sum(axis=1), kind="stable")]
        longest = vectors[2] + shifts[:, :2] @ vectors[:2]
        lengths = (longest * longest).sum(axis=1)
        best = longest[lengths.argmin()]
        times = round(float(vectors[1] @ vectors[0] / (vectors[0] @ vectors[0])))
        second = vectors[1] - times * vectors[0]
        if times == 0 and lengths.min() > (1 - 1e-9) * (vectors[2] @ vectors[2]):
            return np.array(vectors)
        vectors = np.stack([vectors[0], second, best])
    raise SymmetryError("the lattice cannot be reduced")


@cache
def _shifts() -> "Floats":
    """Give the 26 neighbours of a lattice point."""
    found = np.array([v for v in product((-1, 0, 1), repeat=3) if any(v)], dtype=float)
    found.setflags(write=False)
    return found


def _automorphisms(cell: "Floats", symprec: float) -> "Floats":
    """List the matrices of whole numbers that keep a reduced lattice, (n, 3, 3)."""
    neighbours = _shifts()
    metric = cell @ cell.T
    dots = neighbours @ metric @ neighbours.T
    lengths = np.sqrt(np.diag(dots))
    own = np.sqrt(np.diag(metric))
    off = np.abs(lengths[None] - own[:, None])  # (3, 26), in Å
    near = [np.flatnonzero(row < _CLEAR * symprec) for row in off]
    i, j, k = np.meshgrid(*near, indexing="ij")
    worst = np.maximum(np.maximum(off[0, i], off[1, j]), off[2, k])
    for first, second, a, b in ((i, j, 0, 1), (i, k, 0, 2), (j, k, 1, 2)):
        apart = np.abs(dots[first, second] - metric[a, b]) / max(own[a], own[b])
        worst = np.maximum(worst, apart)
    kept = _judged(worst, symprec)
    # Images of the basis vectors are the columns.
    found: Floats = np.stack([neighbours[x[kept]] for x in (i, j, k)], axis=2)
    return found


def _mapping_atoms(
    lattice: "Floats",
    cell: "Floats",
    frac: "Floats",
    numbers: "NDArray[np.int64]",
    symprec: float,
) -> "Floats":
    """Keep the matrices that map all atoms onto atoms of their element."""
    images = frac @ lattice.swapaxes(1, 2)  # (n_ops, n_atoms, 3)
    apart = images[:, :, None] - frac
    apart -= np.round(apart)
    squared = np.square(apart @ cell).sum(axis=-1)
    squared[:, numbers[:, None] != numbers] = np.inf
    worst = np.sqrt(squared.min(axis=2).max(axis=1))
    group = lattice[_judged(worst, symprec)]
    identity = np.abs(group - np.eye(3)).max(axis=(1, 2))
    ordered: Floats = group[np.argsort(identity > 0, kind="stable")]
    return ordered


def _cartesian(cell: "Floats", group: "Floats") -> "Floats":
    """Turn matrices of whole numbers into orthogonal ones; see `find_symmetry`."""
    mean = (group.swapaxes(1, 2) @ (cell @ cell.T) @ group).mean(axis=0)
    inverse = np.linalg.inv(cell)
    squares, axes = np.linalg.eigh(inverse @ mean @ inverse.T)
    columns = (cell @ (axes * np.sqrt(squares)) @ axes.T).T
    rotations = columns @ group @ np.linalg.inv(columns)
    # One Newton step towards orthogonality leaves rounding only.
    squared = rotations.swapaxes(1, 2) @ rotations
    rotations = rotations @ (1.5 * np.eye(3) - 0.5 * squared)
    rotations = np.where(np.abs(rotations) < 1e-14, 0.0, rotations)
    scalar = np.abs(np.trace(group, axis1=1, axis2=2)) == 3
    rotations[scalar] = group[scalar]  # identity and inversion, without rounding
    return rotations
