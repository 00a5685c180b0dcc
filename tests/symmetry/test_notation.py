"""Voigt and Kelvin-Mandel forms, orders of components, rotations of the frame."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystaltensor.errors import ConfigError, ShapeError
from crystaltensor.symmetry.index_symmetry import parse_index_symmetry
from crystaltensor.symmetry.notation import (
    component_names,
    from_mandel,
    from_voigt,
    mandel_to_voigt,
    reorder,
    rotate,
    to_mandel,
    to_voigt,
    voigt_to_mandel,
)

TEXTS = {2: "ij=ji", 3: "ijk=ikj", 4: "ijkl=jikl=ijlk=klij"}
PAIR = {0: (0, 0), 1: (1, 1), 2: (2, 2), 3: (1, 2), 4: (0, 2), 5: (0, 1)}


def random_tensor(rank: int, seed: int = 1, batch: tuple[int, ...] = ()) -> np.ndarray:
    """Draw full tensors that have a Voigt form."""
    basis = parse_index_symmetry(TEXTS[rank]).embedding
    parts = np.random.default_rng(seed).normal(size=(*batch, basis.shape[1]))
    return (parts @ basis.T).reshape(*batch, *(3,) * rank)


def test_voigt_components_are_those_of_the_definition() -> None:
    """Every component, against loops over Nye (1985), ch. VII and VIII."""
    stress, piezo, elastic = (random_tensor(rank) for rank in (2, 3, 4))
    strain_vector = to_voigt(stress, 2, factors="strain")
    d_matrix = to_voigt(piezo, 3, factors="strain")
    compliance = to_voigt(elastic, 4, factors="strain")
    for row, column in product(range(6), range(6)):
        pair = PAIR[column]
        two = 1 if pair[0] == pair[1] else 2
        both = two * (1 if PAIR[row][0] == PAIR[row][1] else 2)
        assert to_voigt(stress, 2)[column] == stress[pair]
        assert strain_vector[column] == two * stress[pair]
        assert to_voigt(elastic, 4)[row, column] == elastic[(*PAIR[row], *pair)]
        assert compliance[row, column] == both * elastic[(*PAIR[row], *pair)]
        if row < 3:
            assert to_voigt(piezo, 3)[row, column] == piezo[(row, *pair)]
            assert d_matrix[row, column] == two * piezo[(row, *pair)]


@given(
    rank=st.sampled_from([2, 3, 4]),
    factors=st.sampled_from(["stress", "strain", "mandel"]),
    order=st.sampled_from(["voigt", "vasp"]),
    seed=st.integers(0, 99),
    batch=st.sampled_from([(), (4,), (2, 3), (0,)]),
)
def test_there_and_back_changes_nothing(
    rank: int, factors: str, order: str, seed: int, batch: tuple[int, ...]
) -> None:
    """Full to matrix to full, for each rank, factor, order and batch."""
    tensor = random_tensor(rank, seed, batch)
    matrix = to_voigt(tensor, rank, factors=factors, order=order)
    assert matrix.shape == (*batch, *{2: (6,), 3: (3, 6), 4: (6, 6)}[rank])
    back = from_voigt(matrix, rank, factors=factors, order=order)
    # A factor √2 and its removal round once each; factors 1 and 2 do not round.
    np.testing.assert_allclose(back, tensor, rtol=1e-15 if factors == "mandel" else 0)


def test_mandel_keeps_norms_products_and_inverses() -> None:
    """What the factors √2 are for, and Voigt stiffness for its inverse."""
    elastic, strain = random_tensor(4), random_tensor(2)
    matrix = to_mandel(elastic, 4)
    assert np.linalg.norm(matrix) == pytest.approx(np.linalg.norm(elastic), rel=1e-14)
    stress = np.einsum("ijkl,kl->ij", elastic, strain)
    np.testing.assert_allclose(
        from_mandel(matrix @ to_mandel(strain, 2), 2), stress, rtol=1e-12, atol=1e-13
    )
    compliance = from_mandel(np.linalg.inv(matrix), 4)
    np.testing.assert_allclose(
        to_voigt(compliance, 4, factors="strain"),
        np.linalg.inv(to_voigt(elastic, 4)),
        rtol=1e-9,
        atol=1e-12,
    )


def test_d_times_c_is_e_with_the_factors_of_each() -> None:
    """The rule e = d C of Voigt matrices holds for the full tensors."""
    d, elastic = random_tensor(3), random_tensor(4)
    e = np.einsum("ijk,jklm->ilm", d, elastic)
    np.testing.assert_allclose(
        to_voigt(e, 3),
        to_voigt(d, 3, factors="strain") @ to_voigt(elastic, 4),
        rtol=1e-12,
        atol=1e-13,
    )


@pytest.mark.parametrize("rank", [2, 3, 4])
@pytest.mark.parametrize("factors", ["stress", "strain"])
def test_voigt_and_mandel_convert_directly(rank: int, factors: str) -> None:
    """The short way equals the way through the full tensor."""
    tensor = random_tensor(rank)
    voigt, mandel = to_voigt(tensor, rank, factors=factors), to_mandel(tensor, rank)
    there = voigt_to_mandel(voigt, rank, factors=factors)
    np.testing.assert_allclose(there, mandel, rtol=1e-14)
    back = mandel_to_voigt(mandel, rank, factors=factors)
    np.testing.assert_allclose(back, voigt, rtol=1e-14)


def test_vasp_lists_xy_yz_zx_last() -> None:
    """By name, on components that tell where they came from."""
    names = np.arange(6.0)  # xx yy zz yz xz xy
    assert reorder(names, 2, source="voigt", target="vasp").tolist() == [
        0,
        1,
        2,
        5,
        3,
        4,
    ]
    vasp = np.array([11.0, 22, 33, 12, 23, 31])
    assert reorder(vasp, 2, source="vasp").tolist() == [11, 22, 33, 23, 31, 12]
    elastic = random_tensor(4)
    np.testing.assert_array_equal(
        reorder(to_voigt(elastic, 4), 4, source="voigt", target="vasp"),
        to_voigt(elastic, 4, order="vasp"),
    )


def test_components_have_their_usual_names() -> None:
    """Indices count from one, and yz is 4."""
    assert component_names("e", 3)[0, 4] == "e15"
    assert component_names("C", 4)[3, 3] == "C44"
    assert component_names("ε", 2)[2, 2] == "ε33"
    assert component_names("p", 1).tolist() == ["p1", "p2", "p3"]


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
def test_a_rotation_acts_on_every_index(rank: int) -> None:
    """Against one einsum; an axial tensor changes sign under this matrix."""
    rng = np.random.default_rng(rank)
    tensor = rng.normal(size=(5, *(3,) * rank))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= -np.sign(np.linalg.det(turn))  # improper
    letters, primed = "abcd"[:rank], "ijkl"[:rank]
    terms = ",".join(new + old for new, old in zip(primed, letters, strict=True))
    expected = np.einsum(
        f"{terms},z{letters}->z{primed}", *[turn] * rank, tensor, optimize=True
    )
    # atol: rounding of sums of up to 81 terms of order one
    np.testing.assert_allclose(rotate(tensor, turn, rank=rank), expected, atol=1e-14)
    np.testing.assert_allclose(
        rotate(tensor, turn, rank=rank, axial=True), -expected, atol=1e-14
    )
    np.testing.assert_allclose(
        rotate(rotate(tensor, turn, rank=rank), turn.T, rank=rank), tensor, atol=1e-14
    )


def test_a_tensor_without_the_symmetry_is_refused() -> None:
    """An antisymmetric part would be lost in silence."""
    skew = np.array([[1, 0.5, 0], [-0.5, 1, 0], [0, 0, 1]])
    with pytest.raises(ShapeError, match=r"difference 1\) has no Voigt form"):
        to_voigt(skew, 2)
    first = np.einsum("ij,kl->ijkl", skew, np.eye(3))
    with pytest.raises(ShapeError, match="rank 4 that is not symmetric in a pair"):
        to_voigt(first, 4)


def test_float32_noise_is_not_taken_for_asymmetry() -> None:
    """The mean of the two components is taken."""
    noisy = random_tensor(3).astype(np.float32)
    noisy[0, 1, 2] *= 1 + 1e-6
    matrix = to_voigt(noisy, 3)
    assert matrix[0, 3] == pytest.approx(0.5 * (noisy[0, 1, 2] + noisy[0, 2, 1]))


def test_every_wrong_argument_has_its_message() -> None:
    """What was expected, and what was given."""
    cube = np.zeros((3, 3, 3))
    with pytest.raises(ShapeError, match=r"rank 2 needs shape \(..., 3, 3\), not \(2,"):
        to_voigt(np.zeros((2, 3)), 2)
    with pytest.raises(
        ShapeError, match=r"rank 3 needs shape \(..., 3, 6\), not \(6, 3"
    ):
        from_voigt(np.zeros((6, 3)), 3)
    with pytest.raises(ConfigError, match="rank 2, 3 or 4, not 5"):
        to_voigt(cube, 5)
    with pytest.raises(ConfigError, match="unknown factors 'engineering'; known: str"):
        to_voigt(cube, 3, factors="engineering")
    with pytest.raises(ConfigError, match="unknown order 'VASP'; known: voigt, vasp"):
        to_voigt(cube, 3, order="VASP")
    with pytest.raises(ConfigError, match="rank 1 to 4, not 5"):
        component_names("e", 5)
    with pytest.raises(
        ShapeError, match=r"a rotation has shape \(3, 3\), not \(2, 2\)"
    ):
        rotate(cube, np.eye(2))
    with pytest.raises(ShapeError, match="rank 4 ends in 4 axes of length 3"):
        rotate(cube, np.eye(3), rank=4)
