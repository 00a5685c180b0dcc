"""What every network takes: a batch of crystal graphs."""

from dataclasses import dataclass

import torch
from torch import Tensor

TYPICAL_VOLUME = 20.0
"""Of an atom, in Å³: networks see densities in units of its inverse."""


@dataclass(frozen=True)
class Neighbourhood:
    """Which neighbours of an atom a network sees.

    Parameters
    ----------
    cutoff : float
        All within this radius, in Å.
    n_nearest : int, optional
        Instead, as many of the nearest as this and all that are as near as the last:
        the radius then only says where to begin.
    potentials : tuple of str
        Whose sums over the infinite lattice it sees besides, as
        ``lattice.potentials.parse_potential`` understands them.
    reach : float, optional
        Sums only over images within this radius in Å instead, to see what the others
        are worth.
    """

    cutoff: float
    n_nearest: int | None = None
    potentials: tuple[str, ...] = ()
    reach: float | None = None


@dataclass(frozen=True)
class GraphBatch:
    """Several crystals as one graph without edges between them.

    Parameters
    ----------
    numbers : Tensor of int64, shape (n_atoms,)
        Atomic numbers.
    crystal : Tensor of int64, shape (n_atoms,)
        Which crystal an atom belongs to, ascending.
    density : Tensor, shape (n_crystals,)
        Atoms per Å³.
    pair_atoms : Tensor of int64, shape (n_atoms, n_slots)
        For each atom the distinct atoms of its cell that have an image within the
        cutoff; slots that are not used hold 0.
    edge_pair : Tensor of int64, shape (n_edges,)
        Index of an edge's pair in the flattened ``pair_atoms``.
    edge_vectors : Tensor, shape (n_edges, 3)
        From an atom to its neighbour, in Å; may be more precise than the rest.
    projectors : dict
        ``(degree, pseudo)`` to the mean over the point group of the matrices of that
        irreducible tensor, shape (n_crystals, 2 * degree + 1, 2 * degree + 1).
    sums : Tensor, shape (n_atoms, n_potentials, n_largest), optional
        S(a, b) of each atom a with every atom b of its cell; zero for padding, which
        cells with fewer atoms than the largest have at the end. May be more precise
        than the rest.
    """

    numbers: Tensor
    crystal: Tensor
    density: Tensor
    pair_atoms: Tensor
    edge_pair: Tensor
    edge_vectors: Tensor
    projectors: dict[tuple[int, bool], Tensor]
    sums: Tensor | None = None

    @property
    def n_crystals(self) -> int:
        """Count the crystals."""
        return len(self.density)

    @property
    def atom_counts(self) -> Tensor:
        """Count the atoms of each crystal."""
        return torch.bincount(self.crystal, minlength=self.n_crystals)

    def cell_atoms(self) -> tuple[Tensor, Tensor]:
        """List the atoms that the last axis of `sums` stands for.

        Returns
        -------
        atoms : Tensor of int64, shape (n_atoms, n_largest)
            Indices; 0 for padding.
        there : Tensor of bool, shape (n_atoms, n_largest)
            False for padding.
        """
        counts = self.atom_counts
        places = torch.arange(int(counts.max()), device=self.crystal.device)
        there = places < counts[self.crystal].unsqueeze(1)
        first = (counts.cumsum(0) - counts)[self.crystal].unsqueeze(1)
        return torch.where(there, first + places, 0), there
