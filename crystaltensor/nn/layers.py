"""The building blocks between a graph and the features of its atoms."""

import torch
from torch import Tensor, nn

from crystaltensor.nn.angular import (
    DegreeLinear,
    SphericalHarmonics,
    TensorProduct,
    degree_sizes,
)
from crystaltensor.nn.batch import GraphBatch
from crystaltensor.nn.pairs import Block
from crystaltensor.nn.radial import SmoothBessel


class BondTensors(nn.Module):
    """Sum radial functions times spherical harmonics over all images of each pair.

    Parameters
    ----------
    l_max : int
        Largest degree of the harmonics.
    cutoff : float
        Radius in Å.
    n_radial : int
        Number of radial functions.
    n_neighbours : float
        Typical number of neighbours; the sums are divided by its square root.
    """

    def __init__(
        self, l_max: int, cutoff: float, n_radial: int, n_neighbours: float
    ) -> None:
        super().__init__()
        self.radial = SmoothBessel(cutoff, n_radial)
        self.angular = SphericalHarmonics(l_max)
        # The functions are normalised in the sphere: this brings the sums to order one.
        self.scale = 3 * (cutoff**3 / n_neighbours) ** 0.5

    def forward(self, batch: GraphBatch) -> Tensor:
        """Return shape (n_atoms, n_slots, (l_max + 1)² * n_radial).

        The sums are made in the precision of the vectors: where those of a symmetric
        site cancel, they then do so to more digits than the network carries.
        """
        n_atoms, n_slots = batch.pair_atoms.shape
        distances = batch.edge_vectors.norm(dim=-1)
        angular = self.angular(batch.edge_vectors / distances.unsqueeze(-1))
        radial = self.radial(distances) * self.scale
        edges = (angular.unsqueeze(2) * radial.unsqueeze(1)).flatten(1)
        pairs = edges.new_zeros(n_atoms * n_slots, edges.shape[1])
        pairs = pairs.index_add(0, batch.edge_pair, edges)
        bonds: Tensor = pairs.view(n_atoms, n_slots, -1)
        return bonds.to(batch.density.dtype)


def bounded(features: Tensor) -> Tensor:
    """Shrink large features smoothly, all components of an atom by one factor."""
    squares = features.square().mean(dim=(0, 2), keepdim=True)
    return features * torch.rsqrt(1 + squares)


def perceptron(n_in: int, hidden: int, n_out: int, dropout: float) -> nn.Sequential:
    """Make a network with one hidden layer.

    Parameters
    ----------
    n_in, hidden, n_out : int
        Widths.
    dropout : float
        Share of the hidden numbers that are left out in each training step.

    Returns
    -------
    Sequential
        Its layers are 0 and 3.
    """
    return nn.Sequential(
        nn.Linear(n_in, hidden),
        nn.SiLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, n_out),
    )


class Convolution(nn.Module):
    """Gather from the neighbours, couple what was gathered, update the atoms.

    Parameters
    ----------
    l_max : int
        Largest degree of the features.
    channels : int
        Width of the features.
    n_radial : int
        Number of radial functions in the bond tensors.
    first : bool
        Whether the atoms carry scalars only so far.
    dropout : float
        Share of the hidden scalars that are left out in each training step.
    """

    degree_of: Tensor  # ((l_max + 1)²,)

    def __init__(
        self,
        l_max: int,
        channels: int,
        n_radial: int,
        *,
        first: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        c = channels
        self.n_radial, self.first = n_radial, first
        self.norm = nn.LayerNorm(c)
        self.send = nn.Linear(c, c)
        self.gather = DegreeLinear(l_max, n_radial * c, c)
        self.receive = nn.Linear(c, 2 * c * (l_max + 1))
        self.left = DegreeLinear(l_max, c, c)
        self.right = DegreeLinear(l_max, c, c)
        self.couple = TensorProduct(l_max, c)
        if not first:
            self.carry = DegreeLinear(l_max, n_radial * c, c)
            self.carry_pseudo = DegreeLinear(l_max, n_radial * c, c)
            self.couple_pseudo = TensorProduct(l_max, c)
        self.update = nn.Sequential(
            nn.Linear(3 * c, 2 * c), nn.SiLU(), nn.Dropout(dropout)
        )
        self.scalars = nn.Linear(2 * c, c)
        self.gates = nn.Linear(2 * c, 2 * c * (l_max + 1))
        degrees = torch.arange(l_max + 1)
        of = degrees.repeat_interleave(torch.tensor(degree_sizes(l_max)))
        self.register_buffer("degree_of", of, persistent=False)

    def forward(
        self,
        scalars: Tensor,
        natural: Tensor,
        pseudo: Tensor,
        blocks: list[Block],
        *,
        keep_pseudo: bool = True,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Map scalars (n, c) and features ((l_max + 1)², n, c) to new ones.

        The pseudo features come back as they are unless they are to be kept up.
        """
        normed = self.norm(scalars)
        density = bounded(self.gather(self._gather(self.send(normed), blocks)))
        weights = self._per_component(1 + self.receive(normed))
        left = self.left(density) * weights[0]
        right = self.right(density) * weights[1]
        other = None
        if not self.first:
            right = right + self.carry(self._carry(natural, blocks)) + natural
            other = self.carry_pseudo(self._carry(pseudo, blocks)) + pseudo
        new_natural, new_pseudo = self._couple(left, right, other, keep_pseudo)
        new_natural = bounded(new_natural)
        hidden = self.update(torch.cat([normed, density[0], new_natural[0]], dim=1))
        gates = self._per_component(1 + self.gates(hidden))
        natural = torch.addcmul(natural, density + new_natural, gates[0])
        if new_pseudo is not None:
            pseudo = bounded(torch.addcmul(pseudo, bounded(new_pseudo), gates[1]))
        return scalars + self.scalars(hidden), bounded(natural), pseudo

    def _couple(
        self, left: Tensor, right: Tensor, other: Tensor | None, keep_pseudo: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Couple natural features with natural ones, and with pseudo ones if any."""
        if not keep_pseudo:
            natural = self.couple.one_parity(left, right, odd=False)
            if other is not None:
                natural = natural + self.couple_pseudo.one_parity(left, other, odd=True)
            return natural, None
        natural, pseudo = self.couple(left, right)
        if other is not None:
            even, odd = self.couple_pseudo(left, other)
            natural, pseudo = natural + odd, pseudo + even
        return natural, pseudo

    def _per_component(self, values: Tensor) -> Tensor:
        """Spread values (n, 2 * (l_max + 1) * c) to (2, (l_max + 1)², n, c)."""
        n_degrees = int(self.degree_of[-1]) + 1
        split = values.view(len(values), 2, n_degrees, -1).permute(1, 2, 0, 3)
        return split[:, self.degree_of]

    def _gather(self, sent: Tensor, blocks: list[Block]) -> Tensor:
        """Sum bond tensors times scalars of the neighbours."""
        gathered = torch.cat([block.gather(sent) for block in blocks])
        width = self.n_radial * sent.shape[1]  # (n, (l_max + 1)² * k, c)
        return gathered.view(len(sent), -1, width).transpose(0, 1)

    def _carry(self, features: Tensor, blocks: list[Block]) -> Tensor:
        """Sum radial functions, the bond tensors of degree 0, times features."""
        n_components, n, c = features.shape
        flat = features.transpose(0, 1).reshape(n, -1)
        carried = torch.cat([block.gather(flat, self.n_radial) for block in blocks])
        split = carried.view(n, self.n_radial, n_components, c)
        return split.permute(2, 0, 1, 3).reshape(n_components, n, -1)
