"""The geometry of a lattice: reduced cells, spacings, the images within reach."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

_SHORTER = 1 - 1e-10
"""A step of the reduction must shorten a vector by more than rounding does."""

_MAX_STEPS = 1000


@dataclass(frozen=True, eq=False)
class Geometry:
    """Lengths that the bounds and the cutoffs need, for many reduced cells at once.

    Parameters
    ----------
    cells : Tensor of float64, shape (n_crystals, 3, 3)
        Lattice vectors as rows, in Å, shortest first (see `reduce_cells`).
    """

    cells: Tensor

    @cached_property
    def volume(self) -> Tensor:
        """Volumes in Å³, shape (n_crystals,)."""
        volume: Tensor = torch.linalg.det(self.cells).abs()
        return volume

    @cached_property
    def lengths(self) -> Tensor:
        """Lengths of the lattice vectors in Å, shape (n_crystals, 3)."""
        return self.cells.square().sum(dim=-1).sqrt()

    @cached_property
    def spacing(self) -> Tensor:
        """Distances between lattice planes in Å, shape (n_crystals, 3)."""
        first, second, third = self.cells.unbind(-2)
        areas = (
            torch.stack(
                [
                    torch.linalg.cross(second, third),
                    torch.linalg.cross(third, first),
                    torch.linalg.cross(first, second),
                ],
                dim=-2,
            )
            .square()
            .sum(dim=-1)
            .sqrt()
        )
        return self.volume.unsqueeze(-1) / areas

    @cached_property
    def heights(self) -> Tensor:
        """Gram-Schmidt lengths in Å, shape (n_crystals, 3); their product is the volume."""
        first, second, _ = self.cells.unbind(-2)
        length = self.lengths[:, 0]
        area = torch.linalg.cross(first, second).square().sum(dim=-1).sqrt()
        return torch.stack([length, area / length, self.volume / area], dim=-1)

    @cached_property
    def counts(self) -> Tensor:
        """Counting polynomials of the lattices, shape (2, n_crystals, 4)."""
        return counting_polynomials(self.heights)

    @cached_property
    def reciprocal_counts(self) -> Tensor:
        """Counting polynomials of the reciprocal lattices, shape (2, n_crystals, 4)."""
        return counting_polynomials(2 * math.pi / self.heights)

    @cached_property
    def corner(self) -> Tensor:
        """Largest distance in Å from the centre of the cell to a corner, (n_crystals,)."""
        signs = torch.tensor(
            [[1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]], dtype=self.cells.dtype
        )
        return 0.5 * (signs @ self.cells).square().sum(dim=-1).sqrt().amax(dim=-1)


def counting_polynomials(heights: Tensor) -> Tensor:
    """Return two cubics that bound the lattice points in a ball of any centre.

    Parameters
    ----------
    heights : Tensor, shape (n_crystals, 3)
        Gram-Schmidt lengths of a lattice basis.

    Returns
    -------
    Tensor, shape (2, n_crystals, 4)
        Coefficients by increasing power of the radius.
    """
    a, b, c = (2 / heights).unbind(-1)
    layers = torch.stack(
        [torch.ones_like(a), a + b + c, a * b + b * c + c * a, a * b * c], dim=-1
    )
    # Half the diagonal of the Gram-Schmidt box bounds the covering radius (Babai).
    rho = 0.5 * heights.square().sum(dim=-1).sqrt()
    density = 4 * math.pi / 3 / heights.prod(dim=-1)
    powers = torch.stack([rho**3, 3 * rho**2, 3 * rho, torch.ones_like(rho)], dim=-1)
    return torch.stack([layers, density.unsqueeze(-1) * powers])


def reduce_cells(cells: Tensor) -> Tensor:
    """Find short, nearly perpendicular lattice vectors of the same lattices.

    Greedy reduction in the norm [1]_: the vectors are sorted by length, the second is
    reduced by the first and the third by both, until nothing gets shorter.

    Parameters
    ----------
    cells : Tensor of float64, shape (n_crystals, 3, 3)
        Lattice vectors as rows, in Å.

    Returns
    -------
    Tensor of float64, shape (n_crystals, 3, 3)
        Integer matrices; ``result @ cells`` are the reduced cells, shortest vector
        first.

    References
    ----------
    .. [1] I. Semaev, A 3-dimensional lattice reduction algorithm, in Cryptography and
       Lattices, LNCS 2146 (2001), 181-193.
    """
    change = torch.eye(3, dtype=cells.dtype).repeat(len(cells), 1, 1)
    for _ in range(_MAX_STEPS):
        reduced = change @ cells
        order = reduced.square().sum(dim=-1).argsort(dim=-1, stable=True)
        change = change.gather(1, order.unsqueeze(-1).expand(-1, -1, 3))
        reduced = reduced.gather(1, order.unsqueeze(-1).expand(-1, -1, 3))
        step = _shortening_step(reduced)
        if not bool((step.abs().sum(dim=(1, 2)) > 3).any()):
            break
        change = step @ change
    return change


def _shortening_step(cells: Tensor) -> Tensor:
    """Return integer matrices that shorten the second or the third vector, or do nothing."""
    gram = cells @ cells.transpose(1, 2)
    step = torch.eye(3, dtype=cells.dtype).repeat(len(cells), 1, 1)
    turns = torch.round(gram[:, 0, 1] / gram[:, 0, 0])
    step[:, 1, 0] = -turns
    shorter = _squares(step[:, 1:2], gram)[:, 0] < _SHORTER * gram[:, 1, 1]
    step[:, 1, 0] *= shorter
    # The third vector minus its rounded projection on the plane of the first two, and
    # the eight neighbours, among which the nearest lattice point of the plane lies.
    plane = torch.linalg.solve(gram[:, :2, :2], gram[:, :2, 2].unsqueeze(-1))
    near = torch.cartesian_prod(*[torch.arange(-1, 2, dtype=cells.dtype)] * 2)
    tries = torch.cat([-torch.round(plane.transpose(1, 2)) + near], dim=1)  # (B, 9, 2)
    tries = torch.cat([tries, torch.ones_like(tries[..., :1])], dim=-1)
    squares, best = _squares(tries, gram).min(dim=1)
    shorter = squares < _SHORTER * gram[:, 2, 2]
    chosen = tries[torch.arange(len(cells)), best]
    # One vector changes at a time, so that each step is surely unimodular and shorter.
    shorter &= step[:, 1, 0] == 0
    step[:, 2] = torch.where(shorter.unsqueeze(-1), chosen, step[:, 2])
    return step


def _squares(coefficients: Tensor, gram: Tensor) -> Tensor:
    """Return squared lengths of integer combinations, shape (B, n)."""
    return ((coefficients @ gram) * coefficients).sum(dim=-1)


def translations(geometry: Geometry, reach: Tensor) -> tuple[Tensor, Tensor]:
    """List the lattice translations that bring a wrapped vector within reach.

    A wrapped vector has fractional coordinates between -1/2 and 1/2, so it fills a box;
    a translation counts if the translated box may come closer to the origin than
    `reach`.

    Parameters
    ----------
    geometry : Geometry
        Of the reduced cells.
    reach : Tensor, shape (n_crystals,)
        The cutoff in Å.

    Returns
    -------
    images : Tensor of float64, shape (n_crystals, n_images, 3)
        Integer coefficients, the zero translation first; zeros fill the shorter lists.
    filled : Tensor of bool, shape (n_crystals, n_images)
        Which entries are filling.
    """
    spacing = geometry.spacing
    most = torch.floor(reach.unsqueeze(-1) / spacing + 0.5).amax(dim=0).long().tolist()
    grid = _grid([range(-n, n + 1) for n in most])
    distance = _lengths(grid, geometry.cells) - geometry.corner.unsqueeze(-1)
    for axis, count in enumerate((grid.abs() - 0.5).unbind(-1)):
        distance = torch.maximum(distance, spacing[:, axis, None] * count)
    distance = distance.clamp(min=0)
    keep = distance <= reach.unsqueeze(-1) * (1 + 1e-9)
    zero = len(grid) // 2
    first = torch.cat([grid[zero:], grid[:zero]])
    return _select(first, torch.cat([keep[:, zero:], keep[:, :zero]], dim=1))


def reciprocal_half(geometry: Geometry, reach: Tensor) -> tuple[Tensor, Tensor]:
    """List one of each pair ±k of reciprocal lattice vectors within reach.

    Parameters
    ----------
    geometry : Geometry
        Of the reduced cells.
    reach : Tensor, shape (n_crystals,)
        The cutoff in 1/Å, 2π included.

    Returns
    -------
    indices : Tensor of float64, shape (n_crystals, n_k, 3)
        Integer coefficients on the reciprocal basis.
    filled : Tensor of bool, shape (n_crystals, n_k)
        Which entries are filling: a vector of the lattice, but beyond counting.
    """
    reach = reach.unsqueeze(-1)
    # |k . a_i| = 2π n_i, hence n_i <= |k| |a_i| / 2π.
    most = torch.floor(reach * geometry.lengths / (2 * math.pi) * (1 + 1e-9))
    first, second, third = most.amax(dim=0).long().tolist()
    grid = _grid(
        [range(-first, first + 1), range(-second, second + 1), range(third + 1)]
    )
    a, b, c = grid.unbind(-1)
    grid = grid[(c > 0) | (c == 0) & ((b > 0) | (b == 0) & (a > 0))]
    basis = 2 * math.pi * torch.linalg.inv(geometry.cells).transpose(1, 2)
    length = _lengths(grid, basis)
    indices, filled = _select(grid, length <= reach * (1 + 1e-9))
    indices[filled] = torch.tensor([0.0, 0.0, 1.0], dtype=grid.dtype)
    return indices, filled


def _lengths(grid: Tensor, basis: Tensor) -> Tensor:
    """Return lengths of integer combinations, shape (n_crystals, n), by one product."""
    gram = basis @ basis.transpose(1, 2)
    row, column = torch.triu_indices(3, 3)
    monomials = grid[:, row] * grid[:, column] * (1.0 + (row != column))
    squares: Tensor = gram[:, row, column] @ monomials.T
    return squares.clamp(min=0).sqrt()


def _grid(ranges: list[range]) -> Tensor:
    """Return all integer triples of three ranges, shape (n, 3), float64."""
    axes = [torch.arange(r.start, r.stop, dtype=torch.float64) for r in ranges]
    return torch.cartesian_prod(*axes)


def _select(grid: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
    """Return the kept triples of each crystal, filled up with zeros, and what is filled."""
    sizes = keep.sum(dim=1)
    crystal, which = keep.nonzero(as_tuple=True)
    slot = keep.cumsum(dim=1)[crystal, which] - 1
    chosen = grid.new_zeros(len(keep), int(sizes.max()), 3)
    chosen[crystal, slot] = grid[which]
    return chosen, torch.arange(chosen.shape[1]) >= sizes.unsqueeze(-1)
