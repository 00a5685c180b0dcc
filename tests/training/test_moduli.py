"""Moduli as labels of a stiffness: Hill's means, their gradient, and what is unknown."""

import numpy as np
import pytest
import torch

from crystaltensor.data.datasets import PreparedData
from crystaltensor.symmetry.derived import moduli
from crystaltensor.symmetry.notation import rotate
from crystaltensor.training.config import TrainingConfig
from crystaltensor.training.moduli import ModuliLabels, hill_moduli

CONFIG = TrainingConfig(
    property="elastic", data=("none",), loss_floor=50.0, loss_softness=0.1
)
ROOT = [1.0] * 3 + [2**0.5] * 3
PAIRS = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]


def stiffness(matrix: torch.Tensor) -> torch.Tensor:
    """Write Kelvin-Mandel matrices (n, 6, 6) as tensors (n, 3, 3, 3, 3)."""
    found = matrix.new_zeros(len(matrix), 3, 3, 3, 3)
    for row, (i, j) in enumerate(PAIRS):
        for column, (k, m) in enumerate(PAIRS):
            value = matrix[:, row, column] / (ROOT[row] * ROOT[column])
            for a, b in {(i, j), (j, i)}:
                for c, d in {(k, m), (m, k)}:
                    found[:, a, b, c, d] = value
    return found


def stable(n: int) -> torch.Tensor:
    """Draw positive definite Kelvin-Mandel matrices of some 100 GPa."""
    generator = torch.Generator().manual_seed(3)
    drawn = torch.randn(n, 6, 6, generator=generator, dtype=torch.float64)
    return 30 * (drawn @ drawn.mT) + 20 * torch.eye(6, dtype=torch.float64)


def labels(values: "list[list[float]]") -> ModuliLabels:
    """Stand in for prepared crystals: only their labels are looked at."""
    nothing = np.array([])
    data = PreparedData(
        *([], [], np.array(values), *[nothing] * 5),
        sites=None,
        key="test",
    )
    return ModuliLabels(data, CONFIG)


def isotropic(bulk: float, shear: float) -> torch.Tensor:
    """Write the stiffness of a material that is the same in all directions."""
    matrix = 2 * shear * torch.eye(6, dtype=torch.float64)
    matrix[:3, :3] += bulk - 2 * shear / 3
    return stiffness(matrix[None])


def test_the_means_are_those_that_predictions_show() -> None:
    """Voigt's and Reuss's, averaged, as `symmetry.derived` has them."""
    tensors = stiffness(stable(20))
    for one, (bulk, shear) in zip(tensors, hill_moduli(tensors), strict=True):
        wanted = moduli(one.numpy())
        assert bulk.item() == pytest.approx(wanted.bulk_hill, rel=1e-10)
        assert shear.item() == pytest.approx(wanted.shear_hill, rel=1e-10)


def test_the_axes_do_not_matter() -> None:
    """A rotated crystal has the same moduli, and the same loss."""
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    tensors = stiffness(stable(4))
    turned = torch.tensor(np.stack([rotate(one.numpy(), turn) for one in tensors]))
    known = labels([[90.0, 40.0]] * 4)
    chosen = np.arange(4)
    torch.testing.assert_close(hill_moduli(turned), hill_moduli(tensors))
    torch.testing.assert_close(
        known.losses(turned, chosen), known.losses(tensors, chosen)
    )


def test_the_loss_is_that_of_the_isotropic_stiffness() -> None:
    """As the Frobenius norm of a whole tensor would be judged."""
    wanted, found = isotropic(120.0, 70.0), isotropic(100.0, 80.0)
    error, size = (found - wanted).norm().item(), wanted.norm().item()
    scale = (size * 50 + 50**2) ** 0.5
    loss = labels([[120.0, 70.0]]).losses(found, np.array([0])).item()
    assert loss == pytest.approx((0.1**2 + (error / scale) ** 2) ** 0.5 - 0.1, rel=1e-6)
    exact = labels([[120.0, 70.0]]).losses(wanted, np.array([0])).item()
    assert exact == pytest.approx(0, abs=1e-6)


def test_the_gradient_is_that_of_finite_differences() -> None:
    """With both moduli known, and with one of them."""
    known = labels([[90.0, 40.0], [150.0, np.nan], [np.nan, 30.0]])
    matrices = stable(3).requires_grad_()

    def total(matrix: torch.Tensor) -> torch.Tensor:
        return known.losses(stiffness(matrix), np.arange(3)).sum()

    (slope,) = torch.autograd.grad(total(matrices), matrices)
    assert torch.isfinite(slope).all()
    generator = torch.Generator().manual_seed(1)
    for crystal in range(3):
        direction = torch.zeros_like(slope)
        drawn = torch.randn(6, 6, generator=generator, dtype=torch.float64)
        direction[crystal] = drawn + drawn.T
        step = 1e-4 * direction
        ahead, behind = total(matrices + step), total(matrices - step)
        wanted = ((ahead - behind) / 2e-4).item()
        found = (slope * direction).sum().item()
        assert found == pytest.approx(wanted, rel=1e-6)


def test_what_is_unknown_costs_nothing() -> None:
    """Without a shear modulus, any is right; the bulk modulus is not."""
    known = labels([[120.0, np.nan]])
    soft, hard = isotropic(120.0, 10.0), isotropic(120.0, 100.0)
    assert known.losses(soft, np.array([0])).item() == pytest.approx(0, abs=1e-6)
    assert known.losses(hard, np.array([0])).item() == pytest.approx(0, abs=1e-6)
    assert known.losses(isotropic(90.0, 10.0), np.array([0])).item() > 0.1
