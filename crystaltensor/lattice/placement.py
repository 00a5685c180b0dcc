"""Where the atoms of a batch are: wrapped, paired, in float64."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from crystaltensor.lattice.plan import Batch


@dataclass(frozen=True, eq=False)
class Placement:
    """The atoms of a batch on its reduced cells; pairs have their own order.

    The first pair is an atom with itself, at distance zero; the others are i < j, row
    by row. Components come before pairs, so that pairs are next to each other.

    Parameters
    ----------
    frac : Tensor, shape (n_crystals, 3, n_atoms)
        Fractional coordinates between -1/2 and 1/2.
    vectors : Tensor, shape (n_crystals, 3, 1 + n_pairs)
        Differences of positions in Å, wrapped into the cell.
    squares : Tensor, shape (n_crystals, 1, 1 + n_pairs)
        Their squared lengths in Å².
    absent : Tensor of bool, shape (n_crystals, 1, 1 + n_pairs), or None
        Pairs that only pad; None if there are none.
    shifts : Tensor, shape (n_crystals, n_images, 3)
        Translations in Å.
    wave_squares : Tensor, shape (n_crystals, n_k)
        Squared reciprocal vectors in 1/Å², without the first, which is zero.
    volume : Tensor, shape (n_crystals, 1)
        In Å³.
    closest : Tensor, shape (n_crystals,)
        Smallest distance of a pair in Å; nan if a position is not finite.
    """

    frac: Tensor
    vectors: Tensor
    squares: Tensor
    absent: Tensor | None
    shifts: Tensor
    wave_squares: Tensor
    volume: Tensor
    closest: Tensor


def place(
    batch: Batch, cells: Tensor, positions: Sequence[Tensor], upper: Tensor
) -> Placement:
    """Wrap the atoms of a batch, and their differences, into the reduced cells.

    Parameters
    ----------
    batch : Batch
        Which crystals, and their change of basis.
    cells : Tensor, shape (n, 3, 3)
        All cells of the call, in Å.
    positions : sequence of Tensor, shape (n_atoms, 3)
        All positions of the call, in Å.
    upper : Tensor of int64, shape (2, n_pairs)
        The pairs i < j of the largest crystal of the batch.

    Returns
    -------
    Placement
        In float64, whatever the input is.
    """
    cell = batch.change @ cells[batch.members].double()
    inverse = torch.linalg.inv(cell)
    chosen = [positions[i] for i in batch.members]
    padded = pad_sequence(chosen, batch_first=True).double()
    frac = (padded @ inverse).transpose(1, 2)
    frac = (frac - frac.detach().round()).contiguous()
    first, second = upper.expand(len(cell), 3, 2, -1).unbind(2)
    apart = frac.gather(2, first) - frac.gather(2, second)
    apart = apart - apart.detach().round()
    vectors = torch.nn.functional.pad(cell.transpose(1, 2) @ apart, (1, 0))
    squares = vectors.square().sum(dim=1, keepdim=True)
    absent = _absent_pairs([len(x) for x in chosen], upper)
    waves = 2 * math.pi * batch.waves[:, 1:] @ inverse.transpose(1, 2)
    return Placement(
        frac=frac,
        vectors=vectors,
        squares=squares,
        absent=absent,
        shifts=batch.images @ cell,
        wave_squares=waves.square().sum(dim=-1),
        volume=_volume(cell),
        closest=_closest(padded.detach(), squares.detach(), absent),
    )


def _volume(cell: Tensor) -> Tensor:
    """Return volumes, shape (n_crystals, 1); quicker than a determinant."""
    first, second, third = cell.unbind(1)
    area: Tensor = torch.linalg.cross(first, second)
    return (area * third).sum(dim=1, keepdim=True).abs()


def _absent_pairs(counts: list[int], upper: Tensor) -> Tensor | None:
    """Mark the pairs that smaller crystals of the batch do not have."""
    if min(counts) == max(counts):
        return None
    absent = upper[1] >= torch.tensor(counts, device=upper.device)[:, None]
    return torch.nn.functional.pad(absent, (1, 0)).unsqueeze(1)


def _closest(positions: Tensor, squares: Tensor, absent: Tensor | None) -> Tensor:
    """Return the smallest distance in each crystal; nan if a position is not finite."""
    if absent is not None:
        squares = squares.masked_fill(absent, math.inf)
    others = squares[:, 0, 1:]
    if others.shape[1]:
        closest = others.amin(dim=1).sqrt()
    else:
        closest = others.new_full((len(others),), math.inf)
    finite = positions.isfinite().flatten(1).all(dim=1)
    return closest.masked_fill(~finite, math.nan)
