"""What a tensor may be if its standardised axes are known without the atoms."""

import numpy as np

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.symmetry.normalizer import indistinguishable
from crystaltensor.symmetry.operations import Symmetry, find_symmetry
from crystaltensor.symmetry.projection import project


def allowed(symmetry: Symmetry) -> np.ndarray:
    """Draw a piezoelectric tensor that a crystal allows."""
    drawn = np.random.default_rng(1).normal(size=(3, 3, 3))
    return project(drawn, symmetry.rotations, index_symmetry="ijk=ikj")


def test_zincblende_has_a_free_sign(gallium_arsenide: Crystal) -> None:
    """A quarter turn swaps the two tetrahedra, and the sign of e14."""
    symmetry = find_symmetry(gallium_arsenide)
    e = allowed(symmetry)
    found = indistinguishable(e, symmetry)
    assert len(found) == 2
    np.testing.assert_allclose(found[1], -e, atol=1e-12)


def test_a_polar_axis_may_point_up_or_down(wurtzite: Crystal) -> None:
    """A half turn about a changes the sign of all three constants of class 6mm."""
    symmetry = find_symmetry(wurtzite)
    e = allowed(symmetry)
    found = indistinguishable(e, symmetry)
    np.testing.assert_allclose(found, [e, -e], atol=1e-12)


def test_every_alternative_is_allowed_and_as_large(quartz: Crystal) -> None:
    """They are rotated tensors of the same crystal class, and none comes twice."""
    symmetry = find_symmetry(quartz)
    e = allowed(symmetry)
    found = indistinguishable(e, symmetry)
    assert len(found) == 2
    for one in found:
        kept = project(one, symmetry.rotations, index_symmetry="ijk=ikj")
        np.testing.assert_allclose(kept, one, atol=1e-12)
        assert np.isclose(np.linalg.norm(one), np.linalg.norm(e))


def test_without_symmetry_of_the_lattice_there_is_no_choice(triclinic: Crystal) -> None:
    """No rotation maps a triclinic lattice to itself."""
    symmetry = find_symmetry(triclinic)
    assert len(indistinguishable(allowed(symmetry), symmetry)) == 1
