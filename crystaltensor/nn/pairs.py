"""Pairs of atoms in blocks: atoms with few neighbours do not wait for those with many."""

from bisect import bisect_right
from typing import NamedTuple

import torch
from torch import Tensor

from crystaltensor.nn.batch import GraphBatch

MORE_PAIRS = 1.4
"""The most pairs of an atom in a block, relative to the fewest."""

MOST = 0.5
"""Share of its pairs that are there from which on a cell is treated as a whole."""


class Block(NamedTuple):
    """What some atoms, which follow each other, are bound to.

    The atoms of a group look at the same others: those of a small cell at all of it,
    which are then looked up once; else each atom is a group of its own.

    Parameters
    ----------
    pairs : Tensor of int64, shape (n_groups, n_slots)
        The other atoms.
    bonds : Tensor, shape (n_groups, n_atoms, width, n_slots)
        What is known of each pair; zero in slots that are not used.
    """

    pairs: Tensor
    bonds: Tensor

    def gather(self, features: Tensor, width: int | None = None) -> Tensor:
        """Sum what is known of each pair times features of the other atom.

        Parameters
        ----------
        features : Tensor, shape (n, n_features)
            Of all atoms.
        width : int, optional
            How much of what is known is taken, from the start.

        Returns
        -------
        Tensor, shape (n_groups * n_atoms, width, n_features)
            One for each atom of the block.
        """
        bonds = self.bonds[:, :, :width]
        rows = bonds.flatten(1, 2) @ sources(features, self.pairs)
        return rows.view(-1, bonds.shape[2], features.shape[1])


def cut_into_blocks(batch: GraphBatch, bonds: Tensor) -> tuple[list[Block], Tensor]:
    """Cut the table of pairs into blocks with few empty slots.

    Parameters
    ----------
    batch : GraphBatch
        Any batch.
    bonds : Tensor, shape (n_atoms, n_slots, width)
        What is known of each pair.

    Returns
    -------
    blocks : list of Block
        All atoms: those that are on their own in ascending order of their numbers of
        pairs, then the cells, the small ones first.
    order : Tensor of int64, shape (n_atoms,)
        The atom that is at each place of that order.
    """
    counts, n_atoms = _pair_counts(batch), batch.atom_counts
    there = torch.zeros_like(n_atoms).index_add(0, batch.crystal, counts)
    in_cell = (there >= MOST * n_atoms.square())[batch.crystal]
    sizes = torch.where(in_cell, n_atoms[batch.crystal], counts)
    order = torch.argsort(sizes + in_cell * (sizes.max() + 1), stable=True)
    ordered = sizes[order].tolist()
    n_single = len(ordered) - int(in_cell.sum())
    places = torch.argsort(order)
    blocks, first = [], 0
    while first < n_single:
        limit = int(MORE_PAIRS * ordered[first])
        last = bisect_right(ordered, limit, first, n_single)
        atoms, width = order[first:last], max(ordered[last - 1], 1)
        pairs = places[batch.pair_atoms[atoms, :width]]
        blocks.append(Block(pairs, bonds[atoms, :width].transpose(1, 2).unsqueeze(1)))
        first = last
    while first < len(ordered):
        size = ordered[first]
        last = bisect_right(ordered, size, first)
        pairs = torch.arange(first, last, device=order.device).view(-1, size)
        blocks.append(Block(pairs, _of_cells(batch, bonds, order[pairs])))
        first = last
    return blocks, order


def _of_cells(batch: GraphBatch, bonds: Tensor, atoms: Tensor) -> Tensor:
    """Give bonds (n_cells, n, width, n) between the atoms (n_cells, n) of cells."""
    size = atoms.shape[1]
    column = batch.pair_atoms[atoms, :size] - atoms[:, :1, None]
    row = torch.arange(atoms.numel(), device=atoms.device).view(*atoms.shape, 1)
    # Slots that are not used name the first atom of all, and hold zero.
    place = (row * size + column.clamp(min=0)).flatten()
    table = bonds.new_zeros(atoms.numel() * size, bonds.shape[2])
    table = table.index_add(0, place, bonds[atoms, :size].flatten(0, 2))
    return table.view(*atoms.shape, size, -1).transpose(2, 3).contiguous()


def _pair_counts(batch: GraphBatch) -> Tensor:
    """Count the pairs of each atom."""
    used = torch.zeros_like(batch.pair_atoms).flatten()
    used[batch.edge_pair] = 1
    return used.view(batch.pair_atoms.shape).sum(dim=1)


def sources(features: Tensor, pairs: Tensor) -> Tensor:
    """Look up features (n_atoms, width) of the other atoms of pairs (n, n_slots)."""
    return features.index_select(0, pairs.flatten()).view(*pairs.shape, -1)
