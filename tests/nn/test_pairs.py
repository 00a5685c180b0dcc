"""Blocks of pairs hold what the table of a batch holds, and little else."""

import numpy as np
import torch

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.graphs import build_graph, collate
from crystaltensor.nn.batch import Neighbourhood
from crystaltensor.nn.layers import BondTensors
from crystaltensor.nn.pairs import cut_into_blocks, sources


def test_sums_over_blocks_are_sums_over_the_table(
    silicon: Crystal, quartz: Crystal, triclinic: Crystal
) -> None:
    """Of a few crystals, one with many distinct neighbours and one with none."""
    lonely = Crystal.from_symbols(30 * np.eye(3), [[0, 0, 0]], ["He"])
    graphs = [
        build_graph(crystal, Neighbourhood(5.0), {})
        for crystal in (quartz, lonely, silicon, triclinic)
    ]
    batch = collate(graphs, dtype=torch.float64)
    bonds = BondTensors(2, 5.0, 3, 20.0)(batch)
    blocks, order = cut_into_blocks(batch, bonds)
    torch.manual_seed(0)
    features = torch.randn(len(batch.numbers), 4, dtype=torch.float64)
    table = bonds.transpose(1, 2) @ features[batch.pair_atoms]
    parts = [b.transpose(1, 2) @ sources(features[order], pairs) for pairs, b in blocks]
    torch.testing.assert_close(torch.cat(parts), table[order])
    assert torch.equal(order.sort().values, torch.arange(len(order)))
    assert len(blocks) > 1
    empty = sum(int((b == 0).all(dim=2).sum()) for _, b in blocks)
    assert empty < int((bonds == 0).all(dim=2).sum()) / 4
