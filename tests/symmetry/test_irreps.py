"""Irreducible tensors: harmonics, rotation matrices, couplings, decompositions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crystaltensor.errors import ShapeError
from crystaltensor.symmetry.irreps import (
    clebsch_gordan,
    harmonic_basis,
    harmonic_polynomials,
    irrep_projectors,
    monomials,
    tensor_irreps,
    wigner,
)
from crystaltensor.symmetry.notation import rotate
from crystaltensor.symmetry.point_groups import POINT_GROUPS, point_group_rotations
from crystaltensor.symmetry.projection import n_independent

DEGREES = range(5)
SYMMETRIES = ["i", "ij", "ij=ji", "ijk", "ijk=ikj", "ijkl=jikl=ijlk=klij"]
SEEDS = st.integers(0, 2**31)


def random_rotation(seed: int, *, improper: bool = False) -> np.ndarray:
    """Draw an orthogonal matrix from the uniform distribution."""
    matrix, upper = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    matrix = matrix * np.sign(np.diag(upper))
    sign = -1 if improper else 1
    return matrix * np.sign(np.linalg.det(matrix)) * sign


def harmonics(degree: int, vector: np.ndarray) -> np.ndarray:
    """Evaluate the solid harmonics of one degree."""
    x, y, z = vector
    powers = np.array([x**a * y**b * z**c for a, b, c in monomials(degree)])
    return harmonic_polynomials(degree) @ powers


def test_harmonics_of_degree_two_are_the_textbook_ones() -> None:
    """Order and sign of d_xy, d_yz, d_z2, d_xz, d_x2-y2 (Helgaker 2000, table 6.3)."""
    x, y, z = 0.3, -0.5, 0.7
    squared = x * x + y * y + z * z
    expected = [
        np.sqrt(15) * x * y,
        np.sqrt(15) * y * z,
        np.sqrt(5) / 2 * (3 * z * z - squared),
        np.sqrt(15) * x * z,
        np.sqrt(15) / 2 * (x * x - y * y),
    ]
    np.testing.assert_allclose(harmonics(2, np.array([x, y, z])), expected, rtol=1e-14)


@pytest.mark.parametrize("degree", DEGREES)
def test_harmonics_are_orthonormal_over_the_sphere(degree: int) -> None:
    """Mean of Y Yᵀ is one: Gauss-Legendre in z, equal steps in the angle, both exact."""
    nodes, weights = np.polynomial.legendre.leggauss(degree + 1)
    angles = np.arange(2 * degree + 1) * 2 * np.pi / (2 * degree + 1)
    total = np.zeros((2 * degree + 1, 2 * degree + 1))
    for z, weight in zip(nodes, weights, strict=True):
        radius = np.sqrt(1 - z * z)
        for angle in angles:
            vector = np.array([radius * np.cos(angle), radius * np.sin(angle), z])
            values = harmonics(degree, vector)
            total += weight / 2 / len(angles) * np.outer(values, values)
    np.testing.assert_allclose(total, np.eye(2 * degree + 1), atol=1e-13)


@pytest.mark.parametrize("degree", DEGREES)
def test_harmonic_tensors_are_symmetric_and_traceless(degree: int) -> None:
    """The basis is orthonormal, and any two axes can be swapped or contracted."""
    basis = harmonic_basis(degree)
    flat = basis.reshape(2 * degree + 1, -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(2 * degree + 1), atol=1e-14)
    if degree >= 2:
        np.testing.assert_allclose(basis, basis.swapaxes(1, 2), atol=1e-15)
        np.testing.assert_allclose(np.trace(basis, axis1=1, axis2=2), 0, atol=1e-14)


@given(seed=SEEDS, degree=st.sampled_from(DEGREES), improper=st.booleans())
@settings(max_examples=50, deadline=None)
def test_wigner_matrices_turn_harmonics(seed: int, degree: int, improper: bool) -> None:
    """Y(Rx) = D(R) Y(x), for proper and improper R."""
    rotation = random_rotation(seed, improper=improper)
    vector = np.random.default_rng(seed + 1).normal(size=3)
    turned = wigner(degree, rotation) @ harmonics(degree, vector)
    np.testing.assert_allclose(harmonics(degree, rotation @ vector), turned, atol=1e-10)


@given(seed=SEEDS, degree=st.sampled_from(DEGREES), pseudo=st.booleans())
@settings(max_examples=30, deadline=None)
def test_wigner_matrices_are_a_representation(
    seed: int, degree: int, pseudo: bool
) -> None:
    """D(RS) = D(R) D(S) and D is orthogonal; with the sign of a pseudotensor too."""
    first, second = random_rotation(seed, improper=True), random_rotation(seed + 1)
    product = wigner(degree, first @ second, pseudo=pseudo)
    factors = [wigner(degree, each, pseudo=pseudo) for each in (first, second)]
    np.testing.assert_allclose(product, factors[0] @ factors[1], atol=1e-13)
    np.testing.assert_allclose(product @ product.T, np.eye(2 * degree + 1), atol=1e-13)


@pytest.mark.parametrize("first", DEGREES)
@pytest.mark.parametrize("second", DEGREES)
def test_couplings_are_equivariant_with_orthonormal_columns(
    first: int, second: int
) -> None:
    """A coupling of rotated factors is the rotated coupling."""
    rotation = random_rotation(first + 7 * second)
    left, right = wigner(first, rotation), wigner(second, rotation)
    for result in range(abs(first - second), min(first + second, 4) + 1):
        table = clebsch_gordan(first, second, result)
        flat = table.reshape(-1, 2 * result + 1)
        np.testing.assert_allclose(flat.T @ flat, np.eye(2 * result + 1), atol=1e-13)
        turned = np.einsum("abm,ax,by->xym", table, left, right)
        expected = table @ wigner(result, rotation).T
        np.testing.assert_allclose(turned, expected, atol=1e-13)


def test_two_vectors_couple_to_dot_and_cross_product() -> None:
    """Known couplings: 1⊗1→0 is a·b/√3 and 1⊗1→1 is a×b/√2, both in the order yzx."""
    a, b = np.array([0.2, -1.3, 0.8]), np.array([1.1, 0.4, -0.6])
    left, right = harmonic_basis(1) @ a, harmonic_basis(1) @ b
    dot = np.einsum("abm,a,b->m", clebsch_gordan(1, 1, 0), left, right)
    cross = np.einsum("abm,a,b->m", clebsch_gordan(1, 1, 1), left, right)
    np.testing.assert_allclose(dot, [a @ b / np.sqrt(3)], rtol=1e-14)
    expected = harmonic_basis(1) @ np.cross(a, b) / np.sqrt(2)
    np.testing.assert_allclose(cross, expected, rtol=1e-13)


@pytest.mark.parametrize("degrees", [(1, 1, 2), (2, 1, 1), (2, 2, 3), (3, 2, 4)])
def test_couplings_agree_with_e3nn_up_to_the_basis(
    degrees: tuple[int, int, int],
) -> None:
    """An outside witness: e3nn's 3j symbols span the same one-dimensional space."""
    o3 = pytest.importorskip("e3nn.o3")
    points = torch.randn(40, 3, dtype=torch.float64)
    turns = []
    for degree in degrees:
        ours = np.stack([harmonics(degree, point) for point in points.numpy()])
        theirs = o3.spherical_harmonics(
            degree, points, normalize=False, normalization="component"
        ).numpy()
        turns.append(np.linalg.lstsq(ours, theirs, rcond=None)[0])
    theirs = o3.wigner_3j(*degrees, dtype=torch.float64).numpy()
    mine = np.einsum("abm,ax,by,mz->xyz", clebsch_gordan(*degrees), *turns)
    mine /= np.linalg.norm(mine)
    overlap = (mine * theirs).sum() / np.linalg.norm(theirs)
    assert abs(overlap) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("index_symmetry", SYMMETRIES)
