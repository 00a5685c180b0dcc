"""What pictures are drawn from."""

import numpy as np

from crystaltensor.symmetry.directions import shear_extremes, young_extremes
from crystaltensor.symmetry.notation import from_mandel
from crystaltensor.symmetry.surfaces import surfaces


def test_surfaces_take_the_values_of_their_extremes() -> None:
    """At the directions found by optimisation, and nothing beyond."""
    root = np.random.default_rng(1).normal(size=(6, 6))
    stiff = from_mandel(root @ root.T + np.eye(6), 4)
    drawn = {one.title: one for one in surfaces({"elastic": stiff})}
    n = np.random.default_rng(2).normal(size=(5000, 3))
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    low, high = young_extremes(stiff)
    young = drawn["Young's modulus"].function
    np.testing.assert_allclose(young(low.direction), low.value)
    assert low.value <= young(n).min() <= young(n).max() <= high.value
    soft, hard = shear_extremes(stiff)
    np.testing.assert_allclose(
        drawn["Largest shear modulus"].function(hard.direction), hard.value
    )
    np.testing.assert_allclose(
        drawn["Smallest shear modulus"].function(soft.direction), soft.value
    )
    assert len(drawn) == 4


def test_the_index_ellipsoid_has_the_indices_as_axes() -> None:
    """Its half-axes are √ε."""
    (one,) = surfaces({"dielectric": np.diag([4.0, 9, 16])})
    np.testing.assert_allclose(one.function(np.eye(3)), [2, 3, 4])


def test_longitudinal_surfaces_keep_the_sign() -> None:
    """Colour shows it."""
    piezo = np.zeros((3, 3, 3))
    piezo[2, 2, 2] = 1.5
    drawn = surfaces(
        {"piezo": piezo, "piezo-strain": 2 * piezo, "dielectric-total": np.eye(3)}
    )
    assert [one.unit for one in drawn] == ["C/m²", "pC/N", ""]
    np.testing.assert_allclose(drawn[0].function(np.array([0, 0, -1.0])), -1.5)
