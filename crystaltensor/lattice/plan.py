"""How to sum: the width η, the cutoffs, and which crystals share a batch.

Everything here is small, runs on the CPU in float64 and is never differentiated: it
decides what is summed, and by how much the result can be wrong.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from crystaltensor.lattice.bounds import direct_bounds, real_bounds, reciprocal_bounds
from crystaltensor.lattice.cells import (
    Geometry,
    reciprocal_half,
    reduce_cells,
    translations,
)
from crystaltensor.lattice.kernels import Kernel

# Measured on one core, in nanoseconds; only their ratios matter.
_DISTANCE_COST = 4.0
_POWER_COST = 7.0
_EXPONENTIAL_COST = 60.0
_DIRECT_COST = 4.0
_PHASE_COST = 10.0
_PRODUCT_COST = 0.12
_BATCH_COST = 1e6

_SLOWEST_DIRECT = 0.3
"""Below this decay, in 1/Å, the images of an unsplit sum are too many to list."""

_ETA_STEP = 1.06
_MAX_BATCH_ELEMENTS = 2**21


@dataclass(frozen=True, eq=False)
class Batch:
    """Crystals that are summed together, padded to the largest, and how.

    Parameters
    ----------
    members : list of int
        Which crystals.
    change : Tensor, shape (n_crystals, 3, 3)
        Integer matrices; ``change @ cells`` are the reduced cells.
    eta : float
        The width at which the Gaussians are split, in 1/Å.
    direct, split : list of int
        Which kernels are summed as they are, and which by Ewald's split.
    images : Tensor, shape (n_crystals, n_images, 3)
        Translations on the reduced cell, the nearest first; `filled` marks padding.
    n_direct, n_split : int
        How many of `images` the two kinds of kernel need.
    waves : Tensor, shape (n_crystals, n_k, 3)
        One of each pair ±k on the reduced reciprocal basis.
    weights : Tensor, shape (n_crystals, n_k)
        Two, or zero for padding.
    bounds : Tensor, shape (n_crystals, n_kernels)
        Of what the truncated sums leave out.
    """

    members: list[int]
    change: Tensor
    eta: float
    direct: list[int]
    split: list[int]
    images: Tensor
    filled: Tensor
    n_direct: int
    n_split: int
    waves: Tensor
    weights: Tensor
    bounds: Tensor


@dataclass(frozen=True, eq=False)
class _Costs:
    """Estimated work, per crystal (first axis) and candidate η (second axis)."""

    etas: Tensor  # (n_etas,)
    n_pairs: Tensor  # (n_crystals, 1)
    n_atoms: Tensor  # (n_crystals, 1)
    images: Tensor  # (n_crystals, n_etas)
    waves: Tensor  # (n_crystals, n_etas)
    per_image: float = _DISTANCE_COST
    n_kernels: int = 0

    def with_kernels(self, kernels: list[Kernel]) -> "_Costs":
        """Return the same sizes with the costs of split kernels."""
        per_image = _DISTANCE_COST + sum(
            _EXPONENTIAL_COST if kernel.decay else _POWER_COST for kernel in kernels
        )
        return replace(self, per_image=per_image, n_kernels=len(kernels))

    def each(self) -> Tensor:
        """Return nanoseconds for every crystal alone, shape (n_crystals, n_etas)."""
        wave = _PHASE_COST + self.n_kernels * _PRODUCT_COST * self.n_atoms
        near = self.n_pairs * self.images * self.per_image
        return near + self.waves * self.n_atoms * wave


def plan_batches(
    cells: Tensor, n_atoms: list[int], kernels: list[Kernel], tolerances: list[float]
) -> list[Batch]:
    """Decide how to sum.

    Parameters
    ----------
    cells : Tensor of float64, shape (n_crystals, 3, 3)
        On the CPU.
    n_atoms : list of int
        Atoms per crystal.
    kernels : list of Kernel
        What to sum.
    tolerances : list of float
        Largest truncation error of each kernel.

    Returns
    -------
    list of Batch
        Together they hold every crystal once.
    """
    change = reduce_cells(cells)
    geometry = Geometry(change @ cells)
    atoms = torch.tensor(n_atoms, dtype=torch.float64).unsqueeze(-1)
    costs = _estimate(geometry, atoms, min(tolerances))
    reach_direct = _choose_direct(costs, geometry, kernels, tolerances)
    split = [i for i in range(len(kernels)) if i not in reach_direct]
    costs = costs.with_kernels([kernels[i] for i in split])
    farthest = torch.zeros_like(geometry.volume)
    for reach in reach_direct.values():
        farthest = torch.maximum(farthest, reach)
    groups, eta = _group(costs, _count_images(geometry, farthest.unsqueeze(-1)))
    planner = _Planner(
        change, geometry, kernels, tolerances, reach_direct, split, farthest, eta
    )
    return planner.batches(groups)


@dataclass(frozen=True, eq=False)
class _Planner:
    """What all batches of one call have in common."""

    change: Tensor
    geometry: Geometry
    kernels: list[Kernel]
    tolerances: list[float]
    direct: dict[int, Tensor]
    split: list[int]
    farthest: Tensor
    eta: Tensor

    def batches(self, groups: list[list[int]]) -> list[Batch]:
        """Solve for the cutoffs of all crystals at once, then fill the batches."""
        reach = wave_reach = torch.zeros_like(self.eta)
        bounds = self.eta.new_zeros(len(self.eta), len(self.kernels))
        if self.split:
            reach, wave_reach, bounds[:, self.split] = _split_reach(
                [self.kernels[i] for i in self.split],
                [self.tolerances[i] for i in self.split],
                self.geometry,
                self.eta,
            )
        for i in self.direct:
            # A direct sum leaves out no more than its own bound, which is the target.
            bounds[:, i] = 0.9 * self.tolerances[i]
        return [self._batch(group, reach, wave_reach, bounds) for group in groups]

    def _batch(
        self, members: list[int], reach: Tensor, wave_reach: Tensor, bounds: Tensor
    ) -> Batch:
        """List the translations and the waves of one batch."""
        geometry = self.geometry
        if members != list(range(len(self.eta))):
            geometry = Geometry(self.geometry.cells[members])
        reach, farthest = reach[members], self.farthest[members]
        images, distance = translations(geometry, torch.maximum(reach, farthest))
        if self.split:
            waves, length = reciprocal_half(geometry, wave_reach[members])
        else:
            waves, length = images[:, :0], distance[:, :0]
        margin = 1 + 1e-9
        return Batch(
            members=members,
            change=self.change[members],
            eta=float(self.eta[members[0]]),
            direct=list(self.direct),
            split=self.split,
            images=images,
            filled=distance.isinf(),
            n_direct=_most_within(distance, farthest * margin),
            n_split=_most_within(distance, reach * margin),
            waves=waves,
            weights=2.0 * length.isfinite(),
            bounds=bounds[members],
        )


def _most_within(distance: Tensor, reach: Tensor) -> int:
    """Count the images that the neediest crystal has within reach."""
    return int((distance <= reach.unsqueeze(-1)).sum(dim=1).max())


def _choose_direct(
    costs: "_Costs", geometry: Geometry, kernels: list[Kernel], tolerances: list[float]
) -> dict[int, Tensor]:
    """Choose the kernels that are cheaper to sum unsplit, with their cutoffs."""
    fast = [i for i, kernel in enumerate(kernels) if kernel.decay > 0]
    if not fast:
        return {}
    rest = [kernel for kernel in kernels if kernel.decay == 0] or [kernels[fast[0]]]
    best = costs.with_kernels(rest).each().argmin(dim=1, keepdim=True)
    images, waves = costs.images.gather(1, best), costs.waves.gather(1, best)
    split = costs.n_pairs * images * _EXPONENTIAL_COST
    split = (split + waves * _PRODUCT_COST * costs.n_atoms.square()).sum()
    chosen = {}
    for i in fast:
        if kernels[i].decay < _SLOWEST_DIRECT:
            continue
        reach = _direct_reach(kernels[i], tolerances[i], geometry)
        images = _count_images(geometry, reach.unsqueeze(-1))
        direct = (costs.n_pairs * images).sum() * (_DIRECT_COST + _DISTANCE_COST)
        if direct < split:
            chosen[i] = reach
    return chosen


def _estimate(geometry: Geometry, atoms: Tensor, tolerance: float) -> "_Costs":
    """Estimate the work for a range of widths η."""
    ratio = atoms.squeeze(-1) / geometry.volume.square()
    balanced = math.sqrt(math.pi) * ratio ** (1 / 6)
    low, high = 0.5 * float(balanced.min()), 2.5 * float(balanced.max())
    n_etas = math.ceil(math.log(high / low) / math.log(_ETA_STEP))
    etas = low * _ETA_STEP ** torch.arange(n_etas, dtype=torch.float64)
    reduced = math.sqrt(-math.log(min(0.1, tolerance))) + 0.4
    return _Costs(
        etas=etas,
        n_pairs=(atoms * (atoms - 1) / 2 + 1),
        n_atoms=atoms,
        images=_count_images(geometry, reduced / etas),
        waves=_count_waves(geometry, 2 * reduced * etas),
    )


def _count_images(geometry: Geometry, reach: Tensor) -> Tensor:
    """Estimate how many translations a cutoff needs, shape of `reach` and crystals."""
    spacing = geometry.spacing.unsqueeze(1)
    box = (2 * torch.floor(reach.unsqueeze(-1) / spacing + 0.5) + 1).prod(dim=-1)
    radius = reach + geometry.corner.unsqueeze(-1)
    ball = 4 * math.pi / 3 * radius**3 / geometry.volume.unsqueeze(-1)
    return torch.minimum(box, ball + 1)


def _count_waves(geometry: Geometry, reach: Tensor) -> Tensor:
    """Estimate how many reciprocal vectors a cutoff needs, half of them."""
    most = reach.unsqueeze(-1) * geometry.lengths.unsqueeze(1) / (2 * math.pi)
    box = (2 * torch.floor(most) + 1).prod(dim=-1)
    ball = reach**3 * geometry.volume.unsqueeze(-1) / (6 * math.pi**2)
    return 0.5 * torch.minimum(box, ball + 8)


def _group(costs: _Costs, direct_images: Tensor) -> tuple[list[list[int]], Tensor]:
    """Group similar crystals, while padding costs less than another batch would."""
    each = costs.each()
    best = each.argmin(dim=1)
    images = torch.maximum(costs.images, direct_images)
    order = sorted(
        range(len(best)),
        key=lambda i: (
            round(4 * math.log2(float(costs.n_atoms[i]))),
            int(best[i]),
            float(images[i, best[i]]),
        ),
    )
    eta = torch.empty_like(costs.n_atoms[:, 0])
    groups: list[list[int]] = []
    table = _Table(costs, images, each, best)
    start = 0
    while start < len(order):
        stop = table.end_of_group(order, start)
        groups.append(order[start:stop])
        eta[order[start:stop]] = costs.etas[best[order[start]]]
        start = stop
    return groups, eta


class _Table:
    """The estimates as Python numbers, which are faster one by one."""

    def __init__(
        self, costs: _Costs, images: Tensor, each: Tensor, best: Tensor
    ) -> None:
        self._costs = costs
        self._best: list[int] = best.tolist()
        self._pairs: list[float] = costs.n_pairs[:, 0].tolist()
        self._atoms: list[float] = costs.n_atoms[:, 0].tolist()
        self._images: list[list[float]] = images.tolist()
        self._waves: list[list[float]] = costs.waves.tolist()
        self._alone: list[float] = each.amin(dim=1).tolist()

    def end_of_group(self, order: list[int], start: int) -> int:
        """Return how far the group that begins at `start` reaches."""
        column = self._best[order[start]]
        most = [0.0, 0.0, 0.0, 0.0]
        padded = alone = 0.0
        for stop in range(start, len(order)):
            i = order[stop]
            sizes = (
                self._pairs[i],
                self._atoms[i],
                self._images[i][column],
                self._waves[i][column],
            )
            wider = [max(pair) for pair in zip(most, sizes, strict=True)]
            n_members = stop - start + 1
            pairs, atoms, images, waves = wider
            inner = _PHASE_COST + self._costs.n_kernels * _PRODUCT_COST * atoms
            total = n_members * (
                pairs * images * self._costs.per_image + waves * atoms * inner
            )
            elements = n_members * max(pairs * images, 2 * atoms * waves)
            grown = total - padded > self._alone[i] + _BATCH_COST
            if stop > start and (grown or elements > _MAX_BATCH_ELEMENTS):
                return stop
            most, padded, alone = wider, total, alone + self._alone[i]
        return len(order)


def _split_reach(
    kernels: list[Kernel], tolerances: list[float], geometry: Geometry, eta: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return both cutoffs and the sum of both bounds, (n_crystals, n_kernels)."""
    eta = eta.unsqueeze(-1)
    # The two tails share the tolerance, and leave a tenth of it to round-off.
    target = 0.45 * torch.tensor(tolerances, dtype=torch.float64)
    start = math.sqrt(-math.log(min(0.1, float(target.min()))))
    grid = start + torch.arange(-1.0, 1.5, 0.03, dtype=torch.float64)

    def real(u: Tensor) -> Tensor:
        return real_bounds(kernels, geometry, u, eta)

    def reciprocal(u: Tensor) -> Tensor:
        return reciprocal_bounds(kernels, geometry, u, eta)

    near, bound_near = _first_within(real, target, grid)
    far, bound_far = _first_within(reciprocal, target, grid)
    eta = eta.squeeze(-1)
    return near / eta, 2 * eta * far, bound_near + bound_far


def _direct_reach(kernel: Kernel, tolerance: float, geometry: Geometry) -> Tensor:
    """Return the cutoff of an unsplit sum."""
    target = 0.9 * torch.tensor([tolerance], dtype=torch.float64)
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
