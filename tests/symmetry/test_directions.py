"""Extremes over directions: closed formulas, brute force, any orientation."""

import numpy as np
import pytest

from crystaltensor.symmetry.derived import compliance
from crystaltensor.symmetry.directions import (
    compressibility_extremes,
    longitudinal,
    longitudinal_extreme,
    poisson_extremes,
    shear_extremes,
    young_extremes,
)
from crystaltensor.symmetry.notation import from_mandel, from_voigt, rotate


def random_rotation(seed: int) -> np.ndarray:
    """Draw an orthogonal matrix."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]


def random_stiffness(seed: int) -> np.ndarray:
    """Draw a stable triclinic stiffness."""
    root = np.random.default_rng(seed).normal(size=(6, 6))
    return from_mandel(root @ root.T + 0.3 * np.eye(6), 4)


def copper() -> np.ndarray:
    """Stiffness of copper, in GPa."""
    matrix = np.diag([46.0] * 3 + [75.0] * 3)
    matrix[:3, :3] += 122
    return from_voigt(matrix, 4)


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_extremes_of_copper_are_those_of_its_axes(seed: int | None) -> None:
    """Closed formulas for cubic crystals: Nye (1985), ch. VIII."""
    turn = np.eye(3) if seed is None else random_rotation(seed)
    stiff = rotate(copper(), turn)
    s11, s12, s44 = (
        compliance(copper())[0, 0, 0, 0],
        compliance(copper())[0, 0, 1, 1],
        4 * compliance(copper())[1, 2, 1, 2],
    )
    low, high = young_extremes(stiff)
    assert low.value == pytest.approx(1 / s11, rel=1e-12)
    assert high.value == pytest.approx(3 / (s11 + 2 * s12 + s44), rel=1e-12)
    along = turn.T @ low.direction
    assert np.abs(along).max() == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(np.abs(turn.T @ high.direction), 3**-0.5, atol=1e-9)
    soft, hard = shear_extremes(stiff)
    assert soft.value == pytest.approx(23.0, rel=1e-12)
    assert hard.value == pytest.approx(75.0, rel=1e-12)
    for one in (soft, hard):
        assert one.across is not None
        assert one.direction @ one.across == pytest.approx(0, abs=1e-9)
    first, last = compressibility_extremes(stiff)
    assert first.value == pytest.approx(1000 * (s11 + 2 * s12), rel=1e-12)
    assert last.value == pytest.approx(first.value, rel=1e-12)
    # Along [110], the sideways strains of metals like copper are extreme:
    # R. H. Baughman et al., Nature 392, 362 (1998).
    least, most = poisson_extremes(stiff)
    s_110 = s11 - (s11 - s12 - s44 / 2) / 2
    assert most.value == pytest.approx(-s12 / s_110, rel=1e-12)
    assert least.value < 0


@pytest.mark.parametrize("seed", range(4))
def test_no_direction_beats_the_extremes(seed: int) -> None:
    """A hundred thousand directions stay inside, and come near."""
    stiff = random_stiffness(seed)
    soft = compliance(stiff)
    frames = np.linalg.qr(np.random.default_rng(9).normal(size=(100_000, 3, 3)))[0]
    n, m = frames[:, 0], frames[:, 1]
    nn = (n[:, :, None] * n[:, None]).reshape(-1, 9)
    mm = (m[:, :, None] * m[:, None]).reshape(-1, 9)
    nm = (n[:, :, None] * m[:, None]).reshape(-1, 9)
    table = soft.reshape(9, 9)
    along = np.einsum("gi,ij,gj->g", nn, table, nn, optimize=True)
    values = {
        "young": (1 / along, young_extremes(stiff)),
        "shear": (
            0.25 / np.einsum("gi,ij,gj->g", nm, table, nm, optimize=True),
            shear_extremes(stiff),
        ),
        "poisson": (
            -np.einsum("gi,ij,gj->g", nn, table, mm, optimize=True) / along,
            poisson_extremes(stiff),
        ),
    }
    for seen, (low, high) in values.values():
        width = seen.max() - seen.min()
        assert low.value <= seen.min() + 1e-12
        assert high.value >= seen.max() - 1e-12
        assert seen.min() - low.value < 0.05 * width
        assert high.value - seen.max() < 0.05 * width


@pytest.mark.parametrize("seed", range(3))
def test_extremes_do_not_depend_on_the_axes(seed: int) -> None:
    """The values to rounding; the directions turn along."""
    stiff, turn = random_stiffness(seed), random_rotation(seed + 10)
    for function in (young_extremes, shear_extremes, poisson_extremes):
        for one, other in zip(
            function(stiff), function(rotate(stiff, turn)), strict=True
        ):
            assert one.value == pytest.approx(other.value, rel=1e-11)
            if function is shear_extremes:
                continue  # n and m may be exchanged
            assert abs(turn @ one.direction @ other.direction) == pytest.approx(
                1, abs=1e-6
            )


def test_the_largest_longitudinal_effect_of_zincblende_is_along_111() -> None:
    """e(n) = 6 e14 x y z, with the maximum 2 e14/√3; the sign of n makes it positive."""
    matrix = np.zeros((3, 6))
    matrix[0, 3] = matrix[1, 4] = matrix[2, 5] = -0.16
    found = longitudinal_extreme(from_voigt(matrix, 3))
    assert found.value == pytest.approx(2 * 0.16 / np.sqrt(3), rel=1e-12)
    np.testing.assert_allclose(np.abs(found.direction), 3**-0.5, atol=1e-9)
    assert np.prod(found.direction) < 0
    assert longitudinal(from_voigt(matrix, 3), found.direction) == pytest.approx(
        found.value
    )


def test_the_largest_longitudinal_effect_may_lie_off_all_axes() -> None:
    """Class 6mm with a large e15: where the derivative vanishes, by a formula."""
    e15, e31, e33 = -4.0, 0.5, 1.0
    matrix = np.zeros((3, 6))
    matrix[2, :3], matrix[0, 4], matrix[1, 3] = (e31, e31, e33), e15, e15
    found = longitudinal_extreme(from_voigt(matrix, 3))
    # e(z) = a z + (e33 - a) z³ with a = e31 + 2 e15, z the cosine to the axis.
    a = e31 + 2 * e15
    z = np.sqrt(-a / (3 * (e33 - a)))
    assert found.value == pytest.approx(abs(a * z + (e33 - a) * z**3), rel=1e-12)
    assert abs(found.direction[2]) == pytest.approx(z, abs=1e-7)


def test_even_ranks_keep_the_sign_of_the_larger_extreme() -> None:
    """A tensor of rank two: the eigenvalue of the largest size."""
    found = longitudinal_extreme(np.diag([1.0, -3, 2]))
    assert found.value == pytest.approx(-3)
    np.testing.assert_allclose(found.direction, [0, 1, 0], atol=1e-9)
    assert longitudinal(np.diag([1.0, -3, 2]), np.eye(3)).tolist() == [1, -3, 2]
