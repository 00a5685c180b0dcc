r"""Full, Voigt and Kelvin-Mandel forms of tensors, and rotations of the frame.

The Voigt order is xx, yy, zz, yz, xz, xy everywhere. Stiffness-like components (stress,
e, C) carry no factors. Strain-like ones carry a 2 for each pair of unequal indices:
:math:`d_{14} = 2 d_{123}`, :math:`S_{44} = 4 S_{2323}`. Kelvin-Mandel components carry
:math:`\sqrt 2` for each such pair, which keeps norms, products and inverses right.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.errors import ConfigError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

VOIGT_PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""Cartesian indices of the six Voigt components."""

ORDERS = {
    "voigt": (0, 1, 2, 3, 4, 5),
    "vasp": (0, 1, 2, 5, 3, 4),
}
"""Voigt components in the order that each convention lists them.

VASP, and data sets derived from it, write xx, yy, zz, xy, yz, zx.
"""

FACTORS = {"stress": 1.0, "strain": 2.0, "mandel": math.sqrt(2)}
"""Weight of a component with two unequal indices, relative to the full tensor."""

_FULL = {2: (3, 3), 3: (3, 3, 3), 4: (3, 3, 3, 3)}
_MATRIX = {2: (6,), 3: (3, 6), 4: (6, 6)}
_ROWS, _COLUMNS = np.array(VOIGT_PAIRS).T
_VOIGT_OF_PAIR = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
_ASYMMETRY = 1e-4  # float32 noise is far below, a wrong convention far above


def to_voigt(
    tensor: "ArrayLike", rank: int, *, factors: str = "stress", order: str = "voigt"
) -> "Floats":
    """Write a tensor as a Voigt vector or matrix.

    Parameters
    ----------
    tensor : array_like, shape (..., 3, ..., 3)
        Full components: the last `rank` axes. Symmetric in the pair of indices of
        rank 2, in the last pair of rank 3, and in both pairs of rank 4.
    rank : int
        2, 3 or 4.
    factors : str
        ``"stress"`` (no factors: ε, e, C), ``"strain"`` (strain, d, compliance) or
        ``"mandel"``.
    order : str
        ``"voigt"`` or ``"vasp"``.

    Returns
    -------
    ndarray, shape (..., 6), (..., 3, 6) or (..., 6, 6)
        In the unit of `tensor`.

    Raises
    ------
    ShapeError
        If the shape does not fit, or the tensor lacks the symmetry.
    ConfigError
        If `rank`, `factors` or `order` is unknown.
    """
    full = _checked(tensor, rank, _FULL)
    scale, places = _scale(factors), _places(order)
    picked = full[..., _ROWS, _COLUMNS]
    _refuse_asymmetric(full, full.swapaxes(-1, -2), rank)
    picked = 0.5 * (picked + full[..., _COLUMNS, _ROWS]) * scale
    if rank == 4:
        _refuse_asymmetric(full, full.swapaxes(-3, -4), rank)
        both = picked[..., _ROWS, _COLUMNS, :] + picked[..., _COLUMNS, _ROWS, :]
        picked = (0.5 * both * scale[:, None])[..., places, :]
    return picked[..., places]


def from_voigt(
    matrix: "ArrayLike", rank: int, *, factors: str = "stress", order: str = "voigt"
) -> "Floats":
    """Write a Voigt vector or matrix as a full tensor; the inverse of `to_voigt`.

    Parameters
    ----------
    matrix : array_like, shape (..., 6), (..., 3, 6) or (..., 6, 6)
        Components of rank 2, 3 or 4.
    rank : int
        2, 3 or 4.
    factors, order : str
        As in `to_voigt`.

    Returns
    -------
    ndarray, shape (..., 3, ..., 3)
        Full components, in the unit of `matrix`.

    Raises
    ------
    ShapeError
        If the shape does not fit.
    ConfigError
        If `rank`, `factors` or `order` is unknown.
    """
    given = _checked(matrix, rank, _MATRIX)
    scale, back = _scale(factors), np.argsort(_places(order))
    full = (given[..., back] / scale)[..., _VOIGT_OF_PAIR]
    if rank == 4:
        # The axes are (..., 6, 3, 3): the pair that is still joined is the third last.
        full = full[..., back, :, :] / scale[:, None, None]
        full = full[..., _VOIGT_OF_PAIR, :, :]
    return full


