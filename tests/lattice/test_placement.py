"""Tests of crystaltensor.lattice.placement."""

import math

import numpy as np
import pytest
import torch

from crystaltensor.lattice.kernels import InversePower
from crystaltensor.lattice.placement import Placement, place
from crystaltensor.lattice.plan import plan_batches

CELLS = torch.tensor(
    [[[4.0, 0, 0], [1, 5, 0], [0, -1, 6]], [[4.2, 0, 0], [1, 5, 0.3], [0, -1, 6]]]
).double()


def placed(positions: list[torch.Tensor]) -> Placement:
    """Place two crystals as one batch."""
    counts = [len(x) for x in positions]
    (batch,) = plan_batches(CELLS.numpy(), counts, [InversePower(1)], [1e-6])
    upper = torch.triu_indices(max(counts), max(counts), 1)
    return place(batch, CELLS, positions, upper)


def random_positions(n_atoms: int, seed: int) -> torch.Tensor:
    """Positions in and far out of the cell."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.uniform(-30, 30, (n_atoms, 3)))


def test_wrapped_vectors_differ_by_lattice_vectors() -> None:
    """From the differences of the positions, in the order of the pairs."""
    positions = [random_positions(4, 0), random_positions(4, 1)]
    atoms = placed(positions)
    i, j = torch.triu_indices(4, 4, 1)
    for x, cell, vectors in zip(positions, CELLS, atoms.vectors, strict=True):
        torch.testing.assert_close(vectors[:, 0], torch.zeros(3).double())
        steps = (x[i] - x[j] - vectors[:, 1:].T) @ torch.linalg.inv(cell)
        torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-12)
    assert atoms.absent is None
    torch.testing.assert_close(atoms.squares[:, 0], atoms.vectors.square().sum(dim=1))
    torch.testing.assert_close(atoms.volume[:, 0], torch.linalg.det(CELLS).abs())
    assert atoms.frac.abs().max() <= 0.5


def test_padding_is_marked() -> None:
    """The smaller crystal lacks every pair with an atom it does not have."""
    atoms = placed([random_positions(2, 0), random_positions(3, 1)])
    assert atoms.absent is not None
    assert atoms.absent[:, 0].tolist() == [[False, False, True, True], [False] * 4]


def test_the_closest_pair_is_found_across_the_boundary() -> None:
    """And nan tells of a position that is not finite."""
    near = torch.stack([torch.zeros(3).double(), CELLS[0].sum(dim=0) + 1e-4])
    bad = torch.full((2, 3), math.nan).double()
    atoms = placed([near, bad])
    assert float(atoms.closest[0]) == pytest.approx(math.sqrt(3) * 1e-4, rel=1e-9)
    assert math.isnan(atoms.closest[1])
    alone = placed([near[:1], near[:1]])
    assert alone.closest.isinf().all()
