"""The network for tensor properties: a graph to exactly symmetric irreducible tensors.

The stages are those of GMTNet (arXiv:2406.12888): element embedding, convolutions over
a crystal graph, equivariant features, a mean over atoms, the projection by the space
group, and a head that is linear in the irreducible parts of the tensor. The
convolutions differ from the published ones: neighbours enter through a smooth cutoff
and all images of an atom are summed before anything nonlinear, so that the result is
continuous in the positions and the same for every cell of a crystal.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from crystaltensor.errors import ConfigError
from crystaltensor.nn.angular import (
    DegreeLinear,
    SphericalHarmonics,
    TensorProduct,
    degree_slice,
)
from crystaltensor.nn.batch import GraphBatch
from crystaltensor.nn.radial import SmoothBessel
from crystaltensor.symmetry.irreps import tensor_irreps


@dataclass(frozen=True)
class GMTNetConfig:
    """Everything that fixes the shape of a network.

    Parameters
    ----------
    index_symmetry : str
        Of the tensor to predict, as in ``crystaltensor.properties``.
    channels : int
        Width of the features.
    n_layers : int
        Number of convolutions.
    l_max : int
        Largest degree of the features, at least the rank of the tensor.
    cutoff : float
        Radius of the graph, in Å.
    n_radial : int
        Number of radial functions.
    n_pooled : int
        Channels of each degree that are averaged over the atoms.
    n_neighbours : float
        Typical number of neighbours; sums over them are divided by its square root.
    dropout : float
        Share of the hidden scalars that are left out in each training step.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    """

    index_symmetry: str
    channels: int = 32
    n_layers: int = 2
    l_max: int = 3
    cutoff: float = 6.0
    n_radial: int = 8
    n_pooled: int = 16
    n_neighbours: float = 40.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("channels", "n_layers", "n_radial", "n_pooled"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1")
        rank = len(self.index_symmetry.split("=")[0])
        if self.l_max < rank:
            raise ConfigError(
                f"l_max = {self.l_max} cannot express a tensor of rank {rank}: some of "
                "its components would be zero for every weight"
            )


class BondTensors(nn.Module):
    """Sum radial functions times spherical harmonics over all images of each pair.

    Parameters
    ----------
    config : GMTNetConfig
        Gives the cutoff, the number of radial functions, and the largest degree.
    """

    def __init__(self, config: GMTNetConfig) -> None:
        super().__init__()
        self.radial = SmoothBessel(config.cutoff, config.n_radial)
        self.angular = SphericalHarmonics(config.l_max)
        self.scale = 3 * (config.cutoff**3 / config.n_neighbours) ** 0.5

    def forward(self, batch: GraphBatch) -> Tensor:
        """Return shape (n_atoms, n_slots, (l_max + 1)² * n_radial)."""
        n_atoms, n_slots = batch.pair_atoms.shape
        distances = batch.edge_vectors.norm(dim=-1)
        angular = self.angular(batch.edge_vectors / distances.unsqueeze(-1))
        radial = self.radial(distances) * self.scale
        edges = (angular.unsqueeze(2) * radial.unsqueeze(1)).flatten(1)
        pairs = edges.new_zeros(n_atoms * n_slots, edges.shape[1])
        pairs = pairs.index_add(0, batch.edge_pair, edges)
        return pairs.unflatten(0, (n_atoms, n_slots))


def bounded(features: Tensor) -> Tensor:
    """Shrink large features smoothly, all components of an atom by one factor."""
    return features * torch.rsqrt(1 + features.square().mean(dim=(1, 2), keepdim=True))


class Convolution(nn.Module):
    """Gather from the neighbours, couple what was gathered, update the atoms.

    Parameters
    ----------
    config : GMTNetConfig
        The shape of the network.
    first : bool
        Whether the atoms carry scalars only so far.
    """

    def __init__(self, config: GMTNetConfig, *, first: bool) -> None:
        super().__init__()
        c, l_max, k = config.channels, config.l_max, config.n_radial
        self.l_max = l_max
        self.n_radial = k
        self.norm = nn.LayerNorm(c)
        self.send = nn.Linear(c, c)
        self.gather = DegreeLinear(l_max, k * c, c)
        self.receive = nn.Linear(c, 2 * c * (l_max + 1))
        self.left = DegreeLinear(l_max, c, c)
        self.right = DegreeLinear(l_max, c, c)
        self.even = TensorProduct(l_max, c, odd=False)
        self.odd = TensorProduct(l_max, c, odd=True)
        self.first = first
        if not first:
            self.carry = DegreeLinear(l_max, k * c, c)
            self.carry_pseudo = DegreeLinear(l_max, k * c, c)
            self.even_pseudo = TensorProduct(l_max, c, odd=False)
            self.odd_pseudo = TensorProduct(l_max, c, odd=True)
        self.update = nn.Sequential(
            nn.Linear(3 * c, 2 * c), nn.SiLU(), nn.Dropout(config.dropout)
        )
        self.scalars = nn.Linear(2 * c, c)
        self.gates = nn.Linear(2 * c, 2 * c * (l_max + 1))
        degrees = torch.arange(l_max + 1)
        self.register_buffer(
            "degree_of", degrees.repeat_interleave(2 * degrees + 1), persistent=False
        )

    degree_of: Tensor  # ((l_max + 1)²,)

    def forward(
        self,
        scalars: Tensor,
        natural: Tensor,
        pseudo: Tensor,
        bonds: Tensor,
        pairs: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Map scalars (n, c) and features (n, (l_max + 1)², c) to new ones."""
        n, c = scalars.shape
        normed = self.norm(scalars)
        density = self._gather(self.send(normed), bonds, pairs)
        density = self.gather(density)
        weights = self.receive(normed).view(n, 2, self.l_max + 1, c)[
            :, :, self.degree_of
        ]
        density = bounded(density)
        left = self.left(density) * (1 + weights[:, 0])
        right = self.right(density) * (1 + weights[:, 1])
        if not self.first:
            right = right + self.carry(self._carry(natural, bonds, pairs)) + natural
            odd = self.carry_pseudo(self._carry(pseudo, bonds, pairs)) + pseudo
            new_pseudo = self.odd(left, right) + self.even_pseudo(left, odd)
            new_natural = self.even(left, right) + self.odd_pseudo(left, odd)
        else:
            new_pseudo = self.odd(left, right)
            new_natural = self.even(left, right)
        seen = torch.cat([normed, density[:, 0], new_natural[:, 0]], dim=1)
        hidden = self.update(seen)
        gates = (
            1 + self.gates(hidden).view(n, 2, self.l_max + 1, c)[:, :, self.degree_of]
        )
        natural = natural + (density + new_natural) * gates[:, 0]
        pseudo = pseudo + new_pseudo * gates[:, 1]
        return scalars + self.scalars(hidden), bounded(natural), bounded(pseudo)

    def _gather(self, sent: Tensor, bonds: Tensor, pairs: Tensor) -> Tensor:
        """Sum bond tensors times scalars of the neighbours."""
        n, c = sent.shape
        gathered = bonds.transpose(1, 2) @ sent[pairs]  # (n, lm * k, c)
        return gathered.reshape(n, -1, self.n_radial * c)

    def _carry(self, features: Tensor, bonds: Tensor, pairs: Tensor) -> Tensor:
        """Sum radial functions times features of the neighbours."""
        n, lm, c = features.shape
        radial = bonds[:, :, : self.n_radial].transpose(1, 2)  # (n, k, slots)
        gathered = radial @ features[pairs].flatten(2)  # (n, k, lm * c)
        gathered = gathered.view(n, self.n_radial, lm, c).transpose(1, 2)
        return gathered.reshape(n, lm, self.n_radial * c)


