"""Potentials: weighted sums of kernels, by class and by name.

Every kernel is a potential by itself; the classes here combine several.
"""

import math
from collections.abc import Callable
from typing import Protocol

import torch

from crystaltensor.errors import ConfigError
from crystaltensor.lattice.kernels import (
    InversePower,
    Kernel,
    Pauli,
    Scalar,
    ScreenedCoulomb,
    as_number,
    as_tensor,
)

LARGEST_WEIGHT = 1e30
"""Largest weight of a kernel in a potential."""


class Potential(Protocol):
    """What `lattice_sums` can sum: a weighted sum of kernels."""

    @property
    def name(self) -> str:
        """The name that `parse_potential` understands."""

    @property
    def unit(self) -> str:
        """The unit of the sum."""

    def terms(self) -> tuple[tuple[Scalar, Kernel], ...]:
        """Return pairs of weight and kernel."""


class LennardJones:
    """The potential 4ε [(σ/r)¹² - (σ/r)⁶].

    Parameters
    ----------
    sigma : float
        Distance of zero energy σ, in Å.
    epsilon : float
        Depth ε, in eV.

    Raises
    ------
    ConfigError
        If σ or ε is not positive, or much too large.
    """

    unit = "eV"

    def __init__(self, sigma: float, epsilon: float) -> None:
        _check_positive(sigma=sigma, epsilon=epsilon)
        self.name = f"lennard-jones:{sigma}:{epsilon}"
        power = as_number(as_tensor(sigma) ** 6)
        self._terms = _checked_terms(
            (4 * epsilon * power * power, InversePower(12)),
            (-4 * epsilon * power, InversePower(6)),
        )

    def terms(self) -> tuple[tuple[Scalar, Kernel], ...]:
        """Return the repulsive and the attractive power."""
        return self._terms


class Morse:
    """The potential D [exp(-2α(r - r₀)) - 2 exp(-α(r - r₀))].

    It is finite at r = 0, so the sum over an atom's own images includes that term.

    Parameters
    ----------
    depth : float
        Depth D, in eV.
    alpha : float or Tensor of one element
        α in 1/Å, positive; as a tensor it may require a gradient.
    distance : float
        Distance r₀ of the minimum, in Å.

    Raises
    ------
    ConfigError
        If a parameter is not positive, or much too large.
    """

    unit = "eV"

    def __init__(self, depth: float, alpha: Scalar, distance: float) -> None:
        _check_positive(depth=depth, distance=distance)
        flat = Pauli(alpha)
        self.name = f"morse:{depth}:{flat.decay}:{distance}"
        steep = Pauli(2 * flat.alpha)
        rise = torch.exp(as_tensor(flat.alpha * distance))
        self._terms = _checked_terms(
            (depth * rise**2, steep), (-2 * depth * rise, flat)
        )

    def terms(self) -> tuple[tuple[Scalar, Kernel], ...]:
        """Return the steep and the flat exponential."""
        return self._terms


def _checked_terms(*terms: tuple[Scalar, Kernel]) -> tuple[tuple[Scalar, Kernel], ...]:
    """Refuse weights so large that no digit of the sum would be left."""
    for weight, kernel in terms:
        if not abs(as_number(weight)) <= LARGEST_WEIGHT:
            raise ConfigError(
                f"the parameters are too large: {kernel.name} would have the weight "
                f"{as_number(weight):.3g}"
            )
    return terms


def _check_positive(**settings: float) -> None:
    """Refuse settings that are not positive finite numbers."""
    for name, value in settings.items():
        if not 0 < value < math.inf:
            raise ConfigError(f"{name} must be positive and finite, not {value}")


_FACTORIES: dict[str, Callable[..., Potential]] = {
    "coulomb": lambda: InversePower(1),
    "london": lambda: InversePower(6),
    "inverse-power": lambda p: InversePower(_whole(p)),
    "pauli": Pauli,
    "screened-coulomb": ScreenedCoulomb,
    "lennard-jones": LennardJones,
    "morse": Morse,
}

USAGES = (
    "coulomb",
    "london",
    "inverse-power:P",
    "pauli:ALPHA",
    "screened-coulomb:ALPHA",
    "lennard-jones:SIGMA:EPSILON",
    "morse:DEPTH:ALPHA:DISTANCE",
)
"""How `parse_potential` wants potentials written."""


def parse_potential(text: str) -> Potential:
    """Make a potential from its name and parameters, such as ``pauli:3.0``.

    Parameters
    ----------
    text : str
        A name and its parameters, joined by colons; see `USAGES`.

    Returns
    -------
    Potential
        Ready for `lattice_sums`.

    Raises
    ------
    ConfigError
        If the name is unknown or the parameters do not fit.
    """
    name, *values = text.strip().split(":")
    if name not in _FACTORIES:
        raise ConfigError(f"unknown potential {name!r}; known: {', '.join(USAGES)}")
    usage = next(known for known in USAGES if known.split(":")[0] == name)
    if len(values) != usage.count(":"):
        raise ConfigError(f"potential {text!r} does not fit {usage!r}")
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        raise ConfigError(
            f"potential {text!r}: the parameters of {usage!r} must be numbers"
        ) from None
    potential: Potential = _FACTORIES[name](*numbers)
    return potential


def _whole(value: float) -> int:
    """Return an integer, or refuse."""
    if not value.is_integer():
        raise ConfigError(f"the power must be a whole number, not {value}")
    return int(value)
