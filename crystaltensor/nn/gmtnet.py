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
from crystaltensor.nn.batch import GraphBatch
from crystaltensor.nn.heads import SiteHead, TensorHead
from crystaltensor.nn.layers import BondTensors, Convolution, perceptron
from crystaltensor.nn.links import make_link
from crystaltensor.nn.pairs import Block, cut_into_blocks
from crystaltensor.settings import check_bounds

Features = tuple[Tensor, Tensor, Tensor]
"""Scalars, natural and pseudo features of atoms."""

Surroundings = tuple[list[Block], Tensor]
"""Bond tensors in blocks, and the order of the atoms in them."""


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
    lower_bound : float, optional
        All eigenvalues of the tensor are made to be above this, in the unit of the
        labels.
    per_atom : bool
        Whether there is one tensor for each atom; those of a crystal then sum to zero.

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
    lower_bound: float | None = None
    per_atom: bool = False

    def __post_init__(self) -> None:
        check_bounds(
            self,
            channels=(1, 1024),
            n_layers=(1, 16),
            l_max=(0, 8),
            n_radial=(1, 256),
            n_pooled=(1, 1024),
            cutoff=(0.5, 30),
            n_neighbours=(1e-3, 1e6),
            dropout=(0, 0.99),
        )
        rank = len(self.index_symmetry.split("=")[0])
        if self.l_max < rank:
            raise ConfigError(
                f"l_max = {self.l_max} cannot express a tensor of rank {rank}: some of "
                "its components would be zero for every weight"
            )


class GMTNet(nn.Module):
    """Predict a tensor per crystal or per atom, equivariant under O(3).

    Parameters
    ----------
    config : GMTNetConfig
        The shape of the network.
    element_features : Tensor, shape (n_elements, n_features)
        A description of each element, row Z - 1.
    """

    element_features: Tensor

    def __init__(self, config: GMTNetConfig, element_features: Tensor) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("element_features", element_features.clone())
        c, l_max = config.channels, config.l_max
        self.embed = perceptron(element_features.shape[1], c, c, config.dropout)
        self.bonds = BondTensors(
            l_max, config.cutoff, config.n_radial, config.n_neighbours
        )
        self.layers = nn.ModuleList(
            Convolution(
                l_max, c, config.n_radial, first=index == 0, dropout=config.dropout
            )
            for index in range(config.n_layers)
        )
        head = SiteHead if config.per_atom else TensorHead
        self.head = head(
            config.index_symmetry, l_max, c, config.n_pooled, dropout=config.dropout
        )
        rank = len(config.index_symmetry.split("=")[0])
        self.link = make_link(rank, config.lower_bound)

    def calibrate(self, labels: Tensor) -> None:
        """Take the typical size of the output from labels (n, 3, ..., 3)."""
        self.link.calibrate(labels)

    def surroundings(self, batch: GraphBatch) -> Surroundings:
        """Return what does not depend on weights."""
        return cut_into_blocks(batch, self.bonds(batch))

    def forward(self, batch: GraphBatch, around: Surroundings | None = None) -> Tensor:
        """Return Cartesian tensors in the label's unit, one per crystal or per atom.

        Shape (n_crystals, 3, ..., 3) or (n_atoms, 3, ..., 3). The surroundings may be
        given where several networks share them.
        """
        # What the head does not see need not be computed in the end.
        seen = self.features(batch, around, pseudo=self.head.sees_pseudo)
        return self.read(seen, batch)

    def features(
        self,
        batch: GraphBatch,
        around: Surroundings | None = None,
        *,
        pseudo: bool = True,
    ) -> Features:
        """Return what the network sees of each atom, whatever is predicted from it.

        Scalars (n_atoms, channels), and natural and pseudo features
        ((l_max + 1)², n_atoms, channels); the pseudo ones mean nothing if they are not
        wanted.
        """
        blocks, order = around or self.surroundings(batch)
        scalars = self.embed(self.element_features[batch.numbers[order] - 1])
        n_components = (self.config.l_max + 1) ** 2
        natural = scalars.new_zeros(n_components, *scalars.shape)
        odd = natural
        for index, layer in enumerate(self.layers, start=1):
            keep = pseudo or index < len(self.layers)
            scalars, natural, odd = layer(
                scalars, natural, odd, blocks, keep_pseudo=keep
            )
        places = torch.argsort(order)
        return (
            scalars.index_select(0, places),
            natural.index_select(1, places),
            odd.index_select(1, places),
        )

    def read(self, features: Features, batch: GraphBatch) -> Tensor:
        """Return the tensors that features of the atoms of a batch say."""
        tensors: Tensor = self.link(self.head(*features, batch))
        return tensors

    def share(self, other: "GMTNet") -> None:
        """Compute the features by the modules of another network from now on."""
        self.embed, self.bonds, self.layers = other.embed, other.bonds, other.layers

    def begin_from(self, other: "GMTNet") -> None:
        """Take over the weights by which another network computes the features."""
        self.embed.load_state_dict(other.embed.state_dict())
        self.layers.load_state_dict(other.layers.state_dict())
