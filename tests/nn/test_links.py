"""Links: tensors within physical bounds, whatever the network says."""

import numpy as np
import pytest
import torch

from crystaltensor.nn.links import LinearLink, PositiveLink, make_link
from crystaltensor.symmetry.notation import rotate, to_mandel


def random_tensors(rank: int, count: int = 5) -> torch.Tensor:
    """Draw tensors with full index symmetry, positive definite as matrices."""
    generator = torch.Generator().manual_seed(rank)
    link = PositiveLink(rank, 0.0)
    size = link.size
    factors = torch.randn(count, size, size, generator=generator, dtype=torch.float64)
    matrices = factors @ factors.transpose(1, 2) + 0.5 * torch.eye(size)
    return (matrices.flatten(1) @ link.to_matrix).view(-1, *[3] * rank)


@pytest.mark.parametrize(("rank", "bound"), [(2, 1.0), (4, 0.0)])
def test_eigenvalues_are_above_the_bound(rank: int, bound: float) -> None:
    """Also for large negative input."""
    link = PositiveLink(rank, bound).double()
    tensors = link(-3 * random_tensors(rank))
    matrices = tensors.numpy() if rank == 2 else to_mandel(tensors.numpy(), 4)
    values = np.linalg.eigvalsh(matrices)
    assert values.min() > bound - 1e-12
    assert values.min() < bound + 1e-2


@pytest.mark.parametrize("rank", [2, 4])
def test_the_link_commutes_with_rotations(rank: int) -> None:
    """Link of the turned is the turned link."""
    link = PositiveLink(rank, 1.0).double()
    given = 0.1 * random_tensors(rank)
    link.calibrate(10 * random_tensors(rank))
    matrix = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turned = torch.tensor(rotate(given.numpy(), matrix, rank=rank))
    expected = rotate(link(given).numpy(), matrix, rank=rank)
    np.testing.assert_allclose(link(turned).numpy(), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("rank", [2, 4])
def test_the_logarithm_is_the_inverse(rank: int) -> None:
    """Before calibration, offset zero and scale one."""
    link = PositiveLink(rank, 0.0).double()
    given = random_tensors(rank)
    flat = link.logarithm(given).flatten(1) @ link.to_matrix
    logarithm = flat.view_as(given)
    torch.testing.assert_close(link(logarithm), given, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("rank", [2, 4])
def test_a_network_that_says_nothing_gives_the_isotropic_mean(rank: int) -> None:
    """The geometric mean of the labels, equal in all directions."""
    link = PositiveLink(rank, 0.0).double()
    labels = 50 * random_tensors(rank, 400)
    link.calibrate(labels)
    silent = link(torch.zeros_like(labels[:1]))[0].numpy()
    matrix = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    np.testing.assert_allclose(rotate(silent, matrix), silent, atol=1e-9)
    assert 5 < np.trace(silent.reshape(3 ** (rank // 2), -1)) < 5000


def test_the_linear_link_scales_by_the_mean_norm() -> None:
    """And may change the sign of nothing."""
    link = make_link(3, None)
    assert isinstance(link, LinearLink)
    labels = torch.randn(7, 3, 3, 3)
    link.calibrate(labels)
    given = torch.randn(2, 3, 3, 3)
    expected = given * labels.flatten(1).norm(dim=1).mean()
    torch.testing.assert_close(link(given), expected)


def test_gradients_through_the_exponential_are_right() -> None:
    """By finite differences."""
    link = PositiveLink(4, 0.0).double()
    given = (0.1 * random_tensors(4, 1)).requires_grad_()
    assert torch.autograd.gradcheck(link, (given,), fast_mode=True)
