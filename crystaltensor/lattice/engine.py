"""The two halves of Ewald's split, for a batch of crystals padded to one size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from crystaltensor.lattice.kernels import Kernel, Shell, as_number, as_tensor
from crystaltensor.lattice.plan import Batch

_ROUNDING = 32.0
"""Units of round-off, on the safe side, in a sum relative to the size of its terms."""

_BLOCK = 128
"""Rows per matrix product where only half of a symmetric product is needed."""


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


@dataclass(frozen=True, eq=False)
class _Geometry:
    """Where the atoms of a batch are, in float64 up to the last step."""

    frac: Tensor  # (b, n, 3) on the reduced cell, wrapped
    vectors: Tensor  # (b, 1 + n_pairs, 3) in Å, wrapped; the first is zero
    absent: Tensor  # (b, 1 + n_pairs), pairs that are padding
    shifts: Tensor  # (b, n_images, 3) in Å
    wave_squares: Tensor  # (b, n_k) in 1/Å²
    volume: Tensor  # (b, 1)
    closest: Tensor  # (b,)


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
        What to sum.
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
    counts = [len(positions[i]) for i in batch.members]
    upper = torch.triu_indices(max(counts), max(counts), 1, device=cells.device)
    place = _place(batch, cells, positions, counts, upper)
    near = _near_sums(batch, place, kernels, chunk, cells.dtype)
    far, sizes = _far_sums(batch, place, kernels, chunk, cells.dtype)
    sums = []
    rounding = []
    for i, kernel in enumerate(kernels):
        factor = batch.eta**kernel.dimension
        total = near[i] * factor
        size = total.detach().abs().amax(dim=1)
        if i in batch.direct:
            own = torch.tensor(0.0 if kernel.singular else 1.0)
        else:
            own = as_tensor(kernel.self_term(batch.eta)) * factor
            background = kernel.zero(batch.eta) * factor / batch.eta**3 / place.volume
            total = total + (far[i] + background.to(cells.dtype))
            size = size + sizes[i] + background.detach().abs().squeeze(1)
        total = torch.cat([total[:, :1] + own.to(total), total[:, 1:]], dim=1)
        sums.append(total)
        rounding.append(size + as_number(own.abs()))
    size = torch.stack(rounding, dim=1).to("cpu", torch.float64)
    epsilon = torch.finfo(cells.dtype).eps
    return BatchSums(
        members=batch.members,
        matrices=_unfold(torch.stack(sums, dim=1), max(counts), upper),
        bounds=batch.bounds + epsilon * _ROUNDING * size,
        closest=place.closest.cpu(),
    )


def _place(
    batch: Batch,
    cells: Tensor,
    positions: Sequence[Tensor],
    counts: list[int],
    upper: Tensor,
) -> _Geometry:
    """Wrap the atoms and their differences into the reduced cell."""
    device = cells.device
    cell = batch.change.to(device) @ cells[batch.members].double()
    inverse = torch.linalg.inv(cell)
    padded = pad_sequence([positions[i] for i in batch.members], batch_first=True)
    frac = padded.double() @ inverse
    frac = frac - frac.detach().round()
    apart = frac[:, upper[0]] - frac[:, upper[1]]
    vectors = (apart - apart.detach().round()) @ cell
    vectors = torch.cat([vectors.new_zeros(len(cell), 1, 3), vectors], dim=1)
    squares = vectors.detach()[:, 1:].square().sum(dim=-1)
    absent = torch.zeros_like(vectors[..., 0], dtype=torch.bool)
    if min(counts) < max(counts):
        size = torch.tensor(counts, device=device).unsqueeze(1)
        absent[:, 1:] = upper[1] >= size
        squares = squares.masked_fill(absent[:, 1:], math.inf)
    waves = 2 * math.pi * batch.waves.to(device) @ inverse.transpose(1, 2)
    closest = squares.new_full((len(cell),), math.inf)
    if squares.shape[1]:
        closest = squares.amin(dim=1).sqrt()
    finite = padded.detach().isfinite().flatten(1).all(dim=1)
    return _Geometry(
        frac=frac,
        vectors=vectors,
        absent=absent,
        shifts=batch.images.to(device) @ cell,
        wave_squares=waves.square().sum(dim=-1),
        volume=torch.linalg.det(cell).abs().unsqueeze(-1),
        closest=closest.where(finite, closest.new_tensor(math.nan)),
    )


def _near_sums(
    batch: Batch,
    place: _Geometry,
    kernels: list[Kernel],
    chunk: int,
    dtype: torch.dtype,
) -> list[Tensor]:
    """Return the real-space sums over η^p, (b, 1 + n_pairs) for each kernel."""
    images, pairs, limit = _factors(batch, place)
    images, pairs, limit = images.to(dtype), pairs.to(dtype), limit.to(dtype)
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


def _factors(batch: Batch, place: _Geometry) -> tuple[Tensor, Tensor, Tensor]:
    """Return matrices whose product is u² = η² (|v|² + |T|² + 2 v·T), and its limit.

    The vectors are wrapped, so |v + T| is not much shorter than |v| or |T|, and the sum
    loses no digits; for T = 0 it is |v|² exactly.
    """
    v, shifts = batch.eta * place.vectors, batch.eta * place.shifts
    limit = (batch.eta * batch.reach.to(v.device)).square() * (1 + 1e-6)
    # What must not count is moved out of reach: padding, and an atom from itself.
    beyond = 4 * limit.max()
    origin = torch.zeros_like(v[..., :1])
    origin[:, 0] = 1.0
    at_zero = torch.zeros_like(shifts[..., :1])
    at_zero[:, 0] = beyond
    square = v.square().sum(dim=-1) + beyond * place.absent
    pairs = torch.cat([square[..., None], torch.ones_like(origin), 2 * v, origin], -1)
    square = shifts.square().sum(dim=-1) + beyond * batch.filled.to(v.device)
    images = torch.cat(
        [torch.ones_like(at_zero), square[..., None], shifts, at_zero], -1
    )
    return images, pairs.transpose(1, 2).contiguous(), limit[:, None, None]


def _near_block(
    batch: Batch, kernels: list[Kernel], images: Tensor, pairs: Tensor, limit: Tensor
) -> list[Tensor]:
    """Sum the real-space parts of some pairs over the images."""
    squares = images @ pairs  # (b, n_images, n_pairs)
    near = _true_places(squares.detach() < limit)
    shell = Shell(squares.flatten().index_select(0, near))
    sums = []
    for i, kernel in enumerate(kernels):
        part = kernel.bare if i in batch.direct else kernel.real
        values = squares.new_zeros(squares.numel())
        values = values.scatter(0, near, part(shell, batch.eta))
        sums.append(values.view_as(squares).sum(dim=1))
    return sums


def _true_places(mask: Tensor) -> Tensor:
    """Return the flat indices of true entries; on the CPU, numpy is five times faster."""
    if mask.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.flatten().nonzero().squeeze(1)


def _far_sums(
    batch: Batch,
    place: _Geometry,
    kernels: list[Kernel],
    chunk: int,
    dtype: torch.dtype,
) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
    """Return the reciprocal-space sums, (b, 1 + n_pairs), and the sizes of their terms."""
    if not batch.split:
        return {}, {}
    waves = batch.waves.to(place.frac.device)
    shell = Shell(place.wave_squares / (2 * batch.eta) ** 2)
    counted = batch.weights.to(waves.device) / place.volume
    weights = [
        kernels[i].reciprocal(shell, batch.eta)
        * (counted * batch.eta ** (kernels[i].dimension - 3))
        for i in batch.split
    ]
    n_atoms = place.frac.shape[1]
    width = max(1, 8 * chunk // (len(waves) * n_atoms))
    products: list[Tensor] = []
    for start in range(0, max(1, waves.shape[1]), width):
        stop = start + width
        turns = place.frac @ waves[:, start:stop].transpose(1, 2)
        # Whole turns are dropped in float64, so that float32 keeps all its digits.
        turns = turns if dtype == torch.float64 else turns - turns.detach().round()
        angles = (2 * math.pi * turns).to(dtype)
        phases = torch.cat([angles.cos(), angles.sin()], dim=-1)  # (b, n, 2 n_k)
        block = [
            _symmetric_product(phases, weight[:, start:stop].repeat(1, 2).to(dtype))
            for weight in weights
        ]
        if products:
            block = [a + b for a, b in zip(products, block, strict=True)]
        products = block
    row, column = torch.triu_indices(n_atoms, n_atoms, 1, device=waves.device)
    pairs = row * n_atoms + column
    sums, sizes = {}, {}
    # A phase carries a rounding error that grows with the number of turns.
    spread = 1 + waves.abs().sum(dim=-1) / 8
    for i, weight, product in zip(batch.split, weights, products, strict=True):
        own = weight.sum(dim=1, keepdim=True).to(dtype)
        other = product.flatten(1).gather(1, pairs.expand(len(product), -1))
        sums[i] = torch.cat([own, other], dim=1)
        sizes[i] = (weight.detach() * spread).sum(dim=1)
    return sums, sizes


def _symmetric_product(phases: Tensor, weights: Tensor) -> Tensor:
    """Return A diag(w) Aᵀ, at least its upper triangle, shape (b, n, n)."""
    n_atoms = phases.shape[1]
    other = phases.transpose(1, 2)
    if n_atoms <= _BLOCK:
        return (phases * weights.unsqueeze(1)) @ other
    blocks = []
    for start in range(0, n_atoms, _BLOCK):
        rows = phases[:, start : start + _BLOCK] * weights.unsqueeze(1)
        block = rows @ other[..., start:]
        blocks.append(torch.nn.functional.pad(block, (start, 0)))
    return torch.cat(blocks, dim=1)


def _unfold(sums: Tensor, n_atoms: int, upper: Tensor) -> Tensor:
    """Turn pairs, shape (b, k, 1 + n_pairs), into matrices, exactly symmetric."""
    place = torch.zeros(n_atoms, n_atoms, dtype=torch.long, device=sums.device)
    place[upper[0], upper[1]] = torch.arange(1, sums.shape[2], device=sums.device)
    place = place + place.T
    place = place.flatten().expand(*sums.shape[:2], -1)
    return sums.gather(2, place).view(*sums.shape[:2], n_atoms, n_atoms)
