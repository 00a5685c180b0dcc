"""Radial functions: what they are, and how they end."""

import math

import pytest
import torch

from crystaltensor.errors import ConfigError
from crystaltensor.nn.radial import SmoothBessel


def test_without_the_envelope_they_are_spherical_bessel_functions() -> None:
    """√(2/r_c³) sin(kπx)/x with x = r/r_c, as in the formula."""
    basis = SmoothBessel(5.0, 3).double()
    distance = 1.7
    x = distance / 5.0
    envelope = (1 - x) ** 3 * (1 + 3 * x + 6 * x * x)
    found = basis(torch.tensor(distance, dtype=torch.float64)) / envelope
    expected = [
        math.sqrt(2 / 5.0) * math.sin(k * math.pi * x) / distance for k in (1, 2, 3)
    ]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_they_vanish_smoothly_at_the_cutoff_and_beyond() -> None:
    """Value and two derivatives: near the end they fall as the cube."""
    basis = SmoothBessel(4.0, 6).double()
    ends = torch.tensor([4.0, 5.0, 40.0], dtype=torch.float64)
    torch.testing.assert_close(basis(ends), torch.zeros(3, 6, dtype=torch.float64))
    gap = torch.tensor([0.02, 0.01], dtype=torch.float64)
    near = basis(4.0 - gap).abs()
    assert (near[0] / near[1] > 7).all()


def test_bad_settings_are_refused() -> None:
    """The message holds them."""
    with pytest.raises(ConfigError, match="got cutoff=0, size=3"):
        SmoothBessel(0, 3)
    with pytest.raises(ConfigError, match="size=0"):
        SmoothBessel(1.0, 0)


def test_the_settings_are_printed() -> None:
    """In ``print(model)``."""
    assert repr(SmoothBessel(4.5, 7)) == "SmoothBessel(cutoff=4.5 Å, size=7)"
