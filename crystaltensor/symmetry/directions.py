r"""Extremes of a property over all directions, of many crystals at once.

What is looked for depends on a unit vector n, or on n and a unit vector m normal to it:
the rows of a rotation. For a given n the best m is known, because the functions are
quadratic in it. So the summits of a grid of directions are refined together, by
Newton's method on the group of rotations, which ends at rounding; nothing is read off
the grid. The functions are polynomials of degree four or less, or ratios of two, so that
their hills are wide beside the distance between the points of the grid.
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
    Function = Callable[[Floats, Floats], tuple[Floats, Floats]]
    # Tensors (n, ...) and frames (n, m, 3, 3) to values (n, m) and their derivatives.

_POINTS = 600
_NEIGHBOURS = 8
_STARTS = 12  # summits of the grid that are refined at most
_STEPS = 60
_ANGLE = 1e-5  # of the differences that make second derivatives out of first ones
_FLAT = 1e-6  # curvatures below this part of the largest one are none
_CHUNK = 64  # crystals at once: their values on the grid fit a cache


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
    best = _search(_power, given, largest=True)
    if given.ndim % 2 == 1:
        least = _search(_power, given, largest=False)
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
    low = _search(_power, even, largest=True)
    high = _search(_power, even, largest=False)
    return [
        (Extreme(1 / a.value, a.direction), Extreme(1 / b.value, b.direction))
        for a, b in zip(low, high, strict=True)
    ]


def _shears(soft: "Floats") -> list[tuple[Extreme, Extreme]]:
    """Give the extremes of the shear modulus, for compliances (n, 3, 3, 3, 3)."""
    low = _search(_shear, soft, largest=True)
    high = _search(_shear, soft, largest=False)
    return [
        (
            Extreme(1 / (4 * a.value), a.direction, a.across),
            Extreme(1 / (4 * b.value), b.direction, b.across),
        )
        for a, b in zip(low, high, strict=True)
    ]


def _poissons(soft: "Floats") -> list[tuple[Extreme, Extreme]]:
    """Give the extremes of Poisson's ratio, for compliances (n, 3, 3, 3, 3)."""
    low = _search(_poisson, soft, largest=False)
    high = _search(_poisson, soft, largest=True)
    return list(zip(low, high, strict=True))


