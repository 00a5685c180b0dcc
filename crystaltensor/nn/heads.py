"""From the features of atoms to the tensor of a crystal."""

import torch
from torch import Tensor, nn

from crystaltensor.nn.angular import degree_sizes
from crystaltensor.nn.batch import GraphBatch
from crystaltensor.symmetry.irreps import tensor_irreps


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

    basis: Tensor  # (n_components, 3^rank)

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
        irreps = tensor_irreps(index_symmetry)
        self.parts = list(zip(irreps.degrees, irreps.pseudo, strict=True))
        self.kinds = sorted(set(self.parts))
        self.sizes = degree_sizes(l_max)
        self.shape = irreps.basis.shape[1:]
        basis = torch.tensor(irreps.basis).flatten(1)
        self.register_buffer("basis", basis, persistent=False)
        self.norm = nn.LayerNorm(c)
        self.pool = nn.ModuleList(nn.Linear(c, p, bias=False) for _ in self.kinds)
        self.atom_gates = _perceptron(c, c, p * len(self.kinds), dropout)
        self.crystal_weights = _perceptron(c + 1, c, p * len(self.parts), dropout)

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
        density = torch.log(batch.density * 20).unsqueeze(1)  # 0 at 20 Å³ an atom
        weights = self.crystal_weights(torch.cat([summary, density], dim=1))
        weights = weights.view(batch.n_crystals, len(self.parts), -1, 1)
        parts = [
            (pooled[kind] @ weights[:, index]).squeeze(-1)
            for index, kind in enumerate(self.parts)
        ]
        flat = torch.cat(parts, dim=1) @ self.basis.to(scalars.dtype)
        return flat.view(-1, *self.shape)


def crystal_mean(features: Tensor, batch: GraphBatch) -> Tensor:
    """Average over the atoms of each crystal; the first axis counts atoms."""
    total = features.new_zeros(batch.n_crystals, *features.shape[1:])
    total = total.index_add(0, batch.crystal, features)
    counts = torch.bincount(batch.crystal, minlength=batch.n_crystals)
    return total / counts.to(features.dtype).view(-1, *[1] * (features.ndim - 1))


def _perceptron(n_in: int, hidden: int, n_out: int, dropout: float) -> nn.Sequential:
    """Make a network with one hidden layer."""
    return nn.Sequential(
        nn.Linear(n_in, hidden),
        nn.SiLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, n_out),
    )
