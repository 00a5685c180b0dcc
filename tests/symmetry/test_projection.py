"""Projection onto what a crystal class allows: counts, exactness, equivariance."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.errors import ConfigError, ShapeError, SymmetryError
from crystaltensor.symmetry.notation import rotate
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.symmetry.point_groups import POINT_GROUPS, point_group_rotations
from crystaltensor.symmetry.projection import (
    allowed_basis,
    n_independent,
    project,
    projector,
    why_forbidden,
)

VECTOR, DIELECTRIC, PIEZO, ELASTIC = "i", "ij=ji", "ijk=ikj", "ijkl=jikl=ijlk=klij"

# J. F. Nye, Physical Properties of Crystals (1985): constants of the pyroelectric
# effect, permittivity, piezoelectric effect and elasticity for each class (ch. IV and
# tables 3, 8 and 9).
NYE = {
    "1": (3, 6, 18, 21),
    "-1": (0, 6, 0, 21),
    "2": (1, 4, 8, 13),
    "m": (2, 4, 10, 13),
    "2/m": (0, 4, 0, 13),
    "222": (0, 3, 3, 9),
    "mm2": (1, 3, 5, 9),
    "mmm": (0, 3, 0, 9),
    "4": (1, 2, 4, 7),
    "-4": (0, 2, 4, 7),
    "4/m": (0, 2, 0, 7),
    "422": (0, 2, 1, 6),
    "4mm": (1, 2, 3, 6),
    "-42m": (0, 2, 2, 6),
    "4/mmm": (0, 2, 0, 6),
    "3": (1, 2, 6, 7),
    "-3": (0, 2, 0, 7),
    "32": (0, 2, 2, 6),
    "3m": (1, 2, 4, 6),
    "-3m": (0, 2, 0, 6),
    "6": (1, 2, 4, 5),
    "-6": (0, 2, 2, 5),
    "6/m": (0, 2, 0, 5),
    "622": (0, 2, 1, 5),
    "6mm": (1, 2, 3, 5),
    "-6m2": (0, 2, 1, 5),
    "6/mmm": (0, 2, 0, 5),
    "23": (0, 1, 1, 3),
    "m-3": (0, 1, 0, 3),
    "432": (0, 1, 0, 3),
    "-43m": (0, 1, 1, 3),
    "m-3m": (0, 1, 0, 3),
}


def random_rotation(seed: int) -> np.ndarray:
    """Draw an orthogonal matrix, proper or improper."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]


def brute_force(tensor: np.ndarray, group: np.ndarray, *, axial: bool) -> np.ndarray:
    """Average one rotated tensor after the other."""
    images = [rotate(tensor, operation, axial=axial) for operation in group]
    return np.mean(images, axis=0)


def character_count(group: np.ndarray, index_symmetry: str) -> float:
    """Count invariants as the mean character, from traces of powers of R alone."""
    one = np.trace(group, axis1=1, axis2=2)
    two = np.trace(group @ group, axis1=1, axis2=2)
    four = np.trace(np.linalg.matrix_power(group, 4), axis1=1, axis2=2)
    pair = (one**2 + two) / 2
    pair_of_square = (two**2 + four) / 2
    return float(
        {
            VECTOR: one,
            DIELECTRIC: pair,
            PIEZO: one * pair,
            ELASTIC: (pair**2 + pair_of_square) / 2,
            "ij=-ji": (one**2 - two) / 2,
            "ijk": one**3,
        }[index_symmetry].mean()
    )


@pytest.mark.parametrize("symbol", POINT_GROUPS)
def test_counts_are_those_of_nye_and_of_the_characters(symbol: str) -> None:
    """All 32 classes; the second way uses no projector."""
    group = point_group_rotations(symbol)
    kinds = (VECTOR, DIELECTRIC, PIEZO, ELASTIC)
    assert tuple(n_independent(group, kind) for kind in kinds) == NYE[symbol]
    for kind in (*kinds, "ij=-ji", "ijk"):
        expected = character_count(group, kind)
        assert n_independent(group, kind) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("symbol", ["1", "2", "m", "mm2", "-42m", "32", "6mm", "m-3m"])
