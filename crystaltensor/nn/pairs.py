"""Pairs of atoms in blocks: atoms with few neighbours do not wait for those with many."""

from bisect import bisect_right
from typing import NamedTuple

import torch
from torch import Tensor

from crystaltensor.nn.batch import GraphBatch

MORE_PAIRS = 1.4
"""The most pairs of an atom in a block, relative to the fewest."""


class Block(NamedTuple):
    """What some atoms, which follow each other, are bound to.

    Parameters
    ----------
    pairs : Tensor of int64, shape (n, n_slots)
        The other atoms.
    bonds : Tensor, shape (n, n_slots, width)
        What is known of each pair; zero in slots that are not used.
    """

    pairs: Tensor
    bonds: Tensor


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
        All atoms, in ascending order of their numbers of pairs.
    order : Tensor of int64, shape (n_atoms,)
        The atom that is at each place of that order.
    """
    counts = _pair_counts(batch)
    order = torch.argsort(counts, stable=True)
    places = torch.argsort(order)
    ordered = counts[order].tolist()
    blocks, first = [], 0
    while first < len(ordered):
        last = bisect_right(ordered, int(MORE_PAIRS * ordered[first]))
        atoms, width = order[first:last], max(ordered[last - 1], 1)
        pairs = places[batch.pair_atoms[atoms, :width]]
        blocks.append(Block(pairs, bonds[atoms, :width]))
        first = last
    return blocks, order


def _pair_counts(batch: GraphBatch) -> Tensor:
    """Count the pairs of each atom."""
    used = torch.zeros_like(batch.pair_atoms).flatten()
    used[batch.edge_pair] = 1
    return used.view(batch.pair_atoms.shape).sum(dim=1)


def sources(features: Tensor, pairs: Tensor) -> Tensor:
    """Look up features (n_atoms, width) of the other atoms of pairs (n, n_slots)."""
    return features.index_select(0, pairs.flatten()).view(*pairs.shape, -1)
