"""Sums for graphs: those of the engine, those within a radius, what is refused."""

import numpy as np
import pytest
import torch

from crystaltensor.crystals.crystal import Crystal
from crystaltensor.data import potential_sums as module
from crystaltensor.data.potential_sums import TOLERANCE, potential_sums, refuse_too_many
from crystaltensor.errors import ResourceError
from crystaltensor.lattice.potentials import parse_potential
from crystaltensor.lattice.sums import lattice_sums
from crystaltensor.nn.batch import Neighbourhood

NAMES = ("coulomb", "london", "pauli:1.0", "screened-coulomb:0.5")


def test_they_are_those_of_the_engine(
    silicon: Crystal, quartz: Crystal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether crystals go into it together or one by one."""
    around = Neighbourhood(5.0, potentials=NAMES)
    crystals = [silicon, quartz, silicon]
    together = list(potential_sums(crystals, around))
    monkeypatch.setattr(module, "_BATCH", 2)
    split = list(potential_sums(crystals, around))
    for crystal, one, other in zip(crystals, together, split, strict=True):
        expected = lattice_sums(
            [torch.tensor(crystal.cell)],
            [torch.tensor(crystal.frac @ crystal.cell)],
            [parse_potential(name) for name in NAMES],
        ).matrices[0]
        assert one.shape == (len(NAMES), crystal.n_atoms, crystal.n_atoms)
        np.testing.assert_allclose(one, expected, atol=2 * TOLERANCE)
        np.testing.assert_allclose(other, expected, atol=2 * TOLERANCE)


def test_what_decays_fast_is_complete_within_a_large_radius(triclinic: Crystal) -> None:
    """Exponentials that decay within 1 Å, out to 16 Å, on the diagonal as well."""
    names = ("pauli:2.0", "screened-coulomb:2.0", "morse:0.3:2.0:1.5")
    complete = Neighbourhood(5.0, potentials=names)
    (expected,) = potential_sums([triclinic], complete)
    (found,) = potential_sums(
        [triclinic], Neighbourhood(5.0, potentials=names, reach=16.0)
    )
    np.testing.assert_allclose(found, expected, atol=1e-7)
    (short,) = potential_sums(
        [triclinic], Neighbourhood(5.0, potentials=names, reach=2.0)
    )
    assert np.abs(short - expected).max() > 1e-3


def test_too_many_pairs_are_refused(
    silicon: Crystal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before they are summed, and with a way out."""
    monkeypatch.setattr(module, "available_memory", lambda: 100.0)
    with pytest.raises(ResourceError, match="smaller cell"):
        refuse_too_many(silicon, Neighbourhood(5.0, potentials=NAMES))
