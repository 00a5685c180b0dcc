"""Tests of crystaltensor.lattice.potentials."""

import math

import pytest
import torch

from crystaltensor.errors import ConfigError
from crystaltensor.lattice.kernels import Shell
from crystaltensor.lattice.potentials import (
    LennardJones,
    Morse,
    Potential,
    parse_potential,
)


def value(potential: Potential, r: float) -> float:
    """Evaluate a potential at one distance."""
    shell = Shell(torch.tensor(r * r, dtype=torch.float64))
    return sum(float(w * kernel.bare(shell, 1.0)) for w, kernel in potential.terms())


def test_lennard_jones_has_its_minimum_where_it_should() -> None:
    """The depth ε is at 2^(1/6) σ, and the energy is zero at σ."""
    potential = LennardJones(sigma=2.5, epsilon=0.01)
    assert value(potential, 2.5) == pytest.approx(0, abs=1e-15)
    assert value(potential, 2.5 * 2 ** (1 / 6)) == pytest.approx(-0.01)


def test_morse_has_its_minimum_where_it_should() -> None:
    """The depth D is at r₀."""
    potential = Morse(depth=0.35, alpha=1.4, distance=2.1)
    assert value(potential, 2.1) == pytest.approx(-0.35)
    rise = math.exp(-1.4 * 0.9)
    assert value(potential, 3.0) == pytest.approx(0.35 * (rise**2 - 2 * rise))


@pytest.mark.parametrize(
    ("text", "r", "expected"),
    [
        ("coulomb", 2.0, 0.5),
        ("london", 2.0, 1 / 64),
        ("inverse-power:4", 2.0, 1 / 16),
        ("inverse-power:5", 2.0, 1 / 32),
        ("pauli:3.0", 2.0, math.exp(-6)),
        ("screened-coulomb:0.5", 2.0, math.exp(-1) / 2),
        ("lennard-jones:2.0:0.1", 2.0, 0.0),
        ("morse:0.5:1.0:2.0", 2.0, -0.5),
    ],
)
def test_potentials_are_made_from_their_names(
    text: str, r: float, expected: float
) -> None:
    """The name goes in and comes out, and the function is right."""
    potential = parse_potential(text)
    assert potential.name == text
    assert potential.unit
    assert value(potential, r) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("columb", "unknown potential 'columb'; known: coulomb"),
        ("pauli", "does not fit 'pauli:ALPHA'"),
        ("pauli:1:2", "does not fit"),
        ("pauli:x", "must be numbers"),
        ("pauli:-1", "alpha must be positive"),
        ("inverse-power:3", "pole"),
        ("inverse-power:2.5", "whole number"),
        ("inverse-power:nan", "whole number"),
        ("lennard-jones:0:1", "sigma must be positive"),
        ("morse:1:1:inf", "distance must be positive"),
        ("morse:1:10:1000", "pauli:20.0 would have the weight inf"),
        ("lennard-jones:1e40:1", "too large: inverse-power:12 would have"),
    ],
)
def test_bad_names_are_explained(text: str, message: str) -> None:
    """The message says what is wrong and what would be right."""
    with pytest.raises(ConfigError, match=message):
        parse_potential(text)
