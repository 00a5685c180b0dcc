r"""Extremes of a property over all directions.

What is looked for depends on a unit vector n, or on n and a unit vector m normal to it:
the rows of a rotation. Starts that cover all rotations are refined together by Newton's
method on the group of rotations, which ends at rounding; nothing is read off a grid.
The functions are polynomials of degree four or less, or ratios of two, so that their
hills are wide beside the distance between the starts.
"""

from dataclasses import dataclass
from functools import cache
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from crystaltensor.symmetry.derived import compliance

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Function = Callable[[Floats], tuple[Floats, Floats]]

_STARTS = 24
_STEPS = 60
_ANGLE = 1e-5  # of the differences that make second derivatives out of first ones
_FLAT = 1e-10  # curvatures below this part of the largest one are none


@dataclass(frozen=True, eq=False)
class Extreme:
    """The largest or smallest value of a property.

    Parameters
    ----------
    value : float
        In the unit of the property.
    direction : ndarray, shape (3,)
        Unit vector n, in the frame of the tensor.
    across : ndarray, shape (3,), or None
        Unit vector m normal to it, for properties of two directions.
    """

    value: float
    direction: "Floats"
    across: "Floats | None" = None


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


def longitudinal_extreme(tensor: "ArrayLike") -> Extreme:
    r"""Find the largest :math:`|T_{i \dots j} n_i \cdots n_j|`.

    Parameters
    ----------
    tensor : array_like, shape (3, ..., 3)
        Such as e or d, rank 3.

    Returns
    -------
    Extreme
        Of odd rank with a positive value; the direction is chosen so.
    """
    given = _symmetric(np.asarray(tensor, dtype=np.float64))
    best = _search(lambda frames: _power(given, frames), largest=True)
    if given.ndim % 2 == 0:
        least = _search(lambda frames: _power(given, frames), largest=False)
        best = max(best, least, key=lambda one: abs(one.value))
    return Extreme(best.value, best.direction)


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
    soft = _symmetric(compliance(stiffness))
    low = _search(lambda frames: _power(soft, frames), largest=True)
    high = _search(lambda frames: _power(soft, frames), largest=False)
    return Extreme(1 / low.value, low.direction), Extreme(
        1 / high.value, high.direction
    )


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
    soft = compliance(stiffness)
    low = _search(lambda frames: _shear(soft, frames), largest=True, across=True)
    high = _search(lambda frames: _shear(soft, frames), largest=False, across=True)
    return (
        Extreme(1 / (4 * low.value), low.direction, low.across),
        Extreme(1 / (4 * high.value), high.direction, high.across),
    )


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
    soft = compliance(stiffness)
    return (
        _search(lambda frames: _poisson(soft, frames), largest=False, across=True),
        _search(lambda frames: _poisson(soft, frames), largest=True, across=True),
    )


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
    values, vectors = np.linalg.eigh(
        1000 * np.einsum("ijkk->ij", compliance(stiffness))
    )
    return (
        Extreme(float(values[0]), _upright(vectors[:, 0])),
        Extreme(float(values[2]), _upright(vectors[:, 2])),
    )


def _power(tensor: "Floats", frames: "Floats") -> "tuple[Floats, Floats]":
    """T(n, ..., n) of a symmetric tensor, and its derivative by the rows of frames."""
    n = frames[:, 0]
    part = np.broadcast_to(tensor.ravel(), (len(frames), tensor.size))
    for _ in range(tensor.ndim - 1):
        part = (part.reshape(len(frames), -1, 3) * n[:, None, :]).sum(axis=-1)
    slope = np.zeros_like(frames)
    slope[:, 0] = tensor.ndim * part
    return (part * n).sum(axis=-1), slope


def _shear(soft: "Floats", frames: "Floats") -> "tuple[Floats, Floats]":
    """S(n, m, n, m)."""
    n, m = frames[:, 0], frames[:, 1]
    pair = _contract(soft, n, m)
    slope = np.zeros_like(frames)
    slope[:, 0] = 2 * _apply(pair, m)
    slope[:, 1] = 2 * _apply(pair, n)
    return (slope[:, 0] * n).sum(axis=1) / 2, slope


