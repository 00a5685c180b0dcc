"""Born charges and other tensors of atoms."""

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.errors import ShapeError
from crystaltensor.symmetry.coordinates import to_components
from crystaltensor.symmetry.notation import rotate
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.symmetry.projection import project
from crystaltensor.symmetry.sites import project_site_tensors, site_projectors


@pytest.mark.parametrize(
    "name", ["gallium_arsenide", "wurtzite", "quartz", "triclinic"]
)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_site_tensors_obey_the_space_group(
    name: str, rank: int, request: pytest.FixtureRequest
) -> None:
    """Every operation takes the tensor of an atom to that of its image."""
    crystal = request.getfixturevalue(name)
    found = find_symmetry(crystal)
    given = np.random.default_rng(0).normal(size=(crystal.n_atoms, *(3,) * rank))
    tensors = project_site_tensors(given, found)
    for rotation, images in zip(found.rotations, found.permutations, strict=True):
        np.testing.assert_allclose(
            tensors[images], rotate(tensors, rotation, rank=rank), atol=1e-13
        )
    np.testing.assert_allclose(
        project_site_tensors(tensors, found), tensors, atol=1e-13
    )
    # The sum over atoms is the projection of the sum: nothing is lost.
    total = project(given.sum(axis=0), found.rotations)
    np.testing.assert_allclose(tensors.sum(axis=0), total, atol=1e-12)


def test_born_charges_of_zincblende_are_isotropic(gallium_arsenide: Crystal) -> None:
    """Site symmetry -43m leaves Z* = Z 1, and the sum rule opposite charges."""
    found = find_symmetry(gallium_arsenide)
    given = np.random.default_rng(2).normal(size=(2, 3, 3)) + np.eye(3)
    charges = project_site_tensors(given, found, sum_rule=True)
    mean = np.trace(given, axis1=1, axis2=2) / 3
    half = (mean[0] - mean[1]) / 2
    np.testing.assert_allclose(
        charges, [half * np.eye(3), -half * np.eye(3)], atol=1e-14
    )


def test_site_tensors_of_a_supercell_are_those_of_the_crystal(
    gallium_arsenide: Crystal,
) -> None:
    """A cell doubled along one axis has less symmetry than its crystal, which counts."""
    cell = gallium_arsenide.cell * [[2], [1], [1]]
    shifts = np.array([[[0, 0, 0]], [[1, 0, 0]]])
    frac = (gallium_arsenide.frac + shifts).reshape(4, 3)
    doubled = Crystal(cell, frac * [0.5, 1, 1], np.tile(gallium_arsenide.numbers, 2))
    found = find_symmetry(doubled)
    assert found.n_ops == 24
    given = np.random.default_rng(2).normal(size=(4, 3, 3))
    charges = project_site_tensors(given, found)
    gallium = np.trace(given[[0, 2]].mean(axis=0)) / 3
    np.testing.assert_allclose(charges[0], gallium * np.eye(3), atol=1e-14)
    np.testing.assert_array_equal(charges[0], charges[2])
    np.testing.assert_array_equal(charges[1], charges[3])


def test_tensors_that_do_not_fit_the_atoms_are_refused(wurtzite: Crystal) -> None:
    """One for each atom, of rank 1 to 4."""
    with pytest.raises(
        ShapeError, match=r"4 atoms need tensors of shape \(4, 3, ..., 3\)"
    ):
        project_site_tensors(np.zeros((3, 3, 3)), find_symmetry(wurtzite))
    with pytest.raises(ShapeError, match="rank 1 to 4"):
        project_site_tensors(np.zeros(4), find_symmetry(wurtzite))


@pytest.mark.parametrize("name", ["gallium_arsenide", "wurtzite", "quartz"])
def test_projectors_of_sites_allow_what_the_space_group_does(
    name: str, request: pytest.FixtureRequest
) -> None:
    """Tensors that obey it are inside; a site in zincblende allows a multiple of one."""
    crystal = request.getfixturevalue(name)
    found = find_symmetry(crystal)
    given = np.random.default_rng(3).normal(size=(crystal.n_atoms, 3, 3))
    tensors = to_components(project_site_tensors(given, found), "ij")
    projectors = site_projectors(found, "ij")
    inside = np.einsum("nab,nb->na", projectors, tensors)
    np.testing.assert_allclose(inside, tensors, atol=1e-12)
    n_free = np.trace(projectors, axis1=1, axis2=2).round(9)
    expected = {"gallium_arsenide": [1, 1], "wurtzite": [2] * 4}
    if name in expected:
        np.testing.assert_array_equal(n_free, expected[name])
    else:
        np.testing.assert_array_equal(n_free, [5] * 3 + [9] * 6)
