"""Tests of crystaltensor.lattice.cells."""

import itertools
import math

import pytest
import torch

from crystaltensor.lattice.cells import (
    Geometry,
    counting_polynomials,
    reciprocal_half,
    reduce_cells,
    translations,
)


def random_cells(n_crystals: int, seed: int) -> torch.Tensor:
    """Skewed cells of both handednesses, some of them needles and plates."""
    generator = torch.Generator().manual_seed(seed)
    cells = torch.randn(n_crystals, 3, 3, generator=generator, dtype=torch.float64)
    stretch = 10 ** (torch.rand(n_crystals, 3, 1, generator=generator).double() - 0.3)
    cells = cells * stretch + torch.eye(3, dtype=torch.float64)
    return cells * (20 / torch.linalg.det(cells).abs()).pow(1 / 3)[:, None, None]


def triples(most: int) -> torch.Tensor:
    """All integer triples up to `most` in size."""
    grid = itertools.product(range(-most, most + 1), repeat=3)
    return torch.tensor(list(grid), dtype=torch.float64)


def test_reduction_keeps_the_lattice() -> None:
    """The change of basis is an integer matrix of determinant ±1."""
    change = reduce_cells(random_cells(50, 0))
    torch.testing.assert_close(change, change.round(), rtol=0, atol=0)
    torch.testing.assert_close(
        torch.linalg.det(change).abs(), torch.ones(50, dtype=torch.float64)
    )


def test_reduced_vectors_are_the_shortest() -> None:
    """In three dimensions the reduced vectors realise the successive minima."""
    cells = random_cells(30, 1)
    reduced = reduce_cells(cells) @ cells
    for cell in reduced:
        points = triples(3)
        lengths, order = (points @ cell).norm(dim=1).sort()
        found: list[torch.Tensor] = []
        for length, point in zip(lengths[1:], points[order][1:], strict=True):
            if torch.linalg.matrix_rank(torch.stack([*found, point])) > len(found):
                torch.testing.assert_close(cell[len(found)].norm(), length)
                found.append(point)
            if len(found) == 3:
                break


def test_a_very_skewed_cell_is_reduced_to_a_cube() -> None:
    """A cube whose third vector leans by many cells."""
    skewed = torch.tensor([[[2.0, 0, 0], [346, 2, 0], [-2000, 442, 2]]]).double()
    reduced = reduce_cells(skewed) @ skewed
    torch.testing.assert_close(reduced[0].norm(dim=1), torch.full((3,), 2.0).double())


def test_geometry_of_an_orthorhombic_cell() -> None:
    """Spacings, heights and corner of a box are its edges and half its diagonal."""
    geometry = Geometry(torch.diag(torch.tensor([2.0, 3.0, 6.0])).double()[None])
    edges = torch.tensor([[2.0, 3.0, 6.0]]).double()
    torch.testing.assert_close(geometry.spacing, edges)
    torch.testing.assert_close(geometry.heights, edges)
    torch.testing.assert_close(geometry.lengths, edges)
    torch.testing.assert_close(geometry.volume, torch.tensor([36.0]).double())
    torch.testing.assert_close(geometry.corner, torch.tensor([3.5]).double())


@pytest.mark.parametrize("reach", [1.0, 7.5])
def test_no_translation_within_reach_is_missing(reach: float) -> None:
    """Every image of a wrapped vector within the cutoff is in the list."""
    cells = random_cells(12, 2)
    cells = reduce_cells(cells) @ cells
    images, filled = translations(Geometry(cells), torch.full((12,), reach).double())
    generator = torch.Generator().manual_seed(3)
    frac = torch.rand(200, 3, generator=generator, dtype=torch.float64) - 0.5
    for cell, chosen, empty in zip(cells, images, filled, strict=True):
        assert chosen[0].eq(0).all()
        listed = {tuple(n) for n in chosen[~empty].tolist()}
        candidates = triples(9)
        lengths = torch.cdist(frac @ cell, -candidates @ cell)
        needed = candidates[(lengths <= reach).any(dim=0)].tolist()
        assert {tuple(n) for n in needed} <= listed
        assert len(listed) == int((~empty).sum())


def test_half_of_reciprocal_space_holds_one_of_each_pair() -> None:
    """Together with their negatives the vectors are all within the cutoff, but zero."""
    cells = random_cells(8, 4)
    cells = reduce_cells(cells) @ cells
    reach = torch.full((8,), 6.0).double()
    indices, filled = reciprocal_half(Geometry(cells), reach)
    basis = 2 * math.pi * torch.linalg.inv(cells).transpose(1, 2)
    for chosen, empty, rows in zip(indices, filled, basis, strict=True):
        kept = chosen[~empty]
        assert chosen.abs().sum(dim=1).min() > 0
        listed = [tuple(n) for n in torch.cat([kept, -kept]).tolist()]
        candidates = triples(20)
        inside = (candidates @ rows).norm(dim=1) <= 6.0
        needed = candidates[inside & (candidates != 0).any(dim=1)].tolist()
        assert sorted(listed) == sorted(tuple(n) for n in needed)


def test_counting_polynomials_bound_the_points_in_a_ball() -> None:
    """Both bounds hold for random balls in cubes, needles and plates."""
    cells = random_cells(10, 5)
    cells = reduce_cells(cells) @ cells
    counts = counting_polynomials(Geometry(cells).heights)
    generator = torch.Generator().manual_seed(6)
    for cell, bounds in zip(cells, counts.unbind(1), strict=True):
        points = triples(10) @ cell
        for radius in (0.5, 2.0, 5.0):
            frac = torch.rand(20, 3, generator=generator, dtype=torch.float64)
            inside = (torch.cdist(frac @ cell, points) <= radius).sum(dim=1)
            powers = radius ** torch.arange(4, dtype=torch.float64)
            assert inside.max() <= (bounds @ powers).min() * (1 + 1e-12)
