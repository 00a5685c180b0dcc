"""The geometry of a lattice: reduced cells, spacings, the images within reach.

Plain numpy on the CPU: these arrays are small, decide what is summed, and are never
differentiated.
"""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_SHORTER = 1 - 1e-10
"""A step of the reduction must shorten a vector by more than rounding does."""

_MAX_STEPS = 1000

_REMEMBERED = 20_000
"""Larger grids are not kept in memory."""

_NEAR = np.array([[i, j, 1] for i in (-1, 0, 1) for j in (-1, 0, 1)], dtype=float)
_CORNERS = 0.5 * np.array([[1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]])


@dataclass(frozen=True, eq=False)
class Geometry:
    """Lengths that the bounds and the cutoffs need, for many reduced cells at once.

    Parameters
    ----------
    cells : ndarray, shape (n_crystals, 3, 3)
        Lattice vectors as rows, in Å, shortest first (see `reduce_cells`).
    """

    cells: Array

    @cached_property
    def gram(self) -> Array:
        """Scalar products of the lattice vectors in Å², shape (n_crystals, 3, 3)."""
        return np.asarray(self.cells @ self.cells.swapaxes(1, 2))

    @cached_property
    def reciprocal(self) -> Array:
        """Reciprocal lattice vectors as rows in 1/Å, shape (n_crystals, 3, 3)."""
        return np.float64(2 * math.pi) * np.linalg.inv(self.cells).swapaxes(1, 2)

    @cached_property
    def lengths(self) -> Array:
        """Lengths of the lattice vectors in Å, shape (n_crystals, 3)."""
        return np.sqrt(self.gram.diagonal(axis1=1, axis2=2))

    @cached_property
    def spacing(self) -> Array:
        """Distances between lattice planes in Å, shape (n_crystals, 3)."""
        lengths = np.sqrt(np.square(self.reciprocal).sum(axis=2))
        return np.asarray(2 * math.pi / lengths)

    @cached_property
    def heights(self) -> Array:
        """Gram-Schmidt lengths in Å, shape (n_crystals, 3); their product is the volume."""
        g = self.gram
        area = np.sqrt(g[:, 0, 0] * g[:, 1, 1] - g[:, 0, 1] ** 2)
        first, last = self.lengths[:, 0], self.spacing[:, 2]
        return np.array([first, area / first, last]).T

    @cached_property
    def volume(self) -> Array:
        """Volumes in Å³, shape (n_crystals,)."""
        return np.asarray(self.heights.prod(axis=1))

    @cached_property
    def counts(self) -> Array:
        """Counting polynomials of the lattices, shape (2, n_crystals, 4)."""
        return counting_polynomials(self.heights)

    @cached_property
    def reciprocal_counts(self) -> Array:
        """Counting polynomials of the reciprocal lattices, shape (2, n_crystals, 4)."""
        return counting_polynomials(2 * math.pi / self.heights)

    @cached_property
    def corner(self) -> Array:
        """Largest distance in Å from the centre of the cell to a corner, (n_crystals,)."""
        squares = np.square(_CORNERS @ self.cells).sum(axis=2)
        return np.asarray(np.sqrt(squares.max(axis=1)))


def counting_polynomials(heights: Array) -> Array:
    """Return two cubics that bound the lattice points in a ball of any centre.

    Parameters
    ----------
    heights : ndarray, shape (n_crystals, 3)
        Gram-Schmidt lengths of a lattice basis.

    Returns
    -------
    ndarray, shape (2, n_crystals, 4)
        Coefficients by increasing power of the radius.
    """
    a, b, c = (2 / heights).T
    # Half the diagonal of the Gram-Schmidt box bounds the covering radius (Babai).
    rho = 0.5 * np.sqrt(np.square(heights).sum(axis=1))
    density = 4 * math.pi / 3 / heights.prod(axis=1)
    layers = [np.ones_like(a), a + b + c, a * b + b * c + c * a, a * b * c]
    ball = [density * rho**3, 3 * density * rho**2, 3 * density * rho, density]
    return np.array([layers, ball]).swapaxes(1, 2)


def reduce_cells(cells: Array) -> Array:
    """Find short, nearly perpendicular lattice vectors of the same lattices.

    Greedy reduction in the norm [1]_: the vectors are sorted by length, the second is
    reduced by the first and the third by both, until nothing gets shorter.

    Parameters
    ----------
    cells : ndarray, shape (n_crystals, 3, 3)
        Lattice vectors as rows, in Å.

    Returns
    -------
    ndarray, shape (n_crystals, 3, 3)
        Integer matrices; ``result @ cells`` are the reduced cells, shortest vector
        first.

    References
    ----------
    .. [1] I. Semaev, A 3-dimensional lattice reduction algorithm, in Cryptography and
       Lattices, LNCS 2146 (2001), 181-193.
    """
    change = np.tile(np.eye(3), (len(cells), 1, 1))
    every = np.arange(len(cells))[:, None]
    for _ in range(_MAX_STEPS):
        reduced = change @ cells
        gram = reduced @ reduced.swapaxes(1, 2)
        order = gram.diagonal(axis1=1, axis2=2).argsort(axis=1, kind="stable")
        change = change[every, order]
        step = _shortening_step(gram[every[:, None], order[:, :, None], order[:, None]])
        if not step.any():
            break
        change += step @ change
    return change


