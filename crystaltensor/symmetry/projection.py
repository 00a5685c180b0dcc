r"""Exact projection of tensors onto what a point group allows.

By Neumann's principle [1]_ a property of a crystal is unchanged by every operation of
its point group. The average over the group is the orthogonal projector onto such
tensors,

.. math:: P = |G|^{-1} \sum_g \epsilon(g) \, R^g \otimes \cdots \otimes R^g ,

with :math:`\epsilon = \det R` for axial tensors and 1 for polar ones.

References
----------
.. [1] J. F. Nye, Physical Properties of Crystals, Oxford (1985), ch. I.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.errors import ConfigError, ShapeError, SymmetryError
from crystaltensor.symmetry.index_symmetry import IndexSymmetry, parse_index_symmetry
from crystaltensor.symmetry.point_groups import find_point_group, is_centrosymmetric

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

ZERO = 1e-13
"""Entries of a projector, of order one, that are below this are zero.

In axes along the crystal's every entry is zero or at least 1/8, and rounding leaves some
1e-16; in other axes an entry this small cannot be told from rounding. Setting them to
zero makes a forbidden component exactly 0.0 and changes no other beyond 1e-13.
"""

_KEPT = 512  # projectors, of 50 kB at most: those of a block of crystals
_PIVOT = 0.01  # smallest share of a component that its independent choice may rest on


def projector(rotations: "ArrayLike", rank: int, *, axial: bool = False) -> "Floats":
    """Build the projector onto the tensors of one rank that a group allows.

    Parameters
    ----------
    rotations : array_like, shape (n_ops, 3, 3)
        Orthogonal matrices of the whole group, acting on column vectors.
    rank : int
        1 to 4.
    axial : bool
        Whether the tensor changes sign under improper operations in addition.

    Returns
    -------
    ndarray, shape (3**rank, 3**rank)
        Symmetric and idempotent; acts on flattened tensors. Read only.

    Raises
    ------
    ShapeError
        If `rotations` is not a stack of 3×3 matrices.
    SymmetryError
        If they are not orthogonal, or not a group.
    ConfigError
        If `rank` is not 1 to 4.
    """
    if not 1 <= rank <= 4:
        raise ConfigError(f"tensors here have rank 1 to 4, not {rank}")
    group = _checked_group(rotations)
    return _projector(np.ascontiguousarray(group).tobytes(), rank, axial)


@lru_cache(maxsize=_KEPT)
def _projector(group_bytes: bytes, rank: int, axial: bool) -> "Floats":
    """Build it once for all that is done with one crystal; read only."""
    group = np.frombuffer(group_bytes).reshape(-1, 3, 3)
    n_ops = len(group)
    weights = np.linalg.det(group) / n_ops if axial else np.full(n_ops, 1 / n_ops)
    mean = _mean_power(group, weights, rank)
    mean[np.abs(mean) < ZERO] = 0.0
    if np.abs(mean @ mean - mean).max() > 1e-8:
        raise SymmetryError(
            f"these {n_ops} rotations are not a group; give every operation once"
        )
    mean.setflags(write=False)
    return mean


def project(
    tensor: "ArrayLike",
    rotations: "ArrayLike",
    *,
    index_symmetry: str | None = None,
    rank: int | None = None,
    axial: bool = False,
) -> "Floats":
    r"""Average Cartesian tensors over a point group.

    .. math:: T'_{i \dots j} = |G|^{-1} \sum_g R^g_{ia} \cdots R^g_{jb} T_{a \dots b}

    The result is the closest allowed tensor in the Frobenius norm. Components that the
    group forbids are exactly 0.0 in axes along the crystal's.

    Parameters
    ----------
    tensor : array_like, shape (..., 3, ..., 3)
        Cartesian components in the last axes, in any unit; the result keeps the unit.
    rotations : array_like, shape (n_ops, 3, 3)
        Orthogonal matrices of the whole group, acting on column vectors.
    index_symmetry : str, optional
        Such as ``"ijk=ikj"``: the result has this symmetry as well.
    rank : int, optional
        Number of Cartesian axes, 1 to 4; the rest are a batch. That of
        `index_symmetry`, or all axes, if it is not given.
    axial : bool
        Whether the tensor changes sign under improper operations in addition.

    Returns
    -------
    ndarray, shape (..., 3, ..., 3)
        The allowed part of `tensor`. Projecting twice changes nothing.

    Raises
    ------
    ShapeError
        If the axes of `tensor` or of `rotations` do not fit.
    SymmetryError
        If `rotations` are not a group of orthogonal matrices.
    ConfigError
        If `index_symmetry` cannot be read or disagrees with `rank`.
    """
    given = np.asarray(tensor, dtype=np.float64)
    rank = _rank_of(given, rank, index_symmetry)
    matrix = projector(rotations, rank, axial=axial)
    if index_symmetry is not None:
        basis = parse_index_symmetry(index_symmetry).embedding
        matrix = (matrix @ basis) @ basis.T
        matrix[np.abs(matrix) < ZERO] = 0.0
    return (given.reshape(-1, 3**rank) @ matrix.T).reshape(given.shape)


def allowed_basis(
    rotations: "ArrayLike", index_symmetry: str, *, axial: bool = False
) -> "Floats":
    """Span the tensors that have both an index symmetry and a point group.

    Parameters
    ----------
    rotations : array_like, shape (n_ops, 3, 3)
        Orthogonal matrices of the whole group, acting on column vectors.
    index_symmetry : str
        Such as ``"ijk=ikj"``.
    axial : bool
        Whether the tensor changes sign under improper operations in addition.

    Returns
    -------
    ndarray, shape (n_independent, 3, ..., 3)
        Orthonormal tensors; as few components as possible in each.

    Raises
    ------
    ShapeError
        If `rotations` is not a stack of 3×3 matrices.
    SymmetryError
        If they are not a group of orthogonal matrices.
    ConfigError
        If `index_symmetry` cannot be read.
    """
    indices = parse_index_symmetry(index_symmetry)
    reduced = reduced_projector(rotations, indices, axial=axial)
    basis, _ = pivoted_basis(reduced, np.arange(len(reduced)))
    return (basis @ indices.embedding.T).reshape(-1, *(3,) * indices.rank)


def n_independent(
    rotations: "ArrayLike", index_symmetry: str, *, axial: bool = False
) -> int:
    """Count the independent components that a point group leaves.

    Parameters
    ----------
    rotations : array_like, shape (n_ops, 3, 3)
        Orthogonal matrices of the whole group.
    index_symmetry : str
        Such as ``"ijk=ikj"``.
    axial : bool
        Whether the tensor changes sign under improper operations in addition.

    Returns
    -------
    int
        Zero if the group forbids such a tensor.

    Raises
    ------
    ShapeError
        If `rotations` is not a stack of 3×3 matrices.
    SymmetryError
        If they are not a group of orthogonal matrices.
    ConfigError
        If `index_symmetry` cannot be read.
    """
    indices = parse_index_symmetry(index_symmetry)
    return round(float(np.trace(reduced_projector(rotations, indices, axial=axial))))


def why_forbidden(
    rotations: "ArrayLike", index_symmetry: str, *, axial: bool = False
) -> str | None:
    """Say why a point group allows no component of a tensor.

    Parameters
    ----------
    rotations : array_like, shape (n_ops, 3, 3)
        Orthogonal matrices of the whole group, in any orientation.
    index_symmetry : str
        Such as ``"ijk=ikj"``.
    axial : bool
        Whether the tensor changes sign under improper operations in addition.

    Returns
    -------
    str or None
        One sentence without a full stop; None if a component is allowed.

    Raises
    ------
    ShapeError
        If `rotations` is not a stack of 3×3 matrices.
    SymmetryError
        If they are not one of the 32 crystal classes.
    ConfigError
        If `index_symmetry` cannot be read.
    """
    if n_independent(rotations, index_symmetry, axial=axial):
        return None
    group = np.asarray(rotations, dtype=np.float64)
    symbol = find_point_group(group)
    rank = parse_index_symmetry(index_symmetry).rank
    kind = "axial" if axial else "polar"
    if is_centrosymmetric(group) and (rank + axial) % 2:
        parity = "even" if axial else "odd"
        return (
            f"the point group {symbol} contains inversion, which forbids {kind} "
            f"tensors of {parity} rank"
        )
    return (
        f"the operations of the point group {symbol} leave no {kind} tensor of rank "
        f"{rank} with the index symmetry {index_symmetry}"
    )


def reduced_projector(
    rotations: "ArrayLike", indices: IndexSymmetry, *, axial: bool
) -> "Floats":
    """Give the projector within the tensors of an index symmetry, (n_free, n_free)."""
    full = projector(rotations, indices.rank, axial=axial)
    reduced = indices.embedding.T @ full @ indices.embedding
    reduced[np.abs(reduced) < ZERO] = 0.0
    return reduced


def pivoted_basis(
    matrix: "Floats", order: "NDArray[np.int64]"
) -> "tuple[Floats, list[int]]":
    """Orthonormalise the columns of a projector, taking them in a given order.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
        An orthogonal projector.
    order : ndarray of int, shape (n,)
        Columns, the most wanted first.

    Returns
    -------
    ndarray, shape (n_independent, n)
        Orthonormal rows that span the range.
    list of int
        The columns chosen; the entries there determine a vector of the range.
    """
    rank = round(float(np.trace(matrix)))
    rest = matrix.copy()
    rows = np.zeros((rank, len(matrix)))
    pivots: list[int] = []
    wanted = [int(column) for column in order]
    while len(pivots) < rank:
        # In odd axes the preferred columns may be nearly dependent: take the best left.
        column = next(
            (place for place in wanted if rest[place, place] > _PIVOT),
            int(np.diag(rest).argmax()),
        )
        wanted = [place for place in wanted if place != column]
        row = rest[column] / np.sqrt(rest[column, column])
        rows[len(pivots)] = row
        rest -= np.outer(row, row)
        pivots.append(column)
    # Small pivots magnify rounding: back into the range, and one Newton step.
    rows = rows @ matrix
    rows = 1.5 * rows - 0.5 * (rows @ rows.T) @ rows
    rows[np.abs(rows) < ZERO] = 0.0
    return rows, pivots


def _mean_power(group: "Floats", weights: "Floats", rank: int) -> "Floats":
    """Average the Kronecker powers of matrices, (3**rank, 3**rank)."""
    # The sum over operations is inside one matrix product of two lower powers.
    left, right = _power(group, (rank + 1) // 2), _power(group, rank // 2)
    outer, inner = left.shape[1], right.shape[1]
    sums = (left.reshape(len(group), -1).T * weights) @ right.reshape(len(group), -1)
    blocks = sums.reshape(outer, outer, inner, inner).transpose(0, 2, 1, 3)
    return blocks.reshape(outer * inner, outer * inner)


def _power(group: "Floats", order: int) -> "Floats":
    """Take the Kronecker power of each matrix, order 0 to 2."""
    if order == 0:
        return np.ones((len(group), 1, 1))
    if order == 1:
        return group
    pairs = group[:, :, None, :, None] * group[:, None, :, None, :]
    return pairs.reshape(-1, 9, 9)


def _rank_of(given: "Floats", rank: int | None, index_symmetry: str | None) -> int:
    """Settle the rank and refuse a tensor that does not end in so many axes."""
    if index_symmetry is not None:
        own = parse_index_symmetry(index_symmetry).rank
        if rank not in {None, own}:
            raise ConfigError(
                f"index symmetry {index_symmetry!r} has rank {own}, not {rank}"
            )
        rank = own
    rank = given.ndim if rank is None else rank
    if rank > given.ndim or given.shape[given.ndim - rank :] != (3,) * rank:
        raise ShapeError(
            f"a tensor of rank {rank} ends in {rank} axes of length 3, not {given.shape}"
        )
    return rank


def _checked_group(rotations: "ArrayLike") -> "Floats":
    """Refuse what is not a stack of orthogonal matrices."""
    group = np.asarray(rotations, dtype=np.float64)
    if group.ndim != 3 or group.shape[1:] != (3, 3) or len(group) == 0:
        raise ShapeError(f"rotations have shape (n_ops, 3, 3), not {group.shape}")
    error = np.abs(group @ group.swapaxes(1, 2) - np.eye(3)).max()
    if not error < 1e-6:
        raise SymmetryError(
            f"the rotations are not orthogonal matrices (error {error:.1e}); give them "
            "in Cartesian axes, not in fractions of a cell"
        )
    return group
