"""GMTNet as published, for comparison: arXiv:2406.12888, its projection made exact.

Written from the description of the architecture. It reproduces the pooled features of
the published weights; of the published code's defects it keeps those that are in the
architecture itself: no degree beyond 2 on the edges, and a hard choice of neighbours.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from crystaltensor.nn.angular import SphericalHarmonics
from crystaltensor.nn.heads import crystal_mean
from crystaltensor.nn.links import LinearLink
from crystaltensor.settings import check_bounds
from crystaltensor.symmetry.irreps import tensor_irreps

if TYPE_CHECKING:
    from crystaltensor.nn.batch import GraphBatch

_EDGES = "1x0e+1x1o+1x2e"
_HIDDEN = ("16x0e", "16x0e+2x1o+2x2e", "16x0e+2x1o+2x1e+2x2e+2x2o")


@dataclass(frozen=True)
class PaperConfig:
    """The shape of the published network.

    Parameters
    ----------
    index_symmetry : str
        Of the tensor to predict.
    width : int
        Of the invariant features.

    Raises
    ------
    ConfigError
        If it is out of range.
    """

    index_symmetry: str
    width: int = 128

    def __post_init__(self) -> None:
        check_bounds(self, width=(1, 4096))

    @property
    def output_irreps(self) -> str:
        """Irreducible features that are averaged over the atoms, as e3nn writes them."""
        rank = len(self.index_symmetry.split("=")[0])
        copies = 1 if rank == 2 else 2
        kinds = [f"{copies}x{degree}{parity}" for degree in range(4) for parity in "eo"]
        return "+".join([*kinds, "1x4e"] if rank == 4 else kinds)


class GatedAttention(nn.Module):
    """A convolution whose messages pass an elementwise attention gate.

    Parameters
    ----------
    width : int
        Of the features of atoms and edges.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.query, self.key, self.value, self.edge = (
            nn.Linear(width, width) for _ in range(4)
        )
        self.key_update = _two_layers(3 * width, width)
        self.message = _two_layers(3 * width, width)
        self.out = nn.Linear(width, width)
        self.norm = nn.BatchNorm1d(width)

    def forward(
        self, atoms: Tensor, edges: Tensor, targets: Tensor, sources: Tensor
    ) -> Tensor:
        """Map features of atoms (n, width), given those of the edges, to new ones."""
        key, value, edge = self.key(atoms), self.value(atoms), self.edge(edges)
        keys = torch.cat([key[targets], key[sources], edge], dim=1)
        alpha = self.query(atoms)[targets] * self.key_update(keys) / self.width**0.5
        values = torch.cat([value[targets], value[sources], edge], dim=1)
        messages = self.message(values) * torch.sigmoid(self.norm(alpha))
        summed = torch.zeros_like(atoms).index_add(0, targets, messages)
        return functional.softplus(atoms + self.out(summed))


class EquivariantLayer(nn.Module):
    """A fully connected tensor product with the harmonics, averaged over the edges.

    Parameters
    ----------
    irreps_in, irreps_out : str
        Features, as e3nn writes them.
    width : int
        Of the edge features that give the weights.
    residual : bool
        Whether the input is added, filled up with zeros.
    """

    def __init__(
        self, irreps_in: str, irreps_out: str, width: int, *, residual: bool
    ) -> None:
        from e3nn import o3  # 3 s: only this network pays for it

        super().__init__()
        self.product: Any = o3.FullyConnectedTensorProduct(
            irreps_in, _EDGES, irreps_out, shared_weights=False
        )
        self.weights = nn.Sequential(
            nn.Linear(width, width),
            nn.Softplus(),
            nn.Linear(width, self.product.weight_numel),
        )
        self.residual = residual

    def forward(
        self,
        atoms: Tensor,
        edges: Tensor,
        harmonics: Tensor,
        targets: Tensor,
        sources: Tensor,
    ) -> Tensor:
        """Map features of atoms to new ones."""
        messages = self.product(atoms[sources], harmonics, self.weights(edges))
        summed = messages.new_zeros(len(atoms), messages.shape[1])
        summed = summed.index_add(0, targets, messages)
        counts = torch.bincount(targets, minlength=len(atoms)).clamp(min=1)
        mean: Tensor = summed / counts.unsqueeze(1).to(summed.dtype)
        if self.residual:
            extra = mean.shape[1] - atoms.shape[1]
            mean = mean + functional.pad(atoms, (0, extra))
        return mean


