"""Numbers of unknown notation, and Voigt forms of every index symmetry."""

import numpy as np
import pytest

from crystaltensor.errors import ConfigError, ShapeError
from crystaltensor.symmetry.interpretation import (
    as_matrix,
    from_matrix,
    interpret,
    residual,
)
from crystaltensor.symmetry.point_groups import point_group_rotations
from crystaltensor.symmetry.projection import project

KINDS = ["ij=ji", "ijk=ikj", "ijk=jik", "ijkl=jikl=ijlk", "ijkl=jikl=ijlk=klij"]
ELASTIC = KINDS[-1]


def tensor_of(index_symmetry: str, seed: int = 0) -> np.ndarray:
    """Draw a tensor with an index symmetry."""
    rank = len(index_symmetry.split("=", maxsplit=1)[0])
    given = np.random.default_rng(seed).normal(size=(4, *(3,) * rank))
    return project(given, np.eye(3)[None], index_symmetry=index_symmetry, rank=rank)


@pytest.mark.parametrize("index_symmetry", KINDS)
@pytest.mark.parametrize("factors", ["stress", "strain", "mandel"])
@pytest.mark.parametrize("order", ["voigt", "vasp"])
def test_voigt_forms_come_back(index_symmetry: str, factors: str, order: str) -> None:
    """Whichever pair is joined; one at a time and many at once."""
    tensors = tensor_of(index_symmetry)
    matrix = as_matrix(tensors, index_symmetry, factors=factors, order=order)
    back = from_matrix(matrix, index_symmetry, factors=factors, order=order)
    np.testing.assert_allclose(back, tensors, atol=1e-14)
    if factors == "mandel":
        assert np.linalg.norm(matrix) == pytest.approx(np.linalg.norm(tensors))
    notation = "mandel" if factors == "mandel" else "voigt"
    weights = "stress" if factors == "mandel" else factors
    read = interpret(
        matrix[1].ravel(),
        index_symmetry,
        notation=notation,
        order=order,
        factors=weights,
    )
    np.testing.assert_allclose(read.tensor, tensors[1], atol=1e-14)


def test_the_number_of_components_tells_full_from_voigt() -> None:
    """81 numbers in any shape, or 36."""
    tensor = tensor_of(ELASTIC)[0]
    for shape in ((81,), (9, 9), (27, 3), (3, 27)):
        read = interpret(tensor.reshape(shape), ELASTIC)
        assert read.notation == "full"
        np.testing.assert_array_equal(read.tensor, tensor)
    assert interpret(as_matrix(tensor, ELASTIC), ELASTIC).notation == "voigt"


def test_one_triangle_is_completed_aloud() -> None:
    """As many tables print it."""
    matrix = as_matrix(tensor_of(ELASTIC)[0], ELASTIC)
    for part, side in ((np.triu(matrix), "upper"), (np.tril(matrix), "lower")):
        read = interpret(part, ELASTIC, notation="voigt")
        assert read.notes == (
            f"only the {side} triangle is given; the other is filled in from it",
        )
        np.testing.assert_allclose(as_matrix(read.tensor, ELASTIC), matrix)


@pytest.mark.parametrize("truth", ["voigt", "mandel"])
def test_the_crystal_decides_in_any_class_where_a_relation_has_factors(
    truth: str,
) -> None:
    """C66 of hexagonal and trigonal classes tells the two notations apart."""
    group = point_group_rotations("-3m")
    tensor = project(tensor_of(ELASTIC)[0], group, index_symmetry=ELASTIC)
    factors = "mandel" if truth == "mandel" else "stress"
    read = interpret(
        as_matrix(tensor, ELASTIC, factors=factors), ELASTIC, rotations=group
    )
    assert read.notation == truth
    assert read.warnings == ()
    np.testing.assert_allclose(read.tensor, tensor, atol=1e-13)


@pytest.mark.parametrize(
    ("values", "index_symmetry", "options", "message"),
    [
        (
            np.ones(20),
            "ijk=ikj",
            {},
            r"20 numbers \(20\); .* 27 components in full or 18",
        ),
        (np.ones((6, 3)), "ijk=ikj", {}, "transpose it"),
        (np.ones(21), ELASTIC, {}, "has 21 numbers"),
        (np.ones((6, 6)), ELASTIC, {"notation": "full"}, "81 components in full$"),
        (np.ones((3, 3)), "ij", {"n_atoms": 2}, "2 atoms need 2 × 9 = 18 components"),
    ],
)
def test_wrong_numbers_of_components_are_refused(
    values: np.ndarray, index_symmetry: str, options: dict[str, object], message: str
) -> None:
    """The message says how many there must be."""
    with pytest.raises(ShapeError, match=message):
        interpret(values, index_symmetry, **options)  # type: ignore[arg-type]


def test_notations_that_do_not_exist_are_refused() -> None:
    """A tensor without equal indices has no Voigt form."""
    with pytest.raises(ConfigError, match="has no voigt form"):
        interpret(np.ones(6), "ij", notation="voigt")
    with pytest.raises(ConfigError, match="unknown notation 'nye'"):
        interpret(np.ones(6), "ij=ji", notation="nye")
    with pytest.raises(ShapeError, match="has no Voigt form"):
        as_matrix(np.ones((3, 3, 3)), "ijk")
    with pytest.raises(ShapeError, match="has no Voigt form"):
        from_matrix(np.ones((3, 6)), "ijk")


def test_a_zero_tensor_has_no_residual() -> None:
    """There is nothing to be a part of."""
    assert residual(np.zeros(3), np.zeros(3)) is None
    assert residual([3.0, 4.0], [3.0, 0.0]) == pytest.approx(0.8)