def _poisson(soft: "Floats", frames: "Floats") -> "tuple[Floats, Floats]":
    """-S(n, n, m, m) / S(n, n, n, n)."""
    n, m = frames[:, 0], frames[:, 1]
    along, by_m = _contract(soft, n, n), _contract(soft, m, m)
    along_n, along_m = _apply(along, n), _apply(along, m)
    bottom = (along_n * n).sum(axis=1)[:, None]
    ratio = -(along_m * m).sum(axis=1)[:, None] / bottom
    slope = np.zeros_like(frames)
    slope[:, 0] = (-2 * _apply(by_m, n) - 4 * ratio * along_n) / bottom
    slope[:, 1] = -2 * along_m / bottom
    return ratio[:, 0], slope


def _contract(soft: "Floats", first: "Floats", second: "Floats") -> "Floats":
    """S_ijkl a_k b_l for many a and b: symmetric matrices, (n, 3, 3)."""
    pairs = (first[:, :, None] * second[:, None, :]).reshape(-1, 9)
    return (pairs @ soft.reshape(9, 9)).reshape(-1, 3, 3)


def _apply(matrices: "Floats", vectors: "Floats") -> "Floats":
    """Multiply each vector by its matrix."""
    product: Floats = (matrices @ vectors[:, :, None])[:, :, 0]
    return product


