"""Cutoffs: the nearest at which the certified bounds meet the tolerance."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from crystaltensor.lattice.bounds import direct_bounds, real_bounds, reciprocal_bounds
from crystaltensor.lattice.cells import Geometry
from crystaltensor.lattice.kernels import Kernel

DIRECT_SHARE = 0.9
"""Part of the tolerance an unsplit sum may leave out; the rest is for round-off."""

SPLIT_SHARE = 0.45
"""Part of the tolerance each half of a split sum may leave out."""


def split_cutoffs(
    kernels: list[Kernel], tolerances: list[float], geometry: Geometry, eta: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Find the cutoffs of sums that are split at η.

    Parameters
    ----------
    kernels : list of Kernel
        What to sum.
    tolerances : list of float
        Largest truncation error of each.
    geometry : Geometry
        Of the lattices.
    eta : Tensor, shape (n_crystals,)
        The widths, in 1/Å.

    Returns
    -------
    reach : Tensor, shape (n_crystals,)
        In real space, in Å.
    wave_reach : Tensor, shape (n_crystals,)
        In reciprocal space, in 1/Å.
    bounds : Tensor, shape (n_crystals, n_kernels)
        Of what both halves leave out.
    """
    eta = eta.unsqueeze(-1)
    target = SPLIT_SHARE * torch.tensor(tolerances, dtype=torch.float64)
    start = math.sqrt(-math.log(min(0.1, float(target.min()))))
    grid = start + torch.arange(-0.6, 1.4, 0.04, dtype=torch.float64)

    def real(u: Tensor) -> Tensor:
        return real_bounds(kernels, geometry, u, eta)

    def reciprocal(u: Tensor) -> Tensor:
        return reciprocal_bounds(kernels, geometry, u, eta)

    near, bound_near = _first_within(real, target, grid)
    far, bound_far = _first_within(reciprocal, target, grid)
    eta = eta.squeeze(-1)
    return near / eta, 2 * eta * far, bound_near + bound_far


def direct_cutoff(kernel: Kernel, tolerance: float, geometry: Geometry) -> Tensor:
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
    Tensor, shape (n_crystals,)
        In Å.
    """
    target = DIRECT_SHARE * torch.tensor([tolerance], dtype=torch.float64)
    start = -math.log(min(0.1, tolerance))
    grid = (start + torch.arange(-1.0, 12.0, 0.2, dtype=torch.float64)) / kernel.decay

    def bound(reach: Tensor) -> Tensor:
        return direct_bounds([kernel], geometry, reach)

    return _first_within(bound, target, grid)[0]


def _first_within(
    bound: Callable[[Tensor], Tensor], target: Tensor, grid: Tensor
) -> tuple[Tensor, Tensor]:
    """Find the first value whose bounds, shape (k, b, n), all meet their targets (k,)."""
    step = grid[1] - grid[0]
    while True:
        values = bound(grid)
        within = (values <= target[:, None, None]).all(dim=0)
        if bool(within[:, -1].all()):
            break
        grid = grid[-1] + step * torch.arange(len(grid), dtype=grid.dtype)
    first = within.to(torch.uint8).argmax(dim=1)
    chosen = values.gather(2, first.expand(len(values), -1).unsqueeze(-1))
    return grid[first], chosen.squeeze(-1).T
