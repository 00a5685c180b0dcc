"""Irreducible tensors in torch: spherical harmonics and tensor products.

Features of degrees 0 … l_max lie behind each other on the first axis, atoms on the
second, channels on the last: shape ((l_max + 1)², n, c), so that every coupling and
every mixing of channels is one matrix product. "Natural" features have parity (-1)^l,
"pseudo" ones the opposite.
"""

from itertools import product

import torch
from torch import Tensor, nn

from crystaltensor.symmetry.irreps import (
    clebsch_gordan,
    harmonic_polynomials,
    monomials,
)


def degree_sizes(l_max: int) -> list[int]:
    """Count the components of the degrees 0 … l_max."""
    return [2 * degree + 1 for degree in range(l_max + 1)]


class SphericalHarmonics(nn.Module):
    """Real spherical harmonics of degrees 0 … l_max, "component" normalised.

    Parameters
    ----------
    l_max : int
        Largest degree.
    """

    table: Tensor  # (n_monomials, (l_max + 1)²)
    exponents: Tensor  # (n_monomials, 3)

    def __init__(self, l_max: int) -> None:
        super().__init__()
        self.l_max = l_max
        blocks = [torch.tensor(harmonic_polynomials(d).T) for d in range(l_max + 1)]
        table = torch.block_diag(*blocks)
        powers = [p for degree in range(l_max + 1) for p in monomials(degree)]
        self.register_buffer("table", table, persistent=False)
        self.register_buffer("exponents", torch.tensor(powers), persistent=False)

    def forward(self, directions: Tensor) -> Tensor:
        """Map unit vectors (n, 3) to harmonics (n, (l_max + 1)²)."""
        powers = [torch.ones_like(directions)]
        for _ in range(self.l_max):
            powers.append(powers[-1] * directions)
        stacked = torch.stack(powers)  # (l_max + 1, n, 3)
        x, y, z = (stacked[self.exponents[:, axis], :, axis] for axis in range(3))
        return (x * y * z).T @ self.table.to(directions.dtype)


class DegreeLinear(nn.Module):
    """Mix channels, with weights of their own for each degree; no bias.

    Parameters
    ----------
    l_max : int
        Largest degree.
    n_in, n_out : int
        Channels.
    """

    def __init__(self, l_max: int, n_in: int, n_out: int) -> None:
        super().__init__()
        self.sizes = degree_sizes(l_max)
        weight = torch.randn(l_max + 1, n_in, n_out) / n_in**0.5
        self.weight = nn.Parameter(weight)

    def forward(self, features: Tensor) -> Tensor:
        """Map ((l_max + 1)², n, n_in) to ((l_max + 1)², n, n_out)."""
        parts = features.split(self.sizes)
        return torch.cat([x @ w for x, w in zip(parts, self.weight, strict=True)])

    def extra_repr(self) -> str:
        """Show the settings in ``print(model)``."""
        degrees, n_in, n_out = self.weight.shape
        return f"l_max={degrees - 1}, {n_in} -> {n_out}"


BEYOND = 2
"""How far the sum of two degrees that are coupled may go beyond the largest degree."""


class TensorProduct(nn.Module):
    """Multiply two sets of features channel by channel and mix what comes out.

    Pairs of high degrees cost most and add little: those with l₁ + l₂ above l_max + 2
    are not coupled.

    Parameters
    ----------
    l_max : int
        Largest degree of the factors and of the results.
    channels : int
        Channels of the factors and of the results.
    """

    def __init__(self, l_max: int, channels: int) -> None:
        super().__init__()
        self.l_max = l_max
        self.sizes = degree_sizes(l_max)
        self.couplings: list[tuple[int, int, list[int]]] = []
        n_paths = [[0] * (l_max + 1), [0] * (l_max + 1)]
        for first, second in product(range(l_max + 1), repeat=2):
            if first + second > l_max + BEYOND:
                continue
            results = [*range(abs(first - second), min(first + second, l_max) + 1)]
            tables = [clebsch_gordan(first, second, result) for result in results]
            flat = [torch.tensor(table).flatten(0, 1) for table in tables]
            table = torch.cat(flat, dim=1).T.contiguous()
            self.register_buffer(f"table_{first}{second}", table, persistent=False)
            self.couplings.append((first, second, results))
            for result in results:
                n_paths[(first + second + result) % 2][result] += 1
        self.even, self.odd = (
            nn.ParameterList(
                torch.randn(n * channels, channels) / max(n * channels, 1) ** 0.5
                for n in paths
            )
            for paths in n_paths
        )

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """Couple two tensors of shape ((l_max + 1)², n, channels) to two others.

        The first holds the couplings with l₁ + l₂ + l₃ even, the second those with
        l₁ + l₂ + l₃ odd: of two natural factors, natural and pseudo features.
        """
        n, channels = left.shape[1:]
        lefts, rights = left.split(self.sizes), right.split(self.sizes)
        paths: list[list[list[Tensor]]] = [[[] for _ in self.sizes] for _ in range(2)]
        for first, second, results in self.couplings:
            table = self.get_buffer(f"table_{first}{second}").to(left.dtype)
            outer = lefts[first].unsqueeze(1) * rights[second].unsqueeze(0)
            coupled = (table @ outer.view(-1, n * channels)).view(-1, n, channels)
            parts = coupled.split([self.sizes[result] for result in results])
            for result, part in zip(results, parts, strict=True):
                paths[(first + second + result) % 2][result].append(part)
        even = _mix(paths[0], self.even)
        odd = _mix(paths[1], self.odd, like=left)
        return even, odd

    def extra_repr(self) -> str:
        """Show the settings in ``print(model)``."""
        n_paths = sum(len(results) for _, _, results in self.couplings)
        return f"l_max={self.l_max}, {n_paths} paths"


def _mix(
    paths: list[list[Tensor]], weights: nn.ParameterList, *, like: Tensor | None = None
) -> Tensor:
    """Mix the channels of all paths to one degree; a degree without paths is zero."""
    mixed = []
    for degree, (parts, weight) in enumerate(zip(paths, weights, strict=True)):
        if parts:
            mixed.append(torch.cat(parts, dim=2) @ weight)
        elif like is not None:
            mixed.append(torch.zeros_like(like[: 2 * degree + 1]))
    return torch.cat(mixed)
