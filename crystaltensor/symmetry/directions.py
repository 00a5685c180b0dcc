r"""Extremes of a property over all directions, of many crystals at once."""

from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.symmetry.derived import compliance
from crystaltensor.symmetry.direction_search import (
    Extreme,
    Surface,
    apply_each,
    products,
    search,
    upright,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


def longitudinal(tensor: "ArrayLike", directions: "ArrayLike") -> "Floats":
    r"""Contract a tensor of any rank with a direction on all its indices.

    Parameters
    ----------
    tensor : array_like, shape (3, ..., 3)
        Any rank from 1.
    directions : array_like, shape (..., 3)
        Unit vectors.

    Returns
    -------
    ndarray, shape (...)
        :math:`T_{i \dots j} n_i \cdots n_j`, in the unit of `tensor`.
    """
    vectors = np.asarray(directions, dtype=np.float64)
    found = np.asarray(tensor, dtype=np.float64).reshape(-1, 3)
    rank = np.asarray(tensor).ndim
    value: Floats = vectors @ found.T  # (..., 3**(rank - 1))
    for _ in range(rank - 1):
        value = value.reshape(*vectors.shape[:-1], -1, 3)
        value = (value * vectors[..., None, :]).sum(axis=-1)
    return value.reshape(vectors.shape[:-1])


def longitudinal_extremes(tensors: "ArrayLike") -> list[Extreme]:
    r"""Find the largest :math:`|T_{i \dots j} n_i \cdots n_j|` of many tensors.

    Parameters
    ----------
    tensors : array_like, shape (n_crystals, 3, ..., 3)
        Such as e or d, rank 3.

    Returns
    -------
    list of Extreme
        Of odd rank with a positive value; the direction is chosen so.
    """
    given = _symmetric(np.asarray(tensors, dtype=np.float64))
    best = search(_POWER, given, largest=True)
    if given.ndim % 2 == 1:
        least = search(_POWER, given, largest=False)
        pairs = zip(best, least, strict=True)
        best = [max(pair, key=lambda one: abs(one.value)) for pair in pairs]
    return [Extreme(one.value, one.direction) for one in best]


def longitudinal_extreme(tensor: "ArrayLike") -> Extreme:
    """Do the same for one tensor, shape (3, ..., 3)."""
    return longitudinal_extremes(np.asarray(tensor)[None])[0]


def elastic_extremes(
    stiffnesses: "ArrayLike",
) -> list[dict[str, tuple[Extreme, Extreme]]]:
    """Find the extremes of all elastic properties of many crystals.

    Parameters
    ----------
    stiffnesses : array_like, shape (n_crystals, 3, 3, 3, 3)
        In GPa.

    Returns
    -------
    list of dict
        ``"young"``, ``"shear"``, ``"poisson"`` and ``"linear_compressibility"`` to the
        smallest and the largest, as the functions of one crystal give them.

    Raises
    ------
    DataError
        If a stiffness has no inverse.
    """
    stiff = np.asarray(stiffnesses, dtype=np.float64)
    soft = np.array([compliance(one) for one in stiff]).reshape(-1, 3, 3, 3, 3)
    columns = {
        "young": _young(soft),
        "shear": _shears(soft),
        "poisson": _poissons(soft),
        "linear_compressibility": [_compressibility(one) for one in soft],
    }
    return [
        {name: column[index] for name, column in columns.items()}
        for index in range(len(soft))
    ]


def young_extremes(stiffness: "ArrayLike") -> tuple[Extreme, Extreme]:
    """Find the smallest and the largest Young's modulus 1/S(n, n, n, n), in GPa.

    Parameters
    ----------
    stiffness : array_like, shape (3, 3, 3, 3)
        In GPa.

    Returns
    -------
    tuple of Extreme
        The smallest and the largest.

    Raises
    ------
    DataError
        If the stiffness has no inverse.
    """
    return _young(compliance(stiffness)[None])[0]


def shear_extremes(stiffness: "ArrayLike") -> tuple[Extreme, Extreme]:
    """Find the smallest and largest shear modulus 1/(4 S(n, m, n, m)), in GPa.

    Parameters
    ----------
    stiffness : array_like, shape (3, 3, 3, 3)
        In GPa.

    Returns
    -------
    tuple of Extreme
        The smallest and the largest, with the normal n of the plane and the direction m
        in it.

    Raises
    ------
    DataError
        If the stiffness has no inverse.
    """
    return _shears(compliance(stiffness)[None])[0]


def poisson_extremes(stiffness: "ArrayLike") -> tuple[Extreme, Extreme]:
    """Find the smallest and largest Poisson ratio -S(n, n, m, m)/S(n, n, n, n).

    Parameters
    ----------
    stiffness : array_like, shape (3, 3, 3, 3)
        In GPa.

    Returns
    -------
    tuple of Extreme
        The smallest and the largest, for a pull along n and the strain along m.

    Raises
    ------
    DataError
        If the stiffness has no inverse.
    """
    return _poissons(compliance(stiffness)[None])[0]


def compressibility_extremes(stiffness: "ArrayLike") -> tuple[Extreme, Extreme]:
    """Find the smallest and largest linear compressibility S(n, n, j, j), in 1/TPa.

    Parameters
    ----------
    stiffness : array_like, shape (3, 3, 3, 3)
        In GPa.

    Returns
    -------
    tuple of Extreme
        Eigenvalues of a tensor of rank two, hence exact.

    Raises
    ------
    DataError
        If the stiffness has no inverse.
    """
    return _compressibility(compliance(stiffness))


def _young(soft: "Floats") -> list[tuple[Extreme, Extreme]]:
    """Give the extremes of Young's modulus, for compliances (n, 3, 3, 3, 3)."""
    even = _symmetric(soft)
    low = search(_POWER, even, largest=True)
    high = search(_POWER, even, largest=False)
    return [
        (Extreme(1 / a.value, a.direction), Extreme(1 / b.value, b.direction))
        for a, b in zip(low, high, strict=True)
    ]


def _shears(soft: "Floats") -> list[tuple[Extreme, Extreme]]:
    """Give the extremes of the shear modulus, for compliances (n, 3, 3, 3, 3)."""
    low = search(_SHEAR, soft, largest=True)
    high = search(_SHEAR, soft, largest=False)
    return [
        (
            Extreme(1 / (4 * a.value), a.direction, a.across),
            Extreme(1 / (4 * b.value), b.direction, b.across),
        )
        for a, b in zip(low, high, strict=True)
    ]


def _poissons(soft: "Floats") -> list[tuple[Extreme, Extreme]]:
    """Give the extremes of Poisson's ratio, for compliances (n, 3, 3, 3, 3)."""
    low = search(_POISSON, soft, largest=False)
    high = search(_POISSON, soft, largest=True)
    return list(zip(low, high, strict=True))


def _compressibility(soft: "Floats") -> tuple[Extreme, Extreme]:
    """Give the extremes of the linear compressibility, for one compliance."""
    values, vectors = np.linalg.eigh(1000 * np.einsum("ijkk->ij", soft))
    return (
        Extreme(float(values[0]), upright(vectors[:, 0])),
        Extreme(float(values[2]), upright(vectors[:, 2])),
    )


def _power(tensors: "Floats", frames: "Floats") -> "tuple[Floats, Floats]":
    """T(n, ..., n) of symmetric tensors, and its derivative by the rows of frames."""
    n, rank = frames[:, :, 0], tensors.ndim - 1
    part = n @ tensors.reshape(len(tensors), -1, 3).swapaxes(1, 2)
    for _ in range(rank - 2):
        part = (part.reshape(*n.shape[:2], -1, 3) * n[:, :, None, :]).sum(axis=-1)
    slope = np.zeros_like(frames)
    slope[:, :, 0] = rank * part
    return (part * n).sum(axis=-1), slope


def _shear(soft: "Floats", frames: "Floats") -> "tuple[Floats, Floats]":
    """S(n, m, n, m)."""
    n, m = frames[:, :, 0], frames[:, :, 1]
    pair = _contract(soft, n, m)
    slope = np.zeros_like(frames)
    slope[:, :, 0] = 2 * apply_each(pair, m)
    slope[:, :, 1] = 2 * apply_each(pair, n)
    return (slope[:, :, 0] * n).sum(axis=-1) / 2, slope


def _poisson(soft: "Floats", frames: "Floats") -> "tuple[Floats, Floats]":
    """-S(n, n, m, m) / S(n, n, n, n)."""
    n, m = frames[:, :, 0], frames[:, :, 1]
    along, by_m = _contract(soft, n, n), _contract(soft, m, m)
    along_n, along_m = apply_each(along, n), apply_each(along, m)
    bottom = (along_n * n).sum(axis=-1, keepdims=True)
    ratio = -(along_m * m).sum(axis=-1, keepdims=True) / bottom
    slope = np.zeros_like(frames)
    slope[:, :, 0] = (-2 * apply_each(by_m, n) - 4 * ratio * along_n) / bottom
    slope[:, :, 1] = -2 * along_m / bottom
    return ratio[:, :, 0], slope


def _power_on_grid(tensors: "Floats", _: str) -> "Floats":
    """T(n, ..., n)."""
    return tensors.reshape(len(tensors), -1) @ products("n" * (tensors.ndim - 1))


def _shear_on_grid(soft: "Floats", m: str) -> "Floats":
    """S(n, m, n, m)."""
    return soft.reshape(len(soft), -1) @ products(f"n{m}n{m}")


def _poisson_on_grid(soft: "Floats", m: str) -> "Floats":
    """-S(n, n, m, m) / S(n, n, n, n)."""
    flat = soft.reshape(len(soft), -1)
    ratio: Floats = -(flat @ products(f"nn{m}{m}")) / (flat @ products("nnnn"))
    return ratio


def _contract(soft: "Floats", first: "Floats", second: "Floats") -> "Floats":
    """S_ijkl a_k b_l for many a and b of each crystal: matrices (n, m, 3, 3)."""
    pairs = (first[..., :, None] * second[..., None, :]).reshape(*first.shape[:2], 9)
    return (pairs @ soft.reshape(-1, 9, 9)).reshape(*first.shape, 3)


def _symmetric(tensors: "Floats") -> "Floats":
    """Average over all orders of the indices behind the first; T(n, ..., n) stays."""
    orders = list(permutations(range(1, tensors.ndim)))
    mean: Floats = np.mean([tensors.transpose(0, *order) for order in orders], axis=0)
    return mean


_POWER = Surface(_power, _power_on_grid, across=False)
_SHEAR = Surface(_shear, _shear_on_grid, across=True)
_POISSON = Surface(_poisson, _poisson_on_grid, across=True)
