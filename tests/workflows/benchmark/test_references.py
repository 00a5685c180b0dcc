"""Tests of crystaltensor.workflows.benchmark.references."""

import math

import numpy as np
import pytest

from crystaltensor.workflows.benchmark.crystals import random_crystal
from crystaltensor.workflows.benchmark.references import (
    KNOWN,
    KnownSum,
    exponential_sum,
    inverse_power_sum,
)


@pytest.mark.parametrize("power", [1, 6])
def test_the_width_of_the_split_does_not_matter(power: int) -> None:
    """Real and reciprocal space share the sum in another way, and it is the same."""
    crystal = random_crystal(4, seed=3)
    apart = crystal.positions[0] - crystal.positions[1]
    narrow, wide = (
        inverse_power_sum(power, crystal.cell, apart, width=width)
        for width in (0.8, 1.2)
    )
    assert narrow == pytest.approx(wide, rel=1e-15)


@pytest.mark.parametrize(
    "known",
    [each for each in KNOWN if each.power > 1],
    ids=lambda each: f"{each.name} {each.power}",
)
def test_neighbours_of_one_atom_are_those_of_the_literature(known: KnownSum) -> None:
    """Sums of 1/r^6 and 1/r^12; 15 digits are given."""
    cell = known.cell / known.nearest
    found = inverse_power_sum(known.power, cell, np.zeros(3))
    assert found == pytest.approx(known.value, rel=1e-14)


def test_rock_salt_has_its_madelung_constant() -> None:
    """The sum over unlike ions minus that over like ones."""
    known = KNOWN[0]
    cell = known.cell / known.nearest
    apart = np.array(known.frac[1]) @ cell
    like = inverse_power_sum(1, cell, np.zeros(3))
    unlike = inverse_power_sum(1, cell, apart)
    assert unlike - like == pytest.approx(known.value, abs=1e-15)


def test_exponentials_in_one_dimension_are_a_geometric_series() -> None:
    """Two of the lattice vectors are so long that they do not count."""
    cell = np.diag([1.0, 200.0, 200.0])
    alpha = 2.0
    expected = 1 + 2 / math.expm1(alpha)
    assert exponential_sum(alpha, cell, np.zeros(3)) == pytest.approx(
        expected, rel=1e-15
    )
    half = np.array([0.5, 0, 0])
    expected = 1 / math.sinh(alpha / 2)
    assert exponential_sum(alpha, cell, half) == pytest.approx(expected, rel=1e-15)
