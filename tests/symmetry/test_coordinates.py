"""Irreducible components of tensors."""

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.symmetry.coordinates import (
    allowed_components,
    component_basis,
    component_blocks,
    from_components,
    to_components,
)
from crystaltensor.symmetry.irreps import irrep_projectors
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.symmetry.projection import project

SYMMETRIES = ["ij=ji", "ijk=ikj", "ijkl=jikl=ijlk=klij", "ij"]


def random_tensor(index_symmetry: str, n: int = 4) -> np.ndarray:
    """Draw tensors that have an index symmetry."""
    rank = len(index_symmetry.split("=", maxsplit=1)[0])
    raw = np.random.default_rng(1).normal(size=(n, *(3,) * rank))
    return project(raw, np.eye(3)[None], index_symmetry=index_symmetry)


@pytest.mark.parametrize("index_symmetry", SYMMETRIES)
def test_components_keep_tensors_and_norms(index_symmetry: str) -> None:
    """There and back, also for a stack of tensors."""
    tensors = random_tensor(index_symmetry)
    components = to_components(tensors, index_symmetry)
    np.testing.assert_allclose(from_components(components, index_symmetry), tensors)
    np.testing.assert_allclose(
        np.linalg.norm(components, axis=1),
        np.linalg.norm(tensors.reshape(len(tensors), -1), axis=1),
    )


@pytest.mark.parametrize("index_symmetry", SYMMETRIES)
def test_projectors_of_components_are_those_of_tensors(
    index_symmetry: str, wurtzite: Crystal
) -> None:
    """The same part of a tensor is allowed either way."""
    group = find_symmetry(wurtzite).rotations
    tensors = random_tensor(index_symmetry)
    allowed = allowed_components(
        irrep_projectors(group, index_symmetry), index_symmetry
    )
    np.testing.assert_allclose(
        to_components(tensors, index_symmetry) @ allowed,
        to_components(
            project(tensors, group, index_symmetry=index_symmetry), index_symmetry
        ),
        atol=1e-12,
    )
    assert np.linalg.norm(allowed) > 1


def test_copies_of_a_kind_stand_together() -> None:
    """The stiffness has two scalars, two of degree two, and one of degree four."""
    blocks = component_blocks(SYMMETRIES[2])
    assert [block.shape for block in blocks] == [(2, 1), (2, 5), (1, 9)]
    places = np.concatenate([block.ravel() for block in blocks])
    np.testing.assert_array_equal(np.sort(places), np.arange(21))


def test_a_scalar_is_its_own_component() -> None:
    """Everything allows it."""
    values = np.array([1.5, -2.0])
    np.testing.assert_array_equal(to_components(values, ""), values[:, None])
    np.testing.assert_array_equal(from_components(values[:, None], ""), values)
    np.testing.assert_array_equal(allowed_components({}, ""), [[1.0]])
    assert component_basis("").shape == (1, 1)
