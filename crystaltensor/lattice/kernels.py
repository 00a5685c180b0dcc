"""Kernels: pair functions with their real, reciprocal, zero and self parts.

A kernel f(r) is a positive mixture of Gaussians, split at the width η: the narrow ones
are summed in real space, the wide ones in reciprocal space. All parts are written in
reduced units, with u = ηr and κ = k/2η, where η drops out of every power law; the
engine puts the factors η^p back (p is the kernel's `dimension`).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable
from functools import cached_property

import torch
from torch import Tensor

from crystaltensor.errors import ConfigError
from crystaltensor.lattice.special import (
    exp_erfc,
    power_sum,
    scaled_exponential_integral,
)

Scalar = float | Tensor

HIGHEST_POWER = 16
"""Above, the recurrence of the exponential integrals loses too many digits."""

ALPHA_RANGE = (1e-4, 1e4)
"""Decay constants, in 1/Å, whose sums a float64 can hold with digits to spare."""


class Shell:
    """Squared reduced radii, and the functions of them that several kernels share.

    Parameters
    ----------
    squared : Tensor, shape (...)
        u² = (ηr)² in real space, κ² = (k/2η)² in reciprocal space; positive.
    """

    def __init__(self, squared: Tensor) -> None:
        self.squared = squared

    @cached_property
    def radius(self) -> Tensor:
        """The reduced radius."""
        return self.squared.sqrt()

    @cached_property
    def inverse(self) -> Tensor:
        """The inverse square."""
        return self.squared.reciprocal()

    @cached_property
    def gaussian(self) -> Tensor:
        """Exponential of minus the square."""
        return torch.exp(-self.squared)

    @cached_property
    def erfc(self) -> Tensor:
        """Complementary error function of the radius."""
        return torch.erfc(self.radius)


class Kernel(ABC):
    """A pair function f(r) = ∫ m(t) exp(-r²t²) dt with m ≥ 0, in closed form.

    The parts are methods of a `Shell` of any shape and return that shape. Their second
    argument is η in 1/Å, a number or a tensor that broadcasts with the shell; only
    kernels that have a length of their own read it.
    """

    name: str
    unit: str

    singular: bool
    """Whether f(0) is infinite; the sum over an atom's own images then leaves it out."""

    dimension: int
    """p, if f has the unit 1/Å^p."""

    scale_free: bool = False
    """Whether the parts, in reduced units, are the same for all η."""

    @property
    @abstractmethod
    def key(self) -> Hashable:
        """Equal for kernels that are the same function."""

    @property
    @abstractmethod
    def decay(self) -> float:
        """Return α if f(r) exp(αr) never increases (so f can be summed as is), or 0."""

    @abstractmethod
    def fixed(self) -> "Kernel":
        """Return the same function with plain numbers for parameters."""

    @abstractmethod
    def bare(self, shell: Shell, eta: Scalar) -> Tensor:
        """Return f(r) / η^p."""

    @abstractmethod
    def real(self, shell: Shell, eta: Scalar) -> Tensor:
        """Return g(r) / η^p, the narrow part."""

    @abstractmethod
    def reciprocal(self, shell: Shell, eta: Scalar) -> Tensor:
        """Return V ĝ(k) η^{3-p}, the transform of the wide part, for k ≠ 0."""

    @abstractmethod
    def zero(self, eta: Scalar) -> Scalar:
        """Return V ĝ₀ η^{3-p}: the term k = 0, or its analytic continuation."""

    @abstractmethod
    def self_term(self, eta: Scalar) -> Scalar:
        """Return what replaces g(0) / η^p in the sum over an atom's own images."""

    def terms(self) -> tuple[tuple[Scalar, "Kernel"], ...]:
        """Return the kernel itself, with weight one."""
        return ((1.0, self),)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kernel) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


