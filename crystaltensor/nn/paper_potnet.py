"""PotNet as published, for comparison: arXiv:2306.10045.

Written from the description of the architecture; it reproduces the layers of the
published code. Two things of it are kept that ours does without: an edge for every
ordered pair of atoms of the cell, with nonlinear functions of the sum of that pair, so
that the result depends on the choice of the cell; and a hard choice of neighbours.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from crystaltensor.nn.batch import GraphBatch, Neighbourhood
from crystaltensor.nn.composition import CompositionReference
from crystaltensor.nn.heads import crystal_mean
from crystaltensor.nn.potentials import PUBLISHED, PublishedScalar
from crystaltensor.settings import check_bounds


@dataclass(frozen=True)
class PaperPotNetConfig:
    """The shape of the published network.

    Parameters
    ----------
    width : int
        Of the features.
    n_layers : int
        Number of convolutions.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    """

    width: int = 256
    n_layers: int = 3

    def __post_init__(self) -> None:
        check_bounds(self, width=(1, 4096), n_layers=(1, 16))

    @property
    def neighbourhood(self) -> Neighbourhood:
        """The 16 nearest neighbours and the three sums of every atom."""
        return Neighbourhood(4.0, n_nearest=16, potentials=PUBLISHED)


class GatedConvolution(nn.Module):
    """A convolution over local and infinite edges together.

    Parameters
    ----------
    width : int
        Of the features of atoms and edges.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = _two_layers(3 * width, width)
        self.gate_norm = nn.BatchNorm1d(width)
        self.message = _two_layers(3 * width, width)
        self.norm = nn.BatchNorm1d(width)

    def forward(
        self, atoms: Tensor, edges: Tensor, targets: Tensor, sources: Tensor
    ) -> Tensor:
        """Map features of atoms (n, width), given those of the edges, to new ones."""
        ends = torch.cat([atoms[targets], atoms[sources], edges], dim=1)
        gates = torch.sigmoid(self.gate_norm(self.gate(ends)))
        messages = gates * self.message(ends)
        summed = torch.zeros_like(atoms).index_add(0, targets, messages)
        return functional.relu(atoms + self.norm(summed))


class PaperPotNet(nn.Module):
    """The published network; labels are scaled by a regression on the composition.

    Parameters
    ----------
    config : PaperPotNetConfig
        The shape of the network.
    element_features : Tensor, shape (n_elements, n_features)
        A description of each element, row Z - 1.
    """

    element_features: Tensor
    centres: Tensor  # (256,), 1/Å

    def __init__(self, config: PaperPotNetConfig, element_features: Tensor) -> None:
        super().__init__()
        self.config = config
        w = config.width
        self.register_buffer("element_features", element_features.clone())
        centres = torch.linspace(-4, 4, 256)
        self.register_buffer("centres", centres, persistent=False)
        self.embed = nn.Linear(element_features.shape[1], w)
        self.near_embed = nn.Sequential(nn.Linear(256, w), nn.SiLU())
        self.scalar = PublishedScalar()
        self.far_embed = nn.Sequential(
            nn.Linear(self.scalar.n_channels, w), nn.Softplus(), nn.BatchNorm1d(w)
        )
        self.layers = nn.ModuleList(GatedConvolution(w) for _ in range(config.n_layers))
        self.hidden = nn.Linear(w, w)
        self.out = nn.Linear(w, 1)
        self.reference = CompositionReference(len(element_features))

    def calibrate(self, labels: Tensor, compositions: Tensor) -> None:
        """Fit the references of the elements, as `CompositionReference.fit` does."""
        self.reference.fit(labels, compositions)

    def atoms(self, batch: GraphBatch) -> list[Tensor]:
        """Return the features of the atoms before and after every convolution."""
        edges, targets, sources = self._edges(batch)
        found = [self.embed(self.element_features[batch.numbers - 1])]
        for layer in self.layers:
            found.append(layer(found[-1], edges, targets, sources))
        return found

    def summary(self, atoms: Tensor, batch: GraphBatch) -> Tensor:
        """Return the features of each crystal, shape (n_crystals, width)."""
        hidden = self.hidden(crystal_mean(atoms, batch))
        return functional.softplus(hidden) - torch.log(hidden.new_tensor(2.0))

    def forward(self, batch: GraphBatch) -> Tensor:
        """Return one number per crystal in the unit of the labels, shape (n_crystals,)."""
        values = self.out(self.summary(self.atoms(batch)[-1], batch)).squeeze(1)
        total: Tensor = self.reference(values, batch)
        return total

    def _edges(self, batch: GraphBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Return features of all edges, local ones first, their targets and sources."""
        n_slots = batch.pair_atoms.shape[1]
        targets = torch.div(batch.edge_pair, n_slots, rounding_mode="floor")
        sources = batch.pair_atoms.flatten()[batch.edge_pair]
        distances = batch.edge_vectors.to(batch.density.dtype).norm(dim=1)
        steps = (-0.75 / distances.unsqueeze(1) - self.centres) * 255 / 8
        near = self.near_embed(torch.exp(-steps.square()))
        functions, partners, there = self.scalar(batch)
        owners = torch.arange(len(partners), device=partners.device).unsqueeze(1)
        far = self.far_embed(functions.transpose(1, 2)[there])
        return (
            torch.cat([near, far]),
            torch.cat([targets, owners.expand_as(partners)[there]]),
            torch.cat([sources, partners[there]]),
        )


def _two_layers(n_in: int, width: int) -> nn.Sequential:
    """Make a network with one hidden layer."""
    return nn.Sequential(nn.Linear(n_in, width), nn.SiLU(), nn.Linear(width, width))
