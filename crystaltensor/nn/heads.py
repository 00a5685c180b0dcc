"""From the features of atoms to the tensor of a crystal, or of each of its atoms."""

import torch
from torch import Tensor, nn

from crystaltensor.nn.angular import degree_sizes
from crystaltensor.nn.batch import TYPICAL_VOLUME, GraphBatch
from crystaltensor.nn.layers import perceptron
from crystaltensor.symmetry.irreps import tensor_irreps


class IrrepMixer(nn.Module):
    """Mix channels of irreducible features to the irreducible parts of a tensor.

    Parameters
    ----------
    index_symmetry : str
        Of the tensor.
    """

    basis: Tensor  # (n_components, 3^rank)

    def __init__(self, index_symmetry: str) -> None:
        super().__init__()
        irreps = tensor_irreps(index_symmetry)
        self.parts = list(zip(irreps.degrees, irreps.pseudo, strict=True))
        self.kinds = sorted(set(self.parts))
        self.shape = irreps.basis.shape[1:]
        basis = torch.tensor(irreps.basis).flatten(1)
        self.register_buffer("basis", basis, persistent=False)

    def forward(
        self, features: dict[tuple[int, bool], Tensor], weights: Tensor
    ) -> Tensor:
        """Map features (n, 2l + 1, c) of each kind to tensors (n, 3, ..., 3).

        The weights (n, n_parts * c) are scalars of the same atoms or crystals.
        """
        split = weights.view(len(weights), len(self.parts), -1, 1)
        parts = [
            (features[kind] @ split[:, index]).squeeze(-1)
            for index, kind in enumerate(self.parts)
        ]
        flat = torch.cat(parts, dim=1) @ self.basis.to(weights.dtype)
        return flat.view(-1, *self.shape)


class TensorHead(nn.Module):
    """Average irreducible features over the atoms, project, and mix them to a tensor.

    Parameters
    ----------
    index_symmetry : str
        Of the tensor.
    l_max : int
        Largest degree of the features.
    channels : int
        Width of the features.
    n_pooled : int
        Channels of each degree that are averaged.
    dropout : float
        Share of the hidden scalars that are left out in each training step.
    """

    def __init__(
        self,
        index_symmetry: str,
        l_max: int,
        channels: int,
        n_pooled: int,
        *,
        dropout: float,
    ) -> None:
        super().__init__()
        c, p = channels, n_pooled
        self.mixer = IrrepMixer(index_symmetry)
        self.kinds = self.mixer.kinds
        self.sees_pseudo = any(is_pseudo for _, is_pseudo in self.kinds)
        self.sizes = degree_sizes(l_max)
        self.norm = nn.LayerNorm(c)
        self.pool = nn.ModuleList(nn.Linear(c, p, bias=False) for _ in self.kinds)
        self.atom_gates = perceptron(c, c, p * len(self.kinds), dropout)
        n_weights = p * len(self.mixer.parts)
        self.crystal_weights = perceptron(c + 1, c, n_weights, dropout)

    def forward(
        self, scalars: Tensor, natural: Tensor, pseudo: Tensor, batch: GraphBatch
    ) -> Tensor:
        """Return Cartesian tensors (n_crystals, 3, ..., 3)."""
        scalars = self.norm(scalars)
        gates = 1 + self.atom_gates(scalars).view(len(scalars), len(self.kinds), -1)
        by_degree = natural.split(self.sizes), pseudo.split(self.sizes)
        pooled = {}
        for index, (degree, is_pseudo) in enumerate(self.kinds):
            atoms = self.pool[index](by_degree[is_pseudo][degree]) * gates[:, index]
            mean = crystal_mean(atoms.transpose(0, 1), batch)  # (n_crystals, 2l + 1, p)
            pooled[degree, is_pseudo] = batch.projectors[degree, is_pseudo] @ mean
        summary = crystal_mean(scalars, batch)
        density = torch.log(batch.density * TYPICAL_VOLUME).unsqueeze(1)
        weights = self.crystal_weights(torch.cat([summary, density], dim=1))
        tensors: Tensor = self.mixer(pooled, weights)
        return tensors


class SiteHead(nn.Module):
    """Mix irreducible features of each atom to its tensor; the mean of a crystal is zero.

    That is the acoustic sum rule of Born effective charges. Atoms on equivalent sites
    have equivalent tensors because the features are equivariant.

    Parameters
    ----------
    index_symmetry, l_max, channels, n_pooled, dropout
        As for `TensorHead`.
    """

    def __init__(
        self,
        index_symmetry: str,
        l_max: int,
        channels: int,
        n_pooled: int,
        *,
        dropout: float,
    ) -> None:
        super().__init__()
        c, p = channels, n_pooled
        self.mixer = IrrepMixer(index_symmetry)
        self.kinds = self.mixer.kinds
        self.sees_pseudo = any(is_pseudo for _, is_pseudo in self.kinds)
        self.sizes = degree_sizes(l_max)
        self.norm = nn.LayerNorm(c)
        self.select = nn.ModuleList(nn.Linear(c, p, bias=False) for _ in self.kinds)
        n_weights = p * len(self.mixer.parts)
        self.atom_weights = perceptron(c, c, n_weights, dropout)

    def forward(
        self, scalars: Tensor, natural: Tensor, pseudo: Tensor, batch: GraphBatch
    ) -> Tensor:
        """Return Cartesian tensors (n_atoms, 3, ..., 3)."""
        by_degree = natural.split(self.sizes), pseudo.split(self.sizes)
        selected = {
            (degree, is_pseudo): select(by_degree[is_pseudo][degree]).transpose(0, 1)
            for select, (degree, is_pseudo) in zip(self.select, self.kinds, strict=True)
        }
        tensors: Tensor = self.mixer(selected, self.atom_weights(self.norm(scalars)))
        return tensors - crystal_mean(tensors, batch)[batch.crystal]


def crystal_mean(features: Tensor, batch: GraphBatch) -> Tensor:
    """Average over the atoms of each crystal; the first axis counts atoms.

    The sums are made in 64 bits: a thousand terms lose digits otherwise, and a large
    cell would not give what a small one of the same crystal does.
    """
    shape = (batch.n_crystals, *features.shape[1:])
    total = features.new_zeros(shape, dtype=torch.float64)
    total = total.index_add(0, batch.crystal, features.double())
    counts = torch.bincount(batch.crystal, minlength=batch.n_crystals)
    mean: Tensor = total / counts.view(-1, *[1] * (features.ndim - 1))
    return mean.to(features.dtype)
