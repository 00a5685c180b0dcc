"""Moduli, stability, refractive indices and d against numbers of the literature."""

import numpy as np
import pytest

from crystaltensor.errors import DataError, ShapeError
from crystaltensor.symmetry.derived import (
    compliance,
    from_strain_voigt,
    moduli,
    piezo_strain,
    principal_values,
    refractive_indices,
    stability,
    strain_voigt,
)
from crystaltensor.symmetry.notation import from_voigt, rotate, to_voigt


def cubic(c11: float, c12: float, c44: float) -> np.ndarray:
    """Stiffness of a cubic crystal along its axes."""
    matrix = np.diag([c11 - c12] * 3 + [c44] * 3)
    matrix[:3, :3] += c12
    return from_voigt(matrix, 4)


def hexagonal(c11: float, c12: float, c13: float, c33: float, c44: float) -> np.ndarray:
    """Stiffness of a hexagonal crystal along its axes."""
    matrix = np.diag([c11 - c12, c11 - c12, c33, c44, c44, (c11 - c12) / 2])
    matrix[:2, :2] += c12
    matrix[:2, 2] = matrix[2, :2] = c13
    return from_voigt(matrix, 4)


def random_rotation(seed: int = 1) -> np.ndarray:
    """Draw an orthogonal matrix."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]


def test_moduli_of_copper() -> None:
    """C of copper gives K = 137 GPa and G between 40 and 55 GPa.

    Constants of J. F. Nye, Physical Properties of Crystals (1985), ch. VIII; the means
    by hand from the formulas of Voigt and Reuss for cubic crystals.
    """
    c11, c12, c44 = 168.0, 122.0, 75.0
    found = moduli(rotate(cubic(c11, c12, c44), random_rotation()))
    bulk, shear_voigt = (c11 + 2 * c12) / 3, (c11 - c12 + 3 * c44) / 5
    shear_reuss = 5 * c44 * (c11 - c12) / (4 * c44 + 3 * (c11 - c12))
    assert found.bulk_voigt == pytest.approx(bulk, rel=1e-12)
    assert found.bulk_reuss == pytest.approx(bulk, rel=1e-12)
    assert found.shear_voigt == pytest.approx(shear_voigt, rel=1e-12)
    assert found.shear_reuss == pytest.approx(shear_reuss, rel=1e-12)
    assert found.shear_hill == pytest.approx((shear_voigt + shear_reuss) / 2, rel=1e-12)
    # For cubic crystals A_U follows from Zener's ratio: eq. 11 of Ranganathan and
    # Ostoja-Starzewski (2008).
    zener = 2 * c44 / (c11 - c12)
    expected = 6 / 5 * (zener**0.5 - zener**-0.5) ** 2
    assert found.universal_anisotropy == pytest.approx(expected, rel=1e-12)
    assert found.young == pytest.approx(
        9 * bulk * found.shear_hill / (3 * bulk + found.shear_hill)
    )
    assert 0.3 < found.poisson < 0.38


def test_an_isotropic_solid_has_one_modulus_of_each_kind() -> None:
    """All means agree, and the anisotropy vanishes."""
    bulk, shear = 70.0, 26.0
    found = moduli(cubic(bulk + 4 / 3 * shear, bulk - 2 / 3 * shear, shear))
    assert found.bulk_hill == pytest.approx(bulk)
    assert found.shear_hill == pytest.approx(shear)
    assert found.universal_anisotropy == pytest.approx(0, abs=1e-12)
    assert found.poisson == pytest.approx(
        (3 * bulk - 2 * shear) / (6 * bulk + 2 * shear)
    )


def test_moduli_of_a_data_set_agree_with_a_sum_over_orientations() -> None:
    """Voigt's mean is the mean over all orientations: a slow second way."""
    stiff = hexagonal(396.0, 137, 108, 373, 116)
    rng = np.random.default_rng(0)
    total = np.zeros_like(stiff)
    turns = np.linalg.qr(rng.normal(size=(4000, 3, 3)))[0]
    for turn in turns:
        total += rotate(stiff, turn)
    mean = to_voigt(total / len(turns), 4)
    found = moduli(stiff)
    # 4000 draws leave an error of a few parts in a thousand.
    assert mean[3, 3] == pytest.approx(found.shear_voigt, rel=5e-3)
    assert (mean[0, 0] + 2 * mean[0, 1]) / 3 == pytest.approx(
        found.bulk_voigt, rel=5e-3
    )


