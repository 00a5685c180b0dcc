"""The directions that errors prefer."""

import numpy as np
import pytest

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.symmetry.coordinates import (
    allowed_components,
    component_blocks,
    from_components,
    to_components,
)
from crystaltensor.symmetry.irreps import irrep_projectors
from crystaltensor.symmetry.notation import rotate
from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.training.error_shape import ErrorShape

ELASTIC = "ijkl=jikl=ijlk=klij"


def free(n: int, size: int) -> np.ndarray:
    """Allow everything."""
    return np.repeat(np.eye(size)[None], n, axis=0)


def test_the_shape_of_drawn_errors_is_found() -> None:
    """Whatever their sizes: the scalars of a stiffness err most, and together."""
    rng = np.random.default_rng(0)
    blocks = (np.array([[4.0, 1.5], [1.5, 2.0]]), np.eye(2), np.array([[0.25]]))
    true = ErrorShape(ELASTIC, blocks, 0.0)
    factor = np.linalg.cholesky(true.invariant)
    errors = rng.normal(size=(5000, 21)) @ factor.T
    errors *= np.exp(rng.normal(0, 2, (5000, 1)))
    found = ErrorShape.fit(ELASTIC, errors, free(5000, 21))
    unit = found.blocks[1][0, 0]
    for mine, block in zip(found.blocks, blocks, strict=True):
        np.testing.assert_allclose(mine / unit, block, atol=0.45)
    assert found.weight == 0


def test_crystals_that_show_a_part_only_do_not_bias_it() -> None:
    """Cubic crystals have no errors of degree two: they say nothing of them."""
    rng = np.random.default_rng(1)
    scale = np.array([1.0] + [0.5] * 5)
    errors = rng.normal(size=(4000, 6)) * scale
    allowed = free(4000, 6)
    allowed[:3000, 1:, 1:] = 0
    errors[:3000, 1:] = 0
    found = ErrorShape.fit("ij=ji", errors, allowed)
    ratio = found.blocks[0][0, 0] / found.blocks[1][0, 0]
    assert ratio == pytest.approx(4.0, rel=0.25)


def test_an_ensemble_that_knows_its_errors_is_trusted() -> None:
    """Its weight is large then, and zero where it disagrees at random."""
    rng = np.random.default_rng(2)
    directions = rng.normal(size=(600, 6))
    errors = directions * rng.normal(size=(600, 1))
    spreads = np.einsum("na,nb->nab", directions, directions)
    bare = ErrorShape.fit("ij=ji", errors, free(600, 6))
    trusted = bare.adapt(errors, free(600, 6), spreads)
    other = rng.normal(size=(600, 6))
    random = np.einsum("na,nb->nab", other, other)
    doubted = bare.adapt(errors, free(600, 6), random)
    np.testing.assert_array_equal(trusted.invariant, bare.invariant)
    assert trusted.weight == 0.6
    assert doubted.weight == 0.0


def test_covariances_have_trace_one_and_stay_inside(wurtzite: Crystal) -> None:
    """Nothing is uncertain that symmetry forbids."""
    group = find_symmetry(wurtzite).rotations
    allowed = allowed_components(irrep_projectors(group, "ijk=ikj"), "ijk=ikj")
    shape = ErrorShape(
        "ijk=ikj", (np.array([[2.0, -0.5], [-0.5, 1.0]]), np.eye(1), np.eye(1)), 0.3
    )
    members = np.random.default_rng(3).normal(size=(3, 18)) @ allowed
    spread = np.cov(members.T)
    found = shape.covariance(allowed, spread)
    assert np.trace(found) == pytest.approx(1.0)
    np.testing.assert_allclose(allowed @ found @ allowed, found, atol=1e-12)
    assert not shape.covariance(np.zeros((18, 18)), None).any()
    np.testing.assert_allclose(
        shape.covariance(allowed, np.zeros((18, 18))), shape.covariance(allowed, None)
    )


def test_covariances_turn_with_the_crystal(wurtzite: Crystal) -> None:
    """The invariant part is the same in all axes."""
    shape = ErrorShape(
        "ijk=ikj", (np.array([[2.0, -0.5], [-0.5, 1.0]]), np.eye(1), 3 * np.eye(1)), 0.0
    )
    turn = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
    tensors = from_components(np.eye(18), "ijk=ikj")
    matrix = to_components(rotate(tensors, turn, rank=3), "ijk=ikj")
    group = find_symmetry(wurtzite).rotations
    there, here = (
        shape.covariance(
            allowed_components(irrep_projectors(each, "ijk=ikj"), "ijk=ikj"), None
        )
        for each in (turn @ group @ turn.T, group)
    )
    np.testing.assert_allclose(there, matrix.T @ here @ matrix, atol=1e-12)


def test_it_survives_the_way_to_a_file() -> None:
    """With the same matrices."""
    errors = np.random.default_rng(5).normal(size=(50, 6))
    found = ErrorShape.fit("ij=ji", errors, free(50, 6))
    again = ErrorShape.restore("ij=ji", found.as_dict())
    np.testing.assert_array_equal(again.invariant, found.invariant)
    assert [len(block) for block in again.blocks] == [
        len(part) for part in component_blocks("ij=ji")
    ]
