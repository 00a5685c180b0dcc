"""How to sum: the width η, the cutoffs, and which crystals share a batch.

Everything here is small, runs on the CPU in float64 and is never differentiated: it
decides what is summed, and by how much the result can be wrong.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from crystaltensor.lattice.cells import (
    Array,
    Geometry,
    reciprocal_half,
    reduce_cells,
    translations,
)
from crystaltensor.lattice.cutoffs import DIRECT_SHARE, direct_cutoff, split_cutoffs
from crystaltensor.lattice.grouping import estimate, fastest_direct, group
from crystaltensor.lattice.kernels import Kernel

_SLOWEST_DIRECT = 0.3
"""Below this decay, in 1/Å, the images of an unsplit sum are too many to list."""


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
    reach : Tensor, shape (n_crystals,)
        The cutoff in real space, in Å.
    images : Tensor, shape (n_crystals, n_images, 3)
        Translations on the reduced cell, zero first.
    filled : Tensor of bool, shape (n_crystals, n_images)
        Which of them are padding.
    waves : Tensor, shape (n_crystals, 1 + n_k, 3)
        Zero, and one of each pair ±k, on the reduced reciprocal basis.
    weights : Tensor, shape (n_crystals, n_k)
        Of the pairs ±k: two, or zero for padding.
    bounds : Tensor, shape (n_crystals, n_kernels)
        Of what the truncated sums leave out.
    """

    members: list[int]
    change: Tensor
    eta: float
    direct: list[int]
    split: list[int]
    reach: Tensor
    images: Tensor
    filled: Tensor
    waves: Tensor
    weights: Tensor
    bounds: Tensor

    def to(self, device: torch.device) -> "Batch":
        """Return the same batch with its tensors on a device, but the bounds."""
        if device.type == "cpu":
            return self
        names = ("change", "reach", "images", "filled", "waves", "weights")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


def plan_batches(
    cells: Array, n_atoms: list[int], kernels: list[Kernel], tolerances: list[float]
) -> list[Batch]:
    """Decide how to sum.

    Parameters
    ----------
    cells : ndarray, shape (n_crystals, 3, 3)
        Lattice vectors as rows, in Å.
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
    costs = estimate(geometry, n_atoms, min(tolerances))
    reaches = {
        i: direct_cutoff(kernel, tolerances[i], geometry)
        for i, kernel in enumerate(kernels)
        if kernel.decay >= _SLOWEST_DIRECT
    }
    direct = fastest_direct(costs, geometry, kernels, reaches)
    split = [i for i in range(len(kernels)) if i not in direct]
    reach = np.zeros(len(cells))
    for i in direct:
        reach = np.maximum(reach, reaches[i])
    costs = costs.of(geometry, [kernels[i] for i in split], len(direct), reach[:, None])
    groups, eta = group(costs)
    wave_reach = np.zeros(len(cells))
    bounds = np.tile(DIRECT_SHARE * np.array(tolerances), (len(cells), 1))
    if split:
        near, wave_reach, bounds[:, split] = split_cutoffs(
            [kernels[i] for i in split], [tolerances[i] for i in split], geometry, eta
        )
        reach = np.maximum(reach, near)
    plan = _Plan(change, geometry, eta, direct, split, reach, wave_reach, bounds)
    return [plan.batch(members) for members in groups]


@dataclass(frozen=True, eq=False)
class _Plan:
    """What is known of all crystals of a call."""

    change: Array
    geometry: Geometry
    eta: Array
    direct: list[int]
    split: list[int]
    reach: Array
    wave_reach: Array
    bounds: Array

    def batch(self, members: list[int]) -> Batch:
        """List the translations and the waves of one batch."""
        geometry = self.geometry
        if len(members) < len(self.eta):
            geometry = Geometry(geometry.cells[members])
        images, filled = translations(geometry, self.reach[members])
        if self.split:
            waves, missing = reciprocal_half(geometry, self.wave_reach[members])
        else:
            waves, missing = images[:, :0], filled[:, :0]
        waves = np.concatenate([np.zeros_like(self.change[members][:, :1]), waves], 1)
        return Batch(
            members=members,
            change=torch.from_numpy(self.change[members]),
            eta=float(self.eta[members[0]]),
            direct=self.direct,
            split=self.split,
            reach=torch.from_numpy(self.reach[members]),
            images=torch.from_numpy(images),
            filled=torch.from_numpy(filled),
            waves=torch.from_numpy(waves),
            weights=torch.from_numpy(2.0 * ~missing),
            bounds=torch.from_numpy(self.bounds[members]),
        )