class TensorHead(nn.Module):
    """Average irreducible features over the atoms, project, and mix them to a tensor.

    Parameters
    ----------
    config : GMTNetConfig
        The shape of the network and of the tensor.
    """

    basis: Tensor  # (n_components, 3^rank)

    def __init__(self, config: GMTNetConfig) -> None:
        super().__init__()
        c, p = config.channels, config.n_pooled
        irreps = tensor_irreps(config.index_symmetry)
        self.kinds = sorted(set(zip(irreps.degrees, irreps.pseudo, strict=True)))
        self.parts = list(zip(irreps.degrees, irreps.pseudo, strict=True))
        self.shape = irreps.basis.shape[1:]
        basis = torch.tensor(irreps.basis).flatten(1)
        self.register_buffer("basis", basis, persistent=False)
        self.norm = nn.LayerNorm(c)
        self.pool = nn.ModuleList(nn.Linear(c, p, bias=False) for _ in self.kinds)
        self.atom_gates = nn.Sequential(
            nn.Linear(c, c),
            nn.SiLU(),
            nn.Dropout(config.dropout),
            nn.Linear(c, p * len(self.kinds)),
        )
        self.crystal_weights = nn.Sequential(
            nn.Linear(c + 1, c),
            nn.SiLU(),
            nn.Dropout(config.dropout),
            nn.Linear(c, p * len(self.parts)),
        )
        self.n_pooled = p

    def forward(
        self, scalars: Tensor, natural: Tensor, pseudo: Tensor, batch: GraphBatch
    ) -> Tensor:
        """Return Cartesian tensors (n_crystals, 3, ..., 3)."""
        scalars = self.norm(scalars)
        gates = 1 + self.atom_gates(scalars).unflatten(1, (len(self.kinds), 1, -1))
        pooled = {}
        for index, (degree, is_pseudo) in enumerate(self.kinds):
            source = pseudo if is_pseudo else natural
            atoms = self.pool[index](source[:, degree_slice(degree)]) * gates[:, index]
            mean = crystal_mean(atoms, batch)  # (n_crystals, 2l + 1, p)
            pooled[degree, is_pseudo] = batch.projectors[degree, is_pseudo] @ mean
        summary = crystal_mean(scalars, batch)
        density = torch.log(batch.density * 20).unsqueeze(1)  # 0 at 20 Å³ an atom
        weights = self.crystal_weights(torch.cat([summary, density], dim=1))
        weights = weights.unflatten(1, (len(self.parts), -1, 1))
        parts = [
            (pooled[kind] @ weights[:, index]).squeeze(-1)
            for index, kind in enumerate(self.parts)
        ]
        return (torch.cat(parts, dim=1) @ self.basis.to(scalars.dtype)).unflatten(
            1, self.shape
        )


