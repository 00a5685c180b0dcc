"""Irreducible tensors in torch: spherical harmonics and tensor products.

Features of degrees 0 … l_max lie behind each other on one axis of length
(l_max + 1)², channels last: shape (n, (l_max + 1)², c). "Natural" features have parity
(-1)^l, "pseudo" ones the opposite.
"""

import torch
from torch import Tensor, nn

from crystaltensor.symmetry.irreps import (
    clebsch_gordan,
    harmonic_polynomials,
    monomials,
)


def degree_slice(degree: int) -> slice:
    """Where one degree lies on the axis of all degrees."""
    return slice(degree**2, (degree + 1) ** 2)


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
        self.l_max = l_max
        weight = torch.randn(l_max + 1, n_in, n_out) / n_in**0.5
        self.weight = nn.Parameter(weight)

    def forward(self, features: Tensor) -> Tensor:
        """Map (n, (l_max + 1)², n_in) to (n, (l_max + 1)², n_out)."""
        mixed = [
            features[:, degree_slice(degree)] @ self.weight[degree]
            for degree in range(self.l_max + 1)
        ]
        return torch.cat(mixed, dim=1)

    def extra_repr(self) -> str:
        """Show the settings in ``print(model)``."""
        degrees, n_in, n_out = self.weight.shape
        return f"l_max={degrees - 1}, {n_in} -> {n_out}"


class TensorProduct(nn.Module):
    """Multiply two sets of features channel by channel and mix what comes out.

    Parameters
    ----------
    l_max : int
        Largest degree of the factors and of the result.
    channels : int
        Channels of the factors and of the result.
    odd : bool
        Which couplings are kept: those with l₁ + l₂ + l₃ even, or odd. Two natural
        factors give natural features in the even case, pseudo ones in the odd case.
    """

    def __init__(self, l_max: int, channels: int, *, odd: bool) -> None:
        super().__init__()
        self.l_max = l_max
        self.odd = odd
        self.couplings: list[tuple[int, int, list[int]]] = []
        n_paths = [0] * (l_max + 1)
        for first in range(l_max + 1):
            for second in range(l_max + 1):
                results = [
                    result
                    for result in range(abs(first - second), first + second + 1)
                    if result <= l_max and (first + second + result) % 2 == odd
                ]
                if not results:
                    continue
                tables = [clebsch_gordan(first, second, r) for r in results]
                flat = [table.reshape(-1, table.shape[-1]) for table in tables]
                table = torch.cat([torch.tensor(part) for part in flat], dim=1)
                self.register_buffer(
                    f"table_{first}{second}", table.T.contiguous(), persistent=False
                )
                self.couplings.append((first, second, results))
                for result in results:
                    n_paths[result] += 1
        self.weights = nn.ParameterList(
            torch.randn(n * channels, channels) / max(n * channels, 1) ** 0.5
            for n in n_paths
        )

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Couple two tensors of shape (n, (l_max + 1)², channels) to a third."""
        n, _, channels = left.shape
        paths: list[list[Tensor]] = [[] for _ in range(self.l_max + 1)]
        for first, second, results in self.couplings:
            table = self.get_buffer(f"table_{first}{second}").to(left.dtype)
            a, b = left[:, degree_slice(first)], right[:, degree_slice(second)]
            outer = (a.unsqueeze(2) * b.unsqueeze(1)).reshape(n, -1, channels)
            coupled = table @ outer
            sizes = [2 * result + 1 for result in results]
            for result, part in zip(results, coupled.split(sizes, dim=1), strict=True):
                paths[result].append(part)
        mixed = []
        for degree, weight in enumerate(self.weights):
            if paths[degree]:
                mixed.append(torch.cat(paths[degree], dim=2) @ weight)
            else:
                mixed.append(left.new_zeros(n, 2 * degree + 1, channels))
        return torch.cat(mixed, dim=1)

    def extra_repr(self) -> str:
        """Show the settings in ``print(model)``."""
        n_paths = sum(len(results) for _, _, results in self.couplings)
        return f"l_max={self.l_max}, {n_paths} paths, {'odd' if self.odd else 'even'}"
