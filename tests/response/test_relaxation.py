"""Relaxation: to where the forces vanish, in the space group of the start."""

import numpy as np
import pytest
from ase.calculators.lj import LennardJones

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.errors import PotentialError
from crystaltensor.response.force_constants import find_force_constants
from crystaltensor.response.potentials import AsePotential
from crystaltensor.response.relaxation import FORCE_TOLERANCE, relax
from crystaltensor.symmetry.operations import Symmetry, find_symmetry
from tests.response.conftest import EDGE, Springs


@pytest.fixture
def shifted() -> Symmetry:
    """Zincblende stretched along a bond: the sublattices shift against each other."""
    half = EDGE / 2
    crystal = Crystal.from_symbols(
        [[0, half, half], [half, 0, half], [half, half, 0]],
        [[0, 0, 0], [0.26, 0.26, 0.26]],
        ["Ga", "As"],
    )
    return find_symmetry(crystal, symprec=1e-3)


def test_relaxation_finds_the_place_without_forces(shifted: Symmetry) -> None:
    """Newton steps lead from a shifted sublattice to zincblende."""
    potential = AsePotential("springs", Springs(1.5), identity="springs")
    start = find_force_constants(shifted, potential)
    assert start.residual_force > FORCE_TOLERANCE
    found = relax(shifted, potential, start.phi)
    assert found.symmetry.number in {160, 216}
    apart = np.diff(found.symmetry.crystal.frac, axis=0)[0]
    np.testing.assert_allclose(apart, 0.25, atol=1e-3)
    assert found.largest_move > 0.01
    after = find_force_constants(found.symmetry, potential)
    assert after.residual_force < FORCE_TOLERANCE


def test_a_relaxation_that_does_not_end_says_so(shifted: Symmetry) -> None:
    """With the force that is left."""
    potential = AsePotential("springs", Springs(1.5), identity="springs")
    phi = find_force_constants(shifted, potential).phi
    with pytest.raises(PotentialError, match=r"leaves a force of .* after 1 steps"):
        relax(shifted, potential, phi, most=1)


def test_a_crystal_without_free_coordinates_stays(zincblende: Symmetry) -> None:
    """Symmetry fixes both atoms of zincblende."""
    calculator = LennardJones(sigma=2.0, epsilon=0.3, rc=6.0, smooth=True)
    potential = AsePotential("lj", calculator, identity="lj")
    phi = find_force_constants(zincblende, potential).phi
    found = relax(zincblende, potential, phi)
    assert found.largest_move == 0.0
    assert found.n_calls == 1
