r"""The network for scalar properties: complete potentials beside local bonds.

After PotNet (arXiv:2306.10045): besides its neighbours, an atom sees the potentials that
all images of all atoms make where it is. Here they enter as

.. math:: \phi_a^{(p)} = \sum_b S^{(p)}(a, b)\, q_b

with charges q that the network learns. The published network applies nonlinear functions
to each S(a, b) first. That depends on the choice of the cell: a supercell splits
the sum of a pair into several, which add up to it, and a function of the sum is not the
sum of the functions. What is linear in S before the sum over b is the same for every cell
of a crystal; every nonlinear function here comes after it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from crystaltensor.errors import ConfigError
from crystaltensor.lattice.potentials import parse_potential
from crystaltensor.nn.angular import DegreeLinear, degree_sizes
from crystaltensor.nn.batch import TYPICAL_VOLUME, GraphBatch, Neighbourhood
from crystaltensor.nn.composition import CompositionReference
from crystaltensor.nn.heads import crystal_mean
from crystaltensor.nn.layers import BondTensors, perceptron
from crystaltensor.nn.pairs import sources
from crystaltensor.nn.potentials import (
    PUBLISHED,
    CompleteSums,
    PublishedScalar,
)
from crystaltensor.settings import check_bounds

POTENTIALS = ("coulomb", "london", "pauli:1", "pauli:2")


@dataclass(frozen=True)
class PotNetConfig:
    """Everything that fixes the shape of a network.

    Parameters
    ----------
    channels : int
        Width of the features.
    n_layers : int
        Number of convolutions.
    l_max : int
        Largest degree of the bond tensors; 0 leaves out the angles.
    cutoff : float
        Radius of the local bonds, in Å.
    n_radial : int
        Number of radial functions.
    n_neighbours : float
        Typical number of neighbours; sums over them are divided by its square root.
    potentials : tuple of str
        Whose complete sums it sees, as ``lattice.potentials`` names them; may be empty.
    n_charges : int
        Charges that each atom learns.
    reach : float, optional
        Cuts the sums at this radius in Å, to see what completeness is worth.
    single : bool
        Whether to add the three potentials of the published network up to its one
        number for each pair, in its multiquadrics; that depends on the cell.
    dropout : float
        Share of the hidden features that are left out in each training step.
    lower_bound : float, optional
        The property is above this, in the unit of the labels.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    """

    channels: int = 64
    n_layers: int = 3
    l_max: int = 2
    cutoff: float = 5.0
    n_radial: int = 8
    n_neighbours: float = 25.0
    potentials: tuple[str, ...] = POTENTIALS
    n_charges: int = 16
    reach: float | None = None
    single: bool = False
    dropout: float = 0.0
    lower_bound: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "potentials", tuple(self.potentials))
        check_bounds(
            self,
            channels=(1, 1024),
            n_layers=(1, 16),
            l_max=(0, 8),
            cutoff=(0.5, 30),
            n_radial=(1, 256),
            n_charges=(1, 1024),
            n_neighbours=(1e-3, 1e6),
            dropout=(0, 0.99),
        )
        if self.reach is not None:
            check_bounds(self, reach=(0.5, 100))
        for name in self.potentials:
            if not isinstance(name, str):
                raise ConfigError("potentials must be a list of names")
            parse_potential(name)
        if self.single and self.potentials != PUBLISHED:
            raise ConfigError(f"single = true needs potentials = {list(PUBLISHED)}")

    @property
    def neighbourhood(self) -> Neighbourhood:
        """What it sees of a crystal."""
        return Neighbourhood(self.cutoff, potentials=self.potentials, reach=self.reach)


class PotNet(nn.Module):
    """Predict a scalar per crystal, the same for every cell of it.

    Parameters
    ----------
    config : PotNetConfig
        The shape of the network.
    element_features : Tensor, shape (n_elements, n_features)
        A description of each element, row Z - 1.
    """

    element_features: Tensor

    def __init__(self, config: PotNetConfig, element_features: Tensor) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("element_features", element_features.clone())
        c = config.channels
        self.embed = perceptron(element_features.shape[1], c, c, config.dropout)
        self.bonds = BondTensors(
            config.l_max, config.cutoff, config.n_radial, config.n_neighbours
        )
        self.sums = _sums(config)
        n_sums = self.sums.n_channels if self.sums else 0
        self.layers = nn.ModuleList(
            PotentialConvolution(config, n_sums) for _ in range(config.n_layers)
        )
        self.norm = nn.LayerNorm(c)
        self.of_atoms = perceptron(c, c, 1, config.dropout)
        self.pool = nn.Linear(c, c)
        self.of_crystal = perceptron(c + 1, c, 1, config.dropout)
        self.reference = CompositionReference(len(element_features))

    def calibrate(self, labels: Tensor, compositions: Tensor) -> None:
        """Fit the references of the elements.

        Parameters
        ----------
        labels : Tensor, shape (n_crystals,)
            Of the training crystals.
        compositions : Tensor, shape (n_crystals, n_elements)
            Share of each element in their atoms.
        """
        self.reference.fit(labels, compositions)

    def surroundings(self, batch: GraphBatch) -> Tensor:
        """Return what does not depend on weights: the bond tensors."""
        bonds: Tensor = self.bonds(batch)
        return bonds

    def forward(self, batch: GraphBatch, around: Tensor | None = None) -> Tensor:
        """Return one number per crystal in the unit of the labels, shape (n_crystals,).

        The surroundings may be given where several networks share them.
        """
        atoms = self.embed(self.element_features[batch.numbers - 1])
        bonds = self.surroundings(batch) if around is None else around
        far = self.sums(batch)[:2] if self.sums else None
        for layer in self.layers:
            atoms = layer(atoms, bonds, batch.pair_atoms, far)
        atoms = self.norm(atoms)
        summary = crystal_mean(self.pool(atoms), batch)
        density = torch.log(batch.density * TYPICAL_VOLUME).unsqueeze(1)
        found = self.of_crystal(torch.cat([summary, density], dim=1))
        found = found + crystal_mean(self.of_atoms(atoms), batch)
        value: Tensor = self.reference(found.squeeze(1), batch)
        if self.config.lower_bound is None:
            return value
        above = nn.functional.softplus(value - self.config.lower_bound, beta=10.0)
        return self.config.lower_bound + above


class PotentialConvolution(nn.Module):
    """Gather from the neighbours and from the whole crystal, update the atoms.

    Parameters
    ----------
    config : PotNetConfig
        The shape of the network.
    n_sums : int
        Channels of the complete sums.
    """

    def __init__(self, config: PotNetConfig, n_sums: int) -> None:
        super().__init__()
        c, l_max = config.channels, config.l_max
        self.sizes = degree_sizes(l_max)
        self.n_radial = config.n_radial
        self.norm = nn.LayerNorm(c)
        self.n_sent = c // 2
        self.send = nn.Linear(c, self.n_sent)
        self.gather = DegreeLinear(l_max, config.n_radial * self.n_sent, c)
        self.mix = DegreeLinear(l_max, c, c)
        if n_sums:
            self.charge = nn.Linear(c, config.n_charges)
        n_potential = n_sums * config.n_charges
        n_in = c * (2 + len(self.sizes)) + 2 * n_potential
        self.bounded = nn.LayerNorm(n_in - c)
        self.update = perceptron(n_in, 2 * c, c, config.dropout)

    def forward(
        self,
        atoms: Tensor,
        bonds: Tensor,
        pairs: Tensor,
        far: tuple[Tensor, Tensor] | None,
    ) -> Tensor:
        """Map features of atoms (n, c) to new ones."""
        normed = self.norm(atoms)
        found = self._near(normed, bonds, pairs)
        if far is not None:
            found += self._far(normed, *far)
        hidden = torch.cat([normed, self.bounded(torch.cat(found, dim=1))], dim=1)
        updated: Tensor = atoms + self.update(hidden)
        return updated

    def _near(self, normed: Tensor, bonds: Tensor, pairs: Tensor) -> list[Tensor]:
        """Return the density of neighbours, and invariants of two bonds, by degree."""
        gathered = bonds.transpose(1, 2) @ sources(self.send(normed), pairs)
        gathered = gathered.view(len(normed), -1, self.n_radial * self.n_sent)
        density = self.gather(gathered.transpose(0, 1))  # ((l_max + 1)², n, c)
        products = density * self.mix(density)
        invariants = [part.mean(dim=0) for part in products.split(self.sizes)]
        return [density[0], *invariants]

    def _far(self, normed: Tensor, sums: Tensor, partners: Tensor) -> list[Tensor]:
        """Return the potentials of the charges of all atoms, and the energies in them."""
        charges = self.charge(normed)
        # Many terms of a large cell cancel: in the precision of the sums.
        potentials = sums @ sources(charges.to(sums.dtype), partners)
        potentials = potentials.to(charges.dtype)  # (n, n_sums, n_charges)
        energies = potentials * charges.unsqueeze(1)
        return [potentials.flatten(1), energies.flatten(1)]


def _sums(config: PotNetConfig) -> CompleteSums | PublishedScalar | None:
    """Choose how the sums enter."""
    if config.single:
        return PublishedScalar()
    return CompleteSums(config.potentials) if config.potentials else None
