"""Lattice sums with a phase that turns from cell to cell: Epstein's zeta function."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from crystaltensor.errors import ConfigError, ShapeError, StructureError
from crystaltensor.lattice.cells import Geometry, reduce_cells, translations
from crystaltensor.lattice.cutoffs import split_cutoffs
from crystaltensor.lattice.grouping import estimate
from crystaltensor.lattice.kernels import Kernel, Shell, as_tensor
from crystaltensor.lattice.potentials import Potential
from crystaltensor.lattice.sums import (
    COINCIDENT,
    check_cells,
    check_shapes,
    check_tolerance,
    collect_kernels,
    mixing_matrix,
)

UNTWISTED = 1e-9
"""A smaller twist, in turns per lattice vector, is none."""

_ROUNDING = 100.0


@dataclass(frozen=True, eq=False)
class TwistedSums:
    """The twisted sums of one crystal.

    Parameters
    ----------
    matrices : Tensor of complex128, shape (n_potentials, n_atoms, n_atoms)
        Hermitian.
    error_bounds : Tensor of float64, shape (n_potentials,)
        Upper bounds of the modulus of the error of every entry.
    """

    matrices: Tensor
    error_bounds: Tensor


@dataclass(frozen=True, eq=False)
class _Setting:
    """A crystal on its reduced cell, and how it is summed."""

    cell: Tensor  # (3, 3)
    frac: Tensor  # (n, 3), not wrapped: the phase is not periodic
    turns: Tensor  # (3,) of the phase, along each reduced lattice vector
    eta: float
    images: Tensor  # (n_images, 3)
    wave_reach: float
    bounds: Tensor  # (n_kernels,)


def twisted_sums(
    cell: Tensor,
    positions: Tensor,
    potentials: Sequence[Potential],
    twist: Tensor,
    tolerance: float = 1e-10,
) -> TwistedSums:
    r"""Sum pair potentials over all periodic images, each with a phase of its own.

    .. math:: S_w(a, b) = \sum_{n \in Z^3} f(|x_a - x_b + n L|) \, e^{2 \pi i w \cdot nL}

    For inverse powers this is the Epstein zeta function with two shifts [1]_. Ewald's
    split works as it does without a twist, but every wave is shifted, so no term is
    singular. Made for small cells, one at a time; differentiable like `lattice_sums`.

    Parameters
    ----------
    cell : Tensor of float64, shape (3, 3)
        Lattice vectors as rows, in Å.
    positions : Tensor of float64, shape (n_atoms, 3)
        Cartesian positions in Å.
    potentials : sequence of Potential
        What to sum.
    twist : Tensor of float64, shape (3,)
        w in 1/Å; adding a reciprocal lattice vector (without 2π) changes nothing.
    tolerance : float
        Largest truncation error of any entry, in the unit of the potential.

    Returns
    -------
    TwistedSums
        S(a, b) for all pairs.

    Raises
    ------
    ShapeError
        If an array has the wrong shape or dtype.
    StructureError
        If a number is not finite, the cell has no volume, or two atoms coincide.
    ConfigError
        If the tolerance makes no sense, or the twist is none.

    References
    ----------
    .. [1] R. E. Crandall, Fast evaluation of Epstein zeta functions (1998).
    """
    check_shapes(cell[None], [positions])
    if cell.dtype != torch.float64 or twist.dtype != torch.float64:
        raise ShapeError("twisted sums are done in float64")
    if twist.shape != (3,) or not bool(twist.isfinite().all()):
        raise ShapeError("the twist must be three finite numbers")
    check_tolerance(tolerance)
    kernels, tolerances = collect_kernels(potentials, tolerance)
    fixed = [kernel.fixed() for kernel in kernels.values()]
    setting = _settle(cell, positions, twist, fixed, list(tolerances.values()))
    near, sizes = _near(setting, list(kernels.values()))
    far, wave_sizes = _far(setting, list(kernels.values()))
    matrices = near + far
    rounding = torch.finfo(torch.float64).eps * _ROUNDING
    bounds = setting.bounds + rounding * (sizes + wave_sizes).cpu()
    mixing = mixing_matrix(potentials, list(kernels), cell)
    if mixing is not None:
        matrices = torch.tensordot(mixing.to(matrices.dtype), matrices, dims=1)
        bounds = mixing.detach().abs().cpu() @ bounds
    return TwistedSums(matrices, bounds)


def _settle(
    cell: Tensor,
    positions: Tensor,
    twist: Tensor,
    kernels: list[Kernel],
    tolerances: list[float],
) -> _Setting:
    """Reduce the cell, wrap the twist, and choose the cutoffs."""
    planning = cell.detach().cpu().numpy()[None]
    check_cells(planning)
    if not bool(positions.isfinite().all()):
        raise StructureError("a position is not finite")
    change = reduce_cells(planning)
    geometry = Geometry(change @ planning)
    costs = estimate(geometry, [len(positions)], min(tolerances))
    eta = costs.etas[costs.best()]
    reach, wave_reach, bounds = split_cutoffs(kernels, tolerances, geometry, eta)
    reduced = torch.from_numpy(change[0]).to(cell.device) @ cell
    turns = reduced @ twist
    turns = turns - turns.detach().round()
    if float(turns.detach().abs().max()) < UNTWISTED:
        raise ConfigError(
            "the twist is a reciprocal lattice vector, which is none; use lattice_sums"
        )
    return _Setting(
        cell=reduced,
        frac=positions @ torch.linalg.inv(reduced),
        turns=turns,
        eta=float(eta[0]),
        images=torch.from_numpy(translations(geometry, reach)[0][0]).to(cell.device),
        wave_reach=float(wave_reach[0]),
        bounds=torch.from_numpy(bounds[0]),
    )


def _near(setting: _Setting, kernels: list[Kernel]) -> tuple[Tensor, Tensor]:
    """Return the real-space sums (k, n, n), and the sizes of their terms (k,)."""
    n_atoms = len(setting.frac)
    row, column = torch.triu_indices(n_atoms, n_atoms, device=setting.frac.device)
    apart = setting.frac[row] - setting.frac[column]
    shift = -apart.detach().round()
    vectors = (apart + shift) @ setting.cell
    squares = (vectors[:, None] + setting.images @ setting.cell).square().sum(dim=-1)
    itself = (row == column)[:, None] & (setting.images == 0).all(dim=1)
    closest = squares.detach().masked_fill(itself, math.inf).min()
    if float(closest) < COINCIDENT**2:
        raise StructureError("two atoms are at the same place")
    # Any distance will do for an atom and itself: the value is not used.
    squares = torch.where(itself, torch.ones_like(squares), squares)
    shell = Shell(setting.eta**2 * squares)
    phases = _turned(setting.images @ setting.turns)
    outer = _turned(shift @ setting.turns)
    sums, sizes = [], []
    for kernel in kernels:
        factor = setting.eta**kernel.dimension
        values = (kernel.real(shell, setting.eta) * factor).masked_fill(itself, 0.0)
        own = as_tensor(kernel.self_term(setting.eta)).to(values) * factor
        pairs = outer * (values.to(phases.dtype) @ phases) + own * (row == column)
        upper = torch.zeros(n_atoms, n_atoms, dtype=pairs.dtype, device=pairs.device)
        upper = upper.index_put((row, column), pairs)
        sums.append(upper + upper.triu(1).mH)
        sizes.append(values.detach().sum(dim=1).max() + own.detach().abs())
    return torch.stack(sums), torch.stack(sizes)


def _far(setting: _Setting, kernels: list[Kernel]) -> tuple[Tensor, Tensor]:
    """Return the reciprocal-space sums (k, n, n), and the sizes of their terms (k,)."""
    inverse = torch.linalg.inv(setting.cell)
    waves = _shifted_waves(setting) - setting.turns  # (n_k, 3)
    squares = (2 * math.pi * waves @ inverse.T).square().sum(dim=-1)
    shell = Shell(squares / (2 * setting.eta) ** 2)
    phases = _turned(setting.frac @ waves.T)  # (n, n_k)
    volume = torch.linalg.det(setting.cell).abs()
    sums, sizes = [], []
    for kernel in kernels:
        factor = setting.eta ** (kernel.dimension - 3.0) / volume
        weights = kernel.reciprocal(shell, setting.eta) * factor
        sums.append((phases * weights) @ phases.mH)
        sizes.append(weights.detach().sum())
    return torch.stack(sums), torch.stack(sizes)


def _shifted_waves(setting: _Setting) -> Tensor:
    """List the reciprocal vectors whose distance from the twist is within reach."""
    cell = setting.cell.detach().cpu().numpy()
    turns = setting.turns.detach().cpu().numpy()
    most = setting.wave_reach * np.linalg.norm(cell, axis=1) / (2 * math.pi) + 0.5
    axes = [np.arange(-math.floor(m), math.floor(m) + 1.0) for m in most]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    waves = 2 * math.pi * (grid - turns) @ np.linalg.inv(cell).T
    keep = np.linalg.norm(waves, axis=1) <= setting.wave_reach * (1 + 1e-9)
    return torch.from_numpy(grid[keep]).to(setting.cell.device)


def _turned(turns: Tensor) -> Tensor:
    """Return exp(2πi turns)."""
    angles = 2 * math.pi * turns
    return torch.complex(angles.cos(), angles.sin())
