"""Complete sums of pair potentials over infinite lattices, for all pairs of atoms."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from crystaltensor.errors import ConfigError, ShapeError, StructureError
from crystaltensor.lattice.cells import Array
from crystaltensor.lattice.engine import BatchSums, sum_batch
from crystaltensor.lattice.kernels import Kernel, as_number, as_tensor
from crystaltensor.lattice.plan import plan_batches
from crystaltensor.lattice.potentials import Potential

COINCIDENT = 1e-3
"""Atoms, or lattice points, closer than this, in Å, are refused."""

FLATTEST = 1e-9
"""Smallest volume of a cell, relative to the product of its edges."""

TOLERANCE_RANGE = (1e-15, 0.1)

_CHUNK = {"cpu": 2**17, "cuda": 2**25}


@dataclass(frozen=True, eq=False)
class LatticeSums:
    """The sums of one call.

    Parameters
    ----------
    matrices : list of Tensor, each of shape (n_potentials, n_atoms, n_atoms)
        One entry per crystal: S(a, b) of every potential, in the potential's unit;
        exactly symmetric in a and b.
    error_bounds : Tensor of float64, shape (n_crystals, n_potentials)
        Upper bounds of the error of every entry: the certified bound of what the
        truncated sums leave out, plus an estimate of round-off on the safe side.
    """

    matrices: list[Tensor]
    error_bounds: Tensor


def lattice_sums(
    cells: Tensor | Sequence[Tensor],
    positions: Sequence[Tensor],
    potentials: Sequence[Potential],
    tolerance: float = 1e-10,
    *,
    chunk_size: int | None = None,
) -> LatticeSums:
    r"""Sum pair potentials over all periodic images, for all pairs of atoms.

    .. math:: S(a, b) = \sum_{n \in Z^3} f(|x_a - x_b + n L|)

    Each potential is a mixture of Gaussians, which Ewald's split [1]_ sums in real and
    reciprocal space, both in closed form; the cutoffs follow from `tolerance` through a
    rigorous bound. S(a, a) leaves out r = 0 where f is singular and keeps it where f is
    finite. The result is differentiable, twice, in `cells`, `positions` and the
    parameters of the potentials.

    Parameters
    ----------
    cells : Tensor, shape (n_crystals, 3, 3), or sequence of Tensor, shape (3, 3)
        Lattice vectors as rows, in Å; any shape and handedness.
    positions : sequence of Tensor, each of shape (n_atoms, 3)
        Cartesian positions in Å, of the same dtype and device as the cells; the number
        of atoms differs from crystal to crystal.
    potentials : sequence of Potential
        What to sum; terms that several potentials share are summed once.
    tolerance : float
        Largest truncation error of any entry, in the unit of the potential.
    chunk_size : int, optional
        Largest number of distances held at a time; bounds the memory. The default
        suits the device.

    Returns
    -------
    LatticeSums
        In the dtype and on the device of the input.

    Raises
    ------
    ShapeError
        If an array has the wrong shape, or there is no crystal, atom or potential.
    StructureError
        If a number is not finite, a cell has no volume, or two atoms coincide.
    ConfigError
        If `tolerance` or `chunk_size` makes no sense, or if round-off alone exceeds
        `tolerance` in float32, or a result overflows.

    References
    ----------
    .. [1] P. P. Ewald, Ann. Phys. 369 (1921) 253; R. E. Crandall, Fast evaluation of
       Epstein zeta functions (1998).
    """
    cells = cells if isinstance(cells, Tensor) else torch.stack(list(cells))
    _check_settings(potentials, tolerance, chunk_size)
    check_shapes(cells, positions)
    planning = cells.detach().to("cpu", torch.float64).numpy()
    check_cells(planning)
    kernels, tolerances = collect_kernels(potentials, tolerance)
    n_atoms = [len(x) for x in positions]
    chunk = chunk_size or _CHUNK.get(cells.device.type, 2**20)
    fixed = [kernel.fixed() for kernel in kernels.values()]
    batches = plan_batches(planning, n_atoms, fixed, list(tolerances.values()))
    parts = [
        sum_batch(
            batch.to(cells.device), cells, positions, list(kernels.values()), chunk
        )
        for batch in batches
    ]
    _check_results(parts)
    sums = _assemble(parts, mixing_matrix(potentials, list(kernels), cells), n_atoms)
    _check_bounds(sums, cells.dtype, tolerance)
    return sums


def check_tolerance(tolerance: float) -> None:
    """Refuse a tolerance that is out of reach in float64, or pointless.

    Parameters
    ----------
    tolerance : float
        Largest truncation error.

    Raises
    ------
    ConfigError
        If it lies outside of `TOLERANCE_RANGE`.
    """
    low, high = TOLERANCE_RANGE
    if not low <= tolerance <= high:
        raise ConfigError(
            f"tolerance must lie between {low:g} and {high:g}, not {tolerance}"
        )


def _check_settings(
    potentials: Sequence[Potential], tolerance: float, chunk_size: int | None
) -> None:
    """Refuse settings that make no sense."""
    if not potentials:
        raise ShapeError("there is no potential to sum")
    check_tolerance(tolerance)
    if chunk_size is not None and chunk_size < 1:
        raise ConfigError(f"chunk_size must be positive, not {chunk_size}")


def check_shapes(cells: Tensor, positions: Sequence[Tensor]) -> None:
    """Refuse arrays that do not fit each other.

    Parameters
    ----------
    cells : Tensor, shape (n_crystals, 3, 3)
        Lattice vectors as rows.
    positions : sequence of Tensor, shape (n_atoms, 3)
        One entry per crystal.

    Raises
    ------
    ShapeError
        If a shape, a dtype or a device is wrong.
    ConfigError
        If the dtype is not float32 or float64.
    """
    if cells.ndim != 3 or cells.shape[1:] != (3, 3) or len(cells) == 0:
        raise ShapeError(
            f"cells must have shape (n_crystals, 3, 3), not {tuple(cells.shape)}"
        )
    if len(positions) != len(cells):
        raise ShapeError(
            f"{len(cells)} cells do not fit positions of {len(positions)} crystals"
        )
    if cells.dtype not in {torch.float32, torch.float64}:
        raise ConfigError(f"sums are done in float32 or float64, not {cells.dtype}")
    for i, x in enumerate(positions):
        if x.ndim != 2 or x.shape[1] != 3 or len(x) == 0:
            raise ShapeError(
                f"positions of crystal {i} must have shape (n_atoms, 3), not "
                f"{tuple(x.shape)}"
            )
        if x.dtype != cells.dtype or x.device != cells.device:
            raise ShapeError(
                f"positions of crystal {i} are {x.dtype} on {x.device}, but the cells "
                f"are {cells.dtype} on {cells.device}"
            )


def check_cells(cells: Array) -> None:
    """Refuse cells that span no volume.

    Parameters
    ----------
    cells : ndarray, shape (n_crystals, 3, 3)
        Lattice vectors as rows, in Å.

    Raises
    ------
    StructureError
        If a number is not finite, or the vectors of a cell lie in a plane.
    """
    finite = np.isfinite(cells).all(axis=(1, 2))
    if not finite.all():
        i = int(finite.argmin())
        raise StructureError(f"the cell of crystal {i} has an entry that is not finite")
    edges = np.sqrt(np.square(cells).sum(axis=2))
    volumes = np.abs(np.linalg.det(cells))
    sound = (volumes > FLATTEST * edges.prod(axis=1)) & (edges.min(axis=1) > COINCIDENT)
    if not sound.all():
        i = int(sound.argmin())
        raise StructureError(
            f"the cell of crystal {i} has no volume (lattice vectors of "
            f"{edges[i].round(4).tolist()} Å)"
        )


def collect_kernels(
    potentials: Sequence[Potential], tolerance: float
) -> tuple[dict[Hashable, Kernel], dict[Hashable, float]]:
    """Find the different kernels of potentials, and what error each may have.

    Parameters
    ----------
    potentials : sequence of Potential
        What to sum.
    tolerance : float
        Largest truncation error of any potential.

    Returns
    -------
    kernels : dict of Hashable to Kernel
        By their keys, in the order in which they are met.
    tolerances : dict of Hashable to float
        Largest truncation error of each.
    """
    kernels: dict[Hashable, Kernel] = {}
    tolerances: dict[Hashable, float] = {}
    for potential in potentials:
        terms = potential.terms()
        for weight, kernel in terms:
            key = kernel.key
            size = abs(as_number(weight)) * len(terms)
            kernels.setdefault(key, kernel)
            allowed = tolerance / max(size, 1e-300)
            tolerances[key] = min(tolerances.get(key, 0.1), allowed)
    return kernels, tolerances


def mixing_matrix(
    potentials: Sequence[Potential], keys: list[Hashable], like: Tensor
) -> Tensor | None:
    """Collect the weights of the kernels in the potentials.

    Parameters
    ----------
    potentials : sequence of Potential
        What to sum.
    keys : list of Hashable
        Of the kernels.
    like : Tensor
        Gives dtype and device.

    Returns
    -------
    Tensor, shape (n_potentials, n_kernels), or None
        None if every potential is one kernel, in order.
    """
    if [potential.terms()[0][1].key for potential in potentials] == keys and all(
        isinstance(potential, Kernel) for potential in potentials
    ):
        return None
    rows = []
    for potential in potentials:
        row: list[Tensor] = [like.new_zeros(())] * len(keys)
        for weight, kernel in potential.terms():
            column = keys.index(kernel.key)
            row[column] = row[column] + as_tensor(weight).to(like)
        rows.append(torch.stack(row))
    return torch.stack(rows)


def _check_results(parts: list[BatchSums]) -> None:
    """Refuse coincident atoms and non-finite positions."""
    for part in parts:
        for i, distance in zip(part.members, part.closest.tolist(), strict=True):
            if math.isnan(distance):
                raise StructureError(f"crystal {i} has a position that is not finite")
            if distance < COINCIDENT:
                raise StructureError(
                    f"crystal {i} has two atoms at the same place ({distance:.2g} Å "
                    f"apart, less than {COINCIDENT} Å)"
                )


def _assemble(
    parts: list[BatchSums], mixing: Tensor | None, n_atoms: list[int]
) -> LatticeSums:
    """Mix kernels into potentials, cut the padding off, and put crystals in order."""
    matrices: dict[int, Tensor] = {}
    bounds: dict[int, Tensor] = {}
    for part in parts:
        mixed, limits = part.matrices, part.bounds
        if mixing is not None:
            mixed = torch.tensordot(mixing, mixed, dims=([1], [1])).transpose(0, 1)
            limits = limits @ mixing.detach().abs().to("cpu", torch.float64).T
        bounds.update(zip(part.members, limits.unbind(), strict=True))
        for i, matrix in zip(part.members, mixed.unbind(), strict=True):
            matrices[i] = matrix[:, : n_atoms[i], : n_atoms[i]]
    order = range(len(n_atoms))
    return LatticeSums(
        [matrices[i] for i in order], torch.stack([bounds[i] for i in order])
    )


def _check_bounds(sums: LatticeSums, dtype: torch.dtype, tolerance: float) -> None:
    """Refuse what overflows, and what float32 cannot reach."""
    bounds = sums.error_bounds
    finite = bounds.isfinite().all(dim=1)
    if not bool(finite.all()):
        i = int((~finite).nonzero()[0])
        raise ConfigError(f"the sums of crystal {i} overflow; use float64")
    if dtype == torch.float32 and bool((bounds > tolerance).any()):
        raise ConfigError(
            f"float32 cannot reach a tolerance of {tolerance:g}: round-off alone may "
            f"be {float(bounds.max()):.2g}; use float64 or a larger tolerance"
        )
