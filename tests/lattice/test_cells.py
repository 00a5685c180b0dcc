"""Tests of crystaltensor.lattice.cells."""

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from crystaltensor.lattice.cells import (
    Geometry,
    counting_polynomials,
    reciprocal_half,
    reduce_cells,
    translations,
)

Array = NDArray[np.float64]


def random_cells(n_crystals: int, seed: int) -> Array:
    """Skewed cells of both handednesses, some of them needles and plates."""
    rng = np.random.default_rng(seed)
    cells = rng.normal(size=(n_crystals, 3, 3))
    cells = cells * 10 ** (rng.random((n_crystals, 3, 1)) - 0.3) + np.eye(3)
    return cells * np.cbrt(20 / np.abs(np.linalg.det(cells)))[:, None, None]


def triples(most: int) -> Array:
    """All integer triples up to `most` in size."""
    grid = itertools.product(range(-most, most + 1), repeat=3)
    return np.array(list(grid), dtype=np.float64)


def distances(first: Array, second: Array) -> Array:
    """All distances between two lists of points."""
    return np.linalg.norm(first[:, None] - second[None], axis=2)


def test_reduction_keeps_the_lattice() -> None:
    """The change of basis is an integer matrix of determinant ±1."""
    change = reduce_cells(random_cells(50, 0))
    np.testing.assert_array_equal(change, change.round())
    np.testing.assert_allclose(np.abs(np.linalg.det(change)), 1)


def test_reduced_vectors_are_the_shortest() -> None:
    """In three dimensions the reduced vectors realise the successive minima."""
    cells = random_cells(30, 1)
    reduced = reduce_cells(cells) @ cells
    for cell in reduced:
        points = triples(3)
        lengths = np.linalg.norm(points @ cell, axis=1)
        found: list[Array] = []
        for i in lengths.argsort()[1:]:
            if np.linalg.matrix_rank(np.stack([*found, points[i]])) > len(found):
                assert np.linalg.norm(cell[len(found)]) == pytest.approx(lengths[i])
                found.append(points[i])
            if len(found) == 3:
                break


def test_a_very_skewed_cell_is_reduced_to_a_cube() -> None:
    """A cube whose third vector leans by many cells."""
    skewed = np.array([[[2.0, 0, 0], [346, 2, 0], [-2000, 442, 2]]])
    reduced = reduce_cells(skewed) @ skewed
    np.testing.assert_allclose(np.linalg.norm(reduced[0], axis=1), 2.0)


def test_geometry_of_an_orthorhombic_cell() -> None:
    """Spacings, heights and corner of a box are its edges and half its diagonal."""
    edges = np.array([[2.0, 3.0, 6.0]])
    geometry = Geometry(np.diag(edges[0])[None])
    np.testing.assert_allclose(geometry.spacing, edges)
    np.testing.assert_allclose(geometry.heights, edges)
    np.testing.assert_allclose(geometry.lengths, edges)
    np.testing.assert_allclose(geometry.volume, 36.0)
    np.testing.assert_allclose(geometry.corner, 3.5)
    np.testing.assert_allclose(geometry.reciprocal[0], np.diag(2 * np.pi / edges[0]))


def test_geometry_of_skewed_cells() -> None:
    """The volume is the determinant; the heights come from a QR decomposition."""
    cells = random_cells(20, 7)
    geometry = Geometry(cells)
    np.testing.assert_allclose(geometry.volume, np.abs(np.linalg.det(cells)))
    for cell, heights in zip(cells, geometry.heights, strict=True):
        triangle = np.linalg.qr(cell.T)[1]
        np.testing.assert_allclose(np.abs(np.diag(triangle)), heights)


@pytest.mark.parametrize("reach", [1.0, 7.5])
def test_no_translation_within_reach_is_missing(reach: float) -> None:
    """Every image of a wrapped vector within the cutoff is in the list."""
    cells = random_cells(12, 2)
    cells = reduce_cells(cells) @ cells
    images, filled = translations(Geometry(cells), np.full(12, reach))
    frac = np.random.default_rng(3).random((200, 3)) - 0.5
    for cell, chosen, empty in zip(cells, images, filled, strict=True):
        assert not chosen[0].any()
        listed = {tuple(n) for n in chosen[~empty]}
        candidates = triples(9)
        lengths = distances(frac @ cell, -candidates @ cell)
        needed = candidates[(lengths <= reach).any(axis=0)]
        assert {tuple(n) for n in needed} <= listed
        assert len(listed) == (~empty).sum()


def test_half_of_reciprocal_space_holds_one_of_each_pair() -> None:
    """Together with their negatives the vectors are all within the cutoff, but zero."""
    cells = random_cells(8, 4)
    cells = reduce_cells(cells) @ cells
    indices, filled = reciprocal_half(Geometry(cells), np.full(8, 6.0))
    basis = 2 * math.pi * np.linalg.inv(cells).swapaxes(1, 2)
    for chosen, empty, rows in zip(indices, filled, basis, strict=True):
        kept = chosen[~empty]
        assert chosen.any(axis=1).all()
        listed = sorted(tuple(n) for n in np.concatenate([kept, -kept]))
        candidates = triples(20)
        inside = np.linalg.norm(candidates @ rows, axis=1) <= 6.0
        needed = candidates[inside & candidates.any(axis=1)]
        assert listed == sorted(tuple(n) for n in needed)


def test_counting_polynomials_bound_the_points_in_a_ball() -> None:
    """Both bounds hold for random balls in cubes, needles and plates."""
    cells = random_cells(10, 5)
    cells = reduce_cells(cells) @ cells
    counts = counting_polynomials(Geometry(cells).heights)
    rng = np.random.default_rng(6)
    for i, cell in enumerate(cells):
        points = triples(10) @ cell
        for radius in (0.5, 2.0, 5.0):
            centres = rng.random((20, 3)) @ cell
            inside = (distances(centres, points) <= radius).sum(axis=1)
            bounds = counts[:, i] @ radius ** np.arange(4.0)
            assert inside.max() <= bounds.min() * (1 + 1e-12)
