"""Blocks of pairs hold what the table of a batch holds, and little else."""

import numpy as np
import torch

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.graphs import build_graph, collate
from crystaltensor.nn.batch import Neighbourhood
from crystaltensor.nn.layers import BondTensors
from crystaltensor.nn.pairs import cut_into_blocks


def test_sums_over_blocks_are_sums_over_the_table(
    silicon: Crystal, quartz: Crystal, triclinic: Crystal
) -> None:
    """Of a cell whose pairs are all there, one with few of them, and one with none."""
    lonely = Crystal.from_symbols(30 * np.eye(3), [[0, 0, 0]], ["He"])
    frac = [[x, 0, 0] for x in np.arange(12) / 12]
    chain = Crystal.from_symbols(np.diag([30.0, 9, 9]), frac, ["H", "He"] * 6)
    given = (quartz, lonely, chain, silicon, triclinic)
    graphs = [build_graph(crystal, Neighbourhood(5.0), {}) for crystal in given]
    batch = collate(graphs, dtype=torch.float64)
    bonds = BondTensors(2, 5.0, 3, 20.0)(batch)
    blocks, order = cut_into_blocks(batch, bonds)
    torch.manual_seed(0)
    features = torch.randn(len(batch.numbers), 4, dtype=torch.float64)
    table = bonds.transpose(1, 2) @ features[batch.pair_atoms]
    parts = torch.cat([block.gather(features[order]) for block in blocks])
    torch.testing.assert_close(parts, table[order])
    parts = torch.cat([block.gather(features[order], 3) for block in blocks])
    torch.testing.assert_close(parts, table[order][:, :3])
    assert torch.equal(order.sort().values, torch.arange(len(order)))
    cells = [len(block.bonds) < block.bonds[..., 0, 0].numel() for block in blocks]
    assert cells.count(True) > 1
    assert cells.count(False) > 1  # the chain, and the atom without neighbours
