"""Tests of crystaltensor.lattice.kernels: the split, part by part."""

import math

import mpmath
import pytest
import torch

from crystaltensor.errors import ConfigError
from crystaltensor.lattice.kernels import (
    InversePower,
    Kernel,
    Pauli,
    ScreenedCoulomb,
    Shell,
)

KERNELS: list[Kernel] = [
    *[InversePower(p) for p in (1, 2, 4, 5, 6, 7, 8, 10, 12, 16)],
    Pauli(0.4),
    Pauli(3.0),
    ScreenedCoulomb(0.4),
    ScreenedCoulomb(3.0),
]
ETA = 0.6


def name_of(kernel: Kernel) -> str:
    """Label the parametrised tests."""
    return kernel.name


def shell(value: float) -> Shell:
    """Return the shell of one reduced radius."""
    return Shell(torch.tensor(value**2, dtype=torch.float64))


def smooth_part(kernel: Kernel, r: float) -> float:
    """Return f - g, which has a finite limit at the origin."""
    at = shell(ETA * r)
    difference = kernel.bare(at, ETA) - kernel.real(at, ETA)
    return float(difference) * ETA**kernel.dimension


@pytest.mark.parametrize("kernel", KERNELS, ids=name_of)
def test_reciprocal_part_is_the_fourier_transform(kernel: Kernel) -> None:
    """Transform the smooth part f - g numerically."""
    if kernel.dimension > 8:
        pytest.skip("the difference of two large numbers near the origin")
    for k in (0.7, 2.0):
        # The transform of ∫_0^η m(t) exp(-r²t²) dt, each Gaussian by itself: with the
        # mixture of 1/r^p, m(t) = 2 t^(p-1) / Γ(p/2), and of the exponentials below.
        value = float(kernel.reciprocal(shell(k / (2 * ETA)), ETA))
        value *= ETA ** (kernel.dimension - 3)

        def transformed(t: float, k: float = k) -> float:
            gaussian = mpmath.exp(-(k**2) / (4 * t**2)) * (math.pi**1.5 / t**3)
            return mixture(kernel, t) * gaussian

        expected = mpmath.quad(transformed, [0, ETA / 4, ETA / 2, ETA])
        assert value == pytest.approx(float(expected), rel=1e-11)


def mixture(kernel: Kernel, t: float) -> float:
    """Return m(t), the weight of exp(-r²t²) in f (Bernstein's theorem)."""
    if isinstance(kernel, InversePower):
        p = kernel.dimension
        return 2 * t ** (p - 1) / math.gamma(p / 2)
    assert isinstance(kernel, Pauli | ScreenedCoulomb)
    a = kernel.decay
    yukawa = 2 / math.sqrt(math.pi) * mpmath.exp(-(a**2) / (4 * t**2))
    return yukawa * a / (2 * t**2) if isinstance(kernel, Pauli) else yukawa


@pytest.mark.parametrize("kernel", KERNELS, ids=name_of)
def test_real_part_is_the_narrow_part_of_the_mixture(kernel: Kernel) -> None:
    """Integrate the mixture from η up."""
    for r in (0.8, 2.5):
        value = float(kernel.real(shell(ETA * r), ETA)) * ETA**kernel.dimension
        expected = mpmath.quad(
            lambda t, r=r: mixture(kernel, t) * mpmath.exp(-((r * t) ** 2)),
            [ETA, 2 * ETA, 4 * ETA, 10 * ETA, 40 * ETA],
        )
        assert value == pytest.approx(float(expected), rel=1e-11)


@pytest.mark.parametrize("kernel", KERNELS, ids=name_of)
def test_unsplit_function_is_the_limit_of_the_real_part(kernel: Kernel) -> None:
    """As η goes to zero, all of f is in the real part."""
    eta = 1e-3
    at = shell(eta * 1.3)
    torch.testing.assert_close(
        kernel.real(at, eta), kernel.bare(at, eta), rtol=5e-3, atol=0
    )
    value = float(kernel.bare(at, eta)) * eta**kernel.dimension
    expected = {
        InversePower: 1.3**-kernel.dimension,
        Pauli: math.exp(-1.3 * kernel.decay),
        ScreenedCoulomb: math.exp(-1.3 * kernel.decay) / 1.3,
    }[type(kernel)]
    assert value == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("kernel", KERNELS, ids=name_of)
def test_self_term_is_the_limit_at_the_origin(kernel: Kernel) -> None:
    """It is g(0) for regular kernels, and -(f - g)(0) for singular ones."""
    if kernel.dimension > 2:
        own = float(kernel.self_term(ETA)) * ETA**kernel.dimension
        wide = mpmath.quad(lambda t: mixture(kernel, t), [0, ETA])
        assert own == pytest.approx(-float(wide), rel=1e-12)
        return
    own = float(kernel.self_term(ETA)) * ETA**kernel.dimension
    near = smooth_part(kernel, 1e-5)
    expected = -near if kernel.singular else 1 - near
    # f - g is even in r, but f of an exponential has a cusp: an error of order r.
    assert own == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kernel", KERNELS[-4:], ids=name_of)
def test_zero_term_of_convergent_sums_is_the_limit_of_small_waves(
    kernel: Kernel,
) -> None:
    """No background is needed where the sum converges."""
    limit = kernel.reciprocal(shell(1e-6), ETA)
    assert float(kernel.zero(ETA)) == pytest.approx(float(limit), rel=1e-9)


def test_shared_functions_are_evaluated_once() -> None:
    """A shell remembers what it has computed."""
    at = shell(1.5)
    assert at.gaussian is at.gaussian
    assert at.erfc is at.erfc


@pytest.mark.parametrize("power", [0, -1, 3, 2.5, 17, math.nan])
def test_powers_without_a_sum_are_refused(power: float) -> None:
    """There is a pole at p = 3, and no closed form beyond whole numbers."""
    with pytest.raises(ConfigError, match=r"pole|whole numbers"):
        InversePower(power)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [Pauli, ScreenedCoulomb])
@pytest.mark.parametrize("alpha", [0.0, -1.0, math.nan, math.inf, 1e-9])
def test_decay_constants_must_be_positive(
    kind: type[Pauli] | type[ScreenedCoulomb], alpha: float
) -> None:
    """Numbers and tensors alike."""
    with pytest.raises(ConfigError, match="alpha must"):
        kind(alpha)
    with pytest.raises(ConfigError, match="alpha must"):
        kind(torch.tensor(alpha))
    with pytest.raises(ConfigError, match="alpha must be one number"):
        kind(torch.ones(2))


@pytest.mark.parametrize("kernel", KERNELS, ids=name_of)
def test_a_fixed_kernel_is_the_same_function(kernel: Kernel) -> None:
    """It has plain numbers, so that plans never need a gradient."""
    assert kernel.fixed().key == kernel.key
    assert kernel.terms() == ((1.0, kernel),)
