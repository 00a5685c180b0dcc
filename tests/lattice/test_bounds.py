"""Tests of crystaltensor.lattice.bounds: never below the true error."""

import itertools

import pytest
import torch

from crystaltensor.lattice.bounds import direct_bounds, real_bounds, reciprocal_bounds
from crystaltensor.lattice.cells import Geometry, reduce_cells
from crystaltensor.lattice.kernels import (
    InversePower,
    Kernel,
    Pauli,
    ScreenedCoulomb,
    Shell,
)

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
    cell = torch.tensor([CELLS[name]], dtype=torch.float64)
    return Geometry(reduce_cells(cell) @ cell)


def distances(cell: torch.Tensor, most: int) -> torch.Tensor:
    """Return distances of lattice points from a few centres, (n_centres, n_points)."""
    grid = itertools.product(range(-most, most + 1), repeat=3)
    points = torch.tensor(list(grid), dtype=torch.float64) @ cell
    generator = torch.Generator().manual_seed(0)
    frac = torch.rand(10, 3, generator=generator, dtype=torch.float64)
    return torch.cdist(frac @ cell, points)


@pytest.mark.parametrize("name", CELLS)
def test_real_tails_are_below_their_bounds(name: str) -> None:
    """Sum what lies beyond the cutoff, for ten positions in the cell."""
    lattice = geometry(name)
    u = torch.tensor([0.8, 2.0, 3.5], dtype=torch.float64)
    eta = torch.tensor([[ETA]], dtype=torch.float64)
    bounds = real_bounds(KERNELS, lattice, u, eta)
    r = distances(lattice.cells[0], 12)
    for kernel, bound in zip(KERNELS, bounds, strict=True):
        values = kernel.real(Shell((ETA * r).square()), ETA) * ETA**kernel.dimension
        for cutoff, limit in zip(u / ETA, bound[0], strict=True):
            tail = values.where(r > cutoff, torch.zeros(())).sum(dim=1).max()
            assert 0 < tail <= limit


@pytest.mark.parametrize("name", CELLS)
def test_reciprocal_tails_are_below_their_bounds(name: str) -> None:
    """Sum the reciprocal lattice beyond the cutoff; no cosine exceeds one."""
    lattice = geometry(name)
    u = torch.tensor([1.2, 2.0, 3.5], dtype=torch.float64)
    eta = torch.tensor([[ETA]], dtype=torch.float64)
    bounds = reciprocal_bounds(KERNELS, lattice, u, eta)
    basis = 2 * torch.pi * torch.linalg.inv(lattice.cells[0]).T
    grid = itertools.product(range(-25, 26), repeat=3)
    k = torch.tensor(list(grid), dtype=torch.float64) @ basis
    k = k.norm(dim=1)
    k = k[k > 0]
    for kernel, bound in zip(KERNELS, bounds, strict=True):
        values = kernel.reciprocal(Shell((k / (2 * ETA)).square()), ETA)
        values *= ETA ** (kernel.dimension - 3) / lattice.volume
        for cutoff, limit in zip(2 * ETA * u, bound[0], strict=True):
            tail = values[k > cutoff].sum()
            assert tail <= limit


@pytest.mark.parametrize("name", CELLS)
def test_direct_tails_are_below_their_bounds(name: str) -> None:
    """Sum what an unsplit sum leaves out."""
    lattice = geometry(name)
    reach = torch.tensor([2.0, 6.0, 12.0], dtype=torch.float64)
    kernels: list[Kernel] = [Pauli(1.5), ScreenedCoulomb(2.0)]
    bounds = direct_bounds(kernels, lattice, reach)
    r = distances(lattice.cells[0], 12)
    for kernel, bound in zip(kernels, bounds, strict=True):
        values = kernel.bare(Shell(r.square()), 1.0)
        for cutoff, limit in zip(reach, bound[0], strict=True):
            tail = values.where(r > cutoff, torch.zeros(())).sum(dim=1).max()
            assert 0 < tail <= limit


def test_bounds_are_not_far_from_the_truth() -> None:
    """A bound ten times too large costs 5 % in the cutoffs; here it is below 30."""
    lattice = geometry("skewed")
    u = torch.tensor([3.5], dtype=torch.float64)
    bound = real_bounds(
        [InversePower(1)], lattice, u, torch.tensor([[ETA]], dtype=torch.float64)
    )
    r = distances(lattice.cells[0], 8)
    values = InversePower(1).real(Shell((ETA * r).square()), ETA) * ETA
    tail = values.where(r > 3.5 / ETA, torch.zeros(())).sum(dim=1).max()
    assert float(bound) < 30 * float(tail)