def test_irreps_of_a_tensor_span_it_and_turn_with_it(index_symmetry: str) -> None:
    """The parts are orthonormal, complete, and rotate by their own matrices."""
    found = tensor_irreps(index_symmetry)
    rank = found.basis.ndim - 1
    flat = found.basis.reshape(len(found.basis), -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(len(flat)), atol=1e-13)
    identity = np.eye(3)[None]
    assert len(flat) == n_independent(identity, index_symmetry)
    rotation = random_rotation(5, improper=True)
    turned = rotate(found.basis, rotation, rank=rank).reshape(flat.shape)
    start = 0
    for degree, pseudo in zip(found.degrees, found.pseudo, strict=True):
        part = slice(start, start := start + 2 * degree + 1)
        matrix = wigner(degree, rotation, pseudo=pseudo)
        np.testing.assert_allclose(turned[part], matrix.T @ flat[part], atol=1e-13)


def test_the_piezoelectric_tensor_is_two_vectors_a_pseudo_deviator_and_a_septor() -> (
    None
):
    """Decomposition of e_ijk = e_ikj (J. Jerphagnon, Phys. Rev. B 2, 1091, 1970)."""
    found = tensor_irreps("ijk=ikj")
    assert found.degrees == (1, 1, 2, 3)
    assert found.pseudo == (False, False, True, False)


@pytest.mark.parametrize("symbol", POINT_GROUPS)
def test_projectors_of_irreps_count_what_the_class_allows(symbol: str) -> None:
    """Their traces, over all parts, sum up to Nye's number of constants."""
    rotations = point_group_rotations(symbol)
    for index_symmetry in ("ij=ji", "ijk=ikj", "ijkl=jikl=ijlk=klij"):
        found = tensor_irreps(index_symmetry)
        kinds = irrep_projectors(rotations, index_symmetry)
        parts = zip(found.degrees, found.pseudo, strict=True)
        total = sum(np.trace(kinds[part]) for part in parts)
        expected = n_independent(rotations, index_symmetry)
        assert total == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("symbol", ["32", "-43m", "6mm", "-4", "432", "m-3m"])
def test_projectors_of_irreps_are_means_of_wigner_matrices(symbol: str) -> None:
    """They are computed from the Cartesian projector; this is the definition."""
    rotations = point_group_rotations(symbol)
    for (degree, pseudo), found in irrep_projectors(rotations, "ijk=ikj").items():
        mean = wigner(degree, rotations, pseudo=pseudo).mean(axis=0)
        np.testing.assert_allclose(found, mean, atol=1e-13)


def test_degrees_that_do_not_couple_are_refused() -> None:
    """The message names the degrees."""
    with pytest.raises(ShapeError, match="degrees 1 and 1 do not couple to 3"):
        clebsch_gordan(1, 1, 3)