def to_mandel(tensor: "ArrayLike", rank: int) -> "Floats":
    r"""Write a full tensor in the orthonormal basis of Kelvin and Mandel.

    Parameters
    ----------
    tensor : array_like, shape (..., 3, ..., 3)
        As in `to_voigt`.
    rank : int
        2, 3 or 4.

    Returns
    -------
    ndarray, shape (..., 6), (..., 3, 6) or (..., 6, 6)
        With :math:`\sqrt 2` for each pair of unequal indices; its norm is the tensor's.

    Raises
    ------
    ShapeError
        If the shape does not fit, or the tensor lacks the symmetry.
    ConfigError
        If `rank` is not 2, 3 or 4.
    """
    return to_voigt(tensor, rank, factors="mandel")


def from_mandel(matrix: "ArrayLike", rank: int) -> "Floats":
    """Write a Kelvin-Mandel vector or matrix as a full tensor.

    Parameters
    ----------
    matrix : array_like, shape (..., 6), (..., 3, 6) or (..., 6, 6)
        As `to_mandel` gives it.
    rank : int
        2, 3 or 4.

    Returns
    -------
    ndarray, shape (..., 3, ..., 3)
        Full components.

    Raises
    ------
    ShapeError
        If the shape does not fit.
    ConfigError
        If `rank` is not 2, 3 or 4.
    """
    return from_voigt(matrix, rank, factors="mandel")


def voigt_to_mandel(
    matrix: "ArrayLike", rank: int, *, factors: str = "stress"
) -> "Floats":
    """Change Voigt components to Kelvin-Mandel ones.

    Parameters
    ----------
    matrix : array_like, shape (..., 6), (..., 3, 6) or (..., 6, 6)
        Components in Voigt order.
    rank : int
        2, 3 or 4.
    factors : str
        Those of `matrix`: ``"stress"`` or ``"strain"``.

    Returns
    -------
    ndarray, same shape
        Kelvin-Mandel components.

    Raises
    ------
    ShapeError
        If the shape does not fit.
    ConfigError
        If `rank` or `factors` is unknown.
    """
    scale = _scale("mandel") / _scale(factors)
    given = _checked(matrix, rank, _MATRIX) * scale
    return given * scale[:, None] if rank == 4 else given


def mandel_to_voigt(
    matrix: "ArrayLike", rank: int, *, factors: str = "stress"
) -> "Floats":
    """Change Kelvin-Mandel components to Voigt ones; inverse of `voigt_to_mandel`.

    Parameters
    ----------
    matrix : array_like, shape (..., 6), (..., 3, 6) or (..., 6, 6)
        Kelvin-Mandel components.
    rank : int
        2, 3 or 4.
    factors : str
        Those of the result: ``"stress"`` or ``"strain"``.

    Returns
    -------
    ndarray, same shape
        Components in Voigt order.

    Raises
    ------
    ShapeError
        If the shape does not fit.
    ConfigError
        If `rank` or `factors` is unknown.
    """
    scale = _scale(factors) / _scale("mandel")
    given = _checked(matrix, rank, _MATRIX) * scale
    return given * scale[:, None] if rank == 4 else given


def reorder(
    matrix: "ArrayLike", rank: int, *, source: str, target: str = "voigt"
) -> "Floats":
    """Change the order of Voigt components, such as VASP's, by name.

    Parameters
    ----------
    matrix : array_like, shape (..., 6), (..., 3, 6) or (..., 6, 6)
        Components in the order `source`.
    rank : int
        2, 3 or 4.
    source, target : str
        ``"voigt"`` (xx yy zz yz xz xy) or ``"vasp"`` (xx yy zz xy yz zx).

    Returns
    -------
    ndarray, same shape
        Components in the order `target`.

    Raises
    ------
    ShapeError
        If the shape does not fit.
    ConfigError
        If `rank`, `source` or `target` is unknown.
    """
    given = _checked(matrix, rank, _MATRIX)
    places = np.argsort(_places(source))[_places(target)]
    if rank == 4:
        given = given[..., places, :]
    return given[..., places]