@pytest.mark.parametrize("rank", [1, 2, 3, 4])
@pytest.mark.parametrize("axial", [False, True])
def test_projection_is_the_average_over_the_group(
    symbol: str, rank: int, *, axial: bool
) -> None:
    """Against a loop over the operations; idempotent, symmetric, and a batch too."""
    group = point_group_rotations(symbol)
    tensors = np.random.default_rng(rank).normal(size=(2, 2, *(3,) * rank))
    found = project(tensors, group, rank=rank, axial=axial)
    for place in np.ndindex(2, 2):
        expected = brute_force(tensors[place], group, axial=axial)
        np.testing.assert_allclose(found[place], expected, atol=1e-14)
    again = project(found, group, rank=rank, axial=axial)
    np.testing.assert_allclose(again, found, atol=1e-14)
    matrix = projector(group, rank, axial=axial)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-15)


def test_axial_tensors_live_where_polar_ones_cannot() -> None:
    """Optical gyration: an axial symmetric tensor, in -4 but not in m-3 (Nye, ch. XIV)."""
    counts = {
        symbol: n_independent(point_group_rotations(symbol), DIELECTRIC, axial=True)
        for symbol in POINT_GROUPS
    }
    assert (counts["1"], counts["2"], counts["m"]) == (6, 4, 2)
    assert (counts["-4"], counts["-42m"], counts["32"], counts["432"]) == (2, 1, 2, 1)
    assert counts["6mm"] == counts["-43m"] == counts["m-3"] == counts["-1"] == 0


def test_zincblende_keeps_one_piezoelectric_constant(gallium_arsenide: Crystal) -> None:
    """Class -43m allows only d_14 = d_25 = d_36 (Nye, 1985, ch. VII)."""
    given = np.random.default_rng(0).normal(size=(3, 3, 3))
    six = list(permutations(range(3)))
    expected = np.zeros((3, 3, 3))
    for axes in six:
        expected[axes] = np.mean([given[other] for other in six])
    found = project(given, find_symmetry(gallium_arsenide).rotations)
    np.testing.assert_allclose(found, expected, atol=1e-15)
    assert (found == 0).sum() == 21


@pytest.mark.parametrize("index_symmetry", [VECTOR, DIELECTRIC, PIEZO, ELASTIC, "ijk"])
@pytest.mark.parametrize("symbol", POINT_GROUPS)
def test_the_basis_is_orthonormal_and_spans_what_is_allowed(
    symbol: str, index_symmetry: str
) -> None:
    """In any orientation: Bᵀ B is the projector onto both symmetries."""
    turn = random_rotation(POINT_GROUPS.index(symbol))
    for frame in (np.eye(3), turn):
        group = frame @ point_group_rotations(symbol) @ frame.T
        basis = allowed_basis(group, index_symmetry)
        rank = basis.ndim - 1
        flat = basis.reshape(len(basis), 3**rank)
        np.testing.assert_allclose(flat @ flat.T, np.eye(len(basis)), atol=1e-12)
        tensor = np.random.default_rng(1).normal(size=(3,) * rank)
        found = project(tensor, group, index_symmetry=index_symmetry)
        np.testing.assert_allclose(
            found.ravel(), flat.T @ (flat @ tensor.ravel()), atol=1e-12
        )
        np.testing.assert_allclose(
            project(found, group, index_symmetry=index_symmetry), found, atol=1e-12
        )
        # The part taken away is orthogonal to what stays.
        assert abs(np.vdot(tensor - found, found)) < 1e-12


@settings(max_examples=40, deadline=None)
@given(
    symbol=st.sampled_from(POINT_GROUPS),
    rank=st.integers(1, 4),
    seed=st.integers(0, 10**6),
    axial=st.booleans(),
)
def test_projection_turns_with_the_crystal(
    symbol: str, rank: int, seed: int, *, axial: bool
) -> None:
    """P(Q T; Q G Qᵀ) = Q P(T; G)."""
    group, turn = point_group_rotations(symbol), random_rotation(seed)
    tensor = np.random.default_rng(seed).normal(size=(3,) * rank)
    expected = rotate(project(tensor, group, axial=axial), turn)
    found = project(rotate(tensor, turn), turn @ group @ turn.T, axial=axial)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("symbol", ["-1", "2/m", "-3m", "m-3m", "432"])
