"""The two halves of Ewald's split, for a batch of crystals padded to one size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from crystaltensor.lattice.kernels import Kernel, Shell, as_tensor
from crystaltensor.lattice.placement import Placement, place
from crystaltensor.lattice.plan import Batch

_ROUNDING = 32.0
"""Units of round-off, on the safe side, in a sum relative to the size of its terms."""

_ROUNDING_PER_POWER = 6.0
"""More of them for each power of the distance, which multiplies its relative error."""

_BLOCK = 64
"""Columns per matrix product; only one half of a symmetric product is needed."""


@dataclass(frozen=True, eq=False)
class BatchSums:
    """The sums of the kernels over one batch.

    Parameters
    ----------
    members : list of int
        Which crystals.
    matrices : Tensor, shape (n_crystals, n_kernels, n_atoms, n_atoms)
        Padded to the largest crystal.
    bounds : Tensor of float64 on the CPU, shape (n_crystals, n_kernels)
        Of the error, truncation and round-off together.
    closest : Tensor of float64 on the CPU, shape (n_crystals,)
        Smallest distance of two atoms, in Å; nan if a position is not finite.
    """

    members: list[int]
    matrices: Tensor
    bounds: Tensor
    closest: Tensor


def sum_batch(
    batch: Batch,
    cells: Tensor,
    positions: Sequence[Tensor],
    kernels: list[Kernel],
    chunk: int,
) -> BatchSums:
    """Sum all kernels over all pairs of a batch.

    Parameters
    ----------
    batch : Batch
        What to sum, on the device of the cells.
    cells : Tensor, shape (n_crystals, 3, 3)
        All cells of the call, in Å.
    positions : sequence of Tensor, shape (n_atoms, 3)
        All positions of the call, in Å.
    kernels : list of Kernel
        All kernels of the call.
    chunk : int
        Largest number of distances held at a time.

    Returns
    -------
    BatchSums
        In the dtype of `cells`.
    """
    n_atoms = max(len(positions[i]) for i in batch.members)
    upper = torch.triu_indices(n_atoms, n_atoms, 1, device=cells.device)
    atoms = place(batch, cells, positions, upper)
    near = _near_sums(batch, atoms, kernels, chunk, cells.dtype)
    far = _FarSums(batch, atoms, upper, cells.dtype)
    weights = {i: far.weights(kernels[i]) for i in batch.split}
    products = far.products(list(weights.values()), 8 * chunk)
    sums, sizes = [], []
    for i, kernel in enumerate(kernels):
        total = near[i] * batch.eta**kernel.dimension
        size = total.detach().amax(dim=1)
        if i in weights:
            own = as_tensor(kernel.self_term(batch.eta)) * batch.eta**kernel.dimension
            total = total + far.pairs(products.pop(0), weights[i], own)
            size = size + far.size(weights[i]) + own.detach().abs()
        elif not kernel.singular:
            total = torch.cat([total[:, :1] + 1, total[:, 1:]], dim=1)
            size = size + 1
        sums.append(total)
        sizes.append(size * (_ROUNDING + _ROUNDING_PER_POWER * kernel.dimension))
    size = torch.stack(sizes, dim=1).to("cpu", torch.float64)
    return BatchSums(
        members=batch.members,
        matrices=_unfold(torch.stack(sums, dim=1), n_atoms, upper),
        bounds=batch.bounds + torch.finfo(cells.dtype).eps * size,
        closest=atoms.closest.cpu(),
    )


def _near_sums(
    batch: Batch,
    atoms: Placement,
    kernels: list[Kernel],
    chunk: int,
    dtype: torch.dtype,
) -> list[Tensor]:
    """Return the real-space sums over η^p, (b, 1 + n_pairs) for each kernel."""
    images, pairs, limit = (x.to(dtype) for x in _factors(batch, atoms))
    width = max(1, chunk // (images.shape[0] * images.shape[1]))
    # Beyond one chunk, evaluating twice costs some time but bounds the memory.
    rerun = pairs.requires_grad and width < pairs.shape[2]
    parts = []
    for block in pairs.split(width, dim=2):
        if rerun:
            part = checkpoint(
                _near_block, batch, kernels, images, block, limit, use_reentrant=False
            )
        else:
            part = _near_block(batch, kernels, images, block, limit)
        parts.append(part)
    return [torch.cat(pieces, dim=1) for pieces in zip(*parts, strict=True)]


def _factors(batch: Batch, atoms: Placement) -> tuple[Tensor, Tensor, Tensor]:
    """Return matrices whose product is u² = η² (|v|² + |T|² + 2 v·T), and its limit.

    The vectors are wrapped, so |v + T| is not much shorter than |v| or |T|, and the sum
    loses no digits; for T = 0 it is |v|² exactly.
    """
    limit = (batch.eta * batch.reach).square() * (1 + 1e-6)
    # What must not count is moved out of reach: padding, and an atom from itself.
    beyond = 4 * limit.max()
    squares = batch.eta**2 * atoms.squares
    if atoms.absent is not None:
        squares = squares + beyond * atoms.absent
    ones = torch.ones_like(squares)
    itself = torch.zeros_like(squares)
    itself[..., 0] = 1.0
    pairs = torch.cat([squares, ones, 2 * batch.eta * atoms.vectors, itself], dim=1)
    shifts = batch.eta * atoms.shifts
    squares = shifts.square().sum(dim=-1, keepdim=True)
    squares = squares + beyond * batch.filled.unsqueeze(-1)
    ones = torch.ones_like(squares)
    zero = torch.zeros_like(squares)
    zero[:, 0] = beyond
    images = torch.cat([ones, squares, shifts, zero], dim=2)
    return images, pairs, limit[:, None, None]


def _near_block(
    batch: Batch, kernels: list[Kernel], images: Tensor, pairs: Tensor, limit: Tensor
) -> list[Tensor]:
    """Sum the real-space parts of some pairs over the images."""
    squares = images @ pairs  # (b, n_images, n_pairs)
    n_crystals, n_images, n_pairs = squares.shape
    near = _true_places(squares.detach() < limit)
    shell = Shell(squares.view(-1).index_select(0, near))
    owner = near % n_pairs
    if n_crystals > 1:
        owner += near // (n_images * n_pairs) * n_pairs
    sums = []
    for i, kernel in enumerate(kernels):
        part = kernel.bare if i in batch.direct else kernel.real
        total = squares.new_zeros(n_crystals * n_pairs)
        total = total.scatter_add(0, owner, part(shell, batch.eta))
        sums.append(total.view(n_crystals, n_pairs))
    return sums


def _true_places(mask: Tensor) -> Tensor:
    """Return the flat indices of true entries; on the CPU, numpy is five times faster."""
    if mask.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.view(-1).nonzero().squeeze(1)


class _FarSums:
    """The reciprocal-space sums of a batch: phases and products that kernels share."""

    def __init__(
        self, batch: Batch, atoms: Placement, upper: Tensor, dtype: torch.dtype
    ) -> None:
        self._batch = batch
        self._atoms = atoms
        self._upper = upper
        self._dtype = dtype
        self._shell = Shell(atoms.wave_squares / (2 * batch.eta) ** 2)

    def weights(self, kernel: Kernel) -> Tensor:
        """Return ĝ(k), doubled for ±k, after ĝ₀; shape (b, 1 + n_k)."""
        eta = self._batch.eta
        waves = kernel.reciprocal(self._shell, eta) * self._batch.weights
        zero = as_tensor(kernel.zero(eta)).to(waves).expand(len(waves), 1)
        factor = eta ** (kernel.dimension - 3.0) / self._atoms.volume
        weights: Tensor = torch.cat([zero, waves], dim=1) * factor
        return weights

    def products(self, weights: list[Tensor], limit: int) -> list[Tensor]:
        """Return Σ_k w(k) cos(k·(x_a - x_b)) for a ≤ b at least; (b, n, n) each."""
        if not weights:
            return []
        waves, frac = self._batch.waves, self._atoms.frac
        width = max(1, limit // (len(waves) * frac.shape[2]))
        total: list[Tensor] = []
        for start in range(0, waves.shape[1], width):
            turns = waves[:, start : start + width] @ frac  # (b, n_k, n)
            if self._dtype != torch.float64:
                # Whole turns are dropped early, so that float32 keeps all its digits.
                turns = turns - turns.detach().round()
            angles = (2 * math.pi * turns).to(self._dtype)
            cosines, sines = angles.cos(), angles.sin()
            for i, weight in enumerate(weights):
                part = weight[:, start : start + width, None].to(self._dtype)
                product = _symmetric_product(cosines, sines, part)
                if start:
                    total[i] = total[i] + product
                else:
                    total.append(product)
        return total

    def pairs(self, product: Tensor, weights: Tensor, own: Tensor) -> Tensor:
        """Return the sums of pairs, shape (b, 1 + n_pairs), the first with `own`."""
        places = self._upper[0] * product.shape[1] + self._upper[1]
        others = product.flatten(1).gather(1, places.expand(len(product), -1))
        first = weights.sum(dim=1, keepdim=True) + own.to(weights)
        return torch.cat([first.to(others), others], dim=1)

    def size(self, weights: Tensor) -> Tensor:
        """Return the size of the terms that round-off is relative to, shape (b,)."""
        # A phase carries a rounding error that grows with the number of turns.
        spread = 1 + self._batch.waves.abs().sum(dim=-1) / 8
        return (weights.detach().abs() * spread).sum(dim=1)


def _symmetric_product(cosines: Tensor, sines: Tensor, weights: Tensor) -> Tensor:
    """Return Cᵀ diag(w) C + Sᵀ diag(w) S, at least its upper triangle, (b, n, n)."""
    blocks = []
    left_c, left_s = cosines.transpose(1, 2), sines.transpose(1, 2)
    right_c, right_s = weights * cosines, weights * sines
    for start in range(0, cosines.shape[2], _BLOCK):
        rows = slice(start, start + _BLOCK)
        block = left_c[:, rows] @ right_c[..., start:]
        block = torch.baddbmm(block, left_s[:, rows], right_s[..., start:])
        blocks.append(torch.nn.functional.pad(block, (start, 0)) if start else block)
    return torch.cat(blocks, dim=1) if len(blocks) > 1 else blocks[0]


def _unfold(sums: Tensor, n_atoms: int, upper: Tensor) -> Tensor:
    """Turn pairs, shape (b, k, 1 + n_pairs), into matrices, exactly symmetric."""
    place = torch.zeros(n_atoms, n_atoms, dtype=torch.long, device=sums.device)
    place[upper[0], upper[1]] = torch.arange(1, sums.shape[2], device=sums.device)
    place = place + place.T
    place = place.flatten().expand(*sums.shape[:2], -1)
    return sums.gather(2, place).view(*sums.shape[:2], n_atoms, n_atoms)
