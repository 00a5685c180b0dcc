"""Tests of crystaltensor.lattice.grouping."""

import numpy as np

from crystaltensor.lattice.cells import Geometry, reciprocal_half, translations
from crystaltensor.lattice.grouping import (
    count_hits,
    count_images,
    estimate,
    fastest_direct,
    group,
)
from crystaltensor.lattice.kernels import InversePower, Pauli


def cubes(n_atoms: list[int]) -> Geometry:
    """Return cubic lattices of 14 Å³ per atom."""
    edges = np.cbrt(14.0 * np.array(n_atoms))
    return Geometry(edges[:, None, None] * np.eye(3))


def test_estimates_are_near_the_true_counts() -> None:
    """Of images to try, and of waves; within a factor of 1.7 for a cube."""
    n_atoms = [8, 40, 200]
    lattices = cubes(n_atoms)
    reach = np.array([8.0, 11.0, 15.0])
    images = (~translations(lattices, reach)[1]).sum(axis=1)
    ratio = count_images(lattices, reach[:, None])[:, 0] / images
    assert ((ratio > 1 / 1.7) & (ratio < 1.7)).all()
    costs = estimate(lattices, n_atoms, 1e-10)
    middle = len(costs.etas) // 2
    wave_reach = np.full(3, 2 * costs.etas[middle] * 5.2)
    waves = (~reciprocal_half(lattices, wave_reach)[1]).sum(axis=1)
    ratio = costs.waves[:, middle] / waves
    assert ((ratio > 1 / 1.7) & (ratio < 1.7)).all()


def test_hits_are_the_points_in_a_ball() -> None:
    """On average over its centre, and one for good measure."""
    lattices = cubes([1])
    edge = lattices.lengths[0, 0]
    expected = 1 + 4 * np.pi / 3 * (10 / edge) ** 3
    np.testing.assert_allclose(count_hits(lattices, np.array([[10.0]])), expected)


def test_the_best_width_balances_both_halves() -> None:
    """It is never at the end of the range that is tried."""
    n_atoms = [1, 2, 10, 100, 1000]
    costs = estimate(cubes(n_atoms), n_atoms, 1e-10)
    best = costs.best()
    assert (best > 0).all()
    assert (best < len(costs.etas) - 1).all()


def test_fast_decay_is_summed_unsplit() -> None:
    """Where few images are needed, and only there."""
    n_atoms = [10]
    lattices = cubes(n_atoms)
    kernels = [InversePower(1), Pauli(3.0), Pauli(0.4)]
    reaches = {1: np.array([8.5]), 2: np.array([70.0])}
    costs = estimate(lattices, n_atoms, 1e-10)
    assert fastest_direct(costs, lattices, kernels, reaches) == [1]


def test_groups_share_a_width_and_hold_everything() -> None:
    """Whatever the sizes."""
    rng = np.random.default_rng(0)
    n_atoms = rng.integers(1, 150, size=200).tolist()
    groups, etas = group(estimate(cubes(n_atoms), n_atoms, 1e-10))
    assert sorted(i for members in groups for i in members) == list(range(200))
    assert all(len(set(etas[members])) == 1 for members in groups)
    assert len(groups) < 60