def test_born_stability_of_a_cubic_crystal() -> None:
    """Eigenvalues are C11 + 2 C12, C11 - C12 and 2 C44 (Mouhat and Coudert, 2014)."""
    turn = random_rotation(3)
    found = stability(rotate(cubic(168.0, 122.0, 75.0), turn))
    assert found.margin == pytest.approx(46.0)
    assert found.stable
    assert np.linalg.norm(found.softest) == pytest.approx(1)
    assert np.trace(found.softest) == pytest.approx(0, abs=1e-12)
    unstable = stability(cubic(100.0, 120.0, 75.0))
    assert unstable.margin == pytest.approx(-20.0)
    assert not unstable.stable
    soft = stability(cubic(168.0, 122.0, 5.0))
    assert soft.margin == pytest.approx(10.0)
    np.testing.assert_allclose(np.diag(soft.softest), 0, atol=1e-12)


def test_refractive_indices_of_rutile() -> None:
    """ε = (6.84, 6.84, 8.43) gives n_o = 2.616 and n_e = 2.903 (Nye's definition)."""
    turn = random_rotation(2)
    indices, axes = refractive_indices(rotate(np.diag([6.843, 6.843, 8.427]), turn))
    np.testing.assert_allclose(indices, [2.616, 2.616, 2.903], atol=1e-3)
    assert abs(axes[2] @ turn[:, 2]) == pytest.approx(1)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)


def test_a_negative_permittivity_has_no_index() -> None:
    """The message gives the value."""
    with pytest.raises(DataError, match=r"principal value .* is -1: there is no"):
        refractive_indices(np.diag([2.0, 3, -1]))
    with pytest.raises(ShapeError, match=r"shape \(3, 3\), not \(3,\)"):
        principal_values([1.0, 2, 3])


def test_piezoelectric_moduli_of_zinc_oxide() -> None:
    """E and C of ZnO give d33 = 12.4 and d31 = -5.4 pC/N within a few per cent.

    e31 = -0.57, e33 = 1.32, e15 = -0.48 C/m²; C of T. B. Bateman, J. Appl. Phys. 33,
    3309 (1962): 209.7, 121.1, 105.1, 210.9, 42.5 GPa. By hand from e = d·C.
    """
    piezo = np.zeros((3, 6))
    piezo[2, :3] = -0.57, -0.57, 1.32
    piezo[0, 4] = piezo[1, 3] = -0.48
    stiff = hexagonal(209.7, 121.1, 105.1, 210.9, 42.5)
    found = piezo_strain(from_voigt(piezo, 3), stiff)
    d = strain_voigt(found)
    compliances = np.linalg.inv(to_voigt(stiff, 4))
    np.testing.assert_allclose(d, 1000 * piezo @ compliances, atol=1e-12)
    assert d[2, 2] == pytest.approx(11.9, abs=0.5)
    assert d[2, 0] == pytest.approx(-5.4, abs=0.4)
    assert d[0, 4] == pytest.approx(-0.48 / 42.5 * 1000)
    np.testing.assert_allclose(from_strain_voigt(d), found, atol=1e-15)
    # In any frame d is the same tensor.
    turn = random_rotation(4)
    turned = piezo_strain(rotate(from_voigt(piezo, 3), turn), rotate(stiff, turn))
    np.testing.assert_allclose(turned, rotate(found, turn), atol=1e-11)


def test_compliances_invert_a_stiffness() -> None:
    """S C is the identity of symmetric tensors."""
    stiff = rotate(hexagonal(209.7, 121.1, 105.1, 210.9, 42.5), random_rotation(7))
    both = np.einsum("ijkl,klmn->ijmn", compliance(stiff), stiff)
    one = np.eye(3)
    expected = np.einsum("im,jn->ijmn", one, one) + np.einsum("in,jm->ijmn", one, one)
    np.testing.assert_allclose(both, expected / 2, atol=1e-13)


def test_a_stiffness_without_inverse_is_an_error() -> None:
    """C11 = C12 costs no energy in a shear."""
    with pytest.raises(DataError, match="the stiffness has no inverse"):
        compliance(cubic(100.0, 100.0, 50.0))