def test_a_forbidden_tensor_is_exactly_zero(symbol: str) -> None:
    """In the crystal's axes and in any others."""
    turn = random_rotation(4)
    tensor = 1e3 * np.random.default_rng(0).normal(size=(3, 3, 3))
    for frame in (np.eye(3), turn):
        group = frame @ point_group_rotations(symbol) @ frame.T
        assert not project(tensor, group, index_symmetry=PIEZO).any()
        assert allowed_basis(group, PIEZO).shape == (0, 3, 3, 3)


def test_nearly_symmetric_wurtzite_has_an_exactly_symmetric_tensor(
    wurtzite: Crystal,
) -> None:
    """Coordinates of four decimals; e31 = e32, e15 = e24 and 21 - 7 zeros."""
    rounded = Crystal(wurtzite.cell.round(3), wurtzite.frac.round(4), wurtzite.numbers)
    group = find_symmetry(rounded).rotations
    tensor = np.random.default_rng(0).normal(size=(3, 3, 3))
    found = project(tensor, group, index_symmetry=PIEZO)
    e31, e15 = found[2, 0, 0], found[0, 0, 2]
    expected = np.zeros((3, 3, 3))
    expected[2, 0, 0] = expected[2, 1, 1] = e31
    expected[0, 0, 2] = expected[0, 2, 0] = expected[1, 1, 2] = expected[1, 2, 1] = e15
    expected[2, 2, 2] = tensor[2, 2, 2]
    np.testing.assert_allclose(found, expected, atol=1e-14)
    exact = np.array([rotate(found, operation) for operation in group])
    np.testing.assert_allclose(exact, [found] * 12, atol=1e-14)


INVERSION = "contains inversion, which forbids"
NOTHING = "with the index symmetry"


@pytest.mark.parametrize(
    ("symbol", "index_symmetry", "axial", "reason"),
    [
        ("m-3m", PIEZO, False, f"m-3m {INVERSION} polar tensors of odd rank"),
        ("-1", DIELECTRIC, True, f"-1 {INVERSION} axial tensors of even rank"),
        ("432", PIEZO, False, f"432 leave no polar tensor of rank 3 {NOTHING} {PIEZO}"),
        (
            "mmm",
            "ij=-ji",
            False,
            f"mmm leave no polar tensor of rank 2 {NOTHING} ij=-ji",
        ),
        ("6mm", PIEZO, False, None),
    ],
)
def test_the_reason_for_zero_is_said(
    symbol: str, index_symmetry: str, reason: str | None, *, axial: bool
) -> None:
    """Inversion where it is the reason, else the class; in any orientation."""
    turn = random_rotation(8)
    group = turn @ point_group_rotations(symbol) @ turn.T
    found = why_forbidden(group, index_symmetry, axial=axial)
    if reason is None:
        assert found is None
    else:
        assert found is not None
        assert found.endswith(f"the point group {reason}")


def test_every_wrong_argument_has_its_message() -> None:
    """What was expected, and what was given."""
    group, cube = point_group_rotations("4"), np.zeros((3, 3, 3))
    with pytest.raises(
        ShapeError, match=r"rank 2 ends in 2 axes of length 3, not \(3, 2"
    ):
        project(np.zeros((3, 2)), group)
    with pytest.raises(ShapeError, match="rank 4 ends in 4 axes"):
        project(cube, group, rank=4)
    with pytest.raises(ConfigError, match="'ij=ji' has rank 2, not 3"):
        project(cube, group, rank=3, index_symmetry="ij=ji")
    with pytest.raises(ConfigError, match="rank 1 to 4, not 5"):
        project(np.zeros((3,) * 5), group)
    with pytest.raises(ShapeError, match=r"shape \(n_ops, 3, 3\), not \(3, 3\)"):
        project(cube, np.eye(3))
    with pytest.raises(ShapeError, match=r"shape \(n_ops, 3, 3\), not \(0, 3, 3\)"):
        project(cube, np.zeros((0, 3, 3)))
    with pytest.raises(SymmetryError, match="these 3 rotations are not a group"):
        project(cube, group[:3])
    fractional = np.array(
        [[[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, -1, 0], [1, -1, 0], [0, 0, 1]]]
    )
    with pytest.raises(
        SymmetryError, match=r"not orthogonal matrices .* not in fractions"
    ):
        project(cube, fractional)
    with pytest.raises(SymmetryError, match="not orthogonal"):
        project(cube, np.full((1, 3, 3), np.nan))
