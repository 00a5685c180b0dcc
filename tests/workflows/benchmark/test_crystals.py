"""Tests of crystaltensor.workflows.benchmark.crystals."""

import numpy as np

from crystaltensor.symmetry.operations import find_symmetry
from crystaltensor.workflows.benchmark.crystals import (
    DENSITY,
    made_crystals,
    random_crystal,
)

SPACE_GROUPS = {
    "rock salt": {225},
    "caesium chloride": {221},
    "zincblende": {216},
    "diamond": {227},
    "fluorite": {225},
    "half-Heusler": {216},
    "bcc": {229},
    "wurtzite": {186},
    "nickel arsenide": {194},
    "cadmium iodide": {164},
    "perovskite": {221},
    "polar perovskite": {99},
    "rutile": {136},
    "quartz": {152},
    "random": {1},
}


def test_structures_have_the_space_groups_of_textbooks() -> None:
    """Each with three choices of elements."""
    found: dict[str, set[int]] = {}
    for name, crystal in made_crystals():
        kind = next(key for key in SPACE_GROUPS if name.startswith(key))
        found.setdefault(kind, set()).add(find_symmetry(crystal).number)
    assert found == SPACE_GROUPS


def test_random_crystals_are_the_same_every_time_and_as_dense_as_said() -> None:
    """And their atoms are apart."""
    one, other = (random_crystal.__wrapped__(7, seed=5) for _ in range(2))
    np.testing.assert_array_equal(one.frac, other.frac)
    assert np.isclose(one.n_atoms / one.volume, DENSITY)
    assert not np.allclose(one.cell, random_crystal(7, seed=6).cell)
