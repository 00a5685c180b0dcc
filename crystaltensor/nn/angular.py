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
        self.couplings: list[tuple[int, int, list[int], list[int]]] = []
        n_paths = [[0] * (l_max + 1), [0] * (l_max + 1)]
        for first, second in product(range(l_max + 1), repeat=2):
            if first + second > l_max + BEYOND:
                continue
            results = range(abs(first - second), min(first + second, l_max) + 1)
            even = [result for result in results if (first + second + result) % 2 == 0]
            odd = [result for result in results if (first + second + result) % 2]
            table = _coupling_table(first, second, [*even, *odd])
            self.register_buffer(f"table_{first}{second}", table, persistent=False)
            self.couplings.append((first, second, even, odd))
            for parity, degrees in enumerate((even, odd)):
                for result in degrees:
                    n_paths[parity][result] += 1
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
        paths = self._paths(left, right, even=True, odd=True)
        return _mix(paths[0], self.even, like=left), _mix(paths[1], self.odd, like=left)

    def one_parity(self, left: Tensor, right: Tensor, *, odd: bool) -> Tensor:
        """Return one of the two tensors alone."""
        paths = self._paths(left, right, even=not odd, odd=odd)
        return _mix(paths[odd], self.odd if odd else self.even, like=left)

    def _paths(
        self, left: Tensor, right: Tensor, *, even: bool, odd: bool
    ) -> list[list[list[Tensor]]]:
        """Couple all pairs of degrees: by parity and by degree of the result."""
        n, channels = left.shape[1:]
        lefts, rights = left.split(self.sizes), right.split(self.sizes)
        paths: list[list[list[Tensor]]] = [[[] for _ in self.sizes] for _ in range(2)]
        for first, second, evens, odds in self.couplings:
            results = evens * even + odds * odd
            if not results:
                continue
            rows = [self.sizes[result] for result in results]
            outer = lefts[first].unsqueeze(1) * rights[second].unsqueeze(0)
            coupled = outer.reshape(-1, n * channels)
            if first and second:  # else the table is the identity
                table = self.get_buffer(f"table_{first}{second}").to(left.dtype)
                coupled = (
                    table[: sum(rows)] if even else table[-sum(rows) :]
                ) @ coupled
            coupled = coupled.view(-1, n, channels)
            for result, part in zip(results, coupled.split(rows), strict=True):
                paths[(first + second + result) % 2][result].append(part)
        return paths

    def extra_repr(self) -> str:
        """Show the settings in ``print(model)``."""
        n_paths = sum(len(even) + len(odd) for _, _, even, odd in self.couplings)
        return f"l_max={self.l_max}, {n_paths} paths"


def _coupling_table(first: int, second: int, results: list[int]) -> Tensor:
    """Put Clebsch-Gordan coefficients below each other: (rows of results, pairs)."""
    tables = [clebsch_gordan(first, second, result) for result in results]
    flat = [torch.tensor(table).flatten(0, 1) for table in tables]
    return torch.cat(flat, dim=1).T.contiguous()


def _mix(
    paths: list[list[Tensor]], weights: nn.ParameterList, *, like: Tensor
) -> Tensor:
    """Mix the channels of all paths to one degree; a degree without paths is zero."""
    mixed = [
        torch.cat(parts, dim=2) @ weight
        if parts
        else torch.zeros_like(like[: 2 * degree + 1])
        for degree, (parts, weight) in enumerate(zip(paths, weights, strict=True))
    ]
    return torch.cat(mixed)