class PaperGMTNet(nn.Module):
    """The published network with an exact projector and a linear head.

    Parameters
    ----------
    config : PaperConfig
        The shape of the network.
    element_features : Tensor, shape (n_elements, n_features)
        A description of each element, row Z - 1.
    """

    element_features: Tensor
    centres: Tensor  # (512,), 1/Å
    basis: Tensor  # (n_components, 3^rank)

    def __init__(self, config: PaperConfig, element_features: Tensor) -> None:
        super().__init__()
        self.config = config
        w = config.width
        self.register_buffer("element_features", element_features.clone())
        self.link = LinearLink()
        centres = torch.linspace(-4, 0, 512)
        self.register_buffer("centres", centres, persistent=False)
        self.embed = nn.Linear(element_features.shape[1], w)
        self.edge_embed = nn.Sequential(nn.Linear(512, w), nn.Softplus())
        self.attention = nn.ModuleList(GatedAttention(w) for _ in range(2))
        self.narrow = nn.Linear(w, 16)
        stages = (*_HIDDEN, config.output_irreps)
        self.equivariant = nn.ModuleList(
            EquivariantLayer(stages[i], stages[i + 1], w, residual=i == 0)
            for i in range(3)
        )
        irreps = tensor_irreps(config.index_symmetry)
        self.parts = list(zip(irreps.degrees, irreps.pseudo, strict=True))
        basis = torch.tensor(irreps.basis).flatten(1)
        self.register_buffer("basis", basis, persistent=False)
        self.shape = irreps.basis.shape[1:]
        copies = self._copies()
        self.head = nn.ParameterList(
            torch.randn(copies[kind][1]) / copies[kind][1] ** 0.5 for kind in self.parts
        )
        for degree in range(5):
            self.register_buffer(f"turn_{degree}", _to_e3nn(degree), persistent=False)
        self.harmonics = SphericalHarmonics(2)

    def calibrate(self, labels: Tensor) -> None:
        """Take the typical size of the output from labels (n, 3, ..., 3)."""
        self.link.calibrate(labels)

    def pooled(self, batch: "GraphBatch") -> Tensor:
        """Average the irreducible features over the atoms, in e3nn's order and basis."""
        n_slots = batch.pair_atoms.shape[1]
        targets = torch.div(batch.edge_pair, n_slots, rounding_mode="floor")
        sources = batch.pair_atoms.flatten()[batch.edge_pair]
        vectors = batch.edge_vectors.to(batch.density.dtype)
        distances = vectors.norm(dim=1)
        steps = -0.75 / distances.unsqueeze(1) - self.centres
        edges = self.edge_embed(torch.exp(-127.75 * steps.square()))
        atoms = self.embed(self.element_features[batch.numbers - 1])
        for layer in self.attention:
            atoms = layer(atoms, edges, targets, sources)
        atoms = self.narrow(atoms)
        # e3nn orders the components of a degree in another way.
        ours = self.harmonics(vectors / distances.unsqueeze(1))
        parts = ours.split([1, 3, 5], dim=1)
        harmonics = torch.cat(
            [part @ self._turn(d, part).T for d, part in enumerate(parts)], dim=1
        )
        for layer in self.equivariant:
            atoms = layer(atoms, edges, harmonics, targets, sources)
        return crystal_mean(atoms, batch)

    def forward(self, batch: "GraphBatch") -> Tensor:
        """Return Cartesian tensors, shape (n_crystals, 3, ..., 3), in the label's unit."""
        pooled, copies = self.pooled(batch), self._copies()
        parts = []
        for kind, weight in zip(self.parts, self.head, strict=True):
            start, count = copies[kind]
            size = 2 * kind[0] + 1
            features = pooled[:, start : start + count * size].view(-1, count, size)
            mixed = (weight @ features) @ self._turn(kind[0], features)
            parts.append((batch.projectors[kind] @ mixed.unsqueeze(-1)).squeeze(-1))
        flat = torch.cat(parts, dim=1) @ self.basis.to(pooled.dtype)
        tensors: Tensor = self.link(flat.view(-1, *self.shape))
        return tensors

    def _turn(self, degree: int, like: Tensor) -> Tensor:
        """Return the matrix from our basis of a degree to e3nn's."""
        return self.get_buffer(f"turn_{degree}").to(like.dtype)

    def _copies(self) -> dict[tuple[int, bool], tuple[int, int]]:
        """Where each kind of feature starts in the output, and its number of copies."""
        from e3nn import o3

        irreps = o3.Irreps(self.config.output_irreps)
        return {
            (each.ir.l, each.ir.p != (-1) ** each.ir.l): (where.start, each.mul)
            for each, where in zip(irreps, irreps.slices(), strict=True)
        }


def _two_layers(n_in: int, width: int) -> nn.Sequential:
    """Make a network with one hidden layer."""
    return nn.Sequential(nn.Linear(n_in, width), nn.SiLU(), nn.Linear(width, width))


def _to_e3nn(degree: int) -> Tensor:
    """Find the orthogonal matrix from our harmonics of a degree to e3nn's."""
    from e3nn import o3

    generator = torch.Generator().manual_seed(0)
    points = torch.randn(64, 3, generator=generator, dtype=torch.float64)
    points = points / points.norm(dim=1, keepdim=True)
    ours = SphericalHarmonics(degree)(points)[:, degree**2 :]
    theirs = o3.spherical_harmonics(
        degree, points, normalize=False, normalization="component"
    )
    turn: Tensor = torch.linalg.lstsq(ours, theirs).solution.T.contiguous()
    return turn
