"""Batches of crystals for the networks."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data.graphs import build_graph, collate
from crystaltensor.nn.batch import GraphBatch, Neighbourhood
from crystaltensor.symmetry.irreps import irrep_projectors
from crystaltensor.symmetry.operations import find_symmetry

torch.set_num_threads(1)  # small tensors: more threads cost more than they bring

AROUND = Neighbourhood(5.0)


@pytest.fixture
def make_batch() -> Callable[..., GraphBatch]:
    """Make a batch; without `symmetric` the projectors are those of class 1."""

    def make(
        *crystals: Crystal,
        index_symmetry: str = "ijk=ikj",
        symmetric: bool = True,
        dtype: torch.dtype = torch.float64,
        around: Neighbourhood = AROUND,
        device: str = "cpu",
    ) -> GraphBatch:
        graphs = []
        for crystal in crystals:
            group = find_symmetry(crystal).rotations if symmetric else np.eye(3)[None]
            irreps = irrep_projectors(group, index_symmetry)
            graphs.append(build_graph(crystal, around, irreps))
        return collate(graphs, dtype=dtype, device=device)

    return make
