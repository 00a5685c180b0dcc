"""Crystal classes: their operations and what they are called."""

import numpy as np
import pytest

from crystaltensor.errors import ShapeError, SymmetryError
from crystaltensor.symmetry.point_groups import (
    POINT_GROUPS,
    canonical_symbol,
    crystal_system,
    find_point_group,
    is_centrosymmetric,
    is_piezoelectric,
    is_polar,
    point_group_rotations,
)

# International Tables for Crystallography, vol. A, table 10.1.2.1.
ORDERS = dict(
    zip(
        POINT_GROUPS,
        (
            *(1, 2, 2, 2, 4, 4, 4, 8, 4, 4, 8, 8, 8, 8, 16, 3, 6, 6, 6, 12),
            *(6, 6, 12, 12, 12, 12, 24, 12, 24, 24, 24, 48),
        ),
        strict=True,
    )
)
CENTROSYMMETRIC = "-1 2/m mmm 4/m 4/mmm -3 -3m 6/m 6/mmm m-3 m-3m".split()
POLAR = "1 2 m mm2 4 4mm 3 3m 6 6mm".split()


def contains(group: np.ndarray, operation: list[list[float]]) -> bool:
    """Look for one matrix in a group."""
    return bool((np.abs(group - np.array(operation)).max(axis=(1, 2)) < 1e-12).any())


@pytest.mark.parametrize("symbol", POINT_GROUPS)
def test_each_class_is_a_group_of_the_order_in_the_tables(symbol: str) -> None:
    """Closed, without repetition, orthogonal, the identity first."""
    group = point_group_rotations(symbol)
    assert len(group) == ORDERS[symbol]
    np.testing.assert_array_equal(group[0], np.eye(3))
    np.testing.assert_allclose(group @ group.swapaxes(1, 2), [np.eye(3)] * len(group))
    products = np.einsum("gij,hjk->ghik", group, group).reshape(-1, 3, 3)
    apart = np.abs(products[:, None] - group).max(axis=(2, 3))
    assert apart.min(axis=1).max() < 1e-15
    assert (apart < 1e-12).sum() == len(group) ** 2


def test_eleven_classes_have_inversion_and_ten_are_polar() -> None:
    """International Tables, vol. A, ch. 10."""
    groups = {symbol: point_group_rotations(symbol) for symbol in POINT_GROUPS}
    assert [s for s, g in groups.items() if is_centrosymmetric(g)] == CENTROSYMMETRIC
    assert sorted(s for s, g in groups.items() if is_polar(g)) == sorted(POLAR)


def test_all_classes_without_inversion_but_432_are_piezoelectric() -> None:
    """Nye (1985), ch. VII: 20 classes."""
    found = {s for s in POINT_GROUPS if is_piezoelectric(point_group_rotations(s))}
    assert found == set(POINT_GROUPS) - set(CENTROSYMMETRIC) - {"432"}


@pytest.mark.parametrize(
    ("symbol", "operation"),
    [
        ("2", [[-1, 0, 0], [0, 1, 0], [0, 0, -1]]),
        ("m", [[1, 0, 0], [0, -1, 0], [0, 0, 1]]),
        ("mm2", [[-1, 0, 0], [0, -1, 0], [0, 0, 1]]),
        ("-42m", [[1, 0, 0], [0, -1, 0], [0, 0, -1]]),
        ("-4m2", [[-1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        ("32", [[1, 0, 0], [0, -1, 0], [0, 0, -1]]),
        ("312", [[-1, 0, 0], [0, 1, 0], [0, 0, -1]]),
        ("3m", [[-1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        ("31m", [[1, 0, 0], [0, -1, 0], [0, 0, 1]]),
        ("-6m2", [[-1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        ("-62m", [[1, 0, 0], [0, -1, 0], [0, 0, -1]]),
        ("4", [[0, -1, 0], [1, 0, 0], [0, 0, 1]]),
        ("-43m", [[0, 1, 0], [1, 0, 0], [0, 0, 1]]),
    ],
)
def test_each_setting_has_its_axes_where_nye_draws_them(
    symbol: str, operation: list[list[float]]
) -> None:
    """Nye (1985), appendix B, and the other setting where there are two."""
    assert contains(point_group_rotations(symbol), operation)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("-62m", "-6m2"),
        ("-4m2", "-42m"),
        ("321", "32"),
        ("31m", "3m"),
        ("m3m", "m-3m"),
        ("\N{MINUS SIGN}43m", "-43m"),
        (" 6 m m ", "6mm"),
        ("4/mmm", "4/mmm"),
    ],
)
def test_other_spellings_are_understood(written: str, meant: str) -> None:
    """Settings, short symbols, spaces and the typographic minus."""
    assert canonical_symbol(written) == meant
    assert len(point_group_rotations(written)) == ORDERS[meant]


@pytest.mark.parametrize("symbol", POINT_GROUPS)
def test_a_class_is_recognised_in_any_orientation(symbol: str) -> None:
    """Traces and determinants tell the 32 classes apart."""
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    assert find_point_group(turn @ point_group_rotations(symbol) @ turn.T) == symbol


def test_the_crystal_systems_are_those_of_the_tables() -> None:
    """By symbol, in any spelling."""
    assert crystal_system("-62m") == "hexagonal"
    assert crystal_system("3m") == "trigonal"
    assert crystal_system("m3") == "cubic"
    assert crystal_system("1") == "triclinic"


def test_a_misspelt_class_gets_a_suggestion() -> None:
    """Or the list, if nothing is close."""
    with pytest.raises(SymmetryError, match=r"'4/mm'; did you mean '4/mmm'\?"):
        point_group_rotations("4/mm")
    with pytest.raises(SymmetryError, match="unknown point group 'xyz'; known: 1, -1"):
        canonical_symbol("xyz")


def test_matrices_that_are_no_class_are_refused() -> None:
    """A repeated operation and a single matrix."""
    with pytest.raises(SymmetryError, match="2 matrices are not one of the 32"):
        find_point_group(np.stack([np.eye(3)] * 2))
    with pytest.raises(ShapeError, match=r"shape \(n, 3, 3\), not \(3, 3\)"):
        find_point_group(np.eye(3))
