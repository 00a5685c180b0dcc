"""Tests of crystaltensor.lattice.special against mpmath."""

import mpmath
import pytest
import torch

from crystaltensor.lattice.special import (
    exp_erfc,
    power_sum,
    scaled_exponential_integral,
)

ARGUMENTS = [1e-3, 0.1, 0.7, 1.4, 1.6, 3.0, 8.0, 20.0, 45.0]


@pytest.mark.parametrize("twice", range(16))
def test_exponential_integrals_are_exact_to_rounding(twice: int) -> None:
    """The error of exp(-y) h(y) is below 1e-14 of the value at zero or at y."""
    y = torch.tensor(ARGUMENTS, dtype=torch.float64)
    value = scaled_exponential_integral(twice, y) * torch.exp(-y)
    expected = [float(mpmath.expint(mpmath.mpf(twice) / 2, a)) for a in ARGUMENTS]
    torch.testing.assert_close(value.tolist(), expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("power", [2, 4, 5, 6, 7, 8, 10, 11, 12, 16])
def test_power_sum_gives_the_incomplete_gamma_function(power: int) -> None:
    """Compare with the definition, for even and odd powers."""
    for u in (0.05, 0.5, 1.0, 3.0, 5.0):
        x = torch.tensor(u * u, dtype=torch.float64)
        value = torch.exp(-x) * power_sum(power, 1 / x)
        if power % 2:
            value += torch.erfc(x.sqrt()) / u**power
        half = mpmath.mpf(power) / 2
        expected = (
            mpmath.gammainc(half, mpmath.mpf(u) ** 2, regularized=True) / u**power
        )
        assert float(value) == pytest.approx(float(expected), rel=2e-14)


@pytest.mark.parametrize("u", [-30.0, -3.0, -0.1, 0.0, 0.1, 3.0, 25.0, 200.0])
@pytest.mark.parametrize("d", [0.0, 0.3, 40.0])
def test_exp_erfc_neither_overflows_nor_cancels(u: float, d: float) -> None:
    """Both forms agree with mpmath, far into both tails."""
    decay, argument = torch.tensor([d, u], dtype=torch.float64).unbind()
    value = exp_erfc(decay, torch.exp(-decay - argument**2), argument)
    expected = mpmath.exp(-d) * mpmath.erfc(u)
    # Below the smallest float64 the Gaussian factor is zero, and so is the product.
    assert float(value) == pytest.approx(float(expected), rel=1e-13, abs=1e-300)


def test_derivatives() -> None:
    """First and second derivatives of every function are right."""
    y = torch.tensor([0.3, 1.2, 2.0, 6.0], dtype=torch.float64, requires_grad=True)
    for twice in (0, 1, 2, 5, 6):
        assert torch.autograd.gradcheck(
            lambda t, n=twice: scaled_exponential_integral(n, t), y
        )
        assert torch.autograd.gradgradcheck(
            lambda t, n=twice: scaled_exponential_integral(n, t), y
        )

    def both(t: torch.Tensor) -> torch.Tensor:
        return exp_erfc(t, torch.exp(-t - (t - 1.7) ** 2), t - 1.7)

    assert torch.autograd.gradcheck(both, y)
    assert torch.autograd.gradgradcheck(both, y)
