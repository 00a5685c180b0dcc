r"""The highest and lowest points of functions of directions, for many tensors at once.

A function depends on a unit vector n, or on n and a unit vector m normal to it: the rows
of a rotation. For a given n the best m is known, because the functions are quadratic in
it. So the summits of a grid of directions are refined together, by Newton's method on the
group of rotations, which ends at rounding; nothing is read off the grid. The functions
are polynomials of degree four or less, or ratios of two, so that their hills are wide
beside the distance between the points of the grid.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

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


@dataclass(frozen=True, eq=False)
class Surface:
    """A function of directions, of tensors of one kind.

    Parameters
    ----------
    function : callable
        Maps tensors (n, ...) and frames (n, m, 3, 3), whose first rows are n and second
        rows m, to values (n, m) and their derivatives by the frames, (n, m, 3, 3).
    on_grid : callable
        Maps tensors and the name of one of three m, ``"x"``, ``"y"`` or ``"d"`` between
        them, to values (n, points) for the directions of the grid, by `products`.
    across : bool
        Whether it depends on m.
    """

    function: "Callable[[Floats, Floats], tuple[Floats, Floats]]"
    on_grid: "Callable[[Floats, str], Floats]"
    across: bool


def search(surface: Surface, tensors: "Floats", *, largest: bool) -> list[Extreme]:
    """Find the highest or the lowest point of a function for each tensor.

    Parameters
    ----------
    surface : Surface
        The function.
    tensors : ndarray, shape (n, ...)
        As it takes them.
    largest : bool
        Whether the highest is wanted.

    Returns
    -------
    list of Extreme
        One for each tensor; of equal ones that nearest to an axis.
    """
    found = []
    for start in range(0, len(tensors), _CHUNK):
        part = tensors[start : start + _CHUNK]
        values, frames = _on_grid(surface, part, largest=largest)
        crystal, place = _summits(values)
        climb = _Climb(surface, part[crystal], 1.0 if largest else -1.0)
        refined = _ascend(climb, frames[crystal, place])
        heights = climb(refined[:, None])[0][:, 0]
        best = [
            _neatest(refined[mine], heights[mine])
            for mine in (crystal == index for index in range(len(part)))
        ]
        climb = _Climb(surface, part, climb.sign)
        chosen = _in_plane(climb, np.array([frame for frame, _ in best]))
        found += _extremes(climb, chosen, [height for _, height in best])
    return found


class _Climb:
    """A function whose largest value is wanted, with its derivative by a rotation."""

    def __init__(self, surface: Surface, tensors: "Floats", sign: float) -> None:
        self.surface, self.tensors, self.sign = surface, tensors, sign

    def __call__(self, frames: "Floats") -> "tuple[Floats, Floats]":
        """Map frames (n, m, 3, 3) to values (n, m) and derivatives (n, m, 3)."""
        value, slope = self.surface.function(self.tensors, frames)
        # The derivative by a rotation vector: the sum of r × df/dr over the rows r.
        torque = frames.swapaxes(-1, -2) @ slope  # its skew part is wanted
        turned = (torque - torque.swapaxes(-1, -2))[..., [1, 2, 0], [2, 0, 1]]
        return self.sign * value, self.sign * turned

    def part(self, chosen: "NDArray[np.int64]") -> "_Climb":
        """Do the same for some of the tensors."""
        return _Climb(self.surface, self.tensors[chosen], self.sign)


def _on_grid(
    surface: Surface, tensors: "Floats", *, largest: bool
) -> "tuple[Floats, Floats]":
    """Give values (n, points) and frames (n, points, 3, 3) with the best m for each n."""
    grid, _ = _grid()
    sign = 1.0 if largest else -1.0
    frames = np.broadcast_to(grid, (len(tensors), *grid.shape))
    value = sign * surface.on_grid(tensors, "x")
    if not surface.across:
        return value, frames
    # f(m) = (f(x) + f(y))/2 + (f(x) - f(y))/2 cos 2t + (f(d) - (f(x) + f(y))/2) sin 2t
    x, y = grid[:, 1], grid[:, 2]
    other, middle = (sign * surface.on_grid(tensors, m) for m in "yd")
    mean, cosine = (value + other) / 2, (value - other) / 2
    sine = middle - mean
    angle = np.arctan2(sine, cosine)[..., None] / 2
    return mean + np.hypot(cosine, sine), _with_across(
        frames, np.cos(angle) * x + np.sin(angle) * y
    )


@cache
def products(vectors: str) -> "Floats":
    """Multiply vectors of the grid.

    Parameters
    ----------
    vectors : str
        One letter for each: n, or x, y, d between them, all three normal to n.

    Returns
    -------
    ndarray, shape (3**len(vectors), n_points)
        What a flat tensor is multiplied by to be contracted with them.
    """
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
    across = climb.surface.across
    found = []
    for index, value in enumerate(climb(flipped[:, None])[0][:, 0]):
        even = np.isclose(value, heights[index], rtol=1e-9, atol=0)
        direction = upright(directions[index]) if even else directions[index]
        other = upright(others[index]) if across else None
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
    return apply_each(axes, apply_each(axes.swapaxes(1, 2), slope) / size)


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


def apply_each(matrices: "Floats", vectors: "Floats") -> "Floats":
    """Multiply each vector by its matrix.

    Parameters
    ----------
    matrices : ndarray, shape (..., 3, 3)
        One for each vector.
    vectors : ndarray, shape (..., 3)
        The vectors.

    Returns
    -------
    ndarray, shape (..., 3)
        The products.
    """
    product: Floats = np.einsum("...ij,...j->...i", matrices, vectors)
    return product


def _tidy(vector: "Floats") -> "Floats":
    """Set what is zero but for rounding to zero."""
    return np.where(np.abs(vector) < 1e-7, 0.0, vector)


def upright(vector: "Floats") -> "Floats":
    """Choose the sign of a vector so that its largest component is positive.

    Parameters
    ----------
    vector : ndarray, shape (3,)
        Not zero.

    Returns
    -------
    ndarray, shape (3,)
        The vector or its negative; zero but for rounding is zero.
    """
    tidy = _tidy(vector)
    largest = np.flatnonzero(np.abs(tidy) > np.abs(tidy).max() - 1e-6)[0]
    return np.asarray(tidy * np.sign(tidy[largest]) + 0.0)
