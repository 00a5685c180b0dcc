"""Tests of crystaltensor.lattice.bounds: never below the true error."""

import itertools

import mpmath
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from crystaltensor.lattice.bounds import (
    direct_bounds,
    exponential_moments,
    gaussian_moments,
    real_bounds,
    reciprocal_bounds,
)
from crystaltensor.lattice.cells import Geometry, reduce_cells
from crystaltensor.lattice.kernels import (
    InversePower,
    Kernel,
    Pauli,
    ScreenedCoulomb,
    Shell,
)

Array = NDArray[np.float64]

KERNELS: list[Kernel] = [
    InversePower(1),
    InversePower(6),
    InversePower(12),
    Pauli(1.5),
    ScreenedCoulomb(0.5),
]
ETA = 0.5

CELLS = {
    "cube": [[4.0, 0, 0], [0, 4, 0], [0, 0, 4]],
    "skewed": [[3.0, 1.0, 0.5], [-1.2, 4.0, 0.7], [0.3, -2.0, 5.0]],
    "needle": [[3.0, 0, 0], [0.5, 3, 0], [0, 1, 30]],
    "plate": [[2.0, 0, 0], [0, 15, 1], [1, -2, 15]],
}


def geometry(name: str) -> Geometry:
    """Return the reduced lattice of that name."""
    cell = np.array([CELLS[name]])
    return Geometry(reduce_cells(cell) @ cell)


def distances(cell: Array, most: int) -> Array:
    """Return distances of lattice points from a few centres, (n_centres, n_points)."""
    grid = itertools.product(range(-most, most + 1), repeat=3)
    points = np.array(list(grid)) @ cell
    centres = np.random.default_rng(0).random((10, 3)) @ cell
    return np.linalg.norm(centres[:, None] - points, axis=2)


def shell(radii: Array) -> Shell:
    """Return the shell of reduced radii."""
    return Shell(torch.from_numpy(radii**2))


@pytest.mark.parametrize("u", [0.5, 3.0, 6.0])
def test_moments_are_the_integrals(u: float) -> None:
    """Both kinds, by numerical integration."""
    gaussian = gaussian_moments(np.array([u]))[:, 0]
    exponential = exponential_moments(np.array([u]))[:, 0]
    for m in range(4):
        expected = mpmath.quad(
            lambda t, m=m: 2 * t * mpmath.exp(u**2 - t**2) * t**m,
            [u, u + 2, mpmath.inf],
        )
        assert gaussian[m] == pytest.approx(float(expected), rel=1e-12)
        expected = mpmath.quad(
            lambda t, m=m: mpmath.exp(u - t) * t**m, [u, u + 5, mpmath.inf]
        )
        assert exponential[m] == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_real_tails_are_below_their_bounds(name: str) -> None:
    """Sum what lies beyond the cutoff, for ten positions in the cell."""
    lattice = geometry(name)
    u = np.array([0.8, 2.0, 3.5])
    bounds = real_bounds(KERNELS, lattice, u, np.array([[ETA]]))
    r = distances(lattice.cells[0], 12)
    for kernel, bound in zip(KERNELS, bounds, strict=True):
        values = kernel.real(shell(ETA * r), ETA).numpy() * ETA**kernel.dimension
        for cutoff, limit in zip(u / ETA, bound[0], strict=True):
            tail = np.where(r > cutoff, values, 0).sum(axis=1).max()
            assert 0 < tail <= limit


@pytest.mark.parametrize("name", CELLS)
def test_reciprocal_tails_are_below_their_bounds(name: str) -> None:
    """Sum the reciprocal lattice beyond the cutoff; no cosine exceeds one."""
    lattice = geometry(name)
    u = np.array([1.2, 2.0, 3.5])
    bounds = reciprocal_bounds(KERNELS, lattice, u, np.array([[ETA]]))
    grid = np.array(list(itertools.product(range(-25, 26), repeat=3)))
    k = np.linalg.norm(grid @ lattice.reciprocal[0], axis=1)
    k = k[k > 0]
    for kernel, bound in zip(KERNELS, bounds, strict=True):
        values = kernel.reciprocal(shell(k / (2 * ETA)), ETA).numpy()
        values = values * ETA ** (kernel.dimension - 3) / lattice.volume
        for cutoff, limit in zip(2 * ETA * u, bound[0], strict=True):
            assert values[k > cutoff].sum() <= limit


@pytest.mark.parametrize("name", CELLS)
def test_direct_tails_are_below_their_bounds(name: str) -> None:
    """Sum what an unsplit sum leaves out."""
    lattice = geometry(name)
    r = distances(lattice.cells[0], 12)
    for kernel in (Pauli(1.5), ScreenedCoulomb(2.0)):
        u = np.array([3.0, 9.0, 18.0])
        bounds = direct_bounds(kernel, lattice, u)[0, 0]
        values = kernel.bare(shell(r), 1.0).numpy()
        for cutoff, limit in zip(u / kernel.decay, bounds, strict=True):
            tail = np.where(r > cutoff, values, 0).sum(axis=1).max()
            assert 0 < tail <= limit


def test_bounds_are_not_far_from_the_truth() -> None:
    """A bound ten times too large costs 5 % in the cutoffs; here it is below 30."""
    lattice = geometry("skewed")
    kernel = InversePower(1)
    bound = real_bounds([kernel], lattice, np.array([3.5]), np.array([[ETA]]))
    r = distances(lattice.cells[0], 8)
    values = kernel.real(shell(ETA * r), ETA).numpy() * ETA
    tail = np.where(r > 3.5 / ETA, values, 0).sum(axis=1).max()
    assert bound.item() < 30 * tail