def _search(function: "Function", *, largest: bool, across: bool = False) -> Extreme:
    """Refine the best of many starts, and take the best of what they lead to."""
    sign = 1.0 if largest else -1.0

    def climb(frames: "Floats") -> "tuple[Floats, Floats]":
        value, slope = function(frames)
        # The derivative by a rotation vector: the sum of r × df/dr over the rows r.
        torque = frames.swapaxes(1, 2) @ slope  # (n, 3, 3), its skew part is wanted
        turned = (torque - torque.swapaxes(1, 2))[:, [1, 2, 0], [2, 0, 1]]
        return sign * value, sign * turned

    frames = _covering(12 if across else 1)
    order = np.argsort(-climb(frames)[0], kind="stable")
    # The best starts, and as many from everywhere.
    frames = np.concatenate(
        [frames[order[:_STARTS]], frames[:: len(frames) // _STARTS]]
    )
    frames = _ascend(climb, frames)
    values = climb(frames)[0]
    # Of equal ones, the direction nearest to an axis reads best.
    near = np.flatnonzero(values >= values.max() - 1e-9 * np.abs(values).max())
    neat = np.abs(frames[near, 0]).max(axis=1).round(6)
    best = _in_plane(climb, frames[near[neat.argmax()]])
    direction, other = _tidy(best[0]), _tidy(best[1])
    # A sign that nothing depends on is chosen to be read easily.
    flipped = np.stack([-direction, other, np.cross(-direction, other)])[None]
    if np.isclose(climb(flipped)[0][0], values.max(), rtol=1e-9, atol=0):
        direction = _upright(direction)
    return Extreme(
        float(sign * values[near].max()),
        direction,
        _upright(other) if across else None,
    )


def _in_plane(
    climb: "Callable[[Floats], tuple[Floats, Floats]]", frame: "Floats"
) -> "Floats":
    """Turn a frame about an axis that nothing depends on, so that n lies in a plane."""
    value = climb(frame[None])[0][0]
    for axis in (2, 1, 0):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        angle = np.arctan2(frame[0, second], frame[0, first])
        turned = _turn(-angle * np.eye(3)[[axis]], frame[None])
        if abs(climb(turned)[0][0] - value) <= 1e-9 * abs(value):
            return np.asarray(turned[0])
    return frame


def _ascend(
    climb: "Callable[[Floats], tuple[Floats, Floats]]", frames: "Floats"
) -> "Floats":
    """Newton's method with steps that always go up, on all frames at once."""
    value, slope = climb(frames)
    length = np.full(len(frames), 0.3)  # the largest step, in radian
    for _ in range(_STEPS):
        slopes = climb((frames[:, None] @ _NEARBY).reshape(-1, 3, 3))[1]
        slopes = slopes.reshape(-1, 2, 3, 3)
        bent = (slopes[:, 0] - slopes[:, 1]) / (2 * _ANGLE)
        curved, axes = np.linalg.eigh((bent + bent.swapaxes(1, 2)) / 2)
        size = np.abs(curved)
        size = np.maximum(size, _FLAT * size.max(axis=1, keepdims=True) + 1e-300)
        step = _apply(axes, _apply(axes.swapaxes(1, 2), slope) / size)
        norm = np.linalg.norm(step, axis=1)
        step *= np.minimum(1, length / np.maximum(norm, 1e-300))[:, None]
        moved = _turn(step, frames)
        new_value, new_slope = climb(moved)
        better = new_value >= value
        frames = np.where(better[:, None, None], moved, frames)
        value = np.where(better, new_value, value)
        slope = np.where(better[:, None], new_slope, slope)
        length = np.where(better, np.minimum(0.3, 2 * length), 0.25 * length)
        if (np.minimum(norm, length) < 1e-7).all():  # its square is rounding
            break
    return frames


def _turn(vectors: "Floats", frames: "Floats") -> "Floats":
    """Rotate the rows of frames by rotation vectors, (n, 3)."""
    turned: Floats = frames @ _turns(vectors)
    return turned


def _turns(vectors: "Floats") -> "Floats":
    """Give the matrices that rotate rows by rotation vectors, after Rodrigues."""
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    x, y, z = (vectors / np.maximum(angle[:, 0], 1e-300)).T
    zero = np.zeros_like(x)
    cross = np.stack([zero, z, -y, -z, zero, x, y, -x, zero], axis=1).reshape(-1, 3, 3)
    found: Floats = (
        np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    )
    return found


_NEARBY = _turns(_ANGLE * np.concatenate([np.eye(3), -np.eye(3)]))  # (6, 3, 3)


@cache
def _covering(n_across: int) -> "Floats":
    """Frames that cover all directions n evenly and, for each, directions m."""
    count = 600 if n_across == 1 else 200
    step = np.arange(count)
    z = 1 - (2 * step + 1) / count
    turn = np.pi * (3 - np.sqrt(5)) * step
    radius = np.sqrt(1 - z * z)
    n = np.stack([radius * np.cos(turn), radius * np.sin(turn), z], axis=1)
    helper = np.eye(3)[np.abs(n).argmin(axis=1)]
    m = np.cross(n, helper)
    m /= np.linalg.norm(m, axis=1, keepdims=True)
    p = np.cross(n, m)
    frames = []
    for angle in np.pi * np.arange(n_across) / n_across:
        first = np.cos(angle) * m + np.sin(angle) * p
        frames.append(np.stack([n, first, np.cross(n, first)], axis=1))
    axes = np.stack([np.eye(3)[[k, (k + 1) % 3, (k + 2) % 3]] for k in range(3)])
    found = np.concatenate([axes, *frames])
    found.setflags(write=False)
    return found


def _symmetric(tensor: "Floats") -> "Floats":
    """Average over all orders of the indices; T(n, ..., n) does not change."""
    orders = list(permutations(range(tensor.ndim)))
    mean: Floats = np.mean([tensor.transpose(order) for order in orders], axis=0)
    return mean


def _tidy(vector: "Floats") -> "Floats":
    """Set what is zero but for rounding to zero."""
    return np.where(np.abs(vector) < 1e-7, 0.0, vector)


def _upright(vector: "Floats") -> "Floats":
    """Choose the sign of a vector so that its largest component is positive."""
    tidy = _tidy(vector)
    largest = np.flatnonzero(np.abs(tidy) > np.abs(tidy).max() - 1e-6)[0]
    return np.asarray(tidy * np.sign(tidy[largest]) + 0.0)