def _compressibility(soft: "Floats") -> tuple[Extreme, Extreme]:
    """Give the extremes of the linear compressibility, for one compliance."""
    values, vectors = np.linalg.eigh(1000 * np.einsum("ijkk->ij", soft))
    return (
        Extreme(float(values[0]), _upright(vectors[:, 0])),
        Extreme(float(values[2]), _upright(vectors[:, 2])),
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
    slope[:, :, 0] = 2 * _apply(pair, m)
    slope[:, :, 1] = 2 * _apply(pair, n)
    return (slope[:, :, 0] * n).sum(axis=-1) / 2, slope


def _poisson(soft: "Floats", frames: "Floats") -> "tuple[Floats, Floats]":
    """-S(n, n, m, m) / S(n, n, n, n)."""
    n, m = frames[:, :, 0], frames[:, :, 1]
    along, by_m = _contract(soft, n, n), _contract(soft, m, m)
    along_n, along_m = _apply(along, n), _apply(along, m)
    bottom = (along_n * n).sum(axis=-1, keepdims=True)
    ratio = -(along_m * m).sum(axis=-1, keepdims=True) / bottom
    slope = np.zeros_like(frames)
    slope[:, :, 0] = (-2 * _apply(by_m, n) - 4 * ratio * along_n) / bottom
    slope[:, :, 1] = -2 * along_m / bottom
    return ratio[:, :, 0], slope


def _contract(soft: "Floats", first: "Floats", second: "Floats") -> "Floats":
    """S_ijkl a_k b_l for many a and b of each crystal: matrices (n, m, 3, 3)."""
    pairs = (first[..., :, None] * second[..., None, :]).reshape(*first.shape[:2], 9)
    return (pairs @ soft.reshape(-1, 9, 9)).reshape(*first.shape, 3)


def _apply(matrices: "Floats", vectors: "Floats") -> "Floats":
    """Multiply each vector by its matrix."""
    product: Floats = np.einsum("...ij,...j->...i", matrices, vectors)
    return product


def _search(function: "Function", tensors: "Floats", *, largest: bool) -> list[Extreme]:
    """Refine the summits of the grid, and take the best of what they lead to."""
    found = []
    for start in range(0, len(tensors), _CHUNK):
        part = tensors[start : start + _CHUNK]
        values, frames = _on_grid(function, part, largest=largest)
        crystal, place = _summits(values)
        climb = _Climb(function, part[crystal], 1.0 if largest else -1.0)
        refined = _ascend(climb, frames[crystal, place])
        heights = climb(refined[:, None])[0][:, 0]
        best = [
            _neatest(refined[mine], heights[mine])
            for mine in (crystal == index for index in range(len(part)))
        ]
        climb = _Climb(function, part, climb.sign)
        chosen = _in_plane(climb, np.array([frame for frame, _ in best]))
        found += _extremes(climb, chosen, [height for _, height in best])
    return found


class _Climb:
    """A function whose largest value is wanted, with its derivative by a rotation."""

    def __init__(self, function: "Function", tensors: "Floats", sign: float) -> None:
        self.function, self.tensors, self.sign = function, tensors, sign

    def __call__(self, frames: "Floats") -> "tuple[Floats, Floats]":
        """Map frames (n, m, 3, 3) to values (n, m) and derivatives (n, m, 3)."""
        value, slope = self.function(self.tensors, frames)
        # The derivative by a rotation vector: the sum of r × df/dr over the rows r.
        torque = frames.swapaxes(-1, -2) @ slope  # its skew part is wanted
        turned = (torque - torque.swapaxes(-1, -2))[..., [1, 2, 0], [2, 0, 1]]
        return self.sign * value, self.sign * turned

    def part(self, chosen: "NDArray[np.int64]") -> "_Climb":
        """Do the same for some of the tensors."""
        return _Climb(self.function, self.tensors[chosen], self.sign)


def _on_grid(
    function: "Function", tensors: "Floats", *, largest: bool
) -> "tuple[Floats, Floats]":
    """Give values (n, points) and frames (n, points, 3, 3) with the best m for each n."""
    grid, _ = _grid()
    sign = 1.0 if largest else -1.0
    frames = np.broadcast_to(grid, (len(tensors), *grid.shape))
    value = sign * _grid_values(function, tensors, "x")
    if function is _power:
        return value, frames
    # f(m) = (f(x) + f(y))/2 + (f(x) - f(y))/2 cos 2t + (f(d) - (f(x) + f(y))/2) sin 2t
    x, y = grid[:, 1], grid[:, 2]
    other, middle = (sign * _grid_values(function, tensors, m) for m in "yd")
    mean, cosine = (value + other) / 2, (value - other) / 2
    sine = middle - mean
    angle = np.arctan2(sine, cosine)[..., None] / 2
    return mean + np.hypot(cosine, sine), _with_across(
        frames, np.cos(angle) * x + np.sin(angle) * y
    )


def _grid_values(function: "Function", tensors: "Floats", m: str) -> "Floats":
    """Evaluate a function on the grid, for one of three m, as matrix products."""
    flat = tensors.reshape(len(tensors), -1)
    if function is _power:
        return flat @ _products("n" * (tensors.ndim - 1))
    if function is _shear:
        return flat @ _products(f"n{m}n{m}")
    ratio: Floats = -(flat @ _products(f"nn{m}{m}")) / (flat @ _products("nnnn"))
    return ratio


@cache
def _products(vectors: str) -> "Floats":
    """Multiply vectors of the grid, n, x, y or d between x and y: (3^rank, points)."""
    n, x, y = (_grid()[0][:, row] for row in range(3))
    known = {"n": n, "x": x, "y": y, "d": np.sqrt(0.5) * (x + y)}
    product = np.ones((len(n), 1))
    for name in vectors:
        product = (product[:, :, None] * known[name][:, None, :]).reshape(len(n), -1)
    return np.ascontiguousarray(product.T)


def _with_across(frames: "Floats", across: "Floats") -> "Floats":
    """Put another m into frames."""
    n = frames[..., 0, :]
    return np.stack(np.broadcast_arrays(n, across, np.cross(n, across)), axis=-2)


def _summits(values: "Floats") -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
    """Find the points of the grid that no neighbour surpasses: crystals and points."""
    _, neighbours = _grid()
    top = values >= values[:, neighbours].max(axis=2)
    heights = np.where(top, values, -np.inf)
    order = np.argsort(-heights, axis=1, kind="stable")[:, :_STARTS]
    crystal = np.repeat(np.arange(len(values)), order.shape[1])
    kept = np.isfinite(heights[crystal, order.ravel()])
    return crystal[kept], order.ravel()[kept]


def _neatest(frames: "Floats", heights: "Floats") -> "tuple[Floats, float]":
    """Choose the highest; of equal ones, the direction nearest to an axis reads best."""
    highest = float(heights.max())
    near = np.flatnonzero(heights >= highest - 1e-9 * np.abs(heights).max())
    neat = np.abs(frames[near, 0]).max(axis=1).round(6)
    return frames[near[neat.argmax()]], highest


def _extremes(
    climb: "_Climb", frames: "Floats", heights: "list[float]"
) -> list[Extreme]:
    """Write the results, with signs that nothing depends on chosen to be read easily."""
    directions, others = _tidy(frames[:, 0]), _tidy(frames[:, 1])
    flipped = np.stack([-directions, others, np.cross(-directions, others)], axis=1)
    across = climb.function is not _power
    found = []
    for index, value in enumerate(climb(flipped[:, None])[0][:, 0]):
        even = np.isclose(value, heights[index], rtol=1e-9, atol=0)
        direction = _upright(directions[index]) if even else directions[index]
        other = _upright(others[index]) if across else None
        found.append(Extreme(climb.sign * heights[index], direction, other))
    return found


def _in_plane(climb: "_Climb", frames: "Floats") -> "Floats":
    """Turn frames about an axis that nothing depends on, so that n lies in a plane."""
    value = climb(frames[:, None])[0][:, 0]
    chosen, done = frames, np.zeros(len(frames), dtype=bool)
    for axis in (2, 1, 0):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        angle = np.arctan2(frames[:, 0, second], frames[:, 0, first])
        turned = _turn(-angle[:, None] * np.eye(3)[axis], frames)
        same = np.abs(climb(turned[:, None])[0][:, 0] - value) <= 1e-9 * np.abs(value)
        chosen = np.where((same & ~done)[:, None, None], turned, chosen)
        done |= same
    return chosen


def _ascend(climb: "_Climb", frames: "Floats") -> "Floats":
    """Newton's method with steps that always go up, on all frames at once."""
    found = frames.copy()
    active = np.arange(len(frames))
    value, slope = (part[:, 0] for part in climb(frames[:, None]))
    length = np.full(len(frames), 0.3)  # the largest step, in radian
    for _ in range(_STEPS):
        step = _newton(climb, frames, slope)
        norm = np.linalg.norm(step, axis=1)
        step *= np.minimum(1, length / np.maximum(norm, 1e-300))[:, None]
        moved = _turn(step, frames)
        new_value, new_slope = (part[:, 0] for part in climb(moved[:, None]))
        better = new_value >= value
        frames = np.where(better[:, None, None], moved, frames)
        value = np.where(better, new_value, value)
        slope = np.where(better[:, None], new_slope, slope)
        length = np.where(better, np.minimum(0.3, 2 * length), 0.25 * length)
        found[active] = frames
        left = np.flatnonzero(np.minimum(norm, length) >= 1e-7)
        if not len(left):  # the square of the last step is rounding
            break
        if len(left) < len(active):
            active, climb = active[left], climb.part(left)
            frames, value, slope, length = (
                array[left] for array in (frames, value, slope, length)
            )
    return found


def _newton(climb: "_Climb", frames: "Floats", slope: "Floats") -> "Floats":
    """Give the step to where the slope vanishes, uphill in every principal direction."""
    slopes = climb(frames[:, None] @ _NEARBY)[1].reshape(-1, 2, 3, 3)
    bent = (slopes[:, 0] - slopes[:, 1]) / (2 * _ANGLE)
    curved, axes = np.linalg.eigh((bent + bent.swapaxes(1, 2)) / 2)
    size = np.abs(curved)
    size = np.maximum(size, _FLAT * size.max(axis=1, keepdims=True) + 1e-300)
    return _apply(axes, _apply(axes.swapaxes(1, 2), slope) / size)


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
def _grid() -> "tuple[Floats, NDArray[np.int64]]":
    """Give frames whose n cover the sphere evenly, and the neighbours of each."""
    step = np.arange(_POINTS)
    z = 1 - (2 * step + 1) / _POINTS
    turn = np.pi * (3 - np.sqrt(5)) * step
    radius = np.sqrt(1 - z * z)
    spiral = np.stack([radius * np.cos(turn), radius * np.sin(turn), z], axis=1)
    n = np.concatenate([np.eye(3), spiral])
    helper = np.eye(3)[np.abs(n).argmin(axis=1)]
    m = np.cross(n, helper)
    m /= np.linalg.norm(m, axis=1, keepdims=True)
    frames = np.stack([n, m, np.cross(n, m)], axis=1)
    neighbours = np.argsort(-(n @ n.T), axis=1, kind="stable")[:, 1 : _NEIGHBOURS + 1]
    frames.setflags(write=False)
    return frames, neighbours


def _symmetric(tensors: "Floats") -> "Floats":
    """Average over all orders of the indices behind the first; T(n, ..., n) stays."""
    orders = list(permutations(range(1, tensors.ndim)))
    mean: Floats = np.mean([tensors.transpose(0, *order) for order in orders], axis=0)
    return mean


def _tidy(vector: "Floats") -> "Floats":
    """Set what is zero but for rounding to zero."""
    return np.where(np.abs(vector) < 1e-7, 0.0, vector)


def _upright(vector: "Floats") -> "Floats":
    """Choose the sign of a vector so that its largest component is positive."""
    tidy = _tidy(vector)
    largest = np.flatnonzero(np.abs(tidy) > np.abs(tidy).max() - 1e-6)[0]
    return np.asarray(tidy * np.sign(tidy[largest]) + 0.0)