def crystal_mean(features: Tensor, batch: GraphBatch) -> Tensor:
    """Average over the atoms of each crystal; the first axis counts atoms."""
    total = features.new_zeros(batch.n_crystals, *features.shape[1:])
    total = total.index_add(0, batch.crystal, features)
    counts = torch.bincount(batch.crystal, minlength=batch.n_crystals)
    return total / counts.to(features.dtype).view(-1, *[1] * (features.ndim - 1))


class GMTNet(nn.Module):
    """Predict one tensor per crystal, equivariant under O(3) and exactly symmetric.

    Parameters
    ----------
    config : GMTNetConfig
        The shape of the network.
    element_features : Tensor, shape (n_elements, n_features)
        A description of each element, row Z - 1.
    """

    element_features: Tensor
    output_scale: Tensor

    def __init__(self, config: GMTNetConfig, element_features: Tensor) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("element_features", element_features.clone())
        self.register_buffer("output_scale", torch.ones(()))
        c = config.channels
        self.embed = nn.Sequential(
            nn.Linear(element_features.shape[1], c),
            nn.SiLU(),
            nn.Dropout(config.dropout),
            nn.Linear(c, c),
        )
        self.bonds = BondTensors(config)
        self.layers = nn.ModuleList(
            Convolution(config, first=index == 0) for index in range(config.n_layers)
        )
        self.head = TensorHead(config)

    def forward(self, batch: GraphBatch) -> Tensor:
        """Return Cartesian tensors, shape (n_crystals, 3, ..., 3), in the label's unit."""
        scalars = self.embed(self.element_features[batch.numbers - 1])
        n_features = (self.config.l_max + 1) ** 2
        natural = scalars.new_zeros(len(scalars), n_features, self.config.channels)
        pseudo = natural
        bonds = self.bonds(batch)
        for layer in self.layers:
            scalars, natural, pseudo = layer(
                scalars, natural, pseudo, bonds, batch.pair_atoms
            )
        return self.head(scalars, natural, pseudo, batch) * self.output_scale
