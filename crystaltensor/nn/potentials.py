"""Sums over the infinite lattice as features of pairs of atoms."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from crystaltensor.lattice.kernels import as_number
from crystaltensor.lattice.potentials import parse_potential
from crystaltensor.lattice.sums import lattice_sums
from crystaltensor.nn.batch import TYPICAL_VOLUME

if TYPE_CHECKING:
    from crystaltensor.lattice.potentials import Potential
    from crystaltensor.nn.batch import GraphBatch

PUBLISHED = ("coulomb", "london", "pauli:3")
"""The potentials of the published PotNet (arXiv:2306.10045)."""

PUBLISHED_WEIGHTS = (-0.801, -0.074, 0.145)
"""By which it adds their sums up to one number for each pair."""


class CompleteSums(nn.Module):
    """Sums over the infinite lattice, each potential a channel, brought to order one.

    Parameters
    ----------
    names : tuple of str
        Of the potentials.
    """

    scale: Tensor  # (n_potentials,)
    own: Tensor  # (n_potentials,)
    divergent: Tensor  # (n_potentials,)

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        potentials = [parse_potential(name) for name in names]
        for name, values in (
            ("scale", [_typical(each) for each in potentials]),
            ("own", [_at_zero(each) for each in potentials]),
            ("divergent", [float(_diverges(each)) for each in potentials]),
        ):
            self.register_buffer(name, torch.tensor(values), persistent=False)
        self.n_channels = len(names)

    def forward(self, batch: "GraphBatch") -> tuple[Tensor, Tensor, Tensor]:
        """Return channels (n_atoms, n_channels, n_largest), and whom they are with.

        The value of a finite potential at r = 0 is taken out: it is the same for all
        atoms. A sum that diverges is made that of neutral charges, whatever charges it
        will meet: its mean over the cell is taken off.
        """
        partners, there = batch.cell_atoms()
        sums = _sums_of(batch)
        itself = torch.arange(len(partners), device=partners.device).unsqueeze(1)
        diagonal = ((partners == itself) & there).unsqueeze(1)
        sums = sums - self.own[:, None] * diagonal
        counts = batch.atom_counts[batch.crystal].view(-1, 1, 1)
        mean = sums.sum(dim=2, keepdim=True) / counts
        sums = sums - mean * self.divergent[:, None] * there.unsqueeze(1)
        return sums / self.scale[:, None], partners, there


class PublishedScalar(nn.Module):
    """The one number that the published network has for each pair, in multiquadrics."""

    weights: Tensor  # (3,)
    centres: Tensor  # (64,)

    def __init__(self) -> None:
        super().__init__()
        weights, centres = torch.tensor(PUBLISHED_WEIGHTS), torch.linspace(-4, 4, 64)
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("centres", centres, persistent=False)
        self.n_channels = len(centres)

    def forward(self, batch: "GraphBatch") -> tuple[Tensor, Tensor, Tensor]:
        """Return functions (n_atoms, n_channels, n_largest), and whom they are with."""
        partners, there = batch.cell_atoms()
        mixed = torch.einsum(
            "npb,p->nb", _sums_of(batch).to(self.weights), self.weights
        )
        steps = (mixed.unsqueeze(1) - self.centres[:, None]) * 63 / 8
        return torch.sqrt(1 + steps**2) * there.unsqueeze(1), partners, there


def _sums_of(batch: "GraphBatch") -> Tensor:
    """Return the sums of a batch."""
    if batch.sums is None:
        raise ValueError("the graphs of this batch were made without lattice sums")
    return batch.sums


def _typical(potential: "Potential") -> float:
    """Return the size of a sum in a simple cubic crystal of one atom."""
    cell = TYPICAL_VOLUME ** (1 / 3) * torch.eye(3, dtype=torch.float64)
    sums = lattice_sums([cell], [torch.zeros(1, 3, dtype=cell.dtype)], [potential])
    return abs(float(sums.matrices[0]) - _at_zero(potential))


def _at_zero(potential: "Potential") -> float:
    """Return what r = 0 adds to the sum over an atom's own images."""
    terms = potential.terms()
    return sum(as_number(weight) for weight, kernel in terms if not kernel.singular)


def _diverges(potential: "Potential") -> bool:
    """Whether the sum over a lattice diverges."""
    kernels = (kernel for _, kernel in potential.terms())
    return any(not kernel.decay and kernel.dimension < 3 for kernel in kernels)
