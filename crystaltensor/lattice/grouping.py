"""Estimates of the work, the width η that needs the least, and batches of likes."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crystaltensor.lattice.cells import Array, Geometry
from crystaltensor.lattice.kernels import Kernel

# Measured on one core, in nanoseconds; only their ratios matter.
_CANDIDATE_COST = 5.0  # per pair and image: the distance, and whether it counts
_HIT_COST = 6.0  # per pair and image within reach
_POWER_COST = 9.0  # per hit and kernel
_EXPONENTIAL_COST = 60.0
_DIRECT_COST = 5.0
_PHASE_COST = 12.0  # per atom and wave
_PRODUCT_COST = (3.0, 0.06)  # per atom, wave and kernel; and this times the atoms
_BATCH_COST = 1.5e6  # per batch: some hundred calls

_ETA_STEP = 1.07
_MAX_BATCH_ELEMENTS = 2**22


@dataclass(frozen=True, eq=False)
class Costs:
    """Estimated work, per crystal (first axis) and candidate width η (second axis).

    Parameters
    ----------
    etas : ndarray, shape (n_etas,)
        The candidates, in 1/Å.
    n_atoms : ndarray, shape (n_crystals, 1)
        Atoms per crystal.
    images, hits : ndarray, shape (n_crystals, n_etas)
        Images to try per pair, and those within reach.
    waves : ndarray, shape (n_crystals, n_etas)
        Half the reciprocal vectors within reach.
    per_hit : float
        Nanoseconds for all kernels.
    n_kernels : int
        How many kernels are split.
    """

    etas: Array
    n_atoms: Array
    images: Array
    hits: Array
    waves: Array
    per_hit: float = _HIT_COST + _POWER_COST
    n_kernels: int = 1

    @property
    def n_pairs(self) -> Array:
        """Pairs per crystal, one of them an atom with its own images."""
        return self.n_atoms * (self.n_atoms - 1) / 2 + 1

    def near(self) -> Array:
        """Return nanoseconds in real space, for each crystal alone."""
        per_pair = _CANDIDATE_COST * self.images + self.per_hit * self.hits
        return self.n_pairs * per_pair

    def far(self) -> Array:
        """Return nanoseconds in reciprocal space, for each crystal alone."""
        fixed, growing = _PRODUCT_COST
        product = self.n_kernels * (fixed + growing * self.n_atoms)
        return self.waves * self.n_atoms * (_PHASE_COST + product)

    def best(self) -> NDArray[np.int64]:
        """Return the column of the fastest width, shape (n_crystals,)."""
        return np.asarray((self.near() + self.far()).argmin(axis=1))

    def of(
        self, geometry: Geometry, split: list[Kernel], n_direct: int, reach: Array
    ) -> "Costs":
        """Return the same with other kernels, the unsplit ones up to a given reach."""
        per_hit = _HIT_COST + n_direct * _DIRECT_COST
        for kernel in split:
            per_hit += _EXPONENTIAL_COST if kernel.decay else _POWER_COST
        return replace(
            self,
            images=np.maximum(self.images, count_images(geometry, reach)),
            hits=np.maximum(self.hits, count_hits(geometry, reach)),
            per_hit=per_hit,
            n_kernels=len(split),
        )


def estimate(geometry: Geometry, n_atoms: list[int], tolerance: float) -> Costs:
    """Estimate the work of one split kernel for a range of widths η.

    Parameters
    ----------
    geometry : Geometry
        Of the reduced cells.
    n_atoms : list of int
        Atoms per crystal.
    tolerance : float
        Largest truncation error.

    Returns
    -------
    Costs
        Around the width that balances the two halves.
    """
    atoms = np.array(n_atoms, dtype=np.float64)[:, None]
    ratio = atoms[:, 0] / geometry.volume**2
    balanced = math.sqrt(math.pi) * ratio ** (1 / 6)
    low, high = 0.5 * float(balanced.min()), 2.5 * float(balanced.max())
    n_etas = math.ceil(math.log(high / low) / math.log(_ETA_STEP))
    etas: Array = low * _ETA_STEP ** np.arange(n_etas, dtype=np.float64)
    reduced = math.sqrt(-math.log(min(0.1, tolerance))) + 0.4
    reach = reduced / etas[None]
    return Costs(
        etas=etas,
        n_atoms=atoms,
        images=count_images(geometry, reach),
        hits=count_hits(geometry, reach),
        waves=_count_waves(geometry, 2 * reduced * etas),
    )


def fastest_direct(
    costs: Costs, geometry: Geometry, kernels: list[Kernel], reaches: dict[int, Array]
) -> list[int]:
    """Choose the kernels that are cheaper to sum unsplit.

    Parameters
    ----------
    costs : Costs
        Of one split kernel.
    geometry : Geometry
        Of the reduced cells.
    kernels : list of Kernel
        What to sum.
    reaches : dict of int to ndarray, shape (n_crystals,)
        The cutoffs of those kernels that may be summed unsplit.

    Returns
    -------
    list of int
        Which of them are.
    """
    best = costs.best()[:, None]
    pairs, atoms = costs.n_pairs, costs.n_atoms
    images, hits, waves, near, far = (
        np.take_along_axis(part, best, axis=1)
        for part in (costs.images, costs.hits, costs.waves, costs.near(), costs.far())
    )
    product = _PRODUCT_COST[0] + _PRODUCT_COST[1] * atoms
    split = (_EXPONENTIAL_COST * pairs * hits + product * atoms * waves).sum()
    if len(reaches) == len(kernels):
        # Without any split kernel there are no phases, and no cutoff but this.
        split += (near + far).sum()
    chosen = []
    for i, reach in reaches.items():
        more = np.maximum(count_images(geometry, reach[:, None]) - images, 0)
        direct = (_HIT_COST + _DIRECT_COST) * count_hits(geometry, reach[:, None])
        if (pairs * (_CANDIDATE_COST * more + direct)).sum() < split:
            chosen.append(i)
    return chosen


def count_images(geometry: Geometry, reach: Array) -> Array:
    """Estimate how many translations a cutoff needs, shape (n_crystals, n)."""
    spacing = geometry.spacing[:, :, None]
    box = (2 * np.floor(reach[:, None] / spacing + 0.5) + 1).prod(axis=1)
    ball = count_hits(geometry, reach + geometry.corner[:, None])
    return np.asarray(np.minimum(box, ball))


def count_hits(geometry: Geometry, reach: Array) -> Array:
    """Estimate the lattice points in a ball, shape (n_crystals, n)."""
    return np.asarray(1 + 4 * math.pi / 3 * reach**3 / geometry.volume[:, None])


def _count_waves(geometry: Geometry, reach: Array) -> Array:
    """Estimate how many reciprocal vectors a cutoff needs, half of them."""
    most = reach * geometry.lengths[:, :, None] / (2 * math.pi)
    box = (2 * np.floor(most) + 1).prod(axis=1)
    ball = reach**3 * geometry.volume[:, None] / (6 * math.pi**2)
    return np.asarray(0.5 * np.minimum(box, ball + 8))


def group(costs: Costs) -> tuple[list[list[int]], Array]:
    """Group similar crystals, while padding costs less than another batch would.

    Parameters
    ----------
    costs : Costs
        Of all kernels.

    Returns
    -------
    groups : list of list of int
        Which crystals share a batch.
    etas : ndarray, shape (n_crystals,)
        The width of each; equal within a batch.
    """
    table = _Table(costs)
    order = table.similar_first()
    groups: list[list[int]] = []
    columns = [0] * len(order)
    start = 0
    while start < len(order):
        stop = table.end_of_group(order, start)
        groups.append(sorted(order[start:stop]))
        for i in groups[-1]:
            columns[i] = table.best[order[start]]
        start = stop
    return groups, costs.etas[columns]


class _Table:
    """The estimates as Python numbers, which are faster one by one."""

    def __init__(self, costs: Costs) -> None:
        near, far = costs.near(), costs.far()
        best = costs.best()
        self.best: list[int] = best.tolist()
        self._atoms: list[float] = costs.n_atoms[:, 0].tolist()
        self._near: list[list[float]] = near.tolist()
        self._far: list[list[float]] = far.tolist()
        self._images: list[list[float]] = (costs.n_pairs * costs.images).tolist()
        self._waves: list[list[float]] = (2 * costs.n_atoms * costs.waves).tolist()
        self._alone: list[float] = (near + far).min(axis=1).tolist()

    def similar_first(self) -> list[int]:
        """Order crystals so that similar ones are neighbours."""

        def likeness(i: int) -> tuple[int, int, float]:
            column = self.best[i]
            size = round(4 * math.log2(self._atoms[i]))
            return size, column, self._images[i][column]

        return sorted(range(len(self.best)), key=likeness)

    def end_of_group(self, order: list[int], start: int) -> int:
        """Return how far the group that begins at `start` reaches."""
        column = self.best[order[start]]
        near = far = images = waves = padded = 0.0
        for stop in range(start, len(order)):
            i = order[stop]
            near, far = max(near, self._near[i][column]), max(far, self._far[i][column])
            images = max(images, self._images[i][column])
            waves = max(waves, self._waves[i][column])
            n_members = stop - start + 1
            total = n_members * (near + far)
            wasteful = total - padded > self._alone[i] + _BATCH_COST
            too_many = n_members * max(images, waves) > _MAX_BATCH_ELEMENTS
            if stop > start and (wasteful or too_many):
                return stop
            padded = total
        return len(order)
