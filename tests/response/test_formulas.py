"""Response formulas against closed forms."""

import numpy as np
import pytest

from crystaltensor.response.force_constants import find_force_constants
from crystaltensor.response.formulas import IonicResponse
from crystaltensor.response.modes import Modes
from crystaltensor.response.potentials import AsePotential
from crystaltensor.response.units import (
    E_PER_A2_IN_C_PER_M2,
    EV_PER_A3_IN_GPA,
    VACUUM_PERMITTIVITY,
)
from crystaltensor.symmetry.notation import rotate, to_voigt
from crystaltensor.symmetry.operations import Symmetry
from tests.response.conftest import EDGE, SPRING

CHARGE = 2.1


def respond(symmetry: Symmetry, potential: AsePotential) -> IonicResponse:
    """Ionic response with charges of ±2.1 e."""
    found = find_force_constants(symmetry, potential)
    charges = CHARGE * np.array([np.eye(3), -np.eye(3)])
    volume = symmetry.crystal.volume
    return IonicResponse(Modes.of(found.phi), found.internal_strain, charges, volume)


def test_central_forces_give_the_piezoelectric_constant_of_rigid_bonds(
    zincblende: Symmetry, nearest: AsePotential
) -> None:
    """Kleinman's ζ is 1 for springs: e14 = ζ Z*/a² (R. M. Martin, PRB 5, 1607, 1972)."""
    e = to_voigt(respond(zincblende, nearest).piezo(0.0).sum(axis=0), 3)
    expected = CHARGE / EDGE**2 * E_PER_A2_IN_C_PER_M2
    assert np.abs(e[[0, 1, 2], [3, 4, 5]]) == pytest.approx([expected] * 3, rel=2e-3)


def test_the_dipole_of_a_spring_is_that_of_an_oscillator(
    zincblende: Symmetry, nearest: AsePotential
) -> None:
    """The relative coordinate has the stiffness 4k/3: ε = Z²/(ε₀ Ω 4k/3)."""
    response = respond(zincblende, nearest)
    found = response.dielectric(0.0).sum(axis=0)
    expected = CHARGE**2 / (VACUUM_PERMITTIVITY * response.volume * 4 * SPRING / 3)
    np.testing.assert_allclose(found, expected * np.eye(3), rtol=1e-3, atol=1e-9)


def test_shear_is_free_where_bonds_keep_their_length(
    zincblende: Symmetry, nearest: AsePotential
) -> None:
    """With ζ = 1 no bond is stretched: C44 of clamped ions is relaxed to zero."""
    found = find_force_constants(zincblende, nearest, elastic=True)
    assert found.clamped is not None
    clamped = to_voigt(found.clamped * EV_PER_A3_IN_GPA, 4)
    ionic = to_voigt(respond(zincblende, nearest).elastic(0.0).sum(axis=0), 4)
    assert clamped[3, 3] == pytest.approx(
        SPRING / (np.sqrt(3) * EDGE) * np.sqrt(3) / 3 * EV_PER_A3_IN_GPA, rel=0.01
    )
    assert clamped[3, 3] + ionic[3, 3] == pytest.approx(0, abs=0.02 * clamped[3, 3])


def test_response_turns_with_the_crystal(
    zincblende: Symmetry, stiff: AsePotential
) -> None:
    """A rotated file gives the rotated tensor."""
    from crystaltensor.crystals.crystal import Crystal
    from crystaltensor.symmetry.operations import find_symmetry

    axis = np.array([1.0, 2.0, -0.5])
    axis /= np.linalg.norm(axis)
    cross = np.cross(np.eye(3), axis)
    turn = np.eye(3) + np.sin(1.1) * cross + (1 - np.cos(1.1)) * cross @ cross
    crystal = zincblende.crystal
    turned = find_symmetry(
        Crystal(crystal.cell @ turn.T, crystal.frac, crystal.numbers)
    )
    before = respond(zincblende, stiff).piezo().sum(axis=0)
    after = respond(turned, stiff).piezo().sum(axis=0)
    np.testing.assert_allclose(
        after, rotate(before, turn), atol=1e-3 * np.linalg.norm(before)
    )