def component_names(symbol: str, rank: int) -> "NDArray[np.str_]":
    """Name the Voigt components in the usual way: ``e15``, ``C44``.

    Parameters
    ----------
    symbol : str
        Of the tensor, such as ``"e"``.
    rank : int
        1 to 4.

    Returns
    -------
    ndarray of str, shape (3,), (3, 3), (3, 6) or (6, 6)
        Rank 2 keeps its two Cartesian indices: ``ε11``.

    Raises
    ------
    ConfigError
        If `rank` is not 1 to 4.
    """
    shapes = {1: (3,), 2: (3, 3), 3: (3, 6), 4: (6, 6)}
    if rank not in shapes:
        raise ConfigError(f"tensors here have rank 1 to 4, not {rank}")
    shape = shapes[rank]
    names = [
        symbol + "".join(str(part + 1) for part in index)
        for index in np.ndindex(*shape)
    ]
    return np.array(names).reshape(shape)


def rotate(
    tensor: "ArrayLike",
    rotation: "ArrayLike",
    *,
    rank: int | None = None,
    axial: bool = False,
) -> "Floats":
    r"""Turn a tensor, or express it in a frame whose axes are the rows of `rotation`.

    .. math:: T'_{i \dots j} = R_{ia} \cdots R_{jb} T_{a \dots b}

    Parameters
    ----------
    tensor : array_like, shape (..., 3, ..., 3)
        Full components in the last `rank` axes.
    rotation : array_like, shape (3, 3)
        Orthogonal; acts on column vectors.
    rank : int, optional
        All axes of `tensor` if it is not given.
    axial : bool
        Whether the tensor changes sign under improper rotations in addition.

    Returns
    -------
    ndarray, shape (..., 3, ..., 3)
        Components after the rotation, in the unit of `tensor`.

    Raises
    ------
    ShapeError
        If an axis does not have length 3, or `rotation` is not a 3×3 matrix.
    """
    full = np.asarray(tensor, dtype=np.float64)
    matrix = np.asarray(rotation, dtype=np.float64)
    rank = full.ndim if rank is None else rank
    if matrix.shape != (3, 3):
        raise ShapeError(f"a rotation has shape (3, 3), not {matrix.shape}")
    if rank > full.ndim or full.shape[full.ndim - rank :] != (3,) * rank:
        raise ShapeError(
            f"a tensor of rank {rank} ends in {rank} axes of length 3, not {full.shape}"
        )
    for axis in range(-rank, 0):
        full = np.moveaxis(np.moveaxis(full, axis, -1) @ matrix.T, -1, axis)
    return full * np.sign(np.linalg.det(matrix)) if axial else full


def _checked(
    array: "ArrayLike", rank: int, shapes: dict[int, tuple[int, ...]]
) -> "Floats":
    """Refuse an array that does not end in the axes of a tensor of this rank."""
    if rank not in shapes:
        raise ConfigError(f"Voigt notation is for rank 2, 3 or 4, not {rank}")
    given = np.asarray(array, dtype=np.float64)
    shape = shapes[rank]
    if given.shape[-len(shape) :] != shape:
        dots = ", ".join(["...", *map(str, shape)])
        raise ShapeError(f"rank {rank} needs shape ({dots}), not {given.shape}")
    return given


def _refuse_asymmetric(full: "Floats", swapped: "Floats", rank: int) -> None:
    """Refuse to drop an antisymmetric part, which Voigt notation cannot hold."""
    if full.size == 0:
        return
    largest = float(np.abs(full - swapped).max())
    if largest > _ASYMMETRY * float(np.abs(full).max()):
        pair = "its indices" if rank == 2 else "a pair of its indices"
        raise ShapeError(
            f"a tensor of rank {rank} that is not symmetric in {pair} (largest "
            f"difference {largest:.3g}) has no Voigt form; symmetrise it first"
        )


def _scale(factors: str) -> "Floats":
    """Weights of the six components."""
    if factors not in FACTORS:
        raise ConfigError(f"unknown factors {factors!r}; known: {', '.join(FACTORS)}")
    return np.array([1.0] * 3 + [FACTORS[factors]] * 3)


def _places(order: str) -> "NDArray[np.int64]":
    """Voigt numbers in the order of a convention."""
    if order not in ORDERS:
        raise ConfigError(f"unknown order {order!r}; known: {', '.join(ORDERS)}")
    return np.array(ORDERS[order])
