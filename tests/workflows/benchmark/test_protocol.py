"""Tests of crystaltensor.workflows.benchmark.protocol."""

import numpy as np
import pytest

from crystaltensor.properties import DIELECTRIC, ELASTIC, PIEZO, TensorProperty
from crystaltensor.symmetry.point_groups import point_group_rotations
from crystaltensor.symmetry.projection import project
from crystaltensor.workflows.benchmark.protocol import (
    crystal_system,
    flatten,
    published_errors,
    succeeds,
)


def random_tensor(row: TensorProperty, group: str, seed: int = 0) -> np.ndarray:
    """Draw a tensor that a class allows."""
    drawn = np.random.default_rng(seed).normal(size=(3,) * row.rank)
    rotations = point_group_rotations(group)
    return project(drawn, rotations, index_symmetry=row.index_symmetry)


def test_matrices_are_in_the_order_of_vasp() -> None:
    """Columns xx yy zz xy yz zx, shear components without factors."""
    tensor = np.zeros((1, 3, 3, 3))
    tensor[0, 0, 0, 1] = tensor[0, 0, 1, 0] = 5.0
    tensor[0, 2, 1, 2] = tensor[0, 2, 2, 1] = 7.0
    tensor[0, 1, 0, 2] = tensor[0, 1, 2, 0] = 9.0
    expected = np.zeros((1, 3, 6))
    expected[0, 0, 3], expected[0, 2, 4], expected[0, 1, 5] = 5.0, 7.0, 9.0
    np.testing.assert_array_equal(flatten(tensor, 3), expected)


def test_shear_components_count_once() -> None:
    """In the full tensor they count two, four or eight times."""
    stiffness = np.zeros((1, 3, 3, 3, 3))
    for i, j in ((0, 1), (1, 0)):
        for k, m in ((0, 1), (1, 0)):
            stiffness[0, i, j, k, m] = 3.0
    found = published_errors(np.zeros_like(stiffness), stiffness, 4)
    assert found.errors[0] == pytest.approx(3.0)
    assert np.linalg.norm(stiffness) == pytest.approx(6.0)


def test_relative_errors_have_an_offset_but_for_dielectric_tensors() -> None:
    """A label of zero then counts as wrong by 1e5 times the error, not as infinite."""
    zero = np.zeros((1, 3, 3, 3))
    one = zero.copy()
    one[0, 0, 0, 0] = 1.0
    assert published_errors(one, zero, 3).relative[0] == pytest.approx(1e5)
    assert np.isinf(published_errors(one[:, 0], zero[:, 0], 2).relative[0])


@pytest.mark.parametrize("row", [DIELECTRIC, PIEZO, ELASTIC], ids=lambda row: row.name)
@pytest.mark.parametrize("group", ["1", "mm2", "4mm", "3m", "-43m"])
def test_a_projected_tensor_succeeds(row: TensorProperty, group: str) -> None:
    """In axes along the crystal's."""
    rotations = point_group_rotations(group)
    assert succeeds(100 * random_tensor(row, group), rotations, row)


def test_what_is_forbidden_fails_at_1e_5() -> None:
    """Whatever the size of the tensor."""
    rotations = point_group_rotations("mm2")
    tensor = 1000 * random_tensor(DIELECTRIC, "mm2")
    tensor[0, 1] = tensor[1, 0] = 0.9e-5
    assert succeeds(tensor, rotations, DIELECTRIC)
    tensor[0, 1] = tensor[1, 0] = 1.1e-5
    assert not succeeds(tensor, rotations, DIELECTRIC)


def test_what_is_equal_fails_at_1e_4() -> None:
    """In class 4mm ε_xx is ε_yy."""
    rotations = point_group_rotations("4mm")
    tensor = random_tensor(DIELECTRIC, "4mm")
    tensor[0, 0] += 0.9e-4
    assert succeeds(tensor, rotations, DIELECTRIC)
    tensor[0, 0] += 0.2e-4
    assert not succeeds(tensor, rotations, DIELECTRIC)


def test_what_is_opposite_must_be_so() -> None:
    """In class -4 e_31 is -e_32; the dielectric tensor is not asked for that."""
    rotations = point_group_rotations("-4")
    tensor = random_tensor(PIEZO, "-4")
    assert tensor[2, 0, 0] == pytest.approx(-tensor[2, 1, 1])
    tensor[2, 1, 1] *= 1.01
    assert not succeeds(tensor, rotations, PIEZO)


def test_crystal_systems_begin_at_their_groups() -> None:
    """The published evaluation of dielectric tensors knows no trigonal system."""
    firsts = {1: "triclinic", 3: "monoclinic", 16: "orthorhombic", 75: "tetragonal"}
    firsts |= {143: "trigonal", 168: "hexagonal", 195: "cubic", 230: "cubic"}
    assert {number: crystal_system(number) for number in firsts} == firsts
    assert crystal_system(167) == "trigonal"
    assert crystal_system(167, merge_trigonal=True) == "hexagonal"
    assert crystal_system(142, merge_trigonal=True) == "tetragonal"