def _shortening_step(gram: Array) -> Array:
    """Return what to add to the second or the third vector, as rows of coefficients."""
    step = np.zeros_like(gram)
    turns = np.round(gram[:, 0, 1] / gram[:, 0, 0])
    second = gram[:, 1, 1] - turns * (2 * gram[:, 0, 1] - turns * gram[:, 0, 0])
    turns[second >= _SHORTER * gram[:, 1, 1]] = 0
    step[:, 1, 0] = -turns
    # The third vector minus its rounded projection on the plane of the first two, and
    # the eight neighbours, among which the nearest lattice point of the plane lies.
    area = gram[:, 0, 0] * gram[:, 1, 1] - gram[:, 0, 1] ** 2
    one = gram[:, 1, 1] * gram[:, 0, 2] - gram[:, 0, 1] * gram[:, 1, 2]
    two = gram[:, 0, 0] * gram[:, 1, 2] - gram[:, 0, 1] * gram[:, 0, 2]
    plane = -np.round(np.array([one, two, 0 * area]) / area).T
    tries = plane[:, None] + _NEAR  # (n_crystals, 9, 3)
    squares = ((tries @ gram) * tries).sum(axis=2)
    # One vector changes at a time, so that each step is surely unimodular and shorter.
    better = (squares.min(axis=1) < _SHORTER * gram[:, 2, 2]) & (turns == 0)
    chosen = tries[np.arange(len(gram)), squares.argmin(axis=1)]
    step[better, 2, :2] = chosen[better, :2]
    return step


def translations(geometry: Geometry, reach: Array) -> tuple[Array, Mask]:
    """List the lattice translations that bring a wrapped vector within reach.

    A wrapped vector has fractional coordinates between -1/2 and 1/2, so it fills a box;
    a translation counts if the translated box may come closer to the origin than
    `reach`.

    Parameters
    ----------
    geometry : Geometry
        Of the reduced cells.
    reach : ndarray, shape (n_crystals,)
        The cutoff in Å.

    Returns
    -------
    images : ndarray, shape (n_crystals, n_images, 3)
        Integer coefficients, the zero translation first; zeros fill the shorter lists.
    filled : ndarray of bool, shape (n_crystals, n_images)
        Which entries are filling.
    """
    reach = reach[:, None] * (1 + 1e-9)
    most = np.floor(reach / geometry.spacing + 0.5).max(axis=0)
    grid, monomials = _grid(most, half=False)
    keep = _lengths(geometry.gram, monomials) <= reach + geometry.corner[:, None]
    for axis, count in enumerate((np.abs(grid) - 0.5).T):
        keep &= geometry.spacing[:, axis, None] * count <= reach
    return _select(grid, keep)


def reciprocal_half(geometry: Geometry, reach: Array) -> tuple[Array, Mask]:
    """List one of each pair ±k of reciprocal lattice vectors within reach.

    Parameters
    ----------
    geometry : Geometry
        Of the reduced cells.
    reach : ndarray, shape (n_crystals,)
        The cutoff in 1/Å, 2π included.

    Returns
    -------
    indices : ndarray, shape (n_crystals, n_k, 3)
        Integer coefficients on the reciprocal basis.
    filled : ndarray of bool, shape (n_crystals, n_k)
        Which entries are filling: a vector of the lattice, but beyond counting.
    """
    reach = reach[:, None] * (1 + 1e-9)
    # |k . a_i| = 2π n_i, hence n_i <= |k| |a_i| / 2π.
    most = np.floor(reach * geometry.lengths / (2 * math.pi)).max(axis=0)
    grid, monomials = _grid(most, half=True)
    basis = geometry.reciprocal
    keep = _lengths(basis @ basis.swapaxes(1, 2), monomials) <= reach
    indices, filled = _select(grid, keep)
    indices[filled] = (0, 0, 1)
    return indices, filled


def _lengths(gram: Array, monomials: Array) -> Array:
    """Return lengths of integer combinations, shape (n_crystals, n), by one product."""
    squares = gram[:, *np.triu_indices(3)] @ monomials
    return np.asarray(np.sqrt(np.maximum(squares, 0)))


def _grid(most: Array, *, half: bool) -> tuple[Array, Array]:
    """Return integer triples, shape (n, 3), and their products by two, (6, n).

    All of them, beginning with zero; or one of each pair of opposite ones, but zero.
    """
    first, second, third = most.astype(int).tolist()
    small = (2 * first + 1) * (2 * second + 1) * (2 * third + 1) < _REMEMBERED
    make = _make_grid if small else _make_grid.__wrapped__
    return make(first, second, third, half)


@lru_cache(maxsize=128)
def _make_grid(first: int, second: int, third: int, half: bool) -> tuple[Array, Array]:
    """Make what `_grid` returns."""
    axes = [np.arange(-most, most + 1) for most in (first, second, third)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    zero = len(grid) // 2
    chosen = grid[zero + 1 :] if half else np.roll(grid, -zero, axis=0)
    row, column = np.triu_indices(3)
    monomials = (chosen[:, row] * chosen[:, column] * (1 + (row != column))).T
    return chosen.astype(np.float64), np.ascontiguousarray(monomials, np.float64)


def _select(grid: Array, keep: Mask) -> tuple[Array, Mask]:
    """Return the kept triples of each crystal, filled up with zeros, and what is filled."""
    sizes = keep.sum(axis=1)
    crystal, which = keep.nonzero()
    slot = np.arange(len(crystal)) - np.repeat(sizes.cumsum() - sizes, sizes)
    chosen = np.zeros((len(keep), sizes.max(initial=0), 3))
    chosen[crystal, slot] = grid[which]
    return chosen, np.arange(chosen.shape[1]) >= sizes[:, None]
