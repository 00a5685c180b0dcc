"""Projection in all 230 space groups, in random orientations."""

from collections.abc import Callable

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.symmetry.frames import ieee_rotation
from crystaltensor.symmetry.notation import (
    from_mandel,
    from_voigt,
    rotate,
    to_mandel,
    to_voigt,
)
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.symmetry.projection import n_independent, project, projector

KINDS = {
    "i": 1,
    "ij": 2,
    "ij=ji": 2,
    "ijk=ikj": 3,
    "ijk": 3,
    "ijkl=jikl=ijlk": 4,
    "ijkl=jikl=ijlk=klij": 4,
}


def count(rotations: np.ndarray, index_symmetry: str, *, axial: bool) -> int:
    """Count constants by characters: the mean over the group, without a projector."""
    chi = np.trace(rotations, axis1=1, axis2=2)
    square = np.trace(rotations @ rotations, axis1=1, axis2=2)
    fourth = np.trace(np.linalg.matrix_power(rotations, 4), axis1=1, axis2=2)
    pair = (chi**2 + square) / 2  # of symmetric tensors of rank two
    pair_square = (square**2 + fourth) / 2
    characters = {
        "i": chi,
        "ij": chi**2,
        "ij=ji": pair,
        "ijk=ikj": chi * pair,
        "ijk": chi**3,
        "ijkl=jikl=ijlk": pair**2,
        "ijkl=jikl=ijlk=klij": (pair**2 + pair_square) / 2,
    }
    sign = np.linalg.det(rotations) if axial else np.ones(len(rotations))
    return round(float((sign * characters[index_symmetry]).mean()))


@pytest.mark.parametrize("number", range(1, 231))
def test_every_space_group_projects_exactly_in_any_orientation(
    make_crystal: Callable[[int], Crystal], number: int
) -> None:
    """P² = P = Pᵀ; counts of theory; rotating first or last is the same: all to 1e-12."""
    crystal = make_crystal(number)
    rng = np.random.default_rng(number)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    turned = Crystal(crystal.cell @ turn.T, crystal.frac, crystal.numbers)
    first, second = find_symmetry(crystal), find_symmetry(turned)
    assert first.number == second.number == number
    for index_symmetry, rank in KINDS.items():
        for axial in (False, True):
            matrix = projector(second.rotations, rank, axial=axial)
            assert np.abs(matrix @ matrix - matrix).max() < 1e-12
            assert np.abs(matrix - matrix.T).max() < 1e-12
            found = n_independent(second.rotations, index_symmetry, axial=axial)
            assert found == count(first.rotations, index_symmetry, axial=axial)
            tensor = rng.normal(size=(3,) * rank)
            options = {"index_symmetry": index_symmetry, "axial": axial}
            before = rotate(project(tensor, first.rotations, **options), turn)
            after = project(rotate(tensor, turn), second.rotations, **options)
            np.testing.assert_allclose(before, after, rtol=0, atol=1e-12)


@pytest.mark.parametrize("number", range(1, 231, 7))
def test_a_way_through_all_notations_and_frames_loses_nothing(
    make_crystal: Callable[[int], Crystal], number: int
) -> None:
    """Full to IEEE to Voigt to Mandel and back."""
    found = find_symmetry(make_crystal(number))
    axes = ieee_rotation(found)
    for index_symmetry, rank in (("ijk=ikj", 3), ("ijkl=jikl=ijlk=klij", 4)):
        given = np.random.default_rng(number).normal(size=(3,) * rank)
        tensor = project(given, found.rotations, index_symmetry=index_symmetry)
        ieee = rotate(tensor, axes)
        for order in ("voigt", "vasp"):
            for factors in ("stress", "strain"):
                matrix = to_voigt(ieee, rank, order=order, factors=factors)
                full = from_voigt(matrix, rank, order=order, factors=factors)
                back = rotate(from_mandel(to_mandel(full, rank), rank), axes.T)
                np.testing.assert_allclose(back, tensor, rtol=0, atol=1e-13)