class InversePower(Kernel):
    """The Epstein zeta potential 1/r^p; p = 1 is Coulomb, p = 6 London.

    For p < 3 the sum diverges; the result is its analytic continuation in p, which for
    p = 1 is the potential of unit charges in a neutralising uniform background.

    Parameters
    ----------
    power : int
        p, an integer from 1 to 16 except 3.

    Raises
    ------
    ConfigError
        If there is no such sum: p ≤ 0, p = 3 (a pole), or not in closed form.
    """

    singular = True
    scale_free = True

    def __init__(self, power: int) -> None:
        if power == 3:
            raise ConfigError("the sum of 1/r^3 has a pole: no value exists for p = 3")
        if power not in range(1, HIGHEST_POWER + 1):
            raise ConfigError(
                f"inverse powers are whole numbers from 1 to {HIGHEST_POWER} except 3, "
                f"not {power}"
            )
        self.dimension = int(power)
        self.name = {1: "coulomb", 6: "london"}.get(power, f"inverse-power:{power}")
        self.unit = "1/Å" if power == 1 else f"1/Å^{power}"

    @property
    def key(self) -> Hashable:
        """The power."""
        return ("inverse-power", self.dimension)

    @property
    def decay(self) -> float:
        """Zero: a power law has no exponential decay."""
        return 0.0

    def fixed(self) -> Kernel:
        """Return the kernel itself: a power is a plain number."""
        return self

    def bare(self, shell: Shell, _eta: Scalar) -> Tensor:
        """Return 1/u^p."""
        half = shell.inverse ** (self.dimension // 2)
        return half / shell.radius if self.dimension % 2 else half

    def real(self, shell: Shell, _eta: Scalar) -> Tensor:
        """Return Γ(p/2, u²) / (Γ(p/2) u^p)."""
        if self.dimension == 1:
            return shell.erfc / shell.radius
        value = shell.gaussian * power_sum(self.dimension, shell.inverse)
        if self.dimension % 2:
            value = value + shell.erfc * self.bare(shell, _eta)
        return value

    def reciprocal(self, shell: Shell, _eta: Scalar) -> Tensor:
        """Return π^{3/2} E_ν(κ²) / Γ(p/2) with ν = (p - 1)/2."""
        integral = scaled_exponential_integral(self.dimension - 1, shell.squared)
        factor = math.pi**1.5 / math.gamma(self.dimension / 2)
        value: Tensor = factor * integral * shell.gaussian
        return value

    def zero(self, _eta: Scalar) -> Scalar:
        """Return 2π^{3/2} / ((p - 3) Γ(p/2))."""
        factor: float = 2 * math.pi**1.5 / math.gamma(self.dimension / 2)
        return factor / (self.dimension - 3)

    def self_term(self, _eta: Scalar) -> Scalar:
        """Return -2 / (p Γ(p/2))."""
        return -2 / (self.dimension * math.gamma(self.dimension / 2))


class _Decaying(Kernel):
    """A kernel with a decay constant α, a number or a tensor of one element."""

    label: str

    def __init__(self, alpha: Scalar) -> None:
        self.alpha = _checked_alpha(alpha)
        self.name = f"{self.label}:{as_number(alpha)}"

    @property
    def key(self) -> Hashable:
        """The decay constant."""
        return (self.label, _identity(self.alpha))

    @property
    def decay(self) -> float:
        """The decay constant as a number."""
        return as_number(self.alpha)

    def fixed(self) -> Kernel:
        """Return the kernel with a number for α."""
        return type(self)(as_number(self.alpha))


class Pauli(_Decaying):
    """The exponential repulsion exp(-αr) of closed shells; below, a = α/η.

    Parameters
    ----------
    alpha : float or Tensor of one element
        α in 1/Å, positive; as a tensor it may require a gradient.

    Raises
    ------
    ConfigError
        If α is not a positive number in a useful range.
    """

    label = "pauli"
    singular = False
    dimension = 0
    unit = "1"

    def bare(self, shell: Shell, eta: Scalar) -> Tensor:
        """Return exp(-au)."""
        return torch.exp((-self.alpha / eta) * shell.radius)

    def real(self, shell: Shell, eta: Scalar) -> Tensor:
        """Return ½ [exp(-au) erfc(u - a/2) - exp(au) erfc(u + a/2)]."""
        minus, plus = _exponential_parts(self.alpha / eta, shell)
        return 0.5 * (minus - plus)

    def reciprocal(self, shell: Shell, eta: Scalar) -> Tensor:
        """Return πa e^{-q} [1/(2q) + ½] / q with q = κ² + a²/4."""
        a = self.alpha / eta
        q = shell.squared + a**2 / 4
        return math.pi * a * _damping(a) * shell.gaussian * (0.5 / q + 0.5) / q

    def zero(self, eta: Scalar) -> Scalar:
        """Return the reciprocal part at κ = 0."""
        a = self.alpha / eta
        return 4 * math.pi * _damping(a) * (2 / a**3 + 0.5 / a)

    def self_term(self, eta: Scalar) -> Scalar:
        """Return g(0) = erf(a/2); the term e⁰ = 1 is part of the sum."""
        return torch.erf(as_tensor(self.alpha / eta) / 2)


class ScreenedCoulomb(_Decaying):
    """The Yukawa potential exp(-αr)/r; below, a = α/η.

    Parameters
    ----------
    alpha : float or Tensor of one element
        α in 1/Å, positive; as a tensor it may require a gradient.

    Raises
    ------
    ConfigError
        If α is not a positive number in a useful range.
    """

    label = "screened-coulomb"
    singular = True
    dimension = 1
    unit = "1/Å"

    def bare(self, shell: Shell, eta: Scalar) -> Tensor:
        """Return exp(-au)/u."""
        return torch.exp((-self.alpha / eta) * shell.radius) / shell.radius

    def real(self, shell: Shell, eta: Scalar) -> Tensor:
        """Return [exp(-au) erfc(u - a/2) + exp(au) erfc(u + a/2)] / 2u."""
        minus, plus = _exponential_parts(self.alpha / eta, shell)
        return 0.5 * (minus + plus) / shell.radius

    def reciprocal(self, shell: Shell, eta: Scalar) -> Tensor:
        """Return π e^{-q} / q with q = κ² + a²/4."""
        a = self.alpha / eta
        return math.pi * _damping(a) * shell.gaussian / (shell.squared + a**2 / 4)

    def zero(self, eta: Scalar) -> Scalar:
        """Return the reciprocal part at κ = 0."""
        a = self.alpha / eta
        return 4 * math.pi * _damping(a) / a**2

    def self_term(self, eta: Scalar) -> Scalar:
        """Return -(2/√π) e^{-a²/4} + a erfc(a/2)."""
        a = as_tensor(self.alpha / eta)
        return a * torch.erfc(a / 2) - 2 / math.sqrt(math.pi) * _damping(a)


def as_tensor(value: Scalar) -> Tensor:
    """Return a tensor, in float64 if it was a number."""
    if isinstance(value, Tensor):
        return value
    return torch.tensor(value, dtype=torch.float64)


def as_number(value: Scalar) -> float:
    """Return a plain number, without its gradient."""
    return float(value.detach() if isinstance(value, Tensor) else value)


def _checked_alpha(alpha: Scalar) -> Scalar:
    """Refuse decay constants that no sum can use."""
    low, high = ALPHA_RANGE
    if isinstance(alpha, Tensor) and alpha.numel() != 1:
        raise ConfigError(f"alpha must be one number, not {tuple(alpha.shape)}")
    number = as_number(alpha)
    if not number > 0:
        raise ConfigError(f"alpha must be positive, not {number}")
    if not low <= number <= high:
        raise ConfigError(
            f"alpha must lie between {low:g} and {high:g} 1/Å, not {number:g}"
        )
    return alpha.reshape(()) if isinstance(alpha, Tensor) else number


def _identity(alpha: Scalar) -> Hashable:
    """Return what tells two decay constants apart; tensors by who they are."""
    return ("tensor", id(alpha)) if isinstance(alpha, Tensor) else alpha


def _damping(a: Scalar) -> Tensor:
    """Return exp(-a²/4)."""
    return torch.exp(-(as_tensor(a) ** 2) / 4)


def _exponential_parts(a: Scalar, shell: Shell) -> tuple[Tensor, Tensor]:
    """Return exp(∓au) erfc(u ∓ a/2)."""
    gaussian = shell.gaussian * _damping(a)
    minus = exp_erfc(shell.radius * a, gaussian, shell.radius - a / 2)
    return minus, gaussian * torch.special.erfcx(shell.radius + a / 2)
