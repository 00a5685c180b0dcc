"""Force constants: closed forms, brute force, sum rules."""

import numpy as np
import pytest
from ase.calculators.lj import LennardJones

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.response.force_constants import (
    displaced,
    find_force_constants,
    strained,
)
from crystaltensor.response.potentials import AsePotential
from crystaltensor.symmetry.operations import Symmetry, find_symmetry
from crystaltensor.symmetry.primitive import primitive_symmetry
from tests.response.conftest import EDGE, SPRING


@pytest.fixture
def lennard_jones() -> AsePotential:
    """Put the crystals under pressure; the forces end smoothly at a cutoff."""
    calculator = LennardJones(sigma=1.9, epsilon=0.3, rc=6.0, smooth=True)
    return AsePotential("lj", calculator, identity="lj")


@pytest.fixture
def wurtzite() -> Symmetry:
    """AlN; three independent displacements of four atoms."""
    u = 0.382
    crystal = Crystal.from_symbols(
        [[3.11, 0, 0], [-1.555, 3.11 * np.sqrt(0.75), 0], [0, 0, 4.98]],
        [
            [1 / 3, 2 / 3, 0],
            [2 / 3, 1 / 3, 0.5],
            [1 / 3, 2 / 3, u],
            [2 / 3, 1 / 3, u + 0.5],
        ],
        ["Al", "Al", "N", "N"],
    )
    return find_symmetry(crystal)


def test_springs_in_zincblende_have_a_known_force_constant(
    zincblende: Symmetry, nearest: AsePotential
) -> None:
    """Four bonds of stiffness k sum to 4k/3 in every direction."""
    found = find_force_constants(zincblende, nearest)
    expected = 4 / 3 * SPRING * np.eye(3)
    np.testing.assert_allclose(found.phi[0, :, 0], expected, atol=2e-3)
    np.testing.assert_allclose(found.phi[0, :, 1], -expected, atol=2e-3)
    assert found.residual_force < 1e-10


def test_springs_in_zincblende_have_a_known_internal_strain(
    zincblende: Symmetry, nearest: AsePotential
) -> None:
    """The force of a shear is k d · 2s · 4/(3√3) along the third axis."""
    found = find_force_constants(zincblende, nearest)
    bond = EDGE * np.sqrt(3) / 4
    expected = SPRING * bond * 4 / (3 * np.sqrt(3))
    for i, j, k in ((0, 1, 2), (1, 0, 2), (2, 0, 1)):
        assert abs(found.internal_strain[0, i, j, k]) == pytest.approx(
            expected, rel=1e-3
        )
    assert abs(found.internal_strain[0, 0, 0, 0]) < 1e-9


def test_symmetry_saves_most_calculations(
    zincblende: Symmetry, nearest: AsePotential
) -> None:
    """One displacement of each atom and one strain stand for all."""
    found = find_force_constants(zincblende, nearest)
    assert found.n_calls <= 7
    assert found.n_calls_unreduced == 24


def test_reduction_agrees_with_brute_force(
    wurtzite: Symmetry, lennard_jones: AsePotential
) -> None:
    """Every displacement and strain by itself, without any symmetry."""
    found = find_force_constants(wurtzite, lennard_jones)
    crystal, step = wurtzite.crystal, 1e-3
    lennard_jones.displacement = step
    fine = find_force_constants(wurtzite, lennard_jones)
    assert found.n_calls < 20 < found.n_calls_unreduced
    phi = np.zeros((4, 3, 4, 3))
    for atom in range(4):
        for axis in range(3):
            move = step * np.eye(3)[axis]
            ahead, behind = lennard_jones.evaluate(
                [displaced(crystal, atom, move), displaced(crystal, atom, -move)]
            )
            phi[atom, axis] = -(ahead.forces - behind.forces) / (2 * step)
    scale = np.abs(phi).max()
    np.testing.assert_allclose(fine.phi, phi, atol=1e-4 * scale)
    np.testing.assert_allclose(found.phi, phi, atol=2e-2 * scale)
    for i in range(3):
        for j in range(3):
            strain = np.zeros((3, 3))
            strain[i, j] += step / 6
            strain[j, i] += step / 6
            ahead, behind = lennard_jones.evaluate(
                [strained(crystal, strain), strained(crystal, -strain)]
            )
            slope = (ahead.forces - behind.forces) / (2 * step / 3)
            expected = fine.internal_strain[:, :, i, j]
            np.testing.assert_allclose(slope, expected, atol=1e-4 * scale)


def test_acoustic_sum_rules_hold(
    wurtzite: Symmetry, lennard_jones: AsePotential
) -> None:
    """A rigid translation feels nothing, to rounding."""
    found = find_force_constants(wurtzite, lennard_jones)
    assert np.abs(found.phi.sum(axis=0)).max() < 1e-9
    assert np.abs(found.phi.sum(axis=2)).max() < 1e-9
    assert np.abs(found.internal_strain.sum(axis=0)).max() < 1e-9
    flat = found.phi.reshape(12, 12)
    np.testing.assert_allclose(flat, flat.T, atol=1e-12)
    assert found.sum_rule_error < 1e-2


def test_stress_of_a_displacement_is_the_force_of_a_strain(
    zincblende: Symmetry, stiff: AsePotential
) -> None:
    """Λ is a mixed second derivative: ∂F/∂ε = -Ω ∂σ/∂u where no force is left."""
    found = find_force_constants(zincblende, stiff)
    crystal, step = zincblende.crystal, 1e-3
    for axis in range(3):
        move = step * np.eye(3)[axis]
        ahead, behind = stiff.evaluate(
            [displaced(crystal, 0, move), displaced(crystal, 0, -move)], stress=True
        )
        slope = -crystal.volume * (ahead.stress - behind.stress) / (2 * step)
        np.testing.assert_allclose(found.internal_strain[0, axis], slope, atol=2e-2)


def test_supercells_have_the_force_constants_of_their_crystal(
    zincblende: Symmetry, nearest: AsePotential
) -> None:
    """They are those of the primitive cell, in the axes of the input."""
    crystal = zincblende.crystal
    double = Crystal(
        crystal.cell * np.array([[2.0], [1.0], [1.0]]),
        np.concatenate(
            [crystal.frac / [2, 1, 1], crystal.frac / [2, 1, 1] + [0.5, 0, 0]]
        ),
        np.tile(crystal.numbers, 2),
    )
    primitive, index = primitive_symmetry(find_symmetry(double))
    assert primitive.crystal.n_atoms == 2
    assert index.tolist() == [0, 1, 0, 1]
    found = find_force_constants(primitive, nearest)
    np.testing.assert_allclose(
        found.phi, find_force_constants(zincblende, nearest).phi, atol=1e-6
    )
