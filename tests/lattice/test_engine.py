"""Tests of crystaltensor.lattice.engine: derivatives, devices, memory."""

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from crystaltensor.lattice.kernels import InversePower, Pauli, ScreenedCoulomb
from crystaltensor.lattice.potentials import Morse, Potential
from crystaltensor.lattice.sums import lattice_sums

CELL = torch.tensor(
    [[3.1, 0.2, -0.3], [0.7, 3.3, 0.4], [-0.5, 0.9, 3.6]], dtype=torch.float64
)
FRAC = torch.tensor(
    [[0.02, 0.05, 0.01], [0.45, 0.56, 0.52], [0.51, 0.08, 0.6]], dtype=torch.float64
)
# A smaller tolerance, so that the cutoffs do not limit the finite differences.
TOLERANCE = 1e-12


def total(cell: Tensor, x: Tensor, potentials: list[Potential]) -> Tensor:
    """Return a weighted sum of all entries, so that nothing cancels by symmetry."""
    sums = lattice_sums(cell[None], [x], potentials, TOLERANCE).matrices[0]
    weights = torch.arange(1.0, 1.0 + sums[0].numel()).double().reshape(sums[0].shape)
    return (sums * weights).sum(dim=(1, 2))


def check(function: Callable[..., Tensor], *inputs: Tensor) -> None:
    """Compare first and second derivatives with finite differences."""
    inputs = tuple(x.detach().clone().requires_grad_() for x in inputs)
    # Random projections of the Jacobians: as strict, and much faster.
    settings = {"rtol": 1e-5, "atol": 1e-6, "fast_mode": True}
    assert torch.autograd.gradcheck(function, inputs, **settings)
    assert torch.autograd.gradgradcheck(function, inputs, **settings)


POTENTIALS: list[Potential] = [
    InversePower(1),
    InversePower(2),
    InversePower(5),
    InversePower(6),
    Pauli(3.0),
    Pauli(0.4),
    ScreenedCoulomb(0.7),
]


def test_derivatives_in_positions() -> None:
    """Forces, and force constants."""
    check(lambda x: total(CELL, x, POTENTIALS), FRAC @ CELL)


def test_derivatives_in_the_cell() -> None:
    """Stress, at fixed Cartesian and at fixed fractional coordinates."""
    check(lambda cell: total(cell, FRAC @ CELL, POTENTIALS), CELL)
    check(lambda cell: total(cell, FRAC @ cell, POTENTIALS[:4]), CELL)


@pytest.mark.parametrize("alpha", [0.4, 3.0])
def test_derivatives_in_alpha(alpha: float) -> None:
    """Of split sums and of unsplit ones."""

    def function(a: Tensor) -> Tensor:
        potentials = [Pauli(a), ScreenedCoulomb(a), Morse(0.3, a, 1.1)]
        return total(CELL, FRAC @ CELL, list(potentials))

    check(function, torch.tensor([alpha], dtype=torch.float64))


def test_derivatives_through_padding_are_finite_and_right() -> None:
    """A crystal padded in a batch has the gradient it has alone."""
    small, large = FRAC[:1] @ CELL, FRAC @ CELL
    leaves = [x.clone().requires_grad_() for x in (small, large)]
    cells = torch.stack([CELL, CELL]).requires_grad_()
    sums = lattice_sums(cells, leaves, POTENTIALS, TOLERANCE).matrices
    gradients = torch.autograd.grad(sum(m.sum() for m in sums), [cells, *leaves])
    for i, given in enumerate((small, large)):
        cell, x = CELL.clone().requires_grad_(), given.clone().requires_grad_()
        alone = lattice_sums(cell[None], [x], POTENTIALS, TOLERANCE).matrices[0]
        expected = torch.autograd.grad(alone.sum(), [cell, x])
        torch.testing.assert_close(gradients[0][i], expected[0], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(gradients[1 + i], expected[1], rtol=1e-9, atol=1e-9)


def test_derivatives_in_chunks_are_the_same() -> None:
    """Chunks are evaluated a second time in the backward pass."""
    x = (FRAC @ CELL).requires_grad_()
    gradients = []
    for chunk_size in (100, 10**6):
        sums = lattice_sums(CELL[None], [x], POTENTIALS, chunk_size=chunk_size)
        value = sums.matrices[0][:, 0, 1].sum()
        (first,) = torch.autograd.grad(value, x, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), x)
        gradients.append(torch.cat([first, second]).detach())
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-10)


def test_energy_does_not_change_when_all_atoms_move() -> None:
    """Forces add up to zero, and so do the rows of the force constants."""
    x = (FRAC @ CELL).requires_grad_()
    energy = total(CELL, x, [InversePower(1)]).sum()
    (force,) = torch.autograd.grad(energy, x, create_graph=True)
    torch.testing.assert_close(
        force.sum(dim=0), torch.zeros(3).double(), rtol=0, atol=1e-12
    )
    (second,) = torch.autograd.grad(force[0, 0], x)
    torch.testing.assert_close(
        second.sum(dim=0), torch.zeros(3).double(), rtol=0, atol=1e-10
    )


def test_virial_theorem_of_the_coulomb_sum() -> None:
    """The sum of 1/r scales as 1/length, so the trace of its stress is minus itself."""
    strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    deform = torch.eye(3, dtype=torch.float64) + strain
    energy = total(CELL @ deform, FRAC @ CELL @ deform, [InversePower(1)]).sum()
    (stress,) = torch.autograd.grad(energy, strain)
    torch.testing.assert_close(stress.trace(), -energy, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(stress, stress.T, rtol=1e-9, atol=1e-9)


def test_many_atoms_use_blocks_of_half_a_product() -> None:
    """Above 128 atoms only the upper half is computed; the sums stay the same."""
    grid = torch.tensor(list(itertools.product(range(6), repeat=3))).double() / 6
    cell = 6 * CELL
    noise = torch.rand(216, 3, generator=torch.Generator().manual_seed(0)).double()
    x = (grid + 0.05 * noise) @ cell
    potentials: list[Potential] = [InversePower(1), InversePower(6)]
    sums = lattice_sums(cell[None], [x], potentials).matrices[0]
    some = torch.tensor([0, 1, 100, 127, 128, 129, 200, 215])
    few = lattice_sums(cell[None], [x[some]], potentials).matrices[0]
    torch.testing.assert_close(sums[:, some][:, :, some], few, rtol=0, atol=2e-10)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_sums() -> None:
    """Forward and backward."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    x = FRAC @ CELL
    results = []
    for device in ("cpu", "cuda"):
        leaf = x.to(device).requires_grad_()
        sums = lattice_sums(CELL.to(device)[None], [leaf], POTENTIALS)
        sums.matrices[0].sum().backward()
        assert leaf.grad is not None
        results.append((sums.matrices[0].detach().cpu(), leaf.grad.cpu()))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)
