"""Cutoffs: the nearest at which the certified bounds meet the tolerance."""

import math
from collections.abc import Callable

import numpy as np

from crystaltensor.lattice.bounds import direct_bounds, real_bounds, reciprocal_bounds
from crystaltensor.lattice.cells import Array, Geometry
from crystaltensor.lattice.kernels import Kernel

DIRECT_SHARE = 0.9
"""Part of the tolerance an unsplit sum may leave out; the rest is for round-off."""

SPLIT_SHARE = 0.45
"""Part of the tolerance each half of a split sum may leave out."""


def split_cutoffs(
    kernels: list[Kernel], tolerances: list[float], geometry: Geometry, eta: Array
) -> tuple[Array, Array, Array]:
    """Find the cutoffs of sums that are split at η.

    Parameters
    ----------
    kernels : list of Kernel
        What to sum.
    tolerances : list of float
        Largest truncation error of each.
    geometry : Geometry
        Of the lattices.
    eta : ndarray, shape (n_crystals,)
        The widths, in 1/Å.

    Returns
    -------
    reach : ndarray, shape (n_crystals,)
        In real space, in Å.
    wave_reach : ndarray, shape (n_crystals,)
        In reciprocal space, in 1/Å.
    bounds : ndarray, shape (n_crystals, n_kernels)
        Of what both halves leave out.
    """
    target = SPLIT_SHARE * np.array(tolerances)
    start = math.sqrt(-math.log(min(0.1, float(target.min()))))
    grid = start + np.arange(-0.6, 1.4, 0.04)

    def real(u: Array) -> Array:
        return real_bounds(kernels, geometry, u, eta[:, None])

    def reciprocal(u: Array) -> Array:
        return reciprocal_bounds(kernels, geometry, u, eta[:, None])

    near, bound_near = _first_within(real, target, grid)
    far, bound_far = _first_within(reciprocal, target, grid)
    return near / eta, 2 * eta * far, bound_near + bound_far


def direct_cutoff(kernel: Kernel, tolerance: float, geometry: Geometry) -> Array:
    """Find the cutoff of a sum that is not split.

    Parameters
    ----------
    kernel : Kernel
        One that decays exponentially.
    tolerance : float
        Largest truncation error.
    geometry : Geometry
        Of the lattices.

    Returns
    -------
    ndarray, shape (n_crystals,)
        In Å.
    """
    target = DIRECT_SHARE * np.array([tolerance])
    grid = np.arange(-1.0, 12.0, 0.2) - math.log(min(0.1, tolerance))

    def bound(u: Array) -> Array:
        return direct_bounds(kernel, geometry, u)

    return _first_within(bound, target, grid)[0] / kernel.decay


def _first_within(
    bound: Callable[[Array], Array], target: Array, grid: Array
) -> tuple[Array, Array]:
    """Find the first value whose bounds, shape (k, b, n), all meet their targets (k,)."""
    step = grid[1] - grid[0]
    while True:
        values = bound(grid)
        within = np.all(values <= target[:, None, None], axis=0)
        if within[:, -1].all():
            break
        grid = grid[-1] + step * np.arange(len(grid))
    first = within.argmax(axis=1)
    return grid[first], values[:, np.arange(len(first)), first].T
